//! What one candidate on one fold turns targets into, shared by all targets and all penalties.
//!
//! Owns the step from a kernel to few matrices in f32 from which the predictions of every penalty follow; how targets
//! pass through them is in `search.rs`.

use ndarray::{Array1, Array2, Axis, Zip};

use super::kernels::{BandKernels, centre_fold};
use super::moments::Mixtures;
use crate::math::MathError;
use crate::math::blas::single_thread_blas;
use crate::math::eigen::{SymmetricEigen, symmetric_eigen};
use crate::math::folds::Fold;

/// What the basis may miss of a penalty's spectral filter, relative to its norm: half a unit of f32 rounding.
const FILTER_TOLERANCE: f64 = f32::EPSILON as f64 / 2.0;

/// Predictions of the held-out samples for every penalty, as combinations of few.
///
/// With `K = V diag(w) V'` on the samples fitted on and `B = K_held_out V`, the prediction with penalty `alpha` is
/// `B diag(1 / (w + alpha)) V'Y`. As functions of `w` the filters `1 / (w + alpha)` of a grid are nearly dependent: those of
/// penalties beyond either end of the spectrum are multiples of each other. An orthonormal basis `q_1 ... q_m` of the
/// filters, weighted by the norms of the columns of `B`, has m members where the grid has n_alphas, and
/// `prediction(alpha) = sum_k mix[alpha, k] P_k` with `P_k = B diag(q_k) V'Y`.
#[derive(Debug)]
pub(super) struct FoldFilters {
    /// From sums over the members of the basis to sums over the prediction of each penalty.
    pub mixtures: Mixtures,
    /// `V'` (rank x n_train) when it pays to go through it, and `B diag(q_k)` with `V'` multiplied on otherwise, the
    /// members of the basis below each other (n_basis n_held_out x rank or n_train).
    pub projector: Option<Array2<f32>>,
    pub evaluation: Array2<f32>,
}

impl FoldFilters {
    pub fn of(kernels: &BandKernels, gamma: &[f64], fold: &Fold, alphas: &[f64]) -> Result<Self, MathError> {
        single_thread_blas();
        let mut train = kernels.combine(gamma, &fold.train, &fold.train);
        let mut held_out = kernels.combine(gamma, &fold.validation, &fold.train);
        if kernels.has_intercept() {
            centre_fold(&mut train, &mut held_out);
        }
        let n_train = train.nrows();
        let SymmetricEigen { values, vectors } = symmetric_eigen(train)?;
        // What the samples fitted on do not span, held-out samples cannot be predicted from.
        let negligible = values.last().expect("a fold has samples to fit on").max(0.0) * n_train as f64 * f64::EPSILON;
        let null = values.iter().take_while(|&&w| w <= negligible).count();
        let (values, vectors) = (values.slice_move(ndarray::s![null..]), vectors.slice_move(ndarray::s![.., null..]));

        let mut placed = held_out.dot(&vectors);
        let norms: Array1<f64> = placed.columns().into_iter().map(|c| c.dot(&c).sqrt()).collect();
        for mut row in placed.outer_iter_mut() {
            Zip::from(&mut row).and(&norms).for_each(|v, &norm| *v = if norm > 0.0 { *v / norm } else { 0.0 });
        }
        let (basis, mix) = filter_basis(&values, &norms, alphas);
        let mixtures = Mixtures::of(&mix);
        let (n_basis, n_held_out, rank) = (basis.nrows(), placed.nrows(), values.len());

        let mut evaluation = Array2::<f32>::zeros((n_basis * n_held_out, rank));
        for (mut part, filter) in evaluation.axis_chunks_iter_mut(Axis(0), n_held_out).zip(basis.outer_iter()) {
            for (mut out, row) in part.outer_iter_mut().zip(placed.outer_iter()) {
                Zip::from(&mut out).and(&row).and(&filter).for_each(|out, v, q| *out = (v * q) as f32);
            }
        }
        let projector = vectors.t().mapv(|v| v as f32).as_standard_layout().into_owned();
        // Multiplications a target; the cost of preparing is left out, so that the choice, and with it the bytes, does not
        // depend on how many targets come in one call.
        let through_projector = rank * (n_train + evaluation.nrows());
        if through_projector < evaluation.nrows() * n_train {
            Ok(Self { mixtures, projector: Some(projector), evaluation })
        } else {
            Ok(Self { mixtures, projector: None, evaluation: evaluation.dot(&projector) })
        }
    }
}

