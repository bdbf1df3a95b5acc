//! Scores of many combinations of a few predictions.
//!
//! Owns the sums over held-out samples that these scores follow from. It does not know where the predictions come from
//! (`spectrum.rs`) or how folds are averaged (`search.rs`).

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, Zip};

use crate::math::ridge::CvScore;
use crate::math::scores::CONSTANT_SHARE;

/// Targets whose moments are summed together, so that the sums stay in a core's first-level cache.
const TILE: usize = 32;

/// Sums over held-out samples for each target of a block (n_sums x n_block).
///
/// The rows are `sum y`, `sum y^2`, then for each prediction k of the basis `sum P_k`, `sum y P_k` and `sum P_k P_l` for l from
/// k. Products of f32 numbers are exact in f64, so a score is as accurate as one taken from the combined prediction, and
/// costs `n_basis^2` operations a penalty and target instead of n_held_out.
pub(super) struct Moments {
    sums: Array2<f64>,
    n_rows: f64,
}

/// What turns moments into those of the combined prediction of each penalty, each n_alphas x n_sums.
#[derive(Debug)]
pub(super) struct Mixtures {
    /// To `sum P`.
    sum: Array2<f64>,
    /// To `sum y P`.
    with_data: Array2<f64>,
    /// To `sum P^2`.
    power: Array2<f64>,
}

fn n_sums(n_basis: usize) -> usize {
    2 + n_basis * (n_basis + 5) / 2
}

impl Mixtures {
    /// From the coefficients of the combinations (n_alphas x n_basis).
    pub fn of(mix: &Array2<f64>) -> Self {
        let (n_alphas, n_basis) = mix.dim();
        let zeros = || Array2::<f64>::zeros((n_alphas, n_sums(n_basis)));
        let (mut sum, mut with_data, mut power) = (zeros(), zeros(), zeros());
        for (alpha, mix) in mix.outer_iter().enumerate() {
            let mut at = 2;
            for k in 0..n_basis {
                sum[[alpha, at]] = mix[k];
                with_data[[alpha, at + 1]] = mix[k];
                for l in k..n_basis {
                    power[[alpha, at + 2 + l - k]] = mix[k] * mix[l] * if l == k { 1.0 } else { 2.0 };
                }
                at += 2 + n_basis - k;
            }
        }
        Self { sum, with_data, power }
    }
}

impl Moments {
    /// Sums `held_out` (n_held_out x n_block) and the predictions of a basis below each other (n_basis n_held_out x n_block).
    pub fn of(held_out: &Array2<f32>, predictions: &Array2<f32>) -> Self {
        let (n_rows, n_block) = held_out.dim();
        let n_basis = predictions.nrows() / n_rows;
        let data = held_out.as_slice().expect("a block is stored row by row");
        let predicted = predictions.as_slice().expect("a product is stored row by row");
        let mut sums = Array2::<f64>::zeros((n_sums(n_basis), n_block));
        let mut tile_sums = vec![[0.0f64; TILE]; n_sums(n_basis)];
        let mut members = vec![[0.0f64; TILE]; n_basis];
        for start in (0..n_block).step_by(TILE) {
            let width = TILE.min(n_block - start);
            tile_sums.fill([0.0; TILE]);
            // Lanes past the last target stay 0.
            let widen = |to: &mut [f64; TILE], from: &[f32], row: usize| {
                let from = &from[row * n_block + start..][..width];
                to.iter_mut().zip(from).for_each(|(to, &v)| *to = f64::from(v));
            };
            let mut y = [0.0f64; TILE];
            for row in 0..n_rows {
                widen(&mut y, data, row);
                for (k, member) in members.iter_mut().enumerate() {
                    widen(member, predicted, k * n_rows + row);
                }
                let mut out = tile_sums.iter_mut();
                let mut add = |a: &[f64; TILE], b: &[f64; TILE]| {
                    let out = out.next().expect("as many sums as products");
                    for lane in 0..TILE {
                        out[lane] += a[lane] * b[lane];
                    }
                };
                add(&y, &[1.0; TILE]);
                add(&y, &y);
                for k in 0..n_basis {
                    add(&members[k], &[1.0; TILE]);
                    add(&members[k], &y);
                    for l in k..n_basis {
                        add(&members[k], &members[l]);
                    }
                }
            }
            for (mut to, tile) in sums.outer_iter_mut().zip(&tile_sums) {
                to.iter_mut().skip(start).zip(&tile[..width]).for_each(|(to, v)| *to = *v);
            }
        }
        Self { sums, n_rows: n_rows as f64 }
    }

