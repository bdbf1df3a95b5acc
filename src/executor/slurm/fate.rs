//! What Slurm says of a job, and what it means for a task that the job left no result of.

use crate::store::Digest;
use std::{fmt, path::PathBuf};

/// What is known of one job of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobState {
    /// The word that Slurm has for it, as `RUNNING`.
    pub word: String,
    /// How its process ended, as `wait` gives it.
    pub status: i64,
    /// Why it waits, or why it ended.
    pub reason: String,
    /// The array's name.
    pub name: String,
}

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for its turn.
    Waiting,
    /// It waits for what will never be.
    Never,
    /// It runs, or is about to run or to end.
    Running,
    /// It is over.
    Over,
}

/// Reasons for which a job waits for ever, however long the queue: what it asks for exceeds what anyone may have.
const NEVER: [&str; 20] = [
    "AccountNotAllowed",
    "AssocMaxCpuPerJobLimit",
    "AssocMaxMemPerJob",
    "AssocMaxNodePerJobLimit",
    "AssocMaxWallDurationPerJobLimit",
    "BadConstraints",
    "DependencyNeverSatisfied",
    "InvalidAccount",
    "InvalidQOS",
    "PartitionConfig",
    "PartitionNodeLimit",
    "PartitionTimeLimit",
    "QOSMaxCpuPerJobLimit",
    "QOSMaxMemoryPerJob",
    "QOSMaxNodePerJobLimit",
    "QOSMaxWallDurationPerJobLimit",
    "QOSNotAllowed",
    "QOSTimeLimit",
    "QOSUsageThreshold",
    "NodeFeatureNotAvail",
];

impl JobState {
    pub(super) fn stage(&self) -> Stage {
        match self.word.as_str() {
            "PENDING" if NEVER.contains(&self.reason.as_str()) => Stage::Never,
            "PENDING" | "REQUEUED" | "REQUEUE_FED" | "REQUEUE_HOLD" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => {
                Stage::Waiting
            }
            "COMPLETED" | "FAILED" | "CANCELLED" | "TIMEOUT" | "NODE_FAIL" | "OUT_OF_MEMORY" | "PREEMPTED"
            | "BOOT_FAIL" | "DEADLINE" | "REVOKED" => Stage::Over,
            // CONFIGURING, RUNNING, SUSPENDED, COMPLETING, and whatever a later version may have: it is looked at again.
            _ => Stage::Running,
        }
    }
}

/// Why a task has no result although a job was to give it one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The job was killed for its memory.
    OverMemory,
    /// The job was killed for its time.
    TimedOut,
    /// Its node failed, or it had to make room for another job, and was not put in the queue again.
    NodeLost {
        /// The word that Slurm has for it.
        word: String,
    },
    /// Someone cancelled the job.
    Cancelled,
    /// It can never start.
    NeverStarts {
        /// Slurm's reason, or its answer to the submission.
        reason: String,
    },
    /// The worker ended on its own, without a result.
    WorkerFailed {
        /// How it ended.
        how: String,
        /// The last that it said.
        said: String,
    },
    /// Nobody knows of the job any more.
    Vanished,
}

/// A job that gave no result of a task, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What happened.
    pub fate: Fate,
    /// The job, as `17_3`; absent if there is none.
    pub job: Option<String>,
    /// What it had asked for, in megabytes and minutes.
    pub asked: (u64, u64),
    /// Whether there was nothing more to ask for.
    pub is_most: bool,
    /// The file that it wrote to.
    pub log: PathBuf,
    /// The kind of task, as settings name it.
    pub kind: &'static str,
}

/// How often a task was lost, by what would help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Tries {
    /// All of them.
    pub(super) lost: u32,
    /// For want of memory.
    pub(super) memory: u32,
    /// For want of time.
    pub(super) time: u32,
}

impl Tries {
    /// One more.
    pub(super) fn after(self, fate: &Fate) -> Self {
        Self {
            lost: self.lost + 1,
            memory: self.memory + u32::from(*fate == Fate::OverMemory),
            time: self.time + u32::from(*fate == Fate::TimedOut),
        }
    }
}

impl Fate {
    /// What became of a job that is over, or that nobody knows any more; `said` is the end of its log.
    pub(super) fn of(state: Option<&JobState>, said: &str) -> Self {
        let Some(state) = state else { return Self::Vanished };
        match (state.word.as_str(), state.stage()) {
            (_, Stage::Never) => Self::NeverStarts { reason: state.reason.clone() },
            ("OUT_OF_MEMORY", _) => Self::OverMemory,
            ("TIMEOUT" | "DEADLINE", _) => Self::TimedOut,
            ("NODE_FAIL" | "BOOT_FAIL" | "PREEMPTED" | "REVOKED", _) => Self::NodeLost { word: state.word.clone() },
            ("CANCELLED", _) => Self::Cancelled,
            _ if is_for_memory(said) => Self::OverMemory,
            _ => Self::WorkerFailed { how: ended(state.status), said: last_line(said) },
        }
    }

    /// Whether another job may do better.
    pub(super) fn may_pass(&self) -> bool {
        !matches!(self, Self::Cancelled | Self::NeverStarts { .. })
    }
}

