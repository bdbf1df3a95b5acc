//! How far sets of voxels, or of units, coincide, and what chance alone would give.
//!
//! Owns Dice and Jaccard coefficients of K sets over V elements and the count of sets an element belongs to. The test against
//! chance is in `overlap/null.rs`, its two ways of drawing sets in `overlap/memberships.rs` and `overlap/rotation.rs`, what is
//! counted in a draw in `overlap/layout.rs`. It does not know how the sets came about; a caller thresholds maps or codes and
//! selects the mask.

mod compare;
mod layout;
mod memberships;
mod null;
mod rotation;

use ndarray::{Array2, ArrayView2};

pub use self::compare::{Comparison, OverlapComparison, OverlapWarning, PairOverlap, RegionOverlap};
pub use self::null::{OverlapNull, OverlapOptions, OverlapTest, compare_overlap, overlap_test};

/// K sets over the same V elements, as bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sets {
    /// Members, 64 to a word (n_sets x n_words).
    words: Vec<Vec<u64>>,
    sizes: Vec<usize>,
    n_elements: usize,
}

impl Sets {
    /// Packs a membership matrix (n_sets x n_elements).
    pub fn new(members: ArrayView2<'_, bool>) -> Self {
        let pack = |row: ndarray::ArrayView1<'_, bool>| {
            let mut words = vec![0u64; row.len().div_ceil(64)];
            for (element, _) in row.iter().enumerate().filter(|(_, is_member)| **is_member) {
                words[element / 64] |= 1 << (element % 64);
            }
            words
        };
        let words: Vec<Vec<u64>> = members.outer_iter().map(pack).collect();
        let sizes = words.iter().map(|w| w.iter().map(|w| w.count_ones() as usize).sum()).collect();
        Self { words, sizes, n_elements: members.ncols() }
    }

    /// Number of members of each set.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    fn n_common(&self, a: usize, b: usize) -> usize {
        n_common(&self.words[a], &self.words[b])
    }

    fn pairwise(&self, coefficient: impl Fn(usize, usize, usize) -> Option<f64> + Sync) -> Array2<Option<f64>> {
        let n_sets = self.sizes.len();
        Array2::from_shape_fn((n_sets, n_sets), |(a, b)| coefficient(self.n_common(a, b), self.sizes[a], self.sizes[b]))
    }

    /// Dice coefficient of every pair (n_sets x n_sets), `2 |A and B| / (|A| + |B|)`; `None` where both are empty.
    pub fn dice(&self) -> Array2<Option<f64>> {
        self.pairwise(dice)
    }

    /// Intersection over union (Jaccard) of every pair (n_sets x n_sets); `None` where both are empty.
    pub fn iou(&self) -> Array2<Option<f64>> {
        self.pairwise(|n_common, a, b| {
            let union = a + b - n_common;
            (union > 0).then(|| n_common as f64 / union as f64)
        })
    }

    /// Number of sets that each element belongs to (n_elements).
    pub fn n_sets_of_element(&self) -> Vec<u32> {
        let mut counts = vec![0u32; self.n_elements];
        for words in &self.words {
            for (element, count) in counts.iter_mut().enumerate() {
                *count += (words[element / 64] >> (element % 64) & 1) as u32;
            }
        }
        counts
    }

    /// Share of the elements that belong to `n_sets` sets or more; `None` without elements.
    pub fn share_in_at_least(&self, n_sets: u32) -> Option<f64> {
        let counts = self.n_sets_of_element();
        let n = counts.iter().filter(|&&count| count >= n_sets).count();
        (!counts.is_empty()).then(|| n as f64 / counts.len() as f64)
    }
}

/// Members of both sets.
fn n_common(a: &[u64], b: &[u64]) -> usize {
    a.iter().zip(b).map(|(a, b)| (a & b).count_ones() as usize).sum()
}

fn dice(n_common: usize, a: usize, b: usize) -> Option<f64> {
    (a + b > 0).then(|| 2.0 * n_common as f64 / (a + b) as f64)
}

#[cfg(test)]
mod tests;
