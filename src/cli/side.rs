//! One side of a comparison: a study as it is written now, or a run that ended.

use super::{
    Shared,
    audience::traced,
    error::CliError,
    open::OpenStudy,
    runs::{Kept, StudyRuns, Traced},
};
use crate::{
    plan::Manifest,
    store::{Digest, Store},
    task::Kind,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What is compared.
pub(super) struct Side {
    /// What it is, for people.
    pub(super) label: String,
    pub(super) fields: BTreeMap<String, String>,
    /// In plan order.
    pub(super) tasks: Vec<Traced>,
    /// Output digest of every report, by task.
    pub(super) reports: BTreeMap<String, Digest>,
    pub(super) store: Store,
    /// The study's own plan, which knows keys of tasks that never ran.
    open: Option<OpenStudy>,
}

impl Side {
    /// The side that `text` names: a study file, or the id of a run.
    pub(super) fn read(text: &str, shared: &Shared) -> Result<Self, CliError> {
        let path = Path::new(text);
        if path.exists() || text.contains('/') || path.extension().is_some_and(|end| end == "toml") {
            return Self::study(path, shared);
        }
        Self::run(find_run(text, shared)?, shared)
    }

    fn study(file: &Path, shared: &Shared) -> Result<Self, CliError> {
        let open = OpenStudy::new(file, shared)?;
        let tasks = traced(&open, |_| None);
        let of_report = |place: &petgraph::graph::NodeIndex| open.plan.node(*place).task.kind() == Kind::Report;
        let reports = open.plan.places().filter(of_report);
        Ok(Self {
            label: format!("study {} ({})", file.display(), open.study.name),
            fields: open.study.fields.clone(),
            reports: reports
                .filter_map(|place| Some((open.plan.node(place).id.to_string(), tasks[place.index()].output?)))
                .collect(),
            tasks,
            store: open.store.clone(),
            open: Some(open),
        })
    }

    fn run(kept: Kept, shared: &Shared) -> Result<Self, CliError> {
        let tasks = kept.tasks();
        let record = kept.record;
        Ok(Self {
            label: format!("run {} of {}, {}", record.run, record.file.display(), record.began.told()),
            fields: record.fields,
            tasks,
            reports: record.reports,
            store: Store::open(&shared.cache)?,
            open: None,
        })
    }

    /// What a task's key was made of; absent if neither plan nor cache knows it.
    pub(super) fn manifest(&self, task: &Traced) -> Option<Manifest> {
        let planned = self.open.as_ref().and_then(|open| Some(open.plan.manifest(open.plan.find(&task.task)?)));
        planned.or_else(|| serde_json::from_value(self.store.remembered(&task.recipe)?.manifest).ok())
    }

    /// The folder of a report, if it is still there.
    pub(super) fn report(&self, output: &Digest) -> Option<PathBuf> {
        let folder = self.store.artifact(output);
        folder.is_dir().then_some(folder)
    }
}

/// The run whose id begins so.
fn find_run(text: &str, shared: &Shared) -> Result<Kept, CliError> {
    let records = StudyRuns::every(&shared.cache).into_iter().flat_map(|runs| runs.records());
    let mut meant: Vec<Kept> = records.filter(|kept| !text.is_empty() && kept.record.run.starts_with(text)).collect();
    let wrong = |message: String| CliError::Usage {
        message,
        hint: "`hebb status STUDY --runs` lists the runs of a study".to_owned(),
    };
    match meant.len() {
        0 => Err(wrong(format!("`{text}` is neither a study file nor a run, expected one of them"))),
        1 => Ok(meant.remove(0)),
        n => Err(wrong(format!("`{text}` means {n} runs, expected one"))),
    }
}
