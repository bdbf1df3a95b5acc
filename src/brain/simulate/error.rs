//! What can go wrong with a simulation, and how it is said.

use thiserror::Error;

use super::SHORTEST_RUN;
use crate::brain::atlas::AtlasError;
use crate::brain::grid::GridError;
use crate::format::bids::BidsError;
use crate::format::nifti::NiftiError;
use crate::format::tsv::TsvError;

/// What can go wrong with a simulation.
#[derive(Debug, Error)]
pub enum SimulateError {
    /// An image cannot be written.
    #[error(transparent)]
    Image(#[from] NiftiError),
    /// A table cannot be written.
    #[error(transparent)]
    Table(#[from] TsvError),
    /// The dataset cannot be written.
    #[error(transparent)]
    Bids(#[from] BidsError),
    /// The grid is not usable.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The atlas cannot be written.
    #[error(transparent)]
    Atlas(#[from] AtlasError),
    /// A parameter is outside its range.
    #[error("`{field}` is {found}, expected {expected}")]
    Parameter {
        /// Its name.
        field: String,
        /// Its value.
        found: String,
        /// Its range.
        expected: &'static str,
    },
    /// A planted network is not in the schematic atlas.
    #[error("network `{name}` is not in the schematic atlas: its networks are {}", available.join(", "))]
    UnknownNetwork {
        /// The name.
        name: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// A run that is not there is to be shown again.
    #[error("`repeats` names run `{name}`, which is not simulated: the runs are {}", available.join(", "))]
    UnknownRun {
        /// The name.
        name: String,
        /// The runs there are.
        available: Vec<String>,
    },
    /// Two runs would have one name.
    #[error("`repeats` shows run `{run}` again as `{name}`, which is the name of another run: choose another")]
    RunTwice {
        /// The name.
        name: String,
        /// The run to be shown again.
        run: String,
    },
    /// A network is to follow units that the model does not have.
    #[error("network `{network}` follows layer {layer} of `{module}`, which has no unit: the units are of {}", available.join(", "))]
    NoUnits {
        /// The network.
        network: String,
        /// The module.
        module: String,
        /// The layer.
        layer: usize,
        /// Modules and layers there are.
        available: Vec<String>,
    },
    /// The matrix of a run does not fit the list of units.
    #[error("run `{run}` has {found} unit columns, expected {expected} as in the list of units")]
    UnitColumns {
        /// The run.
        run: String,
        /// Columns of its matrix.
        found: usize,
        /// Length of the list.
        expected: usize,
    },
    /// A unit has a value that is not a finite number.
    #[error("run `{run}` has unit values that are not finite: a volume without stimulus must be 0 after z-scoring")]
    NotFinite {
        /// The run.
        run: String,
    },
    /// Patterns are planted in a run that comes without their time courses.
    #[error("run `{run}` has no time courses of patterns, which `patterns` plants")]
    NoPatterns {
        /// The run.
        run: String,
    },
    /// The time courses of a run do not fit it, or the other runs.
    #[error(
        "run `{run}` has time courses of {} volumes and {} patterns, expected {} volumes and {} patterns",
        found[0], found[1], expected[0], expected[1]
    )]
    PatternShape {
        /// The run.
        run: String,
        /// Rows and columns of its matrix.
        found: [usize; 2],
        /// Volumes of the run, and patterns of the first run.
        expected: [usize; 2],
    },
    /// A time course has a value that is not a finite number.
    #[error("run `{run}` has time courses of patterns that are not finite")]
    PatternNotFinite {
        /// The run.
        run: String,
    },
    /// There are not enough patterns that vary and hardly correlate.
    #[error(
        "{found} {what}, expected {expected}: {n_varying} of {n_patterns} patterns vary, and those in pairs may \
         correlate by {max_correlation} at most with any other that drives voxels"
    )]
    TooFewPatterns {
        /// What patterns can do too seldom.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many were asked for.
        expected: usize,
        /// Patterns of the model.
        n_patterns: usize,
        /// Those that are not constant over all runs.
        n_varying: usize,
        /// The bound.
        max_correlation: f64,
    },
    /// There are fewer voxels than sets of them.
    #[error("the networks of `patterns` have {found} voxels, expected at least {expected}, one for each set")]
    TooFewVoxels {
        /// Voxels of these networks.
        found: usize,
        /// Sets asked for.
        expected: usize,
    },
    /// There is nothing to simulate.
    #[error("run `{run}` has {found} volumes, expected at least {SHORTEST_RUN}")]
    TooShort {
        /// The run.
        run: String,
        /// Its volumes.
        found: usize,
    },
}
