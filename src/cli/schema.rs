//! `hebb schema`: the JSON Schema of study files and of settings.

use super::{error::CliError, settings::kinds};
use crate::spec::{schema, settings::settings_schema};
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
        let schema = match self.of {
            Files::Study => schema(),
            Files::Settings => settings_schema(&kinds()),
        };
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&schema).expect("a schema is JSON"))?;
        Ok(ExitCode::SUCCESS)
    }
}
