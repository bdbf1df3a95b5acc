//! Someone who may have the result of a task that is about to be computed. Knows no network: whoever runs a study may hand one in.

use crate::{
    store::{Digest, Record, StoreError},
    task::Progress,
};
use std::{fmt, path::Path, sync::atomic::AtomicBool};

/// What an [`Upstream`] says meanwhile.
#[derive(Debug)]
pub enum Brought {
    /// How far the files are.
    Progress(Progress),
    /// What whoever runs the study should know.
    Warning(String),
}

/// Gives results that are not in the cache.
pub trait Upstream: fmt::Debug + Send + Sync {
    /// Puts the files that a content key led to elsewhere into `folder`, which is empty, and gives their record. Gives nothing, and
    /// leaves nothing, where there is none, where it is not to be believed, or once `cancelled` is set.
    ///
    /// # Errors
    /// If the cache cannot be written to; that nobody answers is none.
    fn bring(
        &self,
        content: &Digest,
        folder: &Path,
        cancelled: &AtomicBool,
        tell: &dyn Fn(Brought),
    ) -> Result<Option<Record>, StoreError>;
}
