//! `hebb status`: how far a study is, what it cost, and where its results lie.

use super::{Shared, error::CliError, open::OpenStudy, plan::size, results};
use crate::{plan::Standing, task::Kind};
use clap::Args;
use std::{
    io::{Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

/// Arguments of `hebb status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// The study file.
    study: PathBuf,
    /// Folder of results, as given to `hebb run`.
    #[arg(long, default_value = "results", value_name = "DIR")]
    results: PathBuf,
}

#[derive(Clone, Copy, Default)]
struct Row {
    total: usize,
    cached: usize,
    seconds: f64,
    bytes: u64,
}

impl Status {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let open = OpenStudy::new(&self.study, shared)?;
        let mut out = stdout().lock();
        writeln!(out, "{:<12} {:>7} {:>7} {:>9} {:>12}", "kind", "tasks", "cached", "seconds", "size")?;
        let mut sum = Row::default();
        for kind in Kind::ALL {
            let mut row = Row::default();
            for place in open.plan.places().filter(|place| open.plan.node(*place).task.kind() == kind) {
                row.total += 1;
                if let Standing::Cached { .. } = open.assessment.standing(place) {
                    row.cached += 1;
                    if let Some(record) = open.store.remembered(&open.plan.node(place).recipe) {
                        row.seconds += record.run.seconds;
                        row.bytes += record.size_bytes();
                    }
                }
            }
            if row.total > 0 {
                row.write(kind.name(), &mut out)?;
            }
            sum = Row {
                total: sum.total + row.total,
                cached: sum.cached + row.cached,
                seconds: sum.seconds + row.seconds,
                bytes: sum.bytes + row.bytes,
            };
        }
        sum.write("all", &mut out)?;
        let page = results::page(&self.results, &open.study);
        match page.is_file() {
            true => writeln!(out, "\nresults: {}", page.display())?,
            false => writeln!(out, "\nno results yet: `hebb run {}`", self.study.display())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Row {
    fn write(self, name: &str, out: &mut impl Write) -> Result<(), CliError> {
        Ok(writeln!(
            out,
            "{name:<12} {:>7} {:>7} {:>9.1} {:>12}",
            self.total,
            self.cached,
            self.seconds,
            size(self.bytes)
        )?)
    }
}
