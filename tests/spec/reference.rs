//! The pages that tell all that may be written: committed as generated, every field told once, with the defaults that apply and examples
//! that check.

use super::SPECS;
use hebb::{
    spec::{
        SpecError, read_study,
        reference::{Form, Key, NAME, Reference, Table, settings_reference, study_reference},
        schema,
        settings::{Settings, read_settings, settings_schema},
        written::WrittenStudy,
    },
    task::Kind,
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use toml::Value;

/// A study in which most examples mean something: it shows two test runs the same, and has layers and patterns enough.
const BASE: &str = r#"
[study]
name = "base"
[runs]
train = ["1", "2", "3"]
test = ["4", "5"]
[stimuli.generate]
images_per_run = 60
image_size_px = 32
repeat_test = true
[models.clip.random]
vision = { layers = 6, width = 96, heads = 2, mlp_width = 128, image_size = 32, patch_size = 16 }
text = { layers = 6, width = 96, heads = 2, mlp_width = 128, context_length = 16, vocab_size = 600 }
[bold.simulate]
subjects = ["sub-01", "sub-02"]
repetition_time_s = 1.5
[patterns.dictionary]
n_patterns = 64
penalty = 0.15
[encoding.ridge]
alphas = [1, 10, 100]
"#;

/// Recorded subjects, whose files are not here.
const RECORDED: &str =
    "[bold.bids]\nfolder = 'derivatives'\nsubjects = ['sub-01']\n[atlas]\nlabels = 'a.nii'\ntable = 'a.tsv'";
const ATLAS: &str = "[atlas]\nlabels = 'a.nii'\ntable = 'a.tsv'";

/// What else a study says for what stands under a path to mean something.
const COMPANIONS: [(&str, &str); 15] = [
    ("atlas", RECORDED),
    ("bold.bids", ATLAS),
    ("bold.hcp", ATLAS),
    ("bold.matrices", ATLAS),
    ("encoding.ridge.folds.shuffled", "encoding.ridge.allow_shuffled = true"),
    ("models.NAME.low_level", "patterns.dictionary.n_patterns = 8"),
    (
        "models.NAME.random.fusion",
        "[models.clip.random]\narchitecture = 'meter'\n\
         vision = { layers = 6, width = 128, heads = 2, mlp_width = 128, image_size = 32, patch_size = 16 }",
    ),
    ("preparation", RECORDED),
    ("preparation.nuisance.compcor", "preparation.high_pass_s = 128"),
    ("sources", "models.clip.weights = 'clip'"),
    (
        "statistics.architecture.compare",
        "bold.simulate.model = 'clip'\nmodels.vit.random.architecture = 'vit'\nmodels.roberta.random.architecture = 'roberta'",
    ),
    ("sweep.exclude", "[sweep.grid]\n'units.reduce' = ['mean', 'max']\n'patterns.dictionary.n_patterns' = [32, 64]"),
    ("sweep.override", "sweep.grid.'units.reduce' = ['mean', 'max']"),
    ("time.delays_s", "time.hrf = 'none'\nencoding.ridge.features = ['layers']"),
    ("without", "include = 'all.toml'\nbold.simulate.model = 'clip'"),
];

/// Keys of which one takes the other's place.
const INSTEAD: [(&str, &str); 2] = [("weights", "random"), ("low_level", "random")];

fn references() -> [(Reference, &'static str); 2] {
    let settings = settings_reference(&Kind::ALL.map(Kind::name));
    [(study_reference(), "docs/reference.md"), (settings, "docs/settings-reference.md")]
}

#[test]
fn the_committed_pages_are_the_generated_ones() {
    for (reference, file) in references() {
        let committed = fs::read_to_string(file).expect("committed");
        assert!(committed == reference.markdown(), "`make schema` writes {file} anew");
    }
}

/// The fields of every type in a schema that has any.
fn fields(root: &serde_json::Value, title: &str) -> BTreeSet<(String, String)> {
    let definitions = root["definitions"].as_object().expect("definitions by name");
    let types = definitions.iter().map(|(name, schema)| (name.as_str(), schema)).chain([(title, root)]);
    let of_type = |(name, schema): (&str, &serde_json::Value)| {
        let forms = ["oneOf", "anyOf"].iter().flat_map(|key| schema[key].as_array().into_iter().flatten());
        let objects = forms.chain([schema]).filter_map(|form| form["properties"].as_object());
        objects.flat_map(|keys| keys.keys()).map(|key| (name.to_owned(), key.clone())).collect::<Vec<_>>()
    };
    types.flat_map(of_type).collect()
}

/// Keys that a form has on its line, or as tables of a choice.
fn keys_of_form(form: &Form) -> Vec<String> {
    match form {
        Form::Keyed(key, _) => vec![key.clone()],
        Form::Choice(forms) => forms.iter().flat_map(|(form, _)| keys_of_form(form)).collect(),
        Form::List { of, .. } | Form::Named(of) => keys_of_form(of),
        _ => Vec::new(),
    }
}

#[test]
fn every_field_of_the_schema_is_told_once() {
    let schemas = [schema(), settings_schema(&Kind::ALL.map(Kind::name))];
    for ((reference, file), schema) in references().into_iter().zip(schemas) {
        let mut told: BTreeMap<(String, String), usize> = BTreeMap::new();
        for table in &reference.tables {
            for key in &table.keys {
                *told.entry((table.of.clone(), key.name.clone())).or_default() += 1;
            }
        }
        let twice: Vec<_> = told.iter().filter(|(_, n)| **n > 1).collect();
        assert!(twice.is_empty(), "{file}: {twice:?}");
        // A choice among words and tables is told at the keys that take it, as it has no table of its own.
        let of_choices: BTreeSet<String> = (reference.tables.iter())
            .flat_map(|table| table.keys.iter().flat_map(|key| keys_of_form(&key.form)))
            .chain(reference.tables.iter().filter_map(|table| table.path.last().cloned()))
            .collect();
        let fields = fields(&schema, &reference.title);
        let untold: Vec<_> = (fields.iter())
            .filter(|(of, key)| !told.contains_key(&(of.clone(), key.clone())))
            .filter(|(of, key)| reference.tables.iter().any(|table| table.of == *of) || !of_choices.contains(key))
            .collect();
        assert!(untold.is_empty(), "{file}: {untold:?}");
        assert!(told.keys().all(|field| fields.contains(field)), "{file}");
    }
}

fn told<'a>(reference: &'a Reference, path: &[String]) -> Option<&'a Table> {
    reference.tables.iter().find(|table| table.path == path)
}

