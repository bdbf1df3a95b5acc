//! Studies between laboratories: locks.

use std::fs;

use super::{World, runtime};

const BOLD: &str =
    "inputs/derivatives/sub-02/func/sub-02_task-simulated_run-3_space-schematic_desc-preproc_bold.nii.gz";

#[test]
fn a_locked_study_runs_elsewhere_to_the_same_bytes_and_no_edit_passes() {
    let Some(world) = World::recorded() else { return };
    world.hebb("run study.toml --locked").exits(2).says(&["study.lock.toml", "hebb lock"]);
    world.hebb("lock study.toml").exits(2).says(&["tasks have no result", "hebb run study.toml"]);
    world.hebb("run study.toml").exits(0);
    world.hebb("lock study.toml").exits(0).prints(&["study.lock.toml: ", " tasks and ", "files outside the cache"]);
    let lock = world.text("study.lock.toml");
    assert!(lock.contains(&format!("\n\"{BOLD}\" = {{ digest = ")), "{lock}");
    assert!(
        lock.contains("\n\"inputs/stimuli/run-1.tsv\" = ") && lock.contains("\n\"inputs/clip/model.safetensors\" = ")
    );
    assert!(lock.contains("\n\"encoding.ridge.alphas[2]\" = \"100\"") && lock.contains("\n\"report\" = { key = "));
    let folder = world.path("").display().to_string();
    assert!(!lock.contains(folder.trim_end_matches('/')), "a lock knows no folder of this machine");
    world.hebb("lock study.toml").exits(0);
    assert_eq!(world.text("study.lock.toml"), lock, "equal studies have equal locks");

    // Another folder, another home, no cache.
    let other = World::recorded().expect("as before");
    other.write("study.toml", format!("# A comment changes nothing.\n{}", world.text("study.toml")));
    other.write("study.lock.toml", &lock);
    fs::create_dir_all(other.path("home")).expect("writable");
    let mut command = other.command("run study.toml --locked");
    super::Answer::of(command.env("HOME", other.path("home")).env("TZ", "Asia/Tokyo")).exits(0);
    other.hebb("lock study.toml").exits(0);
    assert_eq!(other.text("study.lock.toml"), lock);

    // An edit, a changed file, a changed program, a result that was not there: each is named and nothing runs.
    let refuses = |words: &[&str]| {
        let runs = fs::read_dir(other.path("cache/records")).expect("records").count();
        other.hebb("run study.toml --locked").exits(2).says(words);
        assert_eq!(fs::read_dir(other.path("cache/records")).expect("records").count(), runs);
    };
    other.replace("study.toml", "alphas = [1, 10, 100]", "alphas = [1, 10, 300]");
    refuses(&["field `encoding.ridge.alphas[2]` is 300, locked 100", "task `encode/sub-01/clip/patterns` is "]);
    other.replace("study.toml", "alphas = [1, 10, 300]", "alphas = [1, 10, 100]");
    other.replace("study.lock.toml", "\"hebb\" = \"", "\"hebb\" = \"9.");
    refuses(&["program `hebb` is ", "locked 9."]);
    other.write("study.lock.toml", &lock);
    let table = other.text("inputs/stimuli/run-1.tsv");
    other.write("inputs/stimuli/run-1.tsv", format!("{}\n", table.trim_end()).replace("\n", "\r\n"));
    refuses(&["input `inputs/stimuli/run-1.tsv` is "]);
    other.write("inputs/stimuli/run-1.tsv", table);
    other.hebb("run study.toml --locked").exits(0);

    let report = lock.lines().find(|line| line.starts_with("\"report\" = ")).expect("a report");
    let output = report.rsplit('"').nth(1).expect("a digest");
    let wrong = output.chars().rev().collect::<String>();
    other.write("study.lock.toml", lock.replace(output, &wrong));
    other.hebb("run study.toml --locked").exits(2).says(&["result `report` is "]);
    other.write("study.lock.toml", "version = 1");
    other.hebb("run study.toml --locked").exits(2).says(&["study.lock.toml", "is not a lock"]);
}

#[test]
fn seeds_of_a_sweep_are_all_locked() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    world.write(
        "study.toml",
        format!("{}\n[sweep.grid]\n\"patterns.dictionary.seed\" = [1, 2]\n", world.text("study.toml")),
    );
    world.hebb("run study.toml").exits(0);
    world.hebb("lock study.toml --output locked.toml").exits(0).prints(&["locked.toml: "]);
    let lock = world.text("locked.toml");
    assert!(lock.contains("\n\"dictionary\" = 1\n") && lock.contains("\"dictionary@seed=2\" = 2\n"), "{lock}");
}
