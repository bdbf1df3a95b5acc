//! From a model to a folder that extraction can run.
//!
//! Owns what an export consists of: the graph without its weights, the table of units, the tokenizer or preprocessing, and
//! `module.json`, which ties them together and knows the weights by a digest. Needs no ONNX Runtime; `runtime.rs` opens what is
//! written here.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::architecture::{TappedGraph, tapped};
use super::error::ModelError;
use super::file::{TOKENIZER_LIMIT_BYTES, read_bounded, read_json};
use super::graph::Graph;
use super::image::PREPROCESSOR_FILE;
use super::module::{Module, ModuleInput};
use super::open::OpenModel;
use super::reference::NamedWeights;
use super::text::CaptionTokenizer;
use super::units::{Kinds, LayerUnits, Reduce, UnitSelection, UnitTable};
use super::vocabulary::TOKENIZER_FILE;

/// The name of the file that describes an export.
pub const MODULE_FILE: &str = "module.json";

/// The name of the table of units.
pub const UNITS_FILE: &str = "units.tsv";

/// What an export is, as `module.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedModule {
    /// The architecture, such as `clip`.
    pub architecture: String,
    /// The model's name in the study.
    pub model: String,
    /// Which part of it.
    pub module: Module,
    /// Which activations are tapped.
    #[serde(rename = "kind")]
    pub kinds: Kinds,
    /// How tokens are reduced.
    pub reduce: Reduce,
    /// Whether class tokens, start and end of texts count as tokens.
    pub special_tokens: bool,
    /// What the network takes.
    pub input: ModuleInput,
    /// Layers of the whole module, tapped or not.
    pub n_layers: usize,
    /// Units over all tapped layers: the columns that extraction returns.
    pub n_units: usize,
    /// The tapped layers in the order of the columns.
    pub layers: Vec<LayerUnits>,
    /// The weights that the graph needs.
    pub weights: NamedWeights,
}

/// Writes one module of a model, with its units as outputs, into an existing empty folder: `model.onnx`, `units.tsv`,
/// `module.json`, and `tokenizer.json` or `preprocessor_config.json`; `constants.bin` if it has large constants. Weights stay in
/// the model's own files, from which [`super::Network`] takes them.
///
/// Layers after the last tapped one are left out. The bytes depend on the network, the numbers in its weights, the name and the
/// selection alone: a model in other files, or with other tensors that this module does not need, gives the same.
///
/// # Errors
/// The model's files do not hold together (see [`OpenModel::facts`]), the selection does not fit the module, `out` is not an
/// empty folder, or a file cannot be written.
pub fn export(
    model: &OpenModel,
    model_name: &str,
    module: Module,
    selection: &UnitSelection,
    out: &Path,
) -> Result<ExportedModule, ModelError> {
    let (graph, described, companions) = prepare(model, model_name, module, selection, out)?;
    graph.write(out)?;
    write_all(out, &companions)?;
    Ok(described)
}

/// The same in a folder that any ONNX Runtime can open: with a copy of the model's own files of weights beside the graph, and
/// `weights.bin` for what these do not hold as it is needed. With `is_rounded` all weights
/// are rounded to bfloat16 and stand in `weights.bin`: what is lost by that precision can so be seen on any processor.
///
/// # Errors
/// As [`export`].
pub fn export_alone(
    model: &OpenModel,
    model_name: &str,
    module: Module,
    selection: &UnitSelection,
    out: &Path,
    is_rounded: bool,
) -> Result<ExportedModule, ModelError> {
    let (graph, described, companions) = prepare(model, model_name, module, selection, out)?;
    for name in graph.write_referring(&model.source().weights, out, is_rounded)? {
        let (from, to) = (model.source().folder().join(&name), out.join(&name));
        // A name in a hub's folder may be a link to somewhere else.
        let from = from.canonicalize().map_err(ModelError::read(&from))?;
        // No link: readers of ONNX files refuse weights that have another name elsewhere. Where the file system can, a copy shares
        // its blocks.
        fs::copy(&from, &to).map_err(ModelError::write(&to))?;
    }
    write_all(out, &companions)?;
    Ok(described)
}

type Companions = Vec<(&'static str, Vec<u8>)>;

/// All that goes into an export, once `out` is known to be an empty folder.
fn prepare(
    model: &OpenModel,
    model_name: &str,
    module: Module,
    selection: &UnitSelection,
    out: &Path,
) -> Result<(Graph, ExportedModule, Companions), ModelError> {
    let architecture = model.architecture();
    let known = architecture.modules();
    if !known.contains(&module) {
        return Err(ModelError::NoModule { architecture: architecture.name(), module, known });
    }
    let mut shape = architecture.shape(module);
    if shape.input.text.is_some() {
        shape.input.text = model.text_input()?;
    }
    let TappedGraph { graph, layers } = tapped(architecture, module, selection)?;
    let table = UnitTable::new(model_name, module, layers.clone())?;
    let mut companions: Companions = vec![(UNITS_FILE, table.to_tsv().into_bytes())];
    if shape.input.image.is_some() {
        companions.push((PREPROCESSOR_FILE, json_bytes(&model.preprocessor()?)));
    }
    if shape.input.text.is_some() {
        companions.push((TOKENIZER_FILE, model.tokenizer()?.1));
    }
    let mut entries = fs::read_dir(out).map_err(ModelError::read(out))?;
    if entries.next().is_some() {
        return Err(ModelError::NotEmpty { folder: out.to_owned() });
    }
    let described = ExportedModule {
        architecture: architecture.name().to_owned(),
        model: model_name.to_owned(),
        module,
        kinds: selection.kinds.clone(),
        reduce: selection.reduce,
        special_tokens: selection.special_tokens,
        input: shape.input,
        n_layers: shape.layers.len(),
        n_units: table.n_units(),
        layers,
        weights: NamedWeights::of(&graph, &model.source().weights)?,
    };
    companions.push((MODULE_FILE, json_bytes(&described)));
    Ok((graph, described, companions))
}

fn write_all(out: &Path, companions: &Companions) -> Result<(), ModelError> {
    companions.iter().try_for_each(|(name, bytes)| write(&out.join(name), bytes))
}

impl ExportedModule {
    /// The tokenizer of an export that takes texts.
    ///
    /// # Errors
    /// The export takes none, or a file of it cannot be read.
    pub fn tokenizer(folder: &Path) -> Result<CaptionTokenizer, ModelError> {
        let missing = || ModelError::NoTokenizer { folder: folder.to_owned(), or: String::new() };
        let input = Self::open(folder)?.input.text.ok_or_else(missing)?;
        let path = folder.join(TOKENIZER_FILE);
        CaptionTokenizer::of_json(&path, &read_bounded(&path, TOKENIZER_LIMIT_BYTES)?, input)
    }

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

/// A value as a file holds it.
pub(super) fn json_bytes(value: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(value).expect("plain data always becomes JSON");
    json.push(b'\n');
    json
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), ModelError> {
    fs::write(path, bytes).map_err(ModelError::write(path))
}
