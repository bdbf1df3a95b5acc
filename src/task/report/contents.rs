//! From artifacts to the page's view model: scores by network and layer, caveats, the tables beside the page.

use super::{
    Gather, GatheredModel, Pair, columns,
    patterns::{polarity_of, redundancy_of},
};
use crate::{
    format::tsv::Table,
    report::{
        BandScore, LayerId, LayerScores, ModuleScores, NetworkScores, Page, PredictionPanel, Severity, Value, Warning,
    },
    task::{
        TaskError, Workbench,
        ceiling::{VoxelCeiling, read_ceilings},
        encode::{BANDS, SCORES, cell, read_scores},
        hierarchy, polarity,
        prediction::{self, by_network, median},
        redundancy,
    },
};
use std::{collections::HashMap, path::Path};

impl Gather {
    /// Scores by network and layer of one pair, on the page and in the table.
    pub(super) fn prediction(
        &self,
        pair: &Pair<'_>,
        bench: &Workbench<'_>,
        page: &mut Page,
        table: &mut Table,
    ) -> Result<(), TaskError> {
        let artifact = &bench.inputs("prediction")[pair.index];
        let found = Table::read(&artifact.join(prediction::SCORES))?;
        for row in found.rows() {
            table.push([pair.subject.to_owned(), pair.model.name.clone()].into_iter().chain(row.iter().cloned()));
        }
        self.keep_table(pair, bench, artifact, prediction::BEST_LAYERS, "best_layers")?;
        let scores = NetworkTable::of(&found)?;
        let networks = &pair.voxels.networks;
        let names: Vec<LayerId> = if self.has_layers { layer_ids(pair.model) } else { Vec::new() };
        let of_layer =
            |name: &LayerId, network: &str| scores.of_names(&format!("{}/{}", name.module, name.layer), network);
        let spreads = self.spreads(pair, bench)?;
        let ceilings = self.ceilings(pair, bench)?;
        let bands = self.bands(pair, bench)?;
        let summary =
            networks.iter().zip(spreads).zip(ceilings).zip(bands).map(|(((network, spread), ceiling), bands)| {
                let of_patterns = scores.of_names(self.main_features(), &network.name);
                // With nothing to predict the best of many layers is chance: no more voxels significant than the rate allows.
                let found = of_patterns.and_then(|scores| scores.significant_share).zip(self.fdr);
                let is_predicted = found.is_none_or(|(share, fdr)| share > fdr);
                let best_layer = names
                    .iter()
                    .filter_map(|name| Some((of_layer(name, &network.name)?.mean?, name)))
                    .max_by(|one, other| one.0.total_cmp(&other.0))
                    .filter(|_| is_predicted)
                    .map(|(_, name)| name.clone());
                let not_asked = "voxels were not predicted from patterns";
                let n_voxels =
                    of_patterns.or_else(|| of_layer(names.first()?, &network.name)).map_or(0, |scores| scores.n_voxels);
                NetworkScores {
                    name: network.name.clone(),
                    n_voxels,
                    median: of_patterns.map_or(Value::absent(not_asked), |scores| value(scores.median, n_voxels)),
                    mean: of_patterns.map_or(Value::absent(not_asked), |scores| value(scores.mean, n_voxels)),
                    significant_share: match (self.fdr, of_patterns) {
                        (Some(_), Some(scores)) => value(scores.significant_share, n_voxels),
                        _ => Value::absent("significance was not asked for"),
                    },
                    best_layer,
                    spread,
                    ceiling,
                    bands,
                }
            });
        let summary: Vec<NetworkScores> = summary.collect();
        let modules = pair.model.modules.iter().map(|(module, of_module)| ModuleScores {
            name: module.clone(),
            layers: of_module
                .iter()
                .map(|layer| {
                    let name = LayerId { module: module.clone(), layer: layer.to_string() };
                    let cell = |network: &str| {
                        let scores = of_layer(&name, network);
                        value(scores.and_then(|scores| scores.mean), scores.map_or(0, |scores| scores.n_voxels))
                    };
                    LayerScores {
                        name: layer.to_string(),
                        cells: networks.iter().map(|network| cell(&network.name)).collect(),
                    }
                })
                .collect(),
        });
        let modules = if self.has_layers { modules.collect() } else { Vec::new() };
        page.prediction.panels.push(PredictionPanel {
            subject: pair.subject.to_owned(),
            model: pair.model.name.clone(),
            networks: summary,
            modules,
        });
        Ok(())
    }

