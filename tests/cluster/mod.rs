//! Studies on a real Slurm cluster, which each test brings up on this machine and takes away again.
//!
//! `slurm` is that cluster, `daemons` its processes and `ground` what it stands on; `bringing_up` tests the cluster itself, `running`
//! runs studies on it, and `losing` loses parts of both; `studies` is what these have in common. `leasing`
//! has two machines share a cache. A
//! test begins with `let Some(slurm) = Slurm::start(shape) else { return };`: where Slurm is not installed it has nothing to test
//! and says so; with `HEBB_REQUIRE_SLURM` set it fails. `scripts/slurm.sh` installs what is needed. Linux only.

mod bringing_up;
mod daemons;
mod ground;
mod leasing;
mod losing;
mod running;
mod slurm;
mod studies;
