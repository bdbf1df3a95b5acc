//! A document with a `[sweep]` -> one document for each cell.
//!
//! An axis is a field of the grid, or several that are zipped; a cell is one point of each axis. What a cell is called
//! depends on its own values alone, so adding a value or excluding a cell renames no other.

use super::{
    diagnostic::{Diagnostic, Span},
    document::{Document, FieldPath, Node, Table, Value},
    include::set,
    mismatch::field_mismatches,
    schema::{Schema, nearest, quoted},
};
use std::collections::BTreeSet;

/// Cells that a sweep may have: more would not be looked at.
const MOST_CELLS: usize = 10_000;

/// Characters of a value that still stand in the name of a cell.
const LONGEST_LABEL: usize = 32;

/// Tables that are about the study as a whole.
const NOT_SWEPT: [&str; 5] = ["study", "include", "without", "sweep", "cache"];

/// One combination of swept values.
pub(super) struct CellDocument {
    /// What the cell has on each axis, as `n_patterns=32`; empty without a sweep.
    pub(super) labels: Vec<String>,
    /// The study with these values in place.
    pub(super) document: Document,
}

/// The cells of a document; one without labels if it has no sweep.
///
/// # Errors
/// With everything that is wrong with the sweep.
pub(super) fn cells(mut document: Document, schema: &Schema) -> Result<Vec<CellDocument>, Vec<Diagnostic>> {
    let wrong = field_mismatches(&document, schema, "sweep");
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let Some(node) = document.root.remove("sweep") else {
        return Ok(vec![CellDocument { labels: Vec::new(), document }]);
    };
    let mut sweep = Sweep { schema, base: &document, axes: Vec::new(), found: Vec::new() };
    let cells = sweep.cells(&node);
    if sweep.found.is_empty() { Ok(cells) } else { Err(sweep.found) }
}

/// Fields that vary together.
struct Axis {
    fields: Vec<Field>,
    points: Vec<Point>,
}

struct Field {
    path: FieldPath,
    written: String,
    key: Span,
}

/// What the fields of an axis have in one cell.
struct Point {
    label: String,
    values: Vec<Choice>,
}

/// A value of a swept field.
#[derive(Clone)]
struct Choice {
    /// A name of the user's own, or the value itself.
    label: String,
    name: Option<String>,
    node: Node,
}

impl Choice {
    fn is(&self, meant: &Node) -> bool {
        let by_name = matches!(&meant.value, Value::Text(text) if self.name.as_ref() == Some(text));
        by_name || label(meant) == label(&self.node)
    }
}

/// Cells for which something holds: pairs of an axis, a field in it, and the value that it has there.
struct Rule<'n> {
    conditions: Vec<(usize, usize, &'n Node)>,
    set: Vec<(FieldPath, &'n Node)>,
    place: Span,
}

impl Rule<'_> {
    fn holds(&self, points: &[&Point]) -> bool {
        self.conditions.iter().all(|(axis, field, meant)| points[*axis].values[*field].is(meant))
    }
}

struct Sweep<'a> {
    schema: &'a Schema,
    base: &'a Document,
    axes: Vec<Axis>,
    found: Vec<Diagnostic>,
}

