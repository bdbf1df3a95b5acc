use super::*;
use proptest::prelude::*;

/// A small archive, and where it lies.
struct Made {
    folder: tempfile::TempDir,
    index: Index,
    contents: BTreeMap<String, Content>,
}

fn made(files: &[(&str, &[u8])]) -> Made {
    let entry = |(path, bytes): &(&str, &[u8])| Entry {
        path: (*path).to_owned(),
        size_bytes: bytes.len() as u64,
        digest: Digest::of(bytes),
    };
    let index = Index {
        version: ARCHIVE_VERSION,
        folder: "tiny".to_owned(),
        program: "hebb 0.1.0".to_owned(),
        study: "tiny".to_owned(),
        study_file: files[0].0.to_owned(),
        missing: Vec::new(),
        files: files.iter().map(entry).collect(),
    };
    let contents = files.iter().map(|(path, bytes)| ((*path).to_owned(), Content::Bytes(bytes.to_vec()))).collect();
    Made { folder: tempfile::tempdir().expect("a temporary folder"), index, contents }
}

impl Made {
    fn archive(&self) -> PathBuf {
        self.folder.path().join("tiny.hebb.tar.zst")
    }

    fn write(&self) -> PathBuf {
        write_archive(&self.index, &self.contents, &self.archive(), &mut |_| ()).expect("writable");
        self.archive()
    }

    /// Writes a tar with this list and whatever `add` adds; gives why it is refused.
    fn refused(&self, index: &Index, add: impl FnOnce(&mut tar::Builder<&mut Vec<u8>>)) -> String {
        let mut bytes = Vec::new();
        let mut tar = tar::Builder::new(&mut bytes);
        let list = serde_json::to_vec(index).expect("plain data");
        append(&mut tar, &format!("tiny/{INDEX}"), list.len() as u64, list.as_slice()).expect("writable");
        add(&mut tar);
        tar.finish().expect("writable");
        drop(tar);
        self.refused_bytes(&zstd::encode_all(bytes.as_slice(), 1).expect("compressible"))
    }

    fn refused_bytes(&self, bytes: &[u8]) -> String {
        fs::write(self.archive(), bytes).expect("writable");
        let target = self.folder.path().join("out");
        let result = Archive::open(&self.archive()).and_then(|archive| archive.unpack(&target, &mut |_| ()));
        let error = result.expect_err("refused").to_string();
        let left: Vec<_> =
            fs::read_dir(self.folder.path()).expect("readable").flatten().map(|e| e.file_name()).collect();
        assert_eq!(left, ["tiny.hebb.tar.zst"], "{error}");
        assert!(error.chars().all(|letter| !letter.is_control()), "{error:?}");
        error
    }
}

const FILES: [(&str, &[u8]); 3] =
    [("study/tiny.toml", b"[study]\nname = \"tiny\"\n"), ("cache/artifacts/ab/x.npy", &[7; 5000]), ("README.md", b"")];

#[test]
fn what_was_packed_is_unpacked_and_equal_files_give_equal_bytes() {
    let one = made(&FILES);
    let archive = Archive::open(&one.write()).expect("just written");
    assert_eq!((&archive.index, archive.size_bytes()), (&one.index, 5000 + FILES[0].1.len() as u64));
    let target = one.folder.path().join("out");
    let mut told = Vec::new();
    archive.unpack(&target, &mut |bytes| told.push(bytes)).expect("whole");
    for (path, bytes) in FILES {
        assert_eq!(fs::read(target.join(path)).expect("unpacked"), bytes);
    }
    assert_eq!(told.last(), Some(&archive.size_bytes()));
    assert!(matches!(archive.unpack(&target, &mut |_| ()), Err(ArchiveError::Occupied { .. })));
    assert_eq!(fs::read(one.archive()).expect("readable"), fs::read(made(&FILES).write()).expect("readable"));
    let again: Index = serde_json::from_slice(&fs::read(target.join(INDEX)).expect("unpacked")).expect("a list");
    assert_eq!(again, one.index);
}

#[test]
fn a_long_path_is_unpacked_too() {
    let path = format!("study/{}/{}.tsv", "a".repeat(120), "b".repeat(150));
    let one = made(&[(path.as_str(), b"x")]);
    let target = one.folder.path().join("out");
    Archive::open(&one.write()).expect("an archive").unpack(&target, &mut |_| ()).expect("whole");
    assert_eq!(fs::read(target.join(path)).expect("unpacked"), b"x");
}

