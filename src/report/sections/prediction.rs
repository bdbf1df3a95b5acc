//! Finding 1: which layers predict which networks.
//!
//! Owns the layer x network matrices, the spread of scores, the table of networks beside each and their captions. Drawing: `charts/`.

use maud::{Markup, html};

use super::{nothing, number_cell, panel_title, table};
use crate::report::charts::{Cell, Matrix, distributions};
use crate::report::colour::Ramp;
use crate::report::figure::{Figure, slug};
use crate::report::number;
use crate::report::page::{LayerId, NetworkScores, Page, Prediction, PredictionPanel, Scale, Value};

/// Where the colours of R2 end at the least.
const LEAST_R2: f64 = 0.02;

/// Draws the section.
pub(in crate::report) fn section(page: &Page) -> Markup {
    let prediction = &page.prediction;
    let ramp = ramp(prediction);
    html! {
        @if prediction.panels.is_empty() {
            (nothing("The study asked for no encoding, so there is no score to show."))
        } @else {
            @if prediction.panels.iter().any(|panel| values(panel).next().is_some()) {
                p {
                    "Each cell is the score of one layer in one network: " (prediction.measure.name) ". "
                    @if prediction.panels.len() > 1 { "All panels share one colour scale." }
                }
            }
        }
        @for (number, panel) in prediction.panels.iter().enumerate() {
            (self::panel(number, panel, prediction, &ramp))
        }
    }
}

/// The charts of the section.
pub(in crate::report) fn figures(page: &Page) -> Vec<Figure> {
    let prediction = &page.prediction;
    let ramp = ramp(prediction);
    let of_panel = |(number, panel)| {
        let spread = spread(number, panel, prediction);
        layers(number, panel, prediction, &ramp).into_iter().chain(bands(number, panel)).chain(spread)
    };
    prediction.panels.iter().enumerate().flat_map(of_panel).collect()
}

fn ramp(prediction: &Prediction) -> Ramp {
    let cells = prediction.panels.iter().flat_map(values).filter_map(Value::known);
    Ramp::covering(prediction.measure.scale, cells).reaching(prediction.measure.least_end)
}

fn values(panel: &PredictionPanel) -> impl Iterator<Item = &Value> {
    panel.modules.iter().flat_map(|module| &module.layers).flat_map(|layer| &layer.cells)
}

fn panel(number: usize, panel: &PredictionPanel, prediction: &Prediction, ramp: &Ramp) -> Markup {
    let title = panel_title(&panel.subject, &panel.model);
    html! {
        h3 { (title) }
        div.beside {
            div.side {
                @match layers(number, panel, prediction, ramp) {
                    Some(figure) => (figure.draw(html! {
                        p.caption { (caption(panel)) }
                        details {
                            summary { "The same numbers as a table" }
                            (cells_table(panel, &figure.label))
                        }
                    })),
                    None if n_bands(panel) == 0 => p.fine { (caption(panel)) },
                    None => {}
                }
                @if let Some(figure) = bands(number, panel) {
                    (figure.draw(html! {
                        p.caption {
                            "How the R2 of all bands together is split among them, mean over the voxels of each network; shares add up to the R2 of the joint "
                            "prediction, and a band that spoils it has a share below zero."
                        }
                        details {
                            summary { "The same numbers as a table" }
                            (bands_table(panel, &figure.label))
                        }
                    }))
                }
            }
            div.side {
                (networks_table(panel, prediction.q))
                p.fine { (table_note(prediction.q)) }
                @if let Some(figure) = spread(number, panel, prediction) {
                    (figure.draw(html! {
                        p.caption {
                            "Boxes hold the middle half of the network's voxels, lines nine tenths of them, ticks the median"
                            @if panel.networks.iter().any(|network| network.ceiling.known().is_some()) {
                                "; orange ticks are the mean noise ceiling, the highest correlation that the repeats of the test allow"
                            }
                            "."
                        }
                    }))
                }
            }
        }
    }
}

