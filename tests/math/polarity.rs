//! Polarity, specialisation and recovery against numpy, scipy, scikit-learn and statsmodels, and the size of their tests.

use std::collections::BTreeSet;
use std::time::Instant;

use hebb::math::polarity::{NullComparison, PairPolarity, PolarityInput, PolarityOptions, polarity};
use hebb::math::recovery::{correlation, edges, share};
use hebb::math::specialisation::{DistanceOptions, branch_overlap, map_distance, map_similarity};
use ndarray::{Array, Array2, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::Deserialize;

use super::{matrix, table};

#[derive(Deserialize)]
struct Null {
    observed: f64,
    mean: f64,
    deviation: f64,
    p: f64,
    share_with_value: Option<f64>,
}

impl Null {
    /// Draws against the enumerated distribution, within four standard errors.
    fn assert_close(&self, found: &NullComparison, n_draws: usize) {
        let n = n_draws as f64;
        assert!((found.observed - self.observed).abs() < 1e-10, "{found:?} {}", self.observed);
        let error = 4.0 * self.deviation / n.sqrt();
        assert!((found.null_mean.unwrap() - self.mean).abs() < error, "{found:?} {}", self.mean);
        assert!((found.null_deviation.unwrap() - self.deviation).abs() < error, "{found:?} {}", self.deviation);
        let error = 4.0 * (self.p * (1.0 - self.p) / n).sqrt() + 1.0 / n;
        assert!((found.p - self.p).abs() < error, "{found:?} {}", self.p);
        let share = self.share_with_value.unwrap_or(1.0);
        let error = 4.0 * (share * (1.0 - share) / n).sqrt();
        assert!((found.n_draws as f64 / n - share).abs() <= error, "{found:?} {share}");
    }
}

#[derive(Deserialize)]
struct Expected {
    layer_of_unit: Vec<usize>,
    n_layers: usize,
    min_opposition: f64,
    threshold_sd: f64,
    strength: Vec<f64>,
    maps_r: Vec<f64>,
    series_r: Vec<f64>,
    mirror: Vec<f64>,
    opposite_dice: Vec<f64>,
    aligned_dice: Vec<f64>,
    n_opposed: usize,
    n_not_by_algebra: usize,
    effect: f64,
    standardised: f64,
    pairs_permuted: Null,
    signs_redrawn: Null,
    n_opposed_signs_redrawn: Null,
    unadjusted: f64,
    partial: Null,
    layers_permuted_deviation: f64,
    layers_shifted_deviation: f64,
    lower_between: [f64; 2],
    upper_between: [f64; 2],
    resamples_with_value: f64,
}

#[test]
fn polarity_equals_numpy_and_enumerated_nulls() {
    let expected: Expected = table("polarity");
    let (codes, maps, series): (Array2<f32>, Array2<f32>, Array2<f32>) =
        (matrix("polarity_codes"), matrix("polarity_maps"), matrix("polarity_series"));
    let n_draws = 20_000;
    let options = PolarityOptions {
        min_opposition: expected.min_opposition,
        threshold_sd: expected.threshold_sd,
        n_permutations: n_draws,
        seed: 1,
    };
    let input = PolarityInput {
        codes: codes.view(),
        maps: maps.view(),
        series: series.view(),
        layer_of_unit: &expected.layer_of_unit,
        n_layers: expected.n_layers,
    };
    let found = polarity(input, options).unwrap();
    let close = |found: &[Option<f64>], expected: &[f64]| {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?} {expected}");
        }
    };
    let of_pairs =
        |value: &dyn Fn(&PairPolarity) -> Option<f64>| -> Vec<Option<f64>> { found.pairs.iter().map(value).collect() };
    close(&found.orientation_strength, &expected.strength);
    close(&of_pairs(&|pair| pair.maps_r), &expected.maps_r);
    close(&of_pairs(&|pair| pair.series_r), &expected.series_r);
    close(&of_pairs(&|pair| pair.mirror), &expected.mirror);
    close(&of_pairs(&|pair| pair.opposite_dice), &expected.opposite_dice);
    close(&of_pairs(&|pair| pair.aligned_dice), &expected.aligned_dice);
    assert_eq!((found.n_opposed, found.n_not_by_algebra), (expected.n_opposed, expected.n_not_by_algebra));

    let test = found.test.unwrap();
    assert!((test.effect - expected.effect).abs() < 1e-12);
    assert!((test.standardised.unwrap() - expected.standardised).abs() < 1e-12);
    expected.pairs_permuted.assert_close(&test.pairs_permuted, n_draws);
    expected.signs_redrawn.assert_close(&test.signs_redrawn, n_draws);
    expected.n_opposed_signs_redrawn.assert_close(&test.n_opposed_signs_redrawn, n_draws);
    let partial = test.partial.unwrap();
    assert!((partial.unadjusted - expected.unadjusted).abs() < 1e-12);
    expected.partial.assert_close(&partial.adjusted, n_draws);
    // Independent rearrangements make the pairs uncorrelated, so the mean has a known deviation about 0.
    for (null, deviation) in [
        (test.layers_permuted, expected.layers_permuted_deviation),
        (test.layers_shifted, expected.layers_shifted_deviation),
    ] {
        let error = 4.0 * deviation / (n_draws as f64).sqrt();
        assert!(null.null_mean.unwrap().abs() < error, "{null:?}");
        assert!((null.null_deviation.unwrap() - deviation).abs() < error, "{null:?} {deviation}");
    }
    let interval = test.interval.unwrap();
    for (end, [low, high]) in interval.interval.into_iter().zip([expected.lower_between, expected.upper_between]) {
        assert!(low <= end && end <= high, "{end} {low} {high}");
    }
    let share = interval.n_resamples as f64 / n_draws as f64;
    assert!((share - expected.resamples_with_value).abs() < 0.01, "{share}");
}

