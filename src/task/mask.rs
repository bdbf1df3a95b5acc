//! Chooses the voxels of a subject and says which networks each belongs to.

use super::{Compute, Kind, TaskError, Workbench};
use crate::{
    brain::{
        assign::{AtlasOptions, assign},
        head::read_head,
        locations::Extent,
        mask::{Mask, VoxelSelection, VoxelTable, intersection},
        simulate::{ATLAS_LABELS, ATLAS_TABLE},
    },
    format::{
        bids::{RunQuery, find_runs},
        runs::{RunFiles, SeriesKind},
    },
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The voxels of one subject. Brain masks and atlas are external files, or in the input `dataset`; the places of grayordinates are
/// those of the external file `places`, a series.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChooseVoxels {
    /// The subject, where the files are in a simulated data set.
    pub subject: Option<String>,
    /// Which voxels of the brain mask are used.
    #[serde(rename = "atlas.voxels")]
    pub voxels: VoxelSelection,
    /// How the atlas is understood.
    #[serde(rename = "atlas")]
    pub options: AtlasOptions,
    /// What a reader of the results should know about the choice of the files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caveats: Vec<String>,
    /// Places of a volume or a CIFTI file.
    #[serde(rename = "~n_places")] // follows from the files
    pub n_places: usize,
}

impl Compute for ChooseVoxels {
    const KIND: Kind = Kind::Mask;

    fn memory_bytes(&self) -> u64 {
        // Labels on both grids, masks, the networks of every place, and the table with places in millimetres.
        (self.n_places * 1024) as u64 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let (masks, labels, table) = match &self.subject {
            Some(subject) => {
                let root = bench.input("dataset");
                let runs = find_runs(root, &RunQuery { subject: subject.clone(), ..RunQuery::default() })?;
                let masks: Vec<PathBuf> = runs.into_iter().filter_map(|run| run.mask).collect();
                (masks, root.join(ATLAS_LABELS), Some(root.join(ATLAS_TABLE)))
            }
            None => {
                let table = bench.files("table").first().cloned();
                (bench.files("brain-mask").to_vec(), bench.files("labels")[0].clone(), table)
            }
        };
        let networks = |extent: &Extent| {
            let (assigned, told) = assign(&labels, table.as_deref(), &self.options, extent)?;
            told.into_iter().for_each(|message| bench.warn("atlas", message));
            Ok::<_, TaskError>(assigned)
        };
        let voxels = match bench.files("places").first() {
            Some(series) => {
                let head = read_head(&RunFiles::of_series("places", SeriesKind::Grayordinates, series))?;
                let assigned = networks(&head.extent)?;
                let Extent::Grayordinates(models) = head.extent else { unreachable!("the head is of grayordinates") };
                VoxelTable::of_grayordinates(*models, Some(assigned), &self.voxels)?
            }
            None => {
                let masks = masks.iter().map(|path| Mask::read(path)).collect::<Result<Vec<_>, _>>()?;
                let mask = intersection(&masks)?;
                let assigned = networks(&Extent::Grid(mask.grid))?;
                VoxelTable::of_mask(&mask, Some(assigned), &self.voxels)?
            }
        };
        for caveat in &self.caveats {
            bench.warn("files", caveat.clone());
        }
        for warning in &voxels.warnings {
            bench.warn("empty-network", warning.to_string());
        }
        voxels.write(bench.out)?;
        Ok(())
    }
}
