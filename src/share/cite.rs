//! What a study cites: methods and models as its methods text names them, its data and atlas, and the programs that compute it.
//!
//! Everything follows from the checked study, so that nothing has to be computed first. What is not published, or not known here to be,
//! becomes an entry that says where it comes from, in the study's own words.

use super::bibtex::{Entry, address, comment, escaped};
use crate::{
    format::runs::SeriesKind,
    model::{architecture::known, hub::HubModel},
    plan::paragraphs,
    report::{Work, cited, work_named},
    spec::{ModelSource, Study, Subjects},
};
use std::collections::BTreeMap;

/// What works of the table are cited for. Of models it is said which they are.
const PURPOSES: [(&str, &str); 13] = [
    ("Behzadi et al. 2007", "CompCor, whose components are regressed out of the BOLD series"),
    ("Benjamini and Hochberg 1995", "control of the false discovery rate over voxels"),
    ("Besag and Clifford 1991", "p values of permutations that stop early"),
    ("Dupre la Tour et al. 2022", "banded ridge regression"),
    ("Glover (1999)", "the haemodynamic response that units are convolved with"),
    ("Hubert and Schultz 1976", "the permutation test of opposed patterns"),
    ("Kornblith et al. 2019", "linear CKA, by which the maps of models are compared"),
    ("Langsrud 2005", "random rotations as the null of overlapping patterns"),
    ("Mairal et al. 2009", "the sparse dictionary that patterns are learned with"),
    ("Schoppe et al. 2016", "noise ceilings"),
    ("Tibshirani 1996", "lasso regression"),
    ("Winkler et al. 2015", "sign flips of relatives together"),
    ("Gorgolewski et al. 2016", "BIDS, the layout of the BOLD files"),
];

/// Programs by how they call themselves, with title and home.
const PROGRAMS: [(&str, &str, &str); 3] = [
    ("ONNX Runtime", "{ONNX} {Runtime}", "https://onnxruntime.ai"),
    ("OpenBLAS", "{OpenBLAS}: an optimized {BLAS} library", "https://www.openblas.net"),
    ("FFmpeg", "{FFmpeg}", "https://ffmpeg.org"),
];

/// Everything that a study cites, in the order of keys. `programs` are those that compute it, with their versions.
#[must_use]
pub fn bibliography(study: &Study, programs: &[(String, String)]) -> Vec<Entry> {
    let mut found = Found::default();
    for cell in &study.cells {
        let design = &cell.design;
        for work in cited(&paragraphs(design)) {
            let purposes = PURPOSES.iter().filter(|(name, _)| *name == work.named).map(|(_, what)| (*what).to_owned());
            purposes.for_each(|what| found.work(work, &what));
            for model in design.models.iter() {
                if known(model.facts.architecture).is_some_and(|known| known.work == work.named) {
                    found.work(work, &format!("the architecture of model {}", model.name));
                }
            }
        }
        if let Subjects::Recorded { subjects, labels, made_by, .. } = &design.subjects {
            let has = |start: &str| study.fields.keys().any(|field| field.starts_with(start));
            if has("bold.bids.") {
                found.named("Gorgolewski et al. 2016", "BIDS, the layout of the BOLD files");
            }
            let is_hcp = has("bold.hcp.");
            if is_hcp {
                found.named("Van Essen et al. 2013", "the Human Connectome Project, whose BOLD series the study reads");
            }
            let runs = subjects.iter().flat_map(|subject| &subject.runs);
            if is_hcp && runs.into_iter().any(|run| run.kind != SeriesKind::Matrix) {
                found.named("Glasser et al. 2013", "the pipelines that prepared the BOLD series");
            }
            made_by.iter().for_each(|program| found.preparation(program));
            found.atlas(&labels.file_name().unwrap_or_default().to_string_lossy());
        }
        for model in design.models.iter() {
            if let ModelSource::Files { path, .. } | ModelSource::Untrained { path, .. } = &model.source {
                found.hub(&path.to_string_lossy(), &model.name);
            }
        }
        if let Some((_, version)) = &design.ffmpeg {
            found.program("FFmpeg", version);
        }
    }
    let mut sources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (field, text) in &study.fields {
        if let Some(field) = field.strip_prefix("sources.") {
            sources.entry(text).or_default().push(field);
        }
    }
    sources.into_iter().for_each(|(text, fields)| found.source(text, &fields));
    programs.iter().for_each(|(name, version)| found.program(name, version));
    found.entries.into_values().collect()
}

