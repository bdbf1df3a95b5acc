//! What can go wrong with an atlas, and what is odd about one.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::brain::grid::GridError;
use crate::brain::membership::MembershipError;
use crate::format::cifti::CiftiError;
use crate::format::nifti::NiftiError;
use crate::format::tsv::TsvError;

/// What can go wrong with an atlas.
#[derive(Debug, Error)]
pub enum AtlasError {
    /// The image is not readable.
    #[error(transparent)]
    Image(#[from] NiftiError),
    /// The CIFTI file is not readable.
    #[error(transparent)]
    Cifti(#[from] CiftiError),
    /// A CIFTI file has no labels of single places.
    #[error("`{}` holds {found}, expected dense labels (`.dlabel.nii`)", path.display())]
    NoSurfaceLabels {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: &'static str,
    },
    /// Which of several maps is meant is not clear.
    #[error("`{}` has {}: set `map` to one of {}", path.display(), match asked {
        Some(name) => format!("no map `{name}`"),
        None => "several maps".to_owned(),
    }, quoted(available))]
    WhichMap {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        asked: Option<String>,
        /// The names there are.
        available: Vec<String>,
    },
    /// Surfaces have other vertices.
    #[error("`{}` has a surface of {structure} with {found} vertices, expected {expected} as the series has: take the atlas at that density", path.display())]
    OtherMesh {
        /// The atlas.
        path: PathBuf,
        /// The structure.
        structure: String,
        /// Vertices in the atlas.
        found: u32,
        /// Vertices in the series.
        expected: u32,
    },
    /// Voxels lie in another volume.
    #[error("`{}` has its voxels in another volume than the series", path.display())]
    OtherVolume {
        /// The atlas.
        path: PathBuf,
    },
    /// Atlas and series share no place.
    #[error("`{}` has no place in common with the series: they are of different structures", path.display())]
    NoCommonPlace {
        /// The atlas.
        path: PathBuf,
    },
    /// The table is not readable.
    #[error(transparent)]
    Table(#[from] TsvError),
    /// The grid is not usable or lies elsewhere.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// A network cannot have the name that the table gives it.
    #[error("`{}`: {source}", path.display())]
    Name {
        /// The table.
        path: PathBuf,
        /// The name and what is wrong with it.
        source: MembershipError,
    },
    /// The table is in none of the formats that are read.
    #[error("`{}` is no table of labels, it begins `{first_line}`: {}", path.display(), reasons.join("; "))]
    NotATable {
        /// The file.
        path: PathBuf,
        /// Its first line, shortened.
        first_line: String,
        /// What each format would need.
        reasons: Vec<String>,
    },
    /// Several columns could have one meaning.
    #[error("`{}` has several columns that could hold {role}: {}; {hint}", path.display(), quoted(columns))]
    Ambiguous {
        /// The table.
        path: PathBuf,
        /// The meaning.
        role: &'static str,
        /// The columns.
        columns: Vec<String>,
        /// What to do.
        hint: &'static str,
    },
    /// A line of a table is not what its format has there.
    #[error("`{}` line {line}: {reason}", path.display())]
    Line {
        /// The table.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// An XML table is not readable.
    #[error("`{}` is not readable as an FSL atlas: {reason}", path.display())]
    Xml {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The table is too large to be one.
    #[error("`{}` is {found_bytes} bytes long, a table of labels may have {limit_bytes}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        found_bytes: u64,
        /// The longest that is read.
        limit_bytes: u64,
    },
    /// Two rows describe one label.
    #[error("`{}` line {line} describes label {index} again", path.display())]
    RepeatedIndex {
        /// The table.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// The label.
        index: i32,
    },
    /// Networks are to be taken from names that do not tell them.
    #[error(
        "no name in `{}` tells a network, as `7Networks_LH_Vis_1` does: use a column of the table or make every parcel its own network",
        path.display()
    )]
    NamesWithoutNetworks {
        /// The table.
        path: PathBuf,
    },
    /// No label of the image is in the table.
    #[error("none of the labels in `{}` stands in column `index` of `{}`: the two do not belong together", image.display(), table.display())]
    NothingInCommon {
        /// The image.
        image: PathBuf,
        /// The table.
        table: PathBuf,
    },
    /// Labels were expected, but there is a series of volumes.
    #[error(
        "`{}` has {n_volumes} volumes, a label atlas has one: set `threshold` if the volumes are probability maps, or save the one parcellation that is meant as a volume of its own",
        path.display()
    )]
    SeveralVolumes {
        /// The image.
        path: PathBuf,
        /// Its volumes.
        n_volumes: usize,
    },
    /// A table of labels is missing.
    #[error("`{}` is a label atlas without a table that names its labels: set `table`", path.display())]
    NoTable {
        /// The image.
        path: PathBuf,
    },
    /// Probability maps cannot be cut at this value.
    #[error("the threshold of probability maps is {found}, expected a number above 0")]
    Threshold {
        /// The threshold.
        found: f64,
    },
    /// Maps were expected, but there are labels.
    #[error(
        "`{}` volume {volume} holds whole numbers up to {largest}, which are labels and no probabilities: remove `threshold`, and keep one volume if it has several",
        path.display()
    )]
    LabelsNotMaps {
        /// The image.
        path: PathBuf,
        /// The volume, counted from 0.
        volume: usize,
        /// Its largest value.
        largest: f32,
    },
    /// The rows of a table are not the maps of an image.
    #[error(
        "`{}` has {n_maps} maps, but the rows of `{}` are numbered {numbers}: expected one row for each map, numbered from 0 or from 1",
        image.display(),
        table.display()
    )]
    OtherMaps {
        /// The image.
        image: PathBuf,
        /// Its maps.
        n_maps: usize,
        /// The table.
        table: PathBuf,
        /// The numbers of its rows in words.
        numbers: String,
    },
    /// Too many maps hold too many voxels.
    #[error(
        "at a threshold of {threshold} the maps of `{}` hold a voxel {n_maps_of_voxel} times on average: raise the threshold",
        path.display()
    )]
    TooMuchOverlap {
        /// The image.
        path: PathBuf,
        /// The threshold.
        threshold: f64,
        /// Maps that hold an average voxel of the grid, at least.
        n_maps_of_voxel: usize,
    },
    /// Maps are referenced, not copied.
    #[error("`{}` holds probability maps, which are not written as labels", path.display())]
    NotLabels {
        /// The image.
        path: PathBuf,
    },
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What is odd about an atlas but does not stop a study.
#[derive(Debug, Clone, PartialEq)]
pub enum AtlasWarning {
    /// Voxels carry a label that the table does not describe; they belong to no network.
    LabelWithoutRow {
        /// The label.
        label: i32,
        /// How many voxels carry it.
        n_voxels: usize,
    },
    /// The table describes a label that no voxel carries.
    RowWithoutLabel {
        /// The label.
        index: i32,
        /// Its name.
        name: String,
    },
    /// A colour table describes labels that no voxel carries; they are no regions of the atlas.
    RowsDropped {
        /// How many.
        n_rows: usize,
    },
    /// Several parcels of one name, meant to be networks of their own, make one network.
    SharedName {
        /// The name.
        name: String,
        /// How many parcels have it.
        n_parcels: usize,
    },
    /// Some names tell a network and others do not, so that names were not used.
    NamesInPart {
        /// Names that tell a network.
        n_telling: usize,
        /// Names there are.
        n_parcels: usize,
    },
    /// Voxels of a map are no numbers; they count as probability 0.
    NotFinite {
        /// The map's name.
        name: String,
        /// How many.
        n_voxels: usize,
    },
    /// The threshold looks as if it were meant for another scale than that of the maps.
    ThresholdScale {
        /// The threshold.
        threshold: f64,
        /// The largest value of all maps.
        largest: f32,
    },
}

