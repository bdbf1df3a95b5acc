//! `dataset_description.json`: what a dataset is, what it was made from and by which program.
//!
//! A study can do without it, so [`describe`] turns whatever is wrong with it into a warning; [`DatasetDescription::read`]
//! is for those who need it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::BidsError;
use crate::format::annex::{Unfetched, unfetched};

/// Version of the standard that written datasets follow.
const BIDS_VERSION: &str = "1.8.0";
const BYTE_ORDER_MARK: char = '\u{feff}';
/// Longest JSON file read; real ones have a few kilobytes.
const MAX_JSON_BYTES: u64 = 16 << 20;

/// The contents of `dataset_description.json` that matter here; unknown keys are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DatasetDescription {
    /// Name of the dataset.
    pub name: String,
    /// Version of the standard.
    #[serde(rename = "BIDSVersion")]
    pub bids_version: String,
    /// `raw` or `derivative`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_type: Option<String>,
    /// The programs that made it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generated_by: Vec<Generator>,
    /// The program that made it, as versions of the standard before 1.4 wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline_description: Option<Generator>,
    /// The datasets it was made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_datasets: Vec<SourceDataset>,
}

/// A program that made a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Generator {
    /// Name of the program.
    pub name: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl fmt::Display for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{} {version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A dataset that another was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDataset {
    /// Where it is.
    #[serde(default, rename = "URL", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its digital object identifier.
    #[serde(default, rename = "DOI", skip_serializing_if = "Option::is_none")]
    pub doi: Option<String>,
    /// Its version.
    #[serde(default, rename = "Version", skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl DatasetDescription {
    /// The description of derivatives made by this program.
    pub fn derivative(name: &str) -> Self {
        let program =
            Generator { name: env!("CARGO_PKG_NAME").to_owned(), version: Some(env!("CARGO_PKG_VERSION").to_owned()) };
        DatasetDescription {
            name: name.to_owned(),
            bids_version: BIDS_VERSION.to_owned(),
            dataset_type: Some("derivative".to_owned()),
            generated_by: vec![program],
            pipeline_description: None,
            source_datasets: Vec::new(),
        }
    }

    /// The programs that made the dataset, whichever way they were written down.
    pub fn programs(&self) -> impl Iterator<Item = &Generator> {
        self.generated_by.iter().chain(&self.pipeline_description)
    }

    /// Writes `dataset_description.json` into the folder `root`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, root: &Path) -> Result<(), BidsError> {
        let path = root.join("dataset_description.json");
        let text =
            serde_json::to_string_pretty(self).map_err(|source| BidsError::Json { path: path.clone(), source })?;
        std::fs::write(&path, text + "\n").map_err(|source| BidsError::Io { path, source })
    }

    /// Reads `dataset_description.json` from the folder `root`.
    ///
    /// # Errors
    /// If the file cannot be read or lacks `Name` or `BIDSVersion`.
    pub fn read(root: &Path) -> Result<Self, BidsError> {
        let path = root.join("dataset_description.json");
        let text = json_text(&path).map_err(|source| BidsError::Io { path: path.clone(), source })?;
        serde_json::from_str(&text).map_err(|source| BidsError::Json { path, source })
    }
}

/// The text of a JSON file, which must not be longer than such files are.
pub(super) fn json_text(path: &Path) -> io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    // Opening a pipe or a device would wait, or never end.
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if metadata.len() > MAX_JSON_BYTES {
        let found_bytes = metadata.len();
        return Err(io::Error::other(format!("{found_bytes} bytes long, a JSON file may have {MAX_JSON_BYTES}")));
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_JSON_BYTES).read_to_string(&mut text)?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.remove(0);
    }
    Ok(text)
}

/// Why nothing is known about where a dataset comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DescriptionWarning {
    /// There is no `dataset_description.json`.
    Missing {
        /// The dataset.
        root: PathBuf,
    },
    /// It is named by version control but not fetched.
    Unfetched(Unfetched),
    /// It cannot be understood.
    Broken {
        /// What is wrong with it; names the file.
        reason: String,
    },
}

