//! What a study recovers of a truth that was planted in simulated data.
//!
//! Owns agreement of edges, of signs, of layers and of magnitudes, each with an interval. How the truth was planted and by
//! which statistic it was recovered it does not know; an absent recovery is counted, never imputed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::MathError;
use super::error::require_shape;

/// A share of a count with its Wilson interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// How many have the property.
    pub n_with: usize,
    /// How many could have it, at least 1.
    pub n: usize,
    /// `n_with / n`
    pub share: f64,
    /// Wilson score interval (Wilson 1927).
    pub interval: [f64; 2],
}

/// A share with its Wilson score interval at `confidence`; `None` of nothing.
///
/// The interval holds every share whose score test at the observed count does not reject; unlike the interval of Wald it
/// stays within 0 to 1 and has a width at 0 and 1.
///
/// # Errors
/// [`MathError::Parameter`] for a confidence outside 0 to 1, [`MathError::TooMany`] when `n_with` exceeds `n`.
pub fn share(n_with: usize, n: usize, confidence: f64) -> Result<Option<Share>, MathError> {
    let z = two_sided_quantile(confidence)?;
    if n_with > n {
        let hint = "a part does not exceed the whole";
        return Err(MathError::TooMany { name: "n_with", found: n_with, expected: n, hint });
    }
    if n == 0 {
        return Ok(None);
    }
    let (total, share) = (n as f64, n_with as f64 / n as f64);
    let scale = 1.0 + z * z / total;
    let centre = (share + z * z / (2.0 * total)) / scale;
    let half_width = z / scale * (share * (1.0 - share) / total + z * z / (4.0 * total * total)).sqrt();
    // At the ends the bound is the share itself, which rounding would miss.
    let lower = if n_with == 0 { 0.0 } else { centre - half_width };
    let upper = if n_with == n { 1.0 } else { centre + half_width };
    Ok(Some(Share { n_with, n, share, interval: [lower, upper] }))
}

/// The `z` within which `confidence` of a standard normal variable lies on either side of zero.
fn two_sided_quantile(confidence: f64) -> Result<f64, MathError> {
    if !(confidence > 0.0 && confidence < 1.0) {
        let expected = "a number between 0 and 1";
        return Err(MathError::Parameter { name: "confidence", found: confidence, expected });
    }
    Ok(-Normal::standard().inverse_cdf((1.0 - confidence) / 2.0))
}

/// Recovered edges against planted ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EdgeRecovery {
    /// Edges planted.
    pub n_planted: usize,
    /// Edges recovered.
    pub n_recovered: usize,
    /// Edges planted and recovered.
    pub n_both: usize,
    /// Share of the recovered edges that were planted; `None` where none was recovered.
    pub precision: Option<Share>,
    /// Share of the planted edges that were recovered; `None` where none was planted.
    pub recall: Option<Share>,
    /// `2 n_both / (n_planted + n_recovered)`, the Dice coefficient; `None` where both are empty.
    pub f1: Option<f64>,
}

impl EdgeRecovery {
    fn of(n_planted: usize, n_recovered: usize, n_both: usize, confidence: f64) -> Result<Self, MathError> {
        let total = n_planted + n_recovered;
        Ok(Self {
            n_planted,
            n_recovered,
            n_both,
            precision: share(n_both, n_recovered, confidence)?,
            recall: share(n_both, n_planted, confidence)?,
            f1: (total > 0).then(|| 2.0 * n_both as f64 / total as f64),
        })
    }
}

/// Compares edges by their two ends, in the order they come: put the ends of an undirected edge in one order first.
///
/// The intervals treat edges as independent draws, which edges of one pattern or one voxel are not; they are too short where few
/// sources make many edges.
///
/// # Errors
/// [`MathError::Parameter`] for a confidence outside 0 to 1.
pub fn edges(
    recovered: &BTreeSet<(usize, usize)>,
    planted: &BTreeSet<(usize, usize)>,
    confidence: f64,
) -> Result<EdgeRecovery, MathError> {
    let n_both = recovered.intersection(planted).count();
    EdgeRecovery::of(planted.len(), recovered.len(), n_both, confidence)
}

