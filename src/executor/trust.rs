//! What a run knows of the bytes that its tasks read.
//!
//! A result from the cache is read to its last byte before the first task computes with it, once a run; what this run
//! published itself is trusted. A file outside the cache must hold what it held when the study was planned.

use crate::{
    plan::ExternalFile,
    store::{Damage, Digest, FileDigests, Store, StoreError},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// Whether an artifact is whole; absent as long as nobody has looked.
type Verdict = Arc<Mutex<Option<bool>>>;

/// How an artifact was found.
pub(super) enum Found {
    Whole,
    /// Found damaged by this look, and set aside.
    Damaged(Damage),
    /// Found damaged by another task, which told about it.
    Known,
}

/// What is known of artifacts and files.
pub(super) struct Trust<'a> {
    store: &'a Store,
    verdicts: Mutex<HashMap<Digest, Verdict>>,
    files: FileDigests,
}

impl<'a> Trust<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self { store, verdicts: Mutex::default(), files: FileDigests::open(store.root(), false) }
    }

    /// Looks at an artifact unless that was done before; `recipe` is the key whose record describes it.
    pub(super) fn look(&self, output: &Digest, recipe: &Digest) -> Result<Found, StoreError> {
        let verdict = self.verdict(output);
        // Held while looking: who else needs the artifact waits for the answer.
        let mut verdict = verdict.lock().expect("no holder panics");
        match *verdict {
            Some(true) => return Ok(Found::Whole),
            Some(false) => return Ok(Found::Known),
            None => {}
        }
        let record = self.store.remembered(recipe).filter(|record| record.output == *output);
        let damage = self.store.check(output, record.as_ref().map(|record| record.files.as_slice()))?;
        *verdict = Some(damage.is_none());
        Ok(damage.map_or(Found::Whole, Found::Damaged))
    }

    /// A task may have stumbled over an artifact that was whole: it is looked at again.
    pub(super) fn doubt(&self, output: &Digest) {
        let verdict = self.verdict(output);
        let mut verdict = verdict.lock().expect("no holder panics");
        *verdict = verdict.filter(|is_whole| !is_whole);
    }

    /// An artifact of this run is whole: its bytes were hashed when it was published.
    pub(super) fn trust(&self, output: &Digest) {
        let verdict = Arc::new(Mutex::new(Some(true)));
        self.verdicts.lock().expect("no holder panics").insert(*output, verdict);
    }

    /// An artifact was made elsewhere: whoever needs it looks for the first time.
    pub(super) fn forget(&self, output: &Digest) {
        self.verdicts.lock().expect("no holder panics").remove(output);
    }

    /// The first of these files that does not hold what it held when the study was planned.
    pub(super) fn changed<'f>(&self, files: &'f [ExternalFile]) -> Result<Option<&'f ExternalFile>, StoreError> {
        for file in files {
            if self.files.digest(&file.path)?.digest != file.digest {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    fn verdict(&self, output: &Digest) -> Verdict {
        Arc::clone(self.verdicts.lock().expect("no holder panics").entry(*output).or_default())
    }
}
