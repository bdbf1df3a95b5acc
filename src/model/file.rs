//! Reading small foreign files without trusting their size.
//!
//! Owns the size limits of JSON files in a model folder. Weights are not read through here: see
//! `weights.rs`, which maps them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::error::ModelError;
use crate::format::memory::{afford, afford_json};

/// The most that a configuration or an index may hold. Honest ones stay below 1 MB.
pub const CONFIG_LIMIT_BYTES: u64 = 16 << 20;

/// The most that a tokenizer may hold. CLIP's has 2 MB, the largest multilingual ones 30 MB.
pub const TOKENIZER_LIMIT_BYTES: u64 = 128 << 20;

/// Reads a whole file of at most `limit_bytes`.
///
/// # Errors
/// The file cannot be read or is larger.
pub fn read_bounded(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, ModelError> {
    let file = File::open(path).map_err(ModelError::read(path))?;
    let size_bytes = file.metadata().map_err(ModelError::read(path))?.len();
    let too_large = |size_bytes| ModelError::TooLarge { path: path.to_owned(), size_bytes, limit_bytes };
    if size_bytes > limit_bytes {
        return Err(too_large(size_bytes));
    }
    afford(path, size_bytes.into(), || format!("{size_bytes} bytes"))?;
    let mut bytes = Vec::new();
    // Pipes and growing files report a size that means nothing, hence the second bound.
    let n_read = file.take(limit_bytes + 1).read_to_end(&mut bytes);
    let n_read = n_read.map_err(ModelError::read(path))? as u64;
    if n_read > limit_bytes { Err(too_large(n_read)) } else { Ok(bytes) }
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
