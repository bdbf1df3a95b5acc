//! What the page shows, as plain data.
//!
//! This file owns the view model: [`Page`]; its parts lie in `page/`. It knows nothing of artifacts, files or HTML; whoever
//! fills it decides what was measured, and [`render`](super::render()) only draws. Volumes live in `volume.rs`.
//!
//! A statistic is a [`Value`]: a number, or the reason why there is none. No part of the page ever shows `NaN`.

mod maps;
mod patterns;
mod prediction;
mod provenance;

pub use maps::{BrainMap, Viewer, ViewerBrain, ViewerFrame, ViewerMap};
pub use patterns::{
    LayerCode, Null, OpposedPair, PairCode, Pattern, PatternSet, Polarity, Redundancy, RedundantPair, Run, SharedVoxels,
};
pub use prediction::{BandScore, LayerId, LayerScores, ModuleScores, NetworkScores, Prediction, PredictionPanel};
pub use provenance::{Engine, OutputFile, Provenance, Seed, Task, TaskState};

use serde::{Deserialize, Serialize};

/// One report: everything a reader sees, in the order of the sections.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Page {
    /// Name of the study, the page's title.
    pub study: String,
    /// What the study asks, in the author's words; may be empty.
    pub description: String,
    /// Whose brains were measured.
    pub subjects: Vec<Subject>,
    /// Names of the models whose units were used.
    pub models: Vec<String>,
    /// What a reader must know before believing a number.
    pub warnings: Vec<Warning>,
    /// Finding 1: scores per layer and network.
    pub prediction: Prediction,
    /// Score maps drawn as slices; volumes stay in files of their own.
    #[serde(skip)]
    pub brain: Vec<BrainMap>,
    /// Score maps that are not drawn, since there are so many.
    #[serde(skip)]
    pub n_brain_left_out: usize,
    /// Maps of the interactive viewer.
    #[serde(skip)]
    pub viewer: Viewer,
    /// Time courses of the first patterns, one set for each dictionary.
    pub patterns: Vec<PatternSet>,
    /// Finding 2: overlap of the voxel sets that patterns drive.
    pub redundancy: Vec<Redundancy>,
    /// Finding 3: pairs of patterns whose maps oppose.
    pub polarity: Vec<Polarity>,
    /// Every statistic with its chance, interval and probability: of the group where there is one, else of each subject.
    #[serde(default)]
    pub findings: Vec<FindingRow>,
    /// The methods, a paragraph each.
    pub methods: Vec<String>,
    /// How these results came to be.
    pub provenance: Provenance,
}

/// A number, or the reason why it could not be computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A finite number.
    Known(f64),
    /// No number, and why.
    Absent(String),
}

impl Value {
    /// An absent value with its reason.
    pub fn absent(reason: impl Into<String>) -> Self {
        Self::Absent(reason.into())
    }

    /// The number, if it is known and finite.
    pub fn known(&self) -> Option<f64> {
        match self {
            Self::Known(number) if number.is_finite() => Some(*number),
            _ => None,
        }
    }

    /// Why the number is absent; `None` when it is there.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Known(number) if number.is_finite() => None,
            Self::Known(_) => Some("the result was not a finite number"),
            Self::Absent(reason) => Some(reason),
        }
    }
}

/// A finite number is known; anything else is absent.
impl From<f64> for Value {
    fn from(number: f64) -> Self {
        if number.is_finite() { Self::Known(number) } else { Self::absent("the result was not a finite number") }
    }
}

/// One answer to one question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FindingRow {
    /// What was asked, as a short name.
    pub statistic: String,
    /// What the value is, in words.
    pub meaning: String,
    /// The subject; `group` over all of them.
    pub subject: String,
    /// The model, or two.
    pub model: String,
    /// What of the model.
    pub part: String,
    /// The network, or all.
    pub network: String,
    /// The value.
    pub value: Value,
    /// Ends of its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// What chance alone gives.
    pub chance: Value,
    /// Probability by chance alone.
    pub p: Value,
    /// False discovery rate.
    pub q: Value,
}

/// One subject and the size of its data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Subject {
    /// Name, as in `sub-01`.
    pub name: String,
    /// Runs used, for training and testing together.
    pub n_runs: usize,
    /// Samples kept after trimming, over all runs.
    pub n_tr: usize,
    /// Voxels scored.
    pub n_voxels: usize,
}

/// How much a warning matters, gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A result should not be believed as it stands.
    Serious,
    /// A result needs care.
    Caution,
    /// Good to know.
    Notice,
}

/// One caveat and where it holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Warning {
    /// How much it matters.
    pub severity: Severity,
    /// The task, subject or network it is about.
    pub place: String,
    /// What is wrong and what follows from it.
    pub message: String,
}

/// A quantity that colours stand for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Name with its unit, as the legend prints it: `mean Pearson r (held-out runs)`.
    pub name: String,
    /// Which colours suit it.
    pub scale: Scale,
    /// The colours reach at least this far, so that numbers that are all next to nothing look like it.
    pub least_end: f64,
}

/// Where the colours of a correlation end at the least.
pub const LEAST_CORRELATION: f64 = 0.1;

/// Whether zero is an end or the middle of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// From zero up; values below zero are drawn as zero and the legend says so.
    FromZero,
    /// Zero in the middle, both signs of equal weight.
    Signed,
}

impl Default for Measure {
    fn default() -> Self {
        Self {
            name: "mean Pearson r over voxels (held-out runs)".into(),
            scale: Scale::FromZero,
            least_end: LEAST_CORRELATION,
        }
    }
}
