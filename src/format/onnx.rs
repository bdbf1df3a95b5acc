//! The ONNX messages that Hebb writes, declared by hand so that no `protoc` is needed.
//!
//! Owns the field numbers and wire types of the subset of `onnx.proto` that a feed-forward network
//! takes: model, graph, node, attribute, tensor and value types. Knows nothing of operators or of
//! networks; `model/graph.rs` fills these messages in. Fields that Hebb never writes are left out:
//! a reader skips their numbers.
//!
//! Source: `onnx/onnx.proto` (the ONNX standard). The version constants name what is written.

use prost::Message;

/// The file format's version: the first that goes with operator set 17.
pub const IR_VERSION: i64 = 8;

/// The operator set: the first with `LayerNormalization` as one operator.
pub const OPSET_VERSION: i64 = 17;

/// The element types of tensors, by their number in `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum ElementType {
    /// 32-bit float.
    F32 = 1,
    /// 64-bit signed integer.
    I64 = 7,
    /// Boolean, one byte.
    Bool = 9,
    /// 16-bit float of IEEE 754.
    F16 = 10,
    /// 16-bit float with the exponent of a 32-bit one.
    BF16 = 16,
}

impl ElementType {
    /// Bytes of one element.
    #[must_use]
    pub fn size_bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::I64 => 8,
            Self::Bool => 1,
            Self::F16 | Self::BF16 => 2,
        }
    }
}

/// A whole file: versions and one graph.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// See [`IR_VERSION`].
    #[prost(int64, optional, tag = "1")]
    pub ir_version: Option<i64>,
    /// The program that wrote the file.
    #[prost(string, optional, tag = "2")]
    pub producer_name: Option<String>,
    /// That program's version.
    #[prost(string, optional, tag = "3")]
    pub producer_version: Option<String>,
    /// The computation.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// The operator sets in use.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
}

/// One operator set: its domain (empty for ONNX's own) and version.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetIdProto {
    /// The empty string is ONNX's own domain; it is written out, as `onnx.checker` wants it.
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    /// The set's version.
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
}

/// Nodes in topological order, with the tensors that go in, come out and are fixed.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// Operations, each after those it depends on.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// The graph's name.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    /// Weights and constants.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// What a caller feeds.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// What a caller receives.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
}

/// One operation.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of the values it reads.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the values it defines.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// The node's own name, for error messages of a runtime.
    #[prost(string, optional, tag = "3")]
    pub name: Option<String>,
    /// The operator, such as `MatMul`.
    #[prost(string, optional, tag = "4")]
    pub op_type: Option<String>,
    /// The operator's static parameters.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
}

/// One static parameter of an operation; exactly one of the values is set, as `kind` says.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// The parameter's name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// A float.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// An integer.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// A list of integers.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// `AttributeProto.AttributeType`.
    #[prost(int32, optional, tag = "20")]
    pub kind: Option<i32>,
}

impl AttributeProto {
    /// A float parameter.
    pub fn float(name: &str, value: f32) -> Self {
        let f = Some(value);
        Self { name: Some(name.to_owned()), f, kind: Some(1), ..Self::default() }
    }

    /// An integer parameter.
    pub fn int(name: &str, value: i64) -> Self {
        let i = Some(value);
        Self { name: Some(name.to_owned()), i, kind: Some(2), ..Self::default() }
    }

    /// A parameter that is a list of integers.
    pub fn ints(name: &str, values: &[i64]) -> Self {
        let ints = values.to_vec();
        Self { name: Some(name.to_owned()), ints, kind: Some(7), ..Self::default() }
    }
}

/// A fixed tensor, its bytes either here (`raw_data`) or in another file (`external_data`).
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// The shape.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// An [`ElementType`] by number.
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    /// The value's name.
    #[prost(string, optional, tag = "8")]
    pub name: Option<String>,
    /// The elements, little-endian, in C order.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
    /// `location`, `offset` and `length` of the elements in another file.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// `TensorProto.DataLocation`: 1 is external.
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
}

