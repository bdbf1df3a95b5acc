//! Results that were promised elsewhere and are not there yet: an empty file for each, so that many processes may add and remove.
//!
//! Knows neither who is promised what nor how it gets there. Losing these files loses no result, only the promise.

use super::{Digest, Store, StoreError, io_error, publish::remove_file};
use std::{
    fs::{self, File},
    path::PathBuf,
};

impl Store {
    /// Notes that the result of a recipe is owed to `whom`.
    ///
    /// # Errors
    /// If the note cannot be written.
    pub fn owe(&self, whom: &Digest, recipe: &Digest) -> Result<(), StoreError> {
        let path = self.owed_folder(whom).join(recipe.to_string());
        let parent = path.parent().expect("the file lies in a folder");
        fs::create_dir_all(parent).map_err(io_error("create", parent))?;
        File::create(&path).map(drop).map_err(io_error("create", &path))
    }

    /// The recipes whose results are owed to `whom`, sorted.
    #[must_use]
    pub fn owed(&self, whom: &Digest) -> Vec<Digest> {
        let entries = fs::read_dir(self.owed_folder(whom)).into_iter().flatten().flatten();
        let mut recipes: Vec<Digest> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        recipes.sort();
        recipes
    }

    /// Notes that the result of a recipe is owed no more.
    ///
    /// # Errors
    /// If the note cannot be removed.
    pub fn settle(&self, whom: &Digest, recipe: &Digest) -> Result<(), StoreError> {
        remove_file(&self.owed_folder(whom).join(recipe.to_string())).map(drop)
    }

    fn owed_folder(&self, whom: &Digest) -> PathBuf {
        self.root().join("owed").join(whom.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_is_known_until_it_is_settled() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path()).expect("writable");
        let (whom, one, other) = (Digest::of(b"whom"), Digest::of(b"one"), Digest::of(b"other"));
        assert_eq!(store.owed(&whom), []);
        for recipe in [&one, &other, &one] {
            store.owe(&whom, recipe).expect("writable");
        }
        assert_eq!(store.owed(&whom).len(), 2);
        store.settle(&whom, &one).expect("writable");
        store.settle(&whom, &one).expect("nothing is left to remove");
        assert_eq!(store.owed(&whom), [other]);
        assert_eq!(store.owed(&one), [], "owed to another");
    }
}
