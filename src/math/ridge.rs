//! Ridge regression of many targets on shared features, penalties chosen by cross-validation.
//!
//! Owns the objective, its primal and dual solution, and the choice of the penalty per target. It does not know which
//! samples may validate which ([`super::folds`]) nor how held-out predictions are judged ([`super::scores`]). What targets share is
//! in `ridge/factors.rs`, the steps that repeat for every block of them in `ridge/blocks.rs`; what it all costs is counted in `ridge/cost.rs`.

mod blocks;
mod cost;
mod factors;
mod inverse;
mod kernel;
mod moments;
mod penalties;

use ndarray::{Array1, Array2, ArrayBase, ArrayView2};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use self::blocks::{gather, subtract_from_rows};
use self::factors::{FoldMap, FullMap, shared_kernel};
use self::inverse::Inverses;
use super::MathError;
use super::blas::matmul;
use super::error::{require_finite, require_shape};
use super::folds::{Fold, require_folds};
use super::products::{OpenBlas, Products};

/// Targets that one task fits: many enough that a product spends little of its time on arranging the other factor.
///
/// Who hands targets to [`Ridge::fit`] in several calls gets the bytes of a single call by cutting at multiples of this.
pub const TARGET_BLOCK: usize = 512;

/// What the penalties of a ridge regression are compared by on held-out samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CvScore {
    /// Coefficient of determination about the held-out mean, as scikit-learn and himalaya use.
    #[default]
    R2,
    /// Pearson correlation; a prediction that does not vary scores 0.
    Pearson,
}

/// Whether each target has a penalty of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AlphaChoice {
    /// Each target takes the penalty that scores best for it.
    #[default]
    PerTarget,
    /// All targets take the penalty with the best mean score over targets.
    Shared,
}

/// Which of two equivalent systems is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RidgeForm {
    /// Primal when there are no more features than samples to fit on, dual otherwise.
    #[default]
    Auto,
    /// Decompose `X'X` (n_features x n_features).
    Primal,
    /// Decompose `XX'` (n_samples x n_samples).
    Dual,
}

/// How a ridge regression is fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct RidgeOptions {
    /// Penalties to choose from, positive and strictly ascending.
    pub alphas: Vec<f64>,
    /// Whether each target has a penalty of its own.
    pub alpha_choice: AlphaChoice,
    /// What penalties are compared by.
    pub score: CvScore,
    /// Centre features and targets within the samples fitted on, so that the intercept is not penalised.
    pub intercept: bool,
    /// Divide features by their standard deviation within the samples fitted on; a constant feature is left alone.
    pub scale_features: bool,
    /// Which system is solved.
    pub form: RidgeForm,
    /// Keep the coefficients (n_features x n_targets) of the refit.
    pub coefficients: bool,
    /// Keep the dual coefficients (n_samples x n_targets) of the refit, if its form is dual.
    pub dual_coefficients: bool,
    /// Targets that are going to be fitted, if their number is known: two orders of the products give the same numbers up to
    /// rounding, and which is faster depends on it.
    pub expected_targets: Option<usize>,
}

impl Default for RidgeOptions {
    /// Ten penalties from 1 to 10^9, one per target by R2, with intercept and coefficients.
    fn default() -> Self {
        Self {
            alphas: (0..10).map(|exponent| 10f64.powi(exponent)).collect(),
            alpha_choice: AlphaChoice::default(),
            score: CvScore::default(),
            intercept: true,
            scale_features: false,
            form: RidgeForm::default(),
            coefficients: true,
            dual_coefficients: false,
            expected_targets: None,
        }
    }
}

/// A caveat of a fitted ridge regression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RidgeWarning {
    /// This many targets chose the smallest or the largest penalty: the grid may be too narrow.
    AlphaAtGridEdge {
        /// Targets at the smallest penalty.
        n_at_smallest: usize,
        /// Targets at the largest penalty.
        n_at_largest: usize,
    },
    /// This many targets are constant in every held-out fold; no penalty could be chosen and they predict their mean.
    UnscoredTargets {
        /// How many.
        n_targets: usize,
    },
}

