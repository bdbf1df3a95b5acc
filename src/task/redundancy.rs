//! How far the patterns of a model say the same about a brain: overlap of the voxels they drive and of the units they join.

use super::{
    Compute, Kind, TaskError, Workbench,
    encode::{WEIGHTS, cell, read_scores},
    pattern::{CODES, PATTERNS},
};
use crate::{
    brain::mask::VoxelTable,
    format::{npy::read_matrix, tsv::Table},
    math::{
        overlap::{Sets, overlap_test},
        polarity::row_correlations,
    },
    spec::written::Redundancy,
};
use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

/// Every pair of patterns.
pub const PAIRS: &str = "pairs.tsv";
/// Voxels by network and by the number of patterns that drive them.
pub const NETWORKS: &str = "networks.tsv";
/// The statistic and its null.
pub const FACTS: &str = "redundancy.json";

/// The statistic of one fit on patterns. Inputs: `encode`, `patterns`, `voxels`.
#[derive(Debug, Serialize)]
pub struct MeasureRedundancy {
    /// Threshold and null.
    #[serde(rename = "statistics.redundancy")]
    pub options: Redundancy,
    /// Patterns.
    #[serde(skip)] // follows from the inputs
    pub n_patterns: usize,
    /// Units of all modules.
    #[serde(skip)] // follows from the inputs
    pub n_units: usize,
    /// Voxels of the brain.
    #[serde(skip)] // follows from the inputs
    pub n_voxels: usize,
}

/// The statistic and its null, as the artifact keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RedundancyFacts {
    /// What was permuted.
    pub(super) null: String,
    pub(super) n_permutations: usize,
    pub(super) seed: u64,
    pub(super) threshold_sd: f64,
    /// Mean Dice over pairs of patterns; absent without a pair that drives a voxel.
    pub(super) mean_dice: Option<f64>,
    pub(super) null_mean_dice: Option<f64>,
    pub(super) null_sd_dice: Option<f64>,
    pub(super) p: Option<f64>,
    /// Voxels that each pattern drives.
    pub(super) n_voxels_of_pattern: Vec<usize>,
    /// Units that each pattern joins.
    pub(super) n_units_of_pattern: Vec<usize>,
}

impl Compute for MeasureRedundancy {
    const KIND: Kind = Kind::Redundancy;

    fn memory_bytes(&self) -> u64 {
        (2 * self.n_patterns * (self.n_voxels + self.n_units) * 4) as u64 + (32 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let weights = read_matrix(&bench.input("encode").join(WEIGHTS))?;
        let codes = read_matrix(&bench.input("patterns").join(CODES))?;
        let patterns = read_matrix(&bench.input("patterns").join(PATTERNS))?;
        let n_patterns = weights.nrows();
        if n_patterns < 2 {
            return Err(TaskError::Unanswerable(
                "redundancy compares patterns, and there is only one: raise `n_patterns`".to_owned(),
            ));
        }
        let driven = Sets::new(driven_voxels(weights.view(), self.options.threshold_sd).view());
        let joined = Sets::new(codes.mapv(|code| code != 0.0).view());
        let test = overlap_test(&driven, self.options.n_permutations, self.options.seed)?;
        bench.step(1, 2)?;

        let (dice, iou, jaccard) = (driven.dice(), driven.iou(), joined.iou());
        let series_r = row_correlations(patterns.t())?;
        let mut pairs = Table::new(["k", "j", "voxel_dice", "voxel_iou", "voxel_dice_p", "unit_jaccard", "series_r"]);
        for k in 0..n_patterns {
            for j in k + 1..n_patterns {
                let at = [k, j];
                let row = [
                    k.to_string(),
                    j.to_string(),
                    cell(dice[at]),
                    cell(iou[at]),
                    cell(test.pair_p[at]),
                    cell(jaccard[at]),
                    cell(series_r[at]),
                ];
                pairs.push(row);
            }
        }
        pairs.write(&bench.out.join(PAIRS))?;
        self.networks(bench, &driven)?.write(&bench.out.join(NETWORKS))?;
        bench.write_json(
            FACTS,
            &RedundancyFacts {
                null: "members of every pattern's voxel set permuted over all voxels".to_owned(),
                n_permutations: self.options.n_permutations,
                seed: self.options.seed,
                threshold_sd: self.options.threshold_sd,
                mean_dice: test.mean_dice,
                null_mean_dice: test.null_mean,
                null_sd_dice: test.null_deviation,
                p: test.mean_p,
                n_voxels_of_pattern: driven.sizes().to_vec(),
                n_units_of_pattern: joined.sizes().to_vec(),
            },
        )
    }
}

impl MeasureRedundancy {
    fn networks(&self, bench: &Workbench<'_>, driven: &Sets) -> Result<Table, TaskError> {
        let voxels = VoxelTable::read(bench.input("voxels"))?;
        let scored = read_scores(bench.input("encode"))?;
        let n_patterns_of_voxel = driven.n_sets_of_element();
        let mut table = Table::new(["network", "n_voxels", "n_driven", "n_shared"]);
        for (place, network) in voxels.networks.iter().enumerate() {
            let counts: Vec<u32> = scored
                .iter()
                .zip(&n_patterns_of_voxel)
                .filter(|((voxel, _), _)| voxels.membership.of(*voxel).contains(&place))
                .map(|(_, count)| *count)
                .collect();
            let at_least = |n: u32| counts.iter().filter(|count| **count >= n).count().to_string();
            table.push([network.name.clone(), counts.len().to_string(), at_least(1), at_least(2)]);
        }
        Ok(table)
    }
}

/// Which voxels each pattern drives: weights beyond `threshold_sd` root mean squares of the pattern's map, of either sign.
fn driven_voxels(weights: ArrayView2<'_, f32>, threshold_sd: f64) -> Array2<bool> {
    let mut driven = Array2::from_elem(weights.dim(), false);
    for (map, mut members) in weights.axis_iter(Axis(0)).zip(driven.axis_iter_mut(Axis(0))) {
        let power: f64 = map.iter().map(|weight| f64::from(*weight).powi(2)).sum();
        let threshold = threshold_sd * (power / map.len() as f64).sqrt();
        members
            .iter_mut()
            .zip(&map)
            .for_each(|(member, weight)| *member = threshold > 0.0 && f64::from(*weight).abs() > threshold);
    }
    driven
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_pattern_drives_the_voxels_far_from_zero_on_either_side() {
        let weights = array![[0.1_f32, -3.0, 0.1, 2.0], [0.0, 0.0, 0.0, 0.0]];
        assert_eq!(
            driven_voxels(weights.view(), 1.0),
            array![[false, true, false, true], [false, false, false, false]]
        );
    }
}
