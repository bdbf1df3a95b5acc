//! `hebb check`: everything that is wrong with a study, without running it.

use super::{Shared, answer, error::CliError, surroundings, words::counted};
use crate::spec::{SpecError, Study, Subjects};
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
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        match surroundings::read(&self.study, false, shared) {
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
    let design = study.first();
    let models: Vec<String> =
        design.models.iter().map(|model| format!("{} ({} units)", model.name, model.n_units())).collect();
    let n_subjects = match &design.subjects {
        Subjects::Simulated { names, .. } => names.len(),
        Subjects::Recorded { subjects, .. } => subjects.len(),
    };
    let n_volumes: usize = design.runs.iter().map(|run| run.n_tr).sum();
    let (images, texts) = (design.schedule.images.len(), design.schedule.texts.len());
    let file = study.file.display();
    let what = match study.cells.len() {
        1 if study.cells[0].labels.is_empty() => format!("{file} is a study"),
        n => format!("{file} is a sweep of {}; the first, {}", counted(n, "cell"), study.cells[0].name()),
    };
    format!(
        "{what}: {}; {} and {}; {}, {}, {} of {} s",
        models.join(", "),
        counted(images, "image"),
        counted(texts, "text"),
        counted(n_subjects, "subject"),
        counted(design.runs.len(), "run"),
        counted(n_volumes, "volume"),
        design.repetition_time_s
    )
}
