//! Models without trained weights, for studies that need no download.
//!
//! Owns [`RandomModel`], the shape that a study writes, and the making of a model folder from it: real architecture, weights
//! drawn as the original implementations initialise theirs. `vocabulary.rs` makes the tokenizer; everything downstream treats
//! the folder as any other.

pub(super) mod draw;
pub(super) mod initial;
mod written;

use std::borrow::Cow;
use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::architecture::{Architecture, of_config};
use super::config::ConfigTable;
use super::error::ModelError;
use super::export::{json_bytes, write};
use super::image::{PREPROCESSOR_FILE, Preprocessor};
use super::module::Module;
use super::open::{ModelFacts, facts_of, required_tensors};
use super::source::CONFIG_FILE;
use super::vocabulary::{TOKENIZER_FILE, smallest_vocabulary, tokenizer_json};
use super::weights::TensorSpec;
use written::WrittenRandom;

/// The file of tensors that is written.
pub(super) const WEIGHTS_FILE: &str = "model.safetensors";

/// The logarithm of the initial temperature, 1/0.07 (Radford et al. 2021, section 2.5).
const LOGIT_SCALE: f32 = 2.6592;

/// Architectures that can be made without trained weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RandomArchitecture {
    /// CLIP, of the size of ViT-B/32.
    #[default]
    Clip,
    /// METER with CLIP's image encoder and RoBERTa, for images of 288 pixels.
    Meter,
    /// ViT, of the size of ViT-B/16.
    Vit,
    /// RoBERTa, of the base size.
    Roberta,
    /// BERT, of the base size.
    Bert,
}

/// A model with random weights; what is not said of it is as in the published model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "WrittenRandom")]
pub struct RandomModel {
    /// Which architecture.
    pub architecture: RandomArchitecture,
    /// The seed of all weights.
    pub seed: u64,
    /// The image tower, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vision: Option<RandomVision>,
    /// The text tower, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<RandomText>,
    /// The blocks in which image and text look at each other, if it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fusion: Option<RandomFusion>,
    /// Width of the space that CLIP's towers project to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projection_dim: Option<usize>,
}

/// The shape of a random image tower.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct RandomVision {
    /// Blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Attention heads; divides `width`.
    pub heads: usize,
    /// Hidden width of the feed-forward part.
    pub mlp_width: usize,
    /// Height and width of images, in pixels.
    pub image_size: usize,
    /// Height and width of a patch, in pixels; divides `image_size`.
    pub patch_size: usize,
}

/// The shape of a random text tower.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct RandomText {
    /// Blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Attention heads; divides `width`.
    pub heads: usize,
    /// Hidden width of the feed-forward part.
    pub mlp_width: usize,
    /// The most tokens of a text, start and end included.
    pub context_length: usize,
    /// Token ids.
    pub vocab_size: usize,
}

/// The shape of the blocks in which image and text look at each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct RandomFusion {
    /// Blocks of each stream.
    pub layers: usize,
    /// Width of both streams.
    pub width: usize,
    /// Attention heads; divides `width`.
    pub heads: usize,
    /// Hidden width of the feed-forward part.
    pub mlp_width: usize,
}

impl RandomArchitecture {
    fn name(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::Meter => "meter",
            Self::Vit => "vit",
            Self::Roberta => "roberta",
            Self::Bert => "bert",
        }
    }

    fn vision(self) -> Option<RandomVision> {
        let (layers, image_size, patch_size) = match self {
            Self::Clip => (12, 224, 32),
            Self::Meter => (11, 288, 16),
            Self::Vit => (12, 224, 16),
            Self::Roberta | Self::Bert => return None,
        };
        Some(RandomVision { layers, width: 768, heads: 12, mlp_width: 3072, image_size, patch_size })
    }

    fn text(self) -> Option<RandomText> {
        let base = |context_length, vocab_size| RandomText {
            layers: 12,
            width: 768,
            heads: 12,
            mlp_width: 3072,
            context_length,
            vocab_size,
        };
        match self {
            Self::Clip => Some(RandomText { width: 512, heads: 8, mlp_width: 2048, ..base(77, 49_408) }),
            Self::Meter => Some(base(50, 50_265)),
            Self::Roberta => Some(base(512, 50_265)),
            Self::Bert => Some(base(512, 30_522)),
            Self::Vit => None,
        }
    }

    fn fusion(self) -> Option<RandomFusion> {
        (self == Self::Meter).then_some(RandomFusion { layers: 6, width: 768, heads: 12, mlp_width: 3072 })
    }
}

