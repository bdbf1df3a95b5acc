//! The kinds of regression that a study can ask for, as parameters of the task and as what is fitted to some voxels.
//!
//! Owns the step from parameters to the estimators of `math`, and what their caveats mean for a study. Reading voxels and
//! writing results is the task's.

use super::super::{TaskError, Workbench};
use crate::{
    math::{
        banded::{
            BandKernels, BandedFit, BandedOptions, BandedRidge, BandedWarning, Candidates, cross_kernels, split_r2,
        },
        folds::Fold,
        lasso_cv::{LassoAlphas, LassoOptions, LassoWarning, lasso_cv},
        ols::{HeldOutOptions, Noise, OlsOptions, OlsWarning, held_out, ols},
        ridge::{AlphaChoice, CvScore, PlacedSamples, Ridge, RidgeOptions, RidgeWarning},
    },
    spec::written::Folds,
};
use ndarray::{Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How voxels are predicted: the study's table of the same name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regression {
    /// One penalty for all features.
    Ridge(RidgeParameters),
    /// One penalty for each band of features.
    Banded(BandedParameters),
    /// No penalty, t values.
    Ols(OlsParameters),
    /// A penalty that leaves few features.
    Lasso(LassoParameters),
}

/// The parameters of a ridge regression.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

/// The parameters of a banded ridge regression.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BandedParameters {
    /// Penalties, ascending.
    pub alphas: Vec<f64>,
    /// Weights of the bands that are tried.
    pub n_candidates: usize,
    /// Concentrations that they are drawn with.
    pub concentrations: Vec<f64>,
    /// Seed of the draws.
    pub seed: u64,
    /// How training runs are held out in turn.
    pub folds: Folds,
    /// What weights and penalties are compared by.
    pub score: CvScore,
}

/// The parameters of least squares.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OlsParameters {
    /// What is assumed of the noise.
    pub noise: Noise,
}

/// The parameters of a lasso regression.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LassoParameters {
    /// Penalties for each voxel.
    pub n_alphas: usize,
    /// The smallest as a share of the largest.
    pub smallest_share: f64,
    /// How training runs are held out in turn.
    pub folds: Folds,
    /// What penalties are compared by.
    pub score: CvScore,
}

impl Regression {
    /// How training runs are held out in turn, if penalties are chosen.
    pub(super) fn folds(&self) -> Option<Folds> {
        match self {
            Self::Ridge(RidgeParameters { folds, .. })
            | Self::Banded(BandedParameters { folds, .. })
            | Self::Lasso(LassoParameters { folds, .. }) => Some(*folds),
            Self::Ols(_) => None,
        }
    }
}

/// Rows and columns of the features: training rows come first, bands one after another.
pub(super) struct Regressors<'a> {
    pub x: ArrayView2<'a, f32>,
    pub n_train: usize,
    pub run_of_row: &'a [usize],
    pub folds: &'a [Fold],
    /// Columns of each band; all columns are one band where none are told apart.
    pub bands: Vec<usize>,
    pub keep_weights: bool,
    pub n_voxels: usize,
}

impl<'a> Regressors<'a> {
    fn train(&self) -> ArrayView2<'a, f32> {
        self.x.slice_move(s![..self.n_train, ..])
    }

    fn test(&self) -> ArrayView2<'a, f32> {
        self.x.slice_move(s![self.n_train.., ..])
    }

    fn by_band(&self, x: ArrayView2<'a, f32>) -> Vec<ArrayView2<'a, f32>> {
        let mut rest = x;
        self.bands
            .iter()
            .map(|width| {
                let (band, others) = rest.split_at(Axis(1), *width);
                rest = others;
                band
            })
            .collect()
    }
}