impl fmt::Display for AtlasWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AtlasWarning::LabelWithoutRow { label, n_voxels } => {
                write!(f, "label {label} of {n_voxels} voxels has no row in the atlas table: they belong to no network")
            }
            AtlasWarning::RowWithoutLabel { index, name } => {
                write!(f, "parcel `{name}` of the atlas table: no voxel carries its label {index}")
            }
            AtlasWarning::RowsDropped { n_rows } => {
                write!(f, "{n_rows} rows of the colour table describe labels that no voxel carries: they are left out")
            }
            AtlasWarning::SharedName { name, n_parcels } => {
                write!(f, "{n_parcels} parcels are called `{name}`: they make one network")
            }
            AtlasWarning::NamesInPart { n_telling, n_parcels } => write!(
                f,
                "{n_telling} of {n_parcels} parcels have names that tell a network, as `7Networks_LH_Vis_1` does: \
                 every parcel is its own network unless `networks = \"names\"` is set"
            ),
            AtlasWarning::NotFinite { name, n_voxels } => {
                write!(f, "map `{name}` is not a number in {n_voxels} voxels: they count as probability 0")
            }
            AtlasWarning::ThresholdScale { threshold, largest } => write!(
                f,
                "the threshold of the maps is {threshold}, their largest value {largest}: {}",
                if *largest < *threshold as f32 { "no voxel belongs to any map" } else { "are they per cent?" }
            ),
        }
    }
}
