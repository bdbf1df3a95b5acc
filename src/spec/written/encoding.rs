//! How voxels are predicted, as a study writes it: one table for each kind of regression.
//!
//! The comments become the descriptions in `schemas/`, as those of `written.rs`.

use crate::math::{
    ols::Noise,
    ridge::{AlphaChoice, CvScore},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How voxels are predicted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Encoding {
    /// Ridge regression with the penalty chosen by cross-validation over the training runs.
    Ridge(Ridge),
    /// Ridge regression on several groups of units at once, each with a penalty of its own.
    Banded(Banded),
    /// Least squares on the patterns as fixed regressors, with t maps.
    Ols(Ols),
    /// Sparse regression with the penalty chosen by cross-validation over the training runs.
    Lasso(Lasso),
}

impl Encoding {
    /// The table of this regression, as `ridge`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ridge(_) => "ridge",
            Self::Banded(_) => "banded",
            Self::Ols(_) => "ols",
            Self::Lasso(_) => "lasso",
        }
    }

    /// What voxels are predicted from, each on its own; none where units are taken by bands.
    #[must_use]
    pub fn features(&self) -> &[Features] {
        match self {
            Self::Ridge(Ridge { features, .. }) | Self::Lasso(Lasso { features, .. }) => features,
            Self::Ols(_) => &[Features::Patterns],
            Self::Banded(_) => &[],
        }
    }

    /// Principal components that stand for the units of a layer or of a branch, if they do.
    #[must_use]
    pub fn components(&self) -> Option<usize> {
        if let Self::Ridge(ridge) = self { ridge.components } else { None }
    }

    /// How training runs are held out to choose penalties, and whether shuffled volumes may be; `None` without penalties.
    #[must_use]
    pub fn folds(&self) -> Option<(Folds, bool)> {
        match self {
            Self::Ridge(Ridge { folds, allow_shuffled, .. })
            | Self::Banded(Banded { folds, allow_shuffled, .. })
            | Self::Lasso(Lasso { folds, allow_shuffled, .. }) => Some((*folds, *allow_shuffled)),
            Self::Ols(_) => None,
        }
    }

    /// The penalties to choose from, if they are listed.
    #[must_use]
    pub fn alphas(&self) -> &[f64] {
        match self {
            Self::Ridge(Ridge { alphas, .. }) | Self::Banded(Banded { alphas, .. }) => alphas,
            Self::Ols(_) | Self::Lasso(_) => &[],
        }
    }
}

/// Ridge regression with the penalty chosen by cross-validation over the training runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ridge {
    /// Penalties to choose from: above 0, in ascending order.
    #[schemars(length(min = 1))]
    #[schemars(example = [1.0, 10.0, 100.0, 1000.0])]
    pub alphas: Vec<f64>,
    /// Whether each voxel has a penalty of its own.
    #[serde(default)]
    pub alpha: AlphaChoice,
    /// How training runs are held out in turn.
    #[serde(default)]
    pub folds: Folds,
    /// Whether single volumes may be held out in a random order. Their neighbours are then fitted, so that penalties come out too
    /// small and their scores too high; right only where volumes are exchangeable.
    #[serde(default)]
    pub allow_shuffled: bool,
    /// What penalties are compared by.
    #[serde(default)]
    pub score: CvScore,
    /// What voxels are predicted from; every entry is fitted and scored on its own.
    #[serde(default = "default_features")]
    #[schemars(length(min = 1))]
    #[schemars(example = ["patterns", "layers"])]
    pub features: Vec<Features>,
    /// Principal components, learned on the training runs, that stand for the units of a layer or of a branch: large studies are fitted
    /// in a fraction of the time, and layers of unlike size weigh alike. All units, if absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4096))]
    #[schemars(example = 64)]
    pub components: Option<usize>,
}

fn default_features() -> Vec<Features> {
    vec![Features::Patterns, Features::Layers]
}

