//! Nuisance regression, high-pass filtering and z-scoring of voxel series.
//!
//! One projection onto the orthogonal complement of all regressors, in double precision, on blocks of voxels of a fixed
//! size, so that the result does not depend on the number of threads.

use std::f64::consts::PI;

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayViewMut2, Axis, s};
use ndarray_linalg::{JobSvd, SVDDC};

use super::PrepareError;

/// Voxels cleaned at once by one thread.
const BLOCK_VOXELS: usize = 256;
/// Directions of the standardised regressors with a singular value below this share of the largest are rounding.
const RANK_TOLERANCE: f64 = 1e-10;
/// A column whose remaining sum of squares is below this share of its raw sum of squares holds rounding only.
const CONSTANT_TOLERANCE: f64 = 1e-24;

/// The discrete cosines slower than the cut-off, each of length `n_tr`, without the constant.
///
/// c_k(t) = cos(pi k (t + 1/2) / n_tr) for k = 1 .. floor(2 n_tr TR / cut-off): the basis of SPM and of
/// `nilearn.signal.create_cosine_drift`, up to scale.
///
/// # Errors
/// If the cut-off is not a positive number or leaves no frequency to pass.
pub fn cosine_drift(n_tr: usize, repetition_time_s: f64, high_pass_s: f64) -> Result<Vec<Vec<f64>>, PrepareError> {
    let n = n_tr as f64;
    let order = (2.0 * n * repetition_time_s / high_pass_s).floor();
    let usable = high_pass_s.is_finite() && high_pass_s > 0.0 && order < n - 1.0;
    if !usable {
        return Err(PrepareError::HighPass { found: high_pass_s, shortest_s: 2.0 * repetition_time_s });
    }
    let cosine = |k: usize| (0..n_tr).map(|t| (PI * k as f64 * (t as f64 + 0.5) / n).cos()).collect();
    Ok((1..=order as usize).map(cosine).collect())
}

/// An orthonormal basis (n_samples x rank) of the centred and scaled regressors; no columns where there are none.
///
/// # Errors
/// The words of the linear algebra library if the decomposition fails.
pub fn orthonormal_basis(regressors: &[Vec<f64>], n_samples: usize) -> Result<Array2<f64>, String> {
    let mut columns = Vec::with_capacity(regressors.len());
    for regressor in regressors {
        let mean = regressor.iter().sum::<f64>() / n_samples as f64;
        let centred: Vec<f64> = regressor.iter().map(|value| value - mean).collect();
        let norm = centred.iter().map(|value| value * value).sum::<f64>().sqrt();
        let raw_norm = regressor.iter().map(|value| value * value).sum::<f64>().sqrt();
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
    Ok(u.slice(s![.., ..rank]).to_owned())
}

/// Cleans every column in place and returns the columns without variance, which become 0.
///
/// Objective per voxel y (n_samples): r = (y - mean) - B B' (y - mean), then r / sd(r) with n - 1 in the denominator if
/// `z_score`, or r + mean if the mean shall stay. A column counts as without variance if it was constant, or if what the
/// regressors leave is of the size of rounding.
pub fn clean(series: &mut Array2<f32>, basis: &Array2<f64>, remove_mean: bool, z_score: bool) -> Vec<usize> {
    let blocks: Vec<Vec<usize>> = series
        .axis_chunks_iter_mut(Axis(1), BLOCK_VOXELS)
        .into_par_iter()
        .map(|block| clean_block(block, basis, remove_mean, z_score))
        .collect();
    let shifted =
        |(block, voxels): (usize, Vec<usize>)| voxels.into_iter().map(move |voxel| block * BLOCK_VOXELS + voxel);
    blocks.into_iter().enumerate().flat_map(shifted).collect()
}

fn clean_block(mut block: ArrayViewMut2<'_, f32>, basis: &Array2<f64>, remove_mean: bool, z_score: bool) -> Vec<usize> {
    let n_samples = block.nrows();
    let mut values = block.mapv(f64::from);
    let raw_squares = (&values * &values).sum_axis(Axis(0));
    let means = values.sum_axis(Axis(0)) / n_samples as f64;
    values -= &means;
    if basis.ncols() > 0 {
        let explained = basis.dot(&basis.t().dot(&values));
        values -= &explained;
        // The regressors are centred up to rounding, so the mean of the rest is too; what remains of it is taken out.
        let rest = values.sum_axis(Axis(0)) / n_samples as f64;
        values -= &rest;
    }
    let mut constant = Vec::new();
    for voxel in 0..block.ncols() {
        let mut out = block.column_mut(voxel);
        let first = out[0];
        let column = values.column(voxel);
        let squares = column.iter().map(|value| value * value).sum::<f64>();
        if out.iter().all(|&value| value == first) || squares <= CONSTANT_TOLERANCE * raw_squares[voxel] {
            constant.push(voxel);
            out.fill(0.0);
            continue;
        }
        let scale = if z_score { ((n_samples - 1) as f64 / squares).sqrt() } else { 1.0 };
        let offset = if remove_mean { 0.0 } else { means[voxel] };
        out.iter_mut().zip(column).for_each(|(slot, value)| *slot = (value * scale + offset) as f32);
    }
    constant
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
        assert!(clean(&mut series, &basis, true, true).is_empty());
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
        clean(&mut once, &basis, true, true);
        let mut twice = once.clone();
        clean(&mut twice, &basis, true, true);
        assert!(once.iter().zip(&twice).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn repeated_and_constant_regressors_count_once_and_never() {
        let ramp: Vec<f64> = (0..20).map(f64::from).collect();
        let scaled = ramp.iter().map(|x| 3.0 * x - 7.0).collect();
        let basis = orthonormal_basis(&[ramp, scaled, vec![5.0; 20]], 20).unwrap();
        assert_eq!(basis.ncols(), 1);
        assert_eq!(orthonormal_basis(&[vec![5.0; 20]], 20).unwrap().ncols(), 0);
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
        assert_eq!(clean(&mut series, &basis, false, false), [0, 1]);
        assert!(series.column(0).iter().chain(series.column(1)).all(|&value| value == 0.0));
        assert!(series.column(2).mean().unwrap() > 900.0);
    }

    #[test]
    fn cut_offs_that_are_no_periods_are_refused() {
        for cut_off in [0.0, -1.0, f64::NAN, 1e-300, 2.0] {
            assert!(matches!(cosine_drift(10, 1.0, cut_off), Err(PrepareError::HighPass { .. })));
        }
        assert!(cosine_drift(10, 1.0, 128.0).unwrap().is_empty());
    }
}
