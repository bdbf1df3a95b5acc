//! Atlases: labelled volumes whose parcels belong to functional networks.
//!
//! Owns the reading of a label image with its table and its resampling to the grid of the data; [`schematic`] makes one
//! from nothing. Does not know which voxels are studied: see [`super::mask`].

pub mod schematic;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::grid::{Grid, GridError, resample_labels};
use crate::format::nifti::{self, NiftiError};
use crate::format::tsv::{MISSING, Table, TsvError};

/// What can go wrong with an atlas.
#[derive(Debug, Error)]
pub enum AtlasError {
    /// The image is not readable.
    #[error(transparent)]
    Image(#[from] NiftiError),
    /// The table is not readable.
    #[error(transparent)]
    Table(#[from] TsvError),
    /// The grid is not usable or lies elsewhere.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// Two rows describe one label.
    #[error("`{}` line {line} describes label {index} again", path.display())]
    RepeatedIndex {
        /// The table.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// The label.
        index: i32,
    },
    /// No label of the image is in the table.
    #[error("none of the labels in `{}` stands in column `index` of `{}`: the two do not belong together", image.display(), table.display())]
    NothingInCommon {
        /// The image.
        image: PathBuf,
        /// The table.
        table: PathBuf,
    },
}

/// What is odd about an atlas but does not stop a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtlasWarning {
    /// Voxels carry a label that the table does not describe; they belong to no network.
    LabelWithoutRow {
        /// The label.
        label: i32,
        /// How many voxels carry it.
        n_voxels: usize,
    },
    /// The table describes a label that no voxel carries.
    RowWithoutLabel {
        /// The label.
        index: i32,
        /// Its name.
        name: String,
    },
}

impl fmt::Display for AtlasWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AtlasWarning::LabelWithoutRow { label, n_voxels } => {
                write!(f, "label {label} of {n_voxels} voxels has no row in the atlas table: they belong to no network")
            }
            AtlasWarning::RowWithoutLabel { index, name } => {
                write!(f, "parcel `{name}` of the atlas table: no voxel carries its label {index}")
            }
        }
    }
}

/// One labelled region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// The label in the image.
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

/// A labelled volume with names.
#[derive(Debug, Clone, PartialEq)]
pub struct Atlas {
    /// Where its voxels lie.
    pub grid: Grid,
    /// The label of every voxel, first axis fastest; 0 is background.
    pub labels: Vec<i32>,
    /// The regions, in the order of the table.
    pub parcels: Vec<Parcel>,
    /// The networks, in the order in which the table first names them.
    pub networks: Vec<Network>,
    /// What is odd about it.
    pub warnings: Vec<AtlasWarning>,
}

impl Atlas {
    /// Reads a label image and its table: columns `index`, `name`, optionally `network` and `color`.
    ///
    /// Without a column `network` every parcel is its own network. A row for label 0 is ignored: 0 is background.
    ///
    /// # Errors
    /// If either file is not readable, a label is described twice, a colour is not `#rrggbb`, or no label has a row.
    pub fn read(image: &Path, table: &Path) -> Result<Self, AtlasError> {
        let (info, labels) = nifti::read_labels(image)?;
        let grid = Grid::of_image(&info)?;
        let (parcels, networks) = read_parcels(&Table::read(table)?)?;
        let warnings = compare(&labels, &parcels);
        let unused = warnings.iter().filter(|warning| matches!(warning, AtlasWarning::RowWithoutLabel { .. })).count();
        if unused == parcels.len() {
            return Err(AtlasError::NothingInCommon { image: image.to_owned(), table: table.to_owned() });
        }
        Ok(Atlas { grid, labels, parcels, networks, warnings })
    }

    /// Writes the image and its table so that [`Atlas::read`] reads them back.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, image: &Path, table: &Path) -> Result<(), AtlasError> {
        nifti::write_labels(image, self.grid.shape, self.grid.affine, &self.labels)?;
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

    /// The atlas on another grid, by nearest neighbour; the same atlas where the grids are the same.
    ///
    /// # Errors
    /// If the grids do not overlap.
    pub fn resampled(&self, target: &Grid) -> Result<Atlas, AtlasError> {
        if self.grid.same_as(target) {
            return Ok(self.clone());
        }
        let labels = resample_labels(&self.labels, &self.grid, target)?;
        Ok(Atlas { grid: *target, labels, ..self.clone() })
    }

