//! One run of `ffmpeg`: frames as RGB pixels, each with the time at which it comes on screen and that of the next.
//!
//! ffmpeg writes the selected frames to a pipe as raw RGB. Its filter `showinfo` stands in the chain twice: before the
//! selection, where it tells the time of every frame, and at the end, where it tells size and time of those that go into
//! the pipe. `-fps_mode passthrough` keeps ffmpeg from repeating or dropping any, so that the n-th line of the latter
//! belongs to the n-th frame of the pipe. One frame is in memory at a time. The conversion from the video's own colours is
//! asked for without the shortcuts that depend on the processor, so that pixels are the same everywhere.

use super::{
    VideoError,
    ffmpeg::{Ffmpeg, command, ended, last_lines, without_address},
    probe::check_size,
};
use image::{
    ExtendedColorType, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout},
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
};

/// A frame's pixels.
pub(super) struct Picture {
    /// When it comes on screen, in seconds.
    pub(super) shown_s: f64,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) samples: Vec<u8>,
}

impl Picture {
    /// The picture as a PNG file.
    pub(super) fn encode(&self) -> image::ImageResult<Vec<u8>> {
        let mut bytes = Vec::new();
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive).write_image(
            &self.samples,
            self.width,
            self.height,
            ExtendedColorType::Rgb8,
        )?;
        Ok(bytes)
    }
}

/// What ffmpeg tells of frames, in the order of their times.
#[derive(Debug, PartialEq)]
enum Told {
    /// A frame comes on screen at this time; it may not be selected.
    OnScreen(f64),
    /// A frame goes into the pipe.
    Piped(Shown),
    /// A frame has no time.
    Timeless,
}

/// What a line of `showinfo` says of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shown {
    time_s: f64,
    width: u64,
    height: u64,
}

/// A running ffmpeg; it is ended when this is dropped.
pub(super) struct Run {
    path: PathBuf,
    program: PathBuf,
    child: Child,
    pipe: BufReader<ChildStdout>,
    told: Receiver<Told>,
    messages: Option<JoinHandle<Vec<String>>>,
    /// A frame that was told of while the next time was waited for.
    ahead: Option<Shown>,
}

