//! The run of a study on a cluster: hands out what is ready, packs and submits it, brings it to an end. What it sees in between is
//! in `watch.rs`.

use super::{
    SlurmError,
    batch::{Batch, Waiting, batches},
    fate::{Fate, Lost, Stage, Tries, job_name},
    folder::{ClusterFolder, Submission, Submitted, io},
    live::{Live, cancel_all},
    queue::{self, Answer},
    script::{Worker, script, unfit},
};
use crate::{
    executor::{
        Event, Limits, Options, Outcome, RunError, Summary, begin,
        compute::Ended,
        look_at_shown,
        schedule::{Given, Schedule},
        trust::Trust,
    },
    plan::{Assessment, Plan, Standing},
    spec::settings::SlurmSettings,
    store::{Digest, Held, Store},
    task::Kind,
};
use petgraph::graph::NodeIndex;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A cluster and how it is used.
pub struct Cluster<'a> {
    /// What jobs ask for.
    pub settings: &'a SlurmSettings,
    /// Where coordinator and workers leave each other files.
    pub folder: ClusterFolder,
    /// The study's name, for the names of jobs.
    pub study: &'a str,
    /// What every job runs.
    pub worker: Worker,
    /// Seconds that a task will take, where anything is known.
    pub estimate: &'a dyn Fn(NodeIndex) -> Option<f64>,
}

/// Everything that may start is handed out: the queue is the cluster's.
const UNBOUNDED: Limits = Limits { tasks: usize::MAX, memory_bytes: u64::MAX };

/// Time between two chances to redraw.
const TICK: Duration = Duration::from_millis(100);

/// Time that jobs which have reported have to end.
const SEEN_OFF_WITHIN: Duration = Duration::from_secs(10);

/// Times that a cluster may have no room for a single job before that counts as its last word.
const FULL_TIMES: u32 = 20;

/// Runs every task that `assessment` says has to run, as jobs; every happening goes to `tell`, on the calling thread.
///
/// # Errors
/// If another run of the study submits its jobs, a command of Slurm cannot be called, or the cache fails. Lost jobs and failing
/// tasks are events, counted in the summary.
pub fn run(
    plan: &Plan,
    assessment: &Assessment,
    store: &Store,
    options: impl Into<Options>,
    cluster: &Cluster<'_>,
    cancelled: &AtomicBool,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<Summary, SlurmError> {
    let options = options.into();
    let started = Instant::now();
    for folder in [cluster.folder.root(), &cluster.worker.folder] {
        if let Some(what) = unfit(folder) {
            return Err(SlurmError::Unfit { path: folder.to_owned(), what });
        }
    }
    let _held = held(&cluster.folder, store)?.map_err(SlurmError::Busy)?;
    cluster.folder.make()?;
    cluster.folder.forget_cancel();
    cluster.folder.sweep();
    if plan.places().any(|place| matches!(assessment.standing(place), Standing::Runs(_))) {
        store.assert_writable()?;
    }
    let trust = Trust::new(store);
    let schedule = Schedule::new(plan, assessment, store, &trust, &options);
    let mut coordinator = Coordinator {
        plan,
        store,
        trust: &trust,
        cluster,
        schedule,
        waiting: Vec::new(),
        live: BTreeMap::new(),
        adoptable: HashMap::new(),
        observed: BTreeMap::new(),
        begun: HashSet::new(),
        warned: BTreeSet::new(),
        n_full: 0,
        is_first: true,
    };
    begin(plan, store, &options, coordinator.schedule.summary.cached, tell);
    let is_cancelled = || cancelled.load(Ordering::Relaxed) || cluster.folder.is_asked_to_cancel();
    coordinator.adopt();
    let was_cancelled = loop {
        if is_cancelled() {
            coordinator.cancel(tell)?;
            break true;
        }
        coordinator.hand_out(tell)?;
        coordinator.submit(tell)?;
        if coordinator.schedule.running == 0 {
            let Coordinator { schedule, .. } = &mut coordinator;
            if look_at_shown(&options.shown, schedule, &trust, plan, tell)? {
                continue;
            }
            coordinator.see_off()?;
            break false;
        }
        let looked = Instant::now();
        while looked.elapsed() < coordinator.poll() && !is_cancelled() {
            std::thread::sleep(TICK.min(coordinator.poll()));
            tell(Event::Tick);
        }
        coordinator.look(tell)?;
    };
    cluster.folder.forget_cancel();
    let schedule = coordinator.schedule;
    let summary = Summary {
        cancelled: was_cancelled,
        seconds: started.elapsed().as_secs_f64(),
        left: schedule.left(),
        ..schedule.summary
    };
    tell(Event::Ended { summary: &summary });
    Ok(summary)
}

/// Makes sure that nobody else submits jobs of the study; otherwise says who does.
pub(super) fn held(folder: &ClusterFolder, store: &Store) -> Result<Result<Held, String>, SlurmError> {
    let name = folder.root().file_name().unwrap_or_default().to_string_lossy();
    Ok(store.hold(&format!("cluster-{name}"))?)
}

/// What would be submitted now: the script of each array, with how many tasks its jobs compute.
#[must_use]
pub fn scripts(plan: &Plan, ready: &[NodeIndex], cluster: &Cluster<'_>) -> Vec<(String, usize)> {
    let waiting = |place: &NodeIndex| {
        let task = &plan.node(*place).task;
        let (kind, memory_bytes) = (task.kind(), task.memory_bytes());
        Waiting { kind, memory_bytes, estimated_s: (cluster.estimate)(*place), tries: Tries::default() }
    };
    let waiting: Vec<Waiting> = ready.iter().map(waiting).collect();
    let batches = batches(&waiting, cluster.settings, cluster.settings.max_queued as usize);
    let script = |(number, batch): (usize, &Batch)| {
        let name = job_name(cluster.study, &Digest::of(number.to_string().as_bytes()));
        let folder = cluster.folder.batch(&(number + 1).to_string());
        let (n_elements, most) = (batch.elements.len(), cluster.settings.max_running);
        let text = script(&cluster.worker, &name, &batch.resources, n_elements, most, &folder);
        (text, batch.elements.iter().map(Vec::len).sum())
    };
    batches.iter().enumerate().map(script).collect()
}

pub(super) struct Coordinator<'a> {
    pub(super) plan: &'a Plan,
    pub(super) store: &'a Store,
    pub(super) trust: &'a Trust<'a>,
    pub(super) cluster: &'a Cluster<'a>,
    pub(super) schedule: Schedule<'a>,
    /// Ready, and in no job.
    pub(super) waiting: Vec<(Arc<Given>, Tries)>,
    pub(super) live: BTreeMap<String, Live>,
    /// Tasks of jobs that an earlier coordinator submitted, by content key.
    pub(super) adoptable: HashMap<Digest, (String, usize, usize)>,
    /// Seconds of tasks of each kind that were computed in this run.
    pub(super) observed: BTreeMap<Kind, Vec<f64>>,
    /// Tasks that were told to have begun.
    pub(super) begun: HashSet<NodeIndex>,
    /// What was said once already.
    pub(super) warned: BTreeSet<String>,
    pub(super) n_full: u32,
    pub(super) is_first: bool,
}

