//! What a study led to: its tables and maps by digest, its tasks as the lock has them; and how two such differ.

use super::harm::files;
use hebb::store::hash_file;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Digests of files by their path inside a folder.
pub(super) type Digests = BTreeMap<String, String>;

/// What a study led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Tables and maps.
    pub(super) shown: Digests,
    /// Key and output of every task, as the lock has them.
    pub(super) tasks: String,
}

impl Outcome {
    /// A line for each difference to a later one.
    pub(super) fn differences(&self, other: &Self) -> String {
        let mut told = Vec::new();
        let paths: BTreeSet<&String> = self.shown.keys().chain(other.shown.keys()).collect();
        for path in paths {
            let (before, now) = (self.shown.get(path), other.shown.get(path));
            if before != now {
                told.push(format!("{path}: {before:?}, {now:?}"));
            }
        }
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        let (before, now) = (lines(&self.tasks), lines(&other.tasks));
        told.extend(before.difference(&now).map(|line| format!("- {line}")));
        told.extend(now.difference(&before).map(|line| format!("+ {line}")));
        told.join("\n")
    }
}

/// Digests of what a results folder shows of the study as it stands: its tables and maps, or those of its cells.
pub(super) fn shown(folder: &Path, is_swept: bool) -> Digests {
    let mut places = ["tables", "maps"].map(|part| folder.join(part)).to_vec();
    if is_swept {
        let scores = fs::read_to_string(folder.join("scores.tsv")).expect("a table over cells");
        let cells: BTreeSet<&str> = scores.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
        places = cells.into_iter().map(|cell| folder.join(cell)).collect();
        places.extend(["scores.tsv", "sensitivity.tsv"].map(|name| folder.join(name)));
    }
    let mut shown = Digests::new();
    for place in places {
        for file in files(&place) {
            let inside = file.strip_prefix(folder).expect("listed below it").to_string_lossy().into_owned();
            if tells_seconds(&inside) {
                continue;
            }
            shown.insert(inside, hash_file(&file).expect("readable").to_string());
        }
    }
    shown
}

/// Whether a file of results tells how long tasks took and where the cache lies.
fn tells_seconds(path: &str) -> bool {
    ["report.html", "tasks.tsv", ".shown", ".maps"].contains(&path.rsplit('/').next().expect("a part"))
}

/// Every file of a results folder, without what tells seconds and places.
pub(super) fn everything(results: &Path) -> Digests {
    let told = files(results).into_iter().map(|path| {
        let inside = path.strip_prefix(results).expect("listed below it").to_string_lossy().into_owned();
        (inside, hash_file(&path).expect("readable").to_string())
    });
    told.filter(|(path, _)| !tells_seconds(path)).collect()
}
