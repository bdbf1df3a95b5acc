//! Ready tasks -> job arrays on a Slurm cluster, over a cache that its nodes share.
//!
//! The loop of `coordinator.rs` hands out what `schedule.rs` says may start, as the local one does, but to jobs, and `watch.rs` sees
//! what comes back: `batch.rs` packs tasks and says what each job asks for, `script.rs` writes what is submitted, `queue.rs` calls
//! Slurm's commands, and `fate.rs` tells apart what can become of a job. `worker.rs` is the other side, on a node. What they leave
//! each other are files in the cache (`folder.rs`).
//!
//! Nothing that Slurm says counts as a result: a task is done when its worker has reported so, and its result was published by
//! the store, whole, under its key. So a job that runs twice, or long after anyone waits for it, does no harm. A coordinator may
//! die at any time: the next one finds what was submitted in the folder, and goes on from there.

mod batch;
mod coordinator;
mod fate;
mod folder;
mod live;
mod queue;
mod script;
mod watch;
mod worker;

pub use coordinator::{Cluster, run, scripts};
pub use fate::{Fate, JobState, Lost};
pub use folder::ClusterFolder;
pub use script::Worker;
pub use worker::{Worked, work};

use crate::store::{Store, StoreError};
use std::{io, path::PathBuf};

/// Why a cluster cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SlurmError {
    /// A file could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A command of Slurm cannot be called.
    #[error("cannot call `{program}`: {source}; `--executor slurm` is for machines that submit to a Slurm cluster")]
    Program {
        /// The command.
        program: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A worker's orders cannot be read.
    #[error("cannot follow the orders in `{path}`: {why}", path = path.display())]
    Orders {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The cache, or the current folder, lies where no script can name it.
    #[error("`{path}` has {what} in its name, which no batch script can hold; run from elsewhere, or name another `--cache`", path = path.display())]
    Unfit {
        /// The folder.
        path: PathBuf,
        /// What stands in the way.
        what: &'static str,
    },
    /// Another run of the study submits jobs.
    #[error(
        "another run of this study submits its jobs, {0}; `hebb status --watch` follows it, `hebb slurm cancel` ends it"
    )]
    Busy(String),
}

/// Cancels the jobs of a study whose coordinator is gone; gives how many there were, or nothing if the cluster has not ended all
/// of them in reasonable time.
///
/// # Errors
/// [`SlurmError::Busy`] if the coordinator lives; if Slurm's commands cannot be called.
pub fn cancel_orphans(folder: &ClusterFolder, store: &Store) -> Result<Option<usize>, SlurmError> {
    coordinator::held(folder, store)?.map_err(SlurmError::Busy).and_then(|_held| live::cancel_orphans(folder))
}

/// Jobs of a study that the cluster knows of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    /// Jobs that run.
    pub running: usize,
    /// Jobs that wait.
    pub waiting: usize,
    /// Jobs that are over, or that nobody knows of.
    pub over: usize,
}

/// How the jobs stand that a study has submitted and not taken back; absent if there are none, or the controller is away.
///
/// # Errors
/// If Slurm's commands cannot be called.
pub fn standing(folder: &ClusterFolder) -> Result<Option<Standing>, SlurmError> {
    live::standing(folder)
}
