//! The tensors of a model, mapped rather than read.
//!
//! Owns the finding of the files (safetensors or PyTorch, one or several behind an index), the check of what is in them against
//! what a network needs, and the place of each tensor in its file. Knows no architecture: those of `architecture/` say which
//! tensors must be there and how large they are.

mod find;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{ModelError, TensorProblem};
use super::graph::Part;
use crate::format::mapped::MappedFile;
use crate::format::memory::afford;
use crate::format::onnx::ElementType;
use crate::format::torch::{self, TorchFile, TorchTensor};
use find::find;

/// A tensor that a network needs: its name and shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// The name in the file.
    pub name: String,
    /// The shape that the configuration says.
    pub shape: Vec<usize>,
}

/// The open weight files of one model.
pub struct Weights {
    folder: PathBuf,
    file_names: Vec<String>,
    files: Vec<OpenFile>,
    tensors: BTreeMap<String, StoredTensor>,
}

struct OpenFile {
    name: String,
    content: Content,
}

enum Content {
    Safetensors(MappedFile),
    Torch(Box<TorchFile>),
}

struct StoredTensor {
    file: usize,
    /// The name in the file, which may be an older one.
    name: String,
    shape: Vec<usize>,
    /// Absent where the numbers are of a type that is not read.
    element: Option<ElementType>,
    element_name: String,
    /// First byte in the file, where the elements stand there in C order.
    offset: Option<u64>,
}

/// Where the elements of a tensor stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The file, by name inside the model's folder.
    pub file: &'a str,
    /// The first byte.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// What they mean.
    pub element: ElementType,
}