fn toml_of(value: &serde_json::Value) -> Value {
    Value::try_from(value).expect("a value of TOML")
}

/// A table at a path of a document, made if it is not there with what it needs, alone where there is a choice.
fn table_at<'a>(reference: &Reference, document: &'a mut toml::Table, path: &[String]) -> &'a mut toml::Table {
    let mut inside = document;
    for place in 0..path.len() {
        let name = match path[place].as_str() {
            NAME if path[0] == "models" => "clip",
            NAME if path[0] == "execution" => "extract",
            NAME => "visual",
            key => key,
        };
        if told(reference, &path[..place]).is_some_and(|outer| outer.is_choice) {
            inside.retain(|key, _| key == name);
        }
        INSTEAD.iter().filter(|(key, _)| *key == name).for_each(|(_, other)| drop(inside.remove(*other)));
        let table = told(reference, &path[..=place]);
        if !matches!(inside.get(name), Some(Value::Table(_) | Value::Array(_))) {
            let needed = table.and_then(|table| {
                let (_, example) = table.example.as_ref()?;
                let required = |key: &&Key| key.required;
                let needed =
                    table.keys.iter().filter(required).map(|key| (key.name.clone(), toml_of(&example[&key.name])));
                Some(needed.collect::<toml::Table>())
            });
            let new = Value::Table(needed.unwrap_or_default());
            let is_repeated = table.is_some_and(|table| table.repeated);
            inside.insert(name.to_owned(), if is_repeated { Value::Array(vec![new]) } else { new });
        }
        inside = match inside.get_mut(name).expect("it was put there") {
            Value::Array(tables) => tables[0].as_table_mut().expect("a table of several"),
            table => table.as_table_mut().expect("a table"),
        };
    }
    inside
}

fn read_written(document: &toml::Table) -> String {
    let read = WrittenStudy::deserialize(Value::Table(document.clone()));
    format!("{:?}", read.unwrap_or_else(|error| panic!("{error}\n{document}")))
}

fn read_set(document: &toml::Table) -> String {
    let read = Settings::deserialize(Value::Table(document.clone()));
    format!("{:?}", read.unwrap_or_else(|error| panic!("{error}\n{document}")))
}

/// Keys whose absence means what their words say, and not an absent value.
fn is_filled_in(table: &Table, key: &Key) -> bool {
    let of_units = table.path == ["units"] && ["reduce", "special_tokens"].contains(&key.name.as_str());
    of_units || table.path.starts_with(&["models", NAME, "random"].map(str::to_owned))
}

#[test]
fn what_is_told_as_default_is_what_holds_where_nothing_is_written() {
    let base: toml::Table = BASE.parse().expect("TOML");
    let bases = [(base, read_written as fn(&toml::Table) -> String), (toml::Table::new(), read_set)];
    let mut n_compared = 0;
    for ((reference, _), (base, read)) in references().into_iter().zip(bases) {
        for (table, key) in reference.tables.iter().flat_map(|table| table.keys.iter().map(move |key| (table, key))) {
            if key.required || table.is_choice || matches!(key.form, Form::Table(_)) {
                continue;
            }
            let with = |value: Option<Value>| {
                let mut document = base.clone();
                let inside = table_at(&reference, &mut document, &table.path);
                inside.remove(&key.name);
                if let Some(value) = value {
                    inside.insert(key.name.clone(), value);
                }
                read(&document)
            };
            let place = format!("{}.{}", table.path.join("."), key.name);
            let absent = with(None);
            let Some(default) = &key.default else {
                let field = if key.name == "override" { "overrides" } else { &key.name };
                let is_nothing =
                    ["None", "{}", "[]"].iter().any(|nothing| absent.contains(&format!("{field}: {nothing}")));
                assert!(is_nothing || is_filled_in(table, key), "`{place}` has a default that is not told: {absent}");
                continue;
            };
            assert_eq!(with(Some(toml_of(default))), absent, "default of `{place}`");
            let other = match default {
                serde_json::Value::Bool(default) => Value::Boolean(!default),
                serde_json::Value::Number(default) if default.is_f64() => {
                    Value::Float(default.as_f64().expect("a number") + 0.25)
                }
                serde_json::Value::Number(default) => Value::Integer(default.as_i64().expect("a small number") + 1),
                _ => continue,
            };
            assert_ne!(with(Some(other)), absent, "`{place}` is read");
            n_compared += 1;
        }
    }
    assert!(n_compared > 80, "only {n_compared} defaults");
}

