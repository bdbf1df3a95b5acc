//! Whether deeper layers predict networks further along the cortex: the depth of the layers that predict a network, voxel by voxel
//! and for the network as a whole, and its rank correlation with the study's order of networks.

use super::{
    Compute, Kind, TaskError, Workbench,
    encode::{cell, read_scores},
    evidence::{FitBlocks, read_blocks},
    finding::{self, ALL_NETWORKS, Absent, CONFIDENCE, Finding, Statistic},
    prediction::{by_network, draws_of, median},
};
use crate::{
    brain::mask::VoxelTable,
    format::tsv::Table,
    math::{
        evidence::BlockDraws,
        hierarchy::{from_draws, preferred, rank_trend},
    },
    spec::written::Hierarchy,
};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// The layer that predicts each voxel best, and the mean depth of its layers weighted by their scores.
pub const VOXELS: &str = "preferred_layers.tsv";
/// Permutations of networks, where there are too many of them for all.
const N_PERMUTATIONS: usize = 10_000;
/// The same for each network.
pub const NETWORKS: &str = "network_depths.tsv";

/// The fits on layers of one subject and one model. Inputs: `voxels`; `layers`, module by module.
#[derive(Debug, Serialize, Deserialize)]
pub struct MeasureHierarchy {
    /// The order of networks.
    #[serde(rename = "statistics.hierarchy")]
    pub options: Hierarchy,
    /// The model.
    pub model: String,
    /// Modules with their layers.
    pub modules: Vec<(String, Vec<usize>)>,
    /// Voxels of the brain.
    #[serde(rename = "~n_voxels")] // follows from the inputs
    pub n_voxels: usize,
}

/// The fits on the layers of one module.
struct OfModule<'a> {
    name: &'a str,
    layers: &'a [usize],
    blocks: Vec<FitBlocks>,
    /// Depth of each layer, from 0 for the first to 1 for the last.
    depth: Vec<f64>,
}

impl Compute for MeasureHierarchy {
    const KIND: Kind = Kind::Hierarchy;

    fn memory_bytes(&self) -> u64 {
        let n_layers: usize = self.modules.iter().map(|(_, layers)| layers.len()).sum();
        (self.n_voxels * (n_layers * 24 + 200)) as u64 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let voxels = VoxelTable::read(bench.input("voxels"))?;
        let place_of = |name: &String| voxels.networks.iter().position(|network| network.name == *name);
        let ordered: Vec<Option<usize>> = self.options.order.iter().map(place_of).collect();
        for (name, _) in self.options.order.iter().zip(&ordered).filter(|(_, place)| place.is_none()) {
            bench.warn(
                "unknown-network",
                format!("`{name}` stands in the order of networks, but the atlas has no such network"),
            );
        }
        let mut of_voxels = Table::new(["voxel", "module", "layer", "depth"]);
        let mut of_networks = Table::new(["module", "network", "order", "n_voxels", "depth", "median_voxel_depth"]);
        let mut findings = Vec::new();
        let mut first = 0;
        for (module, layers) in &self.modules {
            let artifacts = &bench.inputs("layers")[first..first + layers.len()];
            first += layers.len();
            let of_module = OfModule {
                name: module,
                layers,
                blocks: artifacts.iter().map(|artifact| read_blocks(artifact)).collect::<Result<_, _>>()?,
                depth: depths(layers.len()),
            };
            let scores = artifacts.iter().map(|artifact| read_scores(artifact)).collect::<Result<Vec<_>, _>>()?;
            let rows: Vec<usize> = scores[0].iter().map(|(voxel, _)| *voxel).collect();
            let matrix = Array2::from_shape_fn((layers.len(), rows.len()), |(layer, row)| scores[layer][row].1);
            let found = preferred(matrix.view(), &of_module.depth)?;
            for (row, voxel) in rows.iter().enumerate() {
                let layer = found[row].map_or_else(|| cell(None), |found| layers[found.layer].to_string());
                of_voxels.push([
                    voxel.to_string(),
                    module.clone(),
                    layer,
                    cell(found[row].map(|found| found.centroid)),
                ]);
            }
            let depth_of_voxel: Vec<_> =
                rows.iter().zip(&found).map(|(voxel, found)| (*voxel, found.map(|found| found.centroid))).collect();
            let by_network = by_network(&voxels, &depth_of_voxel);
            let depths: Vec<Option<f64>> =
                (0..voxels.networks.len()).map(|place| of_module.network_depth(place)).collect::<Result<_, _>>()?;
            for (place, network) in voxels.networks.iter().enumerate() {
                let order = ordered.iter().position(|ordered| *ordered == Some(place));
                of_networks.push([
                    module.clone(),
                    network.name.clone(),
                    order.map_or_else(|| cell(None), |order| order.to_string()),
                    by_network[place].len().to_string(),
                    cell(depths[place]),
                    cell(median(&by_network[place])),
                ]);
            }
            findings.push(self.trend(&of_module, &ordered, &depths)?);
            bench.step(first, bench.inputs("layers").len())?;
        }
        of_voxels.write(&bench.out.join(VOXELS))?;
        of_networks.write(&bench.out.join(NETWORKS))?;
        finding::write(bench, findings)?;
        Ok(())
    }
}

