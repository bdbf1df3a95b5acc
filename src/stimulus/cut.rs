//! Films that were cut before: folders of pictures in the order of the numbers in their names.
//!
//! Owns which files of a folder are its pictures and which of them is on screen when. Their rate is for the study to say: nothing
//! in the folder knows it.

use super::StimulusError;
use crate::format::bids::natural_order;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Endings of the pictures that are decoded.
const ENDINGS: [&str; 8] = ["bmp", "jpeg", "jpg", "png", "tif", "tiff", "webp", "gif"];
/// A moment counts as this much of a picture's time later: what sums of seconds lose to rounding.
const SLACK: f64 = 1e-6;

/// A folder of pictures that follow each other at a steady rate.
#[derive(Clone, Debug, PartialEq)]
pub struct CutFilm {
    pictures: Vec<PathBuf>,
    rate_hz: f64,
}

impl CutFilm {
    /// The pictures in a folder; hidden files, folders, and files whose names end otherwise, are passed over.
    ///
    /// # Errors
    /// If the folder cannot be read, holds no picture, or one whose name is no text.
    pub fn read(folder: &Path, rate_hz: f64) -> Result<Self, StimulusError> {
        let failed = |source| StimulusError::Folder { path: folder.to_owned(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let path = folder.join(&name);
            if !is_picture(&name.to_string_lossy()) || !path.is_file() {
                continue;
            }
            // A picture that is passed over would move all that follow.
            names.push(name.into_string().map_err(|_| StimulusError::PictureName { path })?);
        }
        if names.is_empty() {
            return Err(StimulusError::NoPictures { path: folder.to_owned() });
        }
        names.sort_by(|one, other| natural_order(one, other));
        Ok(Self { pictures: names.into_iter().map(|name| folder.join(name)).collect(), rate_hz })
    }

    /// Seconds from the first picture to the end of the last.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        self.pictures.len() as f64 / self.rate_hz
    }

    /// Number of pictures, at least one.
    #[must_use]
    pub fn n_pictures(&self) -> usize {
        self.pictures.len()
    }

    /// The picture on screen so many seconds after the first came; the last one from the film's end on.
    #[must_use]
    pub fn at(&self, time_s: f64) -> &Path {
        let place = (time_s * self.rate_hz + SLACK).max(0.0) as usize;
        &self.pictures[place.min(self.pictures.len() - 1)]
    }
}

fn is_picture(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    !name.starts_with('.') && ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_follow_the_numbers_in_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["f10.png", "f9.PNG", "f1.png", "Thumbs.db", ".f0.png", "notes.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let film = CutFilm::read(folder.path(), 2.0).unwrap();
        assert_eq!(film.duration_s(), 1.5);
        let at = |time_s| film.at(time_s).file_name().unwrap().to_str().unwrap();
        // A tenth added up five times is a little less than a half.
        assert_eq!(
            [0.0, 0.49, 0.1 * 3.0 + 0.2 - 1e-12, 1.2, 9.0].map(at),
            ["f1.png", "f1.png", "f9.PNG", "f10.png", "f10.png"]
        );
    }

    #[test]
    fn folders_without_pictures_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = CutFilm::read(folder.path(), 2.0).unwrap_err().to_string();
        assert!(error.ends_with("holds no picture, expected files that end in `.png`, `.jpg` or the like"), "{error}");
        assert!(CutFilm::read(&folder.path().join("absent"), 2.0).is_err());
    }
}
