//! How far sets of voxels, or of units, coincide.
//!
//! Owns Dice and Jaccard coefficients of K sets over V elements, the count of sets an element belongs to, and a permutation
//! null for the overlap. It does not know how the sets came about; a caller thresholds maps or codes and selects the mask.

use ndarray::{Array2, ArrayView2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::MathError;

/// Permutations drawn by one task, each task from its own stream of random numbers.
const PERMUTATION_BLOCK: usize = 8;

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

fn n_common(a: &[u64], b: &[u64]) -> usize {
    a.iter().zip(b).map(|(a, b)| (a & b).count_ones() as usize).sum()
}

fn dice(n_common: usize, a: usize, b: usize) -> Option<f64> {
    (a + b > 0).then(|| 2.0 * n_common as f64 / (a + b) as f64)
}

/// Overlap against the chance overlap of sets of the same sizes.
#[derive(Debug, Clone, PartialEq)]
pub struct OverlapTest {
    /// Mean Dice coefficient over the pairs of different sets that are not both empty; `None` without such a pair.
    pub mean_dice: Option<f64>,
    /// Its mean under the null hypothesis.
    pub null_mean: Option<f64>,
    /// Its standard deviation under the null hypothesis (divided by the number of permutations).
    pub null_deviation: Option<f64>,
    /// One-sided p value of the mean, `(1 + #{null >= observed}) / (1 + n_permutations)`.
    pub mean_p: Option<f64>,
    /// The same for each pair (n_sets x n_sets, symmetric); `None` on the diagonal and where a set is empty.
    pub pair_p: Array2<Option<f64>>,
}

/// Tests whether sets overlap more than sets of the same sizes thrown onto the elements at random.
///
/// Each draw permutes the members of every set independently over all elements (the mask). For one pair the null
/// distribution of the intersection is hypergeometric, which the tests use as an oracle; the mean over pairs has no
/// closed form. Caveat: voxels are smooth, so random membership understates the overlap that chance gives smooth maps; use
/// rotated or phase-randomised maps where that matters.
///
/// # Errors
/// [`MathError::TooFew`] without permutations or with fewer than two sets.
pub fn overlap_test(sets: &Sets, n_permutations: usize, seed: u64) -> Result<OverlapTest, MathError> {
    let n_sets = sets.sizes.len();
    for (name, found, expected, hint) in [
        ("number of permutations", n_permutations, 1, "1000 resolves p values to 0.001"),
        ("number of sets", n_sets, 2, "overlap needs a pair"),
    ] {
        if found < expected {
            return Err(MathError::TooFew { name, found, expected, hint });
        }
    }
    let pairs: Vec<(usize, usize)> = (0..n_sets).flat_map(|a| (a + 1..n_sets).map(move |b| (a, b))).collect();
    let observed: Vec<usize> = pairs.iter().map(|&(a, b)| sets.n_common(a, b)).collect();
    let mean_of = |n_common: &[usize]| {
        let coefficients = pairs.iter().zip(n_common).filter_map(|(&(a, b), &n)| dice(n, sets.sizes[a], sets.sizes[b]));
        let (sum, n) = coefficients.fold((0.0, 0usize), |(sum, n), d| (sum + d, n + 1));
        (n > 0).then(|| sum / n as f64)
    };
    let draws: Vec<(Vec<Option<f64>>, Vec<usize>)> = (0..n_permutations.div_ceil(PERMUTATION_BLOCK))
        .into_par_iter()
        .map(|block| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(block as u64);
            let mut thrown = Thrown::new(sets);
            let mut n_as_high = vec![0usize; pairs.len()];
            let n_draws = PERMUTATION_BLOCK.min(n_permutations - block * PERMUTATION_BLOCK);
            let means = (0..n_draws)
                .map(|_| {
                    thrown.draw(&sets.sizes, &mut rng);
                    let null: Vec<usize> =
                        pairs.iter().map(|&(a, b)| n_common(&thrown.words[a], &thrown.words[b])).collect();
                    for (count, (null, observed)) in n_as_high.iter_mut().zip(null.iter().zip(&observed)) {
                        *count += usize::from(null >= observed);
                    }
                    mean_of(&null)
                })
                .collect();
            (means, n_as_high)
        })
        .collect();

    let p_value = |n_as_high: usize| (1 + n_as_high) as f64 / (1 + n_permutations) as f64;
    let mut pair_p = Array2::from_elem((n_sets, n_sets), None);
    for (index, &(a, b)) in pairs.iter().enumerate() {
        if sets.sizes[a] > 0 && sets.sizes[b] > 0 {
            let p = p_value(draws.iter().map(|(_, counts)| counts[index]).sum());
            pair_p[[a, b]] = Some(p);
            pair_p[[b, a]] = Some(p);
        }
    }
    let mean_dice = mean_of(&observed);
    let null: Vec<f64> = draws.iter().flat_map(|(means, _)| means.iter().flatten().copied()).collect();
    let null_mean = mean_dice.map(|_| null.iter().sum::<f64>() / null.len() as f64);
    Ok(OverlapTest {
        mean_dice,
        null_mean,
        null_deviation: null_mean
            .map(|mean| (null.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / null.len() as f64).sqrt()),
        mean_p: mean_dice.map(|observed| p_value(null.iter().filter(|&&v| v >= observed).count())),
        pair_p,
    })
}

