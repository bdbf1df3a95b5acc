//! The linear kernel of every band of features, and how new samples relate to it.
//!
//! Owns the products of features, their centring and the caveats that a kernel alone shows. It does not know targets,
//! weights of bands or penalties.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis, Zip, s};
use rayon::prelude::*;

use super::BandedWarning;
use crate::math::MathError;
use crate::math::blas::{PRODUCT_BLOCK, matmul, single_thread_blas};
use crate::math::error::{require_finite, require_shape};
use crate::math::scores::CONSTANT_SHARE;

/// Features that are held in f64 at a time: with 1000 samples 8 MB.
const FEATURE_BLOCK: usize = 1024;

/// Two kernels whose cosine is closer to 1 than this are multiples of each other.
const PROPORTIONAL: f64 = 1e-10;

/// A kernel may differ from its transpose by this share of its largest entry.
const ASYMMETRY: f64 = 1e-6;

/// The linear kernels `K_b = X_b X_b'` (n_samples x n_samples) of all bands, in f64.
///
/// Bands of tens of thousands of features cost `8 n_samples^2` bytes each, whatever their width. With an intercept every
/// kernel is that of features centred over all samples; a fold centres once more over the samples it fits on, which is
/// the same as centring the features there (Schölkopf et al. 1998).
#[derive(Debug, Clone, PartialEq)]
pub struct BandKernels {
    pub(super) kernels: Vec<Array2<f64>>,
    /// What centres the kernel of new samples with the samples of each band; `None` without intercept.
    centres: Option<Vec<Centre>>,
    warnings: Vec<BandedWarning>,
}

/// Column means of a square kernel and their mean.
#[derive(Debug, Clone, PartialEq)]
struct Centre {
    columns: Array1<f64>,
    all: f64,
}

impl Centre {
    fn of(kernel: &Array2<f64>) -> Self {
        let columns = kernel.mean_axis(Axis(0)).expect("a kernel has samples");
        let all = columns.mean().expect("a kernel has samples");
        Self { columns, all }
    }

    /// Centres rows that hold the products of one sample each with the samples of the square kernel.
    fn apply(&self, rows: &mut Array2<f64>) {
        for mut row in rows.outer_iter_mut() {
            let shift = self.all - row.mean().expect("a kernel has samples");
            Zip::from(&mut row).and(&self.columns).for_each(|v, c| *v += shift - c);
        }
    }
}

/// Centres a fold: the kernel of the samples fitted on, and that of evaluated samples with them.
pub(super) fn centre_fold(train: &mut Array2<f64>, evaluated: &mut Array2<f64>) {
    let centre = Centre::of(train);
    centre.apply(train);
    centre.apply(evaluated);
}

