//! Banded ridge regression: one penalty for every band of features, chosen for each target by cross-validation.
//!
//! Owns the objective, the options and the result; beside it, in `banded/`, are the kernels of bands (`kernels.rs`), the
//! weights that are tried (`candidates.rs`), the search (`search.rs`, `spectrum.rs`, `moments.rs`), the fit with the chosen
//! weights (`refit.rs`), and what each band explains (`split.rs`, `partition.rs`). With a single band use [`super::ridge`].
//!
//! There is no gradient refinement: on planted data (240 samples, 2000 targets) ten hyper-gradient steps from 20 candidates
//! reached a mean cross-validated R2 of 0.198 with two bands and 0.173 with three, where 20 and 60 candidates on a finer
//! grid of penalties reached 0.199 and 0.176; with eight bands it reached 0.110 against 0.102 of 100 candidates, but
//! weights that no two targets share would cost the refit a factorisation for each target.

mod candidates;
mod kernels;
mod moments;
mod partition;
mod refit;
mod search;
mod spectrum;
mod split;

use ndarray::{Array2, Array3, ArrayView2};
use serde::{Deserialize, Serialize};

pub use self::candidates::Candidates;
pub use self::kernels::{BandKernels, cross_kernels};
pub use self::partition::{PartitionWarning, VariancePart, VariancePartition, band_subsets, partition_variance};
pub use self::split::{ScoreSplit, split_correlation, split_r2};
use super::MathError;
use super::error::{require_finite, require_shape};
use super::folds::{Fold, require_folds};
use super::ridge::{CvScore, require_alphas};

/// A search whose last fifth of candidates raised the mean best score by more than this had not settled.
const SETTLED_GAIN: f64 = 1e-3;

/// How a banded ridge regression is fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct BandedOptions {
    /// Penalties to choose from, positive and strictly ascending.
    pub alphas: Vec<f64>,
    /// Weights of the bands to choose from.
    pub candidates: Candidates,
    /// What pairs of weights and penalty are compared by.
    pub score: CvScore,
    /// Keep the dual weights (n_samples x n_targets, f64) of the refit.
    pub dual_weights: bool,
}

impl Default for BandedOptions {
    /// A hundred candidates, ten penalties from 1 to 10^9, R2, no dual weights.
    fn default() -> Self {
        Self {
            alphas: (0..10).map(|exponent| 10f64.powi(exponent)).collect(),
            candidates: Candidates::default(),
            score: CvScore::default(),
            dual_weights: false,
        }
    }
}

/// A caveat of a banded ridge regression.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BandedWarning {
    /// The features of this band are constant (with an intercept) or 0: it predicts nothing.
    BandWithoutVariance {
        /// Which band, from 0.
        band: usize,
    },
    /// The features of this band are close to copies of one feature.
    LowRankBand {
        /// Which band, from 0.
        band: usize,
        /// Participation ratio of the kernel's eigenvalues, `(sum w)^2 / sum w^2`.
        effective_rank: f64,
    },
    /// Two kernels are multiples of each other: how their bands share weight and variance is arbitrary.
    ProportionalBands {
        /// The earlier band, from 0.
        first: usize,
        /// The later band, from 0.
        second: usize,
    },
    /// This many targets chose the smallest or the largest penalty: the grid may be too narrow.
    AlphaAtGridEdge {
        /// Targets at the smallest penalty.
        n_at_smallest: usize,
        /// Targets at the largest penalty.
        n_at_largest: usize,
    },
    /// This many targets are constant in every held-out fold; nothing could be chosen and they predict their mean.
    UnscoredTargets {
        /// How many.
        n_targets: usize,
    },
    /// The last fifth of the candidates still raised the best score: more candidates may raise it further.
    SearchStillImproving {
        /// Gain of the best score in that fifth, averaged over targets.
        mean_gain: f64,
    },
}

impl BandedWarning {
    /// The warning in the numbering of some bands, if it concerns them alone.
    fn within(&self, bands: &[usize]) -> Option<Self> {
        let place = |band: usize| bands.iter().position(|&b| b == band);
        match *self {
            Self::BandWithoutVariance { band } => Some(Self::BandWithoutVariance { band: place(band)? }),
            Self::LowRankBand { band, effective_rank } => {
                Some(Self::LowRankBand { band: place(band)?, effective_rank })
            }
            Self::ProportionalBands { first, second } => {
                let (a, b) = (place(first)?, place(second)?);
                Some(Self::ProportionalBands { first: a.min(b), second: a.max(b) })
            }
            other => Some(other),
        }
    }
}

/// What a target chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Choice {
    /// Index of the weights among the candidates.
    pub candidate: usize,
    /// Index of the penalty among `alphas`.
    pub alpha: usize,
}

