//! `hebb export-bids`: the results of a study as BIDS derivatives.

use super::{Shared, error::CliError, open::OpenStudy, progress::Reading, results, words::size};
use crate::share::{Artifact, CellResults, export_bids};
use clap::Args;
use petgraph::graph::NodeIndex;
use std::{
    io::{Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

/// Arguments of `hebb export-bids`.
#[derive(Debug, Args)]
pub(super) struct ExportBids {
    /// The study file.
    study: PathBuf,
    /// The dataset's folder, new or empty; with a sweep, the folder of its datasets, one for each cell.
    folder: PathBuf,
}

impl ExportBids {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let open = OpenStudy::new(&self.study, shared)?;
        let cells = cells(&open).ok_or_else(|| {
            let file = self.study.display();
            CliError::Usage {
                message: format!("`{file}` has results that are not computed, or was edited since"),
                hint: format!("`hebb run {file}` computes what is missing, `hebb plan {file}` says what that is"),
            }
        })?;
        let reading = Reading::new();
        let exported =
            export_bids(&open.study, &cells, &open.programs(), &self.folder, &|path, bytes| reading.tell(path, bytes));
        reading.end();
        let exported = exported.map_err(Box::new)?;
        let datasets =
            if exported.n_datasets == 1 { "dataset".to_owned() } else { format!("{} datasets", exported.n_datasets) };
        let (n_files, room) = (exported.n_files, size(exported.size_bytes));
        writeln!(stdout(), "BIDS {datasets}: {} ({n_files} files, {room})", self.folder.display())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The results of every cell; absent if one of them is not there.
fn cells(open: &OpenStudy) -> Option<Vec<CellResults>> {
    let artifact = |place: NodeIndex| {
        let (node, output) = (open.plan.node(place), open.store.lookup(&open.plan.node(place).recipe)?.output);
        let folder = open.store.artifact(&output);
        folder.is_dir().then(|| Artifact { folder, task: node.id.to_string(), key: node.recipe, output })
    };
    let cell = |(number, report): (usize, NodeIndex)| {
        if !results::is_computed(open, report) {
            return None;
        }
        let maps = results::maps(open, report).map(artifact).collect::<Option<_>>()?;
        Some(CellResults { folder: results::cell_folder(&open.study.cells[number]), report: artifact(report)?, maps })
    };
    open.plan.reports().enumerate().map(cell).collect()
}
