//! Digests of files outside the store, remembered.
//!
//! Owns `files.json`: a digest per path, valid while size, times and inode stay. The memo is advisory: without it every file
//! is read again and the answers are the same. A file that changed just before it was read, or that says it will change in
//! the future, could change again without a trace, so it is not remembered. Published results are hashed in `publish.rs`, never from here.

use super::{
    Digest, StoreError, hash_file, io_error,
    notes::LARGEST_NOTE_BYTES,
    seal::{sealed, unsealed},
    write_whole,
};
use crate::format::memory::read_within;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Size and content of a file outside the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileDigest {
    /// BLAKE3 of the file's bytes.
    pub digest: Digest,
    /// Length in bytes.
    pub size_bytes: u64,
}

/// What of a file changes when somebody writes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    size_bytes: u64,
    /// Nanoseconds since 1970; before that, negative.
    modified_ns: i128,
    /// The system's own time of change, which no program can set back; 0 where there is none.
    changed_ns: i128,
    inode: u64,
}

/// A clock's step, or two writes within it, may leave a file's times as they were: what changed so short before it was read
/// is not remembered.
const RACY: Duration = Duration::from_secs(2);

impl Stamp {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder, expected a file"));
        }
        #[cfg(unix)]
        let (inode, changed_ns) = {
            use std::os::unix::fs::MetadataExt;
            (metadata.ino(), i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec()))
        };
        #[cfg(not(unix))]
        let (inode, changed_ns) = (0, 0);
        let modified_ns = since_1970_ns(metadata.modified()?);
        Ok(Self { size_bytes: metadata.len(), modified_ns, changed_ns, inode })
    }

    /// Without the trace that links, modes and owners leave too, of which no byte depends.
    pub(crate) fn of_bytes(self) -> Self {
        Self { changed_ns: 0, ..self }
    }

    /// Whether a change that comes after `now` is sure to change the stamp.
    fn is_settled(&self, now: SystemTime) -> bool {
        let last = self.modified_ns.max(self.changed_ns);
        last + i128::try_from(RACY.as_nanos()).expect("seconds") <= since_1970_ns(now)
    }
}

fn since_1970_ns(time: SystemTime) -> i128 {
    let whole = |span: Duration| i128::try_from(span.as_nanos()).expect("no clock shows such times");
    time.duration_since(UNIX_EPOCH).map_or_else(|before| -whole(before.duration()), whole)
}

/// The memo as it is written.
#[derive(Serialize, Deserialize)]
struct Memos {
    files: BTreeMap<PathBuf, Memo>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Memo {
    stamp: Stamp,
    digest: Digest,
}

/// Times that a file is read before it counts as being written to.
const ATTEMPTS: usize = 3;

/// Told of every file that is read, with its size in bytes.
type Watcher = Box<dyn Fn(&Path, u64) + Send + Sync>;

/// The memo's file in the cache.
const MEMO: &str = "files.json";

/// Hashes files and remembers the digests between runs.
pub struct FileDigests {
    root: PathBuf,
    watcher: Watcher,
    clock: fn() -> SystemTime,
    memos: Mutex<BTreeMap<PathBuf, Memo>>,
    changed: Mutex<bool>,
}

impl FileDigests {
    /// Opens the memo in `root`; with `rehash`, or if the memo cannot be read, every file is hashed anew.
    #[must_use]
    pub fn open(root: &Path, rehash: bool) -> Self {
        let memos = if rehash {
            BTreeMap::new()
        } else {
            read_within(&root.join(MEMO), LARGEST_NOTE_BYTES)
                .ok()
                .and_then(|bytes| unsealed(&bytes).ok())
                .map_or_else(BTreeMap::new, |memo: Memos| memo.files)
        };
        Self {
            root: root.to_owned(),
            watcher: Box::new(|_, _| ()),
            clock: SystemTime::now,
            memos: Mutex::new(memos),
            changed: Mutex::new(false),
        }
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
        let look = || Stamp::of(&full).map_err(io_error("read", path));
        let mut stamp = look()?;
        if let Some(memo) = self.memos.lock().expect("no holder panics").get(&full)
            && memo.stamp == stamp
        {
            return Ok(FileDigest { digest: memo.digest, size_bytes: stamp.size_bytes });
        }
        (self.watcher)(path, stamp.size_bytes);
        for _ in 0..ATTEMPTS {
            let now = (self.clock)();
            let digest = hash_file(&full)?;
            let after = look()?;
            if after == stamp {
                let mut memos = self.memos.lock().expect("no holder panics");
                if stamp.is_settled(now) {
                    memos.insert(full, Memo { stamp, digest });
                    *self.changed.lock().expect("no holder panics") = true;
                } else if memos.remove(&full).is_some() {
                    *self.changed.lock().expect("no holder panics") = true;
                }
                return Ok(FileDigest { digest, size_bytes: stamp.size_bytes });
            }
            stamp = after;
        }
        Err(StoreError::Changing { path: path.to_owned() })
    }

