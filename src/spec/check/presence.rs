//! Files: whether everything that a study names is there at all, told in one go with where it comes from.
//!
//! Looks before anything is opened, so that whoever copies a study sees the whole list of what to fetch, not its first entry.

use super::Check;
use crate::{
    model::hub::HubModel,
    spec::{
        Demand, Diagnostic, NamedPlace,
        document::FieldPath,
        place::{fixed, whole},
        written::{Bold, Stimuli, WrittenStudy},
    },
    stimulus::table_path,
};
use std::path::{Path, PathBuf};

/// Missing files that are listed before they are counted.
const LISTED: usize = 6;

/// A field and the files that it names.
struct Named {
    path: FieldPath,
    files: Vec<PathBuf>,
    /// A few words under the caret.
    expected: &'static str,
}

impl Check<'_, '_> {
    /// Whether all files that the study names are there.
    pub(super) fn all_is_there(&mut self, written: &WrittenStudy) -> bool {
        let mut is_there = self.known_sources(written);
        for Named { path, files, expected } in self.named(written) {
            let missing: Vec<String> =
                files.iter().filter(|file| !file.exists()).map(|file| format!("`{}`", file.display())).collect();
            let Some((first, others)) = missing.split_first() else { continue };
            let listed = others.iter().take(LISTED - 1).map(|other| format!(", nor {other}")).collect::<String>();
            let more = match others.len().saturating_sub(LISTED - 1) {
                0 => String::new(),
                n => format!(", nor {n} more"),
            };
            let hint = "paths start from the study file's folder; `hebb inputs` writes files of this form to look at";
            self.wrong_with_hint(&path, format!("there is no {first}{listed}{more}"), expected, hint);
            is_there = false;
        }
        is_there
    }

    /// The fields that name files or a folder, once everything is there.
    pub(super) fn places(&self, written: &WrittenStudy) -> Vec<NamedPlace> {
        self.named(written).into_iter().flat_map(|named| self.written_places(&named)).collect()
    }

    /// The fields that a list of files comes from: where a folder and a path below it are written, the folder.
    fn written_places(&self, named: &Named) -> Vec<NamedPlace> {
        let matrices = FieldPath::of("bold.matrices");
        let fields = if named.path == matrices.key("path") {
            let folder = matrices.key("folder");
            if self.document.has(&folder) {
                vec![folder]
            } else {
                ["path", "mask", "confounds"].map(|key| matrices.key(key)).into_iter().collect()
            }
        } else {
            vec![named.path.clone()]
        };
        let place = |field: FieldPath| {
            Some(NamedPlace {
                written: self.document.text(&field)?.to_owned(),
                span: self.document.value_span(&field),
                start: self.document.folder(&field).to_owned(),
                files: named.files.clone(),
                source: self.source(&field).map(str::to_owned),
                field: field.to_string(),
            })
        };
        fields.into_iter().filter_map(place).collect()
    }

    /// Whether the study may have what it names outside its own folder: told of all of it at once.
    pub(super) fn all_is_allowed(&mut self, written: &WrittenStudy) -> bool {
        let before = self.found.len();
        for place in self.places(written) {
            let path = whole(&place.start.join(fixed(&place.written).0));
            self.may_read(&FieldPath::of(&place.field), &path);
        }
        self.found.len() == before
    }

    /// Notes that a path leads out of the study's folder, if it does and the study may not have it.
    pub(super) fn may_read(&mut self, field: &FieldPath, path: &Path) -> bool {
        let home = whole(&self.document.sources[0].folder);
        let may = path.starts_with(home) || (self.memory.surroundings.may)(&Demand::Read(path.to_owned()));
        if !may {
            let message = format!("this study asks to read `{}`, outside its own folder", path.display());
            self.refuse(field, message);
        }
        may
    }

    /// Notes that a study asks for what it may not have.
    pub(super) fn refuse(&mut self, field: &FieldPath, message: String) {
        let hint = "if you know this study, say `--trust` once: it may have what it asks for from then on";
        self.found.push(Diagnostic::new(self.document.value_span(field), message, "not without your word").hint(hint));
    }

