//! A chart: what Vega-Lite draws, what it says to whoever cannot see it, and the numbers behind it.
//!
//! Owns the markup around a chart and its two files, SVG (drawn by `draw.rs`) and TSV. What charts show is in `charts/`; the page
//! draws them with `scripts/charts.js`.

use maud::{Markup, PreEscaped, html};
use serde_json::{Map, Value, json};

/// A chart.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Its name in links and files: letters, digits and hyphens, unlike that of any other chart of the page.
    pub name: String,
    /// What it shows, as alternative text.
    pub label: String,
    /// Columns of the numbers behind it.
    pub columns: Vec<&'static str>,
    /// The numbers behind it, a value for each column and whatever else a chart needs.
    pub rows: Vec<Map<String, Value>>,
    /// What Vega-Lite draws of them: everything but data and look.
    pub chart: Value,
    /// About how high it will be, in pixels, so that the page does not jump.
    pub height: u32,
}

impl Figure {
    /// The whole specification, without the look.
    pub fn spec(&self) -> Value {
        let mut spec = json!({
            "description": self.label,
            "data": { "values": self.rows },
            "usermeta": { "columns": self.columns },
        });
        let all = spec.as_object_mut().expect("written as an object above");
        all.extend(self.chart.as_object().into_iter().flatten().map(|(name, part)| (name.clone(), part.clone())));
        spec
    }

    /// The numbers behind it as tab-separated text; `n/a` where there is none.
    pub fn to_tsv(&self) -> String {
        let cell = |value: Option<&Value>| match value {
            None | Some(Value::Null) => "n/a".to_owned(),
            Some(Value::String(text)) => text.replace(['\t', '\r', '\n'], " "),
            Some(other) => other.to_string(),
        };
        let mut text = self.columns.join("\t");
        text.push('\n');
        for row in &self.rows {
            let cells: Vec<String> = self.columns.iter().map(|column| cell(row.get(*column))).collect();
            text.push_str(&cells.join("\t"));
            text.push('\n');
        }
        text
    }

    /// The chart on the page, with its downloads and, below them, `below`: a caption, the numbers as a table.
    pub(super) fn draw(&self, below: Markup) -> Markup {
        html! {
            figure.chart id=(self.name) {
                div.scroll tabindex="0" role="img" aria-label=(self.label) {
                    div.plot aria-hidden="true" style=(format!("min-height:{}px", self.height)) {}
                }
                script type="application/json" { (PreEscaped(in_script(&self.spec()))) }
                noscript { p.nothing { "This chart needs a browser that runs the page's script; its numbers are in the table below." } }
                p.downloads hidden="" {
                    @for (form, what) in [("svg", "SVG"), ("png", "PNG"), ("tsv", "TSV")] {
                        button type="button" data-form=(form) aria-label=(format!("{what} of: {}", self.label)) { (what) }
                    }
                }
                (below)
            }
        }
    }
}

/// JSON that no text in it can end: in a script element, `<` begins markup whatever surrounds it.
pub(super) fn in_script(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// A name for links and files from any text: lower-case letters, digits and hyphens.
pub(super) fn slug(parts: &[&str]) -> String {
    let mut slug = String::new();
    for part in parts {
        let mut fresh = true;
        for letter in part.chars().filter(char::is_ascii_alphanumeric).take(40) {
            if fresh && !slug.is_empty() {
                slug.push('-');
            }
            fresh = false;
            slug.push(letter.to_ascii_lowercase());
        }
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(text: &str) -> Figure {
        let row = json!({ "name": text, "score": 0.5, "absent": null });
        Figure {
            name: "a".into(),
            label: text.to_owned(),
            columns: vec!["name", "score", "absent"],
            rows: vec![row.as_object().expect("an object").clone()],
            chart: json!({ "mark": "point" }),
            height: 100,
        }
    }

    #[test]
    fn no_text_ends_the_script_that_holds_it() {
        let markup = figure("</script><script>alert(1)</script><!--").draw(html! {}).into_string();
        assert_eq!(markup.matches("<script").count(), 1);
        assert_eq!(markup.matches("</script").count(), 1);
        assert!(!markup.contains("<!--"));
    }

    #[test]
    fn numbers_are_written_as_a_table() {
        assert_eq!(figure("a\tb").to_tsv(), "name\tscore\tabsent\na b\t0.5\tn/a\n");
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(slug(&["prediction 1", "sub-01", "<é>", "CLIP ViT/B"]), "prediction1-sub01-clipvitb");
    }
}
