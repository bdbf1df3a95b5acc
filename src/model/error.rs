//! What can go wrong between a model folder and a table of unit activations.
//!
//! Owns the one error enum of `model` and its wording. Each file of `model` builds the variants
//! that concern it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::module::{Module, Stimulus};
use super::units::{Kind, Reduce};
use crate::format::names::listed;

/// An error of the model part.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be read.
    #[error("`{}` could not be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// A file could not be written.
    #[error("`{}` could not be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },

    /// What a file holds is larger than the memory for it.
    #[error(transparent)]
    TooMuch(#[from] Box<crate::format::memory::TooMuch>),

    /// A file is larger than any honest one of its kind.
    #[error("`{}` has {size_bytes} bytes: expected at most {limit_bytes}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
        /// The most that is read.
        limit_bytes: u64,
    },

    /// A file's text is not what its format says.
    #[error("`{}` is not valid: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the parser found.
        message: String,
    },

    /// A field of a configuration has a value that cannot be.
    #[error("`{}`: `{field}` is {found}: expected {expected}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field's full name, such as `text_config.hidden_size`.
        field: String,
        /// The value in hand.
        found: String,
        /// What would be right.
        expected: String,
    },

    /// A folder holds no weights that can be read.
    #[error(
        "`{}` holds no weights: expected `model.safetensors`, `pytorch_model.bin`, the index of several such files, or one file \
         that ends in `.safetensors`, `.ckpt`, `.pt`, `.pth` or `.bin`",
        folder.display()
    )]
    NoWeights {
        /// The model folder.
        folder: PathBuf,
    },

    /// A folder holds several files that may be the weights.
    #[error(
        "`{}` holds several files of weights, {}: expected one, or the path of the one that is meant",
        folder.display(),
        names.join(", ")
    )]
    ManyWeights {
        /// The model folder.
        folder: PathBuf,
        /// The files.
        names: Vec<String>,
    },

    /// A PyTorch checkpoint could not be read.
    #[error(transparent)]
    Torch(#[from] crate::format::torch::TorchError),

    /// Weights are not those that a graph was exported with.
    #[error("`{}` holds other weights than those that the graph was exported with: they changed meanwhile; run again", path.display())]
    OtherWeights {
        /// The model's folder or checkpoint.
        path: PathBuf,
    },

    /// A model could not be had by its name.
    #[error(transparent)]
    Hub(#[from] super::hub::HubError),

    /// A model is of no architecture that is known.
    #[error(
        "`{}` is no model that is known{}: expected one of {known}",
        folder.display(),
        model_type.as_ref().map_or(
            ": it has no `config.json` with a `model_type`, and its tensors are not named as those of METER or OpenAI's CLIP".to_owned(),
            |name| format!(": its `model_type` is `{name}`")
        )
    )]
    Unrecognised {
        /// The model folder.
        folder: PathBuf,
        /// What `config.json` says it is.
        model_type: Option<String>,
        /// The architectures that are known.
        known: String,
    },

    /// A model has no module of this name.
    #[error("`{architecture}` has no module `{module}`: expected {}", listed_in_words(known))]
    NoModule {
        /// The architecture.
        architecture: &'static str,
        /// The module asked for.
        module: Module,
        /// Those that it has.
        known: Vec<Module>,
    },

    /// A folder has no tokenizer.
    #[error("`{}` holds no tokenizer: expected `tokenizer.json`, or {or}", folder.display())]
    NoTokenizer {
        /// The model folder.
        folder: PathBuf,
        /// What else would do.
        or: String,
    },

    /// A folder does not say how images are prepared, and the architecture does not either.
    #[error("`{}` holds no `preprocessor_config.json`, which says how images are prepared", folder.display())]
    NoPreprocessor {
        /// The model folder.
        folder: PathBuf,
    },

    /// Tensors are missing or have other shapes than the configuration says; all of them.
    #[error("the weights in `{}` do not fit their configuration:{}{}", folder.display(), in_lines(problems), instead(extra))]
    Tensors {
        /// The model folder.
        folder: PathBuf,
        /// Every misfit, in the order of the network.
        problems: Vec<TensorProblem>,
        /// Where tensors are missing, those that are there and that the network does not need.
        extra: Vec<String>,
    },

    /// No kind of unit, or one of them again.
    #[error("{}", match twice {
        Some(kind) => format!("units of kind `{kind}` are asked for twice: name each kind once"),
        None => "no kind of unit is asked for: name at least one, as `query-key`".to_owned(),
    })]
    Kinds {
        /// The kind that was named before.
        twice: Option<Kind>,
    },

    /// A reduction that this kind of unit does not have.
    #[error("units of kind `{kind}` cannot be reduced by `{reduce}`: expected {}", one_of(allowed))]
    Combination {
        /// The kind asked for.
        kind: Kind,
        /// The reduction asked for.
        reduce: Reduce,
        /// The reductions that this kind has.
        allowed: Vec<Reduce>,
    },

    /// A reduction to a token that the module does not have.
    #[error("module `{module}` cannot be reduced by `{reduce}`: {}", match reduce {
        Reduce::Last => "only text has an end-of-text token",
        _ => "it has no class token, or `special_tokens = false` leaves it out",
    })]
    NoSuchToken {
        /// The module.
        module: Module,
        /// The reduction.
        reduce: Reduce,
    },

    /// Layers of an embedding, which comes after all of them.
    #[error("units of kind `embedding` come after the last layer: expected `layers = \"all\"`")]
    EmbeddingLayers,

    /// A text without content, where only content counts.
    #[error("the caption `{caption}` has special tokens only, and `units.special_tokens = false` leaves them out")]
    NothingLeft {
        /// The beginning of the caption.
        caption: String,
    },

    /// A list of layers that names none, or one twice, or one that does not exist.
    #[error("`layers` of module `{module}` {problem}: expected distinct numbers from 0 to {}", n_layers.saturating_sub(1))]
    Layers {
        /// The module.
        module: Module,
        /// What is wrong with the list.
        problem: String,
        /// How many layers the module has.
        n_layers: usize,
    },

    /// A name that could not be told apart inside a unit's name or a table.
    #[error("model name `{name}`: expected letters, digits, `-`, `_` and `.` only")]
    ModelName {
        /// The name given.
        name: String,
    },

    /// The folder to write to has something in it.
    #[error("`{}` is not empty: expected an existing empty folder", folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },

    /// An image could not be decoded or prepared.
    #[error("image `{}`: {message}", path.display())]
    Image {
        /// The image.
        path: PathBuf,
        /// Why.
        message: String,
    },

    /// A caption is longer than any that could be meant.
    #[error("a caption has {size_bytes} bytes: expected at most {limit_bytes}")]
    CaptionTooLong {
        /// The caption's size.
        size_bytes: usize,
        /// The most that is tokenized.
        limit_bytes: usize,
    },

    /// The tokenizer failed on a caption.
    #[error("the caption `{caption}` could not be tokenized: {message}")]
    Tokenize {
        /// The beginning of the caption.
        caption: String,
        /// The tokenizer's reason.
        message: String,
    },

    /// The tokenizer and the network do not belong together.
    #[error(
        "the caption `{caption}` became token {id}: expected an id below the vocabulary size {vocab_size}; \
         `tokenizer.json` belongs to another model"
    )]
    TokenId {
        /// The beginning of the caption.
        caption: String,
        /// The token's id.
        id: u32,
        /// The rows of the token embedding.
        vocab_size: usize,
    },

    /// The tokenizer closes captions with another token than the configuration names.
    #[error(
        "the caption `{caption}` has no token {expected}, `text_config.eos_token_id` of `config.json`: \
         set the id with which `tokenizer.json` closes a text"
    )]
    NoEndOfText {
        /// The beginning of the caption.
        caption: String,
        /// The id that the configuration names.
        expected: u32,
    },

    /// Images went to a text module or texts to an image module.
    #[error("module `{found}` was given {given}: expected {}", found.stimulus())]
    WrongModule {
        /// The module that was opened.
        found: Module,
        /// What it was given.
        given: Stimulus,
    },

    /// An image array has another shape than the network takes.
    #[error("image {index} of the batch has shape {found:?}: expected {expected:?}")]
    ImageShape {
        /// Its place in the batch.
        index: usize,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that the network takes.
        expected: Vec<usize>,
    },

    /// ONNX Runtime could not be loaded.
    #[error("ONNX Runtime could not be loaded from `{}`: {message}", path.display())]
    LoadRuntime {
        /// The library.
        path: PathBuf,
        /// Why.
        message: String,
    },

    /// A second, different ONNX Runtime was asked for.
    #[error("ONNX Runtime is already loaded from `{}`: expected the same path, not `{}`", loaded.display(), asked.display())]
    OtherRuntime {
        /// The library in use.
        loaded: PathBuf,
        /// The library asked for.
        asked: PathBuf,
    },

    /// A network was opened before the runtime.
    #[error("ONNX Runtime is not loaded: call `load_runtime` before a network is opened")]
    RuntimeNotLoaded,

    /// ONNX Runtime refused a graph or failed to run it.
    #[error("ONNX Runtime failed on `{}`: {message}", path.display())]
    Runtime {
        /// The graph.
        path: PathBuf,
        /// The runtime's reason.
        message: String,
    },
}

