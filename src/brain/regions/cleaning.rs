//! Networks made smaller: eroded, without specks, emptied where too little is left.
//!
//! Owns what a study may say about it ([`Cleaning`]), its application and the warnings it leaves. A network that loses all
//! its voxels stays in the table, so that every result says n = 0.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{components, eroded};
use crate::brain::atlas::Network;
use crate::brain::grid::Shape;
use crate::brain::membership::Membership;

/// What is taken away from every network, on the grid of the data and before the brain mask: first erosion, then small
/// pieces, then networks that are too small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cleaning {
    /// Voxels that are peeled off the surface of every network, so that neighbours do not blur into each other; 0 peels
    /// nothing.
    #[schemars(range(min = 0, max = 20))]
    #[schemars(example = 1)]
    pub erode_voxels: usize,
    /// Pieces of a network with fewer voxels than this, connected through faces, are dropped; 0 drops none.
    #[schemars(range(min = 0))]
    #[schemars(example = 10)]
    pub smallest_piece_voxels: usize,
    /// A network with fewer voxels than this is emptied: it stays in every table with n = 0.
    #[schemars(range(min = 0))]
    #[schemars(example = 20)]
    pub smallest_network_voxels: usize,
}

/// What cleaning took away that a reader of the results should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CleaningWarning {
    /// Erosion left nothing of a network.
    ErodedAway {
        /// Its name.
        name: String,
        /// Voxels it had.
        n_voxels: usize,
    },
    /// Small pieces of a network were dropped.
    PiecesDropped {
        /// Its name.
        name: String,
        /// Pieces dropped.
        n_pieces: usize,
        /// Voxels they had together.
        n_voxels: usize,
        /// Voxels that a piece needs.
        smallest: usize,
    },
    /// A network was emptied, because it was too small.
    TooSmall {
        /// Its name.
        name: String,
        /// Voxels it had.
        n_voxels: usize,
        /// Voxels that a network needs.
        smallest: usize,
    },
}

impl fmt::Display for CleaningWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CleaningWarning::ErodedAway { name, n_voxels } => {
                write!(f, "network `{name}` had {n_voxels} voxels, erosion left none")
            }
            CleaningWarning::PiecesDropped { name, n_pieces, n_voxels, smallest } => write!(
                f,
                "network `{name}` lost {n_voxels} voxels in {n_pieces} pieces of fewer than {smallest} voxels"
            ),
            CleaningWarning::TooSmall { name, n_voxels, smallest } => {
                write!(f, "network `{name}` had {n_voxels} voxels, fewer than {smallest}: it was emptied")
            }
        }
    }
}

/// Cleans every network of a volume; a voxel may leave one network and stay in another.
///
/// # Panics
/// If the membership does not fill a volume of that shape or the networks are not its networks.
pub fn cleaned(
    membership: &Membership,
    networks: &[Network],
    shape: Shape,
    cleaning: &Cleaning,
) -> (Membership, Vec<CleaningWarning>) {
    assert_eq!(membership.n_voxels(), shape.iter().product::<usize>(), "one row per voxel of the volume");
    assert_eq!(membership.n_networks(), networks.len(), "one name per network");
    let mut warnings = Vec::new();
    let mut members = membership.members();
    for (voxels, network) in members.iter_mut().zip(networks) {
        if voxels.is_empty() {
            continue;
        }
        let name = || network.name.clone();
        let n_before = voxels.len();
        let mut region = Region::around(voxels, shape);
        if cleaning.erode_voxels > 0 {
            region.inside = eroded(&region.inside, region.shape, cleaning.erode_voxels);
            if !region.inside.contains(&true) {
                warnings.push(CleaningWarning::ErodedAway { name: name(), n_voxels: n_before });
            }
        }
        if cleaning.smallest_piece_voxels > 1 {
            let smallest = cleaning.smallest_piece_voxels;
            let mut pieces = components(&region.inside, region.shape);
            pieces.retain(|piece| piece.len() < smallest);
            if !pieces.is_empty() {
                let (n_pieces, n_voxels) = (pieces.len(), pieces.iter().map(Vec::len).sum());
                warnings.push(CleaningWarning::PiecesDropped { name: name(), n_pieces, n_voxels, smallest });
            }
            pieces.iter().flatten().for_each(|&offset| region.inside[offset] = false);
        }
        *voxels = region.offsets(shape);
        let (n_voxels, smallest) = (voxels.len(), cleaning.smallest_network_voxels);
        if n_voxels > 0 && n_voxels < smallest {
            warnings.push(CleaningWarning::TooSmall { name: name(), n_voxels, smallest });
            voxels.clear();
        }
    }
    (Membership::from_members(membership.n_voxels(), &members), warnings)
}

