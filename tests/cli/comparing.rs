//! One task in full, two studies or runs side by side, pictures of the tasks.

use std::fs;

use super::{World, runtime};
use serde_json::Value;

/// Ids of the study's runs, the latest first.
fn runs(world: &World) -> Vec<String> {
    let list = world.hebb("status study.toml --runs --json").exits(0).json();
    list.as_array().expect("a list").iter().map(|run| run["run"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn a_task_is_explained_before_and_after_it_ran_and_after_an_edit() {
    let world = World::simulated();
    let answer = world.hebb("explain study.toml encode/sub-01/clip/patterns").exits(0);
    answer.prints(&["kind      encode, version 3", "never run", "[1.0,10.0,100.0]", "pattern/clip", "last run  never"]);
    let Some(_) = runtime() else { return };
    world.hebb("run study.toml").exits(0);
    let answer = world.hebb("explain study.toml encode/*-01/clip/patterns").exits(0);
    answer.prints(&["standing  cached", "used by   ", "result    ", "scores.tsv", "hebb 0.1.0"]);

    world.replace("study.toml", "alphas = [1, 10, 100]", "alphas = [1, 20, 2000]");
    let explained = world.hebb("explain study.toml encode/sub-01/clip/patterns --json").exits(0).json();
    assert_eq!(explained["standing"], "runs");
    let changes = explained["reason"]["changed"].as_array().expect("a list");
    assert_eq!(changes.len(), 2, "every changed field: {changes:?}");
    assert_eq!(explained["last_run"]["is_current"], false);
    assert_eq!(explained["fields"]["encoding.ridge.alphas[1]"], "20");
    assert!(explained["estimated_s"].is_f64() && explained["memory_bytes"].is_u64());
    let all = world.hebb("explain study.toml encode/sub-01/clip/patterns --all").exits(0);
    all.prints(&[
        "encoding.ridge.alphas[2]",
        "encoding.ridge.alphas[1] 10 -> 20",
        "of what the study asked for before",
    ]);
    let follows = world.hebb("explain study.toml report").exits(0).prints(&["standing  follows"]);
    assert!(follows.stdout.contains("follows encode/sub-01/clip/patterns"), "{follows:?}");
}

#[test]
fn external_files_are_explained_with_digest_and_size() {
    let Some(world) = World::recorded() else { return };
    let explained = world.hebb("explain study.toml bold/sub-02/run-3 --json").exits(0).json();
    let files = explained["files"].as_array().expect("a list");
    assert!(!files.is_empty());
    for file in files {
        let path = world.path(file["path"].as_str().expect("a path"));
        assert_eq!(file["size_bytes"], fs::metadata(&path).expect("there").len());
        assert_eq!(file["digest"], hebb::store::hash_file(&path).expect("readable").to_string());
    }
}

#[test]
fn a_name_that_means_no_task_or_several_is_refused_with_names() {
    let world = World::simulated();
    let answer = world.hebb("explain study.toml encode/sub-01/clp/patterns").exits(2);
    answer.says(&[
        "`encode/sub-01/clp/patterns` is no task of this study",
        "the nearest are `encode/sub-01/clip/patterns`",
    ]);
    world.hebb("explain study.toml encode").exits(2).says(&[
        "`encode` means ",
        " tasks, expected one",
        "`encode/sub-01/",
    ]);
}

#[test]
fn two_runs_are_compared_by_fields_tasks_and_scores() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    world.hebb("run study.toml").exits(0);
    let before = world.text("study.toml");
    world.replace("study.toml", "alphas = [1, 10, 100]", "alphas = [100000]");
    world.hebb("run study.toml").exits(0);
    let [second, first] = runs(&world).try_into().expect("two runs");
    let answer = world.hebb(&format!("diff {first} {second}")).exits(0);
    let answer = answer.prints(&[
        "\nfields\n  encoding.ridge.alphas[0] 1 -> 100000\n  encoding.ridge.alphas[1] 10 (gone)\n",
        "tasks: 42 in A, 42 in B, 25 with the same key",
        "first to differ: encode/sub-01/clip/patterns  encoding.ridge.alphas[0] 1 -> 100000",
        "mean held-out r over subjects",
    ]);
    assert!(!answer.stdout.contains("NOT REPRODUCIBLE"), "{answer:?}");
    world.hebb(&format!("diff {first} {second} --exit-code")).exits(1);
    world.hebb(&format!("diff {first} {first} --exit-code")).exits(0).prints(&["no difference: 42 tasks"]);
    let all = world.hebb(&format!("diff {first} {second} --json")).exits(0).json();
    let some = world.hebb(&format!("diff {first} {second} --json --tolerance 0.01")).exits(0).json();
    let n_scores = |answer: &Value| answer["results"][0]["scores"].as_array().expect("a list").len();
    assert!(n_scores(&some) < n_scores(&all), "{some}");

    // The same as studies, and a study against a run.
    world.write("before.toml", before);
    let files = world.hebb("diff before.toml study.toml --json").exits(0).json();
    for part in ["fields", "tasks", "results"] {
        assert_eq!(files[part], all[part], "{part}");
    }
    world.hebb(&format!("diff {second} study.toml --exit-code")).exits(0);
    world.hebb("diff nothing study.toml").exits(2).says(&["`nothing` is neither a study file nor a run", "--runs"]);
}

#[test]
fn equal_inputs_that_led_to_other_bytes_are_told_apart() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    world.hebb("run study.toml").exits(0);
    world.replace("study.toml", "alphas = [1, 10, 100]", "alphas = [1, 10, 1000]");
    world.hebb("run study.toml").exits(0);
    let [second, first] = runs(&world).try_into().expect("two runs");
    // As if the first run had found another result for a task that both have.
    let folder = fs::read_dir(world.path("cache/runs")).expect("there").next().expect("one").expect("readable").path();
    let entries = fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path());
    let tasks =
        entries.into_iter().find(|path| path.to_string_lossy().ends_with(&format!("{first}.tasks"))).expect("kept");
    let text = fs::read_to_string(&tasks).expect("readable");
    let line = text.lines().find(|line| line.starts_with("pattern/clip\t")).expect("a task");
    let (rest, output) = line.rsplit_once('\t').expect("a digest");
    let other = format!("{rest}\t{}", output.chars().rev().collect::<String>());
    fs::write(&tasks, text.replace(line, &other)).expect("writable");
    let answer = world.hebb(&format!("diff {first} {second}")).exits(0);
    answer.prints(&["NOT REPRODUCIBLE, same inputs and other bytes: pattern/clip"]);
}

