//! A study file and the files that it includes -> one document.
//!
//! Tables are joined key by key and everything else is replaced, with one addition: where a table holds one of several
//! forms (`[patterns.dictionary]` or `[patterns.pca]`), another form replaces the first instead of standing beside it.

use super::{
    check::Demand,
    diagnostic::{Diagnostic, Source, Span, SpecError, SpecErrors},
    document::{Document, FieldPath, Node, Table, Value, parse},
    mismatch::field_mismatches,
    place::{folder_of, whole},
    schema::{Schema, nearest},
};
use crate::format::memory::read_text_within;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// Files that one study may consist of: more is a mistake, or meant to exhaust us.
const MOST_FILES: usize = 64;

/// Bytes that a file of a study, or of settings, may have: nobody writes as much by hand.
pub(super) const MOST_BYTES: u64 = 4 << 20;

/// Reads a study file and all that it includes.
///
/// # Errors
/// If the file itself cannot be read, or with everything that is wrong with it and the files that it includes.
pub(super) fn read_document(
    path: &Path,
    schema: &Schema,
    may: &dyn Fn(&Demand) -> bool,
) -> Result<Document, SpecError> {
    let home = whole(folder_of(path));
    let mut files = Files { schema, home, may, sources: Vec::new(), open: Vec::new(), found: Vec::new() };
    let text =
        read_text_within(path, MOST_BYTES).map_err(|source| SpecError::Read { path: path.to_owned(), source })?;
    let root = files.read(path, text);
    let sources = files.sources.into();
    match root {
        Some(root) if files.found.is_empty() => Ok(Document { sources, root }),
        _ => Err(SpecError::Wrong(SpecErrors::new(sources, files.found))),
    }
}

struct Files<'a> {
    schema: &'a Schema,
    /// The folder of the study file.
    home: PathBuf,
    /// Whether the study may have what lies outside it.
    may: &'a dyn Fn(&Demand) -> bool,
    sources: Vec<Source>,
    /// The files that are being read, each included by the one before.
    open: Vec<PathBuf>,
    found: Vec<Diagnostic>,
}

impl Files<'_> {
    /// A file with everything that it includes; `None` if something is wrong, which is noted.
    fn read(&mut self, path: &Path, text: String) -> Option<Table> {
        let source = self.sources.len();
        let folder = path.parent().unwrap_or(Path::new(""));
        self.sources.push(Source::new(&path.display().to_string(), &text, folder));
        let mut root = match parse(source, &text) {
            Ok(root) => root,
            Err(wrong) => {
                self.found.extend(wrong);
                return None;
            }
        };
        let document = Document { sources: self.sources.clone().into(), root: root.clone() };
        let wrong = ["include", "without"].into_iter().flat_map(|key| field_mismatches(&document, self.schema, key));
        let before = self.found.len();
        self.found.extend(wrong);
        if self.found.len() > before {
            return None;
        }
        let (include, without) = (root.remove("include"), root.remove("without"));
        self.open.push(full(path));
        let base = include.as_ref().map(|include| self.included(include, folder));
        self.open.pop();
        let mut base = match base {
            None => Table::new(),
            Some(base) => base?,
        };
        for unwanted in without.iter().flat_map(items) {
            self.remove(&mut base, unwanted);
        }
        join(self.schema, self.schema.root(), &mut base, root);
        Some(base)
    }

    /// The files named in `include`, joined.
    fn included(&mut self, include: &Node, folder: &Path) -> Option<Table> {
        let mut base = Table::new();
        let mut is_whole = true;
        for node in items(include) {
            match self.one(node, folder) {
                Some(mut table) => {
                    // A name belongs to one file: two studies of one name would write to one folder.
                    table.remove("study");
                    join(self.schema, self.schema.root(), &mut base, table);
                }
                None => is_whole = false,
            }
        }
        is_whole.then_some(base)
    }

    fn one(&mut self, node: &Node, folder: &Path) -> Option<Table> {
        let Value::Text(name) = &node.value else { return None };
        let path = folder.join(name);
        let outside = Some(whole(&path)).filter(|path| !path.starts_with(&self.home));
        if let Some(path) = outside.filter(|path| !(self.may)(&Demand::Read(path.clone()))) {
            let message = format!("this study asks to read `{}`, outside its own folder", path.display());
            let hint = "if you know this study, say `--trust` once: it may have what it asks for from then on";
            self.found.push(Diagnostic::new(node.place, message, "not without your word").hint(hint));
            return None;
        }
        let text = match read_text_within(&path, MOST_BYTES) {
            Ok(text) => text,
            Err(error) => {
                let wrong =
                    Diagnostic::new(node.place, format!("cannot read `{}`: {error}", path.display()), "included here");
                self.found
                    .push(wrong.hint("the path of an included file starts from the folder of the file that names it"));
                return None;
            }
        };
        let message = if self.open.contains(&full(&path)) {
            format!("`{}` includes itself", path.display())
        } else if self.sources.len() >= MOST_FILES {
            format!("the study consists of more than {MOST_FILES} files")
        } else {
            return self.read(&path, text);
        };
        self.found.push(Diagnostic::new(node.place, message, "included here"));
        None
    }

    /// Takes a field out of what was included.
    fn remove(&mut self, base: &mut Table, unwanted: &Node) {
        let Value::Text(dotted) = &unwanted.value else { return };
        let path = FieldPath::of(dotted);
        if take(base, &path.keys().collect::<Vec<_>>()).is_none() {
            let mut known = Vec::new();
            paths(base, "", &mut known);
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let hint = match nearest(dotted, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name a table or a key that the included files have, as `statistics.polarity`".to_owned(),
            };
            let message = format!("no included file has `{dotted}`, so the study cannot be without it");
            self.found.push(Diagnostic::new(unwanted.place, message, "not there").hint(hint));
        }
    }
}

