//! What subjects, models and the rest are called in a dataset: BIDS takes letters and digits only.
//!
//! Two names never become one label, not even on disks that know no capitals; which name a label stands for is written in a table.

use super::{items::Item, meanings};
use crate::{
    format::{
        bids::Entities,
        runs::RunFiles,
        tsv::{MISSING, Table},
    },
    spec::{Design, Study, Subjects},
    task::maps::labels,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What simulated runs are called where they are written as files.
const SIMULATED_TASK: &str = "simulated";
/// The task of runs of several tasks.
const SEVERAL: &str = "several";

/// The labels of a dataset that all of its files share.
#[derive(Debug)]
pub(super) struct Labels {
    /// Subjects' names with their labels, `sub-` included.
    subjects: Vec<(String, String)>,
    models: Vec<(String, String)>,
    task: (String, String),
    /// `space`, `res` and `den` with label and name, by subject.
    places: BTreeMap<String, Vec<(&'static str, String, String)>>,
}

impl Labels {
    pub(super) fn of(design: &Design, study: &Study) -> Self {
        let names: Vec<&str> = design.subjects.names().collect();
        let bare: Vec<&str> = names.iter().map(|name| name.strip_prefix("sub-").unwrap_or(name)).collect();
        let subjects = names.iter().map(|&name| name.to_owned());
        let subjects = subjects.zip(labels(&bare).into_iter().map(|label| format!("sub-{label}"))).collect();
        let names: Vec<&str> = design.models.iter().map(|model| model.name.as_str()).collect();
        let models = names.iter().map(|&name| name.to_owned()).zip(labels(&names)).collect();
        let task = task(design, study);
        let task = (label_of(&task), task);
        Self { subjects, models, task, places: places(design, study) }
    }

    /// `sub-` and the subject's label.
    pub(super) fn subject<'a>(&'a self, name: &'a str) -> &'a str {
        self.subjects.iter().find(|(known, _)| known == name).map_or(name, |(_, label)| label)
    }

    pub(super) fn subjects(&self) -> &[(String, String)] {
        &self.subjects
    }

    pub(super) fn model<'a>(&'a self, name: &'a str) -> &'a str {
        self.models.iter().find(|(known, _)| known == name).map_or(name, |(_, label)| label)
    }

    /// The label of the task, and its name.
    pub(super) fn task(&self) -> (&str, &str) {
        (&self.task.0, &self.task.1)
    }

    /// Entities that say where the values of a subject's files lie; of all subjects, those of the first, whose voxels the group has.
    pub(super) fn place(&self, subject: Option<&str>) -> impl Iterator<Item = (&'static str, &str)> {
        let subject = subject.or(self.subjects.first().map(|(name, _)| name.as_str())).unwrap_or_default();
        let of_subject = self.places.get(subject).map_or(&[][..], Vec::as_slice);
        of_subject.iter().map(|(key, label, _)| (*key, label.as_str()))
    }

    /// Every label with the name that it stands for.
    pub(super) fn table(&self, items: &[Item]) -> (Table, Value) {
        let mut table = Table::new(["entity", "label", "name"]);
        for (name, label) in &self.subjects {
            table.push(["sub", label.trim_start_matches("sub-"), name]);
        }
        table.push(["task", &self.task.0, &self.task.1]);
        let places: BTreeSet<_> = self.places.values().flatten().collect();
        places.into_iter().for_each(|(key, label, name)| table.push([key, label.as_str(), name]));
        let descs: BTreeMap<&str, &Item> = items.iter().map(|item| (item.desc.as_str(), item)).collect();
        for (desc, item) in descs {
            table.push(["desc", desc, &item.named(self)]);
        }
        let meanings = meanings(&[
            ("entity", "part of file names"),
            ("label", "what stands behind it: letters and digits"),
            ("name", "what the label stands for in the study and its results"),
        ]);
        (table, meanings)
    }
}

/// Letters and digits of a name; never empty.
fn label_of(name: &str) -> String {
    labels(&[name]).remove(0)
}

/// The one task of all runs.
fn task(design: &Design, study: &Study) -> String {
    let Subjects::Recorded { subjects, .. } = &design.subjects else { return SIMULATED_TASK.to_owned() };
    let runs = subjects.iter().flat_map(|subject| &subject.runs);
    let tasks: BTreeSet<Option<&str>> = runs.map(|run| entity(run, "task")).collect();
    match tasks.into_iter().collect::<Vec<_>>()[..] {
        [Some(task)] => task.to_owned(),
        [None] | [] => study.name.clone(),
        _ => SEVERAL.to_owned(),
    }
}

fn entity<'a>(run: &'a RunFiles, key: &str) -> Option<&'a str> {
    run.labels.entities.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}

/// Where the values of each subject lie, as far as all of its runs say the same.
fn places(design: &Design, study: &Study) -> BTreeMap<String, Vec<(&'static str, String, String)>> {
    match &design.subjects {
        Subjects::Simulated { names, brain, .. } => {
            let space = vec![("space", label_of(&brain.space), brain.space.clone())];
            names.iter().map(|name| (name.clone(), space.clone())).collect()
        }
        Subjects::Recorded { subjects, .. } => {
            // Grayordinates of the Human Connectome Project lie on its own surfaces, which its file names need not say.
            let is_hcp = study.fields.keys().any(|field| field.starts_with("bold.hcp."));
            let of_subject = |runs: &[RunFiles]| {
                let mut found = Vec::new();
                for key in ["space", "res", "den"] {
                    let value = |run: &RunFiles| match (key, &run.space) {
                        ("space", Some(space)) => Some(space.clone()),
                        ("space", None) if is_hcp => Some("fsLR".to_owned()),
                        _ => {
                            let name = run.bold.file_name()?.to_string_lossy();
                            Entities::parse(&name).ok()?.get(key).map(str::to_owned)
                        }
                    };
                    let values: BTreeSet<Option<String>> = runs.iter().map(value).collect();
                    if let [Some(one)] = &values.into_iter().collect::<Vec<_>>()[..] {
                        found.push((key, label_of(one), one.clone()));
                    }
                }
                found
            };
            subjects.iter().map(|subject| (subject.name.clone(), of_subject(&subject.runs))).collect()
        }
    }
}

/// What a name of a table reads as in a label: `redundancy_pairs` -> `redundancyPairs`.
pub(super) fn camel(name: &str) -> String {
    let mut camel = String::new();
    for part in name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
        let (first, rest) = part.split_at(1);
        camel.push_str(&if camel.is_empty() { first.to_owned() } else { first.to_ascii_uppercase() });
        camel.push_str(rest);
    }
    camel
}

/// A label for each of several things by what it would like to be called.
pub(super) fn injective(wished: &[String]) -> Vec<String> {
    labels(&wished.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The name, or what stands for none in tables.
pub(super) fn or_missing(name: &Option<String>) -> &str {
    name.as_deref().unwrap_or(MISSING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tables_read_as_words() {
        assert_eq!(camel("redundancy_pairs"), "redundancyPairs");
        assert_eq!(camel("best_layers_2"), "bestLayers2");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn labels_are_legal_and_no_two_alike(names in proptest::collection::vec("[a-bA-B0-1_é~-]{0,4}", 1..20)) {
            let labels = injective(&names);
            let lower: BTreeSet<String> = labels.iter().map(|label| label.to_ascii_lowercase()).collect();
            prop_assert_eq!(lower.len(), names.len());
            prop_assert!(labels.iter().all(|label| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric())));
            prop_assert_eq!(labels, injective(&names));
        }
    }
}
