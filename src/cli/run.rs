//! `hebb run`: runs what changed, shows how it goes, lays out the results.

use super::{
    Shared, answer,
    audience::{Audience, Closing, estimates},
    detached,
    error::CliError,
    lock,
    open::OpenStudy,
    progress::STOPPING,
    remote::{Giver, SharedCache},
    results, say,
    settings::settings,
    slurm::StudyCluster,
    unpack::{Unpacked, find, is_archive, unpacked},
    words::{duration, from_zero},
};
use crate::{
    executor::{self, Event, Limits, Options, Outcome, Summary, Upstream},
    format::memory::set_budget_bytes,
    model::Device,
    plan::Standing,
    report::FailedTask,
    spec::settings::ExecutorChoice,
    task::Kind,
};
use clap::{Args, ValueEnum};
use petgraph::graph::NodeIndex;
use std::{
    collections::{BTreeMap, HashSet},
    io::{IsTerminal, Write, stderr, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Arguments of `hebb run`.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The study file, or an archive that `hebb pack` wrote: it is unpacked here, with cache and results of its own.
    study: PathBuf,
    /// Folder that the results are laid out in, under the study's name.
    #[arg(long, default_value = "results", value_name = "DIR")]
    results: PathBuf,
    /// Look in this folder, and all below it, for files that the study's lock names and that are not in their place.
    #[arg(long, value_name = "DIR")]
    find: Vec<PathBuf>,
    /// Write every event of the run to this file, a JSON object a line.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    #[command(flatten)]
    limits: RunLimits,
    /// Hold the run to `STUDY.lock.toml`: nothing runs if an input, program or task differs, and other results than locked are an error.
    #[arg(long)]
    locked: bool,
    /// Start no task after the first failure; without it, everything that does not need the failed one goes on.
    #[arg(long)]
    fail_fast: bool,
    /// Where tasks are computed; as the settings say, if absent.
    #[arg(long, value_enum, value_name = "WHERE", help_heading = "Resources")]
    executor: Option<Executor>,
    /// Go on in the background, on a cluster: `hebb status --watch` follows, `hebb slurm cancel` ends it.
    #[arg(long)]
    detach: bool,
    /// Neither ask the study's shared cache for results nor give it any.
    #[arg(long)]
    no_remote: bool,
}

/// Where tasks are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Executor {
    /// On this machine.
    Local,
    /// As jobs on a Slurm cluster, over a cache that its nodes share.
    Slurm,
}

/// What a run may use.
#[derive(Debug, Args)]
pub(super) struct RunLimits {
    /// Tasks at once, and threads in all.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Resources")]
    jobs: Option<u16>,
    /// Gigabytes for all tasks that run at once; a file that holds one thing larger than that is refused.
    #[arg(long, value_name = "GB", value_parser = from_zero, help_heading = "Resources")]
    memory: Option<f64>,
}

/// What one thing out of a file may always take: as much as the program with its libraries.
pub(super) const LEAST_BUDGET_BYTES: u64 = 256_000_000;

/// Share of the memory that is available which tasks may plan with.
const MEMORY_SHARE: f64 = 0.8;

impl RunLimits {
    /// Sets the number of threads of the process and how much one thing out of a file may take, and gives what the executor may use: the first thing that a command does,
    /// since whoever first works in parallel settles how many threads there are.
    ///
    /// # Panics
    /// If something worked in parallel before.
    pub(super) fn apply(&self) -> Limits {
        let tasks = self.jobs.map_or_else(available_threads, usize::from);
        rayon::ThreadPoolBuilder::new()
            .num_threads(tasks)
            .build_global()
            .expect("a command settles its threads before it uses any");
        let memory_bytes = self.given_memory_bytes().unwrap_or_else(default_budget_bytes);
        set_budget_bytes(memory_bytes.max(LEAST_BUDGET_BYTES));
        Limits { tasks, memory_bytes }
    }

    /// The memory that was asked for.
    pub(super) fn given_memory_bytes(&self) -> Option<u64> {
        self.memory.map(|gigabytes| (gigabytes * 1e9) as u64)
    }
}

/// Threads that this process may use.
pub(super) fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Memory that processes may still take, here and within the container's limit; what only caches files counts as free.
pub(super) fn available_memory_bytes() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let contained = system.cgroup_limits().map(|limits| limits.total_memory.saturating_sub(limits.rss));
    contained.map_or(system.available_memory(), |left| left.min(system.available_memory()))
}

