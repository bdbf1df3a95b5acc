//! Derivatives of the haemodynamic response, which let a regression shift and widen it.
//!
//! Owns the finite differences and their convolution; the responses themselves are in `hrf.rs`.

use ndarray::{Array2, ArrayView2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GammaPair, Hrf, convolve_about_mean};
use crate::math::MathError;
use crate::math::error::require_finite;
use crate::math::series::require_duration;

/// Delay in seconds over which the temporal derivative is differenced, nilearn's value.
const TEMPORAL_STEP_S: f64 = 0.1;

/// Widening in seconds over which the dispersion derivative is differenced, nilearn's value.
const DISPERSION_STEP_S: f64 = 0.01;

/// Which derivatives of the response join it as regressors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HrfDerivatives {
    /// The response alone.
    #[default]
    None,
    /// The response and its derivative in time: a response may come early or late by a second or so.
    Temporal,
    /// Both, and the derivative in the width of the peak: a response may also be narrow or broad.
    TemporalAndDispersion,
}

impl HrfDerivatives {
    /// The parts in the order in which [`Hrf::convolve_parts`] returns them, the response first.
    pub fn parts(self) -> &'static [HrfPart] {
        const ALL: [HrfPart; 3] = [HrfPart::Response, HrfPart::TemporalDerivative, HrfPart::DispersionDerivative];
        match self {
            HrfDerivatives::None => &ALL[..1],
            HrfDerivatives::Temporal => &ALL[..2],
            HrfDerivatives::TemporalAndDispersion => &ALL,
        }
    }
}

/// One member of the basis that a response and its derivatives form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HrfPart {
    /// The response itself, with unit sum.
    Response,
    /// Change of the response for each second by which it comes earlier.
    TemporalDerivative,
    /// Change of the response for each second by which its peak is narrower.
    DispersionDerivative,
}

/// A response before and after a small step; their difference over the step is the derivative.
struct Step {
    before: GammaPair,
    after: GammaPair,
    delay_s: f64,
    size_s: f64,
}

impl Step {
    fn difference(
        &self,
        sample: impl Fn(&GammaPair, f64) -> Result<Vec<f64>, MathError>,
    ) -> Result<Vec<f64>, MathError> {
        let (before, after) = (sample(&self.before, 0.0)?, sample(&self.after, self.delay_s)?);
        Ok(before.iter().zip(&after).map(|(b, a)| (b - a) / self.size_s).collect())
    }
}

impl Hrf {
    /// The step whose difference is a derivative; `None` for the response itself.
    fn step(self, part: HrfPart) -> Result<Option<Step>, MathError> {
        if part == HrfPart::Response {
            return Ok(None);
        }
        let before = self.gamma_pair().ok_or(MathError::Parameter {
            name: "number of derivatives",
            found: 1.0,
            expected: "0 where no response is assumed",
        })?;
        if part == HrfPart::TemporalDerivative {
            return Ok(Some(Step { before, after: before, delay_s: TEMPORAL_STEP_S, size_s: TEMPORAL_STEP_S }));
        }
        // nilearn differences Glover's response with an undershoot of dispersion 1, not 0.9; kept so that the two agree.
        let before = GammaPair { undershoot_dispersion_s: 1.0, ..before };
        let after = GammaPair { peak_dispersion_s: before.peak_dispersion_s + DISPERSION_STEP_S, ..before };
        Ok(Some(Step { before, after, delay_s: 0.0, size_s: DISPERSION_STEP_S }))
    }

    /// Samples one part of the basis in the convention of [`Hrf::kernel`].
    ///
    /// The temporal derivative is `(h(t) - h(t - 0.1 s)) / 0.1 s`, the dispersion derivative
    /// `(h(t; d) - h(t; d + 0.01 s)) / 0.01 s` with `d` the dispersion of the peak: nilearn's
    /// `glover_time_derivative`, `spm_time_derivative`, `glover_dispersion_derivative` and `spm_dispersion_derivative`.
    /// Each `h` has unit sum over its samples before the difference is taken; the derivative itself is not normalised: its
    /// sum is 0 and its unit is that of the response per second.
    ///
    /// # Errors
    /// As [`Hrf::kernel`], and [`MathError::Parameter`] for a derivative of [`Hrf::None`].
    pub fn part_kernel(
        self,
        part: HrfPart,
        repetition_time_s: f64,
        oversampling: usize,
        time_length_s: f64,
    ) -> Result<Vec<f64>, MathError> {
        let Some(step) = self.step(part)? else {
            return self.kernel(repetition_time_s, oversampling, time_length_s);
        };
        require_duration("repetition_time_s", repetition_time_s)?;
        require_duration("time_length_s", time_length_s)?;
        step.difference(|pair, delay_s| pair.sampled(delay_s, repetition_time_s, oversampling, time_length_s))
    }

    /// Samples one part of the basis at whole repetition times, as [`Hrf::at_repetition_times`] does the response.
    ///
    /// The derivatives are those of [`Hrf::part_kernel`], with responses of unit sum over the lags.
    ///
    /// # Errors
    /// As [`Hrf::at_repetition_times`], and [`MathError::Parameter`] for a derivative of [`Hrf::None`].
    pub fn part_at_repetition_times(self, part: HrfPart, repetition_time_s: f64) -> Result<Vec<f64>, MathError> {
        let Some(step) = self.step(part)? else {
            return self.at_repetition_times(repetition_time_s);
        };
        require_duration("repetition_time_s", repetition_time_s)?;
        step.difference(|pair, delay_s| pair.at_lags(delay_s, repetition_time_s))
    }

