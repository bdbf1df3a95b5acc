//! How far a run is: lines of events -> counts by kind, what runs now, what failed, the time left.
//!
//! Knows neither terminal nor file. `hebb run` draws one of its own events, `hebb status` one of another process's log, and
//! both draw it as `frame.rs` says.

use super::events::{Begun, Happening, Line, Moment, Sums};
use crate::{executor::Outcome, task::Kind};
use std::collections::BTreeMap;

/// The state of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    pub(super) begun: Option<(Moment, Begun)>,
    pub(super) rows: BTreeMap<Kind, Row>,
    pub(super) running: BTreeMap<String, Running>,
    pub(super) failures: Vec<Failure>,
    pub(super) n_blocked: usize,
    pub(super) ended: Option<(Moment, Sums)>,
    pub(super) last: Option<Moment>,
}

/// One kind of task in a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    pub(super) total: usize,
    pub(super) cached: usize,
    pub(super) to_run: usize,
    pub(super) computed: usize,
    pub(super) unchanged: usize,
    pub(super) fetched: usize,
    pub(super) failed: usize,
    pub(super) running: usize,
    /// Seconds that the computed tasks took.
    spent_s: f64,
    /// Mean estimate of a task, if all that were to run had one.
    estimate_s: Option<f64>,
    first_start: Option<Moment>,
}

/// A task that runs.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) kind: Kind,
    pub(super) since: Moment,
    pub(super) estimated_s: Option<f64>,
    /// Steps done and steps in all, once the task has told them.
    pub(super) steps: Option<(u64, u64)>,
    /// The steps done when the task told of them first, and that moment: from there on its pace is known.
    pub(super) first: Option<(u64, Moment)>,
}

/// A task that failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) task: String,
    pub(super) kind: Kind,
    pub(super) message: String,
}

/// Computed tasks of a kind from which on their mean is a better guide than estimates from earlier runs.
const TRUSTED: usize = 3;

impl Row {
    /// Tasks that have ended, whatever came of them.
    pub(super) fn ended(&self) -> usize {
        self.computed + self.unchanged + self.fetched + self.failed
    }

    /// Tasks that ended for each second since the first began; absent at the start.
    pub(super) fn rate(&self, now: Moment) -> Option<f64> {
        let seconds = now.seconds_since(self.first_start?);
        (seconds >= 0.5 && self.ended() > 0).then(|| self.ended() as f64 / seconds)
    }

    /// Seconds that one more task of this kind will take, where anything is known of it.
    fn seconds_a_task(&self) -> Option<f64> {
        let measured = (self.computed > 0).then(|| self.spent_s / self.computed as f64);
        if self.computed >= TRUSTED { measured } else { self.estimate_s.or(measured) }
    }
}

impl Board {
    /// Takes note of one line.
    pub(super) fn tell(&mut self, line: &Line) {
        self.last = Some(line.time);
        match &line.what {
            Happening::Begun(begun) => {
                let row = |counts: &super::events::KindCounts| Row {
                    total: counts.total,
                    cached: counts.cached,
                    to_run: counts.to_run,
                    estimate_s: (counts.to_run > 0 && counts.unknown == 0)
                        .then(|| counts.estimated_s / counts.to_run as f64),
                    ..Row::default()
                };
                self.rows = begun.kinds.iter().map(|(kind, counts)| (*kind, row(counts))).collect();
                self.begun = Some((line.time, (**begun).clone()));
            }
            Happening::Started { task, kind, estimated_s, .. } => {
                let row = self.rows.entry(*kind).or_default();
                row.running += 1;
                row.first_start.get_or_insert(line.time);
                let running =
                    Running { kind: *kind, since: line.time, estimated_s: *estimated_s, steps: None, first: None };
                self.running.insert(task.clone(), running);
            }
            Happening::Progress { task, done, of, .. } => {
                if let Some(running) = self.running.get_mut(task) {
                    running.steps = Some((*done, *of));
                    running.first.get_or_insert((*done, line.time));
                }
            }
            Happening::Finished { task, kind, outcome, seconds, .. } => {
                let row = self.end_one(task, *kind);
                match outcome {
                    Outcome::Computed => {
                        row.computed += 1;
                        row.spent_s += seconds;
                    }
                    Outcome::Unchanged => row.unchanged += 1,
                    Outcome::Fetched => row.fetched += 1,
                }
            }
            Happening::Failed { task, kind, message } => {
                self.end_one(task, *kind).failed += 1;
                self.failures.push(Failure { task: task.clone(), kind: *kind, message: message.clone() });
            }
            Happening::Blocked { .. } => self.n_blocked += 1,
            Happening::Revived { kind, .. } => self.rows.entry(*kind).or_default().to_run += 1,
            Happening::Retried { .. }
            | Happening::Damaged { .. }
            | Happening::Differed { .. }
            | Happening::Warned { .. } => {}
            Happening::Ended(sums) => {
                self.running.clear();
                self.rows.values_mut().for_each(|row| row.running = 0);
                self.ended = Some((line.time, *sums));
            }
        }
    }

    fn end_one(&mut self, task: &str, kind: Kind) -> &mut Row {
        let was_running = self.running.remove(task).is_some();
        let row = self.rows.entry(kind).or_default();
        row.running -= usize::from(was_running && row.running > 0);
        row
    }

    /// Tasks that this run had to run.
    pub(super) fn to_run(&self) -> usize {
        self.rows.values().map(|row| row.to_run).sum()
    }

    /// Tasks that have ended or cannot run any more.
    pub(super) fn n_ended(&self) -> usize {
        self.rows.values().map(Row::ended).sum::<usize>() + self.n_blocked
    }

