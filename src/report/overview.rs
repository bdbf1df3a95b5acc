//! The page over a sweep: every cell with what it varies, its scores by network, and the way to its report.
//!
//! Owns [`Overview`] and [`render_overview()`]. Each cell has a page of its own, see `render.rs`.

use super::{
    charts::{self, Cell, Matrix},
    colour::Ramp,
    figure::{Figure, slug},
    number,
    page::{Measure, Value},
    render::document,
    sections::{number_cell, table},
};
use maud::{Markup, html};

/// A sweep as its reader sees it.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// What the study is called.
    pub study: String,
    /// A sentence or two for readers; may be empty.
    pub description: String,
    /// The networks, in the atlas's order.
    pub networks: Vec<String>,
    /// The cells, in the sweep's order.
    pub cells: Vec<OverviewCell>,
    /// The models, in order of their names.
    pub models: Vec<OverviewModel>,
    /// How each statistic moves over the settings of each field that varies.
    pub sensitivity: Vec<SensitivityRow>,
}

/// One statistic under every setting of one field that varies.
#[derive(Clone, Debug)]
pub struct SensitivityRow {
    /// What was asked, as a short name.
    pub statistic: String,
    /// The model, or two.
    pub model: String,
    /// What of the model.
    pub part: String,
    /// The field that varies, by its short name.
    pub axis: String,
    /// Every setting with the mean of the value over subjects and all cells that have it.
    pub settings: Vec<(String, Value)>,
    /// The smallest and the largest value of any cell.
    pub range: Option<(f64, f64)>,
}

/// A cell of the sweep.
#[derive(Clone, Debug)]
pub struct OverviewCell {
    /// What each field that varies has in it, as `n_patterns=32`.
    pub labels: Vec<String>,
    /// Its report, from the overview's folder.
    pub report: String,
}

/// What one model's units predict, in every cell.
#[derive(Clone, Debug)]
pub struct OverviewModel {
    /// Its name.
    pub name: String,
    /// What voxels were predicted from.
    pub features: String,
    /// Mean over subjects of a network's mean score: by cell, then by network.
    pub scores: Vec<Vec<Value>>,
}

/// Renders the overview as one HTML file that needs nothing but the reports that it links to.
#[must_use]
pub fn render_overview(overview: &Overview) -> String {
    document(
        &overview.study,
        &html! {
            header {
                p.kicker { "Sweep" }
                h1 { (overview.study) }
                @if !overview.description.is_empty() { p.description { (overview.description) } }
                p { (number::counted(overview.cells.len(), "cell", "cells")) ", each with a report of its own." }
            }
            main id="content" tabindex="-1" {
                section aria-labelledby="scores-title" {
                    h2 id="scores-title" { "What each cell predicts" }
                    @for (number, model) in overview.models.iter().enumerate() { (panel(number, overview, model)) }
                }
                @if !overview.sensitivity.is_empty() {
                    section aria-labelledby="sensitivity-title" {
                        h2 id="sensitivity-title" { "What the answer hangs on" }
                        p {
                            "Each statistic over all voxels, averaged over subjects and over all cells that have a setting: a statistic that moves "
                            "little along a row does not hang on that choice. Networks are told apart in sensitivity.tsv."
                        }
                        (sensitivity(&overview.sensitivity))
                    }
                }
                section aria-labelledby="cells-title" {
                    h2 id="cells-title" { "Cells" }
                    (cells(overview))
                }
            }
        },
    )
}

/// The charts of the page over a sweep.
pub fn overview_figures(overview: &Overview) -> Vec<Figure> {
    let names = cell_names(overview);
    let of_models = overview.models.iter().enumerate().map(|(number, model)| scores(number, overview, model, &names));
    of_models
        .flatten()
        .chain(axes(&overview.sensitivity).into_iter().map(|axis| moves(axis, &overview.sensitivity)))
        .collect()
}

fn cell_names(overview: &Overview) -> Vec<String> {
    overview.cells.iter().map(|cell| cell.labels.join(", ")).collect()
}

fn scores(number: usize, overview: &Overview, model: &OverviewModel, names: &[String]) -> Option<Figure> {
    let measure = Measure::default();
    let known = model.scores.iter().flatten().filter_map(Value::known);
    let mut cells = Vec::new();
    for (name, scores) in names.iter().zip(&model.scores) {
        for (place, network) in overview.networks.iter().enumerate() {
            let value = scores.get(place);
            cells.push(Cell { group: "", row: name, column: network, value, is_framed: false });
        }
    }
    let matrix = Matrix {
        name: format!("scores-{}-{}", number + 1, slug(&[&model.name, &model.features])),
        label: format!("Score of {} in each cell and network", model.name),
        names: ["group", "cell", "network", "score"],
        measure: &format!("{}, mean over subjects", measure.name),
        ramp: Ramp::covering(measure.scale, known).reaching(measure.least_end),
        field: (if overview.networks.len() > 16 { 22.0 } else { 40.0 }, 18.0),
        cells,
    };
    (!matrix.cells.is_empty()).then(|| matrix.figure())
}

