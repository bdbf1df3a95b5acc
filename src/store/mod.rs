//! Digest -> artifact: where results live. Owns the cache folder; knows no task kind, no study, no terminal.
//!
//! An artifact is a folder of plain files, named by the digest of what is in it, read-only once published. A record says
//! which artifact a key led to, and carries the key's fields so that a later plan can say what changed. Two kinds of key
//! name the same record: the recipe key (what was asked for) and the content key (what went in), see `plan::key`.
//!
//! Publishing is all or nothing (`publish.rs`): files are written in `partial/`, synced, then renamed. One key is computed
//! once: `Store::claim` holds an operating-system lock that ends with its holder, so no unlocking is ever needed.

mod digest;
mod files;
mod publish;

pub use digest::Digest;
pub use files::{FileDigest, FileDigests, hash_file};
pub use publish::Claim;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

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

/// One file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Path inside the artifact, with `/`.
    pub path: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// BLAKE3 of the bytes.
    pub digest: Digest,
}

/// What a finished computation leaves behind beside its artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Key over parameters, files and the recipe keys of the inputs.
    pub recipe: Digest,
    /// Key over parameters, files and the output digests of the inputs.
    pub content: Digest,
    /// Digest of the artifact.
    pub output: Digest,
    /// The artifact's files.
    pub files: Vec<OutputFile>,
    /// The key's fields, as the plan wrote them.
    pub manifest: serde_json::Value,
    /// How the computation went; never part of a key.
    pub run: RunFacts,
}

/// Circumstances of one computation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Seconds of wall time.
    pub seconds: f64,
    /// Version of the program.
    pub program: String,
    /// When it finished, seconds since 1970.
    pub finished_unix_s: u64,
}

impl Record {
    /// The same result, reached by another recipe.
    #[must_use]
    pub fn under(self, recipe: Digest, manifest: serde_json::Value) -> Self {
        Self { recipe, manifest, ..self }
    }

    /// Bytes of the artifact's files together.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}

/// The cache folder.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the cache at `root`, making the folder if it is not there.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        for folder in ["artifacts", "records", "studies", "locks", "partial"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(io_error("create", &path))?;
        }
        let root = fs::canonicalize(root).map_err(io_error("find", root))?;
        Ok(Self { root })
    }

    /// The cache folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the artifact with this digest lies, whether or not it is there.
    #[must_use]
    pub fn artifact(&self, output: &Digest) -> PathBuf {
        fan_out(&self.root.join("artifacts"), output)
    }

    /// The record of a key, if its artifact is there and every file has its recorded size.
    ///
    /// A record that cannot be read, or whose artifact is gone or has lost bytes, counts as absent: the key is computed
    /// again. Bytes that changed without changing a size are for `verify` to find.
    #[must_use]
    pub fn lookup(&self, key: &Digest) -> Option<Record> {
        let record: Record = read_json(&self.record_path(key))?;
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
        read_json(&self.record_path(key))
    }

    /// Waits until no one else computes `content`, then holds the right to compute it until the claim is dropped.
    ///
    /// # Errors
    /// If the lock file cannot be made.
    pub fn claim(&self, content: &Digest) -> Result<Claim<'_>, StoreError> {
        Claim::new(self, content)
    }

    /// Notes that `record`'s recipe leads to its artifact: used when an upstream edit changed no byte.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn remember(&self, record: &Record) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec_pretty(record).expect("records are plain data");
        for key in [&record.content, &record.recipe] {
            write_atomic(&self.record_path(key), &bytes)?;
        }
        Ok(())
    }

    /// Reads what was noted about a study under `name`; absent if nothing readable is there.
    #[must_use]
    pub fn study_note<T: DeserializeOwned>(&self, name: &Digest) -> Option<T> {
        read_json(&self.study_path(name))
    }

    /// Notes something about a study under `name`.
    ///
    /// # Errors
    /// If the note cannot be written.
    pub fn note_study<T: Serialize>(&self, name: &Digest, note: &T) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec_pretty(note).expect("study notes are plain data");
        write_atomic(&self.study_path(name), &bytes)
    }

    fn record_path(&self, key: &Digest) -> PathBuf {
        fan_out(&self.root.join("records"), key).with_extension("json")
    }

    fn study_path(&self, name: &Digest) -> PathBuf {
        self.root.join("studies").join(name.to_string()).with_extension("json")
    }
}

/// `root/ab/abcd…`: folders of ten thousand entries are slow on network file systems.
fn fan_out(root: &Path, digest: &Digest) -> PathBuf {
    let text = digest.to_string();
    root.join(&text[..2]).join(text)
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes a file so that a reader sees the old bytes or the new ones, never a part.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = path.parent().expect("every file of the store lies in a folder");
    fs::create_dir_all(folder).map_err(io_error("create", folder))?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io_error("write in", folder))?;
    io::Write::write_all(&mut file, bytes).map_err(io_error("write", path))?;
    file.as_file().sync_all().map_err(io_error("sync", path))?;
    file.persist(path).map_err(|error| io_error("write", path)(error.error))?;
    Ok(())
}
