//! Least squares, lasso, response derivatives and delays against statsmodels, nilearn and scikit-learn.

use hebb::math::folds::{contiguous_blocks, leave_one_run_out};
use hebb::math::lasso_cv::{LassoAlphas, LassoForm, LassoOptions, lasso, lasso_cv};
use hebb::math::ols::{Ar1Start, Effects, HeldOutOptions, Noise, OlsOptions, held_out, ols};
use hebb::math::ridge::CvScore;
use hebb::math::series::{Hrf, HrfPart, delay_columns};
use ndarray::Array2;
use serde::Deserialize;

use super::{matrix, relative_error, table};

#[test]
fn derivatives_of_the_response_equal_nilearn() {
    #[derive(Deserialize)]
    struct Kernels {
        cases: Vec<Kernel>,
    }
    #[derive(Deserialize)]
    struct Kernel {
        hrf: Hrf,
        part: HrfPart,
        repetition_time_s: f64,
        oversampling: usize,
        time_length_s: f64,
        kernel: Vec<f64>,
    }
    let mut worst = 0.0f64;
    for case in table::<Kernels>("glm_hrf").cases {
        let found =
            case.hrf.part_kernel(case.part, case.repetition_time_s, case.oversampling, case.time_length_s).unwrap();
        assert_eq!(found.len(), case.kernel.len());
        worst = found.iter().zip(&case.kernel).fold(worst, |m, (a, b)| m.max((a - b).abs()));
    }
    println!("largest difference of a kernel {worst:.1e}");
    assert!(worst < 1e-11, "{worst}");
}

/// Where a delay reaches before the run, nilearn has no stimulus and this crate the run's mean.
#[test]
fn delays_equal_nilearn_past_the_beginning_of_the_run() {
    #[derive(Deserialize)]
    struct Fir {
        n_tr: usize,
        delays: Vec<usize>,
        rows: Vec<usize>,
        amplitudes: Vec<f32>,
        regressors: Vec<Vec<f32>>,
    }
    let fir: Fir = table("glm_fir");
    let mut series = Array2::zeros((fir.n_tr, 1));
    for (&row, &amplitude) in fir.rows.iter().zip(&fir.amplitudes) {
        series[[row, 0]] = amplitude;
    }
    let delayed = delay_columns(series.view(), &vec![0; fir.n_tr], &fir.delays).unwrap();
    for (column, &delay) in fir.delays.iter().enumerate() {
        assert_eq!(delayed.column(column).to_vec()[delay..], fir.regressors[column][delay..], "{delay}");
        assert!(delayed.column(column).iter().take(delay).all(|&v| (v - 0.2).abs() < 1e-7));
    }
}

#[derive(Deserialize)]
struct Ols {
    contrasts: Vec<Vec<f32>>,
    runs: Vec<usize>,
    cases: Vec<OlsCase>,
    held_out: Scores,
}

#[derive(Deserialize)]
struct Scores {
    r: Vec<f64>,
    r2: Vec<f64>,
}

#[derive(Deserialize)]
struct OlsCase {
    intercept: bool,
    white: Vec<Model>,
    one_run: Vec<Model>,
    plain: Vec<Model>,
    stationary: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    rho: Option<f64>,
    estimates: Vec<f64>,
    errors: Vec<f64>,
    t: Vec<f64>,
    p: Option<Vec<f64>>,
    r2: Option<f64>,
    variance: Option<f64>,
    dof: Option<usize>,
    intercept: Option<f64>,
}

fn largest_relative(found: &Array2<Option<f32>>, target: usize, expected: &[f64]) -> f64 {
    assert_eq!(found.nrows(), expected.len());
    let column = found.column(target);
    let relative = |(a, b): (&Option<f32>, &f64)| {
        let error = (f64::from(a.expect("estimable")) / b - 1.0).abs();
        if error.is_nan() { f64::INFINITY } else { error }
    };
    column.iter().zip(expected).map(relative).fold(0.0, f64::max)
}

/// The contrasts begin with the single coefficients, so those are compared twice over.
#[test]
fn estimates_errors_t_and_p_equal_statsmodels_and_nilearn() {
    let fixture: Ols = table("glm_ols");
    let (x, y): (Array2<f32>, Array2<f32>) = (matrix("glm_x"), matrix("glm_y"));
    let contrasts = Array2::from_shape_fn((fixture.contrasts.len(), x.ncols()), |(i, j)| fixture.contrasts[i][j]);
    let (mut worst, mut worst_wide, mut worst_p) = (0.0f64, 0.0f64, 0.0f64);
    for case in &fixture.cases {
        let white = OlsOptions { intercept: case.intercept, ..OlsOptions::default() };
        let ar1 = OlsOptions { noise: Noise::Ar1, ..white.clone() };
        let stationary = OlsOptions { ar1_start: Ar1Start::Stationary, ..ar1.clone() };
        let runs = Some(fixture.runs.as_slice());
        for (options, runs, models) in [
            (&white, None, &case.white),
            (&ar1, None, &case.one_run),
            (&ar1, runs, &case.plain),
            (&stationary, runs, &case.stationary),
        ] {
            let fit = ols(x.view(), y.view(), Some(contrasts.view()), runs, options).unwrap();
            assert!(fit.warnings.is_empty(), "{:?}", fit.warnings);
            let effects = fit.contrasts.as_ref().expect("asked for");
            let p = effects.p_values(fit.residual_dof);
            for (target, model) in models.iter().enumerate() {
                if let Some(rho) = model.rho {
                    assert_eq!(fit.autocorrelations.as_ref().map(|rho| rho[target]), Some(rho));
                }
                for (found, expected) in [
                    (&effects.estimates, &model.estimates),
                    (&effects.standard_errors, &model.errors),
                    (&effects.t_values, &model.t),
                ] {
                    worst = worst.max(largest_relative(found, target, expected));
                }
                for (found, expected) in p.column(target).iter().zip(model.p.iter().flatten()) {
                    // The t values that p comes from are rounded to f32.
                    worst_p = worst_p.max((found.unwrap() / expected - 1.0).abs());
                }
                if let (Some(r2), Some(variance), Some(dof)) = (model.r2, model.variance, model.dof) {
                    worst_wide = worst_wide.max((fit.r2[target].unwrap() - r2).abs());
                    worst_wide = worst_wide.max((fit.residual_variances[target] / variance - 1.0).abs());
                    assert_eq!(fit.residual_dof, dof);
                }
                if let (Some(intercept), Some(found)) = (model.intercept, &fit.intercepts) {
                    worst = worst.max((f64::from(found[target]) / intercept - 1.0).abs());
                }
            }
            let Effects { estimates, .. } = &fit.coefficients;
            assert_eq!(estimates, effects.estimates.slice(ndarray::s![..x.ncols(), ..]));
        }
    }
    println!("largest relative error: f32 results {worst:.1e}, f64 results {worst_wide:.1e}, p values {worst_p:.1e}");
    assert!(worst < 1e-6 && worst_wide < 1e-10 && worst_p < 1e-4, "{worst} {worst_wide} {worst_p}");
}

