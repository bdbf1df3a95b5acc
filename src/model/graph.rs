//! A small builder for ONNX graphs, so that an architecture reads like its figure.
//!
//! Owns the names of values, the operators that CLIP takes, the dropping of what no output needs,
//! and the two files of an exported graph: `model.onnx` and, beside it, `weights.bin`. Knows no
//! architecture (`clip.rs`) and no reduction of units (`taps.rs`). The messages themselves stand in
//! `format/onnx.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use prost::Message;

use super::error::ModelError;
use super::weights::{TensorSpec, Weights};
use crate::format::onnx::{
    AttributeProto, Dim, ElementType, GraphProto, IR_VERSION, ModelProto, NodeProto, OPSET_VERSION, OperatorSetIdProto,
    TensorProto, ValueInfoProto,
};

/// The graph's file.
pub const MODEL_FILE: &str = "model.onnx";

/// The weights' file, beside the graph's.
pub const WEIGHTS_FILE: &str = "weights.bin";

/// Every tensor in the weights' file begins at a multiple of this, a cache line.
const ALIGNMENT_BYTES: u64 = 64;

/// A value inside the graph, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value(String);

/// A graph in the making.
#[derive(Default)]
pub struct GraphBuilder {
    nodes: Vec<NodeProto>,
    constants: BTreeMap<String, TensorProto>,
    weights: Vec<WeightUse>,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
}

struct WeightUse {
    spec: TensorSpec,
    transposed: bool,
}

impl WeightUse {
    /// A tensor may be used both ways, so the name tells them apart.
    fn value_name(&self) -> String {
        format!("{}{}", self.spec.name, if self.transposed { "/transposed" } else { "" })
    }

    fn dims(&self) -> Vec<i64> {
        let mut dims: Vec<i64> = self.spec.shape.iter().map(|&n| n as i64).collect();
        if self.transposed {
            dims.reverse();
        }
        dims
    }

    fn size_bytes(&self) -> u64 {
        self.spec.shape.iter().map(|&n| n as u64).product::<u64>() * size_of::<f32>() as u64
    }
}

/// A finished graph: what runs, and where each of its weights comes from.
pub struct Graph {
    name: String,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    weights: Vec<WeightUse>,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
    required: Vec<TensorSpec>,
}

impl GraphBuilder {
    /// Declares an input.
    pub fn input(&mut self, name: &str, element: ElementType, dims: &[Dim]) -> Value {
        self.inputs.push(ValueInfoProto::tensor(name, element, dims));
        Value(name.to_owned())
    }

    /// Declares `value` an output under this name.
    pub fn output(&mut self, value: &Value, name: &str, dims: &[Dim]) {
        self.nodes.push(NodeProto {
            input: vec![value.0.clone()],
            output: vec![name.to_owned()],
            name: Some(name.to_owned()),
            op_type: Some("Identity".to_owned()),
            attribute: Vec::new(),
        });
        self.outputs.push(ValueInfoProto::tensor(name, ElementType::F32, dims));
    }

    /// A tensor of the model's weights, as it is stored.
    pub fn weight(&mut self, name: &str, shape: &[usize]) -> Value {
        self.place(name, shape, false)
    }

    fn place(&mut self, name: &str, shape: &[usize], transposed: bool) -> Value {
        let spec = TensorSpec { name: name.to_owned(), shape: shape.to_vec() };
        let weight = WeightUse { spec, transposed };
        let value = Value(weight.value_name());
        self.weights.push(weight);
        value
    }

    /// A float constant.
    pub fn float(&mut self, value: f32) -> Value {
        let name = format!("float/{value:e}");
        let bytes = value.to_le_bytes().to_vec();
        self.constant(name, ElementType::F32, &[], bytes)
    }

    /// An integer constant.
    pub fn int(&mut self, value: i64) -> Value {
        let bytes = value.to_le_bytes().to_vec();
        self.constant(format!("int/{value}"), ElementType::I64, &[], bytes)
    }

    /// A constant list of integers.
    pub fn ints(&mut self, values: &[i64]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let dims = [values.len() as i64];
        self.constant(format!("ints/{values:?}"), ElementType::I64, &dims, bytes)
    }

