//! What was shown or said, and when. Owns stimulus tables and generated scenes; knows no model, no brain and no study.
//!
//! `table.rs` reads a run's events from a TSV file, `scene.rs` draws made-up pictures with captions. Both end in a
//! [`Schedule`]: the distinct images and texts of a study, and per run the events that show them.

mod scene;
mod table;

pub use scene::{Generate, Scenes};
pub use table::read_table;

use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What can be wrong with stimuli.
#[derive(Debug, thiserror::Error)]
pub enum StimulusError {
    /// The table could not be read.
    #[error(transparent)]
    Table(#[from] crate::format::tsv::TsvError),
    /// A column that every table needs is not there.
    #[error("`{path}` has no column `{column}`; its columns are {found}", path = path.display())]
    NoColumn {
        /// The table.
        path: PathBuf,
        /// What is missing.
        column: &'static str,
        /// What is there.
        found: String,
    },
    /// A cell does not hold what its column needs.
    #[error("`{path}` line {line}: `{column}` is `{value}`, expected {expected}", path = path.display())]
    Cell {
        /// The table.
        path: PathBuf,
        /// Line, counting the header as one.
        line: usize,
        /// The column.
        column: &'static str,
        /// What is there.
        value: String,
        /// What should be there.
        expected: &'static str,
    },
    /// The table has a header only.
    #[error("`{path}` has no events", path = path.display())]
    Empty {
        /// The table.
        path: PathBuf,
    },
    /// A picture could not be written.
    #[error("cannot write the image `{path}`: {source}", path = path.display())]
    Write {
        /// The picture.
        path: PathBuf,
        /// The encoder's answer.
        source: image::ImageError,
    },
}

/// One stimulus in time, as a table gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct TableEvent {
    /// Seconds from the start of the run.
    pub onset_s: f64,
    /// Seconds that it lasts.
    pub duration_s: f64,
    /// The image shown, if any, as a path that can be opened.
    pub image: Option<PathBuf>,
    /// The caption or the words, if any.
    pub text: Option<String>,
}

/// One stimulus in time, by its place among the study's distinct images and texts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Seconds from the start of the run.
    pub onset_s: f64,
    /// Seconds that it lasts.
    pub duration_s: f64,
    /// Place in [`Schedule::images`].
    pub image: Option<usize>,
    /// Place in [`Schedule::texts`].
    pub text: Option<usize>,
}

/// The distinct stimuli of a study and the events of its runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Distinct images, in order of first appearance.
    pub images: Vec<PathBuf>,
    /// Distinct texts, in order of first appearance.
    pub texts: Vec<String>,
    /// Events by run, in the order in which the runs were added.
    pub runs: Vec<Vec<Event>>,
}

impl Schedule {
    /// Gathers the events of runs; a stimulus that appears twice is kept once.
    #[must_use]
    pub fn of(runs: impl IntoIterator<Item = Vec<TableEvent>>) -> Self {
        let mut schedule = Self::default();
        let (mut image_places, mut text_places) = (BTreeMap::new(), BTreeMap::new());
        for events in runs {
            let placed = events.into_iter().map(|event| Event {
                onset_s: event.onset_s,
                duration_s: event.duration_s,
                image: event.image.map(|image| place(&mut schedule.images, &mut image_places, image)),
                text: event.text.map(|text| place(&mut schedule.texts, &mut text_places, text)),
            });
            let placed = placed.collect();
            schedule.runs.push(placed);
        }
        schedule
    }
}

fn place<T: Clone + Ord>(distinct: &mut Vec<T>, places: &mut BTreeMap<T, usize>, item: T) -> usize {
    *places.entry(item).or_insert_with_key(|item| {
        distinct.push(item.clone());
        distinct.len() - 1
    })
}

/// The table of a run: `pattern` with `{run}` replaced by its name.
#[must_use]
pub fn table_path(pattern: &str, base: &Path, run: &str) -> PathBuf {
    base.join(pattern.replace("{run}", run))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(onset_s: f64, image: &str, text: &str) -> TableEvent {
        TableEvent { onset_s, duration_s: 2.0, image: Some(image.into()), text: Some(text.into()) }
    }

    #[test]
    fn a_stimulus_that_appears_twice_is_kept_once() {
        let schedule = Schedule::of([
            vec![shown(0.0, "a.png", "a dog"), shown(2.0, "b.png", "a dog")],
            vec![shown(0.0, "a.png", "a cat")],
        ]);
        assert_eq!(schedule.images, [PathBuf::from("a.png"), PathBuf::from("b.png")]);
        assert_eq!(schedule.texts, ["a dog", "a cat"]);
        assert_eq!(schedule.runs[1], [Event { onset_s: 0.0, duration_s: 2.0, image: Some(0), text: Some(1) }]);
    }

    #[test]
    fn the_run_takes_its_place_in_the_path() {
        assert_eq!(table_path("stimuli/run-{run}.tsv", Path::new("/data"), "2"), Path::new("/data/stimuli/run-2.tsv"));
    }
}
