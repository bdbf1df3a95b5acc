//! From the files of a run to the series of its studied voxels, cleaned.
//!
//! Owns which samples of a run are kept, which nuisance regressors are taken out, and the order of the steps; the
//! regressors come from [`confounds`], the projection is in [`clean`]. Does not know which runs exist
//! ([`crate::format::bids`]) nor what is predicted from the series.
//!
//! Order, as in `nilearn.signal.clean`: build the cosine terms on the whole run, drop samples, take the confounds, the
//! linear trend and the cosines out together in one projection (Lindquist 2019: filtering apart would bring confounds
//! back), then z-score.

pub mod clean;
pub mod confounds;

use std::path::PathBuf;

use ndarray::{Array2, Axis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::grid::{Grid, GridError};
use super::mask::VoxelTable;
use crate::format::bids::RunFiles;
use crate::format::nifti::{NiftiError, VolumeReader};
use crate::format::tsv::{Table, TsvError};

/// Relative difference between the repetition times of sidecar and header that is still rounding.
const REPETITION_TIME_TOLERANCE: f64 = 0.01;

/// What is done to each run before it is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Preparation {
    /// Columns of the confounds table to regress out; `*` stands for any text, as in `rot_*`. None by default.
    pub confounds: Vec<String>,
    /// Slowest period kept, in seconds: cosines slower than this are regressed out. No high-pass filter if absent.
    #[schemars(range(min = 1.0))]
    #[schemars(example = 128.0)]
    pub high_pass_s: Option<f64>,
    /// Also take out a linear trend.
    pub detrend: bool,
    /// Bring every voxel to mean 0 and standard deviation 1 (dividing by n - 1) within the run.
    pub z_score: bool,
    /// Number of volumes dropped at the start of the run.
    pub drop_initial: usize,
    /// Drop the volumes that the confounds table marks as `non_steady_state_outlier…`.
    pub drop_non_steady_state: bool,
    /// Drop volumes whose `framewise_displacement` exceeds this, in millimetres. None are dropped if absent.
    #[schemars(range(min = 0.0))]
    #[schemars(example = 0.5)]
    pub max_framewise_displacement_mm: Option<f64>,
}

impl Default for Preparation {
    fn default() -> Self {
        Preparation {
            confounds: Vec::new(),
            high_pass_s: None,
            detrend: false,
            z_score: true,
            drop_initial: 0,
            drop_non_steady_state: false,
            max_framewise_displacement_mm: None,
        }
    }
}

impl Preparation {
    /// Whether a confounds table has to be there.
    pub fn needs_table(&self) -> bool {
        !self.confounds.is_empty() || self.drop_non_steady_state || self.max_framewise_displacement_mm.is_some()
    }
}

