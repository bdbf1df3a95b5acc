//! One recipe key per kind of task, written down: whoever changes what is hashed sees it here.
//!
//! A key that changed on purpose means that every result of that kind is computed again. Where the bytes of results changed
//! too, raise the kind's version in `task::Kind::version`.

use super::bench::{Bench, tiny};
use hebb::task::Kind;
use std::collections::BTreeMap;

/// Kind, and the first twelve characters of the recipe key of its first task in the tiny study.
const KEYS: [(Kind, &str); 14] = [
    (Kind::Stimuli, "1dac679262d2"),
    (Kind::Weights, "89d6adf1f764"),
    (Kind::Export, "7967b61d030d"),
    (Kind::Extract, "0f668cbe44ef"),
    (Kind::Series, "04532ff6ea45"),
    (Kind::Simulate, "d98e5e82f8dd"),
    (Kind::Mask, "45a0c222d89c"),
    (Kind::Bold, "ec44bc15da9d"),
    (Kind::Pattern, "728db2a60132"),
    (Kind::Encode, "c58af514d685"),
    (Kind::Null, "ac5c43ceae31"),
    (Kind::Redundancy, "672663b55b92"),
    (Kind::Polarity, "2dc9d112b4f2"),
    (Kind::Report, "a5ed8de3864d"),
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
    assert_eq!(written.len(), Kind::ALL.len());
}