/// Ridge regression on several groups of units at once, each with a penalty of its own: weights of the groups are drawn at random
/// and chosen for each voxel with the penalty (Dupre la Tour 2022). R2 is split among the groups.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Banded {
    /// Penalties to choose from: above 0, in ascending order.
    #[schemars(length(min = 1))]
    #[schemars(example = [1.0, 10.0, 100.0, 1000.0])]
    pub alphas: Vec<f64>,
    /// Which units make a group; two groups at least have to come of it.
    #[serde(default)]
    pub bands: Bands,
    /// How many weights of the groups are tried.
    #[serde(default = "default_candidates")]
    #[schemars(range(min = 1, max = 100000))]
    pub n_candidates: usize,
    /// Concentrations of the Dirichlet distributions that weights are drawn from, in turn: below 1 few groups weigh much, at 1 all
    /// weights are alike likely.
    #[serde(default = "default_concentrations")]
    #[schemars(length(min = 1))]
    pub concentrations: Vec<f64>,
    /// Seed of the weights.
    #[serde(default)]
    pub seed: u64,
    /// How training runs are held out in turn.
    #[serde(default)]
    pub folds: Folds,
    /// Whether single volumes may be held out in a random order; see the same key of `[encoding.ridge]`.
    #[serde(default)]
    pub allow_shuffled: bool,
    /// What weights and penalties are compared by.
    #[serde(default)]
    pub score: CvScore,
}

fn default_candidates() -> usize {
    100
}
fn default_concentrations() -> Vec<f64> {
    vec![0.1, 1.0]
}

/// Which units make a group with a penalty of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Bands {
    /// The units of each module, as `vision` and `text` of CLIP.
    #[default]
    Modules,
    /// The units of each layer of each module.
    Layers,
}

/// Least squares on the patterns as fixed regressors, with t maps.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub struct Ols {
    /// What is assumed of the noise when t values are computed.
    pub noise: Noise,
}

/// Sparse regression (Tibshirani 1996) with the penalty chosen by cross-validation over the training runs: every voxel has a few
/// features with weights, all others have none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lasso {
    /// Penalties to choose from, evenly on a logarithmic scale, for each voxel from the smallest that leaves nothing downwards.
    #[serde(default = "default_penalties")]
    #[schemars(range(min = 2, max = 1000))]
    pub n_alphas: usize,
    /// The smallest penalty as a share of the largest.
    #[serde(default = "default_share")]
    #[schemars(range(min = 0.0000001, max = 0.999))]
    pub smallest_share: f64,
    /// How training runs are held out in turn.
    #[serde(default)]
    pub folds: Folds,
    /// Whether single volumes may be held out in a random order; see the same key of `[encoding.ridge]`.
    #[serde(default)]
    pub allow_shuffled: bool,
    /// What penalties are compared by.
    #[serde(default)]
    pub score: CvScore,
    /// What voxels are predicted from; every entry is fitted and scored on its own.
    #[serde(default = "patterns_alone")]
    #[schemars(length(min = 1))]
    #[schemars(example = ["patterns"])]
    pub features: Vec<Features>,
}

fn default_penalties() -> usize {
    20
}
fn default_share() -> f64 {
    1e-3
}
fn patterns_alone() -> Vec<Features> {
    vec![Features::Patterns]
}

/// What voxels are predicted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Features {
    /// The patterns of a model; redundancy and polarity ask about these maps.
    Patterns,
    /// The units of each layer on their own: which layer predicts which network.
    Layers,
}

/// How training runs are held out in turn to choose a penalty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Folds {
    /// Each training run once.
    #[default]
    Runs,
    /// Blocks of the joined training runs.
    Blocks(Blocks),
    /// Single volumes in a random order; needs `allow_shuffled = true`.
    Shuffled(Shuffled),
}

/// Contiguous blocks of volumes, held out in turn.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Blocks {
    /// Number of blocks.
    #[schemars(range(min = 2, max = 1000))]
    #[schemars(example = 5)]
    pub n: usize,
    /// Seconds left out on both sides of the held-out block, so that one response is not in both.
    #[serde(default = "default_gap")]
    #[schemars(range(min = 0))]
    pub gap_s: f64,
}

fn default_gap() -> f64 {
    20.0
}

/// Volumes in a random order, held out in turn: neighbours of a held-out volume are fitted.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shuffled {
    /// Number of parts.
    #[schemars(range(min = 2, max = 1000))]
    #[schemars(example = 5)]
    pub n: usize,
    /// Seed of the order.
    #[serde(default)]
    pub seed: u64,
}
