//! Studies on a real Slurm cluster, which each test brings up on this machine and takes away again.
//!
//! `slurm` is that cluster, `daemons` its processes and `ground` what it stands on; `bringing_up` tests the cluster itself. A
//! test begins with `let Some(slurm) = Slurm::start(shape) else { return };`: where Slurm is not installed it has nothing to test
//! and says so; with `HEBB_REQUIRE_SLURM` set it fails. `scripts/slurm.sh` installs what is needed. Linux only.

mod bringing_up;
mod daemons;
mod ground;
mod slurm;
