//! What a coordinator sees once an interval: the queue, signs of life, reports. Each settles tasks or hands them out again.

use super::{
    SlurmError,
    batch::most_memory_mb,
    coordinator::{Coordinator, Tell},
    fate::{Fate, JobState, Lost, Stage},
    folder::{Delivered, Reported},
    queue::{self, JobId},
    worker::sign_of_life,
};
use crate::{
    executor::{Event, Outcome, RunError, compute::Ended},
    task::Progress,
};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{Read, Seek, SeekFrom},
    path::Path,
    time::{Duration, Instant},
};

/// Looks at the queue after the end of a job within which its reports come into sight.
const GRACE_LOOKS: u32 = 3;

/// The least time for that, and the time after which a job that the cluster does not know of is lost: a controller that starts
/// again knows its jobs a little later.
const GRACE: Duration = Duration::from_secs(2);
const UNKNOWN_FOR: Duration = Duration::from_secs(15);

/// Silence of a running job that is worth a word.
const SILENCE: Duration = Duration::from_secs(120);

impl Coordinator<'_> {
    fn grace(&self) -> Duration {
        (self.poll() * GRACE_LOOKS).max(GRACE)
    }

    /// Looks once at what has come back and at the queue.
    pub(super) fn look(&mut self, tell: &mut Tell<'_>) -> Result<(), SlurmError> {
        // The queue first: what a job that is over has reported lies there by then, but for a slow file system.
        let jobs = queue::look()?;
        for delivered in self.cluster.folder.delivered() {
            self.receive(delivered, tell);
        }
        let Some(jobs) = jobs else {
            self.warn("the cluster's controller does not answer; what it last said is what counts", &[], tell);
            return Ok(());
        };
        self.warned.retain(|said| !said.contains("does not answer"));
        let names: HashMap<&str, u64> = jobs.iter().map(|((array, _), state)| (state.name.as_str(), *array)).collect();
        let mut unwanted = Vec::new();
        let batches: Vec<String> = self.live.keys().cloned().collect();
        for batch in batches {
            let live = self.live.get_mut(&batch).expect("listed just now");
            if live.submission.job.is_none()
                && let Some(job) = names.get(live.submission.name.as_str())
            {
                (live.submission.job, live.unsure_since) = (Some(*job), None);
                self.cluster
                    .folder
                    .write(&self.cluster.folder.batch(&batch).join("submission.json"), &live.submission)?;
            }
            match live.unsure_since {
                Some(since) if since.elapsed() >= UNKNOWN_FOR => self.never_arrived(&batch),
                Some(_) => {}
                None => self.look_at(&batch, &jobs, &mut unwanted, tell),
            }
        }
        if !unwanted.is_empty() {
            queue::cancel(&unwanted)?;
        }
        self.tidy();
        Ok(())
    }

    /// A submission of which the cluster knows nothing is made again.
    fn never_arrived(&mut self, batch: &str) {
        let Some(live) = self.live.remove(batch) else { return };
        let n_elements = live.elements.len();
        for (element, tasks) in live.elements.into_iter().zip(&live.submission.elements) {
            self.waiting.extend(element.given.into_iter().map(|(number, given)| (given, tasks[number].tries)));
        }
        self.cluster.folder.remove(batch, n_elements);
    }

    /// Takes note of how the jobs of an array stand.
    fn look_at(
        &mut self,
        batch: &str,
        jobs: &BTreeMap<JobId, JobState>,
        unwanted: &mut Vec<JobId>,
        tell: &mut Tell<'_>,
    ) {
        let grace = self.grace();
        let n_elements = self.live[batch].elements.len();
        for number in 0..n_elements {
            let live = self.live.get_mut(batch).expect("it is there");
            let id = live.id(number);
            // A controller that lost its memory gives numbers out again; names are never used twice.
            let is_ours = |state: &&JobState| state.name == live.submission.name;
            let state = id.and_then(|id| jobs.get(&id)).filter(is_ours).cloned();
            let element = &mut live.elements[number];
            let stage = state.as_ref().map(JobState::stage);
            // What the cluster forgets after a while is what it said last, if that was an end.
            let was_over = element.state.as_ref().is_some_and(|state| state.stage() == Stage::Over);
            if state.is_some() || !was_over {
                element.state = state;
            }
            match stage {
                Some(Stage::Running) => {
                    element.over_since = None;
                    self.look_for_life(batch, number, tell);
                }
                Some(Stage::Waiting) => element.over_since = None,
                Some(Stage::Over | Stage::Never) | None => drop(element.over_since.get_or_insert_with(Instant::now)),
            }
            let element = &self.live[batch].elements[number];
            if element.is_unwanted && matches!(stage, Some(Stage::Waiting | Stage::Running | Stage::Never)) {
                unwanted.extend(id);
            }
            let patience = match stage {
                Some(Stage::Never) => Duration::ZERO,
                None if !was_over => UNKNOWN_FOR.max(grace),
                _ => grace,
            };
            if !element.given.is_empty() && element.over_since.is_some_and(|since| since.elapsed() >= patience) {
                if stage == Some(Stage::Never) {
                    unwanted.extend(id);
                }
                self.lose(batch, number, tell);
            }
        }
    }

    /// What a running job says of itself.
    fn look_for_life(&mut self, batch: &str, number: usize, tell: &mut Tell<'_>) {
        let alive = sign_of_life(&self.cluster.folder, batch, number);
        let live = self.live.get_mut(batch).expect("it is there");
        let id = live.id(number);
        let element = &mut live.elements[number];
        let Some(alive) = alive else { return };
        if element.beat.0 != alive.beat {
            element.beat = (alive.beat, Some(Instant::now()));
            element.is_missed = false;
        }
        let silent = element.beat.1.is_some_and(|since| since.elapsed() >= SILENCE);
        let is_news = silent && !std::mem::replace(&mut element.is_missed, silent);
        let Some(given) = element.given.get(&alive.number).cloned() else { return };
        self.begin_once(&given, tell);
        let node = self.plan.node(given.place);
        if let Some((done, total)) = alive.steps {
            tell(Event::Progress { id: &node.id, kind: node.task.kind(), progress: Progress { done, total } });
        }
        if is_news {
            let job = id.map_or(String::new(), |(array, element)| format!(", job {array}_{element}"));
            let message = format!("no sign of life for {} s from {}{job}", SILENCE.as_secs(), alive.host);
            tell(Event::Warned { id: &node.id, message: &message });
        }
    }

    /// Settles what a worker reported, if anyone waits for it.
    pub(super) fn receive(&mut self, delivered: Delivered, tell: &mut Tell<'_>) {
        let Delivered { batch, element, number, report, path } = delivered;
        let _ = fs::remove_file(path);
        let Some(of) = self.live.get_mut(&batch).and_then(|live| live.elements.get_mut(element)) else { return };
        if of.given.get(&number).is_none_or(|given| given.order.content != report.content) {
            return;
        }
        let given = of.given.remove(&number).expect("looked at just now");
        self.begin_once(&given, tell);
        let node = self.plan.node(given.place);
        for message in &report.warnings {
            tell(Event::Warned { id: &node.id, message });
        }
        for (owner, damage) in &report.damages {
            self.schedule.note_damage(given.owner(*owner), damage, tell);
        }
        let ended = match report.ended {
            Reported::Done { record, outcome, before } => {
                if outcome == Outcome::Computed {
                    self.observed.entry(node.task.kind()).or_default().push(record.run.seconds);
                }
                self.trust.forget(&record.output);
                Ended::Done { record, outcome, before }
            }
            Reported::Failed { message, stops_all } => Ended::Failed(RunError::Elsewhere { message, stops_all }),
            Reported::Wants(inputs) => Ended::Wants(inputs),
        };
        self.schedule.settle(&given, ended, tell);
    }

    /// A job is over and has left tasks without a report: the first of them is what it was at, the others were not begun.
    fn lose(&mut self, batch: &str, number: usize, tell: &mut Tell<'_>) {
        let folder = &self.cluster.folder;
        let live = self.live.get_mut(batch).expect("it is there");
        let (id, resources) = (live.id(number), live.submission.resources.clone());
        let tasks = live.submission.elements[number].clone();
        let element = &mut live.elements[number];
        let log = folder.log(batch, number);
        let fate = Fate::of(element.state.as_ref(), &end_of(&log));
        let for_all = matches!(fate, Fate::NeverStarts { .. } | Fate::Cancelled);
        for (turn, (place, given)) in std::mem::take(&mut element.given).into_iter().enumerate() {
            let tries = tasks[place].tries;
            if turn > 0 && !for_all {
                self.waiting.push((given, tries));
                continue;
            }
            let settings = self.cluster.settings;
            let is_most = match fate {
                Fate::OverMemory => resources.memory_mb >= most_memory_mb(settings),
                Fate::TimedOut => resources.time_min >= u64::from(settings.longest_min),
                _ => false,
            };
            let lost = Lost {
                fate: fate.clone(),
                job: id.map(|(array, element)| format!("{array}_{element}")),
                asked: (resources.memory_mb, resources.time_min),
                is_most,
                log: log.clone(),
                kind: resources.kind.name(),
            };
            let error = RunError::Lost(Box::new(lost));
            let tries = tries.after(&fate);
            let node = self.plan.node(given.place);
            if fate.may_pass() && !is_most && tries.lost < settings.attempts {
                let (id, kind, attempt) = (&node.id, node.task.kind(), tries.lost as usize);
                tell(Event::Retried { id, kind, attempt, pause: Duration::ZERO, error: &error });
                self.waiting.push((given, tries));
            } else {
                self.begin_once(&given, tell);
                self.schedule.settle(&given, Ended::Failed(error), tell);
                self.live.get_mut(batch).expect("it is there").keeps_log = true;
            }
        }
    }
}

/// Bytes of a log that are looked at for why its job ended.
const LOOKED_AT: u64 = 8192;

/// The end of a job's log.
fn end_of(log: &Path) -> String {
    let mut bytes = Vec::new();
    // What a job writes has no bound, so the rest of its log is passed over.
    let _ = fs::File::open(log).and_then(|mut file| {
        let n_bytes = file.metadata()?.len();
        file.seek(SeekFrom::Start(n_bytes.saturating_sub(LOOKED_AT)))?;
        file.take(LOOKED_AT).read_to_end(&mut bytes)
    });
    String::from_utf8_lossy(&bytes).into_owned()
}