/// A fitted ridge regression.
#[derive(Debug, Clone, PartialEq)]
pub struct RidgeFit {
    /// Coefficients in the units of the features (n_features x n_targets), if they were asked for.
    pub coefficients: Option<Array2<f32>>,
    /// Intercepts (n_targets), 0 without `intercept`; absent with the coefficients, on which they depend.
    pub intercepts: Option<Vec<f32>>,
    /// Dual coefficients `c` (n_samples x n_targets), if they were asked for and the refit is dual: predictions are `K c` plus the
    /// mean of the target, for the kernel `K` between new samples and those fitted on, both centred (and scaled) as the latter.
    pub dual_coefficients: Option<Array2<f32>>,
    /// Index into `alphas` for each target (n_targets); `None` for a target that no fold could score.
    pub best_alpha: Vec<Option<usize>>,
    /// Mean score over folds (n_alphas x n_targets); `None` where no fold could score the target.
    pub cv_scores: Array2<Option<f32>>,
    /// Caveats of this fit.
    pub warnings: Vec<RidgeWarning>,
}

impl RidgeFit {
    /// Predicts new samples (n_samples x n_features), `X b + b0`; `None` when the coefficients were not kept.
    ///
    /// # Errors
    /// [`MathError::Shape`] when the number of features differs, [`MathError::NotFinite`].
    pub fn predict(&self, x: ArrayView2<'_, f32>) -> Result<Option<Array2<f32>>, MathError> {
        let (Some(coefficients), Some(intercepts)) = (&self.coefficients, &self.intercepts) else {
            return Ok(None);
        };
        require_shape("columns of x", x.ncols(), coefficients.nrows(), "the features fitted on")?;
        require_finite("x", x)?;
        let mut prediction = matmul(x, coefficients.view());
        for mut row in prediction.outer_iter_mut() {
            row.iter_mut().zip(intercepts).for_each(|(p, b0)| *p += b0);
        }
        Ok(Some(prediction))
    }
}

/// Ridge regression whose features are decomposed and whose targets are yet to come.
///
/// Minimises for each target `y` (n_samples) and penalty `alpha`
///
/// ```text
/// ||y - X b - b0||^2 + alpha ||b||^2        X (n_samples x n_features), b (n_features)
/// ```
///
/// (Hoerl and Kennard 1970, eq. 2.2), the intercept `b0` not penalised. With centred `X`, primal: `X'X = V diag(w) V'`,
/// `b = V diag(1 / (w + alpha)) V'X'y`; dual: `XX' = U diag(w) U'`, `b = X'U diag(1 / (w + alpha)) U'y` (Saunders et al.
/// 1998). Every fold is decomposed once, for all targets and all penalties, so the targets may arrive in several calls of
/// [`Ridge::fit`] at no extra cost, and those of several subjects too. The dual form computes one kernel, from which every
/// fold's is cut; where it is well conditioned, one inverse for each penalty serves all folds.
///
/// The penalty is chosen by the mean over folds of the held-out score; equal scores go to the larger penalty. A fold in
/// which a target is constant does not count for that target. The refit uses all samples with the chosen penalty.
///
/// Predictions at different penalties depend on one another: for the spectrum at hand, those at a few penalties determine all
/// others (to 3e-7 of their size), so only those few are computed, and scores follow from their inner products.
///
/// Centring, products that enter a decomposition, the decomposition itself and sums of scores are f64. Products with the
/// targets are f32: their rounding acts as a change of `y` by about 1e-7 of its norm, which the penalised solution does not
/// amplify, since every factor small enough to be divided by is paired with the f64 factor that cancels it.
#[derive(Debug)]
pub struct Ridge<P: Products = OpenBlas> {
    options: RidgeOptions,
    products: P,
    folds: Vec<FoldMap>,
    full: Full,
    n_samples: usize,
    n_features: usize,
}

/// How all samples are fitted.
#[derive(Debug)]
enum Full {
    /// By a decomposition.
    Spectral(Box<FullMap>),
    /// By an inverse for each penalty.
    Inverse(Box<Inverses>),
}

impl Full {
    fn rows(&self) -> &[usize] {
        match self {
            Self::Spectral(full) => full.rows(),
            Self::Inverse(full) => &full.rows,
        }
    }

    fn feature_mean(&self) -> &Array1<f64> {
        match self {
            Self::Spectral(full) => full.feature_mean(),
            Self::Inverse(full) => &full.standard.mean,
        }
    }
}

/// Test samples in the basis of a [`Ridge`], for any number of calls with targets.
#[derive(Debug)]
pub struct PlacedSamples(Placed);

#[derive(Debug)]
enum Placed {
    /// In the basis of the decomposition (n_test x rank).
    Spectral(Array2<f32>),
    /// For each penalty the map from centred targets to predictions (n_test x n_samples).
    PerPenalty(Vec<Array2<f32>>),
}

