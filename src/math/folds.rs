//! Which samples are fitted and which validate, fold by fold.
//!
//! Owns two leak-aware schemes for time series: whole runs, and contiguous blocks with a gap. A shuffled split exists only
//! for who permits it by name ([`AllowShuffled`]): neighbouring volumes are alike, so it scores a model on samples that it
//! has all but seen.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MathError;

/// One split of the samples: rows to fit on, rows to score on, both ascending and disjoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Rows that the model is fitted on.
    pub train: Vec<usize>,
    /// Rows that the model is scored on.
    pub validation: Vec<usize>,
}

/// The distinct run numbers of a sample list, in order of first appearance.
pub(super) fn distinct_runs(run_of_sample: &[usize]) -> Vec<usize> {
    let mut seen = std::collections::HashSet::new();
    run_of_sample.iter().copied().filter(|&run| seen.insert(run)).collect()
}

/// The rows of each run in order of appearance, for steps that look back in time.
///
/// Rows of one run that are not adjacent have no order in time that could be known here, so they are refused.
pub(super) fn runs_in_order(run_of_sample: &[usize]) -> Result<Vec<std::ops::Range<usize>>, MathError> {
    let mut seen = std::collections::HashSet::new();
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for rows in run_of_sample.chunk_by(|a, b| a == b) {
        if !seen.insert(rows[0]) {
            return Err(MathError::Parameter {
                name: "run_of_sample",
                found: rows[0] as f64,
                expected: "the samples of each run side by side",
            });
        }
        let start = runs.last().map_or(0, |before| before.end);
        runs.push(start..start + rows.len());
    }
    Ok(runs)
}

/// Refuses folds that are empty on one side, point outside the samples, or score on what they fit.
pub(super) fn require_folds(folds: &[Fold], n_samples: usize) -> Result<(), MathError> {
    if folds.is_empty() {
        return Err(MathError::Empty { what: "folds" });
    }
    for fold in folds {
        for (name, rows) in [("rows to fit on", &fold.train), ("rows to score on", &fold.validation)] {
            if rows.is_empty() {
                return Err(MathError::TooFew { name, found: 0, expected: 1, hint: "use fewer folds" });
            }
            if let Some(&found) = rows.iter().find(|&&row| row >= n_samples) {
                return Err(MathError::Index { name, found, expected: n_samples });
            }
        }
        let mut is_train = vec![false; n_samples];
        fold.train.iter().for_each(|&row| is_train[row] = true);
        if let Some(&row) = fold.validation.iter().find(|&&row| is_train[row]) {
            return Err(MathError::Parameter {
                name: "rows to score on",
                found: row as f64,
                expected: "rows that the same fold does not fit on",
            });
        }
    }
    Ok(())
}

/// Holds out each run in turn.
///
/// Runs appear in the order of their first sample; `run_of_sample` gives the run of each row.
///
/// # Errors
/// [`MathError::TooFew`] with fewer than two runs.
pub fn leave_one_run_out(run_of_sample: &[usize]) -> Result<Vec<Fold>, MathError> {
    let n_runs = distinct_runs(run_of_sample).len();
    hold_out_runs(run_of_sample, n_runs)
}

/// Holds out groups of whole runs: `n_folds` contiguous groups, whose sizes differ by one run at most.
///
/// # Errors
/// [`MathError::TooFew`] with fewer than two folds or runs, [`MathError::TooMany`] with more folds than runs.
pub fn hold_out_runs(run_of_sample: &[usize], n_folds: usize) -> Result<Vec<Fold>, MathError> {
    let runs = distinct_runs(run_of_sample);
    if runs.len() < 2 {
        return Err(MathError::TooFew {
            name: "number of runs",
            found: runs.len(),
            expected: 2,
            hint: "cross-validate over contiguous blocks instead",
        });
    }
    require_two_folds(n_folds)?;
    if n_folds > runs.len() {
        return Err(MathError::TooMany {
            name: "number of folds",
            found: n_folds,
            expected: runs.len(),
            hint: "a fold holds out one run or more",
        });
    }
    Ok(blocks(runs.len(), n_folds)
        .map(|group| {
            let held_out = &runs[group];
            let (validation, train) = (0..run_of_sample.len()).partition(|&i| held_out.contains(&run_of_sample[i]));
            Fold { train, validation }
        })
        .collect())
}