/// Whether an edge excites or suppresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// Above zero.
    Positive,
    /// Below zero.
    Negative,
}

impl Sign {
    /// The sign of a number; `None` of zero and NaN.
    pub fn of(value: f64) -> Option<Self> {
        match value.partial_cmp(&0.0)? {
            std::cmp::Ordering::Greater => Some(Self::Positive),
            std::cmp::Ordering::Less => Some(Self::Negative),
            std::cmp::Ordering::Equal => None,
        }
    }
}

/// Recovered edges with signs against planted ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SignedRecovery {
    /// Edges whatever their signs.
    pub unsigned: EdgeRecovery,
    /// Edges that count as recovered only with their sign.
    pub signed: EdgeRecovery,
    /// Share of the edges both planted and recovered whose signs agree; `None` without such an edge.
    pub same_sign: Option<Share>,
}

/// Compares edges by their two ends and their sign.
///
/// # Errors
/// As [`edges`].
pub fn signed_edges(
    recovered: &BTreeMap<(usize, usize), Sign>,
    planted: &BTreeMap<(usize, usize), Sign>,
    confidence: f64,
) -> Result<SignedRecovery, MathError> {
    let both = || recovered.iter().filter_map(|(ends, sign)| Some((sign, planted.get(ends)?)));
    let (n_both, n_same) = (both().count(), both().filter(|(found, truth)| found == truth).count());
    Ok(SignedRecovery {
        unsigned: EdgeRecovery::of(planted.len(), recovered.len(), n_both, confidence)?,
        signed: EdgeRecovery::of(planted.len(), recovered.len(), n_same, confidence)?,
        same_sign: share(n_same, n_both, confidence)?,
    })
}

/// Recovered layers against planted ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LayerAgreement {
    /// Items with a planted layer.
    pub n_planted: usize,
    /// Those of them without a recovered layer: part of no share below.
    pub n_absent: usize,
    /// Share of the items with both layers in which they are equal; `None` without such an item.
    pub exact: Option<Share>,
    /// Share in which they differ by `tolerance` layers at most.
    pub within_tolerance: Option<Share>,
    /// Mean absolute difference in layers.
    pub mean_absolute_difference: Option<f64>,
}

/// Compares layers item by item; an item without a planted layer has no truth and does not count.
///
/// # Errors
/// [`MathError::Shape`] when the lists differ in length, [`MathError::Parameter`] for a confidence outside 0 to 1.
pub fn layer_agreement(
    planted: &[Option<usize>],
    recovered: &[Option<usize>],
    tolerance: usize,
    confidence: f64,
) -> Result<LayerAgreement, MathError> {
    require_shape("recovered layers", recovered.len(), planted.len(), "one for each planted layer")?;
    let both = planted.iter().zip(recovered).filter_map(|(truth, found)| Some((*truth)?.abs_diff((*found)?)));
    let differences: Vec<usize> = both.collect();
    let n = differences.len();
    let n_within = |limit: usize| differences.iter().filter(|&&difference| difference <= limit).count();
    let n_planted = planted.iter().flatten().count();
    Ok(LayerAgreement {
        n_planted,
        n_absent: n_planted - n,
        exact: share(n_within(0), n, confidence)?,
        within_tolerance: share(n_within(tolerance), n, confidence)?,
        mean_absolute_difference: (n > 0).then(|| differences.iter().map(|&d| d as f64).sum::<f64>() / n as f64),
    })
}

/// Correlation of recovered with planted magnitudes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recovered {
    /// Items with both magnitudes.
    pub n: usize,
    /// Items with a planted magnitude and no recovered one.
    pub n_absent: usize,
    /// Pearson's r over the items with both.
    pub r: f64,
    /// `tanh(atanh(r) -+ z / sqrt(n - 3))` (Fisher 1921); `None` with fewer than four items.
    pub interval: Option<[f64; 2]>,
}

