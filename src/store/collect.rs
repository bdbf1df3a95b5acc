//! What lies in the cache, what of it no study needs, and its removal.
//!
//! Roots are given by whoever knows studies: recipe keys and artifacts. What a root reaches stays, and what is younger than a
//! grace period stays, since the next run of a study that was killed goes on from there. A collection has the cache to
//! itself: whoever opens a [`Store`] shares a lock that a collection takes alone.

use super::{Digest, Record, Store, StoreError, io_error, publish::remove_tree};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

/// What must stay.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    /// Keys that are needed to explain what changed.
    pub recipes: BTreeSet<Digest>,
    /// Artifacts.
    pub outputs: BTreeSet<Digest>,
}

/// Something in the cache, with the bytes of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where it lies.
    pub path: PathBuf,
    /// Bytes of its files together.
    pub size_bytes: u64,
}

/// An artifact with what is known of it.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Its digest.
    pub output: Digest,
    /// Where it lies.
    pub item: Item,
    /// One of the records that lead to it; absent if none does.
    pub record: Option<Record>,
}

/// Everything in the cache that has a name of its own.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Published folders.
    pub artifacts: Vec<Artifact>,
    /// Records that read, by key.
    pub records: Vec<(Digest, Digest, Item)>,
    /// Keys whose record does not read.
    pub unreadable: Vec<(Digest, Item)>,
    /// What is being written, or was when its writer was killed.
    pub partial: Vec<Item>,
    /// What was set aside.
    pub damaged: Vec<Item>,
}

/// What a collection removes.
#[derive(Clone, Debug, Default)]
pub struct Unreached {
    /// Artifacts that no root reaches.
    pub artifacts: Vec<Item>,
    /// Records that lead to none that stays.
    pub records: Vec<Item>,
    /// Notes about studies that are no roots.
    pub notes: Vec<Item>,
    /// What killed writers left: folders, files and locks.
    pub left_over: Vec<Item>,
    /// Artifacts that no root reaches and that stay because they are young.
    pub young: Vec<Item>,
}

impl Unreached {
    /// Bytes of everything that is removed.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.removed().map(|item| item.size_bytes).sum()
    }

    /// Whether nothing is removed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed().next().is_none()
    }

    fn removed(&self) -> impl Iterator<Item = &Item> {
        [&self.artifacts, &self.records, &self.notes, &self.left_over].into_iter().flatten()
    }
}

/// The cache, for one collection at a time: everyone else waits or is waited for.
#[derive(Debug)]
pub struct Collection<'a> {
    store: &'a Store,
}

