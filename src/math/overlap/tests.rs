//! Coefficients and tests of overlap against closed forms, and the size and power of both nulls.

use super::*;
use crate::math::MathError;
use ndarray::{Array, array};
use proptest::prelude::*;
use statrs::distribution::{DiscreteCDF, Hypergeometric};

#[test]
fn closed_forms_and_empty_sets() {
    let sets = Sets::new(array![[true, true, false, false], [false, true, true, true], [false; 4], [false; 4]].view());
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

fn maps(n_maps: usize, n_elements: usize) -> Array2<f32> {
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(n_elements as u64);
    Array::from_shape_simple_fn((n_maps, n_elements), || StandardNormal.sample(&mut rng))
}

fn beyond(maps: &Array2<f32>, threshold: f32) -> Sets {
    Sets::new(maps.mapv(|weight| weight.abs() > threshold).view())
}

const NULLS: [OverlapNull; 3] =
    [OverlapNull::Memberships, OverlapNull::MembershipsWithinGroups, OverlapNull::Rotations];

#[test]
fn groups_may_overlap_and_leave_elements_out() {
    let maps = maps(5, 400);
    let sets = beyond(&maps, 1.2);
    let groups = [(0..150).collect::<Vec<_>>(), (100..300).rev().collect(), vec![], (0..400).collect()];
    for null in NULLS {
        let options = OverlapOptions { null, n_draws: 25, seed: 4 };
        let found = compare_overlap(maps.view(), &sets, &groups, options).unwrap();
        let counts = sets.n_sets_of_element();
        for (region, elements) in found.groups.iter().zip(&groups) {
            let at_least = |n: u32| elements.iter().filter(|&&element| counts[element] >= n).count();
            assert_eq!(
                (region.n_elements, region.n_driven, region.n_shared),
                (elements.len(), at_least(1), at_least(2))
            );
            let inside = Sets::new(maps.select(ndarray::Axis(1), elements).mapv(|w| w.abs() > 1.2).view());
            let dice = inside.dice();
            let pairs: Vec<f64> =
                (0..5).flat_map(|a| (a + 1..5).map(move |b| [a, b])).filter_map(|at| dice[at]).collect();
            let mean = (!pairs.is_empty()).then(|| pairs.iter().sum::<f64>() / pairs.len() as f64);
            match (region.mean_dice, mean) {
                (Some(found), Some(mean)) => assert!((found.observed - mean).abs() < 1e-12),
                (found, mean) => assert!(found.is_none() && mean.is_none()),
            }
        }
        assert_eq!(found.groups[3], found.whole);
        assert!(matches!(found.warnings[..], [OverlapWarning::CoarsePValues { .. }]));
    }
}

#[test]
fn memberships_within_groups_keep_what_groups_explain() {
    // Sets fill one of two groups each, so members have nowhere to go and every draw equals the data.
    let maps = Array2::from_shape_fn((3, 200), |(k, v)| if (v < 60) == (k < 2) { 2.0f32 } else { 0.5 });
    let groups = [(0..60).collect::<Vec<_>>(), (60..200).collect()];
    let run = |null| {
        let options = OverlapOptions { null, n_draws: 200, seed: 1 };
        compare_overlap(maps.view(), &beyond(&maps, 1.0), &groups, options).unwrap()
    };
    let within = run(OverlapNull::MembershipsWithinGroups);
    let mean = within.whole.mean_dice.unwrap();
    assert_eq!((mean.p, mean.effect, mean.null_interval), (1.0, None, [mean.observed; 2]));
    assert!(within.pairs.iter().all(|pair| pair.family_wise_p == Some(1.0)));
    assert!(run(OverlapNull::Memberships).pairs[0].dice.unwrap().p < 0.01);
}

#[test]
fn draws_depend_on_the_seed_alone_whatever_the_null() {
    let maps = maps(40, 300);
    let groups = [(0..100).collect::<Vec<_>>()];
    for null in NULLS {
        let with = |n_threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            let options = OverlapOptions { null, n_draws: 150, seed };
            pool.install(|| compare_overlap(maps.view(), &beyond(&maps, 1.0), &groups, options).unwrap())
        };
        assert_eq!(with(1, 5), with(3, 5));
        assert_ne!(with(1, 5).whole, with(1, 6).whole);
    }
}

#[test]
fn what_cannot_be_rotated_is_refused_and_empty_maps_are_left_out() {
    let options = OverlapOptions { null: OverlapNull::Rotations, n_draws: 99, seed: 1 };
    let mut four = maps(4, 100);
    let run =
        |maps: &Array2<f32>, sets: &Sets, groups: &[Vec<usize>]| compare_overlap(maps.view(), sets, groups, options);
    let sets = beyond(&four, 1.0);
    assert!(matches!(run(&four, &sets, &[vec![100]]), Err(MathError::Index { found: 100, .. })));
    assert!(matches!(run(&maps(4, 99), &sets, &[]), Err(MathError::Shape { .. })));
    assert!(matches!(
        run(&maps(4, 101).slice_move(ndarray::s![.., 1..]), &sets, &[]),
        Err(MathError::Parameter { .. })
    ));
    let two = maps(2, 50);
    assert!(matches!(run(&two, &beyond(&two, 1.0), &[]), Err(MathError::TooFew { found: 2, expected: 3, .. })));
    four.row_mut(2).fill(0.0);
    let found = run(&four, &beyond(&four, 1.0), &[]).unwrap();
    assert_eq!(found.warnings, [OverlapWarning::MapsWithoutPower { n_maps: 1 }]);
    assert!(found.pairs.iter().all(|pair| pair.dice.is_none() == (pair.a == 2 || pair.b == 2)));
    four[[1, 3]] = f32::INFINITY;
    assert!(matches!(run(&four, &sets, &[]), Err(MathError::NotFinite { what: "maps", row: 1, column: 3, .. })));
}
