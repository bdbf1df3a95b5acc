//! A checked study -> the tasks that answer it, wired: design by design, what they have in common once.
//!
//! Reads as a design does: models, stimuli, unit series, brains, patterns, fits, statistics, report. A task asks for what
//! it needs by role; the order of inputs within a role is the order in which they are pushed here. Models are in `build/models.rs`,
//! subjects in `build/brains.rs`, fits and questions in `build/answers.rs` and `build/comparisons.rs`, maps in `build/maps.rs`.

mod answers;
mod brains;
mod comparisons;
mod maps;
mod models;

use super::{ExternalFile, Plan, PlanError, Role};
use crate::{
    spec::{
        Design, Model, Study,
        written::{Features, Patterns},
    },
    store::FileDigests,
    task::pattern::{LearnPatterns, Method},
};
use petgraph::graph::NodeIndex;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
};

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
    /// Its table of units.
    units: NodeIndex,
    shards: Vec<NodeIndex>,
    /// Onset, duration (seconds) and row of the shards of every event, run by run.
    events: Vec<Vec<(f64, f64, usize)>>,
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
    /// The networks of every voxel by number, which is all that fits know of them.
    groups: NodeIndex,
    bold: Vec<NodeIndex>,
    /// The files that were made for it, if it is simulated.
    dataset: Option<NodeIndex>,
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
        // A brain that follows patterns changes with them.
        let is_same = |before: &&Before<'_>| {
            before.design.has_units_of(design) && before.design.has_brains_of(design) && !design.plants_patterns()
        };
        let subjects = match before.filter(is_same) {
            Some(before) => self.again(&before.subjects),
            None => self.stage(|build| build.subjects(&models.tasks, &patterns))?,
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

    /// The patterns of a model: time courses of all its units.
    fn patterns(&mut self, model: &Model, tasks: &ModelTasks) -> NodeIndex {
        let places: Vec<usize> = (0..model.modules.len()).collect();
        let phases = model.phases;
        self.time_courses(format!("pattern/{}", model.name), self.method(model), phases, model, tasks, &places, None)
    }

    /// Time courses of the units of some modules, or of one layer of one module: `columns` of its series.
    #[allow(clippy::too_many_arguments)] // each is a part of the question
    fn time_courses(
        &mut self,
        id: String,
        method: Method,
        phases: Option<u64>,
        model: &Model,
        ModelTasks { modules, series }: &ModelTasks,
        places: &[usize],
        columns: Option<(usize, usize)>,
    ) -> NodeIndex {
        let n_units = places.iter().map(|place| model.modules[*place].n_units()).sum();
        let task = LearnPatterns {
            method,
            phases,
            columns,
            n_train_runs: self.n_train_runs(),
            n_runs: self.design.runs.len(),
            n_modules: places.len(),
            n_samples: self.n_samples(),
            n_units: columns.map_or(n_units, |(_, n_units)| n_units),
        };
        let of_run =
            |of_run: &Vec<NodeIndex>| places.iter().map(|place| ("series", of_run[*place])).collect::<Vec<_>>();
        let mut inputs: Inputs = series.iter().flat_map(of_run).collect();
        inputs.extend(places.iter().map(|place| ("network", modules[*place].units)));
        self.plan.add(id, task, &inputs, Vec::new())
    }

    /// How a model's units become time courses; a model with fewer units than that keeps them as they are.
    fn method(&self, model: &Model) -> Method {
        match &self.design.patterns {
            Patterns::Dictionary(dictionary) if dictionary.n_patterns <= model.n_units() => Method::Dictionary {
                n_patterns: dictionary.n_patterns,
                penalty: dictionary.penalty,
                seed: dictionary.seed,
                max_epochs: dictionary.max_epochs,
                tolerance: dictionary.tolerance,
            },
            Patterns::Pca(components) if components.n_patterns <= model.n_units() => {
                Method::Pca { n_patterns: components.n_patterns }
            }
            Patterns::Dictionary(_) | Patterns::Pca(_) | Patterns::Units(_) => {
                Method::Units { n_units: model.n_units() }
            }
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
