//! All-or-nothing publication under a lock that dies with its holder. Next: `mod.rs` for what a record holds.

use super::{
    Damage, Digest, OutputFile, Record, RunFacts, Store, StoreError, hash_file, io_error, lock::Lock, record::digest_of,
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// The right to compute one content key, and the empty folder to do it in.
///
/// Dropping the claim removes what was written and gives up the lock; what a killed holder left is removed by the next
/// claim on the same key, or by a collection.
#[derive(Debug)]
pub struct Claim<'a> {
    store: &'a Store,
    content: Digest,
    folder: PathBuf,
    /// After `folder`: what is in it is removed while the lock is held.
    _lock: Lock,
}

/// What a publication made, and what it came upon.
#[derive(Clone, Debug)]
pub struct Published {
    /// The record of the new artifact.
    pub record: Record,
    /// A damaged artifact of the same name, or a damaged record of the same key, that had to make room.
    pub damages: Vec<Damage>,
    /// The artifact that the same content led to before, if it was another: the computation does not repeat itself.
    pub differs_from: Option<Digest>,
}

impl<'a> Claim<'a> {
    pub(super) fn new(
        store: &'a Store,
        content: &Digest,
        give_up: impl Fn() -> bool,
    ) -> Result<Option<Self>, StoreError> {
        let path = store.root().join("locks").join(content.to_string());
        let Some(lock) = Lock::wait(&path, &store.leases, give_up)? else { return Ok(None) };
        // Each claim has its own: who was overtaken while it stood still may come back.
        let folder = |nonce: &str| store.root().join("partial").join(format!("{content}-{nonce}"));
        if let Some(ended) = lock.ended() {
            remove_tree(&folder(ended))?;
        }
        let folder = folder(lock.nonce());
        Ok(Some(Self { store, content: *content, folder, _lock: lock }))
    }

    /// The folder to write into, made on the first call.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn folder(&self) -> Result<&Path, StoreError> {
        fs::create_dir_all(&self.folder).map_err(io_error("create", &self.folder))?;
        Ok(&self.folder)
    }

    /// Publishes what was written: artifact first, then the record under both keys.
    ///
    /// # Errors
    /// If a file cannot be read, synced or moved, or is not a plain file. Nothing is visible to readers then.
    pub fn publish(self, recipe: Digest, manifest: serde_json::Value, run: RunFacts) -> Result<Published, StoreError> {
        let files = seal(self.folder()?)?;
        let record = Record { recipe, content: self.content, output: digest_of(&files), files, manifest, run };
        self.place(record)
    }

    /// Publishes what was fetched, if it is what its record says: how it was computed stays as the record has it. Gives nothing,
    /// and leaves nothing in the folder, if it is not.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub fn adopt(&self, record: Record) -> Result<Option<Published>, StoreError> {
        if record.content != self.content || seal(self.folder()?)? != record.files {
            remove_tree(&self.folder)?;
            return Ok(None);
        }
        self.place(record).map(Some)
    }

    /// Moves the sealed folder to where its record says that it belongs.
    fn place(&self, record: Record) -> Result<Published, StoreError> {
        let (output, files) = (record.output, &record.files);
        let artifact = self.store.artifact(&output);
        let mut damages = Vec::new();
        if artifact.exists() {
            // A damaged copy under the right name would make every later lookup fail: the fresh one takes its place.
            damages.extend(self.store.check(&output, Some(files), None)?);
        }
        if artifact.exists() {
            remove_tree(&self.folder)?;
        } else {
            let parent = artifact.parent().expect("artifacts lie two folders deep");
            fs::create_dir_all(parent).map_err(io_error("create", parent))?;
            match fs::rename(&self.folder, &artifact) {
                // Another key with equal bytes was published between the look and the move.
                Err(_) if artifact.exists() => remove_tree(&self.folder)?,
                moved => moved.map_err(io_error("publish", &artifact))?,
            }
            sync_folder(parent)?;
        }
        for key in [&self.content, &record.recipe] {
            damages.extend(self.store.set_aside_record(key)?);
        }
        let before = self.store.remembered(&self.content).map(|record| record.output);
        self.store.remember(&record)?;
        Ok(Published { record, damages, differs_from: before.filter(|before| *before != output) })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        // Nothing is there after publication. What stays now, the next claim on the same key removes.
        let _ = remove_tree(&self.folder);
    }
}

/// Hashes, syncs and write-protects every file under `folder`, in path order.
fn seal(folder: &Path) -> Result<Vec<OutputFile>, StoreError> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(|error| io_error("read", folder)(error.into()))?;
        let path = entry.path();
        if entry.file_type().is_dir() {
            continue;
        }
        if !entry.file_type().is_file() {
            return Err(StoreError::NotPlain { path: path.to_owned() });
        }
        let file = File::open(path).map_err(io_error("read", path))?;
        file.sync_all().map_err(io_error("sync", path))?;
        let metadata = file.metadata().map_err(io_error("read", path))?;
        let mut permissions = metadata.permissions();
        permissions.set_readonly(true);
        fs::set_permissions(path, permissions).map_err(io_error("write-protect", path))?;
        let inside = path.strip_prefix(folder).expect("walked from this folder");
        files.push(OutputFile {
            path: inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"),
            size_bytes: metadata.len(),
            digest: hash_file(path)?,
        });
    }
    Ok(files)
}

