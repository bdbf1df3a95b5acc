//! Results to one offline HTML page.
//!
//! This folder owns how a study looks to its reader: a [`Page`] of plain data goes in, a self-contained HTML file
//! comes out ([`render()`]). It reads no artifact and computes no statistic; whoever fills the page does. The file opens
//! from disk without a network, runs no script but its own and follows the reader's light or dark theme.
//!
//! ```text
//! page.rs      the view model            render.rs    the page's frame and warnings
//! volume.rs    a checked volume, RAS     summary.rs   the answers in words
//! colour.rs    numbers to colours        charts/      what each chart shows, as Vega-Lite
//! number.rs    numbers to words          figure.rs    a chart with its alternative text and numbers
//! mosaic.rs    axial slices              draw.rs      charts to SVG without a browser
//! legend.rs    their colour bar          script.rs    what the page runs: ours and vendored libraries
//! sections/    one file for each         style.css, scripts/, vendored/
//!
//! overview.rs, failure.rs, live.rs       the pages over a sweep, of a run that failed, of one that goes on
//! ```
//!
//! Equal pages give equal bytes: no clock, no random ids.

mod charts;
mod colour;
mod draw;
mod failure;
mod figure;
mod legend;
mod live;
mod mosaic;
mod number;
mod overview;
mod page;
mod references;
mod render;
mod script;
mod sections;
mod summary;
mod volume;

pub use draw::{DrawError, Drawer};
pub use failure::{FailedTask, Failure, render_failure};
pub use figure::Figure;
pub use live::render_live;
pub use overview::{Overview, OverviewCell, OverviewModel, SensitivityRow, overview_figures, render_overview};
pub use page::{
    BandScore, BrainMap, Engine, FindingRow, LEAST_CORRELATION, LayerCode, LayerId, LayerScores, Measure, ModuleScores,
    NetworkScores, Null, OpposedPair, OutputFile, Page, PairCode, Pattern, PatternSet, Polarity, Prediction,
    PredictionPanel, Provenance, Redundancy, RedundantPair, Run, Scale, Seed, Severity, SharedVoxels, Subject, Task,
    TaskState, Value, Viewer, ViewerBrain, ViewerFrame, ViewerMap, Warning,
};
pub use references::{Venue, Work, cited, work_named};
pub use render::{figures, render};
pub use volume::{MAX_AXIS, MAX_VOXELS, Volume, VolumeError};
