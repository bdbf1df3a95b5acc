//! The paths of a block of targets along descending penalties, followed in step.
//!
//! Owns screening and the optimality check over all features; the descent on a working set is in `working.rs`.

use ndarray::{Array2, ArrayView2, Axis};

use super::LassoOptions;
use super::features::Features;
use super::working::Working;
use crate::math::blas::matmul;
use crate::math::scores::CONSTANT_SHARE;

/// Features that may join a working set at once when products are not formed ahead, at least; else as many as are in the
/// model. What is left out joins later if it must.
const FEWEST_TO_JOIN: usize = 64;

/// Some targets on the samples that are fitted.
pub(super) struct Block {
    /// Centred targets (n_samples x n_block), kept only where gradients need residuals.
    values: Option<Array2<f64>>,
    /// What was subtracted (n_block).
    pub mean: Vec<f64>,
    pub targets: Vec<Target>,
}

/// Where the path of one target has come to.
pub(super) struct Target {
    pub working: Working,
    /// Whether the last step closed its gap.
    pub is_converged: bool,
    /// `||y||^2 / n`
    power: f64,
    /// The penalty of the last step; infinite at the empty model.
    alpha: f64,
    /// `x_j'y / n` (n_features).
    correlations: Vec<f64>,
    /// `x_j'(y - X b) / n` at the last step (n_features).
    gradients: Vec<f64>,
    /// Whether a feature is in the working set (n_features).
    is_working: Vec<bool>,
}

impl Block {
    /// Places targets (all samples x n_block) at their empty models.
    pub fn of(features: &Features, y: ArrayView2<'_, f32>) -> Self {
        let mut values = y.select(Axis(0), &features.rows).mapv(f64::from);
        let n = features.n_samples();
        let mut mean = vec![0.0; y.ncols()];
        for (mut column, mean) in values.columns_mut().into_iter().zip(&mut mean) {
            let raw_power = column.dot(&column);
            if features.intercept {
                *mean = column.sum() / n;
                column.mapv_inplace(|v| v - *mean);
            }
            // A path down the rounding of a constant would never close its gap.
            if column.dot(&column) <= CONSTANT_SHARE * raw_power {
                column.fill(0.0);
            }
        }
        let correlations = matmul(features.columns.view(), values.view());
        let targets = correlations
            .columns()
            .into_iter()
            .zip(values.columns())
            .map(|(correlations, values)| {
                let correlations: Vec<f64> = correlations.iter().map(|q| q / n).collect();
                Target {
                    working: Working::default(),
                    is_converged: true,
                    power: values.dot(&values) / n,
                    alpha: f64::INFINITY,
                    gradients: correlations.clone(),
                    is_working: vec![false; correlations.len()],
                    correlations,
                }
            })
            .collect();
        Self { values: features.gram().is_none().then_some(values), mean, targets }
    }

    /// Gradients of all features for the targets `pending`.
    fn update_gradients(&mut self, features: &Features, pending: &[usize]) {
        if let Some(gram) = features.gram() {
            for &index in pending {
                let target = &mut self.targets[index];
                target.gradients.copy_from_slice(&target.correlations);
                for (feature, b) in target.working.nonzero() {
                    target.gradients.iter_mut().zip(gram.row(feature)).for_each(|(g, product)| *g -= b * product);
                }
            }
            return;
        }
        let values = self.values.as_ref().expect("kept where products are not formed ahead");
        let mut residuals = Array2::zeros((pending.len(), values.nrows()));
        for (mut residual, &index) in residuals.outer_iter_mut().zip(pending) {
            residual.assign(&values.column(index));
            for (feature, b) in self.targets[index].working.nonzero() {
                residual.scaled_add(-b, &features.columns.row(feature));
            }
        }
        let gradients = matmul(residuals.view(), features.columns.t());
        for (row, &index) in gradients.outer_iter().zip(pending) {
            let n = features.n_samples();
            self.targets[index].gradients.iter_mut().zip(row).for_each(|(to, g)| *to = g / n);
        }
    }
}

impl Target {
    /// Largest gradient in size; at the empty model the smallest penalty that keeps it empty.
    pub fn steepest(&self) -> f64 {
        self.gradients.iter().fold(0.0, |m: f64, g| m.max(g.abs()))
    }

