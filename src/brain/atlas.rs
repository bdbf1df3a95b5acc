//! Atlases: labels or probability maps whose parcels belong to functional networks.
//!
//! Owns the reading of an image with its table and the networks of every voxel on the grid of the data ([`Atlas`]).
//!
//! | module | question it answers |
//! |---|---|
//! | [`table`] | which labels have which names, whatever format says so? |
//! | [`grouping`] | which parcels make one network? |
//! | [`names`] | which network does a parcel's name tell? |
//! | [`maps`] | where is a map of probabilities above its threshold? |
//! | [`surface`] | what do the labels of a CIFTI file say of the places of another? |
//! | [`schematic`] | what if there is no atlas? |
//!
//! Does not know which voxels are studied: see [`super::mask`]. Networks are changed after they lie on the grid of the
//! data: see [`super::regions`]. Whether atlas and data are in one space is asked in [`super::space`].

mod error;
pub mod grouping;
pub mod maps;
pub mod names;
pub mod schematic;
pub mod surface;
pub mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use error::{AtlasError, AtlasWarning};
pub use grouping::Grouping;

use super::grid::{Grid, resample_labels};
use super::membership::{Membership, check_names};
use crate::format::nifti;
use crate::format::tsv::{MISSING, Table};
use maps::ProbabilityMaps;
use table::{LabelEntry, LabelTable, TableFormat};

/// One region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// The label in the image, or the volume counted from 0 among probability maps.
    pub index: i32,
    /// Its name.
    pub name: String,
    /// Its network, as position in [`Atlas::networks`]; absent where the table says `n/a`.
    pub network: Option<usize>,
}

/// One functional network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its colour as `#rrggbb`, from its first parcel that has one.
    pub color: Option<String>,
}

/// How an image and its table are to be understood.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reading {
    /// Which parcels make one network: `"automatic"`, `"names"`, `"parcels"` or `{ column = "..." }`.
    pub networks: Grouping,
    /// For an image of probability maps, one volume a region: the smallest value, above 0, at which a voxel belongs to the
    /// region, in the unit of the maps (0.25, or 25 for maps in per cent). A voxel may belong to several.
    #[schemars(range(min = 0))]
    #[schemars(example = 0.25)]
    pub threshold: Option<f64>,
}

/// What the voxels of an atlas hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Voxels {
    /// The label of every voxel, first axis fastest; 0 is background.
    Labels(Vec<i32>),
    /// Probability maps, which stay in their file.
    Maps(ProbabilityMaps),
}

/// Regions with names, and the networks that they make.
#[derive(Debug, Clone, PartialEq)]
pub struct Atlas {
    /// Where its voxels lie.
    pub grid: Grid,
    /// What they hold.
    pub voxels: Voxels,
    /// The regions, in the order of the table.
    pub parcels: Vec<Parcel>,
    /// The networks, in the order in which the table first names them.
    pub networks: Vec<Network>,
    /// What is odd about it.
    pub warnings: Vec<AtlasWarning>,
}

impl Atlas {
    /// Reads a label image and its table, taking parcels together as the table says or else as their names say.
    ///
    /// # Errors
    /// As [`Atlas::read_as`].
    pub fn read(image: &Path, table: &Path) -> Result<Self, AtlasError> {
        Atlas::read_as(image, Some(table), &Reading::default())
    }

