//! What each feature of a fitted ridge regression adds to held-out prediction, without fitting it again.
//!
//! Owns the step from weights to the R2 without one feature, and the R2 of one feature alone. It does not choose penalties
//! ([`super::ridge`] does) and holds no targets: a caller streams them in pieces.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::MathError;
use super::blas::{matmul, single_thread_blas};
use super::eigen::symmetric_eigen;
use super::error::{require_finite, require_shape};
use super::projection::RANK_CUTOFF;
use super::scores::is_constant;
use super::series::column_means;

/// Targets scored by one task.
const TARGET_BLOCK: usize = 256;

/// A caveat of the shares of features.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SharesWarning {
    /// Features are too nearly dependent for this penalty, so its targets have no unique R2.
    IllConditioned {
        /// The penalty.
        alpha: f64,
        /// Smallest over largest eigenvalue of `X'X + alpha I`.
        reciprocal_condition: f64,
        /// Targets that chose it.
        n_targets: usize,
    },
}

/// Shares of features for some targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    /// R2 of all features minus R2 without the feature (n_features x n_targets).
    pub unique: Array2<Option<f64>>,
    /// R2 of the feature alone (n_features x n_targets).
    pub alone: Array2<Option<f64>>,
    /// R2 of all features (n_targets); `None` for a target that is constant in the test samples or has no penalty.
    pub full: Vec<Option<f64>>,
    /// Caveats.
    pub warnings: Vec<SharesWarning>,
}

/// Test series by which predictions change when a feature is left out, at one penalty.
#[derive(Debug)]
struct Removal {
    /// `z` (n_test x n_features)
    series: Array2<f64>,
    /// `z'z` of each feature.
    power: Vec<f64>,
}

/// Features, penalties and test samples, ready for any number of targets.
///
/// For `b = A^-1 X'y` with `A = X'X + alpha I` and features and targets centred on training samples, as
/// [`Ridge`](super::ridge::Ridge) has it with an intercept and unscaled features, leaving out feature k at the same penalty gives
///
/// ```text
/// b - A^-1[:, k] b_k / A^-1[k, k]
/// ```
///
/// (a block elimination of the normal equations; for `alpha = 0` the drop of one regressor from least squares). So test
/// predictions lose `b_k z_k` with one series `z_k = X_test A^-1[:, k] / A^-1[k, k]` for all targets of a penalty, and with
/// residuals `e = y - y_hat`
///
/// ```text
/// R2 - R2_without_k = (2 b_k e'z_k + b_k^2 z_k'z_k) / ||y - mean y||^2
/// ```
///
/// The penalty is not chosen anew without the feature. Unique R2 may be negative, where a feature harms, and does not add up to R2.
/// All sums are f64.
///
/// Memory: for each penalty one series a feature (n_test x n_features) in f64, and the features.
#[derive(Debug)]
pub struct FeatureShares {
    alphas: Vec<f64>,
    x_train: Array2<f64>,
    x_test: Array2<f64>,
    train_power: Vec<f64>,
    test_power: Vec<f64>,
    /// For each penalty, or how badly it is conditioned.
    removals: Vec<Result<Removal, f64>>,
}

