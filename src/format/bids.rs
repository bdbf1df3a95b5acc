//! File names and folders of BIDS datasets and derivatives.
//!
//! Owns the entities of a file name ([`Entities`]), `dataset_description.json`, and the search for the files of a
//! subject's runs ([`find_runs`], in [`runs`]). Reads no images and no tables; for what is done with the files found see
//! [`crate::brain::prepare`].

pub mod runs;

use std::cmp::Ordering;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use runs::{RunFiles, RunQuery, find_runs};

/// Version of the standard that written datasets follow.
const BIDS_VERSION: &str = "1.8.0";

/// What can go wrong in a dataset folder.
#[derive(Debug, Error)]
pub enum BidsError {
    /// A file or folder cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A JSON file does not hold what it should.
    #[error("`{}`: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A file name is not made of `key-value` entities and a suffix.
    #[error("`{name}` is not a BIDS file name: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The subject has no folder.
    #[error("`{}` has no folder for subject `{subject}`: it has {}", root.display(), listed(available))]
    NoSubject {
        /// The dataset.
        root: PathBuf,
        /// The subject looked for.
        subject: String,
        /// The subjects there are.
        available: Vec<String>,
    },
    /// No file answers the query.
    #[error("`{}` has no preprocessed BOLD file for {query}: it has {}", root.display(), listed(available))]
    NoRuns {
        /// The dataset.
        root: PathBuf,
        /// The query in words.
        query: String,
        /// The BOLD files of the subject.
        available: Vec<String>,
    },
    /// Several files answer where one was meant.
    #[error("run `{run}` exists with {entity} {}: set `{entity}` to one of them", listed(found))]
    Ambiguous {
        /// The run.
        run: String,
        /// The entity that tells the files apart.
        entity: &'static str,
        /// Its values.
        found: Vec<String>,
    },
    /// A file that a run needs is not beside it.
    #[error("run `{run}` has no {what}: expected `{}`", expected.display())]
    MissingFile {
        /// The run.
        run: String,
        /// What the file is.
        what: &'static str,
        /// Where it should be.
        expected: PathBuf,
    },
    /// A repetition time is not a positive number.
    #[error("`{}` has `RepetitionTime` {found}, expected a positive number of seconds", path.display())]
    RepetitionTime {
        /// The sidecar.
        path: PathBuf,
        /// The value.
        found: f64,
    },
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

/// The parts of a BIDS file name: `sub-01_task-movie_run-1_desc-preproc_bold.nii.gz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entities {
    /// Keys and values in the order of the name.
    pub pairs: Vec<(String, String)>,
    /// What kind of file it is, such as `bold`.
    pub suffix: String,
    /// Everything from the first dot on, such as `.nii.gz`.
    pub extension: String,
}

impl Entities {
    /// Takes a file name apart.
    ///
    /// # Errors
    /// If a part before the suffix is not `key-value`, a key stands twice, or suffix or extension are missing.
    pub fn parse(name: &str) -> Result<Self, BidsError> {
        let error = |reason: String| BidsError::Name { name: name.to_owned(), reason };
        let (stem, extension) = name.split_once('.').ok_or_else(|| error("it has no extension".to_owned()))?;
        let mut parts: Vec<&str> = stem.split('_').collect();
        let suffix = parts.pop().filter(|suffix| !suffix.is_empty() && !suffix.contains('-'));
        let suffix = suffix.ok_or_else(|| error("it does not end in a suffix such as `bold`".to_owned()))?;
        let mut pairs: Vec<(String, String)> = Vec::with_capacity(parts.len());
        for part in parts {
            let (key, value) = part
                .split_once('-')
                .filter(|(key, value)| !key.is_empty() && !value.is_empty())
                .ok_or_else(|| error(format!("`{part}` is not `key-value`")))?;
            if pairs.iter().any(|(known, _)| known == key) {
                return Err(error(format!("`{key}` stands twice")));
            }
            pairs.push((key.to_owned(), value.to_owned()));
        }
        Ok(Entities { pairs, suffix: suffix.to_owned(), extension: format!(".{extension}") })
    }

