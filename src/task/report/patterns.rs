//! What the page tells of patterns: their time courses, which overlap, which oppose.

use super::{
    Gather, GatheredModel, Pair,
    contents::{index, optional},
};
use crate::{
    format::{npy::read_matrix, tsv::Table},
    math::polarity::layer_profiles,
    report::{
        LayerCode, LayerId, Null, OpposedPair, PairCode, Pattern, PatternSet, Polarity, Redundancy, RedundantPair, Run,
        SharedVoxels, Value,
    },
    spec::written::OverlapNull,
    task::{
        TaskError,
        finding::ALL_NETWORKS,
        pattern::{CODES, PATTERNS, SAMPLES},
        polarity::{self, PolarityFacts, read_layers},
        redundancy::{self, RedundancyFacts},
        workbench::read_json,
    },
};
use ndarray::Array2;
use std::path::Path;

/// Time courses that the page draws; all are in the artifact.
const DRAWN_PATTERNS: usize = 6;
/// Family-wise probability up to which a pair of patterns counts as redundant.
const FAMILY_WISE: f64 = 0.05;
/// Opposed pairs that the page draws; all are in the table.
const DRAWN_PAIRS: usize = 4;

impl Gather {
    /// The first time courses of a model and how much of each layer is in them.
    pub(super) fn pattern_set(&self, model: &GatheredModel, artifact: &Path) -> Result<PatternSet, TaskError> {
        let patterns = read_matrix(&artifact.join(PATTERNS))?;
        let codes = read_matrix(&artifact.join(CODES))?;
        let layers = read_layers(artifact)?;
        let run_of_row = Table::read(&artifact.join(SAMPLES))?.integers("run")?;
        let runs = self.runs.iter().enumerate().map(|(place, (name, _))| Run {
            name: name.clone(),
            n_tr: run_of_row.iter().filter(|run| run.and_then(|run| usize::try_from(run).ok()) == Some(place)).count(),
        });
        let profiles = layer_profiles(codes.view(), &layers.of_unit, layers.names.len())?;
        let drawn = (0..patterns.ncols().min(DRAWN_PATTERNS)).map(|place| Pattern {
            name: pattern_name(place),
            series: patterns.column(place).to_vec(),
            profile: layers
                .names
                .iter()
                .zip(profiles.row(place))
                .filter_map(|((module, layer), code)| {
                    Some(LayerCode { layer: LayerId { module: module.clone(), layer: layer.clone() }, code: (*code)? })
                })
                .collect(),
        });
        Ok(PatternSet {
            title: format!("Patterns of {}", model.name),
            repetition_time_s: self.repetition_time_s,
            unit: "standard deviations over the training runs".to_owned(),
            runs: runs.collect(),
            n_patterns: patterns.ncols(),
            patterns: drawn.collect(),
        })
    }
}