#[test]
fn the_picture_has_a_box_for_every_task_or_for_every_kind() {
    let world = World::simulated();
    let picture = world.hebb("graph study.toml --format svg").exits(0).stdout;
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    assert_eq!(picture.matches("<g><title>").count(), 42, "a box with a tooltip for each task");
    for word in ["encode/sub-01/clip/patterns", "never run", ">runs</text>"] {
        assert!(picture.contains(word), "{word}");
    }
    assert_eq!(world.hebb("graph study.toml --format svg --output tasks.svg").exits(0).stdout, "");
    assert_eq!(world.text("tasks.svg"), picture);
    let kinds = world.hebb("graph study.toml --format svg --by kind").exits(0).stdout;
    let n_kinds = kinds.matches("<g><title>").count();
    assert!((10..=15).contains(&n_kinds), "{n_kinds}");
    world.hebb("graph study.toml --by kind").exits(0).prints(&["\"encode runs\" [label=\"encode runs\\n", " tasks\""]);
    world.hebb("graph study.toml -o no/where.dot").exits(2).says(&["cannot write `no/where.dot`"]);
}

#[test]
fn completions_know_commands_and_options() {
    let world = World::empty();
    for shell in ["bash", "zsh", "fish"] {
        world.hebb(&format!("completions {shell}")).exits(0).prints(&["explain", "tolerance"]);
    }
    world.hebb("completions csh").exits(2).says(&["bash"]);
}
