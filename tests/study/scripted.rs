//! Tasks that do not behave, and what harms others while they read: scripted ones, run by the executor alone.
#![expect(clippy::result_large_err, reason = "scripted tasks return what every task returns")]

use super::{bench::scratch, damage::flip};
use hebb::{
    executor::{self, Event, Limits, Options, Summary},
    plan::{ExternalFile, Plan, StudyNote, Targets, assess},
    store::{Digest, Store},
    task::{Compute, Kind, TaskError, Workbench},
};
use serde::Serialize;
use std::{
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

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