impl fmt::Display for DescriptionWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DescriptionWarning::Missing { root } => write!(
                f,
                "`{}` has no `dataset_description.json`: which program made it is not recorded",
                root.display()
            ),
            DescriptionWarning::Unfetched(file) => {
                write!(f, "{file}; which program made the dataset is not recorded")
            }
            DescriptionWarning::Broken { reason } => {
                write!(f, "{reason}; which program made the dataset is not recorded")
            }
        }
    }
}

/// The description of the dataset at `root`.
///
/// # Errors
/// With a warning if it is missing, not fetched or broken: none of that stops a study.
pub fn describe(root: &Path) -> Result<DatasetDescription, DescriptionWarning> {
    let path = root.join("dataset_description.json");
    if let Some(file) = unfetched(&path) {
        return Err(DescriptionWarning::Unfetched(file));
    }
    if !path.is_file() {
        return Err(DescriptionWarning::Missing { root: root.to_owned() });
    }
    DatasetDescription::read(root).map_err(|error| DescriptionWarning::Broken { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, Result<DatasetDescription, DescriptionWarning>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dataset_description.json"), text).unwrap();
        let found = describe(folder.path());
        (folder, found)
    }

    #[test]
    fn description_round_trips() {
        let folder = tempfile::tempdir().unwrap();
        let written = DatasetDescription::derivative("simulated");
        written.write(folder.path()).unwrap();
        assert_eq!(DatasetDescription::read(folder.path()).unwrap(), written);
        std::fs::write(folder.path().join("dataset_description.json"), "{}").unwrap();
        assert!(DatasetDescription::read(folder.path()).unwrap_err().to_string().contains("`Name`"));
    }

    #[test]
    fn programs_of_new_and_old_derivatives_are_read() {
        let new = r#"{"Name": "fMRIPrep - fMRI PREProcessing workflow", "BIDSVersion": "1.4.0", "DatasetType": "derivative",
            "GeneratedBy": [{"Name": "fMRIPrep", "Version": "23.2.1", "CodeURL": "https://example.org"}],
            "SourceDatasets": [{"URL": "https://doi.org/10.0/x", "DOI": "10.0/x"}], "HowToAcknowledge": "y"}"#;
        let found = written(new).1.unwrap();
        assert_eq!(found.programs().map(ToString::to_string).collect::<Vec<_>>(), ["fMRIPrep 23.2.1"]);
        assert_eq!(found.source_datasets[0].doi.as_deref(), Some("10.0/x"));
        let old =
            r#"{"Name": "x", "BIDSVersion": "1.1.1", "PipelineDescription": {"Name": "fMRIPrep", "Version": "1.4.1"}}"#;
        assert_eq!(written(old).1.unwrap().programs().next().unwrap().to_string(), "fMRIPrep 1.4.1");
    }

    #[test]
    fn byte_order_marks_are_passed_over() {
        assert_eq!(written("\u{feff}{\"Name\": \"x\", \"BIDSVersion\": \"1\"}").1.unwrap().name, "x");
    }

    #[test]
    fn missing_and_broken_descriptions_are_warnings() {
        let folder = tempfile::tempdir().unwrap();
        let warning = describe(folder.path()).unwrap_err();
        assert!(matches!(warning, DescriptionWarning::Missing { .. }));
        assert!(warning.to_string().contains("has no `dataset_description.json`"), "{warning}");
        for text in ["{", "[]", "{\"Name\": 3, \"BIDSVersion\": \"1\"}", ""] {
            let warning = written(text).1.unwrap_err();
            assert!(matches!(warning, DescriptionWarning::Broken { .. }), "{text}");
            assert!(warning.to_string().contains("dataset_description.json`"), "{warning}");
        }
        assert!(matches!(written("/annex/objects/K\n").1, Err(DescriptionWarning::Unfetched(_))));
    }
}
