//! A checked study -> the tasks that answer it, wired.
//!
//! Reads as the study does: models, stimuli, unit series, brains, patterns, fits, statistics, report. A task asks for what
//! it needs by role; the order of inputs within a role is the order in which they are pushed here.

use super::{ExternalFile, Plan, PlanError, Role, methods};
use crate::{
    math::series::Hrf,
    model::Module,
    spec::{
        Model, ModelSource, ModuleUnits, RecordedSubject, Study, Subjects,
        written::{Blocks, Features, Folds, Patterns, Rest},
    },
    stimulus::Event,
    store::FileDigests,
    task::{
        bold::PrepareRun,
        encode::{Encode, EncodeFeatures, RidgeParameters},
        export::Export,
        extract::{Extract, Shard},
        mask::ChooseVoxels,
        null::PermuteBlocks,
        pattern::{LearnPatterns, Method},
        polarity::MeasurePolarity,
        redundancy::MeasureRedundancy,
        report::{Gather, GatheredModel},
        series::UnitSeries,
        simulate::{RunToSimulate, SimulateSubject},
        stimuli::DrawScenes,
        weights::DrawWeights,
    },
};
use petgraph::graph::NodeIndex;
use std::path::Path;

/// Stimuli of one extraction task: an edit of a few stimuli recomputes few, and loading the network costs little beside.
const SHARD: usize = 64;

/// Inputs of a task, as they are gathered.
type Inputs = Vec<(Role, NodeIndex)>;

/// Plans a study; `runtime` is the version of ONNX Runtime that extraction would use.
///
/// # Errors
/// If a file that the study names cannot be hashed.
pub fn plan_study(study: &Study, files: &FileDigests, runtime: &str) -> Result<Plan, PlanError> {
    let mut build = Build { study, files, runtime, plan: Plan::default() };
    build.study()?;
    Ok(build.plan)
}

struct Build<'a> {
    study: &'a Study,
    files: &'a FileDigests,
    runtime: &'a str,
    plan: Plan,
}

/// The unit series of a model: by run, then by module.
type ModelSeries = Vec<Vec<NodeIndex>>;

/// What is known of a module before its series are made.
struct ModuleTasks {
    export: NodeIndex,
    shards: Vec<NodeIndex>,
}

/// The tasks of a model.
struct ModelTasks {
    modules: Vec<ModuleTasks>,
    series: ModelSeries,
    patterns: Option<NodeIndex>,
}

/// The tasks of a subject.
struct SubjectTasks {
    name: String,
    voxels: NodeIndex,
    bold: Vec<NodeIndex>,
    n_grid_voxels: usize,
    n_brain_voxels: usize,
}

