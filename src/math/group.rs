//! Whether a map differs from zero over subjects.
//!
//! Owns what tests over subjects share (values with gaps, the direction of a test, its caveats) and the one-sample t
//! test. The sign-flip test with correction over voxels is in `group/sign_flip.rs`. A comparison of two models within
//! subjects is the same test on the differences of their maps. What the values are (correlations, coefficients) it does not
//! know; correlations are usually tested after Fisher's z transformation.

mod flips;
mod sign_flip;
mod student;

use ndarray::ArrayView2;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::sign_flip::{Arrangements, FlippedVoxel, SignFlipOptions, SignFlipTest, sign_flip_test};
pub(super) use self::student::quantile as t_quantile;
use super::MathError;
use super::error::require_shape;
use super::scores::is_constant;

/// Subjects below which a test over them is reported as resting on few: with four, no test of signs can reach 0.05, not even
/// a one-sided one (the smallest p is 1 / 2^4).
const FEW_SUBJECTS: usize = 5;

/// A map of every subject, with gaps where a subject has no value.
#[derive(Debug, Clone, Copy)]
pub struct GroupValues<'a> {
    /// One row for each subject (n_subjects x n_voxels); what stands in a gap is not looked at.
    pub values: ArrayView2<'a, f32>,
    /// Where a subject has a value (n_subjects x n_voxels); everywhere when absent.
    pub present: Option<ArrayView2<'a, bool>>,
}

impl<'a> GroupValues<'a> {
    /// Maps without gaps.
    pub fn complete(values: ArrayView2<'a, f32>) -> Self {
        Self { values, present: None }
    }

    fn check(&self, n_min: usize) -> Result<(), MathError> {
        let n_subjects = self.values.nrows();
        let refuse = |name, found, hint| Err(MathError::TooFew { name, found, expected: 2, hint });
        if n_subjects < 2 {
            return refuse("number of subjects", n_subjects, "a test over subjects needs their spread");
        }
        if n_min < 2 {
            return refuse("n_min", n_min, "one subject has no spread");
        }
        if n_min > n_subjects {
            return Err(MathError::TooMany {
                name: "n_min",
                found: n_min,
                expected: n_subjects,
                hint: "no voxel can have more values than there are subjects",
            });
        }
        if let Some(present) = self.present {
            require_shape("rows of present", present.nrows(), n_subjects, "one row for each subject")?;
            require_shape("columns of present", present.ncols(), self.values.ncols(), "one column for each voxel")?;
        }
        for ((row, column), &v) in self.values.indexed_iter() {
            if !v.is_finite() && self.is_present(row, column) {
                return Err(MathError::NotFinite { what: "values", row, column, found: f64::from(v) });
            }
        }
        Ok(())
    }

    fn is_present(&self, subject: usize, voxel: usize) -> bool {
        self.present.is_none_or(|present| present[[subject, voxel]])
    }

    /// Values of one voxel, absent ones left out, in the order of subjects.
    fn of_voxel(&self, voxel: usize) -> impl Iterator<Item = f64> + '_ {
        let column = self.values.column(voxel).into_iter().enumerate();
        column.filter(move |(subject, _)| self.is_present(*subject, voxel)).map(|(_, &v)| f64::from(v))
    }
}

/// Which departures from zero a test looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Alternative {
    /// Either way.
    #[default]
    TwoSided,
    /// Above zero.
    Greater,
    /// Below zero.
    Less,
}

/// Why a voxel was not tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoTest {
    /// Fewer subjects have a value than were asked for.
    TooFewSubjects {
        /// How many have one.
        n_subjects: usize,
    },
    /// All subjects have the same value, so t does not exist.
    Constant,
}

/// A caveat of a test over subjects.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupWarning {
    /// Some voxels were tested over fewer than five subjects.
    FewSubjects {
        /// The fewest subjects of a tested voxel.
        n_subjects: usize,
        /// Tested voxels with fewer than five.
        n_voxels: usize,
    },
    /// Some voxels were not tested.
    UntestedVoxels {
        /// How many.
        n_voxels: usize,
    },
    /// No p value below this one can come out, however strong the effect: too few blocks to flip, or too few draws.
    CoarsePValues {
        /// The smallest possible p value.
        smallest_p: f64,
    },
}

/// How a one-sample t test is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TOptions {
    /// Which departures from zero p counts.
    pub alternative: Alternative,
    /// Subjects that must have a value for a voxel to be tested, 2 or more.
    pub n_min: usize,
    /// Coverage of the interval of the mean, which is two-sided whatever the alternative.
    pub confidence: f64,
}

impl Default for TOptions {
    /// Two-sided, two subjects or more, 95 %.
    fn default() -> Self {
        Self { alternative: Alternative::TwoSided, n_min: 2, confidence: 0.95 }
    }
}

