//! Blocks out of a matrix that may be larger than memory.

use std::ops::Range;
use std::path::Path;

use ndarray::Array2;

use super::NpyError;
use super::body::Body;
use crate::format::memory::afford;

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
    /// If a range leaves the matrix, the block is larger than the memory for it, or the file cannot be read.
    pub fn block(&mut self, rows: Range<usize>, columns: Range<usize>) -> Result<Array2<f32>, NpyError> {
        self.check("rows", &rows, self.n_rows)?;
        self.check("columns", &columns, self.n_columns)?;
        // In Fortran order the columns are the contiguous runs, so the transpose is what lies in the file.
        let (outer, inner, stride) = match self.body.fortran_order {
            false => (rows, columns, self.n_columns),
            true => (columns, rows, self.n_rows),
        };
        let n_values = outer.len() as u128 * inner.len() as u128;
        // In Fortran order the block is turned into a second one.
        let n_copies = if self.body.fortran_order { 2 } else { 1 };
        afford(&self.body.path, n_values * (n_copies * size_of::<f32>()) as u128, || {
            let (n_rows, n_columns) =
                if self.body.fortran_order { (inner.len(), outer.len()) } else { (outer.len(), inner.len()) };
            format!("a block of {n_rows} x {n_columns} numbers")
        })?;
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
