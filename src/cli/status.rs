//! `hebb status`: how far a study is, what it cost, what runs now, what failed, and where its results lie.
//!
//! A run in another process is read from its log (`runs.rs`) without reading the study; otherwise the study is planned and
//! compared with the cache.

use super::{
    Shared,
    board::Board,
    error::CliError,
    events::Moment,
    frame::{Canvas, frame, sum_line},
    live,
    open::OpenStudy,
    results,
    runs::{Failed, Follow, Kept, StudyRuns},
    screen::Screen,
    words::{counted, duration, size},
};
use crate::{
    executor::slurm::{self, ClusterFolder, Standing as Jobs},
    plan::Standing,
    task::Kind,
};
use clap::Args;
use console::Term;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Arguments of `hebb status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// The study file.
    study: PathBuf,
    /// Folder of results, as given to `hebb run`.
    #[arg(long, default_value = "results", value_name = "DIR")]
    results: PathBuf,
    /// Refresh until the run ends.
    #[arg(long, conflicts_with_all = ["json", "runs"])]
    watch: bool,
    /// List earlier runs, for `hebb diff`.
    #[arg(long)]
    runs: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Time between two looks at a run.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// One kind of task.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Row {
    total: usize,
    cached: usize,
    failed: usize,
    seconds: f64,
    size_bytes: u64,
}

impl Status {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let runs = StudyRuns::of(&shared.cache, &self.study);
        if self.runs {
            return self.list(&runs);
        }
        let alive = runs.unended().into_iter().rfind(|run| run.is_alive);
        // A run that ends between two looks leaves no log: then the study stands as it left it.
        let following = alive.and_then(|run| run.follow().ok());
        if let Some(mut follow) = following {
            let mut board = Board::default();
            follow.catch_up(&mut board).map_err(CliError::file("read the log of a run in", &shared.cache))?;
            match (self.watch, self.json) {
                (true, _) => watch(&mut follow, &mut board, shared)?,
                (false, true) => {
                    let answer = json!({ "state": "running", "live": live::json(&board, Moment::now()) });
                    print(&answer)?;
                    return Ok(ExitCode::SUCCESS);
                }
                (false, false) => {
                    let lines = live::told(&board, Moment::now(), canvas(&Screen::new(Term::stdout()), shared));
                    writeln!(stdout(), "{}", lines.join("\n"))?;
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
        self.idle(&runs, shared)
    }

    /// How the study stands while nothing runs.
    fn idle(&self, runs: &StudyRuns, shared: &Shared) -> Result<ExitCode, CliError> {
        let open = OpenStudy::new(&self.study, shared)?;
        let standing = StudyStanding::of(&open, runs, &self.results);
        if self.json {
            print(&standing.json(&open))?;
            return Ok(ExitCode::SUCCESS);
        }
        let StudyStanding { last, killed, failures, rows, page, jobs } = standing;
        let mut out = stdout().lock();
        write_rows(&rows, &mut out)?;
        if let Some(board) = killed {
            let run = board.begun.as_ref().map_or("", |(_, begun)| begun.run.as_str());
            let (ended, all) = (board.n_ended(), board.to_run());
            writeln!(out, "\nrun {run} was killed after {ended} of {all} tasks; the next run goes on from there")?;
        } else if let Some(kept) = last {
            writeln!(out, "\nlast {}", told(&kept))?;
        }
        if let Some(jobs) = jobs {
            let (running, waiting, over) = (counted(jobs.running, "job"), jobs.waiting, jobs.over);
            writeln!(
                out,
                "{running} of it on the cluster, {waiting} more in the queue, {over} over; `hebb run` takes them up, `hebb slurm cancel` ends them"
            )?;
        }
        if !failures.is_empty() {
            writeln!(out, "\nfailed")?;
        }
        for failure in &failures {
            writeln!(out, "  {}: {}", failure.task, failure.message)?;
        }
        match page {
            Some(page) => writeln!(out, "\nresults: {}", page.display())?,
            None => writeln!(out, "\nno results yet: `hebb run {}`", self.study.display())?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn list(&self, runs: &StudyRuns) -> Result<ExitCode, CliError> {
        let records = runs.records();
        if self.json {
            print(&records.iter().rev().map(summary_json).collect())?;
            return Ok(ExitCode::SUCCESS);
        }
        if records.is_empty() {
            writeln!(stdout(), "no run of `{}` is recorded", self.study.display())?;
        }
        for kept in records.iter().rev() {
            writeln!(stdout(), "{}", told(kept))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// How a study stands while nothing runs.
pub(super) struct StudyStanding {
    last: Option<Kept>,
    killed: Option<Board>,
    failures: Vec<Failed>,
    rows: BTreeMap<Kind, Row>,
    page: Option<PathBuf>,
    /// Jobs that a run which is gone has left on a cluster.
    jobs: Option<Jobs>,
}

impl StudyStanding {
    pub(super) fn of(open: &OpenStudy, runs: &StudyRuns, results: &Path) -> Self {
        let last = runs.records().pop();
        let killed = killed(runs, last.as_ref());
        let failures = standing_failures(open, last.as_ref(), killed.as_ref());
        let rows = rows(open, &failures);
        let page = results::page(results, &open.study);
        // A machine without Slurm's commands has no jobs to tell of.
        let jobs = slurm::standing(&ClusterFolder::of(open.store.root(), &open.study.file)).ok().flatten();
        Self { last, killed, failures, rows, page: page.is_file().then_some(page), jobs }
    }

    pub(super) fn json(&self, open: &OpenStudy) -> Value {
        let row = |(kind, row): (&Kind, &Row)| {
            let mut value = serde_json::to_value(row).expect("rows are plain data");
            value["kind"] = json!(kind);
            value
        };
        json!({
            "state": if self.killed.is_some() { "killed" } else { "idle" },
            "study": open.study.name,
            "counts": open.assessment.counts(),
            "kinds": self.rows.iter().map(row).collect::<Vec<_>>(),
            "failed": self.failures,
            "last_run": self.last.as_ref().map(summary_json),
            "killed": self.killed.as_ref().map(|board| live::json(board, board.last.unwrap_or(Moment::now()))),
            "results": self.page,
            "jobs": self.jobs,
        })
    }
}

fn print(answer: &Value) -> io::Result<()> {
    writeln!(stdout(), "{}", serde_json::to_string_pretty(answer).expect("answers are plain data"))
}

fn canvas(screen: &Screen, shared: &Shared) -> Canvas {
    let (width, height) = screen.size();
    Canvas { width, height, colours: shared.colours_output() }
}

/// Follows a run until it ends or dies: a picture that changes on a terminal, lines elsewhere.
fn watch(follow: &mut Follow, board: &mut Board, shared: &Shared) -> Result<(), CliError> {
    let mut screen = stdout().is_terminal().then(|| Screen::new(Term::stdout()));
    let (mut said, mut failures) = (0, 0);
    while follow.is_alive() {
        match &mut screen {
            Some(screen) => {
                let canvas = canvas(screen, shared);
                let failed: Vec<String> = board.failures[failures..]
                    .iter()
                    .map(|failure| format!("failed {}: {}", failure.task, failure.message))
                    .collect();
                failures = board.failures.len();
                // A line that wraps would be two.
                let head = live::head(board, Moment::now());
                let mut lines = vec![console::truncate_str(&head, canvas.width, "…").into_owned()];
                lines.extend(frame(board, Moment::now(), Canvas { height: canvas.height.saturating_sub(1), ..canvas }));
                screen.draw(&failed.join("\n"), &lines);
            }
            None if board.n_ended() > said => {
                said = board.n_ended();
                writeln!(stdout(), "{}", sum_line(board, Moment::now()))?;
            }
            None => {}
        }
        std::thread::sleep(LOOK_EVERY);
        if follow.catch_up(board).is_err() {
            break;
        }
    }
    if let Some(screen) = &mut screen {
        screen.clear();
    }
    Ok(())
}

/// The latest run, if it was killed.
fn killed(runs: &StudyRuns, last: Option<&Kept>) -> Option<Board> {
    let dead = runs.unended().into_iter().rfind(|run| !run.is_alive)?;
    let mut board = Board::default();
    dead.follow().ok()?.catch_up(&mut board).ok()?;
    let (began, _) = board.begun.as_ref()?;
    last.is_none_or(|kept| kept.record.began < *began).then_some(board)
}

/// What failed in the latest run and has no result since.
fn standing_failures(open: &OpenStudy, last: Option<&Kept>, killed: Option<&Board>) -> Vec<Failed> {
    let failures: Vec<Failed> = match (killed, last) {
        (Some(board), _) => board.failures.iter().map(Failed::from).collect(),
        (None, Some(kept)) => kept.record.failures.clone(),
        (None, None) => return Vec::new(),
    };
    let mut failed: BTreeMap<&str, &Failed> = failures.iter().map(|failure| (failure.task.as_str(), failure)).collect();
    let runs = |place| matches!(open.assessment.standing(place), Standing::Runs(_));
    let still = open.plan.places().filter(|place| runs(*place));
    still.filter_map(|place| failed.remove(open.plan.node(place).id.as_str()).cloned()).collect()
}

fn rows(open: &OpenStudy, failures: &[Failed]) -> BTreeMap<Kind, Row> {
    let mut rows: BTreeMap<Kind, Row> = BTreeMap::new();
    for place in open.plan.places() {
        let node = open.plan.node(place);
        let row = rows.entry(node.task.kind()).or_default();
        row.total += 1;
        if let Standing::Cached { .. } = open.assessment.standing(place) {
            row.cached += 1;
            let noted = open.last.tasks.get(node.id.as_str()).filter(|noted| noted.recipe == node.recipe).cloned();
            if let Some(noted) = noted.or_else(|| open.store.remembered(&node.recipe).map(Into::into)) {
                row.seconds += noted.seconds;
                row.size_bytes += noted.files.iter().map(|(_, bytes)| bytes).sum::<u64>();
            }
        }
    }
    for failure in failures {
        rows.entry(failure.kind).or_default().failed += 1;
    }
    rows
}

fn write_rows(rows: &BTreeMap<Kind, Row>, out: &mut impl Write) -> Result<(), CliError> {
    writeln!(out, "{:<12} {:>7} {:>7} {:>7} {:>13} {:>12}", "kind", "tasks", "cached", "failed", "time", "size")?;
    let mut sum = Row::default();
    let mut write = |name: &str, row: &Row| {
        let (time, size) = (duration(row.seconds), size(row.size_bytes));
        writeln!(out, "{name:<12} {:>7} {:>7} {:>7} {time:>13} {size:>12}", row.total, row.cached, row.failed)
    };
    for (kind, row) in rows {
        write(kind.name(), row)?;
        sum.total += row.total;
        sum.cached += row.cached;
        sum.failed += row.failed;
        sum.seconds += row.seconds;
        sum.size_bytes += row.size_bytes;
    }
    Ok(write("all", &sum)?)
}

/// A run that ended, in one line.
fn told(kept: &Kept) -> String {
    let (record, sums) = (&kept.record, &kept.record.sums);
    let mut line = format!(
        "run {}, {}: {} computed, {} cached in {}",
        record.run,
        record.began.told(),
        sums.computed,
        sums.cached,
        duration(sums.seconds)
    );
    if sums.failed > 0 {
        line += &format!(", {} failed, {} blocked", sums.failed, sums.blocked);
    }
    if sums.cancelled {
        let left = kept.n_left();
        line += &format!(", cancelled with {} to go", counted(left, "task"));
    }
    line
}

fn summary_json(kept: &Kept) -> Value {
    let record = &kept.record;
    json!({
        "run": record.run, "study": record.study, "began": record.began, "ended": record.ended,
        "program": record.program, "sums": record.sums, "failed": record.failures,
    })
}