/// An orthonormal basis (n_basis x rank) of the filters `norms / (values + alpha)`, and their coefficients in it
/// (n_alphas x n_basis).
///
/// Gram-Schmidt with the filter that is missed most taken next, each orthogonalised twice.
fn filter_basis(values: &Array1<f64>, norms: &Array1<f64>, alphas: &[f64]) -> (Array2<f64>, Array2<f64>) {
    let (n_alphas, rank) = (alphas.len(), values.len());
    let mut rest = Array2::from_shape_fn((n_alphas, rank), |(a, i)| norms[i] / (values[i] + alphas[a]));
    let sizes: Vec<f64> = rest.outer_iter().map(|row| row.dot(&row).sqrt()).collect();
    let mut mix = Array2::<f64>::zeros((n_alphas, n_alphas.min(rank)));
    let mut basis: Vec<Array1<f64>> = Vec::new();
    while basis.len() < mix.ncols() {
        let missed = |a: usize| {
            let size = rest.row(a).dot(&rest.row(a)).sqrt();
            if sizes[a] > 0.0 { size / sizes[a] } else { 0.0 }
        };
        let (next, most) = (0..n_alphas).map(|a| (a, missed(a))).fold((0, 0.0), |m, v| if v.1 > m.1 { v } else { m });
        if most <= FILTER_TOLERANCE {
            break;
        }
        let mut member = rest.row(next).to_owned();
        member /= member.dot(&member).sqrt();
        for other in &basis {
            let along = other.dot(&member);
            member.scaled_add(-along, other);
        }
        member /= member.dot(&member).sqrt();
        let k = basis.len();
        for (mut row, mut coefficients) in rest.outer_iter_mut().zip(mix.outer_iter_mut()) {
            for _ in 0..2 {
                let along = member.dot(&row);
                row.scaled_add(-along, &member);
                coefficients[k] += along;
            }
        }
        basis.push(member);
    }
    let n_basis = basis.len();
    let rows: Vec<f64> = basis.into_iter().flatten().collect();
    let basis = Array2::from_shape_vec((n_basis, rank), rows).expect("every member has one entry for each value");
    (basis, mix.slice_move(ndarray::s![.., ..n_basis]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_filters_stand_for_a_wide_grid() {
        let values: Array1<f64> = (0..300).map(|i| 10f64.powf(2.0 + 2.0 * f64::from(i) / 300.0)).collect();
        let norms = values.mapv(f64::sqrt);
        let alphas: Vec<f64> = (0..20).map(|e| 10f64.powi(e - 5)).collect();
        let (basis, mix) = filter_basis(&values, &norms, &alphas);
        assert!(basis.nrows() < 10, "{}", basis.nrows());
        let gram = basis.dot(&basis.t()) - Array2::<f64>::eye(basis.nrows());
        assert!(gram.iter().all(|d| d.abs() < 1e-12));
        for (row, alpha) in mix.dot(&basis).outer_iter().zip(&alphas) {
            let exact = &norms / &(&values + *alpha);
            let difference = &row - &exact;
            assert!(difference.dot(&difference).sqrt() <= 1.01 * FILTER_TOLERANCE * exact.dot(&exact).sqrt());
        }
    }

    #[test]
    fn an_empty_spectrum_has_an_empty_basis() {
        let (basis, mix) = filter_basis(&Array1::zeros(0), &Array1::zeros(0), &[1.0, 2.0]);
        assert_eq!((basis.dim(), mix.dim()), ((0, 0), (2, 0)));
        let (basis, mix) = filter_basis(&Array1::ones(3), &Array1::zeros(3), &[1.0, 2.0]);
        assert_eq!((basis.dim(), mix.dim()), ((0, 3), (2, 0)));
    }
}
