//! Numbers against numbers: how far two columns are apart, in parts of the largest of them.
//!
//! Knows neither files nor tasks: values come in one after the other, and only what is largest so far is kept.

use serde::Serialize;

/// Letters of a value that are told.
const TOLD: usize = 60;

/// One place where two results are not the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deviation {
    /// The file, by its path inside the results.
    pub file: String,
    /// Where in it; empty where that is the whole of it.
    pub place: String,
    /// What was expected there, printable.
    pub expected: String,
    /// What is there, printable.
    pub found: String,
    /// How far two numbers are apart, in parts of the largest of their column; absent where it is no matter of distance.
    pub relative: Option<f64>,
}

impl Deviation {
    /// Of two places, the one that says more: no matter of distance before any distance, else the larger one.
    pub(super) fn worse(self, other: Self) -> Self {
        match (self.relative, other.relative) {
            (Some(_), None) => other,
            (Some(one), Some(two)) if two > one => other,
            _ => self,
        }
    }
}

/// What can be told of two places before the file is known.
pub(super) type Place = (String, String, String);

/// A value of a file from elsewhere, safe to print.
pub(super) fn printable(text: &str) -> String {
    let mut told: String = text.chars().take(TOLD).flat_map(char::escape_debug).collect();
    if text.chars().nth(TOLD).is_some() {
        told.push('…');
    }
    told
}

/// A column of numbers, or an array that counts as one.
#[derive(Debug, Default)]
pub(super) struct Spread {
    largest: f64,
    distance: f64,
    at: Option<Place>,
    unequal: Option<Place>,
}

impl Spread {
    /// Takes two numbers in; `place` says where they stand, if that is ever asked.
    ///
    /// What is no finite number has to be the same on both sides: no distance says how far it is from anything.
    pub(super) fn take(&mut self, expected: f64, found: f64, place: impl Fn() -> String) {
        let told = || (place(), expected.to_string(), found.to_string());
        if !expected.is_finite() || !found.is_finite() {
            let same = expected == found || (expected.is_nan() && found.is_nan());
            if !same && self.unequal.is_none() {
                self.unequal = Some(told());
            }
            return;
        }
        self.largest = self.largest.max(expected.abs());
        let distance = (expected - found).abs();
        // Zeros of two signs are no distance apart, and still not the same bytes.
        if distance > self.distance || (self.at.is_none() && expected.to_bits() != found.to_bits()) {
            self.distance = distance;
            self.at = Some(told());
        }
    }

    /// What must be the same and is not.
    pub(super) fn refuse(&mut self, place: impl Fn() -> String, expected: &str, found: &str) {
        if self.unequal.is_none() {
            self.unequal = Some((place(), printable(expected), printable(found)));
        }
    }

    /// The place that says most, if any differs.
    pub(super) fn worst(self, file: &str) -> Option<Deviation> {
        let told = |(place, expected, found): Place, relative| Deviation {
            file: file.to_owned(),
            place,
            expected,
            found,
            relative,
        };
        if let Some(place) = self.unequal {
            return Some(told(place, None));
        }
        // Of a column of nothing but zeros, no number is a small part.
        let relative = if self.distance == 0.0 { 0.0 } else { self.distance / self.largest };
        self.at.map(|place| told(place, relative.is_finite().then_some(relative)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(f64, f64)]) -> Option<Deviation> {
        let mut spread = Spread::default();
        for (at, (expected, found)) in pairs.iter().enumerate() {
            spread.take(*expected, *found, || at.to_string());
        }
        spread.worst("a")
    }

    #[test]
    fn a_distance_is_a_part_of_the_largest_number() {
        assert_eq!(of(&[(1.0, 1.0), (f64::NAN, f64::NAN), (f64::INFINITY, f64::INFINITY)]), None);
        let worst = of(&[(1.0, 1.5), (-100.0, -100.0), (2.0, 1.0)]).expect("it differs");
        assert_eq!((worst.place.as_str(), worst.relative), ("2", Some(0.01)));
        assert_eq!((worst.expected.as_str(), worst.found.as_str()), ("2", "1"));
    }

    #[test]
    fn what_is_no_number_has_no_distance() {
        for pair in [(1.0, f64::NAN), (f64::NAN, 1.0), (f64::INFINITY, f64::NEG_INFINITY), (1.0, f64::INFINITY)] {
            let worst = of(&[(5.0, 5.0), pair, (1.0, 2.0)]).expect("it differs");
            assert_eq!((worst.place.as_str(), worst.relative), ("1", None));
        }
        assert_eq!(of(&[(0.0, -0.0)]).expect("it differs").relative, Some(0.0));
        assert_eq!(of(&[(0.0, 1e-30)]).expect("it differs").relative, None, "zeros have no scale");
    }

    #[test]
    fn nothing_from_a_file_reaches_a_terminal_as_it_is() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable(&"x".repeat(100)).chars().count(), 61);
    }

    #[test]
    fn the_worse_of_two_is_what_is_no_distance() {
        let at = |relative| Deviation {
            file: String::new(),
            place: String::new(),
            expected: String::new(),
            found: String::new(),
            relative,
        };
        assert_eq!(at(Some(0.1)).worse(at(Some(0.2))).relative, Some(0.2));
        assert_eq!(at(Some(0.2)).worse(at(None)).relative, None);
        assert_eq!(at(None).worse(at(Some(0.2))).relative, None);
    }
}
