//! Tasks that would run but cannot here, since this machine lacks what they need: they, and all that needs their results.

use super::open::OpenStudy;
use crate::{plan::Standing, task::Kind};
use petgraph::graph::NodeIndex;

/// Why tasks cannot run here, by place.
#[derive(Clone, Debug)]
pub(super) struct Blocked {
    reasons: Vec<Option<String>>,
}

impl Blocked {
    pub(super) fn new(open: &OpenStudy) -> Self {
        let mut reasons: Vec<Option<String>> = vec![None; open.plan.len()];
        if open.runtime.is_err() {
            for place in
                open.plan.places().filter(|place| matches!(open.assessment.standing(*place), Standing::Runs(_)))
            {
                let lost = |input: &NodeIndex| reasons[input.index()].is_some();
                let inputs = open.plan.inputs(place);
                reasons[place.index()] = match inputs.iter().map(|(_, input)| *input).find(lost) {
                    Some(input) => Some(format!("needs {}", open.plan.node(input).id)),
                    None if open.plan.node(place).task.kind() == Kind::Extract => {
                        Some("ONNX Runtime was not found".to_owned())
                    }
                    None => None,
                };
            }
        }
        Self { reasons }
    }

    /// Why the task at a place cannot run here; absent if it can, or need not.
    pub(super) fn reason(&self, place: NodeIndex) -> Option<&str> {
        self.reasons[place.index()].as_deref()
    }

    /// How many tasks cannot run.
    pub(super) fn n(&self) -> usize {
        self.reasons.iter().flatten().count()
    }
}
