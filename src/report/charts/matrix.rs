//! Matrices of colours: layers by networks, patterns by patterns, cells of a sweep by networks.

use super::{colour_legend, colour_scale, distinct, rounded, row};
use crate::report::{colour::Ramp, figure::Figure, page};
use serde_json::{Value, json};

/// Letters of a name that fit beside a matrix.
const LABEL_PX: f64 = 6.6;
/// Below this height not every row can have its name.
const LINE_PX: f64 = 13.0;

/// One field of a matrix.
#[derive(Debug, Clone)]
pub(in crate::report) struct Cell<'a> {
    /// The group that its row belongs to; empty where rows have none.
    pub group: &'a str,
    /// Its row.
    pub row: &'a str,
    /// Its column.
    pub column: &'a str,
    /// Its number; `None` reads as absent without a reason.
    pub value: Option<&'a page::Value>,
    /// Whether it is framed.
    pub is_framed: bool,
}

/// A matrix of colours.
#[derive(Debug, Clone)]
pub(in crate::report) struct Matrix<'a> {
    /// Its name, see [`Figure::name`].
    pub name: String,
    /// Alternative text.
    pub label: String,
    /// What groups, rows, columns and numbers are called, in the data too: identifiers.
    pub names: [&'static str; 4],
    /// What the colours stand for.
    pub measure: &'a str,
    /// The colours.
    pub ramp: Ramp,
    /// Width and height of a field in pixels.
    pub field: (f64, f64),
    /// All fields, row by row.
    pub cells: Vec<Cell<'a>>,
}

impl Matrix<'_> {
    pub(in crate::report) fn figure(self) -> Figure {
        let [group, row_name, column, value] = self.names;
        let (width, height) = self.field;
        let has_groups = self.cells.iter().any(|cell| !cell.group.is_empty());
        let rows = self.cells.iter().map(|cell| {
            let known = cell.value.and_then(page::Value::known);
            let reason = match cell.value {
                Some(value) => value.reason().unwrap_or_default(),
                None => "not part of the result",
            };
            let mut fields = row([
                (row_name, json!(cell.row)),
                (column, json!(cell.column)),
                (value, known.map_or(Value::Null, rounded)),
            ]);
            if has_groups {
                fields.insert(group.to_owned(), json!(cell.group));
            }
            if known.is_none() {
                fields.insert("why".to_owned(), json!(reason));
            }
            if cell.is_framed {
                fields.insert("framed".to_owned(), json!(true));
            }
            fields
        });
        let mut columns = vec![row_name, column, value];
        if has_groups {
            columns.insert(0, group);
        }
        let tooltip: Vec<Value> = columns.iter().map(|name| json!({ "field": name, "type": "nominal" })).collect();
        let mut tooltip_absent = tooltip.clone();
        tooltip_absent.push(json!({ "field": "why", "type": "nominal", "title": "no number" }));
        if let Some(last) = tooltip.len().checked_sub(1) {
            tooltip_absent.remove(last);
        }
        // Told outright, because marks that are filtered would be sorted by when they first appear.
        let columns_in_order = distinct(self.cells.iter().map(|cell| cell.column));
        let rows_in_order = distinct(self.cells.iter().map(|cell| cell.row));
        let groups_in_order = distinct(self.cells.iter().map(|cell| cell.group));
        let x = json!({
            "field": column, "type": "nominal", "sort": columns_in_order, "title": null,
            "axis": { "labelAngle": -50, "domain": false, "ticks": false, "labelOverlap": false },
        });
        let y = json!({
            "field": row_name, "type": "nominal", "sort": rows_in_order, "title": null,
            "axis": { "domain": false, "ticks": false, "labelOverlap": height < LINE_PX },
        });
        let inset = |by: f64| json!({ "type": "rect", "filled": false, "style": if by < 2.0 { "frame-outer" } else { "frame-inner" }, "width": width - by, "height": height - by });
        let layers = json!({
            "width": { "step": width },
            "height": { "step": height },
            "layer": [
                {
                    "transform": [{ "filter": format!("isValid(datum['{value}'])") }],
                    "mark": "rect",
                    "encoding": {
                        "x": x, "y": y, "tooltip": tooltip,
                        "color": {
                            "field": value, "type": "quantitative",
                            "scale": colour_scale(&self.ramp), "legend": colour_legend(&self.ramp, self.measure),
                        },
                    },
                },
                {
                    "transform": [{ "filter": format!("!isValid(datum['{value}'])") }],
                    "mark": { "type": "rect", "style": "absent" },
                    "encoding": { "x": x, "y": y, "tooltip": tooltip_absent },
                },
                {
                    "transform": [{ "filter": format!("!isValid(datum['{value}'])") }],
                    "mark": { "type": "text", "style": "absent-sign", "text": "×" },
                    "encoding": { "x": x, "y": y, "tooltip": tooltip_absent },
                },
                { "transform": [{ "filter": "datum.framed" }], "mark": inset(1.5), "encoding": { "x": x, "y": y, "tooltip": tooltip } },
                { "transform": [{ "filter": "datum.framed" }], "mark": inset(4.0), "encoding": { "x": x, "y": y, "tooltip": tooltip } },
            ],
        });
        let chart = if has_groups {
            json!({
                "facet": { "row": { "field": group, "type": "nominal", "sort": groups_in_order, "title": null, "header": { "labelAngle": 0, "labelAlign": "left", "labelAnchor": "start", "labelOrient": "top" } } },
                "spacing": 4,
                "spec": layers,
                "resolve": { "scale": { "y": "independent" }, "axis": { "x": "shared" } },
            })
        } else {
            layers
        };
        let n_rows = distinct(self.cells.iter().map(|cell| (cell.group, cell.row))).len();
        let longest = self.cells.iter().map(|cell| cell.column.chars().count()).max().unwrap_or(0).min(28) as f64;
        Figure {
            name: self.name,
            label: self.label,
            columns,
            rows: rows.collect(),
            chart,
            height: (n_rows as f64 * height + longest * LABEL_PX * 0.77 + 90.0) as u32,
        }
    }
}
