//! One tensor inside a mapped file: its numbers' type, its shape, and where each of its elements stands.
//!
//! Owns the way from shape and strides to bytes in C order; knows nothing of pickles and archives.

use std::{borrow::Cow, fmt, ops::Range};

/// The type of a tensor's elements, all little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Dtype {
    F64,
    F32,
    F16,
    BF16,
    F8E4M3,
    F8E5M2,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
    /// Two F64 each.
    C128,
    /// Two F32 each.
    C64,
}

impl Dtype {
    /// Bytes of one element.
    pub fn size_bytes(self) -> usize {
        match self {
            Self::C128 => 16,
            Self::F64 | Self::I64 | Self::U64 | Self::C64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::F8E4M3 | Self::F8E5M2 | Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// The type that `torch` has under a name.
    pub(super) fn of_torch(name: &str) -> Option<Self> {
        Some(match name {
            "float64" | "double" => Self::F64,
            "float32" | "float" => Self::F32,
            "float16" | "half" => Self::F16,
            "bfloat16" => Self::BF16,
            "float8_e4m3fn" => Self::F8E4M3,
            "float8_e5m2" => Self::F8E5M2,
            "int64" | "long" => Self::I64,
            "int32" | "int" => Self::I32,
            "int16" | "short" => Self::I16,
            "int8" => Self::I8,
            "uint64" => Self::U64,
            "uint32" => Self::U32,
            "uint16" => Self::U16,
            "uint8" => Self::U8,
            "bool" => Self::Bool,
            "complex128" | "cdouble" => Self::C128,
            "complex64" | "cfloat" => Self::C64,
            _ => return None,
        })
    }

    /// The type of the elements of a storage class, such as `HalfStorage`.
    pub(super) fn of_storage(class: &str) -> Option<Self> {
        Some(match class.strip_suffix("Storage")? {
            "Double" => Self::F64,
            "Float" => Self::F32,
            "Half" => Self::F16,
            "BFloat16" => Self::BF16,
            "Long" => Self::I64,
            "Int" => Self::I32,
            "Short" => Self::I16,
            "Char" => Self::I8,
            "Byte" => Self::U8,
            "Bool" => Self::Bool,
            "ComplexDouble" => Self::C128,
            "ComplexFloat" => Self::C64,
            _ => return None,
        })
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A tensor of a checkpoint: all of its elements are inside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TorchTensor {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
    /// Where in the file the first element begins.
    pub(super) start: usize,
}

impl TorchTensor {
    /// The type of the elements.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The length of each dimension; none for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// For each dimension how many elements further the next one stands; 0 where one element is repeated.
    pub fn strides(&self) -> &[usize] {
        &self.strides
    }

    /// Elements by shape.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes by shape.
    pub fn size_bytes(&self) -> usize {
        self.n_elements() * self.dtype.size_bytes()
    }

    /// Whether the elements stand one behind the other in C order.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.n_elements() == 0
            || self.shape.iter().zip(&self.strides).rev().all(|(&length, &stride)| {
                let fits = length == 1 || stride == expected;
                expected *= length;
                fits
            })
    }

    pub(super) fn file_range(&self) -> Range<usize> {
        self.start..self.start + self.size_bytes()
    }

    /// The tensor's bytes in C order.
    pub(super) fn gather<'a>(&self, file: &'a [u8]) -> Cow<'a, [u8]> {
        if self.is_contiguous() {
            return Cow::Borrowed(&file[self.file_range()]);
        }
        let width = self.dtype.size_bytes();
        let mut out = Vec::with_capacity(self.size_bytes());
        let (row, stride) = match (self.shape.last(), self.strides.last()) {
            (Some(&row), Some(&stride)) => (row, stride),
            _ => (1, 1),
        };
        let n_outer = self.shape.len().saturating_sub(1);
        let mut index = vec![0; n_outer];
        let mut at = self.start;
        loop {
            if stride == 1 {
                out.extend_from_slice(&file[at..at + row * width]);
            } else {
                (0..row).for_each(|column| out.extend_from_slice(&file[at + column * stride * width..][..width]));
            }
            // The next row, as an odometer turns.
            let mut dimension = n_outer;
            loop {
                let Some(previous) = dimension.checked_sub(1) else { return Cow::Owned(out) };
                dimension = previous;
                index[dimension] += 1;
                at += self.strides[dimension] * width;
                if index[dimension] < self.shape[dimension] {
                    break;
                }
                at -= index[dimension] * self.strides[dimension] * width;
                index[dimension] = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(dtype: Dtype, shape: &[usize], strides: &[usize], start: usize) -> TorchTensor {
        TorchTensor { dtype, shape: shape.to_vec(), strides: strides.to_vec(), start }
    }

    #[test]
    fn elements_are_gathered_in_c_order() {
        let file: Vec<u8> = (0..24).collect();
        let gathered = |dtype, shape: &[usize], strides: &[usize], start| {
            tensor(dtype, shape, strides, start).gather(&file).into_owned()
        };
        assert_eq!(gathered(Dtype::U8, &[2, 3], &[3, 1], 4), [4, 5, 6, 7, 8, 9]);
        assert_eq!(gathered(Dtype::U8, &[3, 2], &[1, 3], 4), [4, 7, 5, 8, 6, 9]);
        assert_eq!(gathered(Dtype::I16, &[2, 2], &[1, 2], 0), [0, 1, 4, 5, 2, 3, 6, 7]);
        assert_eq!(gathered(Dtype::U8, &[2, 2, 2], &[0, 8, 4], 1), [1, 5, 9, 13, 1, 5, 9, 13]);
        assert_eq!(gathered(Dtype::U8, &[2, 2], &[10, 1], 0), [0, 1, 10, 11]);
        assert_eq!(gathered(Dtype::F32, &[], &[], 8), [8, 9, 10, 11]);
        assert!(gathered(Dtype::F32, &[3, 0], &[7, 9], 8).is_empty());
    }

    #[test]
    fn strides_of_single_elements_do_not_matter() {
        assert!(tensor(Dtype::U8, &[1, 3, 1], &[99, 1, 7], 0).is_contiguous());
        assert!(!tensor(Dtype::U8, &[2, 3], &[4, 1], 0).is_contiguous());
        assert!(!tensor(Dtype::U8, &[3], &[0], 0).is_contiguous());
    }
}
