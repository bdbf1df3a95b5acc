//! Which tasks may start, and what came of those that ended. Owns the states; starts nothing itself.

use super::{
    Event, Limits, Options, Outcome, RunError, Summary,
    compute::{Ended, Owner},
    order::Order,
    trust::Trust,
};
use crate::{
    plan::{Assessment, FoundBy, Plan, Standing},
    store::{Damage, Digest, Record, Store},
};
use petgraph::graph::NodeIndex;
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashSet},
};

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

/// A task of a run.
#[derive(Clone, Copy, Debug)]
struct Entry {
    state: State,
    /// By its own estimate, asked once: ten thousand tasks are compared often.
    memory_bytes: u64,
    /// How often this run had a result of it before.
    turn: usize,
    counts_as: Found,
}

/// What a task counts as that need not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Found {
    /// Nothing: it runs, or nobody needs it.
    #[default]
    Nowhere,
    /// Its result was in the cache.
    Here,
    /// Its result was fetched for this run.
    Elsewhere,
}

/// A task that was handed out.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) place: NodeIndex,
    pub(super) order: Order,
    /// The place of each input, and how often this run had a result of it before.
    turns: Vec<(NodeIndex, usize)>,
}

impl Given {
    /// The task whose result something was said of.
    pub(super) fn owner(&self, owner: Owner) -> NodeIndex {
        match owner {
            Owner::Itself => self.place,
            Owner::Input(number) => self.turns[number].0,
        }
    }
}

/// Times that one task's result is made anew in a run before that stops making sense.
const TURNS: usize = 3;

/// The tasks of a run.
pub(super) struct Schedule<'a> {
    plan: &'a Plan,
    trust: &'a Trust<'a>,
    entries: Vec<Entry>,
    /// By memory, then the other way round in the plan: the last that fits is the largest, and the first of its like.
    ready: BTreeSet<(u64, Reverse<NodeIndex>)>,
    pub(super) running: usize,
    memory_in_use_bytes: u64,
    /// Whether a failure ended the run: nothing starts any more.
    stopped: bool,
    fail_fast: bool,
    pub(super) summary: Summary,
}

