//! Digest -> artifact: where results live. Owns the cache folder; knows no task kind, no study, no terminal.
//!
//! An artifact is a folder of plain files, named by the digest of what is in it, read-only once published. A record says
//! which artifact a key led to, and carries the key's fields so that a later plan can say what changed. Two kinds of key
//! name the same record: the recipe key (what was asked for) and the content key (what went in), see `plan::key`.
//!
//! Publishing is all or nothing (`publish.rs`): files are written in `partial/`, synced, then renamed. One key is computed
//! once: `Store::claim` holds an operating-system lock (`lock.rs`) that ends with its holder, so no unlocking is ever needed;
//! machines that share a cache tell by leases (`lease.rs`) who lives.
//! What was damaged since it was published is set aside, never used (`damage.rs`, `verify.rs`); files beside the artifacts
//! are sealed, so that a flipped bit makes them unreadable instead of wrong (`seal.rs`). `collect.rs` removes what no study
//! needs. What comes from another cache is looked at before it is believed (`foreign.rs`, `arrival.rs`).

mod arrival;
mod collect;
mod damage;
mod digest;
mod family;
mod files;
mod foreign;
mod hash;
mod lease;
mod lend;
mod lock;
mod notes;
mod owed;
mod publish;
mod record;
mod seal;
mod verify;

use crate::format::memory::read_within;
pub use arrival::{Arrival, ArrivingFile};
pub use collect::{Artifact, Collection, Inventory, Item, Roots, Unreached};
pub use damage::{Damage, Fault, Traces};
pub use digest::Digest;
pub use files::{FileDigest, FileDigests};
pub use foreign::LARGEST_RECORD_BYTES;
pub use hash::hash_file;
use lease::{LASTS, Leases, nobody_elsewhere};
pub use lend::Lent;
pub use lock::Held;
pub use notes::Listed;
pub use publish::{Claim, Published};
pub use record::{OutputFile, Record, RunFacts};
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
pub use verify::Verdict;

/// What can go wrong with the cache folder.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder could not be used.
    #[error("cannot {action} `{path}`: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A file does not hold still.
    #[error("`{path}` changed each time that it was read; run again when nothing writes to it", path = path.display())]
    Changing {
        /// The file.
        path: PathBuf,
    },
    /// A task left something that is neither a file nor a folder.
    #[error("`{path}` is neither a file nor a folder; results hold plain files only", path = path.display())]
    NotPlain {
        /// The entry.
        path: PathBuf,
    },
}

/// Makes an I/O error carry what was tried and on which path.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}

/// The cache folder, which nobody collects as long as this is open.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    /// Shared by all who use the cache; a collection takes it alone. Absent where a read-only cache has none.
    users: Option<Arc<File>>,
    /// What this process holds, for other machines to see.
    leases: Arc<Leases>,
    /// Whether results may lend parts of themselves to each other.
    has_families: bool,
}

