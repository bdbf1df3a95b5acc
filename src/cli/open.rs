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
    note_name: Digest,
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
        let full = file.canonicalize().map_err(CliError::file("find", file))?;
        let note_name = Digest::of(full.as_os_str().as_encoded_bytes());
        let last: StudyNote = store.study_note(&note_name).unwrap_or_default();
        let assessment = assess(&plan, &store, &last, &Targets::Ends);
        Ok(Self { study, plan, store, assessment, runtime, note_name })
    }

    /// Wants some results only, and what they need.
    pub(super) fn narrow_to(&mut self, targets: &[NodeIndex]) {
        let last = self.store.study_note(&self.note_name).unwrap_or_default();
        self.assessment = assess(&self.plan, &self.store, &last, &Targets::Only(targets));
    }

    /// Notes what the study looks like now, so that the next plan can say what changed since.
    ///
    /// A task that is not in the cache keeps its earlier entry: the next plan compares with what was last computed.
    pub(super) fn note(&self) -> Result<(), CliError> {
        let mut note: StudyNote = self.store.study_note(&self.note_name).unwrap_or_default();
        let before = note.clone();
        note.recipes.retain(|id, _| self.plan.find(id).is_some());
        for place in self.plan.places() {
            let node = self.plan.node(place);
            if self.store.remembered(&node.recipe).is_some() {
                note.recipes.insert(node.id.to_string(), node.recipe);
            }
        }
        if note != before {
            self.store.note_study(&self.note_name, &note)?;
        }
        Ok(())
    }
}
