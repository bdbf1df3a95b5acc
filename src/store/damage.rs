//! Bytes against their digests: what is wrong with a result, and where it is put.
//!
//! A damaged artifact or record is never used and never deleted: it is moved to `damaged/`, so that its key counts as not
//! computed and a person can look at what happened. Whoever moves it holds a lock and looks again first, so that a copy
//! which another process made anew meanwhile stays.

use super::{
    Digest, LARGEST_RECORD_BYTES, OutputFile, Record, Store, StoreError, files::Stamp, hash_file, io_error, lock::Lock,
    record::digest_of,
};
use crate::format::memory::read_within;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// One thing that is wrong with a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The whole artifact is gone.
    Gone,
    /// A file is gone.
    Missing {
        /// Path inside the artifact.
        path: String,
    },
    /// A file, link or device that was not published.
    Extra {
        /// Path inside the artifact.
        path: String,
    },
    /// A file has another length.
    Size {
        /// Path inside the artifact.
        path: String,
        /// Bytes that are there.
        found: u64,
        /// Bytes that were published.
        expected: u64,
    },
    /// A file of the right length holds other bytes.
    Bytes {
        /// Path inside the artifact.
        path: String,
    },
    /// A file cannot be read.
    Unreadable {
        /// Path inside the artifact.
        path: String,
        /// The operating system's answer.
        why: String,
    },
    /// The files do not give the artifact's name, and no record says which of them is wrong.
    Name,
    /// A record does not read.
    Record {
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("its folder is gone"),
            Self::Missing { path } => write!(f, "`{path}` is gone"),
            Self::Extra { path } => write!(f, "`{path}` was never published"),
            Self::Size { path, found, expected } => write!(f, "`{path}` has {found} bytes, expected {expected}"),
            Self::Bytes { path } => write!(f, "`{path}` holds other bytes than were published"),
            Self::Unreadable { path, why } => write!(f, "`{path}` cannot be read: {why}"),
            Self::Name => f.write_str("its files are not those that were published"),
            Self::Record { why } => write!(f, "its record does not read: {why}"),
        }
    }
}

/// A damaged result: what is wrong with it, and where it lies now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
    /// Where it was moved; absent if nothing was left to move.
    pub aside: Option<PathBuf>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().take(3).enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { ", " })?;
        }
        if self.faults.len() > 3 {
            write!(f, " and {} more", self.faults.len() - 3)?;
        }
        match &self.aside {
            Some(path) => write!(f, "; it lies in `{}` now", path.display()),
            None => Ok(()),
        }
    }
}

/// What of an artifact changes when somebody does something to its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traces {
    /// When a file is written to, added or taken away.
    written: Digest,
    /// Also when one is linked, or its mode or owner changes.
    touched: Digest,
}

impl Traces {
    /// Whether nobody has written to the files meanwhile, whatever else was done to them.
    #[must_use]
    pub fn tell_no_writing_since(&self, earlier: &Self) -> bool {
        self.written == earlier.written
    }
}

impl Store {
    /// Everything that is wrong with an artifact, read to its last byte; `files` is what its record says of it.
    ///
    /// # Errors
    /// If the system, not the artifact, stands in the way: too many open files, no memory.
    pub fn examine(&self, output: &Digest, files: Option<&[OutputFile]>) -> Result<Vec<Fault>, StoreError> {
        self.look(output, files, None)
    }

