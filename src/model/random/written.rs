//! An untrained model as a study writes it: what is not said is as in the published model.
//!
//! Owns the fields and their defaults, which depend on the architecture; what they mean together is for `random.rs`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RandomArchitecture, RandomFusion, RandomModel, RandomText, RandomVision};

/// A model with random weights; what is not said of it is as in the published model.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RandomModel")]
pub(super) struct WrittenRandom {
    /// Which architecture; its published size is what is not said here.
    pub(super) architecture: RandomArchitecture,
    /// The seed of all weights.
    pub(super) seed: u64,
    /// The image tower: `clip`, `meter` and `vit` have one.
    pub(super) vision: Option<WrittenVision>,
    /// The text tower: `clip`, `meter`, `roberta` and `bert` have one.
    pub(super) text: Option<WrittenText>,
    /// The blocks in which image and text look at each other: `meter` has them.
    pub(super) fusion: Option<WrittenFusion>,
    /// Width of the space that both towers of `clip` project to.
    #[schemars(example = 512, range(min = 1))]
    pub(super) projection_dim: Option<usize>,
}

/// The shape of a random image tower.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RandomVision")]
pub(super) struct WrittenVision {
    /// Blocks.
    #[schemars(example = 12, range(min = 1))]
    layers: Option<usize>,
    /// Width of the residual stream.
    #[schemars(example = 768, range(min = 1))]
    width: Option<usize>,
    /// Attention heads; divides `width`. In `meter` they are the width over 64.
    #[schemars(example = 12, range(min = 1))]
    heads: Option<usize>,
    /// Hidden width of the feed-forward part.
    #[schemars(example = 3072, range(min = 1))]
    mlp_width: Option<usize>,
    /// Height and width of images, in pixels.
    #[schemars(example = 224, range(min = 1))]
    image_size: Option<usize>,
    /// Height and width of a patch, in pixels; divides `image_size`.
    #[schemars(example = 32, range(min = 1))]
    patch_size: Option<usize>,
}

/// The shape of a random text tower.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RandomText")]
pub(super) struct WrittenText {
    /// Blocks.
    #[schemars(example = 12, range(min = 1))]
    layers: Option<usize>,
    /// Width of the residual stream.
    #[schemars(example = 512, range(min = 1))]
    width: Option<usize>,
    /// Attention heads; divides `width`.
    #[schemars(example = 8, range(min = 1))]
    heads: Option<usize>,
    /// Hidden width of the feed-forward part.
    #[schemars(example = 2048, range(min = 1))]
    mlp_width: Option<usize>,
    /// The most tokens of a text, start and end included.
    #[schemars(example = 77, range(min = 3))]
    context_length: Option<usize>,
    /// Token ids; enough to spell any text.
    #[schemars(example = 49_408, range(min = 1))]
    vocab_size: Option<usize>,
}

/// The shape of the blocks in which image and text look at each other.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RandomFusion")]
pub(super) struct WrittenFusion {
    /// Blocks of each stream.
    #[schemars(example = 6, range(min = 1))]
    layers: Option<usize>,
    /// Width of both streams.
    #[schemars(example = 768, range(min = 1))]
    width: Option<usize>,
    /// Attention heads; divides `width`.
    #[schemars(example = 12, range(min = 1))]
    heads: Option<usize>,
    /// Hidden width of the feed-forward part.
    #[schemars(example = 3072, range(min = 1))]
    mlp_width: Option<usize>,
}

impl From<WrittenRandom> for RandomModel {
    fn from(written: WrittenRandom) -> Self {
        let WrittenRandom { architecture, seed, vision, text, fusion, projection_dim } = written;
        let of_clip = RandomArchitecture::Clip;
        // A part that the architecture does not have is kept, so that the check can tell of it.
        let vision = match (architecture.vision(), vision) {
            (None, None) => None,
            (published, written) => {
                let of = published.or(of_clip.vision()).expect("CLIP has an image tower");
                let written = written.unwrap_or_default();
                Some(RandomVision {
                    layers: written.layers.unwrap_or(of.layers),
                    width: written.width.unwrap_or(of.width),
                    heads: written.heads.unwrap_or(of.heads),
                    mlp_width: written.mlp_width.unwrap_or(of.mlp_width),
                    image_size: written.image_size.unwrap_or(of.image_size),
                    patch_size: written.patch_size.unwrap_or(of.patch_size),
                })
            }
        };
        let text = match (architecture.text(), text) {
            (None, None) => None,
            (published, written) => {
                let of = published.or(of_clip.text()).expect("CLIP has a text tower");
                let written = written.unwrap_or_default();
                Some(RandomText {
                    layers: written.layers.unwrap_or(of.layers),
                    width: written.width.unwrap_or(of.width),
                    heads: written.heads.unwrap_or(of.heads),
                    mlp_width: written.mlp_width.unwrap_or(of.mlp_width),
                    context_length: written.context_length.unwrap_or(of.context_length),
                    vocab_size: written.vocab_size.unwrap_or(of.vocab_size),
                })
            }
        };
        let fusion = match (architecture.fusion(), fusion) {
            (None, None) => None,
            (published, written) => {
                let of = published.or(RandomArchitecture::Meter.fusion()).expect("METER has a fusion");
                let written = written.unwrap_or_default();
                Some(RandomFusion {
                    layers: written.layers.unwrap_or(of.layers),
                    width: written.width.unwrap_or(of.width),
                    heads: written.heads.unwrap_or(of.heads),
                    mlp_width: written.mlp_width.unwrap_or(of.mlp_width),
                })
            }
        };
        let projection_dim = projection_dim.or((architecture == of_clip).then_some(512));
        Self { architecture, seed, vision, text, fusion, projection_dim }
    }
}
