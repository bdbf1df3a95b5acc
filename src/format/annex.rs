//! Files that a dataset names but does not hold yet: git-annex and Git LFS leave a link or a few words in their place.
//!
//! Owns how such a stand-in is recognised and what to say about it. Readers ask [`unfetched`] when a file cannot be opened
//! or is not what its name says, so that the reason is named instead of a missing or damaged file.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Pointers are shorter than this: git-annex takes no longer file for one, Git LFS allows 1024 bytes.
const MAX_POINTER_BYTES: u64 = 32 * 1024;
/// Where git-annex keeps contents, in links and in the text files that stand for links on systems without them.
const ANNEX_OBJECTS: &str = ".git/annex/objects/";
/// How the text begins that stands for a file which git-annex has unlocked.
const ANNEX_POINTER: &str = "/annex/objects/";
/// How the text begins that stands for a file in Git LFS (its specification, version 1, and the version before).
const LFS_POINTERS: [&str; 2] = ["version https://git-lfs.github.com/spec/", "version https://hawser.github.com/spec/"];

/// What keeps the contents of a file that is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentStore {
    /// git-annex, the store of DataLad datasets.
    Annex,
    /// Git LFS.
    Lfs,
}

/// A file whose contents were not fetched; displayed, it says how to fetch them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfetched {
    /// The file.
    pub path: PathBuf,
    /// What keeps its contents.
    pub store: ContentStore,
}

impl fmt::Display for Unfetched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.store {
            ContentStore::Annex => {
                write!(
                    formatter,
                    "`{path}` is only a link of git-annex, its contents are elsewhere: run `datalad get {path}`"
                )
            }
            ContentStore::Lfs => {
                write!(
                    formatter,
                    "`{path}` is only a pointer of Git LFS, its contents are elsewhere: run `git lfs pull`"
                )
            }
        }
    }
}

impl std::error::Error for Unfetched {}

/// Says whether a file is a stand-in whose contents were not fetched; reads at most its first bytes.
pub fn unfetched(path: &Path) -> Option<Unfetched> {
    let found = |store| Some(Unfetched { path: path.to_owned(), store });
    let metadata = path.symlink_metadata().ok()?;
    if metadata.is_symlink() {
        let target = path.read_link().ok()?;
        if !path.exists() {
            return if is_annex_link(&target.to_string_lossy()) { found(ContentStore::Annex) } else { None };
        }
    }
    let metadata = path.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > MAX_POINTER_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_POINTER_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let first_line = text.lines().next()?;
    if first_line.starts_with(ANNEX_POINTER) || is_annex_link(first_line) {
        found(ContentStore::Annex)
    } else if LFS_POINTERS.iter().any(|pointer| first_line.starts_with(pointer)) {
        found(ContentStore::Lfs)
    } else {
        None
    }
}

/// Whether a link's target lies in a store of git-annex, reached by going up and never through other text.
fn is_annex_link(target: &str) -> bool {
    let target = target.replace('\\', "/");
    let below_root = target.trim_start_matches("../");
    below_root.starts_with(ANNEX_OBJECTS) || target.starts_with('/') && target.contains(&format!("/{ANNEX_OBJECTS}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "Xq/3p/MD5E-s1024--d41d8cd98f00b204e9800998ecf8427e.nii.gz/MD5E-s1024--d41d8cd98f00b204e9800998ecf8427e.nii.gz";

    fn store_of(text: &str) -> Option<ContentStore> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bold.nii.gz");
        std::fs::write(&path, text).unwrap();
        unfetched(&path).map(|unfetched| unfetched.store)
    }

    #[test]
    fn pointers_are_told_from_contents() {
        assert_eq!(store_of("/annex/objects/MD5E-s1024--d41d8cd9.nii.gz\n"), Some(ContentStore::Annex));
        assert_eq!(store_of(&format!("../../../{ANNEX_OBJECTS}{KEY}")), Some(ContentStore::Annex));
        assert_eq!(
            store_of("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
            Some(ContentStore::Lfs)
        );
        for contents in ["", "onset\tduration\n", "see .git/annex/objects/ for more", "\u{0}\u{1}"] {
            assert_eq!(store_of(contents), None, "{contents:?}");
        }
        assert_eq!(store_of(&format!("/annex/objects/{}", "x".repeat(40_000))), None);
    }

    #[cfg(unix)]
    #[test]
    fn dangling_links_say_what_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bold.nii.gz");
        std::os::unix::fs::symlink(format!("../../{ANNEX_OBJECTS}{KEY}"), &path).unwrap();
        let text = unfetched(&path).unwrap().to_string();
        assert!(text.ends_with(&format!("run `datalad get {}`", path.display())), "{text}");
        let other = folder.path().join("elsewhere.nii.gz");
        std::os::unix::fs::symlink("../nowhere", &other).unwrap();
        assert_eq!(unfetched(&other), None);
        assert_eq!(unfetched(&folder.path().join("absent")), None);
        assert_eq!(unfetched(folder.path()), None);
    }

    #[cfg(unix)]
    #[test]
    fn fetched_links_are_contents() {
        let folder = tempfile::tempdir().unwrap();
        let object = folder.path().join(ANNEX_OBJECTS).join("key");
        std::fs::create_dir_all(object.parent().unwrap()).unwrap();
        std::fs::write(&object, "contents").unwrap();
        let path = folder.path().join("bold.nii.gz");
        std::os::unix::fs::symlink(Path::new(ANNEX_OBJECTS).join("key"), &path).unwrap();
        assert_eq!(unfetched(&path), None);
    }
}
