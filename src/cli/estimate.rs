//! How long tasks of a plan will take: from their last run, else from others of their kind. Nothing is invented: where
//! nothing is known, there is no number.
//!
//! The time of a whole plan is that of a run on paper (`simulation.rs`) in the order of the local executor, within the jobs and
//! the memory at hand; its floor is the longest chain of tasks that wait for each other. Next: `cluster.rs`, for many machines.

use super::{
    simulation::{LargestFirst, Work, microseconds, seconds},
    times::{Extent, Times},
};
use crate::{executor::Limits, plan::Plan, task::Kind};
use petgraph::graph::NodeIndex;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

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
        let of = |place| last(plan.node(place).id.as_str()).or_else(|| times.guess(Extent::of(plan, place)));
        Self { seconds: plan.places().map(of).collect() }
    }

    pub(super) fn of(&self, place: NodeIndex) -> Option<f64> {
        self.seconds[place.index()]
    }

    /// Those tasks that `runs`, laid out for a run on paper; `start_s` goes before each.
    pub(super) fn laid_out(&self, plan: &Plan, runs: impl Fn(NodeIndex) -> bool, start_s: f64) -> LaidOut {
        let places: Vec<NodeIndex> = plan.places().filter(|place| runs(*place)).collect();
        let mut numbers: Vec<Option<u32>> = vec![None; plan.len()];
        for (number, place) in (0..).zip(&places) {
            numbers[place.index()] = Some(number);
        }
        let mut unknown = BTreeMap::new();
        let length_us = |place: &NodeIndex| {
            let known = self.of(*place);
            if known.is_none() {
                *unknown.entry(plan.node(*place).task.kind()).or_default() += 1;
            }
            microseconds(known.unwrap_or_default()).saturating_add(microseconds(start_s))
        };
        let lengths_us = places.iter().map(length_us).collect();
        let users = |task: u32| plan.dependants(places[task as usize]).filter_map(|user| numbers[user.index()]);
        LaidOut { work: Work::new(lengths_us, users), places, unknown }
    }

    /// The time of those tasks that `runs`.
    pub(super) fn forecast(&self, plan: &Plan, runs: impl Fn(NodeIndex) -> bool, limits: Limits) -> Forecast {
        let LaidOut { work, places, unknown } = self.laid_out(plan, runs, 0.0);
        let memory_bytes: Vec<u64> = places.iter().map(|place| plan.node(*place).task.memory_bytes()).collect();
        let course = work.run(limits.tasks, &mut LargestFirst::new(&memory_bytes, limits.memory_bytes));
        Forecast {
            wall_s: seconds(course.wall_us),
            work_s: seconds(work.total_us()),
            chain_s: seconds(work.remaining_us().into_iter().max().unwrap_or_default()),
            jobs: limits.tasks,
            unknown: unknown.values().sum(),
            unknown_kinds: unknown.into_keys().collect(),
        }
    }
}

/// Tasks of a plan that run on paper.
#[derive(Clone, Debug)]
pub(super) struct LaidOut {
    pub(super) work: Work,
    /// Where each is in the plan.
    pub(super) places: Vec<NodeIndex>,
    /// How many of each kind nothing is known of; they count as nothing.
    pub(super) unknown: BTreeMap<Kind, usize>,
}

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
        times.note(Extent { kind: Kind::Encode, memory_bytes: 20, n_inputs: 0 }, 8.0);
        let known = Estimates::new(&plan, &times, |id| (id == "end").then_some(7.0));
        let seconds: Vec<_> = plan.places().map(|place| known.of(place)).collect();
        assert_eq!(seconds, [Some(4.0), Some(4.0), Some(4.0), Some(4.0), Some(7.0)]);
        let end = plan.find("end").expect("there");
        assert_eq!(known.forecast(&plan, |place| place == end, limits).wall_s, 7.0, "only what runs counts");
    }
}
