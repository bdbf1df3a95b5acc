//! CIFTI-2 files that nibabel wrote are read with nibabel's axes and values, and damaged ones refused.

use std::path::Path;

use hebb::format::cifti::{
    CiftiError, CiftiReader, LabelMap, Maps, Parcels, Place, Places, Position, SeriesUnit, read_cifti_info,
};
use hebb::format::nifti::{NiftiError, read_extensions, read_info};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixture;

const NAMES: [&str; 8] = [
    "floats.dlabel.nii",
    "integers.dtseries.nii",
    "x.dlabel.nii",
    "x.dscalar.nii",
    "x.dtseries.nii",
    "x.plabel.nii",
    "x.pscalar.nii",
    "x.ptseries.nii",
];

fn expected(name: &str) -> Value {
    let text = std::fs::read_to_string(fixture("cifti/expected.json")).unwrap();
    let mut all: Value = serde_json::from_str(&text).unwrap();
    let mut names: Vec<&String> = all.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, NAMES);
    all[name].take()
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(&format!("cifti/{name}"))).unwrap()
}

fn place_in_words(place: Place<'_>) -> Value {
    let structure = place.structure.name();
    match place.position {
        Position::Vertex(vertex) => json!([structure, vertex]),
        Position::Voxel { ijk: [i, j, k], mm: [x, y, z] } => json!([structure, i, j, k, x, y, z]),
    }
}

fn parcels_in_words(parcels: &Parcels) -> Value {
    let words = parcels.parcels().iter().map(|parcel| {
        let vertices: serde_json::Map<String, Value> =
            parcel.vertices.iter().map(|(structure, list)| (structure.name().to_owned(), json!(list))).collect();
        json!({"name": parcel.name, "voxels": parcel.voxels, "vertices": vertices})
    });
    Value::Array(words.collect())
}

fn labels_in_words(map: &LabelMap) -> Value {
    let mut labels: Vec<_> = map.labels.iter().collect();
    labels.sort_by_key(|label| label.key);
    let labels: Vec<Value> =
        labels.iter().map(|label| json!([label.key, label.name, label.rgba.map(hundredths)])).collect();
    json!([map.name, labels])
}

/// The colours of the fixtures have two decimals, which 32-bit floats hold and lose when they are widened.
fn hundredths(part: f32) -> f64 {
    (f64::from(part) * 100.0).round() / 100.0
}

/// Whether two values are equal but for the rounding of numbers.
fn close(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| close(a, b))
        }
        (Value::Number(found), Value::Number(expected)) => {
            (found.as_f64().unwrap() - expected.as_f64().unwrap()).abs() < 1e-9
        }
        _ => found == expected,
    }
}

#[test]
fn axes_are_those_of_nibabel() {
    for name in NAMES {
        let expected = expected(name);
        let info = read_cifti_info(&fixture(&format!("cifti/{name}"))).unwrap();
        let places = match &info.matrix.places {
            Places::Dense(models) => models.places().map(place_in_words).collect(),
            Places::Parcels(parcels) => parcels_in_words(parcels),
        };
        assert!(close(&places, &expected["places"]), "{name} {places}");
        let maps = match &info.matrix.maps {
            Maps::Series(series) => {
                assert_eq!((series.unit, series.step_s()), (SeriesUnit::Second, Some(0.72)));
                json!({"start": series.start, "step": series.step, "unit": "SECOND", "size": series.n_points})
            }
            Maps::Scalars(maps) => maps.iter().map(|map| json!(map.name)).collect(),
            Maps::Labels(maps) => maps.iter().map(labels_in_words).collect(),
        };
        assert!(close(&maps, &expected["maps"]), "{name} {maps}");
    }
}

#[test]
fn values_are_those_of_nibabel() {
    for name in NAMES {
        let expected: Vec<Vec<f32>> = serde_json::from_value(expected(name)["values"].take()).unwrap();
        let mut reader = CiftiReader::from_bytes(Path::new(name), bytes(name)).unwrap();
        let (n_maps, n_places) = (reader.info().n_maps(), reader.info().n_places());
        assert_eq!((n_maps, n_places), (expected.len(), expected[0].len()), "{name}");
        let (maps, places): (Vec<usize>, Vec<usize>) = ((0..n_maps).collect(), (0..n_places).collect());
        let mut matrix = vec![0.0; n_maps * n_places];
        reader.read_rows(&places, &maps, &mut matrix).unwrap();
        assert_eq!(matrix, expected.concat(), "{name}");

        // Every third place, the last map: passed over places and maps leave no trace.
        let places: Vec<usize> = (0..n_places).step_by(3).collect();
        let mut reader = CiftiReader::open(&fixture(&format!("cifti/{name}"))).unwrap();
        let mut found = Vec::new();
        reader
            .each_place(&places, &[n_maps - 1], |column, values| {
                assert_eq!((column, values.len()), (found.len(), 1));
                found.push(values[0]);
                Ok::<(), CiftiError>(())
            })
            .unwrap();
        let chosen: Vec<f32> = places.iter().map(|&place| expected[n_maps - 1][place]).collect();
        assert_eq!(found, chosen, "{name}");
    }
}

