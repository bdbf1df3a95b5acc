//! The sign-flip permutation test over subjects, with correction over voxels by the largest statistic.
//!
//! Owns p values and the null distribution of the maximum; patterns of signs and the sums under them are in `flips.rs`,
//! the parametric test is in `group.rs`.

use std::collections::HashMap;
use std::sync::Mutex;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flips::{LANES, Patterns, Row, SumTables};
use super::{Alternative, GroupValues, GroupWarning, NoTest, Spread, warnings};
use crate::math::MathError;
use crate::math::error::require_shape;

/// Blocks of lanes in one task, so that merging the task's maxima costs little beside finding them.
const TASK_LANES: usize = 64;

/// Smallest possible p value above which a test is reported as coarse.
///
/// Usual levels (0.05, 0.01) are then within reach; eight subjects reach it two-sided, seven one-sided.
const COARSE_P: f64 = 0.01;

/// How a sign-flip test is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SignFlipOptions {
    /// Which departures from zero p counts.
    pub alternative: Alternative,
    /// Patterns of signs to draw; all of them are enumerated where there are no more than this.
    pub n_permutations: usize,
    /// Subjects that must have a value for a voxel to be tested, 2 or more.
    pub n_min: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for SignFlipOptions {
    /// Two-sided, 10 000 patterns, two subjects or more, seed 0.
    fn default() -> Self {
        Self { alternative: Alternative::TwoSided, n_permutations: 10_000, n_min: 2, seed: 0 }
    }
}

/// Which patterns of signs a test compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrangements {
    /// Every pattern once, the observed one among them: `p = #{as extreme} / n`.
    Exhaustive {
        /// `2^n_blocks`
        n_arrangements: usize,
    },
    /// Patterns drawn with replacement, the observed one counted besides: `p = (1 + #{as extreme}) / (1 + n)`.
    Random {
        /// Patterns drawn.
        n_drawn: usize,
    },
}

impl Arrangements {
    fn p_value(self, n_as_extreme: usize) -> f64 {
        match self {
            Self::Exhaustive { n_arrangements } => n_as_extreme as f64 / n_arrangements as f64,
            Self::Random { n_drawn } => (1 + n_as_extreme) as f64 / (1 + n_drawn) as f64,
        }
    }

    fn smallest_p(self, alternative: Alternative) -> f64 {
        // Two-sided, the opposite of a pattern is always as extreme as the pattern itself.
        let enumerated = if alternative == Alternative::TwoSided { 2 } else { 1 };
        self.p_value(if matches!(self, Self::Exhaustive { .. }) { enumerated } else { 0 })
    }
}

/// The sign-flip test of one voxel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FlippedVoxel {
    /// Subjects with a value.
    pub n_subjects: usize,
    /// Student's t of the mean over subjects.
    pub t: f64,
    /// p value of this voxel alone.
    pub p: f64,
    /// p value corrected for the family of all tested voxels.
    pub p_family: f64,
}

/// Sign-flip tests of many voxels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignFlipTest {
    /// The test of each voxel, or why there is none (n_voxels).
    pub voxels: Vec<Result<FlippedVoxel, NoTest>>,
    /// The patterns compared with.
    pub arrangements: Arrangements,
    /// Blocks of subjects whose signs change together; the number of subjects without families.
    pub n_blocks: usize,
    /// Largest statistic over voxels under each pattern, ascending: t, its negative or its magnitude by the alternative.
    /// The largest finite number where a pattern makes all subjects of a voxel alike; empty when no voxel was tested.
    pub largest_t: Vec<f64>,
    /// What was asked for.
    pub options: SignFlipOptions,
    /// Caveats of these tests.
    pub warnings: Vec<GroupWarning>,
}

