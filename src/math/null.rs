//! What correlation chance alone would give between a held-out series and its prediction.
//!
//! Owns the test and its p values, over two null distributions of Pearson's r that keep the autocorrelation of a series:
//! permuted blocks of time, and circular shifts. How an order is drawn is in `null/arrangement.rs`, how its correlation
//! is computed in `null/evaluate.rs`. Correction over many targets is [`super::fdr`].

mod arrangement;
mod evaluate;

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::arrangement::Rearrangement;
pub(super) use self::arrangement::{Orders, Span, count_distinct};
pub(super) use self::evaluate::BlockGrid;
use self::evaluate::{Draws, Evaluation, LANES, Method, full_block};
use super::MathError;
use super::error::{require_finite, require_shape};

/// Orders drawn and evaluated at a time, so that memory does not grow with the number of permutations.
const ROUND: usize = 4096;

/// Orders of the first round of a test that may stop early: most targets that stop have stopped by then.
const FIRST_ROUND: usize = 128;

/// When a target needs no further draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EarlyStop {
    /// A target stops at the draw with which so many null values have reached its observed value; 10 to 20 are usual. Its p
    /// value then has a relative standard error of about `1 / sqrt(n_exceedances)`.
    pub n_exceedances: usize,
}

/// How a null distribution is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NullOptions {
    /// How the series is rearranged.
    pub rearrangement: Rearrangement,
    /// Orders drawn for a target that does not stop early.
    pub n_permutations: usize,
    /// Whether a target may stop early; all orders are drawn for every target when absent.
    pub early_stop: Option<EarlyStop>,
    /// Seed of the draws.
    pub seed: u64,
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
    /// `(1 + #{null r >= r}) / (1 + n_permutations)` (n_targets), or `n_exceedances / n_drawn` where a target stopped
    /// early.
    pub p_values: Vec<Option<f64>>,
    /// Orders that each target was compared with (n_targets); 0 for one without a p value.
    pub n_drawn: Vec<usize>,
    /// What was asked for.
    pub options: NullOptions,
    /// Caveats of this test.
    pub warnings: Vec<NullWarning>,
}

/// Tests for each target whether its correlation with the prediction exceeds chance, over the same number of draws for
/// all: [`permutation_test_with`] without early stopping.
///
/// # Errors
/// As [`permutation_test_with`].
pub fn permutation_test(
    data: ArrayView2<'_, f32>,
    prediction: ArrayView2<'_, f32>,
    rearrangement: Rearrangement,
    n_permutations: usize,
    seed: u64,
) -> Result<NullTest, MathError> {
    permutation_test_with(data, prediction, NullOptions { rearrangement, n_permutations, early_stop: None, seed })
}

/// Tests for each target whether its correlation with the prediction exceeds chance.
///
/// `data` and `prediction` are n_samples x n_targets over the held-out series. The null distribution rearranges the
/// data in time, in the same way for all targets, so that their dependence is kept; the p value counts the observed
/// arrangement as one draw (Phipson and Smyth 2010), so it is never 0.
///
/// With [`EarlyStop`] the test is the sequential one of Besag and Clifford (1991, Biometrika 78:301): a target stops once
/// `h` null values have reached its observed value, and `p = h / n_drawn`; a target that never gets there has
/// `p = (g + 1) / (n + 1)` over `g` such values, as without stopping. All targets read the same draws in the same
/// order, and each stops at a draw of its own, whatever its neighbours do.
///
/// Correlations are f32 sums of columns of unit norm. Whole blocks of equal length are permuted through the inner products
/// of data blocks and prediction blocks where that is cheaper, which depends on the sizes alone. Either way the observed
/// value comes from the same additions in the same order as that of a draw, so a draw that equals the observed order,
/// or one that puts blocks of equal values in each other's place, is a tie to the last bit and counts as reaching it.
///
/// Caveats: blocks must be longer than the autocorrelation of the residuals for the test to be valid, and a series with few
/// blocks has few rearrangements ([`NullWarning::FewRearrangements`]).
///
/// # Errors
/// [`MathError::Shape`] when the arrays differ in shape, [`MathError::NotFinite`], [`MathError::TooFew`] for no
/// permutation, no exceedance to stop at, or a series that is too short to be rearranged, [`MathError::Parameter`] for a
/// block of 0.
pub fn permutation_test_with(
    data: ArrayView2<'_, f32>,
    prediction: ArrayView2<'_, f32>,
    options: NullOptions,
) -> Result<NullTest, MathError> {
    require_shape("rows of the prediction", prediction.nrows(), data.nrows(), "one row for each sample")?;
    require_shape("columns of the prediction", prediction.ncols(), data.ncols(), "one column for each target")?;
    require_finite("data", data)?;
    require_finite("prediction", prediction)?;
    let NullOptions { rearrangement, n_permutations, early_stop, seed } = options;
    require_one("number of permutations", n_permutations, "1000 resolves p values to 0.001")?;
    let enough = early_stop.map(|stop| stop.n_exceedances);
    require_one("number of exceedances", enough.unwrap_or(1), "10 is the usual number to stop at")?;
    let n_samples = data.nrows();
    let n_distinct = count_distinct(rearrangement, n_samples)?;

    let method = Method::choose(rearrangement, n_samples, n_permutations);
    let mut orders = Orders::new(rearrangement, n_samples, seed);
    let mut tallies: Vec<Option<Tally>> = vec![Some(Tally::default()); data.ncols()];
    let mut open: Vec<usize> = (0..data.ncols()).collect();
    let mut n_drawn = 0;
    while n_drawn < n_permutations && !open.is_empty() {
        let round = if enough.is_some() && n_drawn == 0 { FIRST_ROUND } else { ROUND };
        let n_round = round.min(n_permutations - n_drawn);
        let draws = Draws::new(method, orders.by_ref().take(n_round).collect());
        let advanced: Vec<Vec<Option<Tally>>> = open
            .par_chunks(LANES)
            .map(|targets| {
                let before: Vec<Tally> = targets.iter().map(|&j| tallies[j].expect("an open target varies")).collect();
                advance(&draws, data.select(Axis(1), targets), prediction.select(Axis(1), targets), &before, enough)
            })
            .collect();
        for (&target, after) in open.iter().zip(advanced.into_iter().flatten()) {
            tallies[target] = after;
        }
        open.retain(|&target| tallies[target].is_some_and(|tally| !tally.is_over(enough)));
        n_drawn += n_round;
    }
    let mut warnings = Vec::new();
    if n_distinct < n_permutations as u64 {
        warnings.push(NullWarning::FewRearrangements { n_distinct, n_drawn: n_permutations });
    }
    Ok(NullTest {
        r: tallies.iter().map(|tally| tally.map(|tally| f64::from(tally.observed).clamp(-1.0, 1.0))).collect(),
        p_values: tallies.iter().map(|tally| tally.map(|tally| tally.p_value(enough))).collect(),
        n_drawn: tallies.iter().map(|tally| tally.map_or(0, |tally| tally.n_drawn)).collect(),
        options,
        warnings,
    })
}

