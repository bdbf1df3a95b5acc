//! What a `config.json` says, field by field.
//!
//! Owns the reading of a configuration table with defaults and bounds, each mistake named by its field, and what the
//! transformers of all architectures have in common. Knows no architecture: each of `architecture/` asks for the fields that
//! it has.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::ModelError;
use super::module::LayerShape;

/// No dimension of a network reaches this; products of four dimensions then fit `u128` and any
/// mistake in a file is caught before an allocation.
pub const DIMENSION_LIMIT: usize = 1 << 20;

/// No network has more layers.
pub const LAYER_LIMIT: usize = 1000;

/// What a stack of equal transformer blocks is described by.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.width / self.n_heads
    }

    /// Its blocks from outside.
    #[must_use]
    pub fn layers(&self, has_cross_attention: bool) -> Vec<LayerShape> {
        let (width, n_heads, mlp_width) = (self.width, self.n_heads, self.mlp_width);
        vec![LayerShape { width, n_heads, mlp_width, has_cross_attention }; self.n_layers]
    }
}

/// The non-linearity of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x sigmoid(1.702 x), OpenAI's.
    QuickGelu,
    /// x Phi(x), exact, by the error function.
    Gelu,
}

/// A table of a configuration file.
#[derive(Clone)]
pub struct ConfigTable<'a> {
    path: PathBuf,
    prefix: String,
    fields: Option<&'a Map<String, Value>>,
}

impl<'a> ConfigTable<'a> {
    /// The whole of a file's content.
    ///
    /// # Errors
    /// It is no table.
    pub fn of(json: &'a Value, path: &Path) -> Result<Self, ModelError> {
        let fields = json.as_object();
        if fields.is_none() {
            return Err(ModelError::malformed(path, "expected a table of fields"));
        }
        Ok(Self { path: path.to_owned(), prefix: String::new(), fields })
    }

    /// A table inside this one; without fields if it is absent.
    ///
    /// # Errors
    /// There is something else of this name.
    pub fn table(&self, name: &str) -> Result<Self, ModelError> {
        let fields = match self.field(name) {
            None => None,
            Some(Value::Object(fields)) => Some(fields),
            Some(other) => return Err(self.wrong(name, other, "a table")),
        };
        Ok(Self { path: self.path.clone(), prefix: format!("{}{name}.", self.prefix), fields })
    }