impl Sweep<'_> {
    fn cells(&mut self, node: &Node) -> Vec<CellDocument> {
        let part = |name: &str| node.table().and_then(|table| table.get(name));
        for (written, values) in part("grid").and_then(Node::table).into_iter().flatten() {
            self.axis(&[(written, values)]);
        }
        for (table, _) in tables(part("zip")) {
            self.axis(&table.iter().collect::<Vec<_>>());
        }
        if self.axes.is_empty() && self.found.is_empty() {
            let hint =
                "add a field as `\"units.reduce\" = [\"mean\", \"max\"]` to `[sweep.grid]`, or take `[sweep]` out";
            self.found.push(Diagnostic::new(node.place, "the sweep varies nothing", "no field in it").hint(hint));
        }
        self.name_fields();
        let excluded: Vec<Rule<'_>> =
            tables(part("exclude")).filter_map(|(table, place)| self.rule(table, None, place)).collect();
        let overrides = tables(part("override")).filter_map(|(table, _)| {
            let (when, set) = (table.get("when")?, table.get("set")?);
            self.rule(when.table()?, set.table(), when.place)
        });
        let overrides: Vec<Rule<'_>> = overrides.collect();
        let n_cells = self.axes.iter().try_fold(1_usize, |n, axis| n.checked_mul(axis.points.len()));
        if n_cells.is_none_or(|n| n > MOST_CELLS) {
            let counts: Vec<String> = self.axes.iter().map(|axis| axis.points.len().to_string()).collect();
            let message = format!("the sweep has {} cells, expected at most {MOST_CELLS}", counts.join(" x "));
            self.found.push(Diagnostic::new(node.place, message, "too many combinations"));
        }
        if !self.found.is_empty() {
            return Vec::new();
        }
        self.combine(&excluded, &overrides, node)
    }

    /// Every combination that is not excluded.
    fn combine(&mut self, excluded: &[Rule<'_>], overrides: &[Rule<'_>], node: &Node) -> Vec<CellDocument> {
        let mut used = BTreeSet::new();
        let mut cells = Vec::new();
        let n_cells: usize = self.axes.iter().map(|axis| axis.points.len()).product();
        for number in 0..n_cells {
            let points = self.points(number);
            let mut holding = excluded.iter().enumerate().filter(|(_, rule)| rule.holds(&points)).peekable();
            if holding.peek().is_some() {
                used.extend(holding.map(|(place, _)| (0, place)));
                continue;
            }
            let mut document = self.base.clone();
            let mut put = |path: &FieldPath, node: &Node, key| set(self.schema, &mut document.root, path, node, key);
            for (axis, point) in self.axes.iter().zip(&points) {
                for (field, choice) in axis.fields.iter().zip(&point.values) {
                    put(&field.path, &choice.node, field.key);
                }
            }
            for (place, rule) in overrides.iter().enumerate().filter(|(_, rule)| rule.holds(&points)) {
                used.insert((1, place));
                rule.set.iter().for_each(|(path, node)| put(path, node, node.key));
            }
            cells.push(CellDocument { labels: points.iter().map(|point| point.label.clone()).collect(), document });
        }
        for (kind, rules) in [excluded, overrides].into_iter().enumerate() {
            for (_, rule) in rules.iter().enumerate().filter(|(place, _)| !used.contains(&(kind, *place))) {
                // Each value is among those swept, so what is wrong is that no cell has them all.
                let message = format!(
                    "no cell has {} together",
                    if rule.conditions.len() > 1 { "these values" } else { "this value" }
                );
                self.found.push(Diagnostic::new(rule.place, message, ["excludes nothing", "sets nothing"][kind]));
            }
        }
        if cells.is_empty() && self.found.is_empty() {
            self.found.push(Diagnostic::new(node.place, "every cell of the sweep is excluded", "nothing is left"));
        }
        cells
    }

    /// The points of the cell with this number; the last axis varies fastest.
    fn points(&self, number: usize) -> Vec<&Point> {
        let mut rest = number;
        let mut points: Vec<&Point> = self
            .axes
            .iter()
            .rev()
            .map(|axis| {
                let point = &axis.points[rest % axis.points.len()];
                rest /= axis.points.len();
                point
            })
            .collect();
        points.reverse();
        points
    }

    /// Adds fields that vary together; whatever is wrong with them is noted.
    fn axis(&mut self, entries: &[(&String, &Node)]) {
        let mut fields = Vec::new();
        let mut columns: Vec<Vec<Choice>> = Vec::new();
        for (written, values) in entries {
            let Some(path) = self.field(written, values.key) else { continue };
            let others = self.axes.iter().flat_map(|axis| &axis.fields).chain(&fields);
            if let Some(other) = others.into_iter().find(|other: &&Field| overlap(&other.path, &path)) {
                let message = format!("`{written}` varies already, as `{}`", other.written);
                self.found.push(Diagnostic::new(values.key, message, "varies twice"));
                continue;
            }
            if let Some((inner, node)) = values.table().into_iter().flatten().find(|(key, node)| {
                matches!(node.value, Value::List(_))
                    && self.schema_of(&path).is_some_and(|schema| self.schema.under(schema, key).is_some())
            }) {
                let message = format!("`{written}.{inner}` without quotes is a table, expected a path in quotes");
                let wrong = Diagnostic::new(node.key, message, "not a path");
                self.found.push(wrong.hint(format!("write `\"{written}.{inner}\" = […]`")));
                continue;
            }
            let column = self.values(written, values);
            if let Some(first) = columns.first().filter(|first| first.len() != column.len()) {
                let message = format!(
                    "`{written}` has {}, expected {} as `{}` has: zipped fields vary together",
                    if column.len() == 1 { "1 value".to_owned() } else { format!("{} values", column.len()) },
                    first.len(),
                    entries[0].0
                );
                self.found.push(Diagnostic::new(values.place, message, "not as many"));
                continue;
            }
            fields.push(Field { path, written: (*written).clone(), key: values.key });
            columns.push(column);
        }
        let n_points = columns.first().map_or(0, Vec::len);
        if fields.len() == entries.len() && n_points > 0 {
            let point = |place: usize| Point {
                label: String::new(),
                values: columns.iter().map(|column| column[place].clone()).collect(),
            };
            self.axes.push(Axis { fields, points: (0..n_points).map(point).collect() });
        }
    }

    /// What a field may hold.
    fn schema_of(&self, path: &FieldPath) -> Option<&serde_json::Value> {
        path.keys().try_fold(self.schema.root(), |schema, key| self.schema.under(schema, key))
    }

    /// The values of a field; equal ones are noted.
    fn values(&mut self, written: &str, values: &Node) -> Vec<Choice> {
        let choices: Vec<Choice> = match &values.value {
            Value::List(items) => {
                items.iter().map(|node| Choice { label: label(node), name: None, node: node.clone() }).collect()
            }
            Value::Table(named) => named
                .iter()
                .map(|(name, node)| Choice { label: safe(name), name: Some(name.clone()), node: node.clone() })
                .collect(),
            _ => Vec::new(),
        };
        let mut seen = BTreeSet::new();
        for choice in &choices {
            if !seen.insert(&choice.label) {
                let message = format!("`{written}` has the value `{}` twice", choice.label);
                self.found.push(Diagnostic::new(choice.node.place, message, "given before"));
            }
        }
        if choices.is_empty() {
            let message = format!("`{written}` has no value to try");
            self.found.push(Diagnostic::new(values.place, message, "expected at least one"));
        }
        choices
    }

    /// The path of a field that a study may have; `None` if it may not, which is noted.
    fn field(&mut self, written: &str, key: Span) -> Option<FieldPath> {
        let path = FieldPath::of(written);
        let first = path.keys().next().unwrap_or_default();
        if NOT_SWEPT.contains(&first) {
            let message = format!("`{written}` belongs to the study as a whole and cannot vary");
            self.found.push(Diagnostic::new(key, message, "cannot be swept"));
            return None;
        }
        let (mut schema, mut table) = (self.schema.root(), Some(&self.base.root));
        let n_keys = path.keys().count();
        for (place, step) in path.keys().enumerate() {
            let names = table.into_iter().flat_map(|table| table.keys().map(String::as_str));
            let (known, absent): (Vec<&str>, bool) = if self.schema.is_map(schema) {
                let known: Vec<&str> = names.collect();
                // A whole new entry may be put in; a part of one that is not there may not.
                let absent = place + 1 < n_keys && !known.contains(&step);
                (known, absent)
            } else {
                (self.schema.keys(schema), self.schema.under(schema, step).is_none())
            };
            if absent {
                let before: Vec<&str> = path.keys().take(place).collect();
                let within = if before.is_empty() { "a study".to_owned() } else { format!("`{}`", before.join(".")) };
                let message = format!("`{written}` is no field: {within} has no `{step}`");
                let wrong = Diagnostic::new(key, message, "no such field");
                self.found.push(match (nearest(step, &known), known.is_empty()) {
                    (Some(near), _) => wrong.hint(format!("did you mean `{near}`?")),
                    (None, false) => wrong.hint(format!("it has {}", quoted(&known))),
                    (None, true) => wrong.hint("fields are paths in quotes, as `\"units.reduce\"`"),
                });
                return None;
            }
            table = table.and_then(|table| table.get(step)).and_then(Node::table);
            schema = self.schema.under(schema, step)?;
        }
        Some(path)
    }

    /// The shortest endings of the fields' paths that tell them apart, and the labels that follow.
    fn name_fields(&mut self) {
        let paths: Vec<String> =
            self.axes.iter().flat_map(|axis| &axis.fields).map(|field| field.written.clone()).collect();
        let short = |path: &String| {
            let parts: Vec<&str> = path.split('.').collect();
            let ending = |n: usize| parts[parts.len() - n..].join(".");
            let is_unique = |ending: &str| {
                paths.iter().filter(|other| *other == ending || other.ends_with(&format!(".{ending}"))).count() == 1
            };
            (1..parts.len()).map(ending).find(|ending| is_unique(ending)).unwrap_or_else(|| path.clone())
        };
        for axis in &mut self.axes {
            let names: Vec<String> = axis.fields.iter().map(|field| short(&field.written)).collect();
            for point in &mut axis.points {
                let labels: Vec<&String> = point.values.iter().map(|choice| &choice.label).collect();
                let is_named = point.values.len() > 1 && point.values.iter().all(|choice| choice.name.is_some());
                point.label = if is_named && labels.iter().all(|label| *label == labels[0]) {
                    format!("{}={}", names.join("+"), labels[0])
                } else {
                    let pairs = names.iter().zip(labels).map(|(name, label)| format!("{name}={label}"));
                    pairs.collect::<Vec<_>>().join(",")
                };
            }
        }
    }

    /// Cells by the values that they have; whatever names no cell is noted.
    fn rule<'n>(&mut self, when: &'n Table, set: Option<&'n Table>, place: Span) -> Option<Rule<'n>> {
        let before = self.found.len();
        let mut conditions = Vec::new();
        for (written, meant) in when {
            let place_of = |axis: &Axis| axis.fields.iter().position(|field| field.written == *written);
            let found = self.axes.iter().enumerate().find_map(|(place, axis)| Some((place, place_of(axis)?)));
            let Some((axis, field)) = found else {
                let swept: Vec<&str> =
                    self.axes.iter().flat_map(|axis| &axis.fields).map(|field| field.written.as_str()).collect();
                let wrong = Diagnostic::new(meant.key, format!("`{written}` does not vary in this sweep"), "not swept");
                self.found.push(match nearest(written, &swept) {
                    Some(near) => wrong.hint(format!("did you mean `{near}`?")),
                    None => wrong.hint(format!("it varies {}", quoted(&swept))),
                });
                continue;
            };
            let points = &self.axes[axis].points;
            if points.iter().any(|point| point.values[field].is(meant)) {
                conditions.push((axis, field, meant));
            } else {
                let tried: Vec<&str> = points.iter().map(|point| point.values[field].label.as_str()).collect();
                let message = format!("`{written}` is never `{}` in this sweep, but {}", label(meant), quoted(&tried));
                self.found.push(Diagnostic::new(meant.place, message, "not among its values"));
            }
        }
        if when.is_empty() {
            self.found.push(Diagnostic::new(
                place,
                "no swept field is named, so this would mean every cell",
                "which cells?",
            ));
        }
        let mut fields = Vec::new();
        for (written, node) in set.into_iter().flatten() {
            let Some(path) = self.field(written, node.key) else { continue };
            if self.axes.iter().flat_map(|axis| &axis.fields).any(|field| overlap(&field.path, &path)) {
                let message =
                    format!("`{written}` varies in this sweep, so the cell's name would not tell what it has");
                let wrong = Diagnostic::new(node.key, message, "varies");
                self.found.push(wrong.hint("exclude the cell, or add the value to the axis"));
            }
            fields.push((path, node));
        }
        (self.found.len() == before).then_some(Rule { conditions, set: fields, place })
    }
}

