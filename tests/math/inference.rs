//! Noise ceilings, permutation tests and tests over subjects against SciPy, statsmodels, nilearn and plain enumeration.
//!
//! The numbers compared with are made by `tests/scripts/make_inference_fixtures.py`.

use hebb::math::ceiling::normalised_correlation;
use hebb::math::fdr::benjamini_yekutieli;
use hebb::math::group::{
    Alternative, Arrangements, GroupValues, SignFlipOptions, TOptions, one_sample_t, sign_flip_test,
};
use hebb::math::null::{EarlyStop, NullOptions, Rearrangement, permutation_test, permutation_test_with};
use ndarray::{Array2, Array3, Axis};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::Deserialize;

use super::{matrix, table};

/// Stationary first-order autoregressive series of unit variance.
pub(super) fn autoregressive(n_samples: usize, n_columns: usize, phi: f64, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut series = Array2::zeros((n_samples, n_columns));
    for mut column in series.columns_mut() {
        let mut state: f64 = StandardNormal.sample(&mut rng);
        for value in &mut column {
            *value = state as f32;
            let innovation: f64 = StandardNormal.sample(&mut rng);
            state = phi * state + (1.0 - phi * phi).sqrt() * innovation;
        }
    }
    series
}

#[test]
fn ceilings_equal_those_of_an_analysis_of_variance() {
    #[derive(Deserialize)]
    struct Expected {
        targets: Vec<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        signal_power: f64,
        r2: f64,
        explainable_variance: f64,
        reliability: f64,
        r: f64,
        r_norm: f64,
    }
    let (repeats, prediction): (Array3<f32>, Array2<f32>) = (matrix("ceiling_repeats"), matrix("ceiling_prediction"));
    let views: Vec<_> = repeats.outer_iter().collect();
    let found = normalised_correlation(&views, prediction.view()).unwrap();
    let mut worst = 0.0f64;
    let expected = table::<Expected>("ceiling").targets;
    assert_eq!(expected.len(), found.r.len());
    for (j, expected) in expected.iter().enumerate() {
        let ceiling = found.ceiling.ceilings[j].unwrap();
        for (found, expected) in [
            (ceiling.signal_power, expected.signal_power),
            (ceiling.r2, expected.r2),
            (ceiling.r, expected.r2.sqrt()),
            (ceiling.explainable_variance, expected.explainable_variance),
            (found.ceiling.reliability[j].unwrap(), expected.reliability),
            (found.r[j].unwrap(), expected.r),
            (found.r_norm[j].unwrap(), expected.r_norm),
        ] {
            worst = worst.max((found - expected).abs());
        }
    }
    println!("largest error {worst:.1e}");
    assert!(worst < 1e-10, "{worst}");
    assert_eq!(found.n_above_one, expected.iter().filter(|target| target.r_norm > 1.0).count());
}

#[derive(Deserialize)]
struct Enumerated {
    block_tr: usize,
    min_shift_tr: usize,
    r: Vec<f64>,
    blocks: Vec<f64>,
    shifts: Vec<f64>,
}

/// Drawn p values against the share of all 720 orders of blocks and of all 27 shifts, by both ways of computing them.
#[test]
fn p_values_approach_those_of_every_rearrangement() {
    let (data, prediction): (Array2<f32>, Array2<f32>) = (matrix("null_data"), matrix("null_prediction"));
    let expected: Enumerated = table("null");
    let blocks = Rearrangement::Blocks { block_tr: expected.block_tr };
    let shifts = Rearrangement::CircularShift { min_shift_tr: expected.min_shift_tr };
    for (rearrangement, shares) in [(blocks, &expected.blocks), (shifts, &expected.shifts)] {
        let n = 40_000;
        let found = permutation_test(data.view(), prediction.view(), rearrangement, n, 5).unwrap();
        for (j, share) in shares.iter().enumerate() {
            assert!((found.r[j].unwrap() - expected.r[j]).abs() < 1e-6);
            // The observed order is counted once more, which the bias of 1 / n allows for.
            let bound = 5.0 * (share * (1.0 - share) / n as f64).sqrt() + 1.0 / n as f64;
            let p = found.p_values[j].unwrap();
            assert!((p - share).abs() <= bound, "{rearrangement:?}: {p} {share}");
        }
    }
}

