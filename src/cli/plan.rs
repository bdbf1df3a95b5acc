//! `hebb plan`: what would run, and why.

use super::{Shared, error::CliError, open::OpenStudy};
use crate::plan::{Assessment, Plan, Reason, Standing};
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
    /// Say what each task is estimated to need.
    #[arg(long)]
    resources: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Lines of one kind with one reason that are still listed one by one.
const LISTED: usize = 3;

/// A task that would run.
#[derive(Debug, Serialize)]
struct Line {
    task: String,
    kind: &'static str,
    reason: Reason,
    memory_bytes: u64,
}

impl PlanCommand {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let open = OpenStudy::new(&self.study, shared)?;
        let lines = lines(&open.plan, &open.assessment);
        let counts = open.assessment.counts();
        let mut out = stdout().lock();
        if self.json {
            let answer = serde_json::json!({ "study": open.study.name, "counts": counts, "tasks": lines });
            writeln!(out, "{}", serde_json::to_string_pretty(&answer).expect("plans are plain data"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let total = open.plan.len();
        match counts.to_run {
            0 => writeln!(out, "{}: nothing to run, all {total} tasks are cached", open.study.name)?,
            _ => writeln!(
                out,
                "{}: {total} tasks, {} cached, {} to run, {} that follow from them",
                open.study.name, counts.cached, counts.to_run, counts.to_follow
            )?,
        }
        let emphasis = if shared.colours_output() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        let groups: Vec<(String, &Line)> =
            grouped(&lines, self.all).into_iter().map(|group| (name(group), &group[0])).collect();
        let width = groups.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, line) in groups {
            let memory = if self.resources { format!("{:>10}  ", size(line.memory_bytes)) } else { String::new() };
            writeln!(out, "  {memory}{}{name:<width$}{}  {}", emphasis.0, emphasis.1, line.reason)?;
        }
        if let Err(missing) = &open.runtime
            && counts.to_run > 0
        {
            writeln!(out, "note: ONNX Runtime was not found, so extraction cannot run; {}", missing.hint())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn lines(plan: &Plan, assessment: &Assessment) -> Vec<Line> {
    plan.places()
        .filter_map(|place| match assessment.standing(place) {
            Standing::Runs(reason) => {
                let node = plan.node(place);
                Some(Line {
                    task: node.id.to_string(),
                    kind: node.task.kind().name(),
                    reason: reason.clone(),
                    memory_bytes: node.task.memory_bytes(),
                })
            }
            _ => None,
        })
        .collect()
}

/// Neighbours of one kind, one subject or model and one reason, taken together when there are many.
fn grouped(lines: &[Line], all: bool) -> Vec<&[Line]> {
    let family = |line: &Line| line.task.split('/').nth(1).map(str::to_owned);
    let alike =
        |one: &Line, other: &Line| one.kind == other.kind && one.reason == other.reason && family(one) == family(other);
    let together = |group: &&[Line]| !all && group.len() > LISTED;
    lines
        .chunk_by(alike)
        .flat_map(|group| if together(&group) { vec![group] } else { group.chunks(1).collect() })
        .collect()
}

/// The name of a task, or of the first of several.
fn name(group: &[Line]) -> String {
    match group {
        [one] => one.task.clone(),
        _ => format!("{} and {} more", group[0].task, group.len() - 1),
    }
}

/// A number of bytes for people.
pub(super) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
