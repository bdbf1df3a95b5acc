//! The command line: one file per command. The only part that reads arguments, environment and terminal.
//!
//! `open.rs` turns arguments into a checked study, its plan and how it stands; `engines.rs` finds what has to be installed;
//! `results.rs` lays out what a reader opens. Errors end in one place, [`main`].
//!
//! A run is heard by `audience.rs`: it makes `events.rs` of what happens, which `board.rs` counts, `frame.rs` and `live.rs`
//! put into words, `progress.rs` draws, and `runs.rs` keeps for other terminals, for `hebb view` in a browser and for later commands.

mod audience;
mod blocked;
mod board;
mod cache;
mod check;
mod cite;
mod cluster;
mod completions;
mod detached;
mod diff;
mod doctor;
mod engines;
mod error;
mod estimate;
mod events;
mod explain;
mod export_bids;
mod fields;
mod frame;
mod graph;
mod grouping;
mod init;
mod inputs;
mod inspect;
mod live;
mod lock;
mod man;
mod models;
mod names;
mod open;
mod pack;
mod plan;
mod progress;
mod remote;
mod report;
mod results;
mod run;
mod runs;
mod schema;
mod scores;
mod screen;
mod settings;
mod side;
mod simulation;
mod slurm;
mod status;
mod surroundings;
mod times;
mod trust;
mod unpack;
mod verify;
mod view;
mod words;
mod worker;

use clap::{Args, ColorChoice, Parser, Subcommand};

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
};

/// Runs experiment files for neuron-level brain encoding of vision-language models.
///
/// A study is one TOML file. `hebb run` computes what changed since it last ran and leaves a report, maps and tables.
#[derive(Debug, Parser)]
#[command(name = "hebb", version, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
struct Shared {
    /// Folder of computed results.
    #[arg(
        long,
        global = true,
        env = "HEBB_CACHE",
        default_value = "cache",
        value_name = "DIR",
        help_heading = "Places"
    )]
    cache: PathBuf,
    /// The ONNX Runtime library, if it is not found by itself (see `hebb doctor`).
    #[arg(long, global = true, env = "HEBB_ONNXRUNTIME", value_name = "FILE", help_heading = "Places")]
    onnxruntime: Option<PathBuf>,
    /// Settings over those of this machine and of the user (see `hebb doctor`).
    #[arg(long, global = true, env = "HEBB_SETTINGS", value_name = "FILE", help_heading = "Places")]
    settings: Option<PathBuf>,
    /// Read every external file again instead of trusting its size and time of change.
    #[arg(long, global = true)]
    rehash: bool,
    /// Let the study have what it asks for beyond the files of its own folder: says what that is, and remembers it.
    #[arg(long, global = true)]
    trust: bool,
    /// Whether to colour what is printed; `NO_COLOR` is heeded.
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    color: ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a commented study to start from.
    Init(init::Init),
    /// Say everything that is wrong with a study, without running it.
    Check(check::Check),
    /// Say what would run, and why.
    Plan(plan::PlanCommand),
    /// Run what changed.
    Run(run::Run),
    /// Lay out the results of a study that ran; write its charts as figures.
    Report(report::Report),
    /// Write what a study led to beside it: inputs, programs, tasks and results by digest.
    Lock(lock::LockCommand),
    /// Put a study with what it led to into one file, for another laboratory.
    Pack(pack::Pack),
    /// Make a study's folder of an archive again; whoever wrote it, nothing else is touched.
    Unpack(unpack::Unpack),
    /// Compute results again, beside the cache, and say which are the same.
    Verify(verify::Verify),
    /// Print what a study cites as BibTeX: methods, models, data, atlas, programs.
    Cite(cite::Cite),
    /// Write the results of a study as BIDS derivatives.
    ExportBids(export_bids::ExportBids),
    /// Show the page of a study in a browser, with how far a run is.
    View(view::View),
    /// Say how far a study is and where its results lie.
    Status(status::Status),
    /// Look after computed results: what takes room, what is damaged, what no study needs.
    Cache(cache::Cache),
    /// See what a run on a Slurm cluster would submit, or end one.
    Slurm(slurm::SlurmCommand),
    /// Compute what a job on a cluster is to compute.
    #[command(hide = true)]
    Worker(worker::WorkerCommand),
    /// Draw the tasks of a study.
    Graph(graph::Graph),
    /// Say everything about one task: its key, inputs, result, last run.
    Explain(explain::Explain),
    /// Compare two studies or runs: fields, tasks, results.
    Diff(diff::Diff),
    /// Say what models offer, fetch, export and verify them.
    Models(models::Models),
    /// Write a study's made-up model, stimuli and subjects as the files that a real study has.
    Inputs(inputs::Inputs),
    /// Say what a brain image, atlas, matrix or table is.
    Inspect(inspect::Inspect),
    /// Print the JSON Schema of study files or settings, for editors.
    Schema(schema::Schema),
    /// Print what completes commands and options in a shell.
    Completions(completions::Completions),
    /// Print the manual for `man`, or write its pages.
    Man(man::ManCommand),
    /// Say what was found on this machine: engines, versions, threads, memory, cache.
    Doctor(doctor::Doctor),
}

impl Shared {
    /// Whether messages on standard error are coloured.
    fn colours(&self) -> bool {
        self.colours_on(stderr().is_terminal())
    }

    /// Whether what goes to standard output is coloured.
    fn colours_output(&self) -> bool {
        self.colours_on(stdout().is_terminal())
    }

    fn colours_on(&self, is_terminal: bool) -> bool {
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }
}

/// Says something on standard error; that nobody listens is no error (`eprintln!` would panic).
fn say(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

/// Prints what comes before an exit code that must be kept, even if the reader of standard output went away.
fn answer(text: impl Display) -> io::Result<()> {
    match writeln!(stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Runs the program and gives its exit code: 0 done, 1 a task failed, 2 the study or the usage is wrong, 3 the cache or the
/// program is damaged.
#[must_use]
pub fn main() -> ExitCode {
    let Arguments { shared, command } = Arguments::parse();
    crate::math::blas::single_thread_blas();
    let done = match command {
        Command::Init(command) => command.run(),
        Command::Check(command) => command.run(&shared),
        Command::Plan(command) => command.run(&shared),
        Command::Run(command) => command.run(&shared),
        Command::Report(command) => command.run(&shared),
        Command::Lock(command) => command.run(&shared),
        Command::Pack(command) => command.run(&shared),
        Command::Unpack(command) => command.run(&shared),
        Command::Verify(command) => command.run(&shared),
        Command::Cite(command) => command.run(&shared),
        Command::ExportBids(command) => command.run(&shared),
        Command::View(command) => command.run(&shared),
        Command::Status(command) => command.run(&shared),
        Command::Cache(command) => command.run(&shared),
        Command::Slurm(command) => command.run(&shared),
        Command::Worker(command) => command.run(&shared),
        Command::Graph(command) => command.run(&shared),
        Command::Explain(command) => command.run(&shared),
        Command::Diff(command) => command.run(&shared),
        Command::Models(command) => command.run(&shared),
        Command::Inputs(command) => command.run(&shared),
        Command::Inspect(command) => command.run(&shared),
        Command::Schema(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
        Command::Doctor(command) => command.run(&shared),
    };
    match done {
        Ok(code) => code,
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            say(error.render(shared.colours()));
            error.code()
        }
    }
}
