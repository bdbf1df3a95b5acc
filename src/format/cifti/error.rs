//! What can go wrong with a CIFTI file, and how it is said.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::format::nifti::NiftiError;

/// What can go wrong with a CIFTI file.
#[derive(Debug, Error)]
pub enum CiftiError {
    /// The NIfTI-2 file around it cannot be read or written.
    #[error(transparent)]
    File(#[from] NiftiError),
    /// The file is an image, but no CIFTI file.
    #[error("`{}` is not a CIFTI-2 file: {reason}", path.display())]
    NotCifti {
        /// The file.
        path: PathBuf,
        /// What was found instead and what to do.
        reason: String,
    },
    /// The XML that says what rows and columns are cannot be understood.
    #[error("`{}` has CIFTI XML that cannot be used, at its byte {offset}: {reason}", path.display())]
    Xml {
        /// The file.
        path: PathBuf,
        /// Where in the XML, in bytes from its beginning.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The matrix has other lengths than the XML says.
    #[error("`{}` has a matrix of dimensions {found:?}, expected {expected:?} as its XML says: it was damaged or written by a faulty program", path.display())]
    Dimensions {
        /// The file.
        path: PathBuf,
        /// The dimensions in the header.
        found: Vec<i64>,
        /// Those of the XML, likewise.
        expected: Vec<i64>,
    },
    /// The data end before the last place.
    #[error("`{}` ends inside place {place} of {n_places}: it was cut off or damaged ({source})", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Place that could not be read, counted from 0.
        place: usize,
        /// Places promised.
        n_places: usize,
        /// What the system said.
        source: io::Error,
    },
    /// A label is not a whole number or has no name.
    #[error("`{}` holds the label {found} at place {place} of map `{map}`, expected {expected}", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// The label.
        found: f64,
        /// The place, counted from 0.
        place: usize,
        /// Name of the map.
        map: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The file holds something else than was asked for.
    #[error("`{}` holds {found}, expected {expected}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: &'static str,
        /// What was asked for.
        expected: &'static str,
    },
    /// What describes the matrix is longer than the format can say.
    #[error("`{}` cannot be written: the names of its maps and places take {found_bytes} bytes, expected less than 2 GiB", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Bytes of the XML.
        found_bytes: usize,
    },
    /// A text cannot stand in XML.
    #[error("`{}` cannot be written: the name {text:?} holds a control character", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// The text.
        text: String,
    },
}
