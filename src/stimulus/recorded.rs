//! From what tables say to stimuli at the scanner's pace: films become frames, transcripts the words of each volume.
//!
//! Owns the moments at which a film is looked at and a transcript listened to. Neither can be said before the repetition time
//! is known, so a study is read in two steps: [`Recorded::outline`] tells what kinds of stimuli there are and when they end,
//! [`Recorded::schedule`] what they are.

use super::{CutFilm, Picture, Schedule, TableEvent, Transcript, VideoPart};
use std::{collections::BTreeMap, path::PathBuf};

/// What was shown and said in the runs of a study, as its files have it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// Events by run.
    pub events: Vec<Vec<TableEvent>>,
    /// The words of each run, if there are transcripts; then as many as runs.
    pub transcripts: Vec<Transcript>,
    /// The films among those shown that are folders of pictures.
    pub cut: BTreeMap<PathBuf, CutFilm>,
    /// Frames of a film for each volume.
    pub frames_per_tr: usize,
    /// Seconds of words that a volume's text holds.
    pub text_window_s: f64,
}

impl Recorded {
    /// Whether something depends on the repetition time.
    #[must_use]
    pub fn depends_on_time(&self) -> bool {
        !self.transcripts.is_empty() || self.videos().next().is_some()
    }

    /// Every event that shows a film: its file or folder, and its last second.
    pub fn videos(&self) -> impl Iterator<Item = (&PathBuf, f64)> {
        let shown = self.events.iter().flatten();
        shown.filter_map(|event| event.video.as_ref().map(|part| (&part.path, part.onset_s + event.duration_s)))
    }

    /// Stimuli of the same kinds, with a film as one picture and a transcript as one text.
    #[must_use]
    pub fn outline(&self) -> Schedule {
        let outlined = self.events.iter().enumerate().map(|(run, events)| {
            let mut events: Vec<TableEvent> = events
                .iter()
                .map(|event| TableEvent {
                    image: event.image.clone().or_else(|| event.video.as_ref().map(|part| self.first_picture(part))),
                    ..event.clone()
                })
                .collect();
            if let (Some(transcript), Some(first)) = (self.transcripts.get(run), events.first_mut()) {
                first.text = first.text.take().or_else(|| transcript.words().first().map(|word| word.text.clone()));
            } else if let Some(transcript) = self.transcripts.get(run) {
                events.extend(transcript.words().first().map(|word| TableEvent {
                    onset_s: word.onset_s.max(0.0),
                    duration_s: word.duration_s,
                    image: None,
                    video: None,
                    text: Some(word.text.clone()),
                }));
            }
            events
        });
        Schedule::of(outlined)
    }

    fn first_picture(&self, part: &VideoPart) -> Picture {
        Picture::File(self.cut.get(&part.path).map_or(&*part.path, |film| film.at(part.onset_s)).to_owned())
    }

    /// The stimuli of runs of so many volumes.
    #[must_use]
    pub fn schedule(&self, n_tr: &[usize], repetition_time_s: f64) -> Schedule {
        let runs = self.events.iter().zip(n_tr).enumerate().map(|(run, (events, n_tr))| {
            let mut shown: Vec<TableEvent> =
                events.iter().flat_map(|event| self.frames(event, repetition_time_s)).collect();
            if let Some(transcript) = self.transcripts.get(run) {
                let texts = transcript.texts(*n_tr, repetition_time_s, self.text_window_s).enumerate();
                shown.extend(texts.filter(|(_, text)| !text.is_empty()).map(|(volume, text)| TableEvent {
                    onset_s: volume as f64 * repetition_time_s,
                    duration_s: repetition_time_s,
                    image: None,
                    video: None,
                    text: Some(text),
                }));
                shown.sort_by(|one, other| one.onset_s.total_cmp(&other.onset_s));
            }
            shown
        });
        Schedule::of(runs)
    }

