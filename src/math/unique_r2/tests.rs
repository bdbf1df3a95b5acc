//! Shares of features against ridge regressions fitted without them.

use super::*;
use crate::math::folds::Fold;
use crate::math::ridge::{RidgeOptions, ridge_cv};
use crate::math::scores::r2_columns;
use ndarray::Array;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn noise(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut rng))
}

/// Correlated features off centre, and targets that follow from them.
struct Study {
    x: [Array2<f32>; 2],
    y: [Array2<f32>; 2],
}

fn study(n_samples: [usize; 2], n_features: usize, n_targets: usize, seed: u64) -> Study {
    let mixing = noise(n_features, n_features, seed) + 1.5;
    let weights = noise(n_features, n_targets, seed + 1);
    let x = [0, 1].map(|i| noise(n_samples[i], n_features, seed + 2 + i as u64).dot(&mixing) * 0.5 + 3.0);
    let y = [0, 1].map(|i| x[i].dot(&weights) + noise(n_samples[i], n_targets, seed + 4 + i as u64) * 4.0 - 2.0);
    Study { x, y }
}

/// Weights and test R2 of a ridge regression on some features at one penalty.
fn refit(study: &Study, features: &[usize], alpha: f64) -> (Array2<f32>, Vec<Option<f64>>) {
    let (x, x_test) = (study.x[0].select(Axis(1), features), study.x[1].select(Axis(1), features));
    let half = x.nrows() / 2;
    let fold = Fold { train: (0..half).collect(), validation: (half..x.nrows()).collect() };
    let fit =
        ridge_cv(x.view(), study.y[0].view(), &[fold], RidgeOptions { alphas: vec![alpha], ..Default::default() })
            .unwrap();
    let prediction = fit.predict(x_test.view()).unwrap().unwrap();
    let r2 = r2_columns(study.y[1].view(), prediction.view()).unwrap();
    (fit.coefficients.unwrap(), r2)
}

#[test]
fn shares_equal_refits_without_and_with_only_the_feature() {
    let alphas = [0.5, 20.0, 3000.0];
    let study = study([90, 40], 6, 5, 10);
    let shares = FeatureShares::new(study.x[0].view(), study.x[1].view(), &alphas).unwrap();
    let mut largest = 0.0f64;
    for (index, &alpha) in alphas.iter().enumerate() {
        let (weights, full) = refit(&study, &[0, 1, 2, 3, 4, 5], alpha);
        let found = shares.shares(study.y[0].view(), study.y[1].view(), weights.view(), &[Some(index); 5]).unwrap();
        assert!(found.warnings.is_empty());
        for k in 0..6 {
            let others: Vec<usize> = (0..6).filter(|&other| other != k).collect();
            let (without, only) = (refit(&study, &others, alpha).1, refit(&study, &[k], alpha).1);
            for j in 0..5 {
                let full = full[j].unwrap();
                largest = largest.max((found.full[j].unwrap() - full).abs());
                largest = largest.max((found.unique[[k, j]].unwrap() - (full - without[j].unwrap())).abs());
                largest = largest.max((found.alone[[k, j]].unwrap() - only[j].unwrap()).abs());
            }
        }
    }
    assert!(largest < 1e-5, "{largest:e}");
}

#[test]
fn targets_may_differ_in_penalty_and_lack_one() {
    let alphas = [1.0, 100.0];
    let mut study = study([60, 30], 4, 3, 20);
    study.y[1].column_mut(2).fill(7.0);
    let shares = FeatureShares::new(study.x[0].view(), study.x[1].view(), &alphas).unwrap();
    let of = |weights: &Array2<f32>, chosen: &[Option<usize>]| {
        shares.shares(study.y[0].view(), study.y[1].view(), weights.view(), chosen).unwrap()
    };
    let weights: Vec<Array2<f32>> = alphas.iter().map(|&alpha| refit(&study, &[0, 1, 2, 3], alpha).0).collect();
    let mut mixed = weights[0].clone();
    mixed.column_mut(1).assign(&weights[1].column(1));
    let found = of(&mixed, &[Some(0), Some(1), Some(0)]);
    assert_eq!(found.unique.column(0), of(&weights[0], &[Some(0); 3]).unique.column(0));
    assert_eq!(found.unique.column(1), of(&weights[1], &[Some(1); 3]).unique.column(1));
    assert!(found.unique.column(2).iter().chain(found.alone.column(2)).all(Option::is_none));
    let unscored = of(&mixed, &[None, Some(1), None]);
    assert_eq!((unscored.full[0], unscored.unique[[1, 0]], unscored.alone[[1, 0]]), (None, None, None));
    assert_eq!(unscored.unique.column(1), found.unique.column(1));
}