/// Holds out `n_folds` contiguous blocks of one series, and leaves `gap` samples unused on either side of each.
///
/// Block sizes differ by one sample at most. The gap keeps samples out of the fit whose response overlaps the held-out
/// block; a haemodynamic response spans some 20 to 32 s.
///
/// # Errors
/// [`MathError::TooFew`] with fewer than two folds or when a fold would have no sample to fit on,
/// [`MathError::TooMany`] with more folds than samples.
pub fn contiguous_blocks(n_samples: usize, n_folds: usize, gap: usize) -> Result<Vec<Fold>, MathError> {
    require_two_folds(n_folds)?;
    if n_folds > n_samples {
        return Err(MathError::TooMany {
            name: "number of folds",
            found: n_folds,
            expected: n_samples,
            hint: "a fold holds out one sample or more",
        });
    }
    blocks(n_samples, n_folds)
        .map(|validation| {
            let before = 0..validation.start.saturating_sub(gap);
            let after = validation.end.saturating_add(gap).min(n_samples)..n_samples;
            let train: Vec<usize> = before.chain(after).collect();
            if train.is_empty() {
                return Err(MathError::TooFew {
                    name: "samples to fit on",
                    found: 0,
                    expected: 1,
                    hint: "use a shorter gap or fewer folds",
                });
            }
            Ok(Fold { train, validation: validation.collect() })
        })
        .collect()
}

/// Whether a study may use a shuffled split; it may not unless it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AllowShuffled(pub bool);

/// Holds out `n_folds` random sets of samples; **leaks in time series**, and so needs permission.
///
/// Sets differ in size by one sample at most, and every sample is held out once. Where neighbouring samples are alike (as are
/// the volumes of a scan, through the haemodynamic response and through slow noise), each held-out sample has
/// neighbours in the fit that all but tell its value: scores are inflated and penalties chosen too small, even for
/// features without any relation to the targets. Right for samples that are exchangeable, such as single images with one
/// response each.
///
/// # Errors
/// [`MathError::NotPermitted`] unless `allow` is true, [`MathError::TooFew`] with fewer than two folds,
/// [`MathError::TooMany`] with more folds than samples.
pub fn shuffled(n_samples: usize, n_folds: usize, seed: u64, allow: AllowShuffled) -> Result<Vec<Fold>, MathError> {
    if !allow.0 {
        return Err(MathError::NotPermitted {
            name: "allow_shuffled",
            hint: "a shuffled split of a time series scores samples whose neighbours were fitted; hold out runs or \
                   contiguous blocks instead",
        });
    }
    // The sizes of contiguous blocks, and their refusals.
    let sizes = contiguous_blocks(n_samples, n_folds, 0)?;
    let mut order: Vec<usize> = (0..n_samples).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut fold_of_sample = vec![0; n_samples];
    for (fold, sizes) in sizes.iter().enumerate() {
        for &place in &sizes.validation {
            fold_of_sample[order[place]] = fold;
        }
    }
    let split = |fold| {
        let (validation, train) = (0..n_samples).partition(|&sample| fold_of_sample[sample] == fold);
        Fold { train, validation }
    };
    Ok((0..n_folds).map(split).collect())
}

fn require_two_folds(n_folds: usize) -> Result<(), MathError> {
    if n_folds >= 2 {
        return Ok(());
    }
    Err(MathError::TooFew {
        name: "number of folds",
        found: n_folds,
        expected: 2,
        hint: "one fold leaves nothing to fit on",
    })
}

