//! Which voxels and networks the patterns predict better than chance: the test series rearranged in time.
//!
//! A task of its own, since the weights of patterns are kept: another number of permutations fits nothing again. Fits whose weights
//! are not kept test their predictions as they make them (`encode.rs`); both leave the same files (`evidence.rs`).

use super::{
    Compute, Kind, TaskError, Workbench,
    encode::{Brain, WEIGHTS},
    evidence::{Asked, Gathering, Permutations},
    groups::Groups,
    pattern::read_patterns,
};
use crate::{format::npy::MatrixReader, math::blas::matmul};
use ndarray::s;
use serde::{Deserialize, Serialize};

/// Voxels that are tested at once.
const PIECE: usize = 8192;
/// What was asked.
const FACTS: &str = "significance.json";

/// The test of one fit on patterns. Inputs: `encode`, `patterns`, `groups`, and all runs `bold` in the study's order.
#[derive(Debug, Serialize, Deserialize)]
pub struct Permute {
    /// Permutations.
    #[serde(flatten)]
    pub permutations: Permutations,
    /// Volumes that stay together; of circular shifts, the smallest.
    pub block_tr: usize,
    /// False discovery rate.
    #[serde(rename = "statistics.significance.fdr")]
    pub fdr: f64,
    /// Runs, the first of which are for training.
    pub n_train_runs: usize,
    /// Volumes of all runs.
    #[serde(rename = "~n_samples")] // follows from the inputs
    pub n_samples: usize,
    /// Voxels of the brain.
    #[serde(rename = "~n_voxels")] // follows from the inputs
    pub n_voxels: usize,
}

/// What was asked and found, as the artifact keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct SignificanceFacts {
    n_permutations: usize,
    block_tr: usize,
    fdr: f64,
    seed: u64,
    n_significant: usize,
}

impl Compute for Permute {
    const KIND: Kind = Kind::Null;

    fn memory_bytes(&self) -> u64 {
        (6 * self.n_samples * self.n_voxels.min(PIECE) * 4) as u64 + (256 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        // Voxels are dropped over all runs, as the fit did.
        let rows = Brain::open(bench.inputs("bold"))?.aligned_with(read_patterns(bench.input("patterns"))?);
        let groups = Groups::read(bench.input("groups"))?;
        let n_train = rows.n_train(self.n_train_runs);
        let n_runs = bench.inputs("bold").len();
        let n_voxels = rows.brain.kept.len();
        let x_test = rows.x.slice(s![n_train.., ..]);
        let mut weights = MatrixReader::open(&bench.input("encode").join(WEIGHTS))?;
        let asked = Asked { block_tr: self.block_tr, has_blocks: false, permutations: Some(&self.permutations) };
        let mut gathering = Gathering::begin(x_test.nrows(), groups.n_networks, &asked)?;
        bench.step(0, n_voxels)?;
        for piece in rows.pieces(PIECE) {
            let prediction = matmul(x_test, weights.columns(piece.clone())?.view());
            let data = rows.read(piece.clone(), self.n_train_runs..n_runs)?;
            gathering.add(data.view(), prediction.view(), &groups.of(&rows.brain.kept[piece.clone()]))?;
            bench.step(piece.end, n_voxels)?;
        }
        let q = gathering.write(&rows.brain.kept, bench)?;
        bench.write_json(
            FACTS,
            &SignificanceFacts {
                n_permutations: self.permutations.n_permutations,
                block_tr: self.block_tr,
                fdr: self.fdr,
                seed: self.permutations.seed,
                n_significant: q.iter().flatten().filter(|q| **q <= self.fdr).count(),
            },
        )
    }
}
