//! An archive of files: a tar under Zstandard that begins with a list of all that follows.
//!
//! Owns the format and everything that makes an archive from a stranger harmless. The list (`hebb-archive.json`) names every
//! file with size and BLAKE3 digest, in order; whoever reads holds the archive to it, byte by byte: no other entry, no other
//! order, no other size, no link, no device, no byte more. So what an archive may write is known, and refused if absurd,
//! before any of it is written. Knows no study.
//!
//! An archive is a plain tar: other programs unpack it too, without these checks. Equal files give equal bytes.

mod names;
mod streams;

use self::{
    names::{assert_folder_name, assert_names},
    streams::{Budgeted, Checked},
};
use crate::{
    format::memory::afford,
    store::{Digest, write_under},
};
use serde::{Deserialize, Serialize};
use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    rc::Rc,
};

pub use names::{is_folder_name, printable};

/// The revision of the format.
pub const ARCHIVE_VERSION: u32 = 1;
/// The list of files, first in every archive.
pub const INDEX: &str = "hebb-archive.json";
/// Most bytes of the list: a million files have a quarter of that.
pub const MOST_INDEX_BYTES: u64 = 1 << 30;
/// Bytes that a list takes for each of its own once it is understood.
const MEMORY_PER_INDEX_BYTE: u128 = 4;
/// Most files.
const MOST_FILES: usize = 5_000_000;
/// Most bytes that a tar may spend on one header with its extensions.
const MOST_HEADER_BYTES: u64 = 64 << 10;
/// Times that real results shrink at most; a hundredfold is rare, and a bomb does ten thousand.
const MOST_SHRINKING: u64 = 1000;
/// Bytes that any archive may unpack to, however small it is: an empty map shrinks well.
const ALWAYS_FINE_BYTES: u64 = 64 << 20;
/// Level of compression: maps and matrices hardly shrink further, and this keeps up with a disk.
const LEVEL: i32 = 3;
/// Bytes of memory that reading may ask for, as a power of two.
const WINDOW_LOG: u32 = 27;
/// Bytes copied at a time.
const PIECE: usize = 1 << 18;

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// The revision of the format.
    pub version: u32,
    /// The folder that everything lies in.
    pub folder: String,
    /// The program that packed it.
    pub program: String,
    /// What the study is called.
    pub study: String,
    /// The study file, from the folder.
    pub study_file: String,
    /// Files that the study reads and that are not here, and where they come from.
    pub missing: Vec<Missing>,
    /// Every other file of the archive, in order.
    pub files: Vec<Entry>,
}

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its path from the folder, with `/`.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its content, as BLAKE3.
    pub digest: Digest,
}

/// A file that a study reads and that an archive leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// Its path from the folder, with `/`.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its content, as BLAKE3.
    pub digest: Digest,
    /// Where it comes from, in the study's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Where the bytes of a packed file are.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// In this file.
    File(PathBuf),
}

/// Why an archive was not written or not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file could not be used.
    #[error("cannot {action} `{path}`: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// It is no archive, or one that cannot be believed.
    #[error("`{path}` is refused: {why}; nothing was unpacked", path = path.display())]
    Refused {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file changed between being listed and being packed.
    #[error("`{path}` changed while it was packed", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// There is something where it would be unpacked to.
    #[error("`{path}` is there already", path = path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = path.to_owned();
    move |source| ArchiveError::Io { action, path, source }
}

