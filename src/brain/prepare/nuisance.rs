//! Ready-made groups of confounds, by the names that fMRIPrep gives its columns.
//!
//! Owns which columns a group stands for: those that `nilearn.interfaces.fmriprep.load_confounds` takes for the same
//! strategy. Motion, tissue and global signals go by their names. CompCor components go by the JSON file beside the
//! table, which says of each from which mask it comes and whether it was kept: since fMRIPrep 21 the masks also have
//! prefixes of their own (`w_`, `c_`), before that all anatomical components were called `a_comp_cor_…`.
//!
//! Where nilearn silently takes nothing (no cosine column, no component of the mask), this is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::PrepareError;
use super::settings::{Compcor, CompcorMethod, Expansion, Nuisance};
use crate::format::memory::read_within;
use crate::format::motion::MOTION_COLUMNS;
use crate::format::tsv::Table;

/// No description of a table of confounds is longer; a thousand components take some hundred kilobytes.
const MAX_SIDECAR_BYTES: u64 = 16 << 20;
const TISSUES: [&str; 2] = ["csf", "white_matter"];
const GLOBAL: [&str; 1] = ["global_signal"];

/// The JSON file that describes a confounds table: the same name with another ending.
pub fn sidecar_path(table: &Path) -> PathBuf {
    table.with_extension("json")
}

/// The names of the columns that the groups stand for; reads the JSON file beside the table if it is needed.
///
/// # Errors
/// If a column of a group is not in the table, the JSON file is needed and not readable, or it describes no component
/// of the kind asked for.
pub fn columns(table: &Table, nuisance: &Nuisance) -> Result<BTreeSet<String>, PrepareError> {
    let mut chosen = BTreeSet::new();
    let signals: [(&'static str, &[&str], Option<Expansion>); 3] = [
        ("motion", &MOTION_COLUMNS, nuisance.motion),
        ("wm_csf", &TISSUES, nuisance.wm_csf),
        ("global_signal", &GLOBAL, nuisance.global_signal),
    ];
    for (group, signals, expansion) in signals {
        let Some(expansion) = expansion else { continue };
        let wanted = signals.iter().flat_map(|signal| expanded(signal, expansion)).collect();
        chosen.extend(present(table, group, wanted)?);
    }
    if nuisance.fmriprep_cosines {
        let cosines: Vec<String> = table.columns().iter().filter(|name| name.contains("cosine")).cloned().collect();
        if cosines.is_empty() {
            let (path, missing) = (table.path().to_owned(), vec!["`cosine…`".to_owned()]);
            return Err(PrepareError::NoNuisance { path, group: "fmriprep_cosines", missing });
        }
        chosen.extend(cosines);
    }
    if let Some(compcor) = &nuisance.compcor {
        let path = sidecar_path(table.path());
        let components = components(&path, &read_sidecar(&path)?, compcor)?;
        chosen.extend(present(table, "compcor", components)?);
    }
    Ok(chosen)
}

fn expanded(signal: &str, expansion: Expansion) -> Vec<String> {
    let suffixes: &[&str] = match expansion {
        Expansion::Basic => &[""],
        Expansion::Derivatives => &["", "_derivative1"],
        Expansion::Power2 => &["", "_power2"],
        Expansion::Full => &["", "_derivative1", "_power2", "_derivative1_power2"],
    };
    suffixes.iter().map(|suffix| format!("{signal}{suffix}")).collect()
}

fn present(table: &Table, group: &'static str, wanted: Vec<String>) -> Result<Vec<String>, PrepareError> {
    let is_missing = |name: &&String| table.position(name).is_none();
    let missing: Vec<String> = wanted.iter().filter(is_missing).map(|name| format!("`{name}`")).collect();
    match missing.is_empty() {
        true => Ok(wanted),
        false => Err(PrepareError::NoNuisance { path: table.path().to_owned(), group, missing }),
    }
}

/// What the JSON file says of a column.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    mask: Option<String>,
    method: Option<String>,
    retained: Option<bool>,
}

fn read_sidecar(path: &Path) -> Result<BTreeMap<String, Description>, PrepareError> {
    let wrong = |reason: String| PrepareError::Sidecar { path: path.to_owned(), reason };
    let text = read_within(path, MAX_SIDECAR_BYTES).map_err(|error| wrong(error.to_string()))?;
    // Entries that are no tables describe something else than a column.
    let entries: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    Ok(entries.into_iter().filter_map(|(name, entry)| Some((name, serde_json::from_value(entry).ok()?))).collect())
}

