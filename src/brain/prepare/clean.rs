//! Nuisance regression, high-pass filtering and scaling of voxel series.
//!
//! One projection onto the orthogonal complement of all regressors, in double precision, on blocks of voxels of a fixed
//! size, so that the result does not depend on the number of threads. A block is the only copy: series of any size are
//! cleaned in place.

use std::f64::consts::PI;

use ndarray::linalg::general_mat_mul;
use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayViewMut2, Axis, s};
use ndarray_linalg::{JobSvd, SVDDC};

use super::PrepareError;
use super::settings::Scale;
use crate::math::blas::single_thread_blas;

/// Voxels cleaned at once by one thread: rows of a kilobyte, blocks that fit the second cache for some hundred volumes.
const BLOCK_VOXELS: usize = 256;
/// Directions of the standardised regressors with a singular value below this share of the largest are rounding.
const RANK_TOLERANCE: f64 = 1e-10;
/// A column whose remaining sum of squares is below this share of its raw sum of squares holds rounding only.
const CONSTANT_TOLERANCE: f64 = 1e-24;
/// A mean below this share of the root mean square is rounding, and nothing can be a percentage of it.
const NO_MEAN_TOLERANCE: f64 = 1e-10;

const CONTIGUOUS: &str = "a matrix in C order has contiguous rows, and so have blocks of its columns";

/// The discrete cosines slower than the cut-off, each of length `n_tr`, without the constant.
///
/// c_k(t) = cos(pi k (t + 1/2) / n_tr) for k = 1 .. floor(2 n_tr TR / cut-off): the basis of SPM and of
/// `nilearn.signal.create_cosine_drift`, up to scale. The bound is computed in nilearn's order of operations, so that
/// a cut-off that divides the run exactly is rounded as there.
///
/// # Errors
/// If the cut-off is not a positive number or leaves no frequency to pass.
pub fn cosine_drift(n_tr: usize, repetition_time_s: f64, high_pass_s: f64) -> Result<Vec<Vec<f64>>, PrepareError> {
    let n = n_tr as f64;
    // nilearn takes the mean step of its frame times for the repetition time, which differs in the last digit.
    let step_s = if n_tr > 1 { (n - 1.0) * repetition_time_s / (n - 1.0) } else { repetition_time_s };
    let order = (2.0 * n * (1.0 / high_pass_s) * step_s).floor();
    let usable = high_pass_s.is_finite() && high_pass_s > 0.0 && order < n - 1.0;
    if !usable {
        return Err(PrepareError::HighPass { found: high_pass_s, shortest_s: 2.0 * repetition_time_s });
    }
    let cosine = |k: usize| (0..n_tr).map(|t| (PI * k as f64 * (t as f64 + 0.5) / n).cos()).collect();
    Ok((1..=order as usize).map(cosine).collect())
}

/// How many cosines [`cosine_drift`] has, at most; none where it refuses.
pub(super) fn n_cosines(n_tr: usize, repetition_time_s: f64, high_pass_s: f64) -> u128 {
    let order = 2.0 * n_tr as f64 * repetition_time_s / high_pass_s;
    if order.is_finite() && order > 0.0 { (order as u128 + 1).min(n_tr as u128) } else { 0 }
}

/// An orthonormal basis (n_samples x rank) of the centred and scaled regressors; no columns where there are none.
///
/// # Errors
/// The words of the linear algebra library if the decomposition fails.
pub fn orthonormal_basis(regressors: &[Vec<f64>], n_samples: usize) -> Result<Array2<f64>, String> {
    single_thread_blas();
    let mut columns = Vec::with_capacity(regressors.len());
    for regressor in regressors {
        // Brought to size first, so that no square overflows.
        let largest = regressor.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let sized: Vec<f64> = regressor.iter().map(|value| value / largest.max(f64::MIN_POSITIVE)).collect();
        let mean = sized.iter().sum::<f64>() / n_samples as f64;
        let centred: Vec<f64> = sized.iter().map(|value| value - mean).collect();
        let norm = centred.iter().map(|value| value * value).sum::<f64>().sqrt();
        let raw_norm = sized.iter().map(|value| value * value).sum::<f64>().sqrt();
        // A constant regressor says nothing beyond the mean.
        if norm > RANK_TOLERANCE * raw_norm {
            columns.push(centred.into_iter().map(|value| value / norm).collect::<Vec<f64>>());
        }
    }
    if columns.is_empty() {
        return Ok(Array2::zeros((n_samples, 0)));
    }
    let design = Array2::from_shape_fn((n_samples, columns.len()), |(sample, column)| columns[column][sample]);
    let (u, singular_values, _) = design.svddc(JobSvd::Some).map_err(|error| error.to_string())?;
    let u = u.expect("left singular vectors were asked for");
    let largest = singular_values.iter().copied().fold(0.0, f64::max);
    let rank = singular_values.iter().filter(|&&value| value > RANK_TOLERANCE * largest).count();
    Ok(u.slice(s![.., ..rank]).as_standard_layout().into_owned())
}

