//! The cluster itself, before anything is built on it: it comes up, jobs end as the executor expects them to, daemons die and
//! return, and nothing is left behind.

use std::{
    fs,
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use super::{
    daemons,
    slurm::{Job, NODE_TIMEOUT_S, Shape, Slurm},
};

const TWO_NODES: Shape = Shape { nodes: 2, cores: 2, memory_mb: 2000 };

/// Submits a script of one line; its id.
fn submit(slurm: &Slurm, options: &[&str], script: &str) -> String {
    let mut arguments = vec!["--parsable", "--output=%x-%A_%a.txt", "--chdir", slurm.folder().to_str().expect("text")];
    arguments.extend(options);
    let wrapped = format!("--wrap={script}");
    arguments.push(&wrapped);
    slurm.ask("sbatch", &arguments).trim().to_owned()
}

fn job(slurm: &Slurm, id: &str) -> Job {
    slurm.jobs().into_iter().find(|job| job.id == id).unwrap_or_else(|| panic!("no job {id}\n{}", slurm.logs()))
}

fn until_ended(slurm: &Slurm, id: &str) -> Job {
    slurm.until(&format!("job {id} has ended"), |slurm| !job(slurm, id).is_live());
    job(slurm, id)
}

fn until_running(slurm: &Slurm, id: &str) -> Job {
    slurm.until(&format!("job {id} runs"), |slurm| job(slurm, id).state == "RUNNING");
    job(slurm, id)
}

#[test]
fn an_array_runs_on_every_node_and_leaves_nothing_behind() {
    let started = Instant::now();
    let Some(slurm) = Slurm::start(TWO_NODES) else { return };
    println!("up after {:?}", started.elapsed());

    for pid in slurm.daemon_pids() {
        let (addresses, version_6) = daemons::listening(pid);
        assert!(addresses.iter().all(Ipv4Addr::is_loopback) && !version_6, "{addresses:?} {version_6}");
    }
    let n_listening = slurm.daemon_pids().into_iter().filter(|&pid| !daemons::listening(pid).0.is_empty()).count();
    assert_eq!(n_listening, 3, "the controller and two nodes");

    let started = Instant::now();
    let id = submit(&slurm, &["--array=0-19", "--job-name=twenty"], "echo on $SLURMD_NODENAME; echo $PATH");
    slurm.until("the array has ended", |slurm| slurm.live_jobs() == 0);
    println!("20 jobs after {:?}", started.elapsed());
    let jobs = slurm.jobs();
    assert_eq!(jobs.len(), 20);
    for (number, node) in (0..20).map(|number| (number, job(&slurm, &format!("{id}_{number}")).node)) {
        let said =
            fs::read_to_string(slurm.folder().join(format!("twenty-{id}_{number}.txt"))).expect("the job's words");
        assert!(said.starts_with(&format!("on {node}\n")) && said.contains("/usr/bin"), "{said}");
    }
    assert!(jobs.iter().all(|job| job.state == "COMPLETED" && job.exit_status == 0), "{jobs:#?}");
    for node in ["n1", "n2"] {
        assert!(jobs.iter().any(|job| job.node == node), "{jobs:#?}");
    }

    let id = submit(&slurm, &["--job-name=long"], "sleep 1000 & sleep 1001");
    until_running(&slurm, &id);
    // The script, its two commands, and what watches over them.
    slurm.until("the job's processes are there", |slurm| slurm.job_pids().len() >= 4);
    let (folder, pids) = (slurm.folder().to_owned(), [slurm.daemon_pids(), slurm.job_pids()].concat());
    assert!(pids.len() >= 8 && pids.iter().all(|&pid| daemons::is_alive(pid)), "{pids:?}");
    let started = Instant::now();
    drop(slurm);
    println!("down after {:?}", started.elapsed());
    // What watched over a job belongs to nobody, and is taken away by the system a moment after it has ended.
    let left: Vec<_> = pids.into_iter().filter(|&pid| daemons::is_alive(pid)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!folder.exists(), "{}", folder.display());
}

#[test]
fn jobs_end_as_the_manual_says() {
    let Some(slurm) = Slurm::start(Shape { nodes: 1, cores: 8, memory_mb: 4000 }) else { return };
    let failing = submit(&slurm, &[], "exit 3");
    // The shell itself reads half a gibibyte into a variable, where a hundredth of that was asked for.
    let greedy = submit(&slurm, &["--mem=50"], "a=$(head -c 500M /dev/zero | tr '\\0' x); sleep 30");
    let endless = submit(&slurm, &["--time=1"], "sleep 1000");
    let cancelled = submit(&slurm, &[], "sleep 1000");
    let too_long = submit(&slurm, &["--partition=small", "--time=5"], "true");
    let too_wide = submit(&slurm, &["--ntasks=9"], "true");
    for id in [&endless, &cancelled] {
        until_running(&slurm, id);
    }
    slurm.ask("scancel", &[&cancelled]);
    // The minute that the limit is long is brought near; `a_limit_is_a_minute` waits for one.
    slurm.ask("scontrol", &["update", &format!("JobId={endless}"), "EndTime=now+1"]);

    let ended = until_ended(&slurm, &failing);
    assert_eq!((ended.state.as_str(), ended.exit_status), ("FAILED", 3 << 8));
    let ended = until_ended(&slurm, &greedy);
    assert_eq!((ended.state.as_str(), ended.exit_status), ("FAILED", 9), "{ended:?}");
    let said =
        fs::read_to_string(slurm.folder().join(format!("wrap-{greedy}_4294967294.txt"))).expect("the job's words");
    assert!(said.contains("exceeded memory limit"), "{said}");
    let ended = until_ended(&slurm, &cancelled);
    assert_eq!(ended.state, "CANCELLED");
    let started = Instant::now();
    let ended = until_ended(&slurm, &endless);
    println!("a time-out is seen after {:?}", started.elapsed());
    assert_eq!(ended.state, "TIMEOUT", "{ended:?}");
    for (id, reason) in [(&too_long, "PartitionTimeLimit"), (&too_wide, "PartitionConfig")] {
        let waiting = job(&slurm, id);
        assert_eq!((waiting.state.as_str(), waiting.reason.as_str()), ("PENDING", reason));
    }
}

#[test]
fn jobs_outlive_their_controller() {
    let Some(mut slurm) = Slurm::start(TWO_NODES) else { return };
    let ended = submit(&slurm, &["--job-name=ended"], "true");
    let long = submit(&slurm, &["--job-name=long"], "sleep 1000");
    until_ended(&slurm, &ended);
    until_running(&slurm, &long);
    slurm.stop_controller_cleanly();
    let refused = slurm.command("squeue").output().expect("squeue starts");
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("slurm_load_jobs error"), "{refused:?}");
    let as_they_were = |slurm: &Slurm| {
        let (kept, ended) = (job(slurm, &long), job(slurm, &ended));
        assert_eq!((kept.state.as_str(), kept.name.as_str(), kept.restarts), ("RUNNING", "long", 0));
        assert_eq!((ended.state.as_str(), ended.name.as_str()), ("COMPLETED", "ended"));
    };
    slurm.start_controller();
    as_they_were(&slurm);

    // What a crash loses is what came in the seconds before it, while the state was not saved yet.
    thread::sleep(Duration::from_secs(6));
    slurm.kill_controller();
    slurm.start_controller();
    as_they_were(&slurm);
}

