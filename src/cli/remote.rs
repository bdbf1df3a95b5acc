//! A run beside a shared cache: what is fetched before it, what its tasks ask for, what it gives. Wiring and words;
//! `share::remote` moves the bytes.

mod fetch;
mod give;

pub(super) use give::Giver;

use super::{say, words::size};
use crate::{
    executor::{Brought, Upstream},
    share::{AskedBy, Remote, RemoteError},
    spec::Study,
    store::{Digest, Record, Store, StoreError},
    task::Progress,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    cell::Cell,
    collections::HashSet,
    fmt::Display,
    path::{Path, absolute},
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::{Duration, Instant},
};

/// The shared cache of a study, as a run uses it.
#[derive(Clone, Debug)]
pub(super) struct SharedCache {
    remote: Arc<Remote>,
    store: Store,
    may_write: bool,
    /// Whom results are owed to: the place, however it was written.
    whom: Digest,
    /// Objects that were refused and told of: several keys lead to the same one.
    refused: Arc<Mutex<HashSet<String>>>,
}

impl SharedCache {
    /// The one that the study names, if it does and it can be had; that it cannot is said.
    pub(super) fn of(study: &Study, store: &Store) -> Option<Self> {
        let asked = study.remote.as_ref()?;
        match Remote::open(&asked.address, asked.may_write) {
            Ok(remote) => {
                let place = absolute(&asked.address.name).unwrap_or_default();
                let is_url = !asked.address.root.is_empty();
                let place = if is_url { asked.address.name.as_bytes() } else { place.as_os_str().as_encoded_bytes() };
                let (remote, store) = (Arc::new(remote), store.clone());
                Some(Self {
                    remote,
                    store,
                    may_write: asked.may_write,
                    whom: Digest::of(place),
                    refused: Arc::default(),
                })
            }
            Err(error) => {
                say(format_args!("warning: {}", alone(&error)));
                None
            }
        }
    }

    /// What is to be said of what went wrong: once that nobody answers, once that an object is refused.
    fn warning(&self, error: &RemoteError) -> Option<String> {
        match error {
            RemoteError::Away { .. } => self.remote.leave().then(|| alone(error)),
            RemoteError::Cancelled => None,
            RemoteError::Refused { object, .. }
                if !self.refused.lock().expect("no holder panics").insert(object.clone()) =>
            {
                None
            }
            error => Some(format!("{error}; it is computed here")),
        }
    }
}

/// What is said of a shared cache that cannot be used.
fn alone(error: &RemoteError) -> String {
    format!("{error}; this run goes on without it")
}

impl Upstream for SharedCache {
    fn bring(
        &self,
        content: &Digest,
        folder: &Path,
        cancelled: &AtomicBool,
        tell: &dyn Fn(Brought),
    ) -> Result<Option<Record>, StoreError> {
        if self.remote.is_away() {
            return Ok(None);
        }
        let brought = || -> Result<Option<Record>, RemoteError> {
            let Some(record) = self.remote.record(content, AskedBy::Content)? else { return Ok(None) };
            let (done, total) = (Cell::new(0), record.size_bytes());
            let hear = |bytes| {
                done.set(done.get() + bytes);
                // In KiB: the numbers stand beside a name and are read at a glance.
                tell(Brought::Progress(Progress { done: done.get().min(total) >> 10, total: total >> 10 }));
            };
            self.remote.bring(&self.store, &record, folder, &hear, cancelled)?;
            Ok(Some(record))
        };
        match brought() {
            Ok(record) => Ok(record),
            Err(RemoteError::Store(error)) => Err(error),
            Err(error) => {
                self.warning(&error).into_iter().for_each(|warning| tell(Brought::Warning(warning)));
                Ok(None)
            }
        }
    }
}

/// One line that changes on a terminal; elsewhere a line now and then.
struct Ticker {
    bar: ProgressBar,
    told: Mutex<Instant>,
}

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Ticker {
    fn new() -> Self {
        let bar = ProgressBar::no_length()
            .with_style(ProgressStyle::with_template("{spinner} {msg}").expect("the template is constant and valid"));
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, told: Mutex::new(Instant::now()) }
    }

    fn tell(&self, what: impl Display) {
        if !self.bar.is_hidden() {
            return self.bar.set_message(what.to_string());
        }
        let mut told = self.told.lock().expect("no holder panics");
        if told.elapsed() >= LINE_EVERY {
            *told = Instant::now();
            say(what);
        }
    }

    /// Says something above the line.
    fn warn(&self, what: &str) {
        self.bar.suspend(|| say(format_args!("warning: {what}")));
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// `1 result (2 MiB)`, `7 results (3 KiB)`.
fn results(n: usize, bytes: u64) -> String {
    format!("{} ({})", super::words::counted(n, "result"), size(bytes))
}
