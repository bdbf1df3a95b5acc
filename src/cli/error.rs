//! What ends a command early: its words, its hint and its exit code.

use super::engines::RuntimeMissing;
use crate::{
    executor::slurm::SlurmError,
    model::ModelError,
    plan::PlanError,
    report::DrawError,
    share::{ExportError, LockError, PackError, RelocateError, archive::ArchiveError},
    spec::{SpecError, SpecErrors},
    store::StoreError,
    task::TaskError,
};
use std::{io, path::PathBuf, process::ExitCode};

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Slurm(#[from] SlurmError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Runtime(#[from] Box<RuntimeMissing>),
    #[error("the results could not be laid out: {0}")]
    Results(#[from] Box<TaskError>),
    #[error("what is made up could not be written: {0}")]
    MadeUp(Box<TaskError>),
    #[error(transparent)]
    Draw(#[from] DrawError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Relocate(#[from] RelocateError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Export(#[from] Box<ExportError>),
    /// A study that is not what its lock says; `told` has a line for each difference.
    #[error("the study is not as it was locked in `{lock}`\n{told}", lock = lock.display())]
    Unlocked { lock: PathBuf, told: String },
    #[error("cannot {action} `{path}`: {source}", path = path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{message}")]
    Usage { message: String, hint: String },
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// Makes an I/O error carry what was tried and on which path.
    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }

    pub(super) fn render(&self, colour: bool) -> String {
        if let Self::Spec(SpecError::Wrong(errors)) = self {
            return format!("{}\n\n{}", errors.render(colour), counted(errors));
        }
        let head = if colour { "\x1b[1;31merror\x1b[0m" } else { "error" };
        match self.hint() {
            Some(hint) => format!("{head}: {self}\n  hint: {hint}"),
            None => format!("{head}: {self}"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => Some(hint.clone()),
            Self::Unlocked { .. } => Some(
                "`hebb run` without `--locked` runs it as it is; `hebb lock` locks what it then leads to".to_owned(),
            ),
            Self::Lock(LockError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Some("`hebb lock STUDY` writes it after a run".to_owned())
            }
            Self::Archive(ArchiveError::Occupied { .. }) => {
                Some("`--output DIR` unpacks to another folder; nothing is ever unpacked over what is there".to_owned())
            }
            Self::Pack(PackError::Gone { .. }) => Some("`hebb run` computes it again".to_owned()),
            Self::Runtime(missing) => Some(missing.hint()),
            Self::Store(_) | Self::Slurm(SlurmError::Store(_)) => {
                Some("`hebb doctor` shows where the cache is; `--cache DIR` puts it elsewhere".to_owned())
            }
            Self::Spec(SpecError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Some("`hebb init FILE` writes a study to start from".to_owned())
            }
            _ => None,
        }
    }

    pub(super) fn code(&self) -> ExitCode {
        match self {
            Self::Spec(_)
            | Self::Usage { .. }
            | Self::Plan(_)
            | Self::File { .. }
            | Self::Model(_)
            | Self::Lock(_)
            | Self::Pack(_)
            | Self::Relocate(_)
            | Self::Archive(_)
            | Self::Export(_)
            | Self::Unlocked { .. }
            | Self::Slurm(SlurmError::Program { .. } | SlurmError::Busy(_) | SlurmError::Unfit { .. })
            | Self::Runtime(_) => ExitCode::from(2),
            Self::Store(_) | Self::Slurm(_) | Self::Results(_) | Self::MadeUp(_) | Self::Draw(_) | Self::Output(_) => {
                ExitCode::from(3)
            }
        }
    }

    /// Whether the reader of standard output went away, which is no error of ours.
    pub(super) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

fn counted(errors: &SpecErrors) -> String {
    match errors.diagnostics().len() {
        1 => "1 error; nothing was run".to_owned(),
        n => format!("{n} errors; nothing was run"),
    }
}
