//! Messages about a study file: what is wrong, where, and what to do. Rendering is `annotate-snippets`' (rustc's own look).

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;
use std::{fmt, ops::Range, path::PathBuf};

/// One thing wrong with a study file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Bytes of the text that it is about.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// A few words under the caret.
    pub label: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A message about a place.
    #[must_use]
    pub fn new(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { span, message: message.into(), label: label.into(), hint: None }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A study file that cannot be used, with everything that is wrong with it in file order.
#[derive(Debug)]
pub struct SpecErrors {
    name: String,
    text: String,
    diagnostics: Vec<Diagnostic>,
}

/// Why there is no study.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file could not be read.
    #[error("cannot read `{path}`: {source}", path = path.display())]
    Read {
        /// The study file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The file was read, and is wrong.
    #[error("{0}")]
    Wrong(SpecErrors),
}

/// A diagnostic as editors take it: lines and columns count from one, columns in characters.
#[derive(Debug, Serialize)]
pub struct Located<'a> {
    /// The study file.
    pub file: &'a str,
    /// Line of the first character.
    pub line: usize,
    /// Column of the first character.
    pub column: usize,
    /// What is wrong.
    pub message: &'a str,
    /// What to do about it.
    pub hint: Option<&'a str>,
}

impl SpecErrors {
    /// Gathers what is wrong with a text, in file order.
    #[must_use]
    pub fn new(name: &str, text: &str, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by(|one, other| (one.span.start, &one.message).cmp(&(other.span.start, &other.message)));
        diagnostics.dedup();
        Self { name: name.to_owned(), text: text.to_owned(), diagnostics }
    }

    /// Everything that is wrong, in file order.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The same with lines and columns.
    pub fn located(&self) -> impl Iterator<Item = Located<'_>> {
        self.diagnostics.iter().map(|diagnostic| {
            let (line, column) = self.line_and_column(diagnostic.span.start);
            Located { file: &self.name, line, column, message: &diagnostic.message, hint: diagnostic.hint.as_deref() }
        })
    }

    /// The messages as a terminal shows them.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let rendered: Vec<String> = self
            .diagnostics
            .iter()
            .map(|diagnostic| {
                let span = self.visible(&diagnostic.span);
                let place = AnnotationKind::Primary.span(span).label(diagnostic.label.as_str());
                let group = Level::ERROR
                    .primary_title(diagnostic.message.as_str())
                    .element(Snippet::source(self.text.as_str()).path(self.name.as_str()).annotation(place))
                    .elements(diagnostic.hint.as_deref().map(|hint| Level::HELP.message(hint)));
                renderer.render(&[group])
            })
            .collect();
        rendered.join("\n\n")
    }

    /// A span that lies within the text and on character borders, whatever a parser made of a torn file.
    fn visible(&self, span: &Range<usize>) -> Range<usize> {
        let border =
            |at: usize| (0..=at.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        let start = border(span.start);
        start..border(span.end).max(start)
    }

    fn line_and_column(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..self.visible(&(at..at)).start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_points_at_its_place() {
        let text = "[study]\nnam = 'x'\n";
        let wrong = Diagnostic::new(8..11, "unknown key `nam`", "no such key").hint("did you mean `name`?");
        let shown = SpecErrors::new("study.toml", text, vec![wrong]).render(false);
        let expected = "error: unknown key `nam`\n --> study.toml:2:1\n  |\n2 | nam = 'x'\n  | ^^^ no such key\n  |\n  = help: did you mean `name`?";
        assert_eq!(shown, expected);
    }

    #[test]
    fn places_are_told_in_file_order_and_in_characters() {
        let text = "ä = 1 # ö\nb = 2\n";
        let errors =
            SpecErrors::new("s", text, vec![Diagnostic::new(12..13, "late", ""), Diagnostic::new(3..4, "early", "")]);
        let located: Vec<_> = errors.located().map(|at| (at.line, at.column, at.message.to_owned())).collect();
        assert_eq!(located, [(1, 3, "early".to_owned()), (2, 1, "late".to_owned())]);
    }

    #[test]
    fn spans_beyond_the_text_or_within_a_character_are_shown_all_the_same() {
        let errors = SpecErrors::new("s", "ä", vec![Diagnostic::new(1..99, "torn", "")]);
        assert!(errors.render(false).contains("torn"));
    }
}
