//! Simulated subjects whose voxels follow planted units.
//!
//! Owns the model of a simulated brain ([`Simulation`]) and the writing of a subject as fMRIPrep would leave it, so that
//! the same readers take it as take a real one. What a study may plant is said in [`planting`], which units drive which
//! voxel is drawn in [`truth`], the noise, drift and head motion in [`noise`]; the file layout is written in [`dataset`],
//! the texts that explain it in `sidecars`. Where the series of units and patterns come from is not known here: unit series
//! arrive convolved with the haemodynamic response and z-scored.
//!
//! Model of voxel v at volume t, with s_k the sources of v's network:
//!
//! y_v(t) = mean_v + sd * ( sqrt(snr) * g_v(t) + e_v(t) + drift * d_v(t) + motion * m_v(t) )
//!
//! g_v = sum_k a_vk s_k(t) scaled to variance 1 over all runs; e_v AR(1) noise of variance 1; d_v slow cosines; m_v a mix of
//! the six motion parameters that the confounds table states. `sd` is one per cent of the mean of about 1000. In a network of
//! two branches g_v = sqrt(w) f_v + sqrt(1 - w) h_v, again scaled to variance 1, where f_v and h_v are such sums of variance 1
//! of the sources of either branch. In networks that follow patterns the s_k are one or two of the patterns' time courses.
//! Voxels of networks in which nothing is planted, or outside all networks, have no g. A run shown again has the same g, and
//! e, d and m of its own.

pub mod dataset;
mod error;
pub mod noise;
mod patterns;
pub mod planting;
mod sidecars;
mod sources;
mod tables;
pub mod truth;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ndarray::ArrayView2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::bids::{BidsError, RunFiles};
use crate::format::tsv::Table;

pub use dataset::{ATLAS_LABELS, ATLAS_TABLE, simulate_subject};
pub use error::SimulateError;
pub use planting::{Mixing, PlantedNetwork, PlantedPatterns, SecondBranch};
pub use truth::{Branch, Mixture, PlantedPair, PlantedSet, PlantedSets, PlantedSource, PlantedVoxel, SetKind, Truth};

/// Fewest volumes of a simulated run: shorter ones have no usable variance.
pub const SHORTEST_RUN: usize = 10;

/// Most volumes of a simulated run: what the 16 bits of NIfTI-1's `dim` count.
pub const LONGEST_RUN: usize = i16::MAX as usize;

/// A brain whose answer is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Simulation {
    /// Seed of everything drawn. The planted truth depends on it alone, the noise also on subject and run.
    pub seed: u64,
    /// Voxels along left-right, back-front and bottom-top, 6 to 512 each.
    pub shape: [usize; 3],
    /// Edge of a voxel in millimetres, 20 at most.
    #[schemars(range(min = 0.1))]
    pub voxel_size_mm: f64,
    /// Variance of the planted signal over the variance of the noise, in every voxel that has a source. 0 plants nothing.
    #[schemars(range(min = 0.0))]
    pub snr: f64,
    /// Correlation of the noise with itself one volume later.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub ar1: f64,
    /// Size of the slow scanner drift, as a multiple of the noise.
    #[schemars(range(min = 0.0))]
    pub drift: f64,
    /// Size of what head motion adds, as a multiple of the noise; the confounds table explains it.
    #[schemars(range(min = 0.0))]
    pub motion: f64,
    /// The `space` entity of the files written.
    pub space: String,
    /// The networks that follow units, by the names of the schematic atlas: visual, somatomotor, dorsal-attention,
    /// ventral-attention, limbic, language, default. All others are noise, but for those that follow `patterns`.
    #[schemars(example = serde_json::json!({ "visual": { "module": "vision", "layers": [4, 5] } }))]
    pub networks: BTreeMap<String, PlantedNetwork>,
    /// Networks whose voxels follow patterns, the learned time courses of the model. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({ "networks": ["default", "limbic"], "duplicates": 3, "mirrored": 3 }))]
    pub patterns: Option<PlantedPatterns>,
    /// Runs shown again, with the same signal and fresh noise: for each run, new names for its further showings. None by
    /// default; a run of the study with the stimuli of another one is a repeat without being named here.
    #[schemars(example = serde_json::json!({ "2": ["2b", "2c"] }))]
    pub repeats: BTreeMap<String, Vec<String>>,
}

impl Default for Simulation {
    fn default() -> Self {
        Simulation {
            seed: 0,
            shape: [20, 24, 18],
            voxel_size_mm: 3.0,
            snr: 1.0,
            ar1: 0.3,
            drift: 0.5,
            motion: 0.3,
            space: "schematic".to_owned(),
            networks: BTreeMap::new(),
            patterns: None,
            repeats: BTreeMap::new(),
        }
    }
}

/// One run to simulate.
pub struct SimulatedRun<'a> {
    /// Name of the run: the value of the `run` entity, such as `1`.
    pub name: String,
    /// Unit series (n_tr x n_units), convolved with the haemodynamic response and z-scored.
    pub units: ArrayView2<'a, f32>,
    /// Time courses of the patterns at every volume (n_tr x n_patterns), the same patterns in every run; needed where the
    /// simulation plants patterns, and not looked at elsewhere.
    pub patterns: Option<ArrayView2<'a, f32>>,
    /// Events as they are to stand in the events table.
    pub events: Table,
}