pub(super) type Tell<'t> = dyn FnMut(Event<'_>) + 't;

impl Coordinator<'_> {
    pub(super) fn poll(&self) -> Duration {
        Duration::from_secs_f64(self.cluster.settings.poll_s)
    }

    /// Finds what an earlier coordinator submitted.
    fn adopt(&mut self) {
        for (batch, submission) in self.cluster.folder.submissions() {
            for (element, tasks) in submission.elements.iter().enumerate() {
                for (number, task) in tasks.iter().enumerate() {
                    self.adoptable.insert(task.content, (batch.clone(), element, number));
                }
            }
            let mut live = Live::new(submission);
            live.unsure_since = live.submission.job.is_none().then(Instant::now);
            self.live.insert(batch, live);
        }
    }

    /// Hands out every task that may start: to a job that has it already, to whoever had computed it, or to the next jobs.
    fn hand_out(&mut self, tell: &mut Tell<'_>) -> Result<(), SlurmError> {
        while let Some(place) = self.schedule.admit(UNBOUNDED) {
            let given = Arc::new(self.schedule.order(place));
            let order = &given.order;
            if let Some((batch, element, number)) = self.adoptable.remove(&order.content) {
                let live = self.live.get_mut(&batch).expect("what can be adopted is live");
                live.elements[element].given.insert(number, given);
            } else if let Some(record) = self.store.lookup(&order.content) {
                let record = Box::new(record.under(order.recipe, order.manifest().to_json()));
                self.store.remember(&record)?;
                self.begin_once(&given, tell);
                self.schedule.settle(&given, Ended::Done { record, outcome: Outcome::Unchanged, before: None }, tell);
            } else {
                self.waiting.push((given, Tries::default()));
            }
        }
        if std::mem::take(&mut self.is_first) {
            // What is left of earlier submissions is of a study that has changed since.
            self.adoptable.clear();
            for element in self.live.values_mut().flat_map(|live| &mut live.elements) {
                element.is_unwanted = element.given.is_empty();
            }
        }
        Ok(())
    }

    /// Submits what waits, as far as the queue has room.
    fn submit(&mut self, tell: &mut Tell<'_>) -> Result<(), SlurmError> {
        if self.schedule.is_stopped() {
            return self.stop();
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.waiting.sort_by_key(|(given, _)| given.place);
        let known: Vec<Waiting> = self.waiting.iter().map(|(given, tries)| self.known(given, *tries)).collect();
        let queued: usize = self.live.values().map(Live::n_queued).sum();
        let room = (self.cluster.settings.max_queued as usize).saturating_sub(queued);
        let mut waiting: Vec<Option<(Arc<Given>, Tries)>> =
            std::mem::take(&mut self.waiting).into_iter().map(Some).collect();
        let mut is_full = false;
        for batch in batches(&known, self.cluster.settings, room) {
            if is_full {
                break;
            }
            let mut take = |number: &usize| waiting[*number].take().expect("a task is in one job");
            let elements: Vec<Vec<(Arc<Given>, Tries)>> =
                batch.elements.iter().map(|element| element.iter().map(&mut take).collect()).collect();
            is_full = !self.submit_batch(&batch, elements, tell)?;
        }
        self.waiting.extend(waiting.into_iter().flatten());
        Ok(())
    }

    /// Submits one array; says whether there may be room for another.
    fn submit_batch(
        &mut self,
        batch: &Batch,
        elements: Vec<Vec<(Arc<Given>, Tries)>>,
        tell: &mut Tell<'_>,
    ) -> Result<bool, SlurmError> {
        let (folder, settings) = (&self.cluster.folder, self.cluster.settings);
        let nonce = fresh();
        let name = nonce.short();
        let place = folder.batch(&name);
        fs::create_dir_all(&place).map_err(io("create", &place))?;
        for (number, element) in elements.iter().enumerate() {
            let orders: Vec<_> = element.iter().map(|(given, _)| given.order.to_json()).collect();
            let path = ClusterFolder::orders(&place, number);
            let bytes = serde_json::to_vec(&orders).expect("orders are plain data");
            // Nobody reads it before the array is submitted.
            fs::write(&path, bytes).map_err(io("write", &path))?;
        }
        let submitted = |(given, tries): &(Arc<Given>, Tries)| Submitted {
            task: given.order.id.clone(),
            recipe: given.order.recipe,
            content: given.order.content,
            tries: *tries,
        };
        let submission = Submission {
            name: job_name(self.cluster.study, &nonce),
            job: None,
            resources: batch.resources.clone(),
            elements: elements.iter().map(|element| element.iter().map(submitted).collect()).collect(),
        };
        let (n_elements, most) = (elements.len(), settings.max_running);
        let text = script(&self.cluster.worker, &submission.name, &batch.resources, n_elements, most, &place);
        let path = place.join("script.sh");
        fs::write(&path, &text).map_err(io("write", &path))?;
        // Before the submission: whoever comes after a coordinator that died looks for the array by its name.
        folder.write(&place.join("submission.json"), &submission)?;
        let answer = queue::submit(&text).inspect_err(|_| folder.remove(&name, n_elements))?;
        let mut live = Live::new(submission);
        match answer {
            Answer::Job(job) => {
                live.submission.job = Some(job);
                folder.write(&place.join("submission.json"), &live.submission)?;
                self.n_full = 0;
            }
            Answer::Unsure(said) => {
                self.warn(&format!("nobody knows yet whether a submission arrived: {said}"), &elements, tell);
                live.unsure_since = Some(Instant::now());
            }
            Answer::Full(said) if self.n_full < FULL_TIMES => {
                self.n_full += u32::from(self.live.is_empty());
                self.warn(&format!("the queue takes no more jobs for now: {said}"), &elements, tell);
                folder.remove(&name, n_elements);
                self.waiting.extend(elements.into_iter().flatten());
                return Ok(false);
            }
            Answer::Full(reason) | Answer::Refused(reason) => {
                folder.remove(&name, n_elements);
                for (given, _) in elements.into_iter().flatten() {
                    let lost = Lost {
                        fate: Fate::NeverStarts { reason: reason.clone() },
                        job: None,
                        asked: (batch.resources.memory_mb, batch.resources.time_min),
                        is_most: false,
                        log: path.clone(),
                        kind: batch.resources.kind.name(),
                    };
                    self.begin_once(&given, tell);
                    self.schedule.settle(&given, Ended::Failed(RunError::Lost(Box::new(lost))), tell);
                }
                return Ok(true);
            }
        }
        for (element, tasks) in live.elements.iter_mut().zip(elements) {
            element.given = tasks.into_iter().map(|(given, _)| given).enumerate().collect();
        }
        self.live.insert(name, live);
        Ok(true)
    }

    /// The run ends at a failure: what waits is not submitted, jobs that wait are cancelled, those that run may end.
    fn stop(&mut self) -> Result<(), SlurmError> {
        for (given, _) in std::mem::take(&mut self.waiting) {
            self.schedule.take_back(&given);
        }
        let mut unwanted = Vec::new();
        for live in self.live.values_mut() {
            for number in 0..live.elements.len() {
                let id = live.id(number);
                let element = &mut live.elements[number];
                let has_begun = element.state.as_ref().is_some_and(|state| state.stage() == Stage::Running);
                if has_begun || element.is_unwanted {
                    continue;
                }
                element.is_unwanted = true;
                unwanted.extend(id);
                for given in std::mem::take(&mut element.given).into_values() {
                    self.schedule.take_back(&given);
                }
            }
        }
        if !unwanted.is_empty() {
            queue::cancel(&unwanted)?;
        }
        Ok(())
    }

    /// Cancels every job, and waits until none is left.
    fn cancel(&mut self, tell: &mut Tell<'_>) -> Result<(), SlurmError> {
        let names: Vec<&str> = self.live.values().map(|live| live.submission.name.as_str()).collect();
        let all_over = names.is_empty() || cancel_all(&names, self.poll())?.1;
        // What ended meanwhile is published, and counts.
        for delivered in self.cluster.folder.delivered() {
            self.receive(delivered, tell);
        }
        let given = self
            .live
            .values_mut()
            .flat_map(|live| &mut live.elements)
            .flat_map(|element| std::mem::take(&mut element.given));
        let given: Vec<Arc<Given>> = given.map(|(_, given)| given).collect();
        for given in given.into_iter().chain(std::mem::take(&mut self.waiting).into_iter().map(|(given, _)| given)) {
            self.schedule.settle(&given, Ended::Cancelled, tell);
        }
        for (batch, live) in std::mem::take(&mut self.live) {
            if all_over {
                self.cluster.folder.remove(&batch, live.elements.len());
            }
        }
        if !all_over {
            self.warn("the cluster has not ended every job yet; `hebb slurm cancel` asks again", &[], tell);
        }
        Ok(())
    }

    /// Forgets arrays of which nothing is waited for and whose jobs are over; logs of what failed stay until the next run.
    pub(super) fn tidy(&mut self) {
        let folder = &self.cluster.folder;
        self.live.retain(|batch, live| {
            if !live.is_settled() {
                return true;
            }
            let is_over = live.n_queued() == 0;
            if is_over && live.keeps_log {
                let _ = fs::remove_file(folder.batch(batch).join("submission.json"));
            } else if is_over {
                folder.remove(batch, live.elements.len());
            }
            !is_over
        });
    }

    /// Everything is settled: jobs that have reported are seen to end, so that nothing of the run is left.
    fn see_off(&mut self) -> Result<(), SlurmError> {
        let started = Instant::now();
        self.tidy();
        while !self.live.is_empty() && started.elapsed() < SEEN_OFF_WITHIN {
            std::thread::sleep(self.poll().min(TICK * 5));
            let Some(jobs) = queue::look()? else { continue };
            for live in self.live.values_mut() {
                for number in 0..live.elements.len() {
                    let state = live.id(number).and_then(|id| jobs.get(&id));
                    if state.is_none_or(|state| state.stage() == Stage::Over) {
                        live.elements[number].over_since.get_or_insert_with(Instant::now);
                    }
                }
            }
            self.tidy();
        }
        Ok(())
    }

    /// What is known of a task that waits.
    fn known(&self, given: &Given, tries: Tries) -> Waiting {
        let task = &given.order.task;
        let kind = task.kind();
        // The longest of its kind in this run, where nothing else is known.
        let seen = || self.observed.get(&kind).map(|seconds| seconds.iter().copied().fold(0.0, f64::max));
        let estimated_s = (self.cluster.estimate)(given.place).or_else(seen);
        Waiting { kind, memory_bytes: task.memory_bytes(), estimated_s, tries }
    }

    /// Tells that a task begins, once: what is tried again has begun before.
    pub(super) fn begin_once(&mut self, given: &Given, tell: &mut Tell<'_>) {
        if self.begun.insert(given.place) {
            let node = self.plan.node(given.place);
            tell(Event::Started { id: &node.id, kind: node.task.kind() });
        }
    }

    /// Says something once, at the first of the tasks that it is about.
    pub(super) fn warn(&mut self, message: &str, about: &[Vec<(Arc<Given>, Tries)>], tell: &mut Tell<'_>) {
        if !self.warned.insert(message.to_owned()) {
            return;
        }
        let first = about.iter().flatten().next().map(|(given, _)| given.place);
        let live =
            || self.live.values().flat_map(|live| &live.elements).flat_map(|element| element.given.values()).next();
        if let Some(place) = first.or_else(|| Some(live()?.place)) {
            tell(Event::Warned { id: &self.plan.node(place).id, message });
        }
    }
}

/// A digest that no other submission has.
fn fresh() -> Digest {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Digest::of(format!("{} {since_1970}", std::process::id()).as_bytes())
}
