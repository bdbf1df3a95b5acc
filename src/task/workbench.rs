//! What a task is handed: input folders and files by role, an empty folder to write in, progress, cancellation, warnings.

use crate::format::memory::{afford_json, read_within};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// Why a task could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A model could not be read, exported or run.
    #[error(transparent)]
    Model(#[from] crate::model::ModelError),
    /// An atlas could not be read or does not fit.
    #[error(transparent)]
    Atlas(#[from] crate::brain::atlas::AtlasError),
    /// An atlas does not give the networks of the series.
    #[error(transparent)]
    Assign(#[from] crate::brain::assign::AssignError),
    /// Voxels could not be chosen, read or written.
    #[error(transparent)]
    Mask(#[from] crate::brain::mask::MaskError),
    /// A run could not be read or prepared.
    #[error(transparent)]
    Prepare(#[from] crate::brain::prepare::PrepareError),
    /// A subject could not be simulated.
    #[error(transparent)]
    Simulate(#[from] crate::brain::simulate::SimulateError),
    /// A numeric routine refused its input.
    #[error(transparent)]
    Math(#[from] crate::math::MathError),
    /// A table could not be read or written.
    #[error(transparent)]
    Table(#[from] crate::format::tsv::TsvError),
    /// An array could not be read or written.
    #[error(transparent)]
    Array(#[from] crate::format::npy::NpyError),
    /// A volume could not be read or written.
    #[error(transparent)]
    Volume(#[from] crate::format::nifti::NiftiError),
    /// A data set's files are not as expected.
    #[error(transparent)]
    Bids(#[from] crate::format::bids::BidsError),
    /// The runs of a data set were not found.
    #[error(transparent)]
    Find(#[from] crate::format::runs::FindError),
    /// Stimuli could not be read or made.
    #[error(transparent)]
    Stimulus(#[from] crate::stimulus::StimulusError),
    /// A film could not be cut into frames.
    #[error(transparent)]
    Video(#[from] crate::stimulus::video::VideoError),
    /// A file or folder could not be used.
    #[error("cannot use `{path}`: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The inputs are readable, but the question cannot be asked of them.
    #[error("{0}")]
    Unanswerable(String),
    /// The run was cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// A caveat that belongs to a result: stored with it, so that the report repeats it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Warning {
    /// A stable short name, as `alpha-at-edge`.
    pub code: String,
    /// What it means here, in one sentence with numbers.
    pub message: String,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub done: u64,
    /// Steps in all.
    pub total: u64,
}

/// The place where a task works.
pub struct Workbench<'a> {
    /// Folders of input artifacts by role, in the plan's order.
    pub inputs: BTreeMap<&'static str, Vec<PathBuf>>,
    /// External files by role, in the plan's order.
    pub files: BTreeMap<&'static str, Vec<PathBuf>>,
    /// The empty folder to write in.
    pub out: &'a Path,
    /// Told how far the task is.
    pub progress: &'a (dyn Fn(Progress) + Sync),
    /// Set when the run is being cancelled.
    pub cancelled: &'a AtomicBool,
    kin: Vec<PathBuf>,
    warnings: Mutex<Vec<Warning>>,
}

/// The file of an artifact that holds its warnings; absent if there are none.
pub(super) const WARNINGS: &str = "warnings.json";

impl<'a> Workbench<'a> {
    /// A bench with the given inputs that writes into `out`.
    #[must_use]
    pub fn new(
        inputs: BTreeMap<&'static str, Vec<PathBuf>>,
        files: BTreeMap<&'static str, Vec<PathBuf>>,
        out: &'a Path,
        progress: &'a (dyn Fn(Progress) + Sync),
        cancelled: &'a AtomicBool,
    ) -> Self {
        Self { inputs, files, out, progress, cancelled, kin: Vec::new(), warnings: Mutex::new(Vec::new()) }
    }

    /// The same with the results of tasks of which this one may take over parts.
    #[must_use]
    pub fn with_kin(self, kin: Vec<PathBuf>) -> Self {
        Self { kin, ..self }
    }

    /// Folders of earlier results of which this task may take over parts; see [`super::Compute::kin`].
    #[must_use]
    pub fn kin(&self) -> &[PathBuf] {
        &self.kin
    }

    /// The only input folder in a role.
    ///
    /// # Panics
    /// If the plan gave none: then plan and task disagree, which no study can cause.
    #[must_use]
    pub fn input(&self, role: &str) -> &Path {
        self.inputs.get(role).and_then(|paths| paths.first()).expect("the plan gives every input that the task names")
    }

    /// All input folders in a role, none if the plan gave none.
    #[must_use]
    pub fn inputs(&self, role: &str) -> &[PathBuf] {
        self.inputs.get(role).map_or(&[], Vec::as_slice)
    }

    /// All external files in a role, none if the plan gave none.
    #[must_use]
    pub fn files(&self, role: &str) -> &[PathBuf] {
        self.files.get(role).map_or(&[], Vec::as_slice)
    }

    /// Reports progress, and ends the task if the run is being cancelled.
    ///
    /// # Errors
    /// [`TaskError::Cancelled`].
    pub fn step(&self, done: usize, total: usize) -> Result<(), TaskError> {
        (self.progress)(Progress { done: done as u64, total: total as u64 });
        if self.cancelled.load(Ordering::Relaxed) { Err(TaskError::Cancelled) } else { Ok(()) }
    }

    /// Attaches a caveat to the result.
    pub fn warn(&self, code: &str, message: impl Into<String>) {
        self.warnings
            .lock()
            .expect("no holder panics")
            .push(Warning { code: code.to_owned(), message: message.into() });
    }

    /// Writes a value as JSON, indented, into the artifact.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), TaskError> {
        let path = self.out.join(name);
        let mut bytes = serde_json::to_vec_pretty(value).expect("facts of a result are plain data");
        bytes.push(b'\n');
        fs::write(&path, bytes).map_err(|source| TaskError::Io { path, source })
    }

    /// Writes the caveats, sorted so that their order does not depend on threads.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(self) -> Result<(), TaskError> {
        let mut warnings = std::mem::take(&mut *self.warnings.lock().expect("no holder panics"));
        warnings.sort();
        if warnings.is_empty() { Ok(()) } else { self.write_json(WARNINGS, &warnings) }
    }
}

/// Bytes of a JSON file of an artifact, at most.
const MOST_JSON_BYTES: u64 = 1 << 30;

/// Reads a JSON file of an artifact.
///
/// # Errors
/// If the file is absent or is not what this version writes.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, TaskError> {
    let bytes = read_within(path, MOST_JSON_BYTES).map_err(|source| TaskError::Io { path: path.to_owned(), source })?;
    let wrong = |source| TaskError::Io { path: path.to_owned(), source };
    afford_json(path, &bytes).map_err(|error| wrong(io::Error::other(error)))?;
    serde_json::from_slice(&bytes).map_err(|error| wrong(error.into()))
}

/// The caveats stored with an artifact.
///
/// # Errors
/// If the file is there but cannot be read.
pub fn read_warnings(artifact: &Path) -> Result<Vec<Warning>, TaskError> {
    let path = artifact.join(WARNINGS);
    if path.exists() { read_json(&path) } else { Ok(Vec::new()) }
}
