//! Gathers what was found into tables and the page's contents.
//!
//! The artifact holds everything a reader sees but maps, which have artifacts of their own, and the study's name, its words and this
//! run's times: those shape no result, so the page itself is drawn from `page.json` by whoever publishes the results
//! (`cli::results`).

mod columns;
mod contents;
mod findings;
mod patterns;

use super::{
    Compute, Kind, TaskError, Warning, Workbench, architecture,
    encode::{self, EncodeFacts},
    finding, group, hierarchy,
    maps::open_maps,
    prediction, read_warnings,
    workbench::{WARNINGS, read_json},
};
use crate::{brain::mask::VoxelTable, format::tsv::Table, report::Page};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Contents of the page, without maps.
const PAGE: &str = "page.json";
/// The folder of tables in the artifact, and in the results.
pub const TABLES: &str = "tables";
/// The inputs whose maps belong to the page.
pub const MAPS_ROLE: &str = "maps";

/// Everything that was asked, subject by subject and, within a subject, model by model.
///
/// Inputs: `voxels` and `bold` (all runs) of each subject; `patterns` of each model; then for each subject and model
/// `encode` (on patterns or bands), `prediction`, `null`, `ceiling`, `redundancy`, `polarity`, `hierarchy` (each if asked), and `layers`,
/// one for each layer of each module; `architecture` for each subject, `findings` of everything that has some, `group`, and `maps`, of
/// which the page is told where it is drawn.
#[derive(Debug, Serialize, Deserialize)]
pub struct Gather {
    /// The subjects.
    pub subjects: Vec<String>,
    /// The models.
    pub models: Vec<GatheredModel>,
    /// Runs with their volumes, in the study's order.
    pub runs: Vec<(String, usize)>,
    /// Seconds from one volume to the next.
    pub repetition_time_s: f64,
    /// Whether voxels were predicted from patterns.
    pub has_patterns: bool,
    /// Whether voxels were predicted from each layer.
    pub has_layers: bool,
    /// Whether voxels were predicted from bands of units.
    pub has_bands: bool,
    /// Whether noise ceilings were asked.
    pub has_ceiling: bool,
    /// False discovery rate, if significance was asked.
    pub fdr: Option<f64>,
    /// Whether redundancy was asked.
    pub has_redundancy: bool,
    /// Whether polarity was asked.
    pub has_polarity: bool,
    /// Whether branches and models were compared.
    pub has_architecture: bool,
    /// Whether layers were compared with the order of networks.
    pub has_hierarchy: bool,
    /// Whether findings were tested over subjects.
    pub has_group: bool,
    /// What was done, in sentences.
    pub methods: Vec<String>,
    /// Every seed that was used.
    pub seeds: Vec<(String, u64)>,
    /// Version of ONNX Runtime.
    pub runtime: String,
    /// Voxels of a volume, or places of a CIFTI file.
    #[serde(rename = "~n_grid_voxels")] // follows from the inputs
    pub n_grid_voxels: usize,
}

/// A model and the layers that voxels were predicted from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatheredModel {
    /// Its name.
    pub name: String,
    /// Modules with their layers.
    pub modules: Vec<(String, Vec<usize>)>,
}

impl GatheredModel {
    fn n_layers(&self) -> usize {
        self.modules.iter().map(|(_, layers)| layers.len()).sum()
    }
}

impl Compute for Gather {
    const KIND: Kind = Kind::Report;

    fn memory_bytes(&self) -> u64 {
        // The table of voxels, and tables of their scores.
        (self.n_grid_voxels * (16 * 8 + 1024)) as u64 + (64 << 20)
    }

