use super::*;
use crate::math::folds::contiguous_blocks;
use crate::math::scores::{pearson_columns, r2_columns};
use ndarray::{Array, Axis, s};
use ndarray_linalg::Solve;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn noise(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut rng))
}

/// Targets that follow the features with a noise that grows from target to target.
fn study(n_samples: usize, n_features: usize, n_targets: usize) -> (Array2<f32>, Array2<f32>) {
    let x = noise(n_samples, n_features, 1) + 0.5;
    let mut y = x.dot(&noise(n_features, n_targets, 2)) / (n_features as f32).sqrt();
    let disturbance = noise(n_samples, n_targets, 3);
    for j in 0..n_targets {
        let level = 4.0 * j as f32 / n_targets as f32;
        y.column_mut(j).scaled_add(level, &disturbance.column(j));
    }
    (x, y + 2.0)
}

fn options(alphas: &[f64]) -> RidgeOptions {
    RidgeOptions { alphas: alphas.to_vec(), ..RidgeOptions::default() }
}

fn largest(a: &Array2<f32>, b: &Array2<f32>) -> f32 {
    (a - b).iter().fold(0.0, |m: f32, d| if d.is_nan() { f32::INFINITY } else { m.max(d.abs()) })
}

#[test]
fn coefficients_equal_the_normal_equations() {
    for (n_samples, n_features) in [(40, 12), (15, 30)] {
        let (x, y) = study(n_samples, n_features, 3);
        let folds = contiguous_blocks(n_samples, 3, 0).unwrap();
        for intercept in [true, false] {
            let fit = ridge_cv(x.view(), y.view(), &folds, RidgeOptions { intercept, ..options(&[2.5]) }).unwrap();
            let (mut wide_x, mut wide_y) = (x.mapv(f64::from), y.mapv(f64::from));
            if intercept {
                wide_x -= &wide_x.mean_axis(Axis(0)).unwrap();
                wide_y -= &wide_y.mean_axis(Axis(0)).unwrap();
            }
            let system = wide_x.t().dot(&wide_x) + Array2::<f64>::eye(n_features) * 2.5;
            let coefficients = fit.coefficients.as_ref().unwrap();
            for (j, column) in wide_y.columns().into_iter().enumerate() {
                let exact = system.solve(&wide_x.t().dot(&column)).unwrap();
                for (found, exact) in coefficients.column(j).iter().zip(&exact) {
                    assert!((f64::from(*found) - exact).abs() < 2e-6, "{found} {exact}");
                }
            }
            assert!(intercept || fit.intercepts.unwrap().iter().all(|&b0| b0 == 0.0));
        }
    }
}

#[test]
fn primal_equals_dual() {
    for (n_samples, n_features) in [(60, 20), (30, 50)] {
        let (x, y) = study(n_samples, n_features, 40);
        let folds = contiguous_blocks(n_samples, 3, 1).unwrap();
        let with = |form| {
            let options = RidgeOptions { form, scale_features: true, ..options(&[0.1, 1.0, 10.0, 100.0]) };
            Ridge::factorise(x.view(), &folds, options).unwrap().fit_predict(y.view(), x.slice(s![..9, ..])).unwrap()
        };
        let ((primal, primal_test), (dual, dual_test)) = (with(RidgeForm::Primal), with(RidgeForm::Dual));
        assert_eq!(primal.best_alpha, dual.best_alpha);
        assert!(largest(&primal_test, &dual_test) < 1e-4);
        assert!(largest(primal.coefficients.as_ref().unwrap(), dual.coefficients.as_ref().unwrap()) < 1e-4);
        for (p, d) in primal.cv_scores.iter().zip(&dual.cv_scores) {
            assert!((p.unwrap() - d.unwrap()).abs() < 1e-4);
        }
    }
}

