//! Any bytes taken for what lies in a cache: records, notes, pins, families, digests of files. A cache that was damaged in any way
//! costs a computation, never a wrong result or the program.
//!
//! The first byte chooses: bytes as they are; bytes with a seal that is right; bytes as a record whose artifact's name and key are
//! put right too, so that mutations get past each check to the next.

use std::fs;

use hebb::{
    plan::StudyNote,
    store::{Digest, FileDigests, OutputFile, Record, Store, record_name},
};

use super::scratch;

/// Feeds one input.
pub fn run(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let key = Digest::of(b"key");
    let sealed = match choice % 3 {
        0 => bytes.to_vec(),
        1 => sealed(bytes),
        _ => {
            let Ok(mut record) = serde_json::from_slice::<Record>(bytes) else { return };
            (record.output, record.recipe) = (named(&record.files), key);
            record.to_bytes()
        }
    };
    if let Ok(record) = Record::from_elsewhere(&sealed, &key) {
        assert!([record.recipe, record.content].contains(&key));
        assert_eq!(Record::from_elsewhere(&record.to_bytes(), &key), Ok(record));
    }
    let folder = scratch::folder();
    let store = Store::open(folder.path()).expect("a cache");
    let put = |path: &std::path::Path| {
        fs::create_dir_all(path.parent().expect("inside the cache")).expect("writable");
        fs::write(path, &sealed).expect("writable");
    };
    put(&folder.path().join(record_name(&key)));
    let is_remembered = store.remembered(&key).is_some_and(|record| {
        assert!(!record.to_bytes().is_empty());
        let _ = record.size_bytes();
        true
    });
    assert_eq!(is_remembered, store.record_fault(&key).expect("readable").is_none());
    assert!(is_remembered || store.lookup(&key).is_none());
    for place in ["studies", "pins"] {
        put(&folder.path().join(place).join(key.to_string()).with_extension("json"));
    }
    drop(store.study_note::<StudyNote>(&key));
    drop(store.study_notes::<StudyNote>());
    drop(store.pins::<StudyNote>());
    put(&folder.path().join("families").join(key.to_string()));
    assert!(store.family(&key).is_empty());
    put(&folder.path().join("files.json"));
    let digests = FileDigests::open(folder.path(), false);
    let file = folder.path().join("input");
    fs::write(&file, b"input").expect("writable");
    assert_eq!(digests.digest(&file).expect("readable").digest, Digest::of(b"input"));
    drop(store.inventory().map(|inventory| inventory.records.len()));
}

/// These bytes as a sealed file: the text of an object without its end, a seal over it, and the end.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let seal = Digest::of(bytes);
    [bytes, b",\n  \"seal\": \"", seal.to_string().as_bytes(), b"\"\n}\n"].concat()
}

/// The name of an artifact: the digest over path, size and digest of each file, paths with their length before them.
fn named(files: &[OutputFile]) -> Digest {
    let file = |file: &OutputFile| {
        let (length, size) = ((file.path.len() as u64).to_le_bytes(), file.size_bytes.to_le_bytes());
        [&length, file.path.as_bytes(), &size, file.digest.as_bytes()].concat()
    };
    Digest::of(&files.iter().flat_map(file).collect::<Vec<u8>>())
}
