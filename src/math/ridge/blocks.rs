//! The steps of a ridge regression that repeat for every block of targets.
//!
//! Owns the cut into blocks and the order of sums; the maps that all blocks share come from `factors.rs`.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Zip};
use rayon::prelude::*;

use super::factors::{FoldMap, FullMap};
use super::inverse::Inverses;
use super::moments::Moments;
use super::{CvScore, Full, Placed, PlacedSamples, Ridge, TARGET_BLOCK};
use crate::math::products::Products;
use crate::math::scores::{Columns, column_block};
use crate::math::series::column_means;

/// What a refit was asked for, each where it was.
#[derive(Default)]
pub(super) struct Refit {
    pub coefficients: Option<Array2<f32>>,
    pub intercepts: Option<Vec<f32>>,
    pub dual_coefficients: Option<Array2<f32>>,
    pub prediction: Option<Array2<f32>>,
}

/// The rows `rows` of a block of targets, stored row by row.
pub(in crate::math) fn gather(y: ArrayView2<'_, f32>, rows: &[usize]) -> Array2<f32> {
    let mut part = Array2::zeros((rows.len(), y.ncols()));
    for (mut to, &from) in part.outer_iter_mut().zip(rows) {
        to.assign(&y.row(from));
    }
    part
}

/// The targets fitted on, centred if the fit has an intercept, and what was subtracted from each.
fn gather_train(y: ArrayView2<'_, f32>, rows: &[usize], intercept: bool) -> (Array2<f32>, Vec<f64>) {
    let mut part = gather(y, rows);
    if !intercept {
        return (part, vec![0.0; y.ncols()]);
    }
    let mean = column_means(part.view());
    subtract_from_rows(&mut part, &mean);
    (part, mean)
}

/// Takes the mean of each column (n_columns) off every row.
pub(in crate::math) fn subtract_from_rows(matrix: &mut Array2<f32>, mean: &[f64]) {
    for mut row in matrix.outer_iter_mut() {
        Zip::from(&mut row).and(mean).for_each(|v, m| *v = (f64::from(*v) - m) as f32);
    }
}

impl<P: Products> Ridge<P> {
    fn product(&self, a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut out = Array2::zeros((a.nrows(), b.ncols()));
        self.products.multiply(a, b, out.view_mut());
        out
    }

    /// Mean held-out score over folds, for every penalty and target (n_alphas x n_targets).
    pub(super) fn cross_validate(&self, y: ArrayView2<'_, f32>) -> Array2<Option<f32>> {
        let mut scores = Array2::from_elem((self.options.alphas.len(), y.ncols()), None);
        scores.axis_chunks_iter_mut(Axis(1), TARGET_BLOCK).into_par_iter().enumerate().for_each(|(block, mut out)| {
            let y = column_block(y, block * TARGET_BLOCK, out.ncols());
            let mut sums = Array2::<f64>::zeros(out.dim());
            let mut n_scored = vec![0usize; out.ncols()];
            for fold in &self.folds {
                self.score_fold(y, fold, &mut sums, &mut n_scored);
            }
            for ((alpha, target), mean) in out.indexed_iter_mut() {
                let n = n_scored[target];
                *mean = (n > 0).then(|| (sums[[alpha, target]] / n as f64) as f32);
            }
        });
        scores
    }

    fn score_fold(&self, y: ArrayView2<'_, f32>, map: &FoldMap, sums: &mut Array2<f64>, n_scored: &mut [usize]) {
        let (train_y, train_mean) = gather_train(y, &map.fold.train, self.options.intercept);
        // Held-out data are seen relative to the fitted mean, where the prediction without intercept lives.
        let mut held_out = gather(y, &map.fold.validation);
        subtract_from_rows(&mut held_out, &train_mean);
        let columns = Columns::of(&held_out);
        let projected = map.projector.as_ref().map(|projector| self.product(projector.t(), train_y.view()));
        let predictions = self.product(map.maps.view(), projected.as_ref().unwrap_or(&train_y).view());
        let moments = Moments::of(&held_out, &predictions, map.weights.ncols());
        for target in 0..y.ncols() {
            if columns.is_constant(target) {
                continue;
            }
            n_scored[target] += 1;
            for (alpha, weights) in map.weights.rows().into_iter().enumerate() {
                let (with_data, with_itself) = moments.combine(target, weights.as_slice().expect("stored by row"));
                sums[[alpha, target]] += match self.options.score {
                    CvScore::R2 => 1.0 - (moments.data[target] - 2.0 * with_data + with_itself) / columns.power(target),
                    // A prediction that does not vary scores 0.
                    CvScore::Pearson if with_itself <= 0.0 => 0.0,
                    CvScore::Pearson => {
                        (with_data / (with_itself.sqrt() * columns.power(target).sqrt())).clamp(-1.0, 1.0)
                    }
                };
            }
        }
    }

