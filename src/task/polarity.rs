//! Pairs of patterns that drive a brain in opposite ways, and whether their layer profiles mirror each other.
//!
//! A pattern and its code can change sign together without changing the model, so a profile is read as `a_k(l) * beta_k`,
//! which cannot. The correlation of the two time courses stands beside every pair: where they are mirror images of each
//! other, opposite maps follow by algebra.

use super::{
    Compute, Kind, TaskError, Workbench,
    encode::{WEIGHTS, cell},
    pattern::{CODES, PATTERNS},
};
use crate::{
    format::{npy::read_matrix, tsv::Table},
    math::polarity::{layer_profiles, mirror_index, mirror_test, row_correlations},
    model::UNITS_FILE,
    spec::written::Polarity,
};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Every opposed pair.
pub const PAIRS: &str = "opposed_pairs.tsv";
/// Mean code of every pattern in every layer.
pub const PROFILES: &str = "layer_profiles.tsv";
/// What was asked and found.
pub const FACTS: &str = "polarity.json";

/// The statistic of one fit on patterns. Inputs: `encode`, `patterns`.
#[derive(Debug, Serialize)]
pub struct MeasurePolarity {
    /// Threshold and null.
    #[serde(rename = "statistics.polarity")]
    pub options: Polarity,
    /// Patterns.
    #[serde(skip)] // follows from the inputs
    pub n_patterns: usize,
    /// Units of all modules.
    #[serde(skip)] // follows from the inputs
    pub n_units: usize,
    /// Voxels of the brain.
    #[serde(skip)] // follows from the inputs
    pub n_voxels: usize,
}

/// What was asked and found, as the artifact keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PolarityFacts {
    /// What was permuted.
    pub(super) null: String,
    pub(super) n_permutations: usize,
    pub(super) seed: u64,
    pub(super) min_opposition: f64,
    /// Pairs that were looked at.
    pub(super) n_pairs: usize,
    pub(super) n_opposed: usize,
    /// Mean mirror index of opposed pairs, its mean under the null and its probability.
    pub(super) mean_mirror: Option<f64>,
    pub(super) null_mean_mirror: Option<f64>,
    pub(super) p: Option<f64>,
    /// Mean mirror index of the pairs that are not opposed, for comparison.
    pub(super) mean_mirror_of_others: Option<f64>,
}

impl Compute for MeasurePolarity {
    const KIND: Kind = Kind::Polarity;

    fn memory_bytes(&self) -> u64 {
        (3 * self.n_patterns * (self.n_voxels + self.n_units) * 4) as u64 + (32 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let weights = read_matrix(&bench.input("encode").join(WEIGHTS))?;
        let codes = read_matrix(&bench.input("patterns").join(CODES))?;
        let patterns = read_matrix(&bench.input("patterns").join(PATTERNS))?;
        let layers = read_layers(bench.input("patterns"))?;
        let maps_r = row_correlations(weights.view())?;
        let series_r = row_correlations(patterns.t())?;
        let profiles = layer_profiles(codes.view(), &layers.of_unit, layers.names.len())?;
        bench.step(1, 2)?;

        let n_patterns = weights.nrows();
        let pairs: Vec<(usize, usize)> =
            (0..n_patterns).flat_map(|k| (k + 1..n_patterns).map(move |j| (k, j))).collect();
        let opposes = |(k, j): &(usize, usize)| maps_r[[*k, *j]].is_some_and(|r| r < -self.options.min_opposition);
        let (mut opposed, others): (Vec<_>, Vec<_>) = pairs.iter().copied().partition(opposes);
        let correlation = |(k, j): &(usize, usize)| maps_r[[*k, *j]].unwrap_or(0.0);
        opposed.sort_by(|one, other| correlation(one).total_cmp(&correlation(other)).then(one.cmp(other)));
        let test = match opposed.as_slice() {
            [] => None,
            some => Some(mirror_test(&profiles, some, self.options.n_permutations, self.options.seed)?),
        };
        let mut table = Table::new(["k", "j", "maps_r", "series_r", "mirror_index", "p"]);
        for (place, (k, j)) in opposed.iter().enumerate() {
            let (mirror, p) = test.as_ref().map_or((None, None), |test| (test.mirror[place], test.pair_p[place]));
            table.push([
                k.to_string(),
                j.to_string(),
                cell(maps_r[[*k, *j]]),
                cell(series_r[[*k, *j]]),
                cell(mirror),
                cell(p),
            ]);
        }
        table.write(&bench.out.join(PAIRS))?;
        profile_table(&profiles, &layers).write(&bench.out.join(PROFILES))?;
        let mirrors = mirror_index(&profiles);
        let of_others: Vec<f64> = others.iter().filter_map(|(k, j)| mirrors[[*k, *j]]).collect();
        bench.write_json(
            FACTS,
            &PolarityFacts {
                null: "layers of every profile permuted".to_owned(),
                n_permutations: self.options.n_permutations,
                seed: self.options.seed,
                min_opposition: self.options.min_opposition,
                n_pairs: pairs.len(),
                n_opposed: opposed.len(),
                mean_mirror: test.as_ref().and_then(|test| test.mean),
                null_mean_mirror: test.as_ref().and_then(|test| test.null_mean),
                p: test.as_ref().and_then(|test| test.mean_p),
                mean_mirror_of_others: (!of_others.is_empty())
                    .then(|| of_others.iter().sum::<f64>() / of_others.len() as f64),
            },
        )
    }
}

fn profile_table(profiles: &Array2<Option<f64>>, layers: &UnitLayers) -> Table {
    let mut table = Table::new(["pattern", "module", "layer", "mean_code"]);
    for (pattern, profile) in profiles.rows().into_iter().enumerate() {
        for ((module, layer), code) in layers.names.iter().zip(profile) {
            table.push([pattern.to_string(), module.clone(), layer.clone(), cell(*code)]);
        }
    }
    table
}

/// Which layer each unit of a model belongs to.
pub(super) struct UnitLayers {
    /// Module and layer, in order of first appearance.
    pub(super) names: Vec<(String, String)>,
    /// Place in `names`, for each unit.
    pub(super) of_unit: Vec<usize>,
}

/// Reads the unit table of a pattern artifact.
pub(super) fn read_layers(patterns: &Path) -> Result<UnitLayers, TaskError> {
    let table = Table::read(&patterns.join(UNITS_FILE))?;
    let (module, layer) = (table.require("module")?, table.require("layer")?);
    let mut names: Vec<(String, String)> = Vec::new();
    let mut of_unit = Vec::with_capacity(table.n_rows());
    for row in table.rows() {
        // Units of a layer are neighbours, so its name, if known, is the last one.
        let name = (row[module].clone(), row[layer].clone());
        if names.last() != Some(&name) {
            names.push(name);
        }
        of_unit.push(names.len() - 1);
    }
    Ok(UnitLayers { names, of_unit })
}