    /// Everything that `sources` tells about is a field of the study.
    fn known_sources(&mut self, written: &WrittenStudy) -> bool {
        let before = self.found.len();
        for name in written.sources.keys() {
            if !self.document.has(&FieldPath::of(name)) {
                let path = FieldPath::of("sources").key(name);
                let message = format!("`{name}` is no field of this study");
                self.wrong(&path, message, "expected the path of a field, as `models.clip.weights`");
            }
        }
        self.found.len() == before
    }

    fn named(&self, written: &WrittenStudy) -> Vec<Named> {
        let mut all = Vec::new();
        let runs: Vec<&String> = written.runs.train.iter().chain(&written.runs.test).collect();
        let of_runs = |path: FieldPath, pattern: &str| -> Named {
            let folder = self.document.folder(&path);
            let files = runs.iter().map(|run| table_path(pattern, folder, run)).collect();
            Named { path, files, expected: "expected one for each run" }
        };
        let one = |path: FieldPath, file: &Path, expected: &'static str| -> Named {
            let file = self.document.folder(&path).join(file);
            Named { path, files: vec![file], expected }
        };
        if let Stimuli::Tables(tables) = &written.stimuli {
            all.push(of_runs(FieldPath::of("stimuli.tables.path"), &tables.path));
            all.extend(
                tables.transcripts.iter().map(|text| of_runs(FieldPath::of("stimuli.tables.transcripts"), text)),
            );
            let folder = FieldPath::of("stimuli.tables.image_folder");
            all.extend(tables.image_folder.iter().map(|file| one(folder.clone(), file, "expected a folder of images")));
        }
        all.extend(written.runs.clips.iter().map(|clips| of_runs(FieldPath::of("runs.clips"), clips)));
        for (name, model) in &written.models {
            let path = FieldPath::of("models").key(name).key("weights");
            let weights = model.weights.iter().filter(|weights| !HubModel::is_meant(weights));
            all.extend(weights.map(|file| one(path.clone(), Path::new(file), "expected a folder or a checkpoint")));
        }
        let folder = "expected a folder with a folder for each subject";
        match &written.bold {
            Bold::Bids(bids) => {
                all.push(one(FieldPath::of("bold.bids.folder"), &bids.folder, folder));
                let raw = FieldPath::of("bold.bids.raw_folder");
                all.extend(bids.raw_folder.iter().map(|file| one(raw.clone(), file, folder)));
            }
            Bold::Hcp(hcp) => all.push(one(FieldPath::of("bold.hcp.folder"), &hcp.folder, folder)),
            Bold::Matrices(matrices) => {
                let path = FieldPath::of("bold.matrices.path");
                let root = self.document.folder(&path).join(&matrices.folder);
                let of_subject = |subject: &String| {
                    let name = matrices.path.replace("{subject}", subject);
                    runs.iter().map(|run| root.join(name.replace("{run}", run))).collect::<Vec<_>>()
                };
                let files = matrices.subjects.iter().flat_map(of_subject).collect();
                all.push(Named { path, files, expected: "expected one for each subject and run" });
            }
            Bold::Simulate(_) => {}
        }
        // Simulated subjects bring an atlas of their own.
        if !matches!(written.bold, Bold::Simulate(_)) {
            let (labels, table) = (FieldPath::of("atlas.labels"), FieldPath::of("atlas.table"));
            all.extend(
                written.atlas.labels.iter().map(|file| one(labels.clone(), file, "expected labels of networks")),
            );
            let expected = "expected a TSV table with columns `index` and `name`";
            all.extend(written.atlas.table.iter().map(|file| one(table.clone(), file, expected)));
        }
        let families = written.statistics.group.iter().filter_map(|group| group.families.as_ref());
        let path = FieldPath::of("statistics.group.families");
        all.extend(families.map(|file| one(path.clone(), file, "expected a TSV table with a column of families")));
        all
    }
}
