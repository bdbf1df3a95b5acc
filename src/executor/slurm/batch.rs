//! Ready tasks -> arrays of jobs: what each asks for, what is packed together. Knows no commands.

use super::fate::Tries;
use crate::{spec::settings::SlurmSettings, task::Kind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the jobs of an array ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Resources {
    pub(super) kind: Kind,
    pub(super) partition: Option<String>,
    pub(super) account: Option<String>,
    pub(super) qos: Option<String>,
    pub(super) constraint: Option<String>,
    pub(super) cpus: u32,
    pub(super) gpus: u32,
    pub(super) memory_mb: u64,
    pub(super) time_min: u64,
    pub(super) options: Vec<String>,
}

/// A task that waits for a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) kind: Kind,
    /// By its own estimate.
    pub(super) memory_bytes: u64,
    /// Seconds that it will take, where anything is known.
    pub(super) estimated_s: Option<f64>,
    pub(super) tries: Tries,
}

/// An array that is to be submitted: for each job, the tasks that it computes one after another, by their number.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    pub(super) resources: Resources,
    pub(super) elements: Vec<Vec<usize>>,
}

/// Memory of the program itself, with its libraries and what the system caches for it.
const BASE_BYTES: f64 = 384e6;

/// Estimates are upper bounds of what tasks hold; what lies between allocations is not in them.
const MEMORY_MARGIN: f64 = 1.15;

/// Estimated times are of another machine, and another load.
const TIME_MARGIN: f64 = 4.0;

/// Seconds of work that a job has at least if there is so much: what starting it costs is small beside them.
const SHORTEST_S: f64 = 30.0;

/// Jobs of one array; clusters commonly allow a thousand.
const MOST_ELEMENTS: usize = 1000;

/// Tasks of one job: each has a file of its own in one folder.
const MOST_TASKS: usize = 256;

/// What a task of a kind asks for, in megabytes: in steps of about a fifth, so that tasks that are alike share an array.
pub(super) fn memory_mb(waiting: &Waiting, settings: &SlurmSettings) -> u64 {
    let least = settings.of(waiting.kind.name()).memory_gb * 1e3;
    let estimated = (waiting.memory_bytes as f64 * MEMORY_MARGIN + BASE_BYTES) / 1e6;
    let grown =
        estimated.max(least) * settings.memory_growth.powi(i32::try_from(waiting.tries.memory).unwrap_or(i32::MAX));
    // The least is asked for as it stands, whatever the steps are.
    let mut step = least;
    while step < grown && step < most_memory_mb(settings) as f64 {
        step *= 1.2;
    }
    (step.ceil() as u64).min(most_memory_mb(settings))
}

/// The most that any job asks for.
pub(super) fn most_memory_mb(settings: &SlurmSettings) -> u64 {
    (settings.most_memory_gb * 1e3) as u64
}

/// Minutes that a job asks for whose tasks take so many seconds, and were lost so often for want of time.
fn time_min(kind: Kind, seconds: f64, tries: u32, settings: &SlurmSettings) -> u64 {
    let least = u64::from(settings.of(kind.name()).time_limit_min);
    let known = (seconds * TIME_MARGIN / 60.0).ceil() as u64;
    let grown = known.max(least).saturating_mul(1_u64.checked_shl(tries).unwrap_or(u64::MAX));
    grown.min(u64::from(settings.longest_min))
}

/// The arrays of what waits, in the order in which it waits, for so many jobs at most; what is not in any has to wait on.
pub(super) fn batches(waiting: &[Waiting], settings: &SlurmSettings, mut room: usize) -> Vec<Batch> {
    // Tasks that were lost before go alone: what is packed with them should not suffer again.
    let mut groups: BTreeMap<(Kind, u64, bool, u32), Vec<usize>> = BTreeMap::new();
    for (number, task) in waiting.iter().enumerate() {
        let class = (task.kind, memory_mb(task, settings), task.tries.lost > 0, task.tries.time);
        groups.entry(class).or_default().push(number);
    }
    let mut batches = Vec::new();
    for ((kind, memory_mb, is_lost, late), numbers) in groups {
        let elements = if is_lost {
            numbers.into_iter().map(|number| vec![number]).collect()
        } else {
            packed(&numbers, waiting, settings)
        };
        let seconds = |element: &[usize]| element.iter().filter_map(|number| waiting[*number].estimated_s).sum::<f64>();
        let job = settings.of(kind.name());
        for elements in elements.chunks(MOST_ELEMENTS) {
            let elements: Vec<Vec<usize>> = elements.iter().take(room).cloned().collect();
            if elements.is_empty() {
                continue;
            }
            room -= elements.len();
            let longest_s = elements.iter().map(|element| seconds(element)).fold(0.0, f64::max);
            let resources = Resources {
                kind,
                partition: job.partition.clone(),
                account: job.account.clone(),
                qos: job.qos.clone(),
                constraint: job.constraint.clone(),
                cpus: job.cpus,
                gpus: job.gpus,
                memory_mb,
                time_min: time_min(kind, longest_s, late, settings),
                options: job.options.clone(),
            };
            batches.push(Batch { resources, elements });
        }
    }
    batches
}

