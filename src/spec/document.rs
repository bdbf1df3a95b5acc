//! A study file as text with positions. Knows TOML, not studies.
//!
//! Everything that is said about a spec is said about a [`FieldPath`]; this file turns a path into the bytes that it names,
//! so that neither the types nor the checks carry positions around.

use super::diagnostic::Diagnostic;
use std::{fmt, ops::Range};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A place in a study file, as `encoding.ridge.alphas[3]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Step>);

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Into a table.
    Key(String),
    /// Into an array.
    Index(usize),
}

impl FieldPath {
    /// The path of keys separated by full stops; keys that hold one are added with [`FieldPath::key`].
    #[must_use]
    pub fn of(dotted: &str) -> Self {
        Self(dotted.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    /// This path, one table key further.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self([self.0.as_slice(), &[Step::Key(key.to_owned())]].concat())
    }

    /// This path, one array element further.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self([self.0.as_slice(), &[Step::Index(index)]].concat())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if place == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// The text of a study file and the TOML tree over it.
#[derive(Debug)]
pub struct Document<'t> {
    /// What the file is called in messages.
    pub name: &'t str,
    /// Its text.
    pub text: &'t str,
    root: Spanned<DeTable<'t>>,
}

impl<'t> Document<'t> {
    /// Parses a text as TOML.
    ///
    /// # Errors
    /// One diagnostic for each place that is not TOML.
    pub fn parse(name: &'t str, text: &'t str) -> Result<Self, Vec<Diagnostic>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self { name, text, root });
        }
        Err(errors.iter().map(|error| not_toml(text, error)).collect())
    }

    /// The whole file as one table.
    #[must_use]
    pub fn root(&self) -> &DeTable<'t> {
        self.root.get_ref()
    }

    /// The bytes of the value at a path, or of the nearest part of the path that was written.
    #[must_use]
    pub fn value_span(&self, path: &FieldPath) -> Range<usize> {
        self.spans(path).1
    }

    /// The bytes of the key at a path, or of the nearest part of the path that was written.
    #[must_use]
    pub fn key_span(&self, path: &FieldPath) -> Range<usize> {
        self.spans(path).0
    }

    fn spans(&self, path: &FieldPath) -> (Range<usize>, Range<usize>) {
        let mut key_span = 0..0;
        let mut value_span = 0..0;
        let mut table = Some(self.root.get_ref());
        let mut array = None;
        for step in &path.0 {
            let found = match step {
                Step::Key(key) => {
                    table.and_then(|table| table.get_key_value(key.as_str())).map(|(key, value)| (key.span(), value))
                }
                Step::Index(index) => {
                    array.and_then(|array: &toml::de::DeArray<'t>| array.get(*index)).map(|value| (value.span(), value))
                }
            };
            let Some((span, value)) = found else { break };
            key_span = span.clone();
            // A `[table]` header spans only its own line; the key in it is the better place to point at.
            value_span = if value.get_ref().is_table() { span } else { value.span() };
            table = value.get_ref().as_table();
            array = match value.get_ref() {
                DeValue::Array(array) => Some(array),
                _ => None,
            };
        }
        (key_span, value_span)
    }
}

/// The parser's words, with what TOML is for who never heard of it.
fn not_toml(text: &str, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    if error.message() == "duplicate key" {
        let key = text.get(span.clone()).unwrap_or_default();
        return Diagnostic::new(span, format!("`{key}` is given twice"), "given before").hint("keep one of them");
    }
    let hint = "each line is `key = value` or the name of a table in brackets, as `[runs]`; a value is a number, `true`, \
                `false`, text in quotes or a list in brackets";
    Diagnostic::new(span, format!("not TOML: {}", error.message()), "cannot be read from here").hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[encoding.ridge]\nalphas = [1, 10, 'x']\n";

    fn slice(range: Range<usize>) -> &'static str {
        &TEXT[range]
    }

    #[test]
    fn paths_find_their_bytes() {
        let document = Document::parse("study.toml", TEXT).expect("TOML");
        let alphas = FieldPath::of("encoding.ridge.alphas");
        assert_eq!(slice(document.key_span(&alphas)), "alphas");
        assert_eq!(slice(document.value_span(&alphas.index(2))), "'x'");
        assert_eq!(alphas.index(2).to_string(), "encoding.ridge.alphas[2]");
    }

    #[test]
    fn a_path_that_was_not_written_leads_to_the_nearest_part_that_was() {
        let document = Document::parse("study.toml", TEXT).expect("TOML");
        assert_eq!(slice(document.value_span(&FieldPath::of("encoding.ridge.folds"))), "ridge");
    }

    #[test]
    fn every_place_that_is_not_toml_is_told() {
        let errors = Document::parse("study.toml", "a = \nb = [1,\n").expect_err("not TOML");
        assert!(errors.len() >= 2, "{errors:?}");
    }
}
