//! The stream that PyTorch wrote before 1.6, and still writes on demand: pickles one behind the other, then the storages.
//!
//! Owns the order of the parts; knows nothing of what the pickled objects mean but which storages they name.

use super::{
    error::TorchError,
    pickle::read_pickle,
    storage::{Places, Storage},
    value::{Value, Values},
};
use std::{collections::HashMap, path::Path};

/// The integer that the first pickle is, by `torch.serialization`.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;

/// The integer that the second is.
const PROTOCOL: i128 = 1001;

/// Reads the pickle of the objects, and finds the storages behind it.
pub(super) fn read_stream<'a>(file: &'a [u8], path: &'a Path) -> Result<(Values<'a>, Places), TorchError> {
    let mut at = 0;
    let mut next = |what: &str| {
        let rest = file.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return Err(TorchError::damaged(path, format!("it ends before its {what}")));
        }
        let (values, length) = read_pickle(rest, path)?;
        at += length;
        Ok((values, at))
    };
    let (magic, _) = next("magic number").map_err(|error| match error {
        TorchError::Pickle { .. } | TorchError::Damaged { .. } => not_torch(file, path),
        other => other,
    })?;
    if !matches!(magic.get(magic.root()), Value::Int(MAGIC)) {
        return Err(not_torch(file, path));
    }
    let (protocol, _) = next("protocol")?;
    if !matches!(protocol.get(protocol.root()), Value::Int(PROTOCOL)) {
        return Err(TorchError::damaged(path, format!("its protocol is not {PROTOCOL}")));
    }
    let (system, _) = next("description of the system")?;
    let items = system.mapping(system.root()).unwrap_or_default();
    if let Some(order) = system.entry(items, "little_endian")
        && !matches!(system.get(order), Value::Bool(true))
    {
        return Err(TorchError::BigEndian { path: path.to_owned() });
    }
    let (objects, _) = next("objects")?;
    let (keys, end) = next("list of storages")?;
    let places = places(file, end, &objects, &keys, path)?;
    Ok((objects, places))
}

/// The storages: for each key, in order, a count of elements and the elements.
fn places(
    file: &[u8],
    mut at: usize,
    objects: &Values<'_>,
    keys: &Values<'_>,
    path: &Path,
) -> Result<Places, TorchError> {
    let mut widths = HashMap::new();
    for id in objects.persistent() {
        // What is wrong with a storage is told by the first tensor in it.
        if let Ok(storage) = Storage::read(objects, id) {
            widths.insert(storage.key, storage.width());
        }
    }
    let Some(listed) = keys.sequence(keys.root()) else {
        return Err(TorchError::damaged(path, "its list of storages is no list"));
    };
    let mut places = Places::default();
    for &key in listed {
        let Some(key) = keys.text(key) else {
            return Err(TorchError::damaged(path, "its list of storages holds something else than texts"));
        };
        let Some(&width) = widths.get(key) else {
            return Err(TorchError::damaged(path, format!("its storage `{key}` is of no known type")));
        };
        let cut = || TorchError::damaged(path, format!("it ends inside of storage `{key}`"));
        let (count, rest) = file.get(at..).and_then(|rest| rest.split_first_chunk()).ok_or_else(cut)?;
        let size_bytes = u64::from_le_bytes(*count).checked_mul(width).filter(|&size| size <= rest.len() as u64);
        let size_bytes = size_bytes.ok_or_else(cut)?;
        let start = (at + count.len()) as u64;
        places.insert(key.to_owned(), start..start + size_bytes);
        at = usize::try_from(start + size_bytes).expect("inside of the file");
    }
    Ok(places)
}

fn not_torch(file: &[u8], path: &Path) -> TorchError {
    let found = match file {
        [] => "empty".to_owned(),
        _ if file.starts_with(b"version https://git-lfs") => {
            "a pointer of Git LFS, whose file `git lfs pull` fetches".to_owned()
        }
        _ if file.trim_ascii_start().starts_with(b"<") => "a page of text, as a failed download leaves".to_owned(),
        _ if file.get(257..262) == Some(b"ustar") => "a tar archive, as PyTorch wrote before 0.2".to_owned(),
        _ if file.get(8..10) == Some(b"{\"") => "a file of safetensors".to_owned(),
        _ if file.first() == Some(&0x80) => "a pickle that PyTorch did not write".to_owned(),
        _ => "of another format".to_owned(),
    };
    TorchError::NotTorch { path: path.to_owned(), found }
}
