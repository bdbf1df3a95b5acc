//! Unique and shared parts of explained variance, from a fit for every set of bands.
//!
//! Owns inclusion and exclusion over sets of bands and the caveats of its parts. It does not fit; what it is given are
//! held-out R2 values. The cheaper split of a single joint fit is in `split.rs`.

use serde::{Deserialize, Serialize};

use crate::math::MathError;
use crate::math::error::require_shape;

/// Most bands that are partitioned: with more there are too many parts to read, and most are noise.
const MAX_BANDS: usize = 3;

/// A part above minus this is 0 or more up to the rounding of f32 predictions.
const NEGATIVE: f64 = -1e-6;

/// A caveat of a partition of variance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionWarning {
    /// For this many targets a part is negative: bands suppress each other, or a larger fit generalises worse.
    NegativeShare {
        /// The bands whose part it is.
        bands: Vec<usize>,
        /// How many targets.
        n_targets: usize,
    },
    /// For this many targets at least one fit has no R2, so they have no parts.
    AbsentFits {
        /// How many.
        n_targets: usize,
    },
}

/// Variance that exactly the bands of one set explain.
#[derive(Debug, Clone, PartialEq)]
pub struct VariancePart {
    /// The bands, ascending: a single one for a unique part.
    pub bands: Vec<usize>,
    /// R2 of this part (n_targets); `None` where one of the fits has none.
    pub r2: Vec<Option<f64>>,
}

impl VariancePart {
    /// The names of the part's bands, joined by ` & `; its index where a band has no name.
    pub fn name(&self, band_names: &[&str]) -> String {
        let name = |&band: &usize| band_names.get(band).map_or_else(|| band.to_string(), |name| (*name).to_owned());
        self.bands.iter().map(name).collect::<Vec<_>>().join(" & ")
    }
}

/// Parts of the variance that all bands together explain.
#[derive(Debug, Clone, PartialEq)]
pub struct VariancePartition {
    /// One part for each set of bands, in the order of [`band_subsets`].
    pub parts: Vec<VariancePart>,
    /// R2 of all bands together (n_targets), the sum of the parts.
    pub joint: Vec<Option<f64>>,
    /// Caveats of this partition.
    pub warnings: Vec<PartitionWarning>,
}

/// Every set of bands that has a fit: single bands first, all bands last, sets of one size in lexical order.
///
/// # Errors
/// [`MathError::TooFew`] for fewer than two bands, [`MathError::TooMany`] for more than three.
pub fn band_subsets(n_bands: usize) -> Result<Vec<Vec<usize>>, MathError> {
    if n_bands < 2 {
        let hint = "one band shares nothing";
        return Err(MathError::TooFew { name: "number of bands", found: n_bands, expected: 2, hint });
    }
    if n_bands > MAX_BANDS {
        let hint = "merge bands, or split the R2 of the joint fit";
        return Err(MathError::TooMany { name: "number of bands", found: n_bands, expected: MAX_BANDS, hint });
    }
    let members = |set: usize| (0..n_bands).filter(|band| set & (1 << band) != 0).collect::<Vec<usize>>();
    let mut subsets: Vec<Vec<usize>> = (1..1 << n_bands).map(members).collect();
    subsets.sort_by_key(|bands| (bands.len(), bands.clone()));
    Ok(subsets)
}

