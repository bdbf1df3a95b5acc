//! A Slurm cluster on this machine: its configuration, its daemons, what it says of jobs, and its end. Everything lies in a
//! private folder and listens on the loopback only. Knows nothing of Hebb.
//!
//! Nodes are pretended: each is a daemon with as many cores and as much memory as the shape says. Partition `main` has them
//! all, `small` the first for a minute at most. Jobs whose memory passes their request end as FAILED by signal 9, those past
//! their limit as TIMEOUT; limits are whole minutes. A node whose daemon is killed is given up after [`NODE_TIMEOUT_S`] or a little
//! more, and its jobs are queued again.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    daemons::{self, Daemon, find},
    ground::{configuration, private_folder, random, restrict, turn},
};

pub(crate) use super::ground::{NODE_TIMEOUT_S, Shape};

/// What has not come up by then does not; long, because a machine under test is busy.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A job, or an element of an array, as the controller tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// `12`, or `12_3` for an element of an array.
    pub(crate) id: String,
    pub(crate) name: String,
    /// As in `PENDING`.
    pub(crate) state: String,
    pub(crate) reason: String,
    /// A wait status: 256 times the exit code, or the signal.
    pub(crate) exit_status: u32,
    /// How often it was queued again.
    pub(crate) restarts: u32,
    /// Where it runs or ran; empty while it waits.
    pub(crate) node: String,
}

impl Job {
    /// Whether it waits, runs or is just ending.
    pub(crate) fn is_live(&self) -> bool {
        const FINAL: [&str; 9] = [
            "COMPLETED",
            "FAILED",
            "CANCELLED",
            "TIMEOUT",
            "NODE_FAIL",
            "OUT_OF_MEMORY",
            "PREEMPTED",
            "BOOT_FAIL",
            "DEADLINE",
        ];
        !FINAL.contains(&self.state.as_str())
    }
}

/// Slurm's programs as this machine has them.
struct Programs {
    munged: PathBuf,
    slurmctld: PathBuf,
    slurmd: PathBuf,
}

impl Programs {
    /// Those of this machine, or why there is no cluster here.
    fn find() -> Result<Self, String> {
        let program = |name: &str| find(name).ok_or(format!("there is no `{name}`: `scripts/slurm.sh` installs Slurm"));
        let programs =
            Self { munged: program("munged")?, slurmctld: program("slurmctld")?, slurmd: program("slurmd")? };
        for name in ["sbatch", "squeue", "sinfo", "scontrol", "scancel"] {
            program(name)?;
        }
        match daemons::can_isolate() {
            Ok(()) => Ok(programs),
            Err(error) => {
                Err(format!("daemons cannot have a host name of their own, which needs the superuser: {error}"))
            }
        }
    }
}

/// A running cluster; it ends, with every job, when this is dropped.
pub(crate) struct Slurm {
    folder: TempDir,
    programs: Programs,
    munge: Option<Daemon>,
    controller: Option<Daemon>,
    nodes: Vec<Option<Daemon>>,
    /// Keeps others from starting a cluster where the machine is too small for two.
    _turn: File,
}

impl Slurm {
    /// A cluster whose nodes are ready, and which remembers jobs that have ended; none, after saying why on standard error,
    /// where there cannot be one.
    ///
    /// # Panics
    /// If there cannot be one and `HEBB_REQUIRE_SLURM` is set, and if daemons start but do not come up.
    pub(crate) fn start(shape: Shape) -> Option<Self> {
        Self::start_forgetting(shape, 3600)
    }

