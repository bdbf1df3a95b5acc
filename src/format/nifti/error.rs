//! What can go wrong with an image, and how it is said.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::format::annex::Unfetched;
use crate::format::memory::TooMuch;

/// What can go wrong with an image.
#[derive(Debug, Error)]
pub enum NiftiError {
    /// The file cannot be opened, read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file was not fetched from where its dataset keeps it.
    #[error(transparent)]
    Unfetched(#[from] Unfetched),
    /// The file is no NIfTI image in one file.
    #[error("`{}` is not a NIfTI image: {reason}", path.display())]
    NotNifti {
        /// The file.
        path: PathBuf,
        /// What was found instead and what to do.
        reason: String,
    },
    /// The dimensions in the header are impossible.
    #[error("`{}` has dimensions {found:?}: {reason}", path.display())]
    Dimensions {
        /// The file.
        path: PathBuf,
        /// The dimensions in the header.
        found: Vec<usize>,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The header promises more data than the file can hold.
    #[error("`{}` is {found_bytes} bytes long and cannot hold the {promised_bytes} bytes its header promises: it was cut off or damaged", path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Length of the file.
        found_bytes: u64,
        /// Bytes of header and data promised, uncompressed.
        promised_bytes: u128,
    },
    /// It is larger than the memory for it.
    #[error(transparent)]
    TooMuch(#[from] Box<TooMuch>),
    /// The data end before the last volume.
    #[error("`{}` ends inside volume {volume} of {n_volumes}: it was cut off or damaged ({source})", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Volume that could not be read, counted from 0.
        volume: usize,
        /// Volumes promised.
        n_volumes: usize,
        /// What the system said.
        source: io::Error,
    },
    /// All data were read, but not those that were compressed.
    #[error("`{}` does not match its own checksum: it was damaged, fetch it again ({source})", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// What the decompressor said.
        source: io::Error,
    },
    /// The sample type is not a real number of at most 64 bits.
    #[error("`{}` holds samples of type code {code} ({}), expected integers or floats of at most 64 bits", path.display(), datatype_name(*code))]
    SampleType {
        /// The file.
        path: PathBuf,
        /// The code in the header.
        code: i16,
    },
    /// A header field that matters is not a usable number.
    #[error("`{}` has {field} {found}, expected {expected}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Name of the field.
        field: &'static str,
        /// Its value.
        found: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// A header extension lies about its length.
    #[error("`{}` has a header extension of {found_bytes} bytes at byte {offset}, expected a multiple of 16 that ends before the data at byte {data_offset}", path.display())]
    Extension {
        /// The file.
        path: PathBuf,
        /// Where the extension begins.
        offset: u64,
        /// Length that it states.
        found_bytes: i32,
        /// Where the data begin.
        data_offset: u64,
    },
    /// A label is not a whole number.
    #[error("`{}` holds the value {found} at voxel {voxel:?}, expected whole-number labels", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// The value.
        found: f64,
        /// Its voxel.
        voxel: [usize; 3],
    },
    /// A voxel or volume was asked for that the image does not have.
    #[error("{what} {asked} was asked of `{}`, which has {available}", path.display())]
    Outside {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        what: &'static str,
        /// Its index, counted from 0.
        asked: usize,
        /// How many there are.
        available: usize,
    },
    /// The values to be written do not fill the image, or the values read do not fill what was given to hold them.
    #[error("{found} {what} for `{}`, expected {expected}", path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// What was counted.
        what: &'static str,
        /// How many there were.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A value cannot be expressed in the integer type to be written.
    #[error("`{}` cannot hold the value {found} as {sample_type}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The value.
        found: f64,
        /// The type of the samples.
        sample_type: &'static str,
    },
}

pub(in crate::format) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> NiftiError + '_ {
    move |source| NiftiError::Io { path: path.to_owned(), source }
}

/// Names of the sample types that the standard lists and this reader does not read.
fn datatype_name(code: i16) -> &'static str {
    match code {
        1 => "single bits",
        32 => "complex numbers of 64 bits",
        128 => "RGB colours",
        1536 => "floats of 128 bits",
        1792 => "complex numbers of 128 bits",
        2048 => "complex numbers of 256 bits",
        2304 => "RGBA colours",
        _ => "no type of the standard",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_types_that_are_not_read_are_named() {
        let text = |code| NiftiError::SampleType { path: "x.nii".into(), code }.to_string();
        assert!(text(1536).starts_with("`x.nii` holds samples of type code 1536 (floats of 128 bits), expected"));
        assert!(text(128).contains("(RGB colours)"));
        assert!(text(77).contains("(no type of the standard)"));
    }
}
