//! The planted truth as tables beside the data.
//!
//! | file | a row for each | written |
//! |---|---|---|
//! | `planted.tsv` | source | always |
//! | `planted_voxels.tsv` | voxel and source it follows | always |
//! | `planted_specialisation.tsv` | voxel of two branches | where a network has two |
//! | `planted_patterns.tsv` | pattern | where patterns are planted |
//! | `planted_pairs.tsv` | pair of patterns on one set of voxels | where patterns are planted |
//! | `planted_pattern_voxels.tsv` | voxel and pattern it follows | where patterns are planted |
//!
//! Voxels are given by their indices, counted from 0; sources, patterns and sets are counted from 0.

use std::path::Path;

use super::truth::{Branch, PlantedSets, Truth};
use super::{SimulateError, Simulation};
use crate::brain::mask::VoxelTable;
use crate::format::tsv::{MISSING, Table};

/// The tables that are written for a simulation.
pub(super) fn names(simulation: &Simulation) -> Vec<&'static str> {
    let mut names = vec!["planted.tsv", "planted_voxels.tsv"];
    if has_branches(simulation) {
        names.push("planted_specialisation.tsv");
    }
    if simulation.patterns.is_some() {
        names.extend(["planted_patterns.tsv", "planted_pairs.tsv", "planted_pattern_voxels.tsv"]);
    }
    names
}

/// Whether a network follows two branches.
pub(super) fn has_branches(simulation: &Simulation) -> bool {
    simulation.networks.values().any(|planted| planted.also.is_some())
}

impl Truth {
    /// Writes the tables of everything that is planted into a folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, simulation: &Simulation, table: &VoxelTable, folder: &Path) -> Result<(), SimulateError> {
        self.sources_table(simulation, table).write(&folder.join("planted.tsv"))?;
        let columns = ["source", "loading"];
        let voxels = self.voxel_rows(table, columns, |voxel| {
            let row = |(source, loading): &(usize, f64)| [source.to_string(), number(*loading)];
            self.voxels[voxel].loadings.iter().map(row).collect()
        });
        voxels.write(&folder.join("planted_voxels.tsv"))?;
        if has_branches(simulation) {
            let columns = ["share", "specialisation", "branches_r"];
            let voxels = self.voxel_rows(table, columns, |voxel| {
                let mixture = self.voxels[voxel].mixture.iter();
                mixture.map(|of| [of.share, of.specialisation(), of.correlation].map(number)).collect()
            });
            voxels.write(&folder.join("planted_specialisation.tsv"))?;
        }
        if let Some(sets) = &self.sets {
            self.patterns_table(sets).write(&folder.join("planted_patterns.tsv"))?;
            pairs_table(sets).write(&folder.join("planted_pairs.tsv"))?;
            let mut set_of = vec![None; self.voxels.len()];
            for (index, set) in sets.sets.iter().enumerate() {
                set.voxels.iter().for_each(|&voxel| set_of[voxel] = Some(index));
            }
            let voxels = self.voxel_rows(table, ["set", "pattern", "loading"], |voxel| {
                let rows = set_of[voxel].iter().flat_map(|set| {
                    let loadings = self.voxels[voxel].patterns.iter();
                    loadings.map(|(pattern, loading)| [set.to_string(), pattern.to_string(), number(*loading)])
                });
                rows.collect()
            });
            voxels.write(&folder.join("planted_pattern_voxels.tsv"))?;
        }
        Ok(())
    }

    fn sources_table(&self, simulation: &Simulation, table: &VoxelTable) -> Table {
        let list = |values: &mut dyn Iterator<Item = String>| values.collect::<Vec<_>>().join(",");
        let mut rows = Table::new(["source", "network", "module", "layers", "units", "weights"]);
        for (index, source) in self.sources.iter().enumerate() {
            let name = &table.networks[source.network].name;
            let planted = &simulation.networks[name];
            let (module, layers) = match (source.branch, &planted.also) {
                (Branch::Second, Some(also)) => (&also.module, &also.layers),
                _ => (&planted.module, &planted.layers),
            };
            rows.push([
                index.to_string(),
                name.clone(),
                module.clone(),
                list(&mut layers.iter().map(ToString::to_string)),
                list(&mut source.units.iter().map(ToString::to_string)),
                list(&mut source.weights.iter().map(|&weight| number(weight))),
            ]);
        }
        rows
    }

    /// A table of `rows` of every voxel of a network, behind its indices and its network.
    fn voxel_rows<const N: usize>(
        &self,
        table: &VoxelTable,
        columns: [&str; N],
        rows: impl Fn(usize) -> Vec<[String; N]>,
    ) -> Table {
        let mut written = Table::new(["i", "j", "k", "network"].into_iter().chain(columns));
        let places = table.locations.voxels().expect("a simulated brain is a volume");
        for (voxel, (place, networks)) in places.iter().zip(table.membership.rows()).enumerate() {
            let Some(network) = networks.first() else {
                continue;
            };
            let name = &table.networks[*network].name;
            for row in rows(voxel) {
                let front = place.iter().map(ToString::to_string).chain([name.clone()]);
                written.push(front.chain(row));
            }
        }
        written
    }

    fn patterns_table(&self, sets: &PlantedSets) -> Table {
        let missing = || MISSING.to_owned();
        let mut rows = vec![["none".to_owned(), missing(), missing(), "0".to_owned(), missing()]; sets.scales.len()];
        for (index, set) in sets.sets.iter().enumerate() {
            for (place, &(pattern, sign)) in set.patterns.iter().enumerate() {
                let sum: f64 = set.voxels.iter().map(|&voxel| self.voxels[voxel].patterns[place].1).sum();
                rows[pattern] = [
                    set.kind.name().to_owned(),
                    index.to_string(),
                    sign.to_string(),
                    set.voxels.len().to_string(),
                    number(sum / set.voxels.len() as f64),
                ];
            }
        }
        let mut table = Table::new(["pattern", "kind", "set", "sign", "n_voxels", "mean_loading"]);
        for (pattern, row) in rows.into_iter().enumerate() {
            table.push(std::iter::once(pattern.to_string()).chain(row));
        }
        table
    }
}

fn pairs_table(sets: &PlantedSets) -> Table {
    let mut table = Table::new(["k", "j", "kind", "set", "n_voxels", "series_r"]);
    for (index, (pair, set)) in sets.pairs.iter().zip(&sets.sets).enumerate() {
        table.push([
            pair.k.to_string(),
            pair.j.to_string(),
            set.kind.name().to_owned(),
            index.to_string(),
            set.voxels.len().to_string(),
            number(pair.correlation),
        ]);
    }
    table
}

fn number(value: f64) -> String {
    format!("{value:.6}")
}