/// Tests for each voxel whether its values over subjects (n_subjects x n_voxels) lie symmetrically about zero.
///
/// Under the null hypothesis the sign of a subject's map is arbitrary, so the null distribution of t comes from flipping
/// whole maps (Fisher 1935; Nichols and Holmes 2002, Hum Brain Mapp 15:1). The same flips serve all voxels, and the
/// largest statistic over voxels of each flip corrects for the family of tests in the strong sense (Westfall and Young
/// 1993). `blocks` gives the exchangeability block of each subject, such as its family: signs change for whole blocks,
/// so that subjects within one may depend on each other in any way (Winkler et al. 2015, NeuroImage 123:253,
/// whole-block exchangeability with independent and symmetric errors of blocks).
///
/// All `2^n_blocks` patterns are enumerated when there are no more than `n_permutations`; else that many are drawn with
/// replacement. Result and p values say which ([`Arrangements`]).
///
/// Since flips leave the sum of squares alone, t is a rising function of the sum alone, which is what is compared. Sums of
/// f32 values in f64 are exact unless their magnitudes span some eight decades, so arrangements that tie in theory tie in
/// fact, and the observed sum is added up like every other. A voxel with gaps is tested over the subjects it has.
///
/// Caveats: symmetry is assumed, which differences of two models satisfy by exchange and correlations only under the null.
/// Over few blocks p values are coarse ([`GroupWarning::CoarsePValues`]). Voxels with few subjects have heavy tails
/// and so raise the threshold of all others in the correction; use `n_min`.
///
/// # Errors
/// As [`super::one_sample_t`], [`MathError::TooFew`] for no permutation or fewer than two blocks, [`MathError::Shape`]
/// when `blocks` has not one entry for each subject.
pub fn sign_flip_test(
    values: GroupValues<'_>,
    blocks: Option<&[usize]>,
    options: SignFlipOptions,
) -> Result<SignFlipTest, MathError> {
    values.check(options.n_min)?;
    let (n_subjects, n_voxels) = values.values.dim();
    if options.n_permutations == 0 {
        return Err(MathError::TooFew {
            name: "number of permutations",
            found: 0,
            expected: 1,
            hint: "10000 resolves p values to 0.0001",
        });
    }
    let (block_of_subject, n_blocks) = number_blocks(blocks, n_subjects)?;
    let (arrangements, patterns) = match 1usize.checked_shl(n_blocks as u32) {
        Some(n_arrangements) if n_arrangements <= options.n_permutations => {
            (Arrangements::Exhaustive { n_arrangements }, Patterns::all(n_blocks))
        }
        _ => {
            let n_drawn = options.n_permutations;
            (Arrangements::Random { n_drawn }, Patterns::random(n_blocks, n_drawn, options.seed))
        }
    };

    // The maximum of numbers does not depend on their order, so tasks may add theirs as they finish.
    let largest = Mutex::new(vec![f64::NEG_INFINITY; patterns.iter().len()]);
    let per_task = TASK_LANES * LANES;
    let counted: Vec<Vec<Result<Counted, NoTest>>> = (0..n_voxels.div_ceil(per_task))
        .into_par_iter()
        .map(|task| {
            let mut own = vec![f64::NEG_INFINITY; patterns.iter().len()];
            let range = task * per_task..n_voxels.min((task + 1) * per_task);
            let mut counted = Vec::with_capacity(range.len());
            for start in range.clone().step_by(LANES) {
                let lanes =
                    Lanes::of(values, &block_of_subject, n_blocks, start..range.end.min(start + LANES), options);
                lanes.count(&patterns, &mut own, &mut counted);
            }
            let mut largest = largest.lock().expect("no task panics while it merges");
            largest.iter_mut().zip(own).for_each(|(largest, own)| *largest = largest.max(own));
            counted
        })
        .collect();
    let mut largest = largest.into_inner().expect("no task panics while it merges");
    largest.sort_unstable_by(f64::total_cmp);
    let voxels: Vec<Result<FlippedVoxel, NoTest>> = counted
        .into_iter()
        .flatten()
        .map(|voxel| {
            let Counted { n_subjects, t, statistic, n_as_extreme } = voxel?;
            let n_above = largest.len() - largest.partition_point(|&largest| largest < statistic);
            let (p, p_family) = (arrangements.p_value(n_as_extreme), arrangements.p_value(n_above));
            Ok(FlippedVoxel { n_subjects, t, p, p_family })
        })
        .collect();
    let mut warnings = warnings(voxels.iter().map(|voxel| voxel.map(|test| test.n_subjects)));
    let smallest_p = arrangements.smallest_p(options.alternative);
    if smallest_p > COARSE_P {
        warnings.push(GroupWarning::CoarsePValues { smallest_p });
    }
    let largest_t = if voxels.iter().any(Result::is_ok) {
        largest.into_iter().map(|square| square.abs().sqrt().min(f64::MAX).copysign(square)).collect()
    } else {
        Vec::new()
    };
    Ok(SignFlipTest { voxels, arrangements, n_blocks, largest_t, options, warnings })
}

