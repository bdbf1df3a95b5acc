//! The haemodynamic response function and its convolution with unit series.
//!
//! Owns the shapes of the responses and how they are sampled; their derivatives are in `hrf/derivatives.rs`. It handles
//! one run at a time; which rows make a run is the caller's knowledge.

mod derivatives;

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

pub use self::derivatives::{HrfDerivatives, HrfPart};
use super::{COLUMN_BLOCK, column_means, require_duration};
use crate::math::MathError;
use crate::math::error::require_finite;

/// Length of the sampled response in seconds, as in SPM and nilearn.
pub const HRF_LENGTH_S: f64 = 32.0;

/// Haemodynamic response function: how BOLD follows neural activity in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hrf {
    /// Glover 1999: a peak near 5 s and a marked undershoot (gamma densities of shapes 6/0.9 and 12/0.9, ratio 0.48).
    #[default]
    Glover,
    /// SPM's canonical response: a peak near 5 s and a small undershoot (gamma densities of shapes 6 and 16, ratio 0.167).
    Spm,
    /// No response: the series is used as it is.
    None,
}

/// Two gamma densities whose difference is a response; each has mean `time` and scale `dispersion`, both in seconds.
#[derive(Debug, Clone, Copy)]
struct GammaPair {
    peak_time_s: f64,
    peak_dispersion_s: f64,
    undershoot_time_s: f64,
    undershoot_dispersion_s: f64,
    ratio: f64,
}

impl GammaPair {
    fn at(&self, time_s: f64) -> f64 {
        gamma_density(time_s, self.peak_time_s / self.peak_dispersion_s, self.peak_dispersion_s)
            - self.ratio
                * gamma_density(
                    time_s,
                    self.undershoot_time_s / self.undershoot_dispersion_s,
                    self.undershoot_dispersion_s,
                )
    }

    /// Evenly spaced samples with unit sum, as [`Hrf::kernel`] describes them, of the response delayed by `onset_s`.
    fn sampled(
        &self,
        onset_s: f64,
        repetition_time_s: f64,
        oversampling: usize,
        time_length_s: f64,
    ) -> Result<Vec<f64>, MathError> {
        let step_s = repetition_time_s / oversampling as f64;
        let n_points = (time_length_s / step_s).round_ties_even();
        if !(2.0..=1e6).contains(&n_points) {
            return Err(MathError::Parameter {
                name: "number of kernel samples",
                found: n_points,
                expected: "2 to 1000000: change the oversampling or the length",
            });
        }
        let n_points = n_points as usize;
        let spacing_s = time_length_s / (n_points - 1) as f64;
        Ok(unit_sum((0..n_points).map(|i| self.at(i as f64 * spacing_s - onset_s - step_s)).collect()))
    }

    /// Samples with unit sum at whole repetition times of the response delayed by `onset_s`.
    fn at_lags(&self, onset_s: f64, repetition_time_s: f64) -> Result<Vec<f64>, MathError> {
        if !(1e-3..=16.0).contains(&repetition_time_s) {
            return Err(MathError::Parameter {
                name: "repetition_time_s",
                found: repetition_time_s,
                expected: "0.001 to 16 seconds",
            });
        }
        let last_lag = (HRF_LENGTH_S / repetition_time_s + 1e-9).floor() as usize;
        Ok(unit_sum((0..=last_lag).map(|k| self.at(k as f64 * repetition_time_s - onset_s)).collect()))
    }
}

/// Density of the gamma distribution; 0 at and before 0, where every shape used here (above 1) has its limit.
fn gamma_density(time_s: f64, shape: f64, scale_s: f64) -> f64 {
    if time_s <= 0.0 {
        return 0.0;
    }
    let x = time_s / scale_s;
    ((shape - 1.0) * x.ln() - x - ln_gamma(shape)).exp() / scale_s
}

impl Hrf {
    fn gamma_pair(self) -> Option<GammaPair> {
        match self {
            Hrf::Glover => Some(GammaPair {
                peak_time_s: 6.0,
                peak_dispersion_s: 0.9,
                undershoot_time_s: 12.0,
                undershoot_dispersion_s: 0.9,
                ratio: 0.48,
            }),
            Hrf::Spm => Some(GammaPair {
                peak_time_s: 6.0,
                peak_dispersion_s: 1.0,
                undershoot_time_s: 16.0,
                undershoot_dispersion_s: 1.0,
                ratio: 0.167,
            }),
            Hrf::None => None,
        }
    }

    /// Samples the response as nilearn's `glover_hrf` and `spm_hrf` do, with unit sum.
    ///
    /// `time_length_s / (repetition_time_s / oversampling)` samples lie evenly on `[0, time_length_s]`, both ends
    /// included, and the response starts one sampling step late: nilearn's conventions, kept so that the two agree.
    /// `Hrf::None` gives the single weight 1.
    ///
    /// # Errors
    /// [`MathError::Parameter`] when a parameter is not positive and finite or the sampling is finer than a million
    /// samples.
    pub fn kernel(
        self,
        repetition_time_s: f64,
        oversampling: usize,
        time_length_s: f64,
    ) -> Result<Vec<f64>, MathError> {
        require_duration("repetition_time_s", repetition_time_s)?;
        require_duration("time_length_s", time_length_s)?;
        match self.gamma_pair() {
            Some(pair) => pair.sampled(0.0, repetition_time_s, oversampling, time_length_s),
            None => Ok(vec![1.0]),
        }
    }