/// A set of components that are numbered together: the letter before `_comp_cor_`, the mask where the letter leaves it
/// open, and its name in words.
type Origin = (char, Option<&'static str>, &'static str);

const COMBINED: Origin = ('a', Some("combined"), "white matter and cerebrospinal fluid together");
const TEMPORAL: Origin = ('t', None, "the voxels that vary most");
const APART: [Origin; 4] = [
    ('a', Some("WM"), "white matter"),
    ('a', Some("CSF"), "cerebrospinal fluid"),
    ('w', None, "white matter"),
    ('c', None, "cerebrospinal fluid"),
];

fn components(
    path: &Path,
    descriptions: &BTreeMap<String, Description>,
    compcor: &Compcor,
) -> Result<Vec<String>, PrepareError> {
    // Each group must have a component: of the masks apart, under the old names or the new.
    let groups: &[&[Origin]] = match compcor.method {
        CompcorMethod::AnatCombined => &[&[COMBINED]],
        CompcorMethod::AnatSeparated => &[&[APART[0], APART[2]], &[APART[1], APART[3]]],
        CompcorMethod::Temporal => &[&[TEMPORAL]],
        CompcorMethod::TemporalAnatCombined => &[&[TEMPORAL], &[COMBINED]],
        CompcorMethod::TemporalAnatSeparated => &[&[TEMPORAL], &[APART[0], APART[2]], &[APART[1], APART[3]]],
    };
    let mut chosen = Vec::new();
    for group in groups {
        let before = chosen.len();
        for origin in *group {
            let numbered = numbered(descriptions, origin);
            chosen.extend(numbered.into_iter().take(compcor.n.unwrap_or(usize::MAX)).map(|(_, name)| name.to_owned()));
        }
        if chosen.len() == before {
            return Err(PrepareError::NoComponents { path: path.to_owned(), mask: group[0].2 });
        }
    }
    Ok(chosen)
}