/// Removes a folder with all that is in it, if it is there.
pub(super) fn remove_tree(folder: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", folder)(error)),
        _ => Ok(()),
    }
}

/// Removes a file; says whether it was there.
pub(super) fn remove_file(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true).map_err(io_error("remove", path)),
    }
}

fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    // Windows cannot open a folder as a file; its rename is durable enough without.
    #[cfg(unix)]
    File::open(folder).and_then(|handle| handle.sync_all()).map_err(io_error("sync", folder))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn facts() -> RunFacts {
        RunFacts { seconds: 0.5, program: "test".into(), finished_unix_s: 0 }
    }

    fn claim<'a>(store: &'a Store, content: &Digest) -> Claim<'a> {
        store.claim(content, || false).expect("lockable").expect("nobody gives up")
    }

    fn publish(store: &Store, name: &str, bytes: &[u8]) -> Record {
        let claim = claim(store, &Digest::of(name.as_bytes()));
        fs::write(claim.folder().expect("writable").join("a.tsv"), bytes).expect("writable");
        claim.publish(Digest::of(b"recipe"), serde_json::json!({}), facts()).expect("publishable").record
    }

    #[test]
    fn published_artifacts_are_found_by_both_keys_and_cannot_be_written() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path()).expect("writable");
        let record = publish(&store, "content", b"x");
        assert_eq!(store.lookup(&Digest::of(b"content")), Some(record.clone()));
        assert_eq!(store.lookup(&Digest::of(b"recipe")), Some(record.clone()));
        let file = store.artifact(&record.output).join("a.tsv");
        assert!(fs::metadata(file).expect("there").permissions().readonly());
        assert_eq!(fs::read_dir(folder.path().join("partial")).expect("readable").count(), 0);
        assert_eq!(fs::read_dir(folder.path().join("locks")).expect("readable").count(), 0);
    }

    #[test]
    fn equal_bytes_are_kept_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path()).expect("writable");
        assert_eq!(publish(&store, "one", b"x").output, publish(&store, "two", b"x").output);
        assert_ne!(publish(&store, "three", b"y").output, publish(&store, "one", b"x").output);
    }

    #[test]
    fn a_shortened_artifact_counts_as_absent_and_is_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path()).expect("writable");
        let record = publish(&store, "content", b"whole");
        let artifact = store.artifact(&record.output);
        fs::remove_dir_all(&artifact).expect("removable");
        fs::create_dir_all(&artifact).expect("writable");
        fs::write(artifact.join("a.tsv"), b"wh").expect("writable");
        assert_eq!(store.lookup(&Digest::of(b"content")), None);
        assert_eq!(publish(&store, "content", b"whole").output, record.output);
        assert_eq!(fs::read(artifact.join("a.tsv")).expect("readable"), b"whole");
    }

    #[test]
    fn what_was_not_published_is_gone_with_the_claim() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path()).expect("writable");
        let claim = claim(&store, &Digest::of(b"content"));
        fs::write(claim.folder().expect("writable").join("torn"), b"half").expect("writable");
        drop(claim);
        assert_eq!(fs::read_dir(folder.path().join("partial")).expect("readable").count(), 0);
    }

    #[test]
    fn what_a_dead_holder_left_is_gone_at_the_next_claim() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path()).expect("writable");
        let content = Digest::of(b"content");
        let dead = claim(&store, &content);
        let left = dead.folder().expect("writable").to_owned();
        let place = folder.path().join("locks").join(content.to_string()).with_extension("lease");
        let lease = fs::read(&place).expect("a lease");
        drop(dead);
        // As a kill leaves it.
        fs::create_dir_all(&left).expect("writable");
        fs::write(left.join("torn"), b"half").expect("writable");
        fs::write(&place, lease).expect("writable");
        let claim = claim(&store, &content);
        assert!(!left.exists());
        assert_eq!(fs::read_dir(claim.folder().expect("writable")).expect("readable").count(), 0);
    }

    #[test]
    fn one_key_is_computed_once_by_many_threads() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path()).expect("writable");
        let (content, computed) = (Digest::of(b"content"), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let claim = claim(&store, &content);
                    if store.lookup(&content).is_none() {
                        computed.fetch_add(1, Ordering::SeqCst);
                        fs::write(claim.folder().expect("writable").join("a"), b"a").expect("writable");
                        claim.publish(Digest::of(b"r"), serde_json::json!({}), facts()).expect("publishable");
                    }
                });
            }
        });
        assert_eq!(computed.load(Ordering::SeqCst), 1);
    }
}
