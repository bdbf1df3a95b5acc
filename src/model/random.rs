//! CLIP models without trained weights, for studies that need no download.
//!
//! Owns [`RandomClip`], the shape that a study writes, and the making of a Hugging Face folder from
//! it: real architecture, weights drawn as transformers initialises them. `vocabulary.rs` makes the
//! tokenizer; everything downstream treats the folder as any other.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::config::{ClipConfig, TowerConfig};
use super::error::ModelError;
use super::export::write;
use super::facts::{CONFIG_FILE, ModelFacts, required_tensors};
use super::image::{CLIP_DEVIATION, CLIP_MEAN, PREPROCESSOR_FILE};
use super::text::TOKENIZER_FILE;
use super::units::Module;
use super::vocabulary::{END_OF_TEXT, SMALLEST_VOCABULARY, START_OF_TEXT, tokenizer_json};
use super::weights::TensorSpec;

const WEIGHTS_FILE: &str = "model.safetensors";

/// The logarithm of the initial temperature, 1/0.07 (Radford et al. 2021, section 2.5).
const LOGIT_SCALE: f32 = 2.6592;

/// Standard deviation of embeddings and patches (transformers' `initializer_range`).
const EMBEDDING_DEVIATION: f64 = 0.02;

/// A CLIP model with random weights; by default ViT-B/32 in full size.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RandomClip {
    /// The seed of all weights.
    pub seed: u64,
    /// The image tower.
    pub vision: RandomVision,
    /// The text tower.
    pub text: RandomText,
    /// Width of the space that both towers project to.
    pub projection_dim: usize,
}

/// The shape of a random image tower.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
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
    /// Token ids; at least 514, which spell any text.
    pub vocab_size: usize,
}

impl Default for RandomClip {
    fn default() -> Self {
        Self { seed: 0, vision: RandomVision::default(), text: RandomText::default(), projection_dim: 512 }
    }
}

impl Default for RandomVision {
    fn default() -> Self {
        let (image_size, patch_size) = (224, 32);
        Self { layers: 12, width: 768, heads: 12, mlp_width: 3072, image_size, patch_size }
    }
}

impl Default for RandomText {
    fn default() -> Self {
        let (context_length, vocab_size) = (77, 49_408);
        Self { layers: 12, width: 512, heads: 8, mlp_width: 2048, context_length, vocab_size }
    }
}

impl RandomClip {
    /// A model of a few hundred kilobytes, for quick starts and tests.
    pub fn tiny() -> Self {
        Self {
            seed: 0,
            vision: RandomVision { layers: 4, width: 48, heads: 4, mlp_width: 96, image_size: 64, patch_size: 16 },
            text: RandomText { layers: 4, width: 32, heads: 4, mlp_width: 64, context_length: 32, vocab_size: 1024 },
            projection_dim: 32,
        }
    }

    /// What [`super::inspect`] would say of the folder, without writing it.
    ///
    /// # Errors
    /// The shape contradicts itself; the field is named as in `config.json`.
    pub fn facts(&self) -> Result<ModelFacts, ModelError> {
        let config = self.config(Path::new(CONFIG_FILE))?;
        let mut unused: Vec<String> = untapped_tensors(&config).into_iter().map(|spec| spec.name).collect();
        unused.sort();
        Ok(ModelFacts::new(config, &[WEIGHTS_FILE.to_owned()], unused))
    }

    /// Writes the model as a Hugging Face folder, which `out` must be: existing and empty.
    ///
    /// Each tensor is drawn from its own generator, seeded by the seed and the tensor's name, so
    /// a tensor's numbers depend on neither the others nor the order of writing.
    ///
    /// # Errors
    /// The shape contradicts itself, `out` is not an empty folder, or a file cannot be written.
    pub fn write_random(&self, out: &Path) -> Result<(), ModelError> {
        let config = self.config(&out.join(CONFIG_FILE))?;
        let mut entries = std::fs::read_dir(out).map_err(ModelError::read(out))?;
        if entries.next().is_some() {
            return Err(ModelError::NotEmpty { folder: out.to_owned() });
        }
        let mut tensors = required_tensors(&config, Module::Vision)?;
        tensors.extend(required_tensors(&config, Module::Text)?);
        tensors.extend(untapped_tensors(&config));
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        self.write_weights(&config, &tensors, &out.join(WEIGHTS_FILE))?;
        write_json(&out.join(CONFIG_FILE), &self.config_json())?;
        write_json(&out.join(PREPROCESSOR_FILE), &self.preprocessor_json())?;
        write_json(&out.join(TOKENIZER_FILE), &tokenizer_json(self.text.vocab_size))?;
        let tokenizer_config = json!({
            "tokenizer_class": "CLIPTokenizer",
            "model_max_length": self.text.context_length,
            "bos_token": START_OF_TEXT,
            "eos_token": END_OF_TEXT,
            "pad_token": END_OF_TEXT,
            "unk_token": END_OF_TEXT,
        });
        write_json(&out.join("tokenizer_config.json"), &tokenizer_config)
    }

