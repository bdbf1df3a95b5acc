//! Pairs of patterns that drive a brain in opposite ways, and whether their layer profiles mirror each other.
//!
//! A pattern and its code can change sign together without changing the model, so each pattern is read the way round in which its
//! codes add up to more than 0. The correlation of the two time courses stands beside every pair: where they are mirror images of
//! each other, opposite maps follow by algebra.

use super::{
    Compute, Kind, TaskError, Workbench,
    encode::{WEIGHTS, cell, reliable_patterns},
    finding::{self, ALL_NETWORKS, Absent, Finding, Statistic},
    pattern::{CODES, PATTERNS},
};
use crate::{
    format::{npy::read_matrix, tsv::Table},
    math::polarity::{
        self, NoPolarity, NullComparison, PolarityInput, PolarityOptions, PolarityTest, PolarityWarning,
        layer_profiles, orientations, polarity,
    },
    model::UNITS_FILE,
    spec::written::Polarity,
};
use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Every pair, the most opposed first.
pub const PAIRS: &str = "pairs.tsv";
/// Mean code of every pattern in every layer, with the pattern's orientation.
pub const PROFILES: &str = "layer_profiles.tsv";
/// What was asked and found.
pub const FACTS: &str = "polarity.json";

/// The statistic of one fit on patterns. Inputs: `encode`, `patterns`.
#[derive(Debug, Serialize, Deserialize)]
pub struct MeasurePolarity {
    /// Threshold and nulls.
    #[serde(rename = "statistics.polarity")]
    pub options: Polarity,
    /// The model.
    pub model: String,
    /// Patterns.
    #[serde(rename = "~n_patterns")] // follows from the inputs
    pub n_patterns: usize,
    /// Units of all modules.
    #[serde(rename = "~n_units")] // follows from the inputs
    pub n_units: usize,
    /// Voxels of the brain.
    #[serde(rename = "~n_voxels")] // follows from the inputs
    pub n_voxels: usize,
}

/// What was asked and found, as the artifact keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PolarityFacts {
    pub(super) n_permutations: usize,
    pub(super) seed: u64,
    pub(super) min_opposition: f64,
    /// Pairs that were looked at.
    pub(super) n_pairs: usize,
    pub(super) n_opposed: usize,
    /// Opposed pairs whose time courses correlate by less than 0.3 either way.
    pub(super) n_not_by_algebra: usize,
    /// The tests, or why there are none.
    pub(super) test: Result<PolarityTest, NoPolarity>,
}

impl Compute for MeasurePolarity {
    const KIND: Kind = Kind::Polarity;

    fn memory_bytes(&self) -> u64 {
        (3 * self.n_patterns * (self.n_voxels + self.n_units) * 4) as u64 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let maps = read_matrix(&bench.input("encode").join(WEIGHTS))?;
        let codes = read_matrix(&bench.input("patterns").join(CODES))?;
        let series = read_matrix(&bench.input("patterns").join(PATTERNS))?;
        let layers = read_layers(bench.input("patterns"))?;
        // Maps that do not come out again are noise, and that of patterns that are alike is opposite.
        let reliable = reliable_patterns(bench.input("encode"), self.options.min_reliability)?;
        let n_patterns = maps.nrows();
        if reliable.len() < n_patterns {
            let n = n_patterns - reliable.len();
            bench.warn(
                "unreliable-maps",
                format!("the maps of {n} of {n_patterns} patterns do not come out again and are left out"),
            );
        }
        let (maps, of_reliable) = (maps.select(Axis(0), &reliable), codes.select(Axis(0), &reliable));
        let of_time = series.select(Axis(1), &reliable);
        let input = PolarityInput {
            codes: of_reliable.view(),
            maps: maps.view(),
            series: of_time.view(),
            layer_of_unit: &layers.of_unit,
            n_layers: layers.names.len(),
        };
        let options = PolarityOptions {
            min_opposition: self.options.min_opposition,
            threshold_sd: self.options.threshold_sd,
            n_permutations: self.options.n_permutations,
            seed: self.options.seed,
        };
        bench.step(0, 1)?;
        let found = polarity(input, options)?;
        found.warnings.iter().for_each(|warning| tell(warning, bench));
        let mut pairs: Vec<&polarity::PairPolarity> = found.pairs.iter().collect();
        let opposition = |pair: &polarity::PairPolarity| pair.maps_r.unwrap_or(1.0);
        pairs.sort_by(|one, other| {
            opposition(one).total_cmp(&opposition(other)).then((one.k, one.j).cmp(&(other.k, other.j)))
        });
        let mut table = Table::new(["k", "j", "is_opposed", "maps_r", "opposed_dice", "series_r", "mirror_index", "p"]);
        for pair in pairs {
            table.push([
                reliable[pair.k].to_string(),
                reliable[pair.j].to_string(),
                pair.is_opposed.to_string(),
                cell(pair.maps_r),
                cell(pair.opposite_dice),
                cell(pair.series_r),
                cell(pair.mirror),
                cell(pair.layers_p),
            ]);
        }
        table.write(&bench.out.join(PAIRS))?;
        let profiles = layer_profiles(codes.view(), &layers.of_unit, layers.names.len())?;
        let orientations: Vec<Option<f64>> =
            orientations(codes.view()).into_iter().map(|found| found.map(|found| found.strength)).collect();
        profile_table(&profiles, &layers, &orientations).write(&bench.out.join(PROFILES))?;
        finding::write(bench, self.findings(&found))?;
        bench.write_json(
            FACTS,
            &PolarityFacts {
                n_permutations: self.options.n_permutations,
                seed: self.options.seed,
                min_opposition: self.options.min_opposition,
                n_pairs: found.pairs.len(),
                n_opposed: found.n_opposed,
                n_not_by_algebra: found.n_not_by_algebra,
                test: found.test,
            },
        )
    }
}

