//! Why a task has no result, and which of the reasons pass by themselves.

use super::slurm::Lost;
use crate::{store::StoreError, task::TaskError};
use std::{
    error::Error,
    io::{self, ErrorKind},
    path::PathBuf,
};

/// Why a task has no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The task refused its input or could not write.
    #[error(transparent)]
    Task(#[from] Box<TaskError>),
    /// The cache could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk of the cache is full.
    #[error(
        "no room is left in `{folder}` ({source}); make room there and run again, what is published stays",
        folder = folder.display()
    )]
    Full {
        /// The cache folder.
        folder: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A file outside the cache is not what it was when the study was planned.
    #[error("`{path}` changed while the study ran; run again to plan with what it holds now", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A result was damaged each time that it was made.
    #[error("its result was found damaged {0} times in one run; the disk or the memory of this machine may be failing")]
    Decays(usize),
    /// A job was to compute it and left no result.
    #[error("{0}")]
    Lost(Box<Lost>),
    /// It failed where a job computed it.
    #[error("{message}")]
    Elsewhere {
        /// What was said there.
        message: String,
        /// Whether every other task would meet the same.
        stops_all: bool,
    },
    /// The program is wrong: a task panicked.
    #[error("the task panicked: {0}; this is a fault of hebb, please report it")]
    Panic(String),
}

impl RunError {
    /// Names the cache where what went wrong is that its disk is full: the file that did not fit says little.
    pub(super) fn about(self, cache: &std::path::Path) -> Self {
        match io_cause(&self).map(io::Error::kind) {
            Some(kind @ (ErrorKind::StorageFull | ErrorKind::QuotaExceeded)) => {
                Self::Full { folder: cache.to_owned(), source: kind.into() }
            }
            _ => self,
        }
    }

    /// Whether every other task would meet the same.
    pub(super) fn stops_all(&self) -> bool {
        let read_only = |cause: &io::Error| cause.kind() == ErrorKind::ReadOnlyFilesystem;
        matches!(self, Self::Full { .. } | Self::Elsewhere { stops_all: true, .. })
            || io_cause(self).is_some_and(read_only)
    }

    /// Whether trying again may help: an error of input or output that passes.
    pub(super) fn passes(&self) -> bool {
        /// `EIO`: a disk or a network that may answer the next time. It has no name of its own in the standard library.
        const INPUT_OUTPUT: i32 = 5;
        io_cause(self).is_some_and(|cause| {
            cause.raw_os_error() == Some(INPUT_OUTPUT)
                || matches!(
                    cause.kind(),
                    ErrorKind::Interrupted
                        | ErrorKind::TimedOut
                        | ErrorKind::WouldBlock
                        | ErrorKind::StaleNetworkFileHandle
                        | ErrorKind::ResourceBusy
                        | ErrorKind::ConnectionReset
                        | ErrorKind::ConnectionAborted
                        | ErrorKind::NetworkDown
                        | ErrorKind::NetworkUnreachable
                        | ErrorKind::HostUnreachable
                )
        })
    }
}

/// The operating system's answer at the bottom of an error, however deep it lies.
fn io_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next: Option<&'a (dyn Error + 'static)> = Some(error);
    let mut found: Option<&io::Error> = None;
    while let Some(error) = next {
        next = error.source();
        if let Some(cause) = error.downcast_ref::<io::Error>() {
            found = Some(cause);
            // An I/O error made of another error does not count that one among its sources.
            let inner = cause.get_ref().map(|inner| -> &(dyn Error + 'static) { inner });
            next = inner.or(next);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::npy::NpyError;

    fn task(source: io::Error) -> RunError {
        RunError::Task(Box::new(TaskError::Array(NpyError::Io { path: "a.npy".into(), source })))
    }

    #[test]
    fn a_cause_is_found_however_deep_it_lies() {
        let cause = |error: &RunError| io_cause(error).map(io::Error::kind);
        assert_eq!(cause(&task(ErrorKind::TimedOut.into())), Some(ErrorKind::TimedOut));
        let wrapped = io::Error::other(TaskError::Io { path: "a".into(), source: ErrorKind::TimedOut.into() });
        assert_eq!(cause(&task(wrapped)), Some(ErrorKind::TimedOut));
        assert_eq!(
            cause(&task(io::Error::other(io::Error::from(ErrorKind::StorageFull)))),
            Some(ErrorKind::StorageFull)
        );
        assert_eq!(cause(&RunError::Task(Box::new(TaskError::Cancelled))), None);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for kind in [ErrorKind::Interrupted, ErrorKind::TimedOut, ErrorKind::WouldBlock, ErrorKind::ResourceBusy] {
            assert!(task(kind.into()).passes(), "{kind}");
        }
        #[cfg(unix)]
        assert!(task(io::Error::from_raw_os_error(5)).passes(), "EIO");
        let kinds = [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::StorageFull, ErrorKind::InvalidData];
        for kind in kinds {
            assert!(!task(kind.into()).passes(), "{kind}");
        }
        assert!(!RunError::Panic("no".to_owned()).passes());
    }

    #[test]
    fn a_full_disk_is_told_by_the_folder() {
        let error = task(ErrorKind::StorageFull.into()).about("/data/cache".as_ref());
        assert!(error.stops_all());
        assert!(error.to_string().starts_with("no room is left in `/data/cache`"), "{error}");
        assert!(!task(ErrorKind::NotFound.into()).about("/data/cache".as_ref()).stops_all());
    }
}
