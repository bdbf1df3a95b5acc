//! Atlases on their own grid: networks of labels, networks of maps, and what does not fit.

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::format::nifti::{ImageHeader, SampleType, VolumeWriter};

const AFFINE: [[f64; 4]; 4] = [[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]];

fn atlas(table: &str) -> Result<Atlas, AtlasError> {
    let folder = tempfile::tempdir().unwrap();
    let (image, rows) = (folder.path().join("a.nii.gz"), folder.path().join("a.tsv"));
    nifti::write_labels(&image, [2, 2, 1], AFFINE, &[0, 1, 2, 9]).unwrap();
    std::fs::write(&rows, table).unwrap();
    Atlas::read(&image, &rows)
}

fn single(atlas: &Atlas) -> Vec<Option<usize>> {
    atlas.membership(&atlas.grid).unwrap().0.single().unwrap()
}

/// An image of maps on a grid of 2 x 2 x 1, and the folder that keeps it.
fn maps(volumes: &[[f32; 4]]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("p.nii.gz");
    let header = ImageHeader {
        n_volumes: Some(volumes.len()),
        sample_type: SampleType::F32,
        ..ImageHeader::map([2, 2, 1], AFFINE)
    };
    let mut writer = VolumeWriter::create(&image, &header).unwrap();
    volumes.iter().for_each(|volume| writer.write_volume(volume).unwrap());
    writer.finish().unwrap();
    (folder, image)
}

fn at(threshold: f64) -> Reading {
    Reading { threshold: Some(threshold), ..Reading::default() }
}

#[test]
fn many_parcels_make_one_network() {
    let atlas = atlas("index\tname\tnetwork\tcolor\n0\tBackground\tn/a\tn/a\n1\tV1\tvisual\t#781286\n2\tV2\tvisual\tn/a\n7\tA1\tn/a\tn/a\n").unwrap();
    assert_eq!(atlas.networks, [Network { name: "visual".to_owned(), color: Some("#781286".to_owned()) }]);
    assert_eq!(single(&atlas), [None, Some(0), Some(0), None]);
    let texts: Vec<String> = atlas.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "label 9 of 1 voxels has no row in the atlas table: they belong to no network",
            "parcel `A1` of the atlas table: no voxel carries its label 7",
        ]
    );
}

#[test]
fn parcels_without_networks_are_networks() {
    let atlas = atlas("index\tname\n1\tV1\n2\tV2\n9\tMT\n").unwrap();
    assert_eq!(atlas.network_names(), ["V1", "V2", "MT"]);
    assert!(atlas.warnings.is_empty());
}

#[test]
fn numbered_networks_get_their_names() {
    let yeo = "0 NONE 0 0 0 0\n1 7Networks_1 120 18 134 0\n2 7Networks_2 70 130 180 0\n9 7Networks_7 205 62 78 0\n";
    let atlas = atlas(yeo).unwrap();
    assert_eq!(atlas.network_names(), ["Vis", "SomMot", "Default"]);
    assert_eq!(atlas.networks[0].color.as_deref(), Some("#781286"));
    assert_eq!(single(&atlas), [None, Some(0), Some(1), Some(2)]);
}

#[test]
fn dictionaries_of_labels_describe_no_regions_of_their_own() {
    let atlas = atlas("1 Left-A 1 2 3 0\n2 Right-A 4 5 6 0\n3 Absent 0 0 0 0\n77 Absent-too 0 0 0 0\n").unwrap();
    assert_eq!(atlas.network_names(), ["Left-A", "Right-A"]);
    let texts: Vec<String> = atlas.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "label 9 of 1 voxels has no row in the atlas table: they belong to no network",
            "2 rows of the colour table describe labels that no voxel carries: they are left out",
        ]
    );
}