/// What was fitted to some voxels.
pub(super) struct Fitted {
    /// Predictions of the test rows (n_test x n_voxels).
    pub prediction: Array2<f32>,
    /// The chosen penalties; absent where there was none to choose.
    pub alphas: Vec<Option<f64>>,
    /// Weights (n_features x n_voxels), if they are kept.
    pub weights: Option<Array2<f32>>,
    /// t values of the weights, where the regression has them.
    pub t_values: Option<Array2<Option<f32>>>,
    /// R2 of every band on the test rows (n_bands x n_voxels).
    pub band_r2: Option<Array2<Option<f64>>>,
}

/// A regression whose features are known and whose voxels are yet to come.
pub(super) enum Fitter<'a> {
    Ridge { ridge: Box<Ridge>, test: PlacedSamples, alphas: &'a [f64] },
    Banded { kernels: BandKernels, cross: Vec<Array2<f64>>, options: BandedOptions },
    Ols { options: OlsOptions },
    Lasso { options: LassoOptions },
}

impl<'a> Fitter<'a> {
    pub fn new(regression: &'a Regression, regressors: &Regressors<'_>) -> Result<Self, TaskError> {
        Ok(match regression {
            Regression::Ridge(parameters) => {
                let options = RidgeOptions {
                    alphas: parameters.alphas.clone(),
                    alpha_choice: parameters.alpha,
                    score: parameters.score,
                    coefficients: regressors.keep_weights,
                    expected_targets: Some(regressors.n_voxels),
                    ..RidgeOptions::default()
                };
                let ridge = Box::new(Ridge::factorise(regressors.train(), regressors.folds, options)?);
                let test = ridge.place(regressors.test())?;
                Self::Ridge { ridge, test, alphas: &parameters.alphas }
            }
            Regression::Banded(parameters) => {
                let (train, test) = (regressors.by_band(regressors.train()), regressors.by_band(regressors.test()));
                let options = BandedOptions {
                    alphas: parameters.alphas.clone(),
                    candidates: Candidates::Dirichlet {
                        n_candidates: parameters.n_candidates,
                        concentrations: parameters.concentrations.clone(),
                        seed: parameters.seed,
                    },
                    score: parameters.score,
                    dual_weights: false,
                };
                let kernels = BandKernels::from_features(&train, true)?;
                Self::Banded { kernels, cross: cross_kernels(&test, &train)?, options }
            }
            Regression::Ols(parameters) => {
                Self::Ols { options: OlsOptions { noise: parameters.noise, ..OlsOptions::default() } }
            }
            Regression::Lasso(parameters) => Self::Lasso {
                options: LassoOptions {
                    alphas: LassoAlphas::Path {
                        n_alphas: parameters.n_alphas,
                        smallest_share: parameters.smallest_share,
                    },
                    score: parameters.score,
                    ..LassoOptions::default()
                },
            },
        })
    }

    /// Voxels that are fitted at once; a regression that decomposes anew for every call takes all.
    pub fn piece(&self, n_voxels: usize) -> usize {
        match self {
            Self::Banded { .. } => n_voxels,
            Self::Ridge { .. } | Self::Ols { .. } | Self::Lasso { .. } => super::PIECE,
        }
    }