    /// The network of every voxel, first axis fastest, as position in [`Atlas::networks`].
    pub fn networks_of_voxels(&self) -> Vec<Option<usize>> {
        let of_label: BTreeMap<i32, Option<usize>> =
            self.parcels.iter().map(|parcel| (parcel.index, parcel.network)).collect();
        self.labels.iter().map(|label| of_label.get(label).copied().flatten()).collect()
    }
}

fn read_parcels(table: &Table) -> Result<(Vec<Parcel>, Vec<Network>), AtlasError> {
    let (index_column, name_column) = (table.require("index")?, table.require("name")?);
    let network_column = table.position("network").unwrap_or(name_column);
    let color_column = table.position("color");
    let mut parcels: Vec<Parcel> = Vec::with_capacity(table.n_rows());
    let mut networks: Vec<Network> = Vec::new();
    let mut seen = BTreeSet::new();
    for (row, index) in table.integers("index")?.into_iter().enumerate() {
        let index = index.ok_or_else(|| table.field_error(row, index_column, "the label of a parcel"))?;
        if index == 0 {
            continue;
        }
        if !seen.insert(index) {
            return Err(AtlasError::RepeatedIndex { path: table.path().to_owned(), line: table.line(row), index });
        }
        let fields = &table.rows()[row];
        let color = match color_column.map(|column| (column, fields[column].trim())) {
            None | Some((_, MISSING | "")) => None,
            Some((_, text)) if is_color(text) => Some(text.to_ascii_lowercase()),
            Some((column, _)) => {
                return Err(table.field_error(row, column, "a colour such as `#4682b4`").into());
            }
        };
        let network = match fields[network_column].trim() {
            MISSING | "" => None,
            name => Some(match networks.iter().position(|network| network.name == name) {
                Some(known) => known,
                None => {
                    networks.push(Network { name: name.to_owned(), color: None });
                    networks.len() - 1
                }
            }),
        };
        if let Some(network) = network {
            networks[network].color = networks[network].color.take().or(color);
        }
        parcels.push(Parcel { index, name: fields[name_column].clone(), network });
    }
    Ok((parcels, networks))
}

fn is_color(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn compare(labels: &[i32], parcels: &[Parcel]) -> Vec<AtlasWarning> {
    let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
    for &label in labels.iter().filter(|&&label| label != 0) {
        *counts.entry(label).or_default() += 1;
    }
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
mod tests {
    use super::*;

    const AFFINE: [[f64; 4]; 4] =
        [[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]];

    fn atlas(table: &str) -> Result<Atlas, AtlasError> {
        let folder = tempfile::tempdir().unwrap();
        let (image, rows) = (folder.path().join("a.nii.gz"), folder.path().join("a.tsv"));
        nifti::write_labels(&image, [2, 2, 1], AFFINE, &[0, 1, 2, 9]).unwrap();
        std::fs::write(&rows, table).unwrap();
        Atlas::read(&image, &rows)
    }

    #[test]
    fn many_parcels_make_one_network() {
        let atlas = atlas("index\tname\tnetwork\tcolor\n0\tBackground\tn/a\tn/a\n1\tV1\tvisual\t#781286\n2\tV2\tvisual\tn/a\n7\tA1\tn/a\tn/a\n").unwrap();
        assert_eq!(atlas.networks, [Network { name: "visual".to_owned(), color: Some("#781286".to_owned()) }]);
        assert_eq!(atlas.networks_of_voxels(), [None, Some(0), Some(0), None]);
        let texts: Vec<String> = atlas.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "label 9 of 1 voxels has no row in the atlas table: they belong to no network",
                "parcel `A1` of the atlas table: no voxel carries its label 7",
            ]
        );
    }

    #[test]
    fn parcels_without_networks_are_networks() {
        let atlas = atlas("index\tname\n1\tV1\n2\tV2\n9\tMT\n").unwrap();
        assert_eq!(atlas.networks.len(), 3);
        assert!(atlas.warnings.is_empty());
    }

    #[test]
    fn defective_tables_name_the_defect() {
        for (table, expected) in [
            ("name\nV1\n", "has no column `index`"),
            ("index\tname\n1\tV1\n1\tV2\n", "line 3 describes label 1 again"),
            ("index\tname\tcolor\n1\tV1\tred\n", "line 2 column `color`: `red`, expected a colour such as `#4682b4`"),
            ("index\tname\nn/a\tV1\n", "column `index`: `n/a`, expected the label of a parcel"),
            ("index\tname\n5\tV1\n", "do not belong together"),
        ] {
            let error = atlas(table).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
