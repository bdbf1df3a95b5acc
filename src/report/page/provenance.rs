//! How the results came to be, and how to open them elsewhere.

use serde::{Deserialize, Serialize};

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
    /// Nobody needed it here: what it leads to was there.
    Unneeded,
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
            Self::Unneeded => "not needed",
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