    /// An event that shows a film as one event for each frame; any other as it is.
    ///
    /// The time between frames is the repetition time over their number, counted from the event's onset; a frame is the one on
    /// screen in the middle of its time, and the last lasts as long as the event does.
    fn frames(&self, event: &TableEvent, repetition_time_s: f64) -> Vec<TableEvent> {
        let Some(part) = &event.video else { return vec![event.clone()] };
        let step_s = repetition_time_s / self.frames_per_tr.max(1) as f64;
        // A last piece of less than a thousandth of a step is rounding.
        let n = (event.duration_s / step_s - 1e-3).ceil().max(1.0) as usize;
        let frame = |number: usize| {
            let begin_s = number as f64 * step_s;
            let duration_s = step_s.min(event.duration_s - begin_s);
            let time_s = part.onset_s + begin_s + duration_s / 2.0;
            let picture = match self.cut.get(&part.path) {
                Some(film) => Picture::File(film.at(time_s).to_owned()),
                None => Picture::frame(part.path.clone(), time_s),
            };
            TableEvent {
                onset_s: event.onset_s + begin_s,
                duration_s,
                image: Some(picture),
                video: None,
                text: event.text.clone(),
            }
        };
        (0..n).map(frame).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Word;
    use super::*;

    fn film(onset_s: f64, duration_s: f64, from_s: f64) -> TableEvent {
        let video = Some(VideoPart { path: "film.mp4".into(), onset_s: from_s });
        TableEvent { onset_s, duration_s, image: None, video, text: None }
    }

    #[test]
    fn a_film_that_was_cut_before_is_its_pictures() {
        let folder = tempfile::tempdir().unwrap();
        for picture in 0..4 {
            std::fs::write(folder.path().join(format!("{picture}.png")), "").unwrap();
        }
        let path = folder.path().to_owned();
        let part = VideoPart { path: path.clone(), onset_s: 0.5 };
        let event = TableEvent { onset_s: 0.0, duration_s: 1.5, image: None, video: Some(part), text: None };
        let cut = BTreeMap::from([(path.clone(), CutFilm::read(&path, 2.0).unwrap())]);
        let recorded = Recorded { events: vec![vec![event]], cut, frames_per_tr: 2, ..Recorded::default() };
        let picture = |place: usize| Picture::File(path.join(format!("{place}.png")));
        assert_eq!(recorded.outline().images, [picture(1)]);
        assert_eq!(recorded.schedule(&[2], 1.0).images, [1, 2, 3].map(picture));
    }

    #[test]
    fn a_film_is_looked_at_in_the_middle_of_each_step() {
        let recorded = Recorded { events: vec![vec![film(3.0, 3.5, 60.0)]], frames_per_tr: 2, ..Recorded::default() };
        assert!(recorded.depends_on_time());
        assert_eq!(recorded.outline().images, [Picture::File("film.mp4".into())]);
        let schedule = recorded.schedule(&[10], 2.0);
        let frame = |time_s| Picture::frame("film.mp4".into(), time_s);
        assert_eq!(schedule.images, [60.5, 61.5, 62.5, 63.25].map(frame));
        let times: Vec<_> = schedule.runs[0].iter().map(|event| (event.onset_s, event.duration_s)).collect();
        assert_eq!(times, [(3.0, 1.0), (4.0, 1.0), (5.0, 1.0), (6.0, 0.5)]);
        let again = Recorded { events: vec![vec![film(0.0, 2.0, 60.0)], vec![film(9.0, 2.0, 60.0)]], ..recorded };
        assert_eq!(again.schedule(&[5, 9], 2.0).images.len(), 2, "the same moments are the same pictures");
    }

    #[test]
    fn words_become_the_text_of_each_volume() {
        let word = |onset_s, text: &str| Word { onset_s, duration_s: 0.3, text: text.to_owned() };
        let transcript = Transcript::new(vec![word(0.5, "a"), word(1.5, "dog"), word(6.5, "barks")]);
        let recorded = Recorded {
            events: vec![Vec::new()],
            transcripts: vec![transcript],
            text_window_s: 3.0,
            ..Recorded::default()
        };
        assert_eq!(recorded.outline().texts, ["a"]);
        let schedule = recorded.schedule(&[4], 2.0);
        assert_eq!(schedule.texts, ["a dog", "dog", "barks"]);
        let texts: Vec<_> = schedule.runs[0].iter().map(|event| (event.onset_s, event.text)).collect();
        assert_eq!(texts, [(0.0, Some(0)), (2.0, Some(1)), (6.0, Some(2))], "no words from 4 to 6 s");
    }
}
