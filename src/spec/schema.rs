//! The JSON Schema of a study file, and the check of a document against it.
//!
//! The schema is generated from the types in `written.rs`, so one description serves editors, documentation and the first
//! check. Deserialisation alone would stop at the first mistake; this walk finds all of them, with positions.

use super::{
    diagnostic::Diagnostic,
    document::{Document, FieldPath},
    written::WrittenStudy,
};
use schemars::generate::SchemaSettings;
use serde_json::Value;
use std::ops::Range;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The schema of a study file: JSON Schema draft 7, which the TOML editors understand.
#[must_use]
pub fn schema() -> Value {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<WrittenStudy>().to_value()
}

/// Everything in a document that its schema does not allow.
#[must_use]
pub fn mismatches(document: &Document<'_>, schema: &Value) -> Vec<Diagnostic> {
    let mut walk = Walk { document, definitions: &schema["definitions"], found: Vec::new() };
    walk.table(schema, document.root(), &FieldPath::default());
    walk.found
}

/// Characters of a text that is still quoted in a message.
const LONGEST_QUOTE: usize = 40;

struct Walk<'a> {
    document: &'a Document<'a>,
    definitions: &'a Value,
    found: Vec<Diagnostic>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, schema: &'a Value, value: &Spanned<DeValue<'_>>, path: &FieldPath) {
        let schema = self.resolve(schema);
        if let Some(choices) = alternatives(schema) {
            return self.choice(choices, value, path);
        }
        let span = self.document.value_span(path);
        if let Some(expected) = wrong_type(schema, value.get_ref()) {
            let message = format!("`{path}` is {}, expected {expected}", self.written(value));
            self.found.push(Diagnostic::new(span, message, format!("expected {expected}")));
            return;
        }
        match value.get_ref() {
            DeValue::Table(table) => self.table(schema, table, path),
            DeValue::Array(array) => {
                self.length(schema, array.len() as u64, path, span);
                for (index, item) in array.iter().enumerate() {
                    self.value(&schema["items"], item, &path.index(index));
                }
            }
            DeValue::String(text) => self.text(schema, text, path, span),
            DeValue::Integer(number) => self.range(schema, number.as_str(), path, span),
            DeValue::Float(number) => self.range(schema, number.as_str(), path, span),
            DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
    }

    fn table(&mut self, schema: &'a Value, table: &DeTable<'_>, path: &FieldPath) {
        let schema = self.resolve(schema);
        let properties = schema["properties"].as_object();
        let known = || properties.into_iter().flat_map(|properties| properties.keys());
        let property = |name: &str| properties.and_then(|properties| properties.get(name));
        // A required key that was misspelt is one mistake, told where it was written.
        let mut meant = Vec::new();
        for (key, value) in table {
            let inner = path.key(key.get_ref());
            match (property(key.get_ref()), &schema["additionalProperties"]) {
                (Some(property), _) => self.value(property, value, &inner),
                (None, Value::Bool(false)) => {
                    let known: Vec<&str> = known().map(String::as_str).collect();
                    meant.extend(self.unknown(key.get_ref(), &known, key.span(), path));
                }
                (None, Value::Object(_)) => self.value(&schema["additionalProperties"], value, &inner),
                (None, _) => {}
            }
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !table.contains_key(required) && !meant.contains(&required) {
                let missing = if *path == FieldPath::default() {
                    let message = format!("the table `[{required}]` is missing");
                    Diagnostic::new(0..0, message, "this file needs one")
                } else {
                    let label = format!("`{required}` belongs in this table");
                    Diagnostic::new(self.document.key_span(path), format!("`{}` is missing", path.key(required)), label)
                };
                let hint = property(required).and_then(|property| description(self.resolve(property), property));
                self.found.push(match hint {
                    Some(hint) => missing.hint(format!("`{required}`: {hint}")),
                    None => missing,
                });
            }
        }
    }

    /// Notes an unknown key; gives the known one that was probably meant.
    fn unknown<'k>(&mut self, key: &str, known: &[&'k str], span: Range<usize>, path: &FieldPath) -> Option<&'k str> {
        let message = format!("unknown key `{}`", path.key(key));
        let near = nearest(key, known);
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys here: {}", quoted(known)),
        };
        self.found.push(Diagnostic::new(span, message, "unknown key").hint(hint));
        near
    }

    fn length(&mut self, schema: &Value, n_entries: u64, path: &FieldPath, span: Range<usize>) {
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
    fn written(&self, value: &Spanned<DeValue<'_>>) -> String {
        let text = &self.document.text[value.span()];
        match value.get_ref() {
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
            DeValue::String(_) if text.chars().count() > LONGEST_QUOTE || text.contains('\n') => "text".to_owned(),
            _ => format!("`{text}`"),
        }
    }

    /// One of several forms: a name out of a list, or a table with exactly one of several keys.
    fn choice(&mut self, choices: &'a [Value], value: &Spanned<DeValue<'_>>, path: &FieldPath) {
        let span = self.document.value_span(path);
        let forms: Vec<&Value> =
            choices.iter().map(|choice| self.resolve(choice)).filter(|form| form["type"] != "null").collect();
        let names: Vec<&str> = forms.iter().flat_map(|form| allowed_names(form)).collect();
        let fitting: Vec<&Value> =
            forms.iter().copied().filter(|form| wrong_type(form, value.get_ref()).is_none()).collect();
        match (value.get_ref(), fitting.as_slice()) {
            (DeValue::String(text), [_, ..]) if !names.is_empty() => {
                self.name_of_list(text, &names, &one_of_forms(&forms, &names), path, span);
            }
            (DeValue::Table(table), [_, ..]) => self.one_key(&fitting, table, path, span),
            (_, [only]) => self.value(only, value, path),
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

    fn one_key(&mut self, forms: &[&'a Value], table: &DeTable<'_>, path: &FieldPath, span: Range<usize>) {
        let keyed: Vec<(&str, &'a Value)> = forms
            .iter()
            .filter_map(|form| {
                let required = form["required"].as_array()?;
                let name = required.first().filter(|_| required.len() == 1)?.as_str()?;
                Some((name, *form))
            })
            .collect();
        if keyed.len() != forms.len() || keyed.len() == 1 {
            return self.table(forms[0], table, path);
        }
        let names: Vec<&str> = keyed.iter().map(|(name, _)| *name).collect();
        let mut chosen = Vec::new();
        for (key, value) in table {
            match keyed.iter().find(|(name, _)| *name == key.get_ref()) {
                Some((name, form)) => {
                    chosen.push(*name);
                    self.value(&form["properties"][*name], value, &path.key(name));
                }
                None => drop(self.unknown(key.get_ref(), &names, key.span(), path)),
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

    fn text(&mut self, schema: &Value, text: &str, path: &FieldPath, span: Range<usize>) {
        let names = allowed_names(schema);
        if !names.is_empty() {
            self.name_of_list(text, &names, &format!("one of {}", quoted(&names)), path, span);
        } else if text.is_empty() && schema["minLength"].as_u64().is_some_and(|least| least > 0) {
            self.found.push(Diagnostic::new(span, format!("`{path}` is empty"), "expected some text"));
        }
    }

    fn name_of_list(&mut self, text: &str, names: &[&str], expected: &str, path: &FieldPath, span: Range<usize>) {
        if !names.contains(&text) {
            let message = format!("`{path}` is `{text}`, expected {expected}");
            let wrong = Diagnostic::new(span, message, "not known");
            self.found.push(match nearest(text, names) {
                Some(near) => wrong.hint(format!("did you mean `{near}`?")),
                None => wrong,
            });
        }
    }

    fn range(&mut self, schema: &Value, written: &str, path: &FieldPath, span: Range<usize>) {
        let Ok(number) = written.parse::<f64>() else { return };
        let bound = |name: &str| schema[name].as_f64();
        let broken = [
            (!number.is_finite()).then(|| "a finite number".to_owned()),
            bound("minimum").filter(|least| number < *least).map(|least| format!("at least {least}")),
            bound("maximum").filter(|most| number > *most).map(|most| format!("at most {most}")),
            bound("exclusiveMinimum").filter(|least| number <= *least).map(|least| format!("more than {least}")),
            bound("exclusiveMaximum").filter(|most| number >= *most).map(|most| format!("less than {most}")),
        ];
        if let Some(expected) = broken.into_iter().flatten().next() {
            self.found.push(Diagnostic::new(
                span,
                format!("`{path}` is {written}, expected {expected}"),
                format!("expected {expected}"),
            ));
        }
    }

    /// Follows references; a description beside a reference makes the generator wrap it in `allOf`.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        loop {
            schema = if let Some(reference) = schema["$ref"].as_str() {
                &self.definitions[reference.rsplit('/').next().unwrap_or_default()]
            } else if let Some([only]) = schema["allOf"].as_array().map(Vec::as_slice) {
                only
            } else {
                return schema;
            };
        }
    }
}

fn alternatives(schema: &Value) -> Option<&[Value]> {
    schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()).map(Vec::as_slice)
}

/// The names that a schema of strings allows, if it lists them.
fn allowed_names(schema: &Value) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let single = schema["const"].as_str();
    let nested = schema["oneOf"].as_array().into_iter().flatten().filter_map(|form| form["const"].as_str());
    listed.chain(single).chain(nested).collect()
}

/// What a value should have been, if it is of the wrong type.
fn wrong_type(schema: &Value, value: &DeValue<'_>) -> Option<String> {
    let fits = |name: &str| match value {
        DeValue::String(_) => name == "string",
        DeValue::Integer(_) => name == "integer" || name == "number",
        DeValue::Float(_) => name == "number",
        DeValue::Boolean(_) => name == "boolean",
        DeValue::Array(_) => name == "array",
        DeValue::Table(_) => name == "object",
        DeValue::Datetime(_) => false,
    };
    let fitting = match &schema["type"] {
        Value::String(name) => fits(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(fits),
        // Without a type, a list of names stands for text.
        _ => allowed_names(schema).is_empty() || fits("string"),
    };
    (!fitting).then(|| type_name(schema))
}

/// What a schema wants, for people who know no types.
fn type_name(schema: &Value) -> String {
    let name = match &schema["type"] {
        Value::String(name) => name.as_str(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or("string"),
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

fn table_name(schema: &Value) -> String {
    match schema["required"].as_array().map(Vec::as_slice) {
        Some([Value::String(only)]) => format!("a table with `{only}`"),
        _ => "a table".to_owned(),
    }
}

/// Names and other forms that a value may have, as `"runs"` or a table with `blocks`.
fn one_of_forms(forms: &[&Value], names: &[&str]) -> String {
    let named = names.iter().map(|name| format!("`\"{name}\"`"));
    let others = forms.iter().filter(|form| allowed_names(form).is_empty()).map(|form| type_name(form));
    let mut all: Vec<String> = named.chain(others).collect();
    all.dedup();
    match all.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => all.concat(),
    }
}

fn description<'a>(resolved: &'a Value, property: &'a Value) -> Option<&'a str> {
    let text = property["description"].as_str().or_else(|| resolved["description"].as_str())?;
    text.lines().next()
}

/// The known name that a person most likely meant.
pub(super) fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(written, name), *name))
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
