//! Any bytes taken for a lock: refused, or a lock whose text is read back as itself.

use std::fs;

use hebb::share::Lock;

use super::scratch;

/// Feeds one input.
pub fn run(bytes: &[u8]) {
    let folder = scratch::folder();
    let path = folder.path().join("fuzzed.lock");
    fs::write(&path, bytes).expect("writable");
    let Ok(lock) = Lock::read(&path) else { return };
    let text = lock.to_text();
    fs::write(&path, &text).expect("writable");
    let again = Lock::read(&path).expect("what is written is read");
    assert_eq!(again.to_text(), text);
}
