//! What all targets share: the decomposition of each fold's features, and the maps from targets to predictions that follow.
//!
//! Owns the step from features to maps, in f64 up to the last rounding. The steps that repeat for every block of targets are in
//! `blocks.rs`; which penalties are mapped is decided in `penalties.rs`.

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};

use super::kernel::{FEATURE_CHUNK, SharedKernel, Standard, cross_products, gram_of_columns, gram_of_rows};
use super::penalties::PenaltyBasis;
use super::{CvScore, RidgeForm, RidgeOptions};
use crate::math::MathError;
use crate::math::blas::matmul;
use crate::math::eigen::symmetric_eigen;
use crate::math::folds::Fold;

/// Spread of a prediction within the held-out samples, as a share of its size, below which it does not vary.
const CONSTANT_PREDICTION: f64 = 1e-6;

/// `X'X = V diag(w) V'` or `XX' = U diag(w) U'` of standardised samples.
#[derive(Debug)]
struct Decomposition {
    train: Vec<usize>,
    standard: Standard,
    /// Eigenvalues (rank), negative rounding set to 0.
    values: Array1<f64>,
    /// `U` (n_train x rank) of the dual form, `V` (n_features x rank) of the primal one.
    vectors: Array2<f64>,
    is_dual: bool,
}

impl Decomposition {
    /// Decomposes the samples `train`, and gives the inner products of `held_out` with them where the form has any.
    fn of(
        x: ArrayView2<'_, f32>,
        (train, held_out): (&[usize], &[usize]),
        shared: Option<&SharedKernel>,
        options: &RidgeOptions,
    ) -> Result<(Self, Option<Array2<f64>>), MathError> {
        let is_dual = options.is_dual(train.len(), x.ncols());
        let standard = Standard::of(x, train, options.intercept, options.scale_features);
        let (gram, across) = match (is_dual, shared) {
            (true, Some(shared)) => {
                let (among, across) = shared.cut(train, held_out);
                (among, Some(across))
            }
            (true, None) => {
                let across = cross_products((x, held_out), (x, train), &standard);
                (gram_of_rows(x, train, &standard), Some(across))
            }
            (false, _) => (gram_of_columns(standard.apply(x, train, 0..x.ncols()).view()), None),
        };
        let eigen = symmetric_eigen(gram)?;
        let values = eigen.values.mapv(|w| w.max(0.0));
        Ok((Self { train: train.to_vec(), standard, values, vectors: eigen.vectors, is_dual }, across))
    }

    /// What projects centred targets onto the basis, transposed (n_train x rank): `U`, or `X V`.
    fn projector(&self, x: ArrayView2<'_, f32>) -> Array2<f64> {
        if self.is_dual {
            return self.vectors.clone();
        }
        matmul(self.standard.apply(x, &self.train, 0..x.ncols()).view(), self.vectors.view())
    }

    /// Places the samples `rows` of `samples` in the basis (n_rows x rank).
    fn place(&self, x: ArrayView2<'_, f32>, samples: ArrayView2<'_, f32>, rows: &[usize]) -> Array2<f64> {
        if self.is_dual {
            let across = cross_products((samples, rows), (x, &self.train), &self.standard);
            return matmul(across.view(), self.vectors.view());
        }
        matmul(self.standard.apply(samples, rows, 0..x.ncols()).view(), self.vectors.view())
    }
}

/// The maps from a fold's targets to their predictions at a few penalties, and how all others follow.
#[derive(Debug)]
pub(super) struct FoldMap {
    pub fold: Fold,
    /// Projects the targets fitted on (n_train x rank) where that comes first.
    pub projector: Option<Array2<f32>>,
    /// For each node the map from projected targets, or from the targets themselves, to predictions, one below the other
    /// (n_nodes n_validation x rank or n_train).
    pub maps: Array2<f32>,
    /// Weights of the nodes for every penalty (n_alphas x n_nodes).
    pub weights: Array2<f64>,
}

