//! Why a task runs, field by field: what `hebb plan` says.

use super::bench::Bench;
use hebb::plan::{Change, Reason};
use std::{collections::BTreeMap, fs};

fn change(field: &str, old: Option<&str>, new: Option<&str>) -> Change {
    Change { field: field.to_owned(), old: old.map(str::to_owned), new: new.map(str::to_owned) }
}

/// The reasons to run after an edit of the tiny study.
fn reasons(edits: &[(&str, &str)]) -> Option<BTreeMap<String, Reason>> {
    let bench = Bench::tiny()?;
    bench.edit(edits);
    Some(bench.plan().to_run())
}

#[test]
fn a_scalar_is_told_with_its_old_and_new_value_and_the_rest_follows() {
    let Some(reasons) = reasons(&[("penalty = 0.15", "penalty = 0.2")]) else { return };
    let expected = Reason::Changed(vec![change("patterns.dictionary.penalty", Some("0.15"), Some("0.2"))]);
    assert_eq!(reasons["pattern/clip"], expected);
    assert_eq!(expected.to_string(), "patterns.dictionary.penalty 0.15 -> 0.2");
    assert_eq!(reasons["encode/sub-01/clip/patterns"], Reason::After(vec!["pattern/clip".into()]));
    assert_eq!(reasons["null/sub-01/clip"].to_string(), "follows pattern/clip and 1 more");
}

#[test]
fn an_element_of_a_list_is_told_by_its_place() {
    let Some(reasons) = reasons(&[("10_000]", "20_000]")]) else { return };
    let expected = vec![change("encoding.ridge.alphas[2]", Some("10000"), Some("20000"))];
    assert_eq!(reasons["encode/sub-02/clip/text/layer-01"], Reason::Changed(expected));
}

#[test]
fn a_longer_and_a_shorter_list_tell_what_came_and_went() {
    let Some(longer) = reasons(&[("10_000]", "10_000, 20_000]")]) else { return };
    let Some(shorter) = reasons(&[(", 10_000]", "]")]) else { return };
    let encode = "encode/sub-01/clip/patterns";
    assert_eq!(longer[encode], Reason::Changed(vec![change("encoding.ridge.alphas[3]", None, Some("20000"))]));
    assert_eq!(shorter[encode], Reason::Changed(vec![change("encoding.ridge.alphas[2]", Some("10000"), None)]));
    assert_eq!(longer[encode].to_string(), "encoding.ridge.alphas[3] 20000 (new)");
    assert_eq!(shorter[encode].to_string(), "encoding.ridge.alphas[2] 10000 (gone)");
}

#[test]
fn a_choice_of_another_form_tells_every_field_that_came_and_went() {
    let edits = [
        ("[patterns.dictionary]", "[patterns.pca]"),
        ("penalty = 0.15\n", ""),
        ("seed = 4\n", ""),
        ("n_patterns = 4", "n_patterns = 3"),
    ];
    let Some(reasons) = reasons(&edits) else { return };
    let expected = vec![
        change("patterns.dictionary.max_epochs", Some("50"), None),
        change("patterns.dictionary.n_patterns", Some("4"), None),
        change("patterns.dictionary.penalty", Some("0.15"), None),
        change("patterns.dictionary.seed", Some("4"), None),
        change("patterns.dictionary.tolerance", Some("0.0001"), None),
        change("patterns.pca.n_patterns", None, Some("3")),
    ];
    assert_eq!(reasons["pattern/clip"], Reason::Changed(expected));
    assert!(reasons["pattern/clip"].to_string().ends_with(", and 3 more"));
}

#[test]
fn an_option_that_is_left_out_was_something_before() {
    let Some(reasons) = reasons(&[("high_pass_s = 128.0\n", "")]) else { return };
    let expected = vec![change("preparation.high_pass_s", Some("128"), Some("absent"))];
    assert_eq!(reasons["bold/sub-01/run-1"], Reason::Changed(expected));
}

#[test]
fn an_added_input_is_told_by_the_task_that_makes_it() {
    let Some(reasons) = reasons(&[("10_000]", "10_000]\nfeatures = [\"patterns\"]")]) else { return };
    // What layers predict and what is recovered of them, in both subjects, and the report.
    assert_eq!(reasons.len(), 5);
    let Reason::Changed(changes) = &reasons["report"] else { panic!("{reasons:?}") };
    let wiring = changes.iter().find(|change| change.field == "inputs").expect("the fits of layers are gone");
    assert_eq!(wiring.new, None);
    assert!(wiring.old.as_ref().is_some_and(|old| old.contains("layers encode/sub-02/clip/text/layer-01")));
    let Some(bench) = Bench::tiny() else { return };
    bench.edit(&[("[\"sub-01\", \"sub-02\"]", "[\"sub-01\", \"sub-02\", \"sub-03\"]")]);
    let reasons = bench.plan().to_run();
    assert_eq!(reasons["simulate/sub-03"], Reason::NeverRun);
    let Reason::Changed(changes) = &reasons["report"] else { panic!("{reasons:?}") };
    let wiring = changes.iter().find(|change| change.field == "inputs").expect("another subject");
    assert!(wiring.new.as_ref().is_some_and(|new| new.contains("voxels mask/sub-03")));
}

#[test]
fn a_file_is_told_by_its_path() {
    let Some(bench) = Bench::files() else { return };
    let path = bench.folder().join("inputs/derivatives/atlas/schematic_dseg.tsv");
    let text = fs::read_to_string(&path).expect("readable");
    fs::write(&path, text.replace("limbic", "deep")).expect("writable");
    let Reason::Changed(changes) = &bench.plan().to_run()["mask/sub-01"] else { panic!("a file changed") };
    let [Change { field, old: Some(old), new: Some(new) }] = changes.as_slice() else { panic!("{changes:?}") };
    assert!(field.starts_with("file table["), "{field}");
    assert!(new.starts_with(&format!("{} (", path.display())), "{new}");
    assert!(old.contains("schematic_dseg.tsv (") && old != new, "{old}");
}

#[test]
fn a_result_that_is_gone_is_told_so() {
    let Some(bench) = Bench::tiny() else { return };
    fs::remove_dir_all(bench.plan().artifact("report")).expect("removable");
    assert_eq!(bench.plan().to_run(), BTreeMap::from([("report".to_owned(), Reason::ResultGone)]));
}

#[test]
fn a_study_that_never_ran_says_so_for_every_task() {
    let bench = Bench::new(&super::bench::tiny());
    let (planned, reasons) = (bench.plan(), bench.plan().to_run());
    assert_eq!(reasons.len(), planned.ids().len());
    assert!(reasons.values().all(|reason| *reason == Reason::NeverRun));
}
