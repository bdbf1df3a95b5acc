//! The sections of the page, a file each, and the few forms they share.
//!
//! A section takes its part of the view model and returns markup. It owns the wording of captions; what charts show is in
//! `charts/`, slices in `mosaic.rs`.

pub(super) mod brain;
pub(super) mod findings;
pub(super) mod patterns;
pub(super) mod polarity;
pub(super) mod prediction;
pub(super) mod provenance;
pub(super) mod redundancy;
mod viewer;

use maud::{Markup, html};

use super::number;
use super::page::Value;

/// What a section says when the study has nothing for it.
fn nothing(sentence: &str) -> Markup {
    html! { p.nothing { (sentence) } }
}

/// Text in which names between backticks are set as code; with an odd backtick, as it stands.
pub(super) fn prose(text: &str) -> Markup {
    let pieces: Vec<&str> = text.split('`').collect();
    html! {
        @if pieces.len().is_multiple_of(2) {
            (text)
        } @else {
            @for (index, piece) in pieces.into_iter().enumerate() {
                @if index % 2 == 1 { code { (piece) } } @else { (piece) }
            }
        }
    }
}

/// A table cell with a number, or a dash whose title gives the reason.
pub(super) fn number_cell(value: &Value, write: impl Fn(f64) -> String) -> Markup {
    html! {
        @match value.known() {
            Some(number) => td.number { (write(number)) },
            None => td.number.absent title=(value.reason().unwrap_or_default()) { (number::ABSENT) },
        }
    }
}

/// A table that may be wider than the page.
pub(super) fn table(label: &str, head: &[&str], body: Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr { @for name in head { th scope="col" { (name) } } } }
                tbody { (body) }
            }
        }
    }
}

/// The name of one model in one subject; either name may be empty.
pub(super) fn panel_title(subject: &str, model: &str) -> String {
    [subject, model].into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_backticks_become_code() {
        assert_eq!(prose("a `b` c").into_string(), "a <code>b</code> c");
        assert_eq!(prose("a ` c").into_string(), "a ` c");
        assert_eq!(prose("`<b>`").into_string(), "<code>&lt;b&gt;</code>");
    }
}
