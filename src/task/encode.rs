//! Predicts every voxel of a subject from patterns, from the units of a layer or of modules, or from bands of units, and scores the
//! prediction on test runs.
//!
//! Rows are the volumes that both sides use: a volume that the study trims or that the preparation dropped is in neither.
//! A voxel without variance in any run is dropped and counted; it has no row in `scores.tsv`. Voxels are read and fitted in pieces
//! (`encode/rows.rs`); what can be fitted to them is in `encode/regression.rs`.

mod regression;
mod rows;

pub use regression::{BandedParameters, LassoParameters, OlsParameters, Regression, RidgeParameters};
pub(super) use rows::{Brain, Rows};

use self::regression::{Caveats, Fitter, Regressors};
use super::{
    Compute, Kind, TaskError, Workbench,
    evidence::{Asked, Gathering, Permutations},
    groups::Groups,
    joined,
    pattern::{Features, read_patterns, whole_series},
};
use crate::{
    format::{
        npy::write_matrix,
        tsv::{MISSING, Table, read_numbers},
    },
    math::{
        folds::{AllowShuffled, Fold, contiguous_blocks, leave_one_run_out, shuffled},
        reliability::SplitHalf,
        scores::{pearson_columns, r2_columns},
        series::delay_columns,
    },
    spec::written::{Blocks, Folds, Shuffled},
};
use ndarray::{Array2, Axis, s};
use serde::{Deserialize, Serialize};
use std::{
    ops::Range,
    path::{Path, PathBuf},
};

/// Scores of every voxel that was fitted: `voxel` is a row of the mask's `voxels.tsv`.
pub const SCORES: &str = "scores.tsv";
/// Weights (features x scored voxels), where they are kept.
pub const WEIGHTS: &str = "weights.npy";
/// Their t values, where the regression has them; 0 where there is none.
pub const T_VALUES: &str = "t.npy";
/// R2 of every band for every voxel that was fitted, where there are bands.
pub const BANDS: &str = "bands.tsv";
/// How well the map of every pattern comes out again in halves of the training runs.
pub const RELIABILITY: &str = "reliability.tsv";
/// How the fit went.
pub const FACTS: &str = "encode.json";

/// Voxels that are read and fitted at once: enough that products run at their full rate.
const PIECE: usize = 8192;

/// One fit. Inputs `bold` are the subject's runs in the study's order, `groups` says of which network voxels are; features are the
/// inputs `patterns` side by side, or inputs `series`, one module after another, each in the study's order of runs.
#[derive(Debug, Serialize, Deserialize)]
pub struct Encode {
    /// What voxels are predicted from.
    pub features: EncodeFeatures,
    /// How.
    #[serde(rename = "encoding")]
    pub regression: Regression,
    /// Volumes by which units are delayed, each with weights of its own; none where units count as they are.
    pub delays_tr: Vec<usize>,
    /// Volumes of a block of test time.
    pub block_tr: usize,
    /// How predictions are tested, where they are tested here.
    #[serde(flatten)]
    pub permutations: Option<Permutations>,
    /// Runs, the first of which are for training.
    pub n_train_runs: usize,
    /// Volumes left out on both sides of a held-out block.
    pub gap_tr: usize,
    /// Volumes of all runs.
    #[serde(rename = "~n_samples")] // follows from the inputs
    pub n_samples: usize,
    /// Features, delayed ones counted apart.
    #[serde(rename = "~n_features")] // follows from the inputs
    pub n_features: usize,
    /// Voxels of the brain.
    #[serde(rename = "~n_voxels")] // follows from the inputs
    pub n_voxels: usize,
}

