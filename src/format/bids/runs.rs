//! The files of a subject's runs, found by their BIDS names.
//!
//! Looks through `sub-*/func` and `sub-*/ses-*/func` of a derivatives folder laid out as fMRIPrep does it, and for events
//! also through the raw dataset. Guesses nothing: where two files answer, the error lists both and says what to set.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{BidsError, Entities, natural_order};

/// Entities that tell versions of one run apart, and not runs.
const VERSION_ENTITIES: [&str; 3] = ["space", "res", "den"];

/// Which runs to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunQuery {
    /// Subject, with or without `sub-`.
    pub subject: String,
    /// Session, with or without `ses-`; all sessions if absent.
    pub session: Option<String>,
    /// Task, with or without `task-`; all tasks if absent.
    pub task: Option<String>,
    /// Space, with or without `space-`; may be absent where there is only one.
    pub space: Option<String>,
    /// Resolution, with or without `res-`; may be absent where there is only one.
    pub resolution: Option<String>,
    /// The raw dataset, where events may lie.
    pub raw_root: Option<PathBuf>,
}

impl RunQuery {
    fn in_words(&self) -> String {
        let parts = [
            Some(("subject", self.subject.as_str())),
            self.session.as_deref().map(|value| ("session", value)),
            self.task.as_deref().map(|value| ("task", value)),
            self.space.as_deref().map(|value| ("space", value)),
            self.resolution.as_deref().map(|value| ("resolution", value)),
        ];
        parts.iter().flatten().map(|(key, value)| format!("{key} `{value}`")).collect::<Vec<_>>().join(", ")
    }

    fn accepts(&self, entities: &Entities) -> bool {
        let fits = |key: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|value| entities.get(key) == Some(bare(key, value)))
        };
        fits("ses", &self.session)
            && fits("task", &self.task)
            && fits("space", &self.space)
            && fits("res", &self.resolution)
    }
}

fn bare<'a>(key: &str, value: &'a str) -> &'a str {
    value.strip_prefix(key).and_then(|rest| rest.strip_prefix('-')).unwrap_or(value)
}

/// The files of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFiles {
    /// Name of the run: its entities without those of the version, such as `sub-01_task-movie_run-1`.
    pub name: String,
    /// The `space` entity, if the name has one.
    pub space: Option<String>,
    /// The preprocessed series.
    pub bold: PathBuf,
    /// The brain mask in the same space.
    pub mask: PathBuf,
    /// The confounds table, if there is one.
    pub confounds: Option<PathBuf>,
    /// The events table, if there is one.
    pub events: Option<PathBuf>,
    /// `RepetitionTime` of the sidecar, if there is one.
    pub repetition_time_s: Option<f64>,
}

/// Finds the runs of a subject, in natural order of their names.
///
/// # Errors
/// If the subject or any run is not there, a run exists in several versions, a brain mask is missing, or a sidecar is
/// not readable.
pub fn find_runs(root: &Path, query: &RunQuery) -> Result<Vec<RunFiles>, BidsError> {
    let folders = func_folders(root, query)?;
    let mut bolds: Vec<(String, Entities, PathBuf)> = Vec::new();
    let mut available = BTreeSet::new();
    for folder in &folders {
        for name in file_names(folder)? {
            let Ok(entities) = Entities::parse(&name) else {
                continue;
            };
            let image = matches!(entities.extension.as_str(), ".nii" | ".nii.gz");
            if image && entities.suffix == "bold" && entities.get("desc") == Some("preproc") {
                available.insert(name.clone());
                if query.accepts(&entities) {
                    bolds.push((run_name(&entities), entities, folder.join(name)));
                }
            }
        }
    }
    if bolds.is_empty() {
        let available = available.into_iter().collect();
        return Err(BidsError::NoRuns { root: root.to_owned(), query: query.in_words(), available });
    }
    bolds.sort_by(|a, b| natural_order(&a.0, &b.0).then_with(|| a.2.cmp(&b.2)));
    for versions in bolds.chunk_by(|a, b| a.0 == b.0) {
        refuse_versions(versions)?;
    }
    bolds.into_iter().map(|(name, entities, bold)| files_of_run(root, query, name, entities, bold)).collect()
}

fn run_name(entities: &Entities) -> String {
    let run = VERSION_ENTITIES.iter().fold(entities.clone().without("desc"), |run, key| run.without(key));
    run.stem()
}

fn refuse_versions(versions: &[(String, Entities, PathBuf)]) -> Result<(), BidsError> {
    let [(run, _, first), (_, _, _), ..] = versions else {
        return Ok(());
    };
    for (key, entity) in [("space", "space"), ("res", "resolution")] {
        let found: BTreeSet<String> =
            versions.iter().map(|(_, entities, _)| entities.get(key).unwrap_or("none (native)").to_owned()).collect();
        if found.len() > 1 {
            let found = found.into_iter().collect();
            return Err(BidsError::Ambiguous { run: run.clone(), entity, found });
        }
    }
    let reason = format!("there are {} files for run `{run}`, keep one of them", versions.len());
    Err(BidsError::Name { name: first.display().to_string(), reason })
}

