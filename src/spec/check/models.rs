//! Models: where the weights come from, whether they fit their configuration, which units they offer.

use super::Check;
use crate::{
    model::{ModelError, ModelFacts, Module, UnitSelection, inspect},
    spec::{
        document::FieldPath,
        study::{Model, ModelSource, ModuleUnits},
        written::Model as WrittenModel,
    },
    stimulus::Schedule,
};
use std::{collections::BTreeMap, sync::Arc};

impl Check<'_> {
    /// Every model that can be used, looked at once for all cells that say the same of them.
    pub(super) fn known_models(
        &mut self,
        written: BTreeMap<String, WrittenModel>,
        units: &UnitSelection,
        schedule: &Schedule,
    ) -> Option<Arc<[Model]>> {
        let key = self.key(&["models", "units", "stimuli", "runs"]);
        if let Some(models) = self.memory.models.get(&key) {
            return Some(Arc::clone(models));
        }
        let before = self.found.len();
        let models: Arc<[Model]> = self.models(written, units, schedule)?.into();
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
            let hint = "add a table as `[models.clip]` with `folder = \"…\"`";
            self.wrong_with_hint(&FieldPath::of("models"), "the study has no model", "expected at least one", hint);
            return None;
        }
        let expected = written.len();
        let models: Vec<Model> =
            written.into_iter().filter_map(|(name, model)| self.model(name, model, units, schedule)).collect();
        (models.len() == expected).then_some(models)
    }

    fn model(
        &mut self,
        name: String,
        written: WrittenModel,
        units: &UnitSelection,
        schedule: &Schedule,
    ) -> Option<Model> {
        let path = FieldPath::of("models").key(&name);
        if !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_') {
            self.wrong(
                &path,
                format!("`{name}` is no name for a model, expected letters, digits, `-` and `_`"),
                "used in file and task names",
            );
            return None;
        }
        let (source, facts) = match (written.folder, written.random) {
            (Some(folder), None) => {
                let folder = self.document.folder(&path.key("folder")).join(folder);
                if !folder.is_dir() {
                    let message = format!("the folder `{}` is not there", folder.display());
                    let hint =
                        "paths start from the study file's folder; `hebb inputs` writes such a folder to look at";
                    self.wrong_with_hint(&path.key("folder"), message, "expected a Hugging Face folder", hint);
                    return None;
                }
                let facts = inspect(&folder);
                (ModelSource::Folder(folder), facts.map_err(|error| (path.key("folder"), error)))
            }
            (None, Some(random)) => {
                let facts = random.facts();
                (ModelSource::Random(random), facts.map_err(|error| (path.key("random"), error)))
            }
            (Some(_), Some(_)) => {
                self.wrong(&path, format!("`{path}` has both `folder` and `random`"), "expected one of them");
                return None;
            }
            (None, None) => {
                let hint = "set `folder` to a Hugging Face folder, or write a table `random` for an untrained model";
                self.wrong_with_hint(
                    &path,
                    format!("`{path}` says nothing about its weights"),
                    "expected `folder` or `random`",
                    hint,
                );
                return None;
            }
        };
        let facts = match facts {
            Ok(facts) => facts,
            Err((place, ModelError::Field { field, found, expected, .. }))
                if matches!(source, ModelSource::Random(_)) =>
            {
                let place = as_written(&field).split('.').fold(place, |path, key| path.key(key));
                let expected = as_written(&expected);
                self.wrong(&place, format!("`{place}` is {found}, expected {expected}"), "not a possible model");
                return None;
            }
            Err((place, error)) => {
                self.wrong(&place, error.to_string(), "cannot be used");
                return None;
            }
        };
        let fed = |module: &Module| match module {
            Module::Vision => !schedule.images.is_empty(),
            Module::Text => !schedule.texts.is_empty(),
        };
        let modules = match written.modules {
            Some(modules) => {
                let starved: Vec<(usize, Module)> =
                    modules.iter().copied().enumerate().filter(|(_, module)| !fed(module)).collect();
                for (index, module) in &starved {
                    let place = path.key("modules").index(*index);
                    let message =
                        format!("module `{module}` of `{name}` takes {}, and no stimulus has any", module.stimulus());
                    self.wrong(&place, message, "nothing to feed it with");
                }
                if !starved.is_empty() {
                    return None;
                }
                modules
            }
            None => [Module::Vision, Module::Text].into_iter().filter(fed).collect(),
        };
        let mut distinct = modules;
        distinct.sort();
        distinct.dedup();
        // The first module that does not fit is told; the others would say the same again.
        let modules: Option<Vec<ModuleUnits>> =
            distinct.into_iter().map(|module| self.module(&facts, module, units)).collect();
        Some(Model { name, source, modules: modules?, facts })
    }

    fn module(&mut self, facts: &ModelFacts, module: Module, units: &UnitSelection) -> Option<ModuleUnits> {
        match units.checked_layers(module, facts.n_layers(module)) {
            Ok(layers) => Some(ModuleUnits {
                module,
                layers,
                units_per_layer: facts.units_per_layer(module, units.kind),
                weights_bytes: facts.weights_bytes(module),
            }),
            Err(error) => {
                let units = FieldPath::of("units");
                match &error {
                    ModelError::LastWithoutText { .. } => {
                        let hint =
                            "take `reduce = \"first\"`, the class token, or give the model `modules = [\"text\"]`";
                        self.wrong_with_hint(&units.key("reduce"), error.to_string(), "only for texts", hint);
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

/// A field of `config.json` by the name that a study gives it.
fn as_written(field: &str) -> String {
    const NAMES: [(&str, &str); 7] = [
        ("_config.", "."),
        ("num_hidden_layers", "layers"),
        ("num_attention_heads", "heads"),
        ("hidden_size", "width"),
        ("intermediate_size", "mlp_width"),
        ("max_position_embeddings", "context_length"),
        ("`vision.", "`"),
    ];
    NAMES.iter().fold(field.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
}
