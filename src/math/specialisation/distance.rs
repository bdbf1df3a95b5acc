//! How far two models' sets of maps over the same voxels span the same space.
//!
//! Owns two coefficients that do not depend on the order, the sign or any rotation of patterns, their interval over blocks of
//! voxels, and nothing about where voxels lie.

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate, s};
use ndarray_linalg::{JobSvd, SVDDC};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::math::MathError;
use crate::math::blas::single_thread_blas;
use crate::math::error::{require_finite, require_shape};
use crate::math::gram::{CentredGram, centred, products, row_means};
use crate::math::quantile::quantiles;
use crate::math::scores::column_block;

/// Blocks of voxels below which an interval over them means little.
const FEW_BLOCKS: usize = 20;

/// Resamples of one task, each task with its own stream of random numbers.
const RESAMPLE_BLOCK: usize = 8;

/// How the interval of a distance is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct DistanceOptions {
    /// Contiguous blocks of voxels that are resampled, 2 or more.
    pub n_blocks: usize,
    /// Resamples; no interval with 0.
    pub n_resamples: usize,
    /// Coverage of the intervals.
    pub confidence: f64,
    /// Seed of the resamples.
    pub seed: u64,
}

impl Default for DistanceOptions {
    /// 50 blocks, 500 resamples, 95 %.
    fn default() -> Self {
        Self { n_blocks: 50, n_resamples: 500, confidence: 0.95, seed: 0 }
    }
}

/// Coefficients of likeness of two sets of maps, both 1 for sets that span the same space in the same proportions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MapSimilarity {
    /// Linear centred kernel alignment, `||A B'||_F^2 / (||A A'||_F ||B B'||_F)`.
    pub cka: f64,
    /// Nuclear alignment, `||A B'||_* / (||A||_F ||B||_F)`, the cosine of the Procrustes angle.
    pub alignment: f64,
}

impl MapSimilarity {
    /// `1 - cka`, which is 1 less the RV coefficient.
    pub fn cka_distance(&self) -> f64 {
        1.0 - self.cka
    }

    /// `sqrt(2 - 2 alignment)`, the Frobenius distance of the two sets at unit norm after the best rotation of patterns.
    pub fn procrustes_distance(&self) -> f64 {
        (2.0 - 2.0 * self.alignment).max(0.0).sqrt()
    }
}

/// Why two sets of maps have no distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoDistance {
    /// Every map of the first set is constant over the voxels.
    ConstantFirst,
    /// Every map of the second set is constant over the voxels.
    ConstantSecond,
}

/// A caveat of a distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistanceWarning {
    /// With so many patterns for so few voxels even unrelated sets look alike.
    FewVoxels {
        /// Voxels compared.
        n_voxels: usize,
        /// Patterns of both sets.
        n_patterns: usize,
    },
    /// The interval rests on fewer than twenty blocks.
    FewBlocks {
        /// How many.
        n_blocks: usize,
    },
    /// In this many resamples a set was constant; they do not count in the intervals.
    ConstantResamples {
        /// How many.
        n_resamples: usize,
    },
}

/// Distance of two sets of maps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MapDistance {
    /// Likeness over all voxels.
    pub similarity: Result<MapSimilarity, NoDistance>,
    /// Interval of the centred kernel alignment over resampled blocks.
    pub cka_interval: Option<[f64; 2]>,
    /// Interval of the nuclear alignment.
    pub alignment_interval: Option<[f64; 2]>,
    /// What was asked for.
    pub options: DistanceOptions,
    /// Caveats of this distance.
    pub warnings: Vec<DistanceWarning>,
}

