//! Patterns that oppose one another: correlations of maps, layer profiles, and the mirror index.
//!
//! Owns the statistics of polarity on arrays of patterns. Which pairs count as opposed is the caller's threshold on
//! [`row_correlations`]; where the codes come from is [`super::dictionary`].

use ndarray::{Array2, ArrayView2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::MathError;
use super::blas::matmul;
use super::error::{require_finite, require_shape};
use super::scores::unit_columns;

/// Permutations drawn by one task, each task from its own stream of random numbers.
const PERMUTATION_BLOCK: usize = 64;

/// Layers that a pair must share for its mirror index: a correlation of two points is always 1 or -1.
const MIN_LAYERS: usize = 3;

/// Pearson correlation of every pair of rows (n_patterns x n_patterns) of `maps` (n_patterns x n_voxels).
///
/// `None` where either row is constant; 1 on the diagonal elsewhere.
///
/// # Errors
/// [`MathError::NotFinite`].
pub fn row_correlations(maps: ArrayView2<'_, f32>) -> Result<Array2<Option<f64>>, MathError> {
    require_finite("maps", maps)?;
    let (unit, varies) = unit_columns(maps.t());
    let unit = unit.mapv(f64::from);
    let products = matmul(unit.t(), unit.view());
    Ok(Array2::from_shape_fn(products.dim(), |(a, b)| {
        (varies[a] && varies[b]).then(|| if a == b { 1.0 } else { products[[a, b]].clamp(-1.0, 1.0) })
    }))
}

/// Layer profile of every pattern (n_patterns x n_layers): the mean of its codes over the units of a layer.
///
/// `a_k(l) = mean_{i in layer l} C_ki` for codes C (n_patterns x n_units); `layer_of_unit` gives the layer of each unit.
/// `None` for a layer without units. The sign of a profile flips with the sign of its pattern: compare profiles within
/// one dictionary, or use `a_k(l) beta_k`, which does not depend on it.
///
/// # Errors
/// [`MathError::Shape`] when the numbers of units differ, [`MathError::Index`] for a layer beyond `n_layers`,
/// [`MathError::NotFinite`].
pub fn layer_profiles(
    codes: ArrayView2<'_, f32>,
    layer_of_unit: &[usize],
    n_layers: usize,
) -> Result<Array2<Option<f64>>, MathError> {
    require_shape("layer_of_unit", layer_of_unit.len(), codes.ncols(), "one layer for each unit")?;
    require_finite("codes", codes)?;
    let mut n_units = vec![0usize; n_layers];
    for &layer in layer_of_unit {
        *n_units.get_mut(layer).ok_or(MathError::Index {
            name: "layer_of_unit",
            found: layer,
            expected: n_layers,
        })? += 1;
    }
    let mut profiles = Array2::from_elem((codes.nrows(), n_layers), None);
    for (mut profile, code) in profiles.outer_iter_mut().zip(codes.outer_iter()) {
        let mut sums = vec![0.0f64; n_layers];
        for (&layer, &value) in layer_of_unit.iter().zip(code) {
            sums[layer] += f64::from(value);
        }
        for (mean, (sum, &n)) in profile.iter_mut().zip(sums.iter().zip(&n_units)) {
            *mean = (n > 0).then(|| sum / n as f64);
        }
    }
    Ok(profiles)
}

/// Mirror index of every pair of layer profiles (n_patterns x n_patterns), `M_kj = -r(a_k, a_j)`.
///
/// 1 where two patterns rise and fall over the layers in opposite ways, -1 where they do so together. The
/// correlation is over the layers present in both profiles; `None` with fewer than three of them, or where a profile is
/// constant over them.
pub fn mirror_index(profiles: &Array2<Option<f64>>) -> Array2<Option<f64>> {
    let n_patterns = profiles.nrows();
    Array2::from_shape_fn((n_patterns, n_patterns), |(a, b)| {
        let (a, b) = shared_layers(profiles, a, b);
        mirror(&a, &b)
    })
}

fn shared_layers(profiles: &Array2<Option<f64>>, a: usize, b: usize) -> (Vec<f64>, Vec<f64>) {
    let pairs = profiles.row(a).into_iter().zip(profiles.row(b));
    pairs.filter_map(|(a, b)| Some(((*a)?, (*b)?))).unzip()
}

fn mirror(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() < MIN_LAYERS {
        return None;
    }
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (dx, dy) = (x - mean_a, y - mean_b);
        aa += dx * dx;
        bb += dy * dy;
        ab += dx * dy;
    }
    // Below this share of the offset's power the deviations are rounding of f64 sums.
    let varies = |power: f64, mean: f64| power > 1e-24 * n * mean * mean;
    (varies(aa, mean_a) && varies(bb, mean_b)).then(|| (-ab / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0))
}

