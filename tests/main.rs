//! Everything that needs several modules, files on disk or the program itself; one binary, so that it links once.

mod brain;
mod math;
mod model;
mod report;
mod study;
