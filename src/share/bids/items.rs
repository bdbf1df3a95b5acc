//! Which files a dataset has: a map or a table each, whose it is, what it is called and what its sidecar says.
//!
//! Everything is read off the results themselves: names and sidecars of maps, and the tables of the report.

use super::{
    Artifact, CellResults, ExportError,
    about::source_uri,
    io_error,
    labels::{Labels, camel, injective, or_missing},
};
use crate::{
    format::{bids::Entities, memory::read_text_within, tsv::Table},
    spec::{Design, Subjects, written::Encoding},
    task::{maps::MAPS, report::TABLES},
};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The folder of what holds over subjects.
const GROUP: &str = "group";
/// What tables are called behind their entities.
pub(super) const TABLE: &str = "table";
/// Tables of a subject and a model, as the report names them behind both.
const OF_A_MODEL: [&str; 12] = [
    "bands",
    "best_layers",
    "ceilings",
    "layer_dimensions",
    "layer_profiles",
    "network_depths",
    "pattern_shares",
    "polarity_pairs",
    "redundancy_networks",
    "redundancy_pairs",
    "removals",
    "branch_variance",
];

/// Where the bytes of a file come from.
#[derive(Debug)]
pub(super) enum Origin {
    /// A file of the results.
    File(PathBuf),
    /// Rows of one of its tables.
    Rows(Table),
}

/// A map or a table of the dataset.
#[derive(Debug)]
pub(super) struct Item {
    /// The subject; absent over all of them.
    pub(super) subject: Option<String>,
    /// The model, where it is about one.
    pub(super) model: Option<String>,
    /// What it is called in the results: of a map its `desc`, of a table its name.
    pub(super) called: String,
    /// What it holds, in words.
    pub(super) holds: String,
    /// Its `desc` label.
    pub(super) desc: String,
    stat: Option<String>,
    pub(super) suffix: String,
    pub(super) extension: String,
    pub(super) origin: Origin,
    /// The sidecar that it has in the results.
    told: Map<String, Value>,
    task: String,
    key: String,
    output: String,
}

impl Item {
    fn new(artifact: &Artifact, origin: Origin) -> Self {
        Self {
            subject: None,
            model: None,
            called: String::new(),
            holds: String::new(),
            desc: String::new(),
            stat: None,
            suffix: TABLE.to_owned(),
            extension: ".tsv".to_owned(),
            origin,
            told: Map::new(),
            task: artifact.task.clone(),
            key: artifact.key.to_string(),
            output: artifact.output.to_string(),
        }
    }

    pub(super) fn is_table(&self) -> bool {
        self.suffix == TABLE
    }

    /// What its `desc` stands for, in one line.
    pub(super) fn named(&self, labels: &Labels) -> String {
        let Some(model) = &self.model else { return self.holds.clone() };
        if self.is_table() {
            return format!("{} of model {model}", self.holds);
        }
        match self.called.strip_prefix(labels.model(model)).unwrap_or(&self.called) {
            "" => format!("maps of model {model}"),
            part => format!("maps of {part} of model {model}"),
        }
    }

    /// Where it lies in the dataset.
    pub(super) fn path(&self, labels: &Labels) -> String {
        self.with_ending(labels, &self.extension)
    }

    pub(super) fn sidecar_path(&self, labels: &Labels) -> String {
        self.with_ending(labels, ".json")
    }

    fn with_ending(&self, labels: &Labels, extension: &str) -> String {
        let subject = self.subject.as_deref().map(|name| labels.subject(name));
        let folder = subject.map_or(GROUP.to_owned(), |subject| format!("{subject}/func"));
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        pairs.extend(subject.map(|subject| ("sub", subject.trim_start_matches("sub-"))));
        pairs.push(("task", labels.task().0));
        if !self.is_table() {
            pairs.extend(labels.place(self.subject.as_deref()));
        }
        pairs.extend(self.stat.as_deref().map(|stat| ("stat", stat)));
        pairs.push(("desc", &self.desc));
        let pairs = pairs.into_iter().map(|(key, label)| (key.to_owned(), label.to_owned())).collect();
        let name = Entities { pairs, suffix: self.suffix.clone(), extension: extension.to_owned() };
        format!("{folder}/{name}")
    }

