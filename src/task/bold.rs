//! Reads one run's BOLD series in the chosen voxels and prepares it.

use super::{Compute, Kind, TaskError, Workbench};
use crate::{
    brain::{
        mask::{Mask, VoxelTable},
        prepare::{
            CiftiSource, ClipTable, MatrixSource, Preparation, RunInputs, SeriesSource, VolumeSource, prepare_source,
        },
    },
    format::{
        bids::{RunQuery, find_runs},
        npy::write_matrix,
        runs::{RunFiles, SeriesKind},
        tsv::Table,
    },
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The prepared series in the artifact: a row for each kept volume, a column for each row of the mask's `voxels.tsv`.
pub const BOLD: &str = "bold.npy";
/// The volumes kept: a row for each row of [`BOLD`].
const VOLUMES: &str = "volumes.tsv";
/// Facts about the preparation.
const FACTS: &str = "bold.json";

/// One run of one subject. Voxels are the input `voxels`; the series are external files, or in the input `dataset`.
#[derive(Debug, Serialize, Deserialize)]
pub struct PrepareRun {
    /// Subject and run, where the files are in a simulated data set.
    pub simulated: Option<(String, String)>,
    /// What is done to the series.
    pub preparation: Preparation,
    /// Seconds from one volume to the next, where the files are external.
    pub repetition_time_s: f64,
    /// What the columns of the series are, where the files are external.
    #[serde(rename = "~kind")] // follows from the file
    pub kind: SeriesKind,
    /// The run's name, for messages.
    #[serde(rename = "~name")] // names shape no result
    pub name: String,
    /// Volumes of the run.
    #[serde(rename = "~n_tr")] // follows from the file
    pub n_tr: usize,
    /// Voxels of a volume.
    #[serde(rename = "~n_grid_voxels")] // follows from the file
    pub n_grid_voxels: usize,
    /// Voxels of the brain.
    #[serde(rename = "~n_brain_voxels")] // follows from the file
    pub n_brain_voxels: usize,
}

/// What the preparation left out, as the artifact keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BoldFacts {
    /// Voxels without variance: columns of 0 that must not be scored.
    pub(super) constant: Vec<usize>,
    /// Voxels with values that are no numbers: columns of 0 that must not be scored.
    pub(super) non_finite: Vec<usize>,
    /// Confounds taken out.
    pub(super) confounds: Vec<String>,
    /// Independent regressors taken out.
    pub(super) n_regressors: usize,
}

impl Compute for PrepareRun {
    const KIND: Kind = Kind::Bold;

    fn memory_bytes(&self) -> u64 {
        // The matrix of studied voxels; three volumes on their way, and two in double precision where they are smoothed; a block
        // of voxels in double precision for each thread.
        let volumes = if self.preparation.smoothing_fwhm_mm.is_some() { 3 * 8 + 2 * 8 + 4 } else { 3 * 8 };
        let blocks = rayon::current_num_threads() * self.n_tr * 256 * 8;
        (self.n_tr * self.n_brain_voxels * 4 + self.n_grid_voxels * volumes + blocks) as u64 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let voxels = VoxelTable::read(bench.input("voxels"))?;
        let files = match &self.simulated {
            Some((subject, run)) => run_of_dataset(bench.input("dataset"), subject, run)?,
            None => RunFiles {
                mask: bench.files("columns").first().cloned(),
                confounds: bench.files("confounds").first().cloned(),
                repetition_time_s: Some(self.repetition_time_s),
                ..RunFiles::of_series(&self.name, self.kind, &bench.files("bold")[0])
            },
        };
        let mut source: Box<dyn SeriesSource> = match files.kind {
            SeriesKind::Volume => Box::new(VolumeSource::open(&files.bold, &voxels)?),
            SeriesKind::Grayordinates => Box::new(CiftiSource::open(&files.bold, &voxels)?),
            SeriesKind::Matrix => {
                let mask = Mask::read(files.mask.as_ref().expect("the plan gives a matrix its mask"))?;
                Box::new(MatrixSource::of_mask(&files.bold, &mask, &voxels)?)
            }
        };
        let clips = bench.files("clips").first().map(|path| ClipTable::read(path)).transpose();
        let clips = clips.map_err(|error| TaskError::Prepare(error.into()))?;
        let inputs = RunInputs { clips: clips.as_ref(), ..RunInputs::from(&files) };
        let run = prepare_source(source.as_mut(), inputs, &self.preparation)?;
        let n_voxels = voxels.n_voxels();
        if !run.constant.is_empty() {
            let message =
                format!("{} of {n_voxels} voxels do not vary over the run and are not scored", run.constant.len());
            bench.warn("constant-voxels", message);
        }
        if !run.non_finite.is_empty() {
            let n = run.non_finite.len();
            bench.warn(
                "non-finite-voxels",
                format!("{n} of {n_voxels} voxels hold values that are no numbers and are not scored"),
            );
        }
        write_matrix(&bench.out.join(BOLD), run.series.view())?;
        let mut volumes = Table::new(["volume"]);
        for volume in &run.kept {
            volumes.push([volume.to_string()]);
        }
        volumes.write(&bench.out.join(VOLUMES))?;
        let facts = BoldFacts {
            constant: run.constant,
            non_finite: run.non_finite,
            confounds: run.confounds,
            n_regressors: run.n_regressors,
        };
        bench.write_json(FACTS, &facts)
    }
}

fn run_of_dataset(root: &Path, subject: &str, run: &str) -> Result<RunFiles, TaskError> {
    let runs = find_runs(root, &RunQuery { subject: subject.to_owned(), ..RunQuery::default() })?;
    runs.into_iter()
        .find(|files| files.labels.names.iter().any(|name| name == run))
        .ok_or_else(|| TaskError::Unanswerable(format!("the simulated data of `{subject}` have no run `{run}`")))
}

/// The volumes that an artifact of this kind kept, ascending.
pub(super) fn kept_volumes(artifact: &Path) -> Result<Vec<usize>, TaskError> {
    Ok(Table::read(&artifact.join(VOLUMES))?.counts("volume")?)
}

/// What the preparation left out.
pub(super) fn facts(artifact: &Path) -> Result<BoldFacts, TaskError> {
    super::workbench::read_json(&artifact.join(FACTS))
}
