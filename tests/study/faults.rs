//! What a machine does to a run: killed, started sixteen times at once, out of room, not writable, with other clocks.
//!
//! `make faults` runs the heavy repetition, a thousand kills.

use super::{
    bench::{copy_folder, printed, program, scratch, tiny},
    processes::{RUN, artifacts, assert_recorded_files_are_whole, place, records, undisturbed},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Kills runs one after the other, each when so many results are published, and asks for the same bytes in the end.
fn kill_at(moments: impl Iterator<Item = (usize, Duration)>) {
    let (Some(folder), Some(expected)) = (place(), undisturbed()) else { return };
    let cache = folder.path().join("cache");
    let mut n_killed = 0;
    // A moment is given by what is published, not by a clock alone, so that a slow machine is killed in the middle too.
    for (n_published, delay) in moments {
        let mut run =
            program(folder.path(), &RUN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        while artifacts(&cache).len() < n_published && run.try_wait().expect("a child").is_none() {
            std::thread::sleep(Duration::from_micros(500));
        }
        std::thread::sleep(delay);
        n_killed += usize::from(run.try_wait().expect("a child").is_none());
        run.kill().expect("it can be killed, also when it has ended");
        run.wait().expect("it has ended");
        assert_recorded_files_are_whole(&cache);
    }
    printed(program(folder.path(), &RUN));
    assert_eq!(records(&cache), expected, "{n_killed} runs were killed in the middle");
    assert_eq!(shown(folder.path()), shown_undisturbed(), "{n_killed} runs were killed in the middle");
    assert!(printed(program(folder.path(), &RUN)).contains(": 0 computed, 52 cached"));
    printed(program(folder.path(), &["cache", "verify"]));
    // What the killed left is swept, and nothing else.
    printed(program(folder.path(), &["cache", "gc", "--grace", "0"]));
    for left in ["partial", "locks"] {
        assert_eq!(fs::read_dir(cache.join(left)).expect("readable").count(), 0, "{left}");
    }
    assert_eq!(records(&cache), expected);
    println!("{n_killed} runs were killed in the middle");
}

/// Tables and maps as `hebb run` lays them out. The page tells how long each task took.
fn shown(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let results = folder.join("results/tiny");
    let files =
        ["tables", "maps"].into_iter().flat_map(|part| walkdir::WalkDir::new(results.join(part)).sort_by_file_name());
    let files = files.map(|entry| entry.expect("readable")).filter(|entry| entry.file_type().is_file());
    let inside = |path: &Path| path.strip_prefix(&results).expect("walked from there").to_owned();
    files.map(|entry| (inside(entry.path()), fs::read(entry.path()).expect("readable"))).collect()
}

fn shown_undisturbed() -> Vec<(PathBuf, Vec<u8>)> {
    let folder = scratch();
    fs::write(folder.path().join("tiny.toml"), tiny()).expect("writable");
    printed(program(folder.path(), &RUN));
    let shown = shown(folder.path());
    assert!(shown.len() > 5);
    shown
}

#[test]
fn killed_a_hundred_times_a_run_ends_in_the_same_bytes() {
    kill_at(moments(7, 100));
}

#[test]
#[ignore = "some minutes: `make faults`"]
fn killed_a_thousand_times_runs_end_in_the_same_bytes() {
    for seed in 0..10 {
        kill_at(moments(seed, 100));
    }
}

/// Moments from the first to the last task, each a little after a result is there.
fn moments(seed: u64, n: usize) -> impl Iterator<Item = (usize, Duration)> {
    let mut state = seed;
    (0..n).map(move |turn| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (turn * 52 / n, Duration::from_micros((state >> 33) % 30_000))
    })
}

#[test]
fn sixteen_runs_at_once_compute_every_task_once() {
    let (Some(folder), Some(expected)) = (place(), undisturbed()) else { return };
    let start = |turn: usize| {
        let results = format!("results-{turn}");
        let mut run = program(folder.path(), &[&RUN[..], &["--jobs", "2", "--results", &results]].concat());
        run.stdout(Stdio::piped()).spawn().expect("it starts")
    };
    let runs: Vec<_> = (0..16).map(start).collect();
    let mut computed = 0;
    for run in runs {
        let output = run.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", text(&output));
        let line = String::from_utf8_lossy(&output.stdout);
        let number = line.split(": ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a count");
        computed += number.parse::<usize>().expect("a number");
    }
    assert_eq!(computed, 52);
    let cache = folder.path().join("cache");
    assert_eq!(records(&cache), expected);
    assert!(printed(program(folder.path(), &["cache", "verify"])).contains("all are whole"));
    assert_eq!(fs::read_dir(cache.join("locks")).expect("readable").count(), 0);
}

/// A file system of its own, gone with this.
struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// Mounts memory of so many bytes, or says why not.
    fn new(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).expect("writable");
        let options = format!("size={size}");
        match Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output() {
            Ok(output) if output.status.success() => Some(Self { at: at.to_owned() }),
            other => {
                eprintln!("skipped: no file system can be mounted here: {other:?}");
                None
            }
        }
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.at).status();
        assert!(status.expect("it starts").success(), "remount with {options}");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a process that ended badly may still have a file open.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_full_disk_is_told_with_its_folder_and_the_next_run_goes_on() {
    let (Some(folder), Some(expected)) = (place(), undisturbed()) else { return };
    let cache = folder.path().join("cache");
    let Some(disk) = Mounted::new(&cache, "1200k") else { return };
    for size in ["1200k", "1900k", "2600k"] {
        disk.remount(&format!("size={size}"));
        let output = program(folder.path(), &RUN).output().expect("it starts");
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        let told = format!("no room is left in `{}`", cache.canonicalize().expect("there").display());
        assert!(text(&output).contains(&told), "{}", text(&output));
        assert_recorded_files_are_whole(&cache);
    }
    disk.remount("size=64m");
    let n_before = records(&cache).len();
    assert!((1..expected.len()).contains(&n_before), "{n_before} records of {}", expected.len());
    let line = printed(program(folder.path(), &RUN));
    assert!(!line.contains(": 52 computed"), "what was published stays: {line}");
    assert_eq!(records(&cache), expected);
    assert!(printed(program(folder.path(), &["cache", "verify"])).contains("all are whole"));
}

