//! Shows a run: a picture that changes on a terminal, plain lines elsewhere. What is in the picture is for `frame.rs`.

use super::{
    board::Board,
    events::{Happening, Line, Moment},
    frame::{Canvas, frame},
    say,
    screen::Screen,
    words::{duration, size},
};
use crate::executor::Outcome;
use console::Term;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    collections::HashMap,
    io::{IsTerminal, stderr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Listens to a run.
pub(super) enum Display {
    /// A picture that changes.
    Picture(Picture),
    /// A line for each task that ends, and now and then one for each that takes long.
    Lines { done: usize, total: usize, told: HashMap<String, Instant> },
}

/// Time between two lines about one running task.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Time between two pictures: often enough for the eye, and nothing beside the tasks.
const PICTURE_EVERY: Duration = Duration::from_millis(100);

impl Display {
    /// For a run of `total` tasks that have to run.
    pub(super) fn new(total: usize, colours: bool, cancelled: Arc<AtomicBool>) -> Self {
        if stderr().is_terminal() {
            Self::Picture(Picture::new(colours, cancelled))
        } else {
            Self::Lines { done: 0, total, told: HashMap::new() }
        }
    }

    /// Shows one happening; `board` has taken note of it.
    pub(super) fn tell(&mut self, line: &Line, board: &Board) {
        match self {
            Self::Picture(picture) => picture.tell(line, board),
            Self::Lines { done, total, told } => tell_lines(done, total, told, &line.what),
        }
    }

    /// Draws anew, if it is time.
    pub(super) fn redraw(&mut self, board: &Board) {
        if let Self::Picture(picture) = self {
            picture.redraw(board);
        }
    }
}

/// A picture on standard error.
pub(super) struct Picture {
    screen: Screen,
    colours: bool,
    drawn: Option<Instant>,
    cancelled: Arc<AtomicBool>,
    /// Whether it was said that the run is being cancelled.
    said_stopping: bool,
}

impl Picture {
    fn new(colours: bool, cancelled: Arc<AtomicBool>) -> Self {
        Self { screen: Screen::new(Term::stderr()), colours, drawn: None, cancelled, said_stopping: false }
    }

    fn tell(&mut self, line: &Line, board: &Board) {
        match &line.what {
            Happening::Failed { task, message, .. } => {
                let word = if self.colours { "\x1b[1;31mfailed\x1b[0m" } else { "failed" };
                self.draw(&format!("{word} {task}: {message}"), board);
            }
            Happening::Ended(_) => self.screen.clear(),
            what => {
                if let Some(warning) = what.warning() {
                    self.draw(&warning, board);
                }
            }
        }
    }

    /// Draws the board, if the last picture is old.
    fn redraw(&mut self, board: &Board) {
        if board.ended.is_some() || self.drawn.is_some_and(|drawn| drawn.elapsed() < PICTURE_EVERY) {
            return;
        }
        let stopping = self.cancelled.load(Ordering::Relaxed) && !self.said_stopping;
        self.said_stopping |= stopping;
        self.draw(if stopping { STOPPING } else { "" }, board);
    }

    fn draw(&mut self, above: &str, board: &Board) {
        let (width, height) = self.screen.size();
        let lines = frame(board, Moment::now(), Canvas { width, height, colours: self.colours });
        self.screen.draw(above, &lines);
        self.drawn = Some(Instant::now());
    }
}

/// What is said at the first Ctrl-C.
pub(super) const STOPPING: &str = "stopping: running tasks are asked to end; press Ctrl-C again to stop at once";

fn tell_lines(done: &mut usize, total: &mut usize, told: &mut HashMap<String, Instant>, what: &Happening) {
    match what {
        Happening::Started { task, .. } => drop(told.insert(task.clone(), Instant::now())),
        Happening::Progress { task, done, of, .. } => {
            if let Some(last) = told.get_mut(task).filter(|last| last.elapsed() >= LINE_EVERY) {
                *last = Instant::now();
                say(format_args!("        {task}: {done} of {of}"));
            }
        }
        Happening::Finished { task, outcome, seconds, .. } => {
            *done += 1;
            told.remove(task);
            match outcome {
                Outcome::Computed => say(format_args!("[{done}/{total}] {task} ({})", duration(*seconds))),
                Outcome::Unchanged => say(format_args!("[{done}/{total}] {task} (inputs unchanged)")),
                Outcome::Fetched => say(format_args!("[{done}/{total}] {task} (fetched)")),
            }
        }
        Happening::Failed { task, message, .. } => {
            *done += 1;
            told.remove(task);
            say(format_args!("[{done}/{total}] failed {task}: {message}"));
        }
        Happening::Blocked { task, by } => {
            *done += 1;
            say(format_args!("[{done}/{total}] blocked {task}: needs {by}"));
        }
        Happening::Revived { .. } => *total += 1,
        Happening::Retried { .. }
        | Happening::Damaged { .. }
        | Happening::Differed { .. }
        | Happening::Warned { .. } => {
            what.warning().into_iter().for_each(say);
        }
        Happening::Begun(_) | Happening::Ended(_) => {}
    }
}

/// Shows which large file is being read for its digest.
#[derive(Clone)]
pub(super) enum Reading {
    /// One line that changes.
    Bar(ProgressBar),
    /// A line for each file that takes seconds.
    Lines,
}

/// A file of this size takes about a second to read from a disk.
const LARGE_BYTES: u64 = 256 << 20;

impl Reading {
    pub(super) fn new() -> Self {
        if !stderr().is_terminal() {
            return Self::Lines;
        }
        let bar = ProgressBar::no_length().with_style(
            ProgressStyle::with_template("{spinner} reading {msg}").expect("the template is constant and valid"),
        );
        bar.enable_steady_tick(Duration::from_millis(120));
        Self::Bar(bar)
    }

    pub(super) fn tell(&self, path: &Path, size_bytes: u64) {
        let what = || format!("{} ({})", path.display(), size(size_bytes));
        match self {
            Self::Bar(bar) => bar.set_message(what()),
            Self::Lines if size_bytes >= LARGE_BYTES => say(format_args!("reading {}", what())),
            Self::Lines => {}
        }
    }

    pub(super) fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
/// Bytes that are moved from one place to another.
pub(super) struct Bytes(ProgressBar);

impl Bytes {
    /// So many bytes in all, of what `doing` says.
    pub(super) fn new(doing: &'static str, all: u64) -> Self {
        let style = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
            .expect("the template is a constant");
        Self(ProgressBar::new(all).with_style(style).with_message(doing))
    }

    pub(super) fn set(&mut self, bytes: u64) {
        self.0.set_position(bytes);
    }

    pub(super) fn end(self) {
        self.0.finish_and_clear();
    }
}
