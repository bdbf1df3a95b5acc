//! A run's events from a TSV file: BIDS' `onset` and `duration` in seconds, then `image`, `text` or both.
//!
//! Images are paths relative to the table's own folder unless another is given. `n/a` or an empty cell means none; a row
//! with neither image nor text is a pause that someone wrote down, and is passed over.

use super::{StimulusError, TableEvent};
use crate::format::tsv::{MISSING, Table};
use std::path::Path;

/// Reads a run's events, sorted by onset; image paths are resolved against `image_folder`.
///
/// # Errors
/// If the file is no table, lacks a column, has a cell that is no time, or holds no event.
pub fn read_table(path: &Path, image_folder: &Path) -> Result<Vec<TableEvent>, StimulusError> {
    let table = Table::read(path)?;
    let column = |name: &'static str| {
        let found = || table.columns().iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(", ");
        table.position(name).ok_or_else(|| StimulusError::NoColumn {
            path: path.to_owned(),
            column: name,
            found: found(),
        })
    };
    let (onset, duration) = (column("onset")?, column("duration")?);
    let (image, text) = (table.position("image"), table.position("text"));
    if image.is_none() && text.is_none() {
        column("image")?;
    }
    let mut events = Vec::with_capacity(table.n_rows());
    for (row, cells) in table.rows().iter().enumerate() {
        let seconds = |at: usize, column: &'static str, expected: &'static str, least: f64| {
            let value = cells[at].trim();
            value.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= least).ok_or_else(|| {
                let line = usize::try_from(table.line(row)).unwrap_or(usize::MAX);
                StimulusError::Cell { path: path.to_owned(), line, column, value: value.to_owned(), expected }
            })
        };
        let written =
            |at: Option<usize>| at.map(|at| cells[at].trim()).filter(|cell| !cell.is_empty() && *cell != MISSING);
        let (image, text) = (written(image), written(text));
        if image.is_none() && text.is_none() {
            continue;
        }
        events.push(TableEvent {
            onset_s: seconds(onset, "onset", "seconds from the start of the run, at least 0", 0.0)?,
            duration_s: seconds(duration, "duration", "seconds, more than 0", f64::MIN_POSITIVE)?,
            image: image.map(|image| image_folder.join(image)),
            text: text.map(str::to_owned),
        });
    }
    if events.is_empty() {
        return Err(StimulusError::Empty { path: path.to_owned() });
    }
    events.sort_by(|one, other| one.onset_s.total_cmp(&other.onset_s));
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::PathBuf};

    fn read(text: &str) -> Result<Vec<TableEvent>, StimulusError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("run-1.tsv");
        fs::write(&path, text).expect("writable");
        read_table(&path, Path::new("photos"))
    }

    #[test]
    fn events_come_in_order_of_onset_with_images_resolved() {
        let events = read("onset\tduration\timage\ttext\n4\t2\tb.png\tn/a\n0.5\t2\ta.png\ta dog\n6\t1\tn/a\tn/a\n")
            .expect("a table");
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].image, Some(PathBuf::from("photos/a.png")));
        assert_eq!(events[0].text.as_deref(), Some("a dog"));
        assert_eq!((events[1].onset_s, events[1].text.as_deref()), (4.0, None));
    }

    #[test]
    fn what_is_wrong_is_told_with_line_and_column() {
        let told = |text: &str| {
            let message = read(text).expect_err("not a table of events").to_string();
            message.split_once("run-1.tsv").expect("the path").1.to_owned()
        };
        assert_eq!(
            told("onset\tduration\ttext\n0\t2\ta\nsoon\t2\tb\n"),
            "` line 3: `onset` is `soon`, expected seconds from the start of the run, at least 0"
        );
        assert_eq!(
            told("onset\tduration\ttext\n0\t0\ta\n"),
            "` line 2: `duration` is `0`, expected seconds, more than 0"
        );
        assert_eq!(
            told("onset\tduration\tword\n0\t2\ta\n"),
            "` has no column `image`; its columns are `onset`, `duration`, `word`"
        );
        assert_eq!(told("onset\tduration\ttext\n"), "` has no events");
    }
}
