//! What was shown or said, and when. Owns stimulus tables and generated scenes; knows no model, no brain and no study.
//!
//! `table.rs` reads a run's events from a TSV file, `scene.rs` draws made-up pictures with captions. Both end in a
//! [`Schedule`]: the distinct images and texts of a study, and per run the events that show them. [`video`] cuts films into
//! pictures, `cut.rs` reads those that were cut before, `transcript.rs` spoken words into texts, `recorded.rs` says at which moments.
//! `appearance.rs` tells appearances of the same stimulus apart by what was shown before and by when.

mod appearance;
mod cut;
mod recorded;
mod scene;
mod table;
mod transcript;
pub mod video;

pub use appearance::{Appearance, Appearances, Distinct, Position};
pub use cut::CutFilm;
pub use recorded::Recorded;
pub use scene::{Generate, Scenes};
pub use table::read_table;
pub use transcript::{Transcript, Word};

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
    /// A folder of pictures cannot be listed.
    #[error("cannot list the folder `{path}`: {source}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder that should be a film has no pictures in it.
    #[error("the folder `{path}` holds no picture, expected files that end in `.png`, `.jpg` or the like", path = path.display())]
    NoPictures {
        /// The folder.
        path: PathBuf,
    },
    /// A picture's name is no text, so that it has no place in the order of numbers.
    #[error("the name of `{path}` is not UTF-8: rename it", path = path.display())]
    PictureName {
        /// The picture.
        path: PathBuf,
    },
    /// A video could not be read, or its frames not be written.
    #[error(transparent)]
    Video(#[from] video::VideoError),
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
    /// The image shown, if any.
    pub image: Option<Picture>,
    /// The video shown, if any; never beside an image.
    pub video: Option<VideoPart>,
    /// The caption or the words, if any.
    pub text: Option<String>,
}

/// A video from one of its moments on.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoPart {
    /// The file, or the folder of its pictures, as a path that can be opened.
    pub path: PathBuf,
    /// Seconds into the video at which the event begins.
    pub onset_s: f64,
}

/// An image, wherever it comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Picture {
    /// A file of its own, as a path that can be opened.
    File(PathBuf),
    /// What a film shows at a moment.
    Frame {
        /// The film.
        video: PathBuf,
        /// Microseconds from its start.
        time_us: u64,
    },
}

impl Picture {
    /// What a film shows so many seconds after its start.
    #[must_use]
    pub fn frame(video: PathBuf, time_s: f64) -> Self {
        Self::Frame { video, time_us: (time_s * 1e6).round().max(0.0) as u64 }
    }

    /// The file that it is, or is part of.
    #[must_use]
    pub fn file(&self) -> &Path {
        match self {
            Self::File(path) | Self::Frame { video: path, .. } => path,
        }
    }
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
    /// Place in [`Schedule::pairs`]: the image with its own text, or with the one that is heard or read as it appears.
    pub pair: Option<usize>,
}

/// The distinct stimuli of a study and the events of its runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    /// Distinct images, in order of first appearance.
    pub images: Vec<Picture>,
    /// Distinct texts, in order of first appearance.
    pub texts: Vec<String>,
    /// Distinct images with the texts that go with them, by their places, in order of first appearance.
    pub pairs: Vec<(usize, usize)>,
    /// Events by run, in the order in which the runs were added.
    pub runs: Vec<Vec<Event>>,
}

impl Schedule {
    /// Gathers the events of runs; a stimulus that appears twice is kept once.
    #[must_use]
    pub fn of(runs: impl IntoIterator<Item = Vec<TableEvent>>) -> Self {
        let mut schedule = Self::default();
        let (mut image_places, mut text_places) = (BTreeMap::new(), BTreeMap::new());
        let mut pair_places = BTreeMap::new();
        for events in runs {
            let placed = events.into_iter().map(|event| Event {
                onset_s: event.onset_s,
                duration_s: event.duration_s,
                image: event.image.map(|image| place(&mut schedule.images, &mut image_places, image)),
                text: event.text.map(|text| place(&mut schedule.texts, &mut text_places, text)),
                pair: None,
            });
            let mut placed: Vec<Event> = placed.collect();
            for at in 0..placed.len() {
                let Event { onset_s, image: Some(image), text, .. } = placed[at] else { continue };
                let covers = |event: &&Event| {
                    event.text.is_some() && event.onset_s <= onset_s && onset_s < event.onset_s + event.duration_s
                };
                let text = text.or_else(|| placed.iter().rfind(covers)?.text);
                placed[at].pair = text.map(|text| place(&mut schedule.pairs, &mut pair_places, (image, text)));
            }
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
        let image = Some(Picture::File(image.into()));
        TableEvent { onset_s, duration_s: 2.0, image, video: None, text: Some(text.into()) }
    }

    #[test]
    fn a_stimulus_that_appears_twice_is_kept_once() {
        let schedule = Schedule::of([
            vec![shown(0.0, "a.png", "a dog"), shown(2.0, "b.png", "a dog")],
            vec![shown(0.0, "a.png", "a cat")],
        ]);
        assert_eq!(schedule.images, ["a.png", "b.png"].map(|name| Picture::File(name.into())));
        assert_eq!(schedule.texts, ["a dog", "a cat"]);
        assert_eq!(schedule.pairs, [(0, 0), (1, 0), (0, 1)]);
        let expected = Event { onset_s: 0.0, duration_s: 2.0, image: Some(0), text: Some(1), pair: Some(2) };
        assert_eq!(schedule.runs[1], [expected]);
    }

    #[test]
    fn an_image_goes_with_the_text_that_is_heard_as_it_appears() {
        let heard = |onset_s, text: &str| TableEvent {
            onset_s,
            duration_s: 3.0,
            image: None,
            video: None,
            text: Some(text.into()),
        };
        let image = Picture::File("a.png".into());
        let seen =
            |onset_s| TableEvent { onset_s, duration_s: 1.0, image: Some(image.clone()), video: None, text: None };
        let schedule = Schedule::of([vec![heard(0.0, "a dog"), seen(1.0), heard(1.5, "barks"), seen(2.0), seen(9.0)]]);
        assert_eq!(schedule.pairs, [(0, 0), (0, 1)]);
        let pairs: Vec<_> = schedule.runs[0].iter().map(|event| event.pair).collect();
        assert_eq!(pairs, [None, Some(0), None, Some(1), None], "the last image has none");
    }

    #[test]
    fn the_run_takes_its_place_in_the_path() {
        assert_eq!(table_path("stimuli/run-{run}.tsv", Path::new("/data"), "2"), Path::new("/data/stimuli/run-2.tsv"));
    }
}
