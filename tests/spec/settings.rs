//! Settings as files: what `docs/settings.md` shows, and what `scripts/check-schema.sh` asks the engine of TOML editors about.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hebb::{
    spec::{
        SpecError,
        settings::{ExecutionSettings, ExecutorChoice, KindSettings, Settings, SlurmSettings, read_settings},
    },
    task::Kind,
};

fn read(path: PathBuf) -> Result<Settings, SpecError> {
    assert!(path.is_file(), "{}", path.display());
    read_settings(&[path], &Kind::ALL.map(Kind::name))
}

/// Files of a folder, by name.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new("tests/specs/settings").join(folder)).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

/// The TOML of the page on settings.
fn example() -> String {
    let page = fs::read_to_string("docs/settings.md").expect("committed");
    let code = page.split("```toml\n").nth(1).expect("an example");
    code.split("```").next().expect("its end").to_owned()
}

#[test]
fn the_page_shows_every_key_with_the_number_that_holds_without_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("settings.toml");
    fs::write(&path, example()).expect("writable");
    let extract = KindSettings { gpus: Some(1), partition: Some("gpu".into()), ..KindSettings::default() };
    let slurm = SlurmSettings {
        partition: Some("main".into()),
        account: Some("neuro".into()),
        qos: Some("normal".into()),
        constraint: Some("avx512&ib".into()),
        setup: vec!["module load openblas".into()],
        options: vec!["--exclude=n13".into()],
        kinds: [("extract".to_owned(), extract)].into(),
        ..SlurmSettings::default()
    };
    let shown = Settings { execution: ExecutionSettings { executor: ExecutorChoice::Slurm, slurm: slurm.clone() } };
    assert_eq!(read(path).expect("the example is right"), shown);

    let written: toml::Table = toml::from_str(&example()).expect("TOML");
    let written = written["execution"]["slurm"].as_table().expect("a table");
    let known = serde_json::to_value(&slurm).expect("plain data");
    for field in known.as_object().expect("fields").keys() {
        assert!(written.contains_key(field), "docs/settings.md does not show `{field}`");
    }
}

#[test]
fn settings_of_good_form_are_read() {
    for path in files("valid") {
        let read = read(path.clone());
        assert!(read.is_ok(), "{}: {}", path.display(), read.unwrap_err());
    }
}

#[test]
fn settings_of_wrong_form_are_refused_for_one_reason() {
    for path in files("invalid") {
        match read(path.clone()) {
            Err(SpecError::Wrong(errors)) => assert_eq!(errors.diagnostics().len(), 1, "{errors}"),
            other => panic!("{}: {other:?}", path.display()),
        }
    }
}

#[test]
fn settings_that_editors_refuse_are_refused_here() {
    let listed = fs::read_to_string("tests/specs/settings/wrong-in-form.txt").expect("committed");
    let invalid: Vec<String> =
        files("invalid").iter().map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    for name in listed.lines() {
        assert!(invalid.iter().any(|known| known == name), "`{name}` is no file of `invalid`");
    }
}

#[test]
fn the_file_that_editors_are_tried_with_is_the_one_that_the_readme_shows() {
    let tried = fs::read_to_string("tests/specs/settings/valid/every_key.toml").expect("committed");
    assert_eq!(tried, example());
}
