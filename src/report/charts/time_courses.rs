//! Time courses of patterns, one under another, runs joined.

use super::{rounded, row};
use crate::report::{
    figure::Figure,
    number,
    page::{PatternSet, Run},
};
use serde_json::{Map, Value, json};

/// Samples drawn one by one; longer series are drawn by the lowest and the highest of a few samples.
const MAX_POINTS: usize = 1200;
/// Height of one time course in pixels.
const HEIGHT: u32 = 48;

/// The time courses of a set.
pub(in crate::report) fn time_courses(set: &PatternSet, name: String, label: String) -> Figure {
    let n_tr = set.patterns.iter().map(|pattern| pattern.series.len()).max().unwrap_or(0);
    let seconds = Some(set.repetition_time_s).filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    let long = seconds.is_some_and(|seconds| seconds * n_tr as f64 > 600.0);
    let (scale, unit) = match seconds {
        Some(seconds) if long => (seconds / 60.0, "min"),
        Some(seconds) => (seconds, "s"),
        None => (1.0, "samples"),
    };
    let stride = n_tr.div_ceil(MAX_POINTS).max(1);
    let mut rows: Vec<Map<String, Value>> = Vec::new();
    for pattern in &set.patterns {
        for (run, start, end) in borders(&set.runs, n_tr) {
            let series = &pattern.series[start.min(pattern.series.len())..end.min(pattern.series.len())];
            for (place, block) in series.chunks(stride).enumerate() {
                let time = rounded((start + place * stride) as f64 * scale);
                let finite = || block.iter().copied().filter(|value| value.is_finite());
                let low = finite().reduce(f32::min).map_or(f64::NAN, f64::from);
                let high = finite().reduce(f32::max).map_or(f64::NAN, f64::from);
                let ends = if stride == 1 { &[low][..] } else { &[low, high][..] };
                for value in ends {
                    let cells = [
                        ("pattern", json!(pattern.name)),
                        ("run", json!(run)),
                        ("time", time.clone()),
                        ("value", rounded(*value)),
                    ];
                    rows.push(row(cells));
                }
            }
        }
    }
    let runs: Vec<Value> = borders(&set.runs, n_tr)
        .into_iter()
        .skip(1)
        .map(|(_, start, _)| json!({ "border": rounded(start as f64 * scale) }))
        .collect();
    let limit = rows.iter().filter_map(|row| row["value"].as_f64()).map(f64::abs).fold(0.0, f64::max);
    let limit = if limit > 0.0 { limit } else { 1.0 };
    let x = json!({
        "field": "time", "type": "quantitative", "scale": { "nice": false },
        "axis": { "title": format!("kept time, runs joined ({unit})"), "grid": false },
    });
    let chart = json!({
        "facet": { "row": { "field": "pattern", "type": "nominal", "sort": null, "title": null, "header": { "labelAngle": 0, "labelAlign": "left", "labelOrient": "left", "labelLimit": 110 } } },
        "spacing": 8,
        "spec": {
            "width": 600,
            "height": HEIGHT,
            "layer": [
                { "data": { "values": [{ "zero": 0 }] }, "mark": { "type": "rule", "style": "zero" }, "encoding": { "y": { "datum": 0 } } },
                { "data": { "values": runs }, "mark": { "type": "rule", "style": "border" }, "encoding": { "x": { "field": "border", "type": "quantitative" } } },
                {
                    "mark": { "type": "line", "style": "series" },
                    "encoding": {
                        "x": x,
                        "y": { "field": "value", "type": "quantitative", "title": null, "scale": { "domain": [-limit, limit] }, "axis": { "values": [-limit, 0.0, limit], "format": ".2~g", "grid": false } },
                        "detail": { "field": "run" },
                        "tooltip": [{ "field": "pattern" }, { "field": "run" }, { "field": "time", "type": "quantitative", "title": format!("time ({unit})"), "format": ".1f" }, { "field": "value", "type": "quantitative", "format": ".3~g" }],
                    },
                },
            ],
        },
    });
    Figure {
        name,
        label,
        columns: vec!["pattern", "run", "time", "value"],
        rows,
        chart,
        height: set.patterns.len() as u32 * (HEIGHT + 8) + 50,
    }
}

/// Name, first sample and end of each run; what no run claims is one more, so that nothing is hidden.
fn borders(runs: &[Run], n_tr: usize) -> Vec<(String, usize, usize)> {
    let mut start = 0usize;
    let mut borders = Vec::with_capacity(runs.len() + 1);
    for run in runs {
        let end = start.saturating_add(run.n_tr).min(n_tr);
        borders.push((run.name.clone(), start, end));
        start = end;
    }
    if start < n_tr {
        borders.push((format!("after {}", number::counted(runs.len(), "run", "runs")), start, n_tr));
    }
    borders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::page::Pattern;

    fn set(n: usize) -> PatternSet {
        PatternSet {
            title: String::new(),
            repetition_time_s: 2.0,
            unit: String::new(),
            runs: vec![Run { name: "1".into(), n_tr: 10 }],
            n_patterns: 1,
            patterns: vec![Pattern {
                name: "pattern 0".into(),
                series: (0..n).map(|at| if at == 7 { 9.0 } else { 0.5 }).collect(),
                profile: Vec::new(),
            }],
        }
    }

    #[test]
    fn a_peak_of_a_long_series_is_not_lost() {
        let figure = time_courses(&set(50_000), "a".into(), String::new());
        assert!(figure.rows.len() <= 2 * MAX_POINTS + 4);
        assert!(figure.rows.iter().any(|row| row["value"] == json!(9.0)));
    }

    #[test]
    fn samples_beyond_the_runs_are_shown_as_one_more() {
        let figure = time_courses(&set(12), "a".into(), String::new());
        assert_eq!(figure.rows.len(), 12);
        assert_eq!((figure.rows[9]["run"].clone(), figure.rows[10]["run"].clone()), (json!("1"), json!("after 1 run")));
    }
}
