//! Template spaces by name: whether an atlas and a series were brought to the same brain.
//!
//! Owns what file names say about it (`space-`, `tpl-`) and which names mean one template. Affines cannot tell: the
//! templates of a family share their grid while the brains in them differ by millimetres. Where voxels lie is
//! [`super::grid`]'s business.

use std::fmt;
use std::path::Path;

use thiserror::Error;

/// Names of one template, lower case; the first is the name in the BIDS standard.
///
/// FSL's `MNI152_T1_2mm` is the sixth-generation nonlinear asymmetric average, which HCP registers to as well. It is not
/// `MNI152NLin2009cAsym`, fMRIPrep's default: the two brains differ by millimetres.
const ALIASES: [&[&str]; 1] =
    [&["mni152nlin6asym", "mni152", "fslmni152", "fsl_mni152", "mninonlinear", "mni152_t1_2mm", "mni152_t1_1mm"]];
/// Spaces that each subject has one of.
const INDIVIDUAL: [&str; 7] = ["t1w", "t2w", "func", "boldref", "anat", "individual", "native"];

/// Two files lie in different spaces.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error(
    "the atlas is in space `{atlas}` and the series in `{series}`: take the atlas in the space of the series, or state that it lies there with `space = \"{series}\"`"
)]
pub struct SpaceMismatch {
    /// The space of the atlas.
    pub atlas: String,
    /// The space of the series.
    pub series: String,
}

/// What is known about the spaces of an atlas and a series that are not known to differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpaceAgreement {
    /// Both name the same template.
    Same,
    /// The study states a space that the name of the atlas contradicts; the statement is believed.
    Stated {
        /// The space in the file name of the atlas.
        declared: String,
        /// The space that the study states.
        stated: String,
    },
    /// One of them or both do not say.
    Unknown {
        /// The space of the atlas.
        atlas: Option<String>,
        /// The space of the series.
        series: Option<String>,
    },
    /// Both lie in the space of some subject, but not in that of the same.
    Individual {
        /// The space.
        space: String,
    },
}

impl SpaceAgreement {
    /// Whether a reader of the results should know about it.
    pub fn is_caveat(&self) -> bool {
        *self != SpaceAgreement::Same
    }
}

impl fmt::Display for SpaceAgreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpaceAgreement::Same => write!(f, "atlas and series are in one space"),
            SpaceAgreement::Stated { declared, stated } => {
                write!(f, "the atlas is named after space `{declared}`, the study states that it is in `{stated}`")
            }
            SpaceAgreement::Unknown { atlas: None, series: None } => {
                write!(f, "neither atlas nor series says which space it is in")
            }
            SpaceAgreement::Unknown { atlas: Some(atlas), .. } => {
                write!(f, "the atlas is in space `{atlas}`, the series does not say")
            }
            SpaceAgreement::Unknown { series: Some(series), .. } => {
                write!(f, "the series is in space `{series}`, the atlas does not say")
            }
            SpaceAgreement::Individual { space } => {
                write!(f, "atlas and series are in `{space}` of a subject, the names do not say of the same")
            }
        }
    }
}

/// The space that a file name declares by `space-`, or else by `tpl-`.
///
/// Names need not be valid BIDS otherwise; a folder's name is not looked at.
pub fn declared_space(path: &Path) -> Option<String> {
    entity(path, "space").or_else(|| entity(path, "tpl"))
}

/// Compares the space of an atlas with that of a series.
///
/// `known` is the space of the series as its folder has it, where its name need not say it; `stated` is the space of the atlas as
/// the study gives it, which overrules its file name. Upper and lower case do not
/// matter, and all names of one template are equal.
///
/// # Errors
/// If both spaces are known and differ.
pub fn compare_spaces(
    atlas: &Path,
    series: &Path,
    known: Option<&str>,
    stated: Option<&str>,
) -> Result<SpaceAgreement, SpaceMismatch> {
    let declared = declared_space(atlas);
    let (of_atlas, of_series) = (
        stated.map(str::to_owned).or_else(|| declared.clone()),
        known.map(str::to_owned).or_else(|| declared_space(series)),
    );
    let (Some(of_atlas), Some(of_series)) = (&of_atlas, &of_series) else {
        return Ok(SpaceAgreement::Unknown { atlas: of_atlas, series: of_series });
    };
    if canonical(of_atlas) != canonical(of_series) {
        return Err(SpaceMismatch { atlas: of_atlas.clone(), series: of_series.clone() });
    }
    if let (Some(declared), Some(stated)) = (declared, stated)
        && canonical(&declared) != canonical(stated)
    {
        return Ok(SpaceAgreement::Stated { declared, stated: stated.to_owned() });
    }
    let same_subject = entity(atlas, "sub").is_some() && entity(atlas, "sub") == entity(series, "sub");
    if INDIVIDUAL.contains(&canonical(of_series).as_str()) && !same_subject && stated.is_none() {
        return Ok(SpaceAgreement::Individual { space: of_series.clone() });
    }
    Ok(SpaceAgreement::Same)
}