#[test]
fn least_squares_have_shares_unless_features_depend_on_each_other() {
    let mut study = study([50, 30], 3, 2, 30);
    // A penalty that vanishes beside the features stands in for none.
    let (weights, full) = refit(&study, &[0, 1, 2], 1e-6);
    let run = |study: &Study| {
        let shares = FeatureShares::new(study.x[0].view(), study.x[1].view(), &[0.0]).unwrap();
        shares.shares(study.y[0].view(), study.y[1].view(), weights.view(), &[Some(0); 2]).unwrap()
    };
    let found = run(&study);
    let without = refit(&study, &[0, 2], 1e-6).1;
    for j in 0..2 {
        assert!((found.unique[[1, j]].unwrap() - (full[j].unwrap() - without[j].unwrap())).abs() < 1e-5);
    }
    for x in &mut study.x {
        let doubled = &x.column(0) * 2.0;
        x.column_mut(2).assign(&doubled);
    }
    let found = run(&study);
    assert!(found.unique.iter().all(Option::is_none) && found.alone.iter().all(Option::is_some));
    assert!(matches!(found.warnings[..], [SharesWarning::IllConditioned { alpha: 0.0, n_targets: 2, .. }]));
}

#[test]
fn bytes_do_not_depend_on_the_thread_count_nor_on_other_targets() {
    let study = study([40, 25], 5, 700, 40);
    let (weights, _) = refit(&study, &[0, 1, 2, 3, 4], 10.0);
    let shares = FeatureShares::new(study.x[0].view(), study.x[1].view(), &[10.0]).unwrap();
    let with = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| shares.shares(study.y[0].view(), study.y[1].view(), weights.view(), &[Some(0); 700]).unwrap())
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn what_does_not_fit_together_is_named() {
    let study = study([40, 25], 3, 2, 50);
    let (x, x_test) = (study.x[0].view(), study.x[1].view());
    assert!(matches!(FeatureShares::new(x, x_test, &[]), Err(MathError::Empty { what: "alphas" })));
    assert!(matches!(FeatureShares::new(x, x_test, &[-1.0]), Err(MathError::Parameter { found: -1.0, .. })));
    assert!(matches!(FeatureShares::new(x, noise(4, 2, 1).view(), &[1.0]), Err(MathError::Shape { .. })));
    let shares = FeatureShares::new(x, x_test, &[1.0]).unwrap();
    let run = |weights: &Array2<f32>, chosen: &[Option<usize>]| {
        shares.shares(study.y[0].view(), study.y[1].view(), weights.view(), chosen)
    };
    let mut weights = noise(3, 2, 2);
    assert!(matches!(run(&weights, &[Some(0), Some(1)]), Err(MathError::Index { found: 1, expected: 1, .. })));
    assert!(matches!(run(&weights, &[Some(0)]), Err(MathError::Shape { .. })));
    assert!(matches!(run(&noise(4, 2, 2), &[Some(0); 2]), Err(MathError::Shape { .. })));
    weights[[1, 1]] = f32::NAN;
    assert!(matches!(run(&weights, &[Some(0); 2]), Err(MathError::NotFinite { what: "weights", .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Without its only feature a regression predicts the mean of the training samples.
    #[test]
    fn one_feature_is_all_there_is(seed in 0u64..1000, alpha in 0.1f64..100.0) {
        let study = study([30, 20], 1, 3, seed);
        let (weights, _) = refit(&study, &[0], alpha);
        let shares = FeatureShares::new(study.x[0].view(), study.x[1].view(), &[alpha]).unwrap();
        let found =
            shares.shares(study.y[0].view(), study.y[1].view(), weights.view(), &[Some(0); 3]).unwrap();
        for j in 0..3 {
            let (full, mean) = (found.full[j].unwrap(), study.y[0].column(j).mapv(f64::from).mean().unwrap());
            prop_assert!((found.alone[[0, j]].unwrap() - full).abs() < 1e-5);
            let y = study.y[1].column(j).mapv(f64::from);
            let about = |centre: f64| y.iter().map(|v| (v - centre).powi(2)).sum::<f64>();
            let without = 1.0 - about(mean) / about(y.mean().unwrap());
            prop_assert!((found.unique[[0, j]].unwrap() - (full - without)).abs() < 1e-9);
        }
    }
}
