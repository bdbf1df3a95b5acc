//! Any bytes taken for a model's weights as safetensors: refused, or tensors with as many numbers as their shapes say.
//!
//! The first byte chooses: bytes as they are, or bytes as the header of a file whose lengths are right.

use std::fs;

use hebb::model::{graph::Part, weights::Weights};

use super::scratch;

/// Bytes behind a header that is put in place.
const DATA_BYTES: usize = 4096;

/// Feeds one input.
pub fn run(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let file = if choice % 2 == 0 {
        bytes.to_vec()
    } else {
        [&(bytes.len() as u64).to_le_bytes(), bytes, &[1; DATA_BYTES]].concat()
    };
    let folder = scratch::folder();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, &file).expect("writable");
    let Ok(weights) = Weights::open(folder.path()) else { return };
    for name in weights.unused(&[]) {
        let shape = weights.shape(&name).expect("it was named").to_vec();
        let part = Part::whole(&name, &shape);
        let Ok(floats) = weights.floats(&part) else { continue };
        assert_eq!(floats.len(), shape.iter().product::<usize>());
        assert_eq!(weights.f32_bytes(&part).expect("as numbers it was read").len(), 4 * floats.len());
        if let Some(place) = weights.place(&part) {
            assert!(place.offset + place.length <= file.len() as u64);
        }
        if let Some(&n_rows) = shape.first().filter(|&&n_rows| n_rows > 1) {
            let last = Part { rows: Some(n_rows - 1..n_rows), ..part };
            let row = weights.floats(&last).expect("a row of what was read");
            let tail = &floats[floats.len() - row.len()..];
            assert!(row.iter().map(|value| value.to_bits()).eq(tail.iter().map(|value| value.to_bits())));
        }
    }
    weights.assert_whole().expect("nobody changed it");
}
