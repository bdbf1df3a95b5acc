//! Writes an untrained model as a Hugging Face folder, so that the next task reads it as it reads a downloaded one.

use super::{Compute, Kind, TaskError, Workbench};
use crate::model::RandomModel;
use serde::{Deserialize, Serialize};

/// Draws random weights of a stated architecture.
#[derive(Debug, Serialize, Deserialize)]
pub struct DrawWeights {
    /// Size and seed of the model.
    pub random: RandomModel,
    /// Bytes of all weights.
    #[serde(rename = "~weights_bytes")] // follows from the size
    pub weights_bytes: u64,
}

impl Compute for DrawWeights {
    const KIND: Kind = Kind::Weights;

    fn memory_bytes(&self) -> u64 {
        self.weights_bytes / 4 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        Ok(self.random.write_random(bench.out)?)
    }
}
