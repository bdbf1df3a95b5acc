//! The tasks of subjects: simulation where there are no scans, voxels, prepared runs.

use super::{Build, Inputs, ModelTasks, SubjectTasks};
use crate::{
    brain::prepare::nuisance::sidecar_path,
    format::runs::{RunFiles, SeriesKind},
    math::series::Hrf,
    plan::{ExternalFile, PlanError},
    spec::{RecordedSubject, Run, Subjects, written::Rest},
    stimulus::Event,
    task::{
        bold::PrepareRun,
        groups::TellGroups,
        mask::ChooseVoxels,
        simulate::{RunToSimulate, SimulateSubject},
    },
};
use petgraph::graph::NodeIndex;
use std::path::Path;

impl Build<'_, '_> {
    /// Every subject of the study.
    pub(super) fn subjects(
        &mut self,
        models: &[ModelTasks],
        patterns: &[Option<NodeIndex>],
    ) -> Result<Vec<SubjectTasks>, PlanError> {
        let design = self.design;
        match &design.subjects {
            Subjects::Simulated { names, model, brain } => {
                let place =
                    design.models.iter().position(|known| known.name == *model).expect("the check found the model");
                // What drives a simulated brain is no choice of the analysis: always the whole run and the canonical response.
                let driver = &design.models[place];
                let series = self.series(driver, &models[place].modules, Hrf::Glover, 0.0, Rest::Keep, "/simulation");
                let n_grid_voxels = brain.shape.iter().product();
                let mut subjects = Vec::new();
                for name in names {
                    let task = SimulateSubject {
                        subject: name.clone(),
                        brain: brain.clone(),
                        repetition_time_s: design.repetition_time_s,
                        runs: self.runs_to_simulate(),
                        units: driver.modules.iter().map(|units| (units.module.to_string(), units.layers())).collect(),
                        longest_tr: design.runs.iter().map(|run| run.n_tr).max().unwrap_or_default(),
                    };
                    let mut inputs: Inputs = series.iter().flatten().map(|series| ("series", *series)).collect();
                    if design.plants_patterns() {
                        // The check found that patterns are learned from the same series.
                        inputs.extend(patterns[place].map(|patterns| ("patterns", patterns)));
                    }
                    let dataset = self.plan.add(format!("simulate/{name}"), task, &inputs, Vec::new());
                    subjects.push(self.simulated_subject(name, dataset, n_grid_voxels)?);
                }
                Ok(subjects)
            }
            Subjects::Recorded { subjects, labels, table, .. } => {
                let atlas = (labels.as_path(), table.as_deref());
                subjects.iter().map(|subject| self.recorded_subject(subject, atlas)).collect()
            }
        }
    }

    fn runs_to_simulate(&self) -> Vec<RunToSimulate> {
        let schedule = &self.design.schedule;
        let image =
            |place: usize| schedule.images[place].file().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let cells = |event: &Event| {
            (
                event.onset_s,
                event.duration_s,
                event.image.map(image),
                event.text.map(|place| schedule.texts[place].clone()),
            )
        };
        let runs = self.design.runs.iter().zip(&schedule.runs);
        runs.map(|(run, events)| RunToSimulate { name: run.name.clone(), events: events.iter().map(cells).collect() })
            .collect()
    }