/// What can go wrong while a run is prepared.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// The series is not readable.
    #[error(transparent)]
    Image(#[from] NiftiError),
    /// The confounds table is not readable.
    #[error(transparent)]
    Table(#[from] TsvError),
    /// The grid is not usable.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The series lies on another grid than the studied voxels.
    #[error("`{}` has {found}, expected {expected} as the voxel table has", path.display())]
    OtherGrid {
        /// The series.
        path: PathBuf,
        /// Its grid.
        found: Box<Grid>,
        /// The grid of the voxel table.
        expected: Box<Grid>,
    },
    /// Nothing says how long a TR is.
    #[error("run `{run}` has no repetition time: neither `RepetitionTime` in the sidecar nor a time step in the header of `{}`", path.display())]
    NoRepetitionTime {
        /// The run.
        run: String,
        /// The series.
        path: PathBuf,
    },
    /// Sidecar and header contradict each other.
    #[error(
        "run `{run}` has repetition time {header_s} s in the header and {sidecar_s} s in the sidecar: correct one of them"
    )]
    TwoRepetitionTimes {
        /// The run.
        run: String,
        /// In the header.
        header_s: f64,
        /// In the sidecar.
        sidecar_s: f64,
    },
    /// Confounds are asked for but there is no table.
    #[error(
        "run `{run}` has no confounds table, which `confounds`, `drop_non_steady_state` and `max_framewise_displacement_mm` need"
    )]
    NoConfounds {
        /// The run.
        run: String,
    },
    /// A confound pattern names no column.
    #[error("`{pattern}` names no column of `{}`: its columns are {}", path.display(), available.join(", "))]
    NoSuchConfound {
        /// The pattern.
        pattern: String,
        /// The table.
        path: PathBuf,
        /// Its columns.
        available: Vec<String>,
    },
    /// The confounds table has another length than the series.
    #[error("`{}` has {found} rows, expected {expected}, one per volume", path.display())]
    ConfoundRows {
        /// The table.
        path: PathBuf,
        /// Its rows.
        found: usize,
        /// Volumes of the series.
        expected: usize,
    },
    /// A confound is missing where nothing stands in for it.
    #[error("`{}` line {line} column `{column}` is `n/a`, expected a number: leave the column out or drop that volume", path.display())]
    MissingConfound {
        /// The table.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// The column.
        column: String,
    },
    /// The high-pass cut-off is not a period, or so short that nothing would pass.
    #[error("`high_pass_s` is {found}, expected more seconds than two volumes take ({shortest_s})")]
    HighPass {
        /// The value.
        found: f64,
        /// The shortest period that the run can show.
        shortest_s: f64,
    },
    /// The regressors leave nothing of the series.
    #[error(
        "run `{run}` has {n_kept} volumes left and {n_regressors} independent regressors, expected at least two volumes more than regressors: use fewer confounds or a longer `high_pass_s`"
    )]
    NothingLeft {
        /// The run.
        run: String,
        /// Volumes kept.
        n_kept: usize,
        /// Rank of the regressors.
        n_regressors: usize,
    },
    /// The regressors could not be made orthogonal.
    #[error("the confounds of run `{run}` cannot be made orthogonal: {reason}")]
    Orthogonalisation {
        /// The run.
        run: String,
        /// What the linear algebra library said.
        reason: String,
    },
}

/// The prepared series of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct BoldRun {
    /// Name of the run.
    pub name: String,
    /// Kept samples by voxels, columns as in the voxel table.
    pub series: Array2<f32>,
    /// The volume that each row of `series` was, counted from 0.
    pub kept: Vec<usize>,
    /// Volumes in the file.
    pub n_tr: usize,
    /// Seconds between volumes.
    pub repetition_time_s: f64,
    /// Voxels without variance before or after cleaning; their columns are 0 and must not be scored.
    pub constant: Vec<usize>,
    /// Voxels with a value that is not a number or infinite; their columns are 0 and must not be scored.
    pub non_finite: Vec<usize>,
    /// Names of the confounds regressed out.
    pub confounds: Vec<String>,
    /// Independent regressors taken out, for degrees of freedom: confounds, trend and cosines, without the mean.
    pub n_regressors: usize,
}

impl BoldRun {
    /// The volumes that were dropped, counted from 0.
    pub fn dropped(&self) -> Vec<usize> {
        (0..self.n_tr).filter(|volume| self.kept.binary_search(volume).is_err()).collect()
    }
}

/// Reads the studied voxels of a run and cleans their series.
///
/// Memory is one volume plus the matrix of kept samples by voxels. Zero-variance voxels and voxels with a value that is
/// not finite are listed, their columns set to 0; nothing in `series` is ever NaN.
///
/// # Errors
/// If a file is not readable, grids, lengths or repetition times contradict each other, a confound is missing, or the
/// regressors leave nothing.
pub fn prepare_run(files: &RunFiles, table: &VoxelTable, preparation: &Preparation) -> Result<BoldRun, PrepareError> {
    let mut reader = VolumeReader::open(&files.bold)?;
    let grid = Grid::of_image(reader.info())?;
    if !grid.same_as(&table.grid) {
        return Err(PrepareError::OtherGrid {
            path: files.bold.clone(),
            found: Box::new(grid),
            expected: Box::new(table.grid),
        });
    }
    let n_tr = reader.info().n_volumes;
    let repetition_time_s = repetition_time(files, reader.info().repetition_time_s)?;

    let Regression { kept, confounds, basis } = regression(files, n_tr, repetition_time_s, preparation)?;
    let (mut series, non_finite) = read_series(&mut reader, table, &kept)?;
    let remove_mean = preparation.detrend || preparation.z_score;
    let mut constant = clean::clean(&mut series, &basis, remove_mean, preparation.z_score);
    constant.retain(|voxel| non_finite.binary_search(voxel).is_err());
    Ok(BoldRun {
        name: files.name.clone(),
        series,
        kept,
        n_tr,
        repetition_time_s,
        constant,
        non_finite,
        confounds,
        n_regressors: basis.ncols(),
    })
}

