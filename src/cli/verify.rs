//! `hebb verify`: computes tasks of a study again, beside the cache, and says which results are the same.

use super::{
    Shared, answer,
    audience::Audience,
    error::CliError,
    lock,
    open::OpenStudy,
    run::{RunLimits, assert_device, cancel_on_interrupt},
    say,
    words::{counted, duration},
};
use crate::{
    executor::Limits,
    plan::Standing,
    share::{
        lock_path,
        verify::{
            Checked, Deviation, Expected, NothingExpected, Recomputed, Sums, Verdict, Verification, draw, sums,
            tolerance,
        },
    },
    store::StoreError,
    task::Kind,
};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use petgraph::graph::NodeIndex;
use serde_json::{Value, json};
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Arguments of `hebb verify`.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The study file.
    study: PathBuf,
    /// Compute so many tasks again, drawn at random; without it, all of them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sample: Option<u32>,
    /// Draw with this seed: the same study and seed draw the same tasks everywhere.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Keep the fresh results of tasks that are not byte for byte the same in this folder, which must be empty or not there.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    limits: RunLimits,
}

/// Inputs that are told by name.
const TOLD: usize = 2;

impl Verify {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let limits = self.limits.apply();
        if let Some(folder) = &self.keep {
            assert_empty(folder)?;
        }
        let open = OpenStudy::fetching(&self.study, shared)?;
        assert_device(&open)?;
        let (expected, against) = expected(&open, shared)?;
        let n = self.sample.map_or(open.plan.len(), |n| usize::try_from(n).unwrap_or(usize::MAX));
        let drawn = draw(&open.plan, n, self.seed);
        if !self.json {
            answer(format_args!("{}: held to {against}", open.study.name))?;
        }
        let verification = Verification::new(&open.plan, &open.store, &expected, &drawn)?;
        assert_runtime(&open, &verification)?;
        let (recomputed, checked) = run(&open, &verification, limits, shared)?;
        if recomputed.summary.cancelled {
            say(format_args!("{}: cancelled; nothing is left of it, and the cache is as it was", open.study.name));
            return Ok(ExitCode::from(130));
        }
        if let Some(folder) = &self.keep
            && verification.keep(&checked, folder)? > 0
            && !self.json
        {
            answer(format_args!("fresh results that are not the same: {}", folder.display()))?;
        }
        let account = Account { open: &open, drawn: drawn.len(), recomputed: &recomputed, checked: &checked };
        if self.json {
            answer(account.json(&against, self.seed))?;
        } else {
            answer(account.told())?;
        }
        for (task, message) in &recomputed.failed {
            say(format_args!("error: `{task}` could not be computed again: {message}"));
        }
        Ok(ExitCode::from(u8::from(!account.agrees())))
    }
}

/// What the study is held to, and its name.
fn expected(open: &OpenStudy, shared: &Shared) -> Result<(Expected, String), CliError> {
    let path = lock_path(&open.study.file);
    let unfinished = |missing: NothingExpected| CliError::Usage {
        message: missing.to_string(),
        hint: format!("`hebb run {}` computes them", open.study.file.display()),
    };
    if !path.exists() {
        let output = |place: NodeIndex| match open.assessment.standing(place) {
            Standing::Cached { output, .. } => Some(*output),
            // A result that is gone from the cache and was noted can be held to its digest.
            Standing::Unneeded | Standing::Runs(_) => open.output(place),
        };
        let expected = Expected::new(&open.plan, output).map_err(unfinished)?;
        return Ok((expected, "what the cache holds for the study as it stands".to_owned()));
    }
    let lock = lock::held(open, shared)?;
    let output = |place: NodeIndex| Some(lock.tasks.get(open.plan.node(place).id.as_str())?.output);
    Ok((Expected::new(&open.plan, output).map_err(unfinished)?, format!("the lock `{}`", path.display())))
}

