//! Which volumes of a run are kept.
//!
//! Owns the criteria, each of which can only drop volumes: position in the run, membership in a clip, the marks of the
//! confounds table. What is regressed out of the kept volumes is chosen in [`super::confounds`].
//!
//! Scrubbing follows `nilearn.interfaces.fmriprep.load_confounds`: a volume moved too much if its framewise displacement
//! or its standardised DVARS exceeds the limit; then stretches of few volumes between such volumes, before the first and
//! after the last are dropped too (Power et al. 2014). Volumes dropped for other reasons do not cut a stretch short.

use super::settings::Preparation;
use super::{PrepareError, RunInputs};
use crate::format::tsv::Table;

/// The volumes that are kept, in order.
///
/// # Errors
/// If the table has another length than the run or lacks a column that is needed, a listed volume is not in the run, or
/// the clip table does not fit it.
pub fn kept_samples(
    run: &RunInputs<'_>,
    table: Option<&Table>,
    n_tr: usize,
    repetition_time_s: f64,
    preparation: &Preparation,
) -> Result<Vec<usize>, PrepareError> {
    let mut keep = vec![true; n_tr];
    keep.iter_mut().take(preparation.drop_initial).for_each(|keep| *keep = false);
    keep.iter_mut().rev().take(preparation.drop_final).for_each(|keep| *keep = false);
    for range in &preparation.drop_volumes {
        let Some(listed) = keep.get_mut(range.first()..).and_then(|rest| rest.get_mut(..=range.last() - range.first()))
        else {
            return Err(PrepareError::NoSuchVolume { run: run.name.to_owned(), found: range.last(), n_tr });
        };
        listed.fill(false);
    }
    if let Some(clips) = run.clips {
        let shown = clips.volumes(n_tr, repetition_time_s, preparation.clip_trim_s)?;
        let mut in_clip = vec![false; n_tr];
        shown.into_iter().for_each(|volume| in_clip[volume] = true);
        keep.iter_mut().zip(in_clip).for_each(|(keep, in_clip)| *keep &= in_clip);
    }
    if let Some(table) = table {
        if table.n_rows() != n_tr {
            let (path, found) = (table.path().to_owned(), table.n_rows());
            return Err(PrepareError::ConfoundRows { path, found, expected: n_tr });
        }
        if preparation.drop_non_steady_state {
            for column in table.columns().iter().filter(|column| column.starts_with("non_steady_state_outlier")) {
                let marks = table.numbers(column)?;
                keep.iter_mut().zip(marks).for_each(|(keep, mark)| *keep &= mark.is_none_or(|mark| mark == 0.0));
            }
        }
        let scrubbed = scrubbed(table, preparation)?;
        keep.iter_mut().zip(scrubbed).for_each(|(keep, scrubbed)| *keep &= !scrubbed);
    }
    Ok((0..n_tr).filter(|&volume| keep[volume]).collect())
}

/// Whether each volume is dropped for motion.
fn scrubbed(table: &Table, preparation: &Preparation) -> Result<Vec<bool>, PrepareError> {
    let mut moved = vec![false; table.n_rows()];
    let limits = [
        ("framewise_displacement", preparation.max_framewise_displacement_mm),
        ("std_dvars", preparation.max_std_dvars),
    ];
    for (column, limit) in limits {
        let Some(limit) = limit else { continue };
        // The first volume has neither: both compare a volume with the one before it.
        let exceeds = table.numbers(column)?.into_iter().map(|value| value.is_some_and(|value| value > limit));
        moved.iter_mut().zip(exceeds).for_each(|(moved, exceeds)| *moved |= exceeds);
    }
    let mut dropped = widened(&moved, preparation.scrub_before, preparation.scrub_after);
    drop_short_stretches(&mut dropped, preparation.scrub_shorter_than);
    Ok(dropped)
}

/// The marks with so many volumes before and after each of them.
fn widened(marks: &[bool], before: usize, after: usize) -> Vec<bool> {
    let mut wide = vec![false; marks.len()];
    for mark in (0..marks.len()).filter(|&volume| marks[volume]) {
        let end = mark.saturating_add(after).min(marks.len() - 1);
        wide[mark.saturating_sub(before)..=end].fill(true);
    }
    wide
}

