//! The files of one run, whichever layout they were found in.
//!
//! Owns what every search ends in ([`RunFiles`]), how a study calls its runs ([`RunFiles::matches`], [`choose`], in
//! [`naming`]), and everything that can be wrong with a folder of runs, told at once ([`FindError`], in [`problem`]). The
//! searches themselves are [`crate::format::bids::find_runs`], [`crate::format::hcp::find_hcp_runs`] and
//! [`crate::format::matrices::find_matrix_runs`].

pub mod naming;
pub mod problem;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::annex::{Unfetched, unfetched};
pub use naming::{Choice, RunLabels, choose};
pub use problem::{FindError, LONGEST_REPETITION_TIME_S, RunProblem};

/// What the columns of a series are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SeriesKind {
    /// Voxels of a NIfTI series, chosen by a brain mask.
    Volume,
    /// Surface vertices and voxels of a CIFTI dense series, which says itself where they lie.
    Grayordinates,
    /// Columns of a `.npy` matrix. Neither BIDS nor the Human Connectome Project has any, so no study names this kind.
    #[schemars(skip)]
    Matrix,
}

impl fmt::Display for SeriesKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SeriesKind::Volume => "volume",
            SeriesKind::Grayordinates => "grayordinates",
            SeriesKind::Matrix => "matrix",
        })
    }
}

/// The files of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFiles {
    /// Name of the run, unlike that of any other run of the subject, such as `sub-01_task-movie_run-1`.
    pub name: String,
    /// What a study may call it by.
    pub labels: RunLabels,
    /// What the columns of the series are.
    pub kind: SeriesKind,
    /// The space of the series, if its name says so.
    pub space: Option<String>,
    /// The series.
    pub bold: PathBuf,
    /// The mask of its voxels; none for grayordinates, and for a matrix whose columns have no place.
    pub mask: Option<PathBuf>,
    /// The table of confounds, if there is one.
    pub confounds: Option<PathBuf>,
    /// The sidecar of that table, if there is one.
    pub confounds_json: Option<PathBuf>,
    /// The events table, if there is one.
    pub events: Option<PathBuf>,
    /// Repetition time by the nearest sidecar that states one.
    pub repetition_time_s: Option<f64>,
    /// What is worth knowing about the choice of these files.
    pub notes: Vec<RunNote>,
}

impl RunFiles {
    /// A run of which nothing is known but its series.
    pub fn of_series(name: &str, kind: SeriesKind, bold: &Path) -> Self {
        RunFiles {
            name: name.to_owned(),
            labels: RunLabels::default(),
            kind,
            space: None,
            bold: bold.to_owned(),
            mask: None,
            confounds: None,
            confounds_json: None,
            events: None,
            repetition_time_s: None,
            notes: Vec::new(),
        }
    }

    /// Every file of the run that is not wholly here.
    pub fn unfetched(&self) -> Vec<Unfetched> {
        let others = [&self.mask, &self.confounds, &self.confounds_json, &self.events];
        let files = std::iter::once(&self.bold).chain(others.into_iter().flatten());
        files.filter_map(|path| unfetched(path)).collect()
    }
}

/// What is worth knowing about the files chosen for a run, but stops nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunNote {
    /// The run has no brain mask of its own; that of several runs serves.
    SharedMask {
        /// The mask.
        mask: PathBuf,
    },
    /// There is no functional brain mask; the anatomical one serves.
    AnatomicalMask {
        /// The mask.
        mask: PathBuf,
    },
}

impl fmt::Display for RunNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunNote::SharedMask { mask } => {
                write!(f, "the run has no brain mask of its own: `{}` serves, which several runs share", mask.display())
            }
            RunNote::AnatomicalMask { mask } => {
                write!(f, "there is no functional brain mask: the anatomical `{}` serves", mask.display())
            }
        }
    }
}

/// Whether a file is there, or at least named by version control.
pub(super) fn is_named(path: &Path) -> bool {
    path.is_file() || unfetched(path).is_some()
}

/// Names in a folder, sorted, so that nothing depends on the file system's order.
///
/// # Errors
/// If the folder cannot be read.
pub(super) fn file_names(folder: &Path) -> Result<Vec<String>, FindError> {
    let error = |source: io::Error| FindError::Io { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(error)? {
        // A name that is not UTF-8 is no name of any layout.
        names.extend(entry.map_err(error)?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_name_their_file() {
        let note = RunNote::AnatomicalMask { mask: "anat/x_mask.nii.gz".into() };
        assert_eq!(note.to_string(), "there is no functional brain mask: the anatomical `anat/x_mask.nii.gz` serves");
    }

    #[test]
    fn every_unfetched_file_of_a_run_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        let [bold, mask, events] = ["b", "m", "e"].map(|name| folder.path().join(name));
        std::fs::write(&bold, "/annex/objects/B\n").unwrap();
        std::fs::write(&mask, "a mask").unwrap();
        std::fs::write(&events, "/annex/objects/E\n").unwrap();
        let run = RunFiles {
            mask: Some(mask.clone()),
            events: Some(events.clone()),
            ..RunFiles::of_series("x", SeriesKind::Volume, &bold)
        };
        let paths: Vec<PathBuf> = run.unfetched().into_iter().map(|file| file.path).collect();
        assert_eq!(paths, [bold.clone(), events]);
        assert!(is_named(&bold) && is_named(&mask) && !is_named(&folder.path().join("absent")));
    }
}