/// Puts all that stands in one table into another.
fn join(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(more)) => join(inner, more),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// Every example of a reference, as a document that says it, by the path of the key or table.
fn examples(reference: &Reference, base: &str) -> Vec<(String, toml::Table)> {
    let mut all = Vec::new();
    for table in &reference.tables {
        let mut add = |path: &str, write: &dyn Fn(&mut toml::Table)| {
            let mut document: toml::Table = base.parse().expect("TOML");
            for (_, more) in COMPANIONS.iter().filter(|(prefix, _)| path.starts_with(prefix)) {
                let more: toml::Table = more.parse().unwrap_or_else(|error| panic!("{more}: {error}"));
                if more.get("bold").is_some_and(|bold| bold.get("bids").is_some()) {
                    document.remove("bold");
                }
                if path == "sources" {
                    table_at(reference, &mut document, &["models", NAME].map(str::to_owned)).remove("random");
                }
                join(&mut document, more);
            }
            let inside = table_at(reference, &mut document, &table.path);
            write(inside);
            all.push((path.to_owned(), document));
        };
        if let Some((_, example)) = &table.example {
            let example = toml_of(example).as_table().expect("an example of a table").clone();
            add(&table.path.join("."), &|inside| {
                if table.path.last().is_some_and(|last| last == NAME) {
                    inside.clear();
                }
                inside.extend(example.clone());
            });
        }
        for key in &table.keys {
            let path = table.path.iter().chain([&key.name]).cloned().collect::<Vec<_>>().join(".");
            for example in key.examples.iter().filter(|_| !matches!(key.form, Form::Table(_))) {
                add(&path, &|inside| {
                    INSTEAD
                        .iter()
                        .filter(|(one, _)| *one == key.name)
                        .for_each(|(_, other)| drop(inside.remove(*other)));
                    inside.insert(key.name.clone(), toml_of(example));
                });
            }
        }
    }
    all
}

#[test]
fn every_example_checks_in_a_study() {
    let folder = tempfile::tempdir_in(SPECS).expect("writable");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("writable");
    write("base.toml", "time.hrf = 'spm'\n");
    write("our-scanner.toml", "preparation.high_pass_s = 100\n");
    write("all.toml", "[statistics.polarity]\n[models.clip.random]\n[models.other.random]\narchitecture = 'vit'\n");
    let all = examples(&study_reference(), BASE);
    let mut wrong = Vec::new();
    for (path, document) in &all {
        write("study.toml", &document.to_string());
        match read_study(&folder.path().join("study.toml")) {
            Ok(_) => {}
            // Files that examples name are not here; all else has to be right.
            Err(SpecError::Wrong(errors)) => {
                let of_files = |message: &str| message.starts_with("there is no `");
                let told: Vec<_> = errors.diagnostics().iter().filter(|wrong| !of_files(&wrong.message)).collect();
                if !told.is_empty() {
                    wrong.push(format!("{path}:\n{}", errors.render(false)));
                }
            }
            Err(other) => panic!("{path}: {other}"),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    assert!(all.len() > 90, "only {} examples", all.len());
}

#[test]
fn every_example_of_settings_is_taken() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("settings.toml");
    let all = examples(&settings_reference(&Kind::ALL.map(Kind::name)), "");
    for (path, document) in &all {
        fs::write(&file, document.to_string()).expect("writable");
        if let Err(error) = read_settings(std::slice::from_ref(&file), &Kind::ALL.map(Kind::name)) {
            panic!("{path}: {error}");
        }
    }
    assert!(all.len() > 10, "only {} examples", all.len());
}

/// Pages are read where they lie as well as on the web: what they point to has to be there.
#[test]
fn every_link_within_the_pages_has_its_heading() {
    for (_, file) in references() {
        let page = fs::read_to_string(Path::new(file)).expect("committed");
        let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
        let anchor = |heading: &str| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
        let headings = page.lines().filter(|line| line.starts_with('#'));
        let anchors: Vec<String> = headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect();
        let unique: BTreeSet<&String> = anchors.iter().collect();
        assert_eq!(unique.len(), anchors.len(), "{file}: two headings have one anchor");
        let links: Vec<&str> = page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert!(!links.is_empty(), "{file}");
        for link in links {
            assert!(anchors.iter().any(|anchor| anchor == link), "{file}: no heading for `#{link}`");
        }
    }
}
