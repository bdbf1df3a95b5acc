//! The tensors of a Hugging Face model folder, mapped rather than read.
//!
//! Owns the finding of the files (`model.safetensors`, or shards behind
//! `model.safetensors.index.json`), the check of their headers, and the conversion of one tensor
//! at a time to little-endian f32. Knows no architecture: `clip.rs` says which tensors must be
//! there and how large they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::error::{ModelError, TensorProblem};
use super::file::read_json;

const SINGLE_FILE: &str = "model.safetensors";
const INDEX_FILE: &str = "model.safetensors.index.json";

/// No model is cut into more files; each costs a mapping.
const SHARD_LIMIT: usize = 4096;

/// A tensor that a network needs: its name and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name in the file.
    pub name: String,
    /// The shape that the configuration says.
    pub shape: Vec<usize>,
}

/// The open weight files of one model folder.
pub struct Weights {
    folder: PathBuf,
    file_names: Vec<String>,
    shards: Vec<Mmap>,
    tensors: BTreeMap<String, StoredTensor>,
}

struct StoredTensor {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    begin: usize,
    end: usize,
}

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    /// Maps the weights of a model folder and reads their headers.
    ///
    /// The cost does not depend on the size of the weights. While a [`Weights`] lives the files
    /// must not be cut short by someone else: the system then ends the program.
    ///
    /// # Errors
    /// There are no weights, a file cannot be mapped, a header is malformed, or the index names a
    /// file that is not in the folder.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let shard_names = shard_names(folder)?;
        let mut weights = Self {
            folder: folder.to_owned(),
            file_names: shard_names.clone(),
            shards: Vec::new(),
            tensors: BTreeMap::new(),
        };
        if shard_names != [SINGLE_FILE] {
            weights.file_names.insert(0, INDEX_FILE.to_owned());
        }
        for name in &shard_names {
            weights.add_shard(&folder.join(name))?;
        }
        Ok(weights)
    }

    fn add_shard(&mut self, path: &Path) -> Result<(), ModelError> {
        let file = File::open(path).map_err(ModelError::read(path))?;
        // SAFETY: the mapping is read-only; that nobody shortens the file meanwhile is asked of
        // the caller in `open`.
        let map = unsafe { Mmap::map(&file) }.map_err(ModelError::read(path))?;
        let (header_bytes, metadata) =
            SafeTensors::read_metadata(&map).map_err(|error| ModelError::malformed(path, error))?;
        let data_begin = header_bytes + size_of::<u64>();
        for (name, info) in metadata.tensors() {
            let (begin, end) = info.data_offsets;
            let tensor = StoredTensor {
                shard: self.shards.len(),
                dtype: info.dtype,
                shape: info.shape.clone(),
                begin: data_begin + begin,
                end: data_begin + end,
            };
            if self.tensors.insert(name.clone(), tensor).is_some() {
                let message = format!("tensor `{name}` stands in another file too");
                return Err(ModelError::malformed(path, message));
            }
        }
        self.shards.push(map);
        Ok(())
    }

    /// The files that the weights consist of, by name inside the folder.
    pub fn file_names(&self) -> &[String] {
        &self.file_names
    }

    /// Checks that every tensor of `expected` is here with that shape.
    ///
    /// # Errors
    /// Lists all that are missing, misshaped or of a type that is not read.
    pub fn check(&self, expected: &[TensorSpec]) -> Result<(), ModelError> {
        let problems: Vec<_> = expected.iter().filter_map(|spec| self.problem(spec)).collect();
        if problems.is_empty() {
            return Ok(());
        }
        Err(ModelError::Tensors { folder: self.folder.clone(), problems })
    }

    fn problem(&self, spec: &TensorSpec) -> Option<TensorProblem> {
        let (name, expected) = (spec.name.clone(), spec.shape.clone());
        let Some(tensor) = self.tensors.get(&name) else {
            return Some(TensorProblem::Missing { name, expected });
        };
        if tensor.shape != expected {
            let found = tensor.shape.clone();
            return Some(TensorProblem::Shape { name, found, expected });
        }
        let readable = matches!(tensor.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16);
        let found = format!("{:?}", tensor.dtype);
        (!readable).then_some(TensorProblem::ElementType { name, found })
    }

    /// The tensors that none of `expected` names, in order of name.
    pub fn unused(&self, expected: &[TensorSpec]) -> Vec<String> {
        let used: BTreeSet<&str> = expected.iter().map(|spec| spec.name.as_str()).collect();
        self.tensors.keys().filter(|name| !used.contains(name.as_str())).cloned().collect()
    }

    /// Writes one tensor to `out` as little-endian f32 in C order, a matrix transposed if asked.
    ///
    /// Memory stays below a few MB, except that a transposed matrix is held whole. `path` is the
    /// file behind `out`, for the error.
    ///
    /// # Errors
    /// The tensor does not pass [`Weights::check`], or `out` fails.
    pub fn write_f32(
        &self,
        spec: &TensorSpec,
        transpose: bool,
        out: &mut impl Write,
        path: &Path,
    ) -> Result<(), ModelError> {
        self.check(std::slice::from_ref(spec))?;
        let tensor = &self.tensors[&spec.name];
        let bytes = &self.shards[tensor.shard][tensor.begin..tensor.end];
        let written = match (transpose, tensor.shape.as_slice()) {
            (true, &[n_rows, n_columns]) => {
                let mut values = Vec::with_capacity(n_rows * n_columns * size_of::<f32>());
                write_widened(bytes, tensor.dtype, &mut values)
                    .and_then(|()| out.write_all(&transposed(&values, n_rows, n_columns)))
            }
            _ => write_widened(bytes, tensor.dtype, out),
        };
        written.map_err(ModelError::write(path))
    }
}