    fn simulated_subject(
        &mut self,
        name: &str,
        dataset: NodeIndex,
        n_grid_voxels: usize,
    ) -> Result<SubjectTasks, PlanError> {
        let design = self.design;
        // The schematic brain is an ellipsoid within the grid: less than half of it.
        let n_brain_voxels = n_grid_voxels / 2;
        let task = ChooseVoxels {
            subject: Some(name.to_owned()),
            voxels: design.voxels.clone(),
            options: design.atlas.clone(),
            caveats: Vec::new(),
            n_places: n_grid_voxels,
        };
        let voxels = self.plan.add(format!("mask/{name}"), task, &[("dataset", dataset)], Vec::new());
        let groups = self.groups(name, voxels, n_brain_voxels);
        let mut bold = Vec::new();
        for run in &design.runs {
            let task = PrepareRun {
                simulated: Some((name.to_owned(), run.name.clone())),
                preparation: design.preparation.clone(),
                repetition_time_s: design.repetition_time_s,
                kind: SeriesKind::Volume,
                name: format!("{name} run-{}", run.name),
                n_tr: run.n_tr,
                n_grid_voxels,
                n_brain_voxels,
            };
            let files = run.clips.iter().map(|path| self.file("clips", path)).collect::<Result<Vec<_>, _>>()?;
            let inputs = [("voxels", voxels), ("dataset", dataset)];
            bold.push(self.plan.add(format!("bold/{name}/run-{}", run.name), task, &inputs, files));
        }
        let dataset = Some(dataset);
        Ok(SubjectTasks { name: name.to_owned(), voxels, groups, bold, dataset, n_grid_voxels, n_brain_voxels })
    }

    /// What fits know of a subject's voxels.
    fn groups(&mut self, name: &str, voxels: NodeIndex, n_voxels: usize) -> NodeIndex {
        let task = TellGroups { subject: name.to_owned(), n_voxels };
        self.plan.add(format!("groups/{name}"), task, &[("voxels", voxels)], Vec::new())
    }

    fn recorded_subject(
        &mut self,
        subject: &RecordedSubject,
        atlas: (&Path, Option<&Path>),
    ) -> Result<SubjectTasks, PlanError> {
        let design = self.design;
        let (name, n_grid_voxels, n_brain_voxels) = (&subject.name, subject.n_grid_voxels, subject.n_brain_voxels);
        let (labels, table) = atlas;
        let mut files = vec![self.file("labels", labels)?];
        if let Some(table) = table {
            files.push(self.file("table", table)?);
        }
        for run in &subject.runs {
            if let Some(mask) = &run.mask {
                files.push(self.file("brain-mask", mask)?);
            }
        }
        if let Some(run) = subject.runs.iter().find(|run| run.kind == SeriesKind::Grayordinates) {
            // Its places stand in every series; all runs have the same.
            files.push(self.file("places", &run.bold)?);
        }
        let task = ChooseVoxels {
            subject: None,
            voxels: design.voxels.clone(),
            options: design.atlas.clone(),
            caveats: subject.caveats.clone(),
            n_places: n_grid_voxels,
        };
        let voxels = self.plan.add(format!("mask/{name}"), task, &[], files);
        let groups = self.groups(name, voxels, n_brain_voxels);
        let mut bold = Vec::new();
        for (run, found) in design.runs.iter().zip(&subject.runs) {
            let files = self.files_of_run(run, found)?;
            let task = PrepareRun {
                simulated: None,
                preparation: design.preparation.clone(),
                repetition_time_s: design.repetition_time_s,
                kind: found.kind,
                name: found.name.clone(),
                n_tr: run.n_tr,
                n_grid_voxels,
                n_brain_voxels,
            };
            bold.push(self.plan.add(format!("bold/{name}/run-{}", run.name), task, &[("voxels", voxels)], files));
        }
        Ok(SubjectTasks { name: name.clone(), voxels, groups, bold, dataset: None, n_grid_voxels, n_brain_voxels })
    }

    /// Everything on disk that the preparation of a run reads.
    fn files_of_run(&mut self, run: &Run, found: &RunFiles) -> Result<Vec<ExternalFile>, PlanError> {
        let mut files = vec![self.file("bold", &found.bold)?];
        if let (SeriesKind::Matrix, Some(mask)) = (found.kind, &found.mask) {
            files.push(self.file("columns", mask)?);
        }
        let preparation = &self.design.preparation;
        if let Some(confounds) = found.confounds.as_ref().filter(|_| preparation.needs_table()) {
            files.push(self.file("confounds", confounds)?);
            if preparation.needs_sidecar() {
                files.push(self.file("confounds-json", &sidecar_path(confounds))?);
            }
        }
        if let Some(clips) = &run.clips {
            files.push(self.file("clips", clips)?);
        }
        Ok(files)
    }
}
