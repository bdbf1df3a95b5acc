//! Sparse dictionary of time courses: patterns that many units share.
//!
//! Owns online dictionary learning. The coding step is [`super::lasso`]; carrying patterns to new time points is
//! [`super::projection`]. It does not know models or layers: a unit is a column.

mod init;
mod update;

use ndarray::{Array2, ArrayView2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::init::first_patterns;
use self::update::Statistics;
use super::MathError;
use super::blas::matmul;
use super::error::require_finite;
use super::lasso::{Descent, LASSO_MAX_SWEEPS, LASSO_TOLERANCE, require_penalty};

/// Duality gap, relative to a unit's power, at which a unit's codes are good enough for one step of learning.
const LEARNING_TOLERANCE: f64 = 1e-6;

/// Where the patterns start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DictionaryInit {
    /// The strongest principal components of the units; further patterns are drawn as by `spread`.
    #[default]
    Components,
    /// Units drawn one by one with probability in proportion to what those drawn before leave unexplained
    /// (Arthur and Vassilvitskii 2007, with 1 - r^2 as the distance).
    Spread,
    /// Units drawn at random.
    Random,
}

/// How a dictionary is learned.
#[derive(Debug, Clone, PartialEq)]
pub struct DictionaryOptions {
    /// Number of patterns K.
    pub n_patterns: usize,
    /// Sparsity penalty for columns of unit norm: near 0 dense codes, from 1 on no codes at all for z-scored columns.
    pub penalty: f64,
    /// Where the patterns start.
    pub init: DictionaryInit,
    /// Units coded between two updates of the patterns.
    pub batch_size: usize,
    /// Passes over all units after which learning stops.
    pub max_epochs: usize,
    /// Learning stops when a pass lowers the objective by less than this share of it.
    pub tolerance: f64,
    /// Seed of the initial draw and of the order of units.
    pub seed: u64,
}

impl Default for DictionaryOptions {
    fn default() -> Self {
        Self {
            n_patterns: 32,
            penalty: 0.1,
            init: DictionaryInit::default(),
            batch_size: 256,
            max_epochs: 200,
            tolerance: 1e-5,
            seed: 0,
        }
    }
}

/// A caveat of a learned dictionary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DictionaryWarning {
    /// The last pass still lowered the objective by more than the tolerance.
    NotConverged {
        /// Passes made.
        n_epochs: usize,
        /// Share of the objective by which the last pass lowered it; `None` after a single pass.
        relative_change: Option<f64>,
    },
    /// This many units were coded less exactly than asked for.
    CodesNotConverged {
        /// How many.
        n_units: usize,
    },
    /// No unit uses these patterns; fewer patterns or a smaller penalty would do.
    UnusedPatterns {
        /// Their indices.
        patterns: Vec<usize>,
    },
}

/// A learned dictionary, `S ~ D C`.
#[derive(Debug, Clone, PartialEq)]
pub struct Dictionary {
    /// Patterns D (n_tr x n_patterns), each of norm 1 at most, by descending power of their codes.
    pub patterns: Array2<f32>,
    /// Codes C (n_patterns x n_units), each row summing to a positive number unless it is 0.
    pub codes: Array2<f32>,
    /// The lambda of the objective in the units of the series: `penalty` times the root mean square norm of its columns.
    pub lambda: f64,
    /// The objective after each pass over the units, and at the end once more with the final codes.
    pub objective: Vec<f64>,
    /// Caveats of this dictionary.
    pub warnings: Vec<DictionaryWarning>,
}

