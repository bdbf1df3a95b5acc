//! What `config.json` of a Hugging Face CLIP folder says about the two towers.
//!
//! Owns the reading of that file: transformers' defaults for absent fields, the legacy
//! `*_config_dict` tables, the end-of-text quirk, and every contradiction that can be seen without
//! the weights. Knows nothing of tensors or graphs: `clip.rs` turns a [`ClipConfig`] into a
//! network.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::ModelError;
use super::file::read_json;
use super::units::Module;

/// No dimension of a network reaches this; products of four dimensions then fit `u128` and any
/// mistake in a file is caught before an allocation.
const DIMENSION_LIMIT: usize = 1 << 20;

/// No network has more layers.
const LAYER_LIMIT: usize = 1000;

/// Both towers.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipConfig {
    /// The image tower.
    pub vision: VisionConfig,
    /// The text tower.
    pub text: TextConfig,
    /// Width of the space that both towers project to.
    pub projection_dim: usize,
}

impl ClipConfig {
    /// The transformer of one module.
    pub fn tower(&self, module: Module) -> &TowerConfig {
        match module {
            Module::Vision => &self.vision.tower,
            Module::Text => &self.text.tower,
        }
    }
}

/// What the transformers of both towers have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct TowerConfig {
    /// Blocks.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Attention heads in each block; divides `width`.
    pub n_heads: usize,
    /// Hidden width of the feed-forward part.
    pub mlp_width: usize,
    /// Its non-linearity.
    pub activation: Activation,
    /// The constant added to the variance in layer normalisation.
    pub layer_norm_eps: f32,
}

impl TowerConfig {
    /// Dimensions of one head.
    pub fn head_dim(&self) -> usize {
        self.width / self.n_heads
    }
}

/// The image tower.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    /// The transformer.
    pub tower: TowerConfig,
    /// Height and width of the images, in pixels.
    pub image_size: usize,
    /// Height and width of a patch, in pixels; divides `image_size`.
    pub patch_size: usize,
    /// Colour channels.
    pub n_channels: usize,
}

impl VisionConfig {
    /// Tokens per image: the class token and the patches.
    pub fn n_tokens(&self) -> usize {
        1 + (self.image_size / self.patch_size).pow(2)
    }
}

/// The text tower.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// The transformer.
    pub tower: TowerConfig,
    /// The most tokens of a text, start and end included.
    pub context_length: usize,
    /// Token ids.
    pub vocab_size: usize,
    /// How the end of a text is found.
    pub end_of_text: EndOfText,
}

/// How the end-of-text token of a row of ids is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndOfText {
    /// The first place of the largest id. Configurations written before transformers 4.31 carry a
    /// wrong `eos_token_id` of 2; there this rule stands, as in OpenAI's own code.
    LargestId,
    /// The first place of this id.
    FirstOf(u32),
}

/// The non-linearity of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x sigmoid(1.702 x), OpenAI's.
    QuickGelu,
    /// x Phi(x), exact, by the error function.
    Gelu,
}

