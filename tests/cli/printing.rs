//! Colours and pipes.

use std::process::Stdio;

use super::{Answer, World, runtime};

fn wrong() -> World {
    let world = World::simulated();
    world.replace("study.toml", "n_patterns = 4", "n_patterns = 0");
    world
}

#[test]
fn what_goes_to_a_file_or_pipe_has_no_colours() {
    let world = wrong();
    assert!(!world.hebb("check study.toml").exits(2).stderr.contains('\x1b'));
    let world = World::simulated();
    assert!(!world.hebb("plan study.toml").exits(0).stdout.contains('\x1b'));
}

#[test]
fn colours_come_when_asked_for_even_against_no_color() {
    let world = wrong();
    assert!(world.hebb("check study.toml --color always").exits(2).stderr.contains('\x1b'));
    let answer = Answer::of(world.command("check study.toml --color always").env("NO_COLOR", "1"));
    assert!(answer.exits(2).stderr.contains('\x1b'));
    let answer = Answer::of(world.command("check study.toml").env("NO_COLOR", "1"));
    assert!(!answer.exits(2).stderr.contains('\x1b'));
    assert!(!world.hebb("check study.toml --color never").exits(2).stderr.contains('\x1b'));
}

#[test]
fn colours_change_no_word() {
    let world = wrong();
    let plain = world.hebb("check study.toml").exits(2).stderr;
    let styled = world.hebb("check study.toml --color always").exits(2).stderr;
    let mut bare = String::new();
    let mut rest = styled.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        bare += before;
        rest = after.split_once('m').expect("a code ends in `m`").1;
    }
    assert_eq!(bare + rest, plain);
}

/// The exit code and standard error, when nobody reads standard output.
fn unread(world: &World, arguments: &str) -> (i32, String) {
    let mut child = world.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    (output.status.code().expect("not killed"), String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn a_closed_pipe_is_no_error() {
    let world = World::simulated();
    let others =
        ["graph study.toml --format svg", "completions bash", "explain study.toml report", "status study.toml --runs"];
    for command in others.into_iter().chain([
        "schema",
        "plan study.toml --all",
        "graph study.toml",
        "status study.toml",
        "check study.toml",
        "diff study.toml study.toml",
    ]) {
        let (status, stderr) = unread(&world, command);
        assert_eq!((status, stderr.as_str()), (0, ""), "{command}");
    }
}

#[test]
fn a_closed_pipe_does_not_hide_that_a_study_is_wrong() {
    let (status, stderr) = unread(&wrong(), "check study.toml --format json");
    assert_eq!((status, stderr.as_str()), (2, ""));
}

#[test]
fn a_run_goes_on_when_nobody_listens() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    let mut child =
        world.command("run study.toml").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("ends").code(), Some(0));
    assert!(world.path("results/tiny/report.html").is_file());
}
