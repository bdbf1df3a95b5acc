//! `hebb run` on a cluster, from its beginning to its end, when nothing is lost but what is asked for.

use super::{
    slurm::{Job, Shape, Slurm},
    studies::{OnCluster, Outcome, SETTINGS, wait_until},
};
use crate::cli::world::SIMULATED;
use std::{fs, os::unix::fs::PermissionsExt, time::Instant};

const TWO_NODES: Shape = Shape { nodes: 2, cores: 4, memory_mb: 16_000 };

#[test]
fn a_study_on_two_nodes_leaves_what_it_leaves_here() {
    let Some(slurm) = Slurm::start(TWO_NODES) else { return };
    let Some(study) = OnCluster::new(&slurm, &format!("{SETTINGS}max_running = 4\n")) else { return };
    // Calls of `squeue` are counted by one that stands before it.
    let counted = study.world.path("bin/squeue");
    fs::create_dir(study.world.path("bin")).expect("writable");
    let calls = study.world.path("calls.txt");
    let real = "PATH=${PATH#*:} exec squeue \"$@\"";
    fs::write(&counted, format!("#!/bin/sh\necho x >> '{}'\n{real}\n", calls.display())).expect("writable");
    fs::set_permissions(&counted, fs::Permissions::from_mode(0o755)).expect("ours");
    let mut command = study.command("run study.toml");
    let path = slurm.environment().into_iter().find(|(name, _)| name == "PATH").expect("there is one").1;
    let mut first = study.world.path("bin").into_os_string();
    first.push(":");
    first.push(path);
    let started = Instant::now();
    let answer = crate::cli::world::Answer::of(command.env("PATH", first)).exits(0);
    let looks = started.elapsed().as_secs_f64() / 0.2;
    answer.prints(&["42 computed, 0 cached"]);
    let n_calls = fs::read_to_string(calls).expect("it was called").lines().count();
    assert!((1..=looks.ceil() as usize + 1).contains(&n_calls), "{n_calls} calls for {looks} intervals");
    slurm.until("no job is just ending", |slurm| slurm.live_jobs() == 0);
    let jobs = slurm.jobs();
    // Where Slurm itself loses a script before it begins, the shell ends with 2; nothing else may end otherwise than well.
    let is_well = |job: &Job| job.state == "COMPLETED" || (job.state == "FAILED" && job.exit_status == 2 << 8);
    assert!(jobs.iter().all(is_well), "{jobs:?}");
    assert!(jobs.len() < 42, "small tasks share jobs: {}", jobs.len());
    for node in ["n1", "n2"] {
        assert!(jobs.iter().any(|job| job.node == node), "{node} had nothing to do: {jobs:?}");
    }
    assert_eq!(study.left(), Vec::<std::path::PathBuf>::new());
    study.outcome().assert_is(&Outcome::here(SIMULATED));
    study.hebb("run study.toml").exits(0).prints(&["0 computed, 42 cached"]);
    assert_eq!(slurm.jobs().len(), jobs.len(), "nothing is submitted where nothing runs");
    study.hebb("slurm script study.toml").exits(0).says(&["0 tasks would be submitted now"]);
}

#[test]
fn a_run_that_is_cancelled_leaves_no_job_and_the_next_goes_on() {
    let Some(slurm) = Slurm::start(TWO_NODES) else { return };
    let Some(study) = OnCluster::new(&slurm, &format!("{SETTINGS}setup = [\"sleep 2\"]\n")) else { return };
    let run = study.start("run study.toml");
    slurm.until("a job runs", |slurm| slurm.jobs().iter().any(|job| job.state == "RUNNING"));
    run.interrupt();
    let (code, said) = run.end();
    assert_eq!(code, 130, "{said}");
    assert!(said.contains("cancelled"), "{said}");
    assert_eq!(slurm.live_jobs(), 0, "{:?}", slurm.jobs());
    wait_until("no process of a job is left", || slurm.job_pids().is_empty());
    assert!(!slurm.jobs().is_empty() && study.left().is_empty());

    // The same from another terminal, of a run that has none.
    study.world.write("site.toml", SETTINGS);
    study
        .hebb("run study.toml --detach")
        .exits(0)
        .prints(&["the run goes on as process", "hebb slurm cancel study.toml"]);
    study.hebb("run study.toml").exits(2).says(&["another run of this study submits its jobs", "on this machine"]);
    study.hebb("slurm cancel study.toml").exits(0).prints(&["the run has ended"]);
    assert_eq!(slurm.live_jobs(), 0, "{:?}", slurm.jobs());
    study.hebb("slurm cancel study.toml").exits(0).prints(&["no job of `study.toml` is in the queue"]);

    study.hebb("run study.toml --detach").exits(0);
    study.hebb("status study.toml --watch").exits(0);
    study.outcome().assert_is(&Outcome::here(SIMULATED));
}

