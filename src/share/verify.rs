//! Results against a fresh computation: which tasks of a study give the same bytes again, which the same numbers, which
//! neither, and where it begins.
//!
//! `apart.rs` holds the cache that everything is computed in, `compare.rs` and its readers compare two results of a task,
//! `tolerance.rs` says how far their numbers may be apart. What is expected comes from a lock or from the cache: whoever
//! asks says so.

mod apart;
mod arrays;
mod compare;
mod spread;
mod texts;
mod tolerance;

pub use spread::Deviation;
pub use tolerance::tolerance;

use crate::{
    executor::{self, Event, Options, Summary},
    plan::{Assessment, Plan, Standing},
    store::{Damage, Digest, Store, StoreError},
    task::Kind,
};
use apart::Apart;
use compare::Compared;
use petgraph::graph::NodeIndex;
use rayon::prelude::*;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// The digest that the result of each task is expected to have.
#[derive(Clone, Debug)]
pub struct Expected(Vec<Digest>);

/// Nothing can be verified: a task has no result to be held to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{n_missing} of {n_tasks} tasks have no result, `{first}` first")]
pub struct NothingExpected {
    /// Tasks without a result.
    pub n_missing: usize,
    /// All tasks.
    pub n_tasks: usize,
    /// The first of them.
    pub first: String,
}

impl Expected {
    /// What is expected of a plan, where `output` knows the digest of every task's result.
    ///
    /// # Errors
    /// If it does not know one.
    pub fn new(plan: &Plan, output: impl Fn(NodeIndex) -> Option<Digest>) -> Result<Self, NothingExpected> {
        let outputs: Vec<Option<Digest>> = plan.places().map(output).collect();
        let n_missing = outputs.iter().filter(|output| output.is_none()).count();
        match plan.places().find(|place| outputs[place.index()].is_none()) {
            None => Ok(Self(outputs.into_iter().flatten().collect())),
            Some(first) => {
                Err(NothingExpected { n_missing, n_tasks: plan.len(), first: plan.node(first).id.to_string() })
            }
        }
    }

    /// What is expected of the task at a place.
    #[must_use]
    pub fn of(&self, place: NodeIndex) -> Digest {
        self.0[place.index()]
    }
}

/// So many tasks drawn at random without replacement, in the order of the plan.
///
/// Drawn by their names and the seed alone: everyone draws the same, and more of them are these and others.
#[must_use]
pub fn draw(plan: &Plan, n: usize, seed: u64) -> Vec<NodeIndex> {
    let lot = |place: &NodeIndex| (Digest::of(format!("{seed}\n{}", plan.node(*place).id).as_bytes()), *place);
    let mut lots: Vec<(Digest, NodeIndex)> = plan.places().map(|place| lot(&place)).collect();
    lots.sort_unstable();
    let mut drawn: Vec<NodeIndex> = lots.into_iter().take(n).map(|(_, place)| place).collect();
    drawn.sort_unstable();
    drawn
}

/// Tasks that are about to be computed again, beside a cache that stays as it is.
#[derive(Debug)]
pub struct Verification<'a> {
    plan: &'a Plan,
    store: &'a Store,
    expected: &'a Expected,
    n_drawn: usize,
    apart: Apart,
}

/// What computing again has led to.
#[derive(Clone, Debug)]
pub struct Recomputed {
    /// How the run went.
    pub summary: Summary,
    /// Tasks without a fresh result, and why.
    pub failed: Vec<(String, String)>,
    /// Results of the cache that turned out to be damaged, and how; they were computed again.
    pub damaged: Vec<(String, String)>,
    /// The fresh result of each task, by place.
    outputs: Vec<Option<Digest>>,
}

/// How a fresh result compares with what was expected.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// Byte for byte the same.
    Identical,
    /// Other bytes, and numbers that are nowhere further apart than the tolerance of its kind.
    Within {
        /// Where they are furthest apart.
        deviation: Deviation,
    },
    /// Something else, although everything that went in was the same.
    Different {
        /// Where it differs; absent if there is nothing to compare with.
        deviation: Option<Deviation>,
        /// Why there is nothing to compare with.
        reason: Option<String>,
    },
    /// Something else, after inputs that were not the same.
    Follows {
        /// The inputs that were not.
        inputs: Vec<String>,
        /// Where it differs; absent if there is nothing to compare with.
        deviation: Option<Deviation>,
    },
}

