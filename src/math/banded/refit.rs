//! The fit on all samples with the weights and the penalty that each target chose, and predictions from it.
//!
//! Owns the grouping of targets by what they chose: a pair is factorised only when a target chose it, so candidates that
//! lost cost nothing here. Which pair a target chose comes from `search.rs`.

use std::collections::BTreeMap;

use ndarray::{Array2, Array3, ArrayView2, Axis, s};
use rayon::prelude::*;

use super::{BandedRidge, Choice};
use crate::math::MathError;
use crate::math::blas::{matmul, single_thread_blas};
use crate::math::cholesky::Cholesky;
use crate::math::eigen::{SymmetricEigen, symmetric_eigen};
use crate::math::ridge::TARGET_BLOCK;
use crate::math::series::column_means;

/// Groups that are solved before their results are put in place, so that results are not held twice.
const GROUPS_TOGETHER: usize = 64;

/// What a refit was asked for.
pub(super) struct Refit {
    pub dual_weights: Option<Array2<f64>>,
    pub intercepts: Vec<f64>,
    /// n_bands x n_test x n_targets
    pub bands: Option<Array3<f32>>,
}

/// The targets of one pair, their dual weights (n_samples x n_group) and, for each band, predictions (n_test x n_group).
struct Solved<'a> {
    targets: &'a [usize],
    dual: Array2<f64>,
    bands: Vec<Option<Array2<f64>>>,
}

pub(super) fn refit(
    ridge: &BandedRidge<'_>,
    y: ArrayView2<'_, f32>,
    best: &[Option<Choice>],
    cross: Option<&[Array2<f64>]>,
) -> Result<Refit, MathError> {
    single_thread_blas();
    let n_samples = y.nrows();
    let intercepts = if ridge.kernels.has_intercept() { column_means(y) } else { vec![0.0; y.ncols()] };
    let keeps_weights = ridge.options.dual_weights;
    let mut dual_weights = keeps_weights.then(|| Array2::zeros((n_samples, y.ncols())));
    let mut bands =
        cross.map(|cross| Array3::<f32>::zeros((cross.len(), cross.first().map_or(0, Array2::nrows), y.ncols())));
    if !keeps_weights && cross.is_none() {
        return Ok(Refit { dual_weights, intercepts, bands });
    }
    let mut groups: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (target, choice) in best.iter().enumerate() {
        if let Some(Choice { candidate, alpha }) = choice {
            groups.entry((*candidate, *alpha)).or_default().push(target);
        }
    }
    let groups: Vec<_> = groups.into_iter().collect();
    for some in groups.chunks(GROUPS_TOGETHER) {
        let solved: Vec<Vec<Solved<'_>>> = some
            .par_iter()
            .map(|((candidate, alpha), targets)| {
                let gamma = ridge.gammas.row(*candidate).to_vec();
                let system = System::of(ridge, &gamma, ridge.options.alphas[*alpha])?;
                let solve = |targets| solve(&system, y, &intercepts, targets, &gamma, cross);
                targets.par_chunks(TARGET_BLOCK).map(solve).collect::<Result<Vec<_>, MathError>>()
            })
            .collect::<Result<_, _>>()?;
        for Solved { targets, dual, bands: predicted } in solved.into_iter().flatten() {
            for (from, &target) in targets.iter().enumerate() {
                if let Some(weights) = &mut dual_weights {
                    weights.column_mut(target).assign(&dual.column(from));
                }
                if let Some(bands) = &mut bands {
                    for (mut band, predicted) in bands.axis_iter_mut(Axis(0)).zip(&predicted) {
                        if let Some(predicted) = predicted {
                            let to = band.slice_mut(s![.., target]);
                            ndarray::Zip::from(to).and(predicted.column(from)).for_each(|to, &v| *to = v as f32);
                        }
                    }
                }
            }
        }
    }
    Ok(Refit { dual_weights, intercepts, bands })
}

/// `sum_b gamma_b K_b + alpha I`, ready to be solved.
enum System {
    Positive(Cholesky),
    /// For a penalty within the rounding of the kernel: what the samples do not span would be rounding divided by the
    /// penalty, so it is left out. No prediction depends on it.
    Spanned {
        eigen: SymmetricEigen<f64>,
        negligible: f64,
        alpha: f64,
    },
}

impl System {
    fn of(ridge: &BandedRidge<'_>, gamma: &[f64], alpha: f64) -> Result<Self, MathError> {
        let all: Vec<usize> = (0..ridge.kernels.n_samples()).collect();
        let kernel = ridge.kernels.combine(gamma, &all, &all);
        let negligible = kernel.diag().sum() * all.len() as f64 * f64::EPSILON;
        if alpha > negligible {
            let mut penalised = kernel.clone();
            penalised.diag_mut().iter_mut().for_each(|v| *v += alpha);
            if let Some(factor) = Cholesky::factorise(penalised)? {
                return Ok(Self::Positive(factor));
            }
        }
        Ok(Self::Spanned { eigen: symmetric_eigen(kernel)?, negligible, alpha })
    }

    fn solve(&self, y: ArrayView2<'_, f64>) -> Result<Array2<f64>, MathError> {
        match self {
            Self::Positive(factor) => factor.solve(y),
            Self::Spanned { eigen, negligible, alpha } => {
                let mut placed = eigen.vectors.t().dot(&y);
                for (mut row, &w) in placed.outer_iter_mut().zip(&eigen.values) {
                    if w > *negligible { row /= w + alpha } else { row.fill(0.0) }
                }
                Ok(eigen.vectors.dot(&placed))
            }
        }
    }
}

fn solve<'a>(
    system: &System,
    y: ArrayView2<'_, f32>,
    intercepts: &[f64],
    targets: &'a [usize],
    gamma: &[f64],
    cross: Option<&[Array2<f64>]>,
) -> Result<Solved<'a>, MathError> {
    let centred = Array2::from_shape_fn((y.nrows(), targets.len()), |(row, j)| {
        f64::from(y[[row, targets[j]]]) - intercepts[targets[j]]
    });
    let dual = system.solve(centred.view())?;
    let bands = cross
        .unwrap_or_default()
        .iter()
        .zip(gamma)
        .map(|(kernel, &weight)| (weight > 0.0).then(|| matmul(kernel.view(), dual.view()) * weight))
        .collect();
    Ok(Solved { targets, dual, bands })
}
