//! The reference of what may be written in TOML: every table, with each of its keys, as the types tell it.
//!
//! It is read from the schema that editors are given, so the comments of the types are its words and their values its defaults. A
//! table that several places may hold is told where it stands first; elsewhere it is pointed to. Knows no Markdown; next:
//! `reference/markdown.rs`, which writes it as a page.

mod markdown;

use super::{
    schema::{Schema, alternatives, only_required},
    settings::answered,
    written::WrittenStudy,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What stands for a name that is the writer's own.
pub const NAME: &str = "NAME";

/// What stands before the reference of study files.
const STUDY: &str = "\
A study is one TOML file. This page tells every table and key that it may hold; `hebb schema study --format markdown` prints it. Editors
that know TOML show the same while you write, where a file begins with `#:schema` and the place of `schemas/experiment.schema.json`.
`hebb init` writes a study with comments to start from, and `hebb check` says everything that is wrong with one.

Tables are written as `[encoding.ridge]` or as `encoding.ridge = { … }`, which is the same. `NAME` stands for a name of your own. Paths
start from the folder of the file that says them. A key that is not told here is a mistake, and so is one that is written twice. What is
optional and not written has the default told, or is absent. Times are in seconds and lengths in millimetres, as the ends of the keys say.
";

/// What stands before the reference of settings.
const SETTINGS: &str = "\
Settings say how a user or a site runs studies, never what they compute: nothing here is part of a study, of a result or of its name. They
are read from `/etc/hebb/settings.toml` (or the file that `HEBB_SITE_SETTINGS` names), then `~/.config/hebb/settings.toml`, then the file of
`--settings` or `HEBB_SETTINGS`; the later over the earlier, field by field. `hebb doctor` says which were found. `hebb schema settings
--format markdown` prints this page.
";

/// All that a file may say.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// What kind of file it is.
    pub title: String,
    /// What a reader of the page is told first, in Markdown.
    pub introduction: &'static str,
    /// Its tables, in the order in which they are told; the first is the file itself, with no path.
    pub tables: Vec<Table>,
}

/// A table of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Keys that lead to it, [`NAME`] where the name is one's own.
    pub path: Vec<String>,
    /// Whether it may stand several times, as `[[atlas.combine]]`.
    pub repeated: bool,
    /// The type that tells it, as the schema calls it.
    pub of: String,
    /// What it is for.
    pub about: String,
    /// Whether exactly one of its keys is written, not any number.
    pub is_choice: bool,
    /// What may stand in it.
    pub keys: Vec<Key>,
    /// The name that stands for the last [`NAME`] of the path in the example, and what the table holds there.
    pub example: Option<(Option<String>, Value)>,
}

/// A key of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// What may stand behind it.
    pub form: Form,
    /// Whether its table needs it.
    pub required: bool,
    /// What holds where it is absent; none where nothing does, and for tables, whose keys have defaults of their own.
    pub default: Option<Value>,
    /// Values that it may have.
    pub examples: Vec<Value>,
}

/// What may stand behind a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// Whatever the field named takes.
    Any,
    /// A text, of a form that a regular expression tells, if it is not free.
    Text {
        /// The regular expression.
        pattern: Option<String>,
        /// Whether it must hold a character at least.
        filled: bool,
    },
    /// True or false.
    Switch,
    /// A number.
    Number {
        /// Whether it is a whole one.
        whole: bool,
        /// The least, and whether that itself is too little.
        least: Option<(Value, bool)>,
        /// The most.
        most: Option<Value>,
    },
    /// A list.
    List {
        /// What stands in it.
        of: Box<Form>,
        /// How many at least.
        least: u64,
        /// How many at most.
        most: Option<u64>,
    },
    /// A table of values by names of one's own.
    Named(Box<Form>),
    /// One word.
    Word(String),
    /// A table with one key, written on the line.
    Keyed(String, Box<Form>),
    /// A table that the reference tells under this path; several tables, if it is repeated.
    Table(Vec<String>),
    /// One of several forms, with what each means.
    Choice(Vec<(Form, String)>),
}

