//! Every command on a study that is as it should be.

use std::fs;

use super::{SIMULATED, World, runtime};
use serde_json::json;

#[test]
fn init_writes_a_study_that_checks() {
    let world = World::empty();
    world.hebb("init").exits(0).prints(&["study.toml", "hebb check study.toml"]);
    world.hebb("check study.toml").exits(0).prints(&["study.toml is a study", "2 subjects, 4 runs"]);
}

#[test]
fn init_for_files_writes_a_study_that_only_lacks_the_files() {
    let world = World::empty();
    world.hebb("init --from files mine.toml").exits(0).prints(&["mine.toml"]);
    let found = world.hebb("check mine.toml --format json").exits(2).json();
    let found = found.as_array().expect("a list");
    assert!(!found.is_empty());
    for one in found {
        assert!(one["message"].as_str().expect("a message").starts_with("there is no `"), "{one}");
    }
}

#[test]
fn init_never_overwrites() {
    let world = World::empty();
    world.write("study.toml", "mine");
    world.hebb("init").exits(2).says(&["`study.toml` is there already", "hebb init FILE"]);
    assert_eq!(world.text("study.toml"), "mine");
}

#[test]
fn check_says_what_a_study_is_and_makes_nothing() {
    let world = World::simulated();
    let answer = world.hebb("check study.toml").exits(0);
    assert_eq!(
        answer.stdout,
        "study.toml is a study: clip (128 units); 36 images and 36 texts; 2 subjects, 3 runs, 105 volumes of 1.5 s\n"
    );
    assert_eq!(answer.stderr, "");
    world.is_untouched();
}

#[test]
fn check_tells_editors_where_every_mistake_is() {
    let world = World::simulated();
    assert_eq!(world.hebb("check study.toml --format json").exits(0).json(), json!([]));
    world.replace("study.toml", "n_patterns = 4", "n_pattern = 4");
    world.replace("study.toml", "alphas = [1, 10, 100]", "alphas = [1, 10, 'ä', 0.5]");
    let answer = world.hebb("check study.toml --format json").exits(2);
    assert_eq!(answer.stderr, "");
    let found = answer.json();
    let found = found.as_array().expect("a list");
    let line = |text: &str| 1 + SIMULATED.lines().position(|line| line.starts_with(text)).expect("in the study");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0]["file"], "study.toml");
    assert_eq!(found[0]["line"], line("n_patterns"));
    assert_eq!(found[0]["column"], 1);
    assert_eq!(found[0]["hint"], "did you mean `n_patterns`?");
    assert_eq!(found[1]["line"], line("alphas"));
    assert_eq!(found[1]["column"], 18);
}

#[test]
fn a_wrong_study_ends_every_command_before_anything_is_made() {
    let world = World::simulated();
    world.replace("study.toml", "n_patterns = 4", "n_patterns = 0");
    for command in
        ["check", "plan", "run", "status", "graph", "inputs --out inputs", "explain --all", "diff study.toml"]
    {
        let rest = if command.starts_with("explain") { " report" } else { "" };
        let answer = world.hebb(&format!("{command} study.toml{rest}")).exits(2);
        let answer =
            answer.says(&["`patterns.dictionary.n_patterns` is 0, expected at least 1", "1 error; nothing was run"]);
        assert_eq!(answer.stdout, "", "{command}");
        world.is_untouched();
        assert!(!world.path("inputs").exists());
    }
}

#[test]
fn plan_lists_what_never_ran_and_computes_nothing() {
    let world = World::simulated();
    let answer = world.hebb("plan study.toml").exits(0);
    let answer = answer.prints(&["tiny: ", " 0 cached, ", "weights/clip", "never run", "report"]);
    assert!(!answer.stdout.contains('\x1b'));
    assert_eq!(fs::read_dir(world.path("cache/artifacts")).expect("a cache").count(), 0);
    world.hebb("plan study.toml --resources").exits(0).prints(&["MiB"]);
}

