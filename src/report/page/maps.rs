//! Maps: slices for print, and what the interactive viewer shows.

use super::Measure;
use crate::report::volume::Volume;

/// A map of scores over the brain.
#[derive(Debug, Clone)]
pub struct BrainMap {
    /// Which subject, model and features it shows.
    pub title: String,
    /// What the colours stand for; maps of the same measure share their scale.
    pub measure: Measure,
    /// The scores, the mask and where they lie in space.
    pub volume: Volume,
}

/// What the interactive viewer shows, at the precision of a screen.
#[derive(Debug, Clone, Default)]
pub struct Viewer {
    /// The brains under the maps.
    pub brains: Vec<ViewerBrain>,
    /// The maps, in the order in which they are offered.
    pub maps: Vec<ViewerMap>,
    /// Maps that the page has no room for.
    pub n_left_out: usize,
}

/// The voxels of a subject by network.
#[derive(Debug, Clone)]
pub struct ViewerBrain {
    /// Name of the subject.
    pub subject: String,
    /// Networks, in the order of their numbers, which start at 1.
    pub networks: Vec<String>,
    /// A gzipped NIfTI file of these numbers.
    pub file: Vec<u8>,
}

/// A map, or several that are looked at one by one.
#[derive(Debug, Clone)]
pub struct ViewerMap {
    /// Which subject, model and quantity it shows.
    pub title: String,
    /// Place of its brain.
    pub brain: usize,
    /// What its numbers are; its colours end at `least_end`.
    pub measure: Measure,
    /// What is looked at; at least one.
    pub frames: Vec<ViewerFrame>,
    /// Maps of the file of full precision.
    pub n_frames: usize,
    /// The file of full precision, from the page's folder.
    pub path: String,
}

/// One map of the viewer.
#[derive(Debug, Clone)]
pub struct ViewerFrame {
    /// Its name among others; empty where it is alone.
    pub name: String,
    /// A gzipped NIfTI file.
    pub file: Vec<u8>,
}
