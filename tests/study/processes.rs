//! The program itself: killed, run twice at once, run with other threads, in other places. The results are the same bytes.

use super::bench::{printed, program, scratch, tiny};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;

const RUN: [&str; 2] = ["run", "tiny.toml"];

/// A folder with the tiny study, or nothing to run it with.
fn place() -> Option<TempDir> {
    crate::model::runtime().then(|| {
        let folder = scratch();
        fs::write(folder.path().join("tiny.toml"), tiny()).expect("writable");
        folder
    })
}

/// The output digest of every key in a cache.
fn records(cache: &Path) -> BTreeMap<String, String> {
    let entries = walkdir::WalkDir::new(cache.join("records")).into_iter().map(|entry| entry.expect("readable"));
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let bytes = fs::read(entry.path()).expect("readable");
            let record: serde_json::Value = serde_json::from_slice(&bytes).expect("a whole record");
            let key = entry.path().file_stem().expect("a name").to_string_lossy().into_owned();
            (key, record["output"].as_str().expect("a digest").to_owned())
        })
        .collect()
}

/// What a run of the tiny study leaves where nothing disturbs it.
fn undisturbed() -> Option<BTreeMap<String, String>> {
    let folder = place()?;
    printed(program(folder.path(), &RUN));
    Some(records(&folder.path().join("cache")))
}

/// Digests of all published folders, by name and by what is in them.
fn assert_artifacts_are_whole(cache: &Path) {
    let folders = walkdir::WalkDir::new(cache.join("artifacts")).min_depth(2).max_depth(2);
    for folder in folders.into_iter().map(|entry| entry.expect("readable")) {
        let name = folder.file_name().to_string_lossy().into_owned();
        let record = records_of(cache).into_iter().find(|record| record["output"] == name.as_str());
        // A kill between publishing and recording leaves an artifact without a record, which harms nobody.
        let Some(record) = record else { continue };
        for file in record["files"].as_array().expect("a list") {
            let path = folder.path().join(file["path"].as_str().expect("a path"));
            let digest = hebb::store::hash_file(&path).expect("there").to_string();
            assert_eq!(file["digest"].as_str(), Some(digest.as_str()), "{}", path.display());
        }
    }
}

fn records_of(cache: &Path) -> Vec<serde_json::Value> {
    let entries = walkdir::WalkDir::new(cache.join("records")).into_iter().map(|entry| entry.expect("readable"));
    let files = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json"));
    files.map(|entry| serde_json::from_slice(&fs::read(entry.path()).expect("readable")).expect("whole")).collect()
}

#[test]
fn killed_ten_times_a_run_ends_in_the_same_bytes() {
    let (Some(folder), Some(expected)) = (place(), undisturbed()) else { return };
    let cache = folder.path().join("cache");
    // Moments spread over the half second that the study takes, in an order that looks random.
    for moment_ms in [70, 20, 150, 45, 110, 30, 200, 90, 130, 60] {
        let mut run =
            program(folder.path(), &RUN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(moment_ms));
        run.kill().expect("it can be killed, also when it has ended");
        run.wait().expect("it has ended");
        assert_artifacts_are_whole(&cache);
    }
    printed(program(folder.path(), &RUN));
    assert_eq!(records(&cache), expected);
    assert_artifacts_are_whole(&cache);
    assert!(printed(program(folder.path(), &RUN)).contains(": 0 computed, 44 cached"));
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
    assert_eq!(computed, 44);
    assert_eq!(records(&folder.path().join("cache")), expected);
    assert_artifacts_are_whole(&folder.path().join("cache"));
}

#[test]
fn threads_memory_places_and_names_shape_no_byte() {
    let Some(expected) = undisturbed() else { return };
    assert_eq!(expected.len(), 2 * 44 - n_tasks_without_inputs());
    for (jobs, memory, inside) in [("1", "64", "."), ("2", "64", "deep/er"), ("5", "0.001", "with space")] {
        let Some(folder) = place() else { return };
        let study: PathBuf = folder.path().join(inside).join("renamed.toml");
        fs::create_dir_all(study.parent().expect("a folder")).expect("writable");
        fs::rename(folder.path().join("tiny.toml"), &study).expect("movable");
        let study = study.to_string_lossy().into_owned();
        let run = ["run", &study, "--jobs", jobs, "--memory", memory, "--cache", "elsewhere", "--results", "shown"];
        printed(program(folder.path(), &run));
        assert_eq!(records(&folder.path().join("elsewhere")), expected, "--jobs {jobs} --memory {memory}");
        let other = ["run", &study, "--jobs", "3", "--cache", "elsewhere"];
        assert!(printed(program(folder.path(), &other)).contains(": 0 computed, 44 cached"));
    }
}

/// Scenes and weights: without inputs, the recipe key is the content key, and there is one record.
fn n_tasks_without_inputs() -> usize {
    2
}
