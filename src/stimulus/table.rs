//! A run's events from a TSV file: BIDS' `onset` and `duration` in seconds, then `image` or `video`, `text`, or both.
//!
//! Images and videos are paths relative to the table's own folder unless another is given. `video_onset` is the second of
//! the video at which the event begins, 0 where it is not given. `n/a` or an empty cell means none; a row that shows and
//! says nothing is a pause that someone wrote down, and is passed over.

use super::{Picture, StimulusError, TableEvent, VideoPart};
use crate::format::tsv::{MISSING, Table};
use std::path::Path;

/// Reads a run's events, sorted by onset; paths of images and videos are resolved against `folder`.
///
/// # Errors
/// If the file is no table, lacks a column, has a cell that is no time, shows an image and a video at once, or holds no
/// event.
pub fn read_table(path: &Path, folder: &Path) -> Result<Vec<TableEvent>, StimulusError> {
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
    let [image, video, video_onset, text] = ["image", "video", "video_onset", "text"].map(|name| table.position(name));
    if image.is_none() && video.is_none() && text.is_none() {
        column("image")?;
    }
    let mut events = Vec::with_capacity(table.n_rows());
    for (row, cells) in table.rows().iter().enumerate() {
        let wrong = |at: usize, column: &'static str, expected: &'static str| {
            let line = usize::try_from(table.line(row)).unwrap_or(usize::MAX);
            let value = cells[at].trim().to_owned();
            StimulusError::Cell { path: path.to_owned(), line, column, value, expected }
        };
        let seconds = |at: usize, column: &'static str, expected: &'static str, least: f64| {
            let value = cells[at].trim().parse::<f64>().ok();
            value.filter(|seconds| seconds.is_finite() && *seconds >= least).ok_or_else(|| wrong(at, column, expected))
        };
        let written =
            |at: Option<usize>| at.map(|at| cells[at].trim()).filter(|cell| !cell.is_empty() && *cell != MISSING);
        let (image_name, video_name, text) = (written(image), written(video), written(text));
        if image_name.is_none() && video_name.is_none() && text.is_none() {
            continue;
        }
        if let (Some(_), Some(_), Some(at)) = (image_name, video_name, video) {
            return Err(wrong(at, "video", "`n/a`, as the row shows an image; give each a row of its own"));
        }
        let part = |name: &str| {
            let given = video_onset.filter(|_| written(video_onset).is_some());
            let expected = "seconds from the start of the video, at least 0";
            let onset_s = given.map_or(Ok(0.0), |at| seconds(at, "video_onset", expected, 0.0))?;
            Ok::<_, StimulusError>(VideoPart { path: folder.join(name), onset_s })
        };
        events.push(TableEvent {
            onset_s: seconds(onset, "onset", "seconds from the start of the run, at least 0", 0.0)?,
            duration_s: seconds(duration, "duration", "seconds, more than 0", f64::MIN_POSITIVE)?,
            image: image_name.map(|name| Picture::File(folder.join(name))),
            video: video_name.map(part).transpose()?,
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
        assert_eq!(events[0].image, Some(Picture::File("photos/a.png".into())));
        assert_eq!(events[0].text.as_deref(), Some("a dog"));
        assert_eq!((events[1].onset_s, events[1].text.as_deref()), (4.0, None));
    }

    #[test]
    fn videos_begin_where_their_column_says() {
        let events = read(
            "onset\tduration\tvideo\tvideo_onset\timage\ttext\n0\t9\tfilm.mp4\tn/a\tn/a\tn/a\n9\t3\tfilm.mp4\t61.5\tn/a\ta dog\n\
             12\t1\tn/a\t5\ta.png\tn/a\n",
        )
        .expect("a table");
        let part = |onset_s| Some(VideoPart { path: PathBuf::from("photos/film.mp4"), onset_s });
        assert_eq!([&events[0].video, &events[1].video], [&part(0.0), &part(61.5)]);
        assert_eq!((events[1].text.as_deref(), &events[1].image), (Some("a dog"), &None));
        assert_eq!((&events[2].video, &events[2].image), (&None, &Some(Picture::File("photos/a.png".into()))));
        let alone = read("onset\tduration\tvideo\n1\t2\ta.mkv\n").expect("a table of videos alone");
        assert_eq!(alone[0].video.as_ref().map(|part| part.onset_s), Some(0.0));
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
        assert_eq!(
            told("onset\tduration\tvideo\tvideo_onset\n0\t2\ta.mp4\t-1\n"),
            "` line 2: `video_onset` is `-1`, expected seconds from the start of the video, at least 0"
        );
        assert_eq!(
            told("onset\tduration\timage\tvideo\n0\t2\ta.png\ta.mp4\n"),
            "` line 2: `video` is `a.mp4`, expected `n/a`, as the row shows an image; give each a row of its own"
        );
        assert_eq!(told("onset\tduration\ttext\n"), "` has no events");
    }
}
