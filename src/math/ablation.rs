//! What patterns look like to frozen codes when units are taken away.
//!
//! Owns the order in which units go, and the time courses that the remaining ones give. It knows no brain: a caller predicts
//! with the time courses and its fitted weights.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::MathError;
use super::blas::matmul;
use super::eigen::symmetric_eigen;
use super::error::{require_finite, require_shape};
use super::projection::RANK_CUTOFF;

/// Units that are held in f64 at a time.
const UNIT_BLOCK: usize = 1024;

/// Mean and standard deviation of each pattern over the samples that its weights were fitted on.
#[derive(Debug, Clone, Copy)]
pub struct FrozenScale<'a> {
    /// Means (n_patterns).
    pub mean: &'a [f64],
    /// Standard deviations (n_patterns); a pattern with 0 is 0 throughout.
    pub deviation: &'a [f64],
}

/// Time courses of patterns without some units.
#[derive(Debug, Clone, PartialEq)]
pub struct Ablated {
    /// Share of units that was asked to go.
    pub share: f64,
    /// Units that went.
    pub n_removed: usize,
    /// Patterns by the remaining units, in the frozen scale (n_tr x n_patterns).
    pub patterns: Array2<f32>,
    /// Caveats.
    pub warnings: Vec<AblationWarning>,
}

/// A caveat of an ablation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AblationWarning {
    /// The codes of the remaining units span fewer dimensions than there are patterns, so patterns were shared out by least norm.
    RankDeficient {
        /// Dimensions that the codes span.
        rank: usize,
        /// Patterns there are.
        n_patterns: usize,
    },
    /// Some patterns have no unit left; before scaling they are 0 throughout.
    EmptyPatterns {
        /// How many.
        n_patterns: usize,
    },
}

/// Units by decreasing part in the patterns, `sum_k |C_ki|` of `codes` (n_patterns x n_units); equal ones in their order.
///
/// # Errors
/// [`MathError::NotFinite`].
pub fn targeted_order(codes: ArrayView2<'_, f32>) -> Result<Vec<usize>, MathError> {
    require_finite("codes", codes)?;
    let mut part = vec![0.0f64; codes.ncols()];
    for row in codes.outer_iter() {
        part.iter_mut().zip(row).for_each(|(part, code)| *part += f64::from(code.abs()));
    }
    let mut order: Vec<usize> = (0..part.len()).collect();
    order.sort_by(|&a, &b| part[b].total_cmp(&part[a]));
    Ok(order)
}

/// Units in random order.
pub fn random_order(n_units: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n_units).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order
}

/// Takes away growing shares of units, in the order given, and projects what the others do onto frozen codes.
///
/// For `series` S (n_tr x n_units), `codes` C (n_patterns x n_units) and the remaining units R: `D = S_R C_R' (C_R C_R')^+` as
/// [`project`](super::projection::project) has it, then `(D - mean) / deviation` with the scale of the intact patterns, so that
/// weights fitted on these still apply. `order` lists units, the first to go first; `shares` are between 0 and 1, and
/// `round(share n_units)` units go. What units add to `S_R C_R'` and `C_R C_R'` is summed in f64 from the last to go on, so that
/// all shares together cost one projection and nothing is subtracted.
///
/// # Errors
/// [`MathError::Shape`], [`MathError::NotFinite`]; [`MathError::Index`] for a unit that does not exist, [`MathError::Parameter`]
/// for one listed twice, a share outside 0 to 1, or a deviation that is negative or not finite; [`MathError::Lapack`].
pub fn ablate(
    series: ArrayView2<'_, f32>,
    codes: ArrayView2<'_, f32>,
    scale: FrozenScale<'_>,
    order: &[usize],
    shares: &[f64],
) -> Result<Vec<Ablated>, MathError> {
    let (n_patterns, n_units) = codes.dim();
    check(series, codes, scale, order, shares)?;
    let n_removed_at = |share: f64| (share * n_units as f64).round() as usize;
    let mut by_size: Vec<usize> = (0..shares.len()).collect();
    by_size.sort_by(|&a, &b| shares[b].total_cmp(&shares[a]));

    let mut kept =
        Kept { cross: Array2::zeros((series.nrows(), n_patterns)), gram: Array2::zeros((n_patterns, n_patterns)) };
    let mut first_kept = n_units;
    let mut ablated: Vec<Option<Ablated>> = vec![None; shares.len()];
    for at in by_size {
        let n_removed = n_removed_at(shares[at]);
        for units in order[n_removed..first_kept].chunks(UNIT_BLOCK) {
            kept.add(series, codes, units);
        }
        first_kept = n_removed;
        let (patterns, warnings) = kept.patterns(scale)?;
        ablated[at] = Some(Ablated { share: shares[at], n_removed, patterns, warnings });
    }
    Ok(ablated.into_iter().map(|one| one.expect("every share was visited")).collect())
}