impl FoldMap {
    /// Decomposes the samples of a fold.
    ///
    /// Two orders of the products give the same predictions: targets are projected onto the basis first, or basis and penalty are
    /// joined into one matrix for each node. The second costs more before the first target and, if the basis is as large as the
    /// fold, less for each; shapes decide.
    pub fn of(
        x: ArrayView2<'_, f32>,
        fold: &Fold,
        shared: Option<&SharedKernel>,
        options: &RidgeOptions,
    ) -> Result<Self, MathError> {
        let (found, across) = Decomposition::of(x, (&fold.train, &fold.validation), shared, options)?;
        let mut evaluation = match across {
            Some(across) => matmul(across.view(), found.vectors.view()),
            None => found.place(x, x, &fold.validation),
        };
        if options.score == CvScore::Pearson {
            centre_within(&mut evaluation);
        }
        let projector = found.projector(x);
        let sizes = Zip::from(&lengths(&evaluation)).and(&lengths(&projector)).map_collect(|e, p| e * p);
        let profiles = Array2::from_shape_fn((options.alphas.len(), sizes.len()), |(alpha, component)| {
            sizes[component] / (found.values[component] + options.alphas[alpha])
        });
        let PenaltyBasis { nodes, weights } = PenaltyBasis::of(&profiles.dot(&profiles.t()));

        let (n_train, n_held_out, rank, n_nodes) = (fold.train.len(), fold.validation.len(), sizes.len(), nodes.len());
        let for_each_target = n_train * rank + n_nodes * n_held_out * rank;
        let joined_for_each = n_nodes * n_held_out * n_train;
        let is_joined = match options.expected_targets {
            None => joined_for_each < for_each_target,
            Some(n) => joined_for_each * (n + rank) < for_each_target * n,
        };
        let projector = projector.mapv(|v| v as f32).as_standard_layout().into_owned();
        let mut maps = Array2::<f32>::zeros((n_nodes * n_held_out, if is_joined { n_train } else { rank }));
        for (node, mut map) in nodes.iter().zip(maps.axis_chunks_iter_mut(Axis(0), n_held_out.max(1))) {
            let weights = found.values.mapv(|w| (w + options.alphas[*node]).recip());
            let weighted = (&evaluation * &weights).mapv(|v| v as f32);
            if is_joined {
                map.assign(&matmul(weighted.view(), projector.t()));
            } else {
                map.assign(&weighted);
            }
        }
        Ok(Self { fold: fold.clone(), projector: (!is_joined).then_some(projector), maps, weights })
    }
}

/// Subtracts from every column its mean, and clears what then is nothing but rounding.
pub(super) fn centre_within(evaluation: &mut Array2<f64>) {
    let before = lengths(evaluation);
    let mean = evaluation.mean_axis(Axis(0)).expect("a fold has samples to score on");
    *evaluation -= &mean;
    let after = lengths(evaluation);
    let whole = before.dot(&before).sqrt();
    if after.dot(&after).sqrt() <= CONSTANT_PREDICTION * whole {
        evaluation.fill(0.0);
    }
}

fn lengths(matrix: &Array2<f64>) -> Array1<f64> {
    let mut power = Array1::<f64>::zeros(matrix.ncols());
    for row in matrix.rows() {
        Zip::from(&mut power).and(&row).for_each(|p, v| *p += v * v);
    }
    power.mapv(f64::sqrt)
}

/// The decomposition of all samples, able to predict new ones and to give coefficients.
///
/// With `Z = projector' Y` (rank x n_targets) and `g` a row of `weights`, predictions are `place(x) diag(g) Z` and coefficients
/// `to_coefficients diag(g) Z`. The eigenvalues are split evenly between the two sides (a factor `sqrt(w + alpha_0)` each way,
/// `alpha_0` the smallest penalty), so that both keep moderate magnitudes in f32.
#[derive(Debug)]
pub(super) struct FullMap {
    found: Decomposition,
    /// The samples fitted on; the dual form needs them for new samples and for coefficients.
    x: Array2<f32>,
    smallest_alpha: f64,
    /// n_samples x rank.
    pub projector: Array2<f32>,
    /// The factor `sqrt(w + alpha_0) / (w + alpha)` of every basis vector at every penalty (n_alphas x rank).
    pub weights: Array2<f32>,
    /// What turns weighted projections into coefficients in the units of the features (n_features x rank), if they are wanted.
    pub to_coefficients: Option<Array2<f32>>,
    /// What turns weighted projections into dual coefficients (n_samples x rank), if they are wanted and the form has them.
    pub to_dual: Option<Array2<f32>>,
}

