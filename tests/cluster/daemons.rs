//! Processes of a test's cluster: daemons under a host name of their own that end with this process, what is left of jobs,
//! and the sockets that they listen on. Everything is ended by its process id. Knows nothing of Slurm's configuration.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    io,
    net::Ipv4Addr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        mpsc::{Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// What the folders of programs are to daemons and to jobs that bring no environment.
pub(super) const PROGRAM_FOLDERS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a daemon may take to end when it is asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// Where a program is: in the folders of `PATH`, or in those that only the superuser has there.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = std::env::split_paths(PROGRAM_FOLDERS).collect::<Vec<_>>();
    std::env::split_paths(&path).chain(system).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// A process in the foreground with a session of its own.
pub(super) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts a program whose words go to `log`.
    pub(super) fn start(program: &Path, arguments: &[OsString], log: &Path) -> io::Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // What a job sees that brings no environment comes from here.
        command.env_clear().env("PATH", PROGRAM_FOLDERS).env("HOME", "/root").env("USER", "root");
        command.current_dir(log.parent().expect("a log lies in a folder"));
        spawn(isolated(command)).map(|child| Self { child })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it at once.
    pub(super) fn kill(mut self) {
        // Fails where it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn end(mut self) {
        signal(self.pid(), libc::SIGTERM);
        let until = Instant::now() + ENDS_WITHIN;
        while self.is_running() && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        self.kill();
    }
}

fn signal(pid: u32, signal: i32) {
    let pid = pid.try_into().expect("process ids are positive numbers of 32 bits");
    // SAFETY: takes two numbers; that the process is gone is an answer, not a fault.
    unsafe { libc::kill(pid, signal) };
}

/// A command in a session of its own, on a host called `localhost`, that ends with this process.
fn isolated(mut command: Command) -> Command {
    let checked = |status: libc::c_int| if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    let prepare = move || {
        let name = b"localhost";
        // SAFETY: system calls on numbers and on a name that outlives the call; none allocates, as after `fork` none may.
        unsafe {
            checked(libc::setsid())?;
            checked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            // Slurm's controller listens where the host's name leads, and that must be the loopback.
            checked(libc::unshare(libc::CLONE_NEWUTS))?;
            checked(libc::sethostname(name.as_ptr().cast(), name.len()))
        }
    };
    // SAFETY: `prepare` makes system calls only.
    unsafe { command.pre_exec(prepare) };
    command
}

/// Why a daemon cannot be given a host name of its own here.
///
/// # Errors
/// Whatever the kernel answers, most often that only the superuser may.
pub(super) fn can_isolate() -> io::Result<()> {
    let mut command = isolated(Command::new("/bin/true"));
    command.stdin(Stdio::null()).status().map(|_| ())
}

/// Starts a process from a thread that lives as long as this process: the kernel ends a daemon with the thread that it comes
/// from, and a test's own thread may be gone before its cluster.
fn spawn(command: Command) -> io::Result<Child> {
    type Request = (Command, Sender<io::Result<Child>>);
    static STARTER: OnceLock<Sender<Request>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, requests) = channel::<Request>();
        thread::spawn(move || {
            for (mut command, answer) in requests {
                // Whoever asked waits for the answer.
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (sender, answer) = channel();
    starter.send((command, sender)).expect("the thread takes requests for ever");
    answer.recv().expect("the thread answers every request")
}

/// A process that a job left: where it ran and under which id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JobProcess {
    pub(super) pid: u32,
    pub(super) node: String,
}

/// Processes of jobs on the cluster in `folder`: scripts, what they started, and what watches over each job on its node, which
/// outlives it while the controller does not answer.
pub(super) fn job_processes(folder: &Path) -> Vec<JobProcess> {
    let on =
        |pid| node_of_watcher(pid, folder).or_else(|| node_of_work(pid, folder)).map(|node| JobProcess { pid, node });
    pids().filter_map(on).collect()
}

/// The node on which a process watches over a job: one that writes to the log of that node. Its environment and arguments
/// are overwritten with a title.
fn node_of_watcher(pid: u32, folder: &Path) -> Option<String> {
    if !fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.starts_with("slurmstepd") {
        return None;
    }
    // Among others, such as the job's output.
    let node = |link: &Path| {
        let name = link.strip_prefix(folder).ok()?.to_str()?;
        Some(name.strip_prefix("slurmd-")?.strip_suffix(".log")?.to_owned())
    };
    open_files(pid).iter().find_map(|link| node(link))
}

/// The node on which a process does a job's work: it has the job's environment.
fn node_of_work(pid: u32, folder: &Path) -> Option<String> {
    // Of others, or gone since they were listed.
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let variables: Vec<_> = environment.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
    let value = |name: &str| variables.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='));
    let is_here = value("SLURM_CONF").is_some_and(|configuration| Path::new(configuration).starts_with(folder));
    value("SLURM_JOB_ID").filter(|_| is_here)?;
    value("SLURMD_NODENAME").map(str::to_owned)
}

/// Where the open files of a process are; none if it is gone.
fn open_files(pid: u32) -> BTreeSet<PathBuf> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    links.filter_map(|entry| fs::read_link(entry.path()).ok()).collect()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Ends processes of jobs on these nodes, and returns when they have ended.
pub(super) fn kill_jobs(folder: &Path, on: impl Fn(&str) -> bool) {
    // More than once: a script that is killed here may be just starting another process. Not for ever: what waits for a disk
    // that does not answer cannot be killed.
    for _ in 0..1000 {
        let left: Vec<_> = job_processes(folder).into_iter().filter(|process| on(&process.node)).collect();
        if left.is_empty() {
            break;
        }
        for process in left {
            signal(process.pid, libc::SIGKILL);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process is there and has not ended.
pub(super) fn is_alive(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rfind(')').is_some_and(|end| !status[end + 1..].trim_start().starts_with('Z'))
}

/// Addresses that a process listens on over TCP, and whether any of them is not of version 4.
pub(super) fn listening(pid: u32) -> (Vec<Ipv4Addr>, bool) {
    let sockets = open_files(pid);
    let lines = |table: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let lines = text.lines().skip(1).map(fields).collect::<Vec<_>>();
        // Local address, state (0A listens) and inode are the second, fourth and tenth field.
        let mine =
            |fields: &Vec<String>| fields[3] == "0A" && sockets.contains(Path::new(&format!("socket:[{}]", fields[9])));
        lines.into_iter().filter(mine).map(|fields| fields[1].clone()).collect::<Vec<_>>()
    };
    let address = |text: &String| {
        let (address, _) = text.split_once(':').expect("an address and a port");
        // Written as the number that the machine holds, whose bytes lie in the order of the network.
        Ipv4Addr::from(u32::from_str_radix(address, 16).expect("eight digits").to_ne_bytes())
    };
    (lines("tcp").iter().map(address).collect(), !lines("tcp6").is_empty())
}
