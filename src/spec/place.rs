//! Where a path leads, by its letters alone: whether it stays in a folder, and the way from a folder to it.

use std::path::{Component, Path, PathBuf};

/// The path from the root, without `.` and `a/..`. Links are not followed: what they lead to, whoever made them knows.
pub(crate) fn whole(path: &Path) -> PathBuf {
    // The folder of a file that is named alone is empty: left as it is, every path would begin with it.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(tidied.pop()),
            Component::CurDir => {}
            other => tidied.push(other),
        }
    }
    tidied
}

/// The folder of a file; the one where the program runs if the file is named alone.
pub(crate) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The way from a folder to a file, with `/` whatever the system; the whole path where there is none.
pub(crate) fn way(path: &Path, folder: &Path) -> String {
    let (path, folder) = (whole(path), whole(folder));
    let common = path.components().zip(folder.components()).take_while(|(one, other)| one == other).count();
    if common == 0 {
        return path.display().to_string();
    }
    let up = folder.components().skip(common).map(|_| "..".to_owned());
    let down = path.components().skip(common).map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

/// The part of a path that names one place: up to the folder of the first part with a pattern as `{run}`.
pub(crate) fn fixed(path: &str) -> (&str, &str) {
    match path.find('{') {
        None => (path, ""),
        Some(at) => match path[..at].rfind('/') {
            Some(slash) => (&path[..slash.max(1)], &path[slash + 1..]),
            None => ("", path),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_lead_from_a_folder_to_a_file() {
        for (path, folder, expected) in [
            ("/a/b/c.nii", "/a/b", "c.nii"),
            ("/a/x/c.nii", "/a/b", "../x/c.nii"),
            ("/a/b/../c.nii", "/a/./b", "../c.nii"),
            ("/c.nii", "/a/b", "../../c.nii"),
        ] {
            assert_eq!(way(Path::new(path), Path::new(folder)), expected);
        }
    }

    #[test]
    fn the_empty_path_is_where_the_program_runs_and_does_not_begin_every_other() {
        let here = std::env::current_dir().expect("a folder");
        assert_eq!(whole(Path::new("")), here);
        assert_eq!(whole(Path::new(".")), here);
        assert!(!Path::new("/a").starts_with(whole(Path::new(""))));
    }

    #[test]
    fn a_pattern_begins_in_its_folder() {
        for (path, expected) in [
            ("a/b.tsv", ("a/b.tsv", "")),
            ("a/run-{run}.tsv", ("a", "run-{run}.tsv")),
            ("/{run}.tsv", ("/", "{run}.tsv")),
            ("{subject}/{run}.npy", ("", "{subject}/{run}.npy")),
        ] {
            assert_eq!(fixed(path), expected);
        }
    }
}
