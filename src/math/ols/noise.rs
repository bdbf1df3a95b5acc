//! The noise model: autocorrelation of residuals, and whitening that restarts with every run.
//!
//! Owns which targets are whitened alike; the fit of the whitened targets is in `blocks.rs`.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;

use super::blocks::Targets;
use super::design::{Design, Rows};
use super::{Ar1Start, Noise, OlsOptions, TARGET_BLOCK};
use crate::math::MathError;
use crate::math::blas::matmul;
use crate::math::eigen::symmetric_eigen;
use crate::math::error::require_shape;
use crate::math::folds::runs_in_order;

/// The runs that whitening keeps apart.
pub(super) fn runs(
    n_samples: usize,
    run_of_sample: Option<&[usize]>,
    options: &OlsOptions,
) -> Result<Vec<Range<usize>>, MathError> {
    let runs = match run_of_sample {
        Some(run_of_sample) => {
            require_shape("run_of_sample", run_of_sample.len(), n_samples, "one run for each row of x")?;
            runs_in_order(run_of_sample)?
        }
        None => runs_in_order(&vec![0; n_samples])?,
    };
    if options.noise == Noise::Ar1 {
        if options.ar1_bins == 0 {
            return Err(MathError::Parameter { name: "ar1_bins", found: 0.0, expected: "1 or more" });
        }
        if runs.len() == n_samples {
            return Err(MathError::TooFew {
                name: "pairs of neighbouring samples",
                found: 0,
                expected: 1,
                hint: "every run has one sample only, which shows no autocorrelation",
            });
        }
    }
    Ok(runs)
}

/// Which targets are fitted together, and by which autocorrelation each is whitened.
#[derive(Debug)]
pub(super) struct Plan {
    /// An autocorrelation and some of the targets that have it, in ascending order of both.
    pub jobs: Vec<(f64, Vec<usize>)>,
    /// Of every target, if they were measured.
    pub autocorrelations: Option<Vec<f64>>,
    pub n_non_stationary: usize,
}

/// Measures the autocorrelation of every target, if the noise model wants it, and groups equal ones.
pub(super) fn plan(
    design: &Design,
    y: ArrayView2<'_, f32>,
    runs: &[Range<usize>],
    options: &OlsOptions,
) -> Result<Plan, MathError> {
    let all: Vec<usize> = (0..y.ncols()).collect();
    if options.noise == Noise::White {
        let jobs = all.chunks(TARGET_BLOCK).map(|targets| (0.0, targets.to_vec())).collect();
        return Ok(Plan { jobs, autocorrelations: None, n_non_stationary: 0 });
    }
    let measured: Vec<Vec<f64>> = all
        .par_chunks(TARGET_BLOCK)
        .map(|targets| {
            let targets = Targets::gather(y, targets, options.intercept);
            let loadings = matmul(design.basis.t(), targets.values.view());
            let residuals = &targets.values - &matmul(design.basis.view(), loadings.view());
            lag_one(&residuals, &targets, runs)
        })
        .collect();
    let bins = options.ar1_bins as f64;
    let largest = options.ar1_bins as i64 - 1;
    let mut n_non_stationary = 0;
    let steps: Vec<i64> = measured
        .concat()
        .into_iter()
        .map(|rho| {
            // A cast cuts towards 0, as nilearn's does.
            let step = (rho * bins) as i64;
            n_non_stationary += usize::from(step.abs() > largest);
            step.clamp(-largest, largest)
        })
        .collect();
    let mut by_step = all;
    by_step.sort_by_key(|&target| steps[target]);
    let jobs = by_step
        .chunk_by(|&a, &b| steps[a] == steps[b])
        .flat_map(|equal| equal.chunks(TARGET_BLOCK))
        .map(|targets| (steps[targets[0]] as f64 / bins, targets.to_vec()))
        .collect();
    let autocorrelations = Some(steps.iter().map(|&step| step as f64 / bins).collect());
    Ok(Plan { jobs, autocorrelations, n_non_stationary })
}

/// Lag-1 autocorrelation of each column of the residuals, from products within runs.
fn lag_one(residuals: &Array2<f64>, targets: &Targets, runs: &[Range<usize>]) -> Vec<f64> {
    let (n_samples, n_targets) = residuals.dim();
    let mut mean = vec![0.0; n_targets];
    for row in residuals.outer_iter() {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / n_samples as f64);
    }
    let (mut power, mut products) = (vec![0.0; n_targets], vec![0.0; n_targets]);
    for run in runs {
        for t in run.clone() {
            let row = residuals.row(t);
            for ((power, v), mean) in power.iter_mut().zip(row).zip(&mean) {
                *power += (v - mean) * (v - mean);
            }
            if t > run.start {
                let previous = residuals.row(t - 1);
                for (((product, v), w), mean) in products.iter_mut().zip(row).zip(previous).zip(&mean) {
                    *product += (v - mean) * (w - mean);
                }
            }
        }
    }
    let (n, n_pairs) = (n_samples as f64, (n_samples - runs.len()) as f64);
    (0..n_targets)
        .map(|j| if targets.is_rounding(j, power[j]) { 0.0 } else { (products[j] / n_pairs) / (power[j] / n) })
        .collect()
}

/// Replaces every row by its difference from `rho` times the one before it, run by run.
pub(super) fn whiten(matrix: &mut Array2<f64>, rho: f64, runs: &[Range<usize>], start: Ar1Start) {
    if rho == 0.0 {
        return;
    }
    for run in runs {
        for t in (run.start + 1..run.end).rev() {
            let (before, mut after) = matrix.multi_slice_mut((s![t - 1, ..], s![t, ..]));
            after.zip_mut_with(&before, |v, w| *v -= rho * w);
        }
        if start == Ar1Start::Stationary {
            matrix.row_mut(run.start).mapv_inplace(|v| v * (1.0 - rho * rho).sqrt());
        }
    }
}

/// A design whitened by one autocorrelation, with what every target that has it shares.
#[derive(Debug)]
pub(super) struct Whitened {
    pub rho: f64,
    /// `A = W B` (n_samples x n_parameters).
    pub basis: Array2<f64>,
    /// `(A'A)^-1` (n_parameters x n_parameters).
    pub inverse: Array2<f64>,
    /// Standard errors of the coefficients and of the contrasts at a residual variance of 1.
    pub unit_errors: [Vec<f64>; 2],
}

impl Whitened {
    pub fn of(
        design: &Design,
        rho: f64,
        runs: &[Range<usize>],
        start: Ar1Start,
        rows: [Option<&Rows>; 2],
    ) -> Result<Self, MathError> {
        let mut basis = design.basis.clone();
        whiten(&mut basis, rho, runs, start);
        // The basis is orthonormal, so its whitened Gram matrix has a condition of ((1 + |rho|) / (1 - |rho|))^2 at most.
        let eigen = symmetric_eigen(matmul(basis.t(), basis.view()))?;
        let inverse = matmul((&eigen.vectors / &eigen.values).view(), eigen.vectors.t());
        let unit_errors = rows.map(|rows| {
            let Some(rows) = rows else { return Vec::new() };
            let spread = matmul(rows.weights.view(), inverse.view());
            let power =
                |(a, b): (ndarray::ArrayView1<'_, f64>, ndarray::ArrayView1<'_, f64>)| a.dot(&b).max(0.0).sqrt();
            spread.outer_iter().zip(rows.weights.outer_iter()).map(power).collect()
        });
        Ok(Self { rho, basis, inverse, unit_errors })
    }
}
