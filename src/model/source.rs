//! A model as someone downloaded it: its weights, and what stands beside them.
//!
//! Owns the opening of a folder or of one checkpoint file. Knows no architecture: `architecture/` recognises what is here.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::config::ConfigTable;
use super::error::ModelError;
use super::file::read_json;
use super::weights::Weights;

/// The configuration's file name in a model folder.
pub const CONFIG_FILE: &str = "config.json";

/// An opened model.
pub struct Source {
    /// Its tensors.
    pub weights: Weights,
    config: Option<Value>,
}

impl Source {
    /// Opens a model folder, or one checkpoint whose other files stand in the same folder.
    ///
    /// # Errors
    /// There are no weights, a header is malformed, or `config.json` is there and cannot be read.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let weights = Weights::open(path)?;
        let config = weights.folder().join(CONFIG_FILE);
        let config = if config.is_file() { Some(read_json(&config)?) } else { None };
        Ok(Self { weights, config })
    }

    /// The folder that its files are in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.weights.folder()
    }

    /// `config.json`, if there is one.
    ///
    /// # Errors
    /// It is no table.
    pub fn config(&self) -> Result<Option<ConfigTable<'_>>, ModelError> {
        self.config.as_ref().map(|config| ConfigTable::of(config, &self.folder().join(CONFIG_FILE))).transpose()
    }

    /// What `config.json` says the model is.
    ///
    /// # Errors
    /// `model_type` is no word.
    pub fn model_type(&self) -> Result<Option<String>, ModelError> {
        match self.config()? {
            Some(config) if config.has("model_type") => config.word("model_type", "").map(Some),
            _ => Ok(None),
        }
    }

    /// A checkpoint's own settings, if it has any, as a table whose mistakes name the checkpoint.
    #[must_use]
    pub fn settings(&self) -> Option<(&Value, PathBuf)> {
        let file = self.weights.file_names().first()?;
        self.weights.settings().map(|settings| (settings, self.folder().join(file)))
    }

    /// The files that a model of this source depends on: weights, configuration, and those named that are there; by name
    /// inside the folder, sorted.
    #[must_use]
    pub fn files(&self, beside: &[&str]) -> Vec<String> {
        let mut files = self.weights.file_names().to_vec();
        let beside = beside.iter().chain(&[CONFIG_FILE]).filter(|name| self.folder().join(name).is_file());
        files.extend(beside.map(|name| (*name).to_owned()));
        files.sort();
        files.dedup();
        files
    }
}
