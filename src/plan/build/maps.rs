//! The tasks that write maps: a subject and a model each, and all subjects together.

use super::{Build, Inputs, SubjectTasks, answers::Answers};
use crate::{
    spec::{
        Model,
        written::{Encoding, Features},
    },
    task::maps::{WriteGroupMaps, WriteMaps},
};
use petgraph::graph::NodeIndex;

impl Build<'_, '_> {
    /// Maps of a subject and a model; none where voxels were predicted from single layers alone.
    pub(super) fn maps(
        &mut self,
        subject: &SubjectTasks,
        model: &Model,
        label: &str,
        answers: &Answers,
        architecture: Option<NodeIndex>,
    ) -> Option<NodeIndex> {
        let design = self.design;
        let mut inputs: Inputs = vec![("voxels", subject.voxels), ("encode", answers.encode?)];
        let shown = ["null", "ceiling", "hierarchy"];
        inputs.extend(answers.asked.iter().copied().filter(|(role, _)| shown.contains(role)));
        inputs.extend(architecture.map(|task| ("architecture", task)));
        let task = WriteMaps {
            subject: subject.name.clone(),
            model: model.name.clone(),
            label: label.to_owned(),
            features: self.main_features().to_owned(),
            has_patterns: design.encoding.features().contains(&Features::Patterns),
            has_t_values: matches!(design.encoding, Encoding::Ols(_)),
            test_runs: design.runs.iter().filter(|run| run.is_test).map(|run| run.name.clone()).collect(),
            scale: design.preparation.scale,
            n_grid_voxels: subject.n_grid_voxels,
            n_patterns: self.method(model).n_patterns(),
        };
        Some(self.plan.add(format!("maps/{}/{}", subject.name, model.name), task, &inputs, Vec::new()))
    }

    pub(super) fn group_maps(&mut self, subjects: &[SubjectTasks], labels: &[String], group: NodeIndex) -> NodeIndex {
        let names = self.design.models.iter().map(|model| model.name.clone());
        let task = WriteGroupMaps {
            subjects: subjects.iter().map(|subject| subject.name.clone()).collect(),
            models: names.zip(labels.iter().cloned()).collect(),
            features: self.main_features().to_owned(),
            n_grid_voxels: subjects[0].n_grid_voxels,
        };
        self.plan.add("maps/group", task, &[("voxels", subjects[0].voxels), ("group", group)], Vec::new())
    }

    /// What maps come from, in words.
    fn main_features(&self) -> &'static str {
        if matches!(self.design.encoding, Encoding::Banded(_)) { "bands" } else { "patterns" }
    }
}
