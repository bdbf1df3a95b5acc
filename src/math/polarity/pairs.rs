//! Whether opposite maps go with mirrored profiles, against nulls that rearrange patterns and signs.
//!
//! Owns statistics over pairs of patterns: the difference between opposed and other pairs, its null distributions and its
//! interval, and the relation of maps and profiles at equal time courses. It reads three symmetric matrices and knows nothing
//! of how they were measured. Nulls that rearrange the layers of a profile are in `layers.rs`.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::draws::{NullComparison, repeat};
use crate::math::quantile::quantiles;

/// Streams of random numbers, one for each purpose.
const LABELS: u64 = 1;
const SIGNS: u64 = 2;
const PARTIAL: u64 = 3;
const RESAMPLES: u64 = 4;

/// Coverage of the interval of the effect.
const CONFIDENCE: f64 = 0.95;

/// What is left of a variance after a regression below this share is rounding.
const NOTHING_LEFT: f64 = 1e-20;

/// Symmetric matrices over the patterns that can be compared.
pub(super) struct PairMatrices {
    pub n_patterns: usize,
    /// `r(beta_k, beta_j)` of oriented maps, row by row.
    pub maps_r: Vec<f64>,
    /// Mirror index, row by row.
    pub mirror: Vec<f64>,
    /// `r(d_k, d_j)` of oriented time courses, row by row; `None` where one is constant.
    pub series_r: Vec<Option<f64>>,
}

impl PairMatrices {
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.n_patterns).flat_map(|k| (k + 1..self.n_patterns).map(move |j| (k, j)))
    }

    pub fn at(&self, (k, j): (usize, usize)) -> usize {
        k * self.n_patterns + j
    }

    fn mirror(&self, pair: (usize, usize)) -> f64 {
        self.mirror[self.at(pair)]
    }
}

/// Mean mirror index of opposed pairs and of the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Contrast {
    pub mean_opposed: f64,
    pub mean_others: f64,
    /// Standard deviation of the mirror index over all pairs (divided by their number less one).
    pub deviation: f64,
}

/// `None` unless there are opposed pairs and others.
pub(super) fn contrast(of: &PairMatrices, min_opposition: f64) -> Option<Contrast> {
    let (mut sums, mut counts) = ([0.0; 2], [0usize; 2]);
    for pair in of.pairs() {
        let side = usize::from(of.maps_r[of.at(pair)] < -min_opposition);
        sums[side] += of.mirror(pair);
        counts[side] += 1;
    }
    if counts.contains(&0) {
        return None;
    }
    let n = (counts[0] + counts[1]) as f64;
    let mean = (sums[0] + sums[1]) / n;
    let power: f64 = of.pairs().map(|pair| (of.mirror(pair) - mean).powi(2)).sum();
    Some(Contrast {
        mean_opposed: sums[1] / counts[1] as f64,
        mean_others: sums[0] / counts[0] as f64,
        deviation: (power / (n - 1.0)).sqrt(),
    })
}

/// The difference of [`Contrast`] against relabelled patterns (Hubert and Schultz 1976).
///
/// Rows and columns of the mirror index are permuted together while the maps stay, so a pattern's pairs keep depending on
/// one another.
pub(super) fn permute_labels(
    of: &PairMatrices,
    observed: f64,
    min_opposition: f64,
    n_draws: usize,
    seed: u64,
) -> NullComparison {
    let opposed: Vec<_> = of.pairs().filter(|&pair| of.maps_r[of.at(pair)] < -min_opposition).collect();
    let n_others = of.pairs().count() - opposed.len();
    let total: f64 = of.pairs().map(|pair| of.mirror(pair)).sum();
    let draws = repeat(n_draws, seed, LABELS, |rng| {
        let label = shuffled(of.n_patterns, rng);
        let sum: f64 = opposed.iter().map(|&(k, j)| of.mirror((label[k], label[j]))).sum();
        Some(sum / opposed.len() as f64 - (total - sum) / n_others as f64)
    });
    NullComparison::of(observed, draws.into_iter())
}

fn shuffled(n: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(rng);
    order
}

/// Mean mirror index and number of opposed pairs against patterns pointed either way at random.
pub(super) fn redraw_signs(
    of: &PairMatrices,
    contrast: Contrast,
    min_opposition: f64,
    n_draws: usize,
    seed: u64,
) -> (NullComparison, NullComparison) {
    // A pair with a strong correlation is opposed after the draw if its signs make that correlation negative.
    let strong: Vec<_> = of.pairs().filter(|&pair| of.maps_r[of.at(pair)].abs() > min_opposition).collect();
    let draws = repeat(n_draws, seed, SIGNS, |rng| {
        let is_flipped: Vec<bool> = (0..of.n_patterns).map(|_| rng.random()).collect();
        let (mut sum, mut n) = (0.0, 0usize);
        for &(k, j) in &strong {
            let sign = if is_flipped[k] == is_flipped[j] { 1.0 } else { -1.0 };
            if sign * of.maps_r[of.at((k, j))] < 0.0 {
                sum += sign * of.mirror((k, j));
                n += 1;
            }
        }
        (sum, n)
    });
    let n_opposed = of.pairs().filter(|&pair| of.maps_r[of.at(pair)] < -min_opposition).count();
    let means = draws.iter().map(|&(sum, n)| (n > 0).then(|| sum / n as f64));
    let counts = draws.iter().map(|&(_, n)| Some(n as f64));
    (NullComparison::of(contrast.mean_opposed, means), NullComparison::of(n_opposed as f64, counts))
}

