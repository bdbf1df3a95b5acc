//! Sums over targets from which the correlation under any rearrangement follows.
//!
//! Owns two layouts of such sums, one for each kind of rearrangement; which orders are drawn is in `null/arrangement.rs`,
//! and so is what places blocks can take.

use std::sync::Arc;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use crate::math::null::{BlockGrid, Rearrangement, Span};

/// How the sums of one group are stored.
pub(super) enum Layout {
    /// Inner products of data blocks with the stretches of the prediction that they can land on.
    Blocks(BlockGrid),
    /// The cross-spectrum of data and prediction, real and imaginary parts in turn.
    Shifts {
        /// To the spectrum.
        forward: Arc<dyn Fft<f64>>,
        /// And back to lags.
        inverse: Arc<dyn Fft<f64>>,
    },
}

impl std::fmt::Debug for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Blocks(grid) => f.debug_tuple("Blocks").field(grid).finish(),
            Self::Shifts { forward, .. } => f.debug_struct("Shifts").field("n_samples", &forward.len()).finish(),
        }
    }
}

impl Layout {
    pub fn new(rearrangement: Rearrangement, n_samples: usize) -> Self {
        match rearrangement {
            Rearrangement::Blocks { block_tr } => Self::Blocks(BlockGrid::new(n_samples, block_tr)),
            Rearrangement::CircularShift { .. } => {
                let mut planner = FftPlanner::new();
                Self::Shifts {
                    forward: planner.plan_fft_forward(n_samples),
                    inverse: planner.plan_fft_inverse(n_samples),
                }
            }
        }
    }

    /// Numbers that such a layout stores for a group.
    pub fn count_values(rearrangement: Rearrangement, n_samples: usize) -> usize {
        match rearrangement {
            // A block of no length is refused before a layout is made; here it must only not divide by zero.
            Rearrangement::Blocks { block_tr } => BlockGrid::new(n_samples, block_tr.max(1)).n_entries(),
            Rearrangement::CircularShift { .. } => n_samples.saturating_mul(2),
        }
    }

    /// Numbers stored for a group.
    pub fn n_values(&self) -> usize {
        match self {
            Self::Blocks(grid) => grid.n_entries(),
            Self::Shifts { forward, .. } => 2 * forward.len(),
        }
    }

    /// Adds the sums over the columns of standardised `data` and `prediction` (n_samples x n_targets, row by row).
    pub fn add(&self, data: &Array2<f64>, prediction: &Array2<f64>, table: &mut [f64]) {
        match self {
            Self::Blocks(grid) => add_products(grid, data, prediction, table),
            Self::Shifts { forward, .. } => add_spectrum(forward.as_ref(), data, prediction, table),
        }
    }

    /// What [`Layout::sum_of`] reads: the products themselves, or the sum for every lag.
    pub fn sums(&self, table: &[f64]) -> Vec<f64> {
        match self {
            Self::Blocks(_) => table.to_vec(),
            Self::Shifts { inverse, .. } => {
                let mut spectrum: Vec<Complex<f64>> = table.chunks_exact(2).map(|z| Complex::new(z[0], z[1])).collect();
                inverse.process(&mut spectrum);
                let n_samples = spectrum.len() as f64;
                spectrum.into_iter().map(|z| z.re / n_samples).collect()
            }
        }
    }

    /// Sum over targets of the correlation when the data are laid out in this order.
    pub fn sum_of(&self, sums: &[f64], order: &[Span]) -> f64 {
        match self {
            Self::Blocks(grid) => {
                let mut to = 0;
                let mut sum = 0.0;
                for &span in order {
                    sum += sums[grid.entry(span, to)];
                    to += span.length;
                }
                sum
            }
            Self::Shifts { .. } => sums[order[0].from],
        }
    }
}

