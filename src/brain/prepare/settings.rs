//! What a study says about the preparation of its runs: the fields of `[preparation]`.
//!
//! Owns the names, defaults and ranges of the fields and nothing of what they do: volumes are dropped in
//! [`super::samples`], columns chosen in [`super::confounds`] and [`super::nuisance`], series cleaned in [`super::clean`].

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done to each run before it is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Preparation {
    /// Columns of the confounds table to regress out, beside those of `nuisance`; `*` stands for any text, as in
    /// `rot_*`.
    pub confounds: Vec<String>,
    /// Groups of columns of an fMRIPrep confounds table to regress out.
    pub nuisance: Nuisance,
    /// Slowest period kept, in seconds: cosines slower than this are regressed out. No high-pass filter if absent.
    #[schemars(range(min = 1.0))]
    #[schemars(example = 128.0)]
    pub high_pass_s: Option<f64>,
    /// Also take out a linear trend.
    pub detrend: bool,
    /// The scale that the cleaned series of each voxel are brought to, within the run.
    pub scale: Scale,
    /// Full width at half maximum, in millimetres, of a Gaussian that every volume is smoothed with before its voxels
    /// are taken. Not smoothed if absent.
    #[schemars(range(min = 0.1, max = 100.0))]
    #[schemars(example = 6.0)]
    pub smoothing_fwhm_mm: Option<f64>,
    /// Number of volumes dropped at the start of the run.
    pub drop_initial: usize,
    /// Number of volumes dropped at the end of the run.
    pub drop_final: usize,
    /// Volumes dropped from every run, counted from 0: single ones, and ranges as `"10-14"`, which include both ends.
    #[schemars(example = serde_json::json!([0, "10-14"]))]
    pub drop_volumes: Vec<VolumeRange>,
    /// Drop the volumes that the confounds table marks as `non_steady_state_outlier…`.
    pub drop_non_steady_state: bool,
    /// Drop volumes whose `framewise_displacement` exceeds this, in millimetres. None are dropped if absent.
    #[schemars(range(min = 0.0))]
    #[schemars(example = 0.5)]
    pub max_framewise_displacement_mm: Option<f64>,
    /// Drop volumes whose standardised DVARS, `std_dvars`, exceeds this. None are dropped if absent.
    #[schemars(range(min = 0.0))]
    #[schemars(example = 1.5)]
    pub max_std_dvars: Option<f64>,
    /// Volumes dropped before each one that moved too much (by displacement or DVARS).
    pub scrub_before: usize,
    /// Volumes dropped after each one that moved too much (by displacement or DVARS).
    pub scrub_after: usize,
    /// Between volumes that moved too much, also drop stretches of fewer volumes than this; 5 is what nilearn's
    /// `load_confounds` does.
    #[schemars(example = 5)]
    pub scrub_shorter_than: usize,
    /// Seconds left out at the start of every clip of a clip table, while the response to what came before fades.
    #[schemars(range(min = 0.0))]
    pub clip_trim_s: f64,
}

impl Default for Preparation {
    fn default() -> Self {
        Preparation {
            confounds: Vec::new(),
            nuisance: Nuisance::default(),
            high_pass_s: None,
            detrend: false,
            scale: Scale::default(),
            smoothing_fwhm_mm: None,
            drop_initial: 0,
            drop_final: 0,
            drop_volumes: Vec::new(),
            drop_non_steady_state: false,
            max_framewise_displacement_mm: None,
            max_std_dvars: None,
            scrub_before: 0,
            scrub_after: 0,
            scrub_shorter_than: 0,
            clip_trim_s: 0.0,
        }
    }
}

impl Preparation {
    /// Whether a confounds table has to be there.
    pub fn needs_table(&self) -> bool {
        !self.confounds.is_empty()
            || self.nuisance != Nuisance::default()
            || self.drop_non_steady_state
            || self.max_framewise_displacement_mm.is_some()
            || self.max_std_dvars.is_some()
    }

