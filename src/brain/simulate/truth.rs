//! What a simulation plants: sources of units, and which voxel follows which source.
//!
//! Everything here depends on the seed and the names of the networks alone, so all subjects of a study share it. It is
//! written beside the data as `planted.tsv` and `planted_voxels.tsv`, where tests and reports find the right answer.

use std::path::Path;

use ndarray::{Array2, ArrayView2, Axis};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};

use super::{SimulateError, SimulatedRun, Simulation, generator};
use crate::brain::mask::VoxelTable;
use crate::format::tsv::Table;

/// Loading of a second source beside the first, drawn from this to 1.
const WEAKEST_SECOND_LOADING: f64 = 0.5;

/// A weighted sum of units.
#[derive(Debug, Clone, PartialEq)]
pub struct PlantedSource {
    /// The network whose voxels may follow it, as position in the voxel table's networks.
    pub network: usize,
    /// Columns of the unit matrix, ascending.
    pub units: Vec<usize>,
    /// Their weights; absolute values from 0.5 to 1.5.
    pub weights: Vec<f64>,
}

/// What one voxel follows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlantedVoxel {
    /// Sources with their loadings, after scaling to unit variance; empty for a voxel of noise.
    pub loadings: Vec<(usize, f64)>,
}

/// Everything that was planted.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// The sources of all networks.
    pub sources: Vec<PlantedSource>,
    /// What each voxel of the table follows.
    pub voxels: Vec<PlantedVoxel>,
}

