//! A soak: a study is edited at random, again and again, while runs are killed, started twice, starved of room and robbed of
//! their results; in the end everything is what a clean run gives.
//!
//! `draft.rs` edits, `harm.rs` does damage, `driver.rs` runs the program and looks at what it leaves (`outcome.rs`), `acts.rs` says what
//! may happen after an edit. `make soak` does two hundred edits; a short soak with a seed of its own always runs. `HEBB_SOAK_SEED`
//! and `HEBB_SOAK_EDITS` replay one that failed.

mod acts;
mod draft;
mod driver;
mod harm;
mod outcome;

use driver::Soak;

/// A number from the environment.
fn given(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("`{name}` is `{text}`, expected a number")))
}

#[test]
fn ten_random_edits_with_mishaps_end_in_what_a_clean_run_gives() {
    if crate::model::runtime() {
        Soak::new(20).run(10);
    }
}

#[test]
#[ignore = "a quarter of an hour: `make soak`"]
fn two_hundred_random_edits_with_mishaps_end_in_what_a_clean_run_gives() {
    assert!(crate::model::runtime(), "ONNX Runtime is missing: `make setup` installs it");
    let of_clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let seed = given("HEBB_SOAK_SEED").unwrap_or_else(of_clock);
    Soak::new(seed).run(given("HEBB_SOAK_EDITS").unwrap_or(200) as usize);
}
