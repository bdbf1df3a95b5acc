//! What can go wrong while a run is prepared, in words for whoever has the files.

use std::path::PathBuf;

use thiserror::Error;

use super::super::grid::{Grid, GridError};
use super::super::mask::MaskError;
use super::clips::ClipError;
use crate::format::cifti::{CiftiError, PlacesDifference};
use crate::format::hcp::MovementError;
use crate::format::memory::TooMuch;
use crate::format::nifti::NiftiError;
use crate::format::npy::NpyError;
use crate::format::tsv::TsvError;

/// What can go wrong while a run is prepared.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// The series is not readable.
    #[error(transparent)]
    Image(#[from] NiftiError),
    /// The series is larger than the memory for it.
    #[error(transparent)]
    TooMuch(#[from] Box<TooMuch>),
    /// The CIFTI file is not readable.
    #[error(transparent)]
    Cifti(#[from] CiftiError),
    /// The mask of a matrix is not readable.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// The movement regressors are not readable.
    #[error(transparent)]
    Movement(#[from] MovementError),
    /// The matrix is not readable.
    #[error(transparent)]
    Matrix(#[from] NpyError),
    /// The confounds table is not readable.
    #[error(transparent)]
    Table(#[from] TsvError),
    /// The grid is not usable.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The clip table does not fit the run.
    #[error(transparent)]
    Clips(#[from] ClipError),
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
    /// The series is of another kind than the studied voxels.
    #[error("`{}` does not hold what the studied voxels are: a series is either of voxels on a grid or of grayordinates", path.display())]
    OtherKind {
        /// The series.
        path: PathBuf,
    },
    /// A CIFTI file holds something else than a series of single places.
    #[error("`{}` holds {found}, expected a dense series (`.dtseries.nii`)", path.display())]
    NoSeries {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: &'static str,
    },
    /// A CIFTI series has other places than the studied voxels.
    #[error("`{}` has {difference} as the voxel table has", path.display())]
    OtherPlaces {
        /// The series.
        path: PathBuf,
        /// The first thing that differs.
        difference: Box<PlacesDifference>,
    },
    /// A matrix has no mask.
    #[error("nothing says where the columns of `{}` lie: name the mask whose voxels they are", path.display())]
    NoMask {
        /// The matrix.
        path: PathBuf,
    },
    /// A studied voxel is not among the columns of a matrix.
    #[error("voxel {voxel:?} is studied but not inside the mask `{}`, whose voxels are the matrix's columns", path.display())]
    NotInMask {
        /// The mask.
        path: PathBuf,
        /// The voxel.
        voxel: [usize; 3],
    },
    /// A matrix has another number of columns than there are studied voxels.
    #[error("`{}` has {found} columns, expected {expected}, one per voxel of its mask", path.display())]
    MatrixColumns {
        /// The matrix.
        path: PathBuf,
        /// Its columns.
        found: usize,
        /// Voxels of its mask.
        expected: usize,
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
    /// A repetition time is no time that a scanner takes for a volume.
    #[error(
        "run `{run}` has a repetition time of {found_s} s, expected at most {longest_s} s: a time in milliseconds must be written in seconds"
    )]
    RepetitionTime {
        /// The run.
        run: String,
        /// The time found.
        found_s: f64,
        /// The longest time believed.
        longest_s: f64,
    },
    /// A confounds table is needed but there is none.
    #[error(
        "run `{run}` has no confounds table, which `confounds`, `nuisance`, `drop_non_steady_state`, `max_framewise_displacement_mm` and `max_std_dvars` need"
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
    /// A group of confounds is not in the table.
    #[error("`{}` lacks columns of `nuisance.{group}`: {}; leave the group out or name the columns there are in `confounds`", path.display(), missing.join(", "))]
    NoNuisance {
        /// The table.
        path: PathBuf,
        /// The field that asks for the group.
        group: &'static str,
        /// Columns that are not there.
        missing: Vec<String>,
    },
    /// The JSON file beside the confounds table is not there or not readable.
    #[error("`{}`: {reason}; `nuisance.compcor` needs it to tell the components apart (fMRIPrep 1.4 or later writes it)", path.display())]
    Sidecar {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The table has no component of the kind asked for.
    #[error("`{}` describes no component of {mask}: choose another `nuisance.compcor.method`", path.display())]
    NoComponents {
        /// The JSON file.
        path: PathBuf,
        /// Where the components should come from.
        mask: &'static str,
    },
    /// CompCor without the filter that its components were found under.
    #[error(
        "`nuisance.compcor` is set without a high-pass filter, under which fMRIPrep found its components: set `nuisance.fmriprep_cosines` or `high_pass_s` too"
    )]
    CompcorUnfiltered,
    /// Two filters at once.
    #[error("`high_pass_s` and `nuisance.fmriprep_cosines` are both set, expected one high-pass filter")]
    TwoHighPass,
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
    /// A volume to be dropped is not in the run.
    #[error(
        "`drop_volumes` names volume {found}, run `{run}` has {n_tr}, counted from 0: use `drop_final` for its end"
    )]
    NoSuchVolume {
        /// The run.
        run: String,
        /// The volume.
        found: usize,
        /// Volumes of the run.
        n_tr: usize,
    },
    /// The high-pass cut-off is not a period, or so short that nothing would pass.
    #[error("`high_pass_s` is {found}, expected more seconds than two volumes take ({shortest_s})")]
    HighPass {
        /// The value.
        found: f64,
        /// The shortest period that the run can show.
        shortest_s: f64,
    },
    /// The Gaussian is no width or wider than the volume.
    #[error("`smoothing_fwhm_mm` is {found}, expected a positive width of at most {widest_mm} mm, the shortest side of `{}`", path.display())]
    Smoothing {
        /// The series.
        path: PathBuf,
        /// The value.
        found: f64,
        /// The shortest side of the volume.
        widest_mm: f64,
    },
    /// Smoothing of what has no neighbours.
    #[error("`smoothing_fwhm_mm` is set but `{}` holds no volumes: smooth before it is made, or leave the field out", path.display())]
    NotSmoothable {
        /// The series.
        path: PathBuf,
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
