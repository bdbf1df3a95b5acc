//! What runs leave in `runs/` of the cache: a log while they go on, a record when they have ended. Advisory: nothing is
//! computed from it, and a cache that cannot be written goes without.
//!
//! | file in `runs/STUDY/` | what it is |
//! |---|---|
//! | `TIME-ID.lock` | locked by the run as long as its process lives: a killed run is told from a live one |
//! | `TIME-ID.log` | its events so far, as `events.rs` writes them; gone when it ends |
//! | `TIME-ID.json` | how it ended: sums, failures, the study's fields |
//! | `TIME-ID.tasks` | a line for each task: id, recipe key, content key, output digest |
//!
//! `STUDY` is the digest of the study file's place. The last 50 records of a study stay.

use super::{
    board::{Board, Failure},
    events::{Line, Moment, Sums},
};
use crate::{
    format::memory::{read_text_within, read_within},
    plan::place_digest,
    store::{Digest, write_under},
    task::Kind,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Records of a study that are kept, and bytes that they may take together; the newest stays whatever it takes.
const KEPT: usize = 50;
const KEPT_BYTES: u64 = 256 << 20;

/// Letters of a run's id: two of fifty runs share one in a thousand million studies.
const ID_LETTERS: usize = 8;

/// Where the runs of one study leave what they leave.
#[derive(Clone, Debug)]
pub(super) struct StudyRuns {
    folder: PathBuf,
}

/// A run that goes on in some process, or was killed.
#[derive(Debug)]
pub(super) struct Unended {
    log: PathBuf,
    pub(super) is_alive: bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RunRecord {
    pub(super) run: String,
    pub(super) study: String,
    pub(super) file: PathBuf,
    pub(super) program: String,
    pub(super) began: Moment,
    pub(super) ended: Moment,
    /// Tasks that it had to run.
    pub(super) to_run: usize,
    pub(super) sums: Sums,
    /// The study file's own fields, by path.
    pub(super) fields: BTreeMap<String, String>,
    pub(super) failures: Vec<Failed>,
    /// Output digest of every report, by task.
    pub(super) reports: BTreeMap<String, Digest>,
}

/// A task that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Failed {
    pub(super) task: String,
    pub(super) kind: Kind,
    pub(super) message: String,
}

/// What a task was and led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Traced {
    pub(super) task: String,
    pub(super) recipe: Digest,
    /// Absent where an input had no result.
    pub(super) content: Option<Digest>,
    pub(super) output: Option<Digest>,
}

/// A record with the place of its tasks.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) record: RunRecord,
    path: PathBuf,
}

impl StudyRuns {
    /// Those of the study in `file`.
    pub(super) fn of(cache: &Path, file: &Path) -> Self {
        Self { folder: cache.join("runs").join(place_digest(file).short()) }
    }

    /// Those of every study of a cache.
    pub(super) fn every(cache: &Path) -> Vec<Self> {
        let entries = fs::read_dir(cache.join("runs")).into_iter().flatten().flatten();
        entries.map(|entry| Self { folder: entry.path() }).filter(|runs| runs.folder.is_dir()).collect()
    }

    /// Runs that have not ended, the latest last.
    pub(super) fn unended(&self) -> Vec<Unended> {
        let alive = |log: &Path| is_held(&log.with_extension("lock"));
        self.files("log").into_iter().map(|log| Unended { is_alive: alive(&log), log }).collect()
    }

    /// Records of runs that ended, the latest last.
    pub(super) fn records(&self) -> Vec<Kept> {
        let read = |path: PathBuf| {
            let record = serde_json::from_slice(&read_within(&path, MOST_BYTES).ok()?).ok()?;
            Some(Kept { record, path })
        };
        self.files("json").into_iter().filter_map(read).collect()
    }

    /// Files of one sort, in order of time.
    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
        files.sort();
        files
    }

    /// Removes what killed runs left, and the oldest records.
    fn tidy(&self) {
        for left in self.unended().into_iter().filter(|run| !run.is_alive) {
            let _ = fs::remove_file(left.log.with_extension("lock"));
            let _ = fs::remove_file(left.log);
        }
        let mut bytes = 0;
        for (place, path) in self.files("json").into_iter().rev().enumerate() {
            let tasks = path.with_extension("tasks");
            bytes +=
                [&path, &tasks].into_iter().filter_map(|p| fs::metadata(p).ok()).map(|facts| facts.len()).sum::<u64>();
            if place >= KEPT || (place > 0 && bytes > KEPT_BYTES) {
                let _ = fs::remove_file(path);
                let _ = fs::remove_file(tasks);
            }
        }
    }
}

