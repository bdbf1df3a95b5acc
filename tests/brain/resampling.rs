//! Nearest-neighbour resampling of labels equals nilearn's, voxel for voxel.

use hebb::brain::grid::{Grid, resample_labels};
use hebb::format::nifti::read_labels;

use super::fixture;

#[test]
fn labels_are_those_of_nilearn() {
    let (info, labels) = read_labels(&fixture("resampling/source.nii.gz")).unwrap();
    let source = Grid::of_image(&info).unwrap();
    for name in ["finer", "coarser_shifted", "flipped", "oblique", "permuted"] {
        let (info, expected) = read_labels(&fixture(&format!("resampling/{name}.nii.gz"))).unwrap();
        let target = Grid::of_image(&info).unwrap();
        let resampled = resample_labels(&labels, &source, &target).unwrap();
        let differing = resampled.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 0, "{name}: {differing} of {} voxels", expected.len());
        assert!(expected.iter().filter(|&&label| label != 0).count() > 200, "{name}");
    }
}
