//! Any bytes taken for an archive: refused with nothing left behind, or unpacked to files below the target that are what its
//! list says, never a panic.
//!
//! The first byte chooses: bytes as they are, bytes as the tar inside, or bytes as a list with the files that it names.

use std::{fs, path::Path};

use hebb::{
    share::archive::{Archive, INDEX, Index},
    store::Digest,
};

/// Feeds one input.
pub fn run(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let packed = match choice % 3 {
        0 => bytes.to_vec(),
        1 => zstd::encode_all(bytes, 1).expect("in memory"),
        _ => zstd::encode_all(listed(bytes).as_slice(), 1).expect("in memory"),
    };
    let folder = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "." }).expect("a folder");
    let path = folder.path().join("fuzzed");
    fs::write(&path, packed).expect("writable");
    let target = folder.path().join("deep/out");
    let unpacked = Archive::open(&path).and_then(|archive| archive.unpack(&target, &mut |_| ()).map(|()| archive));
    let Ok(archive) = unpacked else {
        assert!(!target.exists());
        return;
    };
    let mut n_files = 0;
    for entry in walkdir::WalkDir::new(folder.path()) {
        let entry = entry.expect("readable");
        assert!(!entry.path_is_symlink());
        if entry.file_type().is_file() && entry.path() != path {
            n_files += 1;
            let inside = entry.path().strip_prefix(&target).expect("below the target").to_str().expect("text");
            let listed = archive.index.files.iter().find(|file| file.path == inside);
            assert!(
                inside == INDEX || listed.is_some_and(|file| file.size_bytes == entry.metadata().expect("there").len())
            );
        }
    }
    assert_eq!(n_files, archive.index.files.len() + 1);
}

/// A tar whose list is these bytes, with an entry for each file that it names: what gets past the digests.
fn listed(bytes: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // Names that no tar takes stay out.
        let _ = tar.append_data(&mut header, name, bytes);
    };
    let Ok(mut index) = serde_json::from_slice::<Index>(bytes) else {
        add(&format!("a/{INDEX}"), bytes);
        return tar.into_inner().expect("in memory");
    };
    for file in &mut index.files {
        (file.size_bytes, file.digest) = (1, Digest::of(b"x"));
    }
    add(&format!("{}/{INDEX}", index.folder), &serde_json::to_vec(&index).expect("plain data"));
    for file in &index.files {
        add(&format!("{}/{}", index.folder, file.path), b"x");
    }
    tar.into_inner().expect("in memory")
}
