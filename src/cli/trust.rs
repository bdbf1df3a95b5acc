//! What studies may have beyond the files of their own folders: whoever uses this machine says so once with `--trust`.
//!
//! Kept in the user's state folder and not in the cache or beside the study, where an archive from a stranger could bring it.

use super::{runs::replace_file, say};
use crate::{format::memory::read_within, share::unpacked_folder, spec::Demand};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// What each study was granted, by the place of its file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Grants {
    studies: BTreeMap<PathBuf, Granted>,
}

/// What one study was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Granted {
    read: BTreeSet<PathBuf>,
    films: bool,
    remotes: BTreeSet<String>,
}

impl Granted {
    fn demands(&self) -> impl Iterator<Item = Demand> {
        let read = self.read.iter().cloned().map(Demand::Read);
        let remotes = self.remotes.iter().cloned().map(Demand::Remote);
        read.chain(self.films.then_some(Demand::Films)).chain(remotes)
    }

    fn has(&self, demand: &Demand) -> bool {
        self.demands().any(|granted| demand.is_in(&granted))
    }

    fn grant(&mut self, demand: &Demand) {
        match demand {
            Demand::Read(path) => drop(self.read.insert(path.clone())),
            Demand::Films => self.films = true,
            Demand::Remote(address) => drop(self.remotes.insert(address.clone())),
        }
    }
}

/// What one study has been granted, and what it is granted now.
#[derive(Debug)]
pub(super) struct Trust {
    study: PathBuf,
    /// The folder that a study lies in with all that came with it, if it was unpacked.
    home: Option<PathBuf>,
    granted: Granted,
    /// Whether whatever is asked is granted.
    grants_all: bool,
    new: Mutex<BTreeSet<Demand>>,
}

impl Trust {
    /// Of the study in `file`; `grants_all` says yes to whatever it asks.
    pub(super) fn of(file: &Path, grants_all: bool) -> Self {
        let study = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let granted = place().and_then(|place| read(&place).studies.remove(&study)).unwrap_or_default();
        Self { study, home: unpacked_folder(file), granted, grants_all, new: Mutex::default() }
    }

    /// Whether the study may have this.
    pub(super) fn allows(&self, demand: &Demand) -> bool {
        let is_at_home = |path: &Path| self.home.as_ref().is_some_and(|home| path.starts_with(home));
        if self.granted.has(demand) || matches!(demand, Demand::Read(path) if is_at_home(path)) {
            return true;
        }
        if self.grants_all {
            self.new.lock().expect("no holder panics").insert(demand.clone());
        }
        self.grants_all
    }

    /// Keeps what was granted now, and says what it was.
    pub(super) fn keep(self) {
        let new = self.new.into_inner().expect("no holder panics");
        if new.is_empty() {
            return;
        }
        let mut granted = self.granted;
        for demand in &new {
            say(format_args!("trusted: this study may {demand}"));
            granted.grant(demand);
        }
        let kept = place().ok_or_else(|| "there is no home folder".to_owned()).and_then(|place| {
            let mut grants = read(&place);
            grants.studies.insert(self.study, granted);
            let text = serde_json::to_vec_pretty(&grants).expect("grants are plain data");
            let folder = place.parent().expect("the file lies in a folder of the program");
            let written = fs::create_dir_all(folder).and_then(|()| replace_file(&place, &text));
            written.map_err(|error| format!("cannot write `{}`: {error}", place.display()))
        });
        if let Err(why) = kept {
            say(format_args!("warning: say `--trust` again next time: {why}"));
        }
    }
}

/// The file of grants, as the system places what a program remembers for a user.
fn place() -> Option<PathBuf> {
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let home = || env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).map(PathBuf::from);
    let state = state.or_else(|| Some(home().filter(|home| home.is_absolute())?.join(".local/state")))?;
    Some(state.join("hebb/trusted.json"))
}

/// Bytes that the file may have.
const MOST_BYTES: u64 = 16 << 20;

/// What was granted so far; a file that cannot be read grants nothing.
fn read(place: &Path) -> Grants {
    read_within(place, MOST_BYTES).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_granted_with_all_below_it_and_nothing_beside_it() {
        let mut granted = Granted::default();
        granted.grant(&Demand::Read("/data/hcp".into()));
        granted.grant(&Demand::Remote("s3://lab".into()));
        for (demand, expected) in [
            (Demand::Read("/data/hcp/100610".into()), true),
            (Demand::Read("/data/hcp".into()), true),
            (Demand::Read("/data".into()), false),
            (Demand::Read("/data/hcp2".into()), false),
            (Demand::Films, false),
            (Demand::Remote("s3://lab".into()), true),
            (Demand::Remote("s3://lab2".into()), false),
        ] {
            assert_eq!(granted.has(&demand), expected, "{demand}");
        }
    }
}
