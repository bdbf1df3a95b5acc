//! What a cluster and its runs lose: coordinators, workers, nodes, controllers. Every study completes all the same.

use super::{
    slurm::{Shape, Slurm},
    studies::{OnCluster, Outcome, SETTINGS, wait_until},
};
use crate::cli::world::SIMULATED;
use std::{
    fmt::Write,
    thread,
    time::{Duration, SystemTime},
};

const TWO_NODES: Shape = Shape { nodes: 2, cores: 4, memory_mb: 16_000 };

/// Jobs that take long enough to lose them.
fn slow(seconds: u32) -> String {
    format!("{SETTINGS}setup = [\"sleep {seconds}\"]\n")
}

#[test]
fn a_later_run_takes_up_the_jobs_of_one_that_was_killed() {
    let Some(slurm) = Slurm::start(TWO_NODES) else { return };
    let Some(study) = OnCluster::new(&slurm, &slow(3)) else { return };
    let run = study.start("run study.toml");
    study.until_published(4);
    slurm.until("jobs run", |slurm| slurm.jobs().iter().filter(|job| job.state == "RUNNING").count() >= 2);
    run.kill();
    let jobs = slurm.jobs();
    let live: Vec<&str> = jobs.iter().filter(|job| job.is_live()).map(|job| job.id.as_str()).collect();
    study.hebb("status study.toml").exits(0).prints(&["of it on the cluster", "`hebb run` takes them up"]);
    study.world.write("site.toml", SETTINGS);
    let again = study.hebb("run study.toml").exits(0);
    assert!(again.stdout.contains("42 computed") || again.stdout.contains(" cached"), "{again:?}");
    for job in slurm.jobs().iter().filter(|job| live.contains(&job.id.as_str())) {
        assert_eq!((job.state.as_str(), job.restarts), ("COMPLETED", 0), "taken up, not submitted again: {job:?}");
    }
    study.outcome().assert_is(&Outcome::here(SIMULATED));
    assert_eq!(study.left(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn jobs_of_a_study_that_has_changed_since_are_cancelled() {
    let Some(slurm) = Slurm::start(TWO_NODES) else { return };
    let Some(study) = OnCluster::new(&slurm, &slow(300)) else { return };
    let run = study.start("run study.toml");
    slurm.until("jobs run", |slurm| slurm.jobs().iter().filter(|job| job.state == "RUNNING").count() >= 2);
    run.kill();
    let left: Vec<String> = slurm.jobs().into_iter().map(|job| job.id).collect();
    study.world.replace("study.toml", "seed = 1", "seed = 3");
    study.world.replace("study.toml", "seed = 2", "seed = 4");
    study.world.write("site.toml", SETTINGS);
    study.hebb("run study.toml").exits(0).prints(&["42 computed"]);
    for job in slurm.jobs().iter().filter(|job| left.contains(&job.id)) {
        assert_eq!(job.state, "CANCELLED", "{job:?}");
    }
    assert!(study.left().is_empty());
}

#[test]
fn killed_workers_are_replaced() {
    let Some(slurm) = Slurm::start(TWO_NODES) else { return };
    let Some(study) = OnCluster::new(&slurm, &slow(1)) else { return };
    let run = study.start("run study.toml --events events.jsonl");
    study.until_published(2);
    let n_killed = std::cell::Cell::new(0);
    slurm.until("a job was killed", |slurm| {
        for pid in slurm.job_pids() {
            // The script while it sleeps, before the worker takes its place: what was killed has reported nothing.
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
            let is_job = name.is_ok_and(|name| name.trim() == "slurm_script");
            let pid = pid.try_into().expect("process ids are positive numbers of 32 bits");
            // SAFETY: takes two numbers.
            if is_job && unsafe { libc::kill(pid, libc::SIGKILL) } == 0 {
                n_killed.set(n_killed.get() + 1);
            }
        }
        n_killed.get() > 0
    });
    let (code, said) = run.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the worker of job") && said.contains("by signal 9"), "{said}\n{:?}", slurm.jobs());
    study.outcome().assert_is(&Outcome::here(SIMULATED));
}

#[test]
#[ignore = "a node counts as lost after a while only: half a minute"]
fn a_lost_node_and_a_lost_controller_cost_time_and_nothing_else() {
    let Some(mut slurm) = Slurm::start(TWO_NODES) else { return };
    let Some(study) = OnCluster::new(&slurm, &slow(1)) else { return };
    let run = study.start("run study.toml --events events.jsonl");
    study.until_published(6);
    slurm.until("both nodes work", |slurm| {
        let jobs = slurm.jobs();
        ["n1", "n2"].iter().all(|node| jobs.iter().any(|job| job.state == "RUNNING" && job.node == *node))
    });
    slurm.lose_node(1);
    thread::sleep(Duration::from_secs(5));
    slurm.start_node(1);
    study.until_published(20);
    slurm.kill_controller();
    thread::sleep(Duration::from_secs(5));
    slurm.start_controller();
    let (code, said) = run.end();
    assert_eq!(code, 0, "{said}\n{}", slurm.logs());
    study.outcome().assert_is(&Outcome::here(SIMULATED));
    // What ended while the controller was away it learns of a little later.
    slurm.until("no job is left", |slurm| slurm.live_jobs() == 0);
    println!("{said}");
}

#[test]
#[ignore = "a daemon that dies alone leaves its jobs running, and its node is given up after half a minute"]
fn a_job_that_runs_twice_at_once_is_published_once() {
    let Some(mut slurm) = Slurm::start(TWO_NODES) else { return };
    let Some(study) = OnCluster::new(&slurm, &slow(40)) else { return };
    let run = study.start("run study.toml");
    slurm.until("jobs run", |slurm| slurm.jobs().iter().any(|job| job.state == "RUNNING" && job.node == "n1"));
    slurm.kill_node(0);
    slurm.until("they are queued again", |slurm| slurm.jobs().iter().any(|job| job.restarts > 0));
    study.world.write("site.toml", SETTINGS);
    // The first copy goes on beside the second; then everything else at full speed.
    study.until_published(2);
    slurm.start_node(0);
    run.interrupt();
    run.end();
    study.hebb("run study.toml").exits(0);
    study.outcome().assert_is(&Outcome::here(SIMULATED));
}

/// A study of so many cells, each with ten fits of its own.
fn swept(n_cells: usize) -> String {
    let mut values = String::new();
    for cell in 0..n_cells {
        write!(values, "{}[{}, 1000, 10000]", if cell == 0 { "" } else { ", " }, cell + 1)
            .expect("texts take anything");
    }
    let sweep = format!("[sweep.grid]\n\"encoding.ridge.alphas\" = [{values}]\n");
    format!("{SIMULATED}\n{sweep}")
}

#[test]
#[ignore = "five hundred tasks"]
fn a_study_of_five_hundred_tasks_leaves_what_it_leaves_here() {
    let Some(slurm) = Slurm::start(TWO_NODES) else { return };
    let text = swept(40);
    let Some(study) = OnCluster::with(&slurm, &text, SETTINGS) else { return };
    let answer = study.hebb("run study.toml").exits(0);
    println!("{}; {} jobs", answer.stdout, slurm.jobs().len());
    study.outcome().assert_is(&Outcome::here(&text));
    assert_eq!(slurm.live_jobs(), 0);
}

#[test]
#[ignore = "a thousand jobs"]
fn a_thousand_tasks_are_submitted_within_five_seconds() {
    let Some(slurm) = Slurm::start(Shape { nodes: 2, cores: 4, memory_mb: 16_000 }) else { return };
    let text = swept(100);
    let Some(study) = OnCluster::with(&slurm, &text, SETTINGS) else { return };
    // All but the fits is there before, so that a thousand tasks are ready at once, each for a job of its own.
    study.world.write("study.toml", SIMULATED);
    study.hebb("run study.toml --executor local").exits(0);
    study.world.write("study.toml", &text);
    study.world.write("site.toml", format!("{SETTINGS}max_running = 2000\nmax_queued = 2000\npack_min = 0\n"));
    let run = study.start("run study.toml --events events.jsonl");
    let submitted = || {
        let files = study.left().into_iter().filter(|path| path.ends_with("submission.json"));
        let whole = files.filter_map(|path| {
            let submission: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
            let n = submission["elements"].as_array()?.len();
            let when = std::fs::metadata(&path).ok()?.modified().ok()?;
            submission["job"].is_u64().then_some((n, when))
        });
        whole.collect::<Vec<(usize, SystemTime)>>()
    };
    wait_until("all are submitted", || submitted().iter().map(|(n, _)| n).sum::<usize>() >= 1000);
    let last = submitted().into_iter().map(|(_, when)| when).max().expect("some were");
    let events = study.world.text("events.jsonl");
    let begun: serde_json::Value = serde_json::from_str(events.lines().next().expect("a line")).expect("JSON");
    let begun = humantime_of(begun["time"].as_str().expect("a time"));
    let took = last.duration_since(begun).expect("later").as_secs_f64();
    println!("submitted within {took:.2} s");
    run.interrupt();
    let (code, said) = run.end();
    assert_eq!(code, 130, "{said}");
    assert_eq!(slurm.live_jobs(), 0);
    assert!(took < 5.0, "{took} s");
}

/// The moment of an event.
fn humantime_of(text: &str) -> SystemTime {
    humantime::parse_rfc3339(text).expect("a moment")
}

#[test]
#[ignore = "a cluster ends jobs that are out of time only now and then: half a minute"]
fn a_task_out_of_time_is_tried_with_twice_as_much() {
    let Some(slurm) = Slurm::start(TWO_NODES) else { return };
    // Whoever asked for an hour would sleep for one.
    let sleepy = "[ \"$(squeue -h -j \"$SLURM_JOB_ID\" -o %l)\" != 1:01:00 ] || sleep 3600";
    let settings = format!("{SETTINGS}setup = ['{sleepy}']\n\n[execution.slurm.kinds.pattern]\ntime_limit_min = 61\n");
    let Some(study) = OnCluster::new(&slurm, &settings) else { return };
    let run = study.start("run study.toml");
    slurm.until("the job sleeps", |slurm| {
        slurm.jobs().iter().any(|job| {
            let limit = || slurm.ask("squeue", &["-h", "-j", &job.id, "-o", "%l"]);
            job.state == "RUNNING" && limit().trim() == "1:01:00"
        })
    });
    let jobs = slurm.jobs();
    for job in jobs.iter().filter(|job| job.state == "RUNNING") {
        slurm.ask("scontrol", &["update", &format!("JobId={}", job.id), "EndTime=now+1"]);
    }
    let (code, said) = run.end();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("was not done after the 61 minutes that it had asked for"), "{said}");
    study.outcome().assert_is(&Outcome::here(SIMULATED));
}

#[test]
#[ignore = "a cluster forgets only now and then, and what it does not know may still come: half a minute"]
fn jobs_that_the_cluster_has_forgotten_are_submitted_again() {
    let Some(slurm) = Slurm::start_forgetting(TWO_NODES, 2) else { return };
    let Some(study) = OnCluster::new(&slurm, &slow(60)) else { return };
    let run = study.start("run study.toml");
    slurm.until("jobs run", |slurm| slurm.jobs().iter().filter(|job| job.state == "RUNNING").count() == 2);
    run.kill();
    slurm.ask("scancel", &["--user=root"]);
    slurm.until("they are forgotten", |slurm| slurm.jobs().is_empty());
    study.world.write("site.toml", SETTINGS);
    study.hebb("run study.toml").exits(0).says(&["is unknown to the cluster by now, and left no result"]);
    study.outcome().assert_is(&Outcome::here(SIMULATED));
    assert_eq!(study.left(), Vec::<std::path::PathBuf>::new());
}

#[test]
#[ignore = "a study of ten seconds of work on two cores"]
fn the_quickstart_leaves_what_it_leaves_here() {
    let Some(slurm) = Slurm::start(TWO_NODES) else { return };
    let text = std::fs::read_to_string("experiments/quickstart.toml").expect("a study");
    let Some(study) = OnCluster::with(&slurm, &text, SETTINGS) else { return };
    let answer = study.hebb("run study.toml").exits(0);
    println!("{}", answer.stdout);
    study.outcome().assert_is(&Outcome::here(&text));
}
