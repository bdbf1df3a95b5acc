//! An archive in the words of Workflow Run RO-Crate 0.5 (<https://w3id.org/ro/wfrun/workflow/0.5>), for repositories and search engines.
//!
//! The study file is the workflow, the run is the action that used it, inputs and reports are its objects and results. Owns the
//! JSON-LD; knows no file system.

use crate::store::Digest;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::UNIX_EPOCH};

/// What a file of the archive is to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// The workflow.
    Study,
    /// What the run read.
    Input,
    /// What the run left.
    Result,
    /// What the archive says of itself.
    Readme,
    /// Whatever else belongs to it.
    Other,
}

/// A file of the archive.
#[derive(Clone, Debug)]
pub struct CrateFile {
    /// Its path from the archive's folder.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its content, as BLAKE3.
    pub digest: Digest,
    /// What it is to the run.
    pub kind: FileKind,
    /// What it is, in words.
    pub about: String,
}

/// The run that an archive is of.
#[derive(Clone, Copy, Debug)]
pub struct PackedRun<'a> {
    /// What the study is called.
    pub name: &'a str,
    /// A sentence or two about it; may be empty.
    pub description: &'a str,
    /// The study file, from the archive's folder.
    pub study_file: &'a str,
    /// The licence, as an SPDX name, if one is given.
    pub license: Option<&'a str>,
    /// Programs and libraries with their versions.
    pub programs: &'a BTreeMap<String, String>,
    /// Seeds by what they seed.
    pub seeds: &'a BTreeMap<String, u64>,
    /// When the last result was computed, seconds since 1970.
    pub finished_unix_s: u64,
}

/// The description of an archive.
#[derive(Clone, Debug)]
pub struct Crate(Value);

const CRATE: &str = "https://w3id.org/ro/crate/1.1";
const PROFILES: [(&str, &str, &str); 3] = [
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
];
const WORKFLOW: &str = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE";
const PARAMETER: &str = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE";
const PROGRAM: &str = "pkg:cargo/hebb";
/// The part of the archive that only Hebb reads.
const CACHE: &str = "cache/";

fn link(id: &str) -> Value {
    json!({ "@id": id })
}

fn links<'a>(ids: impl IntoIterator<Item = &'a str>) -> Value {
    ids.into_iter().map(link).collect()
}

impl Crate {
    /// Describes a run and the files that are packed of it.
    #[must_use]
    pub fn new(run: &PackedRun<'_>, files: &[CrateFile]) -> Self {
        let of = |kind: FileKind| files.iter().filter(move |file| file.kind == kind).map(|file| file.path.as_str());
        let time = time(run.finished_unix_s);
        let description = match run.description {
            "" => format!("The study {} and what it led to, as Hebb packed it.", run.name),
            description => description.to_owned(),
        };
        let seeds: Vec<(String, String, &str, u64)> = run
            .seeds
            .iter()
            .map(|(name, seed)| {
                (format!("#parameter-{}", plain(name)), format!("#seed-{}", plain(name)), name.as_str(), *seed)
            })
            .collect();
        let license = run.license.map_or_else(
            || json!("none given: ask whoever packed it"),
            |license| link(&format!("https://spdx.org/licenses/{license}")),
        );
        let parts: Vec<&str> = files.iter().map(|file| file.path.as_str()).chain([CACHE]).collect();
        let mut graph = vec![
            json!({
                "@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": link("./"),
                "conformsTo": links([CRATE, PROFILES[2].0]),
            }),
            json!({
                "@id": "./", "@type": "Dataset", "name": run.name, "description": description, "datePublished": time,
                "license": license, "conformsTo": links(PROFILES.map(|(id, ..)| id)), "mainEntity": link(run.study_file),
                "hasPart": links(parts.iter().copied()), "mentions": link("#run"),
            }),
        ];
        graph.extend(PROFILES.map(
            |(id, name, version)| json!({ "@id": id, "@type": "CreativeWork", "name": name, "version": version }),
        ));
        if let Some(license) = run.license {
            graph.push(json!({
                "@id": format!("https://spdx.org/licenses/{license}"), "@type": "CreativeWork", "name": license,
                "description": format!("The licence {license}"),
            }));
        }
        graph.push(json!({
            "@id": "#study-language", "@type": "ComputerLanguage", "name": "Hebb study file (TOML)",
            "identifier": PROGRAM, "url": PROGRAM, "version": env!("CARGO_PKG_VERSION"),
        }));
        for (name, version) in run.programs {
            let id = if name == "hebb" { PROGRAM.to_owned() } else { format!("#program-{}", plain(name)) };
            graph.push(json!({
                "@id": id, "@type": "SoftwareApplication", "name": name, "softwareVersion": version, "url": PROGRAM,
            }));
        }
        let parameters = seeds.iter().map(|(parameter, ..)| parameter.as_str());
        let object = of(FileKind::Input).chain(seeds.iter().map(|(_, value, ..)| value.as_str()));
        let result = of(FileKind::Result).chain([CACHE]);
        graph.push(json!({
            "@id": "#run", "@type": "CreateAction", "name": format!("Run of {}", run.name),
            "description": format!("hebb run {}", run.study_file), "instrument": link(run.study_file),
            "object": links(object), "result": links(result), "endTime": time,
            "actionStatus": "http://schema.org/CompletedActionStatus",
        }));
        for (parameter, value, name, seed) in &seeds {
            graph.push(json!({
                "@id": parameter, "@type": "FormalParameter", "name": format!("seed of {name}"), "additionalType": "Integer",
                "conformsTo": link(PARAMETER), "workExample": link(value),
            }));
            graph.push(json!({
                "@id": value, "@type": "PropertyValue", "name": format!("seed of {name}"), "value": seed.to_string(),
                "exampleOfWork": link(parameter),
            }));
        }
        for file in files {
            graph.push(described(file, run, &parameters.clone().collect::<Vec<_>>()));
        }
        graph.push(json!({
            "@id": CACHE, "@type": "Dataset", "name": "Results by task",
            "description": "Records and results of tasks, named by their digests, as Hebb keeps them",
        }));
        Self(json!({ "@context": format!("{CRATE}/context"), "@graph": graph }))
    }

