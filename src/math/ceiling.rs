//! How well any model could predict a response, judged from repeats of the same stimuli.
//!
//! Owns the signal power of repeated measurements, the noise ceiling that follows from it, and correlations divided by
//! that ceiling. It does not know how a prediction was made; scores without a ceiling are in [`super::scores`].

mod moments;

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::moments::{Moments, PredictionMoments};
use super::MathError;
use super::error::{require_finite, require_shape};
use super::scores::column_block;

/// Targets measured by one task.
const COLUMN_BLOCK: usize = 128;

/// Largest standard error of the explainable variance of a target without signal at which samples count as enough.
///
/// At 0.1, one target in six that holds nothing but noise seems to have a tenth or more of its variance explainable.
const MAX_NULL_STANDARD_ERROR: f64 = 0.1;

/// Share of the total power below which a signal power is rounding.
const ROUNDING_SHARE: f64 = 1e-12;

/// Why a target has no ceiling, or no correlation relative to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoCeiling {
    /// No repeat varies over samples.
    Constant,
    /// The repeats have no more in common than chance would give, so nothing of the target can be called signal.
    SignalPowerNotPositive,
    /// The prediction does not vary over samples; the ceiling itself exists.
    ConstantPrediction,
}

/// A caveat of a noise ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CeilingWarning {
    /// Few samples for so few repeats: ceilings are mostly chance.
    FewSamples {
        /// Samples of one repeat.
        n_samples: usize,
        /// Repeats.
        n_repeats: usize,
        /// Standard error of the explainable variance of a target without signal, if samples were independent; larger
        /// when they are not.
        null_standard_error: f64,
    },
    /// Some targets are constant in one repeat or more, though not in all, as after a scan that went wrong.
    ConstantRepeats {
        /// How many.
        n_targets: usize,
    },
}

/// What the repeats of one target say about the best possible prediction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// `SP`, the variance of what repeats share, in the square of the data's unit.
    pub signal_power: f64,
    /// `CCmax = sqrt(SP / Var(mean y))`, the largest correlation with the mean over repeats that is to be expected.
    pub r: f64,
    /// `SP / Var(mean y)`, the share of the variance of the mean over repeats that is signal.
    pub r2: f64,
    /// `SP / mean_r Var(y_r)`, the share of the variance of a single repeat that is signal.
    pub explainable_variance: f64,
}

/// Noise ceilings of many targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseCeiling {
    /// The ceiling of each target, or why it has none (n_targets).
    pub ceilings: Vec<Result<Ceiling, NoCeiling>>,
    /// Mean over repeats of the correlation of a repeat with the mean of the others (n_targets); `None` where a repeat
    /// or the mean of the others does not vary.
    pub reliability: Vec<Option<f64>>,
    /// Repeats.
    pub n_repeats: usize,
    /// Samples of one repeat.
    pub n_samples: usize,
    /// Targets without a ceiling.
    pub n_without_ceiling: usize,
    /// Caveats of these ceilings.
    pub warnings: Vec<CeilingWarning>,
}

/// Correlations of predictions with the mean over repeats, as they are and relative to the noise ceiling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NormalisedCorrelation {
    /// The ceilings.
    pub ceiling: NoiseCeiling,
    /// Pearson's r with the mean over repeats (n_targets); `None` where either is constant.
    pub r: Vec<Option<f64>>,
    /// `r / CCmax`, or why it does not exist (n_targets); not cut off at 1.
    pub r_norm: Vec<Result<f64, NoCeiling>>,
    /// Targets whose `r_norm` exceeds 1, which only the estimation of the ceiling can cause.
    pub n_above_one: usize,
    /// Targets without `r_norm`.
    pub n_absent: usize,
}

