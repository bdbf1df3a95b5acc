//! What stands between a header and the data: extensions, each with a code of who wrote it.
//!
//! Images are read without looking at them, as their meaning is their writers' own; CIFTI files say in one of them what
//! their rows and columns are.

use std::path::Path;

use super::header::{EXTENDER_BYTES, Header};
use super::source::{self, Source};
use super::{NiftiError, io_error};
use crate::format::memory::afford;

/// Bytes of the length and the code before the contents of an extension.
pub(in crate::format) const PREFIX_BYTES: usize = 8;
/// Extensions are as long as a multiple of this, and begin at one.
pub(in crate::format) const ALIGNMENT_BYTES: usize = 16;

/// A header extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Who wrote it, by the standard's register: 4 AFNI, 6 a comment, 32 CIFTI.
    pub code: i32,
    /// Its contents with their padding of zeros.
    pub bytes: Vec<u8>,
}

/// Reads the header extensions of an image.
///
/// # Errors
/// If the file cannot be read, is no NIfTI image, or an extension states an impossible length.
pub fn read_extensions(path: &Path) -> Result<Vec<Extension>, NiftiError> {
    let (header, mut source) = source::open(path)?;
    source.check_holds(path, u128::from(header.data_offset))?;
    let mut extensions = Vec::new();
    read_each(path, &header, &mut source, |_| true, &mut extensions)?;
    Ok(extensions)
}

/// Reads the extensions with a wanted code; the source must stand behind the header and then stands before the data.
pub(in crate::format) fn read_each(
    path: &Path,
    header: &Header,
    source: &mut Source,
    wanted: impl Fn(i32) -> bool,
    extensions: &mut Vec<Extension>,
) -> Result<(), NiftiError> {
    let mut buffer = Vec::new();
    source.fill(&mut buffer, EXTENDER_BYTES).map_err(io_error(path))?;
    let any = buffer[0] != 0;
    let mut offset = (header.size_bytes() + EXTENDER_BYTES) as u64;
    while any && header.data_offset - offset >= ALIGNMENT_BYTES as u64 {
        source.fill(&mut buffer, PREFIX_BYTES).map_err(io_error(path))?;
        let number = |at: usize| {
            let bytes = [buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3]];
            match header.endianness {
                ::nifti::Endianness::Little => i32::from_le_bytes(bytes),
                ::nifti::Endianness::Big => i32::from_be_bytes(bytes),
            }
        };
        let (found_bytes, code) = (number(0), number(4));
        let n_bytes = usize::try_from(found_bytes).unwrap_or(0);
        let fits = n_bytes as u64 <= header.data_offset - offset;
        if n_bytes < ALIGNMENT_BYTES || !n_bytes.is_multiple_of(ALIGNMENT_BYTES) || !fits {
            let (path, data_offset) = (path.to_owned(), header.data_offset);
            return Err(NiftiError::Extension { path, offset, found_bytes, data_offset });
        }
        let n_contents = n_bytes - PREFIX_BYTES;
        if wanted(code) {
            afford(path, n_contents as u128, || format!("a header extension of {n_contents} bytes"))?;
            let mut bytes = Vec::new();
            source.fill(&mut bytes, n_contents).map_err(io_error(path))?;
            extensions.push(Extension { code, bytes });
        } else {
            source.skip(n_contents as u64).map_err(io_error(path))?;
        }
        offset += n_bytes as u64;
    }
    source.skip(header.data_offset - offset).map_err(io_error(path))
}
