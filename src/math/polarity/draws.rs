//! An observed statistic beside what it is under a null hypothesis.
//!
//! Owns the p value, the tolerance of a tie, and draws in parallel from streams of their own; it does not know what is drawn.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::math::MathError;

/// Draws of one task.
const DRAW_BLOCK: usize = 32;

/// Values that differ by less are equal up to the order of a sum.
const TIE: f64 = 1e-12;

/// A statistic against its null distribution, one-sided upwards.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NullComparison {
    /// The statistic of the data.
    pub observed: f64,
    /// Its mean over the draws; `None` where no draw has a value.
    pub null_mean: Option<f64>,
    /// Its standard deviation over the draws (divided by their number).
    pub null_deviation: Option<f64>,
    /// `(1 + #{null >= observed}) / (1 + n_draws)`; 1 without draws.
    pub p: f64,
    /// Draws in which the statistic has a value.
    pub n_draws: usize,
}

impl NullComparison {
    pub(super) fn of(observed: f64, draws: impl Iterator<Item = Option<f64>>) -> Self {
        let draws: Vec<f64> = draws.flatten().collect();
        let n = draws.len() as f64;
        let mean = (!draws.is_empty()).then(|| draws.iter().sum::<f64>() / n);
        let n_as_high = draws.iter().filter(|&&null| is_as_high(null, observed)).count();
        Self {
            observed,
            null_mean: mean,
            null_deviation: mean.map(|mean| (draws.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt()),
            p: p_value(n_as_high, draws.len()),
            n_draws: draws.len(),
        }
    }
}

/// Rounding may part two orders of the same sum; a draw that close is a tie, and ties count against the finding.
pub(super) fn is_as_high(null: f64, observed: f64) -> bool {
    null >= observed - TIE
}

/// The observed arrangement counts as one draw (Phipson and Smyth 2010).
pub(super) fn p_value(n_as_high: usize, n_draws: usize) -> f64 {
    (1 + n_as_high) as f64 / (1 + n_draws) as f64
}

pub(super) fn require_permutations(n_permutations: usize) -> Result<(), MathError> {
    if n_permutations > 0 {
        return Ok(());
    }
    let hint = "1000 resolves p values to 0.001";
    Err(MathError::TooFew { name: "number of permutations", found: 0, expected: 1, hint })
}

/// One value of `draw` for each of `n_draws`, in order; `purpose` keeps the random numbers of different tests apart.
pub(super) fn repeat<T: Send>(
    n_draws: usize,
    seed: u64,
    purpose: u64,
    draw: impl Fn(&mut ChaCha8Rng) -> T + Sync,
) -> Vec<T> {
    let blocks: Vec<Vec<T>> = (0..n_draws.div_ceil(DRAW_BLOCK))
        .into_par_iter()
        .map(|block| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(purpose << 40 | block as u64);
            let n = DRAW_BLOCK.min(n_draws - block * DRAW_BLOCK);
            (0..n).map(|_| draw(&mut rng)).collect()
        })
        .collect();
    blocks.into_iter().flatten().collect()
}
