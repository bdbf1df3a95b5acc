//! A run as lines of JSON: what `hebb run --events FILE` writes, and what `hebb status` reads of a run elsewhere.
//!
//! Each line is one object with `event` and `time` (RFC 3339, UTC). Owns the form of these lines; who listens to the
//! executor is in `audience.rs`, where live runs keep theirs in `runs.rs`.
//!
//! | `event` | other fields |
//! |---|---|
//! | `begun` | `run` (short id), `pid`, `program` (version), `study`, `file`, `jobs`, `total`, `cached`, `to_run`, `saved_s`, `kinds`: for each kind `total`, `cached`, `to_run`, `estimated_s` of what is known, `unknown` tasks without an estimate |
//! | `started` | `task`, `kind`, `memory_bytes`, `estimated_s` (null where nothing is known) |
//! | `progress` | `task`, `kind`, `done`, `of`; ten a second for each task at most |
//! | `finished` | `task`, `kind`, `outcome` (`computed`, `unchanged` or `fetched`), `seconds`, `size_bytes` |
//! | `failed` | `task`, `kind`, `message` |
//! | `blocked` | `task`, `by`: the task that failed |
//! | `retried` | `task`, `kind`, `attempt` that failed, `pause_s` before the next, `message` |
//! | `damaged` | `task`, `kind`, `damage`: what is wrong with its result and where that lies now |
//! | `revived` | `task`, `kind`: it runs after all, since a result was damaged or removed |
//! | `differed` | `task`, `kind`, `before`, `now`: digests of two results from the same inputs |
//! | `warned` | `task`, `message`: what is to be known and stops nothing |
//! | `ended` | `cached`, `fetched` (from a shared cache), `computed`, `unchanged`, `failed`, `blocked`, `left`, `damaged`, `differed`, `cancelled`, `seconds` |