fn files_of_run(
    root: &Path,
    query: &RunQuery,
    name: String,
    entities: Entities,
    bold: PathBuf,
) -> Result<RunFiles, BidsError> {
    let folder = bold.parent().expect("a file found in a folder has a parent");
    let beside = |entities: Entities| folder.join(entities.to_string());
    let mask_of = |extension| beside(entities.clone().with("desc", "brain").of_kind("mask", extension));
    let mask = [".nii.gz", ".nii"].map(mask_of).into_iter().find(|path| path.is_file()).ok_or_else(|| {
        BidsError::MissingFile { run: name.clone(), what: "brain mask", expected: mask_of(".nii.gz") }
    })?;

    let run = VERSION_ENTITIES.iter().fold(entities.clone(), |run, key| run.without(key));
    // `regressors` was the suffix before fMRIPrep 20.2.
    let confounds = ["timeseries", "regressors"]
        .map(|suffix| beside(run.clone().with("desc", "confounds").of_kind(suffix, ".tsv")))
        .into_iter()
        .find(|path| path.is_file());
    let raw = run.without("desc");
    let events = events_places(root, query, folder, &raw).into_iter().find(|path| path.is_file());

    let sidecar = beside(entities.clone().of_kind("bold", ".json"));
    let repetition_time_s = if sidecar.is_file() { repetition_time(&sidecar)? } else { None };
    let space = entities.get("space").map(str::to_owned);
    Ok(RunFiles { name, space, bold, mask, confounds, events, repetition_time_s })
}

/// Where the events of a run may lie, nearest first: beside the run, in the raw dataset, at its top for the whole task.
fn events_places(root: &Path, query: &RunQuery, folder: &Path, run: &Entities) -> Vec<PathBuf> {
    let own = run.clone().of_kind("events", ".tsv").to_string();
    let mut places = vec![folder.join(&own)];
    if let Some(raw_root) = &query.raw_root {
        if let Ok(inside) = folder.strip_prefix(root) {
            places.push(raw_root.join(inside).join(&own));
        }
        if let Some(task) = run.get("task") {
            places.push(raw_root.join(format!("task-{task}_events.tsv")));
        }
    }
    places
}

fn repetition_time(path: &Path) -> Result<Option<f64>, BidsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Sidecar {
        repetition_time: Option<f64>,
    }
    let text = std::fs::read_to_string(path).map_err(|source| BidsError::Io { path: path.to_owned(), source })?;
    let sidecar: Sidecar =
        serde_json::from_str(&text).map_err(|source| BidsError::Json { path: path.to_owned(), source })?;
    match sidecar.repetition_time {
        Some(found) if found.is_nan() || found <= 0.0 => {
            Err(BidsError::RepetitionTime { path: path.to_owned(), found })
        }
        other => Ok(other),
    }
}

fn func_folders(root: &Path, query: &RunQuery) -> Result<Vec<PathBuf>, BidsError> {
    let subject = format!("sub-{}", bare("sub", &query.subject));
    let folder = root.join(&subject);
    if !folder.is_dir() {
        let mut available: Vec<String> =
            file_names(root)?.into_iter().filter(|name| name.starts_with("sub-") && root.join(name).is_dir()).collect();
        available.sort_by(|a, b| natural_order(a, b));
        return Err(BidsError::NoSubject { root: root.to_owned(), subject, available });
    }
    let mut folders = vec![folder.join("func")];
    for name in file_names(&folder)? {
        let wanted = query.session.as_ref().is_none_or(|session| bare("ses", session) == bare("ses", &name));
        if name.starts_with("ses-") && wanted {
            folders.push(folder.join(name).join("func"));
        }
    }
    folders.retain(|folder| folder.is_dir());
    Ok(folders)
}

