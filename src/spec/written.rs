//! A study as it is written: the TOML types, their defaults and the words that editors show. Next: `check.rs` for what it means.
//!
//! The comments of this file are the reference of the spec: they become the descriptions in `schemas/`. A choice between
//! several forms is a table with one of several names (`[bold.bids]` or `[bold.simulate]`), so that every mistake has a place. The
//! ways to predict voxels are in `written/encoding.rs`, what is asked of them in `written/statistics.rs`, what they are compared with
//! in `written/controls.rs`, a shared cache in `written/cache.rs`; the rest stands in one file, longer than others, since it is read as one page.

mod cache;
mod controls;
mod encoding;
mod statistics;

pub use cache::{RemoteMode, SharedCache};
pub use controls::Controls;
pub use encoding::{Banded, Bands, Blocks, Encoding, Features, Folds, Lasso, Ols, Ridge, Shuffled};
pub use statistics::{
    Architecture, CeilingRuns, Group, Hierarchy, OverlapNull, Polarity, Rearranged, Redundancy, Significance,
    Statistics,
};

use crate::{
    brain::{
        assign::AtlasOptions,
        atlas::Grouping,
        mask::VoxelSelection,
        prepare::Preparation,
        regions::{NetworkChanges, cleaning::Cleaning, rules::NetworkRule},
        simulate::Simulation,
    },
    format::{hcp::Registration, runs::SeriesKind},
    math::series::Hrf,
    model::{Device, LowLevel, Module, RandomModel, UnitSelection},
    stimulus::Generate,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::PathBuf};

/// A Hebb study: which stimuli, which model units, which brains, and what is asked of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Hebb study")]
pub struct WrittenStudy {
    /// Other study files that this one starts from, the later over the earlier, this one over all: tables are joined key by
    /// key, anything else is replaced. Paths in an included file start from that file's folder; its `[study]` is left out.
    #[serde(default)]
    #[schemars(example = "base.toml", example = ["base.toml", "our-scanner.toml"])]
    pub include: Option<Include>,
    /// Fields of the included files that this study does not want, as `"statistics.polarity"`.
    #[serde(default)]
    #[schemars(example = ["statistics.polarity", "models.clip.random"])]
    pub without: Vec<String>,
    /// Values to try in turn: the study is run once for each combination, and what they have in common is computed once.
    #[serde(default)]
    pub sweep: Option<Sweep>,
    /// What the study is called. Nothing in this table shapes a result.
    pub study: Header,
    /// The runs of the experiment, and which of them test what the others taught.
    pub runs: Runs,
    /// What was shown or said.
    pub stimuli: Stimuli,
    /// The models whose units are asked about, each under a name of your own of letters, digits, `-` and `_`.
    #[schemars(example = json!({ "clip": { "weights": "models/clip-vit-base-patch32" } }))]
    pub models: BTreeMap<String, Model>,
    /// Which activations are the units of every model.
    #[serde(default)]
    pub units: UnitSelection,
    /// How networks are run.
    #[serde(default)]
    pub extraction: Extraction,
    /// From stimuli to the time of the scanner.
    #[serde(default)]
    pub time: Time,
    /// The brains: recorded, in one of three layouts on disk, or simulated from the units.
    pub bold: Bold,
    /// What is done to every voxel's series, run by run, before it is predicted.
    #[serde(default)]
    pub preparation: Preparation,
    /// The functional networks.
    #[serde(default)]
    pub atlas: Atlas,
    /// How a model's units become a few time courses.
    pub patterns: Patterns,
    /// How voxels are predicted.
    pub encoding: Encoding,
    /// What is asked of the fitted maps; each table switches one statistic on.
    #[serde(default)]
    pub statistics: Statistics,
    /// What the models are compared with; each field switches one control on.
    #[serde(default)]
    pub controls: Controls,
    /// Where files come from, by the field that names them, for whoever has the study and not the files: `hebb check` tells it with
    /// what is missing. Shapes no result.
    #[serde(default)]
    #[schemars(example = json!({ "models.clip.weights": "huggingface.co/openai/clip-vit-base-patch32" }))]
    pub sources: BTreeMap<String, String>,
    /// A cache that several machines share. Nothing in this table shapes a result.
    #[serde(default)]
    pub cache: SharedCache,
}

/// One file or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Include {
    /// Path of a study file, from this file's folder.
    One(PathBuf),
    /// Paths of study files, from this file's folder.
    Several(Vec<PathBuf>),
}