/// Three ways to the same numbers: one inverse for each penalty, decompositions of kernels, decompositions of features.
#[test]
fn inverses_equal_decompositions() {
    let (x, y) = study(45, 70, 300);
    let x_test = noise(8, 70, 9);
    let alphas = [1.0, 10.0, 100.0, 1e3, 1e4];
    for gap in [0, 3] {
        let folds = contiguous_blocks(45, 3, gap).unwrap();
        for intercept in [true, false] {
            for score in [CvScore::R2, CvScore::Pearson] {
                let lean = RidgeOptions { score, intercept, coefficients: false, ..options(&alphas) };
                let with = |options: RidgeOptions| {
                    let ridge = Ridge::factorise(x.view(), &folds, options).unwrap();
                    let is_inverse = matches!(ridge.full, Full::Inverse(_));
                    (ridge.fit_predict(y.view(), x_test.view()).unwrap(), is_inverse)
                };
                let ((inverse, by_inverse), first) = with(RidgeOptions { dual_coefficients: true, ..lean.clone() });
                let ((dual, by_dual), second) =
                    with(RidgeOptions { dual_coefficients: true, coefficients: true, ..lean.clone() });
                let ((primal, by_primal), _) = with(RidgeOptions { form: RidgeForm::Primal, ..lean });
                assert_eq!((first, second), (true, false));
                assert_eq!(inverse.best_alpha, dual.best_alpha);
                assert_eq!(inverse.best_alpha, primal.best_alpha);
                assert!(largest(&by_inverse, &by_dual) < 2e-5 && largest(&by_inverse, &by_primal) < 2e-5);
                let (found, expected) = (inverse.dual_coefficients.unwrap(), dual.dual_coefficients.unwrap());
                assert!(largest(&found, &expected) < 2e-5 * expected.iter().fold(0.0, |m: f32, v| m.max(v.abs())));
                assert!(primal.dual_coefficients.is_none());
                for ((a, b), c) in inverse.cv_scores.iter().zip(&dual.cv_scores).zip(&primal.cv_scores) {
                    let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
                    assert!((a - b).abs() < 1e-5 && (a - c).abs() < 1e-5, "{a} {b} {c}");
                }
            }
        }
    }
}

#[test]
fn dual_coefficients_predict() {
    let (x, y) = study(20, 50, 6);
    let folds = contiguous_blocks(20, 2, 0).unwrap();
    let options = RidgeOptions { dual_coefficients: true, coefficients: false, ..options(&[5.0, 50.0]) };
    let ridge = Ridge::factorise(x.view(), &folds, options).unwrap();
    let x_test = noise(4, 50, 8);
    let (fit, prediction) = ridge.fit_predict(y.view(), x_test.view()).unwrap();
    let mean = x.mean_axis(Axis(0)).unwrap();
    let kernel = (&x_test - &mean).dot(&(&x - &mean).t());
    let by_hand = kernel.dot(&fit.dual_coefficients.unwrap()) + y.mean_axis(Axis(0)).unwrap();
    assert!(largest(&prediction, &by_hand) < 1e-4);
}

/// A backend that multiplies by the definition: what an interface to another device has to provide is enough.
#[derive(Debug)]
struct Textbook;

impl Products for Textbook {
    fn multiply(&self, a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>, mut out: ndarray::ArrayViewMut2<'_, f32>) {
        for ((i, j), value) in out.indexed_iter_mut() {
            *value = (0..a.ncols()).map(|k| f64::from(a[[i, k]]) * f64::from(b[[k, j]])).sum::<f64>() as f32;
        }
    }
}

#[test]
fn any_backend_gives_the_same_fit() {
    for n_features in [12, 60] {
        let (x, y) = study(30, n_features, 20);
        let folds = contiguous_blocks(30, 3, 0).unwrap();
        let options = RidgeOptions { coefficients: n_features == 12, ..options(&[1.0, 10.0, 100.0]) };
        let ours = Ridge::factorise(x.view(), &folds, options.clone()).unwrap();
        let theirs = Ridge::factorise_on(Textbook, x.view(), &folds, options).unwrap();
        let x_test = noise(5, n_features, 9);
        let ((one, own), (other, foreign)) =
            (ours.fit_predict(y.view(), x_test.view()).unwrap(), theirs.fit_predict(y.view(), x_test.view()).unwrap());
        assert_eq!(one.best_alpha, other.best_alpha);
        assert!(largest(&own, &foreign) < 1e-5);
    }
}