/// What is taken out of a run, known before its series are read.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    /// The volumes that are kept, counted from 0.
    pub kept: Vec<usize>,
    /// Names of the confounds among the regressors.
    pub confounds: Vec<String>,
    /// Orthonormal basis of confounds, trend and cosines (kept volumes x independent regressors), without the mean.
    pub basis: Array2<f64>,
}

/// Chooses volumes and regressors of a run of `n_tr` volumes; reads the confounds table and nothing else.
///
/// # Errors
/// If the table is missing, is not as long as the run or lacks a column, or if the regressors leave nothing of the series.
pub fn regression(
    files: &RunFiles,
    n_tr: usize,
    repetition_time_s: f64,
    preparation: &Preparation,
) -> Result<Regression, PrepareError> {
    let confounds_table = match (&files.confounds, preparation.needs_table()) {
        (_, false) => None,
        (Some(path), true) => Some(Table::read(path)?),
        (None, true) => {
            return Err(PrepareError::NoConfounds { run: files.name.clone() });
        }
    };
    let kept = confounds::kept_samples(confounds_table.as_ref(), n_tr, preparation)?;
    let confounds = match &confounds_table {
        Some(table) => confounds::select(table, &preparation.confounds, &kept)?,
        None => Vec::new(),
    };
    let (names, mut regressors): (Vec<String>, Vec<Vec<f64>>) = confounds.into_iter().unzip();
    if preparation.detrend {
        regressors.push(kept.iter().map(|&volume| volume as f64).collect());
    }
    if let Some(high_pass_s) = preparation.high_pass_s {
        let cosines = clean::cosine_drift(n_tr, repetition_time_s, high_pass_s)?;
        regressors.extend(cosines.iter().map(|cosine| kept.iter().map(|&volume| cosine[volume]).collect()));
    }
    let basis = clean::orthonormal_basis(&regressors, kept.len())
        .map_err(|reason| PrepareError::Orthogonalisation { run: files.name.clone(), reason })?;
    let n_regressors = basis.ncols();
    if kept.len() < n_regressors + 2 {
        return Err(PrepareError::NothingLeft { run: files.name.clone(), n_kept: kept.len(), n_regressors });
    }
    Ok(Regression { kept, confounds: names, basis })
}

/// Seconds between the volumes of a run: what its sidecar says, else its header.
///
/// # Errors
/// If neither says it, or they contradict each other.
pub fn repetition_time(files: &RunFiles, header_s: Option<f64>) -> Result<f64, PrepareError> {
    match (files.repetition_time_s, header_s) {
        (Some(sidecar_s), Some(header_s)) if (sidecar_s - header_s).abs() > REPETITION_TIME_TOLERANCE * sidecar_s => {
            Err(PrepareError::TwoRepetitionTimes { run: files.name.clone(), header_s, sidecar_s })
        }
        (Some(seconds), _) | (None, Some(seconds)) => Ok(seconds),
        (None, None) => Err(PrepareError::NoRepetitionTime { run: files.name.clone(), path: files.bold.clone() }),
    }
}

/// The kept volumes of the studied voxels, and the voxels with values that are not finite (set to 0 throughout).
fn read_series(
    reader: &mut VolumeReader,
    table: &VoxelTable,
    kept: &[usize],
) -> Result<(Array2<f32>, Vec<usize>), PrepareError> {
    let offsets = table.offsets();
    let mut finite = vec![true; offsets.len()];
    let mut series = Array2::zeros((kept.len(), offsets.len()));
    reader.each_volume(|volume, values| {
        let Ok(row) = kept.binary_search(&volume) else {
            return Ok(());
        };
        for ((slot, &offset), finite) in series.row_mut(row).iter_mut().zip(&offsets).zip(&mut finite) {
            *slot = values[offset];
            *finite &= slot.is_finite();
        }
        Ok::<(), PrepareError>(())
    })?;
    let non_finite: Vec<usize> = (0..offsets.len()).filter(|&voxel| !finite[voxel]).collect();
    for &voxel in &non_finite {
        series.index_axis_mut(Axis(1), voxel).fill(0.0);
    }
    Ok((series, non_finite))
}
