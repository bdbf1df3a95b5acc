//! `hebb report`: lays out the results of a study that ran, and writes its charts as vector figures.

use super::{Shared, error::CliError, open::OpenStudy, results};
use clap::Args;
use std::{
    io::{Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

/// Arguments of `hebb report`.
#[derive(Debug, Args)]
pub(super) struct Report {
    /// The study file.
    study: PathBuf,
    /// Folder that the results are laid out in, under the study's name.
    #[arg(long, default_value = "results", value_name = "DIR")]
    results: PathBuf,
    /// Write every chart as SVG, with its numbers as TSV beside it, into this folder.
    #[arg(long, value_name = "DIR")]
    figures: Option<PathBuf>,
}

impl Report {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let mut open = OpenStudy::new(&self.study, shared)?;
        let n_there = open.plan.reports().filter(|report| results::is_computed(&open, *report)).count();
        let n_reports = open.plan.reports().count();
        if n_there < n_reports {
            let file = self.study.display();
            return Err(CliError::Usage {
                message: match n_reports {
                    1 => format!("`{file}` has no report yet, or was edited since"),
                    _ => format!("{} of {n_reports} reports of `{file}` are missing", n_reports - n_there),
                },
                hint: format!("`hebb run {file}` computes what is missing, `hebb plan {file}` says what that is"),
            });
        }
        open.note()?;
        let page = results::lay_out(&open, &self.results, results::Existing::Replaced)?;
        writeln!(stdout(), "results: {}", page.display())?;
        if let Some(folder) = &self.figures {
            let n_written = results::write_figures(&open, folder)?;
            writeln!(stdout(), "figures: {n_written} in {}", folder.display())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
