//! A study as it is meant: defaults filled in, files found, tables read, every name resolved. What the plan is made from.
//!
//! A [`Study`] is what one file says; a [`Design`] is one complete experiment. Without a sweep a study has one design, with one it
//! has a design for each cell.

use super::{
    diagnostic::{Source, Span},
    remote::Remote,
    written::{
        Architecture, CeilingRuns, Encoding, Hierarchy, Patterns, Polarity, Redundancy, Rest, Significance, Unreadable,
    },
};
use crate::{
    brain::{assign::AtlasOptions, mask::VoxelSelection, prepare::Preparation, simulate::Simulation},
    format::bids::RunFiles,
    math::series::Hrf,
    model::{Device, LayerUnits, LowLevel, ModelFacts, Module, RandomModel, UnitSelection},
    stimulus::{Generate, Schedule, video::Ffmpeg},
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// A checked study: every reference in it holds.
#[derive(Debug)]
pub struct Study {
    /// The study file.
    pub file: PathBuf,
    /// What the study is called.
    pub name: String,
    /// A sentence or two for readers; may be empty.
    pub description: String,
    /// Every field that was written, includes resolved, by its path: what two studies are compared by.
    pub fields: BTreeMap<String, String>,
    /// The files that it was written in, this one first.
    pub sources: Arc<[Source]>,
    /// One cell, or as many as its sweep has.
    pub cells: Vec<Cell>,
    /// The cache that it shares with other machines, if it names one.
    pub remote: Option<Remote>,
}

impl Study {
    /// The design of the first cell: the only one without a sweep.
    ///
    /// # Panics
    /// Never: a study without a cell does not check.
    #[must_use]
    pub fn first(&self) -> &Design {
        &self.cells.first().expect("a checked study has a cell").design
    }
}

/// One combination of a sweep's values, and the experiment that it makes.
#[derive(Debug)]
pub struct Cell {
    /// What it has on each axis of the sweep, as `n_patterns=32`; empty without a sweep.
    pub labels: Vec<String>,
    /// The experiment.
    pub design: Design,
}

impl Cell {
    /// The cell's name, as `reduce=max,n_patterns=32`; empty without a sweep. It depends on this cell alone.
    #[must_use]
    pub fn name(&self) -> String {
        self.labels.join(",")
    }

    /// Each field that varies, by the short name that cells use, with its value here; fields that vary together one by one.
    pub fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        // Neither names nor values hold a comma: that is what keeps the names of cells readable.
        self.labels.iter().flat_map(|label| label.split(',')).filter_map(|label| label.split_once('='))
    }
}

/// A field of the study that names files or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPlace {
    /// The field's path, as `atlas.labels`.
    pub field: String,
    /// Where its value is written.
    pub span: Span,
    /// The value as it is written, patterns as `{run}` included.
    pub written: String,
    /// The folder that it starts from.
    pub start: PathBuf,
    /// What it names, patterns filled in; folders too.
    pub files: Vec<PathBuf>,
    /// Where that comes from, if the study says so.
    pub source: Option<String>,
}