/// Likeness of the maps `a` (n_patterns_a x n_voxels) and `b` (n_patterns_b x n_voxels), each centred over voxels.
///
/// Centred kernel alignment (Kornblith et al. 2019, ICML, equation 3 with linear kernels over voxels, which is the RV
/// coefficient of Escoufier 1973) weighs shared directions by their power squared, so the strongest decide; nuclear alignment
/// (Schönemann 1966; Williams et al. 2021, NeurIPS, of the angular shape metric) weighs them by their power, and its distances
/// obey the triangle inequality. Neither changes with the order, the signs, a rotation or a common scale of the patterns. Only
/// products of patterns are formed, in f64 and block by block over voxels.
///
/// Caveat: both exceed 0 for unrelated sets, for white maps by about `sqrt(n_patterns_a n_patterns_b) / n_voxels` and by about
/// `sqrt(min(n_patterns_a, n_patterns_b) / n_voxels)`, and by much more for smooth ones.
///
/// # Errors
/// [`MathError::Shape`] when the voxels differ in number, [`MathError::NotFinite`], [`MathError::Lapack`].
pub fn map_similarity(
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
) -> Result<Result<MapSimilarity, NoDistance>, MathError> {
    let both = stacked(a, b)?;
    similarity(&CentredGram::of(both.view()), a.nrows())
}

