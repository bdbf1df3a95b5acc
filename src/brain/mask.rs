//! The voxels of a study: which, in which order, of which network.
//!
//! Owns the voxel table that gives the columns of every voxel matrix their meaning, its three files (`voxels.tsv`,
//! `networks.tsv`, `mask.nii.gz`), and maps from columns back to volumes. Where the numbers in the columns come from is
//! told in [`super::prepare`].

mod files;

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::atlas::{Atlas, AtlasError, Network};
use super::grid::{Grid, GridError};
use crate::format::nifti::{self, NiftiError};
use crate::format::tsv::TsvError;

/// What can go wrong between masks, atlas and voxel table.
#[derive(Debug, Error)]
pub enum MaskError {
    /// An image is not readable or writable.
    #[error(transparent)]
    Image(#[from] NiftiError),
    /// A table is not readable or writable.
    #[error(transparent)]
    Table(#[from] TsvError),
    /// A grid is not usable.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The atlas does not fit.
    #[error(transparent)]
    Atlas(#[from] AtlasError),
    /// Two masks lie on different grids.
    #[error("mask `{}` has {found}, expected {expected} as in `{}`", path.display(), first.display())]
    OtherGrid {
        /// The mask that differs.
        path: PathBuf,
        /// Its grid.
        found: Box<Grid>,
        /// The mask it differs from.
        first: PathBuf,
        /// The grid of that one.
        expected: Box<Grid>,
    },
    /// A network of interest is not in the atlas.
    #[error("network `{name}` is not in the atlas: its networks are {}", available.join(", "))]
    UnknownNetwork {
        /// The name asked for.
        name: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// Networks are asked for without an atlas.
    #[error("voxels of networks are asked for without an atlas: name an atlas or study the whole mask")]
    NoAtlas,
    /// No voxel is left.
    #[error("no voxel is left of {n_in_mask} in the brain mask: {reason}")]
    NoVoxels {
        /// Voxels common to all masks.
        n_in_mask: usize,
        /// Why none remained.
        reason: &'static str,
    },
    /// No mask was given.
    #[error("no brain mask was given: a voxel table needs at least one")]
    NoMask,
    /// A row of a voxel table does not fit its grid or its networks.
    #[error("`{}` line {line}: {reason}", path.display())]
    Row {
        /// The table.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// What does not fit.
        reason: String,
    },
    /// A map has another number of values than the table has voxels.
    #[error("a map of {found} values for `{}`, expected {expected}, one per voxel", path.display())]
    MapLength {
        /// The map.
        path: PathBuf,
        /// Values given.
        found: usize,
        /// Voxels of the table.
        expected: usize,
    },
}

/// What is odd about a voxel table but does not stop a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaskWarning {
    /// A network has no voxel inside the mask; it stays in every table with n = 0.
    EmptyNetwork {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for MaskWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MaskWarning::EmptyNetwork { name } = self;
        write!(f, "network `{name}` has no voxel inside the brain mask")
    }
}

/// Which voxels of the brain mask are studied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VoxelSelection {
    /// Every voxel of the brain mask, whether or not it belongs to a network.
    All,
    /// Every voxel that belongs to a network of the atlas.
    #[default]
    InNetworks,
    /// The voxels of these networks; the others are dropped from the tables too.
    #[schemars(example = serde_json::json!({ "networks": ["visual", "language"] }))]
    Networks(Vec<String>),
}

/// A brain mask and where it lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// The file it came from.
    pub path: PathBuf,
    /// Where its voxels lie.
    pub grid: Grid,
    /// Whether a voxel is inside, first axis fastest.
    pub inside: Vec<bool>,
}

impl Mask {
    /// Reads a mask: inside is whatever is a number other than zero.
    ///
    /// # Errors
    /// If the image is not readable as a single volume or has no affine.
    pub fn read(path: &Path) -> Result<Self, MaskError> {
        let (info, values) = nifti::read_volume(path)?;
        let inside = values.iter().map(|value| !value.is_nan() && *value != 0.0).collect();
        Ok(Mask { path: path.to_owned(), grid: Grid::of_image(&info)?, inside })
    }
}

/// The voxels that all masks have in common.
///
/// # Errors
/// If there is no mask or two lie on different grids.
pub fn intersection(masks: &[Mask]) -> Result<Mask, MaskError> {
    let (first, rest) = masks.split_first().ok_or(MaskError::NoMask)?;
    let mut common = first.clone();
    for mask in rest {
        if !mask.grid.same_as(&first.grid) {
            return Err(MaskError::OtherGrid {
                path: mask.path.clone(),
                found: Box::new(mask.grid),
                first: first.path.clone(),
                expected: Box::new(first.grid),
            });
        }
        common.inside.iter_mut().zip(&mask.inside).for_each(|(inside, other)| *inside &= other);
    }
    Ok(common)
}

/// The studied voxels: column v of every voxel matrix is `voxels[v]`.
#[derive(Debug, Clone, PartialEq)]
pub struct VoxelTable {
    /// Where the voxels lie.
    pub grid: Grid,
    /// Indices of the voxels, in C order.
    pub voxels: Vec<[usize; 3]>,
    /// The network of every voxel, as position in `networks`.
    pub network: Vec<Option<usize>>,
    /// The networks, those without voxels too.
    pub networks: Vec<Network>,
    /// What is odd about it.
    pub warnings: Vec<MaskWarning>,
}

impl VoxelTable {
    /// The voxels of a mask, told apart by the atlas, which is brought to the mask's grid by nearest neighbour.
    ///
    /// # Errors
    /// If the atlas does not overlap, a network of interest is not in it, or no voxel is left.
    pub fn new(mask: &Mask, atlas: Option<&Atlas>, selection: &VoxelSelection) -> Result<Self, MaskError> {
        let atlas = atlas.map(|atlas| atlas.resampled(&mask.grid)).transpose()?;
        let mut networks = atlas.as_ref().map_or(Vec::new(), |atlas| atlas.networks.clone());
        let mut of_voxel = match &atlas {
            Some(atlas) => atlas.networks_of_voxels(),
            None if *selection == VoxelSelection::All => vec![None; mask.grid.n_voxels()],
            None => return Err(MaskError::NoAtlas),
        };
        if let VoxelSelection::Networks(chosen) = selection {
            let available: Vec<String> = networks.iter().map(|network| network.name.clone()).collect();
            if let Some(name) = chosen.iter().find(|name| !available.contains(name)) {
                return Err(MaskError::UnknownNetwork { name: name.clone(), available });
            }
            networks.retain(|network| chosen.contains(&network.name));
            let position = |name: &String| networks.iter().position(|network| network.name == *name);
            let kept: Vec<Option<usize>> = available.iter().map(position).collect();
            of_voxel.iter_mut().for_each(|network| *network = network.and_then(|old| kept[old]));
        }
        let grid = mask.grid;
        let studied = |voxel: &[usize; 3]| {
            let offset = grid.offset(*voxel);
            mask.inside[offset] && (*selection == VoxelSelection::All || of_voxel[offset].is_some())
        };
        let voxels: Vec<[usize; 3]> = grid.voxels().filter(studied).collect();
        if voxels.is_empty() {
            let n_in_mask = mask.inside.iter().filter(|&&inside| inside).count();
            let reason = match n_in_mask {
                0 => "the runs' masks have no voxel in common",
                _ => "the networks lie outside the mask",
            };
            return Err(MaskError::NoVoxels { n_in_mask, reason });
        }
        let network = voxels.iter().map(|&voxel| of_voxel[grid.offset(voxel)]).collect();
        Ok(VoxelTable::with_warnings(grid, voxels, network, networks))
    }

