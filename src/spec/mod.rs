//! TOML text -> [`Study`]: what was written, what is wrong with it, what it means.
//!
//! ```text
//! text -> Document (positions, includes joined) -> one Document for each cell of the sweep -> mismatches against the schema
//! -> WrittenStudy -> checks against each other and the files that are named -> Study
//! ```
//!
//! `written.rs` is the grammar and its reference; `schema.rs` generates the JSON Schema from it and `mismatch.rs` finds every
//! mistake of form; `include.rs` joins files, `sweep.rs` makes cells; `check.rs` finds every mistake of meaning, before anything
//! is computed; `diagnostic.rs` shows them; `reference.rs` tells all that may be written, as a page. The settings of a user or a
//! site take the same way through `settings.rs`.

mod check;
mod diagnostic;
mod document;
mod include;
mod mismatch;
pub(crate) mod place;
pub mod reference;
mod remote;
mod schema;
pub mod settings;
mod study;
mod sweep;
pub mod written;

pub use diagnostic::{Diagnostic, Located, Source, Span, SpecError, SpecErrors};
pub use document::{Document, FieldPath, Node, Step, Table, Value};
pub use remote::{Remote, RemoteAddress, Service};
pub use schema::schema;
pub use study::{
    Cell, Design, GroupTests, Model, ModelSource, ModuleUnits, NamedPlace, RecordedSubject, Run, Study, Subjects,
};

use crate::{
    model::{
        ModelError,
        hub::{HubModel, HubSettings, fetch_model},
    },
    stimulus::video,
};
use check::Memory;
pub use check::{Demand, Surroundings};
use schema::Schema;
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};
use sweep::CellDocument;
use written::WrittenStudy;

/// Reads a study file, with all that it includes, and checks all that it says in every cell of its sweep.
///
/// # Errors
/// If the file cannot be read, or with everything that is wrong with it.
pub fn read_study(path: &Path) -> Result<Study, SpecError> {
    let nowhere = HubSettings { offline: true, ..HubSettings::from_environment(|_| None) };
    let find_model = |model: &HubModel| {
        let found = fetch_model(model, &nowhere, &mut |_| ());
        found.map(|found| found.folder).map_err(ModelError::from)
    };
    let find_ffmpeg = || video::find_ffmpeg(|_| None);
    read_study_with(path, &Surroundings { find_model: &find_model, find_ffmpeg: &find_ffmpeg, may: &|_| true })
}

/// Every field that a study file says, with all that it includes, by its path; whether they mean anything is not asked.
///
/// # Errors
/// If a file cannot be read or is no TOML.
pub fn read_fields(path: &Path) -> Result<BTreeMap<String, String>, SpecError> {
    Ok(include::read_document(path, &Schema::of::<WrittenStudy>(), &|_| true)?.fields())
}

/// The same as [`read_study`], with a word on where models are that the study names instead of placing them, and the programs
/// that read films.
///
/// # Errors
/// As [`read_study`].
pub fn read_study_with(path: &Path, surroundings: &Surroundings<'_>) -> Result<Study, SpecError> {
    let schema = Schema::of::<WrittenStudy>();
    let document = include::read_document(path, &schema, surroundings.may)?;
    let (sources, fields) = (document.sources.clone(), document.fields());
    let wrong = |found| SpecError::Wrong(SpecErrors::new(sources.clone(), found));
    let documents = sweep::cells(document, &schema).map_err(wrong)?;
    in_cells(&documents, |cell| mismatch::mismatches(&cell.document, &schema)).map_err(wrong)?;

    let mut memory = Memory::new(surroundings);
    let mut cells = Vec::with_capacity(documents.len());
    let (mut header, mut remote) = (None, None);
    let check = |cell: &CellDocument| match written(cell) {
        Err(wrong) => vec![wrong],
        Ok((name, study)) => {
            header.get_or_insert(name);
            match check::check(study, &cell.document, &mut memory) {
                Ok((design, shared)) => {
                    remote = shared;
                    cells.push(Cell { labels: cell.labels.clone(), design });
                    Vec::new()
                }
                Err(found) => found,
            }
        }
    };
    in_cells(&documents, check).map_err(wrong)?;
    let (name, description) = header.expect("every cell of a study without mistakes has its name");
    Ok(Study { file: path.to_owned(), name, description, fields, sources, cells, remote })
}

/// The types of a study, read from a document of the right form; its name and description apart.
fn written(cell: &CellDocument) -> Result<((String, String), WrittenStudy), Diagnostic> {
    let study = WrittenStudy::deserialize(cell.document.plain())
        .map_err(|error| Diagnostic::new(Span::default(), error.message(), "not understood"))?;
    Ok(((study.study.name.clone(), study.study.description.clone()), study))
}

/// Gathers what is wrong in any cell; what is wrong in some only is told with the first of them.
fn in_cells(
    cells: &[CellDocument],
    mut wrong: impl FnMut(&CellDocument) -> Vec<Diagnostic>,
) -> Result<(), Vec<Diagnostic>> {
    let mut found: Vec<(Diagnostic, &CellDocument, usize)> = Vec::new();
    for cell in cells {
        for diagnostic in wrong(cell) {
            match found.iter_mut().find(|(known, ..)| *known == diagnostic) {
                Some((.., n)) => *n += 1,
                None => found.push((diagnostic, cell, 1)),
            }
        }
    }
    let told = found.into_iter().map(|(diagnostic, cell, n)| {
        let name = cell.labels.join(",");
        match n {
            n if n == cells.len() => diagnostic,
            1 => diagnostic.note(format!("in the cell {name} of the sweep")),
            n => diagnostic.note(format!("in the cell {name} of the sweep and {} more", n - 1)),
        }
    });
    let told: Vec<Diagnostic> = told.collect();
    if told.is_empty() { Ok(()) } else { Err(told) }
}
