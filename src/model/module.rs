//! The parts of a model that take a stimulus each, and what they look like from outside.
//!
//! Owns the names of modules and the description of one: what goes in, and the size of every layer. Knows no weights and no
//! graphs: `architecture/` says which modules a model has.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::EndOfText;

/// A part of a model whose units can be asked for on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Module {
    /// The image tower of CLIP, or the whole of ViT.
    Vision,
    /// The text tower of CLIP or METER, or the whole of BERT or RoBERTa.
    Text,
    /// METER's image tower, before text comes in.
    Image,
    /// METER's image stream, where it attends to the text.
    FusionImage,
    /// METER's text stream, where it attends to the image.
    FusionText,
    /// Low-level features of pictures, which need no network.
    ImageStatistics,
    /// Low-level features of texts, which need no network.
    WordStatistics,
}

impl Module {
    /// What this module takes.
    #[must_use]
    pub fn stimulus(self) -> Stimulus {
        match self {
            Self::Vision | Self::Image | Self::ImageStatistics => Stimulus::Image,
            Self::Text | Self::WordStatistics => Stimulus::Text,
            Self::FusionImage | Self::FusionText => Stimulus::Pair,
        }
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vision => "vision",
            Self::Text => "text",
            Self::Image => "image",
            Self::FusionImage => "fusion-image",
            Self::FusionText => "fusion-text",
            Self::ImageStatistics => "image-statistics",
            Self::WordStatistics => "word-statistics",
        })
    }
}

/// What a module takes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stimulus {
    /// One image.
    Image,
    /// One text.
    Text,
    /// An image and the text that goes with it.
    Pair,
}

impl fmt::Display for Stimulus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "images",
            Self::Text => "texts",
            Self::Pair => "images with texts",
        })
    }
}

/// What a network takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleInput {
    /// Images, if it takes any.
    pub image: Option<ImageInput>,
    /// Texts, if it takes any.
    pub text: Option<TextInput>,
}

/// Prepared images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageInput {
    /// Height and width, in pixels.
    pub image_size: usize,
    /// Tokens that the network makes of an image.
    pub n_tokens: usize,
}

/// Token ids and their mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextInput {
    /// The most tokens, special ones included.
    pub context_length: usize,
    /// Ids lie below this.
    pub vocab_size: usize,
    /// The id that fills a row up.
    pub pad_id: u32,
    /// How the end of a text is found.
    pub end_of_text: EndOfText,
}

/// One module from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleShape {
    /// What goes in.
    pub input: ModuleInput,
    /// The blocks in order.
    pub layers: Vec<LayerShape>,
    /// Width of what the module makes of a stimulus in the end.
    pub embedding_width: usize,
    /// Whether the first token stands for the whole stimulus: a class token or the start of a text.
    pub has_first_token: bool,
}

/// The size of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerShape {
    /// Width of the residual stream.
    pub width: usize,
    /// Attention heads; divides `width`.
    pub n_heads: usize,
    /// Hidden width of the feed-forward part.
    pub mlp_width: usize,
    /// Whether it attends to another stream too.
    pub has_cross_attention: bool,
}

impl LayerShape {
    /// Dimensions of one head.
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.width / self.n_heads.max(1)
    }
}
