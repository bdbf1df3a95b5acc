//! Messages about a study file: what is wrong, where, and what to do. Rendering is `annotate-snippets`' (rustc's own look).

use crate::format::secret::{hidden, masked};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;
use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file that a study was written in.
#[derive(Clone, Debug)]
pub struct Source {
    /// What the file is called in messages.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Where relative paths in it start from.
    pub folder: PathBuf,
}

impl Source {
    /// A file by the name that messages use.
    #[must_use]
    pub fn new(name: &str, text: &str, folder: &Path) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), folder: folder.to_owned() }
    }
}

/// Bytes of one of a study's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Which of the files; the one that was asked for is the first.
    pub source: usize,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// Bytes of a file.
    #[must_use]
    pub fn new(source: usize, bytes: Range<usize>) -> Self {
        Self { source, start: bytes.start, end: bytes.end }
    }
}

/// One thing wrong with a study file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Bytes of the text that it is about.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// A few words under the caret.
    pub label: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where else to look, as the cells of a sweep in which it is wrong.
    pub note: Option<String>,
}

impl Diagnostic {
    /// A message about a place.
    #[must_use]
    pub fn new(span: Span, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { span, message: hidden(&message.into()).into_owned(), label: label.into(), hint: None, note: None }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same, with where else to look.
    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }
}

/// A study file that cannot be used, with everything that is wrong with it in file order.
#[derive(Debug)]
pub struct SpecErrors {
    sources: Arc<[Source]>,
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
    /// Where else to look.
    pub note: Option<&'a str>,
}

impl SpecErrors {
    /// Gathers what is wrong with a study's files, in file order.
    #[must_use]
    pub fn new(sources: Arc<[Source]>, mut diagnostics: Vec<Diagnostic>) -> Self {
        let place = |found: &Diagnostic| (found.span.source, found.span.start);
        diagnostics.sort_by(|one, other| (place(one), &one.message).cmp(&(place(other), &other.message)));
        diagnostics.dedup();
        Self { sources, diagnostics }
    }

    /// Everything that is wrong, in file order.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The same with lines and columns.
    pub fn located(&self) -> impl Iterator<Item = Located<'_>> {
        self.diagnostics.iter().map(|diagnostic| {
            let source = &self.sources[diagnostic.span.source];
            let (line, column) = line_and_column(&source.text, diagnostic.span.start);
            Located {
                file: &source.name,
                line,
                column,
                message: &diagnostic.message,
                hint: diagnostic.hint.as_deref(),
                note: diagnostic.note.as_deref(),
            }
        })
    }

    /// The messages as a terminal shows them.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        // The lines of a file are shown, and a secret may stand in one, not least because it does not belong there.
        let texts: Vec<_> = self.sources.iter().map(|source| masked(&source.text)).collect();
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let rendered: Vec<String> = self
            .diagnostics
            .iter()
            .map(|diagnostic| {
                let source = &self.sources[diagnostic.span.source];
                let span = visible(&source.text, diagnostic.span);
                let place = AnnotationKind::Primary.span(span).label(diagnostic.label.as_str());
                let group = Level::ERROR
                    .primary_title(diagnostic.message.as_str())
                    .element(
                        Snippet::source(texts[diagnostic.span.source].as_ref())
                            .path(source.name.as_str())
                            .annotation(place),
                    )
                    .elements(diagnostic.note.as_deref().map(|note| Level::NOTE.message(note)))
                    .elements(diagnostic.hint.as_deref().map(|hint| Level::HELP.message(hint)));
                renderer.render(&[group])
            })
            .collect();
        rendered.join("\n\n")
    }
}

/// A span that lies within the text and on character borders, whatever a parser made of a torn file.
fn visible(text: &str, span: Span) -> Range<usize> {
    let border = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start = border(span.start);
    start..border(span.end).max(start)
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..visible(text, Span::new(0, at..at)).start];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str, wrong: Vec<Diagnostic>) -> SpecErrors {
        SpecErrors::new([Source::new("study.toml", text, Path::new(""))].into(), wrong)
    }

    fn at(bytes: Range<usize>) -> Span {
        Span::new(0, bytes)
    }

    #[test]
    fn a_message_points_at_its_place() {
        let text = "[study]\nnam = 'x'\n";
        let wrong = Diagnostic::new(at(8..11), "unknown key `nam`", "no such key").hint("did you mean `name`?");
        let shown = errors(text, vec![wrong]).render(false);
        let expected = "error: unknown key `nam`\n --> study.toml:2:1\n  |\n2 | nam = 'x'\n  | ^^^ no such key\n  |\n  = help: did you mean `name`?";
        assert_eq!(shown, expected);
    }

    #[test]
    fn places_are_told_in_file_order_and_in_characters() {
        let text = "ä = 1 # ö\nb = 2\n";
        let errors =
            errors(text, vec![Diagnostic::new(at(12..13), "late", ""), Diagnostic::new(at(3..4), "early", "")]);
        let located: Vec<_> = errors.located().map(|at| (at.line, at.column, at.message.to_owned())).collect();
        assert_eq!(located, [(1, 3, "early".to_owned()), (2, 1, "late".to_owned())]);
    }

    #[test]
    fn spans_beyond_the_text_or_within_a_character_are_shown_all_the_same() {
        let errors = errors("ä", vec![Diagnostic::new(at(1..99), "torn", "")]);
        assert!(errors.render(false).contains("torn"));
    }
}
