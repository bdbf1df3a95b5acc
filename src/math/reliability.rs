//! How well the maps of a regression come out again: weights fitted on two halves of the training samples, correlated over targets.
//!
//! The noise of two halves is independent, while within one fit the noise of correlated features is not: a feature that drives nothing
//! gets weights that look like those of its neighbours, turned around. Whatever is said of pairs of maps is said of those that come
//! out again. Weights are those of least squares, since a penalty hands weight on to features that are alike, in both halves the same.
//! Targets stream; what the halves are is the caller's choice.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::MathError;
use super::blas::{matmul, single_thread_blas};
use super::eigen::{SymmetricEigen, symmetric_eigen};
use super::error::{require_finite, require_shape};
use super::series::column_means;

/// Eigenvalues below this share of the largest count as 0: there the data say nothing of weights.
const NEGLIGIBLE: f64 = 1e-7;

/// One half of the training samples, decomposed.
#[derive(Debug)]
struct Half {
    rows: Vec<usize>,
    /// Centred features (n_rows x n_features).
    x: Array2<f32>,
    values: Array1<f64>,
    vectors: Array2<f64>,
}

/// Features of two halves of the training samples, and sums over the targets that have come in.
#[derive(Debug)]
pub struct SplitHalf {
    halves: [Half; 2],
    /// Sums over targets of each feature's two weights, their squares and their product (n_features x 5).
    sums: Array2<f64>,
    n_targets: usize,
}

/// How well each map comes out again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Pearson's r over targets of the weights of both halves (n_features); `None` where either map does not vary.
    pub r: Vec<Option<f64>>,
    /// Targets that it is over.
    pub n_targets: usize,
}

impl SplitHalf {
    /// Splits features `x` (n_samples x n_features) by `is_second`, which says for each sample which half it is in.
    ///
    /// # Errors
    /// [`MathError::Shape`], [`MathError::NotFinite`], [`MathError::TooFew`] for a half of fewer than three samples,
    /// [`MathError::Lapack`].
    pub fn new(x: ArrayView2<'_, f32>, is_second: &[bool]) -> Result<Self, MathError> {
        require_shape("halves", is_second.len(), x.nrows(), "one for each sample")?;
        require_finite("features", x)?;
        single_thread_blas();
        let half = |second: bool| -> Result<Half, MathError> {
            let rows: Vec<usize> = (0..x.nrows()).filter(|row| is_second[*row] == second).collect();
            if rows.len() < 3 {
                let hint = "a map of fewer samples says nothing";
                return Err(MathError::TooFew { name: "samples of a half", found: rows.len(), expected: 3, hint });
            }
            let mut part = x.select(Axis(0), &rows);
            centre(&mut part);
            let wide = part.mapv(f64::from);
            let SymmetricEigen { values, vectors } = symmetric_eigen(matmul(wide.t(), wide.view()))?;
            Ok(Half { rows, x: part, values, vectors })
        };
        let halves = [half(false)?, half(true)?];
        Ok(Self { halves, sums: Array2::zeros((x.ncols(), 5)), n_targets: 0 })
    }

    /// Takes in targets `y` (n_samples x n_targets).
    ///
    /// Weights of a half are `(Xc'Xc)^+ Xc'Yc`, features and targets centred over the half.
    ///
    /// # Errors
    /// [`MathError::Shape`], [`MathError::NotFinite`].
    pub fn add(&mut self, y: ArrayView2<'_, f32>) -> Result<(), MathError> {
        let n_samples = self.halves.iter().map(|half| half.rows.len()).sum();
        require_shape("rows of the targets", y.nrows(), n_samples, "one for each sample")?;
        require_finite("targets", y)?;
        single_thread_blas();
        let [first, second] = [0, 1].map(|half| self.halves[half].weights(y));
        self.n_targets += y.ncols();
        for ((a, b), mut sums) in first.outer_iter().zip(second.outer_iter()).zip(self.sums.rows_mut()) {
            let products = [a.sum(), b.sum(), a.dot(&a), b.dot(&b), a.dot(&b)];
            sums.iter_mut().zip(products).for_each(|(sum, value)| *sum += value);
        }
        Ok(())
    }

    /// The correlations over all targets that came in.
    #[must_use]
    pub fn finish(self) -> Reliability {
        let n = self.n_targets as f64;
        let r = |sums: ndarray::ArrayView1<'_, f64>| {
            let [a, b, aa, bb, ab] = [0, 1, 2, 3, 4].map(|at| sums[at]);
            let (power_a, power_b) = (aa - a * a / n, bb - b * b / n);
            // Below this share of the offset's power what is left is rounding of the sums.
            let varies = power_a > 1e-12 * aa && power_b > 1e-12 * bb;
            varies.then(|| ((ab - a * b / n) / (power_a * power_b).sqrt()).clamp(-1.0, 1.0))
        };
        Reliability { r: self.sums.rows().into_iter().map(r).collect(), n_targets: self.n_targets }
    }
}

