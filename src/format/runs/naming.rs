//! How a study calls its runs, and which files answer.
//!
//! A run of a study is told by a label (`1`, `MOVIE1`) or by entities (`run-1`, `ses-2/run-1`, `task-movie`), joined by `_`
//! or `/` where one does not suffice. Labels of digits are numbers: `1` is `01`.

use super::RunFiles;

/// What a run may be called by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunLabels {
    /// Keys and values, such as `ses` and `2`; a study names as many as tell the run.
    pub entities: Vec<(String, String)>,
    /// Labels that mean this run without a key: in BIDS the value of `run`, or of `task` where there is no `run`.
    pub names: Vec<String>,
}

impl RunLabels {
    /// The labels of a BIDS run with these entities.
    pub fn of_entities(entities: &[(String, String)]) -> Self {
        let value = |key: &str| entities.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
        let names = value("run").or_else(|| value("task")).into_iter().collect();
        RunLabels { entities: entities.to_vec(), names }
    }

    fn has_entity(&self, key: &str, value: &str) -> bool {
        self.entities.iter().any(|(known, own)| known == key && same_label(own, value))
    }

    fn has_name(&self, label: &str) -> bool {
        self.names.iter().any(|name| same_label(name, label))
    }
}

impl RunFiles {
    /// Whether a study that speaks of run `told` may mean these files.
    ///
    /// It does if `told` is one of the run's names, or if every part of it, between `_` or `/`, is either `key-value` as in
    /// the run's file name or one of its names. `1` thus means `run-1` and `run-01` of any session and task, `ses-2/run-1`
    /// only that of session 2, `task-movie` every run of the task, and `movie` a run of that task that has no `run-`.
    pub fn matches(&self, told: &str) -> bool {
        let is_part = |part: &str| match part.split_once('-') {
            Some((key, value)) => self.labels.has_entity(key, value) || self.labels.has_name(part),
            None => self.labels.has_name(part),
        };
        self.labels.has_name(told) || told.split(['_', '/']).all(is_part)
    }
}

/// The files that answer to what a study calls a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice<'a> {
    /// Exactly these.
    One(&'a RunFiles),
    /// None.
    Nothing,
    /// Several runs.
    Several {
        /// The runs.
        found: Vec<&'a RunFiles>,
        /// Keys of the entities that differ between them: adding one of these to the name tells them apart.
        told_apart_by: Vec<String>,
    },
}

/// Chooses the run that a study calls `told`.
pub fn choose<'a>(told: &str, runs: &'a [RunFiles]) -> Choice<'a> {
    let found: Vec<&RunFiles> = runs.iter().filter(|run| run.matches(told)).collect();
    match found[..] {
        [] => Choice::Nothing,
        [one] => Choice::One(one),
        [first, ..] => {
            let value = |run: &RunFiles, key: &str| {
                run.labels.entities.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
            };
            let mut keys: Vec<String> = Vec::new();
            for (key, _) in found.iter().flat_map(|run| &run.labels.entities) {
                let differs = found.iter().any(|run| value(run, key) != value(first, key));
                if differs && !keys.contains(key) {
                    keys.push(key.clone());
                }
            }
            Choice::Several { found, told_apart_by: keys }
        }
    }
}

/// Whether two labels are the same: equal, or the same number with other leading zeros.
pub(in crate::format) fn same_label(a: &str, b: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    a == b || number(a) && number(b) && a.trim_start_matches('0') == b.trim_start_matches('0')
}

/// A label without its key.
pub(in crate::format) fn bare<'a>(key: &str, label: &'a str) -> &'a str {
    label.strip_prefix(key).and_then(|rest| rest.strip_prefix('-')).unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use super::super::SeriesKind;
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn run(name: &str) -> RunFiles {
        let pairs = name.split('_').map(|part| part.split_once('-').unwrap());
        let entities: Vec<(String, String)> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        RunFiles {
            labels: RunLabels::of_entities(&entities),
            ..RunFiles::of_series(name, SeriesKind::Volume, Path::new("x.nii.gz"))
        }
    }

    #[test]
    fn runs_answer_to_labels_and_to_entities() {
        let first = run("sub-01_ses-a_task-movie_run-01");
        for told in ["1", "01", "run-1", "run-01", "ses-a/run-1", "ses-a_run-1", "task-movie", "ses-a/1", "sub-1_run-1"]
        {
            assert!(first.matches(told), "{told}");
        }
        for told in ["2", "11", "movie", "ses-b/run-1", "run-", "", "_", "run-1/", "ses-a_", "task-mov", "-1"] {
            assert!(!first.matches(told), "{told}");
        }
    }

    #[test]
    fn runs_without_a_run_label_answer_to_their_task() {
        let only = run("sub-01_task-movie");
        assert!(only.matches("movie") && only.matches("task-movie") && !only.matches("1"));
    }

    #[test]
    fn names_may_hold_what_joins_entities() {
        let mut hcp = run("sub-100610_task-MOVIE1_dir-AP");
        hcp.labels.names = ["MOVIE1", "MOVIE1_7T_AP"].map(str::to_owned).to_vec();
        assert!(["MOVIE1", "MOVIE1_7T_AP", "task-MOVIE1", "sub-100610/MOVIE1"].iter().all(|told| hcp.matches(told)));
        assert!(!hcp.matches("MOVIE1_7T_PA") && !hcp.matches("MOVIE"));
    }

    #[test]
    fn several_runs_say_what_tells_them_apart() {
        let runs =
            [run("sub-01_ses-a_task-movie_run-1"), run("sub-01_ses-b_task-movie_run-1"), run("sub-01_ses-b_task-rest")];
        let Choice::Several { found, told_apart_by } = choose("1", &runs) else { panic!("two runs are called 1") };
        assert_eq!((found.len(), told_apart_by), (2, vec!["ses".to_owned()]));
        assert_eq!(choose("ses-b/run-1", &runs), Choice::One(&runs[1]));
        assert_eq!(choose("rest", &runs), Choice::One(&runs[2]));
        assert_eq!(choose("4", &runs), Choice::Nothing);
    }

    proptest! {
        #[test]
        fn any_text_is_either_a_run_or_not(told in "\\PC{0,20}") {
            let _ = run("sub-01_task-movie_run-1").matches(&told);
        }

        #[test]
        fn every_run_answers_to_its_own_name(session in "[a-z0-9]{1,4}", number in 0_u32..200) {
            let name = format!("sub-01_ses-{session}_task-movie_run-{number:03}");
            let own = run(&name);
            prop_assert!(own.matches(&name) && own.matches(&number.to_string()));
            prop_assert!(!own.matches(&(number + 1).to_string()));
        }
    }
}
