//! Regions of voxels: erosion, connected parts, and what is done to the networks of an atlas before voxels are chosen.
//!
//! Owns [`NetworkChanges`] and operations on the shape of regions in a grid. Two voxels touch if they share a face; beyond the grid there is
//! nothing. [`rules`] makes networks out of networks, [`cleaning`] makes them smaller. Which grid it is, in millimetres, is
//! [`super::grid`]'s business; who belongs where is kept in [`super::membership`].

pub mod cleaning;
pub mod rules;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::atlas::Network;
use super::grid::Shape;
use super::membership::Membership;
use cleaning::{Cleaning, CleaningWarning, cleaned};
use rules::{NetworkRule, RuleError, combined};

/// Steps to the six voxels that share a face.
const FACES: [(usize, bool); 6] = [(0, false), (0, true), (1, false), (1, true), (2, false), (2, true)];

/// What a study does to the networks of its atlas, once these lie on the grid of the data and before the brain mask.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkChanges {
    /// Networks made out of networks, in this order.
    pub combine: Vec<NetworkRule>,
    /// What is taken away from every network, those just made too.
    pub clean: Cleaning,
}

impl NetworkChanges {
    /// Makes the new networks, then cleans all of them.
    ///
    /// # Errors
    /// If a rule does not fit the networks.
    ///
    /// # Panics
    /// If the membership does not fill a volume of that shape or the networks are not its networks.
    pub fn apply(
        &self,
        membership: &Membership,
        networks: &[Network],
        shape: Shape,
    ) -> Result<(Membership, Vec<Network>, Vec<CleaningWarning>), RuleError> {
        let (membership, networks) = combined(membership, networks, &self.combine)?;
        let (membership, warnings) = cleaned(&membership, &networks, shape, &self.clean);
        Ok((membership, networks, warnings))
    }

    /// The same where places have no neighbours, as on surfaces: networks are made and small ones emptied.
    ///
    /// # Errors
    /// If a rule does not fit the networks, or something is to be eroded or taken apart.
    ///
    /// # Panics
    /// If the networks are not the membership's.
    pub fn apply_to_places(
        &self,
        membership: &Membership,
        networks: &[Network],
    ) -> Result<(Membership, Vec<Network>, Vec<CleaningWarning>), RuleError> {
        if self.clean.erode_voxels > 0 || self.clean.smallest_piece_voxels > 1 {
            return Err(RuleError::NoNeighbours);
        }
        let (membership, networks) = combined(membership, networks, &self.combine)?;
        let smallest = self.clean.smallest_network_voxels;
        let mut members = membership.members();
        let mut warnings = Vec::new();
        for (places, network) in members.iter_mut().zip(&networks) {
            let n_voxels = places.len();
            if n_voxels > 0 && n_voxels < smallest {
                warnings.push(CleaningWarning::TooSmall { name: network.name.clone(), n_voxels, smallest });
                places.clear();
            }
        }
        Ok((Membership::from_members(membership.n_voxels(), &members), networks, warnings))
    }
}

/// The part of a region that is more than `n_steps` voxels away from its edge.
///
/// As `scipy.ndimage.binary_erosion(mask, iterations=n_steps)` with its default structure and `border_value=0`: a voxel
/// stays if its six neighbours are inside too, and what lies beyond the grid is outside. No step changes nothing.
///
/// # Panics
/// If `inside` does not fill a volume of that shape.
pub fn eroded(inside: &[bool], shape: Shape, n_steps: usize) -> Vec<bool> {
    assert_eq!(inside.len(), shape.iter().product::<usize>(), "one value per voxel of the volume");
    let mut region = inside.to_vec();
    for _ in 0..n_steps {
        let next: Vec<bool> = (0..region.len())
            .map(|offset| {
                region[offset] && FACES.iter().all(|&face| neighbour(offset, shape, face).is_some_and(|n| region[n]))
            })
            .collect();
        if next == region {
            break; // Only the empty region is its own erosion, because the grid ends somewhere.
        }
        region = next;
    }
    region
}

