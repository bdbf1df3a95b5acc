//! Sparse codes of many samples in one dictionary: the lasso on a shared Gram matrix.
//!
//! Owns the products that all samples share; how one sample is coded is in `lasso/descent.rs`, how the dictionary comes
//! about in [`super::dictionary`].

mod descent;

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

pub(super) use self::descent::{Descent, DescentEnd};
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
/// Minimises `1/2 ||s - D c||^2 + penalty ||c||_1` by cyclic coordinate descent on `D'D` (Friedman 2010), with a direct solve
/// on the support once a sweep leaves its signs alone, until the duality gap falls below [`LASSO_TOLERANCE`] times
/// `||s||^2`. Correlations `D's` are f32 products; the descent is f64. Where patterns are collinear the minimum is
/// shared by many codes, and the one found depends on their order.
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
    let correlations = matmul(samples.t(), patterns);
    let mut power = vec![0.0f64; samples.ncols()];
    for row in samples.outer_iter() {
        power.iter_mut().zip(row).for_each(|(p, &v)| *p += f64::from(v) * f64::from(v));
    }
    let mut codes = Array2::zeros(correlations.dim());
    let ends: Vec<Vec<DescentEnd>> = codes
        .axis_chunks_iter_mut(Axis(0), SAMPLE_BLOCK)
        .into_par_iter()
        .zip(correlations.axis_chunks_iter(Axis(0), SAMPLE_BLOCK))
        .zip(power.par_chunks(SAMPLE_BLOCK))
        .map(|((codes, correlations), power)| descent.run_all(correlations, power, codes))
        .collect();
    Ok(LassoCodes {
        codes: codes.t().mapv(|v: f64| v as f32),
        n_unconverged: ends.iter().flatten().filter(|end| !end.is_converged).count(),
    })
}

pub(super) fn require_penalty(penalty: f64) -> Result<(), MathError> {
    if penalty.is_finite() && penalty > 0.0 {
        Ok(())
    } else {
        Err(MathError::Parameter { name: "penalty", found: penalty, expected: "a positive number" })
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
    fn repeated_patterns_share_one_minimum() {
        let patterns = array![[1.0f32, 1.0, 0.6], [0.0, 0.0, 0.8]];
        let found = lasso_codes(array![[2.0f32], [0.0]].view(), patterns.view(), 0.5).unwrap();
        assert_eq!(found.n_unconverged, 0);
        assert!((found.codes[[0, 0]] + found.codes[[1, 0]] - 1.5).abs() < 1e-6, "{}", found.codes);
        assert_eq!(found.codes[[2, 0]], 0.0);
    }

    /// An exact fit by nearly collinear patterns under hardly any penalty, which sweeps alone approach very slowly.
    #[test]
    fn correlated_patterns_are_solved() {
        let n = 60;
        let patterns = Array2::from_shape_fn((n, n), |(i, j)| 0.97f32.powi((i as i32 - j as i32).abs()));
        let samples = patterns.dot(&Array2::from_shape_fn((n, 3), |(i, j)| 1.0 + (i % (j + 2)) as f32));
        let found = lasso_codes(samples.view(), patterns.view(), 1e-3).unwrap();
        assert_eq!(found.n_unconverged, 0);
        let [patterns, samples, codes] = [patterns, samples, found.codes].map(|array| array.mapv(f64::from));
        let slopes = patterns.t().dot(&(&samples - &patterns.dot(&codes)));
        // Correlations of size 1000 are known to f32's rounding.
        assert!(slopes.iter().all(|slope| slope.abs() < 2e-3), "{slopes:.5}");
    }

    #[test]
    fn a_penalty_must_be_positive() {
        let one = array![[1.0f32]];
        assert!(lasso_codes(one.view(), one.view(), -1.0).is_err());
        assert!(lasso_codes(one.view(), one.view(), 0.0).is_err());
        assert!(lasso_codes(one.view(), one.view(), f64::NAN).is_err());
    }

    proptest! {
        /// Karush-Kuhn-Tucker: `D'(s - D c)` equals `penalty sign(c)` where `c` is not 0 and is at most `penalty` elsewhere.
        #[test]
        fn codes_meet_the_optimality_conditions(
            numbers in prop::collection::vec(-1.0f32..1.0, 12 * 9), penalty in 0.05f64..1.0, n_rows in 3usize..=12,
        ) {
            // Fewer rows than patterns: supports become collinear and the solve has to step aside.
            let all = Array::from_shape_vec((12, 9), numbers).unwrap().slice_move(ndarray::s![..n_rows, ..]);
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
