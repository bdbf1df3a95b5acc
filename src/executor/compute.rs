//! One task, on a thread of its own: its inputs looked at, its key claimed, its result published.

use super::{
    Brought, Order, Outcome, RunError, Upstream,
    trust::{Found, Trust},
};
use crate::{
    plan::Role,
    store::{Claim, Damage, Digest, Published, Record, RunFacts, Store, StoreError, Traces},
    task::{Progress, TaskError, Workbench},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A task and where it is computed.
pub(super) struct Job<'a> {
    pub(super) order: &'a Order,
    pub(super) store: &'a Store,
    pub(super) trust: &'a Trust<'a>,
    pub(super) cancelled: &'a AtomicBool,
    /// Pauses before another attempt, where an error may pass.
    pub(super) pauses: &'a [Duration],
    /// Who may have its result.
    pub(super) upstream: Option<&'a dyn Upstream>,
}

/// Results that were found whole, with what the file system said of them before that.
type FoundWhole = Vec<(Digest, Traces)>;

/// Times that a task is computed from results that somebody writes to.
const READINGS: usize = 3;

/// How a task ended.
pub(super) enum Ended {
    /// It has its result. `before` is what the same content led to earlier, if that was another.
    Done { record: Box<Record>, outcome: Outcome, before: Option<Digest> },
    /// It has none.
    Failed(RunError),
    /// The run is being cancelled.
    Cancelled,
    /// These of its inputs, by number, have to be made anew first.
    Wants(Vec<usize>),
}

/// Whose result it is that something is said of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Owner {
    /// The task's own.
    Itself,
    /// That of an input, by number.
    Input(usize),
}

/// What a task says while it runs.
pub(super) enum News {
    Progress(Progress),
    Retried { attempt: usize, pause: Duration, error: RunError },
    Damaged { owner: Owner, damage: Damage },
    Warned(String),
}

