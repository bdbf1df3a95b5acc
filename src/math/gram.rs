//! Inner products of the rows of a wide matrix, over columns that do not fit twice in memory.
//!
//! Owns the sums over blocks of columns in f64 and one order. What rows and columns are it does not know; correlations of
//! rows are in [`super::polarity`], distances between sets of rows in [`super::specialisation`].

use ndarray::{Array1, Array2, ArrayView2, Axis, linalg::general_mat_mul};
use rayon::prelude::*;

use super::blas::single_thread_blas;
use super::scores::{column_block, is_constant};

/// Columns centred and multiplied by one task.
const COLUMN_BLOCK: usize = 8192;

/// Inner products of rows about their means.
pub(super) struct CentredGram {
    /// `sum_v (x_kv - mean_k) (x_jv - mean_j)` (n_rows x n_rows), symmetric to the last bit.
    pub products: Array2<f64>,
    means: Array1<f64>,
    n_columns: usize,
}

impl CentredGram {
    /// Measures the rows of `matrix` (n_rows x n_columns).
    pub fn of(matrix: ArrayView2<'_, f32>) -> Self {
        let means = row_means(matrix);
        let starts: Vec<usize> = (0..matrix.ncols()).step_by(COLUMN_BLOCK).collect();
        let blocks: Vec<Array2<f64>> = starts
            .into_par_iter()
            .map(|start| {
                let n_columns = COLUMN_BLOCK.min(matrix.ncols() - start);
                let centred = centred(column_block(matrix, start, n_columns), &means);
                products(&centred)
            })
            .collect();
        let mut sum = Array2::zeros((matrix.nrows(), matrix.nrows()));
        for block in &blocks {
            sum += block;
        }
        Self { products: sum, means, n_columns: matrix.ncols() }
    }

    /// Whether a row varies beyond the rounding of f32 about its mean.
    pub fn varies(&self, row: usize) -> bool {
        !is_constant(self.products[[row, row]], self.means[row], self.n_columns)
    }
}

/// Mean of each row, summed in f64 in the order of columns; 0 without columns.
pub(super) fn row_means(matrix: ArrayView2<'_, f32>) -> Array1<f64> {
    let n_columns = matrix.ncols().max(1) as f64;
    let mean = |row: ndarray::ArrayView1<'_, f32>| row.iter().map(|&v| f64::from(v)).sum::<f64>() / n_columns;
    let means: Vec<f64> = matrix.axis_iter(Axis(0)).into_par_iter().map(mean).collect();
    means.into()
}

/// A copy of a block of columns, in f64 and less the mean of each row.
pub(super) fn centred(block: ArrayView2<'_, f32>, means: &Array1<f64>) -> Array2<f64> {
    let mut copy = block.mapv(f64::from);
    for (mut row, mean) in copy.outer_iter_mut().zip(means) {
        row.mapv_inplace(|v| v - mean);
    }
    copy
}

/// `X X'`, with the lower triangle copied from the upper one.
pub(super) fn products(x: &Array2<f64>) -> Array2<f64> {
    single_thread_blas();
    let mut products = Array2::zeros((x.nrows(), x.nrows()));
    general_mat_mul(1.0, x, &x.t(), 0.0, &mut products);
    for k in 0..x.nrows() {
        for j in 0..k {
            products[[k, j]] = products[[j, k]];
        }
    }
    products
}
