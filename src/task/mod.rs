//! One file per kind of task: typed inputs -> artifact. A task knows its parameters and how to make its files; it does not
//! know where they end up, which key it has or who needs it (`plan`, `executor`, `store`).
//!
//! A task is a plain struct. **Its serialised fields are its part of the key**, so a parameter cannot be forgotten; a field
//! that must not shape the key is renamed to begin with [`UNKEYED`] and says why. Fields that stand in the study are renamed to
//! their path in it, so that a plan speaks the study's language. Inputs come as folders by role, external files as
//! paths by role, and everything is written into one empty folder: see [`Workbench`]. All fields together are the task as it
//! travels to another machine: see `wire.rs`.

pub mod architecture;
pub mod bold;
pub mod ceiling;
pub mod encode;
pub mod evidence;
pub mod export;
pub mod extract;
pub mod finding;
pub mod frames;
pub mod group;
pub mod groups;
pub mod hierarchy;
pub mod maps;
pub mod mask;
pub mod measure;
pub mod null;
pub mod pattern;
pub mod polarity;
pub mod prediction;
pub mod recovery;
pub mod redundancy;
pub mod report;
pub mod series;
pub mod simulate;
pub mod stimuli;
pub mod twin;
pub mod weights;
mod wire;
mod workbench;

pub use wire::{WireError, read_task};
pub use workbench::{Progress, TaskError, Warning, Workbench, read_warnings};

use ndarray::{Array2, ArrayView2, Axis, concatenate};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The kinds of task, in the order in which data flows through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Stimulus tables and generated stimuli -> images, captions and events.
    Stimuli,
    /// A film -> pictures at stated moments.
    Frames,
    /// Description of an untrained model, or a model whose untrained twin is asked for -> a model folder.
    Weights,
    /// Weights -> an ONNX graph whose outputs are units.
    Export,
    /// Graph and stimuli -> unit activations, one shard.
    Extract,
    /// Stimuli -> low-level features, one shard, as if they were units of a network.
    Measure,
    /// Activations and events -> unit series at the repetition time.
    Series,
    /// Unit series -> the BOLD files of one simulated subject.
    Simulate,
    /// Atlas and brain mask -> voxels by functional network.
    Mask,
    /// Voxels by functional network -> the networks of every voxel by number.
    Groups,
    /// One run's BOLD file -> prepared voxel series.
    Bold,
    /// Unit series -> sparse dictionary of time courses.
    Pattern,
    /// Features and voxel series -> weights and held-out scores.
    Encode,
    /// Held-out predictions -> significance of each voxel's score.
    Null,
    /// Runs that were shown again -> noise ceiling of each voxel, scores as a share of it.
    Ceiling,
    /// Held-out evidence of all fits -> scores by layer and network.
    Prediction,
    /// Voxel maps of patterns -> overlap statistics.
    Redundancy,
    /// Voxel maps and codes of patterns -> opposed pairs.
    Polarity,
    /// Held-out evidence of branches and models -> what each adds to the others.
    Architecture,
    /// Held-out evidence of layers -> depth by network.
    Hierarchy,
    /// What was planted and what was found -> how much of it was recovered.
    Recovery,
    /// Findings of all subjects -> tests over them.
    Group,
    /// Voxels' scores, weights and statistics -> maps of one subject and model, or of the group.
    Maps,
    /// All of the above -> tables and the page.
    Report,
}

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Self; 24] = [
        Self::Stimuli,
        Self::Frames,
        Self::Weights,
        Self::Export,
        Self::Extract,
        Self::Measure,
        Self::Series,
        Self::Simulate,
        Self::Mask,
        Self::Groups,
        Self::Bold,
        Self::Pattern,
        Self::Encode,
        Self::Null,
        Self::Ceiling,
        Self::Prediction,
        Self::Redundancy,
        Self::Polarity,
        Self::Architecture,
        Self::Hierarchy,
        Self::Recovery,
        Self::Group,
        Self::Maps,
        Self::Report,
    ];

    /// Revision of what this kind of task computes from equal inputs; part of every key. Raise it when the bytes change.
    #[must_use]
    pub fn version(self) -> u32 {
        match self {
            Self::Report => 7,
            Self::Export | Self::Encode | Self::Null => 3,
            Self::Weights
            | Self::Extract
            | Self::Mask
            | Self::Bold
            | Self::Simulate
            | Self::Pattern
            | Self::Redundancy
            | Self::Polarity => 2,
            _ => 1,
        }
    }

    /// The name used in task ids, `hebb plan` and the cache.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stimuli => "stimuli",
            Self::Frames => "frames",
            Self::Weights => "weights",
            Self::Export => "export",
            Self::Extract => "extract",
            Self::Measure => "measure",
            Self::Series => "series",
            Self::Simulate => "simulate",
            Self::Mask => "mask",
            Self::Groups => "groups",
            Self::Bold => "bold",
            Self::Pattern => "pattern",
            Self::Encode => "encode",
            Self::Null => "null",
            Self::Ceiling => "ceiling",
            Self::Prediction => "prediction",
            Self::Redundancy => "redundancy",
            Self::Polarity => "polarity",
            Self::Architecture => "architecture",
            Self::Hierarchy => "hierarchy",
            Self::Recovery => "recovery",
            Self::Group => "group",
            Self::Maps => "maps",
            Self::Report => "report",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// With this begin the names of fields that a task needs and that do not shape its result.