impl MeasureHierarchy {
    fn trend(
        &self,
        module: &OfModule<'_>,
        ordered: &[Option<usize>],
        depths: &[Option<f64>],
    ) -> Result<Finding, TaskError> {
        let known: Vec<(f64, usize)> =
            ordered.iter().enumerate().filter_map(|(order, place)| Some((order as f64, (*place)?))).collect();
        let order: Vec<f64> = known.iter().map(|(order, _)| *order).collect();
        let of_networks = |depths: &[Option<f64>]| known.iter().map(|(_, place)| depths[*place]).collect::<Vec<_>>();
        let n = of_networks(depths).iter().flatten().count();
        let about = Finding::about(Statistic::Hierarchy, &self.model, module.name, ALL_NETWORKS, n);
        if module.layers.len() < 2 {
            return Ok(about.absent(Absent::FewLayers));
        }
        let Ok(trend) = rank_trend(&order, &of_networks(depths), N_PERMUTATIONS, self.options.seed)? else {
            return Ok(about.absent(Absent::FewNetworks));
        };
        // The standard deviation of Spearman's rho over all permutations without ties.
        let null_sd = ((n - 1) as f64).sqrt().recip();
        let mut found = Finding { value: Some(trend.rho), p: Some(trend.rho_p), null: Some((0.0, null_sd)), ..about };
        let draws = module.blocks.first().map(draws_of).transpose()?.flatten();
        match draws {
            Some(draws) => {
                let drawn: Vec<Option<f64>> =
                    module.depths_in_draws(&draws)?.iter().flat_map(|depths| of_networks(depths)).collect();
                let drawn = Array2::from_shape_vec((drawn.len() / order.len().max(1), order.len()), drawn)
                    .expect("each draw has every network of the order");
                let rhos = from_draws(&order, drawn.view())?;
                found.interval = percentiles(rhos.iter().flatten().copied().collect(), rhos.len());
            }
            None => found.absent = Some(Absent::FewBlocks),
        }
        Ok(found)
    }
}

impl OfModule<'_> {
    /// Depth of the layers that predict a network, weighted by the mean correlation of each where it is above 0.
    fn network_depth(&self, network: usize) -> Result<Option<f64>, TaskError> {
        let scores = Array2::from_shape_fn((self.layers.len(), 1), |(layer, _)| self.blocks[layer].mean_r(network));
        Ok(preferred(scores.view(), &self.depth)?[0].map(|found| found.centroid))
    }

    /// The same for all networks in every draw of blocks of test time.
    fn depths_in_draws(&self, draws: &BlockDraws) -> Result<Vec<Vec<Option<f64>>>, TaskError> {
        let totals = self
            .blocks
            .iter()
            .map(|blocks| Ok(draws.totals(blocks.correlation.view())?))
            .collect::<Result<Vec<_>, TaskError>>()?;
        let n_networks = self.blocks[0].n_voxels.len();
        (0..totals.first().map_or(0, Array2::nrows))
            .map(|draw| {
                let scores = Array2::from_shape_fn((self.layers.len(), n_networks), |(layer, network)| {
                    (self.blocks[layer].n_voxels[network] > 0).then(|| totals[layer][[draw, network]])
                });
                Ok(preferred(scores.view(), &self.depth)?.into_iter().map(|found| Some(found?.centroid)).collect())
            })
            .collect()
    }
}

/// Depths of so many layers, evenly from 0 to 1.
fn depths(n_layers: usize) -> Vec<f64> {
    (0..n_layers).map(|layer| layer as f64 / n_layers.saturating_sub(1).max(1) as f64).collect()
}

/// The middle of the draws that have a value, if nearly all of them have.
pub(super) fn percentiles(mut values: Vec<f64>, n_draws: usize) -> Option<(f64, f64)> {
    if values.is_empty() || values.len() * 10 < n_draws * 9 {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    Some((at((1.0 - CONFIDENCE) / 2.0), at((1.0 + CONFIDENCE) / 2.0)))
}
