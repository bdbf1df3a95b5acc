//! `hebb doctor`: what was found on this machine.

use super::{Shared, engines, error::CliError, run, words::size};
use crate::{math::blas::openblas_version, store::Store};
use clap::Args;
use std::{
    io::{Write, stdout},
    process::ExitCode,
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
        Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(2) })
    }
}