    /// The same, where the controller forgets a job soon after it has ended: after this many seconds or, as it looks only
    /// now and then, somewhat later. Slurm takes at least 2 to mean anything.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub(crate) fn start_forgetting(shape: Shape, after_s: u32) -> Option<Self> {
        let programs = match Programs::find() {
            Ok(programs) => programs,
            Err(why) => {
                assert!(std::env::var_os("HEBB_REQUIRE_SLURM").is_none(), "{why}");
                eprintln!("nothing tested: {why}");
                return None;
            }
        };
        let turn = turn();
        let folder = private_folder();
        let mut slurm = Self {
            programs,
            munge: None,
            controller: None,
            nodes: (0..shape.nodes).map(|_| None).collect(),
            folder,
            _turn: turn,
        };
        slurm.write_configuration(shape, after_s);
        slurm.start_munge();
        slurm.start_controller();
        for node in 0..shape.nodes {
            slurm.spawn_node(node);
        }
        slurm.until("every node is idle", |slurm| {
            let states = slurm.said("sinfo", &["-h", "-N", "-p", "main", "-o", "%t"]).unwrap_or_default();
            states.lines().count() == shape.nodes && states.lines().all(|state| state == "idle")
        });
        Some(slurm)
    }

    fn write_configuration(&self, shape: Shape, forget_after_s: u32) {
        let folder = self.folder();
        let key: [u8; 128] = random();
        fs::write(folder.join("munge.key"), key).expect("writable");
        restrict(&folder.join("munge.key"), 0o600);
        fs::create_dir(folder.join("state")).expect("writable");
        fs::create_dir(folder.join("spool")).expect("writable");
        let text = configuration(folder, shape, forget_after_s);
        fs::write(self.configuration(), text).expect("writable");
    }

    fn start_munge(&mut self) {
        let path = |option: &str, name: &str| {
            let mut argument = OsString::from(option);
            argument.push(self.folder().join(name));
            argument
        };
        let arguments = [
            "--foreground".into(),
            // Its folder lies in one where anyone may write, as temporary folders do.
            "--force".into(),
            path("--socket=", "munge.socket"),
            path("--key-file=", "munge.key"),
            path("--pid-file=", "munged.pid"),
            path("--log-file=", "munged.log"),
            path("--seed-file=", "munged.seed"),
        ];
        self.munge = Some(self.daemon(&self.programs.munged, &arguments, "munged.out"));
        self.until("munge has its socket", |slurm| slurm.folder().join("munge.socket").exists());
    }

    fn daemon(&self, program: &Path, arguments: &[OsString], log: &str) -> Daemon {
        let started = Daemon::start(program, arguments, &self.folder().join(log));
        started.unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()))
    }

    fn configuration(&self) -> PathBuf {
        self.folder().join("slurm.conf")
    }

    /// What clients must have in their environment to reach this cluster.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let system = std::env::split_paths(daemons::PROGRAM_FOLDERS).collect::<Vec<_>>();
        let path = std::env::join_paths(std::env::split_paths(&path).chain(system)).expect("made of such paths");
        vec![("SLURM_CONF".into(), self.configuration().into()), ("PATH".into(), path)]
    }

    /// A client's command in that environment, without what an outer Slurm would tell it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if ["SLURM_", "SBATCH_", "SQUEUE_", "SINFO_"]
                .iter()
                .any(|prefix| name.to_string_lossy().starts_with(prefix))
            {
                command.env_remove(name);
            }
        }
        command.envs(self.environment()).stdin(Stdio::null());
        command
    }

    /// What a client prints if it succeeds.
    fn said(&self, program: &str, arguments: &[&str]) -> Option<String> {
        let output = self.command(program).args(arguments).output().expect("Slurm's clients start");
        output.status.success().then(|| String::from_utf8(output.stdout).expect("Slurm prints text"))
    }

    /// What a client prints.
    ///
    /// # Panics
    /// With all that it and the daemons said, if it fails.
    #[track_caller]
    pub(crate) fn ask(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().expect("Slurm's clients start");
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}\n{}", self.logs());
        String::from_utf8(output.stdout).expect("Slurm prints text")
    }

    /// Waits until this holds.
    ///
    /// # Panics
    /// With what the daemons said, if it does not hold within a minute.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !holds(self) {
            assert!(started.elapsed() < READY_WITHIN, "not after {READY_WITHIN:?}: {what}\n{}", self.logs());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Kills the controller as a crash would: what it did not save yet is lost.
    pub(crate) fn kill_controller(&mut self) {
        if let Some(controller) = self.controller.take() {
            controller.kill();
        }
    }

    /// Lets the controller save its state and end.
    pub(crate) fn stop_controller_cleanly(&mut self) {
        if let Some(controller) = self.controller.take() {
            controller.end();
        }
    }

    /// Starts the controller on the state that the last one left, unless it runs; returns when it answers.
    ///
    /// # Panics
    /// If it does not answer within a minute.
    pub(crate) fn start_controller(&mut self) {
        if self.controller.is_none() {
            let arguments = ["-D".into(), "-f".into(), self.configuration().into()];
            self.controller = Some(self.daemon(&self.programs.slurmctld, &arguments, "slurmctld.out"));
        }
        self.until("the controller answers", |slurm| slurm.said("scontrol", &["ping"]).is_some());
    }

    /// Kills the daemon of a node, counted from 0; its jobs go on, as they do when only the daemon dies.
    pub(crate) fn kill_node(&mut self, node: usize) {
        if let Some(daemon) = self.nodes[node].take() {
            daemon.kill();
        }
    }

    /// Kills the daemon of a node and every process of its jobs, as a power cut would.
    pub(crate) fn lose_node(&mut self, node: usize) {
        self.kill_node(node);
        let name = format!("n{}", node + 1);
        daemons::kill_jobs(self.folder(), |node| node == name);
    }

    /// Starts the daemon of a node, unless it runs; returns when the controller, if there is one, counts on it.
    ///
    /// # Panics
    /// If it does not within a minute.
    pub(crate) fn start_node(&mut self, node: usize) {
        if self.nodes[node].is_none() {
            self.spawn_node(node);
        }
        if self.controller.is_some() {
            let name = format!("n{}", node + 1);
            self.until("the node is back", |slurm| {
                let states =
                    slurm.said("sinfo", &["-h", "-N", "-p", "main", "-n", &name, "-o", "%t"]).unwrap_or_default();
                ["idle", "mix", "alloc", "comp"].contains(&states.trim())
            });
        }
    }

    fn spawn_node(&mut self, node: usize) {
        let name = format!("n{}", node + 1);
        let arguments = ["-D".into(), "-f".into(), self.configuration().into(), "-N".into(), name.clone().into()];
        self.nodes[node] = Some(self.daemon(&self.programs.slurmd, &arguments, &format!("slurmd-{name}.out")));
    }

    /// Every job that the controller remembers, elements of arrays each for itself.
    ///
    /// # Panics
    /// If the controller does not answer.
    #[track_caller]
    pub(crate) fn jobs(&self) -> Vec<Job> {
        let columns = "JobArrayID:|,Name:|,State:|,Reason:|,exit_code:|,RestartCnt:|,NodeList:|";
        let lines = self.ask("squeue", &["-h", "-t", "all", "-r", "-O", columns]);
        let job = |line: &str| {
            let fields: Vec<_> = line.split('|').map(str::trim).collect();
            let [id, name, state, reason, exit_status, restarts, node, ..] = fields[..] else {
                panic!("a job: {line}")
            };
            Job {
                id: id.to_owned(),
                name: name.to_owned(),
                state: state.to_owned(),
                reason: reason.to_owned(),
                exit_status: exit_status.parse().unwrap_or_else(|_| panic!("an exit status: {line}")),
                restarts: restarts.parse().unwrap_or_else(|_| panic!("a number of restarts: {line}")),
                node: node.to_owned(),
            }
        };
        lines.lines().map(job).collect()
    }

    /// How many jobs wait, run or are just ending.
    #[track_caller]
    pub(crate) fn live_jobs(&self) -> usize {
        self.jobs().iter().filter(|job| job.is_live()).count()
    }

    /// Where everything of this cluster lies; tests may put files of their own there.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Process ids of the daemons that run.
    pub(crate) fn daemon_pids(&self) -> Vec<u32> {
        let daemons = self.munge.iter().chain(&self.controller).chain(self.nodes.iter().flatten());
        daemons.map(Daemon::pid).collect()
    }

    /// Process ids of what jobs run and of what watches over them.
    pub(crate) fn job_pids(&self) -> Vec<u32> {
        daemons::job_processes(self.folder()).into_iter().map(|process| process.pid).collect()
    }

    /// The last that every daemon said.
    pub(crate) fn logs(&self) -> String {
        const LINES: usize = 40;
        let entries = fs::read_dir(self.folder()).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut paths: Vec<_> = entries
            .filter(|path| path.extension().is_some_and(|extension| extension == "log" || extension == "out"))
            .collect();
        paths.sort();
        let mut logs = String::new();
        for path in paths {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
            let lines: Vec<_> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(LINES)..].join("\n");
            writeln!(logs, "== {}\n{tail}", path.display()).expect("strings take everything");
        }
        logs
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        // The controller first, so that it starts nothing anew; what it would save goes with the folder.
        self.kill_controller();
        for node in 0..self.nodes.len() {
            self.kill_node(node);
        }
        daemons::kill_jobs(self.folder(), |_| true);
        if let Some(munge) = self.munge.take() {
            munge.kill();
        }
    }
}