#[test]
fn specialisation_equals_scipy() {
    #[derive(Deserialize)]
    struct Overlap {
        n: usize,
        n_a: usize,
        n_b: usize,
        n_both: usize,
        log10_p: f64,
    }
    #[derive(Deserialize)]
    struct Tail {
        n_both: usize,
        log10_p: f64,
    }
    #[derive(Deserialize)]
    struct Expected {
        cka: f64,
        alignment: f64,
        overlaps: Vec<Overlap>,
        groups: Vec<[usize; 3]>,
        tails: Vec<Tail>,
    }
    let expected: Expected = table("specialisation");
    let (a, b): (Array2<f32>, Array2<f32>) = (matrix("specialisation_a"), matrix("specialisation_b"));
    let found = map_similarity(a.view(), b.view()).unwrap().unwrap();
    assert!((found.cka - expected.cka).abs() < 1e-12, "{found:?} {}", expected.cka);
    assert!((found.alignment - expected.alignment).abs() < 1e-12, "{found:?} {}", expected.alignment);

    let sets = |n: usize, n_a: usize, n_b: usize, n_both: usize| -> (Vec<bool>, Vec<bool>) {
        let second = |v: usize| v < n_both || (n_a..n_a + n_b - n_both).contains(&v);
        ((0..n).map(|v| v < n_a).collect(), (0..n).map(second).collect())
    };
    for Overlap { n, n_a, n_b, n_both, log10_p } in expected.overlaps {
        let (a, b) = sets(n, n_a, n_b, n_both);
        let found = branch_overlap(&a, &b, None, 0).unwrap().total.log10_p.unwrap();
        assert!((found - log10_p).abs() < 1e-9, "{n} {n_a} {n_b} {n_both}: {found} {log10_p}");
    }
    for Tail { n_both, log10_p } in expected.tails {
        // The first group takes what it can, the others the rest: only the sum decides.
        let (mut a, mut b, mut group, mut left) = (Vec::new(), Vec::new(), Vec::new(), n_both);
        for (index, &[n, n_a, n_b]) in expected.groups.iter().enumerate() {
            let n_here = left.min(n_a).min(n_b);
            left -= n_here;
            let (one, other) = sets(n, n_a, n_b, n_here);
            group.extend(std::iter::repeat_n(Some(index), n));
            a.extend(one);
            b.extend(other);
        }
        assert_eq!(left, 0);
        let found = branch_overlap(&a, &b, Some(&group), expected.groups.len()).unwrap().total.log10_p.unwrap();
        assert!((found - log10_p).abs() < 1e-9, "{n_both}: {found} {log10_p}");
    }
}