    fn described(&self) -> &'static [&'static str] {
        &[MAPS_ROLE]
    }

    fn reads(&self, role: &str) -> Option<&'static [&'static str]> {
        match role {
            MAPS_ROLE => Some(&[]),
            "bold" | "series" | "null" => Some(&[WARNINGS]),
            "findings" => Some(&[finding::FINDINGS, WARNINGS]),
            "architecture" => Some(&[architecture::VARIANCE, WARNINGS]),
            "hierarchy" => Some(&[hierarchy::NETWORKS, WARNINGS]),
            "group" => Some(&[group::FINDINGS, WARNINGS]),
            "layers" => Some(&[encode::FACTS, WARNINGS]),
            "encode" => Some(&[encode::FACTS, encode::SCORES, encode::BANDS, WARNINGS]),
            _ => None,
        }
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let path = bench.out.join(TABLES);
        fs::create_dir(&path).map_err(|source| TaskError::Io { path, source })?;
        let mut page = Page::default();
        let mut scores = Table::new(["subject", "model"].into_iter().chain(prediction::COLUMNS));
        for (place, subject) in self.subjects.iter().enumerate() {
            let voxels = VoxelTable::read(&bench.inputs("voxels")[place])?;
            page.subjects.push(self.subject(subject, place, &voxels, bench)?);
            for (at, model) in self.models.iter().enumerate() {
                let pair = Pair { subject, model, voxels: &voxels, index: place * self.models.len() + at };
                self.prediction(&pair, bench, &mut page, &mut scores)?;
                self.statistics(&pair, bench, &mut page)?;
                bench.step(pair.index + 1, self.subjects.len() * self.models.len())?;
            }
        }
        columns::write(bench, "scores", &scores)?;
        self.findings(bench, &mut page)?;
        for (model, artifact) in self.models.iter().zip(bench.inputs("patterns")) {
            page.patterns.push(self.pattern_set(model, artifact)?);
        }
        page.models = self.models.iter().map(|model| model.name.clone()).collect();
        page.prediction.q = self.fdr;
        page.methods.clone_from(&self.methods);
        page.warnings = self.warnings(bench)?;
        page.provenance.seeds =
            self.seeds.iter().map(|(name, value)| crate::report::Seed { name: name.clone(), value: *value }).collect();
        bench.write_json(PAGE, &page)
    }
}

/// One subject seen through one model.
struct Pair<'a> {
    subject: &'a str,
    model: &'a GatheredModel,
    voxels: &'a VoxelTable,
    /// Place among all pairs.
    index: usize,
}

impl Pair<'_> {
    fn file_stem(&self) -> String {
        format!("{}_{}", self.subject, self.model.name)
    }
}

impl Gather {
    /// The caveats of every input, each told once with how many tasks have it.
    fn warnings(&self, bench: &Workbench<'_>) -> Result<Vec<crate::report::Warning>, TaskError> {
        let mut all = Vec::new();
        let mut folders: Vec<(&str, &PathBuf)> =
            bench.inputs.iter().flat_map(|(role, folders)| folders.iter().map(move |folder| (*role, folder))).collect();
        folders.retain(|(role, _)| *role != MAPS_ROLE);
        // Most of what has findings is an input in a role of its own, which says more.
        folders.sort_by_key(|(role, folder)| (*folder, *role == "findings", *role));
        folders.dedup_by_key(|(_, folder)| *folder);
        for (role, folder) in folders {
            all.extend(
                read_warnings(folder)?.into_iter().map(|Warning { code, message }| (role.to_owned(), code, message)),
            );
        }
        all.sort();
        Ok(contents::grouped(all))
    }

    /// The fit of a pair on all units at once, by patterns or by bands, if there is one.
    fn encode<'a>(&self, pair: &Pair<'_>, bench: &'a Workbench<'_>) -> Option<&'a Path> {
        (self.has_patterns || self.has_bands).then(|| bench.inputs("encode")[pair.index].as_path())
    }

    /// What that fit is on.
    fn main_features(&self) -> &'static str {
        if self.has_bands { "bands" } else { "patterns" }
    }

    fn subject(
        &self,
        name: &str,
        place: usize,
        voxels: &VoxelTable,
        bench: &Workbench<'_>,
    ) -> Result<crate::report::Subject, TaskError> {
        let any = if self.has_patterns || self.has_bands {
            Some(&bench.inputs("encode")[place * self.models.len()])
        } else {
            let per_subject: usize = self.models.iter().map(GatheredModel::n_layers).sum();
            bench.inputs("layers").get(place * per_subject)
        };
        let facts: Option<EncodeFacts> = any.map(|folder| read_json(&folder.join(encode::FACTS))).transpose()?;
        Ok(crate::report::Subject {
            name: name.to_owned(),
            n_runs: self.runs.len(),
            n_tr: facts.as_ref().map_or(0, |facts| facts.n_train_samples + facts.n_test_samples),
            n_voxels: facts.map_or(voxels.n_voxels(), |facts| facts.n_voxels),
        })
    }
}

/// Reads back the contents of the page with the maps of these artifacts; name, words and provenance are for the caller to add.
///
/// # Errors
/// If a file of an artifact cannot be read.
pub fn open_page(artifact: &Path, maps: &[PathBuf]) -> Result<Page, TaskError> {
    let mut page: Page = read_json(&artifact.join(PAGE))?;
    open_maps(maps, &mut page)?;
    Ok(page)
}
