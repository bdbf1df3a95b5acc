//! Files that hold for a run from where they lie: BIDS's inheritance principle.
//!
//! A sidecar holds for every file below its folder whose name has all of its entities and its suffix. Where several do,
//! the nearest folder wins, and in a folder the name with the most entities.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Entities;
use super::description::json_text;
use crate::format::annex::unfetched;
use crate::format::runs::{LONGEST_REPETITION_TIME_S, RunProblem};

/// The names in the folders of a dataset, each folder read once.
#[derive(Default)]
pub(super) struct Folders {
    known: BTreeMap<PathBuf, Vec<Entities>>,
}

impl Folders {
    /// The BIDS names in a folder, sorted; none if the folder is not there.
    pub(super) fn names(&mut self, folder: &Path) -> &[Entities] {
        self.known.entry(folder.to_owned()).or_insert_with(|| {
            let names = crate::format::runs::file_names(folder).unwrap_or_default();
            names.iter().filter_map(|name| Entities::parse(name).ok()).collect()
        })
    }
}

/// A file that holds for a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Applicable {
    /// The file.
    pub(super) path: PathBuf,
    /// Its name, taken apart.
    pub(super) entities: Entities,
    /// How far up it lies and how little its name says: smaller wins, equal ones count equally.
    pub(super) rank: (usize, usize),
}

/// Every file of a kind that holds for a run in `folder`, the winner first.
pub(super) fn applicable(
    folders: &mut Folders,
    root: &Path,
    folder: &Path,
    run: &Entities,
    suffix: &str,
    extensions: &[&str],
) -> Vec<Applicable> {
    let mut found = Vec::new();
    let levels = folder.ancestors().take_while(|level| level.starts_with(root));
    for (distance, level) in levels.enumerate() {
        for entities in folders.names(level) {
            let of_kind = entities.suffix == suffix && extensions.contains(&entities.extension.as_str());
            if of_kind && entities.pairs.iter().all(|(key, value)| run.get(key) == Some(value)) {
                let path = level.join(entities.to_string());
                let rank = (distance, run.pairs.len() - entities.pairs.len());
                found.push(Applicable { path, entities: entities.clone(), rank });
            }
        }
    }
    // Stable: equal ranks keep the order of their names.
    found.sort_by_key(|file| file.rank);
    found
}

/// The repetition time by the winning sidecar among those that state one.
pub(super) fn repetition_time(run: &str, sidecars: &[Applicable]) -> Result<Option<f64>, RunProblem> {
    for equals in sidecars.chunk_by(|a, b| a.rank == b.rank) {
        let mut stated: Option<(f64, &Path)> = None;
        for sidecar in equals {
            let Some(second_s) = stated_time(&sidecar.path)? else {
                continue;
            };
            match stated {
                Some((first_s, first)) if first_s != second_s => {
                    return Err(RunProblem::TwoSidecars {
                        run: run.to_owned(),
                        first: first.to_owned(),
                        first_s,
                        second: sidecar.path.clone(),
                        second_s,
                    });
                }
                _ => stated = Some((second_s, &sidecar.path)),
            }
        }
        if let Some((seconds, _)) = stated {
            return Ok(Some(seconds));
        }
    }
    Ok(None)
}