/// The reference of study files.
#[must_use]
pub fn study_reference() -> Reference {
    Reading::of(&Schema::of::<WrittenStudy>(), STUDY)
}

/// The reference of settings; `kinds` are the names of the kinds of task.
#[must_use]
pub fn settings_reference(kinds: &[&str]) -> Reference {
    Reading::of(&answered(kinds), SETTINGS)
}

/// The way through a schema.
struct Reading<'a> {
    schema: &'a Schema,
    /// Where each type with keys was met first.
    told: BTreeMap<String, Vec<String>>,
    tables: Vec<Table>,
}

impl<'a> Reading<'a> {
    fn of(schema: &'a Schema, introduction: &'static str) -> Reference {
        let title = text(schema.root(), "title");
        let mut reading = Reading { schema, told: BTreeMap::new(), tables: Vec::new() };
        reading.table(&title, schema.root(), Vec::new(), text(schema.root(), "description"), None);
        Reference { title, introduction, tables: reading.tables }
    }

    /// Tells a table, then those within it.
    fn table(
        &mut self,
        of: &str,
        schema: &'a Value,
        path: Vec<String>,
        about: String,
        example: Option<(Option<String>, Value)>,
    ) {
        let place = self.tables.len();
        let is_choice = self.schema.is_choice(schema);
        self.tables.push(Table {
            path: path.clone(),
            repeated: false,
            of: of.to_owned(),
            about,
            is_choice,
            keys: Vec::new(),
            example: None,
        });
        for form in self.schema.forms(schema) {
            for (name, property) in form["properties"].as_object().into_iter().flatten() {
                let required = form["required"].as_array().into_iter().flatten().any(|key| key == name);
                let own = text(property, "description");
                let about = if is_choice { text(form, "description") } else { own };
                let key = self.key(&path, name, property, required && !is_choice, about);
                self.tables[place].keys.push(key);
            }
        }
        let own = schema["examples"].as_array().and_then(|examples| examples.first()).map(|own| (None, own.clone()));
        let example = example.or(own).or_else(|| least(&self.tables[place]).map(|least| (None, least)));
        self.tables[place].example = example;
    }

    fn key(&mut self, table: &[String], name: &str, property: &'a Value, required: bool, about: String) -> Key {
        let path: Vec<String> = table.iter().cloned().chain([name.to_owned()]).collect();
        let examples: Vec<Value> = property["examples"].as_array().cloned().unwrap_or_default();
        let form = self.form(&path, property, &examples);
        let resolved = self.schema.resolve(property);
        let about = if about.is_empty() { text(resolved, "description") } else { about };
        let examples = if examples.is_empty() && !matches!(form, Form::Table(_)) {
            resolved["examples"].as_array().cloned().unwrap_or_default()
        } else {
            examples
        };
        let default = property.get("default").filter(|default| !default.is_null() && !matches!(form, Form::Table(_)));
        Key { name: name.to_owned(), about, form, required, default: default.cloned(), examples }
    }

    /// What may stand at a path, where tables that are met for the first time are told.
    fn form(&mut self, path: &[String], schema: &'a Value, examples: &[Value]) -> Form {
        let of = name_of(schema);
        let schema = self.schema.resolve(schema);
        if let Some(word) = schema["const"].as_str() {
            return Form::Word(word.to_owned());
        }
        if self.schema.is_choice(schema) && self.schema.forms(schema).iter().all(|form| only_required(form).is_some()) {
            return self.told_table(of, schema, path, text(schema, "description"), None);
        }
        if let Some(forms) = alternatives(schema) {
            let forms: Vec<&Value> = forms.iter().filter(|form| form["type"] != "null").collect();
            return match forms.as_slice() {
                [only] => self.form(path, only, examples),
                several => Form::Choice(several.iter().map(|form| self.alternative(path, form)).collect()),
            };
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").and_then(Value::as_str),
            kind => kind.as_str(),
        };
        match kind {
            Some("string") => Form::Text {
                pattern: schema["pattern"].as_str().map(str::to_owned),
                filled: schema["minLength"].as_u64().is_some_and(|least| least > 0),
            },
            Some("boolean") => Form::Switch,
            Some(number @ ("integer" | "number")) => Form::Number {
                whole: number == "integer",
                least: (schema.get("minimum").map(|least| (least.clone(), false)))
                    .or_else(|| schema.get("exclusiveMinimum").map(|least| (least.clone(), true))),
                most: schema.get("maximum").cloned(),
            },
            Some("array") => {
                let inner: Vec<Value> = examples.iter().filter_map(Value::as_array).flatten().cloned().collect();
                let of = self.form(path, &schema["items"], &inner);
                if let Form::Table(told) = &of
                    && let Some(table) = self.tables.iter_mut().find(|table| table.path == *told)
                {
                    table.repeated = true;
                }
                let least = schema["minItems"].as_u64().unwrap_or(0);
                Form::List { of: Box::new(of), least, most: schema["maxItems"].as_u64() }
            }
            Some("object") => self.object(of, path, schema, examples),
            _ => Form::Any,
        }
    }

