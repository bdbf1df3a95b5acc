//! A study as another machine may have it: its text without this machine's paths, users and hosts, and where each of its files goes.
//!
//! Files below the folder that a study's own files share keep their place. What a field names outside it gets a folder
//! `inputs/FIELD` beside the study, and the field is rewritten to say so; nothing else in the text is touched but names of this
//! machine. Keys of tasks know no paths, so that a study that moved leads to the same results.

use crate::spec::{
    NamedPlace, Source, Study,
    place::{fixed, folder_of, way, whole},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The folder of an archive that the study lies in.
pub const STUDY_FOLDER: &str = "study";

/// What must not leave this machine.
#[derive(Clone, Debug, Default)]
pub struct Personal {
    /// Folders by what stands for them: the home folder by `~`.
    pub folders: Vec<(String, String)>,
    /// Names of the user and the machine by what stands for them, where a comment has them as a word.
    pub words: Vec<(String, String)>,
}

/// Names that tell nobody apart.
const COMMON: [&str; 12] =
    ["root", "user", "admin", "ubuntu", "debian", "runner", "home", "localhost", "docker", "data", "hebb", "build"];

impl Personal {
    /// Of a user with this home folder and name on a machine of this name, and of further folders by what stands for them.
    #[must_use]
    pub fn new(home: Option<&Path>, user: Option<&str>, host: Option<&str>, folders: &[(&Path, &str)]) -> Self {
        let folder = |path: &Path, stands: &str| {
            let text = whole(path).display().to_string();
            // `/` and `/root` are on every machine.
            (text.matches('/').count() > 1).then(|| (text, stands.to_owned()))
        };
        let all = folders.iter().copied().chain(home.map(|home| (home, "~")));
        let mut folders: Vec<(String, String)> = all.filter_map(|(path, stands)| folder(path, stands)).collect();
        // The longest first: one may lie in another.
        folders.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        let word = |name: Option<&str>, stands: &str| {
            let name = name.filter(|name| name.len() > 2 && !COMMON.contains(&name.to_lowercase().as_str()))?;
            Some((name.to_owned(), stands.to_owned()))
        };
        Self { folders, words: [word(user, "user"), word(host, "host")].into_iter().flatten().collect() }
    }

    /// The first folder of this machine that a text names.
    #[must_use]
    pub fn found_in(&self, text: &str) -> Option<&str> {
        self.folders.iter().map(|(folder, _)| folder.as_str()).find(|folder| text.contains(folder))
    }

    fn scrubbed(&self, text: &str) -> String {
        let mut scrubbed =
            self.folders.iter().fold(text.to_owned(), |text, (folder, stands)| text.replace(folder, stands));
        for comment in comments(&scrubbed).into_iter().rev() {
            let mut words = scrubbed[comment.clone()].to_owned();
            for (word, stands) in &self.words {
                words = replaced_word(&words, word, stands);
            }
            scrubbed.replace_range(comment, &words);
        }
        scrubbed
    }
}

/// Why a study cannot be given away as it is.
#[derive(Debug, thiserror::Error)]
pub enum RelocateError {
    /// A file outside the study's folder that no field leads to.
    #[error(
        "`{path}` lies outside the folder of the study, and no field names a folder that it lies in; move it below the \
         folder of the table that names it", path = path.display()
    )]
    Elsewhere {
        /// The file.
        path: PathBuf,
    },
    /// A file that the study includes and that shares no folder with it.
    #[error("the included file `{path}` shares no folder with the study; include it by a relative path", path = path.display())]
    Include {
        /// The file.
        path: PathBuf,
    },
}

/// A study that has moved.
#[derive(Debug)]
pub struct Relocated {
    /// The study file, from the archive's folder.
    pub study_file: String,
    /// The text of every file that the study is written in, by its path from the archive's folder; the study's own is among them.
    pub texts: BTreeMap<String, String>,
    /// Where files lie and where they go, the longest first.
    moves: Vec<(PathBuf, String)>,
}

