//! What was written -> what it means: names resolved, files opened, shapes compared; every mistake found at once.
//!
//! Nothing is computed here, but headers, tables and tensor shapes are read, so that a study that checks will also run.
//! The brains are in `check/brains.rs` (on disk `check/recorded.rs`), the models in `check/models.rs`, the stimuli in `check/stimuli.rs`,
//! encoding, patterns and delays in `check/encoding.rs`.

mod brains;
mod encoding;
mod models;
mod presence;
mod questions;
mod recorded;
mod remote;
mod stimuli;

use super::{
    diagnostic::Diagnostic,
    document::{Document, FieldPath},
    remote::Remote,
    study::{Design, Model, Run},
    written::{Runs, Stimuli, Unreadable, WrittenStudy},
};
use crate::{
    model::{ModelError, hub::HubModel},
    stimulus::{
        Generate, Schedule, table_path,
        video::{Ffmpeg, VideoError},
    },
};
use brains::Brains;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
};
use stimuli::ReadStimuli;

/// Seconds that a simulated run goes on after the last stimulus of a table: the response has passed its undershoot.
const TAIL_S: f64 = 16.0;

/// Most bytes of a study's name: file systems take 255 in the name of a folder.
const LONGEST_NAME_BYTES: usize = 200;

/// What was read for one cell of a sweep and serves the others: every file is looked at once.
pub(super) struct Memory<'s> {
    surroundings: &'s Surroundings<'s>,
    stimuli: BTreeMap<String, Arc<ReadStimuli>>,
    schedules: BTreeMap<String, Arc<Schedule>>,
    models: BTreeMap<String, Arc<[Model]>>,
    brains: BTreeMap<String, Brains>,
}

/// What a study leans on that it does not name by a path: for the caller to find.
pub struct Surroundings<'s> {
    /// Gives the folder of a model that a study names as `hf:OWNER/NAME@COMMIT`.
    pub find_model: &'s (dyn Fn(&HubModel) -> Result<PathBuf, ModelError> + Sync),
    /// Gives the programs that read films.
    pub find_ffmpeg: &'s (dyn Fn() -> Result<Ffmpeg, VideoError> + Sync),
    /// Says whether the study may have what it asks for beyond the files of its own folder.
    pub may: &'s (dyn Fn(&Demand) -> bool + Sync),
}

/// What a study asks for beyond the files of its own folder: a study from a stranger has it when its reader says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// To read a file, or a folder with all that is in it.
    Read(PathBuf),
    /// To run programs that read films.
    Films,
    /// To use results that others have put at this address, or to put some there.
    Remote(String),
}

impl Demand {
    /// Whether who may have `granted` may have this too.
    #[must_use]
    pub fn is_in(&self, granted: &Self) -> bool {
        match (self, granted) {
            (Self::Read(path), Self::Read(folder)) => path.starts_with(folder),
            _ => self == granted,
        }
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path) => write!(f, "read {}", path.display()),
            Self::Films => write!(f, "run ffmpeg and ffprobe on its films"),
            Self::Remote(address) => write!(f, "use results at {address}"),
        }
    }
}

impl<'s> Memory<'s> {
    /// Nothing yet.
    pub(super) fn new(surroundings: &'s Surroundings<'s>) -> Self {
        let (stimuli, schedules, models, brains) = Default::default();
        Self { surroundings, stimuli, schedules, models, brains }
    }
}

/// Turns a written study into a checked one, with the cache that it shares.
pub(super) fn check(
    written: WrittenStudy,
    document: &Document,
    memory: &mut Memory<'_>,
) -> Result<(Design, Option<Remote>), Vec<Diagnostic>> {
    let mut check = Check { document, memory, sources: written.sources.clone(), found: Vec::new() };
    let remote = check.remote(&written.cache);
    let design = check.study(written);
    match design {
        Some(design) if check.found.is_empty() => Ok((design, remote)),
        _ => Err(check.found),
    }
}

/// What has been found wrong so far. A step that cannot give its part gives `None` and has said why.
struct Check<'a, 's> {
    document: &'a Document,
    memory: &'a mut Memory<'s>,
    /// Where files come from, by the field that names them.
    sources: BTreeMap<String, String>,
    found: Vec<Diagnostic>,
}

