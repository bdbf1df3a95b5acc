//! What the page shows, as plain data.
//!
//! This file owns the view model: [`Page`] and its parts. It knows nothing of artifacts, files or HTML; whoever
//! fills it decides what was measured, and [`render`](super::render()) only draws. Volumes live in `volume.rs`.
//!
//! A statistic is a [`Value`]: a number, or the reason why there is none. No part of the page ever shows `NaN`.

use serde::{Deserialize, Serialize};

use super::volume::Volume;

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

/// A map of scores over the brain.
#[derive(Debug, Clone)]
pub struct BrainMap {
    /// Which subject, model and features it shows.
    pub title: String,
    /// What the colours stand for; maps of the same measure share their scale.
    pub measure: Measure,
    /// The scores, the mask and where they lie in space.
    pub volume: Volume,
}

/// What the interactive viewer shows, at the precision of a screen.
#[derive(Debug, Clone, Default)]
pub struct Viewer {
    /// The brains under the maps.
    pub brains: Vec<ViewerBrain>,
    /// The maps, in the order in which they are offered.
    pub maps: Vec<ViewerMap>,
}

/// The voxels of a subject by network.
#[derive(Debug, Clone)]
pub struct ViewerBrain {
    /// Name of the subject.
    pub subject: String,
    /// Networks, in the order of their numbers, which start at 1.
    pub networks: Vec<String>,
    /// A gzipped NIfTI file of these numbers.
    pub file: Vec<u8>,
}

/// A map, or several as frames.
#[derive(Debug, Clone)]
pub struct ViewerMap {
    /// Which subject, model and quantity it shows.
    pub title: String,
    /// Place of its brain.
    pub brain: usize,
    /// What its numbers are; its colours end at `least_end`.
    pub measure: Measure,
    /// Names of the frames, empty where there is one.
    pub frames: Vec<String>,
    /// Frames of the file of full precision.
    pub n_frames: usize,
    /// The file of full precision, from the page's folder.
    pub path: String,
    /// A gzipped NIfTI file.
    pub file: Vec<u8>,
}

/// The patterns of one dictionary.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PatternSet {
    /// Which model and scope the dictionary was learnt on.
    pub title: String,
    /// Time from one sample to the next.
    pub repetition_time_s: f64,
    /// Unit of the time courses: `unit norm`, `z`.
    pub unit: String,
    /// The runs, in the order of the samples.
    pub runs: Vec<Run>,
    /// How many patterns the dictionary has; `patterns` may hold the first few.
    pub n_patterns: usize,
    /// The patterns to draw.
    pub patterns: Vec<Pattern>,
}

/// One run's share of a time course.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// Name of the run.
    pub name: String,
    /// Samples it contributes.
    pub n_tr: usize,
}

/// One pattern: a time course, and how strongly each layer's units carry it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pattern {
    /// Name of the pattern.
    pub name: String,
    /// Its value at each sample of all runs; a sample that is not finite leaves a gap.
    pub series: Vec<f32>,
    /// Mean code of the units of each layer, the same layers in the same order for all patterns of a set; empty when
    /// the dictionary has no layers.
    pub profile: Vec<LayerCode>,
}

/// Mean code over the units of one layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerCode {
    /// Which layer.
    pub layer: LayerId,
    /// Mean code.
    pub code: f64,
}

/// What a statistic was compared with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Null {
    /// Name of the null: `permuted memberships`.
    pub name: String,
    /// How many permutations were drawn.
    pub n_permutations: usize,
    /// Seed of the permutations.
    pub seed: u64,
    /// Mean of the statistic under the null.
    pub mean: Value,
    /// Share of permutations at least as extreme.
    pub p: Value,
}