impl FeatureShares {
    /// Prepares features `x_train` (n_samples x n_features), test samples `x_test` (n_test x n_features) and penalties.
    ///
    /// A penalty of 0 is least squares. Where the smallest eigenvalue of `A` is below [`RANK_CUTOFF`] times the largest, unique
    /// R2 at that penalty is absent and [`SharesWarning::IllConditioned`] says so.
    ///
    /// # Errors
    /// [`MathError::Empty`] without samples, features or penalties, [`MathError::Parameter`] for a penalty below 0,
    /// [`MathError::Shape`], [`MathError::NotFinite`], [`MathError::Lapack`].
    pub fn new(x_train: ArrayView2<'_, f32>, x_test: ArrayView2<'_, f32>, alphas: &[f64]) -> Result<Self, MathError> {
        for (what, n) in [
            ("samples", x_train.nrows()),
            ("features", x_train.ncols()),
            ("test samples", x_test.nrows()),
            ("alphas", alphas.len()),
        ] {
            if n == 0 {
                return Err(MathError::Empty { what });
            }
        }
        require_shape("columns of x_test", x_test.ncols(), x_train.ncols(), "the features fitted on")?;
        require_finite("x_train", x_train)?;
        require_finite("x_test", x_test)?;
        if let Some(&found) = alphas.iter().find(|alpha| !alpha.is_finite() || **alpha < 0.0) {
            return Err(MathError::Parameter { name: "alphas", found, expected: "numbers from 0 up" });
        }
        let mean = Array1::from_vec(column_means(x_train));
        let (x_train, x_test) = (x_train.mapv(f64::from) - &mean, x_test.mapv(f64::from) - &mean);
        let eigen = symmetric_eigen(matmul(x_train.t(), x_train.view()))?;
        let values = eigen.values.mapv(|w| w.max(0.0));
        let placed = matmul(x_test.view(), eigen.vectors.view());
        let removal = |&alpha: &f64| {
            let (smallest, largest) = (values[0] + alpha, values[values.len() - 1] + alpha);
            if smallest <= RANK_CUTOFF * largest {
                return Err(if largest > 0.0 { smallest / largest } else { 0.0 });
            }
            let scaled = &eigen.vectors / &values.mapv(|w| w + alpha);
            let diagonal: Array1<f64> =
                scaled.outer_iter().zip(eigen.vectors.outer_iter()).map(|(a, b)| a.dot(&b)).collect();
            let series = matmul(placed.view(), scaled.t()) / &diagonal;
            let power = powers(&series);
            Ok(Removal { series, power })
        };
        let removals = alphas.iter().map(removal).collect();
        let (train_power, test_power) = (powers(&x_train), powers(&x_test));
        Ok(Self { alphas: alphas.to_vec(), x_train, x_test, train_power, test_power, removals })
    }

    /// Scores targets fitted with `weights` (n_features x n_targets) at the penalty that `alpha_of_target` points to.
    ///
    /// `y_train` (n_samples x n_targets) are the targets fitted on, `y_test` (n_test x n_targets) those scored on; R2 is about
    /// the mean of the test samples, as [`r2_columns`](super::scores::r2_columns) has it. A target whose penalty is `None` has no
    /// scores.
    ///
    /// # Errors
    /// [`MathError::Shape`], [`MathError::NotFinite`], [`MathError::Index`] for a penalty that does not exist.
    pub fn shares(
        &self,
        y_train: ArrayView2<'_, f32>,
        y_test: ArrayView2<'_, f32>,
        weights: ArrayView2<'_, f32>,
        alpha_of_target: &[Option<usize>],
    ) -> Result<Shares, MathError> {
        single_thread_blas();
        let (n_features, n_targets) = (self.x_train.ncols(), y_test.ncols());
        require_shape("rows of y_train", y_train.nrows(), self.x_train.nrows(), "one row for each row of x_train")?;
        require_shape("rows of y_test", y_test.nrows(), self.x_test.nrows(), "one row for each row of x_test")?;
        require_shape("rows of the weights", weights.nrows(), n_features, "one row for each feature")?;
        let hint = "one column for each target of y_test";
        require_shape("columns of y_train", y_train.ncols(), n_targets, hint)?;
        require_shape("columns of the weights", weights.ncols(), n_targets, hint)?;
        require_shape("penalties of targets", alpha_of_target.len(), n_targets, hint)?;
        for (what, array) in [("y_train", y_train), ("y_test", y_test), ("weights", weights)] {
            require_finite(what, array)?;
        }
        if let Some(&found) = alpha_of_target.iter().flatten().find(|alpha| **alpha >= self.alphas.len()) {
            return Err(MathError::Index { name: "alpha_of_target", found, expected: self.alphas.len() });
        }
        let mut unique = Array2::from_elem((n_features, n_targets), None);
        let mut alone = unique.clone();
        let full: Vec<Vec<Option<f64>>> = unique
            .axis_chunks_iter_mut(Axis(1), TARGET_BLOCK)
            .into_par_iter()
            .zip(alone.axis_chunks_iter_mut(Axis(1), TARGET_BLOCK))
            .enumerate()
            .map(|(block, (unique, alone))| {
                let targets = block * TARGET_BLOCK..block * TARGET_BLOCK + unique.ncols();
                let cut = |array: ArrayView2<'_, f32>| array.slice(s![.., targets.clone()]).mapv(f64::from);
                let block = Block {
                    y_train: cut(y_train),
                    y_test: cut(y_test),
                    weights: cut(weights),
                    alphas: &alpha_of_target[targets.clone()],
                };
                self.score(block, unique, alone)
            })
            .collect();
        let ill_conditioned = |(index, removal): (usize, &Result<Removal, f64>)| {
            let n_targets = alpha_of_target.iter().filter(|alpha| **alpha == Some(index)).count();
            let reciprocal_condition = removal.as_ref().err().copied().filter(|_| n_targets > 0)?;
            Some(SharesWarning::IllConditioned { alpha: self.alphas[index], reciprocal_condition, n_targets })
        };
        Ok(Shares {
            unique,
            alone,
            full: full.concat(),
            warnings: self.removals.iter().enumerate().filter_map(ill_conditioned).collect(),
        })
    }

