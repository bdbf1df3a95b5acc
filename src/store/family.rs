//! Results that may lend parts of themselves to each other, by what they share. A side index: without it everything is
//! computed anew, and nothing else is lost.

use super::{Digest, Store, notes::LARGEST_NOTE_BYTES};
use crate::format::memory::read_text_within;
use std::{collections::BTreeSet, fs, io::Write, path::PathBuf};

/// Folder of the index in the cache: a file for each family, a line for each artifact.
const FOLDER: &str = "families";

impl Store {
    /// The artifacts of a family that are still there, in order of their digests.
    #[must_use]
    pub fn family(&self, family: &Digest) -> Vec<Digest> {
        if self.has_families { self.members(family) } else { Vec::new() }
    }

    fn members(&self, family: &Digest) -> Vec<Digest> {
        // Lines that were cut short while they were written are no digests.
        let text = read_text_within(&self.family_file(family), LARGEST_NOTE_BYTES).unwrap_or_default();
        let known: BTreeSet<Digest> = text.lines().filter_map(|line| line.parse().ok()).collect();
        known.into_iter().filter(|output| self.artifact(output).is_dir()).collect()
    }

    /// Adds an artifact to a family; an index that cannot be written to stays as it is.
    pub fn add_to_family(&self, family: &Digest, output: &Digest) {
        if !self.has_families || self.family(family).contains(output) {
            return;
        }
        let path = self.family_file(family);
        let append = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            // One write of one line: whoever appends at the same time does so before or behind it.
            fs::File::options().create(true).append(true).open(&path)?.write_all(format!("{output}\n").as_bytes())
        };
        let _ = append();
    }

    /// Forgets the families of which no artifact is left.
    pub(super) fn prune_families(&self) {
        let entries = fs::read_dir(self.root().join(FOLDER)).into_iter().flatten();
        for entry in entries.filter_map(Result::ok) {
            let family = entry.file_name().to_string_lossy().parse();
            if family.is_ok_and(|family| self.members(&family).is_empty()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn family_file(&self, family: &Digest) -> PathBuf {
        self.root().join(FOLDER).join(family.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_holds_what_is_still_there_and_survives_torn_lines() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path()).expect("a cache");
        let [family, one, other] = [&b"family"[..], b"one", b"other"].map(Digest::of);
        assert!(store.family(&family).is_empty());
        fs::create_dir_all(store.artifact(&one)).expect("writable");
        store.add_to_family(&family, &one);
        store.add_to_family(&family, &other);
        store.add_to_family(&family, &one);
        assert_eq!(store.family(&family), [one], "the other was removed");
        let path = store.family_file(&family);
        let text = fs::read_to_string(&path).expect("the index");
        assert_eq!(text.lines().count(), 2);
        fs::write(&path, &text[..text.len() - 9]).expect("writable");
        assert_eq!(store.family(&family), [one]);
        store.prune_families();
        assert!(path.exists());
        let alone = store.clone().without_families();
        alone.add_to_family(&family, &other);
        assert!(alone.family(&family).is_empty() && store.family(&family) == [one]);
        alone.prune_families();
        assert!(path.exists(), "whoever takes nothing over leaves it to others");
        fs::remove_dir_all(store.artifact(&one)).expect("removable");
        store.prune_families();
        assert!(!path.exists());
    }
}