/// How far maps and profiles go together among patterns whose time courses are equally alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PartialEffect {
    /// Correlation over pairs between `r(beta_k, beta_j)` and `r(a_k, a_j)`, time courses ignored.
    pub unadjusted: f64,
    /// The same after regressing `r(d_k, d_j)` out of both, against relabelled patterns.
    pub adjusted: NullComparison,
    /// Pairs it is over.
    pub n_pairs: usize,
}

/// Partial correlation of maps and profiles given time courses, with double semi-partialling (Dekker, Krackhardt and
/// Snijders 2007, Psychometrika 72:563).
///
/// The residuals of the maps given the time courses are relabelled, and each draw is adjusted for the time courses anew.
/// Relabelling the profiles instead would break their relation to the time courses, which the null hypothesis leaves alone.
/// `None` where the time courses leave nothing of the maps or of the profiles to correlate, or with fewer than four patterns.
pub(super) fn partial_effect(of: &PairMatrices, n_draws: usize, seed: u64) -> Option<PartialEffect> {
    // The diagonal is absent for exactly the patterns whose time course is constant.
    let kept: Vec<usize> = (0..of.n_patterns).filter(|&k| of.series_r[of.at((k, k))].is_some()).collect();
    let n = kept.len();
    if n < super::MIN_PATTERNS {
        return None;
    }
    let pairs: Vec<(usize, usize)> = (0..n).flat_map(|k| (k + 1..n).map(move |j| (k, j))).collect();
    let centred = |value: &dyn Fn(usize) -> f64| {
        let mut values: Vec<f64> = pairs.iter().map(|&(k, j)| value(of.at((kept[k], kept[j])))).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter_mut().for_each(|v| *v -= mean);
        values
    };
    let maps = centred(&|at| of.maps_r[at]);
    let profiles = centred(&|at| -of.mirror[at]);
    let mut series = centred(&|at| of.series_r[at].expect("both time courses vary"));
    let scale = dot(&series, &series).sqrt();
    // Time courses that are all alike explain nothing, and there is nothing to take out.
    let is_flat = scale <= NOTHING_LEFT.sqrt() * (pairs.len() as f64).sqrt();
    series.iter_mut().for_each(|v| *v = if is_flat { 0.0 } else { *v / scale });
    let residuals = |values: &[f64]| {
        let slope = dot(values, &series);
        let left: Vec<f64> = values.iter().zip(&series).map(|(v, s)| v - slope * s).collect();
        let (power, before) = (dot(&left, &left), dot(values, values));
        (power > NOTHING_LEFT * before && power > 0.0).then_some((left, power))
    };
    let ((of_maps, maps_power), (of_profiles, profiles_power)) = (residuals(&maps)?, residuals(&profiles)?);
    let adjusted = dot(&of_maps, &of_profiles) / (maps_power * profiles_power).sqrt();
    let unadjusted = dot(&maps, &profiles) / (dot(&maps, &maps) * dot(&profiles, &profiles)).sqrt();

    let mut residual = vec![0.0; n * n];
    for (&(k, j), &value) in pairs.iter().zip(&of_maps) {
        residual[k * n + j] = value;
        residual[j * n + k] = value;
    }
    let draws = repeat(n_draws, seed, PARTIAL, |rng| {
        let label = shuffled(n, rng);
        let (mut with_profiles, mut with_series) = (0.0, 0.0);
        for ((&(k, j), profile), series) in pairs.iter().zip(&of_profiles).zip(&series) {
            let value = residual[label[k] * n + label[j]];
            with_profiles += value * profile;
            with_series += value * series;
        }
        let power = maps_power - with_series * with_series;
        (power > NOTHING_LEFT * maps_power).then(|| with_profiles / (power * profiles_power).sqrt())
    });
    Some(PartialEffect {
        unadjusted: unadjusted.clamp(-1.0, 1.0),
        adjusted: NullComparison::of(adjusted.clamp(-1.0, 1.0), draws.into_iter()),
        n_pairs: pairs.len(),
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Where the difference between opposed pairs and the others lies over resampled patterns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PatternInterval {
    /// Its 2.5 % and 97.5 % quantiles, wider than 95 % would need: few patterns, and fewer of them distinct.
    pub interval: [f64; 2],
    /// Resamples with opposed pairs and others; only these count.
    pub n_resamples: usize,
}

/// Percentile interval over patterns drawn with replacement (Snijders and Borgatti 1999), pairs of copies left out.
///
/// It is wide: where maps and profiles of 16 patterns are independent it leaves out 0 in about one data set of a hundred.
pub(super) fn resample_patterns(
    of: &PairMatrices,
    min_opposition: f64,
    n_draws: usize,
    seed: u64,
) -> Option<PatternInterval> {
    let draws = repeat(n_draws, seed, RESAMPLES, |rng| {
        let mut n_copies = vec![0.0; of.n_patterns];
        (0..of.n_patterns).for_each(|_| n_copies[rng.random_range(0..of.n_patterns)] += 1.0);
        let (mut sums, mut weights) = ([0.0; 2], [0.0; 2]);
        for (k, j) in of.pairs() {
            let weight = n_copies[k] * n_copies[j];
            let side = usize::from(of.maps_r[of.at((k, j))] < -min_opposition);
            sums[side] += weight * of.mirror((k, j));
            weights[side] += weight;
        }
        (weights[0] > 0.0 && weights[1] > 0.0).then(|| sums[1] / weights[1] - sums[0] / weights[0])
    });
    let present: Vec<f64> = draws.into_iter().flatten().collect();
    let n_resamples = present.len();
    let outside = (1.0 - CONFIDENCE) / 2.0;
    quantiles(present, [outside, 1.0 - outside]).map(|interval| PatternInterval { interval, n_resamples })
}
