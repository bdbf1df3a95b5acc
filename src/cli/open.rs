//! Arguments -> a checked study, its plan, and how it stands: what most commands begin with.

use super::{Shared, engines, error::CliError, progress::Reading, surroundings};
use crate::{
    math::blas::openblas_version,
    plan::{Assessment, Plan, StudyNote, Targets, assess, assess_noted, plan_study},
    share::{Lock, lock_path},
    spec::Study,
    store::{Digest, FileDigests, Store},
};
use petgraph::graph::NodeIndex;
use std::{collections::BTreeSet, path::Path};

/// A study that was read, planned and compared with the cache.
pub(super) struct OpenStudy {
    pub(super) study: Study,
    pub(super) plan: Plan,
    pub(super) store: Store,
    pub(super) assessment: Assessment,
    /// Version of ONNX Runtime; absent if it was not found.
    pub(super) runtime: Result<String, Box<engines::RuntimeMissing>>,
    /// What the study looked like when it last ran.
    pub(super) last: StudyNote,
}

impl OpenStudy {
    /// Models that the study names have to be there.
    pub(super) fn new(file: &Path, shared: &Shared) -> Result<Self, CliError> {
        Self::with(file, shared, false)
    }

    /// Models that the study names are fetched if they are not there.
    pub(super) fn fetching(file: &Path, shared: &Shared) -> Result<Self, CliError> {
        Self::with(file, shared, true)
    }

    fn with(file: &Path, shared: &Shared, may_fetch: bool) -> Result<Self, CliError> {
        // A study that is wrong leaves no folder behind.
        let read = if shared.cache.is_dir() { None } else { Some(surroundings::read(file, may_fetch, shared)?) };
        let store = Store::open(&shared.cache)?;
        let runtime = engines::runtime(shared).map(|runtime| runtime.version);
        // Without an engine a study is what its lock says it was planned with: its results can still be found.
        let locked = if runtime.is_err() { locked_runtime(file) } else { None };
        let version = runtime.as_deref().ok().or(locked.as_deref()).unwrap_or("not found");
        // What is in the cache is looked at while the study is read: neither needs the other.
        let look = || {
            let last = StudyNote::read(&store, file);
            let whole = last.whole(&store);
            (last, whole)
        };
        let (planned, (last, whole)) = rayon::join(|| planned(file, read, may_fetch, &store, version, shared), look);
        let (study, plan) = planned?;
        let assessment = assess_noted(&plan, &store, &last, &whole, &Targets::Ends);
        Ok(Self { study, plan, store, assessment, runtime, last })
    }

    /// Wants some results only, and what they need.
    pub(super) fn narrow_to(&mut self, targets: &[NodeIndex]) {
        self.assessment = assess(&self.plan, &self.store, &self.last, &Targets::Only(targets));
    }

    /// Notes what the study looks like now, so that the next plan can say what changed since.
    pub(super) fn note(&mut self) -> Result<(), CliError> {
        let note = self.last.after(&self.study.file, &self.plan, &self.assessment, &self.store);
        if note != self.last {
            self.last = note;
            self.last.write(&self.store)?;
        }
        Ok(())
    }

    /// Programs and libraries that shape the numbers, with their versions.
    pub(super) fn programs(&self) -> Vec<(String, String)> {
        let engines: BTreeSet<String> =
            self.plan.places().filter_map(|place| self.plan.node(place).task.engine()).collect();
        let split = |engine: &String| {
            let (name, version) = engine.split_once(' ').unwrap_or((engine, ""));
            (name.to_owned(), version.to_owned())
        };
        let own = [("hebb".to_owned(), env!("CARGO_PKG_VERSION").to_owned()), split(&openblas_version())];
        own.into_iter().chain(engines.iter().map(split)).collect()
    }

    /// Digest of what a task led to, as of the last run.
    pub(super) fn output(&self, place: NodeIndex) -> Option<Digest> {
        let node = self.plan.node(place);
        let noted = self.last.tasks.get(node.id.as_str())?;
        (noted.recipe == node.recipe).then_some(noted.output)
    }
}

/// The version of ONNX Runtime that the lock beside a study names.
fn locked_runtime(study: &Path) -> Option<String> {
    let lock = Lock::read(&lock_path(study)).ok()?;
    // Behind the version stand device and precision, as tasks name their engine.
    let (version, _) = lock.programs.get("onnxruntime")?.rsplit_once(' ')?.0.rsplit_once(' ')?;
    Some(version.to_owned())
}

/// Reads a study, unless that was done, and plans it.
fn planned(
    file: &Path,
    read: Option<Study>,
    may_fetch: bool,
    store: &Store,
    runtime: &str,
    shared: &Shared,
) -> Result<(Study, Plan), CliError> {
    let study = read.map_or_else(|| surroundings::read(file, may_fetch, shared), Ok)?;
    let reading = Reading::new();
    let digests = FileDigests::open(store.root(), shared.rehash).watched_by({
        let reading = reading.clone();
        move |path, size_bytes| reading.tell(path, size_bytes)
    });
    let plan = plan_study(&study, &digests, runtime)?;
    reading.end();
    // The memo only saves time, and a cache that cannot be written is told by the first task that needs it.
    let _ = digests.save();
    Ok((study, plan))
}
