//! The features of one set of samples, standardised and stored feature by feature, and those of the samples held out.
//!
//! Owns centring, scaling, inner products and held-out scores; which features are in a model is in `working.rs`.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::working::Working;
use super::{LassoForm, LassoOptions};
use crate::math::blas::matmul;
use crate::math::ridge::CvScore;
use crate::math::scores::{CONSTANT_SHARE, Columns, stored_by_row};

/// Features up to this many always have their products formed: 2 MB.
const SMALL_GRAM: usize = 512;

/// Features beyond this many never have: their products would take 288 MB.
const LARGEST_GRAM: usize = 6000;

/// Features on the samples that are fitted.
#[derive(Debug)]
pub(super) struct Features {
    pub rows: Vec<usize>,
    pub intercept: bool,
    /// What is subtracted from each feature (n_features).
    pub mean: Vec<f64>,
    /// What each feature is divided by (n_features).
    pub scale: Vec<f64>,
    /// Standardised (n_features x n_samples); a constant feature is 0.
    pub columns: Array2<f64>,
    /// `x_j'x_j / n` (n_features).
    pub curvature: Vec<f64>,
    /// `X'X / n`, if formed ahead.
    gram: Option<Array2<f64>>,
}

impl Features {
    pub fn of(x: ArrayView2<'_, f32>, rows: &[usize], options: &LassoOptions) -> Self {
        let mut features = Self::of_gradients(x, rows, options);
        let (n_features, n_samples) = features.columns.dim();
        let is_formed = match options.form {
            LassoForm::Auto => n_features <= SMALL_GRAM || (n_features <= LARGEST_GRAM && n_features <= 2 * n_samples),
            LassoForm::Gram => true,
            LassoForm::WorkingSet => false,
        };
        features.gram = is_formed
            .then(|| matmul(features.columns.view(), features.columns.t()).mapv_into(|v| v / n_samples as f64));
        features
    }

    /// Without the products, which gradients at the empty model do not need.
    pub fn of_gradients(x: ArrayView2<'_, f32>, rows: &[usize], options: &LassoOptions) -> Self {
        let n_samples = rows.len() as f64;
        let mut columns = Array2::zeros((x.ncols(), rows.len()));
        for (i, &row) in rows.iter().enumerate() {
            columns.column_mut(i).iter_mut().zip(x.row(row)).for_each(|(to, &from)| *to = f64::from(from));
        }
        let (mut mean, mut scale, mut curvature) = (Vec::new(), Vec::new(), Vec::new());
        for mut column in columns.outer_iter_mut() {
            let raw_power = column.dot(&column);
            let centre = if options.intercept { column.sum() / n_samples } else { 0.0 };
            column.mapv_inplace(|v| v - centre);
            let about_mean = column.sum() / n_samples;
            let mut power = column.dot(&column);
            if power <= CONSTANT_SHARE * raw_power {
                column.fill(0.0);
                power = 0.0;
            }
            let variance = power / n_samples - about_mean * about_mean;
            let deviation = if options.scale_features && variance > 0.0 { variance.sqrt() } else { 1.0 };
            column.mapv_inplace(|v| v / deviation);
            mean.push(centre);
            scale.push(deviation);
            curvature.push(power / (n_samples * deviation * deviation));
        }
        Self { rows: rows.to_vec(), intercept: options.intercept, mean, scale, columns, curvature, gram: None }
    }

    pub fn n_samples(&self) -> f64 {
        self.rows.len() as f64
    }

    pub fn constant_columns(&self) -> Vec<usize> {
        (0..self.curvature.len()).filter(|&j| self.curvature[j] == 0.0).collect()
    }

    pub fn gram(&self) -> Option<&Array2<f64>> {
        self.gram.as_ref()
    }

    /// `x_i'x_j / n`.
    pub fn product(&self, i: usize, j: usize) -> f64 {
        match &self.gram {
            Some(gram) => gram[[i, j]],
            None => self.columns.row(i).dot(&self.columns.row(j)) / self.n_samples(),
        }
    }
}

/// The same features on held-out samples, relative to the mean and scale of those fitted.
#[derive(Debug)]
pub(super) struct HeldOutFeatures {
    rows: Vec<usize>,
    /// n_features x n_held_out.
    columns: Array2<f64>,
    /// Means of the rows of `columns`, and the sums of products about them, if products are formed ahead.
    moments: Option<(Array1<f64>, Array2<f64>)>,
}