#[test]
fn a_task_over_its_memory_is_tried_with_more_and_that_is_told() {
    let Some(slurm) = Slurm::start(TWO_NODES) else { return };
    // Jobs that ask for just 700 MB hold more before they begin: those of one kind.
    let hungry = "if [ \"$SLURM_MEM_PER_NODE\" -eq 700 ]; then head -c 900M /dev/zero | tail -c 900M | (sleep 20; cat >/dev/null); fi";
    let settings = format!("{SETTINGS}setup = ['{hungry}']\n\n[execution.slurm.kinds.group]\nmemory_gb = 0.7\n");
    let text = SIMULATED.replace("[encoding.ridge]", "[statistics.group]\n\n[encoding.ridge]");
    let Some(study) = OnCluster::with(&slurm, &text, &settings) else { return };
    study.hebb("run study.toml --events events.jsonl").exits(0).says(&[
        "group",
        "was killed for using more than the 700 MB that it had asked for",
        "0.log",
    ]);
    let events = study.world.text("events.jsonl");
    let of_group = |line: &&str| line.contains("\"retried\"") && line.contains("\"task\":\"group\"");
    let retried: Vec<&str> = events.lines().filter(of_group).collect();
    assert_eq!(retried.len(), 1, "{retried:?}");
    let others = events.lines().filter(|line| line.contains("\"retried\"") && !of_group(line));
    for line in others {
        assert!(
            line.contains("with exit code 2: slurmstepd"),
            "what Slurm itself lost is tried again, and no more: {line}"
        );
    }
    study.outcome().assert_is(&Outcome::here(&text));

    // With no more to be had it fails, and says where more is allowed.
    fs::remove_dir_all(study.world.path("cache")).expect("removable");
    study.world.write("site.toml", settings.replace("memory_gb = 0.5", "memory_gb = 0.5\nmost_memory_gb = 0.7"));
    study.hebb("run study.toml").exits(1).says(&["700 MB", "raise `execution.slurm.most_memory_gb`"]);
    assert_eq!(slurm.live_jobs(), 0);
}

#[test]
fn what_can_never_start_or_was_cancelled_by_others_fails_with_what_to_do() {
    let Some(slurm) = Slurm::start(TWO_NODES) else { return };
    let wrong = format!("{SETTINGS}\n[execution.slurm.kinds.weights]\npartition = \"none\"\n");
    let Some(study) = OnCluster::new(&slurm, &wrong) else { return };
    study.hebb("run study.toml").exits(1).says(&[
        "weights/clip",
        "can never start",
        "invalid partition",
        "[execution.slurm.kinds.weights]",
    ]);
    study.hebb("status study.toml").exits(0).prints(&["weights/clip", "can never start"]);

    // Accepted, and never begun: the partition ends jobs after a minute.
    study.world.write("site.toml", wrong.replace("\"none\"", "\"small\""));
    study.hebb("run study.toml").exits(1).says(&["can never start", "(Partition", "60 minutes"]);
    assert_eq!(slurm.live_jobs(), 0, "{:?}", slurm.jobs());

    study.world.write("site.toml", format!("{SETTINGS}setup = [\"sleep 600\"]\n"));
    let run = study.start("run study.toml --fail-fast");
    slurm.until("a job runs", |slurm| slurm.jobs().iter().any(|job| job.state == "RUNNING"));
    slurm.ask("scancel", &["--user=root"]);
    let (code, said) = run.end();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("was cancelled by someone else"), "{said}");
    assert_eq!(slurm.live_jobs(), 0);
}

#[test]
fn a_failing_task_fails_with_its_own_words_and_blocks_what_needs_it() {
    let Some(slurm) = Slurm::start(TWO_NODES) else { return };
    let Some(study) = OnCluster::recorded(&slurm, SETTINGS) else { return };
    // What only computing tells.
    study.world.write("inputs/stimuli/images/scene-00005.png", b"not a picture");
    let here = study.hebb("run study.toml --executor local --cache here");
    let there = study.hebb("run study.toml");
    assert_eq!((here.status, there.status), (1, 1), "{here:?} {there:?}");
    let failure = |said: &str| said.lines().find_map(|line| Some(line.split_once("failed ")?.1.to_owned()));
    let (here, there) = (failure(&here.stderr).expect("it is told"), failure(&there.stderr).expect("it is told"));
    assert!(there.starts_with(&here) && there.contains("(on n"), "{here} / {there}");
}
