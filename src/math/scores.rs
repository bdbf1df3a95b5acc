//! How well predictions match held-out data, column by column.
//!
//! Owns Pearson's r and the coefficient of determination R2, both summed in f64. Chance levels are in [`super::null`].

use ndarray::{Array2, ArrayView2, Axis, Zip};
use rayon::prelude::*;

use super::MathError;
use super::error::{require_finite, require_shape};
use super::series::column_means;

/// Columns scored by one task.
const COLUMN_BLOCK: usize = 256;

/// Rounding of f32 input: below this share of the offset's power a column is constant.
pub(super) const CONSTANT_SHARE: f64 = (4.0 * f32::EPSILON as f64) * (4.0 * f32::EPSILON as f64);

/// Whether values with the power `sum (v - mean)^2` do not vary beyond the rounding of f32 about their mean.
pub(super) fn is_constant(power: f64, mean: f64, n_rows: usize) -> bool {
    power <= CONSTANT_SHARE * n_rows as f64 * mean * mean
}

/// Mean and power of each column of one block, with sums in f64 and in row order.
pub(super) struct Columns {
    mean: Vec<f64>,
    /// `sum (v - mean)^2`
    power: Vec<f64>,
    n_rows: usize,
}

impl Columns {
    /// Measures a block stored row by row.
    pub fn of(block: &Array2<f32>) -> Self {
        let mean = column_means(block.view());
        let mut power = vec![0.0; mean.len()];
        for row in rows(block) {
            for ((power, &v), mean) in power.iter_mut().zip(row).zip(&mean) {
                let d = f64::from(v) - mean;
                *power += d * d;
            }
        }
        Self { mean, power, n_rows: block.nrows() }
    }

    /// Whether a column does not vary beyond the rounding of f32 about its mean.
    pub fn is_constant(&self, column: usize) -> bool {
        is_constant(self.power[column], self.mean[column], self.n_rows)
    }

    /// `sum (v - mean)^2` of a column.
    pub fn power(&self, column: usize) -> f64 {
        self.power[column]
    }

    /// Pearson's r of the measured `data` with a prediction of the same shape.
    pub fn pearson(&self, data: &Array2<f32>, prediction: &Array2<f32>) -> Vec<Option<f64>> {
        let predicted = Columns::of(prediction);
        let mut product = vec![0.0; self.mean.len()];
        for (y_row, p_row) in rows(data).zip(rows(prediction)) {
            let means = self.mean.iter().zip(&predicted.mean);
            for (((sum, &y), &p), (y_mean, p_mean)) in product.iter_mut().zip(y_row).zip(p_row).zip(means) {
                *sum += (f64::from(y) - y_mean) * (f64::from(p) - p_mean);
            }
        }
        let score = |(j, product): (usize, f64)| {
            // The roots are taken apart because the product of two powers can overflow or vanish.
            (!self.is_constant(j) && !predicted.is_constant(j))
                .then(|| (product / (self.power[j].sqrt() * predicted.power[j].sqrt())).clamp(-1.0, 1.0))
        };
        product.into_iter().enumerate().map(score).collect()
    }

    /// R2 of a prediction of the same shape as the measured `data`.
    pub fn r2(&self, data: &Array2<f32>, prediction: &Array2<f32>) -> Vec<Option<f64>> {
        let mut residual = vec![0.0; self.mean.len()];
        for (y_row, p_row) in rows(data).zip(rows(prediction)) {
            for ((sum, &y), &p) in residual.iter_mut().zip(y_row).zip(p_row) {
                let d = f64::from(y) - f64::from(p);
                *sum += d * d;
            }
        }
        let score = |(j, residual): (usize, f64)| (!self.is_constant(j)).then(|| 1.0 - residual / self.power[j]);
        residual.into_iter().enumerate().map(score).collect()
    }
}

/// Rows as slices, over which the compiler vectorises.
fn rows(block: &Array2<f32>) -> std::slice::ChunksExact<'_, f32> {
    let values = block.as_slice().expect("a block is a copy stored row by row");
    values.chunks_exact(block.ncols().max(1))
}

fn by_column(
    data: ArrayView2<'_, f32>,
    prediction: ArrayView2<'_, f32>,
    score: impl Fn(&Array2<f32>, &Array2<f32>) -> Vec<Option<f64>> + Sync,
) -> Result<Vec<Option<f64>>, MathError> {
    require_shape("rows of the prediction", prediction.nrows(), data.nrows(), "one row for each sample")?;
    require_shape("columns of the prediction", prediction.ncols(), data.ncols(), "one column for each target")?;
    require_finite("data", data)?;
    require_finite("prediction", prediction)?;
    let mut scores = vec![None; data.ncols()];
    scores.par_chunks_mut(COLUMN_BLOCK).enumerate().for_each(|(block, out)| {
        let start = block * COLUMN_BLOCK;
        let y = stored_by_row(column_block(data, start, out.len()));
        let p = stored_by_row(column_block(prediction, start, out.len()));
        out.copy_from_slice(&score(&y, &p));
    });
    Ok(scores)
}

