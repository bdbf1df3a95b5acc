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
mod tests {
    use super::*;
    use crate::model::{RandomArchitecture, RandomModel};
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;
    use tempfile::TempDir;

    const ALL: [RandomArchitecture; 5] = [
        RandomArchitecture::Clip,
        RandomArchitecture::Meter,
        RandomArchitecture::Vit,
        RandomArchitecture::Roberta,
        RandomArchitecture::Bert,
    ];

    fn random(architecture: RandomArchitecture) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        RandomModel::tiny_of(architecture).write_random(folder.path()).unwrap();
        folder
    }

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn twin_of(place: &Path, seed: u64) -> Result<(TempDir, TwinFacts), ModelError> {
        let out = tempfile::tempdir().unwrap();
        let model = OpenModel::open(place)?;
        let names = names_in(model.source().folder());
        let beside: Vec<&str> = names.iter().map(String::as_str).collect();
        let facts = write_twin(&model, Twin { seed }, &beside, out.path())?;
        Ok((out, facts))
    }

    fn numbers(weights: &Weights, name: &str) -> Vec<f32> {
        weights.floats(&Part::whole(name, weights.shape(name).unwrap())).unwrap()
    }

    fn moments(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
        (mean, (values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / n).sqrt())
    }

    #[test]
    fn a_twin_has_the_shape_of_its_model_and_other_numbers() {
        for architecture in ALL {
            let folder = random(architecture);
            let model = OpenModel::open(folder.path()).unwrap();
            let (twin, facts) = twin_of(folder.path(), 0).unwrap();
            let opened = OpenModel::open(twin.path()).unwrap();
            let modules = model.architecture().modules();
            assert_eq!(opened.facts(&modules).unwrap(), model.facts(&modules).unwrap());
            let (old, new) = (&model.source().weights, &opened.source().weights);
            assert_eq!(old.unused(&[]), new.unused(&[]));
            let special = [facts.own_deviation, facts.kept, facts.left_out].concat();
            assert_eq!(special, [""; 0], "{architecture:?}");
            for name in old.unused(&[]) {
                let (old, new) = (numbers(old, &name), numbers(new, &name));
                let ((_, was), (mean, is)) = (moments(&old), moments(&new));
                if was == 0.0 {
                    assert_eq!(old, new, "{name} begins with one number");
                    continue;
                }
                assert!(old.iter().zip(&new).all(|(old, new)| old != new), "{name}");
                // An untrained model and its twin are draws from one distribution; METER's own code begins the places of
                // CLIP's image tower otherwise than transformers.
                let n = old.len() as f64;
                let of_openai = name == "vit_model.visual.positional_embedding";
                assert!(of_openai || (is / was - 1.0).abs() < 6.0 / n.sqrt(), "{name}: {is} against {was}");
                assert!(mean.abs() < 6.0 * is / n.sqrt(), "{name}: mean {mean}");
            }
        }
    }

    #[test]
    fn bytes_depend_on_the_seed_alone() {
        let folder = random(RandomArchitecture::Vit);
        let bytes = |seed| std::fs::read(twin_of(folder.path(), seed).unwrap().0.path().join(WEIGHTS_FILE)).unwrap();
        assert_eq!(bytes(4), bytes(4));
        assert_ne!(bytes(4), bytes(5));
        // A twin forgets its model: two trainings of one architecture have the same twin.
        let other = tempfile::tempdir().unwrap();
        RandomModel { seed: 9, ..RandomModel::tiny_of(RandomArchitecture::Vit) }.write_random(other.path()).unwrap();
        let of_other = std::fs::read(twin_of(other.path(), 4).unwrap().0.path().join(WEIGHTS_FILE)).unwrap();
        assert_eq!(bytes(4), of_other);
    }

    #[test]
    fn every_download_has_a_twin() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model");
        for name in [
            "clip",
            "clip-openai",
            "clip-openai-jit",
            "vit",
            "vit-classifier",
            "bert",
            "bert-masked-lm",
            "roberta",
            "roberta-base-model",
            "meter",
            "meter-swin",
        ] {
            let model = OpenModel::open(&fixtures.join(name)).unwrap();
            let (twin, facts) = twin_of(&fixtures.join(name), 1).unwrap();
            let opened = OpenModel::open(twin.path()).unwrap();
            for module in model.architecture().modules() {
                let [old, new] = [&model, &opened].map(|model| model.architecture().shape(module));
                assert_eq!(old, new, "{name}");
                opened.facts(&[module]).unwrap();
            }
            assert_eq!(facts.own_deviation, [""; 0], "{name}");
            assert!(facts.left_out.iter().all(|left| !left.ends_with("weight")), "{name}: {:?}", facts.left_out);
        }
    }

    #[test]
    fn what_only_a_checkpoint_says_of_meter_is_in_the_configuration_of_its_twin() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model/meter");
        let folder = tempfile::tempdir().unwrap();
        for name in ["meter.ckpt", "tokenizer.json"] {
            std::fs::copy(fixture.join(name), folder.path().join(name)).unwrap();
        }
        // Three heads, as the fixture's text tower has, cannot be told from a checkpoint.
        std::fs::write(folder.path().join(CONFIG_FILE), r#"{"roberta": {"num_attention_heads": 3}}"#).unwrap();
        let model = OpenModel::open(folder.path()).unwrap();
        let (twin, _) = twin_of(folder.path(), 1).unwrap();
        let opened = OpenModel::open(twin.path()).unwrap();
        for module in model.architecture().modules() {
            assert_eq!(model.architecture().shape(module), opened.architecture().shape(module), "{module}");
        }
        let fusion = opened.architecture().shape(Module::FusionText);
        assert_eq!((fusion.layers[0].n_heads, fusion.input.text.unwrap().context_length), (5, 13));
        assert_eq!(opened.architecture().shape(Module::Text).layers[0].n_heads, 3);
        let written: Value = read_json(&twin.path().join(CONFIG_FILE)).unwrap();
        assert_eq!(written["meter"], json!({ "image_size": 18, "max_text_len": 13, "num_heads": 5 }));
    }

    /// A model with these tensors beside its own.
    fn with_more(folder: &TempDir, more: &[(&str, Dtype, Vec<u8>)]) {
        let path = folder.path().join(WEIGHTS_FILE);
        let bytes = std::fs::read(&path).unwrap();
        let own = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let more = more.iter().map(|(name, dtype, bytes)| {
            let n = bytes.len() * 8 / dtype.bitsize();
            ((*name).to_owned(), TensorView::new(*dtype, vec![n], bytes).unwrap())
        });
        let all: Vec<(String, TensorView<'_>)> = own.tensors().into_iter().chain(more).collect();
        std::fs::write(&path, safetensors::serialize(all, None).unwrap()).unwrap();
    }

    fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
        values.into_iter().flat_map(f32::to_le_bytes).collect()
    }

    #[test]
    fn tensors_of_unknown_beginning_keep_their_spread_alone() {
        let folder = random(RandomArchitecture::Clip);
        with_more(
            &folder,
            &[
                ("adapter.gate", Dtype::F32, floats((0..4000).map(|value| 7.0 + (value % 2) as f32))),
                ("adapter.scale", Dtype::F32, floats([0.5; 30])),
                ("text_model.embeddings.position_ids", Dtype::I64, vec![0; 80]),
            ],
        );
        let (twin, facts) = twin_of(folder.path(), 1).unwrap();
        assert_eq!(
            (&*facts.own_deviation, &*facts.kept),
            (&["adapter.gate".to_owned()][..], &["adapter.scale".to_owned()][..])
        );
        assert_eq!(facts.left_out, ["text_model.embeddings.position_ids"]);
        let weights = Weights::open(twin.path()).unwrap();
        let (mean, deviation) = moments(&numbers(&weights, "adapter.gate"));
        assert!(mean.abs() < 0.05 && (deviation - 0.5).abs() < 0.05, "{mean} and {deviation}");
        assert_eq!(numbers(&weights, "adapter.scale"), [0.5; 30]);
        assert_eq!(weights.shape("text_model.embeddings.position_ids"), None);

        with_more(&folder, &[("adapter.bad", Dtype::F32, floats([1.0, f32::NAN]))]);
        let refused = twin_of(folder.path(), 1).unwrap_err().to_string();
        assert!(refused.contains("tensor `adapter.bad` has NaN: expected numbers"), "{refused}");
    }

    #[test]
    fn what_a_configuration_says_of_the_beginning_holds() {
        let folder = random(RandomArchitecture::Bert);
        let path = folder.path().join(CONFIG_FILE);
        let mut config: Value = read_json(&path).unwrap();
        config["initializer_range"] = json!(0.5);
        std::fs::write(&path, config.to_string()).unwrap();
        let (twin, _) = twin_of(folder.path(), 1).unwrap();
        let weights = Weights::open(twin.path()).unwrap();
        let (_, deviation) = moments(&numbers(&weights, "encoder.layer.0.output.dense.weight"));
        assert!((deviation - 0.5).abs() < 0.05, "{deviation}");
        config["initializer_range"] = json!(-1);
        std::fs::write(&path, config.to_string()).unwrap();
        let refused = twin_of(folder.path(), 1).unwrap_err().to_string();
        assert!(refused.ends_with("`initializer_range` is -1: expected a number above 0"), "{refused}");
    }

    #[test]
    fn openai_begins_its_tensors_by_width_and_depth() {
        let towers = Towers { vision: Some((12, 768)), text: Some((12, 512)) };
        let roles = Roles { architecture: "clip", towers, deviation: 0.02, clip_factor: 1.0 };
        let deviation = |name: &str| match roles.fate(name, &[2, 2]) {
            Fate::Drawn(Initial::Normal { deviation }) => deviation,
            other => panic!("{name}: {other:?}"),
        };
        let (vision, text) = (768f64.powf(-0.5), 512f64.powf(-0.5));
        for (name, expected) in [
            ("visual.proj", vision),
            ("visual.positional_embedding", vision),
            ("visual.class_embedding", vision),
            ("text_projection", text),
            ("positional_embedding", 0.01),
            ("token_embedding.weight", 0.02),
            ("transformer.resblocks.3.attn.in_proj_weight", text),
            ("transformer.resblocks.3.attn.out_proj.weight", text / 24f64.sqrt()),
            ("transformer.resblocks.3.mlp.c_fc.weight", 1024f64.powf(-0.5)),
            ("transformer.resblocks.3.mlp.c_proj.weight", text / 24f64.sqrt()),
        ] {
            assert!((deviation(name) - expected).abs() < 1e-12, "{name}");
        }
        assert_eq!(roles.fate("visual.ln_pre.weight", &[2]), Fate::Drawn(Initial::Constant(1.0)));
        assert_eq!(
            roles.fate("visual.transformer.resblocks.0.attn.in_proj_bias", &[2]),
            Fate::Drawn(Initial::Constant(0.0))
        );
        assert_eq!(roles.fate("logit_scale", &[]), Fate::Drawn(Initial::Constant(2.6592)));
    }

    #[test]
    fn models_that_do_not_hold_together_have_no_twin() {
        let folder = random(RandomArchitecture::Bert);
        let path = folder.path().join(CONFIG_FILE);
        let config = std::fs::read_to_string(&path).unwrap();
        let mut other: Value = serde_json::from_str(&config).unwrap();
        other["intermediate_size"] = json!(65);
        std::fs::write(&path, other.to_string()).unwrap();
        assert!(matches!(twin_of(folder.path(), 1), Err(ModelError::Tensors { .. })));
        std::fs::write(&path, config).unwrap();
        let model = OpenModel::open(folder.path()).unwrap();
        let refused = write_twin(&model, Twin::default(), &[], folder.path());
        assert!(matches!(refused, Err(ModelError::NotEmpty { .. })));
    }
}
