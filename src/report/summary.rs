//! The answers in words, before anything is drawn: a sentence with numbers for each headline statistic.
//!
//! Owns which statistics are headlines and how they are said. Rows are those of the section on findings.

use super::{
    number,
    page::{FindingRow, Page},
};
use maud::{Markup, html};

/// A statistic that the summary tells of.
struct Headline {
    statistic: &'static str,
    title: &'static str,
    /// The sentence up to its number.
    begins: fn(&FindingRow) -> String,
}

const HEADLINES: [Headline; 6] = [
    Headline {
        statistic: "prediction",
        title: "Prediction",
        begins: |row| format!("held-out series correlate with what {} of {} predict: r =", row.part, row.model),
    },
    Headline {
        statistic: "overlap",
        title: "Redundancy",
        begins: |row| {
            format!("two {} of {} drive the same voxels with a mean Dice coefficient of", row.part, row.model)
        },
    },
    Headline {
        statistic: "mirroring",
        title: "Polarity",
        begins: |row| {
            format!(
                "where maps of {} oppose each other, their layer profiles mirror each other more than others do by",
                row.model
            )
        },
    },
    Headline {
        statistic: "specialisation",
        title: "Branches",
        begins: |row| match row.part.split_once('|') {
            Some((one, other)) => {
                format!("what {one} of {} explains exceeds what {other} does, as a share of both, by", row.model)
            }
            None => format!("the specialisation index of {} is", row.model),
        },
    },
    Headline {
        statistic: "model-difference",
        title: "Models",
        begins: |row| match row.model.split_once('|') {
            Some((one, other)) => format!("{one} predicts better than {other} ({}) by", row.part),
            None => format!("{} differs ({}) by", row.model, row.part),
        },
    },
    Headline {
        statistic: "hierarchy",
        title: "Hierarchy",
        begins: |row| {
            format!(
                "networks' order and the depth of the layers of {} {} that predict them correlate: rho =",
                row.model, row.part
            )
        },
    },
];

/// The network of rows over all voxels.
const ALL_NETWORKS: &str = "all";
/// How the subject of a row over several begins; their number follows.
const GROUP_OF: &str = "group of ";
/// Rows of one statistic that are told.
const MAX_TOLD: usize = 4;
/// Networks that are named for the best prediction.
const N_BEST: usize = 2;
/// What counts as rare by chance.
const LEVEL: f64 = 0.05;

