//! What held-out predictions say about groups of targets, kept so that fits can be compared without their predictions.
//!
//! Owns the accumulation over pieces of targets, and the result: correlation and error of every group as sums over blocks
//! of time, and the null distribution of its mean correlation. What one group of columns adds is in
//! `evidence/contribution.rs`, the sums that rearranged data need in `evidence/rearranged.rs`; bootstrap draws of blocks
//! and intervals are in `evidence/draws.rs`, tests of a difference in `evidence/paired.rs`. What a group is (a
//! functional network, say) it does not know. Scores of single targets are in [`super::scores`], their tests in
//! [`super::null`].

mod contribution;
mod draws;
mod paired;
mod rearranged;

use ndarray::{Array1, Array2, ArrayView2};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::contribution::Contribution;
pub use self::draws::{BlockDraws, FEW_BLOCKS, Interval, NoInference};
pub use self::paired::{PairedDifference, PairedTest, paired_test};
use self::rearranged::Layout;
use super::MathError;
use super::blas::single_thread_blas;
use super::error::{require_finite, require_shape};
use super::null::{NullWarning, Orders, Rearrangement, count_distinct, require_one};

/// Targets of one group in one task.
const TASK_TARGETS: usize = 128;

/// What the tasks that run between two merges may hold together, unless [`ROUND_TASKS`] of them hold more.
const ROUND_BYTES: usize = 64 << 20;

/// Fewest tasks between two merges, so that there is work for several cores however large their sums.
const ROUND_TASKS: usize = 8;

/// Orders evaluated at a time, so that memory does not grow with the number of permutations beyond the result.
const ROUND_ORDERS: usize = 4096;

/// By how much a null value may stay below the observed one and still tie with it: sums of the same numbers in another order.
const TIE: f64 = 1e-12;

/// How the null distribution of a group's mean correlation is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupNull {
    /// How the data are rearranged in time.
    pub rearrangement: Rearrangement,
    /// Orders drawn.
    pub n_permutations: usize,
    /// Seed of the draws; order `i` is that of [`super::null::permutation_test`] with the same seed.
    pub seed: u64,
}

/// What is kept of held-out predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceOptions {
    /// Repetition times in a block of time; the last block is shorter where they do not divide the series.
    pub block_tr: usize,
    /// The null distribution of mean correlations; none is drawn when absent.
    pub null: Option<GroupNull>,
}

impl EvidenceOptions {
    /// Bytes that an [`Evidence`] of this many samples and groups holds from its beginning to its end.
    ///
    /// Contributions take 16 bytes a block and group. The null adds, for each group, `8 (n_samples / B)^2` bytes for
    /// blocks of length B (twice that where B does not divide the series) or `16 n_samples` for circular shifts. Not
    /// counted: the result's `8 n_permutations n_groups` and the tasks at work.
    pub fn state_bytes(&self, n_samples: usize, n_groups: usize) -> u64 {
        let blocks = 2 * n_samples.div_ceil(self.block_tr.max(1)) as u64;
        let values = self.null.map_or(0, |null| Layout::count_values(null.rearrangement, n_samples) as u64);
        (n_groups as u64).saturating_mul(blocks.saturating_add(values)).saturating_mul(8)
    }
}

/// Evidence of groups of targets over blocks of time.
///
/// Contributions are additive: any statistic that is a sum over time can be resampled, or paired with that of another fit
/// of the same test series, from these few numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupEvidence {
    /// Targets of each group (n_groups).
    pub n_targets: Vec<usize>,
    /// Targets of each group that have a correlation (n_groups): neither their data nor their prediction is constant.
    pub n_with_r: Vec<usize>,
    /// Targets of each group that have an R2 (n_groups): their data are not constant.
    pub n_with_error: Vec<usize>,
    /// What each block of time adds to the mean Pearson's r of each group (n_blocks x n_groups); 0 throughout for a group
    /// without a target that has one.
    pub r_blocks: Array2<f64>,
    /// What each block of time takes from the mean R2 of each group (n_blocks x n_groups), as a share of the targets' total
    /// sums of squares; 0 throughout for a group without a target that has an R2.
    pub error_blocks: Array2<f64>,
    /// Mean r of each group under each order of the data (n_permutations x n_groups), 0 throughout as in `r_blocks`; absent
    /// when none was asked for.
    pub null_r: Option<Array2<f64>>,
    /// What was asked for.
    pub options: EvidenceOptions,
    /// Caveats of the null distribution.
    pub warnings: Vec<NullWarning>,
}

impl GroupEvidence {
    /// Mean Pearson's r of each group (n_groups) over its targets that have one; `None` where none has.
    pub fn mean_r(&self) -> Vec<Option<f64>> {
        let sums = self.r_blocks.columns().into_iter().map(|column| column.sum());
        sums.zip(&self.n_with_r).map(|(sum, &n)| (n > 0).then_some(sum)).collect()
    }

