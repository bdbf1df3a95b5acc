//! NIfTI-2 images that nibabel wrote, of every sample type, byte order and scaling, are read with nibabel's values.

use hebb::format::nifti::{NiftiError, VolumeReader, read_extensions, read_info};

use super::fixture;
use super::images::values_as_in_nibabel;

#[test]
fn values_and_affines_are_those_of_nibabel() {
    values_as_in_nibabel("nifti2", 2, 43);
}

#[test]
fn some_voxels_of_some_volumes_are_those_of_the_whole() {
    let expected = values_as_in_nibabel("nifti2", 2, 43);
    for name in ["series_little.nii.gz", "series_qform_big.nii", "extension_big.nii.gz"] {
        let path = fixture(&format!("nifti2/{name}"));
        let n_voxels = read_info(&path).unwrap().n_voxels();
        let (offsets, kept) = ([11, 0, 5, 5], [1, 3]);
        let whole: Vec<f32> =
            kept.iter().flat_map(|volume| offsets.map(|offset| expected[name][volume * n_voxels + offset])).collect();
        let mut matrix = vec![0.0; 8];
        VolumeReader::open(&path).unwrap().read_rows(&offsets, &kept, &mut matrix).unwrap();
        assert_eq!(matrix, whole, "{name}");
        let mut rows = Vec::new();
        let mut reader = VolumeReader::open(&path).unwrap();
        let mut collect = |row: usize, values: &[f32]| {
            rows.push((row, values.to_vec()));
            Ok::<(), NiftiError>(())
        };
        reader.each_row(&offsets, &kept[..1], &mut collect).unwrap();
        reader.each_row(&offsets, &kept[1..], &mut collect).unwrap();
        assert_eq!(rows, [(0, whole[..4].to_vec()), (0, whole[4..].to_vec())], "{name}");
        let error = reader.read_rows(&offsets, &kept[..1], &mut matrix[..4]).unwrap_err();
        assert!(error.to_string().contains("it was read already"), "{error}");
    }
}

#[test]
fn what_the_image_does_not_have_is_refused() {
    let open = || VolumeReader::open(&fixture("nifti2/series_little.nii.gz")).unwrap();
    let mut matrix = [0.0; 1];
    let error = open().read_rows(&[12], &[0], &mut matrix).unwrap_err();
    assert!(error.to_string().starts_with("voxel 12 was asked of"), "{error}");
    assert!(matches!(open().read_rows(&[0], &[4], &mut matrix), Err(NiftiError::Outside { asked: 4, .. })));
    assert!(matches!(open().read_rows(&[0, 1], &[0], &mut matrix), Err(NiftiError::Count { expected: 2, .. })));
    open().read_rows(&[], &[0, 1], &mut []).unwrap();
    open().read_rows(&[3], &[], &mut []).unwrap();
}

#[test]
fn repetition_times_and_extensions_are_read() {
    for (name, expected) in
        [("series_little.nii.gz", Some(0.72)), ("series_qform_big.nii", Some(1.5)), ("u1_big.nii", None)]
    {
        assert_eq!(read_info(&fixture(&format!("nifti2/{name}"))).unwrap().repetition_time_s, expected, "{name}");
    }
    for name in ["nifti2/extension_big.nii.gz", "images/extension.nii.gz"] {
        let extensions = read_extensions(&fixture(name)).unwrap();
        assert_eq!((extensions.len(), extensions[0].code), (1, 6), "{name}");
        assert!(extensions[0].bytes.starts_with(b"between header and data"), "{name}");
    }
    assert_eq!(read_extensions(&fixture("nifti2/u1_big.nii")).unwrap(), []);
}
