//! Leases: what tells machines that share a cache which of them holds a lock.
//!
//! The operating system's locks (`lock.rs`) end with their holder and cost nothing, but a network file system may keep them to one
//! machine, or keep that of a machine that is gone. So whoever holds a lock also has a lease: a small file that only one can
//! make, whose text changes every few seconds as long as its holder lives. Of a lease that another machine made, only what its
//! text does while it is watched counts, by the watcher's own clock: no two machines need agree on the time.
//!
//! A holder that stands still for longer than a lease lasts and then goes on is a second holder. That costs work and nothing else:
//! each claim has a folder of its own, and publishing is all or nothing.

use super::{Digest, StoreError, io_error};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A lease whose text has not changed for so long has no holder any more. Longer than a file server is commonly away for, or a
/// process stopped.
pub(super) const LASTS: Duration = Duration::from_secs(40);

/// Renewals of a lease in the time that it lasts.
const RENEWALS: u32 = 8;

/// Bytes of a lease that are read: its text is far shorter.
const LONGEST: usize = 4096;

/// Leases that this process holds, and how long any lasts.
#[derive(Debug)]
pub(super) struct Leases {
    lasts: Duration,
    held: Mutex<BTreeMap<PathBuf, Holder>>,
    renewing: OnceLock<()>,
}

/// Who holds a lease, as its text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    /// The running system that it is on.
    pub(super) system: String,
    /// Its process there.
    pub(super) process: u32,
    /// Told apart from every other lease by this.
    nonce: String,
    /// How often it was renewed.
    beat: u64,
}

/// A lease, until it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    path: PathBuf,
    nonce: String,
    taken: Instant,
    leases: Arc<Leases>,
}

/// How long a lease that someone else holds has stood still.
#[derive(Debug, Default)]
pub(super) struct Watch(Option<(Holder, Instant)>);

impl Holder {
    fn here(nonce: String) -> Self {
        Self { system: system().to_owned(), process: std::process::id(), nonce, beat: 0 }
    }

    fn text(&self) -> String {
        let Self { system, process, nonce, beat } = self;
        format!("{system} {process} {nonce} {beat}\n")
    }

    /// The holder that a lease names; absent if nobody has the lease. Text that is being written, or that is none of ours, names
    /// a holder that is not known.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, StoreError> {
        let mut bytes = Vec::new();
        match File::open(path).and_then(|file| file.take(LONGEST as u64).read_to_end(&mut bytes)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map(drop).map_err(io_error("read", path))?,
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let parts: Vec<&str> = text.strip_suffix('\n').unwrap_or_default().split(' ').collect();
        let parsed = match parts[..] {
            [system, process, nonce, beat] => process.parse().ok().zip(beat.parse().ok()).map(|(process, beat)| Self {
                system: system.to_owned(),
                process,
                nonce: nonce.to_owned(),
                beat,
            }),
            _ => None,
        };
        Ok(Some(parsed.unwrap_or(Self { system: String::new(), process: 0, nonce: text, beat: 0 })))
    }

    /// What tells it apart from every other.
    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Whether it is on the system that this process is on, where the operating system's locks tell who lives.
    pub(super) fn is_here(&self) -> bool {
        self.system == system()
    }

    /// Whether its process has ended, as far as can be told from here.
    pub(super) fn has_ended(&self) -> bool {
        self.is_here()
            && Path::new("/proc/self").exists()
            && !Path::new("/proc").join(self.process.to_string()).exists()
    }
}

impl Watch {
    /// Takes a look at who holds a lease, and says whether it has stood still for as long as a lease lasts.
    pub(super) fn has_expired(&mut self, holder: &Holder, lasts: Duration) -> bool {
        match &self.0 {
            Some((seen, since)) if seen == holder => since.elapsed() >= lasts,
            _ => {
                self.0 = Some((holder.clone(), Instant::now()));
                false
            }
        }
    }
}

impl Leases {
    pub(super) fn new(lasts: Duration) -> Arc<Self> {
        Arc::new(Self { lasts, held: Mutex::default(), renewing: OnceLock::new() })
    }

