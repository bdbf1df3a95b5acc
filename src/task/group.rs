//! Whether what was found holds over subjects: every finding, and every voxel's score, tested over subjects.
//!
//! A finding is tested against what chance alone gives in each subject, by t and by flipping signs; relatives flip together. Maps are
//! tested where all subjects have the same voxels in the same places.

use super::{
    Compute, Kind, TaskError, Workbench,
    encode::{SCORES, cell, read_scores},
    finding::{self, Absent, CONFIDENCE, Finding, Statistic, read_findings},
};
use crate::{
    brain::mask::VoxelTable,
    format::tsv::{MISSING, Table},
    math::{
        fdr::benjamini_hochberg,
        group::{GroupValues, SignFlipOptions, TOptions, one_sample_t, sign_flip_test},
    },
};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Every finding over subjects.
pub const FINDINGS: &str = "group.tsv";
/// Scores of every voxel over subjects, model by model.
pub const VOXELS: &str = "group_voxels.tsv";

/// All subjects. Inputs, subject by subject: `voxels`, `encode` (the main fit of each model) and `findings`.
#[derive(Debug, Serialize, Deserialize)]
pub struct TestGroup {
    /// The subjects.
    pub subjects: Vec<String>,
    /// The models.
    pub models: Vec<String>,
    /// The family of each subject, if relatives flip together.
    #[serde(rename = "statistics.group.families")]
    pub families: Option<Vec<String>>,
    /// Sign flips.
    #[serde(rename = "statistics.group.n_permutations")]
    pub n_permutations: usize,
    /// Their seed.
    #[serde(rename = "statistics.group.seed")]
    pub seed: u64,
    /// Whether there are fits whose maps can be tested.
    pub has_maps: bool,
    /// Tables of findings of each subject.
    pub n_findings: usize,
    /// Voxels of the brain.
    #[serde(rename = "~n_voxels")] // follows from the inputs
    pub n_voxels: usize,
}

/// What findings of several subjects have in common.
type About = (Statistic, String, String, String);

/// The value of a finding in each subject that has one, with what chance gives there.
type OfSubjects = Vec<Option<(f64, f64)>>;

const COLUMNS: [&str; 17] = [
    "statistic",
    "model",
    "part",
    "network",
    "n_subjects",
    "mean",
    "sd",
    "low",
    "high",
    "null_mean",
    "cohens_d",
    "t",
    "t_p",
    "flip_p",
    "family_wise_p",
    "q",
    "absent",
];

impl Compute for TestGroup {
    const KIND: Kind = Kind::Group;

    fn memory_bytes(&self) -> u64 {
        (self.subjects.len() * self.n_voxels * 64) as u64 + (128 << 20)
    }

    fn reads(&self, role: &str) -> Option<&'static [&'static str]> {
        match role {
            "encode" => Some(&[SCORES]),
            "findings" => Some(&[finding::FINDINGS]),
            _ => None,
        }
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        self.findings(bench)?.write(&bench.out.join(FINDINGS))?;
        bench.step(1, 2)?;
        if self.has_maps && self.subjects.len() > 1 {
            self.voxels(bench)?.write(&bench.out.join(VOXELS))?;
        }
        Ok(())
    }
}

impl TestGroup {
    /// The block of each subject that changes sign together.
    fn blocks(&self) -> Option<Vec<usize>> {
        let families = self.families.as_ref()?;
        let mut names: Vec<&String> = families.iter().collect();
        names.sort();
        names.dedup();
        Some(families.iter().map(|family| names.binary_search(&family).expect("all are in")).collect())
    }

