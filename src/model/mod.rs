//! Models: from the files that people download to a table of unit activations.
//!
//! ```text
//! config.json + weights --OpenModel::open--> architecture, modules, layers        (before anything runs)
//!             |
//!           export --> model.onnx (weights stay where they are), units.tsv, module.json, tokenizer/preprocessing
//!             |
//!        Network::open --run_images / run_texts / run_pairs--> (n_samples, n_units)
//! ```
//!
//! | file | concern |
//! |---|---|
//! | `source`, `weights`, `config` | files as they were downloaded; every mistake in them named |
//! | `architecture` and its files | CLIP, METER, ViT, RoBERTa, BERT: from tensors to a graph |
//! | `blocks`, `graph`, `places` | what transformers are made of, as pieces of an ONNX graph |
//! | `module`, `units`, `taps` | what can be asked for, what it is called, how tokens are reduced |
//! | `open`, `export`, `reference`, `runtime` | check, write, run |
//! | `image`, `text`, `vocabulary` | stimuli as each model's own processor prepares them |
//! | `random`, `twin` | models without trained weights: of a stated size, or of the size of another |
//! | `low_level` | what is in stimuli without any network |
//!
//! Knows no studies, tasks or stores. To add an architecture: write a file in `architecture/`; see [`architecture`].

pub mod architecture;
mod blocks;
pub mod config;
mod error;
mod export;
mod file;
pub mod graph;
pub mod hub;
pub mod image;
pub mod low_level;
pub mod module;
mod open;
mod places;
mod random;
mod reference;
mod runtime;
mod source;
mod taps;
pub mod text;
pub mod twin;
pub mod units;
mod vocabulary;
pub mod weights;

pub use error::{ModelError, TensorProblem};
pub use export::{ExportedModule, MODULE_FILE, UNITS_FILE, export, export_alone};
pub use image::Preprocessor;
pub use low_level::{InRun, LowLevel, LowLevelError, LowLevelFeature, Luminance};
pub use module::{Module, ModuleInput, ModuleShape, Stimulus};
pub use open::{ModelFacts, ModuleFacts, OpenModel};
pub use random::{RandomArchitecture, RandomFusion, RandomModel, RandomText, RandomVision};
pub use runtime::{Device, Network, RunOptions, load_runtime, open_alone};
pub use text::CaptionTokenizer;
pub use twin::{Twin, TwinFacts, write_twin};
pub use units::{AllLayers, Kind, Kinds, LayerUnits, Layers, Reduce, UnitSelection, UnitTable};
