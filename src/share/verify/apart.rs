//! A cache of its own for what is computed again, inside the one that is held against it.
//!
//! What a task reads and is not computed itself is lent from there. Nothing is written in the cache around it: the folder
//! lies among what is being written, so that a collection removes what a killed process left, and is gone with its owner.

use super::Expected;
use crate::{
    plan::{Assessment, Plan, StudyNote, Targets, assess},
    store::{Digest, Lent, Record, Store, StoreError},
};
use petgraph::graph::NodeIndex;
use std::{fs, io, path::Path};
use tempfile::TempDir;

/// How the folder's name begins.
const NAME: &str = "verify-";

/// The cache apart, with what its tasks read.
#[derive(Debug)]
pub(super) struct Apart {
    /// Before the folder, so that nobody uses it when it goes.
    pub(super) store: Store,
    pub(super) assessment: Assessment,
    _folder: TempDir,
}

impl Apart {
    /// Makes it ready for computing `drawn` again, and whatever of their inputs `around` does not hold as expected.
    pub(super) fn new(
        plan: &Plan,
        around: &Store,
        expected: &Expected,
        drawn: &[NodeIndex],
    ) -> Result<Self, StoreError> {
        let partial = around.root().join("partial");
        let made =
            fs::create_dir_all(&partial).and_then(|()| tempfile::Builder::new().prefix(NAME).tempdir_in(&partial));
        let folder = made.map_err(|source| io_error("write in", &partial, source))?;
        // What was computed before would lend its parts to what is to be computed now.
        let store = Store::open(folder.path())?.without_families();
        lend(plan, around, &store, expected, drawn)?;
        let targets = if drawn.len() == plan.len() { Targets::Ends } else { Targets::Only(drawn) };
        let assessment = assess(plan, &store, &StudyNote::default(), &targets);
        Ok(Self { store, assessment, _folder: folder })
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action, path: path.to_owned(), source }
}

/// Lends what the drawn tasks read, and what their inputs read in turn: one of these that turns out to be damaged is
/// computed again alone, instead of with all that led to it.
fn lend(
    plan: &Plan,
    around: &Store,
    apart: &Store,
    expected: &Expected,
    drawn: &[NodeIndex],
) -> Result<(), StoreError> {
    let (mut runs, mut is_lent, mut links) = (vec![false; plan.len()], vec![false; plan.len()], true);
    drawn.iter().for_each(|place| runs[place.index()] = true);
    let lend = |place: NodeIndex| match known(plan, around, expected, place) {
        Some(record) => around.lend(&record, apart),
        None => Ok(None),
    };
    // Whoever uses a task comes first, so that all who may have to run are known in one pass.
    for place in plan.places().rev() {
        if !runs[place.index()] {
            continue;
        }
        for (_, input) in plan.inputs(place) {
            if runs[input.index()] || is_lent[input.index()] {
                continue;
            }
            match lend(input)? {
                Some(lent) => {
                    is_lent[input.index()] = true;
                    links &= lent == Lent::Linked;
                }
                None => runs[input.index()] = true,
            }
        }
    }
    // Copies are too dear for what is hardly ever needed.
    let direct: Vec<NodeIndex> = plan.places().filter(|place| links && is_lent[place.index()]).collect();
    for (_, input) in direct.into_iter().flat_map(|place| plan.inputs(place)) {
        if !runs[input.index()] && !is_lent[input.index()] {
            is_lent[input.index()] = lend(input)?.is_some();
        }
    }
    Ok(())
}

/// The record of what is expected of a task, under the recipe of today; absent if that is not in the cache.
fn known(plan: &Plan, store: &Store, expected: &Expected, place: NodeIndex) -> Option<Record> {
    let node = plan.node(place);
    let is_expected = |record: &Record| record.output == expected.of(place);
    let by_content = || {
        let content: Digest = plan.content_key(place, |input| expected.of(input));
        store.lookup(&content).filter(is_expected)
    };
    let record = store.lookup(&node.recipe).filter(is_expected).or_else(by_content)?;
    Some(record.under(node.recipe, plan.manifest(place).to_json()))
}
