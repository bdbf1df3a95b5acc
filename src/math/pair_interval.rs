//! How sure the mean over pairs of patterns is.
//!
//! Owns the bootstrap over patterns. It does not know what was measured of a pair; a caller hands in a symmetric matrix.

use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::MathError;
use super::error::require_shape;
use super::quantile::quantile;

/// Resamples drawn by one task, each task from its own stream of random numbers.
const DRAW_BLOCK: usize = 64;

/// The mean over pairs, and its spread over resampled patterns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairMean {
    /// Mean over the pairs that have a value.
    pub mean: f64,
    /// Pairs that have a value.
    pub n_pairs: usize,
    /// Standard deviation of the mean over resamples (divided by their number).
    pub standard_error: f64,
    /// Lower and upper end of the percentile interval.
    pub interval: [f64; 2],
    /// Coverage the interval aims at.
    pub confidence: f64,
    /// Resamples that held a pair with a value.
    pub n_defined: usize,
}

/// Bootstraps the mean of a symmetric `matrix` (n_patterns x n_patterns) over those pairs `a < b` for which `is_counted(a, b)`.
///
/// Each draw takes as many patterns as there are, with replacement, and averages over its pairs; pairs of a pattern with its own
/// copy have no value and are left out. Patterns are the unit of resampling because pairs that share one depend on each other
/// (for statistics of pairs: Snijders and Borgatti 1999). The interval has the quantiles of the draws as its ends (Efron 1979).
/// `None` when no pair has a value.
///
/// Caveats: patterns of one dictionary are not independent draws, so the interval speaks of other patterns like these; with fewer
/// than about ten it is too narrow.
///
/// # Errors
/// [`MathError::Shape`] when the matrix is not square, [`MathError::NotFinite`] for a value that is not finite,
/// [`MathError::Parameter`] when it is not symmetric or the confidence is not between 0 and 1, [`MathError::TooFew`] without draws.
pub fn pair_mean_interval(
    matrix: &Array2<Option<f64>>,
    is_counted: impl Fn(usize, usize) -> bool,
    n_draws: usize,
    seed: u64,
    confidence: f64,
) -> Result<Option<PairMean>, MathError> {
    let n_patterns = matrix.nrows();
    require_shape("columns of the matrix", matrix.ncols(), n_patterns, "one row and one column for each pattern")?;
    if n_draws == 0 {
        let hint = "1000 give an interval to about a twentieth of its width";
        return Err(MathError::TooFew { name: "number of draws", found: 0, expected: 1, hint });
    }
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(MathError::Parameter {
            name: "confidence",
            found: confidence,
            expected: "a number between 0 and 1",
        });
    }
    let mut pairs = Vec::new();
    for a in 0..n_patterns {
        for b in a + 1..n_patterns {
            let (value, mirrored) = (matrix[[a, b]], matrix[[b, a]]);
            if let Some(found) = value.filter(|value| !value.is_finite()) {
                return Err(MathError::NotFinite { what: "matrix", row: a, column: b, found });
            }
            if value != mirrored {
                return Err(MathError::Parameter {
                    name: "difference between a pair and its mirror image",
                    found: value.unwrap_or(0.0) - mirrored.unwrap_or(0.0),
                    expected: "a symmetric matrix",
                });
            }
            pairs.extend(value.filter(|_| is_counted(a, b)).map(|value| (a, b, value)));
        }
    }
    if pairs.is_empty() {
        return Ok(None);
    }
    let blocks: Vec<Vec<f64>> = (0..n_draws.div_ceil(DRAW_BLOCK))
        .into_par_iter()
        .map(|block| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(block as u64);
            let draw = |_| {
                let mut n_copies = vec![0.0f64; n_patterns];
                for _ in 0..n_patterns {
                    n_copies[rng.random_range(0..n_patterns)] += 1.0;
                }
                let (sum, n) = pairs.iter().fold((0.0, 0.0), |(sum, n), &(a, b, value)| {
                    let times = n_copies[a] * n_copies[b];
                    (sum + times * value, n + times)
                });
                (n > 0.0).then(|| sum / n)
            };
            (0..DRAW_BLOCK.min(n_draws - block * DRAW_BLOCK)).filter_map(draw).collect()
        })
        .collect();
    let mut means: Vec<f64> = blocks.into_iter().flatten().collect();
    if means.is_empty() {
        return Ok(None);
    }
    let n_defined = means.len();
    let centre = means.iter().sum::<f64>() / n_defined as f64;
    let variance = means.iter().map(|mean| (mean - centre).powi(2)).sum::<f64>() / n_defined as f64;
    means.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Ok(Some(PairMean {
        mean: pairs.iter().map(|(_, _, value)| value).sum::<f64>() / pairs.len() as f64,
        n_pairs: pairs.len(),
        standard_error: variance.sqrt(),
        interval: [quantile(&means, tail), quantile(&means, 1.0 - tail)],
        confidence,
        n_defined,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_distr::{Distribution, StandardNormal};

    fn symmetric(n: usize, value: impl Fn(usize, usize) -> Option<f64>) -> Array2<Option<f64>> {
        Array2::from_shape_fn((n, n), |(a, b)| if a == b { Some(1.0) } else { value(a.min(b), a.max(b)) })
    }

    #[test]
    fn equal_pairs_have_no_spread_and_no_pair_no_mean() {
        let found = pair_mean_interval(&symmetric(6, |_, _| Some(0.25)), |_, _| true, 200, 1, 0.9).unwrap().unwrap();
        assert_eq!((found.mean, found.n_pairs), (0.25, 15));
        assert!(found.interval.iter().all(|end| (end - 0.25).abs() < 1e-12) && found.standard_error < 1e-12);
        assert_eq!(pair_mean_interval(&symmetric(6, |_, _| None), |_, _| true, 200, 1, 0.9), Ok(None));
        assert_eq!(pair_mean_interval(&symmetric(6, |_, _| Some(1.0)), |_, _| false, 200, 1, 0.9), Ok(None));
        assert_eq!(pair_mean_interval(&symmetric(1, |_, _| None), |_, _| true, 9, 1, 0.9), Ok(None));
    }

    #[test]
    fn a_pair_with_its_own_copy_is_left_out() {
        // The diagonal is 1, which would raise the mean of nearly every draw.
        let found = pair_mean_interval(&symmetric(8, |_, _| Some(0.0)), |_, _| true, 300, 2, 0.95).unwrap().unwrap();
        assert_eq!(found.interval, [0.0, 0.0]);
    }

    /// For `m_ab = x_a + x_b` the mean over pairs is twice the mean of `x`, of known standard error.
    #[test]
    fn the_interval_covers_the_mean_of_a_sum() {
        let (n_patterns, n_sets) = (40, 200);
        let mut n_covered = 0;
        for seed in 0..n_sets {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let x: Vec<f64> = (0..n_patterns).map(|_| StandardNormal.sample(&mut rng)).collect();
            let matrix = symmetric(n_patterns, |a, b| Some(x[a] + x[b]));
            let found = pair_mean_interval(&matrix, |_, _| true, 400, seed, 0.9).unwrap().unwrap();
            n_covered += usize::from(found.interval[0] <= 0.0 && 0.0 <= found.interval[1]);
        }
        // 180 expected, 4.2 standard deviation, and a percentile interval of 40 patterns is a little narrow.
        assert!((163..=193).contains(&n_covered), "{n_covered}");
    }

    #[test]
    fn bytes_depend_on_the_seed_alone() {
        let matrix = symmetric(9, |a, b| (a + b != 7).then(|| (a * b) as f64 / 10.0));
        let with = |n_threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| pair_mean_interval(&matrix, |_, _| true, 333, seed, 0.95).unwrap().unwrap())
        };
        assert_eq!(with(1, 4), with(3, 4));
        assert_ne!(with(1, 4), with(1, 5));
    }

    #[test]
    fn what_cannot_be_resampled_is_refused() {
        let good = symmetric(4, |_, _| Some(0.5));
        let run =
            |matrix: &Array2<Option<f64>>, n, confidence| pair_mean_interval(matrix, |_, _| true, n, 1, confidence);
        assert!(matches!(run(&good, 0, 0.9), Err(MathError::TooFew { .. })));
        assert!(matches!(run(&good, 9, 1.0), Err(MathError::Parameter { name: "confidence", .. })));
        assert!(matches!(run(&Array2::from_elem((2, 3), None), 9, 0.9), Err(MathError::Shape { .. })));
        let mut bad = good.clone();
        bad[[1, 2]] = Some(0.7);
        assert!(matches!(run(&bad, 9, 0.9), Err(MathError::Parameter { .. })));
        bad[[1, 2]] = Some(f64::NAN);
        assert!(matches!(run(&bad, 9, 0.9), Err(MathError::NotFinite { row: 1, column: 2, .. })));
    }

    proptest! {
        #[test]
        fn intervals_move_and_stretch_with_the_values(
            numbers in prop::collection::vec(-1.0f64..1.0, 28), shift in -3.0f64..3.0, scale in 0.1f64..4.0,
        ) {
            let of = |f: &dyn Fn(f64) -> f64| {
                let matrix = symmetric(8, |a, b| Some(f(numbers[a * (15 - a) / 2 + b - a - 1])));
                pair_mean_interval(&matrix, |_, _| true, 100, 7, 0.8).unwrap().unwrap()
            };
            let (plain, moved) = (of(&|v| v), of(&|v| shift + scale * v));
            prop_assert!((moved.mean - shift - scale * plain.mean).abs() < 1e-9);
            prop_assert!((moved.standard_error - scale * plain.standard_error).abs() < 1e-9);
            for (moved, plain) in moved.interval.iter().zip(plain.interval) {
                prop_assert!((moved - shift - scale * plain).abs() < 1e-9);
            }
            prop_assert!(plain.interval[0] <= plain.interval[1]);
        }
    }
}
