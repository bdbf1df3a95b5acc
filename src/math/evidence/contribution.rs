//! What the targets of one group add to its evidence.
//!
//! Owns the two sums over blocks of time and their standardisation; it does not know which group it works for.

use ndarray::{Array2, ArrayView2};

use super::rearranged::Layout;
use crate::math::scores::Columns;
use crate::math::series::column_means;

/// Sums over targets of one group.
#[derive(Debug, Clone)]
pub(super) struct Contribution {
    pub n_with_r: usize,
    pub n_with_error: usize,
    /// Products of standardised samples, by block of time.
    pub r: Vec<f64>,
    /// Squared errors relative to the power of the data, by block of time.
    pub error: Vec<f64>,
    /// What the null distribution needs, laid out as [`Layout`] says; empty without one.
    pub table: Vec<f64>,
}

impl Contribution {
    pub fn zero(n_blocks: usize, n_values: usize) -> Self {
        Self {
            n_with_r: 0,
            n_with_error: 0,
            r: vec![0.0; n_blocks],
            error: vec![0.0; n_blocks],
            table: vec![0.0; n_values],
        }
    }

    pub fn n_bytes(&self) -> usize {
        (self.r.len() + self.error.len() + self.table.len()) * size_of::<f64>()
    }

    pub fn merge(&mut self, added: &Self) {
        self.n_with_r += added.n_with_r;
        self.n_with_error += added.n_with_error;
        for (sums, added) in [(&mut self.r, &added.r), (&mut self.error, &added.error), (&mut self.table, &added.table)]
        {
            sums.iter_mut().zip(added).for_each(|(sum, v)| *sum += v);
        }
    }

    /// Sums over the chosen `columns` of `data` and `prediction` (n_samples x n_targets), which are finite.
    pub fn of(
        data: ArrayView2<'_, f32>,
        prediction: ArrayView2<'_, f32>,
        columns: &[usize],
        block_tr: usize,
        layout: Option<&Layout>,
    ) -> Self {
        let (data, prediction) = (gathered(data, columns), gathered(prediction, columns));
        let (measured, predicted) = (Columns::of(&data), Columns::of(&prediction));
        let n_values = layout.map_or(0, Layout::n_values);
        let mut sums = Self::zero(data.nrows().div_ceil(block_tr), n_values);

        let with_error: Vec<usize> = (0..columns.len()).filter(|&j| !measured.is_constant(j)).collect();
        let with_r: Vec<usize> = with_error.iter().copied().filter(|&j| !predicted.is_constant(j)).collect();
        (sums.n_with_r, sums.n_with_error) = (with_r.len(), with_error.len());
        let weights: Vec<f64> = with_error.iter().map(|&j| measured.power(j).recip()).collect();
        for (t, (y, p)) in data.outer_iter().zip(prediction.outer_iter()).enumerate() {
            let of_target = |(&j, weight): (&usize, &f64)| {
                let error = f64::from(y[j]) - f64::from(p[j]);
                error * error * weight
            };
            sums.error[t / block_tr] += with_error.iter().zip(&weights).map(of_target).sum::<f64>();
        }

        let (data, prediction) = (unit(&data, &measured, &with_r), unit(&prediction, &predicted, &with_r));
        for (t, (y, p)) in data.outer_iter().zip(prediction.outer_iter()).enumerate() {
            sums.r[t / block_tr] += y.iter().zip(p).map(|(y, p)| y * p).sum::<f64>();
        }
        if let Some(layout) = layout
            && !with_r.is_empty()
        {
            layout.add(&data, &prediction, &mut sums.table);
        }
        sums
    }
}

/// The chosen columns, read row by row: columns one by one would touch every line of memory as often.
fn gathered(block: ArrayView2<'_, f32>, columns: &[usize]) -> Array2<f32> {
    let mut chosen = Array2::zeros((block.nrows(), columns.len()));
    for (mut to, from) in chosen.outer_iter_mut().zip(block.outer_iter()) {
        to.iter_mut().zip(columns).for_each(|(to, &column)| *to = from[column]);
    }
    chosen
}

/// The chosen columns, centred and of unit norm, row by row.
fn unit(block: &Array2<f32>, columns: &Columns, chosen: &[usize]) -> Array2<f64> {
    let means = column_means(block.view());
    let factors: Vec<f64> = chosen.iter().map(|&j| columns.power(j).sqrt().recip()).collect();
    Array2::from_shape_fn((block.nrows(), chosen.len()), |(t, k)| {
        let j = chosen[k];
        (f64::from(block[[t, j]]) - means[j]) * factors[k]
    })
}