    pub(super) fn lasts(&self) -> Duration {
        self.lasts
    }

    /// Makes the lease at `path`, unless someone has it.
    pub(super) fn take(self: &Arc<Self>, path: &Path) -> Result<Option<Lease>, StoreError> {
        let holder = Holder::here(nonce());
        let mut file = match File::create_new(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            file => file.map_err(io_error("create", path))?,
        };
        file.write_all(holder.text().as_bytes()).map_err(io_error("write", path))?;
        let (nonce, leases) = (holder.nonce.clone(), Arc::clone(self));
        let lease = Lease { path: path.to_owned(), nonce, taken: Instant::now(), leases };
        self.held.lock().expect("no holder panics").insert(path.to_owned(), holder);
        self.renew();
        Ok(Some(lease))
    }

    /// Removes the lease of a holder that is no more, unless it has another holder by now.
    pub(super) fn break_up(path: &Path, ended: &Holder) -> Result<(), StoreError> {
        // Whoever moves it first has broken it up; what another has made meanwhile is put back.
        let moved = path.with_extension(nonce());
        match fs::rename(path, &moved) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(io_error("move", path))?,
        }
        if Holder::read(&moved)?.is_some_and(|holder| holder.nonce != ended.nonce) {
            let _ = fs::hard_link(&moved, path);
        }
        fs::remove_file(&moved).map_err(io_error("remove", &moved))
    }

    /// Begins to renew what is held, unless that has begun.
    fn renew(self: &Arc<Self>) {
        self.renewing.get_or_init(|| {
            let (leases, pause) = (Arc::downgrade(self), self.lasts / RENEWALS);
            std::thread::spawn(move || renew_all(&leases, pause));
        });
    }
}

/// Waits until no lease in a folder has a holder on another machine, for each as long as it takes to tell; gives no once
/// `give_up` says so and one is known to live.
pub(super) fn nobody_elsewhere(folder: &Path, lasts: Duration, give_up: impl Fn() -> bool) -> Result<bool, StoreError> {
    let mut watched: BTreeMap<PathBuf, (Holder, Watch)> = BTreeMap::new();
    loop {
        let entries = fs::read_dir(folder).map_err(io_error("read", folder))?;
        let leases = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "lease"));
        let (mut n_untold, mut lives) = (0, false);
        for path in leases {
            let Some(holder) = Holder::read(&path)?.filter(|holder| !holder.is_here()) else { continue };
            let (first, watch) = watched.entry(path).or_insert_with(|| (holder.clone(), Watch::default()));
            lives |= *first != holder;
            n_untold += usize::from(!watch.has_expired(&holder, lasts));
        }
        match n_untold {
            0 => return Ok(true),
            _ if lives && give_up() => return Ok(false),
            _ => std::thread::sleep((lasts / RENEWALS).min(Duration::from_millis(500))),
        }
    }
}

/// Writes every lease anew, again and again, until there is nobody to hold one.
fn renew_all(leases: &Weak<Leases>, pause: Duration) {
    loop {
        std::thread::sleep(pause);
        let Some(leases) = leases.upgrade() else { return };
        // Held while writing: a lease that was given up meanwhile must not come back.
        for (path, holder) in leases.held.lock().expect("no holder panics").iter_mut() {
            holder.beat += 1;
            // A lease that cannot be renewed is one that was broken up, or its file server is away: neither is ours to mend.
            let is_ours = Holder::read(path).is_ok_and(|found| found.is_some_and(|found| found.nonce == holder.nonce));
            if is_ours {
                let _ = File::options()
                    .write(true)
                    .open(path)
                    .and_then(|mut file| file.write_all(holder.text().as_bytes()));
            }
        }
    }
}

impl Lease {
    /// A word that no other lease has.
    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.held.lock().expect("no holder panics").remove(&self.path);
        // As long as it lasts nobody takes it over.
        let is_ours = self.taken.elapsed() < self.leases.lasts / 2
            || Holder::read(&self.path).is_ok_and(|found| found.is_some_and(|found| found.nonce == self.nonce));
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The name of the running system: another after each start, and another on each machine.
fn system() -> &'static str {
    static SYSTEM: OnceLock<String> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let of_start = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let name = of_start.map(|id| id.trim().to_owned()).or_else(sysinfo::System::host_name);
        // One word, since it stands in a line of words.
        name.map_or("unknown".to_owned(), |name| name.replace(char::is_whitespace, "-"))
    })
}

