//! `hebb diff`: two studies, or two runs, compared: what was written, which tasks differ, what came out.

use super::{
    Shared,
    error::CliError,
    fields::differing,
    runs::Traced,
    scores::{ScoreChange, read_scores, score_changes},
    side::Side,
    words::{counted, from_zero},
};
use crate::plan::Change;
use clap::Args;
use serde::Serialize;
use std::{
    collections::{HashMap, HashSet},
    io::{self, Write, stdout},
    process::ExitCode,
};

/// Arguments of `hebb diff`.
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// A study file, or the id of a run (`hebb status STUDY --runs`).
    a: String,
    /// Another.
    b: String,
    /// Leave out scores that differ by no more than this.
    #[arg(long, default_value_t = 0.0, value_name = "R", value_parser = from_zero)]
    tolerance: f64,
    /// End with 1 if they differ.
    #[arg(long)]
    exit_code: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Names that are listed before the rest is only counted.
const LISTED: usize = 5;

/// How two sides differ.
#[derive(Debug, Serialize)]
struct Difference {
    a: String,
    b: String,
    fields: Vec<Change>,
    tasks: TaskDifference,
    results: Vec<ResultDifference>,
}

/// How two lists of tasks differ.
#[derive(Debug, Default, PartialEq, Serialize)]
struct TaskDifference {
    n_a: usize,
    n_b: usize,
    /// Tasks of both sides with the same key.
    alike: usize,
    /// Tasks of both sides with different keys, in plan order.
    differing: Vec<String>,
    /// What changed in the first of them.
    first_changes: Vec<Change>,
    /// Of those that differ, how many led to the same bytes all the same.
    same_bytes: usize,
    only_a: Vec<String>,
    only_b: Vec<String>,
    /// Tasks whose inputs are byte for byte the same, and whose results are not.
    not_reproducible: Vec<String>,
}

/// How the scores of one report differ.
#[derive(Debug, Serialize)]
struct ResultDifference {
    report: String,
    scores: Vec<ScoreChange>,
    /// Why there is nothing to compare.
    missing: Option<String>,
}

impl Diff {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let (a, b) = (Side::read(&self.a, shared)?, Side::read(&self.b, shared)?);
        let mut tasks = task_difference(&a.tasks, &b.tasks);
        if let Some(first) = tasks.differing.first() {
            let manifest = |side: &Side| side.manifest(side.tasks.iter().find(|task| task.task == *first)?);
            tasks.first_changes = match (manifest(&a), manifest(&b)) {
                // Inputs differ where the tasks before them do.
                (Some(a), Some(b)) => differing(&a.own_fields(), &b.own_fields()),
                _ => Vec::new(),
            };
        }
        let difference = Difference {
            fields: differing(&a.fields, &b.fields),
            tasks,
            results: results(&a, &b, self.tolerance),
            a: a.label,
            b: b.label,
        };
        let mut out = stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&difference).expect("answers are plain data"))?;
        } else {
            difference.write(&mut out)?;
        }
        Ok(ExitCode::from(u8::from(self.exit_code && difference.is_some())))
    }
}

fn task_difference(a: &[Traced], b: &[Traced]) -> TaskDifference {
    let in_b: HashMap<&str, &Traced> = b.iter().map(|task| (task.task.as_str(), task)).collect();
    let in_a: HashSet<&str> = a.iter().map(|task| task.task.as_str()).collect();
    let mut difference = TaskDifference { n_a: a.len(), n_b: b.len(), ..TaskDifference::default() };
    for one in a {
        let name = || one.task.clone();
        let Some(other) = in_b.get(one.task.as_str()) else {
            difference.only_a.push(name());
            continue;
        };
        let same_bytes = one.output.is_some() && one.output == other.output;
        if one.recipe == other.recipe {
            difference.alike += 1;
        } else {
            difference.differing.push(name());
            difference.same_bytes += usize::from(same_bytes);
        }
        let both_there = one.output.is_some() && other.output.is_some();
        if one.content.is_some() && one.content == other.content && both_there && !same_bytes {
            difference.not_reproducible.push(name());
        }
    }
    difference.only_b =
        b.iter().filter(|task| !in_a.contains(task.task.as_str())).map(|task| task.task.clone()).collect();
    difference
}

/// Compares reports of one name, or the only ones of both sides.
fn results(a: &Side, b: &Side, tolerance: f64) -> Vec<ResultDifference> {
    let pairs: Vec<_> = match (a.reports.iter().next(), b.reports.iter().next()) {
        (Some((name, a_output)), Some((_, b_output))) if a.reports.len() == 1 && b.reports.len() == 1 => {
            vec![(name.clone(), a_output, b_output)]
        }
        _ => a.reports.iter().filter_map(|(name, output)| Some((name.clone(), output, b.reports.get(name)?))).collect(),
    };
    let differing = pairs.into_iter().filter(|(_, a_output, b_output)| a_output != b_output);
    let compare = |(report, a_output, b_output)| {
        let read = |side: &Side, output| {
            let folder = side.report(output).ok_or("its report is gone from the cache")?;
            read_scores(&folder).map_err(|_| "its scores cannot be read")
        };
        let missing = |side: &str, why: &str| Some(format!("{side}: {why}"));
        match (read(a, a_output), read(b, b_output)) {
            (Ok(a), Ok(b)) => ResultDifference { report, scores: score_changes(&a, &b, tolerance), missing: None },
            (Err(why), _) => ResultDifference { report, scores: Vec::new(), missing: missing("A", why) },
            (_, Err(why)) => ResultDifference { report, scores: Vec::new(), missing: missing("B", why) },
        }
    };
    differing.map(compare).collect()
}

