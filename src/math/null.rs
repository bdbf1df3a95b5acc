//! What correlation chance alone would give between a held-out series and its prediction.
//!
//! Owns two null distributions of Pearson's r that keep the autocorrelation of a series: permuted blocks of time, and
//! circular shifts. Correction over many targets is [`super::fdr`].

use ndarray::ArrayView2;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MathError;
use super::error::{require_finite, require_shape};
use super::scores::{column_block, unit_columns};

/// Targets tested by one task: 900 samples of these are 115 kB, so that data and prediction stay in a core's own cache.
const COLUMN_BLOCK: usize = 32;

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

/// A caveat of a permutation test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NullWarning {
    /// The series can be rearranged in this many ways only, fewer than were drawn: smaller p values mean little.
    FewRearrangements {
        /// Distinct rearrangements.
        n_distinct: u64,
        /// Rearrangements drawn, with repetition.
        n_drawn: usize,
    },
}

/// A one-sided permutation test of every target.
#[derive(Debug, Clone, PartialEq)]
pub struct NullTest {
    /// Pearson's r between series and prediction (n_targets); `None` where either is constant.
    pub r: Vec<Option<f64>>,
    /// `(1 + #{null r >= r}) / (1 + n_permutations)` (n_targets).
    pub p_values: Vec<Option<f64>>,
    /// Caveats of this test.
    pub warnings: Vec<NullWarning>,
}

/// Tests for each target whether its correlation with the prediction exceeds chance.
///
/// `data` and `prediction` are n_samples x n_targets over the held-out series. The null distribution rearranges the
/// data in time, in the same way for all targets, so that their dependence is kept; the p value counts the observed
/// arrangement as one draw (Phipson and Smyth 2010), so it is never 0. Correlations are f32 sums of columns
/// of unit norm; observed and null values use the same sums, so that a draw equal to the observed order counts as a tie.
///
/// Caveats: blocks must be longer than the autocorrelation of the residuals for the test to be valid, and a series with few
/// blocks has few rearrangements ([`NullWarning::FewRearrangements`]).
///
/// # Errors
/// [`MathError::Shape`] when the arrays differ in shape, [`MathError::NotFinite`], [`MathError::TooFew`] for no
/// permutation or a series that is too short to be rearranged, [`MathError::Parameter`] for a block of 0.
pub fn permutation_test(
    data: ArrayView2<'_, f32>,
    prediction: ArrayView2<'_, f32>,
    rearrangement: Rearrangement,
    n_permutations: usize,
    seed: u64,
) -> Result<NullTest, MathError> {
    require_shape("rows of the prediction", prediction.nrows(), data.nrows(), "one row for each sample")?;
    require_shape("columns of the prediction", prediction.ncols(), data.ncols(), "one column for each target")?;
    require_finite("data", data)?;
    require_finite("prediction", prediction)?;
    if n_permutations == 0 {
        return Err(MathError::TooFew {
            name: "number of permutations",
            found: 0,
            expected: 1,
            hint: "1000 resolves p values to 0.001",
        });
    }
    let n_samples = data.nrows();
    let n_distinct = count_distinct(rearrangement, n_samples)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let orders: Vec<Vec<Span>> = (0..n_permutations).map(|_| draw(rearrangement, n_samples, &mut rng)).collect();
    let in_order = [Span { from: 0, length: n_samples }];

    let mut tests = vec![(None, None); data.ncols()];
    tests.par_chunks_mut(COLUMN_BLOCK).enumerate().for_each(|(block, out)| {
        let start = block * COLUMN_BLOCK;
        let (y, y_varies) = full_block(column_block(data, start, out.len()));
        let (p, p_varies) = full_block(column_block(prediction, start, out.len()));
        let observed = correlate(&y, &p, &in_order);
        let mut n_as_high = vec![0usize; out.len()];
        for order in &orders {
            let null = correlate(&y, &p, order);
            for (count, (null, observed)) in n_as_high.iter_mut().zip(null.iter().zip(&observed)) {
                *count += usize::from(null >= observed);
            }
        }
        for (j, out) in out.iter_mut().enumerate() {
            if y_varies[j] && p_varies[j] {
                let r = f64::from(observed[j]).clamp(-1.0, 1.0);
                *out = (Some(r), Some((1 + n_as_high[j]) as f64 / (1 + n_permutations) as f64));
            }
        }
    });
    let mut warnings = Vec::new();
    if n_distinct < n_permutations as u64 {
        warnings.push(NullWarning::FewRearrangements { n_distinct, n_drawn: n_permutations });
    }
    let (r, p_values) = tests.into_iter().unzip();
    Ok(NullTest { r, p_values, warnings })
}

/// Consecutive samples of the data that stay together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: usize,
    length: usize,
}

/// Columns of unit norm, filled up with columns of 0 to the width of a block, and which of them vary.
fn full_block(columns: ArrayView2<'_, f32>) -> (Vec<Row>, Vec<bool>) {
    let (unit, varies) = unit_columns(columns);
    let fill = |row: ndarray::ArrayView1<'_, f32>| {
        let mut full = [0.0; COLUMN_BLOCK];
        full.iter_mut().zip(row).for_each(|(to, &from)| *to = from);
        full
    };
    (unit.outer_iter().map(fill).collect(), varies)
}

/// One sample of a block of targets.
type Row = [f32; COLUMN_BLOCK];

