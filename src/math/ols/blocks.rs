//! The steps of a least-squares fit that repeat for every block of targets, and the results they fill.
//!
//! Owns the order of sums and which statistic is absent for which target.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::design::{Design, Rows};
use super::noise::{Plan, Whitened, whiten};
use super::{Effects, OlsFit, OlsOptions, OlsWarning};
use crate::math::MathError;
use crate::math::blas::matmul;
use crate::math::scores::CONSTANT_SHARE;

/// Blocks whose results are held before they are written to their places.
const WAVE: usize = 32;

/// Some targets in f64, centred when there is an intercept.
pub(super) struct Targets {
    /// n_samples x n_block.
    pub values: Array2<f64>,
    /// What was subtracted (n_block).
    pub mean: Vec<f64>,
    /// `sum y^2` before centring (n_block).
    raw_power: Vec<f64>,
}

impl Targets {
    pub fn gather(y: ArrayView2<'_, f32>, targets: &[usize], intercept: bool) -> Self {
        let n_samples = y.nrows();
        let mut values = Array2::zeros((n_samples, targets.len()));
        let (mut mean, mut raw_power) = (vec![0.0; targets.len()], vec![0.0; targets.len()]);
        for (mut to, from) in values.outer_iter_mut().zip(y.outer_iter()) {
            for (j, (to, &target)) in to.iter_mut().zip(targets).enumerate() {
                *to = f64::from(from[target]);
                mean[j] += *to;
                raw_power[j] += *to * *to;
            }
        }
        if intercept {
            mean.iter_mut().for_each(|m| *m /= n_samples as f64);
            for mut row in values.outer_iter_mut() {
                row.iter_mut().zip(&mean).for_each(|(v, m)| *v -= m);
            }
        } else {
            mean.fill(0.0);
        }
        Self { values, mean, raw_power }
    }

    /// Whether this power is no more than the rounding of f32 explains.
    pub fn is_rounding(&self, target: usize, power: f64) -> bool {
        power <= CONSTANT_SHARE * self.raw_power[target]
    }
}

/// What one block gives; rows that are not estimable are computed and dropped when they are written.
struct BlockFit {
    targets: Vec<usize>,
    estimates: [Array2<f64>; 2],
    intercepts: Vec<f64>,
    residual_variances: Vec<f64>,
    r2: Vec<Option<f64>>,
    /// Whether residuals exceed rounding, so that errors exist.
    has_errors: Vec<bool>,
}

/// The results in the making.
pub(super) struct Assembly<'a> {
    design: &'a Design,
    y: ArrayView2<'a, f32>,
    options: &'a OlsOptions,
    rows: [Option<Rows>; 2],
    effects: [Option<Effects>; 2],
    intercepts: Vec<f32>,
    residual_variances: Vec<f64>,
    r2: Vec<Option<f64>>,
    n_without_errors: usize,
}

impl<'a> Assembly<'a> {
    pub fn new(
        design: &'a Design,
        y: ArrayView2<'a, f32>,
        options: &'a OlsOptions,
        coefficient_rows: Rows,
        contrast_rows: Option<Rows>,
    ) -> Self {
        let n_targets = y.ncols();
        let absent = |rows: &Rows| Array2::from_elem((rows.is_estimable.len(), n_targets), None);
        let rows = [Some(coefficient_rows), contrast_rows];
        let effects = [0, 1].map(|i| {
            rows[i].as_ref().map(|rows| Effects {
                estimates: absent(rows),
                standard_errors: absent(rows),
                t_values: absent(rows),
            })
        });
        Self {
            design,
            y,
            options,
            rows,
            effects,
            intercepts: vec![0.0; n_targets],
            residual_variances: vec![0.0; n_targets],
            r2: vec![None; n_targets],
            n_without_errors: 0,
        }
    }

    /// Fits all jobs, wave by wave, so that results wait in memory for one wave only.
    pub fn run(&mut self, plan: &Plan, runs: &[Range<usize>]) -> Result<(), MathError> {
        for wave in plan.jobs.chunks(WAVE) {
            let mut rhos: Vec<f64> = wave.iter().map(|(rho, _)| *rho).collect();
            rhos.dedup();
            let rows = self.rows.each_ref().map(Option::as_ref);
            let whitened: Vec<Whitened> = rhos
                .into_par_iter()
                .map(|rho| Whitened::of(self.design, rho, runs, self.options.ar1_start, rows))
                .collect::<Result<_, _>>()?;
            let of = |rho: f64| whitened.iter().find(|w| w.rho == rho).expect("every job's design was whitened");
            let fits: Vec<BlockFit> =
                wave.par_iter().map(|(rho, targets)| self.fit_block(of(*rho), targets, runs)).collect();
            for ((rho, _), fit) in wave.iter().zip(fits) {
                self.write(&fit, of(*rho));
            }
        }
        Ok(())
    }

