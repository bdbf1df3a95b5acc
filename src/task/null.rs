//! Which voxels the patterns predict better than chance: the test series rearranged in time, then false discovery rate.

use super::{
    Compute, Kind, TaskError, Workbench,
    encode::{Brain, VoxelValues, WEIGHTS, cell},
    pattern::read_patterns,
};
use crate::{
    format::{npy::MatrixReader, tsv::Table},
    math::{
        blas::matmul,
        fdr::benjamini_hochberg,
        null::{EarlyStop, NullOptions, NullWarning, Rearrangement, permutation_test_with},
    },
    spec::written::Rearranged,
};
use ndarray::s;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::Path};

/// Probability, false discovery rate and number of permutations of every scored voxel.
pub const SIGNIFICANCE: &str = "significance.tsv";
/// Voxels that are tested at once.
const PIECE: usize = 8192;
/// What was asked.
const FACTS: &str = "significance.json";

/// The test of one fit on patterns. Inputs: `encode`, `patterns`, and all runs `bold` in the study's order.
#[derive(Debug, Serialize)]
pub struct Permute {
    /// Permutations.
    #[serde(rename = "statistics.significance.n_permutations")]
    pub n_permutations: usize,
    /// How the series is rearranged.
    #[serde(rename = "statistics.significance.method")]
    pub method: Rearranged,
    /// Volumes that stay together; of circular shifts, the smallest.
    pub block_tr: usize,
    /// Permutations as good as the series itself with which a voxel stops.
    #[serde(rename = "statistics.significance.stop_after")]
    pub stop_after: Option<usize>,
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
    pub(super) method: Rearranged,
    pub(super) stop_after: Option<usize>,
    pub(super) block_tr: usize,
    pub(super) fdr: f64,
    pub(super) seed: u64,
    pub(super) n_significant: usize,
}

impl Compute for Permute {
    const KIND: Kind = Kind::Null;

    fn memory_bytes(&self) -> u64 {
        (6 * self.n_samples * self.n_voxels.min(PIECE) * 4) as u64 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        // Voxels are dropped over all runs, as the fit did.
        let rows = Brain::open(bench.inputs("bold"))?.aligned_with(read_patterns(bench.input("patterns"))?);
        let n_train = rows.n_train(self.n_train_runs);
        let n_runs = bench.inputs("bold").len();
        let n_voxels = rows.brain.kept.len();
        let x_test = rows.x.slice(s![n_train.., ..]);
        let mut weights = MatrixReader::open(&bench.input("encode").join(WEIGHTS))?;
        let options = NullOptions {
            rearrangement: match self.method {
                Rearranged::Blocks => Rearrangement::Blocks { block_tr: self.block_tr },
                Rearranged::CircularShift => Rearrangement::CircularShift { min_shift_tr: self.block_tr },
            },
            n_permutations: self.n_permutations,
            early_stop: self.stop_after.map(|n_exceedances| EarlyStop { n_exceedances }),
            seed: self.seed,
        };
        let (mut p_values, mut n_drawn, mut warnings) = (Vec::new(), Vec::new(), BTreeSet::new());
        bench.step(0, n_voxels)?;
        for piece in rows.pieces(PIECE) {
            let prediction = matmul(x_test, weights.columns(piece.clone())?.view());
            let data = rows.read(piece.clone(), self.n_train_runs..n_runs)?;
            // The draws follow from the seed alone, so that voxels of all pieces share them.
            let test = permutation_test_with(data.view(), prediction.view(), options.clone())?;
            p_values.extend(test.p_values);
            n_drawn.extend(test.n_drawn);
            for NullWarning::FewRearrangements { n_distinct, n_drawn } in test.warnings {
                warnings.insert((n_distinct, n_drawn));
            }
            bench.step(piece.end, n_voxels)?;
        }
        for (n_distinct, n_drawn) in warnings {
            let message = format!(
                "the test series can be rearranged in {n_distinct} ways, fewer than the {n_drawn} drawn: small p values mean little"
            );
            bench.warn("few-rearrangements", message);
        }
        let q = benjamini_hochberg(&p_values)?;
        let mut table = Table::new(["voxel", "p", "q", "n_drawn"]);
        for (column, voxel) in rows.brain.kept.iter().enumerate() {
            table.push([voxel.to_string(), cell(p_values[column]), cell(q[column]), n_drawn[column].to_string()]);
        }
        table.write(&bench.out.join(SIGNIFICANCE))?;
        let n_significant = q.iter().flatten().filter(|q| **q <= self.fdr).count();
        bench.write_json(
            FACTS,
            &SignificanceFacts {
                n_permutations: self.n_permutations,
                method: self.method,
                stop_after: self.stop_after,
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
