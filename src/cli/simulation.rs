//! A run on paper: when tasks start and end if each takes as long as it is thought to and so many run at once.
//!
//! This is list scheduling: no worker idles while a task is ready that it may start. It knows lengths and what waits for what;
//! whence the lengths come is for `estimate.rs`, and which ready task is first for a [`Queue`].

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

/// Tasks by number, inputs before what uses them: how long each takes and who waits for it.
///
/// Times are whole microseconds, which have a total order and add up to the same sum in any order.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    lengths_us: Vec<u64>,
    n_inputs: Vec<u32>,
    /// Where the users of each task begin in `users`; one more at the end.
    first_user: Vec<usize>,
    users: Vec<u32>,
}

/// How a run on paper went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Course {
    pub(super) wall_us: u64,
    /// Most workers that had something to do at once.
    pub(super) busy: usize,
}

/// Tasks that could start, in the order in which they should.
pub(super) trait Queue {
    /// All inputs of this task are there.
    fn add(&mut self, task: u32, now_us: u64);
    /// The task that starts next, if one may.
    fn start(&mut self) -> Option<u32>;
    /// A task that was started has ended.
    fn end(&mut self, task: u32);
}

/// Microseconds of a number of seconds.
pub(super) fn microseconds(seconds: f64) -> u64 {
    // A cast from a float saturates: neither NaN nor what is negative takes any time.
    (seconds * 1e6).round() as u64
}

/// Seconds of a number of microseconds.
pub(super) fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

impl Work {
    /// Tasks of these lengths; `users_of` names those that wait for a task, once for each result that they take from it.
    ///
    /// # Panics
    /// If a task would wait for itself or for a later one.
    pub(super) fn new<I: IntoIterator<Item = u32>>(lengths_us: Vec<u64>, users_of: impl Fn(u32) -> I) -> Self {
        let mut work = Self { n_inputs: vec![0; lengths_us.len()], first_user: vec![0], lengths_us, users: Vec::new() };
        for task in work.tasks() {
            for user in users_of(task) {
                assert!(user > task, "inputs come before what uses them");
                work.n_inputs[user as usize] += 1;
                work.users.push(user);
            }
            work.first_user.push(work.users.len());
        }
        work
    }

    fn tasks(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.lengths_us.len()).expect("a plan counts its tasks in 32 bits")
    }

    fn users(&self, task: u32) -> &[u32] {
        &self.users[self.first_user[task as usize]..self.first_user[task as usize + 1]]
    }

    pub(super) fn length_us(&self, task: u32) -> u64 {
        self.lengths_us[task as usize]
    }

    /// Time of all tasks together.
    pub(super) fn total_us(&self) -> u64 {
        self.lengths_us.iter().fold(0, |sum: u64, length| sum.saturating_add(*length))
    }

    /// From the start of each task to the end of the last that waits for it, if nothing else kept any of them.
    pub(super) fn remaining_us(&self) -> Vec<u64> {
        let mut remaining = self.lengths_us.clone();
        for task in self.tasks().rev() {
            let after = self.users(task).iter().map(|user| remaining[*user as usize]).max().unwrap_or_default();
            remaining[task as usize] = remaining[task as usize].saturating_add(after);
        }
        remaining
    }

    /// The longest chain of tasks that wait for each other, first to last: no number of workers makes it shorter.
    pub(super) fn longest_chain(&self, remaining_us: &[u64]) -> Vec<u32> {
        let longest = |of: &mut dyn Iterator<Item = u32>| {
            // `max_by_key` gives the last of several, and the first in the plan is as good and easier to find.
            of.max_by_key(|task| (remaining_us[*task as usize], Reverse(*task)))
        };
        let mut chain: Vec<u32> = longest(&mut self.tasks()).into_iter().collect();
        while let Some(next) = chain.last().and_then(|last| longest(&mut self.users(*last).iter().copied())) {
            chain.push(next);
        }
        chain
    }

    /// Runs all tasks on so many workers, one task each.
    pub(super) fn run(&self, workers: usize, queue: &mut impl Queue) -> Course {
        let mut waits = self.n_inputs.clone();
        let mut running: BinaryHeap<Reverse<(u64, u32)>> = BinaryHeap::new();
        let (mut now_us, mut at_work, mut busy) = (0_u64, 0_usize, 0_usize);
        for task in self.tasks().filter(|task| waits[*task as usize] == 0) {
            queue.add(task, now_us);
        }
        loop {
            while running.len() < workers.max(1) {
                let Some(task) = queue.start() else { break };
                running.push(Reverse((now_us.saturating_add(self.length_us(task)), task)));
                // What takes no time keeps nobody busy.
                at_work += usize::from(self.length_us(task) > 0);
            }
            busy = busy.max(at_work);
            let Some(Reverse((end_us, _))) = running.peek() else { return Course { wall_us: now_us, busy } };
            now_us = *end_us;
            // All that end now, before anything starts: what one of them makes ready may come before what another did.
            while let Some(Reverse((end_us, task))) = running.peek().copied()
                && end_us == now_us
            {
                running.pop();
                at_work -= usize::from(self.length_us(task) > 0);
                queue.end(task);
                for user in self.users(task) {
                    waits[*user as usize] -= 1;
                    if waits[*user as usize] == 0 {
                        queue.add(*user, now_us);
                    }
                }
            }
        }
    }
}