    /// Mean R2 of each group (n_groups) over its targets that have one; `None` where none has.
    pub fn mean_r2(&self) -> Vec<Option<f64>> {
        let sums = self.error_blocks.columns().into_iter().map(|column| column.sum());
        sums.zip(&self.n_with_error).map(|(sum, &n)| (n > 0).then_some(1.0 - sum)).collect()
    }

    /// One-sided p value of each group's mean r (n_groups), `(1 + #{null >= observed}) / (1 + n_permutations)`; absent
    /// without a null distribution, `None` for a group without a correlation.
    pub fn p_values(&self) -> Option<Vec<Option<f64>>> {
        let null = self.null_r.as_ref()?;
        let p_value = |(observed, null): (Option<f64>, ndarray::ArrayView1<'_, f64>)| {
            let n_as_high = null.iter().filter(|&&null| null >= observed.unwrap_or(0.0) - TIE).count();
            observed.map(|_| (1 + n_as_high) as f64 / (1 + null.len()) as f64)
        };
        Some(self.mean_r().into_iter().zip(null.columns()).map(p_value).collect())
    }
}

/// Evidence in the making: targets stream in by pieces, each with the groups it belongs to.
///
/// For test data y and prediction p (n_samples x n_targets), with xn and yn their columns centred and of unit norm over the
/// test series, a block of time b adds to a group g
///
/// - `R[b,g] = mean over v of sum over t in b of xn_v(t) yn_v(t)`, so that `sum over b of R[b,g]` is the mean Pearson's r;
/// - `E[b,g] = mean over v of sum over t in b of (y_v(t) - p_v(t))^2 / SST_v` with `SST_v = sum over t of (y_v(t) -
///   mean y_v)^2`, so that `1 - sum over b of E[b,g]` is the mean R2, as in [`super::scores::r2_columns`].
///
/// Under the null hypothesis the data are rearranged in time, in the same way for all targets as in [`super::null`], so
/// the dependence between targets is kept and the mean over a group of many alike targets is as uncertain as it should be.
/// Blocks of time stay whole, so a rearranged correlation is a sum of inner products of a data block with a stretch of
/// the prediction; those are added up over the targets of a group as they come, and orders are drawn at the end. Shifts
/// need the circular cross-correlation instead, whose spectrum is added up.
///
/// All sums are f64. Cost a target and group, beside its standardisation: `2 n_samples^2 / B` operations for blocks of
/// length B, twice that where B does not divide the series, or a Fourier transform of the series for circular shifts.
/// Memory is [`EvidenceOptions::state_bytes`], and while targets are added some 64 MiB (or eight copies of the sums of one
/// group, if that is more) and a copy of 128 targets for each thread. Bytes do not depend on the number of threads;
/// pieces of another size change no more than the rounding of f64.
///
/// Caveats: norms are those of the whole test series. Whoever resamples blocks treats them as known, which overstates the
/// spread of large correlations (see [`BlockDraws::intervals`]). A target whose prediction is constant has an error and no
/// correlation, so two fits may average r over different targets; `n_with_r` tells.
#[derive(Debug)]
pub struct Evidence {
    n_samples: usize,
    options: EvidenceOptions,
    layout: Option<Layout>,
    n_targets: Vec<usize>,
    groups: Vec<Contribution>,
    warnings: Vec<NullWarning>,
}

impl Evidence {
    /// Begins with no target.
    ///
    /// # Errors
    /// [`MathError::Empty`] without a sample or group, [`MathError::Parameter`] for blocks of no length,
    /// [`MathError::TooFew`] for no permutation or a series too short to be rearranged.
    pub fn begin(n_samples: usize, n_groups: usize, options: EvidenceOptions) -> Result<Self, MathError> {
        for (what, length) in [("samples", n_samples), ("groups", n_groups)] {
            if length == 0 {
                return Err(MathError::Empty { what });
            }
        }
        if options.block_tr == 0 {
            return Err(MathError::Parameter { name: "block_tr", found: 0.0, expected: "1 or more" });
        }
        let mut warnings = Vec::new();
        if let Some(GroupNull { rearrangement, n_permutations, .. }) = options.null {
            require_one("number of permutations", n_permutations, "1000 resolves p values to 0.001")?;
            let n_distinct = count_distinct(rearrangement, n_samples)?;
            if n_distinct < n_permutations as u64 {
                warnings.push(NullWarning::FewRearrangements { n_distinct, n_drawn: n_permutations });
            }
        }
        let layout = options.null.map(|null| Layout::new(null.rearrangement, n_samples));
        let n_blocks = n_samples.div_ceil(options.block_tr);
        let n_values = layout.as_ref().map_or(0, Layout::n_values);
        Ok(Self {
            n_samples,
            options,
            layout,
            n_targets: vec![0; n_groups],
            groups: vec![Contribution::zero(n_blocks, n_values); n_groups],
            warnings,
        })
    }