/// A task that was computed again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checked {
    /// Its name.
    pub task: String,
    /// Its kind.
    pub kind: Kind,
    /// The digest that was expected.
    pub expected: Digest,
    /// The digest of the fresh result.
    pub found: Digest,
    /// Whether all its inputs were the same: if it differs, it begins here.
    pub is_root: bool,
    /// How they compare.
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl Checked {
    /// Whether it is what was expected, in its bytes or in its numbers.
    #[must_use]
    pub fn agrees(&self) -> bool {
        matches!(self.verdict, Verdict::Identical | Verdict::Within { .. })
    }
}

/// Tasks of a kind by how their fresh results compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the verdicts say it")]
pub struct Sums {
    pub recomputed: usize,
    pub identical: usize,
    pub within: usize,
    pub different: usize,
    pub follows: usize,
}

/// Sums of all that was compared, by kind.
#[must_use]
pub fn sums(tasks: &[Checked]) -> BTreeMap<Kind, Sums> {
    let mut kinds: BTreeMap<Kind, Sums> = BTreeMap::new();
    for task in tasks {
        let sums = kinds.entry(task.kind).or_default();
        sums.recomputed += 1;
        match task.verdict {
            Verdict::Identical => sums.identical += 1,
            Verdict::Within { .. } => sums.within += 1,
            Verdict::Different { .. } => sums.different += 1,
            Verdict::Follows { .. } => sums.follows += 1,
        }
    }
    kinds
}

impl<'a> Verification<'a> {
    /// Makes ready for computing these tasks again, and those of their inputs that the cache does not hold as expected.
    ///
    /// # Errors
    /// If the cache cannot be written in; what is there stays untouched in any case.
    pub fn new(
        plan: &'a Plan,
        store: &'a Store,
        expected: &'a Expected,
        drawn: &[NodeIndex],
    ) -> Result<Self, StoreError> {
        let apart = Apart::new(plan, store, expected, drawn)?;
        Ok(Self { plan, store, expected, n_drawn: drawn.len(), apart })
    }

    /// How the tasks stand before anything runs: what was lent counts as cached.
    #[must_use]
    pub fn assessment(&self) -> &Assessment {
        &self.apart.assessment
    }

    /// Tasks that were drawn; more may run.
    #[must_use]
    pub fn n_drawn(&self) -> usize {
        self.n_drawn
    }

