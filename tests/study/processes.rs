//! The program itself: run twice at once, run with other threads, in other places. The results are the same bytes.

use super::bench::{printed, program, scratch, tiny};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};
use tempfile::TempDir;

pub(super) const RUN: [&str; 2] = ["run", "tiny.toml"];

/// A folder with the tiny study, or nothing to run it with.
pub(super) fn place() -> Option<TempDir> {
    crate::model::runtime().then(|| {
        let folder = scratch();
        fs::write(folder.path().join("tiny.toml"), tiny()).expect("writable");
        folder
    })
}

/// Every record of a cache by its key. What a killed process left of a file it was writing is not one.
fn record_files(cache: &Path) -> BTreeMap<String, serde_json::Value> {
    let entries = walkdir::WalkDir::new(cache.join("records")).into_iter().flatten();
    let files = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json"));
    let record = |path: &Path| serde_json::from_slice(&fs::read(path).expect("readable")).expect("a whole record");
    let key = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
    files.map(|entry| (key(entry.path()), record(entry.path()))).collect()
}

/// The output digest of every key in a cache.
pub(super) fn records(cache: &Path) -> BTreeMap<String, String> {
    let output = |record: serde_json::Value| record["output"].as_str().expect("a digest").to_owned();
    record_files(cache).into_iter().map(|(key, record)| (key, output(record))).collect()
}

/// The folders that a cache has published; none if there is no cache yet.
pub(super) fn artifacts(cache: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(cache.join("artifacts")).min_depth(2).max_depth(2).into_iter().flatten();
    entries.map(walkdir::DirEntry::into_path).collect()
}

/// What a run of the tiny study leaves where nothing disturbs it.
pub(super) fn undisturbed() -> Option<BTreeMap<String, String>> {
    let folder = place()?;
    printed(program(folder.path(), &RUN));
    Some(records(&folder.path().join("cache")))
}

/// Fails unless every file that a record names is there and has the digest that the record gives it.
pub(super) fn assert_recorded_files_are_whole(cache: &Path) {
    for record in record_files(cache).into_values() {
        let output = record["output"].as_str().expect("a digest");
        let folder = cache.join("artifacts").join(&output[..2]).join(output);
        for file in record["files"].as_array().expect("a list") {
            let path = folder.join(file["path"].as_str().expect("a path"));
            let digest = hebb::store::hash_file(&path).expect("there").to_string();
            assert_eq!(file["digest"].as_str(), Some(digest.as_str()), "{}", path.display());
        }
    }
}

#[test]
fn two_runs_at_once_compute_every_task_once() {
    let (Some(folder), Some(expected)) = (place(), undisturbed()) else { return };
    let start = |results: &str| {
        let mut run = program(folder.path(), &[&RUN[..], &["--results", results]].concat());
        run.stdout(Stdio::piped()).spawn().expect("it starts")
    };
    let ended = [start("one"), start("other")].map(|run| run.wait_with_output().expect("it ends"));
    let mut computed = 0;
    for output in &ended {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let line = String::from_utf8_lossy(&output.stdout);
        let number = line.split(": ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a count");
        computed += number.parse::<usize>().expect("a number");
    }
    assert_eq!(computed, 52);
    assert_eq!(records(&folder.path().join("cache")), expected);
    assert_recorded_files_are_whole(&folder.path().join("cache"));
}

#[test]
fn runs_at_once_lay_out_one_folder_of_results_in_turn() {
    let Some(folder) = place() else { return };
    printed(program(folder.path(), &RUN));
    let tables = folder.path().join("results/tiny/tables");
    let n_tables = fs::read_dir(&tables).expect("tables").count();
    for _ in 0..4 {
        fs::remove_dir_all(folder.path().join("results")).expect("removable");
        let start = |_| program(folder.path(), &RUN).stdout(Stdio::piped()).spawn().expect("it starts");
        let runs: Vec<_> = (0..8).map(start).collect();
        for run in runs {
            let output = run.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(fs::read_dir(&tables).expect("tables").count(), n_tables);
    }
}

#[test]
fn threads_memory_places_and_names_shape_no_byte() {
    let Some(expected) = undisturbed() else { return };
    assert_eq!(expected.len(), 2 * 52 - n_tasks_without_inputs());
    for (jobs, memory, inside) in [("1", "64", "."), ("2", "64", "deep/er"), ("8", "0.001", "with space")] {
        let Some(folder) = place() else { return };
        let study: PathBuf = folder.path().join(inside).join("renamed.toml");
        fs::create_dir_all(study.parent().expect("a folder")).expect("writable");
        fs::rename(folder.path().join("tiny.toml"), &study).expect("movable");
        let study = study.to_string_lossy().into_owned();
        let run = ["run", &study, "--jobs", jobs, "--memory", memory, "--cache", "elsewhere", "--results", "shown"];
        printed(program(folder.path(), &run));
        assert_eq!(records(&folder.path().join("elsewhere")), expected, "--jobs {jobs} --memory {memory}");
        let other = ["run", &study, "--jobs", "3", "--cache", "elsewhere"];
        assert!(printed(program(folder.path(), &other)).contains(": 0 computed, 52 cached"));
    }
}

/// Scenes and weights: without inputs, the recipe key is the content key, and there is one record.
fn n_tasks_without_inputs() -> usize {
    2
}
