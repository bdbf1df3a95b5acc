//! Reduces a model's units to a few time courses, learned on the training runs and carried to all runs.
//!
//! The time courses of *every* run are the projection onto the frozen codes, `S C' (C C')^+`, so that training and test
//! rows are made in one way; for training runs this is the dictionary without its norm constraint. Columns are then brought
//! to mean 0 and standard deviation 1 over the training rows, so that a penalty means the same for every pattern.

use super::{Compute, Kind, TaskError, Workbench, joined, series};
use crate::{
    format::{
        npy::{read_matrix, write_matrix},
        tsv::Table,
    },
    math::{
        dictionary::{DictionaryOptions, DictionaryWarning, learn_dictionary},
        phase::{Phases, phase_randomised},
        projection::{ProjectionWarning, pca, project},
    },
    model::UNITS_FILE,
};
use ndarray::{Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The time courses (samples x patterns): a row for each row of [`SAMPLES`].
pub const PATTERNS: &str = "patterns.npy";
/// The codes (patterns x units): a column for each row of `units.tsv`.
pub const CODES: &str = "codes.npy";
/// Run (numbered from 0, in the study's order) and volume of each row of [`PATTERNS`].
pub const SAMPLES: &str = "samples.tsv";
/// How the learning went.
pub(super) const FACTS: &str = "pattern.json";

/// The patterns of one model, or of a part of it. Inputs `series` are run by run, module by module; `network` the exports of the
/// modules.
#[derive(Debug, Serialize, Deserialize)]
pub struct LearnPatterns {
    /// How units become time courses.
    #[serde(rename = "patterns")]
    pub method: Method,
    /// Seed of the time courses' phases, where they are drawn at random: a control.
    #[serde(rename = "controls.phases", skip_serializing_if = "Option::is_none")]
    pub phases: Option<u64>,
    /// First column and number of columns, where some units of a single module count only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<(usize, usize)>,
    /// Runs, the first of which are for training.
    pub n_train_runs: usize,
    /// Runs in all.
    pub n_runs: usize,
    /// Modules of the model.
    pub n_modules: usize,
    /// Volumes of all runs.
    #[serde(rename = "~n_samples")] // follows from the inputs
    pub n_samples: usize,
    /// Units of all modules.
    #[serde(rename = "~n_units")] // follows from the inputs
    pub n_units: usize,
}

/// How units become time courses.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Online dictionary learning.
    Dictionary {
        /// Number of time courses.
        n_patterns: usize,
        /// Sparsity penalty for unit series of length one.
        penalty: f64,
        /// Seed.
        seed: u64,
        /// Visits of every unit at most.
        max_epochs: usize,
        /// Share of the objective below which learning stops.
        tolerance: f64,
    },
    /// Principal components.
    Pca {
        /// Number of time courses.
        n_patterns: usize,
    },
    /// Every unit is a time course of its own.
    Units {
        /// Number of units.
        n_units: usize,
    },
}

impl Method {
    /// Number of time courses.
    #[must_use]
    pub fn n_patterns(&self) -> usize {
        match self {
            Self::Dictionary { n_patterns, .. } | Self::Pca { n_patterns } => *n_patterns,
            Self::Units { n_units } => *n_units,
        }
    }
}

/// How the learning went, as the artifact keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PatternFacts {
    n_train_samples: usize,
    /// Objective after each epoch, for a dictionary.
    objective: Vec<f64>,
    /// Lambda in the units of the objective, for a dictionary.
    lambda: Option<f64>,
    /// Share of the units' power in each component, for principal components.
    power_share: Vec<f64>,
    /// Mean and standard deviation that each time course had over the training rows.
    pub(super) scale: Vec<(f64, f64)>,
    /// Units that are part of each pattern.
    n_units_of_pattern: Vec<usize>,
}

impl Compute for LearnPatterns {
    const KIND: Kind = Kind::Pattern;

