//! Inner products of samples, computed once and centred anew for every fold.
//!
//! Owns the step from features to kernels in f64. What is solved with a kernel is in `factors.rs`.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use rayon::prelude::*;

/// Features that are widened to f64 at a time, so that no wide copy of all features is ever held.
pub(super) const FEATURE_CHUNK: usize = 1024;

/// Rows of a kernel that one task computes.
const ROW_BLOCK: usize = 128;

/// What is subtracted from features before their products are taken, and what they are divided by.
#[derive(Debug, Clone)]
pub(super) struct Standard {
    pub mean: Array1<f64>,
    pub scale: Array1<f64>,
}

impl Standard {
    /// Leaves features as they are.
    pub fn none(n_features: usize) -> Self {
        Self { mean: Array1::zeros(n_features), scale: Array1::ones(n_features) }
    }

    /// Mean and deviation over the rows `rows`, each if it is asked for; a constant feature is not scaled.
    pub fn of(x: ArrayView2<'_, f32>, rows: &[usize], centre: bool, scale: bool) -> Self {
        let mut standard = Self::none(x.ncols());
        if !centre && !scale {
            return standard;
        }
        let n = rows.len() as f64;
        let mut mean = Array1::<f64>::zeros(x.ncols());
        for &row in rows {
            mean.iter_mut().zip(x.row(row)).for_each(|(m, &v)| *m += f64::from(v));
        }
        mean /= n;
        if scale {
            let mut power = Array1::<f64>::zeros(x.ncols());
            for &row in rows {
                for ((p, &v), m) in power.iter_mut().zip(x.row(row)).zip(&mean) {
                    *p += (f64::from(v) - m).powi(2);
                }
            }
            for ((scale, power), mean) in standard.scale.iter_mut().zip(&power).zip(&mean) {
                let deviation = (power / n).sqrt();
                if deviation > 4.0 * f64::from(f32::EPSILON) * mean.abs() {
                    *scale = deviation;
                }
            }
        }
        if centre {
            standard.mean = mean;
        }
        standard
    }

    /// The columns `columns` of the rows `rows`, widened and standardised.
    pub fn apply(&self, x: ArrayView2<'_, f32>, rows: &[usize], columns: std::ops::Range<usize>) -> Array2<f64> {
        let mut wide = Array2::zeros((rows.len(), columns.len()));
        wide.axis_iter_mut(Axis(0)).into_par_iter().zip(rows).for_each(|(mut to, &row)| {
            let from = x.row(row);
            for (to, column) in to.iter_mut().zip(columns.clone()) {
                *to = (f64::from(from[column]) - self.mean[column]) / self.scale[column];
            }
        });
        wide
    }
}

fn chunks(n_features: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..n_features).step_by(FEATURE_CHUNK).map(move |start| start..(start + FEATURE_CHUNK).min(n_features))
}

/// `Z Z'` of the standardised rows `rows` (n_rows x n_rows), symmetric to the last bit.
pub(super) fn gram_of_rows(x: ArrayView2<'_, f32>, rows: &[usize], standard: &Standard) -> Array2<f64> {
    let n = rows.len();
    let mut gram = Array2::<f64>::zeros((n, n));
    for columns in chunks(x.ncols()) {
        let wide = standard.apply(x, rows, columns);
        add_lower_products(&mut gram, wide.view());
    }
    mirror(&mut gram);
    gram
}

/// `Z' Z` of the standardised rows `rows` (n_features x n_features), symmetric to the last bit.
pub(super) fn gram_of_columns(wide: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut gram = Array2::<f64>::zeros((wide.ncols(), wide.ncols()));
    add_lower_products(&mut gram, wide.t());
    mirror(&mut gram);
    gram
}

/// Adds the lower triangle of `a a'`, block of rows by block of rows.
fn add_lower_products(gram: &mut Array2<f64>, a: ArrayView2<'_, f64>) {
    crate::math::blas::single_thread_blas();
    gram.axis_chunks_iter_mut(Axis(0), ROW_BLOCK).into_par_iter().enumerate().for_each(|(block, mut rows)| {
        let start = block * ROW_BLOCK;
        let end = start + rows.nrows();
        let mut lower = rows.slice_mut(s![.., ..end]);
        general_mat_mul(1.0, &a.slice(s![start..end, ..]), &a.slice(s![..end, ..]).t(), 1.0, &mut lower);
    });
}

fn mirror(gram: &mut Array2<f64>) {
    for row in 0..gram.nrows() {
        for column in 0..row {
            gram[[column, row]] = gram[[row, column]];
        }
    }
}

