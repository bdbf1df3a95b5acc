//! Brains on disk: which files hold the runs, whether they agree with each other, the stimuli and the atlas.

use super::{Check, brains::Brains};
use crate::{
    brain::{
        assign::{AssignError, assign},
        atlas::AtlasError,
        head::{SeriesHead, read_head},
        locations::Extent,
        mask::Mask,
        prepare::{ClipTable, Preparation, PrepareError, RunInputs, confounds::names, regression, repetition_time},
        space::compare_spaces,
    },
    format::{
        bids::{DescriptionWarning, Generator, RunQuery, describe, find_runs},
        hcp::{HcpQuery, find_hcp_runs},
        matrices::{MatrixQuery, find_matrix_runs},
        runs::{Choice, FindError, RunFiles, RunNote, SeriesKind, choose},
    },
    spec::{
        document::FieldPath,
        schema::{quoted, suggestion},
        study::{RecordedSubject, Subjects},
        written::{Atlas as WrittenAtlas, Bids, Hcp, Matrices},
    },
};
use std::path::{Path, PathBuf};

/// Two repetition times closer than this are the same: headers round to milliseconds.
const REPETITION_TIME_TOLERANCE_S: f64 = 1e-3;

/// Where a study says that its runs are.
pub(super) enum Place<'a> {
    Bids(&'a Bids),
    Hcp(&'a Hcp),
    Matrices(&'a Matrices),
}

impl Place<'_> {
    fn table(&self) -> FieldPath {
        FieldPath::of(match self {
            Self::Bids(_) => "bold.bids",
            Self::Hcp(_) => "bold.hcp",
            Self::Matrices(_) => "bold.matrices",
        })
    }

    fn folder(&self) -> &Path {
        match self {
            Self::Bids(bids) => &bids.folder,
            Self::Hcp(hcp) => &hcp.folder,
            Self::Matrices(matrices) => &matrices.folder,
        }
    }

    fn subjects(&self) -> &[String] {
        match self {
            Self::Bids(bids) => &bids.subjects,
            Self::Hcp(hcp) => &hcp.subjects,
            Self::Matrices(matrices) => &matrices.subjects,
        }
    }

    fn series(&self) -> SeriesKind {
        match self {
            Self::Bids(bids) => bids.series,
            Self::Hcp(hcp) => hcp.series,
            Self::Matrices(_) => SeriesKind::Matrix,
        }
    }

    /// Every run of a subject that the place has, or that are asked for.
    fn find(&self, base: &Path, root: &Path, subject: &str, runs: &[String]) -> Result<Vec<RunFiles>, FindError> {
        match self {
            Self::Bids(bids) => find_runs(
                root,
                &RunQuery {
                    subject: subject.to_owned(),
                    session: bids.session.clone(),
                    task: bids.task.clone(),
                    acquisition: bids.acquisition.clone(),
                    direction: bids.direction.clone(),
                    echo: bids.echo.clone(),
                    space: bids.space.clone(),
                    resolution: bids.resolution.clone(),
                    density: bids.density.clone(),
                    desc: bids.desc.clone(),
                    kind: Some(bids.series),
                    runs: runs.to_vec(),
                    raw_root: bids.raw_folder.as_ref().map(|folder| base.join(folder)),
                },
            ),
            Self::Hcp(hcp) => find_hcp_runs(
                root,
                &HcpQuery {
                    subject: subject.to_owned(),
                    kind: Some(hcp.series),
                    resolution: hcp.resolution.clone(),
                    registration: hcp.registration,
                    processing: hcp.processing.clone(),
                    runs: runs.to_vec(),
                },
            ),
            Self::Matrices(matrices) => {
                let query = MatrixQuery {
                    series: matrices.path.clone(),
                    mask: Some(matrices.mask.clone()),
                    confounds: matrices.confounds.clone(),
                    repetition_time_s: Some(matrices.repetition_time_s),
                };
                let mut found = find_matrix_runs(root, &query, &[subject.to_owned()], runs)?;
                Ok(found.pop().unwrap_or_default())
            }
        }
    }
}

/// The runs of a study as the files are compared with them.
pub(super) struct Asked<'a> {
    /// Names, with whether they test.
    pub(super) runs: &'a [(String, bool)],
    /// When the last stimulus of each ends.
    pub(super) ends_s: &'a [f64],
    /// The table of each run's clips.
    pub(super) clips: Vec<Option<PathBuf>>,
}

