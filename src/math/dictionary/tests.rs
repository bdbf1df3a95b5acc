use super::*;
use ndarray::{Array, array};
use rand_distr::{Distribution, StandardNormal};

/// Units that mix one or two of `n_sources` random time courses, with a little noise.
fn planted(n_tr: usize, n_units: usize, n_sources: usize, seed: u64) -> (Array2<f32>, Array2<f32>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
    let mut sources = Array::from_shape_simple_fn((n_tr, n_sources), &mut normal);
    for mut source in sources.columns_mut() {
        let norm = source.dot(&source).sqrt();
        source /= norm;
    }
    let mut codes = Array2::zeros((n_sources, n_units));
    for i in 0..n_units {
        codes[[i % n_sources, i]] = 2.0 + normal().abs();
        codes[[(i * 7 + 3) % n_sources, i]] += 0.5 * normal();
    }
    let noise = Array::from_shape_simple_fn((n_tr, n_units), &mut normal);
    (sources.dot(&codes) + noise * 0.01, sources)
}

fn power_of(series: ArrayView2<'_, f32>) -> f64 {
    series.iter().map(|&v| f64::from(v).powi(2)).sum()
}

fn objective(series: &Array2<f32>, found: &Dictionary) -> f64 {
    let residual = series - &found.patterns.dot(&found.codes);
    let l1: f64 = found.codes.iter().map(|c| f64::from(c.abs())).sum();
    0.5 * power_of(residual.view()) + found.lambda * l1
}

#[test]
fn planted_patterns_are_found_up_to_sign() {
    let (series, sources) = planted(80, 300, 6, 1);
    let options = DictionaryOptions { n_patterns: 6, penalty: 0.05, ..DictionaryOptions::default() };
    let found = learn_dictionary(series.view(), &options).unwrap();
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    let match_ = sources.t().dot(&found.patterns);
    for row in match_.outer_iter() {
        assert!(row.iter().fold(0.0f32, |m, v| m.max(v.abs())) > 0.98);
    }
}

#[test]
fn objective_falls_and_equals_its_definition() {
    let (series, _) = planted(50, 200, 9, 2);
    for init in [DictionaryInit::Components, DictionaryInit::Spread, DictionaryInit::Random] {
        let options =
            DictionaryOptions { n_patterns: 5, penalty: 0.2, init, batch_size: 40, ..DictionaryOptions::default() };
        let found = learn_dictionary(series.view(), &options).unwrap();
        for pair in found.objective.windows(2) {
            assert!(pair[1] <= pair[0] * (1.0 + 1e-6), "{:?}", found.objective);
        }
        let last = found.objective.last().unwrap();
        assert!((objective(&series, &found) / last - 1.0).abs() < 1e-5);
        let mean_power = power_of(series.view()) / 200.0;
        assert!((found.lambda - 0.2 * mean_power.sqrt()).abs() < 1e-9);
    }
}

#[test]
fn patterns_stay_in_the_unit_ball_and_codes_sum_to_a_positive_number() {
    let (series, _) = planted(40, 150, 5, 3);
    let options = DictionaryOptions { n_patterns: 7, ..DictionaryOptions::default() };
    let found = learn_dictionary(series.view(), &options).unwrap();
    for (pattern, code) in found.patterns.columns().into_iter().zip(found.codes.rows()) {
        assert!(pattern.dot(&pattern) <= 1.0 + 1e-5);
        assert!(code.sum() > 0.0 || code.iter().all(|&c| c == 0.0));
    }
    let strength: Vec<f32> = found.codes.rows().into_iter().map(|c| c.dot(&c)).collect();
    assert!(strength.windows(2).all(|w| w[0] >= w[1] * (1.0 - 1e-5)));
}

#[test]
fn scaling_the_series_scales_the_codes_alone() {
    let (series, _) = planted(40, 120, 4, 4);
    let options = DictionaryOptions { n_patterns: 4, ..DictionaryOptions::default() };
    let one = learn_dictionary(series.view(), &options).unwrap();
    // A power of two leaves every rounding as it is.
    let eight = learn_dictionary((&series * 8.0).view(), &options).unwrap();
    assert_eq!(one.patterns, eight.patterns);
    assert_eq!(&one.codes * 8.0, eight.codes);
}

#[test]
fn bytes_depend_on_the_seed_alone() {
    let (series, _) = planted(60, 500, 8, 5);
    let with = |n_threads: usize, seed: u64| {
        let options = DictionaryOptions { n_patterns: 8, seed, max_epochs: 5, ..DictionaryOptions::default() };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| learn_dictionary(series.view(), &options).unwrap())
    };
    assert_eq!(with(1, 9), with(2, 9));
    assert_ne!(with(1, 9).codes, with(1, 10).codes);
}

#[test]
fn a_penalty_of_one_leaves_every_pattern_unused() {
    let series = array![[1.0f32, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, -1.0, 1.0]];
    let series = series.mapv(|v| v / 2.0f32.sqrt());
    let options = DictionaryOptions { n_patterns: 2, penalty: 1.1, ..DictionaryOptions::default() };
    let found = learn_dictionary(series.view(), &options).unwrap();
    assert!(found.codes.iter().all(|&c| c == 0.0));
    assert!(found.warnings.contains(&DictionaryWarning::UnusedPatterns { patterns: vec![0, 1] }));
}

#[test]
fn too_few_epochs_are_reported() {
    let (series, _) = planted(40, 120, 6, 6);
    let options = DictionaryOptions { n_patterns: 3, max_epochs: 2, tolerance: 1e-12, ..DictionaryOptions::default() };
    let found = learn_dictionary(series.view(), &options).unwrap();
    assert!(matches!(found.warnings[..], [DictionaryWarning::NotConverged { n_epochs: 2, .. }]));
    assert_eq!(found.objective.len(), 3);
    let once = DictionaryOptions { max_epochs: 1, ..options };
    let found = learn_dictionary(series.view(), &once).unwrap();
    let expected = DictionaryWarning::NotConverged { n_epochs: 1, relative_change: None };
    assert_eq!(found.warnings, [expected]);
}

#[test]
fn impossible_requests_are_refused() {
    let series = array![[1.0f32, 0.0, 2.0], [1.0, 0.0, -1.0]];
    let with = |change: fn(&mut DictionaryOptions)| {
        let mut options = DictionaryOptions { n_patterns: 2, ..DictionaryOptions::default() };
        change(&mut options);
        learn_dictionary(series.view(), &options).unwrap_err()
    };
    assert_eq!(
        with(|o| o.n_patterns = 3).to_string(),
        "`number of patterns` is 3, expected 2 at most: there are no more units that vary"
    );
    assert!(matches!(with(|o| o.n_patterns = 0), MathError::Empty { .. }));
    assert!(matches!(with(|o| o.penalty = 0.0), MathError::Parameter { .. }));
    assert!(matches!(with(|o| o.batch_size = 0), MathError::Parameter { .. }));
    assert!(matches!(with(|o| o.tolerance = f64::NAN), MathError::Parameter { .. }));
}

#[test]
fn copies_of_one_unit_suffice_to_start() {
    let column = [1.0f32, -2.0, 0.5, 3.0];
    let series = Array2::from_shape_fn((4, 10), |(t, _)| column[t]);
    let options = DictionaryOptions { n_patterns: 3, ..DictionaryOptions::default() };
    assert!(learn_dictionary(series.view(), &options).is_ok());
}
