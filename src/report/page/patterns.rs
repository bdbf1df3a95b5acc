//! Patterns, and findings 2 and 3: which overlap, which oppose.

use super::{LayerId, Value};
use serde::{Deserialize, Serialize};

/// The patterns of one dictionary.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PatternSet {
    /// Which model and scope the dictionary was learnt on.
    pub title: String,
    /// Time from one sample to the next.
    pub repetition_time_s: f64,
    /// Unit of the time courses: `unit norm`, `z`.
    pub unit: String,
    /// The runs, in the order of the samples.
    pub runs: Vec<Run>,
    /// How many patterns the dictionary has; `patterns` may hold the first few.
    pub n_patterns: usize,
    /// The patterns to draw.
    pub patterns: Vec<Pattern>,
}

/// One run's share of a time course.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// Name of the run.
    pub name: String,
    /// Samples it contributes.
    pub n_tr: usize,
}

/// One pattern: a time course, and how strongly each layer's units carry it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pattern {
    /// Name of the pattern.
    pub name: String,
    /// Its value at each sample of all runs; a sample that is not finite leaves a gap.
    pub series: Vec<f32>,
    /// Mean code of the units of each layer, the same layers in the same order for all patterns of a set; empty when
    /// the dictionary has no layers.
    pub profile: Vec<LayerCode>,
}

/// Mean code over the units of one layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerCode {
    /// Which layer.
    pub layer: LayerId,
    /// Mean code.
    pub code: f64,
}

/// What a statistic was compared with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Null {
    /// Name of the null: `permuted memberships`.
    pub name: String,
    /// How many permutations were drawn.
    pub n_permutations: usize,
    /// Seed of the permutations.
    pub seed: u64,
    /// Mean of the statistic under the null.
    pub mean: Value,
    /// Share of permutations at least as extreme.
    pub p: Value,
}

/// Finding 2 for one model in one subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Redundancy {
    /// Name of the subject.
    pub subject: String,
    /// Name of the model.
    pub model: String,
    /// Names of the K patterns.
    pub patterns: Vec<String>,
    /// K rows of K Dice coefficients of the patterns' voxel sets.
    pub dice: Vec<Vec<Value>>,
    /// The pairs that overlap more than chance gives, family-wise at 0.05.
    pub redundant: Vec<RedundantPair>,
    /// Mean Dice over pairs, the diagonal left out.
    pub mean_dice: Value,
    /// What the mean Dice was compared with.
    pub null: Null,
    /// Per network, voxels that several patterns drive.
    pub networks: Vec<SharedVoxels>,
}

/// Two patterns that drive the same voxels.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RedundantPair {
    /// Place of the first pattern.
    pub k: usize,
    /// Place of the second.
    pub j: usize,
    /// Family-wise probability.
    pub p: f64,
}

/// How many voxels of a network several patterns drive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharedVoxels {
    /// Name of the network.
    pub network: String,
    /// Voxels of the network.
    pub n_voxels: usize,
    /// Voxels that at least one pattern drives.
    pub n_driven: usize,
    /// Voxels that at least two patterns drive.
    pub n_shared: usize,
}

/// Finding 3 for one model in one subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Polarity {
    /// Name of the subject.
    pub subject: String,
    /// Name of the model.
    pub model: String,
    /// A pair is opposed when its maps correlate below minus this.
    pub tau: f64,
    /// How many pairs were looked at.
    pub n_pairs: usize,
    /// What the mirror index was compared with, in words.
    pub null: String,
    /// The opposed pairs, the most opposed first.
    pub pairs: Vec<OpposedPair>,
}

/// Two patterns whose maps oppose.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpposedPair {
    /// Name of the first pattern.
    pub k: String,
    /// Name of the second pattern.
    pub j: String,
    /// Correlation of the two maps.
    pub maps_r: Value,
    /// Correlation of the two time courses.
    pub series_r: Value,
    /// Minus the correlation of the two layer profiles.
    pub mirror_index: Value,
    /// Probability of such a mirror index under the null.
    pub p: Value,
    /// Both layer profiles; empty when there are none to draw.
    pub profiles: Vec<PairCode>,
}

/// Mean codes of a pair in one layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PairCode {
    /// Which layer.
    pub layer: LayerId,
    /// Mean code of the first pattern.
    pub k: f64,
    /// Mean code of the second pattern.
    pub j: f64,
}
