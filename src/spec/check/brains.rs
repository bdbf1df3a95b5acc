//! Brains: which files hold the runs, whether they agree with each other, the stimuli and the atlas.

use super::{Check, TAIL_S};
use crate::{
    brain::{
        atlas::{Atlas, schematic::schematic_networks},
        grid::Grid,
        mask::{Mask, VoxelSelection},
        prepare::{Preparation, PrepareError, confounds::names, regression, repetition_time},
        simulate::{SHORTEST_RUN, SimulateError, Simulation},
    },
    format::{
        bids::{Entities, RunFiles, RunQuery, find_runs},
        nifti::{NiftiInfo, read_info},
    },
    spec::{
        document::FieldPath,
        schema::{nearest, quoted},
        study::{Model, RecordedSubject, Subjects},
        written::{Atlas as WrittenAtlas, Bids, Bold, Simulate},
    },
};
use std::path::PathBuf;

/// Two repetition times closer than this are the same: headers round to milliseconds.
const REPETITION_TIME_TOLERANCE_S: f64 = 1e-3;

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
        ends_s: &[f64],
        length_s: Option<f64>,
        models: Option<&[Model]>,
    ) -> Option<Brains> {
        let subjects = match &bold {
            Bold::Bids(bids) => (&bids.subjects, "bold.bids.subjects"),
            Bold::Simulate(simulate) => (&simulate.subjects, "bold.simulate.subjects"),
        };
        self.subject_names(subjects.0, &FieldPath::of(subjects.1));
        match bold {
            Bold::Simulate(simulate) => self.simulated(simulate, atlas, ends_s, length_s, models?),
            Bold::Bids(bids) => {
                let key = self.key(&["bold", "atlas", "preparation", "runs", "stimuli"]);
                if let Some(read) = self.memory.brains.get(&key) {
                    return Some(read.clone());
                }
                let before = self.found.len();
                let read = self.recorded(&bids, atlas, preparation, runs, ends_s)?;
                if self.found.len() == before {
                    self.memory.brains.insert(key, read.clone());
                }
                Some(read)
            }
        }
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
        simulate: Simulate,
        atlas: &WrittenAtlas,
        ends_s: &[f64],
        length_s: Option<f64>,
        models: &[Model],
    ) -> Option<Brains> {
        for (name, given) in [("labels", &atlas.labels), ("table", &atlas.table)] {
            if given.is_some() {
                let path = FieldPath::of("atlas").key(name);
                self.wrong(
                    &path,
                    format!("`{path}` is given, but simulated subjects bring an atlas of their own"),
                    "remove it",
                );
            }
        }
        let path = FieldPath::of("bold.simulate.model");
        let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
        let driver = match &simulate.model {
            Some(name) => models.iter().find(|model| model.name == *name),
            None if models.len() == 1 => models.first(),
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
        self.chosen_networks(&atlas.voxels, &schematic_networks());
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
        let repetition_time_s = simulate.repetition_time_s;
        let subjects =
            Subjects::Simulated { names: simulate.subjects, model: driver.name.clone(), brain: simulate.brain };
        Some(Brains { subjects, repetition_time_s, n_tr })
    }

    /// Planted networks must be in the schematic atlas, and follow layers that the model has.
    fn planted(&mut self, brain: &Simulation, driver: &Model) {
        let known = schematic_networks();
        for (name, planted) in &brain.networks {
            let path = FieldPath::of("bold.simulate.brain.networks").key(name);
            if !known.contains(&name.as_str()) {
                let hint = nearest(name, &known)
                    .map_or(format!("it has {}", quoted(&known)), |near| format!("did you mean `{near}`?"));
                self.wrong_with_hint(
                    &path,
                    format!("the schematic atlas has no network `{name}`"),
                    "unknown network",
                    hint,
                );
            }
            let modules: Vec<String> = driver.modules.iter().map(|units| units.module.to_string()).collect();
            let Some(module) = driver.modules.iter().find(|units| units.module.to_string() == planted.module) else {
                let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
                let message = format!(
                    "`{}` has no module `{}`, expected one of {}",
                    driver.name,
                    planted.module,
                    quoted(&modules)
                );
                self.wrong(&path.key("module"), message, "no such module");
                continue;
            };
            let known = module.layer_numbers();
            for (index, layer) in planted.layers.iter().enumerate().filter(|(_, layer)| !known.contains(layer)) {
                let message = format!(
                    "layer {layer} of `{}` is not among the study's units, which are of layers {:?}",
                    planted.module, known
                );
                self.wrong(&path.key("layers").index(index), message, "not among the units");
            }
        }
    }

    fn recorded(
        &mut self,
        bids: &Bids,
        atlas: &WrittenAtlas,
        preparation: &Preparation,
        runs: &[(String, bool)],
        ends_s: &[f64],
    ) -> Option<Brains> {
        let root = self.document.folder(&FieldPath::of("bold.bids.folder")).join(&bids.folder);
        if !root.is_dir() {
            let path = FieldPath::of("bold.bids.folder");
            self.wrong(
                &path,
                format!("the folder `{}` is not there", root.display()),
                "expected a folder with `sub-…` folders",
            );
        }
        let labels = self.atlas_file(atlas.labels.as_ref(), "atlas.labels", "a NIfTI volume of labels");
        let table = self.atlas_file(atlas.table.as_ref(), "atlas.table", "a TSV table with columns `index` and `name`");
        if !root.is_dir() {
            return None;
        }
        let mut subjects = Vec::new();
        let mut time: Option<(f64, String)> = None;
        let mut n_tr: Vec<Option<(usize, String)>> = vec![None; runs.len()];
        for (index, name) in bids.subjects.iter().enumerate() {
            let path = FieldPath::of("bold.bids.subjects").index(index);
            let Some(files) = self.runs_of(&root, bids, name, runs, &path) else { continue };
            let mut grid = None;
            for (place, run) in files.iter().enumerate() {
                let info = match read_info(&run.bold) {
                    Ok(info) => info,
                    Err(error) => {
                        self.wrong(&path, error.to_string(), "not a readable series");
                        continue;
                    }
                };
                let Some(repetition_time_s) = self.run_fits(run, &info, preparation, &path) else { continue };
                self.same_time(&mut time, repetition_time_s, run, &path);
                self.same_length(&mut n_tr[place], &info, run, &path);
                if ends_s[place] > info.n_volumes as f64 * repetition_time_s + repetition_time_s {
                    let message = format!(
                        "run `{}` has {} volumes of {repetition_time_s} s, {} s in all, but its stimuli end at {} s",
                        run.name,
                        info.n_volumes,
                        info.n_volumes as f64 * repetition_time_s,
                        ends_s[place]
                    );
                    let hint = "check that the stimulus table belongs to this run and that its times are seconds";
                    self.wrong_with_hint(&path, message, "stimuli and volumes do not match", hint);
                }
                grid = grid.or(Some(info));
            }
            let Some(grid) = grid else { continue };
            if let (Some(labels), Some(table)) = (&labels, &table) {
                self.atlas_fits(labels, table, &grid, &atlas.voxels);
            }
            let n_grid_voxels = grid.n_voxels();
            // A mask that cannot be read was told above; the grid is then the safe answer.
            let inside = |mask: Mask| mask.inside.iter().filter(|inside| **inside).count();
            let n_brain_voxels = Mask::read(&files[0].mask).map_or(n_grid_voxels, inside);
            subjects.push(RecordedSubject { name: name.clone(), runs: files, n_grid_voxels, n_brain_voxels });
        }
        let n_tr = n_tr.into_iter().map(|known| known.map(|(length, _)| length)).collect::<Option<Vec<_>>>()?;
        let subjects = Subjects::Recorded { subjects, labels: labels?, table: table? };
        Some(Brains { subjects, repetition_time_s: time?.0, n_tr })
    }

    fn atlas_file(&mut self, given: Option<&PathBuf>, field: &str, expected: &str) -> Option<PathBuf> {
        let path = FieldPath::of(field);
        let Some(given) = given else {
            self.wrong(
                &FieldPath::of("bold.bids"),
                format!("`{path}` is missing"),
                format!("needs an atlas: set `{path}` to {expected}"),
            );
            return None;
        };
        let file = self.document.folder(&path).join(given);
        if !file.is_file() {
            self.wrong(&path, format!("the file `{}` is not there", file.display()), format!("expected {expected}"));
            return None;
        }
        Some(file)
    }

    /// The files of a subject's runs, in the order of the study's runs.
    fn runs_of(
        &mut self,
        root: &std::path::Path,
        bids: &Bids,
        subject: &str,
        runs: &[(String, bool)],
        path: &FieldPath,
    ) -> Option<Vec<RunFiles>> {
        let query = RunQuery {
            subject: subject.to_owned(),
            session: bids.session.clone(),
            task: bids.task.clone(),
            space: bids.space.clone(),
            resolution: None,
            raw_root: None,
        };
        let found = match find_runs(root, &query) {
            Ok(found) => found,
            Err(error) => {
                self.wrong(path, error.to_string(), "its files are not as expected");
                return None;
            }
        };
        let label = |files: &RunFiles| {
            files
                .bold
                .file_name()
                .and_then(|name| Entities::parse(&name.to_string_lossy()).ok())
                .and_then(|entities| entities.get("run").map(str::to_owned))
        };
        let there: Vec<String> = found.iter().filter_map(label).collect();
        let mut files = Vec::new();
        for (name, is_test) in runs {
            let mut of_run = found.iter().filter(|files| label(files).as_deref() == Some(name));
            match (of_run.next(), of_run.next()) {
                (Some(one), None) => files.push(one.clone()),
                (None, _) => {
                    let there: Vec<&str> = there.iter().map(String::as_str).collect();
                    let message = format!("`{subject}` has no run `{name}`, it has {}", quoted(&there));
                    let list = if *is_test { "runs.test" } else { "runs.train" };
                    self.wrong_with_hint(
                        path,
                        message,
                        "a run is missing",
                        format!("`{list}` names the runs as BIDS files do after `run-`"),
                    );
                }
                (Some(one), Some(two)) => {
                    let message =
                        format!("`{subject}` has run `{name}` more than once: `{}` and `{}`", one.name, two.name);
                    self.wrong_with_hint(
                        path,
                        message,
                        "which one is not clear",
                        "set `task` or `session` in `[bold.bids]`",
                    );
                }
            }
        }
        (files.len() == runs.len()).then_some(files)
    }

    /// What the run's files say about time and confounds, and whether mask and series lie on one grid.
    fn run_fits(
        &mut self,
        run: &RunFiles,
        info: &NiftiInfo,
        preparation: &Preparation,
        path: &FieldPath,
    ) -> Option<f64> {
        let repetition_time_s = match repetition_time(run, info.repetition_time_s) {
            Ok(seconds) => seconds,
            Err(error) => {
                self.wrong(path, error.to_string(), "time is not clear");
                return None;
            }
        };
        if let Err(error) = regression(run, info.n_volumes, repetition_time_s, preparation) {
            self.cannot_prepare(error, preparation);
        }
        match (Mask::read(&run.mask), Grid::of_image(info)) {
            (Ok(mask), Ok(grid)) if !mask.grid.same_as(&grid) => {
                let message = format!("`{}` has {}, but its brain mask has {}", run.bold.display(), grid, mask.grid);
                self.wrong(path, message, "series and mask lie on different grids");
            }
            (Ok(_), Ok(_)) => {}
            (Err(error), _) => self.wrong(path, error.to_string(), "not a usable brain mask"),
            (_, Err(error)) => self.wrong(path, error.to_string(), "a series without a place in space"),
        }
        Some(repetition_time_s)
    }

    /// Says why a run cannot be prepared, at the field that asks for it.
    fn cannot_prepare(&mut self, error: PrepareError, preparation: &Preparation) {
        let path = FieldPath::of("preparation");
        match error {
            PrepareError::NoConfounds { run } => {
                let hint = "fMRIPrep writes it beside the series, as `…_desc-confounds_timeseries.tsv`";
                let message = format!("run `{run}` has no confounds table");
                self.wrong_with_hint(&path, message, "needs one for every run", hint);
            }
            PrepareError::NoSuchConfound { path: file, available, .. } => {
                let columns: Vec<&str> = available.iter().map(String::as_str).collect();
                for (index, pattern) in preparation.confounds.iter().enumerate() {
                    let place = path.key("confounds").index(index);
                    let span = self.document.value_span(&place);
                    // Tables of one study have the same columns: the first that lacks one is told.
                    let is_told = self.found.iter().any(|found| found.span == span);
                    if !is_told && !columns.iter().any(|column| names(pattern, column)) {
                        let hint = nearest(pattern, &columns)
                            .map_or(format!("it has {}", quoted(&columns)), |near| format!("did you mean `{near}`?"));
                        let message = format!("`{pattern}` names no column of `{}`", file.display());
                        self.wrong_with_hint(&place, message, "no such column", hint);
                    }
                }
            }
            error => self.wrong(&path, error.to_string(), "cannot be done with this run"),
        }
    }

    fn same_time(&mut self, known: &mut Option<(f64, String)>, found_s: f64, run: &RunFiles, path: &FieldPath) {
        match known {
            None => *known = Some((found_s, run.name.clone())),
            Some((time_s, _)) if (*time_s - found_s).abs() <= REPETITION_TIME_TOLERANCE_S => {}
            Some((time_s, first)) => {
                let message =
                    format!("run `{}` has a repetition time of {found_s} s, `{first}` of {time_s} s", run.name);
                self.wrong(path, message, "one study has one repetition time");
            }
        }
    }

    fn same_length(&mut self, known: &mut Option<(usize, String)>, info: &NiftiInfo, run: &RunFiles, path: &FieldPath) {
        match known {
            None => *known = Some((info.n_volumes, run.name.clone())),
            Some((length, _)) if *length == info.n_volumes => {}
            Some((length, first)) => {
                let message = format!("run `{}` has {} volumes, `{first}` has {length}", run.name, info.n_volumes);
                self.wrong(path, message, "the same run has the same length in every subject");
            }
        }
    }

    fn atlas_fits(
        &mut self,
        labels: &std::path::Path,
        table: &std::path::Path,
        volume: &NiftiInfo,
        voxels: &VoxelSelection,
    ) {
        let path = FieldPath::of("atlas.labels");
        let grid = match Grid::of_image(volume) {
            Ok(grid) => grid,
            Err(error) => {
                return self.wrong(&FieldPath::of("bold.bids"), error.to_string(), "a series without a place in space");
            }
        };
        let atlas = match Atlas::read(labels, table) {
            Ok(atlas) => atlas,
            Err(error) => return self.wrong(&path, error.to_string(), "not a usable atlas"),
        };
        if let Err(error) = atlas.resampled(&grid) {
            self.wrong(&path, error.to_string(), "does not fit the series");
        }
        let known: Vec<&str> = atlas.networks.iter().map(|network| network.name.as_str()).collect();
        self.chosen_networks(voxels, &known);
    }

    /// Networks that voxels are taken from must be in the atlas.
    fn chosen_networks(&mut self, voxels: &VoxelSelection, known: &[&str]) {
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
            let hint = nearest(name, known)
                .map_or(format!("it has {}", quoted(known)), |near| format!("did you mean `{near}`?"));
            let message = format!("the atlas has no network `{name}`");
            self.wrong_with_hint(&list.index(index), message, "not in the atlas", hint);
        }
    }
}