    /// Adds a piece of targets: `data` and `prediction` (n_samples x n_targets of the piece) and the groups of each target,
    /// which may be several or none.
    ///
    /// # Errors
    /// [`MathError::Shape`], [`MathError::NotFinite`], [`MathError::Index`] for a group that does not exist,
    /// [`MathError::Parameter`] for one that a target names twice. Nothing is added then.
    pub fn add(
        &mut self,
        data: ArrayView2<'_, f32>,
        prediction: ArrayView2<'_, f32>,
        groups_of_target: &[Vec<usize>],
    ) -> Result<(), MathError> {
        require_shape("rows of the data", data.nrows(), self.n_samples, "one row for each sample of the test series")?;
        require_shape("rows of the prediction", prediction.nrows(), data.nrows(), "one row for each sample")?;
        require_shape("columns of the prediction", prediction.ncols(), data.ncols(), "one column for each target")?;
        require_shape("groups_of_target", groups_of_target.len(), data.ncols(), "one list for each target")?;
        require_finite("data", data)?;
        require_finite("prediction", prediction)?;
        let members = members_of_groups(groups_of_target, self.groups.len())?;

        single_thread_blas();
        let tasks: Vec<(usize, &[usize])> = members
            .iter()
            .enumerate()
            .flat_map(|(group, members)| members.chunks(TASK_TARGETS).map(move |chunk| (group, chunk)))
            .collect();
        let per_round = (ROUND_BYTES / self.groups[0].n_bytes()).clamp(ROUND_TASKS, 1024);
        for round in tasks.chunks(per_round) {
            let added: Vec<Contribution> = round
                .par_iter()
                .map(|(_, columns)| {
                    Contribution::of(data, prediction, columns, self.options.block_tr, self.layout.as_ref())
                })
                .collect();
            for ((group, columns), added) in round.iter().zip(added) {
                self.n_targets[*group] += columns.len();
                self.groups[*group].merge(&added);
            }
        }
        Ok(())
    }

    /// Draws the null distribution and turns sums over targets into means.
    pub fn finish(self) -> GroupEvidence {
        let n_blocks = self.n_samples.div_ceil(self.options.block_tr);
        let n_groups = self.groups.len();
        let mean = |sum: f64, n: usize| if n > 0 { sum / n as f64 } else { 0.0 };
        let of_blocks = |value: &dyn Fn(&Contribution, usize) -> f64| {
            Array2::from_shape_fn((n_blocks, n_groups), |(block, group)| value(&self.groups[group], block))
        };
        GroupEvidence {
            r_blocks: of_blocks(&|group, block| mean(group.r[block], group.n_with_r)),
            error_blocks: of_blocks(&|group, block| mean(group.error[block], group.n_with_error)),
            null_r: self.null_r(),
            n_with_r: self.groups.iter().map(|group| group.n_with_r).collect(),
            n_with_error: self.groups.iter().map(|group| group.n_with_error).collect(),
            n_targets: self.n_targets,
            options: self.options,
            warnings: self.warnings,
        }
    }

    fn null_r(&self) -> Option<Array2<f64>> {
        let (null, layout) = (self.options.null?, self.layout.as_ref()?);
        let tables: Vec<Vec<f64>> = self.groups.par_iter().map(|group| layout.sums(&group.table)).collect();
        let mut orders = Orders::new(null.rearrangement, self.n_samples, null.seed);
        let mut null_r = Array2::zeros((null.n_permutations, self.groups.len()));
        for mut round in null_r.axis_chunks_iter_mut(ndarray::Axis(0), ROUND_ORDERS) {
            let orders: Vec<_> = orders.by_ref().take(round.nrows()).collect();
            let columns: Vec<Array1<f64>> = tables
                .par_iter()
                .zip(&self.groups)
                .map(|(table, group)| {
                    let scale = if group.n_with_r > 0 { (group.n_with_r as f64).recip() } else { 0.0 };
                    orders.iter().map(|order| layout.sum_of(table, order) * scale).collect()
                })
                .collect();
            for (mut column, values) in round.columns_mut().into_iter().zip(&columns) {
                column.assign(values);
            }
        }
        Some(null_r)
    }
}

/// Columns of a piece that belong to each group, in their order.
fn members_of_groups(groups_of_target: &[Vec<usize>], n_groups: usize) -> Result<Vec<Vec<usize>>, MathError> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); n_groups];
    for (target, groups) in groups_of_target.iter().enumerate() {
        for &group in groups {
            let list = members.get_mut(group).ok_or(MathError::Index {
                name: "groups_of_target",
                found: group,
                expected: n_groups,
            })?;
            if list.last() == Some(&target) {
                return Err(MathError::Parameter {
                    name: "groups_of_target",
                    found: group as f64,
                    expected: "each group once for a target",
                });
            }
            list.push(target);
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests;