fn panel(number: usize, overview: &Overview, model: &OverviewModel) -> Markup {
    let names = cell_names(overview);
    let mut head = vec!["cell"];
    head.extend(overview.networks.iter().map(String::as_str));
    html! {
        h3 { (model.name) ", from " (model.features) }
        @if let Some(figure) = scores(number, overview, model, &names) {
            (figure.draw(html! {
                details {
                    summary { "The same numbers as a table" }
                    (table(&figure.label, &head, html! {
                        @for (name, scores) in names.iter().zip(&model.scores) {
                            tr { th scope="row" { (name) } @for score in scores { (number_cell(score, number::score)) } }
                        }
                    }))
                }
            }))
        }
    }
}

fn axes(rows: &[SensitivityRow]) -> Vec<&str> {
    let mut axes: Vec<&str> = Vec::new();
    for row in rows {
        if !axes.contains(&row.axis.as_str()) {
            axes.push(&row.axis);
        }
    }
    axes
}

/// The chart of how statistics move over one field that varies.
fn moves(axis: &str, rows: &[SensitivityRow]) -> Figure {
    let of_axis: Vec<&SensitivityRow> = rows.iter().filter(|row| row.axis == axis).collect();
    let label = format!("Every statistic under each setting of {axis}");
    charts::sensitivity(axis, &of_axis, format!("sensitivity-{}", slug(&[axis])), label)
}

/// A table for each field that varies.
fn sensitivity(rows: &[SensitivityRow]) -> Markup {
    let axes = axes(rows);
    let range = |(low, high): (f64, f64)| format!("{} to {}", number::score(low), number::score(high));
    html! {
        @for axis in axes {
            @let of_axis: Vec<&SensitivityRow> = rows.iter().filter(|row| row.axis == axis).collect();
            @let settings: Vec<&str> = of_axis[0].settings.iter().map(|(setting, _)| setting.as_str()).collect();
            h3 { code { (axis) } }
            (moves(axis, rows).draw(html! {}))
            (table(&format!("Sensitivity to {axis}"), &["statistic", "model", "of"].into_iter().chain(settings).chain(["range over cells"]).collect::<Vec<_>>(), html! {
                @for row in of_axis {
                    tr {
                        th scope="row" { (row.statistic.replace('-', " ")) }
                        td { (row.model) }
                        td { (row.part) }
                        @for (_, value) in &row.settings { (number_cell(value, number::score)) }
                        @match row.range {
                            Some(ends) => td.number { (range(ends)) },
                            None => td.number.absent title="no cell has a value" { (number::ABSENT) },
                        }
                    }
                }
            }))
        }
    }
}

fn cells(overview: &Overview) -> Markup {
    let axes: Vec<&str> = overview.cells.first().map_or(Vec::new(), |cell| {
        cell.labels.iter().map(|label| label.split_once('=').map_or("value", |(axis, _)| axis)).collect()
    });
    let head: Vec<&str> = axes.into_iter().chain(["report"]).collect();
    table(
        "Cells of the sweep",
        &head,
        html! {
            @for cell in &overview.cells {
                tr {
                    @for label in &cell.labels { td { (label.split_once('=').map_or(label.as_str(), |(_, value)| value)) } }
                    td { a href=(cell.report) { "open" } }
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_shown_with_its_values_and_a_link_and_names_are_escaped() {
        let cell =
            |label: &str| OverviewCell { labels: vec![label.to_owned()], report: format!("{label}/report.html") };
        let overview = Overview {
            study: "<b>".into(),
            networks: vec!["visual".into()],
            cells: vec![cell("n=4"), cell("n=8")],
            models: vec![OverviewModel {
                name: "clip".into(),
                features: "patterns".into(),
                scores: vec![vec![Value::Known(0.25)], vec![Value::absent("no voxel")]],
            }],
            sensitivity: vec![SensitivityRow {
                statistic: "map-distance".into(),
                model: "clip|vit".into(),
                part: "patterns".into(),
                axis: "n".into(),
                settings: vec![("4".into(), Value::Known(0.125)), ("8".into(), Value::absent("not found"))],
                range: Some((0.1, 0.15)),
            }],
            ..Overview::default()
        };
        let page = render_overview(&overview);
        assert!(page.contains("href=\"n=4/report.html\"") && page.contains("href=\"n=8/report.html\""));
        assert!(page.contains("&lt;b&gt;") && !page.contains("<b>"));
        assert!(page.contains("no voxel"));
        assert!(page.contains("map distance") && page.contains("0.125") && page.contains("not found"));
    }
}
