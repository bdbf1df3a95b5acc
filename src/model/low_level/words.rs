//! What can be counted in a text.
//!
//! Owns what a word and a letter are. Languages that do not part their words by spaces have one word between two marks.

/// Words and letters of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextCounts {
    /// Pieces between white space that have a letter or digit.
    pub n_words: usize,
    /// Letters and digits of any script; no marks, no spaces.
    pub n_letters: usize,
}

impl TextCounts {
    /// Counts a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let letters = |word: &str| word.chars().filter(|letter| letter.is_alphanumeric()).count();
        let words = text.split_whitespace().map(letters).filter(|n_letters| *n_letters > 0);
        words.fold(Self { n_words: 0, n_letters: 0 }, |counts, n_letters| Self {
            n_words: counts.n_words + 1,
            n_letters: counts.n_letters + n_letters,
        })
    }

    /// Mean letters of a word; none where there is no word.
    #[must_use]
    pub fn word_length(self) -> Option<f64> {
        (self.n_words > 0).then(|| self.n_letters as f64 / self.n_words as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_have_letters_and_marks_are_none() {
        let counts = |text| {
            let TextCounts { n_words, n_letters } = TextCounts::of(text);
            (n_words, n_letters)
        };
        assert_eq!(counts("A well-known dog - it doesn't bark!"), (6, 25));
        assert_eq!(counts(" 7 T\tscanner\n"), (3, 9));
        assert_eq!(counts("größe ... \u{201e}ja\u{201c}"), (2, 7));
        assert_eq!(counts(" -- !? "), (0, 0));
        assert_eq!(TextCounts::of("...").word_length(), None);
        assert_eq!(TextCounts::of("an ox, six").word_length(), Some(7.0 / 3.0));
    }

    proptest! {
        #[test]
        fn counts_add_over_texts_side_by_side(one in "\\PC{0,40}", other in "\\PC{0,40}") {
            let [first, second, both] = [one.clone(), other.clone(), format!("{one} {other}")].map(|text| TextCounts::of(&text));
            prop_assert_eq!(both.n_words, first.n_words + second.n_words);
            prop_assert_eq!(both.n_letters, first.n_letters + second.n_letters);
            prop_assert!(both.n_letters >= both.n_words);
        }
    }
}
