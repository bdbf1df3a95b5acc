//! One step of learning after another: code a minibatch, fold it in, move the patterns.
//!
//! Owns the present patterns and codes. When to stop is `../dictionary.rs`; how codes are found is `../lasso/descent.rs`.

use ndarray::{Array2, Axis, s};
use rayon::prelude::*;

use super::units::Units;
use super::update::{Statistics, quick_gram};
use crate::math::blas::{matmul, single_thread_blas};
use crate::math::lasso::{Descent, DescentEnd, LASSO_MAX_SWEEPS, LASSO_TOLERANCE};

/// Duality gap, relative to a unit's power, at which a unit's codes are good enough for one step of learning.
const LEARNING_TOLERANCE: f64 = 1e-6;

/// Units that one task correlates with the patterns and codes.
const UNIT_BLOCK: usize = 64;

/// The state of learning, for units of mean power 1.
pub(super) struct Learning<'a> {
    pub units: &'a Units,
    pub penalty: f64,
    /// Patterns as rows (n_patterns x n_tr).
    pub patterns: Array2<f32>,
    /// Codes (n_units x n_patterns).
    pub codes: Array2<f64>,
    /// `||s - D c||^2` of each unit when it was last coded.
    residual_power: Vec<f64>,
    statistics: Statistics,
    /// Room for the series of a minibatch (n_batch x n_tr).
    samples: Array2<f32>,
}

impl<'a> Learning<'a> {
    /// Starts from patterns as rows (n_patterns x n_tr), without codes.
    pub fn start(units: &'a Units, patterns: Array2<f32>, penalty: f64) -> Self {
        Self {
            units,
            penalty,
            codes: Array2::zeros((units.n_units(), patterns.nrows())),
            residual_power: units.power.clone(),
            statistics: Statistics::new(patterns.nrows(), units.n_tr()),
            patterns,
            samples: Array2::zeros((0, units.n_tr())),
        }
    }

    /// Codes one minibatch and updates the patterns.
    pub fn step(&mut self, batch: &[usize]) {
        single_thread_blas();
        let descent = self.descent(quick_gram(self.patterns.view()), LEARNING_TOLERANCE);
        let old = self.codes.select(Axis(0), batch);
        let mut new = old.clone();
        if self.samples.nrows() < batch.len() {
            self.samples = Array2::zeros((batch.len(), self.units.n_tr()));
        }
        let mut samples = self.samples.slice_mut(s![..batch.len(), ..]);
        let ends: Vec<Vec<DescentEnd>> = samples
            .axis_chunks_iter_mut(Axis(0), UNIT_BLOCK)
            .into_par_iter()
            .zip(new.axis_chunks_iter_mut(Axis(0), UNIT_BLOCK))
            .zip(batch.par_chunks(UNIT_BLOCK))
            .map(|((mut samples, codes), batch)| {
                for (mut sample, &unit) in samples.outer_iter_mut().zip(batch) {
                    sample.assign(&self.units.values.row(unit));
                }
                let power: Vec<f64> = batch.iter().map(|&unit| self.units.power[unit]).collect();
                descent.run_all(samples.dot(&self.patterns.t()).view(), &power, codes)
            })
            .collect();
        for ((&unit, end), code) in batch.iter().zip(ends.iter().flatten()).zip(new.outer_iter()) {
            self.codes.row_mut(unit).assign(&code);
            self.residual_power[unit] = end.residual_power;
        }
        self.statistics.replace(self.samples.slice(s![..batch.len(), ..]), old.view(), new.view());
        self.statistics.update_patterns(&mut self.patterns);
    }

    /// Codes all units with the patterns as they are, and folds them in.
    pub fn take_in_all(&mut self) {
        let old = self.codes.clone();
        self.code_all(LEARNING_TOLERANCE);
        self.statistics.replace(self.units.values.view(), old.view(), self.codes.view());
    }

    /// Codes all units to the final tolerance; returns the objective and how many units did not get there.
    pub fn finish(&mut self) -> (f64, usize) {
        let ends = self.code_all(LASSO_TOLERANCE);
        let objective = ends.iter().map(|end| 0.5 * end.residual_power + self.penalty * end.l1).sum();
        (objective, ends.iter().filter(|end| !end.is_converged).count())
    }

    fn code_all(&mut self, tolerance: f64) -> Vec<DescentEnd> {
        single_thread_blas();
        let wide = self.patterns.mapv(f64::from);
        let descent = self.descent(matmul(wide.view(), wide.t()), tolerance);
        let ends: Vec<Vec<DescentEnd>> = self
            .codes
            .axis_chunks_iter_mut(Axis(0), UNIT_BLOCK)
            .into_par_iter()
            .zip(self.units.values.axis_chunks_iter(Axis(0), UNIT_BLOCK))
            .zip(self.units.power.par_chunks(UNIT_BLOCK))
            .map(|((codes, units), power)| descent.run_all(units.dot(&self.patterns.t()).view(), power, codes))
            .collect();
        let ends = ends.concat();
        self.residual_power.iter_mut().zip(&ends).for_each(|(power, end)| *power = end.residual_power);
        ends
    }

    fn descent(&self, gram: Array2<f64>, tolerance: f64) -> Descent {
        Descent { gram, penalty: self.penalty, tolerance, max_sweeps: LASSO_MAX_SWEEPS }
    }

    /// The objective at the present patterns and codes, from the sufficient statistics.
    pub fn objective(&self) -> f64 {
        let l1: f64 = self.codes.iter().map(|c| c.abs()).sum();
        0.5 * (self.units.total_power() + self.statistics.fit_power(self.patterns.view())) + self.penalty * l1
    }

    /// Puts the worst explained units, worst first, in place of patterns that no unit uses.
    pub fn replace_unused(&mut self) {
        let unused: Vec<usize> =
            (0..self.codes.ncols()).filter(|&k| self.codes.column(k).iter().all(|&c| c == 0.0)).collect();
        if unused.is_empty() {
            return;
        }
        let mut worst = self.units.varying();
        worst.sort_by(|&a, &b| self.residual_power[b].total_cmp(&self.residual_power[a]).then(a.cmp(&b)));
        for (&k, &unit) in unused.iter().zip(&worst) {
            self.patterns.row_mut(k).assign(&self.units.direction(unit));
            self.statistics.forget(k);
        }
    }
}
