//! One recipe key per kind of task, written down: whoever changes what is hashed sees it here.
//!
//! A key that changed on purpose means that every result of that kind is computed again. Where the bytes of results changed
//! too, raise the kind's version in `task::Kind::version`.

use super::{
    bench::{Bench, edited, tiny},
    regressions::shown_twice,
};
use hebb::{executor::Order, plan::Plan, store::Digest, task::Kind};
use petgraph::graph::NodeIndex;
use std::collections::BTreeMap;

/// Kind, and the first twelve characters of the recipe key of its first task in the tiny study.
///
/// Frames are left out: the key of that kind names the ffmpeg of the machine.
const KEYS: [(Kind, &str); 23] = [
    (Kind::Stimuli, "1dac679262d2"),
    (Kind::Weights, "deb3d3a35d9b"),
    (Kind::Export, "9132946167a8"),
    (Kind::Extract, "676f6d00da66"),
    (Kind::Measure, "44c1b802c4e5"),
    (Kind::Series, "9bf0c24f86eb"),
    (Kind::Simulate, "84ca94e1a425"),
    (Kind::Mask, "ab7c44fc8f2d"),
    (Kind::Groups, "3c3915462dd6"),
    (Kind::Bold, "3608eb6f5829"),
    (Kind::Pattern, "35d9dd405340"),
    (Kind::Encode, "e14975e439c4"),
    (Kind::Null, "d536f625194a"),
    (Kind::Ceiling, "bdf46c80ece5"),
    (Kind::Prediction, "d2360a9731ad"),
    (Kind::Redundancy, "9795e8a1b2aa"),
    (Kind::Polarity, "1dd62df4ac2f"),
    (Kind::Architecture, "f60112c4c7e5"),
    (Kind::Hierarchy, "b82d2811e6a2"),
    (Kind::Recovery, "1fe09adb09b2"),
    (Kind::Group, "034df439de07"),
    (Kind::Maps, "7b254b3ea500"),
    (Kind::Report, "2be2d1083301"),
];

#[test]
fn the_key_of_every_kind_is_pinned() {
    let mut first = BTreeMap::new();
    // What the tiny study does not ask: a ceiling, which needs runs that repeat one another, and what takes more than patterns.
    let more = "[statistics.architecture]\n\n[statistics.hierarchy]\norder = [\"visual\", \"language\"]\n\n[statistics.group]\n\n\
                [controls]\nwords = true\n\n[statistics.polarity]";
    let asked_more = edited(&tiny(), &[("[statistics.polarity]", more)]);
    for text in [tiny(), shown_twice(&tiny(), "4", "5"), asked_more] {
        let planned = Bench::new(&text).plan();
        for node in planned.plan.places().map(|place| planned.plan.node(place)) {
            first.entry(node.task.kind()).or_insert_with(|| node.recipe.short());
        }
    }
    let written: BTreeMap<Kind, String> = KEYS.iter().map(|(kind, key)| (*kind, (*key).to_owned())).collect();
    assert_eq!(first, written);
    assert_eq!(written.len(), Kind::ALL.len() - 1);
}

#[test]
fn every_task_is_read_as_it_was_written() {
    let more = "[statistics.architecture]\n\n[statistics.hierarchy]\norder = [\"visual\", \"language\"]\n\n[statistics.group]\n\n\
                [controls]\nwords = true\n\n[statistics.polarity]";
    let mut read = BTreeMap::new();
    for text in [tiny(), shown_twice(&tiny(), "4", "5"), edited(&tiny(), &[("[statistics.polarity]", more)])] {
        let planned = Bench::new(&text).plan();
        for place in planned.plan.places() {
            let node = planned.plan.node(place);
            assert_travels(&planned.plan, place);
            *read.entry(node.task.kind()).or_insert(0) += 1;
        }
    }
    assert_eq!(read.len(), Kind::ALL.len() - 1);
}

/// A task that goes to another machine as text is the same task there.
fn assert_travels(plan: &Plan, place: NodeIndex) {
    let node = plan.node(place);
    let order = Order::of(plan, place, |input| Digest::of(plan.node(input).id.as_str().as_bytes()));
    assert_eq!(order.manifest(), plan.manifest(place), "{}", node.id);
    let text = order.to_json().to_string();
    let read = Order::read(serde_json::from_str(&text).expect("JSON")).expect("an order under its own keys");
    assert_eq!(read.to_json(), order.to_json(), "{}", node.id);
    assert_eq!(read.task.engine(), node.task.engine(), "{}", node.id);
    assert_eq!(read.task.memory_bytes(), node.task.memory_bytes(), "{}", node.id);
    // Whatever of it is in the key, a worker that would compute something else refuses.
    let other = text.replace(&format!("\"{}\"", order.content), &format!("\"{}\"", Digest::of(b"other")));
    assert!(Order::read(serde_json::from_str(&other).expect("JSON")).is_err(), "{}", node.id);
}