#[test]
fn a_file_that_changed_while_it_was_packed_is_told() {
    let mut one = made(&FILES);
    for other in [b"[study]\nname = \"tinz\"\n".to_vec(), b"short".to_vec(), vec![b'x'; 100]] {
        one.contents.insert(FILES[0].0.to_owned(), Content::Bytes(other));
        let written = write_archive(&one.index, &one.contents, &one.archive(), &mut |_| ());
        assert!(matches!(written, Err(ArchiveError::Changed { .. })));
        assert_eq!(fs::read_dir(one.folder.path()).expect("readable").count(), 0, "nothing is left");
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused_before_anything_is_written() {
    for path in
        ["../evil", "/etc/evil", "a/../../evil", "a\\evil", "nul", "a\u{1b}[2J", "STUDY/TINY.toml", "study/tiny.toml/x"]
    {
        let one = made(&[FILES[0], (path, b"evil")]);
        let error = one.refused(&one.index, |_| ());
        assert!(error.contains("is refused"), "{path:?}: {error}");
    }
    let one = made(&FILES);
    for (field, word) in [("folder", "lies in"), ("study_file", "is not in it")] {
        let mut index = serde_json::to_value(&one.index).expect("plain data");
        index[field] = "..".into();
        let error = one.refused(&serde_json::from_value(index).expect("a list"), |_| ());
        assert!(error.contains(word), "{field}: {error}");
    }
}

#[test]
fn links_devices_and_files_that_are_not_listed_are_refused() {
    let one = made(&FILES[..1]);
    for kind in [
        tar::EntryType::Symlink,
        tar::EntryType::Link,
        tar::EntryType::Char,
        tar::EntryType::Fifo,
        tar::EntryType::Directory,
        tar::EntryType::GNUSparse,
    ] {
        let error = one.refused(&one.index, |tar| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            let target = if kind.is_symlink() || kind.is_hard_link() { "/etc/passwd" } else { "" };
            if target.is_empty() {
                tar.append_data(&mut header, "tiny/study/tiny.toml", io::empty()).expect("writable");
            } else {
                tar.append_link(&mut header, "tiny/study/tiny.toml", target).expect("writable");
            }
        });
        assert!(error.contains("expected plain files") || error.contains("cannot be read"), "{kind:?}: {error}");
    }
    let error = one.refused(&one.index, |tar| {
        append(tar, "tiny/study/tiny.toml", FILES[0].1.len() as u64, FILES[0].1).expect("writable");
        append(tar, "tiny/more", 1, &b"x"[..]).expect("writable");
    });
    assert!(error.contains("its list has not"), "{error}");
    let error = one.refused(&one.index, |tar| append(tar, "other/study/tiny.toml", 1, &b"x"[..]).expect("writable"));
    assert!(error.contains("where its list has"), "{error}");
}

#[test]
fn sizes_and_digests_that_lie_are_refused() {
    let one = made(&FILES[..1]);
    let size = FILES[0].1.len() as u64;
    let other = vec![b'x'; FILES[0].1.len()];
    let error = one.refused(&one.index, |tar| append(tar, "tiny/study/tiny.toml", size, &*other).expect("writable"));
    assert!(error.contains("other bytes"), "{error}");
    let error = one.refused(&one.index, |tar| append(tar, "tiny/study/tiny.toml", 2, &b"xx"[..]).expect("writable"));
    assert!(error.contains("2 bytes"), "{error}");
    assert!(one.refused(&one.index, |_| ()).contains("it ends before"));
    // More than any results shrink to.
    let mut index = one.index.clone();
    index.files[0].size_bytes = 1 << 40;
    assert!(one.refused(&index, |_| ()).contains("no results shrink to"));
    index.files.push(Entry { path: "more".into(), size_bytes: u64::MAX, digest: Digest::of(b"") });
    assert!(one.refused(&index, |_| ()).contains("no results shrink to"));
    index.version = 9;
    assert!(one.refused(&index, |_| ()).contains("its format is 9"));
}

#[test]
fn headers_that_swell_are_refused() {
    let one = made(&FILES[..1]);
    // A name of sixteen million letters in an extension of the header, which shrinks to nothing.
    let error = one.refused(&one.index, |tar| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(16 << 20);
        header.set_path("././@LongLink").expect("short");
        header.set_cksum();
        tar.append(&header, io::repeat(b'a').take(16 << 20)).expect("writable");
        append(tar, "tiny/study/tiny.toml", FILES[0].1.len() as u64, FILES[0].1).expect("writable");
    });
    assert!(error.contains("more bytes than its list announces"), "{error}");
}

#[test]
fn what_is_no_archive_is_told() {
    let one = made(&FILES);
    for bytes in [&b""[..], b"hello", &[0x28, 0xb5, 0x2f, 0xfd], &[0; 4096]] {
        assert!(one.refused_bytes(bytes).contains("is refused"));
    }
    let packed = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("compressible");
    assert!(one.refused_bytes(&packed(&[0; 4096])).contains("empty"));
    assert!(one.refused_bytes(&packed(&[b'x'; 4096])).contains("no archive"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damage_anywhere_is_refused_or_harmless(at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()) {
        let one = made(&FILES);
        let mut bytes = fs::read(one.write()).expect("readable");
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        fs::write(one.archive(), &bytes).expect("writable");
        let target = one.folder.path().join("out");
        // A bit that means nothing, as one of the frame's own head, may be turned; then all files are as they were.
        match Archive::open(&one.archive()).and_then(|archive| archive.unpack(&target, &mut |_| ())) {
            Ok(()) => FILES.iter().for_each(|(path, bytes)| assert_eq!(fs::read(target.join(path)).expect("there"), *bytes)),
            Err(_) => prop_assert!(!target.exists()),
        }
    }
}
