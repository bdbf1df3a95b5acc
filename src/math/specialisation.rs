//! What two branches or two models have apart and in common over the same targets.
//!
//! Owns the specialisation index here, the overlap of the targets that two branches drive in `specialisation/overlap.rs`, and the
//! distance of two models' sets of maps in `specialisation/distance.rs`. Unique and shared variance is
//! [`partition_variance`], of which [`branch_partition`] is the case of two branches; which
//! columns make a network is the caller's selection.

mod distance;
mod overlap;
mod tail;

pub use self::distance::{
    DistanceOptions, DistanceWarning, MapDistance, MapSimilarity, NoDistance, map_distance, map_similarity,
};
pub use self::overlap::{
    BranchOverlap, GroupOverlap, RearrangedOverlap, SetOverlap, branch_overlap, rearranged_overlap,
};
use super::MathError;
use super::banded::{VariancePartition, partition_variance};
use super::error::require_shape;

/// Specialisation of every target, `(R2_A - R2_B) / (R2_A + R2_B)`.
///
/// 1 where only A predicts, -1 where only B does, 0 where both predict alike. An R2 below 0 predicts nothing and counts as
/// 0, and so does one that is absent beside one that is not: both would otherwise push the index beyond 1. `None` where neither
/// branch predicts anything.
///
/// # Errors
/// [`MathError::Shape`] when the targets differ in number, [`MathError::NotFinite`] (row 0 for A, row 1 for B).
pub fn specialisation_index(r2_a: &[Option<f64>], r2_b: &[Option<f64>]) -> Result<Vec<Option<f64>>, MathError> {
    require_shape("targets of the second branch", r2_b.len(), r2_a.len(), "the targets of the first branch")?;
    for (row, scores) in [r2_a, r2_b].into_iter().enumerate() {
        let is_broken = |(column, score): (usize, &Option<f64>)| score.filter(|s| !s.is_finite()).map(|s| (column, s));
        if let Some((column, found)) = scores.iter().enumerate().find_map(is_broken) {
            return Err(MathError::NotFinite { what: "r2", row, column, found });
        }
    }
    let index = |(a, b): (&Option<f64>, &Option<f64>)| {
        let (a, b) = (a.unwrap_or(0.0).max(0.0), b.unwrap_or(0.0).max(0.0));
        (a + b > 0.0).then(|| (a - b) / (a + b))
    };
    Ok(r2_a.iter().zip(r2_b).map(index).collect())
}

/// Unique and shared variance of two branches: the parts are A alone, B alone, and what both have in common.
///
/// `r2_a` and `r2_b` (n_targets) are held-out scores of each branch by itself, `r2_ab` of both together.
///
/// # Errors
/// As [`partition_variance`].
pub fn branch_partition(
    r2_a: &[Option<f64>],
    r2_b: &[Option<f64>],
    r2_ab: &[Option<f64>],
) -> Result<VariancePartition, MathError> {
    partition_variance(2, &[r2_a.to_vec(), r2_b.to_vec(), r2_ab.to_vec()])
}

#[cfg(test)]
mod tests;
