//! Sufficient statistics of dictionary learning and the update of the patterns from them.
//!
//! Owns Mairal's A and B. It does not see the units again once they are folded in. Work is cut along time into chunks
//! of fixed width; what is carried from batch to batch is f64, the products are f32.

use ndarray::linalg::{general_mat_mul, general_mat_vec_mul};
use ndarray::{Array1, Array2, ArrayView2, Axis, Zip, s};
use rayon::prelude::*;

use crate::math::blas::{matmul, single_thread_blas};

/// Curvature below which a pattern is left as it is: no unit uses it, up to rounding.
const UNUSED_CURVATURE: f64 = 1e-12;

/// Time points that one task computes.
const TR_CHUNK: usize = 512;

/// Patterns after whose update the residuals of all later patterns are brought up to date in one product.
///
/// Inside a block every pattern costs a matrix-vector product; with 16 these are a sixth of all operations for 100
/// patterns, and the products between blocks are still wide enough for BLAS.
const PATTERN_BLOCK: usize = 16;

/// By how much a pattern overshoots its minimum.
///
/// A projected step of this multiple lowers the objective for every value below 2; overshooting makes up for codes that
/// follow only in the next pass, and roughly halves the passes to within a thousandth of the end.
const RELAXATION: f64 = 1.5;

/// `A = C C'` and `B = C S'`, for codes C (n_patterns x n_units) and units S' (n_units x n_tr).
pub(super) struct Statistics {
    /// A (n_patterns x n_patterns).
    code_power: Array2<f64>,
    /// B transposed (n_patterns x n_tr).
    code_series: Array2<f64>,
}

impl Statistics {
    pub fn new(n_patterns: usize, n_tr: usize) -> Self {
        Self { code_power: Array2::zeros((n_patterns, n_patterns)), code_series: Array2::zeros((n_patterns, n_tr)) }
    }

    /// Replaces the codes of some units (n_batch x n_tr): `old` and `new` are n_batch x n_patterns.
    pub fn replace(&mut self, samples: ArrayView2<'_, f32>, old: ArrayView2<'_, f64>, new: ArrayView2<'_, f64>) {
        single_thread_blas();
        let change = &new - &old;
        // new'new - old'old, written so that small changes are not lost between two large products.
        let (with_new, with_old) = rayon::join(|| matmul(change.t(), new), || matmul(old.t(), change.view()));
        self.code_power += &with_new;
        self.code_power += &with_old;
        let narrow = change.mapv(|v| v as f32);
        self.code_series.axis_chunks_iter_mut(Axis(1), TR_CHUNK).into_par_iter().enumerate().for_each(
            |(chunk, mut total)| {
                let start = chunk * TR_CHUNK;
                let columns = samples.slice(s![.., start..start + total.ncols()]);
                let mut product = Array2::zeros(total.dim());
                general_mat_mul(1.0, &narrow.t(), &columns, 0.0, &mut product);
                total.zip_mut_with(&product, |total, &v| *total += f64::from(v));
            },
        );
    }

    /// Drops what is left of a pattern that no unit uses.
    pub fn forget(&mut self, pattern: usize) {
        self.code_power.row_mut(pattern).fill(0.0);
        self.code_power.column_mut(pattern).fill(0.0);
        self.code_series.row_mut(pattern).fill(0.0);
    }

    /// `||D C||^2 - 2 <S, D C>`, the part of the squared error that depends on the patterns (n_patterns x n_tr).
    pub fn fit_power(&self, patterns: ArrayView2<'_, f32>) -> f64 {
        let wide = patterns.mapv(f64::from);
        let gram = matmul(wide.view(), wide.t());
        (&gram * &self.code_power).sum() - 2.0 * (&wide * &self.code_series).sum()
    }

