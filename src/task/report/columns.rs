//! What the columns of the report's tables mean: each table is written with a JSON sidecar, as BIDS does.

use crate::{
    format::tsv::Table,
    task::{TaskError, Workbench},
};
use serde_json::{Map, json};

/// Name, meaning and unit of every column.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("subject", "subject, as in the study", "name"),
    ("model", "model, as in the study", "name"),
    (
        "features",
        "what voxels were predicted from: `patterns`, `bands`, or the units of one layer as `module/layer`",
        "name",
    ),
    ("network", "functional network of the atlas", "name"),
    ("n_voxels", "voxels of the network that were fitted", "count"),
    ("mean_r", "mean over voxels of Pearson's r between held-out series and prediction", "correlation"),
    ("median_r", "median over voxels of Pearson's r between held-out series and prediction", "correlation"),
    ("significant_share", "share of voxels whose false discovery rate is at most the study's", "share from 0 to 1"),
    ("band", "group of units with a penalty of its own: a module, or a layer as `module/layer`", "name"),
    (
        "mean_band_r2",
        "mean over voxels of the band's share of R2 on test runs; the shares of all bands add up to the joint R2, but for what the intercept adds",
        "share",
    ),
    ("mean_r2", "mean over voxels of R2 on test runs of the joint prediction", "share"),
    (
        "n_without_ceiling",
        "voxels whose repeats share no more than chance gives, so that they have no ceiling",
        "count",
    ),
    (
        "mean_ceiling",
        "mean over voxels of the largest correlation with the mean over repeats that is to be expected",
        "correlation",
    ),
    (
        "mean_r_norm",
        "mean over voxels of Pearson's r with the mean over repeats, divided by the ceiling",
        "share of the noise ceiling",
    ),
    (
        "median_r_norm",
        "median over voxels of Pearson's r with the mean over repeats, divided by the ceiling",
        "share of the noise ceiling",
    ),
    ("k", "first pattern of the pair: row of the codes, counted from 0", "index"),
    ("j", "second pattern of the pair: row of the codes, counted from 0", "index"),
    ("voxel_dice", "Dice coefficient of the voxels that the two patterns drive", "share from 0 to 1"),
    ("voxel_iou", "intersection over union of the voxels that the two patterns drive", "share from 0 to 1"),
    ("voxel_dice_p", "share of permutations with an overlap at least as large, one-sided", "probability"),
    ("unit_jaccard", "intersection over union of the units that the two patterns join", "share from 0 to 1"),
    ("series_r", "Pearson's r of the two time courses over all runs", "correlation"),
    ("n_driven", "voxels that at least one pattern drives", "count"),
    ("n_shared", "voxels that at least two patterns drive", "count"),
    ("maps_r", "Pearson's r over voxels of the two patterns' weights", "correlation"),
    ("mirror_index", "minus Pearson's r over layers of the two patterns' mean codes", "correlation"),
    ("p", "share of permutations with a mirror index at least as large, one-sided", "probability"),
    ("pattern", "row of the codes, counted from 0", "index"),
    ("module", "module of the model", "name"),
    ("layer", "layer within the module, counted from 0", "index"),
    ("mean_code", "mean code of the layer's units for the pattern", "loading on a time course of unit length"),
];

/// Writes a table as `tables/NAME.tsv`, with what its columns mean in `tables/NAME.json`.
pub(super) fn write(bench: &Workbench<'_>, name: &str, table: &Table) -> Result<(), TaskError> {
    table.write(&bench.out.join(format!("tables/{name}.tsv")))?;
    let meaning = |column: &String| {
        let (_, description, units) = COLUMNS
            .iter()
            .find(|(known, _, _)| known == column)
            .expect("every column of the report's tables is described");
        (column.clone(), json!({ "Description": description, "Units": units }))
    };
    let sidecar: Map<_, _> = table.columns().iter().map(meaning).collect();
    bench.write_json(&format!("tables/{name}.json"), &sidecar)
}
