use super::profiles::mirror;
use super::*;
use ndarray::{Array, ArrayView1, array, s};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

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
    let (a, b) = (profiles.row(0).to_vec(), profiles.row(1));
    let mut n_as_high = 0;
    permutations(&mut a.clone(), 0, &mut |a| {
        n_as_high += usize::from(mirror(ArrayView1::from(a), b).unwrap() >= observed - 1e-12);
    });
    let exact = f64::from(n_as_high as u32) / 120.0;
    let test = mirror_test(&profiles, &[(0, 1)], 8000, 2).unwrap();
    let p = test.pair_p[0].unwrap();
    assert!((p - exact).abs() < 4.0 * (exact / 8000.0).sqrt() + 2e-4, "{p} {exact}");
    assert_eq!((test.mean, test.mean_p), (Some(observed), Some(p)));
    assert!(test.null_mean.unwrap().abs() < 0.05);
}

fn permutations<T: Copy>(values: &mut [T], from: usize, visit: &mut dyn FnMut(&[T])) {
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

fn noise(n_rows: usize, n_columns: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn((n_rows, n_columns), || StandardNormal.sample(&mut rng))
}

/// A dictionary with maps, as arrays of its own.
#[derive(Clone)]
struct Data {
    codes: Array2<f32>,
    maps: Array2<f32>,
    series: Array2<f32>,
    layer_of_unit: Vec<usize>,
    n_layers: usize,
}

impl Data {
    /// Independent codes, maps and time courses.
    fn noise(n_patterns: usize, seed: u64) -> Self {
        let n_layers = 7;
        Self {
            codes: noise(n_patterns, 10 * n_layers, seed),
            maps: noise(n_patterns, 60, seed + 10_000),
            series: noise(50, n_patterns, seed + 20_000),
            layer_of_unit: (0..10 * n_layers).map(|unit| unit / 10).collect(),
            n_layers,
        }
    }

    /// Two groups of patterns with opposite maps and opposite layers, and time courses that know nothing of it.
    fn planted(n_patterns: usize, seed: u64) -> Self {
        let mut data = Self::noise(n_patterns, seed);
        let map = noise(1, 60, seed + 30_000);
        for k in 0..n_patterns {
            let side = if k % 2 == 0 { 1.0 } else { -1.0 };
            data.maps.row_mut(k).zip_mut_with(&map.row(0), |v, m| *v = *v * 0.7 + side * m);
            for (unit, v) in data.codes.row_mut(k).iter_mut().enumerate() {
                let depth = data.layer_of_unit[unit] as f32 / (data.n_layers - 1) as f32;
                *v = *v * 0.3 + if side > 0.0 { depth } else { 1.0 - depth };
            }
        }
        data
    }

    fn flip(&mut self, k: usize) {
        self.codes.row_mut(k).mapv_inplace(|v| -v);
        self.maps.row_mut(k).mapv_inplace(|v| -v);
        self.series.column_mut(k).mapv_inplace(|v| -v);
    }

    fn measure(&self, options: PolarityOptions) -> Result<Polarity, MathError> {
        let input = PolarityInput {
            codes: self.codes.view(),
            maps: self.maps.view(),
            series: self.series.view(),
            layer_of_unit: &self.layer_of_unit,
            n_layers: self.n_layers,
        };
        polarity(input, options)
    }
}

fn options(min_opposition: f64, n_permutations: usize) -> PolarityOptions {
    PolarityOptions { min_opposition, threshold_sd: 1.0, n_permutations, seed: 3 }
}

#[test]
fn planted_polarity_is_found_and_is_not_algebra() {
    let found = Data::planted(12, 1).measure(options(0.2, 999)).unwrap();
    assert_eq!((found.n_opposed, found.pairs.len()), (36, 66));
    assert!(found.n_not_by_algebra >= 30, "{}", found.n_not_by_algebra);
    assert!(found.pairs.iter().all(|pair| pair.is_opposed == (pair.k % 2 != pair.j % 2)));
    let test = found.test.unwrap();
    assert!(test.mean_opposed > 0.5 && test.mean_others < -0.5, "{test:?}");
    assert!((test.effect - (test.mean_opposed - test.mean_others)).abs() < 1e-12);
    // One relabelling in 462 keeps the two groups together, so p cannot be much below 0.002.
    assert!(test.pairs_permuted.p < 0.01, "{:?}", test.pairs_permuted);
    assert_eq!((test.layers_permuted.p, test.n_opposed), (0.001, 36));
    let partial = test.partial.unwrap();
    assert!(partial.adjusted.observed > 0.8 && partial.adjusted.p < 0.01, "{partial:?}");
    let [low, high] = test.interval.unwrap().interval;
    assert!(0.0 < low && low < test.effect && test.effect < high + 1e-9, "{low} {high}");
    let dice = found.pairs.iter().filter(|pair| pair.is_opposed).all(|pair| pair.opposite_dice > pair.aligned_dice);
    assert!(dice);
}

/// If maps and profiles are both functions of time courses, nothing is left when those are taken out.
#[test]
fn what_time_courses_explain_is_taken_out() {
    let of_series = |n: usize, seed: u64| {
        let mut data = Data::noise(n, seed);
        // Maps and profiles are random projections of the time courses: relations of pairs are inherited.
        data.maps = data.series.t().dot(&noise(50, 4000, seed + 1)).as_standard_layout().into_owned();
        let per_layer = data.series.t().dot(&noise(50, 1000, seed + 2));
        data.layer_of_unit = (0..1000).collect();
        data.n_layers = 1000;
        data.codes = per_layer;
        data
    };
    let found = of_series(16, 3).measure(options(0.1, 499)).unwrap().test.unwrap().partial.unwrap();
    assert!(found.unadjusted > 0.8, "{found:?}");
    assert!(found.adjusted.observed.abs() < 0.3 && found.adjusted.p > 0.01, "{found:?}");
}

#[test]
fn each_absence_has_its_reason() {
    let data = Data::noise(6, 5);
    let reason = |data: &Data, tau: f64| data.measure(options(tau, 19)).unwrap().test.unwrap_err();
    assert_eq!(reason(&data, 0.99), NoPolarity::NoOpposedPair);
    let mut two_layers = data.clone();
    two_layers.layer_of_unit.iter_mut().for_each(|layer| *layer %= 2);
    assert_eq!(reason(&two_layers, 0.1), NoPolarity::TooFewLayers { n_layers: 2 });
    let mut few = data.clone();
    few.maps.row_mut(0).fill(2.0);
    few.codes.row_mut(1).fill(0.5);
    few.codes.row_mut(2).fill(0.0);
    few.series.column_mut(3).fill(1.0);
    let found = few.measure(options(0.1, 19)).unwrap();
    assert_eq!(found.test, Err(NoPolarity::TooFewPatterns { n_patterns: 3 }));
    let expected = [
        PolarityWarning::NoOrientation { n_patterns: 1 },
        PolarityWarning::ConstantMap { n_patterns: 1 },
        PolarityWarning::ConstantProfile { n_patterns: 1 },
        PolarityWarning::ConstantSeries { n_patterns: 1 },
    ];
    assert_eq!(found.warnings[found.warnings.len() - 4..], expected);
    assert_eq!((found.pairs[0].maps_r, found.orientation_strength[2]), (None, None));
    assert!(found.pairs[1].series_r.is_none() && found.pairs[1].mirror.is_none(), "no orientation, no sign");
    assert_eq!(serde_json::to_string(&expected[0]).unwrap(), r#"{"no-orientation":{"n_patterns":1}}"#);

    // Vertices of a simplex, all at an angle of -1/5 to one another.
    let mut simplex = data.clone();
    simplex.maps = Array2::from_shape_fn((6, 6), |(k, v)| if k == v { 5.0 } else { -1.0 });
    for (k, mut code) in simplex.codes.outer_iter_mut().enumerate() {
        code[k * 10] += 30.0;
    }
    assert_eq!(reason(&simplex, 0.1), NoPolarity::NoOtherPair);
    assert_eq!(reason(&Data::noise(1, 1), 0.1), NoPolarity::TooFewPatterns { n_patterns: 1 });
}

#[test]
fn wrong_input_is_refused() {
    let data = Data::noise(5, 6);
    let refused = |options| data.measure(options).unwrap_err();
    assert!(matches!(refused(options(1.0, 9)), MathError::Parameter { name: "min-opposition", .. }));
    assert!(matches!(refused(options(f64::NAN, 9)), MathError::Parameter { .. }));
    let flat = PolarityOptions { threshold_sd: 0.0, ..options(0.1, 9) };
    assert!(matches!(refused(flat), MathError::Parameter { name: "threshold-sd", .. }));
    assert!(matches!(refused(options(0.1, 0)), MathError::TooFew { .. }));
    let mut short = data.clone();
    short.maps = short.maps.slice(s![..4, ..]).to_owned();
    assert!(matches!(short.measure(options(0.1, 9)), Err(MathError::Shape { .. })));
    let mut broken = data.clone();
    broken.series[[3, 1]] = f32::NAN;
    assert!(matches!(broken.measure(options(0.1, 9)), Err(MathError::NotFinite { what: "series", .. })));
}

#[test]
fn weak_orientations_and_few_arrangements_are_reported() {
    let mut data = Data::planted(5, 2);
    let mean = data.codes.row(0).mean().unwrap();
    data.codes.row_mut(0).mapv_inplace(|v| v - mean + 0.001);
    let found = data.measure(options(0.2, 99)).unwrap();
    assert!(found.orientation_strength[0].unwrap() < WEAK_ORIENTATION);
    let n_opposed = found.pairs.iter().filter(|pair| pair.k == 0 && pair.is_opposed).count();
    assert_eq!(found.warnings[0], PolarityWarning::WeakOrientation { n_patterns: 1, n_opposed });
    assert!(found.warnings.contains(&PolarityWarning::FewArrangements { n_distinct: 16, n_drawn: 99 }));
}

#[test]
fn measures_depend_on_the_seed_and_not_on_threads() {
    let data = Data::planted(9, 4);
    let with = |n_threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| data.measure(PolarityOptions { seed, ..options(0.2, 200) }).unwrap())
    };
    assert_eq!(with(1, 1), with(3, 1));
    assert_ne!(with(1, 1).test, with(1, 2).test);
}