    /// One pass of block coordinate descent over the patterns (n_patterns x n_tr), each projected onto the unit ball.
    ///
    /// `d_k <- proj(d_k + w (b_k - D a_k) / A_kk)`; with w = 1 (Mairal 2009, algorithm 2) this is the minimum with the others
    /// fixed, w is [`RELAXATION`].
    pub fn update_patterns(&self, patterns: &mut Array2<f32>) {
        let code_power = self.code_power.mapv(|v| v as f32);
        let mut residual = self.residual(code_power.view(), patterns.view());
        let (n_patterns, n_tr) = patterns.dim();
        let mut changes = Array2::zeros((PATTERN_BLOCK, n_tr));
        for start in (0..n_patterns).step_by(PATTERN_BLOCK) {
            let end = (start + PATTERN_BLOCK).min(n_patterns);
            for k in start..end {
                let (before, mut after) = changes.view_mut().split_at(Axis(0), k - start);
                let mut change = after.row_mut(0);
                let curvature = self.code_power[[k, k]];
                if curvature <= UNUSED_CURVATURE {
                    change.fill(0.0);
                    continue;
                }
                let coupling = code_power.slice(s![k, start..k]);
                let mut target = residual.row_mut(k);
                general_mat_vec_mul(-1.0, &before.t(), &coupling, 1.0, &mut target);
                move_pattern(patterns.row_mut(k), target.view(), curvature, &mut change);
            }
            // Residuals of earlier patterns are not read again in this pass.
            let coupling = code_power.slice(s![end.., start..end]);
            let changes = changes.slice(s![..end - start, ..]);
            subtract_product(&mut residual.slice_mut(s![end.., ..]), coupling, changes);
        }
    }

    /// `B - A D` as it is before the update.
    fn residual(&self, code_power: ArrayView2<'_, f32>, patterns: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut residual = Array2::zeros(patterns.dim());
        Zip::from(&mut residual).and(&self.code_series).par_for_each(|r, &b| *r = b as f32);
        subtract_product(&mut residual.view_mut(), code_power, patterns);
        residual
    }
}

/// Moves one pattern past its minimum, back into the unit ball, and leaves in `change` by how much.
fn move_pattern(
    mut pattern: ndarray::ArrayViewMut1<'_, f32>,
    residual: ndarray::ArrayView1<'_, f32>,
    curvature: f64,
    change: &mut ndarray::ArrayViewMut1<'_, f32>,
) {
    let step = (RELAXATION / curvature) as f32;
    let target: Array1<f32> = Zip::from(&pattern).and(residual).map_collect(|p, r| p + step * r);
    let norm = target.dot(&target).sqrt();
    let scale = if norm > 1.0 { norm.recip() } else { 1.0 };
    Zip::from(change).and(&mut pattern).and(&target).for_each(|c, p, &t| {
        let updated = scale * t;
        *c = updated - *p;
        *p = updated;
    });
}

/// `out -= left right`, in parallel along time.
fn subtract_product(out: &mut ndarray::ArrayViewMut2<'_, f32>, left: ArrayView2<'_, f32>, right: ArrayView2<'_, f32>) {
    if out.is_empty() {
        return;
    }
    single_thread_blas();
    out.axis_chunks_iter_mut(Axis(1), TR_CHUNK).into_par_iter().enumerate().for_each(|(chunk, mut out)| {
        let start = chunk * TR_CHUNK;
        let columns = right.slice(s![.., start..start + out.ncols()]);
        general_mat_mul(-1.0, &left, &columns, 1.0, &mut out);
    });
}

/// `D D'` of patterns (n_patterns x n_tr), exact enough for a step of learning: f32 inside a chunk, f64 between chunks.
pub(super) fn quick_gram(patterns: ArrayView2<'_, f32>) -> Array2<f64> {
    single_thread_blas();
    let parts: Vec<Array2<f32>> =
        patterns.axis_chunks_iter(Axis(1), TR_CHUNK).into_par_iter().map(|chunk| chunk.dot(&chunk.t())).collect();
    let mut gram = Array2::zeros((patterns.nrows(), patterns.nrows()));
    for part in &parts {
        gram.zip_mut_with(part, |total, &v| *total += f64::from(v));
    }
    gram
}