impl Store {
    /// Everything in the cache.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn inventory(&self) -> Result<Inventory, StoreError> {
        let mut inventory = Inventory {
            partial: children(&self.root().join("partial"))?.into_iter().map(weigh).collect(),
            damaged: children(&self.root().join("damaged"))?.into_iter().map(weigh).collect(),
            ..Inventory::default()
        };
        let mut known = BTreeMap::new();
        for (key, path) in self.fanned_out("records")? {
            let item = weigh(path);
            match self.remembered(&key) {
                Some(record) => {
                    inventory.records.push((key, record.output, item));
                    known.insert(record.output, record);
                }
                None => inventory.unreadable.push((key, item)),
            }
        }
        for (output, path) in self.fanned_out("artifacts")? {
            inventory.artifacts.push(Artifact { output, item: weigh(path), record: known.remove(&output) });
        }
        Ok(inventory)
    }

    /// Takes the cache for a collection; gives nothing if others still use it after `patience`.
    ///
    /// # Errors
    /// If the cache cannot be locked.
    pub fn collection(&self, patience: Duration) -> Result<Option<Collection<'_>>, StoreError> {
        let started = Instant::now();
        Ok(self.alone(|| started.elapsed() >= patience)?.then_some(Collection { store: self }))
    }

    /// What of an inventory no root reaches; `notes` are names of notes that are no roots.
    #[must_use]
    pub fn unreached(&self, inventory: &Inventory, roots: &Roots, notes: &[Digest], grace: Duration) -> Unreached {
        let now = SystemTime::now();
        let is_young = |path: &Path| {
            let changed = fs::metadata(path).and_then(|metadata| metadata.modified());
            // A time in the future is no age: better kept than lost.
            changed.is_ok_and(|changed| now.duration_since(changed).map_or(!grace.is_zero(), |age| age < grace))
        };
        let mut reached = roots.outputs.clone();
        reached.extend(
            inventory.records.iter().filter(|(key, ..)| roots.recipes.contains(key)).map(|(_, output, _)| *output),
        );
        let mut young: BTreeSet<Digest> = inventory
            .records
            .iter()
            .filter(|(_, output, item)| !reached.contains(output) && is_young(&item.path))
            .map(|(_, output, _)| *output)
            .collect();
        let mut unreached = Unreached::default();
        for artifact in inventory.artifacts.iter().filter(|artifact| !reached.contains(&artifact.output)) {
            if young.contains(&artifact.output) || is_young(&artifact.item.path) {
                young.insert(artifact.output);
                unreached.young.push(artifact.item.clone());
            } else {
                unreached.artifacts.push(artifact.item.clone());
            }
        }
        let stays = |key: &Digest, output: &Digest| {
            roots.recipes.contains(key) || reached.contains(output) || young.contains(output)
        };
        let gone = inventory.records.iter().filter(|(key, output, _)| !stays(key, output));
        unreached.records = gone.map(|(.., item)| item.clone()).collect();
        unreached.notes =
            notes.iter().map(|name| self.study_path(name)).filter(|path| path.exists()).map(weigh).collect();
        unreached.left_over = inventory.partial.clone();
        let locks = children(&self.root().join("locks")).unwrap_or_default();
        unreached.left_over.extend(locks.into_iter().map(weigh));
        unreached
    }

    /// The entries of `folder/ab/abcd…` that are named by a digest.
    fn fanned_out(&self, folder: &str) -> Result<Vec<(Digest, PathBuf)>, StoreError> {
        let mut found = Vec::new();
        for outer in children(&self.root().join(folder))? {
            for path in children(&outer)? {
                let name = path.file_stem().map(|name| name.to_string_lossy().parse());
                if let Some(Ok(digest)) = name {
                    found.push((digest, path));
                }
            }
        }
        Ok(found)
    }
}

impl Collection<'_> {
    /// Removes what was found unreached: records before their artifacts, each artifact at once.
    ///
    /// # Errors
    /// If something cannot be removed; what was removed before that is gone, and everything else is whole.
    pub fn remove(&self, unreached: &Unreached) -> Result<(), StoreError> {
        let partial = self.store.root().join("partial");
        for item in unreached.notes.iter().chain(&unreached.records).chain(&unreached.left_over) {
            remove(&item.path)?;
        }
        for item in &unreached.artifacts {
            // A kill in the middle of a removal must not leave half an artifact under its name.
            let doomed = partial.join(item.path.file_name().expect("an artifact has a name"));
            fs::create_dir_all(&partial).map_err(io_error("create", &partial))?;
            fs::rename(&item.path, &doomed).map_err(io_error("remove", &item.path))?;
            remove(&doomed)?;
        }
        for item in unreached.artifacts.iter().chain(&unreached.records) {
            // Goes only when it is empty.
            let _ = item.path.parent().map(fs::remove_dir);
        }
        self.store.prune_families();
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) if path.is_dir() => remove_tree(path),
        removed => removed.map_err(io_error("remove", path)),
    }
}

/// What lies in a folder, sorted; nothing if it is not there or is a file.
fn children(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries.map_err(io_error("read", folder))?,
    };
    let mut paths =
        entries.map(|entry| Ok(entry.map_err(io_error("read", folder))?.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

fn weigh(path: PathBuf) -> Item {
    let files = walkdir::WalkDir::new(&path).into_iter().flatten().filter(|entry| !entry.file_type().is_dir());
    let size_bytes = files.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum();
    Item { path, size_bytes }
}
