//! Where the columns of a voxel matrix lie: voxels of a grid, or vertices and voxels of a CIFTI file.
//!
//! Owns the one list that columns are known by. What belongs to which network stands beside it in [`super::mask`].

use super::grid::Grid;
use crate::format::cifti::{BrainModels, Position};

/// Everywhere that a series has values.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one for a series")]
pub enum Extent {
    /// The voxels of a volume.
    Grid(Grid),
    /// The places of a CIFTI file.
    Grayordinates(Box<BrainModels>),
}

impl Extent {
    /// How many places there are.
    #[must_use]
    pub fn n_places(&self) -> usize {
        match self {
            Self::Grid(grid) => grid.n_voxels(),
            Self::Grayordinates(models) => models.len(),
        }
    }

    /// Whether another has the same places.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Grid(one), Self::Grid(other)) => one.same_as(other),
            (Self::Grayordinates(one), Self::Grayordinates(other)) => one.difference(other).is_none(),
            _ => false,
        }
    }
}

/// The places that columns stand for, in their order.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one for a table of voxels")]
pub enum Locations {
    /// Voxels of a volume.
    Grid {
        /// Where they lie.
        grid: Grid,
        /// Their indices, in C order.
        voxels: Vec<[usize; 3]>,
    },
    /// Vertices of surfaces and voxels, as the files of the Human Connectome Project have them.
    Grayordinates {
        /// Everything that such a file has values for.
        models: Box<BrainModels>,
        /// The places among them, ascending.
        places: Vec<usize>,
    },
}

impl Locations {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Grid { voxels, .. } => voxels.len(),
            Self::Grayordinates { places, .. } => places.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place of each among all values of a file: of a volume whose first axis runs fastest, or of a CIFTI file.
    #[must_use]
    pub fn offsets(&self) -> Vec<usize> {
        match self {
            Self::Grid { grid, voxels } => voxels.iter().map(|&voxel| grid.offset(voxel)).collect(),
            Self::Grayordinates { places, .. } => places.clone(),
        }
    }

    /// The grid, where they are voxels of one.
    #[must_use]
    pub fn grid(&self) -> Option<&Grid> {
        match self {
            Self::Grid { grid, .. } => Some(grid),
            Self::Grayordinates { .. } => None,
        }
    }

    /// The indices of each, where they are voxels of a grid.
    #[must_use]
    pub fn voxels(&self) -> Option<&[[usize; 3]]> {
        match self {
            Self::Grid { voxels, .. } => Some(voxels),
            Self::Grayordinates { .. } => None,
        }
    }

    /// Whether a place here is the same place there: one grid, or the same surfaces.
    #[must_use]
    pub fn lie_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Grid { grid, .. }, Self::Grid { grid: other, .. }) => grid.same_as(other),
            (Self::Grayordinates { models, .. }, Self::Grayordinates { models: other, .. }) => {
                models.difference(other).is_none()
            }
            _ => false,
        }
    }

    /// Millimetres of each, where it has a place of its own; the vertices of a surface move with it.
    #[must_use]
    pub fn places_mm(&self) -> Vec<Option<[f64; 3]>> {
        match self {
            Self::Grid { grid, voxels } => voxels.iter().map(|&voxel| Some(grid.to_mm(voxel))).collect(),
            Self::Grayordinates { models, places } => places
                .iter()
                .map(|&place| match models.place(place).map(|place| place.position) {
                    Some(Position::Voxel { mm, .. }) => Some(mm),
                    _ => None,
                })
                .collect(),
        }
    }
}