impl ClipConfig {
    /// Reads `config.json` of a model folder.
    ///
    /// # Errors
    /// The file cannot be read, is no CLIP configuration, or a field contradicts another; the
    /// first such field is named.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("config.json");
        let raw: RawConfig = read_json(&path)?;
        raw.checked(&path)
    }

    /// Checks a configuration that is still to be written to `path`.
    ///
    /// # Errors
    /// As [`ClipConfig::open`].
    pub(super) fn from_json(json: &Value, path: &Path) -> Result<Self, ModelError> {
        let raw = RawConfig::deserialize(json).map_err(|e| ModelError::malformed(path, e))?;
        raw.checked(path)
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct RawConfig {
    model_type: String,
    projection_dim: usize,
    text_config: Option<RawText>,
    vision_config: Option<RawVision>,
    text_config_dict: Option<RawText>,
    vision_config_dict: Option<RawVision>,
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            model_type: "clip".to_owned(),
            projection_dim: 512,
            text_config: None,
            vision_config: None,
            text_config_dict: None,
            vision_config_dict: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct RawText {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    max_position_embeddings: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    eos_token_id: Value,
}

impl Default for RawText {
    fn default() -> Self {
        Self {
            vocab_size: 49_408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".to_owned(),
            layer_norm_eps: 1e-5,
            eos_token_id: Value::from(49_407),
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct RawVision {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_channels: usize,
    image_size: Side,
    patch_size: Side,
    hidden_act: String,
    layer_norm_eps: f64,
}

impl Default for RawVision {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: Side::One(224),
            patch_size: Side::One(32),
            hidden_act: "quick_gelu".to_owned(),
            layer_norm_eps: 1e-5,
        }
    }
}

/// A length in pixels, which newer files may write as a pair.
#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
enum Side {
    One(usize),
    Two([usize; 2]),
}

impl RawConfig {
    fn checked(self, path: &Path) -> Result<ClipConfig, ModelError> {
        let check = Check { path };
        if self.model_type != "clip" {
            let found = format!("`{}`", self.model_type);
            return Err(ModelError::field(path, "model_type", found, "`clip`"));
        }
        // transformers lets the legacy tables replace the newer ones, defaults included.
        let text = self.text_config_dict.or(self.text_config).unwrap_or_default();
        let vision = self.vision_config_dict.or(self.vision_config).unwrap_or_default();
        let projection_dim = check.between("projection_dim", self.projection_dim, DIMENSION_LIMIT)?;
        Ok(ClipConfig { vision: vision.checked(&check)?, text: text.checked(&check)?, projection_dim })
    }
}

impl RawText {
    fn checked(self, check: &Check) -> Result<TextConfig, ModelError> {
        let tower = check.tower(
            "text_config",
            [self.num_hidden_layers, self.hidden_size],
            [self.num_attention_heads, self.intermediate_size],
            &self.hidden_act,
            self.layer_norm_eps,
        )?;
        let vocab_size = check.between("text_config.vocab_size", self.vocab_size, 1 << 24)?;
        let field = "text_config.max_position_embeddings";
        let context_length = check.between(field, self.max_position_embeddings, DIMENSION_LIMIT)?;
        let field = "text_config.eos_token_id";
        let end_of_text = match self.eos_token_id.as_u64() {
            Some(2) => EndOfText::LargestId,
            Some(id) if id < vocab_size as u64 => EndOfText::FirstOf(id as u32),
            _ => {
                let expected = format!("one id below `vocab_size` {vocab_size}");
                return Err(ModelError::field(check.path, field, self.eos_token_id, expected));
            }
        };
        Ok(TextConfig { tower, context_length, vocab_size, end_of_text })
    }
}

impl RawVision {
    fn checked(self, check: &Check) -> Result<VisionConfig, ModelError> {
        let tower = check.tower(
            "vision_config",
            [self.num_hidden_layers, self.hidden_size],
            [self.num_attention_heads, self.intermediate_size],
            &self.hidden_act,
            self.layer_norm_eps,
        )?;
        let n_channels = self.num_channels;
        if n_channels != 3 {
            let field = "vision_config.num_channels";
            return Err(ModelError::field(check.path, field, n_channels, "3"));
        }
        let image_size = check.side("vision_config.image_size", self.image_size)?;
        let field = "vision_config.patch_size";
        let patch_size = check.side(field, self.patch_size)?;
        if image_size % patch_size != 0 {
            let expected = format!("a divisor of `image_size` {image_size}");
            return Err(ModelError::field(check.path, field, patch_size, expected));
        }
        Ok(VisionConfig { tower, image_size, patch_size, n_channels })
    }
}

/// The checks, each of which names the field it failed on.
struct Check<'a> {
    path: &'a Path,
}

impl Check<'_> {
    fn between(&self, field: &str, found: usize, limit: usize) -> Result<usize, ModelError> {
        if (1..=limit).contains(&found) {
            return Ok(found);
        }
        Err(ModelError::field(self.path, field, found, format!("1 to {limit}")))
    }

    fn side(&self, field: &str, side: Side) -> Result<usize, ModelError> {
        let pixels = match side {
            Side::One(pixels) => pixels,
            Side::Two([height, width]) if height == width => height,
            Side::Two([height, width]) => {
                let found = format!("{height} by {width}");
                return Err(ModelError::field(self.path, field, found, "a square"));
            }
        };
        self.between(field, pixels, 1 << 14)
    }

    fn tower(
        &self,
        table: &str,
        [n_layers, width]: [usize; 2],
        [n_heads, mlp_width]: [usize; 2],
        activation: &str,
        layer_norm_eps: f64,
    ) -> Result<TowerConfig, ModelError> {
        let name = |field: &str| format!("{table}.{field}");
        let n_layers = self.between(&name("num_hidden_layers"), n_layers, LAYER_LIMIT)?;
        let width = self.between(&name("hidden_size"), width, DIMENSION_LIMIT)?;
        let mlp_width = self.between(&name("intermediate_size"), mlp_width, DIMENSION_LIMIT)?;
        let field = name("num_attention_heads");
        if n_heads == 0 || width % n_heads != 0 {
            let expected = format!("a divisor of `hidden_size` {width}");
            return Err(ModelError::field(self.path, field, n_heads, expected));
        }
        let activation = match activation {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" => Activation::Gelu,
            other => {
                let found = format!("`{other}`");
                let field = name("hidden_act");
                return Err(ModelError::field(self.path, field, found, "`quick_gelu` or `gelu`"));
            }
        };
        if !(layer_norm_eps > 0.0 && layer_norm_eps < 1.0) {
            let field = name("layer_norm_eps");
            return Err(ModelError::field(self.path, field, layer_norm_eps, "between 0 and 1"));
        }
        let layer_norm_eps = layer_norm_eps as f32;
        Ok(TowerConfig { n_layers, width, n_heads, mlp_width, activation, layer_norm_eps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ClipConfig, ModelError> {
        let raw: RawConfig = serde_json::from_str(json).unwrap();
        raw.checked(Path::new("config.json"))
    }

    fn message(json: &str) -> String {
        read(json).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_configuration_is_vit_b_32() {
        let config = read("{}").unwrap();
        assert_eq!(config.vision.n_tokens(), 50);
        assert_eq!(config.vision.tower.head_dim(), 64);
        assert_eq!((config.text.context_length, config.text.vocab_size), (77, 49_408));
        assert_eq!(config.text.end_of_text, EndOfText::FirstOf(49_407));
        assert_eq!(config.text.tower.activation, Activation::QuickGelu);
    }

    #[test]
    fn legacy_tables_win_and_the_old_end_of_text_means_the_largest_id() {
        let config = read(
            r#"{"text_config": {"hidden_size": 64}, "text_config_dict": {"eos_token_id": 2},
                "vision_config_dict": null, "vision_config": {"image_size": [32, 32], "patch_size": 16}}"#,
        )
        .unwrap();
        assert_eq!(config.text.tower.width, 512);
        assert_eq!(config.text.end_of_text, EndOfText::LargestId);
        assert_eq!(config.vision.n_tokens(), 5);
    }

    #[test]
    fn contradictions_are_named_by_field() {
        let heads = message(r#"{"text_config": {"num_attention_heads": 7}}"#);
        assert_eq!(
            heads,
            "`config.json`: `text_config.num_attention_heads` is 7: expected a divisor of `hidden_size` 512"
        );
        for (json, expected) in [
            (r#"{"model_type": "blip"}"#, "`model_type` is `blip`"),
            (r#"{"vision_config": {"patch_size": 30}}"#, "`vision_config.patch_size` is 30"),
            (r#"{"vision_config": {"image_size": [224, 100]}}"#, "224 by 100: expected a square"),
            (r#"{"vision_config": {"num_attention_heads": 0}}"#, "num_attention_heads` is 0"),
            (r#"{"vision_config": {"num_hidden_layers": 100000}}"#, "expected 1 to 1000"),
            (r#"{"text_config": {"hidden_act": "relu"}}"#, "expected `quick_gelu` or `gelu`"),
            (r#"{"text_config": {"layer_norm_eps": 0}}"#, "`text_config.layer_norm_eps` is 0"),
            (r#"{"text_config": {"eos_token_id": 49408}}"#, "`text_config.eos_token_id` is 49408"),
            (r#"{"projection_dim": 0}"#, "`projection_dim` is 0: expected 1 to"),
        ] {
            let message = message(json);
            assert!(message.contains(expected), "{message}");
        }
    }
}
