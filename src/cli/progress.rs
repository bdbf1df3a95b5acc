//! Shows a run: bars on a terminal, plain lines elsewhere.

use super::say;
use crate::{
    executor::{Event, Outcome},
    plan::{Assessment, Plan, Standing, TaskId},
};
use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use std::{
    collections::HashMap,
    io::{IsTerminal, stderr},
    path::Path,
    time::{Duration, Instant},
};

/// Listens to the events of a run.
pub(super) enum Display {
    /// A bar over all tasks, and one for each task that runs.
    Bars { bars: MultiProgress, all: ProgressBar, running: HashMap<TaskId, ProgressBar> },
    /// A line for each task that ends, and now and then one for each that takes long.
    Lines { done: usize, total: usize, told: HashMap<TaskId, Instant> },
}

/// Time between two lines about one running task.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Display {
    pub(super) fn new(plan: &Plan, assessment: &Assessment) -> Self {
        let total = plan.places().filter(|place| matches!(assessment.standing(*place), Standing::Runs(_))).count();
        if !stderr().is_terminal() {
            return Self::Lines { done: 0, total, told: HashMap::new() };
        }
        let bars = MultiProgress::new();
        let all = bars.add(
            ProgressBar::new(total as u64)
                .with_style(style("{bar:30.green/dim} {pos}/{len} tasks  {elapsed} elapsed, {eta} left")),
        );
        if total > 0 {
            all.enable_steady_tick(Duration::from_millis(200));
        }
        Self::Bars { bars, all, running: HashMap::new() }
    }

    pub(super) fn tell(&mut self, event: &Event<'_>) {
        match self {
            Self::Bars { bars, all, running } => tell_bars(bars, all, running, event),
            Self::Lines { done, total, told } => tell_lines(done, total, told, event),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the template is constant and valid")
        .progress_chars("━╸─")
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

fn tell_bars(bars: &MultiProgress, all: &ProgressBar, running: &mut HashMap<TaskId, ProgressBar>, event: &Event<'_>) {
    let end = |running: &mut HashMap<TaskId, ProgressBar>, id: &TaskId| {
        if let Some(bar) = running.remove(id) {
            bar.finish_and_clear();
        }
        all.inc(1);
    };
    // A bar that cannot be drawn is no reason to stop a run.
    let above = |line: String| drop(bars.println(line));
    match event {
        Event::Started { id, .. } => {
            let bar = bars.insert_before(
                all,
                ProgressBar::no_length().with_style(style("{spinner} {msg}")).with_message(id.to_string()),
            );
            bar.enable_steady_tick(Duration::from_millis(120));
            running.insert((*id).clone(), bar);
        }
        Event::Progress { id, progress, .. } => {
            if let Some(bar) = running.get(*id) {
                if bar.length() != Some(progress.total) {
                    bar.set_length(progress.total);
                    bar.set_style(style("{spinner} {msg:40} {bar:20} {pos}/{len}  {per_sec}"));
                }
                bar.set_position(progress.done);
            }
        }
        Event::Finished { id, .. } => end(running, id),
        Event::Failed { id, error, .. } => {
            end(running, id);
            above(format!("failed {id}: {error}"));
        }
        Event::Blocked { id, by } => {
            all.inc(1);
            above(format!("blocked {id}: needs {by}"));
        }
        Event::Revived { .. } => all.inc_length(1),
        Event::Retried { .. } | Event::Damaged { .. } | Event::Differed { .. } => {
            warning(event).into_iter().for_each(above);
        }
        Event::Ended { .. } => {
            running.drain().for_each(|(_, bar)| bar.finish_and_clear());
            all.finish_and_clear();
        }
        Event::Begun { .. } | Event::Tick => {}
    }
}

fn tell_lines(done: &mut usize, total: &mut usize, told: &mut HashMap<TaskId, Instant>, event: &Event<'_>) {
    match event {
        Event::Started { id, .. } => drop(told.insert((*id).clone(), Instant::now())),
        Event::Progress { id, progress, .. } => {
            if let Some(last) = told.get_mut(*id).filter(|last| last.elapsed() >= LINE_EVERY) {
                *last = Instant::now();
                say(format_args!("        {id}: {} of {}", progress.done, progress.total));
            }
        }
        Event::Finished { id, outcome, seconds, .. } => {
            *done += 1;
            match outcome {
                Outcome::Computed => say(format_args!("[{done}/{total}] {id} ({})", duration(*seconds))),
                Outcome::Unchanged => say(format_args!("[{done}/{total}] {id} (inputs unchanged)")),
            }
        }
        Event::Failed { id, error, .. } => {
            *done += 1;
            say(format_args!("[{done}/{total}] failed {id}: {error}"));
        }
        Event::Blocked { id, by } => {
            *done += 1;
            say(format_args!("[{done}/{total}] blocked {id}: needs {by}"));
        }
        Event::Revived { .. } => *total += 1,
        Event::Retried { .. } | Event::Damaged { .. } | Event::Differed { .. } => {
            warning(event).into_iter().for_each(say);
        }
        Event::Begun { .. } | Event::Tick | Event::Ended { .. } => {}
    }
}

/// What a run tells that is neither an end nor a beginning.
fn warning(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Retried { id, attempt, pause, error, .. } => {
            let pause = duration(pause.as_secs_f64());
            Some(format!("warning: {id}: {error}; attempt {} follows in {pause}", attempt + 1))
        }
        Event::Damaged { id, damage, .. } => Some(format!("warning: the result of {id} is damaged: {damage}")),
        Event::Differed { id, before, now, .. } => Some(format!(
            "warning: {id} gave other bytes than before from the same inputs ({} -> {}): it does not repeat itself here",
            before.short(),
            now.short()
        )),
        _ => None,
    }
}

fn duration(seconds: f64) -> String {
    if seconds < 60.0 { format!("{seconds:.1} s") } else { HumanDuration(Duration::from_secs_f64(seconds)).to_string() }
}

/// Shows which large file is being read for its digest.
#[derive(Clone)]
pub(super) enum Reading {
    /// One line that changes.
    Bar(ProgressBar),
    /// A line for each file that takes seconds.
    Lines,
}

/// A file of this size takes about a second to read from a disk.
const LARGE_BYTES: u64 = 256 << 20;

impl Reading {
    pub(super) fn new() -> Self {
        if !stderr().is_terminal() {
            return Self::Lines;
        }
        let bar = ProgressBar::no_length().with_style(style("{spinner} reading {msg}"));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self::Bar(bar)
    }

    pub(super) fn tell(&self, path: &Path, size_bytes: u64) {
        let what = || format!("{} ({})", path.display(), HumanBytes(size_bytes));
        match self {
            Self::Bar(bar) => bar.set_message(what()),
            Self::Lines if size_bytes >= LARGE_BYTES => eprintln!("reading {}", what()),
            Self::Lines => {}
        }
    }

    pub(super) fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