/// Memory that tasks may plan with, unless the user says otherwise.
pub(super) fn default_budget_bytes() -> u64 {
    (available_memory_bytes() as f64 * MEMORY_SHARE) as u64
}

/// Fails if a cell wants to run networks where the ONNX Runtime that was found cannot.
pub(super) fn assert_device(open: &OpenStudy) -> Result<(), CliError> {
    let wants_gpu = open.study.cells.iter().any(|cell| cell.design.device == Device::Cuda);
    // Without any runtime the first task that needs one says so.
    if !wants_gpu || open.runtime.is_err() || Device::Cuda.is_available()? {
        return Ok(());
    }
    Err(CliError::Usage {
        message: "`extraction.device` is `cuda`, and this ONNX Runtime was built without it".to_owned(),
        hint: "set `HEBB_ONNXRUNTIME` to the library of the wheel `onnxruntime-gpu`, or take `device = \"cpu\"`"
            .to_owned(),
    })
}

impl Run {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        if self.detach {
            return self.detach(shared);
        }
        let limits = self.limits.apply();
        if !is_archive(&self.study) {
            return self.run_study(limits, shared);
        }
        // An archive's results stay apart: what a stranger says that a key led to is no answer for anyone's own studies.
        let Unpacked { study, cache, results } = unpacked(&self.study)?;
        let named = |given: &Path, default: &str, own: PathBuf| {
            if given == Path::new(default) { own } else { given.to_owned() }
        };
        let shared = Shared { cache: named(&shared.cache, "cache", cache), ..shared.clone() };
        Self { study, results: named(&self.results, "results", results), ..self }.run_study(limits, &shared)
    }

    /// Goes on in a process of its own, which no closed terminal ends.
    fn detach(&self, shared: &Shared) -> Result<ExitCode, CliError> {
        if !self.is_on_cluster(shared)? {
            return Err(CliError::Usage {
                message: "`--detach` is for runs on a cluster, and this one is local".to_owned(),
                hint: "`--executor slurm`, or `executor = \"slurm\"` in the settings; a local run goes on under `nohup` or `tmux`"
                    .to_owned(),
            });
        }
        if is_archive(&self.study) {
            return Err(CliError::Usage {
                message: "`--detach` takes a study, and this is an archive".to_owned(),
                hint: "`hebb unpack` makes the study's folder of it".to_owned(),
            });
        }
        detached::start(&self.study, shared)
    }

    fn is_on_cluster(&self, shared: &Shared) -> Result<bool, CliError> {
        Ok(match self.executor {
            Some(executor) => executor == Executor::Slurm,
            None => settings(shared)?.execution.executor == ExecutorChoice::Slurm,
        })
    }

    fn run_study(self, limits: Limits, shared: &Shared) -> Result<ExitCode, CliError> {
        find(&self.study, &self.find, &shared.cache, shared.rehash)?;
        let mut open = OpenStudy::fetching(&self.study, shared)?;
        assert_device(&open)?;
        let lock = if self.locked { Some(lock::held(&open, shared)?) } else { None };
        let cancelled = cancel_on_interrupt();
        let cache = if self.no_remote { None } else { SharedCache::of(&open.study, &open.store) };
        let shown = results::to_lay_out(&open, &self.results);
        let fetched = match &cache {
            Some(cache) => cache.fetch(&mut open, &shown, &cancelled)?,
            None => Vec::new(),
        };
        let cluster = if self.is_on_cluster(shared)? { Some(StudyCluster::of(&open, shared)?) } else { None };
        let giver = cache.as_ref().and_then(|cache| cache.giver(&cancelled));
        let asked = Asked {
            events: self.events.as_deref(),
            fail_fast: self.fail_fast,
            shown,
            cancelled: Some(cancelled),
            cache: cache.as_ref(),
            fetched,
            giver: giver.as_ref(),
            cluster,
        };
        let ended = execute(&mut open, limits, asked, shared);
        giver.into_iter().for_each(Giver::finish);
        let ended = ended?;
        let Ended { summary, saved_s, seconds_of_kind, .. } = &ended;
        if summary.failed > 0 || summary.cancelled {
            let (study, told) = (&open.study.name, told(summary));
            answer(format_args!("{study}: {told}; what was computed is kept, `hebb run` goes on from there"))?;
            if !ended.failed.is_empty() {
                let page = results::lay_out_failure(&open, &self.results, &ended)?;
                answer(format_args!("what failed: {}", page.display()))?;
            }
            return Ok(ExitCode::from(if summary.cancelled { 130 } else { 1 }));
        }
        if let Some(lock) = &lock {
            lock::led_to(lock, &open)?;
        }
        let page = results::lay_out(&open, &self.results, results::Existing::Kept)?;
        if summary.seconds >= LONG_RUN_S {
            writeln!(stdout(), "{}", spent(seconds_of_kind))?;
        }
        writeln!(stdout(), "{}: {}\nresults: {}", open.study.name, told(summary) + &saved(*saved_s), page.display())?;
        // The process ends here; taking a plan of a hundred thousand tasks apart first would only take time.
        std::mem::forget(open);
        Ok(ExitCode::SUCCESS)
    }
}

