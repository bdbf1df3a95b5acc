//! Chooses the voxels of a subject and says which network each belongs to.

use super::{Compute, Kind, TaskError, Workbench};
use crate::{
    brain::{
        atlas::Atlas,
        mask::{Mask, VoxelSelection, VoxelTable, intersection},
    },
    format::bids::{RunQuery, find_runs},
};
use serde::Serialize;
use std::path::PathBuf;

/// The voxels of one subject. Brain masks and atlas are external files, or in the input `dataset`.
#[derive(Debug, Serialize)]
pub struct ChooseVoxels {
    /// The subject, where the files are in a simulated data set.
    pub subject: Option<String>,
    /// Which voxels of the brain mask are used.
    #[serde(rename = "atlas.voxels")]
    pub voxels: VoxelSelection,
    /// Voxels of a volume.
    #[serde(skip)] // follows from the files
    pub n_grid_voxels: usize,
}

impl Compute for ChooseVoxels {
    const KIND: Kind = Kind::Mask;

    fn memory_bytes(&self) -> u64 {
        // Labels on both grids, masks, and the table with places in millimetres.
        (self.n_grid_voxels * 96) as u64 + (16 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let (masks, labels, table) = match &self.subject {
            Some(subject) => {
                let root = bench.input("dataset");
                let runs = find_runs(root, &RunQuery { subject: subject.clone(), ..RunQuery::default() })?;
                let masks: Vec<PathBuf> = runs.into_iter().map(|run| run.mask).collect();
                (masks, root.join(crate::brain::simulate::ATLAS_LABELS), root.join(crate::brain::simulate::ATLAS_TABLE))
            }
            None => {
                (bench.files("brain-mask").to_vec(), bench.files("labels")[0].clone(), bench.files("table")[0].clone())
            }
        };
        let masks = masks.iter().map(|path| Mask::read(path)).collect::<Result<Vec<_>, _>>()?;
        let mask = intersection(&masks)?;
        let atlas = Atlas::read(&labels, &table)?;
        let voxels = VoxelTable::new(&mask, Some(&atlas), &self.voxels)?;
        for warning in &atlas.warnings {
            bench.warn("atlas", warning.to_string());
        }
        for warning in &voxels.warnings {
            bench.warn("empty-network", warning.to_string());
        }
        voxels.write(bench.out)?;
        Ok(())
    }
}
