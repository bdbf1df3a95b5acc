//! Results that changed since they were published: told, set aside, made again; and tasks that do not behave.
#![expect(clippy::result_large_err, reason = "scripted tasks return what every task returns")]

use super::bench::{Bench, LIMITS, Ran, printed, program, scratch, tiny};
use hebb::{
    executor::{self, Event, Limits, Options, Summary},
    plan::{ExternalFile, Plan, StudyNote, Targets, assess},
    store::{Digest, Store},
    task::{Compute, Kind, TaskError, Workbench},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

const RUN_2: &str = "bold/sub-01/run-2";

/// A change that makes fits run again, which read every run.
const EDIT: (&str, &str) = ("[1, 100, 10_000]", "[1, 100, 20_000]");

fn write(file: &Path, bytes: &[u8]) {
    fs::remove_file(file).expect("removable");
    fs::write(file, bytes).expect("writable");
}

fn flip(file: &Path) {
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

type Act = Box<dyn Fn(&Workbench<'_>) -> Result<(), TaskError> + Send + Sync>;

/// A task that does what its test says; the key knows its name only.
#[derive(Serialize)]
struct Scripted {
    name: &'static str,
    #[serde(skip)]
    act: Act,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Compute for Scripted {
    const KIND: Kind = Kind::Encode;

    fn memory_bytes(&self) -> u64 {
        1
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        (self.act)(bench)
    }
}

fn scripted(
    name: &'static str,
    act: impl Fn(&Workbench<'_>) -> Result<(), TaskError> + Send + Sync + 'static,
) -> Scripted {
    Scripted { name, act: Box::new(act) }
}

fn broken(kind: io::ErrorKind) -> TaskError {
    TaskError::Io { path: "somewhere".into(), source: kind.into() }
}

/// Quick to try again.
fn options() -> Options {
    let limits = Limits { tasks: 2, memory_bytes: 1 << 30 };
    Options { pauses: vec![Duration::from_millis(1), Duration::from_millis(2)], ..limits.into() }
}

/// Runs a plan and gives what was told, without times.
fn run(plan: &Plan, store: &Store, options: Options, cancelled: &AtomicBool) -> (Summary, Vec<String>) {
    let assessment = assess(plan, store, &StudyNote::default(), &Targets::Ends);
    let mut told = Vec::new();
    let summary = executor::run(plan, &assessment, store, options, cancelled, &mut |event| match event {
        Event::Finished { id, .. } => told.push(format!("done {id}")),
        Event::Retried { id, attempt, .. } => told.push(format!("retry {id} {attempt}")),
        Event::Failed { id, error, .. } => told.push(format!("failed {id}: {error}")),
        Event::Damaged { id, damage, .. } => told.push(format!("damaged {id}: {damage}")),
        Event::Revived { id, .. } => told.push(format!("revived {id}")),
        Event::Differed { id, .. } => told.push(format!("differed {id}")),
        _ => {}
    });
    (summary.expect("a writable cache"), told)
}

#[test]
fn what_may_pass_is_tried_three_times_and_nothing_else() {
    for (kind, n_failures, expected) in [
        (io::ErrorKind::TimedOut, 1, vec!["retry a 1", "done a"]),
        (io::ErrorKind::Interrupted, 2, vec!["retry a 1", "retry a 2", "done a"]),
        (
            io::ErrorKind::ResourceBusy,
            3,
            vec!["retry a 1", "retry a 2", "failed a: cannot use `somewhere`: resource busy"],
        ),
        (io::ErrorKind::NotFound, 1, vec!["failed a: cannot use `somewhere`: entity not found"]),
        (io::ErrorKind::PermissionDenied, 1, vec!["failed a: cannot use `somewhere`: permission denied"]),
    ] {
        let turns = AtomicUsize::new(0);
        let mut plan = Plan::default();
        let act = move |bench: &Workbench<'_>| {
            assert_eq!(fs::read_dir(bench.out).expect("readable").count(), 0, "each attempt starts from nothing");
            fs::write(bench.out.join("a"), b"a").expect("writable");
            if turns.fetch_add(1, Ordering::SeqCst) < n_failures { Err(broken(kind)) } else { Ok(()) }
        };
        plan.add("a", scripted("a", act), &[], Vec::new());
        let folder = scratch();
        let store = Store::open(folder.path()).expect("writable");
        assert_eq!(run(&plan, &store, options(), &AtomicBool::new(false)).1, expected, "{kind}");
    }
}

#[test]
fn a_pause_ends_when_the_run_is_cancelled() {
    let cancelled = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&cancelled);
    let mut plan = Plan::default();
    let act = move |_: &Workbench<'_>| {
        flag.store(true, Ordering::SeqCst);
        Err(broken(io::ErrorKind::TimedOut))
    };
    plan.add("a", scripted("a", act), &[], Vec::new());
    let folder = scratch();
    let store = Store::open(folder.path()).expect("writable");
    let long = Options { pauses: vec![Duration::from_secs(100_000)], ..options() };
    let (summary, told) = run(&plan, &store, long, &cancelled);
    assert!(summary.cancelled);
    assert_eq!((summary.failed, told), (0, vec!["retry a 1".to_owned()]));
}

#[test]
fn who_waits_for_another_run_can_be_cancelled() {
    let mut plan = Plan::default();
    let place = plan.add("a", scripted("a", |_| panic!("another run computes it")), &[], Vec::new());
    let folder = scratch();
    let store = Store::open(folder.path()).expect("writable");
    // Without inputs the recipe is the content.
    let key = plan.node(place).recipe;
    let _other = store.claim(&key, || false).expect("lockable").expect("nobody gives up");
    let assessment = assess(&plan, &store, &StudyNote::default(), &Targets::Ends);
    let cancelled = AtomicBool::new(false);
    let summary = executor::run(&plan, &assessment, &store, options(), &cancelled, &mut |event| {
        cancelled.fetch_or(matches!(event, Event::Started { .. }), Ordering::SeqCst);
    });
    let summary = summary.expect("writable");
    assert!(summary.cancelled);
    assert_eq!((summary.computed, summary.failed), (0, 0));
}

#[test]
fn fail_fast_starts_nothing_after_a_failure_and_lets_running_tasks_end() {
    let mut plan = Plan::default();
    let fails = plan.add("fails", scripted("fails", |_| Err(broken(io::ErrorKind::NotFound))), &[], Vec::new());
    plan.add("after", scripted("after", |_| Ok(())), &[("a", fails)], Vec::new());
    for name in ["b", "c", "d"] {
        plan.add(name, scripted(name, |bench| bench.write_json("a.json", &1)), &[], Vec::new());
    }
    let limits = Limits { tasks: 1, memory_bytes: 1 };
    for (fail_fast, computed, left) in [(true, 0, 3), (false, 3, 0)] {
        let folder = scratch();
        let store = Store::open(folder.path()).expect("writable");
        let options = Options { fail_fast, limits, ..options() };
        let (summary, _) = run(&plan, &store, options, &AtomicBool::new(false));
        assert_eq!((summary.failed, summary.blocked), (1, 1));
        assert_eq!((summary.computed, summary.left), (computed, left), "fail-fast {fail_fast}");
    }
}

/// A plan of `one` and, after it, `two`, which harms what it reads as long as `n_harms` lasts.
fn stumbling(n_harms: usize) -> Plan {
    let mut plan = Plan::default();
    let one = plan.add("one", scripted("one", |bench| bench.write_json("a.json", &1)), &[], Vec::new());
    let turns = AtomicUsize::new(0);
    let act = move |bench: &Workbench<'_>| {
        let input = bench.input("one").to_owned();
        if turns.fetch_add(1, Ordering::SeqCst) < n_harms {
            fs::remove_dir_all(&input).expect("removable");
        }
        let bytes = fs::read(input.join("a.json")).map_err(|source| TaskError::Io { path: input.clone(), source })?;
        bench.write_json("b.json", &bytes)
    };
    plan.add("two", scripted("two", act), &[("one", one)], Vec::new());
    plan
}

#[test]
fn an_input_that_goes_away_while_it_is_read_is_made_again() {
    let folder = scratch();
    let store = Store::open(folder.path()).expect("writable");
    let (summary, told) = run(&stumbling(1), &store, options(), &AtomicBool::new(false));
    assert_eq!((summary.computed, summary.failed), (3, 0));
    let expected = ["done one", "damaged one: its folder is gone", "revived one", "done one", "done two"];
    assert_eq!(told, expected);
}

#[test]
fn what_was_computed_from_bytes_that_changed_meanwhile_is_computed_again() {
    // Harmed after it was looked at, before it is read: nothing fails, and the bytes are wrong.
    let outputs = |harms: bool| {
        let mut plan = Plan::default();
        let one = plan.add("one", scripted("one", |bench| bench.write_json("a.json", &[1, 2, 3])), &[], Vec::new());
        let turns = AtomicUsize::new(0);
        let act = move |bench: &Workbench<'_>| {
            let input = bench.input("one").join("a.json");
            if turns.fetch_add(1, Ordering::SeqCst) == 0 && harms {
                // Past the step of the file system's clock, within which nothing but bytes could tell.
                std::thread::sleep(Duration::from_millis(30));
                flip(&input);
            }
            bench.write_json("b.json", &fs::read(&input).expect("there"))
        };
        let two = plan.add("two", scripted("two", act), &[("one", one)], Vec::new());
        let folder = scratch();
        let store = Store::open(folder.path()).expect("writable");
        let (summary, told) = run(&plan, &store, options(), &AtomicBool::new(false));
        assert_eq!(summary.failed, 0, "{told:?}");
        (store.lookup(&plan.node(two).recipe).expect("recorded").output, told)
    };
    let (whole, _) = outputs(false);
    let (output, told) = outputs(true);
    assert!(told[1].starts_with("damaged one: `a.json` holds other bytes than were published"), "{told:?}");
    assert_eq!([&told[0], &told[2], &told[3], &told[4]], ["done one", "revived one", "done one", "done two"]);
    assert_eq!(output, whole);
}

