//! Finding 2: how far the voxel sets of patterns overlap.
//!
//! Owns the Dice matrix, the graph of pairs that are told apart from chance, the table of shared voxels and their captions.

use maud::{Markup, html};

use super::{nothing, number_cell, panel_title, table};
use crate::report::charts::{self, Cell, Matrix};
use crate::report::colour::Ramp;
use crate::report::figure::{Figure, slug};
use crate::report::number;
use crate::report::page::{Page, Redundancy, Scale, Value};

/// Most patterns listed as a table.
const MAX_LISTED: usize = 32;
/// Most patterns drawn.
const MAX_PATTERNS: usize = 96;

/// Draws the section.
pub(in crate::report) fn section(page: &Page) -> Markup {
    html! {
        @if page.redundancy.is_empty() {
            (nothing("The study asked for no redundancy analysis."))
        } @else {
            p {
                "Two patterns are redundant when they drive the same voxels. The Dice coefficient of two voxel sets is "
                "twice their common voxels over the sum of their sizes: 0 for none in common, 1 for equal sets."
            }
        }
        @for (number, result) in page.redundancy.iter().enumerate() {
            (panel(number, result))
        }
    }
}

/// The charts of the section.
pub(in crate::report) fn figures(page: &Page) -> Vec<Figure> {
    let of_result = |(number, result)| matrix(number, result).into_iter().chain(links(number, result));
    page.redundancy.iter().enumerate().flat_map(of_result).collect()
}

fn panel(number: usize, result: &Redundancy) -> Markup {
    html! {
        h3 { (panel_title(&result.subject, &result.model)) }
        div.beside {
            div.side {
                @match matrix(number, result) {
                    None => (nothing("There are no pairs of patterns to compare.")),
                    Some(figure) => (figure.draw(html! {
                        p.caption {
                            (caption(result))
                            @let n_drawn = drawn(result).len();
                            @if n_drawn < result.patterns.len() {
                                " " (number::count(n_drawn)) " of " (number::count(result.patterns.len())) " patterns are drawn: "
                                @if n_drawn == MAX_PATTERNS { "the first that have a number." } @else { "those that have a number with any other." }
                            }
                        }
                        @if result.patterns.len() <= MAX_LISTED {
                            details {
                                summary { "The same numbers as a table" }
                                (dice_table(result, &figure.label))
                            }
                        }
                    })),
                }
            }
            div.side {
                (shared_table(result))
                p.fine {
                    "Driven: voxels of at least one pattern. Shared: voxels of at least two, and their share of the "
                    "driven ones."
                }
                @match links(number, result) {
                    Some(figure) => (figure.draw(html! {
                        p.caption {
                            (number::counted(result.redundant.len(), "pair overlaps", "pairs overlap"))
                            " more than chance gives (family-wise p \u{2264} 0.05); lines are as wide as Dice is large."
                        }
                    })),
                    None => p.fine { "No pair overlaps more than chance gives (family-wise p \u{2264} 0.05)." },
                }
            }
        }
    }
}

/// Places of the patterns that are drawn: those of which any pair has a number, the first of them where there are many.
fn drawn(result: &Redundancy) -> Vec<usize> {
    let has_number = |k: usize| {
        let row = result.dice.get(k).map_or(&[][..], Vec::as_slice);
        row.iter().enumerate().any(|(j, value)| j != k && value.known().is_some())
    };
    (0..result.patterns.len()).filter(|k| has_number(*k)).take(MAX_PATTERNS).collect()
}

/// The lower triangle of the Dice matrix; absent without pairs.
fn matrix(number: usize, result: &Redundancy) -> Option<Figure> {
    let title = panel_title(&result.subject, &result.model);
    let drawn = drawn(result);
    // The diagonal is 1 by definition and would hide the rest.
    let ramp = Ramp::covering(Scale::FromZero, off_diagonal(result).filter_map(Value::known));
    let side = (440.0 / drawn.len().max(1) as f64).clamp(7.0, 26.0).floor();
    let mut cells = Vec::new();
    for (place, &k) in drawn.iter().enumerate() {
        for &j in &drawn[..place] {
            let value = result.dice.get(k).and_then(|row| row.get(j));
            let (row, column) = (result.patterns[k].as_str(), result.patterns[j].as_str());
            cells.push(Cell { group: "", row, column, value, is_framed: false });
        }
    }
    let matrix = Matrix {
        name: format!("overlap-{}-{}", number + 1, slug(&[&result.subject, &result.model])),
        label: format!("Dice coefficient of each pair of patterns, {title}"),
        names: ["group", "one", "other", "dice"],
        measure: "Dice coefficient of voxel sets",
        ramp,
        field: (side, side),
        cells,
    };
    (!matrix.cells.is_empty()).then(|| matrix.figure())
}