/// One complete experiment: what the plan is made from.
#[derive(Debug)]
pub struct Design {
    /// Fields of the study that name files or folders; of what lies in named folders, tasks say what they read.
    pub named: Vec<NamedPlace>,
    /// Training runs, then test runs.
    pub runs: Vec<Run>,
    /// Seconds from one volume to the next, the same in every run.
    pub repetition_time_s: f64,
    /// Distinct images and texts, and the events of each run in the order of `runs`.
    pub schedule: Arc<Schedule>,
    /// How the images are made, if they are not files.
    pub scenes: Option<Generate>,
    /// The models in order of their names.
    pub models: Arc<[Model]>,
    /// Which activations are units.
    pub units: UnitSelection,
    /// The programs that read films, with their version, if there are any films.
    pub ffmpeg: Option<(Ffmpeg, String)>,
    /// What becomes of an image that cannot be read.
    pub unreadable: Unreadable,
    /// Where networks run.
    pub device: Device,
    /// Haemodynamic response.
    pub hrf: Hrf,
    /// Volumes by which units are delayed, each with weights of its own; none where the response is assumed.
    pub delays_tr: Vec<usize>,
    /// Seconds cut from the start of each run.
    pub trim_start_s: f64,
    /// What becomes of volumes without a stimulus.
    pub rest: Rest,
    /// The brains.
    pub subjects: Subjects,
    /// What is done to every voxel's series.
    pub preparation: Preparation,
    /// Which voxels are used.
    pub voxels: VoxelSelection,
    /// How the atlas is understood.
    pub atlas: AtlasOptions,
    /// How units become time courses.
    pub patterns: Patterns,
    /// How voxels are predicted.
    pub encoding: Encoding,
    /// Which voxels are predicted better than chance, if asked.
    pub significance: Option<Significance>,
    /// Noise ceilings, if asked.
    pub ceiling: Option<CeilingRuns>,
    /// Overlap of patterns, if asked.
    pub redundancy: Option<Redundancy>,
    /// Opposition of patterns, if asked.
    pub polarity: Option<Polarity>,
    /// What branches explain and how models differ, if asked.
    pub architecture: Option<Architecture>,
    /// Layers against the order of networks, if asked.
    pub hierarchy: Option<Hierarchy>,
    /// Tests over subjects, if asked.
    pub group: Option<GroupTests>,
}

/// Tests over subjects.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupTests {
    /// The family of each subject, in the study's order, where relatives change sign together.
    pub families: Option<Vec<String>>,
    /// Sign flips.
    pub n_permutations: usize,
    /// Their seed.
    pub seed: u64,
}

impl Design {
    /// Whether the units of all models have the same series as in another design.
    #[must_use]
    pub fn has_units_of(&self, other: &Self) -> bool {
        let has_models = Arc::ptr_eq(&self.models, &other.models) || self.models == other.models;
        (has_models && self.units == other.units && self.runs == other.runs)
            && (self.hrf == other.hrf && self.trim_start_s == other.trim_start_s && self.rest == other.rest)
            && (self.unreadable == other.unreadable && self.device == other.device && self.ffmpeg == other.ffmpeg)
            && (self.scenes == other.scenes && self.repetition_time_s == other.repetition_time_s)
            && (Arc::ptr_eq(&self.schedule, &other.schedule) || self.schedule == other.schedule)
    }

    /// Whether simulated voxels follow the patterns that the study learns.
    #[must_use]
    pub fn plants_patterns(&self) -> bool {
        matches!(&self.subjects, Subjects::Simulated { brain, .. } if brain.patterns.is_some())
    }

    /// Whether, the units being the same, the voxels have the same series as in another design.
    #[must_use]
    pub fn has_brains_of(&self, other: &Self) -> bool {
        self.subjects == other.subjects
            && self.preparation == other.preparation
            && self.voxels == other.voxels
            && self.atlas == other.atlas
    }
}

/// A run of the experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its name, as BIDS files give it after `run-`.
    pub name: String,
    /// Whether scores come from it.
    pub is_test: bool,
    /// Volumes.
    pub n_tr: usize,
    /// The table of the stretches that count; all of the run if absent.
    pub clips: Option<PathBuf>,
}

/// A model with the modules that are used.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Its name in the study.
    pub name: String,
    /// The model that its units belong to: itself, or the one that it is the control of.
    pub units_of: String,
    /// Seed of the phases of its patterns, if it is a control whose phases are drawn at random.
    pub phases: Option<u64>,
    /// Whether it is there for other models to be compared with.
    pub is_control: bool,
    /// Where its weights come from.
    pub source: ModelSource,
    /// The modules in use, in order.
    pub modules: Vec<ModuleUnits>,
    /// What the weights offer.
    pub facts: ModelFacts,
}

impl Model {
    /// Units of all modules in use.
    #[must_use]
    pub fn n_units(&self) -> usize {
        self.modules.iter().map(ModuleUnits::n_units).sum()
    }