    fn with_warnings(grid: Grid, voxels: Vec<[usize; 3]>, network: Vec<Option<usize>>, networks: Vec<Network>) -> Self {
        let mut table = VoxelTable { grid, voxels, network, networks, warnings: Vec::new() };
        let empty = table.networks.iter().zip(table.counts()).filter(|(_, n_voxels)| *n_voxels == 0);
        table.warnings = empty.map(|(network, _)| MaskWarning::EmptyNetwork { name: network.name.clone() }).collect();
        table
    }

    /// Number of voxels.
    pub fn n_voxels(&self) -> usize {
        self.voxels.len()
    }

    /// Number of voxels of each network.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.networks.len()];
        self.network.iter().flatten().for_each(|&network| counts[network] += 1);
        counts
    }

    /// The place of every voxel in a volume whose first axis runs fastest.
    pub fn offsets(&self) -> Vec<usize> {
        self.voxels.iter().map(|&voxel| self.grid.offset(voxel)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::atlas::schematic::schematic;
    use super::*;

    fn schematic_mask() -> (Mask, Atlas) {
        let affine = [[-3.0, 0.0, 0.0, 30.0], [0.0, 3.0, 0.0, -36.0], [0.0, 0.0, 3.5, -27.0], [0.0, 0.0, 0.0, 1.0]];
        let grid = Grid::new([10, 12, 9], affine).unwrap();
        let (inside, atlas) = schematic(&grid);
        (Mask { path: "mask.nii.gz".into(), grid, inside }, atlas)
    }

    #[test]
    fn table_is_read_back_as_written() {
        let (mask, atlas) = schematic_mask();
        for selection in
            [VoxelSelection::All, VoxelSelection::InNetworks, VoxelSelection::Networks(vec!["language".to_owned()])]
        {
            let table = VoxelTable::new(&mask, Some(&atlas), &selection).unwrap();
            let folder = tempfile::tempdir().unwrap();
            table.write(folder.path()).unwrap();
            assert_eq!(VoxelTable::read(folder.path()).unwrap(), table);
            assert!(table.voxels.is_sorted());
        }
    }

    #[test]
    fn selections_nest() {
        let (mask, atlas) = schematic_mask();
        let count = |selection| VoxelTable::new(&mask, Some(&atlas), &selection).unwrap().n_voxels();
        let (all, labelled) = (count(VoxelSelection::All), count(VoxelSelection::InNetworks));
        let names = atlas.networks.iter().map(|network| network.name.clone()).collect();
        assert!(all > labelled);
        assert_eq!(count(VoxelSelection::Networks(names)), labelled);
        let error = VoxelTable::new(&mask, Some(&atlas), &VoxelSelection::Networks(vec!["vision".to_owned()]));
        assert!(
            error
                .unwrap_err()
                .to_string()
                .starts_with("network `vision` is not in the atlas: its networks are visual,")
        );
        assert!(matches!(VoxelTable::new(&mask, None, &VoxelSelection::InNetworks), Err(MaskError::NoAtlas)));
        assert!(VoxelTable::new(&mask, None, &VoxelSelection::All).is_ok());
    }

    #[test]
    fn empty_networks_stay_with_a_warning() {
        let (mut mask, atlas) = schematic_mask();
        let of_voxel = atlas.networks_of_voxels();
        mask.inside.iter_mut().zip(&of_voxel).for_each(|(inside, network)| *inside &= *network != Some(5));
        let table = VoxelTable::new(&mask, Some(&atlas), &VoxelSelection::InNetworks).unwrap();
        assert_eq!((table.networks.len(), table.counts()[5]), (7, 0));
        assert_eq!(table.warnings, [MaskWarning::EmptyNetwork { name: "language".to_owned() }]);
        mask.inside.fill(false);
        let error = VoxelTable::new(&mask, Some(&atlas), &VoxelSelection::All).unwrap_err();
        assert!(matches!(error, MaskError::NoVoxels { n_in_mask: 0, .. }));
    }

    #[test]
    fn intersection_refuses_other_grids() {
        let (mask, _) = schematic_mask();
        let mut smaller = mask.clone();
        smaller.inside[mask.grid.offset([5, 6, 4])] = false;
        assert_eq!(intersection(&[mask.clone(), smaller.clone()]).unwrap().inside, smaller.inside);
        let mut affine = mask.grid.affine;
        affine[1][3] += 3.0;
        smaller.grid = Grid::new(mask.grid.shape, affine).unwrap();
        let error = intersection(&[mask, smaller]).unwrap_err().to_string();
        assert!(
            error.contains("[0 3 0 -33]") && error.contains("expected shape 10x12x9, affine [-3 0 0 30], [0 3 0 -36]"),
            "{error}"
        );
        assert!(matches!(intersection(&[]), Err(MaskError::NoMask)));
    }

    #[test]
    fn maps_put_values_where_their_voxels_are() {
        let (mask, atlas) = schematic_mask();
        let table = VoxelTable::new(&mask, Some(&atlas), &VoxelSelection::All).unwrap();
        let values: Vec<Option<f32>> = (0..table.n_voxels()).map(|v| (v % 3 != 0).then_some(v as f32)).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.nii.gz");
        table.write_map(&path, &values, -1.0).unwrap();
        let (info, volume) = nifti::read_volume(&path).unwrap();
        assert_eq!(Grid::of_image(&info).unwrap(), table.grid);
        for (offset, value) in table.offsets().into_iter().zip(values) {
            assert_eq!(volume[offset], value.unwrap_or(-1.0));
        }
        assert!(matches!(table.write_map(&path, &[None], 0.0), Err(MaskError::MapLength { found: 1, .. })));
    }
}
