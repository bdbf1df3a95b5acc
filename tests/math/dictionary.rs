//! Sparse codes and dictionaries against scikit-learn.

use hebb::math::dictionary::{DictionaryOptions, learn_dictionary};
use hebb::math::lasso::lasso_codes;
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
    }
}