    fn fit_block(&self, whitened: &Whitened, targets: &[usize], runs: &[Range<usize>]) -> BlockFit {
        let (n_samples, n_parameters) = self.design.basis.dim();
        let mut block = Targets::gather(self.y, targets, self.options.intercept);
        whiten(&mut block.values, whitened.rho, runs, self.options.ar1_start);
        let total = self.total_power(&block, whitened.rho, runs);
        let projected = matmul(whitened.basis.t(), block.values.view());
        let loadings = matmul(whitened.inverse.view(), projected.view());
        let mut residuals = std::mem::take(&mut block.values);
        ndarray::linalg::general_mat_mul(-1.0, &whitened.basis, &loadings, 1.0, &mut residuals);
        let mut power = vec![0.0; targets.len()];
        for row in residuals.outer_iter() {
            power.iter_mut().zip(row).for_each(|(p, v)| *p += v * v);
        }
        let intercepts = if self.design.intercept {
            let coefficients = matmul(self.design.to_coefficients.view(), loadings.view());
            let through_means = ndarray::aview1(&self.design.mean).dot(&coefficients);
            let constant = (n_samples as f64).sqrt().recip();
            (0..targets.len()).map(|j| block.mean[j] + constant * loadings[[0, j]] - through_means[j]).collect()
        } else {
            vec![0.0; targets.len()]
        };
        BlockFit {
            targets: targets.to_vec(),
            estimates: self.rows.each_ref().map(|rows| {
                rows.as_ref().map_or_else(
                    || Array2::zeros((0, targets.len())),
                    |rows| matmul(rows.weights.view(), loadings.view()),
                )
            }),
            intercepts,
            residual_variances: power.iter().map(|p| p / (n_samples - n_parameters) as f64).collect(),
            r2: (0..targets.len())
                .map(|j| (!block.is_rounding(j, total[j])).then(|| 1.0 - power[j] / total[j]))
                .collect(),
            has_errors: (0..targets.len()).map(|j| !block.is_rounding(j, power[j])).collect(),
        }
    }

    /// Power of whitened targets about their best constant, or about 0 without intercept.
    fn total_power(&self, whitened: &Targets, rho: f64, runs: &[Range<usize>]) -> Vec<f64> {
        let n_targets = whitened.values.ncols();
        let mut power = vec![0.0; n_targets];
        for row in whitened.values.outer_iter() {
            power.iter_mut().zip(row).for_each(|(p, v)| *p += v * v);
        }
        if self.design.intercept {
            let mut ones = Array2::ones((whitened.values.nrows(), 1));
            whiten(&mut ones, rho, runs, self.options.ar1_start);
            let ones = ones.index_axis(Axis(1), 0);
            let products = ones.dot(&whitened.values);
            let ones_power = ones.dot(&ones);
            power.iter_mut().zip(products).for_each(|(p, product)| *p = (*p - product * product / ones_power).max(0.0));
        }
        power
    }

    fn write(&mut self, fit: &BlockFit, whitened: &Whitened) {
        for (kind, effects) in self.effects.iter_mut().enumerate() {
            let (Some(effects), Some(rows)) = (effects.as_mut(), self.rows[kind].as_ref()) else { continue };
            for (row, _) in rows.is_estimable.iter().enumerate().filter(|(_, is_estimable)| **is_estimable) {
                for (j, &target) in fit.targets.iter().enumerate() {
                    let estimate = fit.estimates[kind][[row, j]];
                    effects.estimates[[row, target]] = Some(estimate as f32);
                    if !fit.has_errors[j] {
                        continue;
                    }
                    let error = whitened.unit_errors[kind][row] * fit.residual_variances[j].sqrt();
                    effects.standard_errors[[row, target]] = Some(error as f32);
                    effects.t_values[[row, target]] = (error > 0.0).then(|| (estimate / error) as f32);
                }
            }
        }
        for (j, &target) in fit.targets.iter().enumerate() {
            self.intercepts[target] = fit.intercepts[j] as f32;
            self.residual_variances[target] = fit.residual_variances[j];
            self.r2[target] = fit.r2[j];
            self.n_without_errors += usize::from(!fit.has_errors[j]);
        }
    }

    pub fn finish(self, plan: Plan) -> OlsFit {
        let missing = |rows: &Option<Rows>| -> Vec<usize> {
            let flags = rows.as_ref().map_or(&[][..], |rows| &rows.is_estimable);
            flags.iter().enumerate().filter(|(_, is_estimable)| !**is_estimable).map(|(row, _)| row).collect()
        };
        let mut warnings = Vec::new();
        let columns = missing(&self.rows[0]);
        if !columns.is_empty() {
            warnings.push(OlsWarning::ColumnsNotEstimable { columns });
        }
        let contrasts = missing(&self.rows[1]);
        if !contrasts.is_empty() {
            warnings.push(OlsWarning::ContrastsNotEstimable { contrasts });
        }
        let has_intercept = self.design.has_estimable_intercept();
        if self.design.intercept && !has_intercept {
            warnings.push(OlsWarning::InterceptNotEstimable);
        }
        let n_constant = self.r2.iter().filter(|r2| r2.is_none()).count();
        if n_constant > 0 {
            warnings.push(OlsWarning::ConstantTargets { n_targets: n_constant });
        }
        if self.n_without_errors > n_constant {
            warnings.push(OlsWarning::ExactFits { n_targets: self.n_without_errors - n_constant });
        }
        if plan.n_non_stationary > 0 {
            warnings.push(OlsWarning::NonStationary { n_targets: plan.n_non_stationary });
        }
        let (n_samples, n_parameters) = self.design.basis.dim();
        let [coefficients, contrasts] = self.effects;
        OlsFit {
            coefficients: coefficients.expect("coefficients are always asked for"),
            contrasts,
            intercepts: has_intercept.then_some(self.intercepts),
            rank: self.design.rank(),
            residual_dof: n_samples - n_parameters,
            residual_variances: self.residual_variances,
            r2: self.r2,
            autocorrelations: plan.autocorrelations,
            warnings,
        }
    }
}
