//! Grids of coloured cells, and the legend that explains them.
//!
//! This file owns the drawing of a matrix as SVG: labels, groups of rows, hatched cells where a number is absent, a
//! frame around chosen cells. It does not know what the numbers mean; the sections do. Colours come from `colour.rs`.

use maud::{Markup, html};

use super::colour::Ramp;
use super::number::{self, px};
use super::page::{Scale, Value};

/// Id of the hatching that stands for "no number".
const HATCH: &str = "hatch";
/// Width of a character of the labels, in pixels: an upper estimate for a 12 px sans serif.
const CHARACTER_WIDTH: f64 = 7.2;
/// Longest label drawn; the whole name stays in the cell's title and in the table.
const MAX_LABEL: usize = 28;

/// A matrix ready to be drawn.
pub(super) struct Heatmap<'a> {
    /// What the figure is, for those who cannot see it.
    pub label: String,
    /// What the rows are.
    pub row_axis: &'a str,
    /// One label for each column.
    pub columns: Vec<Column<'a>>,
    /// Groups of rows, from the top.
    pub groups: Vec<Group<'a>>,
    /// How numbers become colours.
    pub ramp: Ramp,
    /// Width and height of a cell.
    pub cell: (f64, f64),
}

/// A column's label.
pub(super) struct Column<'a> {
    /// Its name.
    pub name: &'a str,
    /// A remark beside the name, as in `n = 120`.
    pub note: String,
}

/// Rows that belong together.
pub(super) struct Group<'a> {
    /// Name of the group; empty for none.
    pub name: &'a str,
    /// Its rows.
    pub rows: Vec<Row<'a>>,
}

/// A row of cells.
pub(super) struct Row<'a> {
    /// Its label.
    pub name: &'a str,
    /// Its cells, one for each column.
    pub cells: Vec<Cell<'a>>,
}

/// A cell, and what its tooltip says.
pub(super) struct Cell<'a> {
    /// The number or the reason for its absence; `None` when the row is too short.
    pub value: Option<&'a Value>,
    /// What the number is about, as in `vision 9, language`.
    pub title: String,
    /// What sets the cell apart.
    pub mark: Mark,
}

/// What sets a cell apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing.
    None,
    /// A frame.
    Framed,
    /// Its number is true by definition and stays off the colour scale.
    Trivial,
}

/// What all figures share: the hatching and the colour ramps. Goes into the page once.
pub(super) fn definitions() -> Markup {
    html! {
        svg.definitions width="0" height="0" aria-hidden="true" focusable="false" {
            defs {
                pattern id=(HATCH) width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect.hatch-ground width="6" height="6" {}
                    rect.hatch-line width="1.5" height="6" {}
                }
                @for scale in [Scale::FromZero, Scale::Signed] {
                    linearGradient id=(gradient(scale)) {
                        @let anchors = super::colour::anchors(scale);
                        @for (place, colour) in anchors.iter().enumerate() {
                            stop offset=(place as f64 / (anchors.len() - 1) as f64) stop-color=(colour.hex()) {}
                        }
                    }
                }
            }
        }
    }
}

fn gradient(scale: Scale) -> &'static str {
    match scale {
        Scale::FromZero => "ramp-from-zero",
        Scale::Signed => "ramp-signed",
    }
}

/// The colour bar with its ticks, its measure and, where a reader needs it, what hatching and frames mean.
pub(super) fn legend(measure: &str, ramp: &Ramp, keys: &[Key]) -> Markup {
    let (width, left) = (220.0, 14.0);
    let ticks = ramp.ticks();
    let place = |tick: f64| left + width * (tick - ramp.start()) / (ramp.limit() - ramp.start());
    html! {
        div.legend {
            div.legend-measure { (measure) }
            svg width="248" height="34" viewBox="0 0 248 34" role="img"
                aria-label=(format!("colour scale from {} to {}", number::score(ramp.start()), number::score(ramp.limit()))) {
                rect x=(left) y="2" width=(width) height="11" fill=(format!("url(#{})", gradient(ramp.scale()))) {}
                @for (index, &tick) in ticks.iter().enumerate() {
                    line.tick x1=(px(place(tick))) x2=(px(place(tick))) y1="13" y2="17" {}
                    text x=(px(place(tick))) y="29" text-anchor="middle" {
                        @if index == 0 && ramp.clipped_low() { "≤\u{202f}" }
                        @if index + 1 == ticks.len() && ramp.clipped_high() { "≥\u{202f}" }
                        (number::tick_label(tick, &ticks))
                    }
                }
            }
            @for key in keys {
                span.key {
                    svg width="16" height="12" aria-hidden="true" focusable="false" { (key.swatch()) }
                    " " (key.meaning())
                }
            }
        }
    }
}