/// Writes an archive: all or nothing. `contents` has every file of `index`; `tell` hears of bytes read so far.
///
/// # Errors
/// If a file cannot be read, or does not hold what the index says, or the archive cannot be written.
///
/// # Panics
/// If a file of the index has no content.
pub fn write_archive(
    index: &Index,
    contents: &BTreeMap<String, Content>,
    target: &Path,
    tell: &mut dyn FnMut(u64),
) -> Result<(), ArchiveError> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let partial = write_under(".hebb-pack-", 0o666).tempfile_in(folder);
    let partial = partial.map_err(io_error("write in", folder))?;
    let written = || io_error("write", target);
    let encoder = zstd::Encoder::new(BufWriter::new(partial), LEVEL).map_err(written())?;
    let mut tar = tar::Builder::new(encoder);
    let list = serde_json::to_vec_pretty(index).expect("an index is plain data");
    let name = |path: &str| format!("{}/{path}", index.folder);
    append(&mut tar, &name(INDEX), list.len() as u64, list.as_slice()).map_err(written())?;
    let mut done_bytes = 0;
    for entry in &index.files {
        let bytes: Box<dyn Read> = match contents.get(&entry.path).expect("every file of an index has a content") {
            Content::Bytes(bytes) => Box::new(bytes.as_slice()),
            Content::File(path) => Box::new(File::open(path).map_err(io_error("read", path))?),
        };
        let mut checked = Checked::new(bytes, entry.size_bytes);
        let packed = append(&mut tar, &name(&entry.path), entry.size_bytes, &mut checked);
        if checked.finish() != Some(entry.digest) {
            return Err(ArchiveError::Changed { path: entry.path.clone().into() });
        }
        packed.map_err(written())?;
        done_bytes += entry.size_bytes;
        tell(done_bytes);
    }
    let encoder = tar.into_inner().map_err(written())?;
    let partial = encoder.finish().and_then(|buffered| buffered.into_inner().map_err(io::IntoInnerError::into_error));
    let partial = partial.map_err(written())?;
    partial.as_file().sync_all().map_err(written())?;
    partial.persist(target).map_err(|error| written()(error.error))?;
    Ok(())
}

/// Adds a file without owner, time or anything else that differs from machine to machine.
fn append(tar: &mut tar::Builder<impl Write>, path: &str, size_bytes: u64, bytes: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size_bytes);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, path, bytes)
}

/// An archive whose list was read and found possible; nothing of it is unpacked.
pub struct Archive {
    path: PathBuf,
    /// What it holds.
    pub index: Index,
}

impl Archive {
    /// Reads the list of an archive.
    ///
    /// # Errors
    /// If the file cannot be read, is no archive, or announces what no archive of Hebb may hold.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let mut index = None;
        walk(path, &mut |found, _, _| {
            index = Some(found.clone());
            Ok(Flow::Ends)
        })?;
        Ok(Self { path: path.to_owned(), index: index.expect("a walk that succeeds has read the list") })
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.index.files.iter().map(|file| file.size_bytes).sum()
    }

    /// Unpacks everything into the new folder `target`, which appears when it is whole; `tell` hears of bytes written so far.
    ///
    /// # Errors
    /// If something is there already, or the archive is not what its list says: nothing is left behind then.
    pub fn unpack(&self, target: &Path, tell: &mut dyn FnMut(u64)) -> Result<(), ArchiveError> {
        if fs::symlink_metadata(target).is_ok() {
            return Err(ArchiveError::Occupied { path: target.to_owned() });
        }
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(io_error("create", parent))?;
        let partial = write_under(".hebb-unpack-", 0o777).tempdir_in(parent);
        let partial = partial.map_err(io_error("write in", parent))?;
        let mut done_bytes = 0;
        walk(&self.path, &mut |index, entry, bytes| {
            if *index != self.index {
                return Err(refusal(&self.path, "it changed while it was read"));
            }
            let (path, size) = entry.map_or((INDEX, None), |entry| (entry.path.as_str(), Some(entry)));
            let place = partial.path().join(path);
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder).map_err(io_error("create", folder))?;
            }
            // Names are distinct, also for file systems that do not tell case: an existing file is no file of this archive.
            let mut file = File::create_new(&place).map_err(io_error("create", &place))?;
            match size {
                None => {
                    let list = serde_json::to_vec_pretty(index).expect("an index is plain data");
                    file.write_all(&list).map_err(io_error("write", &place))?;
                }
                Some(entry) => {
                    copy(bytes, &mut file).map_err(|error| match error {
                        Copy::Read(error) => refusal(&self.path, unreadable(&entry.path, &error)),
                        Copy::Write(error) => io_error("write", &place)(error),
                    })?;
                    done_bytes += entry.size_bytes;
                    tell(done_bytes);
                }
            }
            Ok(Flow::GoesOn)
        })?;
        let whole = partial.keep();
        fs::rename(&whole, target).map_err(|error| {
            let _ = fs::remove_dir_all(&whole);
            io_error("create", target)(error)
        })
    }
}