/// Mirror index of chosen pairs against profiles whose layers are permuted.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorTest {
    /// Mirror index of each pair; `None` as in [`mirror_index`].
    pub mirror: Vec<Option<f64>>,
    /// One-sided p value of each pair, `(1 + #{null >= observed}) / (1 + n_permutations)`.
    pub pair_p: Vec<Option<f64>>,
    /// Mean mirror index over the pairs that have one.
    pub mean: Option<f64>,
    /// Its mean under the null hypothesis.
    pub null_mean: Option<f64>,
    /// One-sided p value of the mean.
    pub mean_p: Option<f64>,
}

/// Tests whether pairs of patterns mirror each other over the layers more than chance.
///
/// Each draw permutes the layers of every profile independently; the statistics are the mirror index of each pair and its
/// mean over `pairs`. Caveat: profiles that are smooth over layers correlate by chance more often than permuted ones do,
/// so small p values need the comparison with non-opposed pairs beside them.
///
/// # Errors
/// [`MathError::Index`] for a pattern that does not exist, [`MathError::Empty`] without pairs, [`MathError::TooFew`]
/// without permutations.
pub fn mirror_test(
    profiles: &Array2<Option<f64>>,
    pairs: &[(usize, usize)],
    n_permutations: usize,
    seed: u64,
) -> Result<MirrorTest, MathError> {
    if pairs.is_empty() {
        return Err(MathError::Empty { what: "pairs" });
    }
    if let Some(found) = pairs.iter().map(|&(a, b)| a.max(b)).find(|&k| k >= profiles.nrows()) {
        return Err(MathError::Index { name: "pairs", found, expected: profiles.nrows() });
    }
    if n_permutations == 0 {
        return Err(MathError::TooFew {
            name: "number of permutations",
            found: 0,
            expected: 1,
            hint: "1000 resolves p values to 0.001",
        });
    }
    let mirrors_of = |profiles: &Array2<Option<f64>>| -> Vec<Option<f64>> {
        pairs
            .iter()
            .map(|&(a, b)| {
                let (a, b) = shared_layers(profiles, a, b);
                mirror(&a, &b)
            })
            .collect()
    };
    let mean_of = |mirrors: &[Option<f64>]| {
        let (sum, n) = mirrors.iter().flatten().fold((0.0, 0usize), |(sum, n), m| (sum + m, n + 1));
        (n > 0).then(|| sum / n as f64)
    };
    let observed = mirrors_of(profiles);
    let draws: Vec<Vec<Vec<Option<f64>>>> = (0..n_permutations.div_ceil(PERMUTATION_BLOCK))
        .into_par_iter()
        .map(|block| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(block as u64);
            let n_draws = PERMUTATION_BLOCK.min(n_permutations - block * PERMUTATION_BLOCK);
            (0..n_draws)
                .map(|_| {
                    let mut permuted = profiles.clone();
                    for row in permuted.axis_iter_mut(Axis(0)) {
                        permute_present(row, &mut rng);
                    }
                    mirrors_of(&permuted)
                })
                .collect()
        })
        .collect();
    let draws: Vec<Vec<Option<f64>>> = draws.into_iter().flatten().collect();

    // Rounding may part two orders of the same sum; a draw that close is a tie, and ties count against the finding.
    let is_as_high = |null: f64, observed: f64| null >= observed - 1e-12;
    let p_value = |n_as_high: usize| (1 + n_as_high) as f64 / (1 + n_permutations) as f64;
    let pair_p = observed.iter().enumerate().map(|(pair, observed)| {
        observed.map(|observed| {
            p_value(draws.iter().filter(|d| d[pair].is_some_and(|null| is_as_high(null, observed))).count())
        })
    });
    let mean = mean_of(&observed);
    let null: Vec<f64> = draws.iter().filter_map(|draw| mean_of(draw)).collect();
    Ok(MirrorTest {
        pair_p: pair_p.collect(),
        mean,
        null_mean: mean.map(|_| null.iter().sum::<f64>() / null.len() as f64),
        mean_p: mean.map(|mean| p_value(null.iter().filter(|&&null| is_as_high(null, mean)).count())),
        mirror: observed,
    })
}

