//! A drawing in the languages of other programs.

use super::drawing::{Drawing, State};
use std::fmt::Write;

/// For Graphviz.
pub(super) fn dot(drawing: &Drawing) -> String {
    let mut out = String::from(
        "digraph study {\n  rankdir=LR;\n  node [shape=box, style=\"filled,rounded\", fontname=\"sans-serif\"];\n",
    );
    let write = |out: &mut String, line: String| out.write_str(&line).expect("text can be added to");
    for node in &drawing.nodes {
        let label = if node.detail.is_empty() { node.name.clone() } else { format!("{}\n{}", node.name, node.detail) };
        let (fill, state) = (node.state.fill(), node.state.name());
        write(&mut out, format!("  {:?} [label={label:?}, fillcolor={fill:?}, tooltip={state:?}];\n", node.name));
    }
    for (from, to) in drawing.edges.keys() {
        write(&mut out, format!("  {:?} -> {:?};\n", drawing.nodes[*from].name, drawing.nodes[*to].name));
    }
    out + "}\n"
}

/// For Markdown pages.
pub(super) fn mermaid(drawing: &Drawing) -> String {
    let mut out = String::from("flowchart LR\n");
    for (place, node) in drawing.nodes.iter().enumerate() {
        let detail = if node.detail.is_empty() { String::new() } else { format!("<br>{}", node.detail) };
        out += &format!("  t{place}[\"{}{detail}\"]:::{}\n", node.name, node.state.name());
    }
    for (from, to) in drawing.edges.keys() {
        out += &format!("  t{from} --> t{to}\n");
    }
    for state in State::ALL {
        out += &format!("  classDef {} fill:{},stroke:#555,color:#111\n", state.name(), state.fill());
    }
    out
}
