//! `hebb inputs`: writes a study's made-up model, stimuli and subjects as the files that a real study has.
//!
//! So a newcomer can see what Hebb reads, and try a study on files before their own are at hand. Of a sweep it is the first cell.

use super::{
    Shared,
    error::CliError,
    open::OpenStudy,
    results::copy_folder,
    run::{Asked, Ended, RunLimits, execute, told},
};
use crate::{
    format::tsv::{MISSING, Table},
    task::Kind,
};
use clap::Args;
use petgraph::graph::NodeIndex;
use std::{
    fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Arguments of `hebb inputs`.
#[derive(Debug, Args)]
pub(super) struct Inputs {
    /// A study with a random model, generated stimuli or simulated subjects.
    study: PathBuf,
    /// The folder to write; what is in it is replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    limits: RunLimits,
}

/// Kinds of task whose results are files as users have them.
fn makes_files(kind: Kind) -> bool {
    matches!(kind, Kind::Weights | Kind::Stimuli | Kind::Simulate)
}

impl Inputs {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let limits = self.limits.apply();
        let mut open = OpenStudy::new(&self.study, shared)?;
        let targets: Vec<NodeIndex> = open
            .plan
            .places()
            .filter(|place| makes_files(open.plan.node(*place).task.kind()) && open.plan.belongs(*place, 0))
            .collect();
        if targets.is_empty() {
            let message =
                format!("`{}` makes no files: its model, stimuli and subjects are files already", self.study.display());
            return Err(CliError::Usage { message, hint: "start from `hebb init`".to_owned() });
        }
        open.narrow_to(&targets);
        let Ended { summary, closing: _closing, .. } =
            execute(&mut open, limits, Asked { shown: targets.clone(), ..Asked::default() }, shared)?;
        if summary.failed > 0 || summary.cancelled {
            return Ok(ExitCode::from(if summary.cancelled { 130 } else { 1 }));
        }
        for place in targets {
            let node = open.plan.node(place);
            let record = open.store.lookup(&node.recipe).expect("the run that just ended computed or found it");
            let artifact = open.store.artifact(&record.output);
            match node.task.kind() {
                Kind::Weights => {
                    let model = node.id.name().rsplit('/').next().unwrap_or_default();
                    copy_folder(&artifact, &self.out.join(model))?;
                }
                Kind::Stimuli => {
                    copy_folder(&artifact, &self.out.join("stimuli"))?;
                    write_tables(&open, &self.out.join("stimuli"))?;
                }
                _ => merge(&artifact, &self.out.join("derivatives"))?,
            }
        }
        writeln!(stdout(), "{}: {}\nfiles: {}", open.study.name, told(&summary), self.out.display())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// One stimulus table for each run, with image paths relative to it.
fn write_tables(open: &OpenStudy, folder: &Path) -> Result<(), CliError> {
    let design = open.study.first();
    let schedule = &design.schedule;
    for (run, events) in design.runs.iter().zip(&schedule.runs) {
        let mut table = Table::new(["onset", "duration", "image", "text"]);
        for event in events {
            let image = event
                .image
                .map_or(MISSING.to_owned(), |place| format!("images/{}", schedule.images[place].file().display()));
            let text = event.text.map_or(MISSING, |place| schedule.texts[place].as_str());
            table.push([event.onset_s.to_string(), event.duration_s.to_string(), image, text.to_owned()]);
        }
        let path = folder.join(format!("run-{}.tsv", run.name));
        table.write(&path).map_err(|error| CliError::MadeUp(Box::new(error.into())))?;
    }
    Ok(())
}

/// Copies a subject's data set into one that holds several; what all of them have is written by each.
fn merge(artifact: &Path, out: &Path) -> Result<(), CliError> {
    fs::create_dir_all(out).map_err(CliError::file("create", out))?;
    for entry in fs::read_dir(artifact).map_err(CliError::file("read", artifact))? {
        let entry = entry.map_err(CliError::file("read", artifact))?;
        let target = out.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            let bytes = fs::read(entry.path()).map_err(CliError::file("read", entry.path()))?;
            fs::write(&target, bytes).map_err(CliError::file("write", &target))?;
        }
    }
    Ok(())
}
