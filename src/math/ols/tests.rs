use super::*;
use crate::math::folds::{Fold, contiguous_blocks};
use crate::math::scores::pearson_columns;
use ndarray::{Axis, array, concatenate, s};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn numbers(n_rows: usize, n_columns: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((n_rows, n_columns), || StandardNormal.sample(&mut rng))
}

fn fit(x: &Array2<f32>, y: &Array2<f32>) -> OlsFit {
    ols(x.view(), y.view(), None, None, &OlsOptions::default()).unwrap()
}

fn value(matrix: &Array2<Option<f32>>, row: usize, column: usize) -> f64 {
    f64::from(matrix[[row, column]].expect("estimable"))
}

/// Least squares by the normal equations of an explicit inverse covariance, as an independent route to the same numbers.
fn generalised(design: &Array2<f64>, y: &[f64], precision: &Array2<f64>) -> (Vec<f64>, Vec<f64>) {
    use ndarray_linalg::Inverse;
    let information = design.t().dot(precision).dot(design).inv().unwrap();
    let y = ndarray::aview1(y);
    let b = information.dot(&design.t().dot(precision).dot(&y));
    let residual = &y - &design.dot(&b);
    let variance = residual.dot(&precision.dot(&residual)) / (design.nrows() - design.ncols()) as f64;
    let t = (0..b.len()).map(|j| b[j] / (variance * information[[j, j]]).sqrt()).collect();
    (b.to_vec(), t)
}

