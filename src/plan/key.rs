//! What makes a task the same task: the manifest of a key, and its two readers.
//!
//! `Fields::walk` visits every field of a key once, by name. One reader hashes what it sees, the other lists it; a plan
//! explains a change by comparing two lists. Neither can know a field that the other does not.
//!
//! | in the key | not in the key |
//! |---|---|
//! | kind and its version | task id, names, descriptions |
//! | every parameter, defaults included | comments and order in the study file |
//! | digest of every external file, by role | paths and times of files |
//! | recipe keys (or output digests) of inputs, by role | threads, memory, executor, cache folder |
//! | numeric engine where it shapes the bytes | version of this program |

use crate::{
    store::Digest,
    task::{Kind, Task},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::{self, Write},
    path::PathBuf,
};

/// Everything a key is made of, and the names that explanations need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Kind of task.
    pub kind: Kind,
    /// Revision of the kind.
    pub version: u32,
    /// Numeric engine, where it is not this program.
    pub engine: Option<String>,
    /// The task's parameters.
    pub parameters: Value,
    /// External files.
    pub files: Vec<FileField>,
    /// Inputs from other tasks.
    pub inputs: Vec<InputField>,
}

/// An external file in a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileField {
    /// What the task uses it for.
    pub role: Cow<'static, str>,
    /// Content of the file.
    pub digest: Digest,
    /// Where it was found: for explanations only.
    pub path: PathBuf,
}

/// Another task's result in a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputField {
    /// What the task uses it for.
    pub role: Cow<'static, str>,
    /// The other task's recipe key or output digest.
    pub key: Digest,
    /// The other task's id: for explanations only.
    pub task: String,
}

impl Manifest {
    /// The manifest of a task, with inputs by whichever digest the caller gives.
    #[must_use]
    pub fn new(task: &dyn Task, files: Vec<FileField>, inputs: Vec<InputField>) -> Self {
        Self {
            kind: task.kind(),
            version: task.kind().version(),
            engine: task.engine(),
            parameters: task.parameters(),
            files,
            inputs,
        }
    }

    /// The key: BLAKE3 over name, type and bytes of every field.
    #[must_use]
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method itself is of one lifetime only")]
    pub fn key(&self) -> Digest {
        self.with_fields(|fields| fields.key())
    }

    fn with_fields<T>(&self, read: impl FnOnce(&Fields<'_>) -> T) -> T {
        let files: Vec<(&str, Digest)> = self.files.iter().map(|file| (file.role.as_ref(), file.digest)).collect();
        let inputs: Vec<(&str, Digest)> = self.inputs.iter().map(|input| (input.role.as_ref(), input.key)).collect();
        read(&Fields {
            kind: self.kind,
            version: self.version,
            engine: self.engine.as_deref(),
            parameters: &self.parameters,
            files: &files,
            inputs: &inputs,
        })
    }

    /// The manifest as a record keeps it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("manifests are plain data with text keys")
    }

    /// Every field as text by name: what explanations compare.
    #[must_use]
    pub fn fields(&self) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        self.with_fields(|borrowed| {
            borrowed.walk(&mut |name, leaf| {
                fields.insert(name.to_owned(), leaf.told());
            });
        });
        fields
    }

    /// The fields of the task itself: without inputs, whose changes are told where they are made, and without counts of what is
    /// listed beside them.
    #[must_use]
    pub fn own_fields(&self) -> BTreeMap<String, String> {
        let is_own = |name: &str| !name.starts_with("input ") && !name.ends_with(".length") && !name.ends_with(".size");
        self.fields().into_iter().filter(|(name, _)| is_own(name)).collect()
    }
}

/// What of a manifest is in the key, borrowed.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) kind: Kind,
    pub(super) version: u32,
    pub(super) engine: Option<&'a str>,
    pub(super) parameters: &'a Value,
    /// Role and content of each external file.
    pub(super) files: &'a [(&'a str, Digest)],
    /// Role and key of each input.
    pub(super) inputs: &'a [(&'a str, Digest)],
}

impl Fields<'_> {
    /// The key: BLAKE3 over name, type and bytes of every field, each length-prefixed so that no two manifests run together.
    pub(super) fn key(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        let mut text = String::new();
        self.walk(&mut |name, leaf| {
            text.clear();
            write!(text, "{leaf}").expect("texts take whatever is written");
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            hasher.update(&[leaf.tag()]);
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        });
        hasher.finalize().into()
    }

    /// Visits every field in an order that depends on names alone.
    fn walk(&self, visit: &mut impl FnMut(&str, Leaf<'_>)) {
        visit("kind", Leaf::Text(self.kind.name()));
        visit("version", Leaf::Count(u64::from(self.version)));
        match self.engine {
            Some(engine) => visit("engine", Leaf::Text(engine)),
            None => visit("engine", Leaf::Absent),
        }
        // One text for all names: a plan hashes millions of fields.
        let mut name = String::new();
        walk_value(&mut name, self.parameters, visit);
        let mut numbered = |what: &str, role: &str, index: usize, digest| {
            name.clear();
            write!(name, "{what} {role}[{index}]").expect("texts take whatever is written");
            visit(&name, Leaf::Digest(digest));
        };
        for (index, (role, digest)) in self.files.iter().enumerate() {
            numbered("file", role, index, digest);
        }
        for (index, (role, key)) in self.inputs.iter().enumerate() {
            numbered("input", role, index, key);
        }
    }
}