    /// Reads a label image, or probability maps where a threshold is given, and the table that names them.
    ///
    /// The format of the table follows from its content ([`LabelTable`]). Maps need no table; they are called `map-1` and
    /// so on then. A row for label 0 is ignored: 0 is background. Labels must be whole numbers; a voxel that is not a number
    /// is refused, because no rule says whether background or damage is meant. Values of maps are read in
    /// [`Atlas::membership`].
    ///
    /// # Errors
    /// If a file is not readable, an image of labels has several volumes or no table, the table is in no known format,
    /// describes a label twice or none of the image, or names cannot be written as lists.
    pub fn read_as(image: &Path, table: Option<&Path>, reading: &Reading) -> Result<Self, AtlasError> {
        let table = table.map(LabelTable::read).transpose()?;
        if let Some(threshold) = reading.threshold {
            let (maps, info) = ProbabilityMaps::open(image, threshold)?;
            let grid = Grid::of_image(&info)?;
            let table = table.map_or_else(|| numbered_maps(image, maps.n_maps), Ok)?;
            let entries = table.maps(image, maps.n_maps)?;
            return Atlas::named(grid, Voxels::Maps(maps), &table, &entries, &reading.networks);
        }
        let info = nifti::read_info(image)?;
        if info.n_volumes > 1 {
            return Err(AtlasError::SeveralVolumes { path: image.to_owned(), n_volumes: info.n_volumes });
        }
        let table = table.ok_or_else(|| AtlasError::NoTable { path: image.to_owned() })?;
        let (info, labels) = nifti::read_labels(image)?;
        Atlas::of_labels(Grid::of_image(&info)?, labels, image, &table, &reading.networks)
    }

    /// An atlas of labels that have been read already, first axis fastest; `image` only serves the error messages.
    ///
    /// A colour table may be a dictionary of all labels that a program knows, as FreeSurfer's is: its rows for labels that
    /// the image does not have are no regions of this atlas. Rows of other tables stay, without voxels.
    ///
    /// # Errors
    /// If the table describes none of the labels or cannot be grouped.
    ///
    /// # Panics
    /// If the labels do not fill the grid.
    pub fn of_labels(
        grid: Grid,
        labels: Vec<i32>,
        image: &Path,
        table: &LabelTable,
        grouping: &Grouping,
    ) -> Result<Self, AtlasError> {
        assert_eq!(labels.len(), grid.n_voxels(), "one label per voxel of the grid");
        let counts = counts(&labels);
        let mut entries = table.labels()?;
        let n_rows = entries.len();
        if table.format == TableFormat::ColorTable {
            entries.retain(|entry| counts.contains_key(&entry.index));
        }
        let n_dropped = n_rows - entries.len();
        if !entries.iter().any(|entry| counts.contains_key(&entry.index)) {
            return Err(AtlasError::NothingInCommon { image: image.to_owned(), table: table.path.clone() });
        }
        let mut atlas = Atlas::named(grid, Voxels::Labels(labels), table, &entries, grouping)?;
        atlas.warnings.extend(compare(&counts, &atlas.parcels));
        if n_dropped > 0 {
            atlas.warnings.push(AtlasWarning::RowsDropped { n_rows: n_dropped });
        }
        Ok(atlas)
    }

    /// An atlas whose parcels are the rows of a table.
    fn named(
        grid: Grid,
        voxels: Voxels,
        table: &LabelTable,
        entries: &[LabelEntry],
        grouping: &Grouping,
    ) -> Result<Self, AtlasError> {
        let (parcels, networks, warnings) = named(table, entries, grouping)?;
        Ok(Atlas { grid, voxels, parcels, networks, warnings })
    }

    /// Writes an image of labels and its table so that [`Atlas::read`] reads them back.
    ///
    /// # Errors
    /// If the atlas has probability maps, or a file cannot be written.
    pub fn write(&self, image: &Path, table: &Path) -> Result<(), AtlasError> {
        let labels = match &self.voxels {
            Voxels::Labels(labels) => labels,
            Voxels::Maps(maps) => return Err(AtlasError::NotLabels { path: maps.path.clone() }),
        };
        nifti::write_labels(image, self.grid.shape, self.grid.affine, labels)?;
        let mut rows = Table::new(["index", "name", "network", "color"]);
        for parcel in &self.parcels {
            let network = parcel.network.map(|network| &self.networks[network]);
            rows.push([
                parcel.index.to_string(),
                parcel.name.clone(),
                network.map_or(MISSING, |network| &network.name).to_owned(),
                network.and_then(|network| network.color.as_deref()).unwrap_or(MISSING).to_owned(),
            ]);
        }
        Ok(rows.write(table)?)
    }

