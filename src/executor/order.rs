//! One task with everything that it takes to compute it, apart from any plan: what a thread here and a worker elsewhere are
//! handed alike. Owns its form as text.

use crate::{
    plan::{ExternalFile, FileField, InputField, Manifest, Plan, Role},
    store::Digest,
    task::{Kind, Task, WireError, read_task},
};
use petgraph::graph::NodeIndex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

/// What a task reads of another.
#[derive(Clone, Debug)]
pub struct Input {
    /// What it is used for.
    pub role: Role,
    /// The other task, by name.
    pub task: String,
    /// Its key, under which its record is found.
    pub recipe: Digest,
    /// Its result.
    pub output: Digest,
}

/// A task that may start: all its inputs have a result.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its name.
    pub id: String,
    /// What it computes.
    pub task: Arc<dyn Task>,
    /// Files outside the cache that it reads.
    pub files: Vec<ExternalFile>,
    /// Results that it reads.
    pub inputs: Vec<Input>,
    /// Key over everything that it was asked to do.
    pub recipe: Digest,
    /// Key over what goes in, byte for byte.
    pub content: Digest,
}

/// Why an order could not be read.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// It is not the JSON of an order.
    #[error("it is no order as this version of hebb writes it: {0}")]
    Form(#[from] serde_json::Error),
    /// Its task is none of this version's.
    #[error(transparent)]
    Task(#[from] WireError),
    /// It leads to another key here than where it was written.
    #[error(
        "`{id}` has the key {found} here and {expected} where it was planned: another version of hebb or of an engine runs here"
    )]
    OtherKey {
        /// The task.
        id: String,
        /// The key here.
        found: String,
        /// The key that it was ordered under.
        expected: String,
    },
}

/// The form of an order as text.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    id: String,
    kind: Kind,
    task: Value,
    files: Vec<FileField>,
    inputs: Vec<WrittenInput>,
    recipe: Digest,
    content: Digest,
}

#[derive(Debug, Serialize, Deserialize)]
struct WrittenInput {
    role: String,
    task: String,
    recipe: Digest,
    output: Digest,
}

impl Order {
    /// A task of a plan; `output_of` gives the result of each of its inputs.
    #[must_use]
    pub fn of(plan: &Plan, place: NodeIndex, output_of: impl Fn(NodeIndex) -> Digest) -> Self {
        let node = plan.node(place);
        let input = |(role, place): (Role, NodeIndex)| {
            let of = plan.node(place);
            Input { role, task: of.id.to_string(), recipe: of.recipe, output: output_of(place) }
        };
        Self {
            id: node.id.to_string(),
            task: Arc::clone(&node.task),
            files: node.files.clone(),
            inputs: plan.inputs(place).into_iter().map(input).collect(),
            recipe: node.recipe,
            content: plan.content_key(place, &output_of),
        }
    }

    /// The key's fields as the recipe key sees them.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        self.manifest_by(&[], |input| input.recipe)
    }

    /// The key's fields with inputs by a digest of the caller's choice, without those in some roles.
    fn manifest_by(&self, without: &[Role], key: impl Fn(&Input) -> Digest) -> Manifest {
        let input = |input: &Input| InputField { role: input.role.into(), key: key(input), task: input.task.clone() };
        let inputs = self.inputs.iter().filter(|input| !without.contains(&input.role));
        Manifest::new(self.task.as_ref(), self.files.iter().map(FileField::from).collect(), inputs.map(input).collect())
    }

    /// As text, for a worker elsewhere.
    ///
    /// # Panics
    /// Never: orders are plain data with text keys.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let input = |input: &Input| WrittenInput {
            role: input.role.to_owned(),
            task: input.task.clone(),
            recipe: input.recipe,
            output: input.output,
        };
        let written = Written {
            id: self.id.clone(),
            kind: self.task.kind(),
            task: self.task.written(),
            files: self.files.iter().map(FileField::from).collect(),
            inputs: self.inputs.iter().map(input).collect(),
            recipe: self.recipe,
            content: self.content,
        };
        serde_json::to_value(written).expect("orders are plain data with text keys")
    }

    /// Reads what [`Self::to_json`] wrote, and holds it to its keys.
    ///
    /// # Errors
    /// If it is no order, or one that means something else here.
    pub fn read(json: Value) -> Result<Self, OrderError> {
        let written: Written = serde_json::from_value(json)?;
        let task = read_task(written.kind, &written.task)?;
        let file = |file: FileField| ExternalFile { role: role(&file.role), path: file.path, digest: file.digest };
        let input = |input: WrittenInput| Input {
            role: role(&input.role),
            task: input.task,
            recipe: input.recipe,
            output: input.output,
        };
        let order = Self {
            id: written.id,
            task,
            files: written.files.into_iter().map(file).collect(),
            inputs: written.inputs.into_iter().map(input).collect(),
            recipe: written.recipe,
            content: written.content,
        };
        let recipe = order.manifest().key();
        let content = order.manifest_by(order.task.described(), |input| input.output).key();
        for (found, expected) in [(recipe, order.recipe), (content, order.content)] {
            if found != expected {
                let (found, expected) = (found.short(), expected.short());
                return Err(OrderError::OtherKey { id: order.id, found, expected });
            }
        }
        Ok(order)
    }
}

/// A role by its name. Roles are few words of this program; one that was read is kept as long as it runs, like those.
fn role(name: &str) -> Role {
    static READ: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut read = READ.lock().expect("no holder panics");
    if let Some(role) = read.get(name) {
        return role;
    }
    let role: Role = Box::leak(name.to_owned().into_boxed_str());
    read.insert(role);
    role
}
