//! What a fit's predictions of the test runs leave behind, beside scores: evidence by network and block of test time, and tests.
//!
//! Predictions are too large to keep. What is kept is small and adds up: how much each block of test time adds to a network's mean
//! correlation and to its error, and what rearranged series give. Layers, branches and models are compared by these alone.

use super::{
    TaskError, Workbench,
    encode::{VoxelValues, cell, read_voxel_values},
    finding::ALL_NETWORKS,
    workbench::read_json,
};
use crate::{
    brain::mask::VoxelTable,
    format::{
        npy::{read_matrix, write_matrix},
        tsv::Table,
    },
    math::{
        evidence::{Evidence, EvidenceOptions, GroupNull},
        fdr::benjamini_hochberg,
        null::{EarlyStop, NullOptions, NullWarning, Rearrangement, permutation_test_with},
    },
    spec::written::Rearranged,
};
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::Path};

/// Probability, false discovery rate and number of permutations of every scored voxel.
pub const SIGNIFICANCE: &str = "significance.tsv";
/// What each block of test time adds to the mean correlation of each network (blocks x networks).
pub const CORRELATION_BLOCKS: &str = "correlation_blocks.npy";
/// What each block of test time adds to the mean error of each network, as a share of the series' variance (blocks x networks).
pub const ERROR_BLOCKS: &str = "error_blocks.npy";
/// The mean correlation of each network with rearranged test series (permutations x networks).
pub const NETWORK_NULL: &str = "network_null.npy";
/// Voxels behind each column of these.
const FACTS: &str = "evidence.json";

/// How test series are rearranged to find what chance gives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Permutations {
    /// How often.
    #[serde(rename = "statistics.significance.n_permutations")]
    pub n_permutations: usize,
    /// How.
    #[serde(rename = "statistics.significance.method")]
    pub method: Rearranged,
    /// Permutations as good as the series itself with which a voxel stops.
    #[serde(rename = "statistics.significance.stop_after")]
    pub stop_after: Option<usize>,
    /// Seed.
    #[serde(rename = "statistics.significance.seed")]
    pub seed: u64,
}

impl Permutations {
    fn rearrangement(&self, block_tr: usize) -> Rearrangement {
        match self.method {
            Rearranged::Blocks => Rearrangement::Blocks { block_tr },
            Rearranged::CircularShift => Rearrangement::CircularShift { min_shift_tr: block_tr },
        }
    }
}

/// Evidence of a fit, as voxels come in.
pub(super) struct Gathering {
    evidence: Evidence,
    tests: Option<VoxelTests>,
    has_blocks: bool,
}

/// Tests of voxels, as they come in.
struct VoxelTests {
    options: NullOptions,
    p_values: Vec<Option<f64>>,
    n_drawn: Vec<usize>,
    warnings: BTreeSet<(u64, usize)>,
}

/// Which parts of the evidence are asked for.
pub(super) struct Asked<'a> {
    /// Volumes of a block of test time.
    pub(super) block_tr: usize,
    /// Whether contributions of blocks are kept.
    pub(super) has_blocks: bool,
    /// How chance is found, if it is.
    pub(super) permutations: Option<&'a Permutations>,
}

impl Gathering {
    /// Nothing yet, of `n_samples` test volumes.
    pub(super) fn begin(n_samples: usize, n_networks: usize, asked: &Asked<'_>) -> Result<Self, TaskError> {
        let null = asked.permutations.map(|permutations| GroupNull {
            rearrangement: permutations.rearrangement(asked.block_tr),
            n_permutations: permutations.n_permutations,
            seed: permutations.seed,
        });
        let tests = asked.permutations.map(|permutations| VoxelTests {
            options: NullOptions {
                rearrangement: permutations.rearrangement(asked.block_tr),
                n_permutations: permutations.n_permutations,
                early_stop: permutations.stop_after.map(|n_exceedances| EarlyStop { n_exceedances }),
                seed: permutations.seed,
            },
            p_values: Vec::new(),
            n_drawn: Vec::new(),
            warnings: BTreeSet::new(),
        });
        let options = EvidenceOptions { block_tr: asked.block_tr, null };
        // All voxels are the last group.
        let evidence = Evidence::begin(n_samples, n_networks + 1, options)?;
        Ok(Self { evidence, tests, has_blocks: asked.has_blocks })
    }

    /// Takes in some voxels (test volumes x voxels), with the networks of each.
    pub(super) fn add(
        &mut self,
        data: ArrayView2<'_, f32>,
        prediction: ArrayView2<'_, f32>,
        networks: &[Vec<usize>],
    ) -> Result<(), TaskError> {
        self.evidence.add(data, prediction, networks)?;
        if let Some(tests) = &mut self.tests {
            // The draws follow from the seed alone, so that voxels of all pieces share them.
            let test = permutation_test_with(data, prediction, tests.options.clone())?;
            tests.p_values.extend(test.p_values);
            tests.n_drawn.extend(test.n_drawn);
            for NullWarning::FewRearrangements { n_distinct, n_drawn } in test.warnings {
                tests.warnings.insert((n_distinct, n_drawn));
            }
        }
        Ok(())
    }

