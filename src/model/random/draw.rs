//! The weights of an untrained model, drawn as the original implementations draw theirs.
//!
//! Owns the file of tensors and the distribution of each by its name. Which tensors there are is for the architecture to say.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::super::error::ModelError;
use super::super::weights::TensorSpec;
use super::{LOGIT_SCALE, RandomModel};

/// Standard deviation of embeddings and patches, and of all matrices but CLIP's (transformers' `initializer_range`).
const DEVIATION: f64 = 0.02;

impl RandomModel {
    pub(super) fn write_weights(&self, tensors: &[TensorSpec], path: &Path) -> Result<(), ModelError> {
        let file = File::create_new(path).map_err(ModelError::write(path))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let header = header(tensors).map_err(|error| ModelError::malformed(path, error))?;
        let written = (|| {
            out.write_all(&(header.len() as u64).to_le_bytes())?;
            out.write_all(&header)?;
            for tensor in tensors {
                self.write_tensor(tensor, &mut out)?;
            }
            out.flush()
        })();
        written.map_err(ModelError::write(path))
    }

    fn write_tensor(&self, tensor: &TensorSpec, out: &mut impl Write) -> io::Result<()> {
        let n_values: usize = tensor.shape.iter().product();
        let deviation = match self.initial(&tensor.name) {
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

    /// The initial distribution of a tensor: CLIP's as transformers' `CLIPPreTrainedModel` and OpenAI's code have it, all
    /// others as transformers' BERT and ViT have it.
    fn initial(&self, name: &str) -> Initial {
        let is_vision = name.starts_with("vis") || name.starts_with("vit_model.visual");
        let tower = if is_vision {
            self.vision.as_ref().map(|vision| (vision.layers, vision.width))
        } else {
            self.text.as_ref().map(|text| (text.layers, text.width))
        };
        let (n_layers, width) = tower.unwrap_or((1, 1));
        let by_width = (width as f64).powf(-0.5);
        let by_depth = (2.0 * n_layers as f64).powf(-0.5);
        let (owner, tensor) = name.rsplit_once('.').unwrap_or(("", name));
        let part = owner.rsplit('.').next().unwrap_or(owner);
        let deviation = match (part, tensor) {
            (_, "logit_scale") => return Initial::Constant(LOGIT_SCALE),
            (_, "bias" | "in_proj_bias") => return Initial::Constant(0.0),
            (_, "class_embedding") => by_width,
            ("q_proj" | "k_proj" | "v_proj" | "fc2" | "c_proj", _) => by_width * by_depth,
            ("fc1" | "c_fc", _) => (2.0 * width as f64).powf(-0.5),
            ("out_proj" | "text_projection" | "visual_projection", _) | (_, "in_proj_weight") => by_width,
            (part, _) if is_norm(part) => return Initial::Constant(1.0),
            _ => DEVIATION,
        };
        Initial::Normal { deviation }
    }
}

/// Whether a part of a tensor's name says that it belongs to a normalisation.
fn is_norm(part: &str) -> bool {
    part.to_ascii_lowercase().contains("norm") || part.starts_with("ln_") || part.ends_with("layrnorm")
}

/// How a tensor begins.
#[derive(Debug, PartialEq)]
enum Initial {
    Constant(f32),
    Normal { deviation: f64 },
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

#[cfg(test)]
mod tests {
    use super::super::RandomArchitecture;
    use super::*;

    #[test]
    fn tensors_begin_as_the_original_implementations_draw_them() {
        let initial = |name: &str| RandomModel::default().initial(name);
        let layer = "vision_model.encoder.layers.3";
        for (name, deviation) in
            [("q_proj.weight", 768f64.powf(-0.5) / 24f64.sqrt()), ("out_proj.weight", 768f64.powf(-0.5))]
        {
            assert_eq!(initial(&format!("{layer}.self_attn.{name}")), Initial::Normal { deviation });
        }
        assert_eq!(initial(&format!("{layer}.layer_norm1.weight")), Initial::Constant(1.0));
        assert_eq!(initial(&format!("{layer}.mlp.fc1.bias")), Initial::Constant(0.0));
        assert_eq!(initial("vision_model.pre_layrnorm.weight"), Initial::Constant(1.0));
        let bert = RandomModel::of(RandomArchitecture::Bert);
        assert_eq!(bert.initial("encoder.layer.0.output.LayerNorm.weight"), Initial::Constant(1.0));
        assert_eq!(bert.initial("encoder.layer.0.output.dense.weight"), Initial::Normal { deviation: 0.02 });
    }
}
