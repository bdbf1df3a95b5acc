//! Runs a module over one shard of stimuli and keeps the value of every unit.

use super::{Compute, Kind, TaskError, Workbench, stimuli::IMAGES};
use crate::{format::npy::MatrixWriter, model::Network, stimulus::Scenes};
use ndarray::Array2;
use serde::Serialize;
use std::path::PathBuf;

/// Stimuli that go through the network at once. Fixed, since the last bits of a result may depend on it.
const BATCH: usize = 16;

/// The matrix of unit values in the artifact: a row for each stimulus, a column for each row of the export's `units.tsv`.
pub const UNITS: &str = "units.npy";

/// Extracts one shard. The graph is the input `network`.
#[derive(Debug, Serialize)]
pub struct Extract {
    /// What goes in.
    pub stimuli: Shard,
    /// Version of ONNX Runtime.
    #[serde(skip)] // the key has it as the engine
    pub runtime: String,
    /// Units of the module.
    #[serde(skip)] // follows from the graph
    pub n_units: usize,
    /// Bytes of the module's weights.
    #[serde(skip)] // follows from the graph
    pub weights_bytes: u64,
}

/// Consecutive stimuli of a study.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shard {
    /// Pictures drawn by the input `stimuli`, by number.
    Scenes {
        /// The first.
        first: usize,
        /// How many.
        n: usize,
    },
    /// The external files `images`.
    Images {
        /// How many.
        n: usize,
    },
    /// Captions or words.
    Texts(Vec<String>),
}

impl Shard {
    fn len(&self) -> usize {
        match self {
            Self::Scenes { n, .. } | Self::Images { n } => *n,
            Self::Texts(texts) => texts.len(),
        }
    }
}

impl Compute for Extract {
    const KIND: Kind = Kind::Extract;

    fn memory_bytes(&self) -> u64 {
        // Weights, as many bytes again while the graph is optimised, and a batch of activations.
        2 * self.weights_bytes + (BATCH * self.n_units * 4) as u64 + (256 << 20)
    }

    fn engine(&self) -> Option<String> {
        Some(format!("onnxruntime {} cpu f32", self.runtime))
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        // One thread for each shard; shards run side by side.
        let mut network = Network::open(bench.input("network"), 1)?;
        let mut rows = MatrixWriter::create(&bench.out.join(UNITS), network.module().n_units)?;
        let total = self.stimuli.len();
        for first in (0..total).step_by(BATCH) {
            let batch = first..(first + BATCH).min(total);
            let done = batch.end;
            let values = match &self.stimuli {
                Shard::Texts(texts) => network.run_texts(&texts[batch])?,
                Shard::Images { .. } => images(&mut network, &bench.files("images")[batch])?,
                Shard::Scenes { first, .. } => {
                    let folder = bench.input("stimuli").join(IMAGES);
                    let paths: Vec<PathBuf> =
                        batch.map(|index| folder.join(Scenes::file_name(first + index))).collect();
                    images(&mut network, &paths)?
                }
            };
            for row in values.rows() {
                rows.write_row(row)?;
            }
            bench.step(done, total)?;
        }
        rows.finish()?;
        Ok(())
    }
}

fn images(network: &mut Network, paths: &[PathBuf]) -> Result<Array2<f32>, TaskError> {
    let preprocessor =
        network.preprocessor().ok_or_else(|| TaskError::Unanswerable("this module takes no images".to_owned()))?;
    let batch = paths.iter().map(|path| preprocessor.load(path)).collect::<Result<Vec<_>, _>>()?;
    Ok(network.run_images(&batch)?)
}
