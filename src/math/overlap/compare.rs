//! A statistic against its draws under a null hypothesis.
//!
//! Owns p values, effect sizes and intervals, and the correction over pairs. It does not know how draws came about.

use serde::{Deserialize, Serialize};

use super::dice;
use super::layout::{Count, RegionCount};
use super::null::OverlapOptions;
use crate::math::quantile::quantile;

/// Rounding of a mean over pairs, whose summands may come in another order in a draw that ties with the data.
const TIE: f64 = 1e-12;

/// One statistic against its distribution under the null hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The statistic of the data.
    pub observed: f64,
    /// Its mean over draws.
    pub null_mean: f64,
    /// Its standard deviation over draws (divided by their number).
    pub null_deviation: f64,
    /// Its 2.5th and 97.5th percentile over draws.
    pub null_interval: [f64; 2],
    /// One-sided p value, `(1 + #{null >= observed}) / (1 + n_draws)`; a draw in which the statistic does not exist counts as
    /// having reached it.
    pub p: f64,
    /// `(observed - null_mean) / null_deviation`; `None` where draws do not vary.
    pub effect: Option<f64>,
    /// Draws in which the statistic exists.
    pub n_defined: usize,
}

impl Comparison {
    /// `None` where the statistic does not exist in the data, or in no draw.
    pub(super) fn of(observed: Option<f64>, draws: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let observed = observed?;
        let (mut null, mut n_draws) = (Vec::new(), 0);
        for value in draws {
            n_draws += 1;
            null.extend(value);
        }
        if null.is_empty() {
            return None;
        }
        let n_defined = null.len();
        let mean = null.iter().sum::<f64>() / n_defined as f64;
        let deviation = (null.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n_defined as f64).sqrt();
        let n_below = null.iter().filter(|&&v| v < observed - TIE * observed.abs()).count();
        null.sort_unstable_by(f64::total_cmp);
        Some(Self {
            observed,
            null_mean: mean,
            null_deviation: deviation,
            null_interval: [quantile(&null, 0.025), quantile(&null, 0.975)],
            p: (1 + n_draws - n_below) as f64 / (1 + n_draws) as f64,
            effect: (deviation > TIE * mean.abs()).then(|| (observed - mean) / deviation),
            n_defined,
        })
    }
}

/// Overlap among all elements, or among those of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegionOverlap {
    /// Elements.
    pub n_elements: usize,
    /// Elements in one set or more.
    pub n_driven: usize,
    /// Elements in two sets or more.
    pub n_shared: usize,
    /// Mean Dice coefficient over the pairs of sets that are not both empty here; `None` without such a pair.
    pub mean_dice: Option<Comparison>,
    /// `n_shared / n_driven`; `None` without driven elements.
    pub shared_share: Option<Comparison>,
}

/// Overlap of two sets among all elements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairOverlap {
    /// The first set.
    pub a: usize,
    /// The second set, `b > a`.
    pub b: usize,
    /// Dice coefficient; `None` where a set is empty.
    pub dice: Option<Comparison>,
    /// p value corrected over all pairs that are tested; `None` where a set is empty.
    ///
    /// From the largest of all pairs in every draw, each pair in standard deviations from its mean; both are taken over draws and
    /// data together, which keeps the correction exact (Westfall and Young 1993, for a maximum of standardised statistics).
    pub family_wise_p: Option<f64>,
}

/// A caveat of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverlapWarning {
    /// Some maps are 0 throughout; they have no part in the rotation.
    MapsWithoutPower {
        /// How many.
        n_maps: usize,
    },
    /// No p value below this one can come out, however strong the overlap: too few draws.
    CoarsePValues {
        /// The smallest possible p value.
        smallest_p: f64,
    },
}

/// Overlap of sets against what a null hypothesis gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OverlapComparison {
    /// Among all elements.
    pub whole: RegionOverlap,
    /// Among the elements of each group.
    pub groups: Vec<RegionOverlap>,
    /// Every pair, first set slowest.
    pub pairs: Vec<PairOverlap>,
    /// What was asked for.
    pub options: OverlapOptions,
    /// Caveats.
    pub warnings: Vec<OverlapWarning>,
}

impl RegionOverlap {
    pub(super) fn of(region: usize, n_elements: usize, observed: &Count, draws: &[Count]) -> Self {
        let compare = |statistic: &dyn Fn(&RegionCount) -> Option<f64>| {
            let null = draws.iter().map(|draw| statistic(&draw.regions[region]));
            Comparison::of(statistic(&observed.regions[region]), null)
        };
        Self {
            n_elements,
            n_driven: observed.regions[region].n_driven,
            n_shared: observed.regions[region].n_shared,
            mean_dice: compare(&|count| count.mean_dice),
            shared_share: compare(&RegionCount::shared_share),
        }
    }
}

/// Compares every pair of sets of these sizes.
pub(super) fn compare_pairs(sizes: &[usize], observed: &Count, draws: &[Count]) -> Vec<PairOverlap> {
    let pairs = (0..sizes.len()).flat_map(|a| (a + 1..sizes.len()).map(move |b| (a, b)));
    let mut largest = vec![f64::NEG_INFINITY; draws.len()];
    let mut compared = Vec::with_capacity(observed.n_common.len());
    // Standardised Dice coefficient of the data; `None` where a pair never varies, which no draw can exceed.
    let mut standardised = Vec::with_capacity(observed.n_common.len());
    for (index, (a, b)) in pairs.enumerate() {
        let is_tested = sizes[a] > 0 && sizes[b] > 0;
        let dice_of = |count: &Count| dice(count.n_common[index] as usize, sizes[a], sizes[b]);
        let comparison = Comparison::of(dice_of(observed).filter(|_| is_tested), draws.iter().map(dice_of));
        let all = || std::iter::once(observed).chain(draws).map(|count| f64::from(count.n_common[index]));
        let n = (draws.len() + 1) as f64;
        let mean = all().sum::<f64>() / n;
        let deviation = (all().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let is_varying = is_tested && deviation > TIE * mean;
        let standard = |count: &Count| (f64::from(count.n_common[index]) - mean) / deviation;
        if is_varying {
            for (largest, draw) in largest.iter_mut().zip(draws) {
                *largest = largest.max(standard(draw));
            }
        }
        standardised.push(is_varying.then(|| standard(observed)));
        compared.push(PairOverlap { a, b, dice: comparison, family_wise_p: None });
    }
    for (pair, standardised) in compared.iter_mut().zip(standardised) {
        let n_as_high = |value: f64| largest.iter().filter(|&&v| v >= value).count();
        let n_reaching = standardised.map_or(draws.len(), n_as_high);
        pair.family_wise_p = pair.dice.map(|_| (1 + n_reaching) as f64 / (1 + draws.len()) as f64);
    }
    compared
}