/// Fails if a network has to run and nothing was found that runs it.
fn assert_runtime(open: &OpenStudy, verification: &Verification<'_>) -> Result<(), CliError> {
    let runs_networks = verification.to_run().any(|place| open.plan.node(place).task.kind() == Kind::Extract);
    match &open.runtime {
        Err(missing) if runs_networks => Err(CliError::Usage { message: missing.to_string(), hint: missing.hint() }),
        _ => Ok(()),
    }
}

fn assert_empty(folder: &Path) -> Result<(), CliError> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CliError::file("use", folder)(error)),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(CliError::Usage {
                message: format!("`{}` is not empty", folder.display()),
                hint: "`--keep` takes an empty folder, or one that is not there yet".to_owned(),
            }),
        },
    }
}

/// Computes and compares, and shows how it goes.
fn run(
    open: &OpenStudy,
    verification: &Verification<'_>,
    limits: Limits,
    shared: &Shared,
) -> Result<(Recomputed, Vec<Checked>), StoreError> {
    let cancelled = cancel_on_interrupt();
    let mut audience = Audience::unrecorded(open, verification.assessment(), limits, &[], shared.colours(), &cancelled);
    let recomputed = verification.recompute(limits, &cancelled, &mut |event| audience.tell(&event))?;
    if recomputed.summary.cancelled {
        return Ok((recomputed, Vec::new()));
    }
    let style =
        ProgressStyle::with_template("comparing numbers {pos}/{len}").expect("the template is constant and valid");
    let bar = ProgressBar::new(0).with_style(style);
    let checked = verification.compare(&recomputed, &|done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    Ok((recomputed, checked?))
}

/// What there is to say.
struct Account<'a> {
    open: &'a OpenStudy,
    drawn: usize,
    recomputed: &'a Recomputed,
    checked: &'a [Checked],
}

impl Account<'_> {
    /// Whether every result is what was expected, in its bytes or in its numbers.
    fn agrees(&self) -> bool {
        let summary = &self.recomputed.summary;
        self.checked.iter().all(Checked::agrees) && summary.failed + summary.blocked + summary.left == 0
    }

    /// Tasks that are not what was expected although all their inputs are, the first in the plan first.
    fn roots(&self) -> Vec<&str> {
        let roots = self.checked.iter().filter(|task| task.is_root && !task.agrees());
        roots.map(|task| task.task.as_str()).collect()
    }

    /// Lines for people: what is not the same, sums by kind, where it begins, and the whole in one line.
    fn told(&self) -> String {
        let mut text = String::new();
        let mut line =
            |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("texts take whatever is written");
        for (task, damage) in &self.recomputed.damaged {
            line(format_args!("damaged    {task}: in the cache, {damage}; `hebb cache verify` sets it aside"));
        }
        for task in self.checked {
            if let Some(told) = verdict(task) {
                line(format_args!("{told}"));
            }
        }
        let rows = rows(self.checked);
        let widths = [0, 1, 2, 3, 4, 5, 6].map(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or_default());
        for row in &rows {
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            line(format_args!("{}", cells.join("  ").trim_end()));
        }
        match self.roots().as_slice() {
            [] => {}
            [first] => line(format_args!("it begins with `{first}`: all that went into it is as expected")),
            [first, others @ ..] => line(format_args!(
                "it begins with `{first}`, and apart from it with `{}`: all that went into them is as expected",
                others.join("`, `")
            )),
        }
        text + &self.summed_up()
    }

    fn summed_up(&self) -> String {
        let all = sums(self.checked);
        let sum = |of: fn(&Sums) -> usize| all.values().map(of).sum::<usize>();
        let more = self.checked.len().saturating_sub(self.drawn);
        let mut parts = vec![format!("{} bit-identical", sum(|sums| sums.identical))];
        let counts = [
            (sum(|sums| sums.within), "within tolerance"),
            (sum(|sums| sums.different), "different"),
            (sum(|sums| sums.follows), "different after other inputs"),
            (self.recomputed.summary.failed, "failed"),
            (self.recomputed.summary.blocked, "blocked"),
            (self.recomputed.summary.left, "not started"),
        ];
        parts.extend(counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
        let inputs = if more > 0 { format!(" ({} as input)", counted(more, "more")) } else { String::new() };
        let (n, plan) = (self.checked.len(), &self.open.plan);
        let seconds = duration(self.recomputed.summary.seconds);
        let study = &self.open.study.name;
        format!("{study}: {n} of {} tasks recomputed{inputs} in {seconds}, {}", plan.len(), parts.join(", "))
    }

    fn json(&self, against: &str, seed: u64) -> Value {
        let kinds: Vec<Value> = sums(self.checked)
            .into_iter()
            .map(|(kind, sums)| {
                let (tolerance, reason) = tolerance(kind);
                json!({ "kind": kind, "tolerance": tolerance, "reason": reason, "sums": sums })
            })
            .collect();
        let pairs = |pairs: &[(String, String)], what: &str| -> Vec<Value> {
            pairs.iter().map(|(task, told)| json!({ "task": task, what: told })).collect()
        };
        let store = &self.open.store;
        let task = |task: &Checked| {
            let mut told = serde_json::to_value(task).expect("what was checked is plain data");
            let folder = store.artifact(&task.expected);
            told["expected_folder"] = if folder.is_dir() { json!(folder) } else { Value::Null };
            told
        };
        json!({
            "study": self.open.study.name,
            "held_to": against,
            "seed": seed,
            "n_tasks": self.open.plan.len(),
            "n_drawn": self.drawn,
            "agrees": self.agrees(),
            "begins_with": self.roots(),
            "kinds": kinds,
            "tasks": self.checked.iter().map(task).collect::<Vec<_>>(),
            "failed": pairs(&self.recomputed.failed, "message"),
            "damaged": pairs(&self.recomputed.damaged, "damage"),
            "summary": self.recomputed.summary,
        })
    }
}

