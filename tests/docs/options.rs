//! The program's own tree of commands, as its `--help` prints it, against the pages: neither names what the other does not know.

use super::page::{Page, names};
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

/// Options of each command, by its words without `hebb`.
type Tree = BTreeMap<String, BTreeSet<String>>;

fn help(path: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebb"));
    let output = command.args(path.split_whitespace()).arg("--help").output().expect("the program starts");
    assert!(output.status.success(), "`hebb {path} --help` fails");
    String::from_utf8(output.stdout).expect("text")
}

/// Long options at the beginnings of lines, and names of subcommands.
fn read(help: &str) -> (BTreeSet<String>, Vec<String>) {
    let mut options = BTreeSet::new();
    let mut commands = Vec::new();
    let mut section = String::new();
    for line in help.lines() {
        if !line.starts_with(' ') && line.ends_with(':') {
            section = line.to_owned();
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if section == "Commands:" && line.starts_with("  ") && !line.starts_with("   ") {
            commands.extend(words.first().filter(|name| **name != "help").map(|name| (*name).to_owned()));
        }
        let long = match words.as_slice() {
            [first, ..] if first.starts_with("--") => Some(first),
            [first, second, ..] if first.starts_with('-') && first.ends_with(',') && second.starts_with("--") => {
                Some(second)
            }
            _ => None,
        };
        if let (true, Some(long)) = (section != "Commands:", long) {
            options.insert(name_of(long));
        }
    }
    (options, commands)
}

/// `--jobs` of `--jobs=N` or `[--jobs`.
fn name_of(word: &str) -> String {
    let start = word.find("--").unwrap_or(0);
    word[start..].chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect()
}

/// The tree, and the long name of each short option of a command.
fn tree() -> (Tree, BTreeMap<(String, String), String>) {
    let mut tree = Tree::new();
    let mut shorts = BTreeMap::new();
    let mut waiting = vec![String::new()];
    while let Some(path) = waiting.pop() {
        let help = help(&path);
        let (options, commands) = read(&help);
        for line in help.lines().filter(|line| line.trim_start().starts_with('-')) {
            if let Some((short, long)) = line.trim().split_once(", --") {
                shorts.insert((path.clone(), short.to_owned()), name_of(&format!("--{long}")));
            }
        }
        waiting.extend(commands.iter().map(|name| format!("{path} {name}").trim().to_owned()));
        tree.insert(path, options);
    }
    (tree, shorts)
}

/// `pin|unpin STUDY` is `pin STUDY` and `unpin STUDY`; values of options stand with bars too, and are no commands.
fn alternatives(code: &str) -> Vec<String> {
    let words: Vec<&str> = code.split_whitespace().collect();
    let choice = words.iter().position(|word| word.contains('|') && !word.contains(['[', ']', '-']));
    let Some(at) = choice.filter(|at| *at < 3) else {
        return vec![words.iter().map(|word| unbracketed(word)).collect::<Vec<_>>().join(" ")];
    };
    let alternative = |one: &str| {
        let words = words.iter().enumerate().map(|(place, word)| if place == at { one } else { word });
        words.map(unbracketed).collect::<Vec<_>>().join(" ")
    };
    words[at].split('|').map(alternative).collect()
}

/// A word that may be left out, without the brackets that say so.
fn unbracketed(word: &str) -> &str {
    word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).unwrap_or(word)
}

/// The command that code is about: the longest one that its words begin with.
fn command_of(tree: &Tree, words: &[&str]) -> Option<String> {
    let longest = (1..=words.len().min(2)).rev().map(|n| words[..n].join(" "));
    longest.filter(|name| !name.is_empty()).find(|name| tree.contains_key(name))
}

/// Every piece of code on a page that speaks of the program, with its line: inline, in tables and in blocks.
fn code(page: &Page) -> Vec<(usize, String)> {
    let mut found = page.inline_code();
    found.extend(page.commands().into_iter().map(|command| (command.line, command.text.replace("\\\n", " "))));
    found
}

#[test]
fn help_is_read() {
    let help = "Says.\n\nUsage: x\n\nCommands:\n  run   Runs\n  help  Prints\n\n\
                Options:\n  -o, --out <FILE>\n          To\n      --all  Everything\n";
    let (options, commands) = read(help);
    assert_eq!(options.into_iter().collect::<Vec<_>>(), ["--all", "--out"]);
    assert_eq!(commands, ["run"]);
}

#[test]
fn pages_name_every_command_and_option_and_none_that_is_not_there() {
    let (tree, shorts) = tree();
    assert!(tree.len() > 30, "{tree:?}");
    let pages: Vec<Page> = names().iter().map(|name| Page::read(name)).collect();
    let shared: BTreeSet<String> = tree[""].iter().filter(|option| *option != "--version").cloned().collect();
    let mut named: BTreeSet<(String, String)> = BTreeSet::new();
    let mut said: BTreeSet<String> = BTreeSet::new();
    let mut wrong = Vec::new();
    for page in &pages {
        for (line, code) in code(page) {
            for part in code.split(" | ").flat_map(|part| part.split(" && ")).flat_map(alternatives) {
                let words: Vec<&str> = part.split_whitespace().collect();
                let begins = words.iter().position(|word| *word == "hebb").map(|at| at + 1);
                let words = begins.map_or(words.as_slice(), |at| &words[at..]);
                let command = command_of(&tree, words);
                let told = words.iter().map(|word| word.trim_start_matches('[').trim_end_matches(']'));
                let options: Vec<String> = told
                    .filter(|word| word.starts_with('-'))
                    .filter_map(|word| match word.starts_with("--") {
                        true => Some(name_of(word)).filter(|name| name.len() > 2),
                        false => shorts.get(&(command.clone()?, word.to_owned())).cloned(),
                    })
                    .collect();
                said.extend(options.iter().cloned());
                let names = |word: &&&str| word.starts_with(|letter: char| letter.is_ascii_lowercase());
                let named_wrongly = words.first().filter(names).filter(|_| begins.is_some() && command.is_none());
                if let Some(word) = named_wrongly {
                    wrong.push(format!("{}:{line}: `{code}`: there is no `hebb {word}`", page.name));
                }
                let Some(command) = command else { continue };
                for option in options {
                    if !tree[&command].contains(&option) {
                        wrong.push(format!("{}:{line}: `{code}`: `hebb {command}` has no `{option}`", page.name));
                    }
                    named.insert((command.clone(), option));
                }
                named.insert((command, String::new()));
            }
        }
    }
    let said_of = |command: &str, option: &str| {
        named.contains(&(command.to_owned(), option.to_owned())) || (said.contains(option) && shared.contains(option))
    };
    for (command, options) in &tree {
        let parent = tree.keys().any(|other| !command.is_empty() && other.starts_with(&format!("{command} ")));
        if !command.is_empty() && !parent && !named.contains(&(command.clone(), String::new())) {
            wrong.push(format!("no page names `hebb {command}`"));
        }
        for option in options.iter().filter(|option| !["--help", "--version"].contains(&option.as_str())) {
            if command.is_empty() && !said.contains(option) {
                wrong.push(format!("no page names `hebb {option}`"));
            }
            if !command.is_empty() && !shared.contains(option) && !said_of(command, option) && !said.contains(option) {
                wrong.push(format!("no page names `hebb {command} {option}`"));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
