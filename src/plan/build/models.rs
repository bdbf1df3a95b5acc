//! The tasks of models: weights, graphs, units of stimuli, unit series.

use super::{Build, ExternalFile, Films, Inputs, ModelSeries, ModelTasks, ModuleTasks, Pictures, PlanError};
use crate::{
    math::series::Hrf,
    model::{LowLevel, Module, Stimulus, Twin},
    spec::{
        Model, ModelSource, ModuleUnits,
        written::{Rest, Unreadable},
    },
    stimulus::{Appearance, Appearances, Distinct, Event, Picture},
    task::{
        export::Export,
        extract::{Extract, Image},
        frames::CutFrames,
        measure::MeasureStimuli,
        series::UnitSeries,
        stimuli::DrawScenes,
        twin::DrawTwin,
        weights::DrawWeights,
    },
};
use petgraph::graph::NodeIndex;
use std::{collections::BTreeMap, path::PathBuf};

/// Stimuli of one extraction task: few enough to share between processors and to lose little when a run is stopped, and loading
/// the network costs little beside. An edit of a few stimuli runs few of them through the network, whatever the shards.
const SHARD: usize = 64;

/// Stimuli of one task that measures them, which is fast.
const MEASURED_SHARD: usize = 512;

impl Build<'_, '_> {
    /// Every model, up to its unit series.
    pub(super) fn models(&mut self) -> Result<Vec<ModelTasks>, PlanError> {
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
        let weights = self.weights(model)?;
        let mut modules = Vec::new();
        for units in &model.modules {
            modules.push(match &model.source {
                ModelSource::LowLevel(low_level) => self.measure(model, units, low_level, pictures)?,
                ModelSource::Files { .. } | ModelSource::Random(_) | ModelSource::Untrained { .. } => {
                    let export = self.export(model, units, weights)?;
                    let shards = self.extract(model, units, (export, weights), pictures)?;
                    ModuleTasks { units: export, shards, events: self.events_of(units.module) }
                }
            });
        }
        let series = self.series(model, &modules, self.design.hrf, self.design.trim_start_s, self.design.rest, "");
        Ok(ModelTasks { modules, series })
    }

    /// The task that writes a model's weights, where they are not on disk.
    fn weights(&mut self, model: &Model) -> Result<Option<NodeIndex>, PlanError> {
        let weights_bytes = model.modules.iter().map(|module| module.weights_bytes).sum();
        let id = format!("weights/{}", model.units_of);
        Ok(match &model.source {
            ModelSource::Files { .. } | ModelSource::LowLevel(_) => None,
            ModelSource::Random(random) => {
                let task = DrawWeights { random: random.clone(), weights_bytes };
                Some(self.plan.add(id, task, &[], Vec::new()))
            }
            ModelSource::Untrained { path, folder, seed } => {
                let mut names: Vec<&String> = model.modules.iter().flat_map(|units| &units.files).collect();
                names.sort();
                names.dedup();
                let files =
                    names.into_iter().map(|name| self.file("weights", &folder.join(name))).collect::<Result<_, _>>()?;
                let task = DrawTwin { twin: Twin { seed: *seed }, place: path.clone(), weights_bytes };
                Some(self.plan.add(id, task, &[], files))
            }
        })
    }

    /// Every event of a module by the stimulus that it shows.
    fn events_of(&self, module: Module) -> Vec<Vec<(f64, f64, usize)>> {
        let stimulus = |event: &Event| match module.stimulus() {
            Stimulus::Image => event.image,
            Stimulus::Text => event.text,
            Stimulus::Pair => event.pair,
        };
        let of_run = |events: &Vec<Event>| {
            events.iter().filter_map(|event| Some((event.onset_s, event.duration_s, stimulus(event)?))).collect()
        };
        self.design.schedule.runs.iter().map(of_run).collect()
    }

