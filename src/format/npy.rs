//! NumPy `.npy` matrices of floats, whole or in blocks.
//!
//! Owns the header (format versions 1 to 3), the streaming row writer and the ranged reader that takes a block of rows or
//! columns out of a matrix larger than memory. Written files are C order, little-endian `f4`, with the header padded as
//! NumPy pads it, so that equal matrices are equal bytes. Read files may also be `f8` (narrowed to `f32`) or in Fortran
//! order. Pickled objects are refused. Whole arrays go through `ndarray-npy`.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use ndarray_npy::WriteNpyExt;
use thiserror::Error;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Bytes before the data of every file written here: NumPy pads the header of any matrix to this multiple of 64.
const WRITTEN_HEADER_BYTES: usize = 128;
/// Longest header accepted; NumPy's own limit for untrusted files is 10 000 characters.
const MAX_HEADER_BYTES: usize = 10_000;

/// What can go wrong with a `.npy` file.
#[derive(Debug, Error)]
pub enum NpyError {
    /// The file cannot be opened, read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not begin as a `.npy` file does.
    #[error("`{}` is not a `.npy` file: {reason}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Which part of the header is wrong.
        reason: String,
    },
    /// The elements are not little-endian floats.
    #[error("`{}` holds elements of type `{found}`, expected `<f4` or `<f8`: convert it with `numpy.asarray(x, \"<f4\")`", path.display())]
    ElementType {
        /// The file.
        path: PathBuf,
        /// The type descriptor in the header.
        found: String,
    },
    /// The number of dimensions differs from what the caller needs.
    #[error("`{}` has shape {found:?}, expected {expected} dimension(s)", path.display())]
    Dimensions {
        /// The file.
        path: PathBuf,
        /// The shape in the header.
        found: Vec<usize>,
        /// How many dimensions were expected.
        expected: usize,
    },
    /// The length of the file is not what its header promises.
    #[error("`{}` is {found_bytes} bytes long, its header promises {expected_bytes}: it was cut off or overwritten", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Length of the file.
        found_bytes: u64,
        /// Length that the header implies.
        expected_bytes: u128,
    },
    /// A block outside the matrix was asked for.
    #[error("{axis} {start}..{end} of `{}`, which has {len}", path.display())]
    Range {
        /// The file.
        path: PathBuf,
        /// `rows` or `columns`.
        axis: &'static str,
        /// First index asked for.
        start: usize,
        /// One past the last index asked for.
        end: usize,
        /// How many there are.
        len: usize,
    },
    /// A row of another length than the rows before it was written.
    #[error("row {row} for `{}` has {found} columns, expected {expected}", path.display())]
    RowLength {
        /// The file.
        path: PathBuf,
        /// Index of the row.
        row: usize,
        /// Its length.
        found: usize,
        /// The length of the other rows.
        expected: usize,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> NpyError + '_ {
    move |source| NpyError::Io { path: path.to_owned(), source }
}

/// Writes a matrix, C order, little-endian `f4`.
///
/// # Errors
/// If the file cannot be created or written.
pub fn write_matrix(path: &Path, matrix: ArrayView2<'_, f32>) -> Result<(), NpyError> {
    let mut writer = MatrixWriter::create(path, matrix.ncols())?;
    for row in matrix.rows() {
        writer.write_row(row)?;
    }
    writer.finish().map(drop)
}

/// Writes a vector, little-endian `f4`.
///
/// # Errors
/// If the file cannot be created or written.
pub fn write_vector(path: &Path, vector: ArrayView1<'_, f32>) -> Result<(), NpyError> {
    let file = File::create(path).map_err(io_error(path))?;
    let mut out = BufWriter::new(file);
    vector
        .write_npy(&mut out)
        .map_err(|error| NpyError::Io { path: path.to_owned(), source: io::Error::other(error) })?;
    out.flush().map_err(io_error(path))
}

/// Reads a whole matrix.
///
/// # Errors
/// If the file cannot be read, is no float matrix, or is not as long as its header says.
pub fn read_matrix(path: &Path) -> Result<Array2<f32>, NpyError> {
    let mut reader = MatrixReader::open(path)?;
    reader.rows(0..reader.n_rows())
}

/// Reads a whole vector.
///
/// # Errors
/// If the file cannot be read, is no float vector, or is not as long as its header says.
pub fn read_vector(path: &Path) -> Result<Array1<f32>, NpyError> {
    let mut body = Body::open(path)?;
    let [n] = body.shape[..] else {
        return Err(body.wrong_dimensions(1));
    };
    let mut values = vec![0.0; n];
    body.read_elements(0, &mut values)?;
    Ok(Array1::from(values))
}

