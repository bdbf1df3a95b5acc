//! A cache that several machines share: records and artifacts in an object store, laid out as the cache on disk is.
//!
//! ```text
//! artifacts/ab/DIGEST/FILE   records/ab/KEY.json
//! ```
//!
//! What comes from there is a stranger's word until it was checked: the record by `store`, the bytes by their digests
//! (`transfer.rs`). `push.rs` gives results, `open.rs` finds the service. A service that does not answer is left alone for the
//! rest of the run: [`Remote::is_away`].

mod open;
mod push;
mod transfer;

use crate::{
    format::secret::{Secrets, hidden},
    spec::RemoteAddress,
    store::{Digest, LARGEST_RECORD_BYTES, Record, StoreError},
};
use futures_util::StreamExt;
use object_store::{Error as ObjectError, GetOptions, ObjectStore, path::Path as ObjectPath};
pub use push::Pushed;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};
use tokio::runtime::Runtime;

/// The longest that a small request may take, attempts and pauses together.
const PATIENCE: Duration = Duration::from_secs(12);

/// Bytes that are asked for, or given, at once.
const PART_BYTES: u64 = 8 << 20;

/// A shared cache that was found.
#[derive(Debug)]
pub struct Remote {
    name: String,
    objects: Arc<dyn ObjectStore>,
    prefix: String,
    runtime: Runtime,
    away: OnceLock<()>,
    /// What no message may hold, whoever wrote it.
    secrets: Secrets,
    /// Objects that were not what they should be: what is given to others takes their place.
    refused: Mutex<HashSet<String>>,
}

/// Which key of a record is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// What was asked for.
    Recipe,
    /// What went in.
    Content,
}

/// Why a shared cache did not give or take something.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It does not answer, or refuses whoever asks.
    #[error("`{remote}` cannot be used: {why}")]
    Away {
        /// Its name.
        remote: String,
        /// What was said.
        why: String,
    },
    /// What it has is not what it should be.
    #[error("`{object}` in `{remote}` is not to be believed: {why}")]
    Refused {
        /// The shared cache.
        remote: String,
        /// The object in it.
        object: String,
        /// What differs.
        why: String,
    },
    /// A result of this cache holds other bytes than were published, so it is not given to others.
    #[error("`{path}` in `{output}` holds other bytes than were published")]
    Damaged {
        /// The artifact.
        output: Digest,
        /// The file in it.
        path: String,
    },
    /// The cache of this machine could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whoever asked does not want it any more.
    #[error("cancelled")]
    Cancelled,
}

