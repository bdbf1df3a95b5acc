//! What it costs to run a task that does nothing: ten thousand of them, as one layer and as a study has them.
//!
//! `cargo bench --bench scheduler [-- TASKS]`. The cache lies in memory where there is one, so that what is measured is this
//! program. What publishing one small file costs is measured by itself, since it is most of it.

use hebb::{
    executor::{self, Limits},
    plan::{Plan, StudyNote, Targets, assess},
    store::{Digest, RunFacts, Store},
    task::{Compute, Kind, TaskError, Workbench},
};
use serde::Serialize;
use std::{fs, path::Path, sync::atomic::AtomicBool, time::Instant};

#[derive(Debug, Serialize)]
struct Trivial {
    number: usize,
}

impl Compute for Trivial {
    const KIND: Kind = Kind::Stimuli;

    fn memory_bytes(&self) -> u64 {
        // A few sizes, as a study has.
        (1 + self.number as u64 % 7) << 20
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        bench.write_json("number.json", &self.number)
    }
}

/// `n` tasks that need nothing.
fn flat(n: usize) -> Plan {
    let mut plan = Plan::default();
    for number in 0..n {
        plan.add(format!("flat/{number}"), Trivial { number }, &[], Vec::new());
    }
    plan
}

/// Layers of a hundred tasks, each of which needs three of the layer before, and one task that needs the last layer.
fn layered(n: usize) -> Plan {
    const WIDTH: usize = 100;
    let mut plan = Plan::default();
    let mut before = Vec::new();
    for layer in 0..n / WIDTH {
        let place = |number: usize| {
            let inputs: Vec<_> = (0..3.min(before.len())).map(|turn| ("in", before[(number + turn) % WIDTH])).collect();
            plan.add(format!("layer/{layer}/{number}"), Trivial { number: layer * WIDTH + number }, &inputs, Vec::new())
        };
        before = (0..WIDTH).map(place).collect();
    }
    let inputs: Vec<_> = before.iter().map(|place| ("in", *place)).collect();
    plan.add("end", Trivial { number: n }, &inputs, Vec::new());
    plan
}

fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

/// Milliseconds that one claim and publication of a small file take on `n_threads` at once.
fn publishing(n: usize, n_threads: usize) -> f64 {
    let folder = scratch();
    let store = Store::open(folder.path()).expect("writable");
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..n_threads {
            let store = &store;
            scope.spawn(move || {
                for number in (thread..n).step_by(n_threads) {
                    let key = Digest::of(&number.to_le_bytes());
                    let claim = store.claim(&key, || false).expect("lockable").expect("nobody gives up");
                    fs::write(claim.folder().expect("writable").join("number.json"), format!("{number}\n"))
                        .expect("writable");
                    let run = RunFacts { seconds: 0.0, program: "bench".into(), finished_unix_s: 0 };
                    claim.publish(key, serde_json::json!({ "number": number }), run).expect("publishable");
                }
            });
        }
    });
    started.elapsed().as_secs_f64() * 1e3 / n as f64
}

fn main() {
    let n: usize = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(10_000);
    let tasks = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let publish_ms = publishing(n, tasks);
    println!("{n} tasks, {tasks} at once\n");
    println!("{:<10} {:>12} {:>12} {:>14} {:>12}", "", "ms a task", "publishing", "all the rest", "again, ms");
    for (name, plan) in [("flat", flat(n)), ("layered", layered(n))] {
        let folder = scratch();
        let store = Store::open(folder.path()).expect("writable");
        let limits = Limits { tasks, memory_bytes: 1 << 30 };
        let timed_run = |expected: usize| {
            let started = Instant::now();
            let note = StudyNote::read(&store, Path::new("bench"));
            let assessment = assess(&plan, &store, &note, &Targets::Ends);
            let run = executor::run(&plan, &assessment, &store, limits, &AtomicBool::new(false), &mut |_| ());
            let summary = run.expect("a writable cache");
            assert_eq!((summary.computed, summary.failed), (expected, 0));
            let note = note.after(Path::new("bench"), &plan, &assessment, &store);
            (started.elapsed().as_secs_f64() * 1e3, note)
        };
        let (first_ms, note) = timed_run(plan.len());
        note.write(&store).expect("writable");
        let (again_ms, _) = timed_run(0);
        let each_ms = first_ms / plan.len() as f64;
        println!("{name:<10} {each_ms:>12.3} {publish_ms:>12.3} {:>14.3} {again_ms:>12.1}", each_ms - publish_ms);
    }
}