/// Writes a matrix row by row without knowing beforehand how many rows there will be.
///
/// The number of rows is patched into the header by [`MatrixWriter::finish`]; until then the file says zero rows and is
/// refused by the reader, so that an interrupted write is never taken for a result.
pub struct MatrixWriter {
    out: BufWriter<File>,
    path: PathBuf,
    n_rows: usize,
    n_columns: usize,
}

impl MatrixWriter {
    /// Creates the file for rows of `n_columns` values.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn create(path: &Path, n_columns: usize) -> Result<Self, NpyError> {
        let file = File::create(path).map_err(io_error(path))?;
        let mut out = BufWriter::with_capacity(1 << 18, file);
        out.write_all(&matrix_header(0, n_columns)).map_err(io_error(path))?;
        Ok(MatrixWriter { out, path: path.to_owned(), n_rows: 0, n_columns })
    }

    /// Appends one row.
    ///
    /// # Errors
    /// If the row has another length than the matrix, or the file cannot be written.
    pub fn write_row(&mut self, row: ArrayView1<'_, f32>) -> Result<(), NpyError> {
        if row.len() != self.n_columns {
            return Err(NpyError::RowLength {
                path: self.path.clone(),
                row: self.n_rows,
                found: row.len(),
                expected: self.n_columns,
            });
        }
        for value in row {
            self.out.write_all(&value.to_le_bytes()).map_err(io_error(&self.path))?;
        }
        self.n_rows += 1;
        Ok(())
    }

    /// Writes the final number of rows into the header and returns it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(mut self) -> Result<usize, NpyError> {
        let header = matrix_header(self.n_rows, self.n_columns);
        self.out
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.out.write_all(&header))
            .and_then(|()| self.out.flush())
            .map_err(io_error(&self.path))?;
        Ok(self.n_rows)
    }
}

/// Reads blocks of rows or columns of a matrix in memory proportional to the block.
pub struct MatrixReader {
    body: Body,
    n_rows: usize,
    n_columns: usize,
}

