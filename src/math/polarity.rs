//! Patterns that oppose one another: opposite maps, mirrored layer profiles, and whether the two go together.
//!
//! Owns the statistics of polarity on arrays of patterns, free of the sign that a dictionary leaves open: every pattern is
//! read the way round in which its codes sum to a positive number (`polarity/orientation.rs`). Profiles are in
//! `polarity/profiles.rs`, nulls over layers in `polarity/layers.rs`, nulls over pairs in `polarity/pairs.rs`. Where the codes
//! come from is [`super::dictionary`].

mod draws;
mod layers;
mod orientation;
mod oriented;
mod pairs;
mod profiles;

use ndarray::{Array2, ArrayView2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::draws::NullComparison;
use self::draws::require_permutations;
pub use self::layers::{LayerNull, MirrorTest, mirror_test, mirror_test_under};
pub use self::orientation::{Orientation, orientations};
use self::oriented::Oriented;
pub use self::pairs::{PartialEffect, PatternInterval};
pub use self::profiles::{layer_profiles, mirror_index};
use super::MathError;
use super::error::{require_finite, require_shape};
use super::gram::CentredGram;

/// Patterns with a map, a profile and an orientation below which there is no test: three have too few pairs to permute.
const MIN_PATTERNS: usize = 4;

/// Below this strength the sign of a pattern is reported as a convention.
pub const WEAK_ORIENTATION: f64 = 0.05;

/// Opposed pairs whose time courses correlate by less than this, either way, do not oppose by algebra.
pub const ALIKE_SERIES_R: f64 = 0.3;

/// Pearson correlation of every pair of rows (n_patterns x n_patterns) of `maps` (n_patterns x n_voxels).
///
/// Rows are centred and multiplied in f64, block by block over columns. `None` where either row is constant; 1 on the
/// diagonal elsewhere.
///
/// # Errors
/// [`MathError::NotFinite`].
pub fn row_correlations(maps: ArrayView2<'_, f32>) -> Result<Array2<Option<f64>>, MathError> {
    require_finite("maps", maps)?;
    let gram = CentredGram::of(maps);
    let root: Vec<Option<f64>> =
        (0..maps.nrows()).map(|k| gram.varies(k).then(|| gram.products[[k, k]].sqrt())).collect();
    Ok(Array2::from_shape_fn((maps.nrows(), maps.nrows()), |(k, j)| {
        let scale = root[k]? * root[j]?;
        Some(if k == j { 1.0 } else { (gram.products[[k, j]] / scale).clamp(-1.0, 1.0) })
    }))
}

/// A dictionary and the maps that its patterns drive.
#[derive(Debug, Clone, Copy)]
pub struct PolarityInput<'a> {
    /// Codes (n_patterns x n_units).
    pub codes: ArrayView2<'a, f32>,
    /// Weights of each pattern (n_patterns x n_voxels).
    pub maps: ArrayView2<'a, f32>,
    /// Time courses (n_tr x n_patterns).
    pub series: ArrayView2<'a, f32>,
    /// Layer of each unit (n_units).
    pub layer_of_unit: &'a [usize],
    /// Layers there are.
    pub n_layers: usize,
}

/// What counts as opposed, and how chance is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct PolarityOptions {
    /// Two maps oppose each other if their correlation is below minus this.
    pub min_opposition: f64,
    /// A voxel belongs to the positive or negative set of a map beyond so many root mean squares of that map.
    pub threshold_sd: f64,
    /// Draws of every null distribution, and resamples of the interval.
    pub n_permutations: usize,
    /// Seed of all draws.
    pub seed: u64,
}

impl Default for PolarityOptions {
    /// Correlations below -0.3, voxels beyond 1.5 root mean squares, 1000 draws.
    fn default() -> Self {
        Self { min_opposition: 0.3, threshold_sd: 1.5, n_permutations: 1000, seed: 0 }
    }
}

/// Two patterns, each read the way round in which its codes sum to a positive number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairPolarity {
    /// First pattern.
    pub k: usize,
    /// Second pattern, above the first.
    pub j: usize,
    /// Pearson correlation of the maps; `None` where a map is constant or a pattern has no orientation.
    pub maps_r: Option<f64>,
    /// Pearson correlation of the time courses.
    pub series_r: Option<f64>,
    /// Mirror index of the layer profiles, `M_kj = -r(a_k, a_j)`.
    pub mirror: Option<f64>,
    /// Dice coefficient of the positive set of one with the negative set of the other, mean of both ways that exist.
    pub opposite_dice: Option<f64>,
    /// Dice coefficient of the two positive sets and that of the two negative sets, mean of those that exist.
    pub aligned_dice: Option<f64>,
    /// Whether `maps_r` is below minus the threshold.
    pub is_opposed: bool,
    /// For opposed pairs, the one-sided p value of the mirror index against permuted layers.
    pub layers_p: Option<f64>,
}

