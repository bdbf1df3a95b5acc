use ndarray::{Array, Array2, ArrayView2, array};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::*;

fn noise(n_samples: usize, n_targets: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn((n_samples, n_targets), || StandardNormal.sample(&mut rng))
}

/// Repeats of a signal of variance 1 with noise of the given standard deviation.
fn repeats(signal: &Array2<f32>, n_repeats: u64, noise_sd: f32, seed: u64) -> Vec<Array2<f32>> {
    let (n_samples, n_targets) = signal.dim();
    (0..n_repeats).map(|r| signal + &(noise(n_samples, n_targets, seed + r) * noise_sd)).collect()
}

fn views(repeats: &[Array2<f32>]) -> Vec<ArrayView2<'_, f32>> {
    repeats.iter().map(|repeat| repeat.view()).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0), |(sum, n), v| (sum + v, n + 1));
    sum / f64::from(n)
}

#[test]
fn repeats_without_noise_have_a_ceiling_of_one() {
    let signal = noise(300, 5, 1);
    let test = normalised_correlation(&[signal.view(), signal.view(), signal.view()], signal.view()).unwrap();
    for ((ceiling, r_norm), reliability) in
        test.ceiling.ceilings.iter().zip(&test.r_norm).zip(&test.ceiling.reliability)
    {
        let ceiling = ceiling.unwrap();
        assert!((ceiling.r - 1.0).abs() < 1e-12 && (ceiling.explainable_variance - 1.0).abs() < 1e-12);
        assert!((r_norm.unwrap() - 1.0).abs() < 1e-12);
        assert!((reliability.unwrap() - 1.0).abs() < 1e-12);
    }
    assert!(test.ceiling.warnings.is_empty());
}

/// With signal power 1, noise power 4 and 4 repeats: CCmax^2 = 1 / (1 + 4 / 4), explainable variance 1 / 5; a repeat
/// correlates with the mean of three others by 1 / sqrt(5 (1 + 4 / 3)).
#[test]
fn the_true_signal_reaches_the_ceiling_of_noisy_repeats() {
    let signal = noise(2000, 60, 2);
    let measured = repeats(&signal, 4, 2.0, 10);
    let test = normalised_correlation(&views(&measured), signal.view()).unwrap();
    let ceilings: Vec<Ceiling> = test.ceiling.ceilings.iter().map(|c| c.unwrap()).collect();
    assert!((mean(ceilings.iter().map(|c| c.signal_power)) - 1.0).abs() < 0.03);
    assert!((mean(ceilings.iter().map(|c| c.r2)) - 0.5).abs() < 0.01);
    assert!((mean(ceilings.iter().map(|c| c.explainable_variance)) - 0.2).abs() < 0.01);
    let reliability = mean(test.ceiling.reliability.iter().map(|r| r.unwrap()));
    assert!((reliability - (5.0f64 * (7.0 / 3.0)).sqrt().recip()).abs() < 0.01, "{reliability}");
    let r = mean(test.r.iter().map(|r| r.unwrap()));
    assert!((r - 0.5f64.sqrt()).abs() < 0.01, "the plain correlation stays below: {r}");
    assert!(test.r_norm.iter().all(|r| (r.unwrap() - 1.0).abs() < 0.1));
    assert!((mean(test.r_norm.iter().map(|r| r.unwrap())) - 1.0).abs() < 0.01);
    assert_eq!(test.n_above_one, test.r_norm.iter().filter(|r| r.unwrap() > 1.0).count());
    assert!(test.n_above_one > 0, "an estimated ceiling is sometimes too low");
}

#[test]
fn noise_alone_has_no_ceiling_for_half_of_the_targets() {
    let (n_samples, n_repeats) = (50, 2);
    let measured = repeats(&Array2::zeros((n_samples, 4000)), n_repeats, 1.0, 20);
    let found = noise_ceiling(&views(&measured)).unwrap();
    let share = found.n_without_ceiling as f64 / 4000.0;
    assert!((share - 0.5).abs() < 4.0 * (0.25f64 / 4000.0).sqrt(), "{share}");
    assert!(found.ceilings.iter().all(|c| c.is_ok() || *c == Err(NoCeiling::SignalPowerNotPositive)));
    // The warning states the standard error that the ceilings show: those above 0 are half of a distribution about 0.
    let [CeilingWarning::FewSamples { null_standard_error, .. }] = found.warnings[..] else {
        panic!("{:?}", found.warnings)
    };
    let spread = mean(found.ceilings.iter().flatten().map(|c| c.explainable_variance.powi(2))).sqrt();
    assert!((spread / null_standard_error - 1.0).abs() < 0.06, "{spread} {null_standard_error}");
}

#[test]
fn few_samples_are_reported_by_the_stated_rule() {
    let warned = |n_samples: usize, n_repeats: u64| {
        let signal = noise(n_samples, 2, 3);
        !noise_ceiling(&views(&repeats(&signal, n_repeats, 0.1, 30))).unwrap().warnings.is_empty()
    };
    assert!(warned(100, 2) && !warned(102, 2));
    assert!(!warned(84, 4), "a clip of 84 s that closes four runs is enough");
    assert!(warned(10, 4));
}

