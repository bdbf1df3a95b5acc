//! Plan x store -> events: runs what has to run, as much at once as cores and memory allow.
//!
//! The scheduler is one loop on one thread; each task gets a thread of its own. It knows tasks only as [`Task`](crate::task::Task), results only
//! as digests, and tells what happens as [`Event`]s: progress bars, logs and tests are subscribers.
//!
//! A failed task blocks what depends on it, everything else goes on. Cancelling lets no new task start and asks running
//! ones to stop; what is published stays published, so the next run goes on from there.

mod event;

pub use event::{Event, Outcome, Summary};

use crate::{
    plan::{Assessment, FoundBy, Plan, Standing},
    store::{Digest, Record, RunFacts, Store, StoreError},
    task::{Progress, TaskError, Workbench},
};
use petgraph::graph::NodeIndex;
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// What the executor may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Tasks at once.
    pub tasks: usize,
    /// Memory for the tasks that run together, by their own estimates. A task that alone needs more runs alone.
    pub memory_bytes: u64,
}

/// Why a task has no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The task refused its input or could not write.
    #[error(transparent)]
    Task(#[from] Box<TaskError>),
    /// The cache could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program is wrong: a task panicked.
    #[error("the task panicked: {0}; this is a fault of hebb, please report it")]
    Panic(String),
}

/// Where a task is in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// This many of its inputs are not there yet.
    Waiting(usize),
    /// All inputs are there; it starts when cores and memory allow.
    Ready,
    /// Running on a thread of its own.
    Running,
    /// Its result is in the store.
    Done(Digest),
    /// Nothing that runs needs it.
    Skipped,
    /// It failed or was cancelled, or something it needs did.
    Lost,
}

enum Message {
    Progress(NodeIndex, Progress),
    Ended(NodeIndex, Box<Result<(Record, Outcome), RunError>>),
}

/// Runs every task that `assessment` says has to run; every happening goes to `tell`, on the calling thread.
///
/// # Errors
/// Only if the store itself fails; failing tasks are events, counted in the summary.
pub fn run(
    plan: &Plan,
    assessment: &Assessment,
    store: &Store,
    limits: Limits,
    cancelled: &AtomicBool,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<Summary, StoreError> {
    let started = Instant::now();
    let mut schedule = Schedule::new(plan, assessment, store)?;
    tell(Event::Begun { total: plan.len(), cached: schedule.summary.cached });

    let (sender, receiver) = mpsc::channel::<Message>();
    std::thread::scope(|scope| {
        loop {
            while !cancelled.load(Ordering::Relaxed)
                && let Some(place) = schedule.admit(limits)
            {
                let node = plan.node(place);
                tell(Event::Started { id: &node.id, kind: node.task.kind() });
                let content = plan.content_key(place, |input| schedule.output(input));
                let inputs: Vec<_> = plan
                    .inputs(place)
                    .into_iter()
                    .map(|(role, input)| (role, store.artifact(&schedule.output(input))))
                    .collect();
                let sender = sender.clone();
                scope.spawn(move || {
                    // The receiver outlives every task, so nothing that is sent is lost.
                    let report = |progress| drop(sender.send(Message::Progress(place, progress)));
                    let ended = compute(plan, place, content, inputs, store, cancelled, &report);
                    drop(sender.send(Message::Ended(place, Box::new(ended))));
                });
            }
            if schedule.running == 0 {
                break;
            }
            match receiver.recv_timeout(Duration::from_millis(200)) {
                Ok(Message::Progress(place, progress)) => {
                    let node = plan.node(place);
                    tell(Event::Progress { id: &node.id, kind: node.task.kind(), progress });
                }
                Ok(Message::Ended(place, ended)) => schedule.settle(place, *ended, tell),
                Err(mpsc::RecvTimeoutError::Timeout) => tell(Event::Tick),
                Err(mpsc::RecvTimeoutError::Disconnected) => unreachable!("this thread holds a sender"),
            }
        }
    });
    let summary = Summary {
        cancelled: cancelled.load(Ordering::Relaxed),
        seconds: started.elapsed().as_secs_f64(),
        ..schedule.summary
    };
    tell(Event::Ended { summary: &summary });
    Ok(summary)
}

/// Which tasks may start, and what came of those that ended.
struct Schedule<'a> {
    plan: &'a Plan,
    states: Vec<State>,
    ready: BTreeSet<NodeIndex>,
    running: usize,
    memory_in_use_bytes: u64,
    summary: Summary,
}

impl<'a> Schedule<'a> {
    fn new(plan: &'a Plan, assessment: &Assessment, store: &Store) -> Result<Self, StoreError> {
        let mut schedule = Self {
            plan,
            states: Vec::with_capacity(plan.len()),
            ready: BTreeSet::new(),
            running: 0,
            memory_in_use_bytes: 0,
            summary: Summary::default(),
        };
        for place in plan.places() {
            let state = match assessment.standing(place) {
                Standing::Cached { output, by } => {
                    if *by == FoundBy::Content {
                        schedule.keep(place, store)?;
                    }
                    schedule.summary.cached += 1;
                    State::Done(*output)
                }
                Standing::Unneeded => State::Skipped,
                Standing::Runs(_) => {
                    let missing = plan
                        .inputs(place)
                        .iter()
                        .filter(|(_, input)| !matches!(schedule.states[input.index()], State::Done(_)))
                        .count();
                    if missing == 0 {
                        schedule.ready.insert(place);
                        State::Ready
                    } else {
                        State::Waiting(missing)
                    }
                }
            };
            schedule.states.push(state);
        }
        Ok(schedule)
    }

