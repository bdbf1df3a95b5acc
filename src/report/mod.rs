//! Results to one offline HTML page.
//!
//! This folder owns how a study looks to its reader: a [`Page`] of plain data goes in, a self-contained HTML file
//! comes out ([`render()`]). It reads no artifact and computes no statistic; whoever fills the page does. The file opens
//! from disk without a network, runs no script and follows the reader's light or dark theme.
//!
//! ```text
//! page.rs      the view model            render.rs    the page's frame, its summary and warnings
//! volume.rs    a checked volume, RAS     sections/    one file for each section
//! colour.rs    numbers to colours        heatmap.rs   matrices and legends
//! number.rs    numbers to words          mosaic.rs    axial slices
//! style.css    the look                  lines.rs     time courses and layer profiles
//! overview.rs  the page over a sweep
//! ```
//!
//! Equal pages give equal bytes: no clock, no random ids.

mod colour;
mod heatmap;
mod lines;
mod mosaic;
mod number;
mod overview;
mod page;
mod render;
mod sections;
mod volume;

pub use overview::{Overview, OverviewCell, OverviewModel, SensitivityRow, render_overview};
pub use page::{
    BrainMap, Engine, FindingRow, LEAST_CORRELATION, LayerCode, LayerId, LayerScores, Measure, ModuleScores,
    NetworkScores, Null, OpposedPair, OutputFile, Page, PairCode, Pattern, PatternSet, Polarity, Prediction,
    PredictionPanel, Provenance, Redundancy, Run, Scale, Seed, Severity, SharedVoxels, Subject, Task, Value, Warning,
};
pub use render::render;
pub use volume::{MAX_AXIS, MAX_VOXELS, Volume, VolumeError};
