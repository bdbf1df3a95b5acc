//! Before a run: from what is wanted downwards, results that others have computed. Nothing upstream of one is asked for.

use super::{SharedCache, Ticker, results};
use crate::{
    cli::{error::CliError, open::OpenStudy, say},
    plan::{Plan, Standing},
    share::{AskedBy, RemoteError},
    store::StoreError,
};
use petgraph::graph::NodeIndex;
use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

/// Requests at once: most of the time goes into waiting for answers.
const AT_ONCE: usize = 8;

impl SharedCache {
    /// Fetches what is wanted and not here; gives the tasks whose results were fetched. `shown` are read after the run, beside
    /// what the study ends in.
    pub(in crate::cli) fn fetch(
        &self,
        open: &mut OpenStudy,
        shown: &[NodeIndex],
        cancelled: &AtomicBool,
    ) -> Result<Vec<NodeIndex>, CliError> {
        let mut targets: Vec<NodeIndex> = open.plan.places().filter(|place| open.plan.is_end(*place)).collect();
        let ends: HashSet<NodeIndex> = targets.iter().copied().collect();
        targets.extend(shown.iter().filter(|place| !ends.contains(place)));
        targets.dedup();
        open.narrow_to(&targets);
        // A cache that cannot be written to is told of by the first who has to write there.
        if self.store.assert_writable().is_err() {
            return Ok(Vec::new());
        }
        let runs = |place: &NodeIndex| matches!(open.assessment.standing(*place), Standing::Runs(_));
        let mut front: Vec<NodeIndex> = targets.iter().copied().filter(runs).collect();
        let mut asked: HashSet<NodeIndex> = front.iter().copied().collect();
        let (mut fetched, bytes, ticker) = (Vec::new(), AtomicU64::new(0), Ticker::new());
        while !front.is_empty() && !self.remote.is_away() && !cancelled.load(Ordering::Relaxed) {
            let wave = Wave { shared: self, plan: &open.plan, cancelled, ticker: &ticker, bytes: &bytes };
            let found = wave.ask(&front, fetched.len())?;
            let missing = front.iter().filter(|place| !found.contains(place));
            let inputs = missing.flat_map(|place| open.plan.inputs(*place)).map(|(_, input)| input);
            let next: Vec<NodeIndex> = inputs.filter(|input| runs(input) && asked.insert(*input)).collect();
            fetched.extend(front.iter().filter(|place| found.contains(place)));
            front = next;
        }
        drop(ticker);
        if !fetched.is_empty() {
            let what = results(fetched.len(), bytes.into_inner());
            say(format_args!("fetched {what} from {}", self.remote.name()));
            open.narrow_to(&targets);
        }
        Ok(fetched)
    }
}

/// Tasks that are asked for together.
struct Wave<'a> {
    shared: &'a SharedCache,
    plan: &'a Plan,
    cancelled: &'a AtomicBool,
    ticker: &'a Ticker,
    bytes: &'a AtomicU64,
}

impl Wave<'_> {
    /// Those of the tasks whose results are here now.
    fn ask(&self, front: &[NodeIndex], n_before: usize) -> Result<HashSet<NodeIndex>, StoreError> {
        let (next, found, failed) = (AtomicUsize::new(0), Mutex::new(HashSet::new()), Mutex::new(None));
        let work = || {
            while let Some(place) = front.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.shared.remote.is_away() || self.cancelled.load(Ordering::Relaxed) {
                    return;
                }
                match self.obtain(*place) {
                    Ok(true) => drop(found.lock().expect("no holder panics").insert(*place)),
                    Ok(false) => {}
                    Err(RemoteError::Store(error)) => {
                        next.store(front.len(), Ordering::Relaxed);
                        *failed.lock().expect("no holder panics") = Some(error);
                    }
                    Err(error) => {
                        self.shared.warning(&error).iter().for_each(|warning| self.ticker.warn(warning));
                    }
                }
                let n_found = n_before + found.lock().expect("no holder panics").len();
                let asked = next.load(Ordering::Relaxed).min(front.len());
                let what = results(n_found, self.bytes.load(Ordering::Relaxed));
                let name = self.shared.remote.name();
                self.ticker.tell(format_args!("fetching from {name}: {what}, asked for {asked} of {}", front.len()));
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(front.len()) {
                scope.spawn(work);
            }
        });
        match failed.into_inner().expect("no holder panics") {
            Some(error) => Err(error),
            None => Ok(found.into_inner().expect("no holder panics")),
        }
    }

    /// Whether a task has its result now.
    fn obtain(&self, place: NodeIndex) -> Result<bool, RemoteError> {
        let SharedCache { remote, store, .. } = self.shared;
        let recipe = self.plan.node(place).recipe;
        let Some(record) = remote.record(&recipe, AskedBy::Recipe)? else { return Ok(false) };
        // The fields of the key are known here: nobody is believed about them.
        let record = record.under(recipe, self.plan.manifest(place).to_json());
        let claim = store.claim(&record.content, || self.cancelled.load(Ordering::Relaxed))?;
        let claim = claim.ok_or(RemoteError::Cancelled)?;
        if let Some(known) = store.lookup(&record.content) {
            // Where others had another result from the same bytes, the one that is here stands, and the run will find it.
            if known.output == record.output {
                store.remember(&record)?;
            }
            return Ok(known.output == record.output);
        }
        let files = record.files.iter().map(|file| (file.path.as_str(), file.size_bytes));
        if store.is_whole(&record.output, files) {
            store.remember(&record)?;
            return Ok(true);
        }
        let hear = |bytes| {
            let all = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
            self.ticker.tell(format_args!("fetching from {}: {}", remote.name(), super::size(all)));
        };
        remote.bring(store, &record, claim.folder()?, &hear, self.cancelled)?;
        Ok(claim.adopt(record)?.is_some())
    }
}
