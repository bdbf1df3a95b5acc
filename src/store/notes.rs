//! Notes about studies, and the pinned ones. Owns where they lie; what is in them is for whoever knows studies.

use super::{
    Digest, Store, StoreError, io_error,
    publish::remove_file,
    seal::{sealed, unsealed},
    write_whole,
};
use crate::format::memory::read_within;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Bytes of a note, or of an index, that is read: one of a hundred thousand tasks has a tenth of that.
pub(super) const LARGEST_NOTE_BYTES: u64 = 256 << 20;

/// A note that was looked for by listing a folder: what it holds, or what is wrong with it.
pub type Listed<T> = (Digest, PathBuf, Result<T, String>);

impl Store {
    /// Reads what was noted about a study under `name`; absent if nothing readable is there.
    #[must_use]
    pub fn study_note<T: DeserializeOwned>(&self, name: &Digest) -> Option<T> {
        unsealed(&read_within(&self.study_path(name), LARGEST_NOTE_BYTES).ok()?).ok()
    }

    /// Notes something about a study under `name`.
    ///
    /// # Errors
    /// If the note cannot be written.
    pub fn note_study<T: Serialize>(&self, name: &Digest, note: &T) -> Result<(), StoreError> {
        write_whole(self.root(), &self.study_path(name), &sealed(note))
    }

    /// Every note about a study.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn study_notes<T: DeserializeOwned>(&self) -> Result<Vec<Listed<T>>, StoreError> {
        list(&self.root().join("studies"))
    }

    /// Keeps a note whatever happens to its study.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn pin<T: Serialize>(&self, name: &Digest, note: &T) -> Result<(), StoreError> {
        write_whole(self.root(), &self.pin_path(name), &sealed(note))
    }

    /// Lets a pinned note go; says whether there was one.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn unpin(&self, name: &Digest) -> Result<bool, StoreError> {
        remove_file(&self.pin_path(name))
    }

    /// Every pinned note.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn pins<T: DeserializeOwned>(&self) -> Result<Vec<Listed<T>>, StoreError> {
        list(&self.root().join("pins"))
    }

    pub(super) fn study_path(&self, name: &Digest) -> PathBuf {
        self.root().join("studies").join(name.to_string()).with_extension("json")
    }

    fn pin_path(&self, name: &Digest) -> PathBuf {
        self.root().join("pins").join(name.to_string()).with_extension("json")
    }
}

fn list<T: DeserializeOwned>(folder: &Path) -> Result<Vec<Listed<T>>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io_error("read", folder))?,
    };
    let mut notes = Vec::new();
    for entry in entries {
        let path = entry.map_err(io_error("read", folder))?.path();
        let name = path.file_stem().map(|name| name.to_string_lossy().parse());
        if let Some(Ok(name)) = name {
            let note = read_within(&path, LARGEST_NOTE_BYTES)
                .map_err(|error| error.to_string())
                .and_then(|bytes| unsealed(&bytes));
            notes.push((name, path, note));
        }
    }
    notes.sort_by_key(|(name, ..)| *name);
    Ok(notes)
}
