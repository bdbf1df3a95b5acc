//! Settings of a site, a user and a command: where they are looked for, what is said of those that are wrong.

use std::fs;

use hebb::{spec::settings::settings_schema, task::Kind};
use serde_json::Value;

use super::{Answer, World, runtime};

/// A folder with these texts as the settings of the site and of the user.
fn world(site: &str, own: &str) -> World {
    let world = World::empty();
    fs::create_dir_all(world.path("config/hebb")).expect("writable");
    world.write("site.toml", site);
    world.write("config/hebb/settings.toml", own);
    world
}

/// The lines of a table of `hebb doctor`, from the one that begins with a name on.
fn lines(answer: &Answer, name: &str) -> Vec<String> {
    answer.stdout.lines().skip_while(|line| !line.starts_with(name)).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn doctor_names_every_file_of_settings_and_the_executor() {
    let world = World::empty();
    let answer = world.hebb("doctor");
    let told = lines(&answer, "settings");
    assert!(told[0].ends_with("site.toml (not there)"), "{told:?}");
    assert!(told[1].ends_with("config/hebb/settings.toml (not there)"), "{told:?}");
    assert_eq!(told[2], "executor       local");
    assert_eq!(answer.status, if runtime().is_some() { 0 } else { 2 }, "{answer:?}");
}

#[test]
fn what_the_command_names_overrides_the_user_who_overrides_the_site() {
    let slurm = "[execution]\nexecutor = 'slurm'\n";
    let local = "[execution]\nexecutor = 'local'\n";
    let executor = |answer: Answer| lines(&answer, "executor")[0].clone();
    let path = |world: &World| world.path("nothing");
    let doctor =
        |world: &World, options: &str| Answer::of(world.command(&format!("doctor {options}")).env("PATH", path(world)));

    let site = world(slurm, "");
    assert!(executor(doctor(&site, "")).starts_with("executor       slurm"));
    let own = world(slurm, local);
    assert_eq!(executor(doctor(&own, "")), "executor       local");
    own.write("mine.toml", slurm);
    let named = doctor(&own, "--settings mine.toml");
    assert!(lines(&named, "settings")[2].ends_with("mine.toml"), "{named:?}");
    assert!(executor(named).starts_with("executor       slurm"));
    let mut from_environment = own.command("doctor");
    from_environment.env("HEBB_SETTINGS", "mine.toml").env("PATH", path(&own));
    assert!(executor(Answer::of(&mut from_environment)).starts_with("executor       slurm"));
}

#[test]
fn doctor_misses_sbatch_only_where_jobs_are_wanted() {
    let world = world("", "[execution]\nexecutor = 'slurm'\n");
    let answer = Answer::of(world.command("doctor").env("PATH", world.path("nothing"))).exits(2);
    answer.prints(&["executor       slurm, but there is no `sbatch` on the PATH", "run this where jobs are submitted"]);
}

#[cfg(unix)]
#[test]
fn doctor_asks_sbatch_for_its_version() {
    use std::os::unix::fs::PermissionsExt;
    let world = world("", "[execution]\nexecutor = 'slurm'\n");
    let asked = |script: &str| {
        fs::create_dir_all(world.path("bin")).expect("writable");
        world.write("bin/sbatch", script);
        fs::set_permissions(world.path("bin/sbatch"), fs::Permissions::from_mode(0o755)).expect("writable");
        Answer::of(world.command("doctor").env("PATH", world.path("bin")))
    };
    asked("#!/bin/sh\n[ \"$*\" = --version ] && echo 'slurm 22.05.8'\n")
        .prints(&["executor       slurm (slurm 22.05.8)"]);
    let broken = asked("#!/bin/sh\necho 'no configuration' >&2\nexit 1\n").exits(2);
    broken.prints(&["slurm, but `sbatch --version` ended with exit status: 1: no configuration"]);
}

#[test]
fn a_wrong_value_is_shown_in_the_file_that_it_stands_in() {
    let world = world("[execution.slurm]\npartition = \"main\"\n", "");
    world.write(
        "mine.toml",
        "[execution.slurm]\nmax_runing = 8\n\n[execution.slurm.kinds.extract]\ntime_limit_min = 2000\n",
    );
    let answer = world.hebb("doctor --settings mine.toml").exits(2);
    let expected = "\
error: unknown key `execution.slurm.max_runing`
 --> mine.toml:2:1
  |
2 | max_runing = 8
  | ^^^^^^^^^^ unknown key
  |
  = help: did you mean `max_running`?

1 error; nothing was run
";
    assert_eq!(answer.stderr, expected);
    answer.prints(&["executor       unknown: the settings cannot be used"]);

    world.replace("mine.toml", "max_runing", "max_running");
    let answer = world.hebb("doctor --settings mine.toml").exits(2);
    let expected = "\
error: `execution.slurm.kinds.extract.time_limit_min` is 2000, more than `execution.slurm.longest_min`, which is 1440 by default
 --> mine.toml:5:18
  |
5 | time_limit_min = 2000
  |                  ^^^^ expected at most 1440
  |
  = help: lower it, or raise `execution.slurm.longest_min`

1 error; nothing was run
";
    assert_eq!(answer.stderr, expected);
}

#[test]
fn mistakes_of_all_files_are_told_at_once() {
    let world = world("[execution.slurm]\ncpus = 0\n", "[execution.slurm]\ncpus = 2\npartition = 'a;b'\n");
    let answer = world.hebb("doctor").exits(2);
    let said = ["site.toml:2:8", "`execution.slurm.cpus` is 0, expected at least 1", "config/hebb/settings.toml:3:13"];
    answer.says(&said).says(&["`execution.slurm.partition` has `;`, which no such name has", "2 errors"]);
}

#[test]
fn a_named_file_has_to_be_there() {
    let world = World::empty();
    let answer = world.hebb("doctor --settings nowhere.toml").exits(2);
    answer
        .says(&["cannot read the settings `nowhere.toml`", "hint: `--settings FILE` and `HEBB_SETTINGS` name a file"]);
}

#[test]
fn schema_of_settings_is_printed_whatever_the_settings() {
    let world = world("wrong", "wrong");
    let printed: Value = serde_json::from_str(&world.hebb("schema settings").exits(0).stdout).expect("JSON");
    assert_eq!(printed, settings_schema(&Kind::ALL.map(Kind::name)));
    world.hebb("schema setting").exits(2).says(&["possible values: study, settings"]);
}
