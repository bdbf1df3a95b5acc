//! Maps on the subject's own grid or surfaces: scores, significance, the weights of every pattern; and over subjects.
//!
//! Names are those of BIDS derivatives, `sub-01_desc-clip_stat-r_statmap.nii.gz`, and a JSON file beside each map says what it holds.
//! Each subject and model has a task of its own, so that an edit of a statistic writes no map anew that it did not change. What the
//! viewer of the page shows lies beside the maps (`maps/display.rs`).

mod display;

use self::display::{BrainEntry, DisplayEntry, Shown, brain, display, display_frames};
use super::{
    Compute, Kind as TaskKind, TaskError, Workbench, architecture,
    ceiling::{VoxelCeiling, read_ceilings},
    encode::{SCORES, T_VALUES, VoxelValues, WEIGHTS, read_scores},
    evidence::{SIGNIFICANCE, read_significance},
    group, hierarchy,
    workbench::read_json,
};
use crate::{
    brain::{mask::VoxelTable, prepare::Scale as Units},
    format::{nifti::read_volume, npy::MatrixReader, tsv::Table},
    report::{BrainMap, LEAST_CORRELATION, Measure, OutputFile, Page, Scale, Volume},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A kind of map: what stands in its name, what it holds, in which unit.
type Kind = (&'static str, &'static str, &'static str);

const SCORE: Kind = ("stat-r_statmap", "Pearson's r between held-out series and prediction", "correlation");
const CEILING: Kind =
    ("stat-ceiling_statmap", "largest correlation with the mean over repeats that is to be expected", "correlation");
const NORMALISED: Kind = (
    "stat-rnorm_statmap",
    "Pearson's r with the mean over repeats, divided by the noise ceiling",
    "share of the noise ceiling",
);
const T: Kind = ("stat-t_statmap", "t value of the weight of every pattern, one map each", "Student's t");
const DEPTH: Kind = (
    "stat-depth_statmap",
    "depth of the layers that predict the voxel, weighted by their scores, from 0 for the first to 1 for the last",
    "share of the module's layers",
);
const SPECIALISATION: Kind = (
    "stat-specialisation_statmap",
    "specialisation index: R2 of the first branch less that of the second over their sum",
    "index from -1 to 1",
);
const GROUP_SCORE: Kind = ("stat-r_statmap", "mean over subjects of Pearson's r, by way of Fisher's z", "correlation");
const GROUP_T: Kind = ("stat-t_statmap", "one-sample t over subjects of Fisher's z of Pearson's r", "Student's t");
const CONFIDENCE: Kind =
    ("stat-confidence_statmap", "1 minus the false discovery rate of the prediction", "share from 0 to 1");

/// The folder of maps in an artifact, and in the results.
pub const MAPS: &str = "maps";
/// Maps that a page draws as slices.
const MAX_DRAWN: usize = 24;
/// What the maps are.
const LIST: &str = "maps.json";

/// Maps of one subject and model. Inputs: `voxels`, `encode` (on patterns or bands); `null`, `ceiling`, `hierarchy` and `architecture`
/// where they were asked.
#[derive(Debug, Serialize, Deserialize)]
pub struct WriteMaps {
    /// The subject.
    pub subject: String,
    /// The model.
    pub model: String,
    /// The model in names of files, see [`labels`].
    pub label: String,
    /// What voxels were predicted from, in words: patterns or bands.
    pub features: String,
    /// Whether the fit has weights of patterns.
    pub has_patterns: bool,
    /// Whether these have t values.
    pub has_t_values: bool,
    /// The runs that scores come from.
    pub test_runs: Vec<String>,
    /// The scale of prepared series, which weights are in.
    #[serde(rename = "preparation.scale")]
    pub scale: Units,
    /// Voxels of a volume, or places of a CIFTI file.
    #[serde(rename = "~n_grid_voxels")] // follows from the inputs
    pub n_grid_voxels: usize,
    /// Patterns.
    #[serde(rename = "~n_patterns")] // follows from the inputs
    pub n_patterns: usize,
}

/// Maps over subjects. Inputs: `voxels` of the first subject and `group`.
#[derive(Debug, Serialize, Deserialize)]
pub struct WriteGroupMaps {
    /// The subjects.
    pub subjects: Vec<String>,
    /// The models with what they are called in names of files.
    pub models: Vec<(String, String)>,
    /// What voxels were predicted from, in words: patterns or bands.
    pub features: String,
    /// Voxels of a volume, or places of a CIFTI file.
    #[serde(rename = "~n_grid_voxels")] // follows from the inputs
    pub n_grid_voxels: usize,
}

/// The maps of an artifact.
#[derive(Debug, Serialize, Deserialize)]
struct MapList {
    title: String,
    /// The brain that they lie on; absent on surfaces.
    brain: Option<BrainEntry>,
    /// What the page draws as slices; absent for maps on surfaces and over subjects.
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

/// Bytes of a table of voxels, of volumes, and of maps on surfaces, which are written together.
fn memory_bytes(n_grid_voxels: usize, n_patterns: usize) -> u64 {
    (n_grid_voxels * (16 * 8 + 1024 + 4 * n_patterns)) as u64 + (64 << 20)
}

fn begin(bench: &Workbench<'_>) -> Result<(), TaskError> {
    for folder in [MAPS, display::FOLDER] {
        let path = bench.out.join(folder);
        fs::create_dir(&path).map_err(|source| TaskError::Io { path, source })?;
    }
    Ok(())
}

impl WriteMaps {
    fn maps(&self, voxels: &VoxelTable, bench: &Workbench<'_>) -> Result<MapList, TaskError> {
        let encode = bench.input("encode");
        let Self { subject, model, label, features, .. } = self;
        let stem = |(name, _, _): Kind| bench.out.join(MAPS).join(format!("{subject}_desc-{label}_{name}"));
        let mut files = Vec::new();
        let mut told = |path: &Path, (_, holds, units): Kind| -> Result<String, TaskError> {
            let name = inside(path);
            let holds = format!("{holds}, {subject}, {features} of {model}");
            let described = json!({
                "Description": holds,
                "Units": units,
                "Subject": subject,
                "Model": model,
                "TestRuns": self.test_runs,
                "Outside": 0,
            });
            bench.write_json(&sidecar(&name), &described)?;
            files.push(MapFile { name: name.clone(), holds });
            Ok(name)
        };
        let units = match self.scale {
            Units::ZScore => "standard deviations",
            Units::PercentChange => "percent",
            Units::None => "as recorded",
        };
        let weight_measure = format!("weight ({units})");
        let weight = ("stat-weight_statmap", "regression weight of every pattern, one map each", units);
        let scores = read_scores(encode)?;
        let mut display: Vec<DisplayEntry> = Vec::new();
        let shown = |what: &str, measure, scale, path: &str| Shown {
            title: format!("{subject}, {model}: {what}"),
            subject: subject.clone(),
            measure,
            scale,
            path: path.to_owned(),
        };
        let values = spread(voxels, &scores);
        let map = told(&voxels.write_map(&stem(SCORE), &values, 0.0)?, SCORE)?;
        let title = format!("scores from {features}");
        let held_out = "Pearson r (held-out runs)";
        display.extend(self::display(shown(&title, held_out, Scale::FromZero, &map), &values, voxels, bench)?);
        // Fits on bands test themselves.
        if let Some(q) = read_significance(bench.inputs("null").first().map_or(encode, PathBuf::as_path))? {
            // One minus q: larger is more certain, and 0 is "none" as everywhere outside the brain.
            let certain: Vec<_> = q.into_iter().map(|(voxel, q)| (voxel, q.map(|q| 1.0 - q))).collect();
            told(&voxels.write_map(&stem(CONFIDENCE), &spread(voxels, &certain), 0.0)?, CONFIDENCE)?;
        }
        if let Some(ceiling) = bench.inputs("ceiling").first() {
            let ceilings = read_ceilings(ceiling)?;
            type Part = fn(&VoxelCeiling) -> Option<f64>;
            let parts: [(Kind, Part); 2] = [(CEILING, |row| row.ceiling), (NORMALISED, |row| row.r_norm)];
            for (kind, part) in parts {
                let values: Vec<_> = ceilings.iter().map(|row| (row.voxel, part(row))).collect();
                told(&voxels.write_map(&stem(kind), &spread(voxels, &values), 0.0)?, kind)?;
            }
        }
        let of_patterns = [(WEIGHTS, weight, self.has_patterns), (T_VALUES, T, self.has_t_values)];
        for (file, kind, _) in of_patterns.into_iter().filter(|(_, _, is_there)| *is_there) {
            let mut matrix = MatrixReader::open(&encode.join(file))?;
            let names: Vec<String> = (0..matrix.n_rows()).map(|pattern| format!("pattern {pattern}")).collect();
            let mut of_pattern = |pattern: usize| {
                let row = matrix.rows(pattern..pattern + 1)?;
                let mut all = vec![None; voxels.n_voxels()];
                scores.iter().zip(row.iter()).for_each(|((voxel, _), value)| all[*voxel] = Some(*value));
                Ok::<_, TaskError>(all)
            };
            let path = told(&voxels.write_maps(&stem(kind), &names, 0.0, &mut of_pattern)?, kind)?;
            if file == WEIGHTS {
                let shown = shown("weights of patterns", &weight_measure, Scale::Signed, &path);
                display.extend(display_frames(shown, &names, voxels, bench, of_pattern)?);
            }
        }
        for (part, kind, values) in self.voxel_statistics(bench)? {
            let plain: String = part.chars().filter(char::is_ascii_alphanumeric).collect();
            let stem = bench.out.join(MAPS).join(format!("{subject}_desc-{label}{plain}_{}", kind.0));
            let values = spread(voxels, &values);
            let path = told(&voxels.write_map(&stem, &values, 0.0)?, kind)?;
            let (what, scale) = match kind {
                SPECIALISATION => (format!("specialisation, {}", part.replace("over", " over ")), Scale::Signed),
                _ => (format!("depth of {part} layers"), Scale::FromZero),
            };
            display.extend(self::display(shown(&what, kind.2, scale, &path), &values, voxels, bench)?);
        }
        let inside: Vec<Option<f32>> = vec![Some(1.0); voxels.n_voxels()];
        let stem = bench.out.join(MAPS).join(format!("{subject}_desc-studied_mask"));
        let mask = self::inside(&voxels.write_map(&stem, &inside, 0.0)?);
        // Surfaces are for a viewer that knows their shape.
        let drawn = voxels.locations.grid().map(|_| Drawn { map, mask });
        let title = format!("{subject}, {features} of {model}");
        Ok(MapList { title, brain: brain(subject, voxels, bench)?, drawn, files, display })
    }

    /// Statistics that have a value in every voxel, with what of the model they are about: depths of layers, specialisation.
    fn voxel_statistics(&self, bench: &Workbench<'_>) -> Result<Vec<VoxelStatistic>, TaskError> {
        let mut all = Vec::new();
        if let Some(hierarchy) = bench.inputs("hierarchy").first() {
            let table = Table::read(&hierarchy.join(hierarchy::VOXELS))?;
            all.extend(by_part(&table, "module", "depth", None)?.into_iter().map(|(part, map)| (part, DEPTH, map)));
        }
        if let Some(architecture) = bench.inputs("architecture").first() {
            let table = Table::read(&architecture.join(architecture::VOXELS))?;
            let of_model = by_part(&table, "branches", "specialisation", Some(&self.model))?;
            all.extend(of_model.into_iter().map(|(part, map)| (part.replace('|', "over"), SPECIALISATION, map)));
        }
        Ok(all)
    }
}

impl Compute for WriteMaps {
    const KIND: TaskKind = TaskKind::Maps;

    fn memory_bytes(&self) -> u64 {
        memory_bytes(self.n_grid_voxels, self.n_patterns)
    }

    fn reads(&self, role: &str) -> Option<&'static [&'static str]> {
        match role {
            "encode" => Some(&[SCORES, WEIGHTS, T_VALUES, SIGNIFICANCE]),
            "null" => Some(&[SIGNIFICANCE]),
            "hierarchy" => Some(&[hierarchy::VOXELS]),
            "architecture" => Some(&[architecture::VOXELS]),
            _ => None,
        }
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        begin(bench)?;
        let voxels = VoxelTable::read(bench.input("voxels"))?;
        bench.write_json(LIST, &self.maps(&voxels, bench)?)
    }
}

impl Compute for WriteGroupMaps {
    const KIND: TaskKind = TaskKind::Maps;

    fn memory_bytes(&self) -> u64 {
        memory_bytes(self.n_grid_voxels, 0)
    }

    fn reads(&self, role: &str) -> Option<&'static [&'static str]> {
        (role == "group").then_some(&[group::VOXELS])
    }

    /// On the voxels of the first subject; without a map where subjects do not have the same voxels.
    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        begin(bench)?;
        let mut list =
            MapList { title: "group".to_owned(), brain: None, drawn: None, files: Vec::new(), display: Vec::new() };
        let path = bench.input("group").join(group::VOXELS);
        if path.exists() {
            let voxels = VoxelTable::read(bench.input("voxels"))?;
            list.brain = brain(&self.subjects[0], &voxels, bench)?;
            self.maps(&Table::read(&path)?, &voxels, bench, &mut list)?;
        }
        bench.write_json(LIST, &list)
    }
}

