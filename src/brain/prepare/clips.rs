//! Clip tables: which stretches of a run show something that counts.
//!
//! Owns the table (TSV with the columns `onset` and `duration` in seconds from the start of the run, and `name` if the
//! clips have names) and the rule by which a volume belongs to a clip: its start lies in it. Volumes outside all clips,
//! such as the rest between them, are dropped by [`super::samples`].

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::format::tsv::{Table, TsvError};

/// Times closer than this are the same: multiples of a repetition time carry rounding.
const SAME_TIME_S: f64 = 1e-6;

/// What can be wrong with a clip table.
#[derive(Debug, Error)]
pub enum ClipError {
    /// The table is not readable.
    #[error(transparent)]
    Table(#[from] TsvError),
    /// The table has no rows.
    #[error("`{}` has no clips, expected at least one row below `onset` and `duration`", path.display())]
    Empty {
        /// The table.
        path: PathBuf,
    },
    /// A time is no time in a run.
    #[error("`{}` line {line} column `{column}` is {found}, expected {expected}", path.display())]
    Time {
        /// The table.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// The value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A clip begins before the clip above it ends.
    #[error("`{}` line {line} begins at {onset_s} s, but line {above} ends at {end_s} s: clips must follow each other without overlap", path.display())]
    Overlap {
        /// The table.
        path: PathBuf,
        /// Line of the later clip, counted from 1.
        line: u64,
        /// Its onset.
        onset_s: f64,
        /// Line of the clip before it.
        above: u64,
        /// Where that one ends.
        end_s: f64,
    },
    /// A clip ends after the run.
    #[error("`{}` line {line} ends at {end_s} s, the run of {n_tr} volumes ends at {run_s} s: check that the table belongs to this run and that its times are seconds", path.display())]
    BeyondRun {
        /// The table.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// Where the clip ends.
        end_s: f64,
        /// Volumes of the run.
        n_tr: usize,
        /// Where the run ends.
        run_s: f64,
    },
    /// A clip is so short that no volume starts in it.
    #[error("`{}` line {line}: no volume starts between {from_s} s and {end_s} s; `clip_trim_s` is {trim_s}, expected less than the clip lasts", path.display())]
    NoVolume {
        /// The table.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// Where the clip begins to count.
        from_s: f64,
        /// Where it ends.
        end_s: f64,
        /// Seconds left out at its start.
        trim_s: f64,
    },
}

/// A stretch of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Seconds from the start of the run.
    pub onset_s: f64,
    /// How long it lasts, in seconds.
    pub duration_s: f64,
    /// What it is called.
    pub name: Option<String>,
    line: u64,
}

impl Clip {
    /// Seconds from the start of the run to the end of the clip.
    pub fn end_s(&self) -> f64 {
        self.onset_s + self.duration_s
    }
}

/// The clips of a run, in order and without overlap.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipTable {
    path: PathBuf,
    clips: Vec<Clip>,
}

impl ClipTable {
    /// Reads a clip table.
    ///
    /// # Errors
    /// If the file is no table with `onset` and `duration`, has no rows, or its clips overlap, are negative or empty.
    pub fn read(path: &Path) -> Result<Self, ClipError> {
        ClipTable::of_table(&Table::read(path)?)
    }