impl Truth {
    /// Draws sources and loadings for the voxels of `table` and scales them over all runs.
    ///
    /// # Errors
    /// If a network is not in the table or follows units that are not there.
    pub fn draw(
        simulation: &Simulation,
        table: &VoxelTable,
        unit_columns: &[(String, usize)],
        runs: &[SimulatedRun<'_>],
    ) -> Result<Self, SimulateError> {
        let mut sources = Vec::new();
        let mut voxels = vec![PlantedVoxel::default(); table.n_voxels()];
        for (name, planted) in &simulation.networks {
            let network = table.networks.iter().position(|network| network.name == *name).ok_or_else(|| {
                let available = table.networks.iter().map(|network| network.name.clone()).collect();
                SimulateError::UnknownNetwork { name: name.clone(), available }
            })?;
            let candidates = candidates(name, &planted.module, &planted.layers, unit_columns)?;
            let mut rng = generator(simulation.seed, &["sources", name]);
            let first = sources.len();
            for _ in 0..planted.sources {
                let mut units = candidates.clone();
                units.shuffle(&mut rng);
                units.truncate(planted.units_per_source);
                units.sort_unstable();
                let n_negative = (planted.negative_units * units.len() as f64).round() as usize;
                let mut signs: Vec<f64> =
                    (0..units.len()).map(|unit| if unit < n_negative { -1.0 } else { 1.0 }).collect();
                signs.shuffle(&mut rng);
                let weights = signs.into_iter().map(|sign| sign * rng.random_range(0.5..1.5)).collect();
                sources.push(PlantedSource { network, units, weights });
            }
            let mut rng = generator(simulation.seed, &["loadings", name]);
            for (voxel, _) in table.membership.rows().enumerate().filter(|(_, of)| of.contains(&network)) {
                let sign = if rng.random_bool(planted.mirrored_voxels) { -1.0 } else { 1.0 };
                let main = rng.random_range(0..planted.sources);
                voxels[voxel].loadings.push((first + main, sign));
                // Drawn whether used or not, so that one share can be changed without redrawing the rest.
                let second = rng.random_bool(planted.redundant_voxels);
                let step = 1 + rng.random_range(0..planted.sources.max(2) - 1);
                let loading = sign * rng.random_range(WEAKEST_SECOND_LOADING..1.0);
                if second && planted.sources > 1 {
                    voxels[voxel].loadings.push((first + (main + step) % planted.sources, loading));
                }
            }
        }
        let mut truth = Truth { sources, voxels };
        truth.scale(runs);
        Ok(truth)
    }

    /// The series of every source in one run (n_tr x n_sources).
    pub fn source_series(&self, units: ArrayView2<'_, f32>) -> Array2<f64> {
        let mut series = Array2::zeros((units.nrows(), self.sources.len()));
        for (mut column, source) in series.columns_mut().into_iter().zip(&self.sources) {
            for (&unit, &weight) in source.units.iter().zip(&source.weights) {
                column.zip_mut_with(&units.column(unit), |sum, &value| *sum += weight * f64::from(value));
            }
        }
        series
    }

    /// Scales the loadings of every voxel so that its signal has variance 1 over all runs together.
    ///
    /// A voxel whose signal does not vary at all (dead units) is left without loadings: it is noise.
    fn scale(&mut self, runs: &[SimulatedRun<'_>]) {
        let mut covariance = Array2::<f64>::zeros((self.sources.len(), self.sources.len()));
        let mut n_samples = 0.0;
        let series: Vec<Array2<f64>> = runs.iter().map(|run| self.source_series(run.units)).collect();
        let n_total: usize = series.iter().map(Array2::nrows).sum();
        let mean = series
            .iter()
            .fold(ndarray::Array1::<f64>::zeros(self.sources.len()), |sum, run| sum + run.sum_axis(Axis(0)))
            / n_total.max(1) as f64;
        for run in &series {
            for row in run.rows() {
                let centred = &row - &mean;
                for (a, mut products) in covariance.rows_mut().into_iter().enumerate() {
                    products.scaled_add(centred[a], &centred);
                }
                n_samples += 1.0;
            }
        }
        for voxel in &mut self.voxels {
            let pairs = voxel.loadings.iter().flat_map(|a| voxel.loadings.iter().map(move |b| (a, b)));
            let variance: f64 = pairs.map(|((a, x), (b, y))| x * y * covariance[[*a, *b]] / n_samples).sum();
            if variance > 1e-12 {
                voxel.loadings.iter_mut().for_each(|(_, loading)| *loading /= variance.sqrt());
            } else {
                voxel.loadings.clear();
            }
        }
    }

    /// Writes `planted.tsv` (a row per source) and `planted_voxels.tsv` (a row per voxel and source).
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, simulation: &Simulation, table: &VoxelTable, folder: &Path) -> Result<(), SimulateError> {
        let list = |values: &mut dyn Iterator<Item = String>| values.collect::<Vec<_>>().join(",");
        let mut rows = Table::new(["source", "network", "module", "layers", "units", "weights"]);
        for (index, source) in self.sources.iter().enumerate() {
            let name = &table.networks[source.network].name;
            let planted = &simulation.networks[name];
            rows.push([
                index.to_string(),
                name.clone(),
                planted.module.clone(),
                list(&mut planted.layers.iter().map(ToString::to_string)),
                list(&mut source.units.iter().map(ToString::to_string)),
                list(&mut source.weights.iter().map(|weight| format!("{weight:.6}"))),
            ]);
        }
        rows.write(&folder.join("planted.tsv"))?;
        let mut rows = Table::new(["i", "j", "k", "network", "source", "loading"]);
        let places = table.locations.voxels().expect("a simulated brain is a volume");
        for ((voxel, planted), networks) in places.iter().zip(&self.voxels).zip(table.membership.rows()) {
            let (Some(network), [i, j, k]) = (networks.first(), voxel.map(|index| index.to_string())) else {
                continue;
            };
            for (source, loading) in &planted.loadings {
                let name = table.networks[*network].name.clone();
                rows.push([i.clone(), j.clone(), k.clone(), name, source.to_string(), format!("{loading:.6}")]);
            }
        }
        Ok(rows.write(&folder.join("planted_voxels.tsv"))?)
    }
}

fn candidates(
    network: &str,
    module: &str,
    layers: &[usize],
    unit_columns: &[(String, usize)],
) -> Result<Vec<usize>, SimulateError> {
    let of_layer = |layer: usize| {
        let column = move |(_, (name, of)): &(usize, &(String, usize))| name == module && *of == layer;
        unit_columns.iter().enumerate().filter(column).map(|(column, _)| column)
    };
    if let Some(&layer) = layers.iter().find(|&&layer| of_layer(layer).next().is_none()) {
        let mut available: Vec<(&String, usize)> = unit_columns.iter().map(|(name, layer)| (name, *layer)).collect();
        available.sort();
        available.dedup();
        let available = available.into_iter().map(|(name, layer)| format!("`{name}` {layer}")).collect();
        return Err(SimulateError::NoUnits {
            network: network.to_owned(),
            module: module.to_owned(),
            layer,
            available,
        });
    }
    let mut columns: Vec<usize> = layers.iter().flat_map(|&layer| of_layer(layer)).collect();
    columns.sort_unstable();
    columns.dedup();
    Ok(columns)
}

/// A standard normal draw.
pub(super) fn normal(rng: &mut rand_chacha::ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}
