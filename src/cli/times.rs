//! How long tasks took: `times.json` in the cache, a few samples of each kind by size. Advisory: losing it costs nothing
//! but estimates.
//!
//! How long each task of *this* study took when it last ran is in the study's own note; here lies what a task that never
//! ran can be compared with. Next: `estimate.rs`.

use super::runs::replace_file;
use crate::task::Kind;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Samples of each kind that are kept: enough for a dozen sizes, small enough to read at every command.
const KEPT: usize = 64;

/// One computed task.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Sample {
    /// Its memory estimate, which follows from the shapes of what it reads and makes.
    memory_bytes: u64,
    seconds: f64,
}

/// Samples of every kind, the latest last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Times {
    #[serde(flatten)]
    samples: BTreeMap<Kind, Vec<Sample>>,
}

fn place(cache: &Path) -> PathBuf {
    cache.join("times.json")
}

impl Times {
    /// What is known in a cache; nothing if there is no readable file.
    pub(super) fn read(cache: &Path) -> Self {
        fs::read(place(cache)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Adds these samples to what the file holds by now, since other runs write it too. A file that cannot be written is
    /// no error.
    pub(super) fn save(&self, cache: &Path) {
        if self.samples.is_empty() {
            return;
        }
        let mut all = Self::read(cache);
        for (kind, samples) in &self.samples {
            for sample in samples {
                all.note(*kind, sample.memory_bytes, sample.seconds);
            }
        }
        let bytes = serde_json::to_vec(&all).expect("times are plain data with text keys");
        let _ = replace_file(&place(cache), &bytes);
    }

    /// Notes a computed task. Of many samples, those of sizes that are well known go first.
    pub(super) fn note(&mut self, kind: Kind, memory_bytes: u64, seconds: f64) {
        let samples = self.samples.entry(kind).or_default();
        samples.push(Sample { memory_bytes, seconds });
        if samples.len() > KEPT {
            let alike = |of: &Sample| samples.iter().filter(|other| other.memory_bytes == of.memory_bytes).count();
            // `max_by_key` gives the last of several, and the oldest has to go.
            let oldest = (0..samples.len()).rev().max_by_key(|at| alike(&samples[*at])).expect("just pushed");
            samples.remove(oldest);
        }
    }

    /// Seconds of a task of this kind and size, by the samples nearest in size, in proportion.
    pub(super) fn guess(&self, kind: Kind, memory_bytes: u64) -> Option<f64> {
        let samples = self.samples.get(&kind)?;
        let size = |bytes: u64| (bytes.max(1) as f64).ln();
        let far = |sample: &Sample| (size(sample.memory_bytes) - size(memory_bytes)).abs();
        let nearest = samples.iter().min_by(|one, other| far(one).total_cmp(&far(other)))?;
        let mut seconds: Vec<f64> = samples
            .iter()
            .filter(|sample| sample.memory_bytes == nearest.memory_bytes)
            .map(|sample| sample.seconds)
            .collect();
        seconds.sort_by(f64::total_cmp);
        Some(seconds[seconds.len() / 2] * memory_bytes.max(1) as f64 / nearest.memory_bytes.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_the_median_of_the_nearest_size_in_proportion() {
        let mut times = Times::default();
        assert_eq!(times.guess(Kind::Encode, 100), None, "nothing is known, nothing is invented");
        for seconds in [1.0, 9.0, 2.0] {
            times.note(Kind::Encode, 100, seconds);
        }
        times.note(Kind::Encode, 1000, 70.0);
        assert_eq!(times.guess(Kind::Encode, 100), Some(2.0));
        assert_eq!(times.guess(Kind::Encode, 200), Some(4.0));
        assert_eq!(times.guess(Kind::Encode, 900), Some(63.0));
        assert_eq!(times.guess(Kind::Null, 100), None, "another kind");
    }

    #[test]
    fn samples_are_bounded_and_rare_sizes_stay() {
        let mut times = Times::default();
        times.note(Kind::Encode, 7, 1.0);
        for turn in 0..1000 {
            times.note(Kind::Encode, 100, f64::from(turn));
        }
        assert_eq!(times.samples[&Kind::Encode].len(), KEPT);
        assert_eq!(times.guess(Kind::Encode, 7), Some(1.0));
        assert!(times.guess(Kind::Encode, 100).is_some_and(|seconds| seconds > 900.0), "the latest count");
    }

    #[test]
    fn two_runs_add_to_one_file_and_a_torn_file_is_none() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let noted = |bytes| {
            let mut times = Times::default();
            times.note(Kind::Bold, bytes, 1.0);
            times
        };
        noted(1).save(folder.path());
        noted(2).save(folder.path());
        assert_eq!(Times::read(folder.path()).samples[&Kind::Bold].len(), 2);
        let file = place(folder.path());
        let bytes = fs::read(&file).expect("written");
        fs::write(&file, &bytes[..bytes.len() / 2]).expect("writable");
        assert_eq!(Times::read(folder.path()), Times::default());
    }
}