/// Sums over the units that remain.
struct Kept {
    /// `S_R C_R'` (n_tr x n_patterns)
    cross: Array2<f64>,
    /// `C_R C_R'` (n_patterns x n_patterns)
    gram: Array2<f64>,
}

impl Kept {
    fn add(&mut self, series: ArrayView2<'_, f32>, codes: ArrayView2<'_, f32>, units: &[usize]) {
        let series = series.select(Axis(1), units).mapv(f64::from);
        let codes = codes.select(Axis(1), units).mapv(f64::from);
        self.cross += &matmul(series.view(), codes.t());
        self.gram += &matmul(codes.view(), codes.t());
    }

    fn patterns(&self, scale: FrozenScale<'_>) -> Result<(Array2<f32>, Vec<AblationWarning>), MathError> {
        let n_patterns = self.gram.nrows();
        let eigen = symmetric_eigen(self.gram.clone())?;
        let largest = eigen.values.last().copied().unwrap_or(0.0);
        let inverse_values = eigen.values.mapv(|w| if w > 0.0 && w > RANK_CUTOFF * largest { w.recip() } else { 0.0 });
        let inverse = matmul((&eigen.vectors * &inverse_values).view(), eigen.vectors.t());
        let mut patterns = matmul(self.cross.view(), inverse.view());
        patterns -= &Array1::from_vec(scale.mean.to_vec());
        patterns *= &scale.deviation.iter().map(|&d| if d > 0.0 { d.recip() } else { 0.0 }).collect::<Array1<f64>>();

        let mut warnings = Vec::new();
        let rank = inverse_values.iter().filter(|w| **w > 0.0).count();
        if rank < n_patterns {
            warnings.push(AblationWarning::RankDeficient { rank, n_patterns });
        }
        let n_empty = self.gram.diag().iter().filter(|power| **power == 0.0).count();
        if n_empty > 0 {
            warnings.push(AblationWarning::EmptyPatterns { n_patterns: n_empty });
        }
        Ok((patterns.mapv(|v| v as f32), warnings))
    }
}

