//! Words of output, with what differs from run to run by its nature put aside: times, sizes, digests, dates, process numbers, ports,
//! folders of the machine, and whether two such words say the same.
//!
//! Names and counts stay as they are.

use std::collections::BTreeMap;

/// A word of output, or several that are one quantity.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Word {
    pub(crate) masked: String,
    /// Digests in it, in order.
    pub(crate) digests: Vec<String>,
    /// Line that it stands on, from 0.
    pub(crate) line: usize,
    pub(crate) begins_line: bool,
}

const TIME_UNITS: [&str; 6] = ["ms", "s", "min", "h", "d", "us"];
const SIZE_UNITS: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "kB", "MB", "GB", "bytes"];

/// Words of lines.
pub(crate) fn words(lines: &[String]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for (line, text) in lines.iter().enumerate() {
        let raw: Vec<&str> = text.split_whitespace().collect();
        let mut at = 0;
        while at < raw.len() {
            let (taken, masked, digests) = mask(&raw, at);
            match words.last_mut() {
                // `7 min 1 s` is one time.
                Some(last) if at > 0 && masked.starts_with("<time>") && last.masked.ends_with("<time>") => {
                    last.masked.push_str(&masked["<time>".len()..]);
                }
                _ => words.push(Word { masked, digests, line, begins_line: at == 0 }),
            }
            at += taken;
        }
    }
    words
}

/// Takes one word or quantity at a place of a line.
fn mask(raw: &[&str], at: usize) -> (usize, String, Vec<String>) {
    let word = raw[at];
    let (before, core, after) = bare(word);
    let next = raw.get(at + 1).map(|word| bare(word));
    if is_number(core) && after.is_empty() {
        if let Some(("", unit, after)) = next {
            if TIME_UNITS.contains(&unit) {
                return (2, format!("{before}<time>{after}"), Vec::new());
            }
            if SIZE_UNITS.contains(&unit) {
                return (2, format!("{before}<size>{after}"), Vec::new());
            }
            if unit == "jobs" && at > 0 && raw[at - 1] == "with" {
                return (2, format!("{before}<n> jobs{after}"), Vec::new());
            }
        }
        if at > 0 && ["process", "pid", "job"].contains(&raw[at - 1]) {
            return (1, format!("{before}<n>"), Vec::new());
        }
    }
    if is_date(core) && after.is_empty() && next.is_some_and(|(_, time, _)| time.matches(':').count() == 2) {
        return (2, format!("{before}<date>{}", next.map_or("", |(_, _, after)| after)), Vec::new());
    }
    if core.strip_suffix("/s").is_some_and(is_number) {
        return (1, format!("{before}<rate>{after}"), Vec::new());
    }
    if is_number(core) && !is_digest(core) {
        return (1, word.to_owned(), Vec::new());
    }
    let mut digests = Vec::new();
    let mut masked = String::new();
    let mut run = String::new();
    for letter in core.chars().chain([' ']) {
        if letter.is_ascii_alphanumeric() {
            run.push(letter);
            continue;
        }
        if is_digest(&run) {
            digests.push(std::mem::take(&mut run));
            masked.push_str("<digest>");
        } else {
            masked.push_str(&std::mem::take(&mut run));
        }
        if letter != ' ' {
            masked.push(letter);
        }
    }
    if let Some(place) = masked.find("127.0.0.1:") {
        let start = place + "127.0.0.1:".len();
        let end = masked[start..].find(|letter: char| !letter.is_ascii_digit()).map_or(masked.len(), |end| start + end);
        masked.replace_range(start..end, "<port>");
    }
    if masked.len() > 1 && masked.starts_with('/') {
        masked = format!("<path>/{}", masked.trim_end_matches('/').rsplit('/').next().unwrap_or_default());
    }
    (1, format!("{before}{masked}{after}"), digests)
}

/// A word without the marks around it.
fn bare(word: &str) -> (&str, &str, &str) {
    let start = word.find(|letter: char| !"(`\"'[".contains(letter)).unwrap_or(word.len());
    let end = word
        .rfind(|letter: char| !")`\"'],;:.".contains(letter))
        .map_or(start, |end| end + word[end..].chars().next().map_or(0, char::len_utf8));
    let end = end.max(start);
    (&word[..start], &word[start..end], &word[end..])
}