/// Tasks of one kind by jobs: enough work in each that starting it is worth while, and no job idle that could share it.
fn packed(numbers: &[usize], waiting: &[Waiting], settings: &SlurmSettings) -> Vec<Vec<usize>> {
    let slots = settings.max_running as usize;
    let known: Option<f64> = numbers.iter().map(|number| waiting[*number].estimated_s).sum();
    // Where nothing is known, only more tasks than can run at once share jobs.
    let (most_tasks, target_s) = match known {
        Some(all_s) => (MOST_TASKS, (all_s / slots as f64).max(SHORTEST_S).min(settings.pack_min * 60.0)),
        None => (numbers.len().div_ceil(slots).min(MOST_TASKS), f64::INFINITY),
    };
    let mut elements: Vec<Vec<usize>> = Vec::new();
    let mut filled_s = f64::INFINITY;
    for number in numbers {
        let seconds = waiting[*number].estimated_s.unwrap_or_default();
        match elements.last_mut() {
            Some(element) if element.len() < most_tasks && filled_s + seconds <= target_s => {
                element.push(*number);
                filled_s += seconds;
            }
            _ => {
                elements.push(vec![*number]);
                filled_s = seconds;
            }
        }
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(memory_bytes: u64, estimated_s: Option<f64>) -> Waiting {
        Waiting { kind: Kind::Encode, memory_bytes, estimated_s, tries: Tries::default() }
    }

    fn settings() -> SlurmSettings {
        SlurmSettings { max_running: 4, ..SlurmSettings::default() }
    }

    fn n_tasks(batches: &[Batch]) -> Vec<Vec<usize>> {
        batches.iter().map(|batch| batch.elements.iter().map(Vec::len).collect()).collect()
    }

    #[test]
    fn small_tasks_share_jobs_and_large_ones_do_not() {
        let of = |n: usize, seconds: Option<f64>| n_tasks(&batches(&vec![waiting(0, seconds); n], &settings(), 1000));
        assert_eq!(of(100, Some(0.2)), [vec![100]], "20 s are one job");
        assert_eq!(of(100, Some(6.0)), [vec![25; 4]], "10 min are shared by all that run at once");
        assert_eq!(of(8, Some(500.0)), [vec![1; 8]], "each fills more than half of what is packed");
        assert_eq!(of(9, None), [vec![3; 3]], "nothing is known: as many jobs as run at once, or fewer");
        assert_eq!(of(3, None), [vec![1; 3]]);
    }

    #[test]
    fn what_asks_for_the_same_shares_an_array() {
        let tasks = [waiting(1 << 20, None), waiting(2 << 20, None), waiting(8 << 30, None)];
        let batches = batches(&tasks, &settings(), 1000);
        assert_eq!(n_tasks(&batches), [vec![1, 1], vec![1]]);
        assert_eq!(batches[0].resources.memory_mb, 1000, "the least that any job asks for");
        assert!((10_000..13_000).contains(&batches[1].resources.memory_mb), "{}", batches[1].resources.memory_mb);
    }

    #[test]
    fn a_lost_task_goes_alone_and_asks_for_more() {
        let of = |tries: Tries| {
            let task = Waiting { tries, ..waiting(1 << 30, Some(60.0)) };
            let batches = batches(&[task, waiting(1 << 30, Some(1.0))], &settings(), 1000);
            assert_eq!(n_tasks(&batches).concat(), [1, 1], "apart from the other");
            let lost = batches.into_iter().find(|batch| batch.elements.concat() == [0]).expect("it is there");
            (lost.resources.memory_mb, lost.resources.time_min)
        };
        let (first, minutes) = of(Tries { lost: 1, ..Tries::default() });
        let (second, _) = of(Tries { lost: 1, memory: 1, time: 0 });
        assert!(second as f64 >= 1.9 * first as f64, "{first} -> {second}");
        assert_eq!((minutes, of(Tries { lost: 1, memory: 0, time: 1 }).1), (60, 120));
        assert_eq!(of(Tries { lost: 60, memory: 40, time: 70 }), (256_000, 1440), "and never for more than the most");
    }

    #[test]
    fn the_queue_is_never_fuller_than_it_may_be() {
        let tasks = vec![waiting(0, Some(500.0)); 2500];
        let batches = batches(&tasks, &settings(), 1700);
        let sizes: Vec<usize> = batches.iter().map(|batch| batch.elements.len()).collect();
        assert_eq!(sizes, [1000, 700], "arrays are no larger than clusters allow");
        assert!(super::batches(&tasks, &settings(), 0).is_empty());
    }
}
