//! The program: see [`hebb::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    hebb::cli::main()
}
