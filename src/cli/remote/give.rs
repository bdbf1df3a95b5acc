//! During and after a run: what was computed here goes to the shared cache, from a thread of its own.
//!
//! Every result is noted as owed before it is given, so that what a killed run did not give, the next one does.

use super::{SharedCache, Ticker, results};
use crate::{
    cli::{say, words::counted},
    share::RemoteError,
    store::{Digest, StoreError},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Gives results one after the other, while tasks run.
pub(in crate::cli) struct Giver {
    shared: SharedCache,
    sender: Sender<Digest>,
    thread: JoinHandle<()>,
    told: Arc<Told>,
}

/// How far the thread is.
#[derive(Default)]
struct Told {
    to_give: AtomicUsize,
    given: AtomicUsize,
    bytes: AtomicU64,
    warnings: Mutex<Vec<String>>,
}

/// Warnings that are said one by one.
const SAID: usize = 3;

impl SharedCache {
    /// Begins to give what earlier runs still owe, if this cache may be written to.
    pub(in crate::cli) fn giver(&self, cancelled: &Arc<AtomicBool>) -> Option<Giver> {
        if !self.may_write || self.remote.is_away() {
            return None;
        }
        let (sender, receiver) = mpsc::channel();
        let told = Arc::new(Told::default());
        for recipe in self.store.owed(&self.whom) {
            told.to_give.fetch_add(1, Ordering::Relaxed);
            // Its receiver is still here.
            let _ = sender.send(recipe);
        }
        let (shared, thread_told, cancelled) = (self.clone(), Arc::clone(&told), Arc::clone(cancelled));
        let thread = thread::spawn(move || shared.give_all(&receiver, &thread_told, &cancelled));
        Some(Giver { shared: self.clone(), sender, thread, told })
    }

    fn give_all(&self, recipes: &Receiver<Digest>, told: &Told, cancelled: &AtomicBool) {
        for recipe in recipes {
            match self.give(&recipe, cancelled) {
                Ok(bytes) => {
                    told.given.fetch_add(1, Ordering::Relaxed);
                    told.bytes.fetch_add(bytes, Ordering::Relaxed);
                }
                Err(RemoteError::Cancelled) => return,
                Err(error) => {
                    let is_away = matches!(error, RemoteError::Away { .. });
                    // That it is away may have been said by who asked it for something.
                    if !is_away || self.remote.leave() {
                        told.warnings.lock().expect("no holder panics").push(error.to_string());
                    }
                    if is_away {
                        return;
                    }
                }
            }
        }
    }

    fn give(&self, recipe: &Digest, cancelled: &AtomicBool) -> Result<u64, RemoteError> {
        if cancelled.load(Ordering::Relaxed) {
            return Err(RemoteError::Cancelled);
        }
        // What was removed or damaged since is owed no more: it will be computed again, and owed again.
        let Some(record) = self.store.lookup(recipe) else {
            self.store.settle(&self.whom, recipe)?;
            return Ok(0);
        };
        match self.remote.push(&self.store, &record, cancelled) {
            Ok(pushed) => {
                self.store.settle(&self.whom, recipe)?;
                Ok(pushed.bytes)
            }
            Err(error) => {
                if matches!(error, RemoteError::Damaged { .. }) {
                    self.store.settle(&self.whom, recipe)?;
                }
                Err(error)
            }
        }
    }
}

impl Giver {
    /// Takes note of a result that was computed here.
    pub(in crate::cli) fn take(&self, recipe: &Digest) -> Result<(), StoreError> {
        self.shared.store.owe(&self.shared.whom, recipe)?;
        self.told.to_give.fetch_add(1, Ordering::Relaxed);
        // A thread that has ended met nobody; what it did not give stays owed.
        let _ = self.sender.send(*recipe);
        Ok(())
    }

    /// Waits until everything is given, and says what came of it.
    pub(in crate::cli) fn finish(self) {
        let Self { shared, sender, thread, told } = self;
        drop(sender);
        let (name, to_give) = (shared.remote.name(), told.to_give.load(Ordering::Relaxed));
        let ticker = Ticker::new();
        while !thread.is_finished() {
            let given = told.given.load(Ordering::Relaxed);
            ticker.tell(format_args!("giving results to {name}: {given} of {to_give}"));
            thread::sleep(Duration::from_millis(50));
        }
        drop(ticker);
        // It panics only for a broken invariant, which it has said.
        let _ = thread.join();
        let warnings = told.warnings.lock().expect("no holder panics");
        for warning in warnings.iter().take(SAID) {
            say(format_args!("warning: {warning}"));
        }
        if warnings.len() > SAID {
            say(format_args!("warning: and {} more results could not be given", warnings.len() - SAID));
        }
        let given = told.given.load(Ordering::Relaxed);
        if given > 0 {
            say(format_args!("gave {} to {name}", results(given, told.bytes.load(Ordering::Relaxed))));
        }
        let left = shared.store.owed(&shared.whom).len();
        if left > 0 {
            say(format_args!("{} still to be given to {name}: the next run goes on", counted(left, "result")));
        }
    }
}