/// First the task with the least of some number, of several the first in the plan.
#[derive(Clone, Debug, Default)]
pub(super) struct LeastFirst<'a> {
    remaining_us: Option<&'a [u64]>,
    ready: BinaryHeap<Reverse<(u64, u32)>>,
}

impl<'a> LeastFirst<'a> {
    /// As batch queues do: first who waited longest.
    pub(super) fn first_come() -> Self {
        Self::default()
    }

    /// First what the longest chain begins with, as of [`Work::remaining_us`].
    pub(super) fn longest_chain(remaining_us: &'a [u64]) -> Self {
        Self { remaining_us: Some(remaining_us), ready: BinaryHeap::new() }
    }
}

impl Queue for LeastFirst<'_> {
    fn add(&mut self, task: u32, now_us: u64) {
        let rank = self.remaining_us.map_or(now_us, |remaining_us| u64::MAX - remaining_us[task as usize]);
        self.ready.push(Reverse((rank, task)));
    }

    fn start(&mut self) -> Option<u32> {
        self.ready.pop().map(|Reverse((_, task))| task)
    }

    fn end(&mut self, _: u32) {}
}

/// As the local executor does: first the largest task that fits into the memory left, of several the first in the plan; what no
/// memory suffices for runs alone.
#[derive(Clone, Debug)]
pub(super) struct LargestFirst<'a> {
    memory_bytes: &'a [u64],
    free_bytes: u64,
    budget_bytes: u64,
    running: usize,
    ready: BTreeSet<(u64, Reverse<u32>)>,
}

impl<'a> LargestFirst<'a> {
    /// By the memory of each task, within a budget for all that run at once.
    pub(super) fn new(memory_bytes: &'a [u64], budget_bytes: u64) -> Self {
        Self { memory_bytes, free_bytes: budget_bytes, budget_bytes, running: 0, ready: BTreeSet::new() }
    }

    fn memory(&self, task: u32) -> u64 {
        self.memory_bytes[task as usize]
    }
}