/// Values to try in turn. Fields are written as paths in quotes, as `"units.reduce"`; a sweep has at most 10000 cells. What `[study]`,
/// `[sweep]`, `[cache]`, `include` and `without` say cannot vary.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sweep {
    /// Fields that vary on their own: every combination of their values is a cell.
    #[schemars(example = json!({ "units.reduce": ["mean", "max"], "patterns.dictionary.n_patterns": [32, 64] }))]
    pub grid: BTreeMap<String, Values>,
    /// Fields that vary together: the first values of all make one cell, the second values the next.
    #[schemars(example = json!([{ "time.hrf": ["glover", "spm"], "preparation.high_pass_s": [128, 100] }]))]
    pub zip: Vec<BTreeMap<String, Values>>,
    /// Cells that are left out: those in which every field named has the value given here.
    #[schemars(example = json!([{ "units.reduce": "max", "patterns.dictionary.n_patterns": 64 }]))]
    pub exclude: Vec<BTreeMap<String, Value>>,
    /// Other fields that some cells set otherwise.
    #[serde(rename = "override")]
    #[schemars(example = json!([{ "when": { "units.reduce": "max" }, "set": { "patterns.dictionary.penalty": 0.2 } }]))]
    pub overrides: Vec<Override>,
}

/// The values of a field in a sweep: a list, or a table that gives each a name for the cell to be called by.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Values {
    /// Values, which name themselves.
    #[schemars(example = json!(["mean", "max"]))]
    Listed(#[schemars(length(min = 1))] Vec<Value>),
    /// Values by name, for those too long to name themselves.
    #[schemars(example = json!({ "few": [1, 100], "many": [1, 10, 100, 1000] }))]
    Named(BTreeMap<String, Value>),
}

/// What some cells of a sweep set otherwise.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Swept fields and the value that they have in these cells.
    #[schemars(example = json!({ "units.reduce": "max" }))]
    pub when: BTreeMap<String, Value>,
    /// Fields and what they are set to there; they must not be swept themselves.
    #[schemars(example = json!({ "patterns.dictionary.penalty": 0.2 }))]
    pub set: BTreeMap<String, Value>,
}

/// What the study is called. Nothing in this table shapes a result.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// A short name; results are written to a folder of this name below `results/`.
    #[schemars(length(min = 1))]
    #[schemars(example = "movie-clip")]
    pub name: String,
    /// A sentence or two for whoever reads the report.
    #[serde(default)]
    pub description: String,
}

/// The runs of the experiment, by the names that BIDS files give them after `run-`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Runs {
    /// Runs that models are fitted on. One alone cannot be held out in turn: penalties are then chosen over blocks of it
    /// (`folds = { blocks = { n = 5 } }`).
    #[schemars(length(min = 1))]
    #[schemars(example = ["1", "2", "3"])]
    pub train: Vec<String>,
    /// Runs that every score comes from; no fit ever sees them.
    #[schemars(length(min = 1))]
    #[schemars(example = ["4"])]
    pub test: Vec<String>,
    /// Path of one TSV table for each run with the stretches that count (`onset`, `duration` in seconds), with `{run}` where the
    /// run's name belongs; all of every run counts if absent.
    #[serde(default)]
    #[schemars(example = &"clips-{run}.tsv")]
    pub clips: Option<String>,
}

/// What was shown or said: tables on disk, or made-up scenes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Stimuli {
    /// What was shown or said, in one TSV table for each run.
    Tables(Tables),
    /// Pictures and captions made from a seed.
    Generate(Generate),
}

/// What was shown or said, in one TSV table for each run: columns `onset` and `duration` in seconds, and `image` or `video`, `text`, or
/// both. A row is one stimulus.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    /// Path of the tables, with `{run}` where the run's name belongs, as `stimuli/run-{run}.tsv`.
    #[schemars(length(min = 1))]
    #[schemars(example = "stimuli/run-{run}.tsv")]
    pub path: String,
    /// Folder that the tables' image paths start from; the table's own folder if absent.
    #[serde(default)]
    #[schemars(example = "stimuli/images")]
    pub image_folder: Option<PathBuf>,
    /// What becomes of an image that cannot be read.
    #[serde(default)]
    pub unreadable: Unreadable,
    /// Frames of a film (column `video`: a file, or a folder of pictures) for each volume; a volume's units are their mean.
    #[serde(default = "default_frames")]
    #[schemars(range(min = 1, max = 1000))]
    pub frames_per_tr: usize,
    /// Pictures a second of films that were cut before: where the column `video` names a folder, its pictures are shown one after
    /// the other, in the order of the numbers in their names.
    #[serde(default)]
    #[schemars(range(min = 0.001, max = 1000))]
    #[schemars(example = 24.0)]
    pub frames_per_s: Option<f64>,
    /// Path of one TSV table for each run with the words that are heard (columns `onset`, `duration`, `word`), with `{run}` where
    /// the run's name belongs. Each volume's text is then what was said until its end.
    #[serde(default)]
    #[schemars(example = &"stimuli/words-{run}.tsv")]
    pub transcripts: Option<String>,
    /// Seconds of words before a volume's end that make its text.
    #[serde(default = "default_window")]
    #[schemars(range(min = 0.1, max = 600))]
    pub text_window_s: f64,
}

