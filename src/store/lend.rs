//! Results of one cache in another, without computing them there: links to the same bytes where the file system has them.
//!
//! The borrower has folders of its own, so that what it moves or removes stays where it is in the lender.

use super::{OutputFile, Record, Store, StoreError, io_error, publish::remove_tree};
use std::{
    fs, io,
    path::{Component, Path},
};

/// How a result came into the other cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lent {
    /// Its files are links: no byte was copied.
    Linked,
    /// Its files are copies.
    Copied,
}

impl Store {
    /// Puts a result into another cache under its recipe; gives nothing if it is not whole here.
    ///
    /// Only the recipe leads to it there: a task that happens to have the same content is still computed.
    ///
    /// # Errors
    /// If the other cache cannot be written to.
    pub fn lend(&self, record: &Record, to: &Self) -> Result<Option<Lent>, StoreError> {
        let (from, folder) = (self.artifact(&record.output), to.artifact(&record.output));
        let mut lent = Lent::Linked;
        if !folder.exists() {
            if !from.is_dir() || !record.files.iter().all(is_inside) {
                return Ok(None);
            }
            fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
            for file in &record.files {
                match link(&from.join(&file.path), &folder.join(&file.path)) {
                    Ok(Lent::Linked) => {}
                    Ok(Lent::Copied) => lent = Lent::Copied,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        remove_tree(&folder)?;
                        return Ok(None);
                    }
                    Err(error) => return Err(io_error("write in", &folder)(error)),
                }
            }
        }
        let path = to.record_path(&record.recipe);
        let parent = path.parent().expect("every file of the store lies in a folder");
        fs::create_dir_all(parent).map_err(io_error("create", parent))?;
        fs::write(&path, record.to_bytes()).map_err(io_error("write", &path))?;
        Ok(Some(lent))
    }
}

/// Whether a file of an artifact lies in it: a record from elsewhere may say anything.
fn is_inside(file: &OutputFile) -> bool {
    let mut parts = Path::new(&file.path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

fn link(from: &Path, to: &Path) -> io::Result<Lent> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::hard_link(from, to) {
        Ok(()) => Ok(Lent::Linked),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        // Another file system, one without links, or a file with as many as it may have.
        Err(_) => fs::copy(from, to).map(|_| Lent::Copied),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Digest, RunFacts};

    fn published(store: &Store) -> Record {
        let claim = store.claim(&Digest::of(b"content"), || false).expect("lockable").expect("nobody gives up");
        let folder = claim.folder().expect("writable");
        fs::create_dir_all(folder.join("inner")).expect("writable");
        fs::write(folder.join("inner/a.tsv"), b"whole").expect("writable");
        let run = RunFacts { seconds: 0.5, program: "test".into(), finished_unix_s: 0 };
        claim.publish(Digest::of(b"recipe"), serde_json::json!({}), run).expect("publishable").record
    }

    #[test]
    fn what_is_lent_is_found_by_its_recipe_only_and_damage_there_is_set_aside_there() {
        let [one, other] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
        let [store, borrower] = [&one, &other].map(|folder| Store::open(folder.path()).expect("writable"));
        let record = published(&store);
        assert!(store.lend(&record, &borrower).expect("writable").is_some());
        assert!(store.lend(&record, &borrower).expect("writable").is_some(), "a second time");
        assert_eq!(borrower.lookup(&Digest::of(b"recipe")), Some(record.clone()));
        assert_eq!(borrower.lookup(&Digest::of(b"content")), None);

        let before = fs::read(store.artifact(&record.output).join("inner/a.tsv")).expect("readable");
        borrower.move_damaged(&record);
        assert_eq!(borrower.lookup(&Digest::of(b"recipe")), None);
        assert_eq!(fs::read(store.artifact(&record.output).join("inner/a.tsv")).expect("readable"), before);
        assert_eq!(store.lookup(&Digest::of(b"recipe")), Some(record));
    }

    #[test]
    fn what_is_gone_or_leads_outside_is_not_lent() {
        let [one, other] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
        let [store, borrower] = [&one, &other].map(|folder| Store::open(folder.path()).expect("writable"));
        let record = published(&store);
        for path in ["../../lock", "/etc/hosts", "", "inner/../../a"] {
            let mut outside = record.clone();
            outside.files[0].path = path.into();
            assert_eq!(store.lend(&outside, &borrower).expect("writable"), None, "{path}");
        }
        fs::remove_dir_all(store.artifact(&record.output).join("inner")).expect("removable");
        assert_eq!(store.lend(&record, &borrower).expect("writable"), None);
        assert!(!borrower.artifact(&record.output).exists());
    }

    impl Store {
        /// Adds a file that was never published, which counts as damage.
        fn move_damaged(&self, record: &Record) {
            fs::write(self.artifact(&record.output).join("extra"), b"x").expect("writable");
            let damage = self.check(&record.output, Some(&record.files), None).expect("movable");
            assert!(damage.expect("damaged").aside.expect("moved").starts_with(self.root()));
        }
    }
}