    /// What the file beside it says: what the results say of it, and how it came to be.
    pub(super) fn sidecar(&self, design: &Design, labels: &Labels, all: &[Item]) -> Map<String, Value> {
        let mut told = self.told.clone();
        if self.suffix == "mask" {
            told.insert("Type".to_owned(), json!("ROI"));
        }
        if !self.is_table() {
            told.insert("Description".to_owned(), json!(self.holds));
            told.insert("TaskName".to_owned(), json!(labels.task().1));
            told.extend(self.reference(design, labels, all).map(|image| ("SpatialReference".to_owned(), json!(image))));
            if self.stat.is_some() {
                let is_banded = matches!(design.encoding, Encoding::Banded(_));
                told.insert("Features".to_owned(), json!(if is_banded { "bands" } else { "patterns" }));
            }
        }
        let sources = self.sources(design, labels, all);
        if !sources.is_empty() {
            told.insert("Sources".to_owned(), json!(sources));
        }
        told.insert("HebbTask".to_owned(), json!({ "Name": self.task, "Key": self.key, "OutputDigest": self.output }));
        told
    }

    /// The image that it is aligned with: the subject's first series, or, where that is in no file, the mask beside it.
    fn reference(&self, design: &Design, labels: &Labels, all: &[Item]) -> Option<String> {
        let subject = self.subject.as_deref().or_else(|| design.subjects.names().next())?;
        if let Subjects::Recorded { subjects, .. } = &design.subjects {
            let own = subjects.iter().find(|own| own.name == subject)?;
            return own.runs.first().map(|run| source_uri(&run.bold, subject));
        }
        let mask = all.iter().find(|item| item.suffix == "mask" && item.subject.as_deref() == Some(subject))?;
        Some(format!("bids::{}", mask.path(labels)))
    }

    /// What it was computed from: the subject's series; over subjects, their files of the same kind.
    fn sources(&self, design: &Design, labels: &Labels, all: &[Item]) -> Vec<String> {
        let Some(name) = &self.subject else {
            let is_part = |other: &&Item| {
                let is_same = (&other.model, &other.suffix) == (&self.model, &self.suffix);
                // Over subjects, t and confidence are of the scores too.
                let holds =
                    if self.is_table() { other.called == "findings" } else { other.stat.as_deref() == Some("r") };
                other.subject.is_some() && is_same && holds
            };
            return all.iter().filter(is_part).map(|other| format!("bids::{}", other.path(labels))).collect();
        };
        let Subjects::Recorded { subjects, .. } = &design.subjects else { return Vec::new() };
        let own = subjects.iter().filter(|subject| subject.name == *name);
        own.flat_map(|subject| subject.runs.iter().map(|run| source_uri(&run.bold, name))).collect()
    }
}

/// Everything that the results of a cell hold, in the order of names.
pub(super) fn items(design: &Design, results: &CellResults, labels: &Labels) -> Result<Vec<Item>, ExportError> {
    let mut all = Vec::new();
    let mut masks = BTreeSet::new();
    for artifact in &results.maps {
        for item in maps(artifact)? {
            // Every model of a subject has the same mask beside its maps.
            if item.suffix != "mask" || masks.insert(item.subject.clone()) {
                all.push(item);
            }
        }
    }
    all.extend(tables(design, &results.report, labels)?);
    name(&mut all, labels);
    all.sort_by_cached_key(|item| item.path(labels));
    Ok(all)
}

/// Gives every kind of map and table a label of its own.
fn name(all: &mut [Item], labels: &Labels) {
    // Statistics of one `desc` are told apart by `stat`, subjects by `sub`.
    type Kind<'a> = (bool, &'a Option<String>, &'a str);
    let mut wished: BTreeMap<Kind<'_>, String> = BTreeMap::new();
    for item in all.iter() {
        let wish = match (item.is_table(), &item.model) {
            (true, Some(model)) => {
                let what = camel(&item.called);
                format!("{}{}{}", labels.model(model), what[..1].to_ascii_uppercase(), &what[1..])
            }
            (true, None) => camel(&item.called),
            (false, _) => item.called.clone(),
        };
        wished.insert((item.is_table(), &item.model, &item.called), wish);
    }
    let names = injective(&wished.values().cloned().collect::<Vec<_>>());
    let of_kind: BTreeMap<_, _> = wished.into_keys().zip(names).collect();
    let descs: Vec<String> =
        all.iter().map(|item| of_kind[&(item.is_table(), &item.model, item.called.as_str())].clone()).collect();
    all.iter_mut().zip(descs).for_each(|(item, desc)| item.desc = desc);
}

