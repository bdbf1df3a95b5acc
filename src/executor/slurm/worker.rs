//! The worker's side: computes the orders of one job and reports what came of each. Knows no Slurm.

use super::{
    SlurmError,
    folder::{Alive, ClusterFolder, MOST_BYTES, Report, Reported, read},
};
use crate::{
    executor::{
        Input, Order, PAUSES, RunError,
        compute::{Ended, Job, News},
        trust::Trust,
    },
    format::memory::read_within,
    store::{Digest, Store},
};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Time between two signs of life.
const BEAT_EVERY: Duration = Duration::from_secs(2);

/// Time for which a result that was published elsewhere may stay out of sight: network file systems remember that a file was not
/// there.
const OUT_OF_SIGHT: Duration = Duration::from_secs(30);

/// What came of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worked {
    /// Orders that led to a result.
    pub done: usize,
    /// Orders that did not.
    pub failed: usize,
    /// Orders that were not begun, or not ended, when the job was told to end.
    pub left: usize,
}

/// Computes the orders of one job, one after another. `batch` is the folder of its array; `host` is how this machine is called.
///
/// # Errors
/// If the orders cannot be read, are not those of this version, or the cache cannot be written to.
pub fn work(
    batch: &Path,
    element: usize,
    host: &str,
    store: &Store,
    cancelled: &AtomicBool,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Worked, SlurmError> {
    let path = ClusterFolder::orders(batch, element);
    let bytes = read_within(&path, MOST_BYTES).map_err(super::folder::io("read", &path))?;
    let wrong = |why: String| SlurmError::Orders { path: path.clone(), why };
    let orders: Vec<Value> = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    let orders = orders.into_iter().map(Order::read).collect::<Result<Vec<_>, _>>();
    let orders = orders.map_err(|error| wrong(error.to_string()))?;
    let folder = ClusterFolder::around(batch).ok_or_else(|| wrong("it lies in no folder of a cluster".to_owned()))?;
    let name = batch.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let place = Place { folder: &folder, batch: &name, element, host };
    store.assert_writable()?;

    let alive = Mutex::new(Alive { host: host.to_owned(), process: std::process::id(), ..Alive::default() });
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| place.show_life(&alive, &ended));
        let _ends = Ends(&ended);
        place.compute_all(&orders, store, cancelled, &alive, tell)
    })
}

/// Says that a worker has ended, also when a panic ends it: one that showed life for ever would keep its job to the limit.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What came of one order.
enum Came {
    Done,
    Failed,
    Left,
    StopsAll,
}

/// Where a worker stands.
struct Place<'a> {
    folder: &'a ClusterFolder,
    batch: &'a str,
    element: usize,
    host: &'a str,
}

impl Place<'_> {
    fn compute_all(
        &self,
        orders: &[Order],
        store: &Store,
        cancelled: &AtomicBool,
        alive: &Mutex<Alive>,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Worked, SlurmError> {
        let (trust, mut worked) = (Trust::new(store), Worked::default());
        for (number, order) in orders.iter().enumerate() {
            if cancelled.load(Ordering::Relaxed) {
                return Ok(Worked { left: orders.len() - number, ..worked });
            }
            {
                let mut alive = alive.lock().expect("no holder panics");
                (alive.number, alive.steps) = (number, None);
            }
            tell(&format!("{} of {}: {}", number + 1, orders.len(), order.id));
            let job = Job { order, store, trust: &trust, cancelled, pauses: &PAUSES, upstream: None };
            match self.compute(number, &job, alive, tell)? {
                Came::Done => worked.done += 1,
                Came::Failed => worked.failed += 1,
                Came::Left => worked.left += 1,
                Came::StopsAll => {
                    worked.failed += 1;
                    return Ok(Worked { left: orders.len() - number - 1, ..worked });
                }
            }
        }
        Ok(worked)
    }

    fn compute(
        &self,
        number: usize,
        job: &Job<'_>,
        alive: &Mutex<Alive>,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<Came, SlurmError> {
        await_inputs(&job.order.inputs, job.store, job.cancelled);
        let (damages, warnings) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let hear = |news: News| match news {
            News::Progress(progress) => {
                alive.lock().expect("no holder panics").steps = Some((progress.done, progress.total));
            }
            News::Damaged { owner, damage } => damages.lock().expect("no holder panics").push((owner, damage)),
            News::Warned(message) => warnings.lock().expect("no holder panics").push(message),
            News::Retried { attempt, pause, error } => {
                tell(&format!("attempt {attempt} failed ({error}); another in {} s", pause.as_secs_f64()));
            }
        };
        let (ended, came) = match job.run(&hear) {
            Ended::Done { record, outcome, before } => (Reported::Done { record, outcome, before }, Came::Done),
            Ended::Wants(inputs) => (Reported::Wants(inputs), Came::Failed),
            Ended::Failed(error) => self.failed(&error, tell),
            Ended::Cancelled => return Ok(Came::Left),
        };
        let (damages, warnings) = (damages.into_inner(), warnings.into_inner());
        let report = Report {
            content: job.order.content,
            ended,
            damages: damages.expect("no holder panics"),
            warnings: warnings.expect("no holder panics"),
        };
        let path = self.folder.report(self.batch, self.element, number, &self.nonce());
        self.folder.write(&path, &report)?;
        Ok(came)
    }

    fn failed(&self, error: &RunError, tell: &(dyn Fn(&str) + Sync)) -> (Reported, Came) {
        tell(&format!("failed: {error}"));
        let came = if error.stops_all() { Came::StopsAll } else { Came::Failed };
        let message = format!("{error} (on {})", self.host);
        (Reported::Failed { message, stops_all: error.stops_all() }, came)
    }

    /// A word that no other report of the same order has: a job that was put in the queue again may run twice at once.
    fn nonce(&self) -> String {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Digest::of(format!("{} {} {since_1970}", self.host, std::process::id()).as_bytes()).short()
    }

    /// Writes how far the job is, again and again.
    fn show_life(&self, alive: &Mutex<Alive>, ended: &AtomicBool) {
        let path = self.folder.alive(self.batch, self.element);
        loop {
            let now = {
                let mut alive = alive.lock().expect("no holder panics");
                alive.beat += 1;
                alive.clone()
            };
            // A sign of life that cannot be written is missed, and no more.
            let _ = self.folder.write(&path, &now);
            let written = Instant::now();
            while written.elapsed() < BEAT_EVERY {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Waits until every input is in sight, for as long as one may stay out of it; then the task says itself what is missing.
fn await_inputs(inputs: &[Input], store: &Store, cancelled: &AtomicBool) {
    let started = Instant::now();
    let is_in_sight = |input: &Input| {
        let artifact = store.artifact(&input.output);
        // Listing the folder above makes a network file system look anew.
        artifact.is_dir() || {
            let _ = artifact.parent().map(|above| fs::read_dir(above).map(Iterator::count));
            artifact.is_dir()
        }
    };
    while !inputs.iter().all(is_in_sight) && started.elapsed() < OUT_OF_SIGHT && !cancelled.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// How far a job says that it is.
pub(super) fn sign_of_life(folder: &ClusterFolder, batch: &str, element: usize) -> Option<Alive> {
    read(&folder.alive(batch, element))
}
