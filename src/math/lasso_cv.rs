//! Lasso regression of many targets on shared features, penalties chosen by cross-validation.
//!
//! Owns the objective, its options and results, and the choice of the penalty per target. Under `lasso_cv/`, `grid.rs`
//! lays penalties out, `features.rs` holds the features of one set of samples, `path.rs` follows the paths of a block of
//! targets, `working.rs` descends on a working set (with `factor.rs`), and `refit.rs` fits the chosen penalties. The lasso with one penalty
//! on a dictionary, without intercept or validation, is [`super::lasso`].

mod factor;
mod features;
mod grid;
mod path;
mod refit;
mod working;

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::features::{Features, HeldOutFeatures};
use self::grid::Grid;
use self::path::{Block, follow};
use self::refit::{amend, refit};
use super::MathError;
use super::error::{require_finite, require_shape};
use super::folds::{Fold, require_folds};
use super::ridge::CvScore;
use super::scores::column_block;

/// Targets whose paths one task follows in step.
const TARGET_BLOCK: usize = 64;

/// The penalties that are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LassoAlphas {
    /// These, positive and strictly ascending, for every target.
    Listed(Vec<f64>),
    /// A grid for each target: evenly spaced logarithms from the smallest penalty whose model is empty, down to a share of
    /// it.
    Path {
        /// Penalties, 2 or more.
        n_alphas: usize,
        /// The smallest penalty as a share of the largest, above 0 and below 1.
        smallest_share: f64,
    },
}

impl Default for LassoAlphas {
    /// Twenty penalties over three decades.
    fn default() -> Self {
        Self::Path { n_alphas: 20, smallest_share: 1e-3 }
    }
}

/// Which inner products of features are formed ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LassoForm {
    /// `Gram` for up to 512 features, or up to 6000 that are no more than twice the samples; else `WorkingSet`.
    #[default]
    Auto,
    /// All of them (n_features x n_features), once for all targets.
    Gram,
    /// Those of the features in the running, for every target; gradients come from residuals.
    WorkingSet,
}

/// How lasso regressions are fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct LassoOptions {
    /// The penalties that are compared.
    pub alphas: LassoAlphas,
    /// What penalties are compared by on held-out samples.
    pub score: CvScore,
    /// Centre features and targets within the samples fitted on, so that the intercept is not penalised.
    pub intercept: bool,
    /// Divide features by their standard deviation within the samples fitted on; a constant feature is left alone.
    pub scale_features: bool,
    /// Which inner products are formed ahead.
    pub form: LassoForm,
    /// Leave features out by the sequential strong rule; the result is the same without, only later.
    pub screening: bool,
    /// Duality gap, relative to the mean square of the target, at which a descent stops.
    pub tolerance: f64,
    /// Sweeps over the working set after which a descent is given up and counted.
    pub max_sweeps: usize,
}

impl Default for LassoOptions {
    /// A path of twenty penalties compared by R2, intercept, gap of 1e-10.
    fn default() -> Self {
        Self {
            alphas: LassoAlphas::default(),
            score: CvScore::default(),
            intercept: true,
            scale_features: false,
            form: LassoForm::default(),
            screening: true,
            tolerance: 1e-10,
            max_sweeps: 20_000,
        }
    }
}

/// A caveat of fitted lasso regressions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LassoWarning {
    /// This many targets chose the smallest or the largest penalty, the latter with features in the model: the grid may be
    /// too narrow.
    AlphaAtGridEdge {
        /// Targets at the smallest penalty.
        n_at_smallest: usize,
        /// Targets at the largest penalty whose model is not empty.
        n_at_largest: usize,
    },
    /// This many targets have no feature in their model and predict their mean.
    EmptyModels {
        /// How many, targets that could not be scored aside.
        n_targets: usize,
    },
    /// The duality gap of this many targets was above the tolerance after the last sweep.
    Unconverged {
        /// Targets with such a descent on some fold and penalty.
        n_in_folds: usize,
        /// Targets with such a descent in the refit, whose coefficients are approximate.
        n_in_refit: usize,
    },
    /// This many targets are constant in every held-out fold; no penalty could be chosen and they predict their mean.
    UnscoredTargets {
        /// How many.
        n_targets: usize,
    },
    /// These features do not vary over all samples; their coefficients are 0.
    ConstantFeatures {
        /// Columns of `x`, ascending.
        columns: Vec<usize>,
    },
}

