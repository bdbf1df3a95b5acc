//! Frames of a video at stated times, through the `ffmpeg` program.
//!
//! ```text
//! ffmpeg.rs   where the programs are, and what is always asked of them
//! probe.rs    a video's length, rate and size, from its headers
//! run.rs      one run of ffmpeg over the video -> frames with their times
//! frames.rs   frames and the times asked for -> one PNG for each
//! error.rs    what can go wrong
//! ```
//!
//! The frame at a time is the one on screen then: the last whose own time is not later. Times count from the start of the
//! file as players count, frames bear the times that the file gives them (so variable rates need no care), and nothing is
//! repeated, dropped or sought. Knows no runs and no volumes: which times are wanted is for others to say.

mod error;
mod ffmpeg;
mod frames;
mod probe;
mod run;

pub use error::VideoError;
pub use ffmpeg::{FFMPEG_VARIABLE, Ffmpeg, find_ffmpeg};
pub use frames::{Frame, write_frames};
pub use probe::{Video, probe};
