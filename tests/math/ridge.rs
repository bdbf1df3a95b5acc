//! Ridge regression against himalaya's `RidgeCV` (and so `KernelRidgeCV` and scikit-learn, which the script checks).

use hebb::math::folds::contiguous_blocks;
use hebb::math::ridge::{AlphaChoice, CvScore, Ridge, RidgeForm, RidgeOptions};
use ndarray::{Array2, Array3, Axis, s};
use serde::Deserialize;

use super::{matrix, relative_error, table};

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    input: String,
    row: usize,
    n_samples: usize,
    intercept: bool,
    score: CvScore,
    per_target: bool,
    alphas: Vec<f64>,
    n_folds: usize,
    best_alphas: Vec<f64>,
    intercepts: Vec<f32>,
    sklearn_alphas: Option<Vec<f64>>,
}

#[test]
fn penalties_coefficients_and_predictions_equal_himalaya() {
    let mut worst = (0.0f32, 0.0f32);
    for case in table::<Cases>("ridge").cases {
        let x: Array2<f32> = matrix(&format!("ridge_{}_x", case.input));
        let y: Array2<f32> = matrix(&format!("ridge_{}_y", case.input));
        let coefficients: Array3<f32> = matrix(&format!("ridge_{}_coefficients", case.input));
        let predictions: Array3<f32> = matrix(&format!("ridge_{}_predictions", case.input));
        let (train, test) = (s![..case.n_samples, ..], s![case.n_samples.., ..]);
        let folds = contiguous_blocks(case.n_samples, case.n_folds, 0).unwrap();
        for form in [RidgeForm::Auto, RidgeForm::Primal, RidgeForm::Dual] {
            let options = RidgeOptions {
                alphas: case.alphas.clone(),
                alpha_choice: if case.per_target { AlphaChoice::PerTarget } else { AlphaChoice::Shared },
                score: case.score,
                intercept: case.intercept,
                form,
                ..RidgeOptions::default()
            };
            let ridge = Ridge::factorise(x.slice(train), &folds, options).unwrap();
            let (fit, prediction) = ridge.fit_predict(y.slice(train), x.slice(test)).unwrap();
            let chosen: Vec<f64> = fit.best_alpha.iter().map(|best| case.alphas[best.unwrap()]).collect();
            for expected in [Some(&case.best_alphas), case.sklearn_alphas.as_ref()].into_iter().flatten() {
                assert!(
                    chosen.iter().zip(expected).all(|(a, b)| (a / b - 1.0).abs() < 1e-9),
                    "{chosen:?} {expected:?}"
                );
            }
            let own_coefficients = fit.coefficients.as_ref().expect("asked for");
            worst.0 = worst.0.max(relative_error(own_coefficients, coefficients.index_axis(Axis(0), case.row)));
            let expected = predictions.index_axis(Axis(0), case.row);
            worst.1 = worst.1.max(relative_error(&prediction, expected));
            let through_coefficients = fit.predict(x.slice(test)).unwrap().expect("coefficients were kept");
            worst.1 = worst.1.max(relative_error(&through_coefficients, expected));
            for (found, expected) in fit.intercepts.unwrap().iter().zip(&case.intercepts) {
                assert!((found - expected).abs() < 1e-5, "{found} {expected}");
            }
        }
    }
    println!("largest relative error: coefficients {:.1e}, predictions {:.1e}", worst.0, worst.1);
    assert!(worst.0 < 1e-5 && worst.1 < 1e-5, "{worst:?}");
}
