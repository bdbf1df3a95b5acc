//! Runs a module over one shard of stimuli and keeps the value of every unit.
//!
//! A stimulus is known by its content. What an earlier shard of the same network has computed is taken over, and within a shard
//! a content that comes twice is computed once: a stimulus' units do not depend on the company that it is computed in.

use super::{Compute, Kind, TaskError, Workbench, frames::frame_name, listed, stimuli::IMAGES};
use crate::{
    format::{npy::MatrixReader, npy::MatrixWriter, tsv::Table},
    model::{Device, ExportedModule, Network, RunOptions, UNITS_FILE},
    spec::written::Unreadable,
    stimulus::Scenes,
};
use ndarray::{Array2, Array3};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
};

/// Stimuli that go through the network at once.
const BATCH: usize = 16;

/// The matrix of unit values in the artifact: a row for each stimulus, a column for each row of the export's `units.tsv`.
pub const UNITS: &str = "units.npy";

/// What each row of [`UNITS`] is: `digest` of the stimulus' content, `status` and `text`, if it has one.
pub const ROWS: &str = "rows.tsv";

/// The status of a row that holds a stimulus' units.
pub(super) const COMPUTED: &str = "computed";

/// The status of a row of zeros, whose image could not be read.
pub(super) const UNREADABLE: &str = "unreadable";

/// Extracts one shard: images, texts, or an image with a text in each row. The graph is the input `network`; its weights are
/// the input `weights`, or stand at a place of their own.
#[derive(Debug, Serialize, Deserialize)]
pub struct Extract {
    /// The images, if the module takes any.
    pub images: Vec<Image>,
    /// The texts, if the module takes any.
    pub texts: Vec<String>,
    /// What becomes of an image that cannot be read.
    #[serde(rename = "stimuli.tables.unreadable")]
    pub unreadable: Unreadable,
    /// Where the network runs.
    #[serde(rename = "~device")] // the key has it as the engine
    pub device: Device,
    /// Version of ONNX Runtime.
    #[serde(rename = "~runtime")] // the key has it as the engine
    pub runtime: String,
    /// The model's folder or checkpoint, unless it is an input.
    #[serde(rename = "~place")] // the network knows its weights by a digest
    pub place: PathBuf,
    /// Units of the module.
    #[serde(rename = "~n_units")] // follows from the graph
    pub n_units: usize,
    /// Bytes of the module's weights.
    #[serde(rename = "~weights_bytes")] // follows from the graph
    pub weights_bytes: u64,
    /// Tokens of one stimulus at most.
    #[serde(rename = "~n_tokens")] // follows from the graph
    pub n_tokens: usize,
}

/// Where an image of a shard is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Image {
    /// The picture of this number, drawn by the input `stimuli`.
    Scene(usize),
    /// The next of the external files `images`.
    File,
    /// A frame of a film.
    Frame {
        /// Which of the inputs `frames`.
        film: usize,
        /// Its place among the film's frames.
        frame: usize,
    },
}

/// What one row shows or says.
struct Stimulus<'a> {
    image: Option<PathBuf>,
    text: Option<&'a str>,
    digest: String,
}

/// Where a row's units are.
enum Units {
    /// A row of the shard.
    Row(Vec<f32>),
    /// The image could not be read, for this reason.
    Unreadable(String),
}

impl Compute for Extract {
    const KIND: Kind = Kind::Extract;

    fn memory_bytes(&self) -> u64 {
        // Weights, as many bytes again while the runtime packs them, the widest activations of a batch, and the shard itself.
        let widest = BATCH * self.n_tokens * 4096 * 8;
        2 * self.weights_bytes + (widest + 2 * self.n_rows() * self.n_units * 4) as u64 + (256 << 20)
    }

    fn engine(&self) -> Option<String> {
        Some(format!("onnxruntime {} {} f32", self.runtime, self.device))
    }