impl BandKernels {
    /// Multiplies the features of every band (n_samples x n_features of that band) out.
    ///
    /// `intercept` says whether features and targets are centred within the samples fitted on.
    ///
    /// # Errors
    /// [`MathError::Empty`] without bands or samples; [`MathError::InBand`] around [`MathError::Empty`] for a band without
    /// features, [`MathError::Shape`] for another number of samples, [`MathError::NotFinite`].
    pub fn from_features(bands: &[ArrayView2<'_, f32>], intercept: bool) -> Result<Self, MathError> {
        let n_samples = bands.first().map_or(0, ArrayView2::nrows);
        for (band, &x) in bands.iter().enumerate() {
            in_band(band, check_features(x, n_samples, "one row for each row of the first band"))?;
        }
        let kernels = bands.iter().map(|&x| gram(x)).collect();
        let n_features: Vec<usize> = bands.iter().map(ArrayView2::ncols).collect();
        Self::of(kernels, intercept, Some(&n_features))
    }

    /// Takes kernels (n_samples x n_samples for each band) that were multiplied out elsewhere, not centred.
    ///
    /// # Errors
    /// [`MathError::Empty`] without bands or samples; [`MathError::InBand`] around [`MathError::Shape`],
    /// [`MathError::NotFinite`], or [`MathError::Parameter`] for a kernel that is not symmetric or has a negative diagonal.
    pub fn from_kernels(kernels: Vec<Array2<f64>>, intercept: bool) -> Result<Self, MathError> {
        let n_samples = kernels.first().map_or(0, Array2::nrows);
        for (band, kernel) in kernels.iter().enumerate() {
            in_band(band, check_kernel(kernel, n_samples))?;
        }
        Self::of(kernels, intercept, None)
    }

    fn of(mut kernels: Vec<Array2<f64>>, intercept: bool, n_features: Option<&[usize]>) -> Result<Self, MathError> {
        if kernels.is_empty() {
            return Err(MathError::Empty { what: "bands" });
        }
        if kernels[0].is_empty() {
            return Err(MathError::Empty { what: "samples" });
        }
        let mut warnings = Vec::new();
        let mut centres = Vec::new();
        for (band, kernel) in kernels.iter_mut().enumerate() {
            let power = kernel.diag().sum();
            if intercept {
                let centre = Centre::of(kernel);
                centre.apply(kernel);
                centres.push(centre);
            }
            let left = kernel.diag().sum();
            if left <= CONSTANT_SHARE * power {
                // What centring left is rounding, which a small penalty would magnify.
                kernel.fill(0.0);
                warnings.push(BandedWarning::BandWithoutVariance { band });
                continue;
            }
            let effective_rank = left * left / squared_norm(kernel);
            if effective_rank < 1.5 && n_features.is_none_or(|n| n[band] > 1) {
                warnings.push(BandedWarning::LowRankBand { band, effective_rank });
            }
        }
        warnings.extend(proportional(&kernels));
        Ok(Self { kernels, centres: intercept.then_some(centres), warnings })
    }

    /// How many bands there are.
    pub fn n_bands(&self) -> usize {
        self.kernels.len()
    }

    /// How many samples the kernels relate.
    pub fn n_samples(&self) -> usize {
        self.kernels[0].nrows()
    }

    /// Whether features and targets are centred within the samples fitted on.
    pub fn has_intercept(&self) -> bool {
        self.centres.is_some()
    }

    /// What the kernels alone show.
    pub fn warnings(&self) -> &[BandedWarning] {
        &self.warnings
    }

    /// The kernels of some bands, in the order given, for the fits that [`super::partition_variance`] compares.
    ///
    /// # Errors
    /// [`MathError::Index`] for a band that does not exist, [`MathError::Empty`] for no band.
    pub fn subset(&self, bands: &[usize]) -> Result<Self, MathError> {
        if let Some(&found) = bands.iter().find(|&&band| band >= self.n_bands()) {
            return Err(MathError::Index { name: "bands", found, expected: self.n_bands() });
        }
        if bands.is_empty() {
            return Err(MathError::Empty { what: "bands" });
        }
        Ok(Self {
            kernels: bands.iter().map(|&band| self.kernels[band].clone()).collect(),
            centres: self.centres.as_ref().map(|all| bands.iter().map(|&band| all[band].clone()).collect()),
            warnings: self.warnings.iter().filter_map(|warning| warning.within(bands)).collect(),
        })
    }

    /// Checks and centres the kernels of new samples (n_test x n_samples for each band).
    pub(super) fn centred_cross(&self, cross: &[ArrayView2<'_, f64>]) -> Result<Vec<Array2<f64>>, MathError> {
        require_shape("bands of the test samples", cross.len(), self.n_bands(), "the bands fitted on")?;
        let n_test = cross[0].nrows();
        let mut centred = Vec::with_capacity(cross.len());
        for (band, kernel) in cross.iter().enumerate() {
            in_band(band, check_cross(kernel, n_test, self.n_samples()))?;
            let mut kernel = kernel.to_owned();
            if let Some(centres) = &self.centres {
                centres[band].apply(&mut kernel);
            }
            centred.push(kernel);
        }
        Ok(centred)
    }

    /// `sum_b gamma_b K_b` at the given rows and columns.
    pub(super) fn combine(&self, gamma: &[f64], rows: &[usize], columns: &[usize]) -> Array2<f64> {
        let mut sum = Array2::zeros((rows.len(), columns.len()));
        for (kernel, &weight) in self.kernels.iter().zip(gamma).filter(|(_, weight)| **weight > 0.0) {
            for (mut out, &row) in sum.outer_iter_mut().zip(rows) {
                let from = kernel.row(row);
                out.iter_mut().zip(columns).for_each(|(v, &column)| *v += weight * from[column]);
            }
        }
        sum
    }
}

/// The kernels of new samples with the samples fitted on (n_test x n_samples for each band), not centred.
///
/// # Errors
/// [`MathError::Shape`] for another number of bands; [`MathError::InBand`] around [`MathError::Shape`] for another number
/// of features or test samples, and [`MathError::NotFinite`].
pub fn cross_kernels(
    test: &[ArrayView2<'_, f32>],
    train: &[ArrayView2<'_, f32>],
) -> Result<Vec<Array2<f64>>, MathError> {
    require_shape("bands of the test samples", test.len(), train.len(), "the bands fitted on")?;
    let n_test = test.first().map_or(0, ArrayView2::nrows);
    let n_samples = train.first().map_or(0, ArrayView2::nrows);
    let mut kernels = Vec::with_capacity(test.len());
    for (band, (&new, &fitted)) in test.iter().zip(train).enumerate() {
        in_band(band, check_features(fitted, n_samples, "one row for each row of the first band"))?;
        in_band(band, require_shape("features of the test samples", new.ncols(), fitted.ncols(), "those fitted on"))?;
        in_band(band, check_features(new, n_test, "one row for each test row of the first band"))?;
        let mut kernel = Array2::zeros((n_test, n_samples));
        for start in (0..new.ncols()).step_by(FEATURE_BLOCK) {
            let end = (start + FEATURE_BLOCK).min(new.ncols());
            let (left, right) = (wide(new, start, end), wide(fitted, start, end));
            kernel += &matmul(left.view(), right.t());
        }
        kernels.push(kernel);
    }
    Ok(kernels)
}

fn in_band(band: usize, checked: Result<(), MathError>) -> Result<(), MathError> {
    checked.map_err(|reason| MathError::InBand { band, reason: Box::new(reason) })
}

fn check_features(x: ArrayView2<'_, f32>, n_samples: usize, hint: &'static str) -> Result<(), MathError> {
    require_shape("rows of features", x.nrows(), n_samples, hint)?;
    if x.ncols() == 0 {
        return Err(MathError::Empty { what: "features" });
    }
    require_finite("features", x)
}

fn check_finite(kernel: &ArrayView2<'_, f64>) -> Result<(), MathError> {
    match kernel.indexed_iter().find(|(_, v)| !v.is_finite()) {
        Some(((row, column), &found)) => Err(MathError::NotFinite { what: "kernel", row, column, found }),
        None => Ok(()),
    }
}

fn check_kernel(kernel: &Array2<f64>, n_samples: usize) -> Result<(), MathError> {
    require_shape("rows of the kernel", kernel.nrows(), n_samples, "the samples of the first band")?;
    require_shape("columns of the kernel", kernel.ncols(), n_samples, "a kernel is square")?;
    check_finite(&kernel.view())?;
    let largest = kernel.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    for ((row, column), &value) in kernel.indexed_iter() {
        if (value - kernel[[column, row]]).abs() > ASYMMETRY * largest {
            return Err(MathError::Parameter {
                name: "difference of the kernel from its transpose",
                found: value - kernel[[column, row]],
                expected: "0 up to rounding",
            });
        }
    }
    match kernel.diag().iter().find(|&&v| v < 0.0) {
        Some(&found) => {
            Err(MathError::Parameter { name: "diagonal of the kernel", found, expected: "squared norms from 0" })
        }
        None => Ok(()),
    }
}

fn check_cross(kernel: &ArrayView2<'_, f64>, n_test: usize, n_samples: usize) -> Result<(), MathError> {
    require_shape("rows of the test kernel", kernel.nrows(), n_test, "the test samples of the first band")?;
    require_shape("columns of the test kernel", kernel.ncols(), n_samples, "the samples fitted on")?;
    check_finite(kernel)
}

fn wide(x: ArrayView2<'_, f32>, start: usize, end: usize) -> Array2<f64> {
    x.slice(s![.., start..end]).mapv(f64::from).as_standard_layout().into_owned()
}

/// `X X'`, of which the lower triangle is multiplied out and mirrored.
fn gram(x: ArrayView2<'_, f32>) -> Array2<f64> {
    single_thread_blas();
    let n = x.nrows();
    let mut kernel = Array2::<f64>::zeros((n, n));
    for start in (0..x.ncols()).step_by(FEATURE_BLOCK) {
        let features = wide(x, start, (start + FEATURE_BLOCK).min(x.ncols()));
        kernel.axis_chunks_iter_mut(Axis(0), PRODUCT_BLOCK).into_par_iter().enumerate().for_each(|(block, mut out)| {
            let first = block * PRODUCT_BLOCK;
            let end = first + out.nrows();
            let (rows, columns) = (features.slice(s![first..end, ..]), features.slice(s![..end, ..]));
            general_mat_mul(1.0, &rows, &columns.t(), 1.0, &mut out.slice_mut(s![.., ..end]));
        });
    }
    for row in 0..n {
        for column in row + 1..n {
            kernel[[row, column]] = kernel[[column, row]];
        }
    }
    kernel
}

fn inner_product(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn squared_norm(a: &Array2<f64>) -> f64 {
    inner_product(a, a)
}

fn proportional(kernels: &[Array2<f64>]) -> Vec<BandedWarning> {
    let norms: Vec<f64> = kernels.iter().map(|kernel| squared_norm(kernel).sqrt()).collect();
    let mut warnings = Vec::new();
    for second in 1..kernels.len() {
        for first in 0..second {
            let product = inner_product(&kernels[first], &kernels[second]);
            let largest = norms[first] * norms[second];
            if largest > 0.0 && product > (1.0 - PROPORTIONAL) * largest {
                warnings.push(BandedWarning::ProportionalBands { first, second });
            }
        }
    }
    warnings
}