    /// Writes what was asked for; `kept` are the voxels that came in, in their order. Gives their false discovery rates.
    pub(super) fn write(self, kept: &[usize], bench: &Workbench<'_>) -> Result<Vec<Option<f64>>, TaskError> {
        let found = self.evidence.finish();
        bench.write_json(FACTS, &EvidenceFacts { n_with_r: found.n_with_r, n_with_error: found.n_with_error })?;
        let keep = |name: &str, matrix: &Array2<f64>| {
            let rounded = matrix.mapv(|value| value as f32);
            write_matrix(&bench.out.join(name), rounded.view())
        };
        if self.has_blocks {
            keep(CORRELATION_BLOCKS, &found.r_blocks)?;
            keep(ERROR_BLOCKS, &found.error_blocks)?;
        }
        if let Some(null) = &found.null_r {
            keep(NETWORK_NULL, null)?;
        }
        self.tests.map_or(Ok(Vec::new()), |tests| tests.write(kept, bench))
    }
}

impl VoxelTests {
    fn write(self, kept: &[usize], bench: &Workbench<'_>) -> Result<Vec<Option<f64>>, TaskError> {
        for (n_distinct, n_drawn) in self.warnings {
            let message = format!(
                "the test series can be rearranged in {n_distinct} ways, fewer than the {n_drawn} drawn: small p values mean little"
            );
            bench.warn("few-rearrangements", message);
        }
        let q = benjamini_hochberg(&self.p_values)?;
        let mut table = Table::new(["voxel", "p", "q", "n_drawn"]);
        for (column, voxel) in kept.iter().enumerate() {
            let n_drawn = self.n_drawn[column].to_string();
            table.push([voxel.to_string(), cell(self.p_values[column]), cell(q[column]), n_drawn]);
        }
        table.write(&bench.out.join(SIGNIFICANCE))?;
        Ok(q)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct EvidenceFacts {
    /// Voxels of each network, and of all together, that have a correlation.
    n_with_r: Vec<usize>,
    /// Those that have an error.
    n_with_error: Vec<usize>,
}

/// The networks of some voxels, given by their rows of the table, and behind them the group of all voxels.
pub(super) fn networks_of(voxels: &VoxelTable, rows: &[usize]) -> Vec<Vec<usize>> {
    let all = voxels.networks.len();
    rows.iter().map(|row| voxels.membership.of(*row).iter().copied().chain([all]).collect()).collect()
}

/// The names of networks, and behind them that of all voxels together.
pub(super) fn network_names(voxels: &VoxelTable) -> Vec<&str> {
    voxels.networks.iter().map(|network| network.name.as_str()).chain([ALL_NETWORKS]).collect()
}

/// What blocks of test time add up to, as a fit keeps it.
pub(super) struct FitBlocks {
    /// Voxels of each network, and of all together, that have a correlation.
    pub(super) n_voxels: Vec<usize>,
    n_with_error: Vec<usize>,
    /// Contributions to the mean correlation (blocks x networks).
    pub(super) correlation: Array2<f64>,
    /// Contributions to the mean error (blocks x networks).
    pub(super) error: Array2<f64>,
}

impl FitBlocks {
    /// Mean correlation of a network, if it has a scored voxel.
    pub(super) fn mean_r(&self, network: usize) -> Option<f64> {
        (self.n_voxels[network] > 0).then(|| self.correlation.column(network).sum())
    }

    /// Mean R2 of a network, if it has a scored voxel.
    pub(super) fn mean_r2(&self, network: usize) -> Option<f64> {
        (self.n_with_error[network] > 0).then(|| 1.0 - self.error.column(network).sum())
    }
}

/// Reads what a fit kept.
pub(super) fn read_blocks(artifact: &Path) -> Result<FitBlocks, TaskError> {
    let EvidenceFacts { n_with_r, n_with_error } = read_json(&artifact.join(FACTS))?;
    let read = |name: &str| Ok::<_, TaskError>(read_matrix(&artifact.join(name))?.mapv(f64::from));
    Ok(FitBlocks {
        n_voxels: n_with_r,
        n_with_error,
        correlation: read(CORRELATION_BLOCKS)?,
        error: read(ERROR_BLOCKS)?,
    })
}

/// Reads what rearranged series gave (permutations x networks), if that was asked.
pub(super) fn read_network_null(artifact: &Path) -> Result<Option<Array2<f64>>, TaskError> {
    let path = artifact.join(NETWORK_NULL);
    path.exists().then(|| Ok(read_matrix(&path)?.mapv(f64::from))).transpose()
}

/// Voxel and false discovery rate of every row of an artifact, if voxels were tested.
pub(super) fn read_significance(artifact: &Path) -> Result<Option<VoxelValues>, TaskError> {
    let path = artifact.join(SIGNIFICANCE);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(read_voxel_values(&path, "q")?))
}