impl WriteGroupMaps {
    fn maps(
        &self,
        table: &Table,
        voxels: &VoxelTable,
        bench: &Workbench<'_>,
        list: &mut MapList,
    ) -> Result<(), TaskError> {
        for (model, label) in &self.models {
            for (column, kind) in [("mean_r", GROUP_SCORE), ("t", GROUP_T), ("q", CONFIDENCE)] {
                let of_model = of_model(table, column, model)?;
                if of_model.is_empty() {
                    continue;
                }
                let mut all = vec![None; voxels.n_voxels()];
                for (voxel, value) in of_model {
                    let value = if column == "q" { value.map(|q| 1.0 - q) } else { value };
                    all[voxel] = value.map(|value| value as f32);
                }
                let stem = bench.out.join(MAPS).join(format!("group_desc-{label}_{}", kind.0));
                let name = inside(&voxels.write_map(&stem, &all, 0.0)?);
                if kind == GROUP_SCORE {
                    let shown = Shown {
                        title: format!("group, {model}: mean of scores"),
                        subject: self.subjects[0].clone(),
                        measure: "mean Pearson r over subjects",
                        scale: Scale::FromZero,
                        path: name.clone(),
                    };
                    list.display.extend(display(shown, &all, voxels, bench)?);
                }
                let holds = format!("{}, {} subjects, {} of {model}", kind.1, self.subjects.len(), self.features);
                let described = json!({
                    "Description": holds,
                    "Units": kind.2,
                    "Subjects": self.subjects,
                    "Model": model,
                    "Outside": 0,
                });
                bench.write_json(&sidecar(&name), &described)?;
                list.files.push(MapFile { name, holds });
            }
        }
        Ok(())
    }
}

