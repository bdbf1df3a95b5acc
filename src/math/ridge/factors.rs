//! The decomposition of one set of samples, shared by all targets and penalties.
//!
//! Owns the step from features to factors in f64; the per-target steps that consume the factors are in `blocks.rs`.

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};

use super::{RidgeForm, RidgeOptions};
use crate::math::MathError;
use crate::math::blas::matmul;
use crate::math::eigen::symmetric_eigen;

/// What a penalised solution needs of the features on one set of samples.
///
/// With `Z = projector' Y` (rank x n_targets) and `g = weights(alpha)`, the prediction of the evaluated samples is
/// `evaluation diag(g) Z`, and the coefficients are `to_coefficients diag(g) Z`. The eigenvalues are split evenly between
/// `evaluation` and the weights (a factor `sqrt(w + alpha_0)` each way, `alpha_0` the smallest penalty), so that
/// both keep moderate magnitudes in f32.
#[derive(Debug)]
pub(super) struct Factors {
    /// Rows fitted on.
    pub train: Vec<usize>,
    /// Eigenvalues of the Gram matrix (rank), negative rounding set to 0.
    values: Array1<f64>,
    smallest_alpha: f64,
    /// `X V` (primal) or `U` (dual), n_train x rank.
    pub projector: Array2<f32>,
    /// Evaluated samples in the basis (n_evaluated x rank), divided by `sqrt(w + alpha_0)`; empty for a refit.
    pub evaluation: Array2<f32>,
    /// The basis in feature space and what centres new samples; only for a refit.
    pub refit: Option<RefitBasis>,
}

/// The basis of a refit, able to place new samples and to give coefficients.
#[derive(Debug)]
pub(super) struct RefitBasis {
    /// `V` (primal) or `X'U` (dual) in units of scaled features (n_features x rank).
    basis: Array2<f64>,
    pub feature_mean: Array1<f64>,
    pub feature_scale: Array1<f64>,
}

impl Factors {
    /// Decomposes the rows `train` and places the rows `validation` in the basis.
    pub fn of_fold(
        x: ArrayView2<'_, f32>,
        train: &[usize],
        validation: &[usize],
        options: &RidgeOptions,
    ) -> Result<Self, MathError> {
        let (mut factors, basis, train_x) = Self::decompose(x, train, options)?;
        let mut evaluated = x.select(Axis(0), validation).mapv(f64::from);
        standardise(&mut evaluated, &basis.feature_mean, &basis.feature_scale);
        factors.evaluation = match &basis.dual_vectors {
            // Samples by samples first: with many features this is the cheaper order.
            Some(vectors) => {
                let kernel = matmul(evaluated.view(), train_x.t());
                factors.balanced(matmul(kernel.view(), vectors.view()))
            }
            None => factors.balanced(matmul(evaluated.view(), basis.primal_vectors().view())),
        };
        Ok(factors)
    }

    /// Decomposes all `rows` and keeps the basis for coefficients and predictions.
    pub fn of_all(x: ArrayView2<'_, f32>, rows: &[usize], options: &RidgeOptions) -> Result<Self, MathError> {
        let (mut factors, parts, train_x) = Self::decompose(x, rows, options)?;
        let basis = match &parts.dual_vectors {
            Some(vectors) => matmul(train_x.t(), vectors.view()),
            None => parts.primal_vectors().clone(),
        };
        factors.refit =
            Some(RefitBasis { basis, feature_mean: parts.feature_mean, feature_scale: parts.feature_scale });
        Ok(factors)
    }

