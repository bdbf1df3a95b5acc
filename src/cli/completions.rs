//! `hebb completions`: what makes a shell complete commands and options.

use super::{Arguments, error::CliError};
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};
use std::{
    io::{Write, stdout},
    process::ExitCode,
};

/// Arguments of `hebb completions`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell; as `hebb completions bash > ~/.local/share/bash-completion/completions/hebb`.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<ExitCode, CliError> {
        // Written at once, since the generator panics where nobody reads its output.
        let mut script = Vec::new();
        generate(self.shell, &mut Arguments::command(), "hebb", &mut script);
        stdout().write_all(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