    /// Whether the JSON file beside the confounds table has to be there: it says which CompCor component is which.
    pub fn needs_sidecar(&self) -> bool {
        self.nuisance.compcor.is_some()
    }
}

/// The scale of cleaned series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Mean 0 and standard deviation 1, dividing by n - 1.
    #[default]
    ZScore,
    /// Percent of the voxel's mean before cleaning, as change from that mean.
    PercentChange,
    /// As recorded.
    None,
}

/// Groups of columns of an fMRIPrep confounds table (version 1.4 or later), chosen as nilearn's `load_confounds` does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nuisance {
    /// Head motion: three translations and three rotations. Not regressed out if absent.
    #[schemars(example = Expansion::Full)]
    pub motion: Option<Expansion>,
    /// Mean signals of white matter and cerebrospinal fluid. Not regressed out if absent.
    #[schemars(example = Expansion::Basic)]
    pub wm_csf: Option<Expansion>,
    /// Mean signal of the whole brain. Not regressed out if absent.
    #[schemars(example = Expansion::Basic)]
    pub global_signal: Option<Expansion>,
    /// Principal components of signals that are not neural; needs a high-pass filter, as fMRIPrep filters before it
    /// finds them. Not regressed out if absent.
    #[schemars(example = serde_json::json!({ "method": "anat-combined", "n": 5 }))]
    pub compcor: Option<Compcor>,
    /// Filter by the columns `cosine…`, which fMRIPrep makes for 128 s, instead of by `high_pass_s`.
    pub fmriprep_cosines: bool,
}

/// Which columns stand for a nuisance signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expansion {
    /// The signals alone: motion 6 columns, white matter and cerebrospinal fluid 2, global signal 1.
    Basic,
    /// The signals and their differences from volume to volume: 12, 4 and 2 columns.
    Derivatives,
    /// The signals and their squares: 12, 4 and 2 columns.
    Power2,
    /// The signals, their differences, and the squares of both: 24, 8 and 4 columns.
    Full,
}

/// Components found by CompCor (Behzadi et al. 2007).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compcor {
    /// Where the components come from.
    pub method: CompcorMethod,
    /// The first so many components of each mask; all that fMRIPrep kept (half of the variance) if absent.
    #[serde(default)]
    #[schemars(range(min = 1))]
    #[schemars(example = 5)]
    pub n: Option<usize>,
}

/// Where CompCor's components come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CompcorMethod {
    /// White matter and cerebrospinal fluid taken together.
    AnatCombined,
    /// White matter and cerebrospinal fluid apart: so many components of each.
    AnatSeparated,
    /// The voxels that vary most over time.
    Temporal,
    /// `temporal` and `anat-combined`.
    TemporalAnatCombined,
    /// `temporal` and `anat-separated`.
    TemporalAnatSeparated,
}

impl fmt::Display for CompcorMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnatCombined => "white matter and cerebrospinal fluid together",
            Self::AnatSeparated => "white matter and cerebrospinal fluid apart",
            Self::Temporal => "the voxels that vary most",
            Self::TemporalAnatCombined => {
                "the voxels that vary most, and white matter and cerebrospinal fluid together"
            }
            Self::TemporalAnatSeparated => "the voxels that vary most, and white matter and cerebrospinal fluid apart",
        })
    }
}

/// Volumes from one to another, both included, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "WrittenRange", into = "WrittenRange")]
pub struct VolumeRange {
    first: usize,
    last: usize,
}

impl VolumeRange {
    /// The volumes `first` to `last`; `None` if the last comes before the first.
    pub fn new(first: usize, last: usize) -> Option<Self> {
        (first <= last).then_some(VolumeRange { first, last })
    }

    /// The first volume.
    pub fn first(self) -> usize {
        self.first
    }

    /// The last volume.
    pub fn last(self) -> usize {
        self.last
    }
}

