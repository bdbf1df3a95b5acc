//! A folder in which a page is tried: the repository's experiments, a home of its own, the built program first on the `PATH`, and no
//! network.
//!
//! A reader's terminal keeps its folder and its variables from one command to the next; so does this one.

use super::page::root;
use crate::cli::world::runtime;
use std::{
    fs::{self, File},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longest time that one command may take.
const LONGEST: Duration = Duration::from_secs(400);

/// What the reader has when a page begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Begin {
    /// Hebb, and nothing has run.
    Fresh,
    /// `make quickstart` has run.
    QuickstartRan,
}

/// A reader's machine.
pub(crate) struct Sandbox {
    folder: TempDir,
    library: PathBuf,
    /// Keeps the results that this one's were copied from.
    _base: Option<Arc<Sandbox>>,
}

/// What a command left.
#[derive(Clone, Debug)]
pub(crate) struct Printed {
    pub(crate) status: i32,
    /// Standard output and errors as they came.
    pub(crate) lines: Vec<String>,
}

/// A command that goes on.
pub(crate) struct Background {
    child: Child,
    output: PathBuf,
    /// The folder as it is called in pages.
    root: PathBuf,
}

impl Sandbox {
    /// A machine as a page finds it; absent without ONNX Runtime.
    pub(crate) fn new(begin: Begin) -> Option<Self> {
        let library = fs::canonicalize(runtime()?).expect("the library is there");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut sandbox = Self { folder, library, _base: None };
        fs::create_dir_all(sandbox.root()).expect("writable");
        for name in ["bin", "home"] {
            fs::create_dir(sandbox.folder.path().join(name)).expect("writable");
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_hebb"), sandbox.folder.path().join("bin/hebb"))
            .expect("writable");
        copy(&root().join("experiments"), &sandbox.root().join("experiments"), false);
        copy(&root().join("schemas"), &sandbox.root().join("schemas"), false);
        if begin == Begin::QuickstartRan {
            let base = base()?;
            // Folders of runs and studies tell of the place where those ran, which the reader has never seen.
            for name in ["artifacts", "records"] {
                copy(
                    &base.root().join("cache").join(name),
                    &sandbox.root().join("cache").join(name),
                    name == "artifacts",
                );
            }
            let _ = fs::copy(base.root().join("cache/times.json"), sandbox.root().join("cache/times.json"));
            sandbox._base = Some(base);
            let ran = sandbox.shell("hebb run experiments/quickstart.toml");
            assert!(ran.status == 0 && ran.lines.iter().any(|line| line.contains("0 computed")), "{ran:#?}");
        }
        Some(sandbox)
    }

    /// Where the reader works.
    pub(crate) fn root(&self) -> PathBuf {
        fs::canonicalize(self.folder.path()).expect("a folder").join("hebb")
    }

    /// Starts a command in a shell, with what earlier ones left.
    fn start(&self, script: &str, output: &Path) -> Child {
        let home = self.folder.path().join("home");
        let path = std::env::var("PATH").unwrap_or_default();
        let file = File::create(output).expect("writable");
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).current_dir(self.root()).stdin(Stdio::null());
        command.stdout(file.try_clone().expect("a file")).stderr(file);
        for (name, _) in std::env::vars_os().filter(|(name, _)| {
            ["HEBB_", "AWS_", "GOOGLE_", "AZURE_", "HF_", "XDG_", "SLURM_", "NO_COLOR", "CLICOLOR", "PYTHON"]
                .iter()
                .any(|start| name.to_string_lossy().starts_with(start))
        }) {
            command.env_remove(name);
        }
        command.env("PATH", format!("{}:{path}", self.folder.path().join("bin").display()));
        command.env("HOME", &home).env("XDG_CONFIG_HOME", home.join(".config")).env("LC_ALL", "C.UTF-8");
        command
            .env("REPOSITORY", root())
            .env("HEBB_SITE_SETTINGS", home.join("site.toml"))
            .env("HEBB_ONNXRUNTIME", &self.library);
        // Whatever asks the network meets nobody.
        for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env(name, "http://127.0.0.1:9");
        }
        command.env("HF_ENDPOINT", "http://127.0.0.1:9");
        command.process_group(0).spawn().expect("bash is there")
    }

    /// Runs a command to its end.
    pub(crate) fn shell(&self, command: &str) -> Printed {
        let state = self.folder.path().join("state");
        let state = state.display();
        let script = format!(
            "set -o pipefail\n[ -f '{state}' ] && source '{state}'\n{command}\nstatus=$?\n\
             {{ export -p; printf 'cd %q\\n' \"$PWD\"; }} >'{state}'\nexit $status\n"
        );
        let output = self.folder.path().join("output");
        let child = self.start(&script, &output);
        Background { child, output, root: self.root() }.wait(LONGEST)
    }

    /// Starts a command that goes on.
    pub(crate) fn background(&self, command: &str) -> Background {
        let output = self.folder.path().join("background");
        let child = self.start(&format!("exec {command}"), &output);
        Background { child, output, root: self.root() }
    }
}

impl Background {
    /// What has been printed so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        let bytes = fs::read(&self.output).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).replace(&self.root.display().to_string(), "/home/you/hebb");
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_some()
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn interrupt(self) -> Printed {
        self.signal(libc::SIGINT);
        self.wait(Duration::from_secs(60))
    }

    fn signal(&self, signal: i32) {
        let group = -i32::try_from(self.child.id()).expect("a process number");
        // SAFETY: a call without pointers, to the group that the child was started as and that nobody has waited for yet.
        unsafe { libc::kill(group, signal) };
    }

    fn wait(mut self, longest: Duration) -> Printed {
        let start = Instant::now();
        while !self.has_ended() {
            if start.elapsed() > longest {
                self.signal(libc::SIGKILL);
                self.child.wait().expect("a child of ours");
                panic!("it had not ended after {longest:?}: {:#?}", self.lines());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let status = self.child.wait().expect("a child of ours");
        let status = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
        Printed { status, lines: self.lines() }
    }
}

/// The quickstart, run once while pages need it.
fn base() -> Option<Arc<Sandbox>> {
    static BASE: Mutex<Weak<Sandbox>> = Mutex::new(Weak::new());
    let mut base = BASE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(base) = base.upgrade() {
        return Some(base);
    }
    let made = Arc::new(Sandbox::new(Begin::Fresh)?);
    let ran = made.shell("hebb run experiments/quickstart.toml");
    assert_eq!(ran.status, 0, "{ran:#?}");
    *base = Arc::downgrade(&made);
    Some(made)
}

/// Copies a folder, or gives its files a second name where none of them is ever written again.
fn copy(from: &Path, to: &Path, links: bool) {
    let from = fs::canonicalize(from).expect("a folder");
    for entry in walkdir::WalkDir::new(&from) {
        let entry = entry.expect("readable");
        let target = to.join(entry.path().strip_prefix(&from).expect("walked from there"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(target).expect("writable");
        } else if !links || fs::hard_link(entry.path(), &target).is_err() {
            fs::copy(entry.path(), target).expect("writable");
        }
    }
}
