//! `hebb man`: the manual as pages that `man` shows.
//!
//! Owns what is in a page beside what the command line says of itself; the words are those of `--help`.

use super::{Arguments, error::CliError};
use clap::{Args, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use std::{
    fs,
    io::{Write, stdout},
    path::PathBuf,
    process::ExitCode,
};

/// Arguments of `hebb man`.
#[derive(Debug, Args)]
pub(super) struct ManCommand {
    /// Write `hebb.1` and a page for each command into this folder, as `~/.local/share/man/man1`; without it `hebb.1` is printed.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl ManCommand {
    pub(super) fn run(self) -> Result<ExitCode, CliError> {
        let pages = pages();
        let Some(folder) = self.out else {
            stdout().write_all(pages[0].text.as_bytes())?;
            return Ok(ExitCode::SUCCESS);
        };
        fs::create_dir_all(&folder).map_err(CliError::file("create", &folder))?;
        for page in pages {
            let path = folder.join(format!("{}.1", page.name));
            fs::write(&path, page.text).map_err(CliError::file("write", &path))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A page of the manual.
struct Page {
    /// What it is called, as `hebb-cache-gc`.
    name: String,
    text: String,
}

/// Whose manual it is, as a page's foot says.
const SOURCE: &str = concat!("hebb ", env!("CARGO_PKG_VERSION"));

/// Pages of the program and of every command that `--help` lists, the program's first.
fn pages() -> Vec<Page> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    add_pages(&program, None, &mut pages);
    pages
}

fn add_pages(command: &clap::Command, above: Option<&str>, pages: &mut Vec<Page>) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let man = Man::new(command.clone()).title(name.to_uppercase()).source(SOURCE).manual("Hebb");
    let mut text = Vec::new();
    let mut more = Roff::new();
    match above {
        None => {
            more.control("SH", ["EXIT STATUS"]);
            for (code, meaning) in EXITS {
                more.control("TP", []);
                more.text([bold(code)]);
                more.text([roman(meaning)]);
            }
        }
        Some(above) => {
            more.control("SH", ["SEE ALSO"]);
            more.text([bold(above), roman("(1)")]);
        }
    }
    man.render(&mut text).and_then(|()| more.to_writer(&mut text)).expect("memory takes any text");
    let text = mended(&String::from_utf8(text).expect("made of text"));
    pages.push(Page { name: name.clone(), text });
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        add_pages(command, Some(&name), pages);
    }
}

/// A page as `man` wants it. A title without a date keeps an empty place for it, or what follows is read as the date; and a line
/// of space is asked for once, not as a break around an empty line.
fn mended(page: &str) -> String {
    page.replacen(&format!(" 1  \"{SOURCE}\""), &format!(" 1 \"\" \"{SOURCE}\""), 1)
        .replace("\n.br\n\n.br\n", "\n.sp\n")
}

/// What [`super::main`] exits with.
const EXITS: [(&str, &str); 5] = [
    ("0", "Done."),
    ("1", "A task failed."),
    ("2", "The study or the usage is wrong."),
    ("3", "The cache or the program is damaged."),
    ("130", "Interrupted by Ctrl-C."),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `look` with every command that is not hidden, and its page's name.
    fn every_command(command: &clap::Command, name: &str, look: &mut impl FnMut(&clap::Command, &str)) {
        look(command, name);
        for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
            every_command(below, &format!("{name}-{}", below.get_name()), look);
        }
    }

    #[test]
    fn the_title_of_a_page_keeps_a_place_for_the_date() {
        let title = format!(".TH HEBB 1 \"\" \"{SOURCE}\" Hebb");
        assert!(pages()[0].text.lines().any(|line| line == title), "{}", pages()[0].text);
    }

    #[test]
    fn every_command_has_a_page_with_all_its_options_and_what_they_do() {
        let pages = pages();
        let mut program = Arguments::command();
        program.build();
        let mut n_commands = 0;
        every_command(&program, "hebb", &mut |command, name| {
            n_commands += 1;
            let page = pages.iter().find(|page| page.name == name).unwrap_or_else(|| panic!("no page `{name}`"));
            let text = page.text.replace("\\-", "-").replace("\\ ", " ");
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let word = match (argument.get_long(), argument.get_value_names()) {
                    (Some(long), _) => format!("--{long}"),
                    (None, Some(names)) => names[0].to_string(),
                    (None, None) => argument.get_id().to_string(),
                };
                assert!(text.contains(&word), "{name}: no `{word}`");
                let help = argument.get_long_help().or(argument.get_help());
                let help = help.expect("every argument says what it does").to_string();
                let start = help.split(['\'', '`', '"', '\\', '\n']).next().unwrap();
                assert!(text.contains(start), "{name}: `{word}` lacks `{start}`");
            }
            for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
                assert!(text.contains(&format!("{name}-{}(1)", below.get_name())), "{name}: no `{}`", below.get_name());
            }
        });
        assert!(n_commands > 25, "{n_commands} commands");
        assert_eq!(pages.len(), n_commands);
    }
}