    /// The same; of a recorded artifact, only the files in `read` are read, where that is given. What is there and how long it is
    /// is compared for all.
    fn look(
        &self,
        output: &Digest,
        files: Option<&[OutputFile]>,
        read: Option<&[&str]>,
    ) -> Result<Vec<Fault>, StoreError> {
        let folder = self.artifact(output);
        if fs::symlink_metadata(&folder).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(vec![Fault::Gone]);
        }
        let (mut found, mut faults) = list(&folder);
        // What does not give the artifact's name does not describe it.
        let Some(files) = files.filter(|files| digest_of(files) == *output) else {
            // In the order in which they were sealed: folder by folder.
            let mut found: Vec<_> = found.into_iter().collect();
            found.sort_by(|(one, _), (other, _)| one.split('/').cmp(other.split('/')));
            let files = found.into_par_iter().map(|(path, size_bytes)| {
                let digest = hash_file(&folder.join(&path))?;
                Ok(OutputFile { path, size_bytes, digest })
            });
            match files.collect::<Result<Vec<_>, StoreError>>() {
                Ok(files) if digest_of(&files) != *output => faults.push(Fault::Name),
                Ok(_) => {}
                Err(error) => faults.push(unreadable("", error)?),
            }
            return Ok(faults);
        };
        let mut to_hash = Vec::new();
        for file in files {
            let path = file.path.clone();
            match found.remove(&file.path) {
                None => faults.push(Fault::Missing { path }),
                Some(found) if found != file.size_bytes => {
                    faults.push(Fault::Size { path, found, expected: file.size_bytes });
                }
                Some(_) if read.is_none_or(|read| read.contains(&file.path.as_str())) => to_hash.push(file),
                Some(_) => {}
            }
        }
        faults.extend(found.into_keys().map(|path| Fault::Extra { path }));
        let hashed = to_hash.into_par_iter().map(|file| match hash_file(&folder.join(&file.path)) {
            Ok(digest) if digest == file.digest => Ok(None),
            Ok(_) => Ok(Some(Fault::Bytes { path: file.path.clone() })),
            Err(error) => unreadable(&file.path, error).map(Some),
        });
        faults.extend(hashed.collect::<Result<Vec<_>, _>>()?.into_iter().flatten());
        Ok(faults)
    }

    /// What the file system says of an artifact's files; nothing of them is read.
    #[must_use]
    pub fn traces(&self, output: &Digest) -> Traces {
        let entries = walkdir::WalkDir::new(self.artifact(output)).sort_by_file_name().into_iter();
        let files: Vec<_> = entries
            .map(|entry| entry.map(|entry| (entry.path().to_owned(), Stamp::of(entry.path()).ok())).ok())
            .collect();
        let digest = |of: fn(Stamp) -> Stamp| {
            let stamps = files.iter().map(|file| file.as_ref().map(|(path, stamp)| (path, stamp.map(of))));
            Digest::of(format!("{:?}", stamps.collect::<Vec<_>>()).as_bytes())
        };
        Traces { written: digest(Stamp::of_bytes), touched: digest(|stamp| stamp) }
    }

    /// Looks at an artifact, or at those of its files that are to be read, and moves it out of the way if it is damaged.
    ///
    /// # Errors
    /// If it can be neither looked at nor moved.
    pub fn check(
        &self,
        output: &Digest,
        files: Option<&[OutputFile]>,
        read: Option<&[&str]>,
    ) -> Result<Option<Damage>, StoreError> {
        if self.look(output, files, read)?.is_empty() { Ok(None) } else { self.set_aside(output, files) }
    }

    /// Moves an artifact that was found damaged; gives nothing if another process has made it anew meanwhile.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub fn set_aside(&self, output: &Digest, files: Option<&[OutputFile]>) -> Result<Option<Damage>, StoreError> {
        let _lock = self.artifact_lock(output)?;
        let faults = self.examine(output, files)?;
        let aside = match faults.as_slice() {
            [] => return Ok(None),
            [Fault::Gone] => None,
            _ => self.move_aside(&self.artifact(output), &output.to_string(), "")?,
        };
        Ok(Some(Damage { faults, aside }))
    }

    /// What is wrong with the record of a key, if there is one.
    ///
    /// # Errors
    /// If the system, not the record, stands in the way.
    pub fn record_fault(&self, key: &Digest) -> Result<Option<Fault>, StoreError> {
        let path = self.record_path(key);
        match read_within(&path, LARGEST_RECORD_BYTES) {
            Ok(bytes) => Ok(Record::from_bytes(&bytes, key).err().map(|why| Fault::Record { why })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if is_of_the_system(&error) => Err(io_error("read", &path)(error)),
            Err(error) => Ok(Some(Fault::Record { why: error.to_string() })),
        }
    }

    /// Moves the record of a key if there is one that does not read.
    ///
    /// # Errors
    /// If it can be neither looked at nor moved.
    pub fn set_aside_record(&self, key: &Digest) -> Result<Option<Damage>, StoreError> {
        if self.record_fault(key)?.is_none() {
            return Ok(None);
        }
        let _lock = self.artifact_lock(key)?;
        let Some(fault) = self.record_fault(key)? else { return Ok(None) };
        let aside = self.move_aside(&self.record_path(key), &format!("record-{key}"), ".json")?;
        Ok(Some(Damage { faults: vec![fault], aside }))
    }

    /// Held while something published is moved, so that two do not move it one after the other.
    fn artifact_lock(&self, digest: &Digest) -> Result<Lock, StoreError> {
        let path = self.root().join("locks").join(format!("move-{digest}"));
        Ok(Lock::wait(&path, self.leases(), || false)?.expect("nobody gives up"))
    }

    fn move_aside(&self, from: &Path, name: &str, ending: &str) -> Result<Option<PathBuf>, StoreError> {
        let folder = self.root().join("damaged");
        fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        let places = (1..).map(|turn| folder.join(format!("{name}-{turn}{ending}")));
        let to = places.into_iter().find(|place| !place.exists()).expect("numbers do not end");
        match fs::rename(from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            moved => moved.map(|()| Some(to)).map_err(io_error("set aside", from)),
        }
    }
}