    fn findings(&self, bench: &Workbench<'_>) -> Result<Table, TaskError> {
        // In the order of the first subject that has them.
        let mut order: Vec<About> = Vec::new();
        let mut values: HashMap<About, OfSubjects> = HashMap::new();
        for (subject, tables) in bench.inputs("findings").chunks(self.n_findings.max(1)).enumerate() {
            for found in tables.iter().map(|table| read_findings(table)).collect::<Result<Vec<_>, _>>()?.concat() {
                let about = (found.statistic, found.model.clone(), found.part.clone(), found.network.clone());
                let of_subjects = values.entry(about.clone()).or_insert_with(|| {
                    order.push(about);
                    vec![None; self.subjects.len()]
                });
                of_subjects[subject] = found.value.map(|value| (value, expected(&found)));
            }
        }
        let mut rows: Vec<[String; 17]> = Vec::new();
        let mut families: BTreeMap<(Statistic, String), Vec<usize>> = BTreeMap::new();
        for (row, about) in order.iter().enumerate() {
            families.entry((about.0, about.1.clone())).or_default().push(row);
            rows.push([const { String::new() }; 17]);
        }
        for places in families.into_values() {
            let of_family: Vec<_> = places.iter().map(|place| (&order[*place], &values[&order[*place]])).collect();
            for (place, row) in places.iter().zip(self.family(&of_family)?) {
                rows[*place] = row;
            }
        }
        // By statistic, and within one in the order of the first subject.
        let mut places: Vec<usize> = (0..order.len()).collect();
        places.sort_by_key(|place| order[*place].0);
        let mut table = Table::new(COLUMNS);
        places.into_iter().for_each(|place| table.push(rows[place].clone()));
        Ok(table)
    }

    /// The rows of one statistic and model, tested together.
    fn family(&self, of_family: &[(&About, &OfSubjects)]) -> Result<Vec<[String; 17]>, TaskError> {
        let shape = (self.subjects.len(), of_family.len());
        let at = |subject: usize, row: usize| of_family[row].1[subject];
        let values = Array2::from_shape_fn(shape, |(subject, row)| {
            at(subject, row).map_or(0.0, |(value, expected)| (value - expected) as f32)
        });
        let present = Array2::from_shape_fn(shape, |(subject, row)| at(subject, row).is_some());
        let testable = self.subjects.len() > 1;
        let group = GroupValues { values: values.view(), present: Some(present.view()) };
        let t = if testable {
            Some(one_sample_t(group, TOptions { confidence: CONFIDENCE, ..TOptions::default() })?)
        } else {
            None
        };
        let blocks = self.blocks();
        let n_blocks =
            blocks.as_ref().map_or(self.subjects.len(), |blocks| blocks.iter().max().map_or(0, |last| last + 1));
        let options =
            SignFlipOptions { n_permutations: self.n_permutations, seed: self.seed, ..SignFlipOptions::default() };
        let flips = if n_blocks > 1 { Some(sign_flip_test(group, blocks.as_deref(), options)?) } else { None };
        let p: Vec<Option<f64>> = (0..of_family.len())
            .map(|row| flips.as_ref().and_then(|flips| flips.voxels[row].as_ref().ok().map(|voxel| voxel.p)))
            .collect();
        // Of one statistic and model, so that all rows have chance or none has.
        let has_chance = of_family.iter().all(|(about, _)| about.0.has_chance());
        let p = if has_chance { p } else { vec![None; p.len()] };
        let q = benjamini_hochberg(&p)?;
        let row = |(row, (about, of_subjects)): (usize, &(&About, &OfSubjects))| {
            let known: Vec<(f64, f64)> = of_subjects.iter().flatten().copied().collect();
            let n = known.len() as f64;
            let mean_of = |part: fn(&(f64, f64)) -> f64| (n > 0.0).then(|| known.iter().map(part).sum::<f64>() / n);
            let (mean, expected) = (mean_of(|(value, _)| *value), mean_of(|(_, expected)| *expected));
            let test = t.as_ref().and_then(|t| t.voxels[row].as_ref().ok());
            let flip = flips.as_ref().and_then(|flips| flips.voxels[row].as_ref().ok());
            let reason = match (test, known.len()) {
                (Some(_), _) => None,
                (None, 0 | 1) => Some(Absent::FewSubjects),
                (None, _) => Some(Absent::Constant),
            };
            let shifted = |end: f64| expected.map(|expected| expected + end);
            [
                about.0.name().to_owned(),
                about.1.clone(),
                about.2.clone(),
                about.3.clone(),
                known.len().to_string(),
                cell(mean),
                cell(test.map(|test| test.standard_error * n.sqrt())),
                cell(test.and_then(|test| shifted(test.interval[0]))),
                cell(test.and_then(|test| shifted(test.interval[1]))),
                cell(expected),
                cell(test.map(|test| test.cohens_d)),
                cell(test.filter(|_| has_chance).map(|test| test.t)),
                cell(test.filter(|_| has_chance).map(|test| test.p)),
                cell(p[row]),
                cell(flip.filter(|_| has_chance).map(|flip| flip.p_family)),
                cell(q[row]),
                reason.map_or_else(|| MISSING.to_owned(), |reason| reason.name().to_owned()),
            ]
        };
        Ok(of_family.iter().enumerate().map(row).collect())
    }