#[test]
fn held_out_scores_equal_scikit_learn_and_scipy() {
    let fixture: Ols = table("glm_ols");
    let (x, y): (Array2<f32>, Array2<f32>) = (matrix("glm_x"), matrix("glm_y"));
    let folds = leave_one_run_out(&fixture.runs).unwrap();
    let found = held_out(x.view(), y.view(), &folds, HeldOutOptions::default()).unwrap();
    let expected = fixture.held_out.r.iter().chain(&fixture.held_out.r2);
    let worst = found.r.iter().chain(&found.r2).zip(expected).map(|(a, b)| (a.unwrap() - b).abs()).fold(0.0, f64::max);
    println!("largest difference of a held-out score {worst:.1e}");
    assert!(worst < 2e-6, "{worst}");
}

#[derive(Deserialize)]
struct Lasso {
    n_folds: usize,
    n_alphas: usize,
    smallest_share: f64,
    fixed_alpha: f64,
    cases: Vec<LassoCase>,
}

#[derive(Deserialize)]
struct LassoCase {
    name: String,
    targets: Vec<LassoTarget>,
}

#[derive(Deserialize)]
struct LassoTarget {
    alphas: Vec<f64>,
    alpha: f64,
    scores: Vec<f32>,
    intercept: f32,
}

#[test]
fn penalties_scores_and_coefficients_equal_scikit_learn() {
    let fixture: Lasso = table("glm_lasso");
    let (mut worst, mut worst_score) = (0.0f32, 0.0f32);
    for case in &fixture.cases {
        let read = |part: &str| -> Array2<f32> { matrix(&format!("glm_lasso_{}_{part}", case.name)) };
        let (x, y, coefficients, fixed) = (read("x"), read("y"), read("coefficients"), read("fixed"));
        assert!([&coefficients, &fixed].iter().all(|b| b.iter().any(|b| b.abs() > 0.1)), "something to compare with");
        let folds = contiguous_blocks(x.nrows(), fixture.n_folds, 0).unwrap();
        for form in [LassoForm::Gram, LassoForm::WorkingSet] {
            let options = LassoOptions {
                alphas: LassoAlphas::Path { n_alphas: fixture.n_alphas, smallest_share: fixture.smallest_share },
                form,
                tolerance: 1e-13,
                ..LassoOptions::default()
            };
            let found = lasso_cv(x.view(), y.view(), &folds, &options).unwrap();
            for (j, target) in case.targets.iter().enumerate() {
                assert!((found.best_alphas[j].unwrap() / target.alpha - 1.0).abs() < 1e-9);
                let index = found.best_indices[j].unwrap();
                assert!((target.alphas[index] / target.alpha - 1.0).abs() < 1e-9);
                for (score, expected) in found.cv_scores.column(j).iter().zip(&target.scores) {
                    worst_score = worst_score.max((score.unwrap() - expected).abs());
                }
                assert!((found.fit.intercepts[j] - target.intercept).abs() < 1e-5);
            }
            worst = worst.max(relative_error(&found.fit.coefficients, coefficients.view()));
            let options = LassoOptions { intercept: false, ..options };
            let alphas = vec![fixture.fixed_alpha; y.ncols()];
            let found = lasso(x.view(), y.view(), &alphas, &options).unwrap();
            assert!(found.warnings.is_empty(), "{:?}", found.warnings);
            worst = worst.max(relative_error(&found.coefficients, fixed.view()));

            // The same penalties, listed for one target, must lead to the same choice by either score.
            let alphas = case.targets[2].alphas.clone();
            for score in [CvScore::R2, CvScore::Pearson] {
                let listed = LassoOptions {
                    alphas: LassoAlphas::Listed(alphas.clone()),
                    intercept: true,
                    score,
                    ..options.clone()
                };
                let found = lasso_cv(x.view(), y.slice(ndarray::s![.., 2..3]), &folds, &listed).unwrap();
                if score == CvScore::R2 {
                    assert_eq!(found.best_alphas[0], Some(alphas[found.best_indices[0].unwrap()]));
                    assert!((found.best_alphas[0].unwrap() / case.targets[2].alpha - 1.0).abs() < 1e-9);
                }
            }
        }
    }
    println!("largest relative error of a coefficient {worst:.1e}, largest difference of a score {worst_score:.1e}");
    assert!(worst < 2e-5 && worst_score < 1e-5, "{worst} {worst_score}");
}
