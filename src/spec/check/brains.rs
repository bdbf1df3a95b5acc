//! Brains: subjects that are simulated, and who looks for those on disk (`recorded.rs`).

use super::{
    Check, TAIL_S,
    recorded::{Asked, Place},
};
use crate::{
    brain::{
        atlas::schematic::schematic_networks,
        mask::VoxelSelection,
        prepare::Preparation,
        regions::rules::check_rules,
        simulate::{LONGEST_RUN, SHORTEST_RUN, SimulateError, Simulation},
    },
    spec::{
        document::FieldPath,
        schema::{quoted, suggestion},
        study::{Model, Subjects},
        written::{Atlas as WrittenAtlas, Bold, Simulate},
    },
};
use std::path::PathBuf;

/// The subjects, and what their files say about time.
#[derive(Clone)]
pub(super) struct Brains {
    pub(super) subjects: Subjects,
    pub(super) repetition_time_s: f64,
    /// Volumes of each run, in the order of the study's runs.
    pub(super) n_tr: Vec<usize>,
}

impl Check<'_, '_> {
    /// Finds the brains; `runs` are names with whether they test, `ends_s` when the last stimulus of each ends.
    #[expect(clippy::too_many_arguments, reason = "brains are where all parts of a study meet")]
    pub(super) fn brains(
        &mut self,
        bold: Bold,
        atlas: &WrittenAtlas,
        preparation: &Preparation,
        runs: &[(String, bool)],
        clips: Vec<Option<PathBuf>>,
        ends_s: &[f64],
        length_s: Option<f64>,
        models: Option<&[Model]>,
    ) -> Option<Brains> {
        let subjects = match &bold {
            Bold::Bids(bids) => (&bids.subjects, "bold.bids.subjects"),
            Bold::Hcp(hcp) => (&hcp.subjects, "bold.hcp.subjects"),
            Bold::Matrices(matrices) => (&matrices.subjects, "bold.matrices.subjects"),
            Bold::Simulate(simulate) => (&simulate.subjects, "bold.simulate.subjects"),
        };
        self.subject_names(subjects.0, &FieldPath::of(subjects.1));
        let place = match &bold {
            Bold::Simulate(simulate) => {
                return self.simulated(simulate, atlas, runs, ends_s, length_s, models?);
            }
            Bold::Bids(bids) => Place::Bids(bids),
            Bold::Hcp(hcp) => Place::Hcp(hcp),
            Bold::Matrices(matrices) => Place::Matrices(matrices),
        };
        let key = self.key(&["bold", "atlas", "preparation", "runs", "stimuli"]);
        if let Some(read) = self.memory.brains.get(&key) {
            return Some(read.clone());
        }
        let before = self.found.len();
        let read = self.recorded(&place, atlas, preparation, &Asked { runs, ends_s, clips })?;
        if self.found.len() == before {
            self.memory.brains.insert(key, read.clone());
        }
        Some(read)
    }

    fn subject_names(&mut self, names: &[String], list: &FieldPath) {
        for (index, name) in names.iter().enumerate() {
            let path = list.index(index);
            let label = name.strip_prefix("sub-").unwrap_or_default();
            if label.is_empty() || !label.chars().all(char::is_alphanumeric) {
                self.wrong(
                    &path,
                    format!("`{path}` is `{name}`, expected `sub-` and letters or digits"),
                    "not a subject's name",
                );
            } else if names[..index].contains(name) {
                self.wrong(&path, format!("subject `{name}` is named twice"), "named before");
            }
        }
    }

