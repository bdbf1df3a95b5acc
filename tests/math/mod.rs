//! `math` against independent implementations: nilearn, scikit-learn, himalaya, SciPy and statsmodels.
//!
//! The numbers compared with are in `tests/fixtures/math`, made by `tests/scripts/make_math_fixtures.py` or by the script named
//! in a test's file.

mod banded;
mod dictionary;
mod evidence;
mod glm;
mod inference;
mod leakage;
mod polarity;
mod redundancy;
mod ridge;
mod statistics;

use std::path::PathBuf;

use ndarray_npy::ReadableElement;
use serde::de::DeserializeOwned;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/math").join(name)
}

fn matrix<A: ReadableElement, D: ndarray::Dimension>(name: &str) -> ndarray::Array<A, D> {
    ndarray_npy::read_npy(fixture(&format!("{name}.npy"))).expect("a committed fixture")
}

fn table<T: DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(fixture(&format!("{name}.json"))).expect("a committed fixture");
    serde_json::from_str(&text).expect("a fixture of this form")
}

/// Largest difference relative to the largest magnitude of what is expected; infinite where either is not a number.
fn relative_error<D: ndarray::Dimension>(
    found: &ndarray::Array<f32, D>,
    expected: ndarray::ArrayView<'_, f32, D>,
) -> f32 {
    assert_eq!(found.shape(), expected.shape());
    let scale = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let distance = |(a, b): (&f32, &f32)| if (a - b).is_nan() { f32::INFINITY } else { (a - b).abs() };
    found.iter().zip(&expected).map(distance).fold(0.0, f32::max) / scale
}
