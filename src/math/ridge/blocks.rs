//! The steps of a ridge regression that repeat for every block of targets.
//!
//! Owns the cut into blocks and the order of sums; the factors that all blocks share come from `factors.rs`.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis, Zip};
use rayon::prelude::*;

use super::factors::Factors;
use super::{CvScore, Ridge, TARGET_BLOCK};
use crate::math::scores::{Columns, column_block};
use crate::math::series::column_means;

/// What a refit was asked for: coefficients with intercepts, predictions of test samples, or both.
pub(super) struct Refit {
    pub coefficients: Option<Array2<f32>>,
    pub intercepts: Option<Vec<f32>>,
    pub prediction: Option<Array2<f32>>,
}

/// The rows `rows` of a block of targets, stored row by row.
fn gather(y: ArrayView2<'_, f32>, rows: &[usize]) -> Array2<f32> {
    let mut part = Array2::zeros((rows.len(), y.ncols()));
    for (mut to, &from) in part.outer_iter_mut().zip(rows) {
        to.assign(&y.row(from));
    }
    part
}

/// The targets fitted on, centred if the fit has an intercept, and what was subtracted from each.
fn gather_train(y: ArrayView2<'_, f32>, rows: &[usize], intercept: bool) -> (Array2<f32>, Vec<f64>) {
    let mut part = gather(y, rows);
    if !intercept {
        return (part, vec![0.0; y.ncols()]);
    }
    let mean = column_means(part.view());
    subtract_from_rows(&mut part, &mean);
    (part, mean)
}

fn subtract_from_rows(matrix: &mut Array2<f32>, mean: &[f64]) {
    for mut row in matrix.outer_iter_mut() {
        Zip::from(&mut row).and(mean).for_each(|v, m| *v = (f64::from(*v) - m) as f32);
    }
}

/// `projector' Y` for one block (rank x n_block).
fn project(factors: &Factors, y: &Array2<f32>) -> Array2<f32> {
    let mut projected = Array2::zeros((factors.projector.ncols(), y.ncols()));
    general_mat_mul(1.0, &factors.projector.t(), y, 0.0, &mut projected);
    projected
}

impl Ridge {
    /// Mean held-out score over folds, for every penalty and target (n_alphas x n_targets).
    pub(super) fn cross_validate(&self, y: ArrayView2<'_, f32>) -> Array2<Option<f32>> {
        let mut scores = Array2::from_elem((self.options.alphas.len(), y.ncols()), None);
        scores.axis_chunks_iter_mut(Axis(1), TARGET_BLOCK).into_par_iter().enumerate().for_each(|(block, mut out)| {
            let y = column_block(y, block * TARGET_BLOCK, out.ncols());
            let mut sums = Array2::<f64>::zeros(out.dim());
            let mut n_scored = vec![0usize; out.ncols()];
            for (fold, factors) in &self.folds {
                self.score_fold(y, &fold.validation, factors, &mut sums, &mut n_scored);
            }
            for ((alpha, target), mean) in out.indexed_iter_mut() {
                let n = n_scored[target];
                *mean = (n > 0).then(|| (sums[[alpha, target]] / n as f64) as f32);
            }
        });
        scores
    }

