//! The files of a subject's runs, found by their BIDS names.
//!
//! Looks through `sub-*/func` and `sub-*/ses-*/func` of a derivatives folder laid out as fMRIPrep does it, and for events
//! and sidecars also further up and through the raw dataset. Guesses nothing: where two files answer, the error says what
//! to set, for all runs at once.
//!
//! Two files are of one run if their names differ only in space, resolution, density, description or echo. A single echo
//! is a part of a run: where the combination of all echoes is there too, that one is the run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::companions::{brain_mask, confounds, events};
use super::inherit::{Folders, applicable, repetition_time};
use super::{Entities, RunQuery, natural_order};
use crate::format::annex::Unfetched;
use crate::format::runs::naming::bare;
use crate::format::runs::{FindError, RunFiles, RunLabels, RunProblem, SeriesKind, file_names, is_named};

/// Entities that tell versions of one run apart, and not runs, with the field of the query that chooses between them.
const VERSION_FIELDS: [(&str, &str); 5] =
    [("space", "space"), ("res", "resolution"), ("den", "density"), ("desc", "desc"), ("echo", "echo")];

/// A series file and what its name says.
pub(super) struct FoundSeries {
    /// Name of its run.
    pub(super) run: String,
    pub(super) kind: SeriesKind,
    pub(super) entities: Entities,
    pub(super) folder: PathBuf,
}

impl FoundSeries {
    fn path(&self) -> PathBuf {
        self.folder.join(self.entities.to_string())
    }

    /// The run's entities, without those of the version.
    fn run_entities(&self) -> Entities {
        VERSION_FIELDS.iter().fold(self.entities.clone(), |run, (key, _)| run.without(key))
    }
}

/// Finds the runs of a subject, in natural order of their names.
///
/// # Errors
/// If the subject or any run is not there; and, all told at once, if a run exists in several versions, has no brain mask,
/// has a sidecar that is not usable, or has files that are not fetched.
pub fn find_runs(root: &Path, query: &RunQuery) -> Result<Vec<RunFiles>, FindError> {
    let mut found = series_of_subject(root, query)?;
    found.sort_by(|a, b| natural_order(&a.run, &b.run).then_with(|| a.path().cmp(&b.path())));
    let mut folders = Folders::default();
    let (mut runs, mut problems) = (Vec::new(), Vec::new());
    let mut missing_content: Vec<Unfetched> = Vec::new();
    for versions in found.chunk_by(|a, b| a.run == b.run) {
        let first = &versions[0];
        let (run, mut wrong, unfetched) = match one_version(query, versions) {
            Ok(series) => {
                let (run, wrong) = files_of_run(&mut folders, root, query, series);
                let unfetched = run.unfetched();
                (run, wrong, unfetched)
            }
            Err(problem) => (RunFiles::of_series(&first.run, first.kind, &first.path()), vec![problem], Vec::new()),
        };
        let run = RunFiles { labels: RunLabels::of_entities(&first.run_entities().pairs), ..run };
        if wrong.is_empty() && unfetched.is_empty() {
            runs.push(run);
        } else if query.runs.is_empty() || query.runs.iter().any(|told| run.matches(told)) {
            wrong.retain_mut(|problem| match problem {
                RunProblem::Unfetched { files } => {
                    missing_content.append(files);
                    false
                }
                _ => true,
            });
            missing_content.extend(unfetched);
            problems.append(&mut wrong);
        }
    }
    problems.extend(RunProblem::of_unfetched(missing_content));
    if problems.is_empty() { Ok(runs) } else { Err(FindError::Runs { root: root.to_owned(), problems }) }
}

/// The series of the subject that the query accepts.
fn series_of_subject(root: &Path, query: &RunQuery) -> Result<Vec<FoundSeries>, FindError> {
    let (mut found, mut available) = (Vec::new(), Vec::new());
    for folder in func_folders(root, query)? {
        for name in file_names(&folder)? {
            let Ok(entities) = Entities::parse(&name) else { continue };
            let kind = match entities.extension.as_str() {
                ".nii" | ".nii.gz" => SeriesKind::Volume,
                ".dtseries.nii" => SeriesKind::Grayordinates,
                _ => continue,
            };
            if entities.suffix != "bold" || folder.join(&name).is_dir() {
                continue;
            }
            available.push(name);
            if query.accepts(&entities, kind) {
                let mut series = FoundSeries { run: String::new(), kind, entities, folder: folder.clone() };
                series.run = series.run_entities().stem();
                found.push(series);
            }
        }
    }
    if found.is_empty() {
        available.sort_by(|a, b| natural_order(a, b));
        return Err(FindError::NoRuns { root: root.to_owned(), query: query.in_words(), available });
    }
    Ok(found)
}