/// The entries of a list, or the one value.
fn items(node: &Node) -> std::slice::Iter<'_, Node> {
    match &node.value {
        Value::List(items) => items.iter(),
        _ => std::slice::from_ref(node).iter(),
    }
}

fn full(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn take(table: &mut Table, keys: &[&str]) -> Option<Node> {
    match keys {
        [] => None,
        [last] => table.remove(*last),
        [first, rest @ ..] => match &mut table.get_mut(*first)?.value {
            Value::Table(inner) => take(inner, rest),
            _ => None,
        },
    }
}

fn paths(table: &Table, before: &str, found: &mut Vec<String>) {
    for (key, node) in table {
        let path = if before.is_empty() { key.clone() } else { format!("{before}.{key}") };
        node.table().into_iter().for_each(|inner| paths(inner, &path, found));
        found.push(path);
    }
}

/// Puts `over` on top of `base`; both answer to `schema`.
pub(super) fn join(whole: &Schema, schema: &Json, base: &mut Table, over: Table) {
    if whole.is_choice(schema) && !over.is_empty() {
        base.retain(|key, _| over.contains_key(key));
    }
    for (key, node) in over {
        match (base.get_mut(&key).map(|below| &mut below.value), node.value) {
            (Some(Value::Table(below)), Value::Table(above)) => {
                join(whole, whole.under(schema, &key).unwrap_or(&Json::Null), below, above);
            }
            (_, value) => drop(base.insert(key, Node { value, ..node })),
        }
    }
}

/// Sets one field of a document; tables on the way are made, and another form of a choice gives way.
pub(super) fn set(whole: &Schema, root: &mut Table, path: &FieldPath, node: &Node, key: Span) {
    let mut keys = path.keys().rev();
    let last = keys.next().expect("a path has a key");
    let leaf = Table::from([(last.to_owned(), Node { key, ..node.clone() })]);
    // Whatever was there is replaced and not joined: a swept table is the whole value.
    let parents: Vec<&str> = path.keys().collect();
    take(root, &parents);
    let wrapped = keys.fold(leaf, |inner, name| {
        Table::from([(name.to_owned(), Node { value: Value::Table(inner), key, place: key })])
    });
    join(whole, whole.root(), root, wrapped);
}
