//! What the columns of the report's tables mean: each table is written with a JSON sidecar, as BIDS does.

use crate::{
    format::tsv::Table,
    task::{
        TaskError, Workbench,
        finding::{Absent, Statistic},
    },
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
    ("voxel_dice_p", "share of draws with an overlap at least as large, one-sided", "probability"),
    ("voxel_dice_q", "smallest false discovery rate at which the pair overlaps, over pairs", "probability"),
    (
        "voxel_dice_fwe_p",
        "the same probability corrected for all pairs by the largest overlap of each draw",
        "probability",
    ),
    ("unit_jaccard", "intersection over union of the units that the two patterns join", "share from 0 to 1"),
    ("series_r", "Pearson's r of the two time courses over all runs", "correlation"),
    ("n_driven", "voxels that at least one pattern drives", "count"),
    ("n_shared", "voxels that at least two patterns drive", "count"),
    ("maps_r", "Pearson's r over voxels of the two patterns' weights", "correlation"),
    ("mirror_index", "minus Pearson's r over layers of the two patterns' mean codes", "correlation"),
    ("p", "probability of a value like this by chance alone, the observed order counted as one draw", "probability"),
    (
        "q",
        "smallest false discovery rate at which the row is found, over rows of one statistic and model",
        "probability",
    ),
    ("low", "lower end of the 95 % interval of the value", "unit of the value"),
    ("high", "upper end of the 95 % interval of the value", "unit of the value"),
    ("null_mean", "mean of the value by chance alone", "unit of the value"),
    ("null_sd", "standard deviation of the value by chance alone", "unit of the value"),
    ("effect", "value less its mean by chance, in standard deviations of chance", "standard deviations"),
    ("quantity", "what of the planted truth was looked for: see README", "name"),
    ("statistic", "what was asked: see Levels", "name"),
    ("part", "what of the model: `patterns`, a layer as `module/layer`, a branch, or two as `one|other`", "name"),
    ("n", "voxels behind the value; for statistics of pairs the pairs, for `hierarchy` the networks", "count"),
    ("value", "the value: see Levels of `statistic`", "see Levels of `statistic`"),
    ("absent", "why there is no value, interval or probability: see Levels", "name"),
    ("n_subjects", "subjects with a value", "count"),
    ("mean", "mean of the value over subjects", "unit of the value"),
    ("sd", "standard deviation of the value over subjects", "unit of the value"),
    (
        "cohens_d",
        "mean over subjects of the value less chance, in standard deviations over subjects",
        "standard deviations",
    ),
    ("t", "one-sample t over subjects of the value less chance", "Student's t"),
    ("t_p", "two-sided probability of t", "probability"),
    (
        "flip_p",
        "two-sided probability of the mean when the subjects' signs are flipped, families together",
        "probability",
    ),
    ("family_wise_p", "the same, corrected for all rows of one statistic and model by the largest t", "probability"),
    ("best_layer", "layer with the largest mean correlation", "index"),
    ("stability", "share of draws of test time in which the same layer is best", "share from 0 to 1"),
    ("low_layer", "best layer at the lower end of the middle 95 % of draws of test time", "index"),
    ("high_layer", "best layer at the upper end of the middle 95 % of draws of test time", "index"),
    ("order", "place in the study's order of networks, counted from 0", "index"),
    ("depth", "depth of the layers that predict, weighted by their mean correlation above 0: 0 first, 1 last", "share"),
    ("median_voxel_depth", "median over voxels of the depth of the layers that predict the voxel", "share"),
    ("branch", "part of the model that is fitted for itself", "name"),
    ("median_r2", "median over voxels of R2 on test runs", "share"),
    ("unique_r2", "R2 on test runs of all branches less that of all others", "share"),
    ("joint_r2", "R2 on test runs of all branches together", "share"),
    ("alone_r2", "mean over voxels of R2 on test runs of the pattern alone at the voxel's penalty", "share"),
    ("removed_share", "share of the units that is silenced", "share from 0 to 1"),
    ("choice", "which units are silenced: `random`, or `targeted` by the size of their codes", "name"),
    ("lost_share", "R2 on test runs that is lost, as a share of R2 with all units, mean over draws", "share"),
    ("lost_sd", "standard deviation of that over draws", "share"),
    ("n_units", "units of the layer", "count"),
    ("dimension", "participation ratio of the layer's unit series: how many dimensions their variance fills", "count"),
    ("mean_dice", "mean over pairs of patterns of the Dice coefficient within the network", "share from 0 to 1"),
    (
        "orientation",
        "sum of the pattern's codes over the sum of their sizes: near 0, its sign is a convention",
        "share",
    ),
    (
        "opposed_dice",
        "Dice coefficient of the voxels that one drives up and the other down, both ways averaged",
        "share",
    ),
    ("is_opposed", "whether the maps correlate below minus the study's threshold", "true or false"),
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
    let mut sidecar: Map<_, _> = table.columns().iter().map(meaning).collect();
    if let Some(statistic) = sidecar.get_mut("statistic") {
        let level = |known: Statistic| {
            (known.name().to_owned(), json!(format!("{}; chance: {}", known.meaning(), known.null())))
        };
        statistic["Levels"] = Statistic::ALL.into_iter().map(level).collect::<Map<_, _>>().into();
    }
    if let Some(absent) = sidecar.get_mut("absent") {
        let level = |reason: Absent| (reason.name().to_owned(), json!(reason.words()));
        absent["Levels"] = Absent::ALL.into_iter().map(level).collect::<Map<_, _>>().into();
    }
    bench.write_json(&format!("tables/{name}.json"), &sidecar)
}
