//! `hebb plan --cluster`: a study's time on any number of workers, on paper.

use super::World;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs};

/// What each task is recorded to take.
const TAKES_S: f64 = 2.0;

/// A study whose tasks, but those of kinds named here, are known to take [`TAKES_S`] each; and how many tasks it has.
fn timed(unknown: &[&str]) -> (World, usize) {
    let world = World::simulated();
    let plan = world.hebb("plan study.toml --json").exits(0).json();
    let tasks = plan["tasks"].as_array().expect("tasks");
    let mut samples: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for task in tasks {
        let kind = task["kind"].as_str().expect("a kind");
        if !unknown.contains(&kind) {
            let sample = json!({ "memory_bytes": task["memory_bytes"], "seconds": TAKES_S });
            samples.entry(kind).or_default().push(sample);
        }
    }
    fs::create_dir_all(world.path("cache")).expect("writable");
    world.write("cache/times.json", serde_json::to_vec(&samples).expect("JSON"));
    (world, tasks.len())
}

fn cluster(world: &World, options: &str) -> Value {
    world.hebb(&format!("plan study.toml --json --cluster {options}")).exits(0).json()["cluster"].take()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("`{value}` is no number"))
}

#[test]
fn the_table_holds_1_to_1024_workers_between_their_floors() {
    let (world, n) = timed(&[]);
    let told = cluster(&world, "");
    let (work, chain) = (number(&told["work_s"]), number(&told["chain"]["seconds"]));
    assert_eq!((told["n_tasks"].as_u64(), work), (Some(n as u64), n as f64 * TAKES_S));
    assert_eq!(chain, told["chain"]["tasks"].as_array().expect("tasks").len() as f64 * TAKES_S);
    let of_steps: f64 =
        told["chain"]["steps"].as_array().expect("steps").iter().map(|step| number(&step["seconds"])).sum();
    assert_eq!(of_steps, chain);
    let sizes = told["sizes"].as_array().expect("sizes");
    assert_eq!(sizes.len(), 11);
    for (doublings, size) in sizes.iter().enumerate() {
        let workers = f64::from(1 << doublings);
        let wall = number(&size["wall_s"]);
        assert_eq!(number(&size["workers"]), workers);
        assert!(wall >= work / workers && wall >= chain && wall >= number(&size["floor_s"]) - 1e-6, "{size}");
        assert!(wall <= work / workers + chain, "{size}");
        assert!((number(&size["speed_up"]) - work / wall).abs() < 1e-9);
        assert!((number(&size["efficiency"]) - work / wall / workers).abs() < 1e-9);
        assert!(number(&size["busy"]) <= workers);
    }
    assert_eq!(number(&sizes[0]["wall_s"]), work, "one worker does it all");
    assert_eq!(number(&sizes[10]["wall_s"]), chain, "as many workers as tasks wait for the chain only");
    let text = world.hebb("plan study.toml --cluster").exits(0);
    let text =
        text.prints(&["workers", "wall time", "at best", "speed-up", "efficiency", "longest chain: ", "100.0 %"]);
    assert!(!text.stdout.contains("unknown"), "{}", text.stdout);
    text.prints(&["overhead: none", "memory: not bounded", "order: a worker takes the task that has waited longest"]);
}

#[test]
fn numbers_of_workers_are_taken_as_they_are_given() {
    let (world, _) = timed(&[]);
    let told = cluster(&world, "8,48,200");
    let workers: Vec<u64> =
        told["sizes"].as_array().expect("sizes").iter().filter_map(|size| size["workers"].as_u64()).collect();
    assert_eq!(workers, [8, 48, 200]);
    let text = world.hebb("plan study.toml --cluster 48").exits(0).stdout;
    assert_eq!(text.lines().filter(|line| line.trim_start().starts_with("48 ")).count(), 1, "{text}");
}

#[test]
fn overhead_goes_before_each_task_and_is_no_work() {
    let (world, n) = timed(&[]);
    let plain = cluster(&world, "1,1000");
    let told = cluster(&world, "1,1000 --overhead 30");
    assert_eq!(told["work_s"], plain["work_s"]);
    assert_eq!(number(&told["sizes"][0]["wall_s"]), n as f64 * (TAKES_S + 30.0));
    let in_chain = told["chain"]["tasks"].as_array().expect("tasks").len() as f64;
    assert_eq!(number(&told["sizes"][1]["wall_s"]), in_chain * (TAKES_S + 30.0));
    assert!((number(&told["sizes"][0]["efficiency"]) - TAKES_S / (TAKES_S + 30.0)).abs() < 1e-9);
    world.hebb("plan study.toml --cluster 4 --overhead 30").exits(0).prints(&["overhead: 30 s before each task"]);
}

