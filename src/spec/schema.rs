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
            let found = article(value.get_ref().type_str());
            let message = format!("`{path}` is {found}, expected {expected}");
            self.found.push(Diagnostic::new(span, message, format!("expected {expected}")));
            return;
        }
        match value.get_ref() {
            DeValue::Table(table) => self.table(schema, table, path),
            DeValue::Array(array) => {
                if let Some(least) = schema["minItems"].as_u64().filter(|least| (array.len() as u64) < *least) {
                    let message = format!("`{path}` has {} entries, expected at least {least}", array.len());
                    self.found.push(Diagnostic::new(span, message, "too few"));
                }
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
        for (key, value) in table {
            let inner = path.key(key.get_ref());
            match (property(key.get_ref()), &schema["additionalProperties"]) {
                (Some(property), _) => self.value(property, value, &inner),
                (None, Value::Bool(false)) => self.unknown(key.get_ref(), known(), key.span(), path),
                (None, Value::Object(_)) => self.value(&schema["additionalProperties"], value, &inner),
                (None, _) => {}
            }
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !table.contains_key(required) {
                let message = format!("`{}` is missing", path.key(required));
                let hint = property(required).and_then(|property| description(self.resolve(property), property));
                let missing =
                    Diagnostic::new(self.document.key_span(path), message, format!("`{required}` belongs here"));
                self.found.push(match hint {
                    Some(hint) => missing.hint(format!("`{required}`: {hint}")),
                    None => missing,
                });
            }
        }
    }

    fn unknown<'k>(
        &mut self,
        key: &str,
        known: impl Iterator<Item = &'k String>,
        span: Range<usize>,
        path: &FieldPath,
    ) {
        let known: Vec<&str> = known.map(String::as_str).collect();
        let message = format!("unknown key `{}`", path.key(key));
        let hint = match nearest(key, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys here: {}", quoted(&known)),
        };
        self.found.push(Diagnostic::new(span, message, "unknown key").hint(hint));
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
            (DeValue::String(text), [_, ..]) if !names.is_empty() => self.name_of_list(text, &names, path, span),
            (DeValue::Table(table), [_, ..]) => self.one_key(&fitting, table, path, span),
            (_, [only]) => self.value(only, value, path),
            (_, [first, ..]) => self.value(first, value, path),
            (_, []) => {
                let found = article(value.get_ref().type_str());
                let mut kinds: Vec<String> = forms.iter().map(|form| type_name(form)).collect();
                kinds.dedup();
                let expected = if names.is_empty() { kinds.join(" or ") } else { format!("one of {}", quoted(&names)) };
                self.found.push(Diagnostic::new(
                    span,
                    format!("`{path}` is {found}, expected {expected}"),
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
                None => self.unknown(
                    key.get_ref(),
                    names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>().iter(),
                    key.span(),
                    path,
                ),
            }
        }
        if chosen.len() != 1 && table.len() == chosen.len() {
            let found = if chosen.is_empty() { "none".to_owned() } else { quoted(&chosen) };
            let message = format!("`{path}` has {found}, expected exactly one of {}", quoted(&names));
            self.found.push(Diagnostic::new(span, message, "exactly one belongs here"));
        }
    }

    fn text(&mut self, schema: &Value, text: &str, path: &FieldPath, span: Range<usize>) {
        let names = allowed_names(schema);
        if !names.is_empty() {
            self.name_of_list(text, &names, path, span);
        } else if text.is_empty() && schema["minLength"].as_u64().is_some_and(|least| least > 0) {
            self.found.push(Diagnostic::new(span, format!("`{path}` is empty"), "expected some text"));
        }
    }

    fn name_of_list(&mut self, text: &str, names: &[&str], path: &FieldPath, span: Range<usize>) {
        if !names.contains(&text) {
            let message = format!("`{path}` is `{text}`, expected one of {}", quoted(names));
            let wrong = Diagnostic::new(span, message, "not one of these");
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

fn type_name(schema: &Value) -> String {
    let name = match &schema["type"] {
        Value::String(name) => name.as_str(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or("string"),
        _ => "string",
    };
    article(match name {
        "object" => "table",
        other => other,
    })
}

fn article(noun: &str) -> String {
    let noun = match noun {
        "float" => "number with a decimal point",
        "datetime" => "date",
        other => other,
    };
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { format!("an {noun}") } else { format!("a {noun}") }
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
