//! What each band adds to the score of a joint prediction.
//!
//! Owns the product measure for R2 and the split of Pearson's r; both sum to the joint score over bands. It does not know
//! how the predictions were made. Shares of variance that need a fit for each set of bands are in `partition.rs`.

use ndarray::{Array2, ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use crate::math::MathError;
use crate::math::error::{require_finite, require_shape};
use crate::math::scores::{CONSTANT_SHARE, Columns, column_block, stored_by_row};

/// Targets scored by one task.
const COLUMN_BLOCK: usize = 64;

/// A joint score and what each band adds to it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreSplit {
    /// What each band adds (n_bands x n_targets); `None` where the joint score does not exist.
    pub bands: Array2<Option<f64>>,
    /// What the intercept adds (n_targets); always 0 for a correlation, and for R2 when the scored data have the mean
    /// that the intercept predicts.
    pub intercept: Vec<Option<f64>>,
    /// The score of the joint prediction (n_targets), which is the sum of the others.
    pub joint: Vec<Option<f64>>,
}

/// Splits R2 over bands by the product measure (Hoffman 1960; Dupré la Tour et al. 2022).
///
/// `data` is n_samples x n_targets, `predictions` n_bands x n_samples x n_targets, `intercepts` n_targets. With the joint
/// prediction `p = b0 + sum_b p_b` and the data `y` about their mean,
///
/// ```text
/// R2_b = sum_t p_b (2 y - p) / sum_t y^2
/// ```
///
/// which sums to `R2 = 1 - sum (y - p)^2 / sum y^2`. What the intercept (less the mean of the data) adds is counted apart, as
/// it belongs to no band. A band's share can be negative, or above the joint R2, when bands' predictions are correlated.
/// `None` where the data are constant.
///
/// # Errors
/// [`MathError::Shape`] when shapes disagree, [`MathError::NotFinite`], [`MathError::Empty`] without bands.
pub fn split_r2(
    data: ArrayView2<'_, f32>,
    predictions: ArrayView3<'_, f32>,
    intercepts: &[f64],
) -> Result<ScoreSplit, MathError> {
    check(data, predictions)?;
    require_shape("intercepts", intercepts.len(), data.ncols(), "one for each target")?;
    if let Some((column, &found)) = intercepts.iter().enumerate().find(|(_, v)| !v.is_finite()) {
        return Err(MathError::NotFinite { what: "intercepts", row: 0, column, found });
    }
    let n_samples = data.nrows() as f64;
    Ok(by_target(data, predictions, |target, y, bands| {
        let mean = y.iter().sum::<f64>() / n_samples;
        let offset = intercepts[target] - mean;
        let power: f64 = y.iter().map(|v| (v - mean) * (v - mean)).sum();
        let mut parts = vec![0.0; bands.len() + 1];
        for (row, value) in y.iter().enumerate() {
            let joint = offset + bands.iter().map(|band| band[row]).sum::<f64>();
            let reach = 2.0 * (value - mean) - joint;
            for (part, band) in parts.iter_mut().zip(bands) {
                *part += band[row] * reach;
            }
            parts[bands.len()] += offset * reach;
        }
        parts.iter_mut().for_each(|part| *part /= power);
        parts
    }))
}

/// Splits Pearson's r over bands: the covariance of the data with each band's prediction, in units of the joint one's r.
///
/// `data` is n_samples x n_targets, `predictions` n_bands x n_samples x n_targets. `r_b = cov(y, p_b) / (sd(y) sd(p))` with
/// `p = sum_b p_b`, as himalaya's `correlation_score_split`. `None` where the data or the joint prediction are constant.
///
/// # Errors
/// [`MathError::Shape`] when shapes disagree, [`MathError::NotFinite`], [`MathError::Empty`] without bands.
pub fn split_correlation(data: ArrayView2<'_, f32>, predictions: ArrayView3<'_, f32>) -> Result<ScoreSplit, MathError> {
    check(data, predictions)?;
    let n_samples = data.nrows() as f64;
    Ok(by_target(data, predictions, |_, y, bands| {
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / n_samples;
        let y_mean = mean(&mut y.iter().copied());
        let joint: Vec<f64> = (0..y.len()).map(|row| bands.iter().map(|band| band[row]).sum()).collect();
        let joint_mean = mean(&mut joint.iter().copied());
        let power = |values: &[f64], mean: f64| values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
        let joint_power = power(&joint, joint_mean);
        if joint_power <= CONSTANT_SHARE * n_samples * joint_mean * joint_mean {
            return Vec::new();
        }
        let size = power(y, y_mean).sqrt() * joint_power.sqrt();
        let covariance = |band: &Vec<f64>| {
            // Data about their mean sum to 0, so the mean of the band needs no subtraction beyond that of rounding.
            let band_mean = mean(&mut band.iter().copied());
            y.iter().zip(band).map(|(v, p)| (v - y_mean) * (p - band_mean)).sum::<f64>() / size
        };
        bands.iter().map(covariance).chain([0.0]).collect()
    }))
}

fn check(data: ArrayView2<'_, f32>, predictions: ArrayView3<'_, f32>) -> Result<(), MathError> {
    let (n_bands, n_samples, n_targets) = predictions.dim();
    if n_bands == 0 {
        return Err(MathError::Empty { what: "bands" });
    }
    require_shape("rows of the predictions", n_samples, data.nrows(), "one row for each sample")?;
    require_shape("columns of the predictions", n_targets, data.ncols(), "one column for each target")?;
    require_finite("data", data)?;
    for (band, prediction) in predictions.outer_iter().enumerate() {
        require_finite("prediction", prediction)
            .map_err(|reason| MathError::InBand { band, reason: Box::new(reason) })?;
    }
    Ok(())
}

/// Runs `parts` on every target that varies; it returns one part for each band and that of the intercept, or none where
/// the score does not exist.
fn by_target(
    data: ArrayView2<'_, f32>,
    predictions: ArrayView3<'_, f32>,
    parts: impl Fn(usize, &[f64], &[Vec<f64>]) -> Vec<f64> + Sync,
) -> ScoreSplit {
    let (n_bands, _, n_targets) = predictions.dim();
    let blocks: Vec<Vec<Vec<f64>>> = (0..n_targets.div_ceil(COLUMN_BLOCK))
        .into_par_iter()
        .map(|block| {
            let start = block * COLUMN_BLOCK;
            let y = stored_by_row(column_block(data, start, COLUMN_BLOCK.min(n_targets - start)));
            let columns = Columns::of(&y);
            let part = |j: usize| {
                if columns.is_constant(j) {
                    return Vec::new();
                }
                let wide = |column: ndarray::ArrayView1<'_, f32>| -> Vec<f64> {
                    column.iter().map(|&v| f64::from(v)).collect()
                };
                let bands: Vec<Vec<f64>> =
                    predictions.outer_iter().map(|band| wide(band.index_axis(Axis(1), start + j))).collect();
                parts(start + j, &wide(y.column(j)), &bands)
            };
            (0..y.ncols()).map(part).collect()
        })
        .collect();
    let by_target: Vec<Vec<f64>> = blocks.into_iter().flatten().collect();
    ScoreSplit {
        bands: Array2::from_shape_fn((n_bands, n_targets), |(band, target)| by_target[target].get(band).copied()),
        intercept: by_target.iter().map(|parts| parts.get(n_bands).copied()).collect(),
        joint: by_target.iter().map(|parts| (!parts.is_empty()).then(|| parts.iter().sum())).collect(),
    }
}
