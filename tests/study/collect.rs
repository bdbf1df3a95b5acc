//! What a collection removes, to the byte, and what it never touches.

use super::{
    bench::{printed, program, tiny},
    processes::{RUN, artifacts, place, records},
};
use hebb::store::Store;
use std::{fs, path::Path};

/// Bytes of all files below a folder.
fn weight(folder: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.expect("readable"));
    entries.filter(|entry| entry.file_type().is_file()).map(|entry| entry.metadata().expect("there").len()).sum()
}

fn collect(folder: &Path, more: &[&str]) -> serde_json::Value {
    let arguments = [&["cache", "gc", "--json"][..], more].concat();
    serde_json::from_str(&printed(program(folder, &arguments))).expect("JSON")
}

fn edit(folder: &Path) {
    fs::write(folder.join("tiny.toml"), tiny().replace("penalty = 0.15", "penalty = 0.2")).expect("writable");
}

#[test]
fn a_dry_run_counts_to_the_byte_what_a_collection_frees() {
    let Some(folder) = place() else { return };
    let (folder, cache) = (folder.path(), folder.path().join("cache"));
    printed(program(folder, &RUN));
    edit(folder);
    printed(program(folder, &RUN));
    let after_edit = records(&cache);
    // What a killed run left.
    let key = "ab".repeat(32);
    fs::create_dir_all(cache.join("partial").join(&key)).expect("writable");
    fs::write(cache.join("partial").join(&key).join("half.npy"), [0; 1000]).expect("writable");
    fs::write(cache.join("partial/write-xyz"), [0; 10]).expect("writable");
    fs::write(cache.join("locks").join(&key), b"").expect("writable");

    let young = collect(folder, &["--dry-run"]);
    assert_eq!(young["artifacts"]["count"], 0, "the first day, results of killed and edited studies stay");
    assert!(young["young"]["count"].as_u64() > Some(0));

    let before = weight(&cache);
    let told = collect(folder, &["--dry-run", "--grace", "0"]);
    assert_eq!(weight(&cache), before, "a dry run removes nothing");
    let freed = collect(folder, &["--grace", "0"]);
    assert_eq!(before - weight(&cache), freed["size_bytes"].as_u64().expect("a number"));
    for field in ["size_bytes", "artifacts", "records", "notes", "left_over"] {
        assert_eq!(told[field], freed[field], "{field}");
    }
    assert!(freed["artifacts"]["count"].as_u64() > Some(0) && freed["left_over"]["size_bytes"] == 1010, "{freed}");
    assert!(printed(program(folder, &RUN)).contains(": 0 computed, 52 cached"), "what the study needs is there");
    assert!(records(&cache).iter().all(|(key, output)| after_edit.get(key) == Some(output)));
    assert!(printed(program(folder, &["cache", "verify"])).contains("all are whole"));
    assert_eq!(collect(folder, &["--grace", "0"])["size_bytes"], 0);
}

#[test]
fn pins_keep_what_was_when_they_were_set() {
    let Some(folder) = place() else { return };
    let (folder, cache) = (folder.path(), folder.path().join("cache"));
    let refused = program(folder, &["cache", "pin", "tiny.toml"]).output().expect("it starts");
    assert_eq!(refused.status.code(), Some(2), "there is no cache yet");
    printed(program(folder, &RUN));
    printed(program(folder, &["cache", "pin", "tiny.toml"]));
    assert!(printed(program(folder, &["cache", "pins"])).contains("52 results"));
    edit(folder);
    printed(program(folder, &RUN));
    assert_eq!(collect(folder, &["--grace", "0"])["artifacts"]["count"], 0);
    fs::write(folder.join("tiny.toml"), tiny()).expect("writable");
    assert!(printed(program(folder, &["plan", "tiny.toml"])).contains("all 52 tasks are cached"));

    // The file is gone: its last state goes, the pinned one stays.
    fs::remove_file(folder.join("tiny.toml")).expect("removable");
    let freed = collect(folder, &["--grace", "0"]);
    assert!(freed["artifacts"]["count"].as_u64() > Some(0) && freed["notes"]["count"] == 1, "{freed}");
    assert!(printed(program(folder, &["cache", "pins"])).contains("(the file is gone)"));
    fs::write(folder.join("tiny.toml"), tiny()).expect("writable");
    assert!(printed(program(folder, &RUN)).contains(": 0 computed, 52 cached"));

    fs::remove_file(folder.join("tiny.toml")).expect("removable");
    printed(program(folder, &["cache", "unpin", "tiny.toml"]));
    collect(folder, &["--grace", "0"]);
    assert_eq!((artifacts(&cache).len(), records(&cache).len()), (0, 0));
    let refused = program(folder, &["cache", "unpin", "tiny.toml"]).output().expect("it starts");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not pinned"));
}

#[test]
fn a_cache_that_is_in_use_or_not_understood_is_not_collected() {
    let Some(folder) = place() else { return };
    let (folder, cache) = (folder.path(), folder.path().join("cache"));
    printed(program(folder, &RUN));
    let n_artifacts = artifacts(&cache).len();
    let refused = |told: &str| {
        let output = program(folder, &["cache", "gc", "--grace", "0"]).output().expect("it starts");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.contains(told), "{words}");
        assert_eq!(artifacts(&cache).len(), n_artifacts);
    };
    let user = Store::open(&cache).expect("writable");
    refused("is in use, so nothing was removed");
    drop(user);

    let note = fs::read_dir(cache.join("studies")).expect("readable").next().expect("a note").expect("readable").path();
    let bytes = fs::read(&note).expect("readable");
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 3] ^= 1;
    fs::write(&note, flipped).expect("writable");
    refused("does not read");
    assert!(printed(program(folder, &RUN)).contains(": 0 computed, 52 cached"), "a run writes the note again");
    assert_eq!(collect(folder, &["--grace", "0"])["artifacts"]["count"], 0);
}

#[test]
fn size_tells_every_kind_and_adds_up() {
    let Some(folder) = place() else { return };
    let folder = folder.path();
    printed(program(folder, &RUN));
    let told: serde_json::Value =
        serde_json::from_str(&printed(program(folder, &["cache", "size", "--json"]))).expect("JSON");
    let kinds = told["kinds"].as_object().expect("kinds");
    let sum: u64 = kinds.values().map(|kind| kind["size_bytes"].as_u64().expect("a number")).sum();
    assert_eq!(Some(sum), told["artifacts"]["size_bytes"].as_u64());
    assert_eq!(sum, weight(&folder.join("cache/artifacts")));
    assert!(kinds.contains_key("encode") && kinds.contains_key("report") && !kinds.contains_key("(no record)"));
    assert_eq!(told["unreachable"]["count"], 0);
}
