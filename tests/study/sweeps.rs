//! Sweeps and included files: what cells share is computed once, a cell is the study that it says it is.

use super::bench::{Bench, Ids, LIMITS, edited, printed, program, tiny};
use hebb::spec::read_study;
use std::{collections::BTreeMap, fs, sync::atomic::AtomicBool};

/// The tiny study with a sweep.
fn swept(sweep: &str) -> String {
    edited(&tiny(), &[("[units]", &format!("{sweep}\n\n[units]"))])
}

const PATTERNS: &str = "[sweep.grid]\n\"patterns.dictionary.n_patterns\" = [3, 4]";

/// A sweep that has just run.
fn ran(text: &str) -> Option<Bench> {
    let bench = crate::model::runtime().then(|| Bench::new(text))?;
    let ran = bench.run();
    assert_eq!(ran.failed, BTreeMap::new());
    assert_eq!(ran.computed, ran.all, "each task once");
    Some(bench)
}

fn names(text: &str) -> Vec<String> {
    let bench = Bench::new(text);
    read_study(&bench.file())
        .unwrap_or_else(|error| panic!("{error}"))
        .cells
        .iter()
        .map(hebb::spec::Cell::name)
        .collect()
}

#[test]
fn what_cells_have_in_common_is_one_task_and_keeps_its_name() {
    let plain = Bench::new(&tiny()).plan().ids();
    let cells = Bench::new(&swept(PATTERNS)).plan().ids();
    let shared: Ids = cells.iter().filter(|id| !id.contains('@')).cloned().collect();
    let own: Ids = plain.difference(&shared).cloned().collect();
    let twice = ["pattern/clip", "encode/sub-01/clip/patterns", "encode/sub-02/clip/patterns", "report"];
    assert!(twice.iter().all(|id| own.contains(*id)), "{own:?}");
    assert!(shared.contains("extract/clip/vision/000") && shared.contains("encode/sub-01/clip/text/layer-01"));
    let of = |n: usize| own.iter().map(move |id| format!("{id}@n_patterns={n}"));
    assert_eq!(cells, shared.into_iter().chain(of(3)).chain(of(4)).collect());
}

#[test]
fn a_cell_is_the_study_that_it_says_it_is() {
    let Some(bench) = ran(&swept(PATTERNS)) else { return };
    let cells = bench.plan().outputs();
    bench.write(&tiny());
    let plain = bench.plan();
    assert_eq!(plain.to_run().len(), 0, "the study by itself is one of the cells");
    assert_eq!(plain.outputs()["report"], cells["report@n_patterns=4"]);
    assert_ne!(plain.outputs()["report"], cells["report@n_patterns=3"]);
}

#[test]
fn a_value_more_runs_its_cells_only_and_a_value_less_nothing() {
    let Some(bench) = ran(&swept(PATTERNS)) else { return };
    bench.edit(&[("[3, 4]", "[3, 4, 5]")]);
    bench.run().assert_computed(
        "pattern/clip@n_patterns=5 encode/*/patterns@n_patterns=5 null/*@n_patterns=5 prediction/*@n_patterns=5 maps/*@n_patterns=5 \
         redundancy/*@n_patterns=5 polarity/*@n_patterns=5 recovery/*@n_patterns=5 report@n_patterns=5",
    );
    bench.edit(&[("[3, 4, 5]", "[5, 3]")]);
    bench.run().assert_computed("");
}

#[test]
fn an_axis_names_only_what_depends_on_it() {
    let grid = "[sweep.grid]\n\"patterns.dictionary.n_patterns\" = [3, 4]\n\"statistics.polarity.seed\" = [0, 1]";
    let ids = Bench::new(&swept(grid)).plan().ids();
    for (id, is_there) in [
        ("pattern/clip@n_patterns=3", true),
        ("redundancy/sub-01/clip@n_patterns=4", true),
        ("polarity/sub-01/clip@n_patterns=4,seed=1", true),
        ("report@n_patterns=3,seed=0", true),
        ("redundancy/sub-01/clip@n_patterns=4,seed=1", false),
        ("extract/clip/text/000", true),
    ] {
        assert_eq!(ids.contains(id), is_there, "{id} in {ids:?}");
    }
}

#[test]
fn cells_are_named_by_their_own_values_whatever_else_the_sweep_has() {
    let zip = "[[sweep.zip]]\n\"time.hrf\" = [\"glover\", \"spm\"]\n\"units.reduce\" = [\"mean\", \"max\"]";
    assert_eq!(names(&swept(zip)), ["hrf=glover,reduce=mean", "hrf=spm,reduce=max"]);
    let named = "[sweep.grid]\n\"encoding.ridge.alphas\" = { few = [1, 10], many = [1, 10, 100] }";
    assert_eq!(names(&swept(named)), ["alphas=few", "alphas=many"]);
    let grid = "[sweep.grid]\n\"patterns.dictionary.n_patterns\" = [3, 4]\n\"time.hrf\" = [\"glover\", \"spm\"]";
    let all = names(&swept(grid));
    assert_eq!(
        all,
        ["n_patterns=3,hrf=glover", "n_patterns=3,hrf=spm", "n_patterns=4,hrf=glover", "n_patterns=4,hrf=spm"]
    );
    let exclude = "\n\n[[sweep.exclude]]\n\"time.hrf\" = \"spm\"\n\"patterns.dictionary.n_patterns\" = 3";
    assert_eq!(names(&swept(&format!("{grid}{exclude}"))), [all[0].clone(), all[2].clone(), all[3].clone()]);
    let long =
        "[sweep.grid]\n\"preparation.confounds\" = [[\"trans_*\"], [\"trans_x\", \"trans_y\", \"trans_z\", \"rot_x\"]]";
    let long = names(&swept(long));
    assert!(long.iter().all(|name| name.len() < 48 && !name.contains(['*', '/', ' '])), "{long:?}");
    assert_ne!(long[0], long[1]);
}

