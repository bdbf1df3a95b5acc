//! Coordinate descent of one target on the features in the running.
//!
//! Owns the working set and the descent on it; which features must join is decided in `path.rs`.

use super::factor::Factor;
use super::features::Features;

/// Sweeps, at least, after which the coefficients that are not 0 are solved for together.
///
/// Single coordinates creep where features are correlated; a joint step lands where they would end as long as no sign
/// changes. With many coefficients as many sweeps come first as cost what the step does.
const SWEEPS_A_JOINT_STEP: usize = 8;

/// What is added to the curvatures of a joint step, as a share of the largest, so that dependent features have one.
const RIDGE_OF_A_JOINT_STEP: f64 = 1e-10;

/// The features in the running of one target, their coefficients and inner products.
#[derive(Debug, Default)]
pub(super) struct Working {
    /// Features in the order in which they joined.
    pub features: Vec<usize>,
    /// Their coefficients.
    coefficients: Vec<f64>,
    /// `x_i'x_j / n`, a row for each.
    gram: Vec<Vec<f64>>,
    /// `x_j'y / n`.
    correlations: Vec<f64>,
    /// `x_j'(y - X b) / n`, kept up to date by every step of the descent.
    gradients: Vec<f64>,
}

/// What the duality gap is made of, beside the gradients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    /// `||y||^2 / n`
    power: f64,
    /// `y'X b / n`
    explained: f64,
    /// `||y - X b||^2 / n`
    residual_power: f64,
    /// `||b||_1`
    l1: f64,
    /// Largest gradient in size.
    pub steepest: f64,
}

impl Measure {
    /// Duality gap with the residual, scaled into the feasible set, as the dual point; `steepest` is that of all features.
    pub fn gap(&self, alpha: f64, steepest: f64) -> f64 {
        let scale = if steepest > alpha { alpha / steepest } else { 1.0 };
        0.5 * self.residual_power * (1.0 + scale * scale) + alpha * self.l1 - scale * (self.power - self.explained)
    }
}

impl Working {
    /// Features whose coefficient is not 0, with it.
    pub fn nonzero(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.features.iter().copied().zip(self.coefficients.iter().copied()).filter(|(_, b)| *b != 0.0)
    }

    /// Lets a feature join with coefficient 0; `correlation` is `x_j'y / n`.
    pub fn join(&mut self, feature: usize, correlation: f64, features: &Features) {
        let mut row: Vec<f64> = self.features.iter().map(|&other| features.product(feature, other)).collect();
        for (other, &product) in self.gram.iter_mut().zip(&row) {
            other.push(product);
        }
        row.push(features.curvature[feature]);
        self.gram.push(row);
        self.features.push(feature);
        self.coefficients.push(0.0);
        self.correlations.push(correlation);
        self.gradients.push(0.0);
    }

    /// Lets features with coefficient 0 go.
    pub fn prune(&mut self) {
        let kept: Vec<bool> = self.coefficients.iter().map(|b| *b != 0.0).collect();
        let mut is_kept = kept.iter();
        self.gram.retain(|_| *is_kept.next().expect("one flag a row"));
        let columns = |values: &mut Vec<f64>| {
            let mut is_kept = kept.iter();
            values.retain(|_| *is_kept.next().expect("one flag an entry"));
        };
        self.gram.iter_mut().for_each(columns);
        [&mut self.coefficients, &mut self.correlations, &mut self.gradients].into_iter().for_each(columns);
        let mut is_kept = kept.iter();
        self.features.retain(|_| *is_kept.next().expect("one flag a feature"));
    }

