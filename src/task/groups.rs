//! Which of a subject's voxels are told apart, and nothing else: the networks of every voxel by number.
//!
//! What fits read in place of the table of voxels, so that a network that is renamed, or a grid in another place, fits nothing again.

use super::{Compute, Kind, TaskError, Workbench, workbench::read_json};
use crate::brain::mask::VoxelTable;
use serde::{Deserialize, Serialize};
use std::path::Path;

const GROUPS: &str = "groups.json";

/// The networks of every voxel. Input: `voxels`.
#[derive(Debug, Serialize, Deserialize)]
pub struct TellGroups {
    /// The subject, whose voxels they are.
    pub subject: String,
    /// Voxels of the brain.
    #[serde(rename = "~n_voxels")] // follows from the input
    pub n_voxels: usize,
}

/// The networks of every voxel, by number.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Groups {
    /// Networks there are.
    pub(super) n_networks: usize,
    /// The networks of each row of the table of voxels.
    of_voxel: Vec<Vec<usize>>,
}

impl Compute for TellGroups {
    const KIND: Kind = Kind::Groups;

    fn memory_bytes(&self) -> u64 {
        (self.n_voxels * 200) as u64 + (32 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let voxels = VoxelTable::read(bench.input("voxels"))?;
        let of_voxel = voxels.membership.rows().map(<[usize]>::to_vec).collect();
        bench.write_json(GROUPS, &Groups { n_networks: voxels.networks.len(), of_voxel })
    }
}

impl Groups {
    /// Reads what a task wrote.
    pub(super) fn read(artifact: &Path) -> Result<Self, TaskError> {
        read_json(&artifact.join(GROUPS))
    }

    /// The networks of some voxels, given by their rows of the table, and behind them the group of all voxels.
    pub(super) fn of(&self, rows: &[usize]) -> Vec<Vec<usize>> {
        rows.iter().map(|row| self.of_voxel[*row].iter().copied().chain([self.n_networks]).collect()).collect()
    }
}
