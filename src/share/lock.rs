//! The lock of a study: every input, program, seed and task with its digest, in one text file that is made for version control.
//!
//! Owns the format and the comparison of two locks. A lock names files from the study's folder and tasks by their id; it has no
//! date, no host and no user in it, and its order depends on names alone: equal studies with equal results have equal locks, byte
//! for byte.

use crate::{
    format::memory::{afford, read_text_within},
    plan::{Plan, seeds},
    spec::{
        Study, Subjects,
        place::{folder_of, way},
    },
    store::{Digest, FileDigests, StoreError},
};
use petgraph::graph::NodeIndex;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write},
    fs, io,
    path::{Path, PathBuf},
};

/// The revision of the format.
pub const LOCK_VERSION: u32 = 1;
/// Most bytes of a lock that are read: a study of a million tasks has a quarter of that.
const MOST_BYTES: u64 = 256 << 20;
/// Bytes that a lock takes for each of its own while it is understood.
const MEMORY_PER_BYTE: u128 = 8;

/// What a study led to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The revision of the format.
    pub version: u32,
    /// What the study is called.
    pub study: String,
    /// Programs and libraries that shape numbers, with their versions.
    #[serde(default)]
    pub programs: BTreeMap<String, String>,
    /// Every seed by what it seeds.
    #[serde(default)]
    pub seeds: BTreeMap<String, u64>,
    /// Every field of the study as it was written, by its path.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Every file outside the cache, by its path from the study's folder.
    #[serde(default)]
    pub inputs: BTreeMap<String, LockedInput>,
    /// Every task by its id.
    #[serde(default)]
    pub tasks: BTreeMap<String, LockedTask>,
}

