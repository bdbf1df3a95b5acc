//! Which values of a checkpoint are its state dict, and the tensors in it by dotted name.
//!
//! Owns the search and the walk; what a tensor is, is `rebuild.rs`'s matter, and what stands beside the state dict is
//! `settings.rs`'s.

use super::{
    error::TorchError,
    rebuild::tensor_recipe,
    settings::is_plain,
    storage::Places,
    tensor::TorchTensor,
    value::{Id, Value, Values},
};
use std::{collections::BTreeMap, path::Path};

/// Where checkpoints keep their state dict, if they are not it.
const ENTRIES: [&str; 4] = ["state_dict", "model", "model_state_dict", "module"];

/// Modules inside of each other.
const MOST_LEVELS: usize = 64;

/// Values that are looked at. A state dict that shares parts of itself is told from one that only says so many times.
const MOST_VISITS: usize = 1 << 18;

/// Bytes of all tensors' names together.
const MOST_NAME_BYTES: usize = 1 << 26;

/// The state dict of a checkpoint.
pub(super) struct State {
    pub(super) tensors: BTreeMap<String, TorchTensor>,
    /// The entry of the root that it is; absent if it is the root itself.
    pub(super) entry: Option<&'static str>,
}

/// Finds the state dict and reads its tensors.
pub(super) fn read_state(
    values: &Values<'_>,
    places: &Places,
    file_bytes: usize,
    path: &Path,
) -> Result<State, TorchError> {
    let (state, entry) = find(values, path)?;
    let walk = Walk { values, places, file_bytes, path, visits_left: MOST_VISITS, name_bytes_left: MOST_NAME_BYTES };
    let tensors = walk.tensors(state)?;
    if tensors.is_empty() {
        return Err(no_state(values, path));
    }
    Ok(State { tensors, entry })
}

fn find(values: &Values<'_>, path: &Path) -> Result<(Id, Option<&'static str>), TorchError> {
    let root = values.root();
    let is_tensor = |id: Id| tensor_recipe(values, id).is_some();
    let Some(items) = values.mapping(root) else {
        return Err(match values.get(root) {
            Value::Call(_) if !is_tensor(root) => {
                TorchError::WholeObject { path: path.to_owned(), class: values.class(root) }
            }
            _ => no_state(values, path),
        });
    };
    let is_module = |id: Id| matches!(values.call(id), Some(((module, _), _)) if module.starts_with("__torch__"));
    if is_module(root) || (!items.is_empty() && items.iter().all(|&(_, value)| is_tensor(value))) {
        return Ok((root, None));
    }
    let named = || ENTRIES.iter().filter_map(|&name| Some((values.entry(items, name)?, Some(name))));
    let holds_tensors = |id: Id| {
        let items = values.mapping(id).unwrap_or_default();
        items.iter().any(|&(_, value)| is_tensor(value))
    };
    let holds_more = |id: Id| values.mapping(id).is_some_and(|items| !items.is_empty());
    Ok(named()
        .find(|&(id, _)| holds_tensors(id))
        .or_else(|| holds_tensors(root).then_some((root, None)))
        .or_else(|| named().find(|&(id, _)| holds_more(id)))
        .unwrap_or((root, None)))
}

fn no_state(values: &Values<'_>, path: &Path) -> TorchError {
    const SHOWN: usize = 8;
    let root = values.root();
    let found = match values.mapping(root) {
        Some([]) => "an empty dict".to_owned(),
        Some(items) => {
            let short =
                |&(key, _): &(Id, Id)| Some(format!("`{}`", values.text(key)?.chars().take(64).collect::<String>()));
            let names: Vec<String> = items.iter().filter_map(short).take(SHOWN).collect();
            format!("a dict of {} entries {}", items.len(), names.join(", "))
        }
        None if tensor_recipe(values, root).is_some() => "one tensor without a name".to_owned(),
        None => format!("a value of type {}", values.get(root).kind()),
    };
    TorchError::NoStateDict { path: path.to_owned(), found }
}

struct Walk<'w, 'a> {
    values: &'w Values<'a>,
    places: &'w Places,
    file_bytes: usize,
    path: &'w Path,
    visits_left: usize,
    name_bytes_left: usize,
}

impl Walk<'_, '_> {
    fn tensors(mut self, state: Id) -> Result<BTreeMap<String, TorchTensor>, TorchError> {
        let mut tensors = BTreeMap::new();
        // Values that are yet to be looked at, with their names and levels. The last is next, and of two with one name the
        // later counts, as in Python: so they are put here in reverse and the first to come stays out.
        let mut waiting = vec![(String::new(), state, 0)];
        while let Some((name, id, level)) = waiting.pop() {
            if let Some(recipe) = tensor_recipe(self.values, id) {
                let tensor = recipe.tensor(self.values, self.places, self.file_bytes);
                let tensor = tensor.map_err(|message| TorchError::tensor(self.path, &name, message))?;
                tensors.insert(name, tensor);
                continue;
            }
            if let Some(items) = self.values.mapping(id) {
                self.enter(items.len(), level)?;
                for &(key, value) in items.iter().rev() {
                    let key = match self.values.get(key) {
                        Value::Text(text) => text.to_string(),
                        Value::Int(number) => number.to_string(),
                        other => format!("{} key", other.kind()),
                    };
                    waiting.push((self.name(&name, &key)?, value, level + 1));
                }
            } else if let Some(entries) = self.values.sequence(id) {
                self.enter(entries.len(), level)?;
                for (place, &value) in entries.iter().enumerate().rev() {
                    waiting.push((self.name(&name, &place.to_string())?, value, level + 1));
                }
            } else if !is_plain(self.values, id) {
                let class = self.values.class(id);
                return Err(TorchError::Object { path: self.path.to_owned(), entry: name, class });
            }
        }
        Ok(tensors)
    }

    fn enter(&mut self, n_values: usize, level: usize) -> Result<(), TorchError> {
        if level >= MOST_LEVELS {
            return Err(TorchError::too_large(self.path, "a state dict of more levels", MOST_LEVELS));
        }
        let left = self.visits_left.checked_sub(n_values);
        self.visits_left =
            left.ok_or_else(|| TorchError::too_large(self.path, "a state dict of more entries", MOST_VISITS))?;
        Ok(())
    }

    fn name(&mut self, prefix: &str, key: &str) -> Result<String, TorchError> {
        let left = self.name_bytes_left.checked_sub(prefix.len() + 1 + key.len());
        self.name_bytes_left =
            left.ok_or_else(|| TorchError::too_large(self.path, "tensor names of more bytes", MOST_NAME_BYTES))?;
        Ok(if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") })
    }
}