/// Samples `from..` as one row for each of `n_blocks` blocks: all samples of all targets of a block follow one another.
fn as_blocks(series: &Array2<f64>, from: usize, n_blocks: usize, block: usize) -> ArrayView2<'_, f64> {
    let rows = series.slice(s![from..from + n_blocks * block, ..]);
    rows.into_shape_with_order((n_blocks, block * series.ncols())).expect("whole rows of a matrix stored row by row")
}

fn add_products(grid: &BlockGrid, data: &Array2<f64>, prediction: &Array2<f64>, table: &mut [f64]) {
    let (n_full, block, short) = (grid.n_full, grid.block, grid.short);
    let blocks = as_blocks(data, 0, n_full, block);
    let (pairs, short_one) = table.split_at_mut(if short == 0 { grid.n_pairs() } else { 2 * grid.n_pairs() });
    if n_full > 0 {
        for (shift, products) in [0, short].into_iter().zip(pairs.chunks_exact_mut(grid.n_pairs())) {
            let stretches = as_blocks(prediction, shift, n_full, block);
            let mut products =
                ArrayViewMut2::from_shape((n_full, n_full), products).expect("one product for each pair");
            general_mat_mul(1.0, &blocks, &stretches.t(), 1.0, &mut products);
        }
    }
    let last = data.slice(s![n_full * block.., ..]);
    for (place, product) in short_one.iter_mut().enumerate() {
        let stretch = prediction.slice(s![place * block..place * block + short, ..]);
        *product += last.iter().zip(&stretch).map(|(y, p)| y * p).sum::<f64>();
    }
}

/// Both series of a target are transformed at once, as real and imaginary part of one.
fn add_spectrum(forward: &dyn Fft<f64>, data: &Array2<f64>, prediction: &Array2<f64>, table: &mut [f64]) {
    let n_samples = forward.len();
    let mut pair = vec![Complex::default(); n_samples];
    let mut scratch = vec![Complex::default(); forward.get_inplace_scratch_len()];
    for (y, p) in data.columns().into_iter().zip(prediction.columns()) {
        pair.iter_mut().zip(y.iter().zip(p)).for_each(|(z, (&y, &p))| *z = Complex::new(y, p));
        forward.process_with_scratch(&mut pair, &mut scratch);
        for (frequency, sum) in table.chunks_exact_mut(2).enumerate() {
            let (z, mirrored) = (pair[frequency], pair[(n_samples - frequency) % n_samples].conj());
            let (y, p) = ((z + mirrored) * 0.5, (z - mirrored) * Complex::new(0.0, -0.5));
            let product = y * p.conj();
            sum[0] += product.re;
            sum[1] += product.im;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::null::Orders;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_equal_the_definition(
            n_samples in 4usize..60, n_targets in 1usize..5, step in 1usize..9, shifts in any::<bool>(), seed in 0u64..99,
        ) {
            prop_assume!(n_samples >= 2 * step);
            let series = |c: f64| Array2::from_shape_fn((n_samples, n_targets), |(t, v)| {
                ((t * n_targets + v) as f64 * c + seed as f64).sin()
            });
            let (data, prediction) = (series(0.37), series(1.13));
            let rearrangement = if shifts {
                Rearrangement::CircularShift { min_shift_tr: step }
            } else {
                Rearrangement::Blocks { block_tr: step }
            };
            let layout = Layout::new(rearrangement, n_samples);
            prop_assert_eq!(layout.n_values(), Layout::count_values(rearrangement, n_samples));
            let mut table = vec![0.0; layout.n_values()];
            layout.add(&data, &prediction, &mut table);
            let sums = layout.sums(&table);
            for order in Orders::new(rearrangement, n_samples, seed).take(20) {
                let moved = order.iter().flat_map(|span| span.from..span.from + span.length);
                let expected: f64 = moved.enumerate().map(|(to, from)| data.row(from).dot(&prediction.row(to))).sum();
                prop_assert!((layout.sum_of(&sums, &order) - expected).abs() < 1e-10);
            }
        }
    }
}