/// Numbers blocks from 0 in order of first appearance.
fn number_blocks(blocks: Option<&[usize]>, n_subjects: usize) -> Result<(Vec<usize>, usize), MathError> {
    let Some(blocks) = blocks else { return Ok(((0..n_subjects).collect(), n_subjects)) };
    require_shape("exchangeability blocks", blocks.len(), n_subjects, "one entry for each subject")?;
    let mut number = HashMap::new();
    let numbered: Vec<usize> = blocks
        .iter()
        .map(|label| {
            let next = number.len();
            *number.entry(label).or_insert(next)
        })
        .collect();
    let n_blocks = number.len();
    if n_blocks < 2 {
        return Err(MathError::TooFew {
            name: "exchangeability blocks",
            found: n_blocks,
            expected: 2,
            hint: "signs change for whole blocks, so one block has nothing to compare with",
        });
    }
    Ok((numbered, n_blocks))
}

/// What is known of a voxel once all patterns have been seen.
#[derive(Debug, Clone, Copy)]
struct Counted {
    n_subjects: usize,
    t: f64,
    /// Signed square of t in the direction of the alternative, by the formula of the null values.
    statistic: f64,
    n_as_extreme: usize,
}

/// A handful of voxels and the sums of their blocks of subjects.
struct Lanes {
    spreads: Vec<Result<Spread, NoTest>>,
    tables: SumTables,
    /// Sum of squares; 1 for a voxel that is not tested, so that its statistic is a number.
    power: Row,
    n_subjects: Row,
    alternative: Alternative,
}

impl Lanes {
    fn of(
        values: GroupValues<'_>,
        block_of_subject: &[usize],
        n_blocks: usize,
        voxels: std::ops::Range<usize>,
        options: SignFlipOptions,
    ) -> Self {
        let spreads: Vec<_> = voxels.clone().map(|voxel| Spread::of(values, voxel, options.n_min)).collect();
        let mut blocks = vec![[0.0; LANES]; n_blocks];
        let (mut power, mut n_subjects) = ([1.0; LANES], [1.0; LANES]);
        for (lane, voxel) in voxels.enumerate() {
            let Ok(spread) = spreads[lane] else { continue };
            n_subjects[lane] = spread.n_subjects as f64;
            power[lane] = values.of_voxel(voxel).map(|v| v * v).sum();
            for (subject, &block) in block_of_subject.iter().enumerate() {
                if values.is_present(subject, voxel) {
                    blocks[block][lane] += f64::from(values.values[[subject, voxel]]);
                }
            }
        }
        Self { spreads, tables: SumTables::of(&blocks), power, n_subjects, alternative: options.alternative }
    }

    /// The sum in the direction of the alternative.
    fn oriented(&self, sums: Row) -> Row {
        match self.alternative {
            Alternative::TwoSided => sums.map(f64::abs),
            Alternative::Greater => sums,
            Alternative::Less => sums.map(|sum| -sum),
        }
    }

    /// `t |t| = S |S| (n - 1) / (n sum x^2 - S^2)`, a rising function of S even in floating point.
    fn squares(&self, sums: &Row) -> Row {
        std::array::from_fn(|j| {
            let square = sums[j] * sums[j];
            let spread = (self.n_subjects[j] * self.power[j] - square).max(0.0);
            (square * (self.n_subjects[j] - 1.0) / spread).copysign(sums[j])
        })
    }

    fn count(&self, patterns: &Patterns, largest: &mut [f64], counted: &mut Vec<Result<Counted, NoTest>>) {
        let observed = self.oriented(self.tables.unflipped());
        let statistic = self.squares(&observed);
        let untested: Row = std::array::from_fn(|j| match self.spreads.get(j) {
            Some(Ok(_)) => f64::INFINITY,
            _ => f64::NEG_INFINITY,
        });
        let mut n_as_extreme = [0u64; LANES];
        for (pattern, largest) in patterns.iter().zip(largest) {
            let sums = self.oriented(self.tables.sum(pattern));
            let squares = self.squares(&sums);
            for j in 0..LANES {
                n_as_extreme[j] += u64::from(sums[j] >= observed[j]);
                let square = if squares[j] < untested[j] { squares[j] } else { untested[j] };
                *largest = if *largest > square { *largest } else { square };
            }
        }
        counted.extend(self.spreads.iter().enumerate().map(|(j, spread)| {
            let spread = (*spread)?;
            Ok(Counted {
                n_subjects: spread.n_subjects,
                t: spread.t(),
                statistic: statistic[j],
                n_as_extreme: n_as_extreme[j] as usize,
            })
        }));
    }
}
