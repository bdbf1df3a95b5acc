//! The voxels of a study: which, in which order, of which network.
//!
//! Owns the voxel table that gives the columns of every voxel matrix their meaning, its three files (`voxels.tsv`,
//! `networks.tsv`, `mask.nii.gz` or `mask.dscalar.nii`), and maps from columns back to volumes and surfaces. Where the numbers in the columns come from is
//! told in [`super::prepare`].

mod files;

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::atlas::{Atlas, AtlasError, Network};
use super::grid::{Grid, GridError};
use super::locations::Locations;
use super::membership::Membership;
use crate::format::cifti::{BrainModels, CiftiError};
use crate::format::nifti::{self, NiftiError};
use crate::format::tsv::TsvError;

/// What can go wrong between masks, atlas and voxel table.
#[derive(Debug, Error)]
pub enum MaskError {
    /// An image is not readable or writable.
    #[error(transparent)]
    Image(#[from] NiftiError),
    /// A CIFTI file is not readable or writable.
    #[error(transparent)]
    Cifti(#[from] CiftiError),
    /// A CIFTI file holds groups of places where single ones are needed.
    #[error("`{}` has parcels, expected single vertices and voxels", path.display())]
    Parcels {
        /// The file.
        path: PathBuf,
    },
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
    #[error("no voxel is left of {n_in_mask}: {reason}")]
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
    /// A network has no voxel among those studied; it stays in every table with n = 0.
    EmptyNetwork {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for MaskWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MaskWarning::EmptyNetwork { name } = self;
        write!(f, "network `{name}` has no voxel among those studied")
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

/// The networks of every place of a volume or of a CIFTI file, whether or not it is studied.
#[derive(Debug, Clone, PartialEq)]
pub struct Assigned {
    /// The networks of every place.
    pub membership: Membership,
    /// What they are.
    pub networks: Vec<Network>,
}

/// The studied voxels: column v of every voxel matrix is the v-th of `locations`.
///
/// A vertex of a surface counts as a voxel, in names too: the field calls both so.
#[derive(Debug, Clone, PartialEq)]
pub struct VoxelTable {
    /// Where they lie.
    pub locations: Locations,
    /// The networks of every voxel, as positions in `networks`.
    pub membership: Membership,
    /// The networks, those without voxels too.
    pub networks: Vec<Network>,
    /// What is odd about it.
    pub warnings: Vec<MaskWarning>,
}

impl VoxelTable {
    /// The voxels of a mask, told apart by the networks of its grid.
    ///
    /// # Errors
    /// If a network of interest is not known, networks are asked for without an atlas, or no voxel is left.
    pub fn of_mask(mask: &Mask, assigned: Option<Assigned>, selection: &VoxelSelection) -> Result<Self, MaskError> {
        let assigned = selected(assigned, selection, mask.grid.n_voxels())?;
        let studied = |offset: usize| mask.inside[offset] && is_studied(&assigned, selection, offset);
        let voxels: Vec<[usize; 3]> = mask.grid.voxels().filter(|&voxel| studied(mask.grid.offset(voxel))).collect();
        let n_in_mask = mask.inside.iter().filter(|&&inside| inside).count();
        Self::of(Locations::Grid { grid: mask.grid, voxels }, &assigned, n_in_mask)
    }

    /// The voxels of a mask, told apart by the atlas, which is brought to the mask's grid.
    ///
    /// # Errors
    /// As [`VoxelTable::of_mask`], or if the atlas does not overlap.
    pub fn new(mask: &Mask, atlas: Option<&Atlas>, selection: &VoxelSelection) -> Result<Self, MaskError> {
        let assign = |atlas: &Atlas| {
            let (membership, _) = atlas.membership(&mask.grid)?;
            Ok::<_, AtlasError>(Assigned { membership, networks: atlas.networks.clone() })
        };
        Self::of_mask(mask, atlas.map(assign).transpose()?, selection)
    }

    /// The places of CIFTI files, told apart by their networks.
    ///
    /// # Errors
    /// As [`VoxelTable::of_mask`].
    pub fn of_grayordinates(
        models: BrainModels,
        assigned: Option<Assigned>,
        selection: &VoxelSelection,
    ) -> Result<Self, MaskError> {
        let n = models.len();
        let assigned = selected(assigned, selection, n)?;
        let places = (0..n).filter(|&place| is_studied(&assigned, selection, place)).collect();
        Self::of(Locations::Grayordinates { models: Box::new(models), places }, &assigned, n)
    }

    fn of(locations: Locations, assigned: &Assigned, n_in_mask: usize) -> Result<Self, MaskError> {
        if locations.is_empty() {
            let reason = match n_in_mask {
                0 => "the runs' masks have no voxel in common",
                _ if assigned.membership.counts().iter().all(|&n| n == 0) => {
                    "no network has a voxel: see what `atlas.clean` takes away"
                }
                _ => "the networks lie outside the mask",
            };
            return Err(MaskError::NoVoxels { n_in_mask, reason });
        }
        let membership = assigned.membership.of_voxels(locations.offsets());
        Ok(Self::with_warnings(locations, membership, assigned.networks.clone()))
    }

    fn with_warnings(locations: Locations, membership: Membership, networks: Vec<Network>) -> Self {
        let empty = networks.iter().zip(membership.counts()).filter(|(_, n_voxels)| *n_voxels == 0);
        let warnings = empty.map(|(network, _)| MaskWarning::EmptyNetwork { name: network.name.clone() }).collect();
        VoxelTable { locations, membership, networks, warnings }
    }

    /// Number of voxels.
    pub fn n_voxels(&self) -> usize {
        self.locations.len()
    }

    /// Number of voxels of each network.
    pub fn counts(&self) -> Vec<usize> {
        self.membership.counts()
    }

    /// The place of every voxel in a volume whose first axis runs fastest, or in a CIFTI file.
    pub fn offsets(&self) -> Vec<usize> {
        self.locations.offsets()
    }
}

/// The networks that a selection leaves.
fn selected(assigned: Option<Assigned>, selection: &VoxelSelection, n_places: usize) -> Result<Assigned, MaskError> {
    let Some(Assigned { membership, networks }) = assigned else {
        return match selection {
            VoxelSelection::All => {
                let membership = Membership::from_single(0, vec![None; n_places]);
                Ok(Assigned { membership, networks: Vec::new() })
            }
            _ => Err(MaskError::NoAtlas),
        };
    };
    let VoxelSelection::Networks(chosen) = selection else { return Ok(Assigned { membership, networks }) };
    let available: Vec<String> = networks.iter().map(|network| network.name.clone()).collect();
    if let Some(name) = chosen.iter().find(|name| !available.contains(name)) {
        return Err(MaskError::UnknownNetwork { name: name.clone(), available });
    }
    let kept: Vec<usize> = (0..networks.len()).filter(|&network| chosen.contains(&available[network])).collect();
    let membership = membership.of_networks(&kept);
    Ok(Assigned { membership, networks: kept.iter().map(|&network| networks[network].clone()).collect() })
}

fn is_studied(assigned: &Assigned, selection: &VoxelSelection, place: usize) -> bool {
    *selection == VoxelSelection::All || !assigned.membership.of(place).is_empty()
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
            assert!(table.offsets().len() > 1);
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
        let of_voxel = atlas.membership(&mask.grid).unwrap().0.single().unwrap();
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
    fn places_on_surfaces_are_read_back_and_mapped_too() {
        use crate::format::cifti::{BrainModelKind, CiftiReader, Structure, VolumeSpace};
        let affine = [[2.0, 0.0, 0.0, -4.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        let structures = [
            ("CORTEX_LEFT", BrainModelKind::Surface { n_vertices: 9, vertices: vec![1, 2, 5, 8] }),
            ("THALAMUS_LEFT", BrainModelKind::Voxels { ijk: vec![[0, 0, 0], [1, 2, 0]] }),
        ];
        let structures = structures.map(|(name, kind)| (Structure::new(name).unwrap(), kind));
        let models = BrainModels::new(structures, Some(VolumeSpace::new([3, 3, 3], affine).unwrap())).unwrap();
        let network = |name: &str| Network { name: name.to_owned(), color: None };
        let rows = [vec![0], vec![], vec![0, 1], vec![1], vec![], vec![1]];
        let assigned =
            Assigned { membership: Membership::from_rows(2, rows), networks: vec![network("visual"), network("deep")] };
        let table = VoxelTable::of_grayordinates(models, Some(assigned), &VoxelSelection::InNetworks).unwrap();
        assert_eq!((table.offsets(), table.counts()), (vec![0, 2, 3, 5], vec![2, 3]));
        assert_eq!(table.locations.places_mm()[3], Some([-2.0, 4.0, 0.0]));
        let folder = tempfile::tempdir().unwrap();
        table.write(folder.path()).unwrap();
        assert_eq!(VoxelTable::read(folder.path()).unwrap(), table);
        let text = std::fs::read_to_string(folder.path().join("voxels.tsv")).unwrap();
        assert!(text.contains("\n2\tCORTEX_LEFT\t5\tn/a\tn/a\tn/a\tn/a\tn/a\tn/a\tvisual;deep\n"), "{text}");
        let names = ["a".to_owned(), "b".to_owned()];
        let values =
            |map: usize| Ok::<_, MaskError>((0..4).map(|v| (v > 0).then_some((10 * map + v) as f32)).collect());
        let path = table.write_maps(&folder.path().join("maps"), &names, -1.0, values).unwrap();
        let mut found = vec![0.0; 12];
        CiftiReader::open(&path).unwrap().read_rows(&[0, 1, 2, 3, 4, 5], &[0, 1], &mut found).unwrap();
        assert_eq!(found, [-1.0, -1.0, 1.0, 2.0, -1.0, 3.0, -1.0, -1.0, 11.0, 12.0, -1.0, 13.0]);
    }

    #[test]
    fn maps_put_values_where_their_voxels_are() {
        let (mask, atlas) = schematic_mask();
        let table = VoxelTable::new(&mask, Some(&atlas), &VoxelSelection::All).unwrap();
        let values: Vec<Option<f32>> = (0..table.n_voxels()).map(|v| (v % 3 != 0).then_some(v as f32)).collect();
        let folder = tempfile::tempdir().unwrap();
        let stem = folder.path().join("map");
        let path = table.write_map(&stem, &values, -1.0).unwrap();
        assert!(path.ends_with("map.nii.gz"));
        let (info, volume) = nifti::read_volume(&path).unwrap();
        assert_eq!(Some(&Grid::of_image(&info).unwrap()), table.locations.grid());
        for (offset, value) in table.offsets().into_iter().zip(values) {
            assert_eq!(volume[offset], value.unwrap_or(-1.0));
        }
        assert!(matches!(table.write_map(&stem, &[None], 0.0), Err(MaskError::MapLength { found: 1, .. })));
    }
}