/// What came of a run, and the seconds that the results in the cache once took.
pub(super) struct Ended {
    pub(super) summary: Summary,
    pub(super) saved_s: f64,
    /// Seconds of the tasks of each kind that were computed, whatever ran beside them.
    pub(super) seconds_of_kind: BTreeMap<Kind, f64>,
    /// Tasks that have a result since the run.
    pub(super) done: HashSet<String>,
    /// Tasks that failed.
    pub(super) failed: Vec<FailedTask>,
    /// Ends the run in the eyes of other commands; absent where nothing ran.
    pub(super) closing: Option<Closing>,
}

/// What is asked of a run beside the study.
#[derive(Default)]
pub(super) struct Asked<'a> {
    /// The file that every event is written to.
    pub(super) events: Option<&'a Path>,
    /// Whether the first failure ends it.
    pub(super) fail_fast: bool,
    /// Tasks whose results are read afterwards.
    pub(super) shown: Vec<NodeIndex>,
    /// Set when the run is to stop; by Ctrl-C, if absent.
    pub(super) cancelled: Option<Arc<AtomicBool>>,
    /// Who may have results that are not here.
    pub(super) cache: Option<&'a SharedCache>,
    /// Tasks whose results were fetched for this run.
    pub(super) fetched: Vec<NodeIndex>,
    /// Who is given what is computed.
    pub(super) giver: Option<&'a Giver>,
    /// The cluster that computes; this machine, if absent.
    pub(super) cluster: Option<StudyCluster>,
}

/// Runs what has to run, and notes what the study looks like now.
pub(super) fn execute(
    open: &mut OpenStudy,
    limits: Limits,
    asked: Asked<'_>,
    shared: &Shared,
) -> Result<Ended, CliError> {
    let Asked { events, fail_fast, shown, cancelled, cache, fetched, giver, cluster } = asked;
    let cancelled = cancelled.unwrap_or_else(cancel_on_interrupt);
    let upstream = cache.map(|cache| Arc::new(cache.clone()) as Arc<dyn Upstream>);
    let extracts = |place| {
        open.plan.node(place).task.kind() == Kind::Extract
            && matches!(open.assessment.standing(place), Standing::Runs(_))
    };
    if open.plan.places().any(extracts)
        && let Err(missing) = std::mem::replace(&mut open.runtime, Ok(String::new()))
    {
        return Err(missing.into());
    }
    let limits = cluster.as_ref().map_or(limits, |cluster| Limits { tasks: cluster.n_jobs(), ..limits });
    let mut audience = Audience::new(open, limits, &fetched, events, shared.colours(), &cancelled)?;
    let options = Options { fail_fast, shown, upstream, fetched, ..Options::from(limits) };
    let (mut seconds_of_kind, mut done, mut failed) = (BTreeMap::new(), HashSet::new(), Vec::new());
    let mut not_given = None;
    let mut hear = |event: Event<'_>| {
        match &event {
            Event::Finished { id, kind, outcome, seconds, .. } => {
                done.insert(id.to_string());
                if *outcome == Outcome::Computed {
                    *seconds_of_kind.entry(*kind).or_default() += seconds;
                }
                if let Some(giver) = giver
                    && *outcome != Outcome::Fetched
                    && let Some(place) = open.plan.find(id.as_str())
                    && let Err(error) = giver.take(&open.plan.node(place).recipe)
                {
                    not_given.get_or_insert(error);
                }
            }
            Event::Failed { id, error, .. } => {
                failed.push(FailedTask { id: id.to_string(), message: error.to_string() });
            }
            _ => {}
        }
        audience.tell(&event);
    };
    let (plan, assessment, store) = (&open.plan, &open.assessment, &open.store);
    let summary = match &cluster {
        None => executor::run(plan, assessment, store, options, &cancelled, &mut hear)?,
        Some(cluster) => cluster.with_estimates(&estimates(open), |cluster| {
            executor::slurm::run(plan, assessment, store, options, cluster, &cancelled, &mut hear)
        })?,
    };
    if let Some(error) = not_given {
        say(format_args!("warning: not every result is given to the shared cache: {error}"));
    }
    let saved_s = audience.saved_s();
    let closing = audience.end();
    match open.note() {
        // Where a run fails, why it failed says more than that it cannot be noted; where nothing ran, nothing is lost.
        Err(error) if summary.failed == 0 && summary.computed > 0 => Err(error),
        _ => Ok(Ended { summary, saved_s, seconds_of_kind, done, failed, closing }),
    }
}

