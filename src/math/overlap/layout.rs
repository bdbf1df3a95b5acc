//! Where each element stands among the bits of a set, and what is counted of a draw.
//!
//! Owns the order of elements: those that belong to the same groups stand together and begin a word, so that one pass over the
//! words of two sets counts what they share in every group. It does not know how members were chosen.

use std::collections::BTreeMap;

use super::{Sets, dice, n_common};
use crate::math::MathError;

/// Elements that belong to the same groups.
#[derive(Debug)]
pub(super) struct Cell {
    pub first_word: usize,
    pub n_elements: usize,
}

impl Cell {
    fn words(&self) -> std::ops::Range<usize> {
        self.first_word..self.first_word + self.n_elements.div_ceil(64)
    }

    /// Places of the elements.
    pub fn places(&self) -> std::ops::Range<usize> {
        self.first_word * 64..self.first_word * 64 + self.n_elements
    }
}

/// The place of every element.
#[derive(Debug)]
pub(super) struct Layout {
    /// Place of each element (n_elements).
    pub place: Vec<u32>,
    pub cells: Vec<Cell>,
    /// Cells of all elements, then of each group.
    regions: Vec<Vec<usize>>,
    pub n_words: usize,
}

impl Layout {
    pub fn new(n_elements: usize, groups: &[Vec<usize>]) -> Result<Self, MathError> {
        let mut groups_of_element: Vec<Vec<usize>> = vec![Vec::new(); n_elements];
        for (group, elements) in groups.iter().enumerate() {
            for &element in elements {
                let of_element = groups_of_element.get_mut(element).ok_or(MathError::Index {
                    name: "groups",
                    found: element,
                    expected: n_elements,
                })?;
                if of_element.last() != Some(&group) {
                    of_element.push(group);
                }
            }
        }
        let mut elements_of_cell: BTreeMap<&[usize], Vec<usize>> = BTreeMap::new();
        for (element, of_element) in groups_of_element.iter().enumerate() {
            elements_of_cell.entry(of_element).or_default().push(element);
        }
        let mut layout = Self {
            place: vec![0; n_elements],
            cells: Vec::new(),
            regions: vec![(0..elements_of_cell.len()).collect()],
            n_words: 0,
        };
        layout.regions.resize(1 + groups.len(), Vec::new());
        for (of_cell, elements) in elements_of_cell {
            for &group in of_cell {
                layout.regions[1 + group].push(layout.cells.len());
            }
            let cell = Cell { first_word: layout.n_words, n_elements: elements.len() };
            for (place, element) in cell.places().zip(elements) {
                layout.place[element] = u32::try_from(place).expect("a brain has fewer than 4 billion voxels");
            }
            layout.n_words = cell.words().end;
            layout.cells.push(cell);
        }
        Ok(layout)
    }

    /// Elements of all, then of each group.
    pub fn n_elements_of_region(&self) -> Vec<usize> {
        let of_region = |cells: &Vec<usize>| cells.iter().map(|&cell| self.cells[cell].n_elements).sum();
        self.regions.iter().map(of_region).collect()
    }
}

/// Members of every set, by place.
#[derive(Debug, Clone)]
pub(super) struct Bits {
    /// n_sets x n_words
    words: Vec<u64>,
    n_words: usize,
}

impl Bits {
    pub fn empty(n_sets: usize, layout: &Layout) -> Self {
        Self { words: vec![0; n_sets * layout.n_words], n_words: layout.n_words }
    }

    pub fn of(sets: &Sets, layout: &Layout) -> Self {
        let mut bits = Self::empty(sets.words.len(), layout);
        for (set, members) in sets.words.iter().enumerate() {
            let words = bits.set_mut(set);
            for (element, &place) in layout.place.iter().enumerate() {
                let place = place as usize;
                words[place / 64] |= (members[element / 64] >> (element % 64) & 1) << (place % 64);
            }
        }
        bits
    }

    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    pub fn set(&self, set: usize) -> &[u64] {
        &self.words[set * self.n_words..(set + 1) * self.n_words]
    }

    pub fn set_mut(&mut self, set: usize) -> &mut [u64] {
        &mut self.words[set * self.n_words..(set + 1) * self.n_words]
    }

    /// Members of a set in each cell.
    pub fn sizes_in_cells(&self, set: usize, layout: &Layout) -> Vec<usize> {
        let members = self.set(set);
        layout.cells.iter().map(|cell| members[cell.words()].iter().map(|w| w.count_ones() as usize).sum()).collect()
    }
}

/// What is counted in one region.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RegionCount {
    /// Mean over pairs of which one has a member here.
    pub mean_dice: Option<f64>,
    /// Elements in one set or more.
    pub n_driven: usize,
    /// Elements in two sets or more.
    pub n_shared: usize,
}

impl RegionCount {
    pub fn shared_share(&self) -> Option<f64> {
        (self.n_driven > 0).then(|| self.n_shared as f64 / self.n_driven as f64)
    }
}

/// What is counted of one draw.
#[derive(Debug, Clone)]
pub(super) struct Count {
    /// Members that a pair has in common, first set slowest (n_pairs).
    pub n_common: Vec<u32>,
    /// All elements, then each group.
    pub regions: Vec<RegionCount>,
}

impl Count {
    pub fn of(bits: &Bits, n_sets: usize, layout: &Layout) -> Self {
        let in_cells: Vec<Vec<usize>> = (0..n_sets).map(|set| bits.sizes_in_cells(set, layout)).collect();
        let sum_of = |counts: &[usize], cells: &[usize]| cells.iter().map(|&cell| counts[cell]).sum::<usize>();
        let sizes: Vec<Vec<usize>> =
            layout.regions.iter().map(|cells| in_cells.iter().map(|counts| sum_of(counts, cells)).collect()).collect();

        let mut common = Vec::with_capacity(n_sets * n_sets.saturating_sub(1) / 2);
        let mut totals = vec![(0.0, 0usize); layout.regions.len()];
        let mut in_cell = vec![0; layout.cells.len()];
        for a in 0..n_sets {
            for b in a + 1..n_sets {
                for (count, cell) in in_cell.iter_mut().zip(&layout.cells) {
                    *count = n_common(&bits.set(a)[cell.words()], &bits.set(b)[cell.words()]);
                }
                for ((total, cells), sizes) in totals.iter_mut().zip(&layout.regions).zip(&sizes) {
                    if let Some(dice) = dice(sum_of(&in_cell, cells), sizes[a], sizes[b]) {
                        *total = (total.0 + dice, total.1 + 1);
                    }
                }
                common.push(in_cell.iter().sum::<usize>() as u32);
            }
        }

        let (mut once, mut twice) = (vec![0u64; layout.n_words], vec![0u64; layout.n_words]);
        for set in 0..n_sets {
            for ((once, twice), &word) in once.iter_mut().zip(&mut twice).zip(bits.set(set)) {
                *twice |= *once & word;
                *once |= word;
            }
        }
        let count_in = |words: &[u64], cells: &[usize]| {
            cells
                .iter()
                .map(|&cell| words[layout.cells[cell].words()].iter().map(|w| w.count_ones() as usize).sum::<usize>())
                .sum()
        };
        let regions = layout.regions.iter().zip(totals).map(|(cells, (sum, n))| RegionCount {
            mean_dice: (n > 0).then(|| sum / n as f64),
            n_driven: count_in(&once, cells),
            n_shared: count_in(&twice, cells),
        });
        Self { n_common: common, regions: regions.collect() }
    }
}
