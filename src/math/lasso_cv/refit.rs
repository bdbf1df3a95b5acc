//! The fit on all samples with penalties already chosen, and the caveats of the whole.

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::features::Features;
use super::path::{Block, Target, follow};
use super::{LassoFit, LassoOptions, LassoWarning, TARGET_BLOCK};
use crate::math::scores::column_block;

/// Steps from the empty model down to the chosen penalty.
const N_STEPS: usize = 10;

/// Fits every target with its own penalty (n_targets) on all samples; an infinite one leaves the model empty.
pub(super) fn refit(
    x: ArrayView2<'_, f32>,
    y: ArrayView2<'_, f32>,
    alphas: &[f64],
    options: &LassoOptions,
) -> LassoFit {
    let all: Vec<usize> = (0..x.nrows()).collect();
    let features = Features::of(x, &all, options);
    let mut coefficients = Array2::zeros((x.ncols(), y.ncols()));
    let mut intercepts = vec![0.0; y.ncols()];
    let n_unconverged: usize = coefficients
        .axis_chunks_iter_mut(Axis(1), TARGET_BLOCK)
        .into_par_iter()
        .zip(intercepts.par_chunks_mut(TARGET_BLOCK))
        .enumerate()
        .map(|(index, (mut coefficients, intercepts))| {
            let first = index * TARGET_BLOCK;
            let mut block = Block::of(&features, column_block(y, first, intercepts.len()));
            let largest: Vec<f64> = block.targets.iter().map(Target::steepest).collect();
            for step in 1..=N_STEPS {
                let share = step as f64 / N_STEPS as f64;
                let stepped: Vec<f64> = largest
                    .iter()
                    .zip(&alphas[first..])
                    .map(|(&largest, &alpha)| {
                        if step == N_STEPS || alpha >= largest {
                            alpha
                        } else {
                            largest * (alpha / largest).powf(share)
                        }
                    })
                    .collect();
                follow(&mut block, &features, &stepped, options);
            }
            for (j, target) in block.targets.iter().enumerate() {
                let mut intercept = block.mean[j];
                for (feature, value) in target.working.nonzero() {
                    let coefficient = value / features.scale[feature];
                    coefficients[[feature, j]] = coefficient as f32;
                    intercept -= coefficient * features.mean[feature];
                }
                intercepts[j] = intercept as f32;
            }
            block.targets.iter().filter(|target| !target.is_converged).count()
        })
        .sum();
    let mut warnings = Vec::new();
    if n_unconverged > 0 {
        warnings.push(LassoWarning::Unconverged { n_in_folds: 0, n_in_refit: n_unconverged });
    }
    let columns = features.constant_columns();
    if !columns.is_empty() {
        warnings.push(LassoWarning::ConstantFeatures { columns });
    }
    LassoFit { coefficients, intercepts, warnings }
}

/// Adds the caveats of cross-validation to those of the refit.
pub(super) fn amend(fit: &mut LassoFit, n_in_folds: usize, best: &[Option<usize>], n_alphas: usize) {
    if n_in_folds > 0 {
        let mut n_in_refit = 0;
        fit.warnings.retain(|warning| match warning {
            LassoWarning::Unconverged { n_in_refit: n, .. } => {
                n_in_refit = *n;
                false
            }
            _ => true,
        });
        fit.warnings.push(LassoWarning::Unconverged { n_in_folds, n_in_refit });
    }
    let is_empty: Vec<bool> =
        fit.coefficients.columns().into_iter().map(|column| column.iter().all(|&b| b == 0.0)).collect();
    let count = |wanted: &dyn Fn(usize, bool) -> bool| {
        best.iter().zip(&is_empty).filter(|(best, is_empty)| best.is_some_and(|best| wanted(best, **is_empty))).count()
    };
    let n_at_smallest = count(&|best, _| best == 0);
    let n_at_largest = count(&|best, is_empty| best + 1 == n_alphas && !is_empty);
    if n_alphas > 1 && n_at_smallest + n_at_largest > 0 {
        fit.warnings.push(LassoWarning::AlphaAtGridEdge { n_at_smallest, n_at_largest });
    }
    let n_empty = count(&|_, is_empty| is_empty);
    if n_empty > 0 {
        fit.warnings.push(LassoWarning::EmptyModels { n_targets: n_empty });
    }
    let n_unscored = best.iter().filter(|best| best.is_none()).count();
    if n_unscored > 0 {
        fit.warnings.push(LassoWarning::UnscoredTargets { n_targets: n_unscored });
    }
}