impl FullMap {
    /// Decomposes all samples.
    pub fn of(
        x: ArrayView2<'_, f32>,
        shared: Option<&SharedKernel>,
        options: &RidgeOptions,
    ) -> Result<Self, MathError> {
        let all: Vec<usize> = (0..x.nrows()).collect();
        let found = Decomposition::of(x, (&all, &[]), shared, options)?.0;
        let projector = found.projector(x).mapv(|v| v as f32).as_standard_layout().into_owned();
        let kept = if found.is_dual { x.to_owned() } else { Array2::zeros((0, x.ncols())) };
        let smallest_alpha = options.alphas[0];
        let weights = Array2::from_shape_fn((options.alphas.len(), found.values.len()), |(alpha, component)| {
            let w = found.values[component];
            ((w + smallest_alpha).sqrt() / (w + options.alphas[alpha])) as f32
        });
        let mut full =
            Self { found, x: kept, smallest_alpha, projector, weights, to_coefficients: None, to_dual: None };
        full.to_coefficients = options.coefficients.then(|| full.coefficient_basis());
        full.to_dual =
            (options.dual_coefficients && full.found.is_dual).then(|| full.balanced(full.found.vectors.clone()));
        Ok(full)
    }

    /// Rows fitted on.
    pub fn rows(&self) -> &[usize] {
        &self.found.train
    }

    /// Mean of each feature, 0 without an intercept.
    pub fn feature_mean(&self) -> &Array1<f64> {
        &self.found.standard.mean
    }

    fn balanced(&self, mut placed: Array2<f64>) -> Array2<f32> {
        for mut row in placed.rows_mut() {
            Zip::from(&mut row).and(&self.found.values).for_each(|v, w| *v /= (w + self.smallest_alpha).sqrt());
        }
        placed.mapv(|v| v as f32).as_standard_layout().into_owned()
    }

    /// Places new samples (n_samples x n_features) in the basis (n_samples x rank).
    pub fn place(&self, samples: ArrayView2<'_, f32>) -> Array2<f32> {
        let rows: Vec<usize> = (0..samples.nrows()).collect();
        self.balanced(self.found.place(self.x.view(), samples, &rows))
    }

    fn coefficient_basis(&self) -> Array2<f32> {
        let standard = &self.found.standard;
        if !self.found.is_dual {
            let mut basis = self.found.vectors.clone();
            basis.rows_mut().into_iter().zip(&standard.scale).for_each(|(mut row, scale)| row /= *scale);
            return self.balanced(basis);
        }
        let n_features = self.x.ncols();
        let mut basis = Array2::<f32>::zeros((n_features, self.found.values.len()));
        // In pieces, since a wide copy of all features would be the largest thing in memory.
        for (piece, mut rows) in basis.axis_chunks_iter_mut(Axis(0), FEATURE_CHUNK).enumerate() {
            let columns = piece * FEATURE_CHUNK..piece * FEATURE_CHUNK + rows.nrows();
            let wide = standard.apply(self.x.view(), &self.found.train, columns.clone());
            let mut product = matmul(wide.t(), self.found.vectors.view());
            for (mut row, column) in product.rows_mut().into_iter().zip(columns) {
                row /= standard.scale[column];
            }
            rows.assign(&self.balanced(product));
        }
        basis
    }
}

/// The kernel of all samples, if any fold needs one and all may share it.
pub(super) fn shared_kernel(x: ArrayView2<'_, f32>, folds: &[Fold], options: &RidgeOptions) -> Option<SharedKernel> {
    let sizes = folds.iter().map(|fold| fold.train.len()).chain([x.nrows()]);
    let is_needed = sizes.into_iter().any(|n_train| options.is_dual(n_train, x.ncols()));
    // Scaled by their deviation within a fold, features have another kernel in every fold.
    (is_needed && !options.scale_features).then(|| SharedKernel::of(x, options.intercept))
}

impl RidgeOptions {
    pub(super) fn is_dual(&self, n_train: usize, n_features: usize) -> bool {
        match self.form {
            RidgeForm::Auto => n_features > n_train,
            RidgeForm::Primal => false,
            RidgeForm::Dual => true,
        }
    }
}
