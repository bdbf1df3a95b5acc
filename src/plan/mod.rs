//! Study -> DAG of keyed tasks. Nothing is executed here.
//!
//! `build.rs` turns a checked study into nodes and edges, `cells.rs` names the tasks of a sweep, `key.rs` says what makes a task
//! the same task, `standing.rs` compares the plan with the store and says, field by field, what would run and why; `note.rs`
//! remembers the last run, and `methods.rs` tells what is computed in sentences.

mod build;
mod cells;
mod key;
mod methods;
mod note;
mod standing;

pub use build::plan_study;
pub use key::{FileField, InputField, Manifest};
pub use methods::{paragraphs, seeds};
pub use note::{Noted, StudyNote, place_digest};
pub use standing::{Assessment, Change, Counts, FoundBy, Reason, Standing, Targets, assess, assess_noted};

use crate::{
    store::{Digest, StoreError},
    task::{Kind, Task},
};
use key::Fields;
use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};
use std::{borrow::Borrow, collections::HashMap, fmt, path::PathBuf, sync::Arc};

/// What a task uses an input or a file for; the name under which the task asks for it.
pub type Role = &'static str;

/// The readable name of a task, unique in its plan, as `encode/sub-01/clip/patterns`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(String);

impl Borrow<str> for TaskId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TaskId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without the swept values after `@`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A file outside the cache that a task reads.
#[derive(Clone, Debug)]
pub struct ExternalFile {
    /// What the task uses it for.
    pub role: Role,
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub digest: Digest,
}

impl From<&ExternalFile> for FileField {
    fn from(file: &ExternalFile) -> Self {
        Self { role: file.role.into(), digest: file.digest, path: file.path.clone() }
    }
}

/// One task of a plan.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub id: TaskId,
    /// What it computes.
    pub task: Arc<dyn Task>,
    /// Files outside the cache that it reads.
    pub files: Vec<ExternalFile>,
    /// Key over everything that it was asked to do.
    pub recipe: Digest,
    /// Numbers of the cells that asked for it, ascending.
    cells: Vec<u32>,
}

/// The tasks of a study and what flows between them.
#[derive(Debug, Default)]
pub struct Plan {
    graph: DiGraph<Node, Role>,
    places: HashMap<Digest, NodeIndex>,
    ids: HashMap<TaskId, NodeIndex>,
    cells: Vec<Cell>,
    /// Tasks that the cell at hand asked for, while the plan is made.
    asked: Vec<NodeIndex>,
}

/// A cell of a sweep, or the whole of a study without one.
#[derive(Clone, Debug)]
struct Cell {
    /// What it has on each axis; empty without a sweep.
    labels: Vec<String>,
    report: Option<NodeIndex>,
}

impl Plan {
    /// Adds a task whose inputs were added before it, and gives its place.
    ///
    /// Since an input must exist first, the graph has no cycles and its node order is a topological order. A task that is in
    /// the plan already, under whichever name, is not added again.
    pub fn add(
        &mut self,
        id: impl Into<String>,
        task: impl Task + 'static,
        inputs: &[(Role, NodeIndex)],
        files: Vec<ExternalFile>,
    ) -> NodeIndex {
        let roles: Vec<(&str, Digest)> =
            inputs.iter().map(|(role, input)| (*role, self.graph[*input].recipe)).collect();
        let recipe = key_of(&task, &files, &roles);
        if let Some(place) = self.places.get(&recipe).copied() {
            self.ask(place);
            return place;
        }
        let id = TaskId(id.into());
        let node = Node { id: id.clone(), task: Arc::new(task), files, recipe, cells: Vec::new() };
        let place = self.graph.add_node(node);
        self.ask(place);
        self.places.insert(recipe, place);
        self.ids.insert(id, place);
        for (role, input) in inputs {
            self.graph.add_edge(*input, place, role);
        }
        place
    }

    /// The task at a place.
    #[must_use]
    pub fn node(&self, place: NodeIndex) -> &Node {
        &self.graph[place]
    }

    /// Every place, inputs before the tasks that use them.
    pub fn places(&self) -> impl DoubleEndedIterator<Item = NodeIndex> + use<> {
        self.graph.node_indices()
    }

    /// Number of tasks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Whether there is no task.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The inputs of a task with their roles, in the order in which they were given.
    #[must_use]
    pub fn inputs(&self, place: NodeIndex) -> Vec<(Role, NodeIndex)> {
        let mut edges: Vec<_> = self.graph.edges_directed(place, Direction::Incoming).collect();
        edges.sort_by_key(EdgeRef::id);
        edges.iter().map(|edge| (*edge.weight(), edge.source())).collect()
    }

    /// How many inputs a task has.
    #[must_use]
    pub fn n_inputs(&self, place: NodeIndex) -> usize {
        self.graph.edges_directed(place, Direction::Incoming).count()
    }

    /// The tasks that use a task's result.
    pub fn dependants(&self, place: NodeIndex) -> impl Iterator<Item = NodeIndex> + '_ {
        self.graph.neighbors_directed(place, Direction::Outgoing)
    }

    /// Whether a task's result is wanted for itself: nothing needs it, or it is laid out beside the report that needs it.
    #[must_use]
    pub fn is_end(&self, place: NodeIndex) -> bool {
        self.graph[place].task.kind() == Kind::Maps || self.dependants(place).next().is_none()
    }

    /// The place of the task with this name.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<NodeIndex> {
        self.ids.get(id).copied()
    }

    /// The key's fields as the recipe key sees them.
    #[must_use]
    pub fn manifest(&self, place: NodeIndex) -> Manifest {
        let node = &self.graph[place];
        self.manifest_of(node.task.as_ref(), &node.files, &self.inputs(place))
    }

    /// The content key of a task, once the output digest of each input is known.
    #[must_use]
    pub fn content_key(&self, place: NodeIndex, output_of: impl Fn(NodeIndex) -> Digest) -> Digest {
        let node = &self.graph[place];
        let described = node.task.described();
        let inputs = self.inputs(place).into_iter().filter(|(role, _)| !described.contains(role));
        let roles: Vec<(&str, Digest)> = inputs.map(|(role, input)| (role, output_of(input))).collect();
        key_of(node.task.as_ref(), &node.files, &roles)
    }

    fn manifest_of(&self, task: &dyn Task, files: &[ExternalFile], inputs: &[(Role, NodeIndex)]) -> Manifest {
        let input = |(role, place): &(Role, NodeIndex)| {
            let node = &self.graph[*place];
            InputField { role: (*role).into(), key: node.recipe, task: node.id.to_string() }
        };
        Manifest::new(task, files.iter().map(FileField::from).collect(), inputs.iter().map(input).collect())
    }
}

/// The key of a task whose inputs have these keys, by role.
fn key_of(task: &dyn Task, files: &[ExternalFile], inputs: &[(&str, Digest)]) -> Digest {
    let files: Vec<(&str, Digest)> = files.iter().map(|file| (file.role, file.digest)).collect();
    let parameters = task.parameters();
    let engine = task.engine();
    let (kind, engine) = (task.kind(), engine.as_deref());
    Fields { kind, version: kind.version(), engine, parameters: &parameters, files: &files, inputs }.key()
}

/// Why a study could not be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An external file could not be hashed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
