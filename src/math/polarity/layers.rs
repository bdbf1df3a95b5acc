//! Whether pairs of profiles mirror each other more than rearranged layers would.
//!
//! Owns the two ways to rearrange the layers of a profile and the test against them. Which pairs are tested is the caller's
//! choice; nulls that keep the profiles and rearrange the pairs are in `pairs.rs`.

use ndarray::{Array2, ArrayViewMut1, Axis};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draws::{NullComparison, is_as_high, p_value, require_permutations};
use super::profiles::mirror;
use crate::math::MathError;

/// Rearrangements drawn by one task, each task from its own stream of random numbers.
const PERMUTATION_BLOCK: usize = 64;

/// How the layers of a profile are rearranged under the null hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LayerNull {
    /// Any order of layers, which makes a smooth profile rough.
    #[default]
    Permuted,
    /// A circular shift by any number of layers, in either direction of reading, which keeps neighbours together.
    Shifted,
}

/// Mirror index of chosen pairs against profiles whose layers are rearranged.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorTest {
    /// Mirror index of each pair; `None` as in [`super::mirror_index`].
    pub mirror: Vec<Option<f64>>,
    /// One-sided p value of each pair, `(1 + #{null >= observed}) / (1 + n_permutations)`.
    pub pair_p: Vec<Option<f64>>,
    /// Mean mirror index over the pairs that have one.
    pub mean: Option<f64>,
    /// Its mean under the null hypothesis.
    pub null_mean: Option<f64>,
    /// Its standard deviation under the null hypothesis (divided by the number of permutations).
    pub null_deviation: Option<f64>,
    /// One-sided p value of the mean.
    pub mean_p: Option<f64>,
}

/// Tests whether pairs of patterns mirror each other over the layers more than profiles with permuted layers do:
/// [`mirror_test_under`] with [`LayerNull::Permuted`].
///
/// # Errors
/// As [`mirror_test_under`].
pub fn mirror_test(
    profiles: &Array2<Option<f64>>,
    pairs: &[(usize, usize)],
    n_permutations: usize,
    seed: u64,
) -> Result<MirrorTest, MathError> {
    mirror_test_under(profiles, pairs, LayerNull::Permuted, n_permutations, seed)
}

/// Tests whether pairs of patterns mirror each other over the layers more than chance.
///
/// Each draw rearranges the layers of every profile (n_patterns x n_layers) independently; the statistics are the mirror
/// index of each pair and its mean over `pairs`. Layers without a value stay without.
///
/// Caveats: profiles that are smooth over layers correlate by chance more often than permuted ones do, so
/// [`LayerNull::Permuted`] gives p values that are too small for them; [`LayerNull::Shifted`] keeps the smoothness but for the
/// seam, and has only `2 n_layers` arrangements a profile, so single pairs reach no p value below about `1 / (2 n_layers)`.
/// Neither accounts for a spread over layers that all patterns share.
///
/// # Errors
/// [`MathError::Index`] for a pattern that does not exist, [`MathError::Empty`] without pairs, [`MathError::TooFew`]
/// without permutations.
pub fn mirror_test_under(
    profiles: &Array2<Option<f64>>,
    pairs: &[(usize, usize)],
    null: LayerNull,
    n_permutations: usize,
    seed: u64,
) -> Result<MirrorTest, MathError> {
    if pairs.is_empty() {
        return Err(MathError::Empty { what: "pairs" });
    }
    if let Some(found) = pairs.iter().map(|&(a, b)| a.max(b)).find(|&k| k >= profiles.nrows()) {
        return Err(MathError::Index { name: "pairs", found, expected: profiles.nrows() });
    }
    require_permutations(n_permutations)?;
    let mirror_of = |profiles: &Array2<Option<f64>>, (a, b): (usize, usize)| mirror(profiles.row(a), profiles.row(b));
    let observed: Vec<Option<f64>> = pairs.iter().map(|&pair| mirror_of(profiles, pair)).collect();
    let draws: Vec<(Vec<Option<f64>>, Vec<usize>)> = (0..n_permutations.div_ceil(PERMUTATION_BLOCK))
        .into_par_iter()
        .map(|block| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(block as u64);
            let n_draws = PERMUTATION_BLOCK.min(n_permutations - block * PERMUTATION_BLOCK);
            let mut n_as_high = vec![0usize; pairs.len()];
            let mut rearranged = profiles.clone();
            let means = (0..n_draws)
                .map(|_| {
                    rearranged.assign(profiles);
                    for row in rearranged.axis_iter_mut(Axis(0)) {
                        rearrange_present(row, null, &mut rng);
                    }
                    let (mut sum, mut n) = (0.0, 0usize);
                    for ((&pair, observed), count) in pairs.iter().zip(&observed).zip(&mut n_as_high) {
                        let Some(value) = mirror_of(&rearranged, pair) else { continue };
                        (sum, n) = (sum + value, n + 1);
                        *count += usize::from(observed.is_some_and(|observed| is_as_high(value, observed)));
                    }
                    (n > 0).then(|| sum / n as f64)
                })
                .collect();
            (means, n_as_high)
        })
        .collect();

    let pair_p = observed.iter().enumerate().map(|(pair, observed)| {
        observed.map(|_| p_value(draws.iter().map(|(_, counts)| counts[pair]).sum(), n_permutations))
    });
    let pair_p = pair_p.collect();
    let (sum, n) = observed.iter().flatten().fold((0.0, 0usize), |(sum, n), m| (sum + m, n + 1));
    let mean = (n > 0).then(|| sum / n as f64);
    let comparison =
        mean.map(|mean| NullComparison::of(mean, draws.iter().flat_map(|(means, _)| means.iter().copied())));
    Ok(MirrorTest {
        pair_p,
        mean,
        null_mean: comparison.and_then(|c| c.null_mean),
        null_deviation: comparison.and_then(|c| c.null_deviation),
        mean_p: comparison.map(|c| c.p),
        mirror: observed,
    })
}

/// Rearranges the layers that have a value; the others stay absent.
fn rearrange_present(mut profile: ArrayViewMut1<'_, Option<f64>>, null: LayerNull, rng: &mut ChaCha8Rng) {
    let mut values: Vec<f64> = profile.iter().flatten().copied().collect();
    match null {
        LayerNull::Permuted => values.shuffle(rng),
        LayerNull::Shifted => {
            let n_layers = values.len();
            if n_layers > 0 {
                values.rotate_left(rng.random_range(0..n_layers));
            }
            if rng.random::<bool>() {
                values.reverse();
            }
        }
    }
    let mut values = values.into_iter();
    for entry in profile.iter_mut().filter(|entry| entry.is_some()) {
        *entry = values.next();
    }
}
