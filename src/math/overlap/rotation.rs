//! Sets that follow from rotated maps.
//!
//! Owns the scale of maps, the random rotation of patterns, and the threshold by rank. It does not know what is counted of a draw.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma, StandardNormal};

use super::layout::{Bits, Layout};
use crate::math::blas::{matmul, single_thread_blas};

/// Maps that are rotated at a time, so that a draw holds some rows of the rotated maps, not all.
const ROTATED_ROWS: usize = 32;

/// Elements that are held in f64 at a time.
const GRAM_COLUMNS: usize = 4096;

/// Turns in which scales and powers are made to agree, at most, and the relative change of a squared scale at which they do.
const BALANCING_TURNS: usize = 100;
const BALANCED: f64 = 1e-6;

/// One weight in so many is looked at to bracket a threshold.
const SAMPLE_STEP: usize = 32;

/// Standard deviations of a sample's rank by which its bracket reaches out.
const BRACKET_DEVIATIONS: f64 = 4.0;

/// A magnitude as an integer of the same order.
fn magnitude(weight: f32) -> u32 {
    weight.to_bits() & 0x7fff_ffff
}

/// Maps of one length, and how long they were likely to be.
#[derive(Debug)]
pub(super) struct Rotator<'a> {
    /// n_maps x (64 n_words), in the order of places
    maps: Array2<f32>,
    /// Orthonormal vectors as rows, the first with equal entries (n_maps x n_maps).
    basis: Array2<f64>,
    /// Squared lengths of maps, of mean 1; absent where lengths do not vary.
    squared_length: Option<Gamma<f64>>,
    /// Set of each map that has power (n_maps).
    sets: Vec<usize>,
    sizes: &'a [usize],
    layout: &'a Layout,
}

/// What a task needs for its draws.
#[derive(Debug)]
pub(super) struct Scratch {
    rotated: Array2<f32>,
    candidates: Vec<u32>,
}

impl<'a> Rotator<'a> {
    /// Scales the maps (n_sets x n_elements) alike; those without power are left out.
    pub fn new(maps: ArrayView2<'_, f32>, sizes: &'a [usize], layout: &'a Layout) -> Self {
        let Balance { sets, scales, powers } = Balance::of(maps);
        let mut placed = Array2::zeros((sets.len(), 64 * layout.n_words));
        for ((mut row, &set), scale) in placed.outer_iter_mut().zip(&sets).zip(&scales) {
            for (&place, &weight) in layout.place.iter().zip(maps.row(set)) {
                row[place as usize] = (f64::from(weight) * scale) as f32;
            }
        }
        let mut whitening = Array1::zeros(placed.ncols());
        for (&place, &power) in layout.place.iter().zip(&powers) {
            whitening[place as usize] = if power > 0.0 { power.sqrt().recip() } else { 0.0 };
        }
        let n_maps = sets.len();
        let units = Array2::eye(n_maps);
        let basis = orthonormal_after_ones(n_maps, |vector| units.row(vector).to_vec());
        let squared_length = squared_length(placed.view(), &whitening);
        Self { maps: placed, basis, squared_length, sets, sizes, layout }
    }

    pub fn n_maps(&self) -> usize {
        self.sets.len()
    }

    pub fn scratch(&self) -> Scratch {
        let n_rows = ROTATED_ROWS.min(self.n_maps());
        Scratch { rotated: Array2::zeros((n_rows, self.maps.ncols())), candidates: Vec::new() }
    }

    /// Draws a rotation, and the sets of the rotated maps.
    pub fn draw(&self, rng: &mut ChaCha8Rng, scratch: &mut Scratch, bits: &mut Bits) {
        single_thread_blas();
        let n_maps = self.n_maps();
        let frame = orthonormal_after_ones(n_maps, |_| (0..n_maps).map(|_| StandardNormal.sample(rng)).collect());
        let mut rotation = frame.t().dot(&self.basis);
        if let Some(squared_length) = &self.squared_length {
            rotation *= &Array1::from_shape_simple_fn(n_maps, || squared_length.sample(rng).sqrt());
        }
        let rotation = rotation.mapv(|v| v as f32);
        for (rows, sets) in rotation.axis_chunks_iter(Axis(0), ROTATED_ROWS).zip(self.sets.chunks(ROTATED_ROWS)) {
            let mut rotated = scratch.rotated.slice_mut(s![..rows.nrows(), ..]);
            general_mat_mul(1.0, &rows, &self.maps, 0.0, &mut rotated);
            for (map, &set) in rotated.outer_iter().zip(sets) {
                let map = map.to_slice().expect("a row of a matrix stored by row");
                take_largest(map, self.sizes[set], self.layout, &mut scratch.candidates, bits.set_mut(set));
            }
        }
    }
}

