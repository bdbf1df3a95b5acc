//! What a key led to.

use super::{
    Digest,
    seal::{sealed, unsealed},
};
use serde::{Deserialize, Serialize};

/// One file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Path inside the artifact, with `/`.
    pub path: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// BLAKE3 of the bytes.
    pub digest: Digest,
}

/// What a finished computation leaves behind beside its artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Key over parameters, files and the recipe keys of the inputs.
    pub recipe: Digest,
    /// Key over parameters, files and the output digests of the inputs.
    pub content: Digest,
    /// Digest of the artifact.
    pub output: Digest,
    /// The artifact's files.
    pub files: Vec<OutputFile>,
    /// The key's fields, as the plan wrote them.
    pub manifest: serde_json::Value,
    /// How the computation went; never part of a key.
    pub run: RunFacts,
}

/// Circumstances of one computation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Seconds of wall time.
    pub seconds: f64,
    /// Version of the program.
    pub program: String,
    /// When it finished, seconds since 1970.
    pub finished_unix_s: u64,
}

impl Record {
    /// The same result, reached by another recipe.
    #[must_use]
    pub fn under(self, recipe: Digest, manifest: serde_json::Value) -> Self {
        Self { recipe, manifest, ..self }
    }

    /// Bytes of the artifact's files together.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// The bytes of its file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        sealed(self)
    }

    /// The record in the file of `key`, or what is wrong with it.
    pub(super) fn from_bytes(bytes: &[u8], key: &Digest) -> Result<Self, String> {
        let record: Self = unsealed(bytes)?;
        if record.output != digest_of(&record.files) {
            return Err("its files do not give its artifact's name".to_owned());
        }
        if ![record.recipe, record.content].contains(key) {
            return Err("it belongs to another key".to_owned());
        }
        Ok(record)
    }
}

/// The digest of an artifact: over path, size and digest of each file, length-prefixed.
pub(super) fn digest_of(files: &[OutputFile]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for file in files {
        hasher.update(&(file.path.len() as u64).to_le_bytes());
        hasher.update(file.path.as_bytes());
        hasher.update(&file.size_bytes.to_le_bytes());
        hasher.update(file.digest.as_bytes());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let files = vec![OutputFile { path: "a.tsv".into(), size_bytes: 1, digest: Digest::of(b"a") }];
        Record {
            recipe: Digest::of(b"recipe"),
            content: Digest::of(b"content"),
            output: digest_of(&files),
            files,
            manifest: serde_json::json!({ "kind": "encode" }),
            run: RunFacts { seconds: 0.1 + 0.2, program: "0.1.0".into(), finished_unix_s: 7 },
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_under_both_keys_and_no_other() {
        let bytes = record().to_bytes();
        for key in [b"recipe".as_slice(), b"content"] {
            assert_eq!(Record::from_bytes(&bytes, &Digest::of(key)), Ok(record()));
        }
        assert_eq!(Record::from_bytes(&bytes, &Digest::of(b"else")), Err("it belongs to another key".to_owned()));
    }

    #[test]
    fn a_record_from_before_seals_is_believed_if_it_agrees_with_itself() {
        let whole = serde_json::to_string_pretty(&record()).expect("plain data");
        let read = |text: &str| Record::from_bytes(text.as_bytes(), &Digest::of(b"content"));
        assert_eq!(read(&whole), Ok(record()));
        assert!(read(&whole.replace("a.tsv", "b.tsv")).is_err());
    }
}