/// Voxels whose series say nothing; their columns are 0 and must not be scored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unusable {
    /// Without variance before or after cleaning, or without a mean to be a percentage of.
    pub constant: Vec<usize>,
    /// With a value that is not a number or infinite.
    pub non_finite: Vec<usize>,
}

/// Cleans every column in place and returns the columns without use, which become 0.
///
/// Objective per voxel y (n_samples): r = (y - mean) - B B' (y - mean), then r / sd(r) with n - 1 in the denominator for
/// [`Scale::ZScore`], 100 r / |mean| for [`Scale::PercentChange`], else r, to which the mean comes back unless
/// `remove_mean`. A column counts as without variance if it was constant, or if what the regressors leave is of the size
/// of rounding.
///
/// # Panics
/// If `series` is not in C order.
pub fn clean(series: &mut Array2<f32>, basis: &Array2<f64>, remove_mean: bool, scale: Scale) -> Unusable {
    assert!(series.is_standard_layout(), "series are cleaned row by row, expected a matrix in C order");
    single_thread_blas();
    let blocks: Vec<Unusable> = series
        .axis_chunks_iter_mut(Axis(1), BLOCK_VOXELS)
        .into_par_iter()
        .map_init(Vec::new, |values, block| clean_block(block, basis, remove_mean, scale, values))
        .collect();
    let mut unusable = Unusable::default();
    for (block, found) in blocks.into_iter().enumerate() {
        let shifted = |voxel| block * BLOCK_VOXELS + voxel;
        unusable.constant.extend(found.constant.into_iter().map(shifted));
        unusable.non_finite.extend(found.non_finite.into_iter().map(shifted));
    }
    unusable
}

/// What is known of the voxels of a block once their series were read.
struct Moments {
    mean: Vec<f64>,
    squares: Vec<f64>,
    varies: Vec<bool>,
    finite: Vec<bool>,
}

impl Moments {
    fn of(block: &ArrayViewMut2<'_, f32>) -> Self {
        let (n_samples, n_voxels) = block.dim();
        let (mut sums, mut squares) = (vec![0.0; n_voxels], vec![0.0; n_voxels]);
        let mut lowest = vec![f32::INFINITY; n_voxels];
        let mut highest = vec![f32::NEG_INFINITY; n_voxels];
        for row in 0..n_samples {
            let row = block.row(row).to_slice().expect(CONTIGUOUS);
            for ((sum, squares), &value) in sums.iter_mut().zip(&mut squares).zip(row) {
                let value = f64::from(value);
                *sum += value;
                *squares += value * value;
            }
            // A loop of its own, as it works on numbers of another width.
            for ((lowest, highest), &value) in lowest.iter_mut().zip(&mut highest).zip(row) {
                *lowest = if value < *lowest { value } else { *lowest };
                *highest = if value > *highest { value } else { *highest };
            }
        }
        // Sums of single precision values cannot overflow, so a sum is finite if all values are.
        let finite = sums.iter().map(|sum| sum.is_finite()).collect();
        let mean = sums.into_iter().map(|sum| sum / n_samples as f64).collect();
        let varies = lowest.iter().zip(&highest).map(|(lowest, highest)| lowest < highest).collect();
        Moments { mean, squares, varies, finite }
    }
}

/// What a voxel's residuals are multiplied with and moved by, to become its cleaned series.
#[derive(Clone, Copy, Default)]
struct Line {
    factor: f64,
    offset: f64,
}

