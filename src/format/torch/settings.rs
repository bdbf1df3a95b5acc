//! What a checkpoint says in plain values beside its tensors: hyper-parameters, versions, counts.
//!
//! Owns what of a pickle has a meaning without any program; the rest is left out, and never an error.

use super::{
    error::TorchError,
    rebuild::tensor_recipe,
    value::{Id, Value, Values},
};
use serde_json::{Map, Number, Value as Json};
use std::path::Path;

/// Containers inside of each other; what is deeper is left out.
const MOST_LEVELS: usize = 64;

/// Values that are copied, each shared one as often as it is named.
const MOST_VALUES: usize = 1 << 20;

/// Bytes of all copied texts.
const MOST_TEXT_BYTES: usize = 1 << 26;

/// The plain values of a checkpoint, without its entry `left_out`.
pub(super) fn read_settings(values: &Values<'_>, left_out: Option<&str>, path: &Path) -> Result<Json, TorchError> {
    let mut copy = Copy { values, path, values_left: MOST_VALUES, text_left: MOST_TEXT_BYTES };
    let Some(items) = values.mapping(values.root()) else { return Ok(Json::Object(Map::new())) };
    let kept: Vec<_> =
        items.iter().copied().filter(|&(key, _)| left_out.is_none() || values.text(key) != left_out).collect();
    copy.object(&kept, 0)
}

/// Whether a value has a meaning without any program, though it may be no tensor and no container.
pub(super) fn is_plain(values: &Values<'_>, id: Id) -> bool {
    match values.get(id) {
        Value::Global(_) => matches!(values.global(id), Some(("torch", _))),
        Value::Call(_) => values.call(id).is_some_and(|(name, _)| {
            matches!(
                name,
                ("torch", "Size" | "device")
                    | ("builtins" | "__builtin__", "set" | "frozenset" | "complex" | "bytearray" | "slice" | "range")
                    | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar")
                    | ("_codecs", "encode")
                    | ("torch.jit._pickle", _)
            )
        }),
        Value::Persistent(_) => false,
        _ => true,
    }
}

struct Copy<'c, 'a> {
    values: &'c Values<'a>,
    path: &'c Path,
    values_left: usize,
    text_left: usize,
}

impl Copy<'_, '_> {
    /// A plain value; absent if it has no meaning without a program, or JSON has no word for it.
    fn value(&mut self, id: Id, level: usize) -> Result<Option<Json>, TorchError> {
        self.pay(1, 0)?;
        if level >= MOST_LEVELS || tensor_recipe(self.values, id).is_some() {
            return Ok(None);
        }
        let values = self.values;
        if let Some(items) = values.mapping(id) {
            return self.object(items, level).map(Some);
        }
        Ok(match values.get(id) {
            Value::None => Some(Json::Null),
            Value::Bool(value) => Some(Json::Bool(*value)),
            Value::Int(value) => Number::from_i128(*value).map(Json::Number),
            Value::Float(value) => Number::from_f64(*value).map(Json::Number),
            Value::Text(text) => {
                self.pay(0, text.len())?;
                Some(Json::String(text.to_string()))
            }
            Value::List(entries) | Value::Tuple(entries) | Value::Set(entries) => Some(self.array(entries, level)?),
            Value::Global(global) if global.module == "torch" => Some(Json::String(global.name.to_string())),
            Value::Call(_) => return self.call(id, level),
            _ => None,
        })
    }

    fn call(&mut self, id: Id, level: usize) -> Result<Option<Json>, TorchError> {
        let Some((name, arguments)) = self.values.call(id) else { return Ok(None) };
        Ok(match (name, arguments) {
            (("builtins" | "__builtin__", "set" | "frozenset") | ("torch", "Size"), &[entries]) => {
                self.value(entries, level + 1)?
            }
            // Lists whose entries' type TorchScript notes.
            (("torch.jit._pickle", _), &[entries, ..]) => self.value(entries, level + 1)?,
            (("torch", "device"), &[kind, ref index @ ..]) => match (self.values.text(kind), index) {
                (Some(kind), []) => Some(Json::String(kind.to_owned())),
                (Some(kind), &[index]) => self.values.size(index).map(|index| Json::String(format!("{kind}:{index}"))),
                _ => None,
            },
            (("numpy.core.multiarray" | "numpy._core.multiarray", "scalar"), &[dtype, bytes]) => {
                self.numpy_scalar(dtype, bytes)
            }
            _ => None,
        })
    }

    /// A number of NumPy's: a type by its short name, and the bytes.
    fn numpy_scalar(&self, dtype: Id, bytes: Id) -> Option<Json> {
        let (_, arguments) = self.values.call(dtype)?;
        let kind = self.values.text(*arguments.first()?)?;
        let bytes = match self.values.get(bytes) {
            Value::Bytes(bytes) => bytes.to_vec(),
            // Before protocol 3 bytes are written as the text that they are in Latin-1.
            Value::Call(_) => {
                let (_, arguments) = self.values.call(bytes)?;
                let text = self.values.text(*arguments.first()?)?;
                text.chars()
                    .take(size_of::<i64>() + 1)
                    .map(|letter| u8::try_from(letter).ok())
                    .collect::<Option<_>>()?
            }
            _ => return None,
        };
        match kind {
            "f8" => Number::from_f64(f64::from_le_bytes(bytes.try_into().ok()?)).map(Json::Number),
            "f4" => Number::from_f64(f32::from_le_bytes(bytes.try_into().ok()?).into()).map(Json::Number),
            "i8" => Some(i64::from_le_bytes(bytes.try_into().ok()?).into()),
            "i4" => Some(i32::from_le_bytes(bytes.try_into().ok()?).into()),
            "b1" => Some(Json::Bool(bytes == [1])),
            _ => None,
        }
    }

    fn array(&mut self, entries: &[Id], level: usize) -> Result<Json, TorchError> {
        self.pay(entries.len(), 0)?;
        // What has no meaning keeps its place among those that have one.
        let copied = entries.iter().map(|&entry| Ok(self.value(entry, level + 1)?.unwrap_or(Json::Null)));
        copied.collect::<Result<_, _>>().map(Json::Array)
    }

    fn object(&mut self, items: &[(Id, Id)], level: usize) -> Result<Json, TorchError> {
        self.pay(items.len(), 0)?;
        let mut object = Map::new();
        for &(key, value) in items {
            let key = match self.values.get(key) {
                Value::Text(text) => text.to_string(),
                Value::Int(number) => number.to_string(),
                Value::Bool(value) => value.to_string(),
                _ => continue,
            };
            self.pay(0, key.len())?;
            if let Some(value) = self.value(value, level + 1)? {
                object.insert(key, value);
            }
        }
        Ok(Json::Object(object))
    }

    fn pay(&mut self, n_values: usize, text_bytes: usize) -> Result<(), TorchError> {
        let left = self.values_left.checked_sub(n_values).zip(self.text_left.checked_sub(text_bytes));
        let left = left.ok_or_else(|| TorchError::too_large(self.path, "more plain values", MOST_VALUES))?;
        (self.values_left, self.text_left) = left;
        Ok(())
    }
}
