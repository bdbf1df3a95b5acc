//! Artifacts that come from elsewhere: files that arrive piece by piece, and are believed when they are whole.
//!
//! What has arrived lies in `partial/` under the artifact's name, each file under the digest that it will have, so that an
//! interrupted transfer goes on from its length. Knows no network: whoever moves bytes hands them in.

use super::{
    Digest, OutputFile, Record, Store, StoreError, hash_file, io_error,
    lock::Lock,
    publish::{remove_file, remove_tree},
};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

/// An artifact on its way, which nobody else fetches as long as this is held.
#[derive(Debug)]
pub struct Arrival {
    folder: PathBuf,
    _lock: Lock,
}

/// A file on its way, open at its end.
#[derive(Debug)]
pub struct ArrivingFile {
    path: PathBuf,
    file: File,
    room_bytes: u64,
}

impl Store {
    /// Waits until no one else fetches the artifact, then holds the right to; gives nothing once `give_up` says so.
    ///
    /// # Errors
    /// If the folder or its lock cannot be made.
    pub fn arrival(&self, output: &Digest, give_up: impl Fn() -> bool) -> Result<Option<Arrival>, StoreError> {
        let name = format!("{output}-arriving");
        let Some(lock) = Lock::wait(&self.root().join("locks").join(&name), self.leases(), give_up)? else {
            return Ok(None);
        };
        let folder = self.root().join("partial").join(name);
        fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        Ok(Some(Arrival { folder, _lock: lock }))
    }
}

impl Arrival {
    /// Bytes of a file that have arrived.
    #[must_use]
    pub fn length(&self, file: &OutputFile) -> u64 {
        fs::metadata(self.path(file)).map_or(0, |found| found.len())
    }

    /// Opens a file to add to it.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(&self, file: &OutputFile) -> Result<ArrivingFile, StoreError> {
        let path = self.path(file);
        let opened = File::options().create(true).append(true).open(&path).map_err(io_error("write", &path))?;
        let there = opened.metadata().map_err(io_error("read", &path))?.len();
        Ok(ArrivingFile { path, file: opened, room_bytes: file.size_bytes.saturating_sub(there) })
    }

    /// Whether a file has arrived whole: its length and every byte are as expected.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn is_whole(&self, file: &OutputFile) -> Result<bool, StoreError> {
        let path = self.path(file);
        Ok(path.is_file() && self.length(file) == file.size_bytes && hash_file(&path)? == file.digest)
    }

    /// Removes what has arrived of a file.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn discard(&self, file: &OutputFile) -> Result<(), StoreError> {
        remove_file(&self.path(file)).map(drop)
    }

    /// Moves the files of a record, all whole, to where they belong in `folder`.
    ///
    /// # Errors
    /// If one cannot be moved.
    pub fn deliver(self, record: &Record, folder: &Path) -> Result<(), StoreError> {
        for (index, file) in record.files.iter().enumerate() {
            let target = folder.join(&file.path);
            let parent = target.parent().expect("a file of an artifact lies in a folder");
            fs::create_dir_all(parent).map_err(io_error("create", parent))?;
            let path = self.path(file);
            // Files of equal bytes arrive once.
            if record.files[index + 1..].iter().any(|other| other.digest == file.digest) {
                fs::copy(&path, &target).map_err(io_error("write", &target))?;
            } else {
                fs::rename(&path, &target).map_err(io_error("write", &target))?;
            }
        }
        remove_tree(&self.folder)
    }

    /// Removes whatever has arrived.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn abandon(self) -> Result<(), StoreError> {
        remove_tree(&self.folder)
    }

    fn path(&self, file: &OutputFile) -> PathBuf {
        self.folder.join(file.digest.to_string())
    }
}

impl ArrivingFile {
    /// Adds bytes; gives `false`, and adds none, if they are more than the file may have.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn add(&mut self, bytes: &[u8]) -> Result<bool, StoreError> {
        if bytes.len() as u64 > self.room_bytes {
            return Ok(false);
        }
        self.file.write_all(bytes).map_err(io_error("write", &self.path))?;
        self.room_bytes -= bytes.len() as u64;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_stays_for_the_next_and_never_grows_past_its_size() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path()).expect("writable");
        let file = OutputFile { path: "a/b.tsv".into(), size_bytes: 5, digest: Digest::of(b"whole") };
        let arrival = || store.arrival(&Digest::of(b"artifact"), || false).expect("lockable").expect("free");
        let first = arrival();
        assert!(first.open(&file).expect("writable").add(b"who").expect("writable"));
        assert!(store.arrival(&Digest::of(b"artifact"), || true).expect("lockable").is_none(), "held");
        drop(first);
        let second = arrival();
        assert_eq!(second.length(&file), 3);
        assert!(!second.is_whole(&file).expect("readable"));
        let mut open = second.open(&file).expect("writable");
        assert!(!open.add(b"le!").expect("writable"), "too long");
        assert!(open.add(b"le").expect("writable"));
        assert!(second.is_whole(&file).expect("readable"));
    }
}