    /// Fisher's z of every voxel's score over subjects, in voxels that all of them have.
    fn voxels(&self, bench: &Workbench<'_>) -> Result<Table, TaskError> {
        let mut table = Table::new(["voxel", "model", "n_subjects", "mean_r", "t", "p", "q"]);
        let tables =
            bench.inputs("voxels").iter().map(|folder| VoxelTable::read(folder)).collect::<Result<Vec<_>, _>>()?;
        let first = &tables[0];
        if tables.iter().any(|other| !first.locations.lie_with(&other.locations)) {
            bench
                .warn("other-grids", "subjects' voxels lie on different grids, so that no map is tested over subjects");
            return Ok(table);
        }
        // Where each place of the first subject is in the others.
        let places: Vec<HashMap<usize, usize>> = tables
            .iter()
            .map(|table| table.offsets().into_iter().enumerate().map(|(voxel, offset)| (offset, voxel)).collect())
            .collect();
        let offsets = first.offsets();
        for (number, model) in self.models.iter().enumerate() {
            let mut values = Array2::<f32>::zeros((self.subjects.len(), offsets.len()));
            let mut present = Array2::from_elem(values.dim(), false);
            for subject in 0..self.subjects.len() {
                let fit = &bench.inputs("encode")[subject * self.models.len() + number];
                let scores: HashMap<usize, Option<f64>> = read_scores(fit)?.into_iter().collect();
                for (column, offset) in offsets.iter().enumerate() {
                    let score = places[subject].get(offset).and_then(|voxel| scores.get(voxel)).copied().flatten();
                    if let Some(r) = score {
                        values[[subject, column]] = r.clamp(-0.999_999, 0.999_999).atanh() as f32;
                        present[[subject, column]] = true;
                    }
                }
            }
            let group = GroupValues { values: values.view(), present: Some(present.view()) };
            let options = TOptions { n_min: self.subjects.len(), ..TOptions::default() };
            let test = one_sample_t(group, options)?;
            let p: Vec<Option<f64>> =
                test.voxels.iter().map(|voxel| voxel.as_ref().ok().map(|voxel| voxel.p)).collect();
            let q = benjamini_hochberg(&p)?;
            for (voxel, found) in test.voxels.iter().enumerate() {
                let found = found.as_ref().ok();
                let n = present.column(voxel).iter().filter(|is_there| **is_there).count();
                table.push([
                    voxel.to_string(),
                    model.clone(),
                    n.to_string(),
                    cell(found.map(|found| found.mean.tanh())),
                    cell(found.map(|found| found.t)),
                    cell(found.map(|found| found.p)),
                    cell(q[voxel]),
                ]);
            }
        }
        Ok(table)
    }
}

/// What chance alone gives in a subject: 0 where it is not measured.
fn expected(found: &Finding) -> f64 {
    found.null.map_or(0.0, |(mean, _)| mean)
}

/// The columns of findings begin as those of the group, so that both are read alike.
#[cfg(test)]
mod tests {
    use super::super::finding;
    use super::*;

    #[test]
    fn rows_are_named_as_findings_are() {
        assert_eq!(COLUMNS[..4], finding::COLUMNS[..4]);
    }
}