/// Kernels whose condition is beyond single precision, and beyond what inverses serve.
#[test]
fn ill_conditioned_kernels_do_not_fail() {
    let (mut x, y) = study(40, 90, 5);
    for (j, mut column) in x.columns_mut().into_iter().enumerate() {
        column *= 10f32.powf(-(j as f32) / 12.0);
    }
    let folds = contiguous_blocks(40, 2, 0).unwrap();
    let with = |form| {
        let options = RidgeOptions { form, coefficients: false, ..options(&[1e-9, 1e-6, 1e-3, 1.0]) };
        let ridge = Ridge::factorise(x.view(), &folds, options).unwrap();
        assert!(matches!(ridge.full, Full::Spectral(_)));
        ridge.fit_predict(y.view(), x.slice(s![..5, ..])).unwrap()
    };
    let ((dual, by_dual), (primal, by_primal)) = (with(RidgeForm::Dual), with(RidgeForm::Primal));
    assert!(dual.cv_scores.iter().all(|score| score.unwrap().is_finite()));
    assert_eq!(dual.best_alpha, primal.best_alpha);
    assert!(largest(&by_dual, &by_primal) < 1e-3, "{}", largest(&by_dual, &by_primal));
}

#[test]
fn predictions_with_and_without_coefficients_agree() {
    let (x, y) = study(50, 80, 20);
    let folds = contiguous_blocks(50, 2, 0).unwrap();
    let x_test = noise(7, 80, 9);
    let ridge = Ridge::factorise(x.view(), &folds, options(&[1.0, 30.0])).unwrap();
    let (fit, direct) = ridge.fit_predict(y.view(), x_test.view()).unwrap();
    assert!(largest(&direct, &fit.predict(x_test.view()).unwrap().unwrap()) < 1e-4);

    let lean = RidgeOptions { coefficients: false, ..options(&[1.0, 30.0]) };
    let ridge = Ridge::factorise(x.view(), &folds, lean).unwrap();
    let (fit, lean) = ridge.fit_predict(y.view(), x_test.view()).unwrap();
    assert!(largest(&lean, &direct) < 1e-5);
    assert_eq!((fit.coefficients.is_none(), fit.predict(x_test.view()).unwrap()), (true, None));
    assert!(ridge.fit(y.view()).unwrap().intercepts.is_none());
}

