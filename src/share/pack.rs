//! What is given away of a study: chooses the files of an archive and writes those that are for its receiver.
//!
//! | in the archive | what it is |
//! |---|---|
//! | `study/` | the study with all that it includes, its lock, and packed inputs in their places |
//! | `cache/` | every task's record, and the results that were asked for: a cache that a run finds things in |
//! | `results/` | the report, for whoever only wants to read |
//! | `ro-crate-metadata.json` | all of it in the words of Workflow Run RO-Crate |
//! | `README.md` | what to do with it |
//!
//! Nothing in it names a folder, user or machine. Files that come from others (a field of `[sources]` names them) stay out
//! unless they are named one by one.

use super::{
    Lock,
    archive::{ARCHIVE_VERSION, Content, Entry, INDEX, Index, MOST_INDEX_BYTES, Missing, is_folder_name},
    lock::{external_files, input_name, lock_path},
    relocate::{Personal, RelocateError, Relocated, STUDY_FOLDER},
    ro_crate::{Crate, CrateFile, FileKind, PackedRun},
};
use crate::{
    format::memory::read_within,
    plan::Plan,
    spec::{
        NamedPlace, SpecError, Study,
        place::{fixed, folder_of, way, whole},
        read_fields,
    },
    store::{Digest, Record, Store, artifact_name, record_name},
    task::Kind,
};
use petgraph::graph::NodeIndex;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

/// Bytes of a text among the results that is looked through, at most.
const MOST_TEXT_BYTES: u64 = 1 << 30;

/// Which results and inputs go along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct With {
    /// Everything that a reader opens: tables, pages and maps. Whoever has them computes nothing.
    pub results: bool,
    /// Maps.
    pub maps: bool,
    /// Files that the study reads and that are nobody else's.
    pub inputs: bool,
    /// What every task led to.
    pub tasks: bool,
}

/// A study to pack, with what it led to.
pub struct Packing<'a> {
    /// The study.
    pub study: &'a Study,
    /// Its plan.
    pub plan: &'a Plan,
    /// The cache.
    pub store: &'a Store,
    /// What it led to.
    pub lock: Lock,
    /// What must not leave this machine.
    pub personal: Personal,
    /// What goes along.
    pub with: With,
    /// Files of others that are named one by one, or folders with all in them.
    pub named: Vec<PathBuf>,
    /// The licence that the receiver has it under, as an SPDX name, if one is given.
    pub license: Option<String>,
    /// Pages by their path from the results folder.
    pub pages: BTreeMap<String, Vec<u8>>,
}

/// Files of an archive, chosen and named.
#[derive(Debug)]
pub struct Packed {
    /// The list.
    pub index: Index,
    /// Where the bytes of each are.
    pub contents: BTreeMap<String, Content>,
    /// Files of others that stay out, with whom they come from.
    pub of_others: usize,
}

