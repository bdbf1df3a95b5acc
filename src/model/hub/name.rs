//! How a study names a model of a hub. Owns the form `hf:OWNER/NAME@REVISION`; asks nobody whether there is one.

use super::HubError;
use std::{fmt, str::FromStr};

/// What a study's text begins with if it names a model of a hub.
const SCHEME: &str = "hf:";

/// Characters of an owner's or a repository's name, by the hub's rules.
const MOST_LETTERS: usize = 96;

/// A model of a hub, at one commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HubModel {
    /// `OWNER/NAME@COMMIT`.
    name: String,
}

impl HubModel {
    /// Whether a text is meant to name a model of a hub rather than a folder.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// The repository, such as `openai/clip-vit-base-patch32`.
    pub fn repository(&self) -> &str {
        self.parts().0
    }

    /// The commit: 40 hexadecimal digits in lower case.
    pub fn revision(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.name.split_once('@').expect("there is one in every name that was read")
    }
}

impl FromStr for HubModel {
    type Err = HubError;

    fn from_str(given: &str) -> Result<Self, HubError> {
        let wrong = |problem| HubError::Name { given: given.to_owned(), problem };
        let name = given.strip_prefix(SCHEME).ok_or_else(|| wrong("it does not begin with `hf:`"))?;
        let (repository, revision) = match name.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision)),
            None => (name, None),
        };
        let parts: Vec<&str> = repository.split('/').collect();
        if parts.len() > 2 {
            return Err(wrong("it has more than an owner and a name"));
        }
        if !parts.iter().all(|part| is_name(part)) {
            return Err(wrong(
                "an owner or name has 1 to 96 letters, digits, `-`, `_`, `.`, no two of `-` or `.` in a row",
            ));
        }
        match revision {
            Some(revision) if revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Ok(Self { name: format!("{repository}@{}", revision.to_ascii_lowercase()) })
            }
            _ => Err(HubError::Unpinned {
                given: given.to_owned(),
                repository: repository.to_owned(),
                revision: revision.filter(|revision| !revision.is_empty()).map(str::to_owned),
            }),
        }
    }
}

impl fmt::Display for HubModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.name)
    }
}

fn is_name(part: &str) -> bool {
    let edge = ['-', '.'];
    (1..=MOST_LETTERS).contains(&part.len())
        && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
        && !part.starts_with(edge)
        && !part.ends_with(edge)
        && !part.contains("--")
        && !part.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268";

    #[test]
    fn a_pinned_name_is_read_and_written_alike() {
        for repository in ["openai/clip-vit-base-patch32", "roberta-base", "a/b_c.d"] {
            let text = format!("hf:{repository}@{COMMIT}");
            let model: HubModel = text.parse().unwrap();
            assert_eq!((model.repository(), model.revision()), (repository, COMMIT));
            assert_eq!(model.to_string(), text);
        }
        let upper = format!("hf:a/b@{}", COMMIT.to_uppercase());
        assert_eq!(upper.parse::<HubModel>().unwrap().revision(), COMMIT);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for repository in ["", "/", "a/", "../b", "a/..", "a/b/c", "a b", "a/-b", "a/b--c", "a/b?x", "ä/b"] {
            let refused = format!("hf:{repository}@{COMMIT}").parse::<HubModel>();
            assert!(matches!(refused, Err(HubError::Name { .. })), "{repository}");
        }
        assert!(format!("a/b@{COMMIT}").parse::<HubModel>().is_err());
    }

    #[test]
    fn a_revision_that_may_move_is_refused_with_where_to_find_one_that_does_not() {
        for (given, expected) in [
            ("hf:a/b", "`hf:a/b` has no revision: expected the 40 hexadecimal digits of a commit"),
            ("hf:a/b@", "`hf:a/b@` has no revision"),
            ("hf:a/b@main", "`hf:a/b@main` has revision `main`, which may move"),
            ("hf:a/b@3d74acf", "has revision `3d74acf`, which may move"),
        ] {
            let message = given.parse::<HubModel>().unwrap_err().to_string();
            assert!(message.starts_with(expected) || message.contains(expected), "{message}");
            assert!(message.contains("git ls-remote https://huggingface.co/a/b main"), "{message}");
        }
    }
}
