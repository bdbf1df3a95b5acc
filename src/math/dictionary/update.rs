//! Sufficient statistics of dictionary learning and the update of the patterns from them.
//!
//! Owns Mairal's A and B. It does not see the units again once they are folded in.

use ndarray::{Array2, ArrayView2, Axis, Zip, s};

use crate::math::blas::matmul;

/// Curvature below which a pattern is left as it is: no unit uses it, up to rounding.
const UNUSED_CURVATURE: f64 = 1e-12;

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
    pub fn replace(&mut self, samples: ArrayView2<'_, f32>, old: &Array2<f64>, new: &Array2<f64>) {
        let change = new - old;
        // new'new - old'old, written so that small changes are not lost between two large products.
        self.code_power += &matmul(change.t(), new.view());
        self.code_power += &matmul(old.t(), change.view());
        let narrow = change.mapv(|v| v as f32);
        Zip::from(&mut self.code_series).and(&matmul(narrow.t(), samples)).for_each(|total, &v| *total += f64::from(v));
    }

    /// Drops what is left of a pattern that no unit uses.
    pub fn forget(&mut self, pattern: usize) {
        self.code_power.row_mut(pattern).fill(0.0);
        self.code_power.column_mut(pattern).fill(0.0);
        self.code_series.row_mut(pattern).fill(0.0);
    }

    /// `||D C||^2 - 2 <S, D C>`, the part of the squared error that depends on the patterns (n_patterns x n_tr).
    pub fn fit_power(&self, patterns: &Array2<f64>) -> f64 {
        let gram = matmul(patterns.view(), patterns.t());
        (&gram * &self.code_power).sum() - 2.0 * (patterns * &self.code_series).sum()
    }

    /// One pass of block coordinate descent over the patterns (n_patterns x n_tr), each projected onto the unit ball.
    ///
    /// `d_k <- proj(d_k + (b_k - D a_k) / A_kk)` (Mairal 2009, algorithm 2): with the others fixed this is the exact minimum.
    pub fn update_patterns(&self, patterns: &mut Array2<f64>) {
        let mut residual = &self.code_series - &matmul(self.code_power.view(), patterns.view());
        let n_patterns = patterns.nrows();
        for k in 0..n_patterns {
            let curvature = self.code_power[[k, k]];
            if curvature <= UNUSED_CURVATURE {
                continue;
            }
            let mut change = residual.row(k).mapv(|r| r / curvature);
            change += &patterns.row(k);
            let norm = change.dot(&change).sqrt();
            if norm > 1.0 {
                change /= norm;
            }
            Zip::from(&mut change).and(patterns.row_mut(k)).for_each(|c, p| {
                let updated = *c;
                *c = updated - *p;
                *p = updated;
            });
            // Residuals of earlier patterns are not read again in this pass.
            for (mut row, &a) in
                residual.slice_mut(s![k + 1.., ..]).axis_iter_mut(Axis(0)).zip(self.code_power.slice(s![k + 1.., k]))
            {
                if a != 0.0 {
                    row.scaled_add(-a, &change);
                }
            }
        }
    }
}
