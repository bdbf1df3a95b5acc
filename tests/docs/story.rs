//! A page told from top to bottom on one machine: every command is run, every output compared, every other block read by what reads it.

use super::{
    compare::{Difference, alike, compare, renewed},
    contents,
    elsewhere::elsewhere,
    mask::Digests,
    page::{Block, Command, Page, Wish, root},
    sandbox::{Begin, Printed, Sandbox},
};
use std::{
    fs,
    time::{Duration, Instant},
};

/// A page while it is told.
struct Story<'a> {
    page: &'a Page,
    sandbox: Sandbox,
    digests: Digests,
    faults: Vec<String>,
    /// Lines that a page would have instead, each with the first line and the number of those that it has now.
    renewed: Vec<(usize, usize, Vec<String>)>,
    n_run: usize,
    n_elsewhere: usize,
    n_contents: usize,
}

/// Tells a page; `beforehand` is run first, for what the reader is supposed to have.
///
/// # Panics
/// With everything that is not as the page says.
pub(crate) fn tell(name: &str, begin: Begin, beforehand: &str) {
    let Some(sandbox) = Sandbox::new(begin) else { return };
    tell_in(sandbox, &Page::read(name), beforehand);
}

fn tell_in(sandbox: Sandbox, page: &Page, beforehand: &str) {
    let name = &page.name;
    let mut story = Story {
        page,
        sandbox,
        digests: Digests::default(),
        faults: Vec::new(),
        renewed: Vec::new(),
        n_run: 0,
        n_elsewhere: 0,
        n_contents: 0,
    };
    if !beforehand.is_empty() {
        let ready = story.sandbox.shell(&format!("set -e\n{beforehand}\nset +e"));
        assert_eq!(ready.status, 0, "{name}: what the reader has beforehand: {ready:#?}");
    }
    for block in &page.blocks {
        story.block(block);
    }
    story.end();
}

impl Story<'_> {
    fn block(&mut self, block: &Block) {
        for (line, wish) in &block.wishes {
            match wish {
                Wish::Edit { file, old, new } => self.edit(*line, file, old, new),
                Wish::Shell(command) => {
                    let done = self.sandbox.shell(&self.digests.put_into(command));
                    if done.status != 0 {
                        self.fault(
                            *line,
                            &format!("`{command}` ended with {}: {}", done.status, done.lines.join("\n")),
                        );
                    }
                }
                _ => {}
            }
        }
        let commands = block.commands();
        if commands.is_empty() {
            self.contents(block);
        } else if let Some(going) =
            block.wish(|wish| if let Wish::During(command) = wish { Some(command) } else { None })
        {
            self.during(going, &commands);
        } else {
            for command in &commands {
                self.command(block, command);
            }
        }
    }

    fn edit(&mut self, line: usize, file: &str, old: &str, new: &str) {
        let path = self.sandbox.root().join(file);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let n = text.matches(old).count();
        if n == 1 {
            fs::write(path, text.replace(old, new)).expect("writable");
        } else {
            self.fault(line, &format!("`{file}` has `{old}` {n} times, which an edit replaces once"));
        }
    }

    fn command(&mut self, block: &Block, command: &Command) {
        if elsewhere(&command.text).is_some() {
            self.n_elsewhere += 1;
            return;
        }
        self.n_run += 1;
        let text = self.digests.put_into(&command.text);
        let printed =
            if text.starts_with("hebb view ") { self.look(&text, command) } else { self.sandbox.shell(&text) };
        let shown = command.shown.as_ref().map(|(_, lines)| lines.as_slice()).unwrap_or_default();
        let refused = block.wish(|wish| if let Wish::Refused(words) = wish { Some(words) } else { None });
        let fails = refused.is_some() || shown.iter().any(|line| line.starts_with("error:"));
        let all = printed.lines.join("\n");
        if (printed.status != 0) != fails || refused.is_some_and(|words| !all.contains(words.as_str())) {
            let expected = if fails { "an error" } else { "0" };
            self.fault(
                command.line,
                &format!("`{text}` ended with {}, expected {expected}; it printed\n{all}", printed.status),
            );
            return;
        }
        let Some((_, shown)) = &command.shown else { return };
        let other = block.wish(|wish| if let Wish::Alike(_) = wish { Some(()) } else { None }).is_some();
        let found = match other {
            true => alike(shown, &printed.lines),
            false if text.starts_with("hebb doctor") => {
                compare(&labels(shown), &labels(&printed.lines), &mut self.digests)
            }
            false => compare(shown, &printed.lines, &mut self.digests),
        };
        if let Err(difference) = found {
            self.differs(command, &difference, &printed);
        }
    }

    /// Starts what serves until it is ended, waits for what it says first, and ends it.
    fn look(&self, text: &str, command: &Command) -> Printed {
        let mut going = self.sandbox.background(text);
        let n_shown = command.shown.as_ref().map_or(1, |(_, lines)| lines.len());
        let start = Instant::now();
        while going.lines().len() < n_shown && !going.has_ended() && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let printed = going.interrupt();
        // Ctrl-C is how it ends.
        Printed { status: if printed.status == 130 { 0 } else { printed.status }, ..printed }
    }

    /// Asks again and again while something goes on, until the answers have the form that is shown.
    fn during(&mut self, going: &str, commands: &[Command]) {
        let mut going = self.sandbox.background(going);
        for command in commands {
            self.n_run += 1;
            let shown = command.shown.as_ref().map(|(_, lines)| lines.as_slice()).unwrap_or_default();
            loop {
                let over = going.has_ended();
                let printed = self.sandbox.shell(&command.text);
                match alike(shown, &printed.lines) {
                    Ok(()) => break,
                    Err(difference) if over => {
                        self.differs(command, &difference, &printed);
                        break;
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(100)),
                }
            }
        }
        going.interrupt();
    }

    fn contents(&mut self, block: &Block) {
        self.n_contents += 1;
        let first = block.lines.first().map(String::as_str).unwrap_or_default();
        if elsewhere(first).is_some() {
            self.n_elsewhere += 1;
            return;
        }
        if let Some(command) = block.wish(|wish| if let Wish::PrintedBy(command) = wish { Some(command) } else { None })
        {
            let command =
                Command { line: block.line, text: command.clone(), shown: Some((block.line, block.lines.clone())) };
            self.command(block, &command);
            return;
        }
        if let Err(why) = contents::check(block, &self.sandbox) {
            self.fault(block.line, &why);
        }
    }

    fn differs(&mut self, command: &Command, difference: &Difference, printed: &Printed) {
        let (start, shown) = command.shown.as_ref().expect("only what is shown differs");
        let new = renewed(shown, &printed.lines);
        let all = printed.lines.join("\n");
        let told = format!("after `{}`: {}; it printed\n{all}", command.text, difference.told);
        self.fault(start + difference.line, &told);
        self.renewed.push((*start, shown.len(), new));
    }

    fn fault(&mut self, line: usize, what: &str) {
        self.faults.push(format!("{}:{line}: {what}", self.page.name));
    }

    fn end(self) {
        let Self { page, faults, renewed, n_run, n_elsewhere, n_contents, .. } = self;
        println!("{}: {n_run} commands run, {n_elsewhere} tried elsewhere, {n_contents} other blocks", page.name);
        if std::env::var_os("HEBB_DOCS_REWRITE").is_some() && !renewed.is_empty() {
            let mut lines: Vec<String> = page.text.lines().map(str::to_owned).collect();
            for (start, n, new) in renewed.into_iter().rev() {
                lines.splice(start - 1..start - 1 + n, new);
            }
            fs::write(root().join(&page.name), lines.join("\n") + "\n").expect("writable");
        }
        assert!(
            faults.is_empty(),
            "{} differs from what happens in {} places:\n\n{}\n\n`HEBB_DOCS_REWRITE=1 cargo test --release docs` writes what was \
             printed into the page; see tests/docs/mod.rs",
            page.name,
            faults.len(),
            faults.join("\n\n")
        );
    }
}

