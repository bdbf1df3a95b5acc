//! Second moments of repeated measurements, column by column, in f64 and in row order.
//!
//! It does not know what a ceiling is; that is in `ceiling.rs`.

use ndarray::{Array2, ArrayView2};

use crate::math::scores::is_constant;
use crate::math::series::column_means;

/// Sums over samples of one block of targets.
pub(super) struct Moments {
    /// Mean of each repeat (n_repeats x n_columns).
    mean: Vec<Vec<f64>>,
    /// `sum_t d_r^2` of each repeat about its mean.
    power: Vec<Vec<f64>>,
    /// `sum_t (sum_{s != r} d_s)^2`
    power_of_others: Vec<Vec<f64>>,
    /// `sum_t d_r sum_{s != r} d_s`
    product_with_others: Vec<Vec<f64>>,
    /// `sum_t (sum_r d_r)^2`
    power_of_sum: Vec<f64>,
    n_samples: usize,
}

impl Moments {
    pub fn of(repeats: &[ArrayView2<'_, f32>]) -> Self {
        let (n_samples, n_columns) = repeats[0].dim();
        let mean: Vec<Vec<f64>> = repeats.iter().map(|repeat| column_means(*repeat)).collect();
        let zeros = || vec![vec![0.0f64; n_columns]; repeats.len()];
        let (mut power, mut power_of_others, mut product_with_others) = (zeros(), zeros(), zeros());
        let mut power_of_sum = vec![0.0f64; n_columns];
        let mut deviation = Array2::<f64>::zeros((repeats.len(), n_columns));
        let mut sum = vec![0.0f64; n_columns];
        for t in 0..n_samples {
            sum.fill(0.0);
            for ((repeat, mean), mut deviation) in repeats.iter().zip(&mean).zip(deviation.outer_iter_mut()) {
                for (((d, sum), &v), mean) in deviation.iter_mut().zip(&mut sum).zip(repeat.row(t)).zip(mean) {
                    *d = f64::from(v) - mean;
                    *sum += *d;
                }
            }
            for (power, sum) in power_of_sum.iter_mut().zip(&sum) {
                *power += sum * sum;
            }
            for (r, deviation) in deviation.outer_iter().enumerate() {
                let sums = power[r].iter_mut().zip(&mut power_of_others[r]).zip(&mut product_with_others[r]);
                for ((((power, of_others), with_others), &d), sum) in sums.zip(deviation).zip(&sum) {
                    let others = sum - d;
                    *power += d * d;
                    *of_others += others * others;
                    *with_others += d * others;
                }
            }
        }
        Self { mean, power, power_of_others, product_with_others, power_of_sum, n_samples }
    }

    pub fn n_repeats(&self) -> usize {
        self.mean.len()
    }

    /// Repeats in which a column does not vary beyond the rounding of f32 about its mean.
    pub fn n_constant_repeats(&self, column: usize) -> usize {
        (0..self.n_repeats()).filter(|&r| self.repeat_is_constant(r, column)).count()
    }

    fn repeat_is_constant(&self, r: usize, column: usize) -> bool {
        is_constant(self.power[r][column], self.mean[r][column], self.n_samples)
    }

    /// `mean_r Var(y_r)`
    pub fn mean_variance(&self, column: usize) -> f64 {
        let power: f64 = self.power.iter().map(|power| power[column]).sum();
        power / self.n_repeats() as f64 / (self.n_samples - 1) as f64
    }

    /// `Var(sum_r y_r)`
    pub fn variance_of_sum(&self, column: usize) -> f64 {
        self.power_of_sum[column] / (self.n_samples - 1) as f64
    }

    /// Whether the sum over repeats varies.
    fn sum_varies(&self, column: usize) -> bool {
        let mean: f64 = self.mean.iter().map(|mean| mean[column]).sum();
        !is_constant(self.power_of_sum[column], mean, self.n_samples)
    }

    /// Mean correlation of a repeat with the mean of the others.
    pub fn reliability(&self, column: usize) -> Option<f64> {
        let all: f64 = self.mean.iter().map(|mean| mean[column]).sum();
        let mut sum = 0.0;
        for r in 0..self.n_repeats() {
            let others = all - self.mean[r][column];
            if self.repeat_is_constant(r, column)
                || is_constant(self.power_of_others[r][column], others, self.n_samples)
            {
                return None;
            }
            let norm = self.power[r][column].sqrt() * self.power_of_others[r][column].sqrt();
            sum += (self.product_with_others[r][column] / norm).clamp(-1.0, 1.0);
        }
        Some(sum / self.n_repeats() as f64)
    }
}

/// Sums over samples of a prediction, and of its products with the sum over repeats.
pub(super) struct PredictionMoments {
    mean: Vec<f64>,
    power: Vec<f64>,
    product: Vec<f64>,
    n_samples: usize,
}

impl PredictionMoments {
    pub fn of(moments: &Moments, repeats: &[ArrayView2<'_, f32>], prediction: ArrayView2<'_, f32>) -> Self {
        let mean = column_means(prediction);
        let (mut power, mut product) = (vec![0.0f64; mean.len()], vec![0.0f64; mean.len()]);
        let mut deviation = vec![0.0f64; mean.len()];
        for (t, row) in prediction.outer_iter().enumerate() {
            for (((d, power), &v), mean) in deviation.iter_mut().zip(&mut power).zip(row).zip(&mean) {
                *d = f64::from(v) - mean;
                *power += *d * *d;
            }
            for (repeat, repeat_mean) in repeats.iter().zip(&moments.mean) {
                let measured = repeat.row(t).into_iter().zip(repeat_mean);
                for ((product, d), (&v, mean)) in product.iter_mut().zip(&deviation).zip(measured) {
                    *product += d * (f64::from(v) - mean);
                }
            }
        }
        Self { mean, power, product, n_samples: prediction.nrows() }
    }

    pub fn varies(&self, column: usize) -> bool {
        !is_constant(self.power[column], self.mean[column], self.n_samples)
    }

    /// Pearson's r with the mean over repeats.
    pub fn pearson(&self, moments: &Moments, column: usize) -> Option<f64> {
        let norm = self.power[column].sqrt() * moments.power_of_sum[column].sqrt();
        (self.varies(column) && moments.sum_varies(column)).then(|| (self.product[column] / norm).clamp(-1.0, 1.0))
    }
}