impl Queue for LargestFirst<'_> {
    fn add(&mut self, task: u32, _: u64) {
        self.ready.insert((self.memory(task), Reverse(task)));
    }

    fn start(&mut self) -> Option<u32> {
        let fitting = self.ready.range(..=(self.free_bytes, Reverse(0))).next_back();
        let alone = || self.ready.first().filter(|_| self.running == 0);
        let first = *fitting.or_else(alone)?;
        self.ready.remove(&first);
        self.running += 1;
        self.free_bytes = self.free_bytes.saturating_sub(first.0);
        Some(first.1.0)
    }

    fn end(&mut self, task: u32) {
        self.running -= 1;
        // Whatever is too large ran alone, so that nothing of the budget is in use after it.
        self.free_bytes =
            if self.running == 0 { self.budget_bytes } else { self.free_bytes.saturating_add(self.memory(task)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Instant;

    const WORKERS: [usize; 7] = [1, 2, 3, 4, 7, 16, 1000];

    fn work(lengths_us: &[u64], edges: &[(u32, u32)]) -> Work {
        let users = |task| edges.iter().filter(move |(from, _)| *from == task).map(|(_, to)| *to);
        Work::new(lengths_us.to_vec(), users)
    }

    /// The course by each order.
    fn courses(work: &Work, workers: usize) -> [Course; 3] {
        let remaining_us = work.remaining_us();
        let memory_bytes: Vec<u64> = work.tasks().map(|task| u64::from(task % 5)).collect();
        [
            work.run(workers, &mut LeastFirst::first_come()),
            work.run(workers, &mut LeastFirst::longest_chain(&remaining_us)),
            work.run(workers, &mut LargestFirst::new(&memory_bytes, u64::MAX)),
        ]
    }

    #[test]
    fn tasks_that_wait_for_nothing_take_as_many_rounds_as_they_fill() {
        for n in [1_usize, 2, 5, 16, 100] {
            let tasks = work(&vec![3; n], &[]);
            for workers in WORKERS {
                let rounds = n.div_ceil(workers) as u64;
                for course in courses(&tasks, workers) {
                    assert_eq!(course, Course { wall_us: 3 * rounds, busy: n.min(workers) }, "{n} on {workers}");
                }
            }
        }
    }

    #[test]
    fn a_chain_is_as_long_on_any_number_of_workers() {
        let chain = work(&[2, 3, 5, 7], &[(0, 1), (1, 2), (2, 3)]);
        assert_eq!(chain.longest_chain(&chain.remaining_us()), [0, 1, 2, 3]);
        for workers in WORKERS {
            assert!(courses(&chain, workers).iter().all(|course| *course == Course { wall_us: 17, busy: 1 }));
        }
    }

    #[test]
    fn a_fork_that_joins_takes_its_ends_and_the_rounds_between() {
        let n = 10;
        let edges: Vec<(u32, u32)> = (1..=n).flat_map(|task| [(0, task), (task, n + 1)]).collect();
        let fork = work(&vec![4; n as usize + 2], &edges);
        assert_eq!(fork.longest_chain(&fork.remaining_us()), [0, 1, 11]);
        for workers in WORKERS {
            let wall_us = 4 * (2 + (n as usize).div_ceil(workers) as u64);
            for course in courses(&fork, workers) {
                assert_eq!(course, Course { wall_us, busy: workers.min(n as usize) }, "{workers}");
            }
        }
    }

    #[test]
    fn a_task_that_takes_two_results_of_another_waits_once() {
        let twice = work(&[1, 1], &[(0, 1), (0, 1)]);
        assert_eq!(twice.run(4, &mut LeastFirst::first_come()).wall_us, 2);
    }

    #[test]
    fn what_takes_no_time_keeps_nobody_busy() {
        let fork = work(&[0, 0, 0, 5], &[(0, 3)]);
        assert_eq!(fork.run(9, &mut LeastFirst::first_come()), Course { wall_us: 5, busy: 1 });
        assert_eq!(work(&[], &[]).run(9, &mut LeastFirst::first_come()), Course { wall_us: 0, busy: 0 });
        assert!(work(&[], &[]).longest_chain(&[]).is_empty());
    }

    #[test]
    fn the_longest_chain_first_saves_what_first_come_wastes() {
        // Two short ones stand before a long one in the plan.
        let tasks = work(&[2, 2, 4], &[]);
        assert_eq!(tasks.run(2, &mut LeastFirst::first_come()).wall_us, 6);
        assert_eq!(tasks.run(2, &mut LeastFirst::longest_chain(&tasks.remaining_us())).wall_us, 4);
    }

    #[test]
    fn who_waited_longest_comes_before_who_stands_earlier_in_the_plan() {
        let mut queue = LeastFirst::first_come();
        for (task, now_us) in [(3, 0), (2, 0), (1, 7), (0, 9)] {
            queue.add(task, now_us);
        }
        assert_eq!(std::iter::from_fn(|| queue.start()).collect::<Vec<_>>(), [2, 3, 1, 0]);
    }

    #[test]
    fn the_largest_that_fits_starts_first_and_what_never_fits_runs_alone() {
        let tasks = work(&[1, 1, 1, 1], &[]);
        let order = |memory_bytes: &[u64], budget_bytes| {
            let mut queue = LargestFirst::new(memory_bytes, budget_bytes);
            tasks.tasks().for_each(|task| queue.add(task, 0));
            std::iter::from_fn(|| queue.start()).collect::<Vec<_>>()
        };
        assert_eq!(order(&[1, 4, 2, 4], 100), [1, 3, 2, 0]);
        assert_eq!(order(&[1, 4, 2, 4], 5), [1, 0], "4, and 1 beside it");
        assert_eq!(order(&[9, 9, 8, 9], 5), [2], "the smallest, alone");
        assert_eq!(tasks.run(4, &mut LargestFirst::new(&[9, 9, 8, 9], 5)).wall_us, 4);
        assert_eq!(tasks.run(4, &mut LargestFirst::new(&[3, 2, 3, 2], 5)).wall_us, 2);
    }

    #[test]
    #[should_panic(expected = "inputs come before")]
    fn a_task_that_waits_for_itself_is_refused() {
        work(&[1], &[(0, 0)]);
    }

    /// Lengths, and for each task which of the earlier ones it waits for.
    fn any_work() -> impl Strategy<Value = Work> {
        prop::collection::vec((0..50_u64, prop::collection::vec(any::<u32>(), 0..4)), 1..60).prop_map(|tasks| {
            let mut edges = Vec::new();
            for (task, (_, inputs)) in tasks.iter().enumerate().skip(1) {
                edges.extend(inputs.iter().map(|input| (input % task as u32, task as u32)));
            }
            let lengths_us: Vec<u64> = tasks.iter().map(|(length_us, _)| *length_us).collect();
            work(&lengths_us, &edges)
        })
    }

    proptest! {
        /// Graham 1966: any list schedule ends before `work / N + chain (N - 1) / N`; nothing ends before the floors.
        #[test]
        fn a_run_lies_between_its_floors_and_grahams_bound(work in any_work(), workers in 1..40_usize) {
            let (total, remaining) = (work.total_us(), work.remaining_us());
            let chain = remaining.iter().copied().max().unwrap_or_default();
            let path = work.longest_chain(&remaining);
            prop_assert_eq!(path.iter().map(|task| work.length_us(*task)).sum::<u64>(), chain);
            prop_assert!(path.windows(2).all(|two| work.users(two[0]).contains(&two[1])));
            let n = workers as u64;
            for course in courses(&work, workers) {
                prop_assert!(course.wall_us >= chain.max(total.div_ceil(n)));
                prop_assert!(course.wall_us * n <= total + chain * (n - 1));
                prop_assert!(course.busy <= workers);
                if workers == 1 {
                    prop_assert_eq!(course.wall_us, total);
                }
            }
            // With a worker for each task nobody waits for one.
            for course in courses(&work, work.lengths_us.len()) {
                prop_assert_eq!(course.wall_us, chain);
            }
        }
    }

    #[test]
    fn a_hundred_thousand_tasks_on_a_thousand_workers_take_no_time_to_think_about() {
        // Subjects of 100 tasks: a trunk of all, then chains of three, then one that gathers them.
        let n_subjects = 1000;
        let of = |subject: u32, at: u32| 1 + subject * 100 + at;
        let users = |task: u32| -> Vec<u32> {
            let Some(task) = task.checked_sub(1) else {
                return (0..n_subjects).map(|subject| of(subject, 0)).collect();
            };
            match (task / 100, task % 100) {
                (subject, 0) => (1..34).map(|at| of(subject, at)).collect(),
                (subject, at @ 1..66) => vec![of(subject, at + 33)],
                (subject, 66..99) => vec![of(subject, 99)],
                _ => vec![],
            }
        };
        let lengths_us = (0..=n_subjects * 100).map(|task| 1_000_000 + u64::from(task * 7919 % 1013) * 1000).collect();
        let work = Work::new(lengths_us, users);
        let remaining = work.remaining_us();
        let started = Instant::now();
        let (queue, chain) = (
            work.run(1024, &mut LeastFirst::first_come()).wall_us,
            work.run(1024, &mut LeastFirst::longest_chain(&remaining)).wall_us,
        );
        assert!(chain >= work.total_us() / 1024 && queue >= work.total_us() / 1024);
        // Without optimisation and on a busy machine; looking at every ready task would take a thousand times as long.
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }
}
