//! How well predictions match held-out data, column by column.
//!
//! Owns Pearson's r and the coefficient of determination R2, both summed in f64. Chance levels are in [`super::null`].

use ndarray::{ArrayView2, Axis, Zip};
use rayon::prelude::*;

use super::MathError;
use super::error::{require_finite, require_shape};
use super::series::column_means;

/// Columns scored by one task.
const COLUMN_BLOCK: usize = 256;

/// Sums that both scores are made of, for one column.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ColumnSums {
    /// `sum (y - mean y)^2`
    pub data_power: f64,
    /// `sum (p - mean p)^2`
    pub prediction_power: f64,
    /// `sum (y - mean y)(p - mean p)`
    pub product: f64,
    /// `sum (y - p)^2`
    pub residual_power: f64,
    /// `n * mean(y)^2`, the scale of rounding in `data_power`
    data_offset: f64,
    prediction_offset: f64,
}

/// Rounding of f32 input: below this share of the offset's power a column is constant.
const CONSTANT_SHARE: f64 = (4.0 * f32::EPSILON as f64) * (4.0 * f32::EPSILON as f64);

impl ColumnSums {
    /// Whether the data do not vary beyond the rounding of f32.
    pub fn is_data_constant(&self) -> bool {
        self.data_power <= CONSTANT_SHARE * self.data_offset
    }

    /// Whether the prediction does not vary beyond the rounding of f32.
    pub fn is_prediction_constant(&self) -> bool {
        self.prediction_power <= CONSTANT_SHARE * self.prediction_offset
    }

    pub fn pearson(&self) -> Option<f64> {
        if self.is_data_constant() || self.is_prediction_constant() {
            return None;
        }
        // The roots are taken apart because the product of two powers can overflow or vanish.
        Some(
            (self.product / (self.data_power.sqrt() * self.prediction_power.sqrt()))
                .clamp(-1.0, 1.0),
        )
    }

    pub fn r2(&self) -> Option<f64> {
        (!self.is_data_constant()).then(|| 1.0 - self.residual_power / self.data_power)
    }
}

/// Sums over the rows of one block of columns, in row order.
pub(super) fn column_sums(
    data: ArrayView2<'_, f32>,
    prediction: ArrayView2<'_, f32>,
) -> Vec<ColumnSums> {
    let data_mean = column_means(data);
    column_sums_about(data, &data_mean, prediction)
}

/// As [`column_sums`], with the data's column means known.
pub(super) fn column_sums_about(
    data: ArrayView2<'_, f32>,
    data_mean: &[f64],
    prediction: ArrayView2<'_, f32>,
) -> Vec<ColumnSums> {
    let n_samples = data.nrows() as f64;
    let prediction_mean = column_means(prediction);
    let mut sums: Vec<ColumnSums> = data_mean
        .iter()
        .zip(&prediction_mean)
        .map(|(y, p)| ColumnSums {
            data_offset: n_samples * y * y,
            prediction_offset: n_samples * p * p,
            ..ColumnSums::default()
        })
        .collect();
    for (y_row, p_row) in data.outer_iter().zip(prediction.outer_iter()) {
        for (j, (sum, (&y, &p))) in sums.iter_mut().zip(y_row.iter().zip(p_row)).enumerate() {
            let (y, p) = (f64::from(y), f64::from(p));
            let (dy, dp) = (y - data_mean[j], p - prediction_mean[j]);
            sum.data_power += dy * dy;
            sum.prediction_power += dp * dp;
            sum.product += dy * dp;
            sum.residual_power += (y - p) * (y - p);
        }
    }
    sums
}

fn by_column(
    data: ArrayView2<'_, f32>,
    prediction: ArrayView2<'_, f32>,
    score: impl Fn(&ColumnSums) -> Option<f64> + Sync,
) -> Result<Vec<Option<f64>>, MathError> {
    require_shape(
        "rows of the prediction",
        prediction.nrows(),
        data.nrows(),
        "one row for each sample",
    )?;
    require_shape(
        "columns of the prediction",
        prediction.ncols(),
        data.ncols(),
        "one column for each target",
    )?;
    require_finite("data", data)?;
    require_finite("prediction", prediction)?;
    let mut scores = vec![None; data.ncols()];
    let chunks =
        |a: ArrayView2<'_, f32>, start: usize, n: usize| column_block(a, start, n).to_owned();
    scores
        .par_chunks_mut(COLUMN_BLOCK)
        .enumerate()
        .for_each(|(block, out)| {
            let start = block * COLUMN_BLOCK;
            let (y, p) = (
                chunks(data, start, out.len()),
                chunks(prediction, start, out.len()),
            );
            let sums = column_sums(y.view(), p.view());
            out.iter_mut()
                .zip(&sums)
                .for_each(|(out, sum)| *out = score(sum));
        });
    Ok(scores)
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
    by_column(data, prediction, ColumnSums::pearson)
}

/// Coefficient of determination of each column, `R2 = 1 - sum (y - p)^2 / sum (y - mean y)^2`.
///
/// The mean is that of the scored samples, as in scikit-learn and himalaya; a prediction worse than that mean is
/// negative. `None` where the data are constant.
///
/// # Errors
/// [`MathError::Shape`] when the arrays differ in shape, [`MathError::NotFinite`].
pub fn r2_columns(
    data: ArrayView2<'_, f32>,
    prediction: ArrayView2<'_, f32>,
) -> Result<Vec<Option<f64>>, MathError> {
    by_column(data, prediction, ColumnSums::r2)
}

/// Columns `start..start + n_columns` of a matrix.
pub(super) fn column_block<A>(
    matrix: ArrayView2<'_, A>,
    start: usize,
    n_columns: usize,
) -> ArrayView2<'_, A> {
    matrix
        .split_at(Axis(1), start)
        .1
        .split_at(Axis(1), n_columns)
        .0
}

/// Columns standardised to mean 0 and unit Euclidean norm, so that a product of two such columns is their correlation.
///
/// A constant column becomes 0 and is reported as `false`.
pub(super) fn unit_columns(block: ArrayView2<'_, f32>) -> (ndarray::Array2<f32>, Vec<bool>) {
    let mean = column_means(block);
    let sums = column_sums_about(block, &mean, block);
    let varies: Vec<bool> = sums.iter().map(|s| !s.is_data_constant()).collect();
    let factor: Vec<f64> = sums
        .iter()
        .map(|s| {
            if s.is_data_constant() {
                0.0
            } else {
                s.data_power.sqrt().recip()
            }
        })
        .collect();
    let mut unit = block.to_owned();
    for mut row in unit.outer_iter_mut() {
        Zip::from(&mut row)
            .and(&mean)
            .and(&factor)
            .for_each(|v, &m, &f| {
                *v = ((f64::from(*v) - m) * f) as f32;
            });
    }
    (unit, varies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
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
