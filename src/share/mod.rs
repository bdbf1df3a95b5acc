//! Studies between laboratories: what one led to, in a form that another can hold its own run to.
//!
//! `lock.rs` is the file beside a study that says which inputs, programs and tasks led to which results; `verify.rs` computes
//! results again and says which of them are the same.

mod lock;
pub mod verify;

pub use lock::{Difference, LOCK_VERSION, Lock, LockError, LockedInput, LockedTask, lock_path};