#[test]
fn a_cache_may_be_copied_by_links_while_a_task_reads_it() {
    let folder = scratch();
    let copy = folder.path().join("copy");
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let mut plan = Plan::default();
    let one = plan.add("one", scripted("one", |bench| bench.write_json("a.json", &1)), &[], Vec::new());
    let act = move |bench: &Workbench<'_>| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(30));
        fs::hard_link(bench.input("one").join("a.json"), &copy).expect("on the same file system");
        bench.write_json("b.json", &2)
    };
    plan.add("two", scripted("two", act), &[("one", one)], Vec::new());
    let store = Store::open(&folder.path().join("cache")).expect("writable");
    let (summary, told) = run(&plan, &store, options(), &AtomicBool::new(false));
    assert_eq!((summary.computed, summary.failed), (2, 0), "{told:?}");
    assert_eq!((told, turns.load(Ordering::SeqCst)), (vec!["done one".to_owned(), "done two".to_owned()], 1));
}

#[test]
fn a_result_that_is_damaged_again_and_again_fails() {
    let folder = scratch();
    let store = Store::open(folder.path()).expect("writable");
    let (summary, told) = run(&stumbling(usize::MAX), &store, options(), &AtomicBool::new(false));
    assert_eq!((summary.failed, summary.blocked), (1, 1), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("failed one: its result was found damaged 3 times")), "{told:?}");
}

