//! One recipe key per kind of task, written down: whoever changes what is hashed sees it here.
//!
//! A key that changed on purpose means that every result of that kind is computed again. Where the bytes of results changed
//! too, raise the kind's version in `task::Kind::version`.

use super::bench::{Bench, tiny};
use hebb::task::Kind;
use std::collections::BTreeMap;

/// Kind, and the first twelve characters of the recipe key of its first task in the tiny study.
const KEYS: [(Kind, &str); 14] = [
    (Kind::Stimuli, "e47e3cfc73dc"),
    (Kind::Weights, "89d6adf1f764"),
    (Kind::Export, "7967b61d030d"),
    (Kind::Extract, "797fe95b4af4"),
    (Kind::Series, "41aa8a670d56"),
    (Kind::Simulate, "93d854ef5ac7"),
    (Kind::Mask, "bcec7c10447a"),
    (Kind::Bold, "33541f3c9bff"),
    (Kind::Pattern, "3d539e359088"),
    (Kind::Encode, "e24b7af82e2d"),
    (Kind::Null, "65b2de0661b5"),
    (Kind::Redundancy, "e53ea81c6875"),
    (Kind::Polarity, "8ba1df2e3af7"),
    (Kind::Report, "0ad11dd1a913"),
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
