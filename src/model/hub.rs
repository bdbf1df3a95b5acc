//! Models by name: `hf:OWNER/NAME@COMMIT` to a folder of files.
//!
//! Owns the decision what to fetch and what is there already; what the files mean is for `weights.rs`, `config.rs` and
//! `text.rs` to say. Reads no environment: `hub/settings.rs` takes the variables from its caller.
//!
//! The folder is the one that Python's `huggingface_hub` keeps (`hub/cache.rs`), so that nothing is fetched twice and files
//! that were placed by hand are found. A name has to be pinned to a commit, as a study must mean the same tomorrow, and
//! everything that arrives is compared with the digest by which the hub calls it.
//!
//! Once a commit's files are there, the network is not asked again.

mod address;
mod cache;
mod client;
mod content;
mod download;
mod error;
mod files;
mod name;
mod settings;

pub use error::HubError;
pub use name::HubModel;
pub use settings::HubSettings;

use crate::format::{memory::read_within, secret::hidden};
use cache::Snapshot;
use client::{Client, Failure, Request};
use download::Download;
use files::{
    CONFIG, MOST_INDEX_BYTES, MOST_TEXT_BYTES, MOST_WEIGHT_BYTES, OPTIONAL, WEIGHTS, choose_weights, is_index, shards,
};
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Bytes of a hub's list of a repository's files.
const MOST_LIST_BYTES: u64 = 1 << 24;

/// How far a file has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubProgress<'p> {
    /// The file's name.
    pub file: &'p str,
    /// The bytes that are there.
    pub done_bytes: u64,
    /// The bytes of the whole file.
    pub total_bytes: u64,
}

/// The files of one model, on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubFolder {
    /// The folder that they are in.
    pub folder: PathBuf,
    /// Their names, in order.
    pub names: Vec<String>,
    /// Names of files that are not there, though the hub may have them: it was not asked, or could not be.
    pub unasked: Vec<String>,
}

/// One file of a model, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubFile {
    /// The file's name.
    pub name: String,
    /// Its bytes.
    pub size_bytes: u64,
    /// The digest of its contents.
    pub digest: blake3::Hash,
}

impl HubFolder {
    /// Reads all files through for their digests.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn digest(&self) -> Result<Vec<HubFile>, HubError> {
        let one = |name: &String| {
            let path = self.folder.join(name);
            let mut hasher = blake3::Hasher::new();
            hasher.update_mmap_rayon(&path).map_err(HubError::file("read", &path))?;
            Ok(HubFile { name: name.clone(), size_bytes: hasher.count(), digest: hasher.finalize() })
        };
        self.names.iter().map(one).collect()
    }
}

