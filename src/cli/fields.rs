//! Fields by path on two sides: what of them is not alike.

use crate::plan::Change;
use std::collections::{BTreeMap, BTreeSet};

/// Fields that are not alike, in order of their paths.
pub(super) fn differing(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Change> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let change =
        |name: &String| Change { field: name.clone(), old: old.get(name).cloned(), new: new.get(name).cloned() };
    names.into_iter().filter(|name| old.get(*name) != new.get(*name)).map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_both_values() {
        let fields = |fields: &[(&str, &str)]| -> BTreeMap<String, String> {
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let old = fields(&[("a.b[0]", "1"), ("a.c", "x"), ("d", "{}")]);
        let new = fields(&[("a.b[0]", "2"), ("a.c", "x"), ("e", "y")]);
        let told: Vec<String> = differing(&old, &new).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["a.b[0] 1 -> 2", "d {} (gone)", "e y (new)"]);
        assert_eq!(differing(&old, &old), []);
    }
}