    /// Whether it has a field.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    fn field(&self, name: &str) -> Option<&'a Value> {
        self.fields?.get(name).filter(|value| !value.is_null())
    }

    /// An error about one of its fields.
    pub fn wrong(&self, name: &str, found: impl std::fmt::Display, expected: impl Into<String>) -> ModelError {
        ModelError::field(&self.path, format!("{}{name}", self.prefix), found, expected)
    }

    /// A whole number from 1 to `limit`.
    ///
    /// # Errors
    /// It is something else.
    pub fn count(&self, name: &str, default: usize, limit: usize) -> Result<usize, ModelError> {
        let Some(value) = self.field(name) else { return Ok(default) };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        count
            .filter(|count| (1..=limit).contains(count))
            .ok_or_else(|| self.wrong(name, value, format!("1 to {limit}")))
    }

    /// A token's id, below `vocab_size`.
    ///
    /// # Errors
    /// It is something else.
    pub fn token_id(&self, name: &str, default: u32, vocab_size: usize) -> Result<u32, ModelError> {
        let expected = || format!("one id below `vocab_size` {vocab_size}");
        let id = match self.field(name) {
            None => u64::from(default),
            Some(value) => value.as_u64().ok_or_else(|| self.wrong(name, value, expected()))?,
        };
        let fits = id < vocab_size as u64;
        u32::try_from(id).ok().filter(|_| fits).ok_or_else(|| self.wrong(name, id, expected()))
    }

    /// A length in pixels, which newer files may write as a pair.
    ///
    /// # Errors
    /// It is none, or not that of a square.
    pub fn side(&self, name: &str, default: usize) -> Result<usize, ModelError> {
        const LIMIT: u64 = 1 << 14;
        let Some(value) = self.field(name) else { return Ok(default) };
        let sides: Vec<Option<u64>> = match value {
            Value::Array(sides) if sides.len() == 2 => sides.iter().map(Value::as_u64).collect(),
            other => vec![other.as_u64()],
        };
        match sides[..] {
            [Some(height), Some(width)] if height != width => {
                Err(self.wrong(name, format!("{height} by {width}"), "a square"))
            }
            [Some(side), ..] if (1..=LIMIT).contains(&side) => Ok(side as usize),
            _ => Err(self.wrong(name, value, format!("1 to {LIMIT}"))),
        }
    }

    /// A switch.
    ///
    /// # Errors
    /// It is something else.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ModelError> {
        let Some(value) = self.field(name) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.wrong(name, value, "true or false"))
    }

    /// A word.
    ///
    /// # Errors
    /// It is something else.
    pub fn word(&self, name: &str, default: &str) -> Result<String, ModelError> {
        let Some(value) = self.field(name) else { return Ok(default.to_owned()) };
        value.as_str().map(str::to_owned).ok_or_else(|| self.wrong(name, value, "a word"))
    }

    /// The constant of layer normalisation.
    ///
    /// # Errors
    /// It is not between 0 and 1.
    pub fn epsilon(&self, name: &str, default: f64) -> Result<f32, ModelError> {
        let Some(value) = self.field(name) else { return Ok(default as f32) };
        let epsilon = value.as_f64().filter(|epsilon| *epsilon > 0.0 && *epsilon < 1.0);
        epsilon.map(|epsilon| epsilon as f32).ok_or_else(|| self.wrong(name, value, "between 0 and 1"))
    }

    /// The non-linearity.
    ///
    /// # Errors
    /// It is another one.
    pub fn activation(&self, default: &str) -> Result<Activation, ModelError> {
        match self.word("hidden_act", default)?.as_str() {
            "quick_gelu" => Ok(Activation::QuickGelu),
            "gelu" => Ok(Activation::Gelu),
            other => Err(self.wrong("hidden_act", format!("`{other}`"), "`quick_gelu` or `gelu`")),
        }
    }

    /// A stack of blocks by the names that transformers gives to their sizes.
    ///
    /// # Errors
    /// A size is impossible, or the heads do not divide the width.
    pub fn tower(&self, default: &TowerConfig) -> Result<TowerConfig, ModelError> {
        let width = self.count("hidden_size", default.width, DIMENSION_LIMIT)?;
        let n_heads = self.count("num_attention_heads", default.n_heads, DIMENSION_LIMIT)?;
        if !width.is_multiple_of(n_heads) {
            return Err(self.wrong("num_attention_heads", n_heads, format!("a divisor of `hidden_size` {width}")));
        }
        let default_activation = match default.activation {
            Activation::QuickGelu => "quick_gelu",
            Activation::Gelu => "gelu",
        };
        Ok(TowerConfig {
            n_layers: self.count("num_hidden_layers", default.n_layers, LAYER_LIMIT)?,
            width,
            n_heads,
            mlp_width: self.count("intermediate_size", default.mlp_width, DIMENSION_LIMIT)?,
            activation: self.activation(default_activation)?,
            layer_norm_eps: self.epsilon("layer_norm_eps", f64::from(default.layer_norm_eps))?,
        })
    }

    /// Image and patch size of a vision transformer, the latter a divisor of the former.
    ///
    /// # Errors
    /// They are no squares, do not divide, or the images have no three channels.
    pub fn patches(&self, default: (usize, usize)) -> Result<(usize, usize), ModelError> {
        let n_channels = self.count("num_channels", 3, DIMENSION_LIMIT)?;
        if n_channels != 3 {
            return Err(self.wrong("num_channels", n_channels, "3"));
        }
        let image_size = self.side("image_size", default.0)?;
        let patch_size = self.side("patch_size", default.1)?;
        if !image_size.is_multiple_of(patch_size) {
            return Err(self.wrong("patch_size", patch_size, format!("a divisor of `image_size` {image_size}")));
        }
        Ok((image_size, patch_size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TOWER: TowerConfig = TowerConfig {
        n_layers: 12,
        width: 512,
        n_heads: 8,
        mlp_width: 2048,
        activation: Activation::QuickGelu,
        layer_norm_eps: 1e-5,
    };

    #[test]
    fn what_is_absent_has_its_default() {
        let json = json!({"text_config": {"hidden_size": 64, "hidden_act": null}});
        let root = ConfigTable::of(&json, Path::new("config.json")).unwrap();
        let tower = root.table("text_config").unwrap().tower(&TOWER).unwrap();
        assert_eq!(tower, TowerConfig { width: 64, ..TOWER });
        assert_eq!(root.table("vision_config").unwrap().patches((224, 32)).unwrap(), (224, 32));
        assert_eq!(tower.layers(true).len(), 12);
    }

    #[test]
    fn contradictions_are_named_by_field() {
        let tower = |json: Value| {
            let table = ConfigTable::of(&json, Path::new("config.json")).unwrap().table("text_config").unwrap();
            table.tower(&TOWER).unwrap_err().to_string()
        };
        assert_eq!(
            tower(json!({"text_config": {"num_attention_heads": 7}})),
            "`config.json`: `text_config.num_attention_heads` is 7: expected a divisor of `hidden_size` 512"
        );
        for (field, value, expected) in [
            ("num_attention_heads", json!(0), "num_attention_heads` is 0: expected 1 to"),
            ("num_hidden_layers", json!(100_000), "expected 1 to 1000"),
            ("hidden_act", json!("relu"), "is `relu`: expected `quick_gelu` or `gelu`"),
            ("layer_norm_eps", json!(0), "`text_config.layer_norm_eps` is 0"),
            ("hidden_size", json!("wide"), "is \"wide\": expected 1 to"),
        ] {
            let message = tower(json!({"text_config": {field: value}}));
            assert!(message.contains(expected), "{message}");
        }
        let patches = |json: Value| {
            ConfigTable::of(&json, Path::new("config.json")).unwrap().patches((224, 32)).unwrap_err().to_string()
        };
        assert!(patches(json!({"patch_size": 30})).contains("`patch_size` is 30: expected a divisor"));
        assert!(patches(json!({"image_size": [224, 100]})).contains("224 by 100: expected a square"));
        assert!(patches(json!({"num_channels": 4})).contains("is 4: expected 3"));
        let json = json!({"eos_token_id": 9});
        let table = ConfigTable::of(&json, Path::new("config.json")).unwrap();
        assert!(table.token_id("eos_token_id", 2, 9).is_err());
        assert_eq!(table.token_id("bos_token_id", 2, 9).unwrap(), 2);
        assert!(ConfigTable::of(&json!([]), Path::new("config.json")).is_err());
        assert!(ConfigTable::of(&json!({"text_config": 3}), Path::new("c")).unwrap().table("text_config").is_err());
    }
}