#[test]
#[ignore = "waits until a node asks again for a controller that was away"]
fn what_ends_while_the_controller_is_away_is_learnt_later() {
    let Some(mut slurm) = Slurm::start(TWO_NODES) else { return };
    let id = submit(&slurm, &[], "sleep 1");
    until_running(&slurm, &id);
    slurm.stop_controller_cleanly();
    thread::sleep(Duration::from_secs(2));
    // Only what watched over the job is left of it, and it waits for the controller.
    assert_eq!(slurm.job_pids().len(), 1);
    let started = Instant::now();
    slurm.start_controller();
    assert_eq!(until_ended(&slurm, &id).state, "COMPLETED");
    println!("what ended without the controller is known after {:?}", started.elapsed());
    // And where the cluster ends first, what waits ends with it.
    let id = submit(&slurm, &[], "sleep 1");
    until_running(&slurm, &id);
    slurm.kill_controller();
    thread::sleep(Duration::from_secs(2));
    let waiting = slurm.job_pids();
    assert_eq!(waiting.len(), 1);
    drop(slurm);
    assert!(!daemons::is_alive(waiting[0]));
}

#[test]
fn jobs_that_have_ended_are_forgotten() {
    let Some(slurm) = Slurm::start_forgetting(Shape { nodes: 1, cores: 2, memory_mb: 500 }, 2) else { return };
    let id = submit(&slurm, &[], "true");
    let started = Instant::now();
    slurm.until("the job is forgotten", |slurm| slurm.jobs().is_empty());
    println!("job {id} is forgotten after {:?}", started.elapsed());
    let asked = slurm.command("squeue").args(["-h", "-j", &id]).output().expect("squeue starts");
    assert!(asked.stdout.is_empty(), "{asked:?}");
}