    fn decompose(
        x: ArrayView2<'_, f32>,
        rows: &[usize],
        options: &RidgeOptions,
    ) -> Result<(Self, Parts, Array2<f64>), MathError> {
        let mut train_x = x.select(Axis(0), rows).mapv(f64::from);
        let n_features = train_x.ncols();
        let feature_mean = if options.intercept {
            train_x.mean_axis(Axis(0)).expect("a fold has samples to fit on")
        } else {
            Array1::zeros(n_features)
        };
        let feature_scale = if options.scale_features { deviations(&train_x) } else { Array1::ones(n_features) };
        standardise(&mut train_x, &feature_mean, &feature_scale);
        let is_dual = match options.form {
            RidgeForm::Auto => n_features > train_x.nrows(),
            RidgeForm::Primal => false,
            RidgeForm::Dual => true,
        };
        let gram = if is_dual { matmul(train_x.view(), train_x.t()) } else { matmul(train_x.t(), train_x.view()) };
        let eigen = symmetric_eigen(gram)?;
        let projector = if is_dual {
            eigen.vectors.mapv(|v| v as f32)
        } else {
            matmul(train_x.view(), eigen.vectors.view()).mapv(|v| v as f32)
        };
        let factors = Self {
            train: rows.to_vec(),
            values: eigen.values.mapv(|w| w.max(0.0)),
            smallest_alpha: options.alphas[0],
            projector: projector.as_standard_layout().into_owned(),
            evaluation: Array2::zeros((0, 0)),
            refit: None,
        };
        let (dual_vectors, primal_vectors) =
            if is_dual { (Some(eigen.vectors), None) } else { (None, Some(eigen.vectors)) };
        Ok((factors, Parts { dual_vectors, primal_vectors, feature_mean, feature_scale }, train_x))
    }

    /// The factor `sqrt(w + alpha_0) / (w + alpha)` of every basis vector.
    pub fn weights(&self, alpha: f64) -> Vec<f32> {
        self.values.iter().map(|w| ((w + self.smallest_alpha).sqrt() / (w + alpha)) as f32).collect()
    }

    fn balanced(&self, mut placed: Array2<f64>) -> Array2<f32> {
        for mut row in placed.outer_iter_mut() {
            Zip::from(&mut row).and(&self.values).for_each(|v, w| *v /= (w + self.smallest_alpha).sqrt());
        }
        placed.mapv(|v| v as f32)
    }

    /// Places new samples (n_samples x n_features) in the basis of a refit (n_samples x rank).
    pub fn place(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        let refit = self.refit.as_ref().expect("only a refit places new samples");
        let mut x = x.mapv(f64::from);
        standardise(&mut x, &refit.feature_mean, &refit.feature_scale);
        self.balanced(matmul(x.view(), refit.basis.view()))
    }

    /// The matrix that turns weighted projections into coefficients in the units of the features (n_features x rank).
    pub fn to_coefficients(&self) -> Array2<f32> {
        let refit = self.refit.as_ref().expect("only a refit has coefficients");
        let mut basis = refit.basis.clone();
        for (mut row, &scale) in basis.outer_iter_mut().zip(&refit.feature_scale) {
            row.mapv_inplace(|v| v / scale);
        }
        self.balanced(basis).as_standard_layout().into_owned()
    }
}

/// What [`Factors::decompose`] found besides the factors.
struct Parts {
    dual_vectors: Option<Array2<f64>>,
    primal_vectors: Option<Array2<f64>>,
    feature_mean: Array1<f64>,
    feature_scale: Array1<f64>,
}

impl Parts {
    fn primal_vectors(&self) -> &Array2<f64> {
        self.primal_vectors.as_ref().expect("a decomposition is primal unless it is dual")
    }
}

fn standardise(x: &mut Array2<f64>, mean: &Array1<f64>, scale: &Array1<f64>) {
    for mut row in x.outer_iter_mut() {
        Zip::from(&mut row).and(mean).and(scale).for_each(|v, m, s| *v = (*v - m) / s);
    }
}

/// Standard deviation of each column about its mean, 1 where the column is constant.
fn deviations(x: &Array2<f64>) -> Array1<f64> {
    let mean = x.mean_axis(Axis(0)).expect("a fold has samples to fit on");
    let mut power = Array1::<f64>::zeros(x.ncols());
    for row in x.outer_iter() {
        Zip::from(&mut power).and(&row).and(&mean).for_each(|p, v, m| *p += (v - m) * (v - m));
    }
    Zip::from(&power).and(&mean).map_collect(|p, m| {
        let deviation = (p / x.nrows() as f64).sqrt();
        if deviation <= 4.0 * f64::from(f32::EPSILON) * m.abs() { 1.0 } else { deviation }
    })
}