fn default_frames() -> usize {
    1
}
fn default_window() -> f64 {
    10.0
}

/// What becomes of an image that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unreadable {
    /// The study stops, and the image is named.
    #[default]
    Error,
    /// It is listed in a warning and counts as not shown.
    Mask,
}

/// How networks are run.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Extraction {
    /// The processor, or an NVIDIA GPU with an ONNX Runtime that was built for it. Its last bits differ, so it is part of the
    /// study.
    pub device: Device,
}

/// A model: trained weights as they were downloaded, an untrained one of a stated size, or features without a network. Exactly one of
/// `weights`, `random` and `low_level` is said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Trained weights: a folder as a model hub leaves it, one checkpoint (`.safetensors`, `.ckpt`, `.pt`, `.bin`) with its tokenizer
    /// beside it, or `hf:OWNER/NAME@COMMIT` for a model that `hebb models fetch` gets.
    #[serde(default)]
    #[schemars(example = &"models/clip-vit-base-patch32", example = &"models/meter_clip16_288_roberta_pretrain.ckpt")]
    pub weights: Option<String>,
    /// An untrained model with random weights. Excludes `weights` and `low_level`.
    #[serde(default)]
    pub random: Option<RandomModel>,
    /// No network: luminance, contrast, edges and motion of pictures, words and letters of texts, and where they stand in the run. Stands
    /// alone: excludes `weights`, `random` and `modules`.
    #[serde(default)]
    pub low_level: Option<LowLevel>,
    /// Modules whose units are used; all that the model has and the stimuli feed, if absent.
    #[serde(default)]
    #[schemars(length(min = 1))]
    #[schemars(example = ["vision", "text"])]
    pub modules: Option<Vec<Module>>,
}

/// From stimuli to the time of the scanner.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Time {
    /// Haemodynamic response that unit series are convolved with, run by run, before anything is cut.
    pub hrf: Hrf,
    /// Seconds after its time at which a unit counts, with weights of its own for each: a response whose shape is found, not assumed.
    /// Needs `hrf = "none"`, and layers or bands of units as features, not patterns; each delay falls on a volume of its own.
    #[schemars(inner(range(min = 0)))]
    #[schemars(example = [2.0, 4.0, 6.0, 8.0])]
    pub delays_s: Vec<f64>,
    /// Seconds cut from the start of each run after the convolution, from units and voxels alike.
    #[schemars(range(min = 0))]
    pub trim_start_s: f64,
    /// What becomes of volumes without a stimulus.
    pub rest: Rest,
}

/// What becomes of volumes during which nothing was shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rest {
    /// They stay; the units rest at their mean there, so only the echo of earlier stimuli is left.
    #[default]
    Keep,
    /// They are left out of every fit and score.
    Drop,
}

/// The brains.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Bold {
    /// BIDS derivatives on disk, as fMRIPrep writes them.
    Bids(Bids),
    /// Folders as the Human Connectome Project lays them out.
    Hcp(Hcp),
    /// Series that were prepared before: `.npy` matrices of volumes by voxels.
    Matrices(Matrices),
    /// Subjects simulated from the study's own units.
    Simulate(Simulate),
}

