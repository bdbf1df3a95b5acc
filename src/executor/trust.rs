//! What a run knows of the bytes that its tasks read.
//!
//! A result from the cache is read to its last byte before the first task computes with it, once a run; of a result that a task reads
//! some files of, those files are. What this run published itself is trusted. Whoever has read a result compares afterwards what
//! the file system says of it with what it said before that look. A file outside the cache must hold what it held when the study
//! was planned.

use crate::{
    plan::ExternalFile,
    store::{Damage, Digest, FileDigests, Store, StoreError, Traces},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// What a look at an artifact found.
type Verdict = Arc<Mutex<Look>>;

/// Whether an artifact is whole.
#[derive(Clone, Copy, Default)]
enum Look {
    /// Nobody has looked.
    #[default]
    Never,
    Damaged,
    /// With its traces from before its bytes were read.
    Whole(Traces),
}

impl Look {
    fn found(self) -> Option<Found> {
        match self {
            Self::Never => None,
            Self::Damaged => Some(Found::Known),
            Self::Whole(traces) => Some(Found::Whole(traces)),
        }
    }
}

/// Files of an artifact that a task reads; all of them, if absent.
pub(super) type Files = Option<&'static [&'static str]>;

/// How an artifact was found.
pub(super) enum Found {
    /// With its traces ([`Store::traces`]) from before the look: who reads other bytes later finds others.
    Whole(Traces),
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
        let known = known.and_then(|verdict| verdict.lock().expect("no holder panics").found());
        if let Some(found) = known.filter(|_| files.is_some()) {
            return Ok(found);
        }
        let verdict = self.verdict(output, files);
        // Held while looking: who else needs the artifact waits for the answer.
        let mut verdict = verdict.lock().expect("no holder panics");
        if let Some(found) = verdict.found() {
            return Ok(found);
        }
        let traces = self.store.traces(output);
        let record = self.store.remembered(recipe).filter(|record| record.output == *output);
        let damage = self.store.check(output, record.as_ref().map(|record| record.files.as_slice()), files)?;
        *verdict = if damage.is_none() { Look::Whole(traces) } else { Look::Damaged };
        if damage.is_some() && files.is_some() {
            *self.verdict(output, None).lock().expect("no holder panics") = Look::Damaged;
        }
        Ok(damage.map_or(Found::Whole(traces), Found::Damaged))
    }

    /// A task may have stumbled over an artifact that was whole: it is looked at again.
    pub(super) fn doubt(&self, output: &Digest) {
        for verdict in self.all(output) {
            let mut verdict = verdict.lock().expect("no holder panics");
            if matches!(*verdict, Look::Whole(_)) {
                *verdict = Look::Never;
            }
        }
    }

    /// An artifact of this run is whole: its bytes were hashed when it was published.
    pub(super) fn trust(&self, output: &Digest) {
        self.forget(output);
        let verdict = Arc::new(Mutex::new(Look::Whole(self.store.traces(output))));
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