/// A copy stored row by row, whatever the order of the original.
pub(super) fn stored_by_row(block: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut copy = Array2::zeros(block.dim());
    copy.assign(&block);
    copy
}

/// Pearson's correlation of each column of the data with its prediction (both n_samples x n_targets).
///
/// `None` where either column is constant: the correlation does not exist, and 0 would be a claim. A column counts as
/// constant when it varies by no more than the rounding of f32 about its mean.
///
/// # Errors
/// [`MathError::Shape`] when the arrays differ in shape, [`MathError::NotFinite`].
pub fn pearson_columns(
    data: ArrayView2<'_, f32>,
    prediction: ArrayView2<'_, f32>,
) -> Result<Vec<Option<f64>>, MathError> {
    by_column(data, prediction, |y, p| Columns::of(y).pearson(y, p))
}

/// Coefficient of determination of each column, `R2 = 1 - sum (y - p)^2 / sum (y - mean y)^2`.
///
/// The mean is that of the scored samples, as in scikit-learn and himalaya; a prediction worse than that mean is
/// negative. `None` where the data are constant.
///
/// # Errors
/// [`MathError::Shape`] when the arrays differ in shape, [`MathError::NotFinite`].
pub fn r2_columns(data: ArrayView2<'_, f32>, prediction: ArrayView2<'_, f32>) -> Result<Vec<Option<f64>>, MathError> {
    by_column(data, prediction, |y, p| Columns::of(y).r2(y, p))
}

/// Columns `start..start + n_columns` of a matrix.
pub(super) fn column_block<A>(matrix: ArrayView2<'_, A>, start: usize, n_columns: usize) -> ArrayView2<'_, A> {
    matrix.split_at(Axis(1), start).1.split_at(Axis(1), n_columns).0
}

/// Columns standardised to mean 0 and unit Euclidean norm, so that a product of two such columns is their correlation.
///
/// A constant column becomes 0 and is reported as `false`.
pub(super) fn unit_columns(block: ArrayView2<'_, f32>) -> (Array2<f32>, Vec<bool>) {
    let mut unit = stored_by_row(block);
    let columns = Columns::of(&unit);
    let varies: Vec<bool> = (0..unit.ncols()).map(|j| !columns.is_constant(j)).collect();
    let factor: Vec<f64> =
        (0..unit.ncols()).map(|j| if varies[j] { columns.power[j].sqrt().recip() } else { 0.0 }).collect();
    for mut row in unit.outer_iter_mut() {
        Zip::from(&mut row).and(&columns.mean).and(&factor).for_each(|v, &mean, &factor| {
            *v = ((f64::from(*v) - mean) * factor) as f32;
        });
    }
    (unit, varies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    #[test]
    fn closed_forms() {
        let y = array![[1.0f32, 1.0, 5.0], [2.0, 2.0, 5.0], [3.0, 6.0, 5.0]];
        let p = array![[2.0f32, 3.0, 1.0], [4.0, 3.0, 2.0], [6.0, 3.0, 9.0]];
        let r = pearson_columns(y.view(), p.view()).unwrap();
        assert!((r[0].unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(r[1..], [None, None]);
        let r2 = r2_columns(y.view(), p.view()).unwrap();
        assert!((r2[0].unwrap() - (1.0 - 14.0 / 2.0)).abs() < 1e-12);
        assert!(r2[1].unwrap().abs() < 1e-12, "predicting the mean scores 0");
        assert_eq!(r2[2], None);
    }

    #[test]
    fn a_large_constant_offset_does_not_pass_for_variance() {
        let y = Array2::from_elem((50, 1), 1e7f32 + 0.1);
        assert_eq!(pearson_columns(y.view(), y.view()).unwrap(), [None]);
    }

    #[test]
    fn shapes_must_agree() {
        let y = Array2::<f32>::zeros((3, 2));
        assert!(pearson_columns(y.view(), Array2::zeros((2, 2)).view()).is_err());
        assert!(r2_columns(y.view(), Array2::zeros((3, 1)).view()).is_err());
    }

    proptest! {
        #[test]
        fn pearson_ignores_affine_maps_and_squares_to_at_least_r2(
            values in prop::collection::vec(-100f32..100.0, 20), scale in 0.1f32..10.0, shift in -50f32..50.0,
        ) {
            let y = Array2::from_shape_vec((10, 1), values[..10].to_vec()).unwrap();
            let p = Array2::from_shape_vec((10, 1), values[10..].to_vec()).unwrap();
            let moved = p.mapv(|v| v * scale + shift);
            let (a, b) = (pearson_columns(y.view(), p.view()).unwrap(), pearson_columns(y.view(), moved.view()).unwrap());
            if let (Some(a), Some(b)) = (a[0], b[0]) {
                prop_assert!((a - b).abs() < 1e-3);
                prop_assert!(r2_columns(y.view(), p.view()).unwrap()[0].unwrap() <= a * a + 1e-9);
            }
        }
    }
}