/// Permutes the layers that have a value; the others stay absent.
fn permute_present(mut profile: ndarray::ArrayViewMut1<'_, Option<f64>>, rng: &mut ChaCha8Rng) {
    let mut values: Vec<f64> = profile.iter().flatten().copied().collect();
    values.shuffle(rng);
    let mut values = values.into_iter();
    for entry in profile.iter_mut().filter(|entry| entry.is_some()) {
        *entry = values.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, array};
    use proptest::prelude::*;

    fn present(profiles: &[&[f64]]) -> Array2<Option<f64>> {
        Array::from_shape_fn((profiles.len(), profiles[0].len()), |(k, l)| Some(profiles[k][l]))
    }

    #[test]
    fn correlations_of_rows() {
        let maps = array![[1.0f32, 2.0, 3.0], [-2.0, -4.0, -6.0], [5.0, 5.0, 5.0], [1.0, 0.0, 1.0]];
        let r = row_correlations(maps.view()).unwrap();
        assert!((r[[0, 1]].unwrap() + 1.0).abs() < 1e-6);
        assert!(r[[0, 3]].unwrap().abs() < 1e-6);
        assert_eq!((r[[0, 0]], r[[0, 2]], r[[2, 2]]), (Some(1.0), None, None));
    }

    #[test]
    fn profiles_are_means_and_layers_without_units_are_absent() {
        let codes = array![[1.0f32, 3.0, 5.0], [0.0, -2.0, 4.0]];
        let profiles = layer_profiles(codes.view(), &[0, 0, 2], 3).unwrap();
        assert_eq!(profiles, array![[Some(2.0), None, Some(5.0)], [Some(-1.0), None, Some(4.0)]]);
        assert!(matches!(layer_profiles(codes.view(), &[0, 0, 3], 3), Err(MathError::Index { found: 3, .. })));
        assert!(matches!(layer_profiles(codes.view(), &[0, 0], 3), Err(MathError::Shape { .. })));
    }

    #[test]
    fn mirrored_profiles_have_index_one() {
        let profiles = present(&[&[1.0, 2.0, 4.0, 8.0], &[7.0, 6.0, 4.0, 0.0], &[3.0; 4]]);
        let index = mirror_index(&profiles);
        assert!((index[[0, 1]].unwrap() - 1.0).abs() < 1e-12);
        assert!((index[[0, 0]].unwrap() + 1.0).abs() < 1e-12);
        assert_eq!((index[[0, 2]], index[[2, 2]]), (None, None));
    }

    #[test]
    fn two_layers_are_too_few() {
        let profiles = array![[Some(1.0), None, Some(2.0)], [Some(2.0), Some(5.0), Some(1.0)]];
        assert_eq!(mirror_index(&profiles)[[0, 1]], None);
    }

    #[test]
    fn pair_p_values_match_the_exact_permutation_distribution() {
        let profiles = present(&[&[1.0, 2.5, 3.0, 7.0, 7.5], &[6.0, 5.0, 5.5, 2.0, 3.0]]);
        let observed = mirror_index(&profiles)[[0, 1]].unwrap();
        let (a, b) = shared_layers(&profiles, 0, 1);
        let mut n_as_high = 0;
        permutations(&mut a.clone(), 0, &mut |a| {
            n_as_high += usize::from(mirror(a, &b).unwrap() >= observed - 1e-12);
        });
        let exact = f64::from(n_as_high as u32) / 120.0;
        let test = mirror_test(&profiles, &[(0, 1)], 8000, 2).unwrap();
        let p = test.pair_p[0].unwrap();
        assert!((p - exact).abs() < 4.0 * (exact / 8000.0).sqrt() + 2e-4, "{p} {exact}");
        assert_eq!((test.mean, test.mean_p), (Some(observed), Some(p)));
        assert!(test.null_mean.unwrap().abs() < 0.05);
    }

    fn permutations(values: &mut [f64], from: usize, visit: &mut dyn FnMut(&[f64])) {
        if from == values.len() {
            return visit(values);
        }
        for i in from..values.len() {
            values.swap(from, i);
            permutations(values, from + 1, visit);
            values.swap(from, i);
        }
    }

    #[test]
    fn bytes_depend_on_the_seed_alone_and_bad_pairs_are_refused() {
        let profiles = Array::from_shape_fn((4, 9), |(k, l)| Some(((k * 5 + l * 3) as f64).sin()));
        let with = |n_threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| mirror_test(&profiles, &[(0, 1), (2, 3)], 200, seed).unwrap())
        };
        assert_eq!(with(1, 5), with(2, 5));
        assert_ne!(with(1, 5).null_mean, with(1, 6).null_mean);
        assert!(matches!(mirror_test(&profiles, &[(0, 4)], 9, 1), Err(MathError::Index { .. })));
        assert!(matches!(mirror_test(&profiles, &[], 9, 1), Err(MathError::Empty { .. })));
        assert!(matches!(mirror_test(&profiles, &[(0, 1)], 0, 1), Err(MathError::TooFew { .. })));
    }

    proptest! {
        #[test]
        fn the_index_is_symmetric_and_flips_with_a_pattern(values in prop::collection::vec(-5.0f64..5.0, 14)) {
            let profiles = Array::from_shape_vec((2, 7), values).unwrap();
            let mut flipped = profiles.clone();
            flipped.row_mut(0).mapv_inplace(|v| -v);
            let (index, other) = (mirror_index(&profiles.mapv(Some)), mirror_index(&flipped.mapv(Some)));
            prop_assert_eq!(index[[0, 1]], index[[1, 0]]);
            if let (Some(a), Some(b)) = (index[[0, 1]], other[[0, 1]]) {
                prop_assert!((a + b).abs() < 1e-9);
            }
        }
    }
}
