//! How far the patterns of a model say the same about a brain: overlap of the voxels they drive and of the units they join, what each
//! explains that the others do not, and what is lost when units are silenced.

mod removals;
mod shares;

use super::{
    Compute, Kind, TaskError, Workbench,
    encode::{Brain, WEIGHTS, cell, read_column, reliable_patterns},
    evidence::{network_names, networks_of},
    finding::{self, ALL_NETWORKS, Absent, CONFIDENCE, Finding, N_DRAWS, Statistic},
    pattern::{CODES, PATTERNS, read_patterns, used_series},
    polarity::read_layers,
};
use crate::{
    brain::mask::VoxelTable,
    format::{npy::read_matrix, tsv::Table},
    math::{
        overlap::{Comparison, OverlapComparison, OverlapNull, OverlapOptions, OverlapWarning, Sets, compare_overlap},
        pair_interval::pair_mean_interval,
        participation::participation_ratio,
        polarity::row_correlations,
    },
    spec::written::{OverlapNull as WrittenNull, Redundancy},
};
use ndarray::{Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};

/// Every pair of patterns.
pub const PAIRS: &str = "pairs.tsv";
/// Voxels by network and by the number of patterns that drive them.
pub const NETWORKS: &str = "networks.tsv";
/// What each pattern explains in each network, alone and beside the others.
pub const SHARES: &str = "shares.tsv";
/// What is lost when units are silenced.
pub const REMOVALS: &str = "removals.tsv";
/// How many dimensions the units of each layer fill.
pub const LAYERS: &str = "layers.tsv";
/// The statistic and its null.
pub const FACTS: &str = "redundancy.json";

/// Voxels that are read at once.
const PIECE: usize = 8192;

/// The statistic of one fit on patterns. Inputs: `encode`, `patterns`, `voxels`, all runs `bold`, and `series` run by run, module by
/// module.
#[derive(Debug, Serialize, Deserialize)]
pub struct MeasureRedundancy {
    /// Threshold and null.
    #[serde(rename = "statistics.redundancy")]
    pub options: Redundancy,
    /// The model.
    pub model: String,
    /// Runs, the first of which are for training.
    pub n_train_runs: usize,
    /// Modules of the model.
    pub n_modules: usize,
    /// Whether weights come from a penalty that is known for each voxel, or from none, so that what a pattern explains alone follows.
    pub has_unique: bool,
    /// Volumes of all runs.
    #[serde(rename = "~n_samples")] // follows from the inputs
    pub n_samples: usize,
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

/// The statistic and its null, as the artifact keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RedundancyFacts {
    /// What was drawn.
    pub(super) null: WrittenNull,
    pub(super) n_permutations: usize,
    pub(super) seed: u64,
    pub(super) driven_share: f64,
    pub(super) threshold_sd: Option<f64>,
    /// Mean Dice over pairs of patterns; absent without a pair that drives a voxel.
    pub(super) mean_dice: Option<f64>,
    pub(super) null_mean_dice: Option<f64>,
    pub(super) p: Option<f64>,
    /// Voxels that each pattern drives.
    pub(super) n_voxels_of_pattern: Vec<usize>,
    /// Units that each pattern joins.
    pub(super) n_units_of_pattern: Vec<usize>,
}

impl Compute for MeasureRedundancy {
    const KIND: Kind = Kind::Redundancy;

