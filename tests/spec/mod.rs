//! What is said about study files: every message word for word, every default, every description.
//!
//! `tests/specs/valid` holds files that check; `tests/specs/invalid` holds one defect a file, and beside it in a `.txt` all
//! that is said about it, so that wording is reviewed as a reader sees it. After a change of wording, write those files anew
//! with `HEBB_WRITE_EXPECTED=1 cargo test --release --test main spec::` and read the difference.

mod experiments;
mod reference;
mod schema;
mod settings;

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use proptest::prelude::*;

use hebb::spec::{SpecError, SpecErrors, read_study};

/// Cargo runs tests in the package's folder, so these paths, and those in messages, are the same on every machine.
const SPECS: &str = "tests/specs";

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(SPECS).join(folder)).expect("a folder of studies");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

fn wrong(path: &Path) -> SpecErrors {
    match read_study(path) {
        Err(SpecError::Wrong(errors)) => errors,
        Err(error) => panic!("{}: not a message about the text: {error}", path.display()),
        Ok(_) => panic!("{}: checks, but is meant to be wrong", path.display()),
    }
}

#[test]
fn every_valid_study_checks() {
    let files = files("valid", "toml");
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        if let Err(error) = read_study(&file) {
            panic!("{}:\n{error}", file.display());
        }
    }
}

#[test]
fn every_defect_is_told_in_the_expected_words() {
    let write = std::env::var_os("HEBB_WRITE_EXPECTED").is_some();
    let mut differ = Vec::new();
    for file in files("invalid", "toml") {
        let found = wrong(&file).render(false) + "\n";
        let expected = file.with_extension("txt");
        if write {
            fs::write(&expected, &found).expect("writable");
        }
        let expected = fs::read_to_string(&expected).unwrap_or_default();
        if found != expected {
            differ.push(format!("{}\n--- expected\n{expected}--- found\n{found}", file.display()));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn every_expected_message_belongs_to_a_study() {
    let stems = |extension| -> BTreeSet<_> {
        files("invalid", extension).iter().map(|path| path.file_stem().expect("a name").to_owned()).collect()
    };
    assert_eq!(stems("toml"), stems("txt"));
}

#[test]
fn messages_come_in_file_order_and_point_into_the_file() {
    for file in files("invalid", "toml") {
        let text = fs::read_to_string(&file).expect("readable");
        let errors = wrong(&file);
        assert!(!errors.diagnostics().is_empty());
        let starts: Vec<(usize, usize)> =
            errors.diagnostics().iter().map(|found| (found.span.source, found.span.start)).collect();
        assert!(starts.is_sorted(), "{}: {starts:?}", file.display());
        let own: Vec<&(usize, usize)> = starts.iter().filter(|(source, _)| *source == 0).collect();
        assert!(own.iter().all(|(_, start)| *start <= text.len()), "{}: {starts:?}", file.display());
        for located in errors.located().filter(|located| Path::new(located.file) == file) {
            assert!(located.line <= text.lines().count().max(1) + 1, "{}: line {}", file.display(), located.line);
        }
    }
}

#[test]
fn one_defect_is_told_once() {
    for file in files("invalid", "toml") {
        let errors = wrong(&file);
        let mut places: Vec<_> = errors.diagnostics().iter().map(|found| (&found.message, &found.span)).collect();
        let n = places.len();
        places.dedup();
        assert_eq!(places.len(), n, "{}", file.display());
    }
    for name in ["unknown_nested_key_nearby", "unknown_table", "last_of_images", "trim_longer_than_a_run"] {
        let errors = wrong(&Path::new(SPECS).join("invalid").join(name).with_extension("toml"));
        assert_eq!(errors.diagnostics().len(), 1, "{name}:\n{errors}");
    }
}

#[test]
fn plain_messages_have_no_colour_codes_and_styled_ones_do() {
    for file in files("invalid", "toml") {
        let errors = wrong(&file);
        assert!(!errors.render(false).contains('\x1b'), "{}", file.display());
        assert!(!errors.to_string().contains('\x1b'), "{}", file.display());
        assert!(errors.render(true).contains('\x1b'), "{}", file.display());
    }
}

/// Reads a study from a file with this text, beside the files that valid studies name.
fn read_text(text: &str) -> Result<hebb::spec::Study, SpecError> {
    let mut file = tempfile::Builder::new().suffix(".tmp").tempfile_in(SPECS).expect("writable");
    file.write_all(text.as_bytes()).expect("writable");
    read_study(file.path())
}

#[test]
fn a_path_that_one_cell_writes_elsewhere_is_read_there() {
    let folder = tempfile::tempdir().expect("writable");
    let words = |within: &str, text: &str| {
        fs::create_dir_all(folder.path().join(within)).expect("writable");
        for run in 1..=3 {
            let table = format!("onset\tduration\ttext\n0\t4\t{text} {run}\n8\t4\ta cat\n16\t4\ta cow\n24\t4\ta hen\n");
            fs::write(folder.path().join(within).join(format!("words-{run}.tsv")), table).expect("writable");
        }
    };
    words("base", "a dog");
    words("base/swept", "an owl");
    let base = fs::read_to_string(Path::new(SPECS).join("valid/words_only.toml")).expect("a study");
    fs::write(folder.path().join("base/base.toml"), base.replace("../files/", "")).expect("writable");
    let swept = r#"include = "../base.toml"

[study]
name = "swept"

[sweep.grid]
"units.reduce" = ["mean", "max"]

[[sweep.override]]
when = { "units.reduce" = "max" }
set = { "stimuli.tables.path" = "words-{run}.tsv" }
"#;
    let file = folder.path().join("base/swept/swept.toml");
    fs::write(&file, swept).expect("writable");
    let study = read_study(&file).unwrap_or_else(|error| panic!("{error}"));
    let first: Vec<&str> = study.cells.iter().map(|cell| cell.design.schedule.texts[0].as_str()).collect();
    assert_eq!(first, ["a dog 1", "an owl 1"]);
}

#[test]
fn nesting_without_end_is_refused() {
    for text in
        [format!("a = {}", "[".repeat(100_000)), format!("a = {}", "{b = ".repeat(100_000)), "[a.".repeat(50_000)]
    {
        let error = read_text(&text).expect_err("no study");
        assert!(error.to_string().contains("not TOML"), "{:.300}", error.to_string());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Whatever an editor's slip leaves of a study, the answer is a study or messages about it.
    #[test]
    fn a_torn_study_is_told_about(
        start in 0.0..1.0f64,
        length in 0usize..40,
        slip in prop_oneof!["[\\[\\]{}=\",.0-9 a-z\n-]{0,12}", "[ä€\u{0}-\u{1f}]{0,3}"],
    ) {
        let text = fs::read_to_string(Path::new(SPECS).join("valid/every_question.toml")).expect("a study");
        let border = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let start = border((start * text.len() as f64) as usize);
        let end = border(start + length).max(start);
        let torn = format!("{}{slip}{}", &text[..start], &text[end..]);
        if let Err(error) = read_text(&torn) {
            let SpecError::Wrong(errors) = error else { panic!("{error}") };
            prop_assert!(!errors.diagnostics().is_empty());
            prop_assert!(errors.render(false).contains("error: "));
        }
    }
}
