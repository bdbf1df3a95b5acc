//! Where inputs lie that are read from files: in memory, if the system has such a folder.

use std::path::Path;

/// A folder that goes away with its guard.
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

/// The parts of an input, which are cut apart by the bytes `\n%%\n`: fuzzers find such a mark, and no file needs it.
pub fn parts<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    const MARK: &[u8] = b"\n%%\n";
    let mut rest = Some(bytes);
    std::array::from_fn(|_| {
        let all = rest.unwrap_or_default();
        match all.windows(MARK.len()).position(|window| window == MARK) {
            Some(at) => {
                rest = Some(&all[at + MARK.len()..]);
                &all[..at]
            }
            None => {
                rest = None;
                all
            }
        }
    })
}
