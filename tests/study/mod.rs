//! The assembled program: what an edit reruns, what survives a failure, what is the same everywhere, what is found again.
//!
//! `bench` plans and runs small studies and records what happened. All but the pinned keys need ONNX Runtime.

mod bench;
mod collect;
mod damage;
mod edits;
mod failure;
mod faults;
mod fields;
mod files;
mod films;
mod findings;
mod laboratory;
mod meter;
mod pictures;
mod pinned;
mod processes;
mod reasons;
mod regressions;
mod scripted;
mod soak;
mod store;
mod sweeps;
mod truth;
