//! Response functions, scores and q values against nilearn, SciPy, scikit-learn and statsmodels.

use hebb::math::fdr::benjamini_hochberg;
use hebb::math::scores::{pearson_columns, r2_columns};
use hebb::math::series::Hrf;
use ndarray::Array2;
use serde::Deserialize;

use super::{matrix, table};

#[derive(Deserialize)]
struct Kernels {
    cases: Vec<Kernel>,
}

#[derive(Deserialize)]
struct Kernel {
    hrf: Hrf,
    repetition_time_s: f64,
    oversampling: usize,
    time_length_s: f64,
    kernel: Vec<f64>,
}

#[test]
fn kernels_equal_nilearn() {
    for case in table::<Kernels>("hrf").cases {
        let found = case.hrf.kernel(case.repetition_time_s, case.oversampling, case.time_length_s).unwrap();
        assert_eq!(found.len(), case.kernel.len());
        let error = found.iter().zip(&case.kernel).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
        assert!(error < 1e-13, "{:?}: {error}", case.hrf);
    }
}

#[test]
fn q_values_equal_statsmodels() {
    #[derive(Deserialize)]
    struct Fdr {
        p: Vec<f64>,
        q: Vec<f64>,
    }
    let fdr: Fdr = table("fdr");
    let p: Vec<Option<f64>> = fdr.p.into_iter().map(Some).collect();
    for (found, expected) in benjamini_hochberg(&p).unwrap().into_iter().zip(fdr.q) {
        assert!((found.unwrap() - expected).abs() < 1e-14);
    }
}

#[test]
fn scores_equal_scipy_and_scikit_learn() {
    #[derive(Deserialize)]
    struct Scores {
        r: Vec<f64>,
        r2: Vec<f64>,
    }
    let expected: Scores = table("scores");
    let (data, prediction): (Array2<f32>, Array2<f32>) = (matrix("scores_data"), matrix("scores_prediction"));
    let r = pearson_columns(data.view(), prediction.view()).unwrap();
    let r2 = r2_columns(data.view(), prediction.view()).unwrap();
    for (found, expected) in r.iter().chain(&r2).zip(expected.r.iter().chain(&expected.r2)) {
        assert!((found.unwrap() - expected).abs() < 1e-12);
    }
}
