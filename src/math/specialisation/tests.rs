use super::*;
use ndarray::{Array, Array2, s};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use statrs::distribution::{DiscreteCDF, Hypergeometric};

fn noise(n_rows: usize, n_columns: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn((n_rows, n_columns), || StandardNormal.sample(&mut rng))
}

fn options(n_blocks: usize, n_resamples: usize, seed: u64) -> DistanceOptions {
    DistanceOptions { n_blocks, n_resamples, confidence: 0.95, seed }
}

#[test]
fn a_branch_that_predicts_nothing_counts_as_zero() {
    let a = [Some(0.3), Some(0.2), Some(-0.5), None, Some(-0.1), None];
    let b = [Some(0.1), Some(0.2), Some(0.4), Some(0.1), Some(0.0), None];
    let found = specialisation_index(&a, &b).unwrap();
    assert!((found[0].unwrap() - 0.5).abs() < 1e-15);
    assert_eq!(found[1..], [Some(0.0), Some(-1.0), Some(-1.0), None, None]);
    assert!(matches!(specialisation_index(&a, &b[1..]), Err(MathError::Shape { .. })));
    let broken = specialisation_index(&[Some(0.1)], &[Some(f64::INFINITY)]);
    assert!(matches!(broken, Err(MathError::NotFinite { row: 1, .. })));
}

#[test]
fn the_partition_of_two_branches_is_that_of_two_bands() {
    let partition = branch_partition(&[Some(0.5)], &[Some(0.25)], &[Some(0.625)]).unwrap();
    let parts: Vec<f64> = partition.parts.iter().map(|part| part.r2[0].unwrap()).collect();
    assert_eq!(parts, [0.375, 0.125, 0.125]);
}

#[test]
fn one_group_has_the_hypergeometric_tail() {
    for (n, n_a, n_b, n_both) in [(200, 60, 80, 30), (200, 60, 80, 20), (50, 5, 7, 5), (40, 39, 20, 20), (90, 3, 3, 1)]
    {
        let a: Vec<bool> = (0..n).map(|v| v < n_a).collect();
        let b: Vec<bool> = (0..n).map(|v| v < n_both || (n_a..n_a + n_b - n_both).contains(&v)).collect();
        let found = branch_overlap(&a, &b, None, 0).unwrap();
        assert_eq!(found.total, found.groups[0]);
        assert_eq!(found.total.sets.n_both, n_both);
        let law = Hypergeometric::new(n as u64, n_a as u64, n_b as u64).unwrap();
        let exact = if n_both == 0 { 1.0 } else { law.sf(n_both as u64 - 1) };
        let p = found.total.p().unwrap();
        assert!((p / exact - 1.0).abs() < 1e-9, "{n} {n_a} {n_b} {n_both}: {p} {exact}");
    }
}

/// Two small groups by enumeration of both counts.
#[test]
fn groups_add_up_exactly() {
    let a: Vec<bool> = (0..50).map(|v| v % 3 == 0).collect();
    let b: Vec<bool> = (0..50).map(|v| v % 3 == 0 && v % 2 == 0 || v % 7 == 1).collect();
    let group: Vec<Option<usize>> = (0..50).map(|v| if v == 49 { None } else { Some(usize::from(v >= 20)) }).collect();
    let found = branch_overlap(&a, &b, Some(&group), 3).unwrap();
    assert_eq!(found.groups[2].sets.n_targets, 0);
    assert_eq!((found.groups[2].sets.dice, found.groups[2].log10_p), (None, None));
    assert_eq!(found.total.sets.n_targets, 49);
    let law = |g: &GroupOverlap| {
        let s = g.sets;
        Hypergeometric::new(s.n_targets as u64, s.n_a as u64, s.n_b as u64).unwrap()
    };
    let (one, two) = (law(&found.groups[0]), law(&found.groups[1]));
    let pmf = |law: &Hypergeometric, x: u64| statrs::distribution::Discrete::pmf(law, x);
    let mut exact = 0.0;
    for x in 0..=found.groups[0].sets.n_a.min(found.groups[0].sets.n_b) as u64 {
        for y in 0..=found.groups[1].sets.n_a.min(found.groups[1].sets.n_b) as u64 {
            if (x + y) as usize >= found.total.sets.n_both {
                exact += pmf(&one, x) * pmf(&two, y);
            }
        }
    }
    let p = found.total.p().unwrap();
    assert!((p / exact - 1.0).abs() < 1e-11, "{p} {exact}");
    let expected: f64 = found.groups.iter().map(|g| g.expected_n_both).sum();
    assert!((found.total.expected_n_both - expected).abs() < 1e-12);
}