fn is_number(word: &str) -> bool {
    word.starts_with(|letter: char| letter.is_ascii_digit()) && word.parse::<f64>().is_ok()
}

fn is_date(word: &str) -> bool {
    word.len() == 10
        && word.matches('-').count() == 2
        && word.chars().all(|letter| letter.is_ascii_digit() || letter == '-')
}

fn is_digest(word: &str) -> bool {
    word.len() >= 8 && word.chars().all(|letter| letter.is_ascii_digit() || ('a'..='f').contains(&letter))
}

/// A line without any number, for what is shown of another machine or moment.
pub(crate) fn shape(line: &str) -> String {
    let masked: Vec<String> = words(&[line.to_owned()]).into_iter().map(|word| word.masked).collect();
    let mut shape: Vec<String> = Vec::new();
    for word in masked {
        let mut figure = false;
        let mut told = String::new();
        let quantities = ["<time>", "<size>", "<rate>", "<n>", "<digest>"];
        let word = quantities.iter().fold(word, |word, quantity| word.replace(quantity, "0"));
        for letter in word.chars() {
            let number = letter.is_ascii_digit() || (figure && letter == '.');
            if number && !figure {
                told.push('#');
            }
            if !number {
                told.push(letter);
            }
            figure = number;
        }
        shape.push(told);
    }
    shape.join(" ")
}

/// Digests as a page shows them, and those that took their places.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    known: BTreeMap<String, String>,
}

impl Digests {
    /// What a word was shown as now stands for what was printed; the first meeting counts.
    pub(crate) fn learn(&mut self, shown: &Word, printed: &Word) {
        for (shown, printed) in shown.digests.iter().zip(&printed.digests) {
            self.known.entry(shown.clone()).or_insert_with(|| printed.clone());
        }
    }

    /// A command with the digests of this run.
    pub(crate) fn put_into(&self, command: &str) -> String {
        self.known.iter().fold(command.to_owned(), |command, (shown, printed)| command.replace(shown, printed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(line: &str) -> String {
        words(&[line.to_owned()]).into_iter().map(|word| word.masked).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_differs_by_nature_is_put_aside_and_counts_stay() {
        let table = [
            (
                "quickstart: 51 computed, 35 cached in 5.6 s, saved 7 min 1 s",
                "quickstart: 51 computed, 35 cached in <time>, saved <time>",
            ),
            ("133 artifacts (114.37 MiB) and 272 records read", "133 artifacts (<size>) and 272 records read"),
            ("A  run 34b98c33 of a.toml, 2026-11-29 08:16:33 UTC", "A run <digest> of a.toml, <date> UTC"),
            ("lies in `cache/damaged/62dfa7d98a54cc-1` now", "lies in `cache/damaged/<digest>-1` now"),
            ("run 32102393, and 12345 of", "run <digest>, and 12345 of"),
            ("20.83 MiB (21842163 bytes) would", "<size> (<size>) would"),
            ("quickstart: http://127.0.0.1:40613/", "quickstart: http://127.0.0.1:<port>/"),
            ("time: about 5.5 s with 2 jobs (11 s of work)", "time: about <time> with <n> jobs (<time> of work)"),
            ("pinned /home/you/hebb/a.toml: its 86 results", "pinned <path>/a.toml: its 86 results"),
            ("run by process 28030 since", "run by process <n> since"),
            ("visual 696 0.255 -0.004", "visual 696 0.255 -0.004"),
            ("  204/240  96.4/s  2.1 s", "204/240 <rate> <time>"),
        ];
        for (line, expected) in table {
            assert_eq!(masked(line), expected);
        }
    }

    #[test]
    fn a_shape_has_no_figures() {
        assert_eq!(shape("  2   13 d 5 h   2.0   100.0 %  2"), "# # # # % #");
        assert_eq!(shape("extract  8  0"), "extract # #");
    }
}