/// The matrix of scores by layer and network; absent where there are no layers or no networks.
fn layers(number: usize, panel: &PredictionPanel, prediction: &Prediction, ramp: &Ramp) -> Option<Figure> {
    let title = panel_title(&panel.subject, &panel.model);
    let columns: Vec<String> = panel
        .networks
        .iter()
        .map(|network| format!("{} (n = {})", network.name, number::count(network.n_voxels)))
        .collect();
    let mut cells = Vec::new();
    for module in &panel.modules {
        for layer in &module.layers {
            for (index, network) in panel.networks.iter().enumerate() {
                cells.push(Cell {
                    group: &module.name,
                    row: &layer.name,
                    column: &columns[index],
                    value: layer.cells.get(index),
                    is_framed: is_best(network, &module.name, &layer.name),
                });
            }
        }
    }
    let matrix = Matrix {
        name: format!("layers-{}-{}", number + 1, slug(&[&panel.subject, &panel.model])),
        label: format!("Score of each layer in each network, {title}"),
        names: ["module", "layer", "network", "score"],
        measure: &prediction.measure.name,
        ramp: *ramp,
        field: (if panel.networks.len() > 16 { 22.0 } else { 40.0 }, 18.0),
        cells,
    };
    (!matrix.cells.is_empty()).then(|| matrix.figure())
}

fn n_bands(panel: &PredictionPanel) -> usize {
    panel.networks.first().map_or(0, |network| network.bands.len())
}

/// The matrix of R2 by band and network; absent where units were not in bands.
fn bands(number: usize, panel: &PredictionPanel) -> Option<Figure> {
    let title = panel_title(&panel.subject, &panel.model);
    let known = panel.networks.iter().flat_map(|network| &network.bands).filter_map(|band| band.r2.known());
    let mut cells = Vec::new();
    for place in 0..n_bands(panel) {
        for network in &panel.networks {
            let Some(band) = network.bands.get(place) else { continue };
            cells.push(Cell {
                group: "",
                row: &band.name,
                column: &network.name,
                value: Some(&band.r2),
                is_framed: false,
            });
        }
    }
    let matrix = Matrix {
        name: format!("bands-{}-{}", number + 1, slug(&[&panel.subject, &panel.model])),
        label: format!("Share of R2 of each band of units in each network, {title}"),
        names: ["group", "band", "network", "r2"],
        measure: "mean R2 over voxels (held-out runs)",
        ramp: Ramp::covering(Scale::FromZero, known).reaching(LEAST_R2),
        field: (if panel.networks.len() > 16 { 22.0 } else { 40.0 }, 18.0),
        cells,
    };
    (!matrix.cells.is_empty()).then(|| matrix.figure())
}

fn bands_table(panel: &PredictionPanel, label: &str) -> Markup {
    let head: Vec<&str> =
        ["band"].into_iter().chain(panel.networks.iter().map(|network| network.name.as_str())).collect();
    let first = panel.networks.first().map_or(&[][..], |network| &network.bands);
    let body = html! {
        @for (place, band) in first.iter().enumerate() {
            tr {
                th scope="row" { (band.name) }
                @for network in &panel.networks {
                    @match network.bands.get(place) {
                        Some(band) => (number_cell(&band.r2, number::score)),
                        None => td.number.absent { (number::ABSENT) },
                    }
                }
            }
        }
    };
    table(label, &head, body)
}

fn spread(number: usize, panel: &PredictionPanel, prediction: &Prediction) -> Option<Figure> {
    let title = panel_title(&panel.subject, &panel.model);
    let name = format!("spread-{}-{}", number + 1, slug(&[&panel.subject, &panel.model]));
    let measure = prediction.measure.name.trim_start_matches("mean ");
    distributions(panel, measure, name, format!("Spread of scores over the voxels of each network, {title}"))
}

fn is_best(network: &NetworkScores, module: &str, layer: &str) -> bool {
    network.best_layer.as_ref().is_some_and(|best| best.module == module && best.layer == layer)
}

