//! Scores of two reports side by side: mean held-out r by model, features and network, over subjects.

use crate::format::tsv::{Table, TsvError};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// One score that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ScoreChange {
    pub(super) model: String,
    pub(super) features: String,
    pub(super) network: String,
    /// Absent where there is no such score.
    pub(super) a: Option<f64>,
    pub(super) b: Option<f64>,
}

impl ScoreChange {
    /// B minus A, where both are there.
    pub(super) fn difference(&self) -> Option<f64> {
        Some(self.b? - self.a?)
    }
}

type Scores = BTreeMap<(String, String, String), Option<f64>>;

/// Reads `tables/scores.tsv` of a report.
pub(super) fn read_scores(report: &Path) -> Result<Scores, TsvError> {
    means(&Table::read(&report.join("tables/scores.tsv"))?)
}

/// The mean over subjects for each model, features and network; absent where no subject has one.
fn means(table: &Table) -> Result<Scores, TsvError> {
    let [model, features, network] = [table.require("model")?, table.require("features")?, table.require("network")?];
    let mut sums: BTreeMap<(String, String, String), (f64, usize)> = BTreeMap::new();
    for (row, value) in table.rows().iter().zip(table.numbers("mean_r")?) {
        let key = [model, features, network].map(|column| row[column].clone());
        let (sum, n) = sums.entry(key.into()).or_default();
        *sum += value.unwrap_or_default();
        *n += usize::from(value.is_some());
    }
    Ok(sums.into_iter().map(|(key, (sum, n))| (key, (n > 0).then(|| sum / n as f64))).collect())
}

/// Scores that differ by more than `tolerance`, or that one side lacks.
pub(super) fn score_changes(a: &Scores, b: &Scores, tolerance: f64) -> Vec<ScoreChange> {
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
    let change = |key: &(String, String, String)| ScoreChange {
        model: key.0.clone(),
        features: key.1.clone(),
        network: key.2.clone(),
        a: a.get(key).copied().flatten(),
        b: b.get(key).copied().flatten(),
    };
    let differs = |change: &ScoreChange| match change.difference() {
        Some(difference) => difference.abs() > tolerance,
        None => change.a.is_some() || change.b.is_some(),
    };
    keys.into_iter().map(change).filter(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[[&str; 5]]) -> Scores {
        let mut table = Table::new(["subject", "model", "features", "network", "mean_r"]);
        rows.iter().for_each(|row| table.push(*row));
        means(&table).expect("all columns are there")
    }

    #[test]
    fn only_scores_that_differ_by_more_than_the_tolerance_are_told() {
        let a = table(&[
            ["1", "clip", "patterns", "visual", "0.1"],
            ["2", "clip", "patterns", "visual", "0.3"],
            ["1", "clip", "patterns", "none", "n/a"],
            ["1", "clip", "patterns", "gone", "0.5"],
        ]);
        let b = table(&[
            ["1", "clip", "patterns", "visual", "0.25"],
            ["2", "clip", "patterns", "visual", "n/a"],
            ["1", "clip", "patterns", "none", "n/a"],
            ["1", "clip", "patterns", "come", "0.4"],
        ]);
        let told = |tolerance: f64| {
            score_changes(&a, &b, tolerance).into_iter().map(|one| (one.network, one.a, one.b)).collect::<Vec<_>>()
        };
        let ends = [("come".to_owned(), None, Some(0.4)), ("gone".to_owned(), Some(0.5), None)];
        assert_eq!(told(0.1), ends, "the mean over those subjects that have a score");
        assert_eq!(told(0.0).len(), 3);
        assert_eq!(score_changes(&a, &a, 0.0), []);
    }
}
