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

/// The problem is not convex, so that a start in ten may end elsewhere.
#[test]
fn planted_patterns_are_found_up_to_sign() {
    let n_found = (0..10).filter(|&seed| {
        let (series, sources) = planted(80, 300, 6, seed);
        let options = DictionaryOptions { n_patterns: 6, penalty: 0.05, ..DictionaryOptions::default() };
        let found = learn_dictionary(series.view(), &options).unwrap();
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
        let match_ = sources.t().dot(&found.patterns);
        match_.outer_iter().all(|row| row.iter().fold(0.0f32, |m, v| m.max(v.abs())) > 0.98)
    });
    assert!(n_found.count() >= 9);
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

/// Three chunks of time, two blocks of patterns, eleven blocks of units, minibatches that grow.
#[test]
fn bytes_depend_on_the_seed_alone() {
    let (series, _) = planted(1100, 700, 24, 5);
    let with = |n_threads: usize, seed: u64| {
        let options = DictionaryOptions {
            n_patterns: 20,
            seed,
            batch_size: 130,
            max_epochs: 4,
            tolerance: 1e-9,
            ..DictionaryOptions::default()
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| learn_dictionary(series.view(), &options).unwrap())
    };
    assert_eq!(with(1, 9), with(2, 9));
    assert_eq!(with(1, 9), with(5, 9));
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
    assert!(matches!(with(|o| o.penalty = 0.0), MathError::Parameter { name: "penalty", .. }));
    assert!(matches!(with(|o| o.penalty = -0.1), MathError::Parameter { name: "penalty", .. }));
    assert!(matches!(with(|o| o.penalty = f64::INFINITY), MathError::Parameter { name: "penalty", .. }));
    assert!(matches!(with(|o| o.max_epochs = 0), MathError::Parameter { name: "max_epochs", .. }));
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

/// What is reported after a pass is what the patterns and codes of that moment give by the definition.
#[test]
fn the_objective_of_every_pass_is_that_of_its_patterns_and_codes() {
    let (series, _) = planted(600, 300, 12, 7);
    let units = Units::new(series.view()).unwrap();
    let options = DictionaryOptions { n_patterns: 20, batch_size: 64, ..DictionaryOptions::default() };
    let patterns = first_patterns(&units, &options, &mut ChaCha8Rng::seed_from_u64(0)).unwrap();
    let mut learning = Learning::start(&units, patterns, options.penalty);
    let order: Vec<usize> = (0..300).collect();
    for _ in 0..4 {
        for batch in order.chunks(64) {
            learning.step(batch);
        }
        let fitted = learning.codes.dot(&learning.patterns.mapv(f64::from));
        let error: f64 = units.values.iter().zip(&fitted).map(|(&s, f)| (f64::from(s) - f).powi(2)).sum();
        let direct = 0.5 * error + options.penalty * learning.codes.iter().map(|c| c.abs()).sum::<f64>();
        assert!((learning.objective() / direct - 1.0).abs() < 1e-6, "{} {direct}", learning.objective());
        learning.replace_unused();
    }
}

#[test]
fn learning_from_learned_patterns_ends_at_once() {
    let (series, _) = planted(80, 400, 10, 8);
    let options =
        DictionaryOptions { n_patterns: 10, tolerance: 1e-7, max_epochs: 2000, ..DictionaryOptions::default() };
    let cold = learn_dictionary(series.view(), &options).unwrap();
    assert!(cold.warnings.is_empty(), "{:?}", cold.warnings);
    let warm = learn_dictionary_from(series.view(), cold.patterns.view(), &options).unwrap();
    let (before, after) = (cold.objective.last().unwrap(), warm.objective.last().unwrap());
    assert!(warm.objective.len() <= 3 && cold.objective.len() > 4, "{:?} {:?}", warm.objective, cold.objective);
    // Patterns are rounded to f32, so the start is known to about 1e-7.
    assert!(*after <= before * (1.0 + 3e-7), "{before} {after}");
    // Every step from complete statistics lowers the objective, so no pass ends above the start.
    assert!(warm.objective.iter().all(|value| *value <= before * (1.0 + 3e-7)));
}

#[test]
fn given_patterns_are_the_start_whatever_their_length() {
    let (series, sources) = planted(80, 300, 6, 9);
    let options = DictionaryOptions { n_patterns: 6, penalty: 0.05, max_epochs: 1, ..DictionaryOptions::default() };
    let mut given = &sources * 40.0;
    given.column_mut(2).fill(0.0);
    let found = learn_dictionary_from(series.view(), given.view(), &options).unwrap();
    let match_ = sources.t().dot(&found.patterns);
    assert!(match_.outer_iter().all(|row| row.iter().fold(0.0f32, |m, v| m.max(v.abs())) > 0.95), "{match_:.2}");
    assert!(found.patterns.columns().into_iter().all(|d| d.dot(&d) <= 1.0 + 1e-5));
}

#[test]
fn given_patterns_must_fit_the_series_and_the_options() {
    let (series, sources) = planted(30, 40, 4, 10);
    let options = DictionaryOptions { n_patterns: 4, ..DictionaryOptions::default() };
    let from = |patterns: &Array2<f32>| learn_dictionary_from(series.view(), patterns.view(), &options).unwrap_err();
    assert!(matches!(from(&Array2::zeros((29, 4))), MathError::Shape { found: 29, expected: 30, .. }));
    assert!(matches!(from(&Array2::zeros((30, 5))), MathError::Shape { found: 5, expected: 4, .. }));
    let mut broken = sources.clone();
    broken[[7, 3]] = f32::NAN;
    assert!(matches!(from(&broken), MathError::NotFinite { what: "patterns", row: 7, column: 3, .. }));
}

#[test]
fn what_is_not_finite_is_named_by_row_and_column() {
    let (mut series, _) = planted(90, 200, 4, 11);
    series[[71, 150]] = f32::INFINITY;
    let error = learn_dictionary(series.view(), &DictionaryOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "`series` holds inf at row 71, column 150, expected finite numbers only");
    // Finite numbers whose squares f32 cannot hold are welcome.
    series[[71, 150]] = 1e30;
    assert!(learn_dictionary(series.view(), &DictionaryOptions::default()).is_ok());
}

#[test]
fn there_may_be_more_patterns_than_time_points() {
    let (series, _) = planted(10, 200, 16, 12);
    for init in [DictionaryInit::Components, DictionaryInit::Spread, DictionaryInit::Random] {
        let options = DictionaryOptions { n_patterns: 16, init, ..DictionaryOptions::default() };
        let found = learn_dictionary(series.view(), &options).unwrap();
        let fewer = learn_dictionary(series.view(), &DictionaryOptions { n_patterns: 10, ..options }).unwrap();
        assert!(found.objective.last() < fewer.objective.last());
        assert!((objective(&series, &found) / found.objective.last().unwrap() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn constant_and_repeated_columns_are_coded_like_any() {
    let (mut series, _) = planted(50, 120, 5, 13);
    series.column_mut(3).fill(0.0);
    series.column_mut(4).fill(1.5);
    let copied = series.column(10).to_owned();
    series.column_mut(90).assign(&copied);
    let options = DictionaryOptions { n_patterns: 6, batch_size: 32, ..DictionaryOptions::default() };
    let found = learn_dictionary(series.view(), &options).unwrap();
    assert!(found.codes.column(3).iter().all(|&c| c == 0.0));
    assert!(found.codes.iter().chain(&found.patterns).all(|v| v.is_finite()));
    let apart = &found.codes.column(10) - &found.codes.column(90);
    assert!(apart.iter().all(|d| d.abs() < 1e-4), "{apart}");
    let all = DictionaryOptions { n_patterns: 120, ..options };
    let error = learn_dictionary(series.view(), &all).unwrap_err();
    assert!(matches!(error, MathError::TooMany { found: 120, expected: 119, .. }));
    let constant = learn_dictionary(Array2::zeros((5, 4)).view(), &DictionaryOptions::default()).unwrap_err();
    assert!(matches!(constant, MathError::TooMany { expected: 0, .. }));
    let none = learn_dictionary(Array2::zeros((5, 0)).view(), &DictionaryOptions::default()).unwrap_err();
    assert!(matches!(none, MathError::TooMany { expected: 0, .. }));
}