/// Whether opposed pairs mirror each other more than the other pairs do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolarityTest {
    /// Opposed pairs among the compared patterns.
    pub n_opposed: usize,
    /// Other pairs among them.
    pub n_others: usize,
    /// Mean mirror index of opposed pairs.
    pub mean_opposed: f64,
    /// Mean mirror index of the other pairs.
    pub mean_others: f64,
    /// The headline: `mean_opposed - mean_others`.
    pub effect: f64,
    /// The same in standard deviations of the mirror index over all pairs; `None` where it does not vary.
    pub standardised: Option<f64>,
    /// 95 % interval of the effect over resampled patterns; `None` where no resample has opposed pairs and others.
    pub interval: Option<PatternInterval>,
    /// The effect against relabelled patterns: the p value of the headline.
    pub pairs_permuted: NullComparison,
    /// Mean mirror index of opposed pairs against permuted layers.
    pub layers_permuted: NullComparison,
    /// Mean mirror index of opposed pairs against shifted and reversed layers.
    pub layers_shifted: NullComparison,
    /// Mean mirror index of opposed pairs against patterns pointed either way at random.
    pub signs_redrawn: NullComparison,
    /// Number of opposed pairs against patterns pointed either way at random.
    pub n_opposed_signs_redrawn: NullComparison,
    /// Relation of maps and profiles at equal time courses; `None` where the time courses leave nothing to relate.
    pub partial: Option<PartialEffect>,
}

/// Why there is no test of polarity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoPolarity {
    /// A correlation over fewer than three layers says nothing.
    TooFewLayers {
        /// Layers with units.
        n_layers: usize,
    },
    /// Fewer than four patterns have an orientation, a map and a profile that vary.
    TooFewPatterns {
        /// How many have.
        n_patterns: usize,
    },
    /// No two maps oppose each other.
    NoOpposedPair,
    /// All maps oppose each other, so there is nothing to compare with.
    NoOtherPair,
}

/// A caveat of a measurement of polarity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolarityWarning {
    /// Codes of these patterns nearly cancel, so the sign of the pattern, and which pairs it opposes, is a convention.
    WeakOrientation {
        /// How many patterns.
        n_patterns: usize,
        /// Opposed pairs they are part of.
        n_opposed: usize,
    },
    /// Codes of these patterns sum to exactly 0, so they have no orientation and are left out.
    NoOrientation {
        /// How many patterns.
        n_patterns: usize,
    },
    /// Maps of these patterns are constant, so they are left out.
    ConstantMap {
        /// How many patterns.
        n_patterns: usize,
    },
    /// Profiles of these patterns are constant over layers, so they are left out.
    ConstantProfile {
        /// How many patterns.
        n_patterns: usize,
    },
    /// Time courses of these patterns are constant, so they are left out where time courses count.
    ConstantSeries {
        /// How many patterns.
        n_patterns: usize,
    },
    /// Patterns can be relabelled or flipped in this many ways only, fewer than were drawn: smaller p values mean little.
    FewArrangements {
        /// Distinct arrangements of the null that has fewest.
        n_distinct: u64,
        /// Arrangements drawn, with repetition.
        n_drawn: usize,
    },
    /// This many resamples had no opposed pair, or no other, and do not count in the interval.
    EmptyResamples {
        /// How many.
        n_resamples: usize,
    },
}

/// Opposition of all pairs of patterns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Polarity {
    /// Every pair, `k` below `j`, in lexical order.
    pub pairs: Vec<PairPolarity>,
    /// `|sum_i C_ki| / sum_i |C_ki|` of each pattern (n_patterns); `None` where the codes sum to exactly 0.
    pub orientation_strength: Vec<Option<f64>>,
    /// Opposed pairs.
    pub n_opposed: usize,
    /// Opposed pairs whose time courses correlate by less than [`ALIKE_SERIES_R`], so that no algebra makes them oppose.
    pub n_not_by_algebra: usize,
    /// The test over pairs, or why there is none.
    pub test: Result<PolarityTest, NoPolarity>,
    /// What was asked for.
    pub options: PolarityOptions,
    /// Caveats of this measurement.
    pub warnings: Vec<PolarityWarning>,
}