/// Scales at which all maps are equally long, if elements count by how much power all maps together have there.
///
/// The length of a normal row says least about its direction, and varies least, where elements are made equal: measured by plain
/// root mean square, a map that happens to lie more in elements of high gain would be taken for a map of another scale.
/// Rows and columns of the squared weights are made equal in turn (Sinkhorn and Knopp 1967).
#[derive(Debug)]
struct Balance {
    /// Maps that have power.
    sets: Vec<usize>,
    /// What each of these is multiplied by.
    scales: Vec<f64>,
    /// Mean square over scaled maps of each element (n_elements).
    powers: Array1<f64>,
}

impl Balance {
    fn of(maps: ArrayView2<'_, f32>) -> Self {
        let power = |map: ArrayView1<'_, f32>| map.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>();
        let (sets, mut squares): (Vec<usize>, Vec<f64>) = maps
            .outer_iter()
            .map(|map| map.len() as f64 / power(map))
            .enumerate()
            .filter(|(_, square)| square.is_finite())
            .unzip();
        let n_maps = sets.len();
        let mut powers = Array1::<f64>::zeros(maps.ncols());
        for _ in 0..BALANCING_TURNS {
            powers.fill(0.0);
            for (&set, square) in sets.iter().zip(&squares) {
                powers
                    .zip_mut_with(&maps.row(set), |power, &w| *power += square * f64::from(w).powi(2) / n_maps as f64);
            }
            let mut largest_change = 0f64;
            for (&set, square) in sets.iter().zip(&mut squares) {
                let shares = maps.row(set).into_iter().zip(&powers).filter(|(_, power)| **power > 0.0);
                let length = shares.map(|(&w, power)| f64::from(w).powi(2) / power).sum::<f64>() / maps.ncols() as f64;
                let change = (*square * length).recip();
                *square *= change;
                largest_change = largest_change.max((change - 1.0).abs());
            }
            if largest_change < BALANCED {
                break;
            }
        }
        Self { sets, scales: squares.into_iter().map(f64::sqrt).collect(), powers }
    }
}

/// The law of the squared length of a map, of which scaled maps have lost all trace but one: for independent normal rows of one
/// mean and covariance, the squared length of a row varies twice as much as the inner product of two. Elements count as
/// `whitening` says.
///
/// `Var |b|^2 = 2 tr S^2 + 4 m'Sm = 2 Var b_k'b_j`. A gamma law of that variance is the usual one for such a sum of squares
/// (Satterthwaite 1946).
fn squared_length(maps: ArrayView2<'_, f32>, whitening: &Array1<f64>) -> Option<Gamma<f64>> {
    let products = gram(maps, whitening);
    let n_maps = maps.nrows();
    let cosines: Vec<f64> = (0..n_maps)
        .flat_map(|a| (a + 1..n_maps).map(move |b| [a, b]))
        .map(|[a, b]| products[[a, b]] / (products[[a, a]] * products[[b, b]]).sqrt())
        .collect();
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    let variance = cosines.iter().map(|cosine| (cosine - mean).powi(2)).sum::<f64>() / cosines.len() as f64;
    Gamma::new((2.0 * variance).recip(), 2.0 * variance).ok()
}

/// Inner products of rows whose elements are multiplied by `whitening`, in f64.
fn gram(maps: ArrayView2<'_, f32>, whitening: &Array1<f64>) -> Array2<f64> {
    let mut gram = Array2::zeros((maps.nrows(), maps.nrows()));
    for (columns, whitening) in
        maps.axis_chunks_iter(Axis(1), GRAM_COLUMNS).zip(whitening.axis_chunks_iter(Axis(0), GRAM_COLUMNS))
    {
        let columns = columns.mapv(f64::from) * whitening;
        gram += &matmul(columns.view(), columns.t());
    }
    gram
}

