//! `hebb init`: a commented study to start from.

use super::error::CliError;
use clap::{Args, ValueEnum};
use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

/// Arguments of `hebb init`.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The file to write; it must not be there yet.
    #[arg(default_value = "study.toml")]
    file: PathBuf,
    /// What to start from.
    #[arg(long, default_value = "quickstart")]
    from: Template,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Template {
    /// An untrained model and simulated subjects: runs as it is.
    Quickstart,
    /// A Hugging Face folder, stimulus tables and BIDS derivatives: fill in your paths.
    Files,
}

impl Init {
    pub(super) fn run(self) -> Result<ExitCode, CliError> {
        let text = match self.from {
            Template::Quickstart => include_str!("../../experiments/quickstart.toml"),
            Template::Files => include_str!("../../experiments/files.toml"),
        };
        // The schema's place is relative to the folder of the examples.
        let text = text.lines().filter(|line| !line.starts_with("#:schema")).collect::<Vec<_>>().join("\n") + "\n";
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(&self.file).map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => CliError::Usage {
                    message: format!("`{}` is there already, and is left as it is", self.file.display()),
                    hint: "name another file: `hebb init FILE`".to_owned(),
                },
                _ => CliError::file("create", &self.file)(error),
            })?;
        file.write_all(text.as_bytes()).map_err(CliError::file("write", &self.file))?;
        writeln!(stdout(), "wrote {}; next: `hebb check {0}`, `hebb plan {0}`, `hebb run {0}`", self.file.display())?;
        Ok(ExitCode::SUCCESS)
    }
}