    fn memory_bytes(&self) -> u64 {
        let of_maps = 4 * self.n_patterns * self.n_voxels * 4 + 16 * 32 * self.n_voxels * 4;
        let of_series = 3 * self.n_samples * self.n_units * 4;
        let of_shares = 6 * self.n_patterns * PIECE.min(self.n_voxels) * 16 + 2 * self.n_samples * PIECE * 4;
        (of_maps.max(of_series + of_shares)) as u64 + (128 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let weights = read_matrix(&bench.input("encode").join(WEIGHTS))?;
        let codes = read_matrix(&bench.input("patterns").join(CODES))?;
        let voxels = VoxelTable::read(bench.input("voxels"))?;
        let rows: Vec<usize> = read_column(bench.input("encode"), "r")?.into_iter().map(|(voxel, _)| voxel).collect();
        let networks = networks_of(&voxels, &rows);
        bench.step(0, 4)?;
        let mut findings = self.overlaps(weights.view(), codes.view(), &voxels, &networks, bench)?;
        drop(weights);
        bench.step(1, 4)?;
        let brain = Brain::open(bench.inputs("bold"))?.aligned_with(read_patterns(bench.input("patterns"))?);
        findings.extend(self.shares(&brain, &voxels, &networks, bench)?);
        bench.step(2, 4)?;
        findings.extend(self.removals(&brain, codes.view(), &voxels, &networks, bench)?);
        bench.step(3, 4)?;
        self.layers(bench)?.write(&bench.out.join(LAYERS))?;
        finding::write(bench, findings)?;
        Ok(())
    }
}

impl MeasureRedundancy {
    fn driven_voxels(&self, weights: ArrayView2<'_, f32>) -> Array2<bool> {
        match self.options.threshold_sd {
            Some(threshold_sd) => beyond(weights, threshold_sd),
            None => largest_share(weights, self.options.driven_share),
        }
    }

    /// Overlap of voxel sets, against chance; that of unit groups beside it.
    fn overlaps(
        &self,
        weights: ArrayView2<'_, f32>,
        codes: ArrayView2<'_, f32>,
        voxels: &VoxelTable,
        networks: &[Vec<usize>],
        bench: &Workbench<'_>,
    ) -> Result<Vec<Finding>, TaskError> {
        let series = read_matrix(&bench.input("patterns").join(PATTERNS))?;
        let reliable = reliable_patterns(bench.input("encode"), self.options.min_reliability)?;
        let n_patterns = weights.nrows();
        if reliable.len() < n_patterns {
            let n = n_patterns - reliable.len();
            let message =
                format!("the maps of {n} of {n_patterns} patterns do not come out again: pairs with them are left out");
            bench.warn("unreliable-maps", message);
        }
        let driven = Sets::new(self.driven_voxels(weights).view());
        let joined = Sets::new(codes.mapv(|code| code != 0.0).view());
        let test = self.test(weights, &driven, voxels, networks, bench)?;
        let (dice, iou, jaccard) = (driven.dice(), driven.iou(), joined.iou());
        let series_r = row_correlations(series.t())?;
        let mut pairs = Table::new([
            "k",
            "j",
            "voxel_dice",
            "voxel_iou",
            "null_mean",
            "voxel_dice_p",
            "voxel_dice_q",
            "voxel_dice_fwe_p",
            "unit_jaccard",
            "series_r",
        ]);
        let is_reliable = |pair: &[usize; 2]| pair.iter().all(|pattern| reliable.contains(pattern));
        // The comparison has every pair, first pattern slowest.
        let places: Vec<(usize, [usize; 2])> = (0..n_patterns)
            .flat_map(|k| (k + 1..n_patterns).map(move |j| [k, j]))
            .enumerate()
            .filter(|(_, pair)| is_reliable(pair))
            .collect();
        let tested = |row: usize| test.as_ref().map(|test| &test.pairs[places[row].0]);
        let p: Vec<Option<f64>> = (0..places.len()).map(|row| Some(tested(row)?.dice?.p)).collect();
        let q = crate::math::fdr::benjamini_hochberg(&p)?;
        for (row, &(_, [k, j])) in places.iter().enumerate() {
            pairs.push([
                k.to_string(),
                j.to_string(),
                cell(dice[[k, j]]),
                cell(iou[[k, j]]),
                cell(tested(row).and_then(|pair| Some(pair.dice?.null_mean))),
                cell(p[row]),
                cell(q[row]),
                cell(tested(row).and_then(|pair| pair.family_wise_p)),
                cell(jaccard[[k, j]]),
                cell(series_r[[k, j]]),
            ]);
        }
        pairs.write(&bench.out.join(PAIRS))?;
        let (table, findings) = self.by_network(&driven, test.as_ref(), voxels, networks)?;
        table.write(&bench.out.join(NETWORKS))?;
        let whole = test.as_ref().and_then(|test| test.whole.mean_dice);
        bench.write_json(
            FACTS,
            &RedundancyFacts {
                null: self.options.null,
                n_permutations: self.options.n_permutations,
                seed: self.options.seed,
                driven_share: self.options.driven_share,
                threshold_sd: self.options.threshold_sd,
                mean_dice: whole.map(|whole| whole.observed),
                null_mean_dice: whole.map(|whole| whole.null_mean),
                p: whole.map(|whole| whole.p),
                n_voxels_of_pattern: driven.sizes().to_vec(),
                n_units_of_pattern: joined.sizes().to_vec(),
            },
        )?;
        Ok(findings)
    }