/// A one-sample t test of one voxel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TTest {
    /// Subjects with a value.
    pub n_subjects: usize,
    /// Mean over subjects.
    pub mean: f64,
    /// Standard error of the mean.
    pub standard_error: f64,
    /// `mean / standard_error`
    pub t: f64,
    /// Probability under Student's t distribution with `n_subjects - 1` degrees of freedom.
    pub p: f64,
    /// Lower and upper end of the confidence interval of the mean.
    pub interval: [f64; 2],
    /// Cohen's d: the mean in standard deviations over subjects, without a correction for small samples.
    pub cohens_d: f64,
}

/// One-sample t tests of many voxels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupTTest {
    /// The test of each voxel, or why there is none (n_voxels).
    pub voxels: Vec<Result<TTest, NoTest>>,
    /// What was asked for.
    pub options: TOptions,
    /// Caveats of these tests.
    pub warnings: Vec<GroupWarning>,
}

/// Tests for each voxel whether its mean over subjects (n_subjects x n_voxels) differs from zero.
///
/// `t = mean / (sd / sqrt(n))` with `n - 1` degrees of freedom, where `n` counts the subjects that have a value there and
/// `sd^2` divides by `n - 1` (Student 1908). Sums are f64.
///
/// Caveats: p values assume independent subjects whose values are normal, which families break and small groups cannot
/// show; [`sign_flip_test`] assumes less. They are not corrected over voxels.
///
/// # Errors
/// [`MathError::TooFew`] with fewer than two subjects or `n_min` below 2, [`MathError::TooMany`] when `n_min` exceeds the
/// subjects, [`MathError::Parameter`] for a confidence outside 0 to 1, [`MathError::Shape`], [`MathError::NotFinite`]
/// for a value that is present and not finite.
pub fn one_sample_t(values: GroupValues<'_>, options: TOptions) -> Result<GroupTTest, MathError> {
    values.check(options.n_min)?;
    if !(options.confidence > 0.0 && options.confidence < 1.0) {
        return Err(MathError::Parameter {
            name: "confidence",
            found: options.confidence,
            expected: "a number between 0 and 1",
        });
    }
    let quantiles: Vec<f64> = (0..=values.values.nrows())
        .map(|n| if n < 2 { 0.0 } else { student::quantile(n as f64 - 1.0, options.confidence) })
        .collect();
    let test = |voxel| {
        let spread = Spread::of(values, voxel, options.n_min)?;
        let half_width = quantiles[spread.n_subjects] * spread.standard_error();
        Ok(TTest {
            n_subjects: spread.n_subjects,
            mean: spread.mean,
            standard_error: spread.standard_error(),
            t: spread.t(),
            p: student::p_value(spread.t(), spread.n_subjects as f64 - 1.0, options.alternative),
            interval: [spread.mean - half_width, spread.mean + half_width],
            cohens_d: spread.mean / spread.deviation,
        })
    };
    let voxels: Vec<Result<TTest, NoTest>> = (0..values.values.ncols()).into_par_iter().map(test).collect();
    let warnings = warnings(voxels.iter().map(|voxel| voxel.map(|test| test.n_subjects)));
    Ok(GroupTTest { voxels, options, warnings })
}

/// Mean and standard deviation over the subjects of one voxel that can be tested.
#[derive(Debug, Clone, Copy)]
struct Spread {
    n_subjects: usize,
    mean: f64,
    deviation: f64,
}

impl Spread {
    fn of(values: GroupValues<'_>, voxel: usize, n_min: usize) -> Result<Self, NoTest> {
        let (sum, n_subjects) = values.of_voxel(voxel).fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
        if n_subjects < n_min {
            return Err(NoTest::TooFewSubjects { n_subjects });
        }
        let mean = sum / n_subjects as f64;
        let power: f64 = values.of_voxel(voxel).map(|v| (v - mean) * (v - mean)).sum();
        if is_constant(power, mean, n_subjects) {
            return Err(NoTest::Constant);
        }
        Ok(Self { n_subjects, mean, deviation: (power / (n_subjects as f64 - 1.0)).sqrt() })
    }

    fn standard_error(&self) -> f64 {
        self.deviation / (self.n_subjects as f64).sqrt()
    }

    fn t(&self) -> f64 {
        self.mean / self.standard_error()
    }
}

/// What a reader must know about the subjects of every voxel.
fn warnings(n_subjects: impl Iterator<Item = Result<usize, NoTest>>) -> Vec<GroupWarning> {
    let (mut fewest, mut n_few, mut n_untested) = (usize::MAX, 0, 0);
    for voxel in n_subjects {
        match voxel {
            Ok(n_subjects) => {
                fewest = fewest.min(n_subjects);
                n_few += usize::from(n_subjects < FEW_SUBJECTS);
            }
            Err(_) => n_untested += 1,
        }
    }
    let mut warnings = Vec::new();
    if n_few > 0 {
        warnings.push(GroupWarning::FewSubjects { n_subjects: fewest, n_voxels: n_few });
    }
    if n_untested > 0 {
        warnings.push(GroupWarning::UntestedVoxels { n_voxels: n_untested });
    }
    warnings
}

#[cfg(test)]
mod tests;
