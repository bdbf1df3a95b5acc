//! Studies that are run on a cluster and here, and what of both is compared.

use super::slurm::Slurm;
use crate::cli::world::{Answer, SIMULATED, World, runtime};
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a busy machine may take for a small study.
const ENDS_WITHIN: Duration = Duration::from_secs(300);

/// A folder with a study and settings that send it to a cluster.
pub(super) struct OnCluster {
    pub(super) world: World,
    environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
}

/// Settings for the small clusters of tests.
pub(super) const SETTINGS: &str =
    "[execution]\nexecutor = \"slurm\"\n\n[execution.slurm]\npoll_s = 0.2\nmemory_gb = 0.5\n";

impl OnCluster {
    /// The small study in a folder of its own, for this cluster; absent without ONNX Runtime.
    pub(super) fn new(slurm: &Slurm, settings: &str) -> Option<Self> {
        Self::with(slurm, SIMULATED, settings)
    }

    pub(super) fn with(slurm: &Slurm, study: &str, settings: &str) -> Option<Self> {
        runtime()?;
        let world = World::empty();
        world.write("study.toml", study);
        world.write("site.toml", settings);
        Some(Self { world, environment: slurm.environment() })
    }

    /// The small study on files of its own.
    pub(super) fn recorded(slurm: &Slurm, settings: &str) -> Option<Self> {
        let world = World::recorded()?;
        world.write("site.toml", settings);
        Some(Self { world, environment: slurm.environment() })
    }

    pub(super) fn command(&self, arguments: &str) -> Command {
        let mut command = self.world.command(arguments);
        command.envs(self.environment.iter().cloned());
        command
    }

    pub(super) fn hebb(&self, arguments: &str) -> Answer {
        Answer::of(&mut self.command(arguments))
    }

    /// The command while it runs; what it says lies in `said.txt`.
    pub(super) fn start(&self, arguments: &str) -> Running {
        let said = fs::File::create(self.world.path("said.txt")).expect("writable");
        let also = said.try_clone().expect("a handle");
        let child = self.command(arguments).stdout(Stdio::from(said)).stderr(Stdio::from(also)).spawn();
        Running { child: child.expect("the program starts"), said: self.world.path("said.txt") }
    }

    /// Results that were published.
    pub(super) fn n_records(&self) -> usize {
        let entries = walkdir::WalkDir::new(self.world.path("cache/records")).into_iter().flatten();
        entries.filter(|entry| entry.file_type().is_file()).count()
    }

    /// Waits until so many results were published.
    #[track_caller]
    pub(super) fn until_published(&self, n: usize) {
        wait_until(&format!("{n} results are published"), || self.n_records() >= n);
    }

    /// What coordinator and workers left each other.
    pub(super) fn left(&self) -> Vec<PathBuf> {
        let entries = walkdir::WalkDir::new(self.world.path("cache/cluster")).into_iter().flatten();
        let files = entries.filter(|entry| entry.file_type().is_file()).map(|entry| entry.path().to_owned());
        files.filter(|path| path.file_name().is_some_and(|name| name != "run.log")).collect()
    }

    /// Everything that the study led to, and that nothing is half done.
    #[track_caller]
    pub(super) fn outcome(&self) -> Outcome {
        self.world.has_whole_cache();
        Outcome::of(&self.world)
    }
}

/// A command that runs.
pub(super) struct Running {
    pub(super) child: Child,
    said: PathBuf,
}

impl Running {
    pub(super) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was killed");
    }

    pub(super) fn interrupt(&self) {
        let pid = self.child.id().try_into().expect("process ids are positive numbers of 32 bits");
        // SAFETY: takes two numbers.
        unsafe { libc::kill(pid, libc::SIGINT) };
    }

    /// Its exit code and what it said, once it has ended.
    #[track_caller]
    pub(super) fn end(mut self) -> (i32, String) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
            }
            if started.elapsed() > ENDS_WITHIN {
                let _ = self.child.kill();
                panic!("it does not end: {}", self.said());
            }
            thread::sleep(Duration::from_millis(20));
        };
        (status.code().expect("it was not killed"), self.said())
    }

    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.said).expect("readable")
    }
}

/// What a study led to: the lock, which names every task's result by digest, and each file of its results.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    lock: String,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Outcome {
    #[track_caller]
    pub(super) fn of(world: &World) -> Self {
        world.hebb("lock study.toml").exits(0);
        let results = world.path("results");
        let entries = walkdir::WalkDir::new(&results).into_iter().map(|entry| entry.expect("readable"));
        // What begins with a full stop tells what was laid out from where; the page and the list of tasks, how long each
        // took.
        let is_result = |entry: &walkdir::DirEntry| {
            let name = entry.file_name().to_string_lossy();
            entry.file_type().is_file()
                && !name.starts_with('.')
                && !["report.html", "tasks.tsv"].contains(&name.as_ref())
        };
        let files = entries.filter(is_result).map(|entry| {
            let inside = entry.path().strip_prefix(&results).expect("walked from there").to_owned();
            (inside, fs::read(entry.path()).expect("readable"))
        });
        Self { lock: world.text("study.lock.toml"), files: files.collect() }
    }

    /// What a study leads to on this machine.
    #[track_caller]
    pub(super) fn here(study: &str) -> Self {
        let world = World::empty();
        world.write("study.toml", study);
        world.hebb("run study.toml --executor local").exits(0);
        Self::of(&world)
    }

    #[track_caller]
    pub(super) fn assert_is(&self, other: &Self) {
        assert_eq!(self.lock, other.lock);
        let names = |outcome: &Self| outcome.files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(self), names(other));
        for (name, bytes) in &self.files {
            assert!(other.files[name] == *bytes, "{} differs", name.display());
        }
    }
}

/// Waits until something holds.
#[track_caller]
pub(super) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < ENDS_WITHIN, "not after {ENDS_WITHIN:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
