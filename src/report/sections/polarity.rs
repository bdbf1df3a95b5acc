//! Finding 3: pairs of patterns whose maps oppose, and whether their layer profiles mirror each other.
//!
//! Owns the table of pairs, the choice of the pairs drawn, and the words for a study without any.

use maud::{Markup, html};

use super::{nothing, number_cell, panel_title, table};
use crate::report::charts::profiles;
use crate::report::figure::{Figure, slug};
use crate::report::number;
use crate::report::page::{OpposedPair, Page, Polarity};

/// Pairs whose profiles are drawn.
const MAX_DRAWN: usize = 4;
/// Pairs listed.
const MAX_LISTED: usize = 100;

/// Draws the section.
pub(in crate::report) fn section(page: &Page) -> Markup {
    html! {
        @if page.polarity.is_empty() {
            (nothing("The study asked for no polarity analysis."))
        } @else {
            p {
                "A pair is opposed when one pattern raises the voxels that the other lowers. The mirror index is minus the "
                "correlation of the two layer profiles: 1 when they are mirror images. It must be read beside the "
                "correlation of the time courses: two time courses that mirror each other give opposed maps and "
                "mirrored profiles by algebra alone."
            }
        }
        @for (number, result) in page.polarity.iter().enumerate() {
            (panel(number, result))
        }
    }
}

/// The charts of the section.
pub(in crate::report) fn figures(page: &Page) -> Vec<Figure> {
    let all = page.polarity.iter().enumerate();
    all.flat_map(|(number, result)| drawn(result).map(move |(place, pair)| figure(number, place, pair, result)))
        .collect()
}

/// The pairs whose profiles are drawn.
fn drawn(result: &Polarity) -> impl Iterator<Item = (usize, &OpposedPair)> {
    result.pairs.iter().filter(|pair| !pair.profiles.is_empty()).take(MAX_DRAWN).enumerate()
}

fn panel(number: usize, result: &Polarity) -> Markup {
    let title = panel_title(&result.subject, &result.model);
    html! {
        h3 { (title) }
        @if result.pairs.is_empty() {
            (nothing(&none_found(result)))
        } @else {
            (pairs_table(result, &title))
            p.fine {
                "Opposed: the maps correlate below " (number::fixed(-result.tau, 2)) ". "
                @let n_pairs = result.n_pairs.max(result.pairs.len());
                (number::count(result.pairs.len())) " of " (number::counted(n_pairs, "pair", "pairs")) ". "
                "Null of the mirror index: " (result.null) "."
                @if result.pairs.len() > MAX_LISTED { " The first " (MAX_LISTED) " are listed." }
            }
            div.panels {
                @for (place, pair) in drawn(result) {
                    (figure(number, place, pair, result).draw(html! {
                        p.caption {
                            (pair.k) " and " (pair.j) ": mean code of each layer's units."
                            @if let Some(index) = pair.mirror_index.known() { " Mirror index " (number::score(index)) "." }
                        }
                    }))
                }
            }
        }
    }
}

fn none_found(result: &Polarity) -> String {
    format!(
        "No opposed pairs: of {}, none has maps that correlate below {}. With few patterns, or maps that all share one \
         sign, this is to be expected; a lower threshold admits weaker opposition.",
        number::counted(result.n_pairs, "pair", "pairs"),
        number::fixed(-result.tau, 2)
    )
}

fn pairs_table(result: &Polarity, title: &str) -> Markup {
    let head = ["pattern k", "pattern j", "r of maps", "r of time courses", "mirror index", "p"];
    let body = html! {
        @for pair in result.pairs.iter().take(MAX_LISTED) {
            tr {
                th scope="row" { (pair.k) }
                td { (pair.j) }
                (number_cell(&pair.maps_r, number::score))
                (number_cell(&pair.series_r, number::score))
                (number_cell(&pair.mirror_index, number::score))
                (number_cell(&pair.p, number::probability))
            }
        }
    };
    table(&format!("Opposed pairs, {title}"), &head, body)
}

fn figure(number: usize, place: usize, pair: &OpposedPair, result: &Polarity) -> Figure {
    let name = format!("mirrored-{}-{}-{}", number + 1, place + 1, slug(&[&result.subject, &result.model]));
    let label = format!("Layer profiles of {} and {}, {}", pair.k, pair.j, panel_title(&result.subject, &result.model));
    profiles((&pair.k, &pair.j), &pair.profiles, name, label)
}
