//! A run in another process as text and JSON: what `hebb status` says while it goes on.

use super::{
    board::{Board, Running},
    events::Moment,
    frame::{Canvas, pace, shortened, sum_line},
    words::duration,
};
use serde_json::{Value, json};

/// Everything about a run that goes on, in lines that fit the width.
pub(super) fn told(board: &Board, now: Moment, canvas: Canvas) -> Vec<String> {
    let columns = format!(
        "{:<12} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
        "kind", "tasks", "cached", "to run", "done", "running", "failed"
    );
    let mut lines = vec![head(board, now), columns];
    for (kind, row) in &board.rows {
        lines.push(format!(
            "{:<12} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
            kind.name(),
            row.total,
            row.cached,
            row.to_run,
            row.computed + row.unchanged + row.fetched,
            row.running,
            row.failed
        ));
    }
    lines.extend(section("running", running(board).map(|(task, one)| running_line(task, one, now, canvas.width))));
    lines.extend(section(
        "failed",
        board.failures.iter().map(|failure| format!("  {}: {}", failure.task, failure.message)),
    ));
    lines.push(String::new());
    lines.push(sum_line(board, now));
    lines
}

/// Which run this is, and for how long it has gone on.
pub(super) fn head(board: &Board, now: Moment) -> String {
    let Some((since, begun)) = &board.begun else { return "a run is about to begin".to_owned() };
    let spent = duration(now.seconds_since(*since));
    format!("{}: run {} by process {} since {} ({spent})", begun.study, begun.run, begun.pid, since.told())
}

/// The same for programs.
pub(super) fn json(board: &Board, now: Moment) -> Value {
    let begun = board.begun.as_ref();
    json!({
        "run": begun.map(|(_, begun)| &begun.run),
        "pid": begun.map(|(_, begun)| begun.pid),
        "jobs": begun.map(|(_, begun)| begun.jobs),
        "since": begun.map(|(since, _)| since),
        "elapsed_s": board.elapsed_s(now),
        "left_s": board.left_s(now),
        "to_run": board.to_run(),
        "ended": board.n_ended(),
        "blocked": board.n_blocked,
        "kinds": board.rows.iter().map(|(kind, row)| json!({
            "kind": kind, "total": row.total, "cached": row.cached, "to_run": row.to_run, "computed": row.computed,
            "unchanged": row.unchanged, "fetched": row.fetched, "running": row.running, "failed": row.failed,
        })).collect::<Vec<_>>(),
        "running": running(board).map(|(task, one)| json!({
            "task": task, "kind": one.kind, "since": one.since, "seconds": now.seconds_since(one.since),
            "estimated_s": one.estimated_s, "done": one.steps.map(|(done, _)| done), "of": one.steps.map(|(_, of)| of),
        })).collect::<Vec<_>>(),
        "failed": board.failures.iter().map(|failure| json!({
            "task": failure.task, "kind": failure.kind, "message": failure.message,
        })).collect::<Vec<_>>(),
    })
}

/// Running tasks, the one that began first before the others.
fn running(board: &Board) -> impl Iterator<Item = (&String, &Running)> {
    let mut tasks: Vec<_> = board.running.iter().collect();
    tasks.sort_by_key(|(_, one)| one.since);
    tasks.into_iter()
}

fn running_line(task: &str, one: &Running, now: Moment, width: usize) -> String {
    let pace = pace(one, now).map(|pace| format!("{pace}  ")).unwrap_or_default();
    let steps = one.steps.map(|(done, of)| format!("{done}/{of}  {pace}")).unwrap_or_default();
    let whole = one.estimated_s.map(|whole| format!(" of about {}", duration(whole))).unwrap_or_default();
    let facts = format!("  {steps}{}{whole}", duration(now.seconds_since(one.since)));
    format!("  {}{facts}", shortened(task, width.saturating_sub(2 + facts.chars().count()).max(8)))
}

/// A headed list; nothing if it is empty.
fn section(head: &str, lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines = lines.peekable();
    let head = lines.peek().map(|_| [String::new(), head.to_owned()]);
    head.into_iter().flatten().chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            board::tests::{at, begun, started},
            events::Happening,
        },
        *,
    };
    use crate::task::Kind;

    #[test]
    fn a_live_run_says_who_runs_what_since_when() {
        let mut board = Board::default();
        board.tell(&begun());
        board.tell(&started(2, "encode/a", Kind::Encode));
        board.tell(&started(3, "encode/b", Kind::Encode));
        board.tell(&at(4, Happening::Progress { task: "encode/b".into(), kind: Kind::Encode, done: 1, of: 4 }));
        board.tell(&at(5, Happening::Failed { task: "encode/a".into(), kind: Kind::Encode, message: "no".into() }));
        let now = Moment::at_unix_s(1_000_005);
        let lines = told(&board, now, Canvas { width: 80, height: 24, colours: false });
        assert_eq!(
            lines,
            [
                "tiny: run 0a1b2c by process 7 since 1970-01-12 13:46:40 UTC (5.0 s)",
                "kind           tasks  cached  to run    done running  failed",
                "encode             6       2       4       0       1       1",
                "report             1       0       1       0       0       0",
                "",
                "running",
                "  encode/b  1/4  2.0 s of about 10 s",
                "",
                "failed",
                "  encode/a: no",
                "",
                "1/5 tasks, 5.0 s",
            ]
        );
        let json = json(&board, now);
        assert_eq!(
            (&json["pid"], &json["running"][0]["seconds"], &json["left_s"]),
            (&7.into(), &2.0.into(), &Value::Null)
        );
        assert_eq!(json["failed"][0]["message"], "no");
    }
}