/// A fitted banded ridge regression.
#[derive(Debug, Clone, PartialEq)]
pub struct BandedFit {
    /// The weights that were tried (n_candidates x n_bands).
    pub gammas: Array2<f64>,
    /// The penalties that were tried.
    pub alphas: Vec<f64>,
    /// What each target chose (n_targets); `None` for a target that no fold could score.
    pub best: Vec<Option<Choice>>,
    /// Mean score over folds of each candidate with its best penalty (n_candidates x n_targets); `None` where no fold could
    /// score the target.
    pub cv_scores: Array2<Option<f32>>,
    /// `d = (sum_b gamma_b K_b + alpha I)^-1 (y - b0)` (n_samples x n_targets), if asked for; 0 for an unscored target.
    /// With a penalty within the rounding of the kernel, without the part of `y` that the kernel does not span.
    pub dual_weights: Option<Array2<f64>>,
    /// Intercepts `b0` of the centred bands (n_targets), 0 without intercept.
    pub intercepts: Vec<f64>,
    /// Caveats of the kernels and of this fit.
    pub warnings: Vec<BandedWarning>,
}

impl BandedFit {
    /// `ln(gamma_b / alpha)` of the chosen pair (n_bands x n_targets): the log of the inverse penalty of each band.
    ///
    /// `None` for a band of weight 0, whose penalty is infinite, and for an unscored target.
    pub fn deltas(&self) -> Array2<Option<f64>> {
        Array2::from_shape_fn((self.gammas.ncols(), self.best.len()), |(band, target)| {
            let Choice { candidate, alpha } = self.best[target]?;
            let gamma = self.gammas[[candidate, band]];
            (gamma > 0.0).then(|| (gamma / self.alphas[alpha]).ln())
        })
    }
}

/// Predictions of new samples, band by band.
#[derive(Debug, Clone, PartialEq)]
pub struct BandedPrediction {
    /// What each band adds (n_bands x n_test x n_targets).
    pub bands: Array3<f32>,
    /// What is added to all samples (n_targets): the means of the targets fitted on, 0 without intercept.
    pub intercepts: Vec<f64>,
}

impl BandedPrediction {
    /// The sum over bands and the intercept (n_test x n_targets).
    pub fn joint(&self) -> Array2<f32> {
        let (n_bands, n_test, n_targets) = self.bands.dim();
        let mut joint = Array2::zeros((n_test, n_targets));
        for (row, mut out) in joint.outer_iter_mut().enumerate() {
            for (target, value) in out.iter_mut().enumerate() {
                let sum: f64 = (0..n_bands).map(|band| f64::from(self.bands[[band, row, target]])).sum();
                *value = (sum + self.intercepts[target]) as f32;
            }
        }
        joint
    }
}

/// Banded ridge regression whose kernels are known and whose targets are yet to come.
///
/// Minimises for each target `y` (n_samples), with bands `X_b` (n_samples x n_features of the band),
///
/// ```text
/// ||y - sum_b X_b beta_b - b0||^2 + sum_b (alpha / gamma_b) ||beta_b||^2        gamma on the simplex, alpha > 0
/// ```
///
/// (Nunez-Elizalde et al. 2019; in this form Dupré la Tour et al. 2022), the intercept `b0` not penalised, through
/// its dual: `beta_b = gamma_b X_b' d`, `d = (sum_b gamma_b K_b + alpha I)^-1 (y - b0)`. A band of weight 0 is left out. For
/// each target the pair of weights and penalty with the best mean score over folds is chosen, by random search over the
/// simplex (Dupré la Tour et al. 2022) and a grid of penalties. A fold in which a target is constant does not
/// count for it. Scores within f32 rounding (1.2e-7) are ties, which go to the earlier candidate and within a candidate to
/// the larger penalty. The refit uses all samples.
///
/// For every candidate and fold one eigendecomposition serves all targets and penalties. Kernels, decompositions, refit
/// and scores are f64, products with the targets during the search f32.
#[derive(Debug)]
pub struct BandedRidge<'a> {
    options: BandedOptions,
    kernels: &'a BandKernels,
    folds: &'a [Fold],
    gammas: Array2<f64>,
}

impl<'a> BandedRidge<'a> {
    /// Checks folds and options against the kernels, and draws the candidates.
    ///
    /// # Errors
    /// [`MathError::Empty`] without penalties or folds; [`MathError::Parameter`] for a penalty that is not positive or not
    /// above the one before it; [`MathError::Index`] and [`MathError::TooFew`] for a fold that points outside the samples
    /// or is empty on one side; those of [`Candidates::weights`].
    pub fn new(kernels: &'a BandKernels, folds: &'a [Fold], options: BandedOptions) -> Result<Self, MathError> {
        require_alphas(&options.alphas)?;
        require_folds(folds, kernels.n_samples())?;
        let gammas = options.candidates.weights(kernels.n_bands())?;
        Ok(Self { options, kernels, folds, gammas })
    }

