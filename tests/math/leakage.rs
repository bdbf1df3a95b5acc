//! What each way of splitting a time series makes of features and targets that have nothing to do with each other.

use hebb::math::folds::{AllowShuffled, Fold, contiguous_blocks, leave_one_run_out, shuffled};
use hebb::math::ridge::{CvScore, Ridge, RidgeOptions};
use hebb::math::scores::pearson_columns;
use ndarray::{Array2, Axis};

use super::inference::autoregressive;

const N_RUNS: usize = 6;
const N_TR: usize = 100;
const N_FEATURES: usize = 200;
const N_TARGETS: usize = 150;
const N_DATA_SETS: u64 = 4;

/// Folds of the given samples of a data set.
type Split<'a> = &'a dyn Fn(&[usize]) -> Vec<Fold>;

/// What a study reports with one way of splitting.
struct Outcome {
    /// Mean held-out correlation over targets and folds.
    held_out_r: f64,
    /// Mean over targets and folds of the cross-validated score of the chosen penalty.
    cv_score: f64,
    /// Mean index of the chosen penalty, which is its exponent to base 10.
    penalty: f64,
}

/// Fits on each outer fold, penalties chosen by folds of the same kind, and predicts what was held out.
fn study(x: &Array2<f32>, y: &Array2<f32>, split: Split<'_>) -> Outcome {
    let all: Vec<usize> = (0..x.nrows()).collect();
    let (mut r, mut cv, mut penalty) = (Vec::new(), Vec::new(), Vec::new());
    for fold in split(&all) {
        let (x_train, y_train) = (x.select(Axis(0), &fold.train), y.select(Axis(0), &fold.train));
        let options = RidgeOptions { score: CvScore::Pearson, coefficients: false, ..RidgeOptions::default() };
        let ridge = Ridge::factorise(x_train.view(), &split(&fold.train), options).expect("sound input");
        let x_test = x.select(Axis(0), &fold.validation);
        let (fit, prediction) = ridge.fit_predict(y_train.view(), x_test.view()).expect("sound input");
        let measured = y.select(Axis(0), &fold.validation);
        r.extend(pearson_columns(measured.view(), prediction.view()).expect("sound input").into_iter().flatten());
        for (target, best) in fit.best_alpha.iter().enumerate() {
            let best = best.expect("no target is constant");
            penalty.push(best as f64);
            cv.push(f64::from(fit.cv_scores[[best, target]].expect("no target is constant")));
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert_eq!(r.len(), penalty.len(), "every target of every fold has a prediction that varies");
    Outcome { held_out_r: mean(&r), cv_score: mean(&cv), penalty: mean(&penalty) }
}

/// Means over data sets; those of one share their features, so their targets err together.
#[test]
fn unrelated_series_are_predicted_by_shuffled_folds_alone() {
    // Runs are independent of each other, samples of a run are not: half of the correlation is left after 23 TRs.
    let runs = |n_columns: usize, seed: u64| {
        let runs: Vec<Array2<f32>> =
            (0..N_RUNS as u64).map(|run| autoregressive(N_TR, n_columns, 0.97, seed * 100 + run)).collect();
        ndarray::concatenate(Axis(0), &runs.iter().map(|run| run.view()).collect::<Vec<_>>()).expect("equal widths")
    };
    let run_of = |samples: &[usize]| samples.iter().map(|t| t / N_TR).collect::<Vec<_>>();
    let by_run = |samples: &[usize]| leave_one_run_out(&run_of(samples)).expect("several runs");
    let by_block = |samples: &[usize]| contiguous_blocks(samples.len(), 4, 30).expect("enough samples");
    let by_chance = |samples: &[usize]| shuffled(samples.len(), 5, 1, AllowShuffled(true)).expect("permitted");
    let splits: [(&str, Split<'_>); 3] = [("runs", &by_run), ("blocks", &by_block), ("shuffled", &by_chance)];
    let [runs, blocks, shuffled] = splits.map(|(name, split)| {
        let outcomes: Vec<Outcome> = (0..N_DATA_SETS)
            .map(|set| study(&runs(N_FEATURES, 2 * set), &runs(N_TARGETS, 2 * set + 1), split))
            .collect();
        let mean = |field: fn(&Outcome) -> f64| outcomes.iter().map(field).sum::<f64>() / outcomes.len() as f64;
        let outcome = Outcome {
            held_out_r: mean(|o| o.held_out_r),
            cv_score: mean(|o| o.cv_score),
            penalty: mean(|o| o.penalty),
        };
        let each: Vec<String> = outcomes.iter().map(|o| format!("{:.3}", o.held_out_r)).collect();
        println!(
            "{name}: held-out r {:.3} ({}), cross-validated score {:.3}, penalty 10^{:.2}",
            outcome.held_out_r,
            each.join(" "),
            outcome.cv_score,
            outcome.penalty
        );
        outcome
    });
    for honest in [&runs, &blocks] {
        assert!(honest.held_out_r.abs() < 0.05, "{}", honest.held_out_r);
        assert!(shuffled.held_out_r > honest.held_out_r + 0.5, "{}", shuffled.held_out_r);
        assert!(shuffled.cv_score > honest.cv_score + 0.4, "{}", shuffled.cv_score);
        assert!(shuffled.penalty < honest.penalty - 1.0, "leaks favour small penalties: {}", shuffled.penalty);
    }
}
