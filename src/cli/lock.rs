//! `hebb lock`: writes what a study led to beside it, for others to hold their own runs to.

use super::{Shared, error::CliError, open::OpenStudy};
use crate::{
    share::{Difference, Lock, LockError, lock_path},
    store::FileDigests,
};
use clap::Args;
use std::{
    collections::BTreeMap,
    fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Arguments of `hebb lock`.
#[derive(Debug, Args)]
pub(super) struct LockCommand {
    /// The study file.
    study: PathBuf,
    /// Write to this file; without it, beside the study, as `STUDY.lock.toml`.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl LockCommand {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let mut open = OpenStudy::new(&self.study, shared)?;
        open.note()?;
        let lock = lock_of(&open, shared)?;
        let path = self.output.unwrap_or_else(|| lock_path(&self.study));
        fs::write(&path, lock.to_text()).map_err(CliError::file("write", &path))?;
        let (n_tasks, n_inputs) = (lock.tasks.len(), lock.inputs.len());
        writeln!(stdout(), "{}: {n_tasks} tasks and {n_inputs} files outside the cache", path.display())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The lock of a study as it stands, which has run.
pub(super) fn lock_of(open: &OpenStudy, shared: &Shared) -> Result<Lock, CliError> {
    let digests = FileDigests::open(open.store.root(), shared.rehash);
    let output = |place| open.output(place);
    Lock::of(&open.study, &open.plan, &digests, programs(open), output).map_err(|error| match error {
        LockError::Unfinished { .. } => CliError::Usage {
            message: error.to_string(),
            hint: format!("`hebb run {}` computes them", open.study.file.display()),
        },
        other => other.into(),
    })
}

/// Differences that are told one by one.
const TOLD: usize = 20;

/// The lock of a study, which the study as it stands agrees with.
pub(super) fn held(open: &OpenStudy, shared: &Shared) -> Result<Lock, CliError> {
    let path = lock_path(&open.study.file);
    let lock = Lock::read(&path)?;
    let digests = FileDigests::open(open.store.root(), shared.rehash);
    let differences = lock.differences(&open.study, &open.plan, &digests, programs(open))?;
    agreed(&path, &differences)?;
    Ok(lock)
}

/// Whether every task led to what was locked.
pub(super) fn led_to(lock: &Lock, open: &OpenStudy) -> Result<(), CliError> {
    agreed(&lock_path(&open.study.file), &lock.other_results(&open.plan, |place| open.output(place)))
}

fn agreed(lock: &Path, differences: &[Difference]) -> Result<(), CliError> {
    if differences.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<String> = differences.iter().take(TOLD).map(|difference| format!("  {difference}")).collect();
    if differences.len() > TOLD {
        lines.push(format!("  and {} more", differences.len() - TOLD));
    }
    Err(CliError::Unlocked { lock: lock.to_owned(), told: lines.join("\n") })
}

/// Programs and libraries that shape numbers. What OpenBLAS says of the processor is left out: where that changes a byte, the result tells.
fn programs(open: &OpenStudy) -> BTreeMap<String, String> {
    let version = |(name, told): (String, String)| match name.as_str() {
        "OpenBLAS" => (name, told.split(' ').next().unwrap_or_default().to_owned()),
        _ => (name, told),
    };
    open.programs().into_iter().map(version).collect()
}
