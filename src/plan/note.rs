//! What a study looked like when it last ran: an index over its own records.
//!
//! With it, a study of ten thousand cached tasks is compared with the store by reading one file, and a later plan knows what
//! each task was before an edit. It is advisory: without it every record is read, and the answers are the same.

use super::{Assessment, Plan, Standing};
use crate::store::{Digest, Record, Store, StoreError};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

/// What a study looked like when it last ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StudyNote {
    /// The study file, from the root, for whoever collects what no study needs.
    pub file: PathBuf,
    /// What each task led to, by task id.
    pub tasks: BTreeMap<String, Noted>,
}

/// What a task led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Noted {
    /// Its recipe key.
    pub recipe: Digest,
    /// Digest of its artifact.
    pub output: Digest,
    /// The artifact's files, path and bytes.
    pub files: Vec<(String, u64)>,
    /// Seconds that computing it took.
    pub seconds: f64,
}

impl From<Record> for Noted {
    fn from(record: Record) -> Self {
        Self {
            recipe: record.recipe,
            output: record.output,
            files: record.files.into_iter().map(|file| (file.path, file.size_bytes)).collect(),
            seconds: record.run.seconds,
        }
    }
}

impl StudyNote {
    /// The note about the study in `file`; empty if there is none that can be read.
    #[must_use]
    pub fn read(store: &Store, file: &Path) -> Self {
        store.study_note(&place_digest(file)).unwrap_or_default()
    }

    /// The note as it is after a run of `plan`, which stood as `assessment` says before.
    ///
    /// A task that has no record keeps its earlier entry: the next plan compares with what was last computed.
    #[must_use]
    pub fn after(&self, file: &Path, plan: &Plan, assessment: &Assessment, store: &Store) -> Self {
        let places: Vec<_> = plan.places().collect();
        let tasks = places.into_par_iter().filter_map(|place| {
            let node = plan.node(place);
            let before = self.tasks.get(node.id.as_str());
            let stands = |noted: &&Noted| {
                noted.recipe == node.recipe
                    && matches!(assessment.standing(place), Standing::Cached { output, .. } if *output == noted.output)
            };
            let noted = match before.filter(stands) {
                Some(noted) => Some(noted.clone()),
                None => store.remembered(&node.recipe).map(Noted::from).or_else(|| before.cloned()),
            };
            Some((node.id.to_string(), noted?))
        });
        Self { file: full(file), tasks: tasks.collect() }
    }

    /// Writes the note.
    ///
    /// # Errors
    /// If the cache cannot be written to.
    pub fn write(&self, store: &Store) -> Result<(), StoreError> {
        store.note_study(&place_digest(&self.file), self)
    }

    /// The output digests that this note vouches for, by recipe key: those whose artifact is whole.
    #[must_use]
    pub fn whole(&self, store: &Store) -> HashMap<Digest, Digest> {
        let tasks: Vec<&Noted> = self.tasks.values().collect();
        tasks
            .into_par_iter()
            .filter(|noted| {
                store.is_whole(&noted.output, noted.files.iter().map(|(path, size)| (path.as_str(), *size)))
            })
            .map(|noted| (noted.recipe, noted.output))
            .collect()
    }
}

/// What a study is known by in a cache: the place of its file, whatever it calls itself.
#[must_use]
pub fn place_digest(file: &Path) -> Digest {
    Digest::of(full(file).as_os_str().as_encoded_bytes())
}

/// The same from every working directory.
fn full(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_owned())
}