/// Visits a value under `name`, which is as it was when this returns.
fn walk_value(name: &mut String, value: &Value, visit: &mut impl FnMut(&str, Leaf<'_>)) {
    let length = name.len();
    match value {
        Value::Null => visit(name, Leaf::Absent),
        Value::Bool(flag) => visit(name, Leaf::Flag(*flag)),
        Value::Number(number) => visit(name, Leaf::Number(number)),
        Value::String(text) => visit(name, Leaf::Text(text)),
        // The length stands for itself, so that an empty list is not the same as none.
        Value::Array(items) => {
            name.push_str(".length");
            visit(name, Leaf::Count(items.len() as u64));
            for (index, item) in items.iter().enumerate() {
                name.truncate(length);
                write!(name, "[{index}]").expect("texts take whatever is written");
                walk_value(name, item, visit);
            }
        }
        Value::Object(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            name.push_str(".size");
            visit(name, Leaf::Count(sorted.len() as u64));
            for (key, entry) in sorted {
                name.truncate(length);
                if length > 0 {
                    name.push('.');
                }
                name.push_str(key);
                walk_value(name, entry, visit);
            }
        }
    }
    name.truncate(length);
}

/// One field of a key.
#[derive(Clone, Copy)]
enum Leaf<'a> {
    Absent,
    Flag(bool),
    Number(&'a serde_json::Number),
    Count(u64),
    Text(&'a str),
    Digest(&'a Digest),
}

impl Leaf<'_> {
    /// A byte per type, so that the text `1` and the number `1` differ.
    fn tag(self) -> u8 {
        match self {
            Self::Absent => 0,
            Self::Flag(_) => 1,
            Self::Number(_) => 2,
            Self::Count(_) => 3,
            Self::Text(_) => 4,
            Self::Digest(_) => 5,
        }
    }
}

impl Leaf<'_> {
    /// As a person writes it: `1000`, where the key's own text `1000.0` says that it is no integer.
    fn told(self) -> String {
        match self {
            Self::Number(number) => {
                number.as_f64().filter(|_| number.is_f64()).map_or(number.to_string(), |value| value.to_string())
            }
            leaf => leaf.to_string(),
        }
    }
}

impl fmt::Display for Leaf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Flag(flag) => flag.fmt(f),
            // The shortest text that reads back to the same number: one text per value.
            Self::Number(number) => number.fmt(f),
            Self::Count(count) => count.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest(parameters: Value) -> Manifest {
        Manifest {
            kind: Kind::Encode,
            version: 1,
            engine: None,
            parameters,
            files: vec![FileField {
                role: "weights".into(),
                digest: Digest::of(b"w"),
                path: "a/model.safetensors".into(),
            }],
            inputs: vec![InputField { role: "bold".into(), key: Digest::of(b"b"), task: "bold/sub-01/run-1".into() }],
        }
    }

    /// A changed digest here means that every cache in the world is recomputed: change it only on purpose.
    #[test]
    fn the_key_of_a_known_manifest_is_pinned() {
        let key = manifest(json!({ "alphas": [0.1, 1, 1000.0], "folds": "runs", "shared": false, "gap": null })).key();
        assert_eq!(key.to_string(), "494fe0d9e81966e0842f907c166e9a2a2f5d95dc3854c939ca79069f5e2dc17a");
    }

    #[test]
    fn order_paths_and_task_names_shape_no_key() {
        let one = manifest(json!({ "a": 1, "b": [2.5] }));
        let mut other = manifest(json!({ "b": [2.5], "a": 1 }));
        other.files[0].path = "elsewhere".into();
        other.inputs[0].task = "renamed".into();
        assert_eq!(one.key(), other.key());
    }

    #[test]
    fn values_that_look_alike_have_different_keys() {
        let alike = [
            json!({ "a": 1 }),
            json!({ "a": 1.0 }),
            json!({ "a": "1" }),
            json!({ "a": true }),
            json!({ "a": "true" }),
            json!({ "a": null }),
            json!({ "a": "absent" }),
            json!({}),
            json!({ "a": [] }),
            json!({ "a": {} }),
            json!({ "a": [1] }),
            json!({ "a": [[1]] }),
            json!({ "a": { "b": 1 } }),
            json!({ "a.b": 1 }),
            json!({ "a[0]": 1 }),
        ];
        let keys: std::collections::BTreeSet<_> = alike.iter().map(|value| manifest(value.clone()).key()).collect();
        assert_eq!(keys.len(), alike.len());
    }

    #[test]
    fn kind_version_engine_files_and_inputs_shape_the_key() {
        let base = manifest(json!({}));
        let changes: [fn(&mut Manifest); 6] = [
            |m| m.kind = Kind::Null,
            |m| m.version += 1,
            |m| m.engine = Some("onnxruntime 1".into()),
            |m| m.files[0].digest = Digest::of(b"other"),
            |m| m.inputs[0].key = Digest::of(b"other"),
            |m| m.inputs[0].role = "mask".into(),
        ];
        for change in changes {
            let mut changed = base.clone();
            change(&mut changed);
            assert_ne!(changed.key(), base.key());
        }
    }

    #[test]
    fn what_is_hashed_is_what_is_listed() {
        let fields = manifest(json!({ "alphas": [0.1, 1000] })).fields();
        assert_eq!(fields["alphas[1]"], "1000");
        assert_eq!(fields["file weights[0]"], Digest::of(b"w").to_string());
        assert_eq!(fields["input bold[0]"], Digest::of(b"b").to_string());
        assert_eq!(fields.len(), 3 + 2 + 2 + 2);
    }
}
