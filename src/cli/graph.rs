//! `hebb graph`: the tasks of a study and what flows between them, as DOT or Mermaid.

use super::{Shared, error::CliError, open::OpenStudy};
use crate::plan::{Assessment, Plan, Reason, Standing};
use clap::{Args, ValueEnum};
use petgraph::graph::NodeIndex;
use std::{
    collections::BTreeSet,
    io::{Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

/// Arguments of `hebb graph`.
#[derive(Debug, Args)]
pub(super) struct Graph {
    /// The study file.
    study: PathBuf,
    /// The language of the drawing.
    #[arg(long, default_value = "dot")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For Graphviz: `hebb graph STUDY | dot -Tsvg > tasks.svg`.
    Dot,
    /// For Markdown pages.
    Mermaid,
}

impl Graph {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let open = OpenStudy::new(&self.study, shared)?;
        let mut out = stdout().lock();
        match self.format {
            Format::Dot => dot(&open.plan, &open.assessment, &mut out)?,
            Format::Mermaid => mermaid(&open.plan, &open.assessment, &mut out)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The state's name and its fill.
fn look(assessment: &Assessment, place: NodeIndex) -> (&'static str, &'static str) {
    match assessment.standing(place) {
        Standing::Cached { .. } => ("cached", "#cfe8d5"),
        Standing::Unneeded => ("unneeded", "#eeeeee"),
        Standing::Runs(Reason::After(_)) => ("follows", "#fdf0c4"),
        Standing::Runs(_) => ("runs", "#f9d2b8"),
    }
}

fn edges(plan: &Plan, place: NodeIndex) -> BTreeSet<NodeIndex> {
    plan.inputs(place).into_iter().map(|(_, input)| input).collect()
}

fn dot(plan: &Plan, assessment: &Assessment, out: &mut impl Write) -> Result<(), CliError> {
    writeln!(
        out,
        "digraph study {{\n  rankdir=LR;\n  node [shape=box, style=\"filled,rounded\", fontname=\"sans-serif\"];"
    )?;
    for place in plan.places() {
        let (state, fill) = look(assessment, place);
        writeln!(out, "  {:?} [fillcolor={fill:?}, tooltip={state:?}];", plan.node(place).id.as_str())?;
        for input in edges(plan, place) {
            writeln!(out, "  {:?} -> {:?};", plan.node(input).id.as_str(), plan.node(place).id.as_str())?;
        }
    }
    Ok(writeln!(out, "}}")?)
}

fn mermaid(plan: &Plan, assessment: &Assessment, out: &mut impl Write) -> Result<(), CliError> {
    writeln!(out, "flowchart LR")?;
    for place in plan.places() {
        let (state, _) = look(assessment, place);
        writeln!(out, "  t{}[\"{}\"]:::{state}", place.index(), plan.node(place).id)?;
        for input in edges(plan, place) {
            writeln!(out, "  t{} --> t{}", input.index(), place.index())?;
        }
    }
    for (state, fill) in [("cached", "#cfe8d5"), ("unneeded", "#eeeeee"), ("follows", "#fdf0c4"), ("runs", "#f9d2b8")] {
        writeln!(out, "  classDef {state} fill:{fill},stroke:#555,color:#111")?;
    }
    Ok(())
}