/// The table of sums by kind, as text, with its head.
fn rows(checked: &[Checked]) -> Vec<[String; 7]> {
    let head = ["kind", "recomputed", "identical", "within", "different", "follows", "tolerance"].map(str::to_owned);
    let row = |(kind, sums): (Kind, Sums)| {
        let tolerance = match tolerance(kind).0 {
            0.0 => "exact".to_owned(),
            tolerance => tolerance.to_string(),
        };
        let counts = [sums.recomputed, sums.identical, sums.within, sums.different, sums.follows];
        let [recomputed, identical, within, different, follows] = counts.map(|n| n.to_string());
        [kind.to_string(), recomputed, identical, within, different, follows, tolerance]
    };
    std::iter::once(head).chain(sums(checked).into_iter().map(row)).collect()
}

/// A line about a task that is not byte for byte the same.
fn verdict(checked: &Checked) -> Option<String> {
    let task = &checked.task;
    Some(match &checked.verdict {
        Verdict::Identical => return None,
        Verdict::Within { deviation } => format!("within     {task}: {}", place(deviation)),
        Verdict::Different { deviation: Some(deviation), .. } => format!("different  {task}: {}", place(deviation)),
        Verdict::Different { reason, .. } => {
            let (found, expected) = (checked.found.short(), checked.expected.short());
            let reason = reason.as_deref().unwrap_or_default();
            format!("different  {task}: its digest is {found}, expected {expected}; {reason}")
        }
        Verdict::Follows { inputs, deviation } => {
            let mut after = inputs.iter().take(TOLD).cloned().collect::<Vec<_>>().join(", ");
            if inputs.len() > TOLD {
                let _ = write!(after, " and {} more", inputs.len() - TOLD);
            }
            let place = deviation.as_ref().map_or(String::new(), |deviation| format!("; {}", place(deviation)));
            format!("follows    {task}: after {after}{place}")
        }
    })
}

/// Where two results are furthest apart, and how far.
fn place(deviation: &Deviation) -> String {
    let Deviation { file, place, expected, found, relative } = deviation;
    let place = if place.is_empty() { String::new() } else { format!(", {place}") };
    let far = relative.map_or(String::new(), |relative| format!(", {relative:.1e} of the largest"));
    format!("`{file}`{place}: {found}, expected {expected}{far}")
}
