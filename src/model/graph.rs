//! A small builder for ONNX graphs, so that an architecture reads like its figure.
//!
//! Owns the names of values, the operators that transformers take, the dropping of what no output needs, and the file of an
//! exported graph, `model.onnx`. Knows no architecture
//! (`architecture/`) and no reduction of units (`taps.rs`). The messages themselves stand in `format/onnx.rs`.

mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::weights::TensorSpec;
use crate::format::onnx::{AttributeProto, Dim, ElementType, NodeProto, TensorProto, ValueInfoProto};

/// The graph's file.
pub const MODEL_FILE: &str = "model.onnx";

/// The weights' file, beside the graph's. In the cache nobody writes it: whoever runs a graph brings its weights along.
pub const WEIGHTS_FILE: &str = "weights.bin";

/// The file of large constants, beside the graph's.
pub const CONSTANTS_FILE: &str = "constants.bin";

/// A value inside the graph, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value(String);

/// A graph in the making.
#[derive(Default)]
pub struct GraphBuilder {
    nodes: Vec<NodeProto>,
    constants: BTreeMap<String, TensorProto>,
    large: Vec<LargeConstant>,
    weights: Vec<Part>,
    required: Vec<TensorSpec>,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
}

/// A tensor of the model's weights, or some rows of one that holds several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The stored tensor.
    pub spec: TensorSpec,
    /// Its rows that are meant; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Range<usize>>,
}

impl Part {
    /// A whole tensor.
    #[must_use]
    pub fn whole(name: impl Into<String>, shape: &[usize]) -> Self {
        Self { spec: TensorSpec { name: name.into(), shape: shape.to_vec() }, rows: None }
    }

    /// The `index`th of `n` equal blocks of rows.
    #[must_use]
    pub fn block(name: impl Into<String>, shape: &[usize], index: usize, n: usize) -> Self {
        let rows = shape[0] / n;
        Self { rows: Some(index * rows..(index + 1) * rows), ..Self::whole(name, shape) }
    }

    /// The shape of what is meant.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        let mut shape = self.spec.shape.clone();
        if let (Some(rows), Some(first)) = (&self.rows, shape.first_mut()) {
            *first = rows.len();
        }
        shape
    }

    /// A name that tells the parts of a tensor apart.
    fn value_name(&self) -> String {
        match &self.rows {
            Some(rows) => format!("{}/{}-{}", self.spec.name, rows.start, rows.end),
            None => self.spec.name.clone(),
        }
    }
}

/// x W' + b: a matrix (n_out, n_in), as PyTorch stores it, and a bias that may be absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linear {
    /// (n_out, n_in).
    pub weight: Part,
    /// (n_out).
    pub bias: Option<Part>,
}

impl Linear {
    /// `name.weight` and `name.bias`.
    #[must_use]
    pub fn named(name: &str, n_in: usize, n_out: usize) -> Self {
        let bias = Some(Part::whole(format!("{name}.bias"), &[n_out]));
        Self { weight: Part::whole(format!("{name}.weight"), &[n_out, n_in]), bias }
    }

    /// The same without its bias.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }
}

/// A constant of the graph that is too large to stand in its own file.
struct LargeConstant {
    name: String,
    dims: Vec<i64>,
    values: Vec<f32>,
}

/// A finished graph: what runs, and where each of its weights comes from.
pub struct Graph {
    name: String,
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    large: Vec<LargeConstant>,
    weights: Vec<Part>,
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

    /// A tensor of the model's weights, as it is stored, or some of its rows.
    pub fn weight(&mut self, part: &Part) -> Value {
        let name = part.value_name();
        if !self.weights.contains(part) {
            self.weights.push(part.clone());
        }
        Value(name)
    }

    /// A tensor that the network needs but that goes into the graph in another form, by [`Self::large_constant`].
    pub fn require(&mut self, spec: TensorSpec) {
        self.required.push(spec);
    }