impl Weights {
    /// Maps the weights of a model, given as a folder or as the one file that holds them, and reads their headers.
    ///
    /// The cost does not depend on the size of the weights. Whoever has used their numbers asks [`Weights::assert_whole`]
    /// whether they were the files'.
    ///
    /// # Errors
    /// There are no weights or too many, a file cannot be mapped, a header is malformed, or the index names a
    /// file that is not in the folder.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let (folder, index, names) = find(path)?;
        let mut weights = Self { folder, file_names: names.clone(), files: Vec::new(), tensors: BTreeMap::new() };
        weights.file_names.splice(0..0, index);
        for name in names {
            weights.add(name)?;
        }
        Ok(weights)
    }

    fn add(&mut self, name: String) -> Result<(), ModelError> {
        let path = self.folder.join(&name);
        let (content, tensors) = if name.ends_with(".safetensors") { safetensors_of(&path)? } else { torch_of(&path)? };
        let file = self.files.len();
        for (name, tensor) in tensors {
            let known = current_name(&name);
            if self.tensors.insert(known, StoredTensor { file, ..tensor }).is_some() {
                return Err(ModelError::malformed(&path, format!("tensor `{name}` stands in another file too")));
            }
        }
        self.files.push(OpenFile { name, content });
        Ok(())
    }

    /// Fails if a file was cut short or grew since it was opened, so that numbers read meanwhile may be none of its own.
    ///
    /// # Errors
    /// That file is named.
    pub fn assert_whole(&self) -> Result<(), ModelError> {
        for file in &self.files {
            let whole = match &file.content {
                Content::Safetensors(mapped) => mapped.assert_whole(),
                Content::Torch(torch) => torch.assert_whole(),
            };
            whole.map_err(ModelError::read(&self.folder.join(&file.name)))?;
        }
        Ok(())
    }

    /// The folder that the files are in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The files that the weights consist of, by name inside the folder, an index first.
    #[must_use]
    pub fn file_names(&self) -> &[String] {
        &self.file_names
    }

    /// The shape of a tensor, if there is one of this name.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    /// Whether there is a tensor whose name begins so.
    #[must_use]
    pub fn has_prefix(&self, prefix: &str) -> bool {
        let first = self.tensors.range(prefix.to_owned()..).next();
        first.is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// How many blocks there are: numbers that follow `prefix` and stand before a dot.
    #[must_use]
    pub fn count_blocks(&self, prefix: &str) -> usize {
        let numbers = self.tensors.range(prefix.to_owned()..).map_while(|(name, _)| name.strip_prefix(prefix));
        let numbers: BTreeSet<usize> =
            numbers.filter_map(|rest| rest.split_once('.').and_then(|(number, _)| number.parse().ok())).collect();
        numbers.len()
    }

    /// Plain values that stand beside the tensors of PyTorch files, such as the settings of a training.
    #[must_use]
    pub fn settings(&self) -> Option<&Value> {
        self.files.iter().find_map(|file| match &file.content {
            Content::Torch(torch) => Some(torch.settings()),
            Content::Safetensors(_) => None,
        })
    }

    /// Checks that every tensor of `expected` is here with that shape.
    ///
    /// # Errors
    /// Lists all that are missing, misshaped or of a type that is not read, and what is there instead.
    pub fn check(&self, expected: &[TensorSpec]) -> Result<(), ModelError> {
        let problems: Vec<_> = expected.iter().filter_map(|spec| self.problem(spec)).collect();
        if problems.is_empty() {
            return Ok(());
        }
        let is_missing = |problem: &TensorProblem| matches!(problem, TensorProblem::Missing { .. });
        let extra = if problems.iter().any(is_missing) { self.unused(expected) } else { Vec::new() };
        Err(ModelError::Tensors { folder: self.folder.clone(), problems, extra })
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
        let found = tensor.element_name.clone();
        tensor.element.is_none().then_some(TensorProblem::ElementType { name, found })
    }

    /// The tensors that none of `expected` names, in order of name.
    #[must_use]
    pub fn unused(&self, expected: &[TensorSpec]) -> Vec<String> {
        let used: BTreeSet<&str> = expected.iter().map(|spec| spec.name.as_str()).collect();
        self.tensors.keys().filter(|name| !used.contains(name.as_str())).cloned().collect()
    }

    /// Where the elements stand, if a file holds them in C order at a place that a processor can read them from.
    #[must_use]
    pub fn place(&self, part: &Part) -> Option<Place<'_>> {
        let tensor = self.tensors.get(&part.spec.name)?;
        let element = tensor.element?;
        let n_elements = |shape: &[usize]| shape.iter().map(|&length| length as u64).product::<u64>();
        let row = n_elements(part.spec.shape.get(1..).unwrap_or_default());
        let skipped = part.rows.as_ref().map_or(0, |rows| rows.start as u64 * row);
        let offset = tensor.offset? + skipped * element.size_bytes();
        let length = n_elements(&part.shape()) * element.size_bytes();
        let file = self.files[tensor.file].name.as_str();
        offset.is_multiple_of(element.size_bytes()).then_some(Place { file, offset, length, element })
    }

    /// The bytes of a tensor, or of some of its rows, as 32-bit floats in C order: those of the file where it holds them so, at a
    /// place that a processor can read them from.
    ///
    /// # Errors
    /// The tensor does not pass [`Weights::check`].
    pub fn f32_bytes(&self, part: &Part) -> Result<Cow<'_, [u8]>, ModelError> {
        self.check(std::slice::from_ref(&part.spec))?;
        if let Some(Place { element: ElementType::F32, offset, length, .. }) = self.place(part) {
            let content = &self.files[self.tensors[&part.spec.name].file].content;
            let bytes = match content {
                Content::Safetensors(map) => map.get(offset as usize..(offset + length) as usize),
                Content::Torch(torch) => torch.file_bytes(offset, length),
            };
            if let Some(bytes) = bytes {
                return Ok(Cow::Borrowed(bytes));
            }
        }
        Ok(Cow::Owned(self.floats(part)?.into_iter().flat_map(f32::to_le_bytes).collect()))
    }

    /// The numbers of a tensor, or of some of its rows, in C order.
    ///
    /// # Errors
    /// The tensor does not pass [`Weights::check`].
    pub fn floats(&self, part: &Part) -> Result<Vec<f32>, ModelError> {
        self.check(std::slice::from_ref(&part.spec))?;
        let tensor = &self.tensors[&part.spec.name];
        let n_elements = tensor.shape.iter().map(|&length| length as u128).product::<u128>();
        // Of a tensor that is not stored in order the bytes are gathered first.
        let needed_bytes = n_elements * 2 * size_of::<f64>() as u128;
        let told = || format!("`{}`, a tensor of {n_elements} numbers", part.spec.name);
        afford(&self.folder.join(&self.files[tensor.file].name), needed_bytes, told)?;
        let bytes = self.bytes(tensor)?;
        let floats = match tensor.element {
            Some(ElementType::F16) => {
                bytes.as_chunks().0.iter().map(|&pair| f16::from_le_bytes(pair).to_f32()).collect()
            }
            Some(ElementType::BF16) => {
                bytes.as_chunks().0.iter().map(|&pair| bf16::from_le_bytes(pair).to_f32()).collect()
            }
            _ => bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect::<Vec<f32>>(),
        };
        let row: usize = part.spec.shape.get(1..).unwrap_or_default().iter().product();
        Ok(match &part.rows {
            Some(rows) => floats[rows.start * row..rows.end * row].to_vec(),
            None => floats,
        })
    }

    fn bytes(&self, tensor: &StoredTensor) -> Result<Cow<'_, [u8]>, ModelError> {
        let file = &self.files[tensor.file];
        let path = || self.folder.join(&file.name);
        match &file.content {
            Content::Safetensors(map) => {
                let view = SafeTensors::deserialize(map)
                    .and_then(|tensors| tensors.tensor(&tensor.name).map(|view| view.data()));
                view.map(Cow::Borrowed).map_err(|error| ModelError::malformed(&path(), error))
            }
            Content::Torch(torch) => torch
                .tensors()
                .get(&tensor.name)
                .map(|stored| torch.bytes(stored))
                .ok_or_else(|| ModelError::malformed(&path(), format!("`{}` is gone", tensor.name))),
        }
    }
}

