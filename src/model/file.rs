//! Reading small foreign files without trusting their size.
//!
//! Owns the size limits of JSON files in a model folder. Weights are not read through here: see
//! `weights.rs`, which maps them.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::error::ModelError;
use crate::format::memory::{afford_json, read_within};

/// The most that a configuration or an index may hold. Honest ones stay below 1 MB.
pub const CONFIG_LIMIT_BYTES: u64 = 16 << 20;

/// The most that a tokenizer may hold. CLIP's has 2 MB, the largest multilingual ones 30 MB.
pub const TOKENIZER_LIMIT_BYTES: u64 = 128 << 20;

/// Reads a whole file of at most `limit_bytes`.
///
/// # Errors
/// The file cannot be read or is larger.
pub fn read_bounded(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, ModelError> {
    read_within(path, limit_bytes).map_err(|error| match error.kind() {
        // A file that goes on has at least one byte more.
        io::ErrorKind::FileTooLarge => {
            let told_bytes = path.metadata().map_or(0, |facts| facts.len());
            ModelError::TooLarge { path: path.to_owned(), size_bytes: told_bytes.max(limit_bytes + 1), limit_bytes }
        }
        _ => ModelError::read(path)(error),
    })
}

/// Reads a JSON file of at most [`CONFIG_LIMIT_BYTES`].
///
/// # Errors
/// The file cannot be read, is larger, or is not JSON of this type.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ModelError> {
    read_json_within(path, CONFIG_LIMIT_BYTES)
}

/// Reads a JSON file of at most `limit_bytes`.
///
/// # Errors
/// The file cannot be read, is larger, or is not JSON of this type.
pub fn read_json_within<T: DeserializeOwned>(path: &Path, limit_bytes: u64) -> Result<T, ModelError> {
    let bytes = read_bounded(path, limit_bytes)?;
    afford_json(path, &bytes)?;
    serde_json::from_slice(&bytes).map_err(|error| ModelError::malformed(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oversized_files_are_refused_before_they_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, [b'1'; 9]).unwrap();
        assert_eq!(read_bounded(&path, 9).unwrap().len(), 9);
        let refused = read_bounded(&path, 8).unwrap_err().to_string();
        assert!(refused.ends_with("has 9 bytes: expected at most 8"), "{refused}");
        assert!(read_bounded(folder.path(), 8).is_err());
    }
}
