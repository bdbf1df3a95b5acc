//! `hebb cite`: what a study cites, as BibTeX.

use super::{Shared, engines, error::CliError, surroundings};
use crate::{
    math::blas::openblas_version,
    share::{bibliography, to_bibtex},
    spec::{ModelSource, Study},
};
use clap::Args;
use std::{
    fs,
    io::{Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

/// Arguments of `hebb cite`.
#[derive(Debug, Args)]
pub(super) struct Cite {
    /// The study file.
    study: PathBuf,
    /// Write to this file; without it, to standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Cite {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let study = surroundings::read(&self.study, false, shared)?;
        let entries = bibliography(&study, &programs(&study, shared));
        let text = to_bibtex(&study, &entries);
        match &self.output {
            None => write!(stdout(), "{text}")?,
            Some(path) => {
                fs::write(path, text).map_err(CliError::file("write", path))?;
                writeln!(stdout(), "{}: {} references", path.display(), entries.len())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The programs that compute a study, of which the engine of models need not be there.
fn programs(study: &Study, shared: &Shared) -> Vec<(String, String)> {
    let mut all = vec![("hebb".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    let openblas = openblas_version();
    let (name, version) = openblas.split_once(' ').unwrap_or((&openblas, ""));
    all.push((name.to_owned(), version.to_owned()));
    let mut models = study.cells.iter().flat_map(|cell| cell.design.models.iter());
    if models.any(|model| !matches!(model.source, ModelSource::LowLevel(_))) {
        let version = engines::runtime(shared).map_or_else(|_| String::new(), |runtime| runtime.version);
        all.push(("ONNX Runtime".to_owned(), version));
    }
    all
}
