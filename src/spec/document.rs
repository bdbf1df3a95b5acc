//! What was written, as one tree with positions. Knows TOML, not studies.
//!
//! Everything that is said about a spec is said about a [`FieldPath`]; this file turns a path into the bytes that it names,
//! so that neither the types nor the checks carry positions around. A tree may come out of several files, since a study may
//! include another, and values may be put in another's place, as a sweep does: each node remembers where it was written.

use super::diagnostic::{Diagnostic, Source, Span};
use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A place in a study file, as `encoding.ridge.alphas[3]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Step>);

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Into a table.
    Key(String),
    /// Into an array.
    Index(usize),
}

impl FieldPath {
    /// The path of keys separated by full stops; keys that hold one are added with [`FieldPath::key`].
    #[must_use]
    pub fn of(dotted: &str) -> Self {
        Self(dotted.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    /// This path, one table key further.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self([self.0.as_slice(), &[Step::Key(key.to_owned())]].concat())
    }

    /// This path, one array element further.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self([self.0.as_slice(), &[Step::Index(index)]].concat())
    }

    /// The table keys of the path, array elements left out.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if place == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A table: what is written under each key.
pub type Table = BTreeMap<String, Node>;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// The key that it stands under; the value's own place within an array.
    pub key: Span,
    /// The value itself. A `[table]` header spans only its own line, so a table's place is its key.
    pub place: Span,
}

/// A value, without the forms in which TOML lets one write it.
#[derive(Clone, Debug)]
pub enum Value {
    /// Keys and values.
    Table(Table),
    /// Values in brackets.
    List(Vec<Node>),
    /// Text in quotes.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// `true` or `false`.
    Flag(bool),
    /// A date or time, which no study needs.
    Date(toml::value::Datetime),
}

impl Node {
    /// The table that this is.
    #[must_use]
    pub fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The same without positions, as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Table(table) => table.iter().map(|(key, node)| (key.clone(), node.json())).collect(),
            Value::List(items) => items.iter().map(Self::json).collect(),
            Value::Text(text) => text.as_str().into(),
            Value::Integer(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Flag(flag) => (*flag).into(),
            Value::Date(date) => date.to_string().into(),
        }
    }

    /// The file that each of its values was written in, in their order.
    #[must_use]
    pub fn sources(&self) -> Vec<usize> {
        match &self.value {
            Value::Table(table) => table.values().flat_map(Self::sources).collect(),
            Value::List(items) => items.iter().flat_map(Self::sources).collect(),
            _ => vec![self.place.source],
        }
    }

    /// The same without positions, as the types of a study are read from.
    #[must_use]
    pub fn plain(&self) -> toml::Value {
        match &self.value {
            Value::Table(table) => {
                toml::Value::Table(table.iter().map(|(key, node)| (key.clone(), node.plain())).collect())
            }
            Value::List(items) => toml::Value::Array(items.iter().map(Self::plain).collect()),
            Value::Text(text) => toml::Value::String(text.clone()),
            Value::Integer(number) => toml::Value::Integer(*number),
            Value::Float(number) => toml::Value::Float(*number),
            Value::Flag(flag) => toml::Value::Boolean(*flag),
            Value::Date(date) => toml::Value::Datetime(*date),
        }
    }
}

/// A study as it was written, in one file or several.
#[derive(Clone, Debug)]
pub struct Document {
    /// The files, the one that was asked for first.
    pub sources: Arc<[Source]>,
    /// Everything that was written.
    pub root: Table,
}

impl Document {
    /// The nodes on a path, the outermost first, as far as they were written.
    fn nodes<'a>(&'a self, path: &FieldPath) -> impl Iterator<Item = &'a Node> {
        let (mut table, mut list): (Option<&Table>, Option<&Vec<Node>>) = (Some(&self.root), None);
        path.0.iter().map_while(move |step| {
            let node = match step {
                Step::Key(key) => table?.get(key)?,
                Step::Index(index) => list?.get(*index)?,
            };
            (table, list) = match &node.value {
                Value::Table(table) => (Some(table), None),
                Value::List(list) => (None, Some(list)),
                _ => (None, None),
            };
            Some(node)
        })
    }

    /// The innermost node on a path that was written, if any.
    fn nearest(&self, path: &FieldPath) -> Option<&Node> {
        self.nodes(path).last()
    }

    /// The text that was written at exactly this path, if it is one.
    #[must_use]
    pub fn text(&self, path: &FieldPath) -> Option<&str> {
        match &self.nearest(path).filter(|_| self.has(path))?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The keys that were written in the table at exactly this path.
    #[must_use]
    pub fn keys(&self, path: &FieldPath) -> Vec<&str> {
        let table = self.nearest(path).filter(|_| self.has(path)).and_then(Node::table);
        table.into_iter().flat_map(|table| table.keys().map(String::as_str)).collect()
    }

    /// Whether something was written at exactly this path.
    #[must_use]
    pub fn has(&self, path: &FieldPath) -> bool {
        self.nodes(path).count() == path.0.len()
    }

    /// The bytes of the value at a path, or of the nearest part of the path that was written.
    #[must_use]
    pub fn value_span(&self, path: &FieldPath) -> Span {
        self.nearest(path).map_or(Span::default(), |node| node.place)
    }

    /// The bytes of the key at a path, or of the nearest part of the path that was written.
    #[must_use]
    pub fn key_span(&self, path: &FieldPath) -> Span {
        self.nearest(path).map_or(Span::default(), |node| node.key)
    }

    /// The folder that a relative path written at `path` starts from: that of the file in which it was written.
    #[must_use]
    pub fn folder(&self, path: &FieldPath) -> &Path {
        &self.sources[self.value_span(path).source].folder
    }

    /// The text in these bytes.
    #[must_use]
    pub fn written(&self, span: Span) -> &str {
        self.sources[span.source].text.get(span.start..span.end).unwrap_or_default()
    }

    /// The same without positions, as types are read from.
    #[must_use]
    pub fn plain(&self) -> toml::Value {
        toml::Value::Table(self.root.iter().map(|(key, node)| (key.clone(), node.plain())).collect())
    }

    /// Every value by its path, without what encloses it: what two studies are compared by.
    #[must_use]
    pub fn fields(&self) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        for (key, node) in &self.root {
            flatten(node, &FieldPath::default().key(key), &mut fields);
        }
        fields
    }
}

fn flatten(node: &Node, path: &FieldPath, fields: &mut BTreeMap<String, String>) {
    match &node.value {
        Value::Table(table) if !table.is_empty() => {
            table.iter().for_each(|(key, node)| flatten(node, &path.key(key), fields));
        }
        Value::List(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(index, node)| flatten(node, &path.index(index), fields));
        }
        Value::Text(text) => drop(fields.insert(path.to_string(), text.clone())),
        _ => drop(fields.insert(path.to_string(), node.json().to_string())),
    }
}

/// Parses the text of the file that is `source` among a document's sources.
///
/// # Errors
/// One diagnostic for each place that is not TOML.
pub(super) fn parse(source: usize, text: &str) -> Result<Table, Vec<Diagnostic>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut found: Vec<Diagnostic> = errors.iter().map(|error| not_toml(source, text, error)).collect();
    let table = taken_table(source, root.get_ref(), &mut found);
    if found.is_empty() { Ok(table) } else { Err(found) }
}

fn taken_table(source: usize, table: &DeTable<'_>, found: &mut Vec<Diagnostic>) -> Table {
    let entries = table.iter().map(|(key, value)| {
        let span = Span::new(source, key.span());
        (key.get_ref().to_string(), taken(source, value, Some(span), found))
    });
    entries.collect()
}

fn taken(source: usize, value: &Spanned<DeValue<'_>>, key: Option<Span>, found: &mut Vec<Diagnostic>) -> Node {
    let own = Span::new(source, value.span());
    let mut place = own;
    let unreadable = |kind: &str| {
        let limits = "between -9223372036854775808 and 9223372036854775807";
        Diagnostic::new(own, format!("not a {kind} that can be read"), format!("expected one {limits}"))
    };
    let value = match value.get_ref() {
        DeValue::Table(table) => {
            place = key.unwrap_or(own);
            Value::Table(taken_table(source, table, found))
        }
        DeValue::Array(items) => Value::List(items.iter().map(|item| taken(source, item, None, found)).collect()),
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix());
            Value::Integer(read.unwrap_or_else(|_| {
                found.push(unreadable("whole number"));
                0
            }))
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or_else(|_| {
            found.push(unreadable("number"));
            0.0
        })),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(date) => Value::Date(*date),
    };
    Node { value, key: key.unwrap_or(own), place }
}

/// The parser's words, with what TOML is for who never heard of it.
fn not_toml(source: usize, text: &str, error: &toml::de::Error) -> Diagnostic {
    let bytes = error.span().unwrap_or(0..0);
    let span = Span::new(source, bytes.clone());
    if error.message() == "duplicate key" {
        let key = text.get(bytes).unwrap_or_default();
        return Diagnostic::new(span, format!("`{key}` is given twice"), "given before").hint("keep one of them");
    }
    let hint = "each line is `key = value` or the name of a table in brackets, as `[runs]`; a value is a number, `true`, \
                `false`, text in quotes or a list in brackets";
    Diagnostic::new(span, format!("not TOML: {}", error.message()), "cannot be read from here").hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[encoding.ridge]\nalphas = [1, 10, 'x']\n";

    fn document(text: &str) -> Document {
        let sources = [Source::new("study.toml", text, Path::new(""))];
        Document { sources: sources.into(), root: parse(0, text).expect("TOML") }
    }

    #[test]
    fn paths_find_their_bytes() {
        let document = document(TEXT);
        let alphas = FieldPath::of("encoding.ridge.alphas");
        assert_eq!(document.written(document.key_span(&alphas)), "alphas");
        assert_eq!(document.written(document.value_span(&alphas.index(2))), "'x'");
        assert_eq!(alphas.index(2).to_string(), "encoding.ridge.alphas[2]");
    }

    #[test]
    fn a_path_that_was_not_written_leads_to_the_nearest_part_that_was() {
        let document = document(TEXT);
        assert_eq!(document.written(document.value_span(&FieldPath::of("encoding.ridge.folds"))), "ridge");
    }

    #[test]
    fn every_place_that_is_not_toml_is_told() {
        let errors = parse(0, "a = \nb = [1,\n").expect_err("not TOML");
        assert!(errors.len() >= 2, "{errors:?}");
    }

    #[test]
    fn values_are_read_in_every_form_that_toml_has() {
        let fields = document("a = 0x1F\nb = 1_000\nc = 1e3\nd = -inf\ne = []\n[f]\n").fields();
        let told: Vec<(&str, &str)> = fields.iter().map(|(path, value)| (path.as_str(), value.as_str())).collect();
        assert_eq!(told, [("a", "31"), ("b", "1000"), ("c", "1000.0"), ("d", "null"), ("e", "[]"), ("f", "{}")]);
    }

    #[test]
    fn a_number_too_large_to_read_is_told_and_not_cut() {
        let errors = parse(0, "a = 99999999999999999999\n").expect_err("too large");
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].span, Span::new(0, 4..24));
    }
}
