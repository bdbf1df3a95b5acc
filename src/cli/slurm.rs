//! `hebb slurm`: what a run on a cluster would submit, and the end of what it has submitted. Owns how a study's cluster is put
//! together from settings and arguments.

use super::{
    Shared, answer, audience::estimates, engines, error::CliError, estimate::Estimates, open::OpenStudy, say,
    settings::settings, words::counted,
};
use crate::{
    executor::slurm::{Cluster, ClusterFolder, SlurmError, Worker, cancel_orphans, scripts},
    plan::Standing,
    spec::settings::SlurmSettings,
    store::Store,
};
use clap::{Args, Subcommand};
use petgraph::graph::NodeIndex;
use std::{
    env,
    ffi::OsString,
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

/// Arguments of `hebb slurm`.
#[derive(Debug, Args)]
pub(super) struct SlurmCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the batch scripts that a run would submit now.
    Script {
        /// The study file.
        study: PathBuf,
    },
    /// End a run on a cluster, wherever it was started, with all of its jobs.
    Cancel {
        /// The study file.
        study: PathBuf,
    },
}

impl SlurmCommand {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        match self.what {
            What::Script { study } => print_scripts(&study, shared),
            What::Cancel { study } => cancel(&study, shared),
        }
    }
}

/// A study's cluster, as settings and arguments have it.
pub(super) struct StudyCluster {
    settings: SlurmSettings,
    worker: Worker,
    folder: ClusterFolder,
    study: String,
}

impl StudyCluster {
    pub(super) fn of(open: &OpenStudy, shared: &Shared) -> Result<Self, CliError> {
        let settings = settings(shared)?.execution.slurm;
        let program = env::current_exe().map_err(CliError::file("find", "hebb"))?;
        let mut arguments: Vec<OsString> = ["--cache".into(), open.store.root().into()].into();
        if let Ok(runtime) = engines::runtime(shared) {
            arguments.extend(["--onnxruntime".into(), runtime.path.into()]);
        }
        arguments.push("worker".into());
        let folder = env::current_dir().map_err(CliError::file("find", "the current folder"))?;
        let worker = Worker { program, arguments, folder, setup: settings.setup.clone() };
        let folder = ClusterFolder::of(open.store.root(), &open.study.file);
        Ok(Self { settings, worker, folder, study: open.study.name.clone() })
    }

    /// Jobs that it may run at once.
    pub(super) fn n_jobs(&self) -> usize {
        self.settings.max_running as usize
    }

    pub(super) fn with_estimates<T>(&self, estimates: &Estimates, with: impl FnOnce(&Cluster<'_>) -> T) -> T {
        with(&Cluster {
            settings: &self.settings,
            folder: self.folder.clone(),
            study: &self.study,
            worker: self.worker.clone(),
            estimate: &|place| estimates.of(place),
        })
    }
}

fn print_scripts(study: &Path, shared: &Shared) -> Result<ExitCode, CliError> {
    let open = OpenStudy::new(study, shared)?;
    let cluster = StudyCluster::of(&open, shared)?;
    let is_cached = |place: NodeIndex| matches!(open.assessment.standing(place), Standing::Cached { .. });
    let runs = |place: &NodeIndex| matches!(open.assessment.standing(*place), Standing::Runs(_));
    let to_run: Vec<NodeIndex> = open.plan.places().filter(runs).collect();
    let ready: Vec<NodeIndex> = to_run
        .iter()
        .copied()
        .filter(|place| open.plan.inputs(*place).iter().all(|(_, input)| is_cached(*input)))
        .collect();
    let scripts = cluster.with_estimates(&estimates(&open), |cluster| scripts(&open.plan, &ready, cluster));
    let mut out = stdout().lock();
    for (number, (script, n_tasks)) in scripts.iter().enumerate() {
        let (number, of) = (number + 1, scripts.len());
        writeln!(out, "# array {number} of {of}: {}\n{script}", counted(*n_tasks, "task"))?;
    }
    let later = to_run.len() - ready.len();
    let (now, later) = (counted(ready.len(), "task"), counted(later, "task"));
    say(format_args!("{}: {now} would be submitted now, {later} as soon as what they read is there", open.study.name));
    Ok(ExitCode::SUCCESS)
}

/// Time that a coordinator has to end its jobs and itself.
const ENDS_WITHIN: Duration = Duration::from_secs(120);

fn cancel(study: &Path, shared: &Shared) -> Result<ExitCode, CliError> {
    let store = Store::open(&shared.cache)?;
    let folder = ClusterFolder::of(store.root(), study);
    let started = Instant::now();
    let mut is_asked = false;
    loop {
        match cancel_orphans(&folder, &store) {
            Ok(Some(0)) if is_asked => answer("the run has ended, and its jobs with it")?,
            Ok(Some(0)) => answer(format_args!("no job of `{}` is in the queue", study.display()))?,
            Ok(Some(n)) => answer(format_args!("{} cancelled", counted(n, "job")))?,
            Ok(None) => {
                say("the cluster has not ended every job yet; ask again");
                return Ok(ExitCode::from(1));
            }
            Err(SlurmError::Busy(_)) if started.elapsed() < ENDS_WITHIN => {
                if !is_asked {
                    folder.ask_to_cancel()?;
                    say("the run is asked to end; it ends its jobs first");
                    is_asked = true;
                }
                std::thread::sleep(Duration::from_millis(200));
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        return Ok(ExitCode::SUCCESS);
    }
}