    /// Takes a clip table out of bytes; `path` is for messages.
    ///
    /// # Errors
    /// As [`ClipTable::read`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ClipError> {
        ClipTable::of_table(&Table::parse(path, bytes)?)
    }

    fn of_table(table: &Table) -> Result<Self, ClipError> {
        let path = || table.path().to_owned();
        let (onsets, durations) = (table.numbers("onset")?, table.numbers("duration")?);
        let name = table.position("name");
        let mut clips: Vec<Clip> = Vec::with_capacity(table.n_rows());
        for (row, (onset, duration)) in onsets.into_iter().zip(durations).enumerate() {
            let line = table.line(row);
            let time = |column, value: Option<f64>, expected, fits: fn(f64) -> bool| {
                let found = value.map_or("`n/a`".to_owned(), |value| value.to_string());
                let error = ClipError::Time { path: path(), line, column, found, expected };
                value.filter(|value| fits(*value)).ok_or(error)
            };
            let onset_s = time("onset", onset, "seconds from the start of the run", |onset| onset >= 0.0)?;
            let duration_s = time("duration", duration, "more than 0 seconds", |duration| duration > 0.0)?;
            let name = name.map(|column| table.rows()[row][column].clone());
            if let Some(above) = clips.last().filter(|above| onset_s < above.end_s() - SAME_TIME_S) {
                let (above, end_s) = (above.line, above.end_s());
                return Err(ClipError::Overlap { path: path(), line, onset_s, above, end_s });
            }
            clips.push(Clip { onset_s, duration_s, name, line });
        }
        match clips.is_empty() {
            true => Err(ClipError::Empty { path: path() }),
            false => Ok(ClipTable { path: path(), clips }),
        }
    }

    /// The file the table was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The clips.
    pub fn clips(&self) -> &[Clip] {
        &self.clips
    }

    /// The volumes of a run that belong to a clip, in order: those that start in it, `trim_s` seconds after its onset or
    /// later, and before its end.
    ///
    /// # Errors
    /// If a clip ends after the run by more than one volume, or no volume belongs to it.
    pub fn volumes(&self, n_tr: usize, repetition_time_s: f64, trim_s: f64) -> Result<Vec<usize>, ClipError> {
        let start_s = |volume: usize| volume as f64 * repetition_time_s;
        let run_s = start_s(n_tr);
        let mut volumes = Vec::new();
        for clip in &self.clips {
            let (line, end_s, from_s) = (clip.line, clip.end_s(), clip.onset_s + trim_s);
            if end_s > run_s + repetition_time_s + SAME_TIME_S {
                return Err(ClipError::BeyondRun { path: self.path.clone(), line, end_s, n_tr, run_s });
            }
            let belongs =
                |volume: &usize| start_s(*volume) >= from_s - SAME_TIME_S && start_s(*volume) < end_s - SAME_TIME_S;
            let before = volumes.len();
            volumes.extend((0..n_tr).filter(belongs));
            if volumes.len() == before {
                return Err(ClipError::NoVolume { path: self.path.clone(), line, from_s, end_s, trim_s });
            }
        }
        Ok(volumes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<ClipTable, ClipError> {
        ClipTable::parse(Path::new("clips.tsv"), text.as_bytes())
    }

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn volumes_that_start_in_a_clip_belong_to_it() {
        let table = parse("onset\tduration\tname\n2\t3\ta\n7.5\t1\tb\n").unwrap();
        assert_eq!(table.clips()[1].name.as_deref(), Some("b"));
        assert_eq!(table.volumes(10, 1.0, 0.0).unwrap(), [2, 3, 4, 8]);
        assert_eq!(table.volumes(5, 2.0, 0.0).unwrap(), [1, 2, 4]);
        assert_eq!(table.volumes(10, 1.0, 0.5).unwrap(), [3, 4, 8]);
    }

    #[test]
    fn rounding_moves_no_volume_out_of_its_clip() {
        // 5 x 0.72 is 3.5999999999999996 and 10 x 0.72 is 7.199999999999999 in double precision.
        let table = parse("onset\tduration\n3.6\t3.6\n7.2\t7.2\n").unwrap();
        assert_eq!(table.volumes(20, 0.72, 0.0).unwrap(), (5..20).collect::<Vec<_>>());
    }

    #[test]
    fn tables_that_are_none_say_why() {
        assert!(message("start\tduration\n1\t2\n").contains("has no column `onset`"));
        assert_eq!(
            message("onset\tduration\n"),
            "`clips.tsv` has no clips, expected at least one row below `onset` and `duration`"
        );
        assert_eq!(
            message("onset\tduration\n1\t2\n-1\t2\n"),
            "`clips.tsv` line 3 column `onset` is -1, expected seconds from the start of the run"
        );
        assert_eq!(
            message("onset\tduration\n1\t0\n"),
            "`clips.tsv` line 2 column `duration` is 0, expected more than 0 seconds"
        );
        assert!(message("onset\tduration\nn/a\t2\n").contains("column `onset` is `n/a`, expected seconds"));
        assert!(message("onset\tduration\n1e999\t2\n").contains("expected a finite number"));
        assert_eq!(
            message("onset\tduration\n0\t10\n9.5\t10\n"),
            "`clips.tsv` line 3 begins at 9.5 s, but line 2 ends at 10 s: clips must follow each other without overlap"
        );
        assert!(message("onset\tduration\n20\t5\n0\t5\n").contains("line 3 begins at 0 s, but line 2 ends at 25 s"));
    }

    #[test]
    fn clips_that_do_not_fit_the_run_are_refused() {
        let table = parse("onset\tduration\n0\t10\n12\t8\n").unwrap();
        assert_eq!(table.volumes(19, 1.0, 0.0).unwrap().len(), 17);
        let error = table.volumes(18, 1.0, 0.0).unwrap_err().to_string();
        assert!(
            error.starts_with("`clips.tsv` line 3 ends at 20 s, the run of 18 volumes ends at 18 s: check"),
            "{error}"
        );
        let error = table.volumes(20, 1.0, 8.0).unwrap_err().to_string();
        let expected = "`clips.tsv` line 3: no volume starts between 20 s and 20 s; `clip_trim_s` is 8, expected less than the clip lasts";
        assert_eq!(error, expected);
        assert!(matches!(table.volumes(0, 1.0, 0.0), Err(ClipError::BeyondRun { line: 2, .. })));
    }

    proptest! {
        #[test]
        fn any_text_is_a_table_or_an_error(text in "(onset\tduration\n)?[0-9eE.\\-\tn/a\n]{0,60}", trim_s in -5.0_f64..50.0) {
            if let Ok(volumes) = parse(&text).and_then(|table| table.volumes(50, 1.5, trim_s)) {
                prop_assert!(volumes.iter().all(|&volume| volume < 50));
            }
        }

        #[test]
        fn volumes_are_in_order_and_once(gaps in prop::collection::vec((0.0_f64..4.0, 2.1_f64..9.0), 1..8), trim_s in 0.0_f64..1.0) {
            let mut text = "onset\tduration\n".to_owned();
            let mut end = 0.0;
            for (gap, duration) in gaps {
                text += &format!("{}\t{duration}\n", end + gap);
                end += gap + duration;
            }
            let table = parse(&text).unwrap();
            let volumes = table.volumes(200, 1.0, trim_s).unwrap();
            prop_assert!(volumes.is_sorted_by(|a, b| a < b));
        }
    }
}
