//! The fields of a study file as flat text: what two studies, or one study at two times, are compared by.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::Change;

/// Every value of a TOML text by its path, as `encoding.ridge.alphas`: lists in one piece, as a person edits them. Text that
/// is no TOML has none.
pub(super) fn written_fields(text: &str) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    if let Ok(table) = text.parse::<toml::Table>() {
        flatten("", &table, &mut fields);
    }
    fields
}

fn flatten(path: &str, table: &toml::Table, fields: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            // An empty table can switch something on, so it is a field too.
            toml::Value::Table(table) if !table.is_empty() => flatten(&inner, table, fields),
            value => drop(fields.insert(inner, value.to_string())),
        }
    }
}

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
    fn fields_are_flat_and_differences_have_both_values() {
        let old = written_fields("[a]\nb = [1, 2]\nc = 'x'\n[d]\n");
        assert_eq!(old, [("a.b", "[1, 2]"), ("a.c", "\"x\""), ("d", "{}")].map(|(k, v)| (k.into(), v.into())).into());
        let new = written_fields("# words\n[a]\nc = \"x\"\nb = [1, 3]\n");
        let told: Vec<String> = differing(&old, &new).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["a.b [1, 2] -> [1, 3]", "d {} (gone)"]);
        assert_eq!(differing(&old, &old), []);
        assert_eq!(written_fields("a = "), BTreeMap::new());
    }
}