/// The schema of what is written, which says less than what is meant.
impl JsonSchema for RandomModel {
    fn schema_name() -> Cow<'static, str> {
        WrittenRandom::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        WrittenRandom::json_schema(generator)
    }
}

impl Default for RandomModel {
    fn default() -> Self {
        WrittenRandom::default().into()
    }
}

impl RandomModel {
    /// The published size of an architecture.
    #[must_use]
    pub fn of(architecture: RandomArchitecture) -> Self {
        WrittenRandom { architecture, ..WrittenRandom::default() }.into()
    }

    /// A model of a few hundred kilobytes, for quick starts and tests.
    #[must_use]
    pub fn tiny() -> Self {
        Self::tiny_of(RandomArchitecture::Clip)
    }

    /// A model of a few hundred kilobytes of any architecture.
    #[must_use]
    pub fn tiny_of(architecture: RandomArchitecture) -> Self {
        // The heads of METER's image tower are its width over 64.
        let width = if architecture == RandomArchitecture::Meter { 64 } else { 48 };
        let heads = if architecture == RandomArchitecture::Meter { 1 } else { 4 };
        let vision = RandomVision { layers: 4, width, heads, mlp_width: 96, image_size: 64, patch_size: 16 };
        let text = RandomText { layers: 4, width: 32, heads: 4, mlp_width: 64, context_length: 32, vocab_size: 1024 };
        let fusion = RandomFusion { layers: 2, width: 40, heads: 4, mlp_width: 80 };
        Self {
            architecture,
            seed: 0,
            vision: architecture.vision().map(|_| vision),
            text: architecture.text().map(|_| text),
            fusion: architecture.fusion().map(|_| fusion),
            projection_dim: (architecture == RandomArchitecture::Clip).then_some(32),
        }
    }

    /// The modules that it has.
    ///
    /// # Errors
    /// As [`RandomModel::facts`].
    pub fn modules(&self) -> Result<Vec<Module>, ModelError> {
        Ok(self.shape(Path::new(CONFIG_FILE))?.modules())
    }

    /// What [`super::OpenModel::facts`] would say of the folder, without writing it.
    ///
    /// # Errors
    /// The shape contradicts itself; the field is named as in `config.json`.
    pub fn facts(&self, modules: &[Module]) -> Result<ModelFacts, ModelError> {
        let architecture = self.shape(Path::new(CONFIG_FILE))?;
        facts_of(&*architecture, modules, &[WEIGHTS_FILE.to_owned()], |beside| {
            let mut files = vec![CONFIG_FILE.to_owned(), WEIGHTS_FILE.to_owned()];
            let written = [PREPROCESSOR_FILE, TOKENIZER_FILE];
            files.extend(written.iter().filter(|name| beside.contains(name)).map(|name| (*name).to_owned()));
            files.sort();
            files
        })
        .map(|(facts, _)| facts)
    }

    /// Writes the model as a folder as it could have been downloaded, which `out` must be: existing and empty.
    ///
    /// Each tensor is drawn from its own generator, seeded by the seed and the tensor's name, so
    /// a tensor's numbers depend on neither the others nor the order of writing.
    ///
    /// # Errors
    /// The shape contradicts itself, `out` is not an empty folder, or a file cannot be written.
    pub fn write_random(&self, out: &Path) -> Result<(), ModelError> {
        let architecture = self.shape(&out.join(CONFIG_FILE))?;
        let mut entries = std::fs::read_dir(out).map_err(ModelError::read(out))?;
        if entries.next().is_some() {
            return Err(ModelError::NotEmpty { folder: out.to_owned() });
        }
        let mut tensors: Vec<TensorSpec> = Vec::new();
        for module in architecture.modules() {
            for tensor in required_tensors(&*architecture, module)? {
                if !tensors.contains(&tensor) {
                    tensors.push(tensor);
                }
            }
        }
        if self.architecture == RandomArchitecture::Clip {
            // transformers would draw it otherwise than it was saved.
            tensors.push(TensorSpec { name: "logit_scale".to_owned(), shape: vec![] });
        }
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        self.write_weights(&tensors, &out.join(WEIGHTS_FILE))?;
        write(&out.join(CONFIG_FILE), &json_bytes(&self.config_json()))?;
        if let Some(preprocessor) = architecture.preprocessor().or(self.vision_preprocessor()) {
            write(&out.join(PREPROCESSOR_FILE), &json_bytes(&preprocessor))?;
        }
        if let (Some(style), Some(text)) = (architecture.tokenizer_style(), &self.text) {
            write(&out.join(TOKENIZER_FILE), &json_bytes(&tokenizer_json(style, text.vocab_size)))?;
        }
        Ok(())
    }

