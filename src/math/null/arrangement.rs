//! How a series may be rearranged in time: what is allowed, how many ways there are, and one random draw.
//!
//! It does not know what is correlated with what; that is in [`super::evaluate`].

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::math::MathError;

/// How the test series is rearranged under the null hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rearrangement {
    /// Permute whole blocks of this many repetition times. The last block is shorter where they do not divide the series;
    /// it takes part in the permutation like any other, so no sample stays in place by construction.
    Blocks {
        /// Repetition times a block.
        block_tr: usize,
    },
    /// Shift the series in a circle by a random lag of at least this many repetition times either way.
    CircularShift {
        /// The smallest lag.
        min_shift_tr: usize,
    },
}

/// Consecutive samples of the data that stay together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::math) struct Span {
    pub from: usize,
    pub length: usize,
}

/// Blocks in their natural order, the last one shorter where they do not divide the series.
pub(super) fn blocks_in_order(n_samples: usize, block_tr: usize) -> Vec<Span> {
    (0..n_samples).step_by(block_tr).map(|from| Span { from, length: block_tr.min(n_samples - from) }).collect()
}

/// How many distinct orders there are, at most `u64::MAX`; refuses a series that cannot be rearranged.
pub(in crate::math) fn count_distinct(rearrangement: Rearrangement, n_samples: usize) -> Result<u64, MathError> {
    match rearrangement {
        Rearrangement::Blocks { block_tr: 0 } => {
            Err(MathError::Parameter { name: "block_tr", found: 0.0, expected: "1 or more" })
        }
        Rearrangement::Blocks { block_tr } => {
            let n_blocks = n_samples.div_ceil(block_tr);
            if n_blocks < 2 {
                return Err(MathError::TooFew {
                    name: "number of blocks",
                    found: n_blocks,
                    expected: 2,
                    hint: "use shorter blocks or a longer test series",
                });
            }
            Ok((1..=n_blocks as u64).fold(1, u64::saturating_mul))
        }
        Rearrangement::CircularShift { min_shift_tr } => {
            let smallest = min_shift_tr.max(1);
            let n_shifts = (n_samples + 1).saturating_sub(smallest.saturating_mul(2));
            if n_shifts == 0 {
                return Err(MathError::TooFew {
                    name: "samples",
                    found: n_samples,
                    expected: smallest.saturating_mul(2),
                    hint: "use a smaller shift or a longer test series",
                });
            }
            Ok(n_shifts as u64)
        }
    }
}

/// Draws one order: which spans of the data follow one another.
pub(super) fn draw(rearrangement: Rearrangement, n_samples: usize, rng: &mut ChaCha8Rng) -> Vec<Span> {
    match rearrangement {
        Rearrangement::Blocks { block_tr } => {
            let mut spans = blocks_in_order(n_samples, block_tr);
            spans.shuffle(rng);
            spans
        }
        Rearrangement::CircularShift { min_shift_tr } => {
            let smallest = min_shift_tr.max(1);
            let shift = rng.random_range(smallest..=n_samples - smallest);
            vec![Span { from: shift, length: n_samples - shift }, Span { from: 0, length: shift }]
        }
    }
}

/// The endless sequence of orders that a seed stands for: order `i` is the same in every test of a series of this length.
pub(in crate::math) struct Orders {
    rearrangement: Rearrangement,
    n_samples: usize,
    rng: ChaCha8Rng,
}

impl Orders {
    /// Orders of a series for which [`count_distinct`] gives no error.
    pub fn new(rearrangement: Rearrangement, n_samples: usize, seed: u64) -> Self {
        Self { rearrangement, n_samples, rng: ChaCha8Rng::seed_from_u64(seed) }
    }
}

impl Iterator for Orders {
    type Item = Vec<Span>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(draw(self.rearrangement, self.n_samples, &mut self.rng))
    }
}
