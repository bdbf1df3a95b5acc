//! From an atlas, whatever it is, to the networks of every place of a series.
//!
//! Owns the choice between volumes and surfaces and the order of the steps: read, bring to the places of the data, combine, clean.
//! Which places are studied is for [`super::mask`].

use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::atlas::surface::{SurfaceAtlas, is_surface_atlas};
use super::atlas::{Atlas, AtlasError, Grouping, Reading};
use super::locations::Extent;
use super::mask::Assigned;
use super::regions::NetworkChanges;
use super::regions::rules::RuleError;

/// How a study wants its atlas understood.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AtlasOptions {
    /// Which parcels make one network.
    pub networks: Grouping,
    /// Smallest probability that belongs, for an atlas of probability maps.
    pub threshold: Option<f64>,
    /// Which map of a CIFTI file.
    pub map: Option<String>,
    /// What is made of the networks.
    #[serde(flatten)]
    pub changes: NetworkChanges,
}

/// Why an atlas does not give the networks of a series.
#[derive(Debug, Error)]
pub enum AssignError {
    /// It is not readable, or lies elsewhere.
    #[error(transparent)]
    Atlas(#[from] AtlasError),
    /// What is to be made of its networks cannot be.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// One is a volume and the other is not.
    #[error("`{atlas}` is {found}, and the series are {expected}: take the atlas in that form")]
    Kind {
        /// The atlas.
        atlas: String,
        /// What it is.
        found: &'static str,
        /// What the series are.
        expected: &'static str,
    },
    /// Options of volumes for surfaces, or the other way round.
    #[error("`{option}` is for an atlas of {of}, and `{atlas}` is none")]
    Option {
        /// The atlas.
        atlas: String,
        /// The option.
        option: &'static str,
        /// What it is for.
        of: &'static str,
    },
}

/// The networks of every place, and what is odd about them.
///
/// # Errors
/// If the atlas is not readable, does not fit the series, or its networks cannot be changed as asked.
pub fn assign(
    labels: &Path,
    table: Option<&Path>,
    options: &AtlasOptions,
    extent: &Extent,
) -> Result<(Assigned, Vec<String>), AssignError> {
    let atlas = labels.display().to_string();
    let wrong = |option, of| Err(AssignError::Option { atlas: atlas.clone(), option, of });
    let mut told = Vec::new();
    let (membership, networks, cleaned) = match (is_surface_atlas(labels), extent) {
        (true, Extent::Grayordinates(models)) => {
            if options.threshold.is_some() {
                return wrong("threshold", "probability maps");
            }
            let atlas = SurfaceAtlas::read(labels, options.map.as_deref(), table, &options.networks)?;
            told.extend(atlas.warnings.iter().map(ToString::to_string));
            options.changes.apply_to_places(&atlas.membership(models)?, &atlas.networks)?
        }
        (false, Extent::Grid(grid)) => {
            if options.map.is_some() {
                return wrong("map", "surfaces (`.dlabel.nii`)");
            }
            let reading = Reading { networks: options.networks.clone(), threshold: options.threshold };
            let atlas = Atlas::read_as(labels, table, &reading)?;
            let (membership, warnings) = atlas.membership(grid)?;
            told.extend(atlas.warnings.iter().chain(&warnings).map(ToString::to_string));
            options.changes.apply(&membership, &atlas.networks, grid.shape)?
        }
        (true, Extent::Grid(_)) => {
            return Err(AssignError::Kind { atlas, found: "on surfaces", expected: "volumes" });
        }
        (false, Extent::Grayordinates(_)) => {
            return Err(AssignError::Kind { atlas, found: "a volume", expected: "on surfaces (`.dlabel.nii`)" });
        }
    };
    told.extend(cleaned.iter().map(ToString::to_string));
    Ok((Assigned { membership, networks }, told))
}
