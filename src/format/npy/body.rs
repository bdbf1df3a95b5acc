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
    element: Element,
    data_start: u64,
}

/// The element types that are read, all little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    I2,
    F4,
    F8,
}

impl Element {
    fn named(descriptor: &str) -> Option<Self> {
        match descriptor {
            "<i2" => Some(Element::I2),
            "<f4" => Some(Element::F4),
            "<f8" => Some(Element::F8),
            _ => None,
        }
    }

    fn size_bytes(self) -> usize {
        match self {
            Element::I2 => 2,
            Element::F4 => 4,
            Element::F8 => 8,
        }
    }
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
        let descriptor = descriptor.trim_matches(['\'', '"']);
        let element = Element::named(descriptor)
            .ok_or_else(|| NpyError::ElementType { path: path.to_owned(), found: descriptor.to_owned() })?;
        let fortran_order = match entry(&text, "fortran_order") {
            Some("True") => true,
            Some("False") => false,
            _ => return Err(malformed("the header lacks `fortran_order`")),
        };
        let shape = entry(&text, "shape").and_then(parse_shape).ok_or_else(|| malformed("the header lacks `shape`"))?;

        let data_start = (8 + length_bytes + header_bytes) as u64;
        let n_elements = shape.iter().fold(1_u128, |product, &n| product.saturating_mul(n as u128));
        let expected_bytes =
            n_elements.saturating_mul(element.size_bytes() as u128).saturating_add(u128::from(data_start));
        if expected_bytes != u128::from(found_bytes) {
            return Err(NpyError::Length { path: path.to_owned(), found_bytes, expected_bytes });
        }
        Ok(Body { file, path: path.to_owned(), shape, fortran_order, element, data_start })
    }

    pub(super) fn read_elements(&mut self, first: usize, out: &mut [f32]) -> Result<(), NpyError> {
        let size_bytes = self.element.size_bytes();
        let offset = self.data_start + (first * size_bytes) as u64;
        self.file.seek(SeekFrom::Start(offset)).map_err(io_error(&self.path))?;
        let mut bytes = [0; 1 << 13];
        for chunk in out.chunks_mut(bytes.len() / size_bytes) {
            let bytes = &mut bytes[..chunk.len() * size_bytes];
            self.file.read_exact(bytes).map_err(io_error(&self.path))?;
            match self.element {
                Element::I2 => decode(chunk, bytes, |raw| f32::from(i16::from_le_bytes(raw))),
                Element::F4 => decode(chunk, bytes, f32::from_le_bytes),
                Element::F8 => decode(chunk, bytes, |raw| f64::from_le_bytes(raw) as f32),
            }
        }
        Ok(())
    }

    pub(super) fn wrong_dimensions(&self, expected: usize) -> NpyError {
        NpyError::Dimensions { path: self.path.clone(), found: self.shape.clone(), expected }
    }
}

fn decode<const SIZE: usize>(out: &mut [f32], bytes: &[u8], value: impl Fn([u8; SIZE]) -> f32) {
    for (slot, raw) in out.iter_mut().zip(bytes.as_chunks::<SIZE>().0) {
        *slot = value(*raw);
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
