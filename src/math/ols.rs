//! Ordinary and generalised least squares of many targets on shared regressors, with t values.
//!
//! Owns the objective, its options and results. What is computed once for all targets is in `ols/design.rs`, the noise
//! model in `ols/noise.rs`, the steps for every block of targets in `ols/blocks.rs`, predictions of held-out samples in
//! `ols/held_out.rs`. It does not know which regressors are of interest; contrasts are the caller's.

mod blocks;
mod design;
mod held_out;
mod noise;

use ndarray::{Array2, ArrayView2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::function::beta::beta_reg;

use self::blocks::Assembly;
use self::design::Design;
pub use self::held_out::{HeldOut, HeldOutOptions, HeldOutWarning, held_out};
use super::MathError;
use super::error::{require_finite, require_shape};

/// Targets that one task fits.
const TARGET_BLOCK: usize = 256;

/// What is assumed of the noise of one target over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// Independent from sample to sample: ordinary least squares.
    #[default]
    White,
    /// First-order autoregressive within a run: every target is whitened by its own lag-1 autocorrelation.
    Ar1,
}

/// How the first sample of a run is weighted under [`Noise::Ar1`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ar1Start {
    /// Used as it is, as in nilearn.
    #[default]
    Plain,
    /// Scaled by `sqrt(1 - rho^2)` (Prais and Winsten 1954), so that the covariance is exactly `rho^|i - j|`.
    Stationary,
}

/// How a least-squares regression is fitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OlsOptions {
    /// Fit a constant besides the features.
    pub intercept: bool,
    /// What is assumed of the noise.
    pub noise: Noise,
    /// The first sample of each run under [`Noise::Ar1`].
    pub ar1_start: Ar1Start,
    /// Steps between 0 and 1 to which autocorrelations are cut under [`Noise::Ar1`]; nilearn's default is 100.
    pub ar1_bins: usize,
}

impl Default for OlsOptions {
    /// White noise and an intercept.
    fn default() -> Self {
        Self { intercept: true, noise: Noise::default(), ar1_start: Ar1Start::default(), ar1_bins: 100 }
    }
}

/// A caveat of a least-squares fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OlsWarning {
    /// The coefficients of these columns are not determined: each is a combination of others, or constant beside an
    /// intercept. Their estimates, errors and t values are absent.
    ColumnsNotEstimable {
        /// Columns of `x`, ascending.
        columns: Vec<usize>,
    },
    /// These contrasts weight columns that are not determined in a way that does not cancel.
    ContrastsNotEstimable {
        /// Rows of the contrasts, ascending.
        contrasts: Vec<usize>,
    },
    /// The intercept cannot be told from the columns that are not estimable, so there is none.
    InterceptNotEstimable,
    /// This many targets do not vary: they have no t values and no R2.
    ConstantTargets {
        /// How many.
        n_targets: usize,
    },
    /// This many targets are fitted to within the rounding of f32, so nothing is left to measure errors by: they have no
    /// standard errors and no t values.
    ExactFits {
        /// How many, constant targets aside.
        n_targets: usize,
    },
    /// This many targets have a lag-1 autocorrelation of 1 or more in size (a trend that the features lack): the largest
    /// step below 1 was used.
    NonStationary {
        /// How many.
        n_targets: usize,
    },
}

/// Linear combinations of coefficients, one row each: the coefficients themselves, or contrasts of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Effects {
    /// Estimates (n_effects x n_targets); `None` where the data do not determine the combination.
    pub estimates: Array2<Option<f32>>,
    /// Standard errors (n_effects x n_targets).
    pub standard_errors: Array2<Option<f32>>,
    /// `estimate / standard error` (n_effects x n_targets); `None` where the error is absent or 0.
    pub t_values: Array2<Option<f32>>,
}

impl Effects {
    /// Two-sided p values (n_effects x n_targets) by Student's t distribution with `residual_dof` degrees of freedom.
    ///
    /// `p = I(df / (df + t^2); df / 2, 1 / 2)`, the regularised incomplete beta function, which keeps small p values
    /// exact where one minus a distribution function would give 0.
    pub fn p_values(&self, residual_dof: usize) -> Array2<Option<f64>> {
        let df = residual_dof as f64;
        let mut p = Array2::from_elem(self.t_values.dim(), None);
        ndarray::Zip::from(&mut p).and(&self.t_values).par_for_each(|p, t| {
            *p = t.map(|t| beta_reg(df / 2.0, 0.5, df / (df + f64::from(t).powi(2))));
        });
        p
    }
}

