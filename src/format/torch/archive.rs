//! The archives of PyTorch 1.6 and later, and of TorchScript: zip files whose entries stand as they are.
//!
//! Owns the names of the entries; knows nothing of what the pickle inside says.

use super::{error::TorchError, pickle, storage::Places};
use std::{
    borrow::Cow,
    cell::Cell,
    io::{self, Cursor, Read, Seek, SeekFrom},
    path::Path,
};
use zip::{CompressionMethod, ZipArchive};

/// How every archive begins.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";

/// The entry with the objects; its folder is what the archive was called when it was written.
const OBJECTS: &str = "data.pkl";

/// The entry with the order of the bytes in a number; absent before PyTorch 2.1.
const BYTE_ORDER: &str = "byteorder";

/// Entries of one archive: a storage each, and a handful.
const MOST_ENTRIES: usize = 1 << 17;

/// Bytes of an archive's directory, which is held in memory: five times as many there.
const MOST_DIRECTORY_BYTES: usize = 1 << 25;

/// What an archive holds.
pub(super) struct Contents<'a> {
    pub(super) pickle: &'a [u8],
    pub(super) places: Places,
}

/// Finds the pickle and the storages in an archive.
pub(super) fn read_archive<'a>(file: &'a [u8], path: &Path) -> Result<Contents<'a>, TorchError> {
    let damaged = |error| TorchError::damaged(path, error);
    let ration = Cell::new(MOST_DIRECTORY_BYTES);
    let mut archive = ZipArchive::new(Rationed { file: Cursor::new(file), ration: &ration }).map_err(damaged)?;
    if archive.len() > MOST_ENTRIES {
        return Err(TorchError::too_large(path, format!("{} entries", archive.len()), MOST_ENTRIES));
    }
    let names = archive.file_names().map(|name| name.map(Cow::into_owned)).collect::<Result<Vec<_>, _>>();
    let names = names.map_err(damaged)?;
    let folder = folder(&names, path)?;
    let storages = format!("{folder}data/");
    let mut pickle = None;
    let mut places = Places::default();
    for (index, name) in names.iter().enumerate() {
        let key = name.strip_prefix(&storages);
        let other = name.strip_prefix(folder).filter(|name| matches!(*name, OBJECTS | BYTE_ORDER));
        if key.is_none() && other.is_none() {
            continue;
        }
        let entry = archive.by_index_raw(index).map_err(damaged)?;
        if entry.compression() != CompressionMethod::Stored || entry.size() != entry.compressed_size() {
            return Err(TorchError::Compressed { path: path.to_owned(), entry: name.clone() });
        }
        if entry.encrypted() {
            return Err(TorchError::damaged(path, format!("its entry `{name}` is encrypted")));
        }
        let end = |start: u64| start.checked_add(entry.size()).filter(|&end| end <= file.len() as u64);
        let Some((start, end)) = entry.data_start().and_then(|start| Some((start, end(start)?))) else {
            return Err(TorchError::damaged(path, format!("its entry `{name}` ends behind the file")));
        };
        if let Some(key) = key {
            places.insert(key.to_owned(), start..end);
            continue;
        }
        let bytes = &file[start as usize..end as usize];
        match other {
            Some(OBJECTS) => pickle = Some((index, bytes)),
            _ if bytes.trim_ascii() == b"little" => {}
            _ => return Err(TorchError::BigEndian { path: path.to_owned() }),
        }
    }
    let (index, bytes) = pickle.expect("the folder is the pickle's");
    if bytes.len() > pickle::MOST_BYTES {
        return Err(TorchError::too_large(path, format!("a pickle of {} bytes", bytes.len()), pickle::MOST_BYTES));
    }
    // Read through once, which compares the check sum.
    ration.set(MOST_DIRECTORY_BYTES + bytes.len());
    let mut entry = archive.by_index(index).map_err(damaged)?;
    io::copy(&mut entry, &mut io::sink())
        .map_err(|error| TorchError::damaged(path, format!("its entry `{OBJECTS}`: {error}")))?;
    Ok(Contents { pickle: bytes, places })
}

/// A file of which only so many bytes are handed out, whatever its directory claims.
struct Rationed<'f> {
    file: Cursor<&'f [u8]>,
    ration: &'f Cell<usize>,
}

impl Read for Rationed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.file.read(buffer)?;
        let left = self.ration.get().checked_sub(n_read);
        let left = left.ok_or_else(|| io::Error::other("its directory is larger than that of any checkpoint"))?;
        self.ration.set(left);
        Ok(n_read)
    }
}

impl Seek for Rationed<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The folder of the pickle, with a slash at its end; empty if there is none.
fn folder<'a>(names: &'a [String], path: &Path) -> Result<&'a str, TorchError> {
    let is_folder = |name: &str| name.is_empty() || name.find('/') == Some(name.len() - 1);
    let mut folders = names.iter().filter_map(|name| name.strip_suffix(OBJECTS)).filter(|name| is_folder(name));
    let Some(folder) = folders.next() else {
        let found = format!("a zip archive without `{OBJECTS}`");
        return Err(TorchError::NotTorch { path: path.to_owned(), found });
    };
    match folders.next() {
        None => Ok(folder),
        Some(other) => {
            Err(TorchError::damaged(path, format!("it has both `{folder}{OBJECTS}` and `{other}{OBJECTS}`")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of one empty entry that its directory lists many times.
    fn listed(n_entries: usize) -> Vec<u8> {
        let local = [MAGIC, &[20, 0], &[0; 20], &[1, 0, 0, 0], b"a"].concat();
        let listing = [&b"PK\x01\x02"[..], &[20, 0, 20, 0], &[0; 20], &[1, 0], &[0; 16], b"a"].concat();
        let directory = listing.repeat(n_entries);
        let mut bytes = [&local[..], &directory].concat();
        let end64 = bytes.len() as u64;
        bytes.extend([&b"PK\x06\x06"[..], &44u64.to_le_bytes(), &[45, 0, 45, 0], &[0; 8]].concat());
        for value in [n_entries as u64, n_entries as u64, directory.len() as u64, local.len() as u64] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend([&b"PK\x06\x07"[..], &[0; 4], &end64.to_le_bytes(), &[1, 0, 0, 0]].concat());
        bytes.extend([&b"PK\x05\x06"[..], &[0; 4], &[0xff; 12], &[0; 2]].concat());
        bytes
    }

    #[test]
    fn a_directory_without_end_is_not_read_to_its_end() {
        let message = |n_entries| read_archive(&listed(n_entries), Path::new("p")).err().unwrap().to_string();
        assert!(message(3).contains("is a zip archive without `data.pkl`"), "{}", message(3));
        let refused = message(MOST_DIRECTORY_BYTES / 40);
        assert!(refused.contains("its directory is larger than that of any checkpoint"), "{refused}");
    }
}
