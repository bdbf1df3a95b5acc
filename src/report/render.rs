//! The frame of the page: head, contents, summary, warnings, sections.
//!
//! Owns what surrounds the sections, and [`render()`]. The sections are in `sections/`, the look in `style.css`.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::figure::Figure;
use super::page::{Page, PredictionPanel, Severity, Subject, Warning};
use super::script::{self, Needs};
use super::sections::{panel_title, prose, table};
use super::{legend, number, sections, summary};

const STYLE: &str = include_str!("style.css");

/// Models and subjects whose best layers the summary spells out.
const MAX_SUMMARISED: usize = 6;

/// A section's anchor, its title and what draws it.
type Section = (&'static str, &'static str, fn(&Page) -> Markup);

const SECTIONS: [Section; 8] = [
    ("prediction", "Prediction", sections::prediction::section),
    ("brain", "Brain maps", sections::brain::section),
    ("patterns", "Patterns", sections::patterns::section),
    ("redundancy", "Redundancy", sections::redundancy::section),
    ("polarity", "Polarity", sections::polarity::section),
    ("findings", "Findings", sections::findings::section),
    ("methods", "Methods", sections::provenance::methods),
    ("provenance", "Provenance", sections::provenance::section),
];

/// Renders a page as one HTML file that needs nothing else.
///
/// Every text is escaped; characters that HTML forbids (controls, noncharacters) become U+FFFD. Equal pages give equal
/// bytes.
pub fn render(page: &Page) -> String {
    let title = if page.study.is_empty() { "Untitled study" } else { &page.study };
    document(
        title,
        &html! {
            (legend::definitions())
            (header(page, title))
            (contents())
            main id="content" tabindex="-1" {
                @for (anchor, title, draw) in SECTIONS {
                    section id=(anchor) aria-labelledby=(format!("{anchor}-title")) {
                        h2 id=(format!("{anchor}-title")) { (title) }
                        (draw(page))
                    }
                }
            }
        },
    )
}

/// The charts of a page, in the order of its sections.
pub fn figures(page: &Page) -> Vec<Figure> {
    [
        sections::prediction::figures,
        sections::patterns::figures,
        sections::redundancy::figures,
        sections::polarity::figures,
        sections::findings::figures,
    ]
    .into_iter()
    .flat_map(|of_section: fn(&Page) -> Vec<Figure>| of_section(page))
    .collect()
}

/// The frame of a page that is one file: charts and viewer run if it has any.
pub(super) fn document(title: &str, body: &Markup) -> String {
    framed(&Frame {
        title,
        kind: "Hebb report",
        body,
        foot: "This page is one file and needs no network.",
        scripts: script::scripts(Needs::of(&body.0)),
        speaks_to_server: false,
    })
}

/// A page but for what all of them have.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// What kind of page it is, behind its title.
    pub(super) kind: &'a str,
    pub(super) body: &'a Markup,
    /// What its last line says beside the version.
    pub(super) foot: &'a str,
    /// What it runs, in order.
    pub(super) scripts: Vec<String>,
    /// Whether it may ask the server that it came from.
    pub(super) speaks_to_server: bool,
}

/// The frame of every page: a head that lets nothing be loaded, the look, a foot, what the page runs.
pub(super) fn framed(frame: &Frame<'_>) -> String {
    let Frame { title, kind, body, foot, scripts, speaks_to_server } = frame;
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(script::policy(scripts, *speaks_to_server));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – " (kind) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#content" { "Skip to the results" }
                (body)
                footer { p { "Written by Hebb " (env!("CARGO_PKG_VERSION")) ". " (prose(foot)) } }
                @for script in scripts { script { (PreEscaped(script)) } }
            }
        }
    };
    printable(markup.into_string())
}

fn header(page: &Page, title: &str) -> Markup {
    html! {
        header {
            p.kicker { "Study report" }
            h1 { (title) }
            @if !page.description.is_empty() { p.description { (page.description) } }
            (warnings(&page.warnings))
            p { (size(page)) }
            (summary::answers(page))
            (best_layers(page))
            (subjects(page))
        }
    }
}

fn contents() -> Markup {
    html! {
        nav aria-label="Contents" {
            ol { @for (anchor, title, _) in SECTIONS { li { a href=(format!("#{anchor}")) { (title) } } } }
        }
    }
}