    /// Low-level features of stimuli, which take no network.
    fn measure(
        &mut self,
        model: &Model,
        units: &ModuleUnits,
        low_level: &LowLevel,
        pictures: &Pictures,
    ) -> Result<ModuleTasks, PlanError> {
        let schedule = &self.design.schedule;
        let of_module = low_level.of(units.module);
        let lengths_s: Vec<f64> =
            self.design.runs.iter().map(|run| run.n_tr as f64 * self.design.repetition_time_s).collect();
        let distinct = Distinct { by_before: of_module.has_motion(), by_position: of_module.has_place(units.module) };
        let has_images = units.module.stimulus() == Stimulus::Image;
        let appearances = match has_images {
            true => Appearances::of_images(schedule, &lengths_s, distinct),
            false => Appearances::of_texts(schedule, &lengths_s, distinct),
        };
        let mut shards = Vec::new();
        for (number, rows) in appearances.rows.chunks(MEASURED_SHARD).enumerate() {
            // What the shard shows, each once; its rows name places among these.
            let mut named: Vec<usize> = rows.iter().flat_map(|row| [Some(row.shown), row.before]).flatten().collect();
            named.sort_unstable();
            named.dedup();
            let place = |stimulus: usize| named.binary_search(&stimulus).expect("all that rows name is listed");
            let rows = rows
                .iter()
                .map(|row| Appearance { shown: place(row.shown), before: row.before.map(place), ..*row })
                .collect();
            let (images, texts, inputs, files) = if has_images {
                let (images, inputs, files) = self.images(&named, pictures)?;
                (images, Vec::new(), inputs, files)
            } else {
                (Vec::new(), named.iter().map(|text| schedule.texts[*text].clone()).collect(), Vec::new(), Vec::new())
            };
            let task = MeasureStimuli {
                model: model.units_of.clone(),
                module: units.module,
                low_level: of_module.clone(),
                images,
                texts,
                rows,
                unreadable: if has_images { self.design.unreadable } else { Unreadable::Error },
            };
            let id = format!("measure/{}/{}/{number:03}", model.units_of, units.module);
            shards.push(self.plan.add(id, task, &inputs, files));
        }
        let first = *shards.first().expect("the check found stimuli for every module");
        Ok(ModuleTasks { units: first, shards, events: appearances.runs })
    }

    /// Where some of the study's images are, with the tasks and files that they come from.
    fn images(
        &self,
        places: &[usize],
        pictures: &Pictures,
    ) -> Result<(Vec<Image>, Inputs, Vec<ExternalFile>), PlanError> {
        let (mut inputs, mut files, mut films) = (Inputs::new(), Vec::new(), Vec::<NodeIndex>::new());
        if let (Some(scenes), false) = (pictures.scenes, places.is_empty()) {
            inputs.push(("stimuli", scenes));
        }
        let mut shown = Vec::with_capacity(places.len());
        for &number in places {
            shown.push(match &self.design.schedule.images[number] {
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
        Ok((shown, inputs, files))
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
            _ => (Vec::new(), PathBuf::new()),
        };
        let inputs: Inputs = weights.into_iter().map(|weights| ("weights", weights)).collect();
        let task =
            Export { model: model.units_of.clone(), module: units.module, units: self.design.units.clone(), place };
        Ok(self.plan.add(format!("export/{}/{}", model.units_of, units.module), task, &inputs, files))
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
            _ => PathBuf::new(),
        };
        let mut shards = Vec::new();
        for (number, first) in (0..total).step_by(SHARD).enumerate() {
            let range = first..(first + SHARD).min(total);
            let mut inputs: Inputs = vec![("network", export)];
            inputs.extend(weights.map(|weights| ("weights", weights)));
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
            let (images, of_images, files) = self.images(&images, pictures)?;
            inputs.extend(of_images);
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
                format!("extract/{}/{}/{number:03}", model.units_of, units.module),
                task,
                &inputs,
                files,
            ));
        }
        Ok(shards)
    }

    pub(super) fn series(
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
        for (number, run) in design.runs.iter().enumerate() {
            let mut of_run = Vec::new();
            for (units, tasks) in model.modules.iter().zip(modules) {
                let task = UnitSeries {
                    events: tasks.events[number].clone(),
                    n_tr: run.n_tr,
                    repetition_time_s: design.repetition_time_s,
                    hrf,
                    trim_start_s,
                    rest,
                    n_units: units.n_units(),
                };
                let inputs: Inputs = tasks.shards.iter().map(|shard| ("units", *shard)).collect();
                let id = format!("series/{}/{}/run-{}{suffix}", model.units_of, units.module, run.name);
                of_run.push(self.plan.add(id, task, &inputs, Vec::new()));
            }
            by_run.push(of_run);
        }
        by_run
    }
}
