//! The search over candidates: which weights of bands and which penalty predict each target best.
//!
//! Owns the order of candidates, folds and sums, and the rule for ties. The matrices that all targets share come from
//! `spectrum.rs`, the scores from `moments.rs`; the fit with the chosen pair is in `refit.rs`.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};
use rayon::prelude::*;

use super::moments::Moments;
use super::spectrum::FoldFilters;
use super::{BandedRidge, Choice};
use crate::math::MathError;
use crate::math::folds::Fold;
use crate::math::ridge::{TARGET_BLOCK, gather, subtract_from_rows};
use crate::math::scores::{Columns, column_block};
use crate::math::series::column_means;

/// Scores closer than this are equal: the rounding of f32 predictions, and himalaya's threshold in that precision.
const TIE: f64 = f32::EPSILON as f64;

/// What a search found for every target.
pub(super) struct Found {
    pub best: Vec<Option<Choice>>,
    /// Mean score over folds with the candidate's best penalty (n_candidates x n_targets).
    pub cv_scores: Array2<Option<f32>>,
}

/// Tries every candidate on the targets `y` (n_samples x n_targets).
///
/// Candidates are decomposed a few at a time, enough to keep every thread busy, so that memory does not grow with their
/// number; how many does not show in the result.
pub(super) fn search(ridge: &BandedRidge<'_>, y: ArrayView2<'_, f32>) -> Result<Found, MathError> {
    let n_candidates = ridge.gammas.nrows();
    let mut cv_scores = Array2::from_elem((n_candidates, y.ncols()), None);
    let mut best: Vec<(Option<Choice>, f64)> = vec![(None, f64::NEG_INFINITY); y.ncols()];
    let n_together = (2 * rayon::current_num_threads()).div_ceil(ridge.folds.len());
    for start in (0..n_candidates).step_by(n_together) {
        let candidates = start..(start + n_together).min(n_candidates);
        let jobs: Vec<(usize, &Fold)> =
            candidates.clone().flat_map(|c| ridge.folds.iter().map(move |fold| (c, fold))).collect();
        let filters: Vec<FoldFilters> = jobs
            .into_par_iter()
            .map(|(candidate, fold)| {
                let gamma = ridge.gammas.row(candidate).to_vec();
                FoldFilters::of(ridge.kernels, &gamma, fold, &ridge.options.alphas)
            })
            .collect::<Result<_, _>>()?;
        cv_scores
            .slice_mut(s![candidates, ..])
            .axis_chunks_iter_mut(Axis(1), TARGET_BLOCK)
            .into_par_iter()
            .zip(best.par_chunks_mut(TARGET_BLOCK))
            .enumerate()
            .for_each(|(block, (mut scores, best))| {
                let targets = column_block(y, block * TARGET_BLOCK, best.len());
                let means = ridge.score(targets, &filters);
                for (offset, (mut scores, means)) in scores.outer_iter_mut().zip(&means).enumerate() {
                    for (j, best) in best.iter_mut().enumerate() {
                        let Some((alpha, score)) = best_alpha(means.column(j)) else { continue };
                        scores[j] = Some(score as f32);
                        if score > best.1 + TIE {
                            *best = (Some(Choice { candidate: start + offset, alpha }), score);
                        }
                    }
                }
            });
    }
    Ok(Found { best: best.into_iter().map(|(choice, _)| choice).collect(), cv_scores })
}

/// The largest penalty among those that score best, and its score.
fn best_alpha(scores: ArrayView1<'_, Option<f64>>) -> Option<(usize, f64)> {
    let highest = scores.iter().flatten().copied().reduce(f64::max)?;
    let is_best = |score: &Option<f64>| score.is_some_and(|score| score >= highest - TIE);
    let alpha = scores.iter().rposition(is_best)?;
    scores[alpha].map(|score| (alpha, score))
}

impl BandedRidge<'_> {
    /// Mean held-out scores of one block of targets, for each candidate n_alphas x n_block; `filters` holds the folds of
    /// the first candidate, then those of the next.
    fn score(&self, y: ArrayView2<'_, f32>, filters: &[FoldFilters]) -> Vec<Array2<Option<f64>>> {
        let (n_folds, n_alphas) = (self.folds.len(), self.options.alphas.len());
        let mut sums = vec![Array2::<f64>::zeros((n_alphas, y.ncols())); filters.len() / n_folds];
        let mut n_scored = vec![0usize; y.ncols()];
        for (index, fold) in self.folds.iter().enumerate() {
            let mut train = gather(y, &fold.train);
            let mut held_out = gather(y, &fold.validation);
            if self.kernels.has_intercept() {
                // Held-out data are seen relative to the fitted mean, where the prediction without intercept lives.
                let mean = column_means(train.view());
                subtract_from_rows(&mut train, &mean);
                subtract_from_rows(&mut held_out, &mean);
            }
            let columns = Columns::of(&held_out);
            let varies: Vec<bool> = (0..y.ncols()).map(|j| !columns.is_constant(j)).collect();
            n_scored.iter_mut().zip(&varies).for_each(|(n, varies)| *n += usize::from(*varies));
            for (sum, filters) in sums.iter_mut().zip(filters.iter().skip(index).step_by(n_folds)) {
                let predictions = filters.predict(&train);
                let scores = Moments::of(&held_out, &predictions).scores(&filters.mixtures, self.options.score);
                for (mut sum, scores) in sum.outer_iter_mut().zip(scores.outer_iter()) {
                    for (j, _) in varies.iter().enumerate().filter(|(_, varies)| **varies) {
                        sum[j] += scores[j];
                    }
                }
            }
        }
        let mean = |sum: &Array2<f64>| {
            Array2::from_shape_fn(sum.dim(), |(a, j)| (n_scored[j] > 0).then(|| sum[[a, j]] / n_scored[j] as f64))
        };
        sums.iter().map(mean).collect()
    }
}

impl FoldFilters {
    /// The predictions that those of all penalties are combinations of (n_basis n_held_out x n_block).
    fn predict(&self, train: &Array2<f32>) -> Array2<f32> {
        let mut predictions = Array2::zeros((self.evaluation.nrows(), train.ncols()));
        match &self.projector {
            Some(projector) => {
                let mut projected = Array2::zeros((projector.nrows(), train.ncols()));
                general_mat_mul(1.0, projector, train, 0.0, &mut projected);
                general_mat_mul(1.0, &self.evaluation, &projected, 0.0, &mut predictions);
            }
            None => general_mat_mul(1.0, &self.evaluation, train, 0.0, &mut predictions),
        }
        predictions
    }
}