/// BIDS derivatives on disk, as fMRIPrep writes them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bids {
    /// The derivatives folder, with `sub-…` folders in it.
    #[schemars(example = "derivatives/fmriprep")]
    pub folder: PathBuf,
    /// Subjects, as `sub-01`.
    #[schemars(length(min = 1))]
    #[schemars(example = ["sub-01", "sub-02"])]
    pub subjects: Vec<String>,
    /// The `task-` entity; needed if the folder has several.
    #[serde(default)]
    #[schemars(example = &"movie")]
    pub task: Option<String>,
    /// The `space-` entity; needed if the folder has several.
    #[serde(default)]
    #[schemars(example = &"MNI152NLin2009cAsym")]
    pub space: Option<String>,
    /// The `ses-` entity; needed if the folder has several.
    #[serde(default)]
    #[schemars(example = &"1")]
    pub session: Option<String>,
    /// The `acq-` entity; needed if the folder has several.
    #[serde(default)]
    #[schemars(example = &"mb4")]
    pub acquisition: Option<String>,
    /// The `dir-` entity; needed if the folder has several.
    #[serde(default)]
    #[schemars(example = &"AP")]
    pub direction: Option<String>,
    /// One echo of several; their combination if absent.
    #[serde(default)]
    #[schemars(example = &"2")]
    pub echo: Option<String>,
    /// The `res-` entity; needed if the folder has several.
    #[serde(default)]
    #[schemars(example = &"2")]
    pub resolution: Option<String>,
    /// The `den-` entity of surfaces; needed if the folder has several.
    #[serde(default)]
    #[schemars(example = &"91k")]
    pub density: Option<String>,
    /// The `desc-` entity; `preproc` if absent.
    #[serde(default)]
    #[schemars(example = &"denoised")]
    pub desc: Option<String>,
    /// Which series are read: volumes (`.nii.gz`) or grayordinates (`.dtseries.nii`).
    #[serde(default = "default_series")]
    #[schemars(example = &"grayordinates")]
    pub series: SeriesKind,
    /// The raw dataset, where sidecars may lie.
    #[serde(default)]
    #[schemars(example = &"dataset")]
    pub raw_folder: Option<PathBuf>,
}

fn default_series() -> SeriesKind {
    SeriesKind::Volume
}

/// Folders as the Human Connectome Project lays them out; runs are called as there, `MOVIE1` or `MOVIE1_7T_AP`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hcp {
    /// The folder with a folder for each subject.
    #[schemars(example = &"HCP_1200")]
    pub folder: PathBuf,
    /// Subjects, by their numbers with `sub-` before them.
    #[schemars(length(min = 1))]
    #[schemars(example = ["sub-100610", "sub-102311"])]
    pub subjects: Vec<String>,
    /// Which series are read: grayordinates (`.dtseries.nii`) or volumes (`.nii.gz`).
    #[serde(default = "default_hcp_series")]
    #[schemars(example = &"volume")]
    pub series: SeriesKind,
    /// Distance between grayordinates; needed if there are several.
    #[serde(default)]
    #[schemars(example = &"1.6mm")]
    pub resolution: Option<String>,
    /// How surfaces were aligned; needed if there are several.
    #[serde(default)]
    #[schemars(example = Registration::MsmAll)]
    pub registration: Option<Registration>,
    /// What was cleaned, as file names end; needed if there are several.
    #[serde(default)]
    #[schemars(example = &"hp2000_clean")]
    pub processing: Option<String>,
}

fn default_hcp_series() -> SeriesKind {
    SeriesKind::Grayordinates
}

/// Series that were prepared before: a `.npy` matrix for each subject and run, a row for each volume, a column for each voxel.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Matrices {
    /// The folder that the paths below start from; this file's folder if absent.
    #[serde(default)]
    #[schemars(example = &"prepared")]
    pub folder: PathBuf,
    /// Path of the matrices, with `{subject}` and `{run}` where the names belong.
    #[schemars(length(min = 1))]
    #[schemars(example = "{subject}/run-{run}.npy")]
    pub path: String,
    /// Path of the NIfTI mask whose voxels are the columns, in C order of their indices, as nilearn's `NiftiMasker` has them; with
    /// or without `{subject}`.
    #[schemars(length(min = 1))]
    #[schemars(example = "{subject}/mask.nii.gz")]
    pub mask: String,
    /// Path of confounds tables, with `{subject}` and `{run}`.
    #[serde(default)]
    #[schemars(example = &"{subject}/run-{run}_confounds.tsv")]
    pub confounds: Option<String>,
    /// Subjects, as `sub-01`.
    #[schemars(length(min = 1))]
    #[schemars(example = ["sub-01", "sub-02"])]
    pub subjects: Vec<String>,
    /// Seconds from one row to the next.
    #[schemars(range(min = 0.1, max = 20))]
    #[schemars(example = 1.5)]
    pub repetition_time_s: f64,
}

