//! Bootstrap draws of blocks of time, and intervals from them.
//!
//! Owns which blocks each draw takes, so that everything computed from the same draws is paired; what is computed from
//! the drawn totals (a mean, a difference of fits, a rank correlation over groups) is the caller's.

use ndarray::{Array2, ArrayView2, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::math::MathError;
use crate::math::blas::matmul;
use crate::math::error::require_shape;
use crate::math::group::t_quantile;
use crate::math::scores::is_constant;

/// Blocks of time below which neither an interval nor a test is given: with five, no two-sided test of signs reaches 0.05
/// (the smallest p is 2 / 2^5).
pub const FEW_BLOCKS: usize = 6;

/// Why there is no interval or no test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoInference {
    /// The test series has fewer than [`FEW_BLOCKS`] blocks.
    FewBlocks {
        /// How many it has.
        n_blocks: usize,
    },
    /// All blocks, or all draws, have the same value, such as those of a group without a scored target.
    Constant,
}

/// A two-sided interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// How often each bootstrap draw takes each block of time.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockDraws {
    /// n_draws x n_blocks
    counts: Array2<f64>,
}

impl BlockDraws {
    /// Draws `n_blocks` blocks with replacement, `n_draws` times.
    ///
    /// The draws are a function of the three arguments alone: use one set for every fit of the same test series.
    ///
    /// # Errors
    /// [`MathError::Empty`] without blocks, [`MathError::TooFew`] for fewer than two draws.
    pub fn new(n_blocks: usize, n_draws: usize, seed: u64) -> Result<Self, MathError> {
        if n_blocks == 0 {
            return Err(MathError::Empty { what: "blocks" });
        }
        if n_draws < 2 {
            return Err(MathError::TooFew {
                name: "number of draws",
                found: n_draws,
                expected: 2,
                hint: "1000 give a standard error to 2 %",
            });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut counts = Array2::zeros((n_draws, n_blocks));
        for mut draw in counts.outer_iter_mut() {
            for _ in 0..n_blocks {
                draw[rng.random_range(0..n_blocks)] += 1.0;
            }
        }
        Ok(Self { counts })
    }

    /// Blocks of the series.
    pub fn n_blocks(&self) -> usize {
        self.counts.ncols()
    }

    /// Totals of every draw (n_draws x n_columns) from contributions of blocks (n_blocks x n_columns).
    ///
    /// As many blocks are drawn as there are, so the expected total is the observed one without any scaling, also where the
    /// last block is shorter; the variance of a total over draws is `sum over b of (x_b - mean x)^2`.
    ///
    /// # Errors
    /// [`MathError::Shape`] for another number of blocks, [`MathError::NotFinite`].
    pub fn totals(&self, blocks: ArrayView2<'_, f64>) -> Result<Array2<f64>, MathError> {
        require_shape("rows of blocks", blocks.nrows(), self.n_blocks(), "one row for each block that was drawn from")?;
        require_finite("blocks", blocks)?;
        Ok(matmul(self.counts.view(), blocks))
    }

    /// An interval around each observed statistic (n_columns) from its value in every draw (n_draws x n_columns).
    ///
    /// `observed +- t se sqrt(n / (n - 1))`, with `se` the standard deviation over draws, `n` the number of blocks and `t`
    /// the quantile of Student's distribution with `n - 1` degrees of freedom; for totals this is the interval of Student's
    /// t over blocks. The statistic may be any function of drawn totals. Rows may be fewer than were drawn where some draw
    /// has no value.
    ///
    /// Measured coverage of a nominal 95 % over 2000 simulated test series of 300 and 900 samples with first-order
    /// autoregressive data and predictions (0.3 and 0.6), blocks of 10 and 20: 0.94 to 0.96 for mean correlations of 0 and
    /// 0.2, 0.94 to 0.97 for differences of two. The percentile interval came to 0.90 to 0.96 and 0.90 to 0.96, the basic
    /// one to 0.91 to 0.96, the bias-corrected and accelerated one to 0.89 to 0.96, all worst with few blocks.
    ///
    /// Caveats: blocks must be longer than the autocorrelation of the products. Norms are held fixed while blocks are
    /// drawn, so that intervals of large correlations are too wide (0.99 for a correlation of 0.5). An interval is symmetric
    /// and may leave the range of a bounded statistic.
    ///
    /// # Errors
    /// [`MathError::Shape`] when `observed` has not one value for each column, [`MathError::TooFew`] for fewer than two
    /// draws, [`MathError::NotFinite`], [`MathError::Parameter`] for a confidence outside 0 to 1.
    pub fn intervals(
        &self,
        draws: ArrayView2<'_, f64>,
        observed: &[f64],
        confidence: f64,
    ) -> Result<Vec<Result<Interval, NoInference>>, MathError> {
        require_shape("observed", observed.len(), draws.ncols(), "one value for each column of the draws")?;
        require_finite("draws", draws)?;
        require_finite("observed", ArrayView2::from_shape((1, observed.len()), observed).expect("one row"))?;
        if !(confidence > 0.0 && confidence < 1.0) {
            return Err(MathError::Parameter {
                name: "confidence",
                found: confidence,
                expected: "a number between 0 and 1",
            });
        }
        if draws.nrows() < 2 {
            return Err(MathError::TooFew {
                name: "number of draws",
                found: draws.nrows(),
                expected: 2,
                hint: "their spread is the width of the interval",
            });
        }
        let n_blocks = self.n_blocks();
        if n_blocks < FEW_BLOCKS {
            return Ok(vec![Err(NoInference::FewBlocks { n_blocks }); observed.len()]);
        }
        let freedom = n_blocks as f64 - 1.0;
        let factor = t_quantile(freedom, confidence) * (n_blocks as f64 / freedom).sqrt();
        let interval = |(column, &observed): (usize, &f64)| {
            let draws = draws.slice(s![.., column]);
            let n = draws.len() as f64;
            let mean = draws.sum() / n;
            let power: f64 = draws.iter().map(|v| (v - mean) * (v - mean)).sum();
            if power == 0.0 || is_constant(power, mean, draws.len()) {
                return Err(NoInference::Constant);
            }
            let half_width = factor * (power / (n - 1.0)).sqrt();
            Ok(Interval { low: observed - half_width, high: observed + half_width })
        };
        Ok(observed.iter().enumerate().map(interval).collect())
    }
}

/// Refuses an f64 array with a value that is not finite.
pub(super) fn require_finite(what: &'static str, array: ArrayView2<'_, f64>) -> Result<(), MathError> {
    match array.indexed_iter().find(|(_, v)| !v.is_finite()) {
        Some(((row, column), &found)) => Err(MathError::NotFinite { what, row, column, found }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Axis, array};

    fn blocks(n_blocks: usize) -> Array2<f64> {
        Array::from_shape_fn((n_blocks, 2), |(b, g)| ((b * 2 + g) as f64 * 1.7).sin() + 0.3)
    }

    #[test]
    fn moments_of_totals_have_their_closed_forms() {
        let blocks = blocks(17);
        let draws = BlockDraws::new(17, 40_000, 3).unwrap();
        assert!(draws.counts.sum_axis(Axis(1)).iter().all(|&n| n == 17.0));
        let totals = draws.totals(blocks.view()).unwrap();
        for g in 0..2 {
            let (column, total) = (blocks.column(g), blocks.column(g).sum());
            let variance: f64 = column.iter().map(|v| (v - total / 17.0).powi(2)).sum();
            let found = totals.column(g).sum() / 40_000.0;
            assert!((found - total).abs() < 5.0 * (variance / 40_000.0).sqrt());
            assert!((totals.column(g).var(1.0) / variance - 1.0).abs() < 0.04);
        }
    }

    #[test]
    fn the_interval_of_a_total_is_students() {
        let blocks = blocks(12);
        let draws = BlockDraws::new(12, 100_000, 1).unwrap();
        let observed: Vec<f64> = blocks.columns().into_iter().map(|c| c.sum()).collect();
        let found = draws.intervals(draws.totals(blocks.view()).unwrap().view(), &observed, 0.9).unwrap();
        for (g, interval) in found.iter().enumerate() {
            let interval = interval.unwrap();
            let half_width = t_quantile(11.0, 0.9) * (12.0 * blocks.column(g).var(1.0)).sqrt();
            assert!(((interval.high - interval.low) / (2.0 * half_width) - 1.0).abs() < 0.01);
            assert!(((interval.high + interval.low) / 2.0 - observed[g]).abs() < 1e-12);
        }
    }

    #[test]
    fn what_has_no_interval_says_why() {
        let few = BlockDraws::new(5, 20, 1).unwrap();
        let draws = few.totals(blocks(5).view()).unwrap();
        let found = few.intervals(draws.view(), &[1.0, 2.0], 0.95).unwrap();
        assert_eq!(found, [Err(NoInference::FewBlocks { n_blocks: 5 }); 2]);
        let six = BlockDraws::new(6, 20, 1).unwrap();
        let same = six.totals(Array2::from_elem((6, 1), 0.1).view()).unwrap();
        assert_eq!(six.intervals(same.view(), &[0.6], 0.95).unwrap(), [Err(NoInference::Constant)]);
        let absent = six.totals(Array2::zeros((6, 1)).view()).unwrap();
        assert_eq!(six.intervals(absent.view(), &[0.0], 0.95).unwrap(), [Err(NoInference::Constant)]);
        assert_eq!(
            serde_json::to_string(&NoInference::FewBlocks { n_blocks: 5 }).unwrap(),
            r#"{"few-blocks":{"n_blocks":5}}"#
        );
    }

    #[test]
    fn bad_input_is_named() {
        assert!(matches!(BlockDraws::new(0, 9, 1), Err(MathError::Empty { what: "blocks" })));
        assert!(matches!(BlockDraws::new(9, 1, 1), Err(MathError::TooFew { found: 1, .. })));
        let draws = BlockDraws::new(6, 9, 1).unwrap();
        assert!(matches!(draws.totals(blocks(7).view()), Err(MathError::Shape { found: 7, expected: 6, .. })));
        let broken = array![[0.0], [1.0], [f64::NAN], [0.0], [0.0], [0.0]];
        assert!(matches!(draws.totals(broken.view()), Err(MathError::NotFinite { row: 2, .. })));
        let totals = draws.totals(blocks(6).view()).unwrap();
        let interval = |observed: &[f64], confidence| draws.intervals(totals.view(), observed, confidence).unwrap_err();
        assert!(matches!(interval(&[0.0], 0.9), MathError::Shape { .. }));
        assert!(matches!(interval(&[0.0, f64::INFINITY], 0.9), MathError::NotFinite { column: 1, .. }));
        assert!(matches!(interval(&[0.0, 0.0], 1.0), MathError::Parameter { .. }));
    }

    #[test]
    fn draws_are_those_of_the_seed() {
        assert_eq!(BlockDraws::new(9, 30, 4).unwrap(), BlockDraws::new(9, 30, 4).unwrap());
        assert_ne!(BlockDraws::new(9, 30, 4).unwrap(), BlockDraws::new(9, 30, 5).unwrap());
    }
}
