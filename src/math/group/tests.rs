use ndarray::{Array, Array2, array, s};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::*;

fn noise(n_subjects: usize, n_voxels: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn((n_subjects, n_voxels), || StandardNormal.sample(&mut rng))
}

fn flips(alternative: Alternative, n_permutations: usize) -> SignFlipOptions {
    SignFlipOptions { alternative, n_permutations, ..SignFlipOptions::default() }
}

fn p_values(test: &SignFlipTest) -> Vec<(f64, f64)> {
    test.voxels.iter().map(|voxel| voxel.map(|v| (v.p, v.p_family)).unwrap()).collect()
}

/// Values 1, 2, 3: mean 2, standard error 1 / sqrt(3), t = 2 sqrt(3) on 2 degrees of freedom, for which
/// P(|T| > t) = 1 - t / sqrt(2 + t^2), so that 95 % lie within 0.95 sqrt(2 / (1 - 0.95^2)).
#[test]
fn t_has_its_closed_form_for_three_subjects() {
    let values = array![[1.0f32], [2.0], [3.0]];
    let test = one_sample_t(GroupValues::complete(values.view()), TOptions::default()).unwrap();
    let voxel = test.voxels[0].unwrap();
    let t = 2.0 * 3f64.sqrt();
    assert!((voxel.t - t).abs() < 1e-12 && (voxel.cohens_d - 2.0).abs() < 1e-12);
    assert!((voxel.p - (1.0 - t / (2.0 + t * t).sqrt())).abs() < 1e-13);
    let half_width = 0.95 * (2.0 / (1.0 - 0.95f64.powi(2))).sqrt() / 3f64.sqrt();
    assert!((voxel.interval[0] - (2.0 - half_width)).abs() < 1e-11, "{:?}", voxel.interval);
    assert_eq!(test.warnings, [GroupWarning::FewSubjects { n_subjects: 3, n_voxels: 1 }]);
}

/// Of the eight signs of 1, 2, 3 only the observed ones and their opposite sum to 6 in magnitude; of the other voxel, whose
/// observed sum is 0, two more do.
#[test]
fn three_subjects_have_eight_patterns() {
    let values = array![[1.0f32, 1.0], [2.0, 2.0], [3.0, -3.0]];
    let test = |alternative| sign_flip_test(GroupValues::complete(values.view()), None, flips(alternative, 8)).unwrap();
    let two_sided = test(Alternative::TwoSided);
    assert_eq!(two_sided.arrangements, Arrangements::Exhaustive { n_arrangements: 8 });
    assert_eq!(p_values(&two_sided), [(0.25, 0.5), (1.0, 1.0)]);
    assert!(two_sided.warnings.contains(&GroupWarning::CoarsePValues { smallest_p: 0.25 }));
    // 0 is reached by five of the sums 6, 4, 2, 0, 0, -2, -4, -6, and every flip has a voxel that reaches it.
    assert_eq!(p_values(&test(Alternative::Greater)), [(0.125, 0.25), (0.625, 1.0)]);
    assert_eq!(p_values(&test(Alternative::Less))[0], (1.0, 1.0));
    assert_eq!(two_sided.largest_t.len(), 8);
}

#[test]
fn families_change_sign_as_a_whole() {
    // Twins that copy each other: eight subjects, but four families, so 16 patterns rather than 256.
    let values = array![[1.0f32], [1.0], [2.0], [2.0], [0.5], [0.5], [3.0], [3.0]];
    let group = GroupValues::complete(values.view());
    let alone = sign_flip_test(group, None, flips(Alternative::Greater, 1000)).unwrap();
    let families = sign_flip_test(group, Some(&[9, 9, 4, 4, 7, 7, 0, 0]), flips(Alternative::Greater, 1000)).unwrap();
    assert_eq!((alone.n_blocks, families.n_blocks), (8, 4));
    assert_eq!(p_values(&alone), [(1.0 / 256.0, 1.0 / 256.0)]);
    assert_eq!(p_values(&families), [(1.0 / 16.0, 1.0 / 16.0)]);
    assert!(families.warnings.contains(&GroupWarning::CoarsePValues { smallest_p: 0.0625 }));
    assert!(!alone.warnings.iter().any(|w| matches!(w, GroupWarning::CoarsePValues { .. })));
}

#[test]
fn random_flips_agree_with_all_of_them() {
    let values = noise(12, 40, 1) + 0.4;
    let group = GroupValues::complete(values.view());
    let all = sign_flip_test(group, None, flips(Alternative::TwoSided, 4096)).unwrap();
    let drawn = sign_flip_test(group, None, flips(Alternative::TwoSided, 4095)).unwrap();
    assert_eq!(drawn.arrangements, Arrangements::Random { n_drawn: 4095 });
    for (all, drawn) in p_values(&all).iter().zip(p_values(&drawn)) {
        for (exact, found) in [(all.0, drawn.0), (all.1, drawn.1)] {
            assert!((exact - found).abs() < 4.5 * (exact * (1.0 - exact) / 4095.0).sqrt() + 3e-4, "{exact} {found}");
        }
    }
}

