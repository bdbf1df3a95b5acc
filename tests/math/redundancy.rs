//! Overlap, shares of features, ablation and dimension against numpy and scikit-learn; size and power of the nulls of overlap.
//!
//! The numbers compared with are made by `tests/scripts/make_redundancy_fixtures.py`.

use hebb::math::ablation::{FrozenScale, ablate, targeted_order};
use hebb::math::overlap::{OverlapComparison, OverlapNull, OverlapOptions, Sets, compare_overlap};
use hebb::math::pair_interval::pair_mean_interval;
use hebb::math::participation::participation_ratio;
use hebb::math::unique_r2::FeatureShares;
use ndarray::{Array2, Array3, ArrayView2};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::Deserialize;

use super::{matrix, table};

#[derive(Deserialize)]
struct Expected {
    overlap: Overlap,
    pairs: Pairs,
    shares: Shares,
    ablation: Ablation,
}

#[derive(Deserialize)]
struct Overlap {
    size: usize,
    groups: Vec<Vec<usize>>,
    observed: Vec<f64>,
    null_mean: Vec<f64>,
    null_deviation: Vec<f64>,
    p: Vec<f64>,
}

#[derive(Deserialize)]
struct Pairs {
    values: Vec<Vec<f64>>,
    missing: [usize; 2],
    n_defined: usize,
    n_resamples: usize,
    deviation: f64,
    sorted_means: Vec<f64>,
}

