//! Plan against store: which tasks are cached, which would run, and why, field by field.
//!
//! A task is *needed* if its result is a target, or if a task that uses it would run. So a result that was removed from
//! the cache is made again only when something asks for it.

use super::{Manifest, Plan, StudyNote, TaskId};
use crate::store::{Digest, Store};
use petgraph::graph::NodeIndex;
use serde::Serialize;
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

/// One field of a key that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The field, as `ridge.alphas[3]`.
    pub field: String,
    /// What it was; absent if the field is new.
    pub old: Option<String>,
    /// What it is now; absent if the field is gone.
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => {
                let alike = old.chars().zip(new.chars()).take_while(|(one, other)| one == other).count();
                write!(f, "{} {} -> {}", self.field, excerpt(old, alike), excerpt(new, alike))
            }
            (None, Some(new)) => write!(f, "{} {} (new)", self.field, excerpt(new, 0)),
            (Some(old), None) => write!(f, "{} {} (gone)", self.field, excerpt(old, 0)),
            (None, None) => f.write_str(&self.field),
        }
    }
}

/// Letters of a value that are told, and those of them before the first that differs.
const TOLD: usize = 60;
const BEFORE: usize = 24;

/// A value as it stands, or of a long one what is around its letter number `at`.
fn excerpt(value: &str, at: usize) -> String {
    let n = value.chars().count();
    if n <= TOLD {
        return value.to_owned();
    }
    let start = at.saturating_sub(BEFORE).min(n - TOLD);
    let (before, after) = (if start > 0 { "…" } else { "" }, if start + TOLD < n { "…" } else { "" });
    format!("{before}{}{after}", value.chars().skip(start).take(TOLD).collect::<String>())
}

/// Why a task runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// This study never had this task, or its record is gone.
    NeverRun,
    /// Fields of the key changed.
    Changed(Vec<Change>),
    /// The result is recorded but no longer whole in the cache.
    ResultGone,
    /// Inputs run first; if they give the same bytes as before, this task does not run.
    After(Vec<String>),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverRun => f.write_str("never run"),
            Self::ResultGone => f.write_str("its result is gone from the cache"),
            Self::Changed(changes) => {
                for (index, change) in changes.iter().take(3).enumerate() {
                    write!(f, "{}{change}", if index == 0 { "" } else { ", " })?;
                }
                match changes.len() {
                    0..=3 => Ok(()),
                    more => write!(f, ", and {} more", more - 3),
                }
            }
            Self::After(tasks) => match tasks.as_slice() {
                [one] => write!(f, "follows {one}"),
                [first, rest @ ..] => write!(f, "follows {first} and {} more", rest.len()),
                [] => f.write_str("follows"),
            },
        }
    }
}

/// Which results are wanted.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// Those that no task uses: the whole study.
    Ends,
    /// These.
    Only(&'a [NodeIndex]),
}

/// Which key of a task led to its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// What was asked for was computed before.
    Recipe,
    /// The same bytes went into the same computation under another recipe: an edit upstream that changed no byte.
    Content,
}

/// How a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its result is in the cache.
    Cached {
        /// Digest of the result.
        output: Digest,
        /// Which key led to it.
        by: FoundBy,
    },
    /// Its result is not in the cache, and nothing that would run needs it.
    Unneeded,
    /// It would run.
    Runs(Reason),
}

/// How every task of a plan stands, by place.
#[derive(Clone, Debug)]
pub struct Assessment {
    standings: Vec<Standing>,
}

/// Tasks by standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Results in the cache.
    pub cached: usize,
    /// Tasks that would run for certain.
    pub to_run: usize,
    /// Tasks that would run if the tasks before them change a byte.
    pub to_follow: usize,
    /// Tasks whose result is neither there nor needed.
    pub unneeded: usize,
}

impl Assessment {
    /// How the task at a place stands.
    #[must_use]
    pub fn standing(&self, place: NodeIndex) -> &Standing {
        &self.standings[place.index()]
    }

    /// How many tasks stand in each way.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for standing in &self.standings {
            match standing {
                Standing::Cached { .. } => counts.cached += 1,
                Standing::Unneeded => counts.unneeded += 1,
                Standing::Runs(Reason::After(_)) => counts.to_follow += 1,
                Standing::Runs(_) => counts.to_run += 1,
            }
        }
        counts
    }
}

/// Compares a plan with the store; `last` is what the study looked like when it last ran, `targets` what is wanted.
#[must_use]
pub fn assess(plan: &Plan, store: &Store, last: &StudyNote, targets: &Targets<'_>) -> Assessment {
    assess_noted(plan, store, last, &last.whole(store), targets)
}

