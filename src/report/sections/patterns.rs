//! The first patterns of each dictionary: time courses and the layers that carry them.
//!
//! Owns titles and captions. Drawing: `lines.rs`.

use maud::{Markup, html};

use super::nothing;
use crate::report::lines;
use crate::report::number;
use crate::report::page::{Page, PatternSet};

/// Patterns drawn for each dictionary, however many the page holds.
const MAX_DRAWN: usize = 8;

/// Draws the section.
pub(in crate::report) fn section(page: &Page) -> Markup {
    html! {
        @if page.patterns.is_empty() {
            (nothing("The study learnt no patterns."))
        }
        @for set in &page.patterns {
            h3 { (set.title) }
            @if set.patterns.is_empty() {
                (nothing("This dictionary has no pattern to draw."))
            } @else {
                (figure(set))
            }
        }
    }
}

fn figure(set: &PatternSet) -> Markup {
    let mut drawn = set.clone();
    drawn.patterns.truncate(MAX_DRAWN);
    let bars = lines::code_bars(&drawn, &format!("Mean code of each layer, {}", set.title));
    html! {
        figure {
            div.aligned {
                (lines::time_courses(&drawn, &format!("Time courses of patterns, {}", set.title)))
                @if let Some(bars) = &bars { (bars) }
            }
            figcaption { (caption(set, drawn.patterns.len(), bars.is_some())) }
        }
    }
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
        let bars = "Bars: mean code of each layer's units; a pattern and its codes may change sign together.";
        sentences.push(bars.to_owned());
    }
    sentences.join(" ")
}