/// Cuts `0..n` into `n_blocks` ranges, the first `n % n_blocks` of them one longer.
pub fn blocks(n: usize, n_blocks: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let (size, n_longer) = (n / n_blocks, n % n_blocks);
    (0..n_blocks).map(move |b| {
        let start = b * size + b.min(n_longer);
        start..start + size + usize::from(b < n_longer)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_run_is_held_out_once() {
        let folds = leave_one_run_out(&[7, 7, 2, 2, 2, 9]).unwrap();
        let held_out: Vec<_> = folds.iter().map(|f| f.validation.clone()).collect();
        assert_eq!(held_out, [vec![0, 1], vec![2, 3, 4], vec![5]]);
        assert_eq!(folds[1].train, [0, 1, 5]);
    }

    #[test]
    fn more_folds_than_runs_is_refused_with_both_numbers() {
        let error = hold_out_runs(&[0, 0, 1, 1], 3).unwrap_err();
        assert_eq!(error.to_string(), "`number of folds` is 3, expected 2 at most: a fold holds out one run or more");
        assert!(matches!(leave_one_run_out(&[4, 4]), Err(MathError::TooFew { found: 1, .. })));
        assert!(matches!(leave_one_run_out(&[]), Err(MathError::TooFew { found: 0, .. })));
        assert!(matches!(hold_out_runs(&[0, 1], 1), Err(MathError::TooFew { .. })));
    }

    #[test]
    fn a_gap_keeps_neighbours_out_of_the_fit() {
        let folds = contiguous_blocks(10, 2, 2).unwrap();
        assert_eq!(folds[0], Fold { train: vec![7, 8, 9], validation: vec![0, 1, 2, 3, 4] });
        assert!(matches!(contiguous_blocks(10, 2, 5), Err(MathError::TooFew { .. })));
        assert!(contiguous_blocks(10, 2, usize::MAX).is_err());
        assert!(contiguous_blocks(3, 4, 0).is_err());
    }

    #[test]
    fn a_shuffled_split_needs_permission() {
        let error = shuffled(100, 5, 1, AllowShuffled::default()).unwrap_err();
        assert!(matches!(error, MathError::NotPermitted { name: "allow_shuffled", .. }));
        assert!(error.to_string().starts_with("`allow_shuffled` is false, expected true to permit this: "), "{error}");
        assert!(matches!(shuffled(3, 4, 1, AllowShuffled(true)), Err(MathError::TooMany { .. })));
        assert!(matches!(shuffled(3, 1, 1, AllowShuffled(true)), Err(MathError::TooFew { .. })));
        let permission: AllowShuffled = serde_json::from_str("true").unwrap();
        let folds = shuffled(103, 5, 1, permission).unwrap();
        assert_eq!(folds, shuffled(103, 5, 1, permission).unwrap());
        assert_ne!(folds, shuffled(103, 5, 2, permission).unwrap());
        let mut held_out: Vec<usize> = folds.iter().flat_map(|fold| fold.validation.clone()).collect();
        held_out.sort_unstable();
        assert_eq!(held_out, (0..103).collect::<Vec<_>>());
        for fold in &folds {
            assert!((20..=21).contains(&fold.validation.len()) && fold.train.len() == 103 - fold.validation.len());
            assert!(fold.train.is_sorted() && fold.validation.is_sorted());
            assert!(fold.validation.iter().all(|sample| fold.train.binary_search(sample).is_err()));
            let n_runs = fold.validation.windows(2).filter(|pair| pair[1] > pair[0] + 1).count();
            assert!(n_runs > 5, "samples are scattered over the series");
        }
    }

    proptest! {
        #[test]
        fn folds_are_disjoint_and_cover_every_sample_once(
            n_samples in 4usize..60, n_folds in 2usize..5, gap in 0usize..3,
        ) {
            let Ok(folds) = contiguous_blocks(n_samples, n_folds, gap) else { return Ok(()) };
            let mut held_out: Vec<usize> = folds.iter().flat_map(|f| f.validation.clone()).collect();
            held_out.sort_unstable();
            prop_assert_eq!(held_out, (0..n_samples).collect::<Vec<_>>());
            for fold in &folds {
                for &t in &fold.train {
                    prop_assert!(fold.validation.iter().all(|&v| v.abs_diff(t) > gap));
                }
            }
        }
    }

    #[test]
    fn a_fold_that_scores_on_what_it_fits_is_refused() {
        let fold = |train: &[usize]| [Fold { train: train.to_vec(), validation: vec![2, 3] }];
        assert_eq!(require_folds(&fold(&[0, 1]), 4), Ok(()));
        let error = require_folds(&fold(&[0, 3]), 4).unwrap_err();
        assert_eq!(error.to_string(), "`rows to score on` is 3, expected rows that the same fold does not fit on");
    }
}