    /// The text of `ro-crate-metadata.json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(&self.0).expect("a description is plain data");
        text.push('\n');
        text
    }
}

fn described(file: &CrateFile, run: &PackedRun<'_>, parameters: &[&str]) -> Value {
    let mut entity = json!({
        "@id": file.path, "@type": "File", "name": file.about, "contentSize": file.size_bytes.to_string(),
        "encodingFormat": format_of(&file.path), "identifier": format!("blake3:{}", file.digest),
    });
    match file.kind {
        FileKind::Study => {
            entity["@type"] = json!(["File", "SoftwareSourceCode", "ComputationalWorkflow"]);
            entity["name"] = json!(run.name);
            entity["conformsTo"] = link(WORKFLOW);
            entity["programmingLanguage"] = link("#study-language");
            entity["softwareRequirements"] = link(PROGRAM);
            entity["url"] = json!(PROGRAM);
            entity["version"] = json!(file.digest.short());
            entity["input"] = links(parameters.iter().copied());
        }
        FileKind::Readme => entity["about"] = link("./"),
        FileKind::Input | FileKind::Result | FileKind::Other => {}
    }
    entity
}

fn format_of(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "toml" => "application/toml",
        "md" => "text/markdown",
        "html" => "text/html",
        "json" => "application/json",
        "tsv" => "text/tab-separated-values",
        "gz" => "application/gzip",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        _ => "application/octet-stream",
    }
}

/// A part of an id.
fn plain(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}

/// A time as the profiles want it.
fn time(unix_s: u64) -> String {
    let time = UNIX_EPOCH + std::time::Duration::from_secs(unix_s);
    humantime::format_rfc3339_seconds(time).to_string().replace('Z', "+00:00")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn everything_that_is_linked_is_described_and_every_file_is_a_part() {
        let file = |path: &str, kind| CrateFile {
            path: path.into(),
            size_bytes: 3,
            digest: Digest::of(b"abc"),
            kind,
            about: "about".into(),
        };
        let files = [
            file("study/tiny.toml", FileKind::Study),
            file("study/inputs/a.nii.gz", FileKind::Input),
            file("results/tiny/report.html", FileKind::Result),
            file("README.md", FileKind::Readme),
        ];
        let programs =
            BTreeMap::from([("hebb".to_owned(), "0.1.0".to_owned()), ("OpenBLAS".to_owned(), "0.3".to_owned())]);
        let seeds = BTreeMap::from([("null".to_owned(), 7)]);
        let run = PackedRun {
            name: "tiny",
            description: "",
            study_file: "study/tiny.toml",
            license: Some("CC0-1.0"),
            programs: &programs,
            seeds: &seeds,
            finished_unix_s: 0,
        };
        let json: Value = serde_json::from_str(&Crate::new(&run, &files).to_json()).expect("JSON");
        let graph = json["@graph"].as_array().expect("a list");
        let ids: Vec<&str> = graph.iter().map(|entity| entity["@id"].as_str().expect("an id")).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "ids are distinct");
        let root = graph.iter().find(|entity| entity["@id"] == "./").expect("the root");
        let parts: Vec<&str> =
            root["hasPart"].as_array().expect("parts").iter().filter_map(|p| p["@id"].as_str()).collect();
        assert_eq!(parts, files.iter().map(|file| file.path.as_str()).chain([CACHE]).collect::<Vec<_>>());
        let outside = [CRATE, WORKFLOW, PARAMETER];
        for entity in graph {
            for value in entity.as_object().expect("an entity").values() {
                let all = value.as_array().map_or_else(|| vec![value], |values| values.iter().collect());
                for id in all.into_iter().filter_map(|value| value["@id"].as_str()) {
                    assert!(ids.contains(&id) || outside.contains(&id), "{id}");
                }
            }
        }
        assert_eq!(root["datePublished"], "1970-01-01T00:00:00+00:00");
    }
}