#[test]
fn fields_that_vary_together_have_a_value_each() {
    let zip = "[[sweep.zip]]\n\"time.hrf\" = [\"glover\", \"spm\"]\n\"units.reduce\" = [\"mean\", \"max\"]";
    let study = read_study(&Bench::new(&swept(zip)).file()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(study.cells[1].values().collect::<Vec<_>>(), [("hrf", "spm"), ("reduce", "max")]);
}

#[test]
fn values_that_give_the_same_bytes_stop_there() {
    let Some(bench) = ran(&tiny()) else { return };
    bench.write(&swept("[sweep.grid]\n\"units.layers\" = [\"all\", [0, 1]]"));
    let ran = bench.run();
    ran.assert_computed("export/*@layers=0+1");
    assert!(ran.unchanged.len() > 10, "{:?}", ran.unchanged);
}

#[test]
fn a_study_over_included_files_is_the_study_written_out() {
    let Some(bench) = ran(&tiny()) else { return };
    let base = edited(&tiny(), &[("n_patterns = 4", "n_patterns = 7"), ("name = \"tiny\"", "name = \"base\"")]);
    fs::create_dir(bench.folder().join("shared")).expect("writable");
    fs::write(bench.folder().join("shared/base.toml"), base).expect("writable");
    let over = "include = \"shared/base.toml\"\n[study]\nname = \"over\"\n[patterns.dictionary]\nn_patterns = 4\n";
    bench.write(over);
    bench.run().assert_computed("");
    bench.write(&over.replace("n_patterns = 4", "n_patterns = 5"));
    let reason = bench.plan().to_run()["pattern/clip"].to_string();
    assert_eq!(reason, "patterns.dictionary.n_patterns 4 -> 5");
}

#[test]
fn another_form_of_patterns_replaces_the_included_one() {
    let bench = Bench::new(&tiny());
    fs::write(bench.folder().join("base.toml"), tiny()).expect("writable");
    bench.write("include = \"base.toml\"\n[study]\nname = \"over\"\n[patterns.pca]\nn_patterns = 3\n");
    let planned = bench.plan();
    let pattern = planned.plan.find("pattern/clip").expect("a task");
    assert_eq!(planned.plan.manifest(pattern).fields()["patterns.pca.n_patterns"], "3");
}

#[test]
fn paths_in_an_included_file_start_from_its_folder() {
    let Some(bench) = Bench::files() else { return };
    let text = fs::read_to_string(bench.file()).expect("readable");
    fs::create_dir(bench.folder().join("mine")).expect("writable");
    let over = bench.folder().join("mine/over.toml");
    fs::write(&over, "include = \"../study.toml\"\n[study]\nname = \"over\"\n").expect("writable");
    assert!(text.contains("inputs/"), "the study names files");
    assert_eq!(bench.plan_file(&over).to_run().len(), 0);
}

#[test]
fn the_program_lays_out_each_cell_and_compares_them() {
    let Some(bench) = ran(&swept(PATTERNS)) else { return };
    let name = bench.file();
    let text = fs::read_to_string(&name).expect("readable");
    fs::write(bench.folder().join("sweep.toml"), text).expect("writable");
    let answer = printed(program(bench.folder(), &["run", "sweep.toml"]));
    assert!(answer.contains("results: results/tiny/index.html"), "{answer}");
    let results = bench.folder().join("results/tiny");
    let scores = fs::read_to_string(results.join("scores.tsv")).expect("written");
    assert!(scores.starts_with("cell\tn_patterns\tsubject\tmodel\t"), "{scores:.200}");
    let index = fs::read_to_string(results.join("index.html")).expect("written");
    for cell in ["n_patterns=3", "n_patterns=4"] {
        assert!(results.join(cell).join("report.html").is_file());
        assert!(index.contains(&format!("href=\"{cell}/report.html\"")));
        let n = scores.lines().filter(|line| line.starts_with(&format!("{cell}\t"))).count();
        let own = fs::read_to_string(results.join(cell).join("tables/scores.tsv")).expect("written");
        assert_eq!(n, own.lines().count() - 1);
    }
    // What a reader does to the copies is nothing to the comparison.
    fs::write(results.join("n_patterns=3/tables/scores.tsv"), "mine\n").expect("writable");
    fs::remove_file(results.join("index.html")).expect("there");
    printed(program(bench.folder(), &["run", "sweep.toml"]));
    assert_eq!(fs::read_to_string(results.join("scores.tsv")).expect("written"), scores);
    let tasks = fs::read_to_string(results.join("n_patterns=3/tasks.tsv")).expect("written");
    assert!(tasks.contains("pattern/clip@n_patterns=3") && !tasks.contains("n_patterns=4"));
}

#[test]
fn cells_compute_the_same_bytes_whatever_runs_beside_them() {
    let Some(bench) = ran(&swept(PATTERNS)) else { return };
    let alone = Bench::new(&swept(PATTERNS));
    let one = hebb::executor::Limits { tasks: 1, ..LIMITS };
    alone.plan().run(one, &AtomicBool::new(false), |_| {});
    assert_eq!(alone.plan().outputs(), bench.plan().outputs());
}
