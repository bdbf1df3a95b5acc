//! Settings of a user or a site: how tasks are run, never what they compute. Nothing here is part of a study or of a key.
//!
//! The comments of this folder are their reference: they become the descriptions in `schemas/settings.schema.json`. Settings
//! stand in several files, the later over the earlier, field by field. Where those files lie only the command line knows; which
//! kinds of task there are it has to be told. `slurm.rs` has what a cluster wants to know, `limits.rs` what a schema cannot say.

mod limits;
mod slurm;

pub use slurm::{JobSettings, KindSettings, SlurmSettings};

use super::{
    diagnostic::{Diagnostic, Source, Span, SpecError, SpecErrors},
    document::{Document, Table, parse},
    include::{MOST_BYTES, join},
    mismatch::mismatches,
    schema::Schema,
};
use crate::format::memory::read_text_within;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How a user or a site runs studies. Nothing in this file shapes a result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Hebb settings")]
pub struct Settings {
    /// Where tasks are computed.
    pub execution: ExecutionSettings,
}

/// Where tasks are computed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExecutionSettings {
    /// What computes tasks where the command does not say it.
    pub executor: ExecutorChoice,
    /// What a Slurm cluster is asked for.
    pub slurm: SlurmSettings,
}

/// What computes tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutorChoice {
    /// This machine.
    #[default]
    Local,
    /// Jobs on a Slurm cluster.
    Slurm,
}

/// Reads files of settings, each over those before it; one that is not there says nothing. `kinds` are the names of the kinds
/// of task, which alone `[execution.slurm.kinds]` may have.
///
/// # Errors
/// If a file is there and cannot be read, or with everything that is wrong in any of them.
pub fn read_settings(paths: &[PathBuf], kinds: &[&str]) -> Result<Settings, SpecError> {
    let schema = answered(kinds);
    let (mut sources, mut roots, mut found) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        let text = match read_text_within(path, MOST_BYTES) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            Err(source) => return Err(SpecError::Read { path: path.clone(), source }),
        };
        match parse(sources.len(), &text) {
            Ok(root) => roots.push(root),
            Err(wrong) => found.extend(wrong),
        }
        sources.push(Source::new(&path.display().to_string(), &text, path.parent().unwrap_or(Path::new(""))));
    }
    let sources: Arc<[Source]> = sources.into();
    let mut root = Table::new();
    for file in roots {
        // Each file is looked at alone: what is wrong in one is wrong even where a later one says otherwise.
        let document = Document { sources: Arc::clone(&sources), root: file };
        found.extend(mismatches(&document, &schema));
        found.extend(limits::wrong_texts(&document));
        join(&schema, schema.root(), &mut root, document.root);
    }
    let wrong = |found| SpecError::Wrong(SpecErrors::new(Arc::clone(&sources), found));
    if !found.is_empty() {
        return Err(wrong(found));
    }
    let document = Document { sources: Arc::clone(&sources), root };
    let settings = Settings::deserialize(document.plain())
        .map_err(|error| wrong(vec![Diagnostic::new(Span::default(), error.message(), "not understood")]))?;
    let found = limits::wrong_limits(&settings.execution.slurm, &document);
    if found.is_empty() { Ok(settings) } else { Err(wrong(found)) }
}

/// The JSON Schema of a file of settings, for editors; `kinds` are the names of the kinds of task.
#[must_use]
pub fn settings_schema(kinds: &[&str]) -> serde_json::Value {
    answered(kinds).root().clone()
}