/// Partitions the R2 of two or three bands into unique and shared parts (commonality analysis, Mood 1971; Lescroart et al.
/// 2015).
///
/// `r2` holds the held-out R2 (n_targets) of the fit on each set of bands in the order of [`band_subsets`]. The variance
/// that exactly the bands of `S` explain is, with `R2` of no band 0 and `S^c` all other bands,
///
/// ```text
/// part(S) = sum over T within S of (-1)^(|T| + 1) R2(T with S^c)
/// ```
///
/// so that for two bands the unique part of the first is `R2(both) - R2(second)`, and all parts sum to the joint R2. Parts are
/// differences of held-out scores, so noise can make them negative; they are reported as they are, with
/// [`PartitionWarning::NegativeShare`].
///
/// # Errors
/// Those of [`band_subsets`]; [`MathError::Shape`] when a set is missing or has another number of targets,
/// [`MathError::NotFinite`].
pub fn partition_variance(n_bands: usize, r2: &[Vec<Option<f64>>]) -> Result<VariancePartition, MathError> {
    let subsets = band_subsets(n_bands)?;
    require_shape("sets of bands", r2.len(), subsets.len(), "a fit for each set of bands")?;
    let n_targets = r2[0].len();
    for (row, scores) in r2.iter().enumerate() {
        require_shape("targets of a fit", scores.len(), n_targets, "the targets of the first fit")?;
        let offender =
            scores.iter().enumerate().find_map(|(column, s)| s.filter(|s| !s.is_finite()).map(|s| (column, s)));
        if let Some((column, found)) = offender {
            return Err(MathError::NotFinite { what: "r2", row, column, found });
        }
    }
    let mask = |bands: &[usize]| bands.iter().fold(0usize, |set, band| set | 1 << band);
    let all = (1usize << n_bands) - 1;
    let mut row_of_set = vec![0; all + 1];
    for (row, bands) in subsets.iter().enumerate() {
        row_of_set[mask(bands)] = row;
    }
    let is_present: Vec<bool> = (0..n_targets).map(|target| r2.iter().all(|scores| scores[target].is_some())).collect();
    let score = |set: usize, target: usize| {
        if set == 0 { 0.0 } else { r2[row_of_set[set]][target].expect("every fit of this target has an R2") }
    };
    let part_of = |bands: &Vec<usize>| {
        let set = mask(bands);
        let r2 = (0..n_targets).map(|target| {
            is_present[target].then(|| {
                let within = (0..=set).filter(|t| t & !set == 0);
                within.map(|t| if t.count_ones() % 2 == 1 { 1.0 } else { -1.0 } * score(t | (all & !set), target)).sum()
            })
        });
        VariancePart { bands: bands.clone(), r2: r2.collect() }
    };
    let parts: Vec<VariancePart> = subsets.iter().map(part_of).collect();
    let mut warnings = Vec::new();
    for part in &parts {
        let n_negative = part.r2.iter().flatten().filter(|share| **share < NEGATIVE).count();
        if n_negative > 0 {
            warnings.push(PartitionWarning::NegativeShare { bands: part.bands.clone(), n_targets: n_negative });
        }
    }
    let n_absent = is_present.iter().filter(|present| !**present).count();
    if n_absent > 0 {
        warnings.push(PartitionWarning::AbsentFits { n_targets: n_absent });
    }
    let joint = (0..n_targets).map(|target| is_present[target].then(|| score(all, target))).collect();
    Ok(VariancePartition { parts, joint, warnings })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_bands_have_two_unique_parts_and_a_shared_one() {
        let partition = partition_variance(2, &[vec![Some(0.5)], vec![Some(0.25)], vec![Some(0.625)]]).unwrap();
        let shares: Vec<_> = partition.parts.iter().map(|part| (part.bands.as_slice(), part.r2[0].unwrap())).collect();
        assert_eq!(shares, [(&[0][..], 0.375), (&[1], 0.125), (&[0, 1], 0.125)]);
        assert_eq!(partition.parts[2].name(&["vision", "text"]), "vision & text");
        assert_eq!(partition.parts[2].name(&["vision"]), "vision & 1");
        assert!(partition.warnings.is_empty());
    }

    /// Areas of a Venn diagram are recovered from the areas that sets of circles cover.
    #[test]
    fn three_bands_have_seven_parts() {
        let areas = [0.1, 0.05, 0.02, 0.04, 0.08, 0.01, 0.16];
        let subsets = band_subsets(3).unwrap();
        assert_eq!(subsets, [vec![0], vec![1], vec![2], vec![0, 1], vec![0, 2], vec![1, 2], vec![0, 1, 2]]);
        let covered = |bands: &Vec<usize>| {
            let meets = |region: &Vec<usize>| region.iter().any(|band| bands.contains(band));
            vec![Some(subsets.iter().zip(areas).filter(|(region, _)| meets(region)).map(|(_, area)| area).sum())]
        };
        let partition = partition_variance(3, &subsets.iter().map(covered).collect::<Vec<_>>()).unwrap();
        for (part, area) in partition.parts.iter().zip(areas) {
            assert!((part.r2[0].unwrap() - area).abs() < 1e-15, "{part:?}");
        }
    }

    #[test]
    fn negative_and_absent_parts_are_reported() {
        let r2 = [vec![Some(0.5), None], vec![Some(0.25), Some(0.1)], vec![Some(0.375), Some(0.1)]];
        let partition = partition_variance(2, &r2).unwrap();
        let expected = [
            PartitionWarning::NegativeShare { bands: vec![1], n_targets: 1 },
            PartitionWarning::AbsentFits { n_targets: 1 },
        ];
        assert_eq!(partition.warnings, expected);
        assert!(partition.parts.iter().all(|part| part.r2[1].is_none()) && partition.joint[1].is_none());
        assert_eq!(serde_json::to_string(&expected[0]).unwrap(), r#"{"negative-share":{"bands":[1],"n_targets":1}}"#);
    }

    #[test]
    fn wrong_input_is_refused() {
        assert!(matches!(band_subsets(1), Err(MathError::TooFew { found: 1, .. })));
        assert!(matches!(band_subsets(4), Err(MathError::TooMany { found: 4, .. })));
        assert!(matches!(partition_variance(2, &[vec![], vec![]]), Err(MathError::Shape { found: 2, .. })));
        let ragged = [vec![Some(0.1)], vec![], vec![Some(0.1)]];
        assert!(matches!(partition_variance(2, &ragged), Err(MathError::Shape { .. })));
        let broken = [vec![Some(0.1)], vec![Some(f64::NAN)], vec![Some(0.1)]];
        assert!(matches!(partition_variance(2, &broken), Err(MathError::NotFinite { row: 1, column: 0, .. })));
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_joint_r2(
            n_bands in 2usize..4, scores in prop::collection::vec(-0.5f64..1.0, 7),
        ) {
            let n_subsets = (1 << n_bands) - 1;
            let r2: Vec<_> = scores[..n_subsets].iter().map(|&s| vec![Some(s)]).collect();
            let partition = partition_variance(n_bands, &r2).unwrap();
            let sum: f64 = partition.parts.iter().map(|part| part.r2[0].unwrap()).sum();
            prop_assert!((sum - partition.joint[0].unwrap()).abs() < 1e-12);
        }
    }
}
