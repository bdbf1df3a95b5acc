//! What a study asks of its fits: one table for each statistic, which switches it on.
//!
//! The comments become the descriptions in `schemas/`, as those of `written.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is asked of the fitted maps; each table switches one statistic on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Statistics {
    /// Which voxels are predicted better than chance.
    pub significance: Option<Significance>,
    /// Noise ceilings, and scores as a share of them.
    pub ceiling: Option<CeilingRuns>,
    /// How far the patterns' voxel sets and unit groups overlap.
    pub redundancy: Option<Redundancy>,
    /// Which patterns drive opposite maps, and whether their layers mirror each other.
    pub polarity: Option<Polarity>,
    /// What each branch of a model explains that the others do not, and how models differ.
    pub architecture: Option<Architecture>,
    /// Whether deeper layers predict networks further along the cortex.
    pub hierarchy: Option<Hierarchy>,
    /// Whether what was found holds over subjects.
    pub group: Option<Group>,
}

/// Permutation test of each voxel's score, and of the mean score of each network.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Significance {
    /// Permutations of the test series.
    #[schemars(range(min = 19, max = 1000000))]
    pub n_permutations: usize,
    /// How the test series is rearranged.
    pub method: Rearranged,
    /// Seconds of test series that stay together, so that their autocorrelation is kept; of circular shifts, the smallest.
    #[schemars(range(min = 0.1))]
    pub block_s: f64,
    /// A voxel stops at the permutation with which so many have reached its own score (Besag and Clifford 1991): voxels without
    /// signal, which are most, take a few dozen instead of all. Its p value is then this number over the permutations it took,
    /// which the table of results tells. Absent: every voxel takes all.
    #[schemars(range(min = 1, max = 1000000))]
    #[schemars(example = 20)]
    pub stop_after: Option<usize>,
    /// False discovery rate over voxels.
    #[schemars(range(min = 0.000001, max = 0.999999))]
    pub fdr: f64,
    /// Seed of the permutations.
    pub seed: u64,
}

impl Default for Significance {
    fn default() -> Self {
        Self {
            n_permutations: 1000,
            method: Rearranged::default(),
            block_s: 20.0,
            stop_after: None,
            fdr: 0.05,
            seed: 0,
        }
    }
}

/// How a test series is rearranged, so that it has lost its relation to the prediction and kept its memory of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rearranged {
    /// Blocks of `block_s` in random order.
    #[default]
    Blocks,
    /// The whole series shifted in a circle, by `block_s` at least.
    CircularShift,
}

/// How much of each voxel's test series is signal, as far as runs that were shown again tell. Scores of patterns are told as a share of
/// it: `"patterns"` is among the features.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CeilingRuns {
    /// Test runs in which the same was shown, two or more.
    #[schemars(length(min = 2))]
    #[schemars(example = ["4", "5"])]
    pub repeats: Vec<String>,
}

/// Correlation of maps from two halves above which a map counts, if a study does not say.
const DEFAULT_RELIABILITY: f64 = 0.2;

/// Overlap of the voxels that patterns drive, against what chance gives. Asks about maps of patterns: `"patterns"` is among the features.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redundancy {
    /// A pattern drives this share of the voxels: those with its largest weights, of either sign. Sets of one size are what rotated maps
    /// can be compared with most exactly.
    #[schemars(range(min = 0.001, max = 0.5))]
    pub driven_share: f64,
    /// In place of `driven_share`: a pattern drives a voxel whose weight is beyond this many standard deviations of the pattern's map.
    #[schemars(range(min = 0.1, max = 10))]
    #[schemars(example = 1.5)]
    pub threshold_sd: Option<f64>,
    /// A pair is told if the maps of both patterns, from two halves of the training runs, correlate by this at least: a map that does not
    /// come out again is noise.
    #[schemars(range(min = -1, max = 1))]
    pub min_reliability: f64,
    /// What overlap is compared with.
    pub null: OverlapNull,
    /// Draws of what overlap is compared with.
    #[schemars(range(min = 19, max = 1000000))]
    pub n_permutations: usize,
    /// Shares of the units that are silenced, at random and those with the largest codes first, to see how much of the prediction is
    /// lost; empty for none.
    #[schemars(inner(range(min = 0.001, max = 0.999)))]
    pub removed_shares: Vec<f64>,
    /// Random choices of units for each share.
    #[schemars(range(min = 1, max = 10000))]
    pub n_removals: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Redundancy {
    fn default() -> Self {
        Self {
            driven_share: 0.1,
            threshold_sd: None,
            min_reliability: DEFAULT_RELIABILITY,
            null: OverlapNull::default(),
            n_permutations: 1000,
            removed_shares: vec![0.1, 0.25, 0.5, 0.75, 0.9],
            n_removals: 10,
            seed: 0,
        }
    }
}

