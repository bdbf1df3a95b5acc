//! Tests whether sets overlap more than chance gives.
//!
//! Owns the null hypotheses and the order of draws. How sets are drawn is in `memberships.rs` and `rotation.rs`, what comes
//! of the draws in `compare.rs`.

use ndarray::{Array2, ArrayView2};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Sets;
use super::compare::{OverlapComparison, OverlapWarning, RegionOverlap, compare_pairs};
use super::layout::{Bits, Count, Layout};
use super::memberships::Thrown;
use super::rotation::Rotator;
use crate::math::MathError;
use crate::math::error::{require_finite, require_shape};

/// Draws of one task, each task from its own stream of random numbers.
const DRAW_BLOCK: usize = 8;

/// Tasks at a time: no more hold rotated maps, however many threads there are.
const BLOCKS_AT_A_TIME: usize = 16;

/// Smallest possible p value above which a comparison is called coarse.
const COARSE_P: f64 = 0.01;

/// What would hold if patterns did not repeat one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OverlapNull {
    /// The members of every set are any elements, each set on its own. Too small p values come out for smooth maps, and when
    /// all patterns load on the same regions.
    Memberships,
    /// As `memberships`, but every set keeps its number of members in each group (where groups overlap, in each combination of
    /// groups). Preferred regions are kept as far as groups tell them apart; smooth maps still give too small p values.
    MembershipsWithinGroups,
    /// Maps are exchangeable draws around their mean map: all are rotated together in the space of patterns, the mean left in
    /// place, and thresholded so that sets keep their sizes. Smoothness, preferred regions and sizes are all kept.
    Rotations,
}

/// How overlap is compared with chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct OverlapOptions {
    /// The null hypothesis.
    pub null: OverlapNull,
    /// Draws under it; 1000 resolve p values to 0.001.
    pub n_draws: usize,
    /// Seed of the draws.
    pub seed: u64,
}

/// Compares the overlap of sets (n_sets), among all elements and within groups of them, with draws under a null hypothesis.
///
/// `maps` (n_sets x n_elements) are what the sets came from: each set holds the weights of its map that are largest in
/// magnitude. `groups` list elements; an element may be in several groups or in none. Statistics are the mean Dice coefficient
/// over pairs and the share of driven elements (in one set or more) that are shared (in two or more), everywhere and in each
/// group, and the Dice coefficient of every pair.
///
/// [`OverlapNull::Rotations`]: let the maps `B` (n_sets x n_elements), scaled alike, be independent normal
/// rows with one mean map and one covariance among elements, whatever it is. Then `Q B` has the distribution of `B` for every
/// orthogonal `Q` with `Q 1 = 1` (rotation tests: Langsrud 2005), so draws with `Q` uniform (Haar) among these give
/// exact p values. Covariance among elements contains smoothness and any gain by which elements respond more than others.
/// Rotated maps are thresholded by rank, so a heavy-tailed map keeps the size of its set.
///
/// Maps are scaled to be equally long where each element counts by the inverse of its mean square over maps, so that a map is not
/// taken for a stronger one because it lies in elements of high gain. Scaling takes the lengths of maps away, by which normal
/// rows differ when smoothness leaves few independent elements; without them rotated maps would be less alike than the data.
/// So every draw first gives each map a length from the law that the inner products of different maps imply, which makes p values
/// nearly rather than exactly right.
///
/// Caveats: maps that load on the mean map unequally break the invariance. Sets cut at a multiple of the root mean square have
/// sizes that depend on the shape of maps, which gives too small p values where only some ten elements are independent; sets of
/// one size do not. A draw keeps `B'B` but for the lengths, so what is tested is how
/// patterns share out the power of each element, not how much power it has: with few patterns or many duplicates there is
/// little left to differ, and the mean over pairs has far less power than single pairs.
///
/// Memory: the maps once more in f32, 32 rotated maps for each of 16 tasks at most, and 4 bytes for each pair and draw.
///
/// # Errors
/// [`MathError::TooFew`] without draws, with fewer than two sets, or with fewer than three maps to rotate (two can only change
/// places); [`MathError::Shape`], [`MathError::NotFinite`]; [`MathError::Index`] for an element of a group that does not exist;
/// [`MathError::Parameter`] for a set to be rotated that does not hold the largest weights of its map.
pub fn compare_overlap(
    maps: ArrayView2<'_, f32>,
    sets: &Sets,
    groups: &[Vec<usize>],
    options: OverlapOptions,
) -> Result<OverlapComparison, MathError> {
    require_shape("rows of the maps", maps.nrows(), sets.sizes.len(), "one map for each set")?;
    require_shape("columns of the maps", maps.ncols(), sets.n_elements, "maps and sets share elements")?;
    require_finite("maps", maps)?;
    compare(Some(maps), sets, groups, options)
}