    /// Fits voxels (all rows x n_voxels) on the training rows.
    pub fn fit(
        &self,
        regressors: &Regressors<'_>,
        y: ArrayView2<'_, f32>,
        caveats: &mut Caveats,
    ) -> Result<Fitted, TaskError> {
        let y_train = y.slice(s![..regressors.n_train, ..]);
        let y_test = y.slice(s![regressors.n_train.., ..]);
        Ok(match self {
            Self::Ridge { ridge, test, alphas } => {
                let (fit, prediction) = ridge.fit_predict_placed(y_train, test)?;
                fit.warnings.iter().for_each(|warning| caveats.of_ridge(*warning));
                Fitted {
                    prediction,
                    alphas: fit.best_alpha.iter().map(|best| best.map(|index| alphas[index])).collect(),
                    weights: fit.coefficients,
                    t_values: None,
                    band_r2: None,
                }
            }
            Self::Banded { kernels, cross, options } => {
                let banded = BandedRidge::new(kernels, regressors.folds, options.clone())?;
                let views: Vec<ArrayView2<'_, f64>> = cross.iter().map(|matrix| matrix.view()).collect();
                let (fit, prediction) = banded.fit_predict(y_train, &views)?;
                fit.warnings.iter().for_each(|warning| caveats.of_banded(warning));
                let split = split_r2(y_test, prediction.bands.view(), &prediction.intercepts)?;
                Fitted {
                    prediction: prediction.joint(),
                    alphas: chosen_alphas(&fit),
                    weights: None,
                    t_values: None,
                    band_r2: Some(split.bands),
                }
            }
            Self::Ols { options } => {
                let x = regressors.train();
                let runs = &regressors.run_of_row[..regressors.n_train];
                let fit = ols(x, y_train, None, Some(runs), options)?;
                fit.warnings.iter().for_each(|warning| caveats.of_ols(warning));
                // Where features depend on one another, weights are absent and predictions are still those of least squares.
                let n_rows = regressors.run_of_row.len();
                let fold = Fold {
                    train: (0..regressors.n_train).collect(),
                    validation: (regressors.n_train..n_rows).collect(),
                };
                let predicted = held_out(regressors.x, y, &[fold], HeldOutOptions::default())?.predictions;
                Fitted {
                    prediction: predicted.into_iter().flatten().next().expect("one fold was predicted"),
                    alphas: vec![None; y.ncols()],
                    weights: Some(fit.coefficients.estimates.mapv(|estimate| estimate.unwrap_or(0.0))),
                    t_values: Some(fit.coefficients.t_values),
                    band_r2: None,
                }
            }
            Self::Lasso { options } => {
                let found = lasso_cv(regressors.train(), y_train, regressors.folds, options)?;
                found.fit.warnings.iter().for_each(|warning| caveats.of_lasso(warning));
                let prediction = found.fit.predict(regressors.test())?;
                let weights = regressors.keep_weights.then_some(found.fit.coefficients);
                Fitted { prediction, alphas: found.best_alphas, weights, t_values: None, band_r2: None }
            }
        })
    }
}

fn chosen_alphas(fit: &BandedFit) -> Vec<Option<f64>> {
    fit.best.iter().map(|best| best.map(|choice| fit.alphas[choice.alpha])).collect()
}

/// Caveats of all pieces together, told once: counts of voxels add up, what concerns features is said once.
#[derive(Default)]
pub(super) struct Caveats {
    at_smallest: usize,
    at_largest: usize,
    counts: BTreeMap<(&'static str, &'static str), usize>,
    once: BTreeMap<&'static str, String>,
}

impl Caveats {
    fn count(&mut self, code: &'static str, words: &'static str, n: usize) {
        *self.counts.entry((code, words)).or_default() += n;
    }

    fn at_edge(&mut self, n_at_smallest: usize, n_at_largest: usize) {
        self.at_smallest += n_at_smallest;
        self.at_largest += n_at_largest;
    }

    fn unscored(&mut self, n: usize) {
        self.count("unscored-voxels", "voxels are constant in every fold, so no penalty could be chosen", n);
    }

    fn of_ridge(&mut self, warning: RidgeWarning) {
        match warning {
            RidgeWarning::AlphaAtGridEdge { n_at_smallest, n_at_largest } => self.at_edge(n_at_smallest, n_at_largest),
            RidgeWarning::UnscoredTargets { n_targets } => self.unscored(n_targets),
        }
    }

