//! `hebb schema`: what study files and settings may say, as a JSON Schema for editors or as a page for readers.

use super::{error::CliError, settings::kinds};
use crate::spec::{
    reference::{settings_reference, study_reference},
    schema,
    settings::settings_schema,
};
use clap::{Args, ValueEnum};
use std::{
    io::{Write, stdout},
    process::ExitCode,
};

/// Arguments of `hebb schema`.
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// What the schema is of.
    #[arg(value_enum, default_value = "study")]
    of: Files,
    /// How it is told.
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
}

/// How it is told what a file may say.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A JSON Schema, for editors.
    Json,
    /// A page for readers.
    Markdown,
}

/// Files that people write.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Files {
    /// Study files.
    Study,
    /// Settings of a user or a site.
    Settings,
}

impl Schema {
    pub(super) fn run(self) -> Result<ExitCode, CliError> {
        let json = |schema| serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        let text = match (self.of, self.format) {
            (Files::Study, Format::Json) => json(schema()),
            (Files::Settings, Format::Json) => json(settings_schema(&kinds())),
            (Files::Study, Format::Markdown) => study_reference().markdown(),
            (Files::Settings, Format::Markdown) => settings_reference(&kinds()).markdown(),
        };
        stdout().write_all(text.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}