    fn memory_bytes(&self) -> u64 {
        // Series of all runs, the training part again by unit, and the codes.
        (3 * self.n_samples * self.n_units * 4 + 3 * self.method.n_patterns() * self.n_units * 8) as u64 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let used = |modules: &[std::path::PathBuf]| used_series(modules, self.columns);
        let runs = bench.inputs("series").chunks(self.n_modules).map(used).collect::<Result<Vec<_>, _>>()?;
        let (volumes, series): (Vec<_>, Vec<_>) = runs.into_iter().map(|run| (run.volumes, run.series)).unzip();
        let all = joined(Axis(0), &series)?;
        drop(series);
        let n_train: usize = volumes[..self.n_train_runs].iter().map(Vec::len).sum();
        bench.step(0, 2)?;

        let train = all.slice(s![..n_train, ..]);
        let (codes, mut facts) = self.learn(train, bench)?;
        bench.step(1, 2)?;
        let projection = project(all.view(), codes.view())?;
        for warning in &projection.warnings {
            let ProjectionWarning::RankDeficient { rank, n_patterns } = warning;
            bench.warn(
                "dependent-patterns",
                format!(
                    "the codes of {n_patterns} patterns span {rank} dimensions only: some patterns are sums of others"
                ),
            );
        }
        let mut patterns = projection.patterns;
        if let Some(seed) = self.phases {
            let run_of_row: Vec<usize> =
                volumes.iter().enumerate().flat_map(|(run, used)| std::iter::repeat_n(run, used.len())).collect();
            patterns = phase_randomised(patterns.view(), &run_of_row, Phases::Common, seed)?;
        }
        facts.scale = standardise(&mut patterns, n_train);
        facts.n_units_of_pattern =
            codes.rows().into_iter().map(|code| code.iter().filter(|value| **value != 0.0).count()).collect();

        write_matrix(&bench.out.join(PATTERNS), patterns.view())?;
        write_matrix(&bench.out.join(CODES), codes.view())?;
        let mut samples = Table::new(["run", "volume"]);
        for (run, used) in volumes.iter().enumerate() {
            for volume in used {
                samples.push([run.to_string(), volume.to_string()]);
            }
        }
        samples.write(&bench.out.join(SAMPLES))?;
        join_tables(bench.inputs("network"), self.columns)?.write(&bench.out.join(UNITS_FILE))?;
        bench.write_json(FACTS, &facts)
    }
}

impl LearnPatterns {
    fn learn(
        &self,
        train: ArrayView2<'_, f32>,
        bench: &Workbench<'_>,
    ) -> Result<(Array2<f32>, PatternFacts), TaskError> {
        let mut facts = PatternFacts {
            n_train_samples: train.nrows(),
            objective: Vec::new(),
            lambda: None,
            power_share: Vec::new(),
            scale: Vec::new(),
            n_units_of_pattern: Vec::new(),
        };
        match &self.method {
            Method::Units { n_units } => Ok((Array2::eye(*n_units), facts)),
            Method::Pca { n_patterns } => {
                let components = pca(train, *n_patterns)?;
                facts.power_share = components.power_share;
                Ok((components.codes, facts))
            }
            Method::Dictionary { n_patterns, penalty, seed, max_epochs, tolerance } => {
                let options = DictionaryOptions {
                    n_patterns: *n_patterns,
                    penalty: *penalty,
                    seed: *seed,
                    max_epochs: *max_epochs,
                    tolerance: *tolerance,
                    ..DictionaryOptions::default()
                };
                let dictionary = learn_dictionary(train, &options)?;
                for warning in &dictionary.warnings {
                    tell(warning, bench);
                }
                facts.objective = dictionary.objective;
                facts.lambda = Some(dictionary.lambda);
                Ok((dictionary.codes, facts))
            }
        }
    }
}

fn tell(warning: &DictionaryWarning, bench: &Workbench<'_>) {
    match warning {
        DictionaryWarning::NotConverged { n_epochs, relative_change } => {
            let still = relative_change.map_or(String::new(), |change| {
                format!(", and the last lowered the objective by {change:.1e} of itself")
            });
            bench.warn(
                "dictionary-not-converged",
                format!("learning stopped after {n_epochs} epochs{still}: raise `max_epochs` or `tolerance`"),
            );
        }
        DictionaryWarning::CodesNotConverged { n_units } => {
            bench.warn("codes-not-converged", format!("the codes of {n_units} units are less exact than asked for"));
        }
        DictionaryWarning::UnusedPatterns { patterns } => bench.warn(
            "unused-patterns",
            format!("no unit uses {} of the patterns: fewer patterns or a smaller penalty would do", patterns.len()),
        ),
    }
}

