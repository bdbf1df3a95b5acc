//! Sparse codes of many samples in one dictionary: the lasso on a shared Gram matrix.
//!
//! Owns coordinate descent and its stopping rule. How the dictionary comes about is in [`super::dictionary`].

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::MathError;
use super::blas::matmul;
use super::error::{require_finite, require_shape};

/// Samples that one task codes.
const SAMPLE_BLOCK: usize = 64;

/// Duality gap, relative to the power of the sample, at which [`lasso_codes`] stops.
pub const LASSO_TOLERANCE: f64 = 1e-12;

/// Sweeps over the coordinates after which a sample is given up and counted.
pub const LASSO_MAX_SWEEPS: usize = 5000;

/// Sparse codes of the columns of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct LassoCodes {
    /// Codes (n_patterns x n_samples).
    pub codes: Array2<f32>,
    /// Samples whose duality gap was still above the tolerance after the last sweep.
    pub n_unconverged: usize,
}

/// Codes every column `s` of `samples` (n_dimensions x n_samples) in `patterns` (n_dimensions x n_patterns).
///
/// Minimises `1/2 ||s - D c||^2 + penalty ||c||_1` by cyclic coordinate descent on `D'D` (Friedman 2010), until the
/// duality gap falls below [`LASSO_TOLERANCE`] times `||s||^2`. Correlations `D's` are f32 products; the descent is f64.
/// Where patterns are collinear the minimum is shared by many codes, and the one found depends on their order.
///
/// # Errors
/// [`MathError::Shape`] when the dimensions differ, [`MathError::Parameter`] when the penalty is not positive,
/// [`MathError::NotFinite`].
pub fn lasso_codes(
    samples: ArrayView2<'_, f32>,
    patterns: ArrayView2<'_, f32>,
    penalty: f64,
) -> Result<LassoCodes, MathError> {
    require_shape("rows of the patterns", patterns.nrows(), samples.nrows(), "patterns and samples share dimensions")?;
    require_penalty(penalty)?;
    require_finite("samples", samples)?;
    require_finite("patterns", patterns)?;
    let wide = patterns.mapv(f64::from);
    let descent = Descent {
        gram: matmul(wide.t(), wide.view()),
        penalty,
        tolerance: LASSO_TOLERANCE,
        max_sweeps: LASSO_MAX_SWEEPS,
    };
    let correlations = matmul(samples.t(), patterns).mapv(f64::from);
    let mut power = vec![0.0f64; samples.ncols()];
    for row in samples.outer_iter() {
        power.iter_mut().zip(row).for_each(|(p, &v)| *p += f64::from(v) * f64::from(v));
    }
    let mut codes = Array2::zeros(correlations.dim());
    let ends = descent.run_all(correlations.view(), &power, &mut codes);
    Ok(LassoCodes {
        codes: codes.t().mapv(|v: f64| v as f32),
        n_unconverged: ends.iter().filter(|end| !end.is_converged).count(),
    })
}

pub(super) fn require_penalty(penalty: f64) -> Result<(), MathError> {
    if penalty.is_finite() && penalty > 0.0 {
        Ok(())
    } else {
        Err(MathError::Parameter { name: "penalty", found: penalty, expected: "a positive number" })
    }
}

/// Coordinate descent with everything that samples share.
pub(super) struct Descent {
    /// `D'D` (n_patterns x n_patterns).
    pub gram: Array2<f64>,
    pub penalty: f64,
    /// Duality gap relative to the sample's power.
    pub tolerance: f64,
    pub max_sweeps: usize,
}

/// Where the descent of one sample ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct DescentEnd {
    /// `||s - D c||^2`
    pub residual_power: f64,
    pub is_converged: bool,
}

impl Descent {
    /// Codes all samples, in parallel over fixed blocks; `codes` (n_samples x n_patterns) holds the starting points.
    pub fn run_all(
        &self,
        correlations: ArrayView2<'_, f64>,
        power: &[f64],
        codes: &mut Array2<f64>,
    ) -> Vec<DescentEnd> {
        let blocks: Vec<Vec<DescentEnd>> = codes
            .axis_chunks_iter_mut(Axis(0), SAMPLE_BLOCK)
            .into_par_iter()
            .enumerate()
            .map(|(block, mut codes)| {
                let mut fitted = vec![0.0; self.gram.nrows()];
                codes
                    .outer_iter_mut()
                    .enumerate()
                    .map(|(i, mut code)| {
                        let sample = block * SAMPLE_BLOCK + i;
                        let correlation = correlations.row(sample).to_vec();
                        let code = code.as_slice_mut().expect("codes are stored sample by sample");
                        self.run(&correlation, power[sample], code, &mut fitted)
                    })
                    .collect()
            })
            .collect();
        blocks.concat()
    }