    /// Samples the response at the lags `0, TR, 2 TR, ...` up to [`HRF_LENGTH_S`], with unit sum.
    ///
    /// Weight `k` is what a stimulus contributes to the volume acquired `k` repetition times later, both taken at the
    /// middle of their repetition time; the weight at lag 0 is therefore 0 (unless the response is [`Hrf::None`]).
    ///
    /// # Errors
    /// [`MathError::Parameter`] unless the repetition time lies between 1 ms and 16 s (beyond that no sample but
    /// the first falls on the response).
    pub fn at_repetition_times(self, repetition_time_s: f64) -> Result<Vec<f64>, MathError> {
        require_duration("repetition_time_s", repetition_time_s)?;
        match self.gamma_pair() {
            Some(pair) => pair.at_lags(0.0, repetition_time_s),
            None => Ok(vec![1.0]),
        }
    }

    /// Convolves every column of one run (n_tr x n_units) with the response sampled at the repetition time.
    ///
    /// `y(t) = m + sum_k w_k (x(t - k) - m)` with `m` the column's mean over the run: causal, and before the run's first
    /// sample the column is taken to be at its mean, so that a run does not begin with a step. Runs must be convolved
    /// one by one, before rest is trimmed. Sums are in f64; work is proportional to n_tr x n_units x 32 s / TR.
    ///
    /// # Errors
    /// As [`Hrf::at_repetition_times`], and [`MathError::NotFinite`] when the series is not finite.
    pub fn convolve(self, series: ArrayView2<'_, f32>, repetition_time_s: f64) -> Result<Array2<f32>, MathError> {
        require_finite("series", series)?;
        let kernel = self.at_repetition_times(repetition_time_s)?;
        if self == Hrf::None {
            return Ok(series.to_owned());
        }
        Ok(convolve_about_mean(series, &kernel, 1.0))
    }
}

/// Convolves deviations from each column's mean, and adds `gain` times that mean: the kernel's exact sum, free of rounding.
fn convolve_about_mean(series: ArrayView2<'_, f32>, kernel: &[f64], gain: f64) -> Array2<f32> {
    let mut response = series.to_owned();
    response.axis_chunks_iter_mut(Axis(1), COLUMN_BLOCK).into_par_iter().for_each(|mut block| {
        let mean = column_means(block.view());
        let deviations = Array2::from_shape_fn(block.dim(), |(t, j)| f64::from(block[[t, j]]) - mean[j]);
        let mut sum = vec![0.0; mean.len()];
        for (t, mut row) in block.outer_iter_mut().enumerate() {
            sum.iter_mut().zip(&mean).for_each(|(s, m)| *s = gain * m);
            for (lag, weight) in kernel.iter().enumerate().take(t + 1) {
                for (s, d) in sum.iter_mut().zip(deviations.row(t - lag)) {
                    *s += weight * d;
                }
            }
            row.iter_mut().zip(&sum).for_each(|(out, &s)| *out = s as f32);
        }
    });
    response
}

fn unit_sum(mut weights: Vec<f64>) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= total);
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn convolution_of_an_impulse_is_the_kernel_about_the_mean() {
        let mut series = Array2::<f32>::zeros((60, 300));
        series.row_mut(3).fill(60.0);
        let response = Hrf::Glover.convolve(series.view(), 1.0).unwrap();
        let kernel = Hrf::Glover.at_repetition_times(1.0).unwrap();
        // The deviations are 59 at the impulse and -1 elsewhere, so an impulse of 60 rides on a step of -1.
        let mut step = 0.0;
        for (t, value) in response.column(299).iter().enumerate() {
            step -= kernel.get(t).copied().unwrap_or(0.0);
            let impulse = t.checked_sub(3).and_then(|lag| kernel.get(lag)).map_or(0.0, |w| 60.0 * w);
            assert!((f64::from(*value) - (1.0 + step + impulse)).abs() < 1e-5, "{t}");
        }
    }

    #[test]
    fn a_constant_series_and_no_response_pass_unchanged() {
        let constant = Array2::<f32>::from_elem((20, 3), 4.5);
        assert_eq!(Hrf::Spm.convolve(constant.view(), 2.0).unwrap(), constant);
        let series = array![[1.0f32, 2.0], [-3.0, 0.5]];
        assert_eq!(Hrf::None.convolve(series.view(), 2.0).unwrap(), series);
    }

    #[test]
    fn kernels_are_causal_sum_to_one_and_peak_near_five_seconds() {
        for hrf in [Hrf::Glover, Hrf::Spm] {
            let kernel = hrf.at_repetition_times(0.5).unwrap();
            assert_eq!((kernel.len(), kernel[0]), (65, 0.0));
            assert!((kernel.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let peak = (0..65).max_by(|&a, &b| kernel[a].total_cmp(&kernel[b])).unwrap();
            assert!((4.5..=5.5).contains(&(peak as f64 * 0.5)), "{peak}");
        }
        assert!(Hrf::Glover.at_repetition_times(0.0).is_err());
        assert!(Hrf::Glover.at_repetition_times(1e-12).is_err());
        assert!(Hrf::Glover.kernel(1e-9, 50, 32.0).is_err());
    }
}