    /// Lets the features whose gradient exceeds `threshold` join, steepest first; `false` when there is none.
    fn join(&mut self, features: &Features, threshold: f64) -> bool {
        let mut joining: Vec<usize> = (0..self.gradients.len())
            .filter(|&j| !self.is_working[j] && features.curvature[j] > 0.0 && self.gradients[j].abs() > threshold)
            .collect();
        if features.gram().is_none() {
            let most = self.working.nonzero().count().max(FEWEST_TO_JOIN);
            if joining.len() > most {
                joining.sort_by(|&a, &b| self.gradients[b].abs().total_cmp(&self.gradients[a].abs()).then(a.cmp(&b)));
                joining.truncate(most);
            }
        }
        for &feature in &joining {
            self.is_working[feature] = true;
            self.working.join(feature, self.correlations[feature], features);
        }
        !joining.is_empty()
    }

    /// The gap at which a working set is done: half of the tolerance is left to the features outside.
    fn smallest_gap(&self, options: &LassoOptions) -> f64 {
        0.5 * options.tolerance * self.power
    }

    /// Chooses the working set for the penalty `alpha`.
    fn screen(&mut self, features: &Features, alpha: f64, options: &LassoOptions) {
        if !options.screening {
            for feature in 0..self.is_working.len() {
                if !self.is_working[feature] && features.curvature[feature] > 0.0 {
                    self.is_working[feature] = true;
                    self.working.join(feature, self.correlations[feature], features);
                }
            }
            return;
        }
        if self.working.features.len() > 2 * self.working.nonzero().count() + FEWEST_TO_JOIN {
            self.working.features.iter().for_each(|&feature| self.is_working[feature] = false);
            self.working.prune();
            self.working.features.iter().for_each(|&feature| self.is_working[feature] = true);
        }
        let previous = if self.alpha.is_finite() { self.alpha } else { self.steepest().max(alpha) };
        // Where the step is long the rule keeps every feature; those above half the penalty are enough to begin with.
        self.join(features, (2.0 * alpha - previous).max(0.5 * alpha));
    }
}

/// Share of the whole gap that a descent on the working set leaves before all features are checked again.
///
/// Closing the gap of a working set that lacks features would be wasted.
const GAP_LEFT: f64 = 0.3;

/// Takes every target to its next penalty (n_block); an infinite one leaves the model empty.
pub(super) fn follow(block: &mut Block, features: &Features, alphas: &[f64], options: &LassoOptions) {
    // Targets under way, each with the gap to which its working set is to be brought.
    let mut pending = Vec::new();
    for (index, (target, &alpha)) in block.targets.iter_mut().zip(alphas).enumerate() {
        if target.working.features.is_empty() && target.steepest() <= alpha {
            target.is_converged = true;
            continue;
        }
        target.screen(features, alpha, options);
        let measure = target.working.measure(target.power);
        let gap = measure.gap(alpha, target.steepest().max(measure.steepest));
        pending.push((index, (GAP_LEFT * gap).max(target.smallest_gap(options))));
    }
    while !pending.is_empty() {
        let mut measures = Vec::with_capacity(pending.len());
        for &(index, gap) in &pending {
            let target = &mut block.targets[index];
            measures.push(target.working.descend(target.power, alphas[index], gap, options.max_sweeps));
        }
        let indices: Vec<usize> = pending.iter().map(|(index, _)| *index).collect();
        block.update_gradients(features, &indices);
        let mut still_pending = Vec::new();
        for (&(index, aim), measure) in pending.iter().zip(&measures) {
            let (target, alpha) = (&mut block.targets[index], alphas[index]);
            let gap = measure.gap(alpha, target.steepest().max(measure.steepest));
            target.is_converged = gap <= options.tolerance * target.power;
            let has_joined = !target.is_converged && target.join(features, alpha);
            let smallest = target.smallest_gap(options);
            let is_given_up = measure.gap(alpha, measure.steepest) > aim || (aim <= smallest && !has_joined);
            if target.is_converged || is_given_up {
                target.alpha = alpha;
            } else {
                let next = if has_joined { (GAP_LEFT * gap).max(smallest) } else { smallest };
                still_pending.push((index, next));
            }
        }
        pending = still_pending;
    }
}