/// The smallest box around some voxels: outside it is nothing, as beyond a grid, so cleaning it cleans the volume.
struct Region {
    first: Shape,
    shape: Shape,
    inside: Vec<bool>,
}

impl Region {
    fn around(voxels: &[usize], volume: Shape) -> Self {
        let mut first = volume;
        let mut last = [0; 3];
        for &offset in voxels {
            for (axis, index) in indices(offset, volume).into_iter().enumerate() {
                first[axis] = first[axis].min(index);
                last[axis] = last[axis].max(index);
            }
        }
        let shape = [0, 1, 2].map(|axis| last[axis] + 1 - first[axis]);
        let mut inside = vec![false; shape.iter().product()];
        for &offset in voxels {
            let voxel = indices(offset, volume);
            inside[place([0, 1, 2].map(|axis| voxel[axis] - first[axis]), shape)] = true;
        }
        Region { first, shape, inside }
    }

    /// The voxels inside as ascending offsets in the volume.
    fn offsets(&self, volume: Shape) -> Vec<usize> {
        // Both run with the first axis fastest, so the order of offsets is the same.
        (0..self.inside.len())
            .filter(|&offset| self.inside[offset])
            .map(|offset| {
                let voxel = indices(offset, self.shape);
                place([0, 1, 2].map(|axis| voxel[axis] + self.first[axis]), volume)
            })
            .collect()
    }
}

fn indices(offset: usize, [nx, ny, _]: Shape) -> [usize; 3] {
    [offset % nx, offset / nx % ny, offset / nx / ny]
}

fn place([i, j, k]: [usize; 3], [nx, ny, _]: Shape) -> usize {
    i + nx * (j + ny * k)
}

#[cfg(test)]
mod tests {
    use super::super::without_small_components;
    use super::*;
    use proptest::prelude::*;

    const SHAPE: Shape = [7, 6, 5];

    fn named(names: &[&str]) -> Vec<Network> {
        names.iter().map(|name| Network { name: (*name).to_owned(), color: None }).collect()
    }

    proptest! {
        #[test]
        fn a_box_around_a_network_changes_nothing(
            inside in proptest::collection::vec(prop::bool::weighted(0.8), 210),
            erode_voxels in 0_usize..3,
            smallest_piece_voxels in 0_usize..5,
        ) {
            let members = vec![(0..210).filter(|&offset| inside[offset]).collect::<Vec<usize>>()];
            let cleaning = Cleaning { erode_voxels, smallest_piece_voxels, ..Cleaning::default() };
            let (cleaned, _) = cleaned(&Membership::from_members(210, &members), &named(&["a"]), SHAPE, &cleaning);
            let expected = without_small_components(&eroded(&inside, SHAPE, erode_voxels), SHAPE, smallest_piece_voxels);
            prop_assert_eq!(cleaned.rows().map(|row| !row.is_empty()).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn every_loss_is_told() {
        let full: Vec<usize> = (0..210).collect();
        let speck = vec![place([0, 0, 0], SHAPE), place([6, 5, 4], SHAPE), place([5, 5, 4], SHAPE)];
        let members = [full, speck.clone(), Vec::new()];
        let membership = Membership::from_members(210, &members);
        let networks = named(&["large", "speck", "empty"]);
        let texts = |cleaning: &Cleaning| {
            let (cleaned, warnings) = cleaned(&membership, &networks, SHAPE, cleaning);
            (cleaned.counts(), warnings.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            texts(&Cleaning { erode_voxels: 1, ..Cleaning::default() }),
            (vec![60, 0, 0], vec!["network `speck` had 3 voxels, erosion left none".to_owned()])
        );
        assert_eq!(
            texts(&Cleaning { smallest_piece_voxels: 2, ..Cleaning::default() }),
            (vec![210, 2, 0], vec!["network `speck` lost 1 voxels in 1 pieces of fewer than 2 voxels".to_owned()])
        );
        assert_eq!(
            texts(&Cleaning { smallest_network_voxels: 4, ..Cleaning::default() }),
            (vec![210, 0, 0], vec!["network `speck` had 3 voxels, fewer than 4: it was emptied".to_owned()])
        );
        assert_eq!(texts(&Cleaning::default()), (vec![210, 3, 0], Vec::new()));
    }
}