/// Identical sets: the tail is one term, `1 / binomial(n, k)`.
#[test]
fn tails_too_small_for_a_float_keep_their_logarithm() {
    let member: Vec<bool> = (0..170_000).map(|v| v % 4 == 0).collect();
    let groups: Vec<Option<usize>> = (0..170_000).map(|v| Some(v % 7)).collect();
    let ln_binomial = |n: usize, k: usize| statrs::function::factorial::ln_binomial(n as u64, k as u64);
    let all = branch_overlap(&member, &member, None, 0).unwrap().total;
    let exact = -ln_binomial(170_000, 42_500) / std::f64::consts::LN_10;
    assert!((all.log10_p.unwrap() - exact).abs() < 1e-6, "{:?} {exact}", all.log10_p);
    assert_eq!(all.p(), Some(0.0));
    let within = branch_overlap(&member, &member, Some(&groups), 7).unwrap();
    let exact: f64 =
        within.groups.iter().map(|g| -ln_binomial(g.sets.n_targets, g.sets.n_a) / std::f64::consts::LN_10).sum();
    assert!((within.total.log10_p.unwrap() - exact).abs() < 1e-6, "{:?} {exact}", within.total.log10_p);
}

#[test]
fn overlap_that_sizes_fix_is_not_tested() {
    let (none, all, some) = (vec![false; 4], vec![true; 4], vec![true, false, true, false]);
    for (a, b) in [(&none, &some), (&some, &all), (&none, &none)] {
        assert_eq!(branch_overlap(a, b, None, 0).unwrap().total.log10_p, None);
    }
    assert!(matches!(branch_overlap(&some, &none[1..], None, 0), Err(MathError::Shape { .. })));
    let group = [Some(0), Some(1), None, Some(0)];
    assert!(matches!(branch_overlap(&some, &all, Some(&group), 1), Err(MathError::Index { found: 1, .. })));
    // Each group alone is fixed, so is their sum, however surprising the overlap of all targets.
    let halves = branch_overlap(
        &[true, true, false, false],
        &[true, true, false, false],
        Some(&[Some(0), Some(0), Some(1), Some(1)]),
        2,
    );
    let halves = halves.unwrap().total;
    assert_eq!((halves.log10_p, halves.expected_n_both, halves.sets.dice), (None, 2.0, Some(1.0)));
}

#[test]
fn rearranged_sets_are_counted() {
    let a = [true, true, false, false];
    let draws = [[true, true, false, false], [false, true, true, false], [false, false, true, true]];
    let found = rearranged_overlap(&a, &draws[1], draws.map(|d| d.to_vec())).unwrap();
    assert_eq!((found.sets.dice, found.null_mean, found.p, found.n_draws), (Some(0.5), Some(0.5), Some(0.75), 3));
    let none = rearranged_overlap(&a, &draws[0], []).unwrap();
    assert_eq!((none.null_mean, none.p), (None, None));
    assert!(rearranged_overlap(&a, &draws[0], [vec![true]]).is_err());
}

#[test]
fn equal_spaces_are_at_no_distance_and_orthogonal_ones_far() {
    let a = noise(6, 400, 1);
    let same = map_similarity(a.view(), a.slice(s![..;-1, ..])).unwrap().unwrap();
    assert!((same.cka - 1.0).abs() < 1e-12 && same.procrustes_distance() < 1e-6, "{same:?}");
    let mut left = noise(3, 400, 2);
    let mut right = noise(4, 400, 3);
    // Disjoint support with zero sums is orthogonal after centring.
    left.slice_mut(s![.., 200..]).fill(0.0);
    right.slice_mut(s![.., ..200]).fill(0.0);
    for maps in [&mut left, &mut right] {
        for mut map in maps.outer_iter_mut() {
            let n = map.iter().filter(|v| **v != 0.0).count() as f32;
            let mean = map.sum() / n;
            map.mapv_inplace(|v| if v == 0.0 { 0.0 } else { v - mean });
        }
    }
    let apart = map_similarity(left.view(), right.view()).unwrap().unwrap();
    assert!(apart.cka < 1e-12 && (apart.procrustes_distance() - 2f64.sqrt()).abs() < 1e-6, "{apart:?}");
}

/// The alignment of one map with a set is the length of its projections, whichever comes first.
#[test]
fn one_map_is_a_set() {
    let a = noise(5, 90, 4);
    for b in [noise(1, 90, 5), a.slice(s![2..3, ..]).to_owned()] {
        let (one, other) = (map_similarity(a.view(), b.view()), map_similarity(b.view(), a.view()));
        let (one, other) = (one.unwrap().unwrap(), other.unwrap().unwrap());
        assert!((one.alignment - other.alignment).abs() < 1e-12 && one.alignment > 0.0);
    }
    let (single, twin) = (a.slice(s![..1, ..]), a.slice(s![1..2, ..]));
    let found = map_similarity(single, twin).unwrap().unwrap();
    let r = crate::math::polarity::row_correlations(a.view()).unwrap()[[0, 1]].unwrap();
    assert!((found.alignment - r.abs()).abs() < 1e-12 && (found.cka - r * r).abs() < 1e-12);
}