/// What `hebb doctor` tells of any machine: what it looked for.
fn labels(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| line.split("  ").next().unwrap_or_default().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a page, if anything is.
    fn faults(text: &str) -> Option<String> {
        let sandbox = Sandbox::new(Begin::Fresh)?;
        let page = Page::of("a.md", text.to_owned());
        let told =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tell_in(sandbox, &page, "echo mine >mine.txt")));
        told.err().map(|error| *error.downcast::<String>().expect("a message"))
    }

    #[test]
    fn a_true_page_has_no_faults() {
        let text = "<!-- test edit mine.txt: mine -> yours -->\n```console\n$ cat mine.txt\nyours\n$ cd experiments\n```\n\n\
                    <!-- test write: b.txt -->\n```text\nb\n```\n\n```sh\ntest \"$(basename $PWD)\" = experiments\n```\n\n\
                    <!-- test printed by: cat ../b.txt -->\n```text\nb\n```\n\n```console\n$ hebb check none.toml\n\
                    error: cannot read `none.toml`: No such file or directory (os error 2)\n...\n```\n";
        assert_eq!(faults(text), None);
    }

    #[test]
    fn whatever_a_page_has_wrong_is_told_with_its_line() {
        if crate::cli::world::runtime().is_none() {
            return;
        }
        let table = [
            (
                "```console\n$ echo 3 tasks\n4 tasks\n```\n",
                "a.md:3: after `echo 3 tasks`: `4 tasks` was not printed there",
            ),
            ("```console\n$ false\n```\n", "a.md:2: `false` ended with 1, expected 0"),
            ("```console\n$ echo error: x\nerror: x\n```\n", "a.md:2: `echo error: x` ended with 0, expected an error"),
            ("```sh\nhebb no-such-command\n```\n", "a.md:2: `hebb no-such-command` ended with 2, expected 0"),
            (
                "<!-- test edit mine.txt: theirs -> ours -->\n```sh\ntrue\n```\n",
                "a.md:1: `mine.txt` has `theirs` 0 times",
            ),
            ("```toml\n[units]\nkinds = \"mlp\"\n```\n", "a.md:2: it is refused:\nerror: unknown key `units.kinds`"),
            (
                "<!-- test refused: nothing -->\n```toml\n[units]\nkind = \"mlp\"\n```\n",
                "a.md:3: expected an error with `nothing`",
            ),
            ("```json\n{\n```\n", "a.md:2: EOF while parsing"),
            ("```text\nwords\n```\n", "a.md:2: nothing is known of a block of `text`"),
        ];
        for (text, expected) in table {
            let told = faults(text).unwrap_or_else(|| panic!("nothing is said of {text}"));
            assert!(told.contains(expected), "{told}");
        }
    }
}
