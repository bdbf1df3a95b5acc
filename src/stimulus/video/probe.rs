//! A video's length, rate and size, read from its headers by `ffprobe`: what can be checked before anything is decoded.

use super::{
    VideoError,
    ffmpeg::{Ffmpeg, command, last_lines, without_address},
};
use serde::Deserialize;
use std::path::Path;

/// What a video's headers say of its first moving picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Video {
    /// Seconds from the start of the file to the end of its picture.
    pub duration_s: f64,
    /// Frames, if the headers count them.
    pub n_frames: Option<u64>,
    /// Frames a second, on average.
    pub fps: f64,
    /// Width of a frame as stored, in pixels.
    pub width: u32,
    /// Height of a frame as stored, in pixels.
    pub height: u32,
}

/// No frame has more pixels; four times those of the largest format in cinemas.
pub(super) const AREA_LIMIT_PX: u64 = 36_000_000;

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Deserialize)]
struct Stream {
    width: Option<u64>,
    height: Option<u64>,
    avg_frame_rate: Option<String>,
    r_frame_rate: Option<String>,
    start_time: Option<String>,
    duration: Option<String>,
    nb_frames: Option<String>,
}

#[derive(Deserialize, Default)]
struct Format {
    start_time: Option<String>,
    duration: Option<String>,
}

/// Reads a video's headers.
///
/// # Errors
/// If the file cannot be read, holds no moving picture, does not state its length, or has frames beyond the bound.
pub fn probe(programs: &Ffmpeg, path: &Path) -> Result<Video, VideoError> {
    // Told by us, so that a missing file does not look like a broken one.
    std::fs::File::open(path).map_err(VideoError::read(path))?;
    let before = ["-v", "error", "-select_streams", "V:0", "-show_streams", "-show_format", "-of", "json"];
    let output = command(&programs.ffprobe, &before, path)
        .output()
        .map_err(|source| VideoError::Start { program: programs.ffprobe.clone(), source })?;
    let not_video = |reason: String| VideoError::NotVideo { path: path.to_owned(), reason };
    if !output.status.success() {
        let lines = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<String> = lines.lines().map(|line| without_address(line).to_owned()).collect();
        return Err(not_video(format!("ffprobe says: {}", last_lines(&lines))));
    }
    let found: Found = serde_json::from_slice(&output.stdout)
        .map_err(|error| not_video(format!("what ffprobe found cannot be understood: {error}")))?;
    let stream = found.streams.first().ok_or_else(|| not_video("it holds no moving picture".to_owned()))?;
    let (Some(width), Some(height)) = (stream.width, stream.height) else {
        return Err(not_video("its frames have no size".to_owned()));
    };
    let (Ok(narrow_width), Ok(narrow_height)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(too_large(path, width, height));
    };
    check_size(path, width, height)?;
    let seconds = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<f64>().ok());
    let shift_s = seconds(&stream.start_time).unwrap_or(0.0) - seconds(&found.format.start_time).unwrap_or(0.0);
    let duration_s = seconds(&stream.duration).map(|length_s| shift_s + length_s).or(seconds(&found.format.duration));
    let duration_s = duration_s.filter(|seconds| seconds.is_finite() && *seconds > 0.0).ok_or_else(|| {
        let way = "copy it into a container that does (`ffmpeg -i FILE -c copy OUT.mkv`)";
        not_video(format!("it does not state its length; {way}"))
    })?;
    let fps = [&stream.avg_frame_rate, &stream.r_frame_rate].into_iter().find_map(|rate| ratio(rate.as_deref()?));
    let fps = fps.ok_or_else(|| not_video("it does not state its frame rate".to_owned()))?;
    let n_frames = stream.nb_frames.as_deref().and_then(|text| text.parse().ok());
    Ok(Video { duration_s, n_frames, fps, width: narrow_width, height: narrow_height })
}

/// Refuses frames beyond the bound.
pub(super) fn check_size(path: &Path, width: u64, height: u64) -> Result<(), VideoError> {
    if width == 0 || height == 0 {
        let reason = format!("its frames are {width} by {height} pixels");
        return Err(VideoError::NotVideo { path: path.to_owned(), reason });
    }
    if width.saturating_mul(height) > AREA_LIMIT_PX { Err(too_large(path, width, height)) } else { Ok(()) }
}

fn too_large(path: &Path, width: u64, height: u64) -> VideoError {
    VideoError::TooLarge { path: path.to_owned(), width, height, limit: AREA_LIMIT_PX / 1_000_000 }
}

/// A positive quotient such as `30000/1001`.
pub(super) fn ratio(text: &str) -> Option<f64> {
    let (above, below) = text.split_once('/')?;
    let quotient = above.trim().parse::<f64>().ok()? / below.trim().parse::<f64>().ok()?;
    (quotient.is_finite() && quotient > 0.0).then_some(quotient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_quotients() {
        assert_eq!(ratio("30000/1001").map(f64::round), Some(30.0));
        for nonsense in ["0/0", "5/0", "", "5", "-3/1", "a/b"] {
            assert_eq!(ratio(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn frames_beyond_the_bound_are_refused() {
        assert!(check_size(Path::new("a.mp4"), 7680, 4320).is_ok());
        let message = check_size(Path::new("a.mp4"), 65_535, 65_535).unwrap_err().to_string();
        assert!(message.contains("65535 by 65535 pixels: expected at most 36 million"), "{message}");
        assert!(check_size(Path::new("a.mp4"), 0, 7).is_err());
    }
}
