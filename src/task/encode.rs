//! Predicts every voxel of a subject from patterns or from the units of one layer, and scores the prediction on test runs.
//!
//! Rows are the volumes that both sides use: a volume that the study trims or that the preparation dropped is in neither.
//! A voxel without variance in any run is dropped and counted; it has no row in `scores.tsv`.

use super::{
    Compute, Kind, TaskError, Workbench, bold, joined,
    pattern::{Features, read_patterns, used_series},
};
use crate::{
    format::{
        npy::{read_matrix, write_matrix},
        tsv::{MISSING, Table},
    },
    math::{
        folds::{Fold, contiguous_blocks, leave_one_run_out},
        ridge::{AlphaChoice, CvScore, Ridge, RidgeOptions, RidgeWarning},
        scores::{pearson_columns, r2_columns},
    },
    spec::written::{Blocks, Folds},
};
use ndarray::{Array2, Axis, s};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Scores of every voxel that was fitted: `voxel` is a row of the mask's `voxels.tsv`.
pub const SCORES: &str = "scores.tsv";
/// Weights (features x scored voxels), where they are kept.
pub const WEIGHTS: &str = "weights.npy";
/// How the fit went.
pub const FACTS: &str = "encode.json";

/// One fit. Inputs `bold` are the subject's runs in the study's order; features are the input `patterns`, or inputs
/// `series`, one module in the study's order of runs.
#[derive(Debug, Serialize)]
pub struct Encode {
    /// What voxels are predicted from.
    pub features: EncodeFeatures,
    /// How.
    #[serde(rename = "encoding.ridge")]
    pub ridge: RidgeParameters,
    /// Runs, the first of which are for training.
    pub n_train_runs: usize,
    /// Volumes left out on both sides of a held-out block.
    pub gap_tr: usize,
    /// Volumes of all runs.
    #[serde(skip)] // follows from the inputs
    pub n_samples: usize,
    /// Features.
    #[serde(skip)] // follows from the inputs
    pub n_features: usize,
    /// Voxels of the brain.
    #[serde(skip)] // follows from the inputs
    pub n_voxels: usize,
}

/// What voxels are predicted from.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncodeFeatures {
    /// All patterns of a model; the weights are kept.
    Patterns,
    /// The units of one layer.
    Layer {
        /// First column of the module's series.
        first_unit: usize,
        /// Number of columns.
        n_units: usize,
    },
}

/// The parameters of the regression.
#[derive(Clone, Debug, Serialize)]
pub struct RidgeParameters {
    /// Penalties, ascending.
    pub alphas: Vec<f64>,
    /// Whether each voxel has its own.
    pub alpha: AlphaChoice,
    /// How training runs are held out in turn.
    pub folds: Folds,
    /// What penalties are compared by.
    pub score: CvScore,
}

/// How the fit went, as the artifact keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EncodeFacts {
    pub(super) n_train_samples: usize,
    pub(super) n_test_samples: usize,
    pub(super) n_features: usize,
    pub(super) n_voxels: usize,
    pub(super) n_dropped_voxels: usize,
}

impl Compute for Encode {
    const KIND: Kind = Kind::Encode;

