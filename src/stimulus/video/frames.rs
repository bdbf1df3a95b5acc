//! The frames of a video at the times asked for, as PNG files: one run of `ffmpeg` over it.
//!
//! `run.rs` hands over frames as they come on screen; here each serves the times that fall to it. Only frames shortly
//! before a time are converted to RGB and sent through the pipe. How shortly follows from the frame rate; if a frame stays
//! on screen longer than that, which only variable rates do, the video is read once more with every frame converted.

use super::{
    VideoError,
    ffmpeg::Ffmpeg,
    probe::{Video, probe},
    run::{Picture, Run},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

/// A frame counts as on screen this much before its time: what sums of seconds lose to rounding.
const SLACK_S: f64 = 1e-6;

/// A frame that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The time asked for, in seconds.
    pub time_s: f64,
    /// The frame's own time: when it came on screen.
    pub shown_s: f64,
    /// The picture.
    pub path: PathBuf,
}

/// Writes the frame at each of `times_s` (seconds from the start of the video, in any order) as `frame-NNNNNN.png` into the
/// folder `out`, numbered by the place of its time in `times_s`; the answer has one entry for each, in the same order.
///
/// A time before the first frame has the first frame. `progress` is told how many frames of how many are written.
/// Cancelling ends ffmpeg; what was written by then stays.
///
/// # Errors
/// If the video cannot be read, a time lies behind its end, ffmpeg gives up on it, a frame cannot be written, or
/// `cancelled` is set.
pub fn write_frames(
    programs: &Ffmpeg,
    path: &Path,
    times_s: &[f64],
    out: &Path,
    progress: &mut dyn FnMut(usize, usize),
    cancelled: &AtomicBool,
) -> Result<Vec<Frame>, VideoError> {
    let video = probe(programs, path)?;
    if let Some(&time_s) = times_s.iter().find(|time_s| !(time_s.is_finite() && **time_s >= 0.0)) {
        return Err(VideoError::Time { path: path.to_owned(), time_s });
    }
    let mut order: Vec<usize> = (0..times_s.len()).collect();
    order.sort_by(|&one, &other| times_s[one].total_cmp(&times_s[other]));
    if let Some(&time_s) = order.iter().map(|&place| &times_s[place]).find(|time_s| **time_s >= video.duration_s) {
        return Err(VideoError::PastEnd { path: path.to_owned(), time_s, end_s: video.duration_s });
    }
    let mut writer = Writer { times_s, order: &order, n_written: 0, out, frames: vec![None; times_s.len()], progress };
    let thrifty = selection(writer.pending_s(), video.fps);
    let complete = match &thrifty {
        Some(selection) => {
            feed(Run::start(programs, path, selection)?, &mut writer, path, video, cancelled)?.is_complete
        }
        None => false,
    };
    if !complete && writer.next_time_s().is_some() {
        let end = feed(Run::start(programs, path, EVERY_FRAME)?, &mut writer, path, video, cancelled)?;
        if let Some(time_s) = writer.next_time_s() {
            return Err(VideoError::PastEnd { path: path.to_owned(), time_s, end_s: end.end_s });
        }
    }
    Ok(writer.frames.into_iter().map(|frame| frame.expect("every time was served")).collect())
}

/// How far a run came.
struct End {
    /// Is every time served?
    is_complete: bool,
    /// Where the video ended, if it was read that far.
    end_s: f64,
}