#[test]
fn constant_sets_have_no_distance_and_wrong_options_are_refused() {
    let (a, flat) = (noise(3, 50, 1), Array2::from_elem((2, 50), 0.3f32));
    assert_eq!(map_similarity(a.view(), flat.view()).unwrap(), Err(NoDistance::ConstantSecond));
    let found = map_distance(flat.view(), a.view(), options(10, 20, 1)).unwrap();
    assert_eq!((found.similarity, found.cka_interval), (Err(NoDistance::ConstantFirst), None));
    let refused = |options| map_distance(a.view(), a.view(), options).unwrap_err();
    assert!(matches!(refused(options(1, 5, 1)), MathError::TooFew { .. }));
    assert!(matches!(refused(options(51, 5, 1)), MathError::TooMany { .. }));
    assert!(matches!(refused(DistanceOptions { confidence: 1.0, ..options(5, 5, 1) }), MathError::Parameter { .. }));
    assert!(map_distance(a.view(), noise(3, 49, 1).view(), options(5, 5, 1)).is_err());
    let few = map_distance(a.slice(s![.., ..10]), noise(3, 10, 2).view(), options(5, 5, 1)).unwrap();
    let expected =
        [DistanceWarning::FewVoxels { n_voxels: 10, n_patterns: 6 }, DistanceWarning::FewBlocks { n_blocks: 5 }];
    assert_eq!(few.warnings, expected);
}

#[test]
fn bytes_do_not_depend_on_the_thread_count() {
    let (a, b) = (noise(5, 20_000, 1), noise(7, 20_000, 2));
    let with = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| map_distance(a.view(), b.view(), options(20, 30, 4)).unwrap())
    };
    assert_eq!(with(1), with(3));
}

/// Maps of which half the power is shared: the population value of both coefficients is known.
#[test]
fn the_interval_covers_the_coefficient_of_the_population() {
    let (n_voxels, n_sets) = (4000, 120);
    // One map each with correlation 0.5: cka = 0.25, alignment = 0.5.
    let mut n_covered = [0; 2];
    for seed in 0..n_sets {
        let z = noise(3, n_voxels, 100 + seed);
        let mix = |k: usize| {
            let map = &z.row(2).mapv(|v| v * 0.5f32.sqrt()) + &z.row(k).mapv(|v| v * 0.5f32.sqrt());
            map.insert_axis(ndarray::Axis(0))
        };
        let found = map_distance(mix(0).view(), mix(1).view(), options(40, 300, seed)).unwrap();
        for (n, (interval, truth)) in
            n_covered.iter_mut().zip([(found.cka_interval, 0.25), (found.alignment_interval, 0.5)])
        {
            let [low, high] = interval.unwrap();
            *n += usize::from(low <= truth && truth <= high);
        }
    }
    // 95 % of 120 is 114 with a standard error of 2.4; percentile intervals over 40 blocks are slightly short.
    assert!(n_covered.iter().all(|&n| n >= 104), "{n_covered:?}");
}

proptest! {
    #[test]
    fn order_signs_and_rotation_of_patterns_change_nothing(seed in 0u64..1000, angle in 0.0f32..6.3, scale in 0.1f32..9.0) {
        let (a, b) = (noise(4, 60, seed), noise(3, 60, seed + 5000));
        let mut turned = a.clone();
        let (x, y) = (a.row(0).to_owned(), a.row(2).to_owned());
        turned.row_mut(0).assign(&(&x * angle.cos() - &y * angle.sin()));
        turned.row_mut(2).assign(&(&x * angle.sin() + &y * angle.cos()));
        turned.row_mut(1).mapv_inplace(|v| -v);
        turned.mapv_inplace(|v| v * scale);
        let one = map_similarity(a.view(), b.view()).unwrap().unwrap();
        let other = map_similarity(turned.slice(s![..;-1, ..]), b.view()).unwrap().unwrap();
        let back = map_similarity(b.view(), a.view()).unwrap().unwrap();
        prop_assert!((one.cka - other.cka).abs() < 1e-5 && (one.alignment - other.alignment).abs() < 1e-5);
        prop_assert!((one.cka - back.cka).abs() < 1e-12 && (one.alignment - back.alignment).abs() < 1e-12);
        prop_assert!((0.0..=1.0).contains(&one.cka) && (0.0..=1.0).contains(&one.alignment));
    }

    #[test]
    fn the_index_is_antisymmetric(a in -0.2f64..1.0, b in -0.2f64..1.0) {
        let one = specialisation_index(&[Some(a)], &[Some(b)]).unwrap()[0];
        let other = specialisation_index(&[Some(b)], &[Some(a)]).unwrap()[0];
        prop_assert_eq!(one, other.map(|index| -index));
        prop_assert!(one.is_none_or(|index| (-1.0..=1.0).contains(&index)));
    }
}