/// Finds the files of a model in the cache, and fetches from the hub those that are not there.
///
/// `progress` is told of every quarter of a MiB that arrives.
///
/// # Errors
/// The model is not whole in the cache, and the network is off or the hub cannot be reached, refuses, or has no such model;
/// what arrives is not what the hub calls it; or the cache cannot be written.
pub fn fetch_model(
    model: &HubModel,
    settings: &HubSettings,
    progress: &mut dyn FnMut(HubProgress<'_>),
) -> Result<HubFolder, HubError> {
    let snapshot = Snapshot::of(model, &settings.cache);
    let there = There::look(&snapshot)?;
    if there.missing.is_empty() && there.unasked.is_empty() {
        return Ok(there.folder(&snapshot));
    }
    if settings.offline {
        if there.missing.is_empty() {
            return Ok(there.folder(&snapshot));
        }
        let (model, folder) = (model.clone(), snapshot.folder());
        return Err(HubError::Offline { model, folder, missing: there.missing });
    }
    let client = Client::new(settings, model);
    let url = client.address(&format!("api/models/{}/revision/{}", model.repository(), model.revision()));
    match fetch_missing(&client, &url, model, &snapshot, progress) {
        Ok(()) => Ok(There::look(&snapshot)?.folder(&snapshot)),
        // What the model cannot be without is there; who placed it by hand may have no network, or no token.
        Err(Failure::Passing { .. } | Failure::Unreachable { .. } | Failure::Lasting(HubError::Denied { .. }))
            if there.missing.is_empty() =>
        {
            Ok(There::look(&snapshot)?.folder(&snapshot))
        }
        Err(Failure::Lasting(error)) => Err(error),
        Err(Failure::Passing { reason, .. } | Failure::Unreachable { reason }) => {
            let missing = There::look(&snapshot)?.missing;
            let url = hidden(&url).into_owned();
            Err(HubError::Unreachable { model: model.clone(), url, reason, folder: snapshot.folder(), missing })
        }
    }
}

fn fetch_missing(
    client: &Client<'_>,
    url: &str,
    model: &HubModel,
    snapshot: &Snapshot,
    progress: &mut dyn FnMut(HubProgress<'_>),
) -> Result<(), Failure> {
    let found = list(client, url, model)?;
    if !found.iter().any(|name| name == CONFIG) {
        return Err(HubError::NoFile { model: model.clone(), file: CONFIG.to_owned(), found }.into());
    }
    let mut download = Download { client, model, snapshot, progress };
    for name in [CONFIG].into_iter().chain(OPTIONAL) {
        if snapshot.has(name) {
            continue;
        }
        if found.iter().any(|found| found == name) {
            download.file(name, MOST_TEXT_BYTES)?;
        } else {
            // In a cache that others keep there may be no place for the note, and the hub is asked next time again.
            let _ = snapshot.note_absent(name);
        }
    }
    let there = WEIGHTS.into_iter().find(|name| snapshot.has(name));
    let weights = match there {
        Some(name) => name,
        None => choose_weights(&found, model)?,
    };
    if !snapshot.has(weights) {
        download.file(weights, if is_index(weights) { MOST_INDEX_BYTES } else { MOST_WEIGHT_BYTES })?;
    }
    if is_index(weights) {
        for shard in read_shards(&snapshot.folder().join(weights))? {
            if !snapshot.has(&shard) {
                download.file(&shard, MOST_WEIGHT_BYTES)?;
            }
        }
    }
    Ok(())
}

/// The names of all files that the hub has of a commit.
fn list(client: &Client<'_>, url: &str, model: &HubModel) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct List {
        sha: Option<String>,
        siblings: Vec<Sibling>,
    }
    #[derive(Deserialize)]
    struct Sibling {
        rfilename: String,
    }
    let mut attempt = 1;
    let bytes = loop {
        let mut answer = client.ask_patiently(url, Request::Contents(0))?;
        let mut bytes = Vec::new();
        match answer.body_mut().as_reader().take(MOST_LIST_BYTES).read_to_end(&mut bytes) {
            Ok(_) => break bytes,
            Err(error) => client.pause(attempt, None, &format!("the connection broke: {error}"))?,
        }
        attempt += 1;
    };
    let list: List = serde_json::from_slice(&bytes)
        .map_err(|error| client.no_answer(url, format!("{} bytes ({error})", bytes.len()), "a list of files"))?;
    match list.sha {
        Some(sha) if sha != model.revision() => {
            Err(client.no_answer(url, format!("commit `{sha}`"), format!("`{}`", model.revision())).into())
        }
        _ => Ok(list.siblings.into_iter().map(|sibling| sibling.rfilename).collect()),
    }
}

/// What of a model is in the cache.
struct There {
    names: Vec<String>,
    missing: Vec<String>,
    unasked: Vec<String>,
}

impl There {
    fn look(snapshot: &Snapshot) -> Result<Self, HubError> {
        let mut there = Self { names: Vec::new(), missing: Vec::new(), unasked: Vec::new() };
        there.sort(snapshot, CONFIG);
        match WEIGHTS.into_iter().find(|name| snapshot.has(name)) {
            None => there.missing.push(WEIGHTS[0].to_owned()),
            Some(name) => {
                there.names.push(name.to_owned());
                if is_index(name) {
                    read_shards(&snapshot.folder().join(name))?.iter().for_each(|shard| there.sort(snapshot, shard));
                }
            }
        }
        for name in OPTIONAL {
            if snapshot.has(name) {
                there.names.push(name.to_owned());
            } else if !snapshot.is_absent(name) {
                there.unasked.push(name.to_owned());
            }
        }
        there.names.sort_unstable();
        Ok(there)
    }

    fn sort(&mut self, snapshot: &Snapshot, needed: &str) {
        let names = if snapshot.has(needed) { &mut self.names } else { &mut self.missing };
        names.push(needed.to_owned());
    }

    fn folder(self, snapshot: &Snapshot) -> HubFolder {
        HubFolder { folder: snapshot.folder(), names: self.names, unasked: self.unasked }
    }
}

fn read_shards(path: &Path) -> Result<BTreeSet<String>, HubError> {
    let bytes = read_within(path, MOST_INDEX_BYTES).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => HubError::Malformed { path: path.to_owned(), message: error.to_string() },
        _ => HubError::file("read", path)(error),
    })?;
    shards(&bytes).map_err(|message| HubError::Malformed { path: path.to_owned(), message })
}
