//! File names and folders of BIDS datasets and derivatives.
//!
//! Owns the entities of a file name ([`Entities`]), `dataset_description.json` ([`description`]), and the search for the
//! files of a subject's runs ([`find_runs`], in [`runs`]): which files answer a [`RunQuery`] ([`query`]), what lies beside
//! them (`companions`) and what holds for them from further up (`inherit`). Reads no images and no tables; for what is
//! done with the files found see [`crate::brain::prepare`].

mod companions;
pub mod description;
mod inherit;
pub mod query;
pub mod runs;

use std::cmp::Ordering;
use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

pub use super::runs::RunFiles;
pub use description::{DatasetDescription, DescriptionWarning, Generator, SourceDataset, describe};
pub use query::RunQuery;
pub use runs::find_runs;

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
        fn any_name_comes_apart_or_says_why(name in "\\PC{0,30}", task in "[_a-z0-9.-]{0,20}") {
            for name in [name, format!("sub-01_{task}.nii")] {
                match Entities::parse(&name) {
                    Ok(entities) => prop_assert_eq!(entities.to_string(), name),
                    Err(error) => {
                        let is_told = matches!(error, BidsError::Name { .. });
                        prop_assert!(is_told);
                    }
                }
            }
        }

        #[test]
        fn natural_order_sorts_any_names(names in proptest::collection::vec("[a0-2_é]{0,6}", 3)) {
            let [a, b, c] = [&names[0], &names[1], &names[2]];
            prop_assert_eq!(natural_order(a, b), natural_order(b, a).reverse());
            prop_assert_eq!(natural_order(a, b) == Ordering::Equal, a == b);
            if natural_order(a, b).is_le() && natural_order(b, c).is_le() {
                prop_assert!(natural_order(a, c).is_le());
            }
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
}
