//! What the name of an HCP series tells: `tfMRI_MOVIE1_7T_AP_Atlas_1.6mm_MSMAll_hp2000_clean.dtseries.nii`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::format::runs::SeriesKind;

/// How the surfaces of subjects were aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Registration {
    /// By sulci, myelin and resting-state networks: `MSMAll` in the file name.
    MsmAll,
    /// By sulci alone: nothing in the file name.
    MsmSulc,
}

impl fmt::Display for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Registration::MsmAll => "msm-all",
            Registration::MsmSulc => "msm-sulc",
        })
    }
}

/// The parts of the name of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesName {
    /// The run, such as `tfMRI_MOVIE1_7T_AP`.
    pub run: String,
    /// What the subject did, such as `MOVIE1`.
    pub task: String,
    /// Phase-encoding direction, such as `AP`.
    pub direction: String,
    /// Whether it was scanned at 7 tesla.
    pub is_7t: bool,
    /// Volumes or grayordinates.
    pub kind: SeriesKind,
    /// Distance between grayordinates; empty for volumes.
    pub resolution: String,
    /// How surfaces were aligned; means nothing for volumes.
    pub registration: Registration,
    /// What was cleaned, such as `hp2000_clean`; `raw` if nothing.
    pub processing: String,
}

const MODALITIES: [&str; 2] = ["tfMRI", "rfMRI"];
const DIRECTIONS: [&str; 4] = ["AP", "PA", "LR", "RL"];
/// Grayordinates lie this far apart unless the name says otherwise.
const USUAL_RESOLUTION: &str = "2mm";

impl SeriesName {
    /// Takes a file name apart; `None` if it is not that of a series.
    pub fn parse(file: &str) -> Option<Self> {
        let grayordinates = file.strip_suffix(".dtseries.nii");
        let stem = grayordinates.or_else(|| file.strip_suffix(".nii.gz")).or_else(|| file.strip_suffix(".nii"))?;
        let tokens: Vec<&str> = stem.split('_').collect();
        let run_length = tokens.iter().position(|token| DIRECTIONS.contains(token))? + 1;
        let (run, mut rest) = tokens.split_at(run_length);
        let [modality, task, between @ .., direction] = run else { return None };
        if !MODALITIES.contains(modality) || task.is_empty() {
            return None;
        }
        let is_7t = between.contains(&"7T");
        let (mut resolution, mut registration) = (String::new(), Registration::MsmSulc);
        if grayordinates.is_some() {
            rest = rest.strip_prefix(&["Atlas"])?;
            resolution = USUAL_RESOLUTION.to_owned();
            if let [size, after @ ..] = rest
                && size.ends_with("mm")
            {
                (resolution, rest) = ((*size).to_owned(), after);
            }
            if let ["MSMAll", after @ ..] = rest {
                (registration, rest) = (Registration::MsmAll, after);
            }
        }
        let high_pass = |token: &str| token.strip_prefix("hp").is_some_and(|digits| digits.bytes().all(is_cut_off));
        let is_step = |token: &&str| matches!(*token, "clean" | "rclean" | "tclean") || high_pass(token);
        // What is left names something made from the series: a reference image, a map of means.
        if !rest.iter().all(is_step) {
            return None;
        }
        Some(SeriesName {
            run: run.join("_"),
            task: (*task).to_owned(),
            direction: (*direction).to_owned(),
            is_7t,
            kind: if grayordinates.is_some() { SeriesKind::Grayordinates } else { SeriesKind::Volume },
            resolution,
            registration,
            processing: if rest.is_empty() { "raw".to_owned() } else { rest.join("_") },
        })
    }
}

fn is_cut_off(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'p'
}

/// Whether a folder's name is that of a run.
pub(super) fn is_run(folder: &str) -> bool {
    let tokens: Vec<&str> = folder.split('_').collect();
    matches!(&tokens[..], [modality, _, .., direction] if MODALITIES.contains(modality) && DIRECTIONS.contains(direction))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(file: &str) -> Option<(String, String, String, String)> {
        let name = SeriesName::parse(file)?;
        Some((name.run, name.resolution, name.registration.to_string(), name.processing))
    }

    #[test]
    fn names_of_all_releases_come_apart() {
        for (file, run, resolution, registration, processing) in [
            (
                "tfMRI_MOVIE1_7T_AP_Atlas_1.6mm_MSMAll_hp2000_clean.dtseries.nii",
                "tfMRI_MOVIE1_7T_AP",
                "1.6mm",
                "msm-all",
                "hp2000_clean",
            ),
            ("tfMRI_MOVIE1_7T_AP_Atlas_1.6mm.dtseries.nii", "tfMRI_MOVIE1_7T_AP", "1.6mm", "msm-sulc", "raw"),
            ("tfMRI_MOTOR_LR_Atlas_MSMAll.dtseries.nii", "tfMRI_MOTOR_LR", "2mm", "msm-all", "raw"),
            (
                "rfMRI_REST1_RL_Atlas_MSMAll_hp0_clean_rclean_tclean.dtseries.nii",
                "rfMRI_REST1_RL",
                "2mm",
                "msm-all",
                "hp0_clean_rclean_tclean",
            ),
            ("tfMRI_MOVIE2_7T_PA_hp2000_clean.nii.gz", "tfMRI_MOVIE2_7T_PA", "", "msm-sulc", "hp2000_clean"),
            ("tfMRI_MOTOR_LR.nii.gz", "tfMRI_MOTOR_LR", "", "msm-sulc", "raw"),
        ] {
            let expected = [run, resolution, registration, processing].map(str::to_owned);
            let (a, b, c, d) = parts(file).unwrap();
            assert_eq!([a, b, c, d], expected, "{file}");
        }
    }

    #[test]
    fn other_files_are_no_series() {
        for file in [
            "tfMRI_MOVIE1_7T_AP_SBRef.nii.gz",
            "tfMRI_MOVIE1_7T_AP_Atlas_hp2000_clean_vn.dscalar.nii",
            "tfMRI_MOVIE1_7T_AP_Atlas_mean.dscalar.nii",
            "tfMRI_MOVIE1_7T_AP_hp2000_clean_vn.nii.gz",
            "brainmask_fs.1.60.nii.gz",
            "tfMRI_MOVIE1_7T_AP.dtseries.nii",
            "tfMRI_AP.nii.gz",
            "Movement_Regressors.txt",
        ] {
            assert_eq!(parts(file), None, "{file}");
        }
        assert!(is_run("tfMRI_MOVIE1_7T_AP") && !is_run("tfMRI_MOVIE1") && !is_run("T1w_AP_x"));
    }

    proptest! {
        #[test]
        fn any_name_comes_apart_or_not(file in "(tfMRI_)?\\PC{0,12}(_AP)?(_Atlas)?\\PC{0,8}(.dtseries.nii|.nii.gz)") {
            if let Some(name) = SeriesName::parse(&file) {
                prop_assert!(file.starts_with(&name.run));
            }
        }
    }
}