#[derive(Deserialize)]
struct Shares {
    alphas: Vec<f64>,
    chosen: Vec<usize>,
    full: Vec<f64>,
    unique: Vec<Vec<f64>>,
    alone: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Ablation {
    mean: Vec<f64>,
    deviation: Vec<f64>,
    order: Vec<usize>,
    shares: Vec<f64>,
    participation: [f64; 2],
}

/// Sets of the `size` weights of largest magnitude of each map.
fn largest(maps: ArrayView2<'_, f32>, size: usize) -> Sets {
    let mut members = Array2::from_elem(maps.dim(), false);
    for (map, mut row) in maps.outer_iter().zip(members.outer_iter_mut()) {
        let mut order: Vec<usize> = (0..map.len()).collect();
        order.sort_by(|&a, &b| map[b].abs().total_cmp(&map[a].abs()));
        order[..size].iter().for_each(|&element| row[element] = true);
    }
    Sets::new(members.view())
}

#[test]
fn rotations_have_the_null_distribution_that_numpy_draws() {
    let expected = table::<Expected>("redundancy").overlap;
    let maps: Array2<f32> = matrix("redundancy_maps");
    let n_draws = 20_000;
    let options = OverlapOptions { null: OverlapNull::Rotations, n_draws, seed: 1 };
    let sets = largest(maps.view(), expected.size);
    let found = compare_overlap(maps.view(), &sets, &expected.groups, options).unwrap();
    let regions = std::iter::once(&found.whole).chain(&found.groups);
    let comparisons: Vec<_> = regions
        .flat_map(|region| [region.mean_dice, region.shared_share])
        .chain(found.pairs.iter().map(|pair| pair.dice))
        .map(|comparison| comparison.expect("every statistic exists"))
        .collect();
    assert_eq!(comparisons.len(), expected.observed.len());
    for (j, comparison) in comparisons.iter().enumerate() {
        assert!((comparison.observed - expected.observed[j]).abs() < 1e-12);
        // Both sides are drawn 20 000 times, so five standard errors of their difference are 5 sqrt(2 / 20 000) deviations.
        let deviation = expected.null_deviation[j];
        assert!((comparison.null_mean - expected.null_mean[j]).abs() < 0.05 * deviation, "{j}: {comparison:?}");
        assert!((comparison.null_deviation / deviation - 1.0).abs() < 0.05, "{j}: {comparison:?}");
        let spread = (2.0 * expected.p[j].max(1e-3) * (1.0 - expected.p[j]) / n_draws as f64).sqrt();
        assert!((comparison.p - expected.p[j]).abs() < 5.0 * spread + 1e-4, "{j}: {} {}", comparison.p, expected.p[j]);
    }
}

#[test]
fn resampled_patterns_have_the_distribution_of_all_resamples() {
    let expected = table::<Expected>("redundancy").pairs;
    let [a, b] = expected.missing;
    let matrix = Array2::from_shape_fn((4, 4), |(i, j)| Some(expected.values[i][j]));
    let n_draws = 40_000;
    let found = pair_mean_interval(&matrix, |i, j| (i, j) != (a, b), n_draws, 5, 0.8).unwrap().unwrap();
    let share = expected.n_defined as f64 / expected.n_resamples as f64;
    let spread = (share * (1.0 - share) / n_draws as f64).sqrt();
    assert!((found.n_defined as f64 / n_draws as f64 - share).abs() < 5.0 * spread);
    assert!((found.standard_error / expected.deviation - 1.0).abs() < 0.02);
    for (end, share) in found.interval.iter().zip([0.1, 0.9]) {
        // Shares of all resamples below and up to this end, which has a step of its own.
        let of = |n: usize| n as f64 / expected.n_defined as f64;
        let below = of(expected.sorted_means.iter().filter(|&&mean| mean < end - 1e-9).count());
        let up_to = of(expected.sorted_means.iter().filter(|&&mean| mean <= end + 1e-9).count());
        assert!(below - 0.01 <= share && share <= up_to + 0.01, "{below} {share} {up_to}");
    }
}

#[test]
fn shares_of_features_equal_those_of_refitted_regressions() {
    let expected = table::<Expected>("redundancy").shares;
    let of = |name: &str| matrix::<f32, ndarray::Ix2>(&format!("redundancy_{name}"));
    let shares = FeatureShares::new(of("x_train").view(), of("x_test").view(), &expected.alphas).unwrap();
    let chosen: Vec<Option<usize>> = expected.chosen.iter().copied().map(Some).collect();
    let found = shares.shares(of("y_train").view(), of("y_test").view(), of("weights").view(), &chosen).unwrap();
    for target in 0..chosen.len() {
        assert!((found.full[target].unwrap() - expected.full[target]).abs() < 1e-6);
        for feature in 0..found.unique.nrows() {
            let at = [feature, target];
            assert!((found.unique[at].unwrap() - expected.unique[target][feature]).abs() < 1e-6);
            assert!((found.alone[at].unwrap() - expected.alone[target][feature]).abs() < 1e-6);
        }
    }
}

#[test]
fn ablated_patterns_and_dimensions_equal_those_of_numpy() {
    let expected = table::<Expected>("redundancy").ablation;
    let (series, codes): (Array2<f32>, Array2<f32>) = (matrix("redundancy_series"), matrix("redundancy_codes"));
    let patterns: Array3<f32> = matrix("redundancy_ablated");
    let order = targeted_order(codes.view()).unwrap();
    assert_eq!(order, expected.order);
    let scale = FrozenScale { mean: &expected.mean, deviation: &expected.deviation };
    let found = ablate(series.view(), codes.view(), scale, &order, &expected.shares).unwrap();
    for (found, expected) in found.iter().zip(patterns.outer_iter()) {
        let size = expected.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        assert!((&found.patterns - &expected).iter().all(|d| d.abs() < 2e-6 * size));
    }
    for (series, expected) in [(series.view(), expected.participation[0]), (series.t(), expected.participation[1])] {
        assert!((participation_ratio(series).unwrap().unwrap() / expected - 1.0).abs() < 1e-10);
    }
}

const GRID: [usize; 3] = [12, 12, 12];
const N_VOXELS: usize = GRID[0] * GRID[1] * GRID[2];

/// A normal map on a ring of voxels in each direction, smoothed to a width of about three voxels at half of its height.
fn smooth_map(rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut map: Vec<f32> = (0..N_VOXELS).map(|_| StandardNormal.sample(rng)).collect();
    for (axis, stride) in [(0, GRID[1] * GRID[2]), (1, GRID[2]), (2, 1)] {
        let along = |map: &[f32], voxel: usize, step: usize| {
            let place = voxel / stride % GRID[axis];
            let next = (place + step) % GRID[axis];
            map[voxel - place * stride + next * stride]
        };
        // Binomial weights of six steps have a variance of 1.5, a Gaussian's of three voxels at half height 1.6.
        for _ in 0..6 {
            map = (0..N_VOXELS).map(|voxel| (map[voxel] + along(&map, voxel, 1)) / 2.0).collect();
        }
    }
    map
}

/// Counts over data sets how often the mean Dice coefficient, and how often any pair after correction, has p up to 0.05.
fn n_found(n_data_sets: u64, null: OverlapNull, make: impl Fn(&mut ChaCha8Rng) -> Array2<f32>) -> [usize; 2] {
    let mut n_found = [0; 2];
    for seed in 0..n_data_sets {
        let maps = make(&mut ChaCha8Rng::seed_from_u64(seed));
        let found = compare(&maps, null, seed);
        n_found[0] += usize::from(found.whole.mean_dice.unwrap().p <= 0.05);
        n_found[1] += usize::from(found.pairs.iter().any(|pair| pair.family_wise_p.unwrap() <= 0.05));
    }
    n_found
}

fn compare(maps: &Array2<f32>, null: OverlapNull, seed: u64) -> OverlapComparison {
    let sets = largest(maps.view(), N_VOXELS / 8);
    compare_overlap(maps.view(), &sets, &[], OverlapOptions { null, n_draws: 39, seed }).unwrap()
}

fn maps_of(rng: &mut ChaCha8Rng, map: impl Fn(&mut ChaCha8Rng) -> Vec<f32>) -> Array2<f32> {
    let numbers: Vec<f32> = (0..12).flat_map(|_| map(rng)).collect();
    Array2::from_shape_vec((12, N_VOXELS), numbers).unwrap()
}

/// Of 60 data sets 3 are found by chance, 1.7 standard deviation.
#[test]
fn rotations_keep_their_size_where_permuted_memberships_do_not() {
    let iid = |rng: &mut ChaCha8Rng| maps_of(rng, |rng| (0..N_VOXELS).map(|_| StandardNormal.sample(rng)).collect());
    let smooth = |rng: &mut ChaCha8Rng| maps_of(rng, smooth_map);
    let with_common = |rng: &mut ChaCha8Rng| {
        let common = Array2::from_shape_vec((1, N_VOXELS), smooth_map(rng)).unwrap();
        smooth(rng) + &common
    };
    for null in [OverlapNull::Memberships, OverlapNull::Rotations] {
        assert!(n_found(60, null, iid).iter().all(|n| *n <= 11), "{null:?}");
    }
    for make in [&smooth as &dyn Fn(&mut ChaCha8Rng) -> Array2<f32>, &with_common] {
        let [mean, any_pair] = n_found(60, OverlapNull::Rotations, make);
        assert!(mean <= 11 && any_pair <= 11, "{mean} {any_pair}");
    }
    assert!(n_found(10, OverlapNull::Memberships, smooth)[1] >= 9);
    assert_eq!(n_found(10, OverlapNull::Memberships, with_common), [10, 10]);
}

#[test]
fn rotations_find_a_planted_duplicate() {
    for seed in 0..10 {
        let mut maps = maps_of(&mut ChaCha8Rng::seed_from_u64(seed), smooth_map);
        let copy = &maps.row(0) * 0.93 + &maps.row(1) * (1.0f32 - 0.93 * 0.93).sqrt();
        maps.row_mut(1).assign(&copy);
        let found = compare(&maps, OverlapNull::Rotations, seed);
        assert!(found.pairs[0].dice.unwrap().observed > 0.5);
        assert_eq!(found.pairs[0].family_wise_p, Some(1.0 / 40.0));
        assert!(found.pairs[0].dice.unwrap().effect.unwrap() > 3.0);
    }
}
