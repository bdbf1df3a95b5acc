//! How the original implementations begin each tensor, by its name.
//!
//! Owns the distributions and the drawing of one tensor from them. Knows no files.

use std::io::{self, Write};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

use super::LOGIT_SCALE;

/// Standard deviation of embeddings and patches, and of all matrices but CLIP's (transformers' `initializer_range`).
pub(in crate::model) const DEVIATION: f64 = 0.02;

/// How a tensor begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::model) enum Initial {
    /// With one number in all places.
    Constant(f32),
    /// With numbers around zero.
    Normal {
        /// Their standard deviation.
        deviation: f64,
    },
}

/// Blocks and width of the towers that a tensor may belong to.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::model) struct Towers {
    /// The image tower, if there is one.
    pub(in crate::model) vision: Option<(usize, usize)>,
    /// The text tower, if there is one.
    pub(in crate::model) text: Option<(usize, usize)>,
}

impl Towers {
    /// Blocks and width of the tower that a tensor belongs to.
    pub(in crate::model) fn of(&self, name: &str) -> (usize, usize) {
        let is_vision = name.starts_with("vis") || name.starts_with("vit_model.visual");
        let tower = if is_vision { self.vision } else { self.text };
        tower.unwrap_or((1, 1))
    }

    /// The initial distribution of a tensor whose name says it: CLIP's as transformers' `CLIPPreTrainedModel` and OpenAI's code
    /// have it, norms and biases as all do. None where the name says no more than that it is a table or a matrix.
    pub(in crate::model) fn initial(&self, name: &str) -> Option<Initial> {
        let (n_layers, width) = self.of(name);
        let by_width = (width as f64).powf(-0.5);
        let by_depth = (2.0 * n_layers as f64).powf(-0.5);
        let (owner, tensor) = name.rsplit_once('.').unwrap_or(("", name));
        let part = owner.rsplit('.').next().unwrap_or(owner);
        let deviation = match (part, tensor) {
            (_, "logit_scale") => return Some(Initial::Constant(LOGIT_SCALE)),
            (_, "bias" | "in_proj_bias") => return Some(Initial::Constant(0.0)),
            (_, "class_embedding") => by_width,
            ("q_proj" | "k_proj" | "v_proj" | "fc2" | "c_proj", _) => by_width * by_depth,
            ("fc1" | "c_fc", _) => (2.0 * width as f64).powf(-0.5),
            ("out_proj" | "text_projection" | "visual_projection", _) | (_, "in_proj_weight") => by_width,
            (part, _) if is_norm(part) => return Some(Initial::Constant(1.0)),
            _ => return None,
        };
        Some(Initial::Normal { deviation })
    }
}

/// Whether a part of a tensor's name says that it belongs to a normalisation.
pub(in crate::model) fn is_norm(part: &str) -> bool {
    part.to_ascii_lowercase().contains("norm") || part.starts_with("ln_") || part.ends_with("layrnorm")
}

impl Initial {
    /// Writes so many numbers from the generator of this purpose, seed and tensor: they depend on no other tensor, nor on the
    /// order of writing.
    pub(in crate::model) fn write(
        self,
        (purpose, seed, name): (&str, u64, &str),
        n_values: usize,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let deviation = match self {
            Self::Constant(value) => {
                return (0..n_values).try_for_each(|_| out.write_all(&value.to_le_bytes()));
            }
            Self::Normal { deviation } => deviation as f32,
        };
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        hasher.update(&seed.to_le_bytes()).update(name.as_bytes());
        let mut generator = ChaCha8Rng::from_seed(*hasher.finalize().as_bytes());
        (0..n_values).try_for_each(|_| {
            let value: f32 = StandardNormal.sample(&mut generator);
            out.write_all(&(value * deviation).to_le_bytes())
        })
    }
}