/// Serves times with the frames of a run until all are served, the video ends, or a frame is missing from the run.
fn feed(
    mut run: Run,
    writer: &mut Writer,
    path: &Path,
    video: Video,
    cancelled: &AtomicBool,
) -> Result<End, VideoError> {
    let mut longest_s = 1.0 / video.fps;
    let mut end_s = 0.0;
    let mut samples = Vec::new();
    let mut is_first = true;
    while let Some(time_s) = writer.next_time_s() {
        if cancelled.load(Ordering::Relaxed) {
            return Err(VideoError::Cancelled { path: path.to_owned() });
        }
        let Some(picture) = run.next_picture(samples)? else { break };
        if !is_first && time_s + SLACK_S < picture.shown_s {
            // The frame of this time is between the last picture and this one.
            return Ok(End { is_complete: false, end_s });
        }
        is_first = false;
        // The last frame stays on screen no longer than any before it did: a video may break off before the end that
        // its headers promise.
        let until_s = run.next_time_s()?.unwrap_or(picture.shown_s + longest_s);
        longest_s = longest_s.max(until_s - picture.shown_s);
        end_s = until_s;
        writer.serve(&picture, until_s)?;
        samples = picture.samples;
    }
    if is_first && writer.next_time_s().is_some() {
        return Err(VideoError::NotVideo { path: path.to_owned(), reason: "it holds no frame".to_owned() });
    }
    Ok(End { is_complete: writer.next_time_s().is_none(), end_s })
}

/// Asks for every frame.
const EVERY_FRAME: &str = "1";

/// The longest expression that fits the command line of every system.
const EXPRESSION_LIMIT_BYTES: usize = if cfg!(windows) { 20_000 } else { 100_000 };

/// The expression of ffmpeg's `select` for the first frame and those within two and a half frames before a time; none if
/// it would be too long.
fn selection(times_s: impl Iterator<Item = f64>, fps: f64) -> Option<String> {
    // In whole milliseconds, rounded outwards.
    let windows = times_s.map(|time_s| (((time_s - 2.5 / fps) * 1e3).floor(), ((time_s + SLACK_S) * 1e3).ceil()));
    let mut merged: Vec<(f64, f64)> = Vec::new();
    for (start, end) in windows {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    let terms = merged.iter().map(|(start, end)| format!("between(t,{:.3},{:.3})", start / 1e3, end / 1e3));
    let mut terms: Vec<String> = std::iter::once("eq(n,0)".to_owned()).chain(terms).collect();
    // In pairs of pairs: ffmpeg refuses a sum that nests more than a hundred deep, and a plain one does with each term.
    while terms.len() > 1 {
        let pairs = terms
            .chunks(2)
            .map(|pair| if let [one, other] = pair { format!("({one}+{other})") } else { pair.concat() });
        terms = pairs.collect();
    }
    let expression = terms.concat();
    (expression.len() <= EXPRESSION_LIMIT_BYTES).then_some(expression)
}

/// Serves times in their order with frames in theirs.
struct Writer<'a> {
    times_s: &'a [f64],
    order: &'a [usize],
    n_written: usize,
    out: &'a Path,
    frames: Vec<Option<Frame>>,
    progress: &'a mut dyn FnMut(usize, usize),
}

impl Writer<'_> {
    fn pending_s(&self) -> impl Iterator<Item = f64> {
        self.order[self.n_written..].iter().map(|&place| self.times_s[place])
    }

    fn next_time_s(&self) -> Option<f64> {
        self.order.get(self.n_written).map(|&place| self.times_s[place])
    }

    /// Writes a picture for every time before `until_s` that is not served yet.
    fn serve(&mut self, picture: &Picture, until_s: f64) -> Result<(), VideoError> {
        let mut encoded = None;
        while let Some(time_s) = self.next_time_s().filter(|time_s| *time_s + SLACK_S < until_s) {
            let place = self.order[self.n_written];
            let path = self.out.join(format!("frame-{place:06}.png"));
            let failed = |source| VideoError::Write { path: path.clone(), source };
            let bytes = match &encoded {
                Some(bytes) => bytes,
                None => encoded.insert(picture.encode().map_err(|error| failed(io::Error::other(error)))?),
            };
            fs::write(&path, bytes).map_err(failed)?;
            self.frames[place] = Some(Frame { time_s, shown_s: picture.shown_s, path });
            self.n_written += 1;
            (self.progress)(self.n_written, self.order.len());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_take_in_the_frames_before_a_time() {
        let selected = selection([1.0, 1.05, 4.0].into_iter(), 25.0).unwrap();
        assert_eq!(selected, "((eq(n,0)+between(t,0.900,1.051))+between(t,3.900,4.001))");
        let many = (0..50_000).map(f64::from);
        assert_eq!(selection(many, 25.0), None);
    }
}
