//! Values with their intervals, and how values move over a sweep.

use super::{distinct, rounded, row};
use crate::report::{
    figure::Figure,
    overview::SensitivityRow,
    page::{FindingRow, Value},
};
use serde_json::{Value as Json, json};

/// Values of one statistic with their 95 % intervals, and what chance alone gives.
pub(in crate::report) fn intervals(statistic: &str, rows: &[&FindingRow], name: String, label: String) -> Figure {
    let number = |value: &Value| value.known().map_or(Json::Null, rounded);
    let data = rows.iter().map(|finding| {
        let (low, high) =
            finding.interval.map_or((Json::Null, Json::Null), |(low, high)| (rounded(low), rounded(high)));
        row([
            ("subject", json!(finding.subject)),
            ("of", json!(part(finding))),
            ("network", json!(finding.network)),
            ("value", number(&finding.value)),
            ("low", low),
            ("high", high),
            ("chance", number(&finding.chance)),
            ("p", number(&finding.p)),
            ("q", number(&finding.q)),
        ])
    });
    let n_subjects = n_distinct(rows.iter().map(|finding| finding.subject.as_str()));
    let n_parts = n_distinct(rows.iter().map(|finding| part(finding))).max(1);
    let n_networks = n_distinct(rows.iter().map(|finding| finding.network.as_str())).max(1);
    let step = if n_subjects > 1 { 9 * n_subjects.min(4) + 6 } else { 18 };
    let y = json!({ "field": "network", "type": "nominal", "sort": null, "title": null, "axis": { "domain": false, "ticks": false } });
    let offset = json!({ "field": "subject", "type": "nominal", "sort": null });
    let title = statistic.replace('-', " ");
    let x = json!({ "field": "value", "type": "quantitative", "title": title, "axis": { "grid": true } });
    let tooltip = json!([
        { "field": "subject" }, { "field": "of" }, { "field": "network" },
        { "field": "value", "type": "quantitative", "format": ".4~g" },
        { "field": "low", "type": "quantitative", "format": ".4~g" }, { "field": "high", "type": "quantitative", "format": ".4~g" },
        { "field": "chance", "type": "quantitative", "format": ".4~g" },
        { "field": "p", "type": "quantitative", "format": ".3~g" }, { "field": "q", "type": "quantitative", "format": ".3~g" },
    ]);
    let layer = |mark: Json, x: Json, x2: Json| {
        let mut encoding = json!({ "x": x, "y": y, "tooltip": tooltip });
        let fields = encoding.as_object_mut().expect("written as an object");
        if n_subjects > 1 {
            fields.insert("yOffset".into(), offset.clone());
        }
        if !x2.is_null() {
            fields.insert("x2".into(), x2);
        }
        json!({ "mark": mark, "encoding": encoding })
    };
    let plain = |field: &str| json!({ "field": field, "type": "quantitative" });
    let chart = json!({
        "facet": { "row": { "field": "of", "type": "nominal", "sort": null, "title": null, "header": { "labelAngle": 0, "labelAlign": "left", "labelAnchor": "start", "labelOrient": "top" } } },
        "spacing": 10,
        "spec": {
            "width": 380,
            "height": { "step": step },
            "layer": [
                layer(json!({ "type": "rule", "style": "interval" }), plain("low"), json!({ "field": "high" })),
                layer(json!({ "type": "tick", "style": "chance", "thickness": 2, "size": 9 }), plain("chance"), Json::Null),
                layer(json!({ "type": "circle", "style": "value", "size": 40, "opacity": 1 }), x, Json::Null),
            ],
        },
        "resolve": { "scale": { "y": "independent" } },
    });
    Figure {
        name,
        label,
        columns: vec!["subject", "of", "network", "value", "low", "high", "chance", "p", "q"],
        rows: data.collect(),
        chart,
        height: (n_parts * (n_networks * step + 34) + 50) as u32,
    }
}

/// How statistics move over the settings of one field that varies.
pub(in crate::report) fn sensitivity(axis: &str, rows: &[&SensitivityRow], name: String, label: String) -> Figure {
    let data = rows.iter().flat_map(|found| {
        let of = format!("{} of {} {}", found.statistic.replace('-', " "), found.model, found.part);
        found.settings.iter().map(move |(setting, value)| {
            row([("of", json!(of)), ("setting", json!(setting)), ("value", value.known().map_or(Json::Null, rounded))])
        })
    });
    let chart = json!({
        "facet": { "field": "of", "type": "nominal", "sort": null, "title": null, "header": { "labelLimit": 230, "labelAlign": "left", "labelAnchor": "start" } },
        "columns": 3,
        "spacing": 22,
        "spec": {
            "width": 210,
            "height": 110,
            "mark": { "type": "line", "point": true },
            "encoding": {
                "x": { "field": "setting", "type": "nominal", "sort": null, "title": axis, "axis": { "labelAngle": 0 } },
                "y": { "field": "value", "type": "quantitative", "title": null, "scale": { "zero": false } },
                "tooltip": [{ "field": "of" }, { "field": "setting" }, { "field": "value", "type": "quantitative", "format": ".4~g" }],
            },
        },
        "resolve": { "scale": { "y": "independent" } },
    });
    Figure {
        name,
        label,
        columns: vec!["of", "setting", "value"],
        rows: data.collect(),
        chart,
        height: (rows.len().div_ceil(3) * 195) as u32,
    }
}

/// The model and what of it a finding is about.
fn part(finding: &FindingRow) -> String {
    [finding.model.as_str(), finding.part.as_str()]
        .into_iter()
        .filter(|name| !name.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

fn n_distinct<T: PartialEq>(names: impl Iterator<Item = T>) -> usize {
    distinct(names).len()
}