fn compare(
    maps: Option<ArrayView2<'_, f32>>,
    sets: &Sets,
    groups: &[Vec<usize>],
    options: OverlapOptions,
) -> Result<OverlapComparison, MathError> {
    let n_sets = sets.sizes.len();
    for (name, found, expected, hint) in [
        ("number of draws", options.n_draws, 1, "1000 resolves p values to 0.001"),
        ("number of sets", n_sets, 2, "overlap needs a pair"),
    ] {
        if found < expected {
            return Err(MathError::TooFew { name, found, expected, hint });
        }
    }
    let layout = Layout::new(sets.n_elements, groups)?;
    let bits = Bits::of(sets, &layout);
    let observed = Count::of(&bits, n_sets, &layout);
    let mut warnings = Vec::new();
    let rotator = match (options.null, maps) {
        (OverlapNull::Rotations, Some(maps)) => {
            require_largest(maps, sets)?;
            let rotator = Rotator::new(maps, &sets.sizes, &layout);
            let (name, found, hint) = ("number of maps that are not 0", rotator.n_maps(), "two can only change places");
            if found < 3 {
                return Err(MathError::TooFew { name, found, expected: 3, hint });
            }
            if found < n_sets {
                warnings.push(OverlapWarning::MapsWithoutPower { n_maps: n_sets - found });
            }
            Some(rotator)
        }
        _ => None,
    };
    let smallest_p = 1.0 / (1 + options.n_draws) as f64;
    if smallest_p > COARSE_P {
        warnings.push(OverlapWarning::CoarsePValues { smallest_p });
    }
    let thrown = match options.null {
        OverlapNull::MembershipsWithinGroups => Thrown::within_cells(&bits, n_sets, &layout),
        _ => Thrown::anywhere(&sets.sizes, &layout),
    };
    let draws = draw_all(options, |rng, n_draws| {
        let mut bits = Bits::empty(n_sets, &layout);
        let mut rotated = rotator.as_ref().map(|rotator| (rotator, rotator.scratch()));
        let mut thrown = thrown.clone();
        let one = |_| {
            bits.clear();
            match &mut rotated {
                Some((rotator, scratch)) => rotator.draw(rng, scratch, &mut bits),
                None => thrown.draw(rng, &mut bits),
            }
            Count::of(&bits, n_sets, &layout)
        };
        (0..n_draws).map(one).collect()
    });

    let mut regions = (layout.n_elements_of_region().into_iter().enumerate())
        .map(|(region, n_elements)| RegionOverlap::of(region, n_elements, &observed, &draws));
    Ok(OverlapComparison {
        whole: regions.next().expect("all elements are the first region"),
        groups: regions.collect(),
        pairs: compare_pairs(&sets.sizes, &observed, &draws),
        options,
        warnings,
    })
}