    /// A constant of any size, kept in a file beside the graph.
    pub fn large_constant(&mut self, name: &str, dims: &[usize], values: Vec<f32>) -> Value {
        if !self.large.iter().any(|known| known.name == name) {
            let dims = dims.iter().map(|&length| length as i64).collect();
            self.large.push(LargeConstant { name: name.to_owned(), dims, values });
        }
        Value(name.to_owned())
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

    /// Constant integers of any shape, under a name that says which they are.
    pub fn named_ints(&mut self, name: &str, dims: &[usize], values: &[i64]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let dims: Vec<i64> = dims.iter().map(|&length| length as i64).collect();
        self.constant(name.to_owned(), ElementType::I64, &dims, bytes)
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

    /// Shares that sum to one along the last axis.
    pub fn softmax(&mut self, x: &Value) -> Value {
        self.op("Softmax", &[x], vec![AttributeProto::int("axis", -1)])
    }

    /// Product of the last two axes, with broadcasting over the others.
    pub fn matmul(&mut self, a: &Value, b: &Value) -> Value {
        self.op("MatMul", &[a, b], vec![])
    }

    /// x W' + b of rows (n_rows, n_in), the weight as it is stored.
    pub fn linear(&mut self, x: &Value, linear: &Linear) -> Value {
        let weight = self.weight(&linear.weight);
        let bias = linear.bias.as_ref().map(|bias| self.weight(bias));
        let inputs: Vec<&Value> = [x, &weight].into_iter().chain(&bias).collect();
        self.op("Gemm", &inputs, vec![AttributeProto::int("transB", 1)])
    }

    /// Layer normalisation over the last axis, of length `width`, with `name.weight` and `name.bias`.
    pub fn layer_norm(&mut self, x: &Value, name: &str, width: usize, epsilon: f32) -> Value {
        let scale = self.weight(&Part::whole(format!("{name}.weight"), &[width]));
        let bias = self.weight(&Part::whole(format!("{name}.bias"), &[width]));
        let attributes = vec![AttributeProto::int("axis", -1), AttributeProto::float("epsilon", epsilon)];
        self.op("LayerNormalization", &[x, &scale, &bias], attributes)
    }

    /// A reshape; 0 keeps an axis and -1 takes what is left.
    pub fn reshape(&mut self, x: &Value, dims: &[i64]) -> Value {
        let dims = self.ints(dims);
        self.op("Reshape", &[x, &dims], vec![])
    }

    /// A reshape to dimensions that the graph computes.
    pub fn reshape_to(&mut self, x: &Value, dims: &Value) -> Value {
        self.op("Reshape", &[x, dims], vec![])
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

    /// The token of (batch, tokens, width) at each stimulus' own place (batch, 1).
    pub fn token_at(&mut self, x: &Value, place: &Value) -> Value {
        self.op("GatherND", &[x, place], vec![AttributeProto::int("batch_dims", 1)])
    }

    /// `ReduceMean`, `ReduceMax`, `ReduceMin` or `ReduceL2` over one axis, which goes.
    pub fn reduce(&mut self, op: &str, x: &Value, axis: i64) -> Value {
        let attributes = vec![AttributeProto::ints("axes", &[axis]), AttributeProto::int("keepdims", 0)];
        self.op(op, &[x], attributes)
    }

    /// The sum over one axis, which goes. (From operator set 13 the axes are an input here.)
    pub fn sum(&mut self, x: &Value, axis: i64) -> Value {
        let axes = self.ints(&[axis]);
        self.op("ReduceSum", &[x, &axes], vec![AttributeProto::int("keepdims", 0)])
    }

    /// Entries of `x` along an axis, from `first` to before `past`.
    pub fn slice(&mut self, x: &Value, axis: i64, first: i64, past: i64) -> Value {
        let (first, past, axis) = (self.ints(&[first]), self.ints(&[past]), self.ints(&[axis]));
        self.op("Slice", &[x, &first, &past, &axis], vec![])
    }

    /// The first two lengths of `x`, as a list of two integers.
    pub fn two_lengths(&mut self, x: &Value) -> Value {
        self.op("Shape", &[x], vec![AttributeProto::int("start", 0), AttributeProto::int("end", 2)])
    }

    /// Drops what no output needs and puts the graph together.
    pub fn finish(self, name: &str) -> Graph {
        let mut required = self.required;
        for weight in &self.weights {
            // Parts of one tensor ask for it once.
            if !required.contains(&weight.spec) {
                required.push(weight.spec.clone());
            }
        }
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
        let mut large = self.large;
        large.retain(|constant| needed.contains(&constant.name));
        let constants = self.constants.into_iter().filter(|(name, _)| needed.contains(name));
        Graph {
            name: name.to_owned(),
            nodes,
            constants: constants.map(|(_, constant)| constant).collect(),
            large,
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

    /// Every tensor, or part of one, that the graph takes from the model's weights, by the name that it has in the graph.
    pub fn weights(&self) -> impl Iterator<Item = (String, &Part)> {
        self.weights.iter().map(|part| (part.value_name(), part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_output_needs_is_dropped() {
        let mut graph = GraphBuilder::default();
        let x = graph.input("x", ElementType::F32, &[Dim::Named("batch".to_owned()), Dim::Fixed(4)]);
        let used = graph.linear(&x, &Linear::named("used", 4, 2));
        let idle = graph.linear(&used, &Linear::named("idle", 2, 2));
        let half = graph.float(0.5);
        graph.mul(&idle, &half);
        graph.output(&used, "y", &[Dim::Named("batch".to_owned()), Dim::Fixed(2)]);
        let graph = graph.finish("test");
        let operators: Vec<_> = graph.nodes.iter().filter_map(|node| node.op_type.as_deref()).collect();
        assert_eq!(operators, ["Gemm", "Identity"]);
        assert!(graph.constants.is_empty());
        let names: Vec<_> = graph.weights.iter().map(Part::value_name).collect();
        assert_eq!(names, ["used.weight", "used.bias"]);
        assert_eq!(graph.required_tensors().len(), 4);
    }
}
