//! How well least squares predicts samples it was not fitted on.
//!
//! Owns the fit on each fold and the mean of its scores; which samples validate which is in
//! [`crate::math::folds`].

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::TARGET_BLOCK;
use super::blocks::Targets;
use super::design::Design;
use crate::math::MathError;
use crate::math::blas::matmul;
use crate::math::error::{require_finite, require_shape};
use crate::math::folds::{Fold, require_folds};
use crate::math::scores::{Columns, column_block, stored_by_row};

/// How least squares is cross-validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldOutOptions {
    /// Fit a constant besides the features.
    pub intercept: bool,
    /// Keep the predictions, not only their scores.
    pub predictions: bool,
}

impl Default for HeldOutOptions {
    /// An intercept; scores and predictions.
    fn default() -> Self {
        Self { intercept: true, predictions: true }
    }
}

/// A caveat of held-out predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldOutWarning {
    /// In this fold the features span fewer dimensions than there are, so coefficients of least norm predict: samples
    /// that break the dependence seen in the fit are predicted arbitrarily.
    RankDeficient {
        /// Index of the fold.
        fold: usize,
        /// Dimensions that the features span among the samples fitted on.
        rank: usize,
        /// Features there are.
        n_features: usize,
    },
}

/// Predictions of held-out samples and their scores.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// For each fold the predictions of its validation rows in their order (n_validation x n_targets), if asked for.
    pub predictions: Option<Vec<Array2<f32>>>,
    /// Mean over folds of Pearson's r (n_targets), of folds in which neither data nor prediction is constant; `None`
    /// where there is none.
    pub r: Vec<Option<f64>>,
    /// Mean over folds of R2 (n_targets), of folds in which the data are not constant; `None` where there is none.
    pub r2: Vec<Option<f64>>,
    /// Caveats of these predictions.
    pub warnings: Vec<HeldOutWarning>,
}

/// Fits ordinary least squares on the training rows of each fold and predicts its validation rows.
///
/// `x` (n_samples x n_features), `y` (n_samples x n_targets). Where the features of a fold are dependent the coefficients
/// of least norm are used, on features divided by their norms. R2 is about the mean of the held-out data
/// ([`r2_columns`](crate::math::scores::r2_columns)). All sums of the fit are f64.
///
/// # Errors
/// [`MathError::Empty`] without features or folds; [`MathError::Index`] and [`MathError::TooFew`] for a fold that points
/// outside the samples or is empty on one side; [`MathError::Shape`]; [`MathError::NotFinite`]; [`MathError::Lapack`].
pub fn held_out(
    x: ArrayView2<'_, f32>,
    y: ArrayView2<'_, f32>,
    folds: &[Fold],
    options: HeldOutOptions,
) -> Result<HeldOut, MathError> {
    require_shape("rows of y", y.nrows(), x.nrows(), "one row for each row of x")?;
    require_finite("x", x)?;
    require_finite("y", y)?;
    require_folds(folds, x.nrows())?;
    let n_targets = y.ncols();
    let mut sums = [vec![(0.0, 0usize); n_targets], vec![(0.0, 0usize); n_targets]];
    let mut predictions = Vec::new();
    let mut warnings = Vec::new();
    for (index, fold) in folds.iter().enumerate() {
        let design = Design::of(x.select(Axis(0), &fold.train).view(), options.intercept)?;
        if design.rank() < x.ncols() {
            warnings.push(HeldOutWarning::RankDeficient { fold: index, rank: design.rank(), n_features: x.ncols() });
        }
        let placed = design.place(x.select(Axis(0), &fold.validation).view());
        let mut kept = Array2::zeros(if options.predictions { (placed.nrows(), n_targets) } else { (0, n_targets) });
        let scores: Vec<[Vec<Option<f64>>; 2]> = kept
            .axis_chunks_iter_mut(Axis(1), TARGET_BLOCK)
            .into_par_iter()
            .enumerate()
            .map(|(block, mut kept)| {
                let y = column_block(y, block * TARGET_BLOCK, kept.ncols());
                let prediction = predict(&design, &placed, y, &fold.train);
                let data = stored_by_row(y.select(Axis(0), &fold.validation).view());
                if options.predictions {
                    kept.assign(&prediction);
                }
                let columns = Columns::of(&data);
                [columns.pearson(&data, &prediction), columns.r2(&data, &prediction)]
            })
            .collect();
        for (kind, sums) in sums.iter_mut().enumerate() {
            for (sum, score) in sums.iter_mut().zip(scores.iter().flat_map(|block| &block[kind])) {
                if let Some(score) = score {
                    *sum = (sum.0 + score, sum.1 + 1);
                }
            }
        }
        predictions.push(kept);
    }
    let [r, r2] = sums.map(|sums| sums.into_iter().map(|(sum, n)| (n > 0).then(|| sum / n as f64)).collect());
    Ok(HeldOut { predictions: options.predictions.then_some(predictions), r, r2, warnings })
}

/// Predictions for one block of targets, from a fit on the rows `train`.
fn predict(design: &Design, placed: &Array2<f64>, y: ArrayView2<'_, f32>, train: &[usize]) -> Array2<f32> {
    let all: Vec<usize> = (0..y.ncols()).collect();
    let targets = Targets::gather(y.select(Axis(0), train).view(), &all, design.intercept);
    let loadings = matmul(design.basis.t(), targets.values.view());
    let mut prediction = matmul(placed.view(), loadings.view());
    for mut row in prediction.outer_iter_mut() {
        row.iter_mut().zip(&targets.mean).for_each(|(v, m)| *v += m);
    }
    prediction.mapv(|v| v as f32)
}
