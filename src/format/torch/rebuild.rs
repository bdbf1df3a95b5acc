//! The calls by which a pickle describes a tensor. Owns their names and arguments; knows nothing of where tensors stand in a
//! state dict.

use super::{
    storage::{Places, Storage},
    tensor::{Dtype, TorchTensor},
    value::{Id, Values},
};

/// Dimensions of a tensor: PyTorch has no more.
const MOST_DIMENSIONS: usize = 64;

/// Tensors inside of each other: a parameter around a subclass around the tensor.
const MOST_WRAPPERS: usize = 4;

/// Bytes of a tensor that repeats what the file holds once, if the file is not larger itself.
const MOST_EXPANDED_BYTES: usize = 1 << 26;

/// The arguments of the call that makes a tensor; absent for any other value.
#[derive(Debug)]
pub(super) struct Recipe<'v> {
    arguments: &'v [Id],
    /// Whether the type of the elements is an argument too.
    is_typed: bool,
}

/// How a value would become a tensor; absent if it would not.
pub(super) fn tensor_recipe<'v>(values: &'v Values<'_>, mut id: Id) -> Option<Recipe<'v>> {
    let ((mut module, mut name), mut arguments) = values.call(id)?;
    for _ in 0..MOST_WRAPPERS {
        match (module, name) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => {
                return Some(Recipe { arguments, is_typed: false });
            }
            ("torch._utils", "_rebuild_tensor_v3") => return Some(Recipe { arguments, is_typed: true }),
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")
            | ("torch.nn.parameter", "Parameter") => {
                id = *arguments.first()?;
                ((module, name), arguments) = values.call(id)?;
            }
            // A subclass: the function, the class, the function's arguments, attributes.
            ("torch._tensor", "_rebuild_from_type_v2") => {
                let &[function, _class, inner, ..] = arguments else { return None };
                (module, name) = values.global(function)?;
                arguments = values.sequence(inner)?;
            }
            _ => return None,
        }
    }
    None
}

impl Recipe<'_> {
    /// The tensor, after a check that all of its elements are inside the file.
    ///
    /// # Errors
    /// Says what is wrong, to go on behind the tensor's name.
    pub(super) fn tensor(
        &self,
        values: &Values<'_>,
        places: &Places,
        file_bytes: usize,
    ) -> Result<TorchTensor, String> {
        let &[storage, offset, shape, strides, ref rest @ ..] = self.arguments else {
            return Err(format!("is described by {} values: expected 4 or more", self.arguments.len()));
        };
        let storage = Storage::read(values, storage)?;
        let dtype = match (self.is_typed, rest) {
            (true, &[_requires_grad, _hooks, dtype, ..]) => match values.global(dtype) {
                Some(("torch", name)) => Dtype::of_torch(name)
                    .ok_or_else(|| format!("has elements of type `torch.{name}`, which is not read"))?,
                _ => return Err(format!("has elements of `{}`: expected a type of torch", values.class(dtype))),
            },
            (true, _) => return Err("lacks the type of its elements".to_owned()),
            (false, _) => storage.dtype.ok_or("is in a storage without a type of elements")?,
        };
        let place = places.of(&storage)?;
        let offset = values.size(offset).ok_or("has no count as its offset")?;
        let (shape, strides) = (sizes(values, shape, "a shape")?, sizes(values, strides, "strides")?);
        if shape.len() != strides.len() || shape.len() > MOST_DIMENSIONS {
            return Err(format!(
                "has {} dimensions and {} strides: expected as many, and at most {MOST_DIMENSIONS}",
                shape.len(),
                strides.len()
            ));
        }

        let width = dtype.size_bytes() as u64;
        let size_bytes = shape.iter().try_fold(width, |size, &length| size.checked_mul(length));
        let most = file_bytes.max(MOST_EXPANDED_BYTES) as u64;
        // A shape with a zero has no bytes, but its other lengths must be multiplied without harm too.
        let nonzero = shape.iter().try_fold(width, |size, &length| size.checked_mul(length.max(1)));
        let (Some(size_bytes), Some(_)) = (size_bytes.filter(|&size| size <= most), nonzero) else {
            return Err(format!("has shape {shape:?}: expected at most {most} bytes, as the file has no more"));
        };
        let mut start = place.start;
        if size_bytes > 0 {
            let last = shape.iter().zip(&strides).try_fold(offset, |at, (&length, &stride)| {
                (length - 1).checked_mul(stride).and_then(|step| at.checked_add(step))
            });
            let end = last.and_then(|last| last.checked_add(1)?.checked_mul(width));
            if end.is_none_or(|end| end > place.end - place.start) {
                let n_elements = (place.end - place.start) / width;
                return Err(format!(
                    "has shape {shape:?}, strides {strides:?} and offset {offset}: expected them to stay inside of the \
                     {n_elements} elements of storage `{}`",
                    storage.key
                ));
            }
            start += offset * width;
        }
        let to_usize = |sizes: Vec<u64>| sizes.into_iter().map(usize::try_from).collect::<Result<_, _>>();
        let (Ok(shape), Ok(strides), Ok(start)) = (to_usize(shape), to_usize(strides), usize::try_from(start)) else {
            return Err("is larger than this machine's memory can be".to_owned());
        };
        Ok(TorchTensor { dtype, shape, strides, start })
    }
}