/// The programs that made a data set, and what a reader should know if it does not say.
fn makers(place: &Place<'_>, root: &Path) -> (Vec<String>, Option<String>) {
    let Place::Bids(_) = place else { return (Vec::new(), None) };
    let unknown = |why: &str| Some(format!("the data set {why}: which program made it is not recorded"));
    match describe(root) {
        Ok(description) => {
            let named = |program: &Generator| match &program.version {
                Some(version) => format!("{} {version}", program.name),
                None => program.name.clone(),
            };
            (description.programs().map(named).collect(), None)
        }
        // Where it lies shapes no result, so its path is not told.
        Err(DescriptionWarning::Missing { .. }) => (Vec::new(), unknown("has no `dataset_description.json`")),
        Err(_) => (Vec::new(), unknown("has a `dataset_description.json` that cannot be read")),
    }
}

/// What a reader of the results should know about the choice of a run's files. Folders are left out: where a file lies shapes no
/// result.
fn notes(run: &RunFiles) -> impl Iterator<Item = String> + '_ {
    run.notes.iter().map(|note| {
        let name = |mask: &Path| mask.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match note {
            RunNote::SharedMask { mask } => {
                format!(
                    "run `{}` has no brain mask of its own: `{}` serves, which several runs share",
                    run.name,
                    name(mask)
                )
            }
            RunNote::AnatomicalMask { mask } => {
                format!("run `{}` has no functional brain mask: the anatomical `{}` serves", run.name, name(mask))
            }
        }
    })
}

impl Check<'_, '_> {
    /// The subjects on disk, once their files agree.
    pub(super) fn recorded(
        &mut self,
        place: &Place<'_>,
        atlas: &WrittenAtlas,
        preparation: &Preparation,
        asked: &Asked<'_>,
    ) -> Option<Brains> {
        let folder = place.table().key("folder");
        let base = self.document.folder(&folder).to_owned();
        let root = base.join(place.folder());
        if !root.is_dir() {
            let message = format!("the folder `{}` is not there", root.display());
            self.wrong(&folder, message, "expected a folder with a folder for each subject");
        }
        let expected = match place.series() {
            SeriesKind::Grayordinates => "a CIFTI file of labels (`.dlabel.nii`)",
            _ => "a NIfTI volume of labels",
        };
        let labels = self.atlas_file(atlas.labels.as_ref(), place, "atlas.labels", expected);
        // Labels on surfaces bring their names; probability maps can do without.
        let is_named = atlas.threshold.is_some()
            || place.series() == SeriesKind::Grayordinates
            || labels.as_ref().is_some_and(|labels| crate::brain::atlas::surface::is_surface_atlas(labels));
        let table = match (&atlas.table, is_named) {
            (None, true) => Some(None),
            (given, _) => {
                let expected = "a TSV table with columns `index` and `name`";
                self.atlas_file(given.as_ref(), place, "atlas.table", expected).map(Some)
            }
        };
        if !root.is_dir() {
            return None;
        }
        let clips = self.clip_tables(asked)?;
        let (made_by, undescribed) = makers(place, &root);
        let mut subjects = Vec::new();
        let mut time: Option<(f64, String)> = None;
        let mut n_tr: Vec<Option<(usize, String)>> = vec![None; asked.runs.len()];
        let mut fitted: Option<Extent> = None;
        for (index, name) in place.subjects().iter().enumerate() {
            let path = place.table().key("subjects").index(index);
            let Some(files) = self.runs_of(place, &base, &root, name, asked.runs, &path) else { continue };
            let mut first: Option<(usize, Extent)> = None;
            for (place, run) in files.iter().enumerate() {
                let Some((head, time_s)) = self.run_fits(run, preparation, clips[place].as_ref(), &path) else {
                    continue;
                };
                self.same_time(&mut time, time_s, run, &path);
                self.same_length(&mut n_tr[place], head.n_tr, run, &path);
                self.stimuli_end(asked.ends_s[place], &head, time_s, run, &path);
                match &first {
                    Some((first, extent)) if !extent.same_as(&head.extent) => {
                        let message =
                            format!("`{}` lies elsewhere than `{}`", run.bold.display(), files[*first].bold.display());
                        self.wrong(&path, message, "the runs of a subject have the same voxels");
                    }
                    Some(_) => {}
                    None => first = Some((place, head.extent)),
                }
            }
            let Some((_, extent)) = first else { continue };
            if let (Some(labels), Some(table)) = (&labels, &table)
                && fitted.as_ref().is_none_or(|fitted| !fitted.same_as(&extent))
            {
                self.atlas_fits(labels, table.as_deref(), &extent, atlas);
                fitted = Some(extent.clone());
            }
            let mut caveats: Vec<String> = undescribed.iter().cloned().chain(files.iter().flat_map(notes)).collect();
            if let Some(labels) = &labels {
                caveats.extend(self.spaces_agree(labels, &files[0], atlas));
            }
            let n_grid_voxels = extent.n_places();
            // A mask that cannot be read was told above; everything is then the safe answer.
            let inside = |mask: Mask| mask.inside.iter().filter(|inside| **inside).count();
            let mask = files[0].mask.as_ref().and_then(|path| Mask::read(path).ok());
            let n_brain_voxels = mask.map_or(n_grid_voxels, inside);
            subjects.push(RecordedSubject { name: name.clone(), runs: files, n_grid_voxels, n_brain_voxels, caveats });
        }
        let n_tr = n_tr.into_iter().map(|known| known.map(|(length, _)| length)).collect::<Option<Vec<_>>>()?;
        let subjects = Subjects::Recorded { subjects, labels: labels?, table: table?, made_by };
        Some(Brains { subjects, repetition_time_s: time?.0, n_tr })
    }