/// Whether the end of a log is that of a job that was killed for its memory: clusters without control groups say so there only.
fn is_for_memory(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    ["exceeded memory limit", "exceeded job memory limit", "oom-kill", "oom_kill", "out of memory"]
        .iter()
        .any(|words| said.contains(words))
}

/// How a process ended, from what `wait` gives.
fn ended(status: i64) -> String {
    match (status & 0x7f, (status >> 8) & 0xff) {
        (0, code) => format!("with exit code {code}"),
        (signal, _) => format!("by signal {signal}"),
    }
}

fn last_line(said: &str) -> String {
    said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let job = self.job.as_ref().map_or("the job".to_owned(), |job| format!("job {job}"));
        let (megabytes, minutes) = self.asked;
        let kind = self.kind;
        match &self.fate {
            Fate::OverMemory => {
                write!(f, "{job} was killed for using more than the {megabytes} MB that it had asked for")?;
                if self.is_most {
                    f.write_str("; raise `execution.slurm.most_memory_gb`")?;
                }
            }
            Fate::TimedOut => {
                write!(f, "{job} was not done after the {minutes} minutes that it had asked for")?;
                if self.is_most {
                    write!(f, "; raise `execution.slurm.longest_min`, or `cpus` of `[execution.slurm.kinds.{kind}]`")?;
                }
            }
            Fate::NodeLost { word } => write!(f, "{job} lost its node ({word}) and was not put in the queue again")?,
            Fate::Cancelled => write!(f, "{job} was cancelled by someone else")?,
            Fate::NeverStarts { reason } => write!(
                f,
                "{job} can never start ({reason}): it asks for {megabytes} MB and {minutes} minutes; change \
                 `[execution.slurm]` or `[execution.slurm.kinds.{kind}]`, such as `partition` or `cpus`"
            )?,
            Fate::WorkerFailed { how, said } if said.is_empty() => write!(f, "the worker of {job} ended {how}")?,
            Fate::WorkerFailed { how, said } => write!(f, "the worker of {job} ended {how}: {said}")?,
            Fate::Vanished => write!(f, "{job} is unknown to the cluster by now, and left no result")?,
        }
        if self.job.is_some() { write!(f, " (log: {})", self.log.display()) } else { Ok(()) }
    }
}

/// A unique name for an array of a study: what is looked for where nobody knows whether a submission arrived.
pub(super) fn job_name(study: &str, nonce: &Digest) -> String {
    let plain: String = study.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    format!("{PREFIX}{}-{}", &plain[..plain.len().min(24)], nonce.short())
}

/// Names of this program's jobs begin so.
pub(super) const PREFIX: &str = "hebb-";

#[cfg(test)]
mod tests {
    use super::*;

    fn state(word: &str, status: i64, reason: &str) -> JobState {
        JobState { word: word.into(), status, reason: reason.into(), name: "hebb-a".into() }
    }

    #[test]
    fn what_became_of_a_job_is_told_apart() {
        for (found, said, expected) in [
            (Some(state("OUT_OF_MEMORY", 9, "OutOfMemory")), "", Fate::OverMemory),
            (
                Some(state("FAILED", 9, "None")),
                "slurmstepd: error: Job 3 exceeded memory limit (9 > 8)",
                Fate::OverMemory,
            ),
            (Some(state("TIMEOUT", 15, "TimeLimit")), "", Fate::TimedOut),
            (Some(state("NODE_FAIL", 0, "NodeDown")), "", Fate::NodeLost { word: "NODE_FAIL".into() }),
            (Some(state("CANCELLED", 15, "None")), "", Fate::Cancelled),
            (Some(state("PENDING", 0, "PartitionConfig")), "", Fate::NeverStarts { reason: "PartitionConfig".into() }),
            (
                Some(state("FAILED", 768, "NonZeroExitCode")),
                "a\nno such program\n\n",
                Fate::WorkerFailed { how: "with exit code 3".into(), said: "no such program".into() },
            ),
            (
                Some(state("FAILED", 9, "None")),
                "",
                Fate::WorkerFailed { how: "by signal 9".into(), said: String::new() },
            ),
            (None, "", Fate::Vanished),
        ] {
            assert_eq!(Fate::of(found.as_ref(), said), expected, "{found:?}");
        }
    }

    #[test]
    fn only_what_will_never_be_is_given_up_while_it_waits() {
        for (word, reason, stage) in [
            ("PENDING", "Resources", Stage::Waiting),
            ("PENDING", "Priority", Stage::Waiting),
            ("PENDING", "JobArrayTaskLimit", Stage::Waiting),
            ("PENDING", "ReqNodeNotAvail, UnavailableNodes:n1", Stage::Waiting),
            ("PENDING", "QOSMaxMemoryPerJob", Stage::Never),
            ("CONFIGURING", "None", Stage::Running),
            ("COMPLETING", "None", Stage::Running),
            ("A_STATE_OF_TOMORROW", "None", Stage::Running),
            ("COMPLETED", "None", Stage::Over),
        ] {
            assert_eq!(state(word, 0, reason).stage(), stage, "{word} {reason}");
        }
    }

    #[test]
    fn names_are_plain_and_short() {
        let name = job_name("a study: *with* names that go on and on", &Digest::of(b"1"));
        assert!(name.starts_with("hebb-a-study---with--names-th-") && name.len() < 60, "{name}");
        assert!(job_name("größe", &Digest::of(b"1")).is_ascii());
    }
}
