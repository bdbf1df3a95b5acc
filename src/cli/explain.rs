//! `hebb explain`: everything about one task.

use super::{
    Shared,
    audience::estimates,
    error::CliError,
    events::Moment,
    names::find_task,
    open::OpenStudy,
    words::{duration, size},
};
use crate::{
    plan::{Manifest, Reason, Standing},
    store::{Digest, Record},
};
use clap::Args;
use petgraph::graph::NodeIndex;
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

/// Arguments of `hebb explain`.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The study file.
    study: PathBuf,
    /// The task: its name, the start of it, or a pattern with `*`.
    task: String,
    /// Show everything in full: long values, every input and dependant.
    #[arg(long)]
    all: bool,
    /// Print JSON.
    #[arg(long, conflicts_with = "all")]
    json: bool,
}

/// Letters of a value, and entries of a list, that are shown unless all is asked for.
const LETTERS: usize = 88;
const ENTRIES: usize = 12;

/// What there is to say of a task.
#[derive(Debug, Serialize)]
struct Explained {
    task: String,
    kind: &'static str,
    version: u32,
    standing: &'static str,
    /// Why it would run.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    recipe: Digest,
    engine: Option<String>,
    /// Every field of the key, as it is hashed.
    fields: BTreeMap<String, String>,
    inputs: Vec<Other>,
    dependants: Vec<Other>,
    files: Vec<External>,
    memory_bytes: u64,
    estimated_s: Option<f64>,
    last_run: Option<LastRun>,
}

/// A task that this one reads or is read by.
#[derive(Debug, Serialize)]
struct Other {
    role: Option<&'static str>,
    task: String,
    standing: &'static str,
}

/// A file outside the cache.
#[derive(Debug, Serialize)]
struct External {
    role: &'static str,
    path: PathBuf,
    digest: Digest,
    /// Absent if it is not there any more.
    size_bytes: Option<u64>,
}

/// The last computation of this task in this study.
#[derive(Debug, Serialize)]
struct LastRun {
    /// Whether it is what the study asks for now.
    is_current: bool,
    finished: Moment,
    seconds: f64,
    program: String,
    content: Digest,
    output: Digest,
    folder: PathBuf,
    /// Whether all of its files are there.
    is_there: bool,
    files: Vec<(String, u64)>,
}

