//! The twin of a model: the same network with weights that never were trained.
//!
//! Owns the control that a network's training needs: a folder with the same configuration, the same preparation of images and
//! texts, and every tensor by name and shape, its numbers drawn anew as the original implementation begins it. What such a twin
//! predicts of a brain is due to the architecture and the stimuli alone. `random/initial.rs` says how most tensors begin; what
//! only downloads have is here. Numbers go from the generator to the file, so memory does not grow with the model, but for a
//! tensor whose beginning is not known and whose own spread stands in.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::ModelError;
use super::export::{json_bytes, write};
use super::file::{TOKENIZER_LIMIT_BYTES, read_bounded, read_json};
use super::graph::Part;
use super::module::Module;
use super::open::OpenModel;
use super::random::WEIGHTS_FILE;
use super::random::draw::create;
use super::random::initial::{DEVIATION, Initial, Towers, is_norm};
use super::source::CONFIG_FILE;
use super::weights::{TensorSpec, Weights};

/// What tells these numbers from those that are drawn for other purposes: a twin is never the random model of the same seed.
const PURPOSE: &str = "hebb twin weights";

/// The standard deviation of the places of texts in OpenAI's code.
const OPENAI_PLACES: f64 = 0.01;

/// What METER's checkpoints say in their settings and no tensor shows.
const METER_SETTINGS: [&str; 3] = ["image_size", "max_text_len", "num_heads"];

/// Names of tensors that are computed from the configuration, so that they are no weights.
const COMPUTED: [&str; 3] = ["attn_mask", "position_ids", "relative_position_index"];

/// Which of a model's twins: as many as there are seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Twin {
    /// The seed of all weights.
    pub seed: u64,
}

/// How a twin came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwinFacts {
    /// The architecture, such as `clip`.
    pub architecture: String,
    /// The seed.
    pub seed: u64,
    /// Tensors in its file.
    pub n_tensors: usize,
    /// Numbers in its file.
    pub n_values: u64,
    /// Tensors whose beginning is not known: drawn around zero with the standard deviation that the model's own numbers have.
    pub own_deviation: Vec<String>,
    /// Tensors that are as in the model: computed from its configuration, or of unknown beginning and the same number throughout.
    pub kept: Vec<String>,
    /// Tensors of the model that are no 32-bit or 16-bit floats, which no network reads.
    pub left_out: Vec<String>,
}

/// What becomes of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// It is drawn as the original implementation begins it.
    Drawn(Initial),
    /// It is drawn with the standard deviation that it has.
    OwnDeviation,
    /// It stays.
    Kept,
}

/// Writes the twin of a model as a folder as it could have been downloaded, which `out` must be: existing and empty.
///
/// Of the files beside the weights, `config.json` is there if the model has one or its checkpoint's settings are needed, and
/// those that `beside` names are copied if they are there.
///
/// # Errors
/// `out` is not an empty folder, the model's tensors do not fit its architecture, a number of a tensor that has to be looked at
/// is not finite, or a file cannot be read or written.
pub fn write_twin(model: &OpenModel, twin: Twin, beside: &[&str], out: &Path) -> Result<TwinFacts, ModelError> {
    let architecture = model.architecture();
    // Misfits are told of here, where they are those of the model, and not when its twin is opened.
    let modules = architecture.modules();
    for &module in &modules {
        model.source().weights.check(&super::open::required_tensors(architecture, module)?)?;
    }
    let mut entries = std::fs::read_dir(out).map_err(ModelError::read(out))?;
    if entries.next().is_some() {
        return Err(ModelError::NotEmpty { folder: out.to_owned() });
    }
    let config = config_of(model)?;
    let facts = Roles::of(model, config.as_ref())?.write(model, twin, &out.join(WEIGHTS_FILE))?;
    if let Some(config) = config {
        write(&out.join(CONFIG_FILE), &json_bytes(&config))?;
    }
    let weights: BTreeSet<&str> = model.source().weights.file_names().iter().map(String::as_str).collect();
    for name in beside.iter().filter(|name| **name != CONFIG_FILE && !weights.contains(**name)) {
        let path = model.source().folder().join(name);
        if path.is_file() {
            write(&out.join(name), &read_bounded(&path, TOKENIZER_LIMIT_BYTES)?)?;
        }
    }
    Ok(facts)
}

