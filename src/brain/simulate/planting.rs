//! What a study may plant, as it is written: units that drive a network, a second branch beside them, patterns.
//!
//! Owns the options and their ranges. What is drawn of them is for [`super::truth`].

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SimulateError, number, refuse};

/// Largest number of sources, units or sets: a guard against slips of the pen.
const MOST: usize = 10_000;

/// What drives the voxels of one network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlantedNetwork {
    /// Module whose units drive the network, such as `vision`.
    #[schemars(example = &"vision")]
    pub module: String,
    /// Layers of that module, counted from 0.
    #[schemars(example = [4, 5])]
    pub layers: Vec<usize>,
    /// A second branch that drives the same voxels beside the first: planted specialisation. None by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "module": "text", "layers": [3, 4], "mixing": "uniform" }))]
    pub also: Option<SecondBranch>,
    /// Number of sources: weighted sums of a few units that groups of voxels follow. A second branch has as many of its own.
    #[serde(default = "default_sources")]
    #[schemars(range(min = 1))]
    pub sources: usize,
    /// Number of units in each source.
    #[serde(default = "default_units_per_source")]
    #[schemars(range(min = 1))]
    pub units_per_source: usize,
    /// Share of the units that enter their source with a negative weight.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub negative_units: f64,
    /// Share of the voxels that follow two sources of a branch instead of one: planted redundancy.
    #[serde(default = "default_redundant_voxels")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub redundant_voxels: f64,
    /// Share of the voxels that follow their source with the opposite sign: planted polarity.
    #[serde(default = "default_mirrored_voxels")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub mirrored_voxels: f64,
    /// Variance of the planted signal over the variance of the noise in this network; that of the whole brain by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0), example = 0.1)]
    pub snr: Option<f64>,
}

/// A second branch of units that drives the voxels of a network beside the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecondBranch {
    /// Module whose units drive the network too, such as `text`.
    #[schemars(example = &"text")]
    pub module: String,
    /// Layers of that module, counted from 0; none of those that the first branch has.
    #[schemars(example = [3, 4])]
    pub layers: Vec<usize>,
    /// How the signal of a voxel is divided between the branches.
    #[serde(default)]
    pub mixing: Mixing,
}

/// How the signal of a voxel is divided between two branches.
///
/// With w the share of the first branch, its signal enters by sqrt(w) and that of the second by sqrt(1 - w), so that w and
/// 1 - w are shares of variance where the two do not correlate, and 2w - 1 is the planted specialisation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mixing {
    /// The share of the first branch is drawn evenly between 0 and 1 for every voxel.
    #[default]
    Uniform,
    /// Each branch has half of every voxel.
    Even,
}

/// Networks whose voxels follow patterns, in compact sets of equal size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlantedPatterns {
    /// Networks whose voxels are shared out among the patterns, by the names of the schematic atlas. None of those that
    /// follow units.
    #[schemars(example = ["default", "limbic"], length(min = 1))]
    pub networks: Vec<String>,
    /// Number of pairs of patterns that drive one and the same set of voxels with the same sign: planted redundancy.
    #[serde(default = "default_pairs")]
    #[schemars(range(max = 10_000))]
    pub duplicates: usize,
    /// Number of pairs of patterns that drive one set of voxels with opposite signs: planted polarity.
    #[serde(default = "default_pairs")]
    #[schemars(range(max = 10_000))]
    pub mirrored: usize,
    /// Number of patterns that drive a set of voxels of their own. All further patterns drive none.
    #[serde(default = "default_alone")]
    #[schemars(range(max = 10_000))]
    pub alone: usize,
    /// Largest correlation over all runs, of either sign, of a pattern in a pair with any other pattern that drives voxels.
    #[serde(default = "default_max_correlation")]
    #[schemars(range(min = 0.01, max = 0.9))]
    pub max_correlation: f64,
    /// Variance of the planted signal over the variance of the noise in these networks; that of the whole brain by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0), example = 0.1)]
    pub snr: Option<f64>,
}

fn default_sources() -> usize {
    4
}

fn default_units_per_source() -> usize {
    6
}

fn default_redundant_voxels() -> f64 {
    0.5
}

fn default_mirrored_voxels() -> f64 {
    0.25
}

fn default_pairs() -> usize {
    2
}

fn default_alone() -> usize {
    4
}

fn default_max_correlation() -> f64 {
    0.3
}

impl PlantedNetwork {
    /// Checks every parameter of the network, which stands at `place`, against its range.
    pub(super) fn check(&self, place: &str) -> Result<(), SimulateError> {
        let field = |key: &str| format!("{place}.{key}");
        let shares = [
            ("negative_units", self.negative_units),
            ("redundant_voxels", self.redundant_voxels),
            ("mirrored_voxels", self.mirrored_voxels),
        ];
        for (key, share) in shares {
            number(&field(key), share, 0.0, 1.0, "between 0 and 1")?;
        }
        for (key, count) in [("sources", self.sources), ("units_per_source", self.units_per_source)] {
            if !(1..=MOST).contains(&count) {
                return refuse(&field(key), count.to_string(), "between 1 and 10000");
            }
        }
        check_snr(self.snr, place)?;
        if self.layers.is_empty() {
            return refuse(&field("layers"), "[]".to_owned(), "at least one layer");
        }
        let Some(also) = &self.also else {
            return Ok(());
        };
        if also.layers.is_empty() {
            return refuse(&field("also.layers"), "[]".to_owned(), "at least one layer");
        }
        if also.module == self.module && also.layers.iter().any(|layer| self.layers.contains(layer)) {
            let found = format!("{:?} of `{}`", also.layers, also.module);
            return refuse(&field("also.layers"), found, "layers that the first branch does not have");
        }
        Ok(())
    }
}

impl PlantedPatterns {
    /// Number of voxel sets.
    pub fn n_sets(&self) -> usize {
        self.duplicates + self.mirrored + self.alone
    }

    /// Checks every parameter, which stand at `place`, beside the networks that follow units.
    pub(super) fn check(
        &self,
        place: &str,
        follow_units: &BTreeMap<String, PlantedNetwork>,
    ) -> Result<(), SimulateError> {
        let field = |key: &str| format!("{place}.{key}");
        let networks = field("networks");
        if self.networks.is_empty() {
            return refuse(&networks, "[]".to_owned(), "at least one network");
        }
        let mut seen = BTreeSet::new();
        for name in &self.networks {
            let found = format!("`{name}`");
            if !seen.insert(name) {
                return refuse(&networks, format!("{found} twice"), "every network once");
            }
            if follow_units.contains_key(name) {
                return refuse(&networks, found, "networks that are not in `networks`, where they follow units");
            }
        }
        for (key, count) in [("duplicates", self.duplicates), ("mirrored", self.mirrored), ("alone", self.alone)] {
            if count > MOST {
                return refuse(&field(key), count.to_string(), "between 0 and 10000");
            }
        }
        if self.n_sets() == 0 {
            let found = "without `duplicates`, `mirrored` and `alone` patterns".to_owned();
            return refuse(place, found, "at least one that drives voxels");
        }
        number(&field("max_correlation"), self.max_correlation, 0.01, 0.9, "between 0.01 and 0.9")?;
        check_snr(self.snr, place)
    }
}

fn check_snr(snr: Option<f64>, place: &str) -> Result<(), SimulateError> {
    snr.map_or(Ok(()), |snr| number(&format!("{place}.snr"), snr, 0.0, 1e6, "between 0 and 1000000"))
}