fn canonical(space: &str) -> String {
    let lower = space.trim().to_ascii_lowercase();
    match ALIASES.iter().find(|names| names.contains(&lower.as_str())) {
        Some(names) => names[0].to_owned(),
        None => lower,
    }
}

fn entity(path: &Path, key: &str) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    let value = stem.split('_').find_map(|part| part.strip_prefix(key)?.strip_prefix('-'))?;
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(atlas: &str, series: &str, stated: Option<&str>) -> Result<SpaceAgreement, SpaceMismatch> {
        compare_spaces(Path::new(atlas), Path::new(series), None, stated)
    }

    const SERIES: &str = "sub-01_task-movie_run-1_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz";
    const SIXTH: &str = "tpl-MNI152NLin6Asym_res-02_atlas-Schaefer2018_desc-400Parcels17Networks_dseg.nii.gz";

    #[test]
    fn names_declare_spaces() {
        for (name, expected) in [
            (SERIES, Some("MNI152NLin2009cAsym")),
            (SIXTH, Some("MNI152NLin6Asym")),
            ("tpl-A_space-B_dseg.nii.gz", Some("B")),
            ("HarvardOxford-cort-maxprob-thr25-2mm.nii.gz", None),
            ("sub-01_space-_bold.nii.gz", None),
            ("aerospace-x.nii", None),
        ] {
            assert_eq!(declared_space(&Path::new("tpl-Folder").join(name)).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn different_templates_are_a_mismatch_unless_the_study_says_otherwise() {
        assert_eq!(
            compare(SIXTH, SERIES, None).unwrap_err().to_string(),
            "the atlas is in space `MNI152NLin6Asym` and the series in `MNI152NLin2009cAsym`: take the atlas in the space \
             of the series, or state that it lies there with `space = \"MNI152NLin2009cAsym\"`"
        );
        let agreement = compare(SIXTH, SERIES, Some("MNI152NLin2009cAsym")).unwrap();
        assert!(agreement.is_caveat());
        assert_eq!(
            agreement.to_string(),
            "the atlas is named after space `MNI152NLin6Asym`, the study states that it is in `MNI152NLin2009cAsym`"
        );
    }

    #[test]
    fn aliases_are_one_space_but_never_another_generation() {
        assert_eq!(canonical("MNI152NLin6ASym"), canonical("MNI152"));
        assert_eq!(canonical("MNINonLinear"), canonical("MNI152NLin6Asym"));
        for other in ["MNI152NLin2009cAsym", "MNI152NLin6Sym", "MNI152Lin", "MNIPediatricAsym"] {
            assert_ne!(canonical("MNI152"), canonical(other));
        }
        assert_eq!(compare(SIXTH, "x_space-MNI152NLin6ASym_bold.nii", None), Ok(SpaceAgreement::Same));
    }

    #[test]
    fn what_is_not_said_is_a_caveat() {
        let agreement = compare("atlas.nii.gz", SERIES, None).unwrap();
        assert_eq!(agreement.to_string(), "the series is in space `MNI152NLin2009cAsym`, the atlas does not say");
        assert!(compare("atlas.nii.gz", SERIES, Some("MNI152NLin2009cAsym")).is_ok_and(|known| !known.is_caveat()));
        assert!(compare("atlas.nii.gz", SERIES, Some("MNI152")).is_err());
        let film = Path::new("tfMRI_MOVIE1_7T_AP_hp2000_clean.nii.gz");
        let other = Path::new("tpl-MNI152NLin2009cAsym_dseg.nii.gz");
        assert!(compare_spaces(other, film, Some("MNI152NLin6Asym"), None).is_err());
        assert_eq!(compare_spaces(Path::new(SIXTH), film, Some("MNI152NLin6Asym"), None), Ok(SpaceAgreement::Same));
        let (own, other) = ("sub-01_space-T1w_dseg.nii.gz", "sub-02_space-T1w_dseg.nii.gz");
        assert_eq!(compare(own, "sub-01_space-T1w_bold.nii.gz", None), Ok(SpaceAgreement::Same));
        assert!(matches!(compare(other, "sub-01_space-T1w_bold.nii.gz", None), Ok(SpaceAgreement::Individual { .. })));
    }
}