#[test]
#[ignore = "waits for the controller to give up a node"]
fn jobs_of_a_lost_node_are_queued_again() {
    let Some(mut slurm) = Slurm::start(TWO_NODES) else { return };
    let id = submit(&slurm, &["--requeue"], "sleep 1000");
    let before = until_running(&slurm, &id);
    let node = before.node[1..].parse::<usize>().expect("a number") - 1;
    let started = Instant::now();
    slurm.lose_node(node);
    assert!(slurm.job_pids().is_empty(), "its job is gone");
    slurm.until("the job runs elsewhere", |slurm| job(slurm, &id).restarts == 1 && job(slurm, &id).state == "RUNNING");
    println!(
        "a lost node's job runs again after {:?}, where {NODE_TIMEOUT_S} s are allowed for silence",
        started.elapsed()
    );
    assert_ne!(job(&slurm, &id).node, before.node);
    slurm.start_node(node);
    assert_eq!(job(&slurm, &id).state, "RUNNING");
}

#[test]
#[ignore = "waits for the controller to give up a node"]
fn a_job_whose_nodes_daemon_dies_may_run_twice_at_once() {
    let Some(mut slurm) = Slurm::start(TWO_NODES) else { return };
    let id = submit(&slurm, &["--requeue"], "sleep 1000");
    let node = until_running(&slurm, &id).node[1..].parse::<usize>().expect("a number") - 1;
    slurm.until("its processes are there", |slurm| slurm.job_pids().len() >= 3);
    let first = slurm.job_pids();
    slurm.kill_node(node);
    slurm.until("the job runs elsewhere", |slurm| job(slurm, &id).restarts == 1 && job(slurm, &id).state == "RUNNING");
    slurm.until("its processes are there twice", |slurm| slurm.job_pids().len() >= 6);
    assert!(first.iter().all(|&pid| daemons::is_alive(pid)), "{first:?}");
    drop(slurm);
    assert!(!first.iter().any(|&pid| daemons::is_alive(pid)), "{first:?}");
}

#[test]
#[ignore = "waits for a whole minute"]
fn a_limit_is_a_minute() {
    let Some(slurm) = Slurm::start(Shape { nodes: 1, cores: 2, memory_mb: 500 }) else { return };
    let id = submit(&slurm, &["--time=1"], "sleep 1000");
    until_running(&slurm, &id);
    let started = Instant::now();
    thread::sleep(Duration::from_secs(55));
    assert_eq!(job(&slurm, &id).state, "RUNNING");
    assert_eq!(until_ended(&slurm, &id).state, "TIMEOUT");
    println!("a limit of one minute ended the job after {:?}", started.elapsed());
}

#[test]
#[ignore = "a thousand jobs take a while"]
fn an_array_of_a_thousand_runs() {
    let Some(slurm) = Slurm::start(Shape { nodes: 2, cores: 32, memory_mb: 64_000 }) else { return };
    let started = Instant::now();
    let id = submit(&slurm, &["--array=0-999", "--output=/dev/null"], "true");
    assert_eq!(slurm.jobs().len(), 1000, "array {id}");
    while slurm.live_jobs() > 0 {
        assert!(started.elapsed() < Duration::from_secs(600), "{}", slurm.logs());
        thread::sleep(Duration::from_secs(1));
    }
    println!("1000 jobs after {:?}", started.elapsed());
    assert!(slurm.jobs().iter().all(|job| job.state == "COMPLETED"));
}
