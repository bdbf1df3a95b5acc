//! How far two branches drive the same targets, against sets that are independent of one another.
//!
//! Owns the coefficients, the exact test within groups, and the comparison with rearranged sets that a caller draws. How a set
//! is thresholded it does not know.

use serde::{Deserialize, Serialize};

use super::tail::{Draw, log10_upper_tail};
use crate::math::MathError;
use crate::math::error::require_shape;

/// Overlap of two sets of targets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SetOverlap {
    /// Targets there are.
    pub n_targets: usize,
    /// Targets that A drives.
    pub n_a: usize,
    /// Targets that B drives.
    pub n_b: usize,
    /// Targets that both drive.
    pub n_both: usize,
    /// `2 n_both / (n_a + n_b)`; `None` where both sets are empty.
    pub dice: Option<f64>,
    /// `n_both / (n_a + n_b - n_both)`; `None` where both sets are empty.
    pub iou: Option<f64>,
}

impl SetOverlap {
    fn of(pairs: impl Iterator<Item = (bool, bool)>) -> Self {
        let mut counts = [0usize; 4];
        for (a, b) in pairs {
            counts[usize::from(a) + 2 * usize::from(b)] += 1;
        }
        let [neither, only_a, only_b, n_both] = counts;
        let union = only_a + only_b + n_both;
        Self {
            n_targets: neither + union,
            n_a: only_a + n_both,
            n_b: only_b + n_both,
            n_both,
            dice: (union > 0).then(|| 2.0 * n_both as f64 / (union + n_both) as f64),
            iou: (union > 0).then(|| n_both as f64 / union as f64),
        }
    }

    fn draw(&self) -> Draw {
        Draw { n_elements: self.n_targets, n_a: self.n_a, n_b: self.n_b }
    }

    fn expected(&self) -> f64 {
        if self.n_targets == 0 { 0.0 } else { self.n_a as f64 * self.n_b as f64 / self.n_targets as f64 }
    }
}

/// Overlap against independent sets of the same sizes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GroupOverlap {
    /// The sets and how far they coincide.
    pub sets: SetOverlap,
    /// Targets that independent sets share on average.
    pub expected_n_both: f64,
    /// `log10 P(n_both or more)` under independence, exact; `None` where either set is empty or holds every target, so that the
    /// sizes alone fix the overlap.
    pub log10_p: Option<f64>,
}

impl GroupOverlap {
    /// The p value, 0 where it is too small for an f64: [`Self::log10_p`] has it.
    pub fn p(&self) -> Option<f64> {
        self.log10_p.map(|log10_p| 10f64.powf(log10_p))
    }
}

/// Overlap of two branches, over all targets and within each group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BranchOverlap {
    /// All targets that belong to a group; sets are independent within groups, so what a group attracts to both is not overlap.
    pub total: GroupOverlap,
    /// Each group by itself (n_groups).
    pub groups: Vec<GroupOverlap>,
}

/// Overlap of the targets that branch `a` and branch `b` drive (n_targets), and its exact test.
///
/// `group_of_target` gives the group of each target, or none for a target that is left out; without it all targets are one
/// group. Under the null hypothesis the members of B are any `n_b` targets of a group, independently of A, so the shared count
/// of a group is hypergeometric and the total is a sum of independent ones; p is one-sided towards more overlap. Caveat:
/// neighbouring voxels are alike, so independent members understate the overlap of smooth sets; draws that keep smoothness
/// go to [`rearranged_overlap`].
///
/// # Errors
/// [`MathError::Shape`] when the lists differ in length, [`MathError::Index`] for a group beyond `n_groups`.
pub fn branch_overlap(
    a: &[bool],
    b: &[bool],
    group_of_target: Option<&[Option<usize>]>,
    n_groups: usize,
) -> Result<BranchOverlap, MathError> {
    require_shape("targets of the second branch", b.len(), a.len(), "the targets of the first branch")?;
    let mut members: Vec<Vec<(bool, bool)>> = vec![Vec::new(); if group_of_target.is_some() { n_groups } else { 1 }];
    if let Some(groups) = group_of_target {
        require_shape("group_of_target", groups.len(), a.len(), "a group or none for each target")?;
    }
    for (target, pair) in a.iter().copied().zip(b.iter().copied()).enumerate() {
        let Some(group) = group_of_target.map_or(Some(0), |groups| groups[target]) else { continue };
        let expected = members.len();
        let refused = MathError::Index { name: "group_of_target", found: group, expected };
        members.get_mut(group).ok_or(refused)?.push(pair);
    }
    let sets: Vec<SetOverlap> = members.iter().map(|pairs| SetOverlap::of(pairs.iter().copied())).collect();
    let tested = |sets: SetOverlap, parts: &[SetOverlap]| {
        // Where every group's overlap is fixed by its sizes there is nothing to test.
        let is_open = |s: &&SetOverlap| s.n_a > 0 && s.n_b > 0 && s.n_a < s.n_targets && s.n_b < s.n_targets;
        let fixed: usize = parts.iter().filter(|s| !is_open(s)).map(|s| s.n_both).sum();
        let open: Vec<Draw> = parts.iter().filter(is_open).map(SetOverlap::draw).collect();
        GroupOverlap {
            sets,
            expected_n_both: parts.iter().map(SetOverlap::expected).sum(),
            log10_p: (!open.is_empty()).then(|| log10_upper_tail(&open, sets.n_both - fixed)),
        }
    };
    let total = SetOverlap::of(members.iter().flatten().copied());
    Ok(BranchOverlap {
        total: tested(total, &sets),
        groups: sets.iter().map(|&group| tested(group, &[group])).collect(),
    })
}

/// Overlap against sets that a caller rearranged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RearrangedOverlap {
    /// The sets and how far they coincide.
    pub sets: SetOverlap,
    /// Mean Dice coefficient of A with the rearranged sets; `None` without a draw that has one.
    pub null_mean: Option<f64>,
    /// Its standard deviation over draws (divided by their number).
    pub null_deviation: Option<f64>,
    /// `(1 + #{null >= observed}) / (1 + n_draws)`; `None` where the observed coefficient is absent or no draw has one.
    pub p: Option<f64>,
    /// Draws with a Dice coefficient.
    pub n_draws: usize,
}

/// Overlap of `a` with `b` (n_targets) against `draws` in place of `b`: rotated or phase-randomised maps, thresholded anew.
///
/// # Errors
/// [`MathError::Shape`] when `b` or a draw differs from `a` in length.
pub fn rearranged_overlap(
    a: &[bool],
    b: &[bool],
    draws: impl IntoIterator<Item = Vec<bool>>,
) -> Result<RearrangedOverlap, MathError> {
    require_shape("targets of the second branch", b.len(), a.len(), "the targets of the first branch")?;
    let overlap = |b: &[bool]| SetOverlap::of(a.iter().copied().zip(b.iter().copied()));
    let mut null = Vec::new();
    for draw in draws {
        require_shape("targets of a draw", draw.len(), a.len(), "the targets of the first branch")?;
        null.extend(overlap(&draw).dice);
    }
    let (sets, n) = (overlap(b), null.len() as f64);
    let mean = (!null.is_empty()).then(|| null.iter().sum::<f64>() / n);
    let p = |observed: f64| (1 + null.iter().filter(|&&v| v >= observed).count()) as f64 / (1.0 + n);
    Ok(RearrangedOverlap {
        sets,
        null_mean: mean,
        null_deviation: mean.map(|mean| (null.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt()),
        p: mean.and(sets.dice).map(p),
        n_draws: null.len(),
    })
}
