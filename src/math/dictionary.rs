//! Sparse dictionary of time courses: patterns that many units share.
//!
//! Owns online dictionary learning. The coding step is [`super::lasso`]; carrying patterns to new time points is
//! [`super::projection`]. It does not know models or layers: a unit is a column.

mod init;
mod learning;
mod units;
mod update;

use ndarray::{Array2, ArrayView2};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::init::first_patterns;
use self::learning::Learning;
use self::units::Units;
use super::MathError;
use super::error::{require_finite, require_shape};
use super::lasso::require_penalty;

/// Passes after each of which minibatches double: the patterns move less and less, and an update of them costs the same
/// after few units as after many.
const GROWTH_PASSES: usize = 2;

/// Where the patterns start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DictionaryInit {
    /// The strongest principal components of the units, found by random projection; patterns beyond as many as the units
    /// span are drawn as by `spread`.
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
    /// Number of patterns K; it may exceed the number of time points, but not that of units that vary.
    pub n_patterns: usize,
    /// Sparsity penalty for columns of unit norm: near 0 dense codes, from 1 on no codes at all for z-scored columns.
    pub penalty: f64,
    /// Where the patterns start.
    pub init: DictionaryInit,
    /// Units coded between two updates of the patterns in the first pass; twice as many in the second, four times as many
    /// from then on.
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
    /// The objective after each pass over the units, of the patterns and codes as they then are, and at the end once more
    /// with the final codes.
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
/// 2; here with overshooting steps). Since the units are finite in number, a unit's new codes replace its old ones in A
/// and B (ibid. section 3.4), so that from the second pass on every step lowers the objective. A pattern without codes at
/// the end of a pass is replaced by the unit that is explained worst. Learning stops on [`DictionaryOptions::tolerance`];
/// then all units are coded once more, to a duality gap of [`LASSO_TOLERANCE`](super::lasso::LASSO_TOLERANCE).
///
/// The problem is not convex: another seed may find other patterns of a similar objective. `(d, c) -> (-d, -c)` changes
/// nothing; the sign is fixed by `sum_i C_ki > 0`. Columns that are 0 get no codes, but count in the mean that sets
/// lambda; columns that repeat get the same codes up to the tolerance. Products with the series are f32; the descents and
/// all that is carried from one minibatch to the next are f64.
///
/// # Errors
/// [`MathError::Empty`] for no patterns or time points, [`MathError::TooMany`] for more patterns than units that are not
/// 0, [`MathError::Parameter`] for a penalty or tolerance that is not positive or a batch or epoch count of 0,
/// [`MathError::NotFinite`].
pub fn learn_dictionary(series: ArrayView2<'_, f32>, options: &DictionaryOptions) -> Result<Dictionary, MathError> {
    let units = checked(series, options)?;
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let patterns = first_patterns(&units, options, &mut rng)?;
    let learning = Learning::start(&units, patterns, options.penalty);
    Ok(learn(learning, None, &mut rng, options))
}

/// Learns patterns as [`learn_dictionary`] does, from `patterns` (n_tr x n_patterns) instead of [`DictionaryOptions::init`].
///
/// All units are coded with the given patterns before the first of them moves, so every step lowers the objective from
/// where they stand, and the first pass is compared with them: from patterns that were learned before, to the same
/// tolerance, a pass or two suffice. Patterns longer than 1 are scaled to length 1; one that is 0 is replaced as an
/// unused one is.
///
/// # Errors
/// As [`learn_dictionary`], and [`MathError::Shape`] when `patterns` is not n_tr x [`DictionaryOptions::n_patterns`],
/// [`MathError::NotFinite`] for its entries.
pub fn learn_dictionary_from(
    series: ArrayView2<'_, f32>,
    patterns: ArrayView2<'_, f32>,
    options: &DictionaryOptions,
) -> Result<Dictionary, MathError> {
    require_shape("rows of the patterns", patterns.nrows(), series.nrows(), "patterns and series share time points")?;
    require_shape("columns of the patterns", patterns.ncols(), options.n_patterns, "options name their number")?;
    require_finite("patterns", patterns)?;
    let units = checked(series, options)?;
    let mut rows = patterns.t().as_standard_layout().into_owned();
    for mut row in rows.outer_iter_mut() {
        let norm = row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        if norm > 1.0 {
            row.mapv_inplace(|v| (f64::from(v) / norm) as f32);
        }
    }
    let mut learning = Learning::start(&units, rows, options.penalty);
    learning.take_in_all();
    let start = learning.objective();
    learning.replace_unused();
    Ok(learn(learning, Some(start), &mut ChaCha8Rng::seed_from_u64(options.seed), options))
}

/// Passes over the units until one lowers the objective, `start` before the first, by less than the tolerance.
fn learn(
    mut learning: Learning<'_>,
    start: Option<f64>,
    rng: &mut ChaCha8Rng,
    options: &DictionaryOptions,
) -> Dictionary {
    let mut order: Vec<usize> = (0..learning.units.n_units()).collect();
    let mut objective: Vec<f64> = Vec::new();
    let mut relative_change = f64::INFINITY;
    while objective.len() < options.max_epochs && relative_change > options.tolerance {
        order.shuffle(rng);
        let batch_size = options.batch_size.saturating_mul(1 << objective.len().min(GROWTH_PASSES));
        for batch in order.chunks(batch_size) {
            learning.step(batch);
        }
        let value = learning.objective();
        if let Some(&previous) = objective.last().or(start.as_ref()) {
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
    let (final_objective, n_unconverged) = learning.finish();
    if n_unconverged > 0 {
        warnings.push(DictionaryWarning::CodesNotConverged { n_units: n_unconverged });
    }
    objective.push(final_objective);
    finish(learning, objective, warnings)
}

/// The units, once they and the options are known to allow learning.
fn checked(series: ArrayView2<'_, f32>, options: &DictionaryOptions) -> Result<Units, MathError> {
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
    if !(options.tolerance.is_finite() && options.tolerance > 0.0) {
        let found = options.tolerance;
        return Err(MathError::Parameter { name: "tolerance", found, expected: "a positive number" });
    }
    let units = Units::new(series)?;
    let n_varying = units.varying().len();
    if options.n_patterns > n_varying {
        return Err(MathError::TooMany {
            name: "number of patterns",
            found: options.n_patterns,
            expected: n_varying,
            hint: "there are no more units that vary",
        });
    }
    Ok(units)
}

/// Orders patterns, fixes their signs and returns to the units of the series.
fn finish(learning: Learning<'_>, mut objective: Vec<f64>, mut warnings: Vec<DictionaryWarning>) -> Dictionary {
    let Learning { units, penalty, patterns, codes, .. } = learning;
    let norm = units.norm;
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
        patterns: Array2::from_shape_fn((patterns.ncols(), n_patterns), |(t, k)| {
            signed(f64::from(patterns[[order[k], t]]), k)
        }),
        codes: Array2::from_shape_fn((n_patterns, codes.nrows()), |(k, i)| signed(codes[[i, order[k]]] * norm, k)),
        lambda: penalty * norm,
        objective,
        warnings,
    }
}

#[cfg(test)]
mod tests;
