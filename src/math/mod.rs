//! Pure array functions: every estimator and statistic of a study, with its objective in its doc.
//!
//! This module owns the numbers. It knows arrays, seeds and fold indices; it does not know files, studies, subjects,
//! units of a model or voxels of a brain: rows and columns have meaning only for whoever calls. A value that cannot be
//! computed (the correlation with a constant column, say) is `None`, never NaN, and what a reader must know about a
//! result beyond its numbers is a typed warning stored in it.
//!
//! Where to go next, in the order a study uses them:
//!
//! | file | owns |
//! |---|---|
//! | [`series`] | stimuli to repetition times, the haemodynamic response, delays |
//! | [`dictionary`] | sparse dictionary of time courses, its coding step [`lasso`], [`projection`] to new samples, PCA |
//! | [`folds`] | which samples validate which |
//! | [`ols`] | least squares with t values, white or first-order autoregressive noise |
//! | [`lasso_cv`] | lasso regression with cross-validated penalties |
//! | [`ridge`] | ridge regression with cross-validated penalties |
//! | [`banded`] | ridge regression with one penalty a band of features, and what each band explains |
//! | [`scores`], [`null`], [`fdr`] | held-out scores, their null distribution, the false discovery rate |
//! | [`evidence`] | held-out correlation and error of groups of targets by block of time; their null, intervals, paired tests |
//! | [`hierarchy`] | preferred layers, their rank correlation with an order of networks |
//! | [`ceiling`] | the noise ceiling of repeated measurements, correlations relative to it |
//! | [`group`] | tests over subjects: t, sign flips with family-wise correction |
//! | [`overlap`], [`polarity`] | redundancy and mirrored profiles of patterns |
//! | [`reliability`] | how well maps come out again in halves of the training samples |
//! | [`pair_interval`] | how sure a mean over pairs of patterns is |
//! | [`unique_r2`] | what each feature of a fitted ridge regression adds to held-out prediction |
//! | [`ablation`], [`participation`] | patterns without some units, the number of dimensions that series fill |
//! | [`specialisation`] | what two branches or models have apart and in common |
//! | [`phase`] | surrogate time courses of the same spectrum |
//! | [`recovery`] | planted truth against what was recovered of it |
//! | [`blas`], [`products`], [`eigen`], [`cholesky`] | the linear algebra below all of them |
//!
//! Bytes do not depend on the number of threads: work is cut into blocks of fixed size, BLAS runs single-threaded inside
//! a block, and every reduction has one order. Random draws come from ChaCha8 with an explicit seed.

pub mod ablation;
pub mod banded;
pub mod blas;
pub mod ceiling;
pub mod cholesky;
pub mod dictionary;
pub mod eigen;
mod error;
pub mod evidence;
pub mod fdr;
pub mod folds;
mod gram;
pub mod group;
pub mod hierarchy;
pub mod lasso;
pub mod lasso_cv;
pub mod null;
pub mod ols;
pub mod overlap;
pub mod pair_interval;
pub mod participation;
pub mod phase;
pub mod polarity;
pub mod products;
pub mod projection;
mod quantile;
pub mod recovery;
pub mod reliability;
pub mod ridge;
pub mod scores;
pub mod series;
pub mod specialisation;
pub mod unique_r2;

pub use error::MathError;
