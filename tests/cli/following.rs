//! A run as others see it: its events, what another terminal reads of it, what a killed one leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Child, Stdio},
    time::Duration,
};

use super::{World, runtime};
use serde_json::Value;

const BOLD: &str =
    "inputs/derivatives/sub-02/func/sub-02_task-simulated_run-3_space-schematic_desc-preproc_bold.nii.gz";

fn lines(world: &World, name: &str) -> Vec<Value> {
    world.text(name).lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn tasks<'a>(lines: &'a [Value], event: &str) -> BTreeSet<&'a str> {
    lines.iter().filter(|line| line["event"] == event).map(|line| line["task"].as_str().expect("a task")).collect()
}

#[test]
fn events_tell_all_that_the_summary_counts_and_run_what_was_planned() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    for (edit, n_expected) in [(None, 42), (Some(("alphas = [1, 10, 100]", "alphas = [1, 10, 1000]")), 17)] {
        if let Some((old, new)) = edit {
            world.replace("study.toml", old, new);
        }
        let plan = world.hebb("plan study.toml --json").exits(0).json();
        let planned: BTreeSet<&str> = plan["tasks"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|task| task["task"].as_str().expect("an id"))
            .collect();
        world.hebb("run study.toml --events events.jsonl").exits(0);
        let told = lines(&world, "events.jsonl");
        assert_eq!(planned.len(), n_expected);
        assert_eq!(tasks(&told, "started"), planned, "exactly the plan's list");
        assert_eq!(tasks(&told, "finished"), planned);

        let (first, last) = (&told[0], told.last().expect("an end"));
        assert_eq!((&first["event"], &last["event"]), (&"begun".into(), &"ended".into()));
        assert_eq!(first["to_run"], planned.len());
        let outcomes = |outcome: &str| told.iter().filter(|line| line["outcome"] == outcome).count();
        assert_eq!((&last["computed"], &last["failed"]), (&outcomes("computed").into(), &0.into()));
        assert_eq!(last["unchanged"], outcomes("unchanged"));
        assert_eq!(first["cached"], last["cached"]);
        let times: Vec<&str> = told.iter().map(|line| line["time"].as_str().expect("a time")).collect();
        assert!(times.is_sorted() && times.iter().all(|time| time.len() == 24 && time.ends_with('Z')), "{times:?}");
        for line in told.iter().filter(|line| line["event"] == "started") {
            assert_eq!(line["estimated_s"].is_null(), edit.is_none(), "known from the second run on: {line}");
        }
    }
    assert!(fs::read_dir(world.path("cache/runs")).expect("runs").count() == 1, "one study");
}

#[test]
fn failed_and_blocked_tasks_are_events_and_status_says_why_afterwards() {
    let Some(world) = World::recorded() else { return };
    let whole = world.read(BOLD);
    world.write(BOLD, &whole[..whole.len() / 2]);
    world.hebb("run study.toml --events events.jsonl").exits(1);
    let told = lines(&world, "events.jsonl");
    let last = told.last().expect("an end");
    assert_eq!(tasks(&told, "failed"), BTreeSet::from(["bold/sub-02/run-3"]));
    assert_eq!(last["blocked"], tasks(&told, "blocked").len());
    let started = tasks(&told, "started").len();
    assert_eq!(last["computed"], started - 1);

    let answer = world.hebb("status study.toml").exits(0);
    let answer = answer.prints(&["\nfailed\n  bold/sub-02/run-3: ", BOLD, "1 failed", "no results yet"]);
    assert!(!answer.stdout.contains("running"), "{answer:?}");
    let status = world.hebb("status study.toml --json").exits(0).json();
    assert_eq!((&status["state"], &status["failed"][0]["task"]), (&"idle".into(), &"bold/sub-02/run-3".into()));
    let bold = status["kinds"].as_array().expect("a list").iter().find(|row| row["kind"] == "bold").expect("there");
    assert_eq!((&bold["failed"], &bold["cached"], &bold["total"]), (&1.into(), &5.into(), &6.into()));

    let page = world.text("results/recorded/failed.html");
    assert!(page.contains("1 task failed") && page.contains("bold/sub-02/run-3") && page.contains(BOLD));

    world.write(BOLD, whole);
    world.hebb("run study.toml").exits(0);
    assert!(!world.path("results/recorded/failed.html").exists(), "it ended well");
    let answer = world.hebb("status study.toml").exits(0);
    assert!(!answer.stdout.contains("bold/sub-02/run-3"), "it has a result now: {answer:?}");
}

/// The tiny study made long enough to be looked at.
fn long() -> World {
    let world = World::simulated();
    world.replace("study.toml", "images_per_run = 12", "images_per_run = 150");
    world.replace(
        "study.toml",
        "layers = 2, width = 32, heads = 2, mlp_width = 64, image_size",
        "layers = 6, width = 192, heads = 4, mlp_width = 512, image_size",
    );
    world.replace("study.toml", "image_size = 32, patch_size = 16", "image_size = 128, patch_size = 8");
    world
}