    /// The branches of the model with the places of their modules in `modules`: modules whose names begin alike are one branch.
    #[must_use]
    pub fn branches(&self) -> Vec<(String, Vec<usize>)> {
        let mut branches: Vec<(String, Vec<usize>)> = Vec::new();
        for (place, units) in self.modules.iter().enumerate() {
            let module = units.module.to_string();
            let branch = module.split('-').next().unwrap_or_default();
            match branches.iter_mut().find(|(name, _)| name == branch) {
                Some((_, places)) => places.push(place),
                None => branches.push((branch.to_owned(), vec![place])),
            }
        }
        branches
    }
}

/// A module in use and the size of what is taken from it.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleUnits {
    /// The module.
    pub module: Module,
    /// Its units in the order of their columns: layer by layer, kind by kind.
    pub taps: Vec<LayerUnits>,
    /// The files that it depends on, by name inside the model's folder.
    pub files: Vec<String>,
    /// Bytes of the module's weights.
    pub weights_bytes: u64,
    /// Tokens of an image and the most of a text together: what memory grows with.
    pub n_tokens: usize,
}

impl ModuleUnits {
    /// Units of all layers in use.
    #[must_use]
    pub fn n_units(&self) -> usize {
        self.taps.iter().map(|units| units.n_units).sum()
    }

    /// The layers in use, ascending, each with its units of all kinds.
    #[must_use]
    pub fn layers(&self) -> Vec<(usize, usize)> {
        let of_layer = |units: &[LayerUnits]| (units[0].layer, units.iter().map(|kind| kind.n_units).sum());
        self.taps.chunk_by(|one, other| one.layer == other.layer).map(of_layer).collect()
    }

    /// Units of the largest layer in use.
    #[must_use]
    pub fn widest(&self) -> usize {
        self.layers().into_iter().map(|(_, n_units)| n_units).max().unwrap_or_default()
    }

    /// The numbers of the layers in use, ascending.
    #[must_use]
    pub fn layer_numbers(&self) -> Vec<usize> {
        self.layers().into_iter().map(|(layer, _)| layer).collect()
    }
}

/// Where a model's weights come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelSource {
    /// A folder or a checkpoint as it was downloaded.
    Files {
        /// What was named.
        path: PathBuf,
        /// The folder that the files are in.
        folder: PathBuf,
    },
    /// An untrained model.
    Random(RandomModel),
    /// The same architecture as that of some files, with weights as before training.
    Untrained {
        /// What was named.
        path: PathBuf,
        /// The folder that the files are in.
        folder: PathBuf,
        /// Seed of the weights.
        seed: u64,
    },
    /// No network: features that are measured of stimuli.
    LowLevel(LowLevel),
}

/// The brains.
#[derive(Clone, Debug, PartialEq)]
pub enum Subjects {
    /// Made from the units of a model.
    Simulated {
        /// Names, as `sub-01`.
        names: Vec<String>,
        /// The model whose units drive the voxels.
        model: String,
        /// The simulated brain.
        brain: Simulation,
    },
    /// Files on disk.
    Recorded {
        /// Each subject with the files of its runs, in the order of the study's runs.
        subjects: Vec<RecordedSubject>,
        /// Labels or probabilities of the atlas.
        labels: PathBuf,
        /// What names them, where they do not name themselves.
        table: Option<PathBuf>,
        /// The programs that made the series, with their versions, where the data set says so.
        made_by: Vec<String>,
    },
}

impl Subjects {
    /// The subjects' names, in the study's order.
    pub fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Simulated { names, .. } => Box::new(names.iter().map(String::as_str)),
            Self::Recorded { subjects, .. } => Box::new(subjects.iter().map(|subject| subject.name.as_str())),
        }
    }
}

/// A subject whose files are on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedSubject {
    /// Its name, as `sub-01`.
    pub name: String,
    /// The files of each run, in the order of the study's runs.
    pub runs: Vec<RunFiles>,
    /// Voxels of a volume, or places of a CIFTI file.
    pub n_grid_voxels: usize,
    /// Voxels inside the brain mask of the first run: as many as will be used, at most.
    pub n_brain_voxels: usize,
    /// What a reader of the results should know about the choice of its files.
    pub caveats: Vec<String>,
}