    /// The networks of every voxel of a grid, first axis fastest, as positions in [`Atlas::networks`].
    ///
    /// Labels are brought to another grid by nearest neighbour, maps by linear interpolation before they are cut. A tie
    /// between two voxels goes to the one of higher index, as [`resample_labels`] says; a value equal to the threshold
    /// belongs. What maps are odd about is only known now and comes with the result.
    ///
    /// # Errors
    /// If the grids do not overlap; for maps, if the image is not readable or holds labels.
    pub fn membership(&self, target: &Grid) -> Result<(Membership, Vec<AtlasWarning>), AtlasError> {
        let labels = match &self.voxels {
            Voxels::Maps(maps) => return maps.membership(&self.grid, target, &self.parcels, self.networks.len()),
            Voxels::Labels(labels) if self.grid.same_as(target) => labels,
            Voxels::Labels(labels) => &resample_labels(labels, &self.grid, target)?,
        };
        let of_label: BTreeMap<i32, Option<usize>> =
            self.parcels.iter().map(|parcel| (parcel.index, parcel.network)).collect();
        let networks = labels.iter().map(|label| of_label.get(label).copied().flatten());
        Ok((Membership::from_single(self.networks.len(), networks), Vec::new()))
    }

    /// The names of the networks.
    pub fn network_names(&self) -> Vec<&str> {
        self.networks.iter().map(|network| network.name.as_str()).collect()
    }
}

/// Parcels, the networks that they make, and what is odd about their table.
type Named = (Vec<Parcel>, Vec<Network>, Vec<AtlasWarning>);

/// What the rows of a table name.
fn named(table: &LabelTable, entries: &[LabelEntry], grouping: &Grouping) -> Result<Named, AtlasError> {
    let (names, warnings) = grouping.networks(table, entries)?;
    check_names(names.iter().flatten().map(String::as_str))
        .map_err(|source| AtlasError::Name { path: table.path.clone(), source })?;
    let mut networks: Vec<Network> = Vec::new();
    let mut position: BTreeMap<String, usize> = BTreeMap::new();
    let mut parcels = Vec::with_capacity(entries.len());
    for (entry, name) in entries.iter().zip(names) {
        let network = name.map(|name| {
            *position.entry(name.clone()).or_insert_with(|| {
                networks.push(Network { name, color: None });
                networks.len() - 1
            })
        });
        if let Some(network) = network {
            networks[network].color = networks[network].color.take().or_else(|| entry.color.clone());
        }
        parcels.push(Parcel { index: entry.index, name: entry.name.clone(), network });
    }
    Ok((parcels, networks, warnings))
}

fn numbered_maps(image: &Path, n_maps: usize) -> Result<LabelTable, AtlasError> {
    LabelTable::embedded(image, (0..n_maps).zip(0..).map(|(map, index)| (index, format!("map-{}", map + 1), None)))
}

/// Voxels of each label other than background.
fn counts(labels: &[i32]) -> BTreeMap<i32, usize> {
    let mut counts = BTreeMap::new();
    for &label in labels.iter().filter(|&&label| label != 0) {
        *counts.entry(label).or_default() += 1;
    }
    counts
}

fn compare(counts: &BTreeMap<i32, usize>, parcels: &[Parcel]) -> Vec<AtlasWarning> {
    let described: BTreeSet<i32> = parcels.iter().map(|parcel| parcel.index).collect();
    let without_row = counts.iter().filter(|(label, _)| !described.contains(label));
    let without_label = parcels.iter().filter(|parcel| !counts.contains_key(&parcel.index));
    without_row
        .map(|(&label, &n_voxels)| AtlasWarning::LabelWithoutRow { label, n_voxels })
        .chain(
            without_label
                .map(|parcel| AtlasWarning::RowWithoutLabel { index: parcel.index, name: parcel.name.clone() }),
        )
        .collect()
}

#[cfg(test)]
mod tests;
