//! Banded ridge regression against himalaya's multiple-kernel ridge (and so `GroupRidgeCV`, which the script checks).

use hebb::math::banded::{
    BandKernels, BandedOptions, BandedRidge, Candidates, cross_kernels, split_correlation, split_r2,
};
use hebb::math::folds::contiguous_blocks;
use hebb::math::ridge::CvScore;
use ndarray::{Array2, Array3, Array4, ArrayView2, Axis, s};
use serde::Deserialize;

use super::{matrix, relative_error, table};

#[derive(Deserialize)]
struct Cases {
    n_samples: usize,
    widths: Vec<usize>,
    n_folds: usize,
    alphas: Vec<f64>,
    gammas: Vec<Vec<f64>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    intercept: bool,
    score: CvScore,
    best_gammas: Vec<usize>,
    best_alphas: Vec<f64>,
    cv_scores: Vec<Vec<f64>>,
    r2_split: Vec<Vec<f64>>,
    r2_joint: Vec<f64>,
    correlation_split: Vec<Vec<f64>>,
}

#[test]
fn choices_scores_weights_and_splits_equal_himalaya() {
    let Cases { n_samples, widths, n_folds, alphas, gammas, cases } = table("banded");
    let x: Array2<f32> = matrix("banded_x");
    let y: Array2<f32> = matrix("banded_y");
    let duals: Array3<f32> = matrix("banded_duals");
    let predictions: Array4<f32> = matrix("banded_predictions");
    let ends: Vec<usize> = (1..=widths.len()).map(|n| widths[..n].iter().sum()).collect();
    let bands = |from: usize, to: usize| -> Vec<ArrayView2<'_, f32>> {
        widths.iter().zip(&ends).map(|(width, &end)| x.slice(s![from..to, end - width..end])).collect()
    };
    let (train, test) = (bands(0, n_samples), bands(n_samples, x.nrows()));
    let cross = cross_kernels(&test, &train).unwrap();
    let cross: Vec<_> = cross.iter().map(ArrayView2::from).collect();
    let test_y = y.slice(s![n_samples.., ..]);
    let folds = contiguous_blocks(n_samples, n_folds, 0).unwrap();

    let mut worst = [0.0f64; 4];
    let mut note = |which: usize, difference: f64| worst[which] = worst[which].max(difference);
    for (row, case) in cases.iter().enumerate() {
        let kernels = BandKernels::from_features(&train, case.intercept).unwrap();
        let options = BandedOptions {
            alphas: alphas.clone(),
            candidates: Candidates::Explicit { weights: gammas.clone() },
            score: case.score,
            dual_weights: true,
        };
        let ridge = BandedRidge::new(&kernels, &folds, options).unwrap();
        let (fit, prediction) = ridge.fit_predict(y.slice(s![..n_samples, ..]), &cross).unwrap();

        for (target, best) in fit.best.iter().enumerate() {
            let best = best.unwrap();
            assert_eq!(best.candidate, case.best_gammas[target], "case {row}, target {target}");
            assert!((alphas[best.alpha] / case.best_alphas[target] - 1.0).abs() < 1e-9, "case {row}, target {target}");
        }
        for ((candidate, target), score) in fit.cv_scores.indexed_iter() {
            let expected = case.cv_scores[candidate][target];
            note(0, (f64::from(score.unwrap()) - expected).abs() / expected.abs().max(0.1));
        }
        let found = fit.dual_weights.unwrap().mapv(|v| v as f32);
        assert!(found.iter().chain(&prediction.bands).all(|v| v.is_finite()));
        note(1, relative_error(&found, duals.index_axis(Axis(0), row)).into());
        note(2, relative_error(&prediction.bands, predictions.index_axis(Axis(0), row)).into());

        // himalaya splits about a mean of the data of 0.
        let means: Vec<f64> = test_y
            .columns()
            .into_iter()
            .map(|c| c.iter().map(|&v| f64::from(v)).sum::<f64>() / c.len() as f64)
            .collect();
        let r2 = split_r2(test_y, prediction.bands.view(), &means).unwrap();
        let r = split_correlation(test_y, prediction.bands.view()).unwrap();
        for target in 0..y.ncols() {
            note(3, (r2.joint[target].unwrap() - case.r2_joint[target]).abs());
            for band in 0..widths.len() {
                note(3, (r2.bands[[band, target]].unwrap() - case.r2_split[band][target]).abs());
                note(3, (r.bands[[band, target]].unwrap() - case.correlation_split[band][target]).abs());
            }
        }
    }
    println!(
        "largest errors: scores {:.1e}, duals {:.1e}, predictions {:.1e}, splits {:.1e}",
        worst[0], worst[1], worst[2], worst[3]
    );
    assert!(worst.iter().all(|&error| error < 2e-6), "{worst:?}");
}