/// The first Ctrl-C lets running tasks end, the second ends the program at once; the cache is whole either way.
pub(super) fn cancel_on_interrupt() -> Arc<AtomicBool> {
    let cancelled = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&cancelled);
    let installed = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        // On a terminal the picture says it, since only it knows where it is drawn.
        if !stderr().is_terminal() {
            say(STOPPING);
        }
    });
    // Without a handler Ctrl-C ends the program at once, which the store survives.
    drop(installed);
    cancelled
}

/// A run that is worth an account of where its time went.
const LONG_RUN_S: f64 = 60.0;

/// Where the time of a long run went, the most first, and how much memory it took.
fn spent(seconds_of_kind: &BTreeMap<Kind, f64>) -> String {
    let mut kinds: Vec<(&Kind, &f64)> = seconds_of_kind.iter().collect();
    kinds.sort_by(|one, other| other.1.total_cmp(one.1).then(one.0.cmp(other.0)));
    let kinds: Vec<String> =
        kinds.into_iter().map(|(kind, seconds)| format!("{kind} {}", duration(*seconds))).collect();
    let memory = peak_memory_bytes()
        .map_or(String::new(), |bytes| format!("; at most {} in memory", indicatif::HumanBytes(bytes)));
    format!("time of tasks by kind: {}{memory}", kinds.join(", "))
}

/// The most memory that this process ever held, where the system says.
fn peak_memory_bytes() -> Option<u64> {
    // SAFETY: the call writes the whole of the structure that it is handed.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) == 0).then_some(usage)
    }?;
    // Linux counts in kibibytes, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    u64::try_from(usage.ru_maxrss).ok().map(|most| most * unit)
}

/// Saved time that is worth a word.
const SAVED_S: f64 = 1.0;

/// The time that cached results saved, if it is worth a word.
fn saved(seconds: f64) -> String {
    if seconds >= SAVED_S { format!(", saved {}", duration(seconds)) } else { String::new() }
}

/// What came of a run, in one line.
pub(super) fn told(summary: &Summary) -> String {
    let mut parts = vec![format!("{} computed", summary.computed)];
    if summary.unchanged > 0 {
        parts.push(format!("{} unchanged", summary.unchanged));
    }
    if summary.fetched > 0 {
        parts.push(format!("{} fetched", summary.fetched));
    }
    parts.push(format!("{} cached", summary.cached));
    if summary.failed > 0 {
        parts.push(format!("{} failed, {} blocked", summary.failed, summary.blocked));
    }
    if summary.left > 0 && !summary.cancelled {
        parts.push(format!("{} not started", summary.left));
    }
    if summary.damaged > 0 {
        parts.push(format!("{} damaged and set aside", summary.damaged));
    }
    if summary.differed > 0 {
        parts.push(format!("{} other than before", summary.differed));
    }
    if summary.cancelled {
        parts.push("cancelled".to_owned());
    }
    format!("{} in {}", parts.join(", "), duration(summary.seconds))
}