/// Makes all draws in blocks of fixed size, a bounded number of blocks at a time.
fn draw_all(options: OverlapOptions, block_of: impl Fn(&mut ChaCha8Rng, usize) -> Vec<Count> + Sync) -> Vec<Count> {
    let n_blocks = options.n_draws.div_ceil(DRAW_BLOCK);
    let mut draws = Vec::with_capacity(options.n_draws);
    for first in (0..n_blocks).step_by(BLOCKS_AT_A_TIME) {
        let blocks = first..(first + BLOCKS_AT_A_TIME).min(n_blocks);
        let drawn: Vec<Vec<Count>> = blocks
            .into_par_iter()
            .map(|block| {
                let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
                rng.set_stream(block as u64);
                block_of(&mut rng, DRAW_BLOCK.min(options.n_draws - block * DRAW_BLOCK))
            })
            .collect();
        draws.extend(drawn.into_iter().flatten());
    }
    draws
}

/// Refuses a set with a member smaller in magnitude than an element outside.
fn require_largest(maps: ArrayView2<'_, f32>, sets: &Sets) -> Result<(), MathError> {
    for (set, (map, members)) in maps.outer_iter().zip(&sets.words).enumerate() {
        let (mut smallest, mut largest) = (f32::INFINITY, 0.0f32);
        for (element, weight) in map.iter().enumerate() {
            if members[element / 64] >> (element % 64) & 1 == 1 {
                smallest = smallest.min(weight.abs());
            } else {
                largest = largest.max(weight.abs());
            }
        }
        if smallest < largest || (smallest == 0.0 && sets.sizes[set] > 0) {
            return Err(MathError::Parameter {
                name: "set whose members are not the largest weights of its map",
                found: set as f64,
                expected: "sets of the weights beyond a threshold of magnitude",
            });
        }
    }
    Ok(())
}

/// Overlap against the chance overlap of sets of the same sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct OverlapTest {
    /// Mean Dice coefficient over the pairs of different sets that are not both empty; `None` without such a pair.
    pub mean_dice: Option<f64>,
    /// Its mean under the null hypothesis.
    pub null_mean: Option<f64>,
    /// Its standard deviation under the null hypothesis (divided by the number of permutations).
    pub null_deviation: Option<f64>,
    /// One-sided p value of the mean, `(1 + #{null >= observed}) / (1 + n_permutations)`.
    pub mean_p: Option<f64>,
    /// The same for each pair (n_sets x n_sets, symmetric); `None` on the diagonal and where a set is empty.
    pub pair_p: Array2<Option<f64>>,
}

/// Tests whether sets overlap more than sets of the same sizes thrown onto the elements at random.
///
/// Each draw permutes the members of every set independently over all elements (the mask). For one pair the null
/// distribution of the intersection is hypergeometric, which the tests use as an oracle; the mean over pairs has no
/// closed form. Caveat: voxels are smooth and patterns share a drive, so random membership understates the overlap that chance
/// gives; [`compare_overlap`] has nulls that keep either.
///
/// # Errors
/// [`MathError::TooFew`] without permutations or with fewer than two sets.
pub fn overlap_test(sets: &Sets, n_permutations: usize, seed: u64) -> Result<OverlapTest, MathError> {
    let options = OverlapOptions { null: OverlapNull::Memberships, n_draws: n_permutations, seed };
    let found = compare(None, sets, &[], options)?;
    let n_sets = sets.sizes.len();
    let mut pair_p = Array2::from_elem((n_sets, n_sets), None);
    for pair in &found.pairs {
        let p = pair.dice.map(|dice| dice.p);
        pair_p[[pair.a, pair.b]] = p;
        pair_p[[pair.b, pair.a]] = p;
    }
    let mean = found.whole.mean_dice;
    Ok(OverlapTest {
        mean_dice: mean.map(|mean| mean.observed),
        null_mean: mean.map(|mean| mean.null_mean),
        null_deviation: mean.map(|mean| mean.null_deviation),
        mean_p: mean.map(|mean| mean.p),
        pair_p,
    })
}
