//! `hebb schema`: the JSON Schema of study files.

use super::error::CliError;
use clap::Args;
use std::{
    io::{Write, stdout},
    process::ExitCode,
};

/// Arguments of `hebb schema`.
#[derive(Debug, Args)]
pub(super) struct Schema {}

impl Schema {
    pub(super) fn run(self) -> Result<ExitCode, CliError> {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&crate::spec::schema()).expect("a schema is JSON"))?;
        Ok(ExitCode::SUCCESS)
    }
}
