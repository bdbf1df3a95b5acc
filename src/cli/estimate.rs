//! How long tasks of a plan will take: from their last run, else from others of their kind. Nothing is invented: where
//! nothing is known, there is no number.
//!
//! The time of a whole plan is a simulated run (list scheduling: first ready task in plan order, as jobs and memory allow),
//! and its floor the longest chain of tasks that wait for each other.

use super::times::Times;
use crate::{executor::Limits, plan::Plan, task::Kind};
use petgraph::graph::NodeIndex;
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

/// Estimated seconds of each task of a plan, by place; absent where nothing is known.
#[derive(Clone, Debug)]
pub(super) struct Estimates {
    seconds: Vec<Option<f64>>,
}

/// Estimated time of the tasks that would run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Forecast {
    /// Seconds of wall time with the jobs and memory at hand.
    pub(super) wall_s: f64,
    /// Seconds of all tasks together.
    pub(super) work_s: f64,
    /// Seconds of the longest chain of tasks: no number of jobs makes it shorter.
    pub(super) chain_s: f64,
    /// Jobs that this is for.
    pub(super) jobs: usize,
    /// Tasks of which nothing is known; they count as nothing above.
    pub(super) unknown: usize,
    /// Their kinds.
    pub(super) unknown_kinds: BTreeSet<Kind>,
}

impl Estimates {
    /// Estimates for every task: `last` is how long the task of this name took when it last ran.
    pub(super) fn new(plan: &Plan, times: &Times, last: impl Fn(&str) -> Option<f64>) -> Self {
        let of = |place| {
            let node = plan.node(place);
            last(node.id.as_str()).or_else(|| times.guess(node.task.kind(), node.task.memory_bytes()))
        };
        Self { seconds: plan.places().map(of).collect() }
    }

    pub(super) fn of(&self, place: NodeIndex) -> Option<f64> {
        self.seconds[place.index()]
    }

    /// The time of those tasks that `runs`.
    pub(super) fn forecast(&self, plan: &Plan, runs: impl Fn(NodeIndex) -> bool, limits: Limits) -> Forecast {
        let mut forecast = Forecast { jobs: limits.tasks, ..Forecast::default() };
        // Inputs that run and are not done yet; `None` for tasks that do not run.
        let mut waits: Vec<Option<usize>> = vec![None; plan.len()];
        let mut chain = vec![0.0_f64; plan.len()];
        let mut ready = BTreeSet::new();
        for place in plan.places().filter(|place| runs(*place)) {
            let running: Vec<NodeIndex> =
                plan.inputs(place).into_iter().map(|(_, input)| input).filter(|input| runs(*input)).collect();
            let before = running.iter().map(|input| chain[input.index()]).fold(0.0, f64::max);
            let seconds = self.of(place).unwrap_or_else(|| {
                forecast.unknown += 1;
                forecast.unknown_kinds.insert(plan.node(place).task.kind());
                0.0
            });
            chain[place.index()] = before + seconds;
            forecast.work_s += seconds;
            forecast.chain_s = forecast.chain_s.max(chain[place.index()]);
            waits[place.index()] = Some(running.len());
            if running.is_empty() {
                ready.insert(place);
            }
        }
        forecast.wall_s = self.simulate(plan, waits, ready, limits);
        forecast
    }

