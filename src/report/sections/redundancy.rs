//! Finding 2: how far the voxel sets of patterns overlap.
//!
//! Owns the Dice matrix, the table of shared voxels and their captions. Small matrices are drawn cell by cell with
//! tooltips; large ones as one picture.

use image::{Rgba, RgbaImage};
use maud::{Markup, html};

use super::{nothing, number_cell, panel_title, table};
use crate::report::colour::Ramp;
use crate::report::heatmap::{self, Cell, Column, Group, Heatmap, Key, Mark, Row};
use crate::report::mosaic::{UNSCORED, data_uri};
use crate::report::number;
use crate::report::page::{Page, Redundancy, Scale, Value};

/// Most patterns drawn cell by cell.
const MAX_CELLS: usize = 48;
/// Most patterns listed as a table.
const MAX_LISTED: usize = 32;
/// Most patterns drawn at all.
const MAX_PATTERNS: usize = 1024;

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
        @for result in &page.redundancy {
            (panel(result))
        }
    }
}

fn panel(result: &Redundancy) -> Markup {
    let title = panel_title(&result.subject, &result.model);
    let label = format!("Dice coefficient of each pair of patterns, {title}");
    // The diagonal is 1 by definition and would hide the rest.
    let ramp = Ramp::covering(Scale::FromZero, off_diagonal(result).filter_map(Value::known));
    let n_patterns = result.patterns.len();
    let absent = result.dice.iter().flatten().any(|value| value.known().is_none());
    let keys: &[Key] = if absent && n_patterns <= MAX_CELLS { &[Key::Absent] } else { &[] };
    html! {
        h3 { (title) }
        div.beside {
            @if n_patterns == 0 {
                (nothing("There are no patterns to compare."))
            } @else {
                figure {
                    @if n_patterns <= MAX_CELLS {
                        (cells(result, ramp, &label).draw())
                    } @else {
                        (picture(result, &ramp, &label))
                    }
                    (heatmap::legend("Dice coefficient of voxel sets (the grey diagonal is 1 by definition)", &ramp, keys))
                    figcaption { (caption(result)) }
                    @if n_patterns <= MAX_LISTED {
                        details {
                            summary { "The same numbers as a table" }
                            (dice_table(result, &label))
                        }
                    }
                }
            }
            div.side {
                (shared_table(result))
                p.fine {
                    "Driven: voxels of at least one pattern. Shared: voxels of at least two, and their share of the "
                    "driven ones."
                }
            }
        }
    }
}

fn off_diagonal(result: &Redundancy) -> impl Iterator<Item = &Value> {
    let rows = result.dice.iter().enumerate();
    rows.flat_map(|(k, row)| row.iter().enumerate().filter(move |(j, _)| *j != k).map(|(_, value)| value))
}

fn cells<'a>(result: &'a Redundancy, ramp: Ramp, label: &str) -> Heatmap<'a> {
    let names = &result.patterns;
    let row = |k: usize| {
        let cell = |j: usize| Cell {
            value: result.dice.get(k).and_then(|row| row.get(j)),
            title: format!("{} and {}", names[k], names[j]),
            mark: if k == j { Mark::Trivial } else { Mark::None },
        };
        Row { name: &names[k], cells: (0..names.len()).map(cell).collect() }
    };
    let side = (420.0 / names.len() as f64).clamp(10.0, 26.0).floor();
    // Below the height of a line of text, only every so many names fit.
    let every = (13.0 / side).ceil() as usize;
    let columns = names.iter().enumerate();
    let columns =
        columns.map(|(index, name)| Column { name: if index % every == 0 { name } else { "" }, note: String::new() });
    let rows = (0..names.len()).map(row).enumerate();
    let rows = rows.map(|(index, row)| Row { name: if index % every == 0 { row.name } else { "" }, ..row });
    Heatmap {
        label: label.to_owned(),
        row_axis: "",
        columns: columns.collect(),
        groups: vec![Group { name: "", rows: rows.collect() }],
        ramp,
        cell: (side, side),
    }
}

fn picture(result: &Redundancy, ramp: &Ramp, label: &str) -> Markup {
    let n_drawn = result.patterns.len().min(MAX_PATTERNS) as u32;
    let picture = RgbaImage::from_fn(n_drawn, n_drawn, |j, k| {
        let value = result.dice.get(k as usize).and_then(|row| row.get(j as usize));
        match value.and_then(Value::known) {
            Some(number) if j != k => {
                let colour = ramp.colour(number);
                Rgba([colour.0, colour.1, colour.2, 255])
            }
            _ => UNSCORED,
        }
    });
    html! {
        img.matrix src=(data_uri(&picture)) alt=(label) width="440" height="440";
        p.fine {
            "Rows and columns follow the order of the patterns, the first at the top left; grey off the diagonal: no number."
            @if result.patterns.len() > MAX_PATTERNS {
                " The first " (number::count(MAX_PATTERNS)) " patterns are drawn."
            }
        }
    }
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