/// The twin's configuration: the model's own, and in it what only its checkpoint says.
fn config_of(model: &OpenModel) -> Result<Option<Value>, ModelError> {
    let source = model.source();
    let path = source.folder().join(CONFIG_FILE);
    let config: Option<Value> = if path.is_file() { Some(read_json(&path)?) } else { None };
    let settings = match source.settings() {
        Some((settings, _)) if model.architecture().name() == "meter" => settings,
        _ => return Ok(config),
    };
    let trained = &settings["hyper_parameters"];
    let trained = trained.get("config").unwrap_or(trained);
    let mut config = config.unwrap_or_else(|| json!({ "model_type": "meter" }));
    // A configuration that is no table was refused when the model was opened.
    let Some(table) = config.as_object_mut() else { return Ok(Some(config)) };
    let meter = table.entry("meter").or_insert_with(|| Value::Object(Map::new()));
    if let Some(meter) = meter.as_object_mut() {
        for name in METER_SETTINGS {
            if let Some(value) = trained.get(name).filter(|_| meter.get(name).is_none_or(Value::is_null)) {
                meter.insert(name.to_owned(), value.clone());
            }
        }
    }
    Ok(Some(config))
}

/// What is known of how a model's tensors begin.
struct Roles {
    architecture: &'static str,
    towers: Towers,
    /// The standard deviation of matrices and tables where the name does not matter.
    deviation: f64,
    /// What all standard deviations of CLIP are multiplied by.
    clip_factor: f64,
}

impl Roles {
    fn of(model: &OpenModel, config: Option<&Value>) -> Result<Self, ModelError> {
        let architecture = model.architecture();
        let tower = |wanted: &[Module]| {
            let module = architecture.modules().into_iter().find(|module| wanted.contains(module))?;
            let layers = architecture.shape(module).layers;
            layers.first().map(|layer| (layers.len(), layer.width))
        };
        let towers = Towers { vision: tower(&[Module::Vision, Module::Image]), text: tower(&[Module::Text]) };
        let path = model.source().folder().join(CONFIG_FILE);
        let written = |name: &str, default: f64| match config.map(|config| &config[name]) {
            None | Some(Value::Null) => Ok(default),
            Some(written) => {
                let number = written.as_f64().filter(|number| number.is_finite() && *number > 0.0);
                number.ok_or_else(|| ModelError::field(&path, name, written, "a number above 0"))
            }
        };
        let deviation = written("initializer_range", DEVIATION)?;
        let clip_factor = written("initializer_factor", 1.0)?;
        Ok(Self { architecture: architecture.name(), towers, deviation, clip_factor })
    }

    fn fate(&self, name: &str, shape: &[usize]) -> Fate {
        let (owner, tensor) = name.rsplit_once('.').unwrap_or(("", name));
        let part = owner.rsplit('.').next().unwrap_or(owner);
        let is_of_clip = self.architecture == "clip" || name.starts_with("vit_model.visual.");
        let normal = |deviation: f64| Fate::Drawn(Initial::Normal { deviation });
        if COMPUTED.contains(&tensor) {
            return Fate::Kept;
        }
        if is_norm(part) && tensor == "weight" {
            return Fate::Drawn(Initial::Constant(1.0));
        }
        if matches!(tensor, "bias" | "in_proj_bias") {
            return Fate::Drawn(Initial::Constant(0.0));
        }
        if is_of_clip {
            return self.of_clip(name, part, tensor).map_or(Fate::OwnDeviation, Fate::Drawn);
        }
        match (tensor, shape.len()) {
            ("mask_token", _) => Fate::Drawn(Initial::Constant(0.0)),
            // transformers, METER and Swin begin every matrix and table alike, whatever it is called.
            ("weight", 2..) => normal(self.deviation),
            // A weight of one axis is a norm's, though a list of layers may give it a number for a name.
            ("weight", 1) => Fate::Drawn(Initial::Constant(1.0)),
            ("cls_token" | "position_embeddings" | "relative_position_bias_table", _) => normal(self.deviation),
            // METER's checkpoints hold what is left of CLIP's text tower, which nothing reads.
            ("positional_embedding", _) => normal(OPENAI_PLACES),
            _ => Fate::OwnDeviation,
        }
    }