fn links(number: usize, result: &Redundancy) -> Option<Figure> {
    let title = panel_title(&result.subject, &result.model);
    let name = format!("redundant-{}-{}", number + 1, slug(&[&result.subject, &result.model]));
    charts::links(result, name, format!("Pairs of patterns that drive the same voxels, {title}"))
}

fn off_diagonal(result: &Redundancy) -> impl Iterator<Item = &Value> {
    let rows = result.dice.iter().enumerate();
    rows.flat_map(|(k, row)| row.iter().enumerate().filter(move |(j, _)| *j != k).map(|(_, value)| value))
}

fn caption(result: &Redundancy) -> Markup {
    let highest = highest_pair(result);
    let null = &result.null;
    html! {
        @match result.mean_dice.known() {
            Some(mean) => { "Mean Dice over pairs: " (number::score(mean)) ". " }
            None => { "There is no mean Dice: " (result.mean_dice.reason().unwrap_or_default()) ". " }
        }
        "Null: " (null.name) ", " (number::counted(null.n_permutations, "permutation", "permutations"))
        ", seed " (null.seed) "; "
        @match null.mean.known() {
            Some(mean) => { "mean under the null " (number::score(mean)) }
            None => { "no mean under the null (" (null.mean.reason().unwrap_or_default()) ")" }
        }
        @match null.p.known() {
            Some(p) => { ", p " @if p >= 0.0001 { "= " } (number::probability(p)) ". " }
            None => { ", no p (" (null.p.reason().unwrap_or_default()) "). " }
        }
        @if let Some((dice, k, j)) = highest {
            "The most redundant pair is " (k) " and " (j) " (" (number::score(dice)) ")."
        }
    }
}

fn highest_pair(result: &Redundancy) -> Option<(f64, &str, &str)> {
    let mut highest: Option<(f64, &str, &str)> = None;
    for (k, row) in result.dice.iter().enumerate() {
        for (j, value) in row.iter().enumerate().skip(k + 1) {
            if let (Some(dice), Some(first), Some(second)) =
                (value.known(), result.patterns.get(k), result.patterns.get(j))
                && highest.is_none_or(|(best, ..)| dice > best)
            {
                highest = Some((dice, first, second));
            }
        }
    }
    highest
}

fn shared_table(result: &Redundancy) -> Markup {
    let label = format!("Shared voxels, {}", panel_title(&result.subject, &result.model));
    let body = html! {
        @for network in &result.networks {
            tr {
                th scope="row" { (network.network) }
                td.number { (number::count(network.n_voxels)) }
                td.number { (number::count(network.n_driven)) }
                td.number { (number::count(network.n_shared)) }
                @let share = match network.n_driven {
                    0 => Value::absent("no pattern drives a voxel of this network"),
                    n_driven => Value::Known(network.n_shared as f64 / n_driven as f64),
                };
                (number_cell(&share, number::percent))
            }
        }
    };
    table(&label, &["network", "n voxels", "driven", "shared", "share"], body)
}

fn dice_table(result: &Redundancy, label: &str) -> Markup {
    let head: Vec<&str> = [""].into_iter().chain(result.patterns.iter().map(String::as_str)).collect();
    let body = html! {
        @for (name, row) in result.patterns.iter().zip(&result.dice) {
            tr {
                th scope="row" { (name) }
                @for value in row.iter().take(result.patterns.len()) { (number_cell(value, |dice| number::fixed(dice, 3))) }
            }
        }
    };
    table(label, &head, body)
}
