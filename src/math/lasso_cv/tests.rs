use super::*;
use crate::math::folds::contiguous_blocks;
use ndarray::{Array, array, s};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn numbers(n_rows: usize, n_columns: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((n_rows, n_columns), || StandardNormal.sample(&mut rng))
}

fn planted(n_samples: usize, n_features: usize, n_targets: usize) -> (Array2<f32>, Array2<f32>) {
    let x = numbers(n_samples, n_features, 377);
    let noise = numbers(n_samples, n_targets, 713);
    let y = Array::from_shape_fn((n_samples, n_targets), |(i, j)| {
        2.0 * x[[i, j % n_features]] - x[[i, (3 * j + 1) % n_features]] + 0.7 * noise[[i, j]] + 5.0
    });
    (x, y)
}

fn precise() -> LassoOptions {
    LassoOptions { tolerance: 1e-12, ..LassoOptions::default() }
}

#[test]
fn orthonormal_features_give_the_soft_threshold() {
    // A Hadamard design: X'X / n is the identity, so the solution is the soft threshold of X'y / n.
    let x = array![[1.0f32, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]];
    let y = array![[3.0f32, 0.0], [1.0, 0.2], [0.0, 0.0], [-2.0, 0.2]];
    let options = LassoOptions { intercept: false, ..precise() };
    for form in [LassoForm::Gram, LassoForm::WorkingSet] {
        let found = lasso(x.view(), y.view(), &[0.25, 0.25], &LassoOptions { form, ..options.clone() }).unwrap();
        // X'y / 4 is (1.5, 1, 0) and (0, -0.1, 0).
        let expected = array![[1.25f32, 0.0], [0.75, 0.0], [0.0, 0.0]];
        assert!((&found.coefficients - &expected).iter().all(|d| d.abs() < 1e-6), "{:?}", found.coefficients);
    }
}

#[test]
fn forms_and_screening_agree() {
    for (n_samples, n_features) in [(60, 20), (40, 150)] {
        let (x, y) = planted(n_samples, n_features, 70);
        let folds = contiguous_blocks(n_samples, 4, 0).unwrap();
        let run = |form, screening| {
            let options = LassoOptions { form, screening, ..precise() };
            lasso_cv(x.view(), y.view(), &folds, &options).unwrap()
        };
        let reference = run(LassoForm::Gram, false);
        for (form, screening) in
            [(LassoForm::Gram, true), (LassoForm::WorkingSet, true), (LassoForm::WorkingSet, false)]
        {
            let found = run(form, screening);
            assert_eq!(found.best_indices, reference.best_indices, "{form:?} {screening}");
            let worst = (&found.fit.coefficients - &reference.fit.coefficients).fold(0.0f32, |m, d| m.max(d.abs()));
            assert!(worst < 1e-4, "{form:?} {screening}: {worst}");
            assert!(!found.fit.warnings.iter().any(|w| matches!(w, LassoWarning::Unconverged { .. })));
        }
    }
}

#[test]
fn penalties_are_scored_by_what_they_predict() {
    let (x, y) = planted(60, 8, 5);
    let folds = contiguous_blocks(60, 3, 2).unwrap();
    for score in [CvScore::R2, CvScore::Pearson] {
        for form in [LassoForm::Gram, LassoForm::WorkingSet] {
            let options = LassoOptions {
                alphas: LassoAlphas::Listed(vec![0.01, 0.1, 0.5]),
                score,
                form,
                scale_features: true,
                ..precise()
            };
            let found = lasso_cv(x.view(), y.view(), &folds, &options).unwrap();
            let mut sums = Array2::<f64>::zeros((3, 5));
            for fold in &folds {
                let part = |m: &Array2<f32>, rows: &[usize]| m.select(Axis(0), rows);
                for (index, alpha) in [0.01, 0.1, 0.5].into_iter().enumerate() {
                    let fit = lasso(part(&x, &fold.train).view(), part(&y, &fold.train).view(), &[alpha; 5], &options)
                        .unwrap();
                    let prediction = fit.predict(part(&x, &fold.validation).view()).unwrap();
                    let data = part(&y, &fold.validation);
                    let scores = match score {
                        CvScore::R2 => crate::math::scores::r2_columns(data.view(), prediction.view()),
                        CvScore::Pearson => crate::math::scores::pearson_columns(data.view(), prediction.view()),
                    };
                    for (j, score) in scores.unwrap().into_iter().enumerate() {
                        sums[[index, j]] += score.unwrap_or(0.0) / 3.0;
                    }
                }
            }
            for (found, expected) in found.cv_scores.iter().zip(&sums) {
                assert!((f64::from(found.unwrap()) - expected).abs() < 1e-5, "{score:?} {form:?}");
            }
        }
    }
}

