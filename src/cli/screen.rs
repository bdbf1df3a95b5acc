//! The last lines of a terminal, drawn over and over without flicker. Knows no run.

use console::Term;
use std::fmt::Write;

/// Lines at the foot of a terminal that are replaced as a whole.
pub(super) struct Screen {
    terminal: Term,
    /// Lines that are drawn now.
    height: usize,
}

impl Screen {
    pub(super) fn new(terminal: Term) -> Self {
        Self { terminal, height: 0 }
    }

    /// Columns and rows of the terminal.
    pub(super) fn size(&self) -> (usize, usize) {
        let (height, width) = self.terminal.size();
        (width.into(), height.into())
    }

    /// Draws lines in place of the last ones, with `above` over them for good.
    pub(super) fn draw(&mut self, above: &str, lines: &[String]) {
        // One write for all of it, each line cleared as it is overwritten: nothing flickers.
        let mut text = self.to_top();
        for line in above.lines().chain(lines.iter().map(String::as_str)) {
            let _ = writeln!(text, "{line}\x1b[K");
        }
        self.put(text + "\x1b[J");
        self.height = lines.len();
    }

    /// Takes the lines away.
    pub(super) fn clear(&mut self) {
        if self.height > 0 {
            self.put(self.to_top() + "\x1b[J");
            self.height = 0;
        }
    }

    fn to_top(&self) -> String {
        if self.height == 0 { "\r".to_owned() } else { format!("\r\x1b[{}A", self.height) }
    }

    /// That nobody can see it is no reason to stop.
    fn put(&self, text: String) {
        let _ = self.terminal.write_str(&text);
    }
}