fn stacked(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Result<Array2<f32>, MathError> {
    require_shape("columns of the second maps", b.ncols(), a.ncols(), "the voxels of the first maps")?;
    require_finite("first maps", a)?;
    require_finite("second maps", b)?;
    Ok(concatenate(Axis(0), &[a, b]).expect("both have the same voxels"))
}

fn similarity(gram: &CentredGram, n_a: usize) -> Result<Result<MapSimilarity, NoDistance>, MathError> {
    let n = gram.products.nrows();
    if !(0..n_a).any(|k| gram.varies(k)) {
        return Ok(Err(NoDistance::ConstantFirst));
    }
    if !(n_a..n).any(|k| gram.varies(k)) {
        return Ok(Err(NoDistance::ConstantSecond));
    }
    Ok(Ok(of_products(&gram.products, n_a)?.expect("a map of each set varies")))
}

/// The coefficients from the products of all patterns; `None` where either set has no power.
fn of_products(products: &Array2<f64>, n_a: usize) -> Result<Option<MapSimilarity>, MathError> {
    let (within_a, within_b) = (products.slice(s![..n_a, ..n_a]), products.slice(s![n_a.., n_a..]));
    let across = products.slice(s![..n_a, n_a..]);
    let (power_a, power_b) = (within_a.diag().sum(), within_b.diag().sum());
    if !(power_a > 0.0 && power_b > 0.0) {
        return Ok(None);
    }
    // Unit power before any square, so that small or large maps neither vanish nor overflow.
    let square =
        |products: ArrayView2<'_, f64>, scale: f64| products.iter().map(|v| (v / scale) * (v / scale)).sum::<f64>();
    let scale = power_a.sqrt() * power_b.sqrt();
    let cka = square(across, scale) / (square(within_a, power_a) * square(within_b, power_b)).sqrt();
    single_thread_blas();
    // A slice of one row or column has strides that the LAPACK wrapper refuses, so the copy is made in row order.
    let across = Array2::from_shape_fn(across.dim(), |at| across[at] / scale);
    // The wrapper does not pass on how many superdiagonals failed to converge, only that some did.
    let failure = |_| MathError::Lapack { routine: "dgesdd", code: 1 };
    let (_, singular, _) = across.svddc(JobSvd::None).map_err(failure)?;
    Ok(Some(MapSimilarity { cka: cka.min(1.0), alignment: singular.sum().min(1.0) }))
}

/// Likeness of two sets of maps, with intervals over blocks of voxels.
///
/// As [`map_similarity`]; the intervals are percentiles over contiguous blocks of voxels drawn with replacement, each resample
/// centred anew, with all voxels that a block holds kept together. A test against chance is left to the caller: rotating
/// patterns changes nothing, permuting voxels destroys the smoothness that makes unrelated maps look alike, and a
/// rotation of the brain needs its geometry. Maps so rotated can be compared by [`map_similarity`], draw by draw.
///
/// Caveats: blocks follow the order of voxels, so they are compact only where that order is; a resample repeats voxels, which
/// makes unrelated sets look slightly more alike than they do over all voxels.
///
/// # Errors
/// As [`map_similarity`]; [`MathError::TooFew`] for fewer than two blocks, [`MathError::TooMany`] for more blocks than voxels,
/// [`MathError::Parameter`] for a confidence outside 0 to 1.
pub fn map_distance(
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    options: DistanceOptions,
) -> Result<MapDistance, MathError> {
    let DistanceOptions { n_blocks, n_resamples, confidence, seed } = options;
    let both = stacked(a, b)?;
    let n_voxels = both.ncols();
    if !(confidence > 0.0 && confidence < 1.0) {
        let expected = "a number between 0 and 1";
        return Err(MathError::Parameter { name: "confidence", found: confidence, expected });
    }
    if n_resamples > 0 && n_blocks < 2 {
        let hint = "one block has nothing to be resampled with";
        return Err(MathError::TooFew { name: "n-blocks", found: n_blocks, expected: 2, hint });
    }
    if n_resamples > 0 && n_blocks > n_voxels {
        let hint = "a block holds a voxel or more";
        return Err(MathError::TooMany { name: "n-blocks", found: n_blocks, expected: n_voxels, hint });
    }
    let similarity = similarity(&CentredGram::of(both.view()), a.nrows())?;
    let mut warnings = Vec::new();
    if n_voxels < 2 * both.nrows() {
        warnings.push(DistanceWarning::FewVoxels { n_voxels, n_patterns: both.nrows() });
    }
    let mut intervals = [None, None];
    if similarity.is_ok() && n_resamples > 0 {
        if n_blocks < FEW_BLOCKS {
            warnings.push(DistanceWarning::FewBlocks { n_blocks });
        }
        let draws = resample(&both, a.nrows(), n_blocks, n_resamples, seed)?;
        let n_constant = n_resamples - draws.len();
        if n_constant > 0 {
            warnings.push(DistanceWarning::ConstantResamples { n_resamples: n_constant });
        }
        let outside = (1.0 - confidence) / 2.0;
        intervals = [|d: &MapSimilarity| d.cka, |d: &MapSimilarity| d.alignment]
            .map(|coefficient| quantiles(draws.iter().map(coefficient).collect(), [outside, 1.0 - outside]));
    }
    let [cka_interval, alignment_interval] = intervals;
    Ok(MapDistance { similarity, cka_interval, alignment_interval, options, warnings })
}

/// Sums of one block of voxels, of maps centred over all voxels.
struct Block {
    n_voxels: usize,
    sums: Array1<f64>,
    products: Array2<f64>,
}

fn resample(
    both: &Array2<f32>,
    n_a: usize,
    n_blocks: usize,
    n_resamples: usize,
    seed: u64,
) -> Result<Vec<MapSimilarity>, MathError> {
    let means = row_means(both.view());
    let blocks: Vec<Block> = (0..n_blocks)
        .into_par_iter()
        .map(|block| {
            let (start, end) = (block * both.ncols() / n_blocks, (block + 1) * both.ncols() / n_blocks);
            let voxels = centred(column_block(both.view(), start, end - start), &means);
            Block { n_voxels: end - start, sums: voxels.sum_axis(Axis(1)), products: products(&voxels) }
        })
        .collect();
    let draws: Result<Vec<Vec<Option<MapSimilarity>>>, MathError> = (0..n_resamples.div_ceil(RESAMPLE_BLOCK))
        .into_par_iter()
        .map(|task| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(task as u64);
            let n_draws = RESAMPLE_BLOCK.min(n_resamples - task * RESAMPLE_BLOCK);
            (0..n_draws).map(|_| of_resample(&blocks, n_a, &mut rng)).collect()
        })
        .collect();
    Ok(draws?.into_iter().flatten().flatten().collect())
}

fn of_resample(blocks: &[Block], n_a: usize, rng: &mut ChaCha8Rng) -> Result<Option<MapSimilarity>, MathError> {
    let mut n_copies = vec![0usize; blocks.len()];
    (0..blocks.len()).for_each(|_| n_copies[rng.random_range(0..blocks.len())] += 1);
    let mut n_voxels = 0;
    let mut sums = Array1::<f64>::zeros(blocks[0].sums.len());
    let mut products = Array2::<f64>::zeros(blocks[0].products.dim());
    for (block, &copies) in blocks.iter().zip(&n_copies).filter(|(_, copies)| **copies > 0) {
        n_voxels += copies * block.n_voxels;
        sums.scaled_add(copies as f64, &block.sums);
        products.scaled_add(copies as f64, &block.products);
    }
    for ((k, j), value) in products.indexed_iter_mut() {
        *value -= sums[k] * sums[j] / n_voxels as f64;
    }
    of_products(&products, n_a)
}