impl Relocated {
    /// Moves a study.
    ///
    /// # Errors
    /// [`RelocateError::Include`] if its files share no folder.
    pub fn new(study: &Study, personal: &Personal) -> Result<Self, RelocateError> {
        let files: Vec<PathBuf> = study.sources.iter().map(|source| whole(Path::new(&source.name))).collect();
        let root = common_folder(&files);
        if let (None, Some(last)) = (&root, files.last()) {
            return Err(RelocateError::Include { path: last.clone() });
        }
        let root = root.expect("a study has a file");
        let inside = |path: &Path| format!("{STUDY_FOLDER}/{}", way(path, &root));
        let mut moves = vec![(root.clone(), STUDY_FOLDER.to_owned())];
        // What is written instead, by file and first byte, the last first: what comes before keeps its place.
        let mut edits: BTreeMap<(usize, usize), (usize, String)> = BTreeMap::new();
        // The same field of several cells is written in one place, and moves once.
        let written = study.cells.iter().flat_map(|cell| &cell.design.named);
        let places: BTreeMap<(usize, usize), &NamedPlace> =
            written.map(|named| ((named.span.source, named.span.start), named)).collect();
        let base = |named: &NamedPlace| whole(&named.start.join(fixed(&named.written).0));
        let moved = |named: &NamedPlace| {
            let full = base(named);
            if fixed(&named.written).1.is_empty() && full.is_file() { folder_of(&full).to_owned() } else { full }
        };
        // A folder that lies in another moves with it.
        let mut outside: Vec<(PathBuf, &NamedPlace)> = places
            .values()
            .map(|named| (moved(named), *named))
            .filter(|(folder, _)| !folder.starts_with(&root))
            .collect();
        outside.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.field.cmp(&other.1.field)));
        for (folder, named) in outside {
            if !moves.iter().any(|(from, _)| folder.starts_with(from)) {
                let name = named.field.chars().map(|letter| if is_plain(letter) { letter } else { '-' });
                let target = folder_of(&files[0]).join("inputs").join(name.collect::<String>());
                moves.push((folder, inside(&target)));
            }
        }
        moves.sort_by_key(|(from, _)| std::cmp::Reverse(from.as_os_str().len()));
        for ((source, start), named) in places {
            let (full, from) = (base(named), whole(&named.start));
            if full.starts_with(&root) && !Path::new(&named.written).is_absolute() {
                continue;
            }
            let (folder, place) = moves.iter().find(|(folder, _)| full.starts_with(folder)).expect("all outside move");
            let target = format!("/{place}/{}", way(&full, folder));
            let mut value = way(Path::new(target.trim_end_matches('/')), Path::new(&format!("/{}", inside(&from))));
            let rest = fixed(&named.written).1;
            if !rest.is_empty() {
                value = format!("{value}/{rest}");
            }
            edits.insert((source, start), (named.span.end, super::lock::quoted(&value)));
        }
        let mut texts: Vec<String> = study.sources.iter().map(|source| source.text.clone()).collect();
        for ((source, start), (end, value)) in edits.into_iter().rev() {
            texts[source].replace_range(start..end, &value);
        }
        let texts = files.iter().zip(texts).map(|(file, text)| (inside(file), personal.scrubbed(&text))).collect();
        Ok(Self { study_file: inside(&files[0]), texts, moves })
    }

    /// The files of the study as it moved, in their order, under the names that they had here.
    #[must_use]
    pub fn sources(&self, study: &Study) -> Arc<[Source]> {
        let moved = |source: &Source| {
            let place = self.place(Path::new(&source.name)).ok();
            let text = place.and_then(|place| self.texts.get(&place)).unwrap_or(&source.text);
            Source { text: text.clone(), ..source.clone() }
        };
        study.sources.iter().map(moved).collect()
    }

    /// Where a file goes, from the archive's folder.
    ///
    /// # Errors
    /// [`RelocateError::Elsewhere`] if no field leads there.
    pub fn place(&self, path: &Path) -> Result<String, RelocateError> {
        let path = whole(path);
        let moved = self.moves.iter().find(|(from, _)| path.starts_with(from));
        let (from, to) = moved.ok_or_else(|| RelocateError::Elsewhere { path: path.clone() })?;
        Ok(format!("{to}/{}", way(&path, from)))
    }
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "._-".contains(letter)
}

/// The deepest folder that all of these lie in.
fn common_folder(files: &[PathBuf]) -> Option<PathBuf> {
    let mut folder = folder_of(files.first()?).to_owned();
    for file in files {
        while !file.starts_with(&folder) {
            folder = folder.parent()?.to_owned();
        }
    }
    // The root of a file system is no folder of a study.
    folder.parent().is_some().then_some(folder)
}

/// Bytes of every comment of a TOML text.
fn comments(text: &str) -> Vec<std::ops::Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let rest = &text[at..];
        let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| rest.starts_with(quote));
        if let Some(quote) = quote {
            at += quote.len() + string_length(&rest[quote.len()..], quote);
        } else if rest.starts_with('#') {
            let end = rest.find('\n').unwrap_or(rest.len());
            found.push(at..at + end);
            at += end;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    found
}

/// Bytes from behind the opening quote to behind the closing one.
fn string_length(text: &str, quote: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' && quote.starts_with('"') {
            escaped = true;
        } else if text[at..].starts_with(quote) {
            return at + quote.len();
        }
    }
    text.len()
}

/// A text in which a word stands no more where it stood alone.
fn replaced_word(text: &str, word: &str, by: &str) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let is_alone = !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
        replaced.push_str(before);
        replaced.push_str(if is_alone { by } else { word });
        rest = after;
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_told_from_strings() {
        let text = "a = \"# no\" # one\nb = '#' # two\nc = \"\"\"\n# no \\\"\"\" # no\n\"\"\" # three\n# four";
        let found: Vec<&str> = comments(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["# one", "# two", "# three", "# four"]);
    }

    #[test]
    fn names_of_this_machine_leave_comments_and_folders_leave_everything() {
        let home = Path::new("/home/annabel");
        let personal =
            Personal::new(Some(home), Some("annabel"), Some("mri-7"), &[(Path::new("/home/annabel/lab/study"), ".")]);
        let text = "# annabel@mri-7 keeps it in /home/annabel/data, not annabella\nname = \"annabel\" # of /home/annabel/lab/study/x\n";
        let expected = "# user@host keeps it in ~/data, not annabella\nname = \"annabel\" # of ./x\n";
        assert_eq!(personal.scrubbed(text), expected);
        assert_eq!(personal.found_in("see /home/annabel/x"), Some("/home/annabel"));
        let common = Personal::new(Some(Path::new("/root")), Some("root"), Some("localhost"), &[]);
        assert_eq!(common.scrubbed("# root /root localhost\n"), "# root /root localhost\n");
    }

    #[test]
    fn a_folder_that_all_share_is_found() {
        let of = |files: &[&str]| common_folder(&files.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(of(&["/a/b/c.toml"]), Some("/a/b".into()));
        assert_eq!(of(&["/a/b/c.toml", "/a/d/e.toml"]), Some("/a".into()));
        assert_eq!(of(&["/a/b.toml", "/c/d.toml"]), None);
    }
}
