//! Locks that die with their holder. Owns lock files; knows nothing of what they guard.
//!
//! A lock is the operating system's, on a file that is there only while someone wants it. Its holder removes the file before
//! letting go, and whoever gets a lock looks whether the path still leads to the file that it locked. So files of killed
//! holders can be removed by anybody who gets their lock, and no two hold what has one name.

use super::{StoreError, io_error};
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// The longest pause between two attempts at a lock that another process holds.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Waits for the lock at `path`; gives nothing once `give_up` says so.
    pub(super) fn wait(path: &Path, give_up: impl Fn() -> bool) -> Result<Option<Self>, StoreError> {
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(lock) = Self::try_now(path)? {
                return Ok(Some(lock));
            }
            if give_up() {
                return Ok(None);
            }
            std::thread::sleep(pause);
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// The lock at `path`, unless someone holds it.
    pub(super) fn try_now(path: &Path) -> Result<Option<Self>, StoreError> {
        loop {
            let opened = File::options().create(true).truncate(false).write(true).open(path);
            let file = match opened {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let folder = path.parent().expect("a lock file lies in a folder");
                    fs::create_dir_all(folder).map_err(io_error("create", folder))?;
                    File::options().create(true).truncate(false).write(true).open(path)
                }
                opened => opened,
            }
            .map_err(io_error("create", path))?;
            match file.try_lock() {
                Ok(()) if is_still_at(&file, path) => return Ok(Some(Self { path: path.to_owned(), _file: file })),
                // Its last holder has removed it meanwhile; what lies there now, if anything, is another lock.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(io_error("lock", path)(error)),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Elsewhere an open file cannot be told from another of its name, so it stays.
        #[cfg(unix)]
        let _ = fs::remove_file(&self.path);
        #[cfg(not(unix))]
        let _ = &self.path;
    }
}

#[cfg(unix)]
fn is_still_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(locked), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (locked.dev(), locked.ino()) == (there.dev(), there.ino())
}

#[cfg(not(unix))]
fn is_still_at(_file: &File, _path: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_lock_has_one_holder_and_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("locks/a");
        let (inside, turns) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let lock = Lock::wait(&path, || false).expect("lockable").expect("nobody gives up");
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold it");
                        turns.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert_eq!(turns.load(Ordering::SeqCst), 400);
        #[cfg(unix)]
        assert!(!path.exists());
    }

    #[test]
    fn who_gives_up_does_not_wait() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a");
        let held = Lock::try_now(&path).expect("lockable").expect("free");
        assert!(Lock::wait(&path, || true).expect("lockable").is_none());
        drop(held);
        assert!(Lock::wait(&path, || true).expect("lockable").is_some());
    }
}
