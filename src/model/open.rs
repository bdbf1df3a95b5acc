//! A model that was recognised: what it offers, and whether its files hold together.
//!
//! Owns [`OpenModel`], by which a study is checked before its first task: configuration, tensor headers, the preparation of
//! images and texts, and the list of files. Reads no weights. `export.rs` does the work that is checked here.

use std::path::Path;

use super::architecture::{Architecture, recognise, tapped};
use super::error::ModelError;
use super::image::{PREPROCESSOR_FILE, Preprocessor};
use super::module::{Module, ModuleShape, TextInput};
use super::source::Source;
use super::text::CaptionTokenizer;
use super::units::UnitSelection;
use super::vocabulary::{TOKENIZER_FILES, longest_text, tokenizer_file};
use super::weights::TensorSpec;

/// What a model offers, as far as a study uses it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// The architecture, such as `clip`.
    pub architecture: &'static str,
    /// The modules in use.
    pub modules: Vec<ModuleFacts>,
    /// The files that hold the weights, by name inside the folder.
    pub weight_files: Vec<String>,
}

/// One module of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleFacts {
    /// Which.
    pub module: Module,
    /// What goes in and the size of its layers.
    pub shape: ModuleShape,
    /// The files that it depends on, by name inside the folder, sorted.
    pub files: Vec<String>,
    /// Bytes of its weights in 32-bit floats.
    pub weights_bytes: u64,
}

impl ModelFacts {
    /// One of the modules in use.
    #[must_use]
    pub fn module(&self, module: Module) -> Option<&ModuleFacts> {
        self.modules.iter().find(|facts| facts.module == module)
    }
}

/// A model whose architecture is known.
pub struct OpenModel {
    source: Source,
    architecture: Box<dyn Architecture>,
}

impl OpenModel {
    /// Opens a model folder, or one checkpoint whose other files stand in the same folder.
    ///
    /// # Errors
    /// There are no weights, a header is malformed, the architecture is not known, or the configuration contradicts itself.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let source = Source::open(path)?;
        let architecture = recognise(&source)?;
        Ok(Self { source, architecture })
    }

    /// The architecture with its sizes.
    #[must_use]
    pub fn architecture(&self) -> &dyn Architecture {
        &*self.architecture
    }

    /// What it was opened from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What a study that uses these modules has to know, once their files are known to hold together.
    ///
    /// # Errors
    /// The model has no such module, the weights do not fit the configuration (all misfits at once), or images or texts cannot
    /// be prepared for it.
    pub fn facts(&self, modules: &[Module]) -> Result<ModelFacts, ModelError> {
        let weight_files = self.source.weights.file_names();
        let (facts, required) =
            facts_of(self.architecture(), modules, weight_files, |beside| self.source.files(beside))?;
        self.source.weights.check(&required)?;
        if facts.modules.iter().any(|facts| facts.shape.input.image.is_some()) {
            self.preprocessor()?;
        }
        if facts.modules.iter().any(|facts| facts.shape.input.text.is_some()) {
            // Its start and end of text are in every caption, so one tells a tokenizer of another network.
            self.tokenizer()?.0.ids("a photo")?;
        }
        Ok(facts)
    }

    /// Tensors that none of its modules needs, such as the heads of a training.
    ///
    /// # Errors
    /// A module cannot be built.
    pub fn unused_tensors(&self) -> Result<Vec<String>, ModelError> {
        let mut required = Vec::new();
        for module in self.architecture.modules() {
            required.extend(required_tensors(self.architecture(), module)?);
        }
        Ok(self.source.weights.unused(&required))
    }

    /// How images are prepared: as the model's own file says, or as the architecture does where there is none.
    ///
    /// # Errors
    /// There is nothing that says it, or what comes out is not what the network takes.
    pub fn preprocessor(&self) -> Result<Preprocessor, ModelError> {
        let folder = self.source.folder();
        let path = folder.join(PREPROCESSOR_FILE);
        let preprocessor = if path.is_file() {
            Preprocessor::open(folder)?
        } else {
            let own = self.architecture.preprocessor();
            own.ok_or_else(|| ModelError::NoPreprocessor { folder: folder.to_owned() })?
        };
        let image =
            self.architecture.modules().into_iter().find_map(|module| self.architecture.shape(module).input.image);
        let expected = image.map(|image| [image.image_size; 2]);
        if preprocessor.output_size() == expected {
            return Ok(preprocessor);
        }
        let shown = |size: Option<[usize; 2]>| size.map_or("absent".to_owned(), |size| format!("{size:?}"));
        let expected = format!("{}, the size of the network's images", shown(expected));
        Err(ModelError::field(&path, "crop_size", shown(preprocessor.output_size()), expected))
    }

    /// What the network takes of a text, and no more than the tokenizer's own settings say.
    ///
    /// # Errors
    /// `tokenizer_config.json` is there and cannot be read.
    pub fn text_input(&self) -> Result<Option<TextInput>, ModelError> {
        let text =
            self.architecture.modules().into_iter().find_map(|module| self.architecture.shape(module).input.text);
        let longest = longest_text(self.source.folder())?;
        Ok(text.map(|text| TextInput { context_length: text.context_length.min(longest), ..text }))
    }

    /// The tokenizer, and the same as `tokenizer.json` has it.
    ///
    /// # Errors
    /// There is none, or it does not fit the network.
    pub fn tokenizer(&self) -> Result<(CaptionTokenizer, Vec<u8>), ModelError> {
        let missing = || ModelError::NoTokenizer { folder: self.source.folder().to_owned(), or: String::new() };
        let style = self.architecture.tokenizer_style().ok_or_else(missing)?;
        let input = self.text_input()?.ok_or_else(missing)?;
        let (path, bytes) = tokenizer_file(self.source.folder(), style, input.vocab_size)?;
        Ok((CaptionTokenizer::of_json(&path, &bytes, input)?, bytes))
    }
}

