//! What was planted in a simulated subject against what the study found of it: layers, redundant pairs, opposite pairs, branches.
//!
//! A power analysis before scanning, and the proof that the statistics find what is there. Nothing of it feeds another task.

use super::{
    Compute, Kind, TaskError, Workbench, architecture,
    encode::{SCORES, cell, read_scores},
    pattern::CODES,
    polarity, redundancy,
};
use crate::{
    brain::mask::VoxelTable,
    format::{npy::read_matrix, tsv::Table},
    math::recovery::{EdgeRecovery, Share, Sign, correlation, edges, layer_agreement, signed_edges},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

/// What was recovered: one row for each question that could be asked.
pub const RECOVERY: &str = "recovery.tsv";

/// What a simulation planted: sources, the voxels of each, specialisation of voxels, pairs of patterns.
const PLANTED: &str = "planted.tsv";
const PLANTED_VOXELS: &str = "planted_voxels.tsv";
const PLANTED_SPECIALISATION: &str = "planted_specialisation.tsv";
const PLANTED_PAIRS: &str = "planted_pairs.tsv";

/// Columns of [`RECOVERY`].
pub(super) const COLUMNS: [&str; 5] = ["quantity", "n", "value", "low", "high"];

/// Coverage of every interval.
const CONFIDENCE: f64 = 0.95;

/// Layers by which a recovered layer may miss the planted one: neighbours share most of their residual stream.
const TOLERANCE: usize = 1;

/// Layers of one module are told from those of the next by more than any model has.
const LAYERS_OF_MODULE: usize = 10_000;

/// One simulated subject and the model that drives it. Inputs: `dataset`, `voxels`, `layers` (module by module), `architecture`,
/// `redundancy`, `polarity` and `patterns`, each if there is one.
#[derive(Debug, Serialize, Deserialize)]
pub struct MeasureRecovery {
    /// The model.
    pub model: String,
    /// Modules with the layers that were fitted, none where no layer was.
    pub modules: Vec<(String, Vec<usize>)>,
    /// False discovery rate at which two patterns count as redundant.
    pub fdr: f64,
    /// Voxels of the brain.
    #[serde(rename = "~n_voxels")] // follows from the inputs
    pub n_voxels: usize,
}

/// A pair of patterns, the first below the second.
type Pair = (usize, usize);

impl Compute for MeasureRecovery {
    const KIND: Kind = Kind::Recovery;

    fn memory_bytes(&self) -> u64 {
        (self.n_voxels * 1000) as u64 + (64 << 20)
    }

    fn reads(&self, role: &str) -> Option<&'static [&'static str]> {
        match role {
            "dataset" => Some(&[PLANTED, PLANTED_VOXELS, PLANTED_SPECIALISATION, PLANTED_PAIRS]),
            "layers" => Some(&[SCORES]),
            "architecture" => Some(&[architecture::VOXELS]),
            "redundancy" => Some(&[redundancy::PAIRS]),
            "polarity" => Some(&[polarity::PAIRS]),
            "patterns" => Some(&[CODES]),
            _ => None,
        }
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let voxels = VoxelTable::read(bench.input("voxels"))?;
        let truth = bench.input("dataset");
        let mut table = Table::new(COLUMNS);
        if !self.modules.is_empty() {
            self.layers(truth, &voxels, bench, &mut table)?;
        }
        if let Some(artifact) = bench.inputs("architecture").first() {
            self.specialisation(truth, &voxels, artifact, &mut table)?;
        }
        if let Some(patterns) = bench.inputs("patterns").first() {
            let planted = planted_pairs(truth, patterns)?;
            if !planted.is_empty() {
                self.pairs(&planted, bench, &mut table)?;
            }
        }
        table.write(&bench.out.join(RECOVERY))?;
        Ok(())
    }
}