#[test]
fn defective_tables_name_the_defect() {
    for (table, expected) in [
        ("name\nV1\n", "a.tsv` is no table of labels, it begins `name`: as TSV its header needs columns `index`"),
        ("index\tname\n1\tV1\n1\tV2\n", "line 3 describes label 1 again"),
        ("index\tname\tcolor\n1\tV1\tred\n", "line 2 column `color`: `red`, expected a colour such as `#4682b4`"),
        ("index\tname\nn/a\tV1\n", "column `index`: `n/a`, expected the label of a parcel"),
        ("index\tname\n5\tV1\n", "do not belong together"),
        ("5 V1 0 0 0 0\n", "do not belong together"),
        ("index\tname\n", "do not belong together"),
        ("index\tname\n1\tV1;V2\n", "a.tsv`: network name `V1;V2` holds `;`"),
    ] {
        let error = atlas(table).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn labels_are_written_and_read_back() {
    let atlas =
        atlas("index\tname\tnetwork\tcolor\n1\tV1\tvisual\t#781286\n2\tA1\tn/a\tn/a\n9\tV2\tvisual\tn/a\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (image, table) = (folder.path().join("b.nii.gz"), folder.path().join("b.tsv"));
    atlas.write(&image, &table).unwrap();
    assert_eq!(Atlas::read(&image, &table).unwrap(), atlas);
}

#[test]
fn maps_overlap_and_a_tie_belongs() {
    let (_folder, image) = maps(&[[0.7, 0.69, 0.0, 0.2], [0.9, 0.8, 0.0, 0.1]]);
    let atlas = Atlas::read_as(&image, None, &at(0.7)).unwrap();
    assert_eq!(atlas.network_names(), ["map-1", "map-2"]);
    let (membership, warnings) = atlas.membership(&atlas.grid).unwrap();
    assert_eq!(membership, Membership::from_rows(2, [vec![0, 1], vec![1], vec![], vec![]]));
    assert!(warnings.is_empty());
    assert!(matches!(atlas.write(&image, &image), Err(AtlasError::NotLabels { .. })));
}

#[test]
fn maps_of_one_network_are_united() {
    let (folder, image) = maps(&[[0.9, 0.0, 0.0, 0.0], [0.9, 0.9, 0.0, 0.0], [0.0, 0.0, 0.9, 0.0]]);
    let table = folder.path().join("p.tsv");
    std::fs::write(&table, "index\tname\tnetwork\n1\ta\tx\n2\tb\tx\n3\tc\tn/a\n").unwrap();
    let atlas = Atlas::read_as(&image, Some(&table), &at(0.5)).unwrap();
    assert_eq!(atlas.membership(&atlas.grid).unwrap().0, Membership::from_rows(1, [vec![0], vec![0], vec![], vec![]]));
}

#[test]
fn odd_maps_are_told() {
    let (_folder, image) = maps(&[[f32::NAN, f32::INFINITY, 80.0, 30.0]]);
    let texts = |threshold| {
        let atlas = Atlas::read_as(&image, None, &at(threshold)).unwrap();
        let (membership, warnings) = atlas.membership(&atlas.grid).unwrap();
        (membership.counts(), warnings.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let not_finite = "map `map-1` is not a number in 2 voxels: they count as probability 0".to_owned();
    assert_eq!(texts(25.0), (vec![2], vec![not_finite.clone()]));
    let scale = |end: &str| format!("the threshold of the maps is {end}");
    assert_eq!(
        texts(0.25),
        (vec![2], vec![not_finite.clone(), scale("0.25, their largest value 80: are they per cent?")])
    );
    assert_eq!(
        texts(90.0),
        (vec![0], vec![not_finite, scale("90, their largest value 80: no voxel belongs to any map")])
    );
}

#[test]
fn labels_and_maps_are_not_taken_for_each_other() {
    let (_folder, image) = maps(&[[1.0, 70_000.0, 0.0, 2.0], [1.0, 1.0, 3.0, 0.0]]);
    let error = Atlas::read_as(&image, Some(&image), &Reading::default()).unwrap_err().to_string();
    assert!(error.contains("it is binary"), "{error}");
    let error = Atlas::read_as(&image, None, &Reading::default()).unwrap_err().to_string();
    assert!(error.contains("has 2 volumes, a label atlas has one: set `threshold` if"), "{error}");
    let atlas = Atlas::read_as(&image, None, &at(0.5)).unwrap();
    let error = atlas.membership(&atlas.grid).unwrap_err().to_string();
    assert!(error.contains("volume 0 holds whole numbers up to 70000, which are labels"), "{error}");
    for found in [0.0, -1.0, f64::NAN] {
        assert!(matches!(Atlas::read_as(&image, None, &at(found)), Err(AtlasError::Threshold { .. })));
    }
}

#[test]
fn maps_that_hold_everything_are_refused() {
    let (_folder, image) = maps(&[[0.5; 4]; 17]);
    let atlas = Atlas::read_as(&image, None, &at(0.1)).unwrap();
    let error = atlas.membership(&atlas.grid).unwrap_err().to_string();
    assert!(error.ends_with("hold a voxel 16 times on average: raise the threshold"), "{error}");
    assert_eq!(Atlas::read_as(&image, None, &at(0.6)).unwrap().membership(&atlas.grid).unwrap().0.counts(), [0; 17]);
}
