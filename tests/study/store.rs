//! Records that cannot be read, and a result under two names: the store answers as if they were absent.

use super::bench::scratch;
use hebb::store::{Digest, Record, RunFacts, Store};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn publish(store: &Store, key: &str, bytes: &[u8]) -> Record {
    let claim = store.claim(&Digest::of(key.as_bytes()), || false).expect("lockable").expect("nobody gives up");
    fs::write(claim.folder().expect("writable").join("a.tsv"), bytes).expect("writable");
    let run = RunFacts { seconds: 0.0, program: "test".into(), finished_unix_s: 0 };
    claim.publish(Digest::of(b"recipe"), json!({}), run).expect("publishable").record
}

fn record_path(root: &Path, key: &str) -> PathBuf {
    let digest = Digest::of(key.as_bytes()).to_string();
    root.join("records").join(&digest[..2]).join(format!("{digest}.json"))
}

#[test]
fn a_torn_record_counts_as_absent_and_is_written_again() {
    let folder = scratch();
    let store = Store::open(folder.path()).expect("writable");
    let record = publish(&store, "content", b"x");
    let (path, key) = (record_path(folder.path(), "content"), Digest::of(b"content"));
    let whole = fs::read(&path).expect("readable");
    for length in [0, 1, whole.len() / 2, whole.len() - 2] {
        fs::write(&path, &whole[..length]).expect("writable");
        assert_eq!(store.lookup(&key), None, "the first {length} bytes");
        assert_eq!(store.remembered(&key), None);
    }
    fs::write(&path, b"{ \"output\": 1 }").expect("writable");
    assert_eq!(store.lookup(&key), None, "another program's record");
    assert_eq!(publish(&store, "content", b"x").output, record.output);
    assert_eq!(store.lookup(&key).map(|found| found.output), Some(record.output));
}

#[test]
fn a_record_outlives_its_result_for_explanations_only() {
    let folder = scratch();
    let store = Store::open(folder.path()).expect("writable");
    let record = publish(&store, "content", b"x");
    fs::remove_dir_all(store.artifact(&record.output)).expect("removable");
    assert_eq!(store.lookup(&Digest::of(b"content")), None);
    assert_eq!(store.remembered(&Digest::of(b"content")), Some(record));
}

#[test]
fn a_lost_side_index_costs_nothing_but_time() {
    let folder = scratch();
    let store = Store::open(folder.path()).expect("writable");
    let record = publish(&store, "content", b"x");
    for side in ["locks", "partial", "studies"] {
        fs::remove_dir_all(folder.path().join(side)).expect("removable");
    }
    let store = Store::open(folder.path()).expect("writable");
    assert_eq!(store.lookup(&Digest::of(b"content")), Some(record));
    publish(&store, "another", b"y");
}

#[test]
fn readers_see_a_record_whole_or_not_at_all() {
    let folder = scratch();
    let store = Store::open(folder.path()).expect("writable");
    let key = Digest::of(b"content");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for turn in 0_u32..40 {
                publish(&store, "content", &turn.to_le_bytes());
            }
        });
        let mut seen = false;
        while !writer.is_finished() {
            let found = store.remembered(&key);
            assert!(found.is_some() || !seen, "a record that was there is never half there");
            seen |= found.is_some();
        }
    });
}
