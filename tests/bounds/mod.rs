//! What a small hostile file can make a reader do: refuse it, in little memory and without falling over.
//!
//! `watch` counts what is allocated; `files` makes the files; `numbers` and `others` have a file for each reader, and `readers` holds them to it.
//! Every file is read in a process of its own, so that what is counted is one reader's and a full stack is one test's.

mod files;
mod numbers;
mod others;
mod readers;
mod watch;