    /// Percentiles of the scores in every network, for the fit on all units at once.
    fn spreads(&self, pair: &Pair<'_>, bench: &Workbench<'_>) -> Result<Vec<Option<[f64; 5]>>, TaskError> {
        let Some(artifact) = self.encode(pair, bench) else { return Ok(vec![None; pair.voxels.networks.len()]) };
        let scores = by_network(pair.voxels, &read_scores(artifact)?);
        Ok(scores.into_iter().map(|of_network| percentiles(of_network.into_iter().flatten().collect())).collect())
    }

    /// How R2 is split among bands in every network; written as a table too.
    fn bands(&self, pair: &Pair<'_>, bench: &Workbench<'_>) -> Result<Vec<Vec<BandScore>>, TaskError> {
        let n_networks = pair.voxels.networks.len();
        let Some(artifact) = self.encode(pair, bench).filter(|_| self.has_bands) else {
            return Ok(vec![Vec::new(); n_networks]);
        };
        let table = bands_by_network(pair, artifact)?;
        let (band, r2) = (table.require("band")?, table.numbers("mean_band_r2")?);
        let mut scores = vec![Vec::new(); n_networks];
        // Every band has a row for each network, in their order.
        for (at, cells) in table.rows().iter().enumerate() {
            let r2 = optional(r2[at], "no voxel of the network could be scored");
            scores[at % n_networks].push(BandScore { name: cells[band].clone(), r2 });
        }
        columns::write(bench, &format!("{}_bands", pair.file_stem()), &table)?;
        Ok(scores)
    }

    /// Mean noise ceiling of every network.
    fn ceilings(&self, pair: &Pair<'_>, bench: &Workbench<'_>) -> Result<Vec<Value>, TaskError> {
        if !self.has_ceiling {
            return Ok(vec![Value::absent("noise ceilings were not asked for"); pair.voxels.networks.len()]);
        }
        let all = read_ceilings(&bench.inputs("ceiling")[pair.index])?;
        let all: Vec<_> = all.iter().map(|row| (row.voxel, row.ceiling)).collect();
        let of_networks = by_network(pair.voxels, &all);
        Ok(of_networks.iter().map(|of_network| optional(mean(of_network), "no voxel has a noise ceiling")).collect())
    }

    /// What else was asked of one pair; tables are laid beside the page.
    pub(super) fn statistics(&self, pair: &Pair<'_>, bench: &Workbench<'_>, page: &mut Page) -> Result<(), TaskError> {
        if self.has_ceiling {
            let table = ceilings_by_network(pair, &bench.inputs("ceiling")[pair.index])?;
            columns::write(bench, &format!("{}_ceilings", pair.file_stem()), &table)?;
        }
        if self.has_redundancy {
            let artifact = &bench.inputs("redundancy")[pair.index];
            self.keep_table(pair, bench, artifact, redundancy::PAIRS, "redundancy_pairs")?;
            self.keep_table(pair, bench, artifact, redundancy::NETWORKS, "redundancy_networks")?;
            self.keep_table(pair, bench, artifact, redundancy::SHARES, "pattern_shares")?;
            self.keep_table(pair, bench, artifact, redundancy::REMOVALS, "removals")?;
            self.keep_table(pair, bench, artifact, redundancy::LAYERS, "layer_dimensions")?;
            page.redundancy.push(redundancy_of(pair, artifact)?);
        }
        if self.has_polarity {
            let artifact = &bench.inputs("polarity")[pair.index];
            self.keep_table(pair, bench, artifact, polarity::PAIRS, "polarity_pairs")?;
            self.keep_table(pair, bench, artifact, polarity::PROFILES, "layer_profiles")?;
            page.polarity.push(polarity_of(pair, artifact)?);
        }
        if self.has_hierarchy {
            let artifact = &bench.inputs("hierarchy")[pair.index];
            self.keep_table(pair, bench, artifact, hierarchy::NETWORKS, "network_depths")?;
        }
        Ok(())
    }