pub(super) fn answered(kinds: &[&str]) -> Schema {
    Schema::of::<Settings>().with_keys("SlurmSettings", "kinds", kinds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::write;

    const KINDS: [&str; 3] = ["encode", "extract", "report"];

    /// Reads texts as files `0.toml`, `1.toml`, … in a folder of their own.
    fn read(texts: &[&str]) -> Result<Settings, SpecError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let paths: Vec<PathBuf> = (0..texts.len()).map(|index| folder.path().join(format!("{index}.toml"))).collect();
        paths.iter().zip(texts).for_each(|(path, text)| write(path, text).expect("writable"));
        read_settings(&paths, &KINDS)
    }

    fn slurm(texts: &[&str]) -> SlurmSettings {
        read(texts).expect("settings").execution.slurm
    }

    /// What is told of each mistake: name of the file, line, message.
    fn wrong(texts: &[&str]) -> Vec<(String, usize, String)> {
        match read(texts) {
            Err(SpecError::Wrong(errors)) => {
                let name = |file: &str| file.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
                errors.located().map(|at| (name(at.file), at.line, at.message.to_owned())).collect()
            }
            other => panic!("{texts:?}: {other:?}"),
        }
    }

    #[test]
    fn without_any_file_everything_is_as_documented() {
        let settings = read_settings(&["nowhere/settings.toml".into()], &KINDS).expect("no error");
        assert_eq!(settings, Settings::default());
        assert_eq!(settings.execution.executor, ExecutorChoice::Local);
        let slurm = settings.execution.slurm;
        assert_eq!((slurm.time_limit_min, slurm.longest_min, slurm.cpus, slurm.gpus), (60, 1440, 1, 0));
        assert_eq!((slurm.memory_gb, slurm.most_memory_gb, slurm.memory_growth), (1.0, 256.0, 2.0));
        assert_eq!((slurm.max_running, slurm.max_queued, slurm.attempts), (64, 512, 3));
        assert_eq!((slurm.pack_min, slurm.poll_s), (10.0, 5.0));
        assert!(slurm.setup.is_empty() && slurm.options.is_empty() && slurm.kinds.is_empty());
    }

    #[test]
    fn a_later_file_overrides_fields_and_leaves_the_others() {
        let site = "[execution]\nexecutor = 'slurm'\n[execution.slurm]\npartition = 'main'\ncpus = 4\nsetup = ['a', 'b']\n\
                    [execution.slurm.kinds.extract]\ngpus = 1\npartition = 'gpu'\n";
        let own = "[execution.slurm]\ncpus = 8\nsetup = ['c']\n[execution.slurm.kinds.extract]\ngpus = 2\n\
                   [execution.slurm.kinds.encode]\nmemory_gb = 8\n";
        let settings = read(&[site, own]).expect("settings").execution;
        assert_eq!(settings.executor, ExecutorChoice::Slurm);
        assert_eq!(settings.slurm.partition.as_deref(), Some("main"));
        assert_eq!((settings.slurm.cpus, settings.slurm.setup), (8, vec!["c".to_owned()]));
        let extract = &settings.slurm.kinds["extract"];
        assert_eq!((extract.gpus, extract.partition.as_deref()), (Some(2), Some("gpu")));
        assert_eq!(settings.slurm.kinds["encode"].memory_gb, Some(8.0));
    }

    #[test]
    fn one_kind_of_task_asks_for_what_it_says_and_otherwise_for_what_all_do() {
        let slurm = slurm(&["[execution.slurm]\npartition = 'main'\ncpus = 2\noptions = ['--exclude=n13']\n\
                              [execution.slurm.kinds.extract]\npartition = 'gpu'\ngpus = 1\noptions = []\n"]);
        let extract = slurm.of("extract");
        assert_eq!((extract.partition.as_deref(), extract.cpus, extract.gpus), (Some("gpu"), 2, 1));
        assert_eq!(extract.options, Vec::<String>::new());
        let encode = slurm.of("encode");
        assert_eq!((encode.partition.as_deref(), encode.cpus, encode.gpus), (Some("main"), 2, 0));
        assert_eq!((encode.time_limit_min, encode.memory_gb), (60, 1.0));
        assert_eq!(encode.options, ["--exclude=n13"]);
    }

    #[test]
    fn every_number_out_of_its_range_is_refused() {
        for (field, value, expected) in [
            ("time_limit_min", "0", "at least 1"),
            ("longest_min", "0", "at least 1"),
            ("longest_min", "600000", "at most 525600"),
            ("memory_gb", "0", "at least 0.1"),
            ("memory_gb", "-1.5", "at least 0.1"),
            ("most_memory_gb", "0.05", "at least 0.1"),
            ("most_memory_gb", "inf", "a finite number"),
            ("cpus", "0", "at least 1"),
            ("cpus", "5000", "at most 4096"),
            ("gpus", "-1", "at least 0"),
            ("gpus", "65", "at most 64"),
            ("max_running", "0", "at least 1"),
            ("max_queued", "0", "at least 1"),
            ("pack_min", "-1", "at least 0"),
            ("poll_s", "0", "at least 0.1"),
            ("poll_s", "5000", "at most 3600"),
            ("attempts", "0", "at least 1"),
            ("attempts", "101", "at most 100"),
            ("memory_growth", "1", "more than 1"),
            ("memory_growth", "1.0", "more than 1"),
            ("memory_growth", "nan", "a finite number"),
            ("memory_growth", "101", "at most 100"),
        ] {
            let found = wrong(&[&format!("[execution.slurm]\n{field} = {value}\n")]);
            let message = format!("`execution.slurm.{field}` is {value}, expected {expected}");
            assert_eq!(found, [("0.toml".to_owned(), 2, message)]);
        }
    }

    #[test]
    fn kinds_answer_to_the_same_ranges() {
        for (field, value, expected) in [
            ("time_limit_min", "0", "at least 1"),
            ("memory_gb", "0", "at least 0.1"),
            ("cpus", "0", "at least 1"),
            ("gpus", "-1", "at least 0"),
        ] {
            let found = wrong(&[&format!("[execution.slurm.kinds.extract]\n{field} = {value}\n")]);
            let message = format!("`execution.slurm.kinds.extract.{field}` is {value}, expected {expected}");
            assert_eq!(found, [("0.toml".to_owned(), 2, message)]);
        }
    }

    #[test]
    fn the_nearest_kind_of_task_is_named() {
        let error = read(&["[execution.slurm.kinds.extrakt]\ngpus = 1\n"]).expect_err("no such kind").to_string();
        assert!(error.contains("unknown key `execution.slurm.kinds.extrakt`"), "{error}");
        assert!(error.contains("did you mean `extract`?"), "{error}");
        let error = read(&["[execution.slurm.kinds.extract]\nmax_running = 1\n"]).expect_err("not of one kind");
        assert!(error.to_string().contains("known keys here: `partition`, `account`"), "{error}");
    }

    #[test]
    fn a_message_names_the_file_that_the_value_stands_in() {
        let found =
            wrong(&["[execution.slurm]\ncpus = 0\n", "[execution]\nexecutor = 'slrum'\n[execution.slurm]\ncpus = 2\n"]);
        let told: Vec<(&str, usize)> = found.iter().map(|(file, line, _)| (file.as_str(), *line)).collect();
        assert_eq!(told, [("0.toml", 2), ("1.toml", 2)]);
        assert!(found[1].2.contains("expected `\"local\"` or `\"slurm\"`"), "{found:?}");
    }

    #[test]
    fn what_is_no_toml_is_told_together_with_what_is_wrong_elsewhere() {
        let found = wrong(&["[execution\n", "[execution.slurm]\ncpus = 0\n"]);
        assert!(
            found.iter().any(|(file, _, message)| file == "0.toml" && message.starts_with("not TOML")),
            "{found:?}"
        );
        assert!(found.iter().any(|(file, ..)| file == "1.toml"), "{found:?}");
    }

    #[test]
    fn a_file_that_is_there_and_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = read_settings(&[folder.path().to_owned()], &KINDS).expect_err("a folder is no file");
        assert!(error.to_string().starts_with("cannot read `"), "{error}");
    }
}