impl Explain {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let open = OpenStudy::new(&self.study, shared)?;
        let place = find_task(&open.plan, &self.task)?;
        let explained = explained(&open, place);
        let mut out = stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&explained).expect("answers are plain data"))?;
        } else {
            explained.write(&open.plan.manifest(place), self.all, &mut out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// How a task stands, in a word or two.
pub(super) fn standing_word(open: &OpenStudy, place: NodeIndex) -> &'static str {
    match open.assessment.standing(place) {
        Standing::Cached { .. } => "cached",
        Standing::Unneeded => "not needed",
        Standing::Runs(Reason::After(_)) => "follows",
        Standing::Runs(_) => "runs",
    }
}

fn explained(open: &OpenStudy, place: NodeIndex) -> Explained {
    let (node, manifest) = (open.plan.node(place), open.plan.manifest(place));
    let other = |role, place: NodeIndex| Other {
        role,
        task: open.plan.node(place).id.to_string(),
        standing: standing_word(open, place),
    };
    let mut dependants: Vec<NodeIndex> = open.plan.dependants(place).collect();
    dependants.sort_unstable();
    dependants.dedup();
    let current = open.store.remembered(&node.recipe);
    let earlier = || open.last.tasks.get(node.id.as_str()).and_then(|noted| open.store.remembered(&noted.recipe));
    let last = current.map(|record| (true, record)).or_else(|| Some((false, earlier()?)));
    Explained {
        task: node.id.to_string(),
        kind: node.task.kind().name(),
        version: manifest.version,
        standing: standing_word(open, place),
        reason: match open.assessment.standing(place) {
            Standing::Runs(reason) => Some(reason.clone()),
            _ => None,
        },
        recipe: node.recipe,
        engine: manifest.engine.clone(),
        fields: manifest.fields(),
        inputs: open.plan.inputs(place).into_iter().map(|(role, input)| other(Some(role), input)).collect(),
        dependants: dependants.into_iter().map(|place| other(None, place)).collect(),
        files: node
            .files
            .iter()
            .map(|file| External {
                role: file.role,
                path: file.path.clone(),
                digest: file.digest,
                size_bytes: fs::metadata(&file.path).ok().map(|facts| facts.len()),
            })
            .collect(),
        memory_bytes: node.task.memory_bytes(),
        estimated_s: estimates(open).of(place),
        last_run: last.map(|(is_current, record)| last_run(open, is_current, record)),
    }
}

fn last_run(open: &OpenStudy, is_current: bool, record: Record) -> LastRun {
    let files: Vec<(String, u64)> = record.files.into_iter().map(|file| (file.path, file.size_bytes)).collect();
    LastRun {
        is_current,
        finished: Moment::at_unix_s(record.run.finished_unix_s),
        seconds: record.run.seconds,
        program: record.run.program,
        content: record.content,
        output: record.output,
        folder: open.store.artifact(&record.output),
        is_there: open.store.is_whole(&record.output, files.iter().map(|(path, bytes)| (path.as_str(), *bytes))),
        files,
    }
}

impl Explained {
    fn write(&self, manifest: &Manifest, all: bool, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.task)?;
        writeln!(out, "  {:<10}{}, version {}", "kind", self.kind, self.version)?;
        writeln!(out, "  {:<10}{}", "standing", self.standing)?;
        for line in self.reason.iter().flat_map(reason_lines) {
            writeln!(out, "  {:<10}{line}", "")?;
        }
        writeln!(out, "  {:<10}{}", "key", self.recipe)?;
        let time = self.estimated_s.map_or("unknown time".to_owned(), |seconds| format!("about {}", duration(seconds)));
        writeln!(out, "  {:<10}{}, {time}", "needs", size(self.memory_bytes))?;
        if let Some(engine) = &self.engine {
            writeln!(out, "  {:<10}{engine}", "engine")?;
        }
        let fields: Vec<(String, String)> =
            if all { self.fields.clone().into_iter().collect() } else { parameters(&manifest.parameters) };
        let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        list(out, "fields", fields.iter().map(|(name, value)| format!("{name:<width$}  {value}")), true)?;
        let others = |others: &[Other]| -> Vec<String> {
            let width = others.iter().map(|other| other.role.unwrap_or_default().len()).max().unwrap_or_default();
            let role = |other: &Other| other.role.map_or(String::new(), |role| format!("{role:<width$}  "));
            let names = others.iter().map(|other| other.task.chars().count()).max().unwrap_or_default();
            others.iter().map(|other| format!("{}{:<names$}  {}", role(other), other.task, other.standing)).collect()
        };
        list(out, "inputs", others(&self.inputs).into_iter(), all)?;
        list(out, "used by", others(&self.dependants).into_iter(), all)?;
        let file = |file: &External| {
            let found = file.size_bytes.map_or("not there any more".to_owned(), size);
            format!("{}  {}  {}  {found}", file.role, file.path.display(), file.digest.short())
        };
        list(out, "files", self.files.iter().map(file), all)?;
        match &self.last_run {
            None => writeln!(out, "  {:<10}never", "last run"),
            Some(last) => {
                let of = if last.is_current { "" } else { ", of what the study asked for before" };
                writeln!(
                    out,
                    "  {:<10}{}, {}, hebb {}{of}",
                    "last run",
                    last.finished.told(),
                    duration(last.seconds),
                    last.program
                )?;
                let gone = if last.is_there { "" } else { " (gone)" };
                writeln!(out, "  {:<10}{}{gone}", "result", last.folder.display())?;
                let files = last.files.iter().map(|(path, bytes)| format!("{path}  {}", size(*bytes)));
                list(out, "", files, all)
            }
        }
    }
}

/// Every reason in full, one a line.
fn reason_lines(reason: &Reason) -> Vec<String> {
    match reason {
        Reason::Changed(changes) => changes.iter().map(ToString::to_string).collect(),
        Reason::After(tasks) => tasks.iter().map(|task| format!("follows {task}")).collect(),
        reason => vec![reason.to_string()],
    }
}

/// A headed list, its end left out unless all is asked for.
fn list(out: &mut impl Write, head: &str, lines: impl ExactSizeIterator<Item = String>, all: bool) -> io::Result<()> {
    let n = lines.len();
    let shown = if all || n <= ENTRIES { n } else { ENTRIES - 1 };
    for (place, line) in lines.take(shown).enumerate() {
        writeln!(out, "  {:<10}{line}", if place == 0 { head } else { "" })?;
    }
    if shown < n {
        writeln!(out, "  {:<10}and {} more (`--all`)", "", n - shown)?;
    }
    Ok(())
}

/// Parameters by path, lists in one piece, long values shortened.
fn parameters(value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    flatten("", value, &mut found);
    found
}

fn flatten(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                flatten(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value, found);
            }
        }
        value => {
            let text = match value {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            let whole = text.chars().count();
            let mut told: String = text.chars().take(LETTERS).collect();
            if whole > LETTERS {
                told.push('…');
                if let Value::Array(items) = value {
                    told += &format!(" ({} entries)", items.len());
                }
            }
            found.push((path.to_owned(), told));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_parameters_are_shortened_and_say_how_much_there_is() {
        let numbers: Vec<usize> = (0..200).collect();
        let found = parameters(&json!({ "a": { "b": [1, 2.5], "c": {} }, "text": "x", "many": numbers }));
        let short = [("a.b", "[1,2.5]"), ("a.c", "{}"), ("text", "x")];
        assert_eq!(found[..3], short.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(found[3].1.ends_with("… (200 entries)") && found[3].1.chars().count() < 110, "{found:?}");
    }
}