/// Files of a folder with their sizes by path, and what in it is no file.
fn list(folder: &Path) -> (BTreeMap<String, u64>, Vec<Fault>) {
    let (mut files, mut faults) = (BTreeMap::new(), Vec::new());
    for entry in walkdir::WalkDir::new(folder) {
        let inside = |path: &Path| {
            let inside = path.strip_prefix(folder).unwrap_or(path).components();
            inside.map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
        };
        let read = entry.and_then(|entry| Ok((entry.metadata()?, entry)));
        match read {
            Ok((metadata, _)) if metadata.is_dir() => {}
            Ok((metadata, entry)) if metadata.is_file() => drop(files.insert(inside(entry.path()), metadata.len())),
            Ok((_, entry)) => faults.push(Fault::Extra { path: inside(entry.path()) }),
            Err(error) => faults.push(Fault::Unreadable {
                path: error.path().map(inside).unwrap_or_default(),
                why: error.into_io_error().map_or_else(|| "a loop of links".to_owned(), |error| error.to_string()),
            }),
        }
    }
    (files, faults)
}

/// Whether an error says nothing of a file: the system has run out of something, or may answer the next time.
fn is_of_the_system(error: &io::Error) -> bool {
    const NO_MEMORY: i32 = 12;
    const FILE_TABLE_FULL: i32 = 23;
    const TOO_MANY_OPEN_FILES: i32 = 24;
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::WouldBlock
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::StaleNetworkFileHandle
    ) || matches!(error.raw_os_error(), Some(NO_MEMORY | FILE_TABLE_FULL | TOO_MANY_OPEN_FILES))
}

/// A file that cannot be read is damaged, unless the system stands in the way.
fn unreadable(path: &str, error: StoreError) -> Result<Fault, StoreError> {
    match error {
        StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            Ok(Fault::Missing { path: path.to_owned() })
        }
        StoreError::Io { source, .. } if !is_of_the_system(&source) => {
            Ok(Fault::Unreadable { path: path.to_owned(), why: source.to_string() })
        }
        error => Err(error),
    }
}