impl PlacedSamples {
    /// Number of samples.
    #[must_use]
    pub fn n_samples(&self) -> usize {
        match &self.0 {
            Placed::Spectral(basis) => basis.nrows(),
            Placed::PerPenalty(maps) => maps.first().map_or(0, ArrayBase::nrows),
        }
    }
}

impl Ridge {
    /// Decomposes the features `x` (n_samples x n_features) on every fold and on all samples.
    ///
    /// Memory: kept are, for every fold, a matrix of as many held-out samples as there are nodes among the penalties by samples
    /// or features in f32; for the refit, the features in f32 and a square matrix of the smaller side in f64. While it runs, every
    /// thread holds two square matrices of the smaller side in f64.
    ///
    /// # Errors
    /// [`MathError::Empty`] without samples, features, penalties or folds; [`MathError::Parameter`] for a penalty that is
    /// not positive or not above the one before it; [`MathError::Index`] and [`MathError::TooFew`] for a fold that points
    /// outside the samples or is empty on one side; [`MathError::NotFinite`]; [`MathError::Lapack`].
    pub fn factorise(x: ArrayView2<'_, f32>, folds: &[Fold], options: RidgeOptions) -> Result<Self, MathError> {
        Self::factorise_on(OpenBlas, x, folds, options)
    }
}

impl<P: Products> Ridge<P> {
    /// As [`Ridge::factorise`], for targets that are multiplied by `products`.
    ///
    /// # Errors
    /// As [`Ridge::factorise`].
    pub fn factorise_on(
        products: P,
        x: ArrayView2<'_, f32>,
        folds: &[Fold],
        options: RidgeOptions,
    ) -> Result<Self, MathError> {
        check(x, folds, &options)?;
        super::blas::single_thread_blas();
        let shared = shared_kernel(x, folds, &options);
        let (full, maps) = if inverse::is_served(shared.as_ref(), folds, x.ncols(), &options) {
            let shared = shared.expect("inverses are served by a kernel");
            let (full, maps) = Inverses::of(x, folds, shared, &options)?;
            (Full::Inverse(Box::new(full)), maps)
        } else {
            // The refit decomposes most, so it goes first.
            let (full, maps) = rayon::join(
                || FullMap::of(x, shared.as_ref(), &options),
                || {
                    let maps = folds.par_iter().map(|fold| FoldMap::of(x, fold, shared.as_ref(), &options));
                    maps.collect::<Result<Vec<_>, MathError>>()
                },
            );
            (Full::Spectral(Box::new(full?)), maps?)
        };
        Ok(Self { options, products, folds: maps, full, n_samples: x.nrows(), n_features: x.ncols() })
    }

    fn has_dual(&self) -> bool {
        self.options.dual_coefficients && self.options.is_dual(self.n_samples, self.n_features)
    }

    /// Chooses penalties for the targets `y` (n_samples x n_targets) and fits them on all samples.
    ///
    /// Targets are cut into blocks of fixed size that run in parallel; the bytes do not depend on the number of threads.
    ///
    /// # Errors
    /// [`MathError::Shape`] when the number of samples differs, [`MathError::NotFinite`].
    pub fn fit(&self, y: ArrayView2<'_, f32>) -> Result<RidgeFit, MathError> {
        Ok(self.run(y, None)?.0)
    }

    /// Places test samples (n_test x n_features) in the basis of the refit, once for any number of targets.
    ///
    /// # Errors
    /// [`MathError::Shape`] when the number of features differs, [`MathError::NotFinite`].
    pub fn place(&self, x_test: ArrayView2<'_, f32>) -> Result<PlacedSamples, MathError> {
        require_shape("columns of x_test", x_test.ncols(), self.n_features, "the features fitted on")?;
        require_finite("x_test", x_test)?;
        Ok(PlacedSamples(match &self.full {
            Full::Spectral(full) => Placed::Spectral(full.place(x_test)),
            Full::Inverse(full) => Placed::PerPenalty(full.place(x_test)?),
        }))
    }

    /// As [`Ridge::fit`], and predicts placed test samples (n_test x n_targets) without needing the coefficients.
    ///
    /// # Errors
    /// As [`Ridge::fit`].
    pub fn fit_predict_placed(
        &self,
        y: ArrayView2<'_, f32>,
        test: &PlacedSamples,
    ) -> Result<(RidgeFit, Array2<f32>), MathError> {
        let (fit, prediction) = self.run(y, Some(test))?;
        Ok((fit, prediction.expect("test samples were given")))
    }

