//! How well patterns and layers predict each network: means with intervals and chance, shares of significant voxels, best layers.
//!
//! Reads what fits left behind (`evidence.rs`) and fits nothing: another false discovery rate takes seconds.

use super::{
    Compute, Kind, TaskError, Workbench,
    encode::{cell, read_scores},
    evidence::{FitBlocks, network_names, networks_of, read_blocks, read_network_null, read_significance},
    finding::{self, Absent, CONFIDENCE, Finding, N_DRAWS, Statistic},
};
use crate::{
    brain::mask::VoxelTable,
    format::tsv::Table,
    math::evidence::{BlockDraws, FEW_BLOCKS},
};
use ndarray::{Array2, s};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Scores of patterns and of each layer in every network.
pub const SCORES: &str = "prediction.tsv";
/// The layer of each module that predicts a network best.
pub const BEST_LAYERS: &str = "best_layers.tsv";

/// Seed of the draws of blocks behind every interval: the same for all fits, so that differences are paired.
pub(super) const SEED: u64 = 0;

/// The fits of one subject and one model. Inputs: `voxels`; `encode` and `null` of the fit on patterns or bands, if there is one;
/// `layers`, module by module.
#[derive(Debug, Serialize, Deserialize)]
pub struct MeasurePrediction {
    /// The model.
    pub model: String,
    /// Whether the fit `encode` is on bands.
    pub has_bands: bool,
    /// Modules with the layers that were fitted, none where no layer was.
    pub modules: Vec<(String, Vec<usize>)>,
    /// False discovery rate, if voxels were tested.
    #[serde(rename = "statistics.significance.fdr")]
    pub fdr: Option<f64>,
    /// Voxels of the brain.
    #[serde(rename = "~n_voxels")] // follows from the inputs
    pub n_voxels: usize,
}

/// A fit, read.
struct Fit {
    features: String,
    blocks: FitBlocks,
    null: Option<Array2<f64>>,
    /// Scores of each network's voxels.
    scores: Vec<Vec<Option<f64>>>,
    /// Share of each network's voxels that are predicted significantly.
    significant: Option<Vec<Option<f64>>>,
}

impl Compute for MeasurePrediction {
    const KIND: Kind = Kind::Prediction;

    fn memory_bytes(&self) -> u64 {
        (self.n_voxels * 400) as u64 + (128 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let voxels = VoxelTable::read(bench.input("voxels"))?;
        let mut fits = Vec::new();
        let names = self
            .modules
            .iter()
            .flat_map(|(module, layers)| layers.iter().map(move |layer| format!("{module}/{layer}")));
        if let Some(encode) = bench.inputs("encode").first() {
            let features = if self.has_bands { "bands" } else { "patterns" };
            let tests = bench.inputs("null").first().unwrap_or(encode);
            fits.push(self.read(features.to_owned(), encode, tests, &voxels)?);
        }
        let n_before = fits.len();
        for (features, layer) in names.zip(bench.inputs("layers")) {
            fits.push(self.read(features, layer, layer, &voxels)?);
            bench.step(fits.len(), n_before + bench.inputs("layers").len() + 1)?;
        }
        let draws = fits.first().map(|fit| draws_of(&fit.blocks)).transpose()?.flatten();
        let networks = network_names(&voxels);
        let mut findings = Vec::new();
        for fit in &fits {
            findings.extend(self.findings(fit, &networks, draws.as_ref())?);
        }
        let findings = finding::write(bench, findings)?;
        let mut table = Table::new(COLUMNS);
        let per_fit = networks.len();
        for (row, found) in findings.iter().enumerate() {
            let (fit, network) = (&fits[row / per_fit], row % per_fit);
            let (low, high) = found.interval.unzip();
            let (null_mean, null_sd) = found.null.unzip();
            let significant = fit.significant.as_ref().and_then(|shares| shares[network]);
            table.push([
                found.part.clone(),
                found.network.clone(),
                found.n.to_string(),
                cell(found.value),
                cell(median(&fit.scores[network])),
                cell(low),
                cell(high),
                cell(null_mean),
                cell(null_sd),
                cell(found.p),
                cell(found.q),
                cell(significant),
            ]);
        }
        table.write(&bench.out.join(SCORES))?;
        self.best_layers(&fits[n_before..], &voxels, draws.as_ref())?.write(&bench.out.join(BEST_LAYERS))?;
        Ok(())
    }
}

/// Columns of [`SCORES`].
pub(super) const COLUMNS: [&str; 12] = [
    "features",
    "network",
    "n_voxels",
    "mean_r",
    "median_r",
    "low",
    "high",
    "null_mean",
    "null_sd",
    "p",
    "q",
    "significant_share",
];

impl MeasurePrediction {
    fn read(&self, features: String, fit: &Path, tests: &Path, voxels: &VoxelTable) -> Result<Fit, TaskError> {
        let scores = by_network(voxels, &read_scores(fit)?);
        let share = |q: &Vec<Option<f64>>, fdr: f64| {
            (!q.is_empty()).then(|| q.iter().flatten().filter(|q| **q <= fdr).count() as f64 / q.len() as f64)
        };
        let significant = read_significance(tests)?
            .zip(self.fdr)
            .map(|(q, fdr)| by_network(voxels, &q).iter().map(|q| share(q, fdr)).collect());
        Ok(Fit { features, blocks: read_blocks(fit)?, null: read_network_null(tests)?, scores, significant })
    }

