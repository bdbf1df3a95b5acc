//! How long tasks took: `times.json` in the cache, a few samples of each kind by size. Advisory: losing it costs nothing
//! but estimates.
//!
//! How long each task of *this* study took when it last ran is in the study's own note; here lies what a task that never
//! ran can be compared with. Next: `estimate.rs`.

use super::runs::replace_file;
use crate::{format::memory::read_within, plan::Plan, task::Kind};
use petgraph::graph::NodeIndex;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
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
    /// How many results it read; 0 where that was not noted.
    #[serde(default)]
    n_inputs: usize,
}

/// What a task's time goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) kind: Kind,
    /// Its memory estimate.
    pub(super) memory_bytes: u64,
    /// How many results it reads: what gathers the results of all subjects reads them one by one, in the same memory.
    pub(super) n_inputs: usize,
}

impl Extent {
    /// Of the task at a place.
    pub(super) fn of(plan: &Plan, place: NodeIndex) -> Self {
        let task = &plan.node(place).task;
        Self { kind: task.kind(), memory_bytes: task.memory_bytes(), n_inputs: plan.n_inputs(place) }
    }
}

impl Sample {
    /// How many times as much memory, and as many inputs, a task of this extent has; as many where they were not noted.
    fn ratios(&self, extent: Extent) -> (f64, f64) {
        let ratio = |of: f64, to: f64| of.max(1.0) / to.max(1.0);
        let inputs = if self.n_inputs == 0 { 1.0 } else { ratio(extent.n_inputs as f64, self.n_inputs as f64) };
        (ratio(extent.memory_bytes as f64, self.memory_bytes as f64), inputs)
    }
}

/// Samples of every kind, the latest last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Times {
    #[serde(flatten)]
    samples: BTreeMap<Kind, Vec<Sample>>,
}

/// Bytes that the file may have.
const MOST_BYTES: u64 = 64 << 20;

fn place(cache: &Path) -> PathBuf {
    cache.join("times.json")
}

impl Times {
    /// What is known in a cache; nothing if there is no readable file.
    pub(super) fn read(cache: &Path) -> Self {
        read_within(&place(cache), MOST_BYTES)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
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
                all.keep(*kind, *sample);
            }
        }
        let bytes = serde_json::to_vec(&all).expect("times are plain data with text keys");
        let _ = replace_file(&place(cache), &bytes);
    }

    /// Notes a computed task.
    pub(super) fn note(&mut self, extent: Extent, seconds: f64) {
        let Extent { kind, memory_bytes, n_inputs } = extent;
        self.keep(kind, Sample { memory_bytes, seconds, n_inputs });
    }

    /// Of many samples, those of sizes that are well known go first.
    fn keep(&mut self, kind: Kind, sample: Sample) {
        let samples = self.samples.entry(kind).or_default();
        samples.push(sample);
        if samples.len() > KEPT {
            let alike = |of: &Sample| samples.iter().filter(|other| other.memory_bytes == of.memory_bytes).count();
            // `max_by_key` gives the last of several, and the oldest has to go.
            let oldest = (0..samples.len()).rev().max_by_key(|at| alike(&samples[*at])).expect("just pushed");
            samples.remove(oldest);
        }
    }

    /// Seconds of a task of this kind and extent: the median of the samples nearest to it, in proportion to its memory or to
    /// its number of inputs, whichever differs more.
    pub(super) fn guess(&self, extent: Extent) -> Option<f64> {
        let all = self.samples.get(&extent.kind)?;
        // Samples of older versions do not say what they read, and would seem near to everything.
        let noted = all.iter().any(|sample| sample.n_inputs > 0);
        let samples = || all.iter().filter(|sample| sample.n_inputs > 0 || !noted);
        let far = |sample: &Sample| {
            let (memory, inputs) = sample.ratios(extent);
            memory.ln().abs() + inputs.ln().abs()
        };
        let nearest = samples().min_by(|one, other| far(one).total_cmp(&far(other)))?;
        let alike =
            |sample: &&Sample| (sample.memory_bytes, sample.n_inputs) == (nearest.memory_bytes, nearest.n_inputs);
        let mut seconds: Vec<f64> = samples().filter(alike).map(|sample| sample.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let (memory, inputs) = nearest.ratios(extent);
        Some(seconds[seconds.len() / 2] * if inputs.ln().abs() > memory.ln().abs() { inputs } else { memory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn extent(kind: Kind, memory_bytes: u64) -> Extent {
        Extent { kind, memory_bytes, n_inputs: 0 }
    }

    #[test]
    fn a_guess_is_the_median_of_the_nearest_size_in_proportion() {
        let mut times = Times::default();
        assert_eq!(times.guess(extent(Kind::Encode, 100)), None, "nothing is known, nothing is invented");
        for seconds in [1.0, 9.0, 2.0] {
            times.note(extent(Kind::Encode, 100), seconds);
        }
        times.note(extent(Kind::Encode, 1000), 70.0);
        assert_eq!(times.guess(extent(Kind::Encode, 100)), Some(2.0));
        assert_eq!(times.guess(extent(Kind::Encode, 200)), Some(4.0));
        assert_eq!(times.guess(extent(Kind::Encode, 900)), Some(63.0));
        assert_eq!(times.guess(extent(Kind::Null, 100)), None, "another kind");
    }

    #[test]
    fn what_gathers_more_results_takes_longer_in_the_same_memory() {
        let report = |n_inputs| Extent { kind: Kind::Report, memory_bytes: 100, n_inputs };
        let mut times = Times::default();
        times.note(report(20), 3.0);
        assert_eq!(times.guess(report(20)), Some(3.0));
        assert_eq!(times.guess(report(200)), Some(30.0));
        assert_eq!(times.guess(report(10)), Some(1.5));
        assert_eq!(times.guess(Extent { memory_bytes: 5000, ..report(200) }), Some(150.0), "what differs more");
        times.note(report(160), 16.0);
        assert_eq!(times.guess(report(200)), Some(20.0), "the nearest");
        let mut unnoted = Times::default();
        unnoted.note(report(0), 3.0);
        assert_eq!(unnoted.guess(report(200)), Some(3.0), "an older sample says nothing of inputs");
        unnoted.note(report(100), 9.0);
        assert_eq!(unnoted.guess(report(200)), Some(18.0), "and counts no more once there are others");
    }

    #[test]
    fn samples_of_older_versions_are_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(place(folder.path()), r#"{"encode":[{"memory_bytes":50,"seconds":2.0}]}"#).expect("writable");
        let times = Times::read(folder.path());
        assert_eq!(times.guess(Extent { kind: Kind::Encode, memory_bytes: 100, n_inputs: 9 }), Some(4.0));
    }

    #[test]
    fn samples_are_bounded_and_rare_sizes_stay() {
        let mut times = Times::default();
        times.note(extent(Kind::Encode, 7), 1.0);
        for turn in 0..1000 {
            times.note(extent(Kind::Encode, 100), f64::from(turn));
        }
        assert_eq!(times.samples[&Kind::Encode].len(), KEPT);
        assert_eq!(times.guess(extent(Kind::Encode, 7)), Some(1.0));
        assert!(times.guess(extent(Kind::Encode, 100)).is_some_and(|seconds| seconds > 900.0), "the latest count");
    }

    #[test]
    fn two_runs_add_to_one_file_and_a_torn_file_is_none() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let noted = |bytes| {
            let mut times = Times::default();
            times.note(extent(Kind::Bold, bytes), 1.0);
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
