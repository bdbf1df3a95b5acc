//! Plan x store -> events: runs what has to run, as much at once as cores and memory allow.
//!
//! The loop here is one on one thread: `schedule.rs` says what may start, `compute.rs` runs a task on a thread of its own,
//! `trust.rs` knows which bytes were looked at, `error.rs` which errors pass, `upstream.rs` what someone
//! who has results has to offer. `order.rs` is a task apart from any plan, as `slurm/` hands it to jobs on a cluster, whose loop
//! is another. Tasks are known only as
//! [`Task`](crate::task::Task), results only as digests; what happens is told as [`Event`]s: progress bars, logs and tests
//! are subscribers.
//!
//! A failed task blocks what depends on it, everything else goes on. A result from the cache is read to its last byte before
//! the first task computes with it; one that is damaged is set aside and made anew while everything else goes on. Cancelling
//! lets no new task start and asks running ones to stop; what is published stays published, so the next run goes on from
//! there.

mod compute;
mod error;
mod event;
mod order;
mod schedule;
pub mod slurm;
mod trust;
mod upstream;

pub use error::RunError;
pub use event::{Event, Outcome, Summary};
pub use order::{Input, Order, OrderError};
pub use upstream::{Brought, Upstream};

use crate::{
    plan::{Assessment, Plan, Standing},
    store::{Store, StoreError},
};
use compute::{Ended, Job, News};
use petgraph::graph::NodeIndex;
use schedule::{Given, Schedule};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};
use trust::{Found, Trust};

/// What the executor may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Tasks at once.
    pub tasks: usize,
    /// Memory for the tasks that run together, by their own estimates. A task that alone needs more runs alone.
    pub memory_bytes: u64,
}

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What may be used.
    pub limits: Limits,
    /// Whether the first failure ends the run: no task starts after it, running ones end.
    pub fail_fast: bool,
    /// Tasks whose results are read after the run: they are looked at as inputs are.
    pub shown: Vec<NodeIndex>,
    /// Pauses between the attempts at a task that meets an error which may pass.
    pub pauses: Vec<Duration>,
    /// Who may have results that are not here.
    pub upstream: Option<Arc<dyn Upstream>>,
    /// Results in the cache that were fetched for this run: they are told and counted as such.
    pub fetched: Vec<NodeIndex>,
}

/// Two more attempts: a network file system that was away for a moment is back, and a broken disk stays broken.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(3)];

impl From<Limits> for Options {
    fn from(limits: Limits) -> Self {
        let (shown, fetched, pauses) = (Vec::new(), Vec::new(), PAUSES.to_vec());
        Self { limits, fail_fast: false, shown, pauses, upstream: None, fetched }
    }
}

enum Message {
    News(Arc<Given>, News),
    Ended(Arc<Given>, Box<Ended>),
}

/// Runs every task that `assessment` says has to run; every happening goes to `tell`, on the calling thread.
///
/// # Errors
/// Only if the store itself fails: tasks have to run and nothing can be written, or a damaged result can be neither looked
/// at nor moved. Failing tasks are events, counted in the summary.
pub fn run(
    plan: &Plan,
    assessment: &Assessment,
    store: &Store,
    options: impl Into<Options>,
    cancelled: &AtomicBool,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<Summary, StoreError> {
    let options = options.into();
    let started = Instant::now();
    if plan.places().any(|place| matches!(assessment.standing(place), Standing::Runs(_))) {
        store.assert_writable()?;
    }
    let trust = Trust::new(store);
    let mut schedule = Schedule::new(plan, assessment, store, &trust, &options);
    begin(plan, store, &options, schedule.summary.cached, tell);

    let (sender, receiver) = mpsc::channel::<Message>();
    std::thread::scope(|scope| {
        loop {
            while !cancelled.load(Ordering::Relaxed)
                && let Some(place) = schedule.admit(options.limits)
            {
                let node = plan.node(place);
                tell(Event::Started { id: &node.id, kind: node.task.kind() });
                let (sender, given) = (sender.clone(), Arc::new(schedule.order(place)));
                let (trust, pauses, upstream) = (&trust, options.pauses.as_slice(), options.upstream.as_deref());
                scope.spawn(move || {
                    let job = Job { order: &given.order, store, trust, cancelled, pauses, upstream };
                    // The receiver outlives every task, so nothing that is sent is lost.
                    let ended = job.run(&|news| drop(sender.send(Message::News(Arc::clone(&given), news))));
                    drop(sender.send(Message::Ended(given, Box::new(ended))));
                });
            }
            if schedule.running == 0 {
                if !cancelled.load(Ordering::Relaxed)
                    && look_at_shown(&options.shown, &mut schedule, &trust, plan, tell)?
                {
                    continue;
                }
                return Ok(());
            }
            match receiver.recv_timeout(Duration::from_millis(200)) {
                Ok(Message::News(given, news)) => hear(&given, news, &mut schedule, plan, tell),
                Ok(Message::Ended(given, ended)) => schedule.settle(&given, *ended, tell),
                Err(mpsc::RecvTimeoutError::Timeout) => tell(Event::Tick),
                Err(mpsc::RecvTimeoutError::Disconnected) => unreachable!("this thread holds a sender"),
            }
        }
    })?;
    let summary = Summary {
        cancelled: cancelled.load(Ordering::Relaxed),
        seconds: started.elapsed().as_secs_f64(),
        left: schedule.left(),
        ..schedule.summary
    };
    tell(Event::Ended { summary: &summary });
    Ok(summary)
}

/// Tells that the run begins, and what was fetched for it.
fn begin(plan: &Plan, store: &Store, options: &Options, cached: usize, tell: &mut dyn FnMut(Event<'_>)) {
    tell(Event::Begun { total: plan.len(), cached });
    for place in &options.fetched {
        let node = plan.node(*place);
        let Some(record) = store.remembered(&node.recipe) else { continue };
        let (seconds, size_bytes) = (record.run.seconds, record.size_bytes());
        tell(Event::Finished { id: &node.id, kind: node.task.kind(), outcome: Outcome::Fetched, seconds, size_bytes });
    }
}

/// Passes on what a running task says.
fn hear(given: &Given, news: News, schedule: &mut Schedule<'_>, plan: &Plan, tell: &mut dyn FnMut(Event<'_>)) {
    let node = plan.node(given.place);
    let (id, kind) = (&node.id, node.task.kind());
    match news {
        News::Progress(progress) => tell(Event::Progress { id, kind, progress }),
        News::Retried { attempt, pause, error } => {
            tell(Event::Retried { id, kind, attempt, pause, error: &error });
        }
        News::Warned(message) => tell(Event::Warned { id, message: &message }),
        News::Damaged { owner, damage } => schedule.note_damage(given.owner(owner), &damage, tell),
    }
}

/// Whether a result that is about to be shown has to be made anew.
fn look_at_shown(
    shown: &[NodeIndex],
    schedule: &mut Schedule<'_>,
    trust: &Trust<'_>,
    plan: &Plan,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<bool, StoreError> {
    let mut revived = false;
    for place in shown {
        let Some(output) = schedule.done(*place) else { continue };
        match trust.look(&output, &plan.node(*place).recipe, None)? {
            Found::Whole(_) => continue,
            Found::Damaged(damage) => schedule.note_damage(*place, &damage, tell),
            Found::Known => {}
        }
        schedule.revive(*place, tell);
        revived = true;
    }
    Ok(revived)
}