/// The kept components of one origin in the order of their numbers, which is the order of the variance they explain.
fn numbered<'a>(descriptions: &'a BTreeMap<String, Description>, origin: &Origin) -> Vec<(u32, &'a str)> {
    let (letter, mask, _) = *origin;
    let method = if letter == 't' { "tCompCor" } else { "aCompCor" };
    let number = |name: &str| name.strip_prefix(letter)?.strip_prefix("_comp_cor_")?.parse::<u32>().ok();
    let fits = |description: &Description| {
        description.retained.unwrap_or(true)
            && description.method.as_deref().is_none_or(|found| found == method)
            && mask.is_none_or(|mask| description.mask.as_deref() == Some(mask))
    };
    let mut found: Vec<(u32, &str)> = descriptions
        .iter()
        .filter(|(_, description)| fits(description))
        .filter_map(|(name, _)| Some((number(name)?, name.as_str())))
        .collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A table and its description in a folder: components are (name, mask, kept).
    fn folder(components: &[(&str, &str, bool)]) -> (tempfile::TempDir, Table) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confounds.tsv");
        let names: Vec<&str> = components.iter().filter(|(_, _, kept)| *kept).map(|(name, _, _)| *name).collect();
        let zeros = vec!["0"; names.len() + 2].join("\t");
        std::fs::write(&path, format!("csf\twhite_matter\t{}\n{zeros}\n", names.join("\t"))).unwrap();
        let entry = |(name, mask, kept): &(&str, &str, bool)| {
            let method = if name.starts_with('t') { "tCompCor" } else { "aCompCor" };
            format!(r#""{name}": {{"Mask": "{mask}", "Method": "{method}", "Retained": {kept}}}"#)
        };
        let entries: Vec<String> = components.iter().map(entry).collect();
        std::fs::write(sidecar_path(&path), format!("{{{}, \"Sources\": []}}", entries.join(","))).unwrap();
        let table = Table::read(&path).unwrap();
        (folder, table)
    }

    fn compcor(table: &Table, method: CompcorMethod, n: Option<usize>) -> Result<Vec<String>, PrepareError> {
        let nuisance = Nuisance { compcor: Some(Compcor { method, n }), ..Nuisance::default() };
        columns(table, &nuisance).map(|names| names.into_iter().collect())
    }

    #[test]
    fn components_go_by_mask_number_and_retention() {
        let (_folder, table) = folder(&[
            ("a_comp_cor_100", "WM", true),
            ("a_comp_cor_09", "WM", true),
            ("a_comp_cor_02", "WM", false),
            ("a_comp_cor_00", "CSF", true),
            ("a_comp_cor_01", "combined", true),
            ("t_comp_cor_00", "", true),
        ]);
        let of = |method, n| compcor(&table, method, n).unwrap();
        assert_eq!(of(CompcorMethod::AnatSeparated, Some(1)), ["a_comp_cor_00", "a_comp_cor_09"]);
        assert_eq!(of(CompcorMethod::AnatSeparated, None).len(), 3);
        assert_eq!(of(CompcorMethod::AnatCombined, Some(9)), ["a_comp_cor_01"]);
        assert_eq!(of(CompcorMethod::TemporalAnatCombined, Some(1)), ["a_comp_cor_01", "t_comp_cor_00"]);
    }

    #[test]
    fn masks_with_prefixes_of_their_own_count_each() {
        let (_folder, table) = folder(&[
            ("w_comp_cor_00", "WM", true),
            ("w_comp_cor_01", "WM", true),
            ("c_comp_cor_00", "CSF", true),
            ("a_comp_cor_00", "combined", true),
        ]);
        let found = compcor(&table, CompcorMethod::AnatSeparated, Some(1)).unwrap();
        assert_eq!(found, ["c_comp_cor_00", "w_comp_cor_00"]);
        let error = compcor(&table, CompcorMethod::Temporal, None).unwrap_err().to_string();
        assert!(error.ends_with("no component of the voxels that vary most: choose another `nuisance.compcor.method`"));
    }

    #[test]
    fn missing_and_broken_descriptions_say_what_they_are_for() {
        let (folder, table) = folder(&[("a_comp_cor_00", "combined", true)]);
        let path = sidecar_path(table.path());
        for text in ["{", "[]", "{\"a\": NaN}", "\u{0}"] {
            std::fs::write(&path, text).unwrap();
            let error = compcor(&table, CompcorMethod::AnatCombined, None).unwrap_err();
            assert!(matches!(error, PrepareError::Sidecar { .. }), "{text}: {error}");
        }
        std::fs::remove_file(&path).unwrap();
        let error = compcor(&table, CompcorMethod::AnatCombined, None).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{}`", folder.path().join("confounds.json").display())), "{error}");
        assert!(error.contains("`nuisance.compcor` needs it to tell the components apart"), "{error}");
    }

    #[test]
    fn columns_that_are_not_there_are_listed() {
        let (_folder, table) = folder(&[("a_comp_cor_00", "combined", true)]);
        let message = |nuisance: Nuisance| columns(&table, &nuisance).unwrap_err().to_string();
        let tissues = Nuisance { wm_csf: Some(Expansion::Power2), ..Nuisance::default() };
        assert!(message(tissues).contains("lacks columns of `nuisance.wm_csf`: `csf_power2`, `white_matter_power2`;"));
        let cosines = Nuisance { fmriprep_cosines: true, ..Nuisance::default() };
        assert!(message(cosines).contains("lacks columns of `nuisance.fmriprep_cosines`: `cosine…`;"));
        std::fs::write(
            sidecar_path(table.path()),
            r#"{"a_comp_cor_00": {"Mask": "combined"}, "a_comp_cor_01": {"Mask": "combined"}}"#,
        )
        .unwrap();
        let compcor = Some(Compcor { method: CompcorMethod::AnatCombined, n: None });
        assert!(message(Nuisance { compcor, ..Nuisance::default() }).contains("`nuisance.compcor`: `a_comp_cor_01`;"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_description_panic(position in 0_usize..400, byte: u8) {
            let (_folder, table) = folder(&[("a_comp_cor_00", "WM", true), ("a_comp_cor_01", "combined", true)]);
            let path = sidecar_path(table.path());
            let mut bytes = std::fs::read(&path).unwrap();
            let position = position % bytes.len();
            bytes[position] = byte;
            std::fs::write(&path, bytes).unwrap();
            drop(compcor(&table, CompcorMethod::AnatCombined, Some(1)));
        }
    }
}
