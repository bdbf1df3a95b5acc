//! Turns a module's weights into an ONNX graph whose outputs are the study's units.

use super::{Compute, Kind, TaskError, Workbench};
use crate::model::{self, Module, UnitSelection};
use serde::Serialize;
use std::path::Path;

/// Exports one module. Weights are the input `weights`, or the external files `weights` of one folder.
#[derive(Debug, Serialize)]
pub struct Export {
    /// The model's name: it begins the name of every unit.
    pub model: String,
    /// The module.
    pub module: Module,
    /// Which activations are units.
    pub units: UnitSelection,
    /// Bytes of the module's weights.
    #[serde(skip)] // follows from the weights
    pub weights_bytes: u64,
}

impl Compute for Export {
    const KIND: Kind = Kind::Export;

    fn memory_bytes(&self) -> u64 {
        // Tensors are copied one by one; the largest is seldom a quarter of all.
        self.weights_bytes / 4 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let folder = match bench.files("weights") {
            [file, ..] => file.parent().unwrap_or(Path::new("")),
            [] => bench.input("weights"),
        };
        model::export(folder, &self.model, self.module, &self.units, bench.out)?;
        Ok(())
    }
}
