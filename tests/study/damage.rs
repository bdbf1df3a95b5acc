//! Results that changed since they were published: told, set aside, made again.

use super::bench::{Bench, LIMITS, Ran, printed, program, tiny};
use hebb::store::Digest;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

const RUN_2: &str = "bold/sub-01/run-2";

/// A change that makes fits run again, which read every run.
const EDIT: (&str, &str) = ("[1, 100, 10_000]", "[1, 100, 20_000]");

fn write(file: &Path, bytes: &[u8]) {
    fs::remove_file(file).expect("removable");
    fs::write(file, bytes).expect("writable");
}

pub(super) fn flip(file: &Path) {
    let mut bytes = fs::read(file).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    write(file, &bytes);
}

/// What lies in the folder of damaged results.
fn aside(cache: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache.join("damaged")).into_iter().flatten();
    entries.map(|entry| entry.expect("readable").path()).collect()
}

/// The digests after [`EDIT`] where nothing was damaged.
fn whole_after_edit(bench: &Bench) -> BTreeMap<String, Digest> {
    let other = bench.copy();
    other.edit(&[EDIT]);
    other.run();
    other.plan().outputs()
}

#[test]
fn a_damaged_input_is_told_set_aside_and_made_again_to_the_same_bytes() {
    let Some(bench) = Bench::tiny() else { return };
    let whole = whole_after_edit(&bench);
    let half = |file: &Path| write(file, &fs::read(file).expect("readable")[..100]);
    type Harm<'a> = (&'a str, &'a dyn Fn(&Path));
    let harms: [Harm<'_>; 5] = [
        ("`bold.npy` holds other bytes than were published", &|folder| flip(&folder.join("bold.npy"))),
        ("`bold.npy` has 100 bytes, expected ", &|folder| half(&folder.join("bold.npy"))),
        ("`bold.npy` has 0 bytes, expected ", &|folder| write(&folder.join("bold.npy"), b"")),
        ("`bold.npy` is gone", &|folder| fs::remove_file(folder.join("bold.npy")).expect("removable")),
        ("`more/extra.tsv` was never published", &|folder| {
            fs::create_dir(folder.join("more")).expect("writable");
            fs::write(folder.join("more/extra.tsv"), b"a").expect("writable");
        }),
    ];
    for (told, harm) in harms {
        let bench = bench.copy();
        let folder = bench.plan().artifact(RUN_2);
        harm(&folder);
        bench.edit(&[EDIT]);
        let ran = bench.run();
        assert_eq!(ran.failed, BTreeMap::new(), "{told}");
        assert!(ran.computed.contains(RUN_2), "{told}");
        assert_eq!(ran.damaged.keys().collect::<Vec<_>>(), [RUN_2], "{told}: {:?}", ran.damaged);
        let message = &ran.damaged[RUN_2];
        assert!(message.contains(told) && message.contains("/damaged/"), "{message}");
        assert_eq!(aside(&bench.cache()).len(), 1, "{told}");
        assert!(ran.computed.iter().filter(|id| id.starts_with("bold/")).count() == 1, "nothing else is made again");
        assert!(ran.differed.is_empty(), "{told}");
        assert_eq!(bench.plan().outputs(), whole, "{told}");
    }
}

#[test]
fn rows_of_a_damaged_result_are_not_taken_over() {
    // A picture less in each run: all rows are known, from a result that is damaged.
    let Some(bench) = Bench::tiny() else { return };
    let edit = ("images_per_run = 12", "images_per_run = 11");
    let whole = {
        let other = bench.copy();
        other.edit(&[edit]);
        assert!(other.run().damaged.is_empty());
        other.plan().outputs()
    };
    flip(&bench.plan().artifact("extract/clip/vision/000").join("units.npy"));
    bench.edit(&[edit]);
    let ran = bench.run();
    assert!(ran.damaged["extract/clip/vision/000"].contains("not those that were published"), "{:?}", ran.damaged);
    assert_eq!(bench.plan().outputs(), whole);
    assert_eq!(aside(&bench.cache()).len(), 1);
}

#[test]
fn what_a_damaged_result_is_made_of_is_made_again_too() {
    let Some(bench) = Bench::tiny() else { return };
    let whole = whole_after_edit(&bench);
    flip(&bench.plan().artifact(RUN_2).join("bold.npy"));
    fs::remove_dir_all(bench.plan().artifact("simulate/sub-01")).expect("removable");
    flip(&bench.plan().artifact("bold/sub-01/run-3").join("bold.npy"));
    bench.edit(&[EDIT]);
    let ran = bench.run();
    assert_eq!((ran.failed.len(), ran.blocked.len()), (0, 0), "{:?}", ran.failed);
    for id in [RUN_2, "simulate/sub-01", "bold/sub-01/run-3"] {
        assert!(ran.computed.contains(id), "{id}: {:?}", ran.computed);
    }
    assert_eq!(ran.damaged.len(), 2, "{:?}", ran.damaged);
    assert_eq!(bench.plan().outputs(), whole);
}

