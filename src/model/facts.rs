//! What a model folder offers, found without running or converting anything.
//!
//! Owns [`inspect`], by which a study is checked before its first task: configuration, tensor
//! headers and the list of files. Reads no weights and no tokenizer. `export.rs` does the work that
//! is checked here.

use std::path::Path;

use super::clip;
use super::config::ClipConfig;
use super::error::ModelError;
use super::image::{PREPROCESSOR_FILE, Preprocessor};
use super::text::{CaptionTokenizer, TOKENIZER_FILE};
use super::units::{Kind, Module, UnitSelection};
use super::weights::{TensorSpec, Weights};

/// The configuration's file name in a model folder.
pub const CONFIG_FILE: &str = "config.json";

/// What a CLIP folder offers.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// The checked configuration: layers, heads, widths, image size, context length.
    pub config: ClipConfig,
    /// The files that the image tower depends on, by name inside the folder, sorted.
    pub vision_files: Vec<String>,
    /// The files that the text tower depends on, by name inside the folder, sorted.
    pub text_files: Vec<String>,
    /// Tensors that neither tower's taps need, such as the final projections.
    pub unused_tensors: Vec<String>,
}

impl ModelFacts {
    /// How many layers a module has.
    pub fn n_layers(&self, module: Module) -> usize {
        self.config.tower(module).n_layers
    }

    /// How many units of a kind each layer of a module has.
    pub fn units_per_layer(&self, module: Module, kind: Kind) -> usize {
        clip::layer_units(self.config.tower(module), module, kind, 0).n_units
    }

    /// The files that a module depends on, by name inside the folder, sorted.
    pub fn files(&self, module: Module) -> &[String] {
        match module {
            Module::Vision => &self.vision_files,
            Module::Text => &self.text_files,
        }
    }

    /// Bytes of a module's weights in 32-bit floats.
    pub fn weights_bytes(&self, module: Module) -> u64 {
        let tensors = required_tensors(&self.config, module).unwrap_or_default();
        tensors.iter().map(|tensor| 4 * tensor.shape.iter().map(|&length| length as u64).product::<u64>()).sum()
    }

    pub(super) fn new(config: ClipConfig, weight_files: &[String], unused_tensors: Vec<String>) -> Self {
        let with = |own: &str| {
            let mut files: Vec<String> = weight_files.to_vec();
            files.extend([CONFIG_FILE.to_owned(), own.to_owned()]);
            files.sort();
            files
        };
        let (vision_files, text_files) = (with(PREPROCESSOR_FILE), with(TOKENIZER_FILE));
        Self { config, vision_files, text_files, unused_tensors }
    }
}

/// Looks at a Hugging Face CLIP folder: its configuration and tensor headers only.
///
/// # Errors
/// The configuration contradicts itself, the weights do not fit it (all misfits at once), the
/// images' preprocessing yields another size than the network takes, the tokenizer cannot be read,
/// or a file is missing.
pub fn inspect(folder: &Path) -> Result<ModelFacts, ModelError> {
    let config = ClipConfig::open(folder)?;
    let weights = Weights::open(folder)?;
    let mut required = required_tensors(&config, Module::Vision)?;
    required.extend(required_tensors(&config, Module::Text)?);
    weights.check(&required)?;
    check_preprocessing(folder, &config)?;
    let text = &config.text;
    let tokenizer = CaptionTokenizer::open(folder, text.context_length, text.vocab_size, text.end_of_text)?;
    // Its start and end of text are in every caption, so one tells a tokenizer of another network.
    tokenizer.ids("a photo")?;
    let unused = weights.unused(&required);
    Ok(ModelFacts::new(config, weights.file_names(), unused))
}

/// The tensors of one tower, in the order of the network.
pub(super) fn required_tensors(config: &ClipConfig, module: Module) -> Result<Vec<TensorSpec>, ModelError> {
    let tower = clip::tower(config, module, &UnitSelection::default())?;
    Ok(tower.graph.required_tensors().to_vec())
}

/// Reads the images' preprocessing and checks that the network takes what comes out.
pub(super) fn check_preprocessing(folder: &Path, config: &ClipConfig) -> Result<(), ModelError> {
    let expected = [config.vision.image_size; 2];
    match Preprocessor::open(folder)?.output_size() {
        Some(found) if found == expected => Ok(()),
        found => {
            let found = found.map_or("absent".to_owned(), |size| format!("{size:?}"));
            let path = folder.join(PREPROCESSOR_FILE);
            let expected = format!("{expected:?}, `vision_config.image_size` of `config.json`");
            Err(ModelError::field(&path, "crop_size", found, expected))
        }
    }
}
