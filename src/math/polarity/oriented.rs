//! Every quantity of a pair of patterns, with both read the way round that their codes prefer.
//!
//! Owns which patterns can be compared and what is said of those that cannot. Nothing here changes when a pattern is flipped
//! in codes, map and time course together: a sign multiplies a correlation exactly, and a flipped map trades its two sets.

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::orientation::{Orientation, orientations};
use super::pairs::{PairMatrices, contrast, partial_effect, permute_labels, redraw_signs, resample_patterns};
use super::profiles::{MIN_LAYERS, mirror_index};
use super::{
    MIN_PATTERNS, MirrorTest, NoPolarity, NullComparison, PairPolarity, PolarityInput, PolarityOptions, PolarityTest,
    PolarityWarning, WEAK_ORIENTATION, row_correlations,
};
use crate::math::MathError;
use crate::math::overlap::Sets;

/// Pairwise measures of oriented patterns.
pub(super) struct Oriented {
    pub orientations: Vec<Option<Orientation>>,
    /// Oriented profiles (n_patterns x n_layers), all absent for a pattern without orientation.
    pub profiles: Array2<Option<f64>>,
    n_layers: usize,
    maps_r: Array2<Option<f64>>,
    series_r: Array2<Option<f64>>,
    mirror: Array2<Option<f64>>,
    /// Dice coefficients of all sets: positive voxels of pattern k at 2k, negative ones at 2k + 1.
    dice: Array2<Option<f64>>,
}

impl Oriented {
    pub fn measure(
        input: PolarityInput<'_>,
        profiles: &Array2<Option<f64>>,
        threshold_sd: f64,
    ) -> Result<Self, MathError> {
        let maps_r = row_correlations(input.maps)?;
        let series_r = row_correlations(input.series.t())?;
        let orientations = orientations(input.codes);
        let oriented = Array2::from_shape_fn(profiles.dim(), |at| Some(orientations[at.0]?.sign * profiles[at]?));
        Ok(Self {
            n_layers: (0..profiles.ncols()).filter(|&l| profiles.column(l).iter().any(Option::is_some)).count(),
            mirror: mirror_index(&oriented),
            profiles: oriented,
            maps_r,
            series_r,
            dice: signed_sets(input.maps, threshold_sd).dice(),
            orientations,
        })
    }

    fn n_patterns(&self) -> usize {
        self.orientations.len()
    }

    /// A correlation with the signs of its two patterns.
    fn signed(&self, r: &Array2<Option<f64>>, k: usize, j: usize) -> Option<f64> {
        Some(self.orientations[k]?.sign * self.orientations[j]?.sign * r[[k, j]]?)
    }

    /// Mean Dice coefficient of two sets of `k` with two sets of `j`, equal ones or opposite ones.
    fn mean_dice(&self, k: usize, j: usize, opposite: bool) -> Option<f64> {
        let is_crossed = (self.orientations[k]?.sign != self.orientations[j]?.sign) != opposite;
        let coefficients = [0, 1].map(|side| self.dice[[2 * k + side, 2 * j + usize::from((side == 1) != is_crossed)]]);
        let n = coefficients.iter().flatten().count();
        (n > 0).then(|| coefficients.iter().flatten().sum::<f64>() / n as f64)
    }

    pub fn pairs(&self, min_opposition: f64) -> Vec<PairPolarity> {
        let pair = |(k, j)| {
            let maps_r = self.signed(&self.maps_r, k, j);
            PairPolarity {
                k,
                j,
                maps_r,
                series_r: self.signed(&self.series_r, k, j),
                mirror: self.mirror[[k, j]],
                opposite_dice: self.mean_dice(k, j, true),
                aligned_dice: self.mean_dice(k, j, false),
                is_opposed: maps_r.is_some_and(|r| r < -min_opposition),
                layers_p: None,
            }
        };
        (0..self.n_patterns()).flat_map(|k| (k + 1..self.n_patterns()).map(move |j| (k, j))).map(pair).collect()
    }

    /// Patterns of which every pair can be compared.
    pub fn comparable(&self) -> Result<Vec<usize>, NoPolarity> {
        if self.n_layers < MIN_LAYERS {
            return Err(NoPolarity::TooFewLayers { n_layers: self.n_layers });
        }
        let kept: Vec<usize> = (0..self.n_patterns())
            .filter(|&k| self.signed(&self.maps_r, k, k).is_some() && self.mirror[[k, k]].is_some())
            .collect();
        if kept.len() < MIN_PATTERNS {
            return Err(NoPolarity::TooFewPatterns { n_patterns: kept.len() });
        }
        Ok(kept)
    }

    pub fn warnings(&self, pairs: &[PairPolarity]) -> Vec<PolarityWarning> {
        let is_weak = |k: usize| self.orientations[k].is_some_and(|o| o.strength < WEAK_ORIENTATION);
        let count = |is_so: &dyn Fn(usize) -> bool| (0..self.n_patterns()).filter(|&k| is_so(k)).count();
        let mut warnings = Vec::new();
        let n_weak = count(&is_weak);
        if n_weak > 0 {
            let n_opposed = pairs.iter().filter(|p| p.is_opposed && (is_weak(p.k) || is_weak(p.j))).count();
            warnings.push(PolarityWarning::WeakOrientation { n_patterns: n_weak, n_opposed });
        }
        let has_no_profile =
            |k: usize| self.n_layers >= MIN_LAYERS && self.orientations[k].is_some() && self.mirror[[k, k]].is_none();
        let counts = [
            (count(&|k| self.orientations[k].is_none()), NO_ORIENTATION),
            (count(&|k| self.maps_r[[k, k]].is_none()), CONSTANT_MAP),
            (count(&has_no_profile), CONSTANT_PROFILE),
            (count(&|k| self.series_r[[k, k]].is_none()), CONSTANT_SERIES),
        ];
        warnings.extend(counts.into_iter().filter(|(n, _)| *n > 0).map(|(n_patterns, warning)| warning(n_patterns)));
        warnings
    }