fn warnings(warnings: &[Warning]) -> Markup {
    let mut sorted: Vec<&Warning> = warnings.iter().collect();
    sorted.sort_by_key(|warning| warning.severity);
    html! {
        @if !sorted.is_empty() {
            div.warnings role="note" aria-labelledby="warnings-title" {
                h2 id="warnings-title" { (number::counted(sorted.len(), "warning", "warnings")) ": read before the numbers" }
                ul {
                    @for warning in sorted {
                        @let (class, word) = match warning.severity {
                            Severity::Serious => ("serious", "Serious"),
                            Severity::Caution => ("caution", "Caution"),
                            Severity::Notice => ("notice", "Notice"),
                        };
                        li class=(class) {
                            span.severity { (word) } " "
                            @if !warning.place.is_empty() { strong { (prose(&warning.place)) } ": " }
                            (prose(&warning.message))
                        }
                    }
                }
            }
        }
    }
}

/// How much was measured, in one sentence.
fn size(page: &Page) -> String {
    let models = match page.models.as_slice() {
        [] => "No model".to_owned(),
        names => {
            let names = number::listed(names.iter().map(String::as_str));
            format!("{} ({names})", number::counted(page.models.len(), "model", "models"))
        }
    };
    let total = |part: fn(&Subject) -> usize| page.subjects.iter().map(part).fold(0, usize::saturating_add);
    let n_runs = total(|subject| subject.n_runs);
    let n_tr = total(|subject| subject.n_tr);
    let n_voxels = total(|subject| subject.n_voxels);
    format!(
        "{models} against the brains of {}: {}, {} and {} in all.",
        number::counted(page.subjects.len(), "subject", "subjects"),
        number::counted(n_runs, "run", "runs"),
        number::counted(n_tr, "sample", "samples"),
        number::counted(n_voxels, "scored voxel", "scored voxels"),
    )
}

fn best_layers(page: &Page) -> Markup {
    let panels = &page.prediction.panels;
    let told: Vec<(&PredictionPanel, Vec<String>)> = panels.iter().map(|panel| (panel, best_in(panel))).collect();
    let told: Vec<_> = told.into_iter().filter(|(_, best)| !best.is_empty()).collect();
    html! {
        @if !told.is_empty() {
            p.lead-in { "Best layer of each network, by " (page.prediction.measure.name) ":" }
            ul.best {
                @for (panel, best) in told.iter().take(MAX_SUMMARISED) {
                    li {
                        strong { (panel_title(&panel.subject, &panel.model)) }
                        " – " (best.join("; "))
                    }
                }
            }
            @if told.len() > MAX_SUMMARISED {
                p.fine { (number::count(told.len() - MAX_SUMMARISED)) " more below, in their tables." }
            }
        }
    }
}

fn best_in(panel: &PredictionPanel) -> Vec<String> {
    let networks = panel.networks.iter().enumerate();
    let best = networks.filter_map(|(index, network)| {
        let best = network.best_layer.as_ref()?;
        let layer = format!("{}: {} {}", network.name, best.module, best.layer);
        Some(match sections::prediction::best_score(panel, index, best) {
            Some(score) => format!("{layer} ({})", number::score(score)),
            None => layer,
        })
    });
    best.collect()
}

fn subjects(page: &Page) -> Markup {
    let rows = html! {
        @for subject in &page.subjects {
            tr {
                th scope="row" { (subject.name) }
                @for n in [subject.n_runs, subject.n_tr, subject.n_voxels] { td.number { (number::count(n)) } }
            }
        }
    };
    html! {
        @if page.subjects.len() > 1 {
            details {
                summary { "Subjects" }
                (table("Subjects", &["subject", "runs", "samples", "scored voxels"], rows))
            }
        }
    }
}

/// Replaces what HTML forbids in a document, wherever it came from.
fn printable(html: String) -> String {
    let forbidden = |character: char| {
        let code = u32::from(character);
        let noncharacter = code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code);
        noncharacter || (character.is_control() && !matches!(character, '\n' | '\t'))
    };
    if html.contains(forbidden) { html.replace(forbidden, "\u{fffd}") } else { html }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_characters_are_replaced() {
        assert_eq!(printable("a\0b\u{1b}c\n\u{ffff}\u{fdd0}".into()), "a\u{fffd}b\u{fffd}c\n\u{fffd}\u{fffd}");
        assert_eq!(printable("é – 脳".into()), "é – 脳");
    }

    #[test]
    fn an_empty_page_says_so() {
        let html = render(&Page::default());
        for sentence in ["Untitled study", "no encoding", "no patterns", "no polarity", "No tasks are recorded"] {
            assert!(html.contains(sentence), "{sentence}");
        }
    }

    #[test]
    fn the_gravest_warning_comes_first() {
        let warning = |severity, message: &str| Warning { severity, place: String::new(), message: message.into() };
        let html = warnings(&[warning(Severity::Notice, "late"), warning(Severity::Serious, "early")]).into_string();
        assert!(html.find("early") < html.find("late"));
    }
}
