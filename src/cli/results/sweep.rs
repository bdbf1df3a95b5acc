//! The page and the tables over all cells of a sweep: scores, and how far each statistic hangs on what varies.

use super::{Existing, PAGE_STAMP, Sources, inner, is_shown, show, unshow};
use crate::{
    cli::{error::CliError, open::OpenStudy},
    format::tsv::{MISSING, Table},
    report::{Figure, Overview, OverviewCell, OverviewModel, SensitivityRow, Value, overview_figures, render_overview},
    store::Digest,
    task::finding::ALL_NETWORKS,
};
use std::{collections::BTreeMap, fs, path::Path};

/// Everything that the page over all cells shows.
pub(super) fn sweep_shown(open: &OpenStudy, outputs: &[Digest], names: &[String]) -> String {
    let (version, words) = (env!("CARGO_PKG_VERSION"), [&open.study.name, &open.study.description]);
    let outputs: Vec<String> = outputs.iter().map(ToString::to_string).collect();
    format!("{version} {outputs:?} {names:?} {words:?}")
}

/// The page over all cells, and their scores in one table.
pub(super) fn lay_out_sweep(open: &OpenStudy, folder: &Path, existing: Existing) -> Result<(), CliError> {
    let outputs: Vec<Digest> = open.plan.reports().filter_map(|report| open.output(report)).collect();
    let names: Vec<String> = open.study.cells.iter().map(super::cell_folder).collect();
    let shown = sweep_shown(open, &outputs, &names);
    let page_path = folder.join("index.html");
    if existing == Existing::Kept && is_shown(folder, PAGE_STAMP, &shown) && page_path.is_file() {
        return Ok(());
    }
    let sources = Sources::of(&open.store, outputs.iter().copied());
    let Compared { scores, sensitivity, overview } = compared(open, &outputs, &names)?;
    unshow(folder, PAGE_STAMP)?;
    scores.write(&folder.join("scores.tsv")).map_err(|error| inner(error.into()))?;
    sensitivity.write(&folder.join("sensitivity.tsv")).map_err(|error| inner(error.into()))?;
    fs::write(&page_path, render_overview(&overview)).map_err(CliError::file("write", &page_path))?;
    sources.assert_whole()?;
    show(folder, PAGE_STAMP, &shown)
}

/// The charts of the page over all cells.
pub(super) fn sweep_figures(open: &OpenStudy) -> Result<Vec<Figure>, CliError> {
    let outputs: Vec<Digest> = open.plan.reports().filter_map(|report| open.output(report)).collect();
    let names: Vec<String> = open.study.cells.iter().map(super::cell_folder).collect();
    Ok(overview_figures(&compared(open, &outputs, &names)?.overview))
}

/// What the cells have to say to each other.
struct Compared {
    scores: Table,
    sensitivity: Table,
    overview: Overview,
}

fn compared(open: &OpenStudy, outputs: &[Digest], names: &[String]) -> Result<Compared, CliError> {
    let axes: Vec<&str> = open.study.cells[0].values().map(|(axis, _)| axis).collect();
    let mut all: Option<Table> = None;
    for ((cell, name), output) in open.study.cells.iter().zip(names).zip(outputs) {
        // From the cache: what lies in the results folder may have been edited.
        let scores = open.store.artifact(output).join("tables/scores.tsv");
        let scores = Table::read(&scores).map_err(|error| inner(error.into()))?;
        let columns = scores.columns().iter().map(String::as_str);
        let all =
            all.get_or_insert_with(|| Table::new(["cell"].into_iter().chain(axes.iter().copied()).chain(columns)));
        for row in scores.rows() {
            let values = cell.values().map(|(_, value)| value);
            all.push([name.as_str()].into_iter().chain(values).chain(row.iter().map(String::as_str)));
        }
    }
    let scores = all.expect("a sweep has a cell");
    let (sensitivity, rows) = sensitivity(open, outputs)?;
    let overview = Overview { sensitivity: rows, ..overview(open, &scores, names) };
    Ok(Compared { scores, sensitivity, overview })
}

/// Scores by cell and network, over subjects: from patterns where voxels were predicted from them, else from each layer.
fn overview(open: &OpenStudy, scores: &Table, names: &[String]) -> Overview {
    let column = |name: &str| scores.position(name).expect("a column of the table of scores");
    let [cell, model, features, network, mean] = ["cell", "model", "features", "network", "mean_r"].map(column);
    let mut networks: Vec<String> = Vec::new();
    // Of each model and what it predicts from: the subjects' scores by cell and network.
    type Scores<'t> = BTreeMap<(&'t str, &'t str), Vec<f64>>;
    let mut sums: BTreeMap<(&str, &str), Scores<'_>> = BTreeMap::new();
    let has_patterns = scores.rows().iter().any(|row| row[features] == "patterns");
    for row in scores.rows().iter().filter(|row| !has_patterns || row[features] == "patterns") {
        if !networks.contains(&row[network]) {
            networks.push(row[network].clone());
        }
        let of_model = sums.entry((&row[model], &row[features])).or_default();
        let found = of_model.entry((&row[cell], &row[network])).or_default();
        found.extend(row[mean].parse::<f64>().ok());
    }
    let value = |found: Option<&Vec<f64>>| match found {
        Some(scores) if !scores.is_empty() => Value::from(scores.iter().sum::<f64>() / scores.len() as f64),
        Some(_) => Value::absent("no voxel of the network has a score"),
        None => Value::absent("not part of this cell"),
    };
    let models = sums.iter().map(|((name, features), of_model)| OverviewModel {
        name: (*name).to_owned(),
        features: (*features).to_owned(),
        scores: names
            .iter()
            .map(|cell| {
                networks.iter().map(|network| value(of_model.get(&(cell.as_str(), network.as_str())))).collect()
            })
            .collect(),
    });
    let cells = open.study.cells.iter().zip(names);
    Overview {
        study: open.study.name.clone(),
        description: open.study.description.clone(),
        cells: cells
            .map(|(cell, name)| OverviewCell {
                labels: cell.values().map(|(axis, value)| format!("{axis}={value}")).collect(),
                report: format!("{name}/report.html"),
            })
            .collect(),
        models: models.collect(),
        networks,
        sensitivity: Vec::new(),
    }
}