/// The name that transformers gives today to what older files call `gamma` and `beta`.
fn current_name(name: &str) -> String {
    for (old, new) in [("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")] {
        if let Some(owner) = name.strip_suffix(old) {
            return format!("{owner}{new}");
        }
    }
    name.to_owned()
}

type Tensors = Vec<(String, StoredTensor)>;

fn safetensors_of(path: &Path) -> Result<(Content, Tensors), ModelError> {
    let map = MappedFile::open(path).map_err(ModelError::read(path))?;
    let (header_bytes, metadata) =
        SafeTensors::read_metadata(&map).map_err(|error| ModelError::malformed(path, error))?;
    let data_begin = header_bytes + size_of::<u64>();
    let tensors = metadata.tensors().into_iter().map(|(name, info)| {
        let element = match info.dtype {
            Dtype::F32 => Some(ElementType::F32),
            Dtype::F16 => Some(ElementType::F16),
            Dtype::BF16 => Some(ElementType::BF16),
            _ => None,
        };
        let tensor = StoredTensor {
            file: 0,
            name: name.clone(),
            shape: info.shape.clone(),
            element,
            element_name: format!("{:?}", info.dtype),
            offset: Some((data_begin + info.data_offsets.0) as u64),
        };
        (name, tensor)
    });
    let tensors = tensors.collect();
    Ok((Content::Safetensors(map), tensors))
}

fn torch_of(path: &Path) -> Result<(Content, Tensors), ModelError> {
    let torch = TorchFile::open(path)?;
    let stored = |tensor: &TorchTensor| {
        let element = match tensor.dtype() {
            torch::Dtype::F32 => Some(ElementType::F32),
            torch::Dtype::F16 => Some(ElementType::F16),
            torch::Dtype::BF16 => Some(ElementType::BF16),
            _ => None,
        };
        (element, format!("{:?}", tensor.dtype()), tensor.shape().to_vec(), torch.file_offset(tensor))
    };
    let tensors = torch.tensors().iter().map(|(name, tensor)| {
        let (element, element_name, shape, offset) = stored(tensor);
        (name.clone(), StoredTensor { file: 0, name: name.clone(), shape, element, element_name, offset })
    });
    let tensors = tensors.collect();
    Ok((Content::Torch(Box::new(torch)), tensors))
}

#[cfg(test)]
mod tests {
    use super::find::{INDEX_FILES, SINGLE_FILES};
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
            std::fs::write(folder.path().join(SINGLE_FILES[0]), bytes).unwrap();
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