/// What an architecture offers in these modules, and the tensors that they need; `files` says which files of a model a module
/// with these beside its weights depends on.
///
/// # Errors
/// As [`required_tensors`].
pub fn facts_of(
    architecture: &dyn Architecture,
    modules: &[Module],
    weight_files: &[String],
    files: impl Fn(&[&str]) -> Vec<String>,
) -> Result<(ModelFacts, Vec<TensorSpec>), ModelError> {
    let mut required: Vec<TensorSpec> = Vec::new();
    let mut facts = Vec::new();
    for &module in modules {
        let tensors = required_tensors(architecture, module)?;
        let shape = architecture.shape(module);
        let mut beside: Vec<&str> = Vec::new();
        if shape.input.image.is_some() {
            beside.push(PREPROCESSOR_FILE);
        }
        if shape.input.text.is_some() {
            beside.extend(TOKENIZER_FILES);
        }
        facts.push(ModuleFacts { module, shape, files: files(&beside), weights_bytes: size_bytes(&tensors) });
        for tensor in tensors {
            if !required.contains(&tensor) {
                required.push(tensor);
            }
        }
    }
    let weight_files = weight_files.to_vec();
    Ok((ModelFacts { architecture: architecture.name(), modules: facts, weight_files }, required))
}

/// The tensors of one module, in the order of the network.
///
/// # Errors
/// The architecture has no such module, or the module cannot be built.
pub fn required_tensors(architecture: &dyn Architecture, module: Module) -> Result<Vec<TensorSpec>, ModelError> {
    let known = architecture.modules();
    if !known.contains(&module) {
        return Err(ModelError::NoModule { architecture: architecture.name(), module, known });
    }
    Ok(tapped(architecture, module, &UnitSelection::default())?.graph.required_tensors().to_vec())
}

/// Bytes of tensors in 32-bit floats.
#[must_use]
pub fn size_bytes(tensors: &[TensorSpec]) -> u64 {
    tensors.iter().map(|tensor| 4 * tensor.shape.iter().map(|&length| length as u64).product::<u64>()).sum()
}
