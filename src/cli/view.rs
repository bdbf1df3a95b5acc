//! `hebb view`: the page of a study, served to this machine alone, with how far a run is.
//!
//! Owns what is answered to which path; `view/server.rs` speaks HTTP, `view/request.rs` says to whom. Nothing is written and nothing is started: runs of other
//! processes are read from their logs (`runs.rs`), as `hebb status` does.

mod request;
mod server;

use self::server::{Answer, Loopback};
use super::{
    Shared,
    board::Board,
    error::CliError,
    events::Moment,
    live,
    open::OpenStudy,
    results,
    runs::{Follow, StudyRuns},
    status::StudyStanding,
    surroundings,
};
use crate::{report::render_live, spec::Study};
use clap::Args;
use serde_json::{Value, json};
use std::{
    fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

/// Arguments of `hebb view`.
#[derive(Debug, Args)]
pub(super) struct View {
    /// The study file.
    study: PathBuf,
    /// Folder of results, as given to `hebb run`.
    #[arg(long, default_value = "results", value_name = "DIR")]
    results: PathBuf,
    /// Listen on this port; without it, on one that is free.
    #[arg(long, default_value_t = 0, value_name = "N", hide_default_value = true)]
    port: u16,
}

/// Where the results folder is served.
const RESULTS: &str = "/results/";

impl View {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let study = surroundings::read(&self.study, false, shared)?;
        let page = results::page(&self.results, &study);
        let mut watch = Watch {
            study: self.study.clone(),
            runs: StudyRuns::of(&shared.cache, &self.study),
            shared,
            results: self.results.clone(),
            page: page.clone(),
            following: None,
            idle: None,
        };
        let server = Loopback::bind(self.port)?;
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        // Without a handler Ctrl-C still ends the program.
        let _ = ctrlc::set_handler(move || flag.store(true, Ordering::SeqCst));
        writeln!(stdout(), "{}: {}\nCtrl-C ends it", study.name, server.url())?;
        let folder = page.parent().expect("a page lies in the study's folder").to_owned();
        server.serve(&ended, |path| match path {
            "/" => Answer::Text("text/html; charset=utf-8", live_page(&study)),
            "/state.json" => Answer::Text("application/json", watch.state().to_string()),
            _ => match path.strip_prefix(RESULTS) {
                Some(inside) => file(&folder, inside),
                None => Answer::Nothing,
            },
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn live_page(study: &Study) -> String {
    render_live(&study.name, &study.description)
}

/// A file of the results folder, and of nothing above it, whatever the path and links in the folder say.
fn file(folder: &Path, inside: &str) -> Answer {
    let found = || {
        let path = folder.join(request::decoded(inside)?).canonicalize().ok()?;
        let is_inside = path.starts_with(folder.canonicalize().ok()?) && path.is_file();
        is_inside.then_some(path)
    };
    found().map_or(Answer::Nothing, Answer::File)
}

/// What is known of the study, read again when it may have changed.
struct Watch<'a> {
    study: PathBuf,
    runs: StudyRuns,
    shared: &'a Shared,
    results: PathBuf,
    page: PathBuf,
    following: Option<(Follow, Board)>,
    idle: Option<(Stamp, Value)>,
}

/// What the state of a study hangs on while nothing runs.
type Stamp = (Option<SystemTime>, Option<String>, usize, Option<SystemTime>);

impl Watch<'_> {
    fn state(&mut self) -> Value {
        let mut state = match self.running() {
            Some(live) => json!({ "state": "running", "live": live }),
            None => self.standing(),
        };
        let laid_out = changed(&self.page);
        let name = self.page.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        state["page"] = laid_out.map_or(Value::Null, |at| {
            let stamp = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
            json!({ "path": format!("{RESULTS}{name}"), "stamp": stamp.to_string() })
        });
        state
    }

    /// A run that goes on in some process.
    fn running(&mut self) -> Option<Value> {
        if self.following.is_none() {
            let alive = self.runs.unended().into_iter().rfind(|run| run.is_alive)?;
            self.following = Some((alive.follow().ok()?, Board::default()));
        }
        let (follow, board) = self.following.as_mut()?;
        let is_alive = follow.is_alive();
        if follow.catch_up(board).is_err() || !is_alive {
            self.following = None;
            self.idle = None;
            return None;
        }
        // A log without a line is a run that is about to begin.
        board.begun.as_ref()?;
        Some(live::json(board, Moment::now()))
    }

    fn standing(&mut self) -> Value {
        let last = self.runs.records().pop().map(|kept| kept.record.run);
        let stamp = (changed(&self.study), last, self.runs.unended().len(), changed(&self.page));
        if let Some((_, state)) = self.idle.as_ref().filter(|(known, _)| *known == stamp) {
            return state.clone();
        }
        let state = match OpenStudy::new(&self.study, self.shared) {
            Ok(open) => {
                let mut state = StudyStanding::of(&open, &self.runs, &self.results).json(&open);
                state["live"] = state["killed"].take();
                state
            }
            Err(error) => json!({ "state": "wrong", "message": error.render(false) }),
        };
        self.idle = Some((stamp, state.clone()));
        state
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|facts| facts.modified()).ok()
}