    /// The value of an entity.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// The same without the entity `key`.
    pub fn without(mut self, key: &str) -> Self {
        self.pairs.retain(|(known, _)| known != key);
        self
    }

    /// The same with `key` set to `value`: in its place if it was there, else at the end.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        match self.pairs.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value.to_owned(),
            None => self.pairs.push((key.to_owned(), value.to_owned())),
        }
        self
    }

    /// The same entities for another kind of file.
    pub fn of_kind(mut self, suffix: &str, extension: &str) -> Self {
        self.suffix = suffix.to_owned();
        self.extension = extension.to_owned();
        self
    }

    /// The entities without suffix and extension: `sub-01_task-movie_run-1`.
    pub fn stem(&self) -> String {
        self.pairs.iter().map(|(key, value)| format!("{key}-{value}")).collect::<Vec<_>>().join("_")
    }
}

impl fmt::Display for Entities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.pairs {
            write!(f, "{key}-{value}_")?;
        }
        write!(f, "{}{}", self.suffix, self.extension)
    }
}

/// Compares texts as people number things: `run-2` before `run-10`.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) {
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (digits_left, rest_left) = leading_digits(left);
            let (digits_right, rest_right) = leading_digits(right);
            let by_value = digits_left.len().cmp(&digits_right.len()).then_with(|| digits_left.cmp(digits_right));
            if by_value != Ordering::Equal {
                return by_value;
            }
            (left, right) = (rest_left, rest_right);
        } else if x == y {
            (left, right) = (&left[x.len_utf8()..], &right[y.len_utf8()..]);
        } else {
            return x.cmp(&y);
        }
    }
    // Equal but for leading zeros falls back on the bytes, so that the order is total.
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// The digits at the start without leading zeros, and what follows them.
fn leading_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

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
        }
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
        let text = std::fs::read_to_string(&path).map_err(|source| BidsError::Io { path: path.clone(), source })?;
        serde_json::from_str(&text).map_err(|source| BidsError::Json { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_come_apart_and_together() {
        let name = "sub-01_task-movie_run-1_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz";
        let entities = Entities::parse(name).unwrap();
        assert_eq!((entities.get("task"), entities.get("ses")), (Some("movie"), None));
        assert_eq!((entities.suffix.as_str(), entities.extension.as_str()), ("bold", ".nii.gz"));
        assert_eq!(entities.to_string(), name);
        let confounds = entities.without("space").with("desc", "confounds").of_kind("timeseries", ".tsv");
        assert_eq!(confounds.to_string(), "sub-01_task-movie_run-1_desc-confounds_timeseries.tsv");
    }

    #[test]
    fn other_names_say_why() {
        for (name, reason) in [
            ("bold", "no extension"),
            ("sub-01.nii", "does not end in a suffix"),
            ("sub01_bold.nii", "`sub01` is not"),
            ("sub-1_sub-2_bold.nii", "`sub` stands twice"),
        ] {
            assert!(Entities::parse(name).unwrap_err().to_string().contains(reason), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_entities_round_trip(pairs in proptest::collection::btree_map("[a-z]{1,5}", "[A-Za-z0-9]{1,6}", 0..5)) {
            let entities = Entities { pairs: pairs.into_iter().collect(), suffix: "bold".to_owned(), extension: ".nii".to_owned() };
            prop_assert_eq!(Entities::parse(&entities.to_string()).unwrap(), entities);
        }

        #[test]
        fn natural_order_is_the_order_of_numbers(a in 0_u32..3000, b in 0_u32..3000) {
            prop_assert_eq!(natural_order(&format!("run-{a}_x"), &format!("run-{b}_x")), a.cmp(&b));
        }
    }

    #[test]
    fn natural_order_tells_leading_zeros_apart() {
        assert_eq!(natural_order("run-01", "run-2"), Ordering::Less);
        assert_ne!(natural_order("run-01", "run-1"), Ordering::Equal);
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
}
