//! Every statistic in one table: value, interval, chance, probability, false discovery rate.
//!
//! Owns the table and its words. Rows of single layers are in the heat maps of the section on prediction, all rows in the tables
//! beside the page.

use maud::{Markup, html};

use super::{nothing, number_cell, table};
use crate::report::charts::intervals;
use crate::report::figure::{Figure, slug};
use crate::report::number;
use crate::report::page::{FindingRow, Page};

/// Rows of one statistic that are listed.
const MAX_LISTED: usize = 60;
/// Rows of one statistic that are drawn.
const MAX_DRAWN: usize = 80;

/// Draws the section.
pub(in crate::report) fn section(page: &Page) -> Markup {
    let statistics = statistics(page);
    html! {
        @if page.findings.is_empty() {
            (nothing("There is nothing to tell beside the scores."))
        } @else {
            p {
                "Each value stands with its 95 % interval, with what chance alone gives, and with the probability of a value like it by "
                "chance. The false discovery rate q is over the rows of one statistic and model. A dash has its reason as a tooltip."
            }
        }
        @for (name, meaning) in statistics {
            @let rows: Vec<&FindingRow> = page.findings.iter().filter(|row| row.statistic == name).collect();
            details open=[(rows.len() <= 12).then_some("")] {
                summary { strong { (name.replace('-', " ")) } ": " (meaning) " (" (number::counted(rows.len(), "row", "rows")) ")" }
                @if let Some(figure) = figure(name, &rows) {
                    (figure.draw(html! {
                        p.caption { "Points are values, lines their 95 % intervals; an orange tick is what chance alone gives." }
                    }))
                }
                (listed(name, &rows))
                @if rows.len() > MAX_LISTED { p.fine { "The first " (MAX_LISTED) " rows are listed; all are in tables/findings.tsv." } }
            }
        }
    }
}

/// Every statistic with its meaning, in the order of the findings.
fn statistics(page: &Page) -> Vec<(&str, &str)> {
    let mut statistics: Vec<(&str, &str)> = Vec::new();
    for row in &page.findings {
        if !statistics.iter().any(|(name, _)| *name == row.statistic) {
            statistics.push((&row.statistic, &row.meaning));
        }
    }
    statistics
}

/// The charts of the section.
pub(in crate::report) fn figures(page: &Page) -> Vec<Figure> {
    let of = |name| page.findings.iter().filter(|row| row.statistic == name).collect::<Vec<_>>();
    statistics(page).into_iter().filter_map(|(name, _)| figure(name, &of(name))).collect()
}

/// The values of a statistic; absent with less than two of them, or with more than an eye can compare.
fn figure(name: &str, rows: &[&FindingRow]) -> Option<Figure> {
    let n_known = rows.iter().filter(|row| row.value.known().is_some()).count();
    let label = format!("Values of {} with their intervals", name.replace('-', " "));
    (n_known > 1 && rows.len() <= MAX_DRAWN).then(|| intervals(name, rows, format!("finding-{}", slug(&[name])), label))
}

fn listed(name: &str, rows: &[&FindingRow]) -> Markup {
    let head = ["subject", "model", "of", "network", "value", "95 % interval", "chance", "p", "q"];
    let interval = |(low, high): (f64, f64)| format!("{} to {}", number::score(low), number::score(high));
    let body = html! {
        @for row in rows.iter().take(MAX_LISTED) {
            tr {
                th scope="row" { (row.subject) }
                td { (row.model) }
                td { (row.part) }
                td { (row.network) }
                (number_cell(&row.value, number::score))
                @match row.interval {
                    Some(ends) => td.number { (interval(ends)) },
                    None => td.number.absent title="no interval" { (number::ABSENT) },
                }
                (number_cell(&row.chance, number::score))
                (number_cell(&row.p, number::probability))
                (number_cell(&row.q, number::probability))
            }
        }
    };
    table(&format!("Findings: {name}"), &head, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::page::Value;

    #[test]
    fn rows_are_grouped_by_statistic_and_absent_values_say_why() {
        let row = |statistic: &str, value: Value| FindingRow {
            statistic: statistic.to_owned(),
            meaning: "what it is".to_owned(),
            subject: "sub-01".to_owned(),
            model: "clip".to_owned(),
            part: "vision|text".to_owned(),
            network: "<visual>".to_owned(),
            value,
            interval: Some((0.1, 0.3)),
            chance: Value::Known(0.0),
            p: Value::Known(0.02),
            q: Value::absent("not tested"),
        };
        let findings =
            vec![row("map-distance", Value::Known(0.2)), row("hierarchy", Value::absent("too few networks"))];
        let page = Page { findings, ..Page::default() };
        let markup = section(&page).into_string();
        assert!(
            markup.contains("map distance") && markup.contains("too few networks") && markup.contains("not tested")
        );
        assert!(markup.contains("&lt;visual&gt;") && markup.matches("<details").count() == 2);
    }
}