impl Check<'_, '_> {
    fn study(&mut self, written: WrittenStudy) -> Option<Design> {
        self.name(&written.study.name);
        self.runs(&written.runs);
        if !self.all_is_allowed(&written) || !self.all_is_there(&written) {
            return None;
        }
        let named = self.places(&written);
        let encoding = written.encoding;
        self.encoding(&encoding, written.runs.train.len());
        let stimuli = self.stimuli(&written.stimuli, &written.runs);
        let stimuli = stimuli?;
        let (outline, scenes) = (Arc::clone(&stimuli.outline), stimuli.scenes.clone());
        let models = self.known_models(written.models, &written.units, &written.controls, &outline);
        let length_s = scenes.as_ref().map(Generate::run_length_s);
        let ends_s: Vec<f64> = outline
            .runs
            .iter()
            .map(|events| events.iter().map(|event| event.onset_s + event.duration_s).fold(0.0, f64::max))
            .collect();
        let runs: Vec<(String, bool)> = written
            .runs
            .train
            .iter()
            .map(|name| (name.clone(), false))
            .chain(written.runs.test.iter().map(|name| (name.clone(), true)))
            .collect();
        let clips = runs.iter().map(|(name, _)| self.clips(&written.runs, name)).collect();
        self.planted_patterns(&written.bold, &written.time, &written.patterns, &encoding);
        let brains = self.brains(
            written.bold,
            &written.atlas,
            &written.preparation,
            &runs,
            clips,
            &ends_s,
            length_s,
            models.as_deref(),
        );
        let (models, brains) = (models?, brains?);
        let schedule = self.schedule(&stimuli, &brains.n_tr, brains.repetition_time_s);
        let unreadable = match &written.stimuli {
            Stimuli::Tables(tables) => tables.unreadable,
            Stimuli::Generate(_) => Unreadable::Error,
        };
        let runs: Vec<Run> = runs
            .into_iter()
            .zip(&brains.n_tr)
            .map(|((name, is_test), n_tr)| Run { clips: self.clips(&written.runs, &name), name, is_test, n_tr: *n_tr })
            .collect();
        let delays_tr = self.delays(&written.time, &encoding, &runs, brains.repetition_time_s);
        let subjects: Vec<&str> = brains.subjects.names().collect();
        let group = self.questions(&written.statistics, &encoding, &models, &runs, &subjects);
        self.sizes(&written.patterns, &models, &runs, &encoding, written.time.trim_start_s, brains.repetition_time_s);
        let significance = written.statistics.significance.as_ref();
        self.rearrangements(significance, &runs, written.time.trim_start_s, brains.repetition_time_s);
        Some(Design {
            named,
            runs,
            repetition_time_s: brains.repetition_time_s,
            schedule,
            scenes,
            models,
            units: written.units,
            ffmpeg: stimuli.ffmpeg.clone(),
            unreadable,
            device: written.extraction.device,
            hrf: written.time.hrf,
            delays_tr,
            trim_start_s: written.time.trim_start_s,
            rest: written.time.rest,
            subjects: brains.subjects,
            preparation: written.preparation,
            atlas: written.atlas.options(),
            voxels: written.atlas.voxels,
            patterns: written.patterns,
            encoding,
            significance: written.statistics.significance,
            ceiling: written.statistics.ceiling,
            redundancy: written.statistics.redundancy,
            polarity: written.statistics.polarity,
            architecture: written.statistics.architecture,
            hierarchy: written.statistics.hierarchy,
            group,
        })
    }

    /// Results go to a folder of the study's name.
    fn name(&mut self, name: &str) {
        let path = FieldPath::of("study.name");
        if !name.contains(char::is_alphanumeric) {
            self.wrong(&path, format!("`{path}` is `{name}`, expected a letter or digit in it"), "names a folder");
        } else if name.len() > LONGEST_NAME_BYTES {
            let message = format!("`{path}` has {} bytes, expected at most {LONGEST_NAME_BYTES}", name.len());
            self.wrong(&path, message, "names a folder; `description` takes the rest");
        }
    }

    fn runs(&mut self, runs: &Runs) {
        let mut seen = BTreeSet::new();
        for (list, names) in [("runs.train", &runs.train), ("runs.test", &runs.test)] {
            for (index, name) in names.iter().enumerate() {
                let path = FieldPath::of(list).index(index);
                let fits = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
                if name.is_empty() || !name.chars().all(fits) {
                    self.wrong(
                        &path,
                        format!("`{path}` is `{name}`, expected letters and digits as BIDS files have after `run-`, or entities as `ses-1_run-2`"),
                        "not a run's name",
                    );
                } else if !seen.insert(name.as_str()) {
                    let hint = "a run either trains or tests; scores on a run that was fitted mean nothing";
                    self.wrong_with_hint(&path, format!("run `{name}` is named twice"), "named before", hint);
                }
            }
        }
    }

    /// Where the table of a run's clips is.
    fn clips(&self, runs: &Runs, name: &str) -> Option<PathBuf> {
        let pattern = runs.clips.as_ref()?;
        Some(table_path(pattern, self.document.folder(&FieldPath::of("runs.clips")), name))
    }

    /// What was written in some tables, as text that is equal for equal values. A path means what it does where it was written, so
    /// that the files count too.
    fn key(&self, tables: &[&str]) -> String {
        let nodes = tables.iter().filter_map(|name| self.document.root.get(*name));
        nodes.map(|node| format!("{} {:?}\n", node.json(), node.sources())).collect()
    }

    /// Notes that the value at a path is wrong.
    fn wrong(&mut self, path: &FieldPath, message: impl Into<String>, label: impl Into<String>) {
        let found = Diagnostic::new(self.document.value_span(path), message, label);
        self.found.push(match self.source(path) {
            Some(source) => found.hint(format!("it comes from {source}")),
            None => found,
        });
    }

    /// Where the file comes from that a field names, if the study says so.
    fn source(&self, path: &FieldPath) -> Option<&str> {
        let path = path.to_string();
        let of =
            |field: &str| path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.sources.iter().find(|(field, _)| of(field)).map(|(_, source)| source.as_str())
    }

    /// Notes that the value at a path is wrong, and what to do about it.
    fn wrong_with_hint(
        &mut self,
        path: &FieldPath,
        message: impl Into<String>,
        label: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let hint = match self.source(path) {
            Some(source) => format!("it comes from {source}"),
            None => hint.into(),
        };
        self.found.push(Diagnostic::new(self.document.value_span(path), message, label).hint(hint));
    }
}
