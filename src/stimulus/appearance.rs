//! The same stimulus at another time: what tells its appearances apart.
//!
//! Owns which picture was shown just before a picture, where in its run a stimulus stands, and the numbering of appearances
//! that differ in what is asked for. What is asked for neither, is one appearance for each stimulus of a [`Schedule`].

use super::{Event, Schedule};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Seconds without any picture after which a picture has none before it. Shorter ones are the rounding of onsets and durations, and
/// the blanks of a display, over which motion is seen.
const LONGEST_BLANK_S: f64 = 0.05;

/// One way in which a stimulus appears.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Appearance {
    /// Its place among the schedule's images or texts.
    pub shown: usize,
    /// The picture just before it, by its place among the images; absent where there is none, or it is not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<usize>,
    /// Where in its run it stands; absent where it is not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

/// Where in its run a stimulus stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Its onset as a share of the run's length.
    pub share: f64,
    /// How many events of its kind began before it.
    pub order: usize,
}

/// What tells appearances of the same stimulus apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distinct {
    /// The picture just before.
    pub by_before: bool,
    /// The place in the run.
    pub by_position: bool,
}

/// The distinct appearances of a study's images or texts, and the events of its runs by them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Appearances {
    /// Distinct appearances, in order of run and onset.
    pub rows: Vec<Appearance>,
    /// Onset, duration (seconds) and place in `rows` of every event, by run; within a run as the schedule has them.
    pub runs: Vec<Vec<(f64, f64, usize)>>,
}

/// What an appearance is known by: stimulus, picture before, bits of the share and order of its position.
type Key = (usize, Option<usize>, Option<(u64, usize)>);

impl Appearances {
    /// Appearances of images; runs last so many seconds.
    #[must_use]
    pub fn of_images(schedule: &Schedule, run_lengths_s: &[f64], distinct: Distinct) -> Self {
        Self::of(schedule, run_lengths_s, distinct, |event| event.image)
    }

    /// Appearances of texts, which have no picture before them; runs last so many seconds.
    #[must_use]
    pub fn of_texts(schedule: &Schedule, run_lengths_s: &[f64], distinct: Distinct) -> Self {
        Self::of(schedule, run_lengths_s, Distinct { by_before: false, ..distinct }, |event| event.text)
    }

