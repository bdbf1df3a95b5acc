//! Finding 1: scores by layer, network and band.

use super::{Measure, Value};
use serde::{Deserialize, Serialize};

/// Finding 1: how well each layer predicts each network.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Prediction {
    /// What the cells hold; one colour scale serves every panel.
    pub measure: Measure,
    /// False discovery rate of the "significant" column.
    pub q: Option<f64>,
    /// One panel for each subject and model.
    pub panels: Vec<PredictionPanel>,
}

/// Scores of one model in one subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PredictionPanel {
    /// Name of the subject.
    pub subject: String,
    /// Name of the model.
    pub model: String,
    /// The columns, in order; a network without voxels stays, with `n_voxels` 0.
    pub networks: Vec<NetworkScores>,
    /// The groups of rows, in order.
    pub modules: Vec<ModuleScores>,
}

/// One network's summary over all its voxels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NetworkScores {
    /// Name of the network.
    pub name: String,
    /// Voxels of the network that were scored.
    pub n_voxels: usize,
    /// Median score over voxels.
    pub median: Value,
    /// Mean score over voxels.
    pub mean: Value,
    /// Share of voxels significant at the false discovery rate, 0 to 1.
    pub significant_share: Value,
    /// The layer that predicts it best.
    pub best_layer: Option<LayerId>,
    /// Percentiles 5, 25, 50, 75 and 95 of the scores over its voxels.
    pub spread: Option<[f64; 5]>,
    /// Mean noise ceiling of its voxels, in units of the score.
    pub ceiling: Value,
    /// How R2 is split among bands of units, the same bands for all networks; empty without bands.
    #[serde(default)]
    pub bands: Vec<BandScore>,
}

/// What one band of units has of the R2 of all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BandScore {
    /// Name of the band.
    pub name: String,
    /// Mean over voxels of the band's share of R2.
    pub r2: Value,
}

/// A layer's full name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerId {
    /// Module, as in `vision`.
    pub module: String,
    /// Layer within the module, as in `9`.
    pub layer: String,
}

/// The layers of one module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModuleScores {
    /// Name of the module.
    pub name: String,
    /// Its layers, the one nearest the input first.
    pub layers: Vec<LayerScores>,
}

/// One layer's score in every network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerScores {
    /// Name of the layer.
    pub name: String,
    /// One value for each network, in the panel's order; a missing one is drawn as absent.
    pub cells: Vec<Value>,
}