fn stated_time(path: &Path) -> Result<Option<f64>, RunProblem> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Sidecar {
        repetition_time: Option<f64>,
    }
    if let Some(file) = unfetched(path) {
        return Err(RunProblem::Unfetched { files: vec![file] });
    }
    let problem = |reason: String| RunProblem::Sidecar { path: path.to_owned(), reason };
    let text = json_text(path).map_err(|error| problem(error.to_string()))?;
    let sidecar: Sidecar = serde_json::from_str(&text).map_err(|error| problem(error.to_string()))?;
    match sidecar.repetition_time {
        Some(found) if !(found > 0.0 && found <= LONGEST_REPETITION_TIME_S) => {
            Err(RunProblem::RepetitionTime { path: path.to_owned(), found })
        }
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sidecars(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Option<f64>, RunProblem>) {
        let root = tempfile::tempdir().unwrap();
        let func = root.path().join("sub-01/ses-a/func");
        std::fs::create_dir_all(&func).unwrap();
        for (file, text) in files {
            std::fs::write(root.path().join(file), text).unwrap();
        }
        let run = Entities::parse("sub-01_ses-a_task-movie_run-1_space-T1w_desc-preproc_bold.nii.gz").unwrap();
        let found = applicable(&mut Folders::default(), root.path(), &func, &run, "bold", &[".json"]);
        let time = repetition_time("x", &found);
        (root, time)
    }

    #[test]
    fn nearest_sidecar_that_states_a_time_wins() {
        let own = "sub-01/ses-a/func/sub-01_ses-a_task-movie_run-1_space-T1w_desc-preproc_bold.json";
        let of_session = "sub-01/ses-a/sub-01_ses-a_task-movie_bold.json";
        let all = [
            ("task-movie_bold.json", r#"{"RepetitionTime": 1}"#),
            ("bold.json", r#"{"RepetitionTime": 9}"#),
            ("sub-01/sub-01_bold.json", r#"{"RepetitionTime": 2}"#),
            (of_session, r#"{"RepetitionTime": 3}"#),
            (own, r#"{"SkullStripped": true}"#),
        ];
        for (n, expected) in [(1, 1.0), (2, 1.0), (3, 2.0), (4, 3.0), (5, 3.0)] {
            assert_eq!(sidecars(&all[..n]).1.unwrap(), Some(expected), "{n}");
        }
        let others = [("task-rest_bold.json", "{"), ("sub-02_bold.json", "{"), ("task-movie_sbref.json", "{")];
        assert_eq!(sidecars(&others).1.unwrap(), None);
    }

    #[test]
    fn equal_sidecars_must_agree() {
        let two = |second: &'static str| {
            sidecars(&[("task-movie_bold.json", r#"{"RepetitionTime": 1}"#), ("run-1_bold.json", second)]).1
        };
        assert_eq!(two(r#"{"RepetitionTime": 1.0}"#).unwrap(), Some(1.0));
        let error = two(r#"{"RepetitionTime": 2}"#).unwrap_err().to_string();
        assert!(
            error.contains("has `RepetitionTime` 1 and") || error.contains("has `RepetitionTime` 2 and"),
            "{error}"
        );
        assert!(error.ends_with("and both hold for run `x`: correct one of them"), "{error}");
    }

    #[test]
    fn impossible_times_and_broken_sidecars_are_refused() {
        let said = |text: &'static str| sidecars(&[("task-movie_bold.json", text)]).1.unwrap_err().to_string();
        assert!(said(r#"{"RepetitionTime": 1500}"#).contains("if it is meant in milliseconds, write 1.5"));
        assert!(said(r#"{"RepetitionTime": 0}"#).contains("0, expected a positive number of seconds"));
        assert!(said(r#"{"RepetitionTime": "1.5"}"#).contains("is not a usable sidecar: invalid type: string"));
        assert!(said("[1").contains("bold.json` is not a usable sidecar"));
        assert!(said("/annex/objects/K").contains("datalad get"));
    }

    proptest! {
        #[test]
        fn any_sidecar_is_a_time_or_a_problem(text in "\\PC{0,40}", number in proptest::num::f64::ANY) {
            for text in [text, format!("{{\"RepetitionTime\": {number}}}")] {
                let root = tempfile::tempdir().unwrap();
                let path = root.path().join("bold.json");
                std::fs::write(&path, text).unwrap();
                if let Ok(Some(seconds)) = stated_time(&path) {
                    prop_assert!(seconds > 0.0 && seconds <= LONGEST_REPETITION_TIME_S);
                }
            }
        }
    }
}