#[test]
fn the_family_wise_rate_is_kept_where_single_tests_fail() {
    let (mut n_alone, mut n_corrected) = (0, 0);
    for seed in 0..400 {
        let values = noise(10, 30, 100 + seed);
        let options = SignFlipOptions { seed, ..flips(Alternative::Greater, 199) };
        let p = p_values(&sign_flip_test(GroupValues::complete(values.view()), None, options).unwrap());
        n_alone += usize::from(p.iter().any(|p| p.0 <= 0.05));
        n_corrected += usize::from(p.iter().any(|p| p.1 <= 0.05));
    }
    assert!(n_alone > 240, "30 tests at 0.05 find something in 79 of 100 null maps: {n_alone} of 400");
    // Four standard errors about a rate of 0.05.
    assert!((3..=37).contains(&n_corrected), "{n_corrected} of 400");
}

#[test]
fn dependent_twins_need_their_blocks() {
    let (mut n_ignored, mut n_respected) = (0usize, 0usize);
    let family: Vec<usize> = (0..24).map(|i| i / 2).collect();
    let base = noise(12, 2000, 7);
    let values = Array2::from_shape_fn((24, 2000), |(i, v)| base[[i / 2, v]]);
    let group = GroupValues::complete(values.view());
    let options = SignFlipOptions { seed: 3, ..flips(Alternative::Greater, 999) };
    for (count, blocks) in [(&mut n_ignored, None), (&mut n_respected, Some(&family[..]))] {
        let test = sign_flip_test(group, blocks, options).unwrap();
        *count = p_values(&test).iter().filter(|p| p.0 <= 0.05).count();
    }
    assert!(n_ignored > 180, "copies counted as subjects: {n_ignored} of 2000 at 0.05");
    assert!((60..=140).contains(&n_respected), "{n_respected} of 2000 at 0.05");
}

#[test]
fn gaps_leave_the_other_subjects() {
    let mut values = noise(6, 4, 2) + 1.0;
    let mut present = Array2::from_elem((6, 4), true);
    // What stands in a gap is not looked at.
    values[[2, 1]] = f32::NAN;
    present[[2, 1]] = false;
    present.slice_mut(s![1.., 2]).fill(false);
    values.column_mut(3).fill(0.25);
    let group = GroupValues { values: values.view(), present: Some(present.view()) };
    let t = one_sample_t(group, TOptions { n_min: 3, ..TOptions::default() }).unwrap();
    let options = SignFlipOptions { n_min: 3, ..SignFlipOptions::default() };
    let flipped = sign_flip_test(group, None, options).unwrap();
    assert_eq!(t.voxels[2], Err(NoTest::TooFewSubjects { n_subjects: 1 }));
    assert_eq!(t.voxels[3], Err(NoTest::Constant));
    assert_eq!(
        (flipped.voxels[2], flipped.voxels[3]),
        (Err(NoTest::TooFewSubjects { n_subjects: 1 }), Err(NoTest::Constant))
    );
    assert!(t.warnings.contains(&GroupWarning::UntestedVoxels { n_voxels: 2 }));

    let rows: Vec<usize> = vec![0, 1, 3, 4, 5];
    let without = values.select(ndarray::Axis(0), &rows).slice(s![.., 1..2]).to_owned();
    let alone = one_sample_t(GroupValues::complete(without.view()), TOptions::default()).unwrap();
    assert_eq!(t.voxels[1], alone.voxels[0]);
    let alone = sign_flip_test(GroupValues::complete(without.view()), None, options).unwrap();
    assert_eq!(flipped.voxels[1].unwrap().p, alone.voxels[0].unwrap().p, "a sign of nothing doubles every pattern");
}

#[test]
fn bad_input_is_refused() {
    let values = noise(5, 3, 3);
    let one = values.slice(s![..1, ..]);
    let group = GroupValues::complete(values.view());
    let t = |group, n_min, confidence| {
        one_sample_t(group, TOptions { n_min, confidence, ..TOptions::default() }).unwrap_err()
    };
    assert!(matches!(t(GroupValues::complete(one), 2, 0.95), MathError::TooFew { found: 1, expected: 2, .. }));
    assert!(matches!(t(group, 1, 0.95), MathError::TooFew { name: "n_min", found: 1, .. }));
    assert!(matches!(t(group, 6, 0.95), MathError::TooMany { name: "n_min", found: 6, expected: 5, .. }));
    for confidence in [0.0, 1.0, f64::NAN] {
        assert!(matches!(t(group, 2, confidence), MathError::Parameter { name: "confidence", .. }));
    }
    let mut broken = values.clone();
    broken[[3, 2]] = f32::NAN;
    let error = t(GroupValues::complete(broken.view()), 2, 0.95);
    assert!(matches!(error, MathError::NotFinite { row: 3, column: 2, .. }), "{error}");
    let present = Array2::from_elem((5, 2), true);
    let misfit = GroupValues { values: values.view(), present: Some(present.view()) };
    assert!(matches!(t(misfit, 2, 0.95), MathError::Shape { found: 2, expected: 3, .. }));

    let flip = |blocks: Option<&[usize]>, n| sign_flip_test(group, blocks, flips(Alternative::Less, n)).unwrap_err();
    assert!(matches!(flip(None, 0), MathError::TooFew { name: "number of permutations", found: 0, .. }));
    assert!(matches!(flip(Some(&[1, 1, 1, 1, 1]), 9), MathError::TooFew { found: 1, expected: 2, .. }));
    assert!(matches!(flip(Some(&[1, 2]), 9), MathError::Shape { found: 2, expected: 5, .. }));
    let alone = sign_flip_test(GroupValues::complete(one), None, SignFlipOptions::default()).unwrap_err();
    assert!(matches!(alone, MathError::TooFew { name: "number of subjects", found: 1, .. }));
}

