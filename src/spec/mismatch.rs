//! Everything in a document that its schema does not allow.
//!
//! Deserialisation alone would stop at the first mistake; this walk finds all of them, with positions.

use super::{
    diagnostic::{Diagnostic, Span},
    document::{Document, FieldPath, Node, Table, Value},
    schema::{Schema, allowed_names, alternatives, nearest, only_required, quoted},
};
use serde_json::Value as Json;

/// Everything in a document that its schema does not allow.
#[must_use]
pub(super) fn mismatches(document: &Document, schema: &Schema) -> Vec<Diagnostic> {
    let mut walk = Walk { document, schema, found: Vec::new() };
    walk.table(schema.root(), &document.root, &FieldPath::default());
    walk.found
}

/// Everything in one field of the top level that its schema does not allow.
#[must_use]
pub(super) fn field_mismatches(document: &Document, schema: &Schema, name: &str) -> Vec<Diagnostic> {
    let mut walk = Walk { document, schema, found: Vec::new() };
    if let Some(node) = document.root.get(name) {
        walk.value(&schema.root()["properties"][name], node, &FieldPath::of(name));
    }
    walk.found
}

/// Characters of a text that is still quoted in a message.
const LONGEST_QUOTE: usize = 40;

struct Walk<'a> {
    document: &'a Document,
    schema: &'a Schema,
    found: Vec<Diagnostic>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, schema: &'a Json, value: &Node, path: &FieldPath) {
        let schema = self.schema.resolve(schema);
        if let Some(choices) = alternatives(schema) {
            return self.choice(choices, value, path);
        }
        let span = value.place;
        if let Some(expected) = wrong_type(schema, &value.value) {
            let message = format!("`{path}` is {}, expected {expected}", self.written(value));
            self.found.push(Diagnostic::new(span, message, format!("expected {expected}")));
            return;
        }
        match &value.value {
            Value::Table(table) => self.table(schema, table, path),
            Value::List(items) => {
                self.length(schema, items.len() as u64, path, span);
                for (index, item) in items.iter().enumerate() {
                    self.value(&schema["items"], item, &path.index(index));
                }
            }
            Value::Text(text) => self.text(schema, text, path, span),
            Value::Integer(number) => self.range(schema, *number as f64, path, span),
            Value::Float(number) => self.range(schema, *number, path, span),
            Value::Flag(_) | Value::Date(_) => {}
        }
    }

    fn table(&mut self, schema: &'a Json, table: &Table, path: &FieldPath) {
        let schema = self.schema.resolve(schema);
        let properties = schema["properties"].as_object();
        let known = || properties.into_iter().flat_map(|properties| properties.keys());
        let property = |name: &str| properties.and_then(|properties| properties.get(name));
        // A required key that was misspelt is one mistake, told where it was written.
        let mut meant = Vec::new();
        for (key, value) in table {
            let inner = path.key(key);
            match (property(key), &schema["additionalProperties"]) {
                (Some(property), _) => self.value(property, value, &inner),
                (None, Json::Bool(false)) => {
                    let known: Vec<&str> = known().map(String::as_str).collect();
                    meant.extend(self.unknown(key, &known, value.key, path));
                }
                (None, Json::Object(_)) => self.value(&schema["additionalProperties"], value, &inner),
                (None, _) => {}
            }
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            if !table.contains_key(required) && !meant.contains(&required) {
                let missing = if *path == FieldPath::default() {
                    let message = format!("the table `[{required}]` is missing");
                    Diagnostic::new(Span::default(), message, "this file needs one")
                } else {
                    let label = format!("`{required}` belongs in this table");
                    Diagnostic::new(self.document.key_span(path), format!("`{}` is missing", path.key(required)), label)
                };
                let hint = property(required).and_then(|property| description(self.schema.resolve(property), property));
                self.found.push(match hint {
                    Some(hint) => missing.hint(format!("`{required}`: {hint}")),
                    None => missing,
                });
            }
        }
    }

    /// Notes an unknown key; gives the known one that was probably meant.
    fn unknown<'k>(&mut self, key: &str, known: &[&'k str], span: Span, path: &FieldPath) -> Option<&'k str> {
        let message = format!("unknown key `{}`", path.key(key));
        let near = nearest(key, known);
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys here: {}", quoted(known)),
        };
        self.found.push(Diagnostic::new(span, message, "unknown key").hint(hint));
        near
    }

    fn length(&mut self, schema: &Json, n_entries: u64, path: &FieldPath, span: Span) {
        let bound = |name: &str| schema[name].as_u64();
        let entries = |n: u64| if n == 1 { "1 entry".to_owned() } else { format!("{n} entries") };
        let found = if n_entries == 0 { "is empty".to_owned() } else { format!("has {}", entries(n_entries)) };
        let expected = match (bound("minItems"), bound("maxItems")) {
            (Some(least), Some(most)) if least == most => (n_entries != least).then(|| entries(least)),
            (Some(least), _) if n_entries < least => Some(format!("at least {}", entries(least))),
            (_, Some(most)) if n_entries > most => Some(format!("at most {}", entries(most))),
            _ => None,
        };
        if let Some(expected) = expected {
            let message = format!("`{path}` {found}, expected {expected}");
            self.found.push(Diagnostic::new(span, message, format!("expected {expected}")));
        }
    }

    /// A value as it was written, or what kind of thing it is.
    fn written(&self, value: &Node) -> String {
        let text = self.document.written(value.place);
        match &value.value {
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
            Value::Text(_) if text.chars().count() > LONGEST_QUOTE || text.contains('\n') => "text".to_owned(),
            _ => format!("`{text}`"),
        }
    }

    /// One of several forms: a name out of a list, or a table with exactly one of several keys.
    fn choice(&mut self, choices: &'a [Json], value: &Node, path: &FieldPath) {
        let span = value.place;
        let forms: Vec<&Json> =
            choices.iter().map(|choice| self.schema.resolve(choice)).filter(|form| form["type"] != "null").collect();
        let names: Vec<&str> = forms.iter().flat_map(|form| allowed_names(form)).collect();
        let fitting: Vec<&Json> =
            forms.iter().copied().filter(|form| wrong_type(form, &value.value).is_none()).collect();
        match (&value.value, fitting.as_slice()) {
            (Value::Text(text), [_, ..]) if !names.is_empty() => {
                self.name_of_list(text, &names, &one_of_forms(&forms, &names), path, span);
            }
            (Value::Table(table), [_, ..]) => self.one_key(&fitting, table, path, span),
            (_, [first, ..]) => self.value(first, value, path),
            (_, []) => {
                let expected = one_of_forms(&forms, &names);
                self.found.push(Diagnostic::new(
                    span,
                    format!("`{path}` is {}, expected {expected}", self.written(value)),
                    format!("expected {expected}"),
                ));
            }
        }
    }

    fn one_key(&mut self, forms: &[&'a Json], table: &Table, path: &FieldPath, span: Span) {
        let keyed: Vec<(&str, &'a Json)> =
            forms.iter().filter_map(|form| Some((only_required(form)?, *form))).collect();
        if keyed.len() != forms.len() || keyed.len() == 1 {
            return self.table(forms[0], table, path);
        }
        let names: Vec<&str> = keyed.iter().map(|(name, _)| *name).collect();
        let mut chosen = Vec::new();
        for (key, value) in table {
            match keyed.iter().find(|(name, _)| *name == key) {
                Some((name, form)) => {
                    chosen.push(*name);
                    self.value(&form["properties"][*name], value, &path.key(name));
                }
                None => drop(self.unknown(key, &names, value.key, path)),
            }
        }
        if chosen.len() != 1 && table.len() == chosen.len() {
            let (message, label) = if chosen.is_empty() {
                (format!("`{path}` is empty, expected exactly one of {}", quoted(&names)), "one of them belongs here")
            } else {
                let found = chosen.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
                (format!("`{path}` has {found}, expected exactly one of them"), "keep one, remove the other")
            };
            self.found.push(Diagnostic::new(span, message, label));
        }
    }

    fn text(&mut self, schema: &Json, text: &str, path: &FieldPath, span: Span) {
        let names = allowed_names(schema);
        if !names.is_empty() {
            self.name_of_list(text, &names, &format!("one of {}", quoted(&names)), path, span);
        } else if text.is_empty() && schema["minLength"].as_u64().is_some_and(|least| least > 0) {
            self.found.push(Diagnostic::new(span, format!("`{path}` is empty"), "expected some text"));
        }
    }

    fn name_of_list(&mut self, text: &str, names: &[&str], expected: &str, path: &FieldPath, span: Span) {
        if !names.contains(&text) {
            let message = format!("`{path}` is `{text}`, expected {expected}");
            let wrong = Diagnostic::new(span, message, "not known");
            self.found.push(match nearest(text, names) {
                Some(near) => wrong.hint(format!("did you mean `{near}`?")),
                None => wrong,
            });
        }
    }

    fn range(&mut self, schema: &Json, number: f64, path: &FieldPath, span: Span) {
        let bound = |name: &str| schema[name].as_f64();
        let broken = [
            (!number.is_finite()).then(|| "a finite number".to_owned()),
            bound("minimum").filter(|least| number < *least).map(|least| format!("at least {least}")),
            bound("maximum").filter(|most| number > *most).map(|most| format!("at most {most}")),
            bound("exclusiveMinimum").filter(|least| number <= *least).map(|least| format!("more than {least}")),
            bound("exclusiveMaximum").filter(|most| number >= *most).map(|most| format!("less than {most}")),
        ];
        if let Some(expected) = broken.into_iter().flatten().next() {
            let written = self.document.written(span);
            let message = format!("`{path}` is {written}, expected {expected}");
            let wrong = Diagnostic::new(span, message, format!("expected {expected}"));
            let within = |number: &f64| {
                bound("minimum").is_none_or(|least| *number >= least)
                    && bound("maximum").is_none_or(|most| *number <= most)
            };
            self.found.push(match other_unit(path, number, within) {
                Some(hint) => wrong.hint(hint),
                None => wrong,
            });
        }
    }
}

/// What a number was probably meant to be, if it was written in another unit than its name says.
fn other_unit(path: &FieldPath, number: f64, is_possible: impl Fn(&f64) -> bool) -> Option<String> {
    let name = path.keys().next_back()?;
    let rounded = |number: f64| (number * 1e6).round() / 1e6;
    let (meant, unit, written) = if name == "high_pass_s" && number > 0.0 {
        (rounded(1.0 / number), "s, the longest period that is kept", "Hz")
    } else if name.ends_with("_s") {
        (number / 1000.0, "s", "ms")
    } else if name.ends_with("_mm") {
        (number * 1000.0, "mm", "m")
    } else {
        return None;
    };
    is_possible(&meant).then(|| format!("{number} {written} would be `{name} = {meant}`, in {unit}"))
}

/// What a value should have been, if it is of the wrong type.
fn wrong_type(schema: &Json, value: &Value) -> Option<String> {
    let fits = |name: &str| match value {
        Value::Text(_) => name == "string",
        Value::Integer(_) => name == "integer" || name == "number",
        Value::Float(_) => name == "number",
        Value::Flag(_) => name == "boolean",
        Value::List(_) => name == "array",
        Value::Table(_) => name == "object",
        Value::Date(_) => false,
    };
    let fitting = match &schema["type"] {
        Json::String(name) => fits(name),
        Json::Array(names) => names.iter().filter_map(Json::as_str).any(fits),
        // Without a type, a list of names stands for text.
        _ => allowed_names(schema).is_empty() || fits("string"),
    };
    (!fitting).then(|| type_name(schema))
}

/// What a schema wants, for people who know no types.
fn type_name(schema: &Json) -> String {
    let name = match &schema["type"] {
        Json::String(name) => name.as_str(),
        Json::Array(names) => names.iter().filter_map(Json::as_str).find(|name| *name != "null").unwrap_or("string"),
        _ => "string",
    };
    let words = match name {
        "object" => return table_name(schema),
        "array" => "a list in brackets",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        _ => "text in quotes",
    };
    words.to_owned()
}

fn table_name(schema: &Json) -> String {
    match schema["required"].as_array().map(Vec::as_slice) {
        Some([Json::String(only)]) => format!("a table with `{only}`"),
        _ => "a table".to_owned(),
    }
}

/// Names and other forms that a value may have, as `"runs"` or a table with `blocks`.
fn one_of_forms(forms: &[&Json], names: &[&str]) -> String {
    let named = names.iter().map(|name| format!("`\"{name}\"`"));
    let others = forms.iter().filter(|form| allowed_names(form).is_empty()).map(|form| type_name(form));
    let mut all: Vec<String> = named.chain(others).collect();
    all.dedup();
    match all.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => all.concat(),
    }
}