/// A fitted least-squares regression.
#[derive(Debug, Clone, PartialEq)]
pub struct OlsFit {
    /// The coefficients, in the units of the features (n_features rows).
    pub coefficients: Effects,
    /// The contrasts that were asked for (n_contrasts rows).
    pub contrasts: Option<Effects>,
    /// Intercepts (n_targets); `None` without one, or when it is not estimable. For errors of the intercept, hand in a
    /// column of ones and switch it off.
    pub intercepts: Option<Vec<f32>>,
    /// Dimensions that the features span, the intercept aside.
    pub rank: usize,
    /// `n_samples - rank`, less one for the intercept.
    pub residual_dof: usize,
    /// Residual variance `||e||^2 / residual_dof` of each target (n_targets), of whitened residuals under [`Noise::Ar1`].
    pub residual_variances: Vec<f64>,
    /// Share of variance explained in the samples fitted on (n_targets); `None` for a constant target.
    pub r2: Vec<Option<f64>>,
    /// The lag-1 autocorrelation that each target was whitened by (n_targets), under [`Noise::Ar1`].
    pub autocorrelations: Option<Vec<f64>>,
    /// Caveats of this fit.
    pub warnings: Vec<OlsWarning>,
}

/// Fits least-squares regressions of `y` (n_samples x n_targets) on `x` (n_samples x n_features).
///
/// Minimises `||W (y - X b - b0)||^2` for each target, `W` the identity ([`Noise::White`]) or a whitening that the target's
/// own autocorrelation gives ([`Noise::Ar1`]). With `s^2` the residual variance, a combination `c'b` has the standard
/// error `s sqrt(c' (X'W'WX)^+ c)` and the t value `c'b / error` with `residual_dof` degrees of freedom. R2 is one minus
/// the residual power over that of the best constant; without intercept, over `||W y||^2` (statsmodels' convention, both
/// for OLS and for GLS).
///
/// **Rank.** The design is decomposed by singular values, its columns divided by their norms before centring so that the
/// rounding of f32 weighs alike in all. Singular values below `2 sqrt(n_features) eps` (eps of f32) count as 0. A
/// coefficient or a row of `contrasts` (n_contrasts x n_features) is reported only if it lies in the row space of the
/// design to one part in 10^4; the others, whose least-norm value would depend on the units of the features, are `None`
/// and named in a warning.
///
/// **Autoregressive noise**, after nilearn's `run_glm`: the residuals `e` of an ordinary fit, less their mean, give
/// `rho = [sum e_t e_(t-1) / (n - n_runs)] / [sum e_t^2 / n]` (Yule-Walker of order 1); `rho` times `ar1_bins` is cut to an
/// integer towards 0, so that targets with equal `rho` share a design; then `w_t = v_t - rho v_(t-1)` whitens features and
/// target. Runs (`run_of_sample`, one entry a row; all one run when absent) are kept apart: no product and no difference
/// reaches across their border, and each begins anew with [`Ar1Start`]. nilearn's function knows no runs, and subtracts the
/// mean over *all* targets from the residuals, which is the same where the features or an intercept span a constant.
/// Give a stretch that follows a gap (trimmed rest, say) a number of its own. The estimate is biased towards 0 as
/// residuals are, by about `n_features / n_samples`.
///
/// All sums are f64. Targets are cut into blocks of fixed size; besides inputs and results, memory is a few f64 copies of a
/// block (n_samples x 256) for each core.
///
/// # Errors
/// [`MathError::Empty`] without features; [`MathError::TooFew`] when no residual degree of freedom is left, or no pair of
/// neighbours within a run under [`Noise::Ar1`]; [`MathError::Shape`] when lengths differ; [`MathError::Parameter`] for
/// `ar1_bins` of 0 or a run whose rows are not adjacent; [`MathError::NotFinite`]; [`MathError::Lapack`].
pub fn ols(
    x: ArrayView2<'_, f32>,
    y: ArrayView2<'_, f32>,
    contrasts: Option<ArrayView2<'_, f32>>,
    run_of_sample: Option<&[usize]>,
    options: &OlsOptions,
) -> Result<OlsFit, MathError> {
    let n_samples = x.nrows();
    require_shape("rows of y", y.nrows(), n_samples, "one row for each row of x")?;
    require_finite("x", x)?;
    require_finite("y", y)?;
    if let Some(contrasts) = contrasts {
        require_shape("columns of the contrasts", contrasts.ncols(), x.ncols(), "one weight for each column of x")?;
        require_finite("contrasts", contrasts)?;
    }
    let runs = noise::runs(n_samples, run_of_sample, options)?;
    let design = Design::of(x, options.intercept)?;
    let n_parameters = design.basis.ncols();
    if n_samples <= n_parameters {
        return Err(MathError::TooFew {
            name: "samples",
            found: n_samples,
            expected: n_parameters + 1,
            hint: "errors are measured by what is left when as many parameters are fitted",
        });
    }
    let identity = Array2::eye(x.ncols());
    let coefficient_rows = design.estimable(identity.view());
    let contrast_rows = contrasts.map(|c| design.estimable(c.mapv(f64::from).view()));
    let plan = noise::plan(&design, y, &runs, options)?;
    let mut assembly = Assembly::new(&design, y, options, coefficient_rows, contrast_rows);
    assembly.run(&plan, &runs)?;
    Ok(assembly.finish(plan))
}

#[cfg(test)]
mod tests;