    /// Chooses weights and penalty for the targets `y` (n_samples x n_targets) and fits them on all samples.
    ///
    /// Without `dual_weights` nothing is refitted: what is returned are the choices and their scores.
    ///
    /// Memory: while it runs, every thread holds about six f64 matrices of n_samples x n_samples, and a few candidates
    /// keep matrices of n_alphas x n_held_out x n_train f32 at most. Targets are cut into blocks of fixed size that run in
    /// parallel; the bytes do not depend on the number of threads.
    ///
    /// # Errors
    /// [`MathError::Shape`] when the number of samples differs, [`MathError::NotFinite`], [`MathError::Lapack`].
    pub fn fit(&self, y: ArrayView2<'_, f32>) -> Result<BandedFit, MathError> {
        Ok(self.run(y, None)?.0)
    }

    /// As [`BandedRidge::fit`], and predicts test samples from their `cross` kernels (n_test x n_samples for each band, not
    /// centred; see [`cross_kernels`]).
    ///
    /// # Errors
    /// As [`BandedRidge::fit`]; [`MathError::Shape`] for another number of bands; [`MathError::InBand`] around
    /// [`MathError::Shape`] or [`MathError::NotFinite`] for a cross kernel.
    pub fn fit_predict(
        &self,
        y: ArrayView2<'_, f32>,
        cross: &[ArrayView2<'_, f64>],
    ) -> Result<(BandedFit, BandedPrediction), MathError> {
        let cross = self.kernels.centred_cross(cross)?;
        let (fit, bands) = self.run(y, Some(&cross))?;
        let intercepts = fit.intercepts.clone();
        Ok((fit, BandedPrediction { bands: bands.expect("test samples were given"), intercepts }))
    }

    fn run(
        &self,
        y: ArrayView2<'_, f32>,
        cross: Option<&[Array2<f64>]>,
    ) -> Result<(BandedFit, Option<Array3<f32>>), MathError> {
        require_shape("rows of y", y.nrows(), self.kernels.n_samples(), "one row for each sample of the kernels")?;
        require_finite("y", y)?;
        let found = search::search(self, y)?;
        let refit = refit::refit(self, y, &found.best, cross)?;
        let mut warnings = self.kernels.warnings().to_vec();
        warnings.extend(self.warnings(&found.best, &found.cv_scores));
        let fit = BandedFit {
            gammas: self.gammas.clone(),
            alphas: self.options.alphas.clone(),
            best: found.best,
            cv_scores: found.cv_scores,
            dual_weights: refit.dual_weights,
            intercepts: refit.intercepts,
            warnings,
        };
        Ok((fit, refit.bands))
    }

    fn warnings(&self, best: &[Option<Choice>], cv_scores: &Array2<Option<f32>>) -> Vec<BandedWarning> {
        let n_alphas = self.options.alphas.len();
        let n_at = |alpha: usize| best.iter().flatten().filter(|choice| choice.alpha == alpha).count();
        let mut warnings = Vec::new();
        let (n_at_smallest, n_at_largest) = (n_at(0), n_at(n_alphas - 1));
        if n_alphas > 1 && n_at_smallest + n_at_largest > 0 {
            warnings.push(BandedWarning::AlphaAtGridEdge { n_at_smallest, n_at_largest });
        }
        let n_scored = best.iter().flatten().count();
        if n_scored < best.len() {
            warnings.push(BandedWarning::UnscoredTargets { n_targets: best.len() - n_scored });
        }
        let n_candidates = cv_scores.nrows();
        let n_early = n_candidates - n_candidates / 5;
        if n_early < n_candidates && n_scored > 0 {
            let gain = |column: ndarray::ArrayView1<'_, Option<f32>>| {
                let highest = |scores: &mut dyn Iterator<Item = &Option<f32>>| {
                    scores.flatten().fold(f64::NEG_INFINITY, |m, &s| m.max(f64::from(s)))
                };
                let early = highest(&mut column.iter().take(n_early));
                // A target is scored by all candidates or by none.
                if early.is_finite() { (highest(&mut column.iter()) - early).max(0.0) } else { 0.0 }
            };
            let mean_gain = cv_scores.columns().into_iter().map(gain).sum::<f64>() / n_scored as f64;
            if mean_gain > SETTLED_GAIN {
                warnings.push(BandedWarning::SearchStillImproving { mean_gain });
            }
        }
        warnings
    }
}

#[cfg(test)]
mod tests;