#[test]
fn plan_as_json_counts_what_it_lists() {
    let world = World::simulated();
    let plan = world.hebb("plan study.toml --json").exits(0).json();
    assert_eq!(plan["study"], "tiny");
    let tasks = plan["tasks"].as_array().expect("a list");
    let counts = |name: &str| plan["counts"][name].as_u64().expect("a count");
    assert_eq!(tasks.len() as u64, counts("to_run") + counts("to_follow") + counts("blocked"));
    assert_eq!(counts("cached"), 0);
    for task in tasks {
        assert!(task["task"].is_string() && task["kind"].is_string(), "{task}");
        assert!(task["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{task}");
        assert!(task["estimated_s"].is_null(), "nothing is known yet: {task}");
    }
    let every = world.hebb("plan study.toml --all").exits(0).stdout;
    assert_eq!(every.lines().filter(|line| line.starts_with("  ")).count(), tasks.len(), "{every}");
    assert!(every.contains("time: unknown, nothing like this was run"), "{every}");
}

#[test]
fn plan_after_an_edit_names_the_field_with_its_old_and_new_value() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    let first =
        world.hebb("run study.toml").exits(0).prints(&["tiny: ", " computed", "results: results/tiny/report.html"]);
    assert!(first.stderr.contains("] report"), "{first:?}");
    world.hebb("plan study.toml").exits(0).prints(&["nothing to run"]);
    world.hebb("status study.toml").exits(0).prints(&["encode", "all", "results/tiny/report.html"]);
    world.has_whole_cache();

    world.write("study.toml", format!("# Comments and order change nothing.\n{SIMULATED}"));
    world.hebb("plan study.toml").exits(0).prints(&["nothing to run"]);

    world.replace("study.toml", "alphas = [1, 10, 100]", "alphas = [1, 10, 1000]");
    let plan = world.hebb("plan study.toml").exits(0).prints(&["encode/", "encoding.ridge.alphas[2] 100 -> 1000"]);
    for unchanged in ["weights/", "extract/", "bold/", "pattern/"] {
        assert!(!plan.stdout.contains(unchanged), "{plan:?}");
    }
    world.hebb("run study.toml").exits(0);
    world.hebb("plan study.toml").exits(0).prints(&["nothing to run"]);
    world.has_whole_cache();
}

#[test]
fn the_graph_declares_every_task_that_it_connects() {
    let world = World::simulated();
    let plan = world.hebb("plan study.toml --json").exits(0).json();
    let n_tasks = plan["tasks"].as_array().expect("a list").len();

    let dot = world.hebb("graph study.toml").exits(0).stdout;
    assert!(dot.starts_with("digraph study {") && dot.ends_with("}\n"), "{dot}");
    let (edges, nodes): (Vec<&str>, Vec<&str>) =
        dot.lines().filter(|line| line.starts_with("  \"")).partition(|line| line.contains(" -> "));
    assert_eq!(nodes.len(), n_tasks);
    let declared: Vec<&str> = nodes.iter().filter_map(|line| line.split('"').nth(1)).collect();
    for edge in edges {
        let ends: Vec<&str> = edge.split('"').skip(1).step_by(2).collect();
        assert!(ends.iter().all(|end| declared.contains(end)), "{edge}");
    }

    let mermaid = world.hebb("graph study.toml --format mermaid").exits(0).stdout;
    assert!(mermaid.starts_with("flowchart LR\n"), "{mermaid}");
    assert_eq!(mermaid.lines().filter(|line| line.contains(":::")).count(), n_tasks);
    assert!(mermaid.contains("classDef runs"), "{mermaid}");
}

#[test]
fn status_before_the_first_run_says_how_to_run() {
    let world = World::simulated();
    world.hebb("status study.toml").exits(0).prints(&["kind", "encode", "no results yet: `hebb run study.toml`"]);
}

#[test]
fn doctor_tells_what_is_there_and_fails_for_what_is_not() {
    let world = World::empty();
    world.write("libonnxruntime.so", "not a library");
    let answer = world.hebb("doctor --onnxruntime libonnxruntime.so").exits(2);
    answer.prints(&["hebb", "OpenBLAS", "ONNX Runtime   missing", "libonnxruntime.so", "threads", "memory", "cache"]);
    if runtime().is_some() {
        world.hebb("doctor").exits(0).prints(&["ONNX Runtime   1.", "cache"]);
    }
}

