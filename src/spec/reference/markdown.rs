//! The reference as a page in Markdown, as GitHub shows it: a heading for each table, whose anchor is the table's path.

use super::{Form, Key, NAME, Reference, Table};
use serde_json::Value;
use std::fmt::Write;

/// Characters of a line of prose.
const WIDTH: usize = 130;

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
        // A table stands below the one that its first keys name, where that is told too.
        let is_inner = (1..table.path.len()).any(|n| self.tables.iter().any(|outer| outer.path == table.path[..n]));
        let level = if is_inner { "###" } else { "##" };
        let _ = write!(page, "\n{level} {}\n\n{}", heading(table), wrapped("", &table.about));
        if let Some((name, value)) = &table.example {
            let _ = write!(page, "\n```toml\n{}```\n", example(table, name.as_deref(), value));
        }
        if table.is_choice {
            page.push_str("\nExactly one of:\n");
        }
        if !table.keys.is_empty() {
            page.push('\n');
        }
        for key in &table.keys {
            self.key(page, table, key);
        }
    }

    fn key(&self, page: &mut String, table: &Table, key: &Key) {
        let mut facts = vec![self.words(&key.name, &key.form, false)];
        match &key.default {
            _ if key.required => facts.push("**required**".to_owned()),
            Some(Value::Object(fields)) if fields.is_empty() => facts.push("optional".to_owned()),
            Some(default) => facts.push(format!("default `{}`", toml(default))),
            None if table.is_choice => {}
            None => facts.push("optional".to_owned()),
        }
        let shown = table.example.as_ref().map(|(_, example)| &example[&key.name]);
        let fresh: Vec<String> = (key.examples.iter())
            .filter(|example| Some(*example) != shown && Some(*example) != key.default.as_ref())
            .filter(|_| !points_to_table(&key.form))
            .map(|example| format!("`{} = {}`", key.name, toml(example)))
            .collect();
        let more = if fresh.is_empty() { String::new() } else { format!(" For example {}.", fresh.join(" or ")) };
        let _ = writeln!(page, "- **`{}`** · {}\\", key.name, facts.join(" · "));
        page.push_str(&wrapped("  ", &format!("{}{more}", key.about)));
        self.choices(page, "  ", &key.name, &key.form);
    }

    /// The forms that a value may have, each with what it means; words that several forms take are told once.
    fn choices(&self, page: &mut String, indent: &str, name: &str, form: &Form) {
        let mut told: Vec<&[(Form, String)]> = Vec::new();
        for (form, about) in choices(form) {
            let words = self.words(name, form, false);
            let line = wrapped(&format!("{indent}  "), &format!("{words}: {about}"));
            let _ = write!(page, "{indent}- {}", line.trim_start());
            let inner = choices(form);
            if !inner.is_empty() && !told.contains(&inner) {
                self.choices(page, &format!("{indent}  "), name, form);
                told.push(inner);
            }
        }
    }

    /// A form in words, for one or for several; `name` is the key that it stands behind, whose end tells the unit.
    fn words(&self, name: &str, form: &Form, several: bool) -> String {
        let one = |one: &str, more: &str| if several { more.to_owned() } else { one.to_owned() };
        match form {
            Form::Any => one("any value", "any values"),
            Form::Text { pattern: Some(pattern), .. } => {
                format!("{} `{pattern}`", one("text that matches", "texts that match"))
            }
            Form::Text { filled: true, .. } => one("text, not empty", "texts, none empty"),
            Form::Text { .. } => one("text", "texts"),
            Form::Switch => "`true` or `false`".to_owned(),
            Form::Number { whole, least, most } => {
                let kind = one(
                    if *whole { "whole number" } else { "number" },
                    if *whole { "whole numbers" } else { "numbers" },
                );
                let unit = unit(name, *whole).map(|unit| format!(" of {unit}")).unwrap_or_default();
                let range = range(least.as_ref(), most.as_ref());
                let range = range.map(|range| format!(", {}{range}", if several { "each " } else { "" }));
                format!("{kind}{unit}{}", range.unwrap_or_default())
            }
            Form::List { of, .. } if points_to_table(of) => self.words(name, of, several),
            Form::List { of, least, most } => {
                let of = self.words(name, of, true);
                let list = one("list of", "lists of");
                match (*least, most) {
                    (0, None) => format!("{list} {of}"),
                    (least, Some(most)) if least == *most => format!("{list} {least} {of}"),
                    (0, Some(most)) => format!("{list} {of}, {most} at most"),
                    (least, None) => format!("{list} {of}, {least} at least"),
                    (least, Some(most)) => format!("{list} {of}, {least} to {most} of them"),
                }
            }
            Form::Named(of) => {
                format!("{} of {} by names of your own", one("table", "tables"), self.words(name, of, true))
            }
            Form::Word(word) => format!("`\"{word}\"`"),
            Form::Keyed(key, of) => format!("`{{ {key} = … }}` with {}", self.words(key, of, false)),
            Form::Table(path) => self.link_to(path),
            Form::Choice(forms) if forms.iter().all(|(form, _)| matches!(form, Form::Word(_))) => {
                one("one of the words below", "the words below")
            }
            Form::Choice(_) => one("one of the forms below", "values of the forms below"),
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

/// The forms of a choice, of whatever list or table it is the content of.
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

fn range(least: Option<&(Value, bool)>, most: Option<&Value>) -> Option<String> {
    Some(match (least, most) {
        (Some((least, false)), Some(most)) => format!("{least} to {most}"),
        (Some((least, true)), Some(most)) => format!("above {least}, up to {most}"),
        (Some((least, false)), None) => format!("{least} or more"),
        (Some((least, true)), None) => format!("above {least}"),
        (None, Some(most)) => format!("{most} at most"),
        (None, None) => return None,
    })
}

/// The unit of measure that the end of a key names.
fn unit(name: &str, whole: bool) -> Option<&'static str> {
    let (before, last) = name.rsplit_once('_')?;
    match last {
        _ if before.ends_with("per") => None,
        "s" => Some("seconds"),
        "min" => Some("minutes"),
        "mm" => Some("millimetres"),
        "px" => Some("pixels"),
        "gb" => Some("gigabytes"),
        "sd" => Some("standard deviations"),
        // Shares of voxels are told by numbers that are not whole.
        "voxels" if whole => Some("voxels"),
        _ => None,
    }
}

fn points_to_table(form: &Form) -> bool {
    match form {
        Form::Table(_) => true,
        Form::List { of, .. } => points_to_table(of),
        _ => false,
    }
}

/// Paragraphs in lines of a readable width, each line behind an indent. Code is never broken, and no line begins as a list does.
fn wrapped(indent: &str, text: &str) -> String {
    let mut page = String::new();
    for (place, paragraph) in text.split("\n\n").enumerate() {
        if place > 0 {
            page.push('\n');
        }
        let mut line = indent.to_owned();
        for word in unbroken(paragraph) {
            let is_empty = line.len() == indent.len();
            let begins_list = matches!(word.as_str(), "-" | "+" | "*")
                || word.ends_with(['.', ')']) && word.starts_with(|letter: char| letter.is_ascii_digit());
            if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH && !begins_list {
                let _ = writeln!(page, "{line}");
                line = format!("{indent}{word}");
            } else {
                line.push_str(if is_empty { "" } else { " " });
                line.push_str(&word);
            }
        }
        let _ = writeln!(page, "{line}");
    }
    page
}

/// The words of a text; code in it is one word, whatever blanks it has.
fn unbroken(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_code = false;
    for word in text.split_whitespace() {
        match words.last_mut().filter(|_| is_code) {
            Some(last) => {
                last.push(' ');
                last.push_str(word);
            }
            None => words.push(word.to_owned()),
        }
        is_code ^= word.matches('`').count() % 2 == 1;
    }
    words
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_those_of_github() {
        assert_eq!(anchor("`[encoding.ridge]`"), "encodingridge");
        assert_eq!(anchor("`[[atlas.combine]]`"), "atlascombine");
        assert_eq!(anchor("`[models.NAME.low_level]`"), "modelsnamelow_level");
        assert_eq!(anchor("The file"), "the-file");
    }

    #[test]
    fn lines_are_broken_between_words_and_never_in_code_or_as_lists() {
        let words = ["word"; 25].join(" ");
        let page = wrapped("  ", &format!("{words} `a = [1, 2]` - {words}\n\nnext"));
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines.len(), 5, "{page}");
        assert!(lines[0].ends_with("word") && lines[1].starts_with("  `a = [1, 2]` - word"), "{page}");
        assert_eq!(lines[3..], ["", "  next"]);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH + 2));
    }

    #[test]
    fn units_are_read_off_the_ends_of_keys() {
        assert_eq!(unit("gap_s", false), Some("seconds"));
        assert_eq!(unit("frames_per_s", false), None);
        assert_eq!(unit("mirrored_voxels", false), None);
        assert_eq!(unit("erode_voxels", true), Some("voxels"));
        assert_eq!(unit("seed", true), None);
    }
}