    fn score(
        &self,
        block: Block<'_>,
        mut unique: ndarray::ArrayViewMut2<'_, Option<f64>>,
        mut alone: ndarray::ArrayViewMut2<'_, Option<f64>>,
    ) -> Vec<Option<f64>> {
        let Block { mut y_train, y_test, weights, alphas } = block;
        let n_test = y_test.nrows() as f64;
        let train_mean = y_train.mean_axis(Axis(0)).expect("there are samples");
        let test_mean = y_test.mean_axis(Axis(0)).expect("there are test samples");
        y_train -= &train_mean;
        let total = powers(&(&y_test - &test_mean));
        let is_scored: Vec<bool> = (0..total.len())
            .map(|j| alphas[j].is_some() && !is_constant(total[j], test_mean[j], n_test as usize))
            .collect();

        // Test data about the training mean, which is what no feature at all predicts.
        let about_mean = y_test - &train_mean;
        let about_power = powers(&about_mean);
        let with_train = self.x_train.t().dot(&y_train);
        let with_test = self.x_test.t().dot(&about_mean);
        let residual = about_mean - self.x_test.dot(&weights);
        let residual_power = powers(&residual);

        for j in (0..total.len()).filter(|&j| is_scored[j]) {
            let alpha = self.alphas[alphas[j].expect("a scored target has a penalty")];
            for k in 0..weights.nrows() {
                let power = self.train_power[k] + alpha;
                let b = if power > 0.0 { with_train[[k, j]] / power } else { 0.0 };
                let left = about_power[j] - 2.0 * b * with_test[[k, j]] + b * b * self.test_power[k];
                alone[[k, j]] = Some(1.0 - left / total[j]);
            }
        }
        for (index, removal) in self.removals.iter().enumerate() {
            let Ok(removal) = removal else { continue };
            let targets: Vec<usize> = (0..total.len()).filter(|&j| is_scored[j] && alphas[j] == Some(index)).collect();
            if targets.is_empty() {
                continue;
            }
            let with_residual = removal.series.t().dot(&residual.select(Axis(1), &targets));
            for ((k, at), &product) in with_residual.indexed_iter() {
                let (j, power) = (targets[at], removal.power[k]);
                let b = weights[[k, j]];
                unique[[k, j]] = Some((2.0 * b * product + b * b * power) / total[j]);
            }
        }
        (0..total.len()).map(|j| is_scored[j].then(|| 1.0 - residual_power[j] / total[j])).collect()
    }
}

/// Targets of one task.
struct Block<'a> {
    y_train: Array2<f64>,
    y_test: Array2<f64>,
    weights: Array2<f64>,
    alphas: &'a [Option<usize>],
}

/// Sum of squares of each column.
fn powers(columns: &Array2<f64>) -> Vec<f64> {
    let mut powers = vec![0.0; columns.ncols()];
    for row in columns.outer_iter() {
        powers.iter_mut().zip(row).for_each(|(power, v)| *power += v * v);
    }
    powers
}

#[cfg(test)]
mod tests;
