//! Digests of files outside the store, remembered.
//!
//! Owns `files.json`: a digest per path, valid while size, time of change and inode stay. The memo is advisory: without it
//! every file is read again and the answers are the same. Published results are hashed in `publish.rs`, never from here.

use super::{Digest, StoreError, io_error, write_atomic};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Mutex,
    time::UNIX_EPOCH,
};

/// Size and content of a file outside the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileDigest {
    /// BLAKE3 of the file's bytes.
    pub digest: Digest,
    /// Length in bytes.
    pub size_bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size_bytes: u64,
    modified_ns: u128,
    inode: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Memo {
    stamp: Stamp,
    digest: Digest,
}

/// Told of every file that is read, with its size in bytes.
type Watcher = Box<dyn Fn(&Path, u64) + Send + Sync>;

/// Hashes files and remembers the digests between runs.
pub struct FileDigests {
    memo_path: PathBuf,
    watcher: Watcher,
    memos: Mutex<BTreeMap<PathBuf, Memo>>,
    changed: Mutex<bool>,
}

impl FileDigests {
    /// Opens the memo in `root`; with `rehash`, or if the memo cannot be read, every file is hashed anew.
    #[must_use]
    pub fn open(root: &Path, rehash: bool) -> Self {
        let memo_path = root.join("files.json");
        let memos = if rehash {
            BTreeMap::new()
        } else {
            fs::read(&memo_path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
        };
        Self { memo_path, watcher: Box::new(|_, _| ()), memos: Mutex::new(memos), changed: Mutex::new(false) }
    }

    /// The same, telling `watcher` of every file before it is read: large ones take a while.
    #[must_use]
    pub fn watched_by(self, watcher: impl Fn(&Path, u64) + Send + Sync + 'static) -> Self {
        Self { watcher: Box::new(watcher), ..self }
    }

    /// The digest of the file at `path`, from the memo if the file has not changed since.
    ///
    /// # Errors
    /// If the file cannot be read, or is a folder.
    pub fn digest(&self, path: &Path) -> Result<FileDigest, StoreError> {
        let full = fs::canonicalize(path).map_err(io_error("find", path))?;
        let stamp = stamp(&full).map_err(io_error("read", path))?;
        if let Some(memo) = self.memos.lock().expect("no holder panics").get(&full)
            && memo.stamp == stamp
        {
            return Ok(FileDigest { digest: memo.digest, size_bytes: stamp.size_bytes });
        }
        (self.watcher)(path, stamp.size_bytes);
        let digest = hash_file(&full)?;
        self.memos.lock().expect("no holder panics").insert(full, Memo { stamp, digest });
        *self.changed.lock().expect("no holder panics") = true;
        Ok(FileDigest { digest, size_bytes: stamp.size_bytes })
    }

    /// Writes the memo back if it has new entries.
    ///
    /// # Errors
    /// If the memo cannot be written.
    pub fn save(&self) -> Result<(), StoreError> {
        if !*self.changed.lock().expect("no holder panics") {
            return Ok(());
        }
        let bytes =
            serde_json::to_vec(&*self.memos.lock().expect("no holder panics")).expect("paths and digests serialise");
        write_atomic(&self.memo_path, &bytes)
    }
}

/// BLAKE3 of a file's bytes, memory-mapped and on all cores when large.
///
/// # Errors
/// If the file cannot be read.
pub fn hash_file(path: &Path) -> Result<Digest, StoreError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap_rayon(path).map_err(io_error("read", path))?;
    Ok(hasher.finalize().into())
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder, expected a file"));
    }
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    let modified_ns = metadata.modified()?.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_nanos());
    Ok(Stamp { size_bytes: metadata.len(), modified_ns, inode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_hashed_anew_and_an_unchanged_one_is_remembered() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("weights.bin");
        fs::write(&file, b"one").expect("writable");
        let digests = FileDigests::open(folder.path(), false);
        let first = digests.digest(&file).expect("readable");
        assert_eq!(first, FileDigest { digest: Digest::of(b"one"), size_bytes: 3 });
        digests.save().expect("writable");

        let again = FileDigests::open(folder.path(), false);
        assert_eq!(again.digest(&file).expect("readable"), first);
        assert!(!*again.changed.lock().expect("unpoisoned"), "the second reading comes from the memo");

        fs::write(&file, b"three").expect("writable");
        assert_eq!(again.digest(&file).expect("readable").digest, Digest::of(b"three"));
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let message = FileDigests::open(folder.path(), false).digest(folder.path()).expect_err("a folder").to_string();
        assert!(message.contains("it is a folder"), "{message}");
    }

    #[test]
    fn a_damaged_memo_costs_time_only() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("files.json"), b"{ torn").expect("writable");
        let file = folder.path().join("a");
        fs::write(&file, b"a").expect("writable");
        assert_eq!(FileDigests::open(folder.path(), false).digest(&file).expect("readable").digest, Digest::of(b"a"));
    }
}