impl Drop for Run {
    fn drop(&mut self) {
        // Either fails only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Run {
    /// Starts ffmpeg on the frames that the expression selects.
    pub(super) fn start(programs: &Ffmpeg, path: &Path, selection: &str) -> Result<Self, VideoError> {
        let before = ["-nostdin", "-nostats", "-loglevel", "info", "-xerror"];
        let mut command = command(&programs.ffmpeg, &before, path);
        command.args(["-map", "0:V:0", "-fps_mode", "passthrough"]);
        let colours = "scale=flags=bicubic+accurate_rnd+full_chroma_int+bitexact,format=rgb24";
        let told = "showinfo=checksum=0";
        command.args(["-vf", &format!("{told},select='{selection}',{colours},{told}"), "-f", "rawvideo", "pipe:1"]);
        let started = command.spawn();
        let mut child = started.map_err(|source| VideoError::Start { program: programs.ffmpeg.clone(), source })?;
        let pipe = child.stdout.take().expect("the output is piped");
        let (sender, told) = channel();
        let messages = child.stderr.take().map(|stderr| thread::spawn(move || listen(stderr, &sender)));
        let pipe = BufReader::with_capacity(1 << 16, pipe);
        let (path, program) = (path.to_owned(), programs.ffmpeg.clone());
        Ok(Self { path, program, child, pipe, told, messages, ahead: None })
    }

    /// The next selected frame, or none at the end of the video; `samples` is room to put it in.
    pub(super) fn next_picture(&mut self, mut samples: Vec<u8>) -> Result<Option<Picture>, VideoError> {
        let Shown { time_s, width, height } = loop {
            match self.ahead.take().map(Told::Piped).or_else(|| self.told.recv().ok()) {
                Some(Told::Piped(shown)) => break shown,
                Some(Told::OnScreen(_)) => {}
                Some(Told::Timeless) => return Err(self.timeless()),
                None => return self.ended_well().map(|()| None),
            }
        };
        check_size(&self.path, width, height)?;
        samples.resize((width * height * 3) as usize, 0);
        if self.pipe.read_exact(&mut samples).is_err() {
            // A frame that was announced and did not come: ffmpeg says why.
            return Err(self.died());
        }
        Ok(Some(Picture { shown_s: time_s, width: width as u32, height: height as u32, samples }))
    }

    /// When the frame after the last picture comes on screen, selected or not; none if there is no other.
    pub(super) fn next_time_s(&mut self) -> Result<Option<f64>, VideoError> {
        match self.told.recv() {
            Ok(Told::OnScreen(time_s)) => Ok(Some(time_s)),
            Ok(Told::Piped(shown)) => {
                self.ahead = Some(shown);
                Ok(Some(shown.time_s))
            }
            Ok(Told::Timeless) => Err(self.timeless()),
            Err(_) => self.ended_well().map(|()| None),
        }
    }

    fn timeless(&self) -> VideoError {
        let reason = "a frame has no time; copy it into another container (`ffmpeg -i FILE -c copy OUT.mkv`)";
        VideoError::NotVideo { path: self.path.clone(), reason: reason.to_owned() }
    }

    fn ended_well(&mut self) -> Result<(), VideoError> {
        let status = self.child.wait().map_err(VideoError::read(&self.path))?;
        if status.success() { Ok(()) } else { Err(self.died()) }
    }

    fn died(&mut self) -> VideoError {
        let status = self.child.wait().map_or_else(|error| error.to_string(), ended);
        let messages = self.messages.take().and_then(|listener| listener.join().ok()).unwrap_or_default();
        if messages.iter().any(|line| line.contains("Unrecognized option 'fps_mode'")) {
            return VideoError::TooOld { program: self.program.clone() };
        }
        VideoError::Died { path: self.path.clone(), status, last_lines: last_lines(&messages) }
    }
}

/// The most that is kept of a line: metadata of any length are printed too.
const LINE_LIMIT_BYTES: u64 = 4096;

/// The most lines that are kept.
const LINES_LIMIT: usize = 16;

/// Sends what `showinfo` says of each frame; returns the last of the other messages.
fn listen(stderr: ChildStderr, sender: &Sender<Told>) -> Vec<String> {
    let mut reader = BufReader::new(stderr);
    let mut kept: Vec<String> = Vec::new();
    let mut line = Vec::new();
    let mut bases = [None; 2];
    loop {
        line.clear();
        match reader.by_ref().take(LINE_LIMIT_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return kept,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        // What metadata hold is printed indented, so no line of theirs begins like this. Filters are numbered from 0.
        if let Some(rest) = text.strip_prefix("[Parsed_showinfo_") {
            let is_first = rest.starts_with("0 ");
            let base = &mut bases[usize::from(is_first)];
            *base = time_base(rest).or(*base);
            if rest.contains(" pts_time:") {
                let told = base.and_then(|base| shown(rest, base)).map_or(Told::Timeless, |shown| {
                    if is_first { Told::OnScreen(shown.time_s) } else { Told::Piped(shown) }
                });
                // A closed channel means that no more frames are wanted; the messages are read until they end.
                let _ = sender.send(told);
            }
        } else if !text.trim().is_empty() {
            if kept.len() == LINES_LIMIT {
                kept.remove(0);
            }
            kept.push(without_address(&text).to_owned());
        }
    }
}

/// Seconds of one unit of time, as numerator and denominator: one rounded division gives the nearest number to a frame's
/// time, where a rounded unit would miss it.
type TimeBase = [f64; 2];

fn time_base(line: &str) -> Option<TimeBase> {
    let (_, rest) = line.split_once("config in time_base:")?;
    let (above, below) = rest.split(',').next()?.trim().split_once('/')?;
    let base = [above.parse().ok()?, below.parse().ok()?];
    base.iter().all(|part| *part > 0.0).then_some(base)
}

/// Reads a line such as `n:   3 pts:   3072 pts_time:0.3 ... s:64x48 ...`. The time in seconds is printed with six digits
/// only, hence the whole number and the time base.
fn shown(line: &str, [above, below]: TimeBase) -> Option<Shown> {
    let after = |name: &str| line.split_once(name).and_then(|(_, rest)| rest.split_whitespace().next());
    let number: i64 = after(" pts:")?.parse().ok()?;
    let (width, height) = after(" s:")?.split_once('x')?;
    Some(Shown { time_s: number as f64 * above / below, width: width.parse().ok()?, height: height.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_frame_s_time_and_size() {
        let line = "[Parsed_showinfo_2 @ 0x5] n:  14 pts:  14336 pts_time:1.4  pos: 2396 fmt:rgb24 sar:1/1 s:64x48 i:P";
        assert_eq!(shown(line, [1.0, 10_240.0]), Some(Shown { time_s: 1.4, width: 64, height: 48 }));
        for other in ["[Parsed_showinfo_2 @ 0x5] color_range:pc", "n: 0 pts: NOPTS pts_time:NOPTS s:4x4", ""] {
            assert_eq!(shown(other, [1.0, 1.0]), None, "{other}");
        }
        assert_eq!(time_base("config in time_base: 1/25, frame_rate: 25/1"), Some([1.0, 25.0]));
        assert_eq!(time_base("config out time_base: 0/0, frame_rate: 0/0"), None);
    }
}
