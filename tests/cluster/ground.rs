//! What a cluster stands on: its shape, its turn on this machine, its folder, its ports, and `slurm.conf`. Starts nothing.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Read as _,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use tempfile::TempDir;

/// How long the controller waits for a silent node.
pub(crate) const NODE_TIMEOUT_S: u32 = 5;

/// The longest path of a socket is 107 bytes.
const LONGEST_SOCKET: usize = 107;

/// Ports below those that the kernel hands to whoever asks, so that nobody takes a daemon's while it restarts.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How many cores a machine has for each cluster that runs at a time.
const CORES_FOR_ONE: usize = 2;

/// The nodes that a cluster pretends to have, each alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) nodes: usize,
    pub(crate) cores: usize,
    pub(crate) memory_mb: usize,
}

/// Waits for this process's turn on a machine that is too small for every cluster at once.
pub(super) fn turn() -> File {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let place = STARTED.fetch_add(1, Ordering::Relaxed) % (cores / CORES_FOR_ONE).max(1);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("slurm-{place}.lock"));
    let file = File::options().create(true).append(true).open(&path).expect("tests may write below the build folder");
    file.lock().expect("files there can be locked");
    file
}

/// A folder whose path leaves room for a socket's name.
pub(super) fn private_folder() -> TempDir {
    let inside =
        |parent: &Path| tempfile::Builder::new().prefix("hebb-slurm-").tempdir_in(parent).expect("a temporary folder");
    let mut folder = inside(&std::env::temp_dir());
    if folder.path().join("munge.socket").as_os_str().len() > LONGEST_SOCKET {
        folder = inside(Path::new("/tmp"));
    }
    // Munge wants everyone to reach its socket.
    restrict(folder.path(), 0o711);
    folder
}

pub(super) fn restrict(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its own file");
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).expect("Linux has random bytes");
    bytes
}

/// Ports on which nobody listens.
fn free_ports(n_ports: usize) -> Vec<u16> {
    let mut held = Vec::new();
    let mut ports = Vec::new();
    while ports.len() < n_ports {
        let port = PORTS.start + u16::from_le_bytes(random()) % (PORTS.end - PORTS.start);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push(listener);
            ports.push(port);
        }
    }
    ports
}

/// What `slurm.conf` says in a cluster's folder.
pub(super) fn configuration(folder: &Path, shape: Shape, forget_after_s: u32) -> String {
    let Shape { nodes, cores, memory_mb } = shape;
    let ports = free_ports(nodes + 1);
    let mut text = common(folder, ports[0], forget_after_s);
    for (port, number) in ports[1..].iter().zip(1..) {
        writeln!(
            text,
            "NodeName=n{number} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs={cores} Sockets=1 \
             CoresPerSocket={cores} ThreadsPerCore=1 RealMemory={memory_mb} State=UNKNOWN"
        )
        .expect("strings take everything");
    }
    let default_mb = (memory_mb / cores).max(1);
    write!(
        text,
        "PartitionName=main Nodes=n[1-{nodes}] Default=YES MaxTime=INFINITE State=UP DefMemPerCPU={default_mb}\n\
         PartitionName=small Nodes=n1 MaxTime=1 State=UP DefMemPerCPU={default_mb}\n"
    )
    .expect("strings take everything");
    text
}

/// The configuration without its nodes.
fn common(folder: &Path, port: u16, forget_after_s: u32) -> String {
    let folder = folder.display();
    format!(
        "ClusterName=hebb
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0,bf_continue
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed.log
SlurmdTimeout={NODE_TIMEOUT_S}
MessageTimeout=5
ReturnToService=2
SlurmdParameters=config_overrides
OverTimeLimit=0
KillWait=2
MinJobAge={forget_after_s}
MaxArraySize=10001
MaxJobCount=20000
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
"
    )
}
