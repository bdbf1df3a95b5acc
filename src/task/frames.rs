//! Cuts a film into pictures at the moments that a study looks at it.

use super::{Compute, Kind, TaskError, Workbench};
use crate::{
    format::tsv::Table,
    stimulus::video::{Ffmpeg, probe, write_frames},
};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

/// The frames of one film, the external file `video`.
#[derive(Debug, Serialize, Deserialize)]
pub struct CutFrames {
    /// Moments, in microseconds from the film's start, ascending.
    pub times_us: Vec<u64>,
    /// The programs that decode it.
    #[serde(rename = "~programs")] // the key has their version as the engine
    pub programs: Ffmpeg,
    /// Their version.
    #[serde(rename = "~version")] // the key has it as the engine
    pub version: String,
}

/// The picture of a moment, by its place among the moments of a film.
#[must_use]
pub fn frame_name(place: usize) -> String {
    format!("frame-{place:06}.png")
}

/// What each picture shows: moment asked for, and the time at which the frame came on screen.
const FRAMES: &str = "frames.tsv";

impl Compute for CutFrames {
    const KIND: Kind = Kind::Frames;

    fn memory_bytes(&self) -> u64 {
        // Frames stream; ffmpeg keeps a few of them, of whatever size.
        512 << 20
    }

    fn engine(&self) -> Option<String> {
        Some(format!("ffmpeg {}", self.version))
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let video = bench.files("video").first().expect("the plan gives the film");
        let film = probe(&self.programs, video)?;
        let times_s: Vec<f64> = self.times_us.iter().map(|time_us| *time_us as f64 * 1e-6).collect();
        let told: RefCell<Result<(), TaskError>> = RefCell::new(Ok(()));
        let mut progress = |done, total| {
            if told.borrow().is_ok() {
                *told.borrow_mut() = bench.step(done, total);
            }
        };
        let frames = write_frames(&self.programs, video, &times_s, bench.out, &mut progress, bench.cancelled);
        told.into_inner()?;
        let mut table = Table::new(["time", "shown", "width", "height"]);
        for frame in frames? {
            let (width, height) = (film.width.to_string(), film.height.to_string());
            table.push([frame.time_s.to_string(), frame.shown_s.to_string(), width, height]);
        }
        table.write(&bench.out.join(FRAMES))?;
        Ok(())
    }
}