/// The unit series of one run, all modules side by side, in the volumes that are used.
pub(super) struct UsedSeries {
    /// Volumes in use, ascending: the rows of `series`.
    pub(super) volumes: Vec<usize>,
    /// Series (volumes x units).
    pub(super) series: Array2<f32>,
}

/// The unit series of one run in all its volumes, all modules side by side.
pub(super) struct WholeSeries {
    /// Series (all volumes x units).
    pub(super) series: Array2<f32>,
    /// Volumes in use, ascending.
    pub(super) used: Vec<usize>,
}

/// Reads the modules of one run.
pub(super) fn whole_series(modules: &[std::path::PathBuf]) -> Result<WholeSeries, TaskError> {
    let used = series::used_volumes(&modules[0])?;
    let parts = modules
        .iter()
        .map(|artifact| Ok(read_matrix(&artifact.join(series::SERIES))?))
        .collect::<Result<Vec<_>, TaskError>>()?;
    Ok(WholeSeries { series: joined(Axis(1), &parts)?, used })
}

/// Reads the modules of one run in the volumes that are in use, all columns or some.
pub(super) fn used_series(
    modules: &[std::path::PathBuf],
    columns: Option<(usize, usize)>,
) -> Result<UsedSeries, TaskError> {
    let WholeSeries { series, used } = whole_series(modules)?;
    let (first, n) = columns.unwrap_or((0, series.ncols()));
    Ok(UsedSeries { series: series.slice(s![.., first..first + n]).select(Axis(0), &used), volumes: used })
}

/// Scales columns to mean 0 and standard deviation 1 over the first `n_train` rows; a constant column becomes 0.
fn standardise(patterns: &mut Array2<f32>, n_train: usize) -> Vec<(f64, f64)> {
    let mut scales = Vec::with_capacity(patterns.ncols());
    for mut column in patterns.columns_mut() {
        let train = || column.iter().take(n_train).map(|value| f64::from(*value));
        let mean = train().sum::<f64>() / n_train as f64;
        let deviation = (train().map(|value| (value - mean).powi(2)).sum::<f64>() / n_train as f64).sqrt();
        let factor = if deviation > 0.0 { deviation.recip() } else { 0.0 };
        column.mapv_inplace(|value| ((f64::from(value) - mean) * factor) as f32);
        scales.push((mean, deviation));
    }
    scales
}

/// The rows of all units' tables, or those of some columns of a single module.
fn join_tables(exports: &[std::path::PathBuf], columns: Option<(usize, usize)>) -> Result<Table, TaskError> {
    let mut joined: Option<Table> = None;
    for export in exports {
        let table = Table::read(&export.join(UNITS_FILE))?;
        let joined = joined.get_or_insert_with(|| Table::new(table.columns().to_vec()));
        let (first, n) = columns.unwrap_or((0, table.n_rows()));
        for row in table.rows().iter().skip(first).take(n) {
            joined.push(row.clone());
        }
    }
    joined.ok_or_else(|| TaskError::Unanswerable("a model without modules has no units".to_owned()))
}

/// Regressors with run and volume of each row.
pub(super) struct Features {
    pub(super) matrix: Array2<f32>,
    pub(super) samples: Vec<(usize, usize)>,
}

/// The time courses of an artifact with run and volume of each row.
pub(super) fn read_patterns(artifact: &Path) -> Result<Features, TaskError> {
    let matrix = read_matrix(&artifact.join(PATTERNS))?;
    let table = Table::read(&artifact.join(SAMPLES))?;
    let samples = table.counts("run")?.into_iter().zip(table.counts("volume")?).collect();
    Ok(Features { matrix, samples })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn time_courses_are_standardised_over_training_rows_alone() {
        let mut patterns = array![[1.0_f32, 2.0], [3.0, 2.0], [9.0, 2.0]];
        assert_eq!(standardise(&mut patterns, 2), [(2.0, 1.0), (2.0, 0.0)]);
        assert_eq!(patterns, array![[-1.0, 0.0], [1.0, 0.0], [7.0, 0.0]]);
    }
}