#[test]
fn without_its_engine_a_run_says_how_to_get_it() {
    let world = World::simulated();
    let answer = world.hebb("run study.toml --onnxruntime nowhere.so").exits(2);
    answer.says(&["ONNX Runtime", "nowhere.so", "make setup"]);
    assert!(!world.path("results").exists());
    world.hebb("plan study.toml --onnxruntime nowhere.so").exits(0).prints(&["note: ONNX Runtime was not found"]);
}

#[test]
fn schema_prints_the_schema() {
    let world = World::empty();
    let printed = world.hebb("schema").exits(0).json();
    assert_eq!(printed, hebb::spec::schema());
}

#[test]
fn the_cache_goes_where_it_is_told() {
    let world = World::simulated();
    world.hebb("plan study.toml --cache elsewhere").exits(0);
    assert!(world.path("elsewhere/artifacts").is_dir());
    let answer = super::Answer::of(world.command("plan study.toml").env("HEBB_CACHE", "from-environment"));
    answer.exits(0);
    assert!(world.path("from-environment/artifacts").is_dir());
    world.is_untouched();
}

#[test]
fn inputs_writes_files_as_users_have_them() {
    let Some(world) = World::recorded() else { return };
    for file in [
        "inputs/clip/model.safetensors",
        "inputs/clip/tokenizer.json",
        "inputs/stimuli/run-3.tsv",
        "inputs/derivatives/dataset_description.json",
        "inputs/derivatives/sub-02/func",
    ] {
        assert!(world.path(file).exists(), "{file}");
    }
    world.hebb("check study.toml").exits(0).prints(&["2 subjects, 3 runs, 105 volumes of 1.5 s"]);
    let answer = world.hebb("inputs study.toml --out again").exits(2);
    answer.says(&["`study.toml` makes no files", "hebb init"]);
    assert!(!world.path("again").exists());
}

#[test]
fn usage_that_is_not_understood_ends_with_two_and_says_what_is() {
    let world = World::simulated();
    world.hebb("").exits(2).says(&["Usage: hebb", "plan"]);
    world.hebb("frobnicate study.toml").exits(2).says(&["unrecognized subcommand 'frobnicate'"]);
    world.hebb("plan").exits(2).says(&["<STUDY>"]);
    world.hebb("run study.toml --jobs 0").exits(2).says(&["--jobs"]);
    world.hebb("graph study.toml --format png").exits(2).says(&["dot", "mermaid", "svg"]);
    world.hebb("chek study.toml").exits(2).says(&["check"]);
    world.hebb("--help").exits(0).prints(&["init", "check", "plan", "run", "status", "graph", "schema", "doctor"]);
    world.hebb("--version").exits(0).prints(&[env!("CARGO_PKG_VERSION")]);
    world.is_untouched();
}

#[test]
fn a_report_is_laid_out_again_and_its_charts_become_files() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    world.hebb("report study.toml").exits(2).says(&["has no report yet", "hebb run study.toml"]);
    world.hebb("run study.toml").exits(0);
    fs::remove_file(world.path("results/tiny/report.html")).expect("a page");
    let answer = world.hebb("report study.toml --figures figures").exits(0);
    answer.prints(&["results: results/tiny/report.html", "figures: "]);
    assert!(world.path("results/tiny/report.html").is_file());
    let written: Vec<_> = fs::read_dir(world.path("figures")).expect("a folder").flatten().collect();
    let of =
        |ending: &str| written.iter().filter(|file| file.path().extension().is_some_and(|end| end == ending)).count();
    assert!(of("svg") >= 3 && of("svg") == of("tsv") && of("svg") + of("tsv") == written.len(), "{written:?}");
    let scores = fs::read_to_string(world.path("figures/layers-1-sub01-clip.tsv")).expect("scores by layer");
    assert!(scores.starts_with("module\tlayer\tnetwork\tscore\n"), "{scores}");
    world.has_whole_cache();
}
