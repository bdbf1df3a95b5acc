//! The weights of a network where they already stand: in the model's own files.
//!
//! Owns the way from the tensors that an exported graph names to values that ONNX Runtime takes without copying them, and the
//! digest by which an export knows its weights. Everything unsafe about it is in this file. Knows nothing of what the values
//! are for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::ptr::{self, NonNull};

use ort::AsPointer;
use ort::memory::{Allocator, MemoryInfo};
use ort::value::{DynValue, TensorElementType};
use serde::{Deserialize, Serialize};

use super::error::ModelError;
use super::graph::{Graph, Part};
use super::weights::Weights;

/// The weights that an exported graph needs, and how they are known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedWeights {
    /// BLAKE3 over the name in the graph, the length and the bytes, as 32-bit floats, of each in order.
    pub digest: String,
    /// By the name in the graph: which tensor, or which rows of one.
    pub parts: Vec<(String, Part)>,
}

impl NamedWeights {
    /// The weights of a graph, looked at.
    ///
    /// # Errors
    /// A tensor is missing or misshaped.
    pub fn of(graph: &Graph, weights: &Weights) -> Result<Self, ModelError> {
        weights.check(graph.required_tensors())?;
        let parts: Vec<(String, Part)> = graph.weights().map(|(name, part)| (name, part.clone())).collect();
        let mut hasher = blake3::Hasher::new();
        for (name, part) in &parts {
            add(&mut hasher, name, &weights.f32_bytes(part)?);
        }
        weights.assert_whole()?;
        Ok(Self { digest: hasher.finalize().to_hex().to_string(), parts })
    }
}

fn add(hasher: &mut blake3::Hasher, name: &str, bytes: &[u8]) {
    hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
    hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}

/// The weights that a graph is run with: borrowed from the model's files, or widened where these hold other numbers.
pub struct ReferencedWeights {
    weights: Weights,
    parts: Vec<(String, Part)>,
    widened: BTreeMap<String, Vec<u8>>,
}

impl ReferencedWeights {
    /// Opens the weights at `place`, the model's folder or checkpoint, if they are those that the graph was exported with.
    ///
    /// # Errors
    /// A file is missing, or holds other weights.
    pub fn open(named: &NamedWeights, place: &Path) -> Result<Self, ModelError> {
        let weights = Weights::open(place)?;
        let mut widened = BTreeMap::new();
        let mut hasher = blake3::Hasher::new();
        for (name, part) in &named.parts {
            let bytes = weights.f32_bytes(part)?;
            add(&mut hasher, name, &bytes);
            if let Cow::Owned(bytes) = bytes {
                widened.insert(name.clone(), bytes);
            }
        }
        weights.assert_whole()?;
        if hasher.finalize().to_hex().as_str() != named.digest {
            return Err(ModelError::OtherWeights { path: place.to_owned() });
        }
        Ok(Self { weights, parts: named.parts.clone(), widened })
    }

    /// Fails if what a network has computed may have been with other numbers than the weights'.
    ///
    /// # Errors
    /// A file was cut short or grew since it was opened; it is named.
    pub fn assert_whole(&self) -> Result<(), ModelError> {
        self.weights.assert_whole()
    }

    /// Every weight by name. The values must not outlive `self`.
    ///
    /// # Errors
    /// A weight is gone, or ONNX Runtime refuses one.
    pub fn values(&self) -> Result<Vec<(&str, DynValue)>, ModelError> {
        let mut values = Vec::with_capacity(self.parts.len());
        for (name, part) in &self.parts {
            let bytes = match self.widened.get(name) {
                Some(bytes) => Cow::Borrowed(bytes.as_slice()),
                None => self.weights.f32_bytes(part)?,
            };
            let Cow::Borrowed(bytes) = bytes else {
                return Err(ModelError::OtherWeights { path: self.weights.folder().to_owned() });
            };
            let dims: Vec<i64> = part.shape().iter().map(|&length| length as i64).collect();
            let value = borrowed(bytes, &dims);
            let refused = |error: ort::Error| ModelError::Runtime {
                path: self.weights.folder().to_owned(),
                message: error.to_string(),
            };
            values.push((name.as_str(), value.map_err(refused)?));
        }
        Ok(values)
    }
}

/// A tensor of 32-bit floats over bytes that stay where they are, as many as `dims` say.
fn borrowed(bytes: &[u8], dims: &[i64]) -> ort::Result<DynValue> {
    let memory = MemoryInfo::default();
    let mut value = ptr::null_mut();
    // SAFETY: the bytes are those of so many floats, aligned where they are mapped and wherever a vector begins; the network keeps
    // them for longer than the session that is given the value, and the session does not write to weights. The value is released
    // by what it is wrapped in.
    unsafe {
        let status = (ort::api().CreateTensorWithDataAsOrtValue)(
            memory.ptr(),
            bytes.as_ptr().cast_mut().cast(),
            bytes.len(),
            dims.as_ptr(),
            dims.len(),
            TensorElementType::Float32.into(),
            &raw mut value,
        );
        ort::Error::result_from_status(status)?;
        let value = NonNull::new(value).ok_or_else(|| ort::Error::new("a borrowed weight has no value"))?;
        Ok(DynValue::from_ptr(value, Some(&Allocator::default())))
    }
}