    fn kin(&self) -> &'static [&'static str] {
        &["network"]
    }

    fn described(&self) -> &'static [&'static str] {
        &["weights"]
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let stimuli = self.stimuli(bench)?;
        self.warn_of_cuts(bench)?;
        let mut known = known_units(bench, &stimuli)?;
        let mut new: Vec<&Stimulus<'_>> = Vec::new();
        for stimulus in &stimuli {
            let is_new =
                !known.contains_key(&stimulus.digest) && !new.iter().any(|other| other.digest == stimulus.digest);
            if is_new {
                new.push(stimulus);
            }
        }
        let total = stimuli.len();
        let before = total - new.len();
        bench.step(before, total)?;
        if !new.is_empty() {
            let weights = bench.inputs("weights").first().unwrap_or(&self.place);
            // One thread for each shard; shards run side by side.
            let options = RunOptions { device: self.device, ..RunOptions::on_cpu(1) };
            let mut network = Network::open(bench.input("network"), weights, options)?;
            let mut done = before;
            for batch in new.chunks(BATCH) {
                let found = self.run(&mut network, batch)?;
                refuse_not_finite(bench.input("network"), batch, &found)?;
                for (stimulus, units) in batch.iter().zip(found) {
                    known.insert(stimulus.digest.clone(), units);
                }
                done += batch.len();
                bench.step(done, total)?;
            }
        }
        self.write(bench, &stimuli, &known)
    }
}

