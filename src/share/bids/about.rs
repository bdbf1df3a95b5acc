//! What describes a dataset as a whole: its description, its README, its participants, the meaning of its labels.

use super::{
    items::{Item, described},
    labels::Labels,
    meanings,
};
use crate::{
    format::{bids::DatasetDescription, tsv::Table},
    report::{Page, cited},
    share::cite::web_address,
    spec::{Design, Study, Subjects},
};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

/// The version of the standard that datasets follow.
const BIDS_VERSION: &str = "1.10.0";
/// What the data set of BOLD series is called in addresses of its files.
const BOLD: &str = "bold";
/// Where the data set of BOLD series is looked for if the study does not say where it comes from.
const BOLD_PLACE: &str = "sourcedata/bold";

/// What a dataset is about.
pub(super) struct About<'a> {
    pub(super) study: &'a Study,
    /// The cell's name; empty without a sweep.
    pub(super) cell: &'a str,
    pub(super) design: &'a Design,
    pub(super) page: &'a Page,
    pub(super) labels: &'a Labels,
    pub(super) programs: &'a [(String, String)],
}

impl About<'_> {
    fn name(&self) -> String {
        if self.cell.is_empty() { self.study.name.clone() } else { format!("{}: {}", self.study.name, self.cell) }
    }

    /// `dataset_description.json`. Nobody said under which licence, so none is claimed.
    pub(super) fn description(&self) -> Value {
        let generator = |(name, version): &(String, String)| {
            // What OpenBLAS says of the processor is no version.
            let (name, version) = match name.as_str() {
                "hebb" => ("Hebb", version.as_str()),
                "OpenBLAS" => ("OpenBLAS", version.split(' ').next().unwrap_or_default()),
                "onnxruntime" => ("ONNX Runtime", version.as_str()),
                other => (other, version.as_str()),
            };
            let mut generator = json!({ "Name": name, "Version": version });
            if name == "Hebb" {
                generator["Description"] = json!(env!("CARGO_PKG_DESCRIPTION"));
            }
            generator
        };
        let mut about = Map::new();
        about.insert("Name".to_owned(), json!(self.name()));
        about.insert("BIDSVersion".to_owned(), json!(BIDS_VERSION));
        about.insert("DatasetType".to_owned(), json!("derivative"));
        about.insert("GeneratedBy".to_owned(), self.programs.iter().map(generator).collect());
        let sources = self.sources();
        if !sources.is_empty() {
            about.insert("SourceDatasets".to_owned(), sources.into());
        }
        if matches!(self.design.subjects, Subjects::Recorded { .. }) {
            about.insert("DatasetLinks".to_owned(), json!({ BOLD: self.bold() }));
        }
        let works: Vec<String> = cited(&self.page.methods).iter().map(|work| work.in_words()).collect();
        if !works.is_empty() {
            about.insert("ReferencesAndLinks".to_owned(), json!(works));
        }
        Value::Object(about)
    }

    /// What the study says of where its files come from: field and words.
    fn told_sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.study.fields.iter().filter_map(|(field, text)| Some((field.strip_prefix("sources.")?, text.as_str())))
    }

    /// Where the BOLD series are.
    fn bold(&self) -> String {
        let of_bold = self.told_sources().filter(|(field, _)| field.starts_with("bold."));
        of_bold.filter_map(|(_, text)| web_address(text)).next().unwrap_or_else(|| BOLD_PLACE.to_owned())
    }

    /// The data sets that the study reads, as it and the BOLD folders' own descriptions tell; models are none.
    fn sources(&self) -> Vec<Value> {
        let told = self.told_sources().filter(|(field, _)| !field.starts_with("models."));
        let addresses: BTreeSet<String> = told.filter_map(|(_, text)| web_address(text)).collect();
        let mut all: Vec<Value> = addresses.into_iter().map(|url| json!({ "URL": url })).collect();
        if let Subjects::Recorded { subjects, .. } = &self.design.subjects {
            let roots: BTreeSet<PathBuf> = subjects
                .iter()
                .flat_map(|subject| subject.runs.iter().filter_map(|run| split(&run.bold, &subject.name)))
                .map(|(root, _)| root)
                .collect();
            // A folder without a description has been warned of where the study was checked.
            for source in roots
                .iter()
                .filter_map(|root| DatasetDescription::read(root).ok())
                .flat_map(|about| about.source_datasets)
            {
                let source = json!(source);
                let is_said = source.as_object().is_some_and(|said| !said.is_empty());
                if is_said && !all.contains(&source) {
                    all.push(source);
                }
            }
        }
        all
    }

    /// `README.md`: what is here and how it was made, for people.
    pub(super) fn readme(&self) -> String {
        let mut text = format!("# {}\n\n", one_line(&self.name()));
        if !self.study.description.trim().is_empty() {
            text.push_str(&format!("{}\n\n", self.study.description.trim()));
        }
        text.push_str(&format!(
            "Results of a brain-encoding study, computed by Hebb {} and written as BIDS derivatives.\n\n\
             - `sub-*/func/*_statmap.*`: a map each; the JSON file beside it says what it holds, in which unit, and which task of the \
             study computed it. `stat-` names the statistic, `desc-` model and part ({} lists them).\n\
             - `sub-*/func/*_mask.*`: the voxels that the study used.\n\
             - `sub-*/func/*_table.tsv`: scores, findings and what else was asked, with the meaning of every column in the JSON file.\n\
             - `group/`: what holds over subjects.\n\
             - `docs/labels.tsv`: what every label stands for; BIDS takes letters and digits only.\n\n\
             BIDS has no suffix yet for maps of statistics and tables of results: `.bidsignore` lists them. `n/a` is a value that could not \
             be computed.\n",
            env!("CARGO_PKG_VERSION"),
            "`descriptions.tsv`"
        ));
        if matches!(self.design.subjects, Subjects::Recorded { .. }) {
            text.push_str(&format!(
                "\n`bids:{BOLD}:` in `Sources` is the folder of the BOLD series, `{}`.\n",
                one_line(&self.bold())
            ));
        }
        let told: Vec<_> = self.told_sources().collect();
        if !told.is_empty() {
            text.push_str("\n## Where files come from\n\n");
            told.iter().for_each(|(field, words)| text.push_str(&format!("- `{field}`: {}\n", one_line(words))));
        }
        if !self.page.warnings.is_empty() {
            text.push_str("\n## Know before you use a number\n\n");
            for warning in &self.page.warnings {
                text.push_str(&format!("- {}: {}\n", one_line(&warning.place), one_line(&warning.message)));
            }
        }
        text.push_str("\n## Methods\n\n");
        text.push_str(&self.page.methods.join("\n\n"));
        text.push('\n');
        let works = cited(&self.page.methods);
        if !works.is_empty() {
            text.push_str("\n## References\n\n");
            works.iter().for_each(|work| text.push_str(&format!("- {}\n", work.in_words())));
        }
        text
    }

    /// `participants.tsv` and what its columns mean.
    pub(super) fn participants(&self) -> (Table, Value) {
        let mut table = Table::new(["participant_id", "study_name", "n_runs", "n_volumes", "n_voxels"]);
        for (name, label) in self.labels.subjects() {
            let found = self.page.subjects.iter().find(|subject| subject.name == *name);
            let number = |part: fn(&crate::report::Subject) -> usize| {
                found.map_or(String::new(), |found| part(found).to_string())
            };
            let numbers = [number(|found| found.n_runs), number(|found| found.n_tr), number(|found| found.n_voxels)];
            table.push([label.clone(), name.clone()].into_iter().chain(numbers));
        }
        let meanings = meanings(&[
            ("participant_id", "participant, as in file names"),
            ("study_name", "what the study and the tables call the participant"),
            ("n_runs", "runs that the study used"),
            ("n_volumes", "volumes that counted, over all runs"),
            ("n_voxels", "voxels that were predicted"),
        ]);
        (table, meanings)
    }

    /// `descriptions.tsv` and what its columns mean.
    pub(super) fn descriptions(&self, items: &[Item]) -> (Table, Value) {
        let mut table = Table::new(["desc_id", "description", "model"]);
        described(items, self.labels).into_iter().for_each(|row| table.push(row));
        let meanings = meanings(&[
            ("desc_id", "`desc-` of file names"),
            ("description", "what it stands for: maps or a table, as the results call them"),
            ("model", "model, as in the study"),
        ]);
        (table, meanings)
    }
}