impl Store {
    /// Opens the cache at `root`, making the folder if it is not there. A cache that cannot be written to is opened too.
    ///
    /// # Errors
    /// If the folder is not there and cannot be made.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(root).map_err(io_error("create", root))?;
        let root = fs::canonicalize(root).map_err(io_error("find", root))?;
        for folder in ["artifacts", "records", "studies", "locks", "partial"] {
            // What is missing from a read-only cache is missed by the first who has to write there.
            let _ = fs::create_dir_all(root.join(folder));
        }
        let path = root.join("lock");
        let users = File::options().create(true).truncate(false).write(true).open(&path).or_else(|_| File::open(&path));
        // Waits for a collection to end. A file system that knows no locks has no collections either.
        let users = users.and_then(|users| users.lock_shared().map(|()| Arc::new(users))).ok();
        Ok(Self { root, users, leases: Leases::new(LASTS), has_families: true })
    }

    /// The same cache, in which every result is computed whole: none takes over parts of another.
    #[must_use]
    pub fn without_families(self) -> Self {
        Self { has_families: false, ..self }
    }

    /// The same cache, in which a lease lasts for another time: whoever shares it has to use the same.
    #[must_use]
    pub fn with_leases_of(self, lasts: Duration) -> Self {
        Self { leases: Leases::new(lasts), ..self }
    }

    /// Holds a name in the cache, so that one process on one machine at a time does what it stands for; the answer is who holds it
    /// otherwise, in words. Waits only as long as it is not known whether a holder on another machine lives.
    ///
    /// # Errors
    /// If the lock file cannot be made.
    pub fn hold(&self, name: &str) -> Result<Result<Held, String>, StoreError> {
        Held::new(&self.root.join("locks").join(name), &self.leases)
    }

    fn leases(&self) -> &Arc<Leases> {
        &self.leases
    }

    /// Takes the cache alone; gives nothing if others go on using it until `give_up` says so. Ends with the store.
    pub(super) fn alone(&self, give_up: impl Fn() -> bool) -> Result<bool, StoreError> {
        let path = self.root.join("lock");
        let Some(users) = &self.users else {
            let source = io::Error::new(io::ErrorKind::Unsupported, "it cannot be locked");
            return Err(io_error("lock", &path)(source));
        };
        loop {
            match users.try_lock() {
                // A network file system may keep the lock to each machine.
                Ok(()) => return nobody_elsewhere(&self.root.join("locks"), self.leases.lasts(), give_up),
                Err(TryLockError::WouldBlock) if give_up() => return Ok(false),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
                Err(TryLockError::Error(error)) => return Err(io_error("lock", &path)(error)),
            }
        }
    }

    /// Fails unless the cache can be written to.
    ///
    /// # Errors
    /// If a file cannot be made in it.
    pub fn assert_writable(&self) -> Result<(), StoreError> {
        let folder = self.root.join("partial");
        let made = fs::create_dir_all(&folder).and_then(|()| tempfile::NamedTempFile::new_in(&folder));
        made.map(drop).map_err(io_error("write in", &self.root))
    }

    /// The cache folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the artifact with this digest lies, whether or not it is there.
    #[must_use]
    pub fn artifact(&self, output: &Digest) -> PathBuf {
        self.root.join(artifact_name(output))
    }

    /// The record of a key, if its artifact is there and every file has its recorded size.
    ///
    /// A record that cannot be read, or whose artifact is gone or has lost bytes, counts as absent: the key is computed
    /// again. Bytes that changed without changing a size are found where they are used, see [`Self::check`].
    #[must_use]
    pub fn lookup(&self, key: &Digest) -> Option<Record> {
        let record = self.remembered(key)?;
        let files = record.files.iter().map(|file| (file.path.as_str(), file.size_bytes));
        self.is_whole(&record.output, files).then_some(record)
    }

    /// Whether the artifact is there and each of these files, by path inside it, has so many bytes.
    #[must_use]
    pub fn is_whole<'a>(&self, output: &Digest, files: impl IntoIterator<Item = (&'a str, u64)>) -> bool {
        let folder = self.artifact(output);
        let mut files = files.into_iter().peekable();
        // An artifact without a file is still a folder.
        let is_there = files.peek().is_some() || folder.is_dir();
        is_there && files.all(|(path, size)| fs::metadata(folder.join(path)).is_ok_and(|found| found.len() == size))
    }

    /// The record of a key whether or not its artifact is still there: what the key stood for, for explanations.
    #[must_use]
    pub fn remembered(&self, key: &Digest) -> Option<Record> {
        Record::from_bytes(&read_within(&self.record_path(key), LARGEST_RECORD_BYTES).ok()?, key).ok()
    }

    /// Waits until no one else computes `content`, then holds the right to compute it until the claim is dropped; gives
    /// nothing once `give_up` says so.
    ///
    /// # Errors
    /// If the lock file cannot be made.
    pub fn claim(&self, content: &Digest, give_up: impl Fn() -> bool) -> Result<Option<Claim<'_>>, StoreError> {
        Claim::new(self, content, give_up)
    }

    /// Notes that `record`'s recipe leads to its artifact: used when an upstream edit changed no byte.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn remember(&self, record: &Record) -> Result<(), StoreError> {
        let bytes = record.to_bytes();
        for key in [&record.content, &record.recipe] {
            write_whole(&self.root, &self.record_path(key), &bytes)?;
        }
        Ok(())
    }

    fn record_path(&self, key: &Digest) -> PathBuf {
        self.root.join(record_name(key))
    }
}

/// Where an artifact lies in any cache.
#[must_use]
pub fn artifact_name(output: &Digest) -> PathBuf {
    fan_out(Path::new("artifacts"), output)
}

/// Where the record of a key lies in any cache.
#[must_use]
pub fn record_name(key: &Digest) -> PathBuf {
    fan_out(Path::new("records"), key).with_extension("json")
}

/// `root/ab/abcd…`: folders of ten thousand entries are slow on network file systems.
fn fan_out(root: &Path, digest: &Digest) -> PathBuf {
    let text = digest.to_string();
    root.join(&text[..2]).join(text)
}

/// Names of files that are being written begin so.
const WRITING: &str = "write-";

/// What makes files or folders that are written under another name first. Temporary ones are private; these are as open to others,
/// as any new one is: by `mode` and the user's mask.
#[must_use]
pub fn write_under(prefix: &str, mode: u32) -> tempfile::Builder<'_, '_> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// Writes a file of the cache at `root` so that a reader sees the old bytes or the new ones, never a part.
///
/// What a killed writer leaves lies in `partial/`, where a collection finds it.
///
/// # Errors
/// If it cannot be written.
pub fn write_whole(root: &Path, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let partial = root.join("partial");
    let make = || write_under(WRITING, 0o666).tempfile_in(&partial);
    let made = make().or_else(|_| fs::create_dir_all(&partial).and_then(|()| make()));
    let mut file = made.map_err(io_error("write in", &partial))?;
    io::Write::write_all(&mut file, bytes).map_err(io_error("write", path))?;
    file.as_file().sync_all().map_err(io_error("sync", path))?;
    match file.persist(path) {
        Err(error) if error.error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().expect("every file of the store lies in a folder");
            fs::create_dir_all(folder).map_err(io_error("create", folder))?;
            error.file.persist(path).map_err(|error| io_error("write", path)(error.error))?;
        }
        moved => drop(moved.map_err(|error| io_error("write", path)(error.error))?),
    }
    Ok(())
}