impl<'a> Schedule<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        assessment: &Assessment,
        store: &Store,
        trust: &'a Trust<'a>,
        options: &Options,
    ) -> Self {
        let fetched: HashSet<NodeIndex> = options.fetched.iter().copied().collect();
        let mut schedule = Self {
            plan,
            trust,
            entries: Vec::with_capacity(plan.len()),
            ready: BTreeSet::new(),
            running: 0,
            memory_in_use_bytes: 0,
            stopped: false,
            fail_fast: options.fail_fast,
            summary: Summary::default(),
        };
        for place in plan.places() {
            let memory_bytes = plan.node(place).task.memory_bytes();
            schedule.entries.push(Entry { state: State::Skipped, memory_bytes, turn: 0, counts_as: Found::Nowhere });
            match assessment.standing(place) {
                Standing::Cached { output, by } => {
                    let found = if fetched.contains(&place) { Found::Elsewhere } else { Found::Here };
                    schedule.entries[place.index()].counts_as = found;
                    *schedule.counter(found).expect("it was found") += 1;
                    schedule.set(place, State::Done(*output));
                    if *by == FoundBy::Content {
                        schedule.keep(place, store);
                    }
                }
                Standing::Unneeded => {}
                Standing::Runs(_) => schedule.wait(place),
            }
        }
        schedule
    }

    /// A result found by its content is noted under today's recipe too, so that the next plan finds it at once.
    fn keep(&self, place: NodeIndex, store: &Store) {
        let content = self.plan.content_key(place, |input| self.output(input));
        if let Some(record) = store.lookup(&content) {
            let record = record.under(self.plan.node(place).recipe, self.plan.manifest(place).to_json());
            // Without the note the next plan looks for the content again; a read-only cache is none the worse for it.
            let _ = store.remember(&record);
        }
    }

    /// The largest ready task that fits, the first in the plan of its like, now counted as running.
    ///
    /// What no memory suffices for runs alone.
    pub(super) fn admit(&mut self, limits: Limits) -> Option<NodeIndex> {
        if self.stopped || (self.running > 0 && self.running >= limits.tasks) {
            return None;
        }
        let free_bytes = limits.memory_bytes.saturating_sub(self.memory_in_use_bytes);
        let fitting = self.ready.range(..=(free_bytes, Reverse(NodeIndex::new(0)))).next_back();
        let alone = || self.ready.first().filter(|_| self.running == 0);
        let (_, Reverse(place)) = *fitting.or_else(alone)?;
        self.set(place, State::Running);
        Some(place)
    }

    /// A task that may start.
    pub(super) fn order(&self, place: NodeIndex) -> Given {
        let turn = |(_, place): (_, NodeIndex)| (place, self.entries[place.index()].turn);
        let turns = self.plan.inputs(place).into_iter().map(turn).collect();
        Given { place, order: Order::of(self.plan, place, |input| self.output(input)), turns }
    }

    /// The result of a task, if it has one.
    pub(super) fn done(&self, place: NodeIndex) -> Option<Digest> {
        match self.state(place) {
            State::Done(output) => Some(output),
            _ => None,
        }
    }

    /// Takes note of how a running task ended.
    pub(super) fn settle(&mut self, given: &Given, ended: Ended, tell: &mut dyn FnMut(Event<'_>)) {
        let place = given.place;
        match ended {
            Ended::Done { record, outcome, before } => self.finish(place, &record, outcome, before, tell),
            Ended::Cancelled => self.set(place, State::Lost),
            Ended::Failed(error) => self.fail(place, &error, tell),
            Ended::Wants(inputs) => {
                for (input, turn) in inputs.into_iter().map(|number| given.turns[number]) {
                    let entry = self.entries[input.index()];
                    // Another task may have asked for it before, and it may even be there again.
                    if entry.turn == turn && matches!(entry.state, State::Done(_)) {
                        self.revive(input, tell);
                    }
                }
                self.wait_or_block(place, tell);
            }
        }
    }

    /// Takes a task back that was handed out and never begun: it counts among those that were left.
    pub(super) fn take_back(&mut self, given: &Given) {
        self.set(given.place, State::Ready);
    }

    /// Tells of a damage.
    pub(super) fn note_damage(&mut self, place: NodeIndex, damage: &Damage, tell: &mut dyn FnMut(Event<'_>)) {
        self.summary.damaged += 1;
        let node = self.plan.node(place);
        tell(Event::Damaged { id: &node.id, kind: node.task.kind(), damage });
    }

    /// Makes a task run that has no whole result, and whatever it needs for that.
    pub(super) fn revive(&mut self, place: NodeIndex, tell: &mut dyn FnMut(Event<'_>)) {
        let node = self.plan.node(place);
        let entry = &mut self.entries[place.index()];
        if matches!(entry.state, State::Done(_)) {
            entry.turn += 1;
            let (turn, found) = (entry.turn, std::mem::take(&mut entry.counts_as));
            if let Some(count) = self.counter(found) {
                *count -= 1;
            }
            if turn > TURNS {
                return self.fail(place, &RunError::Decays(TURNS), tell);
            }
        }
        tell(Event::Revived { id: &node.id, kind: node.task.kind() });
        for (_, input) in self.plan.inputs(place) {
            if self.state(input) == State::Skipped {
                self.revive(input, tell);
            }
        }
        for user in self.plan.dependants(place) {
            match self.state(user) {
                State::Ready => self.set(user, State::Waiting(1)),
                State::Waiting(missing) => self.set(user, State::Waiting(missing + 1)),
                // One that runs has its inputs looked at itself.
                State::Running | State::Done(_) | State::Skipped | State::Lost => {}
            }
        }
        self.wait_or_block(place, tell);
    }

    /// What counts tasks that were found so.
    fn counter(&mut self, found: Found) -> Option<&mut usize> {
        match found {
            Found::Nowhere => None,
            Found::Here => Some(&mut self.summary.cached),
            Found::Elsewhere => Some(&mut self.summary.fetched),
        }
    }

    /// Whether a failure ended the run.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// How many tasks could have been started and were not.
    pub(super) fn left(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry.state, State::Ready | State::Waiting(_))).count()
    }

    fn finish(
        &mut self,
        place: NodeIndex,
        record: &Record,
        outcome: Outcome,
        before: Option<Digest>,
        tell: &mut dyn FnMut(Event<'_>),
    ) {
        let node = self.plan.node(place);
        let (id, kind) = (&node.id, node.task.kind());
        self.set(place, State::Done(record.output));
        match outcome {
            Outcome::Computed => self.summary.computed += 1,
            Outcome::Fetched => self.summary.fetched += 1,
            Outcome::Unchanged => {
                self.summary.unchanged += 1;
                // It may be a result that was set aside before and that another run has made anew.
                self.trust.forget(&record.output);
            }
        }
        if let Some(before) = before {
            self.summary.differed += 1;
            tell(Event::Differed { id, kind, before, now: record.output });
        }
        tell(Event::Finished { id, kind, outcome, seconds: record.run.seconds, size_bytes: record.size_bytes() });
        for user in self.plan.dependants(place) {
            if let State::Waiting(missing) = self.state(user) {
                self.set(user, if missing == 1 { State::Ready } else { State::Waiting(missing - 1) });
            }
        }
    }

    fn fail(&mut self, place: NodeIndex, error: &RunError, tell: &mut dyn FnMut(Event<'_>)) {
        let node = self.plan.node(place);
        self.set(place, State::Lost);
        self.summary.failed += 1;
        self.stopped |= self.fail_fast || error.stops_all();
        tell(Event::Failed { id: &node.id, kind: node.task.kind(), error });
        self.block(place, tell);
    }

    /// Marks everything that needs `failed`, directly or not, as lost.
    fn block(&mut self, failed: NodeIndex, tell: &mut dyn FnMut(Event<'_>)) {
        let mut front = vec![failed];
        while let Some(place) = front.pop() {
            for user in self.plan.dependants(place) {
                if matches!(self.state(user), State::Waiting(_) | State::Ready) {
                    self.set(user, State::Lost);
                    self.summary.blocked += 1;
                    tell(Event::Blocked { id: &self.plan.node(user).id, by: &self.plan.node(failed).id });
                    front.push(user);
                }
            }
        }
    }

    /// Lets a task wait for its inputs, unless one of them cannot come any more.
    fn wait_or_block(&mut self, place: NodeIndex, tell: &mut dyn FnMut(Event<'_>)) {
        let inputs = self.plan.inputs(place);
        match inputs.into_iter().find(|(_, input)| self.state(*input) == State::Lost) {
            None => self.wait(place),
            Some((_, lost)) => {
                self.set(place, State::Lost);
                self.summary.blocked += 1;
                tell(Event::Blocked { id: &self.plan.node(place).id, by: &self.plan.node(lost).id });
                self.block(place, tell);
            }
        }
    }

    fn wait(&mut self, place: NodeIndex) {
        let missing = self.plan.inputs(place).iter().filter(|(_, input)| self.done(*input).is_none()).count();
        self.set(place, if missing == 0 { State::Ready } else { State::Waiting(missing) });
    }

    fn state(&self, place: NodeIndex) -> State {
        self.entries[place.index()].state
    }

    /// Changes a state, and with it what is ready and what is in use.
    fn set(&mut self, place: NodeIndex, state: State) {
        let entry = &mut self.entries[place.index()];
        let before = std::mem::replace(&mut entry.state, state);
        let (memory_bytes, queued) = (entry.memory_bytes, (entry.memory_bytes, Reverse(place)));
        match before {
            State::Ready => drop(self.ready.remove(&queued)),
            State::Running => {
                self.running -= 1;
                self.memory_in_use_bytes -= memory_bytes;
            }
            _ => {}
        }
        match state {
            State::Ready => drop(self.ready.insert(queued)),
            State::Running => {
                self.running += 1;
                self.memory_in_use_bytes += memory_bytes;
            }
            _ => {}
        }
    }

    /// The output digest of a task that is done.
    fn output(&self, place: NodeIndex) -> Digest {
        self.done(place).expect("a task starts when its inputs are done")
    }
}
