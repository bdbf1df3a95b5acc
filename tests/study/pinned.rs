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
    (Kind::Simulate, "6d4530920510"),
    (Kind::Mask, "4a9c4c06cceb"),
    (Kind::Bold, "a762d9a5f593"),
    (Kind::Pattern, "a3490aeb729b"),
    (Kind::Encode, "f9d1fdd33714"),
    (Kind::Null, "f0dc525c8bf4"),
    (Kind::Redundancy, "ebeaa7d71766"),
    (Kind::Polarity, "ae87dfc28511"),
    (Kind::Report, "43dbf6c8db27"),
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