/// Finding 2 for one model in one subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Redundancy {
    /// Name of the subject.
    pub subject: String,
    /// Name of the model.
    pub model: String,
    /// Names of the K patterns.
    pub patterns: Vec<String>,
    /// K rows of K Dice coefficients of the patterns' voxel sets.
    pub dice: Vec<Vec<Value>>,
    /// The pairs that overlap more than chance gives, family-wise at 0.05.
    pub redundant: Vec<RedundantPair>,
    /// Mean Dice over pairs, the diagonal left out.
    pub mean_dice: Value,
    /// What the mean Dice was compared with.
    pub null: Null,
    /// Per network, voxels that several patterns drive.
    pub networks: Vec<SharedVoxels>,
}

/// Two patterns that drive the same voxels.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RedundantPair {
    /// Place of the first pattern.
    pub k: usize,
    /// Place of the second.
    pub j: usize,
    /// Family-wise probability.
    pub p: f64,
}

/// How many voxels of a network several patterns drive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharedVoxels {
    /// Name of the network.
    pub network: String,
    /// Voxels of the network.
    pub n_voxels: usize,
    /// Voxels that at least one pattern drives.
    pub n_driven: usize,
    /// Voxels that at least two patterns drive.
    pub n_shared: usize,
}

/// Finding 3 for one model in one subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Polarity {
    /// Name of the subject.
    pub subject: String,
    /// Name of the model.
    pub model: String,
    /// A pair is opposed when its maps correlate below minus this.
    pub tau: f64,
    /// How many pairs were looked at.
    pub n_pairs: usize,
    /// What the mirror index was compared with, in words.
    pub null: String,
    /// The opposed pairs, the most opposed first.
    pub pairs: Vec<OpposedPair>,
}

/// Two patterns whose maps oppose.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpposedPair {
    /// Name of the first pattern.
    pub k: String,
    /// Name of the second pattern.
    pub j: String,
    /// Correlation of the two maps.
    pub maps_r: Value,
    /// Correlation of the two time courses.
    pub series_r: Value,
    /// Minus the correlation of the two layer profiles.
    pub mirror_index: Value,
    /// Probability of such a mirror index under the null.
    pub p: Value,
    /// Both layer profiles; empty when there are none to draw.
    pub profiles: Vec<PairCode>,
}

/// Mean codes of a pair in one layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PairCode {
    /// Which layer.
    pub layer: LayerId,
    /// Mean code of the first pattern.
    pub k: f64,
    /// Mean code of the second pattern.
    pub j: f64,
}

/// How the results came to be, and how to open them elsewhere.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Provenance {
    /// The tasks behind the page, in the order of the plan.
    pub tasks: Vec<Task>,
    /// The kinds of tasks and what flows between them, as SVG; empty where there is none.
    #[serde(default)]
    pub graph: String,
    /// Programs and libraries, with their versions.
    pub engines: Vec<Engine>,
    /// Every seed the study uses.
    pub seeds: Vec<Seed>,
    /// Files that a reader may want to open.
    pub files: Vec<OutputFile>,
    /// The study file, as written.
    pub spec: String,
}

/// One task of the plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// Its name in the plan.
    pub id: String,
    /// Its kind, as in `encode`.
    pub kind: String,
    /// The first characters of its key.
    pub key: String,
    /// How long it ran when it last ran.
    pub run_time_s: Option<f64>,
    /// How it stands.
    pub state: TaskState,
}

/// How a task stands after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// The run computed it.
    Computed,
    /// Its result came from the store.
    Stored,
    /// It failed.
    Failed,
    /// It has no result, since it needs what failed or was not begun.
    Waiting,
}

impl TaskState {
    /// As tables say it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Computed => "computed",
            Self::Stored => "from the store",
            Self::Failed => "failed",
            Self::Waiting => "waits",
        }
    }
}

/// A program or library that shaped the numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Engine {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A named seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seed {
    /// What it seeds.
    pub name: String,
    /// Its value.
    pub value: u64,
}

/// A result file; its extension decides which example shows how to open it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutputFile {
    /// Path, relative to the page.
    pub path: String,
    /// What it holds, with its shape.
    pub holds: String,
}