impl fmt::Display for VolumeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// Volumes as they are written: one number, or a text such as `10-14`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum WrittenRange {
    /// One volume.
    One(usize),
    /// The first and the last volume with a hyphen between them.
    Range(#[schemars(regex(pattern = r"^[0-9]+ *- *[0-9]+$"))] String),
}

impl TryFrom<WrittenRange> for VolumeRange {
    type Error = String;

    fn try_from(written: WrittenRange) -> Result<Self, String> {
        match written {
            WrittenRange::One(volume) => Ok(VolumeRange { first: volume, last: volume }),
            WrittenRange::Range(text) => {
                let ends = text
                    .split_once('-')
                    .and_then(|(first, last)| VolumeRange::new(first.trim().parse().ok()?, last.trim().parse().ok()?));
                ends.ok_or_else(|| format!("`{text}` is no range of volumes, expected two numbers such as `10-14`"))
            }
        }
    }
}

impl From<VolumeRange> for WrittenRange {
    fn from(range: VolumeRange) -> Self {
        match range.first == range.last {
            true => WrittenRange::One(range.first),
            false => WrittenRange::Range(range.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_as_they_are_written() {
        let text = "detrend = true\nscale = \"percent-change\"\ndrop_volumes = [3, \"10-14\"]\nhigh_pass_s = 128\n\
                    [nuisance]\nmotion = \"full\"\nwm_csf = \"basic\"\n\
                    compcor = { method = \"anat-separated\", n = 5 }\n";
        let preparation: Preparation = toml::from_str(text).unwrap();
        assert_eq!(preparation.drop_volumes, [VolumeRange::new(3, 3).unwrap(), VolumeRange::new(10, 14).unwrap()]);
        assert_eq!((preparation.scale, preparation.nuisance.motion), (Scale::PercentChange, Some(Expansion::Full)));
        let compcor = Compcor { method: CompcorMethod::AnatSeparated, n: Some(5) };
        assert_eq!(preparation.nuisance.compcor, Some(compcor));
        assert!(preparation.needs_table() && preparation.needs_sidecar());
        let written = serde_json::to_value(&preparation).unwrap();
        assert_eq!(written["drop_volumes"], serde_json::json!([3, "10-14"]));
        assert_eq!(serde_json::from_value::<Preparation>(written).unwrap(), preparation);
    }

    #[test]
    fn an_empty_table_is_the_default() {
        assert_eq!(toml::from_str::<Preparation>("").unwrap(), Preparation::default());
        assert!(!Preparation::default().needs_table() && !Preparation::default().needs_sidecar());
    }

    #[test]
    fn editors_are_told_both_ways_to_write_volumes() {
        let schema = schemars::generate::SchemaSettings::draft07().into_generator();
        let schema = schema.into_root_schema_for::<Preparation>().to_value();
        let range = &schema["definitions"]["VolumeRange"];
        let forms: Vec<&str> = range["anyOf"].as_array().unwrap().iter().filter_map(|f| f["type"].as_str()).collect();
        assert_eq!(forms, ["integer", "string"], "{range}");
        for name in ["Preparation", "Nuisance", "Compcor"] {
            let table = if name == "Preparation" { &schema } else { &schema["definitions"][name] };
            for (field, property) in table["properties"].as_object().unwrap() {
                assert!(property["description"].is_string(), "{name}.{field}");
            }
        }
    }

    #[test]
    fn ranges_that_are_none_are_refused() {
        for text in ["\"14-10\"", "\"ten-12\"", "\"-3\"", "\"4\"", "-2", "\"1-2-3\"", "\"1-99999999999999999999\""] {
            assert!(toml::from_str::<Preparation>(&format!("drop_volumes = [{text}]")).is_err(), "{text}");
        }
        let error = toml::from_str::<Preparation>("drop_volumes = [\"14-10\"]").unwrap_err().to_string();
        assert!(error.contains("`14-10` is no range of volumes, expected two numbers such as `10-14`"), "{error}");
    }
}