/// The whole file: a heading and every entry.
#[must_use]
pub fn to_bibtex(study: &Study, entries: &[Entry]) -> String {
    let mut text = format!(
        "% What the study {} cites: methods, models, data, atlas, programs. Written by hebb {}.\n% Letters are UTF-8, as biber and the LaTeX of today \
         read them.\n",
        comment(&study.name),
        env!("CARGO_PKG_VERSION")
    );
    for entry in entries {
        text.push('\n');
        text.push_str(&entry.to_text());
    }
    text
}

/// Entries by key.
#[derive(Default)]
struct Found {
    entries: BTreeMap<String, Entry>,
}

impl Found {
    /// Adds an entry, or what it is cited for to one that is there.
    fn add(&mut self, entry: Entry) {
        let known =
            self.entries.entry(entry.key.clone()).or_insert_with(|| Entry { cited_for: Vec::new(), ..entry.clone() });
        for what in entry.cited_for {
            if !known.cited_for.contains(&what) {
                known.cited_for.push(what);
            }
        }
    }

    fn work(&mut self, work: &Work, what: &str) {
        self.add(Entry::of_work(work, &[what]));
    }

    fn named(&mut self, name: &str, what: &str) {
        self.work(work_named(name).expect("works that are asked for by name are in the table"), what);
    }