impl MatrixReader {
    /// Opens a matrix and checks its header against the length of the file.
    ///
    /// # Errors
    /// If the file cannot be read, is no float matrix, or is not as long as its header says.
    pub fn open(path: &Path) -> Result<Self, NpyError> {
        let body = Body::open(path)?;
        let [n_rows, n_columns] = body.shape[..] else {
            return Err(body.wrong_dimensions(2));
        };
        Ok(MatrixReader { body, n_rows, n_columns })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of columns.
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Reads the rows `range`.
    ///
    /// # Errors
    /// If the range leaves the matrix or the file cannot be read.
    pub fn rows(&mut self, range: Range<usize>) -> Result<Array2<f32>, NpyError> {
        self.block(range, 0..self.n_columns)
    }

    /// Reads the columns `range`; one seek a row, so ask for as many columns at once as memory allows.
    ///
    /// # Errors
    /// If the range leaves the matrix or the file cannot be read.
    pub fn columns(&mut self, range: Range<usize>) -> Result<Array2<f32>, NpyError> {
        self.block(0..self.n_rows, range)
    }

    /// Reads the rectangle where `rows` and `columns` meet.
    ///
    /// # Errors
    /// If a range leaves the matrix or the file cannot be read.
    pub fn block(&mut self, rows: Range<usize>, columns: Range<usize>) -> Result<Array2<f32>, NpyError> {
        self.check("rows", &rows, self.n_rows)?;
        self.check("columns", &columns, self.n_columns)?;
        // In Fortran order the columns are the contiguous runs, so the transpose is what lies in the file.
        let (outer, inner, stride) = match self.body.fortran_order {
            false => (rows, columns, self.n_columns),
            true => (columns, rows, self.n_rows),
        };
        let mut values = vec![0.0; outer.len() * inner.len()];
        if inner.len() == stride {
            self.body.read_elements(outer.start * stride, &mut values)?;
        } else if !inner.is_empty() {
            for (line, chunk) in outer.clone().zip(values.chunks_exact_mut(inner.len())) {
                self.body.read_elements(line * stride + inner.start, chunk)?;
            }
        }
        let block = Array2::from_shape_vec((outer.len(), inner.len()), values)
            .expect("the vector was made for exactly this shape");
        Ok(match self.body.fortran_order {
            false => block,
            true => block.t().as_standard_layout().into_owned(),
        })
    }

    fn check(&self, axis: &'static str, range: &Range<usize>, len: usize) -> Result<(), NpyError> {
        if range.start <= range.end && range.end <= len {
            return Ok(());
        }
        Err(NpyError::Range { path: self.body.path.clone(), axis, start: range.start, end: range.end, len })
    }
}

fn matrix_header(n_rows: usize, n_columns: usize) -> [u8; WRITTEN_HEADER_BYTES] {
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
struct Body {
    file: BufReader<File>,
    path: PathBuf,
    shape: Vec<usize>,
    fortran_order: bool,
    element_bytes: usize,
    data_start: u64,
}

impl Body {
    fn open(path: &Path) -> Result<Self, NpyError> {
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
            found => return Err(NpyError::ElementType { path: path.to_owned(), found: found.to_owned() }),
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

    fn read_elements(&mut self, first: usize, out: &mut [f32]) -> Result<(), NpyError> {
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

    fn wrong_dimensions(&self, expected: usize) -> NpyError {
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

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use ndarray_npy::{ReadNpyExt, read_npy, write_npy};
    use proptest::prelude::*;
    use tempfile::tempdir;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempdir().unwrap();
        let path = folder.path().join("x.npy");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn blocks_equal_slices_of_what_was_written(n_rows in 0_usize..20, n_columns in 0_usize..20, seed in 0_u32..1000) {
            let matrix = Array2::from_shape_fn((n_rows, n_columns), |(i, j)| (seed as f32).sin() * (i * 31 + j) as f32);
            let (_folder, path) = file(&[]);
            write_matrix(&path, matrix.view()).unwrap();
            prop_assert_eq!(&read_matrix(&path).unwrap(), &matrix);
            prop_assert_eq!(&read_npy::<_, Array2<f32>>(&path).unwrap(), &matrix);
            let (half_rows, half_columns) = (n_rows / 2, n_columns / 3);
            let mut reader = MatrixReader::open(&path).unwrap();
            prop_assert_eq!(reader.rows(half_rows..n_rows).unwrap(), matrix.slice(ndarray::s![half_rows.., ..]));
            prop_assert_eq!(reader.columns(half_columns..n_columns).unwrap(), matrix.slice(ndarray::s![.., half_columns..]));
        }
    }

    #[test]
    fn doubles_and_fortran_order_are_read() {
        let (_folder, path) = file(&[]);
        let matrix = array![[1.5_f64, 2.0, 3.0], [4.0, 5.0, 6.25]];
        write_npy(&path, &matrix.t().as_standard_layout().into_owned().reversed_axes()).unwrap();
        assert_eq!(read_matrix(&path).unwrap(), matrix.mapv(|x| x as f32));
        assert_eq!(MatrixReader::open(&path).unwrap().columns(1..2).unwrap(), array![[2.0], [5.0]]);
    }

    #[test]
    fn vectors_round_trip() {
        let (_folder, path) = file(&[]);
        let vector = array![1.0_f32, -2.5, 3.0];
        write_vector(&path, vector.view()).unwrap();
        assert_eq!(read_vector(&path).unwrap(), vector);
        assert!(matches!(read_matrix(&path), Err(NpyError::Dimensions { expected: 2, .. })));
    }

    #[test]
    fn interrupted_write_is_refused() {
        let (_folder, path) = file(&[]);
        let mut writer = MatrixWriter::create(&path, 2).unwrap();
        writer.write_row(array![1.0, 2.0].view()).unwrap();
        assert!(matches!(writer.write_row(array![1.0].view()), Err(NpyError::RowLength { row: 1, found: 1, .. })));
        drop(writer);
        assert!(matches!(read_matrix(&path), Err(NpyError::Length { .. })));
    }

    #[test]
    fn promised_petabytes_are_refused_before_allocation() {
        let mut bytes = matrix_header(usize::MAX, usize::MAX).to_vec();
        bytes.extend([0; 16]);
        let (_folder, path) = file(&bytes);
        assert!(matches!(read_matrix(&path), Err(NpyError::Length { found_bytes: 144, .. })));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        for bytes in [&b""[..], b"PK\x03\x04 not numpy at all", b"\x93NUMPY\x01\x00\xff\x00{", b"\x93NUMPY\x09\x00\x00\x00\x00\x00"] {
            let (_folder, path) = file(bytes);
            assert!(matches!(read_matrix(&path), Err(NpyError::Header { .. })), "{bytes:?}");
        }
        let (_folder, path) = file(&[]);
        write_npy(&path, &array![[1_i32]]).unwrap();
        let error = read_matrix(&path).unwrap_err();
        assert!(error.to_string().contains("`<i4`, expected `<f4` or `<f8`"), "{error}");
    }

    #[test]
    fn ranges_outside_the_matrix_are_errors() {
        let (_folder, path) = file(&[]);
        write_matrix(&path, array![[1.0_f32, 2.0]].view()).unwrap();
        let mut reader = MatrixReader::open(&path).unwrap();
        assert!(matches!(reader.columns(1..3), Err(NpyError::Range { axis: "columns", len: 2, .. })));
        assert!(Array2::<f32>::read_npy(File::open(&path).unwrap()).is_ok());
    }
}
