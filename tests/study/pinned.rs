//! One recipe key per kind of task, written down: whoever changes what is hashed sees it here.
//!
//! A key that changed on purpose means that every result of that kind is computed again. Where the bytes of results changed
//! too, raise the kind's version in `task::Kind::version`.

use super::bench::{Bench, tiny};
use hebb::task::Kind;
use std::collections::BTreeMap;

/// Kind, and the first twelve characters of the recipe key of its first task in the tiny study.
///
/// Frames are left out: the key of that kind names the ffmpeg of the machine.
const KEYS: [(Kind, &str); 14] = [
    (Kind::Stimuli, "1dac679262d2"),
    (Kind::Weights, "deb3d3a35d9b"),
    (Kind::Export, "9132946167a8"),
    (Kind::Extract, "676f6d00da66"),
    (Kind::Series, "9bf0c24f86eb"),
    (Kind::Simulate, "84ca94e1a425"),
    (Kind::Mask, "ab7c44fc8f2d"),
    (Kind::Bold, "3608eb6f5829"),
    (Kind::Pattern, "a3490aeb729b"),
    (Kind::Encode, "49ca200a0ad8"),
    (Kind::Null, "27ef3b8a9599"),
    (Kind::Redundancy, "ae76b13f9c1a"),
    (Kind::Polarity, "c1945a5b8151"),
    (Kind::Report, "d66bbe27ca70"),
];

#[test]
fn the_key_of_every_kind_is_pinned() {
    let planned = Bench::new(&tiny()).plan();
    let mut first = BTreeMap::new();
    for node in planned.plan.places().map(|place| planned.plan.node(place)) {
        first.entry(node.task.kind()).or_insert_with(|| node.recipe.short());
    }
    let written: BTreeMap<Kind, String> = KEYS.iter().map(|(kind, key)| (*kind, (*key).to_owned())).collect();
    assert_eq!(first, written);
    assert_eq!(written.len(), Kind::ALL.len() - 1);
}
