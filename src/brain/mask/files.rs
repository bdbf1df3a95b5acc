//! The files of a voxel table, and maps from its columns back to volumes.

use std::path::Path;

use super::{Mask, MaskError, VoxelTable};
use crate::brain::atlas::Network;
use crate::format::nifti;
use crate::format::tsv::{MISSING, Table};

impl VoxelTable {
    /// Writes `voxels.tsv`, `networks.tsv` and `mask.nii.gz` into a folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), MaskError> {
        let mut rows = Table::new(["i", "j", "k", "x", "y", "z", "network"]);
        for (&voxel, network) in self.voxels.iter().zip(&self.network) {
            let name = network.map_or(MISSING, |network| &self.networks[network].name);
            let place = self.grid.to_mm(voxel).map(|mm| format!("{}", (mm * 1e3).round() / 1e3 + 0.0));
            rows.push(voxel.map(|index| index.to_string()).into_iter().chain(place).chain([name.to_owned()]));
        }
        rows.write(&folder.join("voxels.tsv"))?;
        let mut rows = Table::new(["network", "n_voxels", "color"]);
        for (network, n_voxels) in self.networks.iter().zip(self.counts()) {
            rows.push([&network.name, &n_voxels.to_string(), network.color.as_deref().unwrap_or(MISSING)]);
        }
        rows.write(&folder.join("networks.tsv"))?;
        let mut inside = vec![0; self.grid.n_voxels()];
        self.offsets().into_iter().for_each(|offset| inside[offset] = 1);
        Ok(nifti::write_labels(&folder.join("mask.nii.gz"), self.grid.shape, self.grid.affine, &inside)?)
    }

    /// Reads back what [`VoxelTable::write`] wrote.
    ///
    /// # Errors
    /// If a file is not readable, or a voxel lies outside the grid, out of order or in an unknown network.
    pub fn read(folder: &Path) -> Result<Self, MaskError> {
        let mask = Mask::read(&folder.join("mask.nii.gz"))?;
        let table = Table::read(&folder.join("networks.tsv"))?;
        let (name, color) = (table.require("network")?, table.require("color")?);
        let networks: Vec<Network> = table
            .rows()
            .iter()
            .map(|row| Network {
                name: row[name].clone(),
                color: Some(row[color].clone()).filter(|text| text != MISSING),
            })
            .collect();

        let table = Table::read(&folder.join("voxels.tsv"))?;
        let network_column = table.require("network")?;
        let [is, js, ks] = [table.integers("i")?, table.integers("j")?, table.integers("k")?];
        let mut voxels: Vec<[usize; 3]> = Vec::with_capacity(table.n_rows());
        let mut network = Vec::with_capacity(table.n_rows());
        for row in 0..table.n_rows() {
            let error =
                |reason: String| MaskError::Row { path: table.path().to_owned(), line: table.line(row), reason };
            let indices = [is[row], js[row], ks[row]].map(|index| index.and_then(|index| usize::try_from(index).ok()));
            let voxel = match indices {
                [Some(i), Some(j), Some(k)] if mask.grid.contains([i, j, k]) => [i, j, k],
                _ => {
                    return Err(error("the voxel lies outside the grid of `mask.nii.gz`".to_owned()));
                }
            };
            if voxels.last().is_some_and(|last| *last >= voxel) {
                return Err(error("the voxels are not in ascending order of i, j, k".to_owned()));
            }
            voxels.push(voxel);
            network.push(match table.rows()[row][network_column].as_str() {
                MISSING => None,
                name => {
                    let known = networks.iter().position(|network| network.name == name);
                    Some(known.ok_or_else(|| error(format!("network `{name}` is not in `networks.tsv`")))?)
                }
            });
        }
        Ok(VoxelTable::with_warnings(mask.grid, voxels, network, networks))
    }

    /// Writes a map: one value per voxel of the table, `fill` where there is none and outside.
    ///
    /// # Errors
    /// If the number of values is not the number of voxels, or the file cannot be written.
    pub fn write_map(&self, path: &Path, values: &[Option<f32>], fill: f32) -> Result<(), MaskError> {
        if values.len() != self.n_voxels() {
            return Err(MaskError::MapLength { path: path.to_owned(), found: values.len(), expected: self.n_voxels() });
        }
        let mut volume = vec![fill; self.grid.n_voxels()];
        for (offset, value) in self.offsets().into_iter().zip(values) {
            volume[offset] = value.unwrap_or(fill);
        }
        Ok(nifti::write_volume(path, self.grid.shape, self.grid.affine, &volume)?)
    }
}