/// `.bidsignore`: what the standard has no name for yet.
pub(super) fn ignored(items: &[Item]) -> String {
    let has =
        |suffix: &str, extension: &str| items.iter().any(|item| item.suffix == suffix && item.extension == extension);
    let mut lines = vec!["docs", "group", "*_statmap.*", "*_table.*"];
    // Masks are known as volumes only.
    if has("mask", ".dscalar.nii") {
        lines.push("*_mask.*");
    }
    lines.join("\n") + "\n"
}

/// `.bids-validator-config.json`, which the older validator on npm alone reads: it takes every dataset for a raw one, misses the scans,
/// and has no name for masks and tables that the standard does have for derivatives.
pub(super) fn of_older_validator() -> Value {
    json!({
        "ignore": ["SUBJECT_FOLDERS", "NO_VALID_DATA_FOUND_FOR_SUBJECT"],
        "ignoredFiles": ["/docs/**", "/group/**", "/descriptions.*", "/sub-*/**/*_mask.*", "/sub-*/**/*_dseg.*"],
    })
}

/// A BOLD file's data set and its path inside, if it lies in the subject's folder.
fn split(bold: &Path, subject: &str) -> Option<(PathBuf, PathBuf)> {
    let parts: Vec<Component<'_>> = bold.components().collect();
    let bare = subject.strip_prefix("sub-").unwrap_or(subject);
    let is_subject = |part: &Component<'_>| part.as_os_str() == subject || part.as_os_str() == bare;
    let at = parts.iter().rposition(is_subject)?;
    (at + 1 < parts.len()).then(|| (parts[..at].iter().collect(), parts[at..].iter().collect()))
}

/// The address of a BOLD file: its path inside its data set, no folder of this machine.
pub(super) fn source_uri(bold: &Path, subject: &str) -> String {
    let inside = split(bold, subject).map_or_else(|| bold.file_name().unwrap_or_default().into(), |(_, inside)| inside);
    let mut uri = format!("bids:{BOLD}:");
    for byte in inside.to_string_lossy().replace('\\', "/").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'+' | b'~' => {
                uri.push(char::from(byte));
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_series_know_no_folder_of_this_machine() {
        let of = |path: &str, subject| source_uri(Path::new(path), subject);
        let bids = "/home/me/sub-01/data/sub-01/func/sub-01_task-a_bold.nii.gz";
        assert_eq!(of(bids, "sub-01"), "bids:bold:sub-01/func/sub-01_task-a_bold.nii.gz");
        assert_eq!(
            of("data/100610/MNINonLinear/Results/a b.dtseries.nii", "sub-100610"),
            "bids:bold:100610/MNINonLinear/Results/a%20b.dtseries.nii"
        );
        assert_eq!(of("/data/betas-01.npy", "sub-01"), "bids:bold:betas-01.npy");
    }
}
