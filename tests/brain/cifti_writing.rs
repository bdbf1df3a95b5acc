//! CIFTI files as they are written: byte for byte the committed ones, which nibabel reads as `tests/scripts/check_cifti.py`
//! says and Connectome Workbench read and wrote (`tests/scripts/make_workbench_fixtures.py`), and at the sizes of the Human
//! Connectome Project.

use std::path::Path;

use hebb::format::cifti::{
    BrainModelKind, BrainModels, CiftiReader, CiftiWriter, Label, LabelMap, Maps, Matrix, NamedMap, Parcel, Parcels,
    Places, Series, Structure, VolumeSpace, write_keys, write_maps,
};

use super::fixture;

const AFFINE: [[f64; 4]; 4] =
    [[-2.0, 0.0, 0.0, 90.0], [0.0, 2.0, 0.0, -126.0], [0.0, 0.0, 2.0, -72.0], [0.0, 0.0, 0.0, 1.0]];

fn structure(name: &str) -> Structure {
    Structure::new(name).unwrap()
}

fn places() -> BrainModels {
    let surface = |vertices: Vec<u32>| BrainModelKind::Surface { n_vertices: 20, vertices };
    let voxels = |ijk| BrainModelKind::Voxels { ijk };
    BrainModels::new(
        [
            (structure("CORTEX_LEFT"), surface((0..20).step_by(3).collect())),
            (structure("CORTEX_RIGHT"), surface(vec![19, 4, 11])),
            (structure("THALAMUS_LEFT"), voxels(vec![[1, 2, 3], [4, 3, 2]])),
            (structure("BRAIN_STEM"), voxels(vec![[0, 0, 0]])),
        ],
        Some(VolumeSpace::new([5, 6, 7], AFFINE).unwrap()),
    )
    .unwrap()
}

fn parcels() -> Places {
    let parcels = vec![
        Parcel { name: "V1".to_owned(), vertices: vec![(structure("CORTEX_LEFT"), vec![1, 2])], voxels: vec![] },
        Parcel { name: "deep & far".to_owned(), vertices: vec![], voxels: vec![[1, 1, 1], [2, 1, 1]] },
    ];
    let volume = VolumeSpace::new([5, 6, 7], AFFINE).unwrap();
    Places::Parcels(Parcels::new(parcels, vec![(structure("CORTEX_LEFT"), 20)], Some(volume)).unwrap())
}

/// The value that map `map` has at place `place` in every file here.
fn value(map: usize, place: usize) -> f32 {
    place as f32 * 0.25 - map as f32 * 100.0
}

fn labels() -> LabelMap {
    let label = |key, name: &str, rgba| Label { key, name: name.to_owned(), rgba };
    let labels = vec![
        label(0, "???", [0.0; 4]),
        label(1, "Visual <1>", [0.5, 0.25, 0.125, 1.0]),
        label(100_000, "Default \"A\" & B", [0.75, 0.0, 1.0, 0.5]),
    ];
    LabelMap { name: "networks".to_owned(), labels, metadata: Vec::new() }
}

#[test]
fn files_are_those_that_nibabel_was_shown() {
    let folder = tempfile::tempdir().unwrap();
    let series = Maps::Series(Series::seconds(5, 0.72));
    let scalars = Maps::Scalars(vec![NamedMap::new("accuracy"), NamedMap::new("p < 0.05 & more")]);
    let with_values = [
        ("x.dtseries.nii", Matrix::dense(series.clone(), places())),
        ("x.dscalar.nii", Matrix::dense(scalars, places())),
        ("x.ptseries.nii", Matrix { maps: series, places: parcels(), metadata: Vec::new() }),
    ];
    for (name, matrix) in with_values {
        let (n_maps, n_places) = (matrix.maps.len(), matrix.places.len());
        let values: Vec<f32> = (0..n_maps).flat_map(|map| (0..n_places).map(move |place| value(map, place))).collect();
        write_maps(&folder.path().join(name), &matrix, &values).unwrap();
    }
    let keys: Vec<i32> = (0..places().len()).map(|place| [0, 1, 100_000][place % 3]).collect();
    let matrix = Matrix::dense(Maps::Labels(vec![labels()]), places());
    write_keys(&folder.path().join("x.dlabel.nii"), &matrix, &keys).unwrap();
    for name in ["x.dtseries.nii", "x.dscalar.nii", "x.ptseries.nii", "x.dlabel.nii"] {
        let written = std::fs::read(folder.path().join(name)).unwrap();
        let committed = std::fs::read(fixture(&format!("cifti_written/{name}"))).unwrap_or_default();
        if written != committed {
            let kept = folder.keep();
            panic!(
                "{name} is not the committed file: if that is meant, copy {} to tests/fixtures/brain/cifti_written and \
                 run tests/scripts/check_cifti.py",
                kept.display()
            );
        }
    }
}

