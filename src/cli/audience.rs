//! Everyone who hears a run: the display, the file of `--events`, the log that other terminals read, and what is kept
//! afterwards. The executor tells; nobody here can stop it.

use super::{
    board::Board,
    error::CliError,
    estimate::{Estimates, Forecast},
    events::{Begun, Happening, KindCounts, Line, Moment},
    open::OpenStudy,
    progress::Display,
    runs::{Failed, Recording, RunRecord, StudyRuns, Traced, new_id},
    say,
    times::{Extent, Times},
};
use crate::{
    executor::{Event, Limits, Outcome},
    plan::{Assessment, Standing},
    store::Digest,
    task::Kind,
};
use petgraph::graph::NodeIndex;
use rayon::prelude::*;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

/// Least time between two lines about the progress of one task, and between two looks at the log by others.
const PAUSE: Duration = Duration::from_millis(100);

/// Those who listen to one run.
pub(super) struct Audience<'a> {
    open: &'a OpenStudy,
    places: HashMap<&'a str, NodeIndex>,
    estimates: Estimates,
    begun: Begun,
    began: Moment,
    board: Board,
    display: Display,
    file: Option<File>,
    recording: Option<Recording>,
    shown: Instant,
    progress_told: HashMap<NodeIndex, Instant>,
    finished: HashSet<NodeIndex>,
    times: Times,
}

impl<'a> Audience<'a> {
    pub(super) fn new(
        open: &'a OpenStudy,
        limits: Limits,
        fetched: &[NodeIndex],
        events: Option<&Path>,
        colours: bool,
        cancelled: &Arc<AtomicBool>,
    ) -> Result<Self, CliError> {
        let file = events.map(|path| File::create(path).map_err(CliError::file("create", path))).transpose()?;
        let unrecorded = Self::unrecorded(open, &open.assessment, limits, fetched, colours, cancelled);
        let (begun, began) = (&unrecorded.begun, unrecorded.began);
        // A run without work leaves no trace.
        let recording = (begun.to_run > 0)
            .then(|| Recording::begin(StudyRuns::of(open.store.root(), &open.study.file), &begun.run, began))
            .flatten();
        Ok(Self { file, recording, ..unrecorded })
    }

    /// Those who listen to a run that leaves nothing in the cache and starts from another standing than the study's own.
    pub(super) fn unrecorded(
        open: &'a OpenStudy,
        assessment: &Assessment,
        limits: Limits,
        fetched: &[NodeIndex],
        colours: bool,
        cancelled: &Arc<AtomicBool>,
    ) -> Self {
        let estimates = estimates(open);
        let began = Moment::now();
        let begun = begin(open, assessment, &estimates, limits, fetched, began);
        Self {
            open,
            places: open.plan.places().map(|place| (open.plan.node(place).id.as_str(), place)).collect(),
            estimates,
            display: Display::new(begun.to_run, colours, Arc::clone(cancelled)),
            begun,
            began,
            board: Board::default(),
            file: None,
            recording: None,
            shown: Instant::now(),
            progress_told: HashMap::new(),
            finished: HashSet::new(),
            times: Times::default(),
        }
    }

    /// Passes on what happened.
    pub(super) fn tell(&mut self, event: &Event<'_>) {
        let what = match event {
            Event::Begun { .. } => Some(Happening::Begun(Box::new(self.begun.clone()))),
            Event::Progress { id, .. } if !self.may_tell_progress(id.as_str()) => None,
            event => Happening::of(event, |task| {
                let place = self.places[task];
                (self.open.plan.node(place).task.memory_bytes(), self.estimates.of(place))
            }),
        };
        if let Event::Finished { id, outcome, seconds, .. } = event {
            let place = self.places[id.as_str()];
            self.finished.insert(place);
            if *outcome == Outcome::Computed {
                self.times.note(Extent::of(&self.open.plan, place), *seconds);
            }
        }
        if let Some(what) = what {
            let line = Line { what, time: Moment::now() };
            self.board.tell(&line);
            self.write(&line);
            if let Some(recording) = &mut self.recording {
                recording.tell(&line);
            }
            self.display.tell(&line, &self.board);
        }
        if let Some(recording) = &mut self.recording
            && (self.shown.elapsed() >= PAUSE || matches!(event, Event::Begun { .. } | Event::Ended { .. }))
        {
            recording.show();
            self.shown = Instant::now();
        }
        self.display.redraw(&self.board);
    }

    fn may_tell_progress(&mut self, task: &str) -> bool {
        let now = Instant::now();
        let told = self.progress_told.entry(self.places[task]).or_insert(self.shown);
        let may = now.duration_since(*told) >= PAUSE;
        if may {
            *told = now;
        }
        may
    }

