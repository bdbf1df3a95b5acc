//! TOML text -> [`Study`]: what was written, what is wrong with it, what it means.
//!
//! ```text
//! text -> Document (positions) -> mismatches against the schema -> WrittenStudy -> checks against each other and the
//! files that are named -> Study
//! ```
//!
//! `written.rs` is the grammar and its reference; `schema.rs` generates the JSON Schema from it and finds every mistake of
//! form; `check.rs` finds every mistake of meaning, before anything is computed; `diagnostic.rs` shows them.

mod check;
mod diagnostic;
mod document;
mod schema;
mod study;
pub mod written;

pub use diagnostic::{Diagnostic, Located, SpecError, SpecErrors};
pub use document::{Document, FieldPath, Step};
pub use schema::schema;
pub use study::{Encoding, Model, ModelSource, ModuleUnits, RecordedSubject, Run, Study, Subjects};

use std::{fs, path::Path};

/// Reads a study file and checks all that it says.
///
/// # Errors
/// If the file cannot be read, or with everything that is wrong with it.
pub fn read_study(path: &Path) -> Result<Study, SpecError> {
    let text = fs::read_to_string(path).map_err(|source| SpecError::Read { path: path.to_owned(), source })?;
    let name = path.display().to_string();
    let base = path.parent().unwrap_or(Path::new(""));
    check_text(&name, &text, base)
        .map(|study| Study { file: path.to_owned(), ..study })
        .map_err(|wrong| SpecError::Wrong(SpecErrors::new(&name, &text, wrong)))
}

/// Checks the text of a study; relative paths in it start from `base`.
fn check_text(name: &str, text: &str, base: &Path) -> Result<Study, Vec<Diagnostic>> {
    let document = Document::parse(name, text)?;
    let mismatches = schema::mismatches(&document, &schema());
    if !mismatches.is_empty() {
        return Err(mismatches);
    }
    let written = toml::from_str(text)
        .map_err(|error| vec![Diagnostic::new(error.span().unwrap_or(0..0), error.message(), "not understood")])?;
    check::check(written, &document, base)
}
