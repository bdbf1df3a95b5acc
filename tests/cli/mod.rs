//! The program as a user meets it: what it prints, its exit codes, what it leaves on disk.
//!
//! `commands` takes every command, `printing` colours and pipes, `refused` and `damaged` bad input: what is found before
//! anything runs, and what only running finds; `following` looks at a run from another process, `viewing` at `hebb view`,
//! `sharing` at locks, `secrets` at what is never told and who may read what is written, `packing` at archives, `exporting` at
//! data sets, `planning` at clusters on paper, `verifying` at `hebb verify`, `remotes` at shared caches, `repeating` at what
//! changes no byte, `models` at models, `inspect` at what an input holds, `settings` at those of a user and a site, `comparing`
//! at what runs left. Each test has a [`World`] of its own.

mod commands;
mod comparing;
mod damaged;
mod exporting;
mod following;
mod inspect;
mod models;
mod packing;
mod planning;
mod printing;
mod refused;
mod remotes;
mod repeating;
mod secrets;
mod settings;
mod sharing;
mod verifying;
mod viewing;
pub(crate) mod world;

use world::{Answer, SIMULATED, World, base, runtime};