    fn findings(&self, fit: &Fit, networks: &[&str], draws: Option<&BlockDraws>) -> Result<Vec<Finding>, TaskError> {
        let intervals = intervals(&fit.blocks.correlation, draws)?;
        let mut findings = Vec::new();
        for (place, network) in networks.iter().enumerate() {
            let n = fit.scores[place].len();
            let about = Finding::about(Statistic::Prediction, &self.model, fit.features.clone(), network, n);
            let Some(mean) = fit.blocks.mean_r(place) else {
                findings.push(about.absent(Absent::NoVoxel));
                continue;
            };
            let mut found = Finding { value: Some(mean), interval: intervals[place], ..about };
            if let Some(null) = &fit.null {
                let null = null.column(place);
                let n = null.len() as f64;
                let centre = null.sum() / n;
                let deviation = (null.iter().map(|draw| (draw - centre).powi(2)).sum::<f64>() / n).sqrt();
                found.null = Some((centre, deviation));
                found.p = Some(probability(null.iter().copied(), mean));
            }
            if draws.is_none() {
                found.absent = Some(Absent::FewBlocks);
            }
            findings.push(found);
        }
        Ok(findings)
    }

    /// The best layer of each module for each network, with how sure that is: how often the same layer is best when blocks of test time
    /// are drawn anew, and the probability of a layer as good as it among as many by chance.
    fn best_layers(&self, fits: &[Fit], voxels: &VoxelTable, draws: Option<&BlockDraws>) -> Result<Table, TaskError> {
        let mut table =
            Table::new(["module", "network", "best_layer", "mean_r", "p", "stability", "low_layer", "high_layer"]);
        let mut first = 0;
        for (module, layers) in &self.modules {
            let of_module = &fits[first..first + layers.len()];
            first += layers.len();
            for (place, network) in voxels.networks.iter().enumerate() {
                let best = of_module
                    .iter()
                    .enumerate()
                    .filter_map(|(layer, fit)| Some((layer, fit.blocks.mean_r(place)?)))
                    // The first of equals.
                    .fold(None, |best: Option<(usize, f64)>, (layer, r)| match best {
                        Some((_, highest)) if highest >= r => best,
                        _ => Some((layer, r)),
                    });
                let p = best.and_then(|(_, r)| best_by_chance(of_module, place, r));
                let drawn = match (best, draws) {
                    (Some(_), Some(draws)) => Some(best_in_draws(of_module, place, draws)?),
                    _ => None,
                };
                let stability = best.zip(drawn.as_ref()).map(|((best, _), drawn)| {
                    drawn.iter().filter(|layer| **layer == best).count() as f64 / drawn.len() as f64
                });
                let quantile = |share: f64| {
                    let drawn = drawn.as_ref()?;
                    let place = ((drawn.len() - 1) as f64 * share).round() as usize;
                    Some(layers[drawn[place]].to_string())
                };
                let or_missing = |text: Option<String>| text.unwrap_or_else(|| cell(None));
                table.push([
                    module.clone(),
                    network.name.clone(),
                    or_missing(best.map(|(layer, _)| layers[layer].to_string())),
                    cell(best.map(|(_, r)| r)),
                    cell(p),
                    cell(stability),
                    or_missing(quantile((1.0 - CONFIDENCE) / 2.0)),
                    or_missing(quantile((1.0 + CONFIDENCE) / 2.0)),
                ]);
            }
        }
        Ok(table)
    }
}

/// Draws of blocks of test time, absent where there are too few blocks.
pub(super) fn draws_of(blocks: &FitBlocks) -> Result<Option<BlockDraws>, TaskError> {
    let n_blocks = blocks.correlation.nrows();
    Ok(if n_blocks < FEW_BLOCKS { None } else { Some(BlockDraws::new(n_blocks, N_DRAWS, SEED)?) })
}

/// The interval of the sum of each column of contributions (blocks x columns), where there is one.
pub(super) fn intervals(
    contributions: &Array2<f64>,
    draws: Option<&BlockDraws>,
) -> Result<Vec<Option<(f64, f64)>>, TaskError> {
    let Some(draws) = draws else { return Ok(vec![None; contributions.ncols()]) };
    let observed: Vec<f64> = contributions.columns().into_iter().map(|column| column.sum()).collect();
    let found = draws.intervals(draws.totals(contributions.view())?.view(), &observed, CONFIDENCE)?;
    Ok(found.into_iter().map(|interval| interval.ok().map(|interval| (interval.low, interval.high))).collect())
}

/// One-sided probability; the observed order counts as one draw (Phipson and Smyth 2010), and ties count against the finding.
fn probability(null: impl Iterator<Item = f64>, observed: f64) -> f64 {
    let (n, n_as_high) =
        null.fold((0_usize, 0_usize), |(n, as_high), draw| (n + 1, as_high + usize::from(draw >= observed - 1e-7)));
    (1 + n_as_high) as f64 / (1 + n) as f64
}

/// Probability that the best of these layers is as good by chance: all layers are compared with the same rearrangements.
fn best_by_chance(layers: &[Fit], network: usize, observed: f64) -> Option<f64> {
    let nulls: Vec<_> = layers.iter().map(|fit| Some(fit.null.as_ref()?.column(network))).collect::<Option<_>>()?;
    let n = nulls.first()?.len();
    let highest = (0..n).map(|draw| nulls.iter().map(|null| null[draw]).fold(f64::NEG_INFINITY, f64::max));
    Some(probability(highest, observed))
}

/// The best layer in each draw of blocks, ascending.
fn best_in_draws(layers: &[Fit], network: usize, draws: &BlockDraws) -> Result<Vec<usize>, TaskError> {
    let totals = layers
        .iter()
        .map(|fit| Ok(draws.totals(fit.blocks.correlation.slice(s![.., network..network + 1]))?))
        .collect::<Result<Vec<_>, TaskError>>()?;
    let best = |draw: usize| {
        let mut best = 0;
        for (layer, of_layer) in totals.iter().enumerate() {
            if of_layer[[draw, 0]] > totals[best][[draw, 0]] {
                best = layer;
            }
        }
        best
    };
    let mut all: Vec<usize> = (0..totals.first().map_or(0, Array2::nrows)).map(best).collect();
    all.sort_unstable();
    Ok(all)
}

/// Values of voxels by network, in the order of the table of voxels, and behind them those of all voxels.
pub(super) fn by_network(voxels: &VoxelTable, values: &[(usize, Option<f64>)]) -> Vec<Vec<Option<f64>>> {
    let mut grouped = vec![Vec::new(); voxels.networks.len() + 1];
    let rows: Vec<usize> = values.iter().map(|(voxel, _)| *voxel).collect();
    for (networks, (_, value)) in networks_of(voxels, &rows).iter().zip(values) {
        networks.iter().for_each(|network| grouped[*network].push(*value));
    }
    grouped
}

/// The median of the values that are there.
pub(super) fn median(values: &[Option<f64>]) -> Option<f64> {
    let mut known: Vec<f64> = values.iter().copied().flatten().collect();
    known.sort_by(f64::total_cmp);
    let middle = known.len() / 2;
    match known.len() {
        0 => None,
        n if n % 2 == 1 => Some(known[middle]),
        _ => Some(0.5 * (known[middle - 1] + known[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_with_chance_count_against_a_finding() {
        assert_eq!(probability([0.1, 0.2, 0.3].into_iter(), 0.3), 0.5);
        assert_eq!(probability([0.1, 0.2, 0.3].into_iter(), 0.4), 0.25);
    }

    #[test]
    fn a_median_passes_over_what_is_absent() {
        assert_eq!(median(&[Some(0.1), None, Some(0.5), Some(0.3), Some(0.2)]), Some(0.25));
        assert_eq!(median(&[None]), None);
    }
}