fn shard_names(folder: &Path) -> Result<Vec<String>, ModelError> {
    if folder.join(SINGLE_FILE).is_file() {
        return Ok(vec![SINGLE_FILE.to_owned()]);
    }
    let path = folder.join(INDEX_FILE);
    if !path.is_file() {
        return Err(ModelError::NoWeights { folder: folder.to_owned() });
    }
    let index: ShardIndex = read_json(&path)?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    // A name with a separator could point out of the folder.
    if let Some(name) =
        names.iter().find(|name| name.contains(['/', '\\']) || !name.ends_with(".safetensors") || name.starts_with('.'))
    {
        return Err(ModelError::malformed(&path, format!("shard `{name}` is no plain file name")));
    }
    if names.is_empty() || names.len() > SHARD_LIMIT {
        let message = format!("{} shards: expected 1 to {SHARD_LIMIT}", names.len());
        return Err(ModelError::malformed(&path, message));
    }
    Ok(names.into_iter().collect())
}

fn write_widened(bytes: &[u8], dtype: Dtype, out: &mut impl Write) -> io::Result<()> {
    let widen: fn([u8; 2]) -> f32 = match dtype {
        Dtype::F16 => |pair| f16::from_le_bytes(pair).to_f32(),
        Dtype::BF16 => |pair| bf16::from_le_bytes(pair).to_f32(),
        _ => return out.write_all(bytes),
    };
    let (pairs, _) = bytes.as_chunks::<2>();
    for block in pairs.chunks(1 << 18) {
        let values: Vec<u8> = block.iter().flat_map(|&pair| widen(pair).to_le_bytes()).collect();
        out.write_all(&values)?;
    }
    Ok(())
}

