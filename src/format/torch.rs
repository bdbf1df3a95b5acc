//! Checkpoints of PyTorch, read without running any of what they pickle.
//!
//! Owns the way from a `.pt`, `.pth`, `.ckpt` or `.bin` file to tensors by name and the plain values beside them; knows no
//! model. What a tensor's name means is for [`crate::model`] to say.
//!
//! A checkpoint is a pickle, which is a program, and runs of numbers. Python runs the program; here it is only read
//! (`torch/pickle.rs`), and what it would have called is known by name: a handful of names describe tensors
//! (`torch/rebuild.rs`), those that harm whoever runs them make the file refused (`torch/forbidden.rs`), and all others are
//! objects without a meaning, which may stand anywhere but in the state dict.
//!
//! | file | concern |
//! |---|---|
//! | `archive.rs` | zip archives of PyTorch 1.6 and later, and of TorchScript |
//! | `legacy.rs` | the stream before that |
//! | `pickle.rs`, `literal.rs`, `value.rs` | pickles to plain data |
//! | `storage.rs`, `rebuild.rs`, `tensor.rs` | plain data to tensors, tensors to bytes |
//! | `state.rs`, `settings.rs` | which tensors are the state dict; what else is said |
//!
//! The file is mapped and only its pickle read, so that opening costs the same for any size of the weights, and tensors are
//! borrowed from it. A pickle that sets out to take memory gets less than 512 MiB.

mod archive;
mod error;
mod forbidden;
mod legacy;
mod literal;
mod pickle;
mod rebuild;
mod settings;
mod state;
mod storage;
mod tensor;
mod value;

pub use error::TorchError;
pub use tensor::{Dtype, TorchTensor};

use super::mapped::MappedFile;
use std::{borrow::Cow, collections::BTreeMap, io, path::Path};

/// An open checkpoint.
#[derive(Debug)]
pub struct TorchFile {
    map: MappedFile,
    tensors: BTreeMap<String, TorchTensor>,
    settings: serde_json::Value,
}

impl TorchFile {
    /// Maps a checkpoint and reads what it says of its tensors.
    ///
    /// The state dict is the root, if all of its values are tensors, or else its entry `state_dict`, `model`,
    /// `model_state_dict` or `module`; of a TorchScript archive it is the module with all of its submodules. Whoever has used their
    /// numbers asks [`TorchFile::assert_whole`] whether they were the file's.
    ///
    /// # Errors
    /// The file cannot be read, is no checkpoint or a damaged one, holds no state dict or one with objects in it, describes a
    /// tensor that is not inside the file, or names a callable that would harm whoever unpickles it.
    pub fn open(path: &Path) -> Result<Self, TorchError> {
        let map = MappedFile::open(path).map_err(TorchError::read(path))?;
        let (values, places) = if map.starts_with(archive::MAGIC) {
            let contents = archive::read_archive(&map, path)?;
            (pickle::read_pickle(contents.pickle, path)?.0, contents.places)
        } else {
            legacy::read_stream(&map, path)?
        };
        let state = state::read_state(&values, &places, map.len(), path)?;
        let settings = settings::read_settings(&values, state.entry, path)?;
        drop(values);
        Ok(Self { map, tensors: state.tensors, settings })
    }

    /// Fails if not all that was read was the file's.
    ///
    /// # Errors
    /// The file was cut short or grew since it was opened.
    pub fn assert_whole(&self) -> io::Result<()> {
        self.map.assert_whole()
    }

    /// The tensors of the state dict by dotted name, in order of name.
    pub fn tensors(&self) -> &BTreeMap<String, TorchTensor> {
        &self.tensors
    }

    /// The bytes of one of this file's tensors in C order: borrowed where they stand so in the file, else gathered.
    ///
    /// # Panics
    /// The tensor is of another, larger file.
    pub fn bytes(&self, tensor: &TorchTensor) -> Cow<'_, [u8]> {
        tensor.gather(&self.map)
    }

    /// Where in the file a tensor's bytes stand, if they do in C order.
    pub fn file_offset(&self, tensor: &TorchTensor) -> Option<u64> {
        tensor.is_contiguous().then_some(tensor.start as u64)
    }

    /// Bytes of the file, if it has so many.
    pub fn file_bytes(&self, offset: u64, length: u64) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        self.map.get(start..start.checked_add(usize::try_from(length).ok()?)?)
    }

    /// The plain values beside the state dict, such as hyper-parameters.
    ///
    /// Objects, tensors, bytes and numbers that are not finite are absent; in a list null keeps their place.
    pub fn settings(&self) -> &serde_json::Value {
        &self.settings
    }
}