#[test]
fn keys_are_whole_numbers_with_a_label() {
    for name in ["x.dlabel.nii", "x.plabel.nii", "floats.dlabel.nii"] {
        let expected: Vec<Vec<f32>> = serde_json::from_value(expected(name)["values"].take()).unwrap();
        let keys = CiftiReader::from_bytes(Path::new(name), bytes(name)).unwrap().read_keys().unwrap();
        let as_keys = |row: Vec<f32>| row.into_iter().map(|key| key as i32).collect::<Vec<i32>>();
        assert_eq!(keys, expected.into_iter().map(as_keys).collect::<Vec<_>>(), "{name}");
    }
    let error = CiftiReader::from_bytes(Path::new("x"), bytes("x.dscalar.nii")).unwrap().read_keys().unwrap_err();
    assert!(error.to_string().contains("holds dense scalars (`.dscalar.nii`), expected labels"), "{error}");
    let mut unknown = bytes("x.dlabel.nii");
    let last = unknown.len() - 4;
    unknown[last..].copy_from_slice(&5_i32.to_le_bytes());
    let error = CiftiReader::from_bytes(Path::new("x"), unknown).unwrap().read_keys().unwrap_err().to_string();
    assert!(error.contains("holds the label 5 at place") && error.contains("of map `second`"), "{error}");
    let mut fraction = bytes("floats.dlabel.nii");
    let last = fraction.len() - 4;
    fraction[last..].copy_from_slice(&0.5_f32.to_le_bytes());
    let error = CiftiReader::from_bytes(Path::new("x"), fraction).unwrap().read_keys().unwrap_err().to_string();
    assert!(error.contains("the label 0.5") && error.ends_with("expected a whole number"), "{error}");
}

#[test]
fn matrices_that_contradict_their_xml_are_refused() {
    let open = |bytes| CiftiReader::from_bytes(Path::new("x.dtseries.nii"), bytes).map(drop).unwrap_err();
    let whole = bytes("x.dtseries.nii");
    for (at, value) in [(16, 5_i64), (16, -1), (24, 2), (16 + 5 * 8, 8), (16 + 6 * 8, 43), (16 + 6 * 8, i64::MIN)] {
        let mut damaged = whole.clone();
        damaged[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let error = open(damaged);
        assert!(matches!(error, CiftiError::Dimensions { .. }), "{at} {value} {error}");
    }
    let error = open(whole[..whole.len() - 1].to_vec());
    assert!(matches!(error, CiftiError::File(NiftiError::TooShort { .. })), "{error}");
    // An extension that says it is longer than the header, one of no length, one of another code.
    for (at, value, expected) in [
        (544, i32::MAX, "has a header extension of 2147483647 bytes at byte 544"),
        (544, 0, "has a header extension of 0 bytes"),
        (544, -16, "has a header extension of -16 bytes"),
        (544, 24, "has a header extension of 24 bytes"),
        (548, 6, "does not have exactly one header extension of code 32"),
    ] {
        let mut damaged = whole.clone();
        damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let error = open(damaged).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = open(std::fs::read(fixture("nifti2/u1_big.nii")).unwrap()).to_string();
    assert!(error.contains("does not have exactly one header extension of code 32"), "{error}");
    let error = open(std::fs::read(fixture("images/u1_big.nii")).unwrap()).to_string();
    assert!(error.contains("is not a CIFTI-2 file: it is a NIfTI-1 image"), "{error}");
    let error = read_info(&fixture("cifti/x.dscalar.nii")).unwrap_err().to_string();
    assert!(error.contains("this is a CIFTI file"), "{error}");
    assert_eq!(read_extensions(&fixture("cifti/x.dscalar.nii")).unwrap()[0].code, 32);
}

fn read_all(bytes: Vec<u8>) -> Result<usize, CiftiError> {
    let mut reader = CiftiReader::from_bytes(Path::new("x.nii"), bytes)?;
    let places: Vec<usize> = (0..reader.info().n_places()).collect();
    let mut n_read = 0;
    reader.each_place(&places, &[0], |_, _| {
        n_read += 1;
        Ok::<(), CiftiError>(())
    })?;
    Ok(n_read)
}

#[test]
fn truncation_anywhere_is_an_error() {
    let whole = bytes("x.dtseries.nii");
    assert_eq!(read_all(whole.clone()).unwrap(), 44);
    for length in (0..whole.len()).step_by(5) {
        assert!(read_all(whole[..length].to_vec()).is_err(), "cut to {length} of {}", whole.len());
    }
}

proptest! {
    #[test]
    fn damaged_files_never_panic(
        name in prop::sample::select(&NAMES[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_header in any::<bool>(),
    ) {
        let mut damaged = bytes(name);
        let n_bytes = if in_header { 560 } else { damaged.len() };
        for (index, value) in changes {
            damaged[index.index(n_bytes)] = value;
        }
        if let Ok(n_read) = read_all(damaged.clone()) {
            prop_assert!(n_read <= damaged.len());
        }
        drop(CiftiReader::from_bytes(Path::new(name), damaged).map(|mut reader| reader.read_keys()));
    }
}
