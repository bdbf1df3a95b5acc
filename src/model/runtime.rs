//! Running an exported module through ONNX Runtime.
//!
//! Owns the loading of the runtime's library (once per process, from a path that the caller found)
//! and [`Network`], which turns stimuli into unit activations. Reads no environment and searches
//! no folders: that is the command line's matter. `export.rs` writes what is opened here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ndarray::{Array2, Array3, Array4, ArrayView2, Axis, s};

use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider};
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Outlet, TensorRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blocks::{PIXELS, TOKEN_IDS, TOKEN_MASK};
use super::error::ModelError;
use super::export::ExportedModule;
use super::graph::MODEL_FILE;
use super::image::Preprocessor;
use super::module::{ImageInput, Stimulus};
use super::reference::ReferencedWeights;
use super::text::{CaptionTokenizer, TokenBatch, quoted};

struct Loaded {
    path: PathBuf,
    version: String,
    environment: Environment,
}

/// A process can hold one ONNX Runtime, so this is one of the few globals.
static RUNTIME: Mutex<Option<Loaded>> = Mutex::new(None);

/// Loads ONNX Runtime from a shared library and returns its version.
///
/// Called again with the same path it does nothing.
///
/// # Errors
/// The file is no ONNX Runtime, or one that is too old; or another one is loaded already.
pub fn load_runtime(path: &Path) -> Result<String, ModelError> {
    let failed = |message: String| ModelError::LoadRuntime { path: path.to_owned(), message };
    let found = path.canonicalize().map_err(|error| failed(error.to_string()))?;
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = runtime.as_ref() {
        if loaded.path != found {
            return Err(ModelError::OtherRuntime { loaded: loaded.path.clone(), asked: found });
        }
        return Ok(loaded.version.clone());
    }
    let builder = ort::init_from(&found).map_err(|error| failed(error.to_string()))?;
    let environment =
        builder.with_name("hebb").with_telemetry(false).build().map_err(|error| failed(error.to_string()))?;
    // The runtime would print each failure to the terminal before it is returned here.
    environment.set_log_level(LogLevel::Fatal);
    let version = version(&found, ort::info());
    *runtime = Some(Loaded { path: found, version: version.clone(), environment });
    Ok(version)
}

/// The version as the library's file name has it and the commit as its build description has it,
/// such as `1.24.1 (0f1e2d3)`; what is known of the two, or the whole description.
///
/// The library can say its version itself, but only while `ort` loads it, and `ort` does not pass
/// it on.
fn version(path: &Path, build: &str) -> String {
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = file_name
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|part| part.trim_matches('.'))
        .find(|part| part.contains('.'));
    let commit = build.split(", ").find_map(|part| part.strip_prefix("git-commit-id="));
    match (number, commit) {
        (Some(number), Some(commit)) => format!("{number} ({commit})"),
        (Some(found), None) | (None, Some(found)) => found.to_owned(),
        (None, None) => build.to_owned(),
    }
}

fn environment() -> Result<Environment, ModelError> {
    let runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = runtime.as_ref().ok_or(ModelError::RuntimeNotLoaded)?;
    Ok(loaded.environment.clone())
}

/// Where a network runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU, with an ONNX Runtime that was built for it.
    Cuda,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

impl Device {
    /// Whether the loaded ONNX Runtime can run there.
    ///
    /// # Errors
    /// [`load_runtime`] was not called, or the runtime does not answer.
    pub fn is_available(self) -> Result<bool, ModelError> {
        environment()?;
        match self {
            Self::Cpu => Ok(true),
            Self::Cuda => {
                let found = ep::CUDA::is_available();
                found.map_err(|error| runtime_error(Path::new("libonnxruntime"), error))
            }
        }
    }
}

/// An exported module, ready to run.
///
/// A stimulus' units depend neither on the others of its batch nor on the number of threads, to
/// the last bit, on the same kind of processor with the same runtime (a test holds it to that).
/// They may differ in the last bits between exports that tap different layers: the runtime then
/// fuses other operators.
pub struct Network {
    path: PathBuf,
    module: ExportedModule,
    preprocessor: Option<Preprocessor>,
    tokenizer: Option<Box<CaptionTokenizer>>,
    session: Session,
    // Behind the session, which looks at them: fields are dropped in this order.
    weights: Option<ReferencedWeights>,
}

