//! Arguments -> a checked study, its plan, and how it stands: what most commands begin with.

use super::{Shared, engines, error::CliError, progress::Reading};
use crate::{
    plan::{Assessment, Plan, StudyNote, Targets, assess, plan_study},
    spec::{Study, read_study},
    store::{Digest, FileDigests, Store},
};
use petgraph::graph::NodeIndex;
use std::path::Path;

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
    pub(super) fn new(file: &Path, shared: &Shared) -> Result<Self, CliError> {
        let study = read_study(file)?;
        let store = Store::open(&shared.cache)?;
        let reading = Reading::new();
        let digests = FileDigests::open(store.root(), shared.rehash).watched_by({
            let reading = reading.clone();
            move |path, size_bytes| reading.tell(path, size_bytes)
        });
        let runtime = engines::runtime(shared).map(|runtime| runtime.version);
        let version = runtime.as_deref().unwrap_or("not found");
        let plan = plan_study(&study, &digests, version)?;
        reading.end();
        // The memo only saves time, and a cache that cannot be written is told by the first task that needs it.
        let _ = digests.save();
        let last = StudyNote::read(&store, file);
        let assessment = assess(&plan, &store, &last, &Targets::Ends);
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

    /// Digest of what a task led to, as of the last run.
    pub(super) fn output(&self, place: NodeIndex) -> Option<Digest> {
        let node = self.plan.node(place);
        let noted = self.last.tasks.get(node.id.as_str())?;
        (noted.recipe == node.recipe).then_some(noted.output)
    }
}