    fn constant(&mut self, name: String, element: ElementType, dims: &[i64], bytes: Vec<u8>) -> Value {
        self.constants.entry(name.clone()).or_insert_with(|| TensorProto::inline(&name, element, dims, bytes));
        Value(name)
    }

    /// Any operator with one output.
    pub fn op(&mut self, op: &str, inputs: &[&Value], attributes: Vec<AttributeProto>) -> Value {
        let name = format!("{op}-{}", self.nodes.len());
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|input| input.0.clone()).collect(),
            output: vec![name.clone()],
            name: Some(name.clone()),
            op_type: Some(op.to_owned()),
            attribute: attributes,
        });
        Value(name)
    }

    /// Element by element, with broadcasting.
    pub fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Add", &[a, b], vec![])
    }

    /// Element by element, with broadcasting.
    pub fn mul(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Mul", &[a, b], vec![])
    }

    /// Product of the last two axes, with broadcasting over the others.
    pub fn matmul(&mut self, a: &Value, b: &Value) -> Value {
        self.op("MatMul", &[a, b], vec![])
    }

    /// x W' + b with `name.weight` of shape (n_out, n_in), as PyTorch stores it.
    ///
    /// The weight is transposed when it is written, not each time the graph is loaded.
    pub fn linear(&mut self, x: &Value, name: &str, n_in: usize, n_out: usize) -> Value {
        let weight = self.place(&format!("{name}.weight"), &[n_out, n_in], true);
        let bias = self.weight(&format!("{name}.bias"), &[n_out]);
        let product = self.matmul(x, &weight);
        self.add(&product, &bias)
    }

    /// Layer normalisation over the last axis, of length `width`.
    pub fn layer_norm(&mut self, x: &Value, name: &str, width: usize, epsilon: f32) -> Value {
        let scale = self.weight(&format!("{name}.weight"), &[width]);
        let bias = self.weight(&format!("{name}.bias"), &[width]);
        let attributes = vec![AttributeProto::int("axis", -1), AttributeProto::float("epsilon", epsilon)];
        self.op("LayerNormalization", &[x, &scale, &bias], attributes)
    }

    /// A reshape; 0 keeps an axis and -1 takes what is left.
    pub fn reshape(&mut self, x: &Value, dims: &[i64]) -> Value {
        let dims = self.ints(dims);
        self.op("Reshape", &[x, &dims], vec![])
    }

    /// The axes in another order.
    pub fn transpose(&mut self, x: &Value, order: &[i64]) -> Value {
        self.op("Transpose", &[x], vec![AttributeProto::ints("perm", order)])
    }

    /// New axes of length 1.
    pub fn unsqueeze(&mut self, x: &Value, axes: &[i64]) -> Value {
        let axes = self.ints(axes);
        self.op("Unsqueeze", &[x, &axes], vec![])
    }

    /// The length of one axis, as a list of one integer.
    pub fn length(&mut self, x: &Value, axis: i64) -> Value {
        let attributes = vec![AttributeProto::int("start", axis), AttributeProto::int("end", axis + 1)];
        self.op("Shape", &[x], attributes)
    }

    /// Elements of another type.
    pub fn cast(&mut self, x: &Value, element: ElementType) -> Value {
        self.op("Cast", &[x], vec![AttributeProto::int("to", element as i64)])
    }

    /// Puts values end to end along an axis.
    pub fn concat(&mut self, values: &[&Value], axis: i64) -> Value {
        self.op("Concat", values, vec![AttributeProto::int("axis", axis)])
    }

    /// Entries of `x` along an axis.
    pub fn gather(&mut self, x: &Value, indices: &Value, axis: i64) -> Value {
        self.op("Gather", &[x, indices], vec![AttributeProto::int("axis", axis)])
    }

    /// `ReduceMean`, `ReduceMax` or `ReduceMin` over one axis, which goes.
    pub fn reduce(&mut self, op: &str, x: &Value, axis: i64) -> Value {
        let attributes = vec![AttributeProto::ints("axes", &[axis]), AttributeProto::int("keepdims", 0)];
        self.op(op, &[x], attributes)
    }

    /// The sum over one axis, which goes. (From operator set 13 the axes are an input here.)
    pub fn sum(&mut self, x: &Value, axis: i64) -> Value {
        let axes = self.ints(&[axis]);
        self.op("ReduceSum", &[x, &axes], vec![AttributeProto::int("keepdims", 0)])
    }

    /// Drops what no output needs and puts the graph together.
    pub fn finish(self, name: &str) -> Graph {
        let required = self.weights.iter().map(|weight| weight.spec.clone()).collect();
        let mut needed: BTreeSet<String> = self.outputs.iter().filter_map(|output| output.name.clone()).collect();
        // Nodes stand after what they depend on, so one walk backwards finds all that is needed.
        let mut nodes: Vec<NodeProto> = Vec::new();
        for node in self.nodes.into_iter().rev() {
            if node.output.iter().any(|output| needed.contains(output)) {
                needed.extend(node.input.iter().cloned());
                nodes.push(node);
            }
        }
        nodes.reverse();
        let mut weights = self.weights;
        weights.retain(|weight| needed.contains(&weight.value_name()));
        let constants = self.constants.into_iter().filter(|(name, _)| needed.contains(name));
        Graph {
            name: name.to_owned(),
            nodes,
            constants: constants.map(|(_, constant)| constant).collect(),
            weights,
            inputs: self.inputs,
            outputs: self.outputs,
            required,
        }
    }
}