    fn simulated(
        &mut self,
        simulate: &Simulate,
        atlas: &WrittenAtlas,
        runs: &[(String, bool)],
        ends_s: &[f64],
        length_s: Option<f64>,
        models: &[Model],
    ) -> Option<Brains> {
        let brought = [
            ("labels", atlas.labels.is_some()),
            ("table", atlas.table.is_some()),
            ("threshold", atlas.threshold.is_some()),
            ("map", atlas.map.is_some()),
            ("space", atlas.space.is_some()),
        ];
        for (name, is_given) in brought {
            if is_given {
                let path = FieldPath::of("atlas").key(name);
                self.wrong(
                    &path,
                    format!("`{path}` is given, but simulated subjects bring an atlas of their own"),
                    "remove it",
                );
            }
        }
        let path = FieldPath::of("bold.simulate.model");
        let models: Vec<&Model> = models.iter().filter(|model| !model.is_control).collect();
        let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
        let driver = match &simulate.model {
            Some(name) => models.iter().find(|model| model.name == *name).copied(),
            None if models.len() == 1 => models.first().copied(),
            None => None,
        };
        let Some(driver) = driver else {
            let found = simulate.model.as_ref().map_or("absent".to_owned(), |name| format!("`{name}`"));
            self.wrong(
                &path,
                format!("`{path}` is {found}, expected one of {}", quoted(&names)),
                "whose units drive the voxels?",
            );
            return None;
        };
        match check_rules(&schematic_networks(), &atlas.combine) {
            Ok(known) => {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                self.chosen_networks(&atlas.voxels, &known);
            }
            Err(error) => {
                self.wrong(&FieldPath::of("atlas.combine"), error.to_string(), "cannot be made of these networks");
            }
        }
        let names: Vec<&str> = runs.iter().map(|(name, _)| name.as_str()).collect();
        if let Err(error) = simulate.brain.check_repeats(&names) {
            let path = FieldPath::of("bold.simulate.brain.repeats");
            self.wrong(&path, error.to_string(), "cannot be shown again");
        }
        let brain = FieldPath::of("bold.simulate.brain");
        match simulate.brain.check() {
            Ok(()) => {}
            Err(SimulateError::Parameter { field, found, expected }) => {
                let place = field.split('.').fold(brain, |path, key| path.key(key));
                self.wrong(&place, format!("`{place}` is {found}, expected {expected}"), "cannot be simulated");
            }
            Err(error) => self.wrong(&brain, error.to_string(), "cannot be simulated"),
        }
        self.planted(&simulate.brain, driver);
        let n_tr: Vec<usize> = ends_s
            .iter()
            .map(|end| (length_s.unwrap_or(end + TAIL_S) / simulate.repetition_time_s).ceil() as usize)
            .collect();
        if let Some(shortest) = n_tr.iter().copied().min().filter(|shortest| *shortest < SHORTEST_RUN) {
            let path = FieldPath::of("bold.simulate.repetition_time_s");
            let message = format!("a run has {shortest} volumes, expected at least {SHORTEST_RUN}");
            let hint = "show more stimuli in each run, or shorten the repetition time";
            self.wrong_with_hint(&path, message, "too few volumes", hint);
            return None;
        }
        if let Some(longest) = n_tr.iter().copied().max().filter(|longest| *longest > LONGEST_RUN) {
            let path = FieldPath::of("bold.simulate.repetition_time_s");
            let message =
                format!("a run has {longest} volumes, expected at most {LONGEST_RUN}, as NIfTI-1 counts them");
            let hint = "show fewer stimuli in each run, or see whether the onsets of a table are in seconds";
            self.wrong_with_hint(&path, message, "too many volumes", hint);
            return None;
        }
        let repetition_time_s = simulate.repetition_time_s;
        let subjects = Subjects::Simulated {
            names: simulate.subjects.clone(),
            model: driver.name.clone(),
            brain: simulate.brain.clone(),
        };
        Some(Brains { subjects, repetition_time_s, n_tr })
    }

    /// Planted networks must be in the schematic atlas, and follow layers that the model has.
    fn planted(&mut self, brain: &Simulation, driver: &Model) {
        let known = schematic_networks();
        for (name, planted) in &brain.networks {
            let path = FieldPath::of("bold.simulate.brain.networks").key(name);
            if !known.contains(&name.as_str()) {
                let message = format!("the schematic atlas has no network `{name}`");
                self.wrong_with_hint(&path, message, "unknown network", suggestion(name, &known));
            }
            self.branch(&path, &planted.module, &planted.layers, driver);
            if let Some(also) = &planted.also {
                self.branch(&path.key("also"), &also.module, &also.layers, driver);
            }
        }
        if let Some(patterns) = &brain.patterns {
            let list = FieldPath::of("bold.simulate.brain.patterns.networks");
            for (index, name) in
                patterns.networks.iter().enumerate().filter(|(_, name)| !known.contains(&name.as_str()))
            {
                let message = format!("the schematic atlas has no network `{name}`");
                self.wrong_with_hint(&list.index(index), message, "unknown network", suggestion(name, &known));
            }
        }
    }

    /// A branch that drives a planted network is one of the model's.
    fn branch(&mut self, path: &FieldPath, module: &str, layers: &[usize], driver: &Model) {
        let modules: Vec<String> = driver.modules.iter().map(|units| units.module.to_string()).collect();
        let Some(units) = driver.modules.iter().find(|units| units.module.to_string() == module) else {
            let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
            let message = format!("`{}` has no module `{module}`, expected one of {}", driver.name, quoted(&modules));
            return self.wrong(&path.key("module"), message, "no such module");
        };
        let known = units.layer_numbers();
        for (index, layer) in layers.iter().enumerate().filter(|(_, layer)| !known.contains(layer)) {
            let message =
                format!("layer {layer} of `{module}` is not among the study's units, which are of layers {known:?}");
            self.wrong(&path.key("layers").index(index), message, "not among the units");
        }
    }

    /// Networks that voxels are taken from must be in the atlas.
    pub(super) fn chosen_networks(&mut self, voxels: &VoxelSelection, known: &[&str]) {
        let VoxelSelection::Networks(chosen) = voxels else { return };
        let list = FieldPath::of("atlas.voxels.networks");
        if chosen.is_empty() {
            self.wrong(
                &list,
                format!("`{list}` is empty, expected at least one of {}", quoted(known)),
                "no voxel is left",
            );
        }
        for (index, name) in chosen.iter().enumerate().filter(|(_, name)| !known.contains(&name.as_str())) {
            let message = format!("the atlas has no network `{name}`");
            self.wrong_with_hint(&list.index(index), message, "not in the atlas", suggestion(name, known));
        }
    }
}