/// The one version of a run that is meant.
fn one_version<'a>(query: &RunQuery, versions: &'a [FoundSeries]) -> Result<&'a FoundSeries, RunProblem> {
    let values = |versions: &[&FoundSeries], key: &str, absent: &str| -> Vec<String> {
        let values = versions.iter().map(|series| series.entities.get(key).unwrap_or(absent).to_owned());
        let mut values: Vec<String> = values.collect::<BTreeSet<_>>().into_iter().collect();
        values.sort_by(|a, b| natural_order(a, b));
        values
    };
    let mut left: Vec<&FoundSeries> = versions.iter().collect();
    let run = versions[0].run.clone();
    if query.echo.is_none() {
        let combined: Vec<&FoundSeries> =
            left.iter().copied().filter(|series| series.entities.get("echo").is_none()).collect();
        if combined.is_empty() && values(&left, "echo", "").len() > 1 {
            return Err(RunProblem::OnlyEchoes { run, found: values(&left, "echo", "") });
        }
        if !combined.is_empty() {
            left = combined;
        }
    }
    for (key, field) in VERSION_FIELDS {
        let found = values(&left, key, if key == "space" { "none (native)" } else { "none" });
        if found.len() > 1 {
            return Err(RunProblem::Ambiguous { run, field, found });
        }
    }
    let kinds: BTreeSet<SeriesKind> = left.iter().map(|series| series.kind).collect();
    if kinds.len() > 1 {
        let found = kinds.iter().map(ToString::to_string).collect();
        return Err(RunProblem::Ambiguous { run, field: "kind", found });
    }
    match left[..] {
        [one] => Ok(one),
        _ => {
            let found = left.iter().map(|series| series.entities.to_string()).collect();
            Err(RunProblem::Copies { run, what: "series", found })
        }
    }
}

/// The files of a run, and all that is wrong with them.
fn files_of_run(
    folders: &mut Folders,
    root: &Path,
    query: &RunQuery,
    series: &FoundSeries,
) -> (RunFiles, Vec<RunProblem>) {
    let mut run = RunFiles::of_series(&series.run, series.kind, &series.path());
    let mut problems = Vec::new();
    if !is_named(&run.bold) {
        problems.push(RunProblem::BrokenLink { run: series.run.clone(), path: run.bold.clone() });
    }
    run.space = series.entities.get("space").map(str::to_owned);
    if series.kind == SeriesKind::Volume {
        match brain_mask(folders, root, series) {
            Ok((mask, note)) => {
                run.mask = Some(mask);
                run.notes.extend(note);
            }
            Err(problem) => problems.push(problem),
        }
    }
    (run.confounds, run.confounds_json) = confounds(series);
    run.events = events(folders, root, query, series);

    let mut sidecars = |root: &Path, folder: &Path| {
        let files = applicable(folders, root, folder, &series.entities, "bold", &[".json", ".dtseries.json"]);
        repetition_time(&series.run, &files)
    };
    let mut time = sidecars(root, &series.folder);
    if let (Ok(None), Some(raw), Ok(inside)) = (&time, &query.raw_root, series.folder.strip_prefix(root)) {
        time = sidecars(raw, &raw.join(inside));
    }
    match time {
        Ok(seconds) => run.repetition_time_s = seconds,
        Err(problem) => problems.push(problem),
    }
    (run, problems)
}

fn func_folders(root: &Path, query: &RunQuery) -> Result<Vec<PathBuf>, FindError> {
    let subject = format!("sub-{}", bare("sub", &query.subject));
    let folder = root.join(&subject);
    if !folder.is_dir() {
        let mut available: Vec<String> =
            file_names(root)?.into_iter().filter(|name| name.starts_with("sub-") && root.join(name).is_dir()).collect();
        available.sort_by(|a, b| natural_order(a, b));
        return Err(FindError::NoSubject { root: root.to_owned(), subject, available });
    }
    let inside = file_names(&folder)?;
    if inside.is_empty() {
        return Err(FindError::EmptyFolder { path: folder });
    }
    let mut folders = vec![folder.join("func")];
    let sessions = inside.into_iter().filter(|name| name.starts_with("ses-") && query.accepts_session(name));
    folders.extend(sessions.map(|name| folder.join(name).join("func")));
    folders.retain(|folder| folder.is_dir());
    Ok(folders)
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
