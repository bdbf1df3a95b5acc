//! The tasks that compare what fits say: branches and models within a subject, what was planted, subjects with each other.

use super::{
    Build, Inputs, SubjectTasks,
    answers::{Answers, layers_of},
};
use crate::{
    spec::{
        GroupTests, Subjects,
        written::{Architecture, Significance},
    },
    task::{architecture::MeasureArchitecture, group::TestGroup, recovery::MeasureRecovery},
};
use petgraph::graph::NodeIndex;

impl Build<'_, '_> {
    /// What branches explain and how models differ, in one subject.
    pub(super) fn architecture(
        &mut self,
        options: &Architecture,
        subject: &SubjectTasks,
        answers: &[Answers],
        patterns: &[Option<NodeIndex>],
    ) -> NodeIndex {
        let design = self.design;
        let models = design.models.iter().zip(answers);
        let task = MeasureArchitecture {
            options: options.clone(),
            models: models
                .map(|(model, answers)| {
                    let names = if answers.branches.is_empty() { Vec::new() } else { model.branches() };
                    (model.name.clone(), names.into_iter().map(|(name, _)| name).collect())
                })
                .collect(),
            has_patterns: patterns.iter().all(Option::is_some),
            fdr: design.significance.as_ref().map(|options| options.fdr),
            n_patterns: design.models.iter().map(|model| self.method(model).n_patterns()).sum(),
            n_voxels: subject.n_brain_voxels,
        };
        let mut inputs: Inputs = vec![("voxels", subject.voxels)];
        for answers in answers {
            inputs.extend(answers.encode.map(|encode| ("encode", encode)));
            inputs.extend(answers.branches.iter().map(|branch| ("branches", *branch)));
        }
        self.plan.add(format!("architecture/{}", subject.name), task, &inputs, Vec::new())
    }

    /// How much of what was planted is found again, if the subject is simulated.
    pub(super) fn recovery(
        &mut self,
        subject: &SubjectTasks,
        answers: &[Answers],
        patterns: &[Option<NodeIndex>],
        architecture: Option<NodeIndex>,
    ) -> Option<NodeIndex> {
        let design = self.design;
        let (dataset, Subjects::Simulated { model, .. }) = (subject.dataset?, &design.subjects) else { return None };
        let place = design.models.iter().position(|known| known.name == *model)?;
        let (driver, answers) = (&design.models[place], &answers[place]);
        let task = MeasureRecovery {
            model: driver.name.clone(),
            modules: if answers.layers.is_empty() { Vec::new() } else { layers_of(driver) },
            fdr: design.significance.as_ref().map_or(Significance::default().fdr, |options| options.fdr),
            n_voxels: subject.n_brain_voxels,
        };
        let mut inputs: Inputs = vec![("dataset", dataset), ("voxels", subject.voxels)];
        inputs.extend(answers.layers.iter().map(|layer| ("layers", *layer)));
        inputs.extend(architecture.map(|task| ("architecture", task)));
        inputs.extend(answers.asked.iter().copied().filter(|(role, _)| ["redundancy", "polarity"].contains(role)));
        inputs.extend(patterns[place].map(|patterns| ("patterns", patterns)));
        Some(self.plan.add(format!("recovery/{}", subject.name), task, &inputs, Vec::new()))
    }

    /// Everything over subjects.
    pub(super) fn group(&mut self, options: &GroupTests, subjects: &[SubjectTasks], inputs: &Inputs) -> NodeIndex {
        let design = self.design;
        let n_subjects = subjects.len().max(1);
        let task = TestGroup {
            subjects: subjects.iter().map(|subject| subject.name.clone()).collect(),
            models: design.models.iter().map(|model| model.name.clone()).collect(),
            families: options.families.clone(),
            n_permutations: options.n_permutations,
            seed: options.seed,
            has_maps: inputs.iter().any(|(role, _)| *role == "encode"),
            n_findings: inputs.iter().filter(|(role, _)| *role == "findings").count() / n_subjects,
            n_voxels: subjects.iter().map(|subject| subject.n_brain_voxels).max().unwrap_or_default(),
        };
        self.plan.add("group", task, inputs, Vec::new())
    }
}