#[test]
fn a_read_only_cache_serves_what_it_has_and_says_at_once_what_it_cannot() {
    let Some(folder) = place() else { return };
    let cache = folder.path().join("cache");
    let Some(disk) = Mounted::new(&cache, "64m") else { return };
    printed(program(folder.path(), &RUN));
    disk.remount("ro");
    assert!(
        printed(program(folder.path(), &["run", "tiny.toml", "--results", "new"])).contains(": 0 computed, 52 cached")
    );
    assert!(printed(program(folder.path(), &["plan", "tiny.toml"])).contains("all 52 tasks are cached"));
    for command in [&["status", "tiny.toml"][..], &["check", "tiny.toml"], &["cache", "verify"], &["cache", "size"]] {
        printed(program(folder.path(), command));
    }
    let edited = tiny().replace("penalty = 0.15", "penalty = 0.2");
    fs::write(folder.path().join("tiny.toml"), edited).expect("writable");
    let output = program(folder.path(), &RUN).output().expect("it starts");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let told = text(&output);
    assert!(told.contains("error: cannot write in `") && told.contains("Read-only file system"), "{told}");
    assert!(!told.contains("[1/"), "nothing was computed: {told}");
    // Somewhere else it runs.
    copy_folder(&cache, &folder.path().join("other"));
    printed(program(folder.path(), &["run", "tiny.toml", "--cache", "other"]));
}

#[test]
fn times_of_1970_and_2100_in_the_cache_mean_nothing() {
    let (Some(folder), Some(expected)) = (place(), undisturbed()) else { return };
    printed(program(folder.path(), &RUN));
    let cache = folder.path().join("cache");
    for (turn, seconds) in [0_u64, 4_102_444_800].into_iter().enumerate() {
        let time: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds);
        for entry in walkdir::WalkDir::new(&cache).into_iter().map(|entry| entry.expect("readable")) {
            fs::File::open(entry.path()).and_then(|file| file.set_modified(time)).expect("settable");
        }
        assert!(printed(program(folder.path(), &RUN)).contains(": 0 computed, 52 cached"));
        let text = tiny().replace("penalty = 0.15", &format!("penalty = 0.{}", 2 + turn));
        fs::write(folder.path().join("tiny.toml"), text).expect("writable");
        assert!(!printed(program(folder.path(), &RUN)).contains(": 0 computed"));
        fs::write(folder.path().join("tiny.toml"), tiny()).expect("writable");
    }
    printed(program(folder.path(), &RUN));
    let now = records(&cache);
    assert!(expected.iter().all(|(key, output)| now.get(key) == Some(output)));
    // A collection takes a time in the future for young, whatever the clock says.
    let stamp: SystemTime = UNIX_EPOCH + Duration::from_secs(4_102_444_800);
    for path in artifacts(&cache) {
        fs::File::open(path).and_then(|file| file.set_modified(stamp)).expect("settable");
    }
    let n_before = artifacts(&cache).len();
    printed(program(folder.path(), &["cache", "gc"]));
    assert_eq!(artifacts(&cache).len(), n_before);
}
