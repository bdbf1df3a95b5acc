//! The reference as a page in Markdown, as GitHub shows it: a heading for each table, whose anchor is the table's path.

use super::{Form, Key, NAME, Reference, Table};
use serde_json::Value;
use std::fmt::Write;

impl Reference {
    /// The page.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut page = format!("# {}: reference\n\n{}", self.title, self.introduction);
        for table in &self.tables {
            self.table(&mut page, table);
        }
        page
    }

    fn table(&self, page: &mut String, table: &Table) {
        let level = if table.path.len() < 2 { "##" } else { "###" };
        let _ = writeln!(page, "\n{level} {}\n\n{}", heading(table), flowing(&table.about));
        match (table.is_choice, table.keys.is_empty()) {
            (true, _) => page.push_str("\nExactly one of:\n"),
            (false, true) => page.push_str("\nIt has no keys.\n"),
            (false, false) => {}
        }
        if let Some((name, value)) = &table.example {
            let _ = write!(page, "\n```toml\n{}```\n", example(table, name.as_deref(), value));
        }
        if !table.keys.is_empty() {
            page.push('\n');
        }
        for key in &table.keys {
            self.key(page, table, key);
        }
    }

    fn key(&self, page: &mut String, table: &Table, key: &Key) {
        let mut facts = vec![self.words(&key.name, &key.form)];
        match &key.default {
            _ if key.required => facts.push("**required**".to_owned()),
            Some(default) => facts.push(format!("default `{}`", toml(default))),
            None if table.is_choice => {}
            None => facts.push("optional".to_owned()),
        }
        let _ = write!(page, "- **`{}`** · {}\\\n  {}", key.name, facts.join(" · "), flowing(&key.about));
        let shown = table.example.as_ref().map(|(_, example)| &example[&key.name]);
        let fresh: Vec<String> = (key.examples.iter())
            .filter(|example| Some(*example) != shown && Some(*example) != key.default.as_ref())
            .filter(|_| !matches!(key.form, Form::Table(_)))
            .map(|example| format!("`{} = {}`", key.name, toml(example)))
            .collect();
        if !fresh.is_empty() {
            let _ = write!(page, " As {}.", fresh.join(" or "));
        }
        page.push('\n');
        for (form, about) in choices(&key.form) {
            let _ = writeln!(page, "  - {}: {}", self.words(&key.name, form), flowing(about));
        }
    }

    /// A form in words; `name` is the key that it stands behind, whose end tells the unit.
    fn words(&self, name: &str, form: &Form) -> String {
        match form {
            Form::Any => "any value".to_owned(),
            Form::Text { pattern: Some(pattern), .. } => format!("text that matches `{pattern}`"),
            Form::Text { filled: true, .. } => "text, not empty".to_owned(),
            Form::Text { .. } => "text".to_owned(),
            Form::Switch => "`true` or `false`".to_owned(),
            Form::Number { whole, least, most } => number(name, *whole, least.as_ref(), most.as_ref()),
            Form::List { of, least, most } => {
                let count = match (*least, most) {
                    (0, None) => String::new(),
                    (least, Some(most)) if least == *most => format!("{least} "),
                    (0, Some(most)) => format!("at most {most} "),
                    (least, None) => format!("at least {least} "),
                    (least, Some(most)) => format!("{least} to {most} "),
                };
                match &**of {
                    Form::Table(path) => self.link_to(path),
                    Form::Choice(forms) if forms.iter().all(|(form, _)| matches!(form, Form::Word(_))) => {
                        format!("list of {count}of the words below")
                    }
                    of => format!("list of {count}{}", plural(&self.words(name, of))),
                }
            }
            Form::Named(of) => format!("table of {} by names of your own", plural(&self.words(name, of))),
            Form::Word(word) => format!("`\"{word}\"`"),
            Form::Keyed(key, of) => format!("`{{ {key} = … }}`, {}", self.words(key, of)),
            Form::Table(path) => self.link_to(path),
            Form::Choice(forms) if forms.iter().all(|(form, _)| matches!(form, Form::Word(_))) => {
                "one of the words below".to_owned()
            }
            Form::Choice(_) => "one of the forms below".to_owned(),
        }
    }

    fn link(&self, table: &Table) -> String {
        format!("[{}](#{})", heading(table), anchor(&heading(table)))
    }

    fn link_to(&self, path: &[String]) -> String {
        let told = self.tables.iter().find(|table| table.path == path).expect("every path that is pointed to is told");
        self.link(told)
    }
}