#[test]
fn recovery_equals_statsmodels_scipy_and_scikit_learn() {
    #[derive(Deserialize)]
    struct Wilson {
        n_with: usize,
        n: usize,
        confidence: f64,
        interval: [f64; 2],
    }
    #[derive(Deserialize)]
    struct Fisher {
        x: Vec<f64>,
        y: Vec<f64>,
        confidence: f64,
        r: f64,
        interval: [f64; 2],
    }
    #[derive(Deserialize)]
    struct Edges {
        planted: BTreeSet<(usize, usize)>,
        recovered: BTreeSet<(usize, usize)>,
        precision: f64,
        recall: f64,
        f1: f64,
    }
    #[derive(Deserialize)]
    struct Expected {
        shares: Vec<Wilson>,
        correlations: Vec<Fisher>,
        edges: Edges,
    }
    let expected: Expected = table("recovery");
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    for case in expected.shares {
        let found = share(case.n_with, case.n, case.confidence).unwrap().unwrap();
        close(found.interval[0], case.interval[0]);
        close(found.interval[1], case.interval[1]);
    }
    for case in expected.correlations {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        let found = correlation(&some(&case.x), &some(&case.y), case.confidence).unwrap().unwrap();
        close(found.r, case.r);
        close(found.interval.unwrap()[0], case.interval[0]);
        close(found.interval.unwrap()[1], case.interval[1]);
    }
    let found = edges(&expected.edges.recovered, &expected.edges.planted, 0.95).unwrap();
    close(found.precision.unwrap().share, expected.edges.precision);
    close(found.recall.unwrap().share, expected.edges.recall);
    close(found.f1.unwrap(), expected.edges.f1);
}

fn noise(n_rows: usize, n_columns: usize, rng: &mut ChaCha8Rng) -> Array2<f32> {
    Array::from_shape_simple_fn((n_rows, n_columns), || StandardNormal.sample(rng))
}

/// Random dictionaries whose maps know nothing of their profiles.
struct World {
    name: &'static str,
    /// Layers over which a profile is smoothed; 0 for independent layers.
    width: f32,
    /// Size of a trend over layers that all profiles share.
    trend: f32,
    /// Size of a map that all maps share.
    common_map: f32,
    /// Dimensions that the maps span; 0 for as many as voxels.
    n_map_dimensions: usize,
}

const N_PATTERNS: usize = 16;
const N_LAYERS: usize = 12;

impl World {
    fn draw(&self, rng: &mut ChaCha8Rng) -> (Array2<f32>, Array2<f32>, Array2<f32>) {
        let mut codes = noise(N_PATTERNS, N_LAYERS, rng);
        if self.width > 0.0 {
            let weight = |(l, m): (usize, usize)| (-((l as f32 - m as f32) / self.width).powi(2) / 2.0).exp();
            codes = noise(N_PATTERNS, N_LAYERS + 8, rng)
                .dot(&Array2::from_shape_fn((N_LAYERS + 8, N_LAYERS), |(m, l)| weight((l + 4, m))));
        }
        for mut code in codes.outer_iter_mut() {
            for (layer, v) in code.iter_mut().enumerate() {
                *v += self.trend * layer as f32 / N_LAYERS as f32;
            }
        }
        let mut maps = if self.n_map_dimensions > 0 {
            noise(N_PATTERNS, self.n_map_dimensions, rng).dot(&noise(self.n_map_dimensions, 40, rng))
        } else {
            noise(N_PATTERNS, 40, rng)
        };
        maps += &(noise(1, 40, rng) * self.common_map);
        (codes, maps, noise(20, N_PATTERNS, rng))
    }
}

impl World {
    /// Share of `n_sets` data sets in which each test rejects at 0.05: relabelled patterns, permuted layers, shifted layers,
    /// redrawn signs, their count, the partial relation; and the share of intervals that leave out 0.
    fn rates(&self, n_sets: u64) -> [f64; 7] {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let layers: Vec<usize> = (0..N_LAYERS).collect();
        let (mut n_rejected, mut n_tests) = ([0usize; 7], 0usize);
        for seed in 0..n_sets {
            let (codes, maps, series) = self.draw(&mut rng);
            let input = PolarityInput {
                codes: codes.view(),
                maps: maps.view(),
                series: series.view(),
                layer_of_unit: &layers,
                n_layers: N_LAYERS,
            };
            let options = PolarityOptions { min_opposition: 0.15, threshold_sd: 1.5, n_permutations: 99, seed };
            let Ok(test) = polarity(input, options).unwrap().test else { continue };
            n_tests += 1;
            let p = [
                test.pairs_permuted.p,
                test.layers_permuted.p,
                test.layers_shifted.p,
                test.signs_redrawn.p,
                test.n_opposed_signs_redrawn.p,
                test.partial.unwrap().adjusted.p,
            ];
            for (n, p) in n_rejected.iter_mut().zip(p) {
                *n += usize::from(p <= 0.05);
            }
            let [low, high] = test.interval.unwrap().interval;
            n_rejected[6] += usize::from(low > 0.0 || high < 0.0);
        }
        assert!(n_tests as u64 * 10 > n_sets * 9, "{}: {n_tests} tests", self.name);
        n_rejected.map(|n| n as f64 / n_tests as f64)
    }

