//! From the files of a run to the series of its studied voxels, cleaned.
//!
//! Owns the order of the steps. What a study may ask for is in [`settings`]; which volumes count is in [`samples`] and
//! [`clips`]; the regressors come from [`confounds`] and [`nuisance`]; series are read through [`source`], smoothed in
//! [`smooth`] and cleaned in [`clean`]. Does not know which runs exist ([`crate::format::bids`]) nor what is predicted
//! from the series.
//!
//! Order, as in `nilearn.maskers.NiftiMasker` and `nilearn.signal.clean`: smooth every volume, take the studied voxels,
//! build the cosine terms on the whole run, drop samples, take the confounds, the linear trend and the cosines out
//! together in one projection (Lindquist 2019: filtering apart would bring confounds back), then scale. The trend counts
//! the samples that are left, so it is straight in them and not in time, as nilearn's is.

pub mod clean;
pub mod clips;
pub mod confounds;
mod error;
pub mod nuisance;
pub mod samples;
pub mod settings;
pub mod smooth;
pub mod source;

use std::path::Path;

use ndarray::Array2;

use super::mask::VoxelTable;
use crate::format::bids::RunFiles;
use crate::format::hcp::{is_movement, read_movement};
use crate::format::memory::afford;
use crate::format::runs::LONGEST_REPETITION_TIME_S;
use crate::format::tsv::Table;

pub use clips::ClipTable;
pub use error::PrepareError;
pub use settings::{Nuisance, Preparation, Scale};
pub use source::{CiftiSource, MatrixSource, SeriesSource, VolumeSource};

/// Relative difference between the repetition times of sidecar and header that is still rounding.
const REPETITION_TIME_TOLERANCE: f64 = 0.01;

/// What is known of a run besides its series.
#[derive(Debug, Clone, Copy)]
pub struct RunInputs<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// The file of its series, for messages.
    pub series: &'a Path,
    /// Seconds between volumes, from the sidecar or the study.
    pub repetition_time_s: Option<f64>,
    /// The confounds table; the JSON file beside it is read if it is needed.
    pub confounds: Option<&'a Path>,
    /// The stretches that count; the whole run if absent.
    pub clips: Option<&'a ClipTable>,
}

impl<'a> From<&'a RunFiles> for RunInputs<'a> {
    fn from(files: &'a RunFiles) -> Self {
        RunInputs {
            name: &files.name,
            series: &files.bold,
            repetition_time_s: files.repetition_time_s,
            confounds: files.confounds.as_deref(),
            clips: None,
        }
    }
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

/// Reads the studied voxels of a run of volumes and cleans their series; [`prepare_source`] on an image.
///
/// # Errors
/// As [`prepare_source`], or if the image is not readable or lies on another grid than the voxels.
pub fn prepare_run(files: &RunFiles, table: &VoxelTable, preparation: &Preparation) -> Result<BoldRun, PrepareError> {
    prepare_source(&mut VolumeSource::open(&files.bold, table)?, files, preparation)
}

