//! Entries of a bibliography as BibTeX and biber read them. Knows the form, not what a study cites.
//!
//! Letters stay UTF-8, which biber and the LaTeX of today read; what LaTeX takes for commands is escaped, but not in
//! `doi` and `url`, which styles print as they stand.

use crate::report::{Venue, Work};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `article`, `inproceedings` or `misc`.
    pub kind: &'static str,
    /// What documents cite it by.
    pub key: String,
    /// Fields by name in the order in which they are written, values escaped.
    pub fields: Vec<(&'static str, String)>,
    /// What the study cites it for, each in a few words.
    pub cited_for: Vec<String>,
}

impl Entry {
    /// A published work.
    #[must_use]
    pub fn of_work(work: &Work, cited_for: &[&str]) -> Self {
        let (kind, venue) = match work.kind {
            Venue::Journal => ("article", "journal"),
            Venue::Proceedings => ("inproceedings", "booktitle"),
            Venue::Preprint => ("misc", "howpublished"),
        };
        // An eprint is a place to read it, and the only one that a preprint has.
        let (eprint, kind_of_eprint) = if work.arxiv.is_empty() { ("", "") } else { (work.arxiv, "arXiv") };
        let url = if work.doi.is_empty() { format!("https://arxiv.org/abs/{}", work.arxiv) } else { String::new() };
        let fields = [
            ("author", work.authors.to_owned()),
            ("title", work.title.to_owned()),
            (venue, work.venue.to_owned()),
            ("volume", work.volume.to_owned()),
            ("number", work.number.to_owned()),
            ("pages", work.pages.to_owned()),
            ("year", work.year.to_string()),
            ("doi", work.doi.to_owned()),
            ("eprint", eprint.to_owned()),
            ("archiveprefix", kind_of_eprint.to_owned()),
            ("url", url),
        ];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let cited_for = cited_for.iter().map(|&what| what.to_owned()).collect();
        Self { kind, key: work.key.to_owned(), fields, cited_for }
    }

    /// The entry, under a line for each thing that it is cited for.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text: String = self.cited_for.iter().map(|what| format!("% cited for {}\n", comment(what))).collect();
        text.push_str(&format!("@{}{{{},\n", self.kind, self.key));
        for (name, value) in &self.fields {
            text.push_str(&format!("  {name} = {{{value}}},\n"));
        }
        text + "}\n"
    }
}

/// Any text as the inside of a field.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' | '%' | '$' | '#' | '_' => escaped.extend(['\\', letter]),
            // A brace behind a backslash still counts where entries are taken apart.
            '{' => escaped.push_str("\\textbraceleft "),
            '}' => escaped.push_str("\\textbraceright "),
            '\\' => escaped.push_str("\\textbackslash "),
            '~' => escaped.push_str("\\textasciitilde "),
            '^' => escaped.push_str("\\textasciicircum "),
            control if control.is_control() => escaped.push(' '),
            plain => escaped.push(plain),
        }
    }
    escaped
}

/// An address as the inside of a field that is printed as it stands.
#[must_use]
pub fn address(text: &str) -> String {
    let mut address = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '{' | '}' | '\\' | ' ' | '"' => address.push_str(&format!("%{:02X}", u32::from(letter))),
            control if control.is_control() => {}
            plain => address.push(plain),
        }
    }
    address
}

/// Text outside of entries: whatever follows an at sign would be taken for one.
#[must_use]
pub fn comment(text: &str) -> String {
    let plain = |letter: char| if letter == '@' || letter.is_control() { ' ' } else { letter };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::work_named;

    #[test]
    fn a_paper_has_the_fields_of_its_kind() {
        let work = work_named("Dupre la Tour et al. 2022").expect("it is in the table");
        let text = Entry::of_work(work, &["banded ridge regression"]).to_text();
        let expected = "% cited for banded ridge regression\n@article{duprelatour2022feature,\n  author = {{Dupré la Tour}, Tom \
                        and Eickenberg, Michael and Nunez-Elizalde, Anwar O. and Gallant, Jack L.},\n  title = \
                        {Feature-space selection with banded ridge regression},\n  journal = {NeuroImage},\n  volume = \
                        {264},\n  pages = {119728},\n  year = {2022},\n  doi = {10.1016/j.neuroimage.2022.119728},\n}\n";
        assert_eq!(text, expected);
        let preprint = Entry::of_work(work_named("Liu et al. 2019").expect("it is in the table"), &[]).to_text();
        assert!(preprint.starts_with("@misc{liu2019roberta,\n") && preprint.contains("  eprint = {1907.11692},\n"));
    }

    #[test]
    fn no_text_leaves_its_field() {
        assert_eq!(escaped("a}_{b & 5 % \\x\n"), "a\\textbraceright \\_\\textbraceleft b \\& 5 \\% \\textbackslash x ");
        assert_eq!(address("https://x.org/a_b}{ c"), "https://x.org/a_b%7D%7B%20c");
        assert_eq!(comment("a@article{b\n}"), "a article{b }");
    }
}