    #[test]
    fn numbers_are_read_and_found_in_every_precision() {
        let folder = tempfile::tempdir().unwrap();
        let values = [1.5f32, -2.0, 0.25, 3.0, 4.0, -5.0];
        let f16s: Vec<u8> = values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
        let bf16s: Vec<u8> = values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
        let f32s: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        save(
            &folder.path().join(SINGLE_FILES[0]),
            &[("a", Dtype::F16, &[2, 3], &f16s), ("b", Dtype::BF16, &[6], &bf16s), ("c", Dtype::F32, &[2, 3], &f32s)],
        );
        let weights = Weights::open(folder.path()).unwrap();
        assert_eq!(weights.file_names(), [SINGLE_FILES[0]]);
        let read = |part: &Part| weights.floats(part).unwrap();
        assert_eq!(read(&Part::whole("a", &[2, 3])), values);
        assert_eq!(read(&Part::whole("b", &[6])), values);
        assert_eq!(read(&Part::block("c", &[2, 3], 1, 2)), values[3..]);
        let bytes = std::fs::read(folder.path().join(SINGLE_FILES[0])).unwrap();
        let place = weights.place(&Part::block("a", &[2, 3], 1, 2)).unwrap();
        assert_eq!((place.file, place.length, place.element), (SINGLE_FILES[0], 6, ElementType::F16));
        assert_eq!(bytes[place.offset as usize..][..6], f16s[6..]);
        assert_eq!(weights.unused(&[spec("b", &[])]), ["a", "c"]);
    }

    #[test]
    fn all_misfits_are_listed_at_once() {
        let folder = tempfile::tempdir().unwrap();
        save(
            &folder.path().join(SINGLE_FILES[0]),
            &[("a", Dtype::F32, &[1], &[0; 4]), ("b", Dtype::I32, &[1], &[0; 4])],
        );
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
        let index = folder.path().join(INDEX_FILES[0]);
        std::fs::write(&index, r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}"#).unwrap();
        let weights = Weights::open(folder.path()).unwrap();
        assert_eq!(weights.file_names(), [INDEX_FILES[0], "one.safetensors", "two.safetensors"]);
        assert!(weights.check(&[spec("a", &[1]), spec("b", &[1])]).is_ok());

        std::fs::write(&index, r#"{"weight_map": {"a": "../one.safetensors"}}"#).unwrap();
        assert!(matches!(Weights::open(folder.path()), Err(ModelError::Malformed { .. })));
        std::fs::remove_file(&index).unwrap();
        assert!(matches!(Weights::open(folder.path()), Err(ModelError::ManyWeights { .. })));
        std::fs::remove_file(folder.path().join("two.safetensors")).unwrap();
        assert_eq!(Weights::open(folder.path()).unwrap().file_names(), ["one.safetensors"], "the only one");
        let named = Weights::open(&folder.path().join("one.safetensors")).unwrap();
        assert_eq!(named.folder(), folder.path());
        std::fs::remove_file(folder.path().join("one.safetensors")).unwrap();
        assert!(matches!(Weights::open(folder.path()), Err(ModelError::NoWeights { .. })));
    }

    #[test]
    fn older_names_blocks_and_prefixes_are_understood() {
        let folder = tempfile::tempdir().unwrap();
        let names =
            ["bert.layer.0.LayerNorm.gamma", "bert.layer.0.LayerNorm.beta", "bert.layer.10.x", "bert.layers.1.y"];
        let tensors: Vec<_> = names.iter().map(|name| (*name, Dtype::F32, &[1][..], &[0; 4][..])).collect();
        save(&folder.path().join(SINGLE_FILES[0]), &tensors);
        let weights = Weights::open(folder.path()).unwrap();
        assert_eq!(weights.shape("bert.layer.0.LayerNorm.weight"), Some(&[1][..]));
        assert_eq!(weights.floats(&Part::whole("bert.layer.0.LayerNorm.bias", &[1])).unwrap(), [0.0]);
        assert_eq!(weights.count_blocks("bert.layer."), 2);
        assert!(weights.has_prefix("bert.") && !weights.has_prefix("roberta."));
    }

    #[test]
    fn damaged_headers_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SINGLE_FILES[0]);
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