/// Sets of given sizes with random members.
struct Thrown {
    words: Vec<Vec<u64>>,
    elements: Vec<u32>,
}

impl Thrown {
    fn new(sets: &Sets) -> Self {
        let elements = (0..u32::try_from(sets.n_elements).expect("a brain has fewer than 4 billion voxels")).collect();
        Self { words: sets.words.clone(), elements }
    }

    fn draw(&mut self, sizes: &[usize], rng: &mut ChaCha8Rng) {
        let n_elements = self.elements.len();
        for (words, &size) in self.words.iter_mut().zip(sizes) {
            words.fill(0);
            // The first steps of a Fisher-Yates shuffle; it is uniform from whatever order the last draw left.
            for i in 0..size {
                let j = rng.random_range(i..n_elements);
                self.elements.swap(i, j);
                let element = self.elements[i] as usize;
                words[element / 64] |= 1 << (element % 64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, array};
    use proptest::prelude::*;
    use statrs::distribution::{DiscreteCDF, Hypergeometric};

    #[test]
    fn closed_forms_and_empty_sets() {
        let sets =
            Sets::new(array![[true, true, false, false], [false, true, true, true], [false; 4], [false; 4]].view());
        assert_eq!(sets.dice()[[0, 1]], Some(0.4));
        assert_eq!(sets.iou()[[0, 1]], Some(0.25));
        assert_eq!((sets.dice()[[0, 0]], sets.dice()[[0, 2]], sets.dice()[[2, 3]]), (Some(1.0), Some(0.0), None));
        assert_eq!(sets.n_sets_of_element(), [1, 2, 1, 1]);
        assert_eq!(sets.share_in_at_least(2), Some(0.25));
        assert_eq!(Sets::new(Array2::from_elem((2, 0), true).view()).share_in_at_least(1), None);
    }

    #[test]
    fn pair_p_values_match_the_hypergeometric_distribution() {
        let member = |k: usize, v: usize| [v < 60, (30..110).contains(&v), (v * 7).is_multiple_of(5)][k];
        let sets = Sets::new(Array::from_shape_fn((3, 200), |(k, v)| member(k, v)).view());
        let test = overlap_test(&sets, 4000, 11).unwrap();
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let (n_common, size_a, size_b) = (sets.n_common(a, b), sets.sizes[a], sets.sizes[b]);
            let law = Hypergeometric::new(200, size_a as u64, size_b as u64).unwrap();
            let exact = law.sf(n_common as u64 - 1);
            let found = test.pair_p[[a, b]].unwrap();
            assert!((found - exact).abs() < 4.0 * (exact * (1.0 - exact) / 4000.0).sqrt() + 5e-4, "{found} {exact}");
        }
    }

    #[test]
    fn null_mean_is_the_expected_overlap() {
        let sets = Sets::new(Array::from_shape_fn((2, 1000), |(k, v)| v % (k + 2) == 0).view());
        let test = overlap_test(&sets, 2000, 3).unwrap();
        let expected = 2.0 * (500.0 * 334.0 / 1000.0) / 834.0;
        let (mean, deviation) = (test.null_mean.unwrap(), test.null_deviation.unwrap());
        assert!((mean - expected).abs() < 4.0 * deviation / 2000f64.sqrt());
        assert!(test.mean_p.unwrap() > 0.2, "{:?}", test.mean_p);
    }

    #[test]
    fn identical_sets_overlap_more_than_chance_and_empty_ones_have_no_test() {
        let same = Sets::new(Array::from_shape_fn((3, 300), |(k, v)| k < 2 && v < 40).view());
        let test = overlap_test(&same, 99, 1).unwrap();
        assert_eq!(test.pair_p[[0, 1]], Some(0.01));
        assert_eq!((test.pair_p[[0, 2]], test.pair_p[[1, 1]]), (None, None));
        let empty = overlap_test(&Sets::new(Array2::from_elem((2, 5), false).view()), 9, 1).unwrap();
        assert_eq!((empty.mean_dice, empty.mean_p, empty.null_mean), (None, None, None));
        assert!(overlap_test(&same, 0, 1).is_err());
        assert!(overlap_test(&Sets::new(Array2::from_elem((1, 5), true).view()), 9, 1).is_err());
    }

    #[test]
    fn bytes_depend_on_the_seed_alone() {
        let sets = Sets::new(Array::from_shape_fn((4, 500), |(k, v)| (v * (k + 3)) % 7 < 2).view());
        let with = |n_threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| overlap_test(&sets, 101, seed).unwrap())
        };
        assert_eq!(with(1, 5), with(2, 5));
        assert_ne!(with(1, 5).null_mean, with(1, 6).null_mean);
    }

    proptest! {
        #[test]
        fn coefficients_agree_with_each_other(members in prop::collection::vec(any::<bool>(), 3 * 130)) {
            let sets = Sets::new(Array::from_shape_vec((3, 130), members.clone()).unwrap().view());
            for (dice, iou) in sets.dice().iter().zip(&sets.iou()) {
                let (Some(dice), Some(iou)) = (dice, iou) else { continue };
                prop_assert!((dice - 2.0 * iou / (1.0 + iou)).abs() < 1e-12);
            }
            let total: u32 = sets.n_sets_of_element().iter().sum();
            prop_assert_eq!(total as usize, members.iter().filter(|m| **m).count());
            prop_assert_eq!(sets.dice(), sets.dice().reversed_axes());
        }
    }
}
