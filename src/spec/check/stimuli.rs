//! Stimuli: tables, films and transcripts, whether what they name is there and lasts as long as it is shown.

use super::Check;
use crate::{
    spec::{
        Demand,
        document::FieldPath,
        place::{folder_of, whole},
        written::{Runs, Stimuli, Tables},
    },
    stimulus::{
        CutFilm, Generate, Picture, Recorded, Schedule, TableEvent, Transcript, read_table, table_path,
        video::{Ffmpeg, probe},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The stimuli of a study as its files have them.
pub(super) struct ReadStimuli {
    pub(super) recorded: Recorded,
    /// Stimuli of the same kinds; the stimuli themselves, unless they depend on the repetition time.
    pub(super) outline: Arc<Schedule>,
    pub(super) scenes: Option<Generate>,
    pub(super) ffmpeg: Option<(Ffmpeg, String)>,
}

impl Check<'_, '_> {
    pub(super) fn stimuli(&mut self, stimuli: &Stimuli, runs: &Runs) -> Option<Arc<ReadStimuli>> {
        let key = self.key(&["stimuli", "runs"]);
        if let Some(read) = self.memory.stimuli.get(&key) {
            return Some(Arc::clone(read));
        }
        let (recorded, scenes) = self.read_stimuli(stimuli, runs)?;
        let outline = recorded.outline();
        if scenes.is_none() && !self.pictures_are_allowed(&recorded) {
            return None;
        }
        // Made-up pictures are drawn when they are needed.
        if scenes.is_none() && !self.pictures_are_there(&outline) {
            return None;
        }
        let ffmpeg = self.films(&recorded)?;
        let read = Arc::new(ReadStimuli { recorded, outline: Arc::new(outline), scenes, ffmpeg });
        self.memory.stimuli.insert(key, Arc::clone(&read));
        Some(read)
    }

    /// The stimuli at the scanner's pace, once for all cells that have the same.
    pub(super) fn schedule(&mut self, read: &ReadStimuli, n_tr: &[usize], repetition_time_s: f64) -> Arc<Schedule> {
        if !read.recorded.depends_on_time() {
            return Arc::clone(&read.outline);
        }
        let key = format!("{}{n_tr:?} {repetition_time_s}", self.key(&["stimuli", "runs"]));
        let known = self.memory.schedules.entry(key);
        Arc::clone(known.or_insert_with(|| Arc::new(read.recorded.schedule(n_tr, repetition_time_s))))
    }

    /// Whether the study may read what its tables name, and run what reads films.
    fn pictures_are_allowed(&mut self, recorded: &Recorded) -> bool {
        let path = FieldPath::of("stimuli.tables.path");
        let before = self.found.len();
        let shown = recorded.events.iter().flatten();
        let pictures = shown.filter_map(|event| event.image.as_ref().map(Picture::file));
        let films: BTreeSet<&Path> = recorded.videos().map(|(film, _)| film.as_path()).collect();
        let folders: BTreeSet<PathBuf> =
            pictures.chain(films.iter().copied()).map(|file| whole(folder_of(file))).collect();
        for folder in folders {
            self.may_read(&path, &folder);
        }
        let to_cut = films.iter().any(|film| !recorded.cut.contains_key(*film));
        if to_cut && !(self.memory.surroundings.may)(&Demand::Films) {
            self.refuse(&path, format!("this study asks to {}", Demand::Films));
        }
        self.found.len() == before
    }

    fn pictures_are_there(&mut self, outline: &Schedule) -> bool {
        let missing: Vec<_> = outline.images.iter().filter(|image| !image.file().is_file()).collect();
        let [first, ..] = missing.as_slice() else { return true };
        let message = format!(
            "{} of {} images are not there, the first is `{}`",
            missing.len(),
            outline.images.len(),
            first.file().display()
        );
        let hint = "image paths start from the table's own folder unless `image_folder` is set";
        self.wrong_with_hint(&FieldPath::of("stimuli.tables.path"), message, "these tables name them", hint);
        false
    }

    /// The programs that read films, where there are any to cut, once every film is known to last as long as it is shown.
    fn films(&mut self, recorded: &Recorded) -> Option<Option<(Ffmpeg, String)>> {
        let path = FieldPath::of("stimuli.tables.path");
        let mut ends_s: BTreeMap<&PathBuf, f64> = BTreeMap::new();
        for (video, end_s) in recorded.videos() {
            let known = ends_s.entry(video).or_default();
            *known = known.max(end_s);
        }
        let (cut, played): (BTreeMap<_, _>, BTreeMap<_, _>) =
            ends_s.into_iter().partition(|(video, _)| recorded.cut.contains_key(*video));
        let before = self.found.len();
        for (folder, end_s) in cut {
            let film = &recorded.cut[folder];
            self.film_lasts(folder, film.duration_s(), film.duration_s() / film.n_pictures() as f64, end_s);
        }
        if played.is_empty() {
            return (self.found.len() == before).then_some(None);
        }
        let found = (self.memory.surroundings.find_ffmpeg)().and_then(|programs| {
            let version = programs.version()?;
            Ok((programs, version))
        });
        let (programs, version) = match found {
            Ok(found) => found,
            Err(error) => {
                self.wrong(&path, error.to_string(), "these tables name films");
                return None;
            }
        };
        for (video, end_s) in played {
            match probe(&programs, video) {
                Ok(film) => self.film_lasts(video, film.duration_s, 1.0 / film.fps.max(1.0), end_s),
                Err(error) => self.wrong(&path, error.to_string(), "these tables name it"),
            }
        }
        (self.found.len() == before).then_some(Some((programs, version)))
    }

    /// A film may end within a frame of what is said of it.
    fn film_lasts(&mut self, film: &Path, duration_s: f64, frame_s: f64, shown_until_s: f64) {
        if duration_s + frame_s < shown_until_s {
            let film = film.display();
            let message = format!("`{film}` lasts {duration_s} s, and is shown until its second {shown_until_s}");
            let path = FieldPath::of("stimuli.tables.path");
            self.wrong(&path, message, "one of these tables shows more than there is");
        }
    }

    fn read_stimuli(&mut self, stimuli: &Stimuli, runs: &Runs) -> Option<(Recorded, Option<Generate>)> {
        let names = runs.train.iter().chain(&runs.test);
        match stimuli {
            Stimuli::Generate(generate) => {
                let first_test = runs.train.len();
                let shown = |place: usize| if generate.repeat_test { place.min(first_test) } else { place };
                let events = names.enumerate().map(|(place, _)| generate.events(shown(place))).collect();
                Some((Recorded { events, ..Recorded::default() }, Some(generate.clone())))
            }
            Stimuli::Tables(tables) => {
                let path = FieldPath::of("stimuli.tables.path");
                if runs.train.len() + runs.test.len() > 1 && !tables.path.contains("{run}") {
                    self.wrong(
                        &path,
                        format!("`{path}` has no `{{run}}`, so every run would read the same table"),
                        "expected `{run}` in it",
                    );
                    return None;
                }
                let files: Vec<PathBuf> =
                    names.map(|run| table_path(&tables.path, self.document.folder(&path), run)).collect();
                let absent: Vec<&PathBuf> = files.iter().filter(|table| !table.is_file()).collect();
                if let [first, ..] = absent.as_slice() {
                    let message = format!(
                        "{} of {} stimulus tables are not there, the first is `{}`",
                        absent.len(),
                        files.len(),
                        first.display()
                    );
                    let hint = "`{run}` stands for the names in `[runs]`; paths start from the study file's folder";
                    self.wrong_with_hint(&path, message, "expected one for each run", hint);
                    return None;
                }
                let read: Vec<_> = files
                    .iter()
                    .map(|table| {
                        let beside = || table.parent().unwrap_or(Path::new("")).to_owned();
                        let start = self.document.folder(&FieldPath::of("stimuli.tables.image_folder"));
                        let images = tables.image_folder.as_ref().map_or_else(beside, |folder| start.join(folder));
                        read_table(table, &images)
                            .map_err(|error| self.wrong(&path, error.to_string(), "one of these tables is wrong"))
                    })
                    .filter_map(Result::ok)
                    .collect();
                if read.len() < files.len() {
                    return None;
                }
                let transcripts = match &tables.transcripts {
                    Some(pattern) => self.transcripts(pattern, runs)?,
                    None => Vec::new(),
                };
                let (frames_per_tr, text_window_s) = (tables.frames_per_tr, tables.text_window_s);
                let cut = self.cut_films(&read, tables)?;
                Some((Recorded { events: read, transcripts, cut, frames_per_tr, text_window_s }, None))
            }
        }
    }

    /// The films that are folders of pictures.
    fn cut_films(&mut self, events: &[Vec<TableEvent>], tables: &Tables) -> Option<BTreeMap<PathBuf, CutFilm>> {
        let shown = events.iter().flatten().filter_map(|event| event.video.as_ref());
        let folders: BTreeSet<&PathBuf> = shown.map(|part| &part.path).filter(|path| path.is_dir()).collect();
        let rate = FieldPath::of("stimuli.tables.frames_per_s");
        let Some(rate_hz) = tables.frames_per_s else {
            let Some(first) = folders.first() else { return Some(BTreeMap::new()) };
            let message = format!("`{rate}` is missing, and `{}` is a folder of pictures", first.display());
            let hint = "write how many of its pictures make a second, as `frames_per_s = 24`";
            self.wrong_with_hint(&FieldPath::of("stimuli.tables"), message, "how fast do they follow?", hint);
            return None;
        };
        if folders.is_empty() {
            let message = format!("`{rate}` is given, but no table names a folder in its column `video`");
            self.wrong(&rate, message, "a film in one file brings its own rate: remove this");
            return None;
        }
        let mut films = BTreeMap::new();
        for folder in folders {
            match CutFilm::read(folder, rate_hz) {
                Ok(film) => drop(films.insert(folder.clone(), film)),
                Err(error) => {
                    self.wrong(&FieldPath::of("stimuli.tables.path"), error.to_string(), "these tables name it");
                    return None;
                }
            }
        }
        Some(films)
    }

    /// The words of each run.
    fn transcripts(&mut self, pattern: &str, runs: &Runs) -> Option<Vec<Transcript>> {
        let path = FieldPath::of("stimuli.tables.transcripts");
        let names: Vec<&String> = runs.train.iter().chain(&runs.test).collect();
        if names.len() > 1 && !pattern.contains("{run}") {
            let message = format!("`{path}` has no `{{run}}`, so every run would have the same words");
            self.wrong(&path, message, "expected `{run}` in it");
            return None;
        }
        let before = self.found.len();
        let mut transcripts = Vec::with_capacity(names.len());
        for run in names {
            match Transcript::read(&table_path(pattern, self.document.folder(&path), run)) {
                Ok(transcript) => transcripts.push(transcript),
                Err(error) => self.wrong(&path, error.to_string(), "one of these transcripts is wrong"),
            }
        }
        (self.found.len() == before).then_some(transcripts)
    }
}