    /// Seconds since the run began.
    pub(super) fn elapsed_s(&self, now: Moment) -> f64 {
        self.begun.as_ref().map_or(0.0, |(since, _)| now.seconds_since(*since))
    }

    /// Seconds until the run ends, from earlier runs and from this one; absent while a kind is unknown.
    ///
    /// Work left over tasks at once: what tasks have taken in each second so far, or the number of jobs at the start. Tasks
    /// with threads of their own slow each other down, which the measured ratio contains and the number of jobs does not.
    pub(super) fn left_s(&self, now: Moment) -> Option<f64> {
        let (_, begun) = self.begun.as_ref()?;
        if self.ended.is_some() {
            return None;
        }
        let mut work_s = 0.0;
        for row in self.rows.values() {
            let left = row.to_run.saturating_sub(row.ended());
            if left > 0 {
                work_s += left as f64 * row.seconds_a_task()?;
            }
        }
        let mut under_way_s = 0.0;
        for running in self.running.values() {
            let spent = now.seconds_since(running.since);
            under_way_s += spent;
            let whole = self.rows.get(&running.kind).and_then(Row::seconds_a_task).unwrap_or(spent);
            work_s -= spent.min(whole);
        }
        let elapsed = self.elapsed_s(now);
        let spent_s: f64 = self.rows.values().map(|row| row.spent_s).sum::<f64>() + under_way_s;
        let left = self.to_run().saturating_sub(self.n_ended()).max(1);
        let at_once = if elapsed > 1.0 && spent_s > 0.5 { spent_s / elapsed } else { begun.jobs as f64 };
        Some((work_s / at_once.clamp(0.1, left as f64)).max(0.0))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{super::events::KindCounts, *};

    /// A run of four encodes and a report on two jobs.
    pub(in super::super) fn begun() -> Line {
        let kinds = [
            (Kind::Encode, KindCounts { total: 6, cached: 2, to_run: 4, estimated_s: 40.0, unknown: 0 }),
            (Kind::Report, KindCounts { total: 1, cached: 0, to_run: 1, estimated_s: 0.0, unknown: 1 }),
        ];
        at(
            0,
            Happening::Begun(Box::new(Begun {
                run: "0a1b2c".into(),
                pid: 7,
                program: "0.1.0".into(),
                study: "tiny".into(),
                file: "study.toml".into(),
                jobs: 2,
                total: 7,
                cached: 2,
                to_run: 5,
                saved_s: 20.0,
                kinds: kinds.into(),
            })),
        )
    }

    pub(in super::super) fn at(seconds: u64, what: Happening) -> Line {
        Line { what, time: Moment::at_unix_s(1_000_000 + seconds) }
    }

    pub(in super::super) fn started(seconds: u64, task: &str, kind: Kind) -> Line {
        at(seconds, Happening::Started { task: task.into(), kind, memory_bytes: 1, estimated_s: Some(10.0) })
    }

    pub(in super::super) fn finished(seconds: u64, task: &str, kind: Kind, took: f64) -> Line {
        let outcome = Outcome::Computed;
        at(seconds, Happening::Finished { task: task.into(), kind, outcome, seconds: took, size_bytes: 1 })
    }

    #[test]
    fn time_left_is_given_only_when_every_kind_is_known() {
        let mut board = Board::default();
        board.tell(&begun());
        let now = Moment::at_unix_s(1_000_000);
        assert_eq!(board.left_s(now), None, "nobody knows how long a report takes");
        board.rows.get_mut(&Kind::Report).expect("there").estimate_s = Some(2.0);
        assert_eq!(board.left_s(now), Some(42.0 / 2.0), "on two jobs");
        for task in ["encode/a", "encode/b"] {
            board.tell(&started(0, task, Kind::Encode));
        }
        assert_eq!(board.left_s(Moment::at_unix_s(1_000_005)), Some((42.0 - 10.0) / 2.0));
        board.tell(&finished(20, "encode/a", Kind::Encode, 20.0));
        board.tell(&finished(20, "encode/b", Kind::Encode, 20.0));
        board.tell(&started(20, "encode/c", Kind::Encode));
        board.tell(&finished(40, "encode/c", Kind::Encode, 20.0));
        // From three on, their mean counts: 20 seconds for the fourth, at 60 / 40 at once.
        assert_eq!(board.left_s(Moment::at_unix_s(1_000_040)), Some((20.0 + 2.0) / 1.5));
    }

    #[test]
    fn every_task_is_counted_where_it_is() {
        let mut board = Board::default();
        board.tell(&begun());
        board.tell(&started(1, "encode/a", Kind::Encode));
        board.tell(&started(1, "encode/b", Kind::Encode));
        board.tell(&at(2, Happening::Progress { task: "encode/b".into(), kind: Kind::Encode, done: 1, of: 3 }));
        let failed = Happening::Failed { task: "encode/a".into(), kind: Kind::Encode, message: "no".into() };
        board.tell(&at(3, failed));
        board.tell(&at(3, Happening::Blocked { task: "report".into(), by: "encode/a".into() }));
        let row = board.rows[&Kind::Encode];
        assert_eq!((row.failed, row.running, row.computed), (1, 1, 0));
        assert_eq!((board.n_ended(), board.to_run()), (2, 5));
        assert_eq!(board.running["encode/b"].steps, Some((1, 3)));
        board.tell(&at(4, Happening::Ended(Sums::default())));
        assert!(board.running.is_empty() && board.rows[&Kind::Encode].running == 0);
    }
}
