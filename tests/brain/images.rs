//! Every image nibabel wrote is read with nibabel's values, affine and repetition time.

use std::collections::BTreeMap;

use hebb::format::nifti::{NiftiError, VolumeReader, read_info, read_labels, read_volume};
use serde::Deserialize;

use super::fixture;

/// What nibabel wrote into an image.
#[derive(Deserialize)]
struct Expected {
    shape: Vec<usize>,
    affine: [[f64; 4]; 4],
    values: Vec<f64>,
}

/// What nibabel wrote into the images of a folder of fixtures, by their names.
fn expected(folder: &str) -> BTreeMap<String, Expected> {
    let text = std::fs::read_to_string(fixture(&format!("{folder}/expected.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The values of each image of a folder, each checked to have nibabel's values, affine, shape and this version.
pub(super) fn values_as_in_nibabel(folder: &str, version: u8, n_images: usize) -> BTreeMap<String, Vec<f32>> {
    let expected = expected(folder);
    assert_eq!(expected.len(), n_images);
    let checked = |(name, expected): (String, Expected)| {
        let mut reader = VolumeReader::open(&fixture(&format!("{folder}/{name}"))).unwrap();
        let info = reader.info().clone();
        assert_eq!((info.version, &info.shape[..]), (version, &expected.shape[..3]), "{name}");
        assert_eq!(info.n_volumes, expected.shape[3..].iter().product::<usize>(), "{name}");
        for (found, expected) in info.affine.unwrap().as_flattened().iter().zip(expected.affine.as_flattened()) {
            assert!((found - expected).abs() < 1e-12 * expected.abs().max(1.0), "{name} {:?}", info.affine);
        }
        let mut values = Vec::new();
        reader
            .each_volume(|_, volume| {
                values.extend_from_slice(volume);
                Ok::<(), NiftiError>(())
            })
            .unwrap();
        assert_eq!(values, expected.values.iter().map(|&value| value as f32).collect::<Vec<f32>>(), "{name}");
        (name, values)
    };
    expected.into_iter().map(checked).collect()
}

#[test]
fn values_and_affines_are_those_of_nibabel() {
    values_as_in_nibabel("images", 1, 27);
}

#[test]
fn repetition_times_are_seconds() {
    for (name, expected) in [
        ("series_seconds.nii.gz", Some(0.72)),
        ("series_milliseconds.nii.gz", Some(1.5)),
        ("series_microseconds_big.nii", Some(2.0)),
        ("series_rank5.nii.gz", Some(2.0)),
        ("scaled.nii.gz", None),
    ] {
        let info = read_info(&fixture(&format!("images/{name}"))).unwrap();
        assert_eq!(info.repetition_time_s, expected, "{name}");
    }
}

#[test]
fn whole_numbers_are_labels_and_fractions_are_not() {
    let (_, labels) = read_labels(&fixture("images/i4_big.nii")).unwrap();
    let (_, values) = read_volume(&fixture("images/i4_big.nii")).unwrap();
    assert!(labels.iter().zip(values).all(|(&label, value)| label as f32 == value));
    assert!(matches!(read_labels(&fixture("images/scaled.nii.gz")), Err(NiftiError::Label { .. })));
    assert!(matches!(read_volume(&fixture("images/series_seconds.nii.gz")), Err(NiftiError::Dimensions { .. })));
}