/// Marks stretches of fewer than `shortest` unmarked volumes; leaves a run without any mark as it is.
fn drop_short_stretches(marks: &mut [bool], shortest: usize) {
    if !marks.contains(&true) {
        return;
    }
    for stretch in marks.chunk_by_mut(|a, b| a == b).filter(|stretch| stretch.len() < shortest) {
        stretch.fill(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brain::prepare::clips::ClipTable;
    use crate::brain::prepare::settings::VolumeRange;
    use proptest::prelude::*;
    use std::path::Path;

    fn inputs() -> RunInputs<'static> {
        RunInputs {
            name: "run-1",
            series: Path::new("bold.nii"),
            repetition_time_s: None,
            confounds: None,
            clips: None,
        }
    }

    /// Ten volumes: 3 and 8 moved, 0 is not yet steady.
    fn table() -> Table {
        let mut text = "framewise_displacement\tstd_dvars\tnon_steady_state_outlier00\n".to_owned();
        for volume in 0..10 {
            let motion = if volume == 0 { "n/a" } else { ["0.1", "0.9"][usize::from(volume == 3)] };
            let dvars = if volume == 0 { "n/a" } else { ["1.0", "2.5"][usize::from(volume == 8)] };
            text += &format!("{motion}\t{dvars}\t{}\n", u8::from(volume == 0));
        }
        Table::parse(Path::new("confounds.tsv"), text.as_bytes()).unwrap()
    }

    fn dropped(preparation: &Preparation) -> Vec<usize> {
        let kept = kept_samples(&inputs(), Some(&table()), 10, 1.0, preparation).unwrap();
        (0..10).filter(|volume| !kept.contains(volume)).collect()
    }

    #[test]
    fn each_criterion_drops_its_volumes() {
        let none = Preparation::default();
        assert!(dropped(&none).is_empty());
        assert_eq!(dropped(&Preparation { drop_initial: 2, drop_final: 1, ..none.clone() }), [0, 1, 9]);
        assert_eq!(dropped(&Preparation { drop_initial: 99, ..none.clone() }).len(), 10);
        let listed = vec![VolumeRange::new(1, 1).unwrap(), VolumeRange::new(4, 6).unwrap()];
        assert_eq!(dropped(&Preparation { drop_volumes: listed, ..none.clone() }), [1, 4, 5, 6]);
        assert_eq!(dropped(&Preparation { drop_non_steady_state: true, ..none.clone() }), [0]);
        let displaced = Preparation { max_framewise_displacement_mm: Some(0.5), ..none.clone() };
        assert_eq!(dropped(&displaced), [3]);
        assert_eq!(dropped(&Preparation { max_std_dvars: Some(1.5), ..none }), [8]);
        let both = Preparation { max_std_dvars: Some(1.5), ..displaced };
        assert_eq!(dropped(&Preparation { scrub_before: 1, scrub_after: 2, ..both.clone() }), [2, 3, 4, 5, 7, 8, 9]);
        assert_eq!(dropped(&Preparation { scrub_shorter_than: 2, ..both.clone() }), [3, 8, 9]);
        assert_eq!(dropped(&Preparation { scrub_shorter_than: 4, ..both.clone() }), [0, 1, 2, 3, 8, 9]);
        assert_eq!(dropped(&Preparation { scrub_shorter_than: 5, ..both }).len(), 10);
    }

    #[test]
    fn volumes_outside_clips_are_dropped() {
        let text = "onset\tduration\n1\t3\n6\t3\n";
        let clips = ClipTable::parse(Path::new("clips.tsv"), text.as_bytes()).unwrap();
        let run = RunInputs { clips: Some(&clips), ..inputs() };
        let kept = |preparation: Preparation| kept_samples(&run, None, 10, 1.0, &preparation).unwrap();
        assert_eq!(kept(Preparation::default()), [1, 2, 3, 6, 7, 8]);
        assert_eq!(kept(Preparation { clip_trim_s: 1.5, drop_final: 2, ..Preparation::default() }), [3]);
    }

    #[test]
    fn what_does_not_fit_the_run_is_refused() {
        let none = Preparation::default();
        let error = kept_samples(&inputs(), Some(&table()), 11, 1.0, &none).unwrap_err();
        assert!(matches!(error, PrepareError::ConfoundRows { found: 10, expected: 11, .. }));
        for (first, last) in [(9, 10), (10, 10), (0, usize::MAX)] {
            let beyond = Preparation { drop_volumes: vec![VolumeRange::new(first, last).unwrap()], ..none.clone() };
            let error = kept_samples(&inputs(), None, 10, 1.0, &beyond).unwrap_err().to_string();
            let expected = format!("`drop_volumes` names volume {last}, run `run-1` has 10, counted from 0");
            assert!(error.starts_with(&expected), "{error}");
        }
        let bare = Table::parse(Path::new("t.tsv"), b"trans_x\n1\n2\n").unwrap();
        let strict = Preparation { max_std_dvars: Some(1.5), ..none };
        let error = kept_samples(&inputs(), Some(&bare), 2, 1.0, &strict).unwrap_err().to_string();
        assert_eq!(error, "`t.tsv` has no column `std_dvars`: its columns are `trans_x`");
    }

    proptest! {
        #[test]
        fn no_short_stretch_is_left_and_no_long_one_lost(marks in prop::collection::vec(prop::bool::weighted(0.2), 1..60), shortest in 0_usize..8) {
            let mut left = marks.clone();
            drop_short_stretches(&mut left, shortest);
            let stretches = |marks: &[bool]| {
                let mut found = Vec::new();
                let mut start = 0;
                for stretch in marks.chunk_by(|a, b| a == b) {
                    if !stretch[0] { found.push((start, stretch.len())); }
                    start += stretch.len();
                }
                found
            };
            let expected: Vec<(usize, usize)> = match marks.contains(&true) {
                true => stretches(&marks).into_iter().filter(|&(_, length)| length >= shortest).collect(),
                false => stretches(&marks),
            };
            prop_assert_eq!(stretches(&left), expected);
        }
    }
}