/// Why there is no correlation with the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoCorrelation {
    /// Fewer than two items have both magnitudes.
    TooFewItems {
        /// How many have.
        n: usize,
    },
    /// All planted magnitudes are equal.
    ConstantTruth,
    /// All recovered magnitudes are equal.
    ConstantRecovery,
}

/// Correlates recovered with planted magnitudes; an item without a planted one does not count.
///
/// The interval assumes pairs that are independent and jointly normal.
///
/// # Errors
/// [`MathError::Shape`] when the lists differ in length, [`MathError::NotFinite`] (row 0 planted, row 1 recovered),
/// [`MathError::Parameter`] for a confidence outside 0 to 1.
pub fn correlation(
    planted: &[Option<f64>],
    recovered: &[Option<f64>],
    confidence: f64,
) -> Result<Result<Recovered, NoCorrelation>, MathError> {
    let z = two_sided_quantile(confidence)?;
    require_shape("recovered magnitudes", recovered.len(), planted.len(), "one for each planted magnitude")?;
    for (row, values) in [planted, recovered].into_iter().enumerate() {
        let is_broken = |(column, value): (usize, &Option<f64>)| value.filter(|v| !v.is_finite()).map(|v| (column, v));
        if let Some((column, found)) = values.iter().enumerate().find_map(is_broken) {
            return Err(MathError::NotFinite { what: "magnitudes", row, column, found });
        }
    }
    let both: Vec<(f64, f64)> =
        planted.iter().zip(recovered).filter_map(|(truth, found)| Some(((*truth)?, (*found)?))).collect();
    let n = both.len();
    if n < 2 {
        return Ok(Err(NoCorrelation::TooFewItems { n }));
    }
    let count = n as f64;
    let mean_truth = both.iter().map(|(truth, _)| truth).sum::<f64>() / count;
    let mean_found = both.iter().map(|(_, found)| found).sum::<f64>() / count;
    let (mut of_truth, mut of_found, mut product) = (0.0, 0.0, 0.0);
    for (truth, found) in both {
        let (a, b) = (truth - mean_truth, found - mean_found);
        (of_truth, of_found, product) = (of_truth + a * a, of_found + b * b, product + a * b);
    }
    // Below this share of the offset's power the deviations are rounding of f64 sums.
    let is_constant = |power: f64, mean: f64| power <= 1e-24 * count * mean * mean;
    if is_constant(of_truth, mean_truth) {
        return Ok(Err(NoCorrelation::ConstantTruth));
    }
    if is_constant(of_found, mean_found) {
        return Ok(Err(NoCorrelation::ConstantRecovery));
    }
    let r = (product / (of_truth.sqrt() * of_found.sqrt())).clamp(-1.0, 1.0);
    let n_absent = planted.iter().flatten().count() - n;
    let interval = (n > 3).then(|| [-1.0, 1.0].map(|side| (r.atanh() + side * z / (count - 3.0).sqrt()).tanh()));
    Ok(Ok(Recovered { n, n_absent, r, interval }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(ends: &[(usize, usize)]) -> BTreeSet<(usize, usize)> {
        ends.iter().copied().collect()
    }

    #[test]
    fn edges_are_counted_by_hand() {
        let found = edges(&set(&[(0, 1), (0, 2), (3, 1)]), &set(&[(0, 1), (3, 1), (4, 4), (5, 0)]), 0.95).unwrap();
        assert_eq!((found.n_planted, found.n_recovered, found.n_both), (4, 3, 2));
        assert_eq!((found.precision.unwrap().share, found.recall.unwrap().share), (2.0 / 3.0, 0.5));
        assert_eq!(found.f1, Some(4.0 / 7.0));
        let nothing = edges(&set(&[]), &set(&[]), 0.95).unwrap();
        assert_eq!((nothing.precision, nothing.recall, nothing.f1), (None, None, None));
        let missed = edges(&set(&[]), &set(&[(0, 1)]), 0.95).unwrap();
        assert_eq!((missed.precision, missed.recall.unwrap().share, missed.f1), (None, 0.0, Some(0.0)));
    }

    #[test]
    fn a_wrong_sign_is_no_recovery() {
        use Sign::{Negative, Positive};
        let planted = BTreeMap::from([((0, 1), Positive), ((0, 2), Negative), ((1, 1), Positive)]);
        let recovered = BTreeMap::from([((0, 1), Positive), ((0, 2), Positive), ((2, 2), Negative)]);
        let found = signed_edges(&recovered, &planted, 0.9).unwrap();
        assert_eq!((found.unsigned.n_both, found.signed.n_both), (2, 1));
        assert_eq!(found.same_sign.unwrap().share, 0.5);
        assert_eq!(found.signed.recall.unwrap().share, 1.0 / 3.0);
        assert_eq!((Sign::of(-2.0), Sign::of(0.0), Sign::of(f64::NAN)), (Some(Negative), None, None));
    }

    #[test]
    fn absent_layers_are_counted_apart() {
        let planted = [Some(3), Some(5), Some(0), None, Some(7)];
        let found = layer_agreement(&planted, &[Some(3), Some(7), Some(1), Some(2), None], 1, 0.95).unwrap();
        assert_eq!((found.n_planted, found.n_absent), (4, 1));
        assert_eq!((found.exact.unwrap().n_with, found.within_tolerance.unwrap().n_with), (1, 2));
        assert_eq!(found.mean_absolute_difference, Some(1.0));
        let none = layer_agreement(&[Some(1)], &[None], 1, 0.95).unwrap();
        assert_eq!((none.n_absent, none.exact, none.mean_absolute_difference), (1, None, None));
        assert!(matches!(layer_agreement(&planted, &[], 0, 0.95), Err(MathError::Shape { .. })));
    }

    #[test]
    fn correlations_that_do_not_exist_have_a_reason() {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        let (line, flat) = (some(&[1.0, 2.0, 3.0]), some(&[0.1, 0.1, 0.1]));
        let perfect = correlation(&line, &some(&[2.0, 4.0, 6.0]), 0.95).unwrap().unwrap();
        assert!((perfect.r - 1.0).abs() < 1e-15 && perfect.interval.is_none());
        assert_eq!(correlation(&line, &flat, 0.95).unwrap(), Err(NoCorrelation::ConstantRecovery));
        assert_eq!(correlation(&flat, &line, 0.95).unwrap(), Err(NoCorrelation::ConstantTruth));
        let sparse = [Some(1.0), None, None];
        assert_eq!(correlation(&line, &sparse, 0.95).unwrap(), Err(NoCorrelation::TooFewItems { n: 1 }));
        let broken = [Some(1.0), Some(f64::NAN), None];
        assert!(matches!(correlation(&line, &broken, 0.95), Err(MathError::NotFinite { row: 1, column: 1, .. })));
        assert!(matches!(correlation(&line, &line, 1.0), Err(MathError::Parameter { .. })));
    }

    #[test]
    fn a_part_exceeds_no_whole() {
        assert_eq!(share(0, 0, 0.95).unwrap(), None);
        assert!(matches!(share(2, 1, 0.95), Err(MathError::TooMany { .. })));
        assert_eq!(share(0, 5, 0.95).unwrap().unwrap().interval[0], 0.0);
        assert_eq!(share(5, 5, 0.95).unwrap().unwrap().interval[1], 1.0);
    }

    proptest! {
        /// Both ends solve `|share - p| = z sqrt(p (1 - p) / n)`, which defines the interval.
        #[test]
        fn ends_are_where_the_score_test_turns(n in 1usize..5000, part in 0.0f64..1.0, confidence in 0.5f64..0.999) {
            let found = share((n as f64 * part) as usize, n, confidence).unwrap().unwrap();
            let z = two_sided_quantile(confidence).unwrap();
            prop_assert!(found.interval[0] <= found.share && found.share <= found.interval[1]);
            for end in found.interval {
                let distance = z * (end * (1.0 - end) / n as f64).sqrt();
                prop_assert!(((found.share - end).abs() - distance).abs() < 1e-9, "{:?}", found);
            }
        }
    }
}