/// The score of a network's best layer, as the heat map shows it.
pub(in crate::report) fn best_score(panel: &PredictionPanel, network: usize, best: &LayerId) -> Option<f64> {
    let module = panel.modules.iter().find(|module| module.name == best.module)?;
    let layer = module.layers.iter().find(|layer| layer.name == best.layer)?;
    layer.cells.get(network)?.known()
}

/// What is seen, in words: the highest cell, the networks without voxels, the absent cells.
fn caption(panel: &PredictionPanel) -> String {
    let mut highest: Option<(f64, String)> = None;
    let (mut n_cells, mut n_absent) = (0, 0);
    for module in &panel.modules {
        for layer in &module.layers {
            for (index, network) in panel.networks.iter().enumerate() {
                n_cells += 1;
                match layer.cells.get(index).and_then(Value::known) {
                    Some(score) if highest.as_ref().is_none_or(|(best, _)| score > *best) => {
                        highest = Some((score, format!("{} {} in {}", module.name, layer.name, network.name)));
                    }
                    Some(_) => {}
                    None => n_absent += 1,
                }
            }
        }
    }
    let mut sentences = Vec::new();
    match highest {
        Some((score, place)) => sentences.push(format!("The highest score is {} ({place}).", number::score(score))),
        None if n_cells == 0 => sentences.push("There are no layers or no networks to show.".to_owned()),
        None => sentences.push("No cell has a score.".to_owned()),
    }
    if n_absent > 0 && n_absent < n_cells {
        sentences.push(format!(
            "{} of {} cells have no score and are crossed.",
            number::count(n_absent),
            number::count(n_cells)
        ));
    }
    let empty: Vec<&str> = panel.networks.iter().filter(|n| n.n_voxels == 0).map(|n| n.name.as_str()).collect();
    if !empty.is_empty() {
        sentences.push(format!("Without any voxel: {}.", number::listed(empty)));
    }
    if panel.networks.iter().any(|network| network.best_layer.is_some()) {
        sentences.push("Frames mark the best layer of each network.".to_owned());
    }
    sentences.push("Rows run from the layer nearest the input (top) to the last; n counts voxels.".to_owned());
    sentences.join(" ")
}

fn table_note(q: Option<f64>) -> String {
    let significant = match q {
        Some(q) => {
            format!("Significant: share of the network's voxels at a false discovery rate of {}.", number::plain(q))
        }
        None => "Significance was not tested.".to_owned(),
    };
    format!("Median and mean over the network's voxels. {significant}")
}

fn networks_table(panel: &PredictionPanel, q: Option<f64>) -> Markup {
    let label = format!("Networks, {}", panel_title(&panel.subject, &panel.model));
    let significant = q.map_or("significant".to_owned(), |q| format!("significant (q = {})", number::plain(q)));
    let head = ["network", "n voxels", "median", "mean", &significant, "best layer"];
    let body = html! {
        @for network in &panel.networks {
            tr {
                th scope="row" { (network.name) }
                td.number { (number::count(network.n_voxels)) }
                (number_cell(&network.median, number::score))
                (number_cell(&network.mean, number::score))
                (number_cell(&network.significant_share, number::percent))
                td.whole {
                    @match &network.best_layer {
                        Some(best) => { (best.module) " " (best.layer) }
                        None => (number::ABSENT),
                    }
                }
            }
        }
    };
    table(&label, &head, body)
}

fn cells_table(panel: &PredictionPanel, label: &str) -> Markup {
    let names = panel.networks.iter().map(|network| network.name.as_str());
    let head: Vec<&str> = ["module", "layer"].into_iter().chain(names).collect();
    let body = html! {
        @for module in &panel.modules {
            @for layer in &module.layers {
                tr {
                    th scope="row" { (module.name) }
                    td { (layer.name) }
                    @for index in 0..panel.networks.len() {
                        @match layer.cells.get(index) {
                            Some(value) => (number_cell(value, number::score)),
                            None => td.number.absent { (number::ABSENT) },
                        }
                    }
                }
            }
        }
    };
    table(label, &head, body)
}