impl Graph {
    /// Every tensor that the whole module needs, used by an output or not.
    pub fn required_tensors(&self) -> &[TensorSpec] {
        &self.required
    }

    /// Writes `model.onnx` and `weights.bin` into `folder`; returns the size of the latter.
    ///
    /// Weights go from the mapping to the file one tensor after the other. The same graph and
    /// weights give the same bytes.
    ///
    /// # Errors
    /// A tensor is missing or misshaped, or a file cannot be written.
    pub fn write(&self, weights: &Weights, folder: &Path) -> Result<u64, ModelError> {
        let path = folder.join(WEIGHTS_FILE);
        let file = File::create_new(&path).map_err(ModelError::write(&path))?;
        let mut out = BufWriter::new(file);
        let mut offset = 0u64;
        let mut initializers = self.constants.clone();
        for weight in &self.weights {
            let padding = offset.next_multiple_of(ALIGNMENT_BYTES) - offset;
            out.write_all(&[0; ALIGNMENT_BYTES as usize][..padding as usize]).map_err(ModelError::write(&path))?;
            offset += padding;
            weights.write_f32(&weight.spec, weight.transposed, &mut out, &path)?;
            let (name, size_bytes) = (weight.value_name(), weight.size_bytes());
            let dims = weight.dims();
            initializers.push(TensorProto::external(&name, &dims, WEIGHTS_FILE, offset, size_bytes));
            offset += size_bytes;
        }
        out.flush().map_err(ModelError::write(&path))?;

        let path = folder.join(MODEL_FILE);
        let model = self.model(initializers).encode_to_vec();
        let mut file = File::create_new(&path).map_err(ModelError::write(&path))?;
        file.write_all(&model).map_err(ModelError::write(&path))?;
        Ok(offset)
    }

    fn model(&self, initializer: Vec<TensorProto>) -> ModelProto {
        let graph = GraphProto {
            node: self.nodes.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_output_needs_is_dropped() {
        let mut graph = GraphBuilder::default();
        let x = graph.input("x", ElementType::F32, &[Dim::Named("batch".to_owned()), Dim::Fixed(4)]);
        let used = graph.linear(&x, "used", 4, 2);
        let idle = graph.linear(&used, "idle", 2, 2);
        let half = graph.float(0.5);
        graph.mul(&idle, &half);
        graph.output(&used, "y", &[Dim::Named("batch".to_owned()), Dim::Fixed(2)]);
        let graph = graph.finish("test");
        let operators: Vec<_> = graph.nodes.iter().filter_map(|node| node.op_type.as_deref()).collect();
        assert_eq!(operators, ["MatMul", "Add", "Identity"]);
        assert!(graph.constants.is_empty());
        let names: Vec<_> = graph.weights.iter().map(WeightUse::value_name).collect();
        assert_eq!(names, ["used.weight/transposed", "used.bias"]);
        assert_eq!(graph.weights[0].dims(), [4, 2]);
        assert_eq!(graph.required_tensors().len(), 4);
    }
}
