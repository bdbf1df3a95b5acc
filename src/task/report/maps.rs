//! Writes maps on the subject's own grid or surfaces: scores, significance, and the weights of every pattern.
//!
//! Names are those of BIDS derivatives, `sub-01_desc-clip_stat-r_statmap.nii.gz`, and a JSON file beside each map says what it holds.

use super::{
    Drawn, Gather, GatheredModel, MapEntry, MapFile, Pair,
    display::{DisplayEntry, Shown},
};
use crate::{
    brain::mask::VoxelTable,
    format::{npy::MatrixReader, tsv::Table},
    report::Scale,
    task::{
        TaskError, Workbench, architecture,
        ceiling::{VoxelCeiling, read_ceilings},
        encode::{T_VALUES, VoxelValues, WEIGHTS, read_scores},
        group, hierarchy,
    },
};
use serde_json::json;
use std::path::Path;

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

impl Gather {
    /// Writes the maps of one pair and tells them; absent where voxels were predicted from single layers alone.
    pub(super) fn maps(&self, pair: &Pair<'_>, bench: &Workbench<'_>) -> Result<Option<MapEntry>, TaskError> {
        let Some(encode) = self.encode(pair, bench) else { return Ok(None) };
        let (voxels, subject) = (pair.voxels, pair.subject);
        let label = self.label(pair.model_index);
        let stem = |(name, _, _): Kind| bench.out.join("maps").join(format!("{subject}_desc-{label}_{name}"));
        let mut files = Vec::new();
        let mut told = |path: &Path, (_, holds, units): Kind| -> Result<String, TaskError> {
            let name = format!("maps/{}", path.file_name().expect("a map has a name").to_string_lossy());
            let bare = name.trim_end_matches(".nii.gz").trim_end_matches(".dscalar.nii");
            let holds = format!("{holds}, {subject}, {} of {}", self.main_features(), pair.model.name);
            let described = json!({
                "Description": holds,
                "Units": units,
                "Subject": subject,
                "Model": pair.model.name,
                "TestRuns": self.test_runs,
                "Outside": 0,
            });
            bench.write_json(&format!("{bare}.json"), &described)?;
            files.push(MapFile { name: name.clone(), holds });
            Ok(name)
        };
        let units = self.weight_units();
        let weight_measure = format!("weight ({units})");
        let weight = ("stat-weight_statmap", "regression weight of every pattern, one map each", units);
        let scores = read_scores(encode)?;
        let mut display: Vec<DisplayEntry> = Vec::new();
        let shown = |what: &str, measure, scale, path: &str| Shown {
            title: format!("{subject}, {}: {what}", pair.model.name),
            subject: pair.subject_index,
            measure,
            scale,
            path: path.to_owned(),
        };
        let values = spread(pair, &scores);
        let map = told(&voxels.write_map(&stem(SCORE), &values, 0.0)?, SCORE)?;
        let title = format!("scores from {}", self.main_features());
        let held_out = "Pearson r (held-out runs)";
        display.extend(self.display(shown(&title, held_out, Scale::FromZero, &map), &values, voxels, bench)?);
        if let Some(q) = self.significance(pair, bench)? {
            // One minus q: larger is more certain, and 0 is "none" as everywhere outside the brain.
            let certain: Vec<_> = q.into_iter().map(|(voxel, q)| (voxel, q.map(|q| 1.0 - q))).collect();
            told(&voxels.write_map(&stem(CONFIDENCE), &spread(pair, &certain), 0.0)?, CONFIDENCE)?;
        }
        if self.has_ceiling {
            let ceilings = read_ceilings(&bench.inputs("ceiling")[pair.index])?;
            type Part = fn(&VoxelCeiling) -> Option<f64>;
            let parts: [(Kind, Part); 2] = [(CEILING, |row| row.ceiling), (NORMALISED, |row| row.r_norm)];
            for (kind, part) in parts {
                let values: Vec<_> = ceilings.iter().map(|row| (row.voxel, part(row))).collect();
                told(&voxels.write_map(&stem(kind), &spread(pair, &values), 0.0)?, kind)?;
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
                let frames = &names[..self.n_shown_patterns(names.len(), voxels.n_voxels())];
                let shown = shown("weights of patterns", &weight_measure, Scale::Signed, &path);
                display.extend(self.display_frames(shown, frames, names.len(), voxels, bench, of_pattern)?);
            }
        }
        for (part, kind, values) in self.voxel_statistics(pair, bench)? {
            let plain: String = part.chars().filter(char::is_ascii_alphanumeric).collect();
            let stem = bench.out.join("maps").join(format!("{subject}_desc-{label}{plain}_{}", kind.0));
            let values = spread(pair, &values);
            let path = told(&voxels.write_map(&stem, &values, 0.0)?, kind)?;
            let (what, scale) = match kind {
                SPECIALISATION => (format!("specialisation, {}", part.replace("over", " over ")), Scale::Signed),
                _ => (format!("depth of {part} layers"), Scale::FromZero),
            };
            display.extend(self.display(shown(&what, kind.2, scale, &path), &values, voxels, bench)?);
        }
        let inside: Vec<Option<f32>> = vec![Some(1.0); voxels.n_voxels()];
        let path =
            voxels.write_map(&bench.out.join("maps").join(format!("{subject}_desc-studied_mask")), &inside, 0.0)?;
        let mask = format!("maps/{}", path.file_name().expect("a mask has a name").to_string_lossy());
        // Surfaces are for a viewer that knows their shape.
        let drawn = voxels.locations.grid().map(|_| Drawn { map, mask });
        let title = format!("{subject}, {} of {}", self.main_features(), pair.model.name);
        Ok(Some(MapEntry { title, drawn, files, display }))
    }