/// Every headline that the study has rows of.
pub(super) fn answers(page: &Page) -> Markup {
    let told: Vec<(&Headline, Vec<&FindingRow>)> =
        HEADLINES.iter().map(|headline| (headline, rows(page, headline))).collect();
    html! {
        @if told.iter().any(|(_, rows)| !rows.is_empty()) {
            h2.answers-title { "In short" }
            dl.answers {
                @for (headline, rows) in told.iter().filter(|(_, rows)| !rows.is_empty()) {
                    div {
                        dt { (headline.title) }
                        dd {
                            @for row in rows.iter().take(MAX_TOLD) { p { (sentence(page, headline, row)) } }
                            @if rows.len() > MAX_TOLD {
                                p.fine { (number::count(rows.len() - MAX_TOLD)) " more under " a href="#findings" { "Findings" } "." }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The rows of a headline over all voxels; of prediction those that are about no single layer.
fn rows<'a>(page: &'a Page, headline: &Headline) -> Vec<&'a FindingRow> {
    let is_told = |row: &&FindingRow| {
        row.statistic == headline.statistic && row.network == ALL_NETWORKS && !row.part.contains('/')
    };
    page.findings.iter().filter(is_told).collect()
}

fn sentence(page: &Page, headline: &Headline, row: &FindingRow) -> Markup {
    let who = match row.subject.strip_prefix(GROUP_OF) {
        Some(n) => format!("Over {n} subjects, "),
        None if page.subjects.len() > 1 => format!("In {}, ", row.subject),
        None => String::new(),
    };
    let begins = capitalised(&(who + &(headline.begins)(row)));
    html! {
        @match row.value.known() {
            None => { (begins) " no number: " (row.value.reason().unwrap_or_default()) "." }
            Some(value) => {
                (begins) " " strong { (number::score(value)) }
                " (" (beside(row)) "): " (verdict(row, value)) "."
                @if let Some(best) = best(page, headline, row) { " " (best) }
            }
        }
    }
}

fn beside(row: &FindingRow) -> String {
    let mut facts = Vec::new();
    if let Some((low, high)) = row.interval {
        facts.push(format!("95 % interval {} to {}", number::score(low), number::score(high)));
    }
    if let Some(chance) = row.chance.known() {
        facts.push(format!("by chance {}", number::score(chance)));
    }
    match (row.p.known(), row.p.reason()) {
        (Some(p), _) => facts.push(format!("p {}", with_sign(number::probability(p)))),
        (None, reason) => facts.push(format!("no p: {}", reason.unwrap_or("not tested"))),
    }
    facts.join("; ")
}

/// A probability after its letter: `= 0.02`, or `< 0.001` as it stands.
fn with_sign(probability: String) -> String {
    if probability.starts_with('<') { probability } else { format!("= {probability}") }
}

/// What a reader may conclude, and no more.
fn verdict(row: &FindingRow, value: f64) -> &'static str {
    let Some(p) = row.p.known() else { return "not tested" };
    let is_rare = p <= LEVEL && row.q.known().is_none_or(|q| q <= LEVEL);
    match (is_rare, value >= row.chance.known().unwrap_or(0.0)) {
        (false, _) => "not told apart from chance",
        (true, true) => "more than chance gives",
        (true, false) => "less than chance gives",
    }
}

/// Where prediction is best.
fn best(page: &Page, headline: &Headline, row: &FindingRow) -> Option<String> {
    if headline.statistic != "prediction" {
        return None;
    }
    let is_same = |other: &&FindingRow| {
        other.statistic == row.statistic
            && other.subject == row.subject
            && other.model == row.model
            && other.part == row.part
            && other.network != ALL_NETWORKS
    };
    let mut networks: Vec<(&str, f64)> = page
        .findings
        .iter()
        .filter(is_same)
        .filter_map(|other| Some((other.network.as_str(), other.value.known()?)))
        .collect();
    networks.sort_by(|one, other| other.1.total_cmp(&one.1));
    let named: Vec<String> =
        networks.iter().take(N_BEST).map(|(network, score)| format!("{network} ({})", number::score(*score))).collect();
    (networks.len() > 1).then(|| format!("Best in {}.", named.join(" and ")))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::page::{Subject, Value};

    fn row(statistic: &str, network: &str, value: f64, p: Value) -> FindingRow {
        FindingRow {
            statistic: statistic.into(),
            meaning: String::new(),
            subject: "group of 2".into(),
            model: "clip".into(),
            part: "patterns".into(),
            network: network.into(),
            value: value.into(),
            interval: Some((0.1, 0.3)),
            chance: Value::Known(0.01),
            p,
            q: Value::absent("one row"),
        }
    }

    fn page(findings: Vec<FindingRow>) -> Page {
        let subject = |name: &str| Subject { name: name.into(), n_runs: 2, n_tr: 10, n_voxels: 5 };
        Page { findings, subjects: vec![subject("sub-01"), subject("sub-02")], ..Page::default() }
    }

    #[test]
    fn a_sentence_has_its_numbers_its_chance_and_the_best_networks() {
        let told = answers(&page(vec![
            row("prediction", "visual", 0.4, Value::Known(0.01)),
            row("prediction", "motor", 0.1, Value::Known(0.01)),
            row("prediction", "all", 0.25, Value::Known(0.01)),
        ]))
        .into_string();
        let expected = "Over 2 subjects, held-out series correlate with what patterns of clip predict: r = <strong>0.250</strong> (95 % interval 0.100 to 0.300; \
                        by chance 0.010; p = 0.0100): more than chance gives. Best in visual (0.400) and motor (0.100).";
        assert!(told.contains(expected), "{told}");
    }

    #[test]
    fn nothing_is_claimed_that_was_not_tested_or_is_not_rare() {
        let verdicts = [
            (0.2, Value::Known(0.01), "more than chance gives"),
            (0.0, Value::Known(0.01), "less than chance gives"),
            (0.2, Value::Known(0.2), "not told apart from chance"),
            (0.2, Value::absent("two subjects"), "not tested"),
        ];
        for (value, p, expected) in verdicts {
            let row = row("overlap", "all", value, p);
            assert_eq!(verdict(&row, value), expected);
        }
        let mut after_correction = row("overlap", "all", 0.2, Value::Known(0.04));
        after_correction.q = Value::Known(0.2);
        assert_eq!(verdict(&after_correction, 0.2), "not told apart from chance");
    }

    #[test]
    fn what_cannot_be_computed_says_why_and_names_are_escaped() {
        let mut absent = row("mirroring", "all", f64::NAN, Value::absent("x"));
        absent.value = Value::absent("no pair of patterns has opposite maps");
        absent.model = "<b>".into();
        let told = answers(&page(vec![absent])).into_string();
        assert!(told.contains("no number: no pair of patterns has opposite maps.") && told.contains("&lt;b&gt;"));
        assert!(answers(&page(vec![])).into_string().is_empty());
    }
}
