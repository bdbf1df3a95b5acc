//! `hebb worker`: what a job on a cluster runs. For batch scripts, not for people.

use super::{
    Shared, engines,
    error::CliError,
    run::{LEAST_BUDGET_BYTES, available_threads},
    say,
};
use crate::{
    executor::slurm::{Worked, work},
    format::memory::set_budget_bytes,
    store::Store,
};
use clap::Args;
use std::{
    env,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

/// Arguments of `hebb worker`.
#[derive(Debug, Args)]
pub(super) struct WorkerCommand {
    /// The folder of the job's array.
    array: PathBuf,
    /// The job's number in it.
    element: usize,
}

impl WorkerCommand {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let asked = env::var("SLURM_CPUS_PER_TASK").ok().and_then(|cpus| cpus.parse().ok());
        let threads = asked.unwrap_or_else(available_threads).max(1);
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .expect("a command settles its threads before it uses any");
        // What the job was given; elsewhere than on a cluster, what the machine has.
        let given_mb = env::var("SLURM_MEM_PER_NODE").ok().and_then(|megabytes| megabytes.parse::<u64>().ok());
        if let Some(megabytes) = given_mb.filter(|megabytes| *megabytes > 0) {
            set_budget_bytes(megabytes.saturating_mul(1 << 20).max(LEAST_BUDGET_BYTES));
        }
        let store = Store::open(&shared.cache)?;
        // A task that needs an engine which is not here says so itself.
        let _ = engines::runtime(shared);
        let host = env::var("SLURMD_NODENAME").ok().or_else(sysinfo::System::host_name).unwrap_or_default();
        let job = env::var("SLURM_JOB_ID").unwrap_or_default();
        say(format_args!("hebb {} on {host}, job {job}, {threads} threads", env!("CARGO_PKG_VERSION")));
        let cancelled = Arc::new(AtomicBool::new(false));
        // What a cluster sends before it kills: the task ends between two of its steps, and leaves nothing half done.
        #[cfg(unix)]
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            let _ = signal_hook::flag::register(signal, Arc::clone(&cancelled));
        }
        let tell = |line: &str| say(line);
        let Worked { done, failed, left } = work(&self.array, self.element, &host, &store, &cancelled, &tell)?;
        say(format_args!("{done} done, {failed} failed, {left} left"));
        // A failed task is reported, and no failure of the job; one that was left is.
        Ok(ExitCode::from(u8::from(left > 0)))
    }
}