impl ModelError {
    pub(super) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    pub(super) fn malformed(path: &Path, message: impl fmt::Display) -> Self {
        Self::Malformed { path: path.to_owned(), message: message.to_string() }
    }

    pub(super) fn field(
        path: &Path,
        field: impl Into<String>,
        found: impl fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        let (field, expected) = (field.into(), expected.into());
        Self::Field { path: path.to_owned(), field, found: found.to_string(), expected }
    }
}

/// One tensor that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TensorProblem {
    /// The file has no such tensor.
    Missing {
        /// The tensor's name.
        name: String,
        /// The shape that the configuration says.
        expected: Vec<usize>,
    },
    /// The tensor has another shape.
    Shape {
        /// The tensor's name.
        name: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape that the configuration says.
        expected: Vec<usize>,
    },
    /// The tensor's numbers are of a type that is not read.
    ElementType {
        /// The tensor's name.
        name: String,
        /// The type in the file.
        found: String,
    },
}

impl fmt::Display for TensorProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name, expected } => {
                write!(f, "`{name}` is missing: expected shape {expected:?}")
            }
            Self::Shape { name, found, expected } => {
                write!(f, "`{name}` has shape {found:?}: expected {expected:?}")
            }
            Self::ElementType { name, found } => {
                write!(f, "`{name}` is of type {found}: expected F32, F16 or BF16")
            }
        }
    }
}

fn in_lines(problems: &[TensorProblem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// The first of what is there instead.
fn instead(extra: &[String]) -> String {
    if extra.is_empty() { String::new() } else { format!("\n  not needed, and there: {}", listed(extra, 8)) }
}

fn listed_in_words(modules: &[Module]) -> String {
    let names: Vec<String> = modules.iter().map(|module| format!("`{module}`")).collect();
    names.join(", ")
}

fn one_of(allowed: &[Reduce]) -> String {
    let names: Vec<String> = allowed.iter().map(|reduce| format!("`{reduce}`")).collect();
    names.join(", ")
}
