//! The weights of an untrained model, drawn as the original implementations draw theirs.
//!
//! Owns the file of tensors. Which tensors there are is for the architecture to say, and how each begins for `initial.rs`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::super::error::ModelError;
use super::super::weights::TensorSpec;
use super::RandomModel;
use super::initial::{DEVIATION, Initial, Towers};

/// What tells these numbers from those that are drawn for other purposes.
const PURPOSE: &str = "hebb random clip weights";

impl RandomModel {
    pub(super) fn write_weights(&self, tensors: &[TensorSpec], path: &Path) -> Result<(), ModelError> {
        let mut out = create(path, tensors)?;
        let written = tensors.iter().try_for_each(|tensor| {
            let n_values = tensor.shape.iter().product();
            self.initial(&tensor.name).write((PURPOSE, self.seed, &tensor.name), n_values, &mut out)
        });
        written.and_then(|()| out.flush()).map_err(ModelError::write(path))
    }

    /// The initial distribution of a tensor: CLIP's as its own implementations have it, all others as transformers' BERT and ViT
    /// have it.
    fn initial(&self, name: &str) -> Initial {
        let vision = self.vision.as_ref().map(|vision| (vision.layers, vision.width));
        let text = self.text.as_ref().map(|text| (text.layers, text.width));
        Towers { vision, text }.initial(name).unwrap_or(Initial::Normal { deviation: DEVIATION })
    }
}

/// Begins a file of these tensors: what comes next is their numbers, one tensor after the other.
pub(in crate::model) fn create(path: &Path, tensors: &[TensorSpec]) -> Result<BufWriter<File>, ModelError> {
    let header = header(tensors).map_err(|error| ModelError::malformed(path, error))?;
    let file = File::create_new(path).map_err(ModelError::write(path))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let begun = out.write_all(&(header.len() as u64).to_le_bytes()).and_then(|()| out.write_all(&header));
    begun.map_err(ModelError::write(path))?;
    Ok(out)
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
