//! Spoken words in time: a TSV file with `onset` and `duration` in seconds and `word`, and the text of a trailing window.
//!
//! Owns which words a moment has heard. Which moments count, and how long a window is, is for others to say.

use super::StimulusError;
use crate::format::tsv::{MISSING, Table};
use std::path::Path;

/// One spoken word.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// Seconds from the start of the run; negative before it.
    pub onset_s: f64,
    /// Seconds that it lasts.
    pub duration_s: f64,
    /// The word.
    pub text: String,
}

/// The words of a run, in the order in which they begin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    words: Vec<Word>,
}

impl Transcript {
    /// Words in any order; those that begin together keep theirs.
    #[must_use]
    pub fn new(mut words: Vec<Word>) -> Self {
        words.sort_by(|one, other| one.onset_s.total_cmp(&other.onset_s));
        Self { words }
    }

    /// Reads a transcript; rows whose word is empty or `n/a` are silence, and are passed over.
    ///
    /// # Errors
    /// If the file is no table, lacks a column, has a cell that is no time, or holds no word.
    pub fn read(path: &Path) -> Result<Self, StimulusError> {
        let table = Table::read(path)?;
        let [onset, duration, word] = ["onset", "duration", "word"].map(|column| table.require(column));
        let (onset, duration, word) = (onset?, duration?, word?);
        let mut words = Vec::with_capacity(table.n_rows());
        for (row, cells) in table.rows().iter().enumerate() {
            let text = cells[word].split_whitespace().collect::<Vec<_>>().join(" ");
            if text.is_empty() || text == MISSING {
                continue;
            }
            let seconds = |at: usize, expected: &'static str, least: f64| {
                let value = cells[at].trim().parse::<f64>().ok();
                let value = value.filter(|seconds| seconds.is_finite() && *seconds >= least);
                value.ok_or_else(|| table.field_error(row, at, expected))
            };
            let onset_s = seconds(onset, "seconds from the start of the run", f64::MIN)?;
            let duration_s = seconds(duration, "seconds, at least 0", 0.0)?;
            words.push(Word { onset_s, duration_s, text });
        }
        if words.is_empty() {
            return Err(StimulusError::Empty { path: path.to_owned() });
        }
        Ok(Self::new(words))
    }

    /// The words, in the order in which they begin.
    #[must_use]
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// The words that began in the `window_s` seconds before `time_s`, joined by single spaces: later than
    /// `time_s - window_s`, at `time_s` at the latest. Empty where nothing was said.
    #[must_use]
    pub fn text_at(&self, time_s: f64, window_s: f64) -> String {
        let begun_by = |time_s: f64| self.words.partition_point(|word| word.onset_s <= time_s);
        let (first, past) = (begun_by(time_s - window_s), begun_by(time_s));
        let heard = self.words.get(first..past).unwrap_or_default();
        heard.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// The text of each of `n_tr` repetitions: that of the window which closes as the repetition ends, one after another.
    pub fn texts(&self, n_tr: usize, repetition_time_s: f64, window_s: f64) -> impl Iterator<Item = String> {
        (1..=n_tr).map(move |n_past| self.text_at(n_past as f64 * repetition_time_s, window_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Transcript, StimulusError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.tsv");
        std::fs::write(&path, text).unwrap();
        Transcript::read(&path)
    }

    #[test]
    fn a_window_is_open_at_its_start_and_closed_at_its_end() {
        let words = read("onset\tduration\tword\n3\t0.5\tfox\n1\t0.5\tthe\n2\t0.25\t brown \n2.5\t0\tn/a\n").unwrap();
        assert_eq!(words.text_at(3.0, 2.0), "brown fox");
        assert_eq!(words.text_at(2.999, 2.0), "the brown");
        assert_eq!(words.text_at(3.0, 2.001), "the brown fox");
        assert_eq!([words.text_at(0.9, 5.0), words.text_at(9.0, 1.0), words.text_at(3.0, 0.0)], ["", "", ""]);
        let texts: Vec<String> = words.texts(3, 1.5, 2.0).collect();
        assert_eq!(texts, ["the", "brown fox", "fox"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_line_and_column() {
        let told = |text: &str| {
            let message = read(text).unwrap_err().to_string();
            message.split_once("words.tsv").expect("the path").1.to_owned()
        };
        for (text, parts) in [
            ("onset\tduration\tword\n0\t1\ta\nnan\t1\tb\n", ["onset", "nan", "3"]),
            ("onset\tduration\tword\n0\t-1\ta\n", ["duration", "-1", "2"]),
            ("onset\tduration\ttext\n0\t1\ta\n", ["word", "text", "no column"]),
        ] {
            let message = told(text);
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
        assert_eq!(told("onset\tduration\tword\n0\t1\tn/a\n"), "` has no events");
    }

    proptest! {
        #[test]
        fn windows_that_follow_each_other_say_every_word_once(
            onsets in prop::collection::vec(0.01f64..20.0, 1..40), n_eighths in 1u8..40,
        ) {
            // A length that binary fractions hold exactly, so that neighbours share the very same edge.
            let length_s = f64::from(n_eighths) / 8.0;
            let words = onsets.iter().enumerate().map(|(place, &onset_s)| {
                Word { onset_s, duration_s: 0.1, text: format!("w{place}") }
            });
            let transcript = Transcript::new(words.collect());
            let n_windows = (20.0 / length_s).ceil() as usize;
            let texts: Vec<String> = transcript.texts(n_windows, length_s, length_s).filter(|text| !text.is_empty()).collect();
            let all: Vec<&str> = transcript.words().iter().map(|word| word.text.as_str()).collect();
            prop_assert_eq!(texts.join(" "), all.join(" "));
        }
    }
}