#[test]
fn what_nothing_is_known_of_is_told_and_counts_as_nothing() {
    let (world, n) = timed(&["extract", "report"]);
    let told = cluster(&world, "1");
    let n_unknown = number(&told["unknown"]["extract"]) + number(&told["unknown"]["report"]);
    assert_eq!(told["unknown"].as_object().expect("kinds").len(), 2);
    assert_eq!(number(&told["sizes"][0]["wall_s"]), (n as f64 - n_unknown) * TAKES_S);
    let counted = format!("unknown: {n_unknown} of {n} tasks count as nothing");
    world.hebb("plan study.toml --cluster").exits(0).prints(&[
        &counted,
        "extract (",
        "report (1)",
        "-> report (unknown)",
    ]);
    world.hebb("plan study.toml --cluster --overhead 9").exits(0).prints(&["-> report 9.0 s or more"]);

    let unknown = World::simulated().hebb("plan study.toml --cluster").exits(0);
    let unknown = unknown.prints(&["time unknown, nothing like this was run in this cache"]);
    assert!(!unknown.stdout.contains("workers"), "{}", unknown.stdout);
}

#[test]
fn tasks_that_need_more_than_a_worker_has_are_told() {
    let (world, n) = timed(&[]);
    let told = cluster(&world, "4 --memory 0.25");
    let too_large = told["too_large"].as_array().expect("kinds");
    assert!(!too_large.is_empty() && too_large.iter().all(|kind| number(&kind["memory_bytes"]) > 0.25e9), "{told}");
    let n_too_large: f64 = too_large.iter().map(|kind| number(&kind["n_tasks"])).sum();
    assert!(n_too_large < n as f64);
    assert_eq!(told["sizes"], cluster(&world, "4")["sizes"], "it is told, not guessed what would come of it");
    let text = format!("too little for {n_too_large} tasks: ");
    world.hebb("plan study.toml --cluster 4 --memory 0.25").exits(0).prints(&[&text, "counted as if it were enough"]);
    world.hebb("plan study.toml --cluster 4 --memory 64").exits(0).prints(&["enough for every task"]);
}

#[test]
fn a_finished_study_has_nothing_to_run_unless_it_is_planned_afresh() {
    let Some(_) = super::runtime() else { return };
    let world = World::simulated();
    world.hebb("run study.toml").exits(0);
    world.hebb("plan study.toml --cluster").exits(0).prints(&["nothing to run", "`--fresh`"]);
    assert_eq!(cluster(&world, "4")["n_tasks"], 0);
    let plan = world.hebb("plan study.toml --json").exits(0).json();
    let fresh = cluster(&world, "4 --fresh");
    assert_eq!(fresh["n_tasks"], plan["counts"]["cached"], "all of them");
    assert!(number(&fresh["work_s"]) > 0.0 && fresh["unknown"].as_object().expect("kinds").is_empty(), "{fresh}");
    world.hebb("plan study.toml --cluster --fresh").exits(0).prints(&["as if nothing were cached"]);
}

#[test]
fn wrong_numbers_are_refused_before_anything_is_read() {
    let world = World::simulated();
    for (arguments, told) in [
        ("plan study.toml --cluster 0", "numbers of workers from 1 on"),
        ("plan study.toml --cluster 8,,9", "numbers of workers from 1 on"),
        ("plan --cluster study.toml", "the study stands before `--cluster`"),
        ("plan study.toml --cluster --overhead -1", "seconds from 0 on"),
        ("plan study.toml --cluster --overhead soon", "seconds from 0 on"),
        ("plan study.toml --overhead 3", "--cluster"),
        ("plan study.toml --fresh", "--cluster"),
        ("plan study.toml --cluster --jobs 3", "--jobs"),
    ] {
        world.hebb(arguments).exits(2).says(&[told]);
    }
    world.is_untouched();
}