/// Reads the series of a run and cleans them in place.
///
/// Memory is the matrix of kept samples by voxels, a volume, and a block of voxels for each thread. Zero-variance voxels
/// and voxels with a value that is not finite are listed, their columns set to 0; nothing in `series` is ever NaN.
///
/// # Errors
/// If a file is not readable, lengths or repetition times contradict each other, a confound is missing, the clips do not
/// fit, or the regressors leave nothing.
pub fn prepare_source<'a>(
    source: &mut dyn SeriesSource,
    run: impl Into<RunInputs<'a>>,
    preparation: &Preparation,
) -> Result<BoldRun, PrepareError> {
    let run = run.into();
    let n_tr = source.n_tr();
    let repetition_time_s = repetition_time(run, source.repetition_time_s())?;
    let Regression { kept, confounds, basis } = regression(run, n_tr, repetition_time_s, preparation)?;
    if let Some(fwhm_mm) = preparation.smoothing_fwhm_mm {
        source.smooth(fwhm_mm)?;
    }
    let (n_kept, n_voxels) = (kept.len(), source.n_voxels());
    afford(run.series, n_kept as u128 * n_voxels as u128 * size_of::<f32>() as u128, || {
        format!("a series of {n_kept} volumes x {n_voxels} studied voxels")
    })?;
    let mut series = Array2::zeros((n_kept, n_voxels));
    source.read(&kept, series.view_mut())?;
    let unusable = clean::clean(&mut series, &basis, preparation.detrend, preparation.scale);
    Ok(BoldRun {
        name: run.name.to_owned(),
        series,
        kept,
        n_tr,
        repetition_time_s,
        constant: unusable.constant,
        non_finite: unusable.non_finite,
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

/// Chooses volumes and regressors of a run of `n_tr` volumes; reads the confounds table, its JSON file if it is needed,
/// and nothing else.
///
/// # Errors
/// If the settings contradict each other, the table is missing, is not as long as the run or lacks a column, the clips
/// do not fit, or the regressors leave nothing of the series.
pub fn regression<'a>(
    run: impl Into<RunInputs<'a>>,
    n_tr: usize,
    repetition_time_s: f64,
    preparation: &Preparation,
) -> Result<Regression, PrepareError> {
    let run = run.into();
    check(preparation)?;
    let table = match run.confounds {
        _ if !preparation.needs_table() => None,
        Some(path) if is_movement(path) => Some(read_movement(path)?),
        Some(path) => Some(Table::read(path)?),
        None => return Err(PrepareError::NoConfounds { run: run.name.to_owned() }),
    };
    // A header may promise as many volumes as it likes; what each takes here is a number for every regressor.
    let n_columns = table.as_ref().map_or(0, |table| table.columns().len()) as u128
        + preparation.high_pass_s.map_or(0, |high_pass_s| clean::n_cosines(n_tr, repetition_time_s, high_pass_s));
    afford(run.series, n_tr as u128 * (n_columns + 4) * 3 * size_of::<f64>() as u128, || {
        format!("{n_tr} volumes with some {n_columns} regressors")
    })?;
    let kept = samples::kept_samples(&run, table.as_ref(), n_tr, repetition_time_s, preparation)?;
    let confounds = table.map_or(Ok(Vec::new()), |table| confounds::select(&table, preparation, &kept))?;
    let (names, mut regressors): (Vec<String>, Vec<Vec<f64>>) = confounds.into_iter().unzip();
    if preparation.detrend {
        regressors.push((0..kept.len()).map(|sample| sample as f64).collect());
    }
    if let Some(high_pass_s) = preparation.high_pass_s {
        let cosines = clean::cosine_drift(n_tr, repetition_time_s, high_pass_s)?;
        regressors.extend(cosines.iter().map(|cosine| kept.iter().map(|&volume| cosine[volume]).collect()));
    }
    let basis = clean::orthonormal_basis(&regressors, kept.len())
        .map_err(|reason| PrepareError::Orthogonalisation { run: run.name.to_owned(), reason })?;
    let n_regressors = basis.ncols();
    if kept.len() < n_regressors + 2 {
        return Err(PrepareError::NothingLeft { run: run.name.to_owned(), n_kept: kept.len(), n_regressors });
    }
    Ok(Regression { kept, confounds: names, basis })
}

/// Refuses settings that contradict each other, whatever the run; no file is read.
///
/// # Errors
/// If two high-pass filters are asked for, or CompCor without one.
pub fn check(preparation: &Preparation) -> Result<(), PrepareError> {
    let (own, theirs) = (preparation.high_pass_s.is_some(), preparation.nuisance.fmriprep_cosines);
    match (own, theirs) {
        (true, true) => Err(PrepareError::TwoHighPass),
        (false, false) if preparation.nuisance.compcor.is_some() => Err(PrepareError::CompcorUnfiltered),
        _ => Ok(()),
    }
}

/// Seconds between the volumes of a run: what its sidecar says, else its header.
///
/// # Errors
/// If neither says it, they contradict each other, or the time is longer than a volume ever takes.
pub fn repetition_time<'a>(run: impl Into<RunInputs<'a>>, header_s: Option<f64>) -> Result<f64, PrepareError> {
    let run = run.into();
    let name = || run.name.to_owned();
    let found_s = match (run.repetition_time_s, header_s) {
        (Some(sidecar_s), Some(header_s)) if (sidecar_s - header_s).abs() > REPETITION_TIME_TOLERANCE * sidecar_s => {
            return Err(PrepareError::TwoRepetitionTimes { run: name(), header_s, sidecar_s });
        }
        (Some(seconds), _) | (None, Some(seconds)) => seconds,
        (None, None) => {
            return Err(PrepareError::NoRepetitionTime { run: name(), path: run.series.to_owned() });
        }
    };
    if found_s > LONGEST_REPETITION_TIME_S {
        let longest_s = LONGEST_REPETITION_TIME_S;
        return Err(PrepareError::RepetitionTime { run: name(), found_s, longest_s });
    }
    Ok(found_s)
}
