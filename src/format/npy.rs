//! NumPy `.npy` matrices of floats, whole or in blocks.
//!
//! Owns the header (format versions 1 to 3), the streaming row writer and the ranged reader that takes a block of rows or
//! columns out of a matrix larger than memory. Written files are C order, little-endian `f4`, with the header padded as
//! NumPy pads it, so that equal matrices are equal bytes. Read files may also be `f8` (narrowed to `f32`), `i2`, or in
//! Fortran order. Pickled objects are refused. Whole arrays go through `ndarray-npy`.

mod body;
mod read;
mod write;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use ndarray_npy::WriteNpyExt;
use thiserror::Error;

use super::memory::{TooMuch, afford};
use body::Body;
pub use read::MatrixReader;
pub use write::MatrixWriter;

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
    /// The elements are not of a type that is read.
    #[error("`{}` holds elements of type `{found}`, expected `<f4`, `<f8` or `<i2`: convert it with `numpy.asarray(x, \"<f4\")`", path.display())]
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
    /// It is whole, and larger than the memory for it.
    #[error(transparent)]
    TooMuch(#[from] Box<TooMuch>),
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
    afford(path, n as u128 * size_of::<f32>() as u128, || format!("a vector of {n} numbers"))?;
    let mut values = vec![0.0; n];
    body.read_elements(0, &mut values)?;
    Ok(Array1::from(values))
}

#[cfg(test)]
mod tests {
    use super::body::matrix_header;
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
        for bytes in [
            &b""[..],
            b"PK\x03\x04 not numpy at all",
            b"\x93NUMPY\x01\x00\xff\x00{",
            b"\x93NUMPY\x09\x00\x00\x00\x00\x00",
        ] {
            let (_folder, path) = file(bytes);
            assert!(matches!(read_matrix(&path), Err(NpyError::Header { .. })), "{bytes:?}");
        }
        let (_folder, path) = file(&[]);
        write_npy(&path, &array![[1_i32]]).unwrap();
        let error = read_matrix(&path).unwrap_err();
        assert!(error.to_string().contains("`<i4`, expected `<f4`, `<f8` or `<i2`"), "{error}");
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