/// What the overlap of voxel sets is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OverlapNull {
    /// Maps rotated in the space of patterns, their mean kept: smoothness over voxels, and what drives all patterns alike, stay as
    /// they are. Overlap beyond this belongs to pairs of patterns.
    #[default]
    Rotations,
    /// Members of every set permuted over the voxels of the networks: overlap beyond this may come from smooth maps, or from voxels
    /// that all patterns drive.
    Memberships,
}

/// Pairs of patterns with opposite maps, against pairs of other names, permuted layers and random signs. Asks about maps of patterns:
/// `"patterns"` is among the features.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Polarity {
    /// Two maps oppose each other if their correlation is below minus this.
    #[schemars(range(min = 0.01, max = 0.99))]
    pub min_opposition: f64,
    /// A pattern drives a voxel up or down whose weight is beyond this many standard deviations of the pattern's map.
    #[schemars(range(min = 0.1, max = 10))]
    pub threshold_sd: f64,
    /// A pattern is looked at if its maps from two halves of the training runs correlate by this at least. The noise in maps of
    /// patterns that are alike is opposite, so maps of noise would oppose each other.
    #[schemars(range(min = -1, max = 1))]
    pub min_reliability: f64,
    /// Permutations for each null.
    #[schemars(range(min = 19, max = 1000000))]
    pub n_permutations: usize,
    /// Seed of the permutations.
    pub seed: u64,
}

impl Default for Polarity {
    fn default() -> Self {
        Self {
            min_opposition: 0.3,
            threshold_sd: 1.5,
            min_reliability: DEFAULT_RELIABILITY,
            n_permutations: 1000,
            seed: 0,
        }
    }
}

/// What each branch of a model explains that the others do not, and how models differ. Modules whose names begin alike are one
/// branch, as `fusion-image` and `fusion-text`. Needs `[encoding.ridge]`, and models of three branches at
/// most.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Architecture {
    /// Pairs of models that are compared in what their patterns predict, the first against the second; all pairs if absent.
    #[schemars(inner(length(min = 2, max = 2)))]
    #[schemars(example = [["clip", "vit"], ["clip", "roberta"]])]
    pub compare: Option<Vec<Vec<String>>>,
    /// Draws for each test.
    #[schemars(range(min = 19, max = 1000000))]
    pub n_permutations: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Architecture {
    fn default() -> Self {
        Self { compare: None, n_permutations: 10_000, seed: 0 }
    }
}

/// Whether deeper layers predict networks further along the cortex. Needs `"layers"` among the features.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hierarchy {
    /// Networks from the earliest to the latest in the cortex.
    #[schemars(length(min = 2))]
    #[schemars(example = ["visual", "dorsal-attention", "ventral-attention", "language", "default"])]
    pub order: Vec<String>,
    /// Seed of permutations, where networks are too many for all of them.
    #[serde(default)]
    pub seed: u64,
}

/// Whether what was found holds over subjects: t, and sign flips that keep families together.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// A TSV table (`participant_id` and a column of families) that says who is related: relatives change sign together.
    #[schemars(example = "participants.tsv")]
    pub families: Option<PathBuf>,
    /// The column of that table with a name for each family.
    #[schemars(length(min = 1))]
    pub family_column: String,
    /// Sign flips; all of them if there are no more.
    #[schemars(range(min = 19, max = 1000000))]
    pub n_permutations: usize,
    /// Seed of the flips.
    pub seed: u64,
}

impl Default for Group {
    fn default() -> Self {
        Self { families: None, family_column: "family".to_owned(), n_permutations: 10_000, seed: 0 }
    }
}