/// Models' names as BIDS allows them, letters and digits only, each unlike any other in upper or lower case.
#[must_use]
pub fn labels(models: &[&str]) -> Vec<String> {
    let plain = |model: &&str| model.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
    let wished: Vec<String> = models.iter().map(plain).collect();
    let is_shared = |label: &str| wished.iter().filter(|other| other.eq_ignore_ascii_case(label)).count() > 1;
    let mut taken: Vec<String> = wished.iter().map(|label| label.to_ascii_lowercase()).collect();
    let mut labels = Vec::new();
    for label in &wished {
        if !label.is_empty() && !is_shared(label) {
            labels.push(label.clone());
            continue;
        }
        let numbered = (1..).map(|number| format!("{label}n{number}"));
        let free = numbered.into_iter().find(|label| !taken.contains(&label.to_ascii_lowercase()));
        let free = free.expect("there is always a larger number");
        taken.push(free.to_ascii_lowercase());
        labels.push(free);
    }
    labels
}

/// A map's path in its artifact.
fn inside(path: &Path) -> String {
    format!("{MAPS}/{}", path.file_name().expect("a map has a name").to_string_lossy())
}

/// The JSON file beside a map.
fn sidecar(map: &str) -> String {
    format!("{}.json", map.trim_end_matches(".nii.gz").trim_end_matches(".dscalar.nii"))
}

