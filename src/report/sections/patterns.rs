//! The first patterns of each dictionary: time courses and the layers that carry them.
//!
//! Owns titles and captions. Drawing: `charts/`.

use maud::{Markup, html};

use super::nothing;
use crate::report::charts::{self, Cell, Matrix};
use crate::report::colour::Ramp;
use crate::report::figure::{Figure, slug};
use crate::report::number;
use crate::report::page::{Page, PatternSet, Scale, Value};

/// Patterns drawn for each dictionary, however many the page holds.
const MAX_DRAWN: usize = 8;

/// Draws the section.
pub(in crate::report) fn section(page: &Page) -> Markup {
    html! {
        @if page.patterns.is_empty() {
            (nothing("The study learnt no patterns."))
        }
        @for (number, set) in page.patterns.iter().enumerate() {
            h3 { (set.title) }
            @if set.patterns.is_empty() {
                (nothing("This dictionary has no pattern to draw."))
            } @else {
                (drawn(number, set))
            }
        }
    }
}

/// The charts of the section.
pub(in crate::report) fn figures(page: &Page) -> Vec<Figure> {
    let of_set = |(number, set): (usize, &PatternSet)| {
        let is_there = !set.patterns.is_empty();
        is_there.then(|| time_courses(number, set)).into_iter().chain(codes(number, set))
    };
    page.patterns.iter().enumerate().flat_map(of_set).collect()
}

fn drawn(number: usize, set: &PatternSet) -> Markup {
    let codes = codes(number, set);
    html! {
        div.beside {
            div.side {
                (time_courses(number, set).draw(html! { p.caption { (caption(set, set.patterns.len().min(MAX_DRAWN), codes.is_some())) } }))
            }
            @if let Some(codes) = codes {
                div.side { (codes.draw(html! { p.caption { "Mean code of each layer's units in each pattern." } })) }
            }
        }
    }
}

fn first(set: &PatternSet) -> PatternSet {
    let mut drawn = set.clone();
    drawn.patterns.truncate(MAX_DRAWN);
    drawn
}

fn time_courses(number: usize, set: &PatternSet) -> Figure {
    let name = format!("courses-{}-{}", number + 1, slug(&[&set.title]));
    charts::time_courses(&first(set), name, format!("Time courses of patterns, {}", set.title))
}

/// The matrix of codes by pattern and layer; absent where the dictionary has no layers.
fn codes(number: usize, set: &PatternSet) -> Option<Figure> {
    let set = first(set);
    let mut fields: Vec<(String, String, Value)> = Vec::new();
    for pattern in &set.patterns {
        for code in &pattern.profile {
            let layer = format!("{} {}", code.layer.module, code.layer.layer);
            fields.push((pattern.name.clone(), layer, code.code.into()));
        }
    }
    let ramp = Ramp::covering(Scale::Signed, fields.iter().filter_map(|(_, _, code)| code.known()));
    let cells = fields.iter().map(|(pattern, layer, code)| Cell {
        group: "",
        row: pattern,
        column: layer,
        value: Some(code),
        is_framed: false,
    });
    let matrix = Matrix {
        name: format!("codes-{}-{}", number + 1, slug(&[&set.title])),
        label: format!("Mean code of each layer, {}", set.title),
        names: ["group", "pattern", "layer", "code"],
        measure: "mean code",
        ramp,
        field: (15.0, 22.0),
        cells: cells.collect(),
    };
    (!matrix.cells.is_empty()).then(|| matrix.figure())
}

fn caption(set: &PatternSet, n_drawn: usize, has_bars: bool) -> String {
    let n_patterns = set.n_patterns.max(set.patterns.len());
    let mut sentences = vec![format!(
        "{} of {}, in {}; all rows share one scale, zero is the thin line.",
        number::count(n_drawn),
        number::counted(n_patterns, "pattern", "patterns"),
        set.unit
    )];
    if set.runs.len() > 1 {
        sentences.push(format!(
            "Dashed lines part the {} runs, which are joined without the time between them.",
            number::count(set.runs.len())
        ));
    }
    sentences.push(format!("One sample every {} s.", number::plain(set.repetition_time_s)));
    if has_bars {
        let bars = "A pattern and its codes may change sign together.";
        sentences.push(bars.to_owned());
    }
    sentences.join(" ")
}
