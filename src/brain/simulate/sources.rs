//! The units of every source, and which voxel follows which source.
//!
//! Every branch of every network draws from generators of its own, so that no network depends on another one and a second
//! branch leaves the first as it is.

use rand::RngExt;
use rand::seq::SliceRandom;

use super::planting::{Mixing, PlantedNetwork};
use super::truth::{Branch, Mixture, PlantedSource, Truth};
use super::{SimulateError, generator};
use crate::brain::mask::VoxelTable;

/// Loading of a second source beside the first, drawn from this to 1.
const WEAKEST_SECOND_LOADING: f64 = 0.5;

/// The position of a network in a table.
pub(super) fn network(name: &str, table: &VoxelTable) -> Result<usize, SimulateError> {
    table.networks.iter().position(|network| network.name == name).ok_or_else(|| {
        let available = table.networks.iter().map(|network| network.name.clone()).collect();
        SimulateError::UnknownNetwork { name: name.to_owned(), available }
    })
}

/// Adds the sources of a network to the truth, and loadings that are not scaled yet to its voxels.
pub(super) fn plant(
    seed: u64,
    (name, planted): (&str, &PlantedNetwork),
    table: &VoxelTable,
    unit_columns: &[(String, usize)],
    truth: &mut Truth,
) -> Result<(), SimulateError> {
    let network = network(name, table)?;
    let voxels: Vec<usize> =
        table.membership.rows().enumerate().filter(|(_, of)| of.contains(&network)).map(|(voxel, _)| voxel).collect();
    let mut branch = |branch, module: &str, layers: &[usize]| {
        let candidates = candidates(name, module, layers, unit_columns)?;
        let generator = |what| match branch {
            Branch::First => generator(seed, &[what, name]),
            Branch::Second => generator(seed, &[what, name, "also"]),
        };
        let mut rng = generator("sources");
        let first = truth.sources.len();
        for _ in 0..planted.sources {
            let mut units = candidates.clone();
            units.shuffle(&mut rng);
            units.truncate(planted.units_per_source);
            units.sort_unstable();
            let n_negative = (planted.negative_units * units.len() as f64).round() as usize;
            let mut signs: Vec<f64> = (0..units.len()).map(|unit| if unit < n_negative { -1.0 } else { 1.0 }).collect();
            signs.shuffle(&mut rng);
            let weights = signs.into_iter().map(|sign| sign * rng.random_range(0.5..1.5)).collect();
            truth.sources.push(PlantedSource { network, branch, units, weights });
        }
        let mut rng = generator("loadings");
        for &voxel in &voxels {
            let sign = if rng.random_bool(planted.mirrored_voxels) { -1.0 } else { 1.0 };
            let main = rng.random_range(0..planted.sources);
            let loadings = &mut truth.voxels[voxel].loadings;
            loadings.push((first + main, sign));
            // Drawn whether used or not, so that one share can be changed without redrawing the rest.
            let second = rng.random_bool(planted.redundant_voxels);
            let step = 1 + rng.random_range(0..planted.sources.max(2) - 1);
            let loading = sign * rng.random_range(WEAKEST_SECOND_LOADING..1.0);
            if second && planted.sources > 1 {
                loadings.push((first + (main + step) % planted.sources, loading));
            }
        }
        Ok::<(), SimulateError>(())
    };
    branch(Branch::First, &planted.module, &planted.layers)?;
    let Some(also) = &planted.also else {
        return Ok(());
    };
    branch(Branch::Second, &also.module, &also.layers)?;
    let mut rng = generator(seed, &["mixing", name]);
    for voxel in voxels {
        let share = match also.mixing {
            Mixing::Uniform => rng.random_range(0.0..1.0),
            Mixing::Even => 0.5,
        };
        truth.voxels[voxel].mixture = Some(Mixture { share, correlation: 0.0 });
    }
    Ok(())
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
