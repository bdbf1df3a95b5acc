//! A drawing as a picture: dark text on light boxes, state by border and word as well as by colour, a legend, and what else
//! is known of a box when it is pointed at.

use super::{
    drawing::{Drawing, Node, State},
    layout::{Boxes, Layout, lay_out, reduced},
};
use crate::cli::frame::shortened;
use std::{collections::BTreeSet, fmt::Write};

/// Width of a letter: the fonts named below are 0.6 em wide at most.
const LETTER: f64 = 7.2;
const LINE: f64 = 15.0;
const PADDING: f64 = 8.0;
/// Room between columns, for arrows.
const BETWEEN: f64 = 64.0;
const MARGIN: f64 = 24.0;
/// Room for the title and the legend.
const TOP: f64 = 76.0;
/// Letters of a name; the whole is in the tooltip.
const LETTERS: usize = 40;

/// Boxes whose arrows are compared with each other; nobody reads a picture of more.
const REDUCED: usize = 2000;

/// Draws a study called `title`.
pub(super) fn svg(drawing: &Drawing, title: &str) -> String {
    let all: BTreeSet<(usize, usize)> = drawing.edges.keys().copied().collect();
    let edges = if drawing.nodes.len() <= REDUCED { reduced(drawing.nodes.len(), &all) } else { all.clone() };
    let is_reduced = edges.len() < all.len();
    let layout = lay_out(&Boxes { heights: drawing.nodes.iter().map(height).collect(), edges });
    let n_columns = layout.columns.iter().max().map_or(0, |last| last + 1);
    let mut widths = vec![0.0_f64; n_columns];
    for (node, column) in drawing.nodes.iter().zip(&layout.columns) {
        widths[*column] = widths[*column].max(width(node));
    }
    let lefts: Vec<f64> = widths
        .iter()
        .scan(MARGIN, |left, width| {
            let here = *left;
            *left += width + BETWEEN;
            Some(here)
        })
        .collect();
    let right = lefts.last().zip(widths.last()).map_or(0.0, |(left, width)| left + width);
    let (whole_width, whole_height) = ((right + MARGIN).max(700.0), TOP + layout.height + MARGIN);

    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole_width:.0}\" height=\"{whole_height:.0}\" viewBox=\"0 0 \
         {whole_width:.0} {whole_height:.0}\" role=\"img\">\n<title>Tasks of {title}</title>\n{STYLE}\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        title = escaped(title)
    );
    legend(drawing, title, is_reduced, &mut out);
    let n_most = drawing.edges.values().max().copied().unwrap_or(1) as f64;
    for ((from, to), bends) in &layout.bends {
        let n = drawing.edges.get(&(*from, *to)).copied().unwrap_or(1);
        let stroke = 1.0 + 2.0 * (n as f64).ln() / n_most.ln().max(1.0);
        let path = curve(*from, *to, bends, drawing, &layout, &lefts, &widths);
        let ends = format!("{} to {}", drawing.nodes[*from].name, drawing.nodes[*to].name);
        let inputs = if n > 1 { format!(": {n} inputs") } else { String::new() };
        put(
            &mut out,
            format_args!(
                "<path class=\"edge\" style=\"stroke-width:{stroke:.1}\" d=\"{path}\"><title>{}</title></path>\n",
                escaped(&(ends + &inputs))
            ),
        );
    }
    for (place, node) in drawing.nodes.iter().enumerate() {
        draw_box(node, lefts[layout.columns[place]], TOP + layout.middles[place], &mut out);
    }
    out + "</svg>\n"
}

const STYLE: &str = "<style>\n\
    text { font: 12px ui-monospace, \"DejaVu Sans Mono\", Menlo, Consolas, monospace; fill: #111111; }\n\
    .title { font-size: 16px; font-weight: bold; }\n\
    .edge { fill: none; stroke: #6b7280; stroke-opacity: 0.55; }\n\
    .edge:hover { stroke: #111111; stroke-opacity: 1; }\n\
    .box { stroke: #374151; stroke-width: 1; }\n\
    .runs { stroke-width: 3; }\n\
    .follows { stroke-width: 2; stroke-dasharray: 7 3; }\n\
    .blocked { stroke-width: 3; stroke-dasharray: 2 3; }\n\
    .unneeded { stroke: #9ca3af; stroke-dasharray: 1 3; }\n\
    </style>\n";

/// Adds to a text, which cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("text can be added to");
}