impl Remote {
    /// Finds the service, with credentials from the environment. Asks it nothing yet.
    ///
    /// # Errors
    /// If the folder is not there, or the environment has not what the service needs. With `may_write`, a folder is made.
    pub fn open(address: &RemoteAddress, may_write: bool) -> Result<Self, RemoteError> {
        let secrets = open::secrets();
        let away =
            |why: String| RemoteError::Away { remote: plain(&address.name), why: plain(&secrets.hidden_in(&why)) };
        let objects = open::objects(address, may_write).map_err(away)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| away(error.to_string()))?;
        let (name, prefix) = (plain(&address.name), address.prefix.clone());
        Ok(Self { name, objects, prefix, runtime, away: OnceLock::new(), secrets, refused: Mutex::default() })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it did not answer before, so that nobody asks it again.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away.get().is_some()
    }

    /// Asks it nothing more; gives whether this is the first to say so.
    pub fn leave(&self) -> bool {
        self.away.set(()).is_ok()
    }

    /// The record of a key, checked; absent if there is none.
    ///
    /// # Errors
    /// If nobody answers, or the record is not to be believed.
    pub fn record(&self, key: &Digest, by: AskedBy) -> Result<Option<Record>, RemoteError> {
        let object = record_name(key);
        let Some(bytes) = self.small(&object)? else { return Ok(None) };
        let refused = |why| self.refused(&object, why);
        let record = Record::from_elsewhere(&bytes, key).map_err(refused)?;
        let own = match by {
            AskedBy::Recipe => record.recipe,
            AskedBy::Content => record.content,
        };
        if own != *key {
            return Err(self.refused(&object, "it belongs to another key".to_owned()));
        }
        Ok(Some(record))
    }

    /// A whole small object; absent if there is none.
    fn small(&self, object: &str) -> Result<Option<Vec<u8>>, RemoteError> {
        let path = self.path(object);
        let read = async {
            let found = self.objects.get_opts(&path, GetOptions::default()).await?;
            if found.meta.size > LARGEST_RECORD_BYTES {
                return Ok(Err(found.meta.size));
            }
            // What comes counts, not what was announced.
            let (mut bytes, mut pieces) = (Vec::new(), found.into_stream());
            while let Some(piece) = pieces.next().await {
                bytes.extend_from_slice(&piece?);
                if bytes.len() as u64 > LARGEST_RECORD_BYTES {
                    return Ok(Err(bytes.len() as u64));
                }
            }
            Ok(Ok(bytes))
        };
        match self.wait(PATIENCE, read)? {
            Ok(Ok(bytes)) => Ok(Some(bytes)),
            Ok(Err(size)) => {
                Err(self
                    .refused(object, format!("it has {size} bytes or more, expected at most {LARGEST_RECORD_BYTES}")))
            }
            Err(ObjectError::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.away(&error)),
        }
    }

    /// Waits for an answer, but not for ever.
    fn wait<T>(&self, patience: Duration, answer: impl Future<Output = T>) -> Result<T, RemoteError> {
        // The timer must be made inside the runtime that drives it.
        let answer = async { tokio::time::timeout(patience, answer).await };
        self.runtime.block_on(answer).map_err(|_| self.silent(patience))
    }

    fn silent(&self, patience: Duration) -> RemoteError {
        let why = format!("no answer within {} s", patience.as_secs());
        RemoteError::Away { remote: self.name.clone(), why }
    }

    fn away(&self, error: &ObjectError) -> RemoteError {
        RemoteError::Away { remote: self.name.clone(), why: plain(&self.secrets.hidden_in(&told(error))) }
    }

    fn refused(&self, object: &str, why: String) -> RemoteError {
        self.refused.lock().expect("no holder panics").insert(object.to_owned());
        RemoteError::Refused {
            remote: self.name.clone(),
            object: plain(object),
            why: plain(&self.secrets.hidden_in(&why)),
        }
    }

    fn path(&self, object: &str) -> ObjectPath {
        ObjectPath::from(format!("{}/{object}", self.prefix))
    }
}

/// Where the record of a key lies.
fn record_name(key: &Digest) -> String {
    let key = key.to_string();
    format!("records/{}/{key}.json", &key[..2])
}

/// Where a file of an artifact lies.
fn file_name(output: &Digest, path: &str) -> String {
    let output = output.to_string();
    format!("artifacts/{}/{output}/{path}", &output[..2])
}

/// The cause at the bottom of an error: what lies above only says that something failed.
fn told(error: &ObjectError) -> String {
    match error {
        ObjectError::PermissionDenied { .. } => "it refuses the credentials of this environment".to_owned(),
        ObjectError::Unauthenticated { .. } => {
            "it wants credentials, and those of this environment do not do".to_owned()
        }
        error => {
            let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
            let told: Vec<String> = causes.map(ToString::to_string).collect();
            match told.as_slice() {
                [.., last] if told.len() > 1 => format!("{} ({last})", told[0]),
                _ => told.concat(),
            }
        }
    }
}

/// Most letters that are told of what a service says.
const TOLD: usize = 400;

/// What others wrote, without what would move a terminal's cursor, and not at any length.
fn plain(text: &str) -> String {
    let text = hidden(text);
    let letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let told: String = letters.take(TOLD).collect();
    if text.chars().count() > TOLD { told + "…" } else { told }
}