/// Names in a folder, sorted, so that nothing depends on the file system's order.
fn file_names(folder: &Path) -> Result<Vec<String>, BidsError> {
    let error = |source| BidsError::Io { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(error)? {
        // A name that is not UTF-8 is no BIDS name.
        names.extend(entry.map_err(error)?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = if file.ends_with(".json") { "{\"RepetitionTime\": 1.5, \"TaskName\": \"x\"}" } else { "" };
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn query() -> RunQuery {
        RunQuery { subject: "01".to_owned(), ..RunQuery::default() }
    }

    const MNI: &str = "space-MNI152NLin6Asym";

    fn movie(run: &str) -> Vec<String> {
        let stem = format!("sub-01/func/sub-01_task-movie_run-{run}");
        vec![
            format!("{stem}_{MNI}_desc-preproc_bold.nii.gz"),
            format!("{stem}_{MNI}_desc-preproc_bold.json"),
            format!("{stem}_{MNI}_desc-brain_mask.nii.gz"),
            format!("{stem}_desc-confounds_timeseries.tsv"),
            format!("{stem}_events.tsv"),
        ]
    }

    fn texts(owned: &[String]) -> Vec<&str> {
        owned.iter().map(String::as_str).collect()
    }

    #[test]
    fn runs_come_in_natural_order_with_their_files() {
        let files: Vec<String> = ["10", "2", "1"].iter().flat_map(|run| movie(run)).collect();
        let root = dataset(&texts(&files));
        let runs = find_runs(root.path(), &query()).unwrap();
        let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(names, ["sub-01_task-movie_run-1", "sub-01_task-movie_run-2", "sub-01_task-movie_run-10"]);
        assert_eq!((runs[0].repetition_time_s, runs[0].space.as_deref()), (Some(1.5), Some("MNI152NLin6Asym")));
        assert!(runs[0].confounds.as_ref().unwrap().ends_with("sub-01_task-movie_run-1_desc-confounds_timeseries.tsv"));
        assert!(runs[0].events.is_some());
    }

    #[test]
    fn two_spaces_must_be_chosen_between() {
        let mut files = movie("1");
        files.push("sub-01/func/sub-01_task-movie_run-1_desc-preproc_bold.nii.gz".to_owned());
        files.push("sub-01/func/sub-01_task-movie_run-1_desc-brain_mask.nii.gz".to_owned());
        let root = dataset(&texts(&files));
        let error = find_runs(root.path(), &query()).unwrap_err().to_string();
        let expected = "run `sub-01_task-movie_run-1` exists with space `MNI152NLin6Asym`, `none (native)`: set `space` to one of them";
        assert_eq!(error, expected);
        let chosen = RunQuery { space: Some(MNI.to_owned()), ..query() };
        assert_eq!(find_runs(root.path(), &chosen).unwrap().len(), 1);
    }

    #[test]
    fn sessions_and_tasks_are_filtered() {
        let root = dataset(&[
            "sub-01/ses-a/func/sub-01_ses-a_task-movie_desc-preproc_bold.nii.gz",
            "sub-01/ses-a/func/sub-01_ses-a_task-movie_desc-brain_mask.nii.gz",
            "sub-01/ses-b/func/sub-01_ses-b_task-rest_desc-preproc_bold.nii.gz",
            "sub-01/ses-b/func/sub-01_ses-b_task-rest_desc-brain_mask.nii.gz",
        ]);
        assert_eq!(find_runs(root.path(), &query()).unwrap().len(), 2);
        let chosen = RunQuery { session: Some("ses-b".to_owned()), task: Some("rest".to_owned()), ..query() };
        let runs = find_runs(root.path(), &chosen).unwrap();
        assert_eq!(runs[0].name, "sub-01_ses-b_task-rest");
        assert_eq!((&runs[0].confounds, runs[0].repetition_time_s), (&None, None));
        let absent = RunQuery { task: Some("story".to_owned()), ..query() };
        let error = find_runs(root.path(), &absent).unwrap_err().to_string();
        assert!(error.contains("subject `01`, task `story`: it has `sub-01_ses-a_task-movie"), "{error}");
    }

    #[test]
    fn missing_mask_and_subject_say_what_was_expected() {
        let root = dataset(&["sub-01/func/sub-01_task-movie_desc-preproc_bold.nii.gz"]);
        let error = find_runs(root.path(), &query()).unwrap_err().to_string();
        assert!(error.contains("has no brain mask: expected `") && error.contains("desc-brain_mask.nii.gz"), "{error}");
        let absent = RunQuery { subject: "sub-02".to_owned(), ..RunQuery::default() };
        let error = find_runs(root.path(), &absent).unwrap_err().to_string();
        assert!(error.ends_with("has no folder for subject `sub-02`: it has `sub-01`"), "{error}");
    }

    #[test]
    fn events_are_found_in_the_raw_dataset() {
        let root = dataset(&[
            "sub-01/func/sub-01_task-movie_desc-preproc_bold.nii.gz",
            "sub-01/func/sub-01_task-movie_desc-brain_mask.nii.gz",
        ]);
        let raw = dataset(&["task-movie_events.tsv"]);
        let query = RunQuery { raw_root: Some(raw.path().to_owned()), ..query() };
        let runs = find_runs(root.path(), &query).unwrap();
        assert_eq!(runs[0].events.as_deref(), Some(raw.path().join("task-movie_events.tsv").as_path()));
    }
}