/// Subjects simulated from the study's own units, written and read as BIDS derivatives.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Simulate {
    /// Subjects, as `sub-01`.
    #[schemars(length(min = 1))]
    #[schemars(example = ["sub-01", "sub-02"])]
    pub subjects: Vec<String>,
    /// The model whose units drive the voxels; the only one, if the study has one.
    #[serde(default)]
    #[schemars(example = &"clip")]
    pub model: Option<String>,
    /// Seconds from one volume to the next.
    #[schemars(range(min = 0.1, max = 20))]
    #[schemars(example = 1.5)]
    pub repetition_time_s: f64,
    /// The simulated brain: its size, networks and noise.
    #[serde(default)]
    pub brain: Simulation,
}

/// The functional networks. Recorded subjects need one; simulated ones bring an atlas of their own, so that none may be named.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Atlas {
    /// A NIfTI volume of labels, volumes of probabilities (with `threshold`), or a CIFTI file of labels (`.dlabel.nii`).
    #[schemars(example = "atlas/networks_dseg.nii.gz")]
    pub labels: Option<PathBuf>,
    /// What names the labels: a TSV table (`index`, `name`, optionally `network` and `color`), FSL's XML, or a colour table as
    /// FreeSurfer's, Yeo's and Schaefer's. A `.dlabel.nii` names its labels itself.
    #[schemars(example = "atlas/networks_dseg.tsv")]
    pub table: Option<PathBuf>,
    /// Which parcels make one network.
    pub networks: Grouping,
    /// For an atlas of probabilities, a volume for each region: the smallest value, in the unit of the file, at which a voxel
    /// belongs to a region. A voxel may belong to several.
    #[schemars(range(min = 0))]
    #[schemars(example = 0.25)]
    pub threshold: Option<f64>,
    /// Which map of a `.dlabel.nii` with several.
    #[schemars(example = &"Yeo 7 networks")]
    pub map: Option<String>,
    /// The space that the atlas is in, where its name does not say so or the study knows better.
    #[schemars(example = &"MNI152NLin2009cAsym")]
    pub space: Option<String>,
    /// Networks made out of networks, in this order.
    pub combine: Vec<NetworkRule>,
    /// What is taken away from every network, those just made too.
    pub clean: Cleaning,
    /// Which voxels of the brain mask are used.
    pub voxels: VoxelSelection,
}

impl Atlas {
    /// How the atlas is understood, wherever it is.
    #[must_use]
    pub fn options(&self) -> AtlasOptions {
        AtlasOptions {
            networks: self.networks.clone(),
            threshold: self.threshold,
            map: self.map.clone(),
            changes: NetworkChanges { combine: self.combine.clone(), clean: self.clean },
        }
    }
}

/// How a model's units become a few time courses.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Patterns {
    /// A sparse dictionary: every unit is a sum of few time courses.
    Dictionary(Dictionary),
    /// Principal components: the time courses that explain most, every unit on all of them.
    Pca(PrincipalComponents),
    /// No reduction: every unit is a time course of its own. For models with few units.
    Units(AllUnits),
}

/// A sparse dictionary of unit time courses (Mairal 2009), learned on the training runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dictionary {
    /// Number of time courses: at most as many as a model has units and the training runs have volumes.
    #[schemars(range(min = 1, max = 4096))]
    #[schemars(example = 64)]
    pub n_patterns: usize,
    /// Weight of the sparsity term, for unit series of length one: 0 is dense, 1 leaves nothing.
    #[schemars(range(min = 0, max = 1))]
    #[schemars(example = 0.15)]
    pub penalty: f64,
    /// Seed of the first dictionary and of the order of units.
    #[serde(default)]
    pub seed: u64,
    /// Times that every unit is visited at most.
    #[serde(default = "default_epochs")]
    #[schemars(range(min = 1, max = 10000))]
    pub max_epochs: usize,
    /// Learning stops when an epoch lowers the objective by less than this share.
    #[serde(default = "default_tolerance")]
    #[schemars(range(min = 0, max = 1))]
    pub tolerance: f64,
}

fn default_epochs() -> usize {
    50
}
fn default_tolerance() -> f64 {
    1e-4
}

/// Principal components of the unit series.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrincipalComponents {
    /// Number of components: at most as many as a model has units and the training runs have volumes.
    #[schemars(range(min = 1, max = 4096))]
    #[schemars(example = 64)]
    pub n_patterns: usize,
}

/// No reduction: every unit is a time course of its own. For models with few units. The table is written, and is empty.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = json!({}))]
pub struct AllUnits {}
