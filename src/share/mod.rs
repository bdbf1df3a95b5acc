//! Studies between laboratories: what one led to, in a form that another can hold its own run to.
//!
//! `lock.rs` is the file beside a study that says which inputs, programs and tasks led to which results. `remote/` is a cache that
//! several machines share.

mod lock;
mod remote;

pub use lock::{Difference, LOCK_VERSION, Lock, LockError, LockedInput, LockedTask, lock_path};
pub use remote::{AskedBy, Pushed, Remote, RemoteError};