    fn of_clip(&self, name: &str, part: &str, tensor: &str) -> Option<Initial> {
        let (n_layers, width) = self.towers.of(name);
        let by_width = (width as f64).powf(-0.5);
        let is_vision = name.contains("visual.");
        let deviation = match (part, tensor) {
            // OpenAI's code begins these otherwise than transformers.
            ("visual", "proj") | ("", "text_projection") => by_width,
            (_, "positional_embedding") if is_vision => by_width,
            (_, "positional_embedding") => OPENAI_PLACES,
            ("out_proj", _) if name.contains("resblocks.") && !is_vision => {
                by_width * (2.0 * n_layers as f64).powf(-0.5)
            }
            ("patch_embedding" | "position_embedding" | "token_embedding" | "conv1", "weight") => DEVIATION,
            _ => match self.towers.initial(name)? {
                Initial::Normal { deviation } => deviation,
                constant @ Initial::Constant(_) => return Some(constant),
            },
        };
        Some(Initial::Normal { deviation: deviation * self.clip_factor })
    }

    fn write(&self, model: &OpenModel, twin: Twin, path: &Path) -> Result<TwinFacts, ModelError> {
        let weights = &model.source().weights;
        let mut facts = TwinFacts {
            architecture: self.architecture.to_owned(),
            seed: twin.seed,
            n_tensors: 0,
            n_values: 0,
            own_deviation: Vec::new(),
            kept: Vec::new(),
            left_out: Vec::new(),
        };
        let mut tensors = Vec::new();
        for name in weights.unused(&[]) {
            let shape = weights.shape(&name).unwrap_or_default().to_vec();
            let tensor = TensorSpec { name, shape };
            match weights.check(std::slice::from_ref(&tensor)) {
                Ok(()) => tensors.push(tensor),
                Err(_) => facts.left_out.push(tensor.name),
            }
        }
        let mut out = create(path, &tensors)?;
        for tensor in &tensors {
            let n_values: usize = tensor.shape.iter().product();
            facts.n_values += n_values as u64;
            let initial = match self.fate(&tensor.name, &tensor.shape) {
                Fate::Drawn(initial) => Some(initial),
                Fate::Kept => None,
                Fate::OwnDeviation => {
                    let own = own_deviation(weights, tensor)?;
                    facts.own_deviation.extend(own.map(|_| tensor.name.clone()));
                    own
                }
            };
            let written = match initial {
                Some(initial) => initial.write((PURPOSE, twin.seed, &tensor.name), n_values, &mut out),
                None => {
                    facts.kept.push(tensor.name.clone());
                    out.write_all(&weights.f32_bytes(&Part::whole(&*tensor.name, &tensor.shape))?)
                }
            };
            written.map_err(ModelError::write(path))?;
        }
        out.flush().map_err(ModelError::write(path))?;
        facts.n_tensors = tensors.len();
        weights.assert_whole()?;
        Ok(facts)
    }
}

/// A tensor's own standard deviation; none if it is the same number throughout, which no training made.
fn own_deviation(weights: &Weights, tensor: &TensorSpec) -> Result<Option<Initial>, ModelError> {
    let values = weights.floats(&Part::whole(&*tensor.name, &tensor.shape))?;
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        let message = format!("tensor `{}` has {value}: expected numbers", tensor.name);
        let name = weights.file_names().first().map_or("", String::as_str);
        return Err(ModelError::malformed(&weights.folder().join(name), message));
    }
    if values.iter().all(|value| *value == values[0]) {
        return Ok(None);
    }
    let n = values.len() as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
    let variance = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / n;
    Ok(Some(Initial::Normal { deviation: variance.sqrt() }))
}

#[cfg(test)]
mod tests;