    fn write(&mut self, line: &Line) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_all(line.to_text().as_bytes())
        {
            say(format_args!("warning: no more events are written: {error}"));
            self.file = None;
        }
    }

    /// Keeps how long tasks took, and gives what later commands ask for, which is written once the run is over.
    pub(super) fn end(self) -> Option<Closing> {
        self.times.save(self.open.store.root());
        let (recording, (ended, sums)) = (self.recording?, self.board.ended?);
        let record = RunRecord {
            run: self.begun.run,
            study: self.begun.study,
            file: self.begun.file,
            program: self.begun.program,
            began: self.began,
            ended,
            to_run: self.begun.to_run,
            sums,
            fields: self.open.study.fields.clone(),
            failures: self.board.failures.iter().map(Failed::from).collect(),
            reports: BTreeMap::new(),
        };
        let tasks = traced(self.open, |place| {
            let finished = self.finished.contains(&place).then(|| self.open.plan.node(place).recipe);
            Some(self.open.store.remembered(&finished?)?.output)
        });
        let reports = self.open.plan.places().filter(|place| self.open.plan.node(*place).task.kind() == Kind::Report);
        let reports = reports
            .filter_map(|place| Some((self.open.plan.node(place).id.to_string(), tasks[place.index()].output?)))
            .collect();
        Some(Closing(Some((recording, RunRecord { reports, ..record }, tasks))))
    }

    /// Seconds that the results in the cache once took.
    pub(super) fn saved_s(&self) -> f64 {
        self.begun.saved_s
    }
}

/// How a run ended and what every task led to. Others see the run go on until this is dropped, so that whoever waits for its
/// end finds its results laid out.
pub(super) struct Closing(Option<(Recording, RunRecord, Vec<Traced>)>);

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some((recording, record, tasks)) = self.0.take() {
            recording.end(&record, &tasks);
        }
    }
}

/// What every task of a study leads to; `fresh` gives the output of a task that has finished since the study was opened.
pub(super) fn traced(open: &OpenStudy, fresh: impl Fn(NodeIndex) -> Option<Digest> + Sync) -> Vec<Traced> {
    let places: Vec<NodeIndex> = open.plan.places().collect();
    let output = |place: &NodeIndex| match open.assessment.standing(*place) {
        Standing::Cached { output, .. } => fresh(*place).or(Some(*output)),
        Standing::Runs(_) | Standing::Unneeded => fresh(*place),
    };
    let outputs: Vec<Option<Digest>> = places.par_iter().map(output).collect();
    let trace = |place: &NodeIndex| {
        let node = open.plan.node(*place);
        let known = open.plan.inputs(*place).iter().all(|(_, input)| outputs[input.index()].is_some());
        let output_of = |input: NodeIndex| outputs[input.index()].expect("all inputs have an output");
        Traced {
            task: node.id.to_string(),
            recipe: node.recipe,
            content: known.then(|| open.plan.content_key(*place, output_of)),
            output: outputs[place.index()],
        }
    };
    places.par_iter().map(trace).collect()
}

/// How long each task of a study will take, as far as anything is known.
pub(super) fn estimates(open: &OpenStudy) -> Estimates {
    let last = |task: &str| open.last.tasks.get(task).map(|noted| noted.seconds);
    Estimates::new(&open.plan, &Times::read(open.store.root()), last)
}

/// The time of what would run.
pub(super) fn forecast(open: &OpenStudy, estimates: &Estimates, limits: Limits) -> Forecast {
    estimates.forecast(&open.plan, |place| matches!(open.assessment.standing(place), Standing::Runs(_)), limits)
}

fn begin(
    open: &OpenStudy,
    assessment: &Assessment,
    estimates: &Estimates,
    limits: Limits,
    fetched: &[NodeIndex],
    now: Moment,
) -> Begun {
    let fetched: HashSet<&NodeIndex> = fetched.iter().collect();
    let mut kinds: BTreeMap<Kind, KindCounts> = BTreeMap::new();
    let mut saved_s = 0.0;
    let to_run = |counts: &mut KindCounts, estimated_s: Option<f64>| {
        counts.to_run += 1;
        match estimated_s {
            Some(seconds) => counts.estimated_s += seconds,
            None => counts.unknown += 1,
        }
    };
    for place in open.plan.places() {
        let node = open.plan.node(place);
        let counts = kinds.entry(node.task.kind()).or_default();
        counts.total += 1;
        match assessment.standing(place) {
            Standing::Cached { .. } => {
                match fetched.contains(&place) {
                    // What was fetched for this run was to run, and its end is told.
                    true => to_run(counts, estimates.of(place)),
                    false => counts.cached += 1,
                }
                let noted = open.last.tasks.get(node.id.as_str()).filter(|noted| noted.recipe == node.recipe);
                saved_s += noted
                    .map(|noted| noted.seconds)
                    .or_else(|| Some(open.store.remembered(&node.recipe)?.run.seconds))
                    .unwrap_or_default();
            }
            Standing::Unneeded => {}
            Standing::Runs(_) => to_run(counts, estimates.of(place)),
        }
    }
    Begun {
        run: new_id(&open.study.file, now),
        pid: std::process::id(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        study: open.study.name.clone(),
        file: open.study.file.clone(),
        jobs: limits.tasks,
        total: open.plan.len(),
        cached: kinds.values().map(|counts| counts.cached).sum(),
        to_run: kinds.values().map(|counts| counts.to_run).sum(),
        saved_s,
        kinds,
    }
}
