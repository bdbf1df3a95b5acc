//! `hebb plan --cluster`: how long a study takes on so many workers, by recorded times, and what keeps it from being shorter.
//!
//! A worker is one core that runs one task at a time. Nothing here runs anything or asks a cluster; `simulation.rs` is the run on
//! paper, `estimate.rs` knows the times.

use super::{
    error::CliError,
    estimate::{Estimates, LaidOut},
    open::OpenStudy,
    simulation::{LeastFirst, seconds},
    words::{counted, duration, size},
};
use crate::{plan::Standing, task::Kind};
use clap::Args;
use petgraph::graph::NodeIndex;
use rayon::prelude::*;
use serde::Serialize;
use std::{collections::BTreeMap, io::Write};

/// Which cluster `hebb plan` plans for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Planning for a cluster")]
pub(super) struct ClusterArguments {
    /// Print how long the study takes on so many workers of one core each, by the times of earlier runs: on 1, 2, 4 ... 1024 of
    /// them, or on each of the numbers given, as 8,48,200. `--memory` is then that of one worker, and without it unbounded.
    #[arg(long, value_name = "N,...", num_args = 0..=1, value_parser = workers, conflicts_with_all = ["all", "resources", "jobs"])]
    cluster: Option<Option<Workers>>,
    /// Seconds that pass on a worker before each task starts.
    #[arg(long, value_name = "S", requires = "cluster", value_parser = start_s, default_value = "0", allow_negative_numbers = true)]
    overhead: f64,
    /// Count every task, also those whose result is in the cache.
    #[arg(long, requires = "cluster")]
    fresh: bool,
}

/// Numbers of workers.
#[derive(Clone, Debug)]
struct Workers(Vec<u32>);

impl Default for Workers {
    fn default() -> Self {
        Self((0..=10).map(|doublings| 1 << doublings).collect())
    }
}

fn workers(text: &str) -> Result<Workers, String> {
    let number = |part: &str| part.trim().parse().ok().filter(|number| *number > 0);
    let numbers: Option<Vec<u32>> = text.split(',').map(number).collect();
    numbers.map(Workers).ok_or_else(|| {
        "expected numbers of workers from 1 on, as 48 or 8,48,200; the study stands before `--cluster`".to_owned()
    })
}

fn start_s(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "expected seconds from 0 on, as 30 or 2.5".to_owned())
}

/// What is known of a study on a cluster before it runs there.
#[derive(Clone, Debug, Serialize)]
struct Outlook {
    /// Whether tasks count whose results are in the cache.
    fresh: bool,
    /// Seconds before each task starts; part of the longest chain, not of the work.
    overhead_s: f64,
    /// Memory of one worker; absent where it is not bounded.
    worker_memory_bytes: Option<u64>,
    n_tasks: usize,
    /// Seconds of all tasks together.
    work_s: f64,
    /// The longest chain of tasks that wait for each other.
    chain: Chain,
    /// What the task needs that needs most.
    largest_bytes: u64,
    /// What needs more than a worker has, by kind; the times are as if it had it.
    too_large: Vec<TooLarge>,
    /// How many tasks of which kinds nothing is known of; they count as nothing.
    unknown: BTreeMap<Kind, usize>,
    sizes: Vec<Size>,
}

#[derive(Clone, Debug, Serialize)]
struct Chain {
    seconds: f64,
    tasks: Vec<String>,
    /// First to last, neighbours of one kind together.
    steps: Vec<Step>,
}

#[derive(Clone, Debug, Serialize)]
struct Step {
    kind: Kind,
    n_tasks: usize,
    seconds: f64,
    /// Of how many nothing is known.
    n_unknown: usize,
}

#[derive(Clone, Debug, Serialize)]
struct TooLarge {
    kind: Kind,
    n_tasks: usize,
    /// What the largest of them needs.
    memory_bytes: u64,
}

/// One number of workers.
#[derive(Clone, Debug, Serialize)]
struct Size {
    workers: u32,
    /// Every worker takes the task that has waited longest, as batch queues do.
    wall_s: f64,
    /// Work through wall time; absent where there is no time at all.
    speed_up: Option<f64>,
    /// Speed-up through workers.
    efficiency: Option<f64>,
    /// Most workers that have a task at once.
    busy: usize,
    /// The longest chain or an equal share of the work, whichever is longer: no order of tasks ends before.
    floor_s: f64,
    /// Wall time if every worker took the task that the longest chain waits for.
    chain_first_s: f64,
}

