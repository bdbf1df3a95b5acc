//! Locks that die with their holder. Owns lock files; knows nothing of what they guard.
//!
//! A lock is the operating system's, on a file that is there only while someone wants it. Its holder removes the file before
//! letting go, and whoever gets a lock looks whether the path still leads to the file that it locked. So files of killed
//! holders can be removed by anybody who gets their lock, and no two hold what has one name. Where machines share a cache, a
//! lease beside it (`lease.rs`) holds what the operating system's lock may not: who has the lock on another machine.

use super::{
    StoreError, io_error,
    lease::{Holder, Lease, Leases, Watch},
};
use std::{
    cell::{Cell, RefCell},
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The longest pause between two attempts at a lock that another process holds.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause where it is on another machine, and each attempt asks a file server.
const LONGEST_PAUSE_ELSEWHERE: Duration = Duration::from_secs(1);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    /// Before the file: who gets the file finds no lease of a holder that lives.
    lease: Lease,
    /// Absent where the file system knows no locks, or keeps that of a machine that is gone.
    file: Option<File>,
    /// The word of a holder that ended without giving the lock up; absent where one elsewhere may yet come back.
    ended: Option<String>,
}

/// The operating system's answer to whoever wants a lock.
enum Answer {
    Held(File),
    Busy,
    /// The file system knows no locks.
    Unknown,
}

impl Lock {
    /// Waits for the lock at `path`; gives nothing once `give_up` says so.
    pub(super) fn wait(
        path: &Path,
        leases: &Arc<Leases>,
        give_up: impl Fn() -> bool,
    ) -> Result<Option<Self>, StoreError> {
        let place = path.with_extension("lease");
        let (mut pause, mut watch, mut gone) = (Duration::from_millis(1), Watch::default(), None);
        let mut answer = Answer::Busy;
        loop {
            if !matches!(answer, Answer::Held(_)) {
                answer = ask(path)?;
            }
            if !matches!(answer, Answer::Busy)
                && let Some(lease) = leases.take(&place)?
            {
                let file = if let Answer::Held(file) = answer { Some(file) } else { None };
                return Ok(Some(Self { path: path.to_owned(), lease, file, ended: gone }));
            }
            let holder = Holder::read(&place)?;
            // Where the lock is ours, whoever held it here has ended; of a machine that is gone the lock may stay.
            if let Some(holder) = &holder {
                let has_ended = match &answer {
                    Answer::Held(_) => holder.is_here(),
                    Answer::Unknown => holder.has_ended(),
                    Answer::Busy => false,
                };
                let is_overdue = !holder.is_here() && watch.has_expired(holder, leases.lasts());
                if has_ended || is_overdue {
                    Leases::break_up(&place, holder)?;
                    gone = has_ended.then(|| holder.nonce().to_owned());
                    if let (Answer::Busy, Some(lease)) = (&answer, leases.take(&place)?) {
                        return Ok(Some(Self { path: path.to_owned(), lease, file: None, ended: None }));
                    }
                    continue;
                }
            }
            if give_up() {
                return Ok(None);
            }
            let is_elsewhere = holder.is_some_and(|holder| !holder.is_here());
            std::thread::sleep(pause);
            pause = (2 * pause).min(if is_elsewhere { LONGEST_PAUSE_ELSEWHERE } else { LONGEST_PAUSE });
        }
    }
}

/// A name in the cache that is held until this is dropped.
#[derive(Debug)]
pub struct Held {
    _lock: Lock,
}

impl Held {
    pub(super) fn new(path: &Path, leases: &Arc<Leases>) -> Result<Result<Self, String>, StoreError> {
        let place = path.with_extension("lease");
        let (first, lives) = (RefCell::new(None), Cell::new(None));
        let give_up = || {
            let Ok(Some(holder)) = Holder::read(&place) else { return false };
            let is_known_to_live =
                holder.is_here() || *first.borrow_mut().get_or_insert_with(|| holder.clone()) != holder;
            if is_known_to_live {
                let machine = if holder.is_here() { "this machine" } else { "another machine" };
                lives.set(Some(format!("as process {} on {machine}", holder.process)));
            }
            is_known_to_live
        };
        Ok(match Lock::wait(path, leases, give_up)? {
            Some(lock) => Ok(Self { _lock: lock }),
            None => Err(lives.take().unwrap_or_default()),
        })
    }
}

impl Lock {
    /// A word that no other holder of any lock has.
    pub(super) fn nonce(&self) -> &str {
        self.lease.nonce()
    }

    /// The word of the holder before, if it ended without giving the lock up: whatever it left may go.
    pub(super) fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }
}