#[test]
fn a_task_that_does_not_repeat_itself_is_told() {
    let mut plan = Plan::default();
    let turns = AtomicUsize::new(0);
    let act = move |bench: &Workbench<'_>| bench.write_json("a.json", &turns.fetch_add(1, Ordering::SeqCst));
    let place = plan.add("a", scripted("a", act), &[], Vec::new());
    let folder = scratch();
    let store = Store::open(folder.path()).expect("writable");
    assert_eq!(run(&plan, &store, options(), &AtomicBool::new(false)).1, ["done a"]);
    let record = store.lookup(&plan.node(place).recipe).expect("recorded");
    fs::remove_dir_all(store.artifact(&record.output)).expect("removable");
    let (summary, told) = run(&plan, &store, options(), &AtomicBool::new(false));
    assert_eq!((summary.differed, told), (1, vec!["differed a".to_owned(), "done a".to_owned()]));
}

#[test]
fn a_file_that_changes_while_it_is_read_gives_no_result() {
    let folder = scratch();
    let file = folder.path().join("input.tsv");
    fs::write(&file, b"before").expect("writable");
    let store = Store::open(&folder.path().join("cache")).expect("writable");
    let external = || vec![ExternalFile { role: "table", path: file.clone(), digest: Digest::of(b"before") }];
    let path = file.clone();
    let mut plan = Plan::default();
    let act = move |bench: &Workbench<'_>| {
        fs::write(&path, b"after!").expect("writable");
        bench.write_json("a.json", &1)
    };
    let place = plan.add("a", scripted("a", act), &[], external());
    let (_, told) = run(&plan, &store, options(), &AtomicBool::new(false));
    assert!(
        told[0].starts_with("failed a: ") && told[0].contains("input.tsv` changed while the study ran"),
        "{told:?}"
    );
    assert!(store.lookup(&plan.node(place).recipe).is_none());

    // Changed between plan and run: it is not even started.
    let mut plan = Plan::default();
    plan.add("b", scripted("b", |_| panic!("the file is not what was planned with")), &[], external());
    let (_, told) = run(&plan, &store, options(), &AtomicBool::new(false));
    assert!(told[0].contains("input.tsv` changed while the study ran"), "{told:?}");
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
