//! Maps from targets to predictions without a decomposition: one inverse for each penalty serves every fold.
//!
//! Owns the dual form of a well-conditioned regression. Where penalties are small against the kernel or many, where features are
//! scaled within folds, or where coefficients of features are wanted (their f32 sums over samples would cancel), `factors.rs`
//! decomposes instead.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use super::factors::FoldMap;
use super::kernel::{SharedKernel, Standard, cross_products};
use super::penalties::PenaltyBasis;
use super::{CvScore, RidgeOptions};
use crate::math::MathError;
use crate::math::cholesky::Cholesky;
use crate::math::folds::Fold;

/// Largest ratio of the kernel's trace to a penalty: a bound on the condition of what is inverted in f64 and applied in f32.
const MAX_CONDITION: f64 = 1e8;

/// Whether the regression may be solved by inverses, and is so faster than by decompositions.
pub(super) fn is_served(
    shared: Option<&SharedKernel>,
    folds: &[Fold],
    n_features: usize,
    options: &RidgeOptions,
) -> bool {
    let Some(shared) = shared else { return false };
    let is_dual = |fold: &Fold| options.is_dual(fold.train.len(), n_features);
    !options.coefficients
        && options.is_dual(shared.n_samples(), n_features)
        && folds.iter().all(|fold| is_dual(fold) && fold.train.is_sorted_by(|one, next| one < next))
        && options.alphas.len() <= 4 * (folds.len() + 1)
        && shared.trace() <= MAX_CONDITION * options.alphas[0]
}

/// `G = (K + alpha I)^-1` of all samples at every penalty, and what it takes to place new ones.
#[derive(Debug)]
pub(super) struct Inverses {
    pub rows: Vec<usize>,
    pub standard: Standard,
    x: Array2<f32>,
    kernel: Array2<f64>,
    alphas: Vec<f64>,
    /// `G` at every penalty (n_samples x n_samples), if dual coefficients are wanted.
    pub inverses: Vec<Array2<f32>>,
}

impl Inverses {
    /// Inverts at every penalty and maps every fold.
    ///
    /// A penalised fit without the samples `B` predicts them as `y_B - P_BB^-1 (P y)_B`, where `P = alpha G` (with an intercept
    /// `alpha (G - G 1 1'G / 1'G 1)`) gives the residuals of the fit with them: `-P_BB^-1 P_Bt y_t`, whose map costs a system of the
    /// size of `B` instead of one of the size of the rest (leaving out one sample: Golub, Heath and Wahba 1979; several: the same
    /// algebra on blocks).
    pub fn of(
        x: ArrayView2<'_, f32>,
        folds: &[Fold],
        shared: SharedKernel,
        options: &RidgeOptions,
    ) -> Result<(Self, Vec<FoldMap>), MathError> {
        let solved: Vec<AtPenalty> = options
            .alphas
            .par_iter()
            .map(|&alpha| {
                let inverse = inverted(shared.products(), alpha)?;
                let kept = options.dual_coefficients.then(|| inverse.mapv(|v| v as f32));
                let residual = residual_map(inverse, alpha, options.intercept);
                let maps = folds.iter().map(|fold| held_out_map(&residual, fold, options));
                Ok(AtPenalty { maps: maps.collect::<Result<_, MathError>>()?, inverse: kept })
            })
            .collect::<Result<_, MathError>>()?;
        let mut by_fold: Vec<Vec<Array2<f32>>> = folds.iter().map(|_| Vec::new()).collect();
        let mut inverses = Vec::new();
        for AtPenalty { maps, inverse } in solved {
            by_fold.iter_mut().zip(maps).for_each(|(of_fold, map)| of_fold.push(map));
            inverses.extend(inverse);
        }
        let maps = folds.iter().zip(by_fold).map(|(fold, maps)| joined(fold, maps)).collect();

        let rows: Vec<usize> = (0..x.nrows()).collect();
        let standard = Standard::of(x, &rows, options.intercept, false);
        let found = Self {
            rows,
            standard,
            x: x.to_owned(),
            kernel: shared.into_products(),
            alphas: options.alphas.clone(),
            inverses,
        };
        Ok((found, maps))
    }

    /// The maps from centred targets to predictions of new samples, one for each penalty (n_new x n_samples).
    pub fn place(&self, samples: ArrayView2<'_, f32>) -> Result<Vec<Array2<f32>>, MathError> {
        let rows: Vec<usize> = (0..samples.nrows()).collect();
        let across = cross_products((samples, &rows), (self.x.view(), &self.rows), &self.standard);
        let map = |alpha: &f64| {
            let map = factorised(with_ridge(&self.kernel, *alpha))?.solve(across.t())?;
            Ok(map.t().mapv(|v| v as f32).as_standard_layout().into_owned())
        };
        self.alphas.par_iter().map(map).collect()
    }
}

/// What one penalty gives: the map of every fold, and the inverse if it is kept.
struct AtPenalty {
    maps: Vec<Array2<f32>>,
    inverse: Option<Array2<f32>>,
}

/// Keeps the maps of a few penalties (each n_held_out x n_train), from which all others follow.
fn joined(fold: &Fold, maps: Vec<Array2<f32>>) -> FoldMap {
    let mut gram = Array2::<f64>::zeros((maps.len(), maps.len()));
    for (a, first) in maps.iter().enumerate() {
        for (b, second) in maps.iter().enumerate().take(a + 1) {
            // Row by row: in one long sum, rounding alone would be as large as the remainders that are looked for.
            let product = first.rows().into_iter().zip(second.rows()).map(|(one, other)| dot(one, other)).sum();
            gram[[a, b]] = product;
            gram[[b, a]] = product;
        }
    }
    let PenaltyBasis { nodes, weights } = PenaltyBasis::of(&gram);
    let (n_held_out, n_train) = (fold.validation.len(), fold.train.len());
    let mut kept = Array2::zeros((nodes.len() * n_held_out, n_train));
    for (node, mut part) in nodes.iter().zip(kept.axis_chunks_iter_mut(Axis(0), n_held_out)) {
        part.assign(&maps[*node]);
    }
    FoldMap { fold: fold.clone(), projector: None, maps: kept, weights }
}