#[test]
fn scaled_features_are_the_same_problem_in_other_units() {
    let (x, y) = planted(50, 6, 4);
    let mut moved = x.clone();
    moved.column_mut(2).mapv_inplace(|v| v * 64.0);
    let options = LassoOptions { scale_features: true, ..precise() };
    let a = lasso(x.view(), y.view(), &[0.05; 4], &options).unwrap();
    let b = lasso(moved.view(), y.view(), &[0.05; 4], &options).unwrap();
    for ((feature, j), value) in a.coefficients.indexed_iter() {
        let factor = if feature == 2 { 64.0 } else { 1.0 };
        assert!((b.coefficients[[feature, j]] * factor - value).abs() < 1e-5);
    }
}

#[test]
fn constant_and_duplicated_columns_do_no_harm() {
    let (x, y) = planted(60, 5, 3);
    let mut wide = Array2::zeros((60, 7));
    wide.slice_mut(s![.., ..5]).assign(&x);
    wide.column_mut(5).fill(3.3);
    wide.column_mut(6).assign(&x.column(0));
    let plain = lasso(x.view(), y.view(), &[0.02; 3], &precise()).unwrap();
    let found = lasso(wide.view(), y.view(), &[0.02; 3], &precise()).unwrap();
    assert_eq!(found.warnings, [LassoWarning::ConstantFeatures { columns: vec![5] }]);
    assert!(found.coefficients.row(5).iter().all(|&b| b == 0.0));
    let (a, b) = (plain.predict(x.view()).unwrap(), found.predict(wide.view()).unwrap());
    assert!((&a - &b).iter().all(|d| d.abs() < 1e-4));
}

#[test]
fn targets_without_signal_or_variance_are_reported() {
    let (x, mut y) = planted(60, 5, 2);
    y.column_mut(1).fill(0.1);
    let folds = contiguous_blocks(60, 3, 0).unwrap();
    let found = lasso_cv(x.view(), y.view(), &folds, &LassoOptions::default()).unwrap();
    assert_eq!((found.best_indices[1], found.best_alphas[1]), (None, None));
    assert!(found.cv_scores.column(1).iter().all(Option::is_none));
    assert!(found.fit.coefficients.column(1).iter().all(|&b| b == 0.0));
    assert!((found.fit.intercepts[1] - 0.1).abs() < 1e-7);
    assert!(found.fit.warnings.contains(&LassoWarning::UnscoredTargets { n_targets: 1 }));
    // Penalties beyond the path leave every feature out, so all scores are equal and the largest penalty is taken.
    let huge = LassoOptions { alphas: LassoAlphas::Listed(vec![1e3, 1e4, 1e5]), ..LassoOptions::default() };
    let found = lasso_cv(x.view(), y.view(), &folds, &huge).unwrap();
    assert_eq!(found.best_indices, [Some(2), None]);
    assert_eq!(
        found.fit.warnings,
        [LassoWarning::EmptyModels { n_targets: 1 }, LassoWarning::UnscoredTargets { n_targets: 1 }]
    );
    let narrow = LassoOptions { alphas: LassoAlphas::Listed(vec![1e-4, 2e-4]), ..LassoOptions::default() };
    let found = lasso_cv(x.view(), y.slice(s![.., ..1]), &folds, &narrow).unwrap();
    assert!(found.fit.warnings.iter().any(|w| matches!(w, LassoWarning::AlphaAtGridEdge { .. })));
    let hasty = LassoOptions { max_sweeps: 1, tolerance: 1e-15, ..narrow };
    let found = lasso_cv(x.view(), y.slice(s![.., ..1]), &folds, &hasty).unwrap();
    assert!(found.fit.warnings.contains(&LassoWarning::Unconverged { n_in_folds: 1, n_in_refit: 1 }));
}