/// A sign that a legend explains beside the colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Hatching: no number.
    Absent,
    /// A frame: the best layer of a network.
    Best,
    /// Grey: in the mask, without a score.
    Unscored,
}

impl Key {
    fn swatch(self) -> Markup {
        match self {
            Self::Absent => {
                html! { rect.cell-absent width="16" height="12" fill=(format!("url(#{HATCH})")) {} }
            }
            Self::Best => frame(0.0, 0.0, (16.0, 12.0)),
            Self::Unscored => html! { rect.unscored width="16" height="12" {} },
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Absent => "no number (point at it for the reason)",
            Self::Best => "best layer of the network",
            Self::Unscored => "in the mask, no score",
        }
    }
}

/// A frame that is seen on any colour: white inside black.
fn frame(x: f64, y: f64, (width, height): (f64, f64)) -> Markup {
    html! {
        rect.frame-outer x=(px(x + 1.0)) y=(px(y + 1.0)) width=(px(width - 2.0)) height=(px(height - 2.0)) {}
        rect.frame-inner x=(px(x + 2.5)) y=(px(y + 2.5)) width=(px(width - 5.0)) height=(px(height - 5.0)) {}
    }
}

/// A label cut to what fits.
pub(super) fn short(name: &str) -> String {
    if name.chars().count() <= MAX_LABEL {
        return name.to_owned();
    }
    name.chars().take(MAX_LABEL - 1).chain(['…']).collect()
}

fn text_width(text: &str) -> f64 {
    CHARACTER_WIDTH * text.chars().count().min(MAX_LABEL) as f64
}

impl Heatmap<'_> {
    /// Draws the matrix.
    pub(super) fn draw(&self) -> Markup {
        let layout = Layout::of(self);
        let (width, height) = (layout.width.ceil(), layout.height.ceil());
        html! {
            div.scroll tabindex="0" role="region" aria-label=(self.label) {
                svg.heatmap width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) role="img"
                    aria-label=(self.label) {
                    (self.column_labels(&layout))
                    text.axis x=(px(layout.left - 6.0)) y=(px(layout.top - 8.0)) text-anchor="end" { (self.row_axis) }
                    @for (group, &y) in self.groups.iter().zip(&layout.group_tops) {
                        (self.group(group, y, &layout))
                    }
                }
            }
        }
    }

    fn column_labels(&self, layout: &Layout) -> Markup {
        html! {
            @for (index, column) in self.columns.iter().enumerate() {
                @let x = layout.left + (index as f64 + 0.5) * self.cell.0 + 3.0;
                @let y = layout.top - 7.0;
                text transform=(format!("translate({} {}) rotate(-45)", px(x), px(y))) {
                    (short(column.name))
                    @if !column.note.is_empty() { tspan.note dx="6" { (column.note) } }
                }
            }
        }
    }

    fn group(&self, group: &Group, top: f64, layout: &Layout) -> Markup {
        let height = group.rows.len() as f64 * self.cell.1;
        html! {
            @if !group.name.is_empty() {
                @let (x, y) = (11.0, top + height / 2.0);
                text.group-name transform=(format!("translate({} {}) rotate(-90)", px(x), px(y))) text-anchor="middle" {
                    (short(group.name))
                }
                line.bracket x1="19" x2="19" y1=(px(top + 2.0)) y2=(px(top + height - 2.0)) {}
            }
            @for (index, row) in group.rows.iter().enumerate() {
                @let y = top + index as f64 * self.cell.1;
                text.row-name x=(px(layout.left - 6.0)) y=(px(y + self.cell.1 / 2.0 + 4.0)) text-anchor="end" {
                    (short(row.name))
                }
                @for (column, cell) in row.cells.iter().enumerate() {
                    (self.cell(cell, layout.left + column as f64 * self.cell.0, y))
                }
            }
            @for (index, row) in group.rows.iter().enumerate() {
                @for (column, _) in row.cells.iter().enumerate().filter(|(_, cell)| cell.mark == Mark::Framed) {
                    (frame(layout.left + column as f64 * self.cell.0, top + index as f64 * self.cell.1, self.cell))
                }
            }
        }
    }

    fn cell(&self, cell: &Cell, x: f64, y: f64) -> Markup {
        let number = cell.value.and_then(Value::known);
        let reason = cell.value.map_or(Some("the table has no such cell"), Value::reason);
        let (class, fill, words) = match (cell.mark, number) {
            (Mark::Trivial, _) => (Some("unscored"), None, String::new()),
            (_, Some(number)) => (None, Some(self.ramp.colour(number).hex()), format!(": {}", number::score(number))),
            (_, None) => {
                let words = format!(": no number, {}", reason.unwrap_or_default());
                (Some("cell-absent"), Some(format!("url(#{HATCH})")), words)
            }
        };
        let (width, height) = self.cell;
        html! {
            rect class=[class] x=(px(x)) y=(px(y)) width=(px(width)) height=(px(height)) fill=[fill] {
                title { (cell.title) (words) }
            }
        }
    }
}