    /// Statistics that have a value in every voxel, with what of the model they are about: depths of layers, specialisation.
    fn voxel_statistics(&self, pair: &Pair<'_>, bench: &Workbench<'_>) -> Result<Vec<VoxelStatistic>, TaskError> {
        let mut all = Vec::new();
        if self.has_hierarchy {
            let table = Table::read(&bench.inputs("hierarchy")[pair.index].join(hierarchy::VOXELS))?;
            all.extend(by_part(&table, "module", "depth", None)?.into_iter().map(|(part, map)| (part, DEPTH, map)));
        }
        if self.has_architecture {
            let table = Table::read(&bench.inputs("architecture")[pair.subject_index].join(architecture::VOXELS))?;
            let of_model = by_part(&table, "branches", "specialisation", Some(&pair.model.name))?;
            all.extend(of_model.into_iter().map(|(part, map)| (part.replace('|', "over"), SPECIALISATION, map)));
        }
        Ok(all)
    }

    /// Writes maps of the group on the voxels of the first subject, and tells them.
    pub(super) fn group_maps(&self, bench: &Workbench<'_>) -> Result<Option<MapEntry>, TaskError> {
        let Some(path) =
            bench.inputs("group").first().map(|group| group.join(group::VOXELS)).filter(|path| path.exists())
        else {
            return Ok(None);
        };
        let voxels = VoxelTable::read(&bench.inputs("voxels")[0])?;
        let table = Table::read(&path)?;
        let (mut files, mut display) = (Vec::new(), Vec::new());
        for (number, model) in self.models.iter().enumerate() {
            for (column, kind) in [("mean_r", GROUP_SCORE), ("t", GROUP_T), ("q", CONFIDENCE)] {
                let of_model = of_model(&table, column, &model.name)?;
                if of_model.is_empty() {
                    continue;
                }
                let mut all = vec![None; voxels.n_voxels()];
                for (voxel, value) in of_model {
                    let value = if column == "q" { value.map(|q| 1.0 - q) } else { value };
                    all[voxel] = value.map(|value| value as f32);
                }
                let name = format!("group_desc-{}_{}", self.label(number), kind.0);
                let path = voxels.write_map(&bench.out.join("maps").join(name), &all, 0.0)?;
                let name = format!("maps/{}", path.file_name().expect("a map has a name").to_string_lossy());
                if kind == GROUP_SCORE {
                    let shown = Shown {
                        title: format!("group, {}: mean of scores", model.name),
                        subject: 0,
                        measure: "mean Pearson r over subjects",
                        scale: Scale::FromZero,
                        path: name.clone(),
                    };
                    display.extend(self.display(shown, &all, &voxels, bench)?);
                }
                let bare = name.trim_end_matches(".nii.gz").trim_end_matches(".dscalar.nii");
                let holds =
                    format!("{}, {} subjects, {} of {}", kind.1, self.subjects.len(), self.main_features(), model.name);
                let described = json!({
                    "Description": holds,
                    "Units": kind.2,
                    "Subjects": self.subjects,
                    "Model": model.name,
                    "Outside": 0,
                });
                bench.write_json(&format!("{bare}.json"), &described)?;
                files.push(MapFile { name, holds });
            }
        }
        Ok((!files.is_empty()).then(|| MapEntry { title: "group".to_owned(), drawn: None, files, display }))
    }

    /// A model's name as BIDS allows it, letters and digits only, unlike that of any other model in upper or lower case.
    fn label(&self, index: usize) -> String {
        let plain = |model: &GatheredModel| model.name.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        let wished: Vec<String> = self.models.iter().map(plain).collect();
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
        labels.swap_remove(index)
    }
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
    let (voxels, values) = (table.integers("voxel")?, table.numbers(column)?);
    let mut parts: Vec<(String, VoxelValues)> = Vec::new();
    for (row, cells) in table.rows().iter().enumerate() {
        let is_meant = of_model.is_none_or(|(place, model)| cells[place] == model);
        let Some(voxel) = voxels[row].and_then(|voxel| usize::try_from(voxel).ok()).filter(|_| is_meant) else {
            continue;
        };
        // Rows of a part are neighbours, or nearly: the last one is looked at first.
        match parts.iter_mut().rev().find(|(name, _)| *name == cells[part]) {
            Some((_, map)) => map.push((voxel, values[row])),
            None => parts.push((cells[part].clone(), vec![(voxel, values[row])])),
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
fn spread(pair: &Pair<'_>, scores: &[(usize, Option<f64>)]) -> Vec<Option<f32>> {
    let mut all = vec![None; pair.voxels.n_voxels()];
    for (voxel, score) in scores {
        all[*voxel] = score.map(|score| score as f32);
    }
    all
}
