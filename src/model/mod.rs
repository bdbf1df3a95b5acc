//! Vision-language models: from a Hugging Face folder to a table of unit activations.
//!
//! ```text
//! config.json + model.safetensors --inspect--> ModelFacts        (before anything runs)
//!             |
//!           export --> model.onnx, weights.bin, units.tsv, module.json, tokenizer/preprocessing
//!             |
//!        Network::open --run_images / run_texts--> (n_samples, n_units)
//! ```
//!
//! Owns the architecture (CLIP: [`clip`]), the taps and their reductions ([`units`], `taps`), and
//! the preparation of stimuli ([`image`], [`text`]). Knows no studies, tasks or stores. A
//! [`RandomClip`] stands in where no trained weights are at hand.
//!
//! To add an architecture: write a file like `clip.rs`, its configuration like `config.rs`, and let
//! [`export()`] and [`inspect`] choose between them by `model_type`.

pub mod clip;
pub mod config;
mod error;
mod export;
mod facts;
mod file;
pub mod graph;
pub mod image;
mod random;
mod resample;
mod runtime;
mod taps;
pub mod text;
pub mod units;
mod vocabulary;
pub mod weights;

pub use error::{ModelError, TensorProblem};
pub use export::{ExportSummary, ExportedModule, MODULE_FILE, ModuleInput, UNITS_FILE, export};
pub use facts::{ModelFacts, inspect};
pub use image::Preprocessor;
pub use random::{RandomClip, RandomText, RandomVision};
pub use runtime::{Network, load_runtime};
pub use text::CaptionTokenizer;
pub use units::{AllLayers, Kind, LayerUnits, Layers, Module, Reduce, UnitSelection, UnitTable};