enum Copy {
    Read(io::Error),
    Write(io::Error),
}

fn copy(from: &mut dyn Read, into: &mut File) -> Result<(), Copy> {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece).map_err(Copy::Read)? {
            0 => return Ok(()),
            read => into.write_all(&piece[..read]).map_err(Copy::Write)?,
        }
    }
}

fn refusal(path: &Path, why: impl Into<String>) -> ArchiveError {
    ArchiveError::Refused { path: path.to_owned(), why: why.into() }
}

fn unreadable(what: &str, error: &io::Error) -> String {
    format!("`{}` cannot be read: {}", printable(what), printable(&error.to_string()))
}

/// Whether a walk goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    GoesOn,
    Ends,
}

/// Who is shown an archive: the list first, without an entry, then every file with its bytes.
type Visitor<'v> = dyn FnMut(&Index, Option<&Entry>, &mut dyn Read) -> Result<Flow, ArchiveError> + 'v;

/// Reads an archive from its beginning and holds it to its list.
fn walk(path: &Path, visit: &mut Visitor<'_>) -> Result<(), ArchiveError> {
    let refused = |why: String| refusal(path, why);
    let no_archive =
        |error: io::Error| refusal(path, format!("it is no archive of Hebb ({})", printable(&error.to_string())));
    let file = File::open(path).map_err(io_error("read", path))?;
    let packed_bytes = file.metadata().map_err(io_error("read", path))?.len();
    let mut decoder = zstd::Decoder::new(file).map_err(no_archive)?;
    decoder.window_log_max(WINDOW_LOG).map_err(no_archive)?;
    let budget = Rc::new(Cell::new(MOST_HEADER_BYTES));
    let budgeted = Budgeted { inner: BufReader::with_capacity(PIECE, decoder), left_bytes: Rc::clone(&budget) };
    let mut tar = tar::Archive::new(budgeted);
    let mut entries = tar.entries().map_err(no_archive)?;

    let mut first = match entries.next() {
        Some(first) => first.map_err(no_archive)?,
        None => return Err(refused("it is empty".to_owned())),
    };
    let (name, size_bytes) = head(&first).map_err(refused)?;
    let named = name.strip_suffix(INDEX).and_then(|name| name.strip_suffix('/'));
    let Some(folder) = named.map(str::to_owned) else {
        return Err(refused(format!("it begins with `{}`, expected `FOLDER/{INDEX}`", printable(&name))));
    };
    if size_bytes > MOST_INDEX_BYTES.min(announced(packed_bytes)) {
        return Err(refused(format!("its list has {size_bytes} bytes")));
    }
    afford(path, u128::from(size_bytes) * MEMORY_PER_INDEX_BYTE, || format!("a list of {size_bytes} bytes"))
        .map_err(|error| io_error("read", path)(io::Error::other(error)))?;
    budget.set(size_bytes + MOST_HEADER_BYTES);
    let mut list = Vec::new();
    first.read_to_end(&mut list).map_err(no_archive)?;
    drop(first);
    let index: Index = serde_json::from_slice(&list)
        .map_err(|error| refused(format!("its list is not understood: {}", printable(&error.to_string()))))?;
    drop(list);
    assert_possible(&index, &folder, packed_bytes).map_err(refused)?;
    if visit(&index, None, &mut io::empty())? == Flow::Ends {
        return Ok(());
    }

    for entry in &index.files {
        let told = printable(&entry.path);
        // A header, what may be left of the padding before it, and the bytes of the file.
        budget.set(MOST_HEADER_BYTES);
        let mut found = match entries.next() {
            Some(found) => found.map_err(|error| refused(unreadable(&entry.path, &error)))?,
            None => return Err(refused(format!("it ends before `{told}`"))),
        };
        let (name, size_bytes) = head(&found).map_err(refused)?;
        if name.strip_prefix(&index.folder).and_then(|name| name.strip_prefix('/')) != Some(entry.path.as_str()) {
            return Err(refused(format!("it holds `{}` where its list has `{told}`", printable(&name))));
        }
        if size_bytes != entry.size_bytes {
            return Err(refused(format!("`{told}` has {size_bytes} bytes, its list says {}", entry.size_bytes)));
        }
        budget.set(size_bytes.saturating_add(MOST_HEADER_BYTES));
        let mut checked = Checked::new(&mut found, size_bytes);
        let flow = visit(&index, Some(entry), &mut checked)?;
        if checked.finish() != Some(entry.digest) {
            return Err(refused(format!("`{told}` holds other bytes than its list says")));
        }
        if flow == Flow::Ends {
            return Ok(());
        }
    }
    budget.set(MOST_HEADER_BYTES);
    match entries.next() {
        None => Ok(()),
        Some(Ok(more)) => {
            let name = String::from_utf8_lossy(&more.path_bytes()).into_owned();
            Err(refused(format!("it holds `{}`, which its list has not", printable(&name))))
        }
        Some(Err(error)) => Err(refused(unreadable("what follows the last file", &error))),
    }
}