/// What a statistic is about, what it is, and its value in every voxel that has one.
type VoxelStatistic = (String, Kind, VoxelValues);

/// Values of a table's voxels, told apart by another column; of one model, if it is named.
fn by_part(
    table: &Table,
    part: &str,
    column: &str,
    model: Option<&str>,
) -> Result<Vec<(String, VoxelValues)>, TaskError> {
    let part = table.require(part)?;
    let of_model = model.map(|model| Ok::<_, TaskError>((table.require("model")?, model))).transpose()?;
    let (voxels, values) = (table.counts("voxel")?, table.numbers(column)?);
    let mut parts: Vec<(String, VoxelValues)> = Vec::new();
    for (row, cells) in table.rows().iter().enumerate() {
        if of_model.is_some_and(|(place, model)| cells[place] != model) {
            continue;
        }
        // Rows of a part are neighbours, or nearly: the last one is looked at first.
        match parts.iter_mut().rev().find(|(name, _)| *name == cells[part]) {
            Some((_, map)) => map.push((voxels[row], values[row])),
            None => parts.push((cells[part].clone(), vec![(voxels[row], values[row])])),
        }
    }
    Ok(parts)
}

/// Values of one model's voxels.
fn of_model(table: &Table, column: &str, model: &str) -> Result<VoxelValues, TaskError> {
    let parts = by_part(table, "model", column, None)?;
    Ok(parts.into_iter().find(|(name, _)| name == model).map(|(_, map)| map).unwrap_or_default())
}