/// A file outside the cache.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedInput {
    /// Its content, as BLAKE3.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedTask {
    /// Its recipe key: all that it was asked to do.
    pub key: Digest,
    /// The digest of its result.
    pub output: Digest,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// A task has no result.
    #[error("{n_missing} of {n_tasks} tasks have no result, `{first}` first")]
    Unfinished {
        /// Tasks without a result.
        n_missing: usize,
        /// All tasks.
        n_tasks: usize,
        /// The first of them.
        first: String,
    },
    /// An input could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lock could not be read.
    #[error("cannot read the lock `{path}`: {source}", path = path.display())]
    Read {
        /// The lock.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The lock is no lock.
    #[error("`{path}` is not a lock that this version reads: {message}", path = path.display())]
    Malformed {
        /// The lock.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

/// Where the lock of a study lies: `study.lock.toml` beside `study.toml`.
#[must_use]
pub fn lock_path(study: &Path) -> PathBuf {
    study.with_extension("lock.toml")
}

impl Lock {
    /// The lock of a study as it stands: `output` gives the digest of a task's result, `programs` what shapes numbers.
    ///
    /// # Errors
    /// [`LockError::Unfinished`] if a task has no result, [`LockError::Store`] if an input cannot be read.
    pub fn of(
        study: &Study,
        plan: &Plan,
        digests: &FileDigests,
        programs: BTreeMap<String, String>,
        output: impl Fn(NodeIndex) -> Option<Digest>,
    ) -> Result<Self, LockError> {
        let asked = Self::asked(study, plan, digests, programs)?;
        let missing: Vec<NodeIndex> = plan.places().filter(|place| output(*place).is_none()).collect();
        if let Some(first) = missing.first() {
            let first = plan.node(*first).id.to_string();
            return Err(LockError::Unfinished { n_missing: missing.len(), n_tasks: plan.len(), first });
        }
        let task = |place: NodeIndex| {
            let node = plan.node(place);
            Some((node.id.to_string(), LockedTask { key: node.recipe, output: output(place)? }))
        };
        Ok(Self { tasks: plan.places().filter_map(task).collect(), ..asked })
    }

    /// All of it but the tasks: what is known before anything runs.
    fn asked(
        study: &Study,
        plan: &Plan,
        digests: &FileDigests,
        programs: BTreeMap<String, String>,
    ) -> Result<Self, LockError> {
        let folder = folder_of(&study.file);
        let mut inputs = BTreeMap::new();
        for path in external_files(study, plan) {
            let found = digests.digest(&path)?;
            let name = input_name(&path, folder);
            inputs.insert(name, LockedInput { digest: found.digest, size_bytes: found.size_bytes });
        }
        Ok(Self {
            version: LOCK_VERSION,
            study: study.name.clone(),
            programs,
            seeds: seeds_of(study),
            fields: study.fields.clone(),
            inputs,
            tasks: BTreeMap::new(),
        })
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// [`LockError::Read`], [`LockError::Malformed`].
    pub fn read(path: &Path) -> Result<Self, LockError> {
        let read = |source| LockError::Read { path: path.to_owned(), source };
        let malformed = |message: String| LockError::Malformed { path: path.to_owned(), message };
        let text = read_text_within(path, MOST_BYTES).map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => malformed(format!("{error}: no lock is as long")),
            _ => read(error),
        })?;
        let n_bytes = text.len();
        let told = || format!("a lock of {n_bytes} bytes");
        afford(path, n_bytes as u128 * MEMORY_PER_BYTE, told).map_err(|error| read(io::Error::other(error)))?;
        let lock: Self = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        if lock.version != LOCK_VERSION {
            return Err(malformed(format!("its format is {}, expected {LOCK_VERSION}", lock.version)));
        }
        Ok(lock)
    }

    /// The lock as text: a line for each thing, in the order of names.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text =
            "# What this study led to: `hebb lock` writes it, `hebb run --locked` holds a run to it.\n".to_owned();
        let mut line = |line: fmt::Arguments<'_>| writeln!(text, "{line}").expect("texts take whatever is written");
        line(format_args!("version = {}", self.version));
        line(format_args!("study = {}", quoted(&self.study)));
        let mut texts = |head: &str, entries: &BTreeMap<String, String>| {
            line(format_args!("\n[{head}]"));
            for (name, value) in entries {
                line(format_args!("{} = {}", quoted(name), quoted(value)));
            }
        };
        texts("programs", &self.programs);
        texts("fields", &self.fields);
        line(format_args!("\n[seeds]"));
        for (name, seed) in &self.seeds {
            line(format_args!("{} = {seed}", quoted(name)));
        }
        line(format_args!("\n[inputs]"));
        for (path, LockedInput { digest, size_bytes }) in &self.inputs {
            line(format_args!("{} = {{ digest = \"{digest}\", size_bytes = {size_bytes} }}", quoted(path)));
        }
        line(format_args!("\n[tasks]"));
        for (id, LockedTask { key, output }) in &self.tasks {
            line(format_args!("{} = {{ key = \"{key}\", output = \"{output}\" }}", quoted(id)));
        }
        text
    }

    /// What differs before anything runs, where `self` is what was locked: programs, fields, seeds, inputs, keys of tasks.
    ///
    /// # Errors
    /// [`LockError::Store`] if an input cannot be read.
    pub fn differences(
        &self,
        study: &Study,
        plan: &Plan,
        digests: &FileDigests,
        programs: BTreeMap<String, String>,
    ) -> Result<Vec<Difference>, LockError> {
        let found = Self::asked(study, plan, digests, programs)?;
        let mut all = compared("program", &self.programs, &found.programs, Clone::clone);
        all.extend(compared("field", &self.fields, &found.fields, Clone::clone));
        all.extend(compared("seed", &self.seeds, &found.seeds, u64::to_string));
        all.extend(compared("input", &self.inputs, &found.inputs, |input| {
            format!("{} ({} bytes)", input.digest.short(), input.size_bytes)
        }));
        let locked: BTreeMap<String, Digest> = self.tasks.iter().map(|(id, task)| (id.clone(), task.key)).collect();
        let planned = plan.places().map(|place| (plan.node(place).id.to_string(), plan.node(place).recipe)).collect();
        all.extend(compared("task", &locked, &planned, Digest::short));
        Ok(all)
    }

    /// Tasks whose results are not those that were locked.
    pub fn other_results(&self, plan: &Plan, output: impl Fn(NodeIndex) -> Option<Digest>) -> Vec<Difference> {
        let found: BTreeMap<String, Digest> =
            plan.places().filter_map(|place| Some((plan.node(place).id.to_string(), output(place)?))).collect();
        // What nobody needed has no result here: what it would have led to was fetched.
        let locked = self.tasks.iter().filter(|(id, _)| found.contains_key(*id));
        let locked = locked.map(|(id, task)| (id.clone(), task.output)).collect();
        compared("result", &locked, &found, Digest::short)
    }
}