    /// Convolves every column of one run (n_tr x n_units) with the response and the derivatives asked for.
    ///
    /// Returns one matrix (n_tr x n_units) for each of [`HrfDerivatives::parts`]. The first equals [`Hrf::convolve`]; a
    /// derivative is `sum_k w_k (x(t - k) - m)` with `m` the column's mean over the run, so a constant column gives 0 and
    /// the column is taken to be at its mean before the run, as there. Adding `d` times the temporal derivative to the
    /// response moves it `d` seconds earlier, to first order. Derivatives are neither normalised nor orthogonalised.
    ///
    /// # Errors
    /// As [`Hrf::convolve`], and [`MathError::Parameter`] for a derivative of [`Hrf::None`].
    pub fn convolve_parts(
        self,
        series: ArrayView2<'_, f32>,
        repetition_time_s: f64,
        derivatives: HrfDerivatives,
    ) -> Result<Vec<Array2<f32>>, MathError> {
        require_finite("series", series)?;
        let convolved = derivatives.parts().iter().map(|&part| {
            if part == HrfPart::Response {
                return self.convolve(series, repetition_time_s);
            }
            let kernel = self.part_at_repetition_times(part, repetition_time_s)?;
            Ok(convolve_about_mean(series, &kernel, 0.0))
        });
        convolved.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Axis;

    /// Responses that really are moved or narrowed must lie near the plane that the basis spans.
    #[test]
    fn the_temporal_derivative_moves_the_response_earlier() {
        for hrf in [Hrf::Glover, Hrf::Spm] {
            let pair = hrf.gamma_pair().unwrap();
            let response = hrf.at_repetition_times(1.0).unwrap();
            let slope = hrf.part_at_repetition_times(HrfPart::TemporalDerivative, 1.0).unwrap();
            let early = pair.at_lags(-0.2, 1.0).unwrap();
            let moved = response.iter().zip(&slope).map(|(h, d)| h + 0.2 * d);
            let (mut error, mut change) = (0.0f64, 0.0f64);
            for ((m, e), h) in moved.zip(&early).zip(&response) {
                error = error.max((m - e).abs());
                change = change.max((e - h).abs());
            }
            assert!(error < 0.2 * change, "{hrf:?}: {error} of {change}");
        }
    }

    #[test]
    fn derivatives_sum_to_nothing_and_a_constant_column_gives_nothing() {
        let constant = Array2::<f32>::from_elem((50, 2), 7.0);
        for hrf in [Hrf::Glover, Hrf::Spm] {
            for part in [HrfPart::TemporalDerivative, HrfPart::DispersionDerivative] {
                let kernel = hrf.part_at_repetition_times(part, 0.72).unwrap();
                assert!(kernel.iter().sum::<f64>().abs() < 1e-12 && kernel.iter().any(|w| w.abs() > 1e-2));
            }
            let parts = hrf.convolve_parts(constant.view(), 0.72, HrfDerivatives::TemporalAndDispersion).unwrap();
            assert_eq!(parts.len(), 3);
            assert_eq!(parts[0], constant);
            assert!(parts[1..].iter().all(|p| p.iter().all(|&v| v == 0.0)));
        }
    }

    /// An impulse at the first sample shows the kernel; the rest of the run rides on the mean.
    #[test]
    fn each_part_is_convolved_with_its_own_kernel() {
        let mut series = Array2::<f32>::zeros((40, 1));
        series[[0, 0]] = 40.0;
        let parts = Hrf::Spm.convolve_parts(series.view(), 2.0, HrfDerivatives::TemporalAndDispersion).unwrap();
        assert_eq!(parts[0], Hrf::Spm.convolve(series.view(), 2.0).unwrap());
        for (part, found) in HrfDerivatives::TemporalAndDispersion.parts().iter().zip(&parts).skip(1) {
            let kernel = Hrf::Spm.part_at_repetition_times(*part, 2.0).unwrap();
            let mut step = 0.0;
            for (t, row) in found.axis_iter(Axis(0)).enumerate() {
                let weight = kernel.get(t).copied().unwrap_or(0.0);
                step -= weight;
                assert!((f64::from(row[0]) - (40.0 * weight + step)).abs() < 1e-5, "{part:?} {t}");
            }
        }
    }

    #[test]
    fn no_response_has_no_derivative() {
        let series = Array2::<f32>::zeros((5, 1));
        assert_eq!(Hrf::None.convolve_parts(series.view(), 1.0, HrfDerivatives::None).unwrap(), [series.to_owned()]);
        let error = Hrf::None.convolve_parts(series.view(), 1.0, HrfDerivatives::Temporal).unwrap_err();
        assert_eq!(error.to_string(), "`number of derivatives` is 1, expected 0 where no response is assumed");
        assert!(Hrf::Glover.part_kernel(HrfPart::TemporalDerivative, 0.0, 1, 32.0).is_err());
        assert!(Hrf::Glover.part_at_repetition_times(HrfPart::TemporalDerivative, 40.0).is_err());
    }
}