impl Build<'_> {
    fn study(&mut self) -> Result<(), PlanError> {
        let scenes = self.study.scenes.as_ref().map(|generate| {
            let task = DrawScenes {
                seed: generate.seed,
                n_images: self.study.schedule.images.len(),
                image_size_px: generate.image_size_px,
            };
            self.plan.add("stimuli", task, &[], Vec::new())
        });
        let mut models = Vec::new();
        for model in &self.study.models {
            models.push(self.model(model, scenes)?);
        }
        let subjects = self.subjects(&models)?;
        self.report(&models, &subjects);
        Ok(())
    }

    fn model(&mut self, model: &Model, scenes: Option<NodeIndex>) -> Result<ModelTasks, PlanError> {
        let weights = match &model.source {
            ModelSource::Folder(_) => None,
            ModelSource::Random(random) => {
                let task = DrawWeights {
                    random: random.clone(),
                    weights_bytes: model.modules.iter().map(|module| module.weights_bytes).sum(),
                };
                Some(self.plan.add(format!("weights/{}", model.name), task, &[], Vec::new()))
            }
        };
        let mut modules = Vec::new();
        for units in &model.modules {
            let export = self.export(model, units, weights)?;
            let shards = self.extract(model, units, export, scenes)?;
            modules.push(ModuleTasks { export, shards });
        }
        let series = self.series(model, &modules, self.study.hrf, self.study.trim_start_s, self.study.rest, "");
        let has_patterns = self.study.encoding.features.contains(&Features::Patterns);
        let patterns = has_patterns.then(|| self.patterns(model, &modules, &series));
        Ok(ModelTasks { modules, series, patterns })
    }

    fn export(
        &mut self,
        model: &Model,
        units: &ModuleUnits,
        weights: Option<NodeIndex>,
    ) -> Result<NodeIndex, PlanError> {
        let files = match &model.source {
            ModelSource::Folder(folder) => {
                let names = model.files(units.module);
                names.iter().map(|name| self.file("weights", &folder.join(name))).collect::<Result<_, _>>()?
            }
            ModelSource::Random(_) => Vec::new(),
        };
        let inputs: Inputs = weights.into_iter().map(|weights| ("weights", weights)).collect();
        let task = Export {
            model: model.name.clone(),
            module: units.module,
            units: self.study.units.clone(),
            weights_bytes: units.weights_bytes,
        };
        Ok(self.plan.add(format!("export/{}/{}", model.name, units.module), task, &inputs, files))
    }

    fn extract(
        &mut self,
        model: &Model,
        units: &ModuleUnits,
        export: NodeIndex,
        scenes: Option<NodeIndex>,
    ) -> Result<Vec<NodeIndex>, PlanError> {
        let schedule = &self.study.schedule;
        let total = match units.module {
            Module::Vision => schedule.images.len(),
            Module::Text => schedule.texts.len(),
        };
        let mut shards = Vec::new();
        for (number, first) in (0..total).step_by(SHARD).enumerate() {
            let range = first..(first + SHARD).min(total);
            let mut inputs: Inputs = vec![("network", export)];
            let mut files = Vec::new();
            let stimuli = match (units.module, scenes) {
                (Module::Text, _) => Shard::Texts(schedule.texts[range].to_vec()),
                (Module::Vision, Some(scenes)) => {
                    inputs.push(("stimuli", scenes));
                    Shard::Scenes { first, n: range.len() }
                }
                (Module::Vision, None) => {
                    for image in &schedule.images[range.clone()] {
                        files.push(self.file("images", image)?);
                    }
                    Shard::Images { n: range.len() }
                }
            };
            let task = Extract {
                stimuli,
                runtime: self.runtime.to_owned(),
                n_units: units.n_units(),
                weights_bytes: units.weights_bytes,
            };
            shards.push(self.plan.add(
                format!("extract/{}/{}/{number:03}", model.name, units.module),
                task,
                &inputs,
                files,
            ));
        }
        Ok(shards)
    }

    fn series(
        &mut self,
        model: &Model,
        modules: &[ModuleTasks],
        hrf: Hrf,
        trim_start_s: f64,
        rest: Rest,
        suffix: &str,
    ) -> ModelSeries {
        let study = self.study;
        let mut by_run = Vec::new();
        for (run, events) in study.runs.iter().zip(&study.schedule.runs) {
            let mut of_run = Vec::new();
            for (units, tasks) in model.modules.iter().zip(modules) {
                let stimulus = |event: &Event| match units.module {
                    Module::Vision => event.image,
                    Module::Text => event.text,
                };
                let task = UnitSeries {
                    events: events
                        .iter()
                        .filter_map(|event| Some((event.onset_s, event.duration_s, stimulus(event)?)))
                        .collect(),
                    n_tr: run.n_tr,
                    repetition_time_s: study.repetition_time_s,
                    hrf,
                    trim_start_s,
                    rest,
                    n_stimuli: study.schedule.images.len().max(study.schedule.texts.len()),
                    n_units: units.n_units(),
                };
                let inputs: Inputs = tasks.shards.iter().map(|shard| ("units", *shard)).collect();
                let id = format!("series/{}/{}/run-{}{suffix}", model.name, units.module, run.name);
                of_run.push(self.plan.add(id, task, &inputs, Vec::new()));
            }
            by_run.push(of_run);
        }
        by_run
    }

    fn patterns(&mut self, model: &Model, modules: &[ModuleTasks], series: &ModelSeries) -> NodeIndex {
        let task = LearnPatterns {
            method: self.method(),
            n_train_runs: self.n_train_runs(),
            n_runs: self.study.runs.len(),
            n_modules: modules.len(),
            n_samples: self.n_samples(),
            n_units: model.n_units(),
        };
        let mut inputs: Inputs = series.iter().flatten().map(|series| ("series", *series)).collect();
        inputs.extend(modules.iter().map(|module| ("network", module.export)));
        self.plan.add(format!("pattern/{}", model.name), task, &inputs, Vec::new())
    }

    fn method(&self) -> Method {
        match &self.study.patterns {
            Patterns::Dictionary(dictionary) => Method::Dictionary {
                n_patterns: dictionary.n_patterns,
                penalty: dictionary.penalty,
                seed: dictionary.seed,
                max_epochs: dictionary.max_epochs,
                tolerance: dictionary.tolerance,
            },
            Patterns::Pca(components) => Method::Pca { n_patterns: components.n_patterns },
        }
    }

    fn subjects(&mut self, models: &[ModelTasks]) -> Result<Vec<SubjectTasks>, PlanError> {
        let study = self.study;
        match &study.subjects {
            Subjects::Simulated { names, model, brain } => {
                let place =
                    study.models.iter().position(|known| known.name == *model).expect("the check found the model");
                // What drives a simulated brain is no choice of the analysis: always the whole run and the canonical response.
                let driver = &study.models[place];
                let series = self.series(driver, &models[place].modules, Hrf::Glover, 0.0, Rest::Keep, "/simulation");
                let n_grid_voxels = brain.shape.iter().product();
                let mut subjects = Vec::new();
                for name in names {
                    let task = SimulateSubject {
                        subject: name.clone(),
                        brain: brain.clone(),
                        repetition_time_s: study.repetition_time_s,
                        runs: self.runs_to_simulate(),
                        units: driver
                            .modules
                            .iter()
                            .map(|units| (units.module.to_string(), units.layers.clone(), units.units_per_layer))
                            .collect(),
                        longest_tr: study.runs.iter().map(|run| run.n_tr).max().unwrap_or_default(),
                    };
                    let inputs: Inputs = series.iter().flatten().map(|series| ("series", *series)).collect();
                    let dataset = self.plan.add(format!("simulate/{name}"), task, &inputs, Vec::new());
                    subjects.push(self.simulated_subject(name, dataset, n_grid_voxels));
                }
                Ok(subjects)
            }
            Subjects::Recorded { subjects, labels, table } => {
                subjects.iter().map(|subject| self.recorded_subject(subject, labels, table)).collect()
            }
        }
    }

    fn runs_to_simulate(&self) -> Vec<RunToSimulate> {
        let schedule = &self.study.schedule;
        let image =
            |place: usize| schedule.images[place].file_name().unwrap_or_default().to_string_lossy().into_owned();
        let cells = |event: &Event| {
            (
                event.onset_s,
                event.duration_s,
                event.image.map(image),
                event.text.map(|place| schedule.texts[place].clone()),
            )
        };
        let runs = self.study.runs.iter().zip(&schedule.runs);
        runs.map(|(run, events)| RunToSimulate { name: run.name.clone(), events: events.iter().map(cells).collect() })
            .collect()
    }

    fn simulated_subject(&mut self, name: &str, dataset: NodeIndex, n_grid_voxels: usize) -> SubjectTasks {
        let study = self.study;
        // The schematic brain is an ellipsoid within the grid: less than half of it.
        let n_brain_voxels = n_grid_voxels / 2;
        let task = ChooseVoxels { subject: Some(name.to_owned()), voxels: study.voxels.clone(), n_grid_voxels };
        let voxels = self.plan.add(format!("mask/{name}"), task, &[("dataset", dataset)], Vec::new());
        let mut bold = Vec::new();
        for run in &study.runs {
            let task = PrepareRun {
                simulated: Some((name.to_owned(), run.name.clone())),
                preparation: study.preparation.clone(),
                repetition_time_s: study.repetition_time_s,
                name: format!("{name} run-{}", run.name),
                n_tr: run.n_tr,
                n_grid_voxels,
                n_brain_voxels,
            };
            bold.push(self.plan.add(
                format!("bold/{name}/run-{}", run.name),
                task,
                &[("voxels", voxels), ("dataset", dataset)],
                Vec::new(),
            ));
        }
        SubjectTasks { name: name.to_owned(), voxels, bold, n_grid_voxels, n_brain_voxels }
    }

    fn recorded_subject(
        &mut self,
        subject: &RecordedSubject,
        labels: &Path,
        table: &Path,
    ) -> Result<SubjectTasks, PlanError> {
        let study = self.study;
        let (name, n_grid_voxels, n_brain_voxels) = (&subject.name, subject.n_grid_voxels, subject.n_brain_voxels);
        let mut files = vec![self.file("labels", labels)?, self.file("table", table)?];
        for run in &subject.runs {
            files.push(self.file("brain-mask", &run.mask)?);
        }
        let task = ChooseVoxels { subject: None, voxels: study.voxels.clone(), n_grid_voxels };
        let voxels = self.plan.add(format!("mask/{name}"), task, &[], files);
        let mut bold = Vec::new();
        for (run, found) in study.runs.iter().zip(&subject.runs) {
            let mut files = vec![self.file("bold", &found.bold)?];
            if let Some(confounds) = found.confounds.as_ref().filter(|_| study.preparation.needs_table()) {
                files.push(self.file("confounds", confounds)?);
            }
            let task = PrepareRun {
                simulated: None,
                preparation: study.preparation.clone(),
                repetition_time_s: study.repetition_time_s,
                name: found.name.clone(),
                n_tr: run.n_tr,
                n_grid_voxels,
                n_brain_voxels,
            };
            bold.push(self.plan.add(format!("bold/{name}/run-{}", run.name), task, &[("voxels", voxels)], files));
        }
        Ok(SubjectTasks { name: name.clone(), voxels, bold, n_grid_voxels, n_brain_voxels })
    }

    fn report(&mut self, models: &[ModelTasks], subjects: &[SubjectTasks]) {
        let study = self.study;
        let mut inputs: Inputs = Vec::new();
        for subject in subjects {
            inputs.push(("voxels", subject.voxels));
            inputs.extend(subject.bold.iter().map(|run| ("bold", *run)));
        }
        for tasks in models {
            inputs.extend(tasks.patterns.iter().map(|patterns| ("patterns", *patterns)));
            inputs.extend(tasks.series.iter().flatten().map(|series| ("series", *series)));
        }
        for subject in subjects {
            for (model, tasks) in study.models.iter().zip(models) {
                if let Some(patterns) = tasks.patterns {
                    inputs.extend(self.questions(subject, model, patterns));
                }
                if study.encoding.features.contains(&Features::Layers) {
                    inputs.extend(self.layers(subject, model, tasks));
                }
            }
        }
        let has = |feature| study.encoding.features.contains(&feature);
        let gathered = |model: &Model| GatheredModel {
            name: model.name.clone(),
            modules: model.modules.iter().map(|units| (units.module.to_string(), units.layers.clone())).collect(),
        };
        let task = Gather {
            subjects: subjects.iter().map(|subject| subject.name.clone()).collect(),
            models: study.models.iter().map(gathered).collect(),
            runs: study.runs.iter().map(|run| (run.name.clone(), run.n_tr)).collect(),
            repetition_time_s: study.repetition_time_s,
            has_patterns: has(Features::Patterns),
            has_layers: has(Features::Layers),
            fdr: study.significance.as_ref().map(|options| options.fdr),
            has_redundancy: study.redundancy.is_some(),
            has_polarity: study.polarity.is_some(),
            methods: methods::paragraphs(study),
            seeds: methods::seeds(study),
            runtime: self.runtime.to_owned(),
            n_grid_voxels: subjects.iter().map(|subject| subject.n_grid_voxels).max().unwrap_or_default(),
        };
        self.plan.add("report", task, &inputs, Vec::new());
    }

    /// The fit on patterns and everything that is asked of it.
    fn questions(&mut self, subject: &SubjectTasks, model: &Model, patterns: NodeIndex) -> Inputs {
        let study = self.study;
        let (n_patterns, n_units, n_voxels) = (self.method().n_patterns(), model.n_units(), subject.n_brain_voxels);
        let name = |kind: &str| format!("{kind}/{}/{}", subject.name, model.name);
        let bold: Inputs = subject.bold.iter().map(|run| ("bold", *run)).collect();
        let fit_inputs = [bold.as_slice(), &[("patterns", patterns)]].concat();
        let task = self.encode(EncodeFeatures::Patterns, n_patterns, n_voxels);
        let encode = self.plan.add(name("encode") + "/patterns", task, &fit_inputs, Vec::new());
        let mut asked = vec![("encode", encode)];
        if let Some(options) = &study.significance {
            let task = PermuteBlocks {
                n_permutations: options.n_permutations,
                block_tr: self.volumes(options.block_s).max(1),
                fdr: options.fdr,
                seed: options.seed,
                n_train_runs: self.n_train_runs(),
                n_samples: self.n_samples(),
                n_voxels,
            };
            let inputs = [fit_inputs.as_slice(), &[("encode", encode)]].concat();
            asked.push(("null", self.plan.add(name("null"), task, &inputs, Vec::new())));
        }
        let inputs: Inputs = vec![("encode", encode), ("patterns", patterns), ("voxels", subject.voxels)];
        if let Some(options) = study.redundancy.clone() {
            let task = MeasureRedundancy { options, n_patterns, n_units, n_voxels };
            asked.push(("redundancy", self.plan.add(name("redundancy"), task, &inputs, Vec::new())));
        }
        if let Some(options) = study.polarity.clone() {
            let task = MeasurePolarity { options, n_patterns, n_units, n_voxels };
            asked.push(("polarity", self.plan.add(name("polarity"), task, &inputs[..2], Vec::new())));
        }
        asked
    }

    /// One fit for each layer of each module.
    fn layers(&mut self, subject: &SubjectTasks, model: &Model, tasks: &ModelTasks) -> Inputs {
        let mut fits = Vec::new();
        for (place, units) in model.modules.iter().enumerate() {
            let mut inputs: Inputs = subject.bold.iter().map(|run| ("bold", *run)).collect();
            inputs.extend(tasks.series.iter().map(|of_run| ("series", of_run[place])));
            for (column, layer) in units.layers.iter().enumerate() {
                let features = EncodeFeatures::Layer {
                    first_unit: column * units.units_per_layer,
                    n_units: units.units_per_layer,
                };
                let task = self.encode(features, units.units_per_layer, subject.n_brain_voxels);
                let id = format!("encode/{}/{}/{}/layer-{layer:02}", subject.name, model.name, units.module);
                fits.push(("layers", self.plan.add(id, task, &inputs, Vec::new())));
            }
        }
        fits
    }

    fn encode(&self, features: EncodeFeatures, n_features: usize, n_voxels: usize) -> Encode {
        let encoding = &self.study.encoding;
        let gap_tr = match encoding.folds {
            Folds::Runs => 0,
            Folds::Blocks(Blocks { gap_s, .. }) => self.volumes(gap_s),
        };
        let ridge = RidgeParameters {
            alphas: encoding.alphas.clone(),
            alpha: encoding.alpha,
            folds: encoding.folds,
            score: encoding.score,
        };
        Encode {
            features,
            ridge,
            n_train_runs: self.n_train_runs(),
            gap_tr,
            n_samples: self.n_samples(),
            n_features,
            n_voxels,
        }
    }

    fn n_train_runs(&self) -> usize {
        self.study.runs.iter().filter(|run| !run.is_test).count()
    }

    fn n_samples(&self) -> usize {
        self.study.runs.iter().map(|run| run.n_tr).sum()
    }

    /// The least number of volumes that last so long.
    fn volumes(&self, seconds: f64) -> usize {
        (seconds / self.study.repetition_time_s).ceil() as usize
    }

    fn file(&self, role: Role, path: &Path) -> Result<ExternalFile, PlanError> {
        Ok(ExternalFile { role, path: path.to_owned(), digest: self.files.digest(path)?.digest })
    }
}