#[test]
fn a_shift_keeps_neighbours_together() {
    let profiles = present(&[&[0.0, 1.0, 2.0, 3.0, 4.0], &[5.0, 1.0, 0.0, 2.0, 2.0]]);
    let test = mirror_test_under(&profiles, &[(0, 1)], LayerNull::Shifted, 4000, 1).unwrap();
    // All hundred relative arrangements of the two profiles, counted once each.
    let arrange = |k: usize, shift: usize, turned: bool| {
        let mut row = profiles.row(k).to_vec();
        row.rotate_left(shift);
        if turned {
            row.reverse();
        }
        row
    };
    let all = || (0..5).flat_map(|shift| [(shift, false), (shift, true)]);
    let null: Vec<f64> = all()
        .flat_map(|one| all().map(move |other| (one, other)))
        .map(|(one, other)| {
            let (a, b) = (arrange(0, one.0, one.1), arrange(1, other.0, other.1));
            mirror(ArrayView1::from(&a), ArrayView1::from(&b)).unwrap()
        })
        .collect();
    let observed = test.mirror[0].unwrap();
    let exact = null.iter().filter(|&&v| v >= observed - 1e-12).count() as f64 / 100.0;
    assert!((test.pair_p[0].unwrap() - exact).abs() < 4.0 * (exact * (1.0 - exact) / 4000.0).sqrt() + 5e-4);
    let deviation = (null.iter().map(|v| v * v).sum::<f64>() / 100.0).sqrt();
    assert!((test.null_deviation.unwrap() - deviation).abs() < 0.05 * deviation);
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

    /// The sign of a pattern is no property of the data: not one byte of the result depends on it.
    #[test]
    fn flipping_patterns_changes_no_output(
        seed in 0u64..10_000, flips in prop::collection::vec(any::<bool>(), 8), is_planted in any::<bool>(),
    ) {
        let data = if is_planted { Data::planted(8, seed) } else { Data::noise(8, seed) };
        let mut flipped = data.clone();
        for (k, _) in flips.iter().enumerate().filter(|(_, is_flipped)| **is_flipped) {
            flipped.flip(k);
        }
        let (one, other) = (data.measure(options(0.1, 40)).unwrap(), flipped.measure(options(0.1, 40)).unwrap());
        prop_assert_eq!(one, other);
    }
}