/// Values of scored voxels at their places among all voxels.
fn spread(voxels: &VoxelTable, scores: &[(usize, Option<f64>)]) -> Vec<Option<f32>> {
    let mut all = vec![None; voxels.n_voxels()];
    for (voxel, score) in scores {
        all[*voxel] = score.map(|score| score as f32);
    }
    all
}

/// Adds the maps of artifacts to a page: files, slices, what the viewer shows.
///
/// # Errors
/// If a file of an artifact cannot be read.
pub fn open_maps(artifacts: &[PathBuf], page: &mut Page) -> Result<(), TaskError> {
    let mut lists = Vec::new();
    for artifact in artifacts {
        let list: MapList = read_json(&artifact.join(LIST))?;
        let output = |file: &MapFile| OutputFile { path: file.name.clone(), holds: file.holds.clone() };
        page.provenance.files.extend(list.files.iter().map(output));
        if let Some(Drawn { map, mask }) = &list.drawn {
            if page.brain.len() == MAX_DRAWN {
                page.n_brain_left_out += 1;
                lists.push((artifact.as_path(), list));
                continue;
            }
            page.brain.push(BrainMap {
                title: list.title.clone(),
                measure: Measure {
                    name: "Pearson r (held-out runs)".to_owned(),
                    scale: Scale::FromZero,
                    least_end: LEAST_CORRELATION,
                },
                volume: open_volume(&artifact.join(map), &artifact.join(mask))?,
            });
        }
        lists.push((artifact.as_path(), list));
    }
    page.viewer = display::viewer(&lists)?;
    Ok(())
}

fn open_volume(map: &Path, mask: &Path) -> Result<Volume, TaskError> {
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