/// The transpose of a C-order matrix of 4-byte elements, in square tiles that stay in the cache.
fn transposed(values: &[u8], n_rows: usize, n_columns: usize) -> Vec<u8> {
    const TILE: usize = 32;
    let (elements, _) = values.as_chunks::<4>();
    let mut out = vec![[0; 4]; elements.len()];
    for top in (0..n_rows).step_by(TILE) {
        for left in (0..n_columns).step_by(TILE) {
            for row in top..n_rows.min(top + TILE) {
                for column in left..n_columns.min(left + TILE) {
                    out[column * n_rows + row] = elements[row * n_columns + column];
                }
            }
        }
    }
    out.into_flattened()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use safetensors::tensor::TensorView;

    proptest! {
        #[test]
        fn any_header_is_an_error_or_a_table(
            header in r#"[{}\[\]":,a0-9 ]{0,60}|\{"a":\{"dtype":"F(16|32)","shape":\[[0-9]{1,20}\],"data_offsets":\[[0-9]{1,3},[0-9]{1,20}\]\}\}"#,
            data in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
            std::fs::write(folder.path().join(SINGLE_FILE), bytes).unwrap();
            if let Ok(weights) = Weights::open(folder.path()) {
                prop_assert_eq!(weights.check(&[spec("a", &[1, 2, 3])]).is_err(), true);
            }
        }
    }

    fn spec(name: &str, shape: &[usize]) -> TensorSpec {
        TensorSpec { name: name.to_owned(), shape: shape.to_vec() }
    }

    fn save(path: &Path, tensors: &[(&str, Dtype, &[usize], &[u8])]) {
        let views = tensors
            .iter()
            .map(|&(name, dtype, shape, data)| (name, TensorView::new(dtype, shape.to_vec(), data).unwrap()));
        std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
    }

    fn floats(bytes: &[u8]) -> Vec<f32> {
        bytes.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
    }

    #[test]
    fn half_precision_is_widened_and_matrices_transposed() {
        let folder = tempfile::tempdir().unwrap();
        let values = [1.5f32, -2.0, 0.25, 3.0, 4.0, -5.0];
        let f16s: Vec<u8> = values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
        let bf16s: Vec<u8> = values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
        let f32s: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        save(
            &folder.path().join(SINGLE_FILE),
            &[("a", Dtype::F16, &[2, 3], &f16s), ("b", Dtype::BF16, &[6], &bf16s), ("c", Dtype::F32, &[2, 3], &f32s)],
        );
        let weights = Weights::open(folder.path()).unwrap();
        assert_eq!(weights.file_names(), [SINGLE_FILE]);
        let read = |name, shape: &[usize], turn| {
            let mut out = Vec::new();
            weights.write_f32(&spec(name, shape), turn, &mut out, Path::new("out")).unwrap();
            floats(&out)
        };
        assert_eq!(read("a", &[2, 3], false), values);
        assert_eq!(read("b", &[6], true), values);
        assert_eq!(read("c", &[2, 3], true), [1.5, 3.0, -2.0, 4.0, 0.25, -5.0]);
        assert_eq!(weights.unused(&[spec("b", &[])]), ["a", "c"]);
    }

    #[test]
    fn all_misfits_are_listed_at_once() {
        let folder = tempfile::tempdir().unwrap();
        save(&folder.path().join(SINGLE_FILE), &[("a", Dtype::F32, &[1], &[0; 4]), ("b", Dtype::I32, &[1], &[0; 4])]);
        let weights = Weights::open(folder.path()).unwrap();
        let refused = weights.check(&[spec("a", &[2]), spec("b", &[1]), spec("c", &[3, 4])]).unwrap_err();
        let message = refused.to_string();
        for line in [
            "\n  `a` has shape [1]: expected [2]",
            "\n  `b` is of type I32: expected F32, F16 or BF16",
            "\n  `c` is missing: expected shape [3, 4]",
        ] {
            assert!(message.contains(line), "{message}");
        }
    }

    #[test]
    fn shards_are_found_through_their_index_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        save(&folder.path().join("one.safetensors"), &[("a", Dtype::F32, &[1], &[0; 4])]);
        save(&folder.path().join("two.safetensors"), &[("b", Dtype::F32, &[1], &[0; 4])]);
        let index = folder.path().join(INDEX_FILE);
        std::fs::write(&index, r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}"#).unwrap();
        let weights = Weights::open(folder.path()).unwrap();
        assert_eq!(weights.file_names(), [INDEX_FILE, "one.safetensors", "two.safetensors"]);
        assert!(weights.check(&[spec("a", &[1]), spec("b", &[1])]).is_ok());

        std::fs::write(&index, r#"{"weight_map": {"a": "../one.safetensors"}}"#).unwrap();
        assert!(matches!(Weights::open(folder.path()), Err(ModelError::Malformed { .. })));
        std::fs::remove_file(&index).unwrap();
        assert!(matches!(Weights::open(folder.path()), Err(ModelError::NoWeights { .. })));
    }

    #[test]
    fn damaged_headers_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SINGLE_FILE);
        save(&path, &[("a", Dtype::F32, &[4], &[0; 16])]);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(Weights::open(folder.path()).is_err(), "cut at {cut}");
        }
        let huge = br#"{"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,16]}}"#;
        let mut bytes = (huge.len() as u64).to_le_bytes().to_vec();
        bytes.extend(huge);
        bytes.extend([0; 16]);
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(Weights::open(folder.path()), Err(ModelError::Malformed { .. })));
    }
}