/// Why a study is not packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file of the study cannot move.
    #[error(transparent)]
    Relocate(#[from] RelocateError),
    /// The moved study does not read.
    #[error("the study cannot be written for another machine: {0}")]
    Spec(#[from] SpecError),
    /// A file cannot be used.
    #[error("cannot {action} `{path}`: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A result that is asked for is not in the cache.
    #[error("the result of `{task}` is not in the cache any more")]
    Gone {
        /// The task.
        task: String,
    },
    /// A file that names this machine.
    #[error("`{file}` of {task} names `{found}`, a folder of this machine, and a result cannot be changed")]
    Names {
        /// The file.
        file: String,
        /// The task that made it.
        task: String,
        /// What it names.
        found: String,
    },
    /// A file that was named is none that the study reads.
    #[error("the study reads no file at or below `{path}`", path = path.display())]
    NoInput {
        /// What was named.
        path: PathBuf,
    },
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PackError {
    let path = path.to_owned();
    move |source| PackError::Io { action, path, source }
}

/// A file outside the cache, and where it goes.
struct Input {
    path: PathBuf,
    name: String,
    place: String,
    digest: Digest,
    size_bytes: u64,
    /// Where it comes from, if it is somebody else's.
    source: Option<String>,
    is_packed: bool,
}

impl Packing<'_> {
    /// Chooses and names every file of the archive.
    ///
    /// # Errors
    /// If the study cannot move, a result that is asked for is gone, or one names this machine.
    pub fn pack(self) -> Result<Packed, PackError> {
        let moved = Relocated::new(self.study, &self.personal)?;
        let inputs = self.inputs(&moved)?;
        let mut contents: BTreeMap<String, Content> =
            moved.texts.iter().map(|(path, text)| (path.clone(), Content::Bytes(text.clone().into_bytes()))).collect();
        let lock = self.moved_lock(&moved, &inputs)?;
        // Where whoever unpacks it looks for it.
        let lock_file = slashes(&lock_path(Path::new(&moved.study_file)));
        contents.insert(lock_file.clone(), Content::Bytes(lock.to_text().into_bytes()));
        let mut known: BTreeMap<String, (u64, Digest)> = BTreeMap::new();
        for input in inputs.iter().filter(|input| input.is_packed) {
            known.insert(input.place.clone(), (input.size_bytes, input.digest));
            contents.insert(input.place.clone(), Content::File(input.path.clone()));
        }
        let finished_unix_s = self.results(&moved, &mut contents, &mut known)?;
        for (path, bytes) in &self.pages {
            contents.insert(format!("results/{path}"), Content::Bytes(bytes.clone()));
        }
        let missing: Vec<Missing> = inputs
            .iter()
            .filter(|input| !input.is_packed && !input.name.starts_with("hf:"))
            .map(|input| Missing {
                path: input.place.clone(),
                size_bytes: input.size_bytes,
                digest: input.digest,
                source: input.source.clone(),
            })
            .collect();
        let readme = self.readme(&moved, &inputs);
        contents.insert("README.md".to_owned(), Content::Bytes(readme.into_bytes()));
        let run = PackedRun {
            name: &self.study.name,
            description: &self.study.description,
            study_file: &moved.study_file,
            license: self.license.as_deref(),
            programs: &lock.programs,
            seeds: &lock.seeds,
            finished_unix_s,
        };
        let entries = entries(&contents, &known);
        let described = Crate::new(&run, &self.described(&entries, &moved, &lock_file));
        let described = described.to_json().into_bytes();
        let name = "ro-crate-metadata.json".to_owned();
        let entry = Entry { path: name.clone(), size_bytes: described.len() as u64, digest: Digest::of(&described) };
        contents.insert(name, Content::Bytes(described));
        // What a receiver reads first comes first.
        let mut files: Vec<Entry> = entries.into_iter().chain([entry]).collect();
        files.sort_by_key(|entry| (rank(&entry.path), entry.path.clone()));
        let index = Index {
            version: ARCHIVE_VERSION,
            folder: folder_name(&self.study.name),
            program: format!("hebb {}", env!("CARGO_PKG_VERSION")),
            study: self.study.name.clone(),
            study_file: moved.study_file.clone(),
            missing,
            files,
        };
        let of_others = inputs.iter().filter(|input| !input.is_packed && input.source.is_some()).count();
        Ok(Packed { index, contents, of_others })
    }

    /// Every file outside the cache with its place, and whether it goes along.
    fn inputs(&self, moved: &Relocated) -> Result<Vec<Input>, PackError> {
        let folder = folder_of(&self.study.file);
        let named: Vec<PathBuf> = self.named.iter().map(|path| whole(path)).collect();
        let mut used = vec![false; named.len()];
        let mut inputs = Vec::new();
        for path in external_files(self.study, self.plan) {
            let name = input_name(&path, folder);
            let Some(locked) = self.lock.inputs.get(&name) else { continue };
            let of_hub = name.strip_prefix("hf:").map(|model| format!("the hub, as {model}"));
            let is_of_hub = of_hub.is_some();
            let source = of_hub.or_else(|| self.source(&path));
            let full = whole(&path);
            let asked = named.iter().zip(&mut used).filter(|(named, _)| full.starts_with(named));
            let is_named = asked.map(|(_, used)| *used = true).count() > 0;
            let place = if is_of_hub { name.clone() } else { moved.place(&path)? };
            let is_packed = !is_of_hub && (is_named || (self.with.inputs && source.is_none()));
            let (digest, size_bytes) = (locked.digest, locked.size_bytes);
            inputs.push(Input { path, name, place, digest, size_bytes, source, is_packed });
        }
        match used.iter().position(|used| !used) {
            Some(unused) => Err(PackError::NoInput { path: self.named[unused].clone() }),
            None => Ok(inputs),
        }
    }

    /// Where a file comes from, in the words of the field that leads to it.
    fn source(&self, path: &Path) -> Option<String> {
        let path = whole(path);
        let named = self.study.cells.iter().flat_map(|cell| &cell.design.named);
        let leads = |named: &&NamedPlace| {
            path.starts_with(whole(&named.start.join(fixed(&named.written).0)))
                || named.files.iter().any(|file| whole(file) == path)
        };
        named.filter(leads).find_map(|named| named.source.clone())
    }

    /// The lock of the study as it is in the archive.
    fn moved_lock(&self, moved: &Relocated, inputs: &[Input]) -> Result<Lock, PackError> {
        let folder = tempfile::tempdir().map_err(io_error("create", Path::new("a temporary folder")))?;
        for (path, text) in &moved.texts {
            let path = folder.path().join(path);
            fs::create_dir_all(folder_of(&path)).map_err(io_error("create", &path))?;
            fs::write(&path, text).map_err(io_error("write", &path))?;
        }
        let fields = read_fields(&folder.path().join(&moved.study_file))?;
        let start = folder_of(Path::new(&moved.study_file));
        let name = |input: &Input| match input.name.starts_with("hf:") {
            true => input.name.clone(),
            false => way(Path::new(&input.place), start),
        };
        let by_name: BTreeMap<&String, String> = inputs.iter().map(|input| (&input.name, name(input))).collect();
        let inputs = self.lock.inputs.iter();
        let inputs = inputs.map(|(name, input)| (by_name.get(name).unwrap_or(name).to_string(), input.clone()));
        Ok(Lock { fields, inputs: inputs.collect(), ..self.lock.clone() })
    }

    /// Adds records of all tasks and the results that are asked for; gives when the last of them was computed.
    fn results(
        &self,
        moved: &Relocated,
        contents: &mut BTreeMap<String, Content>,
        known: &mut BTreeMap<String, (u64, Digest)>,
    ) -> Result<u64, PackError> {
        let mut finished_unix_s = 0;
        for place in self.plan.places() {
            let node = self.plan.node(place);
            let gone = || PackError::Gone { task: node.id.to_string() };
            let record = self.store.remembered(&node.recipe).ok_or_else(gone)?;
            finished_unix_s = finished_unix_s.max(record.run.finished_unix_s);
            if self.is_wanted(place) {
                let artifact = self.store.artifact(&record.output);
                for file in &record.files {
                    let source = artifact.join(&file.path);
                    if !source.is_file() {
                        return Err(gone());
                    }
                    self.assert_impersonal(&source, &file.path, node.id.as_str())?;
                    let name = format!("cache/{}/{}", slashes(&artifact_name(&record.output)), file.path);
                    known.insert(name.clone(), (file.size_bytes, file.digest));
                    contents.insert(name, Content::File(source));
                }
            }
            let record = impersonal(record, moved);
            let bytes = record.to_bytes();
            for key in [&record.content, &record.recipe] {
                let name = format!("cache/{}", slashes(&record_name(key)));
                contents.insert(name, Content::Bytes(bytes.clone()));
            }
        }
        Ok(finished_unix_s)
    }

    fn is_wanted(&self, place: NodeIndex) -> bool {
        let is_map = self.plan.node(place).task.kind() == Kind::Maps;
        self.with.tasks || (self.with.results && self.plan.is_end(place)) || (self.with.maps && is_map)
    }

    /// Fails if a text among the results names a folder of this machine.
    fn assert_impersonal(&self, source: &Path, file: &str, task: &str) -> Result<(), PackError> {
        const TEXTS: [&str; 5] = ["json", "tsv", "txt", "md", "html"];
        if !source.extension().is_some_and(|ending| TEXTS.iter().any(|text| ending == *text)) {
            return Ok(());
        }
        let bytes = read_within(source, MOST_TEXT_BYTES).map_err(io_error("read", source))?;
        match self.personal.found_in(&String::from_utf8_lossy(&bytes)) {
            Some(found) => {
                Err(PackError::Names { file: file.to_owned(), task: task.to_owned(), found: found.to_owned() })
            }
            None => Ok(()),
        }
    }

    /// The files that the crate tells of.
    fn described(&self, entries: &[Entry], moved: &Relocated, lock_file: &str) -> Vec<CrateFile> {
        let described = |entry: &Entry| {
            let (kind, about) = match entry.path.as_str() {
                path if path == moved.study_file => (FileKind::Study, "The study".to_owned()),
                path if path == lock_file => (FileKind::Other, "What the study led to, by digest".to_owned()),
                "README.md" => (FileKind::Readme, "What to do with this archive".to_owned()),
                path if path.starts_with("results/") => (FileKind::Result, "A report of the results".to_owned()),
                path if path.starts_with("cache/") => return None,
                path if moved.texts.contains_key(path) => (FileKind::Other, "Included by the study".to_owned()),
                _ => (FileKind::Input, "Read by the study".to_owned()),
            };
            Some(CrateFile {
                path: entry.path.clone(),
                size_bytes: entry.size_bytes,
                digest: entry.digest,
                kind,
                about,
            })
        };
        entries.iter().filter_map(described).collect()
    }

    /// What to do with the archive.
    fn readme(&self, moved: &Relocated, inputs: &[Input]) -> String {
        let name = &self.study.name;
        let study = &moved.study_file;
        let mut text = format!("# {name}\n\n");
        if !self.study.description.is_empty() {
            text += &format!("{}\n\n", self.study.description);
        }
        let reports: Vec<String> = self.pages.keys().map(|page| format!("`results/{page}`")).collect();
        if !reports.is_empty() {
            text += &format!("To read what was found, open {} in a browser.\n\n", reports.join(", "));
        }
        text += &format!(
            "This is a study for Hebb (the Rust package `hebb`), version {} or newer. In this folder,\n\n```\nhebb run {study} \
             --locked\n```\n\ncomputes what is not in `cache/` yet and lays out the results in `results/`; `--locked` holds it to \
             the digests in the lock beside the study. `hebb verify {study}` computes results anew and compares them.\n",
            env!("CARGO_PKG_VERSION")
        );
        let missing: Vec<&Input> = inputs.iter().filter(|input| !input.is_packed).collect();
        if !missing.is_empty() {
            text += "\n## Files that are not here\n\nPut them in their places, or let `hebb run --find FOLDER` look for them; they are known \
                     by their BLAKE3 digests.\n\n| file | bytes | BLAKE3 | where it comes from |\n|---|---:|---|---|\n";
            for input in missing {
                let source = input.source.as_deref().unwrap_or("whoever packed this").replace('|', "\\|");
                text += &format!("| `{}` | {} | `{}` | {source} |\n", input.place, input.size_bytes, input.digest);
            }
        }
        text
    }
}

/// A record without folders of this machine: paths in it only serve explanations.
fn impersonal(mut record: Record, moved: &Relocated) -> Record {
    let files = record.manifest.get_mut("files").and_then(|files| files.as_array_mut());
    for file in files.into_iter().flatten() {
        if let Some(path) = file.get_mut("path") {
            let place = path.as_str().and_then(|path| moved.place(Path::new(path)).ok());
            *path = place.unwrap_or_default().into();
        }
    }
    record
}

/// Every file with size and digest.
fn entries(contents: &BTreeMap<String, Content>, known: &BTreeMap<String, (u64, Digest)>) -> Vec<Entry> {
    let entry = |(path, content): (&String, &Content)| {
        let (size_bytes, digest) = match content {
            Content::Bytes(bytes) => (bytes.len() as u64, Digest::of(bytes)),
            Content::File(_) => *known.get(path).expect("a file outside memory comes with size and digest"),
        };
        Entry { path: path.clone(), size_bytes, digest }
    };
    contents.iter().map(entry).collect()
}

fn rank(path: &str) -> usize {
    const FIRST: [&str; 5] = ["README.md", "ro-crate-metadata.json", "study/", "results/", "cache/records/"];
    FIRST.iter().position(|start| path.starts_with(start)).unwrap_or(FIRST.len())
}

fn slashes(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// A folder of a study's name that any system takes.
fn folder_name(name: &str) -> String {
    let plain = |letter: char| if letter.is_alphanumeric() || "-_".contains(letter) { letter } else { '-' };
    let folder: String = name.chars().map(plain).take(60).collect();
    if is_folder_name(&folder) { folder } else { format!("{folder}-study") }
}

/// Inputs of a lock that are not where the study looks for them, or hold something else, by their names.
#[must_use]
pub fn absent_inputs(lock: &Lock, folder: &Path) -> BTreeSet<String> {
    let is_there = |name: &String, size_bytes: u64| {
        name.starts_with("hf:") || fs::metadata(folder.join(name)).is_ok_and(|found| found.len() == size_bytes)
    };
    lock.inputs.iter().filter(|(name, input)| !is_there(name, input.size_bytes)).map(|(name, _)| name.clone()).collect()
}

/// The list of the archive that a study was unpacked from, if it was.
#[must_use]
pub fn unpacked_index(study: &Path) -> Option<Index> {
    unpacked(study).map(|(_, index)| index)
}

/// The folder of an unpacked archive that the study lies in with all that came with it, if it was unpacked.
#[must_use]
pub fn unpacked_folder(study: &Path) -> Option<PathBuf> {
    unpacked(study).map(|(root, _)| root.join(STUDY_FOLDER))
}

fn unpacked(study: &Path) -> Option<(PathBuf, Index)> {
    let study = whole(study);
    let root = study.ancestors().skip(1).find(|folder| folder.join(INDEX).is_file())?;
    let index: Index = serde_json::from_slice(&read_within(&root.join(INDEX), MOST_INDEX_BYTES).ok()?).ok()?;
    (root.join(&index.study_file) == study).then(|| (root.to_owned(), index))
}