    /// ViT brings no preparation of its own: that of the published ones is written beside it.
    fn vision_preprocessor(&self) -> Option<Preprocessor> {
        self.vision.as_ref().map(|vision| Preprocessor::vit(vision.image_size as u32))
    }

    /// The architecture in this size.
    fn shape(&self, path: &Path) -> Result<Box<dyn Architecture>, ModelError> {
        let architecture = self.architecture;
        let extra = [
            ("vision", self.vision.is_some() && architecture.vision().is_none()),
            ("text", self.text.is_some() && architecture.text().is_none()),
            ("fusion", self.fusion.is_some() && architecture.fusion().is_none()),
            ("projection_dim", self.projection_dim.is_some() && architecture != RandomArchitecture::Clip),
        ];
        if let Some((field, _)) = extra.iter().find(|(_, is_extra)| *is_extra) {
            let found = "given";
            let expected = format!("nothing, since `{}` has none", architecture.name());
            return Err(ModelError::field(path, *field, found, expected));
        }
        let config = self.config_json();
        let architecture = of_config(&ConfigTable::of(&config, path)?)?;
        if let (Some(text), Some(style)) = (&self.text, architecture.tokenizer_style()) {
            let smallest = smallest_vocabulary(style);
            if text.vocab_size < smallest {
                let expected = format!("at least {smallest}, which spell any text");
                return Err(ModelError::field(path, "text_config.vocab_size", text.vocab_size, expected));
            }
        }
        Ok(architecture)
    }

