//! A cache that two machines share: another machine is this one under another name of its running system.

use super::studies::{Outcome, wait_until};
use crate::cli::world::{Answer, SIMULATED, World, runtime};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The command as another machine would run it; none where the superuser alone may pretend that.
fn elsewhere(world: &World, arguments: &str) -> Option<Command> {
    world.write("system", "another-system\n");
    let own = "/proc/sys/kernel/random/boot_id";
    let renamed = format!("mount --bind system {own} && exec \"$0\" \"$@\"");
    let plain = world.command(arguments);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c"]).arg(renamed).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(world.path("")).stdin(Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let may = Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if !may {
        assert!(std::env::var_os("HEBB_REQUIRE_SLURM").is_none(), "`unshare --mount` is for the superuser");
        eprintln!("nothing tested: `unshare --mount` is for the superuser");
    }
    may.then_some(command)
}

fn signal(pid: u32, signal: i32) {
    // SAFETY: takes two numbers.
    unsafe { libc::kill(pid.try_into().expect("process ids are positive numbers of 32 bits"), signal) };
}

#[test]
#[ignore = "a lease lasts forty seconds"]
fn a_machine_that_stands_still_is_waited_for_and_then_overtaken_and_may_come_back() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    let Some(mut command) = elsewhere(&world, "run study.toml --jobs 1") else { return };
    let mut first = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let leases = || {
        let entries = fs::read_dir(world.path("cache/locks")).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        paths.filter(|path| path.extension().is_some_and(|end| end == "lease")).collect::<Vec<_>>()
    };
    // Of a key that has no result yet.
    let is_at_work = |lease: &PathBuf| {
        let key = lease.file_stem().expect("a name").to_string_lossy().into_owned();
        let record = world.path("cache/records").join(&key[..2]).join(&key).with_extension("json");
        fs::read_to_string(lease).is_ok_and(|text| text.starts_with("another-system ")) && !record.exists()
    };
    // Stopped while it computes.
    wait_until("the first run holds a lease", || {
        signal(first.id(), libc::SIGSTOP);
        thread::sleep(Duration::from_millis(20));
        let holds = leases().iter().any(is_at_work);
        if !holds {
            signal(first.id(), libc::SIGCONT);
            thread::sleep(Duration::from_millis(7));
            assert!(first.try_wait().expect("it can be waited for").is_none(), "it ended without being caught");
        }
        holds
    });
    let started = Instant::now();
    world.hebb("run study.toml --results other").exits(0).prints(&["other/tiny/report.html"]);
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(35), "it was not waited for: {waited:?}");
    // It comes back in the middle of what is done by now.
    signal(first.id(), libc::SIGCONT);
    assert!(first.wait().expect("it ends").success());
    assert!(leases().is_empty(), "{:?}", leases());
    world.has_whole_cache();
    Outcome::of(&world).assert_is(&Outcome::here(SIMULATED));
}

#[test]
fn two_machines_compute_each_task_once() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    let Some(mut command) = elsewhere(&world, "run study.toml --events there.jsonl --results there") else { return };
    let mut there = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    Answer::of(&mut world.command("run study.toml --events here.jsonl")).exits(0);
    assert!(there.wait().expect("it ends").success());
    let computed = |events: &str| {
        let text = world.text(events);
        let is_one = |line: &&str| line.contains("\"finished\"") && line.contains("\"computed\"");
        text.lines().filter(is_one).count()
    };
    assert_eq!(computed("here.jsonl") + computed("there.jsonl"), 42);
    world.has_whole_cache();
}