/// Whether one path lies within the other.
fn overlap(one: &FieldPath, other: &FieldPath) -> bool {
    one.keys().zip(other.keys()).all(|(one, other)| one == other)
}

/// The tables of a list of tables, and where each begins.
fn tables(node: Option<&Node>) -> impl Iterator<Item = (&Table, Span)> {
    let items = match node.map(|node| &node.value) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    items.iter().filter_map(|item| Some((item.table()?, item.place)))
}

/// What a value is called in the name of a cell: itself where it is short, else its beginning and a digest of all of it.
fn label(node: &Node) -> String {
    let plain = match &node.value {
        Value::Text(text) => text.clone(),
        Value::Float(number) => number.to_string(),
        Value::List(items) => items.iter().map(label).collect::<Vec<_>>().join("+"),
        Value::Table(table) => table.keys().map(String::as_str).collect::<Vec<_>>().join("+"),
        _ => node.json().to_string(),
    };
    let is_whole = !matches!(node.value, Value::Table(_)) && !plain.is_empty();
    if is_whole && safe(&plain) == plain {
        return plain;
    }
    let start: String = safe(&plain).chars().take(LONGEST_LABEL - 13).collect();
    let digest = blake3::hash(node.json().to_string().as_bytes()).to_hex();
    format!("{}~{}", start.trim_end_matches('~'), &digest[..8])
}

/// A text as names of cells and folders may hold it.
fn safe(text: &str) -> String {
    let kept = |letter: char| if letter.is_alphanumeric() || "._+-".contains(letter) { letter } else { '-' };
    text.chars().take(LONGEST_LABEL).map(kept).collect()
}
