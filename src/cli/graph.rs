//! `hebb graph`: the tasks of a study and what flows between them, as DOT, Mermaid or a picture.
//!
//! `drawing.rs` says what is drawn, `text.rs` writes it for other programs, `layout.rs` and `svg.rs` draw it here.

mod drawing;
mod layout;
mod svg;
mod text;

use super::{Shared, audience::estimates, blocked::Blocked, error::CliError, open::OpenStudy};
use clap::{Args, ValueEnum};
use drawing::Drawing;
use std::{
    fs,
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
    /// What a box stands for; tasks, unless there are too many to read.
    #[arg(long)]
    by: Option<By>,
    /// Write to a file.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For Graphviz: `hebb graph STUDY | dot -Tsvg > tasks.svg`.
    Dot,
    /// For Markdown pages.
    Mermaid,
    /// A picture for browsers.
    Svg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// All tasks of one kind that stand alike.
    Kind,
    /// One task.
    Task,
}

/// The kinds of tasks of a study that has run and what flows between them, as SVG.
pub(super) fn picture_of_results(open: &OpenStudy) -> String {
    svg::svg(&Drawing::of_results(open), &open.study.name)
}

/// The kinds of tasks of a study as they stand and what flows between them, as SVG.
pub(super) fn picture(open: &OpenStudy) -> String {
    svg::svg(&Drawing::by_kind(open, &estimates(open), &Blocked::new(open)), &open.study.name)
}

/// Tasks that one picture can show one by one.
const READABLE: usize = 150;

impl Graph {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let open = OpenStudy::new(&self.study, shared)?;
        let by = self.by.unwrap_or(if open.plan.len() > READABLE { By::Kind } else { By::Task });
        let (estimates, blocked) = (estimates(&open), Blocked::new(&open));
        let drawing = match by {
            By::Kind => Drawing::by_kind(&open, &estimates, &blocked),
            By::Task => Drawing::by_task(&open, &estimates, &blocked),
        };
        let text = match self.format {
            Format::Dot => text::dot(&drawing),
            Format::Mermaid => text::mermaid(&drawing),
            Format::Svg => svg::svg(&drawing, &open.study.name),
        };
        match &self.output {
            Some(path) => fs::write(path, text).map_err(CliError::file("write", path))?,
            None => stdout().write_all(text.as_bytes())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
