//! Sets of given sizes whose members are thrown onto elements at random.
//!
//! Owns the draw. Among which elements members may move is the caller's choice.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::layout::{Bits, Layout};

/// Elements among which members move, and how many each set has there.
#[derive(Debug, Clone)]
struct Urn {
    places: Vec<u32>,
    n_members: Vec<usize>,
}

/// Draws sets with random members.
#[derive(Debug, Clone)]
pub(super) struct Thrown {
    urns: Vec<Urn>,
}

impl Thrown {
    /// Members move among all elements.
    pub fn anywhere(sizes: &[usize], layout: &Layout) -> Self {
        Self { urns: vec![Urn { places: layout.place.clone(), n_members: sizes.to_vec() }] }
    }

    /// Members move among the elements that belong to the same groups.
    pub fn within_cells(observed: &Bits, n_sets: usize, layout: &Layout) -> Self {
        let in_cells: Vec<Vec<usize>> = (0..n_sets).map(|set| observed.sizes_in_cells(set, layout)).collect();
        let urn = |(index, cell): (usize, &super::layout::Cell)| Urn {
            places: cell.places().map(|place| place as u32).collect(),
            n_members: in_cells.iter().map(|counts| counts[index]).collect(),
        };
        Self { urns: layout.cells.iter().enumerate().map(urn).collect() }
    }

    pub fn draw(&mut self, rng: &mut ChaCha8Rng, bits: &mut Bits) {
        for urn in &mut self.urns {
            let n_places = urn.places.len();
            for (set, &n_members) in urn.n_members.iter().enumerate() {
                let words = bits.set_mut(set);
                // The first steps of a Fisher-Yates shuffle; it is uniform from whatever order the last draw left.
                for i in 0..n_members {
                    let j = rng.random_range(i..n_places);
                    urn.places.swap(i, j);
                    let place = urn.places[i] as usize;
                    words[place / 64] |= 1 << (place % 64);
                }
            }
        }
    }
}