impl Job<'_> {
    /// Computes the task, unless its content was computed before or elsewhere meanwhile.
    pub(super) fn run(&self, tell: &(dyn Fn(News) + Sync)) -> Ended {
        for attempt in 1.. {
            let error = match self.attempt(tell) {
                Ok(ended) => return ended,
                Err(RunError::Task(error)) if matches!(*error, TaskError::Cancelled) => return Ended::Cancelled,
                Err(error) => error,
            };
            let Some(pause) = self.pauses.get(attempt - 1).copied().filter(|_| error.passes()) else {
                return self.failed(error, tell);
            };
            tell(News::Retried { attempt, pause, error });
            if !self.sleep(pause) {
                return Ended::Cancelled;
            }
        }
        unreachable!("attempts end with the pauses between them")
    }

    /// The inputs that are not whole, and the traces of the others; with `again`, also those that were looked at before are.
    fn wants(&self, tell: &(dyn Fn(News) + Sync), again: bool) -> Result<(Vec<usize>, FoundWhole), StoreError> {
        let (mut wanted, mut traces) = (Vec::new(), Vec::new());
        for (number, input) in self.order.inputs.iter().enumerate() {
            let files = self.order.task.reads(input.role);
            if again {
                self.trust.doubt(&input.output);
            }
            match self.trust.look(&input.output, &input.recipe, files)? {
                Found::Whole(trace) => {
                    traces.push((input.output, trace));
                    continue;
                }
                Found::Damaged(damage) => tell(News::Damaged { owner: Owner::Input(number), damage }),
                Found::Known => {}
            }
            wanted.push(number);
        }
        Ok((wanted, traces))
    }

    /// A task that failed may have stumbled over an input that another program removed or changed meanwhile.
    fn failed(&self, error: RunError, tell: &(dyn Fn(News) + Sync)) -> Ended {
        if matches!(error, RunError::Task(_)) {
            match self.wants(tell, true) {
                Ok((wanted, _)) if !wanted.is_empty() => return Ended::Wants(wanted),
                // The first error says more than one about looking.
                _ => {}
            }
        }
        Ended::Failed(error.about(self.store.root()))
    }

    /// Computes it from bytes that stay as they are meanwhile.
    fn attempt(&self, tell: &(dyn Fn(News) + Sync)) -> Result<Ended, RunError> {
        let mut changing = None;
        for _ in 0..READINGS {
            match self.once(tell)? {
                Ok(ended) => return Ok(ended),
                Err(output) => {
                    self.trust.doubt(&output);
                    changing = Some(self.store.artifact(&output));
                }
            }
        }
        Err(StoreError::Changing { path: changing.expect("it was read more than once") }.into())
    }

    /// Computes it; gives back a result of another task that was written to while it was read.
    fn once(&self, tell: &(dyn Fn(News) + Sync)) -> Result<Result<Ended, Digest>, RunError> {
        let (wanted, mut traces) = self.wants(tell, false)?;
        if !wanted.is_empty() {
            return Ok(Ok(Ended::Wants(wanted)));
        }
        let Order { task, content, recipe, .. } = self.order;
        let Some(claim) = self.store.claim(content, || self.cancelled.load(Ordering::Relaxed))? else {
            return Ok(Ok(Ended::Cancelled));
        };
        let manifest = self.order.manifest().to_json();
        if let Some(record) = self.store.lookup(content) {
            let record = record.under(*recipe, manifest);
            self.set_aside_records(tell)?;
            self.store.remember(&record)?;
            return Ok(Ok(Ended::Done { record: Box::new(record), outcome: Outcome::Unchanged, before: None }));
        }
        if let Some(ended) = self.brought(&claim, tell)? {
            return Ok(Ok(ended));
        }
        self.assert_files()?;
        let started = Instant::now();
        let progress = |progress| tell(News::Progress(progress));
        let inputs = self.order.inputs.iter().map(|input| (input.role, self.store.artifact(&input.output)));
        let bench = Workbench::new(
            by_role(inputs),
            by_role(self.order.files.iter().map(|file| (file.role, file.path.clone()))),
            claim.folder()?,
            &progress,
            self.cancelled,
        );
        let family = self.family();
        let kin = self.kin(family.as_ref(), tell)?;
        let bench = bench.with_kin(kin.iter().map(|(output, _)| self.store.artifact(output)).collect());
        traces.extend(kin);
        catch_unwind(AssertUnwindSafe(|| {
            task.compute(&bench)?;
            bench.finish()
        }))
        .map_err(|payload| RunError::Panic(panic_text(payload.as_ref())))?
        .map_err(Box::new)?;
        self.assert_files()?;
        // A result under this key says that it was computed from just these bytes.
        for (output, before) in &traces {
            if !self.is_as_it_was(output, before)? {
                return Ok(Err(*output));
            }
        }
        let run = RunFacts {
            seconds: started.elapsed().as_secs_f64(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            finished_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs()),
        };
        let published = claim.publish(*recipe, manifest, run)?;
        if let Some(family) = family {
            self.store.add_to_family(&family, &published.record.output);
        }
        Ok(Ok(self.done(published, Outcome::Computed, tell)))
    }

    /// Whether a result of another task still holds what was read of it.
    fn is_as_it_was(&self, output: &Digest, before: &Traces) -> Result<bool, StoreError> {
        let now = self.store.traces(output);
        // A link to a file, or another mode, leaves a trace too: a cache may be copied by links while it is in use. Bytes tell.
        Ok(now == *before || now.tell_no_writing_since(before) && self.store.examine(output, None)?.is_empty())
    }

    /// The end of a task whose result was published just now, which nobody has to look at again.
    fn done(&self, published: Published, outcome: Outcome, tell: &(dyn Fn(News) + Sync)) -> Ended {
        for damage in published.damages {
            tell(News::Damaged { owner: Owner::Itself, damage });
        }
        self.trust.trust(&published.record.output);
        Ended::Done { record: Box::new(published.record), outcome, before: published.differs_from }
    }

    /// The result as someone else computed it from the same bytes, if there is one.
    fn brought(&self, claim: &Claim<'_>, tell: &(dyn Fn(News) + Sync)) -> Result<Option<Ended>, RunError> {
        let Some(upstream) = self.upstream else { return Ok(None) };
        let hear = |brought| match brought {
            Brought::Progress(progress) => tell(News::Progress(progress)),
            Brought::Warning(message) => tell(News::Warned(message)),
        };
        let brought = upstream.bring(&self.order.content, claim.folder()?, self.cancelled, &hear)?;
        if self.cancelled.load(Ordering::Relaxed) {
            return Ok(Some(Ended::Cancelled));
        }
        let Some(record) = brought else { return Ok(None) };
        let record = record.under(self.order.recipe, self.order.manifest().to_json());
        let published = claim.adopt(record)?;
        Ok(published.map(|published| self.done(published, Outcome::Fetched, tell)))
    }

    /// What tasks share that may take over parts of each other's results; absent where none may.
    fn family(&self) -> Option<Digest> {
        let task = &self.order.task;
        let roles = task.kin();
        if roles.is_empty() {
            return None;
        }
        let kind = task.kind();
        let mut shared = format!("{kind}\n{}\n{}\n", kind.version(), task.engine().unwrap_or_default());
        let inputs = self.order.inputs.iter().filter(|input| roles.contains(&input.role));
        shared.extend(inputs.map(|input| format!("{} {}\n", input.role, input.output)));
        let files = self.order.files.iter().filter(|file| roles.contains(&file.role));
        shared.extend(files.map(|file| format!("{} {}\n", file.role, file.digest)));
        Some(Digest::of(shared.as_bytes()))
    }

    /// Earlier results of the family, each looked at before it is used.
    fn kin(&self, family: Option<&Digest>, tell: &(dyn Fn(News) + Sync)) -> Result<FoundWhole, RunError> {
        let mut whole = FoundWhole::new();
        for output in family.map(|family| self.store.family(family)).unwrap_or_default() {
            match self.trust.look(&output, &self.order.recipe, None)? {
                Found::Whole(traces) => whole.push((output, traces)),
                Found::Damaged(damage) => tell(News::Damaged { owner: Owner::Itself, damage }),
                Found::Known => {}
            }
        }
        Ok(whole)
    }

    fn set_aside_records(&self, tell: &(dyn Fn(News) + Sync)) -> Result<(), RunError> {
        for key in [&self.order.content, &self.order.recipe] {
            if let Some(damage) = self.store.set_aside_record(key)? {
                tell(News::Damaged { owner: Owner::Itself, damage });
            }
        }
        Ok(())
    }

    /// A result is published under a key that says what is in its files, so they must hold just that, before and after.
    fn assert_files(&self) -> Result<(), RunError> {
        match self.trust.changed(&self.order.files)? {
            Some(file) => Err(RunError::Changed { path: file.path.clone() }),
            None => Ok(()),
        }
    }

    /// Whether the pause was slept to its end.
    fn sleep(&self, pause: Duration) -> bool {
        const SLICE: Duration = Duration::from_millis(20);
        let mut left = pause;
        while !left.is_zero() {
            if self.cancelled.load(Ordering::Relaxed) {
                return false;
            }
            let slice = left.min(SLICE);
            std::thread::sleep(slice);
            left -= slice;
        }
        !self.cancelled.load(Ordering::Relaxed)
    }
}

fn by_role<T>(entries: impl IntoIterator<Item = (Role, T)>) -> BTreeMap<Role, Vec<T>> {
    let mut grouped: BTreeMap<_, Vec<T>> = BTreeMap::new();
    for (role, entry) in entries {
        grouped.entry(role).or_default().push(entry);
    }
    grouped
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "no message".to_owned())
}