/// One thing that is not as it was locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What sort of thing: `program`, `field`, `seed`, `input`, `task` or `result`.
    pub what: &'static str,
    /// Which.
    pub name: String,
    /// As it was locked; absent if it was not there.
    pub locked: Option<String>,
    /// As it is; absent if it is gone.
    pub found: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, name, .. } = self;
        match (&self.locked, &self.found) {
            (Some(locked), Some(found)) => write!(f, "{what} `{name}` is {found}, locked {locked}"),
            (Some(locked), None) => write!(f, "{what} `{name}` is gone, locked {locked}"),
            (None, found) => write!(f, "{what} `{name}` is {}, not in the lock", found.as_deref().unwrap_or("there")),
        }
    }
}

/// Seeds of all cells, under the cell's name too where a sweep varies them.
fn seeds_of(study: &Study) -> BTreeMap<String, u64> {
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    for cell in &study.cells {
        for (name, seed) in seeds(&cell.design) {
            match all.get(&name) {
                Some(known) if *known != seed => drop(all.insert(format!("{name}@{}", cell.name()), seed)),
                _ => drop(all.insert(name, seed)),
            }
        }
    }
    all
}

fn compared<T: PartialEq>(
    what: &'static str,
    locked: &BTreeMap<String, T>,
    found: &BTreeMap<String, T>,
    told: impl Fn(&T) -> String,
) -> Vec<Difference> {
    let names: BTreeSet<&String> = locked.keys().chain(found.keys()).collect();
    let differs = names.into_iter().filter(|name| locked.get(*name) != found.get(*name));
    let difference = |name: &String| Difference {
        what,
        name: name.clone(),
        locked: locked.get(name).map(&told),
        found: found.get(name).map(&told),
    };
    differs.map(difference).collect()
}