    /// Writes the memo back if it has new entries.
    ///
    /// # Errors
    /// If the memo cannot be written.
    pub fn save(&self) -> Result<(), StoreError> {
        if !*self.changed.lock().expect("no holder panics") {
            return Ok(());
        }
        let files = self.memos.lock().expect("no holder panics").clone();
        write_whole(&self.root, &self.root.join(MEMO), &sealed(&Memos { files }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock by which every file is old.
    fn later() -> SystemTime {
        SystemTime::now() + Duration::from_secs(60)
    }

    fn remembers(digests: &FileDigests, file: &Path) -> bool {
        digests.digest(file).expect("readable");
        let full = fs::canonicalize(file).expect("there");
        digests.memos.lock().expect("unpoisoned").contains_key(&full)
    }

    #[test]
    fn what_could_change_without_a_trace_is_not_remembered() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("weights.bin");
        fs::write(&file, b"one").expect("writable");
        let set = |seconds: u64| {
            let handle = fs::File::options().write(true).open(&file).expect("writable");
            handle.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).expect("settable");
        };
        let at_once = FileDigests::open(folder.path(), false);
        let settled = || FileDigests { clock: later, ..FileDigests::open(folder.path(), false) };
        assert!(!remembers(&at_once, &file), "written just now");
        assert!(remembers(&settled(), &file), "written a minute ago");
        set(0);
        assert!(remembers(&settled(), &file), "written in 1970");
        set(4_102_444_800);
        assert!(!remembers(&settled(), &file), "to be written in 2100");
    }

    #[test]
    fn equal_size_and_time_hide_no_change() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("weights.bin");
        let write = |bytes: &[u8]| {
            fs::write(&file, bytes).expect("writable");
            let handle = fs::File::options().write(true).open(&file).expect("writable");
            handle.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).expect("settable");
        };
        write(b"one");
        let digests = FileDigests { clock: later, ..FileDigests::open(folder.path(), false) };
        assert!(remembers(&digests, &file));
        write(b"two");
        #[cfg(unix)]
        assert_eq!(digests.digest(&file).expect("readable").digest, Digest::of(b"two"));
    }

    #[test]
    fn a_changed_file_is_hashed_anew_and_an_unchanged_one_is_remembered() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("weights.bin");
        fs::write(&file, b"one").expect("writable");
        let digests = FileDigests { clock: later, ..FileDigests::open(folder.path(), false) };
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
        let file = folder.path().join("a");
        fs::write(&file, b"a").expect("writable");
        let digests = FileDigests { clock: later, ..FileDigests::open(folder.path(), false) };
        assert!(remembers(&digests, &file));
        digests.save().expect("writable");
        let memo = folder.path().join(MEMO);
        let whole = fs::read_to_string(&memo).expect("readable");
        // A wrong digest is still a digest: only the seal can tell.
        let digest = Digest::of(b"a").to_string();
        let wrong = whole.replace(&digest, &Digest::of(b"b").to_string());
        for damaged in ["{ torn", "", &whole[..whole.len() / 2], &wrong] {
            fs::write(&memo, damaged).expect("writable");
            let digests = FileDigests::open(folder.path(), false);
            assert!(digests.memos.lock().expect("unpoisoned").is_empty());
            assert_eq!(digests.digest(&file).expect("readable").digest, Digest::of(b"a"));
        }
    }
}