    fn keep_table(
        &self,
        pair: &Pair<'_>,
        bench: &Workbench<'_>,
        artifact: &Path,
        file: &str,
        name: &str,
    ) -> Result<(), TaskError> {
        columns::write(bench, &format!("{}_{name}", pair.file_stem()), &Table::read(&artifact.join(file))?)
    }
}

/// Scores by what voxels were predicted from, and network.
struct NetworkTable {
    rows: HashMap<(String, String), NetworkRow>,
}

#[derive(Clone, Copy)]
struct NetworkRow {
    n_voxels: usize,
    mean: Option<f64>,
    median: Option<f64>,
    significant_share: Option<f64>,
}

impl NetworkTable {
    fn of(table: &Table) -> Result<Self, TaskError> {
        let (features, network) = (table.require("features")?, table.require("network")?);
        let n_voxels = table.counts("n_voxels")?;
        let numbers = |name: &str| table.numbers(name);
        let (mean, median, share) = (numbers("mean_r")?, numbers("median_r")?, numbers("significant_share")?);
        let row = |(at, cells): (usize, &Vec<String>)| {
            let row =
                NetworkRow { n_voxels: n_voxels[at], mean: mean[at], median: median[at], significant_share: share[at] };
            ((cells[features].clone(), cells[network].clone()), row)
        };
        Ok(Self { rows: table.rows().iter().enumerate().map(row).collect() })
    }

    fn of_names(&self, features: &str, network: &str) -> Option<NetworkRow> {
        self.rows.get(&(features.to_owned(), network.to_owned())).copied()
    }
}

/// R2 of every band in every network: mean over its voxels of the share that the band has of the joint prediction's R2.
fn bands_by_network(pair: &Pair<'_>, artifact: &Path) -> Result<Table, TaskError> {
    let (bands, scores) = (Table::read(&artifact.join(BANDS))?, Table::read(&artifact.join(SCORES))?);
    let voxels = bands.counts("voxel")?;
    let by_network =
        |values: Vec<Option<f64>>| by_network(pair.voxels, &voxels.iter().copied().zip(values).collect::<Vec<_>>());
    let joint = by_network(scores.numbers("r2")?);
    let mut table = Table::new(["network", "band", "n_voxels", "mean_band_r2", "mean_r2"]);
    for band in &bands.columns()[1..] {
        let of_band = by_network(bands.numbers(band)?);
        for ((network, shares), r2) in pair.voxels.networks.iter().zip(&of_band).zip(&joint) {
            let n_voxels = shares.len().to_string();
            table.push([network.name.clone(), band.clone(), n_voxels, cell(mean(shares)), cell(mean(r2))]);
        }
    }
    Ok(table)
}

/// Noise ceilings and normalised scores of every network; voxels without a ceiling are counted, not averaged.
fn ceilings_by_network(pair: &Pair<'_>, artifact: &Path) -> Result<Table, TaskError> {
    let all = read_ceilings(artifact)?;
    let of = |part: fn(&VoxelCeiling) -> Option<f64>| {
        by_network(pair.voxels, &all.iter().map(|row| (row.voxel, part(row))).collect::<Vec<_>>())
    };
    let (ceilings, normalised) = (of(|row| row.ceiling), of(|row| row.r_norm));
    let mut table =
        Table::new(["network", "n_voxels", "n_without_ceiling", "mean_ceiling", "mean_r_norm", "median_r_norm"]);
    for ((network, ceilings), r_norm) in pair.voxels.networks.iter().zip(&ceilings).zip(&normalised) {
        let without = ceilings.iter().filter(|ceiling| ceiling.is_none()).count();
        table.push([
            network.name.clone(),
            ceilings.len().to_string(),
            without.to_string(),
            cell(mean(ceilings)),
            cell(mean(r_norm)),
            cell(median(r_norm)),
        ]);
    }
    Ok(table)
}