    const fn new(name: &'static str, width: f32) -> Self {
        Self { name, width, trend: 0.0, common_map: 0.0, n_map_dimensions: 0 }
    }
}

/// Four standard errors of a share of 0.05.
fn error_of_level(n_sets: u64) -> f64 {
    4.0 * (0.05 * 0.95 / n_sets as f64).sqrt()
}

#[test]
fn relabelled_patterns_keep_their_level_and_permuted_layers_do_not() {
    let n_sets = 300;
    let error = error_of_level(n_sets);
    for world in [World::new("white profiles", 0.0), World::new("very smooth profiles", 3.0)] {
        let rates = world.rates(n_sets);
        assert!([rates[0], rates[5]].iter().all(|rate| *rate < 0.05 + error), "{}: {rates:?}", world.name);
        let is_liberal = rates[1] > 0.05 + error;
        assert_eq!(is_liberal, world.width > 0.0, "{}: {rates:?}", world.name);
    }
}

/// The level of every test in worlds where maps and profiles are independent: run with `--ignored --nocapture`.
#[test]
#[ignore = "measures levels over 1000 data sets a world"]
fn levels_of_all_tests() {
    let smooth = |name| World::new(name, 1.5);
    let worlds = [
        World::new("white profiles", 0.0),
        smooth("smooth profiles"),
        World::new("very smooth profiles", 3.0),
        World { trend: 3.0, ..smooth("smooth, shared trend") },
        World { common_map: 0.3, ..smooth("smooth, shared map") },
        World { n_map_dimensions: 3, ..smooth("smooth, maps of 3 dimensions") },
    ];
    let n_sets = 1000;
    println!("| world | pairs | layers | shifted | signs | n by signs | partial | intervals without 0 |");
    for world in &worlds {
        let rates = world.rates(n_sets);
        println!("| {} | {} |", world.name, rates.map(|rate| format!("{rate:.3}")).join(" | "));
        for rate in [rates[0], rates[5]] {
            assert!((rate - 0.05).abs() < error_of_level(n_sets), "{}: {rates:?}", world.name);
        }
    }
}

/// A study of full size takes seconds: run with `--ignored --nocapture`.
#[test]
#[ignore = "measures time at full size"]
fn polarity_at_full_size() {
    for n_patterns in [64, 256] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (codes, maps, series) = (
            noise(n_patterns, 20_000, &mut rng),
            noise(n_patterns, 170_000, &mut rng),
            noise(900, n_patterns, &mut rng),
        );
        // Half of the maps lean one way and half the other, so that half of all pairs are opposed.
        let lean = noise(1, 170_000, &mut rng);
        let mut maps = maps;
        for (k, mut map) in maps.axis_iter_mut(Axis(0)).enumerate() {
            map.scaled_add(if k % 2 == 0 { 1.0 } else { -1.0 }, &lean.row(0));
        }
        let layers: Vec<usize> = (0..20_000).map(|unit| unit * 12 / 20_000).collect();
        let input = PolarityInput {
            codes: codes.view(),
            maps: maps.view(),
            series: series.view(),
            layer_of_unit: &layers,
            n_layers: 12,
        };
        let start = Instant::now();
        let found = polarity(input, PolarityOptions::default()).unwrap();
        println!("{n_patterns} patterns, {} opposed: {:.2?}", found.n_opposed, start.elapsed());
        let start = Instant::now();
        let half = n_patterns / 2;
        let (a, b) = maps.view().split_at(Axis(0), half);
        let distance = map_distance(a, b, DistanceOptions::default()).unwrap();
        println!("{half} against {half} maps: {:?} {:.2?}", distance.similarity, start.elapsed());
        let groups: Vec<Option<usize>> = (0..170_000).map(|v| Some(v % 7)).collect();
        let (a, b) = (maps.row(0).mapv(|v| v > 1.0).to_vec(), maps.row(2).mapv(|v| v > 1.0).to_vec());
        let start = Instant::now();
        let overlap = branch_overlap(&a, &b, Some(&groups), 7).unwrap();
        println!("overlap {:?} {:.2?}", overlap.total, start.elapsed());
    }
}
