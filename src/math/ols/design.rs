//! The decomposition of a design, shared by all targets.
//!
//! Owns rank and estimability; it does not know of noise or targets.

use ndarray::{Array2, ArrayView2, Axis, s};
use ndarray_linalg::{JobSvd, SVDDC};

use crate::math::MathError;
use crate::math::blas::{matmul, single_thread_blas};
use crate::math::series::column_means;

/// Share of a combination's norm that may lie outside the row space of the design.
///
/// Where columns depend on each other to within the rounding of f32, their common direction is known to about 1e-7 over the
/// gap to the next singular value; this leaves room for gaps of a thousandth.
const ESTIMABLE_SHARE: f64 = 1e-4;

/// An orthonormal basis of the columns of a design and the way back to its coefficients.
///
/// With intercept, the features are centred and the basis begins with the constant `1 / sqrt(n)`.
#[derive(Debug)]
pub(super) struct Design {
    pub intercept: bool,
    /// Column means (n_features); 0 without intercept.
    pub mean: Vec<f64>,
    /// Orthonormal columns (n_samples x n_parameters).
    pub basis: Array2<f64>,
    /// Carries loadings on the basis to coefficients (n_features x n_parameters); 0 for the constant.
    pub to_coefficients: Array2<f64>,
    /// Norms by which columns were divided (n_features).
    scale: Vec<f64>,
    /// Right singular vectors of the scaled design (n_features x rank).
    row_space: Array2<f64>,
}

/// Combinations of coefficients in terms of loadings on the basis.
#[derive(Debug)]
pub(super) struct Rows {
    /// n_rows x n_parameters.
    pub weights: Array2<f64>,
    /// Whether the design determines the combination (n_rows).
    pub is_estimable: Vec<bool>,
}

impl Design {
    pub fn of(x: ArrayView2<'_, f32>, intercept: bool) -> Result<Self, MathError> {
        let (n_samples, n_features) = x.dim();
        for (what, n) in [("features", n_features), ("samples", n_samples)] {
            if n == 0 {
                return Err(MathError::Empty { what });
            }
        }
        single_thread_blas();
        let mean = if intercept { column_means(x) } else { vec![0.0; n_features] };
        let mut scaled = x.mapv(f64::from);
        let scale: Vec<f64> = scaled
            .columns()
            .into_iter()
            .map(|column| column.iter().map(|v| v * v).sum::<f64>().sqrt())
            .map(|norm| if norm > 0.0 { norm } else { 1.0 })
            .collect();
        for mut row in scaled.outer_iter_mut() {
            for ((v, mean), scale) in row.iter_mut().zip(&mean).zip(&scale) {
                *v = (*v - mean) / scale;
            }
        }
        let (left, singular, right) = scaled.svddc(JobSvd::Some).map_err(|_| lapack_failure())?;
        let (left, right) = (left.ok_or_else(lapack_failure)?, right.ok_or_else(lapack_failure)?);
        let threshold = 2.0 * (n_features as f64).sqrt() * f64::from(f32::EPSILON);
        let rank = singular.iter().filter(|&&value| value > threshold).count();
        let row_space = right.slice(s![..rank, ..]).t().as_standard_layout().into_owned();
        let n_constant = usize::from(intercept);
        let mut basis = Array2::from_elem((n_samples, rank + n_constant), (n_samples as f64).sqrt().recip());
        basis.slice_mut(s![.., n_constant..]).assign(&left.slice(s![.., ..rank]));
        let mut to_coefficients = Array2::zeros((n_features, rank + n_constant));
        for ((feature, k), value) in row_space.indexed_iter() {
            to_coefficients[[feature, n_constant + k]] = value / (singular[k] * scale[feature]);
        }
        Ok(Self { intercept, mean, basis, to_coefficients, scale, row_space })
    }

    pub fn rank(&self) -> usize {
        self.row_space.ncols()
    }

    /// Which combinations of coefficients (n_rows x n_features) the design determines.
    pub fn estimable(&self, combinations: ArrayView2<'_, f64>) -> Rows {
        let mut scaled = combinations.to_owned();
        for mut row in scaled.outer_iter_mut() {
            row.iter_mut().zip(&self.scale).for_each(|(v, scale)| *v /= scale);
        }
        let inside = matmul(matmul(scaled.view(), self.row_space.view()).view(), self.row_space.t());
        let is_estimable = scaled
            .outer_iter()
            .zip(inside.outer_iter())
            .map(|(row, inside)| {
                let (norm, outside) = row
                    .iter()
                    .zip(inside)
                    .fold((0.0, 0.0), |(n, o), (v, inside)| (n + v * v, o + (v - inside) * (v - inside)));
                outside <= ESTIMABLE_SHARE * ESTIMABLE_SHARE * norm
            })
            .collect();
        Rows { weights: matmul(combinations, self.to_coefficients.view()), is_estimable }
    }

    /// Whether the intercept, `mean y - mean x' b`, is determined.
    pub fn has_estimable_intercept(&self) -> bool {
        let means = ArrayView2::from_shape((1, self.mean.len()), &self.mean).expect("one row of all features");
        self.intercept && self.estimable(means).is_estimable[0]
    }

    /// Samples (n x n_features) in the basis, such that `mean y + place(x) loadings` predicts them.
    pub fn place(&self, x: ArrayView2<'_, f32>) -> Array2<f64> {
        let mut centred = x.mapv(f64::from);
        for mut row in centred.outer_iter_mut() {
            row.iter_mut().zip(&self.mean).for_each(|(v, mean)| *v -= mean);
        }
        let mut placed = matmul(centred.view(), self.to_coefficients.view());
        if self.intercept {
            placed.index_axis_mut(Axis(1), 0).fill((self.basis.nrows() as f64).sqrt().recip());
        }
        placed
    }
}

/// The wrapper does not pass on how many superdiagonals failed to converge, only that some did.
fn lapack_failure() -> MathError {
    MathError::Lapack { routine: "dgesdd", code: 1 }
}