pub(super) fn redundancy_of(pair: &Pair<'_>, artifact: &Path) -> Result<Redundancy, TaskError> {
    let facts: RedundancyFacts = read_json(&artifact.join(redundancy::FACTS))?;
    let n_patterns = facts.n_voxels_of_pattern.len();
    let pairs = Table::read(&artifact.join(redundancy::PAIRS))?;
    let (k, j, dice) = (pairs.integers("k")?, pairs.integers("j")?, pairs.numbers("voxel_dice")?);
    let mut matrix = Array2::from_shape_fn((n_patterns, n_patterns), |(one, other)| {
        if one == other {
            Value::from(1.0)
        } else {
            Value::absent(
                "the map of a pattern does not come out again in halves of the training runs, or neither drives a voxel",
            )
        }
    });
    for row in 0..pairs.n_rows() {
        if let (Some(k), Some(j), Some(dice)) = (index(k[row]), index(j[row]), dice[row]) {
            matrix[[k, j]] = dice.into();
            matrix[[j, k]] = dice.into();
        }
    }
    let family_wise = pairs.numbers("voxel_dice_fwe_p")?;
    let redundant = (0..pairs.n_rows()).filter_map(|row| {
        let p = family_wise[row].filter(|p| *p <= FAMILY_WISE)?;
        Some(RedundantPair { k: index(k[row])?, j: index(j[row])?, p })
    });
    let redundant = redundant.collect();
    let table = Table::read(&artifact.join(redundancy::NETWORKS))?;
    let name = table.require("network")?;
    let (n_voxels, n_driven, n_shared) =
        (table.counts("n_voxels")?, table.counts("n_driven")?, table.counts("n_shared")?);
    let networks =
        table.rows().iter().enumerate().filter(|(_, cells)| cells[name] != ALL_NETWORKS).map(|(row, cells)| {
            SharedVoxels {
                network: cells[name].clone(),
                n_voxels: n_voxels[row],
                n_driven: n_driven[row],
                n_shared: n_shared[row],
            }
        });
    let none = "no pattern drives a voxel";
    Ok(Redundancy {
        subject: pair.subject.to_owned(),
        model: pair.model.name.clone(),
        patterns: (0..n_patterns).map(pattern_name).collect(),
        dice: matrix.rows().into_iter().map(|row| row.to_vec()).collect(),
        redundant,
        mean_dice: optional(facts.mean_dice, none),
        null: Null {
            name: match facts.null {
                OverlapNull::Rotations => "maps rotated in the space of patterns".to_owned(),
                OverlapNull::Memberships => {
                    "members of every pattern's voxel set permuted over the voxels of the networks".to_owned()
                }
            },
            n_permutations: facts.n_permutations,
            seed: facts.seed,
            mean: optional(facts.null_mean_dice, none),
            p: optional(facts.p, none),
        },
        networks: networks.collect(),
    })
}

pub(super) fn polarity_of(pair: &Pair<'_>, artifact: &Path) -> Result<Polarity, TaskError> {
    let facts: PolarityFacts = read_json(&artifact.join(polarity::FACTS))?;
    let table = Table::read(&artifact.join(polarity::PAIRS))?;
    let profiles = Table::read(&artifact.join(polarity::PROFILES))?;
    let (k, j) = (table.integers("k")?, table.integers("j")?);
    let (maps_r, series_r) = (table.numbers("maps_r")?, table.numbers("series_r")?);
    let (mirror, p) = (table.numbers("mirror_index")?, table.numbers("p")?);
    let is_opposed = table.require("is_opposed")?;
    let mut pairs = Vec::new();
    for row in (0..table.n_rows()).filter(|row| table.rows()[*row][is_opposed] == "true") {
        let (Some(k), Some(j)) = (index(k[row]), index(j[row])) else { continue };
        let flat = "a layer profile is constant or has fewer than three layers";
        pairs.push(OpposedPair {
            k: pattern_name(k),
            j: pattern_name(j),
            maps_r: optional(maps_r[row], "a map is constant"),
            series_r: optional(series_r[row], "a time course is constant"),
            mirror_index: optional(mirror[row], flat),
            p: optional(p[row], flat),
            profiles: if pairs.len() < DRAWN_PAIRS { pair_codes(&profiles, k, j)? } else { Vec::new() },
        });
    }
    Ok(Polarity {
        subject: pair.subject.to_owned(),
        model: pair.model.name.clone(),
        tau: facts.min_opposition,
        n_pairs: facts.n_pairs,
        null: format!("layers of every profile permuted ({} permutations, seed {})", facts.n_permutations, facts.seed),
        pairs,
    })
}

fn pair_codes(profiles: &Table, k: usize, j: usize) -> Result<Vec<PairCode>, TaskError> {
    let (module, layer) = (profiles.require("module")?, profiles.require("layer")?);
    let (patterns, codes) = (profiles.integers("pattern")?, profiles.numbers("mean_code")?);
    let of = |pattern: usize| {
        patterns.iter().enumerate().filter(move |(_, found)| index(**found) == Some(pattern)).map(|(row, _)| row)
    };
    let both = of(k).zip(of(j)).filter_map(|(first, second)| {
        let cells = &profiles.rows()[first];
        Some(PairCode {
            layer: LayerId { module: cells[module].clone(), layer: cells[layer].clone() },
            k: codes[first]?,
            j: codes[second]?,
        })
    });
    Ok(both.collect())
}

/// Patterns are numbered from 0, as rows of the codes and columns of the time courses are.
fn pattern_name(place: usize) -> String {
    format!("pattern {place}")
}