/// Asks the operating system for the lock at `path`.
fn ask(path: &Path) -> Result<Answer, StoreError> {
    loop {
        let open = || File::options().create(true).truncate(false).write(true).open(path);
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().expect("a lock file lies in a folder");
                fs::create_dir_all(folder).map_err(io_error("create", folder))?;
                open()
            }
            opened => opened,
        }
        .map_err(io_error("create", path))?;
        match file.try_lock() {
            Ok(()) if is_still_at(&file, path) => return Ok(Answer::Held(file)),
            // Its last holder has removed it meanwhile; what lies there now, if anything, is another lock.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Answer::Busy),
            Err(TryLockError::Error(error)) if knows_no_locks(&error) => return Ok(Answer::Unknown),
            Err(TryLockError::Error(error)) => return Err(io_error("lock", path)(error)),
        }
    }
}

/// Whether a file system answers that it has no locks, or its lock server none to give.
fn knows_no_locks(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    #[cfg(unix)]
    let is_one = [libc::ENOLCK, libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOTSUP].map(Some).contains(&code);
    #[cfg(not(unix))]
    let is_one = code.is_none();
    is_one || error.kind() == io::ErrorKind::Unsupported
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Elsewhere an open file cannot be told from another of its name, so it stays.
        #[cfg(unix)]
        if self.file.as_ref().is_none_or(|file| is_still_at(file, &self.path)) {
            let _ = fs::remove_file(&self.path);
        }
        #[cfg(not(unix))]
        let _ = (&self.path, &self.file);
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
    use super::{super::lease::LASTS, *};
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Instant,
    };

    fn lock(path: &Path, leases: &Arc<Leases>) -> Lock {
        Lock::wait(path, leases, || false).expect("lockable").expect("nobody gives up")
    }

    /// The lease of a holder on another machine that was renewed so often.
    fn lease_elsewhere(path: &Path, beat: u64) {
        fs::create_dir_all(path.parent().expect("in a folder")).expect("writable");
        fs::write(path.with_extension("lease"), format!("elsewhere 1 nonce {beat}\n")).expect("writable");
    }

    #[test]
    fn a_lock_has_one_holder_and_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("locks/a");
        let (inside, turns, leases) = (AtomicUsize::new(0), AtomicUsize::new(0), Leases::new(LASTS));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let lock = lock(&path, &leases);
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
        assert_eq!(fs::read_dir(folder.path().join("locks")).expect("readable").count(), 0);
    }

    #[test]
    fn who_gives_up_does_not_wait() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, leases) = (folder.path().join("a"), Leases::new(LASTS));
        let held = lock(&path, &leases);
        assert!(Lock::wait(&path, &leases, || true).expect("lockable").is_none());
        drop(held);
        assert!(Lock::wait(&path, &leases, || true).expect("lockable").is_some());
    }

    #[test]
    fn the_lease_of_a_killed_holder_on_this_machine_is_no_obstacle() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, leases) = (folder.path().join("a"), Leases::new(LASTS));
        let held = lock(&path, &leases);
        // A kill closes files and removes none.
        let Lock { file, .. } = &held;
        assert!(file.as_ref().expect("locked").unlock().is_ok());
        let started = Instant::now();
        let next = lock(&path, &Leases::new(LASTS));
        assert!(next.ended().is_some() && started.elapsed() < LASTS / 4);
    }

    #[test]
    fn a_holder_elsewhere_is_waited_for_while_it_lives_and_no_longer() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a");
        let leases = Leases::new(Duration::from_millis(300));
        lease_elsewhere(&path, 0);
        let living = std::sync::atomic::AtomicBool::new(true);
        let (lock, waited) = std::thread::scope(|scope| {
            scope.spawn(|| {
                for beat in 1..20 {
                    std::thread::sleep(Duration::from_millis(50));
                    lease_elsewhere(&path, beat);
                }
                living.store(false, Ordering::SeqCst);
            });
            let lock = lock(&path, &leases);
            (lock, !living.load(Ordering::SeqCst))
        });
        assert!(waited && lock.ended().is_none(), "it may come back");
        drop(lock);
        lease_elsewhere(&path, 0);
        fs::remove_file(path.with_extension("lease")).expect("removable");
        assert!(self::lock(&path, &leases).ended().is_none(), "given up in order");
    }

    /// The operating system's lock of a machine that is gone may stay for ever.
    #[test]
    fn a_lock_that_nobody_renews_is_taken_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a");
        let stuck = File::create(&path).expect("writable");
        stuck.lock().expect("lockable");
        lease_elsewhere(&path, 7);
        let leases = Leases::new(Duration::from_millis(200));
        let started = Instant::now();
        assert!(lock(&path, &leases).ended().is_none() && started.elapsed() >= leases.lasts());
    }
}
