//! A page as it is read here: its fenced blocks, the commands and output in them, and what comments before a block ask of the test.
//!
//! What is meant by blocks and comments is said in `mod.rs`; nothing is run here.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A Markdown file.
#[derive(Debug)]
pub(crate) struct Page {
    /// Its path from the repository's root.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) blocks: Vec<Block>,
}

/// What stands between two fences.
#[derive(Debug)]
pub(crate) struct Block {
    /// The word after the fence.
    pub(crate) language: String,
    /// Number of its first line within the page, from 1.
    pub(crate) line: usize,
    pub(crate) lines: Vec<String>,
    pub(crate) wishes: Vec<(usize, Wish)>,
}

/// What a comment asks of the test, at the line of a page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wish {
    /// Replaces a text in a file, where it must be once.
    Edit { file: String, old: String, new: String },
    /// Runs a command of the shell, which must end well.
    Shell(String),
    /// The block is what the reader writes into this file.
    Write(String),
    /// The block is a piece of this study.
    Into(String),
    /// The block, or the command, is refused with these words.
    Refused(String),
    /// Other figures are expected than those shown, for this reason.
    Alike(String),
    /// Goes on while the commands of the block are tried, until what they print looks as shown.
    During(String),
    /// The command that prints the block.
    PrintedBy(String),
}

/// A command with what is shown of its output.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) text: String,
    /// Lines of output with the number of the first one; absent where none is meant to be shown.
    pub(crate) shown: Option<(usize, Vec<String>)>,
}

impl Page {
    /// Reads a page of the repository.
    pub(crate) fn read(name: &str) -> Self {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self::of(name, text)
    }

    /// Reads a page that is this text.
    ///
    /// # Panics
    /// Where a comment asks for what nobody knows, or a block or comment never ends.
    pub(crate) fn of(name: &str, text: String) -> Self {
        let mut blocks = Vec::new();
        let mut wishes = Vec::new();
        let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
        while let Some((number, line)) = lines.next() {
            let start = line.trim_start();
            if let Some(rest) = start.strip_prefix("<!-- test") {
                let mut rest = rest;
                let mut number = number;
                loop {
                    let (wish, ends) = match rest.split_once("-->") {
                        Some((wish, _)) => (wish, true),
                        None => (rest, false),
                    };
                    if !wish.trim().is_empty() {
                        let read = Wish::read(wish.trim());
                        wishes.push((number, read.unwrap_or_else(|why| panic!("{name}:{number}: {why}"))));
                    }
                    if ends {
                        break;
                    }
                    (number, rest) =
                        lines.next().unwrap_or_else(|| panic!("{name}:{number}: a comment that never ends"));
                }
                continue;
            }
            if let Some(language) = start.strip_prefix("```") {
                let indent = line.len() - start.len();
                let mut inside = Vec::new();
                loop {
                    let (_, line) = lines.next().unwrap_or_else(|| panic!("{name}:{number}: a block that never ends"));
                    if line.trim() == "```" {
                        break;
                    }
                    let cut = line.len().min(indent);
                    inside.push(line.get(cut..).unwrap_or(line).to_owned());
                }
                let wishes = std::mem::take(&mut wishes);
                blocks.push(Block { language: language.trim().to_owned(), line: number + 1, lines: inside, wishes });
            } else if let (false, Some((number, _))) = (start.is_empty(), wishes.first()) {
                panic!("{name}:{number}: no block follows this comment");
            }
        }
        Self { name: name.to_owned(), text, blocks }
    }

    /// Every command of the page, from the top.
    pub(crate) fn commands(&self) -> Vec<Command> {
        self.blocks.iter().flat_map(Block::commands).collect()
    }

    /// Pieces of text that are set as code outside of blocks, with the numbers of their lines.
    pub(crate) fn inline_code(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut inside = false;
        for (at, line) in self.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if !inside {
                let pieces = line.split('`').skip(1).step_by(2);
                found.extend(pieces.map(|piece| (at + 1, piece.replace("\\|", "|"))));
            }
        }
        found
    }
}

impl Block {
    /// Whether it shows a session, as lines with `$ ` do whatever the fence says.
    pub(crate) fn is_session(&self) -> bool {
        self.lines.iter().any(|line| line.starts_with("$ "))
    }

    pub(crate) fn commands(&self) -> Vec<Command> {
        if self.is_session() { self.session() } else { self.script() }
    }

    pub(crate) fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Commands after `$ `, each with the lines up to the next one.
    fn session(&self) -> Vec<Command> {
        let mut commands: Vec<Command> = Vec::new();
        let mut goes_on = false;
        for (at, line) in self.lines.iter().enumerate() {
            let number = self.line + at;
            match (commands.last_mut(), line.strip_prefix("$ ")) {
                (Some(command), _) if goes_on => {
                    command.text.push('\n');
                    command.text.push_str(line);
                    command.shown = Some((number + 1, Vec::new()));
                    goes_on = line.ends_with('\\');
                }
                (_, Some(text)) => {
                    commands.push(Command {
                        line: number,
                        text: text.to_owned(),
                        shown: Some((number + 1, Vec::new())),
                    });
                    goes_on = text.ends_with('\\');
                }
                (Some(command), None) => command.shown.as_mut().expect("a session shows output").1.push(line.clone()),
                (None, None) => panic!("line {number}: output before the first command"),
            }
        }
        commands
    }

