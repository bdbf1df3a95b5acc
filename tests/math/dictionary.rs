//! Sparse codes, dictionaries and principal components against scikit-learn, projections against NumPy.

use hebb::math::dictionary::{DictionaryOptions, learn_dictionary, learn_dictionary_from};
use hebb::math::lasso::lasso_codes;
use hebb::math::projection::{ProjectionWarning, pca, project};
use ndarray::Array2;
use serde::Deserialize;

use super::{matrix, relative_error, table};

#[derive(Deserialize)]
struct Penalties {
    penalties: Vec<f64>,
}

#[test]
fn lasso_codes_equal_scikit_learn() {
    let (patterns, samples): (Array2<f32>, Array2<f32>) = (matrix("lasso_patterns"), matrix("lasso_samples"));
    for (index, penalty) in table::<Penalties>("lasso").penalties.into_iter().enumerate() {
        let expected: Array2<f32> = matrix(&format!("lasso_codes_{index}"));
        let found = lasso_codes(samples.view(), patterns.view(), penalty).unwrap();
        let error = relative_error(&found.codes, expected.view());
        println!("penalty {penalty}: relative error {error:.1e}");
        assert!(error < 1e-5, "{penalty}: {error}");
        assert_eq!(found.n_unconverged, 0);
    }
}

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    n_patterns: usize,
    penalty: f64,
    batch_objective: f64,
    minibatch_objective: f64,
}

/// The fixture's objective is that of columns scaled to unit norm.
#[test]
fn objective_is_no_worse_than_scikit_learn() {
    let series: Array2<f32> = matrix("dictionary_series");
    for case in table::<Cases>("dictionary").cases {
        let options =
            DictionaryOptions { n_patterns: case.n_patterns, penalty: case.penalty, ..DictionaryOptions::default() };
        let found = learn_dictionary(series.view(), &options).unwrap();
        let objective = found.objective.last().unwrap() / series.nrows() as f64;
        let (batch, minibatch) = (objective / case.batch_objective, objective / case.minibatch_objective);
        println!(
            "{} patterns, penalty {}: {:.4} of batch, {:.4} of minibatch, {} epochs",
            case.n_patterns,
            case.penalty,
            batch,
            minibatch,
            found.objective.len() - 1
        );
        assert!(batch < 1.01 && minibatch < 1.01, "{batch} {minibatch}");
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
        let again = learn_dictionary_from(series.view(), found.patterns.view(), &options).unwrap();
        let warm = again.objective.last().unwrap() / found.objective.last().unwrap();
        println!("  from its own patterns: {warm:.8} after {} epochs", again.objective.len() - 1);
        assert!(warm < 1.0 + 3e-7 && again.objective.len() <= 3);
    }
}

#[derive(Deserialize)]
struct Linear {
    components: Vec<Components>,
    projection: Rank,
}

#[derive(Deserialize)]
struct Components {
    name: String,
    ratio: Vec<f64>,
}

#[derive(Deserialize)]
struct Rank {
    rank: usize,
}

/// More time points than units, and fewer.
#[test]
fn components_equal_scikit_learn() {
    for Components { name, ratio } in table::<Linear>("components").components {
        let series: Array2<f32> = matrix(&format!("components_{name}_series"));
        let found = pca(series.view(), ratio.len()).unwrap();
        let patterns: Array2<f32> = matrix(&format!("components_{name}_patterns"));
        let codes: Array2<f32> = matrix(&format!("components_{name}_codes"));
        let error = relative_error(&found.patterns, patterns.view()).max(relative_error(&found.codes, codes.view()));
        let share = found.power_share.iter().zip(&ratio).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
        println!("{name}: relative error {error:.1e}, of the shares {share:.1e}");
        assert!(error < 1e-5 && share < 1e-9, "{error} {share}");
    }
}

/// One pattern is half of another, one has no unit.
#[test]
fn projection_equals_the_pseudo_inverse_of_numpy() {
    let (series, codes): (Array2<f32>, Array2<f32>) = (matrix("projection_series"), matrix("projection_codes"));
    let expected: Array2<f32> = matrix("projection_patterns");
    let Rank { rank } = table::<Linear>("components").projection;
    let found = project(series.view(), codes.view()).unwrap();
    let error = relative_error(&found.patterns, expected.view());
    println!("relative error {error:.1e}");
    assert!(error < 1e-6, "{error}");
    assert_eq!(found.warnings, [ProjectionWarning::RankDeficient { rank, n_patterns: codes.nrows() }]);
}