    fn atlas_file(
        &mut self,
        given: Option<&PathBuf>,
        place: &Place<'_>,
        field: &str,
        expected: &str,
    ) -> Option<PathBuf> {
        let path = FieldPath::of(field);
        let Some(given) = given else {
            self.wrong(
                &place.table(),
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

    /// The clips of each run.
    fn clip_tables(&mut self, asked: &Asked<'_>) -> Option<Vec<Option<ClipTable>>> {
        let before = self.found.len();
        let mut tables = Vec::with_capacity(asked.clips.len());
        for path in &asked.clips {
            tables.push(path.as_ref().and_then(|path| match ClipTable::read(path) {
                Ok(table) => Some(table),
                Err(error) => {
                    self.wrong(&FieldPath::of("runs.clips"), error.to_string(), "one of these tables is wrong");
                    None
                }
            }));
        }
        (self.found.len() == before).then_some(tables)
    }

    /// The files of a subject's runs, in the order of the study's runs.
    fn runs_of(
        &mut self,
        place: &Place<'_>,
        base: &Path,
        root: &Path,
        subject: &str,
        runs: &[(String, bool)],
        path: &FieldPath,
    ) -> Option<Vec<RunFiles>> {
        let asked: Vec<String> = runs.iter().map(|(name, _)| name.clone()).collect();
        let found = match place.find(base, root, subject, &asked) {
            Ok(found) => found,
            Err(error) => {
                self.wrong(path, error.to_string(), "its files are not as expected");
                return None;
            }
        };
        let there: Vec<&str> =
            found.iter().filter_map(|files| files.labels.names.first().map(String::as_str)).collect();
        let mut files = Vec::new();
        for (name, is_test) in runs {
            match choose(name, &found) {
                Choice::One(one) => files.push(one.clone()),
                Choice::Nothing => {
                    let message = format!("`{subject}` has no run `{name}`, it has {}", quoted(&there));
                    let list = if *is_test { "runs.test" } else { "runs.train" };
                    let hint = match place {
                        Place::Hcp(_) => format!("`{list}` names the runs as `MOVIE1` or `MOVIE1_7T_AP`"),
                        _ => format!("`{list}` names the runs as BIDS files do after `run-`"),
                    };
                    self.wrong_with_hint(path, message, "a run is missing", hint);
                }
                Choice::Several { found, told_apart_by } => {
                    let (one, two) = (&found[0].name, &found[1].name);
                    let message = format!("`{subject}` has run `{name}` more than once: `{one}` and `{two}`");
                    let table = place.table();
                    let hint = match told_apart_by.first() {
                        Some(key) => format!("say which, as in `{key}-…_run-{name}`, or narrow `[{table}]`"),
                        None => format!("narrow `[{table}]`"),
                    };
                    self.wrong_with_hint(path, message, "which one is not clear", hint);
                }
            }
        }
        (files.len() == runs.len()).then_some(files)
    }

    /// What the run's files say about time and confounds, and whether mask and series lie on one grid.
    fn run_fits(
        &mut self,
        run: &RunFiles,
        preparation: &Preparation,
        clips: Option<&ClipTable>,
        path: &FieldPath,
    ) -> Option<(SeriesHead, f64)> {
        let head = match read_head(run) {
            Ok(head) => head,
            Err(error) => {
                self.wrong(path, error.to_string(), "not a readable series");
                return None;
            }
        };
        let repetition_time_s = match repetition_time(run, head.repetition_time_s) {
            Ok(seconds) => seconds,
            Err(error) => {
                self.wrong(path, error.to_string(), "time is not clear");
                return None;
            }
        };
        let inputs = RunInputs { clips, ..RunInputs::from(run) };
        if let Err(error) = regression(inputs, head.n_tr, repetition_time_s, preparation) {
            self.cannot_prepare(error, preparation);
        }
        if preparation.smoothing_fwhm_mm.is_some() && run.kind != SeriesKind::Volume {
            let field = FieldPath::of("preparation.smoothing_fwhm_mm");
            let message = format!("`{field}` is given, but `{}` holds no volumes", run.bold.display());
            self.wrong(&field, message, "only volumes are smoothed");
        }
        let (SeriesKind::Volume, Some(mask), Extent::Grid(grid)) = (run.kind, &run.mask, &head.extent) else {
            return Some((head, repetition_time_s));
        };
        match Mask::read(mask) {
            Ok(mask) if !mask.grid.same_as(grid) => {
                let message = format!("`{}` has {}, but its brain mask has {}", run.bold.display(), grid, mask.grid);
                self.wrong(path, message, "series and mask lie on different grids");
            }
            Ok(_) => {}
            Err(error) => self.wrong(path, error.to_string(), "not a usable brain mask"),
        }
        Some((head, repetition_time_s))
    }

    fn stimuli_end(&mut self, end_s: f64, head: &SeriesHead, time_s: f64, run: &RunFiles, path: &FieldPath) {
        let in_all_s = head.n_tr as f64 * time_s;
        if end_s > in_all_s + time_s {
            let message = format!(
                "run `{}` has {} volumes of {time_s} s, {in_all_s} s in all, but its stimuli end at {end_s} s",
                run.name, head.n_tr
            );
            let hint = "check that the stimulus table belongs to this run and that its times are seconds";
            self.wrong_with_hint(path, message, "stimuli and volumes do not match", hint);
        }
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
                        let message = format!("`{pattern}` names no column of `{}`", file.display());
                        self.wrong_with_hint(&place, message, "no such column", suggestion(pattern, &columns));
                    }
                }
            }
            ref error @ PrepareError::NoNuisance { group, .. } => {
                let place = path.key("nuisance").key(group);
                let span = self.document.value_span(&place);
                if !self.found.iter().any(|found| found.span == span) {
                    self.wrong(&place, error.to_string(), "not in the table");
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

    fn same_length(&mut self, known: &mut Option<(usize, String)>, n_tr: usize, run: &RunFiles, path: &FieldPath) {
        match known {
            None => *known = Some((n_tr, run.name.clone())),
            Some((length, _)) if *length == n_tr => {}
            Some((length, first)) => {
                let message = format!("run `{}` has {n_tr} volumes, `{first}` has {length}", run.name);
                self.wrong(path, message, "the same run has the same length in every subject");
            }
        }
    }

    /// An atlas in another space is an atlas of other places; what is not certain of it is told in the results.
    fn spaces_agree(&mut self, labels: &Path, run: &RunFiles, atlas: &WrittenAtlas) -> Option<String> {
        match compare_spaces(labels, &run.bold, run.space.as_deref(), atlas.space.as_deref()) {
            Ok(agreement) => agreement.is_caveat().then(|| agreement.to_string()),
            Err(mismatch) => {
                let field = FieldPath::of(if atlas.space.is_some() { "atlas.space" } else { "atlas.labels" });
                // One atlas serves all subjects: the first that it does not fit is told.
                let span = self.document.value_span(&field);
                if !self.found.iter().any(|found| found.span == span) {
                    self.wrong(&field, mismatch.to_string(), "not the space of the series");
                }
                None
            }
        }
    }

    fn atlas_fits(&mut self, labels: &Path, table: Option<&Path>, extent: &Extent, atlas: &WrittenAtlas) {
        let path = FieldPath::of("atlas.labels");
        match assign(labels, table, &atlas.options(), extent) {
            Ok((assigned, _)) => {
                let known: Vec<&str> = assigned.networks.iter().map(|network| network.name.as_str()).collect();
                self.chosen_networks(&atlas.voxels, &known);
            }
            Err(AssignError::Atlas(error @ AtlasError::Grid(_))) => {
                self.wrong(&path, error.to_string(), "does not fit the series");
            }
            Err(AssignError::Atlas(error)) => self.wrong(&path, error.to_string(), "not a usable atlas"),
            Err(AssignError::Rule(error)) => {
                self.wrong(&FieldPath::of("atlas"), error.to_string(), "cannot be made of these networks");
            }
            Err(AssignError::Option { option, .. }) if option == "map" || option == "threshold" => {
                let field = FieldPath::of("atlas").key(option);
                let message = format!("`{field}` is given, but `{}` is no such atlas", labels.display());
                let label = if option == "map" {
                    "only a `.dlabel.nii` has maps to choose from"
                } else {
                    "only for volumes of probabilities"
                };
                self.wrong(&field, message, label);
            }
            Err(error) => self.wrong(&path, error.to_string(), "does not fit the series"),
        }
    }
}