#[test]
fn no_voxel_to_test_is_a_result_without_a_distribution() {
    let values = Array2::zeros((5, 2));
    let test = sign_flip_test(GroupValues::complete(values.view()), None, SignFlipOptions::default()).unwrap();
    assert_eq!(test.voxels, [Err(NoTest::Constant); 2]);
    assert!(test.largest_t.is_empty());
}

#[test]
fn options_can_be_written_in_part() {
    let options: SignFlipOptions = serde_json::from_str(r#"{"alternative": "greater", "seed": 4}"#).unwrap();
    assert_eq!(options, SignFlipOptions { seed: 4, ..flips(Alternative::Greater, 10_000) });
    assert!(serde_json::from_str::<TOptions>(r#"{"n_minimum": 4}"#).is_err());
}

#[test]
fn bytes_depend_on_the_seed_alone() {
    let values = noise(20, 1300, 5);
    let with = |n_threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let options = SignFlipOptions { seed, ..flips(Alternative::TwoSided, 300) };
        pool.install(|| sign_flip_test(GroupValues::complete(values.view()), None, options).unwrap())
    };
    assert_eq!(with(1, 1), with(3, 1));
    assert_ne!(with(1, 1).voxels, with(1, 2).voxels);
}

proptest! {
    /// Counts every pattern by the definition of t, with values of few digits so that ties abound.
    #[test]
    fn exact_p_values_equal_brute_force(
        values in prop::collection::vec(-4i8..=4, 18), alternative in 0usize..3, families in any::<bool>(),
    ) {
        let values = Array2::from_shape_fn((6, 3), |(i, v)| f32::from(values[i * 3 + v]) / 4.0);
        let alternative = [Alternative::TwoSided, Alternative::Greater, Alternative::Less][alternative];
        let blocks: Vec<usize> = if families { vec![0, 0, 1, 2, 2, 3] } else { (0..6).collect() };
        let n_blocks = blocks[5] + 1;
        let found =
            sign_flip_test(GroupValues::complete(values.view()), Some(&blocks), flips(alternative, 1000)).unwrap();
        let statistic = |pattern: usize, voxel: usize| {
            let flipped: Vec<f64> = (0..6)
                .map(|i| f64::from(values[[i, voxel]]) * if pattern >> blocks[i] & 1 == 1 { -1.0 } else { 1.0 })
                .collect();
            let mean = flipped.iter().sum::<f64>() / 6.0;
            let variance = flipped.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 5.0;
            // Values are multiples of a quarter, so a spread this small is none.
            let t = if variance < 1e-12 { mean.signum() * f64::INFINITY } else { mean / (variance / 6.0).sqrt() };
            match alternative {
                Alternative::TwoSided => t.abs(),
                Alternative::Greater => t,
                Alternative::Less => -t,
            }
        };
        let tested: Vec<usize> = (0..3).filter(|&v| found.voxels[v].is_ok()).collect();
        let reaches = |null: f64, observed: f64| null >= observed - 1e-9;
        for &voxel in &tested {
            let test = found.voxels[voxel].unwrap();
            let observed = statistic(0, voxel);
            let n_patterns = 1usize << n_blocks;
            let alone = (0..n_patterns).filter(|&p| reaches(statistic(p, voxel), observed)).count();
            let largest = |pattern| tested.iter().map(|&v| statistic(pattern, v)).fold(f64::NEG_INFINITY, f64::max);
            // Values of t that tie between voxels in theory may differ in their last bit.
            let at_least = (0..n_patterns).filter(|&p| largest(p) > observed + 1e-9).count() as f64;
            let at_most = (0..n_patterns).filter(|&p| reaches(largest(p), observed)).count() as f64;
            prop_assert_eq!(test.p, alone as f64 / n_patterns as f64);
            let family = test.p_family * n_patterns as f64;
            prop_assert!(family >= at_least - 1e-9 && family <= at_most + 1e-9);
            prop_assert!(tested.len() > 1 || test.p_family == test.p);
            prop_assert!(test.p_family >= test.p);
        }
    }
}