    fn score_fold(
        &self,
        y: ArrayView2<'_, f32>,
        validation: &[usize],
        factors: &Factors,
        sums: &mut Array2<f64>,
        n_scored: &mut [usize],
    ) {
        let (train_y, train_mean) = gather_train(y, &factors.train, self.options.intercept);
        let projected = project(factors, &train_y);
        // Held-out data are seen relative to the fitted mean, where the prediction without intercept lives.
        let mut held_out = gather(y, validation);
        subtract_from_rows(&mut held_out, &train_mean);
        let columns = Columns::of(&held_out);
        for (target, n) in n_scored.iter_mut().enumerate() {
            *n += usize::from(!columns.is_constant(target));
        }
        let mut prediction = Array2::zeros(held_out.dim());
        let mut weighted = Array2::zeros(projected.dim());
        for (&alpha, mut sums) in self.options.alphas.iter().zip(sums.outer_iter_mut()) {
            let rows = weighted.outer_iter_mut().zip(projected.outer_iter());
            for ((mut out, row), g) in rows.zip(factors.weights(alpha)) {
                Zip::from(&mut out).and(&row).for_each(|out, v| *out = g * v);
            }
            general_mat_mul(1.0, &factors.evaluation, &weighted, 0.0, &mut prediction);
            let scores = match self.options.score {
                CvScore::R2 => columns.r2(&held_out, &prediction),
                CvScore::Pearson => columns.pearson(&held_out, &prediction),
            };
            // Absent for a constant target, which is not counted, or for a constant prediction, which scores 0.
            sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score.unwrap_or(0.0));
        }
    }

    /// Coefficients, intercepts and test predictions with the chosen penalties, each where it was asked for.
    pub(super) fn refit(
        &self,
        y: ArrayView2<'_, f32>,
        best_alpha: &[Option<usize>],
        x_test: Option<ArrayView2<'_, f32>>,
    ) -> Refit {
        let to_coefficients = self.options.coefficients.then(|| self.full.to_coefficients());
        let test = x_test.map(|x| self.full.place(x));
        if to_coefficients.is_none() && test.is_none() {
            return Refit { coefficients: None, intercepts: None, prediction: None };
        }
        let weights: Vec<Vec<f32>> = self.options.alphas.iter().map(|&alpha| self.full.weights(alpha)).collect();
        let n_rows = |m: &Option<Array2<f32>>| m.as_ref().map_or(0, ndarray::ArrayBase::nrows);
        let mut coefficients = Array2::<f32>::zeros((n_rows(&to_coefficients), y.ncols()));
        let mut prediction = Array2::<f32>::zeros((n_rows(&test), y.ncols()));
        let mut intercepts = vec![0.0f32; y.ncols()];
        let feature_mean = &self.full.refit.as_ref().expect("the last factors are those of the refit").feature_mean;

        coefficients
            .axis_chunks_iter_mut(Axis(1), TARGET_BLOCK)
            .into_par_iter()
            .zip(prediction.axis_chunks_iter_mut(Axis(1), TARGET_BLOCK))
            .zip(intercepts.par_chunks_mut(TARGET_BLOCK))
            .enumerate()
            .for_each(|(block, ((mut coefficients, mut prediction), intercepts))| {
                let start = block * TARGET_BLOCK;
                let targets = column_block(y, start, intercepts.len());
                let (train_y, mean) = gather_train(targets, &self.full.train, self.options.intercept);
                let mut weighted = project(&self.full, &train_y);
                for (j, best) in best_alpha[start..start + intercepts.len()].iter().enumerate() {
                    match best {
                        Some(alpha) => {
                            weighted.column_mut(j).iter_mut().zip(&weights[*alpha]).for_each(|(v, g)| *v *= g);
                        }
                        None => weighted.column_mut(j).fill(0.0),
                    }
                }
                if let Some(to_coefficients) = &to_coefficients {
                    general_mat_mul(1.0, to_coefficients, &weighted, 0.0, &mut coefficients);
                    let mut offset = mean.clone();
                    for (row, m) in coefficients.outer_iter().zip(feature_mean) {
                        offset.iter_mut().zip(row).for_each(|(o, &b)| *o -= m * f64::from(b));
                    }
                    intercepts.iter_mut().zip(&offset).for_each(|(b0, &o)| *b0 = o as f32);
                }
                if let Some(test) = &test {
                    general_mat_mul(1.0, test, &weighted, 0.0, &mut prediction);
                    for mut row in prediction.outer_iter_mut() {
                        row.iter_mut().zip(&mean).for_each(|(p, m)| *p = (f64::from(*p) + m) as f32);
                    }
                }
            });
        let is_kept = to_coefficients.is_some();
        Refit {
            coefficients: is_kept.then_some(coefficients),
            intercepts: is_kept.then_some(intercepts),
            prediction: test.map(|_| prediction),
        }
    }
}