/// A word that no other lease has.
fn nonce() -> String {
    static TURN: AtomicU64 = AtomicU64::new(0);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let text = format!("{} {} {} {turn}", system(), std::process::id(), since_1970.as_nanos());
    Digest::of(text.as_bytes()).short()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(beat: u64) -> Holder {
        Holder { system: "elsewhere".to_owned(), process: 1, nonce: "n".to_owned(), beat }
    }

    #[test]
    fn a_lease_has_one_holder_is_renewed_and_is_gone_when_dropped() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, leases) = (folder.path().join("a.lease"), Leases::new(Duration::from_millis(80)));
        let lease = leases.take(&path).expect("writable").expect("free");
        assert!(leases.take(&path).expect("writable").is_none());
        let first = Holder::read(&path).expect("readable").expect("held");
        assert!(first.is_here() && !first.has_ended());
        let deadline = Instant::now() + Duration::from_secs(10);
        while Holder::read(&path).expect("readable").is_none_or(|holder| holder.beat < 3) {
            assert!(Instant::now() < deadline, "it is not renewed");
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(lease);
        assert_eq!(Holder::read(&path).expect("readable"), None);
    }

    #[test]
    fn who_is_watched_lives_as_long_as_the_text_changes() {
        let (mut watch, lasts) = (Watch::default(), Duration::from_millis(30));
        for beat in 0..3 {
            assert!(!watch.has_expired(&elsewhere(beat), lasts), "a new text");
            std::thread::sleep(lasts);
        }
        assert!(watch.has_expired(&elsewhere(2), lasts));
        assert!(!watch.has_expired(&elsewhere(3), lasts), "it goes on after all");
    }

    #[test]
    fn a_lease_that_was_taken_over_is_left_alone_by_both_former_holder_and_latecomer() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, leases) = (folder.path().join("a.lease"), Leases::new(Duration::from_millis(8)));
        let former = leases.take(&path).expect("writable").expect("free");
        std::thread::sleep(leases.lasts());
        let seen = Holder::read(&path).expect("readable").expect("held");
        Leases::break_up(&path, &seen).expect("movable");
        let others = Leases::new(LASTS);
        let latter = others.take(&path).expect("writable").expect("free");
        drop(former);
        assert_eq!(Holder::read(&path).expect("readable").expect("held").nonce, latter.nonce);
        Leases::break_up(&path, &seen).expect("movable");
        assert_eq!(Holder::read(&path).expect("readable").expect("put back").nonce, latter.nonce);
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    }

    #[test]
    fn a_cache_is_ones_own_once_no_lease_elsewhere_is_renewed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, lasts) = (folder.path().join("a.lease"), Duration::from_millis(400));
        let nobody = |give_up: bool| nobody_elsewhere(folder.path(), lasts, || give_up).expect("readable");
        assert!(nobody(true), "there is none");
        let held = Leases::new(lasts).take(&path).expect("writable").expect("free");
        assert!(nobody(true), "one of this machine shares the operating system's lock");
        drop(held);
        fs::write(&path, elsewhere(0).text()).expect("writable");
        assert!(nobody(true), "it is never renewed");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for beat in 1..20 {
                    fs::write(&path, elsewhere(beat).text()).expect("writable");
                    std::thread::sleep(lasts / 8);
                }
            });
            assert!(!nobody(true), "it is renewed");
            assert!(nobody(false), "it ends");
        });
    }

    #[test]
    fn text_of_any_length_names_a_holder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.lease");
        let whole = elsewhere(12).text();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).expect("writable");
            let holder = Holder::read(&path).expect("readable").expect("there is a file");
            assert!(!holder.is_here() && holder != elsewhere(12), "{length}");
        }
        fs::write(&path, &whole).expect("writable");
        assert_eq!(Holder::read(&path).expect("readable"), Some(elsewhere(12)));
    }
}
