//! Gathers what was found into tables, maps and the page's contents.
//!
//! The artifact holds everything a reader sees but the study's name, its words and this run's times: those shape no
//! result, so the page itself is drawn from `page.json` by whoever publishes the results (`cli::results`).

mod columns;
mod contents;
mod display;
mod findings;
mod maps;

use self::display::{BRAINS, BrainEntry, DisplayEntry};
use super::{
    Compute, Kind, TaskError, Warning, Workbench,
    encode::{self, EncodeFacts, VoxelValues},
    evidence::read_significance,
    prediction, read_warnings,
    workbench::read_json,
};
use crate::{
    brain::{mask::VoxelTable, prepare::Scale},
    format::tsv::Table,
    report::{Page, Volume},
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Contents of the page, without maps.
const PAGE: &str = "page.json";
/// The maps that the page shows.
const MAPS: &str = "maps.json";

/// Everything that was asked, subject by subject and, within a subject, model by model.
///
/// Inputs: `voxels` and `bold` (all runs) of each subject; `patterns` of each model; then for each subject and model
/// `encode` (on patterns or bands), `prediction`, `null`, `ceiling`, `redundancy`, `polarity`, `hierarchy` (each if asked), and `layers`,
/// one for each layer of each module; `architecture` for each subject, `findings` of everything that has some, and `group`.
#[derive(Debug, Serialize)]
pub struct Gather {
    /// The subjects.
    pub subjects: Vec<String>,
    /// The models.
    pub models: Vec<GatheredModel>,
    /// Runs with their volumes, in the study's order.
    pub runs: Vec<(String, usize)>,
    /// The runs that scores come from.
    pub test_runs: Vec<String>,
    /// Seconds from one volume to the next.
    pub repetition_time_s: f64,
    /// Whether voxels were predicted from patterns.
    pub has_patterns: bool,
    /// Whether voxels were predicted from each layer.
    pub has_layers: bool,
    /// Whether voxels were predicted from bands of units.
    pub has_bands: bool,
    /// Whether weights of patterns have t values.
    pub has_t_values: bool,
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
    /// The scale of prepared series, which weights are in.
    #[serde(rename = "preparation.scale")]
    pub scale: Scale,
    /// Voxels of a volume, or places of a CIFTI file.
    #[serde(skip)] // follows from the inputs
    pub n_grid_voxels: usize,
    /// Patterns.
    #[serde(skip)] // follows from the inputs
    pub n_patterns: usize,
}

/// A model and the layers that voxels were predicted from.
#[derive(Clone, Debug, Serialize)]
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

/// The maps of a subject and a model.
#[derive(Debug, Serialize, Deserialize)]
struct MapEntry {
    title: String,
    /// What the page shows; absent for maps on surfaces.
    drawn: Option<Drawn>,
    files: Vec<MapFile>,
    /// What the viewer shows.
    display: Vec<DisplayEntry>,
}

/// A map that the page shows, with the mask around it.
#[derive(Debug, Serialize, Deserialize)]
struct Drawn {
    map: String,
    mask: String,
}

/// A file of maps and what it holds.
#[derive(Debug, Serialize, Deserialize)]
struct MapFile {
    name: String,
    holds: String,
}

impl Compute for Gather {
    const KIND: Kind = Kind::Report;

    fn memory_bytes(&self) -> u64 {
        // Volumes of the page, the table of voxels, and maps on surfaces, which are written together.
        (self.n_grid_voxels * (16 * 8 + 1024 + 4 * self.n_patterns)) as u64 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        for folder in ["tables", "maps", "display"] {
            let path = bench.out.join(folder);
            fs::create_dir(&path).map_err(|source| TaskError::Io { path, source })?;
        }
        let mut page = Page::default();
        let (mut maps, mut brains) = (Vec::new(), Vec::new());
        let mut scores = Table::new(["subject", "model"].into_iter().chain(prediction::COLUMNS));
        for (place, subject) in self.subjects.iter().enumerate() {
            let voxels = VoxelTable::read(&bench.inputs("voxels")[place])?;
            page.subjects.push(self.subject(subject, place, &voxels, bench)?);
            brains.extend(self.brain(place, &voxels, bench)?);
            for (at, model) in self.models.iter().enumerate() {
                let pair = Pair {
                    subject,
                    model,
                    voxels: &voxels,
                    index: place * self.models.len() + at,
                    subject_index: place,
                    model_index: at,
                };
                self.prediction(&pair, bench, &mut page, &mut scores)?;
                self.statistics(&pair, bench, &mut page)?;
                maps.extend(self.maps(&pair, bench)?);
                bench.step(pair.index + 1, self.subjects.len() * self.models.len())?;
            }
        }
        maps.extend(self.group_maps(bench)?);
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
        bench.write_json(MAPS, &maps)?;
        bench.write_json(BRAINS, &brains)?;
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
    subject_index: usize,
    model_index: usize,
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

    fn significance(&self, pair: &Pair<'_>, bench: &Workbench<'_>) -> Result<Option<VoxelValues>, TaskError> {
        if self.has_bands {
            return read_significance(&bench.inputs("encode")[pair.index]);
        }
        bench.inputs("null").get(pair.index).map_or(Ok(None), |null| read_significance(null))
    }
}

/// Reads back the contents of the page with its maps; name, words and provenance are for the caller to add.
///
/// # Errors
/// If a file of the artifact cannot be read.
pub fn open_page(artifact: &Path) -> Result<Page, TaskError> {
    let mut page: Page = read_json(&artifact.join(PAGE))?;
    let entries: Vec<MapEntry> = read_json(&artifact.join(MAPS))?;
    let bytes = |file: &str| {
        let path = artifact.join(file);
        fs::read(&path).map_err(|source| TaskError::Io { path, source })
    };
    let brains: Vec<BrainEntry> = read_json(&artifact.join(BRAINS))?;
    for BrainEntry { subject, networks, file } in brains {
        page.viewer.brains.push(crate::report::ViewerBrain { subject, networks, file: bytes(&file)? });
    }
    for MapEntry { title, drawn, files, display } in entries {
        for shown in display {
            let DisplayEntry { title, subject, measure, scale, limit, frames, n_frames, path, file } = shown;
            let measure = crate::report::Measure { name: measure, scale, least_end: limit };
            let (brain, file) = (subject, bytes(&file)?);
            page.viewer.maps.push(crate::report::ViewerMap { title, brain, measure, frames, n_frames, path, file });
        }
        let output = |file: MapFile| crate::report::OutputFile { path: file.name, holds: file.holds };
        page.provenance.files.extend(files.into_iter().map(output));
        let Some(Drawn { map, mask }) = drawn else { continue };
        page.brain.push(crate::report::BrainMap {
            title,
            measure: crate::report::Measure {
                name: "Pearson r (held-out runs)".to_owned(),
                scale: crate::report::Scale::FromZero,
                least_end: crate::report::LEAST_CORRELATION,
            },
            volume: open_volume(&artifact.join(map), &artifact.join(mask))?,
        });
    }
    Ok(page)
}

fn open_volume(map: &Path, mask: &Path) -> Result<Volume, TaskError> {
    use crate::format::nifti::read_volume;
    let ((info, values), (_, inside)) = (read_volume(map)?, read_volume(mask)?);
    let [nx, ny, nz] = info.shape;
    // NIfTI runs the first axis fastest, the page the last.
    let place = |at: usize| (at / (ny * nz)) + nx * ((at / nz) % ny + ny * (at % nz));
    let affine =
        info.affine.ok_or_else(|| TaskError::Unanswerable(format!("`{}` has no place in space", map.display())))?;
    let in_order = |volume: &[f32]| (0..nx * ny * nz).map(|at| volume[place(at)]).collect::<Vec<f32>>();
    let mask = in_order(&inside).into_iter().map(|value| value != 0.0).collect();
    Volume::new(info.shape, in_order(&values), mask, [affine[0], affine[1], affine[2]])
        .map_err(|error| TaskError::Unanswerable(error.to_string()))
}
