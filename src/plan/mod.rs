//! Study -> DAG of keyed tasks. Nothing is executed here.
//!
//! `build.rs` turns a checked study into nodes and edges, `key.rs` says what makes a task the same task, `standing.rs`
//! compares the plan with the store and says, field by field, what would run and why; `note.rs` remembers the last run.

mod build;
mod key;
mod methods;
mod note;
mod standing;

pub use build::plan_study;
pub use key::{FileField, InputField, Manifest};
pub use note::{Noted, StudyNote};
pub use standing::{Assessment, Change, Counts, FoundBy, Reason, Standing, Targets, assess};

use crate::{
    store::{Digest, StoreError},
    task::Task,
};
use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};
use std::{collections::HashMap, fmt, path::PathBuf};

/// What a task uses an input or a file for; the name under which the task asks for it.
pub type Role = &'static str;

/// The readable name of a task, unique in its plan, as `encode/sub-01/clip/patterns`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(String);

impl TaskId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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

/// One task of a plan.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub id: TaskId,
    /// What it computes.
    pub task: Box<dyn Task>,
    /// Files outside the cache that it reads.
    pub files: Vec<ExternalFile>,
    /// Key over everything that it was asked to do.
    pub recipe: Digest,
    manifest: Manifest,
}

/// The tasks of a study and what flows between them.
#[derive(Debug, Default)]
pub struct Plan {
    graph: DiGraph<Node, Role>,
    places: HashMap<Digest, NodeIndex>,
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
        let manifest = Manifest::new(
            &task,
            files
                .iter()
                .map(|file| FileField { role: file.role.to_owned(), digest: file.digest, path: file.path.clone() })
                .collect(),
            inputs.iter().map(|(role, input)| self.input_field(role, *input, self.graph[*input].recipe)).collect(),
        );
        let recipe = manifest.key();
        if let Some(place) = self.places.get(&recipe) {
            return *place;
        }
        let node = Node { id: TaskId(id.into()), task: Box::new(task), files, recipe, manifest };
        let place = self.graph.add_node(node);
        self.places.insert(recipe, place);
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

    /// The tasks that use a task's result.
    pub fn dependants(&self, place: NodeIndex) -> impl Iterator<Item = NodeIndex> + '_ {
        self.graph.neighbors_directed(place, Direction::Outgoing)
    }

    /// The place of the task with this name.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<NodeIndex> {
        self.graph.node_indices().find(|place| self.graph[*place].id.as_str() == id)
    }

    /// The key's fields as the recipe key sees them.
    #[must_use]
    pub fn manifest(&self, place: NodeIndex) -> &Manifest {
        &self.graph[place].manifest
    }

    /// The content key of a task, once the output digest of each input is known.
    #[must_use]
    pub fn content_key(&self, place: NodeIndex, output_of: impl Fn(NodeIndex) -> Digest) -> Digest {
        let inputs =
            self.inputs(place).into_iter().map(|(role, input)| self.input_field(role, input, output_of(input)));
        Manifest { inputs: inputs.collect(), ..self.manifest(place).clone() }.key()
    }

    fn input_field(&self, role: Role, input: NodeIndex, key: Digest) -> InputField {
        InputField { role: role.to_owned(), key, task: self.graph[input].id.to_string() }
    }
}

/// Why a study could not be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An external file could not be hashed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
