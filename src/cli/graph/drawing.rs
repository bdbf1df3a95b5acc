//! What is drawn of a plan: boxes and arrows, a box for each task or for all tasks of a kind that stand alike.

use crate::{
    cli::{
        blocked::Blocked,
        estimate::Estimates,
        open::OpenStudy,
        words::{counted, duration, size},
    },
    plan::{Reason, Standing},
    task::Kind,
};
use petgraph::graph::NodeIndex;
use std::collections::BTreeMap;

/// How a task stands, as a reader of a picture sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Cached,
    Runs,
    Follows,
    Blocked,
    Unneeded,
}

impl State {
    pub(super) const ALL: [Self; 5] = [Self::Cached, Self::Runs, Self::Follows, Self::Blocked, Self::Unneeded];

    /// One word, also the name of a class.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Runs => "runs",
            Self::Follows => "follows",
            Self::Blocked => "blocked",
            Self::Unneeded => "unneeded",
        }
    }

    pub(super) fn fill(self) -> &'static str {
        match self {
            Self::Cached => "#cfe8d5",
            Self::Runs => "#f9d2b8",
            Self::Follows => "#fdf0c4",
            Self::Blocked => "#e6d6f2",
            Self::Unneeded => "#f0f0f0",
        }
    }

    fn of(open: &OpenStudy, blocked: &Blocked, place: NodeIndex) -> Self {
        match open.assessment.standing(place) {
            _ if blocked.reason(place).is_some() => Self::Blocked,
            Standing::Cached { .. } => Self::Cached,
            Standing::Unneeded => Self::Unneeded,
            Standing::Runs(Reason::After(_)) => Self::Follows,
            Standing::Runs(_) => Self::Runs,
        }
    }
}

/// A box.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// What it is, unlike any other.
    pub(super) name: String,
    /// A second line; may be empty.
    pub(super) detail: String,
    pub(super) state: State,
    /// What is said of it where there is room.
    pub(super) tooltip: String,
}

/// Boxes, and arrows between them by place, with the number of inputs that each stands for.
#[derive(Clone, Debug, Default)]
pub(super) struct Drawing {
    pub(super) nodes: Vec<Node>,
    pub(super) edges: BTreeMap<(usize, usize), usize>,
}

impl Drawing {
    /// A box for each task.
    pub(super) fn by_task(open: &OpenStudy, estimates: &Estimates, blocked: &Blocked) -> Self {
        let mut drawing = Self::default();
        for place in open.plan.places() {
            let node = open.plan.node(place);
            let state = State::of(open, blocked, place);
            let reason = match open.assessment.standing(place) {
                _ if let Some(reason) = blocked.reason(place) => format!(": {reason}"),
                Standing::Runs(reason) => format!(": {reason}"),
                _ => String::new(),
            };
            let time = estimates.of(place).map_or("unknown time".to_owned(), |s| format!("about {}", duration(s)));
            drawing.nodes.push(Node {
                name: node.id.to_string(),
                detail: String::new(),
                state,
                tooltip: format!("{}\n{}{reason}\n{}, {time}", node.id, state.name(), size(node.task.memory_bytes())),
            });
            for (_, input) in open.plan.inputs(place) {
                *drawing.edges.entry((input.index(), place.index())).or_default() += 1;
            }
        }
        drawing
    }

    /// A box for all tasks of a kind that stand alike.
    pub(super) fn by_kind(open: &OpenStudy, estimates: &Estimates, blocked: &Blocked) -> Self {
        Self::grouped(open, |place| State::of(open, blocked, place), |place| estimates.of(place))
    }

    /// A box for all tasks of a kind, of a study whose results are all there, whichever run they are from.
    pub(super) fn of_results(open: &OpenStudy) -> Self {
        let seconds = |place| open.store.remembered(&open.plan.node(place).recipe).map(|record| record.run.seconds);
        Self::grouped(open, |_| State::Cached, seconds)
    }

    fn grouped(
        open: &OpenStudy,
        state: impl Fn(NodeIndex) -> State,
        seconds_of: impl Fn(NodeIndex) -> Option<f64>,
    ) -> Self {
        let mut groups: BTreeMap<(Kind, State), (usize, Option<f64>)> = BTreeMap::new();
        let key = |place: NodeIndex| (open.plan.node(place).task.kind(), state(place));
        let keys: Vec<(Kind, State)> = open.plan.places().map(key).collect();
        for place in open.plan.places() {
            let (n, seconds) = groups.entry(keys[place.index()]).or_insert((0, Some(0.0)));
            *n += 1;
            *seconds = seconds.and_then(|sum| Some(sum + seconds_of(place)?));
        }
        let places: BTreeMap<(Kind, State), usize> = groups.keys().enumerate().map(|(at, key)| (*key, at)).collect();
        let node = |((kind, state), (n, seconds)): (&(Kind, State), &(usize, Option<f64>))| {
            let time =
                seconds.map_or("unknown time".to_owned(), |seconds| format!("about {} of work", duration(seconds)));
            Node {
                name: format!("{kind} {}", state.name()),
                detail: counted(*n, "task"),
                state: *state,
                tooltip: format!("{} {kind}, {}\n{time}", counted(*n, "task"), state.name()),
            }
        };
        let mut drawing = Self { nodes: groups.iter().map(node).collect(), edges: BTreeMap::new() };
        for place in open.plan.places() {
            for (_, input) in open.plan.inputs(place) {
                let ends = (places[&keys[input.index()]], places[&keys[place.index()]]);
                *drawing.edges.entry(ends).or_default() += 1;
            }
        }
        drawing
    }
}
