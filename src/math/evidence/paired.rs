//! Whether two fits of the same test series differ, by the signs of the differences of their blocks.
//!
//! Owns the reading of blocks of time as the exchangeable units of the sign-flip test in [`crate::math::group`].

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::draws::{FEW_BLOCKS, NoInference, require_finite};
use crate::math::MathError;
use crate::math::group::{Alternative, Arrangements, GroupValues, GroupWarning, SignFlipOptions, sign_flip_test};

/// The difference of two fits in one group.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// Sum of the differences over blocks: the difference of the two means of the group.
    pub difference: f64,
    /// Two-sided p value of this group alone.
    pub p: f64,
    /// Two-sided p value corrected for the family of all tested groups.
    pub p_family: f64,
}

/// Paired tests of many groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairedTest {
    /// The test of each group, or why there is none (n_groups).
    pub groups: Vec<Result<PairedDifference, NoInference>>,
    /// The patterns of signs compared with; absent with fewer than [`FEW_BLOCKS`] blocks.
    pub arrangements: Option<Arrangements>,
    /// Caveats of the p values, in which a block of time stands for a subject and a group for a voxel.
    pub warnings: Vec<GroupWarning>,
}

/// Tests for each group whether two fits differ, from the differences of their contributions (n_blocks x n_groups), such
/// as those of [`super::GroupEvidence::r_blocks`].
///
/// Were the fits equally good, each block's difference could as well have had the other sign. The statistic is `T = sum of
/// d_b / sqrt(sum of d_b^2)`; signs change for all groups at once, and the largest `|T|` over groups corrects for their
/// number, as in [`sign_flip_test`]. All patterns of signs are enumerated when there are no more than `n_draws`.
///
/// Measured size at a nominal 0.05 for two equally good predictions, with data and predictions autoregressive (0.5), 300 and
/// 900 samples, blocks of 10 and 20: 0.03 to 0.06, at 0.01: 0.005 to 0.014; largest where nothing is predicted and blocks
/// are few or short.
///
/// Caveats: blocks must be longer than the autocorrelation of the differences. Both fits must have scored the same targets.
///
/// # Errors
/// [`MathError::NotFinite`], [`MathError::TooFew`] without draws.
pub fn paired_test(differences: ArrayView2<'_, f64>, n_draws: usize, seed: u64) -> Result<PairedTest, MathError> {
    require_finite("differences", differences)?;
    let (n_blocks, n_groups) = differences.dim();
    if n_blocks < FEW_BLOCKS {
        let groups = vec![Err(NoInference::FewBlocks { n_blocks }); n_groups];
        return Ok(PairedTest { groups, arrangements: None, warnings: Vec::new() });
    }
    // T does not depend on the scale of a group; unit scale keeps small differences within the range of f32.
    let scales: Vec<f64> = differences.columns().into_iter().map(|c| c.fold(0.0f64, |m, v| m.max(v.abs()))).collect();
    let mut values = ndarray::Array2::<f32>::zeros(differences.dim());
    for ((at, to), from) in values.indexed_iter_mut().zip(&differences) {
        if scales[at.1] > 0.0 {
            *to = (from / scales[at.1]) as f32;
        }
    }
    let options =
        SignFlipOptions { alternative: Alternative::TwoSided, n_permutations: n_draws, n_min: FEW_BLOCKS, seed };
    let test = sign_flip_test(GroupValues::complete(values.view()), None, options)?;
    let groups = test.voxels.iter().zip(differences.columns()).map(|(voxel, column)| match voxel {
        Ok(voxel) => Ok(PairedDifference { difference: column.sum(), p: voxel.p, p_family: voxel.p_family }),
        Err(_) => Err(NoInference::Constant),
    });
    Ok(PairedTest { groups: groups.collect(), arrangements: Some(test.arrangements), warnings: test.warnings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Array2};

    fn differences(n_blocks: usize) -> Array2<f64> {
        Array::from_shape_fn((n_blocks, 3), |(b, g)| ((b * 3 + g) as f64 * 2.1).sin() + 0.4 * g as f64)
    }

    #[test]
    fn p_values_are_shares_of_all_patterns_of_signs() {
        let d = differences(8);
        let test = paired_test(d.view(), 256, 0).unwrap();
        assert_eq!(test.arrangements, Some(Arrangements::Exhaustive { n_arrangements: 256 }));
        let statistic = |pattern: u32, g: usize| {
            let signed = d.column(g).iter().enumerate().map(|(b, v)| if pattern >> b & 1 == 1 { -v } else { *v }).sum();
            f64::abs(signed) / d.column(g).dot(&d.column(g)).sqrt()
        };
        for (g, group) in test.groups.iter().enumerate() {
            let (group, observed) = (group.unwrap(), statistic(0, g) - 1e-6);
            let count = |as_extreme: &dyn Fn(u32) -> bool| (0..256).filter(|&pattern| as_extreme(pattern)).count();
            assert_eq!(group.p, count(&|pattern| statistic(pattern, g) >= observed) as f64 / 256.0);
            let family = count(&|pattern| (0..3).any(|other| statistic(pattern, other) >= observed));
            assert_eq!(group.p_family, family as f64 / 256.0);
            assert!((group.difference - d.column(g).sum()).abs() < 1e-15);
        }
    }

    #[test]
    fn scale_changes_nothing_and_absent_groups_say_why() {
        let mut d = differences(9);
        let p = |d: &Array2<f64>| -> Vec<_> {
            paired_test(d.view(), 4000, 1).unwrap().groups.iter().map(|g| g.map(|g| (g.p, g.p_family))).collect()
        };
        assert_eq!(p(&d), p(&(&d * 2f64.powi(-200))));
        d.column_mut(1).fill(0.0);
        let found = paired_test(d.view(), 4000, 1).unwrap();
        assert_eq!(found.groups[1], Err(NoInference::Constant));
        assert!(found.groups[0].is_ok());
        let few = paired_test(differences(5).view(), 4000, 1).unwrap();
        assert_eq!((few.groups, few.arrangements), (vec![Err(NoInference::FewBlocks { n_blocks: 5 }); 3], None));
        assert!(matches!(paired_test(d.view(), 0, 1), Err(MathError::TooFew { .. })));
        d[[4, 2]] = f64::NAN;
        assert!(matches!(paired_test(d.view(), 10, 1), Err(MathError::NotFinite { row: 4, column: 2, .. })));
    }
}