    /// Score of every combination (n_alphas x n_block); without meaning for a target that is constant.
    pub fn scores(&self, mixtures: &Mixtures, score: CvScore) -> Array2<f64> {
        let n = self.n_rows;
        let (y_sum, y_power) = (self.sums.row(0), self.sums.row(1));
        let mut scores = mixtures.power.dot(&self.sums);
        match score {
            CvScore::R2 => {
                general_mat_mul(-2.0, &mixtures.with_data, &self.sums, 1.0, &mut scores);
                for mut row in scores.outer_iter_mut() {
                    Zip::from(&mut row).and(&y_sum).and(&y_power).for_each(|score, y_sum, y_power| {
                        *score = 1.0 - (y_power + *score) / (y_power - y_sum * y_sum / n);
                    });
                }
            }
            CvScore::Pearson => {
                let (sums, products) = (mixtures.sum.dot(&self.sums), mixtures.with_data.dot(&self.sums));
                for ((mut row, sums), products) in
                    scores.outer_iter_mut().zip(sums.outer_iter()).zip(products.outer_iter())
                {
                    let scores = Zip::from(&mut row).and(&sums).and(&products).and(&y_sum).and(&y_power);
                    scores.for_each(|score, sum, product, y_sum, y_power| {
                        let variation = *score - sum * sum / n;
                        // As in `scores`, a prediction that varies by its rounding alone has no correlation, which counts
                        // as 0.
                        *score = if variation <= CONSTANT_SHARE * sum * sum / n || variation <= 0.0 {
                            0.0
                        } else {
                            let size = (y_power - y_sum * y_sum / n).sqrt() * variation.sqrt();
                            ((product - sum * y_sum / n) / size).clamp(-1.0, 1.0)
                        };
                    });
                }
            }
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::scores::{pearson_columns, r2_columns};
    use ndarray::{Array, s};

    #[test]
    fn scores_are_those_of_the_combined_predictions() {
        let (n_rows, n_block, n_basis) = (17, 41, 3);
        let y = Array::from_shape_fn((n_rows, n_block), |(i, j)| ((i * 31 + j * 17) as f32 * 0.61).sin() + 0.3);
        let basis = Array::from_shape_fn((n_basis * n_rows, n_block), |(i, j)| ((i * 13 + j * 7) as f32 * 0.37).cos());
        let mix = Array::from_shape_fn((5, n_basis), |(a, k)| (a as f64 - 2.3) * 0.4 + k as f64 * 0.2);
        let moments = Moments::of(&y, &basis);
        let (r2, r) =
            (moments.scores(&Mixtures::of(&mix), CvScore::R2), moments.scores(&Mixtures::of(&mix), CvScore::Pearson));
        for (alpha, mix) in mix.outer_iter().enumerate() {
            let mut combined = Array2::<f32>::zeros((n_rows, n_block));
            for (k, &share) in mix.iter().enumerate() {
                combined.scaled_add(share as f32, &basis.slice(s![k * n_rows..(k + 1) * n_rows, ..]));
            }
            let exact_r2 = r2_columns(y.view(), combined.view()).unwrap();
            let exact_r = pearson_columns(y.view(), combined.view()).unwrap();
            for target in 0..n_block {
                let exact = exact_r2[target].unwrap();
                assert!((r2[[alpha, target]] - exact).abs() < 1e-6 * (1.0 + exact.abs()), "{exact}");
                assert!((r[[alpha, target]] - exact_r[target].unwrap()).abs() < 1e-6);
            }
        }
    }
}
