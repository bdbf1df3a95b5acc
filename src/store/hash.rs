//! BLAKE3 of a file, on all cores. Owns how a file is cut for that; `digest.rs` knows the text form.
//!
//! Large files are mapped into memory ([`crate::format::mapped`]), which saves a copy. Where that cannot be done, each core reads its own
//! piece into a small buffer and hashes it while it is in the core's cache.

use super::{Digest, StoreError, io_error};
use blake3::{
    Hasher,
    hazmat::{ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root},
};
use std::{cell::RefCell, fs::File, io, path::Path};

/// Bytes that one core reads and hashes at a time: a power of two, as subtrees are, that fits into its second-level cache.
const PIECE_BYTES: u64 = 1 << 19;

/// Bytes of a subtree that are read one piece after the other: fewer, and waking another core costs more than it saves.
const TOGETHER_BYTES: u64 = 1 << 22;

thread_local! {
    /// Pages that were touched before cost nothing, fresh ones a fault each.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// BLAKE3 of a file's bytes.
///
/// # Errors
/// If the file cannot be read, or becomes shorter meanwhile.
pub fn hash_file(path: &Path) -> Result<Digest, StoreError> {
    let read = || {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        // A pipe or a file of the kernel's has no length to cut by.
        if length == 0 {
            let mut hasher = Hasher::new();
            hasher.update_reader(&file)?;
            return Ok(hasher.finalize().into());
        }
        if length <= PIECE_BYTES {
            return with_piece(&file, path, 0, length, |bytes| blake3::hash(bytes).into());
        }
        #[cfg(unix)]
        if let Some(mapped) = crate::format::mapped::Mapped::of(&file) {
            let digest = Hasher::new().update_rayon(&mapped).finalize();
            mapped.assert_whole(&file)?;
            return Ok(digest.into());
        }
        read_in_pieces(&file, path, length)
    };
    read().map_err(io_error("read", path))
}

fn read_in_pieces(file: &File, path: &Path, length: u64) -> io::Result<Digest> {
    let left = left_subtree_len(length);
    let (one, other) = both(file, path, 0, length, left)?;
    Ok(merge_subtrees_root(&one, &other, Mode::Hash).into())
}

fn both(file: &File, path: &Path, start: u64, length: u64, left: u64) -> io::Result<(ChainingValue, ChainingValue)> {
    let one = || subtree(file, path, start, left);
    let other = || subtree(file, path, start + left, length - left);
    let (one, other) = if length > TOGETHER_BYTES { rayon::join(one, other) } else { (one(), other()) };
    Ok((one?, other?))
}

/// The chaining value of the subtree over `length` bytes from `start`.
fn subtree(file: &File, path: &Path, start: u64, length: u64) -> io::Result<ChainingValue> {
    if length <= PIECE_BYTES {
        return with_piece(file, path, start, length, |bytes| {
            Hasher::new().set_input_offset(start).update(bytes).finalize_non_root()
        });
    }
    let (one, other) = both(file, path, start, length, left_subtree_len(length))?;
    Ok(merge_subtrees_non_root(&one, &other, Mode::Hash))
}

/// Hands `length` bytes from `start` to `hash`.
fn with_piece<T>(file: &File, path: &Path, start: u64, length: u64, hash: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    BUFFER.with_borrow_mut(|buffer| {
        let length = usize::try_from(length).expect("a piece fits into memory");
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        read_exact_at(file, path, &mut buffer[..length], start)?;
        Ok(hash(&buffer[..length]))
    })
}

#[cfg(unix)]
fn read_exact_at(file: &File, _path: &Path, buffer: &mut [u8], start: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, start).map_err(shortened)
}

/// A handle of its own: elsewhere a handle has one position for all who read through it.
#[cfg(not(unix))]
fn read_exact_at(_file: &File, path: &Path, buffer: &mut [u8], start: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(buffer).map_err(shortened)
}

fn shortened(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "it became shorter while it was read"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_every_length_have_the_digest_of_their_bytes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a");
        let bytes: Vec<u8> = (0..(9_u32 << 20)).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let piece = PIECE_BYTES as usize;
        let edges = [0, 1, 1024, 1025, piece - 1, piece, piece + 1, 2 * piece, 3 * piece + 7];
        let large = [(TOGETHER_BYTES + 1) as usize, (4 << 20) + 1023, bytes.len()];
        for length in edges.into_iter().chain(large) {
            std::fs::write(&path, &bytes[..length]).expect("writable");
            assert_eq!(hash_file(&path).expect("readable"), Digest::of(&bytes[..length]), "{length} bytes");
            if length > piece {
                let file = File::open(&path).expect("readable");
                let read = read_in_pieces(&file, &path, length as u64).expect("readable");
                assert_eq!(read, Digest::of(&bytes[..length]), "{length} bytes, read");
            }
        }
    }

    #[test]
    fn a_file_that_becomes_shorter_is_an_error() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a");
        std::fs::write(&path, [1; 100]).expect("writable");
        let file = File::open(&path).expect("readable");
        let error = with_piece(&file, &path, 0, 200, |_| ()).expect_err("100 bytes are not there");
        assert_eq!(error.to_string(), "it became shorter while it was read");
    }
}
