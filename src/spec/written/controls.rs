//! What a study compares its models with: one field for each control, which switches it on.
//!
//! The comments become the descriptions in `schemas/`, as those of `written.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the models are compared with. Every control is a model beside the others, in all tables and maps.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Controls {
    /// For each model `NAME` its twin `NAME-untrained`: the same architecture with weights as before training.
    pub untrained: bool,
    /// For each model `NAME` its twin `NAME-phases`: the same patterns with their phases drawn at random in every run, so that they
    /// keep their spectra and have lost their relation to what was shown.
    pub phases: bool,
    /// What a camera sees as a model `low-level`: luminance, contrast and motion in cells of the picture.
    pub low_level: bool,
    /// How much is said as a model `words`: words and letters, and their place in the run.
    pub words: bool,
    /// Seed of untrained weights and of phases.
    pub seed: u64,
}