/// What voxels are predicted from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncodeFeatures {
    /// All patterns of a model; the weights are kept.
    Patterns,
    /// Components that stand for the units of a layer, or of branches one after another.
    Components,
    /// All units of some modules.
    Modules {
        /// Modules, each with as many inputs `series` as there are runs.
        n_modules: usize,
    },
    /// The units of one layer.
    Layer {
        /// First column of the module's series.
        first_unit: usize,
        /// Number of columns.
        n_units: usize,
    },
    /// Several groups of units, each with a weight of its own.
    Bands {
        /// Modules, each with as many inputs `series` as there are runs.
        n_modules: usize,
        /// Name and number of units of every band, in the order of the modules' columns.
        bands: Vec<(String, usize)>,
    },
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
        let smaller = samples.min(features);
        // Features as they are read, joined and split.
        let of_features = samples * features * 12;
        let (at_once, of_regression) = match &self.regression {
            Regression::Ridge(_) => (voxels.min(PIECE), (8 + 4 * 6) * smaller.pow(2) + 4 * samples * smaller * 8),
            Regression::Banded(_) => {
                let n_bands = if let EncodeFeatures::Bands { bands, .. } = &self.features { bands.len() } else { 1 };
                (voxels, (n_bands + 16) * samples.pow(2) * 8 + n_bands * samples * voxels * 4)
            }
            Regression::Ols(_) => (voxels.min(PIECE), features.pow(2) * 32),
            Regression::Lasso(_) => (voxels.min(PIECE), features.min(6000).pow(2) * 32),
        };
        let kept = if matches!(self.features, EncodeFeatures::Patterns) { 2 * features * voxels * 4 } else { 0 };
        let of_evidence = 8 * (samples / 2).pow(2) * 8;
        (of_features + of_regression + 5 * samples * at_once * 4 + kept + of_evidence) as u64 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let brain = Brain::open(bench.inputs("bold"))?;
        let rows = brain.aligned_with(self.features(bench)?);
        let (n_train, n_voxels) = (rows.n_train(self.n_train_runs), rows.brain.kept.len());
        if n_train == 0 || n_train == rows.run_of_row.len() {
            return Err(TaskError::Unanswerable(
                "no volume is left in the training runs or in the test runs".to_owned(),
            ));
        }
        if rows.brain.n_dropped > 0 {
            let (dropped, all) = (rows.brain.n_dropped, rows.brain.n_voxels);
            bench
                .warn("dropped-voxels", format!("{dropped} of {all} voxels do not vary in every run and were dropped"));
        }
        let folds = self.folds(&rows.run_of_row[..n_train])?;
        if let Some(Folds::Shuffled(_)) = self.regression.folds() {
            let message = "volumes were held out in a random order with their neighbours fitted: penalties are too small if volumes are alike";
            bench.warn("shuffled-folds", message);
        }
        let regressors = Regressors {
            x: rows.x.view(),
            n_train,
            run_of_row: &rows.run_of_row,
            folds: &folds,
            bands: self.bands().iter().map(|(_, n_units)| n_units * self.delays_tr.len().max(1)).collect(),
            keep_weights: matches!(self.features, EncodeFeatures::Patterns),
            n_voxels,
        };
        let groups = Groups::read(bench.input("groups"))?;
        let asked = Asked { block_tr: self.block_tr, has_blocks: true, permutations: self.permutations.as_ref() };
        let mut gathering = Gathering::begin(rows.run_of_row.len() - n_train, groups.n_networks, &asked)?;
        let mut halves = match self.features {
            EncodeFeatures::Patterns => {
                let is_second = halves_of(&rows.run_of_row[..n_train], self.n_train_runs);
                Some(SplitHalf::new(regressors.x.slice(s![..n_train, ..]), &is_second)?)
            }
            _ => None,
        };
        bench.step(0, n_voxels)?;
        let fitter = Fitter::new(&self.regression, &regressors)?;
        let mut found = Results::new(self, n_voxels);
        for piece in rows.pieces(fitter.piece(n_voxels)) {
            let y = rows.voxels(piece.clone())?;
            let fitted = fitter.fit(&regressors, y.view(), &mut found.caveats)?;
            let y_test = y.slice(s![n_train.., ..]);
            if let Some(halves) = &mut halves {
                halves.add(y.slice(s![..n_train, ..]))?;
            }
            let networks = groups.of(&rows.brain.kept[piece.clone()]);
            gathering.add(y_test, fitted.prediction.view(), &networks)?;
            let r = pearson_columns(y_test, fitted.prediction.view())?;
            let r2 = r2_columns(y_test, fitted.prediction.view())?;
            for (column, voxel) in rows.brain.kept[piece.clone()].iter().enumerate() {
                let name = voxel.to_string();
                found.scores.push([name.clone(), cell(r[column]), cell(r2[column]), cell(fitted.alphas[column])]);
                if let Some(split) = &fitted.band_r2 {
                    let of_bands = split.column(column).iter().map(|share| cell(*share)).collect::<Vec<_>>();
                    found.bands.push([vec![name], of_bands].concat());
                }
            }
            found.keep(piece.start, fitted.weights.as_ref(), fitted.t_values.as_ref());
            bench.step(piece.end, n_voxels)?;
        }
        found.write(bench)?;
        if let Some(halves) = halves {
            let mut table = Table::new(["pattern", "reliability"]);
            for (pattern, r) in halves.finish().r.into_iter().enumerate() {
                table.push([pattern.to_string(), cell(r)]);
            }
            table.write(&bench.out.join(RELIABILITY))?;
        }
        gathering.write(&rows.brain.kept, bench)?;
        bench.write_json(
            FACTS,
            &EncodeFacts {
                n_train_samples: n_train,
                n_test_samples: rows.run_of_row.len() - n_train,
                n_features: rows.x.ncols(),
                n_voxels,
                n_dropped_voxels: rows.brain.n_dropped,
            },
        )
    }
}