#[test]
fn hostile_options_are_refused() {
    let (x, y) = planted(20, 3, 2);
    let folds = contiguous_blocks(20, 2, 0).unwrap();
    let run = |options: LassoOptions| lasso_cv(x.view(), y.view(), &folds, &options).unwrap_err().to_string();
    let listed =
        |alphas: &[f64]| LassoOptions { alphas: LassoAlphas::Listed(alphas.to_vec()), ..LassoOptions::default() };
    let expected = "expected positive numbers, in strictly ascending order where they form a grid";
    assert_eq!(run(listed(&[0.0, 1.0])), format!("`alphas` is 0, {expected}"));
    assert_eq!(run(listed(&[-1.0])), format!("`alphas` is -1, {expected}"));
    assert_eq!(run(listed(&[1.0, 0.5])), format!("`alphas` is 0.5, {expected}"));
    assert_eq!(run(listed(&[])), "`alphas` is empty, expected at least one entry");
    let path = |n_alphas, smallest_share| LassoOptions {
        alphas: LassoAlphas::Path { n_alphas, smallest_share },
        ..LassoOptions::default()
    };
    assert!(run(path(1, 0.1)).contains("`n_alphas` is 1"));
    assert!(run(path(5, 1.0)).contains("`smallest_share` is 1"));
    assert!(run(path(5, 0.0)).contains("`smallest_share` is 0"));
    assert!(run(LassoOptions { tolerance: 0.0, ..LassoOptions::default() }).contains("tolerance"));
    assert!(lasso(x.view(), y.view(), &[0.0, 1.0], &LassoOptions::default()).is_err());
    assert!(lasso(x.view(), y.view(), &[1.0], &LassoOptions::default()).is_err());
    assert!(lasso_cv(x.view(), y.view(), &[], &LassoOptions::default()).is_err());
    let mut nan = x.clone();
    nan[[3, 1]] = f32::NAN;
    assert!(matches!(
        lasso_cv(nan.view(), y.view(), &folds, &LassoOptions::default()),
        Err(MathError::NotFinite { what: "x", row: 3, column: 1, .. })
    ));
}

#[test]
fn bytes_do_not_depend_on_the_thread_count() {
    let (x, y) = planted(40, 90, 200);
    let folds = contiguous_blocks(40, 2, 0).unwrap();
    for form in [LassoForm::Gram, LassoForm::WorkingSet] {
        let with = |n_threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            let options = LassoOptions { form, ..LassoOptions::default() };
            pool.install(|| lasso_cv(x.view(), y.view(), &folds, &options).unwrap())
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(3));
    }
}

proptest! {
    /// Karush-Kuhn-Tucker: `x_j'r / n` equals `alpha sign(b_j)` where `b_j` is not 0 and is at most `alpha` elsewhere.
    #[test]
    fn solutions_meet_the_optimality_conditions(
        values in prop::collection::vec(-1.0f32..1.0, 10 * 17), alpha in 0.01f64..0.5, is_gram: bool, intercept: bool,
    ) {
        let all = Array::from_shape_vec((10, 17), values).unwrap();
        let (x, y) = (all.slice(s![.., ..14]), all.slice(s![.., 14..]));
        let form = if is_gram { LassoForm::Gram } else { LassoForm::WorkingSet };
        let options = LassoOptions { form, intercept, ..precise() };
        let found = lasso(x, y, &[alpha; 3], &options).unwrap();
        prop_assert!(found.warnings.is_empty());
        let mut residual = &y - &found.predict(x).unwrap();
        if intercept {
            for column in residual.columns() {
                prop_assert!(column.sum().abs() < 1e-4);
            }
        }
        residual.mapv_inplace(|v| v / 10.0);
        let gradient = x.t().dot(&residual);
        for (g, b) in gradient.iter().zip(&found.coefficients) {
            if *b == 0.0 {
                prop_assert!(f64::from(g.abs()) <= alpha + 1e-5);
            } else {
                prop_assert!((f64::from(*g) - alpha * f64::from(b.signum())).abs() < 1e-5, "{g} {alpha} {b}");
            }
        }
    }
}
