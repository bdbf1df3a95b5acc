//! The same study gives the same bytes, however it runs and wherever.

use super::{Answer, World, runtime};
use std::{fs, process::Command};

/// The program in a shell of its own, which may change what it inherits first.
fn in_shell(world: &World, first: &str, arguments: &str) -> Command {
    let plain = world.command(arguments);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{first}; exec \"$0\" \"$@\"")]).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(plain.get_current_dir().expect("a world's commands have one"));
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// What a run led to, by digest: the lock, which has neither times nor places.
#[track_caller]
fn led_to(world: &World, first: &str, arguments: &str) -> String {
    Answer::of(&mut in_shell(world, first, &format!("run study.toml {arguments}"))).exits(0);
    world.has_whole_cache();
    world.hebb("lock study.toml").exits(0);
    world.text("study.lock.toml")
}

#[test]
#[cfg(unix)]
fn threads_locale_zone_umask_and_folders_change_no_byte() {
    let Some(_) = runtime() else { return };
    let expected = led_to(&World::simulated(), ":", "");
    assert!(expected.contains("[tasks"), "{expected}");
    for (first, arguments) in [
        (":", "--jobs 1"),
        (":", "--jobs 8"),
        ("export LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8 LC_NUMERIC=de_DE.UTF-8", "--jobs 2"),
        ("export TZ=Asia/Kathmandu", ""),
        ("umask 077", ""),
        ("umask 000", ""),
        ("mkdir -p tmp && export TMPDIR=$PWD/tmp HOME=/nonexistent", ""),
        ("export OPENBLAS_NUM_THREADS=4 OMP_NUM_THREADS=3 RAYON_NUM_THREADS=5", ""),
    ] {
        assert_eq!(led_to(&World::simulated(), first, arguments), expected, "`{first}` `{arguments}`");
    }
    // From another folder, into another cache.
    let world = World::simulated();
    fs::create_dir_all(world.path("deep/er")).expect("writable");
    let mut command = world.command("--cache kept/here run ../../study.toml");
    Answer::of(command.current_dir(world.path("deep/er"))).exits(0);
    let mut lock = world.command("--cache kept/here lock ../../study.toml");
    Answer::of(lock.current_dir(world.path("deep/er"))).exits(0);
    assert_eq!(world.text("study.lock.toml"), expected);
}

#[test]
fn what_was_collected_is_made_again_byte_for_byte() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    let expected = led_to(&world, ":", "");
    // What the edit leads to takes the place of what was there, which is collected.
    world.replace("study.toml", "seed = 1", "seed = 7");
    assert_ne!(led_to(&world, ":", ""), expected);
    world.hebb("cache gc --grace 0").exits(0);
    world.replace("study.toml", "seed = 7", "seed = 1");
    let answer = world.hebb("run study.toml").exits(0);
    assert!(!answer.stdout.contains(" 0 computed"), "{answer:?}");
    world.hebb("lock study.toml").exits(0);
    assert_eq!(world.text("study.lock.toml"), expected);
}

#[test]
fn results_that_were_half_laid_out_are_laid_out_anew_when_an_edit_is_put_back() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    world.hebb("run study.toml").exits(0);
    let scores = || world.text("results/tiny/tables/scores.tsv");
    let expected = scores();
    // As a kill after the tables would leave it.
    fs::remove_file(world.path("results/tiny/tasks.tsv")).expect("there");
    fs::create_dir_all(world.path("results/tiny/tasks.tsv/in-the-way")).expect("writable");
    world.replace("study.toml", "alphas = [1, 10, 100]", "alphas = [5000]");
    world.hebb("run study.toml").exits(3);
    assert_ne!(scores(), expected, "the tables are those of the edit");
    fs::remove_dir_all(world.path("results/tiny/tasks.tsv")).expect("there");
    world.replace("study.toml", "alphas = [5000]", "alphas = [1, 10, 100]");
    world.hebb("run study.toml").exits(0);
    assert_eq!(scores(), expected);
}

#[test]
#[cfg(unix)]
fn what_is_written_is_its_owners_to_write_and_follows_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let Some(_) = runtime() else { return };
    for (umask, others) in [("077", 0o000), ("022", 0o055)] {
        let world = World::simulated();
        Answer::of(&mut in_shell(&world, &format!("umask {umask}"), "run study.toml")).exits(0);
        for folder in ["cache/artifacts", "cache/records", "results"] {
            for entry in walkdir::WalkDir::new(world.path(folder)) {
                let entry = entry.expect("readable");
                let mode = entry.metadata().expect("readable").permissions().mode() & 0o777;
                assert_eq!(mode & 0o022, 0, "others may write {}", entry.path().display());
                // A laboratory shares its cache: what one has computed, others can read, unless one's mask says otherwise.
                assert_eq!(mode & 0o044, others & 0o044, "{mode:o} {} with umask {umask}", entry.path().display());
                let is_published =
                    entry.path().starts_with(world.path("cache/artifacts")) && entry.file_type().is_file();
                assert!(!is_published || mode & 0o222 == 0, "{mode:o} {}", entry.path().display());
            }
        }
    }
}