    fn memory_bytes(&self) -> u64 {
        let (samples, features, voxels) = (self.n_samples, self.n_features, self.n_voxels);
        // Voxel series, joined and split; features in f32 and f64; a square factor for each fold in f64; weights.
        let factors = 4 * samples.min(features).pow(2) * 8;
        (2 * samples * voxels * 4 + samples * features * 16 + factors + features.min(4096) * voxels * 4) as u64
            + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let brain = Brain::read(bench.inputs("bold"))?;
        let rows = self.features(bench)?.aligned_with(&brain)?;
        let n_train = rows.run_of_row.iter().filter(|run| **run < self.n_train_runs).count();
        if n_train == 0 || n_train == rows.run_of_row.len() {
            return Err(TaskError::Unanswerable(
                "no volume is left in the training runs or in the test runs".to_owned(),
            ));
        }
        if !brain.dropped.is_empty() {
            bench.warn(
                "dropped-voxels",
                format!(
                    "{} of {} voxels do not vary in every run and were dropped",
                    brain.dropped.len(),
                    brain.n_voxels
                ),
            );
        }
        bench.step(0, 3)?;

        let keep_weights = matches!(self.features, EncodeFeatures::Patterns);
        let options = RidgeOptions {
            alphas: self.ridge.alphas.clone(),
            alpha_choice: self.ridge.alpha,
            score: self.ridge.score,
            coefficients: keep_weights,
            ..RidgeOptions::default()
        };
        let folds = self.folds(&rows.run_of_row[..n_train])?;
        let (x_train, x_test) = (rows.x.slice(s![..n_train, ..]), rows.x.slice(s![n_train.., ..]));
        let (y_train, y_test) = (rows.y.slice(s![..n_train, ..]), rows.y.slice(s![n_train.., ..]));
        let ridge = Ridge::factorise(x_train, &folds, options)?;
        bench.step(1, 3)?;
        let (fit, prediction) = ridge.fit_predict(y_train, x_test)?;
        bench.step(2, 3)?;
        for warning in &fit.warnings {
            match warning {
                RidgeWarning::AlphaAtGridEdge { n_at_smallest, n_at_largest } => bench.warn(
                    "alpha-at-edge",
                    format!(
                        "{n_at_smallest} of {} voxels chose the smallest penalty and {n_at_largest} the largest; voxels without signal \
                         choose the largest, but if predicted voxels lie at an edge, widen `alphas`",
                        brain.kept.len()
                    ),
                ),
                RidgeWarning::UnscoredTargets { n_targets } => {
                    bench.warn("unscored-voxels", format!("{n_targets} voxels are constant in every fold, so no penalty could be chosen"));
                }
            }
        }

        let r = pearson_columns(y_test, prediction.view())?;
        let r2 = r2_columns(y_test, prediction.view())?;
        let mut scores = Table::new(["voxel", "r", "r2", "alpha"]);
        for (column, voxel) in brain.kept.iter().enumerate() {
            let alpha = fit.best_alpha[column].map(|index| self.ridge.alphas[index]);
            scores.push([voxel.to_string(), cell(r[column]), cell(r2[column]), cell(alpha)]);
        }
        scores.write(&bench.out.join(SCORES))?;
        if let Some(weights) = &fit.coefficients {
            write_matrix(&bench.out.join(WEIGHTS), weights.view())?;
        }
        bench.write_json(
            FACTS,
            &EncodeFacts {
                n_train_samples: n_train,
                n_test_samples: rows.run_of_row.len() - n_train,
                n_features: rows.x.ncols(),
                n_voxels: brain.kept.len(),
                n_dropped_voxels: brain.dropped.len(),
            },
        )
    }
}

impl Encode {
    fn features(&self, bench: &Workbench<'_>) -> Result<Features, TaskError> {
        match self.features {
            EncodeFeatures::Patterns => read_patterns(bench.input("patterns")),
            EncodeFeatures::Layer { first_unit, n_units } => {
                let mut samples = Vec::new();
                let mut parts = Vec::new();
                for (run, artifact) in bench.inputs("series").iter().enumerate() {
                    let used = used_series(std::slice::from_ref(artifact))?;
                    samples.extend(used.volumes.iter().map(|volume| (run, *volume)));
                    parts.push(used.series.slice(s![.., first_unit..first_unit + n_units]).to_owned());
                }
                Ok(Features { matrix: joined(Axis(0), &parts)?, samples })
            }
        }
    }

    fn folds(&self, run_of_row: &[usize]) -> Result<Vec<Fold>, TaskError> {
        Ok(match self.ridge.folds {
            Folds::Runs => leave_one_run_out(run_of_row)?,
            Folds::Blocks(Blocks { n, .. }) => contiguous_blocks(run_of_row.len(), n, self.gap_tr)?,
        })
    }
}

