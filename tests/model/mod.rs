//! The model part against transformers: fixtures of `tests/scripts/make_model_fixtures.py`.
//!
//! `taps` compares exported graphs with the original implementations, `exports` runs and damages them, `images` and `stimuli`
//! prepare images and captions, `controls` measures stimuli and draws twins, `folders` opens and damages models. Tests that run
//! a graph need ONNX Runtime: see [`runtime`].

mod controls;
mod exports;
mod folders;
mod full;
mod hub;
mod images;
mod stimuli;
mod taps;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

/// The committed fixtures.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model")
}

/// The small CLIP that transformers saved.
fn model_folder() -> PathBuf {
    fixtures().join("clip")
}

/// What a `fixture.json` says.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Fixture {
    captions: Vec<String>,
    ids: Vec<Vec<u32>>,
}

impl Fixture {
    fn read(path: &Path) -> Self {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }
}

/// One array of a safetensors file.
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    fn floats(&self) -> Vec<f32> {
        assert_eq!(self.dtype, Dtype::F32);
        self.bytes.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
    }

    fn doubles(&self) -> Vec<f64> {
        self.floats().into_iter().map(f64::from).collect()
    }

    fn matrix(&self) -> Array2<f64> {
        Array2::from_shape_vec((self.shape[0], self.shape[1]), self.doubles()).unwrap()
    }

    /// (rows, tokens, units).
    fn tokens(&self) -> Array3<f64> {
        let width = self.shape[2..].iter().product();
        Array3::from_shape_vec((self.shape[0], self.shape[1], width), self.doubles()).unwrap()
    }
}

/// The arrays of a safetensors file.
struct Tensors(BTreeMap<String, Tensor>);

impl Tensors {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = |view: safetensors::tensor::TensorView<'_>| Tensor {
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            bytes: view.data().to_vec(),
        };
        Self(tensors.iter().map(|(name, view)| (name.to_owned(), tensor(view))).collect())
    }

    fn get(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("no array `{name}`"))
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn integers(&self, name: &str) -> Vec<i64> {
        let tensor = self.get(name);
        assert_eq!(tensor.dtype, Dtype::I64);
        tensor.bytes.as_chunks::<8>().0.iter().map(|&eight| i64::from_le_bytes(eight)).collect()
    }
}

/// Captions that the small CLIP is tried with.
fn fixture() -> Fixture {
    Fixture::read(&model_folder().join("fixture.json"))
}

/// Loads the ONNX Runtime that tests run on; false, with a word on stderr, where there is none.
pub(crate) fn runtime() -> bool {
    let Some(path) = crate::cli::world::runtime() else { return false };
    assert!(!hebb::model::load_runtime(&path).unwrap().is_empty());
    true
}