/// The connected parts of a region, each as ascending offsets, in the order of their first voxels.
///
/// As `scipy.ndimage.label(mask)` with its default structure: voxels are connected through faces.
///
/// # Panics
/// If `inside` does not fill a volume of that shape.
pub fn components(inside: &[bool], shape: Shape) -> Vec<Vec<usize>> {
    assert_eq!(inside.len(), shape.iter().product::<usize>(), "one value per voxel of the volume");
    let mut unseen = inside.to_vec();
    let mut components = Vec::new();
    for first in 0..unseen.len() {
        if !std::mem::take(&mut unseen[first]) {
            continue;
        }
        let mut component = vec![first];
        let mut next = 0;
        while let Some(&offset) = component.get(next) {
            next += 1;
            for neighbour in FACES.iter().filter_map(|&face| neighbour(offset, shape, face)) {
                if std::mem::take(&mut unseen[neighbour]) {
                    component.push(neighbour);
                }
            }
        }
        component.sort_unstable();
        components.push(component);
    }
    components
}

/// The region without its connected parts of fewer than `smallest` voxels.
///
/// # Panics
/// If `inside` does not fill a volume of that shape.
pub fn without_small_components(inside: &[bool], shape: Shape, smallest: usize) -> Vec<bool> {
    let mut region = inside.to_vec();
    for component in components(inside, shape).iter().filter(|component| component.len() < smallest) {
        component.iter().for_each(|&offset| region[offset] = false);
    }
    region
}

/// The offset of the voxel behind a face, in a volume whose first axis runs fastest.
fn neighbour(offset: usize, shape: Shape, (axis, up): (usize, bool)) -> Option<usize> {
    let step: usize = shape[..axis].iter().product();
    let index = offset / step % shape[axis];
    match up {
        true => (index + 1 < shape[axis]).then(|| offset + step),
        false => (index > 0).then(|| offset - step),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region() -> impl Strategy<Value = (Vec<bool>, Shape)> {
        prop::array::uniform3(1_usize..6).prop_flat_map(|shape| {
            (proptest::collection::vec(prop::bool::weighted(0.7), shape.iter().product::<usize>()), Just(shape))
        })
    }

    proptest! {
        #[test]
        fn erosion_happens_step_by_step((inside, shape) in region()) {
            prop_assert_eq!(eroded(&inside, shape, 2), eroded(&eroded(&inside, shape, 1), shape, 1));
            prop_assert_eq!(eroded(&inside, shape, 0), inside.clone());
            prop_assert!(eroded(&inside, shape, 3).iter().all(|inside| !inside));
            prop_assert!(eroded(&inside, shape, 1).iter().zip(&inside).all(|(after, before)| !after || *before));
        }

        #[test]
        fn components_part_the_region((inside, shape) in region()) {
            let mut all: Vec<usize> = components(&inside, shape).concat();
            all.sort_unstable();
            let expected: Vec<usize> = (0..inside.len()).filter(|&offset| inside[offset]).collect();
            prop_assert_eq!(all, expected);
            prop_assert_eq!(without_small_components(&inside, shape, 1), inside.clone());
            let kept = without_small_components(&inside, shape, 4);
            prop_assert!(components(&kept, shape).iter().all(|component| component.len() >= 4));
        }
    }

    #[test]
    fn corners_do_not_connect() {
        // Two voxels that share an edge only, and a third that shares a face with the second.
        let inside = [true, false, false, true, false, false, false, true];
        assert_eq!(components(&inside, [2, 2, 2]), [vec![0], vec![3, 7]]);
        assert_eq!(without_small_components(&inside, [2, 2, 2], 2).iter().filter(|inside| **inside).count(), 2);
    }

    #[test]
    fn a_full_volume_loses_its_shell() {
        let eroded = eroded(&[true; 125], [5, 5, 5], 1);
        assert_eq!(eroded.iter().filter(|inside| **inside).count(), 27);
    }
}