    fn of(
        schedule: &Schedule,
        run_lengths_s: &[f64],
        distinct: Distinct,
        stimulus: impl Fn(&Event) -> Option<usize>,
    ) -> Self {
        let mut found = Self::default();
        let mut places: BTreeMap<Key, usize> = BTreeMap::new();
        for (events, length_s) in schedule.runs.iter().zip(run_lengths_s) {
            let shown = events.iter().filter_map(|event| Some((event.onset_s, event.duration_s, stimulus(event)?)));
            let shown: Vec<(f64, f64, usize)> = shown.collect();
            let mut in_time: Vec<usize> = (0..shown.len()).collect();
            in_time.sort_by(|one, other| shown[*one].0.total_cmp(&shown[*other].0));
            let mut rows = vec![0; shown.len()];
            // Events that began before the one at hand; those that begin with it are not among them.
            let mut n_begun = 0;
            for (number, &at) in in_time.iter().enumerate() {
                let (onset_s, _, stimulus) = shown[at];
                if number > 0 && shown[in_time[number - 1]].0 < onset_s {
                    n_begun = number;
                }
                let last = n_begun.checked_sub(1).map(|last| shown[in_time[last]]);
                let before =
                    last.filter(|(begin_s, duration_s, _)| onset_s - (begin_s + duration_s) <= LONGEST_BLANK_S);
                let before = before.filter(|_| distinct.by_before).map(|(_, _, stimulus)| stimulus);
                let position = Position { share: onset_s / length_s, order: n_begun };
                let position = Some(position).filter(|_| distinct.by_position);
                let key = (stimulus, before, position.map(|position| (position.share.to_bits(), position.order)));
                rows[at] = *places.entry(key).or_insert_with(|| {
                    found.rows.push(Appearance { shown: stimulus, before, position });
                    found.rows.len() - 1
                });
            }
            let placed = shown.into_iter().zip(rows).map(|((onset_s, duration_s, _), row)| (onset_s, duration_s, row));
            found.runs.push(placed.collect());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stimulus::Picture;

    fn schedule(runs: &[&[(f64, f64, usize)]]) -> Schedule {
        let event = |&(onset_s, duration_s, image): &(f64, f64, usize)| Event {
            onset_s,
            duration_s,
            image: Some(image),
            text: Some(image),
            pair: None,
        };
        Schedule {
            images: (0..9).map(|image| Picture::File(format!("{image}.png").into())).collect(),
            texts: (0..9).map(|text| text.to_string()).collect(),
            pairs: Vec::new(),
            runs: runs.iter().map(|events| events.iter().map(event).collect()).collect(),
        }
    }

    const MOTION: Distinct = Distinct { by_before: true, by_position: false };

    fn before(appearances: &Appearances) -> Vec<(usize, Option<usize>)> {
        appearances.rows.iter().map(|row| (row.shown, row.before)).collect()
    }

    #[test]
    fn a_picture_follows_the_one_that_lasts_until_it_begins() {
        // A film, a second of nothing, another film; then a run that begins in the middle of the first.
        let shown = schedule(&[
            &[(0.0, 1.0, 0), (1.0, 1.0, 1), (2.0, 0.99, 1), (4.0, 1.0, 2), (5.0, 1.0, 0)],
            &[(0.0, 1.0, 1), (1.0, 1.0, 1), (2.0, 1.0, 2)],
        ]);
        let found = Appearances::of_images(&shown, &[6.0, 3.0], MOTION);
        let expected = [(0, None), (1, Some(0)), (1, Some(1)), (2, None), (0, Some(2)), (1, None), (2, Some(1))];
        assert_eq!(before(&found), expected);
        let rows = |run: usize| found.runs[run].iter().map(|(_, _, row)| *row).collect::<Vec<_>>();
        assert_eq!((rows(0), rows(1)), (vec![0, 1, 2, 3, 4], vec![5, 2, 6]));
    }

    #[test]
    fn pictures_at_once_do_not_follow_each_other_and_tables_need_no_order() {
        let shown = schedule(&[&[(1.0, 1.0, 2), (0.0, 1.0, 0), (1.0, 1.0, 1)]]);
        let found = Appearances::of_images(&shown, &[2.0], MOTION);
        assert_eq!(before(&found), [(0, None), (2, Some(0)), (1, Some(0))]);
        assert_eq!(found.runs[0], [(1.0, 1.0, 1), (0.0, 1.0, 0), (1.0, 1.0, 2)], "as the schedule has them");
    }

    #[test]
    fn positions_are_shares_of_the_run_and_counts() {
        let shown = schedule(&[&[(0.0, 1.0, 3), (5.0, 1.0, 3)], &[(5.0, 1.0, 3)]]);
        let by_position = Distinct { by_before: true, by_position: true };
        let found = Appearances::of_texts(&shown, &[10.0, 20.0], by_position);
        let position = |share, order| Some(Position { share, order });
        let positions: Vec<_> = found.rows.iter().map(|row| row.position).collect();
        assert_eq!(positions, [position(0.0, 0), position(0.5, 1), position(0.25, 0)]);
        assert!(found.rows.iter().all(|row| row.before.is_none()), "no picture before a text");
    }

    #[test]
    fn without_a_distinction_each_stimulus_appears_once() {
        let shown = schedule(&[&[(0.0, 1.0, 3), (1.0, 1.0, 5)], &[(0.0, 1.0, 5), (1.0, 1.0, 3)]]);
        let found = Appearances::of_images(&shown, &[2.0, 2.0], Distinct::default());
        assert_eq!(before(&found), [(3, None), (5, None)]);
        assert_eq!(found.runs[1], [(0.0, 1.0, 1), (1.0, 1.0, 0)]);
    }
}
