//! `hebb check`: everything that is wrong with a study, without running it.

use super::{Shared, answer, error::CliError};
use crate::spec::{SpecError, Study, Subjects, read_study};
use clap::{Args, ValueEnum};
use std::{
    io::{Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

/// Arguments of `hebb check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The study file.
    study: PathBuf,
    /// How to say what is wrong: for people, or as JSON for editors.
    #[arg(long, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Check {
    pub(super) fn run(self, _shared: &Shared) -> Result<ExitCode, CliError> {
        match read_study(&self.study) {
            Ok(study) => {
                match self.format {
                    Format::Text => writeln!(stdout(), "{}", summary(&study))?,
                    Format::Json => writeln!(stdout(), "[]")?,
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(SpecError::Wrong(errors)) if self.format == Format::Json => {
                let located: Vec<_> = errors.located().collect();
                answer(serde_json::to_string_pretty(&located).expect("messages are plain data"))?;
                Ok(ExitCode::from(2))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn summary(study: &Study) -> String {
    let models: Vec<String> =
        study.models.iter().map(|model| format!("{} ({} units)", model.name, model.n_units())).collect();
    let n_subjects = match &study.subjects {
        Subjects::Simulated { names, .. } => names.len(),
        Subjects::Recorded { subjects, .. } => subjects.len(),
    };
    let n_volumes: usize = study.runs.iter().map(|run| run.n_tr).sum();
    let (images, texts) = (study.schedule.images.len(), study.schedule.texts.len());
    format!(
        "{} is a study: {}; {} and {}; {}, {}, {} of {} s",
        study.file.display(),
        models.join(", "),
        counted(images, "image"),
        counted(texts, "text"),
        counted(n_subjects, "subject"),
        counted(study.runs.len(), "run"),
        counted(n_volumes, "volume"),
        study.repetition_time_s
    )
}

fn counted(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