pub const UNKEYED: char = '~';

/// A kind of task with its parameters: what each file of this folder implements.
pub trait Compute: Serialize + fmt::Debug + Send + Sync + 'static {
    /// Which kind this is.
    const KIND: Kind;

    /// Upper estimate of resident memory, from shapes alone.
    fn memory_bytes(&self) -> u64;

    /// The numeric engine that shapes the bytes, where it is not this program: part of the key.
    fn engine(&self) -> Option<String> {
        None
    }

    /// The roles of inputs and files that two tasks of this kind have to share, besides their engine, so that one may take over
    /// parts of the other's result: its kin. None may by default.
    fn kin(&self) -> &'static [&'static str] {
        &[]
    }

    /// The roles of inputs whose bytes another input knows by a digest, so that they are no part of what went in: an input of such
    /// a role that changes where this task does not look leads to the same result. None may by default.
    fn described(&self) -> &'static [&'static str] {
        &[]
    }

    /// The files that this task reads of inputs of a role, by their paths inside; all of them, if absent, as by default. What is not
    /// read need not be checked: a task that takes a sentence from a large result costs a sentence.
    fn reads(&self, _role: &str) -> Option<&'static [&'static str]> {
        None
    }

    /// Computes and writes every file of the artifact.
    ///
    /// # Errors
    /// If an input is not what the parameters promise, or a file cannot be read or written.
    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError>;
}

/// Any task, as the plan and the executor see it.
pub trait Task: fmt::Debug + Send + Sync {
    /// See [`Compute::KIND`].
    fn kind(&self) -> Kind;
    /// The serialised parameters: the task's own part of its key.
    fn parameters(&self) -> serde_json::Value {
        let mut parameters = self.written();
        if let Some(fields) = parameters.as_object_mut() {
            fields.retain(|name, _| !name.starts_with(UNKEYED));
        }
        parameters
    }
    /// All of the task, as [`read_task`] reads it.
    fn written(&self) -> serde_json::Value;
    /// See [`Compute::engine`].
    fn engine(&self) -> Option<String>;
    /// See [`Compute::memory_bytes`].
    fn memory_bytes(&self) -> u64;
    /// See [`Compute::kin`].
    fn kin(&self) -> &'static [&'static str];
    /// See [`Compute::described`].
    fn described(&self) -> &'static [&'static str];
    /// See [`Compute::reads`].
    fn reads(&self, role: &str) -> Option<&'static [&'static str]>;
    /// See [`Compute::compute`].
    ///
    /// # Errors
    /// As [`Compute::compute`].
    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError>;
}

impl<T: Compute> Task for T {
    fn kind(&self) -> Kind {
        T::KIND
    }

    fn written(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("task parameters are plain data with text keys")
    }

    fn engine(&self) -> Option<String> {
        Compute::engine(self)
    }

    fn memory_bytes(&self) -> u64 {
        Compute::memory_bytes(self)
    }

    fn kin(&self) -> &'static [&'static str] {
        Compute::kin(self)
    }

    fn described(&self) -> &'static [&'static str] {
        Compute::described(self)
    }

    fn reads(&self, role: &str) -> Option<&'static [&'static str]> {
        Compute::reads(self, role)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        Compute::compute(self, bench)
    }
}

/// Joins matrices along an axis.
fn joined(axis: Axis, parts: &[Array2<f32>]) -> Result<Array2<f32>, TaskError> {
    let views: Vec<ArrayView2<'_, f32>> = parts.iter().map(|part| part.view()).collect();
    concatenate(axis, &views)
        .map_err(|error| TaskError::Unanswerable(format!("results that belong together differ in shape: {error}")))
}

/// The first few of the names that a caveat lists.
fn listed(names: &[impl AsRef<str>], separator: &str) -> String {
    const MOST: usize = 5;
    let first: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    first.join(separator) + if names.len() > MOST { " and others" } else { "" }
}
