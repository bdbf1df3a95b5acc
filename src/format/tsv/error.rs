//! What can go wrong with a table, and how it is said.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::format::memory::TooMuch;
use crate::format::names::listed;

/// Largest table read; the longest confounds tables are some tens of megabytes.
pub(super) const MAX_TABLE_BYTES: u64 = 1 << 28;

/// What can go wrong with a table.
#[derive(Debug, Error)]
pub enum TsvError {
    /// The file cannot be opened, read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too large to be a table.
    #[error("`{}` is {found_bytes} bytes long, a table may have {MAX_TABLE_BYTES}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        found_bytes: u64,
    },
    /// It is larger than the memory for it.
    #[error(transparent)]
    TooMuch(#[from] Box<TooMuch>),
    /// The text is not UTF-8.
    #[error("`{}` line {line} is not UTF-8: save it again with that encoding", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
    },
    /// There is no header row.
    #[error("`{}` has no header: {reason}", path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
        /// What was found in its place.
        reason: String,
    },
    /// Two columns have one name.
    #[error("`{}` names column `{column}` twice", path.display())]
    RepeatedColumn {
        /// The file.
        path: PathBuf,
        /// The name.
        column: String,
    },
    /// A row has more or fewer fields than the header.
    #[error("`{}` line {line} has {found} fields, expected {expected} as in the header", path.display())]
    Ragged {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// Fields in the row.
        found: usize,
        /// Fields in the header.
        expected: usize,
    },
    /// A column is not there.
    #[error("`{}` has no column `{column}`: its columns are {}", path.display(), listed(available, 12))]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column looked for.
        column: String,
        /// The columns there are.
        available: Vec<String>,
    },
    /// A field is not what its column holds.
    #[error("`{}` line {line} column `{column}`: `{found}`, expected {expected}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// The column.
        column: String,
        /// The text of the field.
        found: String,
        /// What the column holds.
        expected: &'static str,
    },
    /// A field to be written holds a tab or a line break.
    #[error("`{}`: field `{found}` of column `{column}` holds a tab or a line break, which TSV cannot express", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The field.
        found: String,
    },
}