    /// Overlap against chance; absent, with a warning, where there are too few patterns.
    fn test(
        &self,
        weights: ArrayView2<'_, f32>,
        driven: &Sets,
        voxels: &VoxelTable,
        networks: &[Vec<usize>],
        bench: &Workbench<'_>,
    ) -> Result<Option<OverlapComparison>, TaskError> {
        let (null, least) = match self.options.null {
            WrittenNull::Rotations => (OverlapNull::Rotations, 3),
            WrittenNull::Memberships => (OverlapNull::MembershipsWithinGroups, 2),
        };
        let n_maps = driven.sizes().iter().filter(|size| **size > 0).count();
        if n_maps < least {
            bench.warn(
                "few-patterns",
                format!("{n_maps} patterns drive voxels, fewer than the {least} that overlap is told by"),
            );
            return Ok(None);
        }
        let mut groups = vec![Vec::new(); voxels.networks.len()];
        for (column, of_voxel) in networks.iter().enumerate() {
            // The last one is the group of all voxels.
            for network in of_voxel.iter().filter(|network| **network < voxels.networks.len()) {
                groups[*network].push(column);
            }
        }
        let options = OverlapOptions { null, n_draws: self.options.n_permutations, seed: self.options.seed };
        let found = compare_overlap(weights, driven, &groups, options)?;
        for warning in &found.warnings {
            match warning {
                OverlapWarning::MapsWithoutPower { n_maps } => {
                    bench.warn("maps-of-zeros", format!("the maps of {n_maps} patterns are 0 everywhere"));
                }
                OverlapWarning::CoarsePValues { smallest_p } => {
                    bench.warn(
                        "coarse-p-values",
                        format!("no probability below {smallest_p} can come out: raise `n_permutations`"),
                    );
                }
            }
        }
        Ok(Some(found))
    }

    fn by_network(
        &self,
        driven: &Sets,
        test: Option<&OverlapComparison>,
        voxels: &VoxelTable,
        networks: &[Vec<usize>],
    ) -> Result<(Table, Vec<Finding>), TaskError> {
        let n_of_voxel = driven.n_sets_of_element();
        let mut table = Table::new(["network", "n_voxels", "n_driven", "n_shared", "mean_dice"]);
        let mut findings = Vec::new();
        let dice = driven.dice();
        let interval = pair_mean_interval(&dice, |_, _| true, N_DRAWS, self.options.seed, CONFIDENCE)?;
        for (place, network) in network_names(voxels).into_iter().enumerate() {
            let counts: Vec<u32> = networks
                .iter()
                .zip(&n_of_voxel)
                .filter(|(of_voxel, _)| of_voxel.contains(&place))
                .map(|(_, count)| *count)
                .collect();
            let at_least = |n: u32| counts.iter().filter(|count| **count >= n).count();
            let is_whole = network == ALL_NETWORKS;
            let region = test.map(|test| if is_whole { &test.whole } else { &test.groups[place] });
            let mean_dice = region.and_then(|region| region.mean_dice);
            table.push([
                network.to_owned(),
                counts.len().to_string(),
                at_least(1).to_string(),
                at_least(2).to_string(),
                cell(mean_dice.map(|dice| dice.observed)),
            ]);
            let reason = match (counts.len(), at_least(1), test) {
                (0, _, _) => Absent::NoVoxel,
                (_, 0, _) => Absent::NothingDriven,
                _ => Absent::FewPatterns,
            };
            let of = |statistic, comparison: Option<Comparison>| {
                let about = Finding::about(statistic, &self.model, "patterns", network, counts.len());
                compared(about, comparison, reason)
            };
            let mut overlap = of(Statistic::Overlap, mean_dice);
            if let Some(found) = interval.as_ref().filter(|_| is_whole && overlap.value.is_some()) {
                overlap.interval = Some((found.interval[0], found.interval[1]));
            }
            findings.push(overlap);
            findings.push(of(Statistic::SharedVoxels, region.and_then(|region| region.shared_share)));
        }
        Ok((table, findings))
    }

