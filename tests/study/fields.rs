//! Every field that a study can have is edited by some test.

use super::{edits, files, films, laboratory, meter, pictures, regressions};
use serde_json::Value;
use std::collections::BTreeSet;

/// Adds the path of every field that holds a value; `*` stands for names of one's own.
fn fields(root: &Value, schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let schema = resolved(root, schema);
    let alternatives = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
    if let Some(forms) = alternatives {
        for form in forms.iter().map(|form| resolved(root, form)).filter(|form| form["type"] != "null") {
            fields(root, form, path, found);
        }
        return;
    }
    let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let properties = schema["properties"].as_object();
    for (name, property) in properties.into_iter().flatten() {
        fields(root, property, &inner(name), found);
    }
    if schema["additionalProperties"].is_object() {
        fields(root, &schema["additionalProperties"], &inner("*"), found);
    } else if properties.is_none() {
        found.insert(path.to_owned());
    }
}

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    loop {
        schema = match (schema["$ref"].as_str(), schema["allOf"].as_array().map(Vec::as_slice)) {
            (Some(reference), _) => &root["definitions"][reference.rsplit('/').next().unwrap_or_default()],
            (None, Some([only])) => only,
            _ => return schema,
        };
    }
}

#[test]
fn every_field_is_edited_by_a_test() {
    let schema = hebb::spec::schema();
    let mut found = BTreeSet::new();
    fields(&schema, &schema, "", &mut found);
    assert!(found.len() > 80, "the walk stopped short: {found:?}");
    let edited = edits::FIELDS
        .iter()
        .chain(files::FIELDS)
        .chain(films::FIELDS)
        .chain(meter::FIELDS)
        .chain(pictures::FIELDS)
        .chain(laboratory::FIELDS)
        .chain(&laboratory::SURFACE_FIELDS)
        .chain(regressions::fields());
    let edited: BTreeSet<String> = edited.map(|field| (*field).to_owned()).collect();
    let untested: Vec<_> = found.difference(&edited).collect();
    let gone: Vec<_> = edited.difference(&found).collect();
    assert!(untested.is_empty(), "no test edits {untested:?}: add a row to `edits.rs` or `files.rs`");
    assert!(gone.is_empty(), "the schema has no {gone:?}");
}
