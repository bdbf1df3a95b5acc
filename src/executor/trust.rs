//! What a run knows of the bytes that its tasks read.
//!
//! A result from the cache is read to its last byte before the first task computes with it, once a run; of a result that a task reads
//! some files of, those files are. What this run published itself is trusted. A file outside the cache must hold what it held when
//! the study was planned.

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

/// Files of an artifact that a task reads; all of them, if absent.
pub(super) type Files = Option<&'static [&'static str]>;

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
    verdicts: Mutex<HashMap<(Digest, Files), Verdict>>,
    files: FileDigests,
}

impl<'a> Trust<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self { store, verdicts: Mutex::default(), files: FileDigests::open(store.root(), false) }
    }

    /// Looks at an artifact, or at some of its files, unless that was done before; `recipe` is the key whose record describes it.
    pub(super) fn look(&self, output: &Digest, recipe: &Digest, files: Files) -> Result<Found, StoreError> {
        // Who has looked at all of it has looked at these.
        let known = self.verdicts.lock().expect("no holder panics").get(&(*output, None)).map(Arc::clone);
        let known = known.and_then(|verdict| *verdict.lock().expect("no holder panics"));
        if let Some(is_whole) = known.filter(|_| files.is_some()) {
            return Ok(if is_whole { Found::Whole } else { Found::Known });
        }
        let verdict = self.verdict(output, files);
        // Held while looking: who else needs the artifact waits for the answer.
        let mut verdict = verdict.lock().expect("no holder panics");
        match *verdict {
            Some(true) => return Ok(Found::Whole),
            Some(false) => return Ok(Found::Known),
            None => {}
        }
        let record = self.store.remembered(recipe).filter(|record| record.output == *output);
        let damage = self.store.check(output, record.as_ref().map(|record| record.files.as_slice()), files)?;
        *verdict = Some(damage.is_none());
        if damage.is_some() && files.is_some() {
            *self.verdict(output, None).lock().expect("no holder panics") = Some(false);
        }
        Ok(damage.map_or(Found::Whole, Found::Damaged))
    }

    /// A task may have stumbled over an artifact that was whole: it is looked at again.
    pub(super) fn doubt(&self, output: &Digest) {
        for verdict in self.all(output) {
            let mut verdict = verdict.lock().expect("no holder panics");
            *verdict = verdict.filter(|is_whole| !is_whole);
        }
    }

    /// An artifact of this run is whole: its bytes were hashed when it was published.
    pub(super) fn trust(&self, output: &Digest) {
        self.forget(output);
        let verdict = Arc::new(Mutex::new(Some(true)));
        self.verdicts.lock().expect("no holder panics").insert((*output, None), verdict);
    }

    /// An artifact was made elsewhere: whoever needs it looks for the first time.
    pub(super) fn forget(&self, output: &Digest) {
        self.verdicts.lock().expect("no holder panics").retain(|(known, _), _| known != output);
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

    fn verdict(&self, output: &Digest, files: Files) -> Verdict {
        Arc::clone(self.verdicts.lock().expect("no holder panics").entry((*output, files)).or_default())
    }

    fn all(&self, output: &Digest) -> Vec<Verdict> {
        let verdicts = self.verdicts.lock().expect("no holder panics");
        verdicts.iter().filter(|((known, _), _)| known == output).map(|(_, verdict)| Arc::clone(verdict)).collect()
    }
}