/// Lasso regressions with one penalty for each target.
#[derive(Debug, Clone, PartialEq)]
pub struct LassoFit {
    /// Coefficients in the units of the features (n_features x n_targets).
    pub coefficients: Array2<f32>,
    /// Intercepts (n_targets), 0 without `intercept`.
    pub intercepts: Vec<f32>,
    /// Caveats of these fits.
    pub warnings: Vec<LassoWarning>,
}

impl LassoFit {
    /// Predicts new samples (n_samples x n_features), `X b + b0`.
    ///
    /// # Errors
    /// [`MathError::Shape`] when the number of features differs, [`MathError::NotFinite`].
    pub fn predict(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f32>, MathError> {
        require_shape("columns of x", x.ncols(), self.coefficients.nrows(), "the features fitted on")?;
        require_finite("x", x)?;
        let mut prediction = super::blas::matmul(x, self.coefficients.view());
        for mut row in prediction.outer_iter_mut() {
            row.iter_mut().zip(&self.intercepts).for_each(|(p, b0)| *p += b0);
        }
        Ok(prediction)
    }
}

/// Lasso regressions whose penalties were chosen by cross-validation.
#[derive(Debug, Clone, PartialEq)]
pub struct LassoCv {
    /// The refit on all samples.
    pub fit: LassoFit,
    /// The chosen penalty of each target (n_targets); `None` for a target that no fold could score.
    pub best_alphas: Vec<Option<f64>>,
    /// Its index in the ascending grid (n_targets).
    pub best_indices: Vec<Option<usize>>,
    /// Mean score over folds (n_alphas x n_targets), penalties ascending; `None` where no fold could score the target.
    pub cv_scores: Array2<Option<f32>>,
}

/// Fits lasso regressions of `y` (n_samples x n_targets) on `x` (n_samples x n_features), choosing a penalty for each.
///
/// Minimises for each target, scikit-learn's objective,
///
/// ```text
/// 1 / (2 n) ||y - X b - b0||^2 + alpha ||b||_1        n the samples fitted on, b0 not penalised
/// ```
///
/// by cyclic coordinate descent with covariance updates (Friedman, Hastie and Tibshirani 2010, section 2.2) along the
/// descending penalties, each starting from the solution before it, with a joint step of all coefficients that are not 0
/// now and then (Lee et al. 2006, feature-sign search). The descent runs on a working set: what is not 0, and
/// what the sequential strong rule keeps, `|x_j'r / n| >= 2 alpha_k - alpha_(k-1)` (Tibshirani et al. 2012, eq. 7). Then
/// the optimality conditions of all features are checked; those that violate them join and the descent resumes, until the
/// duality gap *of the whole problem* is below `tolerance` times the mean square of the target. A gap of `g` bounds the
/// distance of the fitted values from those of the minimum by `sqrt(2 n g)`. Where features are collinear the minimum is
/// shared by many coefficients, and the one found depends on their order.
///
/// With many more features than samples the inner products of all features are not formed; the working set has its own,
/// never larger than what is in the running, and residuals of a block of targets give all gradients by one product. (Updates
/// of the residual at every coordinate cost as much as the working set's own products after a few sweeps.)
///
/// The penalty is chosen by the mean over folds of the held-out score; equal scores go to the larger penalty, and a fold in
/// which a target is constant does not count for it. A grid of [`LassoAlphas::Path`] is laid out on all samples, for each
/// target from its own `max_j |x_j'y| / n`, as in scikit-learn's `LassoCV` (which compares mean squared errors: the same
/// choice where the held-out variances of the folds are equal).
///
/// All sums are f64. Folds run one after another, blocks of targets in parallel; memory is the features of one fold in f64,
/// their products in `Gram` form, and n_features numbers for each target of a block.
///
/// # Errors
/// [`MathError::Empty`] without samples, features, penalties or folds; [`MathError::Parameter`] for a penalty that is not
/// positive (0 is [`super::ols`]) or not above the one before it, or an option out of range; [`MathError::Index`] and
/// [`MathError::TooFew`] for a fold that points outside the samples or is empty on one side; [`MathError::Shape`];
/// [`MathError::NotFinite`].
pub fn lasso_cv(
    x: ArrayView2<'_, f32>,
    y: ArrayView2<'_, f32>,
    folds: &[Fold],
    options: &LassoOptions,
) -> Result<LassoCv, MathError> {
    check(x, y, options)?;
    require_folds(folds, x.nrows())?;
    let grid = Grid::of(x, y, options)?;
    let (n_alphas, n_targets) = (grid.n_alphas(), y.ncols());
    let mut sums = Array2::<f64>::zeros((n_alphas, n_targets));
    let mut n_scored = vec![0usize; n_targets];
    let mut is_converged = vec![true; n_targets];
    for fold in folds {
        let features = Features::of(x, &fold.train, options);
        let held_out = HeldOutFeatures::of(x, &fold.validation, &features);
        sums.axis_chunks_iter_mut(Axis(1), TARGET_BLOCK)
            .into_par_iter()
            .zip(n_scored.par_chunks_mut(TARGET_BLOCK))
            .zip(is_converged.par_chunks_mut(TARGET_BLOCK))
            .enumerate()
            .for_each(|(index, ((mut sums, n_scored), is_converged))| {
                let first = index * TARGET_BLOCK;
                let y = column_block(y, first, n_scored.len());
                let mut block = Block::of(&features, y);
                let data = held_out.data(y, &block.mean);
                for (n, is_constant) in n_scored.iter_mut().zip(&data.is_constant) {
                    *n += usize::from(!is_constant);
                }
                for alpha in (0..n_alphas).rev() {
                    let alphas: Vec<f64> = (0..n_scored.len()).map(|j| grid.alpha(alpha, first + j)).collect();
                    follow(&mut block, &features, &alphas, options);
                    for (j, target) in block.targets.iter().enumerate() {
                        is_converged[j] &= target.is_converged;
                        if !data.is_constant[j] {
                            sums[[alpha, j]] += held_out.score(&data, j, &target.working, options.score);
                        }
                    }
                }
            });
    }
    let cv_scores = Array2::from_shape_fn((n_alphas, n_targets), |(alpha, target)| {
        (n_scored[target] > 0).then(|| (sums[[alpha, target]] / n_scored[target] as f64) as f32)
    });
    let best_indices: Vec<Option<usize>> = (0..n_targets)
        .map(|target| {
            // On equal scores the later, larger penalty.
            (n_scored[target] > 0)
                .then(|| (0..n_alphas).max_by(|&a, &b| sums[[a, target]].total_cmp(&sums[[b, target]])))
                .flatten()
        })
        .collect();
    let best_alphas: Vec<Option<f64>> =
        best_indices.iter().enumerate().map(|(target, best)| best.map(|best| grid.alpha(best, target))).collect();
    // An infinite penalty gives the empty model.
    let refit_alphas: Vec<f64> = best_alphas.iter().map(|alpha| alpha.unwrap_or(f64::INFINITY)).collect();
    let mut fit = refit(x, y, &refit_alphas, options);
    let n_in_folds = is_converged.iter().filter(|c| !**c).count();
    amend(&mut fit, n_in_folds, &best_indices, n_alphas);
    Ok(LassoCv { fit, best_alphas, best_indices, cv_scores })
}

/// Fits lasso regressions with given penalties, one for each target (n_targets).
///
/// The objective and its solution are those of [`lasso_cv`], whose `alphas` and `score` are not used here. Each target
/// descends from its empty model in ten steps.
///
/// # Errors
/// As [`lasso_cv`], and [`MathError::Shape`] unless there is one penalty for each target.
pub fn lasso(
    x: ArrayView2<'_, f32>,
    y: ArrayView2<'_, f32>,
    alphas: &[f64],
    options: &LassoOptions,
) -> Result<LassoFit, MathError> {
    check(x, y, options)?;
    require_shape("penalties", alphas.len(), y.ncols(), "one for each column of y")?;
    alphas.iter().try_for_each(|&alpha| require_alpha(alpha, 0.0))?;
    Ok(refit(x, y, alphas, options))
}

fn require_alpha(alpha: f64, previous: f64) -> Result<(), MathError> {
    if alpha.is_finite() && alpha > previous {
        return Ok(());
    }
    Err(MathError::Parameter {
        name: "alphas",
        found: alpha,
        expected: "positive numbers, in strictly ascending order where they form a grid",
    })
}

fn check(x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>, options: &LassoOptions) -> Result<(), MathError> {
    for (what, n) in [("samples", x.nrows()), ("features", x.ncols())] {
        if n == 0 {
            return Err(MathError::Empty { what });
        }
    }
    require_shape("rows of y", y.nrows(), x.nrows(), "one row for each row of x")?;
    if !(options.tolerance > 0.0 && options.tolerance < 1.0) {
        return Err(MathError::Parameter {
            name: "tolerance",
            found: options.tolerance,
            expected: "a number above 0 and below 1",
        });
    }
    if options.max_sweeps == 0 {
        return Err(MathError::Parameter { name: "max_sweeps", found: 0.0, expected: "1 or more" });
    }
    require_finite("x", x)?;
    require_finite("y", y)
}

#[cfg(test)]
mod tests;