/// Name and size of an entry, if it is a plain file.
fn head(entry: &tar::Entry<'_, impl Read>) -> Result<(String, u64), String> {
    let bytes = entry.path_bytes();
    let name = std::str::from_utf8(&bytes)
        .map_err(|_| format!("the name `{}` is no text", printable(&String::from_utf8_lossy(&bytes))))?;
    match entry.header().entry_type() {
        tar::EntryType::Regular => Ok((name.to_owned(), entry.size())),
        other => Err(format!("`{}` is {}, expected plain files only", printable(name), told(other))),
    }
}

fn told(kind: tar::EntryType) -> &'static str {
    match kind {
        tar::EntryType::Link => "a hard link",
        tar::EntryType::Symlink => "a link",
        tar::EntryType::Char | tar::EntryType::Block => "a device",
        tar::EntryType::Directory => "a folder",
        tar::EntryType::Fifo => "a pipe",
        tar::EntryType::GNUSparse => "a file with holes",
        _ => "no plain file",
    }
}

/// Most bytes that an archive of this size may announce.
fn announced(packed_bytes: u64) -> u64 {
    packed_bytes.saturating_mul(MOST_SHRINKING).max(ALWAYS_FINE_BYTES)
}

/// Fails unless an archive may hold what it announces.
fn assert_possible(index: &Index, folder: &str, packed_bytes: u64) -> Result<(), String> {
    if index.version != ARCHIVE_VERSION {
        return Err(format!("its format is {}, expected {ARCHIVE_VERSION}", index.version));
    }
    if index.folder != folder {
        return Err(format!("its list is of `{}`, and lies in `{}`", printable(&index.folder), printable(folder)));
    }
    assert_folder_name(folder)?;
    if index.files.len().max(index.missing.len()) > MOST_FILES {
        return Err(format!("it announces {} files", index.files.len()));
    }
    let mut size_bytes = 0u64;
    for file in &index.files {
        size_bytes = size_bytes.saturating_add(file.size_bytes);
    }
    if size_bytes > announced(packed_bytes) {
        return Err(format!("{packed_bytes} bytes announce {size_bytes}, which no results shrink to"));
    }
    let missing = index.missing.iter().map(|file| file.path.as_str());
    assert_names(index.files.iter().map(|file| file.path.as_str()).chain(missing).chain([INDEX]))?;
    if !index.files.iter().any(|file| file.path == index.study_file) {
        return Err(format!("its study `{}` is not in it", printable(&index.study_file)));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
