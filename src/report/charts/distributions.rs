//! How scores are spread over the voxels of each network, beside what their noise allows.

use super::{rounded, row};
use crate::report::{
    figure::Figure,
    page::{PredictionPanel, Value},
};
use serde_json::{Value as Json, json};

/// A box for each network: quartiles, the range of nine tenths of the voxels, the median, and the noise ceiling; absent where no
/// network has a spread.
pub(in crate::report) fn distributions(
    panel: &PredictionPanel,
    measure: &str,
    name: String,
    label: String,
) -> Option<Figure> {
    let number = |value: &Value| value.known().map_or(Json::Null, rounded);
    let rows: Vec<_> = panel
        .networks
        .iter()
        .filter_map(|network| {
            let [low, lower, middle, upper, high] = network.spread?;
            Some(row([
                ("network", json!(network.name)),
                ("n_voxels", json!(network.n_voxels)),
                ("percentile_5", rounded(low)),
                ("quartile_1", rounded(lower)),
                ("median", rounded(middle)),
                ("quartile_3", rounded(upper)),
                ("percentile_95", rounded(high)),
                ("ceiling", number(&network.ceiling)),
            ]))
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let has_ceiling = rows.iter().any(|row| !row["ceiling"].is_null());
    let y = json!({ "field": "network", "type": "nominal", "sort": null, "title": null, "axis": { "domain": false, "ticks": false } });
    let columns =
        ["network", "n_voxels", "percentile_5", "quartile_1", "median", "quartile_3", "percentile_95", "ceiling"];
    let tooltip: Vec<Json> = columns
        .iter()
        .filter(|column| has_ceiling || **column != "ceiling")
        .map(|column| match *column {
            "network" => json!({ "field": column }),
            "n_voxels" => json!({ "field": column, "type": "quantitative", "title": "voxels", "format": "," }),
            _ => {
                json!({ "field": column, "type": "quantitative", "title": column.replace('_', " "), "format": ".3~g" })
            }
        })
        .collect();
    let mut layers = vec![
        json!({ "mark": { "type": "rule", "style": "whisker" }, "encoding": { "y": y, "x": { "field": "percentile_5", "type": "quantitative", "title": measure }, "x2": { "field": "percentile_95" }, "tooltip": tooltip } }),
        json!({ "mark": { "type": "bar", "style": "box", "height": 11 }, "encoding": { "y": y, "x": { "field": "quartile_1", "type": "quantitative" }, "x2": { "field": "quartile_3" }, "tooltip": tooltip } }),
        json!({ "mark": { "type": "tick", "style": "middle", "size": 13, "thickness": 2 }, "encoding": { "y": y, "x": { "field": "median", "type": "quantitative" }, "tooltip": tooltip } }),
    ];
    if has_ceiling {
        layers.push(json!({ "mark": { "type": "tick", "style": "chance", "size": 17, "thickness": 2 }, "encoding": { "y": y, "x": { "field": "ceiling", "type": "quantitative" }, "tooltip": tooltip } }));
    }
    let chart = json!({ "width": 380, "height": { "step": 20 }, "layer": layers });
    let height = rows.len() as u32 * 20 + 60;
    Some(Figure { name, label, columns: columns.to_vec(), rows, chart, height })
}
