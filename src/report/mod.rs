//! Results to one offline HTML page.
//!
//! This folder owns how a study looks to its reader: a [`Page`] of plain data goes in, a self-contained HTML file
//! comes out ([`render()`]). It reads no artifact and computes no statistic; whoever fills the page does. The file opens
//! from disk without a network, runs no script but its own and follows the reader's light or dark theme.
//!
//! ```text
//! page.rs      the view model            render.rs    the page's frame, its summary and warnings
//! volume.rs    a checked volume, RAS     sections/    one file for each section
//! colour.rs    numbers to colours        charts/      what each chart shows, as Vega-Lite
//! number.rs    numbers to words          figure.rs    a chart with its alternative text and numbers
//! overview.rs  the page over a sweep     script.rs    what the page runs: ours and vendored libraries
//! mosaic.rs    axial slices              draw.rs      charts to SVG without a browser
//! legend.rs    their colour bar          style.css, scripts/, vendored/
//! ```
//!
//! Equal pages give equal bytes: no clock, no random ids.

mod charts;
mod colour;
mod draw;
mod figure;
mod legend;
mod mosaic;
mod number;
mod overview;
mod page;
mod render;
mod script;
mod sections;
mod volume;

pub use draw::{DrawError, Drawer};
pub use figure::Figure;
pub use overview::{Overview, OverviewCell, OverviewModel, SensitivityRow, overview_figures, render_overview};
pub use page::{
    BrainMap, Engine, FindingRow, LEAST_CORRELATION, LayerCode, LayerId, LayerScores, Measure, ModuleScores,
    NetworkScores, Null, OpposedPair, OutputFile, Page, PairCode, Pattern, PatternSet, Polarity, Prediction,
    PredictionPanel, Provenance, Redundancy, RedundantPair, Run, Scale, Seed, Severity, SharedVoxels, Subject, Task,
    Value, Viewer, ViewerBrain, ViewerMap, Warning,
};
pub use render::{figures, render};
pub use volume::{MAX_AXIS, MAX_VOXELS, Volume, VolumeError};
