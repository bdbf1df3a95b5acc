//! Turns a module's weights into an ONNX graph whose outputs are the study's units.

use super::{Compute, Kind, TaskError, Workbench};
use crate::model::{self, Module, OpenModel, UnitSelection};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Exports one module. Weights are the input `weights`, or the external files `weights`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Export {
    /// The model's name: it begins the name of every unit.
    pub model: String,
    /// The module.
    pub module: Module,
    /// Which activations are units.
    pub units: UnitSelection,
    /// The model's folder or checkpoint, unless it is the input.
    #[serde(rename = "~place")] // its files' digests are in the key
    pub place: PathBuf,
}

impl Compute for Export {
    const KIND: Kind = Kind::Export;

    fn memory_bytes(&self) -> u64 {
        // Weights stay where they are; a tokenizer is the largest of what is read.
        256 << 20
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let place = if bench.files("weights").is_empty() { bench.input("weights") } else { self.place.as_path() };
        model::export(&OpenModel::open(place)?, &self.model, self.module, &self.units, bench.out)?;
        Ok(())
    }
}
