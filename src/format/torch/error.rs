//! What can go wrong with a checkpoint of PyTorch, and its wording.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// An error of a file that PyTorch wrote, or that claims so.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// The file could not be read.
    #[error("`{}` could not be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// The file is something else.
    #[error("`{}` is {found}: expected a checkpoint that `torch.save` or `torch.jit.save` wrote", path.display())]
    NotTorch {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        found: String,
    },

    /// The archive is damaged, or not laid out as PyTorch does.
    #[error("`{}` is no whole checkpoint: {message}; copy or download it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },

    /// An entry of the archive is compressed.
    #[error("entry `{entry}` of `{}` is compressed: expected it as it is, which is how PyTorch stores all entries", path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
        /// The entry.
        entry: String,
    },

    /// The numbers are in the order of bytes that hardly any machine uses.
    #[error("`{}` holds big-endian numbers: expected little-endian ones; save it anew on a little-endian machine", path.display())]
    BigEndian {
        /// The file.
        path: PathBuf,
    },

    /// The file names code that has no place among weights.
    #[error(
        "`{}` is refused: this file would run `{callable}` in a program that unpickles it; \
         get the weights from a source that you trust, as `.safetensors` if it has them",
        path.display()
    )]
    Forbidden {
        /// The file.
        path: PathBuf,
        /// The callable's module and name.
        callable: String,
    },

    /// The pickled description of the tensors is malformed.
    #[error("`{}` is not valid: byte {offset} of its pickle {message}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Bytes from the start of the pickle.
        offset: usize,
        /// What is wrong there.
        message: String,
    },

    /// An object stands where a tensor was expected.
    #[error(
        "entry `{entry}` of the state dict in `{}` is an object of `{class}`: expected a tensor; \
         save the model's `state_dict()` alone",
        path.display()
    )]
    Object {
        /// The file.
        path: PathBuf,
        /// The entry's dotted name.
        entry: String,
        /// The object's class.
        class: String,
    },

    /// The file holds a whole program object, which only its own program can read.
    #[error("`{}` holds an object of `{class}`: expected a state dict; save the model's `state_dict()` instead of the model", path.display())]
    WholeObject {
        /// The file.
        path: PathBuf,
        /// The object's class.
        class: String,
    },

    /// The file holds plain values, but no tensors where they are looked for.
    #[error(
        "`{}` holds no state dict: it has {found}, but expected tensors by name, or a dict of them \
         as `state_dict`, `model`, `model_state_dict` or `module`",
        path.display()
    )]
    NoStateDict {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: String,
    },

    /// A tensor's description contradicts itself or the file.
    #[error("tensor `{entry}` of `{}` {message}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's dotted name.
        entry: String,
        /// What is wrong.
        message: String,
    },

    /// The file asks for more than any honest one does.
    #[error("`{}` has {what}: expected at most {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What there is too much of.
        what: String,
        /// The most that is read.
        limit: usize,
    },
}

impl TorchError {
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    pub(super) fn damaged(path: &Path, message: impl fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), message: message.to_string() }
    }

    pub(super) fn tensor(path: &Path, entry: &str, message: impl Into<String>) -> Self {
        Self::Tensor { path: path.to_owned(), entry: entry.to_owned(), message: message.into() }
    }

    pub(super) fn too_large(path: &Path, what: impl Into<String>, limit: usize) -> Self {
        Self::TooLarge { path: path.to_owned(), what: what.into(), limit }
    }
}
