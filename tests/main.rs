//! Everything that needs several modules, files on disk or the program itself; one binary, so that it links once.

mod bounds;
mod brain;
mod cli;
#[cfg(target_os = "linux")]
mod cluster;
#[cfg(target_os = "linux")]
mod docs;
mod format;
mod fuzzing;
mod math;
mod model;
mod project;
mod report;
mod spec;
mod stimulus;
mod study;
