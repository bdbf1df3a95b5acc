//! Inner products from which the score at every penalty follows.
//!
//! Owns the sums over held-out samples and their order. How they become scores is in `blocks.rs`.

use ndarray::Array2;

/// Rows that are summed in f32 before the sum joins its f64 total.
const ROW_CHUNK: usize = 32;

/// Inner products of a block's held-out data with the predictions at the nodes, and of these with one another.
///
/// They give the score at every penalty without the predictions there: with `p = sum_j w_j p_j`, `y'p = sum_j w_j y'p_j` and
/// `p'p = sum_jk w_j w_k p_j'p_k`.
pub(super) struct Moments {
    n_nodes: usize,
    /// `y'y` of each target.
    pub data: Vec<f64>,
    /// `y'p_j` (n_nodes x n_targets).
    with_data: Array2<f64>,
    /// `p_j'p_k`, `k <= j`, row by row of the triangle (n_nodes (n_nodes + 1) / 2 x n_targets).
    among: Array2<f64>,
}

impl Moments {
    /// Measures `predictions` (n_nodes n_rows x n_targets) of `data` (n_rows x n_targets).
    pub fn of(data: &Array2<f32>, predictions: &Array2<f32>, n_nodes: usize) -> Self {
        let (n_rows, n_targets) = data.dim();
        let data_rows = data.as_slice().expect("gathered row by row");
        let predicted = predictions.as_slice().expect("a product is stored row by row");
        let node_rows = |node: usize| &predicted[node * n_rows * n_targets..(node + 1) * n_rows * n_targets];
        let mut moments = Self {
            n_nodes,
            data: vec![0.0; n_targets],
            with_data: Array2::zeros((n_nodes, n_targets)),
            among: Array2::zeros((n_nodes * (n_nodes + 1) / 2, n_targets)),
        };
        let mut scratch = vec![0.0f32; n_targets];
        for start in (0..n_rows).step_by(ROW_CHUNK) {
            let chunk = start * n_targets..(start + ROW_CHUNK).min(n_rows) * n_targets;
            let y = &data_rows[chunk.clone()];
            add_products(&mut moments.data, &mut scratch, y, y);
            let mut pair = 0;
            for j in 0..n_nodes {
                let p = &node_rows(j)[chunk.clone()];
                let total = moments.with_data.row_mut(j).into_slice().expect("stored by row");
                add_products(total, &mut scratch, y, p);
                for k in 0..=j {
                    let total = moments.among.row_mut(pair).into_slice().expect("stored by row");
                    add_products(total, &mut scratch, p, &node_rows(k)[chunk.clone()]);
                    pair += 1;
                }
            }
        }
        moments
    }

    /// `y'p` and `p'p` of one target for the prediction with these weights.
    pub fn combine(&self, target: usize, weights: &[f64]) -> (f64, f64) {
        let (mut with_data, mut with_itself, mut pair) = (0.0, 0.0, 0);
        for j in 0..self.n_nodes {
            with_data += weights[j] * self.with_data[[j, target]];
            for k in 0..=j {
                let times = if k == j { 1.0 } else { 2.0 };
                with_itself += times * weights[j] * weights[k] * self.among[[pair, target]];
                pair += 1;
            }
        }
        (with_data, with_itself)
    }
}

/// Adds to `total` the inner product of each column of two pieces stored row by row.
fn add_products(total: &mut [f64], scratch: &mut [f32], a: &[f32], b: &[f32]) {
    let width = total.len().max(1);
    scratch.fill(0.0);
    for (a, b) in a.chunks_exact(width).zip(b.chunks_exact(width)) {
        for ((sum, a), b) in scratch.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    total.iter_mut().zip(scratch.iter()).for_each(|(total, &sum)| *total += f64::from(sum));
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Axis, s};

    #[test]
    fn products_of_a_mixture_follow_from_those_of_its_parts() {
        let (n_rows, n_targets, n_nodes) = (75, 11, 3);
        let data = Array::from_shape_fn((n_rows, n_targets), |(t, v)| ((t * 7 + v * 3) as f32 * 0.37).sin());
        let predictions =
            Array::from_shape_fn((n_nodes * n_rows, n_targets), |(t, v)| ((t * 5 + v) as f32 * 0.53).cos());
        let moments = Moments::of(&data, &predictions, n_nodes);
        let weights = [0.5, -2.0, 0.25];
        let mut mixture = Array2::<f64>::zeros((n_rows, n_targets));
        for (weight, part) in weights.iter().zip(predictions.axis_chunks_iter(Axis(0), n_rows)) {
            mixture.scaled_add(*weight, &part.mapv(f64::from));
        }
        for target in 0..n_targets {
            let (y, p) = (data.slice(s![.., target]).mapv(f64::from), mixture.column(target));
            let (with_data, with_itself) = moments.combine(target, &weights);
            assert!((with_data - y.dot(&p)).abs() < 1e-4, "{with_data} {}", y.dot(&p));
            assert!((with_itself - p.dot(&p)).abs() < 1e-4 * p.dot(&p));
            assert!((moments.data[target] - y.dot(&y)).abs() < 1e-4);
        }
    }
}