impl Difference {
    fn is_some(&self) -> bool {
        let tasks = &self.tasks;
        let lists = [&tasks.differing, &tasks.only_a, &tasks.only_b, &tasks.not_reproducible];
        !self.fields.is_empty() || lists.iter().any(|list| !list.is_empty()) || !self.results.is_empty()
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "A  {}\nB  {}", self.a, self.b)?;
        if !self.is_some() {
            return writeln!(out, "\nno difference: {} with the same keys", counted(self.tasks.alike, "task"));
        }
        if !self.fields.is_empty() {
            writeln!(out, "\nfields")?;
        }
        for change in &self.fields {
            writeln!(out, "  {change}")?;
        }
        self.write_tasks(out)?;
        for result in &self.results {
            self.write_result(result, out)?;
        }
        Ok(())
    }

    fn write_tasks(&self, out: &mut impl Write) -> io::Result<()> {
        let tasks = &self.tasks;
        writeln!(out, "\ntasks: {} in A, {} in B, {} with the same key", tasks.n_a, tasks.n_b, tasks.alike)?;
        if let Some((first, rest)) = tasks.differing.split_first() {
            let changes: Vec<String> = tasks.first_changes.iter().take(LISTED).map(ToString::to_string).collect();
            let more = tasks.first_changes.len().saturating_sub(LISTED);
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            writeln!(out, "  first to differ: {first}  {}{more}", changes.join(", "))?;
            let same = match tasks.same_bytes {
                0 => String::new(),
                n => format!("; of all these, {n} led to the same bytes"),
            };
            writeln!(out, "  after it: {}{same}", counted(rest.len(), "task"))?;
        }
        list(out, "  only in A", &tasks.only_a)?;
        list(out, "  only in B", &tasks.only_b)?;
        list(out, "  NOT REPRODUCIBLE, same inputs and other bytes", &tasks.not_reproducible)
    }

    fn write_result(&self, result: &ResultDifference, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\n{}: mean held-out r over subjects", result.report)?;
        if let Some(missing) = &result.missing {
            return writeln!(out, "  cannot be compared, {missing}");
        }
        if result.scores.is_empty() {
            return writeln!(out, "  no score differs by more than the tolerance");
        }
        let width = |text: fn(&ScoreChange) -> &str, head: &str| {
            result.scores.iter().map(|score| text(score).chars().count()).chain([head.len()]).max().unwrap_or_default()
        };
        let (model, features) = (width(|score| &score.model, "model"), width(|score| &score.features, "features"));
        let network = width(|score| &score.network, "network");
        writeln!(
            out,
            "  {:<model$}  {:<features$}  {:<network$}  {:>7}  {:>7}  {:>7}",
            "model", "features", "network", "A", "B", "B - A"
        )?;
        for score in &result.scores {
            let number = |value: Option<f64>| value.map_or("n/a".to_owned(), |value| format!("{value:.4}"));
            let difference = score.difference().map_or("n/a".to_owned(), |difference| match difference.abs() {
                // What four digits do not show is still told.
                ..5e-5 => format!("{difference:+.0e}"),
                _ => format!("{difference:+.4}"),
            });
            writeln!(
                out,
                "  {:<model$}  {:<features$}  {:<network$}  {:>7}  {:>7}  {difference:>7}",
                score.model,
                score.features,
                score.network,
                number(score.a),
                number(score.b)
            )?;
        }
        Ok(())
    }
}

fn list(out: &mut impl Write, head: &str, names: &[String]) -> io::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let more = names.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    writeln!(out, "{head}: {}{more}", names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Digest;

    fn task(name: &str, recipe: &str, content: &str, output: &str) -> Traced {
        let digest = |text: &str| (!text.is_empty()).then(|| Digest::of(text.as_bytes()));
        Traced {
            task: name.into(),
            recipe: Digest::of(recipe.as_bytes()),
            content: digest(content),
            output: digest(output),
        }
    }

    #[test]
    fn a_task_is_alike_other_of_the_same_bytes_or_not_reproducible() {
        let a = [
            task("alike", "r", "c", "o"),
            task("edited", "1", "1", "1"),
            task("cut off", "1", "c", "o"),
            task("gone", "r", "c", "o"),
            task("odd", "r", "c", "1"),
        ];
        let b = [
            task("alike", "r", "c", "o"),
            task("edited", "2", "2", "2"),
            task("cut off", "2", "c", "o"),
            task("odd", "r", "c", "2"),
            task("new", "r", "", ""),
        ];
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            task_difference(&a, &b),
            TaskDifference {
                n_a: 5,
                n_b: 5,
                alike: 2,
                differing: names(&["edited", "cut off"]),
                first_changes: Vec::new(),
                same_bytes: 1,
                only_a: names(&["gone"]),
                only_b: names(&["new"]),
                not_reproducible: names(&["odd"]),
            }
        );
    }

    #[test]
    fn a_task_without_a_result_on_one_side_is_not_called_irreproducible() {
        let difference = task_difference(&[task("a", "r", "c", "o")], &[task("a", "r", "c", "")]);
        assert_eq!((difference.alike, difference.not_reproducible.len()), (1, 0));
    }
}