/// Learns patterns of `series` (n_tr x n_units), whose columns should be z-scored.
///
/// Minimises over D (n_tr x n_patterns) and C (n_patterns x n_units)
///
/// ```text
/// sum_i 1/2 ||s_i - D c_i||^2 + lambda ||c_i||_1        subject to ||d_k|| <= 1
/// ```
///
/// (Mairal 2009, eq. 3; Olshausen and Field 1996). Scaling the series by `a` scales lambda and C by `a`; `penalty` is
/// therefore stated for columns of unit norm and `lambda = penalty sqrt(mean_i ||s_i||^2)`, so that a penalty
/// keeps its meaning from 200 to 4000 time points.
///
/// Minibatches of units in a seeded random order: code them with the present patterns, then update the patterns by one
/// pass of block coordinate descent on the sufficient statistics `A = C C'` and `B = S C'` (Mairal 2009, algorithms 1 and
/// 2). Since the units are finite in number, a unit's new codes replace its old ones in A and B (ibid. section 3.4), so
/// that from the second pass on every step lowers the objective. A pattern without codes at the end of a pass is
/// replaced by the unit that is explained worst. Learning stops on [`DictionaryOptions::tolerance`]; then all units are
/// coded once more, to a duality gap of [`LASSO_TOLERANCE`].
///
/// The problem is not convex: another seed may find other patterns of a similar objective. `(d, c) -> (-d, -c)` changes
/// nothing; the sign is fixed by `sum_i C_ki > 0`. Products with the series are f32, the coordinate descents f64.
///
/// # Errors
/// [`MathError::Empty`] for no patterns or time points, [`MathError::TooMany`] for more patterns than units that are not
/// 0, [`MathError::Parameter`] for a penalty or tolerance that is not positive or a batch or epoch count of 0,
/// [`MathError::NotFinite`].
pub fn learn_dictionary(series: ArrayView2<'_, f32>, options: &DictionaryOptions) -> Result<Dictionary, MathError> {
    check(series, options)?;
    let norm = (power_of(series) / series.ncols() as f64).sqrt();
    // Stored unit by unit, so that a minibatch gathers contiguous rows.
    let units = series.t().mapv(|v| (f64::from(v) / norm) as f32).as_standard_layout().into_owned();
    let power: Vec<f64> = units.outer_iter().map(|u| u.iter().map(|&v| f64::from(v).powi(2)).sum()).collect();
    let n_varying = power.iter().filter(|&&p| p > 0.0).count();
    if options.n_patterns > n_varying {
        return Err(MathError::TooMany {
            name: "number of patterns",
            found: options.n_patterns,
            expected: n_varying,
            hint: "there are no more units that vary",
        });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut learning = Learning::start(&units, &power, options, &mut rng)?;
    let mut order: Vec<usize> = (0..units.nrows()).collect();
    let mut objective: Vec<f64> = Vec::new();
    let mut relative_change = f64::INFINITY;
    while objective.len() < options.max_epochs && relative_change > options.tolerance {
        order.shuffle(&mut rng);
        for batch in order.chunks(options.batch_size) {
            learning.step(batch);
        }
        let value = learning.objective();
        if let Some(&previous) = objective.last() {
            relative_change = ((previous - value) / previous).max(0.0);
        }
        objective.push(value);
        if relative_change > options.tolerance {
            learning.replace_unused();
        }
    }
    let mut warnings = Vec::new();
    if relative_change > options.tolerance {
        warnings.push(DictionaryWarning::NotConverged {
            n_epochs: objective.len(),
            relative_change: relative_change.is_finite().then_some(relative_change),
        });
    }
    let n_unconverged = learning.code_all();
    if n_unconverged > 0 {
        warnings.push(DictionaryWarning::CodesNotConverged { n_units: n_unconverged });
    }
    objective.push(learning.objective());
    Ok(finish(learning, norm, objective, options.penalty, warnings))
}

fn check(series: ArrayView2<'_, f32>, options: &DictionaryOptions) -> Result<(), MathError> {
    require_finite("series", series)?;
    require_penalty(options.penalty)?;
    for (what, n) in [("time points", series.nrows()), ("patterns", options.n_patterns)] {
        if n == 0 {
            return Err(MathError::Empty { what });
        }
    }
    for (name, n) in [("batch_size", options.batch_size), ("max_epochs", options.max_epochs)] {
        if n == 0 {
            return Err(MathError::Parameter { name, found: 0.0, expected: "1 or more" });
        }
    }
    if options.tolerance.is_finite() && options.tolerance > 0.0 {
        return Ok(());
    }
    Err(MathError::Parameter { name: "tolerance", found: options.tolerance, expected: "a positive number" })
}

fn power_of(series: ArrayView2<'_, f32>) -> f64 {
    series.outer_iter().map(|row| row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>()).sum()
}

/// The state of learning, for units of mean power 1.
struct Learning<'a> {
    /// Units (n_units x n_tr).
    units: &'a Array2<f32>,
    power: &'a [f64],
    penalty: f64,
    /// Patterns as rows (n_patterns x n_tr).
    patterns: Array2<f64>,
    /// Codes (n_units x n_patterns).
    codes: Array2<f64>,
    /// `||s - D c||^2` of each unit when it was last coded.
    residual_power: Vec<f64>,
    statistics: Statistics,
}

