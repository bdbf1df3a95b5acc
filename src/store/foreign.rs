//! Records that others wrote: nothing in them is believed before it was looked at.
//!
//! That a key led to a result is the word of whoever wrote the record; what is checked here is that the record agrees with
//! itself, and that what it names can lie in an artifact's folder and nowhere else.

use super::{Digest, OutputFile, Record, seal::is_sealed};
use std::collections::BTreeSet;

/// Most bytes of a record that is read.
pub const LARGEST_RECORD_BYTES: u64 = 64 << 20;

/// Most files of an artifact.
const MOST_FILES: usize = 100_000;

/// Most bytes of a path, and of a name in it: what file systems take.
const LONGEST_PATH_BYTES: usize = 1024;
const LONGEST_NAME_BYTES: usize = 255;

/// Most bytes of a program's version.
const LONGEST_VERSION_BYTES: usize = 64;

impl Record {
    /// The record of a key as someone else wrote it, or what is wrong with it.
    ///
    /// # Errors
    /// If it is not sealed, belongs to another key, does not agree with itself, or names files that no artifact may have.
    pub fn from_elsewhere(bytes: &[u8], key: &Digest) -> Result<Self, String> {
        if !is_sealed(bytes) {
            return Err("it has no seal".to_owned());
        }
        let record = Self::from_bytes(bytes, key)?;
        assert_files(&record.files)?;
        if !record.run.seconds.is_finite() || record.run.seconds < 0.0 {
            return Err(format!("it took {} seconds", record.run.seconds));
        }
        let program = &record.run.program;
        if program.len() > LONGEST_VERSION_BYTES || program.contains(char::is_control) {
            return Err("it names no version of a program".to_owned());
        }
        Ok(record)
    }
}

fn assert_files(files: &[OutputFile]) -> Result<(), String> {
    if files.len() > MOST_FILES {
        return Err(format!("it has {} files, expected at most {MOST_FILES}", files.len()));
    }
    let mut folders = BTreeSet::new();
    let mut paths = BTreeSet::new();
    for OutputFile { path, .. } in files {
        let is_plain = |name: &str| {
            !matches!(name, "" | "." | "..")
                && name.len() <= LONGEST_NAME_BYTES
                && !name.contains(|letter: char| letter.is_control() || matches!(letter, '\\' | ':'))
        };
        if path.len() > LONGEST_PATH_BYTES || !path.split('/').all(is_plain) {
            return Err(format!("its file {:?} has no plain path inside an artifact", shortened(path)));
        }
        folders.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
        if !paths.insert(path.as_str()) {
            return Err(format!("its file {path:?} is there twice"));
        }
    }
    if let Some(path) = paths.intersection(&folders).next() {
        return Err(format!("its file {path:?} is a folder too"));
    }
    let sum = files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.size_bytes));
    // More than this no disk holds, and no file system counts.
    match sum.filter(|sum| *sum <= i64::MAX as u64) {
        Some(_) => Ok(()),
        None => Err("its files have more bytes than can be".to_owned()),
    }
}

fn shortened(path: &str) -> String {
    path.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::RunFacts, super::record::digest_of, *};

    fn record(paths: &[&str], size_bytes: u64) -> Record {
        let file = |path: &&str| OutputFile { path: (*path).into(), size_bytes, digest: Digest::of(b"a") };
        let files: Vec<OutputFile> = paths.iter().map(file).collect();
        Record {
            recipe: Digest::of(b"recipe"),
            content: Digest::of(b"content"),
            output: digest_of(&files),
            files,
            manifest: serde_json::json!({}),
            run: RunFacts { seconds: 1.0, program: "0.1.0".into(), finished_unix_s: 7 },
        }
    }

    fn read(record: &Record) -> Result<Record, String> {
        Record::from_elsewhere(&record.to_bytes(), &Digest::of(b"recipe"))
    }

    #[test]
    fn an_honest_record_is_read() {
        let honest = record(&["a.tsv", "maps/b.nii.gz", "maps/c/d"], 1);
        assert_eq!(read(&honest), Ok(honest));
    }

    #[test]
    fn a_record_without_a_seal_is_refused() {
        let plain = serde_json::to_vec(&record(&["a"], 1)).expect("plain data");
        assert_eq!(Record::from_elsewhere(&plain, &Digest::of(b"recipe")), Err("it has no seal".to_owned()));
    }

    #[test]
    fn paths_that_leave_the_artifact_are_refused() {
        for path in ["../a", "a/../../b", "/etc/passwd", "a//b", "a/", "", ".", "a\\b", "C:a", "a\nb", &"x".repeat(256)]
        {
            let refused = read(&record(&[path], 1)).expect_err(path);
            assert!(refused.contains("no plain path"), "{path:?}: {refused}");
        }
        assert!(read(&record(&["a", "a"], 1)).expect_err("twice").contains("twice"));
        assert!(read(&record(&["a", "a/b"], 1)).expect_err("both").contains("a folder too"));
    }

    #[test]
    fn absurd_sizes_and_facts_are_refused() {
        assert!(read(&record(&["a", "b"], u64::MAX)).is_err());
        assert!(read(&record(&["a"], 1 << 63)).is_err());
        let mut told = record(&["a"], 1);
        told.run.program = "\u{1b}[2J".into();
        assert!(read(&told).is_err());
        told.run = RunFacts { seconds: -1.0, program: "0.1.0".into(), finished_unix_s: 0 };
        assert!(read(&told).is_err());
    }
}
