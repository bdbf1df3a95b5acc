//! What each chart of a report shows, as Vega-Lite.
//!
//! One file for each form: matrices of colours, time courses, layer profiles, intervals, distributions, graphs. Builders take parts
//! of the view model and give a [`Figure`](super::figure::Figure); they own axes, titles and marks, and leave the look to
//! `scripts/theme.js`.

mod distributions;
mod intervals;
mod links;
mod matrix;
mod profiles;
mod time_courses;

pub(super) use distributions::distributions;
pub(super) use intervals::{intervals, sensitivity};
pub(super) use links::links;
pub(super) use matrix::{Cell, Matrix};
pub(super) use profiles::profiles;
pub(super) use time_courses::time_courses;

use super::colour::{Ramp, anchors};
use serde_json::{Map, Value, json};

/// Six significant digits: more than any eye or any test of these numbers can use.
fn rounded(number: f64) -> Value {
    if !number.is_finite() {
        return Value::Null;
    }
    json!(format!("{number:.5e}").parse::<f64>().expect("a number that was just written"))
}

/// A row of a chart's data.
fn row<const N: usize>(cells: [(&str, Value); N]) -> Map<String, Value> {
    cells.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Colours of a ramp as a scale of Vega-Lite.
fn colour_scale(ramp: &Ramp) -> Value {
    let colours = anchors(ramp.scale());
    let last = (colours.len() - 1) as f64;
    let place = |step: usize| ramp.start() + (ramp.limit() - ramp.start()) * step as f64 / last;
    json!({
        "type": "linear",
        "domain": (0..colours.len()).map(place).collect::<Vec<_>>(),
        "range": colours.iter().map(|colour| colour.hex()).collect::<Vec<_>>(),
        "clamp": true,
        "interpolate": "rgb",
    })
}

/// The legend of a ramp; its ends say so where numbers lie beyond them.
fn colour_legend(ramp: &Ramp, title: &str) -> Value {
    let beyond = match (ramp.clipped_low(), ramp.clipped_high()) {
        (true, true) => "numbers beyond the ends take their colours",
        (true, false) => "numbers below the left end take its colour",
        (false, true) => "numbers above the right end take its colour",
        (false, false) => "",
    };
    let lines: Vec<&str> = [title, beyond].into_iter().filter(|line| !line.is_empty()).collect();
    json!({ "title": lines, "orient": "bottom", "direction": "horizontal", "values": ramp.ticks() })
}

/// Every item once, in the order in which they come.
fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if seen.last() != Some(&item) && !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_six_digits_and_nothing_else_is_a_number() {
        assert_eq!(rounded(0.123_456_789), json!(0.123457));
        assert_eq!(rounded(-1.0), json!(-1.0));
        assert_eq!(rounded(f64::NAN), Value::Null);
    }
}
