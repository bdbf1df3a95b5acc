//! What coordinator and workers leave each other in the cache: files, each written whole or not at all.
//!
//! | file in `cluster/STUDY/` | what it is |
//! |---|---|
//! | `jobs/BATCH/submission.json` | what was submitted as one array, and the number that it got |
//! | `jobs/BATCH/script.sh` | the script of the array |
//! | `jobs/BATCH/ELEMENT.json` | the orders of one job |
//! | `jobs/BATCH/ELEMENT.log` | what the job said |
//! | `alive/BATCH-ELEMENT.json` | how far a job is, anew every few seconds |
//! | `ended/BATCH-ELEMENT-NUMBER-….json` | what came of one order; gone once the coordinator has read it |
//! | `cancel` | whoever coordinates is asked to end |
//!
//! `STUDY` is the digest of the study file's place.

use super::{SlurmError, batch::Resources, fate::Tries};
use crate::format::memory::read_within;
use crate::{
    executor::{Outcome, compute::Owner},
    plan::place_digest,
    store::{Damage, Digest, Record, StoreError, write_whole},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// The folder of one study.
#[derive(Clone, Debug)]
pub struct ClusterFolder {
    cache: PathBuf,
    root: PathBuf,
}

/// What was submitted as one array.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Submission {
    /// The array's name, which no other has.
    pub(super) name: String,
    /// Its number; absent until the cluster has answered.
    pub(super) job: Option<u64>,
    pub(super) resources: Resources,
    /// The tasks of each job.
    pub(super) elements: Vec<Vec<Submitted>>,
}

/// A task of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Submitted {
    pub(super) task: String,
    pub(super) recipe: Digest,
    pub(super) content: Digest,
    pub(super) tries: Tries,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alive {
    pub(super) host: String,
    pub(super) process: u32,
    /// Raised each time that it is written.
    pub(super) beat: u64,
    /// Which of its orders it computes.
    pub(super) number: usize,
    /// Steps done and steps in all, once they are known.
    pub(super) steps: Option<(u64, u64)>,
}

/// What came of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) content: Digest,
    pub(super) ended: Reported,
    /// Damaged results that were set aside.
    pub(super) damages: Vec<(Owner, Damage)>,
    pub(super) warnings: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reported {
    Done {
        record: Box<Record>,
        outcome: Outcome,
        before: Option<Digest>,
    },
    Failed {
        message: String,
        stops_all: bool,
    },
    /// These inputs, by number, have to be made anew first.
    Wants(Vec<usize>),
}

/// A report with the place that it is of.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) batch: String,
    pub(super) element: usize,
    pub(super) number: usize,
    pub(super) report: Report,
    pub(super) path: PathBuf,
}

impl ClusterFolder {
    /// Of the study in `file`, in a cache.
    #[must_use]
    pub fn of(cache: &Path, file: &Path) -> Self {
        let cache = cache.canonicalize().unwrap_or_else(|_| cache.to_owned());
        Self { root: cache.join("cluster").join(place_digest(file).short()), cache }
    }

    /// Of an array that a worker was handed.
    pub(super) fn around(batch: &Path) -> Option<Self> {
        let root = batch.parent()?.parent()?;
        Some(Self { cache: root.parent()?.parent()?.to_owned(), root: root.to_owned() })
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folder.
    pub(super) fn make(&self) -> Result<(), SlurmError> {
        for folder in ["jobs", "alive", "ended"] {
            let path = self.root.join(folder);
            fs::create_dir_all(&path).map_err(io("create", &path))?;
        }
        Ok(())
    }

    pub(super) fn batch(&self, batch: &str) -> PathBuf {
        self.root.join("jobs").join(batch)
    }

    pub(super) fn log(&self, batch: &str, element: usize) -> PathBuf {
        self.batch(batch).join(format!("{element}.log"))
    }

    pub(super) fn orders(batch: &Path, element: usize) -> PathBuf {
        batch.join(format!("{element}.json"))
    }

    /// Asks whoever coordinates to end and to take its jobs along.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn ask_to_cancel(&self) -> Result<(), SlurmError> {
        self.make()?;
        self.write(&self.root.join("cancel"), &())
    }

    pub(super) fn is_asked_to_cancel(&self) -> bool {
        self.root.join("cancel").exists()
    }

    pub(super) fn forget_cancel(&self) {
        let _ = fs::remove_file(self.root.join("cancel"));
    }