/// `Z_a Z_b'` between standardised samples of two matrices (n_a x n_b).
pub(super) fn cross_products(
    (a, a_rows): (ArrayView2<'_, f32>, &[usize]),
    (b, b_rows): (ArrayView2<'_, f32>, &[usize]),
    standard: &Standard,
) -> Array2<f64> {
    crate::math::blas::single_thread_blas();
    let mut products = Array2::<f64>::zeros((a_rows.len(), b_rows.len()));
    for columns in chunks(a.ncols()) {
        let wide_a = standard.apply(a, a_rows, columns.clone());
        let wide_b = standard.apply(b, b_rows, columns);
        products.axis_chunks_iter_mut(Axis(0), ROW_BLOCK).into_par_iter().enumerate().for_each(|(block, mut out)| {
            let start = block * ROW_BLOCK;
            let rows = wide_a.slice(s![start..start + out.nrows(), ..]);
            general_mat_mul(1.0, &rows, &wide_b.t(), 1.0, &mut out);
        });
    }
    products
}

/// The kernel of all samples, from which the kernel of any fold is cut out.
///
/// With an intercept, features are centred about the mean over all samples first; a fold's own mean then differs from 0 by little,
/// and centring its kernel loses no digits even where features are far from 0.
#[derive(Debug)]
pub(super) struct SharedKernel {
    products: Array2<f64>,
    centre: bool,
}

impl SharedKernel {
    pub fn of(x: ArrayView2<'_, f32>, centre: bool) -> Self {
        let rows: Vec<usize> = (0..x.nrows()).collect();
        let standard = Standard::of(x, &rows, centre, false);
        Self { products: gram_of_rows(x, &rows, &standard), centre }
    }

    pub fn n_samples(&self) -> usize {
        self.products.nrows()
    }

    pub fn trace(&self) -> f64 {
        self.products.diag().sum()
    }

    /// Inner products among all samples (n_samples x n_samples), of centred features with an intercept.
    pub fn products(&self) -> &Array2<f64> {
        &self.products
    }

    pub fn into_products(self) -> Array2<f64> {
        self.products
    }

    /// Kernels among the samples `train` (n_train x n_train) and from `held_out` to them (n_held_out x n_train), features centred
    /// about their mean over `train`.
    pub fn cut(&self, train: &[usize], held_out: &[usize]) -> (Array2<f64>, Array2<f64>) {
        let select = |rows: &[usize]| {
            Array2::from_shape_fn((rows.len(), train.len()), |(i, j)| self.products[[rows[i], train[j]]])
        };
        let (mut among, mut across) = (select(train), select(held_out));
        if self.centre {
            let mean = |row: ArrayView1<'_, f64>| row.sum() / train.len() as f64;
            let of_train: Array1<f64> = among.rows().into_iter().map(mean).collect();
            let overall = mean(of_train.view());
            for (mut row, own) in among.rows_mut().into_iter().zip(&of_train) {
                row.iter_mut().zip(&of_train).for_each(|(k, other)| *k -= own + other - overall);
            }
            for mut row in across.rows_mut() {
                let own = mean(row.view());
                row.iter_mut().zip(&of_train).for_each(|(k, other)| *k -= own + other - overall);
            }
        }
        (among, across)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array;

    fn features(rows: usize, columns: usize) -> Array2<f32> {
        Array::from_shape_fn((rows, columns), |(i, j)| ((i * 37 + j * 11) as f32 * 0.37).sin() + 100.0)
    }

    fn largest(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
        (a - b).iter().fold(0.0, |m: f64, d| m.max(d.abs()))
    }

    #[test]
    fn products_equal_their_definition_over_several_chunks() {
        let x = features(150, 2100);
        let rows: Vec<usize> = (0..150).rev().collect();
        let standard = Standard::of(x.view(), &rows, true, true);
        let wide = standard.apply(x.view(), &rows, 0..2100);
        assert!(largest(&gram_of_rows(x.view(), &rows, &standard), &wide.dot(&wide.t())) < 1e-8);
        assert!(largest(&gram_of_columns(wide.view()), &wide.t().dot(&wide)) < 1e-8);
        let across = cross_products((x.view(), &[3, 5]), (x.view(), &rows), &standard);
        assert!(largest(&across, &standard.apply(x.view(), &[3, 5], 0..2100).dot(&wide.t())) < 1e-8);
    }

    #[test]
    fn a_cut_kernel_is_that_of_the_folds_own_centred_features() {
        let x = features(40, 60);
        let (train, held_out): (Vec<usize>, Vec<usize>) = (0..40).partition(|row| !(10..19).contains(row));
        let (among, across) = SharedKernel::of(x.view(), true).cut(&train, &held_out);
        let standard = Standard::of(x.view(), &train, true, false);
        let own = standard.apply(x.view(), &train, 0..60);
        let other = standard.apply(x.view(), &held_out, 0..60);
        assert!(largest(&among, &own.dot(&own.t())) < 1e-9);
        assert!(largest(&across, &other.dot(&own.t())) < 1e-9);
    }

    #[test]
    fn a_constant_feature_is_not_scaled() {
        let x = Array2::from_shape_fn((5, 2), |(i, j)| if j == 0 { 3.0 } else { i as f32 });
        let standard = Standard::of(x.view(), &[0, 1, 2, 3, 4], true, true);
        assert_eq!(standard.scale[0], 1.0);
        assert!((standard.scale[1] - 2.0f64.sqrt()).abs() < 1e-12);
    }
}