impl TensorProto {
    /// A tensor whose elements stand in the file itself.
    pub fn inline(name: &str, element: ElementType, dims: &[i64], raw_data: Vec<u8>) -> Self {
        Self {
            dims: dims.to_vec(),
            data_type: Some(element as i32),
            name: Some(name.to_owned()),
            raw_data: Some(raw_data),
            ..Self::default()
        }
    }

    /// A tensor whose elements stand in the file `location` beside the model.
    pub fn external(name: &str, element: ElementType, dims: &[i64], location: &str, offset: u64, length: u64) -> Self {
        let entry = |key: &str, value: String| StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) };
        Self {
            dims: dims.to_vec(),
            data_type: Some(element as i32),
            name: Some(name.to_owned()),
            external_data: vec![
                entry("location", location.to_owned()),
                entry("offset", offset.to_string()),
                entry("length", length.to_string()),
            ],
            data_location: Some(1),
            ..Self::default()
        }
    }

    /// Where the elements stand in another file: its name, the first byte and the number of bytes.
    #[must_use]
    pub fn place(&self) -> Option<(&str, u64, u64)> {
        let entry = |wanted: &str| {
            let entry = self.external_data.iter().find(|entry| entry.key.as_deref() == Some(wanted))?;
            entry.value.as_deref()
        };
        Some((entry("location")?, entry("offset")?.parse().ok()?, entry("length")?.parse().ok()?))
    }
}

/// One entry of a string map.
#[derive(Clone, PartialEq, Message)]
pub struct StringStringEntryProto {
    /// The key.
    #[prost(string, optional, tag = "1")]
    pub key: Option<String>,
    /// The value.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// The name and type of an input or an output.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// The value's name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The value's type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
}

impl ValueInfoProto {
    /// A tensor value with these dimensions.
    pub fn tensor(name: &str, element: ElementType, dims: &[Dim]) -> Self {
        let dim = dims.iter().map(|dim| DimensionProto { value: Some(dim.clone()) }).collect();
        let tensor_type = TensorTypeProto { elem_type: Some(element as i32), shape: Some(TensorShapeProto { dim }) };
        let r#type = Some(TypeProto { tensor_type: Some(tensor_type) });
        Self { name: Some(name.to_owned()), r#type }
    }
}

/// The type of a value; Hebb writes tensors only.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// Set for tensors.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

/// Element type and shape of a tensor value.
#[derive(Clone, PartialEq, Message)]
pub struct TensorTypeProto {
    /// An [`ElementType`] by number.
    #[prost(int32, optional, tag = "1")]
    pub elem_type: Option<i32>,
    /// The shape.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// The shape of a tensor value.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// One entry per axis.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// The length of one axis.
#[derive(Clone, PartialEq, Message)]
pub struct DimensionProto {
    /// The length, known or named.
    #[prost(oneof = "Dim", tags = "1, 2")]
    pub value: Option<Dim>,
}

/// A length that is known, or named and found when the model runs.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Dim {
    /// A known length.
    #[prost(int64, tag = "1")]
    Fixed(i64),
    /// A name; equal names mean equal lengths.
    #[prost(string, tag = "2")]
    Named(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_valued_attributes_are_written_out() {
        // `onnx.checker` refuses an attribute without a value, and proto3 rules would drop a zero.
        let bytes = AttributeProto::int("axis", 0).encode_to_vec();
        assert_eq!(bytes, [0x0a, 4, b'a', b'x', b'i', b's', 0x18, 0, 0xa0, 0x01, 2]);
    }

    #[test]
    fn messages_survive_a_round_trip() {
        let tensor = TensorProto::external("w", ElementType::F32, &[3, 4], "weights.bin", 64, 48);
        let value = ValueInfoProto::tensor("x", ElementType::I64, &[Dim::Named("batch".to_owned()), Dim::Fixed(0)]);
        let graph = GraphProto { initializer: vec![tensor], input: vec![value], ..Default::default() };
        let decoded = GraphProto::decode(graph.encode_to_vec().as_slice());
        assert_eq!(decoded.as_ref(), Ok(&graph));
    }
}