    /// A result found by its content is noted under today's recipe too, so that the next plan finds it at once.
    fn keep(&self, place: NodeIndex, store: &Store) -> Result<(), StoreError> {
        let content = self.plan.content_key(place, |input| self.output(input));
        match store.lookup(&content) {
            Some(record) => {
                store.remember(&record.under(self.plan.node(place).recipe, self.plan.manifest(place).to_json()))
            }
            None => Ok(()),
        }
    }

    /// The first ready task in plan order that fits, now counted as running.
    fn admit(&mut self, limits: Limits) -> Option<NodeIndex> {
        let fits = |place: &&NodeIndex| {
            let memory = self.plan.node(**place).task.memory_bytes();
            self.running == 0
                || (self.running < limits.tasks && self.memory_in_use_bytes + memory <= limits.memory_bytes)
        };
        let place = *self.ready.iter().find(fits)?;
        self.ready.remove(&place);
        self.states[place.index()] = State::Running;
        self.running += 1;
        self.memory_in_use_bytes += self.plan.node(place).task.memory_bytes();
        Some(place)
    }

    /// The output digest of a task that is done.
    fn output(&self, place: NodeIndex) -> Digest {
        match self.states[place.index()] {
            State::Done(output) => output,
            state => unreachable!("a task starts when its inputs are done, this one is {state:?}"),
        }
    }

    /// Takes note of how a running task ended.
    fn settle(
        &mut self,
        place: NodeIndex,
        ended: Result<(Record, Outcome), RunError>,
        tell: &mut dyn FnMut(Event<'_>),
    ) {
        let node = self.plan.node(place);
        let (id, kind) = (&node.id, node.task.kind());
        self.running -= 1;
        self.memory_in_use_bytes -= node.task.memory_bytes();
        match ended {
            Ok((record, outcome)) => {
                self.states[place.index()] = State::Done(record.output);
                match outcome {
                    Outcome::Computed => self.summary.computed += 1,
                    Outcome::Unchanged => self.summary.unchanged += 1,
                }
                tell(Event::Finished {
                    id,
                    kind,
                    outcome,
                    seconds: record.run.seconds,
                    size_bytes: record.size_bytes(),
                });
                for user in self.plan.dependants(place) {
                    if let State::Waiting(missing) = &mut self.states[user.index()] {
                        *missing -= 1;
                        if *missing == 0 {
                            self.states[user.index()] = State::Ready;
                            self.ready.insert(user);
                        }
                    }
                }
            }
            Err(RunError::Task(error)) if matches!(*error, TaskError::Cancelled) => {
                self.states[place.index()] = State::Lost;
            }
            Err(error) => {
                self.states[place.index()] = State::Lost;
                self.summary.failed += 1;
                tell(Event::Failed { id, kind, error: &error });
                self.block(place, tell);
            }
        }
    }

    /// Marks everything that needs `failed`, directly or not, as lost.
    fn block(&mut self, failed: NodeIndex, tell: &mut dyn FnMut(Event<'_>)) {
        let mut front = vec![failed];
        while let Some(place) = front.pop() {
            for user in self.plan.dependants(place) {
                if matches!(self.states[user.index()], State::Waiting(_)) {
                    self.states[user.index()] = State::Lost;
                    self.summary.blocked += 1;
                    tell(Event::Blocked { id: &self.plan.node(user).id, by: &self.plan.node(failed).id });
                    front.push(user);
                }
            }
        }
    }
}

/// Computes one task on the calling thread, unless its content was computed before or elsewhere meanwhile.
fn compute(
    plan: &Plan,
    place: NodeIndex,
    content: Digest,
    inputs: Vec<(crate::plan::Role, std::path::PathBuf)>,
    store: &Store,
    cancelled: &AtomicBool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(Record, Outcome), RunError> {
    let node = plan.node(place);
    let claim = store.claim(&content)?;
    let manifest = plan.manifest(place).to_json();
    if let Some(record) = store.lookup(&content) {
        let record = record.under(node.recipe, manifest);
        store.remember(&record)?;
        return Ok((record, Outcome::Unchanged));
    }
    let started = Instant::now();
    let bench = Workbench::new(
        by_role(inputs),
        by_role(node.files.iter().map(|file| (file.role, file.path.clone()))),
        claim.folder()?,
        progress,
        cancelled,
    );
    catch_unwind(AssertUnwindSafe(|| {
        node.task.compute(&bench)?;
        bench.finish()
    }))
    .map_err(|payload| RunError::Panic(panic_text(payload.as_ref())))?
    .map_err(Box::new)?;
    let run = RunFacts {
        seconds: started.elapsed().as_secs_f64(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        finished_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs()),
    };
    Ok((claim.publish(node.recipe, manifest, run)?, Outcome::Computed))
}

fn by_role<T>(entries: impl IntoIterator<Item = (crate::plan::Role, T)>) -> BTreeMap<crate::plan::Role, Vec<T>> {
    let mut grouped: BTreeMap<_, Vec<T>> = BTreeMap::new();
    for (role, entry) in entries {
        grouped.entry(role).or_default().push(entry);
    }
    grouped
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "no message".to_owned())
}
