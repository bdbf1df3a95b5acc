//! Rows into a matrix whose length is known only at the end.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ndarray::ArrayView1;

use super::body::matrix_header;
use super::{NpyError, io_error};

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