/// As [`assess`], where it is known already which of the results in the note are [whole](StudyNote::whole).
#[must_use]
pub fn assess_noted(
    plan: &Plan,
    store: &Store,
    last: &StudyNote,
    noted: &HashMap<Digest, Digest>,
    targets: &Targets<'_>,
) -> Assessment {
    let mut outputs: Vec<Option<(Digest, FoundBy)>> = vec![None; plan.len()];
    for place in plan.places() {
        let recipe = plan.node(place).recipe;
        let by_recipe = || noted.get(&recipe).copied().or_else(|| Some(store.lookup(&recipe)?.output));
        let by_content = || {
            let output_of = |input: NodeIndex| outputs[input.index()].map(|(output, _)| output);
            let known = plan.inputs(place).into_iter().all(|(_, input)| output_of(input).is_some());
            let content = known.then(|| plan.content_key(place, |input| output_of(input).expect("all are known")))?;
            Some(store.lookup(&content)?.output)
        };
        let found = by_recipe().map(|output| (output, FoundBy::Recipe));
        outputs[place.index()] = found.or_else(|| Some((by_content()?, FoundBy::Content)));
    }

    let mut standings = vec![Standing::Unneeded; plan.len()];
    for place in plan.places().rev() {
        standings[place.index()] = match outputs[place.index()] {
            Some((output, by)) => Standing::Cached { output, by },
            None => {
                let is_target = match targets {
                    Targets::Ends => plan.is_end(place),
                    Targets::Only(wanted) => wanted.contains(&place),
                };
                let needed = is_target
                    || plan.dependants(place).any(|user| matches!(standings[user.index()], Standing::Runs(_)));
                if needed { Standing::Runs(Reason::NeverRun) } else { Standing::Unneeded }
            }
        };
    }
    for place in plan.places() {
        if standings[place.index()] == Standing::Runs(Reason::NeverRun) {
            let running: Vec<String> = plan
                .inputs(place)
                .into_iter()
                .filter(|(_, input)| matches!(standings[input.index()], Standing::Runs(_)))
                .map(|(_, input)| plan.node(input).id.to_string())
                .collect();
            standings[place.index()] = Standing::Runs(reason(plan, place, store, last, running));
        }
    }
    Assessment { standings }
}

fn reason(plan: &Plan, place: NodeIndex, store: &Store, last: &StudyNote, mut running: Vec<String>) -> Reason {
    let id: &TaskId = &plan.node(place).id;
    let Some(record) = last.tasks.get(id.as_str()).and_then(|noted| store.remembered(&noted.recipe)) else {
        return Reason::NeverRun;
    };
    let Ok(old) = serde_json::from_value::<Manifest>(record.manifest) else {
        return Reason::NeverRun;
    };
    let changes = changes(&old, &plan.manifest(place));
    running.dedup();
    match (changes.is_empty(), running.is_empty()) {
        (false, _) => Reason::Changed(changes),
        (true, false) => Reason::After(running),
        (true, true) => Reason::ResultGone,
    }
}

/// Fields of the task itself that differ; a differing input key is the input's own change, so it is told there.
fn changes(old: &Manifest, new: &Manifest) -> Vec<Change> {
    let (old_fields, new_fields) = (old.own_fields(), new.own_fields());
    let names: BTreeSet<&String> = old_fields.keys().chain(new_fields.keys()).collect();
    names
        .into_iter()
        .filter(|name| old_fields.get(*name) != new_fields.get(*name))
        .map(|name| {
            file_change(name, old, new).unwrap_or_else(|| Change {
                field: name.clone(),
                old: old_fields.get(name).cloned(),
                new: new_fields.get(name).cloned(),
            })
        })
        .chain(wiring_change(old, new))
        .collect()
}

/// A changed file is told by its path: a digest means nothing to a reader.
fn file_change(name: &str, old: &Manifest, new: &Manifest) -> Option<Change> {
    let index: usize = name.strip_prefix("file ")?.split_once('[')?.1.strip_suffix(']')?.parse().ok()?;
    let tell = |manifest: &Manifest| {
        manifest.files.get(index).map(|file| format!("{} ({})", file.path.display(), file.digest.short()))
    };
    Some(Change { field: name.to_owned(), old: tell(old), new: tell(new) })
}

/// A task that reads other tasks than before has changed, whatever is in them.
fn wiring_change(old: &Manifest, new: &Manifest) -> Option<Change> {
    let list = |manifest: &Manifest| {
        manifest.inputs.iter().map(|input| format!("{} {}", input.role, input.task)).collect::<Vec<_>>()
    };
    let (before, after) = (list(old), list(new));
    let gone: Vec<_> = before.iter().filter(|entry| !after.contains(entry)).cloned().collect();
    let come: Vec<_> = after.iter().filter(|entry| !before.contains(entry)).cloned().collect();
    let tell = |entries: Vec<String>| (!entries.is_empty()).then(|| entries.join(", "));
    (!gone.is_empty() || !come.is_empty()).then(|| Change { field: "inputs".into(), old: tell(gone), new: tell(come) })
}

#[cfg(test)]
mod tests {
    use super::Change;

    #[test]
    fn of_long_values_what_differs_is_told() {
        let told = |old: &str, new: &str| {
            Change { field: "f".into(), old: Some(old.into()), new: Some(new.into()) }.to_string()
        };
        assert_eq!(told("1", "2"), "f 1 -> 2");
        let (start, end) = ("é".repeat(100), "z".repeat(100));
        let expected = |differs: &str| format!("…{}{differs}{}…", "é".repeat(24), "z".repeat(35));
        assert_eq!(
            told(&format!("{start}3{end}"), &format!("{start}4{end}")),
            format!("f {} -> {}", expected("3"), expected("4"))
        );
        let gone = Change { field: "f".into(), old: Some(start.clone()), new: None };
        assert_eq!(gone.to_string(), format!("f {}… (gone)", "é".repeat(60)));
    }
}
