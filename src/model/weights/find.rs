//! Which files of a folder are a model's weights.
//!
//! Owns the names that downloads have, one file or several behind an index. Opens none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::error::ModelError;
use super::super::file::read_json;

/// The files that hold all tensors, and those that say which files do, in the order in which they are looked for.
pub(super) const SINGLE_FILES: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// The files that say in which file each tensor stands.
pub(super) const INDEX_FILES: [&str; 2] = ["model.safetensors.index.json", "pytorch_model.bin.index.json"];

/// Endings of files that may hold tensors under any name.
const ENDINGS: [&str; 5] = ["safetensors", "ckpt", "pt", "pth", "bin"];

/// No model is cut into more files; each costs a mapping.
const SHARD_LIMIT: usize = 4096;

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

/// The folder, the index and the files of a model's weights.
pub(super) fn find(path: &Path) -> Result<(PathBuf, Option<String>, Vec<String>), ModelError> {
    if !path.is_dir() {
        std::fs::metadata(path).map_err(ModelError::read(path))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Ok((folder.to_owned(), None, vec![name]));
    }
    for (single, index) in SINGLE_FILES.into_iter().zip(INDEX_FILES) {
        if path.join(single).is_file() {
            return Ok((path.to_owned(), None, vec![single.to_owned()]));
        }
        if path.join(index).is_file() {
            return Ok((path.to_owned(), Some(index.to_owned()), shard_names(&path.join(index))?));
        }
    }
    let entries = std::fs::read_dir(path).map_err(ModelError::read(path))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter(|name| name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))).collect();
    names.sort();
    match names.len() {
        0 => Err(ModelError::NoWeights { folder: path.to_owned() }),
        1 => Ok((path.to_owned(), None, names)),
        _ => Err(ModelError::ManyWeights { folder: path.to_owned(), names }),
    }
}

fn shard_names(path: &Path) -> Result<Vec<String>, ModelError> {
    let index: ShardIndex = read_json(path)?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    let is_plain = |name: &str| {
        let known = name.ends_with(".safetensors") || name.ends_with(".bin");
        known && !name.contains(['/', '\\']) && !name.starts_with('.')
    };
    // A name with a separator could point out of the folder.
    if let Some(name) = names.iter().find(|name| !is_plain(name)) {
        return Err(ModelError::malformed(path, format!("shard `{name}` is no plain file name")));
    }
    if names.is_empty() || names.len() > SHARD_LIMIT {
        let message = format!("{} shards: expected 1 to {SHARD_LIMIT}", names.len());
        return Err(ModelError::malformed(path, message));
    }
    Ok(names.into_iter().collect())
}