    /// How many dimensions the units of each layer fill, over the training runs.
    fn layers(&self, bench: &Workbench<'_>) -> Result<Table, TaskError> {
        let layers = read_layers(bench.input("patterns"))?;
        let mut parts = Vec::new();
        for modules in bench.inputs("series").chunks(self.n_modules).take(self.n_train_runs) {
            parts.push(used_series(modules, None)?.series);
        }
        let series = super::joined(Axis(0), &parts)?;
        drop(parts);
        let mut table = Table::new(["module", "layer", "n_units", "dimension"]);
        let mut first = 0;
        for (place, (module, layer)) in layers.names.iter().enumerate() {
            let n = layers.of_unit.iter().filter(|of_unit| **of_unit == place).count();
            let units = series.slice(s![.., first..first + n]);
            first += n;
            table.push([module.clone(), layer.clone(), n.to_string(), cell(participation_ratio(units)?)]);
        }
        Ok(table)
    }
}

/// A statistic against its draws, or why it is not there.
fn compared(about: Finding, comparison: Option<Comparison>, reason: Absent) -> Finding {
    match comparison {
        Some(found) => Finding {
            value: Some(found.observed),
            null: Some((found.null_mean, found.null_deviation)),
            p: Some(found.p),
            ..about
        },
        None => about.absent(reason),
    }
}

/// Which voxels each pattern drives: the `share` of them with its largest weights, of either sign; none where all weights are 0.
fn largest_share(weights: ArrayView2<'_, f32>, share: f64) -> Array2<bool> {
    let mut driven = Array2::from_elem(weights.dim(), false);
    let n_driven = ((weights.ncols() as f64 * share).round() as usize).clamp(1, weights.ncols());
    for (map, mut members) in weights.axis_iter(Axis(0)).zip(driven.axis_iter_mut(Axis(0))) {
        let mut order: Vec<usize> = (0..map.len()).collect();
        // Of equal weights the first ones.
        order.select_nth_unstable_by(n_driven - 1, |one, other| {
            map[*other].abs().total_cmp(&map[*one].abs()).then(one.cmp(other))
        });
        order[..n_driven].iter().filter(|voxel| map[**voxel] != 0.0).for_each(|voxel| members[*voxel] = true);
    }
    driven
}

/// Which voxels each pattern drives: weights beyond `threshold_sd` root mean squares of the pattern's map, of either sign.
fn beyond(weights: ArrayView2<'_, f32>, threshold_sd: f64) -> Array2<bool> {
    let mut driven = Array2::from_elem(weights.dim(), false);
    for (map, mut members) in weights.axis_iter(Axis(0)).zip(driven.axis_iter_mut(Axis(0))) {
        let power: f64 = map.iter().map(|weight| f64::from(*weight).powi(2)).sum();
        let threshold = threshold_sd * (power / map.len() as f64).sqrt();
        members
            .iter_mut()
            .zip(&map)
            .for_each(|(member, weight)| *member = threshold > 0.0 && f64::from(*weight).abs() > threshold);
    }
    driven
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_pattern_drives_the_voxels_far_from_zero_on_either_side() {
        let weights = array![[0.1_f32, -3.0, 0.1, 2.0], [0.0, 0.0, 0.0, 0.0]];
        assert_eq!(beyond(weights.view(), 1.0), array![[false, true, false, true], [false, false, false, false]]);
    }

    #[test]
    fn a_pattern_drives_a_share_of_the_voxels_and_none_without_weights() {
        let weights = array![[0.1_f32, -3.0, 0.1, 2.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.5, 1.0]];
        assert_eq!(
            largest_share(weights.view(), 0.5),
            array![[false, true, false, true], [false; 4], [true, true, false, false]]
        );
    }
}