fn share_below(p_values: &[Option<f64>], level: f64) -> f64 {
    p_values.iter().flatten().filter(|&&p| p <= level).count() as f64 / p_values.len() as f64
}

/// Each draw rearranges all targets alike, so several seeds are pooled; with and without stopping early.
#[test]
fn p_values_are_uniform_for_blocks_longer_than_the_autocorrelation() {
    let (data, prediction) = (autoregressive(600, 3000, 0.6, 1), autoregressive(600, 3000, 0.6, 2));
    for early_stop in [None, Some(EarlyStop { n_exceedances: 20 })] {
        let mut p_values = Vec::new();
        for seed in 0..4 {
            let options = NullOptions {
                rearrangement: Rearrangement::Blocks { block_tr: 30 },
                n_permutations: 499,
                early_stop,
                seed,
            };
            p_values.extend(permutation_test_with(data.view(), prediction.view(), options).unwrap().p_values);
        }
        for level in [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9] {
            let share = share_below(&p_values, level);
            println!("{early_stop:?}, level {level}: {share:.4}");
            // Four standard errors over targets, and a hundredth for the draws that targets share and for the samples
            // about the borders of blocks.
            let bound = 4.0 * (level * (1.0 - level) / 3000.0f64).sqrt() + 0.01;
            // Values of h / n_drawn stand p^2 / h apart, so the share may lag behind the level by so much.
            let step = early_stop.map_or(0.002, |stop| level * level / stop.n_exceedances as f64);
            assert!(share < level + bound && share > level - step - bound, "{share} at {level}");
        }
    }
    let single_samples = Rearrangement::Blocks { block_tr: 1 };
    let naive = permutation_test(data.view(), prediction.view(), single_samples, 499, 0).unwrap();
    let share = share_below(&naive.p_values, 0.05);
    println!("permuting single samples, level 0.05: {share:.4}");
    assert!(share > 0.1, "samples that depend on each other must not be permuted one by one: {share}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A target that is stopped early has the history of one that is not, up to its last draw.
    #[test]
    fn stopping_early_changes_nothing_but_the_number_of_draws(
        n_exceedances in 1usize..12, n_permutations in 1usize..400, n_targets in 1usize..90, seed in 0u64..1000,
        shifts in any::<bool>(),
    ) {
        let (y, noise) = (autoregressive(57, n_targets, 0.3, seed), autoregressive(57, n_targets, 0.3, seed + 5000));
        let prediction = &y * 0.15 + &noise;
        let rearrangement =
            if shifts { Rearrangement::CircularShift { min_shift_tr: 3 } } else { Rearrangement::Blocks { block_tr: 6 } };
        let run = |n_permutations, early_stop| {
            let options = NullOptions { rearrangement, n_permutations, early_stop, seed };
            permutation_test_with(y.view(), prediction.view(), options).unwrap()
        };
        let full = run(n_permutations, None);
        prop_assert_eq!(&full.n_drawn, &vec![n_permutations; n_targets]);
        let stop = Some(EarlyStop { n_exceedances });
        let early = run(n_permutations, stop);
        prop_assert_eq!(early.options.early_stop, stop);
        for j in 0..n_targets {
            let (p, n_drawn) = (early.p_values[j].unwrap(), early.n_drawn[j]);
            let n_as_high = (full.p_values[j].unwrap() * (n_permutations + 1) as f64).round() as usize - 1;
            if n_as_high < n_exceedances {
                prop_assert_eq!((p, n_drawn), (full.p_values[j].unwrap(), n_permutations));
            } else {
                prop_assert_eq!(p, n_exceedances as f64 / n_drawn as f64);
                prop_assert!(n_drawn <= n_permutations);
            }
        }
        // The same draws in another company of targets.
        let some: Vec<usize> = (0..n_targets).step_by(3).collect();
        let options = NullOptions { rearrangement, n_permutations, early_stop: stop, seed };
        let (y, prediction) = (y.select(Axis(1), &some), prediction.select(Axis(1), &some));
        let apart = permutation_test_with(y.view(), prediction.view(), options).unwrap();
        for (k, &j) in some.iter().enumerate() {
            prop_assert_eq!((apart.p_values[k], apart.n_drawn[k]), (early.p_values[j], early.n_drawn[j]));
        }
    }
}

/// Stops at the draw at which a full test of exactly so many draws first counts enough.
#[test]
fn a_target_stops_at_its_own_draw() {
    let (y, p) = (autoregressive(80, 40, 0.0, 3), autoregressive(80, 40, 0.0, 4));
    let (rearrangement, seed) = (Rearrangement::CircularShift { min_shift_tr: 1 }, 9);
    let options =
        NullOptions { rearrangement, n_permutations: 300, early_stop: Some(EarlyStop { n_exceedances: 5 }), seed };
    let early = permutation_test_with(y.view(), p.view(), options).unwrap();
    let count = |n: usize, j: usize| {
        let p = permutation_test(y.view(), p.view(), rearrangement, n, seed).unwrap().p_values[j].unwrap();
        (p * (n + 1) as f64).round() as usize - 1
    };
    let stopped: Vec<usize> = (0..40).filter(|&j| early.n_drawn[j] < 300 && early.n_drawn[j] > 5).collect();
    assert!(stopped.len() > 10, "chance stops most targets");
    for &j in stopped.iter().take(10) {
        assert_eq!((count(early.n_drawn[j] - 1, j), count(early.n_drawn[j], j)), (4, 5));
    }
}

#[test]
fn early_stopping_bytes_do_not_depend_on_the_thread_count() {
    let (y, p) = (autoregressive(203, 500, 0.2, 5), autoregressive(203, 500, 0.2, 6));
    let with = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let options = NullOptions {
            rearrangement: Rearrangement::Blocks { block_tr: 10 },
            n_permutations: 5000,
            early_stop: Some(EarlyStop { n_exceedances: 10 }),
            seed: 1,
        };
        pool.install(|| permutation_test_with(y.view(), p.view(), options).unwrap())
    };
    assert_eq!(with(1), with(3));
    let n_drawn: usize = with(1).n_drawn.iter().sum();
    assert!(n_drawn < 500 * 5000 / 10, "chance needs few draws: {n_drawn}");
}