impl Half {
    fn weights(&self, y: ArrayView2<'_, f32>) -> Array2<f64> {
        let mut y = y.select(Axis(0), &self.rows);
        centre(&mut y);
        let projected = matmul(self.x.t(), y.view()).mapv(f64::from);
        let mut turned = matmul(self.vectors.t(), projected.view());
        let least = NEGLIGIBLE * self.values.iter().copied().fold(0.0, f64::max);
        for (mut row, value) in turned.outer_iter_mut().zip(&self.values) {
            let factor = if *value > least { value.recip() } else { 0.0 };
            row.mapv_inplace(|weight| weight * factor);
        }
        matmul(self.vectors.view(), turned.view())
    }
}

/// Takes the mean of each column away, row by row: columns one by one would touch every line of memory as often.
fn centre(block: &mut Array2<f32>) {
    let means = column_means(block.view());
    for mut row in block.rows_mut() {
        row.iter_mut().zip(&means).for_each(|(value, mean)| *value = (f64::from(*value) - mean) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::folds::contiguous_blocks;
    use crate::math::ridge::{Ridge, RidgeOptions};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    fn normal(shape: (usize, usize), seed: u64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Array2::from_shape_simple_fn(shape, || StandardNormal.sample(&mut rng))
    }

    fn reliability(x: &Array2<f32>, y: &Array2<f32>) -> Vec<Option<f64>> {
        let is_second: Vec<bool> = (0..x.nrows()).map(|row| row % 2 == 1).collect();
        let mut halves = SplitHalf::new(x.view(), &is_second).unwrap();
        // In two pieces, as a brain comes.
        for piece in [0..y.ncols() / 3, y.ncols() / 3..y.ncols()] {
            halves.add(y.slice(ndarray::s![.., piece])).unwrap();
        }
        halves.finish().r
    }

    #[test]
    fn it_is_the_correlation_of_two_regressions() {
        let (x, noise) = (normal((60, 4), 1), normal((60, 90), 2));
        let y = x.dot(&normal((4, 90), 3)) + noise;
        let maps: Vec<Array2<f32>> = [0, 1]
            .into_iter()
            .map(|half| {
                let rows: Vec<usize> = (half..60).step_by(2).collect();
                let (x, y) = (x.select(Axis(0), &rows), y.select(Axis(0), &rows));
                let options = RidgeOptions { alphas: vec![1e-6], coefficients: true, ..RidgeOptions::default() };
                let folds = contiguous_blocks(30, 2, 0).unwrap();
                let ridge = Ridge::factorise(x.view(), &folds, options).unwrap();
                let placed = ridge.place(x.view()).unwrap();
                ridge.fit_predict_placed(y.view(), &placed).unwrap().0.coefficients.unwrap()
            })
            .collect();
        for (feature, r) in reliability(&x, &y).into_iter().enumerate() {
            let (a, b) = (maps[0].row(feature).mapv(f64::from), maps[1].row(feature).mapv(f64::from));
            let (a, b) = (&a - a.mean().unwrap(), &b - b.mean().unwrap());
            let expected = a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt();
            assert!((r.unwrap() - expected).abs() < 1e-5, "{feature}: {r:?} {expected}");
        }
    }

    #[test]
    fn a_feature_that_drives_nothing_does_not_come_out_again_however_like_its_neighbour_it_is() {
        let (own, shared) = (normal((400, 2), 4), normal((400, 1), 5));
        // Feature 1 is nearly feature 0, and drives nothing.
        let x = ndarray::concatenate(
            Axis(1),
            &[
                shared.view(),
                (&shared + &(own.slice(ndarray::s![.., ..1]).to_owned() * 0.4)).view(),
                own.slice(ndarray::s![.., 1..]),
            ],
        )
        .unwrap();
        let mut drives = normal((3, 500), 6);
        drives.row_mut(1).fill(0.0);
        let y = x.dot(&drives) + normal((400, 500), 7) * 3.0;
        let r = reliability(&x, &y);
        assert!(r[0].unwrap() > 0.4 && r[2].unwrap() > 0.7, "{r:?}");
        assert!(r[1].unwrap().abs() < 0.12, "{r:?}");
    }

    #[test]
    fn what_cannot_be_said_is_absent_and_bad_input_refused() {
        let mut x = normal((20, 3), 8);
        x.column_mut(2).fill(1.5);
        let y = normal((20, 12), 9);
        assert_eq!(reliability(&x, &y)[2], None);
        let halves = SplitHalf::new(x.view(), &[false, true].repeat(10)).unwrap();
        assert_eq!(halves.finish().r, [None, None, None]);
        let refused = SplitHalf::new(x.view(), &[false; 20]).unwrap_err();
        assert!(matches!(refused, MathError::TooFew { found: 0, .. }));
        assert!(matches!(SplitHalf::new(x.view(), &[false; 3]), Err(MathError::Shape { .. })));
        let mut halves = SplitHalf::new(x.view(), &[false, true].repeat(10)).unwrap();
        assert!(matches!(halves.add(y.slice(ndarray::s![1.., ..])), Err(MathError::Shape { .. })));
    }
}
