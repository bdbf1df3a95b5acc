//! What a failure, a damage or a cancellation costs: that task and what needs it, and nothing that was done before.

use super::bench::{Bench, LIMITS, chosen, tiny};
use hebb::{
    executor::{self, Event, Limits},
    plan::{Plan, StudyNote, Targets, assess},
    store::Store,
    task::{Compute, Kind, TaskError, Workbench},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

#[test]
fn a_failed_task_blocks_its_dependants_only_and_the_next_run_goes_on() {
    let Some(bench) = Bench::files() else { return };
    let whole = bench.plan().outputs();
    let name = "sub-02_task-simulated_run-3_space-schematic_desc-preproc_bold.nii.gz";
    let path = bench.folder().join("inputs/derivatives/sub-02/func").join(name);
    let bytes = fs::read(&path).expect("readable");
    fs::remove_dir_all(bench.cache()).expect("removable");

    // The header can be read, so the study checks; the volumes are not all there.
    fs::write(&path, &bytes[..bytes.len() - 200]).expect("writable");
    let ran = bench.run();
    let blocked =
        "encode/sub-02/* null/sub-02/* prediction/sub-02/* maps/sub-02/* redundancy/sub-02/* polarity/sub-02/* report";
    assert_eq!(ran.failed.keys().collect::<Vec<_>>(), ["bold/sub-02/run-3"]);
    assert!(ran.failed["bold/sub-02/run-3"].contains(name), "the message names the file: {:?}", ran.failed);
    assert_eq!(ran.blocked, chosen(&ran.all, blocked));
    assert_eq!(ran.computed.len() + ran.blocked.len() + 1, ran.all.len());
    assert_eq!((ran.summary.failed, ran.summary.blocked), (1, ran.blocked.len()));

    fs::write(&path, &bytes).expect("writable");
    bench.run().assert_computed(&format!("bold/sub-02/run-3 {blocked}"));
    assert_eq!(bench.plan().outputs(), whole);
}

#[test]
fn a_truncated_result_is_made_again_and_nothing_after_it() {
    let Some(bench) = Bench::tiny() else { return };
    let whole = bench.plan().outputs();
    truncate(&bench.plan().artifact("bold/sub-01/run-2").join("bold.npy"));
    assert!(bench.plan().to_run().is_empty(), "nothing asks for it");
    // A fit that asks for it.
    fs::remove_dir_all(bench.plan().artifact("encode/sub-01/clip/patterns")).expect("removable");
    assert!(bench.plan().to_run().is_empty(), "nothing asks for that either");
    fs::remove_dir_all(bench.plan().artifact("report")).expect("removable");
    let ran = bench.run();
    ran.assert_computed("bold/sub-01/run-2 encode/sub-01/clip/patterns report");
    assert_eq!(bench.plan().outputs(), whole);
}

#[test]
fn a_result_that_nothing_needs_is_not_made_again() {
    let Some(bench) = Bench::tiny() else { return };
    for id in ["stimuli", "weights/clip", "extract/clip/vision/000"] {
        fs::remove_dir_all(bench.plan().artifact(id)).expect("removable");
    }
    let ran = bench.run();
    ran.assert_computed("");
    assert_eq!((ran.summary.cached, ran.all.len()), (49, 52));
    // An edit far behind them asks for none of them.
    bench.edit(&[("penalty = 0.15", "penalty = 0.2")]);
    bench.run().assert_computed("pattern encode/*/patterns null prediction maps redundancy polarity recovery report");
    // One just behind them does.
    bench.edit(&[("\"glover\"", "\"spm\"")]);
    let ran = bench.run();
    assert!(ran.computed.contains("extract/clip/vision/000") && ran.computed.contains("stimuli"), "{:?}", ran.computed);
    assert!(!ran.computed.contains("simulate/sub-02"));
}

#[test]
fn without_records_all_is_computed_again_to_the_same_bytes() {
    let Some(bench) = Bench::tiny() else { return };
    let whole = bench.plan().outputs();
    fs::remove_dir_all(bench.cache().join("records")).expect("removable");
    fs::remove_dir_all(bench.cache().join("studies")).expect("removable");
    let ran = bench.run();
    assert_eq!(ran.computed, ran.all);
    assert_eq!(bench.plan().outputs(), whole);
}

#[test]
fn a_cancelled_run_leaves_the_cache_whole_and_the_next_one_finishes() {
    let Some(undisturbed) = Bench::tiny() else { return };
    for stop_after in [1, 7, 20] {
        let bench = Bench::new(&tiny());
        let cancelled = AtomicBool::new(false);
        let mut started = 0;
        let ran = bench.plan().run(LIMITS, &cancelled, |event| {
            started += usize::from(matches!(event, Event::Started { .. }));
            cancelled.store(started >= stop_after, Ordering::Relaxed);
        });
        assert!(ran.summary.cancelled);
        assert_eq!((ran.failed, ran.blocked.len()), (BTreeMap::new(), 0), "cancelling is no failure");
        assert!(ran.computed.len() <= stop_after);
        let next = bench.run();
        assert_eq!(next.computed.len() + ran.computed.len(), next.all.len(), "nothing is done twice");
        assert_eq!(bench.plan().outputs(), undisturbed.plan().outputs());
    }
}

/// A task that does what its name says.
#[derive(Debug, Serialize)]
struct Scripted {
    name: &'static str,
}

impl Compute for Scripted {
    const KIND: Kind = Kind::Encode;

    fn memory_bytes(&self) -> u64 {
        1 << 30
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        match self.name {
            "panics" => panic!("on purpose"),
            "refuses" => Err(TaskError::Unanswerable("no".to_owned())),
            _ => bench.write_json("a.json", &self.name),
        }
    }
}

#[test]
fn a_panic_is_a_failed_task_and_a_task_too_large_for_the_memory_runs_alone() {
    let mut plan = Plan::default();
    let fine = plan.add("fine", Scripted { name: "fine" }, &[], Vec::new());
    let panics = plan.add("panics", Scripted { name: "panics" }, &[], Vec::new());
    let refuses = plan.add("refuses", Scripted { name: "refuses" }, &[], Vec::new());
    let after = plan.add("after", Scripted { name: "after" }, &[("a", fine)], Vec::new());
    plan.add("lost", Scripted { name: "lost" }, &[("a", after), ("b", panics), ("c", refuses)], Vec::new());
    let folder = super::bench::scratch();
    let store = Store::open(folder.path()).expect("writable");
    let assessment = assess(&plan, &store, &StudyNote::default(), &Targets::Ends);
    let mut told = Vec::new();
    let limits = Limits { tasks: 4, memory_bytes: 1 };
    let summary =
        executor::run(&plan, &assessment, &store, limits, &AtomicBool::new(false), &mut |event| match event {
            Event::Failed { id, error, .. } => told.push(format!("{id}: {error}")),
            Event::Blocked { id, by } => told.push(format!("{id} by {by}")),
            _ => {}
        });
    let summary = summary.expect("writable");
    assert_eq!((summary.computed, summary.failed, summary.blocked), (2, 2, 1));
    assert_eq!(told.len(), 3, "blocked once, though two of its inputs failed: {told:?}");
    assert!(told.iter().any(|line| line == "refuses: no"));
    assert!(told.iter().any(|line| line.starts_with("panics: the task panicked: on purpose")));
}

fn truncate(file: &Path) {
    let bytes = fs::read(file).expect("readable");
    fs::remove_file(file).expect("removable");
    fs::write(file, &bytes[..bytes.len() / 2]).expect("writable");
}