/// The forms of a choice, of whatever list it is the content of.
fn choices(form: &Form) -> &[(Form, String)] {
    match form {
        Form::Choice(forms) => forms,
        Form::List { of, .. } | Form::Named(of) => choices(of),
        _ => &[],
    }
}

fn heading(table: &Table) -> String {
    let path = table.path.join(".");
    match (table.path.is_empty(), table.repeated) {
        (true, _) => "The file".to_owned(),
        (false, true) => format!("`[[{path}]]`"),
        (false, false) => format!("`[{path}]`"),
    }
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    heading.to_lowercase().chars().filter(kept).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

fn number(name: &str, whole: bool, least: Option<&(Value, bool)>, most: Option<&Value>) -> String {
    let kind = if whole { "whole number" } else { "number" };
    let unit = unit(name).map(|unit| format!(" of {unit}")).unwrap_or_default();
    let range = match (least, most) {
        (Some((least, false)), Some(most)) => format!(", {least} to {most}"),
        (Some((least, true)), Some(most)) => format!(", above {least} up to {most}"),
        (Some((least, false)), None) => format!(", {least} or more"),
        (Some((least, true)), None) => format!(", above {least}"),
        (None, Some(most)) => format!(", {most} at most"),
        (None, None) => String::new(),
    };
    format!("{kind}{unit}{range}")
}

/// The unit of measure that the end of a key names.
fn unit(name: &str) -> Option<&'static str> {
    let (before, last) = name.rsplit_once('_')?;
    match last {
        _ if before.ends_with("per") => None,
        "s" => Some("seconds"),
        "min" => Some("minutes"),
        "mm" => Some("millimetres"),
        "px" => Some("pixels"),
        "gb" => Some("gigabytes"),
        "sd" => Some("standard deviations"),
        "voxels" => Some("voxels"),
        _ => None,
    }
}

/// Words for several of what these words are for one of.
fn plural(words: &str) -> String {
    match words.split_once(", ") {
        Some((first, rest)) => format!("{}, each {rest}", plural(first)),
        None => match words.split_once(" of ").or_else(|| words.split_once(" that ")) {
            Some((first, rest)) if first.ends_with("number") => format!("{first}s of {rest}"),
            Some((first, rest)) if first.ends_with("text") => {
                format!("{first}s that match{}", rest.trim_start_matches("matches"))
            }
            Some(("list", rest)) => format!("lists of {rest}"),
            _ if words.ends_with("number") || words.ends_with("text") || words.ends_with("value") => {
                format!("{words}s")
            }
            _ => words.to_owned(),
        },
    }
}

/// Text whose lines were broken for an editor, in paragraphs.
fn flowing(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n  ")
}

/// A value as TOML writes it on a line.
fn toml(value: &Value) -> String {
    toml::Value::try_from(value).expect("what a study may say is TOML").to_string()
}

/// A table as it is written.
fn example(table: &Table, name: Option<&str>, value: &Value) -> String {
    let mut path = table.path.clone();
    if let (Some(name), Some(last)) = (name, path.iter_mut().rev().find(|key| *key == NAME)) {
        name.clone_into(last);
    }
    let path = path.join(".");
    let mut text = match (table.path.is_empty(), table.repeated) {
        (true, _) => String::new(),
        (false, true) => format!("[[{path}]]\n"),
        (false, false) => format!("[{path}]\n"),
    };
    for (key, value) in value.as_object().into_iter().flatten() {
        let _ = writeln!(text, "{key} = {}", toml(value));
    }
    text
}