    fn object(&mut self, of: Option<&str>, path: &[String], schema: &'a Value, examples: &[Value]) -> Form {
        let named = schema["properties"].as_object().filter(|keys| keys.len() > 1).and_then(|keys| {
            let mut each = keys.values();
            let first = each.next()?;
            each.all(|other| other == first && name_of(other).is_some()).then_some(first)
        });
        let Some(each) = named.or_else(|| schema.get("additionalProperties").filter(|any| **any != false)) else {
            let example = examples.iter().find(|example| example.is_object()).map(|example| (None, example.clone()));
            return self.told_table(of, schema, path, text(schema, "description"), example);
        };
        let example = examples.first().and_then(Value::as_object).and_then(|example| example.iter().next());
        let example = example.map(|(name, value)| (Some(name.clone()), value.clone()));
        let path: Vec<String> = path.iter().cloned().chain([NAME.to_owned()]).collect();
        match name_of(each).map(|of| (of, self.schema.resolve(each))) {
            Some((of, table)) if table["properties"].is_object() => {
                self.told_table(Some(of), table, &path, text(table, "description"), example)
            }
            _ => Form::Named(Box::new(self.form(&path, each, &[]))),
        }
    }

    /// Points to a table, which is told if it was not before.
    fn told_table(
        &mut self,
        of: Option<&str>,
        schema: &'a Value,
        path: &[String],
        about: String,
        example: Option<(Option<String>, Value)>,
    ) -> Form {
        let of = of.expect("every table is a type with a name");
        if let Some(told) = self.told.get(of) {
            return Form::Table(told.clone());
        }
        self.told.insert(of.to_owned(), path.to_vec());
        self.table(of, schema, path.to_vec(), about, example);
        Form::Table(path.to_vec())
    }

    /// One of several forms of a value: a word, a table with one key, or another value.
    fn alternative(&mut self, path: &[String], schema: &'a Value) -> (Form, String) {
        let about = text(schema, "description");
        if let (Some(name), Some(keys)) = (only_required(schema), schema["properties"].as_object()) {
            let path: Vec<String> = path.iter().cloned().chain([name.to_owned()]).collect();
            let form = self.form(&path, &keys[name], &[]);
            let form = if matches!(form, Form::Table(_)) { form } else { Form::Keyed(name.to_owned(), Box::new(form)) };
            return (form, about);
        }
        let form = self.form(path, schema, &[]);
        (form, about)
    }
}

/// The least that a table may hold: what it needs, as its examples have it.
fn least(table: &Table) -> Option<Value> {
    let needed = table.keys.iter().filter(|key| key.required);
    let shown: Option<serde_json::Map<String, Value>> =
        needed.map(|key| Some((key.name.clone(), key.examples.first()?.clone()))).collect();
    shown.filter(|shown| !shown.is_empty()).map(Value::from)
}

/// The name of the type that a schema refers to.
fn name_of(schema: &Value) -> Option<&str> {
    let own = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    let forms = ["allOf", "anyOf"].into_iter().filter_map(|key| schema[key].as_array());
    own.or_else(|| forms.flatten().filter(|form| form["type"] != "null").find_map(name_of))
}

fn text(schema: &Value, key: &str) -> String {
    schema[key].as_str().unwrap_or_default().to_owned()
}