    /// [`Ridge::place`], then [`Ridge::fit_predict_placed`].
    ///
    /// # Errors
    /// As the two steps.
    pub fn fit_predict(
        &self,
        y: ArrayView2<'_, f32>,
        x_test: ArrayView2<'_, f32>,
    ) -> Result<(RidgeFit, Array2<f32>), MathError> {
        self.fit_predict_placed(y, &self.place(x_test)?)
    }

    fn run(
        &self,
        y: ArrayView2<'_, f32>,
        test: Option<&PlacedSamples>,
    ) -> Result<(RidgeFit, Option<Array2<f32>>), MathError> {
        require_shape("rows of y", y.nrows(), self.n_samples, "one row for each row of x")?;
        require_finite("y", y)?;
        let cv_scores = self.cross_validate(y);
        let best_alpha = self.choose(&cv_scores);
        let refit = self.refit(y, &best_alpha, test);
        let fit = RidgeFit {
            coefficients: refit.coefficients,
            intercepts: refit.intercepts,
            dual_coefficients: refit.dual_coefficients,
            warnings: warnings(&best_alpha, self.options.alphas.len()),
            best_alpha,
            cv_scores,
        };
        Ok((fit, refit.prediction))
    }

    /// Picks the best score of each target; on equal scores the later, larger penalty.
    fn choose(&self, cv_scores: &Array2<Option<f32>>) -> Vec<Option<usize>> {
        let best_of = |scores: &mut dyn Iterator<Item = Option<f64>>| {
            let mut best: Option<(usize, f64)> = None;
            for (alpha, score) in scores.enumerate() {
                if let Some(score) = score
                    && best.is_none_or(|(_, highest)| score >= highest)
                {
                    best = Some((alpha, score));
                }
            }
            best.map(|(alpha, _)| alpha)
        };
        let per_target = || cv_scores.columns().into_iter().map(|c| best_of(&mut c.iter().map(|s| s.map(f64::from))));
        match self.options.alpha_choice {
            AlphaChoice::PerTarget => per_target().collect(),
            AlphaChoice::Shared => {
                let shared = best_of(&mut cv_scores.rows().into_iter().map(|row| {
                    let (sum, n) = row.iter().flatten().fold((0.0, 0usize), |(s, n), &v| (s + f64::from(v), n + 1));
                    (n > 0).then(|| sum / n as f64)
                }));
                per_target().map(|own| own.and(shared)).collect()
            }
        }
    }
}

/// Fits ridge regressions of `y` (n_samples x n_targets) on `x` (n_samples x n_features): [`Ridge::factorise`], then
/// [`Ridge::fit`].
///
/// # Errors
/// As the two steps.
pub fn ridge_cv(
    x: ArrayView2<'_, f32>,
    y: ArrayView2<'_, f32>,
    folds: &[Fold],
    options: RidgeOptions,
) -> Result<RidgeFit, MathError> {
    let expected_targets = options.expected_targets.or(Some(y.ncols()));
    Ridge::factorise(x, folds, RidgeOptions { expected_targets, ..options })?.fit(y)
}

fn warnings(best_alpha: &[Option<usize>], n_alphas: usize) -> Vec<RidgeWarning> {
    let count = |which: Option<usize>| best_alpha.iter().filter(|&&best| best == which).count();
    let mut warnings = Vec::new();
    let (n_at_smallest, n_at_largest) = (count(Some(0)), count(Some(n_alphas - 1)));
    if n_alphas > 1 && n_at_smallest + n_at_largest > 0 {
        warnings.push(RidgeWarning::AlphaAtGridEdge { n_at_smallest, n_at_largest });
    }
    let n_targets = count(None);
    if n_targets > 0 {
        warnings.push(RidgeWarning::UnscoredTargets { n_targets });
    }
    warnings
}

fn check(x: ArrayView2<'_, f32>, folds: &[Fold], options: &RidgeOptions) -> Result<(), MathError> {
    for (what, n) in [("samples", x.nrows()), ("features", x.ncols())] {
        if n == 0 {
            return Err(MathError::Empty { what });
        }
    }
    require_alphas(&options.alphas)?;
    require_folds(folds, x.nrows())?;
    require_finite("x", x)
}

/// Refuses penalties that are not positive or do not ascend.
pub(super) fn require_alphas(alphas: &[f64]) -> Result<(), MathError> {
    if alphas.is_empty() {
        return Err(MathError::Empty { what: "alphas" });
    }
    let mut previous = 0.0;
    for &alpha in alphas {
        if !alpha.is_finite() || alpha <= previous {
            return Err(MathError::Parameter {
                name: "alphas",
                found: alpha,
                expected: "positive numbers in strictly ascending order",
            });
        }
        previous = alpha;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