/// How a network is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunOptions {
    /// Threads of one run.
    pub threads: usize,
    /// Where it runs.
    pub device: Device,
    /// Whether the runtime may rewrite the graph to run faster.
    pub is_optimised: bool,
}

impl RunOptions {
    /// On the processor, as fast as it goes.
    #[must_use]
    pub fn on_cpu(threads: usize) -> Self {
        Self { threads, device: Device::Cpu, is_optimised: true }
    }
}

impl Network {
    /// Opens an export whose weights stand at `weights`, the model's own folder or checkpoint.
    ///
    /// # Errors
    /// [`load_runtime`] was not called, a file of the export or a file of weights is missing or damaged, the weights are not those
    /// that were exported, or the runtime refuses the graph or the device.
    pub fn open(export_folder: &Path, weights: &Path, options: RunOptions) -> Result<Self, ModelError> {
        Self::opened(export_folder, Some(weights), options)
    }

    fn opened(export_folder: &Path, weights: Option<&Path>, options: RunOptions) -> Result<Self, ModelError> {
        let environment = environment()?;
        let module = ExportedModule::open(export_folder)?;
        let preprocessor = module.input.image.map(|_| Preprocessor::open(export_folder)).transpose()?;
        let tokenizer = module.input.text.map(|_| ExportedModule::tokenizer(export_folder)).transpose()?;
        let tokenizer = tokenizer.map(Box::new);
        let path = export_folder.join(MODEL_FILE);
        let weights = weights.map(|place| ReferencedWeights::open(&module.weights, place)).transpose()?;
        let values = weights.as_ref().map(ReferencedWeights::values).transpose()?;
        let session = session(&environment, &path, options, values.unwrap_or_default());
        let session = session.map_err(|error| runtime_error(&path, error))?;
        let promised = module.layers.iter().map(|layer| (layer.output.as_str(), layer.n_units));
        if !session.outputs().iter().map(named_width).eq(promised.map(Some)) {
            return Err(runtime_error(&path, "its outputs are not those of `module.json`"));
        }
        Ok(Self { path, module, preprocessor, tokenizer, session, weights })
    }

    /// What is open.
    pub fn module(&self) -> &ExportedModule {
        &self.module
    }

    /// The preparation of images for this network, if it takes any.
    pub fn preprocessor(&self) -> Option<&Preprocessor> {
        self.preprocessor.as_ref()
    }

    /// The tokenizer of this network, if it takes texts.
    pub fn tokenizer(&self) -> Option<&CaptionTokenizer> {
        self.tokenizer.as_deref()
    }

    /// The units of prepared images, (n_samples, n_units), in the order of `units.tsv`.
    ///
    /// # Errors
    /// The module takes something else, an image has another shape than (3, size, size), or the runtime
    /// fails.
    pub fn run_images(&mut self, images: &[Array3<f32>]) -> Result<Array2<f32>, ModelError> {
        self.takes(Stimulus::Image)?;
        if images.is_empty() {
            return Ok(Array2::zeros((0, self.module.n_units)));
        }
        let rows = batch_rows(images.len());
        let pixels = self.pixels(images, &rows)?;
        let pixels = TensorRef::from_array_view(&pixels);
        let pixels = pixels.map_err(|error| runtime_error(&self.path, error))?;
        let units = self.run(rows.len(), vec![(PIXELS, pixels.into())])?;
        Ok(units.slice_move(s![..images.len(), ..]))
    }

    /// The units of captions, (n_samples, n_units), in the order of `units.tsv`.
    ///
    /// # Errors
    /// The module takes something else, a caption cannot be tokenized (see [`CaptionTokenizer::ids`]), or
    /// the runtime fails.
    pub fn run_texts<S: AsRef<str>>(&mut self, captions: &[S]) -> Result<Array2<f32>, ModelError> {
        self.takes(Stimulus::Text)?;
        self.run_batches(captions, None)
    }

