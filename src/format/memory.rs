//! How much memory one thing out of a file may take, and files that are read whole.
//!
//! Owns the budget and the refusal. There is one budget for a process, as there is one memory: a study has hundreds of readers, on
//! many threads, and one that had not been handed a budget would be the one that matters. The command line sets it from `--memory`; without
//! that it is the memory of the machine, or of the container. What is refused is one thing that would have to be held whole and is larger than
//! all of the budget: a series, a picture, a table. How many things fit beside each other is for whoever schedules them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

/// Bytes that were set; 0 stands for none.
static GIVEN: AtomicU64 = AtomicU64::new(0);

/// Sets how many bytes one thing may take, for the whole process.
pub fn set_budget_bytes(bytes: u64) {
    GIVEN.store(bytes.max(1), Ordering::Relaxed);
}

/// How many bytes one thing may take: what was set, else what the machine or the container has.
#[must_use]
pub fn budget_bytes() -> u64 {
    static MACHINE: OnceLock<u64> = OnceLock::new();
    match GIVEN.load(Ordering::Relaxed) {
        0 => *MACHINE.get_or_init(|| {
            let mut system = sysinfo::System::new();
            system.refresh_memory();
            let contained = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
            // Of a system that does not say, nothing is known to be too much.
            Some(system.total_memory().min(contained)).filter(|bytes| *bytes > 0).unwrap_or(u64::MAX)
        }),
        given => given,
    }
}

/// Something in a file that would take more memory than there is for it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{}` {}", path.display(), refused(what, *needed_bytes, *budget_bytes))]
pub struct TooMuch {
    /// The file.
    pub path: PathBuf,
    /// What it holds, as `a matrix of 3 x 4 numbers`.
    pub what: String,
    /// What that takes.
    pub needed_bytes: u128,
    /// What it may take.
    pub budget_bytes: u64,
}

fn refused(what: &str, needed_bytes: u128, budget_bytes: u64) -> String {
    let gigabytes = |bytes: f64| format!("{:.3} GB", bytes / 1e9);
    format!(
        "holds {what}, which takes {needed_bytes} bytes of memory ({}), expected at most the budget of {budget_bytes} ({}): \
         allow more with `hebb run --memory GB`, run it where there is more, or make the file smaller",
        gigabytes(needed_bytes as f64),
        gigabytes(budget_bytes as f64)
    )
}

/// Fails if something in a file takes more memory than there is for one thing; asked before any of it is allocated.
///
/// # Errors
/// [`TooMuch`].
pub fn afford(path: &Path, needed_bytes: u128, what: impl FnOnce() -> String) -> Result<(), Box<TooMuch>> {
    within(budget_bytes(), path, needed_bytes, what)
}

fn within(
    budget_bytes: u64,
    path: &Path,
    needed_bytes: u128,
    what: impl FnOnce() -> String,
) -> Result<(), Box<TooMuch>> {
    if needed_bytes <= u128::from(budget_bytes) {
        return Ok(());
    }
    Err(Box::new(TooMuch { path: path.to_owned(), what: what(), needed_bytes, budget_bytes }))
}

/// As [`afford`], for whoever says later which file it is: what comes after the file's name.
///
/// # Errors
/// The words.
pub fn afford_unnamed(needed_bytes: u128, what: impl FnOnce() -> String) -> Result<(), String> {
    let budget_bytes = budget_bytes();
    within(budget_bytes, Path::new(""), needed_bytes, what)
        .map_err(|much| refused(&much.what, needed_bytes, budget_bytes))
}

/// Upper estimate of the memory that JSON takes once it is understood: its letters, and what every entry of a list or table takes.
#[must_use]
pub fn json_memory_bytes(json: &[u8]) -> u128 {
    /// A value, its name with the smallest piece of memory for it, and what lists that grow by doubling have to spare.
    const ENTRY_BYTES: u128 = 128;
    let n_entries = json.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    2 * json.len() as u128 + ENTRY_BYTES * n_entries as u128
}

