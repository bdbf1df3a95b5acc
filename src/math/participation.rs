//! How many dimensions a set of series fills.
//!
//! Owns the participation ratio. It does not know what the columns are: units of a layer, patterns, voxels.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::MathError;
use super::blas::matmul;
use super::error::require_finite;
use super::scores::is_constant;
use super::series::column_means;

/// Rows or columns that are held in f64 at a time.
const BLOCK: usize = 1024;

/// Effective number of dimensions of the columns of `series` (n_samples x n_units), `(tr C)^2 / ||C||_F^2`.
///
/// With the eigenvalues `w` of the covariance `C` of the columns this is `(sum w)^2 / sum w^2`: n for n equal eigenvalues, 1 when
/// one holds all variance (participation ratio: Gao et al. 2017). Neither needs a decomposition: `tr C` and `||C||_F` are those
/// of the smaller of `X'X` and `XX'` for centred columns `X`, which is accumulated in f64 over blocks of the longer side. `None`
/// when every column is constant.
///
/// Caveat: it depends on the scale of columns, so z-score those whose scale means nothing; and it cannot exceed
/// `n_samples - 1`, so compare layers over the same samples.
///
/// # Errors
/// [`MathError::NotFinite`].
pub fn participation_ratio(series: ArrayView2<'_, f32>) -> Result<Option<f64>, MathError> {
    require_finite("series", series)?;
    let (n_samples, n_units) = series.dim();
    if n_samples == 0 || n_units == 0 {
        return Ok(None);
    }
    let mean = Array1::from_vec(column_means(series));
    let n = n_samples.min(n_units);
    let mut gram: Array2<f64> = Array2::zeros((n, n));
    let is_tall = n_samples > n_units;
    let blocks = series.axis_chunks_iter(Axis(usize::from(!is_tall)), BLOCK).enumerate();
    for (block, values) in blocks {
        let mut centred = values.mapv(f64::from);
        if is_tall {
            centred -= &mean;
            gram += &matmul(centred.t(), centred.view());
        } else {
            centred -= &mean.slice(ndarray::s![block * BLOCK..block * BLOCK + values.ncols()]);
            gram += &matmul(centred.view(), centred.t());
        }
    }
    let trace = gram.diag().sum();
    // Rounding of constant columns is all that is left below this.
    let offset = mean.dot(&mean).sqrt();
    if trace <= 0.0 || is_constant(trace, offset, n_samples) {
        return Ok(None);
    }
    // Scaled first, because the square of a large power can overflow.
    Ok(Some(gram.iter().map(|v| (v / trace).powi(2)).sum::<f64>().recip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::eigen::symmetric_eigen;
    use ndarray::Array;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    fn noise(rows: usize, columns: usize) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64((rows * 1000 + columns) as u64);
        Array::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut rng))
    }

    #[test]
    fn equals_the_definition_by_eigenvalues_on_either_side() {
        for (rows, columns) in [(40, 12), (12, 40), (7, 2100), (2100, 7), (5, 5)] {
            let series = noise(rows, columns) * 3.0 + 10.0;
            let wide = series.mapv(f64::from);
            let centred = &wide - &wide.mean_axis(Axis(0)).unwrap();
            let gram = if rows < columns { centred.dot(&centred.t()) } else { centred.t().dot(&centred) };
            let values = symmetric_eigen(gram).unwrap().values;
            let expected = values.sum().powi(2) / values.mapv(|w| w * w).sum();
            let found = participation_ratio(series.view()).unwrap().unwrap();
            assert!((found / expected - 1.0).abs() < 1e-10, "{rows} {columns}: {found} {expected}");
        }
    }

    #[test]
    fn equal_orthogonal_columns_count_fully_and_copies_once() {
        // Columns of a Hadamard matrix without its constant one.
        let hadamard =
            Array2::from_shape_fn(
                (8, 7),
                |(i, j)| {
                    if (i & (j + 1)).count_ones().is_multiple_of(2) { 2.0f32 } else { -2.0 }
                },
            );
        assert!((participation_ratio(hadamard.view()).unwrap().unwrap() - 7.0).abs() < 1e-12);
        let copies = Array2::from_shape_fn((8, 20), |(i, _)| i as f32);
        assert!((participation_ratio(copies.view()).unwrap().unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_vary_has_no_dimension() {
        assert_eq!(participation_ratio(Array2::from_elem((9, 4), 0.1f32).view()), Ok(None));
        assert_eq!(participation_ratio(Array2::zeros((0, 4)).view()), Ok(None));
        assert_eq!(participation_ratio(Array2::zeros((4, 0)).view()), Ok(None));
        let mut series = noise(4, 4);
        series[[2, 1]] = f32::NAN;
        assert!(matches!(participation_ratio(series.view()), Err(MathError::NotFinite { row: 2, column: 1, .. })));
    }

    #[test]
    fn bytes_do_not_depend_on_the_thread_count() {
        let series = noise(600, 1500);
        let with = |n_threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| participation_ratio(series.view()).unwrap())
        };
        assert_eq!(with(1), with(3));
    }

    proptest! {
        #[test]
        fn lies_between_one_and_the_rank_whatever_the_scale(
            numbers in prop::collection::vec(-1.0f32..1.0, 60), rows in 2usize..12, scale in 0.01f32..1e6,
        ) {
            let columns = 60 / rows;
            let series = Array::from_shape_vec((rows, columns), numbers[..rows * columns].to_vec()).unwrap();
            let found = participation_ratio(series.view()).unwrap().unwrap();
            let limit = (rows - 1).min(columns) as f64;
            prop_assert!(found >= 1.0 - 1e-9 && found <= limit + 1e-9);
            let scaled = participation_ratio((series * scale).view()).unwrap().unwrap();
            prop_assert!((scaled / found - 1.0).abs() < 1e-4);
        }
    }
}
