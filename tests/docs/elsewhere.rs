//! Commands and output of pages that a plain test cannot have: they install, want a network, a cluster or another machine.
//!
//! Each says why, and which other file of this repository does run it or makes the same output. That file must have the words that
//! are named, and some page the command: an entry that is no longer needed fails.

/// A command, the first line of a block, or the name of a whole page, that is tried elsewhere.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    /// What it begins with.
    pub(crate) begins: &'static str,
    pub(crate) why: &'static str,
    /// The file that tries it, and words of that file which do.
    pub(crate) by: &'static str,
    pub(crate) words: &'static str,
}

/// All of them.
pub(crate) const ELSEWHERE: &[Elsewhere] = &[
    Elsewhere {
        begins: "make quickstart",
        why: "installs system packages and compiles the program",
        by: ".ci/run",
        words: "\nmake quickstart\n",
    },
    Elsewhere {
        begins: "make test",
        why: "installs system packages, compiles everything, and would run this very test",
        by: ".ci/run",
        words: "\nmake test\n",
    },
    Elsewhere {
        begins: "make wheel",
        why: "compiles the program with OpenBLAS inside and installs it from package registries",
        by: "Makefile",
        words: "bash scripts/wheel.sh",
    },
    Elsewhere {
        begins: "make dist",
        why: "compiles the program with OpenBLAS inside",
        by: "Makefile",
        words: "bash scripts/dist.sh",
    },
    Elsewhere {
        begins: "docs/contributing.md",
        why: "compiles the program, and has pieces of tasks that are yours to write",
        by: ".ci/run",
        words: "\ncargo clippy --release --all-targets",
    },
    Elsewhere {
        begins: "docs/reference.md",
        why: "has examples that belong to different studies",
        by: "tests/spec/reference.rs",
        words: "fn every_example",
    },
    Elsewhere {
        begins: "hebb run experiments/quickstart.toml --executor slurm --detach",
        why: "submits jobs to a Slurm cluster",
        by: "tests/cluster/running.rs",
        words: "--detach",
    },
    Elsewhere {
        begins: "hebb run ours.toml",
        why: "takes results from a bucket that another machine has filled",
        by: "tests/cli/remotes.rs",
        words: "fetched, 0 cached",
    },
    Elsewhere {
        begins: "[41/44] failed group: job 44_0 was killed for using more than",
        why: "is what a run on a Slurm cluster says, where a job is killed for its memory",
        by: "tests/cluster/running.rs",
        words: "was killed for using more than the 700 MB",
    },
];

/// The entry that a command, a block or a page falls under.
pub(crate) fn elsewhere(command: &str) -> Option<&'static Elsewhere> {
    ELSEWHERE.iter().find(|entry| command.starts_with(entry.begins))
}