fn check(
    series: ArrayView2<'_, f32>,
    codes: ArrayView2<'_, f32>,
    scale: FrozenScale<'_>,
    order: &[usize],
    shares: &[f64],
) -> Result<(), MathError> {
    let (n_patterns, n_units) = codes.dim();
    require_shape("columns of the codes", n_units, series.ncols(), "codes and series share units")?;
    require_shape("length of the order", order.len(), n_units, "every unit has its turn")?;
    require_shape("means of the scale", scale.mean.len(), n_patterns, "one for each pattern")?;
    require_shape("deviations of the scale", scale.deviation.len(), n_patterns, "one for each pattern")?;
    require_finite("series", series)?;
    require_finite("codes", codes)?;
    let refuse = |name, found, expected| Err(MathError::Parameter { name, found, expected });
    if let Some(&mean) = scale.mean.iter().find(|mean| !mean.is_finite()) {
        return refuse("mean of a pattern", mean, "a finite number");
    }
    if let Some(&deviation) = scale.deviation.iter().find(|d| !d.is_finite() || **d < 0.0) {
        return refuse("deviation of a pattern", deviation, "a finite number from 0 up");
    }
    if let Some(&share) = shares.iter().find(|share| !(0.0..=1.0).contains(*share)) {
        return refuse("share of units", share, "a number from 0 to 1");
    }
    let mut is_listed = vec![false; n_units];
    for &unit in order {
        match is_listed.get_mut(unit) {
            None => return Err(MathError::Index { name: "order", found: unit, expected: n_units }),
            Some(true) => return refuse("unit listed twice", unit as f64, "every unit once"),
            Some(listed) => *listed = true,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::projection::project;
    use ndarray::{Array, array};
    use proptest::prelude::*;
    use rand_distr::{Distribution, StandardNormal};

    fn noise(rows: usize, columns: usize) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64((rows * 1000 + columns) as u64);
        Array::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut rng))
    }

    const UNIT: FrozenScale<'_> = FrozenScale { mean: &[0.0; 4], deviation: &[1.0; 4] };

    #[test]
    fn orders_list_every_unit_once() {
        let codes = array![[1.0f32, -3.0, 0.0, 2.0], [1.0, 0.0, 0.5, 0.0]];
        assert_eq!(targeted_order(codes.view()), Ok(vec![1, 0, 3, 2]));
        let order = random_order(500, 3);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..500).collect::<Vec<_>>());
        assert_eq!(order, random_order(500, 3));
        assert_ne!(order, random_order(500, 4));
        assert!(targeted_order(array![[f32::NAN]].view()).is_err());
    }

    #[test]
    fn nothing_removed_is_the_projection_and_everything_the_frozen_mean() {
        let (series, codes) = (noise(15, 30), noise(4, 30));
        let mean = [0.5, -1.0, 0.0, 2.0];
        let scale = FrozenScale { mean: &mean, deviation: &[2.0, 1.0, 0.0, 4.0] };
        let found = ablate(series.view(), codes.view(), scale, &random_order(30, 1), &[1.0, 0.0]).unwrap();
        let intact = project(series.view(), codes.view()).unwrap().patterns;
        assert!(found[1].warnings.is_empty());
        for k in 0..4 {
            let factor = [0.5f32, 1.0, 0.0, 0.25][k];
            for t in 0..15 {
                let expected = (intact[[t, k]] - mean[k] as f32) * factor;
                assert!((found[1].patterns[[t, k]] - expected).abs() < 1e-6);
                assert!((found[0].patterns[[t, k]] + mean[k] as f32 * factor).abs() < 1e-7);
            }
        }
        let expected = [
            AblationWarning::RankDeficient { rank: 0, n_patterns: 4 },
            AblationWarning::EmptyPatterns { n_patterns: 4 },
        ];
        assert_eq!((found[0].n_removed, &found[0].warnings[..]), (30, &expected[..]));
    }

    #[test]
    fn an_exact_product_survives_until_codes_lose_rank() {
        let (patterns, codes) = (noise(20, 4), noise(4, 3000));
        let series = patterns.dot(&codes);
        let shares = [0.5, 0.999, 0.0, 2998.0 / 3000.0];
        let found = ablate(series.view(), codes.view(), UNIT, &random_order(3000, 9), &shares).unwrap();
        for (one, n_removed) in found[..3].iter().zip([1500, 2997, 0]) {
            assert_eq!(one.n_removed, n_removed);
        }
        for one in [&found[0], &found[2]] {
            assert!((&one.patterns - &patterns).iter().all(|d| d.abs() < 1e-4) && one.warnings.is_empty());
        }
        assert_eq!(found[1].warnings, [AblationWarning::RankDeficient { rank: 3, n_patterns: 4 }]);
        assert_eq!(found[3].warnings, [AblationWarning::RankDeficient { rank: 2, n_patterns: 4 }]);
    }

    #[test]
    fn bytes_do_not_depend_on_the_thread_count() {
        let (series, codes) = (noise(300, 1500), noise(4, 1500));
        let order = random_order(1500, 2);
        let with = |n_threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| ablate(series.view(), codes.view(), UNIT, &order, &[0.1, 0.7]).unwrap())
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let (series, codes) = (noise(5, 6), noise(4, 6));
        let run = |order: &[usize], shares: &[f64]| ablate(series.view(), codes.view(), UNIT, order, shares);
        assert!(matches!(run(&[0, 1, 2, 3, 4, 6], &[0.5]), Err(MathError::Index { found: 6, expected: 6, .. })));
        let twice = run(&[0, 1, 2, 3, 4, 4], &[0.5]);
        assert!(matches!(twice, Err(MathError::Parameter { name: "unit listed twice", found: 4.0, .. })));
        assert!(matches!(run(&[0, 1], &[0.5]), Err(MathError::Shape { .. })));
        assert!(matches!(run(&[0, 1, 2, 3, 4, 5], &[1.5]), Err(MathError::Parameter { found: 1.5, .. })));
        assert!(matches!(run(&[0, 1, 2, 3, 4, 5], &[f64::NAN]), Err(MathError::Parameter { .. })));
        let negative = FrozenScale { mean: &[0.0; 4], deviation: &[1.0, 1.0, -1.0, 1.0] };
        let found = ablate(series.view(), codes.view(), negative, &random_order(6, 1), &[0.5]);
        assert!(matches!(found, Err(MathError::Parameter { found: -1.0, .. })));
    }

    proptest! {
        #[test]
        fn each_share_equals_the_projection_of_what_remains(
            numbers in prop::collection::vec(-1.0f32..1.0, 7 * 20 + 4 * 20), n_removed in 0usize..=12, seed in any::<u64>(),
        ) {
            let series = Array::from_shape_vec((7, 20), numbers[80..].to_vec()).unwrap();
            let codes = Array::from_shape_vec((4, 20), numbers[..80].to_vec()).unwrap();
            let order = random_order(20, seed);
            let share = n_removed as f64 / 20.0;
            let found = ablate(series.view(), codes.view(), UNIT, &order, &[share, 0.0]).unwrap();
            let kept = &order[n_removed..];
            let expected = project(series.select(Axis(1), kept).view(), codes.select(Axis(1), kept).view()).unwrap();
            let size = expected.patterns.iter().fold(1.0f32, |m, v| m.max(v.abs()));
            prop_assert!((&found[0].patterns - &expected.patterns).iter().all(|d| d.abs() < 1e-5 * size));
            prop_assert_eq!(found[0].n_removed, n_removed);
        }
    }
}