#[test]
fn an_early_stop_at_nothing_is_refused() {
    let y = autoregressive(40, 2, 0.0, 7);
    let run = |n_permutations, n_exceedances| {
        let options = NullOptions {
            rearrangement: Rearrangement::Blocks { block_tr: 10 },
            n_permutations,
            early_stop: Some(EarlyStop { n_exceedances }),
            seed: 1,
        };
        permutation_test_with(y.view(), y.view(), options).unwrap_err().to_string()
    };
    assert!(run(10, 0).starts_with("`number of exceedances` is 0, expected 1 or more"));
    assert!(run(0, 1).starts_with("`number of permutations` is 0, expected 1 or more"));
}

#[test]
fn a_value_that_is_no_number_is_named() {
    let (y, mut broken) = (autoregressive(40, 3, 0.0, 8), autoregressive(40, 3, 0.0, 9));
    broken[[17, 2]] = f32::NAN;
    let blocks = Rearrangement::Blocks { block_tr: 10 };
    for (data, prediction, what) in [(&broken, &y, "data"), (&y, &broken, "prediction")] {
        let error = permutation_test(data.view(), prediction.view(), blocks, 10, 1).unwrap_err();
        let expected = format!("`{what}` holds NaN at row 17, column 2, expected finite numbers only");
        assert_eq!(error.to_string(), expected);
    }
}

#[derive(Deserialize)]
struct Group {
    families: Vec<usize>,
    absent: Vec<(usize, usize)>,
    confidence: f64,
    cases: Vec<GroupCase>,
    nilearn: Nilearn,
}

#[derive(Deserialize)]
struct GroupCase {
    alternative: Alternative,
    gaps: bool,
    t: Vec<f64>,
    p: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
    exact: Vec<f64>,
    p_families: Vec<f64>,
    p_family_wise: Vec<f64>,
    largest_t: Vec<f64>,
}

