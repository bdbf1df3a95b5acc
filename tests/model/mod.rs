//! The model part against transformers: fixtures of `tests/scripts/make_model_fixtures.py`.
//!
//! `taps` runs exported graphs, `stimuli` prepares images and captions, `folders` damages model
//! folders. Tests that run a graph need ONNX Runtime: see [`runtime`].

mod folders;
mod stimuli;
mod taps;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde::Deserialize;

/// The committed fixtures.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model")
}

/// The small model that transformers saved.
fn model_folder() -> PathBuf {
    fixtures().join("clip")
}

/// What `fixture.json` says.
#[derive(Deserialize)]
struct Fixture {
    captions: Vec<String>,
    ids: Vec<Vec<u32>>,
    images: Vec<String>,
}

fn fixture() -> Fixture {
    serde_json::from_slice(&std::fs::read(fixtures().join("fixture.json")).unwrap()).unwrap()
}

/// One array of `expected.safetensors`.
struct Expected {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Expected {
    fn floats(&self) -> Vec<f32> {
        self.bytes.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
    }
}

fn expected() -> BTreeMap<String, Expected> {
    let bytes = std::fs::read(fixtures().join("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    tensors
        .iter()
        .map(|(name, view)| {
            let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
            (name.to_owned(), Expected { shape, bytes })
        })
        .collect()
}

/// Loads the ONNX Runtime that `HEBB_ONNXRUNTIME` names, or one under `.engines/onnxruntime`.
///
/// False, with a word on stderr, where there is none: a test then has nothing to run on. In CI that is a failure.
pub(crate) fn runtime() -> bool {
    let named = std::env::var_os("HEBB_ONNXRUNTIME").map(PathBuf::from);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".engines/onnxruntime");
    let found = named.or_else(|| {
        let entries = std::fs::read_dir(folder).ok()?;
        let mut libraries: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().contains("libonnxruntime.so"))
            .collect();
        libraries.sort();
        libraries.pop()
    });
    let Some(path) = found else {
        assert!(std::env::var_os("CI").is_none(), "no ONNX Runtime, which every test has in CI; see `make setup`");
        eprintln!("skipped: no ONNX Runtime; set HEBB_ONNXRUNTIME to libonnxruntime.so");
        return false;
    };
    assert!(!hebb::model::load_runtime(&path).unwrap().is_empty());
    true
}
