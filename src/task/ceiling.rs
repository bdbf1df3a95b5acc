//! How much of each voxel's test series is signal, as far as runs that were shown again tell, and scores as a share of that.

use super::{
    Compute, Kind, TaskError, Workbench,
    encode::{Brain, WEIGHTS, cell},
    pattern::read_patterns,
};
use crate::{
    format::{npy::MatrixReader, tsv::Table},
    math::{
        blas::matmul,
        ceiling::{CeilingWarning, NoCeiling, normalised_correlation},
    },
};
use ndarray::{Array2, ArrayView2, s};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

/// Noise ceiling and normalised score of every voxel that was fitted.
pub const CEILINGS: &str = "ceilings.tsv";
/// What was asked and found.
const FACTS: &str = "ceiling.json";

/// Voxels that are measured at once.
const PIECE: usize = 8192;

/// The ceilings of one fit on patterns. Inputs: `encode`, `patterns`, and all runs `bold` in the study's order.
#[derive(Debug, Serialize, Deserialize)]
pub struct MeasureCeiling {
    /// Places among all runs of those in which the same was shown.
    pub repeats: Vec<usize>,
    /// Volumes of all runs.
    #[serde(rename = "~n_samples")] // follows from the inputs
    pub n_samples: usize,
    /// Voxels of the brain.
    #[serde(rename = "~n_voxels")] // follows from the inputs
    pub n_voxels: usize,
}

/// What was asked and found, as the artifact keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct CeilingFacts {
    n_repeats: usize,
    n_samples: usize,
    n_without_ceiling: usize,
    n_above_one: usize,
}

impl Compute for MeasureCeiling {
    const KIND: Kind = Kind::Ceiling;

    fn memory_bytes(&self) -> u64 {
        (6 * self.n_samples * self.n_voxels.min(PIECE) * 4) as u64 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let rows = Brain::open(bench.inputs("bold"))?.aligned_with(read_patterns(bench.input("patterns"))?);
        let common = rows.common_volumes(&self.repeats);
        let n_samples = common.first().map_or(0, Vec::len);
        if n_samples < 2 {
            return Err(TaskError::Unanswerable(
                "the repeats of `statistics.ceiling` have fewer than two volumes in common".to_owned(),
            ));
        }
        let n_voxels = rows.brain.kept.len();
        let x = rows.features_of(self.repeats[0], &common[0]);
        let mut weights = MatrixReader::open(&bench.input("encode").join(WEIGHTS))?;
        let mut table = Table::new([
            "voxel",
            "ceiling",
            "ceiling_r2",
            "explainable_variance",
            "reliability",
            "r",
            "r_norm",
            "absent",
        ]);
        let mut facts = CeilingFacts { n_repeats: self.repeats.len(), n_samples, n_without_ceiling: 0, n_above_one: 0 };
        let mut warnings = BTreeMap::new();
        bench.step(0, n_voxels)?;
        for piece in rows.pieces(PIECE) {
            let repeats = self
                .repeats
                .iter()
                .zip(&common)
                .map(|(run, volumes)| Ok(rows.read(piece.clone(), *run..run + 1)?.select(ndarray::Axis(0), volumes)))
                .collect::<Result<Vec<Array2<f32>>, TaskError>>()?;
            let views: Vec<ArrayView2<'_, f32>> = repeats.iter().map(|matrix| matrix.view()).collect();
            let prediction = matmul(x.view(), weights.columns(piece.clone())?.view());
            let found = normalised_correlation(&views, prediction.slice(s![.., ..]))?;
            facts.n_without_ceiling += found.ceiling.n_without_ceiling;
            facts.n_above_one += found.n_above_one;
            for (column, voxel) in rows.brain.kept[piece.clone()].iter().enumerate() {
                let ceiling = found.ceiling.ceilings[column].as_ref().ok();
                let of = |part: fn(&crate::math::ceiling::Ceiling) -> f64| cell(ceiling.map(part));
                table.push([
                    voxel.to_string(),
                    of(|ceiling| ceiling.r),
                    of(|ceiling| ceiling.r2),
                    of(|ceiling| ceiling.explainable_variance),
                    cell(found.ceiling.reliability[column]),
                    cell(found.r[column]),
                    cell(found.r_norm[column].as_ref().ok().copied()),
                    found.r_norm[column].as_ref().err().map_or("", |reason| in_words(*reason)).to_owned(),
                ]);
            }
            for warning in found.ceiling.warnings {
                match warning {
                    CeilingWarning::FewSamples { n_samples, n_repeats, null_standard_error } => {
                        let message = format!(
                            "{n_repeats} repeats of {n_samples} volumes know a voxel's share of signal to {null_standard_error:.2} only: \
                             single ceilings are mostly chance"
                        );
                        warnings.insert("few-repeats", message);
                    }
                    CeilingWarning::ConstantRepeats { .. } => {
                        let message = "some voxels do not vary in one of the repeats".to_owned();
                        warnings.insert("constant-repeats", message);
                    }
                }
            }
            bench.step(piece.end, n_voxels)?;
        }
        if facts.n_without_ceiling > 0 {
            let n = facts.n_without_ceiling;
            let message = format!("{n} of {n_voxels} voxels share nothing over repeats and have no ceiling");
            warnings.insert("no-ceiling", message);
        }
        for (code, message) in warnings {
            bench.warn(code, message);
        }
        table.write(&bench.out.join(CEILINGS))?;
        bench.write_json(FACTS, &facts)
    }
}

fn in_words(reason: NoCeiling) -> &'static str {
    match reason {
        NoCeiling::Constant => "constant",
        NoCeiling::SignalPowerNotPositive => "no shared signal",
        NoCeiling::ConstantPrediction => "constant prediction",
    }
}

/// A voxel, as a row of `voxels.tsv`, with what it has of both.
pub(super) struct VoxelCeiling {
    pub(super) voxel: usize,
    pub(super) ceiling: Option<f64>,
    pub(super) r_norm: Option<f64>,
}

/// Ceiling and normalised score of every row of an artifact.
pub(super) fn read_ceilings(artifact: &Path) -> Result<Vec<VoxelCeiling>, TaskError> {
    let table = Table::read(&artifact.join(CEILINGS))?;
    let voxels = table.counts("voxel")?.into_iter();
    let (ceilings, normalised) = (table.numbers("ceiling")?, table.numbers("r_norm")?);
    let row = |((voxel, ceiling), r_norm)| VoxelCeiling { voxel, ceiling, r_norm };
    Ok(voxels.zip(ceilings).zip(normalised).map(row).collect())
}
