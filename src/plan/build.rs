//! A checked study -> the tasks that answer it, wired: design by design, what they have in common once.
//!
//! Reads as a design does: models, stimuli, unit series, brains, patterns, fits, statistics, report. A task asks for what
//! it needs by role; the order of inputs within a role is the order in which they are pushed here. Subjects are in
//! `build/brains.rs`, fits and questions in `build/answers.rs`.

mod answers;
mod brains;

use super::{ExternalFile, Plan, PlanError, Role};
use crate::{
    math::series::Hrf,
    model::Stimulus,
    spec::{
        Design, Model, ModelSource, ModuleUnits, Study,
        written::{Features, Patterns, Rest, Unreadable},
    },
    stimulus::{Event, Picture},
    store::FileDigests,
    task::{
        export::Export,
        extract::{Extract, Image},
        frames::CutFrames,
        pattern::{LearnPatterns, Method},
        series::UnitSeries,
        stimuli::DrawScenes,
        weights::DrawWeights,
    },
};
use petgraph::graph::NodeIndex;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

/// Stimuli of one extraction task: few enough to share between processors and to lose little when a run is stopped, and loading
/// the network costs little beside. An edit of a few stimuli runs few of them through the network, whatever the shards.
const SHARD: usize = 64;

/// Inputs of a task, as they are gathered.
type Inputs = Vec<(Role, NodeIndex)>;

/// Plans every cell of a study; `runtime` is the version of ONNX Runtime that extraction would use.
///
/// # Errors
/// If a file that the study names cannot be hashed.
pub fn plan_study(study: &Study, files: &FileDigests, runtime: &str) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let mut before = None;
    for cell in &study.cells {
        plan.begin_cell(&cell.labels);
        before = Some(Build { design: &cell.design, files, runtime, plan: &mut plan }.design(before.as_ref())?);
    }
    plan.name_tasks();
    Ok(plan)
}

struct Build<'a, 'p> {
    design: &'a Design,
    files: &'a FileDigests,
    runtime: &'a str,
    plan: &'p mut Plan,
}

/// The unit series of a model: by run, then by module.
type ModelSeries = Vec<Vec<NodeIndex>>;

/// Films by their files: the task that cuts one, and its moments.
type Films = BTreeMap<PathBuf, (NodeIndex, Vec<u64>)>;

/// Tasks that make pictures.
struct Pictures {
    scenes: Option<NodeIndex>,
    films: Films,
}

/// What is known of a module before its series are made.
struct ModuleTasks {
    export: NodeIndex,
    shards: Vec<NodeIndex>,
}

/// The tasks of a model.
struct ModelTasks {
    modules: Vec<ModuleTasks>,
    series: ModelSeries,
}

/// What was planned for the cell before: where the designs agree it is taken over, so that a cell of a large sweep costs what
/// is its own.
struct Before<'a> {
    design: &'a Design,
    models: Stage<ModelTasks>,
    subjects: Stage<SubjectTasks>,
}

/// Part of a plan, and all tasks that were asked for to make it.
struct Stage<T> {
    tasks: Rc<[T]>,
    asked: Rc<[NodeIndex]>,
}

impl<T> Clone for Stage<T> {
    fn clone(&self) -> Self {
        Self { tasks: Rc::clone(&self.tasks), asked: Rc::clone(&self.asked) }
    }
}

/// The tasks of a subject.
struct SubjectTasks {
    name: String,
    voxels: NodeIndex,
    bold: Vec<NodeIndex>,
    n_grid_voxels: usize,
    n_brain_voxels: usize,
}