/// Orthonormal vectors as rows (n x n): the first has equal entries, the others come from what `vector(i)` gives.
///
/// Gram-Schmidt, twice for each vector, which leaves them orthogonal to rounding (Giraud et al. 2005). From normal vectors the
/// others are uniform over all frames of the complement: the factor `Q` of a QR factorisation whose `R` has a positive
/// diagonal is Haar distributed (Mezzadri 2007), and this is that factor.
fn orthonormal_after_ones(n: usize, mut vector: impl FnMut(usize) -> Vec<f64>) -> Array2<f64> {
    let mut rows = Array2::from_elem((n, n), (n as f64).sqrt().recip());
    for i in 1..n {
        let (done, mut rest) = rows.view_mut().split_at(Axis(0), i);
        let mut row = rest.row_mut(0);
        row.assign(&Array1::from_vec(vector(i - 1)));
        for _ in 0..2 {
            let along = done.dot(&row);
            row -= &along.dot(&done);
        }
        let length = row.dot(&row).sqrt();
        row /= length;
    }
    rows
}

/// Makes the `n` weights of largest magnitude the members of a set; among equal ones those that stand first.
fn take_largest(map: &[f32], n: usize, layout: &Layout, candidates: &mut Vec<u32>, words: &mut [u64]) {
    if n == 0 {
        return;
    }
    let threshold = nth_largest(map, n, candidates);
    let mut n_above = 0;
    for (word, weights) in words.iter_mut().zip(map.chunks_exact(64)) {
        let mut is_above = [0u8; 64];
        for (is_above, &weight) in is_above.iter_mut().zip(weights) {
            *is_above = u8::from(magnitude(weight) > threshold);
        }
        *word = pack(&is_above);
        n_above += word.count_ones() as usize;
    }
    let places = layout.cells.iter().flat_map(super::layout::Cell::places);
    let at_threshold = places.filter(|&place| magnitude(map[place]) == threshold);
    for place in at_threshold.take(n - n_above) {
        words[place / 64] |= 1 << (place % 64);
    }
}