use super::words::duration;
use crate::{
    executor::{Event, Outcome, Summary},
    store::Digest,
    task::Kind,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A moment, written as `2026-01-31T12:00:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(SystemTime);

impl Moment {
    pub(super) fn now() -> Self {
        Self(SystemTime::now())
    }

    /// Seconds from an earlier moment to this one; 0 if the clock was put back between them.
    pub(super) fn seconds_since(self, earlier: Self) -> f64 {
        self.0.duration_since(earlier.0).unwrap_or(Duration::ZERO).as_secs_f64()
    }

    /// Milliseconds since 1970, for names that sort by time.
    pub(super) fn unix_ms(self) -> u128 {
        self.0.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis())
    }

    /// The moment that lies so many seconds after 1970, as records have it.
    pub(super) fn at_unix_s(seconds: u64) -> Self {
        Self(UNIX_EPOCH + Duration::from_secs(seconds))
    }

    /// To the second and without a `T`, for people.
    pub(super) fn told(self) -> String {
        humantime::format_rfc3339_seconds(self.0).to_string().replace('T', " ").replace('Z', " UTC")
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_millis(self.0))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map(Self).map_err(de::Error::custom)
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    #[serde(flatten)]
    pub(super) what: Happening,
    pub(super) time: Moment,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Happening {
    Begun(Box<Begun>),
    Started { task: String, kind: Kind, memory_bytes: u64, estimated_s: Option<f64> },
    Progress { task: String, kind: Kind, done: u64, of: u64 },
    Finished { task: String, kind: Kind, outcome: Outcome, seconds: f64, size_bytes: u64 },
    Failed { task: String, kind: Kind, message: String },
    Blocked { task: String, by: String },
    Retried { task: String, kind: Kind, attempt: usize, pause_s: f64, message: String },
    Damaged { task: String, kind: Kind, damage: String },
    Revived { task: String, kind: Kind },
    Differed { task: String, kind: Kind, before: Digest, now: Digest },
    Warned { task: String, message: String },
    Ended(Sums),
}

/// How a run begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) run: String,
    pub(super) pid: u32,
    pub(super) program: String,
    pub(super) study: String,
    pub(super) file: PathBuf,
    pub(super) jobs: usize,
    pub(super) total: usize,
    pub(super) cached: usize,
    pub(super) to_run: usize,
    /// Seconds that the results in the cache once took.
    pub(super) saved_s: f64,
    pub(super) kinds: BTreeMap<Kind, KindCounts>,
}

/// What a run finds of one kind of task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct KindCounts {
    pub(super) total: usize,
    pub(super) cached: usize,
    pub(super) to_run: usize,
    /// Estimated seconds of those to run, as far as known.
    pub(super) estimated_s: f64,
    /// Of those to run, how many have no estimate.
    pub(super) unknown: usize,
}

/// What came of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub(super) cached: usize,
    /// Absent from logs of versions that shared no cache.
    #[serde(default)]
    pub(super) fetched: usize,
    pub(super) computed: usize,
    pub(super) unchanged: usize,
    pub(super) failed: usize,
    pub(super) blocked: usize,
    pub(super) left: usize,
    pub(super) damaged: usize,
    pub(super) differed: usize,
    pub(super) cancelled: bool,
    pub(super) seconds: f64,
}

impl From<&Summary> for Sums {
    fn from(summary: &Summary) -> Self {
        let Summary {
            cached,
            fetched,
            computed,
            unchanged,
            failed,
            blocked,
            left,
            damaged,
            differed,
            cancelled,
            seconds,
        } = *summary;
        Self { cached, fetched, computed, unchanged, failed, blocked, left, damaged, differed, cancelled, seconds }
    }
}

impl Line {
    /// As text with its line end.
    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("lines are plain data with text keys") + "\n"
    }

    /// Reads a whole line; absent if it was torn, or comes from a version that tells other things.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl Happening {
    /// What an event says, where it says something by itself; how a run begins is for its audience to know.
    pub(super) fn of(event: &Event<'_>, facts: impl FnOnce(&str) -> (u64, Option<f64>)) -> Option<Self> {
        Some(match event {
            Event::Started { id, kind } => {
                let (memory_bytes, estimated_s) = facts(id.as_str());
                Self::Started { task: id.to_string(), kind: *kind, memory_bytes, estimated_s }
            }
            Event::Progress { id, kind, progress } => {
                Self::Progress { task: id.to_string(), kind: *kind, done: progress.done, of: progress.total }
            }
            Event::Finished { id, kind, outcome, seconds, size_bytes } => Self::Finished {
                task: id.to_string(),
                kind: *kind,
                outcome: *outcome,
                seconds: *seconds,
                size_bytes: *size_bytes,
            },
            Event::Failed { id, kind, error } => {
                Self::Failed { task: id.to_string(), kind: *kind, message: error.to_string() }
            }
            Event::Blocked { id, by } => Self::Blocked { task: id.to_string(), by: by.to_string() },
            Event::Retried { id, kind, attempt, pause, error } => Self::Retried {
                task: id.to_string(),
                kind: *kind,
                attempt: *attempt,
                pause_s: pause.as_secs_f64(),
                message: error.to_string(),
            },
            Event::Damaged { id, kind, damage } => {
                Self::Damaged { task: id.to_string(), kind: *kind, damage: damage.to_string() }
            }
            Event::Revived { id, kind } => Self::Revived { task: id.to_string(), kind: *kind },
            Event::Differed { id, kind, before, now } => {
                Self::Differed { task: id.to_string(), kind: *kind, before: *before, now: *now }
            }
            Event::Warned { id, message } => Self::Warned { task: id.to_string(), message: (*message).to_owned() },
            Event::Ended { summary } => Self::Ended((*summary).into()),
            Event::Begun { .. } | Event::Tick => return None,
        })
    }

    /// What is neither an end nor a beginning, in words.
    pub(super) fn warning(&self) -> Option<String> {
        match self {
            Self::Retried { task, attempt, pause_s, message, .. } => {
                let pause = if *pause_s > 0.0 { format!(" in {}", duration(*pause_s)) } else { String::new() };
                Some(format!("warning: {task}: {message}; attempt {} follows{pause}", attempt + 1))
            }
            Self::Damaged { task, damage, .. } => Some(format!("warning: the result of {task} is damaged: {damage}")),
            Self::Differed { task, before, now, .. } => Some(format!(
                "warning: {task} gave other bytes than before from the same inputs ({} -> {}): it does not repeat itself here",
                before.short(),
                now.short()
            )),
            Self::Warned { message, .. } => Some(format!("warning: {message}")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_and_begins_with_its_event() {
        let what = Happening::Finished {
            task: "encode/sub-01@n=2".into(),
            kind: Kind::Encode,
            outcome: Outcome::Unchanged,
            seconds: 1.5,
            size_bytes: 7,
        };
        let line = Line { what, time: Moment::at_unix_s(1_000_000_000) };
        let text = line.to_text();
        assert_eq!(
            text,
            "{\"event\":\"finished\",\"task\":\"encode/sub-01@n=2\",\"kind\":\"encode\",\"outcome\":\"unchanged\",\
             \"seconds\":1.5,\"size_bytes\":7,\"time\":\"2001-09-09T01:46:40.000Z\"}\n"
        );
        assert_eq!(Line::parse(&text), Some(line));
        assert_eq!(Line::parse(&text[..text.len() / 2]), None, "torn");
        assert_eq!(
            Line::parse("{\"event\":\"sung\",\"time\":\"2001-09-09T01:46:40.000Z\"}"),
            None,
            "of another version"
        );
    }
}