    /// Coefficients, intercepts and test predictions with the chosen penalties, each where it was asked for.
    pub(super) fn refit(
        &self,
        y: ArrayView2<'_, f32>,
        best_alpha: &[Option<usize>],
        test: Option<&PlacedSamples>,
    ) -> Refit {
        let n_test = test.map_or(0, PlacedSamples::n_samples);
        let (n_features, n_samples) = (self.n_features, self.n_samples);
        let (has_coefficients, has_dual) = (self.options.coefficients, self.has_dual());
        if !has_coefficients && !has_dual && test.is_none() {
            return Refit::default();
        }
        let mut coefficients = Array2::<f32>::zeros((if has_coefficients { n_features } else { 0 }, y.ncols()));
        let mut dual = Array2::<f32>::zeros((if has_dual { n_samples } else { 0 }, y.ncols()));
        let mut prediction = Array2::<f32>::zeros((n_test, y.ncols()));
        let mut intercepts = vec![0.0f32; y.ncols()];
        coefficients
            .axis_chunks_iter_mut(Axis(1), TARGET_BLOCK)
            .into_par_iter()
            .zip(dual.axis_chunks_iter_mut(Axis(1), TARGET_BLOCK))
            .zip(prediction.axis_chunks_iter_mut(Axis(1), TARGET_BLOCK))
            .zip(intercepts.par_chunks_mut(TARGET_BLOCK))
            .enumerate()
            .for_each(|(block, (((coefficients, dual), prediction), intercepts))| {
                let start = block * TARGET_BLOCK;
                let targets = column_block(y, start, intercepts.len());
                let (train_y, mean) = gather_train(targets, self.full.rows(), self.options.intercept);
                let best = &best_alpha[start..start + intercepts.len()];
                let mut out = RefitBlock { coefficients, dual, prediction };
                match &self.full {
                    Full::Spectral(full) => self.refit_spectral(full, &train_y, best, test, &mut out),
                    Full::Inverse(full) => self.refit_inverse(full, &train_y, best, test, &mut out),
                }
                for mut row in out.prediction.outer_iter_mut() {
                    row.iter_mut().zip(&mean).for_each(|(p, m)| *p = (f64::from(*p) + m) as f32);
                }
                if has_coefficients {
                    let mut offset = mean;
                    for (row, m) in out.coefficients.outer_iter().zip(self.full.feature_mean()) {
                        offset.iter_mut().zip(row).for_each(|(o, &b)| *o -= m * f64::from(b));
                    }
                    intercepts.iter_mut().zip(&offset).for_each(|(b0, &o)| *b0 = o as f32);
                }
            });
        Refit {
            coefficients: has_coefficients.then_some(coefficients),
            intercepts: has_coefficients.then_some(intercepts),
            dual_coefficients: has_dual.then_some(dual),
            prediction: test.map(|_| prediction),
        }
    }

    fn refit_spectral(
        &self,
        full: &FullMap,
        train_y: &Array2<f32>,
        best: &[Option<usize>],
        test: Option<&PlacedSamples>,
        out: &mut RefitBlock<'_>,
    ) {
        let mut weighted = self.product(full.projector.t(), train_y.view());
        for (component, mut row) in weighted.outer_iter_mut().enumerate() {
            for (value, best) in row.iter_mut().zip(best) {
                // A target without a penalty has coefficients of 0.
                *value *= best.map_or(0.0, |alpha| full.weights[[alpha, component]]);
            }
        }
        if let Some(basis) = &full.to_dual {
            self.products.multiply(basis.view(), weighted.view(), out.dual.view_mut());
        }
        if let Some(basis) = &full.to_coefficients {
            self.products.multiply(basis.view(), weighted.view(), out.coefficients.view_mut());
        }
        if let Some(PlacedSamples(Placed::Spectral(basis))) = test {
            self.products.multiply(basis.view(), weighted.view(), out.prediction.view_mut());
        }
    }

    /// Targets of a block that share a penalty go through its maps together.
    fn refit_inverse(
        &self,
        full: &Inverses,
        train_y: &Array2<f32>,
        best: &[Option<usize>],
        test: Option<&PlacedSamples>,
        out: &mut RefitBlock<'_>,
    ) {
        for alpha in 0..self.options.alphas.len() {
            let columns: Vec<usize> = (0..best.len()).filter(|&target| best[target] == Some(alpha)).collect();
            if columns.is_empty() {
                continue;
            }
            let chosen = train_y.select(Axis(1), &columns).as_standard_layout().into_owned();
            let scatter = |map: &Array2<f32>, to: &mut ArrayViewMut2<'_, f32>| {
                let product = self.product(map.view(), chosen.view());
                for (from, mut to) in product.rows().into_iter().zip(to.rows_mut()) {
                    from.iter().zip(&columns).for_each(|(&value, &column)| to[column] = value);
                }
            };
            if let Some(inverse) = full.inverses.get(alpha) {
                scatter(inverse, &mut out.dual);
            }
            if let Some(PlacedSamples(Placed::PerPenalty(maps))) = test {
                scatter(&maps[alpha], &mut out.prediction);
            }
        }
    }
}

/// Where the results of a block go; what was not asked for has no rows.
struct RefitBlock<'a> {
    coefficients: ArrayViewMut2<'a, f32>,
    dual: ArrayViewMut2<'a, f32>,
    prediction: ArrayViewMut2<'a, f32>,
}
