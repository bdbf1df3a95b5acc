//! Writes maps on the subject's own grid or surfaces: scores, significance, and the weights of every pattern.
//!
//! Names are those of BIDS derivatives, `sub-01_desc-clip_stat-r_statmap.nii.gz`, and a JSON file beside each map says what it holds.

use super::{Drawn, Gather, GatheredModel, MapEntry, MapFile, Pair};
use crate::{
    brain::prepare::Scale,
    format::npy::MatrixReader,
    task::{
        TaskError, Workbench,
        ceiling::{VoxelCeiling, read_ceilings},
        encode::{T_VALUES, WEIGHTS, read_scores},
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
        let units = match self.scale {
            Scale::ZScore => "standard deviations",
            Scale::PercentChange => "percent",
            Scale::None => "as recorded",
        };
        let weight = ("stat-weight_statmap", "regression weight of every pattern, one map each", units);
        let scores = read_scores(encode)?;
        let map = told(&voxels.write_map(&stem(SCORE), &spread(pair, &scores), 0.0)?, SCORE)?;
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
            let path = voxels.write_maps(&stem(kind), &names, 0.0, |pattern| {
                let row = matrix.rows(pattern..pattern + 1)?;
                let mut all = vec![None; voxels.n_voxels()];
                scores.iter().zip(row.iter()).for_each(|((voxel, _), value)| all[*voxel] = Some(*value));
                Ok::<_, TaskError>(all)
            })?;
            told(&path, kind)?;
        }
        let inside: Vec<Option<f32>> = vec![Some(1.0); voxels.n_voxels()];
        let path =
            voxels.write_map(&bench.out.join("maps").join(format!("{subject}_desc-studied_mask")), &inside, 0.0)?;
        let mask = format!("maps/{}", path.file_name().expect("a mask has a name").to_string_lossy());
        // Surfaces are for a viewer that knows their shape.
        let drawn = voxels.locations.grid().map(|_| Drawn { map, mask });
        let title = format!("{subject}, {} of {}", self.main_features(), pair.model.name);
        Ok(Some(MapEntry { title, drawn, files }))
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

/// Values of scored voxels at their places among all voxels.
fn spread(pair: &Pair<'_>, scores: &[(usize, Option<f64>)]) -> Vec<Option<f32>> {
    let mut all = vec![None; pair.voxels.n_voxels()];
    for (voxel, score) in scores {
        all[*voxel] = score.map(|score| score as f32);
    }
    all
}