    fn of_banded(&mut self, warning: &BandedWarning) {
        match warning {
            BandedWarning::AlphaAtGridEdge { n_at_smallest, n_at_largest } => {
                self.at_edge(*n_at_smallest, *n_at_largest);
            }
            BandedWarning::UnscoredTargets { n_targets } => self.unscored(*n_targets),
            BandedWarning::BandWithoutVariance { band } => {
                self.once.insert("band-without-variance", format!("band {band} does not vary and predicts nothing"));
            }
            BandedWarning::LowRankBand { band, effective_rank } => {
                let message = format!(
                    "band {band} has an effective rank of {effective_rank:.1}: its units are close to copies of few"
                );
                self.once.insert("low-rank-band", message);
            }
            BandedWarning::ProportionalBands { first, second } => {
                let message = format!(
                    "bands {first} and {second} are copies of each other, so that how they share R2 is arbitrary"
                );
                self.once.insert("proportional-bands", message);
            }
            BandedWarning::SearchStillImproving { mean_gain } => {
                let message = format!(
                    "the last fifth of the weights that were tried still raised the score by {mean_gain:.1e} on average: raise `n_candidates`"
                );
                self.once.insert("search-still-improving", message);
            }
        }
    }

    fn of_ols(&mut self, warning: &OlsWarning) {
        match warning {
            OlsWarning::ColumnsNotEstimable { columns } => {
                let message = format!(
                    "{} of the features are sums of others, so that their weights are not determined: they count as 0 and have no t value",
                    columns.len()
                );
                self.once.insert("rank-deficient", message);
            }
            OlsWarning::ConstantTargets { n_targets } => {
                self.count(
                    "unscored-voxels",
                    "voxels are constant in the training runs and have no t values",
                    *n_targets,
                );
            }
            OlsWarning::ExactFits { n_targets } => {
                self.count(
                    "exact-fits",
                    "voxels are fitted without remainder, so that they have no t values",
                    *n_targets,
                );
            }
            OlsWarning::NonStationary { n_targets } => self.count(
                "trend-in-residuals",
                "voxels have residuals that drift, so that their noise is no first-order autoregression",
                *n_targets,
            ),
            OlsWarning::ContrastsNotEstimable { .. } | OlsWarning::InterceptNotEstimable => {
                self.once.insert("rank-deficient", "the constant is a sum of features".to_owned());
            }
        }
    }

    fn of_lasso(&mut self, warning: &LassoWarning) {
        match warning {
            LassoWarning::AlphaAtGridEdge { n_at_smallest, n_at_largest } => {
                self.at_edge(*n_at_smallest, *n_at_largest);
            }
            LassoWarning::EmptyModels { n_targets } => {
                self.count(
                    "empty-models",
                    "voxels have no feature with a weight and are predicted by their mean",
                    *n_targets,
                );
            }
            LassoWarning::Unconverged { n_in_folds, n_in_refit } => {
                self.count(
                    "lasso-not-converged",
                    "voxels have weights that are less exact than asked for",
                    *n_in_refit,
                );
                let words = "voxels had a fit in some fold that was less exact than asked for";
                self.count("lasso-not-converged", words, *n_in_folds);
            }
            LassoWarning::ConstantFeatures { columns } => {
                let message =
                    format!("{} of the features do not vary in the training runs and have no weight", columns.len());
                self.once.insert("constant-features", message);
            }
            LassoWarning::UnscoredTargets { n_targets } => self.unscored(*n_targets),
        }
    }

    /// Attaches them to the result.
    pub fn tell(self, n_voxels: usize, bench: &Workbench<'_>) {
        let Self { at_smallest, at_largest, counts, once } = self;
        if at_smallest + at_largest > 0 {
            bench.warn(
                "alpha-at-edge",
                format!(
                    "{at_smallest} of {n_voxels} voxels chose the smallest penalty and {at_largest} the largest; voxels without signal \
                     choose the largest, but if predicted voxels lie at an edge, widen the range of penalties"
                ),
            );
        }
        for ((code, words), n) in counts.into_iter().filter(|(_, n)| *n > 0) {
            bench.warn(code, format!("{n} {words}"));
        }
        for (code, message) in once {
            bench.warn(code, message);
        }
    }
}