    fn misc(&mut self, key: String, fields: Vec<(&'static str, String)>, what: String) {
        self.add(Entry { kind: "misc", key, fields, cited_for: vec![what] });
    }

    /// A program that shapes numbers.
    fn program(&mut self, name: &str, version: &str) {
        let version = version.split(' ').next().unwrap_or_default();
        let mut fields = match PROGRAMS.iter().find(|(known, _, _)| *known == name) {
            Some((_, title, home)) => vec![("title", (*title).to_owned()), ("url", (*home).to_owned())],
            None if name == "hebb" => vec![("title", format!("{{Hebb}}: {}", env!("CARGO_PKG_DESCRIPTION")))],
            None => vec![("title", format!("{{{}}}", escaped(name)))],
        };
        if version.starts_with(|letter: char| letter.is_ascii_digit()) {
            fields.insert(1, ("note", format!("Version {}", escaped(version))));
        }
        // Styles sort what has no author by this.
        fields.push(("key", escaped(name)));
        let what = match name {
            "hebb" => "running the study",
            "OpenBLAS" => "linear algebra",
            "ONNX Runtime" => "computing the units of models",
            "FFmpeg" => "reading films",
            _ => "preparing the BOLD series",
        };
        self.misc(slug(name), fields, what.to_owned());
    }

    /// A program that made the BOLD series, with its version behind a blank.
    fn preparation(&mut self, program: &str) {
        let (name, version) = program.split_once(' ').unwrap_or((program, ""));
        if name.eq_ignore_ascii_case("fMRIPrep") {
            self.named("Esteban et al. 2019", &format!("{}, which prepared the BOLD series", program.trim()));
        } else if name != "hebb" && !slug(name).is_empty() {
            self.program(name, version);
        }
    }

    /// A published atlas, as the name of its file tells.
    fn atlas(&mut self, file: &str) {
        let name = file.to_ascii_lowercase();
        let is_schaefer = name.contains("schaefer2018");
        if is_schaefer {
            self.named("Schaefer et al. 2018", "the parcels of the atlas");
        }
        if name.contains("yeo2011") || is_schaefer && ["7networks", "17networks"].iter().any(|part| name.contains(part))
        {
            self.named("Yeo et al. 2011", "the networks of the atlas");
        }
    }

    /// A model of a hub.
    fn hub(&mut self, path: &str, model: &str) {
        let Ok(named) = path.parse::<HubModel>() else { return };
        let repository = named.repository();
        let fields = vec![
            ("title", format!("{{{}}}", escaped(repository))),
            ("note", format!("Revision {}", escaped(named.revision()))),
            ("url", address(&format!("https://huggingface.co/{repository}"))),
            ("key", escaped(repository)),
        ];
        self.misc(format!("model{}", slug(repository)), fields, format!("the weights of model {model}"));
    }

    /// What the study says of where its files come from.
    fn source(&mut self, text: &str, fields: &[&str]) {
        if text.contains("naturalscenesdataset.org") {
            self.named("Allen et al. 2022", "the Natural Scenes Dataset");
        }
        let listed = fields.join(", ");
        let mut entry = vec![("title", format!("{{Files of {}}}", escaped(&listed)))];
        entry.push(match web_address(text) {
            Some(url) => ("url", address(&url)),
            None => ("howpublished", escaped(text)),
        });
        entry.push(("key", escaped(&listed)));
        self.misc(format!("source{}", slug(fields[0])), entry, format!("the files that {listed} names"));
    }
}

/// The address that a text is, if it is nothing else: `huggingface.co/a/b` is one, `the mask of a.org` is not.
pub(super) fn web_address(text: &str) -> Option<String> {
    let text = text.trim();
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let host = rest.split('/').next().unwrap_or_default();
    let is_host = host.contains('.')
        && host.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
        && host.rsplit('.').next().is_some_and(|last| last.len() > 1 && last.chars().all(|c| c.is_ascii_alphabetic()));
    let is_plain = text.chars().all(|letter| letter.is_ascii_graphic()) && !text.ends_with([':', ',', ';']);
    (matches!(scheme, "https" | "http") && is_host && is_plain).then(|| format!("{scheme}://{rest}"))
}

fn slug(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::architecture::KNOWN;

    #[test]
    fn only_addresses_are_taken_for_addresses() {
        let is = |text: &str| web_address(text);
        assert_eq!(is("huggingface.co/openai/clip").as_deref(), Some("https://huggingface.co/openai/clip"));
        assert_eq!(is("http://a.org/x").as_deref(), Some("http://a.org/x"));
        for other in
            ["you, from a.org", "your own derivatives; openneuro.org", "file:///etc/passwd", "a.b1/c", "data/x.tsv"]
        {
            assert_eq!(is(other), None, "{other}");
        }
    }

    #[test]
    fn every_work_that_methods_may_name_has_a_purpose() {
        let source = include_str!("../plan/methods.rs");
        let names =
            PURPOSES.iter().map(|(name, _)| *name).chain(KNOWN.iter().map(|known| known.work)).collect::<Vec<_>>();
        for work in cited(&[source.to_owned()]) {
            assert!(names.contains(&work.named), "{}", work.named);
        }
        assert!(names.iter().all(|name| work_named(name).is_some()));
    }

    #[test]
    fn atlases_and_programs_are_known_by_their_names_alone() {
        let mut found = Found::default();
        found.atlas("tpl-MNI152NLin2009cAsym_res-02_atlas-Schaefer2018_desc-400Parcels7Networks_dseg.nii.gz");
        found.preparation("fMRIPrep 23.1.4");
        found.preparation("hebb 0.1.0");
        found.preparation("xcp_d} 0.5");
        let keys: Vec<&str> = found.entries.keys().map(String::as_str).collect();
        assert_eq!(keys, ["esteban2019fmriprep", "schaefer2018local", "xcpd", "yeo2011organization"]);
        let text = found.entries["xcpd"].to_text();
        assert_eq!(text.matches('{').count(), text.matches('}').count(), "{text}");
    }
}
