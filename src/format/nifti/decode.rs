//! Stored samples to real values, in double precision as nibabel computes them.

use std::fmt;

use ::nifti::Endianness;

/// The types of samples that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Datatype {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = 8 * self.size_bytes();
        match self {
            Datatype::U8 | Datatype::U16 | Datatype::U32 | Datatype::U64 => write!(f, "{bits}-bit unsigned integers"),
            Datatype::I8 | Datatype::I16 | Datatype::I32 | Datatype::I64 => write!(f, "{bits}-bit integers"),
            Datatype::F32 | Datatype::F64 => write!(f, "{bits}-bit floats"),
        }
    }
}

impl Datatype {
    pub(in crate::format) fn from_code(code: i16) -> Option<Self> {
        Some(match code {
            2 => Datatype::U8,
            4 => Datatype::I16,
            8 => Datatype::I32,
            16 => Datatype::F32,
            64 => Datatype::F64,
            256 => Datatype::I8,
            512 => Datatype::U16,
            768 => Datatype::U32,
            1024 => Datatype::I64,
            1280 => Datatype::U64,
            _ => return None,
        })
    }

    /// Bytes of one sample.
    pub fn size_bytes(self) -> usize {
        match self {
            Datatype::U8 | Datatype::I8 => 1,
            Datatype::U16 | Datatype::I16 => 2,
            Datatype::U32 | Datatype::I32 | Datatype::F32 => 4,
            Datatype::U64 | Datatype::I64 | Datatype::F64 => 8,
        }
    }
}

/// How real values are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::format) struct Encoding {
    pub datatype: Datatype,
    pub endianness: Endianness,
    /// Slope and intercept from stored to real values.
    pub scaling: Option<(f64, f64)>,
}

/// Runs `$body` with `$sample`, a closure from the position of a sample to its real value, and `$n`, how many there are.
///
/// The body is compiled once for each type and byte order, so that its loop holds no choice between them.
macro_rules! with_samples {
    ($encoding:expr, $bytes:expr, $sample:ident, $n:ident, $body:expr) => {{
        let encoding: Encoding = $encoding;
        let (slope, intercept) = encoding.scaling.unwrap_or((1.0, 0.0));
        let scaled = encoding.scaling.is_some();
        macro_rules! of_type {
            ($type:ty) => {{
                let (chunks, _) = $bytes.as_chunks::<{ size_of::<$type>() }>();
                let $n = chunks.len();
                let scale = |value: f64| if scaled { value * slope + intercept } else { value };
                match encoding.endianness {
                    Endianness::Little => {
                        let $sample = |position: usize| scale(<$type>::from_le_bytes(chunks[position]) as f64);
                        $body
                    }
                    Endianness::Big => {
                        let $sample = |position: usize| scale(<$type>::from_be_bytes(chunks[position]) as f64);
                        $body
                    }
                }
            }};
        }
        match encoding.datatype {
            Datatype::U8 => of_type!(u8),
            Datatype::I8 => of_type!(i8),
            Datatype::U16 => of_type!(u16),
            Datatype::I16 => of_type!(i16),
            Datatype::U32 => of_type!(u32),
            Datatype::I32 => of_type!(i32),
            Datatype::U64 => of_type!(u64),
            Datatype::I64 => of_type!(i64),
            Datatype::F32 => of_type!(f32),
            Datatype::F64 => of_type!(f64),
        }
    }};
}

impl Encoding {
    /// Hands every value to `put`, with its position.
    pub fn each(self, bytes: &[u8], mut put: impl FnMut(usize, f64)) {
        with_samples!(self, bytes, sample, n, (0..n).for_each(|position| put(position, sample(position))));
    }

    /// Takes the values at some positions, each of which must lie inside `bytes`, and decodes no others.
    pub fn gather(self, bytes: &[u8], positions: &[usize], values: &mut [f32]) {
        with_samples!(self, bytes, sample, n, {
            debug_assert!(positions.iter().all(|&position| position < n), "positions were checked against the volume");
            for (value, &position) in values.iter_mut().zip(positions) {
                *value = sample(position) as f32;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathering_is_decoding_and_choosing() {
        let stored: Vec<i16> = (0..40).map(|n| n * 811 - 9000).collect();
        for endianness in [Endianness::Little, Endianness::Big] {
            let bytes: Vec<u8> = stored
                .iter()
                .flat_map(|n| if endianness == Endianness::Little { n.to_le_bytes() } else { n.to_be_bytes() })
                .collect();
            let encoding = Encoding { datatype: Datatype::I16, endianness, scaling: Some((0.1, -7.0)) };
            let mut all = vec![0.0; 40];
            encoding.each(&bytes, |position, value| all[position] = value);
            assert_eq!(all[3], f64::from(stored[3]) * 0.1 - 7.0);
            let (positions, mut some) = ([39, 0, 17], [0.0; 3]);
            encoding.gather(&bytes, &positions, &mut some);
            assert_eq!(some, positions.map(|position| all[position] as f32));
        }
    }
}