    fn config(&self, path: &Path) -> Result<ClipConfig, ModelError> {
        let found = self.text.vocab_size;
        if found < SMALLEST_VOCABULARY {
            let expected = format!("at least {SMALLEST_VOCABULARY}, which spell any text");
            return Err(ModelError::field(path, "text_config.vocab_size", found, expected));
        }
        ClipConfig::from_json(&self.config_json(), path)
    }

    fn config_json(&self) -> Value {
        let (vision, text) = (&self.vision, &self.text);
        json!({
            "architectures": ["CLIPModel"],
            "model_type": "clip",
            "projection_dim": self.projection_dim,
            "logit_scale_init_value": LOGIT_SCALE,
            "initializer_factor": 1.0,
            "vision_config": {
                "model_type": "clip_vision_model",
                "num_hidden_layers": vision.layers,
                "hidden_size": vision.width,
                "num_attention_heads": vision.heads,
                "intermediate_size": vision.mlp_width,
                "image_size": vision.image_size,
                "patch_size": vision.patch_size,
                "num_channels": 3,
                "hidden_act": "quick_gelu",
                "layer_norm_eps": 1e-5,
                "projection_dim": self.projection_dim,
            },
            "text_config": {
                "model_type": "clip_text_model",
                "num_hidden_layers": text.layers,
                "hidden_size": text.width,
                "num_attention_heads": text.heads,
                "intermediate_size": text.mlp_width,
                "max_position_embeddings": text.context_length,
                "vocab_size": text.vocab_size,
                "hidden_act": "quick_gelu",
                "layer_norm_eps": 1e-5,
                "projection_dim": self.projection_dim,
                "bos_token_id": text.vocab_size - 2,
                "eos_token_id": text.vocab_size - 1,
                "pad_token_id": text.vocab_size - 1,
            },
        })
    }

    fn preprocessor_json(&self) -> Value {
        let size = self.vision.image_size;
        json!({
            "image_processor_type": "CLIPImageProcessor",
            "do_resize": true,
            "size": {"shortest_edge": size},
            "resample": 3,
            "do_center_crop": true,
            "crop_size": {"height": size, "width": size},
            "do_rescale": true,
            "rescale_factor": 1.0 / 255.0,
            "do_normalize": true,
            "image_mean": CLIP_MEAN,
            "image_std": CLIP_DEVIATION,
            "do_convert_rgb": true,
        })
    }

    fn write_weights(&self, config: &ClipConfig, tensors: &[TensorSpec], path: &Path) -> Result<(), ModelError> {
        let file = File::create_new(path).map_err(ModelError::write(path))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let header = header(tensors).map_err(|error| ModelError::malformed(path, error))?;
        let written = (|| {
            out.write_all(&(header.len() as u64).to_le_bytes())?;
            out.write_all(&header)?;
            for tensor in tensors {
                self.write_tensor(config, tensor, &mut out)?;
            }
            out.flush()
        })();
        written.map_err(ModelError::write(path))
    }

    fn write_tensor(&self, config: &ClipConfig, tensor: &TensorSpec, out: &mut impl Write) -> io::Result<()> {
        let n_values: usize = tensor.shape.iter().product();
        let deviation = match initial(config, &tensor.name) {
            Initial::Constant(value) => {
                return (0..n_values).try_for_each(|_| out.write_all(&value.to_le_bytes()));
            }
            Initial::Normal { deviation } => deviation as f32,
        };
        let mut hasher = blake3::Hasher::new_derive_key("hebb random clip weights");
        hasher.update(&self.seed.to_le_bytes()).update(tensor.name.as_bytes());
        let mut generator = ChaCha8Rng::from_seed(*hasher.finalize().as_bytes());
        (0..n_values).try_for_each(|_| {
            let value: f32 = StandardNormal.sample(&mut generator);
            out.write_all(&(value * deviation).to_le_bytes())
        })
    }
}

/// The safetensors header, padded so that the data after it is aligned to 8 bytes.
fn header(tensors: &[TensorSpec]) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let mut offset = 0;
    let infos = tensors.iter().map(|tensor| {
        let begin = offset;
        offset += tensor.shape.iter().product::<usize>() * size_of::<f32>();
        let (dtype, shape) = (Dtype::F32, tensor.shape.clone());
        (tensor.name.clone(), TensorInfo { dtype, shape, data_offsets: (begin, offset) })
    });
    // transformers refuses files that do not say which framework's layout they have.
    let format = [("format".to_owned(), "pt".to_owned())].into();
    let metadata = Metadata::new(Some(format), infos.collect())?;
    let mut header = serde_json::to_vec(&metadata)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// What `CLIPModel` has beyond the last tap.