/// Held-out targets of one block, relative to the mean of the samples fitted on.
pub(super) struct HeldOutData {
    pub is_constant: Vec<bool>,
    /// n_held_out x n_block.
    values: Array2<f64>,
    mean: Vec<f64>,
    /// `sum (y - mean)^2`
    power: Vec<f64>,
    /// Sums of products of features and targets about their means (n_features x n_block), with the moments.
    products: Option<Array2<f64>>,
}

impl HeldOutFeatures {
    pub fn of(x: ArrayView2<'_, f32>, rows: &[usize], fitted: &Features) -> Self {
        let mut columns = Array2::zeros((x.ncols(), rows.len()));
        for (i, &row) in rows.iter().enumerate() {
            let standards = fitted.mean.iter().zip(&fitted.scale);
            for ((to, &from), (mean, scale)) in columns.column_mut(i).iter_mut().zip(x.row(row)).zip(standards) {
                *to = (f64::from(from) - mean) / scale;
            }
        }
        let moments = fitted.gram.is_some().then(|| {
            let means = columns.mean_axis(Axis(1)).expect("a fold holds out some rows");
            let centred = &columns - &means.view().insert_axis(Axis(1));
            let products = matmul(centred.view(), centred.t());
            (means, products)
        });
        Self { rows: rows.to_vec(), columns, moments }
    }

    /// Places a block of targets (n_samples x n_block), `centre` being the mean of the samples fitted on.
    pub fn data(&self, y: ArrayView2<'_, f32>, centre: &[f64]) -> HeldOutData {
        let block = stored_by_row(y.select(Axis(0), &self.rows).view());
        let measured = Columns::of(&block);
        let mut values = block.mapv(f64::from);
        for mut row in values.outer_iter_mut() {
            row.iter_mut().zip(centre).for_each(|(v, c)| *v -= c);
        }
        let mean = values.mean_axis(Axis(0)).expect("a fold holds out some rows");
        let centred = &values - &mean;
        let power = centred.columns().into_iter().map(|column| column.dot(&column)).collect();
        let products = self.moments.as_ref().map(|_| matmul(self.columns.view(), centred.view()));
        let is_constant = (0..y.ncols()).map(|j| measured.is_constant(j)).collect();
        HeldOutData { is_constant, values, mean: mean.to_vec(), power, products }
    }

    /// Scores the model `working` on a target that is not constant.
    pub fn score(&self, data: &HeldOutData, target: usize, working: &Working, score: CvScore) -> f64 {
        let n = self.rows.len() as f64;
        // Sums about the held-out means: of prediction squared, and of prediction times data.
        let (predicted_mean, predicted_power, product) = match (&self.moments, &data.products) {
            (Some((means, moments)), Some(products)) => {
                let (mut mean, mut power, mut product) = (0.0, 0.0, 0.0);
                for (i, b) in working.nonzero() {
                    mean += b * means[i];
                    product += b * products[[i, target]];
                    let moments = moments.row(i);
                    power += b * working.nonzero().map(|(j, other)| other * moments[j]).sum::<f64>();
                }
                (mean, power.max(0.0), product)
            }
            _ => {
                let mut prediction = Array1::zeros(self.rows.len());
                for (i, b) in working.nonzero() {
                    prediction.scaled_add(b, &self.columns.row(i));
                }
                let mean = prediction.sum() / n;
                prediction -= mean;
                let data = data.values.column(target);
                (mean, prediction.dot(&prediction), prediction.dot(&data))
            }
        };
        match score {
            CvScore::R2 => {
                let offset = data.mean[target] - predicted_mean;
                let residual = data.power[target] - 2.0 * product + predicted_power + n * offset * offset;
                1.0 - residual / data.power[target]
            }
            // A prediction that does not vary scores 0.
            CvScore::Pearson if predicted_power <= CONSTANT_SHARE * n * predicted_mean * predicted_mean => 0.0,
            CvScore::Pearson => (product / (data.power[target].sqrt() * predicted_power.sqrt())).clamp(-1.0, 1.0),
        }
    }
}
