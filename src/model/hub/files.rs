//! Which files of a repository a model needs. Owns their names; knows neither the network nor the cache.

use super::{HubError, HubModel};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The file without which nothing is a model.
pub(super) const CONFIG: &str = "config.json";

/// Files that some models need, and others do not have.
pub(super) const OPTIONAL: [&str; 7] = [
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
];

/// Files that weights are in, the best first: of each kind one, or an index of several.
pub(super) const WEIGHTS: [&str; 4] =
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// Bytes of a file of text: the largest tokenizers have 40 MB.
pub(super) const MOST_TEXT_BYTES: u64 = 1 << 28;

/// Bytes of an index: those of the largest models have 3 MB.
pub(super) const MOST_INDEX_BYTES: u64 = 1 << 24;

/// Bytes of a file of weights.
pub(super) const MOST_WEIGHT_BYTES: u64 = 1 << 40;

/// Files that weights may be cut into.
const MOST_SHARDS: usize = 4096;

/// Whether a file only says in which others the weights are.
pub(super) fn is_index(name: &str) -> bool {
    name.ends_with(".index.json")
}

/// The file with the weights, of those that a repository has.
pub(super) fn choose_weights(found: &[String], model: &HubModel) -> Result<&'static str, HubError> {
    let chosen = WEIGHTS.into_iter().find(|name| found.iter().any(|found| found == name));
    chosen.ok_or_else(|| HubError::NoFile { model: model.clone(), file: WEIGHTS[0].to_owned(), found: found.to_vec() })
}

/// The files that an index names.
///
/// # Errors
/// Says what is wrong with the index.
pub(super) fn shards(index: &[u8]) -> Result<BTreeSet<String>, String> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index: Index = serde_json::from_slice(index).map_err(|error| error.to_string())?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    if let Some(name) = names.iter().find(|name| !is_plain(name)) {
        return Err(format!("shard `{name}` is no plain file name"));
    }
    if !(1..=MOST_SHARDS).contains(&names.len()) {
        return Err(format!("it names {} shards: expected 1 to {MOST_SHARDS}", names.len()));
    }
    Ok(names)
}

/// Whether a name is that of a file beside the index, in a cache as in an address.
fn is_plain(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    letters && !name.starts_with('.') && (name.ends_with(".safetensors") || name.ends_with(".bin")) && name.len() <= 200
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safetensors_are_taken_before_pickles() {
        let model = "hf:a/b@3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268".parse().unwrap();
        let choose = |found: &[&str]| {
            let found: Vec<String> = found.iter().map(|&name| name.to_owned()).collect();
            choose_weights(&found, &model).map_err(|error| error.to_string())
        };
        assert_eq!(choose(&["pytorch_model.bin", "model.safetensors.index.json"]), Ok("model.safetensors.index.json"));
        assert_eq!(choose(&["model.safetensors", "pytorch_model.bin"]), Ok("model.safetensors"));
        assert_eq!(choose(&["pytorch_model.bin", "flax_model.msgpack"]), Ok("pytorch_model.bin"));
        let refused = choose(&["model.gguf", "README.md"]).unwrap_err();
        assert!(
            refused.ends_with("has no file `model.safetensors`, which a model needs: it has `model.gguf`, `README.md`")
        );
    }

    #[test]
    fn an_index_names_files_beside_it_and_no_others() {
        let named = |name: &str| shards(format!(r#"{{"weight_map": {{"a": "{name}", "b": "{name}"}}}}"#).as_bytes());
        assert_eq!(named("model-00001-of-00002.safetensors").unwrap().len(), 1);
        for name in ["../a.safetensors", "/a.safetensors", ".safetensors", "a.sh", "a?.bin", "a/b.bin", ""] {
            assert!(named(name).is_err(), "{name}");
        }
        assert!(shards(b"{\"weight_map\": {}}").is_err());
        assert!(shards(b"[").is_err());
    }
}