/// Fails if JSON would take more memory than there is for one thing.
///
/// # Errors
/// [`TooMuch`].
pub fn afford_json(path: &Path, json: &[u8]) -> Result<(), Box<TooMuch>> {
    afford(path, json_memory_bytes(json), || format!("JSON of {} bytes", json.len()))
}

/// Reads a whole file of at most `most_bytes`.
///
/// What is there counts, not what the system says of its length: pipes, devices and files that grow have none.
///
/// # Errors
/// If the file cannot be read, or is longer, or would take more memory than there is for one thing.
pub fn read_within(path: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let told_bytes = file.metadata()?.len();
    bytes_within(path, file, told_bytes, most_bytes)
}

/// Bytes that room is made for at first where nothing is known of a file's length.
const SMALLEST_ROOM: usize = 1 << 13;

fn bytes_within(path: &Path, file: impl Read, told_bytes: u64, most_bytes: u64) -> io::Result<Vec<u8>> {
    let too_long = |bytes: u64| {
        let message = format!("it has {bytes} bytes or more, expected at most {most_bytes}");
        Err(io::Error::new(io::ErrorKind::FileTooLarge, message))
    };
    if told_bytes > most_bytes {
        return too_long(told_bytes);
    }
    let budget = budget_bytes();
    within(budget, path, told_bytes.into(), || format!("{told_bytes} bytes")).map_err(io::Error::other)?;
    // One byte more, so that a file that goes on is not taken for one that ends there.
    let limit = usize::try_from(most_bytes.min(budget).saturating_add(1)).unwrap_or(usize::MAX);
    let (mut file, mut bytes) = (file, Vec::new());
    let mut room = usize::try_from(told_bytes).unwrap_or(0).saturating_add(1).max(SMALLEST_ROOM);
    loop {
        // Room doubles as it is filled, and never beyond the limit.
        room = room.min(limit - bytes.len());
        bytes.reserve_exact(room);
        let n_read = file.by_ref().take(room as u64).read_to_end(&mut bytes)?;
        if n_read < room || bytes.len() == limit {
            break;
        }
        room = bytes.len();
    }
    let found_bytes = bytes.len() as u64;
    if found_bytes > most_bytes {
        return too_long(found_bytes);
    }
    within(budget, path, found_bytes.into(), || format!("{found_bytes} bytes or more")).map_err(io::Error::other)?;
    Ok(bytes)
}

/// Reads a whole text of at most `most_bytes`.
///
/// # Errors
/// As [`read_within`], or if it is not UTF-8.
pub fn read_text_within(path: &Path, most_bytes: u64) -> io::Result<String> {
    let bytes = read_within(path, most_bytes)?;
    // As the standard library says it of a file that it reads.
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "stream did not contain valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_larger_than_the_budget_is_refused_with_both_numbers_and_what_to_do() {
        let path = Path::new("a.npy");
        assert!(within(1000, path, 1000, || unreachable!("nothing is refused")).is_ok());
        let refused = within(2_000_000_000, path, 4_000_000_000_000, || "a matrix".to_owned()).unwrap_err();
        let text = refused.to_string();
        for part in
            ["`a.npy` holds a matrix", "4000000000000 bytes", "4000.000 GB", "2.000 GB", "`hebb run --memory GB`"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(within(u64::MAX, path, u128::MAX, String::new).is_err());
    }

    #[test]
    fn without_a_word_the_budget_is_what_the_machine_has() {
        assert!(budget_bytes() > 1 << 24);
    }

    #[test]
    fn files_are_as_long_as_they_are_and_not_as_the_system_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "ä234").unwrap();
        assert_eq!(read_text_within(&path, 5).unwrap(), "ä234");
        let refused = read_within(&path, 4).unwrap_err();
        assert_eq!(refused.to_string(), "it has 5 bytes or more, expected at most 4");
        // A pipe that never ends says that it has no bytes.
        let endless = bytes_within(&path, io::repeat(7), 0, 1000).unwrap_err();
        assert_eq!(endless.to_string(), "it has 1001 bytes or more, expected at most 1000");
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(read_text_within(&path, 5).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
