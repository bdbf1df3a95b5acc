//! Many tasks in few lines: what `hebb plan` lists, taken together where it says the same.

use crate::{plan::Reason, task::Kind};
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};

/// A task that would run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Listed {
    pub(super) task: String,
    pub(super) kind: Kind,
    pub(super) reason: Reason,
    pub(super) memory_bytes: u64,
    /// Absent where nothing is known.
    pub(super) estimated_s: Option<f64>,
    /// Why it cannot run here; absent if it can.
    pub(super) blocked: Option<String>,
}

/// Tasks that are listed on one line.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) name: String,
    pub(super) reason: String,
    pub(super) tasks: Vec<&'a Listed>,
}

/// Neighbours of one kind with one reason that are still listed one by one.
const ALONE: usize = 3;

/// Lines that a person reads; more are taken together across subjects, models and cells of a sweep.
const READ: usize = 40;

/// Every task, neighbours that are alike, all of a kind that are alike, or all of a kind: the first that a person can read.
pub(super) fn grouped(tasks: &[Listed], all: bool) -> Vec<Group<'_>> {
    if all {
        return tasks.iter().map(alone).collect();
    }
    let near = neighbours(tasks);
    if near.len() <= READ {
        return near;
    }
    let alike = by(tasks, coarse);
    if alike.len() <= READ { alike } else { by(tasks, |task| fields(&task.reason)) }
}

fn told(task: &Listed) -> String {
    task.blocked.as_ref().map_or_else(|| task.reason.to_string(), |why| format!("blocked: {why}"))
}

fn alone(task: &Listed) -> Group<'_> {
    Group { name: task.task.clone(), reason: told(task), tasks: vec![task] }
}

/// Neighbours of one kind, one subject or model and one reason.
fn neighbours(tasks: &[Listed]) -> Vec<Group<'_>> {
    let family = |task: &Listed| task.task.split(['/', '@']).nth(1).map(str::to_owned);
    let alike = |one: &Listed, other: &Listed| {
        one.kind == other.kind && told(one) == told(other) && family(one) == family(other)
    };
    tasks.chunk_by(alike).flat_map(together).collect()
}

fn together(tasks: &[Listed]) -> Vec<Group<'_>> {
    match tasks.len() {
        0..=ALONE => tasks.iter().map(alone).collect(),
        n => {
            let name = format!("{} and {} more", tasks[0].task, n - 1);
            vec![Group { name, reason: told(&tasks[0]), tasks: tasks.iter().collect() }]
        }
    }
}

/// Tasks of one kind of which `class` says the same, in the order in which they are met first.
fn by(tasks: &[Listed], class: impl Fn(&Listed) -> String) -> Vec<Group<'_>> {
    let mut groups: Vec<(Kind, Group<'_>)> = Vec::new();
    let mut places: HashMap<(Kind, String), usize> = HashMap::new();
    for task in tasks {
        let reason = match &task.blocked {
            Some(_) => "blocked".to_owned(),
            None => class(task),
        };
        let place = *places.entry((task.kind, reason.clone())).or_insert_with(|| {
            groups.push((task.kind, Group { name: String::new(), reason, tasks: Vec::new() }));
            groups.len() - 1
        });
        groups[place].1.tasks.push(task);
    }
    for (kind, group) in &mut groups {
        group.name = match group.tasks.as_slice() {
            [one] => one.task.clone(),
            many => format!("{kind} ({} tasks)", many.len()),
        };
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// The reason with kinds in place of the tasks that are followed.
fn coarse(task: &Listed) -> String {
    match &task.reason {
        Reason::After(tasks) => {
            let kinds: BTreeSet<&str> = tasks.iter().filter_map(|task| task.split(['/', '@']).next()).collect();
            format!("follows {}", kinds.into_iter().collect::<Vec<_>>().join(", "))
        }
        reason => reason.to_string(),
    }
}

/// The reason with the names of changed fields in place of their values.
fn fields(reason: &Reason) -> String {
    match reason {
        Reason::Changed(changes) => {
            let names: BTreeSet<&str> = changes.iter().map(|change| change.field.as_str()).collect();
            match names.len() {
                0..=3 => format!("{} changed", names.into_iter().collect::<Vec<_>>().join(", ")),
                n => format!("{n} fields changed"),
            }
        }
        Reason::After(_) => "follows others".to_owned(),
        reason => reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Change;

    fn task(kind: Kind, task: String, reason: Reason) -> Listed {
        Listed { task, kind, reason, memory_bytes: 1, estimated_s: None, blocked: None }
    }

    fn change(field: &str, new: String) -> Reason {
        Reason::Changed(vec![Change { field: field.into(), old: Some("1".into()), new: Some(new) }])
    }

    fn lines(tasks: &[Listed], all: bool) -> Vec<String> {
        grouped(tasks, all).iter().map(|group| format!("{}: {}", group.name, group.reason)).collect()
    }

    #[test]
    fn a_sweep_of_thousands_is_a_few_lines() {
        let cell = |n: usize| {
            let after = Reason::After(vec![format!("pattern/clip@n={n}"), format!("encode/a@n={n}")]);
            [
                task(Kind::Pattern, format!("pattern/clip@n={n}"), Reason::NeverRun),
                task(Kind::Encode, format!("encode/a@n={n}"), after),
            ]
        };
        let tasks: Vec<Listed> = (0..5000).flat_map(cell).collect();
        assert_eq!(
            lines(&tasks, false),
            ["pattern (5000 tasks): never run", "encode (5000 tasks): follows encode, pattern"]
        );
        assert_eq!(lines(&tasks, true).len(), 10_000);
        let differing: Vec<Listed> =
            (0..100).map(|n| task(Kind::Encode, format!("encode/a@n={n}"), change("n", n.to_string()))).collect();
        assert_eq!(lines(&differing, false), ["encode (100 tasks): n changed"]);
    }

    #[test]
    fn neighbours_that_are_alike_are_taken_together_when_there_are_many() {
        let of = |n: usize| (0..n).map(|n| task(Kind::Bold, format!("bold/sub-01/run-{n}"), Reason::NeverRun));
        let few: Vec<Listed> = of(3).collect();
        assert_eq!(lines(&few, false).len(), 3);
        let many: Vec<Listed> = of(4).chain([task(Kind::Bold, "bold/sub-02/run-0".into(), Reason::NeverRun)]).collect();
        assert_eq!(lines(&many, false), ["bold/sub-01/run-0 and 3 more: never run", "bold/sub-02/run-0: never run"]);
    }
}