#[derive(Deserialize)]
struct Nilearn {
    t: Vec<f64>,
    p_family: Vec<f64>,
    n_permutations: usize,
}

#[test]
fn tests_over_subjects_equal_scipy_and_enumeration() {
    let values: Array2<f32> = matrix("group_values");
    let group: Group = table("group");
    let mut present = Array2::from_elem(values.dim(), true);
    group.absent.iter().for_each(|&at| present[at] = false);
    let (mut worst_t, mut worst_p, mut worst_interval, mut worst_largest) = (0.0f64, 0.0f64, 0.0f64, 0.0f64);
    let relative = |found: f64, expected: f64| (found - expected).abs() / expected.abs().max(1e-300);
    for case in &group.cases {
        let data = GroupValues { values: values.view(), present: case.gaps.then(|| present.view()) };
        let options = TOptions { alternative: case.alternative, confidence: group.confidence, ..TOptions::default() };
        let t = one_sample_t(data, options).unwrap();
        let options = SignFlipOptions { alternative: case.alternative, ..SignFlipOptions::default() };
        let alone = sign_flip_test(data, None, options).unwrap();
        let families = sign_flip_test(data, Some(&group.families), options).unwrap();
        assert_eq!(alone.arrangements, Arrangements::Exhaustive { n_arrangements: 512 });
        assert_eq!(families.arrangements, Arrangements::Exhaustive { n_arrangements: 64 });
        for v in 0..values.ncols() {
            let (t, alone, families) = (t.voxels[v].unwrap(), alone.voxels[v].unwrap(), families.voxels[v].unwrap());
            worst_t = worst_t.max((t.t - case.t[v]).abs() / case.t[v].abs().max(1.0));
            worst_p = worst_p.max(relative(t.p, case.p[v]));
            worst_interval = worst_interval.max((t.interval[0] - case.low[v]).abs());
            worst_interval = worst_interval.max((t.interval[1] - case.high[v]).abs());
            assert!((alone.p - case.exact[v]).abs() < 1e-12, "{} {}", alone.p, case.exact[v]);
            assert!((families.p - case.p_families[v]).abs() < 1e-12);
            assert!((families.p_family - case.p_family_wise[v]).abs() < 1e-12);
            assert_eq!(families.t, t.t);
        }
        assert_eq!(families.largest_t.len(), case.largest_t.len());
        for (found, expected) in families.largest_t.iter().zip(&case.largest_t) {
            worst_largest = worst_largest.max(relative(*found, *expected));
        }
    }
    println!("t {worst_t:.1e}, p {worst_p:.1e}, interval {worst_interval:.1e}, largest t {worst_largest:.1e}");
    assert!(worst_t < 1e-12 && worst_p < 1e-10 && worst_interval < 1e-10 && worst_largest < 1e-6);
}

#[test]
fn family_wise_p_values_equal_those_of_nilearn() {
    let values: Array2<f32> = matrix("group_values");
    let nilearn = table::<Group>("group").nilearn;
    let found = sign_flip_test(GroupValues::complete(values.view()), None, SignFlipOptions::default()).unwrap();
    for ((found, t), p) in found.voxels.iter().zip(nilearn.t).zip(nilearn.p_family) {
        let found = found.unwrap();
        // nilearn works in the precision of its input's decomposition, and draws its signs.
        assert!((found.t - t).abs() < 1e-6 * t.abs().max(1.0), "{} {t}", found.t);
        let exact = found.p_family;
        let bound = 4.5 * (exact * (1.0 - exact) / nilearn.n_permutations as f64).sqrt() + 1e-4;
        assert!((exact - p).abs() < bound, "{exact} {p}");
    }
}

#[test]
fn q_values_under_any_dependence_equal_statsmodels() {
    #[derive(Deserialize)]
    struct Fdr {
        p: Vec<f64>,
        q: Vec<f64>,
    }
    let fdr: Fdr = table("fdr_any_dependence");
    let p: Vec<Option<f64>> = fdr.p.into_iter().map(Some).collect();
    for (found, expected) in benjamini_yekutieli(&p).unwrap().into_iter().zip(fdr.q) {
        assert!((found.unwrap() - expected).abs() < 1e-13);
    }
}