    /// The units of images with the captions that go with them, (n_samples, n_units), in the order of `units.tsv`.
    ///
    /// # Errors
    /// As [`Self::run_images`] and [`Self::run_texts`].
    ///
    /// # Panics
    /// There are not as many captions as images.
    pub fn run_pairs<S: AsRef<str>>(
        &mut self,
        images: &[Array3<f32>],
        captions: &[S],
    ) -> Result<Array2<f32>, ModelError> {
        assert_eq!(images.len(), captions.len(), "every image has a caption");
        self.takes(Stimulus::Pair)?;
        self.run_batches(captions, Some(images))
    }

    fn takes(&self, given: Stimulus) -> Result<(), ModelError> {
        let found = self.module.module;
        if found.stimulus() == given { Ok(()) } else { Err(ModelError::WrongModule { found, given }) }
    }

    fn run_batches<S: AsRef<str>>(
        &mut self,
        captions: &[S],
        images: Option<&[Array3<f32>]>,
    ) -> Result<Array2<f32>, ModelError> {
        let batches = self.tokens(captions)?;
        let mut units = Array2::zeros((captions.len(), self.module.n_units));
        for batch in &batches {
            let rows = batch_rows(batch.places.len());
            let (ids, mask) = (batch.ids.select(Axis(0), &rows), batch.mask.select(Axis(0), &rows));
            let failed = |error| runtime_error(&self.path, error);
            let ids = TensorRef::from_array_view(&ids).map_err(failed)?;
            let mask = TensorRef::from_array_view(&mask).map_err(failed)?;
            let mut inputs: Vec<(&str, SessionInputValue<'_>)> =
                vec![(TOKEN_IDS, ids.into()), (TOKEN_MASK, mask.into())];
            let pixels = match images {
                Some(images) => {
                    let places: Vec<usize> = rows.iter().map(|&row| batch.places[row]).collect();
                    Some(self.pixels(images, &places)?)
                }
                None => None,
            };
            if let Some(pixels) = &pixels {
                let pixels = TensorRef::from_array_view(pixels).map_err(failed)?;
                inputs.push((PIXELS, pixels.into()));
            }
            let found = self.run(rows.len(), inputs)?;
            for (&place, row) in batch.places.iter().zip(found.outer_iter()) {
                units.row_mut(place).assign(&row);
            }
        }
        Ok(units)
    }

    /// Captions as batches of equal length, none without a token that counts.
    fn tokens<S: AsRef<str>>(&self, captions: &[S]) -> Result<Vec<TokenBatch>, ModelError> {
        /// The start and the end of a text.
        const N_SPECIAL: i64 = 2;
        let given = Stimulus::Text;
        let tokenizer = self.tokenizer().ok_or(ModelError::WrongModule { found: self.module.module, given })?;
        let batches = tokenizer.batches(captions)?;
        if !self.module.special_tokens {
            for batch in &batches {
                let row = batch.mask.outer_iter().position(|row| row.sum() <= N_SPECIAL);
                if let Some(row) = row {
                    return Err(ModelError::NothingLeft { caption: quoted(captions[batch.places[row]].as_ref()) });
                }
            }
        }
        Ok(batches)
    }

    /// Prepared images side by side, each of the size that the network takes.
    fn pixels(&self, images: &[Array3<f32>], rows: &[usize]) -> Result<Array4<f32>, ModelError> {
        let image_size = self.module.input.image.map_or(0, |ImageInput { image_size, .. }| image_size);
        let shape = [3, image_size, image_size];
        if let Some(&index) = rows.iter().find(|&&index| images[index].shape() != shape) {
            let (found, expected) = (images[index].shape().to_vec(), shape.to_vec());
            return Err(ModelError::ImageShape { index, found, expected });
        }
        let mut batch = Array4::zeros((rows.len(), 3, image_size, image_size));
        for (mut row, &index) in batch.outer_iter_mut().zip(rows) {
            row.assign(&images[index]);
        }
        Ok(batch)
    }

    fn run(&mut self, n_rows: usize, inputs: Vec<(&str, SessionInputValue<'_>)>) -> Result<Array2<f32>, ModelError> {
        let path = &self.path;
        let failed = |error: ort::Error| runtime_error(path, error);
        let mut units = Array2::zeros((n_rows, self.module.n_units));
        let outputs = self.session.run(inputs).map_err(failed)?;
        let mut column = 0;
        for layer in &self.module.layers {
            let output = &outputs[layer.output.as_str()];
            let (_, values) = output.try_extract_tensor::<f32>().map_err(failed)?;
            let values =
                ArrayView2::from_shape((n_rows, layer.n_units), values).map_err(|error| runtime_error(path, error))?;
            units.slice_mut(s![.., column..column + layer.n_units]).assign(&values);
            column += layer.n_units;
        }
        // The runtime reads weights where they stand.
        self.weights.as_ref().map_or(Ok(()), ReferencedWeights::assert_whole)?;
        Ok(units)
    }
}

impl Network {
    /// Opens an export that has its weights beside it, as [`super::export_alone`] writes one.
    ///
    /// # Errors
    /// As [`Network::open`].
    pub fn open_alone(folder: &Path, options: RunOptions) -> Result<Self, ModelError> {
        Self::opened(folder, None, options)
    }
}

/// Opens a folder with a graph and its weights as any ONNX Runtime does, without help; gives the names of the outputs.
///
/// # Errors
/// [`load_runtime`] was not called, or the runtime refuses the graph.
pub fn open_alone(folder: &Path) -> Result<Vec<String>, ModelError> {
    let environment = environment()?;
    let path = folder.join(MODEL_FILE);
    let session = Session::builder(&environment).and_then(|mut builder| builder.commit_from_file(&path));
    let session = session.map_err(|error| runtime_error(&path, error))?;
    Ok(session.outputs().iter().map(|output| output.name().to_owned()).collect())
}

/// Which stimulus stands in each row of a batch: a lone one stands in two.
///
/// For a batch of one, ONNX Runtime folds the batch into other axes and sums in another order; a
/// stimulus would differ in its last bits from the same one in company.
fn batch_rows(n_samples: usize) -> Vec<usize> {
    if n_samples == 1 { vec![0, 0] } else { (0..n_samples).collect() }
}

/// An output's name and its number of columns, where it is a table.
fn named_width(output: &Outlet) -> Option<(&str, usize)> {
    let &[_, n_columns] = &output.dtype().tensor_shape()?[..] else {
        return None;
    };
    Some((output.name(), usize::try_from(n_columns).ok()?))
}

fn session(
    environment: &Environment,
    path: &Path,
    options: RunOptions,
    weights: Vec<(&str, DynValue)>,
) -> ort::Result<Session> {
    let level = if options.is_optimised { GraphOptimizationLevel::All } else { GraphOptimizationLevel::Disable };
    let mut builder = Session::builder(environment)?
        .with_optimization_level(level)?
        .with_intra_threads(options.threads.max(1))?
        .with_inter_threads(1)?
        .with_deterministic_compute(true)?;
    if options.device == Device::Cuda {
        builder = builder.with_execution_providers([ep::CUDA::default().build().error_on_failure()])?;
    }
    for (name, value) in weights {
        builder = builder.with_external_initializer(name, value)?;
    }
    builder.commit_from_file(path)
}

fn runtime_error(path: &Path, message: impl ToString) -> ModelError {
    ModelError::Runtime { path: path.to_owned(), message: message.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_file_name_and_build_description() {
        let build = "ORT Build Info: git-branch=HEAD, git-commit-id=0f1e2d3, build type=Release";
        let linux = version(Path::new("/lib/libonnxruntime.so.1.24.1"), build);
        assert_eq!(linux, "1.24.1 (0f1e2d3)");
        let mac = version(Path::new("libonnxruntime.1.24.1.dylib"), "built by hand");
        assert_eq!(mac, "1.24.1");
        assert_eq!(version(Path::new("onnxruntime.dll"), build), "0f1e2d3");
        assert_eq!(version(Path::new("onnxruntime.dll"), "built by hand"), "built by hand");
    }

    #[test]
    fn a_file_that_is_no_library_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so");
        assert!(matches!(load_runtime(&path), Err(ModelError::LoadRuntime { .. })));
        std::fs::write(&path, "no library").unwrap();
        assert!(matches!(load_runtime(&path), Err(ModelError::LoadRuntime { .. })));
    }
}
