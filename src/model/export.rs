//! From a model folder to a folder that extraction can run.
//!
//! Owns what an export consists of: the graph with its weights, the table of units, the verbatim
//! tokenizer or preprocessing, and `module.json`, which ties them together. Needs no ONNX Runtime;
//! `runtime.rs` opens what is written here.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::clip;
use super::config::{ClipConfig, EndOfText};
use super::error::ModelError;
use super::facts::check_preprocessing;
use super::file::{CONFIG_LIMIT_BYTES, TOKENIZER_LIMIT_BYTES, read_bounded, read_json};
use super::image::PREPROCESSOR_FILE;
use super::text::TOKENIZER_FILE;
use super::units::{Kind, LayerUnits, Module, Reduce, UnitSelection, UnitTable};
use super::weights::Weights;

/// The name of the file that describes an export.
pub const MODULE_FILE: &str = "module.json";

/// The name of the table of units.
pub const UNITS_FILE: &str = "units.tsv";

/// What an export is, as `module.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedModule {
    /// The architecture, `clip`.
    pub architecture: String,
    /// The model's name in the study.
    pub model: String,
    /// Which tower.
    pub module: Module,
    /// Which activations are tapped.
    pub kind: Kind,
    /// How tokens are reduced.
    pub reduce: Reduce,
    /// What the network takes.
    pub input: ModuleInput,
    /// Layers of the whole module, tapped or not.
    pub n_layers: usize,
    /// Units over all tapped layers: the columns that extraction returns.
    pub n_units: usize,
    /// The tapped layers in the order of the columns.
    pub layers: Vec<LayerUnits>,
}

/// What a network takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ModuleInput {
    /// RGB images.
    Images {
        /// Height and width, in pixels.
        image_size: usize,
    },
    /// Token ids and their mask.
    Texts {
        /// The most tokens.
        context_length: usize,
        /// Ids lie below this.
        vocab_size: usize,
        /// How the end of a text is found.
        end_of_text: EndOfText,
    },
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSummary {
    /// The same as in `module.json`.
    pub module: ExportedModule,
    /// The size of `weights.bin`.
    pub weights_bytes: u64,
}

/// Writes one module of a Hugging Face CLIP folder, with its units as outputs, into an existing
/// empty folder: `model.onnx`, `weights.bin`, `units.tsv`, `module.json`, and `tokenizer.json` or
/// `preprocessor_config.json` verbatim.
///
/// Layers after the last tapped one are left out. The bytes depend on the model folder, the name
/// and the selection alone.
///
/// # Errors
/// The model folder does not hold together (see [`super::inspect`]), the selection does not fit
/// the module, `out` is not an empty folder, or a file cannot be written.
pub fn export(
    folder: &Path,
    model_name: &str,
    module: Module,
    selection: &UnitSelection,
    out: &Path,
) -> Result<ExportSummary, ModelError> {
    let config = ClipConfig::open(folder)?;
    let tapped = clip::tower(&config, module, selection)?;
    let table = UnitTable::new(model_name, module, tapped.layers.clone())?;
    let weights = Weights::open(folder)?;
    weights.check(tapped.graph.required_tensors())?;
    let (input, companion, limit_bytes) = match module {
        Module::Vision => {
            check_preprocessing(folder, &config)?;
            let image_size = config.vision.image_size;
            (ModuleInput::Images { image_size }, PREPROCESSOR_FILE, CONFIG_LIMIT_BYTES)
        }
        Module::Text => {
            let text = &config.text;
            let input = ModuleInput::Texts {
                context_length: text.context_length,
                vocab_size: text.vocab_size,
                end_of_text: text.end_of_text,
            };
            (input, TOKENIZER_FILE, TOKENIZER_LIMIT_BYTES)
        }
    };
    let companion_bytes = read_bounded(&folder.join(companion), limit_bytes)?;

    let mut entries = fs::read_dir(out).map_err(ModelError::read(out))?;
    if entries.next().is_some() {
        return Err(ModelError::NotEmpty { folder: out.to_owned() });
    }
    let described = ExportedModule {
        architecture: "clip".to_owned(),
        model: model_name.to_owned(),
        module,
        kind: selection.kind,
        reduce: selection.reduce,
        input,
        n_layers: config.tower(module).n_layers,
        n_units: table.n_units(),
        layers: tapped.layers,
    };
    let weights_bytes = tapped.graph.write(&weights, out)?;
    write(&out.join(UNITS_FILE), table.to_tsv().as_bytes())?;
    write(&out.join(companion), &companion_bytes)?;
    let mut json = serde_json::to_string_pretty(&described).expect("plain data always becomes JSON");
    json.push('\n');
    write(&out.join(MODULE_FILE), json.as_bytes())?;
    Ok(ExportSummary { module: described, weights_bytes })
}

impl ExportedModule {
    /// Reads `module.json` of an export.
    ///
    /// # Errors
    /// The file cannot be read or is not what [`export`] writes.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join(MODULE_FILE);
        let module: Self = read_json(&path)?;
        let n_units = module.layers.iter().try_fold(0usize, |sum, l| sum.checked_add(l.n_units));
        if n_units != Some(module.n_units) {
            let expected = "the sum over `layers`";
            return Err(ModelError::field(&path, "n_units", module.n_units, expected));
        }
        Ok(module)
    }
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    fs::write(path, bytes).map_err(ModelError::write(path))
}
