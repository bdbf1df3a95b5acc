//! `hebb plan`: what would run, why, and how long it would take.

use super::{
    Shared,
    audience::{estimates, forecast},
    blocked::Blocked,
    cluster::ClusterArguments,
    error::CliError,
    estimate::{Estimates, Forecast},
    grouping::{Group, Listed, grouped},
    open::OpenStudy,
    run::RunLimits,
    words::{counted, duration, size},
};
use crate::plan::{Reason, Standing};
use clap::Args;
use serde::Serialize;
use std::{
    io::{Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

/// Arguments of `hebb plan`.
#[derive(Debug, Args)]
pub(super) struct PlanCommand {
    /// The study file.
    study: PathBuf,
    /// List every task, also where many of one kind run for one reason.
    #[arg(long)]
    all: bool,
    /// Say what each task is estimated to need, memory and time.
    #[arg(long)]
    resources: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: RunLimits,
    #[command(flatten)]
    cluster: ClusterArguments,
}

/// Tasks by what would become of them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counts {
    cached: usize,
    to_run: usize,
    to_follow: usize,
    blocked: usize,
    unneeded: usize,
}

impl PlanCommand {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let limits = self.limits.apply();
        let open = OpenStudy::new(&self.study, shared)?;
        let estimates = estimates(&open);
        if self.cluster.are_given() {
            let worker_memory_bytes = self.limits.given_memory_bytes();
            self.cluster.tell(&open, &estimates, worker_memory_bytes, self.json, &mut stdout().lock())?;
            return Ok(ExitCode::SUCCESS);
        }
        let blocked = Blocked::new(&open);
        let listed = listed(&open, &estimates, &blocked);
        let counts = count(&open, &blocked);
        let forecast = forecast(&open, &estimates, limits);
        let mut out = stdout().lock();
        if self.json {
            let answer = serde_json::json!({
                "study": open.study.name, "counts": counts, "forecast": forecast, "tasks": listed,
            });
            writeln!(out, "{}", serde_json::to_string_pretty(&answer).expect("plans are plain data"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let total = open.plan.len();
        if listed.is_empty() {
            writeln!(out, "{}: nothing to run, all {total} tasks are cached", open.study.name)?;
            return Ok(ExitCode::SUCCESS);
        }
        let lost = if counts.blocked > 0 { format!(", {} blocked", counts.blocked) } else { String::new() };
        writeln!(
            out,
            "{}: {total} tasks, {} cached, {} to run, {} that follow from them{lost}",
            open.study.name, counts.cached, counts.to_run, counts.to_follow
        )?;
        let emphasis = if shared.colours_output() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        let groups = grouped(&listed, self.all);
        let width = groups.iter().map(|group| group.name.chars().count()).max().unwrap_or_default();
        if self.resources {
            writeln!(out, "  {:>12}  {:>12}  task", "memory each", "time in all")?;
        }
        for group in groups {
            let needs = if self.resources { needs(&group) } else { String::new() };
            writeln!(out, "  {needs}{}{:<width$}{}  {}", emphasis.0, group.name, emphasis.1, group.reason)?;
        }
        writeln!(out, "{}", told(&forecast, listed.len()))?;
        if let Err(missing) = &open.runtime {
            writeln!(out, "note: ONNX Runtime was not found, so extraction cannot run; {}", missing.hint())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn listed(open: &OpenStudy, estimates: &Estimates, blocked: &Blocked) -> Vec<Listed> {
    let list = |place| match open.assessment.standing(place) {
        Standing::Runs(reason) => {
            let node = open.plan.node(place);
            Some(Listed {
                task: node.id.to_string(),
                kind: node.task.kind(),
                reason: reason.clone(),
                memory_bytes: node.task.memory_bytes(),
                estimated_s: estimates.of(place),
                blocked: blocked.reason(place).map(str::to_owned),
            })
        }
        _ => None,
    };
    open.plan.places().filter_map(list).collect()
}

fn count(open: &OpenStudy, blocked: &Blocked) -> Counts {
    let mut counts = Counts { blocked: blocked.n(), ..Counts::default() };
    for place in open.plan.places().filter(|place| blocked.reason(*place).is_none()) {
        match open.assessment.standing(place) {
            Standing::Cached { .. } => counts.cached += 1,
            Standing::Unneeded => counts.unneeded += 1,
            Standing::Runs(Reason::After(_)) => counts.to_follow += 1,
            Standing::Runs(_) => counts.to_run += 1,
        }
    }
    counts
}

/// Memory of one task, the most of several; time of all together.
fn needs(group: &Group<'_>) -> String {
    let memory = group.tasks.iter().map(|task| task.memory_bytes).max().unwrap_or_default();
    let seconds: Option<f64> = group.tasks.iter().map(|task| task.estimated_s).sum();
    format!("{:>12}  {:>12}  ", size(memory), seconds.map_or("unknown".to_owned(), duration))
}

/// The time of a plan of so many tasks, in one line.
fn told(forecast: &Forecast, n_tasks: usize) -> String {
    let jobs = counted(forecast.jobs, "job");
    let kinds: Vec<&str> = forecast.unknown_kinds.iter().map(|kind| kind.name()).collect();
    match forecast.unknown {
        0 => format!(
            "time: about {} with {jobs} ({} of work, longest chain {})",
            duration(forecast.wall_s),
            duration(forecast.work_s),
            duration(forecast.chain_s)
        ),
        unknown if unknown == n_tasks => "time: unknown, nothing like this was run in this cache".to_owned(),
        unknown => format!(
            "time: unknown for {unknown} of {n_tasks} tasks ({}); about {} with {jobs} for the others",
            kinds.join(", "),
            duration(forecast.wall_s)
        ),
    }
}
