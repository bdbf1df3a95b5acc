//! Every reader of foreign bytes with a small file that claims much: a clear refusal, and no request for memory beyond a small bound.

use std::{
    fmt::Display,
    path::Path,
    process::{Command, Stdio},
};

use hebb::format::memory::set_budget_bytes;

use super::{numbers, others, watch::watched};

/// Names the case that a process of its own is for.
const CASE: &str = "HEBB_TEST_HOSTILE_FILE";
const BUDGET_BYTES: u64 = 16 << 20;
/// Bytes of the largest single request: a decoder's window, a read buffer, the budget's own reading.
const LARGEST: usize = 17 << 20;
/// Bytes held at once.
const MOST: usize = 40 << 20;

/// A file, what reads it, and words of the refusal. Without words, what is read may be fine, in little memory.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) make: fn(&Path),
    pub(super) read: fn(&Path) -> Result<(), String>,
    pub(super) says: &'static [&'static str],
}

pub(super) fn told<T, E: Display>(read: Result<T, E>) -> Result<(), String> {
    read.map(drop).map_err(|error| error.to_string())
}

pub(super) const DEEP: usize = 1_000_000;

/// Every reader that is held to its bounds.
fn cases() -> impl Iterator<Item = &'static Case> {
    numbers::CASES.iter().chain(others::CASES)
}

/// Reads the file of one case, in this process, and says what came of it.
fn read_alone(case: &Case) {
    set_budget_bytes(BUDGET_BYTES);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("file");
    (case.make)(&path);
    let (read, asked) = watched(|| (case.read)(&path));
    let refused = read.as_ref().err();
    assert!(refused.is_some() || case.says.is_empty(), "it was believed");
    for words in case.says {
        let refused = refused.expect("refused");
        assert!(refused.contains(words), "`{words}` is not in: {}", refused.chars().take(2000).collect::<String>());
    }
    assert!(asked.largest <= LARGEST && asked.most <= MOST, "{asked:?}");
    println!("\n{}: {asked:?}", case.name);
}

#[test]
fn small_files_that_claim_much_are_refused_in_little_memory() {
    if let Some(name) = std::env::var_os(CASE) {
        return read_alone(cases().find(|case| case.name == name).expect("a known case"));
    }
    let mut failed = Vec::new();
    for case in cases() {
        if case.name.contains("device") && !Path::new("/dev/zero").exists() {
            continue;
        }
        let mut command = Command::new(std::env::current_exe().expect("a program"));
        let this = "bounds::readers::small_files_that_claim_much_are_refused_in_little_memory";
        command.args(["--exact", this, "--nocapture", "--test-threads", "1"]).env(CASE, case.name).stdin(Stdio::null());
        let output = command.output().expect("the test starts again");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let counted = said.lines().find(|line| line.starts_with(case.name));
        match counted {
            Some(counted) if output.status.success() => println!("{counted}"),
            _ => {
                failed.push(format!(
                    "{}: {} {}",
                    case.name,
                    output.status,
                    said.chars().take(1500).collect::<String>()
                ));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases().count(), failed.join("\n"));
}