/// What the pieces gave, joined.
struct Results {
    scores: Table,
    bands: Table,
    weights: Option<Array2<f32>>,
    t_values: Option<Array2<f32>>,
    caveats: Caveats,
    n_voxels: usize,
    has_bands: bool,
}

impl Results {
    fn new(task: &Encode, n_voxels: usize) -> Self {
        let names = ["voxel".to_owned()].into_iter().chain(task.bands().iter().map(|(name, _)| name.clone()));
        let matrix = |is_kept: bool| is_kept.then(|| Array2::zeros((task.n_features, n_voxels)));
        let has_weights = matches!(task.features, EncodeFeatures::Patterns);
        Self {
            scores: Table::new(["voxel", "r", "r2", "alpha"]),
            bands: Table::new(names),
            weights: matrix(has_weights),
            t_values: matrix(has_weights && matches!(task.regression, Regression::Ols(_))),
            caveats: Caveats::default(),
            n_voxels,
            has_bands: !task.bands().is_empty(),
        }
    }

    fn keep(&mut self, start: usize, weights: Option<&Array2<f32>>, t_values: Option<&Array2<Option<f32>>>) {
        if let (Some(kept), Some(weights)) = (&mut self.weights, weights) {
            kept.slice_mut(s![.., start..start + weights.ncols()]).assign(weights);
        }
        if let (Some(kept), Some(t_values)) = (&mut self.t_values, t_values) {
            let part = t_values.mapv(|t| t.unwrap_or(0.0));
            kept.slice_mut(s![.., start..start + part.ncols()]).assign(&part);
        }
    }

    fn write(self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        self.scores.write(&bench.out.join(SCORES))?;
        if self.has_bands {
            self.bands.write(&bench.out.join(BANDS))?;
        }
        for (name, matrix) in [(WEIGHTS, &self.weights), (T_VALUES, &self.t_values)] {
            if let Some(matrix) = matrix {
                write_matrix(&bench.out.join(name), matrix.view())?;
            }
        }
        self.caveats.tell(self.n_voxels, bench);
        Ok(())
    }
}

impl Encode {
    /// Name and units of every band, none where features are one group.
    fn bands(&self) -> &[(String, usize)] {
        if let EncodeFeatures::Bands { bands, .. } = &self.features { bands } else { &[] }
    }

    fn features(&self, bench: &Workbench<'_>) -> Result<Features, TaskError> {
        match self.features {
            EncodeFeatures::Patterns => read_patterns(bench.input("patterns")),
            EncodeFeatures::Components => {
                let parts =
                    bench.inputs("patterns").iter().map(|part| read_patterns(part)).collect::<Result<Vec<_>, _>>()?;
                let (matrices, samples): (Vec<_>, Vec<_>) =
                    parts.into_iter().map(|part| (part.matrix, part.samples)).unzip();
                // Branches of one model have the same volumes.
                let samples = samples.into_iter().next().unwrap_or_default();
                Ok(Features { matrix: joined(Axis(1), &matrices)?, samples })
            }
            EncodeFeatures::Modules { n_modules } => {
                let all = 0..self.n_units();
                unit_features(bench.inputs("series"), n_modules, std::slice::from_ref(&all), &self.delays_tr)
            }
            EncodeFeatures::Layer { first_unit, n_units } => {
                let units = first_unit..first_unit + n_units;
                unit_features(bench.inputs("series"), 1, &[units], &self.delays_tr)
            }
            EncodeFeatures::Bands { n_modules, .. } => {
                let mut first = 0;
                let mut bands = Vec::new();
                for (_, n_units) in self.bands() {
                    bands.push(first..first + n_units);
                    first += n_units;
                }
                unit_features(bench.inputs("series"), n_modules, &bands, &self.delays_tr)
            }
        }
    }