/// Starts a run and waits until another process sees a task of it run.
fn started(world: &World) -> (Child, Value) {
    let mut child =
        world.command("run study.toml").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    loop {
        assert!(child.try_wait().expect("a child").is_none(), "it ended before it was looked at");
        let logs = fs::read_dir(world.path("cache/runs")).into_iter().flatten().count();
        if logs > 0 {
            let status = world.hebb("status study.toml --json").exits(0).json();
            if status["live"]["running"].as_array().is_some_and(|tasks| !tasks.is_empty()) {
                return (child, status);
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn another_process_sees_a_run_live_and_then_killed_and_the_next_goes_on() {
    let Some(_) = runtime() else { return };
    let world = long();
    let (mut child, status) = started(&world);
    assert_eq!((&status["state"], &status["live"]["pid"]), (&"running".into(), &child.id().into()));
    let running = &status["live"]["running"][0];
    assert!(running["task"].is_string() && running["since"].is_string() && running["seconds"].is_f64(), "{running}");
    let kinds: BTreeMap<&str, &Value> = status["live"]["kinds"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| (row["kind"].as_str().expect("a name"), row))
        .collect();
    assert_eq!(kinds["report"]["to_run"], 1);
    assert_eq!(kinds["simulate"]["total"], 2);
    let answer = world.hebb("status study.toml").exits(0);
    answer.prints(&[&format!("by process {} since ", child.id()), "\nrunning\n", "tasks, "]);

    child.kill().expect("it still runs");
    child.wait().expect("it ends");
    let status = world.hebb("status study.toml --json").exits(0).json();
    assert_eq!(status["state"], "killed");
    assert_eq!(status["killed"]["pid"], child.id());
    world.hebb("status study.toml").exits(0).prints(&["was killed after ", "the next run goes on from there"]);
    world.write("study.toml", super::SIMULATED);
    world.hebb("run study.toml").exits(0);
    assert_eq!(world.hebb("status study.toml --json").exits(0).json()["state"], "idle");
}

#[test]
fn watching_ends_with_the_run_and_says_how_the_study_stands_then() {
    let Some(_) = runtime() else { return };
    let world = long();
    let (mut child, _) = started(&world);
    let answer = world.hebb("status study.toml --watch").exits(0);
    assert!(child.wait().expect("it ends").success());
    answer.prints(&["tasks, ", "\nlast run ", "results: results/tiny/report.html"]);
}

#[test]
fn a_run_without_work_leaves_no_trace() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    world.hebb("run study.toml").exits(0);
    let answer = world.hebb("run study.toml --events events.jsonl").exits(0).prints(&["tiny: 0 computed, 42 cached"]);
    assert_eq!(answer.stderr, "", "nothing is drawn");
    let told = lines(&world, "events.jsonl");
    assert_eq!(told.iter().map(|line| line["event"].as_str().expect("text")).collect::<Vec<_>>(), ["begun", "ended"]);
    assert_eq!(world.hebb("status study.toml --runs").exits(0).stdout.lines().count(), 1);
}

#[test]
fn a_plan_knows_times_of_like_tasks_and_losing_them_costs_nothing_else() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    world.hebb("run study.toml").exits(0);
    world.replace("study.toml", "alphas = [1, 10, 100]", "alphas = [1, 10, 1000]");
    let known = |plan: &Value| {
        let tasks = plan["tasks"].as_array().expect("a list");
        (tasks.iter().filter(|task| task["estimated_s"].is_f64()).count(), tasks.len())
    };
    let plan = world.hebb("plan study.toml --json --jobs 2").exits(0).json();
    assert_eq!(known(&plan), (17, 17));
    let forecast = |name: &str| plan["forecast"][name].as_f64().expect("a number");
    assert!(forecast("chain_s") <= forecast("wall_s") && forecast("wall_s") <= forecast("work_s"), "{plan}");
    assert!(forecast("work_s") <= 2.0 * forecast("wall_s") + 1e-6, "two jobs do twice the work at most: {plan}");
    world.hebb("plan study.toml --resources").exits(0).prints(&[
        "memory each",
        "time in all",
        "time: about ",
        " of work",
    ]);

    // A study of another name in the same cache is compared by kind and size.
    world.write("other.toml", world.text("study.toml"));
    assert_eq!(known(&world.hebb("plan other.toml --json").exits(0).json()), (17, 17));
    world.write("cache/times.json", "{ torn");
    let plan = world.hebb("plan other.toml --json").exits(0).json();
    assert_eq!((known(&plan), &plan["forecast"]["unknown"]), ((0, 17), &17.into()));
    world.hebb("run other.toml").exits(0);
}

#[test]
fn without_its_engine_a_plan_says_what_is_blocked_and_by_what() {
    let world = World::simulated();
    let plan = world.hebb("plan study.toml --json --onnxruntime nowhere.so").exits(0).json();
    let blocked = |task: &str| {
        let tasks = plan["tasks"].as_array().expect("a list");
        tasks.iter().find(|one| one["task"] == task).unwrap_or_else(|| panic!("{task}"))["blocked"].clone()
    };
    assert_eq!(blocked("extract/clip/vision/000"), "ONNX Runtime was not found");
    assert_eq!(blocked("export/clip/vision"), Value::Null);
    assert!(blocked("report").as_str().is_some_and(|why| why.starts_with("needs ")));
    let counts = |name: &str| plan["counts"][name].as_u64().expect("a count");
    assert_eq!((counts("to_run"), counts("blocked")), (4, 38), "{plan}");
    world.hebb("plan study.toml --onnxruntime nowhere.so").exits(0).prints(&["4 to run", "38 blocked"]);
}
