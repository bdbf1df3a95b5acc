//! The graph of redundant patterns: patterns around a circle, a line for each pair that is told apart from chance.

use super::{rounded, row};
use crate::report::{
    figure::Figure,
    page::{Redundancy, Value},
};
use serde_json::{Map, Value as Json, json};
use std::f64::consts::TAU;

/// Width and height of the circle in pixels.
const SIDE: f64 = 340.0;

/// The links of one model in one subject; absent where no pair is linked.
pub(in crate::report) fn links(result: &Redundancy, name: String, label: String) -> Option<Figure> {
    if result.redundant.is_empty() {
        return None;
    }
    let n = result.patterns.len();
    let place = |pattern: usize| {
        let angle = TAU * pattern as f64 / n as f64;
        (rounded(angle.sin()), rounded(angle.cos()))
    };
    let links = result.redundant.iter().filter(|pair| pair.k < n && pair.j < n).map(|pair| {
        let ((x, y), (x2, y2)) = (place(pair.k), place(pair.j));
        let dice = result.dice.get(pair.k).and_then(|row| row.get(pair.j)).and_then(Value::known);
        row([
            ("one", json!(result.patterns[pair.k])),
            ("other", json!(result.patterns[pair.j])),
            ("dice", dice.map_or(Json::Null, rounded)),
            ("p", rounded(pair.p)),
            ("x", x),
            ("y", y),
            ("x2", x2),
            ("y2", y2),
        ])
    });
    let links: Vec<Map<String, Json>> = links.collect();
    let is_linked = |pattern: usize| result.redundant.iter().any(|pair| pair.k == pattern || pair.j == pattern);
    let nodes: Vec<Json> = (0..n)
        .map(|pattern| {
            let (x, y) = place(pattern);
            let angle = TAU * pattern as f64 / n as f64;
            let label = if is_linked(pattern) { result.patterns[pattern].as_str() } else { "" };
            json!({
                "pattern": result.patterns[pattern], "label": label, "x": x, "y": y,
                "at_x": rounded(1.09 * angle.sin()), "at_y": rounded(1.09 * angle.cos()), "left": angle.sin() < 0.0,
            })
        })
        .collect();
    let axis = |field: &str| json!({ "field": field, "type": "quantitative", "axis": null, "scale": { "domain": [-1.35, 1.35], "nice": false } });
    let text = |left: bool| {
        json!({
            "data": { "values": nodes },
            "transform": [{ "filter": if left { "datum.left" } else { "!datum.left" } }],
            "mark": { "type": "text", "align": if left { "right" } else { "left" } },
            "encoding": { "x": axis("at_x"), "y": axis("at_y"), "text": { "field": "label" } },
        })
    };
    let chart = json!({
        "width": SIDE,
        "height": SIDE,
        "layer": [
            {
                "mark": { "type": "rule", "style": "link" },
                "encoding": {
                    "x": axis("x"), "y": axis("y"), "x2": { "field": "x2" }, "y2": { "field": "y2" },
                    "strokeWidth": { "field": "dice", "type": "quantitative", "scale": { "domain": [0.0, 1.0], "range": [0.8, 6.0] }, "legend": null },
                    "tooltip": [{ "field": "one" }, { "field": "other" }, { "field": "dice", "type": "quantitative", "format": ".3~g" }, { "field": "p", "type": "quantitative", "title": "p, family-wise", "format": ".3~g" }],
                },
            },
            {
                "data": { "values": nodes },
                "mark": { "type": "circle", "style": "node", "size": 55, "opacity": 1 },
                "encoding": { "x": axis("x"), "y": axis("y"), "tooltip": [{ "field": "pattern" }] },
            },
            text(true),
            text(false),
        ],
    });
    Some(Figure {
        name,
        label,
        columns: vec!["one", "other", "dice", "p"],
        rows: links,
        chart,
        height: SIDE as u32 + 10,
    })
}