    fn config_json(&self) -> Value {
        let name = self.architecture.name();
        let vision = self.vision.as_ref().map(|vision| {
            json!({
                "model_type": "clip_vision_model",
                "num_hidden_layers": vision.layers,
                "hidden_size": vision.width,
                "num_attention_heads": vision.heads,
                "intermediate_size": vision.mlp_width,
                "image_size": vision.image_size,
                "patch_size": vision.patch_size,
                "num_channels": 3,
                "hidden_act": if name == "vit" { "gelu" } else { "quick_gelu" },
                "layer_norm_eps": if name == "vit" { 1e-12 } else { 1e-5 },
            })
        });
        let text = self.text.as_ref().map(|text| {
            let is_clip = name == "clip";
            let places = text.context_length + if is_clip || name == "bert" { 0 } else { 2 };
            let mut text = json!({
                "model_type": "clip_text_model",
                "num_hidden_layers": text.layers,
                "hidden_size": text.width,
                "num_attention_heads": text.heads,
                "intermediate_size": text.mlp_width,
                "max_position_embeddings": places,
                "vocab_size": text.vocab_size,
                "hidden_act": if is_clip { "quick_gelu" } else { "gelu" },
                "layer_norm_eps": if name == "bert" { 1e-12 } else { 1e-5 },
            });
            let own = match name {
                "clip" => json!({
                    "bos_token_id": text_id(&text, 2), "eos_token_id": text_id(&text, 1), "pad_token_id": text_id(&text, 1),
                }),
                "bert" => json!({ "pad_token_id": 0, "type_vocab_size": 2 }),
                _ => json!({ "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "type_vocab_size": 1 }),
            };
            extend(&mut text, own);
            text
        });
        let mut config = json!({ "model_type": name });
        match (self.architecture, vision, text) {
            (RandomArchitecture::Clip, Some(mut vision), Some(mut text)) => {
                let shared = json!({ "projection_dim": self.projection_dim });
                extend(&mut vision, shared.clone());
                extend(&mut text, shared.clone());
                extend(&mut config, shared);
                extend(
                    &mut config,
                    json!({
                        "architectures": ["CLIPModel"], "logit_scale_init_value": LOGIT_SCALE, "initializer_factor": 1.0,
                        "vision_config": vision, "text_config": text,
                    }),
                );
            }
            (RandomArchitecture::Meter, vision, text) => {
                let fusion = self.fusion.as_ref();
                let meter = json!({
                    "image_size": self.vision.as_ref().map(|vision| vision.image_size),
                    "max_text_len": self.text.as_ref().map(|text| text.context_length),
                    "hidden_size": fusion.map(|fusion| fusion.width),
                    "num_heads": fusion.map(|fusion| fusion.heads),
                    "num_top_layer": fusion.map(|fusion| fusion.layers),
                    "intermediate_size": fusion.map(|fusion| fusion.mlp_width),
                });
                extend(&mut config, json!({ "meter": meter, "clip": vision, "roberta": text }));
            }
            (_, vision, text) => {
                extend(&mut config, vision.or(text).unwrap_or_default());
                extend(&mut config, json!({ "model_type": name }));
            }
        }
        config
    }
}

/// The id that stands so far before the end of the vocabulary.
fn text_id(text: &Value, before_end: u64) -> Value {
    Value::from(text["vocab_size"].as_u64().unwrap_or_default().saturating_sub(before_end))
}

fn extend(table: &mut Value, more: Value) {
    if let (Value::Object(table), Value::Object(more)) = (table, more) {
        table.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OpenModel;

    const ALL: [RandomArchitecture; 5] = [
        RandomArchitecture::Clip,
        RandomArchitecture::Meter,
        RandomArchitecture::Vit,
        RandomArchitecture::Roberta,
        RandomArchitecture::Bert,
    ];

    #[test]
    fn the_folder_is_what_was_promised() {
        for architecture in ALL {
            let folder = tempfile::tempdir().unwrap();
            let random = RandomModel::tiny_of(architecture);
            random.write_random(folder.path()).unwrap();
            let modules = random.modules().unwrap();
            let open = OpenModel::open(folder.path()).unwrap();
            assert_eq!(open.facts(&modules).unwrap(), random.facts(&modules).unwrap());
            let again = random.write_random(folder.path());
            assert!(matches!(again, Err(ModelError::NotEmpty { .. })));
        }
    }

    #[test]
    fn published_sizes_are_complete() {
        for (architecture, n_layers) in ALL.into_iter().zip([24, 35, 12, 12, 12]) {
            let random = RandomModel::of(architecture);
            let facts = random.facts(&random.modules().unwrap()).unwrap();
            let layers: usize = facts.modules.iter().map(|module| module.shape.layers.len()).sum();
            assert_eq!(layers, n_layers, "{architecture:?}");
        }
    }

    #[test]
    fn bytes_depend_on_the_seed_alone() {
        let bytes = |random: &RandomModel| {
            let folder = tempfile::tempdir().unwrap();
            random.write_random(folder.path()).unwrap();
            std::fs::read(folder.path().join(WEIGHTS_FILE)).unwrap()
        };
        let random = RandomModel::tiny();
        let first = bytes(&random);
        assert_eq!(first, bytes(&random));
        assert_ne!(first, bytes(&RandomModel { seed: 1, ..random }));
    }

    #[test]
    fn impossible_shapes_are_named() {
        let refused = |edit: fn(&mut RandomModel)| {
            let mut random = RandomModel::tiny();
            edit(&mut random);
            random.facts(&[]).unwrap_err().to_string()
        };
        let message = refused(|random| random.text.as_mut().unwrap().vocab_size = 100);
        assert!(message.contains("`text_config.vocab_size` is 100: expected at least 514"), "{message}");
        let message = refused(|random| random.vision.as_mut().unwrap().heads = 5);
        assert!(message.contains("`vision_config.num_attention_heads` is 5"), "{message}");
        let message = refused(|random| random.fusion = RandomArchitecture::Meter.fusion());
        assert!(message.contains("`fusion` is given: expected nothing, since `clip` has none"), "{message}");
    }

    #[test]
    fn a_study_may_write_part_of_the_shape() {
        let read: RandomModel = serde_json::from_str(r#"{"seed": 3, "vision": {"layers": 2}}"#).unwrap();
        let vision = read.vision.unwrap();
        assert_eq!((read.seed, vision.layers, vision.width), (3, 2, 768));
        let read: RandomModel = serde_json::from_str(r#"{"architecture": "roberta"}"#).unwrap();
        assert_eq!((read.vision, read.text.unwrap().vocab_size), (None, 50_265));
        assert!(serde_json::from_str::<RandomModel>(r#"{"vison": {}}"#).is_err());
    }
}
