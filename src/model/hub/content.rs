//! Whether what arrived is what the hub has. Owns the two digests by which a hub calls contents; knows no network.

use super::HubError;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// What the hub calls a file's contents: its entity tag, which is the SHA-256 of a large file and git's SHA-1 of a small one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContentName(String);

impl ContentName {
    /// Takes an entity tag out of a header; absent if it could not name a file.
    pub(super) fn read(header: &str) -> Option<Self> {
        let tag = header.trim().trim_start_matches("W/").trim_matches('"');
        let is_plain = tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        ((1..=128).contains(&tag.len()) && is_plain).then(|| Self(tag.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether contents can be compared with it.
    pub(super) fn is_digest(&self) -> bool {
        matches!(self.0.len(), 40 | 64) && self.0.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// Compares a file with it; gives the file's digest where it is another.
    pub(super) fn mismatch(&self, path: &Path) -> Result<Option<String>, HubError> {
        if !self.is_digest() {
            return Ok(None);
        }
        let found = self.digest_alike(path).map_err(HubError::file("read", path))?;
        Ok((!found.eq_ignore_ascii_case(&self.0)).then_some(found))
    }

    fn digest_alike(&self, path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        let mut context = if self.0.len() == 64 {
            Context::new(&SHA256)
        } else {
            // Git's name of a file is that of its contents behind their kind and length.
            let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
            context.update(format!("blob {}\0", file.metadata()?.len()).as_bytes());
            context
        };
        let mut buffer = vec![0; 1 << 18];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n_read => context.update(&buffer[..n_read]),
            }
        }
        Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_known_by_both_digests() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "hello\n").unwrap();
        for name in [
            // `sha256sum` and `git hash-object` of that file.
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
            "ce013625030ba8dba906f756967f9e9ca394464a",
        ] {
            let header = format!("W/\"{name}\"");
            assert_eq!(ContentName::read(&header).unwrap().mismatch(&path).unwrap(), None);
            let other = format!("0{}", &name[1..]);
            assert_eq!(ContentName::read(&other).unwrap().mismatch(&path).unwrap(), Some(name.to_owned()));
        }
        assert_eq!(ContentName::read("\"abc-2\"").unwrap().mismatch(&path).unwrap(), None);
    }

    #[test]
    fn a_tag_that_is_no_file_name_is_none() {
        for header in ["", "\"\"", "\"../a\"", "\"a/b\"", "a b", "\"a.lock\"", &"a".repeat(129)] {
            assert_eq!(ContentName::read(header), None, "{header}");
        }
    }
}