    /// Codes one sample from the starting point in `code`; `fitted` is scratch for `G c`.
    fn run(&self, correlation: &[f64], power: f64, code: &mut [f64], fitted: &mut [f64]) -> DescentEnd {
        let gram = self.gram.as_slice().expect("a product is stored in standard order");
        let n_patterns = code.len();
        let gram_row = |j: usize| &gram[j * n_patterns..(j + 1) * n_patterns];
        fitted.fill(0.0);
        for (j, &value) in code.iter().enumerate().filter(|(_, v)| **v != 0.0) {
            fitted.iter_mut().zip(gram_row(j)).for_each(|(f, g)| *f += value * g);
        }
        let mut end = self.measure(correlation, power, code, fitted);
        for _ in 0..self.max_sweeps {
            if end.is_converged {
                break;
            }
            for j in 0..n_patterns {
                let row = gram_row(j);
                let curvature = row[j];
                if curvature <= 0.0 {
                    continue;
                }
                let target = correlation[j] - fitted[j] + curvature * code[j];
                let updated = soft_threshold(target, self.penalty) / curvature;
                let change = updated - code[j];
                if change != 0.0 {
                    code[j] = updated;
                    fitted.iter_mut().zip(row).for_each(|(f, g)| *f += change * g);
                }
            }
            end = self.measure(correlation, power, code, fitted);
        }
        end
    }

    /// Duality gap with the residual, scaled into the feasible set, as the dual point.
    ///
    /// Written in `D'D`, `D's` and `||s||^2` alone; at the minimum `||s||^2` cancels, so rounding of the correlations does
    /// not keep the gap from closing.
    fn measure(&self, correlation: &[f64], power: f64, code: &[f64], fitted: &[f64]) -> DescentEnd {
        let (mut q_dot_c, mut c_g_c, mut l1, mut steepest) = (0.0, 0.0, 0.0f64, 0.0f64);
        for (j, &c) in code.iter().enumerate() {
            q_dot_c += correlation[j] * c;
            c_g_c += fitted[j] * c;
            l1 += c.abs();
            steepest = steepest.max((correlation[j] - fitted[j]).abs());
        }
        let residual_power = (power - 2.0 * q_dot_c + c_g_c).max(0.0);
        let scale = if steepest > self.penalty { self.penalty / steepest } else { 1.0 };
        let gap = 0.5 * residual_power * (1.0 + scale * scale) + self.penalty * l1 - scale * (power - q_dot_c);
        DescentEnd { residual_power, is_converged: gap <= self.tolerance * power }
    }
}

fn soft_threshold(value: f64, threshold: f64) -> f64 {
    if value > threshold {
        value - threshold
    } else if value < -threshold {
        value + threshold
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, array};
    use proptest::prelude::*;

    #[test]
    fn orthonormal_patterns_give_the_soft_threshold() {
        let samples = array![[3.0f32, -0.2], [-1.0, 0.5], [0.1, -2.0]];
        let found = lasso_codes(samples.view(), Array2::eye(3).view(), 0.5).unwrap();
        assert_eq!(found.n_unconverged, 0);
        let expected = array![[2.5f32, 0.0], [-0.5, 0.0], [0.0, -1.5]];
        assert!((found.codes - expected).iter().all(|d| d.abs() < 1e-6));
    }

    #[test]
    fn zero_patterns_and_zero_samples_get_zero_codes() {
        let patterns = array![[1.0f32, 0.0], [0.0, 0.0]];
        let samples = array![[0.0f32, 2.0], [0.0, 1.0]];
        let found = lasso_codes(samples.view(), patterns.view(), 0.25).unwrap();
        assert_eq!(found.codes, array![[0.0f32, 1.75], [0.0, 0.0]]);
        assert_eq!(found.n_unconverged, 0);
    }

    #[test]
    fn a_penalty_must_be_positive() {
        let one = array![[1.0f32]];
        assert!(lasso_codes(one.view(), one.view(), 0.0).is_err());
        assert!(lasso_codes(one.view(), one.view(), f64::NAN).is_err());
    }

    proptest! {
        /// Karush-Kuhn-Tucker: `D'(s - D c)` equals `penalty sign(c)` where `c` is not 0 and is at most `penalty` elsewhere.
        #[test]
        fn codes_meet_the_optimality_conditions(
            numbers in prop::collection::vec(-1.0f32..1.0, 12 * 9), penalty in 0.05f64..1.0,
        ) {
            let all = Array::from_shape_vec((12, 9), numbers).unwrap();
            let (patterns, samples) = (all.slice(ndarray::s![.., ..6]), all.slice(ndarray::s![.., 6..]));
            let found = lasso_codes(samples, patterns, penalty).unwrap();
            prop_assert_eq!(found.n_unconverged, 0);
            let gradient = patterns.t().dot(&(&samples - &patterns.dot(&found.codes)));
            for (g, c) in gradient.iter().zip(&found.codes) {
                if *c == 0.0 {
                    prop_assert!(f64::from(g.abs()) <= penalty + 1e-4);
                } else {
                    prop_assert!((f64::from(*g) - penalty * f64::from(c.signum())).abs() < 1e-4);
                }
            }
        }
    }
}