    /// Sweeps over the working set until its duality gap is at most `gap`, `max_sweeps` times at most.
    pub fn descend(&mut self, power: f64, alpha: f64, gap: f64, max_sweeps: usize) -> Measure {
        self.gradients.copy_from_slice(&self.correlations);
        for (row, &b) in self.gram.iter().zip(&self.coefficients).filter(|(_, b)| **b != 0.0) {
            self.gradients.iter_mut().zip(row).for_each(|(g, product)| *g -= b * product);
        }
        let mut measure = self.measure(power);
        let mut n_sweeps_alone = 0;
        for _ in 0..max_sweeps {
            if measure.gap(alpha, measure.steepest) <= gap {
                break;
            }
            for (j, row) in self.gram.iter().enumerate() {
                let (curvature, b) = (row[j], self.coefficients[j]);
                if curvature <= 0.0 {
                    continue;
                }
                let target = self.gradients[j] + curvature * b;
                let updated = (target.abs() - alpha).max(0.0).copysign(target) / curvature;
                let change = updated - b;
                if change != 0.0 {
                    self.coefficients[j] = if updated == 0.0 { 0.0 } else { updated };
                    self.gradients.iter_mut().zip(row).for_each(|(g, product)| *g -= change * product);
                }
            }
            n_sweeps_alone += 1;
            let n_active = self.nonzero().count();
            if n_sweeps_alone >= SWEEPS_A_JOINT_STEP.max(n_active * n_active / (6 * self.features.len().max(1))) {
                self.step_jointly(alpha);
                n_sweeps_alone = 0;
            }
            measure = self.measure(power);
        }
        measure
    }

    /// Moves all coefficients that are not 0 towards the minimum for their present signs.
    ///
    /// `(G_AA + ridge) step = g_A - alpha sign(b_A)`; where a coefficient would change its sign the step ends there, the
    /// coefficient leaves, and the next step is without it (the feature-sign search of Lee et al. 2006). The objective
    /// falls with every step: the ridge only shortens it, and the signs hold all along.
    fn step_jointly(&mut self, alpha: f64) {
        let mut active: Vec<usize> = (0..self.features.len()).filter(|&j| self.coefficients[j] != 0.0).collect();
        let curvature = active.iter().fold(0.0, |m: f64, &j| m.max(self.gram[j][j]));
        let Some(mut factor) = Factor::of(&active, &self.gram, RIDGE_OF_A_JOINT_STEP * curvature) else { return };
        while !active.is_empty() {
            let mut step: Vec<f64> =
                active.iter().map(|&j| self.gradients[j] - alpha.copysign(self.coefficients[j])).collect();
            factor.solve(&mut step);
            let (mut share, mut leaving) = (1.0, None);
            for (i, &j) in active.iter().enumerate() {
                let b = self.coefficients[j];
                if (b + step[i]) * b <= 0.0 && -b / step[i] < share {
                    (share, leaving) = (-b / step[i], Some(i));
                }
            }
            for (i, &j) in active.iter().enumerate() {
                let change = if leaving == Some(i) { -self.coefficients[j] } else { share * step[i] };
                self.coefficients[j] = if leaving == Some(i) { 0.0 } else { self.coefficients[j] + change };
                self.gradients.iter_mut().zip(&self.gram[j]).for_each(|(g, product)| *g -= change * product);
            }
            match leaving {
                Some(i) => {
                    active.remove(i);
                    factor.remove(i);
                }
                None => return,
            }
        }
    }

    /// Measures the present coefficients, by gradients that the last descent or [`Working::join`] left.
    pub fn measure(&self, power: f64) -> Measure {
        let (mut explained, mut fitted_power, mut l1, mut steepest) = (0.0, 0.0, 0.0, 0.0f64);
        for ((&b, &q), &g) in self.coefficients.iter().zip(&self.correlations).zip(&self.gradients) {
            explained += q * b;
            fitted_power += (q - g) * b;
            l1 += b.abs();
            steepest = steepest.max(g.abs());
        }
        let residual_power = (power - 2.0 * explained + fitted_power).max(0.0);
        Measure { power, explained, residual_power, l1, steepest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removing_a_feature_leaves_the_working_set_as_if_it_had_never_joined() {
        let x = ndarray::Array2::from_shape_fn((9, 4), |(i, j)| ((i * i + 3 * j * i + j) as f32 * 0.7).sin());
        let options = crate::math::lasso_cv::LassoOptions::default();
        let features = Features::of(x.view(), &(0..9).collect::<Vec<_>>(), &options);
        let (mut working, mut expected) = (Working::default(), Working::default());
        for (feature, b) in [(3, 0.5), (1, 0.0), (0, -2.0)] {
            working.join(feature, feature as f64, &features);
            *working.coefficients.last_mut().unwrap() = b;
            if b != 0.0 {
                expected.join(feature, feature as f64, &features);
                *expected.coefficients.last_mut().unwrap() = b;
            }
        }
        working.prune();
        assert_eq!((working.features, working.gram), (expected.features, expected.gram));
        assert_eq!((working.coefficients, working.correlations), (expected.coefficients, expected.correlations));
    }
}
