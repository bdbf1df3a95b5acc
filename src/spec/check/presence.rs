//! Files: whether everything that a study names is there at all, told in one go with where it comes from.
//!
//! Looks before anything is opened, so that whoever copies a study sees the whole list of what to fetch, not its first entry.

use super::Check;
use crate::{
    model::hub::HubModel,
    spec::{
        document::FieldPath,
        written::{Bold, Stimuli, WrittenStudy},
    },
    stimulus::table_path,
};
use std::path::{Path, PathBuf};

/// Missing files that are listed before they are counted.
const LISTED: usize = 6;

/// A field and the files that it names.
type Named = (FieldPath, Vec<PathBuf>);

impl Check<'_, '_> {
    /// Whether all files that the study names are there.
    pub(super) fn all_is_there(&mut self, written: &WrittenStudy) -> bool {
        let mut is_there = self.known_sources(written);
        for (path, files) in self.named(written) {
            let missing: Vec<String> =
                files.iter().filter(|file| !file.exists()).map(|file| format!("`{}`", file.display())).collect();
            let Some((first, others)) = missing.split_first() else { continue };
            let listed = others.iter().take(LISTED - 1).map(|other| format!(", nor {other}")).collect::<String>();
            let more = match others.len().saturating_sub(LISTED - 1) {
                0 => String::new(),
                n => format!(", nor {n} more"),
            };
            let hint = "paths start from the study file's folder; `hebb inputs` writes files of this form to look at";
            self.wrong_with_hint(&path, format!("there is no {first}{listed}{more}"), "not there", hint);
            is_there = false;
        }
        is_there
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
            (path, files)
        };
        let one = |path: FieldPath, file: &Path| -> Named {
            let file = self.document.folder(&path).join(file);
            (path, vec![file])
        };
        if let Stimuli::Tables(tables) = &written.stimuli {
            all.push(of_runs(FieldPath::of("stimuli.tables.path"), &tables.path));
            all.extend(
                tables.transcripts.iter().map(|text| of_runs(FieldPath::of("stimuli.tables.transcripts"), text)),
            );
            all.extend(tables.image_folder.iter().map(|file| one(FieldPath::of("stimuli.tables.image_folder"), file)));
        }
        all.extend(written.runs.clips.iter().map(|clips| of_runs(FieldPath::of("runs.clips"), clips)));
        for (name, model) in &written.models {
            let weights = model.weights.iter().filter(|weights| !HubModel::is_meant(weights));
            all.extend(weights.map(|file| one(FieldPath::of("models").key(name).key("weights"), Path::new(file))));
        }
        let subjects = |table: &str, folder: &Path, subjects: &[String], is_hcp: bool| -> Named {
            let path = FieldPath::of(table).key("folder");
            let root = self.document.folder(&path).join(folder);
            if !root.exists() {
                return (path, vec![root]);
            }
            let bare = |name: &String| name.strip_prefix("sub-").unwrap_or(name).to_owned();
            let folders =
                subjects.iter().map(|name| root.join(if is_hcp { bare(name) } else { name.clone() })).collect();
            (FieldPath::of(table).key("subjects"), folders)
        };
        match &written.bold {
            Bold::Bids(bids) => all.push(subjects("bold.bids", &bids.folder, &bids.subjects, false)),
            Bold::Hcp(hcp) => all.push(subjects("bold.hcp", &hcp.folder, &hcp.subjects, true)),
            Bold::Matrices(matrices) => {
                let path = FieldPath::of("bold.matrices.path");
                let root = self.document.folder(&path).join(&matrices.folder);
                let of_subject = |subject: &String| {
                    let name = matrices.path.replace("{subject}", subject);
                    runs.iter().map(|run| root.join(name.replace("{run}", run))).collect::<Vec<_>>()
                };
                let files = matrices.subjects.iter().flat_map(of_subject).collect();
                all.push((path, files));
            }
            Bold::Simulate(_) => {}
        }
        all.extend(written.atlas.labels.iter().map(|file| one(FieldPath::of("atlas.labels"), file)));
        all.extend(written.atlas.table.iter().map(|file| one(FieldPath::of("atlas.table"), file)));
        let families = written.statistics.group.iter().filter_map(|group| group.families.as_ref());
        all.extend(families.map(|file| one(FieldPath::of("statistics.group.families"), file)));
        all
    }
}
