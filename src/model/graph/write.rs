//! A graph as files: `model.onnx`, and what stands beside it.
//!
//! Owns the two forms: without weights, for the cache, and referring to the model's own files, for any ONNX Runtime. Knows no
//! operators; `graph.rs` builds what is written here.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use half::bf16;
use prost::Message;

use super::super::error::ModelError;
use super::super::weights::{Place, Weights};
use super::{CONSTANTS_FILE, Graph, LargeConstant, MODEL_FILE, WEIGHTS_FILE};
use crate::format::onnx::{
    AttributeProto, ElementType, GraphProto, IR_VERSION, ModelProto, NodeProto, OPSET_VERSION, OperatorSetIdProto,
    TensorProto,
};

/// Every tensor in the weights' file begins at a multiple of this, a cache line.
const ALIGNMENT_BYTES: u64 = 64;

impl Graph {
    /// Writes `model.onnx` into `folder`, with the weights' names and shapes and without the weights, which whoever runs it brings
    /// along; and `constants.bin` beside it, if it has large constants.
    ///
    /// The bytes depend on the network alone: neither on the precision of the weights nor on where they stand.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ModelError> {
        let mut offset = 0u64;
        let mut initializers = self.constants.clone();
        for (name, part) in self.weights() {
            let dims: Vec<i64> = part.shape().iter().map(|&length| length as i64).collect();
            let length = dims.iter().product::<i64>() as u64 * ElementType::F32.size_bytes();
            initializers.push(TensorProto::external(&name, ElementType::F32, &dims, WEIGHTS_FILE, offset, length));
            offset = (offset + length).next_multiple_of(ALIGNMENT_BYTES);
        }
        let mut constants = OwnWeights::beside(folder, CONSTANTS_FILE);
        for LargeConstant { name, dims, values } in &self.large {
            initializers.push(constants.add(name, dims, values)?);
        }
        constants.finish()?;
        self.write_model(folder, self.nodes.clone(), initializers)
    }

    /// Writes `model.onnx` into `folder` so that it can be opened with the model's own files beside it, where the graph says that
    /// its weights stand; and `weights.bin` for what they do not hold as it is needed.
    ///
    /// With `is_rounded` every weight is rounded to bfloat16 and stands in `weights.bin`. Returns the names of the model's files
    /// that it refers to.
    ///
    /// # Errors
    /// A tensor is missing or misshaped, or a file cannot be written.
    pub fn write_referring(
        &self,
        weights: &Weights,
        folder: &Path,
        is_rounded: bool,
    ) -> Result<BTreeSet<String>, ModelError> {
        weights.check(&self.required)?;
        let mut referred = BTreeSet::new();
        let mut nodes = Vec::new();
        let mut initializers = self.constants.clone();
        let mut own = OwnWeights::beside(folder, WEIGHTS_FILE);
        for (name, part) in self.weights() {
            let dims: Vec<i64> = part.shape().iter().map(|&length| length as i64).collect();
            let place = weights.place(part).filter(|_| !is_rounded);
            let element = place.as_ref().map_or(ElementType::F32, |place| place.element);
            let stored = if element == ElementType::F32 { name.clone() } else { format!("{name}/stored") };
            initializers.push(match place {
                Some(Place { file, offset, length, .. }) => {
                    referred.insert(file.to_owned());
                    TensorProto::external(&stored, element, &dims, file, offset, length)
                }
                None => {
                    let mut values = weights.floats(part)?;
                    if is_rounded {
                        values.iter_mut().for_each(|value| *value = bf16::from_f32(*value).to_f32());
                    }
                    own.add(&stored, &dims, &values)?
                }
            });
            if element != ElementType::F32 {
                nodes.push(NodeProto {
                    input: vec![stored],
                    output: vec![name.clone()],
                    name: Some(format!("{name}/widened")),
                    op_type: Some("Cast".to_owned()),
                    attribute: vec![AttributeProto::int("to", ElementType::F32 as i64)],
                });
            }
        }
        for LargeConstant { name, dims, values } in &self.large {
            initializers.push(own.add(name, dims, values)?);
        }
        own.finish()?;
        nodes.extend(self.nodes.iter().cloned());
        self.write_model(folder, nodes, initializers)?;
        Ok(referred)
    }

    fn write_model(
        &self,
        folder: &Path,
        nodes: Vec<NodeProto>,
        initializers: Vec<TensorProto>,
    ) -> Result<(), ModelError> {
        let path = folder.join(MODEL_FILE);
        let model = self.model(nodes, initializers).encode_to_vec();
        let mut file = File::create_new(&path).map_err(ModelError::write(&path))?;
        file.write_all(&model).map_err(ModelError::write(&path))
    }

    fn model(&self, node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
        let graph = GraphProto {
            node,
            name: Some(self.name.clone()),
            initializer,
            input: self.inputs.clone(),
            output: self.outputs.clone(),
        };
        let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET_VERSION) };
        ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("hebb".to_owned()),
            // The program's own version is left out: it would change the bytes of a graph that
            // did not change.
            producer_version: None,
            graph: Some(graph),
            opset_import: vec![opset],
        }
    }
}

/// A file of numbers that an export has for itself, begun when the first comes.
struct OwnWeights {
    path: PathBuf,
    name: &'static str,
    out: Option<BufWriter<File>>,
    offset: u64,
}

impl OwnWeights {
    fn beside(folder: &Path, name: &'static str) -> Self {
        Self { path: folder.join(name), name, out: None, offset: 0 }
    }

    fn add(&mut self, name: &str, dims: &[i64], values: &[f32]) -> Result<TensorProto, ModelError> {
        let out = match &mut self.out {
            Some(out) => out,
            none => {
                let file = File::create_new(&self.path).map_err(ModelError::write(&self.path))?;
                none.insert(BufWriter::new(file))
            }
        };
        let padding = self.offset.next_multiple_of(ALIGNMENT_BYTES) - self.offset;
        let offset = self.offset + padding;
        let length = size_of_val(values) as u64;
        let mut write = || {
            out.write_all(&[0; ALIGNMENT_BYTES as usize][..padding as usize])?;
            values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
        };
        write().map_err(ModelError::write(&self.path))?;
        self.offset = offset + length;
        Ok(TensorProto::external(name, ElementType::F32, dims, self.name, offset, length))
    }

    fn finish(self) -> Result<(), ModelError> {
        self.out.map_or(Ok(()), |mut out| out.flush()).map_err(ModelError::write(&self.path))
    }
}
