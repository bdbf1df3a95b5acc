//! Two results of one task against each other, file by file.
//!
//! Which readers compare a file follows from its name, as tasks give them; what no reader takes is compared byte by byte.

use super::{arrays, spread, spread::Deviation, texts};
use crate::store::{StoreError, hash_file};
use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

/// How two results that are not byte for byte the same differ.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Compared {
    /// In numbers only, and nowhere more than this.
    Numbers(Deviation),
    /// In more than the tolerance allows, here for one.
    Other(Deviation),
}

/// Compares two folders; `tolerance` is how far numbers may be apart, in parts of the largest of their column or array.
///
/// # Errors
/// If a folder or a file cannot be read.
pub(super) fn folders(expected: &Path, found: &Path, tolerance: f64) -> Result<Compared, StoreError> {
    let (one, two) = (listed(expected)?, listed(found)?);
    let mut worst: Option<Deviation> = None;
    let mut put = |deviation: Deviation| {
        worst = Some(match worst.take() {
            None => deviation,
            Some(before) => before.worse(deviation),
        });
    };
    for file in one.union(&two) {
        let told = spread::printable(file);
        if !(one.contains(file) && two.contains(file)) {
            let there = |files: &BTreeSet<String>| if files.contains(file) { "there" } else { "missing" }.to_owned();
            put(Deviation {
                file: told,
                place: String::new(),
                expected: there(&one),
                found: there(&two),
                relative: None,
            });
            continue;
        }
        let (one, two) = (expected.join(file), found.join(file));
        if hash_file(&one)? == hash_file(&two)? {
            continue;
        }
        let numbers = by_name(file).and_then(|compare| compare(&one, &two, &told).ok());
        let deviation = match numbers {
            Some(Some(deviation)) => Some(deviation),
            // Not what its name says, or the same values written otherwise: its bytes differ all the same.
            _ => arrays::bytes(&one, &two, &told).map_err(|source| StoreError::Io {
                action: "read",
                path: two,
                source,
            })?,
        };
        deviation.into_iter().for_each(&mut put);
    }
    let nothing = || Deviation {
        file: String::new(),
        place: "its list of files".to_owned(),
        expected: "another digest".to_owned(),
        found: "equal files".to_owned(),
        relative: None,
    };
    let worst = worst.unwrap_or_else(nothing);
    Ok(match worst.relative {
        Some(relative) if relative <= tolerance => Compared::Numbers(worst),
        _ => Compared::Other(worst),
    })
}

type Comparison = fn(&Path, &Path, &str) -> io::Result<Option<Deviation>>;

/// What compares files of this name by their numbers.
fn by_name(file: &str) -> Option<Comparison> {
    let known: [(&[&str], Comparison); 4] = [
        (&[".npy"], arrays::matrices),
        (&[".nii.gz", ".nii"], arrays::images),
        (&[".tsv"], texts::tables),
        (&[".json"], texts::documents),
    ];
    let (_, compare) = known.into_iter().find(|(endings, _)| endings.iter().any(|ending| file.ends_with(ending)))?;
    Some(compare)
}

/// Paths of the files of a folder, from it, with `/`; what is no file counts as none.
pub(super) fn listed(folder: &Path) -> Result<BTreeSet<String>, StoreError> {
    let unread = |path: &Path, source| StoreError::Io { action: "read", path: path.to_owned(), source };
    let mut files = BTreeSet::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.map_err(|error| {
            let path = error.path().map_or_else(|| folder.to_owned(), PathBuf::from);
            unread(&path, error.into())
        })?;
        if entry.file_type().is_file() {
            let inside = entry.path().strip_prefix(folder).expect("walked from this folder");
            let parts = inside.components().map(|part| part.as_os_str().to_string_lossy());
            files.insert(parts.collect::<Vec<_>>().join("/"));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn compared(one: &[(&str, &str)], two: &[(&str, &str)], tolerance: f64) -> Compared {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, files) in [("one", one), ("two", two)] {
            fs::create_dir_all(folder.path().join(name).join("inner")).expect("writable");
            for (file, text) in files {
                fs::write(folder.path().join(name).join(file), text).expect("writable");
            }
        }
        folders(&folder.path().join("one"), &folder.path().join("two"), tolerance).expect("readable")
    }

    #[test]
    fn numbers_are_within_their_tolerance_or_not() {
        let (one, two) = ([("inner/a.tsv", "r\n1.0\n"), ("b", "same")], [("inner/a.tsv", "r\n1.01\n"), ("b", "same")]);
        let Compared::Numbers(within) = compared(&one, &two, 0.02) else { panic!("it is within") };
        assert_eq!((within.file.as_str(), within.place.as_str()), ("inner/a.tsv", "row 1, column `r`"));
        assert!(matches!(compared(&one, &two, 0.001), Compared::Other(_)));
        assert!(matches!(compared(&one, &two, 0.0), Compared::Other(_)));
    }

    #[test]
    fn what_is_no_number_is_told_before_any_distance() {
        let of = |one: &[(&str, &str)], two: &[(&str, &str)]| match compared(one, two, 0.5) {
            Compared::Other(deviation) => (deviation.file, deviation.place, deviation.expected, deviation.found),
            Compared::Numbers(deviation) => panic!("{deviation:?}"),
        };
        let told = |file: &str, place: &str, one: &str, two: &str| {
            (file.to_owned(), place.to_owned(), one.to_owned(), two.to_owned())
        };
        let (a, far) = (("a.tsv", "r\n1.0\n"), ("a.tsv", "r\n1.1\n"));
        assert_eq!(of(&[a, ("b.png", "one")], &[far, ("b.png", "two")]), told("b.png", "byte 0", "0x6f", "0x74"));
        assert_eq!(of(&[a, ("b.png", "one")], &[far]), told("b.png", "", "there", "missing"));
        assert_eq!(of(&[a], &[far, ("b.png", "one")]), told("b.png", "", "missing", "there"));
        // A name that promises more than the file holds, and a document that is written otherwise.
        assert_eq!(of(&[("a.json", "{"), a], &[("a.json", "}"), a]), told("a.json", "byte 0", "0x7b", "0x7d"));
        assert_eq!(of(&[("a.json", "[1]")], &[("a.json", "[ 1]")]), told("a.json", "byte 1", "0x31", "0x20"));
    }
}
