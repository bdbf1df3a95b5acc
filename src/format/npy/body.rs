//! The header of a `.npy` file, and the elements behind it by position.
//!
//! A header is believed only after the length it implies has been compared with the length of the file.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{NpyError, io_error};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Bytes before the data of every file written here: NumPy pads the header of any matrix to this multiple of 64.
const WRITTEN_HEADER_BYTES: usize = 128;
/// Longest header accepted; NumPy's own limit for untrusted files is 10 000 characters.
const MAX_HEADER_BYTES: usize = 10_000;

pub(super) fn matrix_header(n_rows: usize, n_columns: usize) -> [u8; WRITTEN_HEADER_BYTES] {
    let dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({n_rows}, {n_columns}), }}");
    let mut header = [b' '; WRITTEN_HEADER_BYTES];
    header[..6].copy_from_slice(MAGIC);
    header[6..8].copy_from_slice(&[1, 0]);
    let length = u16::try_from(WRITTEN_HEADER_BYTES - 10).expect("118 fits 16 bits");
    header[8..10].copy_from_slice(&length.to_le_bytes());
    header[10..10 + dictionary.len()].copy_from_slice(dictionary.as_bytes());
    header[WRITTEN_HEADER_BYTES - 1] = b'\n';
    header
}

/// An open file whose header agrees with its length.
pub(super) struct Body {
    file: BufReader<File>,
    pub(super) path: PathBuf,
    pub(super) shape: Vec<usize>,
    pub(super) fortran_order: bool,
    element_bytes: usize,
    data_start: u64,
}

impl Body {
    pub(super) fn open(path: &Path) -> Result<Self, NpyError> {
        let file = File::open(path).map_err(io_error(path))?;
        let found_bytes = file.metadata().map_err(io_error(path))?.len();
        let mut file = BufReader::new(file);
        let malformed = |reason: &str| NpyError::Header { path: path.to_owned(), reason: reason.to_owned() };

        let mut start = [0; 8];
        file.read_exact(&mut start).map_err(|_| malformed("shorter than a header"))?;
        if &start[..6] != MAGIC {
            return Err(malformed("the first bytes are not `\\x93NUMPY`"));
        }
        let length_bytes = if start[6] == 1 { 2 } else { 4 };
        let mut length = [0; 4];
        file.read_exact(&mut length[..length_bytes]).map_err(|_| malformed("shorter than a header"))?;
        let header_bytes = u32::from_le_bytes(length) as usize;
        if !(1..=3).contains(&start[6]) || header_bytes > MAX_HEADER_BYTES {
            return Err(malformed("unknown version or oversized header"));
        }
        let mut text = vec![0; header_bytes];
        file.read_exact(&mut text).map_err(|_| malformed("the header is cut off"))?;
        let text = String::from_utf8(text).map_err(|_| malformed("the header is not text"))?;

        let descriptor = entry(&text, "descr").ok_or_else(|| malformed("the header lacks `descr`"))?;
        let element_bytes = match descriptor.trim_matches(['\'', '"']) {
            "<f4" => 4,
            "<f8" => 8,
            found => {
                return Err(NpyError::ElementType { path: path.to_owned(), found: found.to_owned() });
            }
        };
        let fortran_order = match entry(&text, "fortran_order") {
            Some("True") => true,
            Some("False") => false,
            _ => return Err(malformed("the header lacks `fortran_order`")),
        };
        let shape = entry(&text, "shape").and_then(parse_shape).ok_or_else(|| malformed("the header lacks `shape`"))?;

        let data_start = (8 + length_bytes + header_bytes) as u64;
        let n_elements = shape.iter().fold(1_u128, |product, &n| product.saturating_mul(n as u128));
        let expected_bytes = n_elements.saturating_mul(element_bytes as u128).saturating_add(u128::from(data_start));
        if expected_bytes != u128::from(found_bytes) {
            return Err(NpyError::Length { path: path.to_owned(), found_bytes, expected_bytes });
        }
        Ok(Body { file, path: path.to_owned(), shape, fortran_order, element_bytes, data_start })
    }

    pub(super) fn read_elements(&mut self, first: usize, out: &mut [f32]) -> Result<(), NpyError> {
        let offset = self.data_start + (first * self.element_bytes) as u64;
        self.file.seek(SeekFrom::Start(offset)).map_err(io_error(&self.path))?;
        let mut bytes = [0; 1 << 13];
        for chunk in out.chunks_mut(bytes.len() / self.element_bytes) {
            let bytes = &mut bytes[..chunk.len() * self.element_bytes];
            self.file.read_exact(bytes).map_err(io_error(&self.path))?;
            if self.element_bytes == 4 {
                for (value, raw) in chunk.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *value = f32::from_le_bytes(*raw);
                }
            } else {
                for (value, raw) in chunk.iter_mut().zip(bytes.as_chunks::<8>().0) {
                    *value = f64::from_le_bytes(*raw) as f32;
                }
            }
        }
        Ok(())
    }

    pub(super) fn wrong_dimensions(&self, expected: usize) -> NpyError {
        NpyError::Dimensions { path: self.path.clone(), found: self.shape.clone(), expected }
    }
}

/// The text of one value in the header's dictionary literal.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, after) = [format!("'{key}'"), format!("\"{key}\"")].iter().find_map(|quoted| header.split_once(quoted))?;
    let value = after.trim_start().strip_prefix(':')?.trim_start();
    let end = match value.strip_prefix('(') {
        Some(tuple) => tuple.find(')')? + 2,
        None => value.find([',', '}'])?,
    };
    Some(value[..end].trim_end())
}

fn parse_shape(tuple: &str) -> Option<Vec<usize>> {
    let inner = tuple.strip_prefix('(')?.strip_suffix(')')?;
    inner.split(',').map(str::trim).filter(|n| !n.is_empty()).map(|n| n.parse().ok()).collect()
}
