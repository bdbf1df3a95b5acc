//! Which names files of an archive may have, whatever the system that it is unpacked on, and how a stranger's name is printed.

use std::collections::{HashMap, HashSet};

/// Most bytes of a path and of a part of it: file systems take 255 for a part, and the folder that it is unpacked to comes before it.
const MOST_PATH_BYTES: usize = 2048;
const MOST_PART_BYTES: usize = 255;
/// Folders in folders.
const MOST_PARTS: usize = 64;

/// Names that mean devices on Windows, whatever their ending.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// A text from a stranger, as a terminal may show it: what would move a cursor, hide or turn letters is spelled out.
#[must_use]
pub fn printable(text: &str) -> String {
    const MOST: usize = 200;
    let mut shown = String::new();
    for (place, letter) in text.chars().enumerate() {
        if place >= MOST {
            shown.push('…');
            break;
        }
        if is_plain(letter) { shown.push(letter) } else { shown.extend(letter.escape_unicode()) }
    }
    shown
}

/// Whether a letter shows as itself: no control, no mark of direction, nothing of no width.
fn is_plain(letter: char) -> bool {
    let is_hidden = matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !letter.is_control() && !is_hidden
}

/// Whether this can be the name of an archive's folder on any system.
#[must_use]
pub fn is_folder_name(name: &str) -> bool {
    assert_folder_name(name).is_ok()
}

/// Fails unless this can be the name of one folder.
pub(super) fn assert_folder_name(name: &str) -> Result<(), String> {
    if name.contains('/') {
        return Err(format!("`{}` is no name of a folder", printable(name)));
    }
    assert_name(name)
}

/// Fails unless this is the path of a plain file below a folder.
fn assert_name(path: &str) -> Result<(), String> {
    let refused = |why: &str| Err(format!("the name `{}` {why}", printable(path)));
    if path.len() > MOST_PATH_BYTES {
        return refused("is too long");
    }
    if path.split('/').count() > MOST_PARTS {
        return refused("lies in too many folders");
    }
    if path.contains('\\') || path.contains(':') {
        return refused("has `\\` or `:`, which lead elsewhere on some systems");
    }
    if !path.chars().all(is_plain) {
        return refused("has letters that do not show");
    }
    for part in path.split('/') {
        if part.is_empty() || part == "." || part == ".." {
            return refused("leads elsewhere");
        }
        if part.len() > MOST_PART_BYTES {
            return refused("is too long");
        }
        if part.ends_with(['.', ' ']) {
            return refused("ends in a full stop or blank, which some systems drop");
        }
        let stem = part.split('.').next().unwrap_or_default().to_lowercase();
        let numbered = stem.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let is_device = DEVICES.contains(&stem.as_str())
            || (["com", "lpt"].contains(&numbered) && stem.len() == numbered.len() + 1);
        if is_device {
            return refused("means a device on some systems");
        }
    }
    Ok(())
}

/// Fails unless every one of these is a plain path, no two are one file on a file system that does not tell case, and none lies
/// in another.
pub(super) fn assert_names<'a>(paths: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    let mut files: HashMap<String, &str> = HashMap::new();
    let mut folders: HashSet<String> = HashSet::new();
    for path in paths {
        assert_name(path)?;
        let folded = path.to_lowercase();
        for (at, _) in folded.match_indices('/') {
            folders.insert(folded[..at].to_owned());
        }
        if let Some(before) = files.insert(folded, path) {
            return Err(format!("`{}` and `{}` are one file on some systems", printable(before), printable(path)));
        }
    }
    match files.iter().filter(|(folded, _)| folders.contains(*folded)).map(|(_, path)| *path).min() {
        Some(path) => Err(format!("`{}` is a file and a folder", printable(path))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_lead_elsewhere_or_hide_are_refused() {
        for wrong in [
            "",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            "c:/a",
            "a\\b",
            "a\u{1b}[2Jb",
            "a\u{202e}b",
            "a\nb",
            "nul",
            "a/COM1.txt",
            "a/b.",
            "a/b ",
            "a\u{0}b",
            "a\u{200b}",
            "lpt9",
            "aux.tar.gz",
        ] {
            assert!(assert_names([wrong]).is_err(), "{wrong:?}");
        }
        for right in ["a", "a/b.tsv", "sub-01/é.nii.gz", ".hidden", "a b", "com", "common", "communication1", "nulls"]
        {
            let is_device = right == "com";
            assert_eq!(assert_names([right]).is_err(), is_device, "{right:?}");
        }
        assert!(assert_names(["x".repeat(256).as_str()]).is_err());
        assert!(assert_names(["a/".repeat(64).as_str()]).is_err());
    }

    #[test]
    fn two_names_of_one_file_are_refused() {
        assert!(assert_names(["a/b", "A/B"]).is_err());
        assert!(assert_names(["a", "a"]).is_err());
        assert!(assert_names(["a/b", "a"]).is_err());
        assert!(assert_names(["A", "a/b"]).is_err());
        assert!(assert_names(["a/b", "a/c", "ab"]).is_ok());
    }

    proptest! {
        #[test]
        fn an_accepted_name_stays_below_its_folder(path in "[a-z./\\\\: ]{0,12}") {
            if assert_names([path.as_str()]).is_ok() {
                let joined = std::path::Path::new("folder").join(&path);
                let stays = joined.components().skip(1).all(|part| matches!(part, std::path::Component::Normal(_)));
                prop_assert!(stays && joined.starts_with("folder"));
            }
        }

        #[test]
        fn what_is_printed_moves_no_cursor(text in any::<String>()) {
            prop_assert!(printable(&text).chars().all(is_plain));
        }
    }
}
