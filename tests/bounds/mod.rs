//! What a small hostile file can make a reader do: refuse it, in little memory and without falling over.
//!
//! `watch` counts what is allocated; `files` makes the files; `readers` is the table of readers with a file for each. Every file is read in a
//! process of its own, so that what is counted is one reader's and a full stack is one test's.

mod files;
mod readers;
mod watch;
