//! Looks for files by what is in them: whoever has the data of a study elsewhere need not put them where it says.

use super::Lock;
use crate::store::{Digest, FileDigests, StoreError};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

/// What a search gave.
#[derive(Debug, Default)]
pub struct Found {
    /// Files with the wanted content, by the name of the input.
    pub files: BTreeMap<String, PathBuf>,
    /// Files of a wanted size that were read.
    pub n_read: usize,
}

/// Looks below `folders` for files that hold what `wanted` of a lock hold; only files of a wanted size are read.
///
/// # Errors
/// If a file that may be one cannot be read.
pub fn find_inputs(
    lock: &Lock,
    wanted: &BTreeSet<String>,
    folders: &[PathBuf],
    digests: &FileDigests,
) -> Result<Found, StoreError> {
    let mut by_size: BTreeMap<u64, Vec<(&String, Digest)>> = BTreeMap::new();
    for name in wanted {
        if let Some(input) = lock.inputs.get(name) {
            by_size.entry(input.size_bytes).or_default().push((name, input.digest));
        }
    }
    let mut found = Found::default();
    for folder in folders {
        // In order, so that of two equal files the same is taken each time; links to folders could lead in circles.
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten() {
            let path = entry.path();
            let Ok(facts) = fs::metadata(path) else { continue };
            let Some(candidates) = by_size.get(&facts.len()).filter(|_| facts.is_file()) else { continue };
            if candidates.iter().all(|(name, _)| found.files.contains_key(*name)) {
                continue;
            }
            found.n_read += 1;
            let digest = digests.digest(path)?.digest;
            for (name, wanted) in candidates {
                if *wanted == digest {
                    found.files.entry((*name).clone()).or_insert_with(|| path.to_owned());
                }
            }
        }
    }
    Ok(found)
}

/// Puts a link to a found file where a study looks for it, or a copy where there are no links.
///
/// # Errors
/// If the place cannot be written.
pub fn place_input(found: &Path, place: &Path) -> io::Result<()> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    // What lies there was missing or holds something else: a link is replaced, a file of the user's is not.
    if fs::symlink_metadata(place).is_ok_and(|facts| facts.is_symlink()) {
        fs::remove_file(place)?;
    }
    let found = fs::canonicalize(found)?;
    #[cfg(unix)]
    return std::os::unix::fs::symlink(&found, place);
    #[cfg(not(unix))]
    {
        if place.exists() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file lies there"));
        }
        fs::copy(&found, place).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::{LOCK_VERSION, LockedInput};

    #[test]
    fn files_are_found_by_what_is_in_them() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data/deep");
        fs::create_dir_all(&data).expect("writable");
        for (name, bytes) in [("other-name.nii", &b"abc"[..]), ("same-size.nii", b"abd"), ("copy.nii", b"abc")] {
            fs::write(data.join(name), bytes).expect("writable");
        }
        let input = |bytes: &[u8]| LockedInput { digest: Digest::of(bytes), size_bytes: bytes.len() as u64 };
        let inputs = BTreeMap::from([("a.nii".to_owned(), input(b"abc")), ("b.nii".to_owned(), input(b"abcd"))]);
        let lock = Lock { version: LOCK_VERSION, inputs, ..Lock::default() };
        let wanted: BTreeSet<String> = lock.inputs.keys().cloned().collect();
        let digests = FileDigests::open(&folder.path().join("cache"), false);
        let found = find_inputs(&lock, &wanted, &[folder.path().join("data")], &digests).expect("readable");
        assert_eq!(found.files, BTreeMap::from([("a.nii".to_owned(), data.join("copy.nii"))]));
        let place = folder.path().join("study/inputs/a.nii");
        place_input(&found.files["a.nii"], &place).expect("writable");
        assert_eq!(fs::read(&place).expect("linked"), b"abc");
        place_input(&data.join("same-size.nii"), &place).expect("a link is replaced");
        assert_eq!(fs::read(&place).expect("linked"), b"abd");
    }
}
