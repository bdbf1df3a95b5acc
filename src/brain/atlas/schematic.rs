//! A schematic brain with seven networks on any grid, for simulations and first steps.
//!
//! The brain is an ellipsoid that nearly fills the grid; each network has a rounded parcel in either hemisphere, placed
//! roughly where its largest part lies (visual behind, somatomotor on top, language at the side). It is a drawing, not
//! anatomy: results on it say nothing about a cortical place.

use super::{Atlas, Network, Parcel, Voxels};
use crate::brain::grid::Grid;

/// Half axes of the brain as a share of half the grid.
const BRAIN_EXTENT: f64 = 0.92;
/// Half the gap between the hemispheres, in the same unit.
const MIDLINE: f64 = 0.02;
/// Radius of a parcel, in the same unit.
const PARCEL_RADIUS: f64 = 0.5;

/// Name, colour and centre (lateral, anterior, superior; each from -1 to 1) of the networks.
const NETWORKS: [(&str, &str, [f64; 3]); 7] = [
    ("visual", "#781286", [0.35, -0.75, 0.0]),
    ("somatomotor", "#4682b4", [0.5, 0.05, 0.7]),
    ("dorsal-attention", "#00760e", [0.4, -0.5, 0.6]),
    ("ventral-attention", "#c43afa", [0.75, 0.3, 0.15]),
    ("limbic", "#a8b820", [0.35, 0.4, -0.55]),
    ("language", "#e69422", [0.75, -0.25, -0.2]),
    ("default", "#cd3e4e", [0.25, 0.75, 0.25]),
];

/// Names of the networks of the schematic atlas.
pub fn schematic_networks() -> [&'static str; 7] {
    NETWORKS.map(|(name, _, _)| name)
}

/// A brain mask and an atlas of seven networks, mirror images of each other across the middle of the first axis.
///
/// The first axis of the grid is taken for left to right, the second for back to front, the third for bottom to top.
/// Volumes run with the first axis fastest.
pub fn schematic(grid: &Grid) -> (Vec<bool>, Atlas) {
    let mut brain = vec![false; grid.n_voxels()];
    let mut labels = vec![0; grid.n_voxels()];
    for voxel in grid.voxels() {
        let place = [0, 1, 2].map(|axis| {
            let half = grid.shape[axis] as f64 / 2.0;
            (voxel[axis] as f64 + 0.5 - half) / (half * BRAIN_EXTENT)
        });
        if place.iter().map(|x| x * x).sum::<f64>() > 1.0 {
            continue;
        }
        let offset = grid.offset(voxel);
        brain[offset] = true;
        if place[0].abs() >= MIDLINE
            && let Some(network) = nearest_network([place[0].abs(), place[1], place[2]])
        {
            let hemisphere = i32::from(place[0] > 0.0);
            labels[offset] = 1 + network as i32 + hemisphere * NETWORKS.len() as i32;
        }
    }
    let parcels = ["left", "right"].iter().enumerate().flat_map(|(hemisphere, side)| {
        NETWORKS.iter().enumerate().map(move |(network, (name, _, _))| Parcel {
            index: 1 + (network + hemisphere * NETWORKS.len()) as i32,
            name: format!("{side}-{name}"),
            network: Some(network),
        })
    });
    let networks =
        NETWORKS.iter().map(|(name, color, _)| Network { name: (*name).to_owned(), color: Some((*color).to_owned()) });
    let atlas = Atlas {
        grid: *grid,
        voxels: Voxels::Labels(labels),
        parcels: parcels.collect(),
        networks: networks.collect(),
        warnings: Vec::new(),
    };
    (brain, atlas)
}

fn nearest_network(place: [f64; 3]) -> Option<usize> {
    let squared_distance = |centre: [f64; 3]| place.iter().zip(centre).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let distances = NETWORKS.iter().map(|(_, _, centre)| squared_distance(*centre)).enumerate();
    let (network, distance) = distances.min_by(|a, b| a.1.total_cmp(&b.1)).expect("there are seven networks");
    (distance <= PARCEL_RADIUS * PARCEL_RADIUS).then_some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(shape: [usize; 3]) -> Grid {
        let affine = [[3.0, 0.0, 0.0, -30.0], [0.0, 3.0, 0.0, -36.0], [0.0, 0.0, 3.0, -27.0], [0.0, 0.0, 0.0, 1.0]];
        Grid::new(shape, affine).unwrap()
    }

    #[test]
    fn every_network_has_voxels_on_both_sides() {
        for shape in [[20, 24, 18], [9, 11, 8], [91, 109, 91]] {
            let (brain, atlas) = schematic(&grid(shape));
            let Voxels::Labels(labels) = &atlas.voxels else { panic!("the schematic atlas has labels") };
            for parcel in &atlas.parcels {
                let n_voxels = labels.iter().filter(|&&label| label == parcel.index).count();
                assert!(n_voxels >= 3, "{parcel:?} has {n_voxels} voxels on {shape:?}");
            }
            let unlabelled = brain.iter().zip(labels).filter(|(inside, label)| **inside && **label == 0).count();
            assert!(unlabelled > 0);
            assert!(brain.iter().zip(labels).all(|(inside, label)| *inside || *label == 0));
        }
    }

    #[test]
    fn hemispheres_are_mirror_images() {
        let grid = grid([20, 24, 18]);
        let (brain, atlas) = schematic(&grid);
        let (networks, _) = atlas.membership(&grid).unwrap();
        for [i, j, k] in grid.voxels() {
            let (here, there) = (grid.offset([i, j, k]), grid.offset([19 - i, j, k]));
            assert_eq!(brain[here], brain[there]);
            assert_eq!(networks.of(here), networks.of(there));
        }
    }
}