fn untapped_tensors(config: &ClipConfig) -> Vec<TensorSpec> {
    let (vision, text) = (config.vision.tower.width, config.text.tower.width);
    let spec = |name: &str, shape: &[usize]| TensorSpec { name: name.to_owned(), shape: shape.to_vec() };
    vec![
        spec("logit_scale", &[]),
        spec("text_model.final_layer_norm.bias", &[text]),
        spec("text_model.final_layer_norm.weight", &[text]),
        spec("text_projection.weight", &[config.projection_dim, text]),
        spec("vision_model.post_layernorm.bias", &[vision]),
        spec("vision_model.post_layernorm.weight", &[vision]),
        spec("visual_projection.weight", &[config.projection_dim, vision]),
    ]
}

/// How a tensor begins.
#[derive(Debug, PartialEq)]
enum Initial {
    Constant(f32),
    Normal { deviation: f64 },
}

/// The initial distribution of a tensor, as transformers' `CLIPPreTrainedModel` has it.
fn initial(config: &ClipConfig, name: &str) -> Initial {
    let module = if name.starts_with("vis") { Module::Vision } else { Module::Text };
    let TowerConfig { n_layers, width, .. } = *config.tower(module);
    let by_width = (width as f64).powf(-0.5);
    let by_depth = (2.0 * n_layers as f64).powf(-0.5);
    let (owner, tensor) = name.rsplit_once('.').unwrap_or(("", name));
    let part = owner.rsplit('.').next().unwrap_or(owner);
    let deviation = match (part, tensor) {
        (_, "logit_scale") => return Initial::Constant(LOGIT_SCALE),
        (_, "bias") => return Initial::Constant(0.0),
        (_, "class_embedding") => by_width,
        ("q_proj" | "k_proj" | "v_proj" | "fc2", _) => by_width * by_depth,
        ("fc1", _) => (2.0 * width as f64).powf(-0.5),
        ("out_proj" | "text_projection" | "visual_projection", _) => by_width,
        ("token_embedding" | "position_embedding" | "patch_embedding", _) => EMBEDDING_DEVIATION,
        _ => return Initial::Constant(1.0),
    };
    Initial::Normal { deviation }
}

fn write_json(path: &Path, value: &Value) -> Result<(), ModelError> {
    let mut text = serde_json::to_string_pretty(value).expect("a JSON value always prints");
    text.push('\n');
    write(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::inspect;

    #[test]
    fn the_folder_is_what_was_promised() {
        let folder = tempfile::tempdir().unwrap();
        let random = RandomClip::tiny();
        random.write_random(folder.path()).unwrap();
        assert_eq!(inspect(folder.path()).unwrap(), random.facts().unwrap());
        let again = random.write_random(folder.path());
        assert!(matches!(again, Err(ModelError::NotEmpty { .. })));
    }

    #[test]
    fn bytes_depend_on_the_seed_alone() {
        let bytes = |random: &RandomClip| {
            let folder = tempfile::tempdir().unwrap();
            random.write_random(folder.path()).unwrap();
            std::fs::read(folder.path().join(WEIGHTS_FILE)).unwrap()
        };
        let random = RandomClip::tiny();
        let first = bytes(&random);
        assert_eq!(first, bytes(&random));
        assert_ne!(first, bytes(&RandomClip { seed: 1, ..random }));
    }

    #[test]
    fn tensors_begin_as_transformers_draws_them() {
        let config = RandomClip::default().config(Path::new(CONFIG_FILE)).unwrap();
        let layer = "vision_model.encoder.layers.3";
        for (name, expected) in
            [("q_proj.weight", 768f64.powf(-0.5) / 24f64.sqrt()), ("out_proj.weight", 768f64.powf(-0.5))]
        {
            let name = format!("{layer}.self_attn.{name}");
            assert_eq!(initial(&config, &name), Initial::Normal { deviation: expected });
        }
        let constant = |name: &str| initial(&config, &format!("{layer}.{name}"));
        assert_eq!(constant("layer_norm1.weight"), Initial::Constant(1.0));
        assert_eq!(constant("mlp.fc1.bias"), Initial::Constant(0.0));
        let pre = initial(&config, "vision_model.pre_layrnorm.weight");
        assert_eq!(pre, Initial::Constant(1.0));
    }

    #[test]
    fn impossible_shapes_are_named() {
        let mut random = RandomClip::tiny();
        random.text.vocab_size = 100;
        let message = random.facts().unwrap_err().to_string();
        assert!(message.contains("`text_config.vocab_size` is 100: expected at least 514"));
        let mut random = RandomClip::tiny();
        random.vision.heads = 5;
        let message = random.facts().unwrap_err().to_string();
        assert!(message.contains("`vision_config.num_attention_heads` is 5"), "{message}");
    }

    #[test]
    fn a_study_may_write_part_of_the_shape() {
        let read: RandomClip = serde_json::from_str(r#"{"seed": 3, "vision": {"layers": 2}}"#).unwrap();
        assert_eq!((read.seed, read.vision.layers, read.vision.width), (3, 2, 768));
        assert!(serde_json::from_str::<RandomClip>(r#"{"vison": {}}"#).is_err());
    }
}