/// A TOML string, or key, of any text.
pub(super) fn quoted(text: &str) -> String {
    // A basic string on one line, whatever is in it.
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            control if control.is_control() => {
                write!(quoted, "\\u{:04X}", u32::from(control)).expect("texts take whatever is written");
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// What a lock calls a file: its path from the study's folder, or, of a model's file that a hub keeps, model and commit.
pub(super) fn input_name(path: &Path, folder: &Path) -> String {
    let parts: Vec<String> = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    let of_hub = parts.windows(3).position(|parts| parts[0].starts_with("models--") && parts[1] == "snapshots");
    match of_hub {
        Some(at) if at + 3 < parts.len() => {
            let model = parts[at].trim_start_matches("models--").replace("--", "/");
            format!("hf:{model}@{}/{}", parts[at + 2], parts[at + 3..].join("/"))
        }
        _ => way(path, folder),
    }
}

/// Every file outside the cache that a study reads.
pub(super) fn external_files(study: &Study, plan: &Plan) -> BTreeSet<PathBuf> {
    let named = study.cells.iter().flat_map(|cell| &cell.design.named).flat_map(|named| &named.files);
    let of_tasks = plan.places().flat_map(|place| plan.node(place).files.iter().map(|file| &file.path));
    let mut files: BTreeSet<PathBuf> = named.filter(|file| file.is_file()).chain(of_tasks).cloned().collect();
    for cell in &study.cells {
        let Subjects::Recorded { subjects, .. } = &cell.design.subjects else { continue };
        // Tasks of equal files are one task, which names the files of the first only.
        for run in subjects.iter().flat_map(|subject| &subject.runs) {
            files.insert(run.bold.clone());
            files.extend([&run.mask, &run.confounds, &run.confounds_json].into_iter().flatten().cloned());
            files.extend(told_beside(&run.bold));
        }
        let folders = cell.design.named.iter().filter(|named| named.field == "bold.bids.folder");
        files.extend(folders.flat_map(|named| &named.files).flat_map(|folder| told_in(folder)));
    }
    files
}

/// The sidecar of a series.
fn told_beside(series: &Path) -> Option<PathBuf> {
    let name = series.file_name()?.to_string_lossy().into_owned();
    let sidecar = series.with_file_name(format!("{}.json", name.split('.').next()?));
    sidecar.is_file().then_some(sidecar)
}

/// What a data set says of itself, and sidecars that all of its subjects inherit.
fn told_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let tells = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_file() && (name == "dataset_description.json" || name.ends_with("_bold.json"))
    };
    entries.filter(tells).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let digest = |text: &str| Digest::of(text.as_bytes());
        Lock {
            version: LOCK_VERSION,
            study: "tiny \"quoted\" \\ \u{7} é\n".into(),
            programs: BTreeMap::from([("hebb".into(), "0.1.0".into())]),
            seeds: BTreeMap::from([("dictionary".into(), u64::from(u32::MAX))]),
            fields: BTreeMap::from([("encoding.ridge.alphas[0]".into(), "1".into())]),
            inputs: BTreeMap::from([("../a b.nii".into(), LockedInput { digest: digest("a"), size_bytes: 3 })]),
            tasks: BTreeMap::from([
                ("bold/é@n=1".into(), LockedTask { key: digest("b"), output: digest("c") }),
                ("report".into(), LockedTask { key: digest("d"), output: digest("e") }),
            ]),
        }
    }

    #[test]
    fn a_lock_is_read_as_it_was_written_a_line_for_each_thing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("study.lock.toml");
        fs::write(&path, lock().to_text()).expect("writable");
        assert_eq!(Lock::read(&path).expect("just written"), lock());
        assert_eq!(lock().to_text().lines().filter(|line| line.starts_with("\"bold/é@n=1\" = ")).count(), 1);
    }

    #[test]
    fn what_is_no_lock_is_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("study.lock.toml");
        for (text, word) in [
            ("version = 9\nstudy = \"a\"", "its format is 9"),
            ("version = 1\nstudy = \"a\"\nother = 1", "other"),
            ("version = 1\nstudy = \"a\"\n[tasks]\n\"a\" = { key = \"zz\", output = \"zz\" }", "digest"),
            ("", "version"),
        ] {
            fs::write(&path, text).expect("writable");
            let error = Lock::read(&path).expect_err("no lock").to_string();
            assert!(error.contains("study.lock.toml") && error.contains(word), "{error}");
        }
        assert!(matches!(Lock::read(&folder.path().join("none")), Err(LockError::Read { .. })));
    }

    #[test]
    fn whatever_is_new_gone_or_other_is_named() {
        let (one, mut other) = (lock(), lock());
        other.seeds.insert("null".into(), 1);
        other.inputs.clear();
        other.programs.insert("hebb".into(), "0.2.0".into());
        let told = |what, differences: Vec<Difference>| {
            let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
            assert!(lines.iter().all(|line| line.starts_with(what)), "{lines:?}");
            lines
        };
        let programs = told("program", compared("program", &one.programs, &other.programs, Clone::clone));
        assert_eq!(programs, ["program `hebb` is 0.2.0, locked 0.1.0"]);
        let seeds = told("seed", compared("seed", &one.seeds, &other.seeds, u64::to_string));
        assert_eq!(seeds, ["seed `null` is 1, not in the lock"]);
        let inputs = told("input", compared("input", &one.inputs, &other.inputs, |input| input.size_bytes.to_string()));
        assert_eq!(inputs, ["input `../a b.nii` is gone, locked 3"]);
    }

    #[test]
    fn files_are_named_from_the_study() {
        let from = |path: &str, folder: &str| input_name(Path::new(path), Path::new(folder));
        assert_eq!(from("/data/a/b.nii", "/data/a"), "b.nii");
        assert_eq!(from("/data/c/../d/b.nii", "/data/a/x"), "../../d/b.nii");
        assert_eq!(from("a/b.nii", "."), "a/b.nii");
        let of_hub = "/home/anna/.cache/huggingface/hub/models--openai--clip/snapshots/0123/text/model.safetensors";
        assert_eq!(from(of_hub, "/data"), "hf:openai/clip@0123/text/model.safetensors");
        assert_eq!(lock_path(Path::new("a/study.toml")), Path::new("a/study.lock.toml"));
    }
}