impl MeasurePolarity {
    fn findings(&self, found: &polarity::Polarity) -> Vec<Finding> {
        let about = |statistic, part: &str, n| Finding::about(statistic, &self.model, part, ALL_NETWORKS, n);
        let n_pairs = found.pairs.len();
        let share = (n_pairs > 0).then(|| found.n_opposed as f64 / n_pairs as f64);
        let (mirroring, partial) = (
            about(Statistic::Mirroring, "patterns", found.n_opposed),
            about(Statistic::PartialMirroring, "patterns", n_pairs),
        );
        let opposition = Finding { value: share, ..about(Statistic::Opposition, "patterns", n_pairs) };
        let test = match &found.test {
            Ok(test) => test,
            Err(reason) => {
                let reason = match reason {
                    NoPolarity::TooFewLayers { .. } => Absent::FewLayers,
                    NoPolarity::TooFewPatterns { .. } => Absent::FewPatterns,
                    NoPolarity::NoOpposedPair | NoPolarity::NoOtherPair => Absent::NoOpposedPair,
                };
                return vec![mirroring.absent(reason), opposition.absent(reason), partial.absent(reason)];
            }
        };
        let pairs = n_pairs as f64;
        let signs = &test.n_opposed_signs_redrawn;
        vec![
            Finding {
                value: Some(test.effect),
                interval: test.interval.map(|interval| (interval.interval[0], interval.interval[1])),
                null: chance(&test.pairs_permuted),
                p: Some(test.pairs_permuted.p),
                ..mirroring
            },
            Finding {
                null: chance(signs).map(|(mean, deviation)| (mean / pairs, deviation / pairs)),
                p: Some(signs.p),
                ..opposition
            },
            match &test.partial {
                Some(effect) => Finding {
                    value: Some(effect.adjusted.observed),
                    null: chance(&effect.adjusted),
                    p: Some(effect.adjusted.p),
                    ..partial
                },
                None => partial.absent(Absent::NoVariance),
            },
        ]
    }
}

fn chance(comparison: &NullComparison) -> Option<(f64, f64)> {
    comparison.null_mean.zip(comparison.null_deviation)
}

fn tell(warning: &PolarityWarning, bench: &Workbench<'_>) {
    let (code, message) = match warning {
        PolarityWarning::WeakOrientation { n_patterns, n_opposed } => (
            "weak-orientation",
            format!(
                "the codes of {n_patterns} patterns nearly cancel, so that their sign is a convention; they are part of {n_opposed} opposed pairs"
            ),
        ),
        PolarityWarning::NoOrientation { n_patterns } => {
            ("no-orientation", format!("{n_patterns} patterns have no codes, or codes that cancel, and are left out"))
        }
        PolarityWarning::ConstantMap { n_patterns } => {
            ("constant-maps", format!("the maps of {n_patterns} patterns do not vary, so that they are left out"))
        }
        PolarityWarning::ConstantProfile { n_patterns } => (
            "constant-profiles",
            format!("{n_patterns} patterns are alike in all layers, so that they mirror none and are left out"),
        ),
        PolarityWarning::ConstantSeries { n_patterns } => {
            ("constant-series", format!("the time courses of {n_patterns} patterns do not vary"))
        }
        PolarityWarning::FewArrangements { n_distinct, n_drawn } => (
            "few-arrangements",
            format!(
                "patterns can be rearranged in {n_distinct} ways, fewer than the {n_drawn} drawn: small p values mean little"
            ),
        ),
        PolarityWarning::EmptyResamples { n_resamples } => (
            "empty-resamples",
            format!("{n_resamples} resamples of the patterns had no opposed pair and do not count in the interval"),
        ),
    };
    bench.warn(code, message);
}

fn profile_table(profiles: &Array2<Option<f64>>, layers: &UnitLayers, orientations: &[Option<f64>]) -> Table {
    let mut table = Table::new(["pattern", "module", "layer", "mean_code", "orientation"]);
    for (pattern, profile) in profiles.rows().into_iter().enumerate() {
        for ((module, layer), code) in layers.names.iter().zip(profile) {
            let orientation = cell(orientations[pattern]);
            table.push([pattern.to_string(), module.clone(), layer.clone(), cell(*code), orientation]);
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