/// Whether some process holds this lock.
fn is_held(lock: &Path) -> bool {
    File::open(lock).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

impl Unended {
    /// The process that it runs in, as its log says.
    pub(super) fn process(&self) -> Option<u32> {
        let mut board = Board::default();
        self.follow().ok()?.catch_up(&mut board).ok()?;
        Some(board.begun?.1.pid)
    }

    /// Its events from the start; the last line may still be half written.
    pub(super) fn follow(&self) -> io::Result<Follow> {
        Ok(Follow { file: File::open(&self.log)?, lock: self.log.with_extension("lock"), read: 0, torn: Vec::new() })
    }
}

/// Bytes of a run's record, or of its list of tasks.
const MOST_BYTES: u64 = 256 << 20;

/// Bytes of a log that are read at once.
const PIECE_BYTES: u64 = 1 << 20;

/// Bytes of a line of a log, at most.
const LONGEST_LINE: usize = 16 << 20;

/// Reads a log that grows.
pub(super) struct Follow {
    file: File,
    lock: PathBuf,
    read: u64,
    /// The start of a line whose end is not written yet.
    torn: Vec<u8>,
}

impl Follow {
    /// Tells a board every line that has been finished since the last call.
    pub(super) fn catch_up(&mut self, board: &mut Board) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.read))?;
        loop {
            let mut bytes = std::mem::take(&mut self.torn);
            let n_read = (&self.file).take(PIECE_BYTES).read_to_end(&mut bytes)? as u64;
            self.read += n_read;
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            self.torn = bytes.split_off(whole);
            // No line of ours is as long; what is left of one is no line either.
            if self.torn.len() > LONGEST_LINE {
                self.torn = Vec::new();
            }
            for line in String::from_utf8_lossy(&bytes).lines().filter_map(Line::parse) {
                board.tell(&line);
            }
            if n_read < PIECE_BYTES {
                return Ok(());
            }
        }
    }

    /// Whether the run's process still lives.
    pub(super) fn is_alive(&self) -> bool {
        is_held(&self.lock)
    }
}

impl From<&Failure> for Failed {
    fn from(failure: &Failure) -> Self {
        let Failure { task, kind, message } = failure.clone();
        Self { task, kind, message }
    }
}

impl Kept {
    /// Tasks that were neither done nor given up when it ended.
    pub(super) fn n_left(&self) -> usize {
        let Sums { computed, unchanged, fetched, failed, blocked, .. } = self.record.sums;
        self.record.to_run.saturating_sub(computed + unchanged + fetched + failed + blocked)
    }

    /// What every task of the run led to, in plan order; empty if that is gone.
    pub(super) fn tasks(&self) -> Vec<Traced> {
        let text = read_text_within(&self.path.with_extension("tasks"), MOST_BYTES).unwrap_or_default();
        let parse = |line: &str| {
            let mut parts = line.split('\t');
            let task = parts.next()?.to_owned();
            let mut digest = || parts.next().and_then(|text| text.parse().ok());
            Some(Traced { task, recipe: digest()?, content: digest(), output: digest() })
        };
        text.lines().filter_map(parse).collect()
    }
}

/// A run's own log and lock, while it goes on.
pub(super) struct Recording {
    runs: StudyRuns,
    stem: PathBuf,
    log: io::BufWriter<File>,
    _lock: File,
}

/// The short name of a run that begins now in this process.
pub(super) fn new_id(file: &Path, now: Moment) -> String {
    let mut id =
        Digest::of(format!("{} {} {}", file.display(), now.unix_ms(), std::process::id()).as_bytes()).to_string();
    id.truncate(ID_LETTERS);
    id
}

impl Recording {
    /// Begins a log; absent if the cache cannot be written.
    pub(super) fn begin(runs: StudyRuns, id: &str, now: Moment) -> Option<Self> {
        fs::create_dir_all(&runs.folder).ok()?;
        runs.tidy();
        let stem = runs.folder.join(format!("{:013}-{id}", now.unix_ms()));
        // Locked before the log is there: whoever finds a log finds its lock held or its run dead.
        let lock = File::create_new(stem.with_extension("lock")).ok()?;
        lock.lock().ok()?;
        let log = io::BufWriter::new(File::create_new(stem.with_extension("log")).ok()?);
        Some(Self { runs, stem, log, _lock: lock })
    }

    /// Adds a line; others see it after the next [`Self::show`].
    pub(super) fn tell(&mut self, line: &Line) {
        let _ = self.log.write_all(line.to_text().as_bytes());
    }

    /// Lets others see what was told.
    pub(super) fn show(&mut self) {
        let _ = self.log.flush();
    }