/// Inner product with sums in f64.
fn dot(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f64 {
    let (a, b) = (a.to_slice().expect("stored row by row"), b.to_slice().expect("stored row by row"));
    let mut sums = [0.0f64; 8];
    for (a, b) in a.chunks(8).zip(b.chunks(8)) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(a) * f64::from(b);
        }
    }
    sums.iter().sum()
}

fn with_ridge(kernel: &Array2<f64>, alpha: f64) -> Array2<f64> {
    let mut system = kernel.clone();
    system.diag_mut().mapv_inplace(|v| v + alpha);
    system
}

fn inverted(kernel: &Array2<f64>, alpha: f64) -> Result<Array2<f64>, MathError> {
    factorised(with_ridge(kernel, alpha))?.inverse()
}

/// What turns targets into the residuals of the fit on all samples (n_samples x n_samples).
fn residual_map(inverse: Array2<f64>, alpha: f64, intercept: bool) -> Array2<f64> {
    let of_ones: Array1<f64> = inverse.sum_axis(Axis(1));
    let mut residual = inverse;
    residual *= alpha;
    if intercept {
        let total = of_ones.sum();
        for (mut row, own) in residual.rows_mut().into_iter().zip(&of_ones) {
            row.scaled_add(-alpha * own / total, &of_ones);
        }
    }
    residual
}

/// The map from the centred targets of `fold.train` to predictions of `fold.validation` (n_validation x n_train).
fn held_out_map(residual: &Array2<f64>, fold: &Fold, options: &RidgeOptions) -> Result<Array2<f32>, MathError> {
    let mut is_train = vec![false; residual.nrows()];
    fold.train.iter().for_each(|&row| is_train[row] = true);
    let left_out: Vec<usize> = (0..residual.nrows()).filter(|&row| !is_train[row]).collect();
    let pick = |rows: &[usize], columns: &[usize]| {
        Array2::from_shape_fn((rows.len(), columns.len()), |(i, j)| residual[[rows[i], columns[j]]])
    };
    let solution = factorised(pick(&left_out, &left_out))?.solve(pick(&left_out, &fold.train).view())?;
    let places: Vec<usize> = fold.validation.iter().filter_map(|row| left_out.binary_search(row).ok()).collect();
    let mut map = -solution.select(Axis(0), &places);
    if options.intercept {
        // Targets come centred, so that what all of them share adds nothing but rounding.
        for mut row in map.rows_mut() {
            let mean = row.sum() / row.len() as f64;
            row -= mean;
        }
    }
    if options.score == CvScore::Pearson {
        super::factors::centre_within(&mut map);
    }
    Ok(map.mapv(|v| v as f32).as_standard_layout().into_owned())
}

fn factorised(system: Array2<f64>) -> Result<Cholesky, MathError> {
    // A penalty far above the rounding of the kernel keeps every system positive definite.
    Cholesky::factorise(system)?.ok_or(MathError::Lapack { routine: "dpotrf", code: 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_times_its_system_is_one() {
        let x = Array2::from_shape_fn((9, 20), |(i, j)| ((i * 31 + j * 17) as f64 * 0.61).sin());
        let a = with_ridge(&x.dot(&x.t()), 0.5);
        let inverse = inverted(&x.dot(&x.t()), 0.5).expect("positive definite");
        assert!((a.dot(&inverse) - Array2::<f64>::eye(9)).iter().all(|d| d.abs() < 1e-12));
        assert_eq!(inverse, inverse.t());
        assert!(matches!(factorised(-Array2::<f64>::eye(3)), Err(MathError::Lapack { routine: "dpotrf", code: 1 })));
    }

    #[test]
    fn leaving_out_is_refitting() {
        let (n, alpha) = (14, 2.0);
        let x = Array2::from_shape_fn((n, 30), |(i, j)| ((i * 13 + j * 29) as f64 * 0.37).cos());
        let y = Array1::from_shape_fn(n, |i| (i as f64 * 0.9).sin() + 0.3 * i as f64);
        let kernel = x.dot(&x.t());
        let fold = Fold { train: vec![0, 1, 2, 8, 9, 10, 11, 12, 13], validation: vec![4, 5, 6] };
        let options = RidgeOptions::default();
        let residual = residual_map(inverted(&kernel, alpha).expect("positive definite"), alpha, true);
        let map = held_out_map(&residual, &fold, &options).expect("solvable");

        let (train_x, train_y) = (x.select(Axis(0), &fold.train), y.select(Axis(0), &fold.train));
        let (x_mean, y_mean) = (train_x.mean_axis(Axis(0)).expect("rows"), train_y.mean().expect("rows"));
        let centred = &train_x - &x_mean;
        let inverse = inverted(&centred.dot(&centred.t()), alpha).expect("positive definite");
        let dual = inverse.dot(&(&train_y - y_mean));
        let expected = (x.select(Axis(0), &fold.validation) - &x_mean).dot(&centred.t()).dot(&dual);
        let found = map.mapv(f64::from).dot(&(&train_y - y_mean));
        assert!((found - expected).iter().all(|d| d.abs() < 1e-6));
    }
}