/// Refuses values that are no numbers, which would spoil every fit that they enter: names the unit and what it was shown.
fn refuse_not_finite(network: &Path, batch: &[&Stimulus<'_>], found: &[Units]) -> Result<(), TaskError> {
    for (stimulus, units) in batch.iter().zip(found) {
        let Units::Row(values) = units else { continue };
        let Some(column) = values.iter().position(|value| !value.is_finite()) else { continue };
        let table = Table::read(&network.join(UNITS_FILE))?;
        let unit = table.rows()[column][table.require("unit")?].clone();
        return Err(TaskError::Unanswerable(not_finite(&unit, values[column], stimulus)));
    }
    Ok(())
}

fn not_finite(unit: &str, value: f32, stimulus: &Stimulus<'_>) -> String {
    let image = stimulus.image.as_ref().map(|path| format!("the image `{}`", path.display()));
    let text = stimulus.text.map(|text| format!("the text `{}`", text.chars().take(60).collect::<String>()));
    let shown: Vec<String> = image.into_iter().chain(text).collect();
    format!(
        "unit `{unit}` is {value} for {}, expected a number: the model's weights are damaged, or overflow in 32-bit floats",
        shown.join(" with ")
    )
}

impl Extract {
    fn n_rows(&self) -> usize {
        self.images.len().max(self.texts.len())
    }

    /// What each row shows or says, with the digest of that.
    fn stimuli(&self, bench: &Workbench<'_>) -> Result<Vec<Stimulus<'_>>, TaskError> {
        let images = image_paths(bench, &self.images);
        let mut stimuli = Vec::with_capacity(self.n_rows());
        for row in 0..self.n_rows() {
            let image = images.get(row).cloned();
            let text = self.texts.get(row).map(String::as_str);
            let of_image = image.as_deref().map(digest_of_file).transpose()?;
            let of_text = text.map(|text| blake3::hash(text.as_bytes()));
            let digest = match (of_image, of_text) {
                (Some(image), Some(text)) => blake3::hash(&[*image.as_bytes(), *text.as_bytes()].concat()),
                (image, text) => image.or(text).unwrap_or_else(|| blake3::hash(&[])),
            };
            stimuli.push(Stimulus { image, text, digest: digest.to_hex().to_string() });
        }
        Ok(stimuli)
    }

    /// Tells of texts that are longer than the network takes, whether they are computed here or taken over.
    fn warn_of_cuts(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        if self.texts.is_empty() {
            return Ok(());
        }
        let tokenizer = ExportedModule::tokenizer(bench.input("network"))?;
        let mut cut = Vec::new();
        for text in &self.texts {
            if tokenizer.ids(text)?.is_cut {
                cut.push(text);
            }
        }
        if let [first, ..] = cut[..] {
            let (n, first) = (cut.len(), first.chars().take(60).collect::<String>());
            let message =
                format!("{n} texts are longer than the network takes and were cut, the first being `{first}`");
            bench.warn("captions-cut", message);
        }
        Ok(())
    }

    fn run(&self, network: &mut Network, batch: &[&Stimulus<'_>]) -> Result<Vec<Units>, TaskError> {
        let mut units: Vec<Option<Units>> = batch.iter().map(|_| None).collect();
        let (mut images, mut texts, mut places): (Vec<Array3<f32>>, Vec<&str>, Vec<usize>) = Default::default();
        for (place, stimulus) in batch.iter().enumerate() {
            if let Some(path) = &stimulus.image {
                let preprocessor = network
                    .preprocessor()
                    .ok_or_else(|| TaskError::Unanswerable("this module takes no images".to_owned()))?;
                match preprocessor.load(path) {
                    Ok(image) => images.push(image),
                    Err(error) if self.unreadable == Unreadable::Mask => {
                        units[place] = Some(Units::Unreadable(error.to_string()));
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            texts.extend(stimulus.text);
            places.push(place);
        }
        let found: Array2<f32> = match (self.texts.is_empty(), self.images.is_empty()) {
            (true, _) => network.run_images(&images)?,
            (false, true) => network.run_texts(&texts)?,
            (false, false) => network.run_pairs(&images, &texts)?,
        };
        for (place, row) in places.into_iter().zip(found.outer_iter()) {
            units[place] = Some(Units::Row(row.to_vec()));
        }
        Ok(units.into_iter().map(|units| units.expect("every place was masked or run")).collect())
    }

    fn write(
        &self,
        bench: &Workbench<'_>,
        stimuli: &[Stimulus<'_>],
        known: &HashMap<String, Units>,
    ) -> Result<(), TaskError> {
        let mut matrix = MatrixWriter::create(&bench.out.join(UNITS), self.n_units)?;
        let mut rows = Table::new(["digest", "status", "text"]);
        let mut masked = Vec::new();
        for stimulus in stimuli {
            let status = match &known[&stimulus.digest] {
                Units::Row(units) => {
                    matrix.write_row(units.as_slice().into())?;
                    COMPUTED
                }
                Units::Unreadable(reason) => {
                    matrix.write_row(vec![0.0; self.n_units].as_slice().into())?;
                    masked.push(reason.as_str());
                    UNREADABLE
                }
            };
            let text = stimulus.text.map_or_else(|| crate::format::tsv::MISSING.to_owned(), plain);
            rows.push([stimulus.digest.clone(), status.to_owned(), text]);
        }
        matrix.finish()?;
        rows.write(&bench.out.join(ROWS))?;
        if !masked.is_empty() {
            let (n, listed) = (masked.len(), listed(&masked, "; "));
            let message = format!("{n} images count as not shown, since they cannot be read: {listed}");
            bench.warn("images-masked", message);
        }
        Ok(())
    }
}

/// Where each image of a shard is, in their order.
pub(super) fn image_paths(bench: &Workbench<'_>, images: &[Image]) -> Vec<PathBuf> {
    let mut files = bench.files("images").iter();
    let path = |image: &Image| match image {
        Image::Scene(number) => bench.input("stimuli").join(IMAGES).join(Scenes::file_name(*number)),
        Image::File => files.next().expect("the plan gives a file for each image that is one").clone(),
        Image::Frame { film, frame } => bench.inputs("frames")[*film].join(frame_name(*frame)),
    };
    images.iter().map(path).collect()
}

pub(super) fn digest_of_file(path: &Path) -> Result<blake3::Hash, TaskError> {
    let failed = |source| TaskError::Io { path: path.to_owned(), source };
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).map_err(failed)?).map_err(failed)?;
    Ok(hasher.finalize())
}

/// A text as one cell of a table.
pub(super) fn plain(text: &str) -> String {
    text.split(['\t', '\n', '\r']).collect::<Vec<_>>().join(" ")
}

/// The units of those stimuli that an earlier shard of the same network has.
fn known_units(bench: &Workbench<'_>, stimuli: &[Stimulus<'_>]) -> Result<HashMap<String, Units>, TaskError> {
    let mut known = HashMap::new();
    for artifact in bench.kin() {
        let missing =
            |digest: &str| stimuli.iter().any(|stimulus| stimulus.digest == digest) && !known.contains_key(digest);
        let table = Table::read(&artifact.join(ROWS))?;
        let (Some(digests), Some(statuses)) = (table.position("digest"), table.position("status")) else { continue };
        let wanted: Vec<(usize, String)> = table
            .rows()
            .iter()
            .enumerate()
            .filter(|(_, cells)| cells[statuses] == COMPUTED && missing(&cells[digests]))
            .map(|(row, cells)| (row, cells[digests].to_string()))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let mut matrix = MatrixReader::open(&artifact.join(UNITS))?;
        for (row, digest) in wanted {
            let units = matrix.rows(row..row + 1)?.row(0).to_vec();
            known.insert(digest, Units::Row(units));
        }
    }
    Ok(known)
}

/// Which rows of a shard hold units; the others count as not shown.
pub(super) fn rows_shown(artifact: &Path) -> Result<Vec<bool>, TaskError> {
    let table = Table::read(&artifact.join(ROWS))?;
    let status = table.position("status");
    Ok(table.rows().iter().map(|cells| status.is_some_and(|status| cells[status] == *COMPUTED)).collect())
}
