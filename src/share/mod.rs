//! Studies between laboratories: what one led to, in a form that another can hold its own run to.
//!
//! `lock.rs` is the file beside a study that says which inputs, programs and tasks led to which results; `bids.rs` writes results as a
//! BIDS dataset, `cite.rs` says what a study cites, which `bibtex.rs` puts down.

mod bibtex;
mod bids;
mod cite;
mod lock;

pub use bibtex::Entry;
pub use bids::{Artifact, CellResults, ExportError, Exported, export_bids};
pub use cite::{bibliography, to_bibtex};
pub use lock::{Difference, LOCK_VERSION, Lock, LockError, LockedInput, LockedTask, lock_path};