    /// Tasks that will run.
    pub fn to_run(&self) -> impl Iterator<Item = NodeIndex> + '_ {
        self.plan.places().filter(|place| matches!(self.assessment().standing(*place), Standing::Runs(_)))
    }

    /// Computes them, apart from the cache; every happening goes to `tell`.
    ///
    /// # Errors
    /// As [`executor::run`]: failing tasks are no error here, see [`Recomputed::failed`].
    pub fn recompute(
        &self,
        options: impl Into<Options>,
        cancelled: &AtomicBool,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Recomputed, StoreError> {
        let (mut outputs, mut failed, mut damaged) = (vec![None; self.plan.len()], Vec::new(), Vec::new());
        let store = &self.apart.store;
        let run =
            executor::run(self.plan, &self.apart.assessment, store, options, cancelled, &mut |event| match event {
                Event::Damaged { id, kind, damage } => {
                    damaged.push((id.to_string(), Damage { aside: None, ..damage.clone() }.to_string()));
                    // Where it lies now is gone with everything else that is apart.
                    tell(Event::Damaged { id, kind, damage: &Damage { aside: None, ..damage.clone() } });
                }
                event => {
                    match &event {
                        Event::Finished { id, .. } => {
                            let place = self.plan.find(id.as_str()).expect("the executor names tasks of the plan");
                            let record = store.remembered(&self.plan.node(place).recipe);
                            outputs[place.index()] = record.map(|record| record.output);
                        }
                        Event::Failed { id, error, .. } => failed.push((id.to_string(), error.to_string())),
                        _ => {}
                    }
                    tell(event);
                }
            });
        Ok(Recomputed { summary: run?, failed, damaged, outputs })
    }

    /// Compares every fresh result with what was expected, in the order of the plan; `tell` hears how many are done of
    /// those that are not byte for byte the same.
    ///
    /// # Errors
    /// If a result cannot be read.
    pub fn compare(
        &self,
        recomputed: &Recomputed,
        tell: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Vec<Checked>, StoreError> {
        let differs = |place: NodeIndex| {
            recomputed.outputs[place.index()].is_some_and(|output| output != self.expected.of(place))
        };
        let (n_all, n_done) = (self.plan.places().filter(|place| differs(*place)).count(), AtomicUsize::new(0));
        let check = |place: NodeIndex| -> Option<Result<Checked, StoreError>> {
            let found = recomputed.outputs[place.index()]?;
            let (node, expected) = (self.plan.node(place), self.expected.of(place));
            let mut inputs: Vec<String> = Vec::new();
            for (_, input) in self.plan.inputs(place).into_iter().filter(|(_, input)| differs(*input)) {
                let name = self.plan.node(input).id.to_string();
                if !inputs.contains(&name) {
                    inputs.push(name);
                }
            }
            let (is_root, kind) = (inputs.is_empty(), node.task.kind());
            let verdict = match found == expected {
                true => Ok(Verdict::Identical),
                false => {
                    let verdict = self.verdict(&expected, &found, kind, inputs);
                    tell(n_done.fetch_add(1, Ordering::Relaxed) + 1, n_all);
                    verdict
                }
            };
            let task = node.id.to_string();
            Some(verdict.map(|verdict| Checked { task, kind, expected, found, is_root, verdict }))
        };
        let places: Vec<NodeIndex> = self.plan.places().collect();
        let checked: Vec<Option<Result<Checked, StoreError>>> = places.into_par_iter().map(check).collect();
        checked.into_iter().flatten().collect()
    }

    fn verdict(
        &self,
        expected: &Digest,
        found: &Digest,
        kind: Kind,
        inputs: Vec<String>,
    ) -> Result<Verdict, StoreError> {
        let (deviation, reason) = if self.store.artifact(expected).is_dir() {
            // Numbers of a damaged result say nothing about this one.
            match self.store.examine(expected, None)?.first() {
                None => {
                    let (one, two) = (self.store.artifact(expected), self.apart.store.artifact(found));
                    match compare::folders(&one, &two, tolerance(kind).0)? {
                        Compared::Numbers(deviation) => return Ok(Verdict::Within { deviation }),
                        Compared::Other(deviation) => (Some(deviation), None),
                    }
                }
                Some(fault) => (None, Some(format!("what was expected is damaged in the cache: {fault}"))),
            }
        } else {
            (None, Some("what was expected is not in the cache, so that there are no numbers to compare with".into()))
        };
        Ok(match inputs.is_empty() {
            true => Verdict::Different { deviation, reason },
            false => Verdict::Follows { inputs, deviation },
        })
    }

    /// Copies the fresh results of tasks that are not byte for byte as expected to a folder, under the tasks' names.
    ///
    /// # Errors
    /// If something cannot be copied.
    pub fn keep(&self, tasks: &[Checked], folder: &Path) -> Result<usize, StoreError> {
        let kept = tasks.iter().filter(|task| task.verdict != Verdict::Identical);
        let mut n_kept = 0;
        for task in kept {
            let (from, to) = (self.apart.store.artifact(&task.found), folder.join(as_path(&task.task)));
            for file in compare::listed(&from)? {
                let (from, to) = (from.join(&file), to.join(&file));
                let copied = to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::copy(&from, &to));
                copied.map_err(|source| StoreError::Io { action: "write", path: to.clone(), source })?;
            }
            n_kept += 1;
        }
        Ok(n_kept)
    }
}

/// The name of a task as a path that stays inside, whatever is in the name.
fn as_path(task: &str) -> PathBuf {
    let part = |part: &str| match part {
        "" | "." | ".." => "_".to_owned(),
        part => {
            let fine = |letter: char| letter.is_alphanumeric() || "-_.,=@+".contains(letter);
            part.chars().map(|letter| if fine(letter) { letter } else { '_' }).collect()
        }
    };
    task.split('/').map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_name_stays_inside_its_folder() {
        assert_eq!(as_path("encode/sub-01/clip/patterns@seed=2"), Path::new("encode/sub-01/clip/patterns@seed=2"));
        assert_eq!(as_path("../a//b\\c:\u{1b}"), Path::new("_/a/_/b_c__"));
        assert!(as_path("/etc").is_relative());
    }
}