impl<'a> Learning<'a> {
    fn start(
        units: &'a Array2<f32>,
        power: &'a [f64],
        options: &DictionaryOptions,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, MathError> {
        Ok(Self {
            units,
            power,
            penalty: options.penalty,
            codes: Array2::zeros((units.nrows(), options.n_patterns)),
            residual_power: power.to_vec(),
            statistics: Statistics::new(options.n_patterns, units.ncols()),
            patterns: first_patterns(units, power, options, rng)?,
        })
    }

    fn descent(&self, tolerance: f64) -> Descent {
        Descent {
            gram: matmul(self.patterns.view(), self.patterns.t()),
            penalty: self.penalty,
            tolerance,
            max_sweeps: LASSO_MAX_SWEEPS,
        }
    }

    /// Codes one minibatch and updates the patterns.
    fn step(&mut self, batch: &[usize]) {
        let samples = self.units.select(Axis(0), batch);
        let narrow = self.patterns.mapv(|v| v as f32);
        let correlations = matmul(samples.view(), narrow.t()).mapv(f64::from);
        let power: Vec<f64> = batch.iter().map(|&unit| self.power[unit]).collect();
        let old = self.codes.select(Axis(0), batch);
        let mut new = old.clone();
        let ends = self.descent(LEARNING_TOLERANCE).run_all(correlations.view(), &power, &mut new);
        for (row, (&unit, end)) in batch.iter().zip(&ends).enumerate() {
            self.codes.row_mut(unit).assign(&new.row(row));
            self.residual_power[unit] = end.residual_power;
        }
        self.statistics.replace(samples.view(), &old, &new);
        self.statistics.update_patterns(&mut self.patterns);
    }

    /// Codes all units to the final tolerance; returns how many did not get there.
    fn code_all(&mut self) -> usize {
        let narrow = self.patterns.mapv(|v| v as f32);
        let correlations = matmul(self.units.view(), narrow.t()).mapv(f64::from);
        let old = self.codes.clone();
        let ends = self.descent(LASSO_TOLERANCE).run_all(correlations.view(), self.power, &mut self.codes);
        self.statistics.replace(self.units.view(), &old, &self.codes);
        ends.iter().filter(|end| !end.is_converged).count()
    }

    /// The objective at the present patterns and codes, from the sufficient statistics.
    fn objective(&self) -> f64 {
        let power: f64 = self.power.iter().sum();
        let l1: f64 = self.codes.iter().map(|c| c.abs()).sum();
        0.5 * (power + self.statistics.fit_power(&self.patterns)) + self.penalty * l1
    }

    fn unused(&self) -> Vec<usize> {
        (0..self.codes.ncols()).filter(|&k| self.codes.column(k).iter().all(|&c| c == 0.0)).collect()
    }

    /// Puts the worst explained units, worst first, in place of patterns that no unit uses.
    fn replace_unused(&mut self) {
        let unused = self.unused();
        if unused.is_empty() {
            return;
        }
        let mut worst: Vec<usize> = (0..self.power.len()).filter(|&i| self.power[i] > 0.0).collect();
        worst.sort_by(|&a, &b| self.residual_power[b].total_cmp(&self.residual_power[a]).then(a.cmp(&b)));
        for (&k, &unit) in unused.iter().zip(&worst) {
            let norm = self.power[unit].sqrt();
            let replacement = self.units.row(unit).mapv(|v| f64::from(v) / norm);
            self.patterns.row_mut(k).assign(&replacement);
            self.statistics.forget(k);
        }
    }
}

/// Orders patterns, fixes their signs and returns to the units of the series.
fn finish(
    learning: Learning<'_>,
    norm: f64,
    mut objective: Vec<f64>,
    penalty: f64,
    mut warnings: Vec<DictionaryWarning>,
) -> Dictionary {
    let Learning { patterns, codes, .. } = learning;
    let n_patterns = patterns.nrows();
    let strength: Vec<f64> = (0..n_patterns).map(|k| codes.column(k).iter().map(|c| c * c).sum()).collect();
    let mut order: Vec<usize> = (0..n_patterns).collect();
    order.sort_by(|&a, &b| strength[b].total_cmp(&strength[a]).then(a.cmp(&b)));
    let sign: Vec<f64> = order.iter().map(|&k| if codes.column(k).sum() < 0.0 { -1.0 } else { 1.0 }).collect();
    let unused: Vec<usize> = (0..n_patterns).filter(|&k| strength[order[k]] == 0.0).collect();
    if !unused.is_empty() {
        warnings.push(DictionaryWarning::UnusedPatterns { patterns: unused });
    }
    objective.iter_mut().for_each(|value| *value *= norm * norm);
    // Negating a code that is 0 would store -0, a second spelling of the same number.
    let signed = |value: f64, k: usize| (sign[k] * value + 0.0) as f32;
    Dictionary {
        patterns: Array2::from_shape_fn((patterns.ncols(), n_patterns), |(t, k)| signed(patterns[[order[k], t]], k)),
        codes: Array2::from_shape_fn((n_patterns, codes.nrows()), |(k, i)| signed(codes[[i, order[k]]] * norm, k)),
        lambda: penalty * norm,
        objective,
        warnings,
    }
}

#[cfg(test)]
mod tests;