/// 64 bytes of 0 or 1 as the bits of a word.
fn pack(bytes: &[u8; 64]) -> u64 {
    let mut word = 0;
    for (eighth, bytes) in bytes.as_chunks::<8>().0.iter().enumerate() {
        // The product moves bit i of the answer from byte i to the top byte, without carries between them.
        let top = u64::from_le_bytes(*bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word |= top << (8 * eighth);
    }
    word
}

/// The `n`-th largest magnitude, `n` from 1.
///
/// A sample brackets it, one pass counts what lies above the bracket and keeps what lies inside, and a selection among those
/// few finishes; when the bracket misses, the selection runs over all.
fn nth_largest(map: &[f32], n: usize, candidates: &mut Vec<u32>) -> u32 {
    let n_sampled = map.len() / SAMPLE_STEP;
    if n_sampled > SAMPLE_STEP {
        let share = n as f64 / map.len() as f64;
        let rank = share * n_sampled as f64;
        let margin = BRACKET_DEVIATIONS * (rank * (1.0 - share)).sqrt() + BRACKET_DEVIATIONS;
        candidates.clear();
        candidates.extend(map.iter().step_by(SAMPLE_STEP).map(|&weight| magnitude(weight)));
        let mut at_rank = |rank: f64, beyond: u32| {
            let is_inside = rank >= 1.0 && rank <= n_sampled as f64;
            if is_inside { *candidates.select_nth_unstable_by(rank as usize - 1, |a, b| b.cmp(a)).1 } else { beyond }
        };
        let (low, high) = (at_rank(rank + margin, 0), at_rank(rank - margin, u32::MAX));
        let n_above = keep_inside(map, low, high, candidates);
        if (n_above + 1..=n_above + candidates.len()).contains(&n) {
            return *candidates.select_nth_unstable_by(n - n_above - 1, |a, b| b.cmp(a)).1;
        }
    }
    candidates.clear();
    candidates.extend(map.iter().map(|&weight| magnitude(weight)));
    *candidates.select_nth_unstable_by(n - 1, |a, b| b.cmp(a)).1
}

/// Collects the magnitudes from `low` to `high`, and counts those above.
fn keep_inside(map: &[f32], low: u32, high: u32, candidates: &mut Vec<u32>) -> usize {
    candidates.clear();
    candidates.resize(map.len() + 1, 0);
    let (mut n_above, mut n_kept) = (0, 0);
    for &weight in map {
        let magnitude = magnitude(weight);
        // Written always and kept by moving on, because a branch that is rarely taken at random costs more.
        candidates[n_kept] = magnitude;
        n_kept += usize::from(magnitude >= low && magnitude <= high);
        n_above += usize::from(magnitude > high);
    }
    candidates.truncate(n_kept);
    n_above
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};

    fn frame(n: usize, seed: u64) -> Array2<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        orthonormal_after_ones(n, |_| (0..n).map(|_| StandardNormal.sample(&mut rng)).collect())
    }

    #[test]
    fn frames_are_orthonormal_and_begin_with_the_mean() {
        for n in [1, 2, 3, 17, 64] {
            let rows = frame(n, n as u64);
            let apart = rows.dot(&rows.t()) - Array2::<f64>::eye(n);
            assert!(apart.iter().all(|d| d.abs() < 1e-14), "{n}");
            assert!(rows.row(0).iter().all(|v| (v * (n as f64).sqrt() - 1.0).abs() < 1e-14));
        }
    }

    /// Entries of a Haar rotation that leaves the mean in place: `E q_ij^2 = 1/n^2 + (1 - 1/n)^2 / (n - 1)`.
    #[test]
    fn rotations_are_uniform() {
        let n = 5;
        let units = Array2::<f64>::eye(n);
        let basis = orthonormal_after_ones(n, |vector| units.row(vector).to_vec());
        let n_draws = 4000;
        let mut squares = Array2::<f64>::zeros((n, n));
        let mut means = Array2::<f64>::zeros((n, n));
        for seed in 0..n_draws {
            let rotation = frame(n, seed).t().dot(&basis);
            assert!(rotation.sum_axis(Axis(1)).iter().all(|sum| (sum - 1.0).abs() < 1e-12));
            squares += &rotation.mapv(|v| v * v);
            means += &rotation;
        }
        let share = 1.0 / n as f64;
        let expected = share * share + (1.0 - share) * (1.0 - share) / (n as f64 - 1.0);
        // Each entry varies by about 0.4, its square by about 0.25.
        assert!(squares.iter().all(|s| (s / n_draws as f64 - expected).abs() < 0.02), "{squares}");
        assert!(means.iter().all(|m| (m / n_draws as f64 - share).abs() < 0.03), "{means}");
    }

    #[test]
    fn a_misleading_sample_does_not_mislead_the_selection() {
        // The sampled weights are the largest of all, so every bracket lies above the threshold.
        let map: Vec<f32> = (0..8192).map(|i| if i % SAMPLE_STEP == 0 { 1e6 + i as f32 } else { i as f32 }).collect();
        let mut sorted: Vec<u32> = map.iter().map(|&w| magnitude(w)).collect();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        for n in [1, 100, 256, 257, 4000, 8192] {
            assert_eq!(nth_largest(&map, n, &mut Vec::new()), sorted[n - 1], "{n}");
        }
    }

    proptest! {
        #[test]
        fn the_largest_are_taken_whatever_the_ties(
            seed in any::<u64>(), n_elements in 1usize..6000, share in 0.0f64..=1.0, n_levels in 1u32..5000,
        ) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let layout = Layout::new(n_elements, &[]).unwrap();
            let mut map: Vec<f32> =
                (0..n_elements).map(|_| rng.random_range(0..n_levels) as f32 - n_levels as f32 / 3.0).collect();
            map.resize(64 * layout.n_words, 0.0);
            let n = (share * n_elements as f64) as usize;
            let mut words = vec![0u64; layout.n_words];
            take_largest(&map, n, &layout, &mut Vec::new(), &mut words);
            let is_member = |place: usize| words[place / 64] >> (place % 64) & 1 == 1;
            prop_assert_eq!((0..64 * layout.n_words).filter(|&p| is_member(p)).count(), n);
            prop_assert!((n_elements..64 * layout.n_words).all(|place| !is_member(place)));
            let smallest = (0..n_elements).filter(|&p| is_member(p)).map(|p| magnitude(map[p])).min();
            let largest = (0..n_elements).filter(|&p| !is_member(p)).map(|p| magnitude(map[p])).max();
            if let (Some(smallest), Some(largest)) = (smallest, largest) {
                prop_assert!(smallest >= largest);
            }
        }
    }
}