    /// Every line of a block of shell commands.
    fn script(&self) -> Vec<Command> {
        let mut commands: Vec<Command> = Vec::new();
        if !["sh", "bash", "shell"].contains(&self.language.as_str()) {
            return commands;
        }
        let mut goes_on = false;
        for (at, line) in self.lines.iter().enumerate() {
            match commands.last_mut() {
                Some(command) if goes_on => {
                    command.text.push('\n');
                    command.text.push_str(line);
                }
                _ if line.trim().is_empty() || line.starts_with('#') => continue,
                _ => commands.push(Command { line: self.line + at, text: line.clone(), shown: None }),
            }
            goes_on = line.ends_with('\\');
        }
        commands
    }

    /// The first wish that `choose` knows.
    pub(crate) fn wish<'a, T>(&'a self, choose: impl Fn(&'a Wish) -> Option<T>) -> Option<T> {
        self.wishes.iter().find_map(|(_, wish)| choose(wish))
    }
}

impl Wish {
    fn read(text: &str) -> Result<Self, String> {
        let forms = "`edit FILE: OLD -> NEW`, `sh: COMMAND`, `write: FILE`, `into: STUDY`, `refused: WORDS`, \
                     `alike: REASON`, `during: COMMAND` or `printed by: COMMAND`";
        let wrong = || format!("`{text}` is none of {forms}");
        let (name, rest) = text.split_once(": ").ok_or_else(wrong)?;
        let rest = rest.to_owned();
        Ok(match name {
            "sh" => Self::Shell(rest),
            "write" => Self::Write(rest),
            "into" => Self::Into(rest),
            "refused" => Self::Refused(rest),
            "alike" => Self::Alike(rest),
            "during" => Self::During(rest),
            "printed by" => Self::PrintedBy(rest),
            _ => {
                let file = name.strip_prefix("edit ").ok_or_else(wrong)?.to_owned();
                let (old, new) = rest.split_once(" -> ").ok_or_else(wrong)?;
                Self::Edit { file, old: old.to_owned(), new: new.to_owned() }
            }
        })
    }
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Names of all pages: README and whatever Markdown lies below `docs/`.
pub(crate) fn names() -> Vec<String> {
    let mut names = vec!["README.md".to_owned()];
    for entry in walkdir::WalkDir::new(root().join("docs")).sort_by_file_name() {
        let entry = entry.expect("readable");
        if entry.path().extension().is_some_and(|extension| extension == "md") {
            let name: &Path = entry.path().strip_prefix(root()).expect("walked from there");
            names.push(name.to_string_lossy().replace('\\', "/"));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_its_commands_output_and_wishes() {
        let text = "Words with `hebb run STUDY --jobs N`.\n\n<!-- test edit a.toml: x = 1 -> x = 2 -->\n<!-- test\nsh: true\n-->\n\
                    ```console\n$ hebb plan \\\n    a.toml\na: 1 task\n$ ls\n```\n\n```sh\n# why\nmake x \\\n  y\nls\n```\n";
        let page = Page::of("a.md", text.to_owned());
        let wishes: Vec<_> = page.blocks[0].wishes.iter().map(|(line, wish)| (*line, wish.clone())).collect();
        let edit = Wish::Edit { file: "a.toml".to_owned(), old: "x = 1".to_owned(), new: "x = 2".to_owned() };
        assert_eq!(wishes, [(3, edit), (5, Wish::Shell("true".to_owned()))]);
        let told: Vec<_> =
            page.commands().into_iter().map(|command| (command.line, command.text, command.shown)).collect();
        assert_eq!(
            told,
            [
                (8, "hebb plan \\\n    a.toml".to_owned(), Some((10, vec!["a: 1 task".to_owned()]))),
                (11, "ls".to_owned(), Some((12, vec![]))),
                (16, "make x \\\n  y".to_owned(), None),
                (18, "ls".to_owned(), None),
            ]
        );
        assert_eq!(page.inline_code(), [(1, "hebb run STUDY --jobs N".to_owned())]);
    }

    #[test]
    #[should_panic(expected = "a.md:1: `edits x` is none of")]
    fn a_wish_that_nobody_knows_is_refused() {
        Page::of("a.md", "<!-- test edits x -->\n".to_owned());
    }

    #[test]
    #[should_panic(expected = "a.md:1: no block follows")]
    fn a_wish_without_a_block_is_refused() {
        Page::of("a.md", "<!-- test sh: true -->\nwords\n".to_owned());
    }
}