    /// Leaves a record in place of the log.
    pub(super) fn end(self, record: &RunRecord, tasks: &[Traced]) {
        let Self { runs, stem, mut log, _lock } = self;
        let _ = log.flush();
        let word = |digest: Option<Digest>| digest.map_or("-".to_owned(), |digest| digest.to_string());
        let lines = tasks
            .iter()
            .map(|task| format!("{}\t{}\t{}\t{}\n", task.task, task.recipe, word(task.content), word(task.output)));
        let head = serde_json::to_vec_pretty(record).expect("records are plain data with text keys");
        let written = replace_file(&stem.with_extension("tasks"), lines.collect::<String>().as_bytes())
            .and_then(|()| replace_file(&stem.with_extension("json"), &head));
        if written.is_ok() {
            let _ = fs::remove_file(stem.with_extension("log"));
            let _ = fs::remove_file(stem.with_extension("lock"));
            runs.tidy();
        }
    }
}

/// Writes a file so that a reader sees the old bytes or the new ones.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().expect("every file of the cache lies in a folder");
    let mut file = write_under(".write-", 0o666).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        super::board::tests::{begun, started},
        *,
    };

    fn record(run: &str) -> RunRecord {
        RunRecord {
            run: run.into(),
            study: "tiny".into(),
            file: "study.toml".into(),
            program: "0.1.0".into(),
            began: Moment::at_unix_s(1),
            ended: Moment::at_unix_s(2),
            to_run: 2,
            sums: Sums::default(),
            fields: BTreeMap::from([("study.name".into(), "tiny".into())]),
            failures: Vec::new(),
            reports: BTreeMap::new(),
        }
    }

    fn traced() -> Vec<Traced> {
        let digest = Digest::of(b"a");
        vec![
            Traced { task: "a@n=1".into(), recipe: digest, content: Some(digest), output: Some(digest) },
            Traced { task: "b".into(), recipe: digest, content: None, output: None },
        ]
    }

    #[test]
    fn a_run_is_live_while_its_lock_is_held_and_a_record_afterwards() {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let runs = StudyRuns::of(cache.path(), Path::new("study.toml"));
        let mut recording = Recording::begin(runs.clone(), "0a1b2c3d", Moment::at_unix_s(5)).expect("writable");
        recording.tell(&begun());
        recording.show();
        let [live] = runs.unended().try_into().expect("one run");
        assert!(live.is_alive);
        let (mut follow, mut board) = (live.follow().expect("readable"), Board::default());
        follow.catch_up(&mut board).expect("readable");
        assert_eq!(board.to_run(), 5);
        recording.end(&record("0a1b2c3d"), &traced());
        assert!(runs.unended().is_empty() && !follow.is_alive());
        let [kept] = runs.records().try_into().expect("one record");
        assert_eq!(kept.record, record("0a1b2c3d"));
        assert_eq!(kept.tasks(), traced());
        assert_eq!(StudyRuns::every(cache.path())[0].records().len(), 1);
    }

    #[test]
    fn a_killed_run_is_not_alive_and_goes_with_the_next() {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let runs = StudyRuns::of(cache.path(), Path::new("study.toml"));
        // Dropping closes the lock, as the death of a process does.
        drop(Recording::begin(runs.clone(), "0a", Moment::at_unix_s(5)).expect("writable"));
        assert_eq!(runs.unended().iter().map(|run| run.is_alive).collect::<Vec<_>>(), [false]);
        let next = Recording::begin(runs.clone(), "0b", Moment::at_unix_s(6)).expect("writable");
        assert_eq!(runs.unended().iter().map(|run| run.is_alive).collect::<Vec<_>>(), [true]);
        drop(next);
    }

    #[test]
    fn a_line_that_is_being_written_is_read_when_it_is_whole() {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let log = cache.path().join("a.log");
        let (first, second) = (begun().to_text(), started(1, "encode/ä", Kind::Encode).to_text());
        let whole = [first.as_bytes(), second.as_bytes()].concat();
        // Torn at every byte, also within a letter.
        for torn in first.len()..whole.len() {
            fs::write(&log, &whole[..torn]).expect("writable");
            let unended = Unended { log: log.clone(), is_alive: true };
            let (mut follow, mut board) = (unended.follow().expect("readable"), Board::default());
            follow.catch_up(&mut board).expect("readable");
            assert_eq!((board.to_run(), board.running.len()), (5, 0));
            File::options().append(true).open(&log).expect("there").write_all(&whole[torn..]).expect("writable");
            follow.catch_up(&mut board).expect("readable");
            assert_eq!(board.running.keys().collect::<Vec<_>>(), ["encode/ä"]);
        }
    }

    #[test]
    fn the_last_fifty_records_stay() {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let runs = StudyRuns::of(cache.path(), Path::new("study.toml"));
        for second in 0..KEPT as u64 + 7 {
            let recording = Recording::begin(runs.clone(), "0a", Moment::at_unix_s(second)).expect("writable");
            recording.end(&record(&second.to_string()), &traced());
        }
        let kept: Vec<String> = runs.records().into_iter().map(|kept| kept.record.run).collect();
        assert_eq!(kept, (7..KEPT + 7).map(|second| second.to_string()).collect::<Vec<_>>());
        assert_eq!(runs.files("tasks").len(), KEPT);
    }
}
