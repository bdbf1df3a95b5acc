//! `hebb doctor`: what was found on this machine.

use super::{
    Shared, engines,
    error::CliError,
    run, say,
    settings::{places, settings},
    words::size,
};
use crate::{math::blas::openblas_version, spec::settings::ExecutorChoice, store::Store};
use clap::Args;
use std::{
    io::{ErrorKind, Write, stdout},
    process::{Command, ExitCode, Stdio},
};

/// Arguments of `hebb doctor`.
#[derive(Debug, Args)]
pub(super) struct Doctor {}

impl Doctor {
    /// Exit code 2 if something that a study needs is missing.
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let mut out = stdout().lock();
        let mut line = |name: &str, found: &str| writeln!(out, "{name:<14} {found}");
        let mut is_whole = true;
        line("hebb", env!("CARGO_PKG_VERSION"))?;
        line("OpenBLAS", &openblas_version())?;
        match engines::runtime(shared) {
            Ok(runtime) => line("ONNX Runtime", &format!("{} ({})", runtime.version, runtime.path.display()))?,
            Err(missing) => {
                is_whole = false;
                line("ONNX Runtime", &format!("missing: {missing}\n               {}", missing.hint()))?;
            }
        }
        line("threads", &run::available_threads().to_string())?;
        let memory = run::available_memory_bytes();
        line("memory", &format!("{} available, {} for tasks", size(memory), size(run::default_budget_bytes())))?;
        match Store::open(&shared.cache) {
            Ok(store) => {
                let bytes: u64 = walkdir::WalkDir::new(store.root())
                    .into_iter()
                    .flatten()
                    .filter_map(|entry| entry.metadata().ok())
                    .filter(std::fs::Metadata::is_file)
                    .map(|facts| facts.len())
                    .sum();
                line("cache", &format!("{} ({})", store.root().display(), size(bytes)))?;
            }
            Err(error) => {
                is_whole = false;
                line("cache", &format!("unusable: {error}"))?;
            }
        }
        let mut name = "settings";
        for place in places(shared) {
            let found = if place.exists() { "" } else { " (not there)" };
            line(name, &format!("{}{found}", place.display()))?;
            name = "";
        }
        match settings(shared).map(|settings| settings.execution.executor) {
            Ok(ExecutorChoice::Local) => line("executor", "local")?,
            Ok(ExecutorChoice::Slurm) => match sbatch_version() {
                Ok(version) => line("executor", &format!("slurm ({version})"))?,
                Err(missing) => {
                    is_whole = false;
                    let hint = "settings want `executor = \"slurm\"`, so run this where jobs are submitted, as on a login node";
                    line("executor", &format!("slurm, but {missing}\n               {hint}"))?;
                }
            },
            Err(error) => {
                is_whole = false;
                line("executor", "unknown: the settings cannot be used")?;
                say(error.render(shared.colours()));
            }
        }
        Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(2) })
    }
}

/// What `sbatch` says of itself, as `slurm 22.05.8`; or why it cannot be asked.
fn sbatch_version() -> Result<String, String> {
    let answer = Command::new("sbatch").arg("--version").stdin(Stdio::null()).output();
    let answer = answer.map_err(|error| match error.kind() {
        ErrorKind::NotFound => "there is no `sbatch` on the PATH".to_owned(),
        _ => format!("`sbatch` cannot be started: {error}"),
    })?;
    let version = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    if answer.status.success() && !version.is_empty() {
        return Ok(version);
    }
    let said = String::from_utf8_lossy(&answer.stderr).lines().next().unwrap_or_default().to_owned();
    Err(format!("`sbatch --version` ended with {}: {said}", answer.status))
}