pub(super) fn require_one(name: &'static str, found: usize, hint: &'static str) -> Result<(), MathError> {
    if found > 0 { Ok(()) } else { Err(MathError::TooFew { name, found, expected: 1, hint }) }
}

/// What one target has seen so far.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    observed: f32,
    n_drawn: usize,
    n_as_high: usize,
}

impl Tally {
    fn is_over(&self, enough: Option<usize>) -> bool {
        enough.is_some_and(|enough| self.n_as_high >= enough)
    }

    fn p_value(&self, enough: Option<usize>) -> f64 {
        if self.is_over(enough) {
            self.n_as_high as f64 / self.n_drawn as f64
        } else {
            (1 + self.n_as_high) as f64 / (1 + self.n_drawn) as f64
        }
    }
}

/// Compares one block of targets with the draws of one round; a target that does not vary comes back absent.
fn advance(
    draws: &Draws,
    data: ndarray::Array2<f32>,
    prediction: ndarray::Array2<f32>,
    before: &[Tally],
    enough: Option<usize>,
) -> Vec<Option<Tally>> {
    let (y, y_varies) = full_block(data.view());
    let (p, p_varies) = full_block(prediction.view());
    let mut evaluation = Evaluation::new(draws, &y, &p);
    let observed = evaluation.observed();
    // A round is short, so its own counts fit the width of a row's values and their comparison vectorises.
    let mut remaining = [0u32; LANES];
    for (remaining, tally) in remaining.iter_mut().zip(before) {
        *remaining = enough.map_or(u32::MAX, |enough| u32::try_from(enough - tally.n_as_high).unwrap_or(u32::MAX));
    }
    let (mut n_drawn, mut n_as_high) = ([0u32; LANES], [0u32; LANES]);
    for index in 0..draws.len() {
        let null = evaluation.draw(index);
        let mut n_open = 0;
        for j in 0..LANES {
            let open = u32::from(n_as_high[j] < remaining[j]);
            n_open += open;
            n_drawn[j] += open;
            n_as_high[j] += open & u32::from(null[j] >= observed[j]);
        }
        if n_open == 0 {
            break;
        }
    }
    let after = |(j, before): (usize, &Tally)| {
        (y_varies[j] && p_varies[j]).then(|| Tally {
            observed: observed[j],
            n_drawn: before.n_drawn + n_drawn[j] as usize,
            n_as_high: before.n_as_high + n_as_high[j] as usize,
        })
    };
    before.iter().enumerate().map(after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::scores::pearson_columns;
    use ndarray::{Array, Array2};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
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
        for rearrangement in [BLOCKS, Rearrangement::CircularShift { min_shift_tr: 4 }] {
            for n_samples in [20, 23, 31] {
                let spans = Orders::new(rearrangement, n_samples, 3).next().unwrap();
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