impl MeasureRecovery {
    /// The layer that predicts each voxel best, of all modules, against the one that drives it.
    fn layers(
        &self,
        truth: &Path,
        voxels: &VoxelTable,
        bench: &Workbench<'_>,
        table: &mut Table,
    ) -> Result<(), TaskError> {
        let names: Vec<usize> = self
            .modules
            .iter()
            .enumerate()
            .flat_map(|(module, (_, layers))| layers.iter().map(move |layer| module * LAYERS_OF_MODULE + layer))
            .collect();
        let mut best: Vec<Option<(usize, f64)>> = vec![None; voxels.n_voxels()];
        for (layer, artifact) in names.iter().zip(bench.inputs("layers")) {
            for (voxel, r) in read_scores(artifact)? {
                let Some(r) = r else { continue };
                if best[voxel].is_none_or(|(_, highest)| r > highest) {
                    best[voxel] = Some((*layer, r));
                }
            }
        }
        let planted = self.planted_layers(truth, voxels)?;
        // A voxel with several planted layers counts by the nearest of them.
        let (mut wanted, mut found) = (Vec::new(), Vec::new());
        for (layers, best) in planted.iter().zip(&best).filter(|(layers, _)| !layers.is_empty()) {
            let recovered = best.map(|(layer, _)| layer);
            let distance = |layer: &&usize| recovered.map_or(0, |recovered| layer.abs_diff(recovered));
            wanted.push(layers.iter().min_by_key(distance).copied());
            found.push(recovered);
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let agreement = layer_agreement(&wanted, &found, TOLERANCE, CONFIDENCE)?;
        push_share(table, "layer-exact", agreement.exact);
        push_share(table, "layer-within-1", agreement.within_tolerance);
        Ok(())
    }

    /// The layers that drive each voxel, none for a voxel of noise or of two branches.
    fn planted_layers(&self, truth: &Path, voxels: &VoxelTable) -> Result<Vec<Vec<usize>>, TaskError> {
        let sources = Table::read(&truth.join(PLANTED))?;
        let (module, layers) = (sources.require("module")?, sources.require("layers")?);
        let of_source: Vec<Vec<usize>> = sources
            .rows()
            .iter()
            .map(|row| {
                let place = self.modules.iter().position(|(name, _)| *name == row[module]);
                let layers = row[layers].split(',').filter_map(|layer| layer.parse::<usize>().ok());
                place.map_or(Vec::new(), |place| layers.map(|layer| place * LAYERS_OF_MODULE + layer).collect())
            })
            .collect();
        let rows = Table::read(&truth.join(PLANTED_VOXELS))?;
        let source = rows.integers("source")?;
        let mut planted: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); voxels.n_voxels()];
        for (row, voxel) in rows_of_voxels(&rows, voxels)?.into_iter().enumerate() {
            let source = source[row].and_then(|source| usize::try_from(source).ok());
            if let (Some(voxel), Some(source)) = (voxel, source) {
                planted[voxel].extend(&of_source[source]);
            }
        }
        let is_of_one_module = |layers: &BTreeSet<usize>| {
            layers.iter().map(|layer| layer / LAYERS_OF_MODULE).collect::<BTreeSet<_>>().len() == 1
        };
        Ok(planted
            .into_iter()
            .map(|layers| if is_of_one_module(&layers) { layers.into_iter().collect() } else { Vec::new() })
            .collect())
    }

    /// The recovered specialisation index against the planted one, over voxels that follow two branches.
    fn specialisation(
        &self,
        truth: &Path,
        voxels: &VoxelTable,
        artifact: &Path,
        table: &mut Table,
    ) -> Result<(), TaskError> {
        let path = truth.join(PLANTED_SPECIALISATION);
        if !path.exists() {
            return Ok(());
        }
        let rows = Table::read(&path)?;
        let wanted = rows.numbers("specialisation")?;
        let mut planted: HashMap<usize, f64> = HashMap::new();
        for (row, voxel) in rows_of_voxels(&rows, voxels)?.into_iter().enumerate() {
            if let (Some(voxel), Some(index)) = (voxel, wanted[row]) {
                planted.insert(voxel, index);
            }
        }
        let found = Table::read(&artifact.join(architecture::VOXELS))?;
        let (model, voxel, index) =
            (found.require("model")?, found.integers("voxel")?, found.numbers("specialisation")?);
        let mut pairs: (Vec<Option<f64>>, Vec<Option<f64>>) = Default::default();
        for (row, _) in found.rows().iter().enumerate().filter(|(_, cells)| cells[model] == self.model) {
            let voxel = voxel[row].and_then(|voxel| usize::try_from(voxel).ok());
            if let Some(planted) = voxel.and_then(|voxel| planted.get(&voxel)) {
                pairs.0.push(Some(*planted));
                pairs.1.push(index[row]);
            }
        }
        if pairs.0.is_empty() {
            return Ok(());
        }
        if let Ok(found) = correlation(&pairs.0, &pairs.1, CONFIDENCE)? {
            let ends = found.interval.map_or((None, None), |[low, high]| (Some(low), Some(high)));
            table.push([
                "specialisation-r".to_owned(),
                found.n.to_string(),
                cell(Some(found.r)),
                cell(ends.0),
                cell(ends.1),
            ]);
        }
        Ok(())
    }

    /// Redundant and opposite pairs of patterns against those that were planted.
    fn pairs(&self, planted: &BTreeMap<Pair, Sign>, bench: &Workbench<'_>, table: &mut Table) -> Result<(), TaskError> {
        if let Some(artifact) = bench.inputs("redundancy").first() {
            let found = Table::read(&artifact.join(redundancy::PAIRS))?;
            let q = found.numbers("voxel_dice_q")?;
            let pairs = pairs_of(&found)?;
            let recovered: BTreeSet<Pair> =
                pairs.iter().zip(&q).filter(|(_, q)| q.is_some_and(|q| q <= self.fdr)).map(|(pair, _)| *pair).collect();
            push_edges(table, "redundancy", &edges(&recovered, &planted.keys().copied().collect(), CONFIDENCE)?);
        }
        if let Some(artifact) = bench.inputs("polarity").first() {
            let found = Table::read(&artifact.join(polarity::PAIRS))?;
            let (is_opposed, maps_r) = (found.require("is_opposed")?, found.numbers("maps_r")?);
            let pairs = pairs_of(&found)?;
            let opposed: BTreeSet<Pair> = pairs
                .iter()
                .zip(found.rows())
                .filter(|(_, cells)| cells[is_opposed] == "true")
                .map(|(pair, _)| *pair)
                .collect();
            let mirrored: BTreeSet<Pair> =
                planted.iter().filter(|(_, sign)| **sign == Sign::Negative).map(|(pair, _)| *pair).collect();
            push_edges(table, "polarity", &edges(&opposed, &mirrored, CONFIDENCE)?);
            let signs: BTreeMap<Pair, Sign> = pairs
                .iter()
                .zip(&maps_r)
                .filter(|(pair, _)| planted.contains_key(pair))
                .filter_map(|(pair, r)| Some((*pair, Sign::of((*r)?)?)))
                .collect();
            push_share(table, "polarity-sign", signed_edges(&signs, planted, CONFIDENCE)?.same_sign);
        }
        Ok(())
    }
}

