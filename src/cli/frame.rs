//! A board as lines of text for a terminal of some width and height. Knows no terminal: `progress.rs` and `status.rs` draw.

use super::{
    board::{Board, Row, Running},
    events::Moment,
    words::duration,
};
use crate::task::Kind;

/// What there is to draw on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) colours: bool,
}

/// Cells of a bar.
const BAR: usize = 24;

/// The picture of a run: a bar for each kind that has something to run, what runs now, and how far it all is. Fits into the
/// canvas: tasks that run are left out first, then kinds that are done or have not begun.
pub(super) fn frame(board: &Board, now: Moment, canvas: Canvas) -> Vec<String> {
    let rows: Vec<(Kind, Row)> = board.rows.iter().filter(|(_, row)| row.to_run > 0).map(|(k, r)| (*k, *r)).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    // The last line of a terminal stays free, or drawing on it would scroll.
    let height = canvas.height.saturating_sub(1).max(1);
    let shown: Vec<(Kind, Row)> = match rows.len() < height {
        true => rows,
        false => rows.into_iter().filter(|(_, row)| row.running > 0).take(height - 1).collect(),
    };
    let mut free = height - 1 - shown.len();
    let digits = shown.iter().map(|(_, row)| row.to_run.to_string().len()).max().unwrap_or(1);
    let mut lines = Vec::new();
    for (kind, row) in shown {
        lines.push(kind_line(kind, &row, now, digits, canvas.colours));
        let mut tasks: Vec<(&String, &Running)> = board.running.iter().filter(|(_, one)| one.kind == kind).collect();
        tasks.sort_by_key(|(_, one)| one.since);
        for (task, running) in tasks.into_iter().take(free) {
            lines.push(task_line(task, running, now, canvas));
            free -= 1;
        }
    }
    lines.push(sum_line(board, now));
    lines.into_iter().map(|line| console::truncate_str(&line, canvas.width, "…").into_owned()).collect()
}

fn kind_line(kind: Kind, row: &Row, now: Moment, digits: usize, colours: bool) -> String {
    let mut line =
        format!("{:<12}{} {:>digits$}/{}", kind.name(), bar(row.ended(), row.to_run, colours), row.ended(), row.to_run);
    if row.ended() < row.to_run
        && let Some(rate) = row.rate(now)
    {
        line += &if rate >= 1.0 { format!("  {rate:.1}/s") } else { format!("  {:.1}/min", rate * 60.0) };
    }
    if row.failed > 0 {
        line += &paint(&format!("  {} failed", row.failed), "31", colours);
    }
    line
}

/// Steps a second, once there is something to tell it from: images a second, where a step is an image.
pub(super) fn pace(running: &Running, now: Moment) -> Option<String> {
    let ((done, _), (first, since)) = (running.steps?, running.first?);
    let seconds = now.seconds_since(since);
    (done > first && seconds >= 1.0).then(|| format!("{:.1}/s", (done - first) as f64 / seconds))
}

fn task_line(task: &str, running: &Running, now: Moment, canvas: Canvas) -> String {
    let mut facts = String::new();
    if let Some((done, of)) = running.steps {
        facts += &format!("  {done}/{of}");
        facts += &pace(running, now).map(|pace| format!("  {pace}")).unwrap_or_default();
    }
    let spent = now.seconds_since(running.since);
    facts += &format!("  {}", duration(spent));
    if let Some(whole) = running.estimated_s.filter(|whole| *whole >= 1.0) {
        facts += &format!(" of about {}", duration(whole));
    }
    // The end of a name tells tasks of one kind apart, so the middle gives way.
    let room = canvas.width.saturating_sub(4 + facts.chars().count()).max(8);
    format!("    {}{}", shortened(task, room), paint(&facts, "2", canvas.colours))
}

/// How far a run is in all.
pub(super) fn sum_line(board: &Board, now: Moment) -> String {
    let mut line = format!("{}/{} tasks, {}", board.n_ended(), board.to_run(), duration(board.elapsed_s(now)));
    if let Some(left) = board.left_s(now) {
        line += &format!(", about {} left", duration(left));
    }
    if board.n_blocked > 0 {
        line += &format!(", {} blocked", board.n_blocked);
    }
    line
}

fn bar(done: usize, total: usize, colours: bool) -> String {
    // A log whose lines were torn may count more ends than beginnings.
    let halves = (2 * BAR * done).checked_div(total).unwrap_or_default().min(2 * BAR);
    let filled = "━".repeat(halves / 2) + if halves % 2 == 1 { "╸" } else { "" };
    let rest = "·".repeat(BAR - halves.div_ceil(2));
    paint(&filled, "32", colours) + &paint(&rest, "2", colours)
}

fn paint(text: &str, code: &str, colours: bool) -> String {
    if colours && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// A name of at most `room` letters, its middle left out.
pub(super) fn shortened(name: &str, room: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= room {
        return name.to_owned();
    }
    let tail = room.saturating_sub(1) * 2 / 3;
    let head = room.saturating_sub(1 + tail);
    letters[..head].iter().chain(['…'].iter()).chain(&letters[letters.len() - tail..]).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::board::tests::{begun, finished, started},
        *,
    };

    fn drawn(height: usize, width: usize) -> Vec<String> {
        let mut board = Board::default();
        board.tell(&begun());
        board.tell(&started(0, "encode/sub-01/clip/patterns@n_patterns=32", Kind::Encode));
        board.tell(&finished(10, "encode/sub-01/clip/patterns@n_patterns=32", Kind::Encode, 10.0));
        board.tell(&started(10, "encode/sub-02/clip/patterns@n_patterns=32", Kind::Encode));
        frame(&board, Moment::at_unix_s(1_000_012), Canvas { width, height, colours: false })
    }

    #[test]
    fn kinds_running_tasks_and_the_sum_are_drawn() {
        assert_eq!(
            drawn(24, 80),
            [
                "encode      ━━━━━━·················· 1/4  5.0/min",
                "    encode/sub-02/clip/patterns@n_patterns=32  2.0 s of about 10 s",
                "report      ························ 0/1",
                "1/5 tasks, 12 s",
            ]
        );
    }

    #[test]
    fn a_small_terminal_keeps_what_matters() {
        assert_eq!(drawn(4, 80).len(), 3, "no running task");
        assert_eq!(drawn(3, 80).iter().map(|line| &line[..6]).collect::<Vec<_>>(), ["encode", "1/5 ta"]);
        assert_eq!(drawn(1, 80).len(), 1);
        assert!(drawn(24, 40).iter().all(|line| line.chars().count() <= 40));
        assert!(drawn(24, 40)[1].contains("terns=32  2.0 s"), "the end of a name stays");
    }

    #[test]
    fn a_bar_ends_where_it_is_full() {
        assert_eq!(bar(5, 4, false), "━".repeat(BAR));
        assert_eq!(bar(0, 0, false), "·".repeat(BAR));
    }

    #[test]
    fn without_work_nothing_is_drawn() {
        let canvas = Canvas { width: 80, height: 24, colours: true };
        assert_eq!(frame(&Board::default(), Moment::now(), canvas), Vec::<String>::new());
    }
}