/// Estimates the noise ceiling of every target from repeats of the same stimuli (each n_samples x n_targets).
///
/// A response is taken as `y_r = signal + noise_r`, the noise independent between repeats. Over `R` repeats
///
/// ```text
/// SP = [Var(sum_r y_r) - sum_r Var(y_r)] / (R (R - 1))        CCmax = sqrt(SP / Var(mean_r y_r))
/// ```
///
/// (Sahani and Linden 2003; Schoppe et al. 2016, Front Comput Neurosci 10:10): `SP` is the mean covariance of
/// two repeats and has no bias, so it is negative for about half of the targets without signal; those have no ceiling
/// ([`NoCeiling::SignalPowerNotPositive`]). `CCmax^2` is Cronbach's alpha of the repeats, and the explainable variance
/// of one repeat their intraclass correlation ICC(3,1). Variances divide by `n_samples - 1`, which cancels everywhere but
/// in `SP` itself. Sums are f64.
///
/// Caveats: a ceiling is an estimate. Without signal, `SP` relative to the power of one repeat has a standard error of
/// `sqrt(2 / (R (R - 1) (n_samples - 1)))`, the standard deviation of a mean of `R (R - 1) / 2` uncorrelated sample
/// covariances of independent samples; above 0.1 (two repeats of 200 samples stay below, of 100 do not)
/// [`CeilingWarning::FewSamples`] says so. Autocorrelated samples count for fewer. What repeats share without the stimulus
/// (drifts, trends, onset responses of the scanner) passes for signal.
///
/// # Errors
/// [`MathError::TooFew`] with fewer than two repeats or two samples, [`MathError::Shape`] when repeats differ in shape,
/// [`MathError::NotFinite`].
pub fn noise_ceiling(repeats: &[ArrayView2<'_, f32>]) -> Result<NoiseCeiling, MathError> {
    let (n_samples, n_targets) = check(repeats)?;
    let measured = by_block(n_targets, |start, n_columns| {
        let repeats: Vec<_> = repeats.iter().map(|repeat| column_block(*repeat, start, n_columns)).collect();
        let moments = Moments::of(&repeats);
        (0..n_columns).map(|j| Target::of(&moments, j)).collect()
    });
    Ok(gather(&measured, repeats.len(), n_samples))
}

/// Correlates predictions (n_samples x n_targets) with the mean over repeats and divides by the ceiling of
/// [`noise_ceiling`].
///
/// `r_norm = r / CCmax` is the correlation with the signal that the noise hides (Schoppe et al. 2016). It is unbounded:
/// values above 1 are kept and counted, since cutting them off would bias a mean over targets downwards. Where the
/// ceiling is near 0 it is unstable; summaries over targets should weight by or select on the ceiling.
///
/// # Errors
/// As [`noise_ceiling`], and the same for the shape and values of the prediction.
pub fn normalised_correlation(
    repeats: &[ArrayView2<'_, f32>],
    prediction: ArrayView2<'_, f32>,
) -> Result<NormalisedCorrelation, MathError> {
    let (n_samples, n_targets) = check(repeats)?;
    require_shape("rows of the prediction", prediction.nrows(), n_samples, "one row for each sample of a repeat")?;
    require_shape("columns of the prediction", prediction.ncols(), n_targets, "one column for each target")?;
    require_finite("prediction", prediction)?;
    let measured = by_block(n_targets, |start, n_columns| {
        let repeats: Vec<_> = repeats.iter().map(|repeat| column_block(*repeat, start, n_columns)).collect();
        let moments = Moments::of(&repeats);
        let predicted = PredictionMoments::of(&moments, &repeats, column_block(prediction, start, n_columns));
        let both = |j| (Target::of(&moments, j), predicted.varies(j), predicted.pearson(&moments, j));
        (0..n_columns).map(both).collect()
    });
    let r_norm: Vec<Result<f64, NoCeiling>> = measured
        .iter()
        .map(|(target, prediction_varies, r)| {
            let ceiling = target.ceiling?;
            match r {
                Some(r) if *prediction_varies => Ok(r / ceiling.r),
                _ => Err(NoCeiling::ConstantPrediction),
            }
        })
        .collect();
    let targets: Vec<Target> = measured.iter().map(|(target, ..)| *target).collect();
    Ok(NormalisedCorrelation {
        ceiling: gather(&targets, repeats.len(), n_samples),
        r: measured.iter().map(|(.., r)| *r).collect(),
        n_above_one: r_norm.iter().flatten().filter(|&&r| r > 1.0).count(),
        n_absent: r_norm.iter().filter(|r| r.is_err()).count(),
        r_norm,
    })
}

/// What is kept of one target.
#[derive(Debug, Clone, Copy)]
struct Target {
    ceiling: Result<Ceiling, NoCeiling>,
    reliability: Option<f64>,
    has_constant_repeat: bool,
}

impl Target {
    fn of(moments: &Moments, j: usize) -> Self {
        let n_constant = moments.n_constant_repeats(j);
        Self {
            ceiling: if n_constant == moments.n_repeats() { Err(NoCeiling::Constant) } else { ceiling(moments, j) },
            reliability: moments.reliability(j),
            has_constant_repeat: n_constant > 0 && n_constant < moments.n_repeats(),
        }
    }
}

fn ceiling(moments: &Moments, j: usize) -> Result<Ceiling, NoCeiling> {
    let n_repeats = moments.n_repeats() as f64;
    let total_power = moments.mean_variance(j);
    let variance_of_sum = moments.variance_of_sum(j);
    let signal_power = (variance_of_sum - n_repeats * total_power) / (n_repeats * (n_repeats - 1.0));
    if signal_power <= ROUNDING_SHARE * total_power {
        return Err(NoCeiling::SignalPowerNotPositive);
    }
    // A covariance is at most the mean of its two variances, so no share exceeds 1 but by rounding.
    let r2 = (signal_power / (variance_of_sum / (n_repeats * n_repeats))).min(1.0);
    Ok(Ceiling { signal_power, r: r2.sqrt(), r2, explainable_variance: (signal_power / total_power).min(1.0) })
}

fn check(repeats: &[ArrayView2<'_, f32>]) -> Result<(usize, usize), MathError> {
    let [first, second, ..] = repeats else {
        return Err(MathError::TooFew {
            name: "number of repeats",
            found: repeats.len(),
            expected: 2,
            hint: "one measurement cannot tell signal from noise: score without a ceiling",
        });
    };
    if first.nrows().min(second.nrows()) < 2 {
        return Err(MathError::TooFew {
            name: "samples of a repeat",
            found: first.nrows().min(second.nrows()),
            expected: 2,
            hint: "a variance over samples needs two",
        });
    }
    for repeat in repeats {
        require_shape("rows of a repeat", repeat.nrows(), first.nrows(), "the samples of the first repeat")?;
        require_shape("columns of a repeat", repeat.ncols(), first.ncols(), "the targets of the first repeat")?;
        require_finite("repeat", *repeat)?;
    }
    Ok(first.dim())
}

fn by_block<T: Send>(n_targets: usize, measure: impl Fn(usize, usize) -> Vec<T> + Sync) -> Vec<T> {
    let blocks: Vec<Vec<T>> = (0..n_targets.div_ceil(COLUMN_BLOCK))
        .into_par_iter()
        .map(|block| {
            let start = block * COLUMN_BLOCK;
            measure(start, COLUMN_BLOCK.min(n_targets - start))
        })
        .collect();
    blocks.into_iter().flatten().collect()
}

fn gather(targets: &[Target], n_repeats: usize, n_samples: usize) -> NoiseCeiling {
    let mut warnings = Vec::new();
    let n_pairs = (n_repeats * (n_repeats - 1)) as f64 / 2.0;
    let null_standard_error = (n_pairs * (n_samples - 1) as f64).sqrt().recip();
    if null_standard_error > MAX_NULL_STANDARD_ERROR {
        warnings.push(CeilingWarning::FewSamples { n_samples, n_repeats, null_standard_error });
    }
    let n_targets = targets.iter().filter(|target| target.has_constant_repeat).count();
    if n_targets > 0 {
        warnings.push(CeilingWarning::ConstantRepeats { n_targets });
    }
    NoiseCeiling {
        ceilings: targets.iter().map(|target| target.ceiling).collect(),
        reliability: targets.iter().map(|target| target.reliability).collect(),
        n_repeats,
        n_samples,
        n_without_ceiling: targets.iter().filter(|target| target.ceiling.is_err()).count(),
        warnings,
    }
}

#[cfg(test)]
mod tests;