#[test]
fn cross_validated_scores_equal_a_fit_on_the_fold() {
    let (x, y) = study(60, 10, 5);
    let folds = contiguous_blocks(60, 3, 2).unwrap();
    type Score = fn(ArrayView2<'_, f32>, ArrayView2<'_, f32>) -> Result<Vec<Option<f64>>, MathError>;
    let scores: [(CvScore, Score); 2] = [(CvScore::R2, r2_columns), (CvScore::Pearson, pearson_columns)];
    for (score, by_column) in scores {
        let fit = ridge_cv(x.view(), y.view(), &folds, RidgeOptions { score, ..options(&[3.0, 50.0]) }).unwrap();
        for (index, alpha) in [3.0, 50.0].into_iter().enumerate() {
            let mut mean = [0.0; 5];
            for fold in &folds {
                let (train_x, train_y) = (x.select(Axis(0), &fold.train), y.select(Axis(0), &fold.train));
                let inner = contiguous_blocks(train_x.nrows(), 2, 0).unwrap();
                let refit = ridge_cv(train_x.view(), train_y.view(), &inner, options(&[alpha])).unwrap();
                let prediction = refit.predict(x.select(Axis(0), &fold.validation).view()).unwrap().unwrap();
                let held_out = y.select(Axis(0), &fold.validation);
                let scores = by_column(held_out.view(), prediction.view()).unwrap();
                mean.iter_mut().zip(scores).for_each(|(m, s)| *m += s.unwrap() / 3.0);
            }
            for (found, expected) in fit.cv_scores.row(index).iter().zip(mean) {
                assert!((f64::from(found.unwrap()) - expected).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn bytes_depend_neither_on_threads_nor_on_neighbouring_blocks() {
    let (x, y) = study(48, 30, 700);
    let folds = contiguous_blocks(48, 3, 0).unwrap();
    let with = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| ridge_cv(x.view(), y.view(), &folds, options(&[1.0, 10.0, 100.0])).unwrap())
    };
    let whole = with(1);
    assert_eq!(whole, with(2));
    let ridge = Ridge::factorise(x.view(), &folds, options(&[1.0, 10.0, 100.0])).unwrap();
    let tail = ridge.fit(y.slice(s![.., 512..])).unwrap();
    assert_eq!(tail.coefficients.unwrap(), whole.coefficients.unwrap().slice(s![.., 512..]));
    assert_eq!(tail.best_alpha, whole.best_alpha[512..]);

    let lean = || RidgeOptions { coefficients: false, dual_coefficients: true, ..options(&[1.0, 10.0, 100.0]) };
    let (x, y) = (noise(48, 90, 4), noise(48, 700, 5));
    let with = |n_threads: usize, from: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| {
            let ridge = Ridge::factorise(x.view(), &folds, lean()).unwrap();
            assert!(matches!(ridge.full, Full::Inverse(_)));
            ridge.fit_predict(y.slice(s![.., from..]), x.slice(s![..6, ..])).unwrap()
        })
    };
    let (whole, prediction) = with(1, 0);
    assert_eq!((&whole, &prediction), (&with(2, 0).0, &with(2, 0).1));
    let (tail, predicted) = with(2, 512);
    assert_eq!(predicted, prediction.slice(s![.., 512..]));
    assert_eq!(tail.dual_coefficients.unwrap(), whole.dual_coefficients.unwrap().slice(s![.., 512..]));
}

#[test]
fn constant_targets_are_reported_and_predict_their_mean() {
    let (x, mut y) = study(30, 4, 3);
    y.column_mut(1).fill(6.25);
    let folds = contiguous_blocks(30, 3, 0).unwrap();
    let fit = ridge_cv(x.view(), y.view(), &folds, options(&[1.0, 1e3])).unwrap();
    assert_eq!(fit.best_alpha[1], None);
    assert_eq!(fit.cv_scores[[0, 1]], None);
    assert!(fit.warnings.contains(&RidgeWarning::UnscoredTargets { n_targets: 1 }));
    let prediction = fit.predict(x.view()).unwrap().unwrap();
    assert!(prediction.column(1).iter().all(|&p| p == 6.25));
}

#[test]
fn equal_scores_go_to_the_larger_penalty_and_edges_are_counted() {
    // Features that say nothing about the held-out half: every penalty predicts the mean.
    let x = Array2::from_shape_fn((8, 1), |(i, _)| if i < 4 { 0.0 } else { [1.0f32, 1.0, -1.0, -1.0][i - 4] });
    let y = Array2::from_shape_fn((8, 2), |(i, j)| ((i + j) % 2) as f32);
    let folds = [Fold { train: vec![0, 1, 2, 3], validation: vec![4, 5, 6, 7] }];
    let fit = ridge_cv(x.view(), y.view(), &folds, options(&[1.0, 10.0, 100.0])).unwrap();
    assert_eq!(fit.best_alpha, [Some(2), Some(2)]);
    assert_eq!(fit.warnings, [RidgeWarning::AlphaAtGridEdge { n_at_smallest: 0, n_at_largest: 2 }]);
}

#[test]
fn a_shared_penalty_is_the_best_on_average() {
    let (x, y) = study(60, 10, 30);
    let folds = contiguous_blocks(60, 3, 0).unwrap();
    let shared = RidgeOptions { alpha_choice: AlphaChoice::Shared, ..options(&[0.1, 1.0, 10.0, 100.0, 1e3]) };
    let fit = ridge_cv(x.view(), y.view(), &folds, shared).unwrap();
    let mean: Vec<f32> = fit.cv_scores.rows().into_iter().map(|r| r.iter().flatten().sum()).collect();
    let best = (0..5).max_by(|&a, &b| mean[a].total_cmp(&mean[b]));
    assert!(fit.best_alpha.iter().all(|&alpha| alpha == best));
}

#[test]
fn repeated_and_constant_features_are_harmless() {
    let (mut x, y) = study(40, 6, 4);
    let copy = x.column(0).to_owned();
    x.column_mut(1).assign(&copy);
    x.column_mut(2).fill(1e4);
    let folds = contiguous_blocks(40, 2, 0).unwrap();
    for form in [RidgeForm::Primal, RidgeForm::Dual] {
        let options = RidgeOptions { form, scale_features: true, ..options(&[1e-3, 1.0]) };
        let fit = ridge_cv(x.view(), y.view(), &folds, options).unwrap();
        let b = fit.coefficients.unwrap();
        assert!(b.iter().all(|v| v.is_finite()));
        assert!((&b.row(0) - &b.row(1)).iter().all(|d| d.abs() < 1e-4), "copies share their weight");
        assert!(b.row(2).iter().all(|v| v.abs() < 1e-6));
    }
}

#[test]
fn wrong_input_is_refused() {
    let (x, y) = study(20, 3, 2);
    let folds = contiguous_blocks(20, 2, 0).unwrap();
    let refused = |folds: &[Fold], alphas: &[f64]| ridge_cv(x.view(), y.view(), folds, options(alphas)).unwrap_err();
    assert!(matches!(refused(&folds, &[]), MathError::Empty { what: "alphas" }));
    assert!(matches!(refused(&folds, &[0.0]), MathError::Parameter { .. }));
    assert!(matches!(refused(&folds, &[2.0, 2.0]), MathError::Parameter { .. }));
    assert!(matches!(refused(&[], &[1.0]), MathError::Empty { what: "folds" }));
    let outside = Fold { train: vec![0, 20], validation: vec![1] };
    assert!(matches!(refused(&[outside], &[1.0]), MathError::Index { found: 20, .. }));
    let nothing = Fold { train: vec![], validation: vec![1] };
    assert!(matches!(refused(&[nothing], &[1.0]), MathError::TooFew { .. }));
    let short = ridge_cv(x.view(), y.slice(s![..19, ..]), &folds, options(&[1.0])).unwrap_err();
    assert_eq!(short.to_string(), "`rows of y` is 19, expected 20: one row for each row of x");
    let none = ridge_cv(x.view(), y.slice(s![.., ..0]), &folds, options(&[1.0])).unwrap();
    assert_eq!(none.best_alpha.len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// The objective's gradient vanishes: `X'(y - X b - b0) = alpha b`, and residuals sum to 0.
    #[test]
    fn the_gradient_vanishes(seed in 0u64..1000, n_features in 1usize..40, exponent in -2i32..4) {
        let x = noise(20, n_features, seed) + 1.0;
        let y = noise(20, 2, seed + 1) * 3.0;
        let alpha = 10f64.powi(exponent);
        let folds = contiguous_blocks(20, 2, 0).unwrap();
        let fit = ridge_cv(x.view(), y.view(), &folds, options(&[alpha])).unwrap();
        let residual = &y - &fit.predict(x.view()).unwrap().unwrap();
        let gradient = x.t().dot(&residual) - fit.coefficients.unwrap() * alpha as f32;
        prop_assert!(gradient.iter().all(|g| g.abs() < 2e-3), "{gradient:?}");
        prop_assert!(residual.sum_axis(Axis(0)).iter().all(|sum| sum.abs() < 1e-3));
    }
}
