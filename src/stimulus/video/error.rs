//! What can go wrong between a video and its frames. Each file of `video` builds the variants that concern it.

use std::{
    io,
    path::{Path, PathBuf},
};

/// What can be wrong with a video or with `ffmpeg`.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// A program is not installed, or not where it was looked for.
    #[error(
        "`{program}` was not found; looked in {}; install ffmpeg 5.1 or later (`apt install ffmpeg`, `brew install ffmpeg`, \
         `conda install ffmpeg`), or set `HEBB_FFMPEG` to the folder that holds it",
        listed(looked_in)
    )]
    NotInstalled {
        /// `ffmpeg` or `ffprobe`.
        program: &'static str,
        /// The folders, in order.
        looked_in: Vec<PathBuf>,
    },
    /// The program is of a version that lacks what is asked of it.
    #[error("`{program}` is too old: expected ffmpeg 5.1 or later, which knows the option `-fps_mode`", program = program.display())]
    TooOld {
        /// The program.
        program: PathBuf,
    },
    /// A program could not be started.
    #[error("cannot start `{program}`: {source}", program = program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is no such file, or it cannot be read.
    #[error("cannot read the video `{path}`: {source}", path = path.display())]
    Read {
        /// The video.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file holds no moving picture that is read.
    #[error("`{path}` is no video that can be read: {reason}", path = path.display())]
    NotVideo {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// Frames are larger than any that are decoded.
    #[error(
        "`{path}` has frames of {width} by {height} pixels: expected at most {limit} million pixels; scale the video down",
        path = path.display()
    )]
    TooLarge {
        /// The video.
        path: PathBuf,
        /// Width of a frame.
        width: u64,
        /// Height of a frame.
        height: u64,
        /// The bound.
        limit: u64,
    },
    /// A time is negative or no number.
    #[error("`{path}` was asked for its frame at {time_s} s: expected a time of at least 0", path = path.display())]
    Time {
        /// The video.
        path: PathBuf,
        /// The time asked for.
        time_s: f64,
    },
    /// A time lies behind the last frame.
    #[error(
        "`{path}` was asked for its frame at {time_s} s but ends at {end_s} s; shorten the event, or correct its onset in \
         the video",
        path = path.display()
    )]
    PastEnd {
        /// The video.
        path: PathBuf,
        /// The first time asked for that lies behind the end.
        time_s: f64,
        /// Where the video ends.
        end_s: f64,
    },
    /// `ffmpeg` gave up on the video.
    #[error("ffmpeg failed on `{path}` ({status}); its last words: {last_lines}", path = path.display())]
    Died {
        /// The video.
        path: PathBuf,
        /// How it ended.
        status: String,
        /// The last lines that it wrote.
        last_lines: String,
    },
    /// A frame could not be written.
    #[error("cannot write the frame `{path}`: {source}", path = path.display())]
    Write {
        /// The picture.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The run was cancelled.
    #[error("cancelled while reading `{path}`", path = path.display())]
    Cancelled {
        /// The video.
        path: PathBuf,
    },
}

impl VideoError {
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }
}

fn listed(folders: &[PathBuf]) -> String {
    let names: Vec<String> = folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
    if names.is_empty() { "no folder, as `PATH` is empty".to_owned() } else { names.join(", ") }
}
