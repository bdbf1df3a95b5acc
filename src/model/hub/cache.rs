//! The folder that Python's `huggingface_hub` keeps files in, one repository of it. Owns its layout; fetches nothing.
//!
//! ```text
//! models--OWNER--NAME/
//!     blobs/ETAG                      contents, named by what the hub calls them
//!     snapshots/COMMIT/FILE           a link to a blob, or a file that was placed by hand
//!     .no_exist/COMMIT/FILE           an empty file: the commit has no such file
//! .locks/models--OWNER--NAME/ETAG.lock
//! ```

use super::{HubError, HubModel};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// One commit of one repository in the cache.
pub(super) struct Snapshot {
    repository: PathBuf,
    locks: PathBuf,
    commit: String,
}

impl Snapshot {
    pub(super) fn of(model: &HubModel, cache: &Path) -> Self {
        let name = format!("models--{}", model.repository().replace('/', "--"));
        Self {
            repository: cache.join(&name),
            locks: cache.join(".locks").join(&name),
            commit: model.revision().to_owned(),
        }
    }

    /// The folder of the commit's files.
    pub(super) fn folder(&self) -> PathBuf {
        self.repository.join("snapshots").join(&self.commit)
    }

    /// Whether a file is there; a link to a blob that is gone is not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.folder().join(name).is_file()
    }

    /// Whether the commit is known to have no such file.
    pub(super) fn is_absent(&self, name: &str) -> bool {
        self.absent_folder().join(name).is_file()
    }

    /// Notes that the commit has no such file.
    pub(super) fn note_absent(&self, name: &str) -> Result<(), HubError> {
        let folder = self.absent_folder();
        create_folder(&folder)?;
        let path = folder.join(name);
        File::create(&path).map(drop).map_err(HubError::file("create", &path))
    }

    fn absent_folder(&self) -> PathBuf {
        self.repository.join(".no_exist").join(&self.commit)
    }

    /// Where the contents that the hub calls `etag` belong.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.repository.join("blobs").join(etag)
    }

    /// Waits until nobody else, in Python or here, fetches the same contents; for as long as the file lives.
    pub(super) fn lock(&self, etag: &str) -> Result<File, HubError> {
        create_folder(&self.locks)?;
        create_folder(&self.repository.join("blobs"))?;
        let path = self.locks.join(format!("{etag}.lock"));
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(HubError::file("create", &path))?;
        match file.lock() {
            // Some cluster disks have no locks. Two that write one file there end with a digest that differs, and no worse.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
            locked => locked.map(|()| file).map_err(HubError::file("lock", &path)),
        }
    }

    /// Makes a blob a file of the commit.
    pub(super) fn link(&self, name: &str, etag: &str) -> Result<(), HubError> {
        let folder = self.folder();
        create_folder(&folder)?;
        let path = folder.join(name);
        // Beside the place and renamed onto it, as there may be a link that leads nowhere.
        let new = folder.join(format!(".{name}.{}", std::process::id()));
        let linked = make_link(&Path::new("../../blobs").join(etag), &new);
        // On a disk without links the file itself stands there.
        let placed = match linked {
            Ok(()) => fs::rename(&new, &path),
            Err(_) => fs::rename(self.blob(etag), &path),
        };
        placed.map_err(HubError::file("create", &path))
    }
}

#[cfg(unix)]
fn make_link(target: &Path, path: &Path) -> io::Result<()> {
    // What a process of the same number has left.
    let _ = fs::remove_file(path);
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn make_link(_target: &Path, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn create_folder(folder: &Path) -> Result<(), HubError> {
    fs::create_dir_all(folder).map_err(HubError::file("create", folder))
}