/// A statistic: its name, its model, what of the model, its network.
type Asked = (String, String, String, String);

/// How every statistic moves over the settings of each field that varies: as a table, and on the page over all voxels.
fn sensitivity(open: &OpenStudy, outputs: &[Digest]) -> Result<(Table, Vec<SensitivityRow>), CliError> {
    // Of each statistic, in the order of the first cell that has it: its mean over subjects in each cell.
    let mut order: Vec<Asked> = Vec::new();
    let mut by_cell: BTreeMap<Asked, Vec<Option<f64>>> = BTreeMap::new();
    for (number, output) in outputs.iter().enumerate() {
        let path = open.store.artifact(output).join("tables/findings.tsv");
        let found = Table::read(&path).map_err(|error| inner(error.into()))?;
        let column = |name: &str| found.position(name).expect("a column of the table of findings");
        let [statistic, model, part, network, value] = ["statistic", "model", "part", "network", "value"].map(column);
        let mut sums: BTreeMap<Asked, Vec<f64>> = BTreeMap::new();
        for row in found.rows() {
            let asked = (row[statistic].clone(), row[model].clone(), row[part].clone(), row[network].clone());
            if !by_cell.contains_key(&asked) {
                order.push(asked.clone());
                by_cell.insert(asked.clone(), vec![None; outputs.len()]);
            }
            sums.entry(asked).or_default().extend(row[value].parse::<f64>().ok());
        }
        for (asked, values) in sums.into_iter().filter(|(_, values)| !values.is_empty()) {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            by_cell.get_mut(&asked).expect("named above")[number] = Some(mean);
        }
    }
    let cells: Vec<Vec<(&str, &str)>> = open.study.cells.iter().map(|cell| cell.values().collect()).collect();
    let mut table =
        Table::new(["statistic", "model", "part", "network", "axis", "setting", "n_cells", "mean", "low", "high"]);
    let mut rows = Vec::new();
    for asked in &order {
        let values = &by_cell[asked];
        for (axis, _) in cells.first().into_iter().flatten() {
            let of_cell = |cell: &Vec<(&str, &str)>| {
                cell.iter().find(|(name, _)| name == axis).map(|(_, setting)| (*setting).to_owned())
            };
            let mut settings: Vec<String> = Vec::new();
            for setting in cells.iter().filter_map(of_cell) {
                if !settings.contains(&setting) {
                    settings.push(setting);
                }
            }
            let mut listed = Vec::new();
            for setting in settings {
                let with: Vec<f64> = cells
                    .iter()
                    .zip(values)
                    .filter(|(cell, _)| of_cell(cell).as_ref() == Some(&setting))
                    .filter_map(|(_, value)| *value)
                    .collect();
                let number = |value: Option<f64>| value.map_or_else(|| MISSING.to_owned(), |value| value.to_string());
                let mean = (!with.is_empty()).then(|| with.iter().sum::<f64>() / with.len() as f64);
                let (low, high) = range(&with).unzip();
                let (statistic, model, part, network) = asked.clone();
                table.push([
                    statistic,
                    model,
                    part,
                    network,
                    (*axis).to_owned(),
                    setting.clone(),
                    with.len().to_string(),
                    number(mean),
                    number(low),
                    number(high),
                ]);
                listed.push((
                    setting,
                    mean.map_or_else(|| Value::absent("no cell with this setting has a value"), Value::from),
                ));
            }
            // Layers are told apart in heat maps, networks in the table.
            if asked.3 == ALL_NETWORKS && !asked.2.contains('/') {
                rows.push(SensitivityRow {
                    statistic: asked.0.clone(),
                    model: asked.1.clone(),
                    part: asked.2.clone(),
                    axis: (*axis).to_owned(),
                    settings: listed,
                    range: range(&values.iter().flatten().copied().collect::<Vec<_>>()),
                });
            }
        }
    }
    Ok((table, rows))
}

fn range(values: &[f64]) -> Option<(f64, f64)> {
    let low = values.iter().copied().reduce(f64::min)?;
    Some((low, values.iter().copied().fold(low, f64::max)))
}
