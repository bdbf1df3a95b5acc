//! Output that is shown against output that was printed, and what a page would say instead.
//!
//! Whitespace and the wrapping of lines do not count. A line of `...` or `…` stands for any lines. The counted lines of a run,
//! `[3/86] …`, come in the order of chance: those that are shown must be among those printed, and all may be left out. So may the line
//! with the times of tasks by kind, which only long runs print.

use super::mask::{Digests, Word, shape, words};
use std::collections::BTreeSet;

/// Widest line that is written into a page.
const WIDTH: usize = 128;

/// Where output is not what is shown.
#[derive(Debug, PartialEq)]
pub(crate) struct Difference {
    /// Line of what is shown, from 0.
    pub(crate) line: usize,
    pub(crate) told: String,
}

fn is_elision(line: &str) -> bool {
    ["...", "…"].contains(&line.trim())
}

/// The name and the number of all tasks in a counted line.
fn counted(line: &str) -> Option<(&str, &str)> {
    let (counter, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let (done, all) = counter.split_once('/')?;
    let number = |text: &str| !text.is_empty() && text.trim().chars().all(|letter| letter.is_ascii_digit());
    (number(done) && number(all)).then_some((all, rest.split(" (").next().unwrap_or(rest)))
}

/// What a run adds at its end when it took long, which it does on a slow machine.
const LONG: &str = "time of tasks by kind: ";

fn plain(lines: &[String]) -> Vec<String> {
    lines.iter().filter(|line| counted(line).is_none() && !line.starts_with(LONG)).cloned().collect()
}

/// Compares, and learns which digest stands for which.
pub(crate) fn compare(shown: &[String], printed: &[String], digests: &mut Digests) -> Result<(), Difference> {
    let names: BTreeSet<_> = printed.iter().filter_map(|line| counted(line)).collect();
    for (line, text) in shown.iter().enumerate() {
        if let Some(name) = counted(text).filter(|name| !names.contains(name)) {
            let told = format!("no task `{}` of {} ran", name.1, name.0);
            return Err(Difference { line, told });
        }
    }
    // An elision that stands between counted lines stands for counted lines.
    let kept = 0..shown.len();
    let kept: Vec<usize> = kept.filter(|&at| counted(&shown[at]).is_none() && !shown[at].starts_with(LONG)).collect();
    let beside = |at: Option<usize>| at.and_then(|at| shown.get(at)).is_some_and(|line| counted(line).is_some());
    let kept: Vec<usize> = kept
        .into_iter()
        .filter(|&at| !(is_elision(&shown[at]) && beside(at.checked_sub(1)) && beside(Some(at + 1))))
        .collect();
    let printed = words(&plain(printed));
    let mut place = 0;
    let mut at = 0;
    let mut floating = false;
    while at < kept.len() {
        if is_elision(&shown[kept[at]]) {
            floating = true;
            at += 1;
            continue;
        }
        let end = (at..kept.len()).find(|&end| is_elision(&shown[kept[end]])).unwrap_or(kept.len());
        let lines: Vec<String> = kept[at..end].iter().map(|&line| shown[line].clone()).collect();
        let segment = words(&lines);
        let last = end == kept.len();
        let starts: Vec<usize> = if !floating {
            vec![place]
        } else if last {
            printed.len().checked_sub(segment.len()).filter(|start| *start >= place).into_iter().collect()
        } else {
            (place..=printed.len().saturating_sub(segment.len()))
                .filter(|&start| printed.get(start).is_none_or(|word| word.begins_line))
                .collect()
        };
        let found = starts.iter().copied().find(|&start| common(&segment, &printed[start..]) == segment.len());
        let Some(start) = found else {
            let best = starts.iter().map(|&start| common(&segment, &printed[start..])).max().unwrap_or(0);
            let line = segment.get(best.min(segment.len().saturating_sub(1))).map_or(0, |word| word.line);
            let told = format!("`{}` was not printed there", lines[line].trim());
            return Err(Difference { line: kept[at + line], told });
        };
        for (shown, printed) in segment.iter().zip(&printed[start..]) {
            digests.learn(shown, printed);
        }
        place = start + segment.len();
        floating = false;
        at = end;
    }
    if !floating && place < printed.len() {
        let line = shown.len().saturating_sub(1);
        let more: Vec<_> = printed[place..].iter().take(12).map(|word| word.masked.as_str()).collect();
        return Err(Difference { line, told: format!("more was printed: `{} …`", more.join(" ")) });
    }
    Ok(())
}

/// Number of words that two texts begin with alike.
fn common(shown: &[Word], printed: &[Word]) -> usize {
    shown.iter().zip(printed).take_while(|(shown, printed)| shown.masked == printed.masked).count()
}

/// Whether output has the form of what is shown, whatever the figures: most lines; and the first one with its counts.
pub(crate) fn alike(shown: &[String], printed: &[String]) -> Result<(), Difference> {
    let forms: BTreeSet<String> = printed.iter().map(|line| shape(line)).collect();
    let lines: Vec<_> =
        shown.iter().enumerate().filter(|(_, line)| !line.trim().is_empty() && !is_elision(line)).collect();
    let missing: Vec<_> = lines.iter().filter(|(_, line)| !forms.contains(&shape(line))).collect();
    let masked =
        |line: &String| words(std::slice::from_ref(line)).into_iter().map(|word| word.masked).collect::<Vec<_>>();
    let begins = lines.first().filter(|(_, first)| !printed.iter().any(|line| masked(line) == masked(first)));
    if let Some((line, text)) = begins {
        return Err(Difference { line: *line, told: format!("`{}` was not printed", text.trim()) });
    }
    match missing.first() {
        Some((line, text)) if lines[0].0 == *line || missing.len() * 3 > lines.len() => {
            Err(Difference { line: *line, told: format!("nothing like `{}` was printed", text.trim()) })
        }
        _ => Ok(()),
    }
}

/// What a page would show of this output: with as many lines around each elision as it has now.
pub(crate) fn renewed(shown: &[String], printed: &[String]) -> Vec<String> {
    let counts = shown.iter().any(|line| counted(line).is_some());
    let printed: Vec<String> = if counts { printed.to_vec() } else { plain(printed) };
    let pieces: Vec<&[String]> = shown.split(|line| is_elision(line)).collect();
    let mark = shown.iter().find(|line| is_elision(line)).cloned().unwrap_or_default();
    let Some(((first, middle), last)) = pieces.split_last().and_then(|(last, rest)| Some((rest.split_first()?, last)))
    else {
        return printed.iter().flat_map(|line| wrapped(line)).collect();
    };
    let mut chosen: Vec<Option<usize>> = (0..first.len().min(printed.len())).map(Some).collect();
    let mut place = chosen.len();
    let tail = printed.len().saturating_sub(last.len()).max(place);
    for piece in middle {
        let Some(begin) = piece.first().and_then(|line| line.split_whitespace().next()) else { continue };
        let anchor = (place..tail).find(|&at| printed[at].split_whitespace().next() == Some(begin));
        let Some(anchor) = anchor else { continue };
        if anchor > place {
            chosen.push(None);
        }
        let end = (anchor + piece.len()).min(tail);
        chosen.extend((anchor..end).map(Some));
        place = end;
    }
    if tail > place {
        chosen.push(None);
    }
    chosen.extend((tail..printed.len()).map(Some));
    let lines = chosen.into_iter().map(|at| at.map_or_else(|| vec![mark.clone()], |at| wrapped(&printed[at])));
    lines.flatten().collect()
}

/// A line in pieces that a page has room for.
fn wrapped(line: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = line.to_owned();
    while rest.chars().count() > WIDTH {
        let limit = rest.char_indices().nth(WIDTH).map_or(rest.len(), |(at, _)| at);
        let Some(cut) = rest[..limit].rfind(' ').filter(|&cut| !rest[..cut].trim().is_empty()) else { break };
        let next = format!("  {}", rest[cut..].trim_start());
        rest.truncate(cut);
        lines.push(rest.trim_end().to_owned());
        rest = next;
    }
    lines.push(rest);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn difference(shown: &str, printed: &str) -> Option<(usize, String)> {
        let found = compare(&lines(shown), &lines(printed), &mut Digests::default());
        found.err().map(|difference| (difference.line, difference.told))
    }

    #[test]
    fn wrapping_times_and_elided_lines_do_not_count() {
        assert_eq!(difference("a: 3 tasks\n  in 2 s\n...\nend 4", "a: 3 tasks in 9.1 s\nb\nc\nend 4"), None);
        assert_eq!(difference("a\n...", "a\nb"), None);
        assert_eq!(difference("...\nb c\n...\nd", "a\nb c\nx\nd"), None);
    }

    #[test]
    fn counts_missing_lines_and_lines_too_many_are_told() {
        assert_eq!(
            difference("a\nb: 3 tasks", "a\nb: 4 tasks"),
            Some((1, "`b: 3 tasks` was not printed there".to_owned()))
        );
        assert_eq!(difference("a", "a\nb c"), Some((0, "more was printed: `b c …`".to_owned())));
        assert!(difference("a\nb", "a").is_some());
        assert!(difference("", "a").is_some());
        // Elided lines are whole: what follows begins a line.
        assert!(difference("a\n...\nc\n...", "a\nb c\nd").is_some());
        assert!(difference("a\n...\nb", "a\nb\nc").is_some());
    }

    #[test]
    fn counted_lines_are_a_set() {
        let printed = "[1/3] b (1.0 s)\n[2/3] a (0.0 s)\n[3/3] report (0.1 s)\ndone: 3 computed";
        assert_eq!(difference("[1/3] a (0.2 s)\n...\n[3/3] report (0.0 s)\ndone: 3 computed", printed), None);
        assert_eq!(difference("done: 3 computed", printed), None);
        assert_eq!(difference("[1/3] c (0.2 s)\n...\ndone: 3 computed", printed).expect("differs").0, 0);
        assert!(difference("[1/4] a (0.2 s)\ndone: 3 computed", printed).is_some());
    }

    #[test]
    fn digests_are_learnt_and_put_into_later_commands() {
        let mut digests = Digests::default();
        compare(&lines("run 34b98c33"), &lines("run 0123abcd"), &mut digests).expect("alike");
        assert_eq!(digests.put_into("hebb diff 34b98c33 x"), "hebb diff 0123abcd x");
    }

    #[test]
    fn another_machine_has_other_figures_and_the_same_form() {
        assert_eq!(alike(&lines("a 1 s\nb 2"), &lines("b 7\na 3 min 2 s")), Ok(()));
        assert!(alike(&lines("a 1\nb 2"), &lines("a 2\nb 2")).is_err());
        assert!(alike(&lines("a 1 s\nb 2"), &lines("b 7")).is_err());
    }

    #[test]
    fn renewed_output_keeps_its_elisions() {
        let printed = lines("a 2\nb\nc 3\nd\ne 4\nf");
        assert_eq!(renewed(&lines("a 1\n...\ne 1\n...\nf"), &printed), lines("a 2\n...\ne 4\nf"));
        assert_eq!(renewed(&lines("a 1"), &lines("a 2\n[1/2] x (1 s)")), lines("a 2"));
        let long = format!("{}end", "word ".repeat(26));
        assert_eq!(wrapped(&long).len(), 2);
    }
}
