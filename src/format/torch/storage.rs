//! The runs of numbers that tensors are windows on. Owns what a pickle says of them and where they stand in the file; knows
//! nothing of shapes.

use super::{
    tensor::Dtype,
    value::{Id, Value, Values},
};
use std::{collections::HashMap, ops::Range};

/// What a pickle says of a storage.
#[derive(Debug)]
pub(super) struct Storage<'v> {
    pub(super) key: &'v str,
    /// The type of its elements; absent if it is a run of bytes.
    pub(super) dtype: Option<Dtype>,
    pub(super) n_elements: u64,
    /// The elements of it that are meant, where those are not all: first and count.
    view: Option<(u64, u64)>,
}

impl<'v> Storage<'v> {
    /// Reads the name by which a pickle refers to a storage: a tuple of a kind, a class, a key, a device, a count of elements,
    /// and in the older format a view.
    ///
    /// # Errors
    /// Says what is wrong, to go on behind the tensor's name.
    pub(super) fn read(values: &'v Values<'_>, id: Id) -> Result<Self, String> {
        let Value::Persistent(name) = values.get(id) else {
            return Err(format!("has a storage of type {}: expected one by its name", values.class(id)));
        };
        let parts = values.sequence(*name).unwrap_or_default();
        let &[kind, class, key, _device, n_elements, ref rest @ ..] = parts else {
            return Err(format!("has a storage of {} parts: expected 5 or 6", parts.len()));
        };
        let (Some("storage"), Some(key), Some(n_elements)) =
            (values.text(kind), values.text(key), values.size(n_elements))
        else {
            return Err(
                "has a storage whose kind, key or count is of another type: expected texts and a count".to_owned()
            );
        };
        let dtype = match values.global(class) {
            Some(("torch" | "torch.storage", "UntypedStorage" | "_UntypedStorage")) => None,
            Some(("torch" | "torch.cuda" | "torch.storage", class)) if Dtype::of_storage(class).is_some() => {
                Dtype::of_storage(class)
            }
            _ => return Err(format!("has a storage of `{}`: expected one of plain numbers", values.class(class))),
        };
        let view = match rest.first().map(|&view| (view, values.get(view))) {
            None | Some((_, Value::None)) => None,
            Some((view, _)) => match values.sequence(view) {
                Some(&[_key, first, count]) => match (values.size(first), values.size(count)) {
                    (Some(first), Some(count)) => Some((first, count)),
                    _ => return Err("has a view of a storage that is not counted".to_owned()),
                },
                _ => return Err("has a view of a storage without key, offset and count".to_owned()),
            },
        };
        Ok(Self { key, dtype, n_elements, view })
    }

    /// Bytes of one element.
    pub(super) fn width(&self) -> u64 {
        self.dtype.map_or(1, |dtype| dtype.size_bytes() as u64)
    }
}

/// Where each storage stands in the file.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_key: HashMap<String, Range<u64>>,
}

impl Places {
    pub(super) fn insert(&mut self, key: String, range: Range<u64>) {
        self.by_key.insert(key, range);
    }

    /// The bytes of the file that are a storage, or the view of one.
    ///
    /// # Errors
    /// Says what is wrong, to go on behind the tensor's name.
    pub(super) fn of(&self, storage: &Storage<'_>) -> Result<Range<u64>, String> {
        let key = storage.key;
        let whole = self.by_key.get(key).ok_or_else(|| format!("is in storage `{key}`, which the file lacks"))?;
        let size_bytes = storage.n_elements.checked_mul(storage.width());
        if size_bytes.is_none_or(|size| size > whole.end - whole.start) {
            let (n, width, found) = (storage.n_elements, storage.width(), whole.end - whole.start);
            return Err(format!("is in storage `{key}`, which has {found} bytes: expected {n} elements of {width}"));
        }
        let (first, count) = storage.view.unwrap_or((0, storage.n_elements));
        if first.checked_add(count).is_none_or(|end| end > storage.n_elements) {
            return Err(format!("is in a view that ends behind storage `{key}`"));
        }
        let start = whole.start + first * storage.width();
        Ok(start..start + count * storage.width())
    }
}
