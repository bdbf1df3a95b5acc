//! The JSON Schema of a study file, and of whatever else is written in TOML.
//!
//! It is generated from types, a study's from those in `written.rs`, so one description serves editors, documentation and the
//! first check (`mismatch.rs`). A file that includes another need not say everything: what editors are given requires a table only of
//! files that stand alone.

use super::written::WrittenStudy;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The schema that a whole document answers to, and the way through it.
#[derive(Debug)]
pub(super) struct Schema(Value);

impl Schema {
    /// JSON Schema draft 7, which the TOML editors understand.
    pub(super) fn of<T: JsonSchema>() -> Self {
        Self(SchemaSettings::draft07().into_generator().into_root_schema_for::<T>().to_value())
    }

    /// The same where the keys of one map, a field of the type `definition`, are these and no others.
    pub(super) fn with_keys(mut self, definition: &str, field: &str, keys: &[&str]) -> Self {
        let map = self.0.pointer_mut(&format!("/definitions/{definition}/properties/{field}"));
        let map = map.and_then(Value::as_object_mut).expect("the type has this field");
        let each = map.insert("additionalProperties".into(), false.into()).expect("the field is a map");
        let named: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), each.clone())).collect();
        map.insert("properties".into(), named.into());
        self
    }

    pub(super) fn root(&self) -> &Value {
        &self.0
    }

    /// Follows references; a description beside a reference makes the generator wrap it in `allOf`.
    pub(super) fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        loop {
            schema = if let Some(reference) = schema["$ref"].as_str() {
                &self.0["definitions"][reference.rsplit('/').next().unwrap_or_default()]
            } else if let Some([only]) = schema["allOf"].as_array().map(Vec::as_slice) {
                only
            } else {
                return schema;
            };
        }
    }

    /// The forms that a value may have, without `null`: one, unless there is a choice.
    pub(super) fn forms<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolve(schema);
        match alternatives(schema) {
            Some(choices) => {
                choices.iter().map(|choice| self.resolve(choice)).filter(|form| form["type"] != "null").collect()
            }
            None => vec![schema],
        }
    }

    /// Whether a table of this schema holds exactly one of several keys.
    pub(super) fn is_choice(&self, schema: &Value) -> bool {
        let keyed = self.forms(schema).into_iter().filter(|form| only_required(form).is_some());
        alternatives(self.resolve(schema)).is_some() && keyed.count() > 1
    }

    /// The schema of what stands under a key, if such a key may be there.
    pub(super) fn under<'a>(&'a self, schema: &'a Value, key: &str) -> Option<&'a Value> {
        self.forms(schema).into_iter().find_map(|form| {
            let named = &form["properties"][key];
            let any = &form["additionalProperties"];
            (!named.is_null()).then_some(named).or_else(|| any.is_object().then_some(any))
        })
    }

    /// The keys that may be there, where they have names of their own.
    pub(super) fn keys<'a>(&'a self, schema: &'a Value) -> Vec<&'a str> {
        let forms = self.forms(schema).into_iter();
        forms
            .filter_map(|form| form["properties"].as_object())
            .flat_map(|keys| keys.keys().map(String::as_str))
            .collect()
    }

    /// Whether keys are names of the user's own.
    pub(super) fn is_map(&self, schema: &Value) -> bool {
        self.forms(schema).into_iter().any(|form| form["additionalProperties"].is_object())
    }
}

/// The schema of a study file, as editors are given it.
#[must_use]
pub fn schema() -> Value {
    let whole = Schema::of::<WrittenStudy>();
    let needs = needs(&whole, whole.root()).unwrap_or_else(|| json!({}));
    let mut given = whole.0;
    relax(&mut given);
    // A file that includes another may leave out whatever the other says.
    given["if"] = json!({ "required": ["include"] });
    given["then"] = json!({});
    given["else"] = needs;
    given
}

/// What must be there, and nothing else: the required keys of a schema and of all that is in it.
fn needs(whole: &Schema, schema: &Value) -> Option<Value> {
    let mut inside = Map::new();
    let mut required = Vec::new();
    let mut each = None;
    let choice = whole.is_choice(schema);
    for form in whole.forms(schema) {
        for (key, property) in form["properties"].as_object().into_iter().flatten() {
            inside.extend(needs(whole, property).map(|needs| (key.clone(), needs)));
        }
        // The one key of a form tells it from the others, and is required wherever it stands.
        if !choice {
            required.extend(form["required"].as_array().into_iter().flatten().cloned());
        }
        each = each.or_else(|| needs(whole, form.get("additionalProperties").filter(|any| any.is_object())?));
    }
    let mut found = Map::new();
    if !required.is_empty() {
        found.insert("required".into(), required.into());
    }
    if !inside.is_empty() {
        found.insert("properties".into(), inside.into());
    }
    found.extend(each.map(|each| ("additionalProperties".to_owned(), each)));
    (!found.is_empty()).then_some(found.into())
}

/// Takes out what must be there, but for the keys that tell the forms of a choice apart.
fn relax(schema: &mut Value) {
    match schema {
        Value::Object(entries) => {
            entries.remove("required");
            for (key, entry) in entries {
                match key.as_str() {
                    "oneOf" | "anyOf" => {
                        for form in entry.as_array_mut().into_iter().flatten() {
                            let kept = form.get("required").cloned();
                            relax(form);
                            if let (Some(kept), Some(form)) = (kept, form.as_object_mut()) {
                                form.insert("required".into(), kept);
                            }
                        }
                    }
                    // Words and examples are the user's to read, whatever they look like.
                    "default" | "examples" | "enum" | "const" => {}
                    _ => relax(entry),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(relax),
        _ => {}
    }
}

pub(super) fn alternatives(schema: &Value) -> Option<&[Value]> {
    schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()).map(Vec::as_slice)
}

/// The key that alone a form requires: the name of one choice of several.
pub(super) fn only_required(form: &Value) -> Option<&str> {
    match form["required"].as_array().map(Vec::as_slice) {
        Some([only]) => only.as_str(),
        _ => None,
    }
}

/// The names that a schema of strings allows, if it lists them.
pub(super) fn allowed_names(schema: &Value) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let single = schema["const"].as_str();
    let nested = schema["oneOf"].as_array().into_iter().flatten().filter_map(|form| form["const"].as_str());
    listed.chain(single).chain(nested).collect()
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

/// What to do about a name that is not known: the one that was probably meant, or all there are.
pub(super) fn suggestion(written: &str, known: &[&str]) -> String {
    match nearest(written, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has {}", quoted(known)),
    }
}

pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
