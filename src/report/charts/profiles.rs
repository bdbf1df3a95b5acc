//! Layer profiles of a pair of patterns.

use super::{rounded, row};
use crate::report::{figure::Figure, page::PairCode};
use serde_json::json;

/// Two profiles over the same layers, as lines that differ in colour and dash.
pub(in crate::report) fn profiles((k, j): (&str, &str), codes: &[PairCode], name: String, label: String) -> Figure {
    let rows = codes.iter().flat_map(|code| {
        let of = |pattern: &str, value: f64| {
            row([
                ("pattern", json!(pattern)),
                ("module", json!(code.layer.module)),
                ("layer", json!(format!("{} {}", code.layer.module, code.layer.layer))),
                ("code", rounded(value)),
            ])
        };
        [of(k, code.k), of(j, code.j)]
    });
    let chart = json!({
        "width": { "step": 17 },
        "height": 150,
        "layer": [
            { "data": { "values": [{}] }, "mark": { "type": "rule", "style": "zero" }, "encoding": { "y": { "datum": 0 } } },
            {
                "mark": { "type": "line", "point": { "size": 22 }, "strokeWidth": 1.8 },
                "encoding": {
                    "x": { "field": "layer", "type": "nominal", "sort": null, "title": null, "axis": { "labelAngle": -50, "grid": false } },
                    "y": { "field": "code", "type": "quantitative", "title": "mean code", "axis": { "grid": false } },
                    "color": { "field": "pattern", "type": "nominal", "sort": null, "title": null, "legend": { "orient": "top" } },
                    "strokeDash": { "field": "pattern", "type": "nominal", "sort": null, "title": null, "scale": { "range": [[1, 0], [6, 3]] } },
                    "detail": { "field": "module" },
                    "tooltip": [{ "field": "pattern" }, { "field": "layer" }, { "field": "code", "type": "quantitative", "format": ".3~g" }],
                },
            },
        ],
    });
    Figure {
        name,
        label,
        columns: vec!["pattern", "module", "layer", "code"],
        rows: rows.collect(),
        chart,
        height: 270,
    }
}
