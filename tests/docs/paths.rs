//! Every file of the tree that a page names is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders whose files pages name by their path from the root of the tree.
const FOLDERS: [&str; 9] = ["src", "tests", "docs", "schemas", "experiments", "scripts", "benches", "fuzz", ".ci"];

/// Files that recipes name to be written, and that are not there.
const TO_BE_WRITTEN: [&str; 2] = ["reach", "yours"];

fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir("docs").expect("a folder of pages").map(|entry| entry.expect("readable").path());
    let pages = docs.filter(|path| path.extension().is_some_and(|found| found == "md"));
    let mut pages: Vec<PathBuf> = pages.chain(["README.md", "CHANGELOG.md"].map(PathBuf::from)).collect();
    pages.sort();
    pages
}

/// Code between single backticks, outside of fenced blocks, with the number of its line.
fn code(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced {
            found.extend(line.split('`').skip(1).step_by(2).map(|code| (number + 1, code)));
        }
    }
    found
}

/// The path of a file or folder of the tree, if that is what the code is. `{a,b}`, `*`, `…` and names in capitals stand for several, and
/// an exported dataset has a folder `docs` of its own, without pages.
fn named(code: &str) -> Option<&str> {
    let first = code.split('/').next()?;
    let is_path = code.contains('/') && FOLDERS.contains(&first) && !code.contains([' ', '{', '*', '…', '<', '$', '=']);
    let is_of_another_tree = first == "docs" && !code.ends_with(".md") && !code.ends_with('/');
    let stands_for_another = code.split(['/', '.']).any(|part| {
        TO_BE_WRITTEN.iter().any(|name| part.starts_with(name))
            || part.len() > 3 && part.chars().all(|letter| letter.is_ascii_uppercase())
    });
    (is_path && !is_of_another_tree && !stands_for_another).then_some(code)
}

#[test]
fn every_path_that_a_page_names_is_there() {
    let (mut gone, mut n_named) = (Vec::new(), 0);
    for page in pages() {
        let text = fs::read_to_string(&page).expect("readable");
        for (line, code) in code(&text) {
            let Some(path) = named(code) else { continue };
            n_named += 1;
            if !Path::new(path).exists() {
                gone.push(format!("{}:{line}: `{path}`", page.display()));
            }
        }
    }
    assert!(gone.is_empty(), "no such file or folder:\n{}", gone.join("\n"));
    assert!(n_named >= 40, "only {n_named} paths are named");
}

#[test]
fn paths_are_told_from_other_code() {
    assert_eq!(named("src/lib.rs"), Some("src/lib.rs"));
    assert_eq!(named("src/spec/"), Some("src/spec/"));
    assert_eq!(named("task::Kind"), None);
    assert_eq!((named("docs/labels.tsv"), named("docs/reference.md")), (None, Some("docs/reference.md")));
    assert_eq!(named("encode/sub-01/clip"), None);
    assert_eq!(named("src/task/yours.rs"), None);
    assert_eq!(named("fuzz/corpus/TARGET"), None);
    assert_eq!(code("a `b` c\n```sh\n`d`\n```\n`e`"), [(1, "b"), (5, "e")]);
}