#[test]
fn a_task_looks_at_the_files_that_it_reads_and_verification_at_all() {
    let Some(bench) = Bench::tiny() else { return };
    // A report tells what a fit found, and never reads its weights, of which maps are made.
    let fit = bench.plan().artifact("encode/sub-01/clip/patterns");
    flip(&fit.join("weights.npy"));
    fs::remove_dir_all(bench.plan().artifact("report")).expect("removable");
    let ran = bench.run();
    ran.assert_computed("report");
    assert!(ran.damaged.is_empty(), "{:?}", ran.damaged);
    let verified = program(bench.folder(), &["cache", "verify"]).output().expect("it starts");
    assert_eq!(verified.status.code(), Some(1));
    let told = String::from_utf8_lossy(&[verified.stdout, verified.stderr].concat()).into_owned();
    assert!(told.contains("`weights.npy` holds other bytes"), "{told}");
    fs::remove_dir_all(bench.plan().artifact("maps/sub-01/clip")).expect("removable");
    let ran = bench.run();
    ran.assert_computed("encode/sub-01/clip/patterns maps/sub-01/clip");
    assert_eq!(ran.damaged.keys().collect::<Vec<_>>(), ["encode/sub-01/clip/patterns"]);
}

#[test]
fn a_damaged_report_is_made_again_before_it_is_shown() {
    let Some(bench) = Bench::tiny() else { return };
    let run = ["run", "study.toml"];
    printed(program(bench.folder(), &run));
    let page = fs::read(bench.folder().join("results/tiny/tables/scores.tsv")).expect("readable");
    let plan = program(bench.folder(), &["run", "study.toml"]);
    printed(plan);
    let scores = walkdir::WalkDir::new(bench.cache().join("artifacts")).into_iter().flatten();
    let scores: Vec<_> = scores.filter(|entry| entry.path().ends_with("tables/scores.tsv")).collect();
    assert!(!scores.is_empty());
    scores.iter().for_each(|entry| flip(entry.path()));
    fs::remove_dir_all(bench.folder().join("results")).expect("removable");
    let output = program(bench.folder(), &run).output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("the result of report is damaged: `tables/scores.tsv` holds other bytes"), "{told}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(": 1 computed, 51 cached, 1 damaged and set aside"));
    assert_eq!(fs::read(bench.folder().join("results/tiny/tables/scores.tsv")).expect("readable"), page);
}

#[test]
fn flipped_bits_beside_the_artifacts_change_no_answer() {
    let Some(bench) = Bench::tiny() else { return };
    let whole = bench.plan().outputs();
    // Every note and the memo: nothing is computed.
    for entry in walkdir::WalkDir::new(bench.cache().join("studies")).into_iter().flatten() {
        if entry.file_type().is_file() {
            flip(entry.path());
        }
    }
    bench.run().assert_computed("");
    // One task's records, with nothing else that knows it: it is made again, and the records are set aside.
    fs::remove_dir_all(bench.cache().join("studies")).expect("removable");
    let key = bench.plan().plan.node(bench.plan().plan.find("report").expect("a task")).recipe;
    let content = bench.plan().store.lookup(&key).expect("recorded").content;
    for key in [key, content] {
        let name = key.to_string();
        flip(&bench.cache().join("records").join(&name[..2]).join(format!("{name}.json")));
    }
    let ran = bench.run();
    ran.assert_computed("report");
    assert!(ran.damaged["report"].contains("record does not read"), "{:?}", ran.damaged);
    assert_eq!(aside(&bench.cache()).len(), 2);
    assert_eq!(bench.plan().outputs(), whole);
}

#[test]
fn a_run_killed_by_nothing_finds_a_vanished_file_by_its_name() {
    let Some(bench) = Bench::files() else { return };
    fs::remove_dir_all(bench.cache()).expect("removable");
    let planned = bench.plan();
    let name = "sub-02_task-simulated_run-3_space-schematic_desc-preproc_bold.nii.gz";
    fs::remove_file(bench.folder().join("inputs/derivatives/sub-02/func").join(name)).expect("removable");
    let ran: Ran = planned.run(LIMITS, &AtomicBool::new(false), |_| {});
    assert_eq!(ran.failed.keys().collect::<Vec<_>>(), ["bold/sub-02/run-3"]);
    assert!(ran.failed["bold/sub-02/run-3"].contains(name), "{:?}", ran.failed);
}

#[test]
fn verify_finds_every_damage_and_the_next_run_mends_it() {
    let Some(bench) = Bench::tiny() else { return };
    let run = ["run", "study.toml"];
    printed(program(bench.folder(), &run));
    let whole = bench.plan().outputs();
    let hebb = |arguments: &[&str]| program(bench.folder(), arguments).output().expect("it starts");
    assert!(hebb(&["cache", "verify"]).status.success());
    flip(&bench.plan().artifact(RUN_2).join("bold.npy"));
    fs::write(bench.plan().artifact("report").join("extra"), b"").expect("writable");
    let n_before = fs::read_dir(bench.cache()).expect("readable").count();
    let output = hebb(&["cache", "verify"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("`bold.npy` holds other bytes") && told.contains("`extra` was never published"), "{told}");
    assert_eq!(fs::read_dir(bench.cache()).expect("readable").count(), n_before, "nothing was moved");
    let output = hebb(&["cache", "verify", "--set-aside", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told["damaged"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!(aside(&bench.cache()).len(), 2);
    assert!(hebb(&["cache", "verify"]).status.success());
    bench.edit(&[EDIT]);
    bench.run();
    bench.write(&tiny());
    bench.run();
    assert_eq!(bench.plan().outputs(), whole);
}