fn description<'a>(resolved: &'a Json, property: &'a Json) -> Option<&'a str> {
    let text = property["description"].as_str().or_else(|| resolved["description"].as_str())?;
    text.lines().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{diagnostic::Source, document::parse, written::WrittenStudy};
    use std::{collections::BTreeSet, fs, path::Path};

    /// `scripts/check-schema.sh` asks the engine of TOML editors the same: what an editor underlines is what Hebb refuses.
    #[test]
    fn the_studies_listed_are_those_that_are_wrong_in_form() {
        let listed = fs::read_to_string("tests/specs/wrong-in-form.txt").expect("committed");
        let listed: BTreeSet<&str> = listed.lines().collect();
        let schema = Schema::of::<WrittenStudy>();
        for entry in fs::read_dir("tests/specs/invalid").expect("a folder") {
            let path = entry.expect("readable").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let text = fs::read_to_string(&path).expect("readable");
            let Ok(root) = parse(0, &text) else {
                assert!(listed.contains(name.as_str()), "{name} is no TOML");
                continue;
            };
            let is_part = root.contains_key("include");
            let document = Document { sources: [Source::new(&name, &text, Path::new(""))].into(), root };
            let mut found = mismatches(&document, &schema);
            // What a file leaves out may be in one that it includes.
            found.retain(|found| !(is_part && found.message.contains("missing")));
            assert_eq!(!found.is_empty(), listed.contains(name.as_str()), "{name}: {found:?}");
        }
    }

    #[test]
    fn a_number_in_another_unit_is_recognised_by_where_it_would_fit() {
        let hint = |path: &str, number, least, most| {
            other_unit(&FieldPath::of(path), number, |number| (least..=most).contains(number))
        };
        assert!(hint("bold.simulate.repetition_time_s", 1500.0, 0.1, 20.0).is_some_and(|hint| hint.contains("= 1.5`")));
        assert!(hint("preparation.high_pass_s", 0.008, 1.0, 1e9).is_some_and(|hint| hint.contains("= 125`")));
        assert!(hint("bold.simulate.brain.voxel_size_mm", 0.006, 0.5, 20.0).is_some_and(|hint| hint.contains("= 6`")));
        assert_eq!(hint("bold.simulate.repetition_time_s", 1e9, 0.1, 20.0), None);
        assert_eq!(hint("patterns.dictionary.penalty", 1.5, 0.0, 1.0), None);
    }
}
