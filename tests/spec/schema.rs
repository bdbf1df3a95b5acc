//! The JSON Schema that editors read: committed as generated, described everywhere, with the defaults that apply.

use std::{fs, path::Path};

use hebb::{
    spec::{schema, settings::settings_schema, written},
    task::Kind,
};
use serde_json::Value;

/// The schemas that editors are given, by what they are of.
fn schemas() -> [(&'static str, Value); 2] {
    [("study", schema()), ("settings", settings_schema(&Kind::ALL.map(Kind::name)))]
}

/// Everything in a schema that has fields, by name: its definitions and the whole.
fn objects<'a>(name: &'a str, root: &'a Value) -> Vec<(&'a str, &'a Value)> {
    let definitions = root["definitions"].as_object().expect("definitions by name");
    definitions.iter().map(|(name, schema)| (name.as_str(), schema)).chain([(name, root)]).collect()
}

fn definition(name: &str) -> Value {
    schema()["definitions"][name].clone()
}

/// The fields of an object schema, with whatever describes each.
fn properties(schema: &Value) -> Vec<(String, Value)> {
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields.map(|(name, property)| (name.clone(), property.clone())).collect()
}

#[test]
fn the_committed_schemas_are_the_generated_ones() {
    for ((_, schema), file) in schemas().iter().zip(["schemas/experiment.schema.json", "schemas/settings.schema.json"])
    {
        let committed = fs::read_to_string(file).expect("committed");
        let generated = serde_json::to_string_pretty(schema).expect("a schema is JSON") + "\n";
        assert!(committed == generated, "`make schema` writes {file} anew");
    }
}

#[test]
fn every_field_is_described() {
    let mut bare = Vec::new();
    let roots = schemas();
    for (root, (name, schema)) in
        roots.iter().flat_map(|(of, root)| objects(of, root).into_iter().map(move |one| (root, one)))
    {
        let definitions = &root["definitions"];
        let forms = ["oneOf", "anyOf"].iter().flat_map(|key| schema[key].as_array().into_iter().flatten());
        for object in forms.chain([schema]) {
            for (field, property) in properties(object) {
                let reference = property["$ref"].as_str().and_then(|path| path.rsplit('/').next());
                let target = reference.map_or(Value::Null, |target| definitions[target].clone());
                let own = property["description"].as_str().or_else(|| object["description"].as_str());
                if own.or_else(|| target["description"].as_str()).is_none_or(str::is_empty) {
                    bare.push(format!("{name}.{field}"));
                }
            }
        }
    }
    assert!(bare.is_empty(), "fields without a description: {bare:?}");
}

/// Adds every field that holds a value but shows none: no default, example or list of names.
fn without_example(root: &Value, schema: &Value, place: &str, shown: bool, found: &mut Vec<String>) {
    let schema = resolved(root, schema);
    let shows = |schema: &Value| {
        let is_there = |key: &str| schema.get(key).is_some_and(|value| !value.is_null());
        ["default", "examples", "enum", "const"].into_iter().any(is_there)
    };
    let shown = shown || shows(schema);
    if let Some(forms) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
        for form in forms.iter().map(|form| resolved(root, form)).filter(|form| form["type"] != "null") {
            without_example(root, form, place, shown, found);
        }
        return;
    }
    let fields = properties(schema);
    for (name, property) in &fields {
        let has_own = shows(schema) || shows(property) || shows(resolved(root, property));
        without_example(root, property, &format!("{place}.{name}"), has_own, found);
    }
    match schema["additionalProperties"].is_object() {
        true => without_example(root, &schema["additionalProperties"], &format!("{place}.*"), shown, found),
        false if fields.is_empty() && !shown => found.push(place.to_owned()),
        false => {}
    }
}

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match (schema["$ref"].as_str(), schema["allOf"].as_array().map(Vec::as_slice)) {
        (Some(path), _) => resolved(root, &root["definitions"][path.rsplit('/').next().unwrap_or_default()]),
        (None, Some([only])) => resolved(root, only),
        _ => schema,
    }
}

#[test]
fn every_field_shows_a_value_that_it_may_have() {
    let mut bare = Vec::new();
    for (_, root) in schemas() {
        without_example(&root, &root, "", false, &mut bare);
    }
    assert!(bare.is_empty(), "fields without default, example or names: {bare:?}");
}

#[test]
fn every_number_has_a_least_value() {
    let roots = schemas();
    for (name, definition) in roots.iter().flat_map(|(of, root)| objects(of, root)) {
        for (field, property) in properties(definition) {
            let kinds = property["type"].as_array().cloned().unwrap_or_else(|| vec![property["type"].clone()]);
            if kinds.iter().any(|kind| kind == "number" || kind == "integer") {
                let least = [&property["minimum"], &property["exclusiveMinimum"]];
                assert!(least.iter().any(|least| least.is_number()), "{name}.{field}");
            }
        }
    }
}

#[test]
fn unknown_keys_are_refused_in_every_table() {
    let roots = schemas();
    for (name, schema) in roots.iter().flat_map(|(of, root)| objects(of, root)) {
        if schema["properties"].is_object() {
            assert_eq!(schema["additionalProperties"], Value::Bool(false), "{name}");
        }
    }
}

#[test]
fn editors_are_told_the_defaults_that_apply() {
    let told = |table: &str, field: &str| definition(table)["properties"][field]["default"].clone();
    let significance = written::Significance::default();
    assert_eq!(told("Significance", "n_permutations"), Value::from(significance.n_permutations));
    assert_eq!(told("Significance", "block_s"), Value::from(significance.block_s));
    assert_eq!(told("Significance", "fdr"), Value::from(significance.fdr));
    assert_eq!(told("Redundancy", "driven_share"), Value::from(written::Redundancy::default().driven_share));
    assert_eq!(told("Polarity", "min_opposition"), Value::from(written::Polarity::default().min_opposition));

    // What an empty table reads as is what every field's default says.
    for (table, read) in [
        ("Significance", read::<written::Significance>("")),
        ("Redundancy", read::<written::Redundancy>("")),
        ("Polarity", read::<written::Polarity>("")),
        ("Architecture", read::<written::Architecture>("")),
        ("Group", read::<written::Group>("")),
        ("Controls", read::<written::Controls>("")),
        ("Preparation", read::<hebb::brain::prepare::Preparation>("")),
        ("Simulation", read::<hebb::brain::simulate::Simulation>("")),
    ] {
        for (field, property) in properties(&definition(table)) {
            // What is left out of keys while it is absent has no default to tell, and reads as nothing.
            let told = property.get("default").unwrap_or(&Value::Null);
            assert_eq!(told, &read[&field], "default of `{table}.{field}`");
        }
    }
    let generate = read::<hebb::stimulus::Generate>("images_per_run = 3");
    for (field, property) in properties(&definition("Generate")) {
        assert!(field == "images_per_run" || property["default"] == generate[&field], "default of `{field}`");
    }
    let blocks = read::<written::Blocks>("n = 5");
    assert_eq!(told("Blocks", "gap_s"), blocks["gap_s"]);
}

fn read<T: serde::de::DeserializeOwned + serde::Serialize>(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<T>(text).expect("the table is valid")).expect("plain data")
}

#[test]
fn every_example_names_the_schema_that_is_there() {
    for entry in fs::read_dir("experiments").expect("a folder") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|found| found != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("readable");
        let first = text.lines().next().unwrap_or_default();
        let schema = first.strip_prefix("#:schema ").unwrap_or_else(|| panic!("{}: no `#:schema`", path.display()));
        assert!(Path::new("experiments").join(schema).is_file(), "{}: `{schema}`", path.display());
    }
}