    fn simulate(
        &self,
        plan: &Plan,
        mut waits: Vec<Option<usize>>,
        mut ready: BTreeSet<NodeIndex>,
        limits: Limits,
    ) -> f64 {
        let memory = |place: NodeIndex| plan.node(place).task.memory_bytes();
        // Ends in nanoseconds, which have a total order.
        let mut running: BinaryHeap<Reverse<(u64, NodeIndex)>> = BinaryHeap::new();
        let (mut now, mut in_use) = (0_u64, 0_u64);
        loop {
            while running.len() < limits.tasks.max(1) {
                let fits = |place: &&NodeIndex| {
                    running.is_empty() || in_use.saturating_add(memory(**place)) <= limits.memory_bytes
                };
                let Some(place) = ready.iter().take(LOOKED_AT).find(fits).copied() else { break };
                ready.remove(&place);
                in_use += memory(place);
                let seconds = self.of(place).unwrap_or_default();
                running.push(Reverse((now + (seconds * 1e9) as u64, place)));
            }
            let Some(Reverse((end, place))) = running.pop() else { return now as f64 / 1e9 };
            now = end;
            in_use -= memory(place);
            for user in plan.dependants(place) {
                if let Some(missing) = &mut waits[user.index()] {
                    *missing -= 1;
                    if *missing == 0 {
                        ready.insert(user);
                    }
                }
            }
        }
    }
}

/// Ready tasks that are looked at for one that fits into memory: a forecast need not find the very last.
const LOOKED_AT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Compute, TaskError, Workbench};

    #[derive(Debug, Serialize)]
    struct Sized(u64, usize);

    impl Compute for Sized {
        const KIND: Kind = Kind::Encode;

        fn memory_bytes(&self) -> u64 {
            self.0
        }

        fn compute(&self, _: &Workbench<'_>) -> Result<(), TaskError> {
            Ok(())
        }
    }

    /// Four tasks of 1 s, the last two after the first; then one after all.
    fn diamond() -> Plan {
        let mut plan = Plan::default();
        let first = plan.add("first", Sized(10, 0), &[], Vec::new());
        let other = plan.add("other", Sized(10, 1), &[], Vec::new());
        let left = plan.add("left", Sized(10, 2), &[("a", first)], Vec::new());
        let right = plan.add("right", Sized(10, 3), &[("a", first)], Vec::new());
        plan.add("end", Sized(10, 4), &[("a", left), ("a", right), ("a", other), ("b", other)], Vec::new());
        plan
    }

    fn forecast(jobs: usize, memory_bytes: u64) -> Forecast {
        let plan = diamond();
        let estimates = Estimates::new(&plan, &Times::default(), |_| Some(1.0));
        estimates.forecast(&plan, |_| true, Limits { tasks: jobs, memory_bytes })
    }

    #[test]
    fn jobs_and_memory_bound_a_simulated_run() {
        assert_eq!((forecast(1, 100).wall_s, forecast(1, 100).work_s, forecast(1, 100).chain_s), (5.0, 5.0, 3.0));
        assert_eq!(forecast(2, 100).wall_s, 3.0);
        assert_eq!(forecast(9, 100).wall_s, 3.0, "the chain is the floor");
        assert_eq!(forecast(9, 10).wall_s, 5.0, "memory for one at a time");
        assert_eq!(forecast(9, 0).wall_s, 5.0, "a task larger than the memory runs alone");
    }

    #[test]
    fn the_last_run_counts_first_then_the_kind_then_nothing() {
        let plan = diamond();
        let mut times = Times::default();
        let unknown = Estimates::new(&plan, &times, |_| None);
        let limits = Limits { tasks: 2, memory_bytes: 100 };
        let forecast = unknown.forecast(&plan, |_| true, limits);
        assert_eq!((forecast.unknown, forecast.wall_s), (5, 0.0));
        assert_eq!(forecast.unknown_kinds, BTreeSet::from([Kind::Encode]));
        times.note(Kind::Encode, 20, 8.0);
        let known = Estimates::new(&plan, &times, |id| (id == "end").then_some(7.0));
        let seconds: Vec<_> = plan.places().map(|place| known.of(place)).collect();
        assert_eq!(seconds, [Some(4.0), Some(4.0), Some(4.0), Some(4.0), Some(7.0)]);
        let end = plan.find("end").expect("there");
        assert_eq!(known.forecast(&plan, |place| place == end, limits).wall_s, 7.0, "only what runs counts");
    }
}
