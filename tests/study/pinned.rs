//! One recipe key per kind of task, written down: whoever changes what is hashed sees it here.
//!
//! A key that changed on purpose means that every result of that kind is computed again. Where the bytes of results changed
//! too, raise the kind's version in `task::Kind::version`.

use super::{
    bench::{Bench, tiny},
    regressions::shown_twice,
};
use hebb::task::Kind;
use std::collections::BTreeMap;

/// Kind, and the first twelve characters of the recipe key of its first task in the tiny study.
///
/// Frames are left out: the key of that kind names the ffmpeg of the machine.
const KEYS: [(Kind, &str); 15] = [
    (Kind::Stimuli, "1dac679262d2"),
    (Kind::Weights, "deb3d3a35d9b"),
    (Kind::Export, "9132946167a8"),
    (Kind::Extract, "676f6d00da66"),
    (Kind::Series, "9bf0c24f86eb"),
    (Kind::Simulate, "84ca94e1a425"),
    (Kind::Mask, "ab7c44fc8f2d"),
    (Kind::Bold, "3608eb6f5829"),
    (Kind::Pattern, "35d9dd405340"),
    (Kind::Encode, "368abf9dbd1e"),
    (Kind::Null, "3ad898c744f5"),
    (Kind::Ceiling, "ddd659f44f45"),
    (Kind::Redundancy, "d2fa265e653a"),
    (Kind::Polarity, "99d7dde9eacb"),
    (Kind::Report, "18f4b67e8ae5"),
];

#[test]
fn the_key_of_every_kind_is_pinned() {
    let mut first = BTreeMap::new();
    // A ceiling needs runs that repeat one another, which the tiny study lacks.
    for text in [tiny(), shown_twice(&tiny(), "4", "5")] {
        let planned = Bench::new(&text).plan();
        for node in planned.plan.places().map(|place| planned.plan.node(place)) {
            first.entry(node.task.kind()).or_insert_with(|| node.recipe.short());
        }
    }
    let written: BTreeMap<Kind, String> = KEYS.iter().map(|(kind, key)| (*kind, (*key).to_owned())).collect();
    assert_eq!(first, written);
    // Films and low-level features have studies of their own.
    assert_eq!(written.len(), Kind::ALL.len() - 2);
}