fn clean_block(
    mut block: ArrayViewMut2<'_, f32>,
    basis: &Array2<f64>,
    remove_mean: bool,
    scale: Scale,
    values: &mut Vec<f64>,
) -> Unusable {
    let (n_samples, n_voxels) = block.dim();
    let Moments { mean, squares: raw_squares, varies, finite } = Moments::of(&block);
    values.clear();
    for row in 0..n_samples {
        let row = block.row(row).to_slice().expect(CONTIGUOUS);
        values.extend(row.iter().zip(&mean).map(|(&value, mean)| f64::from(value) - mean));
    }
    if basis.ncols() > 0 {
        let mut rest =
            ArrayViewMut2::from_shape((n_samples, n_voxels), values).expect("one value per sample and voxel");
        let mut weights = Array2::zeros((basis.ncols(), n_voxels));
        general_mat_mul(1.0, &basis.t(), &rest, 0.0, &mut weights);
        general_mat_mul(-1.0, basis, &weights, 1.0, &mut rest);
    }
    let (mut rest_sums, mut rest_squares) = (vec![0.0; n_voxels], vec![0.0; n_voxels]);
    for row in values.chunks_exact(n_voxels) {
        for ((sum, squares), value) in rest_sums.iter_mut().zip(&mut rest_squares).zip(row) {
            *sum += value;
            *squares += value * value;
        }
    }

    let mut unusable = Unusable::default();
    let mut lines = vec![Line::default(); n_voxels];
    for voxel in 0..n_voxels {
        let mean = mean[voxel];
        // The regressors are centred up to rounding, so the mean of the rest is too; what remains of it is taken out.
        let rest_mean = rest_sums[voxel] / n_samples as f64;
        let squares = rest_squares[voxel] - rest_sums[voxel] * rest_mean;
        let root_mean_square = (raw_squares[voxel] / n_samples as f64).sqrt();
        let no_percentage = scale == Scale::PercentChange && mean.abs() <= NO_MEAN_TOLERANCE * root_mean_square;
        if !finite[voxel] {
            unusable.non_finite.push(voxel);
        } else if !varies[voxel] || no_percentage || squares <= CONSTANT_TOLERANCE * raw_squares[voxel] {
            unusable.constant.push(voxel);
        } else {
            let factor = match scale {
                Scale::ZScore => ((n_samples - 1) as f64 / squares).sqrt(),
                Scale::PercentChange => 100.0 / mean.abs(),
                Scale::None => 1.0,
            };
            let kept_mean = if remove_mean || scale != Scale::None { 0.0 } else { mean };
            lines[voxel] = Line { factor, offset: kept_mean - rest_mean * factor };
        }
    }
    for (row, values) in values.chunks_exact(n_voxels).enumerate() {
        let mut row = block.row_mut(row);
        let slots = row.as_slice_mut().expect(CONTIGUOUS);
        for ((slot, value), line) in slots.iter_mut().zip(values).zip(&lines) {
            *slot = (value * line.factor + line.offset) as f32;
        }
    }
    // A factor of 0 leaves what is not a number as it was.
    for &voxel in &unusable.non_finite {
        block.column_mut(voxel).fill(0.0);
    }
    unusable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n_samples: usize, n_voxels: usize) -> Array2<f32> {
        Array2::from_shape_fn((n_samples, n_voxels), |(t, v)| {
            1000.0 + ((t * (v % 7 + 2) + v) as f32 * 0.37).sin() * 5.0
        })
    }

    #[test]
    fn result_is_orthogonal_to_what_was_taken_out() {
        let regressors = cosine_drift(60, 2.0, 40.0).unwrap();
        assert_eq!(regressors.len(), 6);
        let basis = orthonormal_basis(&regressors, 60).unwrap();
        let mut series = wave(60, 300);
        assert_eq!(clean(&mut series, &basis, true, Scale::ZScore), Unusable::default());
        for column in series.mapv(f64::from).columns() {
            assert!((column.dot(&column) - 59.0).abs() < 1e-4);
            assert!(column.sum().abs() < 1e-4);
            assert!(basis.t().dot(&column).iter().all(|dot| dot.abs() < 1e-4));
        }
    }

    #[test]
    fn cleaning_twice_changes_nothing() {
        let basis = orthonormal_basis(&cosine_drift(50, 1.0, 30.0).unwrap(), 50).unwrap();
        let mut once = wave(50, 5);
        clean(&mut once, &basis, true, Scale::ZScore);
        let mut twice = once.clone();
        clean(&mut twice, &basis, true, Scale::ZScore);
        assert!(once.iter().zip(&twice).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn percentages_are_of_the_mean_before_cleaning() {
        let none = Array2::zeros((4, 0));
        let mut series = ndarray::arr2(&[[90.0, -220.0], [110.0, -180.0], [100.0, -200.0], [100.0, -200.0]]);
        clean(&mut series, &none, false, Scale::PercentChange);
        let expected = ndarray::arr2(&[[-10.0, -10.0], [10.0, 10.0], [0.0, 0.0], [0.0, 0.0]]);
        assert!(series.iter().zip(&expected).all(|(a, b): (&f32, &f32)| (a - b).abs() < 1e-5), "{series}");
        let mut no_mean = ndarray::arr2(&[[-1.0, 1.0], [1.0, 1e-7], [2.0, 3.0], [-2.0, 4.0]]);
        let found = clean(&mut no_mean, &none, false, Scale::PercentChange);
        assert_eq!(found.constant, [0]);
        assert!(no_mean.column(0).iter().all(|&value| value == 0.0));
    }

    #[test]
    fn repeated_and_constant_regressors_count_once_and_never() {
        let ramp: Vec<f64> = (0..20).map(f64::from).collect();
        let scaled = ramp.iter().map(|x| 3.0 * x - 7.0).collect();
        let basis = orthonormal_basis(&[ramp, scaled, vec![5.0; 20]], 20).unwrap();
        assert_eq!(basis.ncols(), 1);
        assert_eq!(orthonormal_basis(&[vec![5.0; 20], vec![0.0; 20]], 20).unwrap().ncols(), 0);
    }

    #[test]
    fn regressors_of_any_size_count() {
        for size in [1e-310, 1e-200, 1.0, 1e200, 1.7e308] {
            let wave: Vec<f64> = (0..20).map(|t| size * (f64::from(t) * 0.7).sin()).collect();
            let basis = orthonormal_basis(&[wave], 20).unwrap();
            assert_eq!(basis.ncols(), 1, "{size}");
            assert!((basis.column(0).dot(&basis.column(0)) - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn flat_and_fully_explained_voxels_are_listed_and_zero() {
        let cosine = cosine_drift(40, 1.0, 70.0).unwrap().remove(0);
        let mut series = wave(40, 3);
        series.column_mut(0).fill(7.0);
        // Exact multiples of a regressor made of small powers of two leave rounding only.
        let steps: Vec<f64> = cosine.iter().map(|&x| if x > 0.0 { 1.0 } else { -1.0 }).collect();
        series.column_mut(1).iter_mut().zip(&steps).for_each(|(slot, step)| *slot = 4.0 * *step as f32);
        let basis = orthonormal_basis(&[steps], 40).unwrap();
        assert_eq!(clean(&mut series, &basis, false, Scale::None).constant, [0, 1]);
        assert!(series.column(0).iter().chain(series.column(1)).all(|&value| value == 0.0));
        assert!(series.column(2).mean().unwrap() > 900.0);
    }

    #[test]
    fn values_that_are_no_numbers_spoil_their_own_voxel_alone() {
        let basis = orthonormal_basis(&cosine_drift(40, 1.0, 30.0).unwrap(), 40).unwrap();
        for scale in [Scale::ZScore, Scale::PercentChange, Scale::None] {
            let mut whole = wave(40, 600);
            let mut holes = whole.clone();
            (holes[[3, 2]], holes[[0, 300]], holes[[39, 599]]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY);
            holes[[7, 300]] = f32::NEG_INFINITY;
            clean(&mut whole, &basis, false, scale);
            let found = clean(&mut holes, &basis, false, scale);
            assert_eq!(found, Unusable { constant: vec![], non_finite: vec![2, 300, 599] });
            for voxel in 0..600 {
                let expected =
                    if found.non_finite.contains(&voxel) { vec![0.0; 40] } else { whole.column(voxel).to_vec() };
                assert_eq!(holes.column(voxel).to_vec(), expected);
            }
        }
    }

    #[test]
    fn cut_offs_that_are_no_periods_are_refused() {
        for cut_off in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300, 2.0] {
            assert!(matches!(cosine_drift(10, 1.0, cut_off), Err(PrepareError::HighPass { .. })), "{cut_off}");
        }
        assert!(cosine_drift(10, 1.0, 128.0).unwrap().is_empty());
    }
}