/// Measures how far patterns with opposite maps have mirrored layer profiles.
///
/// Every statistic is of oriented maps `o_k beta_k`, time courses `o_k d_k` and profiles `o_k a_k` with
/// `o_k = sign(sum_i C_ki)`, so flipping a pattern's codes, map and time course together changes no output. A pair is
/// opposed where `r(beta_k, beta_j) < -tau`; the headline is the mean mirror index `M_kj = -r(a_k, a_j)` of opposed pairs
/// less that of the other pairs. Its nulls ask different questions:
///
/// - relabelled patterns (`pairs_permuted`): are the mirrored pairs the opposed ones? Profiles, maps and the dependence of
///   pairs that share a pattern stay as they are (Hubert and Schultz 1976), so this one is exact for exchangeable
///   patterns, whatever their smoothness and whatever all profiles share;
/// - permuted or shifted layers: is the mean mirror index of opposed pairs beyond that of profiles without a common layer
///   axis? Permuted layers are too liberal for smooth profiles (0.13 to 0.18 instead of 0.05 over 12 layers), shifted ones
///   are not; a trend over layers that all patterns share makes either stricter;
/// - redrawn signs: would it be as high with each pattern pointed either way? Opposed pairs that mirror and aligned pairs that do
///   not are the same fact under this null, so it tests what the orientation adds, not whether maps and profiles are
///   related.
///
/// If two time courses are mirror images, opposite maps and profiles follow by algebra: `partial` relates maps to profiles
/// over pairs with `r(d_k, d_j)` taken out of both, and `n_not_by_algebra` counts opposed pairs that are free of it.
///
/// # Errors
/// [`MathError::Shape`] when patterns or units differ in number, [`MathError::Index`] for a layer beyond `n_layers`,
/// [`MathError::NotFinite`], [`MathError::Parameter`] for a threshold out of range, [`MathError::TooFew`] without
/// permutations.
pub fn polarity(input: PolarityInput<'_>, options: PolarityOptions) -> Result<Polarity, MathError> {
    let n_patterns = input.codes.nrows();
    require_shape("rows of the maps", input.maps.nrows(), n_patterns, "one map for each row of the codes")?;
    require_shape("columns of the series", input.series.ncols(), n_patterns, "one series for each row of the codes")?;
    check(&options)?;
    require_finite("series", input.series)?;
    let profiles = layer_profiles(input.codes, input.layer_of_unit, input.n_layers)?;
    let oriented = Oriented::measure(input, &profiles, options.threshold_sd)?;

    let mut pairs = oriented.pairs(options.min_opposition);
    let mut warnings = oriented.warnings(&pairs);
    let opposed: Vec<(usize, usize)> = pairs.iter().filter(|p| p.is_opposed).map(|p| (p.k, p.j)).collect();
    let layers = |null| mirror_test_under(&oriented.profiles, &opposed, null, options.n_permutations, options.seed);
    let permuted = if opposed.is_empty() { None } else { Some(layers(LayerNull::Permuted)?) };
    if let Some(permuted) = &permuted {
        for (pair, p) in pairs.iter_mut().filter(|pair| pair.is_opposed).zip(&permuted.pair_p) {
            pair.layers_p = *p;
        }
    }
    let test = match (oriented.comparable(), permuted) {
        (Err(reason), _) => Err(reason),
        (Ok(_), None) => Err(NoPolarity::NoOpposedPair),
        (Ok(kept), Some(permuted)) => {
            let shifted = layers(LayerNull::Shifted)?;
            oriented.test(&kept, &options, &permuted, &shifted, &mut warnings)
        }
    };
    let is_free = |pair: &&PairPolarity| pair.is_opposed && pair.series_r.is_some_and(|r| r.abs() < ALIKE_SERIES_R);
    Ok(Polarity {
        n_opposed: opposed.len(),
        n_not_by_algebra: pairs.iter().filter(is_free).count(),
        pairs,
        orientation_strength: oriented.orientations.iter().map(|o| o.map(|o| o.strength)).collect(),
        test,
        options,
        warnings,
    })
}

fn check(options: &PolarityOptions) -> Result<(), MathError> {
    let PolarityOptions { min_opposition, threshold_sd, n_permutations, .. } = *options;
    let refuse = |name, found, expected| Err(MathError::Parameter { name, found, expected });
    if !(0.0..1.0).contains(&min_opposition) {
        return refuse("min-opposition", min_opposition, "a number from 0 to below 1");
    }
    if !(threshold_sd > 0.0 && threshold_sd.is_finite()) {
        return refuse("threshold-sd", threshold_sd, "a positive number");
    }
    require_permutations(n_permutations)
}

#[cfg(test)]
mod tests;