    /// Writes a file so that a reader sees it whole or not at all.
    pub(super) fn write(&self, path: &Path, value: &impl Serialize) -> Result<(), SlurmError> {
        let bytes = serde_json::to_vec(value).expect("what coordinator and workers tell each other is plain data");
        Ok(write_whole(&self.cache, path, &bytes)?)
    }

    /// What every batch of the folder was submitted as, by name.
    pub(super) fn submissions(&self) -> Vec<(String, Submission)> {
        let mut found: Vec<(String, Submission)> = entries(&self.root.join("jobs"))
            .into_iter()
            .filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), read(&path.join("submission.json"))?)))
            .collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    }

    /// Every report that lies there. Making a file in the folder and removing it makes a network file system look anew.
    pub(super) fn delivered(&self) -> Vec<Delivered> {
        let folder = self.root.join("ended");
        drop(tempfile::NamedTempFile::new_in(&folder));
        let mut found: Vec<Delivered> = entries(&folder)
            .into_iter()
            .filter_map(|path| {
                let mut parts = path.file_stem()?.to_str()?.split('-');
                let (batch, element, number) = (parts.next()?, parts.next()?, parts.next()?);
                let (element, number) = (element.parse().ok()?, number.parse().ok()?);
                Some(Delivered { batch: batch.to_owned(), element, number, report: read(&path)?, path })
            })
            .collect();
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }

    /// Where a worker writes what came of an order.
    pub(super) fn report(&self, batch: &str, element: usize, number: usize, nonce: &str) -> PathBuf {
        self.root.join("ended").join(format!("{batch}-{element}-{number}-{nonce}.json"))
    }

    pub(super) fn alive(&self, batch: &str, element: usize) -> PathBuf {
        self.root.join("alive").join(format!("{batch}-{element}.json"))
    }

    /// Removes what is of no submission: logs of what failed in the last run, and what jobs wrote that nobody waited for.
    pub(super) fn sweep(&self) {
        let known: BTreeSet<String> = self.submissions().into_iter().map(|(batch, _)| batch).collect();
        let is_of_none = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            !known.contains(name.split(['-', '.']).next().unwrap_or_default())
        };
        for path in entries(&self.root.join("jobs")).into_iter().filter(is_of_none) {
            let _ = fs::remove_dir_all(path);
        }
        for folder in ["alive", "ended"] {
            for path in entries(&self.root.join(folder)).into_iter().filter(is_of_none) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Removes a batch with all that is of it.
    pub(super) fn remove(&self, batch: &str, n_elements: usize) {
        let _ = fs::remove_dir_all(self.batch(batch));
        for element in 0..n_elements {
            let _ = fs::remove_file(self.alive(batch, element));
        }
    }
}

/// Bytes of a file between coordinator and workers: orders of ten thousand tasks have a tenth of that.
pub(super) const MOST_BYTES: u64 = 256 << 20;

/// Reads a file that was written whole; absent if it is not there or is no file of ours.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&read_within(path, MOST_BYTES).ok()?).ok()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Makes an I/O error carry what was tried and on which path.
pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SlurmError {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_found_by_the_place_that_they_are_of_and_torn_ones_are_not() {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let folder = ClusterFolder::of(cache.path(), Path::new("study.toml"));
        folder.make().expect("writable");
        fs::create_dir_all(cache.path().join("partial")).expect("writable");
        let report = Report {
            content: Digest::of(b"content"),
            ended: Reported::Failed { message: "no".into(), stops_all: false },
            damages: vec![(Owner::Input(2), Damage { faults: Vec::new(), aside: None })],
            warnings: vec!["careful".into()],
        };
        folder.write(&folder.report("0a1b", 12, 3, "nonce"), &report).expect("writable");
        fs::write(folder.report("0a1b", 13, 0, "torn"), b"{\"content\":").expect("writable");
        let [found] = folder.delivered().try_into().expect("one report");
        assert_eq!((found.batch.as_str(), found.element, found.number), ("0a1b", 12, 3));
        assert_eq!(found.report.damages[0].0, Owner::Input(2));
        assert!(matches!(found.report.ended, Reported::Failed { .. }) && found.report.warnings == ["careful"]);
        let around = ClusterFolder::around(&folder.batch("0a1b")).expect("deep enough");
        assert_eq!((around.root(), &around.cache), (folder.root(), &folder.cache));
    }
}
