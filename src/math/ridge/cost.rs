//! What a ridge regression costs, counted from its shapes: the floor that benchmarks compare with.

use ndarray::ArrayBase;

use super::factors::FoldMap;
use super::{Full, Ridge};
use crate::math::products::Products;

impl<P: Products> Ridge<P> {
    /// Penalties at which folds are predicted, fewest and most over the folds; all others follow from them.
    #[must_use]
    pub fn n_nodes(&self) -> (usize, usize) {
        let n_nodes = || self.folds.iter().map(|fold| fold.weights.ncols());
        (n_nodes().min().unwrap_or_default(), n_nodes().max().unwrap_or_default())
    }

    /// Multiplications and additions in single precision that a target costs: what time is at least, given the rate at which
    /// matrices multiply.
    #[must_use]
    pub fn flops_per_target(&self, n_test: usize) -> u64 {
        let of_fold = |fold: &FoldMap| fold.projector.as_ref().map_or(0, ArrayBase::len) + fold.maps.len();
        let folds: usize = self.folds.iter().map(of_fold).sum();
        let (n_samples, n_features) = (self.n_samples, self.n_features);
        let coefficients = if self.options.coefficients { n_features } else { 0 };
        let refit = match &self.full {
            Full::Spectral(full) => {
                let (n_samples, rank) = full.projector.dim();
                let results = coefficients + n_test + if self.has_dual() { n_samples } else { 0 };
                if results > 0 { rank * (n_samples + results) } else { 0 }
            }
            Full::Inverse(full) => {
                let dual = if full.inverses.is_empty() { 0 } else { n_samples };
                n_samples * (dual + n_test)
            }
        };
        2 * (folds + refit) as u64
    }

    /// Flops in double precision before the first target, a lower bound: inner products of samples or features, then `n^3 / 3` for a
    /// Cholesky factor and `2 n^3 / 3` for an inverse, or `9 n^3` for a decomposition with vectors (by the QR iteration; Golub and
    /// Van Loan, Matrix Computations, sections 4.2 and 8.3).
    #[must_use]
    pub fn flops_before_targets(&self) -> u64 {
        let (n, p) = (self.n_samples, self.n_features);
        let of_folds = |of_fold: &dyn Fn(usize, usize) -> usize| -> usize {
            self.folds.iter().map(|map| of_fold(map.fold.train.len(), n - map.fold.train.len())).sum()
        };
        let flops = match &self.full {
            Full::Inverse(_) => {
                let of_fold = |train: usize, rest: usize| rest.pow(3) / 3 + 2 * rest.pow(2) * train;
                n * n * p + self.options.alphas.len() * (n.pow(3) + of_folds(&of_fold))
            }
            Full::Spectral(full) => {
                let decomposed = |n_train: usize| {
                    let smaller = if self.options.is_dual(n_train, p) { n_train } else { p };
                    smaller.pow(2) * n_train.max(p) + 9 * smaller.pow(3)
                };
                decomposed(full.rows().len()) + of_folds(&|train, _| decomposed(train))
            }
        };
        flops as u64
    }
}
