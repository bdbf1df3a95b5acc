//! What can go wrong between a model's name and its files, and its wording.

use super::HubModel;
use crate::format::names::listed;
use std::{
    io,
    path::{Path, PathBuf},
};

/// An error of a model that is named rather than given as a folder.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The name is none that a hub could have.
    #[error("`{given}` is no model of a hub: {problem}; expected `hf:OWNER/NAME@REVISION`")]
    Name {
        /// The name.
        given: String,
        /// What is wrong with it.
        problem: &'static str,
    },

    /// The name does not say which version, or says one that changes.
    #[error(
        "`{given}` {}: expected the 40 hexadecimal digits of a commit, so that the study stays what it is; the newest is \
         told by `git ls-remote https://huggingface.co/{repository} main` or the page \
         https://huggingface.co/{repository}/commits/main",
        match revision { Some(revision) => format!("has revision `{revision}`, which may move"), None => "has no revision".to_owned() }
    )]
    Unpinned {
        /// The name.
        given: String,
        /// The repository in it.
        repository: String,
        /// What it has for a revision.
        revision: Option<String>,
    },

    /// Nothing may be asked of the network, and not all files are there.
    #[error("`{model}` is not whole in the cache, and nothing is fetched now (only `hebb run` and `hebb models fetch` do, unless `HF_HUB_OFFLINE` is set): {} in `{}` {}", lacks(missing), folder.display(), by_hand(model))]
    Offline {
        /// The model.
        model: HubModel,
        /// Where its files are looked for.
        folder: PathBuf,
        /// The files that are not there.
        missing: Vec<String>,
    },

    /// The hub cannot be reached.
    #[error("`{model}` is not whole in the cache, and `{url}` could not be asked: {reason}; {} in `{}` {}", lacks(missing), folder.display(), by_hand(model))]
    Unreachable {
        /// The model.
        model: HubModel,
        /// What was asked for.
        url: String,
        /// What went wrong.
        reason: String,
        /// Where its files are looked for.
        folder: PathBuf,
        /// The files that are not there.
        missing: Vec<String>,
    },

    /// The hub wants to know who asks, or knows and refuses.
    #[error(
        "`{model}` may not be read ({status} of `{url}`){}: it does not exist, or is private, or its terms are not accepted; \
         accept them on its page with your account, and set `HF_TOKEN` to a token of that account",
        if *with_token { ", not even with the token that is set" } else { "" }
    )]
    Denied {
        /// The model.
        model: HubModel,
        /// What was asked for.
        url: String,
        /// The hub's answer.
        status: u16,
        /// Whether a token was sent.
        with_token: bool,
    },

    /// The hub has no such repository, or no such commit of it.
    #[error(
        "`{model}` is unknown to the hub (404 of `{url}`): the name or the commit is misspelt, or both are of another hub; check `HF_ENDPOINT`"
    )]
    Unknown {
        /// The model.
        model: HubModel,
        /// What was asked for.
        url: String,
    },

    /// The repository lacks a file.
    #[error("`{model}` has no file `{file}`, which a model needs: it has {}", listed(found, 12))]
    NoFile {
        /// The model.
        model: HubModel,
        /// What it lacks.
        file: String,
        /// What it has.
        found: Vec<String>,
    },

    /// The hub lists a file that it does not have.
    #[error(
        "file `{file}` of `{model}` is listed, but not found (404 of `{url}`): the hub or its mirror is at fault; try later, or another `HF_ENDPOINT`"
    )]
    Gone {
        /// The model.
        model: HubModel,
        /// The file.
        file: String,
        /// What was asked for.
        url: String,
    },

    /// The hub answers with something that is no answer.
    #[error("`{url}` answered with {found}: expected {expected}")]
    Answer {
        /// What was asked for.
        url: String,
        /// The answer.
        found: String,
        /// What would be one.
        expected: String,
    },

    /// A file did not arrive as the hub describes it.
    #[error("file `{file}` of `{model}` arrived with digest {found}: expected {expected}; what arrived was removed")]
    Digest {
        /// The model.
        model: HubModel,
        /// The file.
        file: String,
        /// The digest of what arrived.
        found: String,
        /// The digest by the hub.
        expected: String,
    },

    /// A file in the cache is not what its format says.
    #[error("`{}` is not valid: {message}; remove it, and it is fetched anew", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },

    /// The cache cannot be read or written.
    #[error("could not {action} `{}`: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl HubError {
    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}

fn lacks(missing: &[String]) -> String {
    let names: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
    format!("place {}", names.join(", "))
}

fn by_hand(model: &HubModel) -> String {
    format!(
        "by hand, or run once where there is network, or there `hf download {} --revision {}`",
        model.repository(),
        model.revision()
    )
}