fn legend(drawing: &Drawing, title: &str, is_reduced: bool, out: &mut String) {
    put(out, format_args!("<text class=\"title\" x=\"{MARGIN}\" y=\"30\">{}</text>\n", escaped(title)));
    let mut left = MARGIN;
    for state in State::ALL {
        if !drawing.nodes.iter().any(|node| node.state == state) {
            continue;
        }
        let meaning = match state {
            State::Cached => "cached",
            State::Runs => "runs",
            State::Follows => "follows what runs",
            State::Blocked => "cannot run here",
            State::Unneeded => "not needed",
        };
        put(
            out,
            format_args!(
                "<rect class=\"box {}\" x=\"{left:.1}\" y=\"44\" width=\"26\" height=\"14\" rx=\"4\" fill=\"{}\"/>\n\
                 <text x=\"{:.1}\" y=\"55\">{meaning}</text>\n",
                state.name(),
                state.fill(),
                left + 33.0
            ),
        );
        left += 33.0 + LETTER * meaning.len() as f64 + 28.0;
    }
    if is_reduced {
        put(
            out,
            format_args!(
                "<text x=\"{left:.1}\" y=\"55\" fill-opacity=\"0.7\">arrows that longer ways imply are left out</text>\n"
            ),
        );
    }
}

fn label(node: &Node) -> String {
    shortened(&node.name, LETTERS)
}

fn width(node: &Node) -> f64 {
    let letters = label(node).chars().count().max(node.detail.chars().count());
    letters as f64 * LETTER + 2.0 * PADDING
}

fn height(node: &Node) -> f64 {
    LINE * if node.detail.is_empty() { 1.0 } else { 2.0 } + PADDING
}

fn draw_box(node: &Node, left: f64, middle: f64, out: &mut String) {
    let (width, height) = (width(node), height(node));
    let (top, state) = (middle - height / 2.0, node.state);
    let text = left + PADDING;
    let first = top + PADDING / 2.0 + LINE - 4.0;
    put(
        out,
        format_args!(
            "<g><title>{}</title><rect class=\"box {}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\" rx=\"5\" fill=\"{}\"/><text x=\"{text:.1}\" y=\"{first:.1}\">{}</text>",
            escaped(&node.tooltip),
            state.name(),
            state.fill(),
            escaped(&label(node))
        ),
    );
    if !node.detail.is_empty() {
        put(out, format_args!("<text x=\"{text:.1}\" y=\"{:.1}\">{}</text>", first + LINE, escaped(&node.detail)));
    }
    out.push_str("</g>\n");
}

/// From the right side of one box to the left side of another, level where it crosses columns.
fn curve(
    from: usize,
    to: usize,
    bends: &[f64],
    drawing: &Drawing,
    layout: &Layout,
    lefts: &[f64],
    widths: &[f64],
) -> String {
    let (mut x, mut y) = (lefts[layout.columns[from]] + width(&drawing.nodes[from]), TOP + layout.middles[from]);
    let mut path = format!("M{x:.1} {y:.1}");
    let mut bend_to = |path: &mut String, to_x: f64, to_y: f64| {
        let half = f64::midpoint(x, to_x);
        put(path, format_args!("C{half:.1} {y:.1} {half:.1} {to_y:.1} {to_x:.1} {to_y:.1}"));
        (x, y) = (to_x, to_y);
    };
    for (column, bend) in (layout.columns[from] + 1..).zip(bends) {
        bend_to(&mut path, lefts[column], TOP + bend);
        bend_to(&mut path, lefts[column] + widths[column], TOP + bend);
    }
    bend_to(&mut path, lefts[layout.columns[to]], TOP + layout.middles[to]);
    path
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_whole_and_says_states_in_words() {
        let node = |name: &str, state| Node {
            name: name.into(),
            detail: "2 tasks".into(),
            state,
            tooltip: format!("{name}: \"a\" < b & c"),
        };
        let drawing = Drawing {
            nodes: vec![node("one", State::Cached), node("two", State::Runs), node("three", State::Blocked)],
            edges: [((0, 1), 3), ((1, 2), 1), ((0, 2), 1)].into(),
        };
        let picture = svg(&drawing, "a <b>");
        assert!(picture.contains("Tasks of a &lt;b&gt;") && picture.contains("three: &quot;a&quot; &lt; b &amp; c"));
        assert_eq!(picture.matches("class=\"edge\"").count(), 2, "one is implied");
        for word in ["cached</text>", "runs</text>", "cannot run here</text>"] {
            assert!(picture.contains(word), "{word}");
        }
        assert!(!picture.contains("follows what runs"), "only states that are there");
        assert!(!picture.contains("NaN") && !picture.contains("inf"));
        assert_eq!(picture.matches("<g>").count(), picture.matches("</g>").count());
        assert!(svg(&Drawing::default(), "nothing").ends_with("</svg>\n"));
    }
}