/// Correlation of each column when the data are laid out in the order of `spans`.
fn correlate(data: &[Row], prediction: &[Row], spans: &[Span]) -> Row {
    let mut sums = [0.0; COLUMN_BLOCK];
    let mut to = 0;
    for span in spans {
        add_products(&mut sums, &data[span.from..span.from + span.length], &prediction[to..to + span.length]);
        to += span.length;
    }
    sums
}

/// The inner loop of the test, apart and of fixed width because only so does the compiler keep the sums in registers.
#[inline(never)]
fn add_products(sums: &mut Row, data: &[Row], prediction: &[Row]) {
    for (y, p) in data.iter().zip(prediction) {
        for ((sum, y), p) in sums.iter_mut().zip(y).zip(p) {
            *sum += y * p;
        }
    }
}

fn count_distinct(rearrangement: Rearrangement, n_samples: usize) -> Result<u64, MathError> {
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

fn draw(rearrangement: Rearrangement, n_samples: usize, rng: &mut ChaCha8Rng) -> Vec<Span> {
    match rearrangement {
        Rearrangement::Blocks { block_tr } => {
            let mut spans: Vec<Span> = (0..n_samples)
                .step_by(block_tr)
                .map(|from| Span { from, length: block_tr.min(n_samples - from) })
                .collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::scores::pearson_columns;
    use ndarray::{Array, Array2};
    use rand_distr::{Distribution, StandardNormal};

    fn noise(n_samples: usize, n_targets: usize, seed: u64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Array::from_shape_simple_fn((n_samples, n_targets), || StandardNormal.sample(&mut rng))
    }

    const BLOCKS: Rearrangement = Rearrangement::Blocks { block_tr: 10 };

    #[test]
    fn a_perfect_prediction_gets_the_smallest_p_and_an_inverted_one_the_largest() {
        let y = noise(95, 40, 1);
        let up = permutation_test(y.view(), y.view(), BLOCKS, 99, 7).unwrap();
        assert!(up.p_values.iter().all(|p| *p == Some(0.01)));
        let down = permutation_test(y.view(), (-&y).view(), BLOCKS, 99, 7).unwrap();
        assert!(down.p_values.iter().all(|p| *p == Some(1.0)));
    }

    #[test]
    fn null_data_give_uniform_p_values() {
        for rearrangement in [BLOCKS, Rearrangement::CircularShift { min_shift_tr: 10 }] {
            let test = permutation_test(noise(203, 2000, 2).view(), noise(203, 2000, 3).view(), rearrangement, 199, 4);
            let p: Vec<f64> = test.unwrap().p_values.into_iter().flatten().collect();
            for level in [0.05, 0.25, 0.5] {
                let share = p.iter().filter(|&&p| p <= level).count() as f64 / 2000.0;
                // Four standard errors of a binomial share, and some for draws shared by all targets.
                assert!((share - level).abs() < 4.0 * (level * (1.0 - level) / 2000.0f64).sqrt() + 0.03, "{share}");
            }
        }
    }

    #[test]
    fn r_equals_the_score_and_constants_are_absent() {
        let (mut y, p) = (noise(50, 35, 5), noise(50, 35, 6));
        y.column_mut(33).fill(3.0);
        let test = permutation_test(y.view(), p.view(), BLOCKS, 20, 1).unwrap();
        for (a, b) in test.r.iter().zip(pearson_columns(y.view(), p.view()).unwrap()) {
            assert_eq!(a.is_some(), b.is_some());
            assert!((a.unwrap_or(0.0) - b.unwrap_or(0.0)).abs() < 1e-6);
        }
        assert_eq!((test.r[33], test.p_values[33]), (None, None));
    }

    #[test]
    fn every_rearrangement_keeps_all_samples() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for rearrangement in [BLOCKS, Rearrangement::CircularShift { min_shift_tr: 4 }] {
            for n_samples in [20, 23, 31] {
                let spans = draw(rearrangement, n_samples, &mut rng);
                let mut seen: Vec<usize> = spans.iter().flat_map(|s| s.from..s.from + s.length).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..n_samples).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn few_blocks_are_reported_and_one_is_refused() {
        let y = noise(30, 2, 8);
        let test = permutation_test(y.view(), y.view(), BLOCKS, 100, 1).unwrap();
        assert_eq!(test.warnings, [NullWarning::FewRearrangements { n_distinct: 6, n_drawn: 100 }]);
        let refused = |rearrangement| permutation_test(y.view(), y.view(), rearrangement, 100, 1).unwrap_err();
        assert!(matches!(refused(Rearrangement::Blocks { block_tr: 30 }), MathError::TooFew { .. }));
        assert!(matches!(refused(Rearrangement::Blocks { block_tr: 0 }), MathError::Parameter { .. }));
        assert!(matches!(refused(Rearrangement::CircularShift { min_shift_tr: 16 }), MathError::TooFew { .. }));
        assert!(matches!(refused(Rearrangement::CircularShift { min_shift_tr: usize::MAX }), MathError::TooFew { .. }));
    }

    #[test]
    fn bytes_depend_on_the_seed_alone() {
        let (y, p) = (noise(80, 150, 9), noise(80, 150, 10));
        let with = |n_threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| permutation_test(y.view(), p.view(), BLOCKS, 50, seed).unwrap())
        };
        assert_eq!(with(1, 1), with(2, 1));
        assert_ne!(with(1, 1).p_values, with(1, 2).p_values);
    }
}