impl ClusterArguments {
    /// Whether there is a cluster to plan for.
    pub(super) fn are_given(&self) -> bool {
        self.cluster.is_some()
    }

    /// Prints how long a study would take.
    pub(super) fn tell(
        self,
        open: &OpenStudy,
        estimates: &Estimates,
        worker_memory_bytes: Option<u64>,
        json: bool,
        out: &mut impl Write,
    ) -> Result<(), CliError> {
        let workers = self.cluster.flatten().unwrap_or_default();
        let runs = |place| self.fresh || matches!(open.assessment.standing(place), Standing::Runs(_));
        let outlook = Outlook::new(open, estimates, runs, &workers, (self.fresh, self.overhead, worker_memory_bytes));
        if json {
            let answer = serde_json::json!({ "study": open.study.name, "cluster": outlook });
            writeln!(out, "{}", serde_json::to_string_pretty(&answer).expect("outlooks are plain data"))?;
        } else {
            outlook.tell(&open.study.name, open.plan.len(), out)?;
        }
        Ok(())
    }
}

impl Outlook {
    fn new(
        open: &OpenStudy,
        estimates: &Estimates,
        runs: impl Fn(NodeIndex) -> bool,
        workers: &Workers,
        (fresh, overhead_s, worker_memory_bytes): (bool, f64, Option<u64>),
    ) -> Self {
        let LaidOut { work, places, unknown } = estimates.laid_out(&open.plan, runs, overhead_s);
        let work_s: f64 = places.iter().filter_map(|place| estimates.of(*place)).sum();
        let remaining_us = work.remaining_us();
        let chain_s = seconds(remaining_us.iter().copied().max().unwrap_or_default());
        let size = |workers: &u32| {
            let course = work.run(*workers as usize, &mut LeastFirst::first_come());
            let chain_first = work.run(*workers as usize, &mut LeastFirst::longest_chain(&remaining_us));
            let wall_s = seconds(course.wall_us);
            let speed_up = (wall_s > 0.0).then(|| work_s / wall_s);
            Size {
                workers: *workers,
                wall_s,
                speed_up,
                efficiency: speed_up.map(|speed_up| speed_up / f64::from(*workers)),
                busy: course.busy,
                floor_s: chain_s.max(seconds(work.total_us().div_ceil(u64::from(*workers)))),
                chain_first_s: seconds(chain_first.wall_us),
            }
        };
        let sizes = workers.0.par_iter().map(size).collect();
        let needs = || places.iter().map(|place| &open.plan.node(*place).task);
        let mut too_large: BTreeMap<Kind, TooLarge> = BTreeMap::new();
        for task in needs().filter(|task| worker_memory_bytes.is_some_and(|bytes| task.memory_bytes() > bytes)) {
            let kind = task.kind();
            let of_kind = too_large.entry(kind).or_insert(TooLarge { kind, n_tasks: 0, memory_bytes: 0 });
            of_kind.n_tasks += 1;
            of_kind.memory_bytes = of_kind.memory_bytes.max(task.memory_bytes());
        }
        let mut chain = Chain { seconds: chain_s, tasks: Vec::new(), steps: Vec::new() };
        for task in work.longest_chain(&remaining_us) {
            let node = open.plan.node(places[task as usize]);
            let (kind, takes_s) = (node.task.kind(), seconds(work.length_us(task)));
            chain.tasks.push(node.id.to_string());
            if chain.steps.last().is_none_or(|step| step.kind != kind) {
                chain.steps.push(Step { kind, n_tasks: 0, seconds: 0.0, n_unknown: 0 });
            }
            let step = chain.steps.last_mut().expect("just pushed");
            step.n_tasks += 1;
            step.seconds += takes_s;
            step.n_unknown += usize::from(estimates.of(places[task as usize]).is_none());
        }
        Self {
            fresh,
            overhead_s,
            worker_memory_bytes,
            n_tasks: places.len(),
            work_s,
            chain,
            largest_bytes: needs().map(|task| task.memory_bytes()).max().unwrap_or_default(),
            too_large: too_large.into_values().collect(),
            unknown,
            sizes,
        }
    }

