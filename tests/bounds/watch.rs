//! The allocator of the test binary: the system's, which counts while it is told to.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

/// Counts requests while [`ON`]; at other times costs one look at a flag.
struct Watch;

#[global_allocator]
static WATCH: Watch = Watch;

static ON: AtomicBool = AtomicBool::new(false);
static LARGEST: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn asked(n_bytes: usize) {
    LARGEST.fetch_max(n_bytes, Relaxed);
    let live = LIVE.fetch_add(n_bytes, Relaxed).wrapping_add(n_bytes);
    // What was allocated before counting began and is freed now takes the count below nothing.
    if live < usize::MAX / 2 {
        MOST.fetch_max(live, Relaxed);
    }
}

// SAFETY: every call is handed on to the system's allocator as it came; what is done besides touches atomics alone.
unsafe impl GlobalAlloc for Watch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            asked(layout.size());
        }
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if ON.load(Relaxed) {
            asked(layout.size());
        }
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, n_bytes: usize) -> *mut u8 {
        if ON.load(Relaxed) {
            LIVE.fetch_sub(layout.size(), Relaxed);
            asked(n_bytes);
        }
        unsafe { System.realloc(at, layout, n_bytes) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if ON.load(Relaxed) {
            LIVE.fetch_sub(layout.size(), Relaxed);
        }
        unsafe { System.dealloc(at, layout) }
    }
}

/// What something asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Bytes of the largest single request.
    pub(super) largest: usize,
    /// Bytes that were held at once, at most.
    pub(super) most: usize,
}

/// Runs something in a process that does nothing else, and says what it asked for.
pub(super) fn watched<T>(run: impl FnOnce() -> T) -> (T, Asked) {
    ON.store(true, Relaxed);
    let done = run();
    ON.store(false, Relaxed);
    (done, Asked { largest: LARGEST.load(Relaxed), most: MOST.load(Relaxed) })
}