/// Names in a folder of the results, sorted.
fn names(folder: &Path) -> Result<Vec<String>, ExportError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_error("read", folder))? {
        names.push(entry.map_err(io_error("read", folder))?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Bytes that the description of a map may have.
const MOST_SIDECAR_BYTES: u64 = 16 << 20;

fn sidecar(path: &Path) -> Result<Map<String, Value>, ExportError> {
    let text = read_text_within(path, MOST_SIDECAR_BYTES).map_err(io_error("read", path))?;
    serde_json::from_str(&text)
        .map_err(|error| ExportError::Result { path: path.to_owned(), problem: error.to_string() })
}

fn maps(artifact: &Artifact) -> Result<Vec<Item>, ExportError> {
    let folder = artifact.folder.join(MAPS);
    let mut all = Vec::new();
    for name in names(&folder)?.into_iter().filter(|name| !name.ends_with(".json")) {
        let path = folder.join(&name);
        let wrong = |problem: String| ExportError::Result { path: path.clone(), problem };
        let entities = Entities::parse(name.trim_start_matches("group_")).map_err(|error| wrong(error.to_string()))?;
        let mut item = Item::new(artifact, Origin::File(path.clone()));
        item.called = entities.get("desc").ok_or_else(|| wrong("its name has no `desc`".to_owned()))?.to_owned();
        item.stat = entities.get("stat").map(str::to_owned);
        item.subject = entities.get("sub").map(|subject| format!("sub-{subject}"));
        if item.stat.is_some() {
            item.told = sidecar(&folder.join(format!("{}.json", name.trim_end_matches(&entities.extension))))?;
            let text = |key: &str| item.told.get(key).and_then(Value::as_str).map(str::to_owned);
            item.model = text("Model");
            item.holds = text("Description").unwrap_or_default();
        } else {
            item.holds = "voxels that the study used".to_owned();
        }
        (item.suffix, item.extension) = (entities.suffix, entities.extension);
        all.push(item);
    }
    Ok(all)
}

fn tables(design: &Design, report: &Artifact, labels: &Labels) -> Result<Vec<Item>, ExportError> {
    let folder = report.folder.join(TABLES);
    let mut all = Vec::new();
    for file in names(&folder)? {
        let Some(name) = file.strip_suffix(".tsv") else { continue };
        let path = folder.join(&file);
        let told = sidecar(&folder.join(format!("{name}.json")))?;
        let item = |origin| Item { told: told.clone(), ..Item::new(report, origin) };
        if let Some((subject, model, called)) = owner(design, name) {
            let holds = format!("table {called}");
            all.push(Item { subject: Some(subject), model, called, holds, ..item(Origin::File(path)) });
            continue;
        }
        let table = Table::read(&path)?;
        let holds = format!("table {name}");
        let Some(column) = table.position("subject") else {
            all.push(Item { called: name.to_owned(), holds, ..item(Origin::File(path)) });
            continue;
        };
        // Tables over subjects become one for each: who takes one subject's folder has all of it.
        for (subject, _) in labels.subjects() {
            let mut own = Table::new(table.columns().to_vec());
            table.rows().iter().filter(|row| row[column] == *subject).for_each(|row| own.push(row.clone()));
            let subject = Some(subject.clone());
            all.push(Item { subject, called: name.to_owned(), holds: holds.clone(), ..item(Origin::Rows(own)) });
        }
    }
    Ok(all)
}

/// Whose table it is, and what it is called beside that.
fn owner(design: &Design, name: &str) -> Option<(String, Option<String>, String)> {
    for subject in design.subjects.names() {
        let Some(rest) = name.strip_prefix(subject).and_then(|rest| rest.strip_prefix('_')) else { continue };
        let of_model = design.models.iter().find_map(|model| {
            let called = rest.strip_prefix(model.name.as_str())?.strip_prefix('_')?;
            OF_A_MODEL.contains(&called).then(|| (Some(model.name.clone()), called.to_owned()))
        });
        let (model, called) = of_model.unwrap_or_else(|| (None, rest.to_owned()));
        return Some((subject.to_owned(), model, called));
    }
    None
}

/// A row for each label of a kind: what it holds and for which model.
pub(super) fn described(items: &[Item], labels: &Labels) -> Vec<[String; 3]> {
    let kinds: BTreeMap<&str, &Item> = items.iter().map(|item| (item.desc.as_str(), item)).collect();
    let row =
        |(desc, item): (&str, &Item)| [format!("desc-{desc}"), item.named(labels), or_missing(&item.model).to_owned()];
    kinds.into_iter().map(row).collect()
}
