//! What happens in a run, as data. Wording is for whoever listens.

use super::RunError;
use crate::{
    plan::TaskId,
    store::{Damage, Digest},
    task::{Kind, Progress},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a task came to its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was computed.
    Computed,
    /// Its inputs turned out to be byte for byte what they were before, so the earlier result stands.
    Unchanged,
    /// Someone else had computed it.
    Fetched,
}

/// One happening.
#[derive(Debug)]
pub enum Event<'a> {
    /// The run begins.
    Begun {
        /// Tasks of the plan.
        total: usize,
        /// Tasks whose results were in the cache.
        cached: usize,
    },
    /// A task begins.
    Started {
        /// Its name.
        id: &'a TaskId,
        /// Its kind.
        kind: Kind,
    },
    /// A task got on.
    Progress {
        /// Its name.
        id: &'a TaskId,
        /// Its kind.
        kind: Kind,
        /// How far.
        progress: Progress,
    },
    /// A task has its result.
    Finished {
        /// Its name.
        id: &'a TaskId,
        /// Its kind.
        kind: Kind,
        /// Whether it had to be computed.
        outcome: Outcome,
        /// Seconds that the computation took, now or when it was made.
        seconds: f64,
        /// Bytes of the result.
        size_bytes: u64,
    },
    /// A task has no result.
    Failed {
        /// Its name.
        id: &'a TaskId,
        /// Its kind.
        kind: Kind,
        /// Why.
        error: &'a RunError,
    },
    /// A task cannot run, since one that it needs failed.
    Blocked {
        /// Its name.
        id: &'a TaskId,
        /// The task that failed.
        by: &'a TaskId,
    },
    /// A task met an error of the kind that passes, and tries again after a pause.
    Retried {
        /// Its name.
        id: &'a TaskId,
        /// Its kind.
        kind: Kind,
        /// Which attempt failed, from 1.
        attempt: usize,
        /// The pause before the next one.
        pause: Duration,
        /// Why it failed.
        error: &'a RunError,
    },
    /// A result in the cache, or its record, turned out to be damaged and was moved out of the way.
    Damaged {
        /// The task whose result it was.
        id: &'a TaskId,
        /// Its kind.
        kind: Kind,
        /// What is wrong with it, and where it lies now.
        damage: &'a Damage,
    },
    /// A task that had its result, or that nothing needed, runs after all: a result was damaged or removed.
    Revived {
        /// Its name.
        id: &'a TaskId,
        /// Its kind.
        kind: Kind,
    },
    /// A task gave other bytes than it gave before from the same inputs: it does not repeat itself here.
    Differed {
        /// Its name.
        id: &'a TaskId,
        /// Its kind.
        kind: Kind,
        /// Digest of the earlier result.
        before: Digest,
        /// Digest of the result now.
        now: Digest,
    },
    /// Something is to be known that stops nothing.
    Warned {
        /// The task at which it was found.
        id: &'a TaskId,
        /// What, without a full stop.
        message: &'a str,
    },
    /// Nothing happened for a moment: a chance to redraw.
    Tick,
    /// The run is over.
    Ended {
        /// What came of it.
        summary: &'a Summary,
    },
}

/// What came of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Results that were in the cache.
    pub cached: usize,
    /// Results that were taken from elsewhere.
    pub fetched: usize,
    /// Tasks computed.
    pub computed: usize,
    /// Tasks that turned out to have nothing new to do.
    pub unchanged: usize,
    /// Tasks that failed.
    pub failed: usize,
    /// Tasks that needed a failed one.
    pub blocked: usize,
    /// Tasks that were not started because the run ended at a failure.
    pub left: usize,
    /// Results that turned out to be damaged.
    pub damaged: usize,
    /// Tasks that gave other bytes than before.
    pub differed: usize,
    /// Whether the run was cancelled.
    pub cancelled: bool,
    /// Seconds of wall time.
    pub seconds: f64,
}