    /// Units, each counted once whatever its delays.
    fn n_units(&self) -> usize {
        self.n_features / self.delays_tr.len().max(1)
    }

    fn folds(&self, run_of_row: &[usize]) -> Result<Vec<Fold>, TaskError> {
        Ok(match self.regression.folds() {
            None => Vec::new(),
            Some(Folds::Runs) => leave_one_run_out(run_of_row)?,
            Some(Folds::Blocks(Blocks { n, .. })) => contiguous_blocks(run_of_row.len(), n, self.gap_tr)?,
            // The study said that they may be: `spec` refuses them without.
            Some(Folds::Shuffled(Shuffled { n, seed })) => shuffled(run_of_row.len(), n, seed, AllowShuffled(true))?,
        })
    }
}

/// Groups of units of a model's modules, one after another, run by run, in the volumes that are used; a group's units at all delays
/// stand side by side.
fn unit_features(
    series: &[PathBuf],
    n_modules: usize,
    groups: &[Range<usize>],
    delays_tr: &[usize],
) -> Result<Features, TaskError> {
    let n_runs = series.len() / n_modules.max(1);
    let (mut samples, mut parts) = (Vec::new(), Vec::new());
    for run in 0..n_runs {
        // Module after module, each with all its runs.
        let of_run: Vec<_> = (0..n_modules).map(|module| series[module * n_runs + run].clone()).collect();
        let whole = whole_series(&of_run)?;
        let in_one_run = vec![0; whole.series.nrows()];
        let group = |units: &Range<usize>| {
            let units = whole.series.slice(s![.., units.clone()]);
            // Delays reach back to volumes that are not used themselves.
            let delayed =
                if delays_tr.is_empty() { units.to_owned() } else { delay_columns(units, &in_one_run, delays_tr)? };
            Ok(delayed.select(Axis(0), &whole.used))
        };
        parts.push(joined(Axis(1), &groups.iter().map(group).collect::<Result<Vec<_>, TaskError>>()?)?);
        samples.extend(whole.used.iter().map(|volume| (run, *volume)));
    }
    Ok(Features { matrix: joined(Axis(0), &parts)?, samples })
}

/// Which half of the training runs each row is in: every other run, or the later half of a single one.
fn halves_of(run_of_row: &[usize], n_runs: usize) -> Vec<bool> {
    match n_runs {
        1 => (0..run_of_row.len()).map(|row| row >= run_of_row.len() / 2).collect(),
        _ => run_of_row.iter().map(|run| run % 2 == 1).collect(),
    }
}

/// The patterns whose maps come out again, by their numbers.
pub(super) fn reliable_patterns(artifact: &Path, least: f64) -> Result<Vec<usize>, TaskError> {
    let reliability = Table::read(&artifact.join(RELIABILITY))?.numbers("reliability")?;
    let is_reliable = |(_, r): &(usize, Option<f64>)| r.is_some_and(|r| r >= least);
    Ok(reliability.into_iter().enumerate().filter(is_reliable).map(|(pattern, _)| pattern).collect())
}

/// A number as TSV tables hold it; an absent one is `n/a`.
pub(super) fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| value.to_string())
}

/// Rows of `voxels.tsv`, each with its value if it has one.
pub(super) type VoxelValues = Vec<(usize, Option<f64>)>;

/// Voxel and score of every row of an artifact's scores.
pub(super) fn read_scores(artifact: &Path) -> Result<VoxelValues, TaskError> {
    read_column(artifact, "r")
}

/// Voxel and a column of every row of an artifact's scores: `r`, `r2` or `alpha`.
pub(super) fn read_column(artifact: &Path, column: &str) -> Result<VoxelValues, TaskError> {
    read_voxel_values(&artifact.join(SCORES), column)
}

/// Voxel and a column of every row of a table.
pub(super) fn read_voxel_values(table: &Path, column: &str) -> Result<VoxelValues, TaskError> {
    let rows = read_numbers(table, ["voxel", column])?;
    Ok(rows.into_iter().map(|[voxel, value]| (voxel.map_or(0, |voxel| voxel as usize), value)).collect())
}
