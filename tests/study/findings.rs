//! What was planted is recovered as far as it has to be, and a study that cannot answer says why.

use super::bench::{Bench, edited, tiny};
use hebb::{
    format::tsv::Table,
    task::finding::{Absent, Statistic, read_findings},
};
use std::{collections::BTreeMap, fs, path::Path};

/// A study of `experiments/` without its sweep: at its own signal-to-noise ratio, which is 1.
fn experiment(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(name);
    let text = fs::read_to_string(path).expect("committed");
    text.split("[sweep.grid]").next().expect("there is a beginning").to_owned()
}

/// What the report's table of recovery says, with how many voxels or pairs it is over.
fn recovery(bench: &Bench) -> BTreeMap<String, (Option<f64>, i32)> {
    let table =
        Table::read(&bench.plan().artifact("report").join("tables/recovery.tsv")).expect("written by the report");
    let quantity = table.require("quantity").expect("a column");
    let (n, value) = (table.integers("n").expect("a column"), table.numbers("value").expect("a column"));
    let row = |(at, cells): (usize, &Vec<String>)| (cells[quantity].clone(), (value[at], n[at].unwrap_or_default()));
    table.rows().iter().enumerate().map(row).collect()
}

fn assert_at_least(found: &BTreeMap<String, (Option<f64>, i32)>, quantity: &str, least: f64, n: i32) {
    let (value, of) = found[quantity];
    assert!(value.is_some_and(|value| value >= least) && of >= n, "{quantity}: {value:?} of {of}");
}

#[test]
fn planted_layers_and_branches_are_recovered() {
    if !crate::model::runtime() {
        return;
    }
    let bench = Bench::new(&experiment("power.toml"));
    let ran = bench.run();
    assert_eq!(ran.computed, ran.all, "{:?}", ran.failed);
    let found = recovery(&bench);
    assert_at_least(&found, "layer-within-1", 0.9, 500);
    assert_at_least(&found, "specialisation-r", 0.9, 150);
}

#[test]
fn planted_pairs_of_patterns_are_recovered_with_their_signs() {
    if !crate::model::runtime() {
        return;
    }
    let bench = Bench::new(&experiment("power-patterns.toml"));
    fs::write(bench.folder().join("power.toml"), experiment("power.toml")).expect("writable");
    let ran = bench.run();
    assert_eq!(ran.computed, ran.all, "{:?}", ran.failed);
    let found = recovery(&bench);
    for quantity in
        ["redundancy-precision", "redundancy-recall", "polarity-precision", "polarity-recall", "polarity-sign"]
    {
        assert_at_least(&found, quantity, 0.9, 3);
    }
}

#[test]
fn what_cannot_be_answered_is_absent_with_its_reason() {
    if !crate::model::runtime() {
        return;
    }
    let bench = Bench::new(&edited(
        &tiny(),
        &[
            // One subject, one training run, a test run of few blocks, no language network in the atlas.
            (r#"subjects = ["sub-01", "sub-02"]"#, r#"subjects = ["sub-01"]"#),
            (r#"train = ["1", "2", "3"]"#, r#"train = ["1"]"#),
            (r#"test = ["4"]"#, r#"test = ["2"]"#),
            ("10_000]", "10_000]\nfolds = { blocks = { n = 3, gap_s = 3 } }"),
            (
                "[patterns.dictionary]",
                "[atlas]\nvoxels = { networks = [\"visual\", \"limbic\", \"small\"] }\n\n[[atlas.combine]]\nname = \"small\"\noperation = \"intersection\"\nof = [\"visual\", \"limbic\"]\n\n[patterns.dictionary]",
            ),
            (
                "[statistics.polarity]",
                "[statistics.architecture]\n\n[statistics.hierarchy]\norder = [\"visual\", \"language\", \"limbic\"]\n\n[statistics.group]\n\n[statistics.polarity]",
            ),
        ],
    ));
    let ran = bench.run();
    assert_eq!(ran.computed, ran.all, "{:?}", ran.failed);
    let planned = bench.plan();
    let mut absent: BTreeMap<Statistic, Vec<Absent>> = BTreeMap::new();
    for task in [
        "prediction/sub-01/clip",
        "redundancy/sub-01/clip",
        "polarity/sub-01/clip",
        "hierarchy/sub-01/clip",
        "architecture/sub-01",
    ] {
        let found = read_findings(&planned.artifact(task)).expect("written by the task");
        assert!(!found.is_empty(), "{task}");
        for row in found {
            assert!(row.value.is_some() || row.absent.is_some(), "{row:?}");
            absent.entry(row.statistic).or_default().extend(row.absent);
        }
    }
    assert!(absent[&Statistic::Prediction].contains(&Absent::NoVoxel), "{absent:?}");
    assert!(absent[&Statistic::Prediction].contains(&Absent::FewBlocks), "{absent:?}");
    assert!(absent[&Statistic::Hierarchy].contains(&Absent::FewNetworks), "{absent:?}");
    assert!(
        absent[&Statistic::Mirroring].iter().all(|reason| *reason != Absent::NoVoxel)
            && !absent[&Statistic::Mirroring].is_empty()
    );
    let group = Table::read(&planned.artifact("group").join("group.tsv")).expect("written by the task");
    let reason = group.require("absent").expect("a column");
    assert!(group.rows().iter().all(|row| row[reason] == "few-subjects"), "one subject is no group");
    for file in ["findings", "group"] {
        let text = fs::read_to_string(planned.artifact("report").join(format!("tables/{file}.tsv"))).expect("a table");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{file}");
    }
}