/// Percentiles 5, 25, 50, 75 and 95, linear between neighbours (Hyndman and Fan 1996, definition 7); absent without any value.
fn percentiles(mut values: Vec<f64>) -> Option<[f64; 5]> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some([0.05, 0.25, 0.5, 0.75, 0.95].map(|share| {
        let place = share * last as f64;
        let (low, high) = (values[place.floor() as usize], values[place.ceil() as usize]);
        low + (high - low) * place.fract()
    }))
}

/// Caveats as the page tells them: equal ones of many tasks in one line.
pub(super) fn grouped(sorted: Vec<(String, String, String)>) -> Vec<Warning> {
    let mut groups: Vec<(String, String, String, usize)> = Vec::new();
    for (place, code, message) in sorted {
        match groups.last_mut() {
            Some(last) if last.0 == place && last.1 == code => last.3 += 1,
            _ => groups.push((place, code, message, 1)),
        }
    }
    groups
        .into_iter()
        .map(|(role, code, message, n)| Warning {
            severity: if code == "empty-network" || code == "events-outside-run" {
                Severity::Serious
            } else {
                Severity::Caution
            },
            place: place_in_words(&role).to_owned(),
            message: match n {
                1 => message,
                2 => format!("{message} (and one more task like it)"),
                _ => format!("{message} (and {} more tasks like it)", n - 1),
            },
        })
        .collect()
}

/// The stage that a role of the report's inputs stands for.
fn place_in_words(role: &str) -> &str {
    match role {
        "encode" => "fits",
        "layers" => "fits on layers",
        "null" => "significance",
        "bold" => "BOLD runs",
        "series" => "unit series",
        "findings" | "prediction" => "findings",
        other => other,
    }
}

fn layer_ids(model: &GatheredModel) -> Vec<LayerId> {
    let of_module = |(module, layers): &(String, Vec<usize>)| {
        layers.iter().map(|layer| LayerId { module: module.clone(), layer: layer.to_string() }).collect::<Vec<_>>()
    };
    model.modules.iter().flat_map(of_module).collect()
}

pub(super) fn index(value: Option<i32>) -> Option<usize> {
    value.and_then(|value| usize::try_from(value).ok())
}

pub(super) fn optional(value: Option<f64>, reason: &str) -> Value {
    value.map_or_else(|| Value::absent(reason), Value::from)
}

fn value(score: Option<f64>, n_voxels: usize) -> Value {
    optional(score, if n_voxels == 0 { "the network has no voxel" } else { "no voxel of the network could be scored" })
}

fn mean(scores: &[Option<f64>]) -> Option<f64> {
    let known: Vec<f64> = scores.iter().copied().flatten().collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_pass_over_absent_scores_and_are_absent_without_any() {
        let scores = [Some(0.1), None, Some(0.5), Some(0.3), Some(0.2)];
        assert!((mean(&scores).expect("four scores") - 0.275).abs() < 1e-12);
        assert_eq!(mean(&[None]), None);
    }

    #[test]
    fn percentiles_lie_between_neighbours() {
        assert_eq!(percentiles(vec![]), None);
        assert_eq!(percentiles(vec![2.0]), Some([2.0; 5]));
        let found = percentiles((0..=100).rev().map(f64::from).collect()).expect("values");
        assert_eq!(found, [5.0, 25.0, 50.0, 75.0, 95.0]);
        assert_eq!(percentiles(vec![0.0, 1.0]).expect("values")[1], 0.25);
    }

    #[test]
    fn equal_caveats_of_many_tasks_are_told_once() {
        let same = |message: &str| ("bold".to_owned(), "constant-voxels".to_owned(), message.to_owned());
        let told = grouped(vec![same("3 voxels"), same("4 voxels")]);
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].place.as_str(), told[0].message.as_str()),
            ("BOLD runs", "3 voxels (and one more task like it)")
        );
    }
}
