//! A file in memory, that may be cut short while it is looked at.
//!
//! A page of a mapped file that is no longer there when it is read raises `SIGBUS`, which ends a program. Here the first
//! such page, and all behind it, become zeroes, and whoever reads is told afterwards that what was read is not the file:
//! the way in which display servers read memory that their clients may take back. Everything unsafe about it is in this file.

use memmap2::Mmap;
use std::{
    fmt,
    fs::File,
    io,
    ops::Deref,
    path::Path,
    ptr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Files that may be mapped at a time.
const MOST_MAPPED: usize = 256;

/// What the signal's handler has to know of a map: it may take no lock and allocate nothing.
struct Slot {
    taken: AtomicBool,
    start: AtomicUsize,
    end: AtomicUsize,
    torn: AtomicBool,
}

static SLOTS: [Slot; MOST_MAPPED] = [const {
    Slot {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        torn: AtomicBool::new(false),
    }
}; MOST_MAPPED];

/// What handled the signal before; absent if the handler could not be set.
static BEFORE: OnceLock<Option<libc::sigaction>> = OnceLock::new();

/// The bytes of a file.
pub struct Mapped {
    map: Mmap,
    slot: &'static Slot,
}

impl Mapped {
    /// Maps a whole file; absent where it cannot be mapped.
    pub fn of(file: &File) -> Option<Self> {
        BEFORE.get_or_init(handle).as_ref()?;
        let slot = SLOTS.iter().find(|slot| !slot.taken.swap(true, Ordering::AcqRel))?;
        let free = || slot.taken.store(false, Ordering::Release);
        // SAFETY: bytes that change meanwhile give another digest or other numbers and nothing worse, since nothing but numbers
        // is made of them; pages that go away are replaced by the handler.
        let Ok(map) = (unsafe { Mmap::map(file) }) else {
            free();
            return None;
        };
        slot.torn.store(false, Ordering::Relaxed);
        slot.start.store(map.as_ptr() as usize, Ordering::Relaxed);
        slot.end.store(map.as_ptr() as usize + map.len(), Ordering::Release);
        Some(Self { map, slot })
    }

    /// Fails if a page was gone when it was read, or the file is shorter or longer now. Other bytes of the same length go unseen.
    ///
    /// # Errors
    /// The file is shorter or longer than when it was mapped.
    pub fn assert_whole(&self, file: &File) -> io::Result<()> {
        // A file that ends within its last page now reads as zeroes from there on, without a signal.
        if self.slot.torn.load(Ordering::Acquire) || file.metadata()?.len() != self.map.len() as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter or longer while it was read"));
        }
        Ok(())
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // Before the map goes away: its addresses may be another's at once.
        self.slot.end.store(0, Ordering::Release);
        self.slot.start.store(0, Ordering::Release);
        self.slot.taken.store(false, Ordering::Release);
    }
}

/// A file with its bytes.
pub struct MappedFile {
    mapped: Mapped,
    file: File,
}

impl MappedFile {
    /// Opens and maps a whole file.
    ///
    /// # Errors
    /// It cannot be opened or mapped, or too many files are.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mapped = Mapped::of(&file).ok_or_else(|| io::Error::other("it cannot be mapped into memory"))?;
        Ok(Self { mapped, file })
    }

    /// Fails if a page was gone when it was read, or the file is shorter or longer now. Other bytes of the same length go unseen.
    ///
    /// # Errors
    /// The file is shorter or longer than when it was opened.
    pub fn assert_whole(&self) -> io::Result<()> {
        self.mapped.assert_whole(&self.file)
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.mapped
    }
}

impl fmt::Debug for MappedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MappedFile({} bytes)", self.len())
    }
}

/// Sets the handler and gives what was there before.
fn handle() -> Option<libc::sigaction> {
    // SAFETY: both structures are plain data for which zeroes are valid; the handler is of the kind that `SA_SIGINFO` names
    // and runs on the alternative stack where there is one.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut before: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = page_is_gone as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        (libc::sigaction(libc::SIGBUS, &raw const action, &raw mut before) == 0).then_some(before)
    }
}

/// Puts zeroes in place of a mapped page that is gone; any other signal of the kind goes to who handled it before.
extern "C" fn page_is_gone(_signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the system hands the handler a valid structure. What is called here may be called in a signal's handler.
    unsafe {
        let at = (*info).si_addr() as usize;
        for slot in &SLOTS {
            let (start, end) = (slot.start.load(Ordering::Acquire), slot.end.load(Ordering::Acquire));
            if (start..end).contains(&at) {
                let page = at & !(libc::sysconf(libc::_SC_PAGESIZE) as usize - 1);
                let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                // Before the zeroes are there: nobody reads them and is told that all is whole.
                slot.torn.store(true, Ordering::Release);
                let zeroes = libc::mmap(page as *mut libc::c_void, end - page, libc::PROT_READ, flags, -1, 0);
                if zeroes != libc::MAP_FAILED {
                    return;
                }
            }
        }
        // Returning to what raised it raises it again, for the handler of before.
        match BEFORE.get() {
            Some(Some(before)) => drop(libc::sigaction(libc::SIGBUS, before, ptr::null_mut())),
            _ => drop(libc::signal(libc::SIGBUS, libc::SIG_DFL)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn file_of(length: usize) -> (tempfile::TempDir, File) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a");
        fs::write(&path, vec![7; length]).expect("writable");
        let file = File::options().read(true).write(true).open(path).expect("readable");
        (folder, file)
    }

    #[test]
    fn a_file_is_what_it_holds() {
        let (_folder, file) = file_of(10_000);
        let mapped = Mapped::of(&file).expect("mappable");
        assert_eq!(*mapped, [7; 10_000]);
        mapped.assert_whole(&file).expect("nothing happened to it");
    }

    #[test]
    fn pages_that_go_away_are_zeroes_and_are_told() {
        let (_folder, file) = file_of(1 << 20);
        let mapped = Mapped::of(&file).expect("mappable");
        file.set_len(4096).expect("writable");
        assert_eq!(mapped[..4096], [7; 4096]);
        assert!(mapped[4096..].iter().all(|byte| *byte == 0));
        assert_eq!(mapped.assert_whole(&file).expect_err("cut").kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_file_cut_within_a_page_is_told_too() {
        let (_folder, file) = file_of(5000);
        let mapped = Mapped::of(&file).expect("mappable");
        file.set_len(4500).expect("writable");
        assert_eq!(mapped[4999], 0);
        mapped.assert_whole(&file).expect_err("cut");
    }

    #[test]
    fn many_at_once_are_told_apart() {
        let files: Vec<_> = (0..8).map(|_| file_of(1 << 16)).collect();
        let mapped: Vec<_> = files.iter().map(|(_, file)| Mapped::of(file).expect("mappable")).collect();
        files[3].1.set_len(0).expect("writable");
        std::thread::scope(|scope| {
            for one in &mapped {
                scope.spawn(|| one.iter().map(|byte| u64::from(*byte)).sum::<u64>());
            }
        });
        for (place, (one, (_, file))) in mapped.iter().zip(&files).enumerate() {
            assert_eq!(one.assert_whole(file).is_err(), place == 3, "{place}");
        }
    }
}