impl<'a> Build<'a, '_> {
    fn design(&mut self, before: Option<&Before<'a>>) -> Result<Before<'a>, PlanError> {
        let design = self.design;
        let models = match before.filter(|before| before.design.has_units_of(design)) {
            Some(before) => self.again(&before.models),
            None => self.stage(Self::models)?,
        };
        let has_patterns = design.encoding.features().contains(&Features::Patterns);
        let patterns: Vec<Option<NodeIndex>> = design
            .models
            .iter()
            .zip(&*models.tasks)
            .map(|(model, tasks)| has_patterns.then(|| self.patterns(model, tasks)))
            .collect();
        let is_same = |before: &&Before<'_>| before.design.has_units_of(design) && before.design.has_brains_of(design);
        let subjects = match before.filter(is_same) {
            Some(before) => self.again(&before.subjects),
            None => self.stage(|build| build.subjects(&models.tasks))?,
        };
        self.report(&models.tasks, &patterns, &subjects.tasks);
        Ok(Before { design, models, subjects })
    }

    fn stage<T>(&mut self, make: impl FnOnce(&mut Self) -> Result<Vec<T>, PlanError>) -> Result<Stage<T>, PlanError> {
        let first = self.plan.asked().len();
        let tasks = make(self)?.into();
        Ok(Stage { tasks, asked: self.plan.asked()[first..].into() })
    }

    fn again<T>(&mut self, stage: &Stage<T>) -> Stage<T> {
        stage.asked.iter().for_each(|place| self.plan.ask(*place));
        stage.clone()
    }

    fn models(&mut self) -> Result<Vec<ModelTasks>, PlanError> {
        let films = self.films()?;
        let scenes = self.design.scenes.as_ref().map(|generate| {
            let task = DrawScenes {
                seed: generate.seed,
                n_images: self.design.schedule.images.len(),
                image_size_px: generate.image_size_px,
            };
            self.plan.add("stimuli", task, &[], Vec::new())
        });
        let pictures = Pictures { scenes, films };
        self.design.models.iter().map(|model| self.model(model, &pictures)).collect()
    }

    /// Every film of the study with the moments at which it is looked at, ascending.
    fn films(&mut self) -> Result<Films, PlanError> {
        let mut moments: BTreeMap<PathBuf, Vec<u64>> = BTreeMap::new();
        for picture in &self.design.schedule.images {
            if let Picture::Frame { video, time_us } = picture {
                moments.entry(video.clone()).or_default().push(*time_us);
            }
        }
        let mut films = Films::new();
        for (number, (video, mut times_us)) in moments.into_iter().enumerate() {
            times_us.sort_unstable();
            let (programs, version) = self.design.ffmpeg.clone().expect("the check found ffmpeg for every film");
            let file = self.file("video", &video)?;
            let task = CutFrames { times_us: times_us.clone(), programs, version };
            let place = self.plan.add(format!("frames/{number:03}"), task, &[], vec![file]);
            films.insert(video, (place, times_us));
        }
        Ok(films)
    }

    fn model(&mut self, model: &Model, pictures: &Pictures) -> Result<ModelTasks, PlanError> {
        let weights = match &model.source {
            ModelSource::Files { .. } => None,
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
            let shards = self.extract(model, units, (export, weights), pictures)?;
            modules.push(ModuleTasks { export, shards });
        }
        let series = self.series(model, &modules, self.design.hrf, self.design.trim_start_s, self.design.rest, "");
        Ok(ModelTasks { modules, series })
    }

    fn export(
        &mut self,
        model: &Model,
        units: &ModuleUnits,
        weights: Option<NodeIndex>,
    ) -> Result<NodeIndex, PlanError> {
        let (files, place) = match &model.source {
            ModelSource::Files { folder, path } => {
                let files = units.files.iter().map(|name| self.file("weights", &folder.join(name)));
                (files.collect::<Result<_, _>>()?, path.clone())
            }
            ModelSource::Random(_) => (Vec::new(), PathBuf::new()),
        };
        let inputs: Inputs = weights.into_iter().map(|weights| ("weights", weights)).collect();
        let task = Export { model: model.name.clone(), module: units.module, units: self.design.units.clone(), place };
        Ok(self.plan.add(format!("export/{}/{}", model.name, units.module), task, &inputs, files))
    }

    fn extract(
        &mut self,
        model: &Model,
        units: &ModuleUnits,
        (export, weights): (NodeIndex, Option<NodeIndex>),
        pictures: &Pictures,
    ) -> Result<Vec<NodeIndex>, PlanError> {
        let schedule = &self.design.schedule;
        let kind = units.module.stimulus();
        let total = match kind {
            Stimulus::Image => schedule.images.len(),
            Stimulus::Text => schedule.texts.len(),
            Stimulus::Pair => schedule.pairs.len(),
        };
        let place = match &model.source {
            ModelSource::Files { path, .. } => path.clone(),
            ModelSource::Random(_) => PathBuf::new(),
        };
        let mut shards = Vec::new();
        for (number, first) in (0..total).step_by(SHARD).enumerate() {
            let range = first..(first + SHARD).min(total);
            let mut inputs: Inputs = vec![("network", export)];
            inputs.extend(weights.map(|weights| ("weights", weights)));
            let mut files = Vec::new();
            let images: Vec<usize> = match kind {
                Stimulus::Image => range.clone().collect(),
                Stimulus::Text => Vec::new(),
                Stimulus::Pair => schedule.pairs[range.clone()].iter().map(|(image, _)| *image).collect(),
            };
            let texts: Vec<String> = match kind {
                Stimulus::Image => Vec::new(),
                Stimulus::Text => schedule.texts[range.clone()].to_vec(),
                Stimulus::Pair => {
                    schedule.pairs[range.clone()].iter().map(|(_, text)| schedule.texts[*text].clone()).collect()
                }
            };
            if let (Some(scenes), false) = (pictures.scenes, images.is_empty()) {
                inputs.push(("stimuli", scenes));
            }
            let mut films: Vec<NodeIndex> = Vec::new();
            let mut shown = Vec::with_capacity(images.len());
            for number in images {
                shown.push(match &schedule.images[number] {
                    Picture::File(_) if pictures.scenes.is_some() => Image::Scene(number),
                    Picture::File(path) => {
                        files.push(self.file("images", path)?);
                        Image::File
                    }
                    Picture::Frame { video, time_us } => {
                        let (task, times_us) = &pictures.films[video];
                        let film = films.iter().position(|film| film == task).unwrap_or_else(|| {
                            films.push(*task);
                            films.len() - 1
                        });
                        let frame = times_us.binary_search(time_us).expect("every moment of a film is cut");
                        Image::Frame { film, frame }
                    }
                });
            }
            inputs.extend(films.into_iter().map(|film| ("frames", film)));
            let images = shown;
            let task = Extract {
                images,
                texts,
                unreadable: if kind == Stimulus::Text { Unreadable::Error } else { self.design.unreadable },
                device: self.design.device,
                runtime: self.runtime.to_owned(),
                place: place.clone(),
                n_units: units.n_units(),
                weights_bytes: units.weights_bytes,
                n_tokens: units.n_tokens,
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
        let design = self.design;
        let mut by_run = Vec::new();
        for (run, events) in design.runs.iter().zip(&design.schedule.runs) {
            let mut of_run = Vec::new();
            for (units, tasks) in model.modules.iter().zip(modules) {
                let stimulus = |event: &Event| match units.module.stimulus() {
                    Stimulus::Image => event.image,
                    Stimulus::Text => event.text,
                    Stimulus::Pair => event.pair,
                };
                let task = UnitSeries {
                    events: events
                        .iter()
                        .filter_map(|event| Some((event.onset_s, event.duration_s, stimulus(event)?)))
                        .collect(),
                    n_tr: run.n_tr,
                    repetition_time_s: design.repetition_time_s,
                    hrf,
                    trim_start_s,
                    rest,
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

    fn patterns(&mut self, model: &Model, ModelTasks { modules, series }: &ModelTasks) -> NodeIndex {
        let task = LearnPatterns {
            method: self.method(),
            n_train_runs: self.n_train_runs(),
            n_runs: self.design.runs.len(),
            n_modules: modules.len(),
            n_samples: self.n_samples(),
            n_units: model.n_units(),
        };
        let mut inputs: Inputs = series.iter().flatten().map(|series| ("series", *series)).collect();
        inputs.extend(modules.iter().map(|module| ("network", module.export)));
        self.plan.add(format!("pattern/{}", model.name), task, &inputs, Vec::new())
    }

    fn method(&self) -> Method {
        match &self.design.patterns {
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

    fn n_train_runs(&self) -> usize {
        self.design.runs.iter().filter(|run| !run.is_test).count()
    }

    fn n_samples(&self) -> usize {
        self.design.runs.iter().map(|run| run.n_tr).sum()
    }

    /// The least number of volumes that last so long.
    fn volumes(&self, seconds: f64) -> usize {
        (seconds / self.design.repetition_time_s).ceil() as usize
    }

    fn file(&self, role: Role, path: &Path) -> Result<ExternalFile, PlanError> {
        Ok(ExternalFile { role, path: path.to_owned(), digest: self.files.digest(path)?.digest })
    }
}
