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
    (Kind::Export, "5125ca6d6974"),
    (Kind::Extract, "79d51fd0cbd5"),
    (Kind::Series, "103ca1a10e9d"),
    (Kind::Simulate, "e5143668e508"),
    (Kind::Mask, "ac6225354c2f"),
    (Kind::Bold, "082b0f5a1e0d"),
    (Kind::Pattern, "b283b3fbb615"),
    (Kind::Encode, "02dabdfed7e1"),
    (Kind::Null, "d36ebddf9ce6"),
    (Kind::Redundancy, "6ab7e54d96c5"),
    (Kind::Polarity, "c9ec1a9932c2"),
    (Kind::Report, "fc0ecdf8edef"),
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