fn read(name: &str) -> (Matrix, Vec<f32>) {
    let mut reader = CiftiReader::open(&fixture(name)).unwrap();
    let matrix = reader.info().matrix.clone();
    let (n_maps, n_places) = (matrix.maps.len(), matrix.places.len());
    let mut values = vec![0.0; n_maps * n_places];
    let (maps, places): (Vec<usize>, Vec<usize>) = ((0..n_maps).collect(), (0..n_places).collect());
    reader.read_rows(&places, &maps, &mut values).unwrap();
    (matrix, values)
}

#[test]
fn workbench_reads_what_is_written_and_is_read_itself() {
    for name in ["x.dtseries.nii", "x.dscalar.nii", "x.ptseries.nii", "x.dlabel.nii"] {
        let (ours, ours_values) = read(&format!("cifti_written/{name}"));
        let (theirs, values) = read(&format!("cifti_workbench/{name}"));
        assert_eq!((&theirs.maps, &theirs.places), (&ours.maps, &ours.places), "{name}");
        assert_eq!(values, ours_values, "{name}");
    }
    let (matrix, scaled) = read("cifti_workbench/scaled.dtseries.nii");
    let (ours, exact) = read("cifti_written/x.dtseries.nii");
    assert_eq!(matrix.places, ours.places);
    // Half a step of 16 bits over the range of 600 for which the script asked.
    let half_step = 600.0 / f32::from(u16::MAX) / 2.0;
    assert!(scaled.iter().zip(&exact).all(|(a, b)| (a - b).abs() <= 1.01 * half_step), "{scaled:?}");
    assert_ne!(scaled, exact);
}

/// Places of as many vertices and voxels as the named grids of the Human Connectome Project have.
fn grayordinates(n_vertices: u32, left: u32, right: u32, n_voxels: u32) -> BrainModels {
    let surface =
        |n: u32| BrainModelKind::Surface { n_vertices, vertices: (0..n).map(|v| v + n_vertices - n).collect() };
    let ijk = (0..n_voxels).map(|n| [n % 90, n / 90 % 100, n / 9000]).collect();
    BrainModels::new(
        [
            (structure("CORTEX_LEFT"), surface(left)),
            (structure("CORTEX_RIGHT"), surface(right)),
            (structure("OTHER"), BrainModelKind::Voxels { ijk }),
        ],
        Some(VolumeSpace::new([91, 109, 91], AFFINE).unwrap()),
    )
    .unwrap()
}

fn round_trip(path: &Path, places: BrainModels, n_maps: usize) {
    let n_places = places.len();
    let matrix = Matrix::dense(Maps::Series(Series::seconds(n_maps, 1.0)), places);
    let mut writer = CiftiWriter::create(path, &matrix).unwrap();
    for place in 0..n_places {
        writer.write_place(&(0..n_maps).map(|map| value(map, place)).collect::<Vec<f32>>()).unwrap();
    }
    writer.finish().unwrap();
    let mut reader = CiftiReader::open(path).unwrap();
    assert_eq!(reader.info().matrix, matrix);
    let (asked, maps) = ((0..n_places).step_by(1001).collect::<Vec<usize>>(), [0, n_maps - 1]);
    let mut values = vec![0.0; 2 * asked.len()];
    reader.read_rows(&asked, &maps, &mut values).unwrap();
    let expected: Vec<f32> = maps.iter().flat_map(|&map| asked.iter().map(move |&place| value(map, place))).collect();
    assert_eq!(values, expected);
}

#[test]
fn grids_of_the_human_connectome_project_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.dtseries.nii");
    let two_mm = grayordinates(32_492, 29_696, 29_716, 31_870);
    assert_eq!(two_mm.len(), 91_282);
    round_trip(&path, two_mm, 3);
    let finer = grayordinates(59_292, 54_216, 54_225, 62_053);
    assert_eq!(finer.len(), 170_494);
    round_trip(&path, finer, 2);
}
