//! Studies between laboratories: what one led to, in a form that another can hold its own run to.
//!
//! `lock.rs` is the file beside a study that says which inputs, programs and tasks led to which results.

mod bibtex;
mod cite;
mod lock;

pub use bibtex::Entry;
pub use cite::{bibliography, to_bibtex};
pub use lock::{Difference, LOCK_VERSION, Lock, LockError, LockedInput, LockedTask, lock_path};