    pub fn test(
        &self,
        kept: &[usize],
        options: &PolarityOptions,
        permuted: &MirrorTest,
        shifted: &MirrorTest,
        warnings: &mut Vec<PolarityWarning>,
    ) -> Result<PolarityTest, NoPolarity> {
        let &PolarityOptions { min_opposition, n_permutations, seed, .. } = options;
        let of = self.matrices(kept);
        let n_pairs = of.pairs().count();
        let n_opposed = of.pairs().filter(|&pair| of.maps_r[of.at(pair)] < -min_opposition).count();
        let Some(found) = contrast(&of, min_opposition) else {
            return Err(if n_opposed == 0 { NoPolarity::NoOpposedPair } else { NoPolarity::NoOtherPair });
        };
        let effect = found.mean_opposed - found.mean_others;
        let n_distinct = n_arrangements(kept.len());
        if n_distinct < n_permutations as u64 {
            warnings.push(PolarityWarning::FewArrangements { n_distinct, n_drawn: n_permutations });
        }
        let interval = resample_patterns(&of, min_opposition, n_permutations, seed);
        let n_empty = n_permutations - interval.map_or(0, |interval| interval.n_resamples);
        if n_empty > 0 {
            warnings.push(PolarityWarning::EmptyResamples { n_resamples: n_empty });
        }
        let (signs_redrawn, n_opposed_signs_redrawn) = redraw_signs(&of, found, min_opposition, n_permutations, seed);
        Ok(PolarityTest {
            n_opposed,
            n_others: n_pairs - n_opposed,
            mean_opposed: found.mean_opposed,
            mean_others: found.mean_others,
            effect,
            standardised: (found.deviation > 1e-12).then(|| effect / found.deviation),
            interval,
            pairs_permuted: permute_labels(&of, effect, min_opposition, n_permutations, seed),
            layers_permuted: over_layers(permuted, n_permutations),
            layers_shifted: over_layers(shifted, n_permutations),
            signs_redrawn,
            n_opposed_signs_redrawn,
            partial: partial_effect(&of, n_permutations, seed),
        })
    }

    fn matrices(&self, kept: &[usize]) -> PairMatrices {
        let all = || kept.iter().flat_map(|&k| kept.iter().map(move |&j| (k, j)));
        let map = |(k, j)| self.signed(&self.maps_r, k, j).expect("a comparable pattern has a map and an orientation");
        PairMatrices {
            n_patterns: kept.len(),
            maps_r: all().map(map).collect(),
            mirror: all().map(|(k, j)| self.mirror[[k, j]].expect("a comparable pattern has a profile")).collect(),
            series_r: all().map(|(k, j)| self.signed(&self.series_r, k, j)).collect(),
        }
    }
}

const NO_ORIENTATION: fn(usize) -> PolarityWarning = |n_patterns| PolarityWarning::NoOrientation { n_patterns };
const CONSTANT_MAP: fn(usize) -> PolarityWarning = |n_patterns| PolarityWarning::ConstantMap { n_patterns };
const CONSTANT_PROFILE: fn(usize) -> PolarityWarning = |n_patterns| PolarityWarning::ConstantProfile { n_patterns };
const CONSTANT_SERIES: fn(usize) -> PolarityWarning = |n_patterns| PolarityWarning::ConstantSeries { n_patterns };

fn over_layers(test: &MirrorTest, n_permutations: usize) -> NullComparison {
    NullComparison {
        observed: test.mean.expect("an opposed pair of comparable patterns has a mirror index"),
        null_mean: test.null_mean,
        null_deviation: test.null_deviation,
        p: test.mean_p.expect("a mean has a p value"),
        n_draws: n_permutations,
    }
}

/// Ways to relabel patterns or, up to a flip of all at once, to flip them, whichever are fewer.
fn n_arrangements(n_patterns: usize) -> u64 {
    let n = n_patterns as u64;
    let relabelled = (2..=n).try_fold(1u64, u64::checked_mul).unwrap_or(u64::MAX);
    relabelled.min(1u64.checked_shl(n_patterns as u32 - 1).unwrap_or(u64::MAX))
}

/// The voxels beyond `threshold_sd` root mean squares of each map: those above at 2k, those below at 2k + 1.
fn signed_sets(maps: ArrayView2<'_, f32>, threshold_sd: f64) -> Sets {
    let mut members = Array2::from_elem((2 * maps.nrows(), maps.ncols()), false);
    let rows = members.axis_chunks_iter_mut(Axis(0), 2).into_par_iter().zip(maps.axis_iter(Axis(0)));
    rows.for_each(|(mut sets, map)| {
        let power: f64 = map.iter().map(|&weight| f64::from(weight) * f64::from(weight)).sum();
        let threshold = threshold_sd * (power / map.len() as f64).sqrt();
        for (v, &weight) in map.iter().enumerate() {
            sets[[0, v]] = f64::from(weight) > threshold;
            sets[[1, v]] = f64::from(weight) < -threshold;
        }
    });
    Sets::new(members.view())
}