#[test]
fn a_line_through_four_points() {
    let fit = fit(&array![[1.0f32], [2.0], [3.0], [4.0]], &array![[2.0f32], [4.0], [5.0], [4.0]]);
    // Slope 0.7, intercept 2, residual power 2.3 on 2 degrees of freedom, spread of x 5.
    assert!((value(&fit.coefficients.estimates, 0, 0) - 0.7).abs() < 1e-6);
    assert!((fit.intercepts.unwrap()[0] - 2.0).abs() < 1e-6);
    assert!((fit.residual_variances[0] - 1.15).abs() < 1e-12);
    assert!((value(&fit.coefficients.standard_errors, 0, 0) - (1.15f64 / 5.0).sqrt()).abs() < 1e-7);
    assert_eq!((fit.rank, fit.residual_dof), (1, 2));
    // With 2 degrees of freedom the distribution of t is algebraic: p = 1 - t / sqrt(2 + t^2).
    let t = value(&fit.coefficients.t_values, 0, 0);
    let p = fit.coefficients.p_values(2)[[0, 0]].unwrap();
    assert!((p - (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-12, "{p}");
}

#[test]
fn t_of_one_regressor_is_that_of_its_correlation() {
    let (x, y) = (numbers(50, 1, 37), numbers(50, 300, 11));
    let fit = fit(&x, &y);
    let repeated = x.broadcast((50, 300)).unwrap();
    for (j, r) in pearson_columns(y.view(), repeated).unwrap().into_iter().enumerate() {
        let r = r.unwrap();
        let t = r * (48.0 / (1.0 - r * r)).sqrt();
        assert!((value(&fit.coefficients.t_values, 0, j) - t).abs() < 1e-5 * t.abs().max(1.0));
        assert!((fit.r2[j].unwrap() - r * r).abs() < 1e-12);
    }
}

#[test]
fn dependent_columns_are_named_and_change_nothing_else() {
    let (x, y) = (numbers(40, 4, 37), numbers(40, 20, 71));
    let plain = fit(&x, &y);
    // A sum of two columns as f32 rounds it, in other units, a duplicate, and a constant.
    let sum = (&x.column(0) + &x.column(1)).mapv(|v| 1000.0 * v).insert_axis(Axis(1));
    let duplicate = x.slice(s![.., 2..3]).to_owned();
    let constant = Array2::from_elem((40, 1), 7.3f32);
    let wide = concatenate![Axis(1), x, sum, duplicate, constant];
    let contrasts = array![
        [0.0f32, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 1.0, 0.0, 0.0, -1.0, 0.0],
        [1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [1.0, 1.0, 0.0, 0.0, 2000.0, 0.0, 0.0]
    ];
    let found = ols(wide.view(), y.view(), Some(contrasts.view()), None, &OlsOptions::default()).unwrap();
    assert_eq!((found.rank, found.residual_dof), (4, plain.residual_dof));
    assert_eq!(
        found.warnings,
        [
            OlsWarning::ColumnsNotEstimable { columns: vec![0, 1, 2, 4, 5, 6] },
            OlsWarning::ContrastsNotEstimable { contrasts: vec![1] },
            OlsWarning::InterceptNotEstimable
        ]
    );
    assert_eq!(found.intercepts, None);
    let contrasted = found.contrasts.unwrap();
    for j in 0..20 {
        for row in [0, 1, 2, 4, 5, 6] {
            assert_eq!(found.coefficients.estimates[[row, j]], None);
            assert_eq!(found.coefficients.t_values[[row, j]], None);
        }
        let (t, expected) = (value(&found.coefficients.t_values, 3, j), value(&plain.coefficients.t_values, 3, j));
        assert!((t - expected).abs() < 1e-5 * expected.abs().max(1.0));
        // What both copies say together is what the one column said.
        let (b, expected) = (value(&contrasted.estimates, 0, j), value(&plain.coefficients.estimates, 2, j));
        assert!((b - expected).abs() < 1e-5);
        let difference = value(&plain.coefficients.estimates, 0, j) - value(&plain.coefficients.estimates, 1, j);
        assert!((value(&contrasted.estimates, 2, j) - difference).abs() < 1e-5);
        assert!((found.r2[j].unwrap() - plain.r2[j].unwrap()).abs() < 1e-6);
    }
}

#[test]
fn nearly_collinear_columns_stay_estimable() {
    let mut x = numbers(200, 2, 37);
    let nudge = numbers(200, 1, 93);
    for i in 0..200 {
        x[[i, 1]] = x[[i, 0]] + 1e-3 * nudge[[i, 0]];
    }
    let fit = fit(&x, &numbers(200, 1, 17));
    assert_eq!((fit.rank, fit.warnings.len()), (2, 0));
}

#[test]
fn a_target_that_is_constant_or_fitted_exactly_has_no_t_values() {
    let x = numbers(30, 2, 37);
    let mut y = numbers(30, 3, 71);
    y.column_mut(0).fill(0.1);
    for i in 0..30 {
        y[[i, 1]] = 3.0 * x[[i, 0]] - x[[i, 1]] + 0.5;
    }
    let fit = fit(&x, &y);
    assert_eq!(fit.warnings, [OlsWarning::ConstantTargets { n_targets: 1 }, OlsWarning::ExactFits { n_targets: 1 }]);
    assert_eq!((fit.r2[0], fit.coefficients.t_values[[0, 0]]), (None, None));
    assert!((fit.r2[1].unwrap() - 1.0).abs() < 1e-9);
    assert!((value(&fit.coefficients.estimates, 0, 1) - 3.0).abs() < 1e-6);
    assert_eq!((fit.coefficients.standard_errors[[0, 1]], fit.coefficients.t_values[[1, 1]]), (None, None));
    assert!(fit.coefficients.t_values[[1, 2]].is_some());
}

#[test]
fn all_features_constant_leaves_the_mean() {
    let fit = fit(&Array2::from_elem((10, 2), 3.0), &numbers(10, 2, 3));
    assert_eq!((fit.rank, fit.residual_dof), (0, 9));
    assert!(fit.coefficients.estimates.iter().all(Option::is_none));
    assert!(fit.r2.iter().all(|r2| r2.unwrap().abs() < 1e-12));
}

#[test]
fn hostile_input_is_refused() {
    let (x, y) = (numbers(6, 5, 3), numbers(6, 2, 7));
    let run = |x: &Array2<f32>, y: &Array2<f32>, runs: Option<&[usize]>, options: &OlsOptions| {
        ols(x.view(), y.view(), None, runs, options).unwrap_err()
    };
    let white = OlsOptions::default();
    let ar1 = OlsOptions { noise: Noise::Ar1, ..white.clone() };
    assert_eq!(
        run(&x, &y, None, &white).to_string(),
        "`samples` is 6, expected 7 or more: errors are measured by what is left when as many parameters are fitted"
    );
    assert!(matches!(run(&numbers(6, 90, 3), &y, None, &white), MathError::TooFew { found: 6, .. }));
    let few = numbers(6, 2, 3);
    assert!(matches!(run(&few, &numbers(5, 2, 7), None, &white), MathError::Shape { .. }));
    assert_eq!(run(&numbers(6, 0, 3), &y, None, &white), MathError::Empty { what: "features" });
    let mut nan = few.clone();
    nan[[2, 1]] = f32::NAN;
    assert!(matches!(run(&nan, &y, None, &white), MathError::NotFinite { what: "x", row: 2, column: 1, .. }));
    assert!(matches!(run(&few, &y, Some(&[0, 1, 0, 1, 1, 1]), &ar1), MathError::Parameter { .. }));
    assert!(matches!(run(&few, &y, Some(&[0, 1, 2, 3, 4, 5]), &ar1), MathError::TooFew { .. }));
    let bins = OlsOptions { ar1_bins: 0, ..ar1 };
    assert!(matches!(run(&few, &y, None, &bins), MathError::Parameter { name: "ar1_bins", .. }));
    let contrasts = numbers(1, 3, 2);
    assert!(ols(few.view(), y.view(), Some(contrasts.view()), None, &white).is_err());
}

/// Runs of unequal length, one of a single sample: the precision is `W'W`, block by block.
#[test]
fn autoregressive_runs_equal_generalised_least_squares() {
    let lengths = [17usize, 1, 12, 20];
    let runs: Vec<usize> = lengths.iter().enumerate().flat_map(|(run, &n)| vec![9 - run; n]).collect();
    let n = runs.len();
    let x = numbers(n, 3, 37);
    let mut y = numbers(n, 40, 71);
    for t in 1..n {
        for j in 0..40 {
            y[[t, j]] += y[[t - 1, j]] * (j as f32 / 45.0 - 0.3) + 4.0;
        }
    }
    for start in [Ar1Start::Plain, Ar1Start::Stationary] {
        let options = OlsOptions { noise: Noise::Ar1, ar1_start: start, ..OlsOptions::default() };
        let fit = ols(x.view(), y.view(), None, Some(&runs), &options).unwrap();
        let mut design = Array2::<f64>::ones((n, 4));
        design.slice_mut(s![.., 1..]).assign(&x.mapv(f64::from));
        let rhos = fit.autocorrelations.unwrap();
        assert!(rhos.iter().any(|&rho| rho > 0.3) && rhos.iter().any(|&rho| rho < 0.0));
        for (j, rho) in rhos.into_iter().enumerate() {
            let mut whitening = Array2::<f64>::eye(n);
            for t in 1..n {
                if runs[t] == runs[t - 1] {
                    whitening[[t, t - 1]] = -rho;
                }
            }
            for t in (0..n).filter(|&t| start == Ar1Start::Stationary && (t == 0 || runs[t] != runs[t - 1])) {
                whitening[[t, t]] = (1.0 - rho * rho).sqrt();
            }
            let target: Vec<f64> = y.column(j).iter().map(|&v| f64::from(v)).collect();
            let (b, t) = generalised(&design, &target, &whitening.t().dot(&whitening));
            assert!((f64::from(fit.intercepts.as_ref().unwrap()[j]) - b[0]).abs() < 1e-5 * b[0].abs());
            for feature in 0..3 {
                let found = value(&fit.coefficients.estimates, feature, j);
                assert!((found - b[feature + 1]).abs() < 1e-5 * b[feature + 1].abs().max(1.0));
                let found = value(&fit.coefficients.t_values, feature, j);
                assert!((found - t[feature + 1]).abs() < 1e-5 * t[feature + 1].abs().max(1.0), "{j} {feature}");
            }
        }
    }
}

#[test]
fn a_trend_without_regressor_is_reported_as_non_stationary() {
    let y = Array2::from_shape_fn((12, 1), |(t, _)| (t as f32 - 5.5).powi(3));
    let x = Array2::from_shape_fn((12, 1), |(t, _)| if t == 5 || t == 6 { 1.0 } else { 0.0 });
    let options = OlsOptions { noise: Noise::Ar1, ar1_bins: 2, ..OlsOptions::default() };
    let found = ols(x.view(), y.view(), None, None, &options).unwrap();
    assert_eq!(found.autocorrelations, Some(vec![0.5]));
    assert!(found.warnings.is_empty());
    // A lone pair that agrees in sign in the middle of an alternation gives |rho| above 1 by the unbiased estimator.
    let alternating = Array2::from_shape_fn((4, 1), |(t, _)| [1.0f32, -1.6, 1.6, -1.0][t]);
    let x = array![[1.0f32], [1.0], [1.0], [1.0]];
    let found = ols(x.view(), alternating.view(), None, None, &OlsOptions { ar1_bins: 100, ..options }).unwrap();
    assert_eq!(found.autocorrelations, Some(vec![-0.99]));
    assert!(found.warnings.contains(&OlsWarning::NonStationary { n_targets: 1 }));
}

#[test]
fn bytes_do_not_depend_on_the_thread_count() {
    let (x, y) = (numbers(90, 7, 37), numbers(90, 1100, 71));
    let runs: Vec<usize> = (0..90).map(|t| t / 30).collect();
    let with = |n_threads: usize, noise: Noise| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let options = OlsOptions { noise, ..OlsOptions::default() };
        pool.install(|| ols(x.view(), y.view(), None, Some(&runs), &options).unwrap())
    };
    for noise in [Noise::White, Noise::Ar1] {
        assert_eq!(with(1, noise), with(2, noise));
        assert_eq!(with(1, noise), with(3, noise));
    }
}

#[test]
fn held_out_predictions_equal_a_fit_without_the_fold() {
    let (x, y) = (numbers(60, 3, 37), numbers(60, 300, 71));
    let folds = contiguous_blocks(60, 3, 2).unwrap();
    let found = held_out(x.view(), y.view(), &folds, HeldOutOptions::default()).unwrap();
    assert!(found.warnings.is_empty());
    let predictions = found.predictions.unwrap();
    for (fold, prediction) in folds.iter().zip(&predictions) {
        let (x_train, y_train) = (x.select(Axis(0), &fold.train), y.select(Axis(0), &fold.train));
        let fit = fit(&x_train, &y_train);
        let intercepts = fit.intercepts.unwrap();
        for (i, &row) in fold.validation.iter().enumerate() {
            for j in [0, 255, 256, 299] {
                let expected: f64 =
                    (0..3).map(|k| f64::from(x[[row, k]]) * value(&fit.coefficients.estimates, k, j)).sum::<f64>()
                        + f64::from(intercepts[j]);
                assert!((f64::from(prediction[[i, j]]) - expected).abs() < 1e-5);
            }
        }
    }
    let scores_only = HeldOutOptions { predictions: false, ..HeldOutOptions::default() };
    let again = held_out(x.view(), y.view(), &folds, scores_only).unwrap();
    assert_eq!((again.predictions, &again.r, &again.r2), (None, &found.r, &found.r2));
}

#[test]
fn held_out_with_more_features_than_samples_says_so() {
    let (x, y) = (numbers(20, 40, 37), numbers(20, 2, 71));
    let folds = contiguous_blocks(20, 2, 0).unwrap();
    let found = held_out(x.view(), y.view(), &folds, HeldOutOptions::default()).unwrap();
    assert_eq!(found.warnings.len(), 2);
    assert!(matches!(found.warnings[1], HeldOutWarning::RankDeficient { fold: 1, rank: 9, n_features: 40 }));
    assert!(held_out(x.view(), y.view(), &[], HeldOutOptions::default()).is_err());
    let outside = [Fold { train: vec![0, 1], validation: vec![20] }];
    assert!(matches!(
        held_out(x.view(), y.view(), &outside, HeldOutOptions::default()),
        Err(MathError::Index { found: 20, .. })
    ));
    let mut constant = y.clone();
    constant.column_mut(0).fill(2.0);
    let found = held_out(x.view(), constant.view(), &folds, HeldOutOptions::default()).unwrap();
    assert_eq!((found.r[0], found.r2[0]), (None, None));
}

proptest! {
    /// Residuals are orthogonal to the design, so the coefficients of what is explained are those of the data.
    #[test]
    fn estimates_follow_a_change_of_units_and_t_values_do_not(
        values in prop::collection::vec(-10f32..10.0, 24 * 4), scale in 0.01f32..100.0, shift in -50f32..50.0,
    ) {
        let all = Array2::from_shape_vec((24, 4), values).unwrap();
        let (x, y) = (all.slice(s![.., ..3]).to_owned(), all.slice(s![.., 3..]).to_owned());
        let mut moved = x.clone();
        moved.column_mut(1).mapv_inplace(|v| v * scale + shift);
        let (a, b) = (fit(&x, &y), fit(&moved, &y));
        prop_assert_eq!(a.rank, b.rank);
        // Rounding of the moved column is that of f32 at its offset.
        let slack = 1e-4 * (1.0 + f64::from(shift.abs() / scale));
        for feature in 0..3 {
            let (s, t) = (value(&a.coefficients.t_values, feature, 0), value(&b.coefficients.t_values, feature, 0));
            prop_assert!((s - t).abs() <= slack * s.abs().max(1.0), "{feature}: {s} {t}");
        }
        let units = value(&b.coefficients.estimates, 1, 0) * f64::from(scale);
        prop_assert!((units - value(&a.coefficients.estimates, 1, 0)).abs() < slack);
    }
}