    fn tell(&self, study: &str, n_planned: usize, out: &mut impl Write) -> Result<(), CliError> {
        let n_unknown: usize = self.unknown.values().sum();
        if self.n_tasks == 0 {
            writeln!(
                out,
                "{study}: nothing to run, all {n_planned} tasks are cached; `--fresh` counts them all the same"
            )?;
            return Ok(());
        }
        let counts = if self.fresh { "as if nothing were cached" } else { "to run" };
        let tasks = counted(self.n_tasks, "task");
        if n_unknown == self.n_tasks {
            writeln!(out, "{study}: {tasks} {counts}; time unknown, nothing like this was run in this cache")?;
            return Ok(());
        }
        writeln!(out, "{study}: {tasks} {counts}, {} of work", duration(self.work_s))?;
        writeln!(
            out,
            "  {:>7}  {:>12}  {:>12}  {:>8}  {:>10}  {:>7}",
            "workers", "wall time", "at best", "speed-up", "efficiency", "busy"
        )?;
        for size in &self.sizes {
            let (speed_up, efficiency) = (size.speed_up.unwrap_or_default(), size.efficiency.unwrap_or_default());
            writeln!(
                out,
                "  {:>7}  {:>12}  {:>12}  {speed_up:>8.1}  {:>8.1} %  {:>7}",
                size.workers,
                duration(size.wall_s),
                duration(size.floor_s),
                efficiency * 100.0,
                size.busy
            )?;
        }
        let steps: Vec<String> = self.chain.steps.iter().map(Step::to_string).collect();
        writeln!(
            out,
            "longest chain: {} in {}: {}",
            duration(self.chain.seconds),
            counted(self.chain.tasks.len(), "task"),
            steps.join(" -> ")
        )?;
        writeln!(
            out,
            "at best: the longest chain or work / workers, whichever is longer; busy: most workers with a task at once"
        )?;
        self.tell_what_was_assumed(n_unknown, out)
    }

    fn tell_what_was_assumed(&self, n_unknown: usize, out: &mut impl Write) -> Result<(), CliError> {
        writeln!(out, "order: a worker takes the task that has waited longest{}", self.told_gain())?;
        if self.overhead_s > 0.0 {
            writeln!(out, "overhead: {} before each task, which is no work", duration(self.overhead_s))?;
        } else {
            writeln!(out, "overhead: none; `--overhead S` counts seconds before each task")?;
        }
        match self.worker_memory_bytes {
            None => writeln!(
                out,
                "memory: not bounded, a task needs up to {}; `--memory GB` bounds a worker's",
                size(self.largest_bytes)
            )?,
            Some(bytes) if self.too_large.is_empty() => {
                writeln!(out, "memory: {} for each worker, enough for every task", size(bytes))?;
            }
            Some(bytes) => {
                let told = |large: &TooLarge| {
                    format!("{} ({}, up to {})", large.kind, large.n_tasks, size(large.memory_bytes))
                };
                let n_tasks: usize = self.too_large.iter().map(|large| large.n_tasks).sum();
                writeln!(
                    out,
                    "memory: {} for each worker, too little for {}: {}; counted as if it were enough",
                    size(bytes),
                    counted(n_tasks, "task"),
                    self.too_large.iter().map(told).collect::<Vec<_>>().join(", ")
                )?;
            }
        }
        if n_unknown > 0 {
            let kinds: Vec<String> = self.unknown.iter().map(|(kind, n)| format!("{kind} ({n})")).collect();
            writeln!(
                out,
                "unknown: {} of {} count as nothing, since nothing like them was run in this cache: {}",
                n_unknown,
                counted(self.n_tasks, "task"),
                kinds.join(", ")
            )?;
        }
        Ok(())
    }

    /// What another order would save, where it is worth a word.
    fn told_gain(&self) -> String {
        let saved = |size: &&Size| if size.wall_s > 0.0 { 1.0 - size.chain_first_s / size.wall_s } else { 0.0 };
        match self.sizes.iter().max_by(|one, other| saved(one).total_cmp(&saved(other))) {
            Some(most) if saved(&most) >= 0.05 => format!(
                "; longest chain first would take {} instead of {} on {}",
                duration(most.chain_first_s),
                duration(most.wall_s),
                counted(most.workers as usize, "worker")
            ),
            _ => String::new(),
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.n_tasks > 1 {
            write!(f, "{} ", self.n_tasks)?;
        }
        match self.n_unknown {
            0 => write!(f, "{} {}", self.kind, duration(self.seconds)),
            // Where a start takes time, that much is known.
            _ if self.seconds > 0.0 => write!(f, "{} {} or more", self.kind, duration(self.seconds)),
            _ => write!(f, "{} (unknown)", self.kind),
        }
    }
}