/// A subject's prepared runs.
pub(super) struct Brain {
    /// Each run: kept volumes and their series, columns as in `kept`.
    runs: Vec<(Vec<usize>, Array2<f32>)>,
    /// Voxels that vary in every run, as rows of `voxels.tsv`.
    pub(super) kept: Vec<usize>,
    dropped: BTreeSet<usize>,
    n_voxels: usize,
}

/// Features and voxels in the same volumes.
pub(super) struct Rows {
    pub(super) x: Array2<f32>,
    pub(super) y: Array2<f32>,
    pub(super) run_of_row: Vec<usize>,
}

impl Brain {
    pub(super) fn read(artifacts: &[PathBuf]) -> Result<Self, TaskError> {
        let mut dropped = BTreeSet::new();
        for artifact in artifacts {
            let facts = bold::facts(artifact)?;
            dropped.extend(facts.constant.into_iter().chain(facts.non_finite));
        }
        let mut runs = Vec::with_capacity(artifacts.len());
        let (mut kept, mut n_voxels) = (Vec::new(), 0);
        for artifact in artifacts {
            let series = read_matrix(&artifact.join(bold::BOLD))?;
            n_voxels = series.ncols();
            kept = (0..n_voxels).filter(|voxel| !dropped.contains(voxel)).collect();
            let series = if dropped.is_empty() { series } else { series.select(Axis(1), &kept) };
            runs.push((bold::kept_volumes(artifact)?, series));
        }
        if kept.is_empty() {
            return Err(TaskError::Unanswerable(format!(
                "none of {n_voxels} voxels varies in every run, so there is nothing to predict"
            )));
        }
        Ok(Self { runs, kept, dropped, n_voxels })
    }
}

impl Features {
    /// The rows whose volume both sides have, in the order of runs and volumes.
    pub(super) fn aligned_with(self, brain: &Brain) -> Result<Rows, TaskError> {
        let (mut x_rows, mut run_of_row, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for (run, (volumes, series)) in brain.runs.iter().enumerate() {
            let mut y_rows = Vec::new();
            for (row, (of_run, volume)) in self.samples.iter().enumerate() {
                if *of_run == run
                    && let Ok(place) = volumes.binary_search(volume)
                {
                    x_rows.push(row);
                    y_rows.push(place);
                    run_of_row.push(run);
                }
            }
            parts.push(series.select(Axis(0), &y_rows));
        }
        Ok(Rows { x: self.matrix.select(Axis(0), &x_rows), y: joined(Axis(0), &parts)?, run_of_row })
    }
}

/// A number as TSV tables hold it; an absent one is `n/a`.
pub(super) fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| value.to_string())
}

/// Rows of `voxels.tsv`, each with its value if it has one.
pub(super) type VoxelValues = Vec<(usize, Option<f64>)>;

/// Voxel and score of every row of an artifact's scores.
pub(super) fn read_scores(artifact: &Path) -> Result<VoxelValues, TaskError> {
    let table = Table::read(&artifact.join(SCORES))?;
    let voxels = table
        .integers("voxel")?
        .into_iter()
        .map(|voxel| voxel.and_then(|voxel| usize::try_from(voxel).ok()).unwrap_or_default());
    Ok(voxels.zip(table.numbers("r")?).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn rows_are_joined_by_run_and_volume() {
        let features = Features {
            matrix: array![[0.0_f32], [1.0], [2.0], [10.0], [11.0]],
            samples: vec![(0, 1), (0, 2), (0, 3), (1, 0), (1, 1)],
        };
        let brain = Brain {
            runs: vec![
                (vec![0, 2, 3], array![[100.0_f32], [102.0], [103.0]]),
                (vec![1, 2], array![[111.0_f32], [112.0]]),
            ],
            kept: vec![0],
            dropped: BTreeSet::new(),
            n_voxels: 1,
        };
        let rows = features.aligned_with(&brain).expect("alignable");
        assert_eq!(rows.x, array![[1.0], [2.0], [11.0]]);
        assert_eq!(rows.y, array![[102.0], [103.0], [111.0]]);
        assert_eq!(rows.run_of_row, [0, 0, 1]);
    }
}
