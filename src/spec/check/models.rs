//! Models: where the weights come from, whether they fit their configuration, which units they offer.

use super::Check;
use crate::{
    model::{
        LowLevel, LowLevelFeature, ModelError, ModelFacts, Module, ModuleFacts, OpenModel, RandomModel, Reduce,
        Stimulus, UnitSelection, hub::HubModel,
    },
    spec::{
        document::FieldPath,
        study::{Model, ModelSource, ModuleUnits},
        written::{Controls, Model as WrittenModel},
    },
    stimulus::Schedule,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

impl Check<'_, '_> {
    /// Every model that can be used, looked at once for all cells that say the same of them.
    pub(super) fn known_models(
        &mut self,
        written: BTreeMap<String, WrittenModel>,
        units: &UnitSelection,
        controls: &Controls,
        schedule: &Schedule,
    ) -> Option<Arc<[Model]>> {
        let key = self.key(&["models", "units", "controls", "stimuli", "runs"]);
        if let Some(models) = self.memory.models.get(&key) {
            return Some(Arc::clone(models));
        }
        let before = self.found.len();
        let models = self.models(written, units, schedule)?;
        let models: Arc<[Model]> = self.with_controls(models, controls, schedule).into();
        if self.found.len() == before {
            self.memory.models.insert(key, Arc::clone(&models));
        }
        Some(models)
    }

    /// Every model that can be used; `None` if there is one that cannot.
    fn models(
        &mut self,
        written: BTreeMap<String, WrittenModel>,
        units: &UnitSelection,
        schedule: &Schedule,
    ) -> Option<Vec<Model>> {
        if written.is_empty() {
            let hint = "add a table as `[models.clip]` with `weights = \"…\"`";
            self.wrong_with_hint(&FieldPath::of("models"), "the study has no model", "expected at least one", hint);
            return None;
        }
        let expected = written.len();
        let models: Vec<Model> =
            written.into_iter().filter_map(|(name, model)| self.model(name, model, units, schedule)).collect();
        (models.len() == expected).then_some(models)
    }

    /// The models, and behind them those that they are compared with.
    fn with_controls(&mut self, models: Vec<Model>, controls: &Controls, schedule: &Schedule) -> Vec<Model> {
        let mut all = models;
        let studied: Vec<Model> =
            all.iter().filter(|model| !matches!(model.source, ModelSource::LowLevel(_))).cloned().collect();
        if controls.untrained {
            all.extend(studied.iter().map(|model| {
                let name = format!("{}-untrained", model.name);
                // Another seed than the model's own, whatever the study's.
                let seed = |own: u64| own.wrapping_add(1).wrapping_add(controls.seed);
                let source = match &model.source {
                    ModelSource::Files { path, folder } => {
                        ModelSource::Untrained { path: path.clone(), folder: folder.clone(), seed: controls.seed }
                    }
                    ModelSource::Random(random) => {
                        ModelSource::Random(RandomModel { seed: seed(random.seed), ..random.clone() })
                    }
                    other => other.clone(),
                };
                Model { units_of: name.clone(), name, source, is_control: true, ..model.clone() }
            }));
        }
        if controls.phases {
            all.extend(studied.iter().map(|model| Model {
                name: format!("{}-phases", model.name),
                phases: Some(controls.seed),
                is_control: true,
                ..model.clone()
            }));
        }
        let is_of_place = LowLevelFeature::is_of_place;
        let (of_words, of_pictures): (Vec<_>, Vec<_>) = LowLevelFeature::ALL
            .into_iter()
            .partition(|feature| LowLevel { grid: 1, features: vec![*feature] }.modules() != [Module::ImageStatistics]);
        let pictures = of_pictures.into_iter().filter(|feature| !is_of_place(*feature)).collect();
        let asked = [("low-level", controls.low_level, pictures), ("words", controls.words, of_words)];
        for (name, _, features) in asked.into_iter().filter(|(_, is_asked, _)| *is_asked) {
            let low_level = LowLevel { features, ..LowLevel::default() };
            let path = FieldPath::of("controls").key(if name == "words" { "words" } else { "low_level" });
            let model = self.low_level(name.to_owned(), &path, low_level, schedule);
            all.extend(model.map(|model| Model { is_control: true, ..model }));
        }
        for (place, model) in all.iter().enumerate() {
            if all[..place].iter().any(|other| other.name == model.name) {
                let path = FieldPath::of("models").key(&model.name);
                let message = format!("`{}` is the name of a control, which the study asks for", model.name);
                self.wrong(&path, message, "expected another name");
            }
        }
        all
    }

    fn model(
        &mut self,
        name: String,
        written: WrittenModel,
        units: &UnitSelection,
        schedule: &Schedule,
    ) -> Option<Model> {
        let path = FieldPath::of("models").key(&name);
        let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        if name.is_empty() || !name.chars().all(fits) {
            self.wrong(
                &path,
                format!("`{name}` is no name for a model, expected letters, digits, `-` and `_`"),
                "used in file and task names",
            );
            return None;
        }
        if let Some(low_level) = written.low_level {
            if written.weights.is_some() || written.random.is_some() || written.modules.is_some() {
                let message = format!("`{path}` has `low_level` beside `weights`, `random` or `modules`");
                self.wrong(&path, message, "expected it alone");
                return None;
            }
            return self.low_level(name, &path.key("low_level"), low_level, schedule);
        }
        let (source, offered) = match (written.weights, written.random) {
            (Some(weights), None) => {
                let path_of_field = path.key("weights");
                let place = match self.place(&path_of_field, &weights) {
                    Ok(place) => place,
                    Err(error) => {
                        let hint = "`hebb models fetch` fetches a model, and `hebb run` does so by itself";
                        self.wrong_with_hint(&path_of_field, error.to_string(), "not there", hint);
                        return None;
                    }
                };
                if !place.exists() {
                    let message = format!("there is no `{}`", place.display());
                    let hint =
                        "paths start from the study file's folder; `hebb inputs` writes such a folder to look at";
                    self.wrong_with_hint(&path_of_field, message, "expected a folder or a checkpoint", hint);
                    return None;
                }
                let open = match OpenModel::open(&place) {
                    Ok(open) => open,
                    Err(error) => {
                        self.wrong(&path_of_field, error.to_string(), "cannot be used");
                        return None;
                    }
                };
                let folder = open.source().folder().to_owned();
                (ModelSource::Files { path: place, folder }, Offered::Files(open))
            }
            (None, Some(random)) => (ModelSource::Random(random.clone()), Offered::Random(random)),
            (Some(_), Some(_)) => {
                self.wrong(&path, format!("`{path}` has both `weights` and `random`"), "expected one of them");
                return None;
            }
            (None, None) => {
                let hint = "set `weights` to what you downloaded, or write a table `random` for an untrained model";
                self.wrong_with_hint(
                    &path,
                    format!("`{path}` says nothing about its weights"),
                    "expected `weights` or `random`",
                    hint,
                );
                return None;
            }
        };
        let known = match offered.modules() {
            Ok(known) => known,
            Err(error) => return self.refused(&path, &source, error),
        };
        let modules = self.modules_in_use(&name, &path, written.modules, &known, schedule)?;
        let facts = match offered.facts(&modules) {
            Ok(facts) => facts,
            Err(error) => return self.refused(&path, &source, error),
        };
        // The first module that does not fit is told; the others would say the same again.
        let modules: Option<Vec<ModuleUnits>> = facts.modules.iter().map(|module| self.module(module, units)).collect();
        Some(Model { units_of: name.clone(), name, phases: None, is_control: false, source, modules: modules?, facts })
    }

    /// A model without a network, in the modules that the stimuli feed.
    fn low_level(&mut self, name: String, path: &FieldPath, low_level: LowLevel, schedule: &Schedule) -> Option<Model> {
        if let Err(error) = low_level.check() {
            self.wrong(path, error.to_string(), "cannot be measured");
            return None;
        }
        let fed = |module: &Module| match module.stimulus() {
            Stimulus::Image => !schedule.images.is_empty(),
            Stimulus::Text | Stimulus::Pair => !schedule.texts.is_empty(),
        };
        let modules: Vec<ModuleUnits> = low_level
            .modules()
            .into_iter()
            .filter(fed)
            .map(|module| ModuleUnits {
                module,
                taps: vec![low_level.layer(module)],
                files: Vec::new(),
                weights_bytes: 0,
                n_tokens: 0,
            })
            .collect();
        if modules.is_empty() {
            self.wrong(path, format!("no stimulus feeds `{name}`"), "nothing to measure");
            return None;
        }
        let facts = ModelFacts { architecture: "low-level", modules: Vec::new(), weight_files: Vec::new() };
        Some(Model {
            units_of: name.clone(),
            name,
            phases: None,
            is_control: false,
            source: ModelSource::LowLevel(low_level),
            modules,
            facts,
        })
    }

    /// Where the weights are that a study names: a path from its file's folder, or a model of a hub.
    fn place(&self, field: &FieldPath, weights: &str) -> Result<PathBuf, ModelError> {
        if HubModel::is_meant(weights) {
            return (self.memory.surroundings.find_model)(&weights.parse()?);
        }
        Ok(self.document.folder(field).join(weights))
    }

    /// Tells why a model cannot be used: about its weights, or about the field that an untrained one has from the study.
    fn refused(&mut self, path: &FieldPath, source: &ModelSource, error: ModelError) -> Option<Model> {
        match (source, error) {
            (ModelSource::Random(_), ModelError::Field { field, found, expected, .. }) => {
                let place = as_written(&field).split('.').fold(path.key("random"), |path, key| path.key(key));
                let expected = as_written(&expected);
                self.wrong(&place, format!("`{place}` is {found}, expected {expected}"), "not a possible model");
            }
            (ModelSource::Random(_), error) => self.wrong(&path.key("random"), error.to_string(), "cannot be used"),
            (_, error) => {
                self.wrong(&path.key("weights"), error.to_string(), "cannot be used");
            }
        }
        None
    }

    /// The modules that the study names, or all that the stimuli feed.
    fn modules_in_use(
        &mut self,
        name: &str,
        path: &FieldPath,
        written: Option<Vec<Module>>,
        known: &[Module],
        schedule: &Schedule,
    ) -> Option<Vec<Module>> {
        let fed = |module: Module| match module.stimulus() {
            Stimulus::Image => !schedule.images.is_empty(),
            Stimulus::Text => !schedule.texts.is_empty(),
            Stimulus::Pair => !schedule.pairs.is_empty(),
        };
        let Some(mut modules) = written else {
            let modules: Vec<Module> = known.iter().copied().filter(|module| fed(*module)).collect();
            if modules.is_empty() {
                let takes: Vec<String> =
                    known.iter().map(|module| format!("`{module}` takes {}", module.stimulus())).collect();
                let message = format!("no stimulus feeds `{name}`: {}", takes.join(", "));
                self.wrong(path, message, "nothing to feed it with");
                return None;
            }
            return Some(modules);
        };
        let before = self.found.len();
        for (index, &module) in modules.iter().enumerate() {
            let place = path.key("modules").index(index);
            if !known.contains(&module) {
                let known: Vec<String> = known.iter().map(|module| format!("`{module}`")).collect();
                let message = format!("`{name}` has no module `{module}`, expected one of {}", known.join(", "));
                self.wrong(&place, message, "no such module");
            } else if !fed(module) {
                let message =
                    format!("module `{module}` of `{name}` takes {}, and no stimulus has any", module.stimulus());
                self.wrong(&place, message, "nothing to feed it with");
            }
        }
        modules.sort();
        modules.dedup();
        (self.found.len() == before).then_some(modules)
    }

    fn module(&mut self, facts: &ModuleFacts, units: &UnitSelection) -> Option<ModuleUnits> {
        match units.of_module(facts.module, &facts.shape) {
            Ok(layers) => {
                let input = facts.shape.input;
                let n_tokens =
                    input.image.map_or(0, |image| image.n_tokens) + input.text.map_or(0, |text| text.context_length);
                let (module, files, weights_bytes) = (facts.module, facts.files.clone(), facts.weights_bytes);
                Some(ModuleUnits { module, taps: layers, files, weights_bytes, n_tokens })
            }
            Err(error) => {
                let units = FieldPath::of("units");
                match &error {
                    ModelError::NoSuchToken { reduce: Reduce::Last, .. } => {
                        let hint =
                            "take `reduce = \"first\"`, the class token, or give the model `modules = [\"text\"]`";
                        self.wrong_with_hint(&units.key("reduce"), error.to_string(), "only for texts", hint);
                    }
                    ModelError::NoSuchToken { .. } => {
                        self.wrong(&units.key("reduce"), error.to_string(), "no such token");
                    }
                    ModelError::Kinds { .. } => {
                        self.wrong(&units.key("kind"), error.to_string(), "each kind once");
                    }
                    ModelError::Combination { .. } => {
                        self.wrong(&units.key("reduce"), error.to_string(), "not for this kind of unit");
                    }
                    _ => self.wrong(&units.key("layers"), error.to_string(), "does not fit this model"),
                }
                None
            }
        }
    }
}

/// What a model's description offers, wherever its weights come from.
enum Offered {
    Files(OpenModel),
    Random(RandomModel),
}

impl Offered {
    fn modules(&self) -> Result<Vec<Module>, ModelError> {
        match self {
            Self::Files(open) => Ok(open.architecture().modules()),
            Self::Random(random) => random.modules(),
        }
    }

    fn facts(&self, modules: &[Module]) -> Result<ModelFacts, ModelError> {
        match self {
            Self::Files(open) => open.facts(modules),
            Self::Random(random) => random.facts(modules),
        }
    }
}

/// A field of `config.json` by the name that a study gives it.
fn as_written(field: &str) -> String {
    const NAMES: [(&str, &str); 12] = [
        ("_config.", "."),
        ("clip.", "vision."),
        ("roberta.", "text."),
        ("meter.image_size", "vision.image_size"),
        ("meter.max_text_len", "text.context_length"),
        ("meter.", "fusion."),
        ("num_hidden_layers", "layers"),
        ("num_attention_heads", "heads"),
        ("hidden_size", "width"),
        ("intermediate_size", "mlp_width"),
        ("max_position_embeddings", "context_length"),
        ("`vision.", "`"),
    ];
    NAMES.iter().fold(field.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
}