fn sizes(values: &Values<'_>, id: Id, what: &str) -> Result<Vec<u64>, String> {
    // `torch.Size` is called with a tuple.
    let id = match values.call(id) {
        Some((("torch", "Size"), &[inner])) => inner,
        _ => id,
    };
    let entries = values.sequence(id).filter(|entries| entries.len() <= MOST_DIMENSIONS);
    let entries = entries.ok_or_else(|| format!("lacks {what}: expected at most {MOST_DIMENSIONS} counts"))?;
    let sizes: Option<Vec<u64>> = entries.iter().map(|&entry| values.size(entry)).collect();
    sizes.ok_or_else(|| format!("has {what} with something else than counts"))
}

#[cfg(test)]
mod tests {
    use super::{super::pickle::read_pickle, *};
    use std::path::Path;

    /// What becomes of a tensor on a storage of 10 elements of 4 bytes, which stands at byte 100 of a file of 200.
    fn tensor(storage: &str, rest: &str) -> Result<TorchTensor, String> {
        let pickle = format!("ctorch._utils\n_rebuild_tensor_v2\n(({storage}Q{rest}tR.");
        let (values, _) = read_pickle(pickle.as_bytes(), Path::new("p")).unwrap();
        let mut places = Places::default();
        places.insert("0".to_owned(), 100..140);
        tensor_recipe(&values, values.root()).expect("a tensor").tensor(&values, &places, 200)
    }

    const STORAGE: &str = "S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI10\nt";

    #[test]
    fn windows_inside_of_the_storage_are_tensors() {
        let whole = tensor(STORAGE, "I0\n(I2\nI5\nt(I5\nI1\nt").unwrap();
        assert_eq!(whole, TorchTensor { dtype: Dtype::F32, shape: vec![2, 5], strides: vec![5, 1], start: 100 });
        assert_eq!(tensor(STORAGE, "I3\n(I2\nI3\nt(I1\nI2\nt").unwrap().start, 112);
        assert_eq!(tensor(STORAGE, "I9\n(I1000\nt(I0\nt").unwrap().size_bytes(), 4000);
        assert_eq!(tensor(STORAGE, "I10\n(I0\nt(I1\nt").unwrap().size_bytes(), 0);
        assert_eq!(tensor(STORAGE, "I4\n(t(t").unwrap().start, 116);
        // A view of elements 4 and 5, as the older format notes it.
        let view = STORAGE.replace("I10\nt", "I10\n(S'1'\nI4\nI2\ntt");
        assert_eq!(tensor(&view, "I1\n(I1\nt(I1\nt").unwrap().start, 120);
        assert!(tensor(&view, "I1\n(I2\nt(I1\nt").is_err());
    }

    #[test]
    fn windows_that_leave_the_storage_are_refused() {
        let huge = "I9223372036854775807\n";
        for (rest, expected) in [
            ("I0\n(I2\nI6\nt(I6\nI1\nt".to_owned(), "to stay inside of the 10 elements of storage `0`"),
            ("I1\n(I2\nI5\nt(I5\nI1\nt".to_owned(), "to stay inside of the 10 elements"),
            (format!("I1\n(I2\nt({huge}t"), "to stay inside of the 10 elements"),
            (format!("{huge}(I2\nt({huge}t"), "to stay inside of the 10 elements"),
            (format!("I0\n({huge}{huge}t(I1\nI1\nt"), "expected at most 67108864 bytes"),
            (format!("I0\n(I0\n{huge}{huge}t(I1\nI1\nI1\nt"), "expected at most 67108864 bytes"),
            ("I0\n(I100000000\nt(I0\nt".to_owned(), "expected at most 67108864 bytes"),
            ("I0\n(I2\nt(I-1\nt".to_owned(), "has strides with something else than counts"),
            ("I-1\n(I2\nt(I1\nt".to_owned(), "has no count as its offset"),
            ("I0\n(I2\nI5\nt(I5\nt".to_owned(), "has 2 dimensions and 1 strides"),
            (format!("I0\n({}t({}t", "I1\n".repeat(65), "I1\n".repeat(65)), "expected at most 64 counts"),
            ("I0\nNN".to_owned(), "lacks a shape: expected at most 64 counts"),
        ] {
            let refused = tensor(STORAGE, &rest).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn storages_that_are_none_are_refused() {
        let view = "I10\n(S'1'\nI9\nI2\ntt";
        for (was, is, expected) in [
            ("FloatStorage", "QInt8Storage", "has a storage of `torch.QInt8Storage`: expected one of plain numbers"),
            ("FloatStorage", "UntypedStorage", "is in a storage without a type of elements"),
            ("S'0'", "S'1'", "is in storage `1`, which the file lacks"),
            ("I10", "I11", "is in storage `0`, which has 40 bytes: expected 11 elements of 4"),
            ("I10", "I9223372036854775807", "which has 40 bytes"),
            ("S'storage'", "S'module'", "kind, key or count is of another type"),
            ("I10\nt", "t", "has a storage of 4 parts: expected 5 or 6"),
            ("I10\nt", view, "is in a view that ends behind storage `0`"),
        ] {
            let refused = tensor(&STORAGE.replace(was, is), "I0\n(I1\nt(I1\nt").unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
