//! Studies between laboratories: what one led to, in a form that another can hold its own run to.
//!
//! | file | what it owns |
//! |---|---|
//! | `lock.rs` | the file beside a study that says which inputs, programs and tasks led to which results |
//! | `archive.rs` | an archive of files that cannot do harm, whoever wrote it |
//! | `relocate.rs` | the text of a study as another machine may have it |
//! | `pack.rs` | which files of a study go into an archive |
//! | `ro_crate.rs` | an archive in the words of repositories |
//! | `find.rs` | files that lie elsewhere, by what is in them |
//! | `remote/` | a cache that several machines share |
//! | `verify.rs` | which results are the same when they are computed again |
//! | `bids.rs` | results as a BIDS derivative dataset |
//! | `cite.rs` | what a study cites, which `bibtex.rs` puts down |

pub mod archive;
mod bibtex;
mod bids;
mod cite;
mod find;
mod lock;
mod pack;
mod relocate;
mod remote;
mod ro_crate;
pub mod verify;

pub use bibtex::Entry;
pub use bids::{Artifact, CellResults, ExportError, Exported, export_bids};
pub use cite::{bibliography, to_bibtex};
pub use find::{Found, find_inputs, place_input};
pub use lock::{Difference, LOCK_VERSION, Lock, LockError, LockedInput, LockedTask, lock_path};
pub use pack::{PackError, Packed, Packing, With, absent_inputs, unpacked_folder, unpacked_index};
pub use relocate::{Personal, RelocateError, Relocated, STUDY_FOLDER};
pub use remote::{AskedBy, Pushed, Remote, RemoteError};
pub use ro_crate::{Crate, CrateFile, FileKind, PackedRun};