/// Where the parts of a heat map lie.
struct Layout {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    group_tops: Vec<f64>,
}

impl Layout {
    const GROUP_GAP: f64 = 10.0;

    fn of(map: &Heatmap) -> Self {
        let rows = || map.groups.iter().flat_map(|group| &group.rows);
        let names = rows().map(|row| text_width(row.name)).chain([text_width(map.row_axis)]).fold(0.0, f64::max);
        let has_groups = map.groups.iter().any(|group| !group.name.is_empty());
        let left = names + 10.0 + if has_groups { 22.0 } else { 0.0 };
        let longest = |column: &Column| {
            let note = if column.note.is_empty() { 0.0 } else { 6.0 + text_width(&column.note) };
            text_width(column.name) + note
        };
        // A label at 45 degrees rises as far as it reaches to the right.
        let slant = std::f64::consts::FRAC_1_SQRT_2;
        let top = map.columns.iter().map(|column| slant * longest(column)).fold(0.0, f64::max) + 20.0;
        let reach = map.columns.iter().enumerate();
        let reach = reach.map(|(i, column)| (i as f64 + 0.5) * map.cell.0 + slant * longest(column) + 12.0);
        let n_columns = rows().map(|row| row.cells.len()).max().unwrap_or(0).max(map.columns.len());
        let width = left + reach.fold(n_columns as f64 * map.cell.0, f64::max) + 2.0;
        let mut y = top;
        let mut group_tops = Vec::new();
        for group in &map.groups {
            group_tops.push(y);
            y += group.rows.len() as f64 * map.cell.1 + Self::GROUP_GAP;
        }
        Self { left, top, width, height: y, group_tops }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(value: Value) -> String {
        let row =
            Row { name: "1", cells: vec![Cell { value: Some(&value), title: "vision 1".into(), mark: Mark::None }] };
        let map = Heatmap {
            label: "scores".into(),
            row_axis: "layer",
            columns: vec![Column { name: "visual", note: String::new() }],
            groups: vec![Group { name: "vision", rows: vec![row] }],
            ramp: Ramp::covering(Scale::FromZero, [0.5].into_iter()),
            cell: (30.0, 20.0),
        };
        map.draw().into_string()
    }

    #[test]
    fn a_number_is_coloured_and_said() {
        let svg = drawn(Value::Known(0.5));
        assert!(svg.contains("#fde725") && svg.contains("vision 1: 0.500"));
        assert!(!svg.contains("cell-absent"));
    }

    #[test]
    fn an_absent_number_is_hatched_with_its_reason() {
        for value in [Value::absent("no voxel"), Value::Known(f64::INFINITY)] {
            let svg = drawn(value);
            assert!(svg.contains("url(#hatch)") && svg.contains("no number, "));
            assert!(!svg.contains("NaN") && !svg.contains("inf"));
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(short(&"é".repeat(40)).chars().count(), MAX_LABEL);
        assert_eq!(short("visual"), "visual");
    }
}
