//! Which voxels the patterns predict better than chance: block permutation of the test series, then false discovery rate.

use super::{
    Compute, Kind, TaskError, Workbench,
    encode::{Brain, VoxelValues, WEIGHTS, cell},
    pattern::read_patterns,
};
use crate::{
    format::{npy::read_matrix, tsv::Table},
    math::{
        blas::matmul,
        fdr::benjamini_hochberg,
        null::{NullWarning, Rearrangement, permutation_test},
    },
};
use ndarray::s;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Probability and false discovery rate of every scored voxel.
pub const SIGNIFICANCE: &str = "significance.tsv";
/// What was asked.
const FACTS: &str = "significance.json";

/// The test of one fit on patterns. Inputs: `encode`, `patterns`, and all runs `bold` in the study's order.
#[derive(Debug, Serialize)]
pub struct PermuteBlocks {
    /// Permutations.
    #[serde(rename = "statistics.significance.n_permutations")]
    pub n_permutations: usize,
    /// Volumes that stay together.
    pub block_tr: usize,
    /// False discovery rate.
    #[serde(rename = "statistics.significance.fdr")]
    pub fdr: f64,
    /// Seed.
    #[serde(rename = "statistics.significance.seed")]
    pub seed: u64,
    /// Runs, the first of which are for training.
    pub n_train_runs: usize,
    /// Volumes of all runs.
    #[serde(skip)] // follows from the inputs
    pub n_samples: usize,
    /// Voxels of the brain.
    #[serde(skip)] // follows from the inputs
    pub n_voxels: usize,
}

/// What was asked and found, as the artifact keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SignificanceFacts {
    pub(super) n_permutations: usize,
    pub(super) block_tr: usize,
    pub(super) fdr: f64,
    pub(super) seed: u64,
    pub(super) n_significant: usize,
}

impl Compute for PermuteBlocks {
    const KIND: Kind = Kind::Null;

    fn memory_bytes(&self) -> u64 {
        (4 * self.n_samples * self.n_voxels * 4) as u64 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        // Voxels are dropped over all runs, as the fit did.
        let brain = Brain::read(bench.inputs("bold"))?;
        let rows = read_patterns(bench.input("patterns"))?.aligned_with(&brain)?;
        let n_train = rows.run_of_row.iter().filter(|run| **run < self.n_train_runs).count();
        let weights = read_matrix(&bench.input("encode").join(WEIGHTS))?;
        bench.step(0, 2)?;
        let prediction = matmul(rows.x.slice(s![n_train.., ..]), weights.view());
        let rearrangement = Rearrangement::Blocks { block_tr: self.block_tr };
        let test = permutation_test(
            rows.y.slice(s![n_train.., ..]),
            prediction.view(),
            rearrangement,
            self.n_permutations,
            self.seed,
        )?;
        bench.step(1, 2)?;
        for warning in &test.warnings {
            let NullWarning::FewRearrangements { n_distinct, n_drawn } = warning;
            let message = format!(
                "the test series has {n_distinct} orders of its blocks, fewer than the {n_drawn} drawn: small p values mean little"
            );
            bench.warn("few-rearrangements", message);
        }
        let q = benjamini_hochberg(&test.p_values)?;
        let mut table = Table::new(["voxel", "p", "q"]);
        for (column, voxel) in brain.kept.iter().enumerate() {
            table.push([voxel.to_string(), cell(test.p_values[column]), cell(q[column])]);
        }
        table.write(&bench.out.join(SIGNIFICANCE))?;
        let n_significant = q.iter().flatten().filter(|q| **q <= self.fdr).count();
        bench.write_json(
            FACTS,
            &SignificanceFacts {
                n_permutations: self.n_permutations,
                block_tr: self.block_tr,
                fdr: self.fdr,
                seed: self.seed,
                n_significant,
            },
        )
    }
}

/// Voxel and false discovery rate of every row of an artifact.
pub(super) fn read_significance(artifact: &Path) -> Result<VoxelValues, TaskError> {
    let table = Table::read(&artifact.join(SIGNIFICANCE))?;
    let voxels = table
        .integers("voxel")?
        .into_iter()
        .map(|voxel| voxel.and_then(|voxel| usize::try_from(voxel).ok()).unwrap_or_default());
    Ok(voxels.zip(table.numbers("q")?).collect())
}