/// Pairs of patterns that drive the same voxels, with the sign that their maps have to each other once each pattern is read the way
/// round in which its codes add up to more than 0.
fn planted_pairs(truth: &Path, patterns: &Path) -> Result<BTreeMap<Pair, Sign>, TaskError> {
    let path = truth.join(PLANTED_PAIRS);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let codes = read_matrix(&patterns.join(CODES))?;
    let is_turned = |pattern: usize| codes.row(pattern).iter().map(|code| f64::from(*code)).sum::<f64>() < 0.0;
    let table = Table::read(&path)?;
    let kind = table.require("kind")?;
    let pairs = pairs_of(&table)?;
    let sign = |(pair, cells): (&Pair, &Vec<String>)| {
        let is_mirrored = (cells[kind] == "mirrored") != (is_turned(pair.0) != is_turned(pair.1));
        (*pair, if is_mirrored { Sign::Negative } else { Sign::Positive })
    };
    Ok(pairs.iter().zip(table.rows()).map(sign).collect())
}

/// The patterns of every row, the lower one first.
fn pairs_of(table: &Table) -> Result<Vec<Pair>, TaskError> {
    let (k, j) = (table.counts("k")?, table.counts("j")?);
    Ok(k.into_iter().zip(j).map(|(k, j)| (k.min(j), k.max(j))).collect())
}

/// The voxel of every row of a planted table, by its indices; absent where the study does not use it.
fn rows_of_voxels(table: &Table, voxels: &VoxelTable) -> Result<Vec<Option<usize>>, TaskError> {
    let places = voxels.locations.voxels().unwrap_or_default();
    let known: HashMap<[usize; 3], usize> = places.iter().enumerate().map(|(voxel, place)| (*place, voxel)).collect();
    let columns = [table.integers("i")?, table.integers("j")?, table.integers("k")?];
    let index = |value: Option<i32>| value.and_then(|value| usize::try_from(value).ok());
    let of_row = |row: usize| {
        let [i, j, k] = [0, 1, 2].map(|axis| index(columns[axis][row]));
        known.get(&[i?, j?, k?]).copied()
    };
    Ok((0..table.n_rows()).map(of_row).collect())
}

fn push_share(table: &mut Table, quantity: &str, share: Option<Share>) {
    let (n, value, ends) = match share {
        Some(share) => (share.n, Some(share.share), share.interval.map(Some)),
        None => (0, None, [None; 2]),
    };
    table.push([quantity.to_owned(), n.to_string(), cell(value), cell(ends[0]), cell(ends[1])]);
}

fn push_edges(table: &mut Table, quantity: &str, found: &EdgeRecovery) {
    push_share(table, &format!("{quantity}-precision"), found.precision);
    push_share(table, &format!("{quantity}-recall"), found.recall);
}