/// What was written for a subject.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedSubject {
    /// The files of every run, in the order given.
    pub runs: Vec<RunFiles>,
    /// The label image of the schematic atlas.
    pub atlas_image: PathBuf,
    /// Its table.
    pub atlas_table: PathBuf,
    /// What was planted.
    pub truth: Truth,
}

impl Simulation {
    /// Checks every parameter against its range.
    ///
    /// # Errors
    /// With the first parameter outside its range.
    pub fn check(&self) -> Result<(), SimulateError> {
        number("voxel_size_mm", self.voxel_size_mm, 0.1, 20.0, "between 0.1 and 20")?;
        number("snr", self.snr, 0.0, 1e6, "between 0 and 1000000")?;
        number("ar1", self.ar1, 0.0, 0.99, "between 0 and 0.99")?;
        number("drift", self.drift, 0.0, 100.0, "between 0 and 100")?;
        number("motion", self.motion, 0.0, 100.0, "between 0 and 100")?;
        if self.shape.iter().any(|&length| !(6..=512).contains(&length)) {
            return refuse("shape", format!("{:?}", self.shape), "three lengths between 6 and 512");
        }
        if self.space.is_empty() || !self.space.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return refuse("space", self.space.clone(), "letters and digits");
        }
        for (run, showings) in &self.repeats {
            // Names become parts of paths: nothing else than BIDS allows gets that far.
            let is_label = |name: &&String| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if let Some(name) = showings.iter().find(|name| !is_label(name)) {
                return refuse(&format!("repeats.{run}"), format!("`{name}`"), "letters and digits");
            }
        }
        for (name, planted) in &self.networks {
            planted.check(&format!("networks.{name}"))?;
        }
        self.patterns.as_ref().map_or(Ok(()), |patterns| patterns.check("patterns", &self.networks))
    }

    /// Checks that every run shown again is one of `runs`, and that every further showing has a name of its own.
    ///
    /// # Errors
    /// With the first name that is not known or taken.
    pub fn check_repeats(&self, runs: &[&str]) -> Result<(), SimulateError> {
        let mut names: BTreeSet<&str> = runs.iter().copied().collect();
        for (run, showings) in &self.repeats {
            if !runs.contains(&run.as_str()) {
                let available = runs.iter().map(|known| (*known).to_owned()).collect();
                return Err(SimulateError::UnknownRun { name: run.clone(), available });
            }
            if let Some(name) = showings.iter().find(|name| !names.insert(name.as_str())) {
                return Err(SimulateError::RunTwice { name: name.clone(), run: run.clone() });
            }
        }
        Ok(())
    }
}

/// The refusal of a parameter.
fn refuse<T>(field: &str, found: String, expected: &'static str) -> Result<T, SimulateError> {
    Err(SimulateError::Parameter { field: field.to_owned(), found, expected })
}

/// Refuses a number outside its range.
fn number(field: &str, value: f64, low: f64, high: f64, expected: &'static str) -> Result<(), SimulateError> {
    if value.is_finite() && value >= low && value <= high {
        return Ok(());
    }
    refuse(field, value.to_string(), expected)
}

/// A generator for one purpose: equal labels give equal draws, others independent ones.
fn generator(seed: u64, labels: &[&str]) -> rand_chacha::ChaCha8Rng {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    for label in labels {
        hasher.update(&(label.len() as u64).to_le_bytes());
        hasher.update(label.as_bytes());
    }
    rand_chacha::rand_core::SeedableRng::from_seed(*hasher.finalize().as_bytes())
}

/// The folder of a subject inside a dataset, whatever prefix its name came with.
fn subject_label(subject: &str) -> &str {
    subject.strip_prefix("sub-").unwrap_or(subject)
}

/// Makes a folder and those above it.
fn make_folder(path: &Path) -> Result<(), SimulateError> {
    std::fs::create_dir_all(path).map_err(|source| BidsError::Io { path: path.to_owned(), source }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::Rng;

    #[test]
    fn parameters_outside_their_range_are_named() {
        let error = Simulation { ar1: 1.5, ..Simulation::default() }.check().unwrap_err().to_string();
        assert_eq!(error, "`ar1` is 1.5, expected between 0 and 0.99");
        let text = "networks.visual = { module = 'vision', layers = [1], mirrored_voxels = 2.0 }";
        let error = toml::from_str::<Simulation>(text).unwrap().check().unwrap_err().to_string();
        assert_eq!(error, "`networks.visual.mirrored_voxels` is 2, expected between 0 and 1");
        assert!(Simulation::default().check().is_ok());
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Simulation>("signal_to_noise = 1.0").is_err());
        assert!(
            toml::from_str::<Simulation>("networks.visual = { module = 'vision', layers = [1], sign = 1 }").is_err()
        );
        assert_eq!(toml::from_str::<Simulation>("").unwrap(), Simulation::default());
    }

    #[test]
    fn generators_depend_on_every_label_and_its_borders() {
        let draw = |seed, labels: &[&str]| generator(seed, labels).next_u64();
        assert_eq!(draw(1, &["a", "b"]), draw(1, &["a", "b"]));
        let all = [draw(1, &["a", "b"]), draw(2, &["a", "b"]), draw(1, &["ab"]), draw(1, &["a"]), draw(1, &["b", "a"])];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