#[test]
fn targets_without_a_statistic_say_why() {
    let signal = noise(200, 5, 4);
    let mut measured = repeats(&signal, 2, 0.5, 40);
    let mut prediction = signal.clone();
    measured[0].column_mut(1).fill(7.0);
    measured[1].column_mut(1).fill(7.5);
    let opposed = -&measured[0].column(2);
    measured[1].column_mut(2).assign(&opposed);
    prediction.column_mut(3).fill(0.0);
    measured[0].column_mut(4).fill(1.0);
    let test = normalised_correlation(&views(&measured), prediction.view()).unwrap();
    assert!(test.r_norm[0].is_ok());
    assert_eq!(test.r_norm[1], Err(NoCeiling::Constant));
    assert_eq!(test.r_norm[2], Err(NoCeiling::SignalPowerNotPositive));
    assert_eq!(test.r_norm[3], Err(NoCeiling::ConstantPrediction));
    assert!(test.ceiling.ceilings[3].is_ok());
    assert_eq!(test.r_norm[4], Err(NoCeiling::SignalPowerNotPositive), "a dead repeat shares nothing");
    assert_eq!((test.r[1], test.r[2], test.r[3]), (None, None, None));
    assert!(test.r[4].is_some());
    assert_eq!((test.ceiling.reliability[1], test.ceiling.reliability[4]), (None, None));
    assert!((test.ceiling.reliability[2].unwrap() + 1.0).abs() < 1e-6);
    assert_eq!((test.n_absent, test.ceiling.n_without_ceiling), (4, 3));
    assert_eq!(test.ceiling.warnings, [CeilingWarning::ConstantRepeats { n_targets: 1 }]);
    let json = serde_json::to_value(test.ceiling.ceilings[2]).unwrap();
    assert_eq!(json["Err"], "signal-power-not-positive");
}

#[test]
fn bad_input_is_refused() {
    let y = noise(20, 3, 5);
    let error = noise_ceiling(&[y.view()]).unwrap_err();
    assert!(matches!(error, MathError::TooFew { name: "number of repeats", found: 1, expected: 2, .. }), "{error}");
    assert!(matches!(noise_ceiling(&[]), Err(MathError::TooFew { found: 0, .. })));
    assert!(matches!(
        noise_ceiling(&[array![[1.0f32]].view(), array![[1.0f32]].view()]),
        Err(MathError::TooFew { found: 1, .. })
    ));
    let other = noise(19, 3, 5);
    assert!(matches!(noise_ceiling(&[y.view(), other.view()]), Err(MathError::Shape { found: 19, expected: 20, .. })));
    let mut broken = y.clone();
    broken[[4, 2]] = f32::NAN;
    let refused = [
        noise_ceiling(&[y.view(), broken.view()]).unwrap_err(),
        normalised_correlation(&[y.view(), y.view()], broken.view()).unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, MathError::NotFinite { row: 4, column: 2, .. }), "{error}");
    }
    assert!(normalised_correlation(&[y.view(), y.view()], other.view()).is_err());
}

#[test]
fn bytes_do_not_depend_on_the_thread_count() {
    let signal = noise(60, 500, 6);
    let measured = repeats(&signal, 3, 1.0, 60);
    let with = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| normalised_correlation(&views(&measured), signal.view()).unwrap())
    };
    assert_eq!(with(1), with(3));
}

proptest! {
    #[test]
    fn ceilings_ignore_scale_offset_and_order_of_repeats(
        scale in 0.01f32..100.0, offset in -5f32..5.0, n_repeats in 2u64..6, seed in 0u64..500,
    ) {
        let signal = noise(40, 3, seed);
        let measured = repeats(&signal, n_repeats, 1.0, 1000 + seed);
        let mut moved: Vec<Array2<f32>> = measured.iter().map(|y| (y + offset) * scale).collect();
        moved.reverse();
        let a = normalised_correlation(&views(&measured), signal.view()).unwrap();
        let b = normalised_correlation(&views(&moved), signal.view()).unwrap();
        for (a, b) in a.ceiling.ceilings.iter().zip(&b.ceiling.ceilings) {
            // A signal power next to 0 may change its sign with the rounding of the moved data.
            if let (Ok(a), Ok(b)) = (a, b) {
                prop_assert!((a.r2 - b.r2).abs() < 1e-4 && (0.0..=1.0).contains(&a.r2));
                prop_assert!((a.explainable_variance - b.explainable_variance).abs() < 1e-4);
                prop_assert!((a.signal_power - b.signal_power / f64::from(scale * scale)).abs() < 1e-4);
                // Spearman and Brown: the reliability of a mean from that of one repeat.
                let one = a.explainable_variance;
                let n = n_repeats as f64;
                prop_assert!((a.r2 - n * one / (1.0 + (n - 1.0) * one)).abs() < 1e-9);
            }
        }
        for (a, b) in a.r_norm.iter().zip(&b.r_norm) {
            if let (Ok(a), Ok(b)) = (a, b) {
                prop_assert!((a - b).abs() < 1e-3 * (1.0 + a.abs().powi(3)));
            }
        }
    }
}
